//! Register files as offices keep them, in every encoding and layout, and bytes that are
//! no register at all.

use std::{fmt::Debug, fs, path::Path};

use inventory::register::{
    Day, DeviceEntry, DeviceStatus, Encoding, Entry, Field, Form, Import, IssuerEntry, MAX_BYTES,
    ReadError, RegisterKind, Scope, ScopeItem, SoftwareEntry, SoftwareStatus, columns, diff, read,
    to_csv,
};
use proptest::prelude::*;

fn file(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

#[track_caller]
fn sample<E: Entry>(name: &str, encoding: Encoding, delimiter: char, line: u64) -> Import<E> {
    let import = read::<E>(&file(&format!("tests/registers/{name}"))).unwrap();
    assert_eq!(
        (&import.form, import.heading_line),
        (&Form::Text { encoding, delimiter }, line),
        "{name}"
    );
    import
}

fn texts<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn day(text: &str) -> Option<Day> {
    Some(text.parse().unwrap())
}

#[test]
fn an_english_register_is_read() {
    let import: Import<DeviceEntry> = sample("devices-english.csv", Encoding::Utf8, ',', 1);
    assert_eq!((import.errors, import.warnings), (vec![], vec![]));
    assert_eq!(import.unknown_columns, ["Cost centre"]);
    let [pc, printer, old, banned] = &import.entries[..] else { panic!("{:?}", import.entries) };
    assert_eq!(pc.reference, "PC-001");
    assert_eq!(pc.name.as_deref(), Some("Reception PC"));
    assert_eq!(texts(&pc.macs), ["00:11:22:33:44:01"]);
    assert_eq!(texts(&pc.addresses), ["192.0.2.11"]);
    assert_eq!(pc.host_names, ["pc-001.example.jp"]);
    assert_eq!(
        (pc.owner.as_deref(), pc.department.as_deref()),
        (Some("Sato"), Some("General affairs"))
    );
    assert_eq!((pc.location.as_deref(), pc.purpose.as_deref()), (Some("Lobby"), Some("Reception")));
    assert_eq!((pc.valid_from, pc.valid_until), (day("2025-04-01"), day("2027-03-31")));
    assert_eq!(pc.extra["Cost centre"], "4711");
    assert_eq!((printer.status, printer.valid_until), (DeviceStatus::Approved, None));
    assert!(printer.extra.is_empty());
    assert_eq!((old.status, banned.status), (DeviceStatus::Retired, DeviceStatus::Rejected));
}

#[test]
fn a_register_from_a_japanese_office_is_read() {
    let import: Import<DeviceEntry> = sample("devices-cp932.csv", Encoding::Cp932, ',', 4);
    assert_eq!((import.errors, import.warnings), (vec![], vec![]));
    let [pc, printer, old, guests] = &import.entries[..] else { panic!("{:?}", import.entries) };
    assert_eq!(pc.reference, "①-001");
    assert_eq!(texts(&pc.macs), ["00:11:22:33:44:01", "00:11:22:33:44:02"]);
    assert_eq!(pc.host_names, ["pc-001"]);
    assert_eq!(pc.owner.as_deref(), Some("佐藤"));
    assert_eq!(pc.valid_until, day("2027-03-31"));
    assert_eq!(pc.extra["備考"], "髙橋さんより引継ぎ\n2026年4月");
    assert_eq!(texts(&printer.addresses), ["192.0.2.7"]);
    assert_eq!(printer.valid_until, day("2027-03-31"));
    assert_eq!(printer.extra["備考"], "㈱サンプル保守");
    assert_eq!((old.status, old.addresses.len()), (DeviceStatus::Retired, 0));
    assert_eq!((guests.macs.len(), guests.valid_until), (0, None));
    assert_eq!(texts(&guests.addresses), ["192.0.2.128-192.0.2.191"]);
    assert_eq!(guests.extra["備考"], "～全域");
}

#[test]
fn excels_unicode_text_is_read() {
    let import: Import<DeviceEntry> = sample("devices-unicode.txt", Encoding::Utf16, '\t', 1);
    assert_eq!((import.errors, import.warnings), (vec![], vec![]));
    let [one, two] = &import.entries[..] else { panic!("{:?}", import.entries) };
    assert_eq!((one.owner.as_deref(), one.valid_until), (Some("佐藤"), day("2027-03-31")));
    assert_eq!(texts(&two.macs), ["00:11:22:33:44:02", "00:11:22:33:44:03"]);
    assert_eq!((two.addresses.len(), two.status), (0, DeviceStatus::Approved));
}

#[test]
fn semicolons_and_carriage_returns_are_read() {
    let import: Import<DeviceEntry> = sample("devices-semicolon.csv", Encoding::Utf8, ';', 1);
    assert_eq!((import.errors, import.warnings), (vec![], vec![]));
    let [one, two] = &import.entries[..] else { panic!("{:?}", import.entries) };
    assert_eq!((one.reference.as_str(), one.macs.len()), ("A;1", 2));
    assert_eq!((one.owner.as_deref(), one.valid_until), (Some("Müller"), day("2027-03-31")));
    assert_eq!(texts(&one.addresses), ["192.0.2.10-192.0.2.12"]);
    assert_eq!(two.owner.as_deref(), Some("He said \"no\""));
    assert_eq!(two.status, DeviceStatus::Rejected);
}

#[test]
fn bad_lines_are_named_and_the_good_ones_kept() {
    let import: Import<DeviceEntry> = sample("devices-bad.csv", Encoding::Utf8, ',', 1);
    let references: Vec<&str> = import.entries.iter().map(|e| e.reference.as_str()).collect();
    assert_eq!(references, ["GOOD-1", "GOOD\n2", "GOOD-3", "GOOD-1", "NOTHING"]);
    let errors = texts(&import.errors);
    let expected = [
        "line 3, MAC: \"00:11:22:33:44\" is not a MAC address (expected twelve hexadecimal digits)",
        "line 3, IP: \"192.0.2.300\" is not an address (expected 192.0.2.7, 2001:db8::7, \
         192.0.2.0/24 or 192.0.2.10-192.0.2.40)",
        "line 6, status: \"perhaps\" is not a state (expected approved, rejected or retired, or \
         the Japanese words for them)",
        "line 6, valid until: \"05/06/2027\" is not a date (expected 2026-11-22, 2026年11月22日 \
         or R8.11.22)",
        "line 7: nothing in this line names a device",
        "line 8: it has 6 cells and the heading row 5; a cell that contains the separator has to \
         stand in quotation marks",
    ];
    assert_eq!(errors, expected);
    assert_eq!(
        texts(&import.warnings),
        [
            "line 9, MAC: 00:11:22:33:44:01 is already in line 2",
            "line 10, reference: GOOD-1 is already in line 2",
            "line 11: it says the same as line 10, and was read once",
            "line 12: it has no MAC, address, host name or serial number: nothing seen can ever \
             match it",
        ]
    );
}

#[test]
fn software_registers_are_read() {
    let import: Import<SoftwareEntry> = sample("software-cp932.csv", Encoding::Cp932, ',', 1);
    assert_eq!((import.errors, import.warnings), (vec![], vec![]));
    let [ssh, edge, virus, telnet] = &import.entries[..] else { panic!("{:?}", import.entries) };
    assert_eq!(
        (ssh.version.to_string().as_str(), ssh.status),
        (">= 9.2", SoftwareStatus::Approved)
    );
    assert_eq!(ssh.extra["稟議番号"], "K-100");
    assert_eq!((edge.support_ends, &edge.scope), (day("2028-10-10"), &Scope::All));
    assert_eq!((virus.product.as_str(), virus.status), ("ｳｲﾙｽ対策", SoftwareStatus::Required));
    assert_eq!(virus.version.to_string(), "5.x");
    let Scope::Only(items) = &virus.scope else { panic!("{:?}", virus.scope) };
    assert_eq!(texts(items), ["192.0.2.0-192.0.2.15", "PC-001"]);
    assert!(items.contains(&ScopeItem::Name("PC-001".into())));
    assert_eq!((telnet.status, telnet.version.is_any()), (SoftwareStatus::Forbidden, true));

    let import: Import<SoftwareEntry> = sample("software-english.csv", Encoding::Utf8, ',', 1);
    assert_eq!((import.errors, import.warnings), (vec![], vec![]));
    let rules: Vec<String> = import.entries.iter().map(|e| e.version.to_string()).collect();
    // A letter behind the last number is part of the version, not a series.
    assert_eq!(rules, [">= 1.22, < 2", "= 1.1.1x", "3.0.x"]);
    assert_eq!(import.entries[0].publisher.as_deref(), Some("NGINX, Inc."));
}

#[test]
fn an_issuer_register_is_read() {
    let import: Import<IssuerEntry> = sample("issuers.csv", Encoding::Cp932, ',', 1);
    let hash = "e0".to_owned() + &"1f".repeat(31);
    let [root, issuing, public] = &import.entries[..] else { panic!("{:?}", import.entries) };
    assert_eq!(root.name.as_deref(), Some("Example Root CA"));
    assert_eq!(root.certificate_hashes.join(" "), hash);
    assert_eq!(root.extra["担当"], "情報システム部");
    assert_eq!(issuing.key_hashes, [hash]);
    assert_eq!(public.name.as_deref(), Some("Let's Encrypt"));
    assert_eq!(import.errors.len(), 1);
    assert!(import.errors[0].to_string().contains("SHA-1"), "{}", import.errors[0]);
}

#[test]
fn what_is_no_register_gives_one_clear_error() {
    let error = |bytes: &[u8]| read::<DeviceEntry>(bytes).unwrap_err();
    assert_eq!(error(b""), ReadError::Empty);
    assert_eq!(error("\u{feff}\r\n\r\n".as_bytes()), ReadError::Empty);
    assert_eq!(error(&vec![b'a'; MAX_BYTES + 1]), ReadError::TooLarge { bytes: MAX_BYTES + 1 });
    let pdf = error(b"%PDF-1.7 ...").to_string();
    assert!(pdf.contains("xlsx or as \"CSV UTF-8\""), "{pdf}");
    assert!(matches!(error(b"m\0a\0c\0"), ReadError::Binary { line: 1 }));
    let foreign = error(b"product,version\nOpenSSH,9\n");
    assert!(matches!(foreign, ReadError::NoHeading { kind: RegisterKind::Device, .. }));
    assert!(foreign.to_string().contains("mac address"), "{foreign}");
    // Headings alone, without one that tells devices apart.
    assert!(matches!(error(b"owner,location\na,b\n"), ReadError::NoHeading { .. }));
    let wide = format!("mac{}\n", ",x".repeat(300));
    assert!(matches!(error(wide.as_bytes()), ReadError::TooManyColumns { columns: 301, .. }));
    // Beyond the first twenty rows nobody looks for headings.
    let late = "title\n".repeat(20) + "mac,ip\n00:11:22:33:44:55,\n";
    assert!(matches!(error(late.as_bytes()), ReadError::NoHeading { .. }));
    let just = "title\n".repeat(19) + "mac,ip\n00:11:22:33:44:55,\n";
    assert_eq!(read::<DeviceEntry>(just.as_bytes()).unwrap().entries.len(), 1);
    // A heading row alone is a register without entries.
    assert_eq!(read::<DeviceEntry>(b"mac,ip\n").unwrap().entries, []);
}

#[test]
fn undecodable_bytes_cost_their_line() {
    let mut bytes =
        "管理番号,MAC,備考\nA,00:11:22:33:44:01,あ\nB,00:11:22:33:44:02,".as_bytes().to_vec();
    bytes.extend(b"\xff\xfe\nC,00:11:22:33:44:03,\n");
    let import = read::<DeviceEntry>(&bytes).unwrap();
    assert_eq!(import.entries.len(), 2);
    assert_eq!(import.errors.len(), 1);
    let error = import.errors[0].to_string();
    assert!(error.starts_with("line 3, 備考:") && error.contains("no character"), "{error}");
}

#[test]
fn an_import_says_what_it_changes() {
    let old = "reference,mac,owner,備考\nA,00:11:22:33:44:01,Sato,x\nB,00:11:22:33:44:02,Abe,\n\
               C,00:11:22:33:44:03,,\n";
    let new = "備考,owner,reference,mac\ny,Mori,Ａ,00:11:22:33:44:01\n,,C,00-11-22-33-44-03\n\
               ,,D,00:11:22:33:44:04\n";
    let entries = |csv: &str| read::<DeviceEntry>(csv.as_bytes()).unwrap().entries;
    let change = diff(&entries(old), &entries(new));
    assert_eq!(
        (change.added, change.removed, change.unchanged),
        (vec!["D".into()], vec!["B".into()], 1)
    );
    assert_eq!(change.changed.len(), 1);
    let cells: Vec<[&str; 3]> = change.changed[0]
        .fields
        .iter()
        .map(|cell| [cell.heading.as_str(), &cell.before, &cell.after])
        .collect();
    assert_eq!(cells, [["reference", "A", "Ａ"], ["owner", "Sato", "Mori"], ["備考", "x", "y"]]);
    // Two decisions about one product: the one that stays is not taken for the other.
    let old = "product,version,status\nOpenSSL,1.x,approved\nOpenSSL,3.x,approved\n";
    let new = "product,version,status\nOpenSSL,3.x,approved\nOpenSSL,1.x,forbidden\n";
    let entries = |csv: &str| read::<SoftwareEntry>(csv.as_bytes()).unwrap().entries;
    let change = diff(&entries(old), &entries(new));
    assert_eq!((change.unchanged, change.changed.len()), (1, 1));
    let [status] = &change.changed[0].fields[..] else { panic!("{change:?}") };
    assert_eq!((status.heading.as_str(), status.after.as_str()), ("status", "forbidden"));
    let same = entries(old);
    assert_eq!(diff(&same, &same).unchanged, 2);
}

/// An export reads back as the same entries, and exports the same bytes again.
#[track_caller]
fn round_trip<E: Entry + Debug>(entries: &[E]) {
    let csv = to_csv(entries);
    let import = read::<E>(&csv).unwrap();
    assert_eq!(import.errors, [], "{}", String::from_utf8_lossy(&csv));
    assert_eq!(import.entries, entries, "{}", String::from_utf8_lossy(&csv));
    assert!(matches!(import.form, Form::Text { encoding: Encoding::Utf8, .. }));
    assert_eq!(to_csv(&import.entries), csv);
    for entry in entries {
        assert_eq!(&E::from_stored(&entry.to_stored()).unwrap(), entry);
    }
}

#[test]
fn every_sample_makes_the_round_trip() {
    for name in ["english.csv", "cp932.csv", "unicode.txt", "semicolon.csv", "bad.csv"] {
        let bytes = file(&format!("tests/registers/devices-{name}"));
        round_trip(&read::<DeviceEntry>(&bytes).unwrap().entries);
    }
    for name in ["english.csv", "cp932.csv"] {
        let bytes = file(&format!("tests/registers/software-{name}"));
        round_trip(&read::<SoftwareEntry>(&bytes).unwrap().entries);
    }
    round_trip(&read::<IssuerEntry>(&file("tests/registers/issuers.csv")).unwrap().entries);
}

#[test]
fn an_export_runs_in_no_spreadsheet() {
    let csv = "reference,mac,owner,=evil()\n=A1,00:11:22:33:44:01,@sum(1),+1\n-1,00:11:22:33:44:02,'=b,x\n";
    let import = read::<DeviceEntry>(csv.as_bytes()).unwrap();
    assert_eq!(import.entries[0].reference, "=A1");
    // A file that was guarded by somebody else means the same.
    assert_eq!(import.entries[1].owner.as_deref(), Some("=b"));
    let text = String::from_utf8(to_csv(&import.entries)).unwrap();
    for cell in ["\"'=A1\"", "\"'@sum(1)\"", "\"'+1\"", "\"'-1\"", "\"'=b\"", "\"'=evil()\""] {
        assert!(text.contains(cell), "{cell} in {text}");
    }
    round_trip(&import.entries);
}

#[test]
fn a_stored_entry_that_is_none_is_refused() {
    let error = DeviceEntry::from_stored("{}").unwrap_err();
    assert_eq!(error.to_string(), "reading a stored device entry");
}

/// The rows of the tables under a heading of `docs/registers.md`, as first cell and list.
fn documented(section: &str) -> Vec<(String, Vec<String>)> {
    let text = String::from_utf8(file("docs/registers.md")).unwrap();
    let (_, rest) = text.split_once(&format!("\n## {section}\n")).expect(section);
    let part = rest.split("\n## ").next().unwrap_or(rest);
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (first, rest) = row.split_once("` | ").expect(row);
        let cell = rest.split(" | ").next().unwrap().trim_end_matches(" |");
        (first.to_owned(), cell.split(" · ").map(str::to_owned).collect())
    })
    .collect()
}

