//! What is listed, read into memory and kept there while it stays the same.
//!
//! After a review only those parts are read again whose rows have another digest. Whoever asks
//! meanwhile waits a moment for that, and is then answered from what was.

use std::{
    hash::Hasher as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use siphasher::sip128::{Hasher128 as _, SipHasher13};
use sqlx::{Connection as _, SqliteConnection};

use super::{
    super::{
        Store, StoreError,
        beside::{Beside, done},
        cells::{self, Cells},
        scan::LoadError,
    },
    address_of,
};
use crate::{
    hex::unhex,
    list::{
        ASSET_BITS, FINDING_BITS,
        held::{
            AssetNumbers, AssetPart, CertificateNumbers, CertificatePart, FindingNumbers,
            FindingPart, Held, KindRow, Mark, ProductRow, Service, Shared, Software,
        },
    },
    query::fold,
};

/// So long a page is worth waiting for what a review just wrote.
const MOMENT: Duration = Duration::from_millis(150);

/// What is held, if anybody asked for it yet.
#[derive(Debug, Default)]
pub(in crate::store) struct Hold {
    held: Mutex<Option<(i64, Arc<Held>)>>,
    /// One reads it at a time.
    reading: tokio::sync::Mutex<()>,
}

impl Hold {
    fn known(&self) -> Option<(i64, Arc<Held>)> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, held: (i64, Arc<Held>)) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }
}

impl Store {
    /// What lists are found in: what the last review left or, where to read that takes longer than
    /// anybody waits, what the one before left.
    pub(super) async fn held(&self) -> Result<Arc<Held>, StoreError> {
        let mut reader = self.reader().await?;
        let now = generation(&mut reader).await.map_err(self.failed("reading lists"))?;
        drop(reader);
        let known = self.lists.known();
        if let Some((generation, held)) = &known
            && *generation == now
        {
            return Ok(Arc::clone(held));
        }
        // It goes on where whoever waited for it has gone.
        let store = self.clone();
        let mut reading = tokio::spawn(async move { store.hold().await });
        let read = match known {
            None => reading.await,
            Some((_, old)) => match tokio::time::timeout(MOMENT, &mut reading).await {
                Ok(read) => read,
                Err(_) => return Ok(old),
            },
        };
        done(read)
    }

    async fn hold(&self) -> Result<Arc<Held>, StoreError> {
        let _alone = self.lists.reading.lock().await;
        let failed = self.failed("reading lists");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let now = generation(&mut snapshot).await.map_err(&failed)?;
        let known = self.lists.known();
        let old = match known {
            Some((generation, held)) if generation == now => return Ok(held),
            Some((_, held)) => held,
            None => Arc::default(),
        };
        let held = read(&mut snapshot, &old).await.map_err(|error| error.or(&failed))?;
        let held = Arc::new(held);
        self.lists.set((now, Arc::clone(&held)));
        Ok(held)
    }
}

/// Which state the tables of lists are in.
async fn generation(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT generation FROM list_generation").fetch_one(connection).await
}

/// Everything, without reading again what is as it was.
pub(super) async fn read(connection: &mut SqliteConnection, old: &Held) -> Result<Held, LoadError> {
    let assets = marks(
        connection,
        "SELECT json_group_array(json_array(id >> CAST($1 AS INTEGER), digest)) FROM listed_asset",
        ASSET_BITS,
    );
    let assets = parts(assets.await?, &old.assets, |part| part.mark);
    let findings = marks(
        connection,
        "SELECT json_group_array(json_array(id >> CAST($1 AS INTEGER), digest))
         FROM listed_finding",
        FINDING_BITS,
    );
    let findings = parts(findings.await?, &old.findings, |part| part.mark);
    // By the first digit.
    let certificates = marks(
        connection,
        "SELECT json_group_array(json_array(instr('0123456789abcdef', substr(sha256, $1, 1)),
             digest)) FROM listed_certificate",
        1,
    );
    let certificates = parts(certificates.await?, &old.certificates, |part| part.mark);
    Ok(Held {
        assets: self::assets(connection, assets).await?,
        findings: self::findings(connection, findings).await?,
        certificates: self::certificates(connection, certificates).await?,
        kinds: Arc::new(kinds(connection).await?),
        products: Arc::new(products(connection).await?),
    })
}

/// Which parts there are, in order, with the digest of all their rows.
async fn marks(
    connection: &mut SqliteConnection,
    statement: &'static str,
    parameter: u32,
) -> Result<Vec<Mark>, LoadError> {
    let text = cells::text_of(connection, statement, parameter.to_string()).await?;
    let mut marks: Vec<Mark> = Vec::new();
    let mut hasher = SipHasher13::new();
    for row in cells::rows(&text)? {
        let number = row.number(0)?;
        if marks.last().is_none_or(|last| last.number != number) {
            hasher = SipHasher13::new();
            marks.push(Mark { number, digest: 0 });
        }
        hasher.write(row.text(1)?.as_bytes());
        hasher.write_u8(b'\n');
        if let Some(last) = marks.last_mut() {
            last.digest = hasher.finish128().as_u128();
        }
    }
    Ok(marks)
}

