//! `daicho scans`: what was asked and heard when, and what could not be.

use anyhow::Result;
use inventory::store::{OpenMode, Store};
use model::ScanId;

use crate::{
    cli::args::{Format, Scans, ScansList},
    clock,
    compose::Settings,
    report::{print, print_json, scan},
};

pub(crate) async fn run(
    settings: &Settings,
    command: Option<&Scans>,
    list: &ScansList,
    format: Format,
) -> Result<()> {
    let store = Store::open(&settings.database, OpenMode::ReadOnly).await?;
    let now = clock::now();
    match command {
        Some(Scans::Show { id }) => {
            let found = store.scan(ScanId(*id)).await?;
            let progress = store.progress_of(&found).await?;
            match format {
                Format::Json => {
                    print_json(&scan::whole_json(&found, progress.as_ref(), now, usize::MAX))
                }
                Format::Text => print(&scan::text(&found, progress.as_ref(), now)),
            }
        }
        None => show(&store, list, format).await,
        Some(Scans::List(list)) => show(&store, list, format).await,
    }
}

async fn show(store: &Store, list: &ScansList, format: Format) -> Result<()> {
    let now = clock::now();
    let mut shown = Vec::new();
    for found in store.scans(list.limit).await? {
        let progress = store.progress_of(&found).await?;
        shown.push((found, progress));
    }
    match format {
        Format::Json => {
            let list: Vec<_> =
                shown.iter().map(|(one, far)| scan::json(one, far.as_ref(), now)).collect();
            print_json(&list)
        }
        Format::Text if shown.is_empty() => print("no scans\n"),
        Format::Text => print(&scan::table(&shown, now)),
    }
}
