//! Everything that devices, files and people say, with all in it that browsers, terminals and
//! spreadsheets obey: through the real store, onto every page, list, file and answer there is.

use std::{cell::RefCell, collections::BTreeSet, io::Cursor};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use calamine::{Reader as _, Xlsx};
use inventory::{
    file::FoundFile,
    register::{DeviceEntry, Entry, IssuerEntry, SoftwareEntry, columns, read},
    store::{RegisterSource, ScanProgress},
    user::{Role, Scope, token_hash},
};
use model::{
    Cpe, DiscoveryProtocol, Endpoint, Fact, FingerprintKind, Gap, HostCertificate, HostKey,
    MachineIdKind, Method, NameSource, Neighbor, NetworkRole, Observation, PortSet, PortState,
    ScanRecord, Service, Subject, TlsServer, TlsVersion, Transport, Use, Vantage, Volume,
};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};

use super::{Answer, Site, all, form_token};
use crate::{clock, report::table::is_obeyed};

/// Hands out texts that are all hostile, each with a mark of its own.
#[derive(Default)]
struct Hostile(RefCell<Vec<String>>);

impl Hostile {
    /// A text for that field: a formula, elements, quotes that end attributes, an address that is a
    /// script, what reorders letters, and what terminals obey.
    fn text(&self, field: &str) -> String {
        let mut fields = self.0.borrow_mut();
        fields.push(field.to_owned());
        let mark = mark(fields.len());
        format!(
            "={mark}<zq onload=\"zq\" b='zq'>&zq;<script>zq</script>javascript:zq\u{202e}\u{2066}\
             \u{200b}\u{7}\u{1b}[31m\r\nzq"
        )
    }

    fn some(&self, field: &str) -> Option<String> {
        Some(self.text(field))
    }

    /// One that is ASCII without controls, for what can hold nothing else.
    fn plain(&self, field: &str) -> String {
        self.text(field).chars().filter(|c| c.is_ascii() && !c.is_control()).collect()
    }
}

fn mark(number: usize) -> String {
    format!("zq{number:03}q")
}

/// Which variant it is. A new one has to be added here, and to what is sent below.
const fn variant(fact: &Fact) -> usize {
    match fact {
        Fact::Alive { .. } => 0,
        Fact::LinkAddress(_) => 1,
        Fact::HostName { .. } => 2,
        Fact::PortState(_) => 3,
        Fact::Ports { .. } => 4,
        Fact::Service(_) => 5,
        Fact::Certificates(_) => 6,
        Fact::Tls(_) => 7,
        Fact::OcspResponse { .. } => 8,
        Fact::HostKey(_) => 9,
        Fact::HostCertificate(_) => 10,
        Fact::MachineId { .. } => 11,
        Fact::OperatingSystem { .. } => 12,
        Fact::Role(_) => 13,
        Fact::Use(_) => 14,
        Fact::Fingerprint { .. } => 15,
        Fact::Neighbor(_) => 16,
        Fact::Vlan(_) => 17,
        Fact::Anomaly { .. } => 18,
    }
}

const VARIANTS: usize = 19;

