//! What a provider says of itself (OpenID Connect Discovery 1.0), and which addresses are asked.

use serde::Deserialize;
use thiserror::Error;

use crate::{object, told};

/// The longest address.
const LONGEST: usize = 2_048;

/// A provider that is what it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    /// Where browsers are sent to sign in.
    pub authorization: String,
    /// Where a code is changed for a token.
    pub token: String,
    /// Where its keys are.
    pub keys: String,
    /// Where browsers are sent to sign out there as well, if there is such a place.
    pub end_session: Option<String>,
    /// Whether a secret goes into the form, because it takes none in the header.
    pub secret_in_form: bool,
    /// Whether it says who it is where it sends a browser back (RFC 9207).
    pub names_itself: bool,
}

/// Why an address is not asked.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum AddressError {
    /// It is none.
    #[error("{0:?} is no address such as \"https://login.office.example\"")]
    Malformed(String),
    /// Others could read and change what is said.
    #[error("{0:?} has to begin with https:// (http:// only for this machine itself)")]
    Clear(String),
}

/// Why a provider is not used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ProviderError {
    /// It is no description of one.
    #[error("it is no description of a provider of OpenID Connect: {0}")]
    Malformed(String),
    /// It is another's.
    #[error("it is the description of {0:?}, and the issuer has to be exactly that")]
    Issuer(String),
    /// One of its addresses cannot be used.
    #[error("its {0}")]
    Address(&'static str, #[source] AddressError),
}

/// Where a provider describes itself.
#[must_use]
pub fn discovery(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// Checks that nobody between can read what is said to an address.
///
/// # Errors
///
/// It is none, or could be read on the way.
pub fn check_address(text: &str) -> Result<(), AddressError> {
    let malformed = || AddressError::Malformed(told(text));
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '<' | '>' | '\\' | '#');
    if text.len() > LONGEST || !text.chars().all(fits) {
        return Err(malformed());
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(malformed)?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() || authority.contains('@') {
        return Err(malformed());
    }
    let is_here = || {
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    match scheme {
        "https" => Ok(()),
        "http" if is_here() => Ok(()),
        "http" => Err(AddressError::Clear(told(text))),
        _ => Err(malformed()),
    }
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Reads what a provider says of itself, for the issuer that was asked.
///
/// # Errors
///
/// It is no description, that of another, or names an address that is not asked.
pub fn provider(document: &[u8], issuer: &str) -> Result<Provider, ProviderError> {
    let document: Document =
        object(document).map_err(|error| ProviderError::Malformed(told(&error.to_string())))?;
    if document.issuer != issuer {
        return Err(ProviderError::Issuer(told(&document.issuer)));
    }
    let check = |name, address: &str| {
        // One that is elsewhere has nothing to say of this machine.
        let is_here = issuer.starts_with("http://") || address.starts_with("https://");
        let found = check_address(address).and_then(|()| match is_here {
            true => Ok(()),
            false => Err(AddressError::Clear(told(address))),
        });
        found.map_err(|error| ProviderError::Address(name, error))
    };
    check("authorization_endpoint", &document.authorization_endpoint)?;
    check("token_endpoint", &document.token_endpoint)?;
    check("jwks_uri", &document.jwks_uri)?;
    if let Some(end) = &document.end_session_endpoint {
        check("end_session_endpoint", end)?;
    }
    // Without a word it is the header (Discovery 1.0, section 3).
    let methods = document.token_endpoint_auth_methods_supported;
    let secret_in_form = methods.is_some_and(|all| {
        let takes = |name: &str| all.iter().any(|one| one == name);
        takes("client_secret_post") && !takes("client_secret_basic")
    });
    Ok(Provider {
        authorization: document.authorization_endpoint,
        token: document.token_endpoint,
        keys: document.jwks_uri,
        end_session: document.end_session_endpoint,
        secret_in_form,
        names_itself: document.authorization_response_iss_parameter_supported,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://login.office.example/daicho";

    fn document() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.office.example/auth?tenant=1",
            "token_endpoint": "https://tokens.office.example/token",
            "jwks_uri": "https://login.office.example/keys",
        })
    }

    fn read(change: impl FnOnce(&mut Value)) -> Result<Provider, String> {
        let mut document = document();
        change(&mut document);
        provider(document.to_string().as_bytes(), ISSUER).map_err(|error| {
            let source = std::error::Error::source(&error);
            source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
        })
    }

    #[test]
    fn a_provider_is_who_was_asked() {
        let plain = read(|_| {}).unwrap();
        assert!(!plain.secret_in_form && !plain.names_itself && plain.end_session.is_none());
        for other in ["https://login.office.example/daicho/", "https://evil.example", ""] {
            let error = read(|document| document["issuer"] = other.into()).unwrap_err();
            assert!(error.contains(&format!("{other:?}")), "{error}");
        }
        let post = |document: &mut Value| {
            document["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
        };
        assert!(read(post).unwrap().secret_in_form);
        assert_eq!(discovery("https://a.example/"), discovery("https://a.example"));
    }

    #[test]
    fn nothing_is_asked_in_the_clear_or_of_what_is_no_address() {
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"]
        {
            for (address, why) in [
                ("http://login.office.example/x", "https://"),
                ("http://127.0.0.1.evil.example/x", "https://"),
                // Of a provider that is elsewhere: our own machine is not its to name.
                ("http://127.0.0.1:8080/x", "https://"),
                ("https://sato:pass@login.office.example/x", "no address"),
                ("javascript:alert(1)", "no address"),
                ("ftp://login.office.example", "no address"),
                ("https:///x", "no address"),
                ("https://login.office.example/\r\nHost: x", "no address"),
                ("https://login.office.example/\"><script>", "no address"),
                ("https://login.office.example/#x", "no address"),
            ] {
                let error = read(|document| document[name] = address.into()).unwrap_err();
                assert!(error.contains(name) && error.contains(why), "{address}: {error}");
            }
        }
        for here in ["http://127.0.0.1:4593/x", "http://localhost/x", "http://[::1]:80/x"] {
            assert_eq!(check_address(here), Ok(()), "{here}");
        }
    }

    #[test]
    fn what_is_no_description_says_what_is_missing() {
        for (bytes, why) in [
            (&b""[..], "EOF"),
            (b"<html>", "expected value"),
            (b"[]", "invalid type: sequence"),
            (b"{}", "missing field"),
            (b"{\"issuer\": 7}", "invalid type"),
            (b"{\"issuer\": \"a\"}", "authorization_endpoint"),
        ] {
            let error = provider(bytes, ISSUER).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
