//! Controllers and the devices of hospitals: their name plates, where somebody asked for them.
//!
//! That a port speaks such a protocol is known by its first answer (`super::mark`). Who it is
//! comes now and then, so a conversation is heard some way on before that is all that is told.
//! What is read or written, and about whom, is passed over.

use model::{Fact, Service};
use wire::{
    Reader, dicom, enip, hl7, modbus, opcua,
    s7::{self, Plate},
};

use super::{Conversation, Roles, Told, Verdict};
use crate::probe::{
    product,
    said::{attribute, name_product},
    udp::control,
};

/// How much is heard of one whose name plate was not asked for yet.
const MOST: usize = 2_048;

/// How many messages are looked at.
const MOST_MESSAGES: usize = 128;

/// Tells what is known, and waits for more where it may come.
fn known(
    talk: &Conversation<'_>,
    facts: Vec<Fact>,
    is_all: bool,
    told: &mut Vec<Told>,
) -> Option<Verdict> {
    let len = talk.said.len().saturating_add(talk.heard.len());
    facts.into_iter().for_each(|fact| talk.tell_server(fact, told));
    Some(if !is_all && !talk.ended && len < MOST { Verdict::Part } else { Verdict::Known })
}

/// The frames of Modbus' TCP form: six bytes, the last two of which are the length of the rest.
fn frames(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut r = Reader::new(stream);
    let next = move || {
        let [_, _, zero, protocol, high, low] = *r.rest().first_chunk()?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        // The standard has 254 bytes at most behind the length.
        let fits = [zero, protocol] == [0, 0] && (2..=254).contains(&len);
        fits.then(|| r.take("frame", len.saturating_add(6)).ok()).flatten()
    };
    std::iter::from_fn(next).take(MOST_MESSAGES)
}

pub(super) fn modbus(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    if talk.server.port != 502 {
        return None;
    }
    frames(talk.heard).next()?;
    let plate = frames(talk.heard).find_map(|frame| match modbus::parse(frame) {
        Ok((_, modbus::Answer::Device(plate))) => Some(plate),
        _ => None,
    });
    let is_all = plate.is_some();
    known(talk, vec![control::modbus(plate.unwrap_or_default())], is_all, told)
}

/// EtherNet/IP's encapsulation (CIP volume 2, section 2-3): ListIdentity goes over TCP as well.
pub(super) fn enip(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    const HEADER: usize = 24;
    if talk.server.port != 44_818 {
        return None;
    }
    let mut r = Reader::new(talk.heard);
    let mut facts = Vec::new();
    for _ in 0..MOST_MESSAGES {
        let start = r.rest();
        let [command, high, low_len, high_len, ..] = *start else { break };
        // The commands of the standard, and nothing else, in the first place.
        if high != 0 || !matches!(command, 0x04 | 0x63..=0x66 | 0x6f | 0x70) {
            break;
        }
        let len = usize::from(u16::from_le_bytes([low_len, high_len])).saturating_add(HEADER);
        let Ok(message) = r.take("message", len) else { break };
        if facts.is_empty() {
            facts.push(Fact::Service(Service::of("enip")));
        }
        if let Ok(found) = enip::Identity::parse(message) {
            return known(talk, control::of_enip(&found), true, told);
        }
    }
    if facts.is_empty() { None } else { known(talk, facts, false, told) }
}

pub(super) fn s7(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    if talk.server.port != 102 {
        return None;
    }
    let mut r = Reader::new(talk.heard);
    let (mut speaks, mut connects, mut plate) = (false, false, Plate::default());
    for _ in 0..MOST_MESSAGES {
        match s7::message(&mut r) {
            Ok(Some(message)) if s7::is_message(message) => {
                speaks = true;
                // Other answers say nothing of it.
                let _ = plate.take(message);
            }
            Ok(Some(_)) => break,
            Ok(None) => connects = true,
            Err(_) => break,
        }
    }
    if !speaks && !connects {
        return None;
    }
    let is_all = plate.firmware.is_some() && plate.module_type.is_some();
    let mut service = Service::of("s7comm");
    let Plate { order_number, firmware, module, serial, module_type } = plate;
    for (name, value) in [
        ("model", &order_number),
        ("firmware", &firmware),
        ("device_name", &module),
        ("serial", &serial),
        ("module_type", &module_type),
    ] {
        attribute(&mut service, name, value.as_deref().unwrap_or_default());
    }
    known(talk, vec![Fact::Service(service)], is_all, told)
}

