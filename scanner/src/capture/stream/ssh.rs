//! SSH: what both sides call themselves, what the server offers, and its host key where the key
//! exchange shows it.

use model::{Fact, Service, Subject};
use wire::{
    Reader, lines,
    ssh::{self as messages, Identification, KexInit, Message},
};

use super::{Conversation, Told, Verdict};
use crate::probe::{product, ssh};

/// What one side sent before everything was encrypted.
struct Side {
    identification: Identification,
    offer: Option<KexInit>,
    /// How long its stream is up to the end of its offer.
    offered: usize,
}

fn side(stream: &[u8]) -> Option<Side> {
    let mut r = Reader::new(stream);
    let identification = messages::identification(&mut r).ok()?;
    let before = r.offset();
    // Its first message is its offer (RFC 4253, section 7.1).
    match messages::message(&mut r) {
        Ok(Message::KexInit(offer)) => {
            Some(Side { identification, offer: Some(offer), offered: r.offset() })
        }
        _ => Some(Side { identification, offer: None, offered: before }),
    }
}

pub(super) fn read(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let begins = |stream: &[u8]| lines::lines(stream).take(8).any(|line| line.starts_with(b"SSH-"));
    if !talk.said.starts_with(b"SSH-") && !begins(talk.heard) {
        return None;
    }
    let (client, server) = (side(talk.said), side(talk.heard));
    let exchange = method(client.as_ref(), server.as_ref());
    let behind = server.as_ref().and_then(|side| talk.heard.get(side.offered..));
    let (key, over) = match (behind, exchange) {
        (Some(behind), Some(method)) => messages::host_key(behind, method),
        _ => (None, false),
    };
    let old = server.as_ref().is_some_and(|side| {
        let version = side.identification.protocol.as_str();
        version.starts_with("1.") && version != "1.99"
    });
    if key.is_none() && !over && !old && !talk.ended {
        return Some(Verdict::More);
    }
    if let Some(client) = client {
        let Identification { software, comment, .. } = client.identification;
        let mut service = Service::of("ssh-client");
        product::put(&mut service, ssh::software(&software, &comment).0);
        let banner = format!("{software} {comment}");
        service.attributes.insert("banner".to_owned(), banner.trim().to_owned());
        told.push(Told::new(Subject::Address(talk.client), Fact::Service(service), &[]));
    }
    if let Some(server) = server {
        let clear = talk.heard.get(..server.offered).unwrap_or_default().to_vec();
        talk.ask(&ssh::Ssh, &[clear], told);
    }
    for fact in key.and_then(|key| ssh::shown(key).ok()).into_iter().flatten() {
        talk.tell_server(fact, told);
    }
    Some(Verdict::Known)
}

/// The key exchange that both come to (RFC 4253, section 7.1): the first of the client's that
/// the server has.
fn method<'a>(client: Option<&'a Side>, server: Option<&Side>) -> Option<&'a str> {
    let (ours, theirs) = (client?.offer.as_ref()?, server?.offer.as_ref()?);
    ours.kex.iter().find(|name| theirs.kex.contains(name)).map(String::as_str)
}
