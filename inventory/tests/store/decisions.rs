//! What people decide, and what follows from it.

use inventory::{
    alert::{self, AlertKind},
    approval::{
        Decision, DecisionId, Identities, Matter, Proposal, Standing, Terms, Verdict, overruled,
    },
    asset::AssetId,
    audit::{Actor, Broken},
    compare::Registration,
    finding::{ChangeKind, FindingState},
    register::{Day, IssuerEntry, SoftwareEntry, read},
    store::{RegisterSource, Rule},
};
use jiff::tz::Offset;
use model::{Identifier, MachineIdKind, Severity};

use super::{
    inventory_of::{devices, machine, policy},
    *,
};

const DAY: i64 = 86_400;

fn person(name: &str) -> Actor {
    Actor { name: name.to_owned(), account: Some("root".to_owned()) }
}

fn terms(reason: &str) -> Terms {
    Terms { reason: reason.to_owned(), ..Terms::default() }
}

fn until(day: &str) -> Option<Day> {
    Some(day.parse().unwrap())
}

/// A decision about an asset of the store, by what identifies it best.
async fn about(store: &Store, seconds: i64, asset: i64, kinds: Option<&[String]>) -> Matter {
    let compared = store.compare(at(seconds), &policy()).await.unwrap();
    let found = compared.assets.iter().find(|one| one.id == AssetId(asset)).unwrap();
    Matter::Asset {
        asset: found.id,
        label: format!("pc-{asset}"),
        site: found.site.clone(),
        identifiers: Identities::new(&compared.assets).of(found, kinds),
    }
}

async fn decide(
    store: &Store,
    seconds: i64,
    matter: Matter,
    verdict: Verdict,
    terms: Terms,
) -> Decision {
    let proposal = Proposal { matter, verdict, terms };
    let made = store.decide(&[proposal], Rule::OnePerson, at(seconds), Offset::UTC).await.unwrap();
    made.into_iter().next().unwrap()
}

async fn import(store: &Store, seconds: i64, csv: &str) {
    let source = RegisterSource::of("devices.csv", csv.as_bytes());
    store.replace_register(&devices(csv), &source, at(seconds)).await.unwrap();
}

/// The state of each asset, and the open findings by rule and severity, after a review.
async fn review(store: &Store, seconds: i64) -> (Vec<Registration>, Vec<(String, Severity)>) {
    let review = store.review(at(seconds), &policy()).await.unwrap();
    let again = store.review(at(seconds), &policy()).await.unwrap();
    assert_eq!(again.changes, [], "the second review of a moment changes nothing");
    let states = review.compared.comparison.assets.iter().map(|state| state.state).collect();
    let open = review.findings.iter().filter(|one| one.finding.state == FindingState::Open);
    let open = open.map(|one| (one.finding.key.rule.clone(), one.finding.severity)).collect();
    (states, open)
}

const ONE_OF_TWO: &str = "reference,mac,owner\nPC-2,00:00:5e:00:00:02,Ito\n";

