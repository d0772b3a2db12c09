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
}

#[test]
fn mistakes_are_named() {
    let home = Home::new();
    check(&home, "no-command", &[]);
    check(&home, "wrong-target", &["sweep", "10.0.0.0/33", "192.0.2.9-1", "--dry-run"]);
    check(&home, "no-database", &["assets"]);
    check(&home, "wrong-query", &["assets", "--where", "colour=red"]);
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
    let devices = "reference,MAC address,IP address,owner,status\n\
                   SRV-1,,127.0.0.1,Sato,approved\n\
                   PC-2,00:00:5e:00:53:0,,Suzuki,approved\n";
    home.write("devices.csv", devices);
    let import = ["register", "import", "devices.csv", "--kind", "device"];
    check(&home, "import-strict", &[&import[..], &["--strict"]].concat());
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
