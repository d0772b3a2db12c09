//! Each dialogue against what servers say: at once, byte by byte, otherwise, and without end.

use std::collections::VecDeque;

use proptest::prelude::*;
use wire::{ber, ber::tag, tds::packets, telnet};

use super::*;

/// A conversation: what the server says before and after each of our messages.
struct Scene {
    protocol: Starttls,
    turns: Vec<Vec<u8>>,
    end: Step,
}

const NAME: &str = "chat.example";

/// Gives a server's turns to a dialogue, each in pieces of that size; returns what was said to
/// it and how it ended. A server that has nothing more to say stays silent: the dialogue then
/// ends in [`Step::Listen`].
fn run(protocol: Starttls, turns: &[Vec<u8>], piece: usize) -> (Vec<Vec<u8>>, Step) {
    let pieces = |turn: usize| turns.get(turn).map_or(&[][..], Vec::as_slice).chunks(piece);
    let mut heard = vec![Vec::new()];
    let mut said = Vec::new();
    let mut coming: VecDeque<&[u8]> = pieces(0).collect();
    loop {
        match protocol.next(&heard, NAME) {
            Step::Say(message) => {
                said.push(message);
                heard.push(Vec::new());
                coming.extend(pieces(said.len()));
            }
            Step::Listen => match coming.pop_front() {
                Some(more) => heard.last_mut().unwrap().extend(more),
                None => return (said, Step::Listen),
            },
            end => return (said, end),
        }
        assert!(said.len() <= Starttls::MAX_SAID, "{protocol:?} goes on for ever");
    }
}

fn bytes(turns: &[&[u8]]) -> Vec<Vec<u8>> {
    turns.iter().map(|turn| turn.to_vec()).collect()
}

fn scene(protocol: Starttls, turns: &[&[u8]], end: Step) -> Scene {
    Scene { protocol, turns: bytes(turns), end }
}

fn refusal(words: &str) -> Step {
    Step::Refuse(Refusal::Refused(words.to_owned()))
}

fn mysql_greeting(capabilities: u16) -> Vec<u8> {
    let mut payload = b"\x0a8.0.36\0\x07\0\0\0abcdefgh\0".to_vec();
    payload.extend(capabilities.to_le_bytes());
    [&[payload.len() as u8, 0, 0, 0][..], &payload].concat()
}

fn ldap_answer(code: u8, text: &[u8]) -> Vec<u8> {
    let result = [
        ber::write(tag::ENUMERATED, &[code]),
        ber::write(tag::OCTETS, b""),
        ber::write(tag::OCTETS, text),
    ];
    let response = ber::write_all(0x78, &result);
    ber::write_all(tag::SEQUENCE, &[ber::write_integer(1), response])
}

fn rdp_answer(kind: u8, value: u8) -> Vec<u8> {
    vec![3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, kind, 0, 8, 0, value, 0, 0, 0]
}

fn tds_answer(encryption: u8) -> Vec<u8> {
    packets(wire::tds::RESPONSE, &[1, 0, 6, 0, 1, 0xff, encryption])
}

const STREAM: &str = "<?xml version='1.0'?><stream:stream from='chat.example' id='x' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

fn stream(rest: &str) -> Vec<u8> {
    format!("{STREAM}{rest}").into_bytes()
}

const FEATURES: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>\
    <required/></starttls></stream:features>";

const VENCRYPT: [&[u8]; 5] =
    [b"RFB 003.008\n", &[2, 2, 19], &[0, 2], &[0, 2, 0, 0, 1, 2, 0, 0, 1, 5], &[1]];

