//! `daicho certs`: the certificate inventory.

use std::path::Path;

use anyhow::{Context as _, Result};
use inventory::store::{OpenMode, Store, StoredCertificate};

use crate::{
    cli::args::Format,
    clock,
    report::{
        json::{CertificateJson, HeldJson, KeyJson, PlaceJson},
        print, print_json,
        table::Table,
    },
};

/// Lists the certificates, all or those that expire within that time.
pub(crate) async fn list(expiring: Option<&str>, path: &Path, format: Format) -> Result<()> {
    let within = expiring.map(config::duration).transpose().context("--expiring")?;
    let until = within
        .map(|time| clock::now().plus_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)));
    let store = Store::open(path, OpenMode::ReadOnly).await?;
    let certificates = store.certificates(until).await?;
    // An issuer's certificate that a server sends along expires like any other; one that
    // nobody serves or keeps any more is history.
    let served = |certificate: &&StoredCertificate| {
        let nowhere = certificate.endpoints.is_empty() && certificate.files.is_empty();
        nowhere
            || certificate.endpoints.iter().any(|(_, place)| place.current)
            || certificate.files.iter().any(|(_, held)| held.current)
    };
    let shown: Vec<&StoredCertificate> = certificates.iter().filter(served).collect();
    match format {
        Format::Json => {
            let list: Vec<CertificateJson> = shown.iter().map(|found| json(found)).collect();
            print_json(&list)
        }
        Format::Text if shown.is_empty() => print("no certificates\n"),
        Format::Text => print(&table(&shown)),
    }
}

fn json(certificate: &StoredCertificate) -> CertificateJson {
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let current = certificate.endpoints.iter().filter(|(_, place)| place.current);
    let held = certificate.files.iter().filter(|(_, held)| held.current);
    CertificateJson {
        sha256: certificate.sha256.clone(),
        subject: text(&certificate.subject),
        issuer: text(&certificate.issuer),
        serial: text(&certificate.serial),
        not_before: certificate.not_before.map(|at| at.to_string()),
        not_after: certificate.not_after.map(|at| at.to_string()),
        names: certificate.names.clone(),
        key: KeyJson { algorithm: text(&certificate.key_algorithm), bits: certificate.key_bits },
        signature_algorithm: text(&certificate.signature_algorithm),
        self_signed: certificate.self_signed,
        endpoints: current.map(|(_, place)| PlaceJson::from(place)).collect(),
        files: held.map(|(file, held)| HeldJson::new(file, held)).collect(),
        first_seen: certificate.first_seen.to_string(),
        last_seen: certificate.last_seen.to_string(),
        anomalies: certificate.anomalies.clone(),
    }
}

fn table(certificates: &[&StoredCertificate]) -> String {
    let mut table = Table::new(&["not after", "subject", "issuer", "key", "where", "sha256"]);
    for certificate in certificates {
        let current = certificate.endpoints.iter().filter(|(_, place)| place.current);
        let mut places: Vec<String> =
            current.map(|(_, place)| format!("{}:{}", place.address, place.port)).collect();
        places.dedup();
        let held = certificate.files.iter().filter(|(_, held)| held.current);
        places.extend(held.map(|(file, _)| format!("{}:{}", file.vantage.name, file.path)));
        let bits = certificate.key_bits.map_or_else(String::new, |bits| format!(" {bits}"));
        table.row([
            certificate.not_after.map_or_else(|| "unknown".to_owned(), |at| at.to_string()),
            certificate.subject.clone(),
            certificate.issuer.clone(),
            format!("{}{bits}", certificate.key_algorithm),
            places.join(" "),
            certificate.sha256.chars().take(16).collect(),
        ]);
    }
    table.render()
}
