use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Entry, Field, LineProblem, Reason, RegisterKind, Row, device::joined, fold, value};

/// A certification authority whose certificates may be served.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IssuerEntry {
    /// Its name: the common name, the organisation, or the whole distinguished name.
    pub name: Option<String>,
    /// SHA-256 of its certificates' DER, lower-case hexadecimal, sorted.
    pub certificate_hashes: Vec<String>,
    /// SHA-256 of its keys' SubjectPublicKeyInfo, lower-case hexadecimal, sorted.
    pub key_hashes: Vec<String>,
    /// The cells under headings that we do not know.
    pub extra: BTreeMap<String, String>,
}

impl Entry for IssuerEntry {
    const KIND: RegisterKind = RegisterKind::Issuer;

    fn from_row(row: &Row<'_>) -> Result<Self, Vec<LineProblem>> {
        let mut problems = Vec::new();
        let entry = Self {
            name: row.optional(Field::Issuer),
            certificate_hashes: row.values(Field::CertificateHash, &mut problems, value::hashes),
            key_hashes: row.values(Field::KeyHash, &mut problems, value::hashes),
            extra: row.extra(),
        };
        let named = entry.name.as_ref().is_some_and(|name| !fold(name).is_empty());
        let hashed = !entry.certificate_hashes.is_empty() || !entry.key_hashes.is_empty();
        if problems.is_empty() && !named && !hashed {
            problems.push(row.problem(None, Reason::Nameless("issuer")));
        }
        if problems.is_empty() { Ok(entry) } else { Err(problems) }
    }

    fn label(&self) -> String {
        let hashes = self.certificate_hashes.iter().chain(&self.key_hashes);
        self.name.iter().chain(hashes).next().cloned().unwrap_or_default()
    }

    fn key(&self) -> String {
        fold(&self.label())
    }

    fn cells(&self) -> Vec<(Field, String)> {
        vec![
            (Field::Issuer, self.name.clone().unwrap_or_default()),
            (Field::CertificateHash, joined(&self.certificate_hashes)),
            (Field::KeyHash, joined(&self.key_hashes)),
        ]
    }

    fn extra(&self) -> &BTreeMap<String, String> {
        &self.extra
    }

    fn unique(&self) -> Vec<(Field, String)> {
        let certificates =
            self.certificate_hashes.iter().map(|hash| (Field::CertificateHash, hash.clone()));
        let keys = self.key_hashes.iter().map(|hash| (Field::KeyHash, hash.clone()));
        certificates.chain(keys).collect()
    }
}
