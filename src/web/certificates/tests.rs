//! A certificate's page and the calendar as a browser meets them.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use inventory::user::Role;
use model::{
    CertificateChain, Endpoint, Fact, Method, Observation, PortState, Site as Place, Subject,
    Timestamp, TlsVersion, Vantage,
};

use super::days_between;
use crate::{
    clock,
    web::{page::encoded, tests::Site},
};

/// A name that tries to be something else where it is shown.
const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\u{7}shop";

/// A certificate of that name, from so many days ago to so many days ahead.
fn certificate(name: &str, days: (i64, i64)) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let now = clock::now().0.div_euclid(1_000_000);
    let moment = |days: i64| time::OffsetDateTime::from_unix_timestamp(now + days * 86_400);
    params.not_before = moment(-days.0).unwrap();
    params.not_after = moment(days.1).unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

/// Somebody serves these one after the other, a day between them, the last now.
async fn site(served: &[Vec<u8>]) -> Site {
    let site = Site::new().await;
    let store = &site.shared.store;
    let vantage = Vantage { site: Place("plant".into()), name: "here".into() };
    let endpoint = Endpoint::tcp([192, 0, 2, 1].into(), 443);
    // Somebody has to be able to look, or reviews keep no lists.
    site.session(Role::Viewer).await;
    for (days, der) in (0..i64::try_from(served.len()).unwrap()).rev().zip(served) {
        let at = clock::now().plus_seconds(-86_400 * days);
        let chain = CertificateChain {
            chain: vec![der.clone()],
            server_name: None,
            protocol_version: TlsVersion(0x0304),
            starttls: None,
        };
        let seen = [
            (Method::TcpSyn, Fact::PortState(PortState::Open)),
            (Method::Dialogue, Fact::Certificates(chain)),
        ];
        let seen = seen.map(|(method, fact)| Observation {
            observed_at: at,
            vantage: vantage.clone(),
            method,
            subject: Subject::Endpoint(endpoint),
            fact,
            evidence: Vec::new(),
        });
        let scan = store.begin_scan(&vantage, at, "sweep", &["x".into()], "connect").await.unwrap();
        store.write_observations(scan, seen.to_vec()).await.unwrap();
        store.digest(scan, at).await.unwrap();
    }
    store.review(clock::now(), &site.shared.settings.policy).await.unwrap();
    site
}

fn harmless(text: &str) {
    assert!(!text.contains("<script>alert") && !text.contains('\u{202e}'), "{text}");
    assert!(!text.contains('\u{7}') && !text.contains("style=\""), "{text}");
}

