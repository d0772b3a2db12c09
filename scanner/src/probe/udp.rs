//! The first datagram to each UDP port that we know, and what its answer shows.
//!
//! A UDP port that is asked in another language stays silent, so the sweep asks each in its
//! own: with the first question of the probe that the catalog has for it. All questions are
//! well-formed, read nothing but what anybody may read, and change nothing. Silence means
//! nothing: the port may be open, or a filter may have swallowed the question.
//!
//! The protocols of one question each are asked and read in the folder beside this file.

pub(crate) mod control;
pub(crate) mod data;
pub(crate) mod device;
pub(crate) mod login;
pub(crate) mod tunnel;
pub(crate) mod voice;
pub(crate) mod windows;

use std::net::{IpAddr, Ipv4Addr};

use model::Transport;

use super::{Probe, Reading, Step, Talk, catalog, one_question, snmp};

/// The question for that port, to nobody in particular. `cookie` is repeated by an honest
/// answer where the protocol has room for it.
///
/// Ports that nothing is known of get an empty datagram: a closed one refuses it just as
/// well. So does 67: a DHCP server answers to port 68 only, and what would make it answer
/// could cost it a lease. And 51820: WireGuard is silent to strangers.
#[must_use]
pub fn payload(port: u16, cookie: u32) -> Vec<u8> {
    payload_to(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port, cookie)
}

/// The same to one address. LLMNR (5355) has a question only so: for that address's name.
#[must_use]
pub fn payload_to(address: IpAddr, port: u16, cookie: u32) -> Vec<u8> {
    probe_of(port).map_or_else(Vec::new, |probe| first_question(probe, address, port, cookie))
}

/// The same as [`payload_to`], but SNMP is asked with the community `public`, for owners who allow
/// it: in version 1, which most agents speak beside others and old ones speak alone. Agents
/// that do not speak version 3 are silent to [`payload`].
#[must_use]
pub fn payload_with_public(address: IpAddr, port: u16, cookie: u32) -> Vec<u8> {
    match port {
        161 => first_question(&snmp::WITH_PUBLIC_V1, address, port, cookie),
        _ => payload_to(address, port, cookie),
    }
}

/// The same as [`payload_to`] where it was asked so often before. A port of which nothing is known
/// is asked for DTLS, and where it is silent for QUIC: either may be anywhere, and both are made
/// to be safe from who does not know them. Not where who gets an unexpected datagram may be a
/// machine, nor where it would be silent in any case.
#[must_use]
pub fn payload_in_turn(address: IpAddr, port: u16, cookie: u32, before: u64) -> Vec<u8> {
    match probe_of(port) {
        Some(probe) => first_question(probe, address, port, cookie),
        None if !may_be_anything(port) => Vec::new(),
        None if before.is_multiple_of(2) => {
            first_question(&one_question::DTLS, address, port, cookie)
        }
        None => first_question(&one_question::QUIC, address, port, cookie),
    }
}

/// Whether TLS in datagrams may be looked for on a port that no probe knows.
const fn may_be_anything(port: u16) -> bool {
    !is_for_control_systems(port) && !matches!(port, 67 | 68 | 51_820)
}

/// What the answer to [`payload_to`] shows. Empty where it is not that protocol's answer: the
/// port is open all the same.
#[must_use]
pub fn read(address: IpAddr, port: u16, cookie: u32, answer: &[u8]) -> Reading {
    let heard = [Vec::new(), answer.to_vec()];
    let talk = Talk { heard: &heard, ended: true, ..silence(address, port, cookie) };
    probe_of(port).map_or_else(Reading::default, |probe| probe.read(&talk))
}

/// Whether it is a port of controllers of machines and buildings, which the sweep asks only
/// in the profile for control systems (`ot`): Siemens S7 (102), Modbus (502), EtherNet/IP
/// (2222, 44818), IEC 60870-5-104 (2404), KNX (3671), Omron FINS (9600), DNP3 (20000),
/// PROFINET (34962 to 34964), BACnet (47808 to 47823).
#[must_use]
pub const fn is_for_control_systems(port: u16) -> bool {
    matches!(
        port,
        102 | 502
            | 2_222
            | 2_404
            | 3_671
            | 9_600
            | 20_000
            | 34_962..=34_964
            | 44_818
            | 47_808..=47_823
    )
}

/// The likeliest probe on a port, less those that are for owners who allow them.
fn probe_of(port: u16) -> Option<&'static dyn Probe> {
    let known = catalog::all().iter().copied().filter(|probe| {
        probe.transport() == Transport::Udp && !catalog::ON_REQUEST.contains(&probe.protocol())
    });
    let ranked = known.filter_map(|probe| {
        let rank = probe.ports().iter().position(|known| *known == port)?;
        Some((rank, probe))
    });
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, probe)| probe)
}

/// The first thing that a probe says.
fn first_question(probe: &dyn Probe, address: IpAddr, port: u16, cookie: u32) -> Vec<u8> {
    let heard = [Vec::new()];
    match probe.request(&Talk { heard: &heard, ..silence(address, port, cookie) }) {
        Step::Say(question) => question,
        _ => Vec::new(),
    }
}

fn silence(address: IpAddr, port: u16, cookie: u32) -> Talk<'static> {
    Talk { address, port, tls: false, server_name: None, cookie, heard: &[], ended: false }
}

