//! What a user does with the product, from the first sweep to a register kept in order,
//! against real servers.

use std::collections::{BTreeMap, BTreeSet};

use lab::Lab;
use serde_json::Value;

use crate::home::{Home, Run};

/// The addresses of the servers; the scanner's own is not among them.
const SERVERS: &str = "198.18.0.8-31";

/// The device register as an office in Japan keeps it: CP932, with a line that is not right.
const DEVICES: &str = "\
管理番号,機器名,MACアドレス,IPアドレス,管理者,状態,有効期限,備考
SRV-1,ログインサーバ,００－００－５Ｅ－００－５３－０Ａ,198.18.0.10,佐藤,承認,,
SRV-2,Web,0000.5e00.530c,,鈴木,承認,2020-01-31,更新待ち
SRV-3,FTP,00:00:5e:00:53:11,,高橋,却下,,
SRV-4,計測器,00:11:22,,高橋,承認,,
PRT-1,プリンタ,00005E00531A,,田中,廃棄済,,
";

/// The same, put right and with a further server, as a spreadsheet with semicolons saves it.
const DEVICES_LATER: &str = "\
管理番号;機器名;MACアドレス;IPアドレス;管理者;状態;有効期限;備考
SRV-1;ログインサーバ;00-00-5e-00-53-0a;198.18.0.10;佐藤;承認;;
SRV-2;Web;00-00-5e-00-53-0c;;鈴木;承認;無期限;更新済み
SRV-3;FTP;00:00:5e:00:53:11;;高橋;却下;;
SRV-7;予備;00:00:5e:00:53:77;198.18.0.20;佐藤;承認;;
PRT-1;プリンタ;00:00:5e:00:53:1a;;田中;廃棄済;;
";

const SOFTWARE: &str = "\
ソフトウェア名,バージョン,区分,サポート期限
ｖｓｆｔｐｄ,,禁止,
OpenSSH,99以上,許可,
nginx,,許可,2020年1月1日
";

/// One user and the network.
struct Story {
    lab: Lab,
    home: Home,
}

/// What is wrong with what: rule, severity and the server's name.
type Wrong = BTreeSet<(String, String, String)>;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn wrong(expected: &[(&str, &str, &str)]) -> Wrong {
    expected.iter().map(|(r, s, n)| ((*r).into(), (*s).into(), (*n).into())).collect()
}

impl Story {
    fn run(&self, arguments: &[&str]) -> Run {
        self.home.run(arguments)
    }

    fn sweep(&self, more: &[&str]) -> Run {
        let line = [&["sweep", SERVERS, "--io", "raw", "--format", "json"], more].concat();
        Run::of(self.home.command_in(&self.lab, &line).output().unwrap())
    }

    #[track_caller]
    fn import(&self, kind: &str, name: &str, bytes: &[u8]) -> Value {
        let path = self.home.write(name, bytes);
        self.home.json(&["register", "import", path.to_str().unwrap(), "--kind", kind])
    }

    /// The server that an asset is, by one of its addresses now or in the beginning.
    fn server(&self, assets: &Value, id: &Value) -> String {
        let asset = list(assets).iter().find(|asset| asset["id"] == *id);
        let asset = asset.unwrap_or_else(|| panic!("no asset {id} in {assets}"));
        let macs: Vec<&str> = list(&asset["macs"]).iter().map(text).collect();
        let server = self.lab.assets().iter().find(|server| macs.contains(&server.mac()));
        server.unwrap_or_else(|| panic!("no server is {asset}")).name().to_owned()
    }

    fn id(&self, assets: &Value, name: &str) -> String {
        let asset = list(assets).iter().find(|asset| self.server(assets, &asset["id"]) == name);
        asset.unwrap_or_else(|| panic!("no {name} in {assets}"))["id"].to_string()
    }

    /// The findings of a sweep or a list, in the words of the lab.
    fn wrong(&self, findings: &Value) -> Wrong {
        let assets = self.home.json(&["assets"]);
        let mut told = Wrong::new();
        for finding in list(findings) {
            let (rule, severity) = (text(&finding["rule"]), text(&finding["severity"]));
            let name = self.server(&assets, &finding["asset"]);
            let subject = text(&finding["subject"]);
            let about = format!("asset:{}", finding["asset"]);
            let right = match rule.split('.').next().unwrap() {
                "device" => subject == about,
                "software" => subject.starts_with(&format!("{about} software:")),
                _ => subject.starts_with("certificate:"),
            };
            assert!(right, "{rule} is about {subject}");
            assert!(told.insert((rule.into(), severity.into(), name)), "twice: {finding}");
        }
        told
    }
}

