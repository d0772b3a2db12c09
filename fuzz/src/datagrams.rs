//! Small valid messages of the protocols of `wire` that take one datagram, made by hand from
//! the specifications: an answer with the numbers that `probes` asks with, and our question.

use wire::{
    bacnet, ber, coap, dtls, enip, fins, ike, kerberos, knx, l2tp, mndp, modbus, nat_pmp, openvpn,
    quic, radius, rmcp, rpc, sip, slp, sqlr, stun, tftp, ubiquiti, ws_discovery, xdmcp,
};

/// As in `probes`.
const COOKIE: u32 = 0x0a0b_0c0d;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

pub(crate) fn of_bacnet() -> Vec<Vec<u8>> {
    let answer = |apdu: &[u8]| {
        let len = u8::try_from(6 + apdu.len()).unwrap_or(u8::MAX);
        [&[0x81, 10, 0, len, 1, 0], apdu].concat()
    };
    vec![
        answer(b"\x30\x0d\x0c\x0c\x02\0\0\x09\x19\x4b\x3e\xc4\x02\0\0\x09\x3f"),
        answer(
            b"\x30\x0e\x0e\x0c\x02\0\0\x09\x1e\x29\x79\x4e\x75\x06\0Maker\x4f\
              \x29\x46\x4e\x73\0M7\x4f\x29\x2c\x5e\x91\x02\x91\x20\x5f\x1f",
        ),
        bacnet::read_names(1),
    ]
}

pub(crate) fn of_coap() -> Vec<Vec<u8>> {
    vec![b"\x60\x45\x0c\x0d\xc1\x28\xd2\x01ab\xff</a>;rt=\"x\",</b>".to_vec(), coap::get_core(7)]
}

pub(crate) fn of_dtls() -> Vec<Vec<u8>> {
    let mut verify = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17];
    verify.extend([3, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 5, 0xfe, 0xff, 2, 1, 1]);
    let alert = vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
    vec![verify, alert, dtls::client_hello([7; 32])]
}

pub(crate) fn of_enip() -> Vec<Vec<u8>> {
    let mut answer = enip::list_identity(COOKIE);
    if let Some(len) = answer.get_mut(2) {
        *len = 47;
    }
    answer.extend([1, 0, 0x0c, 0, 41, 0, 1, 0]);
    answer.extend([0; 16]);
    answer.extend([1, 0, 14, 0, 55, 0, 20, 11, 0, 0, 0x78, 0x56, 0x34, 0x12, 8]);
    answer.extend(b"1756-L71");
    vec![answer, enip::list_identity(7)]
}

pub(crate) fn of_fins() -> Vec<Vec<u8>> {
    let mut answer = vec![0xc0, 0, 2, 0, 0xfe, 0, 0, 0, 0, 0x0d, 5, 1, 0, 0];
    answer.extend(b"CJ2M-CPU33          02.01               ");
    vec![answer, fins::read_controller(7)]
}

pub(crate) fn of_ike() -> Vec<Vec<u8>> {
    let mut answer = vec![0x0b, 0x0b, 0x0c, 0x0d, 0x0d, 0x0c, 0x0b, 0x0a];
    answer.extend([7; 8]);
    answer.extend([43, 0x20, 34, 0x20, 0, 0, 0, 0, 0, 0, 0, 43]);
    answer.extend([41, 0, 0, 7, b'a', b'b', b'c', 0, 0, 0, 8, 0, 0, 0, 17]);
    vec![answer, ike::first_message([1; 8], [7; 4])]
}

pub(crate) fn of_kerberos() -> Vec<Vec<u8>> {
    let string = |text: &str| ber::write(0x1b, text.as_bytes());
    let names = ber::write_all(0x30, &[string("krbtgt"), string(&kerberos::realm(COOKIE))]);
    let name = [ber::write(0xa0, &ber::write_integer(2)), ber::write(0xa1, &names)];
    let fields = [
        ber::write(0xa0, &ber::write_integer(5)),
        ber::write(0xa1, &ber::write_integer(30)),
        ber::write(0xa6, &ber::write_integer(68)),
        ber::write(0xa9, &string("LAB.EXAMPLE")),
        ber::write(0xaa, &ber::write_all(0x30, &name)),
        ber::write(0xab, &string("no")),
    ];
    vec![ber::write(0x7e, &ber::write_all(0x30, &fields)), kerberos::request(COOKIE)]
}

