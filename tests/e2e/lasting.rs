//! The service over time: jobs behind its fences, wishes that wait for their turn, and what people
//! are told where any of its processes is killed at any moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::{
        fd::AsFd as _,
        unix::fs::{MetadataExt as _, chown, symlink},
    },
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use inventory::store::{OpenMode, Store};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::{
    alert::{Postfix, Server, Web, expired, identity, kills, letter_key, route, say, wait_until},
    home::{Home, Run},
};

const SECOND: Duration = Duration::from_secs(1);

/// A service with a page, which looks for wishes therefore, and what it says.
struct Served {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

/// What a service needs to have a page, on a port of its own.
fn page() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("[web]\nlisten = \"127.0.0.1:{port}\"\n")
}

impl Served {
    fn start(mut command: Command) -> Self {
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
        Self { child, lines, said: Vec::new() }
    }

    #[track_caller]
    fn hears(&mut self, words: &str) -> String {
        let until = Instant::now() + 60 * SECOND;
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

    /// The processes that it began, each with its command line.
    fn children(&self) -> Vec<(u32, String)> {
        let of = |entry: fs::DirEntry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()?;
            let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
            (parent == self.child.id()).then(|| (pid, words.replace('\0', " ")))
        };
        fs::read_dir("/proc").unwrap().filter_map(|entry| of(entry.unwrap())).collect()
    }

