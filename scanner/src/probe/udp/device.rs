//! Devices that say what they are when asked: cameras and printers (WS-Discovery, SLP), small
//! sensors (CoAP), routers and radios (NAT-PMP, MikroTik, Ubiquiti).

use model::{Fact, MacAddr, MachineIdKind, NameSource, Service};
use wire::{coap, mndp, nat_pmp, slp, ubiquiti, ws_discovery};

use crate::probe::{
    Talk, product,
    said::{attribute, machine_id, machine_name, name_product},
    udp::low_half,
};

pub(crate) fn ask_ws_discovery(talk: &Talk<'_>) -> Vec<u8> {
    ws_discovery::probe(talk.cookie)
}

pub(crate) fn read_ws_discovery(talk: &Talk<'_>) -> Vec<Fact> {
    let Ok(device) = ws_discovery::Match::parse(talk.heard(1)) else {
        return Vec::new();
    };
    let ours = ws_discovery::message_id(talk.cookie);
    if device.relates_to.as_ref().is_some_and(|id| !id.eq_ignore_ascii_case(&ours)) {
        return Vec::new();
    }
    of_ws_discovery(device)
}

/// The device's number, its types, and what ONVIF writes into scopes.
pub(crate) fn of_ws_discovery(device: ws_discovery::Match) -> Vec<Fact> {
    let mut service = Service::of("ws-discovery");
    attribute(&mut service, "types", &device.types.join(","));
    for (part, name) in [("/hardware/", "model"), ("/name/", "device_name")] {
        let told = device.scopes.iter().find_map(|scope| {
            scope.strip_prefix("onvif://www.onvif.org").and_then(|scope| scope.strip_prefix(part))
        });
        attribute(&mut service, name, &told.unwrap_or_default().replace("%20", " "));
    }
    let mut facts = vec![Fact::Service(service)];
    facts.extend(device.uuid.map(|uuid| machine_id(MachineIdKind::DeviceUuid, uuid)));
    facts
}

pub(crate) fn ask_slp(talk: &Talk<'_>) -> Vec<u8> {
    slp::type_request(low_half(talk.cookie))
}

pub(crate) fn read_slp(talk: &Talk<'_>) -> Vec<Fact> {
    let types = slp::Types::parse(talk.heard(1));
    let Some(mut types) = types.ok().filter(|types| types.xid == low_half(talk.cookie)) else {
        return Vec::new();
    };
    let mut service = Service::of("slp");
    types.types.sort_unstable();
    attribute(&mut service, "services", &types.types.join(","));
    vec![Fact::Service(service)]
}

pub(crate) fn ask_coap(talk: &Talk<'_>) -> Vec<u8> {
    coap::get_core(low_half(talk.cookie))
}

pub(crate) fn read_coap(talk: &Talk<'_>) -> Vec<Fact> {
    let answer = coap::Answer::parse(talk.heard(1));
    let Some(answer) = answer.ok().filter(|answer| answer.id == low_half(talk.cookie)) else {
        return Vec::new();
    };
    let mut service = Service::of("coap");
    let mut links = coap::links(&answer.payload);
    links.sort_unstable();
    attribute(&mut service, "resources", &links.join(","));
    vec![Fact::Service(service)]
}

pub(crate) fn ask_nat_pmp(_: &Talk<'_>) -> Vec<u8> {
    nat_pmp::external_address()
}

pub(crate) fn read_nat_pmp(talk: &Talk<'_>) -> Vec<Fact> {
    let mut service = Service::of("nat-pmp");
    match nat_pmp::Answer::parse(talk.heard(1)) {
        Ok(nat_pmp::Answer::External(address)) if !address.is_unspecified() => {
            attribute(&mut service, "external_address", &address.to_string());
        }
        Ok(nat_pmp::Answer::OtherVersion(_)) => service.protocol = "pcp".to_owned(),
        Ok(_) => {}
        Err(_) => return Vec::new(),
    }
    vec![Fact::Service(service)]
}

pub(crate) fn ask_mndp(_: &Talk<'_>) -> Vec<u8> {
    mndp::question()
}

pub(crate) fn read_mndp(talk: &Talk<'_>) -> Vec<Fact> {
    mndp::Neighbour::parse(talk.heard(1)).map_or_else(|_| Vec::new(), of_mndp)
}

/// What a router says of itself, asked or not.
pub(crate) fn of_mndp(found: mndp::Neighbour) -> Vec<Fact> {
    let mut service = Service::of("mndp");
    let version = found.version.as_deref().and_then(|version| version.split(' ').next());
    if found.platform.as_deref() == Some("MikroTik") {
        name_product(&mut service, "RouterOS", version, Some(("mikrotik", "routeros")));
    }
    attribute(&mut service, "model", &found.board.unwrap_or_default());
    attribute(&mut service, "adapter_mac", &MacAddr(found.mac).to_string());
    let mut facts = vec![Fact::Service(service)];
    facts.extend(found.identity.and_then(|name| machine_name(&name, NameSource::Banner)));
    facts
}

pub(crate) fn ask_ubiquiti(_: &Talk<'_>) -> Vec<u8> {
    ubiquiti::discover()
}

