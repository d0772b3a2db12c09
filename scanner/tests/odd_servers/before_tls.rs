//! Servers that begin TLS after some words, where Debian has none of the protocol: SQL Server,
//! Telnet with START_TLS, news (Debian's refuses to be installed where the machine has no full
//! name). And servers that refuse, or say too much. `tests/e2e/before_tls.rs` has the real ones.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use rustls::{ServerConfig, ServerConnection, crypto::ring as provider};
use scanner::probe::{starttls::Starttls, tls::Served};
use wire::{
    Reader,
    tds::{self, Packet},
    telnet,
};

use crate::{ask_behind, modern::certified, own::Own};

/// A configuration with one certificate, and that certificate.
fn identity() -> (Arc<ServerConfig>, Vec<u8>) {
    let key = certified(&["before.example"], &rcgen::PKCS_ECDSA_P256_SHA256);
    let der = key.cert[0].to_vec();
    let config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)));
    (Arc::new(config), der)
}

/// TLS on that stream, as far as the client goes.
fn handshake(config: &Arc<ServerConfig>, stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    let ended = connection.complete_io(stream);
    while connection.wants_write() {
        connection.write_tls(stream)?;
    }
    ended.map(drop)
}

/// A server that says `greeting`, then answers each line that it knows with what stands beside
/// it and every other with `otherwise`. Behind an answer in `go`, TLS begins.
fn of_lines(
    config: Arc<ServerConfig>,
    greeting: &'static str,
    answers: &'static [(&'static str, &'static str)],
    go: &'static str,
    otherwise: &'static str,
) -> Own {
    Own::serve(move |mut stream| {
        stream.write_all(greeting.as_bytes())?;
        let mut lines = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            let known = answers.iter().find(|(start, _)| line.starts_with(start));
            let answer = known.map_or(otherwise, |(_, answer)| answer);
            stream.write_all(answer.as_bytes())?;
            if answer == go {
                return handshake(&config, &mut stream);
            }
            line.clear();
        }
        Ok(())
    })
}

/// A stream inside packets of TDS.
struct InPackets {
    stream: TcpStream,
    come: Vec<u8>,
}

impl InPackets {
    fn packet(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; tds::HEADER];
        self.stream.read_exact(&mut header)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let mut packet = header.to_vec();
        packet.resize(length, 0);
        self.stream.read_exact(&mut packet[tds::HEADER..])?;
        let packet = Packet::read(&mut Reader::new(&packet)).map_err(io::Error::other)?;
        assert_eq!(packet.kind, tds::PRELOGIN, "all that a client says here is of this type");
        Ok(packet.payload.to_vec())
    }
}

impl Read for InPackets {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.come.is_empty() {
            self.come = self.packet()?;
        }
        let length = into.len().min(self.come.len());
        into[..length].copy_from_slice(&self.come[..length]);
        self.come.drain(..length);
        Ok(length)
    }
}

