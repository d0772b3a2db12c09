//! The page in a real browser: Debian's Chromium, driven by playwright-core (`tests/browser`), in a
//! namespace that has nothing but its own loopback. Needs root; `tests/setup.sh` installs the rest.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

use crate::home::{Home, Run, must, program};

const PASSWORD: &str = "correct horse";

/// The organisation that does not exist, and its page.
struct Page {
    home: Home,
    namespace: String,
    child: Child,
}

impl Page {
    fn new() -> Self {
        let home = Home::new();
        let namespace = format!("browser-{}", std::process::id());
        must(&format!("ip netns add {namespace}"));
        must(&format!("ip -n {namespace} link set lo up"));
        let folder = home.path(".").canonicalize().unwrap();
        home.write("daicho.toml", CONFIGURATION.replace("FOLDER", folder.to_str().unwrap()));
        let demo = home.run(&["demo", "--days", "9"]);
        assert_eq!(demo.code, Some(0), "{}", demo.stderr);
        // What is wrong is told before anybody decides, so that it can be told that it is over.
        let review = home.run(&["--config", "daicho.toml", "jobs", "run", "review"]);
        assert_eq!(review.code, Some(0), "{}", review.stderr);
        for (name, role) in [("admin", "admin"), ("approver", "approver"), ("viewer", "viewer")] {
            give_user(&home, name, role);
        }
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &namespace, program(), "--config", "daicho.toml", "serve"]);
        command.current_dir(home.path(".")).env_clear();
        for (name, value) in home.command(&[]).get_envs() {
            command.env(name, value.unwrap());
        }
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while !said.contains("page: at https://") {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}"));
            said.push_str(&line.unwrap());
            said.push('\n');
        }
        // What it says later is read, so that it need not wait to say it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { home, namespace, child }
    }

    /// Runs the checks, and returns what they say.
    fn look(&self) -> Run {
        let root = env!("CARGO_MANIFEST_DIR");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, "node"]);
        command.arg(format!("{root}/tests/browser/main.mjs"));
        command.env("PAGE_URL", "https://127.0.0.1:8443").env("PASSWORD", PASSWORD);
        command.env("PLAYWRIGHT", format!("{root}/target/browser/node_modules"));
        command.env("FILES", self.home.path("."));
        if let Some(folder) = std::env::var_os("DAICHO_PICTURES") {
            command.env("PICTURES", folder);
        }
        Run::of(command.output().expect("node is needed: sh tests/setup.sh"))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // What is gone already need not go.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
        let _ = Command::new("ip").args(["netns", "delete", &self.namespace]).output();
    }
}

const CONFIGURATION: &str = r#"
[web]
listen = "127.0.0.1:8443"

[[jobs]]
name = "loopback"
kind = "sweep"
schedule = "0 3 1 1 *"
site = "loopback"
targets = ["127.0.0.1"]
ports = "1-3000"
rate = "300pps"
host_rate = "300pps"

[[jobs]]
name = "review"
kind = "review"
schedule = "0 4 1 1 *"

[[routes]]
name = "journal"
type = "file"
path = "FOLDER/alerts.jsonl"
baseline = "told"
digest = "0s"
"#;

fn give_user(home: &Home, name: &str, role: &str) {
    let mut command = home.command(&["--config", "daicho.toml", "user", "add", name]);
    command.args(["--role", role]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn the_page_can_be_looked_at_and_used_in_a_browser() {
    let page = Page::new();
    let run = page.look();
    let failed = run.stdout.lines().any(|line| line.starts_with("not ok"));
    assert!(run.code == Some(0) && !failed, "{}\n{}", run.stdout, run.stderr);
    let checks = run.stdout.lines().filter(|line| line.starts_with("ok ")).count();
    // As many as there are: none went unsaid.
    let of = |name: &str| {
        let path = format!("{}/tests/browser/{name}", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(path).unwrap().matches("(browser) =>").count()
    };
    assert_eq!(checks, of("everywhere.mjs") + of("using.mjs"), "{}", run.stdout);
}
