//! TLS: who is asked for, what is offered and chosen, and, up to TLS 1.2, the certificates.
//!
//! From the first byte on, or behind the words of a protocol that knows STARTTLS. Behind those
//! of a proxy (CONNECT, SOCKS) the server is another one, and nothing is said of it.

use certs::hello::heard::{self, Carrier, Side};
use model::{Fact, FingerprintKind, NameSource, Service, TlsVersion, Use, Volume};

use super::{super::hello, Conversation, Told, Verdict, cloud, http};

/// Whether the stream begins as a client's does.
pub(super) fn is_client(stream: &[u8]) -> bool {
    matches!(stream, [22, 3, 0..=4, _, _, 1, ..]) || heard::old_client(stream).is_some()
}

/// Whether it begins as a server's.
pub(super) fn is_server(stream: &[u8]) -> bool {
    matches!(stream, [22, 3, 0..=3, _, _, 2, ..] | [21, 3, 0..=3, 0, 2, 1 | 2, ..])
}

/// What stands before TLS.
enum Before {
    Nothing,
    /// A protocol's own words, by its name.
    Words(&'static str),
    Proxy,
}

/// The protocol of the words before TLS; `None` where those are not of one that leads there.
fn before(said: &[u8], greeting: &[u8], port: u16) -> Option<Before> {
    let heard_any = |words: &[&[u8]]| words.iter().any(|word| greeting.starts_with(word));
    let says =
        |word: &[u8]| said.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    Some(match said {
        [] if greeting.is_empty() => Before::Nothing,
        [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f, ..] => Before::Words("postgresql"),
        [0x20, 0, 0, 1, ..] if !greeting.is_empty() => Before::Words("mysql"),
        [3, 0, _, _, _, 0xe0, ..] => Before::Words("rdp"),
        [0x30, ..] if says(b"1.3.6.1.4.1.1466.20037") => Before::Words("ldap"),
        [5, 1..=4, ..] | [4, 1, ..] => Before::Proxy,
        [b'C', b'O', b'N', b'N', b'E', b'C', b'T', b' ', ..] => Before::Proxy,
        _ if says(b"AUTH TLS") || says(b"AUTH SSL") => Before::Words("ftp"),
        _ if says(b"STLS\r") => Before::Words("pop3"),
        _ if says(b"<starttls") => Before::Words("xmpp"),
        _ if says(b"STARTTLS") => match greeting {
            _ if heard_any(&[b"* "]) => Before::Words("imap"),
            _ if heard_any(&[b"200 ", b"201 "]) => Before::Words("nntp"),
            _ if heard_any(&[b"220"]) => Before::Words("smtp"),
            _ if heard_any(&[b":", b"NOTICE"]) => Before::Words("irc"),
            _ if says(b"EHLO ") || matches!(port, 25 | 587) => Before::Words("smtp"),
            _ => Before::Words("irc"),
        },
        // Only the server's side was seen.
        [] if heard_any(&[b"220"]) => Before::Words(if port == 21 { "ftp" } else { "smtp" }),
        [] if heard_any(&[b"* OK"]) => Before::Words("imap"),
        [] if heard_any(&[b"+OK"]) => Before::Words("pop3"),
        [] if matches!(greeting, b"S") => Before::Words("postgresql"),
        _ => return None,
    })
}

/// Where TLS begins on each side, and what is before it.
fn place(talk: &Conversation<'_>) -> Option<(usize, usize, Before)> {
    if is_client(talk.said) || is_server(talk.heard) {
        // Each side at its own beginning, or not at all.
        return Some((0, 0, Before::Nothing));
    }
    // A request leads to TLS only where it asks a proxy for it.
    if http::is_request(talk.said) && !talk.said.starts_with(b"CONNECT ") {
        return None;
    }
    let (client, server) = (heard::find_client(talk.said), heard::find_server(talk.heard));
    let (client_at, server_at) = match (client, server) {
        (Some(client), Some(server)) => (client, server),
        (Some(client), None) => (client, talk.heard.len()),
        (None, Some(server)) => (talk.said.len(), server),
        (None, None) => return None,
    };
    let words = talk.said.get(..client_at)?;
    let greeting = talk.heard.get(..server_at)?;
    Some((client_at, server_at, before(words, greeting, talk.server.port)?))
}

pub(super) fn read(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let (client_at, server_at, before) = place(talk)?;
    let client = heard::side(talk.said.get(client_at..).unwrap_or_default());
    let server = heard::side(talk.heard.get(server_at..).unwrap_or_default());
    // Who is asked for a certificate answers before the keys change.
    let client_is_over = client.is_over || (client.client.is_some() && !server.asks_certificate);
    let whole = server.is_over && (client_is_over || talk.said.is_empty());
    if !whole && !talk.ended {
        return Some(Verdict::More);
    }
    if let Before::Words(_) = before {
        let plain = Conversation {
            said: talk.said.get(..client_at).unwrap_or_default(),
            heard: talk.heard.get(..server_at).unwrap_or_default(),
            ended: true,
            ..*talk
        };
        let _ = super::plain(&plain, told);
    }
    tell(talk, &client, &server, &before, told);
    Some(Verdict::Known)
}

fn tell(
    talk: &Conversation<'_>,
    client: &Side,
    server: &Side,
    before: &Before,
    told: &mut Vec<Told>,
) {
    let starttls = match before {
        Before::Words(protocol) => Some(*protocol),
        Before::Nothing | Before::Proxy => None,
    };
    let name = client.client.as_ref().and_then(|hello| hello.server_name.clone());
    if let Some(hello) = &client.client {
        for (kind, value) in
            [(FingerprintKind::Ja3, hello.ja3()), (FingerprintKind::Ja4, hello.ja4(Carrier::Tcp))]
        {
            talk.tell_client(Fact::Fingerprint { kind, value }, told);
        }
    }
    if let Some(domain) = name.as_deref().and_then(|n| cloud::domain_of(n, talk.server.address)) {
        let used = Use::Cloud { domain, volume: Volume::Small };
        talk.tell_client(Fact::Use(used), told);
    }
    if let Some(fact) = hello::client_key(client) {
        talk.tell_client(fact, told);
    }
    if matches!(before, Before::Proxy) {
        return;
    }
    let Some(chosen) = &server.server else {
        // Who refuses speaks it all the same; who is silent may not.
        let fact = hello::certificates(server, name, TlsVersion(0x0303), starttls);
        if let Some(fact) = fact.filter(|_| server.alert.is_none()) {
            talk.tell_server(fact, told);
        }
        return;
    };
    if let Some(name) = name.clone() {
        talk.tell_server(Fact::HostName { name, source: NameSource::ServerName }, told);
    }
    if chosen.is_retry {
        return;
    }
    let value = chosen.ja3s();
    talk.tell_server(Fact::Fingerprint { kind: FingerprintKind::Ja3s, value }, told);
    if let Some(fact) = hello::chosen(server, starttls) {
        talk.tell_server(fact, told);
    }
    if matches!(chosen.protocol.as_deref(), Some("h2" | "http/1.1" | "http/1.0")) {
        talk.tell_server(Fact::Service(Service { tls: true, ..Service::of("http") }), told);
    }
    if let Some(fact) = hello::certificates(server, name, chosen.version, starttls) {
        talk.tell_server(fact, told);
    }
}