/// A certificate in which everything that a certificate can say is hostile.
fn certificate(hostile: &Hostile) -> Vec<u8> {
    let mut params = CertificateParams::default();
    for (name, field) in [
        (DnType::CommonName, "certificate: common name"),
        (DnType::OrganizationName, "certificate: organisation"),
        (DnType::OrganizationalUnitName, "certificate: unit"),
        (DnType::LocalityName, "certificate: locality"),
        (DnType::CountryName, "certificate: country"),
    ] {
        params.distinguished_name.push(name, hostile.text(field));
    }
    let names = ["certificate: dns name", "certificate: mail", "certificate: address"];
    let [dns, mail, uri] = names.map(|field| hostile.plain(field).try_into().unwrap());
    params.subject_alt_names =
        vec![SanType::DnsName(dns), SanType::Rfc822Name(mail), SanType::URI(uri)];
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

/// What a device says of itself, in every way in which it can.
fn facts(hostile: &Hostile) -> Vec<(Method, Fact)> {
    let text = |field: &str| hostile.text(field);
    let some = |field: &str| hostile.some(field);
    let mut service = Service::of(&text("service: protocol"));
    service.product = some("service: product");
    service.version = some("service: version");
    service.cpe = Some(Cpe(text("service: cpe")));
    for name in ["banner", "title", "sys_descr", "server"] {
        service.attributes.insert(name.to_owned(), text(&format!("service: {name}")));
    }
    service.attributes.insert(text("service: name of an attribute"), "1".to_owned());
    let tls = TlsServer {
        starttls: some("tls: starttls"),
        protocols: [text("tls: application protocol")].into(),
        client_authorities: Some([text("tls: client authority")].into()),
        accepted: [(TlsVersion(0x0303), [0xc02f].into())].into(),
        asked: model::TlsExtent::Gentle,
        cut: false,
        refused: BTreeSet::new(),
        groups: BTreeSet::new(),
        dh_bits: None,
        compression: None,
        secure_renegotiation: None,
        extended_master_secret: None,
        hybrid: None,
    };
    let served = model::CertificateChain {
        chain: vec![certificate(hostile)],
        server_name: some("chain: server name"),
        protocol_version: TlsVersion(0x0304),
        starttls: some("chain: starttls"),
    };
    let key = |field: &str| HostKey { algorithm: text(field), sha256: text(field) };
    let signed = HostCertificate {
        key: key("ssh: key"),
        authority: key("ssh: authority"),
        serial: 7,
        key_id: text("ssh: key id"),
        principals: vec![text("ssh: principal")],
        not_before: clock::now(),
        not_after: None,
    };
    let neighbor = Neighbor {
        chassis: some("neighbour: chassis"),
        port: some("neighbour: port"),
        system_name: some("neighbour: name"),
        system_description: some("neighbour: description"),
        platform: some("neighbour: platform"),
        version: some("neighbour: version"),
        ..Neighbor::of(DiscoveryProtocol::Lldp)
    };
    let server = [192, 0, 2, 53].into();
    let mut facts = vec![
        (Method::Echo, Fact::Alive { ttl: Some(64) }),
        (Method::Arp, Fact::LinkAddress("00:00:5e:00:53:01".parse().unwrap())),
        (Method::TcpSyn, Fact::PortState(PortState::Open)),
        (
            Method::TcpSyn,
            Fact::Ports {
                transport: Transport::Tcp,
                state: PortState::Open,
                ports: PortSet::default(),
            },
        ),
        (Method::Dialogue, Fact::Service(service)),
        (Method::Tls, Fact::Certificates(served)),
        (Method::Tls, Fact::Tls(tls)),
        (Method::Tls, Fact::OcspResponse { certificate: text("ocsp: certificate") }),
        (Method::Dialogue, Fact::HostKey(key("ssh: host key"))),
        (Method::Dialogue, Fact::HostCertificate(signed)),
        (
            Method::Dialogue,
            Fact::OperatingSystem {
                name: text("os: name"),
                version: some("os: version"),
                cpe: Some(Cpe(text("os: cpe"))),
            },
        ),
        (Method::Capture, Fact::Role(NetworkRole::DhcpServer)),
        (
            Method::Capture,
            Fact::Use(Use::Cloud { domain: text("use: domain"), volume: Volume::Small }),
        ),
        (Method::Capture, Fact::Use(Use::Cleartext { protocol: text("use: protocol"), server })),
        (
            Method::Capture,
            Fact::Fingerprint {
                kind: FingerprintKind::UserAgent,
                value: text("fingerprint: user agent"),
            },
        ),
        (Method::Capture, Fact::Neighbor(neighbor)),
        (Method::Capture, Fact::Vlan(7)),
        (
            Method::Dialogue,
            Fact::Anomaly {
                protocol: text("anomaly: protocol"),
                problem: text("anomaly: problem"),
            },
        ),
    ];
    for source in [NameSource::Dns, NameSource::Mdns, NameSource::Snmp, NameSource::Banner] {
        let name = text(&format!("name: {source:?}"));
        facts.push((Method::Resolver, Fact::HostName { name, source }));
    }
    for kind in [MachineIdKind::Serial, MachineIdKind::SnmpEngineId, MachineIdKind::DeviceUuid] {
        let value = text(&format!("machine: {kind:?}"));
        facts.push((Method::Dialogue, Fact::MachineId { kind, value }));
    }
    let told: BTreeSet<usize> = facts.iter().map(|(_, fact)| variant(fact)).collect();
    assert_eq!(told.len(), VARIANTS, "a kind of fact is not tried");
    facts
}

/// A register of one entry whose every cell is hostile, as far as the register takes it.
fn register<E: Entry>(hostile: &Hostile, known: &[(&str, &str)]) -> (Vec<E>, String) {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut headings: Vec<String> = known.iter().map(|(heading, _)| quoted(heading)).collect();
    let mut cells: Vec<String> = known.iter().map(|(_, cell)| quoted(cell)).collect();
    let file = |headings: &[String], cells: &[String]| {
        format!("{}\n{}\n", headings.join(","), cells.join(","))
    };
    let own = columns(E::KIND).iter().filter_map(|column| column.headings.first());
    let own = own.copied().filter(|own| known.iter().all(|(known, _)| known != own));
    for heading in own.chain(["=zq<zq>"]) {
        let cell = quoted(&hostile.text(&format!("register {}: {heading}", E::KIND)));
        let more = [&headings[..], &[quoted(heading)]].concat();
        let all = [&cells[..], &[cell]].concat();
        let taken = read::<E>(file(&more, &all).as_bytes());
        // A day, a number and the like are none of what is tried.
        if taken.is_ok_and(|import| import.errors.is_empty() && import.entries.len() == 1) {
            (headings, cells) = (more, all);
        } else {
            hostile.0.borrow_mut().pop();
        }
    }
    assert!(cells.len() > 2, "the register takes no text: {headings:?}");
    let file = file(&headings, &cells);
    (read::<E>(file.as_bytes()).unwrap().entries, file)
}

/// A database in which everything is hostile, and the hash of the certificate in it.
async fn fill(site: &Site, hostile: &Hostile) -> String {
    let (store, now) = (&site.shared.store, clock::now());
    let vantage = Vantage {
        site: model::Site(hostile.text("scan: site")),
        name: hostile.text("scan: vantage"),
    };
    let targets = [hostile.text("scan: target")];
    let command = hostile.text("scan: command");
    let io = hostile.text("scan: io");
    let scan = store.begin_scan(&vantage, now, &io, &targets, &command).await.unwrap();
    let endpoint = Endpoint::tcp([192, 0, 2, 1].into(), 443);
    let seen = facts(hostile).into_iter().map(|(method, fact)| Observation {
        observed_at: now,
        vantage: vantage.clone(),
        method,
        subject: match fact {
            Fact::PortState(_)
            | Fact::Service(_)
            | Fact::Certificates(_)
            | Fact::Tls(_)
            | Fact::OcspResponse { .. }
            | Fact::HostKey(_)
            | Fact::HostCertificate(_) => Subject::Endpoint(endpoint),
            _ => Subject::Address(endpoint.address),
        },
        fact,
        evidence: hostile.text("observation: evidence").into_bytes(),
    });
    let seen: Vec<Observation> = seen.collect();
    store.write_observations(scan, seen).await.unwrap();
    let der = certificate(hostile);
    let sha256 = certs::parse(&der).sha256;
    let found = FoundFile {
        path: hostile.text("file: path"),
        format: certs::store::Format::Pem,
        private_key: certs::store::PrivateKey::Plain,
        mode: 0o644,
        certificates: vec![certs::store::Held { der, entry: hostile.some("file: entry") }],
    };
    store.write_files(&vantage, &[found], &[], now).await.unwrap();
    store.digest(scan, now).await.unwrap();
    let progress = ScanProgress {
        at: now,
        phase: hostile.text("progress: phase"),
        permille: 1,
        alive: 1,
        open: 1,
        packets_per_second: 1,
        seconds_left: None,
    };
    store.note_progress(scan, &progress).await.unwrap();
    let over = store.begin_scan(&vantage, now, &io, &targets, "sweep").await.unwrap();
    let (target, reason) = (hostile.text("gap: target"), hostile.text("gap: reason"));
    let record = ScanRecord {
        vantage,
        started_at: now,
        ended_at: Some(now),
        io,
        probes_sent: 1,
        replies: 1,
        drops: 0,
        complete: false,
        gaps: vec![Gap { target, reason }],
        coverage: Vec::new(),
    };
    store.finish_scan(over, &record).await.unwrap();
    let (devices, _) = register::<DeviceEntry>(
        hostile,
        &[("reference", "PC-1"), ("mac address", "00:00:5e:00:53:02")],
    );
    let source = RegisterSource::of(hostile.text("register: file"), b"x");
    store.replace_register(&devices, &source, now).await.unwrap();
    let (software, _) = register::<SoftwareEntry>(hostile, &[("product", "=zq<zq>")]);
    store.replace_register(&software, &source, now).await.unwrap();
    let (issuers, _) = register::<IssuerEntry>(
        hostile,
        &[("issuer", "=zq<zq>"), ("certificate sha256", &"ab".repeat(32))],
    );
    store.replace_register(&issuers, &source, now).await.unwrap();
    site.review().await;
    sha256
}

/// What of a page a browser would take for more than text.
fn harm(text: &str) -> Option<String> {
    if let Some(place) = text.find(|c: char| is_obeyed(c) && !matches!(c, '\n')) {
        let before: String = text.get(..place)?.chars().rev().take(60).collect();
        return Some(format!("a character that is obeyed, behind (backwards) {before:?}"));
    }
    for wrong in ["<zq", "</zq", "<script>", "\"zq\"", "'zq'", "&zq;", "<img"] {
        if let Some(place) = text.find(wrong) {
            let rest: String = text.get(place..)?.chars().take(90).collect();
            return Some(format!("{wrong} in {rest:?}"));
        }
    }
    for attribute in ["href=\"", "src=\"", "action=\"", "data-live=\""] {
        let values = text.split(attribute).skip(1);
        let leads = |value: &&str| !(value.starts_with('/') || value.starts_with("#content"));
        if let Some(value) = values.into_iter().find(leads) {
            return Some(format!("{attribute}{}", value.chars().take(60).collect::<String>()));
        }
    }
    None
}

/// Every path that can be looked at, with what it asks for.
fn paths(sha256: &str, calendar: &str, findings: usize) -> Vec<String> {
    let looked = all().into_iter().filter(|route| route.method == "GET");
    let paths = looked.flat_map(|route| {
        let path = route.path.replace("{sha256}", sha256).replace("{kind}", "device");
        let path = path.replace("{id}", "1").replace("{key}", calendar).replace("{list}", "assets");
        assert!(!path.contains('{'), "{path}: what is to be asked for?");
        let odd = "q=%22%3D%3Czq%20onload=%5C%22zq%5C%22%3E%22&sort=%3Czq%3E&columns=%3Czq%3E";
        match path.as_str() {
            "/map/block" | "/api/v1/map/block" => {
                vec![format!("{path}?site=zq&block=192.0.2.0/24")]
            }
            "/api/v1/calendar" => vec![format!("{path}?month=%3Czq%3E"), path],
            "/decide" => [
                "asset=1",
                "where=id%3A1",
                "where=%3Czq%3E%3A1",
                "kind=issuer&issuer=%3Czq%3E",
                "kind=software&product=%22zq%22&back=/%3Czq%3E",
                "kind=software&where=product%3Azq",
            ]
            .map(|asked| format!("/decide?{asked}"))
            .into(),
            "/findings/1" => (1..=findings).map(|id| format!("/findings/{id}")).collect(),
            "/scans/1" | "/api/v1/scans/1" => {
                vec![path.replace('1', "2").replace("v2", "v1"), path]
            }
            "/audit" => vec![format!("{path}?verify=1&head=%3Czq%3E"), path],
            "/registers/device" => ["device?q=%3Czq%3E", "device", "software", "issuer"]
                .map(|asked| format!("/registers/{asked}"))
                .into(),
            "/registers/device/export" => vec![
                path.clone(),
                format!("{path}?form=xlsx"),
                path.replace("device", "software"),
                path.replace("device", "issuer"),
            ],
            // Where a provider of OpenID Connect sends browsers back to, with whatever it likes.
            "/login/oidc" => {
                vec![format!("{path}?state=%3Czq%3E&error=%3Czq%3E&iss=javascript:zq&{odd}")]
            }
            "/login" => vec![format!("{path}?next=javascript:zq")],
            path => vec![path.to_owned(), format!("{path}?{odd}")],
        }
    });
    paths.collect()
}

/// Judges an answer by what it says that it is.
fn judge(path: &str, answer: &Answer) {
    let kind = answer.headers.get(header::CONTENT_TYPE);
    let kind = kind.map_or("", |kind| kind.to_str().unwrap());
    let text = answer.text.as_str();
    match kind.split(';').next().unwrap() {
        "text/html" => assert_eq!(harm(text), None, "{path}"),
        // No browser shows these as a page, and nothing of them is a line of its own.
        "application/json" | "application/problem+json" => {
            assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{path}: {text}");
            assert!(!text.contains(|c: char| c.is_ascii_control()), "{path}");
        }
        "text/plain" => {
            for line in text.lines() {
                let is_own =
                    ["daicho_", "# ", "ok", "ready"].iter().any(|own| line.starts_with(own));
                assert!(is_own && !line.contains(is_obeyed), "{path}: {line:?}");
            }
        }
        "text/csv" => {
            let text = text.trim_start_matches('\u{feff}');
            for cell in cells(text) {
                assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{path}: {cell:?}");
            }
        }
        "text/calendar" => {
            // Every line is one of ours, or goes on with one.
            for line in text.lines() {
                let is_own = line.starts_with(|c: char| c == ' ' || c.is_ascii_uppercase());
                assert!(is_own && !line.contains(is_obeyed), "{path}: {line:?}");
            }
        }
        "application/pem-certificate-chain" => {
            assert!(text.chars().all(|c| c.is_ascii_graphic() || c == ' ' || c == '\n'), "{path}");
        }
        "text/css" | "text/javascript" | "image/svg+xml" => {}
        "text/event-stream" => assert!(text.lines().all(|line| !line.starts_with("zq")), "{path}"),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => {}
        other => panic!("{path}: {other:?}: {text}"),
    }
}

/// The cells of a CSV file.
fn cells(text: &str) -> Vec<String> {
    let (mut cells, mut cell, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' | '\n' if !is_quoted => cells.push(std::mem::take(&mut cell)),
            '\r' if !is_quoted => {}
            letter => cell.push(letter),
        }
    }
    cells.push(cell);
    cells
}

