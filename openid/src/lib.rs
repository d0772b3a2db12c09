//! Signing in by OpenID Connect (Core 1.0, the authorization code flow with PKCE): what is asked of
//! a provider, and whether what comes back is to be believed.
//!
//! [`provider`] reads what a provider says of itself, [`Keys`] what it signs with, [`id_token`]
//! what it says of a person. [`Flow`] binds what comes back to the browser that was sent off;
//! [`ask`] writes the requests. Nothing here opens a socket or reads a clock: bytes come in, and
//! the time. Everything that comes in is hostile until a signature says otherwise, and bounded
//! after that, so nothing here indexes or panics. What a person may do is not known here.
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::allow_attributes,
        reason = "a test may fail loudly"
    )
)]

pub mod ask;
mod base64;
mod claims;
mod flow;
mod keys;
mod provider;
mod token;

pub use claims::Claims;
pub use flow::{Flow, FlowError, LASTS, Seal};
pub use keys::{Keys, KeysError};
pub use provider::{AddressError, Provider, ProviderError, check_address, discovery, provider};
pub use token::{Expected, TokenError, id_token};

/// Reads an object. serde would take a list of its values as well.
fn object<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let values: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes)?;
    serde_json::from_value(values.into())
}

/// A text of somebody else's as it may stand in a message: one line, not long.
#[must_use]
pub fn told(text: &str) -> String {
    const MOST: usize = 200;
    text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
