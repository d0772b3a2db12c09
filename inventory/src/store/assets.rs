//! Assets out of their rows.
//!
//! Rows belong to the asset that they were learned for. A merge is laid over them: reading
//! unites the rows of every asset of a merge under the one that the others were merged
//! into, the *root*. Identity reads and changes assets without that overlay, so a merge
//! never moves a row and ending it gives every asset back what is its own.

use std::iter::Peekable;

use model::{Method, Site, Timestamp};

use super::part::Part;
use crate::{
    asset::{
        Anomaly, Asset, AssetId, Assigned, Deployment, Name, OperatingSystem, ServiceState,
        Software,
    },
    heard::Heard,
};

/// A row of a part.
#[derive(Clone, Debug)]
pub(super) struct Row<P> {
    pub(super) id: i64,
    /// The asset that it was learned for.
    pub(super) asset: AssetId,
    /// What that asset was merged into, or itself.
    pub(super) root: AssetId,
    pub(super) part: P,
}

/// What the `asset` table itself says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub(super) id: AssetId,
    pub(super) root: AssetId,
    pub(super) site: Site,
    pub(super) first_seen: Timestamp,
    pub(super) last_seen: Timestamp,
    pub(super) identity_uncertain: bool,
    pub(super) alive_by: Vec<Method>,
}

/// The rows of some assets, each kind sorted by root and part, the leading row first.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    /// By root, the root itself first.
    pub(super) heads: Vec<Head>,
    pub(super) identifiers: Vec<Row<Assigned>>,
    pub(super) names: Vec<Row<Name>>,
    pub(super) services: Vec<Row<ServiceState>>,
    pub(super) software: Vec<Row<Software>>,
    pub(super) os: Vec<Row<OperatingSystem>>,
    pub(super) deployments: Vec<Row<Deployment>>,
    pub(super) anomalies: Vec<Row<Anomaly>>,
    pub(super) heard: Vec<Row<Heard>>,
}

impl Tables {
    /// Puts the rows in the order that the rest relies on.
    pub(super) fn sort(&mut self) {
        self.heads.sort_by_key(|head| (head.root, head.id != head.root, head.id));
        sort(&mut self.identifiers);
        sort(&mut self.names);
        sort(&mut self.services);
        sort(&mut self.software);
        sort(&mut self.os);
        sort(&mut self.deployments);
        sort(&mut self.anomalies);
        sort(&mut self.heard);
    }

    /// The assets, merged ones as one, by number.
    pub(super) fn assets(&self) -> Vec<Asset> {
        self.clone().into_assets()
    }

    /// The same where the rows are not needed any more.
    pub(super) fn into_assets(self) -> Vec<Asset> {
        let mut identifiers = united(self.identifiers);
        let mut names = united(self.names);
        let mut services = united(self.services);
        let mut software = united(self.software);
        let mut os = united(self.os);
        let mut deployments = united(self.deployments);
        let mut anomalies = united(self.anomalies);
        let mut heard = united(self.heard);
        self.heads
            .chunk_by(|a, b| a.root == b.root)
            .map(|heads| {
                let head = unite_heads(heads);
                let id = head.root;
                Asset {
                    id,
                    site: head.site,
                    first_seen: head.first_seen,
                    last_seen: head.last_seen,
                    identity_uncertain: head.identity_uncertain,
                    alive_by: head.alive_by,
                    identifiers: take(&mut identifiers, id),
                    names: take(&mut names, id),
                    services: take(&mut services, id),
                    software: take(&mut software, id),
                    os: take(&mut os, id).pop(),
                    deployments: take(&mut deployments, id),
                    anomalies: take(&mut anomalies, id),
                    heard: take(&mut heard, id),
                }
            })
            .collect()
    }
}

fn sort<P: Part>(rows: &mut [Row<P>]) {
    rows.sort_by(|a, b| {
        (a.root, a.part.key())
            .cmp(&(b.root, b.part.key()))
            // Of several rows of one part, the one that was true last speaks for it.
            .then_with(|| b.part.last_seen().cmp(&a.part.last_seen()))
            .then_with(|| b.part.is_current().cmp(&a.part.is_current()))
            .then_with(|| {
                (a.asset != a.root, a.asset, a.id).cmp(&(b.asset != b.root, b.asset, b.id))
            })
    });
}

/// The united parts, by root: the leading row's, with what the others know of the same part.
fn united<P: Part>(rows: Vec<Row<P>>) -> Peekable<impl Iterator<Item = (AssetId, P)>> {
    let mut rows = rows.into_iter().peekable();
    let next = move || {
        let Row { root, mut part, .. } = rows.next()?;
        while let Some(row) = rows.next_if(|row| row.root == root && row.part.key() == part.key()) {
            part.unite(&row.part);
        }
        Some((root, part))
    };
    std::iter::from_fn(next).peekable()
}

/// The parts of that asset, off the front.
fn take<P>(parts: &mut Peekable<impl Iterator<Item = (AssetId, P)>>, id: AssetId) -> Vec<P> {
    std::iter::from_fn(|| parts.next_if(|(root, _)| *root == id)).map(|(_, part)| part).collect()
}

fn unite_heads(heads: &[Head]) -> Head {
    let mut united = heads[0].clone();
    for head in &heads[1..] {
        united.first_seen = united.first_seen.min(head.first_seen);
        united.last_seen = united.last_seen.max(head.last_seen);
        // One that is certain makes the whole certain.
        united.identity_uncertain &= head.identity_uncertain;
        united.alive_by.extend(&head.alive_by);
    }
    united.alive_by.sort_unstable();
    united.alive_by.dedup();
    united
}
