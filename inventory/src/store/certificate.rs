//! Certificates: each distinct one once, whole, with what was read from it for listing.

mod one;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{
    Store, StoreError,
    assets::Tables,
    file,
    load::{Merges, Which},
    scan::{LoadError, json, parse},
};
use crate::{
    asset::{AssetId, Deployment},
    file::{FileCertificate, KeptFile},
    hex::hex,
};

pub use one::{CertificateDossier, Concluded};

/// Certificates in one statement. Each may have a mebibyte, usually two kibibytes.
const ROWS: usize = 200;

/// A certificate as it was stored, with the places where it is or was.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCertificate {
    /// SHA-256 of the DER, lower-case hexadecimal.
    pub sha256: String,
    /// RFC 4514 string. Empty where it could not be read.
    pub subject: String,
    /// RFC 4514 string.
    pub issuer: String,
    /// Hexadecimal.
    pub serial: String,
    /// First moment of validity.
    pub not_before: Option<Timestamp>,
    /// Last moment of validity.
    pub not_after: Option<Timestamp>,
    /// The names that it is for.
    pub names: Vec<String>,
    /// The key's algorithm.
    pub key_algorithm: String,
    /// The key's length, where it has one.
    pub key_bits: Option<u32>,
    /// How it was signed.
    pub signature_algorithm: String,
    /// Whether its own key signed it.
    pub self_signed: bool,
    /// What was wrong with it, in words.
    pub anomalies: Vec<String>,
    /// When it was first seen, as leaf or in a chain.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// Where it was served as leaf, current places first. Empty for an issuer's
    /// certificate that was only sent along, and for one read from a file.
    pub endpoints: Vec<(AssetId, Deployment)>,
    /// The files in which it is or was, without their own lists. Current is where it is in
    /// the file and the file is there.
    pub files: Vec<(KeptFile, FileCertificate)>,
}

/// SHA-256 of the DER, lower-case hexadecimal: a certificate's identity.
pub(super) fn sha256(der: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, der).as_ref())
}

/// Writes certificates: those that are new are read, of the others only the times change.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    certificates: Vec<(String, Vec<u8>, Timestamp, Timestamp)>,
) -> sqlx::Result<()> {
    if certificates.is_empty() {
        return Ok(());
    }
    let names: Vec<&String> = certificates.iter().map(|(sha256, ..)| sha256).collect();
    let known: Vec<String> = sqlx::query_scalar(
        "SELECT sha256 FROM certificate WHERE sha256 IN (SELECT value FROM json_each($1))",
    )
    .bind(json(&names))
    .fetch_all(&mut *connection)
    .await?;
    let known: BTreeSet<String> = known.into_iter().collect();
    let (old, new): (Vec<_>, Vec<_>) =
        certificates.iter().partition(|(sha256, ..)| known.contains(sha256));
    let times: Vec<_> = old.iter().map(|(sha256, _, first, last)| (sha256, first, last)).collect();
    sqlx::query(
        "UPDATE certificate SET first_seen = min(first_seen, v.value ->> 1),
             last_seen = max(last_seen, v.value ->> 2)
         FROM json_each($1) AS v WHERE sha256 = v.value ->> 0",
    )
    .bind(json(&times))
    .execute(&mut *connection)
    .await?;
    for chunk in new.chunks(ROWS) {
        let rows: Vec<_> =
            chunk.iter().map(|(_, der, first, last)| row(der, *first, *last)).collect();
        sqlx::query(
            "INSERT INTO certificate (sha256, der, first_seen, last_seen, subject, issuer, serial,
                 not_before, not_after, names, key_algorithm, key_bits, signature_algorithm,
                 self_signed, anomalies)
             SELECT value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4,
                 value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10,
                 value ->> 11, value ->> 12, value ->> 13, value ->> 14
             FROM json_each($1)",
        )
        .bind(json(&rows))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn row(der: &[u8], first_seen: Timestamp, last_seen: Timestamp) -> impl serde::Serialize {
    let read = certs::parse(der);
    let anomalies: Vec<&String> = read.anomalies.iter().map(|anomaly| &anomaly.problem).collect();
    let anomalies = json(&anomalies);
    (
        read.sha256,
        hex(der),
        first_seen,
        last_seen,
        read.subject,
        read.issuer,
        read.serial,
        read.not_before,
        read.not_after,
        json(&read.names),
        read.key.algorithm,
        read.key.bits,
        read.signature.algorithm,
        read.self_signed.likely(),
        anomalies,
    )
}

/// The DER of those certificates.
pub(super) async fn ders(
    connection: &mut SqliteConnection,
    wanted: &BTreeSet<String>,
) -> sqlx::Result<HashMap<String, Vec<u8>>> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT sha256, der FROM certificate WHERE sha256 IN (SELECT value FROM json_each($1))",
    )
    .bind(json(wanted))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

type Row = (
    String,
    String,
    String,
    String,
    Option<i64>,
    Option<i64>,
    String,
    String,
    Option<u32>,
    String,
    bool,
    String,
    i64,
    i64,
);

