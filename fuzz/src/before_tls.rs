//! The dialogues before TLS, one target each, and what TLS travels in behind them.
//!
//! The input is what the server says, turn by turn, as for the probes.

use std::hint::black_box;

use scanner::probe::starttls::{Framing, Starttls, Step};

use crate::{
    Target, datagrams,
    probes::{TURN, turns},
    seeds,
};

macro_rules! dialogues {
    ($($name:literal $protocol:ident $seeds:expr;)+) => {
        &[
            $(Target {
                name: concat!("starttls/", $name),
                run: |bytes| run(Starttls::$protocol, bytes),
                seeds: || $seeds,
            },)+
            Target { name: "starttls/framing", run: run_framing, seeds: datagrams::of_tds },
        ]
    };
}

pub(crate) const TARGETS: &[Target] = dialogues! {
    "smtp" Smtp texts(&["220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n"]);
    "lmtp" Lmtp texts(&["220 x LMTP\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n"]);
    "imap" Imap texts(&["* OK x\r\n", "* x\r\na OK go\r\n"]);
    "pop3" Pop3 texts(&["+OK x\r\n", "+OK go\r\n"]);
    "managesieve" Managesieve texts(&["\"STARTTLS\"\r\nOK\r\n", "OK\r\n"]);
    "ftp" Ftp texts(&["220-x\r\n x\r\n220 x\r\n", "234 go\r\n"]);
    "nntp" Nntp texts(&["200 x\r\n", "500 x\r\n", "200 x\r\n", "382 go\r\n"]);
    "xmpp-client" XmppClient texts(&["", FEATURES, "<proceed/>"]);
    "xmpp-server" XmppServer texts(&["", FEATURES, "<failure></failure></stream:stream>"]);
    "ldap" Ldap vec![joined(&[b"", b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"])];
    "postgresql" Postgresql texts(&["", "S"]);
    "mysql" Mysql seeds::of_mysql();
    "mssql" Mssql datagrams::of_tds().iter().map(|tds| joined(&[b"", tds])).collect();
    "irc" Irc texts(&["", ":x NOTICE * :x\r\n:x 670 * :go\r\n"]);
    "rdp" Rdp seeds::of_rdp().iter().map(|answer| joined(&[b"", answer])).collect();
    "vnc" Vnc vec![joined(&[
        b"RFB 003.008\n",
        &[2, 2, 19],
        &[0, 2],
        &[0, 2, 0, 0, 1, 2, 0, 0, 1, 5],
        &[1],
    ])];
    "telnet" Telnet vec![joined(&[b"", &[255, 253, 46], &[255, 250, 46, 1, 255, 240]])];
};

const FEATURES: &str = "<stream:stream><stream:features><starttls/></stream:features>";

fn texts(turns: &[&str]) -> Vec<Vec<u8>> {
    let turns: Vec<&[u8]> = turns.iter().map(|turn| turn.as_bytes()).collect();
    vec![joined(&turns)]
}

fn joined(turns: &[&[u8]]) -> Vec<u8> {
    turns.join(TURN)
}

/// Each turn first in part, then whole; what a server says before it is heard comes later.
fn run(protocol: Starttls, bytes: &[u8]) {
    let turns = turns(bytes);
    let mut heard = vec![Vec::new()];
    let mut coming = turns.iter().flat_map(|turn| {
        let (first, second) = turn.split_at(turn.len() / 2);
        [first, second]
    });
    loop {
        match black_box(protocol.next(&heard, "fs7.example.com")) {
            Step::Say(_) => heard.push(Vec::new()),
            Step::Listen => match (coming.next(), heard.last_mut()) {
                (Some(more), Some(last)) => last.extend(more),
                _ => break,
            },
            Step::Ready(used) => {
                assert!(used <= heard.last().map_or(0, Vec::len), "more than there is");
                break;
            }
            Step::Refuse(_) => break,
        }
        assert!(heard.len() <= Starttls::MAX_SAID + 1, "{protocol:?} does not come to an end");
    }
    black_box(Starttls::choose(None, bytes, 25));
    black_box(Starttls::choose(Some("smtp"), bytes, 25));
}

fn run_framing(bytes: &[u8]) {
    let mut framing = Framing::behind(Some(Starttls::Mssql));
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for part in [first, second] {
        if black_box(framing.unwrap(part.to_vec())).is_none() {
            break;
        }
    }
    // What we wrap comes out as it went in.
    let mut other = Framing::behind(Some(Starttls::Mssql));
    assert_eq!(other.unwrap(framing.wrap(bytes.to_vec())).as_deref(), Some(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialogue_is_a_target() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        for protocol in Starttls::ALL {
            let name = format!("starttls/{}", protocol.name());
            assert!(names.contains(&name.as_str()), "no target {name}");
        }
        assert_eq!(names.len(), Starttls::ALL.len() + 1);
    }
}
