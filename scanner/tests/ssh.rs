//! Host keys and host certificates of real SSH servers, on loopback.
#![allow(clippy::allow_attributes, reason = "a test may fail loudly")]

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use model::{AddressRange, Endpoint, Fact, HostCertificate, Site, Vantage};
use scanner::{
    Scope,
    dialogue::{ControlSystems, Dialogue, Limits, Open, Pace},
    net::clock::Clock,
    rate::{Pacer, Rates},
    stop::Stop,
};
use tempfile::TempDir;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server, ended when it goes out of scope.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Runs a command line of the shell, in which `$PORT` is free, until it has said `ready`.
    fn start(folder: &Path, line: &str, ready: &str) -> Self {
        let port = TcpListener::bind((HERE, 0)).unwrap().local_addr().unwrap().port();
        let mut process = Command::new("unshare")
            // Of its own, so that OpenSSH's folder for its unprivileged half can be made.
            .args(["--mount", "sh", "-ec", line])
            .current_dir(folder)
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare is installed");
        let output = BufReader::new(process.stderr.take().expect("piped"));
        let mut lines = output.lines().map_while(Result::ok);
        let mut said = Vec::new();
        let is_ready = lines.any(|line| {
            said.push(line.clone());
            line.contains(ready)
        });
        assert!(is_ready, "{line}: {}", said.join("\n"));
        // It must not stop on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, port }
    }

    fn openssh(folder: &Path, options: &str) -> Self {
        let line = format!(
            "mount -t tmpfs tmpfs /run; mkdir /run/sshd
             exec /usr/sbin/sshd -D -e -f /dev/null -o ListenAddress=127.0.0.1 -o Port=$PORT \
             -o PidFile=none {options}"
        );
        Self::start(folder, &line, "Server listening on 127.0.0.1")
    }

    /// What a sweep would learn of it, and over how many connections.
    fn ask(&self) -> (Vec<Fact>, u64) {
        let rates = Rates { total: 100_000, per_host: 100_000, ..Rates::default() };
        let dialogue = Dialogue {
            scope: Arc::new(Scope::new(vec![AddressRange::single(HERE)], vec![])),
            vantage: Vantage { site: Site("test".into()), name: "here".into() },
            limits: Limits::default(),
            pace: Pace::new(Arc::new(Mutex::new(Pacer::new(rates))), Clock::start()),
            stop: Stop::new(),
            except: Vec::new(),
            control_systems: ControlSystems::LeaveAlone,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let open = vec![Open::at(Endpoint::tcp(HERE, self.port))];
        let mut facts = Vec::new();
        let observe = &mut |observation: model::Observation| facts.push(observation.fact);
        let outcome = runtime.block_on(dialogue.converse(open, observe, &mut |_, _| {}));
        assert!(outcome.complete && outcome.gaps.is_empty(), "{outcome:?}");
        (facts, outcome.conversations)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a command of the shell in a folder and returns what it prints.
fn sh(folder: &Path, line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).current_dir(folder).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// The SHA-256 of each of these public keys, in hexadecimal, as other tools compute it.
fn hashes(folder: &Path, files: &[&str]) -> BTreeSet<String> {
    let of = |file: &&str| {
        let line = format!("cut -d' ' -f2 {file} | base64 -d | sha256sum | cut -d' ' -f1");
        sh(folder, &line).trim().to_owned()
    };
    files.iter().map(of).collect()
}

fn keys(facts: &[Fact]) -> BTreeSet<String> {
    let key = |fact: &Fact| match fact {
        Fact::HostKey(key) => Some(key.sha256.clone()),
        _ => None,
    };
    facts.iter().filter_map(key).collect()
}

fn certificates(facts: &[Fact]) -> Vec<&HostCertificate> {
    let certificate = |fact: &'_ Fact| matches!(fact, Fact::HostCertificate(_));
    let all = facts.iter().filter(|fact| certificate(fact));
    all.filter_map(|fact| match fact {
        Fact::HostCertificate(certificate) => Some(certificate),
        _ => None,
    })
    .collect()
}

const PUBLIC: [&str; 3] = ["ed25519.pub", "ecdsa.pub", "rsa.pub"];

fn made() -> TempDir {
    let folder = TempDir::new().unwrap();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        sh(folder.path(), &format!("ssh-keygen -q -t {kind} -N '' -f {kind}"));
    }
    folder
}

#[test]
fn openssh_shows_a_key_of_each_kind_and_its_certificates() {
    let folder = made();
    let path = folder.path();
    sh(path, "ssh-keygen -q -t ed25519 -N '' -f authority");
    let sign = "ssh-keygen -q -s authority -h -z 42 -I 'pc 7' -n a.example,b.example";
    // Both are kinds that it has beside: one ends, one does not.
    sh(path, &format!("{sign} -V 20260101000000Z:20260301000000Z rsa.pub"));
    sh(path, &format!("{sign} ed25519.pub"));
    let names = |kind: &str| format!("-h \"$PWD/{kind}\"");
    let all = ["ed25519", "ecdsa", "rsa"].map(names).join(" ");
    let with = |kind: &str| format!("-o HostCertificate=\"$PWD/{kind}-cert.pub\"");
    let server = Server::openssh(path, &format!("{all} {} {}", with("rsa"), with("ed25519")));
    let (facts, connections) = server.ask();
    assert_eq!(keys(&facts), hashes(path, &PUBLIC));
    assert_eq!(connections, 3, "one for each kind of key");
    assert!(facts.iter().all(|fact| !matches!(fact, Fact::Anomaly { .. })), "{facts:?}");
    let authority = hashes(path, &["authority.pub"]);
    let [forever, ended] = certificates(&facts)[..] else { panic!("{facts:?}") };
    for certificate in [forever, ended] {
        assert!(authority.contains(&certificate.authority.sha256));
        assert_eq!((certificate.serial, &*certificate.key_id), (42, "pc 7"));
        assert_eq!(certificate.principals, ["a.example", "b.example"]);
    }
    assert_eq!((&*forever.key.algorithm, forever.not_after), ("ssh-ed25519", None));
    assert_eq!(&*ended.key.algorithm, "ssh-rsa");
    let moment = |at: Option<model::Timestamp>| at.map(|at| at.to_string());
    assert_eq!(moment(Some(ended.not_before)).as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(moment(ended.not_after).as_deref(), Some("2026-03-01T00:00:00Z"));
}

#[test]
fn a_server_of_one_key_costs_one_connection() {
    let folder = made();
    let server = Server::openssh(folder.path(), "-h \"$PWD/ecdsa\"");
    let (facts, connections) = server.ask();
    assert_eq!((keys(&facts), connections), (hashes(folder.path(), &["ecdsa.pub"]), 1));
    assert!(certificates(&facts).is_empty());
}

#[test]
fn dropbear_shows_a_key_of_each_kind() {
    let folder = made();
    let path = folder.path();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        sh(
            path,
            &format!(
                "dropbearkey -t {kind} -f db-{kind} | grep '^\\(ssh\\|ecdsa\\)-' >db-{kind}.pub"
            ),
        );
    }
    let line =
        "exec dropbear -F -E -p 127.0.0.1:$PORT -P /dev/null -r db-ed25519 -r db-ecdsa -r db-rsa";
    let server = Server::start(path, line, "Not backgrounding");
    let (facts, connections) = server.ask();
    let expected = hashes(path, &["db-ed25519.pub", "db-ecdsa.pub", "db-rsa.pub"]);
    assert_eq!((keys(&facts), connections), (expected, 3));
}
