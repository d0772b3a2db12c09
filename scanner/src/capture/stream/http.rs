//! HTTP, and RTSP and SIP, which took its form over: what the server says it is, what family
//! the client is of, and whether secrets go in the clear. Paths, queries, cookies and
//! authorizations are looked at for nothing else and never kept.

use model::{Fact, FingerprintKind, NameSource, Service, Use, Volume};
use wire::lines;

use super::{Conversation, Told, Verdict, agent, cloud};
use crate::probe::{self, http as web, product};

/// Methods of the three protocols, WebDAV's and UPnP's among them.
const METHODS: &[&str] = &[
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "PROPFIND",
    "REPORT",
    "MKCOL",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "NOTIFY",
    "DESCRIBE",
    "SETUP",
    "PLAY",
    "TEARDOWN",
    "ANNOUNCE",
    "REGISTER",
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "MESSAGE",
    "M-SEARCH",
    "SOURCE",
    "RPC_IN_DATA",
    "RPC_OUT_DATA",
];

/// How much of a head is read.
const MOST_HEAD: usize = 8 << 10;

/// A request or a response without its body.
struct Head<'a> {
    first: &'a [u8],
    fields: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Head<'a> {
    /// The head at the beginning of the stream; `None` while it is not whole.
    fn read(stream: &'a [u8]) -> Option<Self> {
        let stream = stream.get(..MOST_HEAD).unwrap_or(stream);
        let mut all = Vec::new();
        let mut ended = false;
        for line in lines::lines(stream) {
            if line.is_empty() {
                ended = true;
                break;
            }
            all.push(line);
        }
        let mut all = all.into_iter();
        let first = all.next().filter(|_| ended)?;
        let field = |line: &'a [u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
        };
        Some(Self { first, fields: all.filter_map(field).collect() })
    }

    fn field(&self, name: &str) -> Option<&'a [u8]> {
        let known = |(n, _): &&(&[u8], &[u8])| n.eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().find(known).map(|(_, value)| *value)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.field(name).map(lines::text).filter(|text| !text.is_empty())
    }
}

/// The protocol that a first line ends or begins with.
fn protocol(part: &[u8]) -> Option<&'static str> {
    match part {
        [b'H', b'T', b'T', b'P', b'/', ..] => Some("http"),
        [b'R', b'T', b'S', b'P', b'/', ..] => Some("rtsp"),
        [b'S', b'I', b'P', b'/', ..] => Some("sip"),
        [b'I', b'C', b'Y', b' ', ..] => Some("icecast"),
        _ => None,
    }
}

/// Whether the stream begins as a client's does.
pub(super) fn is_request(stream: &[u8]) -> bool {
    METHODS.iter().any(|method| {
        stream.strip_prefix(method.as_bytes()).is_some_and(|rest| rest.first() == Some(&b' '))
    })
}

/// Whether it begins as a server's.
pub(super) fn is_response(stream: &[u8]) -> bool {
    protocol(stream).is_some()
}

/// The heads of all requests that the stream holds, as far as their bodies can be passed over.
fn requests(mut stream: &[u8]) -> Vec<Head<'_>> {
    /// Later ones say what the first ones did.
    const MOST: usize = 16;
    let mut all = Vec::new();
    while is_request(stream) && all.len() < MOST {
        let Some(head) = Head::read(stream) else { break };
        let body: usize = head
            .field("content-length")
            .and_then(|value| str::from_utf8(value).ok()?.parse().ok())
            .unwrap_or(0);
        let Some(behind) = behind_head(stream) else { break };
        stream = behind.get(body..).unwrap_or_default();
        all.push(head);
    }
    all
}

/// What follows the empty line that ends a head.
fn behind_head(stream: &[u8]) -> Option<&[u8]> {
    let end = stream.windows(2).enumerate().position(|(at, two)| {
        two == b"\n\n" || (two == b"\n\r" && stream.get(at.saturating_add(2)) == Some(&b'\n'))
    })?;
    let skip = if stream.get(end.saturating_add(1)) == Some(&b'\n') { 2 } else { 3 };
    stream.get(end.saturating_add(skip)..)
}

