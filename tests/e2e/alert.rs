//! Who is told: from a finding to a mail server, a web server, a log server, a program and a
//! file, once each; and what happens where the program is killed on the way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::home::{Home, Run};

/// A home in which a certificate that nobody should use is a finding.
pub(crate) struct Office {
    home: Home,
    certificates: usize,
}

impl Office {
    fn new(routes: &str) -> Self {
        let home = Home::new();
        home.write("daicho.toml", routes);
        fs::create_dir(home.path("web")).unwrap();
        Self { home, certificates: 0 }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.home.command(&[arguments, &["--config", "daicho.toml"]].concat())
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--format", "json"]].concat()).json()
    }

    /// An expired certificate lies in a file, and is found.
    #[track_caller]
    fn something_expires(&mut self) {
        self.certificates += 1;
        let name = format!("shop{}.example", self.certificates);
        self.home.write(&format!("web/{}.pem", self.certificates), expired(&name));
        let run = self.run(&["certs", "collect", "--file", "web"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }

    /// The messages in a state: key by route.
    fn messages(&self, state: &str) -> Vec<Value> {
        let list = self.json(&["alert", "list", "--state", state]);
        list.as_array().unwrap().clone()
    }

    fn keys(&self, state: &str) -> BTreeSet<String> {
        let key = |message: &Value| message["key"].as_str().unwrap().to_owned();
        self.messages(state).iter().map(key).collect()
    }
}

/// What every route of these tests has.
const SOON: &str = "baseline = \"told\"\ndigest = \"0s\"\nrules = [\"cert.expired\"]\n\
                    time_limit = \"1s\"\n";

pub(crate) fn route(name: &str, rest: &str) -> String {
    format!("[[routes]]\nname = \"{name}\"\n{SOON}{rest}\n")
}

/// A web server that notes the head and body of each request and gives an answer.
pub(crate) struct Web {
    pub(crate) url: String,
    pub(crate) asked: Arc<Mutex<Vec<(String, String)>>>,
    answer: Arc<Mutex<&'static str>>,
}

const YES: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

impl Web {
    fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub(crate) fn on(listener: TcpListener) -> Self {
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let answer = Arc::new(Mutex::new(YES));
        let (notes, answers) = (Arc::clone(&asked), Arc::clone(&answer));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(connection) = connection else { return };
                let (notes, answers) = (Arc::clone(&notes), Arc::clone(&answers));
                thread::spawn(move || serve(&connection, &notes, &answers));
            }
        });
        Self { url, asked, answer }
    }

    /// How often each message came.
    pub(crate) fn keys(&self) -> BTreeMap<String, usize> {
        let mut keys = BTreeMap::new();
        for (_, body) in self.asked.lock().unwrap().iter() {
            let body: Value = serde_json::from_str(body).unwrap();
            *keys.entry(body["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        keys
    }
}

fn serve(
    mut connection: &TcpStream,
    notes: &Mutex<Vec<(String, String)>>,
    answers: &Mutex<&'static str>,
) {
    let mut reader = BufReader::new(connection);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    // Who was killed in the middle of a request has asked for nothing.
    if reader.read_exact(&mut body).is_err() || head.is_empty() {
        return;
    }
    notes.lock().unwrap().push((head, String::from_utf8(body).unwrap()));
    let answer = *answers.lock().unwrap();
    let _ = connection.write_all(answer.as_bytes());
}

/// A process of a test, which ends with it.
pub(crate) struct Server(pub(crate) Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something is so; a server is given half a minute.
#[track_caller]
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A port on which nobody listens now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn each_way_is_told_once_and_a_test_says_what_the_other_side_says() {
    let web = Web::start();
    let home = Home::new();
    let (file, said) = (home.path("alerts.jsonl"), home.path("said"));
    let script = home.write("page", format!("#!/bin/sh\ncat >> {}\n", said.display()));
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let token = home.write("token", "s3cret-token\n");
    let mut office = Office::new(&[
        route(
            "hook",
            &format!(
                "type = \"webhook\"\nurl = \"{}\"\ntoken_file = \"{}\"\nsigning_key_file = \"{}\"",
                web.url,
                token.display(),
                token.display()
            ),
        ),
        route("chat", &format!("type = \"webhook\"\nform = \"slack\"\nurl = \"{}\"", web.url)),
        route("page", &format!("type = \"command\"\ncommand = [\"{}\"]", script.display())),
        route("file", &format!("language = \"ja\"\ntype = \"file\"\npath = \"{}\"", file.display())),
        // Nobody listens there.
        route("lost", &format!("type = \"syslog\"\ntransport = \"tcp\"\nserver = \"127.0.0.1\"\nport = {}", free_port())),
        // And this is about something else.
        route("none", "owners = [\"Sales\"]\ntype = \"file\"\npath = \"/nowhere\"").replace("cert.expired", "device.*"),
    ].concat());

    let test = office.run(&["alert", "test", "hook"]);
    assert_eq!(
        (test.code, test.stdout.as_str()),
        (Some(0), "sent: 200 OK ok\n"),
        "{}",
        test.stderr
    );
    let test = office.run(&["alert", "test", "nobody"]);
    assert_eq!(test.code, Some(2));
    assert!(
        test.stderr.contains("there is no route \"nobody\"; there are: hook, chat"),
        "{}",
        test.stderr
    );
    let test = office.run(&["alert", "test", "lost"]);
    assert_eq!(test.code, Some(2));
    assert!(test.stderr.contains("not sent: cannot connect to 127.0.0.1 port"), "{}", test.stderr);
    let (head, body) = web.asked.lock().unwrap().remove(0);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["test"], true);
    assert!(head.contains(&format!("Idempotency-Key: {}\r\n", body["id"].as_str().unwrap())));
    assert!(head.contains("Authorization: Bearer s3cret-token\r\n"), "{head}");
    assert!(head.contains("Daicho-Signature: sha256="), "{head}");

    office.something_expires();
    assert_eq!(office.messages("pending").len(), 5);
    let run = office.run(&["alert", "deliver"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert_eq!(run.stdout, "4 messages sent, 1 put off, 0 given up\n");
    assert!(run.stderr.contains("lost: message 5: cannot connect"), "{}", run.stderr);
    // Again: nothing is due.
    let again = office.json(&["alert", "deliver"]);
    assert_eq!((&again["sent"], &again["put_off"]), (&0.into(), &0.into()));
    assert_eq!(web.asked.lock().unwrap().len(), 2);
    let line: Value = serde_json::from_str(fs::read_to_string(&file).unwrap().trim()).unwrap();
    assert_eq!(line["items"][0]["rule"], "cert.expired");
    assert!(line["text"].as_str().unwrap().contains("■ 新規"), "{line}");
    // Title and sentence are Japanese as well, as on the page.
    let news = |field: &str| line["items"][0][field].as_str().unwrap().to_owned();
    assert!(news("title").starts_with("証明書の期限切れ: "), "{line}");
    assert!(news("detail").contains("に有効期限切れ("), "{line}");
    assert_eq!(fs::read_to_string(&said).unwrap().lines().count(), 1);

    // What is put off can be had now, and a message that was sent cannot be had twice.
    let retry = office.json(&["alert", "retry", "5"]);
    assert_eq!((&retry[0]["state"], &retry[0]["attempts"]), (&"pending".into(), &1.into()));
    let retry = office.run(&["alert", "retry", "1"]);
    assert!(retry.stderr.contains("message 1 is sent; only one that failed"), "{}", retry.stderr);
    // No output has ever had the secret.
    for run in [&test, &run, &retry] {
        assert!(!run.stderr.contains("s3cret") && !run.stdout.contains("s3cret"));
    }
}

#[test]
fn what_a_server_refuses_is_given_up_and_can_be_tried_again() {
    let web = Web::start();
    let hook = format!("expire = \"1m\"\ntype = \"webhook\"\nurl = \"{}\"", web.url);
    let mut office = Office::new(&route("hook", &hook));
    office.something_expires();
    *web.answer.lock().unwrap() = "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nno <such>";
    let run = office.json_of_failure(&["alert", "deliver"]);
    // The pause after a refusal is longer than this message has to live.
    assert_eq!((&run["put_off"], &run["failed"]), (&0.into(), &1.into()), "{run}");
    let [failed] = office.messages("failed").try_into().unwrap();
    assert_eq!(failed["outcome"], "404 Not Found no <such>");
    let doctor = office.run(&["doctor"]).stdout;
    assert!(doctor.contains("1 message was given up: see daicho alert list"), "{doctor}");
    *web.answer.lock().unwrap() = YES;
    office.json(&["alert", "retry", &failed["id"].to_string()]);
    assert_eq!(office.json(&["alert", "deliver"])["sent"], 1);
    let asked: Vec<usize> = web.keys().into_values().collect();
    assert_eq!(asked, [2], "under the same key");
}

#[test]
fn what_a_server_repeats_of_a_secret_is_not_shown() {
    let web = Web::start();
    let files = Home::new();
    let token = files.write("token", "s3cret-token\n");
    let url = files.write("url", format!("{}/T0secret-path?key=s3cret-key", web.url));
    let hook = format!(
        "expire = \"1m\"\ntype = \"webhook\"\nurl_file = \"{}\"\ntoken_file = \"{}\"",
        url.display(),
        token.display()
    );
    let mut office = Office::new(&route("hook", &hook));
    office.something_expires();
    *web.answer.lock().unwrap() = "HTTP/1.1 404 s3cret-token\r\n\r\n\
        Cannot POST /hook/T0secret-path?key=s3cret-key s3cret-token";
    let deliver = office.run(&["alert", "deliver"]);
    assert!(deliver.stderr.contains("404 … Cannot POST /hook/…?key=…"), "{}", deliver.stderr);
    let list = office.run(&["alert", "list"]);
    for run in [&deliver, &list] {
        assert!(!run.stderr.contains("cret-") && !run.stdout.contains("cret-"), "{run:?}");
    }
}

impl Office {
    fn json_of_failure(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[arguments, &["--format", "json"]].concat());
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        serde_json::from_str(&run.stdout).unwrap()
    }
}

#[test]
fn a_server_that_is_silent_or_leads_elsewhere_is_not_followed_or_waited_for() {
    let (web, elsewhere) = (Web::start(), Web::start());
    // Connections are taken by the system, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}/", silent.local_addr().unwrap());
    let hook = |name: &str, url: &str, rest: &str| {
        route(name, &format!("type = \"webhook\"\nurl = \"{url}\"\n{rest}"))
    };
    let proxy = Proxy::start();
    let routes = [
        hook("redirected", &web.url, ""),
        hook("silent", &silent_url, ""),
        hook("proxied", &elsewhere.url, &format!("proxy = \"{}\"", proxy.url)),
    ];
    let office = Office::new(&routes.concat());
    let to = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\n\r\n", elsewhere.url);
    *web.answer.lock().unwrap() = to.leak();
    let run = office.run(&["alert", "test", "redirected"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("302 Found  (no redirection is followed)"), "{}", run.stderr);
    assert_eq!(elsewhere.asked.lock().unwrap().len(), 0);

    let began = Instant::now();
    let run = office.run(&["alert", "test", "silent"]);
    assert!(run.stderr.contains("it took longer than 1s"), "{}", run.stderr);
    assert!(began.elapsed() < Duration::from_secs(10));

    let run = office.run(&["alert", "test", "proxied"]);
    assert_eq!(run.stdout, "sent: 200 OK ok\n", "{}", run.stderr);
    let target = elsewhere.url.trim_start_matches("http://").trim_end_matches("/hook");
    assert_eq!(*proxy.asked.lock().unwrap(), [format!("CONNECT {target} HTTP/1.1")]);
    assert_eq!(elsewhere.asked.lock().unwrap().len(), 1);
}

/// A proxy that makes tunnels and notes where to.
struct Proxy {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = Arc::clone(&asked);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(mut inner) = connection else { return };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    inner.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                let first = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
                let mut outer = TcpStream::connect(first.split(' ').nth(1).unwrap()).unwrap();
                notes.lock().unwrap().push(first);
                inner.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
                let (mut from, mut to) = (inner.try_clone().unwrap(), outer.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut from, &mut to));
                let _ = std::io::copy(&mut outer, &mut inner);
            }
        });
        Self { url, asked }
    }
}

