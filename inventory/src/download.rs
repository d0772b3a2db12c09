//! What certificates name to be fetched: revocation lists, and the answers of OCSP responders.
//!
//! Turns the inventory into errands, and what came back into something to be relied on or a
//! reason why not. Only what leads to a root is asked about: a certificate that anybody could
//! have made must not make us send anything. It fetches nothing itself, and knows of no
//! addresses but their text.

use std::collections::{BTreeMap, HashMap, HashSet};

use certs::{
    Certificate, Trust,
    chain::{Pool, Roots},
    revocation::{self, List, ListError, Lists, Response, ResponseError, Signer, Status},
};
use model::Timestamp;
use thiserror::Error;

use crate::chain::{Anchors, Chains, Evidence};

/// What may be fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// Revocation lists.
    Lists,
    /// The answers of OCSP responders besides.
    ListsAndResponses,
}

/// Something to be fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Errand {
    /// From where, as the certificate has it.
    pub url: String,
    /// What is sought there.
    pub sought: Sought,
    /// Those who may have signed it, DER.
    issuers: Vec<Vec<u8>>,
}

/// What is sought.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sought {
    /// A revocation list.
    List,
    /// A responder's word on a certificate.
    Response {
        /// SHA-256 of the certificate's DER, lower-case hexadecimal.
        certificate: String,
        /// The certificate, DER.
        der: Vec<u8>,
        /// The question, DER (RFC 6960, section 4.1).
        request: Vec<u8>,
    },
}

/// What there is to fetch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Errands {
    /// By address and certificate.
    pub due: Vec<Errand>,
    /// How many more need not be fetched yet.
    pub fresh: usize,
}

/// What was asked for, as it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Download {
    /// From where.
    pub url: String,
    /// SHA-256 of the certificate that a response is about; empty for a list.
    pub certificate: String,
    /// What came, if it was any good. `None` leaves what came before.
    pub body: Option<Vec<u8>>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Not to be asked for before.
    pub next_at: Timestamp,
}

/// What is kept of earlier downloads.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fetched {
    /// The lists.
    pub lists: Lists,
    /// Responses, each with the hash of the certificate that it is about.
    pub responses: Vec<(String, Vec<u8>)>,
}

/// What came cannot be relied on, or not in full.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Doubt {
    /// It is no list.
    #[error(transparent)]
    List(#[from] ListError),
    /// It is no response about the certificate.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// Somebody else signed it, or in a way that is not checked here.
    #[error("it is not signed by the certificate's issuer")]
    NotIssuers,
    /// The next one was due.
    #[error("it is out of date: the next one was due at {0}")]
    Outdated(Timestamp),
    /// The responder does not know the certificate.
    #[error("the responder does not know the certificate")]
    Unknown,
}

/// When a failure is tried again, seconds.
const RETRY: i64 = 3_600;

/// When something is fetched again that does not say until when it holds, seconds.
const UNSAID: i64 = 86_400;

/// What certificates in use name, without what need not be asked for yet. `next` says when
/// that is, by address and certificate.
#[must_use]
pub fn errands(
    evidence: &Evidence<'_>,
    anchors: &Anchors,
    chains: &Chains,
    next: &HashMap<(String, String), Timestamp>,
    extent: Extent,
    as_of: Timestamp,
) -> Errands {
    let is_asked = |one: &&Certificate| {
        let names_any = !one.crl_urls.is_empty() || !one.ocsp_urls.is_empty();
        let is_over = one.not_after.is_some_and(|last| as_of > last);
        names_any && !is_over && chains.trust(&one.sha256) != Trust::Unknown
    };
    let asked: Vec<&Certificate> = evidence.certificates.iter().filter(is_asked).collect();
    let issuers = Issuers::of(&asked, evidence, anchors);
    // The same list is named by many.
    let mut all: BTreeMap<(&str, &str), Errand> = BTreeMap::new();
    for certificate in asked {
        let Some(der) = evidence.ders.get(&certificate.sha256) else { continue };
        let above = issuers.above(certificate, der);
        if above.is_empty() {
            continue;
        }
        for url in &certificate.crl_urls {
            let new = || Errand { url: url.clone(), sought: Sought::List, issuers: Vec::new() };
            let errand = all.entry((url, "")).or_insert_with(new);
            for issuer in &above {
                if !errand.issuers.iter().any(|known| known == issuer) {
                    errand.issuers.push(issuer.to_vec());
                }
            }
        }
        // Responders say the same: the first is enough.
        let responder = certificate.ocsp_urls.first();
        let responder = responder.filter(|_| extent == Extent::ListsAndResponses);
        let request = above.iter().find_map(|issuer| revocation::request(der, issuer));
        if let (Some(url), Some(request)) = (responder, request) {
            let certificate = &certificate.sha256;
            let sought =
                Sought::Response { certificate: certificate.clone(), der: der.clone(), request };
            let issuers = above.iter().map(|issuer| issuer.to_vec()).collect();
            all.insert((url, certificate), Errand { url: url.clone(), sought, issuers });
        }
    }
    let mut errands = Errands::default();
    for ((url, certificate), errand) in all {
        let next = next.get(&(url.to_owned(), certificate.to_owned()));
        match next.is_some_and(|next| as_of < *next) {
            true => errands.fresh = errands.fresh.saturating_add(1),
            false => errands.due.push(errand),
        }
    }
    errands
}

