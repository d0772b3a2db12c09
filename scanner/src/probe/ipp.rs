//! Printers and print servers: their attributes over IPP.
//!
//! A printer has its attributes at `/ipp/print`. CUPS has none there, but names itself in
//! HTTP's Server field, and its queues know its full version.

use model::{Cpe, Fact, MachineIdKind, Service, Transport};
use wire::{
    Problem,
    http::{self, End},
    ipp::{self, Answer},
    lines,
};

use super::{
    Probe, Reading, Step, Talk,
    said::{attribute, authority, machine_id},
};

/// The probe.
pub struct Ipp;

const WANTED: [&str; 9] = [
    "printer-make-and-model",
    "printer-firmware-name",
    "printer-firmware-string-version",
    "printer-device-id",
    "printer-uuid",
    "printer-name",
    "printer-dns-sd-name",
    "ipp-versions-supported",
    "cups-version",
];

impl Probe for Ipp {
    fn protocol(&self) -> &'static str {
        "ipp"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn ports(&self) -> &'static [u16] {
        &[631]
    }

    fn recognises(&self, _banner: &[u8]) -> bool {
        false
    }

    fn request(&self, talk: &Talk<'_>) -> Step {
        let ask =
            |operation, path| ipp::request(operation, &authority(talk), path, talk.cookie, &WANTED);
        match talk.said() {
            0 if talk.heard(0).is_empty() => {
                Step::Say(ask(ipp::GET_PRINTER_ATTRIBUTES, "/ipp/print"))
            }
            said @ (1 | 2) => match ipp::response(talk.heard(said)) {
                Err(why) if why.problem == Problem::Truncated && !talk.ended => Step::Listen,
                Ok((response, _)) if response.end != End::Complete && !talk.ended => Step::Listen,
                Ok((response, _)) if said == 1 && is_cups(&response) => {
                    let question = ask(ipp::CUPS_GET_PRINTERS, "/");
                    if response.keeps_alive() && !talk.ended {
                        Step::Say(question)
                    } else {
                        Step::Reconnect(question)
                    }
                }
                _ => Step::Finish,
            },
            _ => Step::Finish,
        }
    }

    fn read(&self, talk: &Talk<'_>) -> Reading {
        let Ok((response, answer)) = ipp::response(talk.heard(1)) else {
            return Reading::default();
        };
        let mut service = Service::of("ipp");
        let mut facts = Vec::new();
        if is_cups(&response) {
            let queue = ipp::response(talk.heard(2)).ok().and_then(|(_, answer)| answer);
            describe_cups(&mut service, &response, queue.as_ref());
        } else if let Some(answer) = answer {
            facts = describe_printer(&mut service, &answer);
        } else if !server(&response).contains("IPP/") {
            return Reading::default();
        }
        attribute(&mut service, "server", server(&response));
        facts.insert(0, Fact::Service(service));
        Reading { facts, evidence: talk.heard(1).to_vec() }
    }
}

fn server(response: &http::Response) -> &str {
    response.field("server").unwrap_or_default()
}

fn is_cups(response: &http::Response) -> bool {
    server(response).starts_with("CUPS/")
}

/// `CUPS/2.4 IPP/2.1`; with a queue, its full version.
fn describe_cups(service: &mut Service, response: &http::Response, queue: Option<&Answer>) {
    let header = server(response).strip_prefix("CUPS/").and_then(|text| text.split(' ').next());
    let version = match queue.and_then(|answer| answer.value("cups-version")) {
        Some(version) => lines::text(version),
        None => header.unwrap_or_default().to_owned(),
    };
    service.product = Some("CUPS".to_owned());
    service.version = Some(version).filter(|version| version.starts_with(char::is_numeric));
    // OpenPrinting took CUPS over from Apple with 2.4; the National Vulnerability Database
    // files each release under who made it.
    let vendor = if is_before_2_4(service.version.as_deref()) { "apple" } else { "openprinting" };
    service.cpe = Some(Cpe::application(vendor, "cups", service.version.as_deref()));
}

fn is_before_2_4(version: Option<&str>) -> bool {
    let mut parts = version.unwrap_or_default().split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (2, 4),
        _ => false,
    }
}

/// The printer as a product, its numbers as facts.
fn describe_printer(service: &mut Service, answer: &Answer) -> Vec<Fact> {
    let text = |name| answer.value(name).map(lines::text).unwrap_or_default();
    let model = text("printer-make-and-model");
    service.product = Some(model).filter(|model| !model.is_empty());
    let firmware = text("printer-firmware-string-version");
    service.version = Some(firmware).filter(|version| !version.is_empty());
    attribute(service, "firmware_name", &text("printer-firmware-name"));
    attribute(service, "printer_name", &text("printer-dns-sd-name"));
    let versions = answer.attributes.iter().find(|(name, _)| name == "ipp-versions-supported");
    let versions = versions.map(|(_, values)| values.iter().map(|v| lines::text(v)));
    let versions: Vec<String> = versions.into_iter().flatten().collect();
    attribute(service, "ipp_versions", &versions.join(","));
    let mut facts = Vec::new();
    let uuid = text("printer-uuid").to_ascii_lowercase();
    if let Some(uuid) = uuid.strip_prefix("urn:uuid:").filter(|uuid| uuid.len() == 36) {
        facts.push(machine_id(MachineIdKind::DeviceUuid, uuid.to_owned()));
    }
    let device = text("printer-device-id");
    if let Some(serial) = device_id(&device, &["SN", "SERN", "SERIALNUMBER"]) {
        facts.push(machine_id(MachineIdKind::Serial, serial.to_owned()));
    }
    facts
}

