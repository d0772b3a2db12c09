//! HTTP, and RTSP and SIP, which took its form over: what the server says it is, what family
//! the client is of, and whether secrets go in the clear. Paths, queries, cookies and
//! authorizations are looked at for nothing else and never kept.

use model::{Fact, FingerprintKind, NameSource, Service, Use, Volume};
use wire::lines;

use super::{Conversation, Told, Verdict, agent, cloud};
use crate::probe::{self, http as web, product};

/// How much of a head is read.
const MOST_HEAD: usize = 8 << 10;

/// A request or a response without its body: of its fields those that say something here, each as
/// it stands first.
#[derive(Default)]
struct Head<'a> {
    first: &'a [u8],
    host: Option<&'a [u8]>,
    server: Option<&'a [u8]>,
    user_agent: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    authorization: Option<&'a [u8]>,
    powered_by: Option<&'a [u8]>,
    aspnet_version: Option<&'a [u8]>,
}

impl<'a> Head<'a> {
    /// The head at the beginning of the stream, and what is behind it; `None` while it is not
    /// whole. At the end of a conversation its whole lines are as much as there will be.
    fn read(stream: &'a [u8], ended: bool) -> Option<(Self, &'a [u8])> {
        let mut rest = stream.get(..MOST_HEAD).unwrap_or(stream);
        let mut line = || {
            let end = memchr::memchr(b'\n', rest)?;
            let (line, behind) = rest.split_at_checked(end)?;
            rest = behind.get(1..)?;
            Some(line.strip_suffix(b"\r").unwrap_or(line))
        };
        let mut head = Self { first: line()?, ..Self::default() };
        loop {
            match line() {
                Some([]) => break,
                Some(line) => head.take(line),
                None if ended => break,
                None => return None,
            }
        }
        let len = stream.len().min(MOST_HEAD).saturating_sub(rest.len());
        Some((head, stream.get(len..)?))
    }

    fn take(&mut self, line: &'a [u8]) {
        let colon = memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon));
        let Some((name, [_, value @ ..])) = colon else { return };
        let name = name.trim_ascii();
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let place = match name.len() {
            4 if is("host") => &mut self.host,
            6 if is("server") => &mut self.server,
            10 if is("user-agent") => &mut self.user_agent,
            12 if is("content-type") => &mut self.content_type,
            12 if is("x-powered-by") => &mut self.powered_by,
            13 if is("authorization") => &mut self.authorization,
            14 if is("content-length") => &mut self.content_length,
            16 if is("x-aspnet-version") => &mut self.aspnet_version,
            _ => return,
        };
        place.get_or_insert(value.trim_ascii());
    }
}

/// A value as text; `None` where nothing is in it.
fn text(value: Option<&[u8]>) -> Option<String> {
    value.map(lines::text).filter(|text| !text.is_empty())
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
    let longest = stream.get(..14).unwrap_or(stream);
    let Some((word, _)) =
        memchr::memchr(b' ', longest).and_then(|end| longest.split_at_checked(end))
    else {
        return false;
    };
    is_method(word)
}

/// Whether it is a method of the three protocols, WebDAV's and UPnP's among them.
const fn is_method(word: &[u8]) -> bool {
    matches!(
        word,
        b"GET"
            | b"POST"
            | b"HEAD"
            | b"PUT"
            | b"DELETE"
            | b"OPTIONS"
            | b"PATCH"
            | b"CONNECT"
            | b"TRACE"
            | b"PROPFIND"
            | b"REPORT"
            | b"MKCOL"
            | b"SUBSCRIBE"
            | b"UNSUBSCRIBE"
            | b"NOTIFY"
            | b"DESCRIBE"
            | b"SETUP"
            | b"PLAY"
            | b"TEARDOWN"
            | b"ANNOUNCE"
            | b"REGISTER"
            | b"INVITE"
            | b"ACK"
            | b"BYE"
            | b"CANCEL"
            | b"MESSAGE"
            | b"M-SEARCH"
            | b"SOURCE"
            | b"RPC_IN_DATA"
            | b"RPC_OUT_DATA"
    )
}

