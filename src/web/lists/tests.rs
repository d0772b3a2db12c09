//! Lists as a browser and a program meet them.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use inventory::user::Role;
use model::{
    Endpoint, Fact, Method, NameSource, Observation, PortState, Service, Site as Place, Subject,
    Vantage,
};

use crate::{clock, web::tests::Site};

/// A page over assets that say odd things of themselves, with as many addresses as that.
async fn site(assets: u8) -> Site {
    let site = Site::new().await;
    let store = &site.shared.store;
    let at = clock::now();
    let vantage = Vantage { site: Place("plant".into()), name: "here".into() };
    let mut seen = Vec::new();
    for number in 1..=assets {
        let address = std::net::IpAddr::from([192, 0, 2, number]);
        let endpoint = Endpoint::tcp(address, 80);
        let service = Service {
            product: Some("<script>alert(1)</script>".into()),
            version: Some("=1+1".into()),
            ..Service::of("http")
        };
        let named =
            Fact::HostName { name: format!("host-{number}.example"), source: NameSource::Dns };
        for (method, subject, fact) in [
            (Method::Resolver, Subject::Address(address), named),
            (Method::TcpSyn, Subject::Endpoint(endpoint), Fact::PortState(PortState::Open)),
            (Method::Dialogue, Subject::Endpoint(endpoint), Fact::Service(service)),
        ] {
            seen.push(Observation {
                observed_at: at,
                vantage: vantage.clone(),
                method,
                subject,
                fact,
                evidence: Vec::new(),
            });
        }
    }
    let scan = store.begin_scan(&vantage, at, "sweep", &["x".into()], "connect").await.unwrap();
    store.write_observations(scan, seen).await.unwrap();
    store.digest(scan, at).await.unwrap();
    store.review(at, &site.shared.settings.policy).await.unwrap();
    site
}

#[tokio::test]
async fn each_list_is_shown_in_both_languages_and_escapes_what_devices_say() {
    let site = site(3).await;
    let token = site.session(Role::Viewer).await;
    for (path, title) in [
        ("/assets", "資産"),
        ("/services", "サービス"),
        ("/software", "ソフトウェア"),
        ("/certificates", "証明書"),
        ("/findings", "検出事項"),
    ] {
        let english = site.get(path, Some(&token)).await;
        assert_eq!(english.status, StatusCode::OK, "{path}: {}", english.text);
        let request = Request::get(path)
            .header(header::COOKIE, format!("__Host-daicho={token}"))
            .header(header::ACCEPT_LANGUAGE, "ja");
        let japanese = site.send(request.body(Body::empty()).unwrap()).await;
        assert!(japanese.text.contains(&format!("<h1>{title}</h1>")), "{path}");
        assert!(!english.text.contains("<script>alert"), "{path}");
    }
    let services = site.get("/services", Some(&token)).await;
    assert!(services.text.contains("alert(1)"), "the product is not shown");
    assert!(services.text.contains("192.0.2.3") && services.text.contains("80/tcp"));
}

