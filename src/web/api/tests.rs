//! The API as programs meet it, and whether what is said of it is so.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use inventory::{
    audit::Actor,
    finding::FindingState,
    user::{Role, Scope, token_hash},
};
use serde_json::{Value, json};

use super::{describe::document, schema::fault, shapes::SHAPES};
use crate::{
    clock,
    web::{
        language::Language,
        routes::all,
        tests::{Answer, HOST, Site},
        visit::{Access, form_token},
    },
};

const CONFIGURED: &str = "[[jobs]]\nname = \"nightly\"\nkind = \"sweep\"\nschedule = \"30 2 * * *\"\n\
     targets = [\"192.0.2.0/24\"]\n[web]\nlisten = \"127.0.0.1:8443\"\n\
     [[routes]]\nname = \"of/fice\"\ntype = \"file\"\npath = \"/nowhere/alerts.jsonl\"\n";

impl Site {
    /// A key with a scope, made by somebody.
    async fn key(&self, name: &str, scope: Scope, maker: &str) -> String {
        let store = self.shared.store.clone();
        let store = store.acting(Actor { name: maker.to_owned(), account: None });
        let token = format!("daicho_{name}");
        let end = clock::now().plus_seconds(3_600);
        let hash = token_hash(&token);
        store.add_api_token(name, &hash, &[scope], Some(end), clock::now()).await.unwrap();
        token
    }

