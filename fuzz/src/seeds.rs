//! Small valid messages of each protocol of `wire`, made by hand from the specifications.

use wire::{
    arp, ber, dhcp, dns, ethernet, icmp, ip, ldap, mqtt, nbns, ndp, ntlm, ntp, smb2, snmp, tcp, udp,
};

const MAC: model::MacAddr = model::MacAddr([2, 0, 0, 0, 0, 9]);
const V4: ip::Ends =
    ip::Ends::V4(std::net::Ipv4Addr::new(192, 0, 2, 1), std::net::Ipv4Addr::new(192, 0, 2, 9));
pub(crate) const V6: ip::Ends = ip::Ends::V6(
    std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9),
);

pub(crate) fn of_arp() -> Vec<Vec<u8>> {
    let [a, b] = [[192, 0, 2, 1].into(), [192, 0, 2, 9].into()];
    let mut reply = arp::Arp::request(MAC, a, b);
    reply.operation = arp::Operation::Reply;
    vec![arp::Arp::request(MAC, a, b).build(), reply.build()]
}

pub(crate) fn of_ber() -> Vec<Vec<u8>> {
    vec![
        vec![0x30, 6, 2, 1, 7, 4, 1, b'x'],
        vec![6, 6, 0x2b, 6, 1, 4, 0x86, 0x8d],
        vec![2, 4, 0x7f, 0xff, 0xff, 0xff, 10, 1, 0],
        ber::write(4, &[b'a'; 300]),
        ber::write_all(0x30, &[ber::write_integer(-129), ber::write(6, &[0x2b, 6, 1])]),
    ]
}

pub(crate) fn of_dhcp() -> Vec<Vec<u8>> {
    let message = |operation: u8, file: &[u8], options: &[u8]| {
        let mut bytes = vec![operation, 1, 6, 0, 1, 2, 3, 4];
        bytes.resize(16, 0);
        bytes.extend([192, 0, 2, 7]);
        bytes.resize(28, 0);
        bytes.extend(MAC.0);
        bytes.resize(108, 0);
        bytes.extend(file);
        bytes.resize(236, 0);
        bytes.extend([0x63, 0x82, 0x53, 0x63]);
        bytes.extend(options);
        bytes
    };
    let request = b"\x35\x01\x03\x0c\x04pc7\0\x3c\x08MSFT 5.0\x3d\x07\x01\x02\0\0\0\0\x09\
        \x37\x03\x01\x03\x06\x51\x0d\x04\0\0\x03pc7\x03lan\0\x32\x04\xc0\0\x02\x07\xff";
    vec![
        message(1, b"", request),
        message(2, b"", b"\x35\x01\x05\x36\x04\xc0\0\x02\x01\xff"),
        message(1, b"\x0c\x03pc9\xff", b"\x35\x01\x01\x34\x01\x03\xff"),
    ]
}

