//! The product searching IPv6 prefixes, in two namespaces with a cable between them and no way
//! out. Making them needs root, and the programs ip, nft, unshare and setpriv.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;

use crate::home::{Home, Run, must, program};

const MAC: &str = "02:00:00:00:00:02";
const NUMBERED: &str = "2001:db8::2";
/// An address that nobody guesses.
const RANDOM: &str = "2001:db8::1234:5678:9abc:def0";

/// The cable. Its namespaces go when this goes.
struct Cable {
    near: String,
    far: String,
}

impl Cable {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |end| format!("search-{}-{number}-{end}", std::process::id());
        let cable = Self { near: name("near"), far: name("far") };
        for namespace in [&cable.near, &cable.far] {
            must(&format!("ip netns add {namespace}"));
            for setting in ["all/accept_dad", "default/accept_dad"] {
                // Addresses are used at once, not after a second of asking who else has them.
                write(namespace, &format!("net/ipv6/conf/{setting}"), "0");
            }
            must(&format!("ip -n {namespace} link set lo up"));
        }
        let Self { near, far } = &cable;
        must(&format!(
            "ip link add near0 netns {near} address 02:00:00:00:00:01 type veth peer name far0 \
             netns {far} address {MAC}"
        ));
        for line in ["link set near0 up", "address add 198.18.0.1/24 dev near0"] {
            must(&format!("ip -n {near} {line}"));
        }
        must(&format!("ip -n {near} address add 2001:db8::1/64 dev near0 nodad"));
        for line in ["link set far0 up", "address add 198.18.0.2/24 dev far0"] {
            must(&format!("ip -n {far} {line}"));
        }
        cable.give(NUMBERED);
        cable
    }

    /// The far end has this address from now on.
    fn give(&self, address: &str) {
        must(&format!("ip -n {} address add {address}/64 dev far0 nodad", self.far));
    }

    fn take(&self, address: &str) {
        must(&format!("ip -n {} address delete {address}/64 dev far0", self.far));
    }

    /// The far end answers nothing that is asked by group but who has an address.
    fn silence(&self) {
        write(&self.far, "net/ipv6/icmp/echo_ignore_multicast", "1");
        let rules = "table ip6 quiet {\nchain input {\n\
                     type filter hook input priority 0;\nip6 nexthdr 60 drop\n\
                     icmpv6 type mld-listener-query drop\n}\n}";
        let status = Command::new("ip")
            .args(["netns", "exec", &self.far, "nft", rules])
            .status()
            .expect("ip and nft are needed");
        assert!(status.success());
    }

    /// The program at the near end.
    fn command(&self, home: &Home, tier: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.near]);
        // For names there is this file and no server.
        let hosts = home.path("hosts");
        let none = home.write("resolv.conf", "");
        let mount = format!(
            "mount --bind {} /etc/hosts && mount --bind {} /etc/resolv.conf && exec \"$@\"",
            hosts.display(),
            none.display()
        );
        if !hosts.exists() {
            fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
        }
        command.args(["unshare", "--mount", "sh", "-c", &mount, "sh"]);
        if tier == "connect" {
            command.args(["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", "--"]);
        }
        command.arg(program()).args(arguments).args(["--io", tier]).env_clear();
        for (name, value) in home.command(&[]).get_envs() {
            command.env(name, value.unwrap());
        }
        command.stdin(Stdio::null());
        command
    }

    fn sweep(&self, home: &Home, tier: &str, targets: &[&str]) -> Value {
        let arguments = [&["sweep"], targets, &["--ports", "22", "--format", "json"]].concat();
        Run::of(self.command(home, tier, &arguments).output().unwrap()).json()
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            // What was not made cannot be taken down.
            let _ = Command::new("ip").args(["netns", "delete", namespace]).output();
        }
    }
}

fn write(namespace: &str, setting: &str, value: &str) {
    let script = format!("echo '{value}' > /proc/sys/{setting}");
    let output = Command::new("ip")
        .args(["netns", "exec", namespace, "sh", "-c", &script])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{setting} (this test needs root): {said}");
}

fn texts(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The asset of the scan that has this address.
fn at<'a>(result: &'a Value, address: &str) -> Option<&'a Value> {
    let mut assets = result["assets"].as_array().into_iter().flatten();
    assets.find(|asset| texts(&asset["addresses"]).contains(address))
}

#[test]
fn a_search_finds_the_far_end_in_both_tiers_and_joins_it_with_its_ipv4_address() {
    for (tier, methods) in [
        ("raw", &["arp", "multicast_echo", "multicast_option", "neighbor_solicitation"][..]),
        ("connect", &["multicast_echo"]),
    ] {
        let (cable, home) = (Cable::new(), Home::new());
        write(&cable.near, "net/ipv4/ping_group_range", "0 0");
        let result = cable.sweep(&home, tier, &["198.18.0.2", "2001:db8::/64", "fe80::/64"]);
        assert_eq!(result["scan"]["io"], tier);
        let asset = at(&result, NUMBERED).unwrap_or_else(|| panic!("{tier}: {result}"));
        let all = ["198.18.0.2", NUMBERED, "fe80::ff:fe00:2"];
        let addresses = texts(&asset["addresses"]);
        assert!(all.iter().all(|one| addresses.contains(one)), "{tier}: {addresses:?}");
        assert_eq!(texts(&asset["macs"]), [MAC].into(), "{tier}");
        let by = texts(&asset["alive_by"]);
        assert!(methods.iter().all(|method| by.contains(method)), "{tier}: {by:?}");
        // And so does the machine itself.
        assert!(at(&result, "fe80::ff:fe00:1").is_some());
        assert_eq!(at(&result, "fe80::ff:fe00:1"), at(&result, "2001:db8::1"), "{tier}");
        assert_eq!(result["assets"].as_array().unwrap().len(), 2, "{tier}: {result}");
        let searched = &result["scan"]["searched"][0];
        assert_eq!(texts(&searched["areas"]), ["2001:db8::/64", "fe80::/64"].into());
        assert_eq!(
            (&searched["interface"], &searched["not_targets"]),
            (&"near0".into(), &0.into())
        );
        // A search says what it could not ask; with frames of our own there is nothing.
        let gaps = result["scan"]["gaps"].as_array().unwrap();
        assert_eq!(gaps.len(), usize::from(tier == "connect"), "{gaps:?}");
    }
}

