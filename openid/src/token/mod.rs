//! ID tokens (OpenID Connect Core 1.0, sections 2 and 3.1.3.7; RFC 7515, RFC 7519).

#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    Claims, Keys,
    base64::decode,
    keys::{Algorithm, TAKEN},
    object, told,
};

/// The longest token that is read, in bytes. With 200 groups one has some 10 KiB.
const LONGEST: usize = 256 << 10;

/// By so many seconds clocks may differ.
const LEEWAY: i64 = 60;

/// A token was made at most so many seconds ago: it is for a person who just signed in.
const OLDEST: i64 = 600;

/// What a token has to say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// By whom it was made.
    pub issuer: &'a str,
    /// For whom.
    pub client: &'a str,
    /// For which browser ([`crate::Flow::nonce`]).
    pub nonce: &'a str,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// Why a token is not believed.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum TokenError {
    /// It is none.
    #[error("it is no signed token ({0})")]
    Malformed(&'static str),
    /// It is signed in a way that is not taken.
    #[error("it is signed by {0:?}; only {TAKEN} are taken")]
    Algorithm(String),
    /// It wants something understood that is not.
    #[error("it has critical parts that are not known here")]
    Critical,
    /// It is signed by a key that is not among the provider's.
    #[error("it is signed by a key that is not among the provider's ({0:?})")]
    UnknownKey(String),
    /// It was not signed by the key that it names, or by none of all, where it names none.
    #[error("its signature is wrong")]
    Signature {
        /// Whether it says by which key.
        names_key: bool,
    },
    /// It is another provider's.
    #[error("it is by the issuer {0:?}")]
    Issuer(String),
    /// It is for somebody else.
    #[error("it is for {0:?}, not for us")]
    Audience(String),
    /// It was made on behalf of somebody else.
    #[error("it was given to {0:?}, not to us")]
    Party(String),
    /// It ended.
    #[error("it ended {0} s ago")]
    Expired(i64),
    /// It is too old or from the future.
    #[error("it was made {0} s ago; do the clocks agree?")]
    Age(i64),
    /// It does not hold yet.
    #[error("it holds only in {0} s; do the clocks agree?")]
    Early(i64),
    /// It is for another browser.
    #[error("it is for another sign-in than this one")]
    Nonce,
    /// It does not say who it is about.
    #[error("it does not say who it is about (1 to 255 letters of ASCII)")]
    Subject,
}

impl TokenError {
    /// Whether the provider may have got a new key since its keys were read.
    #[must_use]
    pub const fn may_be_a_new_key(&self) -> bool {
        matches!(self, Self::UnknownKey(_) | Self::Signature { names_key: false })
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// The claims of an ID token, if it is to be believed.
///
/// # Errors
///
/// Says why it is not.
pub fn id_token(token: &str, keys: &Keys, expected: &Expected<'_>) -> Result<Claims, TokenError> {
    use TokenError::Malformed;
    if token.len() > LONGEST {
        return Err(Malformed("too long"));
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Malformed("not three parts"));
    };
    let signed = token.rsplit_once('.').map_or("", |(signed, _)| signed);
    let header = decode(header).ok_or(Malformed("its header"))?;
    let header: Header = object(&header).map_err(|_| Malformed("its header"))?;
    let algorithm = Algorithm::from_name(&header.alg)
        .ok_or_else(|| TokenError::Algorithm(told(&header.alg)))?;
    if header.crit.is_some() {
        return Err(TokenError::Critical);
    }
    // An access token (RFC 9068) or one of a logout is signed by the same keys.
    if header.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt")) {
        return Err(Malformed("of another type"));
    }
    let signature = decode(signature).ok_or(Malformed("its signature"))?;
    let id = header.kid.as_deref();
    if let Some(id) = id.filter(|id| !keys.knows(id)) {
        return Err(TokenError::UnknownKey(told(id)));
    }
    if !keys.signed(algorithm, id, signed.as_bytes(), &signature) {
        return Err(TokenError::Signature { names_key: id.is_some() });
    }
    let payload = decode(payload).ok_or(Malformed("its claims"))?;
    let values: Map<String, Value> =
        serde_json::from_slice(&payload).map_err(|_| Malformed("its claims"))?;
    check(values, expected)
}

/// Everything but the signature.
fn check(values: Map<String, Value>, expected: &Expected<'_>) -> Result<Claims, TokenError> {
    use TokenError::Malformed;
    let text = |name: &str| values.get(name).and_then(Value::as_str);
    let issuer = text("iss").unwrap_or_default();
    if issuer != expected.issuer {
        return Err(TokenError::Issuer(told(issuer)));
    }
    let audience: Vec<&str> = match values.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !audience.contains(&expected.client) {
        return Err(TokenError::Audience(told(&audience.join(", "))));
    }
    let party = text("azp");
    // For several, it has to say to whom of them it was given.
    let is_given = match party {
        Some(party) => party == expected.client,
        None => audience.len() == 1 && !values.contains_key("azp"),
    };
    if !is_given {
        return Err(TokenError::Party(told(party.unwrap_or_default())));
    }
    let moment = |name: &str| match values.get(name) {
        // With a fraction it is valid, if rare (RFC 7519, section 2).
        Some(Value::Number(number)) => number.as_i64().or_else(|| {
            let seconds = number.as_f64()?;
            #[expect(clippy::cast_possible_truncation, reason = "it is capped")]
            let seconds = seconds.clamp(-1e15, 1e15) as i64;
            Some(seconds)
        }),
        _ => None,
    };
    let end = moment("exp").ok_or(Malformed("no exp"))?;
    let over = expected.now.saturating_sub(end);
    if over >= LEEWAY {
        return Err(TokenError::Expired(over));
    }
    let age = expected.now.saturating_sub(moment("iat").ok_or(Malformed("no iat"))?);
    if !(-LEEWAY..=OLDEST).contains(&age) {
        return Err(TokenError::Age(age));
    }
    if let Some(begin) = moment("nbf") {
        let early = begin.saturating_sub(expected.now);
        if early > LEEWAY {
            return Err(TokenError::Early(early));
        }
    }
    if text("nonce") != Some(expected.nonce) {
        return Err(TokenError::Nonce);
    }
    let subject = text("sub").unwrap_or_default().to_owned();
    if !(1..=255).contains(&subject.len()) || !subject.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(TokenError::Subject);
    }
    Ok(Claims { subject, values })
}
