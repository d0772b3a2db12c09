//! The rows of a comparison.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use certs::{Certificate, Thresholds, Trust, chain::Judgement, lifecycle::renewal_due};
use model::{PortState, Severity, Transport};

use super::{AssetRow, CertificateRow, FindingRow, Product, ServiceKind, ServiceRow, SoftwareRow};
use crate::{
    asset::{Asset, ServiceState, Software},
    chain::Chain,
    class,
    compare::AssetState,
    finding::FindingState,
    owner::{Entered, Owner, Owners},
    query::{NEVER, fold, fold_all},
    store::{Compared, Ending, StoredFinding},
    vendor,
};

/// Open findings of an asset.
#[derive(Clone, Copy, Debug, Default)]
struct Problems {
    critical: i64,
    warning: i64,
    info: i64,
}

/// Makes rows of what was compared.
pub struct Lister<'a> {
    compared: &'a Compared,
    problems: HashMap<i64, Problems>,
}

impl<'a> Lister<'a> {
    /// Of a comparison and the findings as people see them.
    #[must_use]
    pub fn new(compared: &'a Compared, findings: &[StoredFinding]) -> Self {
        let mut problems: HashMap<i64, Problems> = HashMap::new();
        for stored in findings.iter().filter(|one| one.finding.state == FindingState::Open) {
            let Some(asset) = stored.finding.asset else { continue };
            let counts = problems.entry(asset.0).or_default();
            let count = match stored.finding.severity {
                Severity::Critical => &mut counts.critical,
                Severity::Warning => &mut counts.warning,
                Severity::Info => &mut counts.info,
            };
            *count = count.saturating_add(1);
        }
        Self { compared, problems }
    }

    /// The assets with their states, in the order of the comparison.
    pub fn assets(&self) -> impl Iterator<Item = (&'a Asset, &'a AssetState)> {
        self.compared.assets.iter().zip(&self.compared.comparison.assets)
    }

    /// The row of an asset.
    #[must_use]
    pub fn asset(&self, asset: &Asset, state: &AssetState) -> AssetRow {
        let open = || asset.services.iter().filter(|service| service.state == PortState::Open);
        let software = || asset.software.iter().filter(|software| software.current);
        let served = || asset.deployments.iter().filter(|deployment| deployment.current);
        let products = open().filter_map(|service| service.product.as_ref());
        let versions = open().filter_map(|service| service.version.as_ref());
        let cpes = open().filter_map(|service| service.cpe.as_ref());
        let problems = self.problems.get(&asset.id.0).copied().unwrap_or_default();
        let certificates = fold_all(served().map(|one| &one.sha256));
        let os = asset.os.as_ref().map_or_else(String::new, |os| match &os.version {
            Some(version) => format!("{} {version}", os.name),
            None => os.name.clone(),
        });
        let entered = self.compared.owners.entered(asset.id);
        let said =
            |of: fn(&Entered) -> Option<&String>| entered.and_then(of).cloned().unwrap_or_default();
        AssetRow {
            entry: said(|entered| Some(&entered.entry)),
            owner: said(|entered| entered.owner.as_ref()),
            department: said(|entered| entered.department.as_ref()),
            location: said(|entered| entered.location.as_ref()),
            id: asset.id.0,
            site: asset.site.0.clone(),
            addresses: asset.addresses().collect(),
            names: fold_all(asset.names.iter().map(|name| &name.name)),
            macs: fold_all(asset.macs().map(|mac| mac.to_string())),
            vendor: fold(&asset.macs().find_map(vendor::vendor).unwrap_or_default()),
            class: class::classify(asset).map_or("", |judged| judged.class.as_str()).to_owned(),
            os: fold(&os),
            os_shown: os,
            registration: state.state.as_str().to_owned(),
            reason: state.reason.clone(),
            ports: fold_all(
                open().map(|service| format!("{}/{}", service.port, service.transport)),
            ),
            protocols: fold_all(open().filter_map(|service| service.protocol.as_ref())),
            products: fold_all(products.chain(software().map(|software| &software.product))),
            versions: fold_all(
                versions.chain(software().filter_map(|software| software.version.as_ref())),
            ),
            cpes: fold_all(
                cpes.chain(software().filter_map(|software| software.cpe.as_ref()))
                    .map(|cpe| &cpe.0),
            ),
            identity_uncertain: asset.identity_uncertain,
            service_count: open().count() as i64,
            software_count: software().count() as i64,
            // Each stands between line ends, of which there is one more.
            certificate_count: certificates.matches('\n').count().saturating_sub(1) as i64,
            certificates,
            first_seen: asset.first_seen.0,
            last_seen: asset.last_seen.0,
            critical: problems.critical,
            warning: problems.warning,
            info: problems.info,
        }
    }

