//! What people do on the page, and what follows from it: over real observations in a real file.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use inventory::{compare::Registration, finding::FindingState, user::Role};
use model::{
    Coverage, Endpoint, Fact, MacAddr, Method, Observation, PortSet, ScanRecord, Service, Subject,
    Timestamp, Vantage,
};

use super::{HOST, Site};
use crate::{clock, web::visit::form_token};

fn vantage() -> Vantage {
    Vantage { site: model::Site("default".into()), name: "test".into() }
}

/// A device at 192.0.2.INDEX, seen a minute ago.
fn device(index: u8, now: Timestamp) -> Vec<Observation> {
    let address = std::net::IpAddr::from([192, 0, 2, index]);
    let one = |fact| Observation {
        observed_at: now.plus_seconds(-60),
        vantage: vantage(),
        method: Method::Arp,
        subject: Subject::Address(address),
        fact,
        evidence: Vec::new(),
    };
    let mac: MacAddr = format!("00:00:5e:00:53:{index:02x}").parse().unwrap();
    let name = Fact::HostName {
        name: format!("<script>{index}</script>"),
        source: model::NameSource::Dns,
    };
    vec![one(Fact::LinkAddress(mac)), one(name)]
}

impl Site {
    /// As if a sweep had seen so many devices.
    pub(in crate::web) async fn sweep(&self, devices: u8) {
        let (store, now) = (&self.shared.store, clock::now());
        let start = now.plus_seconds(-120);
        let targets = ["192.0.2.0/24".to_owned()];
        let scan = store.begin_scan(&vantage(), start, "raw", &targets, "sweep").await.unwrap();
        let seen = (1..=devices).flat_map(|index| device(index, now));
        store.write_observations(scan, seen).await.unwrap();
        let range = model::AddressRange::new([192, 0, 2, 0].into(), [192, 0, 2, 255].into());
        let record = ScanRecord {
            vantage: vantage(),
            started_at: start,
            ended_at: Some(now.plus_seconds(-30)),
            io: "raw".into(),
            probes_sent: 256,
            replies: devices.into(),
            drops: 0,
            complete: true,
            gaps: Vec::new(),
            coverage: vec![Coverage {
                range: range.unwrap(),
                methods: vec![Method::Arp],
                tcp: PortSet::default(),
                udp: PortSet::default(),
            }],
        };
        store.finish_scan(scan, &record).await.unwrap();
        store.digest(scan, now.plus_seconds(-20)).await.unwrap();
        self.review().await;
    }

    /// As if a sweep had seen just this.
    pub(in crate::web) async fn see(&self, seen: Vec<Observation>) {
        let (store, now) = (&self.shared.store, clock::now());
        let scan = store.begin_scan(&vantage(), now, "raw", &["x".into()], "sweep").await.unwrap();
        store.write_observations(scan, seen).await.unwrap();
        store.digest(scan, now).await.unwrap();
        self.review().await;
    }

