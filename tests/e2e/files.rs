//! Certificates out of files, as a user collects them: servers' folders, Kubernetes, stores,
//! and everything that lies about beside them.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::Value;

use crate::home::{Home, Run};

/// An authority, and what it issues.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Lab Root");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2090, 1, 1);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for that name and its key, valid to the end of that year.
    fn issue(&self, name: &str, until: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(until.min(2026) - 1, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

fn put(home: &Home, path: &str, contents: impl AsRef<[u8]>, mode: u32) {
    fs::create_dir_all(home.path(path).parent().unwrap()).unwrap();
    let path = home.write(path, contents);
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn collect(home: &Home, more: &[&str], password: Option<&str>) -> (Run, Value) {
    let mut command = home.command(&[&["certs", "collect", "--format", "json"], more].concat());
    if let Some(password) = password {
        command.env("DAICHO_CERTIFICATES_PASSWORD", password);
    }
    let run = Run::of(command.output().unwrap());
    let json = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr));
    (run, json)
}

/// The paths below the home, with one member of each.
fn files(home: &Home, list: &Value, member: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            let path = file["path"].as_str().unwrap();
            let path = Path::new(path).strip_prefix(home.path("")).unwrap_or(Path::new(path));
            let value = match &file[member] {
                Value::Array(list) => list.len().to_string(),
                value => value.as_str().unwrap_or_default().to_owned(),
            };
            (path.to_str().unwrap().to_owned(), value)
        })
        .collect();
    found.sort();
    found
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[track_caller]
fn openssl(home: &Home, arguments: &[&str]) {
    let run = Command::new("openssl").args(arguments).current_dir(home.path("")).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn a_web_servers_files_are_collected_listed_and_judged() {
    let home = Home::new();
    let authority = Authority::new();
    let (web, web_key) = authority.issue("www.example.com", 2089);
    let (old, old_key) = authority.issue("old.example.com", 2021);
    put(
        &home,
        "nginx/conf.d/site.conf",
        "server {\n  ssl_certificate ssl/web.pem;\n  ssl_certificate_key ../keys/web.key; }\n",
        0o644,
    );
    put(&home, "nginx/ssl/web.pem", web.clone() + &authority.pem, 0o644);
    put(&home, "keys/web.key", &web_key, 0o600);
    put(&home, "nginx/ssl/old.pem", old + &old_key, 0o644);
    put(&home, "nginx/readme.txt", "no certificate here", 0o644);
    // The key lies outside of what is named, relative to the folder above the file's.
    put(&home, "nginx/keys/none", "", 0o644);
    let conf = home.path("nginx/conf.d/site.conf");
    let text = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, text.replace("../keys/web.key", home.path("keys/web.key").to_str().unwrap()))
        .unwrap();

    let (run, json) = collect(&home, &["--file", "nginx"], None);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(
        files(&home, &json["files"], "private_key"),
        pairs(&[
            ("keys/web.key", "plain"),
            ("nginx/ssl/old.pem", "plain"),
            ("nginx/ssl/web.pem", "none")
        ])
    );
    assert_eq!(
        files(&home, &json["files"], "certificates"),
        pairs(&[("keys/web.key", "0"), ("nginx/ssl/old.pem", "1"), ("nginx/ssl/web.pem", "2")])
    );
    assert_eq!(
        files(&home, &json["files"], "mode"),
        pairs(&[
            ("keys/web.key", "0600"),
            ("nginx/ssl/old.pem", "0644"),
            ("nginx/ssl/web.pem", "0644")
        ])
    );
    // What is wrong is named by its path: the certificate that ended, and the key that all may read.
    let path = home.path("nginx/ssl/old.pem").to_str().unwrap().to_owned();
    let findings = home.json(&["findings"]);
    let mut rules: Vec<(&str, bool)> = findings
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["rule"].as_str().unwrap(), one["detail"].as_str().unwrap().contains(&path)))
        .collect();
    rules.sort_unstable();
    assert_eq!(rules, [("cert.expired", true), ("key.readable", true)], "{findings}");
    // And the list says where each is.
    let list = home.json(&["certs", "list"]);
    let expired = &list.as_array().unwrap()[0];
    assert_eq!(expired["names"][0], "old.example.com");
    assert_eq!(expired["files"][0]["path"], path.as_str());
    assert_eq!(expired["files"][0]["vantage"], "test");
    assert_eq!(expired["files"][0]["private_key"], "plain");
    let text = home.run(&["certs", "list"]).stdout;
    assert!(text.contains("test:"), "{text}");
    // No byte of a key is in what is kept or said.
    let secret = web_key.lines().nth(1).unwrap();
    let hidden = old_key.lines().nth(2).unwrap();
    for name in ["daicho.db", "daicho.db-wal"] {
        let kept = fs::read(home.path(name)).unwrap_or_default();
        let kept = String::from_utf8_lossy(&kept);
        assert!(!kept.contains(secret) && !kept.contains(hidden), "{name}");
    }
    assert!(!run.stdout.contains(secret) && !run.stderr.contains(hidden));

    // Renewed and closed, both findings are resolved; what is gone is listed no more.
    let (new, new_key) = authority.issue("old.example.com", 2088);
    put(&home, "nginx/ssl/old.pem", new + &new_key, 0o640);
    fs::remove_file(home.path("nginx/ssl/web.pem")).unwrap();
    fs::write(&conf, "").unwrap();
    let (run, json) = collect(&home, &["--file", "nginx"], None);
    assert_eq!(
        (run.code, json["findings"].as_array().unwrap().len()),
        (Some(0), 0),
        "{}",
        run.stderr
    );
    let list = home.json(&["certs", "list"]);
    let names: Vec<&str> =
        list.as_array().unwrap().iter().map(|one| one["names"][0].as_str().unwrap_or("")).collect();
    assert_eq!(names, ["old.example.com"], "{list}");
}