/// Whether it begins as a server's.
pub(super) fn is_response(stream: &[u8]) -> bool {
    protocol(stream).is_some()
}

/// Whether the head at the beginning of the stream is there to its empty line.
fn has_head(stream: &[u8]) -> bool {
    let head = stream.get(..MOST_HEAD).unwrap_or(stream);
    memchr::memchr_iter(b'\n', head).any(|end| {
        let behind = head.get(end.saturating_add(1)..).unwrap_or_default();
        matches!(behind, [b'\n', ..] | [b'\r', b'\n', ..])
    })
}

/// The heads of all requests that the stream holds, as far as their bodies can be passed over.
fn requests(mut stream: &[u8], ended: bool) -> Vec<Head<'_>> {
    /// Later ones say what the first ones did.
    const MOST: usize = 16;
    let mut all = Vec::with_capacity(1);
    while is_request(stream) && all.len() < MOST {
        let Some((head, behind)) = Head::read(stream, ended) else { break };
        let body: usize = head
            .content_length
            .and_then(|value| str::from_utf8(value).ok()?.parse().ok())
            .unwrap_or(0);
        stream = behind.get(body..).unwrap_or_default();
        all.push(head);
    }
    all
}

/// The first answer that is one: who says to go on (RFC 9110, section 15.2) has not answered yet,
/// and names neither itself nor what it has.
fn answer(mut stream: &[u8], ended: bool) -> Option<Head<'_>> {
    /// A request has one or two.
    const MOST: usize = 4;
    for _ in 0..MOST {
        protocol(stream)?;
        let (head, behind) = Head::read(stream, ended)?;
        match head.first.split(|byte| *byte == b' ').nth(1) {
            Some(b"100" | b"102" | b"103") => stream = behind,
            _ => return Some(head),
        }
    }
    None
}

/// The server's name in a request, where the server is the one that is named.
fn host(head: &Head<'_>) -> Option<String> {
    if is_to_proxy(head) {
        return None;
    }
    let host = lines::text(head.host?);
    let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
    product::host_name(name)
}

/// Whether the request is for a proxy, which passes on what another server says.
fn is_to_proxy(head: &Head<'_>) -> bool {
    let target = head.first.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    head.first.starts_with(b"CONNECT ") || target.starts_with(b"http://")
}

pub(super) fn read(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let asks = is_request(talk.said);
    if !asks && !is_response(talk.heard) {
        return None;
    }
    // Heads come in pieces, some of a line each: nothing is read before both are there.
    let waits = || !has_head(talk.heard) || (asks && !has_head(talk.said));
    if !talk.ended && waits() {
        return Some(Verdict::More);
    }
    let all = requests(talk.said, talk.ended);
    let answer = answer(talk.heard, talk.ended);
    let basic = all
        .iter()
        .any(|head| head.authorization.is_some_and(|value| super::begins(value, "basic")));
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
        head.content_type.is_some_and(|value| value.starts_with(b"application/ipp"))
    });
    let name = if prints { "ipp" } else { name };
    let to_proxy = first.is_some_and(is_to_proxy);
    let family = |agent: &[u8]| talk.families.of(agent, || agent::family(&text(Some(agent))?));
    if let Some(value) = all.iter().find_map(|head| family(head.user_agent?)) {
        let kind = FingerprintKind::UserAgent;
        talk.tell_client(Fact::Fingerprint { kind, value }, told);
    }
    if basic {
        talk.tell_cleartext("http_basic", told);
    }
    if let Some(named) = first.and_then(host) {
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
        text(head.server).or_else(|| (name == "sip").then(|| text(head.user_agent)).flatten());
    if let Some(server) = &server {
        product::put(&mut service, web::software(server));
        facts.extend(web::system(server));
        service.attributes.insert("server".to_owned(), server.clone());
    }
    for (value, attribute) in
        [(head.powered_by, "powered_by"), (head.aspnet_version, "aspnet_version")]
    {
        if let Some(value) = text(value) {
            service.attributes.insert(attribute.to_owned(), value);
        }
    }
    facts.insert(0, Fact::Service(service));
    let evidence = server.map(String::into_bytes).unwrap_or_default();
    talk.tell(probe::Reading { facts, evidence }, told);
}
