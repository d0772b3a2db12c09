//! Which protocols to try on a port, in which order, and which ports to leave alone.
//!
//! All of it follows from the port, the catalog of probes and what was heard so far;
//! nothing here waits or sends.

use model::Transport;

use super::ControlSystems;
use crate::probe::{Probe, Step, Talk, catalog, one_question, udp::tunnel};

/// A way to begin a conversation.
#[derive(Clone, Copy)]
pub(super) enum Attempt {
    /// In the clear, in this probe's protocol unless the server speaks first.
    Plain(&'static dyn Probe),
    /// Inside TLS, the same.
    Tls(&'static dyn Probe),
}

impl Attempt {
    pub(super) fn probe(self) -> &'static dyn Probe {
        match self {
            Self::Plain(probe) | Self::Tls(probe) => probe,
        }
    }

    pub(super) const fn is_tls(self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether it is the same attempt.
    pub(super) fn is(self, other: Self) -> bool {
        self.is_tls() == other.is_tls() && self.probe().protocol() == other.probe().protocol()
    }
}

/// Ports whose services take whatever they get for something to print or to switch, and
/// ports of controllers. Nothing is sent there, and no connection is made: some printers
/// print a page for an empty job. 515 takes connections, but has nothing to say without a
/// command. Where the owner allows it, those of controllers are asked what they are.
#[must_use]
pub const fn is_left_alone(port: u16, control_systems: ControlSystems) -> bool {
    match control_systems {
        ControlSystems::Ask if has_name_plate(port) => false,
        _ => is_silent(port),
    }
}

const fn is_silent(port: u16) -> bool {
    matches!(port, 102 | 502 | 515 | 2_404 | 9_100..=9_107 | 20_000 | 44_818 | 47_808)
}

/// Ports of control systems whose protocols have a question for what the device is, which
/// changes nothing: Modbus, EtherNet/IP, BACnet. Nothing but that question is asked there.
const fn has_name_plate(port: u16) -> bool {
    matches!(port, 502 | 44_818 | 47_808)
}

/// Ports that only devices have which bear one gentle question at a time: printers and
/// controllers.
pub(crate) const fn is_of_something_fragile(port: u16) -> bool {
    is_silent(port) || port == 631
}

/// Ports on which TLS comes first, from the registry and from the habits of products.
const TLS_PORTS: &[u16] = &[
    443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 1_443, 2_083, 2_087, 2_376, 2_381,
    3_269, 4_443, 5_061, 5_349, 5_480, 5_671, 5_986, 6_443, 6_514, 6_697, 7_443, 8_006, 8_089,
    8_443, 8_531, 8_834, 8_843, 8_883, 9_443, 10_443, 16_993,
];

/// Whether TLS is likelier than plain text on this port.
pub(super) fn is_tls_port(port: u16) -> bool {
    TLS_PORTS.contains(&port)
}

/// The probes of a transport that are likely on a port, the likeliest first.
pub(super) fn likely(
    port: u16,
    transport: Transport,
    except: &[String],
) -> Vec<&'static dyn Probe> {
    let mut found: Vec<(usize, &'static dyn Probe)> = catalog::all()
        .iter()
        .filter(|probe| probe.transport() == transport && is_allowed(**probe, except))
        .filter_map(|probe| Some((probe.ports().iter().position(|known| *known == port)?, *probe)))
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, probe)| probe).collect()
}

/// What speaks like that on a UDP port that no probe knows: TLS in datagrams may be anywhere.
pub(super) fn answered_with(reply: &[u8], except: &[String]) -> Vec<&'static dyn Probe> {
    let probes: [(&'static dyn Probe, bool); 2] = [
        (&one_question::DTLS, tunnel::is_dtls(reply)),
        (&one_question::QUIC, tunnel::is_quic(reply)),
    ];
    let spoken = probes.into_iter().filter(|(_, is_it)| *is_it).map(|(probe, _)| probe);
    spoken.filter(|probe| is_allowed(*probe, except)).collect()
}

fn is_allowed(probe: &dyn Probe, except: &[String]) -> bool {
    !except.iter().any(|name| name == probe.protocol())
}

/// The probe that is asked where nothing else is known.
pub(super) fn http() -> Option<&'static dyn Probe> {
    catalog::all().iter().copied().find(|probe| probe.protocol() == "http")
}

/// The attempts on a port, in order, each once.
pub(super) fn attempts(port: u16, except: &[String]) -> Vec<Attempt> {
    let mut probes = likely(port, Transport::Tcp, except);
    if has_name_plate(port) {
        return probes.into_iter().map(Attempt::Plain).collect();
    }
    if let Some(http) = http().filter(|http| is_allowed(*http, except))
        && !probes.iter().any(|probe| probe.protocol() == http.protocol())
    {
        probes.push(http);
    }
    let plain = probes.iter().copied().map(Attempt::Plain);
    let tls = probes.iter().copied().map(Attempt::Tls).take(1);
    match is_tls_port(port) {
        true => tls.chain(plain).collect(),
        false => {
            // Behind an unexpected TLS, the web is the likeliest.
            let tls = probes.last().copied().map(Attempt::Tls);
            plain.chain(tls).collect()
        }
    }
}

