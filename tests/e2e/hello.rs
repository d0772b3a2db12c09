//! Servers that show other certificates to other names, and that accept what nobody should: what a
//! sweep finds of them, and `certs collect` when they are named.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rcgen::{CertificateParams, KeyPair};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    crypto::ring::{default_provider, sign::any_supported_type},
    pki_types::{PrivateKeyDer, ServerName},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{
    home::{Home, must},
    watch::pcap,
};

/// The certificates of a server: of everybody, and of each name.
#[derive(Debug)]
struct ByName {
    of_all: Arc<CertifiedKey>,
    own: HashMap<String, Arc<CertifiedKey>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let own = hello.server_name().and_then(|name| self.own.get(name));
        Some(Arc::clone(own.unwrap_or(&self.of_all)))
    }
}

/// A certificate for that name, over or not.
fn certified(name: &str, is_over: bool) -> Arc<CertifiedKey> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    let day = |days| OffsetDateTime::now_utc() + time::Duration::days(days);
    params.not_before = day(-60);
    params.not_after = day(if is_over { -1 } else { 60 });
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Arc::new(CertifiedKey::new(vec![certificate], any_supported_type(&key).unwrap()))
}

fn sha256(key: &CertifiedKey) -> String {
    certs::parse(&key.cert[0]).sha256
}

fn config(of_all: &Arc<CertifiedKey>, own: &[(&str, &Arc<CertifiedKey>)]) -> Arc<ServerConfig> {
    let own = own.iter().map(|(name, key)| ((*name).to_owned(), Arc::clone(key))).collect();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ByName { of_all: Arc::clone(of_all), own }));
    Arc::new(config)
}

/// A server for as long as the test runs. What it says in the clear first is up to `before`.
fn serve(
    place: &str,
    config: Arc<ServerConfig>,
    before: impl Fn(&mut TcpStream) -> std::io::Result<()> + Clone + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind(place.parse::<SocketAddr>().unwrap()).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, before) = (Arc::clone(&config), before.clone());
            thread::spawn(move || {
                let mut stream = stream;
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let mut tls = ServerConnection::new(config).unwrap();
                // What becomes of a client is no matter.
                let _ = before(&mut stream).and_then(|()| tls.complete_io(&mut stream).map(drop));
                let _ = stream.read(&mut [0; 64]);
            });
        }
    });
    port
}

fn nothing(_: &mut TcpStream) -> std::io::Result<()> {
    Ok(())
}

/// SMTP as far as STARTTLS.
fn smtp(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"220 mail.example ESMTP\r\n")?;
    let mut lines = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().to_ascii_uppercase().as_str() {
            "STARTTLS" => return stream.write_all(b"220 go\r\n"),
            "QUIT" => stream.write_all(b"221 bye\r\n")?,
            _ => stream.write_all(b"250-mail.example\r\n250 STARTTLS\r\n")?,
        }
    }
}

/// The frames of a connection in which each says what it says.
fn connection(client: [u8; 4], server: [u8; 4], port: u16, said: [&[u8]; 2]) -> Vec<Vec<u8>> {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    const PUSH: u8 = 8;
    let mut next = [1_000_u32, 5_000];
    let mut frames = Vec::new();
    let mut say = |from: usize, flags: u8, data: &[u8]| {
        let ends = [(client, 40_000_u16), (server, port)];
        let [(source, source_port), (target, target_port)] = [ends[from], ends[1 - from]];
        let mut tcp = [source_port.to_be_bytes(), target_port.to_be_bytes()].concat();
        tcp.extend(next[from].to_be_bytes());
        let acknowledged = if flags & ACK == 0 { 0 } else { next[1 - from] };
        tcp.extend(acknowledged.to_be_bytes());
        tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(data);
        let length = u16::try_from(20 + tcp.len()).unwrap().to_be_bytes();
        let mut ip = vec![0x45, 0, length[0], length[1], 0, 1, 0x40, 0, 64, 6, 0, 0];
        ip.extend(source);
        ip.extend(target);
        let words = ip.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
        let sum: u32 = words.sum();
        let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        let mac = |end: u8| [2, 0, 0, 0, 0, end];
        let [to, by] = [1 - from, from].map(|end| mac(u8::try_from(end).unwrap()));
        frames.push([&to[..], &by, &[8, 0], &ip, &tcp].concat());
        let begun = u32::from(flags & SYN != 0);
        next[from] += u32::try_from(data.len()).unwrap() + begun;
    };
    say(0, SYN, &[]);
    say(1, SYN | ACK, &[]);
    say(0, ACK, &[]);
    for (from, all) in said.into_iter().enumerate() {
        for data in all.chunks(1_400) {
            say(from, ACK | PUSH, data);
        }
    }
    frames
}

