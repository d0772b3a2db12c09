//! What authorities say of certificates after they issued them.
//!
//! [`List`] is a revocation list as a file has it, [`Lists`] those that an organisation keeps,
//! which a chain is judged with. Whether a list can be relied on is a question of its own: one
//! that is too old still revokes what it names, but knows nothing of what was revoked since.

mod list;

pub use list::{List, ListError, Lists, Signer, Standing};
