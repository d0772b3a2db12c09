//! The map as a browser meets it, and what it costs.

use std::{net::IpAddr, time::Instant};

use axum::http::StatusCode;
use inventory::{
    asset::AssetId,
    compare::Registration,
    store::{Junction, Plot},
    user::Role,
};
use model::{
    DiscoveryProtocol, Fact, Method, Neighbor, NetworkRole, Observation, RouterProtocol,
    Site as Place, Subject, Vantage,
};

use super::{
    Texts,
    blocks::{Look, blocks, cells, range},
    links::diagram,
};
use crate::{
    clock,
    web::{language::Language, tests::Site},
};

const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\"onload=\"x";

fn plot(address: &str, asset: i64) -> Plot {
    Plot {
        site: "plant".into(),
        address: address.parse().unwrap(),
        asset: AssetId(asset),
        registration: Registration::Registered,
        critical: 0,
        warning: 0,
        name: String::new(),
        class: String::new(),
    }
}

#[test]
fn each_subnet_is_drawn_with_its_addresses_in_their_places() {
    let texts = Texts::of(Language::English);
    let plots = [
        plot("192.0.2.0", 1),
        // Two claim it: the worse one is drawn.
        plot("192.0.2.17", 2),
        Plot { critical: 1, ..plot("192.0.2.17", 3) },
        Plot { registration: Registration::Unregistered, ..plot("192.0.3.255", 4) },
        plot("2001:db8::7", 5),
        plot("2001:db8:0:1::9", 6),
    ];
    let (drawn, next) = blocks(&plots, 10, false, texts);
    let names: Vec<&str> = drawn.iter().map(|block| block.name.as_str()).collect();
    assert_eq!(names, ["192.0.2.0/24", "192.0.3.0/24", "2001:db8::/64", "2001:db8:0:1::/64"]);
    assert_eq!(next, None);
    let first = &drawn[0];
    let shapes = [("cell bad", "M10 10h10v10h-10z"), ("cell good", "M2 2h6v6h-6z")];
    assert_eq!(first.shapes, shapes.map(|(class, path)| (class, path.to_owned())));
    assert_eq!(first.spoken(), "192.0.2.0/24: 1 critical finding, 1 registered");
    assert_eq!(first.query, "address in 192.0.2.0/24 and site=\"plant\"");
    assert_eq!(drawn[1].shapes[0].1, "M155 150l5 5 -5 5 -5 -5z");
    let larger = cells(&plots[..3], texts);
    assert_eq!((larger.len(), larger[1].asset, larger[1].short.as_str()), (2, 3, ".17"));
    assert_eq!(range("192.0.2.0/24").unwrap().len(), 256);
    for none in ["192.0.2.1/24", "192.0.2.0/23", "192.0.2.0", "x/24", "2001:db8::/48", ""] {
        assert_eq!(range(none), None, "{none}");
    }
}

#[test]
fn subnets_are_drawn_page_by_page_and_none_is_cut_in_two() {
    let texts = Texts::of(Language::English);
    let plots: Vec<Plot> = (0..5)
        .flat_map(|block| (1..4).map(move |host| plot(&format!("192.0.{block}.{host}"), 1)))
        .collect();
    let (drawn, next) = blocks(&plots, 2, false, texts);
    assert_eq!((drawn.len(), drawn[1].addresses), (2, 3));
    assert_eq!(next, Some(("plant".to_owned(), "192.0.1.3".parse().unwrap())));
    // Where reading ended within a subnet, that one is for the next page.
    let (drawn, next) = blocks(&plots[..8], 10, true, texts);
    assert_eq!((drawn.len(), next.unwrap().1), (2, "192.0.1.3".parse::<IpAddr>().unwrap()));
    let many: Vec<Plot> = (0..300).map(|host| plot(&format!("2001:db8::{host:x}"), host)).collect();
    let (drawn, _) = blocks(&many, 10, false, texts);
    assert_eq!((drawn[0].addresses, drawn[0].more), (300, 44));
}

fn router(asset: i64, addresses: &[&str]) -> Junction {
    Junction {
        asset: AssetId(asset),
        site: "plant".into(),
        name: format!("router-{asset}"),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        roles: vec![NetworkRole::Router(RouterProtocol::Ospf)],
        neighbors: Vec::new(),
    }
}

#[test]
fn routers_stand_between_those_who_hear_them_and_their_subnets() {
    let mut switch = router(2, &["192.0.3.1"]);
    let neighbor = Neighbor { port: Some("Gi1/7".into()), ..Neighbor::of(DiscoveryProtocol::Cdp) };
    switch.neighbors = vec![(neighbor, vec!["sensor-1".into()])];
    let all = [switch, router(1, &["192.0.2.1", "192.0.3.254", "192.0.2.2"])];
    let drawn = diagram(&all, "plant", Language::English).unwrap();
    let names: Vec<&str> = drawn.nodes.iter().map(|node| node.text.as_str()).collect();
    let expected = ["sensor-1", "⇄ router-1", "⇄ router-2", "192.0.2.0/24", "192.0.3.0/24"];
    assert_eq!(names, expected);
    // One line for each subnet that a device is in, however many addresses it has there.
    let titles: Vec<&str> = drawn.lines.iter().map(|line| line.title.as_str()).collect();
    assert_eq!(titles, ["192.0.2.1 192.0.2.2", "192.0.3.254", "Gi1/7", "192.0.3.1"]);
    assert!(diagram(&all, "elsewhere", Language::English).is_none());
    // The same network is drawn the same way, in whatever order it is read.
    let [a, b] = all;
    let again = diagram(&[b, a], "plant", Language::English).unwrap();
    let again: Vec<String> = again.nodes.into_iter().map(|node| node.text).collect();
    assert_eq!(again, expected);
    let many: Vec<Junction> =
        (0..200).map(|number| router(number, &[&format!("198.18.{number}.1")])).collect();
    let drawn = diagram(&many, "plant", Language::English).unwrap();
    assert_eq!((drawn.nodes.len(), drawn.more), (120, 140));
}