/// A part that is as it was, or the mark of one that is to be read.
enum Part<P> {
    Same(Arc<P>),
    Other(Mark),
}

fn parts<P>(marks: Vec<Mark>, old: &[Arc<P>], mark: impl Fn(&P) -> Mark) -> Vec<Part<P>> {
    let part = |wanted: Mark| match old.iter().find(|part| mark(part) == wanted) {
        Some(part) => Part::Same(Arc::clone(part)),
        None => Part::Other(wanted),
    };
    marks.into_iter().map(part).collect()
}

/// The parts in their order, those that are not as they were made of what some statements give,
/// beside the next ones.
async fn all<P: Default + Send + Sync + 'static, const N: usize>(
    connection: &mut SqliteConnection,
    parts: Vec<Part<P>>,
    statements: [&'static str; N],
    parameter: impl Fn(i64) -> String,
    make: fn(Mark, [String; N]) -> Result<P, LoadError>,
) -> Result<Vec<Arc<P>>, LoadError> {
    let mut beside = Beside::new();
    for part in parts {
        match part {
            Part::Same(part) => beside.give(move || Ok(part)).await?,
            Part::Other(mark) => {
                let mut texts = [const { String::new() }; N];
                for (text, statement) in texts.iter_mut().zip(statements) {
                    *text = cells::text_of(connection, statement, parameter(mark.number)).await?;
                }
                beside.give(move || make(mark, texts).map(Arc::new)).await?;
            }
        }
    }
    beside.finish().await
}

async fn assets(
    connection: &mut SqliteConnection,
    parts: Vec<Part<AssetPart>>,
) -> Result<Vec<Arc<AssetPart>>, LoadError> {
    let statements = [
        "SELECT json_group_array(json_array(id, site, names, macs, vendor, class, os, registration,
             ports, protocols, products, versions, cpes, certificates, hex(address), uncertain,
             service_count, software_count, certificate_count, critical, warning, info, first_seen,
             last_seen, owner, department, location))
         FROM listed_asset WHERE id BETWEEN CAST($1 AS INTEGER) AND CAST($1 AS INTEGER) + 1023",
        "SELECT json_group_array(json_array(asset, hex(address))) FROM listed_address
         WHERE asset BETWEEN CAST($1 AS INTEGER) AND CAST($1 AS INTEGER) + 1023 AND current = 1",
        "SELECT json_group_array(json_array(asset, hex(address), kind, first_seen, last_seen))
         FROM listed_service
         WHERE asset BETWEEN CAST($1 AS INTEGER) AND CAST($1 AS INTEGER) + 1023",
        "SELECT json_group_array(json_array(asset, kind, source_shown, source, first_seen,
             last_seen))
         FROM listed_software
         WHERE asset BETWEEN CAST($1 AS INTEGER) AND CAST($1 AS INTEGER) + 1023",
    ];
    let first = |number: i64| (number << ASSET_BITS).to_string();
    all(connection, parts, statements, first, asset_part).await
}

fn asset_part(mark: Mark, texts: [String; 4]) -> Result<AssetPart, LoadError> {
    let [assets, addresses, services, software] = &texts;
    let mut part = AssetPart { mark, ..AssetPart::default() };
    for row in cells::rows(assets)? {
        part.ids.push(row.number(0)?);
        let [
            site,
            names,
            macs,
            vendor,
            class,
            os,
            registration,
            ports,
            protocols,
            products,
            versions,
            cpes,
            certificates,
        ] = folded(&row, 1)?;
        // These are kept as they are shown.
        let [owner, department, location] =
            [fold(row.text(24)?), fold(row.text(25)?), fold(row.text(26)?)];
        part.texts.push([
            site,
            names,
            macs,
            vendor,
            class,
            os,
            registration,
            ports,
            protocols,
            products,
            versions,
            cpes,
            certificates,
            &owner,
            &department,
            &location,
        ]);
        part.numbers.push(AssetNumbers {
            address: (!row.text(14)?.is_empty()).then(|| address(&row, 14)).transpose()?,
            uncertain: row.flag(15)?,
            services: row.number(16)?,
            software: row.number(17)?,
            certificates: row.number(18)?,
            critical: row.number(19)?,
            warning: row.number(20)?,
            info: row.number(21)?,
            first_seen: row.number(22)?,
            last_seen: row.number(23)?,
        });
    }
    let mut current = cells::rows(addresses)?.into_iter().peekable();
    for id in &part.ids {
        while let Some(row) = current.next_if(|row| row.number(0).is_ok_and(|asset| asset <= *id)) {
            part.addresses.push(address(&row, 1)?);
        }
        part.address_ends.push(part.addresses.len());
    }
    let place = |part: &AssetPart, row: &Cells<'_>| -> Result<u32, LoadError> {
        let asset = row.number(0)?;
        let place = part.place(asset).and_then(|place| u32::try_from(place).ok());
        place.ok_or_else(|| LoadError::content("listed_asset.id", asset.to_string()))
    };
    for row in cells::rows(services)? {
        part.services.push(Service {
            asset: place(&part, &row)?,
            address: address(&row, 1)?,
            kind: number(&row, 2)?,
            first_seen: row.number(3)?,
            last_seen: row.number(4)?,
        });
    }
    for row in cells::rows(software)? {
        part.sources.push([row.text(2)?, row.text(3)?]);
        part.software.push(Software {
            asset: place(&part, &row)?,
            kind: number(&row, 1)?,
            first_seen: row.number(4)?,
            last_seen: row.number(5)?,
        });
    }
    part.shrink();
    Ok(part)
}

