//! Files that other files name: the certificates of nginx, Apache and kubeconfig.
//!
//! Read line by line, as far as a directive and its value stand on one line, which they do in
//! practice. What a variable stands for cannot be known here.

/// A path in a configuration file.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Mention {
    /// The directive, as it is written.
    pub directive: String,
    /// The path, as it is written: absolute, or relative to what the server's rules say.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
}

/// Directives of nginx and Apache, and keys of kubeconfig, whose value is the path of a
/// certificate, a bundle or a key.
const DIRECTIVES: &[&str] = &[
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_trusted_certificate",
    "ssl_client_certificate",
    "proxy_ssl_certificate",
    "proxy_ssl_certificate_key",
    "proxy_ssl_trusted_certificate",
    "grpc_ssl_certificate",
    "grpc_ssl_certificate_key",
    "uwsgi_ssl_certificate",
    "uwsgi_ssl_certificate_key",
    "sslcertificatefile",
    "sslcertificatekeyfile",
    "sslcertificatechainfile",
    "sslcacertificatefile",
    "sslproxymachinecertificatefile",
    "sslproxycacertificatefile",
    "certificate-authority:",
    "client-certificate:",
    "client-key:",
];

/// Mentions beyond this many in one file are not read.
const MAX_MENTIONS: usize = 10_000;

/// The paths that a configuration file names, in order. Empty for any other file.
#[must_use]
pub fn mentions(file: &[u8]) -> Vec<Mention> {
    let mut found = Vec::new();
    for (number, line) in file.split(|byte| *byte == b'\n').enumerate() {
        // Several directives of nginx may share a line.
        for part in line.split(|byte| matches!(byte, b';' | b'{' | b'}')) {
            if found.len() >= MAX_MENTIONS {
                return found;
            }
            found.extend(mention(part, number.saturating_add(1)));
        }
    }
    found
}

fn mention(part: &[u8], line: usize) -> Option<Mention> {
    let part = part.trim_ascii();
    let end = part.iter().position(u8::is_ascii_whitespace)?;
    let (directive, value) = part.split_at_checked(end)?;
    let known = DIRECTIVES.iter().any(|known| directive.eq_ignore_ascii_case(known.as_bytes()));
    let value = std::str::from_utf8(value).ok().filter(|_| known)?.trim();
    let path = match value.chars().next()? {
        quote @ ('"' | '\'') => value.strip_prefix(quote)?.split(quote).next()?,
        _ => value.split(" #").next()?.trim_end(),
    };
    let directive = String::from_utf8_lossy(directive).trim_end_matches(':').to_owned();
    Some(Mention { directive, path: path.to_owned(), line }).filter(|one| !one.path.is_empty())
}