/// What a client that asks for that name and the server say first.
fn first_words(name: &'static str, config: Arc<ServerConfig>) -> [Vec<u8>; 2] {
    let asking = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(name).unwrap();
    let mut client = ClientConnection::new(Arc::new(asking), name).unwrap();
    let mut server = ServerConnection::new(config).unwrap();
    let (mut hello, mut answer) = (Vec::new(), Vec::new());
    client.write_tls(&mut hello).unwrap();
    server.read_tls(&mut &hello[..]).unwrap();
    server.process_new_packets().unwrap();
    while server.wants_write() {
        server.write_tls(&mut answer).unwrap();
    }
    [hello, answer]
}

/// The places of a certificate: port and name asked for.
fn places(home: &Home, sha256: &str) -> Vec<(u64, Option<String>)> {
    let certificates = home.json(&["certs", "list"]);
    let all = certificates.as_array().unwrap();
    let one = all.iter().find(|certificate| certificate["sha256"] == sha256);
    let endpoints = one.map(|one| one["endpoints"].as_array().unwrap().clone());
    let mut places: Vec<_> = endpoints
        .unwrap_or_default()
        .iter()
        .map(|place| {
            (place["port"].as_u64().unwrap(), place["server_name"].as_str().map(str::to_owned))
        })
        .collect();
    places.sort();
    // In each version.
    places.dedup();
    places
}

fn rules(result: &Value) -> Vec<&str> {
    let findings = result["findings"].as_array().unwrap();
    let mut rules: Vec<&str> =
        findings.iter().map(|finding| finding["rule"].as_str().unwrap()).collect();
    rules.sort_unstable();
    rules
}

/// A namespace without a way out. It goes when this goes.
struct Alone(String);

impl Alone {
    /// With that address, which is no address of loopback: of these a listener takes in nothing.
    fn with(address: &str) -> Self {
        let alone = Self(format!("hello-{}", std::process::id()));
        let name = &alone.0;
        must(&format!("ip netns add {name}"));
        must(&format!("ip -n {name} link set lo up"));
        must(&format!("ip -n {name} address add {address}/32 dev lo"));
        alone
    }

    /// Does it there: servers, and the program.
    fn run(&self, what: impl FnOnce() + Send) {
        let network = File::open(format!("/run/netns/{}", self.0)).unwrap();
        let inside = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(network.as_fd(), kind).unwrap();
            what();
        };
        let ended = thread::scope(|scope| scope.spawn(inside).join());
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}

#[test]
fn names_heard_and_names_in_certificates_are_asked_for_by_every_later_sweep() {
    Alone::with("198.18.93.1").run(names_are_asked_for);
}

