//! Saved views, and what is listed page by page, as a browser meets them.

use axum::http::{StatusCode, header};
use inventory::user::Role;
use model::{Site as Place, Vantage};

use super::Site;
use crate::{clock, web::page::encoded};

/// Saves a view of the assets, and says what came of it.
async fn save(site: &Site, token: &str, name: &str, more: &str) -> (StatusCode, String) {
    let fields = format!(
        "list=assets&q=class%3Aprinter&sort=-seen&columns=id%2Cname%2Cnonsense&name={}{more}",
        encoded(name)
    );
    let answer = site.post("/views", token, &fields).await;
    let to = answer.headers.get(header::LOCATION);
    (answer.status, to.map_or_else(String::new, |to| to.to_str().unwrap().to_owned()))
}

#[tokio::test]
async fn a_list_is_saved_found_again_renamed_and_removed() {
    let site = Site::new().await;
    let token = site.session(Role::Operator).await;
    let other = site.session(Role::Viewer).await;
    let (status, address) = save(&site, &token, "<b>Printers</b>", "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(address, "/assets?q=class%3Aprinter&sort=-seen&columns=id%2Cname");
    let list = site.get(&address, Some(&token)).await.text;
    assert!(list.contains("aria-current=\"page\">&#60;b&#62;Printers"), "{list}");
    assert!(!list.contains("<b>Printers"));
    // It is nobody else's, and no other list's.
    assert!(!site.get("/assets", Some(&other)).await.text.contains("Printers"));
    assert!(!site.get("/services", Some(&token)).await.text.contains("Printers"));
    // The same name is there once.
    assert_eq!(save(&site, &token, "<B>printers</B>", "").await.0, StatusCode::CONFLICT);
    for wrong in ["", "  ", &"x".repeat(65), "a\u{202e}b", "a\u{7}b", "a\nb"] {
        let (status, _) = save(&site, &token, wrong, "").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
    }
    let unreadable = site.post("/views", &token, "list=assets&name=x&q=nane%3Ax").await;
    assert_eq!(unreadable.status, StatusCode::UNPROCESSABLE_ENTITY);
    let nowhere = site.post("/views", &token, "list=secrets&name=x").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    assert_eq!(site.post("/views/1/remove", &other, "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.post("/views/1/rename", &other, "name=x").await.status, StatusCode::NOT_FOUND);
    site.post("/views/1/rename", &token, "name=Mine").await;
    let views = site.get("/views", Some(&token)).await.text;
    assert!(views.contains(">Mine</a>") && !views.contains("Printers"), "{views}");
    site.post("/views/1/remove", &token, "").await;
    assert!(!site.get("/assets", Some(&token)).await.text.contains("Mine"));
}

#[tokio::test]
async fn what_is_for_everybody_is_shared_by_operators_and_audited() {
    let site = Site::new().await;
    let operator = site.session(Role::Operator).await;
    let viewer = site.session(Role::Viewer).await;
    let admin = site.session(Role::Admin).await;
    assert_eq!(save(&site, &viewer, "all", "&shared=1").await.0, StatusCode::FORBIDDEN);
    assert_eq!(save(&site, &operator, "all", "&shared=1").await.0, StatusCode::SEE_OTHER);
    let list = site.get("/assets", Some(&viewer)).await.text;
    assert!(list.contains(">all <span class=\"faint\">(for everybody)"), "{list}");
    // Whoever only sees it has no way to change it.
    assert!(!site.get("/views", Some(&viewer)).await.text.contains("/views/1/remove"));
    assert_eq!(site.post("/views/1/remove", &viewer, "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.post("/views/1/remove", &admin, "").await.status, StatusCode::SEE_OTHER);
    let audit = site.get("/audit", Some(&viewer)).await.text;
    assert!(
        audit.contains("<td>share_view</td><td>assets: all</td><td>class:printer</td>"),
        "{audit}"
    );
    let audit = site.shared.store.audit(None).await.unwrap();
    let removed = audit.iter().find(|entry| entry.deed.action == "remove_view").unwrap();
    assert_eq!(removed.deed.who, "admin");
}

/// The numbers of the rows of all pages from one on, by the links between them.
async fn all_pages(site: &Site, token: &str, first: &str) -> (Vec<String>, usize) {
    let (mut numbers, mut pages, mut path) = (Vec::new(), 0, first.to_owned());
    loop {
        let page = site.get(&path, Some(token)).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        pages += 1;
        let rows = page.text.split("<tr><td class=\"number\">").skip(1);
        numbers.extend(rows.map(|row| {
            let number = row.split("</td>").next().unwrap();
            number.chars().filter(char::is_ascii_digit).collect::<String>()
        }));
        let Some((_, rest)) = page.text.split_once("rel=\"next\" href=\"") else { break };
        path = rest.split('"').next().unwrap().replace("&#38;", "&");
    }
    (numbers, pages)
}

#[tokio::test]
async fn scans_and_the_audit_are_shown_to_their_beginning_page_by_page() {
    let site = Site::new().await;
    let token = site.session(Role::Viewer).await;
    let store = &site.shared.store;
    let vantage = Vantage { site: Place("plant".into()), name: "here".into() };
    for second in 0..120 {
        let at = clock::now().plus_seconds(second - 200);
        store.begin_scan(&vantage, at, "connect", &["x".into()], "sweep").await.unwrap();
        for half in ["a", "b"] {
            let name = format!("{half}{second}");
            store.add_user(&name, Role::Viewer, "no hash", at).await.unwrap();
        }
    }
    let (scans, pages) = all_pages(&site, &token, "/scans").await;
    assert_eq!((scans.len(), pages), (120, 3), "{scans:?}");
    let (entries, pages) = all_pages(&site, &token, "/audit").await;
    let expected: Vec<String> =
        (1..=entries.len()).rev().map(|number| number.to_string()).collect();
    assert_eq!(entries, expected);
    assert!(pages == 2 && entries.len() > 240, "{pages}: {}", entries.len());
    for odd in ["/scans?before=x", "/audit?before=-1", "/decisions?before=9e9&all=1"] {
        assert_eq!(site.get(odd, Some(&token)).await.status, StatusCode::OK, "{odd}");
    }
}
