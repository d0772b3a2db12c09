//! The readers of `wire`: one target a file.

use std::hint::black_box;

use wire::{
    Reader, arp, bacnet, ber, coap, dhcp, dns, dtls, enip, ethernet, fins, http, icmp, ike, ip,
    ipp, kerberos, knx, l2tp, ldap, lines, mld, mndp, modbus, mqtt, mysql, nat_pmp, nbns, ndp,
    ntlm, ntp, openvpn, postgresql, quic, radius, rdp, rmcp, rpc, sip, slp, smb2, snmp, sqlr, ssdp,
    ssh, stun, tcp, tds, telnet, tftp, ubiquiti, udp, ws_discovery, xdmcp,
};

use crate::{Target, datagrams, seeds};

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "wire/arp", run: run_arp, seeds: seeds::of_arp },
    Target { name: "wire/bacnet", run: run_bacnet, seeds: datagrams::of_bacnet },
    Target { name: "wire/ber", run: run_ber, seeds: seeds::of_ber },
    Target { name: "wire/coap", run: run_coap, seeds: datagrams::of_coap },
    Target { name: "wire/dhcp", run: run_dhcp, seeds: seeds::of_dhcp },
    Target { name: "wire/dns", run: run_dns, seeds: seeds::of_dns },
    Target { name: "wire/dtls", run: run_dtls, seeds: datagrams::of_dtls },
    Target { name: "wire/enip", run: run_enip, seeds: datagrams::of_enip },
    Target { name: "wire/ethernet", run: run_ethernet, seeds: seeds::of_ethernet },
    Target { name: "wire/fins", run: run_fins, seeds: datagrams::of_fins },
    Target { name: "wire/http", run: run_http, seeds: seeds::of_http },
    Target { name: "wire/icmp", run: run_icmp, seeds: seeds::of_icmp },
    Target { name: "wire/ike", run: run_ike, seeds: datagrams::of_ike },
    Target { name: "wire/ip", run: run_ip, seeds: seeds::of_ip },
    Target { name: "wire/ipp", run: run_ipp, seeds: seeds::of_ipp },
    Target { name: "wire/kerberos", run: run_kerberos, seeds: datagrams::of_kerberos },
    Target { name: "wire/knx", run: run_knx, seeds: datagrams::of_knx },
    Target { name: "wire/l2tp", run: run_l2tp, seeds: datagrams::of_l2tp },
    Target { name: "wire/ldap", run: run_ldap, seeds: seeds::of_ldap },
    Target { name: "wire/lines", run: run_lines, seeds: seeds::of_lines },
    Target { name: "wire/mld", run: run_mld, seeds: seeds::of_mld },
    Target { name: "wire/mndp", run: run_mndp, seeds: datagrams::of_mndp },
    Target { name: "wire/modbus", run: run_modbus, seeds: datagrams::of_modbus },
    Target { name: "wire/mqtt", run: run_mqtt, seeds: seeds::of_mqtt },
    Target { name: "wire/mysql", run: run_mysql, seeds: seeds::of_mysql },
    Target { name: "wire/nat_pmp", run: run_nat_pmp, seeds: datagrams::of_nat_pmp },
    Target { name: "wire/nbns", run: run_nbns, seeds: seeds::of_nbns },
    Target { name: "wire/ndp", run: run_ndp, seeds: seeds::of_ndp },
    Target { name: "wire/ntlm", run: run_ntlm, seeds: seeds::of_ntlm },
    Target { name: "wire/ntp", run: run_ntp, seeds: seeds::of_ntp },
    Target { name: "wire/openvpn", run: run_openvpn, seeds: datagrams::of_openvpn },
    Target { name: "wire/postgresql", run: run_postgresql, seeds: seeds::of_postgresql },
    Target { name: "wire/quic", run: run_quic, seeds: datagrams::of_quic },
    Target { name: "wire/radius", run: run_radius, seeds: datagrams::of_radius },
    Target { name: "wire/rdp", run: run_rdp, seeds: seeds::of_rdp },
    Target { name: "wire/reader", run: run_reader, seeds: seeds::of_lines },
    Target { name: "wire/rmcp", run: run_rmcp, seeds: datagrams::of_rmcp },
    Target { name: "wire/rpc", run: run_rpc, seeds: datagrams::of_rpc },
    Target { name: "wire/sip", run: run_sip, seeds: datagrams::of_sip },
    Target { name: "wire/slp", run: run_slp, seeds: datagrams::of_slp },
    Target { name: "wire/smb2", run: run_smb2, seeds: seeds::of_smb2 },
    Target { name: "wire/snmp", run: run_snmp, seeds: seeds::of_snmp },
    Target { name: "wire/sqlr", run: run_sqlr, seeds: datagrams::of_sqlr },
    Target { name: "wire/ssdp", run: run_ssdp, seeds: seeds::of_ssdp },
    Target { name: "wire/ssh", run: run_ssh, seeds: seeds::of_ssh },
    Target { name: "wire/stun", run: run_stun, seeds: datagrams::of_stun },
    Target { name: "wire/tcp", run: run_tcp, seeds: seeds::of_tcp },
    Target { name: "wire/tds", run: run_tds, seeds: datagrams::of_tds },
    Target { name: "wire/telnet", run: run_telnet, seeds: seeds::of_telnet },
    Target { name: "wire/tftp", run: run_tftp, seeds: datagrams::of_tftp },
    Target { name: "wire/ubiquiti", run: run_ubiquiti, seeds: datagrams::of_ubiquiti },
    Target { name: "wire/udp", run: run_udp, seeds: seeds::of_udp },
    Target { name: "wire/ws_discovery", run: run_ws_discovery, seeds: datagrams::of_ws_discovery },
    Target { name: "wire/xdmcp", run: run_xdmcp, seeds: datagrams::of_xdmcp },
];