/// The value of the first of these keys in an IEEE 1284 device id, `MFG:Example;MDL:7;`.
fn device_id<'a>(text: &'a str, keys: &[&str]) -> Option<&'a str> {
    text.split(';')
        .filter_map(|field| field.split_once(':'))
        .find(|(key, _)| keys.contains(&key.trim().to_ascii_uppercase().as_str()))
        .map(|(_, value)| value.trim())
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::testing;

    fn attribute_bytes(name: &str, value: &str) -> Vec<u8> {
        let mut out = vec![0x41, 0, name.len() as u8];
        out.extend(name.bytes());
        out.extend([0, value.len() as u8]);
        out.extend(value.bytes());
        out
    }

    fn answer(server: &str, status: u16, attributes: &[(&str, &str)]) -> Vec<u8> {
        let mut body = vec![2, 0];
        body.extend(status.to_be_bytes());
        body.extend([0, 0, 0, 7, 4]);
        for (name, value) in attributes {
            body.extend(attribute_bytes(name, value));
        }
        body.push(3);
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: {server}\r\nContent-Type: application/ipp\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), &body].concat()
    }

    fn printer() -> Vec<u8> {
        answer(
            "Printer",
            0,
            &[
                ("printer-make-and-model", "Example LaserPrinter 7"),
                ("printer-firmware-string-version", "20240102"),
                ("printer-uuid", "urn:uuid:4509A320-00A0-008F-00B6-002507510ECA"),
                ("printer-device-id", "MFG:Example;MDL:LaserPrinter 7;SN:X123;"),
            ],
        )
    }

    fn step(heard: &[Vec<u8>]) -> Step {
        Ipp.request(&testing::talk(heard, false))
    }

    fn read(answers: &[Vec<u8>]) -> Vec<Fact> {
        let mut heard = vec![vec![]];
        heard.extend_from_slice(answers);
        Ipp.read(&testing::talk(&heard, true)).facts
    }

    #[test]
    fn a_printer_is_a_product_with_numbers() {
        let facts = read(&[printer()]);
        let Fact::Service(service) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(service.product.as_deref(), Some("Example LaserPrinter 7"));
        assert_eq!(service.version.as_deref(), Some("20240102"));
        let uuid = "4509a320-00a0-008f-00b6-002507510eca".to_owned();
        let expected = [
            machine_id(MachineIdKind::DeviceUuid, uuid),
            machine_id(MachineIdKind::Serial, "X123".to_owned()),
        ];
        assert_eq!(facts[1..], expected);
        assert_eq!(step(&[vec![], printer()]), Step::Finish);
    }

    #[test]
    fn cups_is_asked_for_its_queues() {
        let first = answer("CUPS/2.4 IPP/2.1", 0x0406, &[]);
        let Step::Say(question) = step(&[vec![], first.clone()]) else { panic!() };
        assert!(question.starts_with(b"POST / HTTP/1.1\r\nHost: 192.0.2.1:7\r\n"));
        let second = answer("CUPS/2.4 IPP/2.1", 0, &[("cups-version", "2.4.2")]);
        let facts = read(&[first.clone(), second]);
        let [Fact::Service(service)] = &facts[..] else { panic!("{facts:?}") };
        assert_eq!(service.version.as_deref(), Some("2.4.2"));
        let facts = read(&[first]);
        let [Fact::Service(service)] = &facts[..] else { panic!("{facts:?}") };
        assert_eq!(service.version.as_deref(), Some("2.4"));
        let cpe = "cpe:2.3:a:openprinting:cups:2.4:*:*:*:*:*:*:*";
        assert_eq!(service.cpe.as_ref().map(|cpe| cpe.0.as_str()), Some(cpe));
        let old = read(&[answer("CUPS/1.7 IPP/2.1", 0x0406, &[])]);
        let [Fact::Service(service)] = &old[..] else { panic!("{old:?}") };
        assert!(service.cpe.as_ref().is_some_and(|cpe| cpe.0.contains(":apple:cups:1.7:")));
    }

    #[test]
    fn every_cut_waits() {
        let bytes = printer();
        for len in 0..bytes.len() {
            assert_eq!(step(&[vec![], bytes[..len].to_vec()]), Step::Listen, "cut at {len}");
            read(&[bytes[..len].to_vec()]);
        }
    }

    #[test]
    fn a_web_server_is_no_printer() {
        assert_eq!(read(&[b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\n\r\n".to_vec()]), []);
        assert_eq!(read(&[b"SSH-2.0-x\r\n".to_vec()]), []);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            first in proptest::collection::vec(any::<u8>(), 0..80),
            second in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/ipp\r\n\r\n".to_vec();
            read(&[[head, first.clone()].concat()]);
            read(&[answer("CUPS/2.4", 0, &[]), second]);
            let _ = step(&[vec![], first]);
        }
    }
}
