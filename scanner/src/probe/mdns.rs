//! Multicast DNS, asked by unicast: which kinds of service a device offers, under which
//! name, and what it says of its model.
//!
//! A question from another port than 5353 gets a plain unicast answer (RFC 6762, section
//! 6.7). The second question asks for the instances of what the first one brought.

use std::{collections::BTreeSet, fmt::Write as _, net::IpAddr};

use model::{Fact, MachineIdKind, NameSource, Service, Transport};
use wire::{
    dns::{self, Answer, Data, IN, Name, PTR, Record, UNICAST_RESPONSE},
    lines,
};

use super::{
    Probe, Reading, Step, Talk,
    said::{attribute, machine_id, machine_name},
};

/// The probe.
pub struct Mdns;

/// RFC 6763, section 9: the names of all kinds of service.
pub(super) const KINDS: &str = "_services._dns-sd._udp.local";

/// A question more would not fit a small device's buffer.
const MAX_KINDS: usize = 12;

const CLASS: u16 = IN | UNICAST_RESPONSE;

impl Probe for Mdns {
    fn protocol(&self) -> &'static str {
        "mdns"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn ports(&self) -> &'static [u16] {
        &[5353]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        match talk.said() {
            0 => Step::Say(first_question(talk.cookie)),
            1 if talk.heard(1).is_empty() && !talk.ended => Step::Listen,
            1 => {
                let Some(answer) = answer(talk, 1) else {
                    return Step::Finish;
                };
                let reverse = reverse(talk.address);
                let kinds: Vec<String> =
                    kinds(&answer).into_iter().map(|kind| format!("{kind}.local")).collect();
                let mut questions = vec![(reverse.as_str(), PTR, CLASS)];
                questions.extend(kinds.iter().take(MAX_KINDS).map(|k| (k.as_str(), PTR, CLASS)));
                Step::Say(dns::query(id(talk.cookie), &questions))
            }
            2 if talk.heard(2).is_empty() && !talk.ended => Step::Listen,
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let Some(first) = answer(talk, 1) else {
            return Reading::default();
        };
        let mut records = first.records.clone();
        let mut evidence = talk.heard(1).to_vec();
        if let Some(second) = answer(talk, 2) {
            records.extend(second.records);
            evidence = talk.heard(2).to_vec();
        }
        let mut service = Service::of("mdns");
        let kinds: Vec<String> = kinds(&first).into_iter().collect();
        attribute(&mut service, "services", &kinds.join(","));
        let mut facts = describe(&mut service, &records);
        let name = host(&records, talk.address).and_then(|n| machine_name(&n, NameSource::Mdns));
        facts.extend(name);
        facts.insert(0, Fact::Service(service));
        Reading { facts, evidence }
    }
}

/// The question's number. Some devices answer with zero, as if by multicast.
fn id(cookie: u32) -> u16 {
    let [_, _, high, low] = cookie.to_be_bytes();
    u16::from_be_bytes([high, low])
}

fn answer(talk: &Talk<'_>, n: usize) -> Option<Answer> {
    let answer = Answer::parse(talk.heard(n)).ok()?;
    (answer.id == id(talk.cookie) || answer.id == 0).then_some(answer)
}

/// Kinds of service, such as `_ipp._tcp`, in alphabetical order: devices shuffle them.
fn kinds(answer: &Answer) -> BTreeSet<String> {
    answer
        .records
        .iter()
        .filter(|record| record.name.to_string().eq_ignore_ascii_case(KINDS))
        .filter_map(|record| match &record.data {
            Data::Pointer(Name(labels)) => match labels.as_slice() {
                [kind, transport, ..] if is_plain(kind) && is_plain(transport) => {
                    Some(format!("{kind}.{transport}").to_ascii_lowercase())
                }
                _ => None,
            },
            _ => None,
        })
        .collect()
}

