//! `daicho certs`: the certificate inventory.

use std::{collections::HashSet, fmt::Write as _};

use anyhow::{Context as _, Result, bail};
use inventory::{
    list::Lister,
    query::{Candidate, Kind},
    store::{CertificateDossier, OpenMode, Store, StoredCertificate},
};
use serde_json::{Value, json};

use crate::{
    cli::{
        Absent, Unusable,
        args::{Asked, Format},
    },
    clock,
    compose::Settings,
    report::{
        certificate::{Concluded, Settled, Shown},
        finding,
        json::{ChainJson, PlaceJson},
        print, print_json, print_json_list,
        table::{Table, printable},
    },
};

/// Lists the certificates: all, those that expire within that time, those asked for.
pub(crate) async fn list(
    settings: &Settings,
    expiring: Option<&str>,
    asked: &Asked,
    format: Format,
) -> Result<()> {
    let query = asked.query(Kind::Certificates, settings)?;
    let within = expiring.map(config::duration).transpose().context("--expiring")?;
    let as_of = clock::now();
    let until =
        within.map(|time| as_of.plus_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)));
    let store = Store::open(&settings.database, OpenMode::ReadOnly).await?;
    let certificates = store.certificates(until).await?;
    let compared = store.compare(as_of, &settings.policy).await?;
    let concluded = Concluded::new(&compared, settings.policy.thresholds, as_of);
    // An issuer's certificate that a server sends along expires like any other; one that
    // nobody serves or keeps any more is history.
    let served = |certificate: &&StoredCertificate| {
        let nowhere = certificate.endpoints.is_empty() && certificate.files.is_empty();
        nowhere
            || certificate.endpoints.iter().any(|(_, place)| place.current)
            || certificate.files.iter().any(|(_, held)| held.current)
    };
    let rows = Lister::new(&compared, &[]).certificates(&settings.policy.thresholds);
    let asked = rows.iter().filter(|row| query.matches(Candidate::of(*row, None), as_of));
    let asked: HashSet<&str> = asked.map(|row| row.sha256.as_str()).collect();
    let wanted = |certificate: &&StoredCertificate| {
        query.is_everything() || asked.contains(certificate.sha256.as_str())
    };
    let shown = certificates.iter().filter(served).filter(wanted);
    let shown: Vec<Shown<'_>> = shown.map(|found| concluded.show(found)).collect();
    match format {
        Format::Json => print_json_list(&shown, Shown::json),
        Format::Text if shown.is_empty() => print("no certificates\n"),
        Format::Text => print(&table(&shown)),
    }
}

/// How much of a hash names a certificate on the command line, at least.
const SHORTEST: usize = 4;

/// Shows a certificate with everything that is known of it, named by its hash or the beginning
/// of that.
pub(crate) async fn show(settings: &Settings, name: &str, format: Format) -> Result<()> {
    let store = Store::open(&settings.database, OpenMode::ReadOnly).await?;
    let dossier = find(&store, name, u32::MAX).await?;
    match format {
        Format::Json => print_json(&whole_json(settings, &store, &dossier).await?),
        Format::Text => {
            let told = judged(settings, &store, &dossier, |shown| text(shown, &shown.chains()));
            print(&told.await??)
        }
    }
}

/// The certificate's JSON with its chains; of places, files and predecessors at most so many.
pub(crate) async fn told(
    settings: &Settings,
    store: &Store,
    name: &str,
    most: u32,
) -> Result<Value> {
    whole_json(settings, store, &find(store, name, most).await?).await
}

