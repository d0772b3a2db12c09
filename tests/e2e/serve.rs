//! The service as a whole: jobs that fire, reloads, kills and the end, against loopback.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::net::UnixDatagram,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::home::Home;

/// `quick` is over in a moment; `slow` asks 254 addresses at one packet a second.
const JOBS: &str = "[sweep]\nio = \"connect\"\n\
    [[jobs]]\nname = \"quick\"\nkind = \"sweep\"\nschedule = \"* * * * *\"\n\
    targets = [\"127.0.0.1\"]\nports = \"4\"\n\
    [[jobs]]\nname = \"slow\"\nkind = \"sweep\"\nschedule = \"* * * * *\"\n\
    targets = [\"127.0.1.0/24\"]\nports = \"4\"\nrate = \"1pps\"\nsite = \"other\"\n\
    exclude = [\"127.0.1.9\"]\n";

/// A service that runs, with what it says.
struct Served {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Served {
    fn start(home: &Home) -> Self {
        let mut child = home
            .command(&["--config", "daicho.toml", "serve"])
            .env("NOTIFY_SOCKET", home.path("notify"))
            .env("WATCHDOG_USEC", "2000000")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
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

    /// Waits until it says a line with this in it.
    #[track_caller]
    fn hears(&mut self, words: &str, within: Duration) {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("it did not say {words:?} but:\n{}", self.said.join("\n"));
            };
            self.said.push(line);
            if self.said.last().unwrap().contains(words) {
                return;
            }
        }
    }

    fn signal(&self, name: &str) {
        kill(name, self.child.id());
    }

