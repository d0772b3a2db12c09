//! Decisions as lists show them.

use inventory::{
    approval::{Decision, Matter, Second, Terms},
    register::Entry as _,
};
use jiff::tz::Offset;
use model::Timestamp;
use serde_json::{Value, json};

use crate::report::table::Table;

/// As `docs/json.md` promises it.
pub(crate) fn json(decision: &Decision, as_of: Timestamp, offset: Offset) -> Value {
    let Decision { id, matter, verdict, terms, at, by, second, ended } = decision;
    let Terms { reason, until, idle_days, exception } = terms;
    let confirmed = match second {
        Second::Given { by, at } => Some((by, at)),
        Second::NotNeeded | Second::Awaited => None,
    };
    let cells = |entry: Vec<(inventory::register::Field, String)>| -> Vec<String> {
        entry.into_iter().map(|(_, text)| text).filter(|text| !text.is_empty()).collect()
    };
    let known_by: Vec<String> = match matter {
        Matter::Asset { identifiers, .. } => identifiers.iter().map(ToString::to_string).collect(),
        Matter::Software(entry) => cells(entry.cells()),
        Matter::Issuer(entry) => cells(entry.cells()),
    };
    json!({
        "id": id.0,
        "kind": matter.kind().as_str(),
        "verdict": verdict.as_str(),
        "standing": decision.standing(as_of, offset).as_str(),
        "subject": matter.to_string(),
        "asset": matter.asset().map(|asset| asset.0),
        "known_by": known_by,
        "reason": reason,
        "until": until.map(|day| day.to_string()),
        "idle_days": idle_days,
        "exception": exception,
        "at": at.to_string(),
        "by": by,
        "confirmed_by": confirmed.map(|(by, _)| by),
        "confirmed_at": confirmed.map(|(_, at)| at.to_string()),
        "ended_at": ended.as_ref().map(|ended| ended.at.to_string()),
        "ended_by": ended.as_ref().map(|ended| &ended.by),
        "ended_because": ended.as_ref().map(|ended| ended.because.as_str()),
    })
}

pub(crate) fn table(decisions: &[Decision], as_of: Timestamp, offset: Offset) -> String {
    let headings = ["id", "standing", "verdict", "about", "by", "at", "until", "reason"];
    let mut table = Table::new(&headings);
    for decision in decisions {
        let by = match &decision.second {
            Second::Given { by, .. } => format!("{} and {by}", decision.by),
            Second::NotNeeded | Second::Awaited => decision.by.clone(),
        };
        let terms = &decision.terms;
        let day = terms.until.map(|day| day.to_string());
        let idle = terms.idle_days.map(|days| format!("not seen for {days} d"));
        let until: Vec<String> = [day, idle].into_iter().flatten().collect();
        table.row([
            decision.id.to_string(),
            decision.standing(as_of, offset).as_str().to_owned(),
            decision.verdict.as_str().to_owned(),
            decision.matter.to_string(),
            by,
            decision.at.to_string(),
            until.join(" or "),
            terms.reason.clone(),
        ]);
    }
    table.render()
}
