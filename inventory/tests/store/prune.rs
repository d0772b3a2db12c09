//! What a prune takes, what it leaves, and that nobody can tell by what comes after.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use inventory::{
    asset::Asset,
    store::{Existing, Keep, Outside, Pruned, RegisterSource},
};
use model::{HostKey, ScanId};
use proptest::prelude::*;

use super::{
    inventory_of::{devices, policy},
    *,
};

const DAY: i64 = 86_400;

/// A year and a bit, as `keep` says by default.
const AGE: i64 = 400 * DAY;

fn all(before: i64) -> Keep {
    let before = Some(at(before));
    Keep { observations: before, past: before, findings: before, scans: before, events: before }
}

async fn prune(store: &Store, keep: &Keep, now: i64) -> Pruned {
    let begun = Instant::now();
    let outside = Outside { is_stopped: &|| false, clock: &|| begun.elapsed() };
    store.prune(keep, at(now), outside).await.unwrap()
}

fn key(seconds: i64, index: u32, sha256: &str) -> Observation {
    let key = HostKey { algorithm: "ssh-ed25519".into(), sha256: sha256.repeat(64) };
    let subject = Subject::Endpoint(Endpoint::tcp(address(index), 22));
    observation(seconds, subject, Method::Dialogue, Fact::HostKey(key))
}

fn bound(seconds: i64, index: u32, owner: u32) -> Observation {
    let subject = Subject::Address(address(index));
    observation(seconds, subject, Method::Arp, Fact::LinkAddress(mac(owner)))
}

fn chain(seconds: i64, index: u32, number: u8) -> Observation {
    let served = CertificateChain {
        chain: vec![vec![0x30, 0x03, 0x02, 0x01, number]],
        server_name: None,
        protocol_version: TlsVersion(0x0303),
        starttls: None,
    };
    let subject = Subject::Endpoint(Endpoint::tcp(address(index), 443));
    observation(seconds, subject, Method::Tls, Fact::Certificates(served))
}

fn complete(seconds: i64) -> ScanRecord {
    ScanRecord { drops: 0, gaps: Vec::new(), ..record(seconds) }
}

/// One scan from its beginning to the review.
async fn look(
    folder: &Folder,
    store: &Store,
    seconds: i64,
    seen: Vec<Observation>,
) -> (Vec<String>, Vec<String>) {
    let scan = folder.begin(store, seconds).await;
    store.write_observations(scan, seen).await.unwrap();
    store.finish_scan(scan, &complete(seconds)).await.unwrap();
    let digest = store.digest(scan, at(seconds + 5)).await.unwrap();
    let review = store.review(at(seconds + 6), &policy()).await.unwrap();
    let events = digest.events.iter().map(|event| format!("{event:?}")).collect();
    let changes = review.changes.iter().map(|change| format!("{change:?}")).collect();
    (events, changes)
}

/// What a device does in a scan, by what chance says.
#[derive(Clone, Copy, Debug)]
struct Doing {
    device: u32,
    /// Whether it has moved to another address, or uses another hardware address.
    moved: bool,
    disguised: bool,
    version: u8,
    open: bool,
    certificate: u8,
}

fn doing() -> impl Strategy<Value = Doing> {
    let parts =
        (0..6_u32, any::<bool>(), prop::bool::weighted(0.2), 0..3_u8, any::<bool>(), 0..4_u8);
    parts.prop_map(|(device, moved, disguised, version, open, certificate)| Doing {
        device,
        moved,
        disguised,
        version,
        open,
        certificate,
    })
}

fn seen(seconds: i64, doing: Doing) -> Vec<Observation> {
    let Doing { device, moved, disguised, version, open, certificate } = doing;
    let place = device + if moved { 20 } else { 0 };
    let owner = if disguised {
        10_000 * (device + 1) + u32::try_from(seconds / DAY).unwrap()
    } else {
        device
    };
    let mut all = vec![bound(seconds, place, owner), key(seconds + 1, place, &device.to_string())];
    let state = if open { PortState::Open } else { PortState::Closed };
    all.push(port(seconds + 2, place, 80, state));
    if open {
        all.push(banner(seconds + 3, place, 80, "nginx", &format!("1.{version}")));
        all.push(chain(seconds + 3, place, certificate));
    }
    all
}

