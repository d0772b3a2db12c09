//! A record out of every certificate of the corpus, which is not part of this repository:
//! the test reads it where the variable DAICHO_CORPUS points, and says so where it does not.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::allow_attributes,
    reason = "a test prints its count and may fail loudly"
)]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use certs::{Certificate, certificates_in, parse};

/// The corpus, or `None`, said aloud.
fn corpus() -> Option<PathBuf> {
    let root = env::var_os("DAICHO_CORPUS");
    if root.is_none() {
        println!("DAICHO_CORPUS is not set: the corpus was not read");
    }
    root.map(|root| {
        let root = PathBuf::from(root);
        // Tests run in their package's folder, the variable is written in the workspace's.
        let root = if root.is_absolute() { root } else { Path::new("..").join(root) };
        root.join("certificates")
    })
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the corpus can be read") {
        let path = entry.expect("the corpus can be read").path();
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push(path);
        }
    }
    out.sort();
}

fn records(path: &Path) -> Vec<Certificate> {
    let file = fs::read(path).expect("the corpus can be read");
    certificates_in(&file).iter().map(|der| parse(der)).collect()
}

/// Whether the file is said to hold a certificate: by its PEM label, or, for DER, by not being
/// one of the other things that the corpus holds.
fn claims_a_certificate(path: &Path) -> bool {
    let file = fs::read(path).expect("the corpus can be read");
    let text = String::from_utf8_lossy(&file);
    if text.contains("-----BEGIN ") {
        return text.contains("CERTIFICATE-----")
            && text.lines().any(|line| {
                line.starts_with("-----BEGIN ")
                    && line.contains("CERTIFICATE-----")
                    && !line.contains("REQUEST")
            });
    }
    let other = ["request", "ocsp", "crl", "csr", "key", "p12", "req", "tbs"];
    let name = path.to_string_lossy().to_lowercase();
    path.extension().is_some_and(|extension| extension == "der" || extension == "crt")
        && !other.iter().any(|word| name.contains(word))
}

#[test]
fn every_certificate_yields_a_record() {
    let Some(root) = corpus() else { return };
    let mut all = Vec::new();
    for folder in ["zlint", "pyca", "openssl", "x509-parser", "ct-go"] {
        files(&root.join(folder), &mut all);
    }
    let (mut held, mut certificates, mut refused) = (0, 0, 0);
    let mut problems: BTreeMap<String, usize> = BTreeMap::new();
    let mut without = Vec::new();
    for path in all.iter().filter(|path| claims_a_certificate(path)) {
        held += 1;
        let records = records(path);
        certificates += records.len();
        refused += records.iter().filter(|record| !record.anomalies.is_empty()).count();
        for anomaly in records.iter().flat_map(|record| &record.anomalies) {
            *problems.entry(anomaly.problem.clone()).or_default() += 1;
        }
        if records.is_empty() || !records.iter().all(Certificate::is_recognisable) {
            without.push(path.clone());
        }
    }
    println!(
        "{held} files hold {certificates} certificates, {refused} of them with anomalies, \
         {} without a record",
        without.len()
    );
    for (problem, times) in problems {
        println!("{times:5} {problem}");
    }
    assert!(without.is_empty(), "no record out of {without:#?}");
    assert!(held >= 1232, "the corpus has only {held} certificate files");
}
