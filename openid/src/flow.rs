//! One sign-in on its way: what binds the answer of a provider to the browser that was sent off.
//!
//! The browser keeps a secret in a cookie, sealed by us with when it began and where it leads.
//! What the provider is told (state, nonce, the challenge of PKCE) follows from the secret, and
//! leads not back to it. So nothing has to be remembered for whoever begins and never comes
//! back, and nobody can fill a table of those.

use ring::{
    digest::{SHA256, digest},
    hmac,
};
use thiserror::Error;

use crate::base64::{decode, encode};

/// After so many seconds a sign-in that was begun is over.
pub const LASTS: i64 = 600;

/// The longest path that it leads to, in bytes; a longer one is forgotten.
const PATH: usize = 1_024;

/// With what we seal.
#[derive(Debug)]
pub struct Seal(hmac::Key);

impl Seal {
    /// From 32 random bytes.
    #[must_use]
    pub fn new(random: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, random))
    }
}

/// A sign-in that was begun.
#[derive(Clone, Eq, PartialEq)]
pub struct Flow {
    /// Known to the browser alone, and to us while it asks.
    secret: [u8; 32],
    /// In seconds since 1970.
    began: i64,
    next: String,
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secret is nobody's to see.
        f.debug_struct("Flow").field("began", &self.began).finish_non_exhaustive()
    }
}

/// Why what a browser brought is no sign-in that was begun.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum FlowError {
    /// We did not seal it, or not since the start.
    #[error("the browser did not begin it here")]
    Forged,
    /// It took too long.
    #[error("it was begun more than {} minutes ago", LASTS / 60)]
    Late,
    /// What came back belongs to another.
    #[error("what came back belongs to another sign-in than the one that this browser began")]
    State,
}

impl Flow {
    /// Begins one, with 32 random bytes, that leads to a path of ours.
    #[must_use]
    pub fn begin(secret: [u8; 32], next: &str, now: i64) -> Self {
        let next = if next.len() > PATH { "/" } else { next };
        Self { secret, began: now, next: next.to_owned() }
    }

    fn derived(&self, what: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        encode(hmac::sign(&key, what.as_bytes()).as_ref())
    }

    /// What the provider hands back with its answer.
    #[must_use]
    pub fn state(&self) -> String {
        self.derived("state")
    }

    /// What the token has to carry.
    #[must_use]
    pub fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// What whoever changes the code for a token has to know (RFC 7636).
    #[must_use]
    pub fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// Its hash, by which the provider knows it again.
    #[must_use]
    pub fn challenge(&self) -> String {
        encode(digest(&SHA256, self.verifier().as_bytes()).as_ref())
    }

    /// Where it leads.
    #[must_use]
    pub fn next(&self) -> &str {
        &self.next
    }

    /// By what one is known that was used, without telling its secret.
    #[must_use]
    pub fn mark(&self) -> String {
        self.derived("mark")
    }

    /// When it is over, in seconds since 1970.
    #[must_use]
    pub const fn ends(&self) -> i64 {
        self.began.saturating_add(LASTS)
    }

    /// As a browser keeps it.
    #[must_use]
    pub fn sealed(&self, seal: &Seal) -> String {
        let (secret, next) = (encode(&self.secret), encode(self.next.as_bytes()));
        let text = format!("{secret}.{}.{next}", self.began);
        let mark = encode(hmac::sign(&seal.0, text.as_bytes()).as_ref());
        format!("{text}.{mark}")
    }

    /// What a browser brought, for the state that came back with it.
    ///
    /// # Errors
    ///
    /// We did not seal it, it is over, or it belongs to another sign-in.
    pub fn open(text: &str, state: &str, seal: &Seal, now: i64) -> Result<Self, FlowError> {
        let flow = Self::unseal(text, seal).ok_or(FlowError::Forged)?;
        if now >= flow.ends() || now < flow.began.saturating_sub(LASTS) {
            return Err(FlowError::Late);
        }
        // A hash of each is compared, so that how long it takes tells nothing of the state.
        let hash = |text: &str| digest(&SHA256, text.as_bytes()).as_ref().to_vec();
        match hash(state) == hash(&flow.state()) {
            true => Ok(flow),
            false => Err(FlowError::State),
        }
    }

    fn unseal(text: &str, seal: &Seal) -> Option<Self> {
        let (sealed, mark) = text.rsplit_once('.')?;
        hmac::verify(&seal.0, sealed.as_bytes(), &decode(mark)?).ok()?;
        let mut parts = sealed.split('.');
        let (secret, began, next) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            secret: decode(secret)?.try_into().ok()?,
            began: began.parse().ok()?,
            next: String::from_utf8(decode(next)?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_made_as_rfc_7636_makes_it() {
        // Appendix B, from the verifier on.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let hash = encode(digest(&SHA256, verifier.as_bytes()).as_ref());
        assert_eq!(hash, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let flow = Flow::begin([7; 32], "/", 0);
        assert_eq!(flow.challenge(), encode(digest(&SHA256, flow.verifier().as_bytes()).as_ref()));
        assert_eq!(flow.verifier().len(), 43);
    }

    #[test]
    fn what_is_told_to_the_provider_differs_and_leads_not_to_the_secret() {
        let flow = Flow::begin([7; 32], "/", 0);
        let told = [flow.state(), flow.nonce(), flow.challenge(), flow.verifier(), flow.mark()];
        for (at, one) in told.iter().enumerate() {
            assert!(told[..at].iter().all(|other| other != one));
            assert!(*one != encode(&[7; 32]));
        }
        assert_ne!(flow.state(), Flow::begin([8; 32], "/", 0).state());
        assert!(!format!("{flow:?}").contains('7'), "{flow:?}");
    }

    #[test]
    fn only_the_browser_that_was_sent_off_comes_back_and_in_time() {
        let (seal, other) = (Seal::new(&[1; 32]), Seal::new(&[2; 32]));
        let flow = Flow::begin([7; 32], "/scans?x=台;y", 1_000);
        let (kept, state) = (flow.sealed(&seal), flow.state());
        assert!(kept.bytes().all(|b| b.is_ascii_graphic() && b != b';'), "{kept}");
        assert_eq!(Flow::open(&kept, &state, &seal, 1_000 + LASTS - 1).as_ref(), Ok(&flow));
        assert_eq!(flow.next(), "/scans?x=台;y");
        let check = |kept: &str, state: &str, seal: &Seal, now: i64, expected: FlowError| {
            assert_eq!(Flow::open(kept, state, seal, now), Err(expected), "{kept}");
        };
        check(&kept, &state, &other, 1_000, FlowError::Forged);
        check(&kept, &state, &seal, 1_000 + LASTS, FlowError::Late);
        // The clock was set back by more than a sign-in lasts.
        check(&kept, &state, &seal, 1_000 - LASTS - 1, FlowError::Late);
        let elses = Flow::begin([8; 32], "/", 1_000);
        check(&kept, &elses.state(), &seal, 1_000, FlowError::State);
        check(&elses.sealed(&seal), &state, &seal, 1_000, FlowError::State);
        check(&kept, "", &seal, 1_000, FlowError::State);
        // Nothing of it can be exchanged.
        let changed = kept.replace(".1000.", ".1999.");
        check(&changed, &state, &seal, 1_000, FlowError::Forged);
        for text in ["", ".", "a.b.c.d", "....", "台.帳", &kept[1..], &kept[..kept.len() - 1]] {
            check(text, &state, &seal, 1_000, FlowError::Forged);
        }
        assert_eq!(Flow::begin([7; 32], &"/x".repeat(600), 0).next(), "/");
    }
}