fn names_are_asked_for() {
    const HERE: &str = "198.18.93.1";
    let of_all = certified("everybody.example", false);
    let heard = certified("heard.example", true);
    let beside = certified("beside.example", false);
    let own = [("heard.example", &heard), ("beside.example", &beside)];
    let shop = config(&of_all, &own);
    serve(&format!("{HERE}:8443"), Arc::clone(&shop), nothing);
    // Another server there, whose certificate names what the first one has as well.
    let other = certified("beside.example", false);
    serve(&format!("{HERE}:9443"), config(&other, &[]), nothing);
    let home = Home::new();
    let sweep = || home.json(&["sweep", HERE, "--ports", "8443,9443", "--io", "connect"]);

    let result = sweep();
    assert_eq!(result["scan"]["gaps"], json!([]), "{result:#}");
    assert!(!rules(&result).contains(&"cert.expired"), "{result:#}");
    for unseen in [&heard, &beside] {
        assert_eq!(places(&home, &sha256(unseen)), []);
    }

    let [hello, answer] = first_words("heard.example", shop);
    let frames = connection([198, 18, 93, 9], [198, 18, 93, 1], 8_443, [&hello, &answer]);
    home.write("heard.pcap", pcap(&frames));
    home.json(&["watch", "--read", "heard.pcap"]);

    for _ in 0..2 {
        let result = sweep();
        assert!(rules(&result).contains(&"cert.expired"), "{result:#}");
        let by_name = |name: &str| (8_443, Some(name.to_owned()));
        assert_eq!(places(&home, &sha256(&heard)), [by_name("heard.example")]);
        assert_eq!(places(&home, &sha256(&beside)), [by_name("beside.example")]);
        // Seen again each time: what expires is not forgotten.
        let begun = result["scan"]["started_at"].as_str().unwrap();
        let certificates = home.json(&["certs", "list"]);
        for seen in certificates.as_array().unwrap() {
            assert!(seen["last_seen"].as_str().unwrap() >= begun, "{seen:#}");
        }
    }
}

