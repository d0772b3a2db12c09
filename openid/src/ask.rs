//! What is asked of a provider, and its answer in the first of two steps: a code is changed for a
//! token.

use serde::Deserialize;
use thiserror::Error;

use crate::{Flow, Provider, object, told};

/// Who we are to the provider.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// What it calls us.
    pub id: &'a str,
    /// Where it sends browsers back to.
    pub redirect: &'a str,
}

/// A text as a value in a form or a query (`application/x-www-form-urlencoded`).
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn form(fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    fields.collect::<Vec<_>>().join("&")
}

fn with_question(address: &str, fields: &[(&str, &str)]) -> String {
    let sign = if address.contains('?') { '&' } else { '?' };
    format!("{address}{sign}{}", form(fields))
}

/// Where a browser is sent to sign in.
#[must_use]
pub fn authorization(
    provider: &Provider,
    client: Client<'_>,
    scopes: &[String],
    flow: &Flow,
) -> String {
    let (scopes, state, nonce) = (scopes.join(" "), flow.state(), flow.nonce());
    let challenge = flow.challenge();
    with_question(
        &provider.authorization,
        &[
            ("response_type", "code"),
            ("client_id", client.id),
            ("redirect_uri", client.redirect),
            ("scope", &scopes),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ],
    )
}

/// The form by which a code is changed for a token, and the header that goes with it where there is
/// a secret that does not go into the form.
#[must_use]
pub fn token(
    provider: &Provider,
    client: Client<'_>,
    secret: Option<&str>,
    code: &str,
    flow: &Flow,
) -> (String, Option<String>) {
    let verifier = flow.verifier();
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", client.redirect),
        ("code_verifier", &verifier),
    ];
    let header = match secret {
        Some(secret) if provider.secret_in_form => {
            fields.extend([("client_id", client.id), ("client_secret", secret)]);
            None
        }
        // Each is encoded before they are joined (RFC 6749, section 2.3.1).
        Some(secret) => {
            let both = format!("{}:{}", encoded(client.id), encoded(secret));
            Some(format!("Basic {}", usual_base64(both.as_bytes())))
        }
        None => {
            fields.push(("client_id", client.id));
            None
        }
    };
    (form(&fields), header)
}

/// With the usual letters, and padded: as HTTP's header has it.
fn usual_base64(bytes: &[u8]) -> String {
    let mut text = crate::base64::encode(bytes).replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// Where a browser is sent to sign out there as well. It comes back to `back`, if the provider knows
/// that address.
#[must_use]
pub fn end_session(provider: &Provider, client: &str, back: &str) -> Option<String> {
    let fields = [("client_id", client), ("post_logout_redirect_uri", back)];
    Some(with_question(provider.end_session.as_deref()?, &fields))
}

/// Why there is no token.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum AnswerError {
    /// The provider says why.
    #[error("the provider refuses the code: {0}")]
    Refused(String),
    /// It is no answer.
    #[error("the provider's answer has no token (status {0})")]
    Malformed(u16),
}

#[derive(Deserialize)]
struct Answer {
    id_token: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// The ID token in the answer with that status to a form of [`token`].
///
/// # Errors
///
/// There is none in it.
pub fn id_token(status: u16, body: &[u8]) -> Result<String, AnswerError> {
    let answer: Answer = object(body).map_err(|_| AnswerError::Malformed(status))?;
    if let Some(error) = answer.error {
        let why = answer.error_description.unwrap_or_default();
        return Err(AnswerError::Refused(told(format!("{error} {why}").trim())));
    }
    let token = answer.id_token.filter(|_| (200..300).contains(&status));
    token.ok_or(AnswerError::Malformed(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(secret_in_form: bool) -> Provider {
        Provider {
            authorization: "https://login.office.example/auth?tenant=1".into(),
            token: "https://login.office.example/token".into(),
            keys: "https://login.office.example/keys".into(),
            end_session: Some("https://login.office.example/end".into()),
            secret_in_form,
            names_itself: false,
        }
    }

    const CLIENT: Client<'_> =
        Client { id: "da icho&", redirect: "https://daicho.office.example/login/oidc" };

    #[test]
    fn a_browser_is_sent_with_all_that_binds_the_answer_to_it() {
        let flow = Flow::begin([7; 32], "/", 0);
        let scopes = ["openid".to_owned(), "profile".to_owned()];
        let address = authorization(&provider(false), CLIENT, &scopes, &flow);
        assert_eq!(
            address,
            format!(
                "https://login.office.example/auth?tenant=1&response_type=code&\
                 client_id=da%20icho%26&\
                 redirect_uri=https%3A%2F%2Fdaicho.office.example%2Flogin%2Foidc&\
                 scope=openid%20profile&state={}&nonce={}&code_challenge={}&\
                 code_challenge_method=S256",
                flow.state(),
                flow.nonce(),
                flow.challenge()
            )
        );
        assert!(!address.contains(&flow.verifier()));
    }

    #[test]
    fn a_secret_goes_where_the_provider_wants_it() {
        let flow = Flow::begin([7; 32], "/", 0);
        let (form, header) = token(&provider(false), CLIENT, Some("a:b/c"), "x&y", &flow);
        // da%20icho%26:a%3Ab%2Fc
        assert_eq!(header.as_deref(), Some("Basic ZGElMjBpY2hvJTI2OmElM0FiJTJGYw=="));
        assert!(form.contains("code=x%26y&") && !form.contains("secret"), "{form}");
        assert!(form.ends_with(&format!("code_verifier={}", flow.verifier())), "{form}");
        let (form, header) = token(&provider(true), CLIENT, Some("a:b/c"), "x", &flow);
        assert!(header.is_none() && form.ends_with("client_secret=a%3Ab%2Fc"), "{form}");
        let (form, header) = token(&provider(false), CLIENT, None, "x", &flow);
        assert!(header.is_none() && form.ends_with("client_id=da%20icho%26"), "{form}");
    }

    #[test]
    fn an_answer_has_a_token_or_says_why_not() {
        let check = |status, body: &str| id_token(status, body.as_bytes());
        assert_eq!(check(200, "{\"id_token\": \"a.b.c\"}"), Ok("a.b.c".into()));
        let refused = check(400, "{\"error\":\"invalid_grant\",\"error_description\":\"x\\ny\"}");
        assert_eq!(refused, Err(AnswerError::Refused("invalid_grant x y".into())));
        for (status, body) in [(200, ""), (200, "{}"), (500, "{\"id_token\":\"a\"}"), (302, "[]")] {
            assert_eq!(check(status, body), Err(AnswerError::Malformed(status)), "{body}");
        }
    }

    #[test]
    fn signing_out_leads_there_only_where_there_is_such_a_place() {
        let back = "https://daicho.office.example/login";
        let address = end_session(&provider(false), "daicho", back).unwrap();
        assert!(address.starts_with("https://login.office.example/end?client_id=daicho&post_"));
        let without = Provider { end_session: None, ..provider(false) };
        assert_eq!(end_session(&without, "daicho", back), None);
    }
}
