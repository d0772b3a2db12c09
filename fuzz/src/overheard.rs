//! Readers of `wire` for what others say to each other: no probe asks these questions.

use std::hint::black_box;

use wire::{Reader, dicom, hl7, mongodb, opcua, s7, sip, tns};

use crate::Target;

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "wire/dicom", run: run_dicom, seeds: of_dicom },
    Target { name: "wire/hl7", run: run_hl7, seeds: of_hl7 },
    Target { name: "wire/mongodb", run: run_mongodb, seeds: of_mongodb },
    Target { name: "wire/opcua", run: run_opcua, seeds: of_opcua },
    Target { name: "wire/s7", run: run_s7, seeds: of_s7 },
    Target { name: "wire/sip overheard", run: run_sip, seeds: of_sip },
    Target { name: "wire/tns", run: run_tns, seeds: of_tns },
];

fn run_dicom(bytes: &[u8]) {
    if let Ok(found) = dicom::Associate::parse(bytes) {
        let len = |text: Option<String>| text.map_or(0, |text| text.len());
        assert!(len(found.class_uid) + len(found.version_name) <= bytes.len() * 3);
    }
}

fn of_dicom() -> Vec<Vec<u8>> {
    let mut message = vec![2, 0, 0, 0, 0, 85, 0, 1];
    message.extend([0; 66]);
    message.extend(b"\x50\0\0\x0d\x52\0\0\x011\x55\0\0\x04DCM1");
    vec![message]
}

fn run_hl7(bytes: &[u8]) {
    if let Ok(sender) = hl7::Sender::parse(bytes) {
        assert!(sender.application.is_none_or(|name| name.len() <= 40));
    }
}

fn of_hl7() -> Vec<Vec<u8>> {
    vec![b"\x0bMSH|^~\\&|LAB^1|CLINIC|EHR|X|2026||ADT^A01|7|P|2.5.1\rPID|1\r\x1c\r".to_vec()]
}

fn run_mongodb(bytes: &[u8]) {
    let mut r = Reader::new(bytes);
    while !r.is_at_end() && black_box(mongodb::Answer::read(&mut r)).is_ok() {}
}

fn of_mongodb() -> Vec<Vec<u8>> {
    let mut message = vec![61, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0xdd, 7, 0, 0, 0, 0, 0, 0, 0];
    message.extend(b"\x28\0\0\0\x02version\0\x06\0\0\x007.0.2\0\x03x\0\x05\0\0\0\0\x08ok\0\x01\0");
    vec![message]
}

fn run_opcua(bytes: &[u8]) {
    let mut r = Reader::new(bytes);
    while !r.is_at_end() {
        let Ok(message) = opcua::Message::read(&mut r) else { break };
        black_box(opcua::Application::of_answer(message.body).is_ok());
    }
    black_box(opcua::Application::of_answer(bytes).is_ok());
}

fn of_opcua() -> Vec<Vec<u8>> {
    let mut body = vec![0; 16];
    body.extend([1, 0, 0xaf, 1]);
    body.extend([0; 16]);
    body.extend([0, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0]);
    body.extend(b"\x01\0\0\0u\x01\0\0\0a\x01\0\0\0p\x02\x01\0\0\0n");
    let mut message = b"ACKF\x08\0\0\0MSGF".to_vec();
    message.extend([body.len() as u8 + 8, 0, 0, 0]);
    message.extend(&body);
    vec![message, body]
}

fn run_s7(bytes: &[u8]) {
    let (mut r, mut plate) = (Reader::new(bytes), s7::Plate::default());
    while !r.is_at_end() {
        match s7::message(&mut r) {
            Ok(Some(message)) if s7::is_message(message) => {
                black_box(plate.take(message).is_ok());
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    black_box(plate.take(bytes).is_ok());
}

fn of_s7() -> Vec<Vec<u8>> {
    let mut message = vec![3, 0, 0, 75, 2, 0xf0, 0x80, 0x32, 7, 0, 0, 1, 0, 0, 12, 0, 46];
    message.extend([0, 1, 0x12, 8, 0x12, 0x84, 1, 1, 0, 0, 0, 0, 0xff, 9, 0, 42]);
    message.extend([0, 0x1c, 0, 0, 0, 34, 0, 1, 0, 7]);
    message.extend(b"CPU 315-2 PN/DP");
    message.resize(75, 0);
    vec![message]
}

fn run_sip(bytes: &[u8]) {
    black_box(sip::Overheard::parse(bytes).is_ok());
}

fn of_sip() -> Vec<Vec<u8>> {
    vec![
        b"REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nUser-Agent: Phone/7.1\r\n\r\n".to_vec(),
        b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP a, b\r\nCSeq: 1 OPTIONS\r\nServer: X 1\r\n\r\n".to_vec(),
    ]
}

fn run_tns(bytes: &[u8]) {
    black_box(tns::is_connect(bytes));
    black_box(tns::Answer::parse(bytes).is_ok());
}

fn of_tns() -> Vec<Vec<u8>> {
    let mut message = vec![0, 32, 0, 0, 4, 0, 0, 0, 0x22, 0, 0, 20];
    message.extend(b"(VSNNUM=318767104)()");
    vec![message, vec![0, 10, 0, 0, 2, 0, 0, 0, 1, 0x3b]]
}