impl Write for InPackets {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write_all(&tds::packets(tds::PRELOGIN, bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A SQL Server with this answer to whether it encrypts.
fn of_tds(config: Arc<ServerConfig>, encryption: u8) -> Own {
    Own::serve(move |stream| {
        let mut stream = InPackets { stream, come: Vec::new() };
        let asked = stream.packet()?;
        assert_eq!(asked.last(), Some(&1), "the client wants to encrypt");
        let options = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 3, 0xe8, 0, 0, encryption];
        stream.stream.write_all(&tds::packets(tds::RESPONSE, &options))?;
        handshake(&config, &mut stream)
    })
}

/// A Telnet server that wants a terminal's name and, where it `has` it, TLS.
fn of_telnet(config: Arc<ServerConfig>, has: bool) -> Own {
    const DO: u8 = 253;
    const DONT: u8 = 254;
    Own::serve(move |mut stream| {
        stream.write_all(&[255, DO, 24])?;
        let mut offer = [0; 3];
        stream.read_exact(&mut offer)?;
        assert_eq!(offer, telnet::OFFER_TLS);
        stream.write_all(&[255, if has { DO } else { DONT }, telnet::START_TLS])?;
        let mut follows = [0; 6];
        stream.read_exact(&mut follows)?;
        assert_eq!(follows, telnet::TLS_FOLLOWS);
        stream.write_all(&telnet::TLS_FOLLOWS)?;
        handshake(&config, &mut stream)
    })
}

#[track_caller]
fn check(server: &Own, protocol: Starttls, der: &[u8]) -> Served {
    let served = ask_behind(server.port, protocol);
    assert!(!served.chains.is_empty(), "{protocol:?}: {served:?}");
    for chain in &served.chains {
        assert_eq!(chain.chain, [der.to_vec()], "{protocol:?}");
        assert_eq!(chain.starttls.as_deref(), Some(protocol.name()));
    }
    // One certificate on TLS 1.2 and 1.3: as many connections as without words before.
    assert!(served.connections <= 8, "{protocol:?}: {}", served.connections);
    served
}

#[track_caller]
fn check_refusal(server: &Own, protocol: Starttls, words: &str, is_plain: bool) {
    let served = ask_behind(server.port, protocol);
    assert_eq!(served.refusal.as_deref(), Some(words), "{protocol:?}");
    assert_eq!((served.connections, served.is_plain), (1, is_plain), "{protocol:?}");
    assert!(!served.speaks_tls && served.facts().is_empty(), "{protocol:?}: {served:?}");
}

#[test]
fn certificates_come_from_protocols_that_debian_has_no_server_of() {
    const GO: &str = "382 Continue\r\n";
    let (config, der) = identity();
    let mssql = check(&of_tds(Arc::clone(&config), 1), Starttls::Mssql, &der);
    check(&of_tds(Arc::clone(&config), 0), Starttls::Mssql, &der);
    let telnet = check(&of_telnet(Arc::clone(&config), true), Starttls::Telnet, &der);
    let news = of_lines(Arc::clone(&config), "200 news\r\n", &[("STARTTLS", GO)], GO, "500 x\r\n");
    let nntp = check(&news, Starttls::Nntp, &der);
    for served in [mssql, telnet, nntp] {
        assert!(served.anomalies.is_empty(), "{served:?}");
    }
}

#[test]
fn who_has_no_tls_is_asked_once() {
    let (config, _) = identity();
    let none = "it does not offer STARTTLS";
    check_refusal(&of_tds(Arc::clone(&config), 2), Starttls::Mssql, none, true);
    check_refusal(&of_telnet(Arc::clone(&config), false), Starttls::Telnet, none, true);
    let mail = |answers| of_lines(Arc::clone(&config), "220 mail\r\n", answers, "-", "500 x\r\n");
    let plain = mail(&[("EHLO", "250-mail\r\n250 SIZE\r\n")]);
    check_refusal(&plain, Starttls::Smtp, none, true);
    let ailing = mail(&[("EHLO", "250-mail\r\n250 STARTTLS\r\n"), ("STARTTLS", "454 no key\r\n")]);
    let words = "it refuses before TLS: 454 no key";
    check_refusal(&ailing, Starttls::Smtp, words, false);
    let other = "what it says is not the protocol that was expected";
    check_refusal(&mail(&[]), Starttls::Imap, other, true);
}

#[test]
fn hostile_words_before_tls_cost_one_connection() {
    let endless = Own::serve(|mut stream| {
        stream.write_all(b"220 mail\r\n")?;
        loop {
            stream.write_all(&b"250-more and more\r\n".repeat(100))?;
        }
    });
    check_refusal(&endless, Starttls::Smtp, "it says too much before TLS", false);
    let silent = Own::serve(|mut stream| stream.read_to_end(&mut Vec::new()).map(drop));
    let hung_up = "it hung up before TLS";
    check_refusal(&silent, Starttls::Smtp, hung_up, false);
}

#[test]
fn what_is_injected_behind_the_consent_is_an_anomaly_and_not_tls() {
    const GO: &str = "220 go ahead\r\n250 injected\r\n";
    const ANSWERS: &[(&str, &str)] = &[("EHLO", "250-mail\r\n250 STARTTLS\r\n"), ("STARTTLS", GO)];
    let (config, der) = identity();
    let injected = of_lines(config, "220 mail\r\n", ANSWERS, GO, "500 x\r\n");
    let served = check(&injected, Starttls::Smtp, &der);
    let problem = "it says more in the clear after it agreed to TLS".to_owned();
    assert!(served.anomalies.contains(&("smtp", problem.clone())), "{:?}", served.anomalies);

    // The same where no TLS comes at all: what follows the consent is no record.
    let never = Own::serve(|mut stream| {
        let mut lines = BufReader::new(stream.try_clone()?);
        for answer in ["220 mail\r\n", "250-mail\r\n250 STARTTLS\r\n", "220 go ahead\r\n"] {
            stream.write_all(answer.as_bytes())?;
            // The last one is the hello, which has no lines.
            lines.read_until(
                if answer.starts_with("220 go") { 22 } else { b'\n' },
                &mut Vec::new(),
            )?;
        }
        stream.write_all(b"500 what?\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    });
    let served = ask_behind(never.port, Starttls::Smtp);
    assert!(
        served.chains.is_empty() && served.anomalies.contains(&("smtp", problem)),
        "{served:?}"
    );
    assert_eq!(served.connections, 1);
}