pub(crate) fn read_ubiquiti(talk: &Talk<'_>) -> Vec<Fact> {
    ubiquiti::Device::parse(talk.heard(1)).map_or_else(|_| Vec::new(), of_ubiquiti)
}

/// What a device says of itself, asked or not.
pub(crate) fn of_ubiquiti(found: ubiquiti::Device) -> Vec<Fact> {
    let mut service = Service::of("ubiquiti");
    // `XM.ar7240.v5.6.3.28591.151130.1749`: platform, processor, version, build.
    let firmware = found.firmware.unwrap_or_default();
    let version = firmware.split_once(".v").map(|(_, rest)| {
        let parts = rest.split('.').take_while(|part| part.len() <= 3);
        parts.collect::<Vec<_>>().join(".")
    });
    let version = version.filter(|version| product::is_version(version));
    attribute(&mut service, "firmware", version.as_deref().unwrap_or(&firmware));
    attribute(&mut service, "vendor", "Ubiquiti");
    attribute(&mut service, "model", &found.model.unwrap_or_default());
    let mac = found.mac.map(|mac| MacAddr(mac).to_string());
    attribute(&mut service, "adapter_mac", &mac.unwrap_or_default());
    let mut facts = vec![Fact::Service(service)];
    facts.extend(found.host_name.and_then(|name| machine_name(&name, NameSource::Banner)));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::udp::tests::{COOKIE, check_cuts, facts, service};

    #[test]
    fn a_device_tells_its_number_and_types() {
        let ours = ws_discovery::message_id(COOKIE);
        let answer = format!(
            "<s:Envelope><s:Header><a:RelatesTo>{ours}</a:RelatesTo></s:Header><s:Body>\
             <d:ProbeMatches><d:ProbeMatch><a:EndpointReference>\
             <a:Address>urn:uuid:4509A320-00A0-008F-00B6-002507510ECA</a:Address>\
             </a:EndpointReference><d:Types>dn:NetworkVideoTransmitter tds:Device</d:Types>\
             <d:Scopes>onvif://www.onvif.org/hardware/Cam%207 x:y</d:Scopes>\
             </d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
        );
        let uuid = "4509a320-00a0-008f-00b6-002507510eca".to_owned();
        let found = facts(3702, answer.as_bytes());
        assert_eq!(found[1..], [machine_id(MachineIdKind::DeviceUuid, uuid)]);
        let service = service(3702, answer.as_bytes());
        assert_eq!(service.attributes["types"], "Device,NetworkVideoTransmitter");
        assert_eq!(service.attributes["model"], "Cam 7");
        let other = answer.replace(&ours, "urn:uuid:of-somebody-else");
        assert_eq!(facts(3702, other.as_bytes()), []);
        for len in 0..answer.len() {
            facts(3702, &answer.as_bytes()[..len]);
        }
    }

    #[test]
    fn agents_and_sensors_list_what_they_offer() {
        let slp = b"\x02\x0a\0\0\x25\0\0\0\0\0\x0c\x0d\0\x02en\0\0\0\x11service:b,service";
        assert_eq!(service(427, slp).attributes["services"], "service,service:b");
        check_cuts(427, slp);
        let coap = b"\x60\x45\x0c\x0d\xff</b>;rt=x,</a>";
        assert_eq!(service(5683, coap).attributes["resources"], "/a,/b");
        assert_eq!(service(5683, b"\x70\0\x0c\x0d").protocol, "coap");
        assert_eq!(facts(5683, b"\x70\0\x0c\x0e"), []);
    }

    #[test]
    fn a_router_tells_its_address_outside() {
        let answer = [0, 128, 0, 0, 0, 0, 0, 9, 192, 0, 2, 1];
        assert_eq!(service(5351, &answer).attributes["external_address"], "192.0.2.1");
        check_cuts(5351, &answer);
        assert_eq!(service(5351, &[2, 128, 0, 1]).protocol, "pcp");
    }

    #[test]
    fn routers_and_radios_tell_model_version_and_name() {
        let mndp = b"\0\0\0\x09\0\x01\0\x06\0\0\x5e\0\x53\x01\0\x05\0\x03GW7\
            \0\x07\0\x0f6.49.7 (stable)\0\x08\0\x08MikroTik\0\x0c\0\x03RB7";
        let found = service(5678, mndp);
        assert_eq!(found.product.as_deref(), Some("RouterOS"));
        assert_eq!(found.version.as_deref(), Some("6.49.7"));
        let name = Fact::HostName { name: "gw7".into(), source: NameSource::Banner };
        assert_eq!(facts(5678, mndp)[1..], [name]);
        let firmware = b"XM.ar7240.v5.6.3.28591.151130.1749";
        let mut ubiquiti = b"\x01\0\0\x37\x03\0\x22".to_vec();
        ubiquiti.extend(firmware);
        ubiquiti.extend(b"\x0c\0\x02B7\x01\0\x06\0\0\x5e\0\x53\x01\x0b\0\x01r");
        ubiquiti[3] = ubiquiti.len() as u8 - 4;
        let found = service(10001, &ubiquiti);
        assert_eq!(found.attributes["firmware"], "5.6.3");
        assert_eq!(found.attributes["model"], "B7");
        assert_eq!(found.attributes["adapter_mac"], "00:00:5e:00:53:01");
        check_cuts(10001, &ubiquiti);
    }
}
