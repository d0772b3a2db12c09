//! Two devices with one address on one link, each in a namespace of its own behind a bridge that
//! leads nowhere else. Making it needs root and ip.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::home::{Home, Run, must, program};

const ADDRESS: &str = "198.18.0.9";
const MACS: [&str; 2] = ["00:11:22:00:00:01", "00:11:22:00:00:02"];

struct Link {
    names: [String; 3],
}

impl Link {
    fn new() -> Self {
        let own = std::process::id();
        let names = [format!("rivals-{own}"), format!("rival-a-{own}"), format!("rival-b-{own}")];
        for name in &names {
            must(&format!("ip netns add {name}"));
            must(&format!("ip -n {name} link set lo up"));
        }
        let [main, ..] = &names;
        must(&format!("ip -n {main} link add bridge address 00:11:22:00:00:09 type bridge"));
        must(&format!("ip -n {main} address add 198.18.0.1/24 dev bridge"));
        must(&format!("ip -n {main} link set bridge up"));
        let link = Self { names };
        for (number, (name, mac)) in link.names[1..].iter().zip(MACS).enumerate() {
            let main = &link.names[0];
            must(&format!(
                "ip -n {main} link add leg{number} type veth peer name eth0 netns {name} address {mac}"
            ));
            must(&format!("ip -n {main} link set leg{number} master bridge up"));
            // Nobody looks whether somebody has it.
            must(&format!("ip -n {name} address add {ADDRESS}/24 dev eth0"));
            must(&format!("ip -n {name} link set eth0 up"));
        }
        link
    }

    fn sweep(&self, home: &Home) -> Value {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[0], program(), "sweep", "198.18.0.8/30"]);
        command.args(["--io", "raw", "--ports", "22", "--format", "json"]).env_clear();
        for (name, value) in home.command(&[]).get_envs() {
            command.env(name, value.unwrap());
        }
        Run::of(command.stdin(Stdio::null()).output().unwrap()).json()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
        }
    }
}

#[test]
fn two_devices_with_one_address_are_two_assets_and_the_conflict_is_told() {
    let home = Home::new();
    let link = Link::new();
    for round in 0..2 {
        let swept = link.sweep(&home);
        let assets = home.json(&["assets"]);
        let macs: Vec<String> = assets
            .as_array()
            .unwrap()
            .iter()
            .map(|asset| asset["macs"][0].as_str().unwrap_or_default().to_owned())
            .filter(|mac| MACS.contains(&mac.as_str()))
            .collect();
        assert_eq!(macs.len(), 2, "round {round}: {swept}");
        assert_ne!(macs[0], macs[1], "round {round}");
    }
    let conflicts = home.json(&["assets", "show", "1"])["events"].to_string()
        + &home.json(&["assets", "show", "2"])["events"].to_string();
    assert!(conflicts.contains("address_conflict"), "{conflicts}");
}