#[test]
fn forty_problems_are_one_message_and_the_first_day_is_none() {
    let file = Home::new();
    let path = file.path("alerts.jsonl");
    let rest = format!("type = \"file\"\npath = \"{}\"", path.display());
    let told = route("all", &rest);
    let silent = route("later", &rest).replace("baseline = \"told\"\n", "");
    let mut office = Office::new(&format!("{told}{silent}"));
    for number in 0..40 {
        office.home.write(&format!("web/more{number}.pem"), expired(&format!("m{number}.example")));
    }
    office.something_expires();
    office.run(&["alert", "deliver"]);
    let text = fs::read_to_string(&path).unwrap();
    let [line] = text.lines().collect::<Vec<_>>().try_into().unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["route"], &line["total"]), (&"all".into(), &41.into()));
    assert!(line["text"].as_str().unwrap().contains("And 16 more"), "{}", line["text"]);

    // From then on the other is told as well, of what is new.
    office.something_expires();
    office.run(&["alert", "deliver"]);
    let text = fs::read_to_string(&path).unwrap();
    let mut totals: Vec<(String, Value)> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["route"].as_str().unwrap().to_owned(), line["total"].clone()))
        .collect();
    let mut totals = totals.split_off(1);
    totals.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(totals, [("all".to_owned(), 1.into()), ("later".to_owned(), 1.into())]);
}

