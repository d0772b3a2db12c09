//! What the rows of a list show.

use std::net::IpAddr;

use model::{MacAddr, Severity, Timestamp};
use serde_json::json;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    super::{
        StoredFinding,
        scan::{LoadError, parse},
    },
    address_of,
};
use crate::{
    asset::AssetId,
    finding::{Acceptance, Finding, FindingKey, FindingState},
    list::{Product, ServiceKind},
    owner::Owner,
    query::{Kind, NEVER},
};

/// A row of a list of one kind.
pub(super) trait Entry: Sized {
    /// The kind.
    const KIND: Kind;
    /// Its columns, and where they are, `p` having the keys of the rows.
    const COLUMNS_FROM_P: &'static str;
    /// From those columns.
    fn read(row: &SqliteRow) -> Result<Self, LoadError>;
}

/// An asset in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct AssetEntry {
    /// Its id.
    pub id: AssetId,
    /// Its site.
    pub site: String,
    /// Its current addresses.
    pub addresses: Vec<String>,
    /// Its names.
    pub names: Vec<String>,
    /// Its link-layer addresses.
    pub macs: Vec<String>,
    /// The maker of the first of these that has one.
    pub vendor: Option<String>,
    /// Its class.
    pub class: Option<String>,
    /// Its operating system with the version.
    pub os: Option<String>,
    /// Its registration.
    pub registration: String,
    /// Why it has that.
    pub reason: String,
    /// Its open ports, each as `443/tcp`.
    pub ports: Vec<String>,
    /// How many endpoints are open.
    pub services: u64,
    /// How many products are on it.
    pub software: u64,
    /// How many certificates it serves.
    pub certificates: u64,
    /// Open findings that are critical, warnings, and worth knowing.
    pub findings: [u64; 3],
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// The entry of the device register that it is, by its reference.
    pub entry: Option<String>,
    /// Who answers for it, by that.
    pub owner: Option<String>,
    /// Which department does.
    pub department: Option<String>,
    /// Where it stands.
    pub location: Option<String>,
}

/// An endpoint in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceEntry {
    /// The asset.
    pub asset: AssetId,
    /// Its site.
    pub site: String,
    /// Its first name.
    pub name: Option<String>,
    /// The address.
    pub address: IpAddr,
    /// What it is.
    pub kind: ServiceKind,
    /// When it was first seen open.
    pub first_seen: Timestamp,
    /// When it was last seen open.
    pub last_seen: Timestamp,
}

/// A product in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftwareEntry {
    /// The asset on which it is.
    pub asset: AssetId,
    /// Its site.
    pub site: String,
    /// Its first name.
    pub name: Option<String>,
    /// What it is.
    pub product: Product,
    /// What told of it.
    pub source: String,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
}

/// A certificate in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateEntry {
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// RFC 4514 string; empty where it could not be read.
    pub subject: String,
    /// RFC 4514 string.
    pub issuer: String,
    /// The names that it is for.
    pub names: Vec<String>,
    /// The key's algorithm and length.
    pub key: String,
    /// `public`, `private`, `untrusted` or `unknown`.
    pub trust: String,
    /// Why clients refuse it.
    pub problems: String,
    /// The last moment of validity, where known.
    pub not_after: Option<Timestamp>,
    /// When it should be renewed.
    pub renew_by: Option<Timestamp>,
    /// Where it is, each as an address and a port, or a machine and a path.
    pub places: Vec<String>,
    /// Who answers for it.
    pub owners: Vec<Owner>,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
}

/// A finding in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct FindingEntry {
    /// The finding.
    pub stored: StoredFinding,
    /// The site of its asset, where it is about one.
    pub site: Option<String>,
    /// Who answers for it.
    pub owners: Vec<Owner>,
}

/// What stands between line ends.
fn split(text: &str) -> Vec<String> {
    text.split('\n').filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// The columns of an entry, one after the other.
struct Columns<'r> {
    row: &'r SqliteRow,
    at: usize,
}

impl<'r> Columns<'r> {
    fn next<T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>>(
        &mut self,
    ) -> Result<T, LoadError> {
        let at = self.at;
        self.at = at.saturating_add(1);
        Ok(self.row.try_get(at)?)
    }

    fn text(&mut self) -> Result<String, LoadError> {
        self.next()
    }

    fn count(&mut self) -> Result<u64, LoadError> {
        Ok(u64::try_from(self.next::<i64>()?).unwrap_or_default())
    }