/// The same where things came back that had gone: that they were there before is what was pruned.
async fn shown_anew(store: &Store, before: i64) -> Vec<String> {
    let mut assets = store.assets().await.unwrap();
    for asset in &mut assets {
        asset.services.iter_mut().for_each(|it| it.first_seen = at(0));
        asset.software.iter_mut().for_each(|it| it.first_seen = at(0));
        asset.deployments.iter_mut().for_each(|it| it.first_seen = at(0));
    }
    assets.iter().map(|asset| lasting(asset, before)).collect()
}

/// Everything of an asset that a prune does not promise to take.
fn lasting(asset: &Asset, before: i64) -> String {
    let mut asset = asset.clone();
    asset.services.retain(|it| it.state == PortState::Open || it.last_seen >= at(before));
    asset.software.retain(|it| it.current || it.last_seen >= at(before));
    asset.deployments.retain(|it| it.current || it.last_seen >= at(before));
    format!("{asset:?}")
}

async fn shown(store: &Store, before: i64) -> Vec<String> {
    store.assets().await.unwrap().iter().map(|asset| lasting(asset, before)).collect()
}

/// For each current hardware address and host key, whether an observation says so.
async fn reasons(store: &Store) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for asset in store.assets().await.unwrap() {
        let dossier = store.asset(asset.id).await.unwrap();
        for assigned in asset.identifiers.iter().filter(|assigned| assigned.current) {
            let says = dossier.observations.iter().any(|stored| match &stored.observation.fact {
                Fact::LinkAddress(mac) => assigned.identifier == model::Identifier::Mac(*mac),
                Fact::HostKey(key) => format!("{:?}", assigned.identifier).contains(&key.sha256),
                _ => false,
            });
            if says {
                found.insert(format!("{} {:?}", asset.id, assigned.identifier));
            }
        }
    }
    found
}

async fn findings(store: &Store) -> Vec<String> {
    let found = store.compare(at(10_000 * DAY), &policy()).await.unwrap().comparison;
    let assets = found.assets.iter().map(|state| format!("{state:?}"));
    assets.chain(found.detections.iter().map(|detection| format!("{detection:?}"))).collect()
}

async fn forgetting_is_not_noticed(days: Vec<Vec<Doing>>, next: Vec<Doing>) {
    let (folder, other) = (Folder::new(), Folder::new());
    let store = folder.store().await;
    let_somebody_look(&store).await;
    let mut day = 0;
    for doings in days {
        day += 40;
        let seen = doings.iter().flat_map(|doing| seen(day * DAY, *doing)).collect();
        look(&folder, &store, day * DAY, seen).await;
    }
    store.backup(&other.path(), Existing::Keep).await.unwrap();
    let pruned = other.store().await;
    let before = day * DAY - AGE;
    let keep = all(before);
    let planned = pruned.prunable(&keep).await.unwrap();
    let done = prune(&pruned, &keep, day * DAY).await;
    assert!(done.complete);
    assert_eq!(done.counts, planned, "what was told before is what was done");
    is_sound(&pruned).await;
    assert_eq!(shown(&pruned, before).await, shown(&store, before).await);
    assert_eq!(reasons(&pruned).await, reasons(&store).await);
    assert_eq!(findings(&pruned).await, findings(&store).await);
    // The scans after it find the same, and make the same of it.
    for later in 1..=2 {
        let begun = (day + later) * DAY;
        let seen: Vec<_> = next.iter().flat_map(|doing| seen(begun, *doing)).collect();
        let one = look(&folder, &store, begun, seen.clone()).await;
        let two = look(&other, &pruned, begun, seen).await;
        assert_eq!(one, two);
        assert_eq!(shown_anew(&pruned, before).await, shown_anew(&store, before).await);
    }
    lists_are_true(&other, &pruned, (day + 3) * DAY).await;
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5) })]

    #[test]
    fn what_comes_after_a_prune_is_as_without_it(
        days in prop::collection::vec(prop::collection::vec(doing(), 1..5), 14..18),
        next in prop::collection::vec(doing(), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(forgetting_is_not_noticed(days, next));
    }
}

/// A history of which much is to go.
async fn old(folder: &Folder, rows: u32) -> Store {
    let store = folder.store().await;
    for (day, version) in [(1, "1"), (2, "2"), (600, "3"), (601, "3"), (602, "3"), (603, "3")] {
        let mut seen = Vec::new();
        for index in 0..rows {
            seen.push(link(day * DAY, index));
            seen.push(banner(day * DAY + 1, index, 80, "nginx", version));
        }
        look(folder, &store, day * DAY, seen).await;
    }
    store
}

