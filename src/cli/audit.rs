//! `daicho audit`: what people did.

use anyhow::{Result, bail};
use inventory::{
    audit::AuditEntry,
    store::{OpenMode, Store, Verified},
};
use serde_json::{Value, json};

use crate::{
    cli::args::{Audit, Format},
    compose::Settings,
    report::{count, print, print_json, table::Table},
};

pub(crate) async fn run(settings: &Settings, command: &Audit, format: Format) -> Result<()> {
    let store = Store::open(&settings.database, OpenMode::ReadOnly).await?;
    match command {
        Audit::List { limit } => list(&store.audit(*limit).await?, format),
        Audit::Verify { head } => {
            let kept = head.as_ref().map(|head| head.trim().to_lowercase());
            verify(&store.verify_audit(kept.as_deref()).await?, format)
        }
    }
}

/// As `docs/json.md` promises it.
pub(crate) fn entry_json(AuditEntry { number, deed, hash }: &AuditEntry) -> Value {
    json!({
        "number": number,
        "at": deed.at.to_string(),
        "at_microseconds": deed.at.0,
        "who": deed.who,
        "action": deed.action,
        "subject": deed.subject,
        "detail": deed.detail,
        "reason": deed.reason,
        "hash": hash,
    })
}

/// As `docs/json.md` promises it.
pub(crate) fn verified_json(Verified { chain, broken, kept }: &Verified) -> Value {
    json!({
        "entries": chain.entries,
        "head": chain.head,
        "broken": broken.as_ref().map(ToString::to_string),
        "kept": kept,
    })
}

fn list(entries: &[AuditEntry], format: Format) -> Result<()> {
    match format {
        Format::Json => {
            let list: Vec<Value> = entries.iter().map(entry_json).collect();
            print_json(&list)
        }
        Format::Text if entries.is_empty() => print("nothing was done yet\n"),
        Format::Text => {
            let headings = ["number", "at", "who", "action", "subject", "detail", "reason"];
            let mut table = Table::new(&headings);
            for AuditEntry { number, deed, hash: _ } in entries {
                table.row([
                    number.to_string().as_str(),
                    &deed.at.to_string(),
                    &deed.who,
                    &deed.action,
                    &deed.subject,
                    &deed.detail,
                    &deed.reason,
                ]);
            }
            print(&table.render())
        }
    }
}

fn verify(verified: &Verified, format: Format) -> Result<()> {
    let Verified { chain, broken, kept } = verified;
    let entries = u64::try_from(chain.entries).unwrap_or_default();
    match format {
        Format::Json => print_json(&verified_json(verified))?,
        Format::Text => print(&format!(
            "{} follow each other; the head is {}\n",
            count(entries, "entry", "entries"),
            chain.head
        ))?,
    }
    match (broken, kept) {
        (Some(broken), _) => bail!("the audit is broken: {broken}"),
        (None, Some(false)) => bail!(
            "the hash that was kept is not in the audit: it was cut off or written anew since then"
        ),
        (None, _) => Ok(()),
    }
}
