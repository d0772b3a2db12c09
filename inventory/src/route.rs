//! Who is to be told of what: from findings and events to what goes into a route's next message.
//!
//! A route has a memory of its own ([`Told`]) and decides as [`alert`](crate::alert) does, on
//! those findings alone that it is about; so each problem is new to each route once. What
//! happened (an asset was seen first, a port opened) is told from the events, in their order.
//! Until a site is settled, nothing of it is told: what is there on the first day is the
//! baseline. Everything comes in as values; where messages go is not known here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{ScanRecord, Severity, Timestamp};

use crate::{
    alert::{AlertKind, Policy, Told, decide},
    asset::{Event, EventKind},
    finding::{Finding, FindingKey},
};

/// What a route is to tell, and how soon.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// Its name, by which it remembers what it told.
    pub name: String,
    /// Which problems are worth telling, and how often.
    pub policy: Policy,
    /// Rules, or what their names begin with where it ends with `*`; empty for all.
    pub rules: Vec<String>,
    /// Sites; empty for all, and for what belongs to none.
    pub sites: Vec<String>,
    /// Persons or departments who answer for it; empty for all.
    pub owners: Vec<String>,
    /// Which kinds of news are told.
    pub kinds: BTreeSet<AlertKind>,
    /// About what.
    pub about: BTreeSet<About>,
    /// How long more is gathered for one message, seconds.
    pub gather: i64,
    /// From which severity on nothing waits; `None` where everything does.
    pub urgent: Option<Severity>,
    /// What becomes of what is there on the first day.
    pub baseline: Baseline,
}

/// What news can be about.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum About {
    /// That something is there which was not.
    Discovery,
    /// That something changed: it is gone, moved, opens a port, runs another product.
    State,
    /// That something is not as it was approved.
    Approval,
    /// That something is in danger, or about to break.
    Risk,
}

/// What becomes of what is there when a route first looks at a site.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Baseline {
    /// It is remembered as if it had been told.
    Silent,
    /// It is told.
    Told,
}

impl About {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Discovery, Self::State, Self::Approval, Self::Risk];

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::State => "state",
            Self::Approval => "approval",
            Self::Risk => "risk",
        }
    }

    /// What a rule is about.
    #[must_use]
    pub fn of_rule(rule: &str) -> Self {
        match rule {
            "device.missing" | "software.required-missing" => Self::State,
            "cert.unapproved-issuer" => Self::Approval,
            _ if ["device.", "software."].iter().any(|start| rule.starts_with(start)) => {
                Self::Approval
            }
            _ => Self::Risk,
        }
    }

    /// What an event is about; `None` for what people did, which they know.
    #[must_use]
    pub const fn of_event(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::AssetFirstSeen => Some(Self::Discovery),
            EventKind::AddressMoved
            | EventKind::AddressConflict
            | EventKind::PortOpened
            | EventKind::PortClosed
            | EventKind::ProductChanged
            | EventKind::OsChanged
            | EventKind::CertificateReplaced
            | EventKind::AnomalySeen => Some(Self::State),
            EventKind::IdentifierAdded
            | EventKind::IdentityAmbiguous
            | EventKind::Merged
            | EventKind::Split
            | EventKind::FindingAccepted
            | EventKind::FindingReopened
            | EventKind::RegisterImported
            | EventKind::Decided => None,
        }
    }
}

/// One piece of news in a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// Why it is told.
    pub kind: ItemKind,
    /// When that was decided, or when it happened.
    pub at: Timestamp,
    /// The rule, or `event.` and the event's kind.
    pub rule: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about, as the finding or the event names it.
    pub subject: String,
    /// One line for people.
    pub title: String,
    /// The reason.
    pub detail: String,
    /// The site, where it belongs to one.
    pub site: Option<String>,
    /// The number of the asset.
    pub asset: Option<i64>,
    /// The number of the finding.
    pub finding: Option<i64>,
    /// Who answers for it.
    pub owners: Vec<String>,
}

