//! Mistakes of users and of the world: one clear message each, exit code 2, nothing lost.

use crate::home::{Home, Run};

/// Runs the command; it must fail with a message that holds every one of these parts.
#[track_caller]
fn refuses(home: &Home, arguments: &[&str], parts: &[&str]) {
    let run = home.run(arguments);
    assert_eq!(
        run.code,
        Some(2),
        "{arguments:?}\nstdout:\n{}\nstderr:\n{}",
        run.stdout,
        run.stderr
    );
    assert_eq!(run.stdout, "", "a failure prints no data: {arguments:?}");
    for part in parts {
        assert!(run.stderr.contains(part), "{arguments:?}: {part:?} is not in:\n{}", run.stderr);
    }
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}

#[test]
fn targets_that_mean_nothing_are_named() {
    let home = Home::new();
    for (target, part) in [
        ("10.0.0.0/33", "at most 32 bits"),
        ("192.0.2.40-10", "backwards"),
        ("192.0.2.10-", "range is empty"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("0.0.0.0", "unspecified"),
        ("2001:db8::/64", "not on a link of this machine"),
        ("192.0.2.1:22", "--ports 22"),
        ("not_a_name!", "not_a_name!"),
    ] {
        refuses(&home, &["sweep", target, "--dry-run"], &[target, part]);
    }
    // The error of one argument does not hide that of another.
    refuses(&home, &["sweep", "10.0.0.0/33", "192.0.2.9-1", "--dry-run"], &["/33", "192.0.2.9-1"]);
}

#[test]
fn a_large_sweep_wants_to_be_meant() {
    let home = Home::new();
    refuses(&home, &["sweep", "198.0.0.0/11", "--dry-run"], &["--yes-large"]);
    // All of IPv4 is refused in any case: not everything in it is a device.
    for more in [&[][..], &["--yes-large"]] {
        refuses(&home, &[&["sweep", "0.0.0.0/0", "--dry-run"], more].concat(), &["0.0.0.0/0"]);
    }
    let run = home.run(&["sweep", "198.0.0.0/11", "--dry-run", "--yes-large", "--io", "connect"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn values_that_cannot_be_are_named() {
    let home = Home::new();
    let sweep = ["sweep", "127.0.0.1", "--dry-run"];
    for (flag, value, parts) in [
        ("--rate", "fast", ["--rate", "1000pps"]),
        ("--host-rate", "0", ["--host-rate", "1pps"]),
        ("--ports", "22,http", ["http", "1 to 65535"]),
        ("--ports", "90-80", ["90-80", "backwards"]),
        ("--io", "quick", ["--io", "connect"]),
        ("--profile", "gentle", ["--profile", "polite"]),
        ("--exclude", "10.0.0.0/33", ["10.0.0.0/33", "32 bits"]),
        ("--fail-on", "bad", ["bad", "critical"]),
        ("--interface", "no-such-if0", ["no-such-if0", "interface"]),
    ] {
        refuses(&home, &[&sweep[..], &[flag, value]].concat(), &parts);
    }
    refuses(
        &home,
        &["findings", "accept", "1", "--until", "soon", "--reason", "x"],
        &["soon", "date"],
    );
    refuses(&home, &["certs", "list", "--expiring", "30"], &["30", "30d"]);
}

#[test]
fn a_list_that_cannot_be_read_is_named_and_bad_lines_cost_only_themselves() {
    let home = Home::new();
    refuses(&home, &["sweep", "@no-such-file", "--dry-run"], &["no-such-file"]);
    home.write("list", "# ours\n127.0.0.1\n10.0.0.0/33\n\n127.0.0.2 # second\n");
    let run = home.run(&["sweep", "@list", "--dry-run", "--io", "connect"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("line 3") && run.stderr.contains("/33"), "{}", run.stderr);
    assert!(run.stdout.contains("2 addresses"), "{}", run.stdout);
}

#[test]
fn a_configuration_that_is_wrong_says_where() {
    let home = Home::new();
    home.write("bad.toml", "[sweep]\nrat = \"5pps\"\n");
    refuses(&home, &["--config", "bad.toml", "doctor"], &["bad.toml", "sweep.rat", "sweep.rate"]);
    refuses(&home, &["--config", "none.toml", "doctor"], &["none.toml"]);
    let mut command = home.command(&["doctor"]);
    command.env("DAICHO_SWEEP_RATES", "5pps");
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("did you mean DAICHO_SWEEP_RATE?"), "{}", run.stderr);
}

#[test]
fn reading_what_is_not_there_says_how_to_make_it() {
    let home = Home::new();
    for command in [&["assets"][..], &["findings"], &["certs", "list"], &["assets", "show", "1"]] {
        refuses(&home, command, &["daicho.db", "sweep"]);
    }
    assert!(!home.path("daicho.db").exists(), "reading made a database");
}

#[test]
fn a_file_that_is_no_database_is_left_as_it_is() {
    let home = Home::new();
    home.write("daicho.db", "These are my notes, not a database.\n".repeat(40));
    refuses(&home, &["assets"], &["daicho.db", "not"]);
    refuses(&home, &["sweep", "127.0.0.1", "--ports", "1"], &["daicho.db", "not"]);
    let kept = std::fs::read_to_string(home.path("daicho.db")).unwrap();
    assert!(kept.starts_with("These are my notes"));
}

#[test]
fn a_register_that_cannot_be_read_is_named() {
    let home = Home::new();
    let import = |file| ["register", "import", file, "--kind", "device"];
    refuses(&home, &import("none.csv"), &["none.csv"]);
    home.write("empty.csv", "");
    refuses(&home, &import("empty.csv"), &["empty.csv"]);
    home.write("book.xlsx", b"PK\x03\x04rest of a zip");
    refuses(&home, &import("book.xlsx"), &["book.xlsx", "damaged"]);
    home.write("other.csv", "colour,taste\nred,sweet\n");
    refuses(&home, &import("other.csv"), &["other.csv", "heading"]);
}

#[test]
fn a_register_is_not_emptied_by_a_file_that_was_saved_by_half() {
    let home = Home::new();
    let import = |more: &[&'static str]| {
        [&["register", "import", "devices.csv", "--kind", "device"], more].concat()
    };
    let lines = |count: usize| -> String {
        let line = |n| format!("PC-{n},00:00:5e:00:53:{n:02x}\n");
        ["reference,mac\n".to_owned()].into_iter().chain((0..count).map(line)).collect()
    };
    let entries = || home.json(&["register", "list", "--kind", "device"]).as_array().unwrap().len();
    home.write("devices.csv", lines(20));
    assert_eq!(home.run(&import(&[])).code, Some(0));
    home.write("devices.csv", lines(0));
    refuses(&home, &import(&[]), &["devices.csv", "no entry", "--allow-empty"]);
    home.write("devices.csv", lines(9));
    refuses(&home, &import(&["--max-removed", "50"]), &["11 of 20 entries", "--dry-run"]);
    assert_eq!(entries(), 20);
    home.write("devices.csv", lines(10));
    assert_eq!(home.run(&import(&["--max-removed", "50"])).code, Some(0));
    assert_eq!(entries(), 10);
    home.write("devices.csv", lines(0));
    assert_eq!(home.run(&import(&["--allow-empty"])).code, Some(0));
    assert_eq!(entries(), 0);
}