#[tokio::test]
async fn an_approval_ends_the_finding_and_its_alert_and_no_import_undoes_it() {
    use Registration::{Registered, Rejected, Unregistered};
    let folder = Folder::new();
    let store = folder.store().await.acting(person("sato"));
    folder.sweep(&store, 1, [machine(1, 1), machine(1, 2)].concat()).await;
    import(&store, 20, ONE_OF_TWO).await;
    let open = |rule: &str, severity| vec![(rule.to_owned(), severity)];
    assert_eq!(
        review(&store, 30).await,
        (vec![Unregistered, Registered], open("device.unregistered", Severity::Warning))
    );
    let alerts = store.alerts(at(31), &alert::Policy::default()).await.unwrap();
    assert_eq!(alerts[0].kind, AlertKind::New);

    let matter = about(&store, 40, 1, None).await;
    let Matter::Asset { identifiers, .. } = &matter else { panic!() };
    let known: Vec<String> = identifiers.iter().map(ToString::to_string).collect();
    assert_eq!(known, ["mac 00:00:5e:00:00:01", "smb_guid guid-1"]);
    decide(&store, 40, matter, Verdict::Approved, terms("new printer")).await;
    assert_eq!(review(&store, 50).await, (vec![Registered, Registered], vec![]));
    let alerts = store.alerts(at(51), &alert::Policy::default()).await.unwrap();
    assert_eq!((alerts.len(), alerts[0].kind), (1, AlertKind::Over));
    import(&store, 60, ONE_OF_TWO).await;
    assert_eq!(review(&store, 70).await.0, [Registered, Registered]);
    let compared = store.compare(at(71), &policy()).await.unwrap();
    let reason = &compared.comparison.assets[0].reason;
    let expected = "approved by sato on 1970-01-01 (decision 1): new printer; known by mac \
                    00:00:5e:00:00:01";
    assert_eq!(reason, expected);

    // The register lists it now, and somebody knows better: it was stolen.
    let both = "reference,mac,owner\nPC-1,00:00:5e:00:00:01,Abe\nPC-2,00:00:5e:00:00:02,Ito\n";
    import(&store, 80, both).await;
    let matter = about(&store, 90, 1, None).await;
    let rejected = decide(&store, 90, matter, Verdict::Rejected, terms("stolen")).await;
    import(&store, 100, both).await;
    assert_eq!(
        review(&store, 110).await,
        (vec![Rejected, Registered], open("device.rejected", Severity::Critical))
    );
    let decisions = store.decisions().await.unwrap();
    let standing: Vec<Standing> =
        decisions.iter().map(|one| one.standing(at(110), Offset::UTC)).collect();
    assert_eq!(standing, [Standing::Ended, Standing::Holds]);
    let told = overruled(&devices(both), &decisions, Offset::UTC, at(110));
    assert_eq!((told.len(), told[0].entry.as_str(), told[0].decision), (1, "PC-1", rejected.id));
    assert_eq!(overruled(&devices(ONE_OF_TWO), &decisions, Offset::UTC, at(110)), []);
    // Whose it is, the register still tells.
    let compared = store.compare(at(111), &policy()).await.unwrap();
    let finding = &store.findings().await.unwrap()[0].finding;
    let owners = compared.owners.of_finding(finding);
    assert_eq!(owners[0].owner.as_deref(), Some("Abe"));

    // Taken back, the register speaks again.
    store.withdraw(rejected.id, "found", Rule::OnePerson, at(120)).await.unwrap();
    assert_eq!(review(&store, 130).await, (vec![Registered, Registered], vec![]));
    let told = store
        .withdraw(rejected.id, "again", Rule::OnePerson, at(131))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(told, "there is no decision 2 that holds or waits");
    is_sound(&store).await;
}

#[tokio::test]
async fn with_four_eyes_nothing_follows_before_another_person_agrees() {
    use Registration::{Registered, Unregistered};
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, [machine(1, 1), machine(1, 2)].concat()).await;
    import(&store, 20, ONE_OF_TWO).await;
    let (sato, mori) = (store.clone().acting(person("sato")), store.clone().acting(person("mori")));
    let proposal = Proposal {
        matter: about(&store, 30, 1, None).await,
        verdict: Verdict::Approved,
        terms: terms("guest"),
    };
    let made = sato.decide(&[proposal], Rule::FourEyes, at(30), Offset::UTC).await.unwrap();
    assert_eq!(made[0].standing(at(31), Offset::UTC), Standing::Pending);
    assert_eq!(review(&store, 40).await.0, [Unregistered, Registered]);
    let told = sato.confirm(made[0].id, at(41), Offset::UTC).await.unwrap_err().to_string();
    assert_eq!(told, "decision 1 is sato's own: another person has to confirm it");
    let confirmed = mori.confirm(made[0].id, at(42), Offset::UTC).await.unwrap();
    assert_eq!(confirmed.standing(at(43), Offset::UTC), Standing::Holds);
    assert_eq!(review(&store, 50).await, (vec![Registered, Registered], vec![]));
    assert!(mori.confirm(made[0].id, at(51), Offset::UTC).await.is_err());
    assert!(mori.confirm(DecisionId(9), at(51), Offset::UTC).await.is_err());
    // A second approval that waits leaves the first as it is, and a withdrawn one never holds.
    let proposal = Proposal {
        matter: about(&store, 60, 1, None).await,
        verdict: Verdict::Rejected,
        terms: terms("no guest"),
    };
    let made = mori.decide(&[proposal], Rule::FourEyes, at(60), Offset::UTC).await.unwrap();
    assert_eq!(review(&store, 61).await.0, [Registered, Registered]);
    sato.withdraw(made[0].id, "he is", Rule::OnePerson, at(62)).await.unwrap();
    assert!(sato.confirm(made[0].id, at(63), Offset::UTC).await.is_err());
    assert_eq!(review(&store, 64).await.0, [Registered, Registered]);
    // To find out needs nobody's leave.
    let proposal = Proposal {
        matter: about(&store, 70, 1, None).await,
        verdict: Verdict::Investigating,
        terms: Terms { until: until("1970-01-09"), ..terms("whose?") },
    };
    let made = sato.decide(&[proposal], Rule::FourEyes, at(70), Offset::UTC).await.unwrap();
    assert_eq!(made[0].standing(at(71), Offset::UTC), Standing::Holds);
    // And undoes nothing that two decided, nor does one who takes it back.
    let standing = |decisions: &[Decision]| decisions[0].standing(at(71), Offset::UTC);
    assert_eq!(standing(&store.decisions().await.unwrap()), Standing::Holds);
    let told = sato.withdraw(confirmed.id, "alone", Rule::FourEyes, at(72)).await.unwrap_err();
    assert!(told.to_string().contains("have that confirmed"), "{told}");
    sato.withdraw(made[0].id, "found", Rule::FourEyes, at(73)).await.unwrap();
    is_sound(&store).await;
}