    fn time(&mut self) -> Result<Timestamp, LoadError> {
        Ok(Timestamp(self.next()?))
    }
}

impl Entry for AssetEntry {
    const KIND: Kind = Kind::Assets;
    const COLUMNS_FROM_P: &'static str = "d.id, d.site_shown,
        (SELECT json_group_array(text) FROM listed_address WHERE asset = d.id AND current = 1),
        d.names, d.macs, d.class, d.os_shown, d.registration, d.reason, d.ports, d.service_count,
        d.software_count, d.certificate_count, d.critical, d.warning, d.info, d.first_seen,
        d.last_seen, d.entry, d.owner, d.department, d.location
        FROM p CROSS JOIN listed_asset AS d ON d.id = p.k0 ORDER BY p.n";

    fn read(row: &SqliteRow) -> Result<Self, LoadError> {
        let mut columns = Columns { row, at: 0 };
        let (id, site) = (AssetId(columns.next()?), columns.text()?);
        let addresses = parse("listed_address.text", &columns.text()?)?;
        let (names, macs) = (split(&columns.text()?), split(&columns.text()?));
        let vendor = macs.iter().filter_map(|mac| mac.parse::<MacAddr>().ok());
        Ok(Self {
            vendor: vendor.into_iter().find_map(crate::vendor::vendor).map(Into::into),
            id,
            site,
            addresses,
            names,
            macs,
            class: some(columns.text()?),
            os: some(columns.text()?),
            registration: columns.text()?,
            reason: columns.text()?,
            ports: split(&columns.text()?),
            services: columns.count()?,
            software: columns.count()?,
            certificates: columns.count()?,
            findings: [columns.count()?, columns.count()?, columns.count()?],
            first_seen: columns.time()?,
            last_seen: columns.time()?,
            entry: some(columns.text()?),
            owner: some(columns.text()?),
            department: some(columns.text()?),
            location: some(columns.text()?),
        })
    }
}

impl Entry for ServiceEntry {
    const KIND: Kind = Kind::Services;
    const COLUMNS_FROM_P: &'static str = "d.asset, a.site_shown, a.names, d.address, k.shown,
        d.first_seen, d.last_seen FROM p
        CROSS JOIN listed_service AS d ON d.asset = p.k0
            AND d.address = unhex(p.k1) AND d.kind = p.k2
        CROSS JOIN service_kind AS k ON k.id = d.kind
        CROSS JOIN listed_asset AS a ON a.id = d.asset ORDER BY p.n";

    fn read(row: &SqliteRow) -> Result<Self, LoadError> {
        let mut columns = Columns { row, at: 0 };
        let (asset, site) = (AssetId(columns.next()?), columns.text()?);
        let name = split(&columns.text()?).into_iter().next();
        let key: Vec<u8> = columns.next()?;
        let wrong = || LoadError::content("listed_service.address", format!("{key:?}"));
        Ok(Self {
            asset,
            site,
            name,
            address: address_of(&key).ok_or_else(wrong)?,
            kind: ServiceKind::from_shown(&columns.text()?)?,
            first_seen: columns.time()?,
            last_seen: columns.time()?,
        })
    }
}

impl Entry for SoftwareEntry {
    const KIND: Kind = Kind::Software;
    const COLUMNS_FROM_P: &'static str = "d.asset, a.site_shown, a.names, k.shown, d.source_shown,
        d.first_seen, d.last_seen FROM p
        CROSS JOIN listed_software AS d
            ON d.asset = p.k0 AND d.kind = p.k1 AND d.source_shown = p.k2
        CROSS JOIN product AS k ON k.id = d.kind
        CROSS JOIN listed_asset AS a ON a.id = d.asset ORDER BY p.n";

    fn read(row: &SqliteRow) -> Result<Self, LoadError> {
        let mut columns = Columns { row, at: 0 };
        let (asset, site) = (AssetId(columns.next()?), columns.text()?);
        let name = split(&columns.text()?).into_iter().next();
        Ok(Self {
            asset,
            site,
            name,
            product: Product::from_shown(&columns.text()?)?,
            source: columns.text()?,
            first_seen: columns.time()?,
            last_seen: columns.time()?,
        })
    }
}

impl Entry for CertificateEntry {
    const KIND: Kind = Kind::Certificates;
    const COLUMNS_FROM_P: &'static str = "c.sha256, c.subject, c.issuer, c.names, d.key, d.trust,
        d.problems, d.not_after, d.renew_by, d.addresses, d.owners_shown, c.first_seen, c.last_seen
        FROM p CROSS JOIN listed_certificate AS d ON d.sha256 = p.k0
        CROSS JOIN certificate AS c ON c.sha256 = p.k0 ORDER BY p.n";

