//! People whom a provider of OpenID Connect vouches for.

use inventory::{
    store::{Arrival, Origin, StoreError, Use},
    user::{Lasting, Person, Role, Scope, User},
};

use super::*;

const ISSUER: &str = "https://login.office.example";
const ORIGIN: Origin<'_> = Origin { counted: "192.0.2.7", address: "192.0.2.7", agent: "x" };

fn person<'a>(subject: &'a str, name: &'a str) -> Person<'a> {
    Person { issuer: ISSUER, subject, called: format!("{name}!"), names: vec![name] }
}

/// Signs somebody in, at that second, with a session of the name "h" and the second.
async fn arrive(store: &Store, who: &Person<'_>, role: Option<Role>, second: i64) -> Arrival {
    let hash = format!("h{second}");
    store.sign_in_from(who, role, &hash, None, ORIGIN, at(second)).await.unwrap()
}

#[track_caller]
fn signed_in(arrival: Arrival) -> User {
    match arrival {
        Arrival::SignedIn(user) => *user,
        other => panic!("{other:?}"),
    }
}

async fn is_on(store: &Store, second: i64) -> bool {
    let lasting = Lasting { idle: 1_000, absolute: 10_000 };
    let hash = format!("h{second}");
    store.session(&hash, lasting, Use::Silent, at(second)).await.unwrap().is_some()
}

/// What the audit says since so many entries.
async fn audit(store: &Store, since: usize) -> Vec<(String, String, String, String)> {
    let entries = store.audit(None).await.unwrap();
    let mut entries: Vec<_> = entries.into_iter().map(|entry| (entry.number, entry.deed)).collect();
    entries.sort_by_key(|(number, _)| *number);
    let told = entries.into_iter().skip(since).map(|(_, deed)| deed);
    told.map(|deed| (deed.who, deed.action, deed.subject, deed.detail)).collect()
}

#[tokio::test]
async fn a_local_user_of_the_same_name_is_somebody_else() {
    let folder = Folder::new();
    let store = folder.store().await;
    let local = store.add_user("sato", Role::Admin, "hash", at(1)).await.unwrap();
    let user = signed_in(arrive(&store, &person("7", "sato"), Some(Role::Viewer), 2).await);
    assert_eq!((user.name.as_str(), user.role), ("oidc:sato", Role::Viewer));
    assert_ne!(user.id, local.id);
    let identity = user.identity.unwrap();
    assert_eq!((identity.issuer.as_str(), identity.subject.as_str()), (ISSUER, "7"));
    assert_eq!(identity.called, "sato!");
    let (kept, _) = store.user("sato").await.unwrap().unwrap();
    assert_eq!(kept, local);
    // Its password is none, and no password becomes one.
    let (_, hash) = store.user("oidc:sato").await.unwrap().unwrap();
    assert_eq!(hash, "");
    let set = store.set_password("oidc:sato", "hash", None, at(3)).await;
    assert!(matches!(set, Err(StoreError::FromProvider(_))), "{set:?}");
    let set = store.set_role("oidc:sato", Role::Admin, at(3)).await;
    assert!(matches!(set, Err(StoreError::FromProvider(_))), "{set:?}");
}

