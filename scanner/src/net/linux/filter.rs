//! The program that the kernel runs on every frame (classic BPF, as in bpf(4)), before it
//! costs us anything: it lets in what may be an answer, and decides nothing else. Whether
//! it is one, the cookie says.
//!
//! What [`super::super::raw_frames::read`] takes for an answer has to get through; a test
//! holds the two against each other. A search, which hears what is said to groups, has a
//! program of its own ([`for_search`]).

use std::ops::RangeInclusive;

use model::MacAddr;
use wire::{ethernet, icmp, ip, mld, ndp, tcp};

/// The types of ICMP that answer us: echo reply, unreachable, time exceeded, timestamp
/// reply (RFC 792).
const ICMP: [u8; 4] = [0, 3, 11, 14];

/// The types of ICMPv6 that answer us: unreachable, time exceeded, echo reply (RFC 4443),
/// and neighbour advertisement (RFC 4861).
const ICMPV6: [u8; 4] = [1, 3, 129, ndp::ADVERTISEMENT];

/// IPv6 extension headers, behind which anything may be: hop-by-hop options, routing,
/// fragment (a whole packet may have one, RFC 6946), destination options. They are rare,
/// and let through for a closer look.
const EXTENSIONS: [u8; 4] = [0, 43, 44, 60];

/// Where a part of the program begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Label {
    /// The next instruction.
    Next,
    Untagged,
    Arp,
    V4,
    V4Tcp,
    V4Udp,
    V4Icmp,
    V6,
    V6Tcp,
    V6Udp,
    V6Icmp,
    Outgoing,
    Inner,
    Innermost,
    Accept,
    Drop,
}

/// An instruction whose jumps are not counted yet.
#[derive(Clone, Copy, Debug)]
enum Line {
    Here(Label),
    Plain(u32, u32),
    Jump(u32, u32, Label, Label),
}

use Line::{Here, Jump, Plain};

const WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const HALF: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
const BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
/// The same, from the start of the transport header less that of the IP header on.
const HALF_BEHIND: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_IND;
const BYTE_BEHIND: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_IND;
/// The length of an IPv4 header.
const HEADER_LENGTH: u32 = libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH;
const EQUALS: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const EXCEEDS: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
const REACHES: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const HAS_ANY: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const SHIFT_RIGHT: u32 = libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K;
const ADD_INDEX: u32 = libc::BPF_ALU | libc::BPF_ADD | libc::BPF_X;
const TO_INDEX: u32 = libc::BPF_MISC | libc::BPF_TAX;
const EQUALS_INDEX: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_X;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
/// Words of memory, of which there are 16; the index as a value; arithmetic.
const WORD_BEHIND: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_IND;
const STORE: u32 = libc::BPF_ST;
const FETCH: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_MEM;
const FETCH_INDEX: u32 = libc::BPF_LDX | libc::BPF_W | libc::BPF_MEM;
const SET_INDEX: u32 = libc::BPF_LDX | libc::BPF_W | libc::BPF_IMM;
const FROM_INDEX: u32 = libc::BPF_MISC | libc::BPF_TXA;
const ADD: u32 = libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K;
const TIMES: u32 = libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K;
const XOR_INDEX: u32 = libc::BPF_ALU | libc::BPF_XOR | libc::BPF_X;
const RETURN_VALUE: u32 = libc::BPF_RET | libc::BPF_A;

/// Where the kernel tells whether it took a VLAN tag off.
const TAG_PRESENT: u32 =
    libc::SKF_AD_OFF.cast_unsigned().wrapping_add(libc::SKF_AD_VLAN_TAG_PRESENT.cast_unsigned());

/// And which it was.
const TAG: u32 =
    libc::SKF_AD_OFF.cast_unsigned().wrapping_add(libc::SKF_AD_VLAN_TAG.cast_unsigned());

/// Whether a frame comes in or goes out, and what is inside of it as the kernel read it.
const PACKET_TYPE: u32 =
    libc::SKF_AD_OFF.cast_unsigned().wrapping_add(libc::SKF_AD_PKTTYPE.cast_unsigned());
const ETHER_TYPE: u32 =
    libc::SKF_AD_OFF.cast_unsigned().wrapping_add(libc::SKF_AD_PROTOCOL.cast_unsigned());

/// Where the headers begin in a frame without tags.
const IP: u32 = 14;
const V6_TRANSPORT: u32 = IP + 40;

/// As much of a frame as there is.
const ALL: u32 = 0x4_0000;

