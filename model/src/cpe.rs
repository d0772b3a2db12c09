use std::fmt;

use serde::{Deserialize, Serialize};

/// A Common Platform Enumeration name, version 2.3, bound as a formatted string
/// (NIST IR 7695, section 6.2): `cpe:2.3:a:openbsd:openssh:9.2p1:*:*:*:*:*:*:*`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Cpe(pub String);

impl Cpe {
    /// The name of an application.
    #[must_use]
    pub fn application(vendor: &str, product: &str, version: Option<&str>) -> Self {
        Self::new('a', vendor, product, version)
    }

    /// The name of an operating system.
    #[must_use]
    pub fn operating_system(vendor: &str, product: &str, version: Option<&str>) -> Self {
        Self::new('o', vendor, product, version)
    }

    fn new(part: char, vendor: &str, product: &str, version: Option<&str>) -> Self {
        let version = version.map_or_else(|| "*".to_owned(), escape);
        Self(format!(
            "cpe:2.3:{part}:{}:{}:{version}:*:*:*:*:*:*:*",
            escape(vendor),
            escape(product)
        ))
    }
}

impl fmt::Display for Cpe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Quotes a value as NIST IR 7695, section 6.2.2.1 asks: letters, digits, `_`, `-` and `.`
/// stand for themselves, blanks become `_`, everything else printable is escaped.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' | '-' | '.' => escaped.push(c),
            ' ' => escaped.push('_'),
            '!'..='~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // The binding is ASCII only; what is not has no spelling in it.
            _ => {}
        }
    }
    if escaped.is_empty() { "*".to_owned() } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_are_quoted() {
        assert_eq!(
            Cpe::application("PostgreSQL", "libpq++", Some("15.8 (Debian)")).0,
            "cpe:2.3:a:postgresql:libpq\\+\\+:15.8_\\(debian\\):*:*:*:*:*:*:*"
        );
        assert_eq!(
            Cpe::operating_system("debian", "debian_linux", None).0,
            "cpe:2.3:o:debian:debian_linux:*:*:*:*:*:*:*:*"
        );
    }
}
