//! The page's process from the outside: its command line, its certificate, what it may not do any
//! more, and what becomes of it when it breaks.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use crate::home::{Home, Run};

const PASSWORD: &str = "correct horse";

/// A home whose configuration has a page and nothing else.
struct Office {
    home: Home,
    port: u16,
}

/// A command that serves, with what it says.
struct Served {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Office {
    fn new(more: &str) -> Self {
        let home = Home::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        home.write("daicho.toml", format!("[web]\nlisten = \"127.0.0.1:{port}\"\n{more}"));
        Self { home, port }
    }

    fn run(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = self.home.command(&["--config", "daicho.toml", "--as", "admin"]);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that refuses before it reads is fine.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Run::of(child.wait_with_output().unwrap())
    }

    fn start(&self, command: &str) -> Served {
        let mut command = self.home.command(&["--config", "daicho.toml", command]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in errors.lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Served { child, lines, said: Vec::new() }
    }

    /// Asks over TLS, trusting the certificate beside the database and no other. Behind the first
    /// line of `head` stands another header.
    fn ask(&self, head: &str, body: &str) -> String {
        self.hear(head, body, "no answer has this in it")
    }

    /// The same, of an answer that does not end: until it has said this.
    fn hear(&self, head: &str, body: &str, words: &str) -> String {
        let mut roots = RootCertStore::empty();
        let path = self.home.path("web-certificate.pem");
        roots.add(CertificateDer::from_pem_file(path).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let (line, more) = head.split_once("\r\n").unwrap_or((head, "X-Nothing: more"));
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n{more}\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        let mut bytes = [0; 4096];
        // Some servers end without a farewell; what came counts.
        while let Ok(length @ 1..) = stream.read(&mut bytes) {
            answer.extend_from_slice(&bytes[..length]);
            if String::from_utf8_lossy(&answer).contains(words) {
                break;
            }
        }
        String::from_utf8(answer).unwrap()
    }

    /// Signs in, and returns the session's cookie as a header.
    fn sign_in(&self, name: &str) -> String {
        let page = self.ask("GET /login", "");
        let entry = cookie(&page, "__Host-daicho-entry");
        let password = PASSWORD.replace(' ', "+");
        let body = format!("csrf={}&name={name}&password={password}", form_token(&page));
        let head = format!("POST /login\r\nCookie: __Host-daicho-entry={entry}");
        let session = cookie(&self.ask(&head, &body), "__Host-daicho=");
        format!("Cookie: __Host-daicho={session}")
    }
}

impl Served {
    #[track_caller]
    fn hears(&mut self, words: &str) -> String {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("it did not say {words:?} but:\n{}", self.said.join("\n"));
            };
            self.said.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    /// The process with the page.
    fn page(&self) -> u32 {
        let of = |entry: fs::DirEntry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()?;
            (parent == self.child.id()).then_some(pid)
        };
        fs::read_dir("/proc").unwrap().find_map(|entry| of(entry.unwrap())).unwrap()
    }

    fn terminate(&mut self) -> Duration {
        let began = Instant::now();
        kill("-TERM", self.child.id());
        assert!(self.child.wait().unwrap().success());
        began.elapsed()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(name: &str, pid: u32) {
    let status = std::process::Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

/// The value of a cookie that an answer sets.
fn cookie(answer: &str, name: &str) -> String {
    let line = answer
        .lines()
        .find(|line| line.to_lowercase().starts_with("set-cookie: ") && line.contains(name));
    line.unwrap().split(['=', ';']).nth(1).unwrap().to_owned()
}

fn form_token(answer: &str) -> String {
    let rest = answer.split("name=\"csrf\" value=\"").nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn the_service_serves_a_page_by_a_process_that_may_nothing_and_that_it_begins_again() {
    let office = Office::new("");
    let added = office.run(&["user", "add", "sato", "--role", "viewer"], &format!("{PASSWORD}\n"));
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let mut served = office.start("serve");
    served.hears("page: at https://127.0.0.1:");
    let key = office.home.path("web-key.pem");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);

    let status = fs::read_to_string(format!("/proc/{}/status", served.page())).unwrap();
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        let line = status.lines().find(|line| line.starts_with(set)).unwrap();
        assert!(line.ends_with("0000000000000000"), "{line}");
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");

    let page = office.ask("GET /login?next=/account", "");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let entry = cookie(&page, "__Host-daicho-entry");
    let body = format!(
        "csrf={}&name=sato&password={}&next=/account",
        form_token(&page),
        PASSWORD.replace(' ', "+")
    );
    let head = format!("POST /login\r\nCookie: __Host-daicho-entry={entry}");
    let signed = office.ask(&head, &body);
    assert!(signed.starts_with("HTTP/1.1 303"), "{signed}");
    let session = cookie(&signed, "__Host-daicho=");
    let own = format!("GET /account\r\nCookie: __Host-daicho={session}");
    assert!(office.ask(&own, "").contains("sato (viewer)"));

    // Refused, and said so without a line that somebody else wrote.
    assert!(office.ask("GET /account", "").starts_with("HTTP/1.1 303"));
    served.hears("page: refused: GET /account from 127.0.0.1: not signed in");
    let forged = office.ask(&format!("POST /logout\r\nCookie: __Host-daicho={session}"), "csrf=x");
    assert!(forged.starts_with("HTTP/1.1 403"), "{forged}");
    served.hears("page: refused: POST /logout from 127.0.0.1: the form is not from a page");

    kill("-KILL", served.page());
    served.hears("restart 1 in 1 s");
    served.hears("page: at https://127.0.0.1:");
    // The certificate and the session are the same.
    assert!(office.ask(&own, "").contains("sato (viewer)"));
    let doctor = office.run(&["doctor"], "");
    assert!(doctor.stdout.contains("restarted 1 time"), "{}", doctor.stdout);

    // A reload begins it anew, with what the configuration says now.
    let file = fs::read_to_string(office.home.path("daicho.toml")).unwrap();
    office.home.write("daicho.toml", format!("{file}\nnames = [\"daicho.office.example\"]\n"));
    kill("-HUP", served.child.id());
    served.hears("reloaded");
    served.hears("page: at https://127.0.0.1:");
    assert!(office.ask(&own, "").contains("sato (viewer)"));
    let took = served.terminate();
    assert!(took < Duration::from_millis(1_500), "{took:?}");
}

#[test]
fn the_page_alone_ends_at_once_also_while_somebody_is_connected() {
    let office = Office::new("metrics = \"no\"");
    let mut served = office.start("web");
    served.hears("page: at https://127.0.0.1:");
    served.hears("nobody can sign in yet");
    // Somebody who says nothing, and one who asked.
    let idle = TcpStream::connect(("127.0.0.1", office.port)).unwrap();
    assert!(office.ask("GET /healthz", "").ends_with("ok\n"));
    assert!(office.ask("GET /readyz", "").ends_with("ready\n"));
    kill("-HUP", served.child.id());
    served.hears("page: reloaded");
    served.hears("page: at https://127.0.0.1:");
    assert!(office.ask("GET /metrics", "").starts_with("HTTP/1.1 404"));
    // What cannot be served is said, and everything stays as it was.
    let file = fs::read_to_string(office.home.path("daicho.toml")).unwrap();
    for (wrong, why) in
        [("certificate = \"/no\"\nkey = \"/no\"\n", "cannot use /no"), ("wrong = 1\n", "wrong")]
    {
        office.home.write("daicho.toml", format!("{file}\n{wrong}"));
        kill("-HUP", served.child.id());
        assert!(served.hears("page: not reloaded, it stays as it was").contains(why));
        assert!(office.ask("GET /metrics", "").starts_with("HTTP/1.1 404"));
    }
    // Whoever opens very many connections has the last ones closed.
    let many: Vec<TcpStream> =
        (0..70).map(|_| TcpStream::connect(("127.0.0.1", office.port)).unwrap()).collect();
    served.hears("page: refused: 127.0.0.1 has too many connections");
    drop(many);
    let took = served.terminate();
    drop(idle);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn who_may_look_is_said_at_the_command_line_and_never_a_password() {
    let office = Office::new("");
    let add = |name: &str, role: &str, password: &str| {
        office.run(&["user", "add", name, "--role", role], password)
    };
    assert!(add("sato", "admin", "short\n").stderr.contains("at least 12 letters"));
    assert!(add("sato", "admin", "satosatosato\n").stderr.contains("easily guessed"));
    assert!(add("sa to", "admin", "correct horse\n").stderr.contains("is not a name"));
    assert_eq!(add("sato", "admin", "correct horse\n").code, Some(0));
    assert!(add("SATO", "viewer", "correct horse\n").stderr.contains("choose another name"));
    let last = office.run(&["user", "role", "sato", "viewer"], "");
    assert!(last.stderr.contains("only admin"), "{}", last.stderr);
    assert!(office.run(&["user", "remove", "sato"], "").stderr.contains("only admin"));
    office.home.write("password", "battery staple\nnot this\n");
    let arguments = ["user", "add", "mori", "--role", "approver", "--password-file", "password"];
    assert_eq!(office.run(&arguments, "").code, Some(0));
    assert_eq!(office.run(&["user", "password", "mori"], "battery staples\n").code, Some(0));

    let token = office.run(&["token", "add", "prometheus", "--scopes", "metrics"], "");
    assert!(token.stdout.starts_with("daicho_") && token.stdout.len() == 72, "{}", token.stdout);
    let list = office.run(&["token", "list", "--format", "json"], "").json();
    assert_eq!(list[0]["scopes"][0], "metrics");
    assert!(!list.to_string().contains(token.stdout.trim()));
    assert_eq!(office.run(&["token", "remove", "prometheus"], "").code, Some(0));

    let audit = office.run(&["audit", "list", "--format", "json"], "").json();
    let deeds: Vec<&str> = audit
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|deed| deed["action"].as_str().unwrap())
        .collect();
    let expected = ["add_user", "add_user", "set_password", "add_token", "remove_token"];
    assert_eq!(deeds, expected);
    let database = fs::read(office.home.path("daicho.db")).unwrap();
    let log = fs::read(office.home.path("daicho.db-wal")).unwrap_or_default();
    for secret in ["correct horse", "battery staple", token.stdout.trim()] {
        for file in [&database, &log] {
            assert!(
                !file.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()),
                "{secret}"
            );
        }
    }
}

#[test]
fn a_program_fetches_the_calendar_by_an_address_until_its_key_is_removed() {
    let office = Office::new("[alerts]\npage = \"https://daicho.example/\"\n");
    assert_eq!(office.run(&["user", "add", "sato", "--role", "admin"], PASSWORD).code, Some(0));
    let add = |scopes: &str| {
        office.run(&["token", "add", "outlook", "--scopes", scopes, "--expires", "30d"], "")
    };
    let both = add("calendar,read");
    assert_eq!(both.code, Some(2));
    assert!(both.stderr.contains("opens nothing else"), "{}", both.stderr);
    let made = add("calendar");
    let at = "https://daicho.example/calendar/KEY/certificates.ics";
    assert!(made.stderr.contains(at), "{}", made.stderr);
    let key = made.stdout.trim();
    let mut page = office.start("web");
    page.hears("page: at https://127.0.0.1:");
    let ask = || office.ask(&format!("GET /calendar/{key}/certificates.ics"), "");
    let file = ask();
    assert!(file.starts_with("HTTP/1.1 200"), "{file}");
    assert!(file.contains("text/calendar") && file.contains("BEGIN:VCALENDAR\r\n"), "{file}");
    // It is no key to anything else.
    let api = format!("GET /api/v1/calendar\r\nAuthorization: Bearer {key}");
    assert!(office.ask(&api, "").starts_with("HTTP/1.1 403"));
    assert_eq!(office.run(&["token", "remove", "outlook"], "").code, Some(0));
    assert!(ask().starts_with("HTTP/1.1 401"));
    // It is told that it was refused, and the address is not.
    page.hears("page: refused: GET /calendar/ from 127.0.0.1");
    page.child.kill().unwrap();
    page.child.wait().unwrap();
    assert!(!page.said.iter().any(|line| line.contains(key)), "{:?}", page.said);
}

#[test]
fn what_is_wrong_with_the_page_is_named() {
    let home = Home::new();
    let error = |file: &str, command: &str| {
        home.write("daicho.toml", file);
        let run = home.run(&["--config", "daicho.toml", command]);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        run.stderr
    };
    assert!(error("", "web").contains("web.listen = \"127.0.0.1:8443\""));
    assert!(error("", "serve").contains("web.listen a page"));
    let plain = "[web]\nlisten = \"192.0.2.7:80\"\nplain = true";
    assert!(error(plain, "web").contains("in the clear"));
    let none = "[web]\nlisten = \"127.0.0.1:0\"\ncertificate = \"/no\"\nkey = \"/no\"";
    assert!(error(none, "web").contains("cannot use /no"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("[web]\nlisten = \"{}\"", taken.local_addr().unwrap());
    assert!(error(&taken, "web").contains("cannot listen at 127.0.0.1:"));
}

#[test]
fn a_job_that_somebody_wants_is_begun_by_the_service_and_followed_live() {
    let office = Office::new(
        "[sweep]\nio = \"connect\"\n[[jobs]]\nname = \"slow\"\nkind = \"sweep\"\n\
         schedule = \"0 0 1 1 *\"\ntargets = [\"127.0.1.0/24\"]\nports = \"4\"\nrate = \"5pps\"\n",
    );
    office.run(&["user", "add", "sato", "--role", "operator"], &format!("{PASSWORD}\n"));
    let mut served = office.start("serve");
    served.hears("page: at https://127.0.0.1:");
    let own = office.sign_in("sato");
    let jobs = office.ask(&format!("GET /jobs\r\n{own}"), "");
    let body = format!("csrf={}", form_token(&jobs));
    let wanted = office.ask(&format!("POST /jobs/slow/run\r\n{own}"), &body);
    assert!(wanted.starts_with("HTTP/1.1 303"), "{wanted}");
    served.hears("job slow: begins, because sato wants it");
    let until = Instant::now() + Duration::from_secs(20);
    while !office.ask(&format!("GET /scans/1\r\n{own}"), "").contains("data-live") {
        assert!(Instant::now() < until, "no progress is told");
        thread::sleep(Duration::from_millis(100));
    }
    let events = office.hear(&format!("GET /scans/1/events\r\n{own}"), "", "\n\n");
    assert!(events.contains("content-type: text/event-stream"), "{events}");
    let head =
        office.hear(&format!("GET /scans/1/events\r\n{own}"), "", "\"phase\":\"who is there\"");
    assert!(head.contains("event: values"), "{head}");
    let took = served.terminate();
    assert!(took < Duration::from_millis(1_500), "{took:?}");
}
