//! Keeping the database: copies of it, and what is removed from it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::home::Home;

fn sweep(home: &Home) {
    let run = home.run(&["sweep", "127.0.0.1", "--io", "connect", "--ports", "9"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn a_backup_brings_back_what_was_lost() {
    let home = Home::new();
    sweep(&home);
    let list = home.write("devices.csv", "id,name,ip\nA-1,printer,192.0.2.7\n");
    let import = ["register", "import", list.to_str().unwrap(), "--kind", "device"];
    assert_eq!(home.run(&import).code, Some(0));
    let before = home.json(&["audit", "verify"]);
    let made = home.json(&["backup", "copy.db"]);
    assert_eq!(made["audit_head"], before["head"]);
    assert_eq!(made["bytes"], fs::metadata(home.path("copy.db")).unwrap().len());
    let mode = fs::metadata(home.path("copy.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let assets = home.json(&["assets"]);

    for file in ["daicho.db", "daicho.db-wal", "daicho.db-shm"] {
        let _ = fs::remove_file(home.path(file));
    }
    let restored = home.run(&["restore", "copy.db"]);
    assert_eq!(restored.code, Some(0), "{}", restored.stderr);
    assert_eq!(home.json(&["assets"]), assets);
    let kept = ["audit", "verify", "--head", before["head"].as_str().unwrap()];
    assert_eq!(home.json(&kept)["entries"], 2, "the import, and that it was restored");
    let itself = home.run(&["restore", "daicho.db"]);
    assert_eq!(itself.code, Some(2));
    assert!(itself.stderr.contains("is the database itself"), "{}", itself.stderr);
}

/// Does to the database what no command does.
fn tamper(home: &Home, sql: &'static str) {
    use sqlx::{Connection as _, SqliteConnection};

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite://{}", home.path("daicho.db").display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn rows_that_refer_to_nothing_are_told_loudly_and_refuse_no_copy() {
    let home = Home::new();
    sweep(&home);
    tamper(
        &home,
        "PRAGMA foreign_keys = OFF;
         INSERT INTO gap (scan, target, reason) VALUES (88, 'nowhere', 'nothing')",
    );
    let words = "1 row of gap refers to rows of scan that do not exist";
    let doctor = home.run(&["doctor"]).stdout;
    assert!(doctor.contains(words) && doctor.contains("daicho prune --mend"), "{doctor}");
    for arguments in [["backup", "copy.db"], ["restore", "copy.db"]] {
        let run = home.run(&arguments);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("warning: copy.db: {words}")), "{}", run.stderr);
        assert!(!run.stdout.contains("sound"), "{}", run.stdout);
    }
    let dry = home.json(&["prune", "--mend", "--dry-run"]);
    assert_eq!((&dry["found"][0], &dry["left"][0]), (&words.into(), &words.into()));
    let mended = home.json(&["prune", "--mend"]);
    assert_eq!((&mended["found"][0], &mended["left"]), (&words.into(), &serde_json::json!([])));
    let sound = home.run(&["backup", "copy.db", "--overwrite"]);
    assert!(sound.stdout.contains("sound") && sound.stderr.is_empty(), "{sound:?}");
    assert_eq!(home.json(&["audit", "list"])[0]["action"], "prune");
}

#[test]
fn a_backup_job_keeps_the_last_copies_and_nothing_else_goes() {
    let home = Home::new();
    sweep(&home);
    home.write(
        "daicho.toml",
        "[[jobs]]\nname = \"copies\"\nkind = \"backup\"\nschedule = \"0 4 * * *\"\n\
         folder = \"copies\"\nkeep = 2\n",
    );
    fs::create_dir(home.path("copies")).unwrap();
    for name in ["daicho-20200101T000000Z.db", "daicho-20210101T000000Z.db", "other.db"] {
        home.write(&format!("copies/{name}"), "");
    }
    let run = home.run(&["--config", "daicho.toml", "jobs", "run", "copies"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let entries = fs::read_dir(home.path("copies")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!((names[0].as_str(), names[2].as_str()), ("daicho-20210101T000000Z.db", "other.db"));
    let newest = format!("copies/{}", names[1]);
    let restored = home.run(&["restore", &newest]);
    assert_eq!(restored.code, Some(0), "{}", restored.stderr);
}

#[test]
fn a_demonstration_has_something_to_show_everywhere() {
    let home = Home::new();
    let run = home.run(&["demo", "--days", "6"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("assets show ID says why"), "{}", run.stdout);
    let shows = |arguments: &[&str]| {
        let arguments = [&["--config", "daicho.db.toml"], arguments].concat();
        home.json(&arguments)
    };
    let assets = shows(&["assets"]);
    let assets = assets.as_array().unwrap();
    assert!(assets.len() > 500, "{}", assets.len());
    for state in ["registered", "unregistered", "rejected", "retired-but-seen"] {
        assert!(assets.iter().any(|asset| asset["registration"] == state), "{state}");
    }
    for class in ["workstation", "printer", "camera", "server", "network", "controller", "phone"] {
        assert!(assets.iter().any(|asset| asset["class"] == class), "{class}");
    }
    let findings = shows(&["findings", "--all"]);
    for rule in [
        "device.unregistered",
        "device.rejected",
        "software.forbidden",
        "cert.expired",
        "cert.weak-key",
        "cleartext.in-use",
    ] {
        let there = findings.as_array().unwrap().iter().any(|finding| finding["rule"] == rule);
        assert!(there, "{rule}");
    }
    for list in [
        &["decisions"][..],
        &["audit", "list"],
        &["alert", "list"],
        &["certs", "list"],
        &["register", "list", "--kind", "software"],
    ] {
        assert!(!shows(list).as_array().unwrap().is_empty(), "{list:?}");
    }
    let jobs = shows(&["jobs"]);
    assert_ne!(jobs[0]["last"], serde_json::Value::Null);
    let checks = shows(&["doctor"])["checks"].to_string();
    assert!(checks.contains("KiB a day, over") && checks.contains("largest: "), "{checks}");

    // Twice is refused, and a prune keeps what is young.
    let again = home.run(&["demo"]);
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("fills only a new database"), "{}", again.stderr);
    let dry = shows(&["prune", "--dry-run"]);
    assert_eq!(dry["rows"], serde_json::json!({}));
}

/// The organisation after its three months is one that somebody could believe in.
#[test]
fn a_demonstration_of_three_months_is_believable() {
    let home = Home::new();
    let begun = std::time::Instant::now();
    let made = home.json(&["demo"]);
    let took = begun.elapsed();
    println!("90 days of the demonstration: {took:.0?}");
    // A build with checks on a busy machine; one with optimisations takes a tenth.
    assert!(took.as_secs() < 900, "{took:?}");
    assert_eq!(made["page"], "https://127.0.0.1:8443/");
    assert!(made["password"].as_str().unwrap().len() >= 12);
    let shows = |arguments: &[&str]| {
        let arguments = [&["--config", "daicho.db.toml"], arguments].concat();
        home.json(&arguments)
    };
    let assets = shows(&["assets"]);
    let assets = assets.as_array().unwrap();
    let of = |field: &str| {
        let mut counts = std::collections::BTreeMap::<String, usize>::new();
        for asset in assets {
            *counts.entry(asset[field].as_str().unwrap_or("none").to_owned()).or_default() += 1;
        }
        println!("{field}: {counts:?}");
        move |value: &str| counts.get(value).copied().unwrap_or_default()
    };
    let registration = of("registration");
    assert!((480..=700).contains(&assets.len()), "{}", assets.len());
    assert!(registration("registered") * 100 >= assets.len() * 90, "{}", assets.len());
    for (state, range) in [
        ("unregistered", 5..=40),
        ("rejected", 1..=3),
        ("conflicting", 1..=6),
        ("retired-but-seen", 1..=15),
        ("missing", 1..=20),
        ("expired", 0..=5),
        ("identity-uncertain", 0..=10),
        ("unknown", 0..=10),
    ] {
        assert!(range.contains(&registration(state)), "{state}: {}", registration(state));
    }
    let class = of("class");
    assert!(class("none") * 20 <= assets.len(), "{} without a class", class("none"));
    // Nothing is what it is not: of the rejected one, and of each telephone and switch.
    let named = |name: &'static str| {
        assets.iter().filter(move |asset| asset["names"].to_string().contains(name))
    };
    let router = named("router-tyo-001").next().expect("the router that was rejected");
    assert_eq!(
        (&router["registration"], &router["class"]),
        (&"rejected".into(), &"network".into())
    );
    for (name, class) in [("tel-", "phone"), ("switch-", "network"), ("pc-", "workstation")] {
        let wrong: Vec<_> = named(name).filter(|asset| asset["class"] != class).collect();
        assert!(named(name).count() > 10 && wrong.is_empty(), "{name}: {wrong:?}");
    }
    let mut rules = std::collections::BTreeMap::<String, usize>::new();
    for finding in shows(&["findings"]).as_array().unwrap() {
        *rules.entry(finding["rule"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    println!("open findings: {rules:?}");
    for (rule, count) in &rules {
        assert!(*count <= 60, "{rule}: {count}");
    }
    assert!(rules.values().sum::<usize>() < 250, "{rules:?}");
    for rule in ["device.unregistered", "dhcp.rogue-server", "software.forbidden", "cert.expired"] {
        assert!(rules.contains_key(rule), "{rule}");
    }
    let messages = shows(&["alert", "list"]);
    let messages = messages.as_array().unwrap();
    let news: Vec<u64> = messages.iter().map(|message| message["news"].as_u64().unwrap()).collect();
    println!("news of messages: {news:?}");
    assert!(messages.len() > 40 && news.iter().max() < Some(&200), "{news:?}");
}

/// What the kernel says of a process that is confined, and may hold these capabilities more.
#[track_caller]
fn is_confined(pid: u32, more: u64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.strip_prefix(':')).map(str::trim).map(str::to_owned).unwrap()
    };
    assert_eq!((field("NoNewPrivs").as_str(), field("Seccomp").as_str()), ("1", "2"));
    // CAP_CHOWN, CAP_DAC_OVERRIDE (capabilities(7)).
    let most = more | 1 << 0 | 1 << 1;
    for set in ["CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let held = u64::from_str_radix(&field(set), 16).unwrap();
        assert_eq!(held & !most, 0, "{set}: {held:x}");
    }
}

#[test]
fn a_sweep_and_the_service_give_up_what_they_do_not_need() {
    let home = Home::new();
    let arguments = ["sweep", "127.0.0.1", "--io", "connect", "--ports", "1-2000"];
    let mut sweep = home.command(&arguments).stderr(std::process::Stdio::null()).spawn().unwrap();
    // Each is confined before it makes a file; both would make the database.
    let made = |file: &str| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !home.path(file).exists() && std::time::Instant::now() < deadline {
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
    };
    made("daicho.db");
    is_confined(sweep.id(), 0);
    home.write(
        "daicho.toml",
        "[[jobs]]\nname = \"copies\"\nkind = \"backup\"\nschedule = \"0 4 29 2 *\"\n\
         folder = \"copies\"\n",
    );
    let arguments = ["--config", "daicho.toml", "serve"];
    let mut service = home.command(&arguments).stderr(std::process::Stdio::null()).spawn().unwrap();
    made("daicho.db-locks/.serve.lock");
    // To hand down: CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON, CAP_BPF.
    let handed_down = 1 << 10 | 1 << 12 | 1 << 13 | 1_u64 << 38 | 1 << 39;
    is_confined(service.id(), handed_down);
    // While the service runs nothing takes the place of its database.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        // The tables may just be being made.
        let copied = home.run(&["backup", "copy.db"]);
        if copied.code == Some(0) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{}", copied.stderr);
    }
    let refused = home.run(&["restore", "copy.db"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("is in use"), "{}", refused.stderr);
    for child in [&mut sweep, &mut service] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