#[tokio::test]
async fn a_confirmation_is_another_persons_in_time_and_ends_what_came_before() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, [machine(1, 1), machine(1, 2)].concat()).await;
    let (sato, mori) = (store.clone().acting(person("sato")), store.clone().acting(person("mori")));
    let one = about(&store, 30, 1, None).await;
    let proposal = |verdict, terms| Proposal { matter: one.clone(), verdict, terms };
    let short = Terms { until: until("1970-01-02"), ..terms("visit") };
    let waiting = [proposal(Verdict::Approved, short), proposal(Verdict::Rejected, terms("no"))];
    sato.decide(&waiting, Rule::FourEyes, at(30), Offset::UTC).await.unwrap();
    let again = store.clone().acting(person("ＳＡＴＯ "));
    let renamed = Actor { name: "abe".to_owned(), account: Some("sato".to_owned()) };
    for same in [again, store.clone().acting(renamed)] {
        let told = same.confirm(DecisionId(1), at(31), Offset::UTC).await.unwrap_err().to_string();
        assert_eq!(told, "decision 1 is sato's own: another person has to confirm it");
    }
    let late = mori.confirm(DecisionId(1), at(3 * DAY), Offset::UTC).await.unwrap_err();
    assert_eq!(late.to_string(), "decision 1 would have ended already: decide anew");
    mori.confirm(DecisionId(1), at(40), Offset::UTC).await.unwrap();
    let standing = |decisions: &[Decision]| -> Vec<Standing> {
        decisions.iter().map(|one| one.standing(at(50), Offset::UTC)).collect()
    };
    let decisions = store.decisions().await.unwrap();
    assert_eq!(standing(&decisions), [Standing::Holds, Standing::Pending]);
    mori.confirm(DecisionId(2), at(41), Offset::UTC).await.unwrap();
    let decisions = store.decisions().await.unwrap();
    assert_eq!(standing(&decisions), [Standing::Ended, Standing::Holds]);
    let told = &store.audit(Some(1)).await.unwrap()[0].deed.detail;
    assert!(told.ends_with("; ends decision 1"), "{told}");
    // Of another device that has one of its identifiers nothing is said by that.
    let (Matter::Asset { identifiers, .. }, other) = (&one, about(&store, 42, 2, None).await)
    else {
        panic!()
    };
    let Matter::Asset { asset, label, site, identifiers: mut both } = other else { panic!() };
    both.push(identifiers[0].clone());
    let other = Matter::Asset { asset, label, site, identifiers: both };
    decide(&store, 43, other, Verdict::Approved, terms("spare parts")).await;
    assert_eq!(standing(&store.decisions().await.unwrap())[1], Standing::Holds);
    is_sound(&store).await;
}