#[tokio::test]
async fn a_certificate_is_told_with_where_it_is_what_it_replaced_and_what_is_wrong() {
    let ders = [certificate("old", (30, 60)), certificate(HOSTILE, (10, 5))];
    let [old, new] = ders.each_ref().map(|der| certs::parse(der).sha256);
    let site = site(&ders).await;
    let token = site.session(Role::Approver).await;
    let page = site.get(&format!("/certificates/{new}"), Some(&token)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    harmless(&page.text);
    // Five days less a moment are left; of fifteen days ten are gone.
    for text in ["192.0.2.1:443/tcp", "shop.example", "4 days left", "alert(1)", "width=\"666\""] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    // What it replaced there, and what is wrong with it, each with its own page.
    assert!(page.text.contains(&format!("href=\"/certificates/{old}\"")), "{}", page.text);
    assert!(page.text.contains("href=\"/assets/1\"") && page.text.contains("#acceptance\""));
    assert!(page.text.contains("signed by itself"), "{}", page.text);
    let before = site.get(&format!("/certificates/{old}"), Some(&token)).await.text;
    assert!(before.contains(&format!("href=\"/certificates/{new}\"")), "{before}");
    assert!(before.contains("0 now, of 1"), "{before}");
    harmless(&before);
    for nowhere in [&new[..63], &new.to_uppercase(), "1", &"0".repeat(64), "..%2f..%2fx"] {
        for path in ["", "/pem"] {
            let answer = site.get(&format!("/certificates/{nowhere}{path}"), Some(&token)).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{nowhere}{path}");
        }
    }
}

#[tokio::test]
async fn a_certificate_is_downloaded_as_it_was_served() {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let der = certificate("shop", (1, 40));
    let sha256 = certs::parse(&der).sha256;
    let site = site(std::slice::from_ref(&der)).await;
    let token = site.session(Role::Viewer).await;
    let file = site.get(&format!("/certificates/{sha256}/pem"), Some(&token)).await;
    assert_eq!(file.status, StatusCode::OK);
    let expected = format!("attachment; filename=\"{}.pem\"", &sha256[..16]);
    assert_eq!(file.headers[header::CONTENT_DISPOSITION], expected);
    assert_eq!(CertificateDer::from_pem_slice(file.text.as_bytes()).unwrap().as_ref(), der);
}

#[tokio::test]
async fn every_list_of_certificates_leads_to_their_pages() {
    let der = certificate("shop", (30, 3));
    let sha256 = certs::parse(&der).sha256;
    let site = site(&[der]).await;
    let token = site.session(Role::Viewer).await;
    let link = format!("href=\"/certificates/{sha256}\"");
    // Findings lead to their own pages, and those on.
    for path in ["/", "/certificates", "/findings/1", "/assets/1", "/certificates/calendar"] {
        let page = site.get(path, Some(&token)).await.text;
        assert!(page.contains(&link), "{path}: {page}");
    }
}

#[tokio::test]
async fn the_calendar_shows_the_day_on_which_a_certificate_ends_in_both_languages() {
    let der = certificate(HOSTILE, (30, 20));
    let not_after = certs::parse(&der).not_after.unwrap();
    let site = site(&[der]).await;
    let token = site.session(Role::Viewer).await;
    let offset = site.shared.settings.policy.offset;
    let day = inventory::register::Day::of(not_after, offset).to_string();
    let month = &day[..7];
    let path = format!("/certificates/calendar?month={month}");
    let page = site.get(&path, Some(&token)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    // A day leads to the list of what ends then, and a month likewise.
    for when in [&day, month] {
        let asked = format!("expires:{when} and places>0");
        let list = format!("/certificates?q={}", encoded(&asked));
        assert!(page.text.contains(&format!("href=\"{list}\"")), "{list}: {}", page.text);
        assert!(site.get(&list, Some(&token)).await.text.contains("shop.example"), "{list}");
    }
    // The day before nothing ends.
    let before = not_after.plus_seconds(-86_400);
    let before = inventory::register::Day::of(before, offset);
    let none = encoded(&format!("expires:{before}"));
    let none = site.get(&format!("/certificates?q={none}"), Some(&token)).await.text;
    assert!(!none.contains("shop.example"), "{none}");
    for odd in ["9999-99", "<b>", "-9999-01", "9999-12", "-9999-01-01"] {
        let odd = encoded(odd);
        let path = format!("/certificates/calendar?month={odd}");
        assert_eq!(site.get(&path, Some(&token)).await.status, StatusCode::OK, "{odd}");
    }
    let request = Request::get(&path)
        .header(header::COOKIE, format!("__Host-daicho={token}"))
        .header(header::ACCEPT_LANGUAGE, "ja");
    let japanese = site.send(request.body(Body::empty()).unwrap()).await.text;
    assert!(japanese.contains("<h1>証明書の有効期限カレンダー</h1>"), "{japanese}");
    let file = site.get("/certificates/calendar.ics", Some(&token)).await;
    assert_eq!(file.headers[header::CONTENT_TYPE], "text/calendar; charset=utf-8");
    let date = day.replace('-', "");
    assert!(file.text.contains(&format!("DTSTART;VALUE=DATE:{date}\r\n")), "{}", file.text);
    assert_eq!(file.text.matches("BEGIN:VEVENT").count(), 1);
}

#[test]
fn days_are_whole_ones() {
    let at = |seconds| Timestamp::from_seconds(seconds);
    assert_eq!(days_between(at(0), at(86_399)), 0);
    assert_eq!(days_between(at(86_400), at(0)), -1);
}