#[test]
fn each_look_has_a_shape_of_its_own() {
    let mut shapes: Vec<String> = Look::ALL.map(|look| look.shape(0, 0, 10)).to_vec();
    shapes.sort_unstable();
    shapes.dedup();
    assert_eq!(shapes.len(), Look::ALL.len());
}

/// A page over so many assets at addresses that nobody has.
async fn site(assets: u32, place: &str) -> Site {
    let site = Site::new().await;
    site.session(Role::Viewer).await;
    let store = &site.shared.store;
    let at = clock::now();
    let vantage = Vantage { site: Place(place.into()), name: HOSTILE.into() };
    let seen = |number: u32, method, fact| Observation {
        observed_at: at,
        vantage: vantage.clone(),
        method,
        subject: Subject::Address(std::net::Ipv4Addr::from_bits(0xc612_0000 + number).into()),
        fact,
        evidence: Vec::new(),
    };
    let mac = |number: u32| {
        let [_, b, c, d] = number.to_be_bytes();
        Fact::LinkAddress(model::MacAddr([0, 0, 0x5e, b, c, d]))
    };
    let mut all: Vec<Observation> =
        (0..assets).map(|number| seen(number, Method::Arp, mac(number))).collect();
    let neighbor = Neighbor {
        system_name: Some(HOSTILE.into()),
        port: Some(HOSTILE.into()),
        ..Neighbor::of(DiscoveryProtocol::Lldp)
    };
    all.push(seen(1, Method::Capture, Fact::Neighbor(neighbor)));
    let role = NetworkRole::Router(RouterProtocol::Ospf);
    all.push(seen(2, Method::Capture, Fact::Role(role)));
    let scan = store.begin_scan(&vantage, at, "sweep", &["x".into()], "connect").await.unwrap();
    store.write_observations(scan, all).await.unwrap();
    store.digest(scan, at).await.unwrap();
    store.review(at, &site.shared.settings.policy).await.unwrap();
    site
}

fn harmless(text: &str) {
    assert!(!text.contains("<script>alert") && !text.contains('\u{202e}'), "{text}");
    assert!(!text.contains("\"onload=\"") && !text.contains(" style=\""), "{text}");
}

#[tokio::test]
async fn the_map_shows_subnets_and_neighbours_and_what_devices_say_is_harmless() {
    let site = site(300, HOSTILE).await;
    let token = site.session(Role::Viewer).await;
    let page = site.get("/map", Some(&token)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    harmless(&page.text);
    for text in ["198.18.0.0/24", "198.18.1.0/24", "256 addresses", "44 addresses", "alert(1)"] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    // Each subnet leads to its list and to its larger picture.
    let (_, rest) = page.text.split_once("<figure class=\"block\">").unwrap();
    let links: Vec<String> = rest
        .split("href=\"")
        .skip(1)
        .take(2)
        .map(|part| part.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&"))
        .collect();
    let list = site.get(&links[0], Some(&token)).await;
    assert!(list.text.contains("<strong>256</strong>"), "{}: {}", links[0], list.text);
    let larger = site.get(&links[1], Some(&token)).await;
    assert_eq!(larger.status, StatusCode::OK, "{}", links[1]);
    assert!(larger.text.contains(">.255</text>") && larger.text.contains("198.18.0.255"));
    harmless(&larger.text);
    for path in ["/assets/2", "/assets/2/events", "/assets/2/observations"] {
        let page = site.get(path, Some(&token)).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.text.contains("198.18.0.1"), "{path}: {}", page.text);
        harmless(&page.text);
    }
    let nowhere = site.get("/assets/2/events?after=x", Some(&token)).await;
    assert_eq!(nowhere.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(site.get("/assets/9999/events", Some(&token)).await.status, StatusCode::NOT_FOUND);
    for nothing in ["/map/block", "/map/block?site=x&block=192.0.2.0/24", "/map/block?block=x"] {
        assert_eq!(
            site.get(nothing, Some(&token)).await.status,
            StatusCode::NOT_FOUND,
            "{nothing}"
        );
    }
    let odd = site.get("/map?site=%3Cb%3E&after=nowhere", Some(&token)).await;
    assert_eq!(odd.status, StatusCode::OK);
}

#[tokio::test]
async fn five_thousand_assets_are_one_small_page() {
    let site = site(5_000, "plant").await;
    let token = site.session(Role::Viewer).await;
    let began = Instant::now();
    let page = site.get("/map", Some(&token)).await;
    let took = began.elapsed();
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.text.matches("<figure class=\"block\">").count(), 20);
    // For a person to wait for, also in a build with checks on a machine with other work.
    assert!(took.as_secs() < 2, "it took {took:?}");
    assert!(page.text.len() < 300_000, "it has {} bytes", page.text.len());
    assert!(page.text.len() > 50_000, "not all is drawn: {} bytes", page.text.len());
}
