//! Files with certificates, each once for its vantage point and path.

use std::collections::{BTreeMap, BTreeSet};

use certs::store::{Format, PrivateKey};
use model::{Site, Timestamp, Vantage};
use sqlx::{Connection, SqliteConnection};

use super::{
    BEGIN_WRITE, Store, StoreError, certificate,
    scan::{LoadError, json, vantage_number},
};
use crate::file::{FileCertificate, FoundFile, KeptFile};

impl Store {
    /// Stores what was read of files, and which of those known are there no more. Of a file
    /// that is read again, the certificates that are in it no more stay as past ones.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written; then nothing is.
    pub async fn write_files(
        &self,
        vantage: &Vantage,
        found: &[FoundFile],
        gone: &[String],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = self.failed("writing files of certificates");
        let mut ders: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut files = Vec::new();
        let mut rows = Vec::new();
        for file in found {
            let key = file.private_key.as_str();
            files.push((&file.path, file.format.as_str(), key, file.mode));
            let mut seen = BTreeSet::new();
            for (position, held) in file.certificates.iter().enumerate() {
                let sha256 = certificate::sha256(&held.der);
                if seen.insert(sha256.clone()) {
                    rows.push((&file.path, sha256.clone(), &held.entry, position));
                }
                ders.entry(sha256).or_insert_with(|| held.der.clone());
            }
        }
        let ders = ders.into_iter().map(|(sha256, der)| (sha256, der, at, at)).collect();
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with(BEGIN_WRITE).await.map_err(&failed)?;
        let vantage = vantage_number(&mut transaction, vantage).await.map_err(&failed)?;
        certificate::write(&mut transaction, ders).await.map_err(&failed)?;
        for (statement, values) in [
            (
                "UPDATE file SET present = 0
                 WHERE vantage = $1 AND path IN (SELECT value FROM json_each($3))",
                json(gone),
            ),
            (
                "INSERT INTO file (vantage, path, format, private_key, mode, first_seen, last_seen,
                     present)
                 SELECT $1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, $2, $2, 1
                 FROM json_each($3) WHERE true
                 ON CONFLICT (vantage, path) DO UPDATE SET
                     format = excluded.format, private_key = excluded.private_key,
                     mode = excluded.mode, last_seen = excluded.last_seen, present = 1",
                json(&files),
            ),
            (
                "UPDATE file_certificate SET current = 0
                 WHERE file IN (
                     SELECT file.id FROM file JOIN json_each($3) AS v ON file.path = v.value ->> 0
                     WHERE vantage = $1)",
                json(&files),
            ),
            (
                "INSERT INTO file_certificate (file, sha256, entry, position, first_seen,
                     last_seen, current)
                 SELECT file.id, v.value ->> 1, v.value ->> 2, v.value ->> 3, $2, $2, 1
                 FROM json_each($3) AS v JOIN file
                     ON vantage = $1 AND file.path = v.value ->> 0
                 WHERE true
                 ON CONFLICT (file, sha256) DO UPDATE SET
                     entry = excluded.entry, position = excluded.position,
                     last_seen = excluded.last_seen, current = 1",
                json(&rows),
            ),
        ] {
            sqlx::query(statement)
                .bind(vantage)
                .bind(at.0)
                .bind(values)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }

    /// Every known file with its certificates, by vantage point and path.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn files(&self) -> Result<Vec<KeptFile>, StoreError> {
        let failed = self.failed("reading the files of certificates");
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin().await.map_err(&failed)?;
        load(&mut snapshot).await.map_err(|e| e.or(&failed))
    }
}

type FileRow = (i64, String, String, String, String, String, u32, i64, i64, bool);
type CertificateRow = (i64, String, Option<String>, i64, i64, bool);

/// Every file, by vantage point and path.
pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Vec<KeptFile>, LoadError> {
    let rows: Vec<CertificateRow> = sqlx::query_as(
        "SELECT file, sha256, entry, first_seen, last_seen, current FROM file_certificate
         ORDER BY file, current DESC, position, sha256",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut certificates: BTreeMap<i64, Vec<FileCertificate>> = BTreeMap::new();
    for (file, sha256, entry, first, last, current) in rows {
        let (first_seen, last_seen) = (Timestamp(first), Timestamp(last));
        let held = FileCertificate { sha256, entry, first_seen, last_seen, current };
        certificates.entry(file).or_default().push(held);
    }
    let rows: Vec<FileRow> = sqlx::query_as(
        "SELECT file.id, site, name, path, format, private_key, mode, first_seen, last_seen, present
         FROM file JOIN vantage ON vantage.id = file.vantage ORDER BY site, name, path",
    )
    .fetch_all(connection)
    .await?;
    let read = |row: FileRow| {
        let id = row.0;
        let mut file = file(row)?;
        file.certificates = certificates.remove(&id).unwrap_or_default();
        Ok(file)
    };
    rows.into_iter().map(read).collect()
}

/// The file of a row, without its certificates.
fn file(row: FileRow) -> Result<KeptFile, LoadError> {
    let (_, site, name, path, format, key, mode, first, last, present) = row;
    Ok(KeptFile {
        vantage: Vantage { site: Site(site), name },
        path,
        format: Format::from_name(&format)
            .ok_or_else(|| LoadError::content("file.format", format))?,
        private_key: PrivateKey::from_name(&key)
            .ok_or_else(|| LoadError::content("file.private_key", key))?,
        mode,
        first_seen: Timestamp(first),
        last_seen: Timestamp(last),
        present,
        certificates: Vec::new(),
    })
}

/// The files that hold a certificate or held it, current ones first, at most so many. Current is
/// where it is in the file and the file is there.
pub(super) async fn holding(
    connection: &mut SqliteConnection,
    sha256: &str,
    most: i64,
) -> Result<Vec<(KeptFile, FileCertificate)>, LoadError> {
    let rows: Vec<CertificateRow> = sqlx::query_as(
        "SELECT file, sha256, entry, first_seen, last_seen, current FROM file_certificate
         WHERE sha256 = $1 ORDER BY current DESC, last_seen DESC, file LIMIT $2",
    )
    .bind(sha256)
    .bind(most)
    .fetch_all(&mut *connection)
    .await?;
    let mut held = Vec::new();
    for (id, sha256, entry, first, last, current) in rows {
        let row: FileRow = sqlx::query_as(
            "SELECT file.id, site, name, path, format, private_key, mode, first_seen, last_seen,
                 present
             FROM file JOIN vantage ON vantage.id = file.vantage WHERE file.id = $1",
        )
        .bind(id)
        .fetch_one(&mut *connection)
        .await?;
        let file = file(row)?;
        let (first_seen, last_seen) = (Timestamp(first), Timestamp(last));
        let current = current && file.present;
        held.push((file, FileCertificate { sha256, entry, first_seen, last_seen, current }));
    }
    Ok(held)
}