/// Conversations that come to TLS, one for each protocol at least.
fn ready() -> Vec<Scene> {
    use Starttls::*;
    let mail = b"250-mail.example\r\n250-SIZE\r\n250-starttls\r\n250 8BITMIME\r\n";
    let do_tls = [255, 253, 24, 255, 253, 46];
    vec![
        scene(Smtp, &[b"220-mail.example\r\n220 ESMTP\r\n", mail, b"220 go\r\n"], Step::Ready(8)),
        // It was taken for SMTP.
        scene(Smtp, &[b"220 x\r\n", b"500 What?\r\n", mail, b"220 go\r\n"], Step::Ready(8)),
        scene(Lmtp, &[b"220 mail.example LMTP\r\n", mail, b"220 2.0.0 go\r\n"], Step::Ready(14)),
        scene(Imap, &[b"* OK ready\r\n", b"* note\r\na OK Begin\r\n"], Step::Ready(20)),
        scene(Pop3, &[b"+OK ready\n", b"+OK Begin TLS\n"], Step::Ready(14)),
        scene(
            Managesieve,
            &[
                b"\"IMPLEMENTATION\" \"x\"\r\n\"STARTTLS\"\r\n\"SASL\" \"\"\r\nOK \"ready\"\r\n",
                b"OK \"Begin TLS\"\r\n",
            ],
            Step::Ready(16),
        ),
        scene(
            Ftp,
            &[b"220-Hello\r\n  what a day\r\n220 ready\r\n", b"234 Proceed\r\n"],
            Step::Ready(13),
        ),
        scene(Nntp, &[b"200 news.example\r\n", b"382 Continue\r\n"], Step::Ready(14)),
        scene(
            Nntp,
            &[b"201 x\r\n", b"500 What?\r\n", b"200 x\r\n", b"382 Continue\r\n"],
            Step::Ready(14),
        ),
        Scene {
            protocol: XmppClient,
            turns: vec![vec![], stream(FEATURES), b"<proceed xmlns='x'/>".to_vec()],
            end: Step::Ready(20),
        },
        Scene {
            protocol: XmppServer,
            turns: vec![vec![], stream(FEATURES), b"<proceed xmlns='x'></proceed>".to_vec()],
            end: Step::Ready(29),
        },
        Scene {
            protocol: Ldap,
            turns: vec![vec![], ldap_answer(0, b"")],
            end: Step::Ready(ldap_answer(0, b"").len()),
        },
        scene(Postgresql, &[b"", b"S"], Step::Ready(1)),
        Scene { protocol: Mysql, turns: vec![mysql_greeting(0xffff)], end: Step::Ready(0) },
        Scene { protocol: Mssql, turns: vec![vec![], tds_answer(1)], end: Step::Ready(15) },
        scene(
            Irc,
            &[b"", b":irc.example NOTICE * :looking\r\n:irc.example 670 * :go\r\n"],
            Step::Ready(56),
        ),
        Scene { protocol: Rdp, turns: vec![vec![], rdp_answer(2, 2)], end: Step::Ready(19) },
        scene(Vnc, &VENCRYPT, Step::Ready(1)),
        scene(Telnet, &[b"", &do_tls, &telnet::TLS_FOLLOWS], Step::Ready(6)),
    ]
}

