//! The hellos of others, as a listener reads them: who was asked for, what was offered and
//! chosen, which chain was shown in the clear, and the fingerprints that go by them.
//!
//! JA3 and JA3S are as Salesforce published them (BSD licence), JA4 for clients as FoxIO did
//! (BSD licence); the other methods of that family are not free and are not here.

mod datagram;

use std::fmt::Write as _;

use md5::Digest as _;
use model::TlsVersion;
use ring::digest;
use wire::{Malformed, Reader};

pub use datagram::{Datagrams, Part};

use super::{
    message::{
        self, EC_POINT_FORMATS, PROTOCOLS, SERVER_NAME, SIGNATURE_ALGORITHMS, SUPPORTED_GROUPS,
        SUPPORTED_VERSIONS, extensions,
    },
    record::{ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE},
};

/// On what a hello travels, which a fingerprint begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carrier {
    /// TLS over TCP.
    Tcp,
    /// QUIC.
    Quic,
    /// DTLS.
    Datagram,
}

/// What a client offered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientHello {
    /// The version of the hello itself, which says little from TLS 1.3 on.
    pub version: TlsVersion,
    /// The server that it asks for (RFC 6066, section 3), lower case, where the name is one.
    pub server_name: Option<String>,
    /// Application protocols, best first (RFC 7301), as the bytes that they are.
    pub protocols: Vec<Vec<u8>>,
    suites: Vec<u16>,
    extensions: Vec<u16>,
    groups: Vec<u16>,
    point_formats: Vec<u8>,
    versions: Vec<u16>,
    signatures: Vec<u16>,
}

/// Keys for the media of a call, RFC 5764.
const USE_SRTP: u16 = 14;

/// Values that mean nothing and are sent to keep servers tolerant (RFC 8701).
const fn is_grease(value: u16) -> bool {
    let [a, b] = value.to_be_bytes();
    a == b && a & 0x0f == 0x0a
}