    /// Has the first device serve a certificate and a web page. Returns the certificate's hash.
    pub(in crate::web) async fn certificate(&self) -> String {
        let names = vec!["printer.office.example".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let der = made.cert.der().to_vec();
        let sha256 = certs::parse(&der).sha256;
        let endpoint = Endpoint::tcp([192, 0, 2, 1].into(), 443);
        let served = model::CertificateChain {
            chain: vec![der],
            server_name: None,
            protocol_version: model::TlsVersion(0x0304),
            starttls: None,
        };
        let mut service = Service::of("http");
        (service.tls, service.product) = (true, Some("nginx".to_owned()));
        let one = |method, fact| Observation {
            observed_at: clock::now(),
            vantage: vantage(),
            method,
            subject: Subject::Endpoint(endpoint),
            fact,
            evidence: Vec::new(),
        };
        let open = Fact::PortState(model::PortState::Open);
        let seen = [
            (Method::TcpSyn, open),
            (Method::Dialogue, Fact::Service(service)),
            (Method::Tls, Fact::Certificates(served)),
        ];
        self.see(seen.into_iter().map(|(method, fact)| one(method, fact)).collect()).await;
        sha256
    }

    pub(super) async fn review(&self) {
        self.shared.store.review(clock::now(), &self.shared.settings.policy).await.unwrap();
    }

    /// The open findings of a rule.
    pub(in crate::web) async fn open(&self, rule: &str) -> Vec<i64> {
        let all = self.shared.store.findings().await.unwrap();
        let open = all.into_iter().filter(|one| one.finding.state == FindingState::Open);
        open.filter(|one| one.finding.key.rule == rule).map(|one| one.id).collect()
    }

    async fn registration(&self, index: usize) -> Registration {
        let policy = &self.shared.settings.policy;
        let compared = self.shared.store.compare(clock::now(), policy).await.unwrap();
        compared.comparison.assets[index].state
    }

    /// Uploads a file, with all that a page of ours sends.
    pub(super) async fn upload(&self, token: &str, csrf: &str, file: &str) -> super::Answer {
        let part = |name: &str, rest: &str, body: &str| {
            format!(
                "--XX\r\nContent-Disposition: form-data; name=\"{name}\"{rest}\r\n\r\n{body}\r\n"
            )
        };
        let body = [
            part("csrf", "", csrf),
            part("kind", "", "device"),
            part("file", "; filename=\"C:\\\\<b>.csv\"\r\nContent-Type: text/csv", file),
            "--XX--\r\n".to_owned(),
        ]
        .concat();
        let request = Request::post("/registers/preview")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=XX")
            .header(header::COOKIE, format!("__Host-daicho={token}"))
            .header("sec-fetch-site", "same-origin")
            .header(header::ORIGIN, format!("https://{HOST}"));
        self.send(request.body(Body::from(body)).unwrap()).await
    }
}

/// The field of that name on a page.
fn field(page: &str, name: &str) -> String {
    let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_approved_on_the_page_resolves_its_finding() {
    let site = Site::new().await;
    site.sweep(2).await;
    let (viewer, approver) = (site.session(Role::Viewer).await, site.session(Role::Approver).await);
    // A first approval begins the list: from then on what is not approved is a finding.
    let ask = site.get("/decide?asset=1", Some(&approver)).await;
    assert_eq!(ask.status, StatusCode::OK, "{}", ask.text);
    assert!(ask.text.contains("00:00:5e:00:53:01"), "{}", ask.text);
    assert!(!ask.text.contains("<script>1"), "{}", ask.text);
    let form = "asset=1&verdict=approved&reason=bought&until=2099-12-31&idle=90d";
    assert_eq!(site.post("/decide", &viewer, form).await.status, StatusCode::FORBIDDEN);
    assert_eq!(site.registration(0).await, Registration::Unknown);
    let done = site.post("/decide", &approver, form).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert_eq!(site.registration(0).await, Registration::Registered);
    assert_eq!(site.registration(1).await, Registration::Unregistered);
    assert_eq!(site.open("device.unregistered").await.len(), 1);
    let overview = site.get("/", Some(&viewer)).await.text;
    assert!(overview.contains("unregistered") && !overview.contains("<script>1"), "{overview}");
    // By a query, with the same question before.
    let ask = site.get("/decide?where=registration%3Dunregistered", Some(&approver)).await;
    assert_eq!(field(&ask.text, "asset"), "2");
    let without = site.post("/decide", &approver, "asset=2&verdict=approved&reason=+").await;
    assert_eq!(without.status, StatusCode::UNPROCESSABLE_ENTITY);
    site.post("/decide", &approver, "asset=2&verdict=approved&reason=found").await;
    assert!(site.open("device.unregistered").await.is_empty());
    let list = site.get("/decisions", Some(&viewer)).await.text;
    assert!(list.contains("bought") && list.contains("found") && list.contains("90d"), "{list}");
    assert!(!list.contains("/confirm") && !list.contains("/withdraw"));
    // Taken back, it is a finding again.
    let back = site.post("/decisions/2/withdraw", &approver, "reason=wrong+one").await;
    assert_eq!(back.status, StatusCode::SEE_OTHER, "{}", back.text);
    assert_eq!(site.open("device.unregistered").await.len(), 1);
    let audit = site.shared.store.audit(None).await.unwrap();
    let by: Vec<(&str, &str)> =
        audit.iter().map(|one| (one.deed.who.as_str(), one.deed.action.as_str())).collect();
    assert_eq!(by.iter().filter(|one| **one == ("approver", "approve")).count(), 2, "{by:?}");
    assert!(by.contains(&("approver", "withdraw")), "{by:?}");
    let verified = site.get("/audit?verify=1", Some(&viewer)).await.text;
    assert!(verified.contains("The chain holds."), "{verified}");
}

#[tokio::test]
async fn nobody_confirms_their_own_decision() {
    let site = Site::with("[approval]\nfour_eyes = true").await;
    site.sweep(1).await;
    let (one, other) = (site.session(Role::Approver).await, site.session(Role::Admin).await);
    site.post("/decide", &one, "asset=1&verdict=approved&reason=bought").await;
    assert_eq!(site.registration(0).await, Registration::Unknown);
    let own = site.post("/decisions/1/confirm", &one, "").await;
    assert_eq!(own.status, StatusCode::CONFLICT);
    assert!(own.text.contains("another person has to confirm it"), "{}", own.text);
    assert_eq!(site.post("/decisions/1/confirm", &other, "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(site.registration(0).await, Registration::Registered);
}

#[tokio::test]
async fn a_finding_is_accepted_with_a_reason_until_a_day() {
    let site = Site::new().await;
    site.sweep(2).await;
    let token = site.session(Role::Approver).await;
    site.post("/decide", &token, "asset=1&verdict=approved&reason=bought").await;
    let id = site.open("device.unregistered").await[0];
    let path = format!("/findings/{id}/accept");
    let ask = site.get(&format!("/findings/{id}"), Some(&token)).await.text;
    assert!(ask.contains("device.unregistered") && !ask.contains("<script>2"), "{ask}");
    for (form, status) in [
        ("until=2099-12-31", 422),
        ("reason=visitor", 422),
        ("reason=visitor&until=2020-01-01", 422),
        ("reason=visitor&until=2099-12-31&back=/scans", 303),
    ] {
        let answer = site.post(&path, &token, form).await;
        assert_eq!(answer.status, status, "{form}: {}", answer.text);
    }
    assert!(site.open("device.unregistered").await.is_empty());
    let none = site.post("/findings/99/accept", &token, "reason=x&until=2099-12-31").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_register_is_replaced_once_somebody_has_seen_what_that_changes() {
    let site = Site::new().await;
    site.sweep(2).await;
    let token = site.session(Role::Approver).await;
    let first = "Reference,MAC\nPC-1,00:00:5e:00:53:01\n<i>PC-2,00:00:5e:00:53:02\n";
    let forged = site.upload(&token, "", first).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let preview = site.upload(&token, &form_token(&token), first).await;
    assert_eq!(preview.status, StatusCode::OK, "{}", preview.text);
    assert!(preview.text.contains("&#60;i&#62;PC-2") && !preview.text.contains("<i>PC-2"));
    assert!(preview.text.contains("<dt>Added</dt><dd>2</dd>"), "{}", preview.text);
    // Nothing was changed yet, and nobody else can.
    assert!(site.shared.store.registers().await.unwrap().is_empty());
    let file = field(&preview.text, "file");
    let other = site.session(Role::Admin).await;
    let gone = site.post("/registers/import", &other, &format!("file={file}")).await;
    assert!(gone.text.contains("The file is here no more."), "{}", gone.text);
    let done = site.post("/registers/import", &token, &format!("file={file}")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert_eq!(site.registration(1).await, Registration::Registered);
    let again = site.post("/registers/import", &token, &format!("file={file}")).await;
    assert!(again.text.contains("The file is here no more."));

    // Another file, while somebody else replaces it as well: it is looked at again.
    let second = "Reference,MAC\nPC-1,00:00:5e:00:53:09\n";
    let mine = field(&site.upload(&token, &form_token(&token), second).await.text, "file");
    let third = "Reference,MAC\nPC-7,00:00:5e:00:53:07\n";
    let theirs = field(&site.upload(&other, &form_token(&other), third).await.text, "file");
    site.post("/registers/import", &other, &format!("file={theirs}")).await;
    let meanwhile = site.post("/registers/import", &token, &format!("file={mine}")).await;
    assert!(meanwhile.text.contains("The register was changed meanwhile."), "{}", meanwhile.text);
    let mine = field(&meanwhile.text, "file");
    site.post("/registers/import", &token, &format!("file={mine}")).await;
    let csv = site.get("/registers/device/export", Some(&token)).await;
    assert!(csv.text.contains("PC-1") && !csv.text.contains("PC-7"), "{}", csv.text);
    let disposition = csv.headers[header::CONTENT_DISPOSITION].to_str().unwrap();
    assert_eq!(disposition, "attachment; filename=\"device-register.csv\"");
    let workbook = site.get("/registers/device/export?form=xlsx", Some(&token)).await;
    assert!(workbook.text.starts_with("PK"));
    let list = site.get("/registers", Some(&token)).await.text;
    assert!(list.contains("&#60;b&#62;.csv") && !list.contains("<b>"), "{list}");
    let empty = site.upload(&token, &form_token(&token), "Reference,MAC\n").await;
    assert!(!empty.text.contains("/registers/import"), "{}", empty.text);
}

#[tokio::test]
async fn a_job_is_wanted_by_an_operator_and_begun_by_the_service() {
    let site = Site::with(
        "[[jobs]]\nname = \"nightly\"\nkind = \"sweep\"\nschedule = \"30 2 * * *\"\n\
         targets = [\"192.0.2.0/24\"]\n[web]\nlisten = \"127.0.0.1:8443\"",
    )
    .await;
    let token = site.session(Role::Operator).await;
    let page = site.get("/jobs", Some(&token)).await.text;
    assert!(page.contains("nightly") && page.contains("30 2 * * *"), "{page}");
    assert_eq!(site.post("/jobs/other/run", &token, "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.post("/jobs/nightly/run", &token, "").await.status, StatusCode::SEE_OTHER);
    let wished = site.shared.store.wished_jobs().await.unwrap();
    assert_eq!((wished[0].0.as_str(), wished[0].2.as_str()), ("nightly", "operator"));
    assert!(site.get("/jobs", Some(&token)).await.text.contains("wanted"));
    let metrics = site.get("/metrics", Some(&token)).await.text;
    assert!(metrics.contains("daicho_job_late_seconds{job=\"nightly\"} 0"), "{metrics}");
}

#[tokio::test]
async fn routes_are_tested_and_what_failed_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::with(&format!(
        "[[routes]]\nname = \"office/1\"\ntype = \"file\"\npath = \"/nowhere/alerts.jsonl\"\n\
         [[routes]]\nname = \"good\"\ntype = \"file\"\npath = \"{}/alerts.jsonl\"\n\
         [[routes]]\nname = \"program\"\ntype = \"command\"\ncommand = [\"/bin/true\"]",
        folder.path().display()
    ))
    .await;
    let token = site.session(Role::Admin).await;
    let page = site.get("/alerts", Some(&token)).await.text;
    assert!(page.contains("/alerts/routes/office%2F1/test"), "{page}");
    let failed = site.post("/alerts/routes/office%2F1/test", &token, "").await.text;
    assert!(failed.contains("The test was not sent:"), "{failed}");
    let sent = site.post("/alerts/routes/good/test", &token, "").await.text;
    assert!(sent.contains("A test was sent."), "{sent}");
    let program = site.post("/alerts/routes/program/test", &token, "").await.text;
    assert!(program.contains("daicho alert test program"), "{program}");
    let none = site.post("/alerts/routes/none/test", &token, "").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let audit = site.shared.store.audit(Some(2)).await.unwrap();
    let told: Vec<(&str, &str)> =
        audit.iter().map(|one| (one.deed.subject.as_str(), one.deed.detail.as_str())).collect();
    assert_eq!(told, [("route good", "sent"), ("route office/1", "not sent")]);
}

#[tokio::test]
async fn admins_say_who_may_do_what() {
    let site = Site::new().await;
    let token = site.session(Role::Admin).await;
    let add = async |form: &str| site.post("/users", &token, form).await.status;
    assert_eq!(add("name=mori&role=viewer&password=battery+staple").await, StatusCode::SEE_OTHER);
    assert_eq!(add("name=MORI&role=viewer&password=battery+staple").await, StatusCode::CONFLICT);
    assert_eq!(
        add("name=x&role=god&password=battery+staple").await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(add("name=x&role=viewer&password=short").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        add("name=%3Cb%3E&role=viewer&password=battery+staple").await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let status = async |path: &str, form: &str| site.post(path, &token, form).await.status;
    assert_eq!(status("/users/mori/role", "role=operator").await, StatusCode::SEE_OTHER);
    assert_eq!(
        status("/users/mori/password", "password=another+good+one").await,
        StatusCode::SEE_OTHER
    );
    assert_eq!(status("/users/admin/role", "role=viewer").await, StatusCode::CONFLICT);
    assert_eq!(status("/users/nobody/remove", "").await, StatusCode::NOT_FOUND);
    assert_eq!(status("/users/mori/remove", "").await, StatusCode::SEE_OTHER);
    let made = site.post("/tokens", &token, "name=ci&scope=read&scope=metrics&days=30").await;
    assert!(made.text.contains("This key is shown only now:"), "{}", made.text);
    let key = made.text.split("<code>daicho_").nth(1).unwrap().split('<').next().unwrap();
    let list = site.get("/users", Some(&token)).await.text;
    assert!(list.contains("metrics, read") || list.contains("read, metrics"), "{list}");
    assert!(!list.contains(key));
    assert_eq!(status("/tokens", "name=x&days=30").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(status("/tokens/ci/remove", "").await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn every_page_is_there_in_both_languages() {
    let site = Site::new().await;
    site.sweep(3).await;
    let token = site.session(Role::Admin).await;
    let paths = [
        "/",
        "/scans",
        "/scans/1",
        "/decisions",
        "/decide?asset=1",
        "/registers",
        "/jobs",
        "/alerts",
        "/audit",
        "/doctor",
        "/users",
        "/account",
    ];
    for path in paths {
        for (language, words) in [("en", "Sign out"), ("ja", "サインアウト")] {
            let cookies = format!("__Host-daicho={token}; daicho-language={language}");
            let request = Request::get(path).header(header::COOKIE, cookies);
            let answer = site.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
            assert!(answer.text.contains(words), "{path}");
            assert!(answer.text.contains(&format!("<html lang=\"{language}\"")), "{path}");
            // Each can be used from the keyboard and read aloud.
            for part in ["<main id=\"content\"", "class=\"skip\"", "<h1>", "<nav aria-label="] {
                assert!(answer.text.contains(part), "{path}: {part}");
            }
        }
    }
}

#[tokio::test]
async fn states_findings_and_refusals_are_told_in_japanese() {
    let site = Site::new().await;
    site.sweep(2).await;
    let token = site.session(Role::Admin).await;
    site.post("/decide", &token, "asset=1&verdict=approved&reason=bought").await;
    let ask = async |path: &str, body: Option<&str>| {
        let request = match body {
            Some(_) => super::form(path, Some(&token)),
            None => Request::get(path).header(header::COOKIE, format!("__Host-daicho={token}")),
        };
        let body = body.map(|fields| format!("csrf={}&{fields}", form_token(&token)));
        let request = request.header(header::ACCEPT_LANGUAGE, "ja");
        site.send(request.body(body.map_or_else(Body::empty, Body::from)).unwrap()).await.text
    };
    for (path, words) in [
        ("/", "未登録</a>"),
        ("/", "初検出"),
        ("/assets", "<td class=\"warn\">未登録</td>"),
        ("/assets", ">登録済み</a>"),
        ("/assets/2", "未登録: "),
        ("/assets/2", "未登録の機器: "),
        ("/findings", "未登録の機器: "),
        ("/findings", ">未解決</td>"),
        ("/findings", ">未解決</a>"),
        ("/decisions", "有効"),
        ("/findings?q=serverity:critical", "&#34;severity&#34; ではありませんか"),
    ] {
        let page = ask(path, None).await;
        assert!(page.contains(words), "{path}: {words}: {page}");
    }
    // What is asked for stays as it is.
    assert!(ask("/assets", None).await.contains("registration%3D%22unregistered%22"));
    let taken = ask("/users", Some("name=admin&role=viewer&password=battery+staple")).await;
    assert!(taken.contains("この名前はすでに使われています。"), "{taken}");
    let short = ask("/users", Some("name=mori&role=viewer&password=short")).await;
    assert!(short.contains("12文字以上"), "{short}");
}
