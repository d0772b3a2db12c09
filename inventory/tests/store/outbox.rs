//! From a review to the outbox, in one transaction, and who may send what.

use inventory::{
    alert::AlertKind,
    outbox::{Failure, MessageState, retry_at},
    register::DeviceEntry,
    route::{About, Baseline, Route},
    store::{Policy, RegisterSource},
};
use model::Severity;

use super::{
    inventory_of::{machine, policy},
    *,
};

fn route(name: &str) -> Route {
    Route {
        name: name.into(),
        policy: inventory::alert::Policy::default(),
        rules: Vec::new(),
        sites: Vec::new(),
        owners: Vec::new(),
        kinds: [AlertKind::New, AlertKind::Worse, AlertKind::Reminder, AlertKind::Over].into(),
        about: [About::Approval, About::Risk].into(),
        gather: 0,
        urgent: Some(Severity::Critical),
        baseline: Baseline::Told,
    }
}

fn telling(routes: &[Route]) -> Policy {
    Policy { routes: routes.to_vec(), ..policy() }
}

/// A store in which so many devices are there that nobody approved.
async fn strangers(folder: &Folder, count: u32) -> Store {
    let store = folder.store().await;
    let seen = (1..=count).flat_map(|index| machine(1, index)).collect();
    folder.sweep(&store, 1, seen).await;
    let source = RegisterSource::of("devices.csv", b"");
    let other =
        inventory::register::read::<DeviceEntry>(b"reference,mac\nPC-1,00:00:5e:00:00:fe\n");
    store.replace_register(&other.unwrap().entries, &source, at(2)).await.unwrap();
    store
}

const ALL: Severity = Severity::Info;

#[tokio::test]
async fn forty_devices_are_one_message_and_the_same_review_tells_nothing_more() {
    let folder = Folder::new();
    let store = strangers(&folder, 40).await;
    let policy = telling(&[route("mail")]);
    store.review(at(30), &policy).await.unwrap();
    let messages = store.messages(None).await.unwrap();
    assert_eq!(messages.iter().map(|m| m.items).collect::<Vec<_>>(), [40]);
    let before = folder.dump(&["outbox", "outbox_item", "told"]).await;
    store.review(at(30), &policy).await.unwrap();
    assert_eq!(folder.dump(&["outbox", "outbox_item", "told"]).await, before);

    // What comes before anybody began to send goes into the same message; after that, not.
    folder.sweep(&store, 31, machine(31, 50)).await;
    store.review(at(32), &policy).await.unwrap();
    assert_eq!(store.messages(None).await.unwrap()[0].items, 41);
    let claimed = store.claim_message("mail", ALL, "a", 60, at(33)).await.unwrap().unwrap();
    assert_eq!((claimed.items.len(), claimed.message.attempts), (41, 1));
    assert!(store.message_not_sent(&claimed, Some(at(40)), "no", at(34)).await.unwrap());
    folder.sweep(&store, 35, machine(35, 51)).await;
    store.review(at(36), &policy).await.unwrap();
    let items: Vec<u64> = store.messages(None).await.unwrap().iter().map(|m| m.items).collect();
    assert_eq!(items, [1, 41]);
    is_sound(&store).await;
}

#[tokio::test]
async fn what_is_urgent_comes_first_and_is_never_only_counted() {
    let folder = Folder::new();
    let store = strangers(&folder, 40).await;
    let hasty = Route { urgent: Some(Severity::Warning), ..route("mail") };
    let policy = telling(&[hasty]);
    store.review(at(30), &policy).await.unwrap();
    folder.tamper("UPDATE outbox_item SET severity = 'critical' WHERE number = 39").await;
    // And the message is as full as one may be.
    folder
        .tamper(
            "WITH RECURSIVE n(n) AS (SELECT 40 UNION ALL SELECT n + 1 FROM n WHERE n < 499)
             INSERT INTO outbox_item (message, number, kind, at, rule, severity, subject, title,
                 detail, site, asset, finding, owners)
             SELECT message, n, kind, at, rule, 'info', subject, title, detail, site, asset,
                 finding, owners FROM outbox_item, n WHERE number = 0",
        )
        .await;
    folder.sweep(&store, 31, machine(31, 50)).await;
    store.review(at(32), &policy).await.unwrap();
    let items: Vec<(u64, u64)> =
        store.messages(None).await.unwrap().iter().map(|m| (m.items, m.more)).collect();
    assert_eq!(items, [(1, 0), (500, 0)]);
    let claimed = store.claim_message("mail", ALL, "a", 60, at(33)).await.unwrap().unwrap();
    let severities: Vec<Severity> = claimed.items.iter().map(|item| item.severity).collect();
    assert!(severities.is_sorted_by(|one, next| one >= next), "{severities:?}");
    assert_eq!(severities[..2], [Severity::Critical, Severity::Warning]);
}