impl ClientHello {
    /// Reads the message behind its type and length.
    ///
    /// # Errors
    ///
    /// It ends too soon, or its lengths contradict each other.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(body);
        let version = TlsVersion(r.u16("client_version")?);
        r.take("random", 32)?;
        let len = r.u8("session_id length")?;
        r.take("session_id", len.into())?;
        // Only a hello of DTLS has a cookie here (RFC 6347, section 4.2.1).
        if version.0 >> 8 == 0xfe {
            let len = r.u8("cookie length")?;
            r.take("cookie", len.into())?;
        }
        let len = r.u16("cipher_suites length")?;
        let suites = numbers(r.take("cipher_suites", len.into())?);
        let len = r.u8("compression_methods length")?;
        r.take("compression_methods", len.into())?;
        let mut hello = Self {
            version,
            server_name: None,
            protocols: Vec::new(),
            suites,
            extensions: Vec::new(),
            groups: Vec::new(),
            point_formats: Vec::new(),
            versions: Vec::new(),
            signatures: Vec::new(),
        };
        if r.is_at_end() {
            return Ok(hello);
        }
        for (kind, data) in extensions(&mut r)? {
            hello.extensions.push(kind);
            let mut r = Reader::new(data);
            match kind {
                SERVER_NAME => hello.server_name = server_name(&mut r),
                SUPPORTED_GROUPS => hello.groups = numbers(data.get(2..).unwrap_or_default()),
                EC_POINT_FORMATS => {
                    hello.point_formats = data.get(1..).unwrap_or_default().to_vec();
                }
                SIGNATURE_ALGORITHMS => {
                    hello.signatures = numbers(data.get(2..).unwrap_or_default());
                }
                SUPPORTED_VERSIONS => hello.versions = numbers(data.get(1..).unwrap_or_default()),
                PROTOCOLS => hello.protocols = protocols(&mut r).unwrap_or_default(),
                _ => {}
            }
        }
        Ok(hello)
    }

    /// Whether it wants keys for a call: the two are ends of one, and neither serves.
    #[must_use]
    pub fn is_for_a_call(&self) -> bool {
        self.extensions.contains(&USE_SRTP)
    }

    /// JA3: MD5 over what was offered, in its order, as 32 hexadecimal digits.
    #[must_use]
    pub fn ja3(&self) -> String {
        let real = |all: &[u16]| {
            decimal(all.iter().filter(|value| !is_grease(**value)).map(|v| u32::from(*v)))
        };
        let formats = decimal(self.point_formats.iter().map(|format| u32::from(*format)));
        md5(&format!(
            "{},{},{},{},{formats}",
            self.version.0,
            real(&self.suites),
            real(&self.extensions),
            real(&self.groups),
        ))
    }

    /// JA4: what it is, and two digests over what was offered in numerical order, so that
    /// clients that shuffle look the same each time.
    #[must_use]
    pub fn ja4(&self, carrier: Carrier) -> String {
        let real = |all: &[u16]| -> Vec<u16> {
            all.iter().copied().filter(|value| !is_grease(*value)).collect()
        };
        let (mut suites, mut kinds) = (real(&self.suites), real(&self.extensions));
        let (suite_count, kind_count) = (suites.len().min(99), kinds.len().min(99));
        suites.sort_unstable();
        kinds.retain(|kind| !matches!(*kind, SERVER_NAME | PROTOCOLS));
        kinds.sort_unstable();
        let signatures = hexadecimal(&real(&self.signatures));
        let mut second = hexadecimal(&kinds);
        if !signatures.is_empty() {
            second.push('_');
            second.push_str(&signatures);
        }
        let newest = real(&self.versions).into_iter().max().unwrap_or(self.version.0);
        let carrier = match carrier {
            Carrier::Tcp => 't',
            Carrier::Quic => 'q',
            Carrier::Datagram => 'd',
        };
        let name = if self.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
        format!(
            "{carrier}{}{name}{suite_count:02}{kind_count:02}{}_{}_{}",
            version_digits(newest),
            self.first_protocol(),
            short(&hexadecimal(&suites)),
            if kinds.is_empty() { NOTHING.to_owned() } else { short(&second) },
        )
    }

    /// The first and the last character of the protocol offered first.
    fn first_protocol(&self) -> String {
        let first = self.protocols.first().map(Vec::as_slice).unwrap_or_default();
        let (Some(a), Some(b)) = (first.first(), first.last()) else { return "00".to_owned() };
        if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() {
            return [char::from(*a), char::from(*b)].iter().collect();
        }
        let digits: Vec<char> = first.iter().flat_map(|byte| hex(*byte)).collect();
        digits.first().into_iter().chain(digits.last()).collect()
    }
}

fn hex(byte: u8) -> [char; 2] {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    [digit(byte >> 4), digit(byte & 15)]
}

/// The digest of nothing, by JA4's rule.
const NOTHING: &str = "000000000000";

fn short(text: &str) -> String {
    if text.is_empty() {
        return NOTHING.to_owned();
    }
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(6).flat_map(|byte| hex(*byte)).collect()
}

fn md5(text: &str) -> String {
    md5::Md5::digest(text.as_bytes()).iter().flat_map(|byte| hex(*byte)).collect()
}

