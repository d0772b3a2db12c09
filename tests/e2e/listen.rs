//! The product listening: at the end of a cable between two namespaces with no way out, and at
//! the end of a pipe. Making namespaces needs root and the program ip.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt as _, net::UnixStream},
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    home::{Home, Run, must, program},
    watch::{arp, offer, pcap},
};

const MAC: &str = "02:00:00:00:00:02";

/// The longest that a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cable. Its namespaces go when this goes.
struct Cable {
    near: String,
    far: String,
}

impl Cable {
    fn new() -> Self {
        // Tests run side by side.
        static CABLES: AtomicU32 = AtomicU32::new(0);
        let number = CABLES.fetch_add(1, Ordering::Relaxed);
        let name = |end| format!("listen-{}-{number}-{end}", std::process::id());
        let cable = Self { near: name("near"), far: name("far") };
        let Self { near, far } = &cable;
        for namespace in [near, far] {
            must(&format!("ip netns add {namespace}"));
            // A system speaks of itself as soon as it has IPv6: only IPv4 here.
            let quiet = "net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";
            must(&format!("ip netns exec {namespace} sysctl -qw {quiet}"));
        }
        must(&format!(
            "ip link add near0 netns {near} address 02:00:00:00:00:01 type veth peer name far0 \
             netns {far} address {MAC}"
        ));
        must(&format!("ip -n {near} link set near0 up"));
        must(&format!("ip -n {far} link set far0 up"));
        must(&format!("ip -n {far} address add 198.18.0.2/24 dev far0"));
        cable
    }

    /// The far end asks who has an address that nobody has.
    fn speak(&self) {
        let line = format!("ip netns exec {} bash -c", self.far);
        let mut words = line.split(' ');
        let status = Command::new(words.next().unwrap())
            .args(words)
            .arg("echo hello > /dev/udp/198.18.0.9/9")
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn link(&self) -> Value {
        let output = Command::new("ip")
            .args(["-n", &self.near, "-s", "-d", "-j", "link", "show", "near0"])
            .output()
            .unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()[0].clone()
    }

    /// Until somebody listens to all that passes at the near end.
    fn wait_for_listener(&self) {
        wait_until("a listener", || self.link()["promiscuity"].as_u64() > Some(0));
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            // What is left when a test fails must not hide why.
            let _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
    }
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "no {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Asks it to end, and says how long it took and what it left.
fn terminate(child: Child) -> (Duration, Run) {
    let begun = Instant::now();
    must(&format!("kill -TERM {}", child.id()));
    let output = child.wait_with_output().unwrap();
    (begun.elapsed(), Run::of(output))
}

#[test]
fn an_interface_is_heard_through_its_troubles_and_nothing_is_sent() {
    let cable = Cable::new();
    let home = Home::new();
    let child = Command::new("ip")
        .args(["netns", "exec", &cable.near, program()])
        .args(["--format", "json", "watch", "--interface", "near0"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path(""))
        .env("DAICHO_DATABASE", home.path("daicho.db"))
        .env("DAICHO_SITE_VANTAGE", "test")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    cable.wait_for_listener();
    must(&format!("ip -n {} link set near0 down", cable.near));
    wait_until("end of listening", || cable.link()["promiscuity"].as_u64() == Some(0));
    must(&format!("ip -n {} link set near0 up", cable.near));
    cable.wait_for_listener();
    let before = cable.link()["stats64"]["rx"]["packets"].as_u64();
    wait_until("frame", || {
        cable.speak();
        cable.link()["stats64"]["rx"]["packets"].as_u64() > before
    });
    must(&format!("kill -USR1 {}", child.id()));
    // A block of the ring is handed over within a moment.
    thread::sleep(Duration::from_millis(200));
    let (took, run) = terminate(child);
    let result = run.json();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let asset = &result["assets"][0];
    assert_eq!(asset["macs"], serde_json::json!([MAC]), "{result}\n{}", run.stderr);
    assert_eq!(asset["addresses"], serde_json::json!(["198.18.0.2"]));
    let scan = &result["scan"];
    assert_eq!((scan["io"].as_str(), scan["probes_sent"].as_u64()), (Some("capture"), Some(0)));
    let gap = scan["gaps"][0]["reason"].as_str().unwrap();
    assert!(gap.starts_with("it was down from "), "{gap}");
    assert_eq!(scan["complete"], false);
    assert!(run.stderr.contains("near0 is up again"), "{}", run.stderr);
    // Once for the signal, once at the end.
    assert_eq!(run.stderr.matches("heard ").count(), 2, "{}", run.stderr);
    assert_eq!(cable.link()["stats64"]["tx"]["packets"].as_u64(), Some(0));
}

/// The program at the near end as somebody who may do nothing but open raw sockets, as the service
/// manager begins it.
fn unprivileged(cable: &Cable, home: &Home, arguments: &[&str]) -> Child {
    let rights = ["--inh-caps", "+net_raw", "--ambient-caps", "+net_raw"];
    begin(cable, home, program(), &rights, arguments)
}

/// A program at the near end as somebody who has these rights.
fn begin(cable: &Cable, home: &Home, program: &str, rights: &[&str], arguments: &[&str]) -> Child {
    fs::set_permissions(home.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    Command::new("ip")
        .args(["netns", "exec", &cable.near, "setpriv", "--reuid", "65534", "--regid", "65534"])
        .arg("--clear-groups")
        .args(rights)
        .arg("--")
        .arg(program)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path(""))
        .env("DAICHO_DATABASE", home.path("daicho.db"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.strip_prefix(':')).map(str::trim).map(str::to_owned).unwrap()
}

/// Every thread of it is without any capability, and the one process that it began has that by which
/// raw sockets are opened, and no other. Returns the number of that one.
#[track_caller]
fn has_no_capability(pid: u32) -> u32 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    for task in tasks {
        let Ok(status) = fs::read_to_string(task.unwrap().path().join("status")) else { continue };
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(field(&status, set), "0000000000000000", "{set}");
        }
    }
    let of = |entry: fs::DirEntry| {
        let pid_of: u32 = entry.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        (field(&status, "PPid") == pid.to_string()).then_some((pid_of, status))
    };
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| of(entry.unwrap()));
    let [(lender, status)] = all.collect::<Vec<_>>().try_into().unwrap();
    // CAP_NET_RAW (capabilities(7)).
    let raw = format!("{:016x}", 1 << 13);
    assert_eq!((field(&status, "CapPrm"), field(&status, "CapEff")), (raw.clone(), raw));
    assert_eq!((field(&status, "Seccomp"), field(&status, "NoNewPrivs")), ("2".into(), "1".into()));
    lender
}

#[test]
fn who_listens_has_no_capability_and_opens_its_interface_again_all_the_same() {
    let cable = Cable::new();
    let home = Home::new();
    let child = unprivileged(&cable, &home, &["watch", "--interface", "near0"]);
    cable.wait_for_listener();
    let lender = has_no_capability(child.id());
    let near = &cable.near;
    for _ in 0..2 {
        must(&format!("ip -n {near} link set near0 down"));
        wait_until("end of listening", || cable.link()["promiscuity"].as_u64() == Some(0));
        must(&format!("ip -n {near} link set near0 up"));
        cable.wait_for_listener();
        assert_eq!(has_no_capability(child.id()), lender);
    }
    // Where whoever opens sockets is gone it says so, and whoever began it begins it anew.
    must(&format!("kill -KILL {lender}"));
    must(&format!("ip -n {near} link set near0 down"));
    wait_until("end of listening", || cable.link()["promiscuity"].as_u64() == Some(0));
    must(&format!("ip -n {near} link set near0 up"));
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(2), "{run:?}");
    assert_eq!(run.stderr.matches("near0 is up again").count(), 2, "{}", run.stderr);
    assert!(run.stderr.to_lowercase().contains("broken pipe"), "{}", run.stderr);
}