/// The statement that reads certificates.
macro_rules! certificates {
    ($which:literal) => {
        concat!(
            "SELECT sha256, subject, issuer, serial, not_before, not_after, names, key_algorithm,
                 key_bits, signature_algorithm, self_signed, anomalies, first_seen, last_seen
             FROM certificate ",
            $which
        )
    };
}

const EVERY: &str = certificates!("ORDER BY not_after IS NULL, not_after, sha256");
const ONE: &str = certificates!("WHERE sha256 = $1");

/// Every certificate without the places where it is.
async fn load(connection: &mut SqliteConnection) -> Result<Vec<StoredCertificate>, LoadError> {
    let rows: Vec<Row> = sqlx::query_as(EVERY).fetch_all(connection).await?;
    rows.into_iter().map(read).collect()
}

fn read(row: Row) -> Result<StoredCertificate, LoadError> {
    let (sha256, subject, issuer, serial, not_before, not_after, names, ..) = row;
    let (.., key_algorithm, key_bits, signature_algorithm, self_signed, anomalies, first, last) =
        (row.7, row.8, row.9, row.10, row.11, row.12, row.13);
    Ok(StoredCertificate {
        sha256,
        subject,
        issuer,
        serial,
        not_before: not_before.map(Timestamp),
        not_after: not_after.map(Timestamp),
        names: parse("certificate.names", &names)?,
        key_algorithm,
        key_bits,
        signature_algorithm,
        self_signed,
        anomalies: parse("certificate.anomalies", &anomalies)?,
        first_seen: Timestamp(first),
        last_seen: Timestamp(last),
        endpoints: Vec::new(),
        files: Vec::new(),
    })
}

impl Store {
    /// Stores certificates that were read from a file, or fetched without a scan.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn write_certificates(
        &self,
        ders: impl IntoIterator<Item = Vec<u8>>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = self.failed("writing certificates");
        // By their hash, so that one given twice is written once.
        let distinct: BTreeMap<String, Vec<u8>> =
            ders.into_iter().map(|der| (sha256(&der), der)).collect();
        let rows = distinct.into_iter().map(|(sha256, der)| (sha256, der, at, at)).collect();
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(super::BEGIN_WRITE).await.map_err(&failed)?;
        write(&mut transaction, rows).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Every certificate with the places where it is or was, the first to expire first.
    /// With `until`, only those that expire by then (expired ones too).
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn certificates(
        &self,
        until: Option<Timestamp>,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        let failed = self.failed("reading the certificates");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        let mut found = load(&mut snapshot).await.map_err(|e| e.or(&failed))?;
        if let Some(until) = until {
            found.retain(|certificate| certificate.not_after.is_some_and(|end| end <= until));
        }
        let merges = Merges::load(&mut snapshot).await.map_err(&failed)?;
        let assets = Tables::load_assets(&mut snapshot, Which::All, &merges).await;
        let mut places: HashMap<String, Vec<(AssetId, Deployment)>> = HashMap::new();
        for asset in assets.map_err(|e| e.or(&failed))? {
            for deployment in asset.deployments {
                let sha256 = deployment.sha256.clone();
                places.entry(sha256).or_default().push((asset.id, deployment));
            }
        }
        let files = file::load(&mut snapshot).await.map_err(|e| e.or(&failed))?;
        let mut held: HashMap<String, Vec<(KeptFile, FileCertificate)>> = HashMap::new();
        for mut file in files {
            for mut one in std::mem::take(&mut file.certificates) {
                one.current &= file.present;
                held.entry(one.sha256.clone()).or_default().push((file.clone(), one));
            }
        }
        for certificate in &mut found {
            certificate.files = held.remove(&certificate.sha256).unwrap_or_default();
            certificate.endpoints = places.remove(&certificate.sha256).unwrap_or_default();
            certificate.endpoints.sort_by_key(|(asset, place)| (!place.current, *asset));
        }
        Ok(found)
    }

    /// The names that these certificates are for, at most so many of each: some have ten thousand.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn certificate_names(
        &self,
        wanted: &BTreeSet<String>,
        most: usize,
    ) -> Result<HashMap<String, Vec<String>>, StoreError> {
        let failed = self.failed("reading the names in certificates");
        let mut reader = self.reader().await?;
        let wanted: Vec<&String> = wanted.iter().collect();
        let mut found = HashMap::new();
        for some in wanted.chunks(ROWS) {
            let rows: Vec<(String, String)> = sqlx::query_as(
                "SELECT sha256, names FROM certificate
                 WHERE sha256 IN (SELECT value FROM json_each($1))",
            )
            .bind(json(&some))
            .fetch_all(&mut *reader)
            .await
            .map_err(&failed)?;
            for (sha256, names) in rows {
                let names: Result<Vec<String>, LoadError> = parse("certificate.names", &names);
                let mut names = names.map_err(|e| e.or(&failed))?;
                names.truncate(most);
                found.insert(sha256, names);
            }
        }
        Ok(found)
    }

    /// The DER of a certificate, or `None` where it is not stored.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn certificate_der(&self, sha256: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut reader = self.reader().await?;
        let wanted = BTreeSet::from([sha256.to_owned()]);
        let mut found =
            ders(&mut reader, &wanted).await.map_err(self.failed("reading a certificate"))?;
        Ok(found.remove(sha256))
    }
}