fn decimal(values: impl Iterator<Item = u32>) -> String {
    let mut text = String::new();
    for value in values {
        let dash = if text.is_empty() { "" } else { "-" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{dash}{value}");
    }
    text
}

fn hexadecimal(values: &[u16]) -> String {
    let all: Vec<String> = values.iter().map(|value| format!("{value:04x}")).collect();
    all.join(",")
}

const fn version_digits(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

fn numbers(list: &[u8]) -> Vec<u16> {
    let (pairs, _) = list.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
}

/// The first name of type host_name, if it is a name.
fn server_name(r: &mut Reader<'_>) -> Option<String> {
    let len = r.u16("ServerNameList length").ok()?;
    let mut list = r.nested("ServerNameList", len.into()).ok()?;
    while !list.is_at_end() {
        let kind = list.u8("NameType").ok()?;
        let len = list.u16("HostName length").ok()?;
        let name = list.take("HostName", len.into()).ok()?;
        if kind == 0 {
            return host_name(name);
        }
    }
    None
}

/// A name as RFC 1123 and the practice of underscores have it; addresses are none.
fn host_name(raw: &[u8]) -> Option<String> {
    let name = str::from_utf8(raw).ok()?.trim_end_matches('.').to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let fits = name.len() <= 253 && name.split('.').all(is_label);
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    (fits && !is_address).then_some(name)
}

fn protocols(r: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, Malformed> {
    /// More are a waste of everybody's time.
    const MOST: usize = 32;
    let len = r.u16("ProtocolNameList length")?;
    let mut list = r.nested("ProtocolNameList", len.into())?;
    let mut all = Vec::new();
    while !list.is_at_end() && all.len() < MOST {
        let len = list.u8("ProtocolName length")?;
        all.push(list.take("ProtocolName", len.into())?.to_vec());
    }
    Ok(all)
}

/// What a server chose.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerHello {
    /// The version that they speak from here on.
    pub version: TlsVersion,
    /// The cipher suite.
    pub suite: u16,
    /// The application protocol, up to TLS 1.2.
    pub protocol: Option<String>,
    /// Whether it only asks for another hello (RFC 8446, section 4.1.4).
    pub is_retry: bool,
    /// The version of the hello itself.
    legacy: u16,
    extensions: Vec<u16>,
}

impl ServerHello {
    /// Reads the message behind its type and length.
    ///
    /// # Errors
    ///
    /// It ends too soon, or its lengths contradict each other.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        let hello = message::ServerHello::read(body)?;
        let mut r = Reader::new(body);
        let legacy = r.u16("server_version")?;
        r.take("random", 32)?;
        let len = r.u8("session_id length")?;
        r.take("session_id", len.into())?;
        r.take("cipher_suite, compression_method", 3)?;
        let extensions = if r.is_at_end() { Vec::new() } else { extensions(&mut r)? };
        Ok(Self {
            version: hello.version,
            suite: hello.suite,
            is_retry: hello.is_retry(),
            protocol: hello.protocol,
            legacy,
            extensions: extensions.into_iter().map(|(kind, _)| kind).collect(),
        })
    }

    /// Whether it gives keys for a call.
    #[must_use]
    pub fn is_for_a_call(&self) -> bool {
        self.extensions.contains(&USE_SRTP)
    }

    /// JA3S: MD5 over what was chosen.
    #[must_use]
    pub fn ja3s(&self) -> String {
        let kinds = decimal(self.extensions.iter().map(|kind| u32::from(*kind)));
        md5(&format!("{},{},{kinds}", self.legacy, self.suite))
    }
}

/// What one side of a connection sent in the clear, as far as it has come.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Side {
    /// Its hello, where it is the client.
    pub client: Option<ClientHello>,
    /// Its hello, where it is the server.
    pub server: Option<ServerHello>,
    /// Its certificates, leaf first, in DER. Up to TLS 1.2 only.
    pub chain: Vec<Vec<u8>>,
    /// It asks its peer for a certificate.
    pub asks_certificate: bool,
    /// It refused with this alert.
    pub alert: Option<u8>,
    /// Nothing that matters will come any more in the clear.
    pub is_over: bool,
    /// It breaks the protocol.
    pub malformed: Option<Malformed>,
}

/// Reads the stream of one side from its first record on. What is missing at its end is no
/// fault; that something is in the stream twice never happens, and what comes after a change
/// of keys is not looked at.
#[must_use]
pub fn side(stream: &[u8]) -> Side {
    let mut found = Side::default();
    let mut handshake = Vec::new();
    if let Err(error) = records(stream, &mut handshake, &mut found) {
        found.malformed = Some(error);
        found.is_over = true;
    }
    let mut r = Reader::new(&handshake);
    while !r.is_at_end() {
        let mut ahead = r.clone();
        let (Ok(kind), Ok(len)) = (ahead.u8("msg_type"), ahead.u24("length")) else { break };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let Ok(body) = ahead.take("body", len) else {
            // What is encrypted looks like a message of any length.
            found.is_over |= len > super::MAX_BYTES;
            break;
        };
        r = ahead;
        if let Err(error) = found.take(kind, body) {
            found.malformed.get_or_insert(error);
            found.is_over = true;
            break;
        }
    }
    found
}