#[tokio::test]
async fn an_approval_ends_with_its_day_or_when_nothing_is_seen_for_too_long() {
    use Registration::{Expired, Registered, Unregistered};
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, [machine(1, 1), machine(1, 2), machine(1, 3)].concat()).await;
    let day = Terms { until: until("1970-01-10"), ..terms("project") };
    let idle = Terms { idle_days: Some(30), ..terms("notebook") };
    decide(&store, 10, about(&store, 10, 1, None).await, Verdict::Approved, day).await;
    decide(&store, 11, about(&store, 11, 2, None).await, Verdict::Approved, idle).await;
    // The first approval makes a list: the third is not on it.
    assert_eq!(review(&store, 20).await.0, [Registered, Registered, Unregistered]);
    folder.sweep(&store, 10 * DAY + 1, machine(10 * DAY + 1, 1)).await;
    let (states, open) = review(&store, 10 * DAY + 20).await;
    assert_eq!(states, [Expired, Registered, Unregistered]);
    assert!(open.contains(&("device.expired".to_owned(), Severity::Warning)), "{open:?}");
    assert_eq!(review(&store, 30 * DAY).await.0, [Expired, Registered, Unregistered]);
    // That nobody looked ends nothing.
    assert_eq!(review(&store, 31 * DAY).await.0, [Expired, Registered, Unregistered]);
    folder.sweep(&store, 31 * DAY, machine(31 * DAY, 1)).await;
    assert_eq!(review(&store, 31 * DAY + 20).await.0, [Expired, Expired, Unregistered]);
    let ended = &store.decisions().await.unwrap()[1];
    assert_eq!(ended.standing(at(31 * DAY + 20), Offset::UTC), Standing::Expired);
    assert_eq!(ended.ended.as_ref().unwrap().by, "daicho");
    // Back again it is seen, and its approval is still over.
    folder.sweep(&store, 40 * DAY, machine(40 * DAY, 2)).await;
    let (states, open) = review(&store, 40 * DAY + 20).await;
    assert_eq!(states[1], Expired);
    assert_eq!(open.iter().filter(|(rule, _)| rule == "device.expired").count(), 2);
    let renewed = about(&store, 40 * DAY + 30, 2, None).await;
    decide(&store, 40 * DAY + 30, renewed, Verdict::Approved, terms("back")).await;
    assert_eq!(review(&store, 40 * DAY + 40).await.0[1], Registered);
    is_sound(&store).await;
}

#[tokio::test]
async fn an_investigation_is_a_note_until_its_day() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, [machine(1, 1), machine(1, 2)].concat()).await;
    import(&store, 20, ONE_OF_TWO).await;
    let two_weeks = Terms { until: until("1970-01-14"), ..terms("asked Abe") };
    let matter = about(&store, 30, 1, None).await;
    decide(&store, 30, matter, Verdict::Investigating, two_weeks).await;
    let (states, open) = review(&store, 40).await;
    assert_eq!(states[0], Registration::Unregistered);
    assert_eq!(open, [("device.unregistered".to_owned(), Severity::Info)]);
    let detail = &store.findings().await.unwrap()[0].finding.detail;
    assert!(detail.contains("being investigated by daicho"), "{detail}");
    let (_, open) = review(&store, 15 * DAY).await;
    assert_eq!(open, [("device.unregistered".to_owned(), Severity::Warning)]);
}

/// A telephone that changes its MAC and address every day and keeps its DHCP client id.
fn telephone(seconds: i64, day: u8) -> Vec<Observation> {
    let index = 100 + u32::from(day);
    let here = Subject::Address(address(index));
    let random = MacAddr([0x02, 0, 0x5e, 0, 0x99, day]);
    vec![
        observation(seconds, here, Method::Arp, Fact::LinkAddress(random)),
        observation(
            seconds,
            here,
            Method::Capture,
            Fact::MachineId { kind: MachineIdKind::DhcpClientId, value: "01:aa:bb".into() },
        ),
    ]
}

