//! What pages of the web page read: bounded, page by page, and the same as what is read whole.

use inventory::{
    asset::AssetId,
    audit::Actor,
    query::Kind,
    store::{MOST_VIEWS, Place, Sheet, Store, StoreError, View},
    user::{Role, Scope, User},
};
use model::{
    AddressRange, DiscoveryProtocol, Fact, Method, Neighbor, NetworkRole, Observation, PortState,
    RouterProtocol, Subject,
};

use crate::{Folder, address, at, inventory_of::policy, link, observation, port};

/// One asset of which a lot was seen, in as many scans as that.
async fn much(folder: &Folder, scans: i64) -> Store {
    let store = folder.store().await;
    store.add_user("sato", Role::Viewer, "no hash", at(0)).await.unwrap();
    for scan in 1..=scans {
        let state = if scan % 2 == 1 { PortState::Open } else { PortState::Closed };
        let seconds = scan * 86_400;
        let mut seen: Vec<Observation> = (1..=4).map(|one| port(seconds, 1, one, state)).collect();
        seen.push(link(seconds, 1));
        folder.sweep(&store, seconds, seen).await;
    }
    store.review(at(scans * 86_400), &policy()).await.unwrap();
    store
}

#[tokio::test]
async fn an_asset_is_read_in_bounds_and_page_by_page_as_it_is_whole() {
    let folder = Folder::new();
    let store = much(&folder, 6).await;
    let whole = store.asset(AssetId(1)).await.unwrap();
    let portrait = store.portrait(AssetId(1), 3).await.unwrap();
    assert_eq!(portrait.asset, whole.asset);
    assert!(whole.events.len() > 6 && whole.observations.len() > 6, "there is not much: {whole:?}");
    assert_eq!(portrait.events.total, whole.events.len() as u64);
    assert_eq!(portrait.events.rows, whole.events[..3]);
    assert_eq!(portrait.observations.total, whole.observations.len() as u64);
    assert_eq!(portrait.observations.rows.len(), 3);
    assert_eq!(portrait.findings.total, whole.findings.len() as u64);
    let (mut events, mut seen) = (Vec::new(), Vec::new());
    let mut after = Place::BEGINNING;
    loop {
        let (_, part) = store.asset_events(AssetId(1), after, 3).await.unwrap();
        events.extend(part.rows);
        let Some(next) = part.next else { break };
        after = next;
    }
    assert_eq!(events, whole.events);
    after = Place::BEGINNING;
    loop {
        let (_, part) = store.asset_observations(AssetId(1), after, 2).await.unwrap();
        assert!(part.rows.len() <= 2);
        seen.extend(part.rows);
        let Some(next) = part.next else { break };
        after = next;
    }
    assert_eq!(seen.len(), whole.observations.len());
    assert!(whole.observations.iter().all(|one| seen.contains(one)));
    assert!(seen.is_sorted_by(|a, b| a.observation.observed_at >= b.observation.observed_at));
    // However many events there are, what is drawn of them has a bound, and leaves none out.
    let strokes = store.asset_strokes(AssetId(1), (at(0), at(7 * 86_400)), 7).await.unwrap();
    assert_eq!(strokes.iter().map(|one| one.count).sum::<u64>(), whole.events.len() as u64);
    assert!(strokes.iter().all(|one| one.part < 7));
    assert!(matches!(store.portrait(AssetId(9), 3).await, Err(StoreError::NoAsset(_))));
}

fn view(kind: Kind, name: &str, is_shared: bool) -> View {
    let (query, sort, columns) = ("class:printer".into(), "-seen".into(), "id,name".into());
    View { is_shared, kind, name: name.into(), query, sort, columns }
}

async fn user(store: &Store, name: &str, role: Role) -> User {
    store.add_user(name, role, "no hash", at(1)).await.unwrap()
}

