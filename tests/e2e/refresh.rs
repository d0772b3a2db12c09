//! What certificates name is fetched where the configuration allows it, and nowhere else: with
//! servers on loopback that note every request, and openssl as the responder.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    home::{Home, Run},
    trust::Authority,
};

/// An answer to the head and the body of a request.
type Answer = dyn Fn(&str, &[u8]) -> Vec<u8> + Send + Sync;

/// A web server that notes what it is asked.
struct Web {
    at: String,
    requests: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Box<Answer>>>,
}

impl Web {
    fn on(address: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let nothing: Box<Answer> = Box::new(|_, _| status("404 Not Found"));
        let answer = Arc::new(Mutex::new(nothing));
        let (noted, answers) = (Arc::clone(&requests), Arc::clone(&answer));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(connection) = connection else { return };
                let (noted, answers) = (Arc::clone(&noted), Arc::clone(&answers));
                thread::spawn(move || serve(&connection, &noted, &answers));
            }
        });
        Self { at, requests, answer }
    }

    fn answer(&self, answer: impl Fn(&str, &[u8]) -> Vec<u8> + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.at)
    }

    /// The lines of the requests since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

fn serve(mut connection: &TcpStream, noted: &Mutex<Vec<String>>, answers: &Mutex<Box<Answer>>) {
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
    reader.read_exact(&mut body).unwrap();
    noted.lock().unwrap().push(head.lines().next().unwrap_or_default().to_owned());
    let answer = answers.lock().unwrap()(&head, &body);
    let _ = connection.write_all(&answer);
}

fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

fn body(bytes: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
    [head.as_bytes(), bytes].concat()
}

/// openssl's server, with that certificate.
struct Server {
    process: Child,
    port: String,
}