#[tokio::test]
async fn what_happened_to_an_asset_that_was_merged_since_has_the_site_of_the_other() {
    let folder = Folder::new();
    let store = strangers(&folder, 1).await;
    let site = store.assets().await.unwrap()[0].site.0.clone();
    let here = Route { sites: vec![site], about: [About::Discovery].into(), ..route("mail") };
    store.review(at(30), &telling(std::slice::from_ref(&here))).await.unwrap();
    assert_eq!(store.messages(None).await.unwrap(), []);
    folder.sweep(&store, 31, machine(31, 50)).await;
    let [first, second] = store.assets().await.unwrap().try_into().unwrap();
    store.merge(second.id, first.id, "two cards", at(32)).await.unwrap();
    store.review(at(33), &telling(&[here])).await.unwrap();
    let items: Vec<u64> = store.messages(None).await.unwrap().iter().map(|m| m.items).collect();
    assert_eq!(items, [1]);
}

#[tokio::test]
async fn each_route_remembers_by_itself_and_the_end_of_a_scan_too() {
    let folder = Folder::new();
    let store = strangers(&folder, 1).await;
    store.review(at(30), &telling(&[route("a")])).await.unwrap();
    store.review(at(31), &telling(&[route("a"), route("b")])).await.unwrap();
    let routes: Vec<String> =
        store.messages(None).await.unwrap().into_iter().map(|m| m.route).collect();
    assert_eq!(routes, ["b", "a"]);
    let last = store.messages_before(i64::MAX, 1).await.unwrap().remove(0);
    assert_eq!(last.route, "b");
    let before = store.messages_before(last.id, 9).await.unwrap();
    assert_eq!(before.iter().map(|m| m.route.as_str()).collect::<Vec<_>>(), ["a"]);
    let usual = inventory::alert::Policy::default();
    assert_eq!(store.alerts(at(32), &usual).await.unwrap().len(), 1);
    assert_eq!(store.alerts(at(33), &usual).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_message_has_one_sender_until_the_lease_ends() {
    let folder = Folder::new();
    let store = strangers(&folder, 1).await;
    store.review(at(30), &telling(&[route("mail")])).await.unwrap();
    let claim =
        async |by: &str, now| store.claim_message("mail", ALL, by, 60, at(now)).await.unwrap();
    let first = claim("a", 30).await.unwrap();
    assert_eq!(claim("b", 31).await, None);
    assert_eq!(claim("b", 89).await, None);
    assert!(!store.has_due("mail", ALL, at(89)).await.unwrap());
    // The sender was killed, or is very late: the next has the same key.
    assert!(store.has_due("mail", ALL, at(90)).await.unwrap());
    let second = claim("b", 90).await.unwrap();
    assert_eq!(second.message.key, first.message.key);
    assert_eq!((second.message.attempts, &second.items), (2, &first.items));
    // The late one's word counts no more.
    assert!(!store.message_not_sent(&first, None, "late", at(91)).await.unwrap());
    assert!(store.message_sent(&second, "250 ok", at(92)).await.unwrap());
    assert!(!store.message_sent(&first, "late", at(93)).await.unwrap());
    let [message] = store.messages(Some(MessageState::Sent)).await.unwrap().try_into().unwrap();
    assert_eq!(message.outcome.as_deref(), Some("250 ok"));
    assert_eq!(claim("c", 1_000_000).await, None);
    assert!(store.retry_message(message.id, at(95)).await.is_err());
    assert!(store.retry_message(99, at(95)).await.is_err());
}

#[tokio::test]
async fn in_quiet_hours_what_matters_less_waits() {
    let folder = Folder::new();
    let store = strangers(&folder, 1).await;
    store.review(at(30), &telling(&[route("mail")])).await.unwrap();
    let claim =
        async |least| store.claim_message("mail", least, "a", 60, at(31)).await.unwrap().is_some();
    assert!(!store.has_due("mail", Severity::Critical, at(31)).await.unwrap());
    assert!(!claim(Severity::Critical).await);
    assert!(claim(Severity::Warning).await);
}

#[tokio::test]
async fn an_hour_without_a_receiver_loses_and_doubles_nothing() {
    let folder = Folder::new();
    let store = strangers(&folder, 3).await;
    let routes: Vec<Route> = (0..20).map(|number| route(&format!("r{number}"))).collect();
    store.review(at(0), &telling(&routes)).await.unwrap();
    let (mut now, mut received) = (0, Vec::new());
    // A pass every five seconds; the receiver is there from 3,600 s on.
    while now < 3 * 3_600 {
        for route in &routes {
            let claimed = store.claim_message(&route.name, ALL, "x", 65, at(now)).await.unwrap();
            let Some(claimed) = claimed else { continue };
            if now < 3_600 {
                let (later, chance) = (Failure::Later(None), now as u64 * 31);
                let next = retry_at(&claimed.message, later, 3 * 86_400, chance, at(now));
                store.message_not_sent(&claimed, next, "refused", at(now)).await.unwrap();
            } else {
                received.push(claimed.message.key.clone());
                store.message_sent(&claimed, "ok", at(now)).await.unwrap();
            }
        }
        now += 60;
    }
    received.sort();
    let all = received.len();
    received.dedup();
    assert_eq!((all, received.len()), (20, 20));
    assert_eq!(store.messages(Some(MessageState::Sent)).await.unwrap().len(), 20);
}

#[tokio::test]
async fn what_was_given_up_can_be_had_again_and_is_forgotten_in_the_end() {
    let folder = Folder::new();
    let store = strangers(&folder, 1).await;
    store.review(at(30), &telling(&[route("mail")])).await.unwrap();
    let claimed = store.claim_message("mail", ALL, "a", 60, at(30)).await.unwrap().unwrap();
    store.message_not_sent(&claimed, None, "550 no", at(31)).await.unwrap();
    let [failed] = store.messages(Some(MessageState::Failed)).await.unwrap().try_into().unwrap();
    assert_eq!((failed.outcome.as_deref(), failed.ended_at), (Some("550 no"), Some(at(31))));
    let again = store.retry_message(failed.id, at(40)).await.unwrap();
    assert_eq!((again.state, again.attempts, again.due_at), (MessageState::Pending, 1, at(40)));
    // With what is refused nothing was done, and nothing is written down.
    assert!(store.retry_message(99, at(40)).await.is_err());
    let deeds = store.audit(None).await.unwrap().into_iter().map(|entry| entry.deed);
    let retries: Vec<_> = deeds.filter(|deed| deed.action == "retry").collect();
    assert_eq!((retries.len(), retries[0].at), (1, at(40)));
    assert_eq!(retries[0].subject, format!("message {}", failed.id));
    let claimed = store.claim_message("mail", ALL, "b", 60, at(41)).await.unwrap().unwrap();
    assert_eq!(claimed.message.key, failed.key);
    store.message_sent(&claimed, "ok", at(42)).await.unwrap();
    assert_eq!(store.forget_messages(at(29 * 86_400)).await.unwrap(), 0);
    assert_eq!(store.forget_messages(at(31 * 86_400)).await.unwrap(), 1);
    assert_eq!(folder.dump(&["outbox", "outbox_item"]).await, [""; 0]);
}

/// Several processes conclude while others see, approve and accept: each stranger is told of once,
/// and nothing that a person decided is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reviews_that_cross_with_everything_else_tell_each_thing_once() {
    const DEVICES: u32 = 24;
    let folder = Folder::new();
    let store = strangers(&folder, 1).await;
    let_somebody_look(&store).await;
    let policy = telling(&[route("mail")]);
    store.review(at(30), &policy).await.unwrap();
    let accepted = store.findings().await.unwrap()[0].id;
    let reviews = async |name: i64| {
        let store = folder.store().await;
        for round in 0..25 {
            store.review(at(40 + round), &policy).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(3 + name.unsigned_abs())).await;
        }
    };
    let sweeps = async {
        let store = folder.store().await;
        for index in 2..=DEVICES {
            folder.sweep(&store, 39, machine(39, index)).await;
        }
    };
    let decides = async {
        let store = folder.store().await;
        store.accept_finding(accepted, at(9_000), "a guest", at(41)).await.unwrap();
        for round in 0..10 {
            // Imported again and again, which changes nothing but that somebody did.
            let source = RegisterSource::of(format!("devices-{round}.csv"), b"");
            let other = b"reference,mac\nPC-1,00:00:5e:00:00:fe\n";
            let other = inventory::register::read::<DeviceEntry>(other).unwrap().entries;
            store.replace_register(&other, &source, at(42)).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::join!(reviews(0), reviews(1), reviews(2), sweeps, decides);
    let last = store.review(at(100), &policy).await.unwrap();
    assert_eq!(last.findings.len(), DEVICES as usize);
    let of = |state| last.findings.iter().filter(|one| one.finding.state == state).count();
    use inventory::finding::FindingState::{Accepted, Open};
    assert_eq!((of(Accepted), of(Open)), (1, DEVICES as usize - 1));
    let told = folder.dump(&["outbox_item"]).await;
    assert_eq!(told.len(), DEVICES as usize, "{told:#?}");
    lists_are_true(&folder, &store, 101).await;
    is_sound(&store).await;
}

#[tokio::test]
async fn what_is_not_lived_with_any_more_is_told_again() {
    let folder = Folder::new();
    let store = strangers(&folder, 1).await;
    let policy = telling(&[route("mail")]);
    let told = async || store.messages(None).await.unwrap().iter().map(|m| m.items).sum::<u64>();
    store.review(at(30), &policy).await.unwrap();
    assert_eq!(told().await, 1);
    let id = store.findings().await.unwrap()[0].id;
    store.accept_finding(id, at(9_000), "a guest", at(31)).await.unwrap();
    store.review(at(32), &policy).await.unwrap();
    let quiet = told().await;
    store.reopen_finding(id, "it stayed", at(33)).await.unwrap();
    store.review(at(34), &policy).await.unwrap();
    assert_eq!(told().await, quiet + 1);
    store.review(at(35), &policy).await.unwrap();
    assert_eq!(told().await, quiet + 1);
    is_sound(&store).await;
}