#[tokio::test]
async fn a_person_is_what_the_issuer_says_and_never_a_name() {
    let folder = Folder::new();
    let store = folder.store().await;
    let role = Some(Role::Viewer);
    let first = signed_in(arrive(&store, &person("7", "sato"), role, 1).await);
    // Renamed there, it is the same here, by the same name: four eyes are two people's.
    let renamed = signed_in(arrive(&store, &person("7", "suzuki"), role, 2).await);
    assert_eq!((renamed.id, renamed.name.as_str()), (first.id, "oidc:sato"));
    assert_eq!(
        store.user("oidc:sato").await.unwrap().unwrap().0.identity.unwrap().called,
        "suzuki!"
    );
    // Another who has the name now is another here, in capitals too.
    let other = signed_in(arrive(&store, &person("8", "SATO"), role, 3).await);
    assert_ne!(other.id, first.id);
    assert!(other.name.starts_with("oidc:SATO:"), "{}", other.name);
    // So is whoever another issuer calls the same.
    let elsewhere = Person { issuer: "https://other.example", ..person("7", "sato") };
    let elsewhere = signed_in(arrive(&store, &elsewhere, role, 4).await);
    assert!(elsewhere.id != first.id && elsewhere.name != other.name);
    // A name is kept for who had it: removed and back it is theirs, and nobody else's meanwhile.
    store.remove_user("oidc:sato", at(5)).await.unwrap();
    assert!(!is_on(&store, 1).await);
    let third = signed_in(arrive(&store, &person("9", "sato"), role, 6).await);
    assert_ne!(third.name, "oidc:sato");
    let back = signed_in(arrive(&store, &person("7", "tanaka"), role, 7).await);
    assert_eq!(back.name, "oidc:sato");
    assert_ne!(back.id, first.id);
    assert_eq!(store.users().await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_role_follows_from_what_is_said_at_each_sign_in() {
    let folder = Folder::new();
    let store = folder.store().await;
    let who = person("7", "sato");
    signed_in(arrive(&store, &who, Some(Role::Admin), 1).await);
    let acting =
        store.clone().acting(inventory::audit::Actor { name: "oidc:sato".into(), account: None });
    acting.add_api_token("key", "k", &[Scope::Manage], None, at(2)).await.unwrap();
    assert!(is_on(&store, 1).await);
    let before = audit(&store, 0).await.len();
    let lesser = signed_in(arrive(&store, &who, Some(Role::Viewer), 3).await);
    assert_eq!(lesser.role, Role::Viewer);
    // With a lesser role, what it had with the greater one is over. It was the only admin: the
    // provider's word counts all the same.
    assert!(!is_on(&store, 1).await && is_on(&store, 3).await);
    assert_eq!(store.api_tokens().await.unwrap(), []);
    assert_eq!(
        audit(&store, before).await,
        [
            (
                "daicho".to_owned(),
                "set_role".to_owned(),
                "oidc:sato".to_owned(),
                format!(
                    "admin to viewer, by OpenID Connect ({ISSUER}, subject 7); keys ended: key"
                )
            ),
            (
                "oidc:sato".to_owned(),
                "sign_in".to_owned(),
                "oidc:sato".to_owned(),
                format!("from 192.0.2.7 by OpenID Connect ({ISSUER}, subject 7)")
            ),
        ]
    );
    // Without any, it is refused, and what is still there ends.
    acting.add_api_token("reader", "r", &[Scope::Read], None, at(4)).await.unwrap();
    let before = audit(&store, 0).await.len();
    assert_eq!(arrive(&store, &who, None, 5).await, Arrival::NoRole);
    assert!(!is_on(&store, 3).await && !is_on(&store, 5).await);
    assert_eq!(store.api_tokens().await.unwrap(), []);
    let told = audit(&store, before).await;
    assert_eq!((told[0].1.as_str(), told[0].2.as_str()), ("failed_sign_in", "oidc:sato"));
    assert!(told[0].3.ends_with("gives a role; 1 sessions ended; keys ended: reader"), "{told:?}");
    // Who was never here and gets no role is nobody here.
    assert_eq!(arrive(&store, &person("8", "mori"), None, 6).await, Arrival::NoRole);
    assert_eq!(store.users().await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_is_disabled_does_not_come_in_by_any_way() {
    let folder = Folder::new();
    let store = folder.store().await;
    let who = person("7", "sato");
    signed_in(arrive(&store, &who, Some(Role::Admin), 1).await);
    let only = store.set_disabled("oidc:sato", true, at(2)).await;
    assert!(matches!(only, Err(StoreError::LastAdmin(_))), "{only:?}");
    let local = store.add_user("mori", Role::Admin, "hash", at(3)).await.unwrap();
    store.set_disabled("oidc:sato", true, at(4)).await.unwrap();
    assert!(!is_on(&store, 1).await);
    assert_eq!(arrive(&store, &who, Some(Role::Admin), 5).await, Arrival::Disabled);
    // Who may not sign in is no admin who is left.
    let last = store.remove_user("mori", at(6)).await;
    assert!(matches!(last, Err(StoreError::LastAdmin(_))), "{last:?}");
    store.set_disabled("oidc:sato", false, at(7)).await.unwrap();
    signed_in(arrive(&store, &who, Some(Role::Admin), 8).await);
    // A local one neither, though the password was right when it was looked at.
    assert!(store.sign_in(&local, "h9", None, ORIGIN, at(9)).await.unwrap());
    store.set_disabled("mori", true, at(10)).await.unwrap();
    assert!(!is_on(&store, 9).await);
    assert!(!store.sign_in(&local, "h11", None, ORIGIN, at(11)).await.unwrap());
    let told = audit(&store, 0).await;
    let actions: Vec<&str> = told.iter().map(|(_, action, ..)| action.as_str()).collect();
    assert_eq!(actions.iter().filter(|one| **one == "disable_user").count(), 2);
    assert_eq!(actions.iter().filter(|one| **one == "enable_user").count(), 1);
}

#[tokio::test]
async fn arrivals_in_vain_count_for_the_address() {
    let folder = Folder::new();
    let store = folder.store().await;
    for second in 0..4 {
        assert_eq!(store.refused_until(None, "192.0.2.7", at(second)).await.unwrap(), None);
        store.note_failed_arrival("its signature is wrong", ORIGIN, at(second)).await.unwrap();
    }
    assert!(store.refused_until(None, "192.0.2.7", at(4)).await.unwrap().is_some());
    assert_eq!(store.refused_until(None, "192.0.2.8", at(4)).await.unwrap(), None);
    let told = audit(&store, 0).await;
    assert_eq!(told.len(), 4);
    assert_eq!(told[0].2, "(unknown name)");
    assert_eq!(told[0].3, "from 192.0.2.7 by OpenID Connect: its signature is wrong");
}