#[tokio::test]
async fn a_device_that_changes_its_mac_is_approved_by_what_it_keeps() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, telephone(1, 1)).await;
    let matter = about(&store, 10, 1, None).await;
    let Matter::Asset { identifiers, .. } = &matter else { panic!() };
    let kept = Identifier::MachineId(MachineIdKind::DhcpClientId, "01:aa:bb".into());
    assert_eq!(identifiers, &[kept]);
    decide(&store, 10, matter, Verdict::Approved, terms("telephone")).await;
    for day in 2..12_u8 {
        let seconds = i64::from(day) * DAY;
        folder.sweep(&store, seconds, telephone(seconds, day)).await;
        let compared = store.compare(at(seconds + 20), &policy()).await.unwrap();
        let mac = MacAddr([0x02, 0, 0x5e, 0, 0x99, day]);
        let place =
            compared.assets.iter().position(|asset| asset.macs().any(|one| one == mac)).unwrap();
        assert_eq!(compared.comparison.assets[place].state, Registration::Registered, "day {day}");
    }
    // Somebody else who only says that it is the one, with a MAC of its own, is not: nor is one of
    // two that say so.
    let seconds = 20 * DAY;
    let mut copy = telephone(seconds, 50);
    copy[0].fact = Fact::LinkAddress(mac(50));
    folder.sweep(&store, seconds, copy).await;
    let (states, _) = review(&store, seconds + 20).await;
    let registered = states.iter().filter(|state| **state == Registration::Registered).count();
    assert!(registered <= 1, "{states:?}");
}

#[tokio::test]
async fn what_is_asked_for_must_be_there_and_a_fleets_key_names_nobody() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, [machine(1, 1), machine(1, 2)].concat()).await;
    let by_address = about(&store, 10, 1, Some(&["address".to_owned()])).await;
    let Matter::Asset { identifiers, .. } = &by_address else { panic!() };
    assert_eq!(identifiers, &[Identifier::Address(address(1))]);
    let nothing = about(&store, 10, 1, Some(&["tls_key".to_owned()])).await;
    let proposal = |matter, terms| Proposal { matter, verdict: Verdict::Approved, terms };
    for (proposal, expected) in [
        (proposal(nothing, terms("x")), "has none of the identifiers"),
        (proposal(by_address.clone(), terms("  ")), "needs a reason"),
        (
            proposal(by_address.clone(), Terms { until: until("1969-12-31"), ..terms("x") }),
            "would end with 1969-12-31",
        ),
        (
            Proposal {
                verdict: Verdict::Rejected,
                ..proposal(by_address.clone(), Terms { idle_days: Some(1), ..terms("x") })
            },
            "only the approval of an asset",
        ),
    ] {
        let told = proposal.check(at(20), Offset::UTC).unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
        let refused = store.decide(&[proposal], Rule::OnePerson, at(20), Offset::UTC).await;
        assert!(refused.is_err());
    }
    // One that cannot be made leaves none made.
    let good = proposal(by_address, terms("x"));
    let bad = Proposal { terms: terms(""), ..good.clone() };
    assert!(store.decide(&[good, bad], Rule::OnePerson, at(20), Offset::UTC).await.is_err());
    assert_eq!(
        (store.decisions().await.unwrap(), store.audit(None).await.unwrap()),
        (vec![], vec![])
    );
}

#[tokio::test]
async fn an_address_at_another_site_is_another() {
    let folder = Folder::new();
    let store = folder.store().await;
    let here = vec![port(1, 1, 80, PortState::Open)];
    folder.sweep(&store, 1, here).await;
    let other = Vantage { site: Site("branch".into()), name: "there".into() };
    let scan = store.begin_scan(&other, at(20), "raw", &[], "sweep").await.unwrap();
    let mut there = port(20, 1, 80, PortState::Open);
    there.vantage = other.clone();
    store.write_observations(scan, vec![there]).await.unwrap();
    store.finish_scan(scan, &ScanRecord { vantage: other, ..record(20) }).await.unwrap();
    store.digest(scan, at(30)).await.unwrap();
    decide(&store, 40, about(&store, 40, 1, None).await, Verdict::Approved, terms("x")).await;
    let (states, _) = review(&store, 50).await;
    assert_eq!(states, [Registration::Registered, Registration::Unregistered]);
}

#[tokio::test]
async fn what_is_rejected_by_its_own_mac_is_so_at_every_site() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, vec![link(1, 1)]).await;
    let other = Vantage { site: Site("branch".into()), name: "there".into() };
    let scan = store.begin_scan(&other, at(20), "raw", &[], "sweep").await.unwrap();
    let there = Observation {
        vantage: other.clone(),
        subject: Subject::Address(address(9)),
        ..link(20, 1)
    };
    decide(&store, 15, about(&store, 15, 1, None).await, Verdict::Rejected, terms("stolen")).await;
    store.write_observations(scan, vec![there]).await.unwrap();
    store.finish_scan(scan, &ScanRecord { vantage: other, ..record(20) }).await.unwrap();
    store.digest(scan, at(30)).await.unwrap();
    let (states, _) = review(&store, 50).await;
    assert_eq!(states, [Registration::Rejected, Registration::Rejected]);
}

