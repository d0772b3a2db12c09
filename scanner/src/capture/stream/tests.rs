//! One conversation of each protocol, made by hand, with what it must tell and what never.

use model::{Endpoint, Fact, FingerprintKind, NameSource, Observation, Subject, Use};
use proptest::prelude::*;

use super::{Conversation, Families, Roles, read};
use crate::capture::flow::tests::{CLIENT, Client, SERVER, Says, Server, connection, heard};

mod control;

/// What users say in these conversations. None of it may be told.
const SECRETS: &[&str] =
    &["alice", "hunter2", "s3ss10n", "searchfor", "invoice", "YWxpY2U6aHVudGVyMg"];

fn text(told: &[Observation]) -> String {
    told.iter()
        .map(|o| format!("{} {:?} {}\n", o.subject, o.fact, String::from_utf8_lossy(&o.evidence)))
        .collect()
}

/// What the conversation tells; nothing of what users say is in it.
#[track_caller]
fn told(port: u16, parts: &[Says<'_>]) -> Vec<Observation> {
    let told = heard(&connection(port, parts));
    let all = text(&told);
    for secret in SECRETS {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    told
}

/// The server's services, as protocol and product.
fn services(told: &[Observation], port: u16) -> Vec<(String, Option<String>)> {
    let server = Subject::Endpoint(Endpoint::tcp(SERVER.0.into(), port));
    told.iter()
        .filter(|o| o.subject == server)
        .filter_map(|o| match &o.fact {
            Fact::Service(service) => Some((service.protocol.clone(), service.product.clone())),
            _ => None,
        })
        .collect()
}

fn cleartext(told: &[Observation]) -> Vec<String> {
    let client = Subject::Address(CLIENT.0.into());
    told.iter()
        .filter(|o| o.subject == client)
        .filter_map(|o| match &o.fact {
            Fact::Use(Use::Cleartext { protocol, .. }) => Some(protocol.clone()),
            _ => None,
        })
        .collect()
}

/// The one service of that protocol and product, and the uses in the clear.
#[track_caller]
fn check(port: u16, parts: &[Says<'_>], protocol: &str, product: Option<&str>, clear: &[&str]) {
    let told = told(port, parts);
    let expected = (protocol.to_owned(), product.map(str::to_owned));
    assert_eq!(services(&told, port), [expected]);
    assert_eq!(cleartext(&told), clear);
}

#[test]
fn http_tells_its_server_and_the_family_of_its_client() {
    let parts = [
        Client(
            b"GET /invoice/7?q=searchfor HTTP/1.1\r\nHost: www.example.com:8080\r\n\
              User-Agent: curl/7.88.1\r\nCookie: id=s3ss10n\r\n\
              Authorization: Basic YWxpY2U6aHVudGVyMg==\r\n\r\n",
        ),
        Server(b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nSet-Cookie: id=s3ss10n\r\n\r\n"),
    ];
    check(8080, &parts, "http", Some("nginx"), &["http_basic"]);
    let told = told(8080, &parts);
    let agent =
        Fact::Fingerprint { kind: FingerprintKind::UserAgent, value: "curl/7.88".to_owned() };
    assert!(told.iter().any(|o| o.fact == agent));
    let name =
        Fact::HostName { name: "www.example.com".to_owned(), source: NameSource::ServerName };
    assert!(told.iter().any(|o| o.fact == name));
}

#[test]
fn a_printers_answer_comes_behind_the_leave_to_go_on() {
    let parts = [
        Client(b"POST /printers HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
        Server(b"HTTP/1.1 100 Continue\r\n\r\n"),
        Client(b"\x02\0"),
        Server(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/ipp\r\n\
              Server: CUPS/2.4.2 (Linux 6.1.0; x86_64) IPP/2.1\r\n\r\n",
        ),
    ];
    check(631, &parts, "ipp", Some("CUPS"), &[]);
}

#[test]
fn a_proxy_is_not_the_server_that_it_asks() {
    let told = told(
        3128,
        &[
            Client(b"GET http://www.example.com/invoice HTTP/1.1\r\nHost: www.example.com\r\n\r\n"),
            Server(b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\r\n"),
        ],
    );
    assert_eq!(services(&told, 3128), [("http".to_owned(), None)]);
    assert!(!text(&told).contains("www.example.com"));
}

#[test]
fn the_lines_of_mail_and_files_tell_their_servers() {
    check(
        21,
        &[
            Server(b"220 ProFTPD 1.3.5 Server (ftp.example.com)\r\n"),
            Client(b"SYST\r\n"),
            Server(b"215 UNIX Type: L8\r\n"),
            Client(b"USER alice\r\n"),
            Server(b"331 Password required for alice\r\n"),
            Client(b"PASS hunter2\r\n"),
            Server(b"230 User alice logged in\r\n"),
        ],
        "ftp",
        Some("ProFTPD"),
        &["ftp"],
    );
    check(
        110,
        &[
            Server(b"+OK Dovecot ready. <1.7@pop.example.com>\r\n"),
            Client(b"USER alice\r\n"),
            Server(b"+OK\r\n"),
            Client(b"PASS hunter2\r\n"),
            Server(b"+OK Logged in.\r\n"),
        ],
        "pop3",
        Some("Dovecot"),
        &["pop3"],
    );
    check(
        143,
        &[
            Server(b"* OK Dovecot ready.\r\n"),
            Client(b"a1 LOGIN alice hunter2\r\n"),
            Server(b"a1 OK Logged in\r\n"),
        ],
        "imap",
        Some("Dovecot"),
        &["imap"],
    );
    check(
        25,
        &[
            Server(b"220 mx.example.com ESMTP Exim 4.96\r\n"),
            Client(b"EHLO pc7\r\n"),
            Server(b"250-mx.example.com Hello alice\r\n250 AUTH PLAIN\r\n"),
            Client(b"AUTH PLAIN YWxpY2U6aHVudGVyMg==\r\n"),
            Server(b"235 ok\r\n"),
        ],
        "smtp",
        Some("Exim"),
        &["smtp_auth"],
    );
}

#[test]
fn telnet_is_read_up_to_where_somebody_types() {
    let told = told(
        23,
        &[
            Server(&[255, 253, 24, 255, 251, 1]),
            Client(&[255, 252, 24, 255, 253, 1]),
            Server(b"Debian GNU/Linux 12\r\npc7.example.com login: "),
            Client(b"alice\r\n"),
            Server(b"alice\r\nPassword: "),
            Client(b"hunter2\r\n"),
            Server(b"\r\nLast login: invoice\r\n"),
        ],
    );
    assert_eq!(services(&told, 23), [("telnet".to_owned(), None)]);
    assert_eq!(cleartext(&told), ["telnet"]);
    assert!(text(&told).contains("pc7.example.com"));
}

#[test]
fn ssh_tells_both_ends() {
    let told = told(
        22,
        &[
            Server(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7\r\n"),
            Client(b"SSH-2.0-PuTTY_Release_0.78\r\n"),
        ],
    );
    assert_eq!(services(&told, 22), [("ssh".to_owned(), Some("OpenSSH".to_owned()))]);
    let client = Subject::Address(CLIENT.0.into());
    assert!(told.iter().any(|o| o.subject == client
        && matches!(&o.fact, Fact::Service(s) if s.protocol == "ssh-client"
            && s.attributes["banner"] == "PuTTY_Release_0.78")));
}

#[test]
fn databases_tell_their_versions_and_nobody_who_logs_in() {
    let mut start = vec![0, 0, 0, 28, 0, 3, 0, 0];
    start.extend(b"user\0alice\0database\0");
    let mut answer = vec![b'R', 0, 0, 0, 8, 0, 0, 0, 3];
    answer.extend(b"S\0\0\0\x1eserver_version\0" as &[u8]);
    answer.extend(b"15.5 (Debia)\0");
    let told = told(5432, &[Client(&start), Server(&answer), Client(b"p\0\0\0\x0chunter2\0")]);
    assert_eq!(services(&told, 5432), [("postgresql".to_owned(), Some("PostgreSQL".to_owned()))]);
    assert_eq!(cleartext(&told), ["postgresql"]);
    check(
        6379,
        &[Client(b"*2\r\n$4\r\nAUTH\r\n$7\r\nhunter2\r\n"), Server(b"+OK\r\n")],
        "redis",
        Some("Redis"),
        &["redis"],
    );
}

#[test]
fn a_store_in_memory_is_known_by_its_first_answer_and_a_name_server_by_its_own() {
    let version = [Client(b"version\r\n"), Server(b"VERSION 1.6.18\r\n")];
    check(11_211, &version, "memcached", Some("memcached"), &[]);
    let get = [Client(b"get salary\r\n"), Server(b"VALUE salary 0 4\r\n1234\r\nEND\r\n")];
    check(11_211, &get, "memcached", None, &[]);
    assert_eq!(services(&told(8_000, &version), 8_000), []);

    // RFC 1035, section 4: the answer to a question for the text of a name, in one class.
    let answer = |name: &[u8], class: u8, text: &str| {
        let mut message = b"\0\x07\x84\0\0\0\0\x01\0\0\0\0".to_vec();
        message.extend(name);
        message.extend([0, 0, 16, 0, class, 0, 0, 0, 0, 0]);
        let len = u8::try_from(text.len()).unwrap();
        message.extend([len + 1, len]);
        message.extend(text.bytes());
        [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat()
    };
    let (own, other) = (b"\x07version\x04bind" as &[u8], b"\x03www\x07example" as &[u8]);
    let question = b"\0\x04\0\x07\0\0" as &[u8];
    let own = answer(own, 3, "9.18.49-1-Debian");
    check(53, &[Client(question), Server(&own)], "dns", Some("BIND"), &[]);
    let halves = [Client(question), Server(&own[..20]), Server(&own[20..])];
    check(53, &halves, "dns", Some("BIND"), &[]);
    // Somebody else's text says nothing of the server.
    check(53, &[Client(question), Server(&answer(other, 1, "dnsmasq-2.89"))], "dns", None, &[]);
}

#[test]
fn remote_screens_and_queues_are_known_by_their_first_bytes() {
    check(5900, &[Server(b"RFB 003.008\n"), Client(b"RFB 003.008\n")], "vnc", None, &[]);
    let mut connect = vec![0x10, 29, 0, 4];
    connect.extend(b"MQTT\x04\xc2\0\x3c\0\x02pc\0\x05alice\0\x07hunter2");
    let publish = b"\x20\x02\0\0\x30\x0c\0\x07invoicepaid";
    check(1883, &[Client(&connect), Server(publish)], "mqtt", None, &["mqtt"]);
    let bind = b"\x30\x16\x02\x01\x01\x60\x11\x02\x01\x03\x04\x03cn=\x80\x07hunter2";
    let done = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0";
    check(389, &[Client(bind), Server(done)], "ldap", None, &["ldap"]);
    let ask = b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0Cookie: mstshash=alice\r\n\x01\0\x08\0\x03\0\0\0";
    let answer = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x0f\x08\0\x02\0\0\0";
    check(3389, &[Client(ask), Server(answer), Client(b"\x03\0\0\x07x")], "rdp", None, &[]);
}

#[test]
fn controllers_are_known_by_their_marks() {
    let modbus = b"\0\x01\0\0\0\x05\x01\x03\x02\0\x07";
    check(
        502,
        &[Client(b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x01"), Server(modbus)],
        "modbus",
        None,
        &[],
    );
    check(4840, &[Client(b"HELF....."), Server(b"ACKF\x1c\0\0\0")], "opcua", None, &[]);
}

/// A server's hello and certificate of TLS 1.2, in records of their own.
fn server_hello(certificate: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([9; 32]);
    body.extend([0, 0xc0, 0x2f, 0]);
    let message = |kind: u8, body: &[u8]| {
        let [_, a, b, c] = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, a, b, c][..], body].concat()
    };
    let [_, a, b, c] = u32::try_from(certificate.len()).unwrap().to_be_bytes();
    let [_, d, e, f] = u32::try_from(certificate.len() + 3).unwrap().to_be_bytes();
    let chain = [&[d, e, f, a, b, c][..], certificate].concat();
    [message(2, &body), message(11, &chain), message(14, &[])]
        .into_iter()
        .flat_map(|m| {
            let len = u16::try_from(m.len()).unwrap().to_be_bytes();
            [&[22, 3, 3, len[0], len[1]][..], &m].concat()
        })
        .collect()
}

fn client_hello() -> Vec<u8> {
    let mut question = certs::hello::Question::of(certs::hello::Kind::Wide);
    question.server_name = certs::hello::ServerName::new("mail.example.com");
    certs::hello::Collector::new(&question, [7; 64]).unwrap().hello().to_vec()
}

#[test]
fn certificates_come_from_tls_and_from_behind_starttls() {
    let certificate = vec![0x30; 1_500];
    let (hello, answer) = (client_hello(), server_hello(&certificate));
    let plain = told(443, &[Client(&hello), Server(&answer)]);
    let mail = told(
        25,
        &[
            Server(b"220 mx.example.com ESMTP Postfix\r\n"),
            Client(b"EHLO pc7\r\n"),
            Server(b"250-mx.example.com\r\n250 STARTTLS\r\n"),
            Client(b"STARTTLS\r\n"),
            Server(b"220 2.0.0 Ready\r\n"),
            Client(&hello),
            Server(&answer),
        ],
    );
    for (told, starttls) in [(&plain, None), (&mail, Some("smtp"))] {
        let chain = told.iter().find_map(|o| match &o.fact {
            Fact::Certificates(chain) => Some(chain),
            _ => None,
        });
        let chain = chain.unwrap();
        assert_eq!(chain.chain, std::slice::from_ref(&certificate));
        assert_eq!(chain.starttls.as_deref(), starttls);
        assert_eq!(chain.server_name.as_deref(), Some("mail.example.com"));
        assert_eq!(chain.protocol_version, certs::hello::TLS12);
        for kind in [FingerprintKind::Ja3, FingerprintKind::Ja4, FingerprintKind::Ja3s] {
            let has =
                |o: &Observation| matches!(o.fact, Fact::Fingerprint { kind: k, .. } if k == kind);
            assert_eq!(told.iter().filter(|o| has(o)).count(), 1, "{kind:?}");
        }
    }
    assert_eq!(services(&mail, 25), [("smtp".to_owned(), Some("Postfix".to_owned()))]);
}

#[test]
fn in_the_middle_of_a_conversation_words_that_both_sides_say_make_nobody_a_server() {
    let check = |ports: (u16, u16), roles: Roles, said: &[u8], heard: &[u8], expected: &[&str]| {
        let talk = Conversation {
            client: CLIENT.0.into(),
            client_port: ports.0,
            server: Endpoint::tcp(SERVER.0.into(), ports.1),
            roles,
            said,
            heard,
            turns: &[],
            ended: true,
            families: &Families::default(),
        };
        let mut told = Vec::new();
        read(&talk, &mut told);
        let found: Vec<&str> = told
            .iter()
            .filter_map(|told| match &told.fact {
                Fact::Service(service) => Some(service.protocol.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(found, expected, "{ports:?}");
    };
    let stream = b"<?xml version='1.0'?><stream:stream>";
    check((5_269, 1_193), Roles::Guessed, stream, stream, &[]);
    check((5_269, 1_193), Roles::Seen, stream, stream, &["xmpp"]);
    check((1_193, 5_269), Roles::Guessed, stream, stream, &["xmpp"]);
    check((50_000, 7_000), Roles::Guessed, stream, stream, &["xmpp"]);
    check((53_099, 6_379), Roles::Guessed, b"", b"+OK not RESP\r\n", &[]);
    check((53_099, 110), Roles::Guessed, b"", b"+OK ready\r\n", &["pop3"]);
    check((53_099, 1_100), Roles::Seen, b"", b"+OK ready\r\n", &["pop3"]);
}

/// An entry of a directory with these attributes, in a message.
fn ldap_entry(id: i32, name: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    use wire::ber::{self, tag};
    let octets = |text: &str| ber::write(tag::OCTETS, text.as_bytes());
    let list: Vec<Vec<u8>> = attributes
        .iter()
        .map(|(name, value)| {
            let set = ber::write_all(tag::SET, &[octets(value)]);
            ber::write_all(tag::SEQUENCE, &[octets(name), set])
        })
        .collect();
    let entry = ber::write_all(0x64, &[octets(name), ber::write_all(tag::SEQUENCE, &list)]);
    ber::write_all(tag::SEQUENCE, &[ber::write_integer(id), entry])
}

#[test]
fn a_directory_says_who_it_is_to_others_and_nothing_of_people() {
    let bind = b"\x30\x1b\x02\x01\x01\x60\x16\x02\x01\x03\x04\x08cn=alice\x80\x07hunter2";
    let bound = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
    let question = wire::ldap::search_root(2, &["vendorName"]);
    let person = ldap_entry(9, "uid=alice,dc=example", &[("mail", "alice@example.com")]);
    let root = ldap_entry(
        2,
        "",
        &[
            ("vendorName", "389 Project"),
            ("vendorVersion", "389-Directory/2.3.1 B2023"),
            ("namingContexts", "dc=example"),
            ("supportedLDAPVersion", "3"),
            ("dnsHostName", "DIR7.example.com"),
            ("dsServiceName", "CN=NTDS Settings,CN=DIR7"),
            ("somebody", "alice"),
        ],
    );
    let name = Fact::HostName { name: "dir7.example.com".into(), source: NameSource::Banner };
    for parts in [
        &[Client(bind), Server(bound), Client(&question), Server(&root)][..],
        &[Client(&question), Server(&person), Server(&root)],
        // One direction alone.
        &[Server(&root)],
    ] {
        let told = told(389, parts);
        let server = Subject::Endpoint(Endpoint::tcp(SERVER.0.into(), 389));
        let service = told.iter().find_map(|o| match &o.fact {
            Fact::Service(service) if o.subject == server => Some(service),
            _ => None,
        });
        let service = service.unwrap();
        assert_eq!(service.product.as_deref(), Some("389 Directory Server"));
        assert_eq!(service.version.as_deref(), Some("2.3.1"));
        assert_eq!(service.attributes["naming_contexts"], "dc=example");
        assert_eq!(service.attributes["ds_service_name"], "CN=NTDS Settings,CN=DIR7");
        assert!(told.iter().any(|o| o.subject == server && o.fact == name));
    }
    check(389, &[Client(&question), Server(&person)], "ldap", None, &[]);
}

#[test]
fn behind_a_proxy_only_the_client_is_told_of() {
    let (hello, answer) = (client_hello(), server_hello(&[0x30; 40]));
    let told = told(
        3128,
        &[
            Client(b"CONNECT mail.example.com:443 HTTP/1.1\r\n\r\n"),
            Server(b"HTTP/1.1 200 Connection established\r\n\r\n"),
            Client(&hello),
            Server(&answer),
        ],
    );
    assert!(!told.iter().any(|o| matches!(o.fact, Fact::Certificates(_) | Fact::Tls(_))));
    assert!(!text(&told).contains("mail.example.com"));
}

proptest! {
    #[test]
    fn anything_said_is_borne(
        port in any::<u16>(),
        parts in proptest::collection::vec(
            (any::<bool>(), 0..8_usize, proptest::collection::vec(any::<u8>(), 0..300)),
            0..6,
        ),
    ) {
        const STARTS: [&[u8]; 8] = [
            b"", b"220 ", b"SSH-2.0-", b"HTTP/1.1 200 ", &[22, 3, 1, 0, 90, 2, 0, 0],
            b"\0\0\0\x40\xfeSMB", b"* OK ", &[255, 253],
        ];
        let made: Vec<(bool, Vec<u8>)> =
            parts.into_iter().map(|(by, start, rest)| (by, [STARTS[start], &rest].concat())).collect();
        let says: Vec<Says<'_>> = made
            .iter()
            .map(|(by, bytes)| if *by { Client(bytes) } else { Server(bytes) })
            .collect();
        for observation in heard(&connection(port, &says)) {
            prop_assert!(observation.evidence.len() <= Observation::MAX_EVIDENCE);
        }
    }
}
