//! UPnP devices: a search sent to one address, for its product and its number.

use model::{Fact, MachineIdKind, Service, Transport};
use wire::ssdp::{self, Answer};

use super::{
    Probe, Reading, Step, Talk, product,
    said::{attribute, authority, machine_id},
};

/// The probe.
pub struct Ssdp;

impl Probe for Ssdp {
    fn protocol(&self) -> &'static str {
        "ssdp"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn ports(&self) -> &'static [u16] {
        &[1900]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            // Where nobody in particular is asked, HOST names the group.
            0 if talk.address.is_unspecified() => Step::Say(ssdp::search("239.255.255.250:1900")),
            0 => Step::Say(ssdp::search(&authority(talk))),
            1 if talk.heard(1).is_empty() && !talk.ended => Step::Listen,
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        read(talk.heard(1))
    }
}

/// What an answer to a search shows.
pub(super) fn read(bytes: &[u8]) -> Reading {
    let facts = Answer::parse(bytes).map_or_else(|_| Vec::new(), |answer| facts(&answer));
    let evidence = if facts.is_empty() { Vec::new() } else { bytes.to_vec() };
    Reading { facts, evidence }
}

/// What a SERVER field says: the service, and the system that it runs on.
pub(crate) type Said = (Service, Option<Fact>);

/// What a device says of itself, asked or not.
fn facts(answer: &Answer) -> Vec<Fact> {
    facts_by(answer, said)
}

/// The same, where what a SERVER field says may be known already.
pub(crate) fn facts_by(answer: &Answer, said: impl FnOnce(&str) -> Said) -> Vec<Fact> {
    // Any web server could answer with a status; only this protocol has these fields.
    if answer.usn.is_none() && answer.target.is_none() {
        return Vec::new();
    }
    let nothing = || (Service::of("ssdp"), None);
    let (service, system) = answer.server.as_deref().map_or_else(nothing, said);
    let number = answer.device_uuid().map(|uuid| machine_id(MachineIdKind::DeviceUuid, uuid));
    [Some(Fact::Service(service)), system, number].into_iter().flatten().collect()
}

/// What a SERVER field says, by itself alone.
pub(crate) fn said(server: &str) -> Said {
    let mut service = Service::of("ssdp");
    attribute(&mut service, "server", server);
    let (system, product) = split(server);
    product::put(&mut service, product::find(product).or_else(|| product::guess(product)));
    (service, operating_system(system))
}

/// What stands before and behind `UPnP/1.0` in a SERVER field: system and product (UPnP
/// Device Architecture 2.0, section 1.3.3).
fn split(server: &str) -> (&str, &str) {
    let Some(at) = server.find("UPnP/") else {
        return ("", server);
    };
    let (system, rest) = server.split_at_checked(at).unwrap_or(("", server));
    let product = rest.split_once([' ', ',']).map_or("", |(_, product)| product);
    let separators = [' ', ','];
    (system.trim_matches(separators), product.trim_matches(separators))
}

/// `Linux/5.10`, `Microsoft-Windows/10.0`, `Debian/12`, `FreeBSD/13.2`.
fn operating_system(system: &str) -> Option<Fact> {
    let (name, rest) = system.split_once(['/', ' ']).unwrap_or((system, ""));
    let version = rest
        .split([' ', ',', '/'])
        .next()
        .map(|version| version.strip_prefix(['v', 'V']).unwrap_or(version))
        .filter(|version| version.starts_with(char::is_numeric));
    match name {
        "Linux" => Some(product::system("Linux", version, Some(("linux", "linux_kernel")))),
        "Microsoft-Windows" | "Microsoft-Windows-NT" | "WindowsNT" => {
            Some(product::system("Windows", version, None))
        }
        _ => product::operating_system(name),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing;

    fn answer(server: &str) -> Vec<u8> {
        format!(
            "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\
             USN: uuid:2FAC1234-31F8-11B4-A222-08002B34C003::upnp:rootdevice\r\n\
             SERVER: {server}\r\n\r\n"
        )
        .into_bytes()
    }

    #[track_caller]
    fn check(server: &str, product: Option<(&str, Option<&str>)>, system: Option<&str>) {
        let facts = read(&answer(server)).facts;
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        let got = service.product.as_deref().map(|name| (name, service.version.as_deref()));
        assert_eq!(got, product, "{server}");
        let named = facts.iter().find_map(|fact| match fact {
            Fact::OperatingSystem { name, .. } => Some(name.as_str()),
            _ => None,
        });
        assert_eq!(named, system, "{server}");
        let uuid = "2fac1234-31f8-11b4-a222-08002b34c003".to_owned();
        assert_eq!(facts.last(), Some(&machine_id(MachineIdKind::DeviceUuid, uuid)));
    }

    #[test]
    fn devices_say_what_they_run() {
        check(
            "Linux/5.10 UPnP/1.1 MiniUPnPd/2.3.1",
            Some(("MiniUPnPd", Some("2.3.1"))),
            Some("Linux"),
        );
        check(
            "Linux/2.6.31, UPnP/1.0, Portable SDK for UPnP devices/1.6.19",
            Some(("Portable SDK for UPnP devices", Some("1.6.19"))),
            Some("Linux"),
        );
        check("Unspecified, UPnP/1.0, Unspecified", None, None);
        check(
            "Microsoft-Windows/10.0 UPnP/1.0 Example/3.1",
            Some(("Example", Some("3.1"))),
            Some("Windows"),
        );
    }

    #[test]
    fn only_an_answer_to_a_search_counts() {
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n"), Reading::default());
        let bytes = answer("Linux/5.10 UPnP/1.1 MiniUPnPd/2.3.1");
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), Reading::default(), "cut at {len}");
        }
    }

    #[test]
    fn one_question_is_asked() {
        let mut heard = vec![vec![]];
        let Step::Say(question) = Ssdp.request(&testing::talk(&heard, false)) else { panic!() };
        assert!(question.starts_with(b"M-SEARCH * HTTP/1.1\r\nHOST: 192.0.2.1:7\r\n"));
        heard.push(vec![]);
        assert_eq!(Ssdp.request(&testing::talk(&heard, false)), Step::Listen);
        assert_eq!(Ssdp.request(&testing::talk(&heard, true)), Step::Finish);
        heard[1] = answer("x");
        assert_eq!(Ssdp.request(&testing::talk(&heard, false)), Step::Finish);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..150),
            server in "\\PC{0,60}",
        ) {
            read(&bytes);
            read(&answer(&server));
        }
    }
}