/// Why a piece of news is told.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ItemKind {
    /// Because of a problem.
    Problem(AlertKind),
    /// Because it happened.
    Happened,
}

impl ItemKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Problem(AlertKind::New),
        Self::Problem(AlertKind::Worse),
        Self::Problem(AlertKind::Reminder),
        Self::Problem(AlertKind::Over),
        Self::Happened,
    ];

    /// Its name in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Problem(kind) => kind.as_str(),
            Self::Happened => "happened",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A finding with what a route asks of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Known<'a> {
    /// Its number.
    pub id: i64,
    /// The finding.
    pub finding: &'a Finding,
    /// The site of its asset.
    pub site: Option<&'a str>,
    /// Who answers for it: each person and each department.
    pub owners: Vec<String>,
}

/// An event with the site of its asset.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Happened<'a> {
    /// The event.
    pub event: Event,
    /// The site.
    pub site: Option<&'a str>,
    /// Who answers for the asset.
    pub owners: Vec<String>,
}

/// What a route remembers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Memory {
    /// What it told.
    pub told: Vec<Told>,
    /// The sites that it has seen, `""` for none, since when, and whether they are settled.
    pub sites: BTreeMap<String, (Timestamp, bool)>,
}

/// After this long a site is settled even where no scan of it was ever complete, seconds: a
/// baseline must not become silence for ever.
pub const SETTLING: i64 = 86_400;