#[test]
fn several_readers_have_no_capability_either_and_all_come_back() {
    let cable = Cable::new();
    let home = Home::new();
    let near = &cable.near;
    let watch = ["--format", "json", "watch", "--interface", "near0", "--readers", "3"];
    let child = unprivileged(&cable, &home, &watch);
    let are = |number| {
        wait_until("three who listen", || cable.link()["promiscuity"].as_u64() == Some(number));
    };
    are(3);
    let lender = has_no_capability(child.id());
    must(&format!("ip -n {near} link set near0 down"));
    are(0);
    must(&format!("ip -n {near} link set near0 up"));
    are(3);
    assert_eq!(has_no_capability(child.id()), lender);
    let before = cable.link()["stats64"]["rx"]["packets"].as_u64();
    wait_until("frame", || {
        cable.speak();
        cable.link()["stats64"]["rx"]["packets"].as_u64() > before
    });
    // A block of the ring is handed over within a moment.
    thread::sleep(Duration::from_millis(200));
    let (took, run) = terminate(child);
    assert!(took < Duration::from_secs(1), "{took:?}");
    let result = run.json();
    assert_eq!(result["assets"][0]["macs"], serde_json::json!([MAC]), "{result}\n{}", run.stderr);
    // Once for all of them.
    assert_eq!(result["scan"]["gaps"].as_array().map(Vec::len), Some(1), "{result}");
    assert_eq!(run.stderr.matches("near0 is up again").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains(" frames by 3 readers"), "{}", run.stderr);
    assert_eq!(cable.link()["stats64"]["tx"]["packets"].as_u64(), Some(0));
}

