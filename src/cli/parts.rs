//! `daicho services` and `daicho software`: what is on all assets, in one list.

use anyhow::Result;
use inventory::{
    query::{Kind, Query},
    store::{OpenMode, Store},
};

use crate::{
    cli::args::{Asked, Format},
    clock,
    compose::Settings,
    report::{
        list::{self, Asking},
        print, print_json_list,
    },
};

pub(crate) async fn services(settings: &Settings, asked: &Asked, format: Format) -> Result<()> {
    let query = asked.query(Kind::Services, settings)?;
    let (store, as_of) = open(settings).await?;
    let compared = store.compare(as_of, &settings.policy).await?;
    let asking = Asking::new(&compared, &[], &query, as_of);
    let rows = asking.services();
    match format {
        Format::Json => print_json_list(&rows, list::service_json),
        Format::Text if rows.is_empty() => print("no services\n"),
        Format::Text => print(&list::service_table(&rows)),
    }
}

pub(crate) async fn software(settings: &Settings, asked: &Asked, format: Format) -> Result<()> {
    let query = asked.query(Kind::Software, settings)?;
    let (store, as_of) = open(settings).await?;
    let compared = store.compare(as_of, &settings.policy).await?;
    let asking = Asking::new(&compared, &[], &query, as_of);
    let rows = asking.software();
    match format {
        Format::Json => print_json_list(&rows, list::software_json),
        Format::Text if rows.is_empty() => print("no software\n"),
        Format::Text => print(&list::software_table(&rows)),
    }
}

async fn open(settings: &Settings) -> Result<(Store, model::Timestamp)> {
    Ok((Store::open(&settings.database, OpenMode::ReadOnly).await?, clock::now()))
}

impl Asked {
    /// What is asked of things of that kind; everything where nothing is said.
    pub(crate) fn query(&self, kind: Kind, settings: &Settings) -> Result<Query> {
        let text = self.query.as_deref().unwrap_or_default();
        Ok(Query::parse(kind, text, settings.policy.offset)?)
    }
}
