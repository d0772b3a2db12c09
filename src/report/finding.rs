//! Findings as lists show them.

use inventory::{
    compare,
    finding::FindingState,
    owner::{Owner, Owners},
    store::StoredFinding,
};
use model::{Severity, Timestamp};

use crate::report::{
    json::{FindingJson, OwnerJson},
    table::Table,
};

/// Those that are open, and at least that severe.
pub(crate) fn open(findings: &[StoredFinding], least: Severity) -> Vec<&StoredFinding> {
    let open =
        |f: &&StoredFinding| f.finding.state == FindingState::Open && f.finding.severity >= least;
    findings.iter().filter(open).collect()
}

pub(crate) fn json(stored: &StoredFinding, owners: &Owners) -> FindingJson {
    owned(stored, owners.of_finding(&stored.finding))
}

/// The same where it is known who answers for it.
pub(crate) fn owned<'a>(
    stored: &StoredFinding,
    owners: impl IntoIterator<Item = &'a Owner>,
) -> FindingJson {
    let finding = &stored.finding;
    let accepted = finding.accepted.as_ref().filter(|_| finding.state == FindingState::Accepted);
    FindingJson {
        id: stored.id,
        rule: finding.key.rule.clone(),
        severity: finding.severity.as_str(),
        subject: finding.key.subject.clone(),
        asset: finding.asset.map(|asset| asset.0),
        title: finding.title.clone(),
        detail: finding.detail.clone(),
        state: finding.state.as_str(),
        first_seen: finding.first_seen.to_string(),
        last_seen: finding.last_seen.to_string(),
        citation: citation(&finding.key.rule),
        accepted_until: accepted.map(|acceptance| day_before(acceptance.until)),
        reason: accepted.map(|acceptance| acceptance.reason.clone()),
        owners: owners.into_iter().map(OwnerJson::from).collect(),
    }
}

/// What the rule rests on. `None` for a rule of another version of the program.
pub(crate) fn citation(rule: &str) -> Option<&'static str> {
    let registers = compare::RULES.iter().map(|rule| (rule.id, rule.citation));
    let certificates = certs::RULES.iter().map(|rule| (rule.id, rule.citation));
    registers.chain(certificates).find(|(id, _)| *id == rule).map(|(_, citation)| citation)
}

pub(crate) fn table(findings: &[&StoredFinding]) -> String {
    let mut table =
        Table::new(&["id", "severity", "rule", "state", "first seen", "subject", "title"]);
    for stored in findings {
        let finding = &stored.finding;
        table.row([
            stored.id.to_string(),
            finding.severity.to_string(),
            finding.key.rule.clone(),
            finding.state.as_str().to_owned(),
            finding.first_seen.to_string(),
            finding.key.subject.clone(),
            finding.title.clone(),
        ]);
    }
    table.render()
}

/// The last moment of an acceptance whose end is the first moment that it does not cover.
fn day_before(until: Timestamp) -> String {
    until.plus_seconds(-1).to_string()
}
