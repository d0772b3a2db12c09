//! A configuration that is read anew while what is heard is asked: a new exclusion holds at once.
//! At the end of a cable between two namespaces with no way out.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::home::{Home, Run, must, program};

/// The longest that a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Two namespaces, and the servers in the far one.
struct Cable {
    near: String,
    far: String,
    servers: Vec<Child>,
}

impl Cable {
    fn new() -> Self {
        let name = |end| format!("reload-{}-{end}", std::process::id());
        let mut cable = Self { near: name("near"), far: name("far"), servers: Vec::new() };
        let (near, far) = (cable.near.clone(), cable.far.clone());
        for namespace in [&near, &far] {
            must(&format!("ip netns add {namespace}"));
        }
        must(&format!("ip link add near0 netns {near} type veth peer name far0 netns {far}"));
        must(&format!("ip -n {near} address add 198.18.0.1/24 dev near0"));
        for address in ["198.18.0.2/24", "198.18.0.3/24"] {
            must(&format!("ip -n {far} address add {address} dev far0"));
        }
        must(&format!("ip -n {near} link set near0 up"));
        must(&format!("ip -n {far} link set far0 up"));
        for port in [4_431, 4_432] {
            let server = Command::new("ip")
                .args(["netns", "exec", &far, "openssl", "s_server", "-quiet", "-nocert"])
                .args(["-accept", &port.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            cable.servers.push(server);
            wait_until("server", || cable.uses("198.18.0.2", port));
        }
        cable
    }

    /// Somebody at the near end connects. Whether that is accepted.
    fn uses(&self, address: &str, port: u16) -> bool {
        let line = format!("exec 3<>/dev/tcp/{address}/{port}");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.near, "bash", "-c", &line]).stderr(Stdio::null());
        command.status().unwrap().success()
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for server in &mut self.servers {
            // What is left when a test fails must not hide why.
            let _ = server.kill();
            let _ = server.wait();
        }
        for namespace in [&self.near, &self.far] {
            let _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
    }
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "no {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// By which ways something of that endpoint is known.
fn methods(home: &Home, endpoint: &str) -> Vec<String> {
    let mut methods = Vec::new();
    for asset in home.json(&["assets"]).as_array().unwrap() {
        let id = asset["id"].to_string();
        for seen in home.json(&["assets", "show", &id])["observations"].as_array().unwrap() {
            if seen["subject"] == endpoint {
                methods.push(seen["method"].as_str().unwrap().to_owned());
            }
        }
    }
    methods
}

#[test]
fn a_new_exclusion_stops_questions_at_once() {
    let cable = Cable::new();
    let home = Home::new();
    let file = home.write("site.toml", "");
    let log = home.path("watch.log");
    let child = Command::new("ip")
        .args(["netns", "exec", &cable.near, program(), "--config"])
        .arg(&file)
        .args(["--format", "json", "watch", "--interface", "near0", "--ask", "198.18.0.0/24"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path(""))
        .env("DAICHO_DATABASE", home.path("daicho.db"))
        .env("DAICHO_SITE_VANTAGE", "test")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let said = || fs::read_to_string(&log).unwrap();
    // How many requests were asked by now, where none waits.
    let asked = || -> Option<u64> {
        must(&format!("kill -USR1 {}", child.id()));
        thread::sleep(Duration::from_millis(200));
        let log = said();
        let (_, line) = log.lines().rev().find_map(|line| line.split_once("; asked "))?;
        let number = line.split(' ').next()?.parse().ok()?;
        line.contains(" 0 waiting").then_some(number)
    };
    wait_until("ear for signals", || {
        const BOTH: u64 = 1 | 1 << 9;
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & BOTH == BOTH
    });
    wait_until("question", || {
        assert!(cable.uses("198.18.0.2", 4_431));
        asked() > Some(0)
    });
    fs::write(&file, "[scope]\nexclude = [\"198.18.0.2\"]\n").unwrap();
    must(&format!("kill -HUP {}", child.id()));
    wait_until("word of the new configuration", || said().contains("was read anew"));
    assert!(!said().contains("from the next start on"), "{}", said());
    // Both are heard, the excluded one first: when the other was asked, its turn has come.
    let before = asked().unwrap_or_default();
    assert!(cable.uses("198.18.0.2", 4_432));
    wait_until("question to the other", || {
        assert!(cable.uses("198.18.0.3", 4_432));
        asked() > Some(before)
    });
    must(&format!("kill -TERM {}", child.id()));
    let result: Value = Run::of(child.wait_with_output().unwrap()).json();
    assert!(result["scan"]["probes_sent"].as_u64() > Some(0));
    let is_asked = |endpoint| methods(&home, endpoint).iter().any(|method| method != "capture");
    assert!(is_asked("198.18.0.2:4431/tcp"), "{}", said());
    assert!(is_asked("198.18.0.3:4432/tcp"), "{}", said());
    let excluded = methods(&home, "198.18.0.2:4432/tcp");
    assert!(!excluded.is_empty() && excluded.iter().all(|m| m == "capture"), "{excluded:?}");
}
