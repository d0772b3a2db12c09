//! `daicho alert`: whether routes work, what waits in the outbox, and one pass of delivery.

use std::time::Duration;

use anyhow::{Result, bail};
use inventory::{
    outbox::{Message, MessageState},
    store::{OpenMode, Store},
};

use crate::{
    FAILED,
    cli::{
        args::{Alert, Format},
        existing,
    },
    clock,
    compose::Settings,
    notify::{Courier, Delivered},
    report::{
        count,
        json::{DeliveredJson, MessageJson, TestedJson},
        print, print_json,
        table::{Table, printable},
    },
    tell,
};

pub(crate) async fn run(settings: &Settings, command: &Alert, format: Format) -> Result<u8> {
    let path = settings.database.as_path();
    match command {
        Alert::Test { route } => return test(settings, route, format).await,
        Alert::Deliver => return deliver(settings, format).await,
        Alert::List { state } => {
            let store = Store::open(path, OpenMode::ReadOnly).await?;
            show(settings, &store.messages(*state).await?, format)?;
        }
        Alert::Retry { id } => {
            let store = existing(path).await?.acting(settings.actor.clone());
            let message = store.retry_message(*id, clock::now()).await?;
            show(settings, &[message], format)?;
        }
    }
    Ok(0)
}

async fn test(settings: &Settings, route: &str, format: Format) -> Result<u8> {
    let courier = Courier::load(&settings.routes, &settings.sender)?;
    let Some(result) = courier.test(route).await else {
        let names: Vec<&str> = courier.names().collect();
        match names.is_empty() {
            true => bail!("the configuration has no routes ([[routes]] in config/default.toml)"),
            false => bail!("there is no route {route:?}; there are: {}", names.join(", ")),
        }
    };
    let (sent, words) = match result {
        Ok(words) => (true, words),
        Err(words) => (false, words),
    };
    match format {
        Format::Json => print_json(&TestedJson { route, sent, words: &words })?,
        Format::Text if sent => print(&format!("sent: {}\n", printable(&words)))?,
        Format::Text => tell::line(&format!("not sent: {words}")),
    }
    Ok(if sent { 0 } else { FAILED })
}

async fn deliver(settings: &Settings, format: Format) -> Result<u8> {
    let courier = Courier::load(&settings.routes, &settings.sender)?;
    let store = existing(&settings.database).await?;
    store.forget_messages(clock::now()).await?;
    let delivered = courier.deliver(&store, Duration::MAX).await?;
    tell_troubles(&delivered);
    let waiting = store.messages(Some(MessageState::Pending)).await?;
    let strays = waiting.iter().filter(|message| !courier.names().any(|n| n == message.route));
    let strays = strays.count() as u64;
    if strays > 0 {
        let how_many = count(strays, "message waits", "messages wait");
        tell::line(&format!(
            "{how_many} for routes that the configuration does not have: daicho alert list"
        ));
    }
    match format {
        Format::Json => print_json(&DeliveredJson::from(&delivered))?,
        Format::Text => print(&format!(
            "{} sent, {} put off, {} given up\n",
            count(delivered.sent, "message", "messages"),
            delivered.put_off,
            delivered.failed
        ))?,
    }
    store.close().await;
    Ok(if delivered.troubles.is_empty() { 0 } else { FAILED })
}

/// Says what went wrong in a pass.
pub(crate) fn tell_troubles(delivered: &Delivered) {
    for trouble in &delivered.troubles {
        tell::line(trouble);
    }
}

fn show(settings: &Settings, messages: &[Message], format: Format) -> Result<()> {
    if format == Format::Json {
        let list: Vec<MessageJson<'_>> = messages.iter().map(MessageJson::from).collect();
        return print_json(&list);
    }
    if messages.is_empty() {
        return print("no messages\n");
    }
    let headings =
        ["id", "route", "state", "severity", "news", "created", "attempts", "next", "last"];
    let mut table = Table::new(&headings);
    for message in messages {
        let known = settings.routes.iter().any(|route| route.name == message.route);
        let next = match message.state {
            // Nobody will ever claim it.
            MessageState::Pending if !known => "no such route".to_owned(),
            MessageState::Pending => message.due_at.to_string(),
            MessageState::Sending | MessageState::Sent | MessageState::Failed => String::new(),
        };
        table.row([
            message.id.to_string(),
            message.route.clone(),
            message.state.as_str().to_owned(),
            message.severity.as_str().to_owned(),
            message.items.saturating_add(message.more).to_string(),
            message.created_at.to_string(),
            message.attempts.to_string(),
            next,
            message.outcome.clone().unwrap_or_default(),
        ]);
    }
    print(&table.render())
}