pub(crate) fn expired(name: &str) -> String {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}

#[expect(clippy::print_stderr, reason = "how often what is allowed to happen did happen")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// How often the program is killed. The environment may ask for more.
pub(crate) fn kills() -> u64 {
    let asked = std::env::var("DAICHO_KILLS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(40)
}

/// Starts deliverers and kills each at another moment, with news in between; then lets one end.
/// Each message must have been sent in the end.
fn kill_deliverers(office: &mut Office, start: impl Fn(&Office) -> Command) {
    let kills = kills();
    // How long a whole pass takes here, so that the kills fall into all of it.
    office.something_expires();
    let began = Instant::now();
    let whole = Run::of(start(office).output().unwrap());
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let span = u64::try_from(began.elapsed().as_micros()).unwrap() * 11 / 10;
    // A moment for each, in an order that looks like none, and all of them within the span.
    let moments = (0..kills).map(|number| (number * 7_919 + 13) % kills * span / kills);
    for (number, moment) in moments.enumerate() {
        if number % 3 == 0 {
            office.something_expires();
        }
        let mut child = start(office).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros(moment));
        let _ = child.kill();
        let _ = child.wait();
    }
    // Claims of the killed end with their leases, seven seconds after they were made.
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let run = Run::of(start(office).output().unwrap());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        if office.messages("pending").is_empty() && office.messages("sending").is_empty() {
            break;
        }
        assert!(Instant::now() < until, "messages are left");
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(office.messages("failed"), Vec::<Value>::new());
}

