//! The hellos that we send (RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2).

use std::net::IpAddr;

use model::TlsVersion;

use super::{Kind, Question, TLS10, TLS12, message, question, record, share::Share, suite};

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

/// The record of the hello for everything up to a version, which is TLS 1.2 at most.
pub(crate) fn wide(version: TlsVersion, question: &Question, random: [u8; 32]) -> Vec<u8> {
    let rows = match question.kind {
        Kind::Weak => suite::WEAK,
        _ => suite::SUITES,
    };
    let suites = suites(rows, question).chain([suite::RENEGOTIATION_SCSV]);
    let extensions = before_tls_13(question);
    // DEFLATE first: who picks it gives its sessions away (CRIME, CVE-2012-4929).
    let hello = client_hello(version, random, &[0], suites, &[1, 0], Some(extensions));
    // RFC 5246, appendix E.1: old servers want an old version around the new one.
    record::write(record::HANDSHAKE, version.0.min(TLS10.0), &hello)
}

/// The hello for everything up to a version of DTLS, without anything around it. Stream ciphers
/// are not offered: it has none (RFC 6347, section 4.1.2.2).
pub(crate) fn datagram(
    version: TlsVersion,
    question: &Question,
    random: [u8; 32],
    cookie: &[u8],
) -> Vec<u8> {
    let suites = suites(suite::SUITES, question)
        .filter(|number| suite::suite_name(*number).is_none_or(|name| !name.contains("_RC4_")));
    let suites = suites.chain([suite::RENEGOTIATION_SCSV]);
    let mut session = vec![0];
    session.extend(u8::try_from(cookie.len()));
    session.extend(cookie);
    client_hello(version, random, &session, suites, &[0], Some(before_tls_13(question)))
}

/// The numbers of those suites that the question is about.
fn suites(rows: &[suite::Row], question: &Question) -> impl Iterator<Item = u16> {
    let rows = rows.iter().filter(|row| suite::suits(**row, question.signers));
    rows.map(|row| row.0).filter(|suite| !question.without.contains(suite))
}

fn before_tls_13(question: &Question) -> Vec<u8> {
    let mut extensions = for_all_versions(question);
    let groups = suite::groups().filter(|group| !question.without_groups.contains(group));
    extension(&mut extensions, message::SUPPORTED_GROUPS, &list16(groups));
    extension(&mut extensions, message::EC_POINT_FORMATS, &[1, 0]);
    let algorithms = list16(question::schemes_12(question.signers));
    extension(&mut extensions, message::SIGNATURE_ALGORITHMS, &algorithms);
    extension(&mut extensions, message::EXTENDED_MASTER_SECRET, &[]);
    extensions
}

/// What is asked for in every version that has extensions.
fn for_all_versions(question: &Question) -> Vec<u8> {
    let mut extensions = Vec::new();
    if let Some(name) = &question.server_name {
        extension(&mut extensions, message::SERVER_NAME, &server_name_list(name));
    }
    // RFC 6066, section 8: OCSP, of no responder and no extensions in particular.
    extension(&mut extensions, message::STATUS_REQUEST, &[1, 0, 0, 0, 0]);
    if !question.protocols.is_empty() {
        let mut names = Vec::new();
        for protocol in question.protocols {
            names.extend(u8::try_from(protocol.len()));
            names.extend(protocol.as_bytes());
        }
        let mut list = Vec::new();
        vector16(&mut list, &names);
        extension(&mut extensions, message::PROTOCOLS, &list);
    }
    extensions
}

/// The suites that old versions have: none that came with TLS 1.2, and few enough that the
/// hello stays under the 256 bytes at which some of these servers stop reading.
pub(crate) fn old_suites() -> impl Iterator<Item = u16> {
    let old = suite::SUITES.iter().filter(|row| {
        let name = row.1;
        (name.ends_with("_SHA") || name.ends_with("_MD5")) && !name.contains("_CCM")
    });
    old.map(|row| row.0)
}

/// The record of a hello for one old version, without extensions.
pub(crate) fn bare(version: TlsVersion, question: &Question, random: [u8; 32]) -> Vec<u8> {
    let suites = old_suites().filter(|suite| !question.without.contains(suite));
    let suites = suites.chain([suite::RENEGOTIATION_SCSV]);
    let hello = client_hello(version, random, &[0], suites, &[0], None);
    record::write(record::HANDSHAKE, version.0.min(TLS10.0), &hello)
}

/// The cipher kinds of SSL 2.0, strongest first (its draft of 1995, appendix C.4).
const SSL2_KINDS: [[u8; 3]; 7] = [
    [7, 0, 0xc0],
    [5, 0, 0x80],
    [3, 0, 0x80],
    [1, 0, 0x80],
    [6, 0, 0x40],
    [4, 0, 0x80],
    [2, 0, 0x80],
];