/// A server of OpenSSL, which ends with the test.
pub(crate) struct Openssl(Child);

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Openssl {
    /// One that listens at that place as soon as `listens` says so.
    pub(crate) fn serve(
        home: &Home,
        place: &str,
        arguments: &[&str],
        listens: impl Fn() -> bool,
    ) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let params = CertificateParams::new(["old.example".to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
        let pem = home.write("old.pem", pem);
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-accept", place]).args(arguments);
        command
            .arg("-cert")
            .arg(pem)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = Self(command.spawn().expect("openssl is installed"));
        let until = Instant::now() + Duration::from_secs(20);
        while !listens() {
            assert!(Instant::now() < until, "openssl does not listen at {place}");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

#[test]
fn an_ordinary_sweep_tells_of_old_versions_and_suites_that_protect_nothing() {
    const HERE: &str = "127.0.93.2";
    let home = Home::new();
    let place = format!("{HERE}:8443");
    let listens = || TcpStream::connect(&place).is_ok();
    let suites = ["-cipher", "ALL:eNULL:@SECLEVEL=0"];
    let _server = Openssl::serve(&home, &place, &suites, listens);
    let sweep = |more: &[&str]| {
        let usual = ["sweep", HERE, "--ports", "8443", "--io", "connect"];
        home.json(&[&usual[..], more].concat())
    };
    let tls = |result: &Value| -> Vec<String> {
        let rules = rules(result);
        rules.iter().filter(|rule| rule.starts_with("tls.")).map(|rule| (*rule).into()).collect()
    };
    // Who is to be asked gently is not asked for it.
    let result = sweep(&["--profile", "polite", "--rate", "1000", "--host-rate", "1000"]);
    assert_eq!(result["assets"][0]["services"][0]["tls_server"]["asked"], "certificates");
    assert_eq!(tls(&result), Vec::<String>::new(), "{result:#}");
    let result = sweep(&[]);
    assert_eq!(tls(&result), ["tls.anonymous", "tls.null", "tls.old-version"], "{result:#}");
    let server = &result["assets"][0]["services"][0]["tls_server"];
    assert_eq!((&server["asked"], &server["cut"]), (&json!("versions"), &json!(false)));
}

#[test]
fn servers_that_are_named_are_asked_for_their_certificates_and_for_nothing_else() {
    let everybody = certified("everybody.example", false);
    let local = certified("localhost", false);
    let own = [("localhost", &local)];
    let port = serve("127.0.0.1:0", config(&everybody, &own), nothing);
    let mail = certified("mail.example", false);
    serve("127.0.93.3:2525", config(&mail, &[]), smtp);
    let odd = certified("odd.example", false);
    let odd_port = serve("127.0.93.3:0", config(&odd, &[]), smtp);
    let home = Home::new();
    home.write(
        "servers",
        format!("# ours\n127.0.93.3:2525\n127.0.93.3:{odd_port} # elsewhere\n127.0.93.3:smtp\n"),
    );
    let by_name = format!("localhost:{port}");
    let run = home.run(&["certs", "collect", &by_name, "@servers", "--format", "json"]);
    // The bad line of the list is a gap, and the rest was asked.
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.contains("not asked: servers, line 4: \"127.0.93.3:smtp\""),
        "{}",
        run.stderr
    );
    let result: Value = serde_json::from_str(&run.stdout).unwrap();
    let certificates = result["certificates"].as_array().unwrap();
    let mut found: Vec<&str> = certificates.iter().map(|c| c["sha256"].as_str().unwrap()).collect();
    found.sort_unstable();
    let mut expected = [&everybody, &local, &mail, &odd].map(|key| sha256(key));
    expected.sort_unstable();
    assert_eq!(found, expected, "{result:#}");
    let of = |key: &CertifiedKey| {
        let sha256 = sha256(key);
        let one = certificates.iter().find(|one| one["sha256"] == sha256).unwrap();
        one["endpoints"].as_array().unwrap().clone()
    };
    assert!(of(&local).iter().all(|place| place["server_name"] == "localhost"));
    assert!(of(&mail).iter().chain(&of(&odd)).all(|place| place["starttls"] == "smtp"));
    let gaps = result["scan"]["gaps"].as_array().unwrap();
    assert!(gaps.iter().any(|gap| gap["target"] == "127.0.93.3:smtp"), "{gaps:?}");

    // It is a look like others: the inventory has the servers, and nothing says that others are
    // gone which nobody asked.
    let assets = home.json(&["assets", "list"]);
    assert!(assets.to_string().contains("127.0.93.3"), "{assets:#}");
    let listed = home.json(&["certs", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 4);
    let text = home.run(&["certs", "collect", "127.0.93.3:2525"]);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert!(text.stdout.contains("127.0.93.3:2525"), "{}", text.stdout);
    assert!(text.stderr.contains("1 certificate of 1 endpoint"), "{}", text.stderr);
}

#[test]
fn what_cannot_be_asked_is_named() {
    let home = Home::new();
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let run = home.run(&[&["certs", "collect"], arguments].concat());
        assert_eq!(run.code, Some(code), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{arguments:?}: {}", run.stderr);
    };
    check(&["127.0.93.4:https"], 2, "\"127.0.93.4:https\": \"https\" is no port");
    check(&["127.0.93.4", "--ports", "x"], 2, "--ports");
    check(&["[::1"], 2, "brackets stand around an IPv6 address");
    check(&["https://127.0.93.4/"], 2, "this is a URL");
    check(&["@nothing"], 2, "cannot read the list nothing");
    check(&["2001:db8::/64:443"], 2, "2001:db8::/64");
    check(&["127.0.93.4", "--exclude", "127.0.93.0/24"], 2, "there is nothing to ask");
    check(&["127.0.93.4", "--file", "x"], 2, "--file");
    check(&["127.0.93.4:9100"], 2, "prints or switches");
    // Nobody is there: a certificate was asked for and did not come.
    check(&["127.0.93.4:1"], 2, "gap: 127.0.93.4:1/tcp: no certificate: it took no connection");
    assert!(!home.path("x").exists());
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 93, 4), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    // A network of which nobody answers is no failure.
    check(&[&format!("127.0.93.4-5:{port}")], 0, "0 certificates");
}