    fn end(mut self) {
        kill("-TERM", self.child.id());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whoever it is may have ended in this moment.
fn kill(name: &str, pid: u32) {
    let mut command = Command::new("kill");
    let _ = command.args([name, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Has these jobs run now, as the page does.
fn wish(home: &Home, jobs: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(home.path("daicho.db"), OpenMode::ReadWrite).await.unwrap();
        for job in jobs {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let now = model::Timestamp(i64::try_from(now.unwrap().as_micros()).unwrap());
            store.wish_for_job(job, now).await.unwrap();
        }
        store.close().await;
    });
}

/// The last run of each job, once all of them have ended.
#[track_caller]
fn last_runs(home: &Home, jobs: usize) -> BTreeMap<String, Value> {
    let until = Instant::now() + 90 * SECOND;
    loop {
        let all = home.run(&["--config", "daicho.toml", "--format", "json", "jobs"]).json();
        let last = |job: &Value| (job["name"].as_str().unwrap().to_owned(), job["last"].clone());
        let runs: BTreeMap<String, Value> = all.as_array().unwrap().iter().map(last).collect();
        let over = runs.values().filter(|run| run["ended_at"].is_string()).count();
        if over == jobs {
            return runs;
        }
        assert!(Instant::now() < until, "{runs:?}");
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn jobs_of_a_fenced_service_reach_what_they_need_also_behind_links() {
    let home = Home::new();
    let (vault, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = identity(&home);
    let hidden = vault.path().join("root.pem");
    fs::rename(&root, &hidden).unwrap();
    symlink(&hidden, &root).unwrap();
    // A folder of lists whose one file is a link to elsewhere, and a file that nothing names.
    fs::create_dir(home.path("lists")).unwrap();
    fs::write(outside.path().join("notes"), "no list").unwrap();
    symlink(outside.path().join("notes"), home.path("lists/notes")).unwrap();
    fs::create_dir(home.path("web")).unwrap();
    home.write("web/shop.pem", expired("shop.example"));
    home.write("devices.csv", "reference,MAC address,owner\nA-1,00:00:5e:00:53:01,Sato\n");
    let job = |name: &str, rest: &str| {
        let line = "schedule = \"0 5 29 2 *\"";
        format!("[[jobs]]\nname = \"{name}\"\nkind = \"{name}\"\n{line}\n{rest}\n")
    };
    let config = [
        page(),
        "[sweep]\nio = \"connect\"\n[certificates]\nroots = [\"root.pem\"]\n\
         crls = [\"lists\"]\n"
            .to_owned(),
        job("sweep", "targets = [\"127.0.0.1\"]\nports = \"4\""),
        job("certificates", "paths = [\"web\"]"),
        job("import", "paths = [\"devices.csv\"]\nread_as = \"device-register\""),
        job("review", ""),
        job("backup", "folder = \"copies\""),
        job("prune", ""),
    ];
    home.write("daicho.toml", config.concat());
    let mut served = Served::start(home.command(&["--config", "daicho.toml", "serve"]));
    served.hears("serving 6 jobs");
    let all = ["sweep", "certificates", "import", "review", "backup", "prune"];
    wish(&home, &all);
    served.hears("because daicho wants it");
    // It is confined itself, and so is whatever it begins.
    let status = fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    let runs = last_runs(&home, all.len());
    for (name, run) in &runs {
        assert_eq!(run["result"], "done", "{name}: {run}\n{}", served.said.join("\n"));
    }
    assert_eq!(fs::read_dir(home.path("copies")).unwrap().count(), 1);
    served.end();
}

#[test]
fn sweeps_that_somebody_wants_at_once_come_one_after_the_other_and_after_one_by_hand() {
    let home = Home::new();
    let sweep = |name: &str, address: &str| {
        format!(
            "[[jobs]]\nname = \"{name}\"\nkind = \"sweep\"\nschedule = \"0 5 29 2 *\"\n\
             targets = [\"{address}\"]\nports = \"4\"\n"
        )
    };
    let config = [
        page(),
        "[sweep]\nio = \"connect\"\n".to_owned(),
        sweep("one", "127.0.0.1"),
        sweep("two", "127.0.0.2"),
        // Longer than the service goes without a look.
        sweep("three", "127.0.3.0/28"),
        "rate = \"3pps\"\n".to_owned(),
    ];
    home.write("daicho.toml", config.concat());
    let mut served = Served::start(home.command(&["--config", "daicho.toml", "serve"]));
    served.hears("serving 3 jobs");
    // One by hand, while the service runs already.
    let mut hand = home.command(&["--config", "daicho.toml", "jobs", "run", "three"]);
    let mut hand = hand.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    served.hears("job three: it runs, begun by somebody else");
    wish(&home, &["one", "two"]);
    let mut runs: Vec<(String, String)> = last_runs(&home, 3)
        .into_values()
        .map(|run| {
            assert_eq!(run["result"], "done", "{run}");
            let text = |key: &str| run[key].as_str().unwrap().to_owned();
            (text("started_at"), text("ended_at"))
        })
        .collect();
    runs.sort();
    for pair in runs.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "{runs:?}");
    }
    assert!(hand.wait().unwrap().success());
    served.end();
}

#[test]
fn what_root_makes_beside_a_users_database_is_the_users() {
    let home = Home::new();
    let nobody = 65_534;
    let folder = home.path("var");
    fs::create_dir(&folder).unwrap();
    chown(&folder, Some(nobody), Some(nobody)).unwrap();
    fs::set_permissions(home.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let database = folder.join("daicho.db");
    let database = database.to_str().unwrap();
    let sweep = ["sweep", "127.0.0.1", "--io", "connect", "--ports", "4", "--db", database];
    let first = home.run(&sweep);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    for made in ["daicho.db", "daicho.db-locks", "daicho.db-locks/.open.lock"] {
        assert_eq!(fs::metadata(folder.join(made)).unwrap().uid(), nobody, "{made}");
    }
    // And the service's user goes on with it, with a lock of a job too.
    let config = "[[jobs]]\nname = \"look\"\nkind = \"review\"\nschedule = \"@daily\"\n";
    let config = home.write("daicho.toml", config);
    let config = config.to_str().unwrap();
    let plain = home.command(&["--config", config, "--db", database, "jobs", "run", "look"]);
    let mut theirs = Command::new("setpriv");
    theirs.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]);
    theirs.arg(plain.get_program()).args(plain.get_args()).env_clear();
    theirs.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = Run::of(theirs.current_dir(&folder).env("HOME", &folder).output().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

/// A log server behind TLS, where the mail server is.
fn log_server(postfix: &Postfix, home: &Home) -> Server {
    let config = format!(
        "global(workDirectory=\"{0}\" defaultNetstreamDriver=\"gtls\"\n\
         defaultNetstreamDriverCAFile=\"{0}/root.pem\" \
         defaultNetstreamDriverCertFile=\"{0}/cert.pem\"\n\
         defaultNetstreamDriverKeyFile=\"{0}/key.pem\")\n\
         module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" \
         streamDriver.authMode=\"anon\")\n\
         template(name=\"all\" type=\"string\" string=\"%structured-data%|%app-name%|%msg%\\n\")\n\
         input(type=\"imtcp\" port=\"6514\" address=\"127.0.0.1\")\n\
         *.* action(type=\"omfile\" file=\"{0}/got\" template=\"all\")\n",
        home.path("").display().to_string().trim_end_matches('/')
    );
    let config = home.write("rsyslog.conf", config);
    let log = File::create(home.path("log")).unwrap();
    let mut command = Command::new("rsyslogd");
    command.arg("-n").arg("-f").arg(config).arg("-i").arg(home.path("pid"));
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let mut command = postfix.enter(command);
    Server(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
}

/// A socket of the mail server's network.
fn listen_at(postfix: &Postfix) -> TcpListener {
    let place = format!("/proc/{}/ns/net", postfix.pid());
    let thread = thread::spawn(move || {
        let network = File::open(place).unwrap();
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        TcpListener::bind("127.0.0.1:8089").unwrap()
    });
    thread.join().unwrap()
}

/// How often each message is in a text that holds `before` and its key.
fn counted<'a>(keys: &'a BTreeSet<String>, text: &str, after: &str) -> BTreeMap<&'a str, usize> {
    keys.iter().map(|key| (key.as_str(), text.matches(&format!("{key}{after}")).count())).collect()
}

#[test]
fn everybody_is_told_of_everything_whichever_process_of_the_service_is_killed() {
    let postfix = Postfix::start();
    let office = Home::new();
    let logs = Home::new();
    let root = identity(&logs);
    let _log = log_server(&postfix, &logs);
    let web = Web::on(listen_at(&postfix));
    let file = office.path("alerts.jsonl");
    let limited = |name: &str, rest: &str| route(name, rest).replace("\"1s\"", "\"3s\"");
    let config = [
        "[web]\nlisten = \"127.0.0.1:8443\"\n".to_owned(),
        "[[jobs]]\nname = \"look\"\nkind = \"certificates\"\nschedule = \"0 5 29 2 *\"\n\
         paths = [\"web\"]\n"
            .to_owned(),
        limited(
            "mail",
            &format!(
                "type = \"email\"\nserver = \"127.0.0.1\"\nport = 25\nroots = \"{}\"\n\
                 from = \"daicho@office.example\"\nto = [\"admins@office.example\"]",
                postfix.home.path("root.pem").display()
            ),
        ),
        limited("hook", &format!("type = \"webhook\"\nurl = \"{}\"", web.url)),
        limited(
            "log",
            &format!(
                "type = \"syslog\"\nserver = \"127.0.0.1\"\nport = 6514\nroots = \"{}\"",
                root.display()
            ),
        ),
        limited("file", &format!("type = \"file\"\npath = \"{}\"", file.display())),
    ];
    office.write("daicho.toml", config.concat());
    fs::create_dir(office.path("web")).unwrap();
    let serve = || {
        let mut served =
            Served::start(postfix.enter(office.command(&["--config", "daicho.toml", "serve"])));
        served.hears("serving 1 jobs");
        served
    };
    let mut served = serve();
    let kills = kills() / 2;
    let (mut dice, mut problems) = (7_u64, 0);
    let mut killed: BTreeMap<&str, usize> = BTreeMap::new();
    for number in 0..kills {
        if number % 2 == 0 {
            problems += 1;
            office.write(&format!("web/{problems}.pem"), expired(&format!("k{problems}.example")));
            wish(&office, &["look"]);
        }
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // A job is waited for: it is looked for wishes every two seconds.
        let until = Instant::now() + if number % 2 == 0 { 5 * SECOND } else { Duration::ZERO };
        while Instant::now() < until
            && !served.children().iter().any(|one| one.1.contains(" jobs "))
        {
            thread::sleep(Duration::from_millis(10));
        }
        if number % 4 == 2 {
            // What it found is to be sent: a service that begins does so at once.
            wait_until("the job does not end", || {
                !served.children().iter().any(|one| one.1.contains(" jobs "))
            });
            kill("-KILL", served.child.id());
            served.child.wait().unwrap();
            served = serve();
        }
        let most = if number % 2 == 0 { 400 } else { 2_500 };
        thread::sleep(Duration::from_millis((dice >> 33) % most));
        let children = served.children();
        let find = |word: &str| children.iter().find(|child| child.1.contains(word));
        let (what, victims): (&str, Vec<u32>) = match (number % 4, find(" jobs "), find(" web ")) {
            (0, Some(job), _) => ("a job", vec![job.0]),
            (1, _, Some(page)) => ("the page", vec![page.0]),
            (3, ..) => ("all", children.iter().map(|child| child.0).collect()),
            _ => ("the service", Vec::new()),
        };
        *killed.entry(what).or_default() += 1;
        if matches!(what, "all" | "the service") {
            kill("-KILL", served.child.id());
        }
        victims.iter().for_each(|pid| kill("-KILL", *pid));
        if served.child.try_wait().unwrap().is_some() || matches!(what, "all" | "the service") {
            served.child.wait().unwrap();
            served = serve();
        }
    }
    // One that nobody kills, and everything that was claimed by somebody who was.
    wish(&office, &["look"]);
    let list = |state: &str| {
        let list = ["--config", "daicho.toml", "alert", "list", "--state", state];
        office.json(&list).as_array().unwrap().clone()
    };
    let until = Instant::now() + 120 * SECOND;
    let told = || {
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for line in fs::read_to_string(&file).unwrap_or_default().lines() {
            // Half a line is what a kill may leave.
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            for item in line["items"].as_array().unwrap() {
                *told.entry(item["subject"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        told
    };
    while told().len() < problems || !list("pending").is_empty() || !list("sending").is_empty() {
        assert!(Instant::now() < until, "{:?} {:?}", told(), list("pending"));
        thread::sleep(Duration::from_millis(500));
    }
    assert!(told().values().all(|times| *times == 1), "{:?}", told());
    assert!(list("failed").is_empty());
    let sent = list("sent");
    let keys = |route: &str| -> BTreeSet<String> {
        let of = sent.iter().filter(|message| message["route"] == route);
        of.map(|message| message["key"].as_str().unwrap().to_owned()).collect()
    };
    let hooks = web.keys();
    assert_eq!(hooks.keys().cloned().collect::<BTreeSet<_>>(), keys("hook"));
    // Each problem is in one message, and in that alone.
    let mut subjects: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, body) in web.asked.lock().unwrap().iter() {
        let body: Value = serde_json::from_str(body).unwrap();
        for item in body["items"].as_array().unwrap() {
            let subject = item["subject"].as_str().unwrap().to_owned();
            subjects.entry(subject).or_default().insert(body["id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(subjects.len(), problems);
    assert!(subjects.values().all(|keys| keys.len() == 1), "{subjects:?}");
    let (mails, records) = (keys("mail"), keys("log"));
    wait_until("letters are missing", || mails.iter().all(|key| postfix.keys().contains_key(key)));
    assert_eq!(postfix.keys().into_keys().collect::<BTreeSet<_>>(), mails);
    let got = || fs::read_to_string(logs.path("got")).unwrap_or_default();
    wait_until("records are missing", || counted(&records, &got(), "/1").values().all(|n| *n > 0));
    // What people read, and not what the service says of it: each problem, under one key.
    let letters: Vec<(String, String)> = postfix
        .letters()
        .iter()
        .map(|letter| (letter_key(letter), letter.replace("=\r\n", "").replace("=\n", "")))
        .collect();
    let record = |line: &str| {
        let key = records.iter().find(|key| line.contains(&format!("{key}/")))?;
        Some((key.clone(), line.to_owned()))
    };
    let lines: Vec<(String, String)> = got().lines().filter_map(record).collect();
    for told in [&letters, &lines] {
        for number in 1..=problems {
            let name = format!("k{number}.example");
            let of = told.iter().filter(|(_, text)| text.contains(&name));
            let under: BTreeSet<&String> = of.map(|(key, _)| key).collect();
            assert_eq!(under.len(), 1, "{name} under {under:?}");
        }
    }
    for kind in ["a job", "the page", "the service", "all"] {
        assert!(killed.contains_key(kind), "nobody killed {kind}: {killed:?}");
    }
    // Nobody is told twice but where somebody was killed who was just telling it.
    let again = |counts: &mut dyn Iterator<Item = usize>| counts.map(|n| n - 1).sum::<usize>();
    for more in [
        again(&mut postfix.keys().into_values()),
        again(&mut hooks.values().copied()),
        again(&mut counted(&records, &got(), "/1").into_values()),
    ] {
        assert!(more as u64 <= kills, "{more} more than once with {kills} kills");
    }
    let lines = fs::read_to_string(&file).unwrap();
    assert!(counted(&keys("file"), &lines, "\"").values().all(|times| *times >= 1));
    let doubled = |counts: Vec<usize>| counts.into_iter().filter(|times| *times > 1).count();
    say(&format!(
        "{kills} kills ({killed:?}): {problems} problems, each told once in every way; twice under \
         its key: {} of {} letters, {} of {} webhooks, {} of {} records",
        doubled(postfix.keys().into_values().collect()),
        mails.len(),
        doubled(hooks.into_values().collect()),
        keys("hook").len(),
        doubled(counted(&records, &got(), "/1").into_values().collect()),
        records.len()
    ));
    served.end();
    let verified = office.json(&["audit", "verify"]);
    assert_eq!(verified["broken"], Value::Null, "{verified}");
}