    /// The certificates, by hash.
    #[must_use]
    pub fn certificates(&self, thresholds: &Thresholds) -> Vec<CertificateRow> {
        let verdicts = self.compared.chains.by_leaf();
        let places = self.places();
        let shown = self.compared.certificates.iter().filter(|one| {
            // One that nobody serves or keeps any more is history; one that only came along is not.
            places.get(one.sha256.as_str()).is_none_or(|places| !places.current.is_empty())
        });
        let row = |one: &Certificate| {
            let verdicts = verdicts.get(one.sha256.as_str()).map(Vec::as_slice);
            let places = places.get(one.sha256.as_str());
            self.certificate(one, verdicts.unwrap_or_default(), places, thresholds)
        };
        shown.map(row).collect()
    }

    /// The certificates in use that end, the first to end first.
    #[must_use]
    pub fn endings(&self) -> Vec<Ending> {
        let places = self.places();
        let ending = |one: &Certificate| {
            let places = places.get(one.sha256.as_str()).map_or(0, |places| places.current.len());
            let not_after = one.not_after.filter(|_| places > 0)?;
            let owners = self.compared.owners.of_certificate(&one.sha256).map(Owner::text);
            Some(Ending {
                sha256: one.sha256.clone(),
                not_after,
                name: one.names.first().unwrap_or(&one.subject).clone(),
                issuer: one.issuer.clone(),
                owners: owners.collect::<Vec<_>>().join("; "),
                places: places as u64,
            })
        };
        let mut endings: Vec<Ending> =
            self.compared.certificates.iter().filter_map(ending).collect();
        endings.sort_by(|one, other| {
            (one.not_after, &one.sha256).cmp(&(other.not_after, &other.sha256))
        });
        endings
    }

    fn places(&self) -> BTreeMap<&'a str, Places<'a>> {
        let mut places: BTreeMap<&str, Places<'_>> = BTreeMap::new();
        for asset in &self.compared.assets {
            for place in &asset.deployments {
                let entry = places.entry(&place.sha256).or_default();
                entry.seen(place.first_seen.0, place.last_seen.0);
                if place.current {
                    let (address, transport, port) = (place.address, place.transport, place.port);
                    entry.current.insert(Place::Endpoint(&asset.site.0, address, transport, port));
                    entry.assets.push(asset.id.to_string());
                    entry.sites.push(&asset.site.0);
                    entry.addresses.push(format!("{address}:{port}"));
                }
            }
        }
        for file in &self.compared.files {
            for held in file.current() {
                let entry = places.entry(&held.sha256).or_default();
                entry.seen(held.first_seen.0, held.last_seen.0);
                let (site, name) = (&file.vantage.site.0, &file.vantage.name);
                entry.current.insert(Place::File(site, name, &file.path));
                entry.sites.push(site);
                entry.addresses.push(format!("{name}:{}", file.path));
            }
        }
        places
    }