/// A copy of the program that has the right to raw sockets by its file, as administrators give it.
fn privileged(home: &Home) -> String {
    let copy = home.path("daicho").display().to_string();
    fs::copy(program(), &copy).unwrap();
    must(&format!("setcap cap_net_raw+ep {copy}"));
    copy
}

#[test]
fn sockets_are_lent_to_nobody_who_could_open_none_himself() {
    let home = Home::new();
    let program = privileged(&home);
    fs::set_permissions(home.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let ask = |before: &[&str]| {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut lender = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            // By another one of it: the first has all rights until it begins something.
            .args(["setpriv", "--inh-caps=-all"])
            .args(before)
            .args([&program, "lend-sockets"])
            .stdin(OwnedFd::from(theirs))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answer = [0; 4];
        let answered = ours.write_all(&[0]).and_then(|()| ours.read_exact(&mut answer));
        drop(ours);
        let mut words = String::new();
        lender.stderr.take().unwrap().read_to_string(&mut words).unwrap();
        (answered.ok().map(|()| i32::from_ne_bytes(answer)), lender.wait().unwrap(), words)
    };
    let (answer, status, words) = ask(&[]);
    assert_eq!((answer, status.code()), (None, Some(2)), "{words}");
    assert!(words.contains("lent only to this program itself"), "{words}");
    // Bound to get no more by it than he has he is answered, and gets nothing.
    let (answer, status, words) = ask(&["--no-new-privs"]);
    assert_eq!((answer, status.code()), (Some(libc::EPERM), Some(0)), "{words}");
}

#[test]
fn a_program_that_may_by_its_file_sweeps_by_a_lender_too() {
    let cable = Cable::new();
    let home = Home::new();
    let program = privileged(&home);
    must(&format!("ip -n {} address add 198.18.0.1/24 dev near0", cable.near));
    let sweep = ["--format", "json", "sweep", "198.18.0.0/27", "--ports", "9", "--rate", "40"];
    let child = begin(&cable, &home, &program, &[], &sweep);
    let sent = || cable.link()["stats64"]["tx"]["packets"].as_u64();
    let before = sent();
    wait_until("question", || sent() > before.map(|sent| sent + 5));
    let lender = has_no_capability(child.id());
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.json()["scan"]["io"], "raw", "{}", run.stderr);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    // Whoever began it waited for its end.
    assert!(!Path::new(&format!("/proc/{lender}")).exists());
}

#[test]
fn who_sweeps_has_no_capability_while_it_reads_what_strangers_answer() {
    let cable = Cable::new();
    let home = Home::new();
    must(&format!("ip -n {} address add 198.18.0.1/24 dev near0", cable.near));
    let sweep = ["sweep", "198.18.0.0/27", "--io", "raw", "--ports", "9", "--rate", "40"];
    let child = unprivileged(&cable, &home, &[&["--format", "json"], &sweep[..]].concat());
    let sent = || cable.link()["stats64"]["tx"]["packets"].as_u64();
    let before = sent();
    wait_until("question", || sent() > before.map(|sent| sent + 5));
    has_no_capability(child.id());
    let run = Run::of(child.wait_with_output().unwrap());
    let result = run.json();
    assert_eq!(result["scan"]["io"], "raw", "{}", run.stderr);
    let macs: Vec<&Value> =
        result["assets"].as_array().unwrap().iter().map(|asset| &asset["macs"][0]).collect();
    assert!(macs.contains(&&Value::from(MAC)), "{result}");
}

#[test]
fn what_is_heard_becomes_assets_while_it_is_still_listened() {
    let cable = Cable::new();
    let home = Home::new();
    let child = Command::new("ip")
        .args(["netns", "exec", &cable.near, program(), "watch", "--interface", "near0"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path(""))
        .env("DAICHO_DATABASE", home.path("daicho.db"))
        .env("DAICHO_WATCH_CONCLUDE", "1s")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    cable.wait_for_listener();
    wait_until("asset", || {
        cable.speak();
        let run = home.run(&["--format", "json", "assets"]);
        // It opens the interface before the database, which may not be there yet.
        run.code == Some(0)
            && run.json().as_array().is_some_and(|all| all.iter().any(|a| a["macs"][0] == MAC))
    });
    let (_, run) = terminate(child);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains(MAC) || run.stdout.contains("198.18.0.2"), "{run:?}");
}

