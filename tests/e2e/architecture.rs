//! The rules of `docs/architecture.md` that a machine can check.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Which crates of ours each crate may depend on. Adding an arrow here is an architectural
/// decision and belongs in its own change.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &["model"]),
    ("certs", &["model", "wire"]),
    ("schedule", &["model"]),
    ("config", &["model", "schedule"]),
    ("scanner", &["model", "wire", "certs"]),
    ("inventory", &["model", "certs"]),
    ("openid", &[]),
    ("fuzz", &["model", "schedule", "wire", "certs", "config", "scanner", "inventory", "openid"]),
    ("tests/lab", &[]),
    ("tests/bench", &["lab", "inventory", "model", "scanner"]),
];

/// What may only be written in some places: words, where they are allowed, and why.
const HOMES: &[(&[&str], &[&str], &str)] = &[
    (
        &["TcpStream", "UdpSocket", "TcpListener", "UnixStream", "socket2::", "pnet_datalink"],
        &["scanner/src/net/", "src/notify/", "src/web/"],
        "sockets are opened in scanner::net, to deliver in src/notify, and to serve in src/web, only",
    ),
    (
        &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "now_utc"],
        &["src/", "scanner/src/net/", "tests/"],
        "the clock is read by the program and by the scanner's link only",
    ),
    (
        &["sqlx::", "SELECT ", "INSERT ", "UPDATE ", "PRAGMA "],
        &["inventory/src/store/"],
        "SQL is written in inventory::store only",
    ),
    (
        &["unsafe {", "unsafe fn", "unsafe impl"],
        &["scanner/src/net/"],
        "unsafe is at home in scanner::net only",
    ),
    (
        &["println!", "print!(", "stdout()"],
        &["src/", "tests/", "inventory/src/store/measure.rs"],
        "only the program prints",
    ),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder` that is part of a crate, as path from the root and text
/// without its unit tests.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            found.push((name, text));
        }
    }
}

/// Whether another file says that this one is for tests only: `#[cfg(test)] mod name;`.
fn is_for_tests(file: &str, all: &[(String, String)]) -> bool {
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    let name = name.trim_end_matches(".rs");
    let declares = |text: &str| {
        let test_modules = text.split("#[cfg(test)]\n").skip(1);
        let mut declared = test_modules.filter_map(|rest| rest.lines().next());
        declared.any(|line| line.ends_with(&format!("mod {name};")))
    };
    // The module above lies in the same folder, as mod.rs or lib.rs, or beside it under its name.
    all.iter().any(|(other, text)| {
        let parent =
            other.trim_end_matches(".rs").trim_end_matches("/mod").trim_end_matches("/lib");
        parent == folder && declares(text)
    }) || file.contains("/tests/")
}

fn without_tests(text: &str) -> String {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

fn product_sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for room in ["model", "wire", "certs", "config", "scanner", "inventory", "openid"] {
        sources(&root().join(room).join("src"), &mut found);
    }
    sources(&root().join("src"), &mut found);
    let product: Vec<(String, String)> = found
        .iter()
        .filter(|(file, _)| !is_for_tests(file, &found))
        .map(|(file, text)| (file.clone(), without_tests(text)))
        .collect();
    assert!(product.len() > 150, "the sources were not found");
    assert!(product.len() < found.len(), "files of tests were not told apart");
    product
}

#[test]
fn crates_use_only_what_the_map_allows() {
    for (room, allowed) in MAY_USE {
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let mut all = Vec::new();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            all.extend(table.keys().cloned());
        }
        assert!(!all.is_empty(), "{room} has no dependencies at all");
        for ours in all.iter().filter_map(|name| name.strip_prefix("daicho-")) {
            assert!(allowed.contains(&ours), "{room} may not use {ours}");
        }
    }
}

#[test]
fn sockets_clock_and_sql_stay_at_home() {
    let mut strays = Vec::new();
    for (file, text) in product_sources() {
        for (words, homes, why) in HOMES {
            if homes.iter().any(|home| file.starts_with(home)) {
                continue;
            }
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if let Some(word) = words.iter().find(|word| code.contains(*word)) {
                    strays.push(format!("{file}:{}: {word}: {why}", number + 1));
                }
            }
        }
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

#[test]
fn the_scanner_of_strays_sees_a_stray() {
    let text = "fn f() { let t = SystemTime::now(); } // SELECT is only a word here\n\
                #[cfg(test)]\nmod tests { fn g() { Instant::now(); } }";
    let code = without_tests(text);
    assert!(code.contains("SystemTime::now") && !code.contains("Instant::now"));
}

#[test]
fn a_crate_of_hostile_bytes_forbids_what_panics() {
    for room in
        ["wire/src/lib.rs", "certs/src/lib.rs", "openid/src/lib.rs", "scanner/src/import/mod.rs"]
    {
        let text = fs::read_to_string(root().join(room)).unwrap();
        // Of the scanner, the room of sockets has `unsafe`, and a test knows that no other has.
        assert!(room.starts_with("scanner") || text.contains("forbid(unsafe_code)"), "{room}");
        for lint in [
            "clippy::indexing_slicing",
            "clippy::arithmetic_side_effects",
            "clippy::unwrap_used",
            "clippy::expect_used",
            "clippy::panic",
        ] {
            assert!(text.contains(lint), "{room} does not have {lint}");
        }
    }
}

/// A file is read as a whole. Its tests may be as long as they need to be.
const LONGEST: usize = 520;

#[test]
fn files_can_be_read_at_once() {
    let long: Vec<String> = product_sources()
        .into_iter()
        .map(|(file, text)| (text.lines().count(), file))
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(lines, file)| format!("{file}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn pages_that_pages_name_exist() {
    let mut pages = vec![root().join("README.md")];
    pages.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for page in pages.iter().filter(|page| page.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http") && !link.starts_with('#')) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = page.parent().unwrap().join(path);
            assert!(target.exists(), "{} names {link}, which is not there", page.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).unwrap().to_lowercase();
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let mut names =
                    headings.map(|line| line.trim_matches(['#', ' ']).replace(' ', "-"));
                assert!(names.any(|name| name == heading), "{} names {link}", page.display());
            }
        }
    }
}

#[test]
fn tests_that_the_page_about_security_names_exist() {
    let text = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let mut all = Vec::new();
    for room in ["src", "tests/e2e", "inventory", "config/src", "openid/src"] {
        sources(&root().join(room), &mut all);
    }
    let words = text.split('`').skip(1).step_by(2);
    let named: Vec<&str> = words.filter(|word| word.matches('_').count() > 3).collect();
    assert!(named.len() > 30, "no tests are named");
    for name in named {
        let head = format!("fn {name}()");
        assert!(all.iter().any(|(_, text)| text.contains(&head)), "there is no test {name}");
    }
}
