//! Scans, the audit, registers and decisions page by page: by the number behind which a page begins, so that
//! nothing is repeated or left out while more is written.

use model::ScanId;
use sqlx::Connection;

use super::{Store, StoreError, StoredScan, decision, event, register};
use crate::{
    approval::Decision, asset::Event, audit::AuditEntry, outbox::Message, register::Entry,
};

/// Decisions that are looked at in one go, on the way to those that are wanted.
const LOOK: u32 = 500;

/// A page, the latest first, and the number behind which the next one begins, if there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf<T> {
    /// What is on it.
    pub rows: Vec<T>,
    /// For the next page.
    pub next: Option<i64>,
}

impl<T> Leaf<T> {
    /// Of one row more than the page has, where there is one.
    fn of(mut rows: Vec<T>, most: u32, number: impl Fn(&T) -> i64) -> Self {
        let most = most.max(1) as usize;
        let is_more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().map(number).filter(|_| is_more);
        Self { rows, next }
    }
}

impl Store {
    /// A page of the scans before a number, or of the last ones.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn scan_leaf(
        &self,
        before: Option<i64>,
        most: u32,
    ) -> Result<Leaf<StoredScan>, StoreError> {
        let last = ScanId(before.unwrap_or(i64::MAX));
        let rows = self.scans_before(last, most.saturating_add(1)).await?;
        Ok(Leaf::of(rows, most, |one| one.id.0))
    }

    /// A page of what happened before a number, or of what happened last.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn event_leaf(
        &self,
        before: Option<i64>,
        most: u32,
    ) -> Result<Leaf<(i64, Event)>, StoreError> {
        let failed = self.failed("reading the events");
        let mut reader = self.reader().await?;
        let before = before.unwrap_or(i64::MAX);
        let rows = event::before(&mut reader, before, most.saturating_add(1)).await;
        let rows = rows.map_err(|e| e.or(&failed))?;
        Ok(Leaf::of(rows, most, |(number, _)| *number))
    }

    /// A page of the messages of the outbox before a number, or of the last ones.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn message_leaf(
        &self,
        before: Option<i64>,
        most: u32,
    ) -> Result<Leaf<Message>, StoreError> {
        let last = before.unwrap_or(i64::MAX);
        let rows = self.messages_before(last, most.saturating_add(1)).await?;
        Ok(Leaf::of(rows, most, |message| message.id))
    }

    /// A page of the audit before a number, or of its end.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn audit_leaf(
        &self,
        before: Option<i64>,
        most: u32,
    ) -> Result<Leaf<AuditEntry>, StoreError> {
        let last = before.unwrap_or(i64::MAX);
        let rows = self.audit_before(last, Some(most.saturating_add(1))).await?;
        Ok(Leaf::of(rows, most, |entry| entry.number))
    }

    /// The end of the register of the entries' kind before a position, or of all of it, the last
    /// first, each with its position, and the SHA-256 of the file that it is from: positions of
    /// another one mean nothing. `None` where no register was imported.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn register_leaf<E: Entry>(
        &self,
        before: Option<i64>,
        most: u32,
    ) -> Result<Option<(String, Leaf<(i64, E)>)>, StoreError> {
        let failed = self.failed("reading a register");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let before = before.unwrap_or(i64::MAX);
        let found = register::before::<E>(&mut snapshot, before, most.saturating_add(1)).await;
        let found = found.map_err(|e| e.or(&failed))?;
        Ok(found.map(|(file, rows)| (file, Leaf::of(rows, most, |(position, _)| *position))))
    }

    /// A page of those decisions before a number, or of the last ones, that are wanted.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn decision_leaf(
        &self,
        before: Option<i64>,
        most: u32,
        wanted: impl Fn(&Decision) -> bool,
    ) -> Result<Leaf<Decision>, StoreError> {
        let failed = self.failed("reading the decisions");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let mut before = before.unwrap_or(i64::MAX);
        let mut found = Vec::new();
        loop {
            let some = decision::before(&mut snapshot, before, LOOK).await;
            let some = some.map_err(|e| e.or(&failed))?;
            let Some(last) = some.last() else { break };
            before = last.id.0;
            found.extend(some.into_iter().filter(&wanted));
            if found.len() > most as usize {
                break;
            }
        }
        Ok(Leaf::of(found, most, |decision| decision.id.0))
    }
}