#[test]
fn a_listener_ends_when_its_time_is_over_and_refuses_what_is_not_there() {
    let home = Home::new();
    let run = home.run(&["watch", "--interface", "nothere0", "--duration", "1s"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("there is no interface nothere0 here"), "{}", run.stderr);
    let run = home.run(&["watch", "--read", "x.pcap", "--interface", "nothere0"]);
    assert_eq!(run.code, Some(2));
    let run = home.run(&["watch"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("--interface"), "{}", run.stderr);
}

#[test]
fn asking_wants_targets_and_an_interface() {
    let home = Home::new();
    let run = home.run(&["watch", "--interface", "lo", "--ask"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("name the targets behind --ask"), "{}", run.stderr);
    home.write("site.toml", "[watch]\nask = true\n");
    let run = home.run(&["--config", "site.toml", "watch", "--interface", "lo"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("watch.targets of the configuration"), "{}", run.stderr);
    let run = home.run(&["watch", "--interface", "lo", "--ask", "nothing at all"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("nothing at all"), "{}", run.stderr);

    // What a file holds is never asked, whoever is configured.
    let run = home.run(&["watch", "--read", "x.pcap", "--ask", "127.0.0.1"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("cannot be used with"), "{}", run.stderr);
    home.write("site.toml", "[watch]\nask = true\ntargets = [\"198.18.0.0/24\"]\n");
    home.write("x.pcap", pcap(&[arp([0x00, 0x00, 0x5e, 0, 0x53, 0x21], [198, 18, 0, 33])]));
    let result = home.json(&["--config", "site.toml", "watch", "--read", "x.pcap"]);
    assert_eq!(result["scan"]["probes_sent"], 0);
    assert_eq!(result["scan"]["complete"], true);
}

#[test]
fn a_pipe_that_never_ends_is_left_when_asked() {
    let home = Home::new();
    let printer = arp([0x00, 0x00, 0x5e, 0, 0x53, 0x21], [198, 18, 0, 33]);
    let mut child = home
        .command(&["--format", "json", "watch", "--read", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // More than a reader takes at once, so that the first frames are read while it waits.
    let many = vec![printer; 4_000];
    pipe.write_all(&pcap(&many)).unwrap();
    wait_until("observation", || {
        let run = home.run(&["assets", "--format", "json"]);
        run.code == Some(0) || run.stderr.contains("no database") || home.path("daicho.db").exists()
    });
    thread::sleep(Duration::from_millis(500));
    let (took, run) = terminate(child);
    let result = run.json();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(result["assets"][0]["addresses"], serde_json::json!(["198.18.0.33"]));
    drop(pipe);
}

/// What standard error says next, up to a line with these words.
fn said(errors: &mut BufReader<std::process::ChildStderr>, words: &str) -> String {
    let mut all = String::new();
    while !all.contains(words) {
        let more = errors.read_line(&mut all).unwrap();
        assert!(more > 0, "it ended without {words:?}: {all}");
    }
    all
}

#[test]
fn a_configuration_is_read_anew_under_way_and_a_wrong_one_changes_nothing() {
    let home = Home::new();
    let own = [198, 18, 0, 1];
    let mac = [0, 0, 0x5e, 0, 0x53, 1];
    let file = home.write("site.toml", "");
    let mut child = home
        .command(&["--config", "site.toml", "--format", "json", "watch", "--read", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let hear = |signal: &str| must(&format!("kill -{signal} {}", child.id()));
    wait_until("ear for signals", || {
        // The signals with a handler, a bit each: SIGHUP is 1, SIGUSR1 10.
        const BOTH: u64 = 1 | 1 << 9;
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & BOTH == BOTH
    });
    hear("USR1");
    said(&mut errors, "heard 0 frames");
    for (settings, expected) in [
        // A name with a slip of the pen, a value that is none, a file that is not there.
        ("[network]\ndhcp_server = []", "dhcp_server"),
        ("[network]\ndhcp_servers = [\"198.18.0.300\"]", "network.dhcp_servers"),
        ("[certificates]\nroots = [\"nowhere.pem\"]", "nowhere.pem"),
    ] {
        fs::write(&file, settings).unwrap();
        hear("HUP");
        let said = said(&mut errors, "send SIGHUP again");
        assert!(
            said.contains("the configuration stays as it was: ") && said.contains(expected),
            "{said}"
        );
    }
    // Only this server is approved now, and another memory has to wait.
    let settings = "[network]\ndhcp_servers = [\"198.18.0.2\"]\n[watch]\nmemory = \"64MiB\"";
    fs::write(&file, settings).unwrap();
    hear("HUP");
    let waits = said(&mut errors, "from the next start on");
    assert!(waits.contains("was read anew") && waits.contains("watch.memory"), "{waits}");
    // Wrong once more: the good one stays.
    fs::write(&file, "nonsense").unwrap();
    hear("HUP");
    said(&mut errors, "send SIGHUP again");
    pipe.write_all(&pcap(&[arp(mac, own), offer(mac, own)])).unwrap();
    drop(pipe);
    let mut rest = String::new();
    errors.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    let run = Run::of(output);
    let findings = &run.json()["findings"];
    assert_eq!(findings[0]["rule"], "dhcp.rogue-server", "{findings}\n{rest}");
}
