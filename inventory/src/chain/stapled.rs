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
/// responses, stapled or fetched. One that is outdated still counts: what is revoked stays so.
/// The issuer is in the inventory, or among these roots, which need not be served.
pub(super) fn revoked<'a>(
    evidence: &Evidence<'a>,
    known: &HashMap<&'a str, &'a Certificate>,
    own: &[&[u8]],
    public: &[Vec<u8>],
) -> HashSet<&'a str> {
    let stapled = evidence.stapled.iter().map(|one| (&one.certificate, &one.response));
    let fetched = evidence.fetched.responses.iter().map(|(certificate, body)| (certificate, body));
    let responses: Vec<(&'a String, &'a Vec<u8>)> = stapled.chain(fetched).collect();
    if responses.is_empty() {
        return HashSet::new();
    }
    let mut by_name: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
    for certificate in evidence.certificates {
        if let Some(der) = evidence.ders.get(&certificate.sha256) {
            by_name.entry(certificate.subject.clone()).or_default().push(der);
        }
    }
    for der in own.iter().copied().chain(public.iter().map(Vec::as_slice)) {
        by_name.entry(certs::parse(der).subject).or_default().push(der);
    }
    let is_revoked = |(of, response): &(&'a String, &'a Vec<u8>)| {
        let certificate = known.get(of.as_str());
        let (Some(certificate), Some(der)) = (certificate, evidence.ders.get(*of)) else {
            return false;
        };
        let issuers = by_name.get(&certificate.issuer).into_iter().flatten().copied();
        let said = Response::read(response, der, issuers);
        said.is_ok_and(|said| {
            matches!(said.status, Status::Revoked(_)) && said.signer == Signer::Issuer
        })
    };
    let all = responses.into_iter().filter(is_revoked);
    all.map(|(certificate, _)| certificate.as_str()).collect()
}