pub(crate) fn of_knx() -> Vec<Vec<u8>> {
    let mut answer = vec![6, 0x10, 2, 4, 0, 64, 4, 2, 2, 1, 54, 1, 2, 0, 0x11, 0, 0, 0];
    answer.extend([0, 0xc5, 1, 2, 3, 4, 224, 0, 23, 12, 0, 0, 0x5e, 0, 0x53, 1]);
    answer.extend(b"Gateway 7");
    answer.resize(64, 0);
    vec![answer, knx::describe()]
}

pub(crate) fn of_l2tp() -> Vec<Vec<u8>> {
    let mut answer = vec![0xc8, 2, 0, 57, 0x0c, 0x0d, 0, 0, 0, 0, 0, 1];
    answer.extend([0x80, 8, 0, 0, 0, 0, 0, 2]);
    answer.extend(b"\x80\x0a\0\0\0\x07VPN7\0\x0b\0\0\0\x08Maker\x80\x08\0\0\0\x09\0\x2a");
    answer.extend([0x80, 8, 0, 0, 0, 6, 6, 0x90]);
    vec![answer, l2tp::start(7), l2tp::stop(9, 7)]
}

pub(crate) fn of_mndp() -> Vec<Vec<u8>> {
    let answer = b"\0\0\0\x09\0\x01\0\x06\0\0\x5e\0\x53\x01\0\x05\0\x03gw7\
        \0\x07\0\x0f6.49.7 (stable)\0\x08\0\x08MikroTik\0\x0c\0\x03RB7";
    vec![answer.to_vec(), mndp::question()]
}

pub(crate) fn of_modbus() -> Vec<Vec<u8>> {
    let plate = b"\x0c\x0d\0\0\0\x15\xff\x2b\x0e\x01\x01\0\0\x02\0\x05Maker\x01\x04PLC7";
    let exception = b"\x0c\x0d\0\0\0\x03\xff\xab\x01";
    vec![plate.to_vec(), exception.to_vec(), modbus::read_device_id(7)]
}

pub(crate) fn of_nat_pmp() -> Vec<Vec<u8>> {
    let address = vec![0, 128, 0, 0, 0, 0, 0, 9, 192, 0, 2, 1];
    vec![address, vec![2, 128, 0, 1], nat_pmp::external_address()]
}

pub(crate) fn of_openvpn() -> Vec<Vec<u8>> {
    let mut answer = vec![0x40, 9, 9, 9, 9, 9, 9, 9, 9, 1, 0, 0, 0, 0];
    answer.extend([0x0a, 0x0b, 0x0c, 0x0d, 0x0d, 0x0c, 0x0b, 0x0a, 0, 0, 0, 0]);
    vec![answer, openvpn::reset([7; 8])]
}

pub(crate) fn of_quic() -> Vec<Vec<u8>> {
    let mut answer = vec![0xc0, 0, 0, 0, 0, 8, 0x0d, 0x0c, 0x0b, 0x0a, 5, 6, 7, 8];
    answer.extend([8, 0x0a, 0x0b, 0x0c, 0x0d, 1, 2, 3, 4]);
    answer.extend([0x6b, 0x33, 0x43, 0xcf, 0, 0, 0, 1]);
    vec![answer, quic::first_packet([1; 8], [2; 8])]
}

pub(crate) fn of_radius() -> Vec<Vec<u8>> {
    let mut answer = vec![2, 0x44, 0, 26];
    answer.extend([7; 16]);
    answer.extend(b"\x12\x06up 7");
    vec![answer, radius::status_server()]
}

pub(crate) fn of_rmcp() -> Vec<Vec<u8>> {
    let mut pong = vec![6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x40, 0x0d, 0, 16];
    pong.extend([0, 0, 0x11, 0xbe, 0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0]);
    let mut body = vec![0x20, 0x0d << 2, 0x38, 0, 1, 0x95, 5, 2, 0xa2, 2, 0, 0];
    body.push(body.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte)));
    let mut capable = vec![6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0x81, 0x1c, 0x63];
    capable.extend(body);
    vec![pong, capable, rmcp::ping(7), rmcp::capabilities(7)]
}