/// Conversations that end in a refusal.
fn refused() -> Vec<Scene> {
    use Starttls::*;
    let unavailable = b"454 4.7.0 TLS not available\r\n";
    let of = |protocol, turns: Vec<Vec<u8>>, end| Scene { protocol, turns, end };
    vec![
        scene(Smtp, &[b"220 x\r\n", b"250-x\r\n250 SIZE\r\n"], NOT_OFFERED),
        scene(Smtp, &[b"220 x\r\n", b"550 no\r\n"], NOT_OFFERED),
        scene(Smtp, &[b"554 not for you\r\n"], refusal("554 not for you")),
        scene(
            Smtp,
            &[b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", unavailable],
            refusal("454 4.7.0 TLS not available"),
        ),
        // The name of the server is no extension.
        scene(Smtp, &[b"220 x\r\n", b"250 STARTTLS\r\n"], NOT_OFFERED),
        scene(Lmtp, &[b"220 x LMTP\r\n", b"250 x\r\n"], NOT_OFFERED),
        scene(Imap, &[b"* OK x\r\n", b"a BAD what?\r\n"], NOT_OFFERED),
        scene(Imap, &[b"* BYE busy\r\n"], refusal("BYE busy")),
        scene(Imap, &[b"* PREAUTH hello\r\n"], NOT_OFFERED),
        scene(Pop3, &[b"+OK x\r\n", b"-ERR what?\r\n"], NOT_OFFERED),
        scene(Pop3, &[b"-ERR busy\r\n"], refusal("-ERR busy")),
        scene(Managesieve, &[b"\"SASL\" \"\"\r\nOK\r\n"], NOT_OFFERED),
        scene(Managesieve, &[b"BYE \"busy\"\r\n"], refusal("BYE \"busy\"")),
        scene(Ftp, &[b"220 x\r\n", b"530 Please login\r\n"], NOT_OFFERED),
        scene(Ftp, &[b"421 busy\r\n"], refusal("421 busy")),
        scene(Ftp, &[b"220 x\r\n", b"431 no certificate\r\n"], refusal("431 no certificate")),
        scene(Nntp, &[b"200 x\r\n", b"500 x\r\n", b"200 x\r\n", b"502 x\r\n"], NOT_OFFERED),
        scene(Nntp, &[b"200 x\r\n", b"580 no\r\n"], refusal("580 no")),
        scene(Nntp, &[b"400 busy\r\n"], refusal("400 busy")),
        of(XmppClient, vec![vec![], stream("<stream:features/>")], NOT_OFFERED),
        of(
            XmppClient,
            vec![vec![], stream("<stream:error><host-unknown xmlns='x'/></stream:error>")],
            Step::Refuse(Refusal::UnknownName),
        ),
        of(
            XmppServer,
            vec![vec![], stream("<stream:error><invalid-namespace/></stream:error>")],
            OTHERWISE,
        ),
        of(
            XmppClient,
            vec![vec![], stream(FEATURES), b"<failure xmlns='x'/></stream:stream>".to_vec()],
            refusal("failure"),
        ),
        of(Ldap, vec![vec![], ldap_answer(2, b"unsupported")], NOT_OFFERED),
        of(Ldap, vec![vec![], ldap_answer(52, b"no key")], refusal("result 52 no key")),
        scene(Postgresql, &[b"", b"N"], NOT_OFFERED),
        of(Mysql, vec![mysql_greeting(0xf7ff)], NOT_OFFERED),
        scene(Mysql, &[b"\x0c\0\0\0\xff\x69\x04Host 'x'"], Step::Listen),
        scene(Mysql, &[b"\x0b\0\0\0\xff\x69\x04Host 'x'"], refusal("Host 'x'")),
        of(Mssql, vec![vec![], tds_answer(2)], NOT_OFFERED),
        scene(Irc, &[b"", b":irc.example 421 * STARTTLS :Unknown command\r\n"], NOT_OFFERED),
        scene(Irc, &[b"", b"ERROR :busy\r\n"], refusal("ERROR :busy")),
        of(Rdp, vec![vec![], rdp_answer(2, 0)], NOT_OFFERED),
        of(Rdp, vec![vec![], rdp_answer(3, 2)], NOT_OFFERED),
        of(Rdp, vec![vec![], rdp_answer(3, 6)], refusal("negotiation failure 6")),
        scene(Vnc, &[b"RFB 003.003\n"], NOT_OFFERED),
        scene(Vnc, &[b"RFB 003.008\n", &[1, 2]], NOT_OFFERED),
        scene(Vnc, &[b"RFB 003.008\n", b"\0\0\0\0\x04busy"], refusal("busy")),
        // Anonymous TLS alone: there is no certificate behind it.
        scene(Vnc, &[VENCRYPT[0], VENCRYPT[1], VENCRYPT[2], &[0, 1, 0, 0, 1, 2]], NOT_OFFERED),
        scene(Telnet, &[b"", &[255, 253, 24, 255, 254, 46]], NOT_OFFERED),
    ]
}

#[track_caller]
fn check(scene: &Scene) {
    let Scene { protocol, turns, end } = scene;
    for piece in [usize::MAX, 1, 7] {
        let (_, got) = run(*protocol, turns, piece);
        assert_eq!(got, *end, "{protocol:?} in pieces of {piece}");
    }
}

#[test]
fn each_protocol_comes_to_tls_whatever_the_pieces() {
    let scenes = ready();
    for protocol in Starttls::ALL {
        assert!(scenes.iter().any(|scene| scene.protocol == protocol), "{protocol:?}");
    }
    scenes.iter().for_each(check);
}

#[test]
fn a_refusal_is_understood_whatever_the_pieces() {
    let scenes = refused();
    for protocol in Starttls::ALL {
        assert!(scenes.iter().any(|scene| scene.protocol == protocol), "{protocol:?}");
    }
    scenes.iter().for_each(check);
}

#[test]
fn a_conversation_that_is_cut_anywhere_waits_and_never_comes_to_tls() {
    for Scene { protocol, turns, .. } in ready() {
        let whole: usize = turns.iter().map(Vec::len).sum();
        for keep in 0..whole {
            let mut left = keep;
            let cut: Vec<Vec<u8>> = turns
                .iter()
                .map(|turn| {
                    let now = left.min(turn.len());
                    left -= now;
                    turn[..now].to_vec()
                })
                .collect();
            let (_, end) = run(protocol, &cut, usize::MAX);
            assert_eq!(end, Step::Listen, "{protocol:?} at {keep}");
        }
    }
}

#[test]
fn what_is_injected_behind_the_consent_is_not_of_the_dialogue() {
    for Scene { protocol, mut turns, end } in ready() {
        let (Step::Ready(used), Some(last)) = (end, turns.last_mut()) else { panic!() };
        if used == 0 {
            continue;
        }
        last.extend(b"250 injected\r\n");
        let (_, got) = run(protocol, &turns, usize::MAX);
        assert_eq!(got, Step::Ready(used), "{protocol:?}");
    }
    // A telnet server may say both at once.
    let both = [&[255, 253, 46][..], &telnet::TLS_FOLLOWS].concat();
    assert_eq!(run(Starttls::Telnet, &[vec![], both], usize::MAX).1, Step::Ready(0));
    // Blanks between elements are of the stream.
    let turns = [vec![], stream(FEATURES), b"<proceed/>\r\n250".to_vec()];
    assert_eq!(run(Starttls::XmppClient, &turns, usize::MAX).1, Step::Ready(12));
}

#[test]
fn nobody_is_named_and_nothing_but_the_question_is_said() {
    for Scene { protocol, turns, .. } in ready() {
        let (said, _) = run(protocol, &turns, usize::MAX);
        let text = String::from_utf8_lossy(&said.concat()).to_ascii_uppercase();
        for word in ["USER", "PASS", "LOGIN", "NICK", "BIND", "MSTSHASH", "AUTH PLAIN"] {
            assert!(!text.contains(word), "{protocol:?} says {text}");
        }
        assert!(said.concat().len() < 400, "{protocol:?} says {text}");
    }
    let (said, _) = run(Starttls::XmppClient, &[], 1);
    assert!(String::from_utf8(said.concat()).unwrap().contains("to='chat.example'"));
}

#[test]
fn other_protocols_are_not_waited_for() {
    let others: [&[u8]; 3] =
        [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", &[0x15, 3, 1, 0, 2, 2, 40]];
    for protocol in Starttls::ALL {
        // What a terminal prints may be anything.
        if protocol == Starttls::Telnet {
            continue;
        }
        for other in others {
            // PostgreSQL's consent is one letter, and this begins with it.
            if protocol == Starttls::Postgresql && other.starts_with(b"S") {
                continue;
            }
            let (_, end) = run(protocol, &[other.to_vec()], usize::MAX);
            assert!(matches!(end, Step::Refuse(_)), "{protocol:?}: {end:?}");
        }
    }
}

#[test]
fn what_never_ends_is_too_much() {
    let lines: [&[u8]; 7] = [
        b"220-more\r\n",
        b"* more\r\n",
        b"\"MORE\" \"x\"\r\n",
        b":irc.example NOTICE * :more\r\n",
        b"<more/>\n",
        b"more ",
        &[255, 253, 24],
    ];
    for protocol in Starttls::ALL {
        for line in lines {
            for prefix in ready().iter().filter(|scene| scene.protocol == protocol) {
                for after in 0..prefix.turns.len() {
                    let mut turns = prefix.turns[..after].to_vec();
                    turns.push(line.repeat(20_000 / line.len()));
                    let (_, end) = run(protocol, &turns, 4_096);
                    let over = matches!(end, Step::Refuse(_) | Step::Ready(_));
                    assert!(over, "{protocol:?} after {after}: {end:?}");
                }
            }
        }
    }
}

#[test]
fn the_service_decides_then_the_words_then_the_port() {
    use Starttls::*;
    let choose = Starttls::choose;
    assert_eq!(choose(Some("smtp"), b"220 x ESMTP\r\n", 8080), Some(Smtp));
    assert_eq!(choose(Some("smtp"), b"220 x LMTP\r\n", 8080), Some(Lmtp));
    assert_eq!(choose(Some("smtp"), b"220 x\r\n", 24), Some(Lmtp));
    // What speaks the web on the port of mail speaks the web.
    assert_eq!(choose(Some("http"), b"HTTP/1.1 400 Bad Request\r\n", 25), None);
    assert_eq!(choose(Some("unknown"), b"200 news.example ready\r\n", 8080), Some(Nntp));
    assert_eq!(choose(Some("unknown"), b"\"IMPLEMENTATION\" \"x\"\r\n", 8080), Some(Managesieve));
    assert_eq!(choose(Some("unknown"), b":irc.example NOTICE * :x\r\n", 8080), Some(Irc));
    assert_eq!(choose(Some("unknown"), &stream("</stream:stream>"), 8080), Some(XmppClient));
    assert_eq!(choose(Some("unknown"), b"hello\r\n", 25), Some(Smtp));
    assert_eq!(choose(Some("unknown"), b"hello\r\n", 8080), None);
    // Silence: who speaks first there would have done so.
    assert_eq!(choose(None, b"", 25), None);
    assert_eq!(choose(None, b"", 1433), Some(Mssql));
    for protocol in Starttls::ALL {
        assert_eq!(choose(Some(protocol.name()), b"", 7), Some(protocol));
    }
}

#[test]
fn records_travel_in_packets_behind_tds_alone() {
    let mut framing = Framing::behind(Some(Starttls::Mssql));
    let wrapped = framing.wrap(vec![7; 5_000]);
    assert_eq!(wrapped.len(), 5_000 + 2 * wire::tds::HEADER);
    let mut got = Vec::new();
    for byte in &wrapped {
        got.extend(framing.unwrap(vec![*byte]).unwrap());
    }
    assert_eq!(got, [7; 5_000]);
    assert_eq!(framing.unwrap(vec![22, 3, 3, 0, 1]), None);
    let mut bare = Framing::behind(Some(Starttls::Smtp));
    assert_eq!(bare.wrap(vec![1]), [1]);
    assert_eq!(bare.unwrap(vec![22, 3, 3]), Some(vec![22, 3, 3]));
}

proptest! {
    #[test]
    fn random_turns_never_panic_and_come_to_an_end(turns in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..60), 0..10)) {
        for protocol in Starttls::ALL {
            run(protocol, &turns, 3);
        }
    }

    #[test]
    fn damage_never_panics(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        for Scene { protocol, mut turns, .. } in ready() {
            let which = at.index(turns.len());
            if !turns[which].is_empty() {
                let place = at.index(turns[which].len());
                turns[which][place] = with;
            }
            run(protocol, &turns, 5);
        }
    }
}