/// Joins the contents of the handshake records up to a change of keys.
fn records(stream: &[u8], handshake: &mut Vec<u8>, found: &mut Side) -> Result<(), Malformed> {
    let mut r = Reader::new(stream);
    while !r.is_at_end() {
        let mut ahead = r.clone();
        let Ok(kind) = ahead.u8("type") else { break };
        let Ok(major) = ahead.u8("version") else { break };
        if major != 3 || !(CHANGE_CIPHER_SPEC..=24).contains(&kind) {
            return Err(r.invalid("type", kind));
        }
        let (Ok(_), Ok(len)) = (ahead.u8("version"), ahead.u16("length")) else { break };
        let whole = ahead.rest().len() >= usize::from(len);
        match kind {
            HANDSHAKE => handshake.extend_from_slice(ahead.take_up_to(len.into())),
            ALERT if len == 2 && whole => {
                let body = ahead.take("alert", 2)?;
                // A warning ends nothing.
                if let [2, alert] = body {
                    found.alert = Some(*alert);
                    found.is_over = true;
                    break;
                }
            }
            _ => {
                found.is_over = true;
                break;
            }
        }
        if !whole {
            break;
        }
        r = ahead;
    }
    Ok(())
}

/// Whether what follows the server's hello comes encrypted. The numbers of DTLS count downwards.
const fn hides_certificates(version: TlsVersion) -> bool {
    match version.0 {
        0xfe00..=0xfefc => true,
        0xfefd.. => false,
        other => other >= super::TLS13.0,
    }
}

impl Side {
    fn take(&mut self, kind: u8, body: &[u8]) -> Result<(), Malformed> {
        const CLIENT_HELLO: u8 = 1;
        match kind {
            CLIENT_HELLO if self.client.is_none() => self.client = Some(ClientHello::read(body)?),
            message::SERVER_HELLO => {
                let hello = ServerHello::read(body)?;
                // The second one of TLS 1.3 says what was really chosen.
                if self.server.as_ref().is_none_or(|before| before.is_retry) {
                    self.is_over |= hides_certificates(hello.version) && !hello.is_retry;
                    self.server = Some(hello);
                }
            }
            message::CERTIFICATE if self.chain.is_empty() => {
                self.chain = message::certificate(body)?.kept;
            }
            message::CERTIFICATE_REQUEST => self.asks_certificate = true,
            message::SERVER_HELLO_DONE => self.is_over = true,
            _ => {}
        }
        Ok(())
    }
}

/// The hello of SSL 2.0's form (RFC 5246, appendix E.2): the version that it offers, if the
/// stream begins with one.
#[must_use]
pub fn old_client(stream: &[u8]) -> Option<TlsVersion> {
    match stream {
        [a, _, 1, major, minor, suites, suites_low, ..]
            if a & 0x80 != 0 && matches!((*major, *minor), (0, 2) | (3, 0..=3)) =>
        {
            let len = u16::from_be_bytes([*suites, *suites_low]);
            (len % 3 == 0 && len > 0).then(|| TlsVersion(u16::from_be_bytes([*major, *minor])))
        }
        _ => None,
    }
}

/// Where a client's first record of TLS begins in a stream, other words before it or none:
/// a handshake record with nothing but room for a whole ClientHello in it.
#[must_use]
pub fn find_client(stream: &[u8]) -> Option<usize> {
    find(stream, |start| match start {
        [22, 3, 0..=4, a, b, 1, 0, c, d, 3, 0..=4, ..] => {
            let (record, body) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
            // A hello of post-quantum shares may span two records.
            record >= 41 && body >= 37 && u32::from(record) <= u32::from(body).saturating_add(4)
        }
        _ => false,
    })
}

/// The first place from which on the stream is as asked for, a handshake record's first byte
/// there.
fn find(stream: &[u8], is_start: impl Fn(&[u8]) -> bool) -> Option<usize> {
    memchr::memchr_iter(22, stream).find(|at| stream.get(*at..).is_some_and(&is_start))
}

