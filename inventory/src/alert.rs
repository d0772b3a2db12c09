//! What somebody has to be told, once.
//!
//! Findings say what is wrong now; an alert tells somebody. Each problem is told when it
//! begins, again when it grows worse, again after [`Policy::remind`] while nobody decided
//! anything, and a last time when it is over. What was told is all the memory there is: the
//! same findings again give no alert, however often this runs and whenever it was cut off.
//! What is accepted is quiet. How an alert reaches people is not known here.

use std::collections::{BTreeMap, BTreeSet};

use model::{Severity, Timestamp};

use crate::finding::{Finding, FindingKey, FindingState};

/// What makes two findings one problem: a certificate that is about to expire and the same
/// certificate expired are told as one that grew worse.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Topic {
    /// The rule, or the first of several that are stages of one problem.
    pub rule: String,
    /// What it is about, as the finding names it.
    pub subject: String,
}

/// Rules that are stages of one problem, from the first to the worst.
const STAGES: [&[&str]; 1] = [&["cert.expiring", "cert.expired"]];

impl Topic {
    /// The problem of a finding.
    #[must_use]
    pub fn of(key: &FindingKey) -> Self {
        let stages = STAGES.iter().find(|stages| stages.contains(&key.rule.as_str()));
        let rule = stages.and_then(|stages| stages.first().copied()).unwrap_or(&key.rule);
        Self { rule: rule.to_owned(), subject: key.subject.clone() }
    }
}

/// How bad a finding is: its severity, then its stage.
fn rank(finding: &Finding) -> (Severity, usize) {
    let rule = finding.key.rule.as_str();
    let stage = STAGES.iter().find_map(|stages| stages.iter().position(|stage| *stage == rule));
    (finding.severity, stage.unwrap_or(0))
}

/// What is worth telling.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// What matters less is never told.
    pub least: Severity,
    /// After how many seconds an open problem is told again, and within how many a problem
    /// that comes back is the one that was told; 0: never.
    pub remind: i64,
}

impl Default for Policy {
    /// From warnings on; once a week.
    fn default() -> Self {
        Self { least: Severity::Warning, remind: 7 * 86_400 }
    }
}

/// What was told of a problem.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// The problem.
    pub topic: Topic,
    /// The rule of the finding that was told.
    pub rule: String,
    /// The most that it mattered when it was told.
    pub severity: Severity,
    /// When it was told last.
    pub at: Timestamp,
    /// When it was told that it is over, if it was.
    pub over_at: Option<Timestamp>,
}

/// Why something is told.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AlertKind {
    /// A problem that was not there before.
    New,
    /// It matters more than when it was told last.
    Worse,
    /// It is still there, and nobody decided anything.
    Reminder,
    /// It is over.
    Over,
}

impl AlertKind {
    /// Its name in the command line, in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Worse => "worse",
            Self::Reminder => "reminder",
            Self::Over => "over",
        }
    }
}

/// Something to tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alert {
    /// Why now.
    pub kind: AlertKind,
    /// The finding that matters most of the problem.
    pub finding: Finding,
}

/// What is to be told now, in the order of the topics, and what was told after that: it
/// replaces `told`.
#[must_use]
pub fn decide(
    findings: &[Finding],
    told: &[Told],
    policy: &Policy,
    as_of: Timestamp,
) -> (Vec<Alert>, Vec<Told>) {
    let mut topics: BTreeMap<Topic, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        topics.entry(Topic::of(&finding.key)).or_default().push(finding);
    }
    let mut memory: BTreeMap<Topic, Told> =
        told.iter().map(|told| (told.topic.clone(), told.clone())).collect();
    let known: BTreeSet<Topic> = topics.keys().chain(memory.keys()).cloned().collect();
    let mut alerts = Vec::new();
    for topic in known {
        let all = topics.get(&topic).map(Vec::as_slice).unwrap_or_default();
        let before = memory.get(&topic);
        let (alert, after) = decide_one(&topic, all, before, policy, as_of);
        alerts.extend(alert);
        match after {
            Some(after) => memory.insert(topic, after),
            None => memory.remove(&topic),
        };
    }
    (alerts, memory.into_values().collect())
}

