//! Controllers, hospitals' devices and databases that tell what they are before or beside a
//! login.

use model::{MachineIdKind, Service};
use wire::{enip, modbus, tds};

use super::*;

/// The one service that the conversation tells of, at its end. What it is may be told before who.
#[track_caller]
fn service(port: u16, parts: &[Says<'_>]) -> Service {
    let told = told(port, parts);
    let server = Subject::Endpoint(Endpoint::tcp(SERVER.0.into(), port));
    let mut all = told.iter().filter(|o| o.subject == server).filter_map(|o| match &o.fact {
        Fact::Service(service) => Some(service.clone()),
        _ => None,
    });
    let first = all.next().unwrap_or_else(|| panic!("no service: {}", text(&told)));
    all.fold(first, |before, last| {
        assert_eq!(before, Service::of(&last.protocol));
        last
    })
}

#[track_caller]
fn check(port: u16, parts: &[Says<'_>], protocol: &str, attributes: &[(&str, &str)]) {
    let service = service(port, parts);
    assert_eq!(service.protocol, protocol);
    let told: Vec<(&str, &str)> =
        service.attributes.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(told, attributes);
}

#[test]
fn a_modbus_devices_plate_is_heard_behind_its_registers() {
    let registers = Client(b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x02");
    let values = Server(b"\0\x01\0\0\0\x07\x01\x03\x04\0\x07\0\x08");
    let ask = modbus::read_device_id(2);
    let plate =
        Server(b"\0\x02\0\0\0\x1c\xff\x2b\x0e\x01\x01\0\0\x03\0\x05Maker\x01\x05PLC-7\x02\x04v2.1");
    check(502, &[registers, values], "modbus", &[]);
    let registers = Client(b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x02");
    let values = Server(b"\0\x01\0\0\0\x07\x01\x03\x04\0\x07\0\x08");
    let expected = [("firmware", "v2.1"), ("model", "PLC-7"), ("vendor", "Maker")];
    check(502, &[registers, values, Client(&ask), plate], "modbus", &expected);
}

#[test]
fn an_identity_is_listed_over_tcp_too() {
    let ask = enip::list_identity(7);
    let mut answer = enip::list_identity(7);
    answer[2] = 47;
    answer.extend([1, 0, 0x0c, 0, 41, 0, 1, 0]);
    answer.extend([0; 16]);
    answer.extend([1, 0, 14, 0, 55, 0, 20, 11, 0, 0, 0x78, 0x56, 0x34, 0x12, 8]);
    answer.extend(b"1756-L71");
    let mut session = vec![0x65, 0, 4, 0];
    session.extend([0; 20]);
    session.extend([1, 0, 0, 0]);
    let parts = || [Client(&session), Server(&session), Client(&ask), Server(&answer)];
    let found = service(44_818, &parts());
    assert_eq!((&*found.protocol, &*found.attributes["model"]), ("enip", "1756-L71"));
    let serial = Fact::MachineId { kind: MachineIdKind::Serial, value: "0001-12345678".into() };
    assert!(told(44_818, &parts()).iter().any(|o| o.fact == serial));
    check(44_818, &[Client(&session), Server(&session)], "enip", &[]);
}

#[test]
fn a_controllers_own_lists_name_it() {
    let framed = |inside: &[u8]| {
        let mut out = vec![3, 0, 0, inside.len() as u8 + 7, 2, 0xf0, 0x80];
        out.extend(inside);
        out
    };
    let connected = Server(&[3, 0, 0, 11, 6, 0xd0, 0, 1, 0, 2, 0]);
    let mut lists = vec![0, 0x1c, 0, 0, 0, 34, 0, 2];
    for (index, value) in [(3_u8, "hunter2"), (7, "CPU 315-2 PN/DP")] {
        lists.extend([0, index]);
        let mut value = value.as_bytes().to_vec();
        value.resize(32, 0);
        lists.extend(value);
    }
    let mut answer = vec![0x32, 7, 0, 0, 1, 0, 0, 12, 0, lists.len() as u8 + 4];
    answer.extend([0, 1, 0x12, 8, 0x12, 0x84, 1, 1, 0, 0, 0, 0]);
    answer.extend([0xff, 9, 0, lists.len() as u8]);
    answer.extend(lists);
    let answer = framed(&answer);
    let job = framed(&[0x32, 3, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0]);
    let parts = [Client(b"\x03\0\0\x04"), connected, Server(&job), Server(&answer)];
    check(102, &parts, "s7comm", &[("module_type", "CPU 315-2 PN/DP")]);
    // A connection alone is enough to leave it alone.
    let connected = Server(&[3, 0, 0, 11, 6, 0xd0, 0, 1, 0, 2, 0]);
    check(102, &[connected], "s7comm", &[]);
}

#[test]
fn an_opc_server_says_whose_it_is() {
    let string = |out: &mut Vec<u8>, text: &str| {
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    };
    let mut body = vec![0; 16];
    body.extend([1, 0, 0xaf, 1]);
    body.extend([0; 16]);
    body.extend([0, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0]);
    string(&mut body, "opc.tcp://plc7:4840");
    string(&mut body, "urn:plc7:maker");
    string(&mut body, "urn:maker");
    body.push(2);
    string(&mut body, "Maker");
    let mut answer = b"MSGF".to_vec();
    answer.extend((body.len() as u32 + 8).to_le_bytes());
    answer.extend(body);
    let acknowledge = Server(b"ACKF\x1c\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0");
    let opened = Server(b"OPNF\x0c\0\0\0abcd");
    let parts = [Client(b"HELF\x08\0\0\0"), acknowledge, opened, Server(&answer)];
    let expected = [
        ("application_name", "Maker"),
        ("application_uri", "urn:plc7:maker"),
        ("product_uri", "urn:maker"),
    ];
    check(4840, &parts, "opcua", &expected);
    let acknowledge = Server(b"ACKF\x1c\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0");
    check(4840, &[acknowledge], "opcua", &[]);
}

/// A message of DICOM's, of `alice` to `hunter2`.
fn associate(kind: u8, version: &str) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend(b"hunter2         alice           ");
    body.extend([0; 32]);
    body.extend([0x50, 0, 0, version.len() as u8 + 4, 0x55, 0, 0, version.len() as u8]);
    body.extend(version.as_bytes());
    let mut out = vec![kind, 0, 0, 0, 0, body.len() as u8];
    out.extend(body);
    out
}

#[test]
fn a_hospitals_servers_name_their_programs_and_no_patient() {
    let (ask, accept) = (associate(1, "SOMEBODY_1"), associate(2, "OFFIS_DCMTK_366"));
    let found = service(11_112, &[Client(&ask), Server(&accept)]);
    let product = (found.product.as_deref(), found.version.as_deref());
    assert_eq!((&*found.protocol, product), ("dicom", (Some("DCMTK"), Some("3.6.6"))));
    assert!(found.cpe.is_some());

    let message = Client(b"\x0bMSH|^~\\&|LAB|X|EHR|Y|2026||ADT^A01|7|P|2.3\rPID|||alice\r\x1c\r");
    let answer = Server(b"\x0bMSH|^~\\&|EHR^1|alice|LAB|X|2026||ACK|7|P|2.3\rMSA|AA|7\r\x1c\r");
    check(6_661, &[message, answer], "hl7", &[("application", "EHR"), ("hl7_version", "2.3")]);
}

#[test]
fn databases_tell_their_versions_beside_the_login() {
    let ask = tds::prelogin();
    let answer = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 15, 0, 0x07, 0xd0, 0, 0, 1];
    let answer = tds::packets(tds::RESPONSE, &answer);
    let found = service(50_123, &[Client(&ask), Server(&answer)]);
    assert_eq!(found.version.as_deref(), Some("15.0.2000"));
    assert_eq!(found.product.as_deref(), Some("Microsoft SQL Server"));

    let text =
        b"(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=x)(CID=(PROGRAM=)(HOST=pc)(USER=alice))))";
    let mut ask = vec![0, text.len() as u8 + 58, 0, 0, 1, 0, 0, 0, 1, 0x3b];
    ask.resize(58, 0);
    ask.extend(text);
    let refusal = b"(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR=12514))";
    let mut answer = vec![0, refusal.len() as u8 + 12, 0, 0, 4, 0, 0, 0, 0x22, 0, 0];
    answer.push(refusal.len() as u8);
    answer.extend(refusal);
    let found = service(1_521, &[Client(&ask), Server(&answer)]);
    let product = (found.product.as_deref(), found.version.as_deref());
    assert_eq!(product, (Some("Oracle Database"), Some("19.0.0.0.0")));

    let message = |to: u8, values: &[u8]| {
        let mut out = (values.len() as u32 + 26).to_le_bytes().to_vec();
        out.extend([9, 0, 0, 0, to, 0, 0, 0, 0xdd, 7, 0, 0, 0, 0, 0, 0, 0]);
        out.extend((values.len() as u32 + 5).to_le_bytes());
        out.extend(values);
        out.push(0);
        out
    };
    let (hello, build) = (
        message(1, b"\x10maxWireVersion\0\x15\0\0\0"),
        message(2, b"\x02version\0\x06\0\0\x007.0.2\0"),
    );
    let login = message(0, b"\x02user\0\x06\0\0\0alice\0");
    let parts = [Client(&login), Server(&hello), Client(&login), Server(&build)];
    let found = service(27_017, &parts);
    assert_eq!(found.version.as_deref(), Some("7.0.2"));
    assert_eq!(found.attributes["wire_version"], "21");
}

#[test]
fn redis_says_its_version_to_hello_and_to_info() {
    let hello = [
        Client(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"),
        Server(b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n$5\r\nproto\r\n:3\r\n"),
    ];
    assert_eq!(service(6_379, &hello).version.as_deref(), Some("7.2.4"));
    let info = [
        Client(b"*1\r\n$4\r\nPING\r\n"),
        Server(b"+PONG\r\n"),
        Client(b"*1\r\n$4\r\nINFO\r\n"),
        Server(b"$40\r\n# Server\r\nredis_version:6.2.7\r\nredis_mode:x\r\n"),
    ];
    assert_eq!(service(6_379, &info).version.as_deref(), Some("6.2.7"));
}