/// A suite of later versions among those of SSL 2.0.
fn of_ssl2(suite: u16) -> [u8; 3] {
    let [high, low] = suite.to_be_bytes();
    [0, high, low]
}

/// The hello of SSL 2.0, for a server of that version or of any up to TLS 1.0 (RFC 5246,
/// appendix E.2).
pub(crate) fn framed(random: [u8; 32]) -> Vec<u8> {
    let suites = old_suites().chain([suite::RENEGOTIATION_SCSV]);
    let mut kinds: Vec<u8> = suites.flat_map(of_ssl2).collect();
    kinds.extend(SSL2_KINDS.iter().flatten());
    let mut body = vec![1];
    body.extend(TLS10.0.to_be_bytes());
    for length in [kinds.len(), 0, random.len()] {
        body.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    }
    body.extend(kinds);
    body.extend(random);
    // Some 250 bytes, so the two-byte header without padding does.
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX) | 0x8000;
    [&length.to_be_bytes()[..], &body].concat()
}

/// What differs between the first and the second hello of TLS 1.3.
#[derive(Debug)]
pub(crate) struct Offer13<'a> {
    pub(crate) random: [u8; 32],
    /// At most 32 bytes.
    pub(crate) session_id: &'a [u8],
    pub(crate) question: &'a Question,
    pub(crate) groups: &'a [u16],
    pub(crate) shares: &'a [Share],
    /// The contents of the server's cookie extension.
    pub(crate) cookie: Option<&'a [u8]>,
    /// What QUIC wants to be told (RFC 9001, section 8.2).
    pub(crate) transport_parameters: Option<&'a [u8]>,
}

/// The hello of TLS 1.3, without a record around it.
pub(crate) fn modern(offer: &Offer13<'_>) -> Vec<u8> {
    let mut extensions = for_all_versions(offer.question);
    extension(&mut extensions, message::SUPPORTED_GROUPS, &list16(offer.groups.iter().copied()));
    let algorithms = list16(question::schemes(offer.question.signers));
    extension(&mut extensions, message::SIGNATURE_ALGORITHMS, &algorithms);
    extension(&mut extensions, message::SUPPORTED_VERSIONS, &[2, 3, 4]);
    if let Some(cookie) = offer.cookie {
        extension(&mut extensions, message::COOKIE, cookie);
    }
    if let Some(parameters) = offer.transport_parameters {
        extension(&mut extensions, message::TRANSPORT_PARAMETERS, parameters);
    }
    let mut shares = Vec::new();
    for share in offer.shares {
        shares.extend(share.group.to_be_bytes());
        vector16(&mut shares, &share.public);
    }
    let mut list = Vec::new();
    vector16(&mut list, &shares);
    extension(&mut extensions, message::KEY_SHARE, &list);
    let suites = suite::SUITES_13.iter().map(|row| row.0);
    let suites = suites.filter(|suite| !offer.question.without.contains(suite));
    let mut session = Vec::from_iter(u8::try_from(offer.session_id.len()));
    session.extend(offer.session_id);
    client_hello(TLS12, offer.random, &session, suites, &[0], Some(extensions))
}

/// `session` is the session id and, in DTLS, the cookie, each with its length.
fn client_hello(
    version: TlsVersion,
    random: [u8; 32],
    session: &[u8],
    suites: impl Iterator<Item = u16>,
    compressions: &[u8],
    extensions: Option<Vec<u8>>,
) -> Vec<u8> {
    let mut body = version.0.to_be_bytes().to_vec();
    body.extend(random);
    body.extend(session);
    body.extend(list16(suites));
    body.extend(u8::try_from(compressions.len()));
    body.extend(compressions);
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
        for server_name in [None, ServerName::new("a"), Some(long)] {
            for (kind, protocols) in [(Kind::Wide, question::PROTOCOLS), (Kind::Weak, &[])] {
                let server_name = server_name.clone();
                let question = Question { server_name, protocols, ..Question::of(kind) };
                let hello = wide(TLS12, &question, [7; 32]);
                assert!(!(256..512).contains(&(hello.len() - 5)), "{}", hello.len());
                assert!(hello.len() < 1200, "one packet: {}", hello.len());
            }
        }
        assert!(framed([7; 32]).len() < 256);
        for (version, outer) in [(0x0300, 0), (0x0301, 1), (0x0302, 1)] {
            let version = TlsVersion(version);
            let hello = bare(version, &Question::of(Kind::Bare(version)), [7; 32]);
            assert!(hello.len() - 5 < 256, "{}", hello.len());
            assert_eq!(hello[1..3], [3, outer]);
        }
    }
}