    /// Asks with a key, and with a body of JSON where there is one.
    async fn call(&self, method: &str, path: &str, key: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    async fn read(&self, path: &str, key: &str) -> Value {
        let answer = self.call("GET", path, key, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }
}

/// What of a value a schema does not allow, in words.
fn differs(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    fault(document, schema, value, "")
        .map(|fault| format!("{}: {value}", fault.text(Language::English)))
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(name)) = object.get("$ref") {
                found.insert(name.clone());
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(all) => all.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_route_of_the_api_is_described_and_no_other() {
    let routes = all();
    let document = document(&routes).unwrap();
    let mut ids = BTreeSet::new();
    for route in &routes {
        let is_api = route.path.starts_with("/api/v1/");
        assert_eq!(route.about.is_some(), is_api, "{}", route.path);
        if is_api {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            assert!(operation["summary"].as_str().is_some_and(|what| !what.is_empty()));
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()));
            assert!(matches!(route.access, Access::Role(_)), "{}", route.path);
            assert!(operation["security"][0]["key"][0].is_string(), "{}", route.path);
        }
    }
    assert!(ids.len() > 50, "{}", ids.len());
    let mut named = BTreeSet::new();
    references(&document, &mut named);
    let known = SHAPES.iter().map(|(name, _)| format!("#/components/schemas/{name}"));
    assert_eq!(named, known.collect(), "shapes that are not there, or that nobody uses");
}

#[test]
fn what_a_schema_does_not_allow_is_found() {
    let document = json!({});
    let check = |shape: &str, value: Value| {
        differs(&document, &super::schema::schema(shape).unwrap(), &value)
    };
    assert_eq!(check("{a: int, b?: text?}", json!({"a": 1, "b": null})), None);
    for (shape, value) in [
        ("{a: int}", json!({"a": "1"})),
        ("{a: int}", json!({})),
        ("{a: int}", json!({"a": 1, "b": 2})),
        ("[{a: int?}]", json!([{"a": 1}, {"a": 1.5}])),
        ("\"a\"|\"b\"", json!("c")),
        ("<int>", json!({"x": "y"})),
        ("moment", json!("yesterday")),
        ("text", Value::Null),
    ] {
        assert!(check(shape, value.clone()).is_some(), "{shape}: {value}");
    }
}

/// A path of the table in the place of one that was asked for.
fn table_path(path: &str) -> String {
    let path = path.split('?').next().unwrap();
    super::describe::of_path(&all(), path, |_| true).unwrap().path.to_owned()
}

#[tokio::test]
async fn what_the_api_answers_is_what_it_is_described_to_be() {
    let site = Site::with(CONFIGURED).await;
    site.sweep(3).await;
    let sha256 = site.certificate().await;
    let key = site.key("all", Scope::Manage, "sato").await;
    let store = &site.shared.store;
    store.add_user("sato", Role::Admin, "no hash", clock::now()).await.unwrap();
    let document = site.read("/api/v1/openapi.json", &key).await;
    let file = "Reference,MAC,Weight\nPC-1,00:00:5e:00:53:01,3\n";
    let wish = json!({"verdict": "approved", "assets": [1], "reason": "bought", "idle_days": 90,
        "until": "2099-12-31"});
    let user = json!({"name": "mori", "role": "viewer", "password": "battery staple"});
    let certificate = format!("/api/v1/certificates/{}", &sha256[..12]);
    let pem = format!("/api/v1/certificates/{sha256}/pem");
    let view = json!({"list": "assets", "name": "new ones", "q": "first>=2026-11-01",
        "sort": "-seen", "columns": ["name"], "shared": true});
    let asked: Vec<(&str, &str, Option<Value>)> = vec![
        ("GET", "/api/v1/openapi.json", None),
        ("POST", "/api/v1/registers/device/preview?name=a.csv", None),
        ("POST", "/api/v1/registers/device?name=a.csv", None),
        ("GET", "/api/v1/registers", None),
        ("GET", "/api/v1/registers/device", None),
        ("GET", "/api/v1/registers/device/export?form=csv", None),
        (
            "POST",
            "/api/v1/decisions",
            Some(json!({"verdict": "rejected", "reason": "x",
            "query": "registration:unregistered", "dry_run": true})),
        ),
        ("POST", "/api/v1/decisions", Some(wish)),
        (
            "POST",
            "/api/v1/decisions",
            Some(json!({"verdict": "approved", "reason": "ours",
            "software": {"product": "nginx", "versions": "1.*"}})),
        ),
        ("POST", "/api/v1/decisions/1/withdraw", Some(json!({"reason": "wrong"}))),
        ("POST", "/api/v1/decisions/3/confirm", None),
        ("GET", "/api/v1/decisions?all=1", None),
        ("GET", "/api/v1/overview", None),
        ("GET", "/api/v1/assets", None),
        ("GET", "/api/v1/assets/1", None),
        ("GET", "/api/v1/services", None),
        ("GET", "/api/v1/software", None),
        ("GET", "/api/v1/certificates", None),
        ("GET", &certificate, None),
        ("GET", &pem, None),
        ("GET", "/api/v1/assets/1/events?rows=1", None),
        ("GET", "/api/v1/assets/1/observations?rows=1", None),
        ("GET", "/api/v1/assets/1/timeline", None),
        ("GET", "/api/v1/facets/assets?q=seen:today,yesterday", None),
        ("GET", "/api/v1/events?rows=2", None),
        ("GET", "/api/v1/trends", None),
        ("GET", "/api/v1/map?rows=1", None),
        ("GET", "/api/v1/map/block?site=default&block=192.0.2.0/24&rows=2", None),
        ("GET", "/api/v1/map/junctions", None),
        ("GET", "/api/v1/calendar", None),
        ("GET", "/api/v1/calendar.ics", None),
        ("POST", "/api/v1/views", Some(view)),
        ("GET", "/api/v1/views", None),
        ("POST", "/api/v1/views/1", Some(json!({"columns": ["id", "name"]}))),
        ("POST", "/api/v1/views/1/remove", None),
        ("GET", "/api/v1/findings", None),
        ("GET", "/api/v1/findings/1", None),
        (
            "POST",
            "/api/v1/findings/1/accept",
            Some(json!({"reason": "visitor", "until": "2099-12-31"})),
        ),
        ("POST", "/api/v1/findings/1/reopen", Some(json!({"reason": "stays"}))),
        ("GET", "/api/v1/scans", None),
        ("GET", "/api/v1/scans/1", None),
        ("GET", "/api/v1/jobs", None),
        ("POST", "/api/v1/jobs/nightly/run", None),
        ("GET", "/api/v1/alerts", None),
        ("POST", "/api/v1/alerts/1/retry", None),
        ("GET", "/api/v1/routes", None),
        ("POST", "/api/v1/routes/of%2Ffice/test", None),
        ("GET", "/api/v1/audit", None),
        ("GET", "/api/v1/audit/verify", None),
        ("GET", "/api/v1/doctor", None),
        ("POST", "/api/v1/users", Some(user)),
        ("GET", "/api/v1/users", None),
        ("POST", "/api/v1/users/mori/role", Some(json!({"role": "admin"}))),
        ("POST", "/api/v1/users/mori/password", Some(json!({"password": "staple battery"}))),
        (
            "POST",
            "/api/v1/users",
            Some(json!({"name": "abe", "role": "viewer",
            "password": "battery staple"})),
        ),
        ("POST", "/api/v1/users/abe/sign-out", None),
        ("POST", "/api/v1/users/abe/disable", None),
        ("POST", "/api/v1/users/abe/enable", None),
        ("POST", "/api/v1/users/abe/remove", None),
        ("POST", "/api/v1/tokens", Some(json!({"name": "ci", "scopes": ["read"], "days": 30}))),
        ("GET", "/api/v1/tokens", None),
        ("POST", "/api/v1/tokens/ci/remove", None),
    ];
    let mut walked = BTreeSet::new();
    for (method, path, body) in asked {
        let known = table_path(path);
        let answer = match known.starts_with("/api/v1/registers/") && method == "POST" {
            true => {
                let request =
                    Request::post(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
                site.send(request.body(Body::from(file)).unwrap()).await
            }
            false => site.call(method, path, &key, body).await,
        };
        let operation = &document["paths"][&known][method.to_lowercase()];
        walked.insert((method.to_owned(), known.clone()));
        let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        // What there is none of here, or what one person may not, is said in the form for that.
        let schema = match answer.status {
            StatusCode::OK => &operation["responses"]["200"]["content"]["application/json"],
            StatusCode::CONFLICT | StatusCode::NOT_FOUND
                if known.ends_with("/confirm") || known.ends_with("/retry") =>
            {
                &operation["responses"]["default"]["content"]["application/problem+json"]
            }
            status => panic!("{method} {path}: {status}: {}", answer.text),
        };
        let what = differs(&document, &schema["schema"], &body);
        assert_eq!(what, None, "{method} {path}: {}", answer.text);
    }
    let routes = all();
    let api = routes.iter().filter(|route| route.about.is_some());
    let table: BTreeSet<(String, String)> =
        api.map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(walked, table);
    // The lists were of something.
    for path in ["assets", "certificates", "findings", "scans", "audit", "services"] {
        let items = site.read(&format!("/api/v1/{path}"), &key).await["items"].clone();
        assert!(items.as_array().is_some_and(|items| !items.is_empty()), "{path}");
    }
    assert!(store.wished_jobs().await.unwrap().iter().any(|(name, ..)| name == "nightly"));
}

#[tokio::test]
async fn a_key_does_what_its_scope_says_and_nothing_more() {
    let site = Site::with(CONFIGURED).await;
    for scope in Scope::ALL {
        let key = site.key(scope.as_str(), scope, "sato").await;
        for route in all().iter().filter(|route| route.about.is_some()) {
            let Access::Role(least) = route.access else { panic!("{}", route.path) };
            let path = route.path.replace("{id}", "99").replace("{kind}", "device");
            let path = path.replace("{name}", "nobody").replace("{sha256}", "ffff");
            let answer = site.call(route.method, &path, &key, None).await;
            let may = scope.role().is_some_and(|role| role >= least);
            assert_eq!(answer.status != StatusCode::FORBIDDEN, may, "{scope}: {path}");
            if !may {
                assert!(answer.text.contains("urn:daicho:problem:role"), "{}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn what_of_a_body_is_wrong_is_named_in_the_language_of_whoever_sent_it() {
    let site = Site::new().await;
    let key = site.key("all", Scope::Manage, "sato").await;
    let send = async |language: &str, body: &str| {
        let request = Request::post("/api/v1/decisions")
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::ACCEPT_LANGUAGE, language)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()));
        let answer = site.send(request.unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", answer.text);
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(answer.headers[header::CONTENT_LANGUAGE], language);
        let problem: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(problem["type"], "urn:daicho:problem:invalid");
        problem["detail"].as_str().unwrap().to_owned()
    };
    for (body, english, japanese) in [
        ("{", "the body is not JSON: line 1, column 1", "本文がJSONではありません: 1 行 1 列"),
        ("[]", "the body is not an object", "本文 に使える値は オブジェクト です"),
        (r#"{"verdict": "approved"}"#, "the body: reason is missing", "本文: reason がありません"),
        (
            r#"{"verdict": "approved", "reason": "x", "more": 1}"#,
            "more is nothing that can stand there",
            "more は指定できません",
        ),
        (
            r#"{"verdict": "approved", "reason": "x", "assets": [1, "2"]}"#,
            "assets[1] is not a whole number",
            "assets[1] に使える値は 整数 です",
        ),
        (
            r#"{"verdict": "approved", "reason": "x", "software": {"product": 1}}"#,
            "software.product is not a text",
            "software.product に使える値は 文字列 です",
        ),
        (
            r#"{"verdict": "approved", "reason": "x", "idle_days": 99999999999}"#,
            "a value of the body cannot be used: line 1, column 63",
            "本文に使えない値があります: 1 行 63 列",
        ),
    ] {
        assert_eq!(send("en", body).await, english, "{body}");
        assert_eq!(send("ja", body).await, japanese, "{body}");
    }
}

#[tokio::test]
async fn a_key_has_the_views_of_its_maker_as_far_as_its_scope_goes() {
    let site = Site::new().await;
    let store = &site.shared.store;
    for (name, role) in [("sato", Role::Admin), ("mori", Role::Operator), ("abe", Role::Viewer)] {
        store.add_user(name, role, "no hash", clock::now()).await.unwrap();
    }
    let sato = site.key("sato", Scope::Read, "sato").await;
    let mori = site.key("mori", Scope::Write, "mori").await;
    let admin = site.key("admin", Scope::Manage, "root").await;
    let abe = site.key("abe", Scope::Read, "abe").await;
    let save = async |key: &str, name: &str, shared: bool| {
        let view = json!({"list": "certificates", "name": name, "shared": shared,
            "q": "expires:2026-12"});
        site.call("POST", "/api/v1/views", key, Some(view)).await
    };
    // The scope of a key is less than what its maker may.
    assert_eq!(save(&sato, "all", true).await.status, StatusCode::FORBIDDEN);
    assert_eq!(save(&sato, "own", false).await.status, StatusCode::OK);
    assert_eq!(save(&mori, "all", true).await.status, StatusCode::OK);
    assert_eq!(save(&mori, "all", true).await.status, StatusCode::CONFLICT);
    // Who made this key has no views, and sees what is shared.
    assert_eq!(save(&admin, "own", false).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let names = async |key: &str| -> Vec<String> {
        let views = site.read("/api/v1/views", key).await["items"].clone();
        let views = views.as_array().unwrap().iter();
        views
            .map(|one| format!("{} {}", one["name"].as_str().unwrap(), one["may_change"]))
            .collect()
    };
    assert_eq!(names(&sato).await, ["own true", "all false"]);
    assert_eq!(names(&mori).await, ["all true"]);
    assert_eq!(names(&abe).await, ["all false"]);
    assert_eq!(names(&admin).await, ["all true"]);
    let change = async |key: &str, id: i64, body: Value| {
        site.call("POST", &format!("/api/v1/views/{id}"), key, Some(body)).await
    };
    let query = json!({"q": "expires<30d"});
    assert_eq!(change(&abe, 2, query.clone()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(change(&mori, 1, query.clone()).await.status, StatusCode::NOT_FOUND);
    let changed = change(&admin, 2, query).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    let changed: Value = serde_json::from_str(&changed.text).unwrap();
    assert_eq!((&changed["q"], &changed["name"]), (&"expires<30d".into(), &"all".into()));
    assert_eq!(changed["page"], "/certificates?q=expires%3C30d");
    for wrong in [
        json!({"q": "elephant:1"}),
        json!({"sort": "elephant"}),
        json!({"columns": ["elephant"]}),
        json!({"name": " "}),
        json!({"shared": false}),
    ] {
        let answer = change(&mori, 2, wrong.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}: {}", answer.text);
    }
    let removed = site.call("POST", "/api/v1/views/2/remove", &mori, None).await;
    assert_eq!(removed.status, StatusCode::OK, "{}", removed.text);
    let again = site.call("POST", "/api/v1/views/2/remove", &mori, None).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    // What everybody sees is in the audit, and one's own is not.
    let audit = store.audit(None).await.unwrap();
    let deeds = |action: &str| audit.iter().filter(|one| one.deed.action == action).count();
    assert_eq!(["share_view", "change_view", "remove_view"].map(deeds), [1, 1, 1]);
}

#[tokio::test]
async fn the_map_is_read_block_by_block_and_address_by_address() {
    let site = Site::new().await;
    site.sweep(5).await;
    let key = site.key("reader", Scope::Read, "sato").await;
    let map = site.read("/api/v1/map", &key).await;
    let block = &map["items"][0];
    assert_eq!((&block["block"], &block["addresses"]), (&"192.0.2.0/24".into(), &5.into()));
    let looks = ["critical", "unregistered", "warning", "registered", "plain"];
    assert_eq!(looks.map(|look| block[look].as_u64().unwrap()).iter().sum::<u64>(), 5);
    assert_eq!(map["next"], Value::Null);
    let mut path = "/api/v1/map/block?site=default&block=192.0.2.0/24&rows=2".to_owned();
    let mut addresses = Vec::new();
    loop {
        let part = site.read(&path, &key).await;
        let items = part["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        addresses.extend(items.iter().map(|one| one["address"].as_str().unwrap().to_owned()));
        let Some(next) = part["next"].as_str() else { break };
        path = format!("/api/v1/map/block?site=default&block=192.0.2.0/24&rows=2&after={next}");
    }
    assert_eq!(addresses, (1..=5).map(|last| format!("192.0.2.{last}")).collect::<Vec<_>>());
    for (path, status) in [
        ("/api/v1/map?after=x", 422),
        ("/api/v1/map?after=192.0.2.5%20default", 200),
        ("/api/v1/map/block?site=default&block=192.0.2.0/24&after=198.51.100.1", 422),
        ("/api/v1/map/block?site=default&block=192.0.2.0/24&after=192.0.2.255", 200),
        ("/api/v1/map/block?site=default&block=192.0.2.7/24", 404),
        ("/api/v1/map/block?site=default&block=198.51.100.0/24", 404),
        ("/api/v1/map/block", 404),
        ("/api/v1/calendar?month=2026-13", 422),
        ("/api/v1/calendar?month=9999-12", 200),
        ("/api/v1/assets/1/events?after=x", 422),
        ("/api/v1/assets/99/timeline", 404),
        ("/api/v1/facets/elephants", 404),
        ("/api/v1/facets/assets?q=elephant:1", 422),
    ] {
        assert_eq!(site.call("GET", path, &key, None).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn what_an_asset_rests_on_is_read_part_by_part_and_only_once() {
    let site = Site::new().await;
    site.sweep(1).await;
    site.certificate().await;
    let key = site.key("reader", Scope::Read, "sato").await;
    for what in ["events", "observations"] {
        let all = site.read(&format!("/api/v1/assets/1/{what}?rows=500"), &key).await;
        let whole = site.read("/api/v1/assets/1", &key).await;
        assert_eq!(all["items"], whole[what]);
        let mut path = format!("/api/v1/assets/1/{what}?rows=1");
        let mut items = Vec::new();
        loop {
            let part = site.read(&path, &key).await;
            items.extend(part["items"].as_array().unwrap().clone());
            let Some(next) = part["next"].as_str() else { break };
            path = format!("/api/v1/assets/1/{what}?rows=1&after={next}");
        }
        assert!(items.len() > 1, "{what}");
        assert_eq!(all["total"], items.len());
        assert_eq!(all["items"], Value::Array(items), "{what}");
    }
    let line = site.read("/api/v1/assets/1/timeline", &key).await;
    let counts =
        line["strokes"].as_array().unwrap().iter().map(|one| one["count"].as_u64().unwrap());
    let events = site.read("/api/v1/assets/1/events", &key).await["total"].as_u64().unwrap();
    assert_eq!(counts.sum::<u64>(), events);
}

#[tokio::test]
async fn a_page_of_ours_calls_the_api_with_its_token_and_no_other_page_does() {
    let site = Site::with(CONFIGURED).await;
    let token = site.session(Role::Operator).await;
    let call = async |csrf: Option<&str>, origin: &str| {
        let mut request = Request::post("/api/v1/jobs/nightly/run")
            .header(header::COOKIE, format!("__Host-daicho={token}"))
            .header(header::ORIGIN, origin);
        if let Some(csrf) = csrf {
            request = request.header("x-csrf-token", csrf);
        }
        site.send(request.body(Body::empty()).unwrap()).await.status
    };
    let (own, good) = (format!("https://{HOST}"), form_token(&token));
    assert_eq!(call(None, &own).await, StatusCode::FORBIDDEN);
    assert_eq!(call(Some("x"), &own).await, StatusCode::FORBIDDEN);
    assert_eq!(call(Some(&good), "https://evil.example").await, StatusCode::FORBIDDEN);
    assert!(site.shared.store.wished_jobs().await.unwrap().is_empty());
    assert_eq!(call(Some(&good), &own).await, StatusCode::OK);
}

#[tokio::test]
async fn nobody_confirms_by_a_key_what_they_decided_nor_the_other_way_round() {
    let site = Site::with("[approval]\nfour_eyes = true").await;
    site.sweep(2).await;
    // The session's user is called by its role.
    let token = site.session(Role::Approver).await;
    let (own, other) = (
        site.key("own", Scope::Approve, "approver").await,
        site.key("other", Scope::Approve, "sato").await,
    );
    let decide = |asset: i64| json!({"verdict": "approved", "assets": [asset], "reason": "bought"});
    let by_key = site.call("POST", "/api/v1/decisions", &own, Some(decide(1))).await;
    assert!(by_key.text.contains("\"by\":\"approver\""), "{}", by_key.text);
    site.post("/decide", &token, "asset=2&verdict=approved&reason=bought").await;
    let by_session = site.post("/decisions/1/confirm", &token, "").await;
    assert_eq!(by_session.status, StatusCode::CONFLICT, "{}", by_session.text);
    for id in [1, 2] {
        let path = format!("/api/v1/decisions/{id}/confirm");
        let same = site.call("POST", &path, &own, None).await;
        assert_eq!(same.status, StatusCode::CONFLICT, "{}", same.text);
        assert!(same.text.contains("urn:daicho:problem:conflict"), "{}", same.text);
        let another = site.call("POST", &path, &other, None).await;
        assert_eq!(another.status, StatusCode::OK, "{}", another.text);
        assert!(another.text.contains("\"registration\":\"registered\""), "{}", another.text);
    }
    // Which key it was is written down.
    let audit = site.shared.store.audit(None).await.unwrap();
    assert!(audit.iter().any(|one| one.deed.who == "approver (account key own)"), "{audit:?}");
}

#[tokio::test]
async fn what_is_decided_by_query_resolves_findings_and_repeats_change_nothing_else() {
    let site = Site::new().await;
    site.sweep(3).await;
    let key = site.key("ci", Scope::Approve, "sato").await;
    let decide = async |body: Value| site.call("POST", "/api/v1/decisions", &key, Some(body)).await;
    let first = decide(json!({"verdict": "approved", "assets": [1], "reason": "bought"})).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    let unregistered = "registration:unregistered";
    let bulk = json!({"verdict": "approved", "query": unregistered, "reason": "found"});
    let mut dry = bulk.clone();
    dry["dry_run"] = true.into();
    let dry: Value = serde_json::from_str(&decide(dry).await.text).unwrap();
    assert_eq!(dry.as_array().unwrap().len(), 2);
    assert_eq!(site.open("device.unregistered").await.len(), 2);
    assert_eq!(decide(bulk.clone()).await.status, StatusCode::OK);
    assert!(site.open("device.unregistered").await.is_empty());
    // There is nothing left that it asks for.
    assert_eq!(decide(bulk).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let twice = json!({"verdict": "approved", "assets": [1], "reason": "bought"});
    assert_eq!(decide(twice).await.status, StatusCode::OK);
    let holds = site.read("/api/v1/decisions", &key).await["items"].clone();
    assert_eq!(holds.as_array().unwrap().len(), 3);
    for (wrong, start) in [
        (json!({"verdict": "approved", "query": "elephant:1", "reason": "x"}), Some(0)),
        (json!({"verdict": "approved", "query": " ", "reason": "x"}), None),
        (json!({"verdict": "approved", "assets": [1], "query": "id:1", "reason": "x"}), None),
        (json!({"verdict": "approved", "assets": [1], "reason": " "}), None),
        (json!({"verdict": "maybe", "assets": [1], "reason": "x"}), None),
        (json!({"verdict": "approved", "assets": [1], "reason": "x", "more": 1}), None),
        (json!({"verdict": "approved", "assets": [1], "reason": "x", "until": "soon"}), None),
        (json!({"verdict": "approved", "assets": [1], "reason": "x", "known_by": ["y"]}), None),
    ] {
        let answer = decide(wrong.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}: {}", answer.text);
        let problem: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(problem["start"].as_u64(), start, "{wrong}: {problem}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
    }
    let gone = json!({"verdict": "approved", "assets": [99], "reason": "x"});
    assert_eq!(decide(gone).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn long_lists_are_read_part_by_part_and_only_once() {
    let site = Site::new().await;
    site.sweep(1).await;
    let key = site.key("reader", Scope::Read, "sato").await;
    for name in ["b", "c", "d", "e"] {
        site.key(name, Scope::Read, "sato").await;
    }
    let mut numbers = Vec::new();
    let mut path = "/api/v1/audit?rows=2".to_owned();
    loop {
        let part = site.read(&path, &key).await;
        let items = part["items"].as_array().unwrap();
        numbers.extend(items.iter().map(|one| one["number"].as_i64().unwrap()));
        match part["next"].as_str() {
            Some(next) => path = format!("/api/v1/audit?rows=2&after={next}"),
            None => break,
        }
    }
    let mut sorted = numbers.clone();
    sorted.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
    sorted.dedup();
    assert_eq!(numbers, sorted);
    assert_eq!(numbers.len(), site.shared.store.audit(None).await.unwrap().len());
    // Whoever has it already is told so, by any of the tags that it has.
    let first = site.call("GET", "/api/v1/scans", &key, None).await;
    let tag = first.headers[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(first.headers[header::CACHE_CONTROL], "private, no-cache");
    for (given, status) in
        [(format!("\"x\", W/{tag}"), 304), ("*".to_owned(), 304), ("\"x\"".to_owned(), 200)]
    {
        let request = Request::get("/api/v1/scans")
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::IF_NONE_MATCH, given);
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn a_register_is_replaced_where_it_is_the_one_that_somebody_knew() {
    let site = Site::new().await;
    site.sweep(2).await;
    let key = site.key("ci", Scope::Approve, "sato").await;
    let send = async |path: &str, file: String| {
        let request = Request::post(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
        site.send(request.body(Body::from(file)).unwrap()).await
    };
    let file = "Reference,MAC\nPC-1,00:00:5e:00:53:01\nPC-2,nonsense\n".to_owned();
    let strict = send("/api/v1/registers/device?strict=1", file.clone()).await;
    assert_eq!(strict.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", strict.text);
    let first = send("/api/v1/registers/device?name=a.csv", file.clone()).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    let known = site.read("/api/v1/registers", &key).await["items"][0]["sha256"].clone();
    let known = known.as_str().unwrap();
    let second = "Reference,MAC\nPC-1,00:00:5e:00:53:01\nPC-3,00:00:5e:00:53:03\n".to_owned();
    let path = format!("/api/v1/registers/device?replaces={known}");
    assert_eq!(send(&path, second.clone()).await.status, StatusCode::OK);
    // Its entries come in parts, which are all of one file.
    let part = site.read("/api/v1/registers/device?rows=1", &key).await;
    assert_eq!(part["items"][0]["reference"], "PC-3", "{part}");
    let next = format!("/api/v1/registers/device?after={}", part["next"].as_str().unwrap());
    let rest = site.read(&next, &key).await;
    assert_eq!((&rest["items"][0]["reference"], &rest["next"]), (&"PC-1".into(), &Value::Null));
    let elsewhere = site.call("GET", &next.replace('-', "-0"), &key, None).await;
    assert_eq!(elsewhere.status, StatusCode::CONFLICT, "{}", elsewhere.text);
    // Somebody else was first.
    assert_eq!(send(&path, file).await.status, StatusCode::CONFLICT);
    let empty = send("/api/v1/registers/device", String::new()).await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", empty.text);
    let none = send("/api/v1/registers/nothing", second).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let large = send("/api/v1/registers/device", "x".repeat(33 << 20)).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let findings = site.shared.store.findings().await.unwrap();
    assert!(findings.iter().any(|one| one.finding.state == FindingState::Open));
}