    /// Processor time of it alone, in seconds, and its resident memory in KiB.
    fn costs(&self) -> (f64, u64) {
        let read =
            |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap();
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // utime and stime, proc(5), in the hundredths of a second that Linux has everywhere.
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        let status = read("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        (ticks / 100.0, resident.trim().trim_end_matches(" kB").parse().unwrap())
    }

    /// The processes that it began.
    fn children(&self) -> Vec<u32> {
        let of = |entry: fs::DirEntry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()?;
            (parent == self.child.id()).then_some(pid)
        };
        fs::read_dir("/proc").unwrap().filter_map(|entry| of(entry.unwrap())).collect()
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
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

#[track_caller]
fn job(home: &Home, name: &str) -> Value {
    let jobs = home.run(&["--config", "daicho.toml", "--format", "json", "jobs"]).json();
    jobs.as_array().unwrap().iter().find(|job| job["name"] == name).unwrap().clone()
}

/// A service manager, which hears all the time: the system keeps only a few words for it.
struct Manager(Receiver<String>);

impl Manager {
    fn at(home: &Home) -> Self {
        let socket = UnixDatagram::bind(home.path("notify")).unwrap();
        let (sender, words) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 256];
            while let Ok(len) = socket.recv(&mut bytes) {
                if sender.send(String::from_utf8_lossy(&bytes[..len]).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self(words)
    }

    /// Waits until a word with this in it comes.
    #[track_caller]
    fn hears(&self, expected: &str) -> String {
        loop {
            let word = self.0.recv_timeout(Duration::from_secs(20));
            let word = word.unwrap_or_else(|_| panic!("the manager never heard {expected}"));
            if word.contains(expected) {
                return word;
            }
        }
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a measurement")]
fn a_service_runs_its_jobs_reloads_survives_a_kill_and_ends_at_once() {
    let second = Duration::from_secs(1);
    let home = Home::new();
    home.write("daicho.toml", JOBS);
    let manager = Manager::at(&home);

    let mut served = Served::start(&home);
    served.hears("serving 2 jobs", 20 * second);
    manager.hears("READY=1");

    // A bad configuration keeps the old one, and says why; a good one is taken.
    home.write("daicho.toml", JOBS.replace("1pps", "1"));
    served.signal("-HUP");
    served.hears("not reloaded, the old configuration is kept: ", 10 * second);
    assert!(served.said.last().unwrap().contains("jobs.slow: sweep.rate = \"1\""));
    let review = "[[jobs]]\nname = \"review\"\nkind = \"review\"\nschedule = \"0 5 1 1 *\"\n";
    home.write("daicho.toml", format!("{JOBS}{review}"));
    served.signal("-HUP");
    served.hears("reloaded: serving 3 jobs", 10 * second);
    assert!(manager.hears("RELOADING=1").contains("MONOTONIC_USEC="));
    manager.hears("WATCHDOG=1");

    // Nobody else serves this database, and a job that runs is not begun by hand.
    let other = home.run(&["--config", "daicho.toml", "serve"]);
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("another daicho serve runs"), "{}", other.stderr);

    served.hears("job slow: begins", 90 * second);
    served.hears("[slow] sending by ", 20 * second);
    let quick = job(&home, "quick");
    assert_eq!((&quick["last"]["result"], &quick["site"]), (&"done".into(), &"default".into()));
    assert!(quick["last"]["due"].is_string() && quick["last"]["scan"].is_number(), "{quick}");
    let slow = job(&home, "slow");
    assert_eq!((&slow["last"]["attempt"], &slow["last"]["result"]), (&1.into(), &Value::Null));
    let by_hand = home.run(&["--config", "daicho.toml", "jobs", "run", "slow"]);
    assert!(by_hand.stderr.contains("the job slow runs already"), "{}", by_hand.stderr);

    // Killed with its runs, at once: they are frozen first, so that none can note anything.
    let runs = served.children();
    assert!(!runs.is_empty());
    runs.iter().for_each(|pid| kill("-STOP", *pid));
    served.signal("-KILL");
    runs.iter().for_each(|pid| kill("-KILL", *pid));
    served.child.wait().unwrap();

    let mut served = Served::start(&home);
    served.hears("job slow: its run of ", 20 * second);
    assert!(served.said.last().unwrap().ends_with("was cut off"));
    served.hears("[slow] sending by ", 20 * second);
    let again = job(&home, "slow")["last"].clone();
    // Another minute may have come since: then that makes up for both.
    match again["due"] == slow["last"]["due"] {
        true => assert_eq!(again["attempt"], 2),
        false => assert!(again["due"].as_str() > slow["last"]["due"].as_str()),
    }

    // The end: within a second, and everything is in the books.
    let asked = Instant::now();
    served.signal("-TERM");
    let status = served.child.wait().unwrap();
    let took = asked.elapsed();
    assert!(status.success(), "{status}");
    assert!(took < second, "it took {took:?}");
    manager.hears("STOPPING=1");
    let slow = job(&home, "slow");
    assert_eq!(slow["last"]["result"], "stopped", "{slow}");
    println!("serve: ended {} ms after SIGTERM", took.as_millis());
}

#[test]
#[expect(clippy::print_stdout, reason = "a measurement")]
fn a_service_that_waits_costs_nearly_nothing() {
    let home = Home::new();
    home.write("daicho.toml", JOBS.replace("* * * * *", "0 5 1 1 *"));
    let mut served = Served::start(&home);
    served.hears("serving 2 jobs", Duration::from_secs(20));
    thread::sleep(Duration::from_millis(500));
    let (before, _) = served.costs();
    let span = Duration::from_secs(10);
    thread::sleep(span);
    let (after, resident) = served.costs();
    let share = (after - before) / span.as_secs_f64();
    println!("serve: idle {:.2} % of a core, {resident} KiB resident", share * 100.0);
    assert!(share < 0.005, "{share}");
    assert!(resident < 80 << 10, "{resident} KiB");
}

#[test]
fn a_job_is_run_by_hand_and_reads_only_files_that_changed() {
    let home = Home::new();
    let devices = "reference,MAC address,IP address,owner,status\nSRV-1,,127.0.0.1,Sato,approved\n";
    home.write("devices.csv", devices);
    home.write(
        "daicho.toml",
        "[[jobs]]\nname = \"devices\"\nkind = \"import\"\nschedule = \"@hourly\"\n\
         paths = [\"devices.csv\"]\nread_as = \"device-register\"\n",
    );
    let run = || home.run(&["--config", "daicho.toml", "jobs", "run", "devices"]);
    let first = run();
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert!(first.stderr.contains("1 file changed") && first.stdout.contains("1 added"));
    let second = run();
    assert!(second.stderr.contains("0 files changed"), "{}", second.stderr);
    home.write("devices.csv", format!("{devices}PC-2,00:00:5e:00:53:00,,Suzuki,approved\n"));
    assert!(run().stdout.contains("1 added"));
    // As it looks while it is being saved: nothing is lost, and it is read again the next time.
    home.write("devices.csv", "reference,MAC address,IP address,owner,status\n");
    for _ in 0..2 {
        let half = run();
        assert!(half.code == Some(2) && half.stderr.contains("no entry"), "{}", half.stderr);
    }
    let many = (0..30).map(|n| format!("PC-{n},00:00:5e:00:53:{n:02x},,Suzuki,approved\n"));
    home.write("devices.csv", [devices.to_owned()].into_iter().chain(many).collect::<String>());
    assert!(run().stdout.contains("29 added"));
    home.write("devices.csv", devices);
    let half = run();
    assert!(half.code == Some(2) && half.stderr.contains("30 of 31 entries"), "{}", half.stderr);
    fs::remove_file(home.path("devices.csv")).unwrap();
    let gone = run();
    assert_eq!(gone.code, Some(2));
    assert!(
        gone.stderr.contains("job devices: failed: devices.csv: No such file"),
        "{}",
        gone.stderr
    );
    let last = job(&home, "devices")["last"].clone();
    assert_eq!((&last["result"], &last["due"]), (&"failed".into(), &Value::Null));
    let none = home.run(&["--config", "daicho.toml", "jobs", "run", "device"]);
    assert!(none.stderr.contains("there is no job device; there are devices"), "{}", none.stderr);
}