/// The program for answers to the link-layer address `mac`, where questions go out from
/// these ports.
pub(in super::super) fn program(
    mac: MacAddr,
    ports: &RangeInclusive<u16>,
) -> Vec<libc::sock_filter> {
    let [a, b, c, d, e, f] = mac.0;
    let upper = u32::from_be_bytes([a, b, c, d]);
    let lower = u32::from(u16::from_be_bytes([e, f]));
    let mut lines = vec![
        // We ask without tags; with one it is another network's. A tag of VLAN 0 carries a
        // priority only (IEEE 802.1Q, 6.9.1).
        Plain(WORD, TAG_PRESENT),
        Jump(EQUALS, 0, Label::Untagged, Label::Next),
        Plain(WORD, TAG),
        Jump(HAS_ANY, 0xfff, Label::Drop, Label::Next),
        Here(Label::Untagged),
        Plain(WORD, 0),
        Jump(EQUALS, upper, Label::Next, Label::Drop),
        Plain(HALF, 4),
        Jump(EQUALS, lower, Label::Next, Label::Drop),
        Plain(HALF, 12),
        Jump(EQUALS, ethernet::ARP.into(), Label::Arp, Label::Next),
        Jump(EQUALS, ethernet::IPV4.into(), Label::V4, Label::Next),
        Jump(EQUALS, ethernet::IPV6.into(), Label::V6, Label::Drop),
        Here(Label::Arp),
        // A reply.
        Plain(HALF, IP + 6),
        Jump(EQUALS, 2, Label::Accept, Label::Drop),
        Here(Label::V4),
        // Parts of larger packets: more to come, or not the first.
        Plain(HALF, IP + 6),
        Jump(HAS_ANY, 0x3fff, Label::Drop, Label::Next),
        Plain(HEADER_LENGTH, IP),
        Plain(BYTE, IP + 9),
        Jump(EQUALS, ip::TCP.into(), Label::V4Tcp, Label::Next),
        Jump(EQUALS, ip::UDP.into(), Label::V4Udp, Label::Next),
        Jump(EQUALS, ip::ICMP.into(), Label::V4Icmp, Label::Drop),
        Here(Label::V4Tcp),
        Plain(HALF_BEHIND, IP + 2),
    ];
    port(&mut lines, ports, Label::Next);
    lines.push(Plain(BYTE_BEHIND, IP + 13));
    flags(&mut lines);
    lines.extend([Here(Label::V4Udp), Plain(HALF_BEHIND, IP + 2)]);
    port(&mut lines, ports, Label::Accept);
    lines.extend([Here(Label::V4Icmp), Plain(BYTE_BEHIND, IP)]);
    one_of(&mut lines, &ICMP);
    lines.extend([
        Here(Label::V6),
        Plain(BYTE, IP + 6),
        Jump(EQUALS, ip::TCP.into(), Label::V6Tcp, Label::Next),
        Jump(EQUALS, ip::UDP.into(), Label::V6Udp, Label::Next),
        Jump(EQUALS, ip::ICMPV6.into(), Label::V6Icmp, Label::Next),
    ]);
    one_of(&mut lines, &EXTENSIONS);
    lines.extend([Here(Label::V6Tcp), Plain(HALF, V6_TRANSPORT + 2)]);
    port(&mut lines, ports, Label::Next);
    lines.push(Plain(BYTE, V6_TRANSPORT + 13));
    flags(&mut lines);
    lines.extend([Here(Label::V6Udp), Plain(HALF, V6_TRANSPORT + 2)]);
    port(&mut lines, ports, Label::Accept);
    lines.extend([Here(Label::V6Icmp), Plain(BYTE, V6_TRANSPORT)]);
    one_of(&mut lines, &ICMPV6);
    lines.extend([Here(Label::Accept), Plain(RETURN, ALL), Here(Label::Drop), Plain(RETURN, 0)]);
    assemble(&lines)
}

/// The types of ICMPv6 that a search hears: the error of who does not know an option, echo
/// reply (RFC 4443), reports of listeners (RFC 2710, RFC 3810), router advertisement (RFC 4861).
const SEARCH: [u8; 5] =
    [icmp::UNKNOWN_OPTION[0], mld::REPORT_V1, 129, ndp::ROUTER_ADVERTISEMENT, mld::REPORT_V2];

