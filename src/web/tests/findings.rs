//! The page of a finding, to which alerts lead, and the forms that come back with what was typed.

use axum::http::{StatusCode, header};
use inventory::user::Role;

use super::{Answer, Site, form_token};

/// A device that is not registered, beside one that is; a program and an issuer that are not.
async fn site() -> (Site, String, String) {
    let site = Site::new().await;
    site.sweep(2).await;
    let sha256 = site.certificate().await;
    let token = site.session(Role::Approver).await;
    for about in ["asset=1", "kind=software&product=zabbix", "kind=issuer&issuer=Office+CA"] {
        let form = format!("{about}&verdict=approved&reason=bought");
        let done = site.post("/decide", &token, &form).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{about}: {}", done.text);
    }
    (site, token, sha256)
}

fn has(answer: &Answer, all: &[&str]) {
    for one in all {
        assert!(answer.text.contains(one), "{one}: {}", answer.text);
    }
}

/// The value of a field of a form.
fn value(answer: &Answer, name: &str) -> String {
    let rest = answer.text.split(&format!("name=\"{name}\" value=\"")).nth(1);
    let rest = rest.unwrap_or_else(|| panic!("{name}: {}", answer.text));
    rest.split('"').next().unwrap().to_owned()
}

/// What is said beside a field.
fn beside(answer: &Answer, form: &str, field: &str) -> String {
    let rest = answer.text.split(&format!("<p class=\"bad\" id=\"{form}-{field}-wrong\">")).nth(1);
    rest.and_then(|rest| rest.split("</p>").next()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_finding_says_what_it_means_why_and_what_can_be_done() {
    let (site, token, sha256) = site().await;
    let viewer = site.session(Role::Viewer).await;
    let id = site.open("device.unregistered").await[0];
    let page = site.get(&format!("/findings/{id}"), Some(&token)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let decide = format!("/decide?asset=2&#38;back=%2Ffindings%2F{id}");
    has(
        &page,
        &[
            "Unregistered device",
            "no entry of the device register matches",
            "Find out whose it is.",
            "CIS Controls",
            "href=\"/assets/2\"",
            "00:00:5e:00:53:02",
            "/assets/2/observations",
            "href=\"/scans/1\"",
            &decide,
            "name=\"until\"",
        ],
    );
    assert!(!page.text.contains("<script>2"));
    // Whoever only looks has the reasons, and nothing to press.
    let looked = site.get(&format!("/findings/{id}"), Some(&viewer)).await;
    has(&looked, &["Why do you think so?", "00:00:5e:00:53:02"]);
    assert!(!looked.text.contains("/decide?") && !looked.text.contains("name=\"until\""));
    let list = site.get("/findings", Some(&viewer)).await;
    has(&list, &[&format!("<a href=\"/findings/{id}\">Unregistered device")]);
    // A product, with the name that it tells and not the one that is compared.
    let id = site.open("software.unregistered").await[0];
    let page = site.get(&format!("/findings/{id}"), Some(&token)).await;
    has(&page, &["192.0.2.1:443/tcp", "/decide?kind=software&#38;product=nginx&#38;back="]);
    let form = site.get("/decide?kind=software&product=nginx&back=/findings/1", Some(&token)).await;
    assert_eq!(value(&form, "product"), "nginx");
    assert_eq!(value(&form, "back"), "/findings/1");
    // An issuer, by the hash of its certificate, which here is the server's own.
    let id = site.open("cert.unapproved-issuer").await[0];
    let page = site.get(&format!("/findings/{id}"), Some(&token)).await;
    let act = format!("certificate={sha256}&#38;back=%2Ffindings%2F{id}");
    has(&page, &[&act, &format!("/certificates/{sha256}"), "Why do you think so?"]);
    let fields = format!("kind=issuer&certificate={sha256}&issuer=x&verdict=approved&reason=ours");
    let done = site.post("/decide", &token, &format!("{fields}&back=/findings/{id}")).await;
    assert_eq!(done.headers[header::LOCATION], format!("/findings/{id}"));
    let after = site.get(&format!("/findings/{id}"), Some(&token)).await;
    has(&after, &["<span class=\"tag good\">resolved</span>"]);
    for path in ["/findings/999", "/findings/-1"] {
        assert_eq!(site.get(path, Some(&token)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn an_acceptance_is_made_and_taken_back_on_the_page_of_the_finding() {
    let (site, token, _) = site().await;
    let id = site.open("device.unregistered").await[0];
    let path = format!("/findings/{id}");
    let led = site.get(&format!("{path}/accept"), Some(&token)).await;
    assert_eq!(led.headers[header::LOCATION], path);
    let accept = format!("{path}/accept");
    let wrong = site.post(&accept, &token, "reason=a+%3Cguest%3E&until=2020-01-01").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(value(&wrong, "reason"), "a &#60;guest&#62;");
    assert!(beside(&wrong, "acceptance", "until").contains("is over"), "{}", wrong.text);
    let done = site.post(&accept, &token, "reason=a+guest&until=2099-12-31").await;
    assert_eq!(done.headers[header::LOCATION], path);
    let page = site.get(&path, Some(&token)).await;
    has(&page, &["2099-12-31", "a guest", "Take the acceptance back"]);
    assert!(site.open("device.unregistered").await.is_empty());
    let reopen = format!("{path}/reopen");
    let blank = site.post(&reopen, &token, "reason=+").await;
    assert!(beside(&blank, "reopening", "reason").contains("Say why"), "{}", blank.text);
    let viewer = site.session(Role::Viewer).await;
    let refused = site.post(&reopen, &viewer, "reason=x").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let back = site.post(&reopen, &token, "reason=the+guest+stays").await;
    assert_eq!(back.headers[header::LOCATION], path);
    assert_eq!(site.open("device.unregistered").await, [id]);
    let page = site.get(&path, Some(&token)).await;
    has(&page, &["the guest stays", "finding_reopened", "name=\"until\""]);
    let again = site.post(&reopen, &token, "reason=x").await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    let audit = site.shared.store.audit(Some(1)).await.unwrap();
    assert_eq!((audit[0].deed.action.as_str(), audit[0].deed.who.as_str()), ("reopen", "approver"));
}

#[tokio::test]
async fn findings_that_are_open_are_listed_and_all_with_one_click() {
    let (site, token, _) = site().await;
    let id = site.open("device.unregistered").await[0];
    let form = "reason=a+guest&until=2099-12-31";
    site.post(&format!("/findings/{id}/accept"), &token, form).await;
    let row = format!("href=\"/findings/{id}\"");
    let open = site.get("/findings", Some(&token)).await;
    assert!(!open.text.contains(&row), "{}", open.text);
    has(&open, &["value=\"state:open\"", "href=\"/findings?q=\""]);
    let all = site.get("/findings?q=", Some(&token)).await;
    has(&all, &[&row, ">accepted</td>", "href=\"/findings\">Only those that are open"]);
    // What the list shows is what the file has; programs get all, as ever.
    let file = site.get("/export/findings.csv", Some(&token)).await.text;
    assert!(file.lines().count() > 1 && !file.contains("accepted"), "{file}");
    let file = site.get("/export/findings.csv?q=", Some(&token)).await.text;
    assert!(file.contains("accepted"), "{file}");
    let api = site.get("/api/v1/findings", Some(&token)).await.text;
    assert!(api.contains("\"state\":\"accepted\""), "{api}");
    // The next heading keeps what was asked for.
    has(&all, &["href=\"/findings?q=&#38;sort=rule\""]);
    // A view of all findings is one of all.
    let saved = site.post("/views", &token, "list=findings&name=all&q=").await;
    assert_eq!(saved.headers[header::LOCATION], "/findings?q=");
}

#[tokio::test]
async fn products_are_decided_one_by_one_and_by_query() {
    let (site, token, _) = site().await;
    let viewer = site.session(Role::Viewer).await;
    let list = site.get("/software", Some(&token)).await;
    has(&list, &["/decide?kind=software&#38;product=nginx&#38;back=%2Fsoftware"]);
    assert!(!site.get("/software", Some(&viewer)).await.text.contains("/decide"));
    let narrow = site.get("/software?q=product%3Anginx", Some(&token)).await;
    has(&narrow, &["/decide?kind=software&#38;where=product%3Anginx"]);
    let ask = site.get("/decide?kind=software&where=product%3Anginx", Some(&token)).await;
    has(&ask, &["name=\"product\" value=\"nginx\" form=\"of-software\" checked"]);
    let none = site.get("/decide?kind=software&where=product%3Ano", Some(&token)).await;
    assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY);
    has(&none, &["Nothing matches."]);
    let empty = "kind=software&several=1&where=product%3Anginx&verdict=approved&reason=x";
    let empty = site.post("/decide", &token, empty).await;
    has(&empty, &["Nothing is ticked", "name=\"product\" value=\"nginx\""]);
    assert_eq!(site.open("software.unregistered").await.len(), 1);
    let form = "kind=software&several=1&product=nginx&product=caddy&verdict=approved&reason=used";
    let done = site.post("/decide", &token, form).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert!(site.open("software.unregistered").await.is_empty());
    assert_eq!(site.shared.store.decisions().await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_wrong_form_comes_back_with_what_was_typed_and_why() {
    let (site, token, _) = site().await;
    let hash = "0".repeat(63);
    // What is filled in, the form, its field, and what is said beside it.
    for (filled, form, field, said) in [
        ("asset=2&reason=bought", "of-assets", "verdict", "Choose what is decided"),
        ("asset=2&verdict=god&reason=bought", "of-assets", "verdict", "Choose what is decided"),
        ("asset=2&verdict=approved&reason=+", "of-assets", "reason", "Say why"),
        ("asset=2&verdict=approved&reason=x&until=soon", "of-assets", "until", "is no day"),
        ("asset=2&verdict=approved&reason=x&until=2020-01-01", "of-assets", "until", "is over"),
        ("asset=2&verdict=approved&reason=x&idle=90", "of-assets", "idle", "such as 90d"),
        ("asset=2&verdict=rejected&reason=x&idle=90d", "of-assets", "idle", "Only an approval"),
        (
            "asset=2&verdict=rejected&reason=x&exception=1",
            "of-assets",
            "exception",
            "Only an approval",
        ),
        ("kind=software&verdict=approved&reason=x", "of-software", "product", "Name the product"),
        (
            "kind=software&product=a&versions=newest+only&verdict=approved&reason=x",
            "of-software",
            "versions",
            "newest only",
        ),
        ("kind=issuer&verdict=approved&reason=x", "of-issuer", "issuer", "Name the issuer"),
        (
            &format!("kind=issuer&certificate={hash}&verdict=approved&reason=x"),
            "of-issuer",
            "certificate",
            "64 hexadecimal digits",
        ),
    ] {
        let answer = site.post("/decide", &token, filled).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{filled}");
        let why = beside(&answer, form, field);
        assert!(why.contains(said), "{filled}: {why:?}: {}", answer.text);
        assert!(!answer.text.contains("--"), "{filled}: a word of the command line");
        for part in filled.split('&') {
            let (name, typed) = part.split_once('=').unwrap();
            if ["reason", "until", "idle", "product", "versions", "certificate"].contains(&name) {
                let typed = typed.replace('+', " ");
                assert_eq!(value(&answer, name), typed.trim(), "{filled}");
            }
        }
        // It is still known what it is about.
        assert!(!filled.starts_with("asset") || value(&answer, "asset") == "2", "{filled}");
    }
    // A query is marked as lists mark it.
    let marked = site.get("/decide?where=foo%3A1", Some(&token)).await;
    assert_eq!(marked.status, StatusCode::UNPROCESSABLE_ENTITY);
    has(&marked, &["<mark>foo</mark>", "value=\"foo:1\""]);
    let nothing = site.get("/decide?where=id%3A99", Some(&token)).await;
    has(&nothing, &["Nothing matches."]);
    let japanese = super::form("/decide", Some(&token))
        .header(header::ACCEPT_LANGUAGE, "ja")
        .body(format!("csrf={}&asset=2&reason=x&until=soon", form_token(&token)).into());
    let japanese = site.send(japanese.unwrap()).await;
    let said = beside(&japanese, "of-assets", "until");
    assert!(said.contains("日付として解釈できません"), "{}", japanese.text);
}

#[tokio::test]
async fn users_views_and_registers_ask_again_as_well() {
    let site = Site::new().await;
    let token = site.session(Role::Admin).await;
    let wrong = site.post("/users", &token, "name=mo+ri&role=operator&password=secret").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(value(&wrong, "name"), "mo ri");
    assert_eq!(value(&wrong, "password"), "");
    has(&wrong, &["value=\"operator\" selected"]);
    assert!(beside(&wrong, "add-user", "name").contains("up to 64"), "{}", wrong.text);
    assert!(beside(&wrong, "add-user", "password").contains("at least"), "{}", wrong.text);
    assert!(!wrong.text.contains("secret"));
    let taken = site.post("/users", &token, "name=admin&role=viewer&password=battery+staple").await;
    assert_eq!(taken.status, StatusCode::CONFLICT);
    assert!(!beside(&taken, "add-user", "name").is_empty(), "{}", taken.text);

    let view = "list=assets&q=class%3Aprinter&sort=-seen&columns=id%2Cname";
    let wrong = site.post("/views", &token, &format!("{view}&name={}", "x".repeat(65))).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(beside(&wrong, "save-view", "name").contains("64 letters"), "{}", wrong.text);
    for (name, kept) in [("list", "assets"), ("q", "class:printer"), ("columns", "id,name")] {
        assert_eq!(value(&wrong, name), kept);
    }
    site.post("/views", &token, &format!("{view}&name=Printers")).await;
    let wrong = site.post("/views/1/rename", &token, &format!("name={}", "y".repeat(65))).await;
    assert_eq!(value(&wrong, "name"), "y".repeat(65));
    has(&wrong, &["<span class=\"bad\">A view has a name of 1 to 64 letters."]);

    let csrf = form_token(&token);
    let other = site.upload(&token, &csrf, "nothing,known\n1,2\n").await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(beside(&other, "upload", "file").contains("No row has headings"), "{}", other.text);
    let empty = site.upload(&token, &csrf, "").await;
    assert!(beside(&empty, "upload", "file").contains("Choose a file"), "{}", empty.text);
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_language_of_the_page_and_in_our_own_words() {
    let site = Site::new().await;
    let token = site.session(Role::Viewer).await;
    for (path, status, english, japanese) in [
        ("/assets/x", 422, "<h1>This cannot be used</h1>", "<h1>入力を処理できません</h1>"),
        ("/scans/99", 404, "<h1>Nothing here</h1>", "<h1>ページが見つかりません</h1>"),
        ("/users", 403, "<h1>Not allowed</h1>", "<h1>許可されていません</h1>"),
        ("/assets?rows=x", 422, "<h1>This cannot be used</h1>", "<h1>入力を処理できません</h1>"),
    ] {
        for (language, heading) in [("en", english), ("ja", japanese)] {
            let cookies = format!("__Host-daicho={token}; daicho-language={language}");
            let request = axum::http::Request::get(path).header(header::COOKIE, cookies);
            let answer = site.send(request.body(axum::body::Body::empty()).unwrap()).await;
            assert_eq!(answer.status, status, "{path}");
            assert!(answer.text.contains(heading), "{path}: {}", answer.text);
            for foreign in ["i64", "Cannot parse", "deserialize", "Invalid URL"] {
                assert!(!answer.text.contains(foreign), "{path}: {}", answer.text);
            }
        }
    }
    let api = site.get("/api/v1/assets?rows=x", Some(&token)).await;
    assert_eq!(api.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(api.text.contains("rows"), "programs are told what is wrong: {}", api.text);
}

#[tokio::test]
async fn entries_are_looked_through_with_where_each_was_seen() {
    let site = Site::new().await;
    site.sweep(2).await;
    let token = site.session(Role::Approver).await;
    let none = site.get("/registers/device", Some(&token)).await;
    has(&none, &["This register was not imported."]);
    let more: String =
        (0..120).map(|n| format!("\nX-{n:03},,,Mori,IT,Kobe,x{n}.example")).collect();
    let file = format!(
        "Reference,MAC,Name,Owner,Department,Location,Host name\n\
         PC-1,00:00:5e:00:53:01,<b>,\"Sato, Kenji\",Sales,Osaka,{more}"
    );
    let preview = site.upload(&token, &form_token(&token), &file).await;
    let waiting = value(&preview, "file");
    let done = site.post("/registers/import", &token, &format!("file={waiting}")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    let first = site.get("/registers/device", Some(&token)).await;
    has(&first, &["<strong>121</strong>", "href=\"/assets/1\"", "never seen", "&#60;b&#62;"]);
    let next = "href=\"/registers/device?q=&#38;page=1\"";
    has(&first, &[next]);
    let second = site.get("/registers/device?q=&page=1", Some(&token)).await;
    has(&second, &["X-119"]);
    assert!(!second.text.contains("PC-1<") && !second.text.contains("rel=\"next\""));
    let found = site.get("/registers/device?q=kobe+X-007", Some(&token)).await;
    has(&found, &["<strong>1</strong>", "X-007"]);
    assert_eq!(site.get("/registers/users", Some(&token)).await.status, StatusCode::NOT_FOUND);
    // What the entry says is said of its asset, and asked for.
    let asset = site.get("/assets/1", Some(&token)).await;
    has(&asset, &["Sato, Kenji", "Sales", "Osaka", "/registers/device?q=PC-1"]);
    for query in ["owner%3Asato", "department%3Dsales", "location%3Aosa"] {
        let path = format!("/assets?q={query}&columns=id,owner,department,location&sort=owner");
        let list = site.get(&path, Some(&token)).await;
        has(&list, &["<strong>1</strong>", ">Sato, Kenji<", ">Sales<", ">Osaka<"]);
        let api = site.get(&format!("/api/v1/assets?q={query}"), Some(&token)).await;
        has(&api, &["\"total\":1"]);
    }
    // Of the other device nobody knows.
    has(&site.get("/assets?q=not+owner%3Asato", Some(&token)).await, &["<strong>1</strong>"]);
}

#[tokio::test]
async fn assets_with_an_address_come_first_and_their_findings_are_named() {
    let (site, token, _) = site().await;
    // One that is known by its MAC alone.
    let mac: model::MacAddr = "00:00:5e:00:53:77".parse().unwrap();
    let seen = model::Observation {
        observed_at: crate::clock::now(),
        vantage: model::Vantage { site: model::Site("default".into()), name: "test".into() },
        method: model::Method::Capture,
        subject: model::Subject::Mac(mac),
        fact: model::Fact::Alive { ttl: None },
        evidence: Vec::new(),
    };
    site.see(vec![seen]).await;
    let list = site.get("/assets?columns=id,mac,findings", Some(&token)).await;
    let at = |text: &str| list.text.find(text).unwrap_or_else(|| panic!("{text}: {}", list.text));
    assert!(at("00:00:5e:00:53:01") < at("00:00:5e:00:53:77"), "{}", list.text);
    assert!(at("00:00:5e:00:53:02") < at("00:00:5e:00:53:77"), "{}", list.text);
    has(&list, &["warning 1"]);
    assert!(!list.text.contains("0 / 1"), "{}", list.text);
    let first = site.get("/assets?columns=mac&rows=2", Some(&token)).await.text;
    let (_, rest) = first.split_once("rel=\"next\" href=\"").unwrap();
    let next = rest.split('"').next().unwrap().replace("&#38;", "&");
    let next = site.get(&next, Some(&token)).await;
    has(&next, &["00:00:5e:00:53:77"]);
    assert!(!next.text.contains("00:00:5e:00:53:02"), "{}", next.text);
    // What the trend counts is what the tile counts.
    let counted = site.shared.store.days(7).await.unwrap();
    let tile =
        site.get("/assets?q=registration%3Aunregistered&columns=id", Some(&token)).await.text;
    let day = counted.last().unwrap();
    assert!(tile.contains(&format!("<strong>{}</strong>", day.unregistered)), "{day:?}: {tile}");
    has(&site.get("/", Some(&token)).await, &["<span id=\"zone\">UTC</span>"]);
}