/// Texts that stand beside each other, from a place on.
fn folded<'r, const N: usize>(row: &'r Cells<'_>, from: usize) -> Result<[&'r str; N], LoadError> {
    let mut texts = [""; N];
    for (text, at) in texts.iter_mut().zip(from..) {
        *text = row.text(at)?;
    }
    Ok(texts)
}

fn address(row: &Cells<'_>, at: usize) -> Result<std::net::IpAddr, LoadError> {
    let text = row.text(at)?;
    let address = unhex(text).and_then(|bytes| address_of(&bytes));
    address.ok_or_else(|| LoadError::content("listed_address.address", text))
}

fn number(row: &Cells<'_>, at: usize) -> Result<u32, LoadError> {
    let number = row.number(at)?;
    u32::try_from(number).map_err(|_| LoadError::content("listed_service.kind", number.to_string()))
}

async fn certificates(
    connection: &mut SqliteConnection,
    parts: Vec<Part<CertificatePart>>,
) -> Result<Vec<Arc<CertificatePart>>, LoadError> {
    let statements =
        ["SELECT json_group_array(json_array(sha256, subject, issuer, names, key, trust, assets,
             sites, addresses, owners, not_after, renew_by, places, first_seen, last_seen))
         FROM listed_certificate WHERE sha256 >= $1 AND sha256 < $1 || 'g'"];
    // Numbers begin with 1, for what begins with no digit has 0.
    let digit = |number: i64| format!("{:x}", number.saturating_sub(1));
    all(connection, parts, statements, digit, |mark, [text]| {
        let mut part = CertificatePart { mark, ..CertificatePart::default() };
        for row in cells::rows(&text)? {
            part.texts.push(folded(&row, 0)?);
            part.numbers.push(CertificateNumbers {
                not_after: row.number(10)?,
                renew_by: row.number(11)?,
                places: row.number(12)?,
                first_seen: row.number(13)?,
                last_seen: row.number(14)?,
            });
        }
        part.texts.shrink();
        Ok(part)
    })
    .await
}

async fn findings(
    connection: &mut SqliteConnection,
    parts: Vec<Part<FindingPart>>,
) -> Result<Vec<Arc<FindingPart>>, LoadError> {
    let statements = [
        "SELECT json_group_array(json_array(id, rule, severity, state, subject, title, owners, rank,
             asset, first_seen, last_seen))
         FROM listed_finding WHERE id BETWEEN CAST($1 AS INTEGER) AND CAST($1 AS INTEGER) + 8191",
    ];
    let first = |number: i64| (number << FINDING_BITS).to_string();
    all(connection, parts, statements, first, |mark, [text]| {
        let mut part = FindingPart { mark, ..FindingPart::default() };
        for row in cells::rows(&text)? {
            part.texts.push(folded(&row, 1)?);
            part.numbers.push(FindingNumbers {
                id: row.number(0)?,
                rank: row.number(7)?,
                asset: row.number(8)?,
                first_seen: row.number(9)?,
                last_seen: row.number(10)?,
            });
        }
        part.texts.shrink();
        Ok(part)
    })
    .await
}

async fn kinds(connection: &mut SqliteConnection) -> Result<Shared<KindRow>, LoadError> {
    let statement = "SELECT json_group_array(json_array(id, transport, port, state, protocol,
             product, version, cpe, tls)) FROM service_kind WHERE $1 = ''";
    let text = cells::text_of(connection, statement, String::new()).await?;
    let mut kinds = Shared::default();
    for row in cells::rows(&text)? {
        let kind = KindRow {
            transport: row.owned(1)?,
            port: row.number(2)?,
            state: row.owned(3)?,
            protocol: row.owned(4)?,
            product: row.owned(5)?,
            version: row.owned(6)?,
            cpe: row.owned(7)?,
            tls: row.flag(8)?,
        };
        kinds.push(number(&row, 0)?, kind);
    }
    Ok(kinds)
}

async fn products(connection: &mut SqliteConnection) -> Result<Shared<ProductRow>, LoadError> {
    let statement = "SELECT json_group_array(json_array(id, product, version, cpe)) FROM product
         WHERE $1 = ''";
    let text = cells::text_of(connection, statement, String::new()).await?;
    let mut products = Shared::default();
    for row in cells::rows(&text)? {
        let product =
            ProductRow { product: row.owned(1)?, version: row.owned(2)?, cpe: row.owned(3)? };
        products.push(number(&row, 0)?, product);
    }
    Ok(products)
}