#[test]
fn the_documented_headings_are_those_that_are_known() {
    for (kind, section) in [
        (RegisterKind::Device, "Devices"),
        (RegisterKind::Software, "Software"),
        (RegisterKind::Issuer, "Issuers"),
    ] {
        let known: Vec<(String, Vec<String>)> = columns(kind)
            .iter()
            .map(|c| {
                (c.headings[0].into(), c.headings[1..].iter().map(ToString::to_string).collect())
            })
            .collect();
        let lines: Vec<String> = known
            .iter()
            .map(|(first, rest)| format!("| `{first}` | {} |", rest.join(" · ")))
            .collect();
        assert_eq!(documented(section), known, "the table should be:\n{}", lines.join("\n"));
    }
}

#[test]
fn the_documented_states_are_those_that_are_known() {
    fn words<T: Copy>(
        list: &[(T, &[&str])],
        name: impl Fn(T) -> &'static str,
    ) -> Vec<(String, Vec<String>)> {
        let row = |(status, words): &(T, &[&str])| {
            assert_eq!(words[0], name(*status));
            (words[0].to_owned(), words[1..].iter().map(ToString::to_string).collect())
        };
        list.iter().map(row).collect()
    }
    let known = [
        words(DeviceStatus::words(), DeviceStatus::as_str),
        words(SoftwareStatus::words(), SoftwareStatus::as_str),
    ];
    for (known, section) in known.into_iter().zip(["States of devices", "States of software"]) {
        let lines: Vec<String> = known
            .iter()
            .map(|(first, rest)| format!("| `{first}` | {} |", rest.join(" · ")))
            .collect();
        assert_eq!(documented(section), known, "the table should be:\n{}", lines.join("\n"));
    }
}