#[tokio::test]
async fn a_prune_takes_what_it_said_and_the_audit_tells_of_it() {
    let folder = Folder::new();
    let store = old(&folder, 30).await;
    let keep = all(603 * DAY - AGE);
    let planned = store.prunable(&keep).await.unwrap();
    let expected = BTreeMap::from([
        // Of each asset its first sight, its port, its software, and the two that followed.
        ("coverage of scans", 2),
        (
            "events",
            store.events(u32::MAX).await.unwrap().iter().filter(|it| it.at < at(3 * DAY)).count()
                as u64,
        ),
        ("observations", 60),
        ("software", 60),
    ]);
    assert_eq!(planned, expected);
    assert_eq!(store.audit(None).await.unwrap().len(), 0, "nothing was done yet");
    let done = prune(&store, &keep, 603 * DAY).await;
    assert_eq!((done.counts, done.complete), (expected, true));
    let audit = store.audit(None).await.unwrap();
    assert_eq!((audit.len(), audit[0].deed.action.as_str()), (1, "prune"));
    assert!(audit[0].deed.detail.contains("60 observations from before 1970-07-"), "{audit:?}");
    assert_eq!(store.scan(ScanId(1)).await.unwrap().record.gaps[0].target, "everything");
    let again = prune(&store, &keep, 603 * DAY).await;
    assert!(again.complete && again.counts.keys().all(|kind| *kind == "scans"), "{again:?}");
    is_sound(&store).await;
    store.close().await;
    // What is younger than the horizon stays, whoever tries.
    let mut connection = folder.raw().await;
    for (sql, why) in [
        ("DELETE FROM event", "before its time"),
        ("UPDATE horizon SET events = 0", "never goes back"),
        ("DELETE FROM horizon", "never removed"),
        ("UPDATE event SET at = 0", "never changed"),
    ] {
        let error = sqlx::raw_sql(sql).execute(&mut connection).await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn where_a_scan_looked_stays_until_later_ones_asked_the_same_again() {
    let folder = Folder::new();
    let store = folder.store().await;
    let asked = |tcp: &str, range: (u32, u32)| Coverage {
        range: AddressRange::new(address(range.0), address(range.1)).unwrap(),
        methods: vec![Method::Arp, Method::TcpSyn],
        tcp: tcp.parse().unwrap(),
        udp: PortSet::default(),
    };
    // All ports once, then a few, of the same targets as it says, and at last of half of them.
    let whole = (0, 255);
    let asked = [("1-1000", whole), ("22", whole), ("22", whole), ("22", whole), ("22", whole)]
        .into_iter()
        .chain([("22", (0, 127)); 3])
        .map(|(tcp, range)| asked(tcp, range));
    for (day, asked) in asked.enumerate() {
        let seconds = i64::try_from(day).unwrap() * DAY;
        let scan = folder.begin(&store, seconds).await;
        let done = ScanRecord { coverage: vec![asked], ..complete(seconds) };
        store.finish_scan(scan, &done).await.unwrap();
    }
    let keep = Keep { scans: Some(at(9 * DAY)), ..Keep::default() };
    assert_eq!(store.prunable(&keep).await.unwrap(), BTreeMap::from([("coverage of scans", 1)]));
    prune(&store, &keep, 9 * DAY).await;
    let left = |id| {
        let store = &store;
        async move { store.scan(ScanId(id)).await.unwrap().record.coverage.len() }
    };
    // The ports of the first were never asked again; of the others three are later than the second.
    assert_eq!((left(1).await, left(2).await, left(3).await), (1, 0, 1));
    // What else there is of the second goes by the next one.
    let next = prune(&store, &keep, 9 * DAY).await;
    assert_eq!(next.counts, BTreeMap::from([("scans", 1)]));
    assert_eq!(prune(&store, &keep, 9 * DAY).await.counts, BTreeMap::new());
    is_sound(&store).await;
}

#[tokio::test]
async fn what_says_nothing_by_silence_goes_by_its_age_alone() {
    let folder = Folder::new();
    let store = folder.store().await;
    let asked = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Coverage {
            range: AddressRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap(),
            methods: vec![Method::NeighborSolicitation],
            tcp: PortSet::default(),
            udp: PortSet::default(),
        }
    };
    let known = "2001:db8::7";
    let subject = Subject::Address(known.parse().unwrap());
    let seen = observation(1, subject, Method::NeighborSolicitation, Fact::LinkAddress(mac(1)));
    folder.sweep(&store, 1, vec![seen]).await;
    let listed = devices("reference,ip\nPC-1,2001:db8::9\n");
    let source = RegisterSource::of("devices.csv", b"");
    store.replace_register(&listed, &source, at(2)).await.unwrap();
    // Nobody is at the first and the last; no answer was lost by any but the last scan.
    let all = [
        ("2001:db8::a:1", 0),
        (known, 0),
        ("2001:db8::9", 0),
        ("2001:db8::-2001:db8::ff", 0),
        ("2001:db8:1::-2001:db8:1::ffff", 0),
        ("192.0.2.7", 0),
        ("192.0.2.8", 3),
    ];
    let mut scans = Vec::new();
    for (day, (range, drops)) in (1..).zip(all) {
        let scan = folder.begin(&store, day * DAY).await;
        let done = ScanRecord { coverage: vec![asked(range)], drops, ..complete(day * DAY) };
        store.finish_scan(scan, &done).await.unwrap();
        scans.push(scan);
    }
    let keep = Keep { scans: Some(at(90 * DAY)), ..Keep::default() };
    prune(&store, &keep, 90 * DAY).await;
    let mut left = Vec::new();
    for scan in scans {
        left.push(store.scan(scan).await.unwrap().record.coverage.len());
    }
    assert_eq!(left, [0, 1, 1, 1, 0, 1, 0]);
}

#[tokio::test]
async fn a_stopped_prune_is_gone_on_with() {
    let folder = Folder::new();
    let store = old(&folder, 400).await;
    let keep = all(603 * DAY - AGE);
    let planned: u64 = store.prunable(&keep).await.unwrap().values().sum();
    let (asked, begun) = (AtomicU32::new(0), Instant::now());
    let outside = Outside {
        is_stopped: &|| asked.fetch_add(1, Ordering::Relaxed) >= 4,
        clock: &|| begun.elapsed(),
    };
    let first = store.prune(&keep, at(603 * DAY), outside).await.unwrap();
    let gone: u64 = first.counts.values().sum();
    assert!(!first.complete && gone > 0 && gone < planned, "{gone} of {planned}");
    is_sound(&store).await;
    let rest = prune(&store, &keep, 603 * DAY).await;
    assert_eq!(gone + rest.counts.values().sum::<u64>(), planned);
    let room = store.room().await.unwrap();
    assert!(room.free > 0);
    let after = store.vacuum().await.unwrap();
    assert!(after.free == 0 && after.bytes < room.bytes, "{after:?} {room:?}");
    is_sound(&store).await;
}

#[tokio::test]
async fn new_observations_are_digested_after_the_latest_rows_went() {
    let folder = Folder::new();
    let store = folder.store().await;
    look(&folder, &store, DAY, vec![link(DAY, 1), banner(DAY, 1, 80, "nginx", "1")]).await;
    // The row with the highest number is the older one of its kind.
    look(&folder, &store, 2 * DAY, vec![banner(2 * DAY, 1, 80, "nginx", "1")]).await;
    let seen = vec![banner(DAY + 60, 1, 80, "nginx", "0")];
    look(&folder, &store, 2 * DAY + 60, seen).await;
    prune(&store, &all(2 * DAY), 3 * DAY).await;
    look(&folder, &store, 4 * DAY, vec![link(4 * DAY, 2)]).await;
    let assets = store.assets().await.unwrap();
    assert_eq!(assets.len(), 2, "a row with a number that was given before is not new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_long_for_a_prune() {
    let folder = Folder::new();
    let store = old(&folder, 3_000).await;
    let keep = all(603 * DAY - AGE);
    let path = folder.path();
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let writing = tokio::spawn(async move {
        // Another process, as far as SQLite knows.
        let other = Store::open(path, OpenMode::ReadWrite).await.unwrap();
        let scan = other.begin_scan(&vantage(), at(604 * DAY), "raw", &[], "sweep").await.unwrap();
        let mut longest = Duration::ZERO;
        let mut round = 0;
        while !is_over.load(Ordering::Relaxed) {
            round += 1;
            let begun = Instant::now();
            other.write_observations(scan, [link(604 * DAY + round, 77)]).await.unwrap();
            longest = longest.max(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        longest
    });
    let done = prune(&store, &keep, 603 * DAY).await;
    over.store(true, Ordering::Relaxed);
    let longest = writing.await.unwrap();
    // Generous, because the machine that tests may be busy with other things.
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    assert!(done.counts["observations"] > 5_000);
}