/// A label of a kind (RFC 6335, section 5.1): what else is there is not asked for.
fn is_plain(label: &str) -> bool {
    let inner = label.strip_prefix('_').unwrap_or("");
    (1..=15).contains(&inner.len())
        && inner.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The name under which an address is looked up (RFC 1035, section 3.5; RFC 3596, section 2.5).
pub(crate) fn reverse(address: IpAddr) -> String {
    let mut name = String::new();
    match address {
        IpAddr::V4(v4) => {
            for byte in v4.octets().iter().rev() {
                let _ = write!(name, "{byte}.");
            }
            name.push_str("in-addr.arpa");
        }
        IpAddr::V6(v6) => {
            for byte in v6.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", byte & 0x0f, byte >> 4);
            }
            name.push_str("ip6.arpa");
        }
    }
    name
}

/// The name of who has the address: by its reverse name, by an address record, or by the
/// one host that all services point at. A proxy answers for several, which is no name.
fn host(records: &[Record], address: IpAddr) -> Option<String> {
    let reverse = reverse(address);
    let by_reverse = records.iter().find_map(|record| match &record.data {
        Data::Pointer(name) if record.name.to_string() == reverse => Some(name),
        _ => None,
    });
    let by_address = records.iter().find_map(|record| match record.data {
        Data::Address(other) if other == address => Some(&record.name),
        _ => None,
    });
    let mut targets = records.iter().filter_map(|record| match &record.data {
        Data::Service { target, .. } => Some(target),
        _ => None,
    });
    let first = targets.next();
    let by_service = first.filter(|first| targets.all(|target| target == *first));
    by_reverse.or(by_address).or(by_service).map(Name::to_string)
}

/// Model and numbers from the TXT records, where they say `key=value` (RFC 6763, section 6).
pub(crate) fn describe(service: &mut Service, records: &[Record]) -> Vec<Fact> {
    /// Keys by which devices name their model: AirPlay and device-info, Chromecast, printers.
    const MODEL: [&str; 5] = ["model", "md", "am", "ty", "usb_mdl"];
    let mut facts = Vec::new();
    let mut models = BTreeSet::new();
    let strings = records.iter().filter_map(|record| match &record.data {
        Data::Text(strings) => Some(strings),
        _ => None,
    });
    for string in strings.flatten() {
        let text = lines::text(string);
        let Some((key, value)) = text.split_once('=') else { continue };
        let value = value.trim();
        match key.to_ascii_lowercase().as_str() {
            key if MODEL.contains(&key) && !value.is_empty() => {
                models.insert(value.to_owned());
            }
            "uuid" if value.len() == 36 => {
                let fact = machine_id(MachineIdKind::DeviceUuid, value.to_ascii_lowercase());
                facts.extend(Some(fact).filter(|fact| !facts.contains(fact)));
            }
            _ => {}
        }
    }
    let models: Vec<String> = models.into_iter().collect();
    attribute(service, "model", &models.join("; "));
    facts
}