#[tokio::test]
async fn an_asset_is_told_down_to_what_was_observed() {
    let site = site(2).await;
    let token = site.session(Role::Viewer).await;
    let page = site.get("/assets/2", Some(&token)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    for text in
        ["host-2.example", "192.0.2.2:80/tcp", "What was observed", "Identifiers", "resolver"]
    {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    assert!(!page.text.contains("<script>alert") && page.text.contains("alert(1)"));
    assert_eq!(site.get("/assets/99", Some(&token)).await.status, StatusCode::NOT_FOUND);
    assert_ne!(site.get("/assets/x", Some(&token)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_list_is_filtered_sorted_and_paged_by_its_address() {
    let site = site(5).await;
    let token = site.session(Role::Viewer).await;
    let some = site.get("/assets?q=name:host-3&columns=name,seen", Some(&token)).await;
    assert!(some.text.contains("host-3.example") && !some.text.contains("host-2.example"));
    assert!(!some.text.contains(">Class</a>"), "{}", some.text);
    let boxes = site.get("/assets?column=name&column=class&q=", Some(&token)).await;
    assert!(boxes.text.contains(">Class</a>") && !boxes.text.contains(">Last seen</a>"));
    let last = site.get("/assets?sort=-name&rows=2", Some(&token)).await;
    assert!(last.text.contains("host-5.example") && last.text.contains("aria-sort=\"descending\""));
    assert!(!last.text.contains("host-3.example"));
    let (_, rest) = last.text.split_once("rel=\"next\" href=\"").unwrap();
    let next = rest.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let second = site.get(&next, Some(&token)).await;
    assert!(second.text.contains("host-3.example") && !second.text.contains("host-4.example"));
    let nowhere = site.get("/assets?after=5b5d", Some(&token)).await;
    assert_eq!(nowhere.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_wrong_word_of_a_query_is_marked() {
    let site = site(1).await;
    let token = site.session(Role::Viewer).await;
    let answer = site.get("/assets?q=port:80+and+nane:%3Cb%3E", Some(&token)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.contains("port:80 and <mark>nane</mark>:"), "{}", answer.text);
    assert!(!answer.text.contains("<b>"));
}

#[tokio::test]
async fn what_is_shown_is_exported_without_formulas() {
    let site = site(3).await;
    let token = site.session(Role::Viewer).await;
    let path =
        "/export/services.csv?q=address:192.0.2.1,192.0.2.2&columns=address,version&sort=-address";
    let file = site.get(path, Some(&token)).await;
    assert_eq!(file.status, StatusCode::OK);
    let expected =
        "\u{feff}\"Address\",\"Version\"\r\n\"192.0.2.2\",\"'=1+1\"\r\n\"192.0.2.1\",\"'=1+1\"\r\n";
    assert_eq!(file.text, expected);
    let book = site.get("/export/assets.xlsx", Some(&token)).await;
    assert!(book.status == StatusCode::OK && book.text.starts_with("PK"));
}

#[tokio::test]
async fn programs_page_through_a_list_and_are_told_when_nothing_changed() {
    let site = site(5).await;
    let token = site.session(Role::Viewer).await;
    let mut path = "/api/v1/assets?rows=2&sort=id".to_owned();
    let mut ids = Vec::new();
    loop {
        let answer = site.get(&path, Some(&token)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let body: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(body["total"], 5);
        ids.extend(body["items"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()));
        match body["next"].as_str() {
            Some(next) => path = format!("/api/v1/assets?rows=2&sort=id&after={next}"),
            None => break,
        }
    }
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    let first = site.get("/api/v1/services", Some(&token)).await;
    let request = Request::get("/api/v1/services")
        .header(header::COOKIE, format!("__Host-daicho={token}"))
        .header(header::IF_NONE_MATCH, first.headers[header::ETAG].clone());
    let again = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    let wrong = site.get("/api/v1/findings?q=serverity:critical", Some(&token)).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let body: serde_json::Value = serde_json::from_str(&wrong.text).unwrap();
    assert_eq!(wrong.headers[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(body["type"], "urn:daicho:problem:query");
    assert_eq!((body["start"].as_u64(), body["end"].as_u64()), (Some(0), Some(9)));
}

#[tokio::test]
async fn what_an_asset_was_known_by_is_all_reached() {
    let site = Site::new().await;
    let token = site.session(Role::Viewer).await;
    // A device with more addresses than a table of its page has rows.
    let at = clock::now();
    let mac = "00:00:5e:00:53:01".parse().unwrap();
    let vantage = Vantage { site: Place("default".into()), name: "test".into() };
    let seen = (1..=250_u8).map(|last| Observation {
        observed_at: at,
        vantage: vantage.clone(),
        method: Method::Arp,
        subject: Subject::Address([198, 51, 100, last].into()),
        fact: Fact::LinkAddress(mac),
        evidence: Vec::new(),
    });
    site.see(seen.collect()).await;
    let assets = site.shared.store.assets().await.unwrap();
    let many = assets.iter().find(|asset| asset.identifiers.len() > 200).unwrap();
    let first = site.get(&format!("/assets/{}", many.id), Some(&token)).await.text;
    let mut path = format!("/assets/{}/identifiers", many.id);
    assert!(first.contains(&format!("href=\"{path}\"")), "{first}");
    let (mut rows, mut pages) = (Vec::new(), 0);
    loop {
        let page = site.get(&path, Some(&token)).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let cells = page.text.split("<tr>").skip(2).filter_map(|row| row.split("</tr>").next());
        rows.extend(cells.map(str::to_owned));
        pages += 1;
        let Some((_, rest)) = page.text.split_once("rel=\"next\" href=\"") else { break };
        path = rest.split('"').next().unwrap().to_owned();
    }
    assert_eq!((rows.len(), pages), (many.identifiers.len(), 2));
    for one in &many.identifiers {
        let value = one.identifier.value();
        assert_eq!(rows.iter().filter(|row| row.contains(&format!(">{value}<"))).count(), 1);
    }
    let odd = format!("/assets/{}/identifiers?after=", many.id);
    for (after, status) in [("0.99999", 200), ("0.-5", 200), ("x", 422)] {
        let answer = site.get(&format!("{odd}{after}"), Some(&token)).await;
        assert_eq!(answer.status, status, "{after}");
    }
}