pub(super) fn opcua(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let mut r = Reader::new(talk.heard);
    let first = opcua::Message::read(&mut r).ok()?;
    if !matches!(&first.kind, b"ACK" | b"ERR") {
        return None;
    }
    let mut found = None;
    for _ in 0..MOST_MESSAGES {
        let Ok(message) = opcua::Message::read(&mut r) else { break };
        if &message.kind == b"MSG" {
            found = opcua::Application::of_answer(message.body).ok();
        }
        if found.is_some() {
            break;
        }
    }
    let mut service = Service::of("opcua");
    let is_all = found.is_some();
    let opcua::Application { uri, product, name } = found.unwrap_or_default();
    for (key, value) in
        [("application_uri", uri), ("product_uri", product), ("application_name", name)]
    {
        attribute(&mut service, key, &value.unwrap_or_default());
    }
    known(talk, vec![Fact::Service(service)], is_all, told)
}

/// The server's word, where it accepts. What a client calls itself is another machine's.
pub(super) fn dicom(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    let accepted = match dicom::Associate::parse(talk.heard) {
        Ok(found) if found.kind == dicom::Kind::Accept => found,
        Ok(_) => return None,
        // Its first bytes are a mark of nothing but on its ports.
        Err(why) if matches!(talk.server.port, 104 | 4_242 | 11_112) && !talk.heard.is_empty() => {
            return talk.more_if_cut(&why);
        }
        Err(_) => return None,
    };
    let mut service = Service::of("dicom");
    let version_name = accepted.version_name.unwrap_or_default();
    attribute(&mut service, "implementation_class_uid", &accepted.class_uid.unwrap_or_default());
    attribute(&mut service, "implementation_version", &version_name);
    if let Some((name, version, cpe)) = implementation(&version_name) {
        name_product(&mut service, name, Some(&version), cpe);
    }
    known(talk, vec![Fact::Service(service)], true, told)
}

type Implementation = (&'static str, String, Option<(&'static str, &'static str)>);

/// The program whose version name it is, where its makers write its number in it.
fn implementation(version_name: &str) -> Option<Implementation> {
    let digits = |text: &str| -> Option<String> {
        let text = text.split(['_', ' ']).next().filter(|text| text.len() >= 3)?;
        text.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
        // `366`: each digit is a number of its own.
        Some(text.chars().map(String::from).collect::<Vec<_>>().join("."))
    };
    let plain = |text: &str| product::is_version(text).then(|| text.to_owned());
    if let Some(rest) = version_name.strip_prefix("OFFIS_DCMTK_") {
        return Some(("DCMTK", digits(rest)?, Some(("offis", "dcmtk"))));
    }
    if let Some(rest) = version_name.strip_prefix("PYNETDICOM_") {
        return Some(("pynetdicom", digits(rest)?, None));
    }
    let rest = version_name.strip_prefix("dcm4che-")?;
    Some(("dcm4che", plain(rest)?, Some(("dcm4che", "dcm4che"))))
}

/// The application that answers. Both sides speak alike, so who began has to be known.
pub(super) fn hl7(talk: &Conversation<'_>, told: &mut Vec<Told>) -> Option<Verdict> {
    if talk.roles == Roles::Guessed && talk.server.port != 2_575 {
        return None;
    }
    let sender = match hl7::Sender::parse(talk.heard) {
        Ok(sender) => sender,
        Err(why) if talk.heard.starts_with(b"\x0bMSH") => return talk.more_if_cut(&why),
        Err(_) => return None,
    };
    let mut service = Service::of("hl7");
    attribute(&mut service, "application", &sender.application.unwrap_or_default());
    attribute(&mut service, "hl7_version", &sender.version.unwrap_or_default());
    known(talk, vec![Fact::Service(service)], true, told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_implementation_names_its_program() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let found = implementation(text);
            let found = found.as_ref().map(|(name, version, _)| (*name, version.as_str()));
            assert_eq!(found, expected, "{text}");
        };
        check("OFFIS_DCMTK_366", Some(("DCMTK", "3.6.6")));
        check("PYNETDICOM_220", Some(("pynetdicom", "2.2.0")));
        check("dcm4che-5.29.1", Some(("dcm4che", "5.29.1")));
        check("dcm4che-x", None);
        check("OFFIS_DCMTK_", None);
        check("SOMEBODY", None);
    }
}