/// What is to be told of a certificate as it was judged: as the last review left it, and where it
/// did not say all that there is to say, as it follows from the whole inventory.
async fn judged<T>(
    settings: &Settings,
    store: &Store,
    dossier: &CertificateDossier,
    tell: impl Fn(&Shown<'_>) -> T,
) -> Result<T> {
    let as_of = clock::now();
    match Settled::new(dossier, &settings.policy.anchors, as_of) {
        Some(settled) => Ok(tell(&settled.show())),
        None => compared(settings, store, dossier, tell).await,
    }
}

async fn compared<T>(
    settings: &Settings,
    store: &Store,
    dossier: &CertificateDossier,
    tell: impl Fn(&Shown<'_>) -> T,
) -> Result<T> {
    let as_of = clock::now();
    let compared = store.compare(as_of, &settings.policy).await?;
    let concluded = Concluded::new(&compared, settings.policy.thresholds, as_of);
    Ok(tell(&concluded.show(&dossier.certificate)))
}

/// The same as [`told`] by comparing the whole inventory, whatever is listed.
#[cfg(test)]
pub(crate) async fn compared_json(
    settings: &Settings,
    store: &Store,
    name: &str,
    most: u32,
) -> Result<Value> {
    let dossier = find(store, name, most).await?;
    let value = compared(settings, store, &dossier, shown_json).await??;
    Ok(with_places(value, &dossier))
}

async fn whole_json(
    settings: &Settings,
    store: &Store,
    dossier: &CertificateDossier,
) -> Result<Value> {
    let value = judged(settings, store, dossier, shown_json).await??;
    Ok(with_places(value, dossier))
}

fn shown_json(shown: &Shown<'_>) -> Result<Value> {
    let mut value = serde_json::to_value(shown.json())?;
    value["chains"] = json!(shown.chains());
    Ok(value)
}

/// With what is the same however it was judged.
fn with_places(mut value: Value, dossier: &CertificateDossier) -> Value {
    let findings = dossier.findings.iter().map(|stored| {
        finding::owned(stored, dossier.finding_owners.get(&stored.id).into_iter().flatten())
    });
    let replaced = dossier.others.iter().map(|(asset, place)| {
        let mut value = json!(PlaceJson::from(place));
        value["asset"] = asset.0.into();
        value["sha256"] = place.sha256.clone().into();
        value["current"] = place.current.into();
        value["first_seen"] = place.first_seen.to_string().into();
        value["last_seen"] = place.last_seen.to_string().into();
        value
    });
    value["endpoint_count"] = dossier.current_places.into();
    value["file_count"] = dossier.current_files.into();
    value["replaced"] = replaced.collect();
    value["findings"] = json!(findings.collect::<Vec<_>>());
    value
}

/// The certificate whose hash begins like that.
async fn find(store: &Store, name: &str, most: u32) -> Result<CertificateDossier> {
    let name = name.to_lowercase().replace(':', "");
    if name.len() < SHORTEST || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!(Unusable(format!(
            "{name:?} is not a SHA-256 in hexadecimal, or its first {SHORTEST} digits or more"
        )));
    }
    match store.certificates_named(&name).await? {
        Some((sha256, 1)) => Ok(store.certificate(&sha256, most, clock::now()).await?),
        Some((_, several)) => {
            bail!(Unusable(format!("{several} certificates begin with {name}: give more digits")))
        }
        None => bail!(Absent(format!("there is no certificate {name}"))),
    }
}

fn places(certificate: &StoredCertificate) -> Vec<String> {
    let current = certificate.endpoints.iter().filter(|(_, place)| place.current);
    let mut places: Vec<String> =
        current.map(|(_, place)| format!("{}:{}", place.address, place.port)).collect();
    places.dedup();
    let held = certificate.files.iter().filter(|(_, held)| held.current);
    places.extend(held.map(|(file, _)| format!("{}:{}", file.vantage.name, file.path)));
    places
}

fn key(certificate: &StoredCertificate) -> String {
    let bits = certificate.key_bits.map_or_else(String::new, |bits| format!(" {bits}"));
    format!("{}{bits}", certificate.key_algorithm)
}

pub(super) fn table(certificates: &[Shown<'_>]) -> String {
    let mut table =
        Table::new(&["not after", "subject", "issuer", "key", "trust", "owner", "where", "sha256"]);
    for shown in certificates {
        let certificate = shown.stored;
        table.row([
            certificate.not_after.map_or_else(|| "unknown".to_owned(), |at| at.to_string()),
            certificate.subject.clone(),
            certificate.issuer.clone(),
            key(certificate),
            shown.trust_text(),
            shown.owners_text(),
            places(certificate).join(" "),
            certificate.sha256.chars().take(16).collect(),
        ]);
    }
    table.render()
}

/// A line for each thing that there is to know.
fn text(shown: &Shown<'_>, chains: &[ChainJson]) -> Result<String> {
    let certificate = shown.stored;
    let moment =
        |at: Option<model::Timestamp>| at.map_or_else(|| "unknown".to_owned(), |at| at.to_string());
    let mut text = String::new();
    let mut line = |what: &str, value: &str| {
        if value.is_empty() { Ok(()) } else { writeln!(text, "{what:<12} {}", printable(value)) }
    };
    line("sha256", &certificate.sha256)?;
    line("subject", &certificate.subject)?;
    line("issuer", &certificate.issuer)?;
    line("serial", &certificate.serial)?;
    line("names", &certificate.names.join(" "))?;
    line("key", &key(certificate))?;
    line("signature", &certificate.signature_algorithm)?;
    line("not before", &moment(certificate.not_before))?;
    line("not after", &moment(certificate.not_after))?;
    line("renew by", &moment(shown.renew_by))?;
    line("trust", &shown.trust_text())?;
    line("owner", &shown.owners_text())?;
    line("first seen", &certificate.first_seen.to_string())?;
    line("last seen", &certificate.last_seen.to_string())?;
    for place in places(certificate) {
        line("where", &place)?;
    }
    for chain in chains {
        let named = |link: &crate::report::json::LinkJson| {
            link.subject.clone().unwrap_or_else(|| link.sha256.clone())
        };
        let path: Vec<String> = chain.path.iter().map(named).collect();
        line("chain", &path.join(" <- "))?;
        for problem in &chain.problems {
            line("  refused", &problem.detail)?;
        }
    }
    for anomaly in &certificate.anomalies {
        line("anomaly", anomaly)?;
    }
    Ok(text)
}
