//! `daicho certs readiness`: what the shorter lifetimes of public certificates will mean here.

use std::collections::BTreeMap;

use anyhow::Result;
use certs::{
    Certificate,
    lifecycle::{Milestone, readiness},
};
use inventory::{
    owner::Owner,
    store::{Compared, OpenMode, Store},
};
use model::Timestamp;

use crate::{
    cli::args::Format,
    clock,
    compose::Settings,
    report::{
        json::{LongerJson, MilestoneJson, OwnerJson, ReadinessJson},
        print, print_json,
        table::Table,
    },
    tell,
};

pub(crate) async fn run(settings: &Settings, format: Format) -> Result<()> {
    let as_of = clock::now();
    let store = Store::open(&settings.database, OpenMode::ReadOnly).await?;
    let compared = store.compare(as_of, &settings.policy).await?;
    let known: BTreeMap<&str, &Certificate> =
        compared.certificates.iter().map(|one| (one.sha256.as_str(), one)).collect();
    // What is served or lies in a file now, and not what once was.
    let current = compared.chains.by_leaf().into_keys().filter_map(|leaf| known.get(leaf));
    let trusted = current.map(|one| (*one, compared.chains.trust(&one.sha256)));
    let milestones = readiness(trusted, &settings.policy.thresholds, as_of);
    if settings.policy.anchors.public.is_empty() {
        tell::line("no public root is known here, so that no certificate counts as public");
    }
    match format {
        Format::Json => print_json(&json(&milestones, &known, &compared)),
        Format::Text => print(&text(&milestones, &known, &compared)),
    }
}

fn json(
    milestones: &[Milestone],
    known: &BTreeMap<&str, &Certificate>,
    compared: &Compared,
) -> ReadinessJson {
    let longer = |(sha256, due): &(String, Timestamp)| LongerJson {
        sha256: sha256.clone(),
        names: known.get(sha256.as_str()).map(|one| one.names.clone()).unwrap_or_default(),
        not_after: known
            .get(sha256.as_str())
            .and_then(|one| one.not_after)
            .map(|last| last.to_string()),
        renew_by: due.to_string(),
        owners: compared.owners.of_certificate(sha256).map(OwnerJson::from).collect(),
    };
    let milestone = |milestone: &Milestone| MilestoneJson {
        days: milestone.days,
        from: milestone.from.to_string(),
        in_force: milestone.in_force,
        ready: milestone.ready,
        longer: milestone.longer.iter().map(longer).collect(),
        cut_short: milestone.cut_short,
        renewals_a_year_now: rounded(milestone.renewals_now),
        renewals_a_year_then: rounded(milestone.renewals_then),
    };
    ReadinessJson {
        public: milestones.first().map_or(0, counted),
        milestones: milestones.iter().map(milestone).collect(),
    }
}

/// How many certificates a milestone is about.
fn counted(milestone: &Milestone) -> usize {
    milestone.ready.saturating_add(milestone.longer.len())
}

/// To a tenth: more would claim to know more.
fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn text(
    milestones: &[Milestone],
    known: &BTreeMap<&str, &Certificate>,
    compared: &Compared,
) -> String {
    let mut table = Table::new(&[
        "lifetime",
        "from",
        "in force",
        "ready",
        "longer",
        "cut short",
        "renewals a year",
        "then",
    ]);
    for milestone in milestones {
        table.row([
            format!("{} days", milestone.days),
            milestone.from.to_string(),
            if milestone.in_force { "yes" } else { "no" }.to_owned(),
            milestone.ready.to_string(),
            milestone.longer.len().to_string(),
            milestone.cut_short.to_string(),
            rounded(milestone.renewals_now).to_string(),
            rounded(milestone.renewals_then).to_string(),
        ]);
    }
    let mut text = table.render();
    // Who lives longer than the last limit lives longer than one of them.
    let Some(last) = milestones.last().filter(|last| !last.longer.is_empty()) else { return text };
    let mut table = Table::new(&["renew by", "not after", "names", "owner", "sha256"]);
    for (sha256, due) in &last.longer {
        let certificate = known.get(sha256.as_str());
        let owners: Vec<String> = compared.owners.of_certificate(sha256).map(Owner::text).collect();
        let ends = certificate.and_then(|one| one.not_after);
        table.row([
            due.to_string(),
            ends.map_or_else(String::new, |last| last.to_string()),
            certificate.map_or_else(String::new, |one| one.names.join(" ")),
            owners.join("; "),
            sha256.chars().take(16).collect(),
        ]);
    }
    text.push('\n');
    text.push_str(&table.render());
    text
}