/// The certificates of those who issued others, by their names.
struct Issuers<'a>(HashMap<String, Vec<&'a [u8]>>);

impl<'a> Issuers<'a> {
    /// Those of these certificates: what the inventory holds, and the roots.
    fn of(asked: &[&Certificate], evidence: &Evidence<'a>, anchors: &'a Anchors) -> Self {
        let wanted: HashSet<&str> = asked.iter().map(|one| one.issuer.as_str()).collect();
        let mut by_name: HashMap<String, Vec<&'a [u8]>> = HashMap::new();
        let mut add = |certificate: &Certificate, der: &'a [u8]| {
            if wanted.contains(certificate.subject.as_str()) && may_sign_lists(certificate) {
                let named = by_name.entry(certificate.subject.clone()).or_default();
                if !named.contains(&der) {
                    named.push(der);
                }
            }
        };
        for certificate in evidence.certificates {
            if let Some(der) = evidence.ders.get(&certificate.sha256) {
                add(certificate, der);
            }
        }
        if !wanted.is_empty() {
            for der in anchors.public.iter().chain(&anchors.own) {
                add(&certs::parse(der), der);
            }
        }
        Self(by_name)
    }

    /// Those that issued this one. Nobody is asked about a root: who signs himself would
    /// vouch for himself.
    fn above(&self, certificate: &Certificate, der: &[u8]) -> Vec<&'a [u8]> {
        if certificate.subject == certificate.issuer {
            return Vec::new();
        }
        let named = self.0.get(&certificate.issuer).into_iter().flatten().copied();
        named.filter(|issuer| revocation::request(der, issuer).is_some()).collect()
    }
}

/// Whether verifiers take a list of its. One that they do not would be held against the
/// certificate.
fn may_sign_lists(certificate: &Certificate) -> bool {
    certificate.key_usage.is_empty() || certificate.key_usage.iter().any(|use_| use_ == "cRLSign")
}

impl Errand {
    /// What is to be kept of what came, and what is wrong with it.
    #[must_use]
    pub fn keep(&self, body: Vec<u8>, as_of: Timestamp) -> (Download, Option<Doubt>) {
        let judged = match &self.sought {
            Sought::List => self.judge_list(&body, as_of),
            Sought::Response { der, .. } => self.judge_response(&body, der, as_of),
        };
        let (next, doubt) = match judged {
            Ok((next, doubt)) => (next, doubt),
            Err(doubt) => return (self.failed(as_of), Some(doubt)),
        };
        let next_at = match next {
            Some(next) if next > as_of => next,
            Some(_) => as_of.plus_seconds(RETRY),
            None => as_of.plus_seconds(UNSAID),
        };
        (Download { body: Some(body), next_at, ..self.failed(as_of) }, doubt)
    }

    /// That nothing came.
    #[must_use]
    pub fn failed(&self, as_of: Timestamp) -> Download {
        let certificate = match &self.sought {
            Sought::List => String::new(),
            Sought::Response { certificate, .. } => certificate.clone(),
        };
        let next_at = as_of.plus_seconds(RETRY);
        Download { url: self.url.clone(), certificate, body: None, asked_at: as_of, next_at }
    }

    /// Until when it holds, and what is to be told of it though it is kept.
    fn judge_list(&self, body: &[u8], as_of: Timestamp) -> Result<Judged, Doubt> {
        let lists = List::all_in(body)?;
        let pool = Pool::new(self.issuers.iter().map(Vec::as_slice));
        let nobody = Roots::new([], []);
        let is_theirs = |list: &List| list.standing(&pool, &nobody, as_of).signer == Signer::Issuer;
        if !lists.iter().all(is_theirs) {
            return Err(Doubt::NotIssuers);
        }
        let next = lists.iter().filter_map(|list| list.next_update).min();
        // What is revoked stays so: an old list is better than none.
        Ok((next, outdated(next, as_of)))
    }

    fn judge_response(&self, body: &[u8], der: &[u8], as_of: Timestamp) -> Result<Judged, Doubt> {
        let said = Response::read(body, der, self.issuers.iter().map(Vec::as_slice))?;
        if said.signer != Signer::Issuer {
            return Err(Doubt::NotIssuers);
        }
        let doubt = match said.status {
            Status::Unknown => Some(Doubt::Unknown),
            Status::Good | Status::Revoked(_) => outdated(said.next_update, as_of),
        };
        Ok((said.next_update, doubt))
    }
}

type Judged = (Option<Timestamp>, Option<Doubt>);

fn outdated(next: Option<Timestamp>, as_of: Timestamp) -> Option<Doubt> {
    next.filter(|next| as_of > *next).map(Doubt::Outdated)
}
