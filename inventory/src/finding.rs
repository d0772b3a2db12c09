//! Findings outlive the scan that raised them.
//!
//! Detections say what is wrong now; a finding is the same problem over time. Rule and
//! subject make it the same, not its words or its severity: those change while the problem
//! does not. Nothing here knows what was checked or how: that is handed in.

use std::collections::BTreeMap;

use model::{Severity, Timestamp};
use thiserror::Error;

use crate::asset::{AssetId, Detection};

/// What makes two detections the same finding, however often it is detected.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FindingKey {
    /// The rule's id.
    pub rule: String,
    /// What it is about, as the detection names it.
    pub subject: String,
}

impl FindingKey {
    /// The key of a detection.
    #[must_use]
    pub fn of(detection: &Detection) -> Self {
        Self { rule: detection.rule.to_owned(), subject: detection.subject.clone() }
    }
}

/// A problem over time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What makes it the same finding.
    pub key: FindingKey,
    /// The asset, if it is about one.
    pub asset: Option<AssetId>,
    /// How much it matters, when last detected.
    pub severity: Severity,
    /// One line for people, when last detected.
    pub title: String,
    /// The reason, when last detected.
    pub detail: String,
    /// What became of it.
    pub state: FindingState,
    /// When it was first detected, ever.
    pub first_seen: Timestamp,
    /// When it was last detected.
    pub last_seen: Timestamp,
    /// When it was resolved, while it is.
    pub resolved_at: Option<Timestamp>,
    /// The last acceptance. It outlives a resolution: what comes back before its end is
    /// still accepted.
    pub accepted: Option<Acceptance>,
}

/// What became of a finding.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FindingState {
    /// Somebody should do something.
    Open,
    /// Somebody decided to live with it until a day.
    Accepted,
    /// It was checked and is no more.
    Resolved,
}

impl FindingState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Open, Self::Accepted, Self::Resolved];

    /// Its name in the command line, in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Resolved => "resolved",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A decision to live with a finding for a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Acceptance {
    /// When it was decided.
    pub at: Timestamp,
    /// The first moment at which it no longer holds.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// A finding that is not as it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The finding as it is now.
    pub finding: Finding,
    /// Its severity before, if it was known before.
    pub severity_before: Option<Severity>,
}

/// What can happen to a finding.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ChangeKind {
    /// Detected for the first time.
    Opened,
    /// Detected again after it was resolved.
    Reopened,
    /// The day until which it was accepted is over, and it is not resolved.
    AcceptanceEnded,
    /// Detected again, with another severity, title, detail or asset.
    Updated,
    /// Detected again, the same; only `last_seen` moved.
    SeenAgain,
    /// Checked, and no more there.
    Resolved,
}

/// Sets what is known against what is detected now.
///
/// A finding that is not detected is resolved only where `checked` says that its rule was
/// run on its subject with everything it needs: silence resolves nothing. The same input
/// again gives no change. Changes come in the order of their keys.
#[must_use]
pub fn reconcile(
    existing: &[Finding],
    detections: &[Detection],
    checked: &dyn Fn(&FindingKey) -> bool,
    as_of: Timestamp,
) -> Vec<Change> {
    let mut now: BTreeMap<FindingKey, &Detection> = BTreeMap::new();
    for detection in detections {
        let worst = now.entry(FindingKey::of(detection)).or_insert(detection);
        if detection.severity > worst.severity {
            *worst = detection;
        }
    }
    let mut changes: Vec<Change> = existing
        .iter()
        .filter_map(|finding| match now.remove(&finding.key) {
            Some(detection) => detected(finding, detection, as_of),
            None => silent(finding, checked, as_of),
        })
        .collect();
    changes.extend(now.into_iter().map(|(key, detection)| opened(key, detection, as_of)));
    changes.sort_by(|a, b| a.finding.key.cmp(&b.finding.key));
    changes
}

fn opened(key: FindingKey, detection: &Detection, as_of: Timestamp) -> Change {
    let finding = Finding {
        key,
        asset: detection.asset,
        severity: detection.severity,
        title: detection.title.clone(),
        detail: detection.detail.clone(),
        state: FindingState::Open,
        first_seen: as_of,
        last_seen: as_of,
        resolved_at: None,
        accepted: None,
    };
    Change { kind: ChangeKind::Opened, finding, severity_before: None }
}

fn detected(finding: &Finding, detection: &Detection, as_of: Timestamp) -> Option<Change> {
    let now = Finding {
        asset: detection.asset,
        severity: detection.severity,
        title: detection.title.clone(),
        detail: detection.detail.clone(),
        state: if holds(finding, as_of) { FindingState::Accepted } else { FindingState::Open },
        last_seen: as_of.max(finding.last_seen),
        resolved_at: None,
        ..finding.clone()
    };
    let seen_again = Finding { last_seen: now.last_seen, ..finding.clone() };
    let kind = match (finding.state, now.state) {
        (FindingState::Resolved, FindingState::Open) => ChangeKind::Reopened,
        (FindingState::Accepted, FindingState::Open) => ChangeKind::AcceptanceEnded,
        _ if now == *finding => return None,
        _ if now == seen_again => ChangeKind::SeenAgain,
        _ => ChangeKind::Updated,
    };
    Some(Change { kind, finding: now, severity_before: Some(finding.severity) })
}

