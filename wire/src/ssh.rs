//! The beginning of SSH: identification, algorithm negotiation, and the first key
//! exchange up to the server's host key (RFC 4253; RFC 5656; RFC 8731).
//!
//! We never derive keys: all that is wanted of the exchange is the key blob that the
//! server signs with. So our public values are constants that every server accepts
//! (a point of the curve, a number of the group) rather than the outcome of a secret.

use crate::{Malformed, Problem, Reader};

/// Largest packet that an implementation must take (RFC 4253, section 6.1).
const MAX_PACKET: u32 = 35_000;

const MSG_DISCONNECT: u8 = 1;
const MSG_KEXINIT: u8 = 20;
const MSG_KEX_INIT: u8 = 30;
const MSG_KEX_REPLY: u8 = 31;

/// Key exchange methods that we can begin, the preferred first. The last two are for
/// equipment that was never updated; what they protect here is nothing.
const KEX: [&str; 7] = [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group1-sha1",
];

/// Host key algorithms, the preferred first. A certificate comes before its key, for it holds
/// the key.
const HOST_KEYS: [&str; 16] = [
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
    "ssh-rsa-cert-v01@openssh.com",
    "ssh-dss-cert-v01@openssh.com",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
    "ssh-dss",
];

const CIPHERS: [&str; 9] = [
    "chacha20-poly1305@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-cbc",
    "aes256-cbc",
    "3des-cbc",
];

const MACS: [&str; 6] = [
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-sha1",
    "hmac-md5",
];

/// The identification line (RFC 4253, section 4.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identification {
    /// Protocol version, such as `2.0` or `1.99`.
    pub protocol: String,
    /// Software and its version: `OpenSSH_9.2p1`.
    pub software: String,
    /// What follows the first blank: `Debian-2+deb12u7`.
    pub comment: String,
}

/// Takes the identification line. Lines before it are allowed and passed over.
pub fn identification(r: &mut Reader<'_>) -> Result<Identification, Malformed> {
    loop {
        let line = r.until("identification", b"\n")?;
        let Some(rest) = line.strip_prefix(b"SSH-") else {
            continue;
        };
        let line = crate::lines::text(rest);
        let Some((protocol, rest)) = line.split_once('-') else {
            return Err(r.malformed("identification", Problem::Invalid(0)));
        };
        let (software, comment) = rest.split_once(' ').unwrap_or((rest, ""));
        return Ok(Identification {
            protocol: protocol.to_owned(),
            software: software.to_owned(),
            comment: comment.trim().to_owned(),
        });
    }
}

/// What a server offers, in its order (RFC 4253, section 7.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KexInit {
    /// Key exchange methods.
    pub kex: Vec<String>,
    /// Host key algorithms.
    pub host_keys: Vec<String>,
    /// Ciphers from server to client.
    pub ciphers: Vec<String>,
    /// Message authentication from server to client.
    pub macs: Vec<String>,
    /// Compression from server to client.
    pub compression: Vec<String>,
}

impl KexInit {
    /// The key exchange that both sides will come to: the first of ours that it knows.
    #[must_use]
    pub fn chosen_kex(&self) -> Option<&'static str> {
        KEX.into_iter().find(|ours| self.kex.iter().any(|theirs| theirs == ours))
    }

    /// The first algorithm, in our order, that it has and that brings a kind of key which is not
    /// among `known`, by the names that [`kind_of_key`] gives.
    #[must_use]
    pub fn host_key_beside(&self, known: &[&str]) -> Option<&'static str> {
        HOST_KEYS.into_iter().find(|ours| {
            self.host_keys.iter().any(|theirs| theirs == ours)
                && !known.contains(&kind_of_key(ours))
        })
    }
}

/// A message of the server's that matters here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// Its offer.
    KexInit(KexInit),
    /// Its host key blob (RFC 4253, section 6.6), from the reply of the key exchange.
    HostKey(Vec<u8>),
    /// It ends the connection, with this reason code.
    Disconnect(u32),
    /// Anything else, by its number.
    Other(u8),
}