/// The program for what answers a search: to us, or to groups.
pub(in super::super) fn for_search() -> Vec<libc::sock_filter> {
    let mut lines = vec![
        Plain(WORD, TAG_PRESENT),
        Jump(EQUALS, 0, Label::Untagged, Label::Next),
        Plain(WORD, TAG),
        Jump(HAS_ANY, 0xfff, Label::Drop, Label::Next),
        Here(Label::Untagged),
        Plain(HALF, 12),
        Jump(EQUALS, ethernet::IPV6.into(), Label::Next, Label::Drop),
        Plain(BYTE, IP + 6),
        Jump(EQUALS, ip::ICMPV6.into(), Label::V6Icmp, Label::Next),
    ];
    one_of(&mut lines, &EXTENSIONS);
    lines.extend([Here(Label::V6Icmp), Plain(BYTE, V6_TRANSPORT)]);
    one_of(&mut lines, &SEARCH);
    lines.extend([Here(Label::Accept), Plain(RETURN, ALL), Here(Label::Drop), Plain(RETURN, 0)]);
    assemble(&lines)
}

/// Goes on to `good` if the port just loaded is one of ours.
fn port(lines: &mut Vec<Line>, ports: &RangeInclusive<u16>, good: Label) {
    lines.extend([
        Jump(REACHES, (*ports.start()).into(), Label::Next, Label::Drop),
        Jump(EXCEEDS, (*ports.end()).into(), Label::Drop, good),
    ]);
}

/// What answers a SYN, or a segment of no connection.
fn flags(lines: &mut Vec<Line>) {
    let accepts = u32::from(tcp::SYN | tcp::ACK);
    lines.extend([
        Jump(HAS_ANY, tcp::RST.into(), Label::Accept, Label::Next),
        Plain(AND, accepts),
        Jump(EQUALS, accepts, Label::Accept, Label::Drop),
    ]);
}

fn one_of(lines: &mut Vec<Line>, types: &[u8]) {
    let Some((last, others)) = types.split_last() else { return };
    let test = |kind: &u8, no| Jump(EQUALS, (*kind).into(), Label::Accept, no);
    lines.extend(others.iter().map(|kind| test(kind, Label::Next)));
    lines.push(test(last, Label::Drop));
}

/// Counts the jumps. All lead forward, and the program is too short for one to be too far.
fn assemble(lines: &[Line]) -> Vec<libc::sock_filter> {
    let instructions =
        |lines: &[Line]| lines.iter().filter(|line| !matches!(line, Here(_))).count();
    let place = |wanted: Label| {
        let line = lines.iter().position(|line| matches!(line, Here(found) if *found == wanted));
        line.map(|line| instructions(lines.get(..line).unwrap_or_default()))
    };
    let mut program = Vec::with_capacity(lines.len());
    for line in lines {
        let distance = |label| match label {
            Label::Next => 0,
            label => {
                let target = place(label).unwrap_or_default();
                u8::try_from(target.saturating_sub(program.len() + 1)).unwrap_or(u8::MAX)
            }
        };
        let (code, jt, jf, k) = match *line {
            Here(_) => continue,
            Plain(code, k) => (code, 0, 0, k),
            Jump(code, k, yes, no) => (code, distance(yes), distance(no), k),
        };
        // Codes have 16 bits.
        program.push(libc::sock_filter { code: code as u16, jt, jf, k });
    }
    program
}

/// The program for listening to others: all but the segments of TCP that carry nothing, which
/// are half of all and say nothing that the data does not. More than that it cannot tell: which
/// data is the first of its flow only a memory of flows knows.
pub(in super::super) fn for_watch() -> Vec<libc::sock_filter> {
    let matters = u32::from(tcp::SYN | tcp::FIN | tcp::RST);
    // The length of TCP's header, added to that of IP's in the index.
    let add_header = [Plain(AND, 0xf0), Plain(SHIFT_RIGHT, 2), Plain(ADD_INDEX, 0)];
    let mut lines = vec![
        Plain(HALF, 12),
        Jump(EQUALS, ethernet::IPV4.into(), Label::V4, Label::Next),
        Jump(EQUALS, ethernet::IPV6.into(), Label::V6, Label::Accept),
        Here(Label::V4),
        Plain(BYTE, IP + 9),
        Jump(EQUALS, ip::TCP.into(), Label::Next, Label::Accept),
        // Parts of larger packets: more to come, or not the first.
        Plain(HALF, IP + 6),
        Jump(HAS_ANY, 0x3fff, Label::Accept, Label::Next),
        Plain(HEADER_LENGTH, IP),
        Plain(BYTE_BEHIND, IP + 13),
        Jump(HAS_ANY, matters, Label::Accept, Label::Next),
        Plain(BYTE_BEHIND, IP + 12),
    ];
    lines.extend(add_header);
    lines.extend([
        Plain(TO_INDEX, 0),
        Plain(HALF, IP + 2),
        Jump(EQUALS_INDEX, 0, Label::Drop, Label::Accept),
        Here(Label::V6),
        Plain(BYTE, IP + 6),
        Jump(EQUALS, ip::TCP.into(), Label::Next, Label::Accept),
        Plain(BYTE, V6_TRANSPORT + 13),
        Jump(HAS_ANY, matters, Label::Accept, Label::Next),
        Plain(BYTE, V6_TRANSPORT + 12),
        Plain(AND, 0xf0),
        Plain(SHIFT_RIGHT, 2),
        Plain(TO_INDEX, 0),
        Plain(HALF, IP + 4),
        Jump(EQUALS_INDEX, 0, Label::Drop, Label::Accept),
        Here(Label::Accept),
        Plain(RETURN, ALL),
        Here(Label::Drop),
        Plain(RETURN, 0),
    ]);
    assemble(&lines)
}