#[test]
fn every_documented_heading_and_state_is_read() {
    for column in columns(RegisterKind::Device) {
        for heading in column.headings {
            let second = if column.field == Field::Mac { "reference" } else { "mac" };
            let import = read::<DeviceEntry>(format!("{heading},{second}\n").as_bytes()).unwrap();
            assert_eq!(import.unknown_columns, [] as [String; 0], "{heading}");
        }
    }
    for (status, words) in DeviceStatus::words() {
        for word in *words {
            let csv = format!("mac,状態\n00:11:22:33:44:01,{word}\n");
            let import = read::<DeviceEntry>(csv.as_bytes()).unwrap();
            assert_eq!(import.entries.first().map(|entry| entry.status), Some(*status), "{word}");
        }
    }
    for (status, words) in SoftwareStatus::words() {
        for word in *words {
            let csv = format!("製品名,区分\nx,{word}\n");
            let import = read::<SoftwareEntry>(csv.as_bytes()).unwrap();
            assert_eq!(import.entries.first().map(|entry| entry.status), Some(*status), "{word}");
        }
    }
}

#[test]
fn ten_thousand_lines_are_read_and_compared() {
    let lines: String = (0..10_000_u32)
        .map(|n| {
            let [_, a, b, c] = n.to_be_bytes();
            format!("R-{n},00:11:22:{a:02x}:{b:02x}:{c:02x},10.0.{b}.{c},田中,\"a\nb\"\n")
        })
        .collect();
    let import =
        read::<DeviceEntry>(format!("管理番号,MAC,IP,管理者,備考\n{lines}").as_bytes()).unwrap();
    assert_eq!((import.entries.len(), import.errors.len()), (10_000, 0));
    // All of one key, in another order: the worst case of a comparison by key.
    let same = "product,version\n".to_owned()
        + &(0..10_000).map(|n| format!("x,{n}\n")).collect::<String>();
    let old = read::<SoftwareEntry>(same.as_bytes()).unwrap().entries;
    let mut new = old.clone();
    new.reverse();
    assert_eq!(diff(&old, &new).unchanged, 10_000);
}

