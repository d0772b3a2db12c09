//! The inventory against the registers and the rules, and what that does to the findings.
//!
//! A review is a function of what is stored and of `as_of`: everything is read in one
//! snapshot, handed to `compare` and `finding`, and only changes are written. Twice the
//! same review changes nothing the second time.
//!
//! Nobody is kept from writing while it thinks: reviews take turns, and what one concluded from its
//! snapshot is written where nobody decided anything meanwhile (`conclude`). What is observed
//! meanwhile is the next one's.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use certs::Certificate;
pub use certs::Thresholds;
pub use jiff::tz::Offset;
use model::{ScanRecord, Timestamp};
use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};

use super::{
    BEGIN_WRITE, Store, StoreError, StoredFinding,
    assets::Tables,
    certificate,
    conclude::{Basis, Conclusions, Turn},
    decision, download, file,
    load::{Merges, Which},
    register,
    scan::{self, LoadError},
    stapled, verdict,
};
use crate::{
    approval::{self, Decided, Decision},
    asset::Asset,
    chain::{Anchors, Chains, Evidence, Memory, Stapled},
    compare::{self, Comparison, Input, Network},
    cores,
    download::{Errands, Extent, Fetched, errands},
    file::KeptFile,
    finding::Change,
    owner::Owners,
    register::{DeviceEntry, IssuerEntry, SoftwareEntry},
    route::Route,
};

/// What the configuration decides about a review.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What the certificate rules measure against.
    pub thresholds: Thresholds,
    /// How far the days of the registers are from UTC.
    pub offset: Offset,
    /// What was approved in the network.
    pub network: Network,
    /// Whom the organisation's clients trust.
    pub anchors: Arc<Anchors>,
    /// Who is told of what.
    pub routes: Vec<Route>,
}

/// The inventory in the light of the registers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// The assets, merged ones as one, by number.
    pub assets: Vec<Asset>,
    /// Their states, those of the register's entries, and what is wrong.
    pub comparison: Comparison,
    /// Whether clients would accept what is served.
    pub chains: Chains,
    /// The certificates of the assets and the files, by hash.
    pub certificates: Vec<Certificate>,
    /// The files with certificates and keys on the machines of the vantage points.
    pub files: Vec<KeptFile>,
    /// Who answers for them.
    pub owners: Owners,
}

/// What a review found and changed.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewSummary {
    /// What was compared.
    pub compared: Compared,
    /// What became of findings, in the order of rule and subject.
    pub changes: Vec<Change>,
    /// Every finding as it is now, the worst first, then by number.
    pub findings: Vec<StoredFinding>,
}

impl Store {
    /// Compares the inventory with the registers and runs every rule, without changing
    /// anything: for lists that show each asset's registration.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn compare(&self, as_of: Timestamp, policy: &Policy) -> Result<Compared, StoreError> {
        let failed = self.failed("comparing with the registers");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let mut stored = Stored::load(&mut snapshot).await.map_err(|e| e.or(&failed))?;
        // What follows takes as long again, and others wait for the reader.
        drop(snapshot);
        drop(reader);
        let decided = stored.decide(as_of, policy);
        Ok(stored.compare(&decided, as_of, policy).0)
    }

    /// Compares the inventory with the registers, runs every rule, and opens, reopens and
    /// resolves findings by it. What the routes are to tell of that is put into the outbox in
    /// the same transaction.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read or written; then no finding is changed.
    pub async fn review(
        &self,
        as_of: Timestamp,
        policy: &Policy,
    ) -> Result<ReviewSummary, StoreError> {
        self.review_with(as_of, policy, Lists::ForWhoeverCanLook).await
    }

    /// The same, and lists are kept from then on, also while nobody can look at them yet: for a
    /// demonstration, whose days are over before anybody can.
    ///
    /// # Errors
    ///
    /// As of [`Self::review`].
    pub async fn review_and_list(
        &self,
        as_of: Timestamp,
        policy: &Policy,
    ) -> Result<ReviewSummary, StoreError> {
        self.review_with(as_of, policy, Lists::Always).await
    }

    async fn review_with(
        &self,
        as_of: Timestamp,
        policy: &Policy,
        lists: Lists,
    ) -> Result<ReviewSummary, StoreError> {
        let failed = self.failed("reviewing the inventory");
        for _ in 0..ATTEMPTS {
            let Some(_turn) = Turn::take(&self.path).await? else { break };
            let basis = {
                let mut reader = self.reader().await?;
                let mut snapshot = reader.begin().await.map_err(&failed)?;
                Basis::load(&mut snapshot, lists).await.map_err(|e| e.or(&failed))?
            };
            let conclusions = basis.conclude(as_of, policy);
            let mut writer = self.writer().await?;
            let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
            if conclusions.still_hold(&mut transaction).await.map_err(&failed)? {
                return self.settle(conclusions, transaction, as_of, policy).await;
            }
        }
        // In turn too: what another concluded before would else be written over this.
        let _turn = Turn::take(&self.path).await?;
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let basis = Basis::load(&mut transaction, lists).await.map_err(|e| e.or(&failed))?;
        self.settle(basis.conclude(as_of, policy), transaction, as_of, policy).await
    }

    /// Writes what was concluded, and ends the transaction with it.
    async fn settle(
        &self,
        conclusions: Conclusions,
        mut transaction: Transaction<'_, Sqlite>,
        as_of: Timestamp,
        policy: &Policy,
    ) -> Result<ReviewSummary, StoreError> {
        let failed = self.failed("reviewing the inventory");
        let summary = conclusions.write(&mut transaction, as_of, policy).await;
        let summary = summary.map_err(|e| e.or(&failed))?;
        transaction.commit().await.map_err(&failed)?;
        Ok(summary)
    }
}