/// What a route is to tell now, and what it remembers after that.
#[must_use]
pub fn news(
    route: &Route,
    memory: &Memory,
    known: &[Known<'_>],
    events: &[Happened<'_>],
    scans: &[ScanRecord],
    as_of: Timestamp,
) -> (Vec<Item>, Memory) {
    let mine: Vec<&Known<'_>> = known
        .iter()
        .filter(|known| route.wants(&known.finding.key.rule, known.site, &known.owners))
        .filter(|known| route.about.contains(&About::of_rule(&known.finding.key.rule)))
        .collect();
    let findings: Vec<Finding> = mine.iter().map(|known| known.finding.clone()).collect();
    let (alerts, told) = decide(&findings, &memory.told, &route.policy, as_of);

    let events: Vec<&Happened<'_>> = events
        .iter()
        .filter(|happened| {
            let rule = event_rule(happened.event.kind);
            let about = About::of_event(happened.event.kind);
            about.is_some_and(|about| route.about.contains(&about))
                && route.wants(&rule, happened.site, &happened.owners)
        })
        .collect();

    let place = |site: Option<&str>| site.unwrap_or_default().to_owned();
    let mut sites = memory.sites.clone();
    let seen = mine.iter().map(|known| known.site).chain(events.iter().map(|event| event.site));
    // A site without any problem has its first day as well.
    let scanned = scans.iter().map(|scan| Some(scan.vantage.site.0.as_str()));
    for site in seen.chain(scanned) {
        let entry = sites.entry(place(site)).or_insert((as_of, false));
        entry.1 = entry.1 || is_settled(site, entry.0, scans, as_of);
    }
    let is_told = |site: Option<&str>| match route.baseline {
        Baseline::Told => true,
        // Settled before this time: what is seen at the moment of settling is still the baseline.
        Baseline::Silent => memory.sites.get(&place(site)).is_some_and(|(_, settled)| *settled),
    };

    let by_key: HashMap<&FindingKey, &Known<'_>> =
        mine.iter().map(|known| (&known.finding.key, *known)).collect();
    let mut items: Vec<Item> = alerts
        .iter()
        .filter(|alert| route.kinds.contains(&alert.kind))
        .filter_map(|alert| Some((alert, by_key.get(&alert.finding.key)?)))
        .filter(|(_, known)| is_told(known.site))
        .map(|(alert, known)| Item {
            kind: ItemKind::Problem(alert.kind),
            at: as_of,
            rule: cut(&alert.finding.key.rule, SHORT),
            severity: alert.finding.severity,
            subject: cut(&alert.finding.key.subject, SHORT),
            title: cut(&alert.finding.title, SHORT),
            detail: cut(&alert.finding.detail, LONG),
            site: known.site.map(str::to_owned),
            asset: alert.finding.asset.map(|asset| asset.0),
            finding: Some(known.id),
            owners: named(&known.owners),
        })
        .collect();
    // The worst first; what happened comes after what is wrong.
    items.sort_by_key(|item| std::cmp::Reverse(item.severity));
    items.extend(events.iter().filter(|happened| is_told(happened.site)).map(|happened| Item {
        kind: ItemKind::Happened,
        at: happened.event.at,
        rule: event_rule(happened.event.kind),
        severity: Severity::Info,
        subject: cut(&happened.event.subject, SHORT),
        title: event_title(happened.event.kind, &happened.event.subject),
        detail: cut(&happened.event.detail, LONG),
        site: happened.site.map(str::to_owned),
        asset: happened.event.asset.map(|asset| asset.0),
        finding: None,
        owners: named(&happened.owners),
    }));
    (items, Memory { told, sites })
}

/// Whether what is there on the first day has been seen.
fn is_settled(
    site: Option<&str>,
    since: Timestamp,
    scans: &[ScanRecord],
    as_of: Timestamp,
) -> bool {
    let of_site = |scan: &&ScanRecord| site.is_none_or(|site| scan.vantage.site.0 == site);
    let complete = |scan: &ScanRecord| scan.complete && scan.ended_at.is_some();
    // Who only collects certificates from files has no scans that could be complete.
    let never = site.is_none() && scans.is_empty();
    never || scans.iter().filter(of_site).any(complete) || as_of.seconds_since(since) >= SETTLING
}

impl Route {
    fn wants(&self, rule: &str, site: Option<&str>, owners: &[String]) -> bool {
        let named = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => rule.starts_with(start),
            None => rule == pattern,
        };
        let here = |wanted: &String| site == Some(wanted.as_str());
        let answers =
            |wanted: &String| owners.iter().any(|o| o.to_lowercase() == wanted.to_lowercase());
        (self.rules.is_empty() || self.rules.iter().any(named))
            && (self.sites.is_empty() || self.sites.iter().any(here))
            && (self.owners.is_empty() || self.owners.iter().any(answers))
    }

    /// When a message is to be sent to which this is added, and which was to be sent at `due`,
    /// if there was one.
    #[must_use]
    pub fn due_at(&self, due: Option<Timestamp>, worst: Severity, as_of: Timestamp) -> Timestamp {
        // One written while the clock was ahead waits no longer than one written now.
        let fresh = as_of.plus_seconds(self.gather);
        let due = due.map_or(fresh, |due| due.min(fresh));
        match self.is_urgent(worst) {
            true => due.min(as_of),
            false => due,
        }
    }

    /// Whether nothing waits that matters so much.
    #[must_use]
    pub fn is_urgent(&self, severity: Severity) -> bool {
        self.urgent.is_some_and(|urgent| severity >= urgent)
    }
}

/// The name by which routes choose events.
fn event_rule(kind: EventKind) -> String {
    format!("event.{}", kind.as_str())
}

fn event_title(kind: EventKind, subject: &str) -> String {
    let what = kind.as_str().replace('_', " ");
    let mut letters = what.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    cut(&format!("{first}{}: {subject}", letters.as_str()), SHORT)
}

/// Characters of a title or a subject, and of a detail, that are kept: what devices say of
/// themselves has no end of its own.
const SHORT: usize = 300;
const LONG: usize = 1_000;

/// Owners that a piece of news names at most.
const OWNERS: usize = 8;

fn named(owners: &[String]) -> Vec<String> {
    owners.iter().take(OWNERS).map(|owner| cut(owner, SHORT)).collect()
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
