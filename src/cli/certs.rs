//! `daicho certs`: the certificate inventory.

use std::path::Path;

use anyhow::{Context as _, Result};
use inventory::store::{OpenMode, Store, StoredCertificate};

use crate::{
    cli::args::{Certs, Format},
    clock,
    report::{
        json::{CertificateJson, KeyJson, PlaceJson},
        print, print_json,
        table::Table,
    },
};

pub(crate) async fn run(command: &Certs, path: &Path, format: Format) -> Result<()> {
    let Certs::List { expiring } = command;
    let within = expiring.as_deref().map(config::duration).transpose().context("--expiring")?;
    let until = within
        .map(|time| clock::now().plus_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)));
    let store = Store::open(path, OpenMode::ReadOnly).await?;
    let certificates = store.certificates(until).await?;
    // An issuer's certificate that a server sends along expires like any other; one that
    // nobody serves any more is history.
    let served = |certificate: &&StoredCertificate| {
        certificate.endpoints.is_empty()
            || certificate.endpoints.iter().any(|(_, place)| place.current)
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
        first_seen: certificate.first_seen.to_string(),
        last_seen: certificate.last_seen.to_string(),
        anomalies: certificate.anomalies.clone(),
    }
}

fn table(certificates: &[&StoredCertificate]) -> String {
    let mut table = Table::new(&["not after", "subject", "issuer", "key", "served at", "sha256"]);
    for certificate in certificates {
        let current = certificate.endpoints.iter().filter(|(_, place)| place.current);
        let mut places: Vec<String> =
            current.map(|(_, place)| format!("{}:{}", place.address, place.port)).collect();
        places.dedup();
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
