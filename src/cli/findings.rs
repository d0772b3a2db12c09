//! `daicho findings`: what is wrong, and what somebody decided to live with.

use anyhow::{Context as _, Result};
use inventory::{
    finding::FindingState,
    query::Kind,
    register::Day,
    store::{OpenMode, Store, StoreError, StoredFinding},
};
use model::Severity;

use crate::{
    cli::{
        args::{Findings, FindingsList, Format},
        existing, existing_for,
    },
    clock,
    compose::Settings,
    report::{finding, json::FindingJson, list::Asking, print, print_json},
};

pub(crate) async fn run(
    settings: &Settings,
    command: Option<&Findings>,
    list: &FindingsList,
    format: Format,
) -> Result<()> {
    match command {
        None => show(settings, list, format).await,
        Some(Findings::List(list)) => show(settings, list, format).await,
        Some(Findings::Accept { id, until, reason }) => {
            let until: Day = until.parse().context("--until")?;
            let store = existing_for(settings).await?;
            // The day that is named is the last one on which it is accepted.
            let end = until.ends_at(settings.policy.offset);
            let accepted = store.accept_finding(*id, end, reason, clock::now()).await?;
            tell(settings, &store, &accepted, format).await
        }
        Some(Findings::Reopen { id, reason }) => {
            let store = existing_for(settings).await?;
            let open = store.reopen_finding(*id, reason, clock::now()).await?;
            tell(settings, &store, &open, format).await
        }
    }
}

/// What became of a finding.
async fn tell(
    settings: &Settings,
    store: &Store,
    stored: &StoredFinding,
    format: Format,
) -> Result<()> {
    match format {
        Format::Json => {
            let compared = store.compare(clock::now(), &settings.policy).await?;
            print_json(&finding::json(stored, &compared.owners))
        }
        Format::Text => print(&finding::table(&[stored])),
    }
}

async fn show(settings: &Settings, list: &FindingsList, format: Format) -> Result<()> {
    let query = list.asked.query(Kind::Findings, settings)?;
    // Time alone opens findings (a certificate expires) and ends acceptances, so what is
    // listed is what holds now and not what held at the last sweep.
    let (path, as_of) = (settings.database.as_path(), clock::now());
    let (findings, compared) = match existing(path).await {
        Ok(store) => {
            let review = store.review(as_of, &settings.policy).await?;
            (review.findings, review.compared)
        }
        // Who may only read sees what held at the last review.
        Err(StoreError::ReadOnly { .. }) => {
            let store = Store::open(path, OpenMode::ReadOnly).await?;
            let compared = store.compare(as_of, &settings.policy).await?;
            (store.findings().await?, compared)
        }
        Err(error) => return Err(error.into()),
    };
    let least = list.severity.unwrap_or(Severity::Info);
    let asking = Asking::new(&compared, &findings, &query, as_of);
    let wanted = |stored: &&StoredFinding| {
        let state = list.all || stored.finding.state == FindingState::Open;
        state && stored.finding.severity >= least && asking.has_finding(stored)
    };
    let shown: Vec<&StoredFinding> = findings.iter().filter(wanted).collect();
    match format {
        Format::Json => {
            let list: Vec<FindingJson> =
                shown.iter().map(|stored| finding::json(stored, &compared.owners)).collect();
            print_json(&list)
        }
        Format::Text if shown.is_empty() => print("no findings\n"),
        Format::Text => print(&finding::table(&shown)),
    }
}