fn decide_one(
    topic: &Topic,
    findings: &[&Finding],
    before: Option<&Told>,
    policy: &Policy,
    as_of: Timestamp,
) -> (Option<Alert>, Option<Told>) {
    let alert = |kind, finding: &Finding| Some(Alert { kind, finding: finding.clone() });
    let open = findings.iter().filter(|finding| finding.state == FindingState::Open);
    let worst = open.copied().max_by_key(|finding| rank(finding));
    let worst = worst.filter(|finding| finding.severity >= policy.least);
    let now = |finding: &Finding, severity| Told {
        topic: topic.clone(),
        rule: finding.key.rule.clone(),
        severity,
        at: as_of,
        over_at: None,
    };
    let is_due =
        |since: Timestamp| policy.remind > 0 && as_of.seconds_since(since) >= policy.remind;
    match (worst, before) {
        (None, None) => (None, None),
        (Some(finding), None) => {
            (alert(AlertKind::New, finding), Some(now(finding, finding.severity)))
        }
        (Some(finding), Some(told)) => {
            let was = Finding {
                key: FindingKey { rule: told.rule.clone(), subject: topic.subject.clone() },
                severity: told.severity,
                ..finding.clone()
            };
            let kind = match told.over_at {
                // What comes and goes is told once; if it stays, it is told as new.
                Some(over) if is_due(over) || policy.remind == 0 => Some(AlertKind::New),
                _ if rank(finding) > rank(&was) => Some(AlertKind::Worse),
                None if is_due(told.at) => Some(AlertKind::Reminder),
                _ => None,
            };
            match kind {
                Some(AlertKind::New) => {
                    (alert(AlertKind::New, finding), Some(now(finding, finding.severity)))
                }
                Some(kind) => {
                    let severity = finding.severity.max(told.severity);
                    (alert(kind, finding), Some(now(finding, severity)))
                }
                None => (None, Some(told.clone())),
            }
        }
        (None, Some(told)) => {
            let is_over = |finding: &&Finding| finding.state == FindingState::Resolved;
            let all_over = findings.iter().copied().all(|finding| is_over(&finding));
            let last = findings.iter().copied().max_by_key(|finding| finding.last_seen);
            match (told.over_at, last) {
                // Quiet: over already, accepted, or of less weight than is told.
                (Some(over), _) if is_due(over) => (None, None),
                (None, Some(last)) if all_over => {
                    let over = Told { over_at: Some(as_of), ..told.clone() };
                    (alert(AlertKind::Over, last), Some(over))
                }
                _ => (None, Some(told.clone())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn finding(rule: &str, severity: Severity, state: FindingState) -> Finding {
        Finding {
            key: FindingKey { rule: rule.to_owned(), subject: "certificate:ab".to_owned() },
            asset: None,
            severity,
            title: rule.to_owned(),
            detail: String::new(),
            state,
            first_seen: Timestamp::from_seconds(0),
            last_seen: Timestamp::from_seconds(0),
            resolved_at: None,
            accepted: None,
        }
    }

    /// Runs a day and checks what is told; and that running it again tells nothing.
    #[track_caller]
    fn day(told: &mut Vec<Told>, day: i64, findings: &[Finding], expected: &[AlertKind]) {
        let as_of = Timestamp::from_seconds(day * DAY);
        let (alerts, after) = decide(findings, told, &Policy::default(), as_of);
        let kinds: Vec<AlertKind> = alerts.iter().map(|alert| alert.kind).collect();
        assert_eq!(kinds, expected, "day {day}");
        let (again, same) = decide(findings, &after, &Policy::default(), as_of);
        assert_eq!((again, &same), (Vec::new(), &after), "day {day} again");
        *told = after;
    }

    use AlertKind::{New, Over, Reminder, Worse};
    use FindingState::{Accepted, Open, Resolved};
    use Severity::{Critical, Info, Warning};

    #[test]
    fn a_certificate_is_told_at_each_stage_and_when_it_was_replaced() {
        let mut told = Vec::new();
        let expiring = |severity| finding("cert.expiring", severity, Open);
        day(&mut told, 1, &[expiring(Info)], &[]);
        day(&mut told, 2, &[expiring(Warning)], &[New]);
        day(&mut told, 3, &[expiring(Warning)], &[]);
        day(&mut told, 4, &[expiring(Critical)], &[Worse]);
        let over = finding("cert.expiring", Critical, Resolved);
        day(&mut told, 5, &[over.clone(), finding("cert.expired", Critical, Open)], &[Worse]);
        day(&mut told, 11, &[over.clone(), finding("cert.expired", Critical, Open)], &[]);
        day(&mut told, 12, &[over.clone(), finding("cert.expired", Critical, Open)], &[Reminder]);
        day(&mut told, 13, &[over.clone(), finding("cert.expired", Critical, Resolved)], &[Over]);
        day(&mut told, 14, &[over, finding("cert.expired", Critical, Resolved)], &[]);
    }

    #[test]
    fn what_comes_and_goes_is_told_once_in_the_time_of_a_reminder() {
        let mut told = Vec::new();
        let missing = |state| [finding("device.missing", Warning, state)];
        day(&mut told, 1, &missing(Open), &[New]);
        day(&mut told, 2, &missing(Resolved), &[Over]);
        day(&mut told, 3, &missing(Open), &[]);
        day(&mut told, 4, &missing(Resolved), &[]);
        day(&mut told, 5, &missing(Open), &[]);
        day(&mut told, 9, &missing(Open), &[New]);
        day(&mut told, 10, &missing(Resolved), &[Over]);
        day(&mut told, 20, &missing(Resolved), &[]);
        assert_eq!(told, [], "what is long over is forgotten");
        day(&mut told, 21, &missing(Open), &[New]);
    }

    #[test]
    fn what_is_accepted_is_quiet_and_not_over() {
        let mut told = Vec::new();
        let expired = |state| [finding("cert.expired", Critical, state)];
        day(&mut told, 1, &expired(Open), &[New]);
        day(&mut told, 2, &expired(Accepted), &[]);
        day(&mut told, 30, &expired(Accepted), &[]);
        day(&mut told, 31, &expired(Open), &[Reminder]);
        day(&mut told, 32, &expired(Resolved), &[Over]);
    }

    #[test]
    fn without_reminders_nothing_is_told_twice() {
        let policy = Policy { remind: 0, ..Policy::default() };
        let open = [finding("cert.expired", Critical, Open)];
        let (alerts, mut told) = decide(&open, &[], &policy, Timestamp::from_seconds(0));
        assert_eq!(alerts.len(), 1);
        for days in 1..400 {
            let (alerts, after) =
                decide(&open, &told, &policy, Timestamp::from_seconds(days * DAY));
            assert_eq!(alerts, []);
            told = after;
        }
    }
}
