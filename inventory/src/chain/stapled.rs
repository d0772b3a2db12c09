//! What servers staple to their certificates: the word of the authority, brought by the server.

use std::collections::{BTreeMap, HashMap, HashSet};

use certs::{
    Certificate,
    revocation::{Response, Signer, Status},
};
use model::{Endpoint, Site, Timestamp};

use super::Evidence;

/// An OCSP response and where it was stapled to what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stapled {
    /// The site of the server.
    pub site: Site,
    /// The server.
    pub endpoint: Endpoint,
    /// SHA-256 of the certificate's DER, lower-case hexadecimal.
    pub certificate: String,
    /// The response, in DER as it came: nobody has looked into it. At most
    /// [`model::Observation::MAX_OCSP_RESPONSE`] bytes.
    pub response: Vec<u8>,
    /// When it came.
    pub last_seen: Timestamp,
}

/// The certificates that their issuer, or whom it appointed, has revoked by one of the
/// responses. One that is outdated still counts: what is revoked stays so.
pub(super) fn revoked<'a>(
    evidence: &Evidence<'a>,
    known: &HashMap<&'a str, &'a Certificate>,
) -> HashSet<&'a str> {
    if evidence.stapled.is_empty() {
        return HashSet::new();
    }
    let mut by_name: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    for certificate in evidence.certificates {
        if let Some(der) = evidence.ders.get(&certificate.sha256) {
            by_name.entry(&certificate.subject).or_default().push(der);
        }
    }
    let is_revoked = |stapled: &&Stapled| {
        let certificate = known.get(stapled.certificate.as_str());
        let der = evidence.ders.get(&stapled.certificate);
        let (Some(certificate), Some(der)) = (certificate, der) else { return false };
        let issuers = by_name.get(certificate.issuer.as_str()).into_iter().flatten().copied();
        let said = Response::read(&stapled.response, der, issuers);
        said.is_ok_and(|said| {
            matches!(said.status, Status::Revoked(_)) && said.signer == Signer::Issuer
        })
    };
    let all = evidence.stapled.iter().filter(is_revoked);
    all.map(|stapled| stapled.certificate.as_str()).collect()
}