/// Takes the next unencrypted binary packet (RFC 4253, section 6) and reads it.
pub fn message(r: &mut Reader<'_>) -> Result<Message, Malformed> {
    let length = r.u32("packet_length")?;
    if !(2..=MAX_PACKET).contains(&length) {
        return Err(r.invalid("packet_length", length));
    }
    let mut packet = r.nested("packet", usize::try_from(length).unwrap_or(usize::MAX))?;
    let padding = usize::from(packet.u8("padding_length")?);
    let Some(payload) = packet.rest().len().checked_sub(padding) else {
        return Err(packet.invalid("padding_length", u32::try_from(padding).unwrap_or(u32::MAX)));
    };
    let mut payload = packet.nested("payload", payload)?;
    // A packet is whole from here on: what is missing inside of it will not come.
    read_payload(&mut payload).map_err(|error| Malformed { problem: whole(error.problem), ..error })
}

const fn whole(problem: Problem) -> Problem {
    match problem {
        Problem::Truncated => Problem::Invalid(0),
        invalid @ Problem::Invalid(_) => invalid,
    }
}

fn read_payload(r: &mut Reader<'_>) -> Result<Message, Malformed> {
    Ok(match r.u8("message number")? {
        MSG_KEXINIT => {
            r.take("cookie", 16)?;
            let kex = names(r, "kex_algorithms")?;
            let host_keys = names(r, "server_host_key_algorithms")?;
            names(r, "encryption_algorithms_client_to_server")?;
            let ciphers = names(r, "encryption_algorithms_server_to_client")?;
            names(r, "mac_algorithms_client_to_server")?;
            let macs = names(r, "mac_algorithms_server_to_client")?;
            names(r, "compression_algorithms_client_to_server")?;
            let compression = names(r, "compression_algorithms_server_to_client")?;
            Message::KexInit(KexInit { kex, host_keys, ciphers, macs, compression })
        }
        // ECDH and plain Diffie-Hellman replies agree in number and in their first field.
        MSG_KEX_REPLY => Message::HostKey(string(r, "K_S")?.to_vec()),
        MSG_DISCONNECT => Message::Disconnect(r.u32("reason code")?),
        other => Message::Other(other),
    })
}

/// The host key blob that a server sends behind its offer, in the key exchange of that name,
/// and whether its clear words are over. None is found where the exchange shows none.
#[must_use]
pub fn host_key<'a>(stream: &'a [u8], method: &str) -> (Option<&'a [u8]>, bool) {
    const NEW_KEYS: u8 = 21;
    const GROUP_REPLY: u8 = 33;
    // RFC 4419 gives the number of the plain reply to a message of its own.
    let wanted = if method.contains("group-exchange") { GROUP_REPLY } else { MSG_KEX_REPLY };
    let mut r = Reader::new(stream);
    while let Ok(length) = r.u32("packet_length") {
        let Ok(len) = usize::try_from(length) else { return (None, true) };
        if !(2..=MAX_PACKET).contains(&length) {
            return (None, true);
        }
        let Ok(mut packet) = r.nested("packet", len) else { return (None, false) };
        let number = packet.u8("padding_length").and_then(|_| packet.u8("message number"));
        match number {
            Ok(number) if number == wanted => return (string(&mut packet, "K_S").ok(), true),
            Ok(NEW_KEYS | MSG_DISCONNECT) | Err(_) => return (None, true),
            Ok(_) => {}
        }
    }
    (None, false)
}

/// The name of a key blob's algorithm: its first field.
pub fn key_algorithm(blob: &[u8]) -> Result<String, Malformed> {
    let mut r = Reader::new(blob);
    let name = string(&mut r, "algorithm")?;
    if name.is_empty() || name.len() > 64 || !name.iter().all(u8::is_ascii_graphic) {
        return Err(r.malformed("algorithm", Problem::Invalid(0)));
    }
    Ok(crate::lines::text(name))
}

fn string<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8], Malformed> {
    let len = r.u32(field)?;
    r.take(field, usize::try_from(len).unwrap_or(usize::MAX))
}

fn names(r: &mut Reader<'_>, field: &'static str) -> Result<Vec<String>, Malformed> {
    let list = string(r, field)?;
    Ok(list
        .split(|byte| *byte == b',')
        .filter(|name| !name.is_empty())
        .map(crate::lines::text)
        .collect())
}

/// What the name of a certificate's algorithm ends with (PROTOCOL.certkeys of OpenSSH).
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// Whether keys of that algorithm are certificates.
#[must_use]
pub fn is_certificate(algorithm: &str) -> bool {
    algorithm.ends_with(CERTIFICATE)
}