pub(crate) fn of_dns() -> Vec<Vec<u8>> {
    // A pointer, a service, a text and an address, with compressed names.
    // Their numbers are the half of the cookie with which `probes` asks.
    let mut records = vec![0x0c, 0x0d, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    records.extend(b"\x05_http\x04_tcp\x05local\0\0\x0c\0\x01\0\0\0\x78\0\x08\x05Print\xc0\x0c");
    records.extend(b"\xc0\x29\0\x21\x80\x01\0\0\0\x78\0\x0b\0\0\0\0\0\x50\x02p7\xc0\x17");
    records.extend(b"\xc0\x29\0\x10\x80\x01\0\0\0\x78\0\x0a\x09ty=Laser7");
    records.extend(b"\xc0\x17\0\x01\x80\x01\0\0\0\x78\0\x04\xc0\0\x02\x07");
    let version = b"\x0c\x0d\x84\0\0\x01\0\x01\0\0\0\0\x07version\x04bind\0\0\x10\0\x03\xc0\x0c\0\x10\0\x03\0\0\0\0\0\x06\x059.18.";
    vec![records, version.to_vec(), dns::query(7, &[("version.bind", dns::TXT, dns::CHAOS)])]
}

pub(crate) fn of_ethernet() -> Vec<Vec<u8>> {
    let mut tagged = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x88, 0xa8, 0, 7];
    tagged.extend([0x81, 0, 0x20, 9, 8, 0]);
    tagged.extend(ip::packet(V4, ip::UDP, 64, &udp::datagram(V4, 1, 2, b"x")));
    let mut seeds = vec![tagged];
    seeds.extend(of_arp().iter().map(|a| ethernet::frame(MAC, MAC, ethernet::ARP, a)));
    let [here, all] = [[192, 0, 2, 7].into(), [255, 255, 255, 255].into()];
    let ends = ip::Ends::V4(here, all);
    seeds.extend(of_dhcp().iter().map(|message| {
        let datagram = udp::datagram(ends, dhcp::CLIENT_PORT, dhcp::SERVER_PORT, message);
        ethernet::frame(
            model::MacAddr::BROADCAST,
            MAC,
            ethernet::IPV4,
            &ip::packet(ends, ip::UDP, 64, &datagram),
        )
    }));
    seeds.extend(of_dns().iter().map(|message| {
        let datagram = udp::datagram(ends, 5353, 5353, message);
        ethernet::frame(
            model::MacAddr::BROADCAST,
            MAC,
            ethernet::IPV4,
            &ip::packet(ends, ip::UDP, 255, &datagram),
        )
    }));
    seeds.extend(of_ndp().iter().map(|message| {
        let packet = ip::packet(V6, ip::ICMPV6, ndp::HOP_LIMIT, message);
        ethernet::frame(model::MacAddr::BROADCAST, MAC, ethernet::IPV6, &packet)
    }));
    seeds.extend(of_ip().iter().map(|p| {
        let kind =
            if p.first().is_some_and(|b| b >> 4 == 6) { ethernet::IPV6 } else { ethernet::IPV4 };
        ethernet::frame(MAC, MAC, kind, p)
    }));
    seeds
}

pub(crate) fn of_http() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\nServer: nginx/1.24.0\r\nContent-Type: text/html\r\nContent-Length: 30\r\n\r\n<title>Room &amp; 7</title>1234",
        b"HTTP/1.1 401 Unauthorized\r\nServer: lighttpd\r\nWWW-Authenticate: Basic realm=\"Cam 9\"\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.0 302 Found\nLocation: https://192.0.2.7/login\n\n",
        b"<html><head><title>\x83\x8b\x81[\x83^&#12540;&#x41;</title><meta charset=utf-8>",
    ];
    texts.iter().map(|text| text.to_vec()).collect()
}

pub(crate) fn of_icmp() -> Vec<Vec<u8>> {
    let mut seeds = vec![icmp::echo_request(V4, 7, 9, b"data"), icmp::echo_request(V6, 7, 9, b"")];
    for quoted in of_ip() {
        for head in [[3, 3, 0, 0, 0, 0, 0, 0], [1, 4, 0, 0, 0, 0, 0, 0]] {
            seeds.push([&head[..], &quoted].concat());
        }
        seeds.push(quoted);
    }
    seeds
}

pub(crate) fn of_ip() -> Vec<Vec<u8>> {
    let inner = udp::datagram(V4, 1, 53, b"data");
    // Hop-by-hop options, then a fragment header, then a datagram.
    let extended = [0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 7, 0, 1, 0, 2, 0, 9, 0, 0, 5];
    let mut v6 = vec![44];
    v6.extend_from_slice(&extended[1..]);
    vec![
        ip::packet(V4, ip::UDP, 64, &inner),
        ip::packet(V6, ip::TCP, 64, &tcp::syn(V6, 1, 80, 9)),
        ip::packet(V6, 0, 64, &v6),
    ]
}

