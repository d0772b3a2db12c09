//! Controllers of machines and buildings: Modbus, EtherNet/IP, FINS and KNX. Their name
//! plates are read, nothing else. The sweep asks them only in the profile for control systems
//! ([`super::is_for_control_systems`]).

use model::{Fact, MacAddr, MachineIdKind, Service};
use wire::{enip, fins, knx, modbus};

use crate::probe::{
    Talk,
    said::{attribute, hex, machine_id},
    udp::{low_byte, low_half},
};

pub(crate) fn ask_modbus(talk: &Talk<'_>) -> Vec<u8> {
    modbus::read_device_id(low_half(talk.cookie))
}

pub(crate) fn read_modbus(talk: &Talk<'_>) -> Vec<Fact> {
    let answer = modbus::parse(talk.heard(1));
    let ours = answer.ok().filter(|(number, _)| *number == low_half(talk.cookie));
    let Some((_, answer)) = ours else {
        return Vec::new();
    };
    vec![modbus(match answer {
        modbus::Answer::Device(plate) => plate,
        modbus::Answer::Exception(_) => <[Option<String>; 3]>::default(),
    })]
}

/// A name plate: vendor, product code and revision, whoever asked.
pub(crate) fn modbus(plate: [Option<String>; 3]) -> Fact {
    let mut service = Service::of("modbus");
    for (name, value) in ["vendor", "model", "firmware"].into_iter().zip(plate) {
        attribute(&mut service, name, &value.unwrap_or_default());
    }
    Fact::Service(service)
}

pub(crate) fn ask_enip(talk: &Talk<'_>) -> Vec<u8> {
    enip::list_identity(talk.cookie)
}

pub(crate) fn read_enip(talk: &Talk<'_>) -> Vec<Fact> {
    let answer = enip::Identity::parse(talk.heard(1));
    let ours = answer.ok().filter(|found| found.context == enip::context(talk.cookie));
    ours.as_ref().map_or_else(Vec::new, of_enip)
}

/// What a device says of itself, whoever asked.
pub(crate) fn of_enip(found: &enip::Identity) -> Vec<Fact> {
    let mut service = Service::of("enip");
    attribute(&mut service, "model", &found.name);
    attribute(&mut service, "firmware", &format!("{}.{:03}", found.revision.0, found.revision.1));
    attribute(&mut service, "odva_vendor", &found.vendor.to_string());
    attribute(&mut service, "device_type", &found.device_type.to_string());
    let mut facts = vec![Fact::Service(service)];
    // A serial number is unique to its maker (CIP volume 1, section 5A-2.2.1.6).
    if found.serial != 0 {
        let value = format!("{:04x}-{:08x}", found.vendor, found.serial);
        facts.push(machine_id(MachineIdKind::Serial, value));
    }
    facts
}

pub(crate) fn ask_fins(talk: &Talk<'_>) -> Vec<u8> {
    fins::read_controller(low_byte(talk.cookie))
}

pub(crate) fn read_fins(talk: &Talk<'_>) -> Vec<Fact> {
    let answer = fins::Controller::parse(talk.heard(1));
    let ours = answer.ok().filter(|found| found.service_id == low_byte(talk.cookie));
    let Some(found) = ours else {
        return Vec::new();
    };
    let mut service = Service::of("fins");
    attribute(&mut service, "model", &found.model);
    attribute(&mut service, "firmware", &found.version);
    vec![Fact::Service(service)]
}

pub(crate) fn ask_knx(_: &Talk<'_>) -> Vec<u8> {
    knx::describe()
}

pub(crate) fn read_knx(talk: &Talk<'_>) -> Vec<Fact> {
    let Ok(found) = knx::Device::parse(talk.heard(1)) else {
        return Vec::new();
    };
    let mut service = Service::of("knx");
    attribute(&mut service, "device_name", &found.name);
    if found.mac != [0; 6] {
        attribute(&mut service, "adapter_mac", &MacAddr(found.mac).to_string());
    }
    let mut facts = vec![Fact::Service(service)];
    if found.serial != [0; 6] {
        facts.push(machine_id(MachineIdKind::Serial, hex(&found.serial)));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::udp::tests::{COOKIE, check_cuts, facts, service};

    #[test]
    fn a_modbus_device_shows_its_name_plate() {
        let mut answer = b"\x0c\x0d\0\0\0\x17\xff\x2b\x0e\x01\x01\0\0\x02".to_vec();
        answer.extend(b"\0\x05Maker\x01\x04PLC7\x02");
        answer[5] = answer.len() as u8 - 6 - 1;
        answer.truncate(answer.len() - 1);
        let found = service(502, &answer);
        assert_eq!((&*found.attributes["vendor"], &*found.attributes["model"]), ("Maker", "PLC7"));
        check_cuts(502, &answer);
        assert_eq!(service(502, b"\x0c\x0d\0\0\0\x03\xff\xab\x01").protocol, "modbus");
        assert_eq!(facts(502, b"\x0c\x0e\0\0\0\x03\xff\xab\x01"), []);
    }

    #[test]
    fn an_identity_is_unique_with_its_maker() {
        let mut answer = enip::list_identity(COOKIE);
        answer[2] = 47;
        answer.extend([1, 0, 0x0c, 0, 41, 0, 1, 0]);
        answer.extend([0; 16]);
        answer.extend([1, 0, 14, 0, 55, 0, 20, 11, 0, 0, 0x78, 0x56, 0x34, 0x12, 8]);
        answer.extend(b"1756-L71");
        let found = service(44818, &answer);
        assert_eq!(found.attributes["firmware"], "20.011");
        let serial = machine_id(MachineIdKind::Serial, "0001-12345678".into());
        assert_eq!(facts(44818, &answer)[1..], [serial]);
        check_cuts(44818, &answer);
    }

    #[test]
    fn an_omron_controller_tells_its_model() {
        let mut answer = vec![0xc0, 0, 2, 0, 0xfe, 0, 0, 0, 0, 0x0d, 5, 1, 0, 0];
        answer.extend(b"CJ2M-CPU33          02.01               ");
        let found = service(9600, &answer);
        assert_eq!(found.attributes["model"], "CJ2M-CPU33");
        check_cuts(9600, &answer);
    }

    #[test]
    fn a_knx_gateway_tells_its_number() {
        let mut answer = vec![6, 0x10, 2, 4, 0, 60, 54, 1, 2, 0, 0x11, 0, 0, 0];
        answer.extend([0, 0xc5, 1, 2, 3, 4, 224, 0, 23, 12, 0, 0, 0x5e, 0, 0x53, 1]);
        answer.extend(b"Gateway 7");
        answer.resize(60, 0);
        assert_eq!(service(3671, &answer).attributes["device_name"], "Gateway 7");
        let serial = machine_id(MachineIdKind::Serial, "00c501020304".into());
        assert_eq!(facts(3671, &answer)[1..], [serial]);
        check_cuts(3671, &answer);
    }
}
