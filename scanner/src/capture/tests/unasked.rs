//! What each family of protocols tells, of whom, and what it may not tell; every cut of each
//! frame, and damage.

use model::{
    DiscoveryProtocol, Endpoint, FingerprintKind, MachineIdKind, NameSource, Neighbor, NetworkRole,
    RedundancyProtocol, RouterProtocol, Service, Use,
};
use wire::{eigrp, igmp, lldp, ntp, ospf, snmp, vrrp};

use super::*;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const GROUP: MacAddr = MacAddr([1, 0x80, 0xc2, 0, 0, 0x0e]);

/// What a frame tells, without who is merely there.
fn told(frame: &[u8]) -> Vec<(Subject, Fact)> {
    heard(&[frame.to_vec()]).into_iter().map(|o| (o.subject, o.fact)).collect()
}

#[track_caller]
fn tells(frame: &[u8], expected: &[(Subject, Fact)]) {
    assert_eq!(told(frame), expected);
}

fn device() -> Subject {
    Subject::Mac(DEVICE)
}

fn here() -> Subject {
    Subject::Address(HERE.into())
}

fn bound() -> (Subject, Fact) {
    (here(), Fact::LinkAddress(DEVICE))
}

fn named(name: &str, source: NameSource) -> Fact {
    Fact::HostName { name: name.to_owned(), source }
}

fn udp(to: Ipv4Addr, ports: (u16, u16), inside: &[u8]) -> Vec<u8> {
    v4_udp(DEVICE, (HERE, to), ports, inside)
}

/// A packet of a protocol beside UDP, from here to a group of the link.
fn routed(mac: MacAddr, protocol: u8, ttl: u8, inside: &[u8]) -> Vec<u8> {
    let ends = ip::Ends::V4(HERE, Ipv4Addr::new(224, 0, 0, 18));
    ethernet::frame(GROUP, mac, ethernet::IPV4, &ip::packet(ends, protocol, ttl, inside))
}

/// A frame with a length, behind the heads of LLC and SNAP.
fn snap(organization: [u8; 3], protocol: u16, message: &[u8]) -> Vec<u8> {
    let head = [&[0xaa, 0xaa, 3][..], &organization, &protocol.to_be_bytes()].concat();
    let inside = [&head[..], message].concat();
    ethernet::frame(GROUP, DEVICE, u16::try_from(inside.len()).unwrap(), &inside)
}

fn of_lldp(enabled: u8) -> Vec<u8> {
    let mut message = b"\x02\x07\x04\0\0\x5e\0\x53\x01\x04\x03\x05e7\x06\x02\0\x78".to_vec();
    message.extend(b"\x0a\x03SW7\x0e\x04\0\xff\0");
    message.push(enabled);
    message.extend(b"\x10\x0c\x05\x01\xc0\0\x02\x07\x02\0\0\0\x07\0\xfe\x06\0\x80\xc2\x01\0\x09");
    message.extend(b"\xfe\x06\0\x12\xbb\x08S1\xfe\x09\0\x12\xbb\x09Maker\xfe\x06\0\x12\xbb\x0aM7");
    message.extend([0, 0]);
    ethernet::frame(GROUP, DEVICE, lldp::ETHER_TYPE, &message)
}