/// The program that lets everything in.
pub(in super::super) fn for_all() -> Vec<libc::sock_filter> {
    assemble(&[Plain(RETURN, ALL)])
}

/// The program that lets nothing in.
pub(in super::super) fn for_none() -> Vec<libc::sock_filter> {
    assemble(&[Plain(RETURN, 0)])
}

/// The program that says which of several readers hears a frame: a number, of which the kernel
/// takes the rest by how many there are. `header` is how long the link's header is.
///
/// It is made of the two addresses of a packet alone, whichever of them is whose, so that all
/// that two stations say to each other comes to one reader: both directions of a flow, with tags
/// or without, its fragments (which have no ports), and a tunnel with all that is in it. Refused:
/// the kernel's own symmetric hash (PACKET_FANOUT_HASH), which takes the ports in. VXLAN and
/// Geneve make their source port of the flow inside (RFC 7348, section 5), another one in each
/// direction, so that the two halves of that flow would be heard by two readers; and of fragments
/// it has no ports. What is no IP, and what is cut before its addresses, goes to the first reader.
pub(in super::super) fn for_fanout(header: u32) -> Vec<libc::sock_filter> {
    let kinds = |tagged: Label| {
        [
            Jump(EQUALS, ethernet::IPV4.into(), Label::V4, Label::Next),
            Jump(EQUALS, ethernet::IPV6.into(), Label::V6, Label::Next),
            // IEEE 802.1Q, 802.1ad, and what came before it.
            Jump(EQUALS, 0x8100, tagged, Label::Next),
            Jump(EQUALS, 0x88a8, tagged, Label::Next),
            Jump(EQUALS, 0x9100, tagged, Label::Drop),
        ]
    };
    // What is behind the tag at the index, and the index there.
    let behind = [
        Plain(HALF_BEHIND, 2),
        Plain(STORE, 0),
        Plain(FROM_INDEX, 0),
        Plain(ADD, 4),
        Plain(TO_INDEX, 0),
        Plain(FETCH, 0),
    ];
    // What comes in is seen from its packet on, what goes out from its frame on.
    let mut lines = vec![
        Plain(SET_INDEX, header),
        Plain(WORD, PACKET_TYPE),
        Jump(EQUALS, libc::PACKET_OUTGOING.into(), Label::Outgoing, Label::Next),
        Plain(SET_INDEX, 0),
        Here(Label::Outgoing),
        Plain(WORD, ETHER_TYPE),
    ];
    // The kernel takes off the outermost tag of what comes in.
    lines.extend(kinds(Label::Inner));
    lines.push(Here(Label::Inner));
    lines.extend(behind);
    lines.extend(kinds(Label::Innermost));
    lines.push(Here(Label::Innermost));
    lines.extend(behind);
    lines.extend([
        Jump(EQUALS, ethernet::IPV4.into(), Label::V4, Label::Next),
        Jump(EQUALS, ethernet::IPV6.into(), Label::V6, Label::Drop),
        Here(Label::V4),
        Plain(WORD_BEHIND, 12),
        Plain(STORE, 0),
        Plain(WORD_BEHIND, 16),
        Plain(FETCH_INDEX, 0),
        Plain(XOR_INDEX, 0),
    ]);
    // Neighbours differ in few bits, which are the lowest: they are spread over all, as the end of
    // MurmurHash3 does it.
    let spread = [
        Plain(TIMES, 0x9e37_79b1),
        Plain(TO_INDEX, 0),
        Plain(SHIFT_RIGHT, 15),
        Plain(XOR_INDEX, 0),
        Plain(TIMES, 0x85eb_ca6b),
        Plain(SHIFT_RIGHT, 16),
        Plain(RETURN_VALUE, 0),
    ];
    lines.extend(spread);
    lines.push(Here(Label::V6));
    for word in 0..8 {
        lines.extend([Plain(WORD_BEHIND, 8 + 4 * word), Plain(STORE, word)]);
    }
    for word in 0..7 {
        lines.extend([Plain(FETCH_INDEX, word), Plain(XOR_INDEX, 0)]);
    }
    lines.extend(spread);
    lines.extend([Here(Label::Drop), Plain(RETURN, 0)]);
    assemble(&lines)
}