/// Bytes that look a little like a register.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"mac,ip,status\n".to_vec()),
        Just("ソフトウェア名;MACアドレス;認証局\n".as_bytes().to_vec()),
        Just(b"\x83\x5c\x83\x74\x83\x67\x83\x45\x83\x46\x83\x41\x96\xbc\t".to_vec()),
        Just(b"00:11:22:33:44:55,192.0.2.0/0,".to_vec()),
        Just(b"\"".to_vec()),
        Just(b",;\t\r\n".to_vec()),
        Just(b"\xff\xfe".to_vec()),
        Just("令和元年99月,2026-02-30,46348,'=-~〜(".as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
        "[0-9a-f:./~ -]{0,40}\n?".prop_map(String::into_bytes),
        ".{0,40}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A value for a cell that is not about syntax: anything that survives trimming.
fn text() -> impl Strategy<Value = Option<String>> {
    let some = "[ -~あ-ん＝＋－＠\"',;\n=]{1,12}".prop_map(|text| text.trim().to_owned());
    // Reading takes an apostrophe before a formula for the guard that it is.
    let plain = some.prop_filter("guarded", |text| {
        let rest = text.trim_start_matches('\'');
        !text.is_empty()
            && (rest.len() == text.len()
                || !rest.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\n', ' ', '\t']))
    });
    prop::option::of(plain)
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in bytes()) {
        fn check<E: Entry>(bytes: &[u8]) -> Result<(), TestCaseError> {
            if let Ok(import) = read::<E>(bytes) {
                let again = read::<E>(&to_csv(&import.entries)).unwrap();
                prop_assert_eq!(again.errors, []);
                prop_assert_eq!(again.entries, import.entries);
            }
            Ok(())
        }
        check::<DeviceEntry>(&bytes)?;
        check::<SoftwareEntry>(&bytes)?;
        check::<IssuerEntry>(&bytes)?;
    }

    #[test]
    fn what_is_exported_is_imported(
        owner in text(),
        location in text(),
        note in text(),
        heading in "[a-zあ-ん=+@'\"; ]{1,8}",
        macs in prop::collection::btree_set(any::<[u8; 5]>(), 1..4),
        from in 36_600_u32..73_000,
        status in prop::sample::select(vec!["approved", "拒否", "retired"]),
    ) {
        let macs: Vec<String> = macs
            .iter()
            .map(|m| format!("00{:02x}{:02x}{:02x}{:02x}{:02x}", m[0], m[1], m[2], m[3], m[4] | 1))
            .collect();
        let csv = format!("mac,valid from,status\n\"{}\",{from},{status}\n", macs.join("\n"));
        let mut entries = read::<DeviceEntry>(csv.as_bytes()).unwrap().entries;
        let entry = &mut entries[0];
        (entry.owner, entry.location) = (owner, location);
        let heading = heading.trim();
        // A heading that we know would not be an extra one.
        let probe = format!("mac,\"{}\"\n", heading.replace('"', "\"\""));
        let unknown = read::<DeviceEntry>(probe.as_bytes()).unwrap().unknown_columns;
        if let (Some(note), [kept]) = (note, &unknown[..]) {
            entry.extra.insert(kept.clone(), note);
        }
        round_trip(&entries);
    }
}