    fn read(row: &SqliteRow) -> Result<Self, LoadError> {
        let mut columns = Columns { row, at: 0 };
        let known = |moment: Timestamp| Some(moment).filter(|moment| moment.0 != NEVER);
        Ok(Self {
            sha256: columns.text()?,
            subject: columns.text()?,
            issuer: columns.text()?,
            names: parse("certificate.names", &columns.text()?)?,
            key: columns.text()?,
            trust: columns.text()?,
            problems: columns.text()?,
            not_after: known(columns.time()?),
            renew_by: known(columns.time()?),
            places: split(&columns.text()?),
            owners: Owner::read_all(&columns.text()?),
            first_seen: columns.time()?,
            last_seen: columns.time()?,
        })
    }
}

impl Entry for FindingEntry {
    const KIND: Kind = Kind::Findings;
    const COLUMNS_FROM_P: &'static str = "f.id, f.rule, f.subject, f.severity, d.asset, f.title,
        f.detail, f.state, f.first_seen, f.last_seen, f.resolved_at, f.accepted_at,
        f.accepted_until, f.accepted_because, d.owners_shown,
        (SELECT site_shown FROM listed_asset AS a WHERE a.id = d.asset)
        FROM p CROSS JOIN listed_finding AS d ON d.id = p.k0
        CROSS JOIN finding AS f ON f.id = p.k0 ORDER BY p.n";

    fn read(row: &SqliteRow) -> Result<Self, LoadError> {
        let mut columns = Columns { row, at: 0 };
        let id = columns.next()?;
        let key = FindingKey { rule: columns.text()?, subject: columns.text()? };
        let severity = columns.text()?;
        let asset: i64 = columns.next()?;
        let (title, detail, state) = (columns.text()?, columns.text()?, columns.text()?);
        let (first_seen, last_seen) = (columns.time()?, columns.time()?);
        let moment = |moment: Option<i64>| moment.map(Timestamp);
        let resolved_at = moment(columns.next()?);
        let (at, until) = (moment(columns.next()?), moment(columns.next()?));
        let because: Option<String> = columns.next()?;
        let accepted = at.zip(until).map(|(at, until)| Acceptance {
            at,
            until,
            reason: because.unwrap_or_default(),
        });
        let severity: Severity =
            severity.parse().map_err(|_| LoadError::content("finding.severity", severity))?;
        let state = FindingState::from_name(&state)
            .ok_or_else(|| LoadError::content("finding.state", state))?;
        let asset = Some(AssetId(asset)).filter(|asset| asset.0 != 0);
        let finding = Finding {
            key,
            asset,
            severity,
            title,
            detail,
            state,
            first_seen,
            last_seen,
            resolved_at,
            accepted,
        };
        Ok(Self {
            stored: StoredFinding { id, finding },
            owners: Owner::read_all(&columns.text()?),
            site: columns.next()?,
        })
    }
}

impl ServiceKind {
    /// All that makes it the kind that it is.
    pub(super) fn shown(&self) -> String {
        let Self { transport, port, state, protocol, product, version, cpe, tls } = self;
        json!([transport, port, state, protocol, product, version, cpe, tls]).to_string()
    }

    fn from_shown(text: &str) -> Result<Self, LoadError> {
        type Parts = (
            String,
            u16,
            String,
            Option<String>,
            Option<String>,
            Option<String>,
            Option<String>,
            bool,
        );
        let (transport, port, state, protocol, product, version, cpe, tls): Parts =
            parse("service_kind.shown", text)?;
        let wrong = |_| LoadError::content("service_kind.shown", text);
        let transport: model::Transport = transport.parse().map_err(wrong)?;
        let state = model::PortState::from_name(&state)
            .ok_or_else(|| LoadError::content("service_kind.shown", text))?;
        let (transport, state) = (transport.as_str(), state.as_str());
        Ok(Self { transport, port, state, protocol, product, version, cpe, tls })
    }
}

impl Product {
    /// All that makes it the product that it is.
    pub(super) fn shown(&self) -> String {
        json!([self.product, self.version, self.cpe]).to_string()
    }

    fn from_shown(text: &str) -> Result<Self, LoadError> {
        let (product, version, cpe) = parse("product.shown", text)?;
        Ok(Self { product, version, cpe })
    }
}
