//! What users say is in no file of the database: captures full of names and secrets are replayed,
//! and the files of the database are searched for each, byte by byte.

use std::{fs, io::Write as _, process::Stdio};

use wire::ber;

use crate::{
    home::{Home, Run},
    talk::{Says, Station, client, connection, datagram, server},
    watch::{arp, pcap},
};

const CLIENT: Station = ([0, 0, 0x5e, 0, 0x53, 1], [198, 18, 0, 1]);
const SERVER: Station = ([0, 0, 0x5e, 0, 0x53, 2], [198, 18, 0, 2]);

/// Begins each word that must not be kept. Nothing else has it.
const MARK: &str = "zq";

/// The same in what carries words as base64: names and secrets in three places each.
const ENCODED: &[&str] = &[
    "enFzbXRwdXNlcg",                   // zqsmtpuser
    "enFzbXRwcGFzcw",                   // zqsmtppass
    "AHpxcGxhaW51c2VyAHpxcGxhaW5wYXNz", // \0zqplainuser\0zqplainpass
    "enFiYXNpY3VzZXI6enFiYXNpY3Bhc3M",  // zqbasicuser:zqbasicpass
];

/// Kept of the same conversations: the servers, which shows that they were read.
const KEPT: &[&str] = &[
    "ProFTPD",
    "Dovecot",
    "Postfix",
    "nginx",
    "8.0.35",
    "Asterisk",
    "curl/7.88",
    "Cyrus",
    "pc7",
    "9.9.9",
];

fn length(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    ber::write(tag, &parts.concat())
}

fn ldap_bind() -> Vec<u8> {
    let bind = length(
        0x60,
        &[
            &ber::write_integer(3),
            &ber::write(4, b"cn=zqldapuser,dc=example"),
            &ber::write(0x80, b"zqldappass"),
        ],
    );
    length(0x30, &[&ber::write_integer(1), &bind])
}

/// AS-REQ (RFC 4120, section 5.4.1) for that principal.
fn kerberos(name: &str) -> Vec<u8> {
    let string = |text: &str| ber::write(0x1b, text.as_bytes());
    let named = |kind: i32, parts: &[&str]| {
        let parts: Vec<u8> = parts.iter().flat_map(|part| string(part)).collect();
        let names = ber::write(0xa1, &ber::write(0x30, &parts));
        length(0x30, &[&ber::write(0xa0, &ber::write_integer(kind)), &names])
    };
    let body = length(
        0x30,
        &[
            &ber::write(0xa0, &[3, 5, 0, 0, 0, 0, 0]),
            &ber::write(0xa1, &named(1, &[name])),
            &ber::write(0xa2, &string("LAB.EXAMPLE")),
            &ber::write(0xa3, &named(2, &["krbtgt", "LAB.EXAMPLE"])),
            &ber::write(0xa5, &ber::write(0x18, b"20370913024805Z")),
            &ber::write(0xa7, &ber::write_integer(7)),
            &ber::write(0xa8, &ber::write(0x30, &ber::write_integer(18))),
        ],
    );
    let request = length(
        0x30,
        &[
            &ber::write(0xa1, &ber::write_integer(5)),
            &ber::write(0xa2, &ber::write_integer(10)),
            &ber::write(0xa4, &body),
        ],
    );
    ber::write(0x6a, &request)
}

fn snmp() -> Vec<u8> {
    let binding = length(0x30, &[&ber::write(6, &[0x2b, 6, 1, 2, 1, 1, 1, 0]), &[5, 0]]);
    let numbers = [7, 0, 0].map(ber::write_integer).concat();
    let get = length(0xa0, &[&numbers, &ber::write(0x30, &binding)]);
    length(0x30, &[&ber::write_integer(1), &ber::write(4, b"zqcommunity"), &get])
}

fn radius() -> Vec<u8> {
    let mut message = vec![1, 7, 0, 0];
    message.extend([9; 16]);
    for (kind, value) in
        [(1, &b"zqradiususer"[..]), (2, b"zqradiuspass0000"), (4, &[198, 18, 0, 1])]
    {
        message.extend([kind, value.len() as u8 + 2]);
        message.extend(value);
    }
    message[3] = message.len() as u8;
    message
}