/// What does not change with a further look: no finding but its time, no event, no identifier.
fn without_times(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "last_seen" | "times"))
            // How long a certificate still lasts is told in words, and grows less.
            .filter(|(key, _)| {
                *key != "detail" || object.get("rule").is_none_or(|rule| rule != "cert.expiring")
            })
            .map(|(key, value)| (key.clone(), without_times(value)))
            .collect(),
        Value::Array(values) => values.iter().map(without_times).collect(),
        other => other.clone(),
    }
}

#[test]
fn from_the_first_sweep_to_registers_kept_in_order() {
    let lab = Lab::with_only(&["openssh", "nginx", "vsftpd", "telnetd", "cups"]).unwrap();
    let story = Story { lab, home: Home::new() };
    before_any_register(&story);
    registers_are_imported(&story);
    let found = the_registers_are_held_against_the_network(&story);
    a_second_look_changes_nothing(&story);
    somebody_lives_with_a_finding(&story, &found);
    assets_are_shown_merged_and_split(&story);
    the_network_and_the_registers_change(&story);
    registers_are_exported(&story);
}

fn before_any_register(story: &Story) {
    let first = story.sweep(&["--fail-on", "warning"]);
    // The certificate is all that can be wrong before anybody said what is right.
    assert_eq!(first.code, Some(1), "{}", first.stderr);
    let first: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(first["scan"]["complete"], true, "{}", first["scan"]);
    assert_eq!(list(&first["assets"]).len(), 5, "{}", first["assets"]);
    for asset in list(&first["assets"]) {
        assert_eq!(asset["registration"], "unknown");
    }
    let expiring = wrong(&[("cert.expiring", "critical", "nginx")]);
    assert_eq!(story.wrong(&first["findings"]), expiring);
    let promised = BTreeSet::from([
        "id",
        "rule",
        "severity",
        "subject",
        "asset",
        "title",
        "detail",
        "state",
        "first_seen",
        "last_seen",
        "citation",
        "accepted_until",
        "reason",
        "owners",
    ]);
    assert_eq!(keys(&first["findings"][0]), promised);
}

fn registers_are_imported(story: &Story) {
    let (cp932, _, lossy) = encoding_rs::SHIFT_JIS.encode(DEVICES);
    assert!(!lossy);
    let path = story.home.write("機器台帳.csv", &cp932);
    let path = path.to_str().unwrap();
    let strict = story.run(&["register", "import", path, "--kind", "device", "--strict"]);
    assert_eq!(strict.code, Some(2), "{}", strict.stderr);
    assert!(strict.stderr.contains("line 5, MACアドレス: "), "{}", strict.stderr);
    assert!(strict.stderr.contains("nothing was imported"), "{}", strict.stderr);
    assert_eq!(story.run(&["register", "list", "--kind", "device"]).code, Some(2));

    let import = story.run(&["register", "import", path, "--kind", "device", "--format", "json"]);
    assert!(import.stderr.contains("line 5, MACアドレス: "), "{}", import.stderr);
    assert!(import.stderr.contains("00:11:22"), "{}", import.stderr);
    let import = import.json();
    assert_eq!(import["added"], serde_json::json!(["PRT-1", "SRV-1", "SRV-2", "SRV-3"]));
    assert_eq!(list(&import["problems"]).len(), 1, "{import}");
    assert_eq!(import["unknown_columns"], serde_json::json!(["備考"]));
    let listed = story.home.json(&["register", "list", "--kind", "device"]);
    assert_eq!(listed[0]["mac_address"], "00:00:5e:00:53:0a");
    assert_eq!(listed[1]["extra"]["備考"], "更新待ち");

    let (cp932, _, lossy) = encoding_rs::SHIFT_JIS.encode(SOFTWARE);
    assert!(!lossy);
    let import = story.import("software", "software.csv", &cp932);
    assert_eq!(import["entries"], 3, "{import}");
    let import = story.import("issuer", "issuers.csv", "認証局名\nAnother CA\n".as_bytes());
    assert_eq!(import["entries"], 1, "{import}");
}

fn known_to_be_wrong() -> Wrong {
    wrong(&[
        ("device.expired", "warning", "nginx"),
        ("device.rejected", "critical", "vsftpd"),
        ("device.retired-seen", "warning", "cups"),
        ("device.unregistered", "warning", "telnetd"),
        ("software.forbidden", "critical", "vsftpd"),
        ("software.version-not-approved", "warning", "openssh"),
        ("software.support-ended", "warning", "nginx"),
        ("software.unregistered", "warning", "cups"),
        ("cert.expiring", "critical", "nginx"),
        ("cert.unapproved-issuer", "warning", "nginx"),
    ])
}

