//! What authorities say of certificates after they issued them.
//!
//! [`List`] is a revocation list as a file has it, [`Lists`] those that an organisation keeps,
//! which a chain is judged with; [`Response`] is what a responder says of one certificate.
//! Whether such a word can be relied on is a question of its own: one that is too old still
//! revokes what it names, but knows nothing of what was revoked since.

mod list;
mod ocsp;

pub use list::{List, ListError, Lists, Signer, Standing};
pub use ocsp::{Response, ResponseError, Status, request};
