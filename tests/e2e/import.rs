//! What others saw is imported into the inventory: by file, by standard input, and on and on.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::home::{Home, Run};

/// Addresses and link-layer addresses of the assets, with when each was seen last.
fn assets(home: &Home) -> Vec<(String, String, String)> {
    let assets = home.json(&["assets"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> = assets
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (text(&a["addresses"][0]), text(&a["macs"][0]), text(&a["last_seen"])))
        .collect();
    all.sort();
    all
}

fn seen(address: &str, mac: &str, at: &str) -> (String, String, String) {
    (address.to_owned(), mac.to_owned(), at.to_owned())
}

const KEA: &str = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,\
                   hostname,state,user_context,pool_id\n\
                   192.0.2.70,00:00:5e:00:53:21,,3600,1767229200,1,0,0,pc-21,0,,0\n";

#[test]
fn leases_make_assets_of_the_time_in_them_and_nobody_is_missing_by_them() {
    let home = Home::new();
    home.write("leases.csv", KEA);
    let result = home.json(&["import", "dhcp", "leases.csv"]);
    let scan = &result["scan"];
    assert_eq!(
        (&scan["io"], &scan["complete"], &scan["probes_sent"]),
        (&"import".into(), &true.into(), &0.into())
    );
    let imported = &result["imports"][0];
    assert_eq!((&imported["path"], &imported["format"]), (&"leases.csv".into(), &"kea-csv".into()));
    assert_eq!((&imported["records"], &imported["problems"]), (&1.into(), &0.into()));
    assert_eq!(result["assets"][0]["names"], serde_json::json!(["pc-21"]));
    // 2026-01-01T01:00:00Z is when the lease ended; an hour before, the device was there.
    let once = [seen("192.0.2.70", "00:00:5e:00:53:21", "2026-01-01T00:00:00Z")];
    assert_eq!(assets(&home), once);
    // Twice is once, and what comes from elsewhere makes nobody go away.
    home.json(&["import", "dhcp", "leases.csv"]);
    home.write("neigh", "192.0.2.71 dev eth0 lladdr 00:00:5e:00:53:22 STALE\n");
    home.json(&["import", "neighbors", "neigh"]);
    let after = assets(&home);
    assert_eq!((after.len(), &after[0]), (2, &once[0]));
    let all = home.json(&["assets", "list"]).as_array().unwrap().iter().all(|asset| {
        asset["alive_by"].as_array().unwrap().is_empty() && asset["registration"] == "unknown"
    });
    assert!(all);
    let shown = home.json(&["assets", "show", "1"]);
    let methods: Vec<&Value> =
        shown["observations"].as_array().unwrap().iter().map(|o| &o["method"]).collect();
    assert!(!methods.is_empty() && methods.iter().all(|method| *method == "import"), "{shown}");
}

#[test]
fn an_older_lease_takes_nothing_from_a_newer_holder() {
    let home = Home::new();
    let line = |mac: &str, day: &str| {
        format!("{day}T00:00:00Z gate dhcpd: DHCPACK on 192.0.2.70 to {mac} via eth0\n")
    };
    home.write("new", line("00:00:5e:00:53:22", "2026-03-02"));
    home.write("old", line("00:00:5e:00:53:21", "2026-03-01"));
    home.json(&["import", "dhcp", "new"]);
    home.json(&["import", "dhcp", "old"]);
    let holders: Vec<String> = home
        .json(&["assets"])
        .as_array()
        .unwrap()
        .iter()
        .filter(|asset| asset["addresses"] == serde_json::json!(["192.0.2.70"]))
        .map(|asset| asset["macs"][0].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(holders, ["00:00:5e:00:53:22"]);
}

#[test]
fn a_bad_line_is_told_with_its_number_and_strict_imports_none() {
    let home = Home::new();
    home.write("leases.csv", format!("{KEA}nonsense\n"));
    let strict = home.run(&["import", "dhcp", "leases.csv", "--strict"]);
    assert_eq!(strict.code, Some(2));
    let told = "leases.csv line 3: its first field is no address";
    assert!(strict.stderr.contains(told), "{}", strict.stderr);
    assert!(strict.stderr.contains("1 problem and --strict: nothing was imported"));
    assert!(!home.path("daicho.db").exists());
    let result = home.json(&["import", "dhcp", "leases.csv"]);
    assert_eq!(result["assets"].as_array().unwrap().len(), 1);
    assert_eq!(result["scan"]["complete"], false);
    let gap = &result["scan"]["gaps"][0];
    assert_eq!(
        (&gap["target"], &gap["reason"]),
        (&"leases.csv line 3".into(), &"its first field is no address".into())
    );
    home.write("good.csv", KEA);
    home.json(&["import", "dhcp", "good.csv", "--strict"]);
}

#[test]
fn what_cannot_be_told_is_refused_with_what_would_help() {
    let home = Home::new();
    home.write("notes", "these are notes\n");
    let check = |arguments: &[&str], words: &str| {
        let run = home.run(arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{words:?} is not in {}", run.stderr);
        assert!(!home.path("daicho.db").exists());
    };
    check(&["import", "dhcp", "notes"], "notes: its contents do not say which format it has");
    check(
        &["import", "scan", "notes"],
        "--type (nmap-xml, masscan-json, masscan-list, naabu-json)",
    );
    check(&["import", "dhcp", "notes", "--type", "arp"], "is the format of something else");
    check(&["import", "dhcp", "notes", "--type", "pdf"], "is not a format (log, dhcpd-leases,");
    check(&["import", "dhcp", "none"], "cannot read none: No such file");
    check(&["import", "dhcp", "."], ". is a folder");
    check(&["import", "dhcp"], "no file is named");
    check(&["import", "dhcp", "--follow", "notes", "--strict"], "cannot be used with");
    check(&["import", "dhcp", "--follow", "notes", "--type", "kea-json"], "does not grow");
}

#[test]
fn standard_input_is_read_and_local_time_means_what_is_said() {
    let home = Home::new();
    let import = |offset: &[&str]| {
        let line = ["import", "dhcp", "-", "--format", "json"];
        let mut command = home.command(&[&line[..], offset].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let text =
            "nov/27/2025 04:00:00 dhcp,info dhcp1 assigned 192.0.2.110 to 00:00:5E:00:53:61\n";
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let result = Run::of(child.wait_with_output().unwrap()).json();
        assert_eq!(result["imports"][0]["path"], "standard input");
        result["assets"][0]["last_seen"].as_str().unwrap().to_owned()
    };
    assert_eq!(import(&["--utc-offset", "+09:00"]), "2025-11-26T19:00:00Z");
    assert_eq!(import(&["--utc-offset", "-03:30"]), "2025-11-27T07:30:00Z");
}

#[test]
fn another_scanners_results_are_services_and_an_attack_is_none() {
    let home = Home::new();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/imports");
    let nmap = format!("{fixtures}/nmap.xml");
    let bomb = format!("{fixtures}/nmap-bomb.xml");
    let before = Instant::now();
    let result = home.json(&["import", "scan", &nmap, &bomb]);
    assert!(before.elapsed() < Duration::from_secs(20));
    let asset = &result["assets"][0];
    let services: Vec<String> = asset["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| format!("{} {} {} {}", s["port"], s["protocol"], s["product"], s["version"]))
        .collect();
    assert_eq!(
        services,
        ["22 \"ssh\" \"OpenSSH\" \"9.2p1\"", "80 null null null", "443 \"http\" \"nginx\" null"]
    );
    assert_eq!(asset["macs"], serde_json::json!(["00:00:5e:00:53:c1"]));
    assert_eq!(result["assets"].as_array().unwrap().len(), 3);
    assert!(!result.to_string().contains("root:"), "{result}");
}

/// The program, reading on.
struct Following(Child);

impl Following {
    fn start(home: &Home, name: &str) -> Self {
        let line =
            ["import", "dhcp", "--follow", name, "--utc-offset", "+00:00", "--format", "json"];
        let mut command = home.command(&line);
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Asks for the end, and what it then printed.
    fn end(self) -> (Value, Duration) {
        let before = Instant::now();
        let pid = self.0.id().to_string();
        let killed = std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(killed.success());
        let run = Run::of(self.0.wait_with_output().unwrap());
        (run.json(), before.elapsed())
    }
}

fn line(host: u8) -> String {
    format!(
        "2026-03-01T00:00:{host:02}Z gate dhcpd: DHCPACK on 192.0.2.{host} to \
         00:00:5e:00:53:{host:02x} via eth0\n"
    )
}

/// Waits until there are so many assets.
fn wait_for(home: &Home, wanted: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let known = home.run(&["assets", "--format", "json"]);
        let assets: Value = serde_json::from_str(&known.stdout).unwrap_or_default();
        if assets.as_array().is_some_and(|assets| assets.len() == wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{wanted} assets did not come: {assets}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn append(home: &Home, name: &str, text: &str) {
    let mut file = OpenOptions::new().append(true).open(home.path(name)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_log_is_followed_over_its_rotations_and_ends_at_once_with_everything_stored() {
    let home = Home::new();
    home.write("log", "Mar  1 00:00:00 gate cron: nothing of ours\n");
    append(&home, "log", &line(1));
    let following = Following::start(&home, "log");
    // Without an end to it, assets come.
    wait_for(&home, 1);
    append(&home, "log", &line(2));
    // Renamed, with a last line in the old one, and begun anew.
    fs::rename(home.path("log"), home.path("log.1")).unwrap();
    append(&home, "log.1", &line(3));
    home.write("log", line(4) + "Mar  1 00:00:00 gate cron: more of nothing that would be ours\n");
    wait_for(&home, 4);
    // Emptied and written again, with fewer bytes than were read.
    File::create(home.path("log")).unwrap();
    append(&home, "log", &line(5)[..40]);
    append(&home, "log", &line(5)[40..]);
    wait_for(&home, 5);
    append(&home, "log", &line(6));
    wait_for(&home, 6);
    // A line of which only the beginning is written tells nothing yet.
    append(&home, "log", &line(7)[..line(7).len() - 12]);
    let (result, took) = following.end();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(result["assets"].as_array().unwrap().len(), 6, "{result}");
    let imported = &result["imports"][0];
    assert_eq!((&imported["records"], &imported["problems"]), (&6.into(), &0.into()));
    assert_eq!(result["scan"]["complete"], true, "{result}");
    assert_eq!(assets(&home).len(), 6);
}

#[test]
fn a_pipe_that_stays_open_is_read_until_the_end_is_asked_for() {
    let home = Home::new();
    let mut command = home.command(&["import", "dhcp", "-", "--format", "json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(line(1).as_bytes()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    // The database is made when the format is known.
    while !home.path("daicho.db").exists() {
        assert!(Instant::now() < deadline, "nothing was read");
        std::thread::sleep(Duration::from_millis(20));
    }
    let before = Instant::now();
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let run = Run::of(child.wait_with_output().unwrap());
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    assert_eq!(run.code, Some(143), "{}", run.stderr);
    assert_eq!(assets(&home).len(), 1);
    drop(input);
}
