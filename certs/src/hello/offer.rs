//! The hellos that we send (RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2).

use std::net::IpAddr;

use model::TlsVersion;

use super::{TLS10, TLS12, message, record, suite};

/// A name to ask for (RFC 6066, section 3): a DNS name of at most 253 characters, lower case,
/// without a trailing dot. Never an address, which the extension does not allow.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerName(String);

impl ServerName {
    /// The server name that `text` is, or `None` if it is none. Underscores are let through:
    /// they are no host name's, but servers have them.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let is_name = text.len() <= 253
            && text.split('.').all(is_label)
            && text.parse::<IpAddr>().is_err()
            // `1.2.3` and the like are addresses to some.
            && !text.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
        is_name.then_some(Self(text))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The client's random and its session id.
pub(crate) fn split(entropy: [u8; 64]) -> ([u8; 32], [u8; 32]) {
    let (first, second) = entropy.split_at(32);
    let of = |half: &[u8]| <[u8; 32]>::try_from(half).unwrap_or_default();
    (of(first), of(second))
}

/// The record of the hello for everything up to TLS 1.2.
pub(crate) fn wide(random: [u8; 32], server_name: Option<&ServerName>) -> Vec<u8> {
    let suites = suite::SUITES.iter().map(|row| row.0).chain([suite::RENEGOTIATION_SCSV]);
    let mut extensions = Vec::new();
    if let Some(name) = server_name {
        extension(&mut extensions, message::SERVER_NAME, &server_name_list(name));
    }
    extension(&mut extensions, message::SUPPORTED_GROUPS, &list16(suite::groups()));
    extension(&mut extensions, message::EC_POINT_FORMATS, &[1, 0]);
    let algorithms = list16(SIGNATURES.iter().copied().chain(SIGNATURES_12.iter().copied()));
    extension(&mut extensions, message::SIGNATURE_ALGORITHMS, &algorithms);
    let hello = client_hello(TLS12, random, &[], suites, Some(extensions));
    // RFC 5246, appendix E.1: old servers want an old version around the new one.
    record::write(record::HANDSHAKE, TLS10.0, &hello)
}

/// The record of a hello for one old version, without extensions.
pub(crate) fn bare(version: TlsVersion, random: [u8; 32]) -> Vec<u8> {
    // Without the suites that came with TLS 1.2, and few enough that the hello stays under the
    // 256 bytes at which some of these servers stop reading.
    let old = suite::SUITES.iter().filter(|row| {
        let name = row.1;
        (name.ends_with("_SHA") || name.ends_with("_MD5")) && !name.contains("_CCM")
    });
    let suites = old.map(|row| row.0).chain([suite::RENEGOTIATION_SCSV]);
    let hello = client_hello(version, random, &[], suites, None);
    record::write(record::HANDSHAKE, version.0.min(TLS10.0), &hello)
}

/// What differs between the first and the second hello of TLS 1.3.
#[derive(Debug)]
pub(crate) struct Offer13<'a> {
    pub(crate) random: [u8; 32],
    pub(crate) session_id: [u8; 32],
    pub(crate) server_name: Option<&'a ServerName>,
    pub(crate) groups: &'a [u16],
    /// Group and public key.
    pub(crate) shares: &'a [(u16, Vec<u8>)],
    /// The contents of the server's cookie extension.
    pub(crate) cookie: Option<&'a [u8]>,
}

/// The hello of TLS 1.3, without a record around it.
pub(crate) fn modern(offer: &Offer13<'_>) -> Vec<u8> {
    let mut extensions = Vec::new();
    if let Some(name) = offer.server_name {
        extension(&mut extensions, message::SERVER_NAME, &server_name_list(name));
    }
    extension(&mut extensions, message::SUPPORTED_GROUPS, &list16(offer.groups.iter().copied()));
    extension(&mut extensions, message::SIGNATURE_ALGORITHMS, &list16(SIGNATURES.iter().copied()));
    extension(&mut extensions, message::SUPPORTED_VERSIONS, &[2, 3, 4]);
    if let Some(cookie) = offer.cookie {
        extension(&mut extensions, message::COOKIE, cookie);
    }
    let mut shares = Vec::new();
    for (group, share) in offer.shares {
        shares.extend(group.to_be_bytes());
        vector16(&mut shares, share);
    }
    let mut list = Vec::new();
    vector16(&mut list, &shares);
    extension(&mut extensions, message::KEY_SHARE, &list);
    let suites = suite::SUITES_13.iter().map(|row| row.0);
    client_hello(TLS12, offer.random, &offer.session_id, suites, Some(extensions))
}

