//! What holds of every way and every template.

use config::route::{Destination, Language, RouteSetting};
use inventory::{
    alert::AlertKind,
    outbox::{Claimed, Message, MessageState},
    route::{Item, ItemKind},
};

use super::{
    letter::{Letter, Press},
    *,
};

fn setting() -> RouteSetting {
    RouteSetting {
        name: "r".into(),
        severity: Severity::Warning,
        rules: Vec::new(),
        sites: Vec::new(),
        owners: Vec::new(),
        kinds: Vec::new(),
        about: Vec::new(),
        remind: Duration::ZERO,
        digest: Duration::ZERO,
        quiet: Vec::new(),
        urgent: None,
        tell_baseline: false,
        expire: Duration::from_secs(60),
        time_limit: Duration::from_secs(5),
        list: 25,
        language: Language::English,
        template: None,
        destination: Destination::File("/nowhere".into()),
    }
}

fn sender() -> Sender {
    Sender { vantage: "test".into(), page: None }
}

fn item(title: &str, detail: &str) -> Item {
    Item {
        kind: ItemKind::Problem(AlertKind::New),
        at: Timestamp::from_seconds(7),
        rule: "a.rule".into(),
        severity: Severity::Warning,
        subject: "asset:1".into(),
        title: title.into(),
        detail: detail.into(),
        site: Some("plant".into()),
        asset: Some(1),
        finding: Some(2),
        owners: vec!["Sato".into()],
    }
}

fn claimed(items: Vec<Item>, more: u64) -> Claimed {
    let message = Message {
        id: 1,
        key: "00000000000000000000000000000001".into(),
        route: "r".into(),
        state: MessageState::Sending,
        severity: Severity::Warning,
        created_at: Timestamp::from_seconds(7),
        due_at: Timestamp::from_seconds(7),
        items: items.len() as u64,
        more,
        attempts: 1,
        first_attempt_at: None,
        outcome: None,
        ended_at: None,
    };
    Claimed { message, items, by: "x".into() }
}

/// A letter with one piece of news.
pub(super) fn letter_of(title: &str, detail: &str) -> Letter {
    let press = Press::load(&setting(), &sender()).unwrap();
    press.print(&claimed(vec![item(title, detail)], 0)).unwrap()
}

fn press(language: Language, list: usize, page: Option<&str>) -> Press {
    let setting = RouteSetting { language, list, ..setting() };
    Press::load(&setting, &Sender { page: page.map(str::to_owned), ..sender() }).unwrap()
}

/// The letter as a person sees it.
fn written(letter: &Letter) -> String {
    let text = format!("{}\n\n{}", letter.subject, letter.text);
    text.replace(env!("CARGO_PKG_VERSION"), "0.0.0")
}

