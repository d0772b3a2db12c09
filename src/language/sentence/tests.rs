use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use inventory::compare;

use super::{super::sentences, *};

#[track_caller]
fn check(english: &str, expected: &str) {
    assert_eq!(japanese(english).as_deref(), Some(expected), "{english}");
}

#[test]
fn a_sentence_is_told_with_its_values() {
    check("none of its identifiers is in the device register", "どの識別子も機器台帳にない");
    check(
        "web.example on 192.0.2.5:443 (web (192.0.2.5)): it expired at 2026-11-01T00:00:00Z, 3 days \
         ago",
        "192.0.2.5:443 (web (192.0.2.5)) の web.example: 2026-11-01T00:00:00Z に有効期限切れ(3日前)",
    );
    check(
        "matches D-7 by MAC 00:00:5e:00:53:01, whose approval ended with 2026-03-31",
        "D-7 に一致: MACアドレス 00:00:5e:00:53:01。承認は 2026-03-31 に終了",
    );
    check(
        "nginx 1.24 is not in the software register; seen by 192.0.2.5:443",
        "nginx 1.24 はソフトウェア台帳にない。根拠: 192.0.2.5:443",
    );
    check(
        "from 192.0.2.1 to 192.0.2.2: the same mac 00:00:5e:00:53:01",
        "192.0.2.1 から 192.0.2.2 に変更: 同じMACアドレス 00:00:5e:00:53:01",
    );
    check(
        "mac 00:00:5e:00:53:01 (arp reply from 192.0.2.1), address 192.0.2.1 (answered arp, echo)",
        "MACアドレス 00:00:5e:00:53:01(192.0.2.1 からのARP応答)、アドレス 192.0.2.1(応答: ARP、ping)",
    );
    check(
        "the register forbids vsftpd any; seen by 192.0.2.1:21/tcp ftp",
        "台帳で vsftpd はすべてのバージョンが禁止されている。根拠: 192.0.2.1:21/tcp ftp",
    );
    check(
        "pc (192.0.2.7): speaks telnet with 192.0.2.1, 192.0.2.2 and 3 more",
        "pc (192.0.2.7): telnet で 192.0.2.1, 192.0.2.2ほか3件 と通信している",
    );
    check(
        "approved by 佐藤 花子 and 鈴木 on 2026-11-27 until 2027-03-31, as an exception (decision 12): 更新; \
         まで; known by mac 00:00:5e:00:53:01 (weak)",
        "承認(佐藤 花子、鈴木、2026-11-27)、2027-03-31 まで、例外として(判断 12): 更新; まで。\
         識別子: MACアドレス 00:00:5e:00:53:01(弱い根拠)",
    );
}

#[test]
fn what_devices_and_people_say_stays_as_it_is() {
    for text in ["", "  ", "hello", "the third floor asked", "a: b", "x; y; z", "{+}", "東京 本社"]
    {
        assert_eq!(japanese(text), None, "{text}");
    }
    // In a sentence as well, whatever it looks like.
    let name = "none of its identifiers is in {0}";
    check(&format!("host name {name}"), &format!("ホスト名 {name}"));
}