pub(crate) fn of_rpc() -> Vec<Vec<u8>> {
    let list = [1, 100_003, 4, 6, 2049, 1, 100_000, 2, 17, 111, 0];
    vec![
        words(&[COOKIE, 1, 0, 0, 0, 0]),
        words(&[&[COOKIE + 1, 1, 0, 0, 0, 0][..], &list].concat()),
        words(&list),
        rpc::call(7, rpc::DUMP),
    ]
}

pub(crate) fn of_sip() -> Vec<Vec<u8>> {
    let call_id = sip::call_id(COOKIE);
    let answer = format!(
        "SIP/2.0 200 OK\r\nCall-ID: {call_id}\r\nServer: Asterisk PBX 18.10.0\r\nAllow: OPTIONS\r\n\r\n"
    );
    vec![answer.into_bytes(), sip::options(7)]
}

pub(crate) fn of_slp() -> Vec<Vec<u8>> {
    let answer = b"\x02\x0a\0\0\x25\0\0\0\0\0\x0c\x0d\0\x02en\0\0\0\x11service:b,service";
    vec![answer.to_vec(), slp::type_request(7)]
}

pub(crate) fn of_sqlr() -> Vec<Vec<u8>> {
    let text = b"ServerName;FS7;InstanceName;SQL;Version;16.0.1000.6;tcp;1433;;";
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
    vec![[&[5, len, 0], &text[..]].concat(), sqlr::instances()]
}

pub(crate) fn of_stun() -> Vec<Vec<u8>> {
    let mut answer = vec![1, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42];
    answer.extend(words(&[COOKIE; 3]));
    answer.extend(b"\x80\x22\0\x0bExample-4.6\0");
    vec![answer, stun::binding([7; 12])]
}

pub(crate) fn of_tftp() -> Vec<Vec<u8>> {
    vec![
        b"\0\x05\0\x01File not found\0".to_vec(),
        b"\0\x06blksize\x00512\0".to_vec(),
        tftp::read_request("a"),
    ]
}

pub(crate) fn of_ubiquiti() -> Vec<Vec<u8>> {
    let answer =
        b"\x01\0\0\x1c\x03\0\x07XW.v6.1\x0c\0\x02B7\x01\0\x06\0\0\x5e\0\x53\x01\x0b\0\x01r";
    vec![answer.to_vec(), ubiquiti::discover()]
}

pub(crate) fn of_ws_discovery() -> Vec<Vec<u8>> {
    let ours = ws_discovery::message_id(COOKIE);
    let answer = format!(
        "<s:Envelope><a:RelatesTo>{ours}</a:RelatesTo><d:ProbeMatches><a:EndpointReference>\
         <a:Address>urn:uuid:00112233-4455-6677-8899-aabbccddeeff</a:Address>\
         </a:EndpointReference><d:Types>d:Device</d:Types>\
         <d:Scopes>onvif://www.onvif.org/name/x</d:Scopes></d:ProbeMatches></s:Envelope>"
    );
    vec![answer.into_bytes(), ws_discovery::probe(7)]
}

pub(crate) fn of_xdmcp() -> Vec<Vec<u8>> {
    vec![
        b"\0\x01\0\x05\0\x0e\0\0\0\x03pc7\0\x05ready".to_vec(),
        b"\0\x01\0\x06\0\x09\0\x03pc7\0\x02no".to_vec(),
        xdmcp::query(),
    ]
}

/// Answers to PRELOGIN, and a record of TLS in a packet of its own.
pub(crate) fn of_tds() -> Vec<Vec<u8>> {
    use wire::tds::{PRELOGIN, RESPONSE, packets};
    let options = |encryption| [1, 0, 6, 0, 1, 0xff, encryption];
    vec![
        packets(RESPONSE, &options(1)),
        packets(RESPONSE, &options(2)),
        packets(RESPONSE, &[0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 3, 0xe8, 0, 0, 3]),
        packets(PRELOGIN, &[22, 3, 3, 0, 4, 14, 0, 0, 0]),
    ]
}