/// How often a review begins anew because people decided something meanwhile, before it keeps
/// everybody from writing until it is done.
const ATTEMPTS: u32 = 2;

/// Whether a review writes lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lists {
    /// Once somebody can look at them.
    ForWhoeverCanLook,
    Always,
}

/// What a comparison depends on, as it is stored.
pub(super) struct Stored {
    assets: Vec<Asset>,
    devices: Option<Vec<DeviceEntry>>,
    software: Option<Vec<SoftwareEntry>>,
    issuers: Option<Vec<IssuerEntry>>,
    pub(super) decisions: Vec<Decision>,
    files: Vec<KeptFile>,
    certificates: Vec<Certificate>,
    /// Their DER, by hash.
    ders: HashMap<String, Vec<u8>>,
    /// What servers stapled to theirs.
    stapled: Vec<Stapled>,
    /// What was fetched of what they name.
    fetched: Fetched,
    /// What was said of their chains.
    memory: Memory,
    pub(super) scans: Vec<ScanRecord>,
}

impl Stored {
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, LoadError> {
        let merges = Merges::load(connection).await?;
        let assets = Tables::load_assets(connection, Which::All, &merges).await?;
        let files = file::load(connection).await?;
        let named: BTreeSet<String> = assets
            .iter()
            .flat_map(|asset| &asset.deployments)
            .flat_map(|deployment| [&deployment.sha256].into_iter().chain(&deployment.chain))
            .chain(files.iter().flat_map(KeptFile::current).map(|held| &held.sha256))
            .cloned()
            .collect();
        let ders = certificate::ders(connection, &named).await?;
        // In the order of their hashes, so that the answer does not depend on a hash table.
        let stored = named.iter().filter_map(|sha256| ders.get(sha256)).collect();
        let certificates = cores::each(stored, |der: &Vec<u8>| certs::parse(der));
        let scans = scan::load(connection, 0, i64::MAX, i64::MAX).await?;
        Ok(Self {
            certificates,
            ders,
            stapled: stapled::load(connection).await?,
            fetched: download::load(connection).await?,
            memory: verdict::load(connection).await?,
            devices: register::load(connection).await?.map(|register| register.entries),
            software: register::load(connection).await?.map(|register| register.entries),
            issuers: register::load(connection).await?.map(|register| register.entries),
            decisions: decision::load(connection).await?,
            scans: scans.into_iter().map(|stored| stored.record).collect(),
            files,
            assets,
        })
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            assets: &self.assets,
            files: &self.files,
            certificates: &self.certificates,
            ders: &self.ders,
            issuers: self.issuers.as_deref(),
            stapled: &self.stapled,
            fetched: &self.fetched,
        }
    }

    /// What is due to be fetched, where `next` says when what was asked for before is.
    pub(super) fn errands(
        &self,
        next: &HashMap<(String, String), Timestamp>,
        policy: &Policy,
        extent: Extent,
        as_of: Timestamp,
    ) -> Errands {
        let (evidence, anchors) = (self.evidence(), &policy.anchors);
        let (chains, _) = Chains::recall(&evidence, anchors, &self.memory, as_of);
        errands(&evidence, anchors, &chains, next, extent, as_of)
    }

    /// What people decided comes to. The issuer register is from here on what it is with that.
    pub(super) fn decide(&mut self, as_of: Timestamp, policy: &Policy) -> Decided {
        let decided =
            approval::apply(&self.decisions, &self.assets, &self.scans, policy.offset, as_of);
        self.issuers = decided.issuers(self.issuers.take());
        decided
    }

    /// The comparison, and what it found out of chains that was not known.
    pub(super) fn compare(
        self,
        decided: &Decided,
        as_of: Timestamp,
        policy: &Policy,
    ) -> (Compared, Memory) {
        let evidence = self.evidence();
        let (chains, fresh) = Chains::recall(&evidence, &policy.anchors, &self.memory, as_of);
        let comparison = compare::compare(&Input {
            assets: &self.assets,
            devices: self.devices.as_deref(),
            software: self.software.as_deref(),
            issuers: self.issuers.as_deref(),
            decided,
            files: &self.files,
            certificates: &self.certificates,
            chains: &chains,
            network: &policy.network,
            scans: &self.scans,
            thresholds: policy.thresholds,
            offset: policy.offset,
            as_of,
        });
        let devices = self.devices.as_deref().unwrap_or_default();
        let owners = Owners::new(&self.assets, &comparison, devices, &self.certificates);
        let Self { assets, certificates, files, .. } = self;
        (Compared { assets, comparison, chains, certificates, files, owners }, fresh)
    }
}