fn silent(
    finding: &Finding,
    checked: &dyn Fn(&FindingKey) -> bool,
    as_of: Timestamp,
) -> Option<Change> {
    let (kind, state, resolved_at) = match finding.state {
        FindingState::Resolved => return None,
        _ if checked(&finding.key) => (ChangeKind::Resolved, FindingState::Resolved, Some(as_of)),
        FindingState::Accepted if !holds(finding, as_of) => {
            (ChangeKind::AcceptanceEnded, FindingState::Open, None)
        }
        FindingState::Open | FindingState::Accepted => return None,
    };
    let finding = Finding { state, resolved_at, ..finding.clone() };
    Some(Change { kind, severity_before: Some(finding.severity), finding })
}

/// Whether the finding's last acceptance still holds.
fn holds(finding: &Finding, as_of: Timestamp) -> bool {
    finding.accepted.as_ref().is_some_and(|accepted| as_of < accepted.until)
}

/// The finding cannot be accepted.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum AcceptError {
    /// There is nothing to accept.
    #[error("the finding is resolved: only an open finding can be accepted")]
    Resolved,
    /// The acceptance would be over before it begins.
    #[error("the acceptance would end at {until}, which is not in the future")]
    InThePast {
        /// The end that was asked for.
        until: Timestamp,
    },
    /// An acceptance is a decision, and a decision has a reason.
    #[error("an acceptance needs a reason")]
    NoReason,
}

/// Accepts a finding until a moment, for a reason. Accepting again replaces the end and
/// the reason.
///
/// # Errors
///
/// Where the finding is resolved, the end is not in the future or the reason is blank.
pub fn accept(
    finding: &Finding,
    until: Timestamp,
    reason: &str,
    as_of: Timestamp,
) -> Result<Finding, AcceptError> {
    let reason = reason.trim().to_owned();
    match finding.state {
        FindingState::Resolved => Err(AcceptError::Resolved),
        _ if until <= as_of => Err(AcceptError::InThePast { until }),
        _ if reason.is_empty() => Err(AcceptError::NoReason),
        FindingState::Open | FindingState::Accepted => Ok(Finding {
            state: FindingState::Accepted,
            accepted: Some(Acceptance { at: as_of, until, reason }),
            ..finding.clone()
        }),
    }
}

/// An acceptance cannot be taken back.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ReopenError {
    /// There is nothing to take back.
    #[error("the finding is {}: only one that is accepted can be reopened", .state.as_str())]
    NotAccepted {
        /// What became of it.
        state: FindingState,
    },
    /// Whoever accepted it asks why.
    #[error("taking an acceptance back needs a reason")]
    NoReason,
}