#[tokio::test]
async fn views_are_ones_own_or_everybodys_and_what_is_shared_is_audited() {
    let folder = Folder::new();
    let store = folder.store().await;
    let sato = user(&store, "sato", Role::Operator).await;
    let abe = user(&store, "abe", Role::Operator).await;
    let admin = user(&store, "admin", Role::Admin).await;
    let own = store.save_view(&sato, &view(Kind::Assets, "Printers", false), at(2)).await.unwrap();
    let all = store.save_view(&sato, &view(Kind::Assets, "Printers", true), at(3)).await.unwrap();
    // The same name is there once for each who sees it, whatever the capitals.
    for is_shared in [false, true] {
        let again = store.save_view(&sato, &view(Kind::Assets, "PRINTERS", is_shared), at(4)).await;
        assert!(matches!(again, Err(StoreError::ViewTaken(_))), "{again:?}");
    }
    store.save_view(&abe, &view(Kind::Assets, "printers", false), at(4)).await.unwrap();
    store.save_view(&sato, &view(Kind::Findings, "printers", false), at(4)).await.unwrap();
    let ids = async |user: &User| -> Vec<i64> {
        store.views(user).await.unwrap().iter().map(|one| one.id).collect()
    };
    assert_eq!(ids(&sato).await.len(), 3);
    assert!(ids(&abe).await.contains(&all) && !ids(&abe).await.contains(&own));
    // What is not one's own is not there, unless one is an admin and it is shared.
    for id in [own, all] {
        let other = store.remove_view(&abe, id, at(5)).await;
        assert!(matches!(other, Err(StoreError::NoView(_))), "{other:?}");
    }
    assert!(store.rename_view(&admin, own, "mine", at(5)).await.is_err());
    store.rename_view(&admin, all, "Drucker", at(5)).await.unwrap();
    store.rename_view(&sato, own, "Mine", at(5)).await.unwrap();
    // Who may not share any more changes nothing that others see.
    let viewer = User { role: Role::Viewer, ..sato.clone() };
    assert!(matches!(store.remove_view(&viewer, all, at(5)).await, Err(StoreError::NoView(_))));
    assert!(store.rename_view(&viewer, all, "Printers", at(5)).await.is_err());
    // Whoever is removed takes along what nobody else saw.
    store.remove_user("sato", at(6)).await.unwrap();
    let left = store.views(&abe).await.unwrap();
    let shared = left.iter().find(|one| one.id == all).unwrap();
    assert_eq!((shared.owner.as_deref(), shared.view.name.as_str()), (None, "Drucker"));
    assert_eq!(left.len(), 2);
    store.remove_view(&admin, all, at(7)).await.unwrap();
    let audit = store.audit(None).await.unwrap();
    let told = audit.iter().rev().filter(|entry| entry.deed.action.ends_with("_view"));
    let told: Vec<(&str, &str)> =
        told.map(|entry| (entry.deed.action.as_str(), entry.deed.subject.as_str())).collect();
    let expected = [
        ("share_view", "assets: Printers"),
        ("rename_view", "assets: Printers"),
        ("remove_view", "assets: Drucker"),
    ];
    assert_eq!(told, expected);
    assert_eq!(store.verify_audit(None).await.unwrap().broken, None);
}

#[tokio::test]
async fn a_list_has_so_many_views_and_no_more() {
    let folder = Folder::new();
    let store = folder.store().await;
    let sato = user(&store, "sato", Role::Viewer).await;
    for number in 0..MOST_VIEWS {
        let view = view(Kind::Assets, &number.to_string(), false);
        store.save_view(&sato, &view, at(2)).await.unwrap();
    }
    let one_more = store.save_view(&sato, &view(Kind::Assets, "more", false), at(2)).await;
    assert!(matches!(one_more, Err(StoreError::ManyViews(_))), "{one_more:?}");
    store.save_view(&sato, &view(Kind::Services, "more", false), at(2)).await.unwrap();
}