#[test]
fn stores_are_opened_with_the_passwords_given_and_kubernetes_keeps_its_names() {
    let home = Home::new();
    let authority = Authority::new();
    let (web, key) = authority.issue("app.example.com", 2089);
    put(&home, "web.pem", web, 0o644);
    put(&home, "web.key", key, 0o600);
    openssl(&home, &["base64", "-A", "-in", "web.pem", "-out", "crt"]);
    let encoded = fs::read_to_string(home.path("crt")).unwrap();
    put(&home, "k/secret.yaml", format!("kind: Secret\ndata:\n  tls.crt: {encoded}\n"), 0o644);
    let line = ["pkcs12", "-export", "-in", "web.pem", "-inkey", "web.key", "-out", "k/a.p12"];
    openssl(&home, &[&line[..], &["-passout", "pass:first"]].concat());
    let line = ["pkcs12", "-export", "-in", "web.pem", "-inkey", "web.key", "-out", "k/b.p12"];
    openssl(&home, &[&line[..], &["-passout", "pass:日本", "-legacy"]].concat());
    // A mount: the data of one day behind two links.
    put(&home, "mount/..2026_11_26/tls.crt", fs::read(home.path("web.pem")).unwrap(), 0o644);
    symlink("..2026_11_26", home.path("mount/..data")).unwrap();
    symlink("..data/tls.crt", home.path("mount/tls.crt")).unwrap();
    home.write("password", "first\nsecond line\n");
    home.write(
        "daicho.toml",
        "[certificates]\nfiles = [\"k\", \"mount\"]\npassword_files = [\"password\"]\n",
    );

    let (run, json) = collect(&home, &["--config", "daicho.toml"], Some("日本"));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let found = files(&home, &json["files"], "format");
    let expected = [
        ("k/a.p12", "pkcs12"),
        ("k/b.p12", "pkcs12"),
        ("k/secret.yaml", "manifest"),
        ("mount/tls.crt", "pem"),
    ];
    assert_eq!(found, pairs(&expected));
    let list = home.json(&["certs", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list[0]["files"].as_array().unwrap().len(), 4);
    assert_eq!(list[0]["files"][2]["entry"], "tls.crt");

    // Without them, each is named with what to do, and nothing that was known is lost.
    let (run, json) = collect(&home, &["--file", "k"], None);
    assert_eq!(run.code, Some(2));
    assert_eq!(files(&home, &json["problems"], "path").len(), 2);
    assert!(
        run.stderr.contains(
            "a.p12: it is encrypted and no password was given; give it with --password-file"
        ),
        "{}",
        run.stderr
    );
    assert_eq!(home.json(&["certs", "list"])[0]["files"].as_array().unwrap().len(), 4);
    assert!(!run.stderr.contains("first"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_read_costs_only_itself() {
    let home = Home::new();
    let (web, _) = Authority::new().issue("www.example.com", 2089);
    put(&home, "all/good.pem", &web, 0o644);
    put(
        &home,
        "all/a-bad.p12",
        [&[0x30, 0x82, 1, 0, 2, 1, 3, 0x30, 4, 6, 2, 42, 3][..], &[0; 300]].concat(),
        0o644,
    );
    symlink("loop-b", home.path("all/loop-a")).unwrap();
    symlink("loop-a", home.path("all/loop-b")).unwrap();
    symlink("..", home.path("all/up")).unwrap();
    symlink(".", home.path("all/here")).unwrap();
    symlink("good.pem", home.path("all/again.pem")).unwrap();
    symlink("/dev/zero", home.path("all/zero")).unwrap();
    let _socket = UnixListener::bind(home.path("all/socket")).unwrap();
    let made = Command::new("mkfifo").arg(home.path("all/fifo")).status().unwrap();
    assert!(made.success());
    // More than is read, of which nothing is on the disk.
    let huge = fs::File::create(home.path("all/huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let deep = "all/".to_owned() + &"d/".repeat(70);
    fs::create_dir_all(home.path(&deep)).unwrap();

    let (run, json) =
        collect(&home, &["--file", "all", "--file", "none", "--file", "all/fifo"], None);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert_eq!(files(&home, &json["files"], "certificates"), pairs(&[("all/good.pem", "1")]));
    for line in [
        "loop-a: a link: the links lead round in a circle",
        "none: there is no such file",
        "all/fifo: a FIFO is not opened",
        "all/zero: a link to a device, not opened",
        "all/up: a link to a folder outside",
        "it is too deep in its folders",
        "all/socket: no plain file, and not opened",
        "a-bad.p12: it has content of type",
    ] {
        assert!(run.stderr.contains(line), "{line:?} is not in:\n{}", run.stderr);
    }
    assert!(!run.stderr.contains("all/here"), "{}", run.stderr);
    assert!(
        run.stderr.ends_with(
            "1 file, 0 with a private key, 1 certificate, 0 open findings; 6 not read\n"
        ),
        "{}",
        run.stderr
    );
    // What is named and holds nothing is a mistake; nothing named as well.
    home.write("text", "hello");
    let run = home.run(&["certs", "collect", "--file", "text"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("neither a certificate nor a private key"), "{}", run.stderr);
    let run = home.run(&["certs", "collect"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("certificates.files"), "{}", run.stderr);
}

#[test]
fn many_files_and_one_that_fails_are_borne() {
    let home = Home::new();
    let (web, _) = Authority::new().issue("www.example.com", 2089);
    put(&home, "many/web.pem", &web, 0o644);
    for number in 0..20_000 {
        fs::write(home.path(&format!("many/{number}")), "").unwrap();
    }
    // Its first page is mapped by nobody, so that whoever may open it still cannot read it.
    let (run, json) = collect(&home, &["--file", "/proc/self/mem", "many"], None);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert_eq!(files(&home, &json["files"], "certificates"), pairs(&[("many/web.pem", "1")]));
    assert!(run.stderr.contains("/proc/self/mem: it cannot be read"), "{}", run.stderr);
    assert_eq!(json["problems"].as_array().unwrap().len(), 1);
}

/// MiB: a million names take a third of it.
const MOST_MEMORY: u64 = 400;

/// The most memory that a process had so far, in MiB, as long as it runs.
fn most_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes / 1_024)
}

#[test]
fn a_folder_of_a_million_files_takes_no_more_than_their_names() {
    let home = Home::new();
    // In memory, where a million of them are made in seconds; the folder goes with the test.
    let folder = tempfile::tempdir_in("/dev/shm").expect("/dev/shm is there, as on every Linux");
    let (web, _) = Authority::new().issue("www.example.com", 2089);
    fs::write(folder.path().join("web.pem"), &web).unwrap();
    for number in 0..1_000_000 {
        fs::write(folder.path().join(number.to_string()), "").unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let mut command = home.command(&["certs", "collect", "--file", path]);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut most = 0;
    while running.try_wait().unwrap().is_none() {
        most = most_memory(running.id()).unwrap_or_default().max(most);
        thread::sleep(Duration::from_millis(20));
    }
    let run = Run::of(running.wait_with_output().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("1 file, 0 with a private key, 1 certificate,"), "{}", run.stderr);
    assert!((1..=MOST_MEMORY).contains(&most), "{most} MiB");
}