fn mysql() -> Vec<Says> {
    let mut greeting = b"\x0a8.0.35\0\x07\0\0\0abcdefgh\0\xff\xff\x21\x02\0\xff\xdf\x15".to_vec();
    greeting.extend([0; 10]);
    greeting.extend(b"ijklmnopqrst\0mysql_native_password\0");
    let mut login = b"\x85\xa2\0\0\0\0\0\x01\x21".to_vec();
    login.extend([0; 23]);
    login.extend(b"zqsqluser\0\0zqsqldb\0mysql_native_password\0");
    let packet =
        |number: u8, body: Vec<u8>| [&[body.len() as u8, 0, 0, number][..], &body].concat();
    vec![
        server(packet(0, greeting)),
        client(packet(1, login)),
        server(packet(2, b"\xff\x15\x04#28000Access denied for user 'zqsqluser'@'pc'".to_vec())),
    ]
}

const SIP: &[u8] = b"REGISTER sip:pbx.example SIP/2.0\r\nVia: SIP/2.0/UDP 198.18.0.1:5060\r\n\
    From: \"zqsipname\" <sip:zqsipuser@pbx.example>\r\nTo: <sip:zqsipuser@pbx.example>\r\n\
    CSeq: 2 REGISTER\r\nUser-Agent: Asterisk PBX 18.10.0\r\nAuthorization: Digest \
    username=\"zqsipuser\", realm=\"zqsiprealm\", response=\"zqsipresponse\"\r\n\r\n";