/// What to try where a server hung up on a question of the web without a word: stores that
/// do so on purpose, because a browser should not be able to talk them into something.
pub(super) fn after_hanging_up(except: &[String]) -> Vec<Attempt> {
    ["redis", "memcached"]
        .iter()
        .filter_map(|name| catalog::all().iter().copied().find(|probe| probe.protocol() == *name))
        .filter(|probe| probe.transport() == Transport::Tcp && is_allowed(*probe, except))
        .map(Attempt::Plain)
        .collect()
}

/// Whether the server speaks first in this probe's protocol: the probe then has nothing
/// to say to silence.
pub(super) fn server_speaks_first(probe: &dyn Probe, talk: &Talk<'_>) -> bool {
    let silent = [Vec::new()];
    probe.request(&Talk { heard: &silent, ended: false, ..*talk }) == Step::Listen
}

/// The probes that know what a server said unasked: those that are likely on the port
/// first, then in the catalog's order.
pub(super) fn recognisers(banner: &[u8], port: u16, except: &[String]) -> Vec<&'static dyn Probe> {
    let mut found = likely(port, Transport::Tcp, except);
    let first = found.len();
    for probe in catalog::all().iter().copied() {
        let twice = found[..first].iter().any(|other| other.protocol() == probe.protocol());
        if probe.transport() == Transport::Tcp && !twice && is_allowed(probe, except) {
            found.push(probe);
        }
    }
    found.retain(|probe| probe.recognises(banner));
    found
}

/// The first of them.
pub(super) fn recognise(banner: &[u8], port: u16, except: &[String]) -> Option<&'static dyn Probe> {
    recognisers(banner, port, except).first().copied()
}

/// Whether a recognised banner is more than a catch-all's.
pub(super) fn is_specific(probe: &dyn Probe) -> bool {
    probe.protocol() != "unknown"
}

/// Whether what was heard says that TLS was expected of us: a TLS record, or a web
/// server's complaint about a plain question.
pub(super) fn wants_tls(heard: &[u8]) -> bool {
    if matches!(heard, [0x15 | 0x16, 3, 0..=4, ..]) {
        return true;
    }
    if !heard.starts_with(b"HTTP/1.") {
        return false;
    }
    const COMPLAINTS: [&[u8]; 5] = [
        b"plain http request was sent to https port",
        b"speaking plain http to an ssl-enabled server port",
        b"client sent an http request to an https server",
        b"this combination of host and port requires tls",
        b"bad request: this web server is running in ssl mode",
    ];
    let lower = heard.to_ascii_lowercase();
    COMPLAINTS.iter().any(|text| lower.windows(text.len()).any(|window| window == *text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(port: u16, expected: &[&str]) {
        let names: Vec<String> = attempts(port, &[])
            .into_iter()
            .map(|attempt| {
                let tls = if attempt.is_tls() { "tls " } else { "" };
                format!("{tls}{}", attempt.probe().protocol())
            })
            .collect();
        assert_eq!(names, expected, "{port}");
    }

    #[test]
    fn likelihood_follows_the_port() {
        check(22, &["ssh", "http", "tls http"]);
        check(80, &["http", "tls http"]);
        check(443, &["tls http", "http"]);
        check(993, &["tls imap", "imap", "http"]);
        check(12_345, &["http", "tls http"]);
        assert!(attempts(80, &["http".into()]).is_empty());
        assert_eq!(after_hanging_up(&["redis".into()]).len(), 1);
    }

    #[test]
    fn printers_and_controllers_are_left_alone() {
        for port in [102, 502, 515, 9_100, 9_107, 20_000, 44_818, 47_808] {
            assert!(is_left_alone(port, ControlSystems::LeaveAlone), "{port}");
        }
        for port in [631, 9_099, 9_108] {
            assert!(!is_left_alone(port, ControlSystems::LeaveAlone), "{port}");
        }
        assert!(is_of_something_fragile(631));
    }

    #[test]
    fn where_it_is_allowed_controllers_are_asked_for_their_name_plates_and_nothing_else() {
        for port in [102, 515, 2_404, 9_100, 20_000] {
            assert!(is_left_alone(port, ControlSystems::Ask), "{port}");
        }
        for (port, expected) in [(502, &["modbus"][..]), (44_818, &["enip"]), (47_808, &[])] {
            assert!(!is_left_alone(port, ControlSystems::Ask), "{port}");
            check(port, expected);
        }
    }

    #[test]
    fn banners_choose_their_probe_by_port_then_by_form() {
        let name = |banner: &[u8], port| recognise(banner, port, &[]).map(Probe::protocol);
        assert_eq!(name(b"SSH-2.0-x\r\n", 25), Some("ssh"));
        assert_eq!(name(b"220 ready\r\n", 25), Some("smtp"));
        assert_eq!(name(b"220 ready\r\n", 21), Some("ftp"));
        assert_eq!(name(b"gibberish", 21), Some("unknown"));
        assert_eq!(name(b"", 21), None);
    }

    #[test]
    fn complaints_about_plain_questions_mean_tls() {
        assert!(wants_tls(&[0x15, 3, 1, 0, 2, 2, 40]));
        assert!(wants_tls(
            b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port"
        ));
        assert!(!wants_tls(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        assert!(!wants_tls(b"") && !wants_tls(b"SSH-2.0"));
    }
}