    fn certificate(
        &self,
        one: &Certificate,
        verdicts: &[(&Chain, &Judgement)],
        places: Option<&Places<'_>>,
        thresholds: &Thresholds,
    ) -> CertificateRow {
        let reasons = verdicts.iter().flat_map(|(_, verdict)| &verdict.reasons);
        let problems = fold_all(reasons.map(certs::chain::Reason::as_str));
        let trust = match self.compared.chains.trust(&one.sha256) {
            _ if !problems.is_empty() => "untrusted",
            Trust::Public => "public",
            Trust::Private => "private",
            Trust::Unknown => "unknown",
        };
        let bits = one.key.bits.map_or_else(String::new, |bits| format!(" {bits}"));
        let owners: Vec<&Owner> = self.compared.owners.of_certificate(&one.sha256).collect();
        let nowhere = Places::default();
        let places = places.unwrap_or(&nowhere);
        CertificateRow {
            sha256: one.sha256.clone(),
            subject: fold(&one.subject),
            issuer: fold(&one.issuer),
            names: fold_all(&one.names),
            key: fold(&format!("{}{bits}", one.key.algorithm)),
            trust: trust.to_owned(),
            problems: problems.trim().replace('\n', ", "),
            not_after: one.not_after.map_or(NEVER, |at| at.0),
            renew_by: renewal_due(one, thresholds).map_or(NEVER, |at| at.0),
            assets: fold_all(&places.assets),
            sites: fold_all(&places.sites),
            addresses: fold_all(&places.addresses),
            owners: fold_all(owners.iter().map(|owner| owner.text())),
            owners_shown: Owner::write_all(owners),
            places: i64::try_from(places.current.len()).unwrap_or(i64::MAX),
            first_seen: places.first_seen,
            last_seen: places.last_seen,
        }
    }
}

/// A place where a certificate can be. The same under several names, by several versions of TLS or
/// several times in a file is one.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Place<'a> {
    /// By site.
    Endpoint(&'a str, IpAddr, Transport, u16),
    /// By site, vantage point and path.
    File(&'a str, &'a str, &'a str),
}

/// Where a certificate is.
#[derive(Debug, Default)]
struct Places<'a> {
    current: BTreeSet<Place<'a>>,
    assets: Vec<String>,
    sites: Vec<&'a str>,
    addresses: Vec<String>,
    first_seen: i64,
    last_seen: i64,
}

impl Places<'_> {
    fn seen(&mut self, first: i64, last: i64) {
        let none = self.last_seen == 0;
        self.first_seen = if none { first } else { self.first_seen.min(first) };
        self.last_seen = self.last_seen.max(last);
    }
}

impl ServiceRow {
    /// The endpoints of an asset.
    pub fn of(asset: &Asset) -> impl Iterator<Item = Self> + '_ {
        asset.services.iter().map(|service| Self {
            asset: asset.id.0,
            address: service.address,
            kind: ServiceKind::from(service),
            first_seen: service.first_seen.0,
            last_seen: service.last_seen.0,
        })
    }
}

impl From<&ServiceState> for ServiceKind {
    fn from(service: &ServiceState) -> Self {
        Self {
            transport: service.transport.as_str(),
            port: service.port,
            state: service.state.as_str(),
            protocol: service.protocol.clone(),
            product: service.product.clone(),
            version: service.version.clone(),
            cpe: service.cpe.as_ref().map(|cpe| cpe.0.clone()),
            tls: service.tls,
        }
    }
}

impl SoftwareRow {
    /// The products on an asset, each once from each source.
    pub fn of(asset: &Asset) -> impl Iterator<Item = Self> + '_ {
        let current = asset.software.iter().filter(|software| software.current);
        current.map(|software: &Software| Self {
            asset: asset.id.0,
            product: Product {
                product: software.product.clone(),
                version: software.version.clone(),
                cpe: software.cpe.as_ref().map(|cpe| cpe.0.clone()),
            },
            source: software.source.clone(),
            first_seen: software.first_seen.0,
            last_seen: software.last_seen.0,
        })
    }
}

impl FindingRow {
    /// The row of a finding.
    #[must_use]
    pub fn of(stored: &StoredFinding, owners: &Owners) -> Self {
        let finding = &stored.finding;
        let owners = owners.of_finding(finding);
        Self {
            id: stored.id,
            rule: fold(&finding.key.rule),
            severity: finding.severity.as_str().to_owned(),
            state: finding.state.as_str().to_owned(),
            subject: fold(&finding.key.subject),
            title: fold(&finding.title),
            owners: fold_all(owners.iter().map(|owner| owner.text())),
            owners_shown: Owner::write_all(owners),
            asset: finding.asset.map_or(0, |asset| asset.0),
            first_seen: finding.first_seen.0,
            last_seen: finding.last_seen.0,
        }
    }
}