/// The first answer that is one: who says to go on (RFC 9110, section 15.2) has not answered yet,
/// and names neither itself nor what it has.
fn answer(mut stream: &[u8]) -> Option<Head<'_>> {
    /// A request has one or two.
    const MOST: usize = 4;
    for _ in 0..MOST {
        protocol(stream)?;
        let head = Head::read(stream)?;
        match head.first.split(|byte| *byte == b' ').nth(1) {
            Some(b"100" | b"102" | b"103") => stream = behind_head(stream)?,
            _ => return Some(head),
        }
    }
    None
}

/// The server's name in the first request, where the server is the one that is named.
pub(super) fn host(talk: &Conversation<'_>) -> Option<String> {
    let all = requests(talk.said);
    let head = all.first().filter(|head| !is_to_proxy(head))?;
    let host = lines::text(head.field("host")?);
    let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
    product::host_name(name)
}

/// Whether the request is for a proxy, which passes on what another server says.
fn is_to_proxy(head: &Head<'_>) -> bool {
    let target = head.first.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    head.first.starts_with(b"CONNECT ") || target.starts_with(b"http://")
}

pub(super) fn read(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let all = requests(talk.said);
    let asks = is_request(talk.said);
    if !asks && !is_response(talk.heard) {
        return None;
    }
    let answer = answer(talk.heard);
    let basic = all
        .iter()
        .any(|head| head.field("authorization").is_some_and(|value| super::begins(value, "basic")));
    // A refusal may be followed by what it asks for.
    let refused = answer
        .as_ref()
        .is_some_and(|head| head.first.split(|byte| *byte == b' ').nth(1) == Some(b"401"));
    let whole = answer.is_some() && (!asks || !all.is_empty()) && (!refused || basic);
    if !whole && !talk.ended {
        return Some(Verdict::More);
    }
    let first = all.first();
    let name = first.and_then(|head| head.first.rsplit(|b| *b == b' ').next()).and_then(protocol);
    let name = name.or_else(|| protocol(talk.heard)).unwrap_or("http");
    // Printing (RFC 8010, section 4) is a protocol of its own inside of it.
    let prints = answer.as_ref().is_some_and(|head| {
        head.field("content-type").is_some_and(|value| value.starts_with(b"application/ipp"))
    });
    let name = if prints { "ipp" } else { name };
    let to_proxy = first.is_some_and(is_to_proxy);
    if let Some(value) = all.iter().find_map(|head| agent::family(&head.text("user-agent")?)) {
        let kind = FingerprintKind::UserAgent;
        talk.tell_client(Fact::Fingerprint { kind, value }, told);
    }
    if basic {
        talk.tell_cleartext("http_basic", told);
    }
    if let Some(named) = host(talk) {
        if let Some(domain) = cloud::domain_of(&named, talk.server.address) {
            let used = Use::Cloud { domain, volume: Volume::Small };
            talk.tell_client(Fact::Use(used), told);
        }
        if answer.is_some() {
            let source = NameSource::ServerName;
            talk.tell_server(Fact::HostName { name: named, source }, told);
        }
    }
    match answer {
        // What is passed on is another server's word.
        Some(_) if to_proxy => {
            let attributes = [("proxy".to_owned(), "yes".to_owned())].into();
            talk.tell_server(Fact::Service(Service { attributes, ..Service::of(name) }), told);
        }
        Some(head) => tell_server(talk, name, &head, told),
        None => {}
    }
    Some(Verdict::Known)
}

fn tell_server(talk: &Conversation<'_>, name: &str, head: &Head<'_>, told: &mut Vec<Told>) {
    let mut service = Service::of(name);
    let mut facts = Vec::new();
    let server =
        head.text("server").or_else(|| (name == "sip").then(|| head.text("user-agent")).flatten());
    if let Some(server) = &server {
        product::put(&mut service, web::software(server));
        facts.extend(web::system(server));
        service.attributes.insert("server".to_owned(), server.clone());
    }
    for (field, attribute) in
        [("x-powered-by", "powered_by"), ("x-aspnet-version", "aspnet_version")]
    {
        if let Some(value) = head.text(field) {
            service.attributes.insert(attribute.to_owned(), value);
        }
    }
    facts.insert(0, Fact::Service(service));
    let evidence = server.map(String::into_bytes).unwrap_or_default();
    talk.tell(probe::Reading { facts, evidence }, told);
}
