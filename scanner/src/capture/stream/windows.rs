//! SMB, with the names that NTLM shows on both sides, the beginning of RDP, and Kerberos.

use model::NameSource;
use wire::{
    kerberos,
    ntlm::{Authenticate, Challenge},
    smb2::Message,
};

use super::{
    super::tickets::{of_client, of_server},
    Conversation, Told, Verdict,
};
use crate::probe::{rdp as remote, said::machine_name, smb as share};
use model::{Fact, Service};

/// The messages of a stream with their framing. Those of NetBIOS's own session are passed over.
fn messages(mut stream: &[u8]) -> Vec<&[u8]> {
    /// Names are told in the first ones.
    const MOST: usize = 16;
    let mut all = Vec::new();
    while all.len() < MOST {
        let Some(len) = Message::framed_len(stream) else { break };
        let Some((message, rest)) = stream.split_at_checked(len) else { break };
        all.push(message);
        stream = rest;
    }
    all.retain(|message| message.first() == Some(&0));
    all
}

fn is_smb(stream: &[u8]) -> bool {
    let behind = match stream {
        // A session request (RFC 1002, section 4.3.2), or its answer, comes first.
        [0x81..=0x85, ..] => {
            Message::framed_len(stream).and_then(|len| stream.get(len..)).unwrap_or_default()
        }
        _ => stream,
    };
    matches!(behind, [0, _, _, _, 0xfe | 0xff, b'S', b'M', b'B', ..])
}

pub(super) fn smb(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    if !is_smb(talk.said) && !is_smb(talk.heard) {
        return None;
    }
    let heard = messages(talk.heard);
    let challenge = heard.iter().find(|message| Challenge::find(message).is_ok());
    let authenticated = messages(talk.said).into_iter().find_map(Authenticate::find);
    let refused = heard.len() > 3 && challenge.is_none();
    let whole = challenge.is_some() && (authenticated.is_some() || talk.said.is_empty());
    if !whole && !refused && !talk.ended {
        return Some(Verdict::More);
    }
    let kind = |wanted: fn(&Message) -> bool| {
        let found = heard.iter().find(|message| Message::parse(message).is_ok_and(|m| wanted(&m)));
        found.map(|message| message.to_vec()).unwrap_or_default()
    };
    let negotiated = kind(|message| matches!(message, Message::Negotiate(_)));
    let negotiated = match negotiated.is_empty() {
        true => kind(|message| matches!(message, Message::Smb1)),
        false => negotiated,
    };
    let session = kind(
        |message| matches!(message, Message::SessionSetup { blob, .. } if Challenge::find(blob).is_ok()),
    );
    let knows = talk.ask(&share::Smb, &[Vec::new(), negotiated, session], told);
    // The challenge of SMB 1 stands where that of SMB 2 does not.
    if let Some(challenge) = challenge.and_then(|message| Challenge::find(message).ok()) {
        let mut service = Service::of("smb");
        let mut facts = Vec::new();
        share::read_challenge(&mut service, &mut facts, &challenge);
        if !knows {
            facts.insert(0, Fact::Service(service));
        }
        for fact in facts {
            talk.tell_server(fact, told);
        }
    }
    let name = authenticated.and_then(|said| said.workstation);
    if let Some(fact) = name.and_then(|name| machine_name(&name, NameSource::Ntlm)) {
        talk.tell_client(fact, told);
    }
    Some(Verdict::Known)
}

/// The first question may hold a user name as a cookie, which is not looked at.
pub(super) fn rdp(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let asks = matches!(talk.said, [3, 0, _, _, _, 0xe0, ..]);
    let answers = matches!(talk.heard, [3, 0, _, _, _, 0xd0, ..]);
    // Of the other services over X.224 only the ports tell that they are others.
    if !(asks || answers) || matches!(talk.server.port, 102 | 1720) {
        return None;
    }
    // Without TLS the next message is the client's, and no hello.
    let next = talk.turns.len() > 1;
    if !(talk.ended || (answers && next)) {
        return Some(Verdict::More);
    }
    talk.ask(&remote::Rdp, &[Vec::new(), talk.heard.to_vec()], told);
    Some(Verdict::Known)
}

/// A request for a ticket, and what became of it. The length before each message is no mark of a
/// protocol, so all of the first one has to be there and be read.
pub(super) fn kerberos(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let first = |stream| {
        kerberos::Message::of_stream(stream)
            .and_then(|(message, _)| kerberos::Message::parse(message).ok())
    };
    let (asked, answered) = (first(talk.said), first(talk.heard));
    if asked.is_none() && answered.is_none() {
        return None;
    }
    if answered.is_none() && !talk.ended {
        return Some(Verdict::More);
    }
    for message in asked.iter().chain(&answered) {
        of_client(message).into_iter().for_each(|fact| talk.tell_client(fact, told));
        of_server(message).into_iter().for_each(|fact| talk.tell_server(fact, told));
    }
    Some(Verdict::Known)
}