/// Signature schemes for all versions. SHA-1 is among them, since the chain is wanted even
/// where it is signed with it; ML-DSA stands last, so that a server with several certificates
/// presents what it presents to today's clients.
#[rustfmt::skip]
const SIGNATURES: &[u16] = &[
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808,                  // ECDSA with SHA-2, Ed25519, Ed448
    0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b,          // RSA-PSS
    0x0401, 0x0501, 0x0601, 0x0203, 0x0201,                  // PKCS #1, SHA-1
    0x081a, 0x081b, 0x081c, 0x0708,                          // brainpool, SM2
    0x0904, 0x0905, 0x0906,                                  // ML-DSA
];

/// And those that ended with TLS 1.2: SHA-224, DSA, MD5.
const SIGNATURES_12: &[u16] = &[0x0303, 0x0301, 0x0602, 0x0502, 0x0402, 0x0302, 0x0202, 0x0101];

fn client_hello(
    version: TlsVersion,
    random: [u8; 32],
    session_id: &[u8],
    suites: impl Iterator<Item = u16>,
    extensions: Option<Vec<u8>>,
) -> Vec<u8> {
    let mut body = version.0.to_be_bytes().to_vec();
    body.extend(random);
    body.extend(u8::try_from(session_id.len()));
    body.extend(session_id);
    body.extend(list16(suites));
    // One compression method, and that is none.
    body.extend([1, 0]);
    if let Some(mut extensions) = extensions {
        pad(&mut extensions, body.len());
        vector16(&mut body, &extensions);
    }
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut hello = vec![1];
    hello.extend(length.iter().skip(1));
    hello.extend(body);
    hello
}

/// RFC 7685: a terminator that is still out there hangs on hellos of 256 to 511 bytes.
fn pad(extensions: &mut Vec<u8>, before: usize) {
    // The message's type and length, the extensions' length, the padding's own type and length.
    let length = before.saturating_add(extensions.len()).saturating_add(6);
    if (256..512).contains(&length) {
        let missing = 512usize.saturating_sub(length).saturating_sub(4).max(1);
        extension(extensions, message::PADDING, &vec![0; missing]);
    }
}

fn extension(out: &mut Vec<u8>, kind: u16, data: &[u8]) {
    out.extend(kind.to_be_bytes());
    vector16(out, data);
}

fn server_name_list(name: &ServerName) -> Vec<u8> {
    let mut entry = vec![0];
    vector16(&mut entry, name.as_str().as_bytes());
    let mut list = Vec::new();
    vector16(&mut list, &entry);
    list
}

/// Two-byte numbers with their length in bytes before them.
fn list16(numbers: impl Iterator<Item = u16>) -> Vec<u8> {
    let body: Vec<u8> = numbers.flat_map(u16::to_be_bytes).collect();
    let mut out = Vec::new();
    vector16(&mut out, &body);
    out
}

fn vector16(out: &mut Vec<u8>, body: &[u8]) {
    // Nothing that we send comes near the limit; a cookie, which the server chose, is bounded
    // by the extension that it came in.
    let body = body.get(..usize::from(u16::MAX)).unwrap_or(body);
    out.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(ServerName::new(text).as_ref().map(ServerName::as_str), expected);
    }

    #[test]
    fn only_host_names_are_asked_for() {
        check("WWW.Example.", Some("www.example"));
        check("pc_7", Some("pc_7"));
        check("xn--eckwd4c7c.example", Some("xn--eckwd4c7c.example"));
        check("192.0.2.1", None);
        check("2001:db8::1", None);
        check("10.0.0", None);
        check("", None);
        check("a..b", None);
        check("*.example", None);
        check("a\0b", None);
        check(&"a".repeat(64), None);
        check(&["a"; 128].join("."), None);
    }

    #[test]
    fn the_hellos_have_lengths_that_no_known_server_chokes_on() {
        let long = ServerName::new(&["abcdefgh"; 20].join(".")).unwrap();
        for name in [None, ServerName::new("a"), Some(long)] {
            let hello = wide([7; 32], name.as_ref());
            assert!(!(256..512).contains(&(hello.len() - 5)), "{}", hello.len());
            assert!(hello.len() < 1024, "one packet");
        }
        for (version, outer) in [(0x0300, 0), (0x0301, 1), (0x0302, 1)] {
            let hello = bare(TlsVersion(version), [7; 32]);
            assert!(hello.len() - 5 < 256, "{}", hello.len());
            assert_eq!(hello[1..3], [3, outer]);
        }
    }
}