/// The conversations, by the server's port.
fn talks() -> Vec<(u16, Vec<Says>)> {
    let web = "POST /zqpath/x?token=zqquery HTTP/1.1\r\nHost: intranet.example\r\nUser-Agent: \
        curl/7.88.1\r\nCookie: sid=zqcookie\r\nFrom: zqmail@example.com\r\nReferer: \
        http://intranet.example/?from=zqreferer\r\nAuthorization: Basic \
        enFiYXNpY3VzZXI6enFiYXNpY3Bhc3M=\r\nContent-Length: 11\r\n\r\nuser=zqform";
    let hl7 = "\x0bMSH|^~\\&|LAB|zqclinic|EHR|Y|2026||ADT^A01|7|P|2.3\rPID|||zqpatient\r\x1c\r";
    let mut dicom = vec![1, 0, 0, 0, 0, 68, 0, 1, 0, 0];
    dicom.extend(b"zqcalled        zqcalling       ");
    dicom.extend([0; 32]);
    let mut accepted = dicom.clone();
    accepted[0] = 2;
    vec![
        (
            21,
            vec![
                server("220 ProFTPD 1.3.5 Server ready\r\n"),
                client("USER zqftpuser\r\n"),
                server("331 Password required for zqftpuser\r\n"),
                client("PASS zqftppass\r\n"),
                server("230 User zqftpuser logged in\r\n"),
                client("RETR zqfile.txt\r\n"),
            ],
        ),
        (
            110,
            vec![
                server("+OK Dovecot ready.\r\n"),
                client("USER zqpopuser\r\n"),
                server("+OK\r\n"),
                client("PASS zqpoppass\r\n"),
                server("+OK Logged in as zqpopuser.\r\n"),
            ],
        ),
        (
            143,
            vec![
                server("* OK mail Cyrus IMAP 3.4.1 server ready\r\n"),
                client("a1 LOGIN zqimapuser zqimappass\r\n"),
                server("a1 OK User zqimapuser logged in\r\n"),
            ],
        ),
        (
            25,
            vec![
                server("220 mail.example ESMTP Postfix\r\n"),
                client("EHLO pc7\r\n"),
                server("250-mail.example\r\n250 AUTH PLAIN LOGIN\r\n"),
                client("AUTH LOGIN\r\n"),
                server("334 VXNlcm5hbWU6\r\n"),
                client("enFzbXRwdXNlcg==\r\n"),
                server("334 UGFzc3dvcmQ6\r\n"),
                client("enFzbXRwcGFzcw==\r\n"),
                server("235 ok\r\n"),
                client("MAIL FROM:<zqsender@example.com>\r\n"),
                server("250 ok\r\n"),
                client("RCPT TO:<zqreceiver@example.com>\r\nDATA\r\nSubject: zqsubject\r\n"),
            ],
        ),
        (
            587,
            vec![
                server("220 mail.example ESMTP Postfix\r\n"),
                client("AUTH PLAIN AHpxcGxhaW51c2VyAHpxcGxhaW5wYXNz\r\n"),
                server("235 ok zqplainuser\r\n"),
            ],
        ),
        (
            80,
            vec![
                client(web),
                server(
                    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nSet-Cookie: s=zqset\r\n\r\nzqbody",
                ),
            ],
        ),
        (
            23,
            vec![
                server(b"\xff\xfd\x18\xff\xfb\x01"),
                client(b"\xff\xfb\x18\xff\xfd\x01"),
                server("Debian GNU/Linux 12\r\nlogin: "),
                client("zqtelnetuser\r\n"),
                server("zqtelnetuser\r\nPassword: "),
                client("zqtelnetpass\r\n"),
                server("Welcome zqtelnetuser\r\n"),
            ],
        ),
        (3_306, mysql()),
        (
            389,
            vec![
                client(ldap_bind()),
                server(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"),
            ],
        ),
        (
            6_379,
            vec![
                client("*3\r\n$4\r\nAUTH\r\n$11\r\nzqredisuser\r\n$11\r\nzqredispass\r\n"),
                server("+OK\r\n"),
                client("*3\r\n$3\r\nSET\r\n$5\r\nzqkey\r\n$7\r\nzqvalue\r\n"),
            ],
        ),
        (2_575, vec![client(hl7), server(hl7)]),
        (11_112, vec![client(dicom), server(accepted)]),
        // Comes last, so that all before it was read when it is there.
        (
            8_080,
            vec![
                client("GET / HTTP/1.0\r\n\r\n"),
                server("HTTP/1.0 200 OK\r\nServer: Marker/9.9.9\r\n\r\n"),
            ],
        ),
    ]
}

fn frames() -> Vec<Vec<u8>> {
    let pair = |from: u16, to: u16, words: &[u8]| datagram((CLIENT, from), (SERVER, to), words);
    let mut frames = vec![
        arp(CLIENT.0, CLIENT.1),
        arp(SERVER.0, SERVER.1),
        pair(5_060, 5_060, SIP),
        pair(40_001, 161, &snmp()),
        pair(40_002, 88, &kerberos("zqkrbuser")),
        pair(40_003, 88, &kerberos("pc7$")),
        pair(40_004, 1_812, &radius()),
        pair(40_005, 514, b"<13>Oct 11 22:14:15 pc7 su: 'su root' failed for zqsyslog"),
        pair(40_006, 69, b"\0\x01zqtftp.cfg\0octet\0"),
    ];
    for (client, (port, parts)) in (40_100..).zip(talks()) {
        frames.extend(connection((CLIENT, client), (SERVER, port), &parts));
    }
    frames
}

/// Every file of the home but the programs' own input, one after the other: the database, its
/// journal and its index.
fn stored(home: &Home) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(home.path(".")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("daicho.db") && path.is_file() {
            all.extend(fs::read(path).unwrap());
        }
    }
    all
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

#[track_caller]
fn check(bytes: &[u8]) {
    for (at, window) in bytes.windows(MARK.len()).enumerate() {
        // A mark of two letters occurs in keys and numbers; a word of users is longer.
        let word = bytes[at..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
        if window == MARK.as_bytes() && word > 4 {
            let text = String::from_utf8_lossy(&bytes[at.saturating_sub(80)..at + word]);
            panic!("kept: {text}");
        }
    }
    for word in ENCODED {
        assert!(!has(bytes, word), "kept: {word}");
    }
}

#[test]
fn no_name_and_no_secret_of_a_user_is_in_the_database() {
    let home = Home::new();
    let capture = pcap(&frames());
    // What is looked for is there, in the capture.
    for word in ENCODED.iter().chain(&["zqftppass", "zqkrbuser", "zqradiususer", "zqcommunity"]) {
        assert!(has(&capture, word), "{word}");
    }
    let mut child = home
        .command(&["--format", "json", "watch", "--read", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(&capture).unwrap();
    pipe.flush().unwrap();
    drop(pipe);
    let run = Run::of(child.wait_with_output().unwrap());
    let result = run.json();
    assert_eq!(result["assets"].as_array().unwrap().len(), 2, "{result:#}");
    let all = stored(&home);
    check(&all);
    check(run.stdout.as_bytes());
    check(run.stderr.as_bytes());
    for word in KEPT {
        assert!(has(&all, word), "{word} was not heard");
    }
}