#[test]
fn a_text_of_any_length_and_form_is_done_with_soon() {
    let mut longest = Duration::ZERO;
    let parts = ["; ", ": ", " on ", " and ", ", which is retired", " (x): ", "1", "\"", " by "];
    for part in parts {
        for other in parts {
            for times in [100, 1_000, 10_000] {
                let text = format!("{part}{other}").repeat(times);
                let begun = Instant::now();
                japanese(&text);
                longest = longest.max(begun.elapsed());
            }
        }
    }
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

#[test]
fn every_pattern_can_be_read_and_every_value_is_told() {
    let mut all = BTreeSet::new();
    for (english, japanese) in sentences::all() {
        assert!(all.insert(english), "twice: {english}");
        let (parts, own) = read(english);
        let is_slot = |part: &Part| !matches!(part, Part::Text(_));
        assert!(own > 0, "nothing but values: {english}");
        assert!(
            parts.iter().zip(parts.iter().skip(1)).all(|(a, b)| !(is_slot(a) && is_slot(b))),
            "two values side by side: {english}"
        );
        let slots = parts.iter().filter(|part| is_slot(part)).count();
        let told: BTreeSet<usize> = outs(japanese)
            .into_iter()
            .filter_map(|out| match out {
                Out::Value(number) => Some(number),
                Out::Text(_) => None,
            })
            .collect();
        assert_eq!(told, (0..slots).collect(), "{english}: {japanese}");
    }
}

/// Where sentences are made that are stored. Of the second half only what has values in it: the
/// other texts there are words of devices.
const SOURCES: &[(&str, bool)] = &[
    ("certs/src/rules", true),
    ("certs/src/chain/ask.rs", true),
    ("certs/src/chain/mod.rs", true),
    ("inventory/src/compare", true),
    ("inventory/src/event.rs", true),
    ("inventory/src/identity", true),
    ("inventory/src/download.rs", true),
    ("inventory/src/register/day.rs", true),
    ("inventory/src/register/value.rs", true),
    ("scanner/src/collect.rs", true),
    ("scanner/src/scope.rs", true),
    ("scanner/src/sweep/guard.rs", true),
    ("scanner/src/sweep/report.rs", true),
    ("scanner/src/sweep/sending.rs", true),
    ("inventory/src/approval/apply.rs", false),
    ("inventory/src/class.rs", false),
    ("inventory/src/evidence.rs", false),
];

/// What is no sentence: subjects and titles of findings, names with addresses.
const NO_SENTENCES: &[&str] = &[
    "{}: {}",
    "{} {}",
    "{} ({})",
    "{} cleartext:{}",
    "{} software:{}",
    "{}: {} on {}",
    "asset {}",
    " ({})",
    "{} on {}",
    "{}: {}{}",
    ", moved from ",
];

/// Sentences that are put together of several pieces: the pieces, and one of them.
const COMPOSED: &[(&[&str], &str)] = &[
    (&["{}: {}", "{} on {}: {}"], "a on 192.0.2.1:1 (b): it expired at c, 3 days ago"),
    (
        &["its key is {}, which no current standard allows{}", ", and short with {} bits"],
        "its key is DSA, which no current standard allows, and short with 1024 bits",
    ),
    (
        &[
            "it has the poison extension of Certificate Transparency{}",
            ", and signed timestamps, which it must not have",
        ],
        "it has the poison extension of Certificate Transparency, and signed timestamps, which it \
         must not have",
    ),
    (&["the {}'s {} {}"], "the issuer's \"jp\" is not in capitals"),
    (&["{}; {}", "{}; and {} more"], "a maximum; a maximum; and 3 more"),
    (
        &["{} ({}): that of its {} key ends at {}"],
        "192.0.2.1:22 (a): that of its ecdsa key ends at b",
    ),
    (&["it accepts {} and {} more"], "192.0.2.1:443 (a): it accepts TLS_A, TLS_B and 3 more"),
    (
        &[
            "a quotation mark opens a cell here and is never closed{}",
            "; nothing behind this line was read",
        ],
        "line 3: a quotation mark opens a cell here and is never closed; nothing behind this line was \
         read",
    ),
    (&[" and "], "its host names belong to a and b"),
    (&[" or "], "nginx 1 is not in < 1 or > 2"),
    (
        &["; only changeable identifiers name it, so it may be a known device under new ones"],
        "none of its identifiers is in the device register; only changeable identifiers name it, so \
         it may be a known device under new ones",
    ),
    (&["; last seen {}"], "matches a by MAC b, which is retired; last seen c"),
    (&["the register forbids {} {}"], "the register forbids nginx < 1"),
    (&["{} {}"], "b: 192.0.2.1 gives out leases"),
    (
        &[
            "it was renewed by sha256 {}, and the old one is served again on",
            "it was renewed by sha256 {} on {}, and the old one is still served on {} of {} places:",
        ],
        "it was renewed by sha256 a on b, and the old one is still served on 1 of 2 places: c",
    ),
    (
        &["{} more", "also on {} {}: {}"],
        "also on assets 1, 2, 3 more: shown by several machines at once, so it tells none of them",
    ),
    (&["gives out leases"], "b: 192.0.2.1 gives out leases"),
    (&["gives out leases of IPv6"], "b: 192.0.2.1 gives out leases of IPv6"),
    (&["tells hosts to send their packets to it"], "b: a tells hosts to send their packets to it"),
    (&["tells hosts which addresses to take"], "b: a tells hosts which addresses to take"),
    (
        &[" (weak)", "{}; known by {}{}"],
        "retired by a on b (decision 1): c; known by address 192.0.2.1 (weak)",
    ),
];

#[test]
fn every_sentence_that_is_made_is_in_a_table() {
    let known: BTreeSet<String> = sentences::all().map(|(english, _)| plain(english)).collect();
    let composed = COMPOSED.iter().flat_map(|(pieces, _)| pieces.iter().copied());
    let mut other: BTreeSet<&str> = composed.chain(NO_SENTENCES.iter().copied()).collect();
    for rule in certs::RULES {
        other.extend([rule.title, rule.citation]);
    }
    for rule in compare::RULES {
        other.extend([rule.title, rule.citation]);
    }
    for (_, sentence) in COMPOSED {
        assert!(japanese(sentence).is_some(), "{sentence}");
    }
    let (mut found, mut missing) = (0, Vec::new());
    for (place, whole) in SOURCES {
        for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(place)) {
            let text = fs::read_to_string(&file).unwrap();
            for literal in literals(&text) {
                let is_text = literal.contains(' ') && literal.contains(char::is_lowercase);
                if !is_text || !(*whole || literal.contains('{')) {
                    continue;
                }
                found += 1;
                let pattern = plain(&literal);
                // What is wrong with a name stands behind it.
                let of_name = format!("{{}} {pattern}");
                if !known.contains(&pattern)
                    && !known.contains(&of_name)
                    && !other.contains(pattern.as_str())
                {
                    missing.push(format!("{}: {literal}", file.display()));
                }
            }
        }
    }
    assert!(found > 300, "only {found} texts were found: are the files where they were?");
    assert!(missing.is_empty(), "not in Japanese:\n{}", missing.join("\n"));
}

/// A pattern or a format string without what its values are called.
fn plain(pattern: &str) -> String {
    let mut plain = String::new();
    let mut rest = pattern;
    while let Some((before, behind)) = rest.split_once('{') {
        plain.push_str(before);
        plain.push_str("{}");
        rest = behind.split_once('}').map_or("", |(_, behind)| behind);
    }
    plain.push_str(rest);
    plain.replace("\"{}\"", "{}")
}

fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let mut files: Vec<PathBuf> =
        fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|file| file.extension().is_some() && !file.ends_with("tests.rs"));
    files
}

/// The string literals of Rust code, as they are meant; none of its tests and comments.
fn literals(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code: Vec<&str> =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            // A quotation mark as a letter.
            '\'' if letters.peek() == Some(&'"') => drop(letters.next()),
            '"' => {
                let mut text = String::new();
                while let Some(letter) = letters.next() {
                    match letter {
                        '"' => break,
                        '\\' => match letters.next() {
                            Some('\n') => while letters.next_if(|c| c.is_whitespace()).is_some() {},
                            Some(escaped) => text.push(escaped),
                            None => {}
                        },
                        letter => text.push(letter),
                    }
                }
                found.push(text);
            }
            _ => {}
        }
    }
    found
}