impl Server {
    fn start(home: &Home, (certificate, key): &(String, String)) -> Self {
        let (certificate, key) =
            (home.write("server.pem", certificate), home.write("server.key", key));
        let mut process = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert"])
            .arg(certificate)
            .arg("-key")
            .arg(key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let accept = lines.map_while(Result::ok).find(|line| line.starts_with("ACCEPT"));
        let accept = accept.expect("openssl does not listen");
        let port = accept.rsplit(':').next().unwrap().trim().to_owned();
        Self { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A home with an authority of its own, whose configuration says this of downloads.
struct Office {
    home: Home,
    authority: Authority,
}

impl Office {
    fn new() -> Self {
        let (home, authority) = (Home::new(), Authority::new("Office Root", None));
        home.write("root.pem", authority.certificate_pem());
        home.write("root.key", authority.key_pem());
        Self { home, authority }
    }

    fn configure(&self, download: &str, more: &str) {
        let certificates =
            "[certificates]\nsystem_roots = false\nroots = [\"root.pem\"]\ndownload = ";
        let services = "[services]\ntime_limit = \"1s\"";
        self.home
            .write("daicho.toml", format!("{certificates}\"{download}\"\n{services}\n{more}\n"));
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let config = ["--config", "daicho.toml", "--format", "json"];
        Run::of(self.home.command(&[arguments, &config].concat()).output().unwrap())
    }

    fn sweep(&self, server: &Server) -> Value {
        let ports = ["--ports", &server.port, "--io", "connect", "--profile", "fast"];
        self.run(&[&["sweep", "127.0.0.1"][..], &ports].concat()).json()
    }

    /// Takes these certificates into the inventory, by files.
    fn collect(&self, certificates: &[String]) {
        for (number, text) in certificates.iter().enumerate() {
            fs::create_dir_all(self.home.path("web")).unwrap();
            self.home.write(&format!("web/{number}.pem"), text);
        }
        let run = self.run(&["certs", "collect", "--file", "web"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }

    /// openssl's word on a request, as a responder whose index is this.
    fn responder(&self, index: &str) -> impl Fn(&str, &[u8]) -> Vec<u8> + Send + Sync + 'static {
        self.home.write("index", index);
        let folder: PathBuf = self.home.path("");
        move |_: &str, request: &[u8]| {
            fs::write(folder.join("request"), request).unwrap();
            let line = "ocsp -reqin request -index index -CA root.pem -rsigner root.pem -rkey \
                        root.key -noverify -ndays 3 -respout response";
            let run = Command::new("openssl")
                .args(line.split_whitespace())
                .current_dir(&folder)
                .output()
                .unwrap();
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
            body(&fs::read(folder.join("response")).unwrap())
        }
    }
}

#[track_caller]
fn rules(value: &Value) -> Vec<&str> {
    let findings = value["findings"].as_array().unwrap_or_else(|| panic!("{value}"));
    let rules = findings.iter().map(|finding| finding["rule"].as_str().unwrap());
    rules.filter(|rule| *rule == "cert.revoked" || rule.starts_with("crl.")).collect()
}

#[track_caller]
fn gaps(value: &Value) -> Vec<String> {
    let gaps = value.as_array().unwrap_or_else(|| panic!("no gaps: {value}"));
    let text = |gap: &Value, name: &str| gap[name].as_str().unwrap().to_owned();
    gaps.iter().map(|gap| format!("{}: {}", text(gap, "target"), text(gap, "reason"))).collect()
}

const REVOKED: &str = "R\t350101000000Z\t260301000000Z,keyCompromise\t11\tunknown\t/CN=a\n";

#[test]
fn a_list_that_a_served_certificate_names_is_fetched_once_and_only_where_that_is_allowed() {
    let (office, web) = (Office::new(), Web::on("127.0.0.1"));
    let list = office.authority.list(2089, &[17]);
    web.answer(move |_, _| body(list.as_bytes()));
    let served = office.authority.issue_naming("a", 17, Some(&web.url("/ca.crl")), None);
    let server = Server::start(&office.home, &served);

    office.configure("no", "");
    let swept = office.sweep(&server);
    assert_eq!((rules(&swept), &swept["downloads"]), (vec![], &Value::Null));
    let refused = office.run(&["certs", "refresh"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("allows no downloads"), "{}", refused.stderr);
    assert_eq!(web.asked(), Vec::<String>::new());

    office.configure("crl", "");
    let swept = office.sweep(&server);
    assert_eq!(rules(&swept), ["cert.revoked"], "{swept}");
    let counts =
        |value: &Value| ["lists", "responses", "fresh"].map(|n| value[n].as_u64().unwrap());
    assert_eq!(counts(&swept["downloads"]), [1, 0, 0]);
    assert_eq!(web.asked(), ["GET /ca.crl HTTP/1.1"]);

    // It holds until its next update, in a sweep and by itself.
    let swept = office.sweep(&server);
    assert_eq!((rules(&swept), counts(&swept["downloads"])), (vec!["cert.revoked"], [0, 0, 1]));
    assert_eq!(counts(&office.run(&["certs", "refresh"]).json()), [0, 0, 1]);
    // What was learned stays known where nothing may be fetched any more.
    office.configure("no", "");
    assert_eq!(rules(&office.sweep(&server)), ["cert.revoked"]);
    assert_eq!(web.asked(), Vec::<String>::new());
}

#[test]
fn a_responder_is_asked_about_a_served_certificate_where_that_is_allowed() {
    let (office, web) = (Office::new(), Web::on("127.0.0.1"));
    web.answer(office.responder(REVOKED));
    let served = office.authority.issue_naming("a", 17, None, Some(&web.url("/ocsp")));
    let server = Server::start(&office.home, &served);
    office.configure("crl", "");
    assert_eq!(rules(&office.sweep(&server)), Vec::<&str>::new());
    assert_eq!(web.asked(), Vec::<String>::new());
    office.configure("crl+ocsp", "");
    let swept = office.sweep(&server);
    assert_eq!(rules(&swept), ["cert.revoked"], "{swept}");
    assert_eq!(web.asked(), ["POST /ocsp HTTP/1.1"]);
    assert_eq!(rules(&office.sweep(&server)), ["cert.revoked"]);
    assert_eq!(web.asked(), Vec::<String>::new());
}

#[test]
fn nobody_is_asked_who_is_excluded_or_whom_a_stranger_names() {
    let (office, web) = (Office::new(), Web::on("127.0.0.2"));
    let list = office.authority.list(2089, &[17]);
    web.answer(move |_, _| body(list.as_bytes()));
    let ours = office.authority.issue_naming("a", 17, Some(&web.url("/ca.crl")), None);
    // Whoever can put up a server must not be able to make us ask another.
    let stranger = Authority::new("Stranger", None);
    let strangers = stranger.issue_naming("b", 18, Some(&web.url("/reboot")), None);
    office.configure("crl+ocsp", "[scope]\nexclude = [\"127.0.0.0/30\"]");
    office.collect(&[ours.0, strangers.0]);
    let refreshed = office.run(&["certs", "refresh"]).json();
    let expected = format!("{}: 127.0.0.2 is excluded", web.url("/ca.crl"));
    assert_eq!(gaps(&refreshed["gaps"]), [expected]);
    assert_eq!(web.asked(), Vec::<String>::new());
    // Nothing was asked, so nothing has to wait.
    office.configure("crl", "");
    assert_eq!(rules(&office.run(&["certs", "refresh"]).json()), ["cert.revoked"]);
    assert_eq!(web.asked(), ["GET /ca.crl HTTP/1.1"]);
}

#[test]
fn what_is_wrong_with_an_answer_is_told_once_and_is_no_finding() {
    let (office, web) = (Office::new(), Web::on("127.0.0.1"));
    let (old, others) = (office.authority.list(2025, &[5]), Authority::new("Office Root", None));
    let forged = others.list(2089, &[2]);
    let home_path = |path: &str| web.url(path);
    let redirect = |to: &str| {
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
    };
    let (round, away) = (redirect("/round"), redirect("http://192.0.2.1/"));
    let moved = redirect("/old");
    web.answer(move |head, _| match head.split(' ').nth(1).unwrap_or_default() {
        "/garbage" => body(b"<html>maintenance</html>"),
        "/forged" => body(forged.as_bytes()),
        "/old" => body(old.as_bytes()),
        "/moved" => moved.clone(),
        "/round" => round.clone(),
        "/away" => away.clone(),
        "/endless" => b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n".to_vec(),
        "/ocsp" => body(b"garbage"),
        _ => status("404 Not Found"),
    });
    let slow = Web::on("127.0.0.1");
    slow.answer(|_, _| {
        thread::sleep(Duration::from_secs(3));
        Vec::new()
    });
    let named = ["/garbage", "/forged", "/old", "/moved", "/round", "/away", "/endless", "/none"];
    let mut urls: Vec<String> = named.iter().map(|path| home_path(path)).collect();
    urls.push(slow.url("/a"));
    urls.push("ldap://directory.example/cn=ca?certificateRevocationList".to_owned());
    let mut certificates: Vec<String> = (1..)
        .zip(&urls)
        .map(|(serial, url)| office.authority.issue_naming("x", serial, Some(url), None).0)
        .collect();
    let ocsp = home_path("/ocsp");
    certificates.push(office.authority.issue_naming("x", 99, None, Some(&ocsp)).0);
    office.configure("crl+ocsp", "");
    office.collect(&certificates);
    let before = Instant::now();
    let refreshed = office.run(&["certs", "refresh"]).json();
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
    let mut expected: Vec<String> = [
        ("/garbage", "it is not a revocation list"),
        ("/forged", "it is not signed by the certificate's issuer"),
        ("/old", "it is out of date: the next one was due at 2025-01-01T00:00:00Z"),
        ("/moved", "it is out of date: the next one was due at 2025-01-01T00:00:00Z"),
        ("/round", "it leads on more than 2 times"),
        ("/away", "it leads on to 192.0.2.1, which nobody named"),
        ("/endless", "it is larger than 65536 KiB"),
        ("/none", "the server answers with status 404"),
        ("/ocsp", "it is not an OCSP response that can be read"),
    ]
    .map(|(path, reason)| format!("{}: {reason}", home_path(path)))
    .to_vec();
    expected.push(format!("{}: it took too long", slow.url("/a")));
    let ldap = "not asked: it is asked by \"ldap\", which is not spoken here; only http is";
    expected.push(format!("{}: {ldap}", urls.last().unwrap()));
    expected.sort();
    let mut told = gaps(&refreshed["gaps"]);
    told.sort();
    assert_eq!(told, expected);
    // An old list still revokes what it names, and nothing else is held against anybody.
    assert_eq!(rules(&refreshed), ["cert.revoked"], "{refreshed}");
    assert_eq!(slow.asked().len(), 1);
    assert_eq!(web.asked().len(), named.len() + 1 + 3);
    // What failed is left alone for an hour, whatever asks, and is no news then.
    let again = office.run(&["certs", "refresh"]).json();
    assert_eq!((&again["fresh"], gaps(&again["gaps"]).len()), (&Value::from(10), 1));
    assert_eq!((slow.asked().len(), web.asked().len()), (0, 0));
}

#[test]
fn an_exclusion_of_the_command_line_holds_for_downloads_too() {
    let (office, web) = (Office::new(), Web::on("127.0.0.2"));
    let list = office.authority.list(2089, &[17]);
    web.answer(move |_, _| body(list.as_bytes()));
    let served = office.authority.issue_naming("a", 17, Some(&web.url("/ca.crl")), None);
    let server = Server::start(&office.home, &served);
    office.configure("crl", "");
    let line =
        "sweep 127.0.0.1 --exclude 127.0.0.2 --io connect --profile fast --shard 1/1 --ports";
    let arguments: Vec<&str> = line.split_whitespace().chain([server.port.as_str()]).collect();
    let swept = office.run(&arguments).json();
    let expected = format!("{}: 127.0.0.2 is excluded", web.url("/ca.crl"));
    assert_eq!(gaps(&swept["downloads"]["gaps"]), [expected]);
    assert_eq!((rules(&swept), web.asked()), (vec![], vec![]));
}

#[test]
fn an_interrupted_download_ends_at_once() {
    let (office, web) = (Office::new(), Web::on("127.0.0.1"));
    // One that never comes, of a server with all the time of the world.
    let (asked, was_asked) = std::sync::mpsc::channel();
    web.answer(move |_, _| {
        let _ = asked.send(());
        thread::sleep(Duration::from_secs(3_600));
        Vec::new()
    });
    let named = office.authority.issue_naming("a", 17, Some(&web.url("/ca.crl")), None);
    office.configure("crl", "");
    office.home.write(
        "slow.toml",
        fs::read_to_string(office.home.path("daicho.toml")).unwrap().replace("\"1s\"", "\"600s\""),
    );
    office.collect(&[named.0]);
    let mut command = office.home.command(&["certs", "refresh", "--config", "slow.toml"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    was_asked.recv_timeout(Duration::from_secs(30)).unwrap();
    let before = Instant::now();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let run = Run::of(child.wait_with_output().unwrap());
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
    assert_eq!(run.code, Some(143), "{}", run.stderr);
    assert!(run.stderr.contains("interrupted (SIGTERM)"), "{}", run.stderr);
}

/// What begins and ends in the lab's namespace: the responder listens on every address.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn openssl_as_a_responder_of_its_own_says_that_a_served_certificate_was_revoked() {
    let lab = lab::Lab::with_only(&[]).unwrap();
    let office = Office::new();
    let home = &office.home;
    home.write("index", REVOKED);
    let url = "http://127.0.0.1:8888/";
    let (certificate, key) = office.authority.issue_naming("a", 17, None, Some(url));
    home.write("server.pem", certificate);
    home.write("server.key", key);
    let start = |line: &str| {
        let mut command = lab.command(Path::new("openssl"));
        command.args(line.split_whitespace()).current_dir(home.path(""));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Started(child.spawn().unwrap())
    };
    let _responder = start(
        "ocsp -index index -port 8888 -rsigner root.pem -rkey root.key -CA root.pem -ndays 3",
    );
    let _server = start("s_server -accept 127.0.0.1:4433 -www -cert server.pem -key server.key");
    let listens = |port: u16| {
        let mut ss = lab.command(Path::new("ss"));
        let listing = ss.args(["-Hltn", &format!("sport = :{port}")]).output().unwrap();
        !listing.stdout.is_empty()
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !(listens(8888) && listens(4433)) {
        assert!(Instant::now() < deadline, "openssl does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    let sweep = || {
        let line = "sweep 127.0.0.1 --ports 4433 --io connect --profile fast --config daicho.toml \
                    --format json";
        let arguments: Vec<&str> = line.split_whitespace().collect();
        Run::of(home.command_in(&lab, &arguments).output().unwrap()).json()
    };
    office.configure("no", "");
    assert_eq!(rules(&sweep()), Vec::<&str>::new());
    office.configure("crl+ocsp", "");
    let swept = sweep();
    assert_eq!(rules(&swept), ["cert.revoked"], "{swept}");
    assert_eq!(gaps(&swept["downloads"]["gaps"]), Vec::<String>::new());
}