fn the_registers_are_held_against_the_network(story: &Story) -> Value {
    let second = story.sweep(&[]).json();
    assert_eq!(story.wrong(&second["findings"]), known_to_be_wrong());
    for finding in list(&second["findings"]) {
        assert_eq!(finding["state"], "open");
        assert!(!text(&finding["citation"]).is_empty() && !text(&finding["detail"]).is_empty());
    }
    let unregistered = story.home.json(&["assets", "--where", "registration=unregistered"]);
    assert_eq!(list(&unregistered).len(), 1, "{unregistered}");
    assert_eq!(unregistered[0]["addresses"], serde_json::json!(["198.18.0.29"]));
    second
}

fn a_second_look_changes_nothing(story: &Story) {
    let whole = || {
        let assets = story.home.json(&["assets"]);
        let shown: BTreeMap<String, Value> = list(&assets)
            .iter()
            .map(|asset| asset["id"].to_string())
            .map(|id| (id.clone(), story.home.json(&["assets", "show", &id])))
            .collect();
        let findings = story.home.json(&["findings", "--all"]);
        without_times(&serde_json::json!([
            assets,
            findings,
            shown
                .values()
                .map(|asset| {
                    // Observations of the same fact are one, but a banner may tell the time.
                    let kept = ["identifiers", "events", "services", "software", "merges"];
                    kept.map(|key| asset[key].clone())
                })
                .collect::<Vec<_>>()
        ]))
    };
    let before = whole();
    let again = story.sweep(&["--fail-on", "critical"]);
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    let after = whole();
    assert_eq!(before, after);
}

fn somebody_lives_with_a_finding(story: &Story, found: &Value) {
    let forbidden = list(&found["findings"]).iter().find(|f| f["rule"] == "software.forbidden");
    let id = forbidden.unwrap()["id"].to_string();
    let accept = |until: &str, reason: &str| {
        let line = ["findings", "accept", &id, "--until", until, "--reason", reason];
        story.run(&[&line[..], &["--format", "json"]].concat())
    };
    let past = accept("2020-01-01", "never");
    assert_eq!(past.code, Some(2));
    assert!(past.stderr.contains("not in the future"), "{}", past.stderr);
    assert_eq!(accept("2099-12-31", " ").code, Some(2));
    let accepted = accept("2099-12-31", "replaced in March").json();
    assert_eq!(accepted["state"], "accepted");
    assert_eq!(accepted["accepted_until"], "2099-12-31T23:59:59Z");
    assert_eq!(accepted["reason"], "replaced in March");
    let reopen = |reason: &str| {
        story.run(&["findings", "reopen", &id, "--reason", reason, "--format", "json"])
    };
    assert_eq!(reopen(" ").code, Some(2));
    let open = reopen("it is used after all").json();
    assert_eq!((&open["state"], &open["reason"]), (&Value::from("open"), &Value::Null));
    let again = reopen("once more");
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("only one that is accepted"), "{}", again.stderr);
    assert_eq!(accept("2099-12-31", "replaced in March").json()["state"], "accepted");

    // A look without it: what was not asked is not resolved.
    let result = story.sweep(&["--exclude", "198.18.0.17"]).json();
    assert_eq!(list(&result["assets"]).len(), 4, "{}", result["assets"]);
    let mut expected = known_to_be_wrong();
    assert!(expected.remove(&("software.forbidden".into(), "critical".into(), "vsftpd".into())));
    assert_eq!(story.wrong(&result["findings"]), expected);
    assert_eq!(story.wrong(&story.home.json(&["findings"])), expected);
    assert_eq!(story.wrong(&story.home.json(&["findings", "--all"])), known_to_be_wrong());
}

