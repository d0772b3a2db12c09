//! What a provider says of a person.

use serde_json::{Map, Value};

/// The claims of a token that was believed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claims {
    pub(crate) subject: String,
    pub(crate) values: Map<String, Value>,
}

/// A list with more entries is not read to its end.
const MOST: usize = 10_000;

impl Claims {
    /// Who it is to the provider: never another's, whatever else changes (Core 1.0, section 5.7).
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The texts of a claim, of which it may be one or a list. A name with dots is that of a claim
    /// in a claim where there is none of the whole name, such as `realm_access.roles`.
    ///
    /// `email` is none where the provider does not say that it was verified: whoever may write
    /// any address into their profile would else be anybody.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<&str> {
        let is_verified = || match self.values.get("email_verified") {
            Some(Value::Bool(is_so)) => *is_so,
            Some(Value::String(text)) => text == "true",
            _ => false,
        };
        if name == "email" && !is_verified() {
            return Vec::new();
        }
        match find(&self.values, name) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(all)) => all.iter().take(MOST).filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the provider says that a claim is too long for the token and is asked for elsewhere
    /// (Core 1.0, section 5.6.2), as Entra ID does for somebody in more than 200 groups.
    #[must_use]
    pub fn is_elsewhere(&self, name: &str) -> bool {
        let named = self.values.get("_claim_names").and_then(Value::as_object);
        named.is_some_and(|named| named.contains_key(name))
    }
}

fn find<'a>(values: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    values.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        find(values.get(first)?.as_object()?, rest)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(values: Value) -> Claims {
        let Value::Object(values) = values else { panic!("no object") };
        Claims { subject: "1".into(), values }
    }

    #[test]
    fn claims_are_found_as_providers_have_them() {
        let claims = claims(json!({
            "groups": ["a", 7, "b"],
            "hd": "office.example",
            "realm_access": {"roles": ["c"]},
            "https://office.example/roles": ["d"],
            "_claim_names": {"wids": "src1"},
        }));
        let check = |name: &str, expected: &[&str]| assert_eq!(claims.texts(name), expected);
        check("groups", &["a", "b"]);
        check("hd", &["office.example"]);
        check("realm_access.roles", &["c"]);
        check("https://office.example/roles", &["d"]);
        for name in ["", ".", "realm_access", "realm_access.roles.c", "groups.0", "none"] {
            check(name, &[]);
        }
        assert!(claims.is_elsewhere("wids") && !claims.is_elsewhere("groups"));
    }

    #[test]
    fn an_address_that_nobody_verified_is_none() {
        for (verified, counts) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("false"), false),
            (json!(1), false),
            (Value::Null, false),
        ] {
            let claims = claims(json!({"email": "a@office.example", "email_verified": verified}));
            assert_eq!(!claims.texts("email").is_empty(), counts, "{verified}");
        }
        assert!(claims(json!({"email": "a@office.example"})).texts("email").is_empty());
    }
}