/// The algorithm that stands in a plain key's blob: RSA keys have one name, however they sign
/// (RFC 8332, section 3).
#[must_use]
pub fn kind_of_key(algorithm: &str) -> &str {
    match algorithm.strip_suffix(CERTIFICATE).unwrap_or(algorithm) {
        "rsa-sha2-256" | "rsa-sha2-512" => "ssh-rsa",
        plain => plain,
    }
}

/// The most principals of a certificate that are kept. OpenSSH takes 256.
const MAX_PRINCIPALS: usize = 64;

/// The most bytes of a text in a certificate that are kept.
const MAX_TEXT: usize = 256;

/// A host's certificate (PROTOCOL.certkeys of OpenSSH). Its signature is not looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// The blob that the host's key has without the certificate.
    pub key: Vec<u8>,
    /// The authority's number for it.
    pub serial: u64,
    /// What the authority calls it, for its logs.
    pub key_id: String,
    /// The host names for which it is valid, at most 64; none stands for all.
    pub principals: Vec<String>,
    /// The first second of its validity since 1970.
    pub valid_after: u64,
    /// The first second after its validity; `u64::MAX` stands for no end.
    pub valid_before: u64,
    /// The blob of the authority's key.
    pub authority: Vec<u8>,
}

/// Reads a host certificate's blob.
///
/// # Errors
///
/// Where it is cut, of another kind of key than the known ones, or a user's.
pub fn certificate(blob: &[u8]) -> Result<Certificate, Malformed> {
    let mut r = Reader::new(blob);
    read_certificate(&mut r).map_err(|error| Malformed { problem: whole(error.problem), ..error })
}

fn read_certificate(r: &mut Reader<'_>) -> Result<Certificate, Malformed> {
    let algorithm = string(r, "algorithm")?;
    let plain = std::str::from_utf8(algorithm).ok().and_then(|name| name.strip_suffix(CERTIFICATE));
    let fields = match plain {
        Some("ssh-ed25519") => 1,
        Some("ssh-rsa" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521") => {
            2
        }
        Some("ssh-dss") => 4,
        _ => return Err(r.malformed("algorithm", Problem::Invalid(0))),
    };
    string(r, "nonce")?;
    let mut key = Vec::new();
    put_string(&mut key, plain.unwrap_or_default().as_bytes());
    for _ in 0..fields {
        put_string(&mut key, string(r, "public key")?);
    }
    let serial = r.u64("serial")?;
    match r.u32("type")? {
        2 => {}
        other => return Err(r.invalid("type", other)),
    }
    let key_id = text(string(r, "key id")?);
    let mut names = Reader::new(string(r, "valid principals")?);
    let mut principals = Vec::new();
    while !names.rest().is_empty() {
        let name = text(string(&mut names, "principal")?);
        if principals.len() < MAX_PRINCIPALS {
            principals.push(name);
        }
    }
    let valid_after = r.u64("valid after")?;
    let valid_before = r.u64("valid before")?;
    string(r, "critical options")?;
    string(r, "extensions")?;
    string(r, "reserved")?;
    let authority = string(r, "signature key")?.to_vec();
    string(r, "signature")?;
    Ok(Certificate { key, serial, key_id, principals, valid_after, valid_before, authority })
}

fn text(bytes: &[u8]) -> String {
    crate::lines::text(bytes.get(..MAX_TEXT).unwrap_or(bytes))
}

/// Our identification line and offer.
#[must_use]
pub fn hello(cookie: u32) -> Vec<u8> {
    hello_for(cookie, &HOST_KEYS)
}

/// The same for a host key of one of these algorithms.
#[must_use]
pub fn hello_for(cookie: u32, host_keys: &[&str]) -> Vec<u8> {
    let mut payload = vec![MSG_KEXINIT];
    for turn in 0..4_u32 {
        payload.extend(cookie.rotate_left(turn.wrapping_mul(8)).to_be_bytes());
    }
    for list in
        [&KEX[..], host_keys, &CIPHERS, &CIPHERS, &MACS, &MACS, &["none"], &["none"], &[], &[]]
    {
        put_string(&mut payload, list.join(",").as_bytes());
    }
    // first_kex_packet_follows, reserved.
    payload.extend([0; 5]);
    let mut said = b"SSH-2.0-Daicho\r\n".to_vec();
    said.extend(packet(&payload));
    said
}

