//! VNC, MQTT, LDAP and the name service.

use model::{Fact, Service};
use wire::{Problem, Reader, ber, dns::Answer, ldap};

use super::{Conversation, Told, Verdict};
use crate::{
    capture::names,
    probe::{dns as server, ldap as directory, vnc as screen},
};

pub(super) fn vnc(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    if !talk.heard.starts_with(b"RFB ") {
        return None;
    }
    if talk.heard.len() < 12 && !talk.ended {
        return Some(Verdict::More);
    }
    let greeting = talk.heard.get(..12).unwrap_or(talk.heard);
    talk.ask(&screen::Vnc, &[greeting.to_vec()], told);
    Some(Verdict::Known)
}

/// CONNECT (section 3.1 of MQTT 3.1.1): whether it carries a password; `None` for other packets.
fn connect(said: &[u8]) -> Option<bool> {
    let mut r = Reader::new(said);
    if r.u8("fixed header").ok()? != 0x10 {
        return None;
    }
    // The remaining length takes one to four bytes; the last has no upper bit.
    for _ in 0..4 {
        if r.u8("remaining length").ok()? & 0x80 == 0 {
            break;
        }
    }
    let len = r.u16("protocol name length").ok()?;
    let name = r.take("protocol name", len.into()).ok()?;
    if !matches!(name, b"MQTT" | b"MQIsdp") {
        return None;
    }
    r.u8("protocol level").ok()?;
    Some(r.u8("connect flags").ok()? & 0x40 != 0)
}

pub(super) fn mqtt(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let secret = connect(talk.said)?;
    // The acknowledgement alone: what is published later is what users say.
    let answer = match talk.heard {
        [0x20, len, ..] => talk.heard.get(..usize::from(*len).saturating_add(2)),
        _ => None,
    };
    if answer.is_none() && !talk.ended {
        return Some(Verdict::More);
    }
    if answer.is_some() {
        // Whether it lets anybody in is not known of a client that may have named itself.
        talk.tell_server(Fact::Service(Service::of("mqtt")), told);
        if secret {
            talk.tell_cleartext("mqtt", told);
        }
    }
    Some(Verdict::Known)
}

/// What one message of LDAP is: the tag of its operation, and what is in it.
fn operation(stream: &[u8]) -> Option<(u8, &[u8])> {
    let mut r = Reader::new(stream);
    let mut message = ber::expect(&mut r, "LDAPMessage", ber::tag::SEQUENCE).ok()?;
    ber::integer(&mut message, "messageID").ok()?;
    let (kind, inside) = ber::element(&mut message, "protocolOp").ok()?;
    Some((kind, inside.rest()))
}

/// Whether a bind (RFC 4511, section 4.2) shows a password.
fn shows_password(bind: &[u8]) -> Option<bool> {
    const SIMPLE: u8 = 0x80;
    let mut r = Reader::new(bind);
    ber::integer(&mut r, "version").ok()?;
    ber::octets(&mut r, "name").ok()?;
    let (kind, secret) = ber::element(&mut r, "authentication").ok()?;
    Some(kind == SIMPLE && !secret.is_at_end())
}

/// How much is heard before the root DSE comes. Active Directory's has 3 KiB.
const MOST_BEFORE_ROOT: usize = 12 << 10;

pub(super) fn ldap(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    const BIND: u8 = 0x60;
    const EXTENDED: u8 = 0x77;
    let (said, heard) = (operation(talk.said), operation(talk.heard));
    let asks = matches!(said, Some((BIND | 0x63 | EXTENDED, _)));
    let answers = matches!(heard, Some((0x61 | 0x64 | 0x65 | 0x78, _)));
    if !(asks || (answers && talk.said.is_empty())) {
        return None;
    }
    let root = ldap::root(talk.heard);
    // Behind an extended request TLS may come, behind a bind the question who the server is.
    let asks_more = matches!(said, Some((EXTENDED, _)))
        || (root.is_none()
            && talk.said.len().saturating_add(talk.heard.len()) < MOST_BEFORE_ROOT
            && (ldap::asks_root(talk.said) || matches!(said, Some((BIND, _)))));
    let waits = !answers || asks_more;
    if waits && !talk.ended {
        return Some(Verdict::More);
    }
    if answers {
        let facts = root.map_or_else(
            || vec![Fact::Service(Service::of("ldap"))],
            |attributes| directory::read_root(&attributes),
        );
        facts.into_iter().for_each(|fact| talk.tell_server(fact, told));
        if let Some((BIND, bind)) = said
            && shows_password(bind) == Some(true)
        {
            talk.tell_cleartext("ldap", told);
        }
    }
    Some(Verdict::Known)
}

/// The first answer of a name server. Who asks it over TCP is not told: servers of domains are
/// asked so too.
pub(super) fn dns(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    if talk.server.port != names::DNS_PORT || talk.heard.is_empty() {
        return None;
    }
    match server::message(talk.heard) {
        Err(why) if why.problem == Problem::Truncated && !talk.ended => Some(Verdict::More),
        Err(_) => None,
        Ok(message) => {
            let answer = Answer::parse(message).ok()?;
            names::of_server(talk.server, &answer, told);
            Some(Verdict::Known)
        }
    }
}