/// As much of the cookie as a 16-bit number holds.
pub(super) fn low_half(cookie: u32) -> u16 {
    let [_, _, high, low] = cookie.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// As much of the cookie as a byte holds.
pub(super) fn low_byte(cookie: u32) -> u8 {
    let [.., low] = cookie.to_be_bytes();
    low
}

#[cfg(test)]
pub(crate) mod tests {
    use model::{Fact, Service};
    use proptest::prelude::*;

    use super::*;

    pub(crate) const COOKIE: u32 = 0x0a0b_0c0d;
    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    /// Every port of a UDP probe that is asked of strangers.
    fn known() -> Vec<u16> {
        let probes = catalog::all().iter().filter(|probe| probe.transport() == Transport::Udp);
        let mut ports: Vec<u16> = probes.flat_map(|probe| probe.ports()).copied().collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    pub(crate) fn facts(port: u16, answer: &[u8]) -> Vec<Fact> {
        read(HERE, port, COOKIE, answer).facts
    }

    #[track_caller]
    pub(crate) fn service(port: u16, answer: &[u8]) -> Service {
        match facts(port, answer).into_iter().next() {
            Some(Fact::Service(service)) => service,
            other => panic!("{other:?}"),
        }
    }

    /// Every shorter answer is none.
    #[track_caller]
    pub(crate) fn check_cuts(port: u16, answer: &[u8]) {
        assert_ne!(facts(port, answer), [], "{port}");
        for len in 0..answer.len() {
            assert_eq!(facts(port, &answer[..len]), [], "{port} cut at {len}");
        }
    }

    #[test]
    fn every_port_of_the_list_has_a_question_that_fits_a_datagram() {
        for port in known() {
            let question = payload_to(HERE, port, COOKIE);
            // QUIC alone has to be large.
            let most = if matches!(port, 443 | 853 | 8443) { 1200 } else { 520 };
            assert!((1..=most).contains(&question.len()), "{port}: {} bytes", question.len());
        }
        for known in &crate::ports::UDP {
            let question = payload(known.port, COOKIE);
            assert!(!question.is_empty(), "{} has no question", known.port);
        }
        for port in [67, 68, 1, 40_000, 51_820] {
            assert_eq!(payload(port, COOKIE), Vec::<u8>::new());
        }
    }

    #[test]
    fn a_port_of_which_nothing_is_known_is_asked_for_both_in_turn() {
        let turn = |port, before| payload_in_turn(HERE, port, COOKIE, before);
        assert_eq!(turn(40_000, 0), payload(5684, COOKIE));
        assert_eq!(turn(40_000, 1), payload(443, COOKIE));
        assert_eq!(turn(53, 1), payload_to(HERE, 53, COOKIE));
        for port in [67, 68, 51_820, 34_962, 20_000] {
            assert_eq!(turn(port, 0), Vec::<u8>::new(), "{port}");
        }
    }

    #[test]
    fn at_least_25_protocols_have_questions_of_their_own() {
        let probes = catalog::all().iter().filter(|probe| probe.transport() == Transport::Udp);
        let protocols: Vec<&str> = probes.map(|probe| probe.protocol()).collect();
        assert!(protocols.len() >= 25, "{protocols:?}");
    }

    #[test]
    fn nobody_answers_with_our_own_question() {
        for port in known() {
            assert_eq!(facts(port, &payload_to(HERE, port, COOKIE)), [], "{port}");
            assert_eq!(facts(port, b""), [], "{port}");
        }
    }

    #[test]
    fn public_is_said_only_where_it_is_allowed() {
        let says_it = |question: Vec<u8>| question.windows(6).any(|window| window == b"public");
        for port in known() {
            assert!(!says_it(payload(port, COOKIE)), "{port}");
            assert_eq!(
                says_it(payload_with_public(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port, COOKIE)),
                port == 161,
                "{port}"
            );
        }
    }

    #[test]
    fn controllers_are_asked_in_their_own_profile_only() {
        for protocol in ["modbus", "enip", "fins", "knx", "bacnet"] {
            let probe = catalog::all().iter().find(|probe| probe.protocol() == protocol).unwrap();
            for port in probe.ports() {
                assert!(is_for_control_systems(*port), "{protocol} on {port}");
            }
        }
        for port in [53, 161, 623, 5060, 47_807, 47_824] {
            assert!(!is_for_control_systems(port), "{port}");
        }
    }

    #[test]
    fn the_cookie_is_in_every_question_that_can_have_one() {
        // Their answers repeat nothing of ours.
        let without = [69, 177, 389, 1434, 1645, 1646, 1812, 1813, 1900, 3671, 5351, 5678, 10001];
        for port in known().into_iter().filter(|port| !without.contains(port)) {
            let [one, other] = [COOKIE, !COOKIE].map(|cookie| payload_to(HERE, port, cookie));
            assert_ne!(one, other, "{port}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
            text in "\\PC{0,80}",
            cookie: u32,
        ) {
            let address = "2001:db8::1".parse().unwrap();
            for port in known() {
                let _ = read(address, port, cookie, &bytes);
                let _ = read(address, port, cookie, text.as_bytes());
                let mut damaged = payload_to(address, port, cookie);
                damaged.extend(&bytes);
                let _ = read(address, port, cookie, &damaged);
            }
        }
    }
}