#[test]
fn what_is_more_than_text_is_found() {
    assert_eq!(harm("<a href=\"/assets\">&#60;zq onload=&#34;zq&#34;&#62;</a>\n"), None);
    for wrong in [
        "<zq>",
        "title=\"zq\"",
        "title='zq'",
        "&zq;",
        "<a href=\"javascript:zq\">",
        "a\u{202e}b",
        "a\u{7}b",
    ] {
        assert!(harm(wrong).is_some(), "{wrong}");
    }
    assert_eq!(cells("\"'=a\",b\r\n\"c\"\"\nd\",=e"), ["'=a", "b", "c\"\nd", "=e"]);
}

#[tokio::test]
async fn nothing_that_anybody_says_is_more_than_text_anywhere() {
    let hostile = Hostile::default();
    let site =
        Site::with("[[routes]]\nname = \"=zq<zq>\"\ntype = \"file\"\npath = \"/no\"\n").await;
    let sha256 = fill(&site, &hostile).await;
    let token = site.session(Role::Admin).await;
    // What people say of it.
    let encoded = |text: &str| super::super::page::encoded(text);
    let reason = encoded(&hostile.text("decision: reason"));
    for about in
        ["asset=1", "kind=software&product=%3Dzq%3Czq%3E", "kind=issuer&issuer=%3Dzq%3Czq%3E"]
    {
        let fields = format!("{about}&verdict=investigating&reason={reason}");
        let done = site.post("/decide", &token, &fields).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{about}: {}", done.text);
    }
    let accepted = encoded(&hostile.text("acceptance: reason"));
    let fields = format!("reason={accepted}&until=2099-12-31");
    let done = site.post("/findings/1/accept", &token, &fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);

    // What a provider of OpenID Connect says of somebody.
    let person = inventory::user::Person {
        issuer: &hostile.plain("identity: issuer"),
        subject: &hostile.plain("identity: subject"),
        called: hostile.text("identity: called"),
        names: vec!["=zq<zq onload=\"zq\">"],
    };
    let origin = inventory::store::Origin { counted: "a", address: "a", agent: "" };
    let (role, now) = (Some(Role::Viewer), clock::now());
    site.shared.store.sign_in_from(&person, role, "zq", None, origin, now).await.unwrap();

    let mut shown = String::new();
    let mut workbooks = 0;
    let now = clock::now();
    let (hash, end) = (token_hash("calendar"), Some(now.plus_seconds(3_600)));
    let store = &site.shared.store;
    store.add_api_token("calendar", &hash, &[Scope::Calendar], end, now).await.unwrap();
    let findings = store.findings().await.unwrap().len();
    for path in paths(&sha256, "calendar", findings) {
        for language in ["en", "ja"] {
            let request = Request::get(&path)
                .header(
                    header::COOKIE,
                    format!("__Host-daicho={token}; daicho-language={language}"),
                )
                .header(header::USER_AGENT, "=zq<zq onload=\"zq\">");
            let request = request.body(Body::empty()).unwrap();
            // These go on for as long as somebody listens.
            if path.contains("scans/") && path.contains("/events") {
                continue;
            }
            if path.contains("xlsx") {
                workbooks += check_workbook(&site, &path, request).await;
                continue;
            }
            let answer = site.send(request).await;
            let is_led = answer.status.is_redirection();
            let is_read = answer.status == StatusCode::OK || path.contains('?');
            assert!(is_read || is_led, "{path}: {}: {}", answer.status, answer.text);
            assert!(!answer.status.is_server_error(), "{path}: {}", answer.text);
            if !is_led {
                judge(&path, &answer);
            }
            shown.push_str(&answer.text);
        }
    }
    assert!(workbooks > 10, "{workbooks}");
    // A block is asked for by a site's name, as the map has it.
    let map = site.get("/map", Some(&token)).await.text;
    let (_, rest) = map.split_once("href=\"/map/block?").unwrap();
    let asked = rest.split('"').next().unwrap().replace("&#38;", "&");
    let block = site.get(&format!("/map/block?{asked}"), Some(&token)).await;
    assert_eq!(block.status, StatusCode::OK, "{}", block.text);
    judge("/map/block", &block);
    let (_, file) = register::<DeviceEntry>(
        &hostile,
        &[("reference", "PC-1"), ("mac address", "00:00:5e:00:53:03")],
    );
    let preview = site.upload(&token, &form_token(&token), &file).await;
    assert_eq!(preview.status, StatusCode::OK, "{}", preview.text);
    judge("/registers/preview", &preview);
    shown.push_str(&preview.text);
    // It was all there to be shown: what is in no answer at all proves nothing.
    let fields = hostile.0.borrow();
    let numbered = || (1..).zip(fields.iter());
    let told: BTreeSet<&str> = numbered()
        .filter(|(number, _)| shown.contains(&mark(*number)))
        .map(|(_, field)| field.as_str())
        .collect();
    let lacks: Vec<&String> =
        fields.iter().filter(|field| !told.contains(field.as_str())).collect();
    assert_eq!(lacks, Vec::<&String>::new());
    assert!(told.len() > 70, "{}", told.len());
}

/// A workbook has texts and no formulas. Returns how many workbooks it was: what cannot be read of
/// a query is told as on other pages.
async fn check_workbook(site: &Site, path: &str, request: Request<Body>) -> usize {
    let (_, bytes) = site.answer(request).await;
    if !bytes.starts_with(b"PK") {
        assert!(path.contains("q="), "{path} is no workbook");
        assert_eq!(harm(&String::from_utf8_lossy(&bytes)), None, "{path}");
        return 0;
    }
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).expect(path);
    for name in workbook.sheet_names() {
        let formulas = workbook.worksheet_formula(&name).unwrap();
        assert!(formulas.used_cells().next().is_none(), "{path}");
        let cells = workbook.worksheet_range(&name).unwrap();
        for (_, _, cell) in cells.used_cells() {
            assert!(matches!(cell, calamine::Data::String(_)), "{path}: {cell:?}");
        }
    }
    1
}