pub(crate) fn of_ipp() -> Vec<Vec<u8>> {
    let mut body = vec![2, 0, 0, 0, 0, 0, 0, 1, 1];
    body.extend(b"\x47\0\x12attributes-charset\0\x05utf-8\x04");
    body.extend(b"\x41\0\x16printer-make-and-model\0\x07Laser 7\x44\0\0\0\x031.1\x03");
    let head = |server: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nServer: {server}\r\nContent-Type: application/ipp\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        )
    };
    let printer = [head("Laser/1").as_bytes(), &body].concat();
    let cups = [head("CUPS/2.4 IPP/2.1").as_bytes(), &body].concat();
    vec![printer, cups, body]
}

pub(crate) fn of_ldap() -> Vec<Vec<u8>> {
    let text = |text: &str| ber::write(4, text.as_bytes());
    let attribute = |name: &str, value: &str| {
        ber::write_all(0x30, &[text(name), ber::write_all(0x31, &[text(value)])])
    };
    let attributes = ber::write_all(
        0x30,
        &[attribute("vendorName", "OpenLDAP"), attribute("dnsHostName", "dc1.example.com")],
    );
    let message = |operation: Vec<u8>| ber::write_all(0x30, &[ber::write_integer(1), operation]);
    let entry = message(ber::write_all(0x64, &[text(""), attributes]));
    let done = message(ber::write_all(0x65, &[ber::write(10, &[0]), text(""), text("")]));
    vec![[entry, done.clone()].concat(), done, ldap::search_root(1, &["vendorName"])]
}

pub(crate) fn of_lines() -> Vec<Vec<u8>> {
    vec![
        b"220 mail.example.com ESMTP Postfix\r\n".to_vec(),
        b"250-mail.example.com\r\n250-PIPELINING\r\n250 STARTTLS\r\n".to_vec(),
        b"211-Features:\n MDTM\n211 End\n".to_vec(),
    ]
}

pub(crate) fn of_mqtt() -> Vec<Vec<u8>> {
    let version =
        b"\x20\x02\0\0\x90\x03\0\x01\0\x31\x2a\0\x13$SYS/broker/versionmosquitto version 2.0";
    vec![version.to_vec(), b"\x20\x02\0\x05".to_vec(), mqtt::connect(), mqtt::subscribe("$SYS/#")]
}

pub(crate) fn of_mysql() -> Vec<Vec<u8>> {
    let packet = |payload: &[u8]| {
        let len = u8::try_from(payload.len()).unwrap_or(u8::MAX);
        [&[len, 0, 0, 0], payload].concat()
    };
    let mut modern =
        b"\x0a10.11.6-MariaDB-0+deb12u1\0\x09\0\0\0saltsalt\0\xfe\xf7\x2d\x02\0\xff\x81\x15"
            .to_vec();
    modern.extend([0; 10]);
    modern.extend(b"saltsaltsalt\0mysql_native_password\0");
    vec![packet(&modern), packet(b"\xff\x6a\x04Host is not allowed")]
}

pub(crate) fn of_nbns() -> Vec<Vec<u8>> {
    let mut bytes = vec![0, 7, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    bytes.extend(b"\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\x21\0\x01\0\0\0\0\0\x2b\x02");
    bytes.extend(b"PC-SEVEN       \0\x04\0WORKGROUP      \0\x84\0\x02\0\0\0\0\x09");
    vec![bytes, nbns::node_status(7)]
}

pub(crate) fn of_mld() -> Vec<Vec<u8>> {
    let group = std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 9).octets();
    let mut first = vec![131, 0, 0, 0, 0, 0, 0, 0];
    first.extend(group);
    let mut second = vec![143, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0];
    second.extend(group);
    second.extend([1, 1, 0, 1]);
    second.extend(group);
    second.extend([0x20; 16]);
    second.extend([1, 2, 3, 4]);
    vec![first, second]
}

