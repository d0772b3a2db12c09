//! A sweep that is cut off between its parts, in a namespace with nothing but its own loopback: one
//! address has a TLS server, the others are silent. Making it needs root, ip and openssl.

use std::{
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::home::{Home, Run, must, program};

/// Two parts, at the lowest rates.
const TARGET: &str = "198.18.0.0/23";
const SERVER: &str = "198.18.0.9:8443";

struct Silent {
    name: String,
    server: Child,
}

impl Silent {
    fn new(home: &Home) -> Self {
        let name = format!("parts-{}", std::process::id());
        must(&format!("ip netns add {name}"));
        must(&format!("ip -n {name} link set lo up"));
        must(&format!("ip -n {name} address add 198.18.0.9/32 dev lo"));
        // What goes there comes back, and belongs to nobody.
        must(&format!("ip -n {name} route add 198.18.0.0/15 dev lo"));
        let (key, certificate) = (home.path("key.pem"), home.path("certificate.pem"));
        let (key, certificate) = (key.to_str().unwrap(), certificate.to_str().unwrap());
        must(&format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 \
             -subj /CN=parts.example -keyout {key} -out {certificate}"
        ));
        let server = Command::new("ip")
            .args(["netns", "exec", &name, "openssl", "s_server", "-quiet", "-accept", SERVER])
            .args(["-key", key, "-cert", certificate])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { name, server }
    }

    fn sweep(&self, home: &Home) -> Child {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program(), "sweep", TARGET]);
        command.args(["--rate", "50pps", "--discover", "syn", "--ports", "8443"]);
        command.args(["--format", "json"]).env_clear();
        for (name, value) in home.command(&[]).get_envs() {
            command.env(name, value.unwrap());
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // What is gone already need not go.
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).output();
    }
}

#[test]
fn what_was_swept_before_a_sweep_is_cut_off_was_talked_with() {
    let home = Home::new();
    let silent = Silent::new(&home);
    let sweep = silent.sweep(&home);
    let deadline = Instant::now() + Duration::from_secs(120);
    // The certificate is there as soon as the first part is done, with the second one to come.
    while !home.run(&["certs", "list"]).stdout.contains("parts.example") {
        assert!(Instant::now() < deadline, "no certificate before all addresses were asked");
        sleep(Duration::from_millis(300));
    }
    let id = sweep.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let run = Run::of(sweep.wait_with_output().unwrap());
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert!(run.stderr.contains("--resume-at 256"), "{}", run.stderr);
    let result: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(result["scan"]["complete"], false);
    let service = &result["assets"][0]["services"][0];
    assert_eq!((&service["port"], &service["tls"]), (&8443.into(), &true.into()), "{result}");
    let gaps = result["scan"]["gaps"].to_string();
    assert!(gaps.contains("254 of 510 addresses"), "{gaps}");
}
