//! Snapshots of the command line: exit code, standard output, standard error. What differs from
//! run to run (times, folders, tiers) is replaced by a word.

use crate::home::{Home, Run};

/// Compares what a command left behind with `tests/snapshots/NAME.snap`.
fn check(home: &Home, name: &str, arguments: &[&str]) {
    let run = home.run(arguments);
    let Run { code, stdout, stderr } = run;
    let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
    let text = format!(
        "$ daicho {}\nexit code {code}\n-- stdout\n{stdout}-- stderr\n{stderr}",
        arguments.join(" ")
    );
    let folder = home.path("").display().to_string();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(&regex_of(folder.trim_end_matches('/')), "HOME");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME");
    settings.add_filter(r"in \d+ s\b", "in N s");
    settings.add_filter(r"on \d{4}-\d\d-\d\d\b", "on DAY");
    settings.add_filter(r"\b\d+ packets in", "N packets in");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// A path as a regular expression that means itself.
fn regex_of(path: &str) -> String {
    path.replace('.', r"\.")
}

#[test]
fn help_names_every_command_and_flag() {
    let home = Home::new();
    check(&home, "help", &["--help"]);
    check(&home, "help-sweep", &["sweep", "--help"]);
    check(&home, "help-alert", &["alert", "--help"]);
    check(&home, "help-register-import", &["register", "import", "--help"]);
    check(&home, "help-approve-asset", &["approve", "asset", "--help"]);
}

#[test]
fn mistakes_are_named() {
    let home = Home::new();
    check(&home, "no-command", &[]);
    check(&home, "wrong-target", &["sweep", "10.0.0.0/33", "192.0.2.9-1", "--dry-run"]);
    check(&home, "no-database", &["assets"]);
    check(&home, "wrong-query", &["assets", "--where", "colour=red"]);
    check(&home, "wrong-day", &["assets", "--where", "seen<7d and first>=2026/11/22"]);
    check(&home, "accept-without-reason", &["findings", "accept", "1", "--until", "2027-03-31"]);
}

#[test]
fn the_plan_of_a_sweep_is_told() {
    let home = Home::new();
    let arguments =
        ["sweep", "127.0.0.1", "--ports", "22,80,u:161", "--io", "connect", "--dry-run"];
    check(&home, "dry-run", &arguments);
}

#[test]
fn a_first_day_with_registers() {
    let home = Home::new();
    // The port is closed wherever this runs: nothing may listen on it (RFC 6335 leaves it unassigned).
    let sweep = ["sweep", "127.0.0.1", "--ports", "4", "--io", "connect"];
    check(&home, "first-sweep", &sweep);
    check(&home, "assets", &["assets"]);
    check(&home, "scans", &["scans"]);
    check(&home, "scans-show", &["scans", "show", "1"]);
    check(&home, "scans-show-json", &["scans", "show", "1", "--format", "json"]);
    check(&home, "scans-none", &["scans", "show", "7"]);
    let devices = "reference,MAC address,IP address,owner,status\n\
                   SRV-1,,127.0.0.1,Sato,approved\n\
                   PC-2,00:00:5e:00:53:0,,Suzuki,approved\n";
    home.write("devices.csv", devices);
    let import = ["register", "import", "devices.csv", "--kind", "device"];
    check(&home, "import-strict", &[&import[..], &["--strict"]].concat());
    check(&home, "import-dry-run", &[&import[..], &["--dry-run"]].concat());
    check(&home, "import", &import);
    check(&home, "register-list", &["register", "list", "--kind", "device"]);
    check(
        &home,
        "register-list-json",
        &["register", "list", "--kind", "device", "--format", "json"],
    );
    check(&home, "register-none", &["register", "list", "--kind", "software"]);
    check(&home, "findings", &["findings"]);
    check(&home, "certs", &["certs", "list", "--expiring", "30d"]);
}

#[test]
fn a_stranger_is_decided_about_and_the_audit_tells() {
    let home = Home::new();
    home.write("devices.csv", "reference,MAC address\nPC-2,00:00:5e:00:53:02\n");
    let import = ["register", "import", "devices.csv", "--kind", "device", "--as", "sato"];
    assert_eq!(home.run(&import).code, Some(0));
    let sweep = ["sweep", "127.0.0.1", "--ports", "4", "--io", "connect"];
    assert_eq!(home.run(&sweep).code, Some(0));
    let decide = |verb| [verb, "asset", "1", "--as", "sato"];
    let by_reason = |verb, reason| [&decide(verb)[..], &["--reason", reason]].concat();
    check(
        &home,
        "decide-dry-run",
        &by_reason("approve", "x").into_iter().chain(["--dry-run"]).collect::<Vec<_>>(),
    );
    check(
        &home,
        "investigate",
        &[&by_reason("investigate", "whose?")[..], &["--until", "2099-12-31"]].concat(),
    );
    check(&home, "approve", &by_reason("approve", "our own"));
    assert_eq!(home.run(&["findings"]).stdout, "no findings\n");
    // Importing the register again changes nothing about it.
    assert_eq!(home.run(&import).code, Some(0));
    assert_eq!(home.run(&["findings"]).stdout, "no findings\n");
    check(
        &home,
        "reject-by-query",
        &[
            "reject",
            "asset",
            "--where",
            "registration=registered",
            "--reason",
            "gone",
            "--as",
            "mori",
        ],
    );
    check(&home, "decisions", &["decisions", "--all"]);
    check(
        &home,
        "decide-nobody",
        &["retire", "asset", "--where", "class=printer", "--reason", "x"],
    );
    let audit = home.json(&["audit", "list"]);
    let done: Vec<&str> =
        audit.as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(done, ["reject", "import", "approve", "investigate", "import"]);
    assert!(audit[0]["who"].as_str().unwrap().starts_with("mori"));
    let verified = home.json(&["audit", "verify", "--head", audit[1]["hash"].as_str().unwrap()]);
    assert_eq!(verified["head"], audit[0]["hash"]);
    assert_eq!((verified["entries"].as_u64(), verified["kept"].as_bool()), (Some(5), Some(true)));
    let cut = home.run(&["audit", "verify", "--head", "ab"]);
    assert_eq!(cut.code, Some(2));
    assert!(cut.stderr.contains("cut off or written anew"), "{}", cut.stderr);
}

#[test]
fn with_four_eyes_another_person_confirms() {
    let home = Home::new();
    let config = home.write("four.toml", "[approval]\nfour_eyes = true\n");
    let config = config.to_str().unwrap();
    let sweep = ["sweep", "127.0.0.1", "--ports", "4", "--io", "connect"];
    assert_eq!(home.run(&sweep).code, Some(0));
    let run = |arguments: &[&str]| home.run(&[&["--config", config], arguments].concat());
    let made = run(&["approve", "asset", "1", "--reason", "ours", "--as", "sato"]);
    assert!(made.stderr.contains("1 decision waits for a second person"), "{}", made.stderr);
    let own = run(&["decisions", "confirm", "1", "--as", "sato"]);
    assert_eq!(own.code, Some(2));
    assert!(own.stderr.contains("is sato's own"), "{}", own.stderr);
    let other = run(&["decisions", "confirm", "1", "--as", "mori"]);
    assert!(other.stdout.contains("sato and mori"), "{}", other.stdout);
    assert!(other.stderr.contains("registered"), "{}", other.stderr);
}

#[test]
fn a_register_goes_out_and_in_as_a_workbook() {
    let home = Home::new();
    home.write("a.csv", "管理番号,MAC,有効期限,備考\n0007,00:00:5e:00:53:07,2027-03-31,=1+1\n");
    let import = |file: &str, more: &[&str]| {
        let line = ["register", "import", file, "--kind", "device", "--format", "json"];
        let run = home.run(&[&line[..], more].concat());
        serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"))
    };
    // Before there is a database, a preview makes none.
    assert_eq!(import("a.csv", &["--dry-run"])["added"][0], "0007");
    assert!(!home.path("daicho.db").exists());
    import("a.csv", &[]);
    assert_eq!(home.run(&["register", "export", "--kind", "device", "b.xlsx"]).code, Some(0));
    let same = import("b.xlsx", &["--sheet", "device", "--heading-row", "1"]);
    assert_eq!((same["unchanged"].as_u64(), same["format"].as_str()), (Some(1), Some("xlsx")));
    home.write("c.csv", "管理番号,MAC,有効期限,備考\n0007,00:00:5e:00:53:07,2028-03-31,=1+1\n");
    let change = import("c.csv", &["--dry-run"])["changed"][0].clone();
    assert_eq!(change["fields"][0], "valid until");
    assert_eq!(change["changes"][0]["from"], "2027-03-31");
    assert_eq!(change["changes"][0]["to"], "2028-03-31");
    let listed = home.json(&["register", "list", "--kind", "device"]);
    assert_eq!(listed[0]["valid_until"], "2027-03-31");
    let wrong = home.run(&["register", "export", "--kind", "device", "d.xls"]);
    assert!(wrong.stderr.contains("read and not written: use .xlsx"), "{}", wrong.stderr);
}
