//! Addresses on the web, as certificates name them (RFC 3986, as far as that).
//!
//! Whoever made a certificate wrote these, so nothing of them is believed: no user names, no
//! ports of zero, no character that could end a line of the request.

use std::{fmt, net::IpAddr};

use thiserror::Error;

/// Longer addresses are somebody's joke.
const MAX: usize = 2_048;

/// How to ask.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Inside TLS.
    Https,
}

/// Who is asked.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Host {
    /// A name, in lower case.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// An address from which something can be fetched.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WebAddress {
    /// How to ask.
    pub scheme: Scheme,
    /// Whom.
    pub host: Host,
    /// At which port.
    pub port: u16,
    /// For what: begins with a slash, and has the query.
    pub path: String,
}

/// Nothing can be fetched from there.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum NotFetched {
    /// It is asked by another protocol.
    #[error("it is asked by {0:?}, which is not spoken here; only http is")]
    Scheme(String),
    /// It is no address.
    #[error("it is no address of the web")]
    Malformed,
}

impl WebAddress {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// It is none, or not one of http or https.
    pub fn read(text: &str) -> Result<Self, NotFetched> {
        let text = text.trim();
        if text.len() > MAX || text.chars().any(|c| c.is_control() || c == ' ') {
            return Err(NotFetched::Malformed);
        }
        let (scheme, rest) = text.split_once("://").ok_or(NotFetched::Malformed)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => return Err(NotFetched::Scheme(other.chars().take(16).collect())),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(NotFetched::Malformed)?;
        let (host, port) = split_port(authority).ok_or(NotFetched::Malformed)?;
        let port = match (port, scheme) {
            (Some(port), _) => port.parse().ok().filter(|port| *port != 0),
            (None, Scheme::Http) => Some(80),
            (None, Scheme::Https) => Some(443),
        };
        Ok(Self {
            scheme,
            host: Host::read(host).ok_or(NotFetched::Malformed)?,
            port: port.ok_or(NotFetched::Malformed)?,
            path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
        })
    }

    /// What a response of this address calls another: whole, or a path of the same server.
    ///
    /// # Errors
    ///
    /// As [`WebAddress::read`].
    pub fn join(&self, location: &str) -> Result<Self, NotFetched> {
        if !location.starts_with('/') || location.starts_with("//") {
            return Self::read(location);
        }
        let server = Self { path: String::new(), ..self.clone() };
        Self::read(&format!("{server}{location}"))
    }

    /// What the request calls the server: with the port where it is not the usual one.
    #[must_use]
    pub fn authority(&self) -> String {
        match (self.scheme, self.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => self.host.to_string(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`. `None` for user names and the like.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.contains('@') {
        return None;
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest {
            "" | ":" => Some((host, None)),
            rest => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    Some(match authority.split_once(':') {
        None | Some((_, "")) => (authority.trim_end_matches(':'), None),
        Some((host, port)) => (host, Some(port)),
    })
}

impl Host {
    fn read(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Address(address));
        }
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
        let is_name = !text.is_empty() && text.len() <= 253 && text.chars().all(fits);
        // What ends in a number would be an address to some and a name to others.
        let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
        (is_name && !is_number).then(|| Self::Name(text.to_lowercase()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, NotFetched>) {
        let read = WebAddress::read(text).map(|address| address.to_string());
        assert_eq!(read, expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn an_address_is_read_or_refused() {
        check("http://crl.example.com/a.crl", Ok("http://crl.example.com/a.crl"));
        check("HTTP://CRL.Example.com", Ok("http://crl.example.com/"));
        check("http://a.example:80?x=1#part", Ok("http://a.example/?x=1"));
        check("https://a.example:8443/", Ok("https://a.example:8443/"));
        check("http://127.0.0.1:8080/x", Ok("http://127.0.0.1:8080/x"));
        check("http://[2001:DB8::1]:81/x", Ok("http://[2001:db8::1]:81/x"));
        check("http://[::1]", Ok("http://[::1]/"));
        let scheme = |name: &str| Err(NotFetched::Scheme(name.to_owned()));
        check("ldap://a.example/cn=x", scheme("ldap"));
        check("file:///etc/passwd", scheme("file"));
        for wrong in [
            "",
            "a.example/x",
            "http://",
            "http:///x",
            "http://user@a.example/",
            "http://a.example:0/",
            "http://a.example:70000/",
            "http://a.example/\r\nHost: b",
            "http://a b/",
            "http://[::1/x",
            "http://2130706433/",
            "http://127.1/",
        ] {
            check(wrong, Err(NotFetched::Malformed));
        }
        check(&format!("http://a.example/{}", "x".repeat(2_048)), Err(NotFetched::Malformed));
    }

    #[test]
    fn a_response_names_another_address_whole_or_by_its_path() {
        let address = WebAddress::read("http://a.example:81/x/y").unwrap();
        let join = |to: &str| address.join(to).map(|address| address.to_string());
        assert_eq!(join("/z").as_deref(), Ok("http://a.example:81/z"));
        assert_eq!(join("https://b.example/").as_deref(), Ok("https://b.example/"));
        assert_eq!(join("//b.example/"), Err(NotFetched::Malformed));
        assert_eq!(join("z"), Err(NotFetched::Malformed));
    }
}