#[test]
fn what_the_inventory_knows_is_asked_and_only_that_can_be_missing() {
    let (cable, home) = (Cable::new(), Home::new());
    cable.give(RANDOM);
    cable.silence();
    // Nobody guesses it, and nobody is asked for it.
    let blind = cable.sweep(&home, "raw", &["2001:db8::/64"]);
    assert!(at(&blind, RANDOM).is_none(), "{blind}");
    assert_eq!(blind["scan"]["searched"][0]["answered"], 0);

    assert!(at(&cable.sweep(&home, "raw", &[RANDOM]), RANDOM).is_some());
    let known = cable.sweep(&home, "raw", &["2001:db8::/64"]);
    assert!(at(&known, RANDOM).is_some(), "{known}");

    let register =
        "reference,ip address\nSEEN,2001:db8::1234:5678:9abc:def0\nNEVER,2001:db8::4321:1:2:3\n";
    let path = home.write("devices.csv", register);
    home.run(&["register", "import", path.to_str().unwrap(), "--kind", "device"]);
    cable.take(RANDOM);
    let mut missing = Vec::new();
    for _ in 0..3 {
        let result = cable.sweep(&home, "raw", &["2001:db8::/64"]);
        let findings = result["findings"].as_array().unwrap().clone();
        missing = findings.into_iter().filter(|f| f["rule"] == "device.missing").collect();
    }
    let subjects: Vec<String> = missing.iter().map(|f| f["subject"].to_string()).collect();
    assert_eq!(subjects.len(), 1, "{missing:?}");
    assert!(subjects[0].contains("SEEN"), "{subjects:?}");
}

#[test]
fn the_name_of_what_answers_leads_to_its_other_addresses_in_the_area() {
    let (cable, home) = (Cable::new(), Home::new());
    cable.give(RANDOM);
    cable.silence();
    home.write(
        "hosts",
        format!(
            "198.18.0.2 two.lab.example\n{RANDOM} two.lab.example\n\
             2001:db8:7::2 two.lab.example\n"
        ),
    );
    for allowed in [false, true] {
        let targets = ["sweep", "198.18.0.2", "2001:db8::/64", "--ports", "22", "--format", "json"];
        let mut command = cable.command(&home, "raw", &targets);
        command.env("DAICHO_SWEEP_REVERSE_DNS", allowed.to_string());
        let result = Run::of(command.output().unwrap()).json();
        let asset = at(&result, "198.18.0.2").unwrap_or_else(|| panic!("{result}"));
        let addresses = texts(&asset["addresses"]);
        assert_eq!(addresses.contains(RANDOM), allowed, "{addresses:?}");
        assert_eq!(texts(&asset["names"]).contains("two.lab.example"), allowed);
        assert!(at(&result, "2001:db8:7::2").is_none());
    }
}

#[test]
fn a_dry_run_tells_the_search_and_what_cannot_be_searched_is_refused() {
    let (cable, home) = (Cable::new(), Home::new());
    let run = |arguments: &[&str]| {
        let arguments = [&["sweep"], arguments, &["--ports", "22"]].concat();
        Run::of(cable.command(&home, "raw", &arguments).output().unwrap())
    };
    let plan = run(&["2001:db8::/64", "--dry-run"]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(
        plan.stdout.starts_with("searched first: 2001:db8::/64 on near0, by up to 18 packets"),
        "{}",
        plan.stdout
    );
    assert!(plan.stdout.contains("through near0") && plan.stdout.contains("nothing was sent"));

    for (arguments, part) in [
        (&["2001:db8:9::/64"][..], "\"2001:db8:9::/64\": it is not on a link of this machine"),
        (&["2001:db8::/32"], "only a part of it is on a link"),
        (&["2001:db8::/64", "--shard", "1/2"], "neither --shard nor --resume-at"),
    ] {
        let refused = run(arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?}: {}", refused.stdout);
        assert!(refused.stderr.contains(part), "{arguments:?}: {}", refused.stderr);
    }
    // In a list it costs only itself.
    let list = home.write("list", "2001:db8:9::/64\n198.18.0.2\n");
    let listed = run(&[&format!("@{}", list.display())]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    assert!(listed.stderr.contains("not searched: 2001:db8:9::/64"), "{}", listed.stderr);
    assert!(listed.stdout.contains("198.18.0.2"), "{}", listed.stdout);
}