fn assets_are_shown_merged_and_split(story: &Story) {
    let before = story.home.json(&["assets"]);
    let (cups, telnetd) = (story.id(&before, "cups"), story.id(&before, "telnetd"));
    let shown = story.home.json(&["assets", "show", &cups]);
    let identifiers = list(&shown["identifiers"]);
    assert!(identifiers.iter().any(|i| i["kind"] == "mac" && i["value"] == "00:00:5e:00:53:1a"));
    for identifier in identifiers {
        assert!(!text(&identifier["because"]).is_empty(), "{identifier}");
    }
    let methods: BTreeSet<&str> =
        list(&shown["observations"]).iter().map(|o| text(&o["method"])).collect();
    assert!(methods.is_superset(&BTreeSet::from(["arp", "tcp_syn", "dialogue"])), "{methods:?}");
    assert!(text(&shown["registration_reason"]).contains("PRT-1"), "{shown}");

    let findings = || without_times(&story.home.json(&["findings", "--all"]));
    let known = findings();
    assert_eq!(story.run(&["assets", "merge", &telnetd, &cups, "--reason", " "]).code, Some(2));
    let merge = story.run(&["assets", "merge", &telnetd, &cups, "--reason", "one machine"]);
    assert_eq!(merge.code, Some(0), "{}", merge.stderr);
    let merged = story.home.json(&["assets"]);
    assert_eq!(list(&merged).len(), 4, "{merged}");
    let shown = story.home.json(&["assets", "show", &cups]);
    assert_eq!(shown["addresses"], serde_json::json!(["198.18.0.26", "198.18.0.29"]));
    assert!(text(&shown["merges"][0]["because"]).contains("one machine"), "{}", shown["merges"]);
    let split = story.run(&["assets", "split", &telnetd, "--reason", "two after all"]);
    assert_eq!(split.code, Some(0), "{}", split.stderr);
    assert_eq!(story.home.json(&["assets"]), before);
    assert_eq!(findings(), known);
}

fn the_network_and_the_registers_change(story: &Story) {
    let import = story.import("device", "later.csv", DEVICES_LATER.as_bytes());
    assert_eq!(import["added"], serde_json::json!(["SRV-7"]), "{import}");
    assert_eq!(import["changed"][0]["entry"], "SRV-2", "{import}");
    assert_eq!(list(&import["changed"]).len(), 1, "{import}");
    assert_eq!(import["removed"], serde_json::json!([]), "{import}");
    assert_eq!(import["unchanged"], 3, "{import}");
    story.import("issuer", "issuers.csv", "issuer\nDaicho Lab CA\n".as_bytes());
    let assets = story.home.json(&["assets"]);
    let openssh = story.id(&assets, "openssh");

    // The login server takes the address of the spare one: it is who it was, and in the wrong place.
    story.lab.move_address("openssh", "198.18.0.10", "198.18.0.20").unwrap();
    story.lab.forget_neighbors().unwrap();
    let result = story.sweep(&[]).json();
    assert_eq!(story.id(&result["assets"], "openssh"), openssh);
    let mut expected = known_to_be_wrong();
    for (rule, severity, name) in [
        ("software.forbidden", "critical", "vsftpd"),
        ("device.expired", "warning", "nginx"),
        ("cert.unapproved-issuer", "warning", "nginx"),
    ] {
        assert!(expected.remove(&(rule.into(), severity.into(), name.into())));
    }
    expected.extend(wrong(&[("device.conflicting", "warning", "openssh")]));
    assert_eq!(story.wrong(&result["findings"]), expected);

    // And back.
    story.lab.move_address("openssh", "198.18.0.20", "198.18.0.10").unwrap();
    story.lab.forget_neighbors().unwrap();
    let result = story.sweep(&[]).json();
    expected.retain(|(rule, ..)| rule != "device.conflicting");
    // The spare server was looked for at its own address often enough by now.
    let missing = list(&result["findings"]).iter().find(|f| f["rule"] == "device.missing");
    let missing = missing.unwrap_or_else(|| panic!("{}", result["findings"]));
    assert_eq!((&missing["subject"], &missing["asset"]), (&"device:SRV-7".into(), &Value::Null));
    let others: Value =
        list(&result["findings"]).iter().filter(|f| *f != missing).cloned().collect();
    assert_eq!(story.wrong(&others), expected);
}

fn registers_are_exported(story: &Story) {
    for (kind, entries) in [("device", 5), ("software", 3), ("issuer", 1)] {
        let path = story.home.path(&format!("{kind}-export.csv"));
        let path = path.to_str().unwrap();
        let export = story.run(&["register", "export", path, "--kind", kind]);
        assert_eq!(export.code, Some(0), "{}", export.stderr);
        let import = story.home.json(&["register", "import", path, "--kind", kind, "--strict"]);
        let nothing = serde_json::json!([]);
        for what in ["added", "changed", "removed", "problems", "warnings"] {
            assert_eq!(import[what], nothing, "{what} of the {kind} register: {import}");
        }
        assert_eq!(import["unchanged"], entries, "{import}");
    }
}