#[test]
fn nothing_is_lost_when_deliverers_are_killed_and_doubles_can_be_told() {
    let web = Web::start();
    let files = Home::new();
    let path = files.path("alerts.jsonl");
    let mut routes = String::new();
    for number in 0..6 {
        routes +=
            &route(&format!("hook{number}"), &format!("type = \"webhook\"\nurl = \"{}\"", web.url));
        routes += &route(
            &format!("file{number}"),
            &format!("type = \"file\"\npath = \"{}\"", path.display()),
        );
    }
    let mut office = Office::new(&routes);
    kill_deliverers(&mut office, |office| office.command(&["alert", "deliver"]));

    let sent = office.messages("sent");
    let of = |way: &str| -> BTreeSet<String> {
        let is = |message: &&Value| message["route"].as_str().unwrap().starts_with(way);
        sent.iter().filter(is).map(|m| m["key"].as_str().unwrap().to_owned()).collect()
    };
    let came = web.keys();
    assert_eq!(came.keys().cloned().collect::<BTreeSet<_>>(), of("hook"));
    let doubled = came.values().filter(|times| **times > 1).count();
    let attempts: u64 = sent.iter().map(|message| message["attempts"].as_u64().unwrap()).sum();
    say(&format!(
        "{} kills: {} messages, {attempts} attempts, {doubled} of {} webhooks came twice",
        kills(),
        sent.len(),
        came.len()
    ));
    // In a file each is once, because it is looked for.
    let mut lines = BTreeMap::new();
    for line in fs::read_to_string(&path).unwrap().lines() {
        // Half a line is what a kill may leave.
        if let Ok(line) = serde_json::from_str::<Value>(line) {
            *lines.entry(line["id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    assert_eq!(lines.keys().cloned().collect::<BTreeSet<_>>(), of("file"));
    assert!(lines.values().all(|times| *times == 1), "{lines:?}");
}

#[test]
fn a_problem_is_told_once_wherever_the_review_that_finds_it_is_killed() {
    let files = Home::new();
    let path = files.path("alerts.jsonl");
    let rest = format!("type = \"file\"\npath = \"{}\"", path.display());
    let mut office = Office::new(&route("file", &rest));
    // How long a review takes here, so that the kills fall into all of it.
    let began = Instant::now();
    office.something_expires();
    let span = u64::try_from(began.elapsed().as_micros()).unwrap() * 5 / 4;
    let kills = kills();
    let mut problems = 1;
    for number in 0..kills {
        problems += 1;
        let name = format!("web/k{number}.pem");
        office.home.write(&name, expired(&format!("k{number}.example")));
        let mut command = office.command(&["certs", "collect", "--file", "web"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros((number * 7_919 + 13) % kills * span / kills));
        let _ = child.kill();
        let _ = child.wait();
        if number % 10 == 9 {
            office.json(&["alert", "deliver"]);
        }
    }
    office.json(&["certs", "collect", "--file", "web"]);
    office.json(&["alert", "deliver"]);
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for line in fs::read_to_string(&path).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for item in line["items"].as_array().unwrap() {
            assert_eq!(item["kind"], "new");
            *told.entry(item["subject"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    assert_eq!(told.len(), problems);
    assert!(told.values().all(|times| *times == 1), "{told:?}");
    say(&format!("{kills} kills: {problems} problems, each told once"));
}

#[test]
fn two_deliverers_at_once_send_nothing_twice() {
    let web = Web::start();
    let hooks: String = (0..12)
        .map(|number| {
            let hook = format!("type = \"webhook\"\nurl = \"{}\"", web.url);
            route(&format!("hook{number}"), &hook)
        })
        .collect();
    let mut office = Office::new(&hooks);
    office.something_expires();
    let start = || {
        let mut command = office.command(&["alert", "deliver", "--format", "json"]);
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let sent: i64 = [start(), start(), start()]
        .into_iter()
        .map(|child| Run::of(child.wait_with_output().unwrap()).json()["sent"].as_i64().unwrap())
        .sum();
    assert_eq!(sent, 12);
    assert_eq!(web.keys().values().collect::<Vec<_>>(), vec![&1; 12]);
}

/// An authority's certificate, and one for the loopback address with its key.
pub(crate) fn identity(home: &Home) -> std::path::PathBuf {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Office Root");
    let key = rcgen::KeyPair::generate().unwrap();
    let root = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &root).unwrap();
    home.write("cert.pem", leaf.pem());
    home.write("key.pem", key.serialize_pem());
    home.write("root.pem", root.pem())
}

/// Postfix in a network of its own, which keeps what it is sent for office.example.
pub(crate) struct Postfix {
    process: Server,
    pub(crate) home: Home,
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // Postfix changes its user, at which the kernel forgets that it should die with its parent:
        // the first process of its namespace takes all others along.
        let id = self.process.0.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        for child in children.unwrap_or_default().split_whitespace() {
            let _ = Command::new("kill").args(["-9", child]).status();
        }
    }
}

impl Postfix {
    const SCRIPT: &str = "ip link set lo up\n\
        mount -t tmpfs -o mode=755 tmpfs /var/spool/postfix\n\
        mount -t tmpfs -o mode=755 tmpfs /var/lib/postfix\n\
        chown postfix: /var/lib/postfix\n\
        mkdir etc mail; chown nobody mail\n\
        cp /usr/share/postfix/master.cf.dist etc/master.cf\n\
        sed -i 's/^\\([a-z]\\S*\\s\\+\\S\\+\\s\\+\\S\\+\\s\\+\\S\\+\\s\\+\\)[y-]\\(\\s\\)/\\1n\\2/' etc/master.cf\n\
        echo 'postlog unix-dgram n - n - 1 postlogd' >> etc/master.cf\n\
        cat > etc/main.cf <<END\n\
        compatibility_level = 3.6\n\
        myhostname = mail.office.example\n\
        inet_interfaces = 127.0.0.1\n\
        inet_protocols = ipv4\n\
        maillog_file = /dev/stdout\n\
        alias_maps =\n\
        mydestination =\n\
        mynetworks = 192.0.2.1/32\n\
        virtual_mailbox_domains = office.example\n\
        virtual_mailbox_base = $PWD\n\
        virtual_mailbox_maps = static:mail/\n\
        virtual_uid_maps = static:65534\n\
        virtual_gid_maps = static:65534\n\
        smtpd_tls_security_level = encrypt\n\
        smtpd_tls_cert_file = $PWD/cert.pem\n\
        smtpd_tls_key_file = $PWD/key.pem\n\
        END\n\
        postfix -c \"$PWD/etc\" post-install create-missing || true\n\
        exec postfix -c \"$PWD/etc\" start-fg\n";

    pub(crate) fn start() -> Self {
        let home = Home::new();
        identity(&home);
        fs::set_permissions(home.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        let log = fs::File::create(home.path("log")).unwrap();
        let process = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-euc", Self::SCRIPT])
            .current_dir(home.path(""))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let postfix = Self { process: Server(process), home };
        let listens = || {
            let ss = postfix.enter(Command::new("ss")).args(["-Hltn"]).output().unwrap();
            String::from_utf8_lossy(&ss.stdout).contains("127.0.0.1:25")
        };
        wait_until("Postfix does not listen", listens);
        postfix
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// The command where the server is.
    pub(crate) fn enter(&self, command: Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net=/proc/{}/ns/net", self.process.0.id()));
        inside.arg("--").arg(command.get_program()).args(command.get_args());
        let environment = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        inside.env_clear().envs(environment);
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        inside.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        inside.stdin(Stdio::null());
        inside
    }

    pub(crate) fn letters(&self) -> Vec<String> {
        let Ok(folder) = fs::read_dir(self.home.path("mail/new")) else { return Vec::new() };
        let read = |entry: std::io::Result<fs::DirEntry>| fs::read_to_string(entry.unwrap().path());
        // One may be on its way to its name.
        folder.filter_map(|entry| read(entry).ok()).collect()
    }

    /// How often each message lies there.
    pub(crate) fn keys(&self) -> BTreeMap<String, usize> {
        let mut keys = BTreeMap::new();
        for letter in self.letters() {
            *keys.entry(letter_key(&letter)).or_default() += 1;
        }
        keys
    }
}

/// The key of the message that a letter is.
pub(crate) fn letter_key(letter: &str) -> String {
    let ids = letter.lines().filter_map(|line| line.strip_prefix("Message-ID: <"));
    let [id] = ids.collect::<Vec<_>>().try_into().unwrap();
    id.strip_suffix("@office.example>").unwrap().to_owned()
}

#[test]
fn a_mail_server_gets_each_message_also_when_deliverers_are_killed() {
    let postfix = Postfix::start();
    let rest = format!(
        "type = \"email\"\nserver = \"127.0.0.1\"\nport = 25\nroots = \"{}\"\n\
         from = \"台帳 <daicho@office.example>\"\nto = [\"admins@office.example\"]\nlanguage = \"ja\"",
        postfix.home.path("root.pem").display()
    );
    // A second, because Postfix takes its time to greet where it is new to a process.
    let mails: String = (0..3)
        .map(|number| route(&format!("mail{number}"), &rest).replace("\"1s\"", "\"3s\""))
        .collect();
    let wrong = route("wrong", &rest.replace("roots =", "# roots ="));
    let stranger = route("stranger", &rest.replace("admins@office", "admins@elsewhere"));
    let mut office = Office::new(&format!("{mails}{wrong}{stranger}"));
    let test =
        |route| Run::of(postfix.enter(office.command(&["alert", "test", route])).output().unwrap());
    let good = test("mail0");
    assert!(good.stdout.starts_with("sent: 250 2.0.0 Ok: queued as"), "{good:?}");
    let bad = test("wrong");
    assert_eq!(bad.code, Some(2));
    assert!(bad.stderr.contains("UnknownIssuer"), "{}", bad.stderr);
    let bad = test("stranger");
    assert!(bad.stderr.contains("Relay access denied"), "{}", bad.stderr);
    wait_until("the test is not there", || postfix.letters().len() == 1);
    let letter = postfix.letters().remove(0);
    assert!(letter.contains("Auto-Submitted: auto-generated\n"), "{letter}");
    assert!(letter.contains("Subject: [daicho] =?utf-8?b?"), "{letter}");

    office.home.write("daicho.toml", mails);
    let deliver = |office: &Office| postfix.enter(office.command(&["alert", "deliver"]));
    kill_deliverers(&mut office, deliver);
    let sent = office.keys("sent");
    wait_until("letters are missing", || sent.iter().all(|key| postfix.keys().contains_key(key)));
    let there = postfix.keys();
    assert_eq!(there.len(), sent.len() + 1, "all that lies there was sent, and the test");
    let doubled = there.values().filter(|times| **times > 1).count();
    say(&format!("{} kills: {} letters, {doubled} came twice", kills(), sent.len()));
}

#[test]
fn a_log_server_gets_each_record_inside_tls() {
    let home = Home::new();
    let root = identity(&home);
    let port = free_port();
    let config = format!(
        "global(workDirectory=\"{0}\" defaultNetstreamDriver=\"gtls\"\n\
         defaultNetstreamDriverCAFile=\"{0}/root.pem\" defaultNetstreamDriverCertFile=\"{0}/cert.pem\"\n\
         defaultNetstreamDriverKeyFile=\"{0}/key.pem\")\n\
         module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\n\
         template(name=\"all\" type=\"string\" string=\"%structured-data%|%app-name%|%msgid%|%pri%|%msg%\\n\")\n\
         input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
         *.* action(type=\"omfile\" file=\"{0}/got\" template=\"all\")\n",
        home.path("").display().to_string().trim_end_matches('/')
    );
    let config = home.write("rsyslog.conf", config);
    let log = fs::File::create(home.path("log")).unwrap();
    let server = Command::new("rsyslogd")
        .arg("-n")
        .arg("-f")
        .arg(config)
        .arg("-i")
        .arg(home.path("pid"))
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("rsyslogd (tests/setup.sh installs it)");
    let _server = Server(server);
    wait_until("rsyslog does not listen", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let rest = format!(
        "type = \"syslog\"\nserver = \"127.0.0.1\"\nport = {port}\nroots = \"{}\"",
        root.display()
    );
    let cef = format!("{rest}\nform = \"cef\"");
    let routes = [route("log", &rest), route("siem", &cef)].concat().replace("\"1s\"", "\"10s\"");
    let mut office = Office::new(&routes);
    let trusting = rest.replace("roots =", "# roots =");
    office.home.write("daicho.toml", route("log", &trusting));
    let run = office.run(&["alert", "test", "log"]);
    assert!(run.stderr.contains("UnknownIssuer"), "{}", run.stderr);
    office.home.write("daicho.toml", &routes);
    for _ in 0..3 {
        office.something_expires();
        assert_eq!(office.json(&["alert", "deliver"])["sent"], 2);
    }
    let got = || fs::read_to_string(home.path("got")).unwrap_or_default();
    let ours = || {
        let got = got();
        got.lines().filter(|line| line.contains("|daicho|")).map(str::to_owned).collect::<Vec<_>>()
    };
    wait_until("records are missing", || ours().len() >= 6);
    let lines = ours();
    assert_eq!(lines.len(), 6, "{lines:?}");
    for key in office.keys("sent") {
        let with = lines.iter().filter(|line| line.contains(&format!("{key}/1"))).count();
        assert_eq!(with, 1, "{key} in {lines:?}");
    }
    let structured = lines.iter().filter(|line| line.starts_with("[daicho@32473 message="));
    assert_eq!(structured.count(), 3, "{lines:?}");
    let cef = lines.iter().filter(|line| line.contains("CEF:0|Daicho|Daicho|"));
    assert_eq!(cef.count(), 3, "{lines:?}");
}

#[test]
fn what_is_wrong_with_a_route_is_named_before_anything_is_sent() {
    let office = Office::new("[[routes]]\nname = \"m\"\ntype = \"email\"\nserver = \"s\"\n");
    let run = office.run(&["alert", "deliver"]);
    assert_eq!(run.code, Some(2));
    assert_eq!(run.stderr, "daicho: daicho.toml: routes: m: from is missing\n");
    office.home.write("t.txt", "{{ titel }}");
    let path = office.home.path("t.txt");
    let own = format!("type = \"file\"\npath = \"/nowhere\"\ntemplate = \"{}\"", path.display());
    office.home.write("daicho.toml", route("m", &own));
    let run = office.run(&["alert", "test", "m"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("daicho: the route \"m\": its template: "), "{}", run.stderr);
}