fn entry<E: inventory::register::Entry>(csv: &str) -> E {
    read::<E>(csv.as_bytes()).unwrap().entries.remove(0)
}

#[tokio::test]
async fn products_are_decided_with_and_without_a_register() {
    let folder = Folder::new();
    let store = folder.store().await;
    folder.sweep(&store, 1, machine(1, 1)).await;
    let nginx = |version: &str, scope: &str| {
        let csv = format!("product,version,scope\nnginx,\"{version}\",\"{scope}\"\n");
        Matter::Software(entry::<SoftwareEntry>(&csv))
    };
    let of_software = |open: Vec<(String, Severity)>| -> Vec<(String, Severity)> {
        open.into_iter().filter(|(rule, _)| rule.starts_with("software.")).collect()
    };
    let one = |rule: &str, severity| vec![(rule.to_owned(), severity)];
    // A rejection alone makes no list: nothing else is unregistered by it.
    let rejected = decide(&store, 10, nginx("", ""), Verdict::Rejected, terms("old")).await;
    let (_, open) = review(&store, 11).await;
    assert_eq!(of_software(open), one("software.forbidden", Severity::Critical));
    store.withdraw(rejected.id, "it is not", Rule::OnePerson, at(12)).await.unwrap();
    assert_eq!(of_software(review(&store, 13).await.1), []);

    let csv = "product,version,status,support ends\nnginx,,forbidden,\n";
    let source = RegisterSource::of("software.csv", csv.as_bytes());
    let forbidden = vec![entry::<SoftwareEntry>(csv)];
    store.replace_register(&forbidden, &source, at(20)).await.unwrap();
    decide(&store, 21, nginx("< 1.20", ""), Verdict::Approved, terms("other version")).await;
    decide(&store, 22, nginx("", "198.18.0.9"), Verdict::Approved, terms("other asset")).await;
    let (_, open) = review(&store, 23).await;
    assert_eq!(of_software(open), one("software.forbidden", Severity::Critical));
    decide(&store, 24, nginx(">= 1.20", ""), Verdict::Approved, terms("this version")).await;
    assert_eq!(of_software(review(&store, 25).await.1), []);
    assert_eq!(
        overruled(&forbidden, &store.decisions().await.unwrap(), Offset::UTC, at(26)).len(),
        3
    );

    // Support that has ended is told of what is approved, unless that is the exception.
    let csv = "product,version,status,support ends\nnginx,,approved,1970-01-01\n";
    store.replace_register(&[entry::<SoftwareEntry>(csv)], &source, at(30)).await.unwrap();
    let later = 5 * DAY;
    assert_eq!(
        of_software(review(&store, later).await.1),
        one("software.support-ended", Severity::Warning)
    );
    let exception = Terms { exception: true, ..terms("no successor yet") };
    decide(&store, later + 1, nginx(">= 1.20", ""), Verdict::Approved, exception).await;
    assert_eq!(of_software(review(&store, later + 2).await.1), []);
}

#[tokio::test]
async fn issuers_are_decided_over_the_register() {
    let folder = Folder::new();
    let store = folder.store().await;
    let issuer = |name: &str| Matter::Issuer(entry::<IssuerEntry>(&format!("issuer\n{name}\n")));
    let register = vec![entry::<IssuerEntry>("issuer\nOffice Root\n")];
    let source = RegisterSource::of("issuers.csv", b"");
    store.replace_register(&register, &source, at(1)).await.unwrap();
    decide(&store, 2, issuer("Office Root"), Verdict::Rejected, terms("broken into")).await;
    decide(&store, 3, issuer("New Root"), Verdict::Approved, terms("its successor")).await;
    let decisions = store.decisions().await.unwrap();
    let decided = inventory::approval::apply(&decisions, &[], &[], Offset::UTC, at(4));
    let names = |register| -> Vec<String> {
        let entries: Option<Vec<IssuerEntry>> = decided.issuers(register);
        entries.unwrap().into_iter().filter_map(|entry| entry.name).collect()
    };
    assert_eq!(names(Some(register)), ["New Root"]);
    assert_eq!(names(None), ["New Root"]);
    // Another authority of the same name is another where both have hashes.
    let hashed = |hash: &str| {
        let hash = hash.repeat(64);
        entry::<IssuerEntry>(&format!("issuer,certificate sha256\nTwin Root,{hash}\n"))
    };
    let (old, new) = (Matter::Issuer(hashed("a")), Matter::Issuer(hashed("b")));
    assert!(
        !old.is_settled_by(&new)
            && old.is_settled_by(&old)
            && old.is_settled_by(&issuer("Twin Root"))
    );
    store.review(at(5), &policy()).await.unwrap();
    is_sound(&store).await;
}