/// Whether a frame gets through [`for_search`], for tests elsewhere.
#[cfg(test)]
pub(in super::super) fn lets_search_in(frame: &[u8]) -> bool {
    tests::passes(&for_search(), frame)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;
    use wire::{
        arp::{Arp, Operation},
        icmp,
        ip::Ends,
        udp,
    };

    use super::{
        super::super::{raw_cookie::Cookies, raw_frames::read},
        *,
    };

    const HERE: MacAddr = MacAddr([2, 0, 0, 0xff, 0, 1]);
    const THERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
    const PORTS: RangeInclusive<u16> = 61_000..=62_000;

    /// What the kernel does with the program: how much of the frame it lets in.
    fn run(program: &[libc::sock_filter], frame: &[u8], tag: Option<u32>) -> u32 {
        let told = |k: u32| match k {
            TAG_PRESENT => u32::from(tag.is_some()),
            TAG => tag.unwrap_or(0),
            other => panic!("{other:#x}"),
        };
        execute(program, frame, &told)
    }

    /// Runs a program on bytes; `told` is what the kernel tells beside them.
    fn execute(program: &[libc::sock_filter], frame: &[u8], told: &dyn Fn(u32) -> u32) -> u32 {
        let load = |at: usize, len: usize| {
            let bytes = frame.get(at..at.checked_add(len)?)?;
            Some(bytes.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)))
        };
        let (mut a, mut x, mut next) = (0_u32, 0_u32, 0_usize);
        let mut memory = [0_u32; 16];
        loop {
            let line = program[next];
            let (code, k) = (u32::from(line.code), line.k);
            next += 1;
            let jump = |good: bool| usize::from(if good { line.jt } else { line.jf });
            // A load from behind the end ends the program with nothing.
            let loaded = match code {
                WORD if k >= libc::SKF_AD_OFF.cast_unsigned() => Some(told(k)),
                WORD => load(k as usize, 4),
                HALF => load(k as usize, 2),
                BYTE => load(k as usize, 1),
                WORD_BEHIND => load(x as usize + k as usize, 4),
                HALF_BEHIND => load(x as usize + k as usize, 2),
                BYTE_BEHIND => load(x as usize + k as usize, 1),
                FETCH => Some(memory[k as usize]),
                FROM_INDEX => Some(x),
                AND => Some(a & k),
                SHIFT_RIGHT => Some(a >> k),
                ADD => Some(a.wrapping_add(k)),
                TIMES => Some(a.wrapping_mul(k)),
                ADD_INDEX => Some(a.wrapping_add(x)),
                XOR_INDEX => Some(a ^ x),
                HEADER_LENGTH => match load(k as usize, 1) {
                    Some(byte) => {
                        x = (byte & 15) * 4;
                        continue;
                    }
                    None => None,
                },
                SET_INDEX | FETCH_INDEX | TO_INDEX | STORE => {
                    match code {
                        SET_INDEX => x = k,
                        FETCH_INDEX => x = memory[k as usize],
                        TO_INDEX => x = a,
                        _ => memory[k as usize] = a,
                    }
                    continue;
                }
                EQUALS | EXCEEDS | REACHES | HAS_ANY | EQUALS_INDEX => {
                    next += jump(match code {
                        EQUALS => a == k,
                        EXCEEDS => a > k,
                        REACHES => a >= k,
                        HAS_ANY => a & k != 0,
                        _ => a == x,
                    });
                    continue;
                }
                RETURN => return k,
                RETURN_VALUE => return a,
                other => panic!("instruction {other:#x}"),
            };
            match loaded {
                Some(value) => a = value,
                None => return 0,
            }
        }
    }

    fn lets_in(frame: &[u8]) -> bool {
        passes(&program(HERE, &PORTS), frame)
    }

    pub(super) fn passes(program: &[libc::sock_filter], frame: &[u8]) -> bool {
        assert_eq!(run(program, frame, Some(0xe007)), 0, "with a tag");
        let untagged = run(program, frame, None);
        assert_eq!(run(program, frame, Some(0xe000)), untagged, "with a priority");
        match untagged {
            0 => false,
            ALL => true,
            other => panic!("{other}"),
        }
    }

    fn ends(v4: bool) -> Ends {
        let (theirs, ours) =
            if v4 { ("198.18.0.9", "198.18.0.1") } else { ("2001:db8::9", "2001:db8::1") };
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        Ends::new(parse(theirs), parse(ours)).unwrap()
    }

    fn frame(v4: bool, protocol: u8, inside: &[u8]) -> Vec<u8> {
        let kind = if v4 { ethernet::IPV4 } else { ethernet::IPV6 };
        ethernet::frame(HERE, THERE, kind, &ip::packet(ends(v4), protocol, 64, inside))
    }

    fn segment(to: u16, flags: u8) -> Vec<u8> {
        let mut bytes = tcp::syn(ends(true), 80, to, 0);
        bytes[13] = flags;
        bytes
    }

    #[test]
    fn no_jump_is_too_far_or_out_of_the_program() {
        let program = program(HERE, &PORTS);
        assert!(program.len() < 128, "{}", program.len());
        for (place, line) in program.iter().enumerate() {
            for distance in [line.jt, line.jf] {
                let target = place + 1 + usize::from(distance);
                assert!(target < program.len() || u32::from(line.code) == RETURN, "{place}");
            }
        }
    }

    #[test]
    fn segments_that_answer_us_come_in() {
        const FIN_ACK: u8 = tcp::FIN | tcp::ACK;
        for v4 in [true, false] {
            for (port, flags, expected) in [
                (61_000, tcp::SYN | tcp::ACK, true),
                (62_000, tcp::SYN | tcp::ACK, true),
                (61_500, tcp::RST | tcp::ACK, true),
                (61_500, tcp::RST, true),
                // With congestion bits (RFC 3168), as some answer.
                (61_500, 0x52, true),
                (60_999, tcp::SYN | tcp::ACK, false),
                (62_001, tcp::RST, false),
                (61_500, tcp::ACK, false),
                (61_500, tcp::SYN, false),
                (61_500, FIN_ACK, false),
            ] {
                let frame = frame(v4, ip::TCP, &segment(port, flags));
                assert_eq!(lets_in(&frame), expected, "{v4} {port} {flags:#x}");
            }
        }
    }

    #[test]
    fn datagrams_and_messages_that_answer_us_come_in() {
        for v4 in [true, false] {
            for (port, expected) in [(61_000, true), (62_000, true), (53, false), (62_001, false)] {
                let inside = udp::datagram(ends(v4), 53, port, b"answer");
                assert_eq!(lets_in(&frame(v4, ip::UDP, &inside)), expected, "{v4} {port}");
            }
            let protocol = if v4 { ip::ICMP } else { ip::ICMPV6 };
            for kind in 0..=255_u8 {
                let expected = if v4 { ICMP.contains(&kind) } else { ICMPV6.contains(&kind) };
                let frame = frame(v4, protocol, &[kind, 0, 0, 0, 0, 0, 0, 0]);
                assert_eq!(lets_in(&frame), expected, "{v4} {kind}");
            }
            assert!(!lets_in(&frame(v4, 47, &[0; 40])));
        }
    }

    #[test]
    fn options_are_stepped_over_and_parts_of_packets_stay_out() {
        let good = frame(true, ip::TCP, &segment(61_000, tcp::SYN | tcp::ACK));
        let mut with_options = good.clone();
        with_options[14] = 0x46;
        with_options.splice(34..34, [1, 1, 1, 0]);
        assert!(lets_in(&with_options));
        for (at, value) in [(20, 0x20), (20, 0x01), (21, 0x01)] {
            let mut part = good.clone();
            part[at] |= value;
            assert!(!lets_in(&part), "{at}");
        }
        // "Do not fragment" is no fragment.
        let mut whole = good;
        whole[20] = 0x40;
        assert!(lets_in(&whole));
        let inside = [&[ip::TCP, 0, 1, 4, 0, 0, 0, 0][..], &segment(61_000, tcp::RST)].concat();
        for (extension, expected) in [(0, true), (43, true), (60, true), (44, true), (51, false)] {
            assert_eq!(lets_in(&frame(false, extension, &inside)), expected, "{extension}");
        }
    }

    #[test]
    fn other_receivers_tags_and_questions_stay_out() {
        let reply = |operation, to| {
            let arp = Arp {
                operation,
                target_mac: HERE,
                ..Arp::request(THERE, [198, 18, 0, 9].into(), [198, 18, 0, 1].into())
            };
            ethernet::frame(to, THERE, ethernet::ARP, &arp.build())
        };
        assert!(lets_in(&reply(Operation::Reply, HERE)));
        assert!(!lets_in(&reply(Operation::Request, HERE)));
        assert!(!lets_in(&reply(Operation::Reply, MacAddr::BROADCAST)));
        for place in 0..6 {
            let mut mac = HERE;
            mac.0[place] ^= 1;
            assert!(!lets_in(&reply(Operation::Reply, mac)), "{place}");
        }
        let good = frame(true, ip::TCP, &segment(61_000, tcp::RST));
        for tag in [[0x81, 0, 0, 7], [0x88, 0xa8, 0, 7]] {
            assert!(!lets_in(&[&good[..12], &tag, &good[12..]].concat()));
        }
    }

    #[test]
    fn a_watch_drops_segments_that_carry_nothing_and_no_other() {
        let program = for_watch();
        let lets_in = |frame: &[u8]| run(&program, frame, None) > 0;
        let segment = |flags: u8, options: u8, data: &[u8]| {
            let mut bytes =
                vec![0, 80, 0xf0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0x50 + (options << 4), flags];
            bytes.extend([0xff, 0xff, 0, 0, 0, 0]);
            bytes.resize(20 + usize::from(options) * 4, 1);
            bytes.extend(data);
            bytes
        };
        let (a, b) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let v4 = |inside: &[u8]| {
            let packet = ip::packet(Ends::V4(a, b), ip::TCP, 64, inside);
            ethernet::frame(HERE, THERE, ethernet::IPV4, &packet)
        };
        let v6 = |inside: &[u8]| {
            let packet =
                ip::packet(Ends::V6(a.to_ipv6_mapped(), b.to_ipv6_mapped()), ip::TCP, 64, inside);
            ethernet::frame(HERE, THERE, ethernet::IPV6, &packet)
        };
        for frame in [&v4 as &dyn Fn(&[u8]) -> Vec<u8>, &v6] {
            for options in [0, 3, 10] {
                assert!(!lets_in(&frame(&segment(tcp::ACK, options, b""))));
                assert!(lets_in(&frame(&segment(tcp::ACK, options, b"x"))));
                for flags in [tcp::SYN, tcp::SYN | tcp::ACK, tcp::FIN | tcp::ACK, tcp::RST] {
                    assert!(lets_in(&frame(&segment(flags, options, b""))), "{flags}");
                }
            }
        }
        let mut part = v4(&segment(tcp::ACK, 0, b""));
        part[IP as usize + 6] = 0x20;
        assert!(lets_in(&part));
        let udp = udp::datagram(Ends::V4(a, b), 53, 53, b"");
        let packet = ip::packet(Ends::V4(a, b), ip::UDP, 64, &udp);
        assert!(lets_in(&ethernet::frame(HERE, THERE, ethernet::IPV4, &packet)));
        for other in [ethernet::ARP, 0x88cc, 0x8100, 40] {
            assert!(lets_in(&ethernet::frame(HERE, THERE, other, b"")));
        }
    }

    proptest! {
        /// Whatever is cut or changed: the filter is never stricter than the reader.
        #[test]
        fn nothing_that_is_read_as_an_answer_stays_out(
            v4 in any::<bool>(),
            kind in 0..5_usize,
            at in 0..100_usize,
            value in any::<u8>(),
            len in 14..120_usize,
        ) {
            let cookies = Cookies::new([7; 16], PORTS);
            let (theirs, ours) = match ends(v4) {
                Ends::V4(a, b) => (a.into(), b.into()),
                Ends::V6(a, b) => (IpAddr::from(a), IpAddr::from(b)),
            };
            let number = if v4 { ip::ICMP } else { ip::ICMPV6 };
            let syn = cookies.tcp(ours, theirs, 80);
            let (protocol, inside) = match kind {
                0 => {
                    let mut bytes = segment(syn.port, tcp::SYN | tcp::ACK);
                    bytes[8..12].copy_from_slice(&(syn.sequence.wrapping_add(1)).to_be_bytes());
                    (ip::TCP, bytes)
                }
                1 => {
                    let ack = cookies.ack(ours, theirs, 80);
                    let mut bytes = segment(ack.port, tcp::RST);
                    bytes[4..8].copy_from_slice(&ack.sequence.to_be_bytes());
                    (ip::TCP, bytes)
                }
                2 => {
                    let port = cookies.udp(ours, theirs, 53);
                    (ip::UDP, udp::datagram(ends(v4), 53, port, b"answer"))
                }
                3 => {
                    let echo = cookies.echo(ours, theirs);
                    let mut bytes =
                        icmp::echo_request(ends(v4), echo.identifier, echo.sequence, &echo.data);
                    bytes[0] = if v4 { 0 } else { 129 };
                    (number, bytes)
                }
                _ => {
                    let back = Ends::new(ours, theirs).unwrap();
                    let sent = tcp::syn(back, syn.port, 80, syn.sequence);
                    let mut bytes = vec![if v4 { 3 } else { 1 }, if v4 { 1 } else { 3 }];
                    bytes.resize(8, 0);
                    bytes.extend(ip::packet(back, ip::TCP, 64, &sent));
                    (number, bytes)
                }
            };
            let whole = frame(v4, protocol, &inside);
            prop_assert!(read(&cookies, HERE, &whole).is_some() && lets_in(&whole));
            let mut changed = whole;
            if let Some(byte) = changed.get_mut(at) {
                *byte = value;
            }
            changed.truncate(len);
            if read(&cookies, HERE, &changed).is_some() {
                prop_assert!(lets_in(&changed), "{changed:?}");
            }
        }
    }

    /// Which reader an Ethernet frame is for: how it is seen when it comes in, the outermost tag
    /// taken off, and when it goes out.
    fn reader(frame: &[u8]) -> [u32; 2] {
        let program = for_fanout(IP);
        let kind = |at: usize| u32::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
        let told = |incoming: bool, ether_type: u32| {
            move |k: u32| match k {
                PACKET_TYPE if incoming => 0,
                PACKET_TYPE => libc::PACKET_OUTGOING.into(),
                ETHER_TYPE => ether_type,
                other => panic!("{other:#x}"),
            }
        };
        let inside = if matches!(kind(12), 0x8100 | 0x88a8) { 18 } else { 14 };
        [
            execute(&program, &frame[inside..], &told(true, kind(inside - 2))),
            execute(&program, frame, &told(false, kind(12))),
        ]
    }

    fn tagged(frame: &[u8], tags: &[u16]) -> Vec<u8> {
        let tags = tags.iter().flat_map(|kind| [kind.to_be_bytes(), [0, 7]].concat());
        frame[..12].iter().copied().chain(tags).chain(frame[12..].iter().copied()).collect()
    }

    #[test]
    fn what_two_stations_say_to_each_other_is_one_readers() {
        for (version, one, other) in
            [(true, "198.18.0.9", "203.0.113.77"), (false, "2001:db8::9", "2001:db8:7::1")]
        {
            let [one, other] = [one, other].map(|text| text.parse::<IpAddr>().unwrap());
            let packet = |from, to, protocol, payload: &[u8]| {
                let kind = if version { ethernet::IPV4 } else { ethernet::IPV6 };
                let ends = Ends::new(from, to).unwrap();
                ethernet::frame(HERE, THERE, kind, &ip::packet(ends, protocol, 64, payload))
            };
            let plain = packet(one, other, ip::TCP, &[0; 20]);
            let [expected, going] = reader(&plain);
            assert!(expected == going && expected > 0);
            for frame in [
                // The other direction, other ports, another protocol, a tunnel.
                packet(other, one, ip::TCP, &[7; 20]),
                packet(other, one, ip::UDP, &[0xff; 8]),
                packet(one, other, 47, &[9; 40]),
                // In VLANs, one in the other.
                tagged(&plain, &[0x8100]),
                tagged(&plain, &[0x88a8, 0x8100]),
            ] {
                assert_eq!(reader(&frame), [expected; 2], "{frame:02x?}");
            }
            // A fragment.
            let mut fragment = plain.clone();
            (fragment[20], fragment[21]) = (0x20, 0x10);
            assert_eq!(reader(&fragment), [expected; 2]);
            // Cut before its addresses.
            assert_eq!(reader(&plain[..28]), [0; 2]);
        }
    }

    #[test]
    fn what_is_no_packet_is_the_first_readers() {
        for kind in [ethernet::ARP, 0x88cc, 0x8847, 0x8864, 38] {
            assert_eq!(reader(&ethernet::frame(HERE, THERE, kind, &[0xab; 60])), [0; 2], "{kind}");
        }
    }

    #[test]
    fn neighbours_are_spread_over_readers() {
        for readers in [2_u32, 3, 4, 8] {
            let mut counts = vec![0_u32; readers as usize];
            for last in 2..=251 {
                let ends = Ends::new([198, 18, 0, 1].into(), [198, 18, 0, last].into()).unwrap();
                let packet = ip::packet(ends, ip::TCP, 64, &[0; 20]);
                let [reader, _] = reader(&ethernet::frame(HERE, THERE, ethernet::IPV4, &packet));
                counts[(reader % readers) as usize] += 1;
            }
            let fair = 250 / readers;
            let within = fair / 2..=fair * 2;
            assert!(counts.iter().all(|count| within.contains(count)), "{counts:?}");
        }
    }
}
