//! Protocols that are known by their first bytes, and of which no more is read.

use model::{Fact, Service};

use super::{Conversation, Roles, Told, Verdict};

/// Which side says it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum By {
    Client,
    Server,
}

/// A protocol, who says its mark, on which ports alone where the mark is short, and the mark:
/// bytes, or anything.
type Mark = (&'static str, By, &'static [u16], &'static [Option<u8>]);

macro_rules! mark {
    (@ _) => { None };
    (@ $byte:literal) => { Some($byte) };
    ($($byte:tt)+) => { &[$(mark!(@ $byte)),+] };
}

/// Where both sides have a mark, the server's: it shows that somebody answers.
const MARKS: &[Mark] = &[
    // Modbus: transaction, protocol 0, a length, and a function of the first hundred.
    ("modbus", By::Server, &[502], mark!(_ _ 0 0 0 _ _)),
    // S7: X.224's data with the protocol's own number; its connection is X.224's alone.
    ("s7comm", By::Server, &[102], mark!(3 0 0 _ _ 0xd0)),
    ("enip", By::Server, &[44818], mark!(0x65 0 4 0)),
    ("opcua", By::Server, &[], mark!(b'A' b'C' b'K' b'F')),
    ("opcua", By::Server, &[], mark!(b'E' b'R' b'R' b'F')),
    // DICOM: an association accepted or rejected.
    ("dicom", By::Server, &[104, 11112, 4242], mark!(2 0 0 0 _ _ 0 1)),
    ("dicom", By::Server, &[104, 11112, 4242], mark!(3 0 0 0 0 4)),
    ("hl7", By::Server, &[], mark!(0x0b b'M' b'S' b'H' b'|')),
    ("dnp3", By::Server, &[20000], mark!(5 0x64)),
    ("iec104", By::Server, &[2404], mark!(0x68 4 0x0b 0 0 0)),
    // TDS: a table response to what a client asks before it logs in.
    ("ms-sql", By::Server, &[1433, 1434], mark!(4 1 0 _ 0 0 1 0)),
    ("amqp", By::Client, &[], mark!(b'A' b'M' b'Q' b'P')),
    ("xmpp", By::Server, &[], mark!(b'<' b'?' b'x' b'm' b'l')),
    ("bgp", By::Server, &[179], mark!(255 255 255 255 255 255 255 255)),
    ("ajp", By::Server, &[8009], mark!(b'A' b'B')),
    ("epmd", By::Server, &[4369], mark!(0 0 0x11 0x11)),
    ("adb", By::Server, &[], mark!(b'C' b'N' b'X' b'N')),
    ("rsync", By::Server, &[], mark!(b'@' b'R' b'S' b'Y' b'N' b'C')),
];

/// Protocols in which both sides begin with the same words, and the ports of their servers.
const SAID_BY_BOTH: &[(&str, &[u16])] =
    &[("xmpp", &[5222, 5223, 5269]), ("rsync", &[873]), ("hl7", &[2575])];

/// Whether the words leave open who is the server, and its ports do not say it either: clients
/// take theirs from 32,768 on, or (RFC 6335) from 49,152.
fn is_either(talk: &Conversation<'_>, protocol: &str) -> bool {
    const OF_THE_MOMENT: u16 = 32_768;
    let known = SAID_BY_BOTH.iter().find(|(name, _)| *name == protocol);
    talk.roles == Roles::Guessed
        && known.is_some_and(|(_, ports)| !ports.contains(&talk.server.port))
        && !(talk.server.port < OF_THE_MOMENT && talk.client_port >= OF_THE_MOMENT)
}

pub(super) fn read(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let found = MARKS.iter().find(|(_, by, ports, mark)| {
        let stream = if *by == By::Client { talk.said } else { talk.heard };
        (ports.is_empty() || ports.contains(&talk.server.port)) && fits(stream, mark)
    });
    let (protocol, ..) = found?;
    if talk.heard.is_empty() || is_either(talk, protocol) {
        // A question shows nobody.
        return Some(if talk.ended { Verdict::Known } else { Verdict::More });
    }
    if talk.may_turn_to_tls(protocol) {
        return Some(Verdict::More);
    }
    talk.tell_server(Fact::Service(Service::of(protocol)), told);
    Some(Verdict::Known)
}

fn fits(stream: &[u8], mark: &[Option<u8>]) -> bool {
    stream.len() >= mark.len()
        && stream.iter().zip(mark).all(|(byte, wanted)| wanted.is_none_or(|w| w == *byte))
}