#[test]
fn a_neighbour_says_who_it_is_and_what_it_does() {
    let neighbor = Neighbor {
        chassis: Some("00:00:5e:00:53:01".into()),
        port: Some("e7".into()),
        system_name: Some("SW7".into()),
        platform: Some("Maker M7".into()),
        addresses: vec![HERE.into()],
        ..Neighbor::of(DiscoveryProtocol::Lldp)
    };
    let id = |kind, value: &str| Fact::MachineId { kind, value: value.to_owned() };
    let facts = [
        id(MachineIdKind::ChassisId, "00:00:5e:00:53:01"),
        id(MachineIdKind::Serial, "maker-s1"),
        Fact::Vlan(9),
        named("sw7", NameSource::Discovery),
        Fact::Role(NetworkRole::Router(RouterProtocol::Discovery)),
        Fact::Role(NetworkRole::Switch),
        Fact::Neighbor(neighbor),
    ];
    tells(&of_lldp(0x14), &facts.map(|fact| (device(), fact)));
    let roles = |enabled| {
        let facts = told(&of_lldp(enabled)).into_iter().map(|(_, fact)| fact);
        facts
            .filter_map(|fact| match fact {
                Fact::Role(role) => Some(role),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    // A telephone with two sockets and an access point bridge, and are no switches.
    assert_eq!(roles(0x24), [NetworkRole::Phone]);
    assert_eq!(roles(0x0c), [NetworkRole::AccessPoint]);
    assert_eq!(roles(0x82), [NetworkRole::Repeater, NetworkRole::Station]);
    let mut farewell = of_lldp(0x14);
    (farewell[14 + 9 + 5 + 2], farewell[14 + 9 + 5 + 3]) = (0, 0);
    tells(&farewell, &[]);
}

fn of_cdp() -> Vec<u8> {
    let mut message = b"\x02\xb4\0\0\0\x01\0\x0aSEP007\0\x03\0\x0aPort 1".to_vec();
    message.extend(b"\0\x04\0\x08\0\0\0\x90\0\x06\0\x0ephone 7960\0\x0a\0\x06\0\x09");
    snap([0, 0, 0x0c], 0x2000, &message)
}

#[test]
fn a_telephone_says_so_in_cdp() {
    let neighbor = Neighbor {
        chassis: Some("SEP007".into()),
        port: Some("Port 1".into()),
        platform: Some("phone 7960".into()),
        ..Neighbor::of(DiscoveryProtocol::Cdp)
    };
    let facts = [
        Fact::Vlan(9),
        named("sep007", NameSource::Discovery),
        Fact::Role(NetworkRole::Phone),
        Fact::Neighbor(neighbor),
    ];
    tells(&of_cdp(), &facts.map(|fact| (device(), fact)));
}

fn of_edp() -> Vec<u8> {
    let mut message = vec![1, 0, 0, 60, 0, 0, 0, 7, 0, 0, 0, 0, 0x5e, 0, 0x53, 1];
    message.extend(b"\x99\x01\0\x08sw7\0\x99\0\0\x04");
    snap([0, 0xe0, 0x2b], 0x00bb, &message)
}

fn of_stp() -> Vec<u8> {
    let mut message = vec![0x42, 0x42, 3, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0x5e, 0, 0x53, 2];
    message.extend([0, 0, 0, 4, 0x80, 1, 0, 0, 0x5e, 0, 0x53, 1, 0x80, 7]);
    message.extend([0, 0, 20, 0, 2, 0, 15, 0]);
    ethernet::frame(GROUP, DEVICE, u16::try_from(message.len()).unwrap(), &message)
}

fn of_dcp() -> Vec<u8> {
    let blocks =
        b"\x02\x02\0\x07\0\0PLC-7\0\x01\x02\0\x0e\0\x01\xc0\0\x02\x07\xff\xff\xff\0\0\0\0\0";
    let mut message = vec![0xfe, 0xff, 5, 1, 1, 2, 3, 4, 0, 0, 0, blocks.len() as u8];
    message.extend(blocks);
    ethernet::frame(OTHER, DEVICE, 0x8892, &message)
}

#[test]
fn switches_and_controllers_name_themselves_at_the_link_layer() {
    let chassis =
        Fact::MachineId { kind: MachineIdKind::ChassisId, value: "00:00:5e:00:53:01".into() };
    let bridge = [Fact::Role(NetworkRole::SpanningTree), chassis.clone()];
    tells(&of_stp(), &bridge.map(|fact| (device(), fact)));
    let extreme = Neighbor {
        chassis: Some("00:00:5e:00:53:01".into()),
        system_name: Some("sw7".into()),
        ..Neighbor::of(DiscoveryProtocol::Edp)
    };
    let facts = [
        chassis,
        named("sw7", NameSource::Discovery),
        Fact::Role(NetworkRole::Switch),
        Fact::Neighbor(extreme),
    ];
    tells(&of_edp(), &facts.map(|fact| (device(), fact)));
    let controller = Neighbor {
        system_name: Some("PLC-7".into()),
        addresses: vec![HERE.into()],
        ..Neighbor::of(DiscoveryProtocol::Profinet)
    };
    let expected = [
        bound(),
        (device(), named("plc-7", NameSource::Discovery)),
        (device(), Fact::Neighbor(controller)),
    ];
    tells(&of_dcp(), &expected);
}

fn of_vrrp(mac: MacAddr, ttl: u8) -> Vec<u8> {
    let message =
        [0x21, 7, 100, 1, 1, 1, 0, 0, 192, 0, 2, 1, b's', b'e', b'c', b'r', b'e', b't', 0, 0];
    routed(mac, vrrp::PROTOCOL, ttl, &message)
}

fn of_hsrp() -> Vec<u8> {
    udp(
        Ipv4Addr::new(224, 0, 0, 2),
        (1985, 1985),
        b"\0\0\x10\x03\x0a\x78\x07\0secret\0\0\xc0\0\x02\x01",
    )
}

#[test]
fn routers_that_share_an_address_have_a_role_and_their_virtual_address_binds_nothing() {
    let shared = |protocol| {
        let address = Some(SERVER.into());
        (here(), Fact::Role(NetworkRole::VirtualRouter { protocol, group: 7, address }))
    };
    tells(&of_vrrp(DEVICE, 255), &[bound(), shared(RedundancyProtocol::Vrrp)]);
    tells(&of_vrrp(VIRTUAL, 255), &[shared(RedundancyProtocol::Vrrp)]);
    // A router passed it on.
    tells(&of_vrrp(VIRTUAL, 254), &[]);
    tells(&of_hsrp(), &[bound(), shared(RedundancyProtocol::Hsrp)]);
}

#[test]
fn routers_and_queriers_are_known_by_what_they_tell_each_other() {
    let role = |role| (here(), Fact::Role(role));
    let hello = [2, 1, 0, 44, 192, 0, 2, 1, 0, 0, 0, 7, 0, 0, 0, 1, b'p', b'w'];
    let ospf = role(NetworkRole::Router(RouterProtocol::Ospf));
    tells(&routed(DEVICE, ospf::PROTOCOL, 1, &hello), &[bound(), ospf]);
    let mut hello = vec![2, 5];
    hello.resize(20, 0);
    let eigrp = role(NetworkRole::Router(RouterProtocol::Eigrp));
    tells(&routed(DEVICE, eigrp::PROTOCOL, 2, &hello), &[bound(), eigrp]);
    let query = [0x11, 100, 0, 0, 0, 0, 0, 0];
    tells(&routed(DEVICE, igmp::PROTOCOL, 1, &query), &[bound(), role(NetworkRole::GroupQuerier)]);
    let report = [0x16, 0, 0, 0, 239, 1, 2, 3];
    tells(&routed(DEVICE, igmp::PROTOCOL, 1, &report), &[bound()]);
    let advertisement = [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    let router = Fact::Role(NetworkRole::Router(RouterProtocol::RouterAdvertisement));
    let from = Subject::Address(HERE6.into());
    tells(&v6(DEVICE, 255, HERE6, ip::ICMPV6, &advertisement), &[(from, router)]);
    tells(&v6(DEVICE, 64, HERE6, ip::ICMPV6, &advertisement), &[]);
}

fn of_dhcpv6(kind: u8) -> Vec<u8> {
    let mut message = vec![kind, 1, 2, 3];
    message.extend(b"\0\x01\0\x0a\0\x03\0\x01\0\0\x5e\0\x53\x01\0\x06\0\x04\0\x17\0\x18");
    message.extend(b"\0\x10\0\x0e\0\0\x01\x37\0\x08MSFT 5.0\0\x27\0\x05\0\x03Pc7");
    let ends = ip::Ends::V6(HERE6, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2));
    let datagram = udp::datagram(ends, 546, 547, &message);
    let packet = ip::packet(ends, ip::UDP, 1, &datagram);
    ethernet::frame(MacAddr([0x33, 0x33, 0, 1, 0, 2]), DEVICE, ethernet::IPV6, &packet)
}

#[test]
fn a_client_of_dhcpv6_says_who_it_is_and_a_server_that_it_serves() {
    let fingerprint = |kind, value: &str| Fact::Fingerprint { kind, value: value.to_owned() };
    let duid = "0003000100005e005301".to_owned();
    let facts = [
        named("pc7", NameSource::Dhcp),
        Fact::MachineId { kind: MachineIdKind::DhcpClientId, value: duid.clone() },
        fingerprint(FingerprintKind::Dhcpv6, "23,24"),
        fingerprint(FingerprintKind::Dhcpv6VendorClass, "311:MSFT 5.0"),
    ];
    let address = Subject::Address(HERE6.into());
    let bound = (address, Fact::LinkAddress(DEVICE));
    let expected: Vec<_> =
        [bound.clone()].into_iter().chain(facts.map(|fact| (device(), fact))).collect();
    tells(&of_dhcpv6(1), &expected);
    tells(&of_dhcpv6(2), &[bound.clone(), (address, Fact::Role(NetworkRole::Dhcpv6Server))]);
    // What a relay brings is of another link.
    tells(&of_dhcpv6(12), &[bound]);
    // The same number in DHCPv4, behind type and interface.
    let mut options = b"\x35\x01\x01\x3d\x0f\xff\0\0\0\x07".to_vec();
    options.extend([0, 3, 0, 1, 0, 0, 0x5e, 0, 0x53, 1, 0xff]);
    let ids = told(&request(NOBODY, 0, &options));
    assert!(
        ids.contains(&(
            device(),
            Fact::MachineId { kind: MachineIdKind::DhcpClientId, value: duid }
        ))
    );
}

/// A message with one answer of that type, and whatever the second section has.
fn answered(name: &[u8], kind: u16, data: &[u8], others: u8) -> Vec<u8> {
    let mut bytes = vec![0, 7, 0x81, 0x80, 0, 0, 0, 1 - others, 0, 0, 0, others];
    bytes.extend(name);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
    bytes.extend(data);
    bytes
}

const NAME: &[u8] = b"\x03Pc9\x07example\0";

#[test]
fn the_name_service_says_who_asks_whom_and_what_others_are_called() {
    let asks = Fact::Use(Use::Resolver(SERVER.into()));
    let mut question = wire::dns::query(7, &[("secret.example", 1, 1)]);
    question[2] = 1;
    tells(&udp(SERVER, (40_000, 53), &question), &[(here(), asks)]);
    // A resolver asks the servers of a domain.
    question[2] = 0;
    tells(&udp(SERVER, (40_000, 53), &question), &[]);
    let service = Subject::Endpoint(Endpoint::udp(HERE.into(), 53));
    let serves = (service, Fact::Service(Service::of("dns")));
    let there = Subject::Address(THERE.into());
    let is_named = (there, named("pc9.example", NameSource::Dns));
    let answer = answered(NAME, 1, &THERE.octets(), 0);
    tells(&udp(SERVER, (53, 40_000), &answer), &[serves.clone(), is_named.clone()]);
    let reverse = b"\x019\x012\x010\x03192\x07in-addr\x04arpa\0";
    let answer = answered(reverse, 12, NAME, 0);
    tells(&udp(SERVER, (53, 40_000), &answer), &[serves.clone(), is_named]);
    // Nobody asked for what is in the other sections.
    let answer = answered(NAME, 1, &THERE.octets(), 1);
    tells(&udp(SERVER, (53, 40_000), &answer), &[serves]);
}

fn of_nbns(address: Ipv4Addr, suffix: u8, group: u8) -> Vec<u8> {
    let mut bytes = vec![0, 7, 0x29, 0x10, 0, 1, 0, 0, 0, 0, 0, 1, 32];
    for byte in [b"PC-7           ", &[suffix][..]].concat() {
        bytes.extend([b'A' + (byte >> 4), b'A' + (byte & 15)]);
    }
    bytes.extend([0, 0, 0x20, 0, 1, 0xc0, 12, 0, 0x20, 0, 1, 0, 4, 0x93, 0xe0, 0, 6, group, 0]);
    bytes.extend(address.octets());
    udp(Ipv4Addr::new(192, 0, 2, 255), (137, 137), &bytes)
}

#[test]
fn machines_name_themselves_and_nobody_else() {
    let netbios = (here(), named("pc-7", NameSource::Nbns));
    tells(&of_nbns(HERE, 0x20, 0), std::slice::from_ref(&netbios));
    // Another's address, a domain, a person.
    for frame in [of_nbns(THERE, 0x20, 0), of_nbns(HERE, 0, 0x80), of_nbns(HERE, 3, 0)] {
        tells(&frame, &[]);
    }
    let mut datagram = vec![0x11, 0x0a, 0, 7, 192, 0, 2, 7, 0, 138, 0, 187, 0, 0, 32];
    datagram.extend(b"FAEDCNDHCACACACACACACACACACACAAA");
    datagram.push(0);
    tells(&udp(Ipv4Addr::new(192, 0, 2, 255), (138, 138), &datagram), &[netbios]);
    let own = answered(NAME, 1, &HERE.octets(), 0);
    tells(&udp(THERE, (5355, 40_000), &own), &[(here(), named("pc9.example", NameSource::Llmnr))]);
    tells(&udp(THERE, (5355, 40_000), &answered(NAME, 1, &THERE.octets(), 0)), &[]);
}

/// An announcement of a printer at its own address.
fn of_mdns(address: Ipv4Addr) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    let mut record = |name: &[u8], kind: u8, data: &[u8]| {
        bytes.extend(name);
        bytes.extend([0, kind, 0x80, 1, 0, 0, 0, 120, 0, data.len() as u8]);
        bytes.extend(data);
    };
    let instance = b"\x0aAnna's own\x05_ipps\x04_tcp\x05local\0";
    record(instance, 33, b"\0\0\0\0\x02\x77\x04Prn7\x05local\0");
    record(instance, 16, b"\x09ty=Laser7");
    record(b"\x04Prn7\x05local\0", 1, &address.octets());
    record(b"\x03Pc7\x0c_device-info\x04_tcp\x05local\0", 16, b"\x0fmodel=MacBook9,");
    udp(Ipv4Addr::new(224, 0, 0, 251), (5353, 5353), &bytes)
}

#[test]
fn a_device_announces_its_services_without_the_words_of_their_owners() {
    let service = |protocol: &str, tls, model: &str| {
        let attributes = [("model".to_owned(), model.to_owned())].into();
        Fact::Service(Service { tls, attributes, ..Service::of(protocol) })
    };
    let system = crate::probe::product::system("macOS", None, Some(("apple", "macos")));
    let expected = [
        bound(),
        (here(), named("prn7.local", NameSource::Mdns)),
        (Subject::Endpoint(Endpoint::tcp(HERE.into(), 631)), service("ipp", true, "Laser7")),
        (here(), system),
        (Subject::Endpoint(Endpoint::udp(HERE.into(), 5353)), service("mdns", false, "MacBook9,")),
    ];
    tells(&of_mdns(HERE), &expected);
    // Of another's address nothing, be it a proxy's or a forgery.
    tells(&of_mdns(THERE), &[bound()]);
}

fn of_ssdp() -> Vec<u8> {
    let notice = "NOTIFY * HTTP/1.1\r\nNT: upnp:rootdevice\r\nNTS: ssdp:alive\r\n\
        LOCATION: http://192.0.2.7:49152/d.xml\r\nSERVER: Linux/5.10 UPnP/1.0 Thing/1.2\r\n\
        USN: uuid:2FAC1234-31F8-11B4-A222-08002B34C003::upnp:rootdevice\r\n\r\n";
    udp(Ipv4Addr::new(239, 255, 255, 250), (40_000, 1900), notice.as_bytes())
}

#[test]
fn a_upnp_device_says_what_it_runs_and_where() {
    let facts = told(&of_ssdp());
    let has = |subject: Subject, test: &dyn Fn(&Fact) -> bool| {
        assert!(facts.iter().any(|(s, fact)| *s == subject && test(fact)), "{facts:?}");
    };
    has(
        Subject::Endpoint(Endpoint::udp(HERE.into(), 1900)),
        &|fact| matches!(fact, Fact::Service(service) if service.product.as_deref() == Some("Thing")),
    );
    has(
        Subject::Endpoint(Endpoint::tcp(HERE.into(), 49_152)),
        &|fact| matches!(fact, Fact::Service(service) if service.protocol == "http"),
    );
    has(here(), &|fact| matches!(fact, Fact::MachineId { kind: MachineIdKind::DeviceUuid, .. }));
    has(here(), &|fact| matches!(fact, Fact::OperatingSystem { name, .. } if name == "Linux"));
    // 255 to a group of a wider scope: nobody took one off.
    has(here(), &|fact| *fact == Fact::LinkAddress(DEVICE));
    let search = b"M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\n\r\n";
    tells(&udp(SERVER, (40_000, 1900), search), &[]);
}

#[test]
fn clients_are_known_by_whom_they_ask_and_secrets_stay_where_they_are() {
    let uses = |used| [(here(), Fact::Use(used))];
    let time = udp(SERVER, (123, 123), &ntp::client(7));
    tells(&time, &uses(Use::TimeServer(SERVER.into())));
    // An answer to whoever asks for the system's variables (RFC 9327, section 2): 25 bytes of them.
    let mut variables = vec![0x16, 0x82, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25];
    variables.extend(b"version=\"ntpd 4.2.8p15@1\"\0\0\0");
    let told = told(&udp(SERVER, (123, 40_000), &variables));
    let is_ntpd =
        |fact: &Fact| matches!(fact, Fact::Service(s) if s.version.as_deref() == Some("4.2.8p15"));
    let server = Subject::Endpoint(Endpoint::udp(HERE.into(), 123));
    assert!(told.iter().any(|(subject, fact)| *subject == server && is_ntpd(fact)), "{told:?}");
    let cleartext = |protocol: &str| {
        uses(Use::Cleartext { protocol: protocol.to_owned(), server: SERVER.into() })
    };
    let question = snmp::get(snmp::Version::V2c, 7, "secret", &[]);
    tells(&udp(SERVER, (40_000, 161), &question), &cleartext("snmp_v2c"));
    tells(&udp(SERVER, (40_000, 69), b"\0\x01secret\0octet\0"), &cleartext("tftp"));
    let line = b"<13>Oct 11 22:14:15 gw7 login: secret";
    tells(&udp(SERVER, (40_000, 514), line), &[(here(), named("gw7", NameSource::Syslog))]);
}

fn of_snmp() -> Vec<u8> {
    use wire::ber::{self, tag};
    let name =
        [ber::write(tag::OID, &[0x2b, 6, 1, 2, 1, 1, 5, 0]), ber::write(tag::OCTETS, b"Sw7")];
    let bindings = [ber::write_all(tag::SEQUENCE, &name)];
    let number = || ber::write_integer(0);
    let response = [number(), number(), number(), ber::write_all(tag::SEQUENCE, &bindings)];
    let parts = [
        ber::write_integer(1),
        ber::write(tag::OCTETS, b"secret"),
        ber::write_all(0xa2, &response),
    ];
    udp(THERE, (161, 40_000), &ber::write_all(tag::SEQUENCE, &parts))
}

#[test]
fn an_agent_answers_by_its_name() {
    let mut service = Service::of("snmp");
    service.attributes.insert("sys_name".into(), "Sw7".into());
    let endpoint = Subject::Endpoint(Endpoint::udp(HERE.into(), 161));
    let expected = [(endpoint, Fact::Service(service)), (here(), named("sw7", NameSource::Snmp))];
    tells(&of_snmp(), &expected);
}

fn of_bacnet() -> Vec<u8> {
    let message = b"\x81\x0b\0\x14\x01\0\x10\0\xc4\x02\0\0\x09\x22\x05\xc4\x91\0\x21\x07";
    udp(Ipv4Addr::new(192, 0, 2, 255), (47_808, 47_808), message)
}

fn of_mndp() -> Vec<u8> {
    let mut message = b"\0\0\0\x09\0\x01\0\x06".to_vec();
    message.extend(DEVICE.0);
    message.extend(b"\0\x05\0\x03gw7\0\x08\0\x08MikroTik\0\x0c\0\x03RB7");
    udp(Ipv4Addr::BROADCAST, (5678, 5678), &message)
}

#[test]
fn controllers_and_radio_routers_tell_everybody() {
    let facts = told(&of_bacnet());
    let Fact::Service(service) = &facts[0].1 else { panic!("{facts:?}") };
    assert_eq!((facts.len(), &*service.attributes["device_instance"]), (1, "9"));
    let neighbor = Neighbor {
        chassis: Some(DEVICE.to_string()),
        system_name: Some("gw7".into()),
        platform: Some("RB7".into()),
        ..Neighbor::of(DiscoveryProtocol::Mndp)
    };
    let facts = told(&of_mndp());
    assert_eq!(facts[..2], [(device(), Fact::Neighbor(neighbor)), bound()]);
    assert!(facts.contains(&(here(), named("gw7", NameSource::Banner))));
    // Somebody else's frame: a relay, or a forgery.
    let mut relayed = of_mndp();
    relayed[6..12].copy_from_slice(&OTHER.0);
    assert!(
        told(&relayed).iter().all(|(subject, fact)| {
            *subject != device() && !matches!(fact, Fact::LinkAddress(_))
        })
    );
}

/// One frame of each kind.
fn each() -> Vec<Vec<u8>> {
    vec![
        of_lldp(0x34),
        of_cdp(),
        of_edp(),
        of_stp(),
        of_dcp(),
        of_vrrp(DEVICE, 255),
        of_hsrp(),
        of_dhcpv6(1),
        udp(SERVER, (53, 40_000), &answered(NAME, 1, &THERE.octets(), 0)),
        of_nbns(HERE, 0x20, 0),
        of_mdns(HERE),
        of_ssdp(),
        of_snmp(),
        of_bacnet(),
        of_mndp(),
    ]
}

#[test]
fn no_secret_is_in_what_is_told() {
    for frame in [of_vrrp(DEVICE, 255), of_hsrp(), of_snmp(), of_mdns(HERE)] {
        for observation in heard(&[frame]) {
            let text = format!("{:?}", observation.fact);
            let bytes = String::from_utf8_lossy(&observation.evidence).into_owned();
            for secret in ["secret", "Anna"] {
                assert!(!text.contains(secret) && !bytes.contains(secret), "{observation:?}");
            }
        }
    }
}

#[test]
fn every_cut_tells_no_more_kinds_of_facts_than_the_whole() {
    for frame in each() {
        let kind = |fact: &Fact| std::mem::discriminant(fact);
        let whole = told(&frame);
        assert!(!whole.is_empty());
        for len in 0..frame.len() {
            for (subject, fact) in told(&frame[..len]) {
                let known = whole.iter().any(|(s, f)| *s == subject && kind(f) == kind(&fact));
                assert!(known, "cut at {len}: {subject} {fact:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn damage_binds_no_group_and_nobody(
        which in 0..15_usize,
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..12),
        cut in any::<u16>(),
    ) {
        let mut frame = each().swap_remove(which);
        for (at, value) in changes {
            let at = usize::from(at) % frame.len();
            frame[at] = value;
        }
        frame.truncate(usize::from(cut) % (frame.len() * 2) + 1);
        for (subject, fact) in told(&frame) {
            if let Fact::LinkAddress(mac) = fact {
                prop_assert!(is_of_an_interface(mac));
            }
            if let Subject::Address(address) = subject {
                prop_assert!(is_of_a_station(address));
            }
        }
    }
}