/// Where a server's first record begins: a ServerHello, or the alert that refuses.
#[must_use]
pub fn find_server(stream: &[u8]) -> Option<usize> {
    find(stream, |start| match start {
        [22, 3, 0..=3, a, b, 2, 0, _, _, 3, 0..=3, ..] => u16::from_be_bytes([*a, *b]) >= 42,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hello::{Collector, Kind, Question};

    fn hello(kind: Kind) -> Vec<u8> {
        let mut question = Question::of(kind);
        question.server_name = super::super::ServerName::new("Pc7.example.com");
        Collector::new(&question, [7; 64]).unwrap().hello().to_vec()
    }

    #[test]
    fn our_own_hellos_are_read() {
        for (kind, version) in [(Kind::Modern, "13"), (Kind::Wide, "12")] {
            let bytes = hello(kind);
            assert_eq!(find_client(&[b"STARTTLS\r\n", &bytes[..]].concat()), Some(10));
            let client = side(&bytes).client.unwrap();
            assert_eq!(client.server_name.as_deref(), Some("pc7.example.com"));
            assert_eq!(client.ja3().len(), 32);
            let ja4 = client.ja4(Carrier::Tcp);
            assert!(ja4.starts_with(&format!("t{version}d")) && ja4.len() == 36, "{ja4}");
            for len in 0..bytes.len() {
                let cut = side(&bytes[..len]);
                assert_eq!((cut.client, cut.malformed), (None, None), "cut at {len}");
            }
        }
    }

    /// A hello with what JA3's and JA4's own descriptions use as their example.
    fn example() -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([0; 32]);
        body.push(0);
        let suites: [u16; 16] = [
            0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
            0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
        ];
        body.extend([0, 32]);
        suites.iter().for_each(|suite| body.extend(suite.to_be_bytes()));
        body.extend([1, 0]);
        let mut all: Vec<u8> = Vec::new();
        let mut put = |kind: u16, data: &[u8]| {
            all.extend(kind.to_be_bytes());
            all.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            all.extend(data);
        };
        put(0x001b, &[]);
        put(0x0000, b"\0\x06\0\0\x03a.b");
        put(0x0033, &[]);
        put(0x0010, b"\0\x0c\x02h2\x08http/1.1");
        put(0x4469, &[]);
        put(0x0017, &[]);
        put(0x002d, &[]);
        put(0x000d, &[0, 16, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1]);
        put(0x0005, &[]);
        put(0x0023, &[]);
        put(0x0012, &[]);
        put(0x002b, &[6, 0x1a, 0x1a, 3, 4, 3, 3]);
        put(0xff01, &[]);
        put(0x000b, &[1, 0]);
        put(0x000a, &[0, 8, 0x2a, 0x2a, 0, 29, 0, 23, 0, 24]);
        put(0x0015, &[]);
        body.extend(u16::try_from(all.len()).unwrap().to_be_bytes());
        body.extend(all);
        body
    }

    #[test]
    fn ja4_is_that_of_its_description() {
        let client = ClientHello::read(&example()).unwrap();
        assert_eq!(client.ja4(Carrier::Tcp), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert!(client.ja4(Carrier::Quic).starts_with("q13d1516h2_"));
    }

    #[test]
    fn every_cut_of_a_hello_is_an_error() {
        let body = example();
        // Where the extensions begin a hello may end.
        let end = 2 + 32 + 1 + 2 + 32 + 2;
        for len in 0..body.len() {
            assert_eq!(ClientHello::read(&body[..len]).is_ok(), len == end, "cut at {len}");
        }
    }

    #[test]
    fn what_protects_nothing_is_still_a_server() {
        let mut body = vec![3, 1];
        body.extend([9; 32]);
        body.extend([0, 0, 0x2f, 0]);
        let mut message = vec![2, 0, 0, u8::try_from(body.len()).unwrap()];
        message.extend(&body);
        message.extend([11, 0, 0, 10, 0, 0, 7, 0, 0, 4, 0x30, 2, 5, 0, 14, 0, 0, 0]);
        let mut stream = vec![22, 3, 1, 0, u8::try_from(message.len()).unwrap()];
        stream.extend(&message);
        let server = side(&stream);
        assert_eq!(server.chain, [[0x30, 2, 5, 0]]);
        assert!(server.is_over);
        let hello = server.server.unwrap();
        assert_eq!((hello.version, hello.suite), (super::super::TLS10, 0x2f));
        // MD5 of `769,47,`.
        assert_eq!(hello.ja3s(), "18e962e106761869a61045bed0e81c2c");
    }
}
