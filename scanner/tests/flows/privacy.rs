//! What users say to each other is in no observation, be it as a fact or as evidence: what Zeek
//! logs of users, secrets, queries, addresses and subjects of mail is looked for in all that is
//! told of the same captures.

use std::{collections::BTreeSet, fs, path::Path};

use super::{capture, corpus, frames, listen};

/// The columns of logs that hold what is nobody's business, by log.
const SECRETS: &[(&str, &[&str])] = &[
    ("ftp", &["user", "password", "arg"]),
    ("http", &["username", "password", "uri", "referrer"]),
    ("smtp", &["mailfrom", "rcptto", "from", "to", "subject", "cc", "reply_to"]),
    ("snmp", &["community"]),
    ("mysql", &["arg"]),
    ("redis", &["cmd.key", "cmd.value"]),
    ("ntlm", &["username"]),
    ("kerberos", &["client"]),
    ("rdp", &["cookie"]),
    ("irc", &["user", "nick", "value"]),
    ("sip", &["request_from", "request_to", "uri", "subject"]),
    ("socks", &["user", "password"]),
    ("radius", &["username"]),
    ("postgresql", &["user", "database"]),
    ("ldap", &["object", "argument"]),
];

/// What is too common a word to be told from what servers say of themselves.
fn is_telling(value: &str) -> bool {
    const COMMON: &[&str] =
        &["anonymous", "<hidden>", "ftp", "root", "admin", "public", "test", "plugin"];
    let letters = value.chars().filter(|c| c.is_alphanumeric()).count();
    letters >= 5 && !COMMON.contains(&value.to_lowercase().as_str())
}

/// The values that must not be told, of a cell.
fn secrets(column: &str, cell: &str) -> Vec<String> {
    match column {
        // Of a path its last part and its query; that it exists at all is no secret.
        "uri" | "referrer" => {
            let (path, query) = cell.split_once('?').unwrap_or((cell, ""));
            let last = path.rsplit('/').next().unwrap_or_default();
            vec![last.to_owned(), query.to_owned()]
        }
        _ => {
            cell.split(',').map(|part| part.trim_matches(['<', '>', ' ', '"']).to_owned()).collect()
        }
    }
}

#[test]
fn nothing_that_users_say_is_told() {
    let Some(folder) = corpus() else { return };
    let folder = folder.join("zeek");
    let list = fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let (mut looked_for, mut found) = (0, BTreeSet::new());
    for line in list.lines().skip(1) {
        let (trace, baseline) = line.split_once('\t').unwrap();
        let log = Path::new(baseline).file_stem().unwrap().to_str().unwrap();
        let Some((_, columns)) = SECRETS.iter().find(|(name, _)| *name == log) else { continue };
        let Ok(frames) = frames(&folder.join("Traces").join(trace)) else { continue };
        let told = listen(&mut capture(), &frames);
        let mut text = String::new();
        for observation in &told {
            text.push_str(&format!("{:?} {:?}\n", observation.subject, observation.fact));
            text.push_str(&String::from_utf8_lossy(&observation.evidence));
            text.push('\n');
        }
        let text = text.to_lowercase();
        let rows = super::zeek::rows(&folder.join("Baseline").join(baseline));
        for row in rows {
            for column in *columns {
                let Some(cell) = row.get(*column) else { continue };
                for secret in secrets(column, cell) {
                    if is_telling(&secret) {
                        looked_for += 1;
                        if text.contains(&secret.to_lowercase()) {
                            found.insert(format!("{trace} {log}.{column}: {secret}"));
                        }
                    }
                }
            }
        }
    }
    println!("privacy: {looked_for} values of users looked for, {} found", found.len());
    for one in &found {
        println!("  {one}");
    }
    assert!(looked_for > 300, "{looked_for}");
    assert_eq!(found, BTreeSet::new());
}