pub(crate) fn of_ndp() -> Vec<Vec<u8>> {
    let target = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);
    let mut bytes = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
    bytes.extend(target.octets());
    bytes.extend([14, 1, 1, 2, 3, 4, 5, 6, 2, 1, 2, 0, 0, 0, 0, 9]);
    let mut router =
        vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 9];
    router.extend([3, 4, 64, 0xc0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    router.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
    vec![bytes, router, ndp::solicitation(target, MAC, target)]
}

pub(crate) fn of_ntlm() -> Vec<Vec<u8>> {
    let pair = |id: u8, text: &str| {
        let value: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let len = u8::try_from(value.len()).unwrap_or(u8::MAX);
        [&[id, 0, len, 0][..], &value].concat()
    };
    let info = [pair(2, "OFFICE"), pair(1, "FS7"), pair(3, "fs7.example.com"), vec![0; 4]].concat();
    let len = u8::try_from(info.len()).unwrap_or(u8::MAX);
    let mut message = b"NTLMSSP\0\x02\0\0\0\0\0\0\0\x38\0\0\0\0\0\x80\x02saltsalt".to_vec();
    message.extend([0; 8]);
    message.extend([len, 0, len, 0, 56, 0, 0, 0, 10, 0, 0x63, 0x45, 0, 0, 0, 15]);
    message.extend(info);
    vec![message, ntlm::negotiate()]
}

pub(crate) fn of_ntp() -> Vec<Vec<u8>> {
    let mut reply = ntp::client(9);
    if let Some(first) = reply.first_mut() {
        *first = 0x24;
    }
    let data = b"version=\"ntpd 4.2.8p15\", system=\"Linux/6.1\"";
    let mut control = vec![0x16, 0x82, 0, 1, 0, 0, 0, 0, 0, 0, 0, 43];
    control.extend(data);
    vec![reply, control, data.to_vec(), ntp::read_variables(1, "version")]
}

pub(crate) fn of_postgresql() -> Vec<Vec<u8>> {
    let fields = b"SFATAL\0VFATAL\0C0A000\0Munsupported frontend protocol\0Fpostmaster.c\0L2143\0RProcessStartupPacket\0\0";
    let mut bytes = vec![b'E', 0, 0, 0, 4 + 98];
    bytes.extend(fields);
    vec![bytes, b"EFATAL:  unsupported frontend protocol\n\0".to_vec()]
}

pub(crate) fn of_rdp() -> Vec<Vec<u8>> {
    vec![
        vec![3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0x1f, 8, 0, 2, 0, 0, 0],
        vec![3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 3, 0, 8, 0, 5, 0, 0, 0],
        vec![3, 0, 0, 11, 6, 0xd0, 0, 0, 0, 0, 0],
    ]
}

pub(crate) fn of_smb2() -> Vec<Vec<u8>> {
    let answer = |command: u8, status: u32, body: &[u8]| {
        let len = u8::try_from(64 + body.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![0, 0, 0, len, 0xfe, b'S', b'M', b'B', 64, 0, 0, 0];
        bytes.extend(status.to_le_bytes());
        bytes.extend([command, 0, 1, 0, 1, 0, 0, 0]);
        bytes.resize(68, 0);
        bytes.extend(body);
        bytes
    };
    let mut negotiate = vec![65, 0, 1, 0, 0x02, 0x03, 0, 0];
    negotiate.extend([7; 16]);
    negotiate.resize(64, 0);
    let mut setup = vec![9, 0, 0, 0, 72, 0, 0, 0];
    for challenge in of_ntlm().into_iter().take(1) {
        if let Some(len) = setup.get_mut(6) {
            *len = u8::try_from(challenge.len()).unwrap_or(u8::MAX);
        }
        setup.extend(challenge);
    }
    vec![
        answer(0, 0, &negotiate),
        answer(1, 0xc000_0016, &setup),
        smb2::negotiate_smb1(),
        smb2::negotiate([7; 16]),
    ]
}

pub(crate) fn of_snmp() -> Vec<Vec<u8>> {
    let text = |bytes: &[u8]| ber::write(4, bytes);
    let binding = ber::write_all(
        0x30,
        &[ber::write(6, &[0x2b, 6, 1, 2, 1, 1, 1, 0]), text(b"Linux fs7 6.1.0 x86_64")],
    );
    let zero = || ber::write_integer(0);
    let response = ber::write_all(
        0xa2,
        &[ber::write_integer(7), zero(), zero(), ber::write_all(0x30, &[binding])],
    );
    let v2 = ber::write_all(0x30, &[ber::write_integer(1), text(b"public"), response]);
    let engine = [0x80, 0, 0x1f, 0x88, 3, 2, 0, 0, 0, 0, 9];
    let security = ber::write_all(
        0x30,
        &[
            text(&engine),
            ber::write_integer(1),
            ber::write_integer(99),
            text(b""),
            text(b""),
            text(b""),
        ],
    );
    let global = ber::write_all(
        0x30,
        &[ber::write_integer(7), ber::write_integer(65_507), text(&[0]), ber::write_integer(3)],
    );
    let scoped = ber::write_all(0x30, &[text(&engine), text(b""), ber::write(0xa8, &[])]);
    let v3 = ber::write_all(0x30, &[ber::write_integer(3), global, text(&security), scoped]);
    vec![v2, v3, engine.to_vec(), snmp::discover(7)]
}

pub(crate) fn of_ssdp() -> Vec<Vec<u8>> {
    vec![
        b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nST: upnp:rootdevice\r\nUSN: uuid:00112233-4455-6677-8899-aabbccddeeff::upnp:rootdevice\r\nSERVER: Linux/4.9 UPnP/1.0 Thing/7\r\nLOCATION: http://192.0.2.7:80/d.xml\r\n\r\n".to_vec(),
    ]
}

pub(crate) fn of_ssh() -> Vec<Vec<u8>> {
    let packet = |payload: &[u8]| {
        let padding = 8 - (payload.len() + 5) % 8 + 4;
        let len = u32::try_from(payload.len() + padding + 1).unwrap_or(u32::MAX);
        let mut bytes = len.to_be_bytes().to_vec();
        bytes.push(u8::try_from(padding).unwrap_or(u8::MAX));
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len() + padding, 0);
        bytes
    };
    let string = |text: &[u8]| {
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        [&len.to_be_bytes(), text].concat()
    };
    let mut kex = vec![20];
    kex.extend([9; 16]);
    for list in [
        &b"curve25519-sha256"[..],
        b"ssh-ed25519,rsa-sha2-512",
        b"aes128-ctr",
        b"aes128-ctr",
        b"hmac-sha2-256",
        b"hmac-sha2-256",
        b"none",
        b"none",
        b"",
        b"",
    ] {
        kex.extend(string(list));
    }
    kex.extend([0; 5]);
    let blob = [string(b"ssh-ed25519"), string(&[5; 32])].concat();
    let names = [string(b"a.example"), string(b"b.example")].concat();
    let certificate = [
        string(b"ssh-ed25519-cert-v01@openssh.com"),
        string(&[3; 32]),
        string(&[5; 32]),
        vec![0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2],
        string(b"pc-7"),
        string(&names),
        vec![0; 8],
        vec![0xff; 8],
        [string(b""), string(b""), string(b"")].concat(),
        string(&blob),
        string(b"signature"),
    ]
    .concat();
    let reply = [vec![31], string(&blob), string(&[6; 32]), string(b"signature")].concat();
    let id = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n".to_vec();
    let first = [id.clone(), packet(&kex)].concat();
    vec![
        [first.clone(), packet(&reply)].concat(),
        first,
        id,
        packet(&reply),
        packet(&[vec![31], string(&certificate)].concat()),
        blob,
        certificate,
        b"diffie-hellman-group14-sha256".to_vec(),
    ]
}

pub(crate) fn of_tcp() -> Vec<Vec<u8>> {
    vec![tcp::syn(V4, 1, 80, 9), tcp::syn(V6, 1, 443, 9)]
}

pub(crate) fn of_telnet() -> Vec<Vec<u8>> {
    vec![b"\xff\xfd\x18\xff\xfd\x20\xff\xfb\x03\xff\xfa\x18\x01\xff\xf0Router-7 login: ".to_vec()]
}

pub(crate) fn of_udp() -> Vec<Vec<u8>> {
    vec![udp::datagram(V4, 1, 53, b"data"), udp::datagram(V6, 1, 53, b"")]
}
