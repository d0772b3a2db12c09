//! Databases: what their servers say before anybody is let in. Who logs in is never kept.

use model::{Fact, Service};
use wire::{
    Reader, lines,
    mysql::Greeting,
    postgresql::{self, ErrorResponse},
};

use super::{Conversation, Told, Verdict, begins};
use crate::probe::{
    memcached::Memcached, mysql as maria, postgresql as elephant, product, said::name_product,
};

pub(super) fn mysql(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let greeting = talk.greeting();
    let Ok(Greeting::Handshake(_)) = Greeting::parse(greeting) else { return None };
    // CLIENT_SSL in a login request without a user: TLS comes next.
    let wants_tls = matches!(talk.said, [0x20, 0, 0, 1, _, flags, ..] if flags & 8 != 0);
    if !talk.ended && (talk.said.len() < 36 || wants_tls) {
        return Some(Verdict::More);
    }
    talk.ask(&maria::Mysql, &[greeting.to_vec()], told);
    Some(Verdict::Known)
}

pub(super) fn postgresql(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    // A start-up packet of protocol 3, or a request for encryption.
    let asks = matches!(
        talk.said,
        [0, 0, _, _, 0, 3, 0, 0..=2, ..] | [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f | 0x30, ..]
    );
    let answers = matches!(talk.heard, [b'R', 0, 0, 0, 8 | 12 | 23..=50, 0, 0, 0, ..]);
    if !(asks || (answers && talk.said.is_empty())) {
        return None;
    }
    // `N` says no to encryption; what follows is the answer to the start.
    let heard = match talk.heard {
        [b'N' | b'S', rest @ ..] if talk.said.get(..8) == Some(&postgresql::tls_request()) => rest,
        all => all,
    };
    let answer = Answer::read(heard);
    let over = answer.version.is_some() || answer.refused || answer.in_clear && heard.len() > 512;
    if !over && !talk.ended {
        return Some(Verdict::More);
    }
    if answer.refused
        && let Ok(_) = ErrorResponse::parse(heard)
        && talk.ask(&elephant::Postgresql, &[Vec::new(), heard.to_vec()], told)
    {
        return Some(Verdict::Known);
    }
    if answer.in_clear || answer.version.is_some() || answer.refused {
        let mut service = Service::of("postgresql");
        let version = answer.version.as_deref();
        name_product(&mut service, "PostgreSQL", version, Some(("postgresql", "postgresql")));
        talk.tell_server(Fact::Service(service), told);
    }
    if answer.in_clear {
        talk.tell_cleartext("postgresql", told);
    }
    Some(Verdict::Known)
}

#[derive(Default)]
struct Answer {
    /// `server_version` of a ParameterStatus.
    version: Option<String>,
    refused: bool,
    /// It asks for a secret in the clear.
    in_clear: bool,
}

impl Answer {
    fn read(heard: &[u8]) -> Self {
        let mut answer = Self::default();
        // What breaks off says nothing more.
        let _ = answer.all(&mut Reader::new(heard));
        answer
    }

    fn all(&mut self, r: &mut Reader<'_>) -> Option<()> {
        while !r.is_at_end() {
            let kind = r.u8("message type").ok()?;
            let len = usize::try_from(r.u32("length").ok()?.checked_sub(4)?).ok()?;
            self.refused |= kind == b'E';
            let mut body = r.nested("message", len).ok()?;
            match kind {
                b'R' => self.in_clear |= body.u32("authentication").ok()? == 3,
                b'S' => {
                    let name = body.until("parameter", &[0]).ok()?;
                    let value = body.until("value", &[0]).ok()?;
                    if name == b"server_version" {
                        self.version = lines::text(value).split(' ').next().map(str::to_owned);
                    }
                }
                _ => {}
            }
        }
        Some(())
    }
}

/// Whether the stream begins with a command as an array of strings.
fn is_redis(stream: &[u8]) -> bool {
    let Some(line) = stream.strip_prefix(b"*").and_then(|rest| lines::lines(rest).next()) else {
        return false;
    };
    let next = stream.get(line.len().saturating_add(1)..).unwrap_or_default();
    !line.is_empty() && line.iter().all(u8::is_ascii_digit) && next.starts_with(b"\r\n$")
}

/// How much is heard before the version of Redis was asked for, and how much behind that: INFO
/// begins with it.
const MOST_BEFORE_INFO: usize = 512;
const MOST_INFO: usize = 4 << 10;

/// The answer to HELLO (RESP3): `server`, its name, `version`, its number, each a string with its
/// length in the line before.
fn greeted(heard: &[u8]) -> Option<(&'static str, Option<String>)> {
    const FIRST_LINES: usize = 40;
    let lines: Vec<&[u8]> = lines::lines(heard).take(FIRST_LINES).collect();
    let after = |name: &[u8]| {
        let place = lines.iter().position(|line| *line == name)?;
        lines.get(place.checked_add(2)?).copied()
    };
    let server = match after(b"server")? {
        b"redis" => "redis",
        b"valkey" => "valkey",
        _ => return None,
    };
    let version = after(b"version").map(lines::text);
    Some((server, version.filter(|text| product::is_version(text))))
}

pub(super) fn redis(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    if !is_redis(talk.said) {
        return None;
    }
    let answers = matches!(talk.heard.first(), Some(b'+' | b'-' | b':' | b'$' | b'*' | b'%'));
    if !answers {
        return talk.ended.then_some(Verdict::Known);
    }
    let field = |name: &str| {
        lines::lines(talk.heard).find_map(|line| {
            let value = line.strip_prefix(name.as_bytes())?;
            Some(lines::text(value))
        })
    };
    let (server, version) = match (field("valkey_version:"), field("redis_version:")) {
        (Some(version), _) => ("valkey", Some(version)),
        (None, Some(version)) => ("redis", Some(version)),
        (None, None) => greeted(talk.heard).unwrap_or(("redis", None)),
    };
    // A client says who it is first, and its library asks a little later.
    let asks = || talk.says(|line| line.eq_ignore_ascii_case(b"INFO"));
    let is_early = || talk.said.len().saturating_add(talk.heard.len()) < MOST_BEFORE_INFO;
    if version.is_none() && !talk.ended && (is_early() || (asks() && talk.heard.len() < MOST_INFO))
    {
        return Some(Verdict::More);
    }
    let software = product::named(server, version.as_deref());
    let mut service = Service::of("redis");
    product::put(&mut service, Some(software));
    talk.tell_server(Fact::Service(service), told);
    if talk.says(|line| line.eq_ignore_ascii_case(b"AUTH")) {
        talk.tell_cleartext("redis", told);
    }
    Some(Verdict::Known)
}

/// The text protocol of memcached, on its port: what it answers first says that it is one, and
/// what it is where that was the question. Values are passed over.
pub(super) fn memcached(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    const PORT: u16 = 11_211;
    const ANSWERS: [&str; 6] = ["VERSION", "VALUE", "STORED", "END", "STAT", "DELETED"];
    if talk.server.port != PORT || !lines::has_line(talk.heard) {
        return None;
    }
    let line = lines::lines(talk.heard).next()?;
    if !ANSWERS.iter().any(|word| begins(line, word)) {
        return None;
    }
    if !talk.ask(&Memcached, &[Vec::new(), [line, b"\r\n"].concat()], told) {
        talk.tell_server(Fact::Service(Service::of("memcached")), told);
    }
    Some(Verdict::Known)
}