/// The first message of that key exchange, or `None` for one we do not know.
#[must_use]
pub fn key_exchange(method: &str) -> Option<Vec<u8>> {
    let mut payload = vec![MSG_KEX_INIT];
    match method {
        "curve25519-sha256" | "curve25519-sha256@libssh.org" => {
            // The base point, RFC 7748, section 4.1.
            let mut point = [0; 32];
            point[0] = 9;
            put_string(&mut payload, &point);
        }
        "ecdh-sha2-nistp256" => put_string(&mut payload, &P256_BASE_POINT),
        method if method.starts_with("diffie-hellman-group") => {
            // An mpint well below the smallest of the primes (1,024 bits), and with
            // enough bits set that no server takes it for a weak one.
            put_string(&mut payload, &[0x5a; 120]);
        }
        _ => return None,
    }
    Some(packet(&payload))
}

/// The generator of P-256, uncompressed (SEC 2, section 2.4.2).
const P256_BASE_POINT: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
    0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2,
    0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
    0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51,
    0xf5,
];

/// Says that we leave of our own accord (RFC 4253, section 11.1: 11, by application), so
/// that the server's log does not hold a broken connection.
#[must_use]
pub fn disconnect() -> Vec<u8> {
    let mut payload = vec![MSG_DISCONNECT, 0, 0, 0, 11];
    put_string(&mut payload, b"bye");
    put_string(&mut payload, b"");
    packet(&payload)
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(bytes);
}