/// Takes an acceptance back: the finding is open again, and nothing is left of the acceptance, which
/// would otherwise hold again once the finding was resolved and came back.
///
/// # Errors
///
/// Where the finding is not accepted, or the reason is blank.
pub fn reopen(finding: &Finding, reason: &str) -> Result<Finding, ReopenError> {
    match finding.state {
        FindingState::Accepted if reason.trim().is_empty() => Err(ReopenError::NoReason),
        FindingState::Accepted => {
            Ok(Finding { state: FindingState::Open, accepted: None, ..finding.clone() })
        }
        state => Err(ReopenError::NotAccepted { state }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn expired(severity: Severity) -> Detection {
        Detection {
            rule: "cert.expired",
            severity,
            subject: "certificate:ab".into(),
            asset: Some(AssetId(7)),
            title: "Certificate has expired".into(),
            detail: "yesterday".into(),
        }
    }

    /// Applies changes as the store does.
    fn apply(findings: &mut Vec<Finding>, changes: &[Change]) {
        for change in changes {
            findings.retain(|finding| finding.key != change.finding.key);
            findings.push(change.finding.clone());
        }
    }

    /// Runs one round; gives what changed, and that running it again changes nothing.
    #[track_caller]
    fn round(
        findings: &mut Vec<Finding>,
        detections: &[Detection],
        checked: bool,
        seconds: i64,
        expected: &[ChangeKind],
    ) {
        let changes = reconcile(findings, detections, &|_| checked, at(seconds));
        let kinds: Vec<_> = changes.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, expected);
        apply(findings, &changes);
        assert_eq!(reconcile(findings, detections, &|_| checked, at(seconds)), []);
    }

    #[test]
    fn a_finding_opens_resolves_and_reopens() {
        let mut findings = Vec::new();
        let detections = [expired(Severity::Critical)];
        round(&mut findings, &detections, true, 1, &[ChangeKind::Opened]);
        round(&mut findings, &detections, true, 2, &[ChangeKind::SeenAgain]);
        round(&mut findings, &[], false, 3, &[]);
        assert_eq!(findings[0].state, FindingState::Open);
        round(&mut findings, &[], true, 4, &[ChangeKind::Resolved]);
        assert_eq!(findings[0].resolved_at, Some(at(4)));
        round(&mut findings, &[], true, 5, &[]);
        round(&mut findings, &detections, true, 6, &[ChangeKind::Reopened]);
        let finding = &findings[0];
        assert_eq!((finding.first_seen, finding.last_seen), (at(1), at(6)));
        assert_eq!(finding.resolved_at, None);
    }

    #[test]
    fn what_is_accepted_is_quiet_until_its_day() {
        let mut findings = Vec::new();
        let detections = [expired(Severity::Critical)];
        round(&mut findings, &detections, true, 1, &[ChangeKind::Opened]);
        findings[0] = accept(&findings[0], at(10), " replaced in May ", at(2)).unwrap();
        assert_eq!(findings[0].accepted.as_ref().unwrap().reason, "replaced in May");
        round(&mut findings, &detections, true, 9, &[ChangeKind::SeenAgain]);
        assert_eq!(findings[0].state, FindingState::Accepted);
        // Gone and back within the time: still accepted.
        round(&mut findings, &[], true, 9, &[ChangeKind::Resolved]);
        round(&mut findings, &detections, true, 9, &[ChangeKind::Updated]);
        assert_eq!(findings[0].state, FindingState::Accepted);
        round(&mut findings, &detections, true, 10, &[ChangeKind::AcceptanceEnded]);
        assert_eq!(findings[0].state, FindingState::Open);
    }

    #[test]
    fn an_acceptance_ends_where_nobody_looked_as_well() {
        let mut findings = Vec::new();
        round(&mut findings, &[expired(Severity::Info)], true, 1, &[ChangeKind::Opened]);
        findings[0] = accept(&findings[0], at(10), "known", at(2)).unwrap();
        round(&mut findings, &[], false, 9, &[]);
        round(&mut findings, &[], false, 10, &[ChangeKind::AcceptanceEnded]);
    }

    #[test]
    fn a_change_of_severity_is_told_with_what_it_was() {
        let mut findings = Vec::new();
        round(&mut findings, &[expired(Severity::Warning)], true, 1, &[ChangeKind::Opened]);
        let changes = reconcile(&findings, &[expired(Severity::Critical)], &|_| true, at(1));
        assert_eq!(changes[0].kind, ChangeKind::Updated);
        assert_eq!(changes[0].severity_before, Some(Severity::Warning));
        assert_eq!(changes[0].finding.severity, Severity::Critical);
    }

    #[test]
    fn one_finding_a_key_and_the_worst_counts() {
        let detections = [expired(Severity::Info), expired(Severity::Critical)];
        let changes = reconcile(&[], &detections, &|_| true, at(1));
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].finding.severity, Severity::Critical);
    }

    #[test]
    fn what_cannot_be_accepted_says_why() {
        let changes = reconcile(&[], &[expired(Severity::Info)], &|_| true, at(5));
        let open = changes[0].finding.clone();
        let resolved = Finding { state: FindingState::Resolved, ..open.clone() };
        assert_eq!(accept(&resolved, at(9), "x", at(5)), Err(AcceptError::Resolved));
        assert_eq!(accept(&open, at(9), "  ", at(5)), Err(AcceptError::NoReason));
        let past = Err(AcceptError::InThePast { until: at(5) });
        assert_eq!(accept(&open, at(5), "x", at(5)), past);
    }

    #[test]
    fn an_acceptance_that_is_taken_back_holds_no_more() {
        let mut findings = Vec::new();
        let detections = [expired(Severity::Critical)];
        round(&mut findings, &detections, true, 1, &[ChangeKind::Opened]);
        let open = Err(ReopenError::NotAccepted { state: FindingState::Open });
        assert_eq!(reopen(&findings[0], "x"), open);
        findings[0] = accept(&findings[0], at(100), "replaced in May", at(2)).unwrap();
        assert_eq!(reopen(&findings[0], " "), Err(ReopenError::NoReason));
        findings[0] = reopen(&findings[0], "it is used after all").unwrap();
        assert_eq!((findings[0].state, &findings[0].accepted), (FindingState::Open, &None));
        round(&mut findings, &detections, true, 3, &[ChangeKind::SeenAgain]);
        // Nor when it went and came back within the time for which it was accepted.
        round(&mut findings, &[], true, 4, &[ChangeKind::Resolved]);
        round(&mut findings, &detections, true, 5, &[ChangeKind::Reopened]);
        assert_eq!(findings[0].state, FindingState::Open);
    }

    #[test]
    fn names_lead_back() {
        for state in FindingState::ALL {
            assert_eq!(FindingState::from_name(state.as_str()), Some(state));
        }
    }
}