/// Calls `read` until it fails or takes nothing: what a stream's reader does.
fn all<T, E>(bytes: &[u8], mut read: impl FnMut(&mut Reader<'_>) -> Result<T, E>) {
    let mut r = Reader::new(bytes);
    loop {
        let before = r.offset();
        if black_box(read(&mut r)).is_err() || r.offset() == before {
            break;
        }
    }
}

fn run_arp(bytes: &[u8]) {
    if let Ok(message) = arp::Arp::parse(bytes) {
        // What was read is built again without loss, padding left out.
        assert_eq!(Some(message.build().as_slice()), bytes.get(..28));
    }
}

fn run_bacnet(bytes: &[u8]) {
    black_box(bacnet::IAm::parse(bytes).is_ok());
    black_box(bacnet::Answer::parse(bytes).is_ok());
}

fn run_ber(bytes: &[u8]) {
    all(bytes, |r| ber::element(r, "element").map(|(tag, inner)| (tag, inner.rest().len())));
    all(bytes, |r| ber::expect(r, "sequence", ber::tag::SEQUENCE).map(|inner| inner.rest().len()));
    all(bytes, |r| ber::octets(r, "octets").map(<[u8]>::len));
    all(bytes, |r| ber::integer(r, "integer"));
    all(bytes, |r| ber::enumerated(r, "enumerated"));
    all(bytes, |r| ber::oid(r, "oid"));
    black_box(ber::dotted(bytes));
    black_box(ber::write(bytes.first().copied().unwrap_or_default(), bytes));
}

fn run_coap(bytes: &[u8]) {
    if let Ok(answer) = coap::Answer::parse(bytes) {
        black_box(coap::links(&answer.payload).len());
    }
    black_box(coap::links(bytes).len());
}

fn run_dhcp(bytes: &[u8]) {
    if let Ok(message) = dhcp::Message::parse(bytes) {
        black_box((message.host_name(), message.full_name(), message.vendor_class()));
        black_box((message.client_id(), message.parameters()));
        black_box((message.requested(), message.server()));
    }
}

fn run_dns(bytes: &[u8]) {
    black_box(dns::Asked::parse(bytes).is_ok());
    black_box(
        dns::lasting_parts(bytes, &mut |part| {
            black_box(part.len());
        })
        .is_ok(),
    );
    black_box(dns::Answer::parse_answers(bytes).is_ok());
    if let Ok(answer) = dns::Answer::parse(bytes) {
        for record in &answer.records {
            black_box(record.name.to_string());
            if let dns::Data::Pointer(name) = &record.data {
                black_box(name.to_string());
            }
        }
    }
    black_box(dns::framed(bytes));
}

fn run_dtls(bytes: &[u8]) {
    black_box(dtls::Answer::parse(bytes).is_ok());
}

fn run_enip(bytes: &[u8]) {
    black_box(enip::Identity::parse(bytes).is_ok());
}

fn run_ethernet(bytes: &[u8]) {
    if let Ok(frame) = ethernet::Frame::parse(bytes) {
        assert!(frame.payload.len() <= bytes.len());
        black_box(ethernet::frame(
            frame.destination,
            frame.source,
            frame.ether_type,
            frame.payload,
        ));
    }
}

fn run_fins(bytes: &[u8]) {
    black_box(fins::Controller::parse(bytes).is_ok());
}

fn run_http(bytes: &[u8]) {
    black_box(http::looks_like_response(bytes));
    if let Ok(response) = http::response(bytes) {
        assert!(response.body.len() <= bytes.len());
        black_box((response.field("server").map(str::len), response.keeps_alive()));
        black_box(http::title(&response.body, response.field("content-type")));
    }
    let kind = lines::text(bytes.get(..40).unwrap_or(bytes));
    for charset in [None, Some("text/html; charset=Shift_JIS"), Some(kind.as_str())] {
        black_box(http::title(bytes, charset));
    }
    black_box(http::is_past_title(bytes));
}

fn run_icmp(bytes: &[u8]) {
    for read in [icmp::Message::parse_icmp, icmp::Message::parse_icmpv6] {
        if let Ok(icmp::Message::Error { quoted, .. }) = read(bytes) {
            black_box(icmp::Quote::parse(quoted).is_ok());
        }
    }
    black_box(icmp::Quote::parse(bytes).is_ok());
}

fn run_ike(bytes: &[u8]) {
    black_box(ike::Message::parse(bytes).is_ok());
}

fn run_ip(bytes: &[u8]) {
    if let Ok(packet) = ip::Packet::parse(bytes) {
        assert!(packet.payload.len() <= bytes.len());
        if let Some(ends) = ip::Ends::new(packet.source, packet.destination) {
            black_box(ends.checksum(packet.protocol, packet.payload, 1));
            black_box(ip::packet(ends, packet.protocol, packet.ttl, packet.payload));
        }
    }
}

fn run_ipp(bytes: &[u8]) {
    if let Ok(answer) = ipp::Answer::parse(bytes) {
        black_box(answer.value("printer-name").map(<[u8]>::len));
    }
    black_box(ipp::response(bytes).is_ok());
}

fn run_kerberos(bytes: &[u8]) {
    black_box(kerberos::Refusal::parse(bytes).is_ok());
    black_box(kerberos::Message::parse(bytes).is_ok());
    black_box(kerberos::Message::of_stream(bytes).is_some());
}

fn run_knx(bytes: &[u8]) {
    black_box(knx::Device::parse(bytes).is_ok());
}

fn run_l2tp(bytes: &[u8]) {
    black_box(l2tp::Answer::parse(bytes).is_ok());
}

fn run_ldap(bytes: &[u8]) {
    all(bytes, ldap::Message::read);
    black_box(ldap::Message::read_all(bytes, 1));
    black_box((ldap::asks_root(bytes), ldap::root(bytes)));
}

fn run_lines(bytes: &[u8]) {
    all(bytes, lines::reply);
    black_box(lines::replies(bytes).0.iter().map(|reply| reply.text().len()).sum::<usize>());
    black_box(lines::lines(bytes).count());
    black_box(lines::has_line(bytes));
    let text = lines::text(bytes);
    assert!(!text.chars().any(char::is_control));
    black_box(lines::squeeze(&text));
}

fn run_mld(bytes: &[u8]) {
    black_box(mld::Report::parse(bytes).is_ok());
}

fn run_mndp(bytes: &[u8]) {
    black_box(mndp::Neighbour::parse(bytes).is_ok());
}

fn run_modbus(bytes: &[u8]) {
    black_box(modbus::parse(bytes).is_ok());
}

fn run_mqtt(bytes: &[u8]) {
    all(bytes, mqtt::Packet::read);
    black_box(mqtt::Packet::read_all(bytes));
}

fn run_mysql(bytes: &[u8]) {
    black_box(mysql::Greeting::parse(bytes).is_ok());
}

fn run_nat_pmp(bytes: &[u8]) {
    black_box(nat_pmp::Answer::parse(bytes).is_ok());
}

fn run_nbns(bytes: &[u8]) {
    black_box(nbns::Claim::parse(bytes).is_ok());
    black_box(nbns::Claim::of_datagram(bytes).is_ok());
    black_box(nbns::NodeStatus::parse(bytes).is_ok());
}

fn run_ndp(bytes: &[u8]) {
    black_box(ndp::Advertisement::parse(bytes).is_ok());
    black_box(ndp::LinkLayer::parse(bytes).is_ok());
    black_box(ndp::Router::parse(bytes).is_ok());
}

fn run_ntlm(bytes: &[u8]) {
    black_box(ntlm::Challenge::find(bytes).is_ok());
    black_box(ntlm::utf16(bytes));
}

fn run_ntp(bytes: &[u8]) {
    black_box(ntp::Sender::parse(bytes).is_ok());
    black_box(ntp::Reply::parse(bytes).is_ok());
    black_box(ntp::Control::parse(bytes).is_ok());
    let text = String::from_utf8_lossy(bytes);
    black_box(ntp::variables(&text).len());
}

fn run_openvpn(bytes: &[u8]) {
    black_box(openvpn::Answer::parse(bytes).is_ok());
}

fn run_postgresql(bytes: &[u8]) {
    if let Ok(error) = postgresql::ErrorResponse::parse(bytes) {
        black_box(error.field(b'R').map(<[u8]>::len));
    }
}

fn run_quic(bytes: &[u8]) {
    if let Ok(found) = quic::Negotiation::parse(bytes) {
        assert!(found.versions.len() <= bytes.len());
        black_box(found.versions.into_iter().map(quic::version_name).count());
    }
}

fn run_radius(bytes: &[u8]) {
    black_box(radius::Answer::parse(bytes).is_ok());
}

fn run_rdp(bytes: &[u8]) {
    black_box(rdp::Answer::parse(bytes).is_ok());
}

fn run_reader(bytes: &[u8]) {
    let mut r = Reader::new(bytes);
    // The first byte of each step says what to read, so that damage changes the order.
    while let Ok(step) = r.u8("step") {
        let before = r.offset();
        match step % 12 {
            0 => drop(black_box(r.u16("a"))),
            1 => drop(black_box(r.u24("a"))),
            2 => drop(black_box(r.u32("a"))),
            3 => drop(black_box(r.u64("a"))),
            4 => drop(black_box(r.u16_le("a"))),
            5 => drop(black_box(r.u32_le("a"))),
            6 => drop(black_box(r.u64_le("a"))),
            7 => drop(black_box(r.until("a", b"\r\n"))),
            8 => drop(black_box(r.nested("a", step.into()))),
            9 => drop(black_box(r.take_up_to(step.into()))),
            10 => drop(black_box(r.take("a", usize::MAX))),
            _ => drop(black_box(r.until("a", b""))),
        }
        assert!(r.offset() >= before && r.offset() <= bytes.len());
        black_box(r.invalid("a", 7u8).to_string());
    }
}

fn run_rmcp(bytes: &[u8]) {
    black_box(rmcp::Answer::parse(bytes).is_ok());
}

fn run_rpc(bytes: &[u8]) {
    if let Ok(rpc::Reply { outcome: rpc::Outcome::Success(results), .. }) = rpc::Reply::parse(bytes)
    {
        black_box(rpc::mappings(results).is_ok());
    }
    black_box(rpc::mappings(bytes).is_ok());
}

fn run_sip(bytes: &[u8]) {
    black_box(sip::Response::parse(bytes).is_ok());
}

fn run_slp(bytes: &[u8]) {
    black_box(slp::Types::parse(bytes).is_ok());
}

fn run_smb2(bytes: &[u8]) {
    if let Ok(smb2::Message::Negotiate(negotiated)) = smb2::Message::parse(bytes) {
        black_box((negotiated.dialect_name(), negotiated.guid_text()));
    }
    black_box(smb2::Message::framed_len(bytes));
}

fn run_snmp(bytes: &[u8]) {
    black_box(snmp::Head::parse(bytes).is_ok());
    black_box(snmp::Message::parse(bytes).is_ok());
    black_box(snmp::EngineId::parse(bytes).is_some());
}

fn run_sqlr(bytes: &[u8]) {
    black_box(sqlr::parse(bytes).is_ok());
}

fn run_ssdp(bytes: &[u8]) {
    black_box(ssdp::Answer::of_notice(bytes).is_ok());
    if let Ok(answer) = ssdp::Answer::parse(bytes) {
        black_box(answer.device_uuid());
    }
}

fn run_ssh(bytes: &[u8]) {
    let mut r = Reader::new(bytes);
    black_box(ssh::identification(&mut r).is_ok());
    while let Ok(message) = ssh::message(&mut r) {
        if let ssh::Message::KexInit(kex) = &message {
            black_box(kex.chosen_kex());
        }
        black_box(&message);
    }
    all(bytes, ssh::message);
    black_box(ssh::key_algorithm(bytes).is_ok());
    black_box(ssh::certificate(bytes).is_ok());
    black_box(ssh::key_exchange(&String::from_utf8_lossy(bytes)));
}

fn run_stun(bytes: &[u8]) {
    black_box(stun::Response::parse(bytes).is_ok());
}

fn run_tcp(bytes: &[u8]) {
    black_box(tcp::Segment::parse(bytes).is_ok());
    black_box(tcp::Start::parse(bytes).is_ok());
}

fn run_tds(bytes: &[u8]) {
    all(bytes, |r| tds::Packet::read(r).map(|packet| packet.payload.len()));
    all(bytes, tds::Prelogin::read);
}

fn run_telnet(bytes: &[u8]) {
    let heard = telnet::read(bytes);
    assert!(heard.text.len() <= bytes.len());
    assert!(heard.refusal().len() <= bytes.len().max(3));
}

fn run_tftp(bytes: &[u8]) {
    black_box(tftp::request(bytes).is_ok());
    black_box(tftp::Answer::parse(bytes).is_ok());
}

fn run_ubiquiti(bytes: &[u8]) {
    black_box(ubiquiti::Device::parse(bytes).is_ok());
}

fn run_udp(bytes: &[u8]) {
    if let Ok(datagram) = udp::Datagram::parse(bytes) {
        assert!(datagram.payload.len() <= bytes.len());
        black_box(udp::datagram(seeds::V6, datagram.source_port, 7, datagram.payload));
    }
}

fn run_ws_discovery(bytes: &[u8]) {
    black_box(ws_discovery::Match::of_hello(bytes).is_ok());
    black_box(ws_discovery::Match::parse(bytes).is_ok());
}

fn run_xdmcp(bytes: &[u8]) {
    black_box(xdmcp::Answer::parse(bytes).is_ok());
}