#[tokio::test]
async fn a_map_has_every_address_once_and_what_holds_the_network_together() {
    let folder = Folder::new();
    let store = folder.store().await;
    user(&store, "sato", Role::Viewer).await;
    let heard = |index, fact| {
        let subject = Subject::Address(address(index));
        observation(86_400, subject, Method::Capture, fact)
    };
    let neighbor = Neighbor {
        system_name: Some("core".into()),
        port: Some("Gi1/0/7".into()),
        ..Neighbor::of(DiscoveryProtocol::Lldp)
    };
    let seen = vec![
        link(86_400, 1),
        link(86_400, 2),
        link(86_400, 300),
        heard(1, Fact::Role(NetworkRole::Router(RouterProtocol::Ospf))),
        heard(2, Fact::Role(NetworkRole::DhcpServer)),
        heard(300, Fact::Neighbor(neighbor.clone())),
    ];
    folder.sweep(&store, 86_400, seen).await;
    store.review(at(86_400), &policy()).await.unwrap();
    let plots = store.plots(Sheet::First, 100).await.unwrap();
    let addresses: Vec<_> = plots.iter().map(|plot| plot.address).collect();
    assert_eq!(addresses, [1, 2, 300].map(address));
    let block = AddressRange::new(address(256), address(511)).unwrap();
    let part = store.plots(Sheet::Block("plant", block), 100).await.unwrap();
    assert_eq!(part, plots[2..]);
    assert_eq!(store.plots(Sheet::Block("elsewhere", block), 100).await.unwrap(), []);
    assert_eq!(store.plots(Sheet::First, 2).await.unwrap(), plots[..2]);
    let behind = Sheet::After("plant", address(2));
    assert_eq!(store.plots(behind, 100).await.unwrap(), plots[2..]);
    let junctions = store.junctions(100).await.unwrap();
    let told: Vec<_> = junctions.iter().map(|one| one.addresses[0]).collect();
    // A DHCP server connects nobody.
    assert_eq!(told, [address(1), address(300)]);
    assert_eq!(junctions[0].roles, [NetworkRole::Router(RouterProtocol::Ospf)]);
    assert_eq!(junctions[1].neighbors, [(neighbor, vec!["here".to_owned()])]);
}

#[tokio::test]
async fn scans_and_the_audit_are_read_page_by_page() {
    let folder = Folder::new();
    let store = much(&folder, 5).await;
    for name in ["abe", "ito", "ono"] {
        user(&store, name, Role::Viewer).await;
    }
    let (mut scans, mut before) = (Vec::new(), None);
    loop {
        let leaf = store.scan_leaf(before, 2).await.unwrap();
        scans.extend(leaf.rows);
        let Some(next) = leaf.next else { break };
        before = Some(next);
    }
    assert_eq!(scans, store.scans(100).await.unwrap());
    assert!(scans.len() >= 5);
    let (mut entries, mut before) = (Vec::new(), None);
    loop {
        let leaf = store.audit_leaf(before, 3).await.unwrap();
        assert!(leaf.rows.len() <= 3);
        entries.extend(leaf.rows);
        let Some(next) = leaf.next else { break };
        before = Some(next);
    }
    assert_eq!(entries, store.audit(None).await.unwrap());
    assert_eq!(store.audit_leaf(Some(1), 3).await.unwrap().rows, []);
    assert_eq!(store.decision_leaf(None, 3, |_| true).await.unwrap().next, None);
}

#[tokio::test]
async fn a_key_ends_with_the_rights_of_whoever_made_it() {
    let folder = Folder::new();
    let store = folder.store().await;
    user(&store, "sato", Role::Admin).await;
    user(&store, "admin", Role::Admin).await;
    let of = |name: &str, account: Option<&str>| {
        let (name, account) = (name.to_owned(), account.map(str::to_owned));
        store.clone().acting(Actor { name, account })
    };
    let add = async |store: &Store, name: &str| {
        store.add_api_token(name, &format!("hash {name}"), &[Scope::Read], None, at(2)).await
    };
    add(&of("sato", None), "page").await.unwrap();
    add(&of("Sato", Some("root")), "command line").await.unwrap();
    add(&of("satoshi", None), "another").await.unwrap();
    let names = async || -> Vec<String> {
        store.api_tokens().await.unwrap().into_iter().map(|token| token.name).collect()
    };
    // The same role is no lesser one.
    store.set_role("sato", Role::Admin, at(3)).await.unwrap();
    assert_eq!(names().await.len(), 3);
    store.set_role("sato", Role::Viewer, at(4)).await.unwrap();
    assert_eq!(names().await, ["another"]);
    let audit = store.audit(None).await.unwrap();
    let told = audit.iter().find(|entry| entry.deed.detail.contains("viewer")).unwrap();
    assert_eq!(told.deed.detail, "admin to viewer; keys ended: command line, page");
    add(&of("sato", None), "later").await.unwrap();
    store.remove_user("sato", at(5)).await.unwrap();
    assert_eq!(names().await, ["another"]);
}
