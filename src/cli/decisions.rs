//! `daicho decisions`: what was decided, and what a second person says to it.

use anyhow::{Result, ensure};
use inventory::{
    approval::{Decision, DecisionId, Standing},
    store::{OpenMode, Store},
};

use crate::{
    cli::{
        args::{Decisions, DecisionsList, Format},
        decide, existing_for,
    },
    clock,
    compose::Settings,
    report::{decision, print, print_json},
};

pub(crate) async fn run(
    settings: &Settings,
    command: Option<&Decisions>,
    list: &DecisionsList,
    format: Format,
) -> Result<()> {
    match command {
        None => show(settings, list, format).await,
        Some(Decisions::List(list)) => show(settings, list, format).await,
        Some(Decisions::Confirm { id }) => {
            let store = existing_for(settings).await?;
            let confirmed =
                store.confirm(DecisionId(*id), clock::now(), settings.policy.offset).await?;
            let followed = decide::follow(settings, &store, vec![confirmed]).await?;
            decide::report(&followed, settings.policy.offset, format)
        }
        Some(Decisions::Withdraw { id, reason }) => {
            ensure!(!reason.trim().is_empty(), "--reason: say why, for those who ask later");
            let store = existing_for(settings).await?;
            let now = clock::now();
            let ended = store.withdraw(DecisionId(*id), reason, settings.rule, now).await?;
            let followed = decide::follow(settings, &store, vec![ended]).await?;
            decide::report(&followed, settings.policy.offset, format)
        }
    }
}

async fn show(settings: &Settings, list: &DecisionsList, format: Format) -> Result<()> {
    let store = Store::open(&settings.database, OpenMode::ReadOnly).await?;
    let (now, offset) = (clock::now(), settings.policy.offset);
    let mut shown: Vec<Decision> = store.decisions().await?;
    let current = [Standing::Pending, Standing::Holds];
    shown.retain(|one| list.all || current.contains(&one.standing(now, offset)));
    match format {
        Format::Json => {
            let list: Vec<_> = shown.iter().map(|one| decision::json(one, now, offset)).collect();
            print_json(&list)
        }
        Format::Text if shown.is_empty() => print("no decisions\n"),
        Format::Text => print(&decision::table(&shown, now, offset)),
    }
}