/// The question that the sweep asks before it knows whether anybody is there.
pub(super) fn first_question(cookie: u32) -> Vec<u8> {
    dns::query(id(cookie), &[(KINDS, PTR, CLASS)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing;

    const COOKIE: u32 = 0x0a0b_0c0d;

    fn name(labels: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for label in labels {
            out.push(label.len() as u8);
            out.extend(label.bytes());
        }
        out.push(0);
        out
    }

    fn message(records: &[(Vec<u8>, u16, Vec<u8>)]) -> Vec<u8> {
        let mut out = id(COOKIE).to_be_bytes().to_vec();
        out.extend([0x84, 0, 0, 0, 0, records.len() as u8, 0, 0, 0, 0]);
        for (owner, kind, data) in records {
            out.extend(owner);
            out.extend(kind.to_be_bytes());
            out.extend([0x80, 1, 0, 0, 0, 10, 0, data.len() as u8]);
            out.extend(data);
        }
        out
    }

    fn first() -> Vec<u8> {
        let owner = || name(&["_services", "_dns-sd", "_udp", "local"]);
        message(&[
            (owner(), PTR, name(&["_ssh", "_tcp", "local"])),
            (owner(), PTR, name(&["_ipp", "_tcp", "local"])),
            (owner(), PTR, name(&["not plain", "_tcp", "local"])),
        ])
    }

    fn second() -> Vec<u8> {
        let instance = || name(&["My Printer", "_ipp", "_tcp", "local"]);
        let mut service = vec![0, 0, 0, 0, 2, 0x77];
        service.extend(name(&["Prn7", "local"]));
        let mut text = b"\x0eusb_MDL=Laser7".to_vec();
        text.extend(b"\x29UUID=4509A320-00A0-008F-00B6-002507510ECA");
        message(&[
            (name(&["_ipp", "_tcp", "local"]), PTR, instance()),
            (instance(), 33, service),
            (instance(), dns::TXT, text),
        ])
    }

    fn read(answers: &[Vec<u8>]) -> Vec<Fact> {
        let mut heard = vec![vec![]];
        heard.extend_from_slice(answers);
        Mdns.read(&testing::talk(&heard, true)).facts
    }

    #[test]
    fn a_device_says_its_name_and_what_it_offers() {
        let facts = read(&[first(), second()]);
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.attributes["services"], "_ipp._tcp,_ssh._tcp");
        assert_eq!(service.attributes["model"], "Laser7");
        let uuid = "4509a320-00a0-008f-00b6-002507510eca".to_owned();
        let expected = [
            machine_id(MachineIdKind::DeviceUuid, uuid),
            Fact::HostName { name: "prn7.local".into(), source: NameSource::Mdns },
        ];
        assert_eq!(facts[1..], expected);
    }

    #[test]
    fn the_second_question_asks_for_what_the_first_brought() {
        let step = |heard: &[Vec<u8>], ended| Mdns.request(&testing::talk(heard, ended));
        assert_eq!(step(&[vec![]], false), Step::Say(first_question(COOKIE)));
        assert_eq!(step(&[vec![], vec![]], false), Step::Listen);
        assert_eq!(step(&[vec![], vec![]], true), Step::Finish);
        let Step::Say(question) = step(&[vec![], first()], false) else { panic!() };
        assert_eq!(question[4..6], [0, 3]);
        let asked = name(&["1", "2", "0", "192", "in-addr", "arpa"]);
        assert_eq!(question[12..12 + asked.len()], asked);
        assert_eq!(step(&[vec![], first(), vec![]], true), Step::Finish);
    }

    #[test]
    fn a_proxy_for_several_has_no_name() {
        let record = |target: &str| {
            let service = Data::Service { port: 1, target: Name(vec![target.to_owned()]) };
            Record { name: Name::default(), data: service }
        };
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(host(&[record("a"), record("b")], here), None);
        assert_eq!(host(&[record("a"), record("a")], here).as_deref(), Some("a"));
        let address = Record { name: Name(vec!["c".into()]), data: Data::Address(here) };
        assert_eq!(host(&[record("a"), address], here).as_deref(), Some("c"));
    }

    #[test]
    fn addresses_have_reverse_names() {
        assert_eq!(reverse("192.0.2.7".parse().unwrap()), "7.2.0.192.in-addr.arpa");
        let v6 = reverse("2001:db8::1".parse().unwrap());
        assert!(v6.starts_with("1.0.0.0.") && v6.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"), "{v6}");
    }

    #[test]
    fn every_cut_says_less_and_somebody_elses_answer_nothing() {
        let bytes = first();
        for len in 0..bytes.len() {
            assert_eq!(read(&[bytes[..len].to_vec()]).is_empty(), len < 12, "cut at {len}");
        }
        let mut other = bytes;
        other[1] ^= 1;
        assert_eq!(read(&[other]), []);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            one in proptest::collection::vec(any::<u8>(), 0..100),
            at in 0_usize..200,
            with in any::<u8>(),
        ) {
            read(std::slice::from_ref(&one));
            read(&[first(), one]);
            let mut damaged = second();
            let at = at % damaged.len();
            damaged[at] = with;
            read(&[first(), damaged.clone()]);
            let heard = vec![vec![], damaged];
            let _ = Mdns.request(&testing::talk(&heard, false));
        }
    }
}