#[test]
fn a_letter_in_english_reads_well() {
    let mut over = item("Device is missing", "not seen for 30 days");
    over.kind = ItemKind::Problem(AlertKind::Over);
    over.owners = Vec::new();
    let items = vec![item("Device is not registered", "192.0.2.9"), over, item("Third", "")];
    let letter = press(Language::English, 2, None).print(&claimed(items, 38)).unwrap();
    insta::assert_snapshot!(written(&letter), @r#"
    [daicho] warning: 41 news: Device is not registered …

    New:
    - warning: Device is not registered
      asset:1 (plant), answered for by Sato
      192.0.2.9
      finding 2

    Over:
    - warning: Device is missing
      asset:1 (plant)
      not seen for 30 days
      finding 2

    And 39 more: see `daicho findings`.

    --
    Daicho 0.0.0 at test, route r, message 00000000000000000000000000000001
    "#);
}

#[test]
fn a_letter_in_japanese_reads_well() {
    let mut happened = item("Port opened: 192.0.2.9 tcp/443", "not seen open before");
    happened.kind = ItemKind::Happened;
    happened.rule = "event.port_opened".into();
    let mut unknown = item(
        "Unregistered device: printer-7 (192.0.2.9)",
        "none of its identifiers is in the device register",
    );
    unknown.rule = "device.unregistered".into();
    let items = vec![unknown, happened];
    let press = press(Language::Japanese, 25, Some("https://d.example/"));
    let letter = press.print(&claimed(items, 0)).unwrap();
    insta::assert_snapshot!(written(&letter), @r#"
    [daicho] 警告: 2件: 未登録の機器: printer-7 (192.0.2.9) ほか

    ■ 新規
    ・警告: 未登録の機器: printer-7 (192.0.2.9)
      対象: asset:1(拠点: plant) 担当: Sato
      詳細: どの識別子も機器台帳にない
      https://d.example/findings/2

    ■ 変化
    ・ポートの開放: 192.0.2.9 tcp/443
      対象: asset:1(拠点: plant) 担当: Sato
      詳細: 以前は開放を検出していない
      https://d.example/findings/2

    --
    Daicho 0.0.0(test)、通知先 r、メッセージ 00000000000000000000000000000001
    "#);
}

#[test]
fn a_test_in_japanese_is_japanese() {
    let letter = press(Language::Japanese, 25, None).test(Timestamp::from_seconds(7)).unwrap();
    for english in ["This", "nothing", "Something", "nobody", " test"] {
        assert!(!letter.text.contains(english), "{english}: {}", letter.text);
    }
    assert!(letter.subject.contains("通知先「r」のテスト"), "{}", letter.subject);
}

/// What devices may say of themselves.
const HOSTILE: [&str; 10] = [
    "\r\nBcc: evil@example.net\r\n\r\n<script>alert(1)</script>",
    "{{ 7*7 }}{% for x in items %}",
    "\u{202e}gpj.exe\u{2066}",
    "\u{0}\u{1b}]0;title\u{7}\u{9b}2J",
    "[x](javascript:alert(1)) ![y](http://evil.example/z.png)",
    "<!channel> <@U1> @everyone @here",
    "``` ` *b* _i_ ~s~ > quote",
    "[To:1][toall][/info]",
    "a\u{2028}b\u{2029}c\u{feff}\u{e0041}",
    "''\";$(reboot)`id`|&",
];

#[test]
fn every_template_is_written_with_hostile_text_and_obeys_none_of_it() {
    let quiet = |text: &str| {
        text.chars().all(|c| c == '\n' || !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}'))
    };
    for language in [Language::English, Language::Japanese] {
        for hostile in HOSTILE {
            let mut one = item(hostile, hostile);
            (one.subject, one.rule) = (hostile.into(), hostile.into());
            (one.site, one.owners) = (Some(hostile.into()), vec![hostile.into()]);
            let letter = press(language, 25, None).print(&claimed(vec![one], 0)).unwrap();
            assert!(!letter.subject.contains('\n') && quiet(&letter.subject), "{letter:?}");
            assert!(quiet(&letter.text) && quiet(&letter.json()), "{letter:?}");
            // Text of the network is a value: it is never a template.
            assert!(!letter.text.contains("49"), "{}", letter.text);
        }
    }
}

#[test]
fn a_letter_is_bounded_however_much_there_is() {
    let long = "長".repeat(1_000);
    let items: Vec<Item> = (0..500).map(|_| item(&long, &long)).collect();
    let letter = press(Language::Japanese, 500, None).print(&claimed(items, 9)).unwrap();
    assert!(letter.subject.len() <= 200 && letter.text.len() <= 64 << 10);
    assert_eq!(letter.parts.total, 509);
}

#[test]
fn a_template_of_ones_own_is_tried_when_it_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail.txt");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let setting = RouteSetting { template: Some(path.clone()), ..setting() };
        Courier::load(&[setting], &sender()).map_err(|error| format!("{error:#}"))
    };
    load("{{ total }} news\n{% for item in listed %}{{ item.title }}\n{% endfor %}").unwrap();
    for (text, word) in [
        ("{{ totl }}", "undefined value"),
        ("a\n{% for item in listed %}{{ item.titel }}{% endfor %}", "undefined value"),
        ("a\n{% if %}", "syntax error"),
        ("{{ total | shout }}", "unknown filter"),
    ] {
        let error = load(text).unwrap_err();
        assert!(error.starts_with("the route \"r\": "), "{error}");
        assert!(error.contains("mail.txt") && error.contains(word), "{error}");
    }
    let setting = RouteSetting { template: Some("/nowhere.txt".into()), ..setting() };
    let error = format!("{:#}", Courier::load(&[setting], &sender()).unwrap_err());
    assert!(error.contains("cannot read its template /nowhere.txt"), "{error}");
}

#[test]
fn in_quiet_hours_only_what_is_urgent_goes() {
    let always: Vec<Window> = vec!["00:00-24:00".parse().unwrap()];
    let now = Timestamp::from_seconds(1_795_339_800);
    assert_eq!(least_now(&[], None, now), Some(Severity::Info));
    assert_eq!(least_now(&always, Some(Severity::Critical), now), Some(Severity::Critical));
    assert_eq!(least_now(&always, None, now), None);
}

#[test]
fn a_secret_is_the_first_line_and_never_a_header_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        secret(&Secret::File(path.clone())).map(|secret| secret.to_string()).ok()
    };
    assert_eq!(read(" abc \nrest\n").as_deref(), Some("abc"));
    assert_eq!(read(""), None);
    assert_eq!(read("a\u{b}b"), None);
    assert!(secret(&Secret::Variable("NO_SUCH_VARIABLE_HERE".into())).is_err());
}