/// A payload as an unencrypted packet: at least four bytes of padding, to a multiple of eight.
fn packet(payload: &[u8]) -> Vec<u8> {
    let unpadded = payload.len().saturating_add(5);
    let mut padding = 8_usize.saturating_sub(unpadded % 8);
    if padding < 4 {
        padding = padding.saturating_add(8);
    }
    let length = payload.len().saturating_add(padding).saturating_add(1);
    let mut out = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    out.push(u8::try_from(padding).unwrap_or(u8::MAX));
    out.extend(payload);
    out.resize(out.len().saturating_add(padding), 0);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(line: &[u8], expected: Result<(&str, &str, &str), Problem>) {
        let got = identification(&mut Reader::new(line)).map_err(|e| e.problem);
        let expected = expected.map(|(protocol, software, comment)| Identification {
            protocol: protocol.into(),
            software: software.into(),
            comment: comment.into(),
        });
        assert_eq!(got, expected);
    }

    #[test]
    fn identification_lines() {
        let debian = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7\r\n";
        check(debian, Ok(("2.0", "OpenSSH_9.2p1", "Debian-2+deb12u7")));
        check(b"Keep out!\r\nSSH-1.99-Cisco-1.25\n", Ok(("1.99", "Cisco-1.25", "")));
        check(b"SSH-2.0-\r\n", Ok(("2.0", "", "")));
        check(b"SSH-nothing\r\n", Err(Problem::Invalid(0)));
        for len in 0..debian.len() {
            check(&debian[..len], Err(Problem::Truncated));
        }
    }

    #[test]
    fn our_own_offer_reads_back_at_no_cut_but_the_last() {
        let hello = hello(0x0102_0304);
        let mut r = Reader::new(&hello);
        assert_eq!(identification(&mut r).unwrap().software, "Daicho");
        let bytes = r.rest();
        assert_eq!(bytes.len() % 8, 0);
        let Ok(Message::KexInit(offer)) = message(&mut Reader::new(bytes)) else {
            panic!("not an offer");
        };
        assert_eq!(offer.host_keys.len(), HOST_KEYS.len());
        assert_eq!(offer.chosen_kex(), Some("curve25519-sha256"));
        for len in 0..bytes.len() {
            let error = message(&mut Reader::new(&bytes[..len])).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "{len}");
        }
    }

    #[test]
    fn a_reply_gives_its_key() {
        let mut blob = Vec::new();
        put_string(&mut blob, b"ssh-ed25519");
        put_string(&mut blob, &[7; 32]);
        let mut payload = vec![MSG_KEX_REPLY];
        put_string(&mut payload, &blob);
        put_string(&mut payload, &[9; 32]);
        put_string(&mut payload, &[1; 83]);
        let bytes = packet(&payload);
        assert_eq!(message(&mut Reader::new(&bytes)), Ok(Message::HostKey(blob.clone())));
        assert_eq!(key_algorithm(&blob).unwrap(), "ssh-ed25519");
        for len in 0..bytes.len() {
            assert!(message(&mut Reader::new(&bytes[..len])).is_err());
        }
    }

    /// A host certificate for a key on Ed25519.
    fn signed(kind: u32, principals: &[&str]) -> Vec<u8> {
        let mut blob = Vec::new();
        put_string(&mut blob, b"ssh-ed25519-cert-v01@openssh.com");
        put_string(&mut blob, &[3; 32]);
        put_string(&mut blob, &[7; 32]);
        blob.extend(9_u64.to_be_bytes());
        blob.extend(kind.to_be_bytes());
        put_string(&mut blob, b"pc-7");
        let mut names = Vec::new();
        principals.iter().for_each(|name| put_string(&mut names, name.as_bytes()));
        put_string(&mut blob, &names);
        blob.extend(1_700_000_000_u64.to_be_bytes());
        blob.extend(u64::MAX.to_be_bytes());
        for rest in [&b""[..], b"", b"", b"authority", b"signature"] {
            put_string(&mut blob, rest);
        }
        blob
    }

    #[test]
    fn a_certificate_holds_its_key_and_is_nothing_when_cut() {
        let blob = signed(2, &["a.example", "b.example"]);
        let mut key = Vec::new();
        put_string(&mut key, b"ssh-ed25519");
        put_string(&mut key, &[7; 32]);
        let expected = Certificate {
            key,
            serial: 9,
            key_id: "pc-7".into(),
            principals: vec!["a.example".into(), "b.example".into()],
            valid_after: 1_700_000_000,
            valid_before: u64::MAX,
            authority: b"authority".to_vec(),
        };
        assert_eq!(certificate(&blob), Ok(expected));
        for len in 0..blob.len() {
            assert!(matches!(certificate(&blob[..len]).unwrap_err().problem, Problem::Invalid(_)));
        }
        assert!(certificate(&signed(1, &[])).is_err(), "a user's");
        let many = vec!["a"; 300];
        assert_eq!(certificate(&signed(2, &many)).unwrap().principals.len(), MAX_PRINCIPALS);
        let mut odd = blob;
        odd[4] = b'x';
        assert!(certificate(&odd).is_err());
    }

    #[test]
    fn each_kind_of_key_is_asked_for_once_by_its_certificate_where_it_has_one() {
        let theirs = [
            "rsa-sha2-512",
            "rsa-sha2-256",
            "ecdsa-sha2-nistp256",
            "ssh-ed25519",
            "ssh-ed25519-cert-v01@openssh.com",
            "x",
        ];
        let host_keys = theirs.map(str::to_owned).to_vec();
        let offer = KexInit { host_keys, ..KexInit::default() };
        let mut known = Vec::new();
        let mut asked = Vec::new();
        while let Some(algorithm) = offer.host_key_beside(&known) {
            asked.push(algorithm);
            known.push(kind_of_key(algorithm));
        }
        let expected = ["ssh-ed25519-cert-v01@openssh.com", "ecdsa-sha2-nistp256", "rsa-sha2-512"];
        assert_eq!(asked, expected);
        assert_eq!(known, ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]);
    }

    #[test]
    fn lengths_that_lie_are_refused_at_once() {
        let check = |bytes: &[u8]| message(&mut Reader::new(bytes)).unwrap_err();
        assert_eq!(check(&[0xff; 4]).problem, Problem::Invalid(u32::MAX));
        assert_eq!(check(&[0, 0, 0, 1, 0]).problem, Problem::Invalid(1));
        assert_eq!(check(&[0, 0, 0, 3, 9, 20, 0]).problem, Problem::Invalid(9));
        // A whole packet whose inside is cut is broken, not incomplete.
        assert_eq!(check(&[0, 0, 0, 3, 1, 31, 0]).problem, Problem::Invalid(0));
        assert!(key_algorithm(&[0, 0, 0, 9, b'x']).is_err());
        assert!(key_algorithm(&[0, 0, 0, 1, 7]).is_err());
    }

    #[test]
    fn every_exchange_we_offer_can_begin() {
        for method in KEX {
            assert!(key_exchange(method).is_some(), "{method}");
        }
        assert_eq!(key_exchange("sntrup761x25519-sha512"), None);
        assert_eq!(disconnect().len() % 8, 0);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = message(&mut Reader::new(&bytes));
            let _ = identification(&mut Reader::new(&bytes));
            let _ = key_algorithm(&bytes);
            let _ = certificate(&bytes);
        }
    }
}