#[tokio::test]
async fn everything_that_people_do_is_in_the_audit_and_nothing_can_be_changed_unseen() {
    let folder = Folder::new();
    let store = folder.store().await.acting(person("sato"));
    folder.sweep(&store, 1, [machine(1, 1), machine(1, 2)].concat()).await;
    import(&store, 20, ONE_OF_TWO).await;
    let review = store.review(at(21), &policy()).await.unwrap();
    let finding = review.changes.iter().find(|one| one.kind == ChangeKind::Opened).unwrap();
    assert_eq!(finding.finding.key.rule, "device.unregistered");
    store.accept_finding(review.findings[0].id, at(DAY), "a guest", at(22)).await.unwrap();
    let decision =
        decide(&store, 23, about(&store, 23, 1, None).await, Verdict::Approved, terms("台帳へ"))
            .await;
    store.withdraw(decision.id, "wrong one", Rule::OnePerson, at(24)).await.unwrap();
    store.merge(AssetId(2), AssetId(1), "two cards", at(25)).await.unwrap();
    store.split(AssetId(2), "no", at(26)).await.unwrap();

    let start = store.verify_audit(Some(inventory::audit::START)).await.unwrap();
    assert_eq!(start.kept, Some(true), "the head of nothing is kept by what follows");
    let entries = store.audit(None).await.unwrap();
    let actions: Vec<&str> = entries.iter().rev().map(|one| one.deed.action.as_str()).collect();
    assert_eq!(actions, ["import", "accept", "approve", "withdraw", "merge", "split"]);
    assert!(entries.iter().all(|one| one.deed.who == "sato (account root)"));
    assert_eq!(entries[3].deed.subject, "asset 1 (pc-1)");
    assert_eq!(entries[3].deed.reason, "台帳へ");
    assert_eq!(store.audit(Some(2)).await.unwrap(), entries[..2]);
    let verified = store.verify_audit(None).await.unwrap();
    assert_eq!((verified.chain.entries, &verified.chain.head), (6, &entries[0].hash));
    assert_eq!((verified.broken, verified.kept), (None, None));
    let head = entries[0].hash.clone();
    assert_eq!(store.verify_audit(Some(&head)).await.unwrap().kept, Some(true));
    assert_eq!(store.verify_audit(Some(&entries[4].hash)).await.unwrap().kept, Some(true));
    is_sound(&store).await;

    // Nobody changes it by accident.
    let mut raw = folder.raw().await;
    for sql in [
        "UPDATE audit SET reason = '' WHERE number = 3",
        "DELETE FROM audit WHERE number = 6",
        "DELETE FROM decision",
    ] {
        let told = sqlx::raw_sql(sql).execute(&mut raw).await.unwrap_err().to_string();
        assert!(told.contains("never"), "{told}");
    }
    // Who takes the triggers away is found out, but for a cut at the end.
    sqlx::raw_sql("DROP TRIGGER audit_stays_as_written; DROP TRIGGER audit_stays; DELETE FROM audit WHERE number = 6")
        .execute(&mut raw)
        .await
        .unwrap();
    let cut = store.verify_audit(Some(&head)).await.unwrap();
    assert_eq!((cut.chain.entries, cut.broken, cut.kept), (5, None, Some(false)));
    sqlx::raw_sql("UPDATE audit SET who = 'mori' WHERE number = 3")
        .execute(&mut raw)
        .await
        .unwrap();
    let changed = store.verify_audit(None).await.unwrap();
    assert_eq!((changed.chain.entries, changed.broken), (2, Some(Broken::Changed { number: 3 })));
    sqlx::raw_sql("DELETE FROM audit WHERE number = 2").execute(&mut raw).await.unwrap();
    let missing = store.verify_audit(None).await.unwrap();
    assert_eq!(missing.broken, Some(Broken::Missing { expected: 2, found: 3 }));
    raw.close().await.unwrap();
}
