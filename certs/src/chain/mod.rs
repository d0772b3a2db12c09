//! Whether a client would accept a server's chain, and every reason why not.
//!
//! The paths are built here, from what was served and what the inventory holds; whether one is
//! valid is rustls-webpki's word. It ends at the first reason and knows no inventory, so its
//! question is put again with each reason waived until none is left: an administrator who is
//! told of the expired leaf alone would be told of the wrong name a day later.
//!
//! The work is bounded however many certificates there are: an issuer is looked up by its name
//! and has to have signed what it is said to have issued before the path goes on from it.

mod ask;
mod build;
mod pool;

use std::fmt;

use model::Timestamp;

use crate::{revocation::Lists, rules::Trust};

pub use pool::{Pool, Roots};

use build::Path;
use pool::Link;

/// What a client is about to accept.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The server's own certificate, DER.
    pub leaf: &'a [u8],
    /// What came with it, in any order: DER. Of more than [`Question::SERVED`] only the first
    /// are read.
    pub served: &'a [&'a [u8]],
    /// The DNS name or the address by which the client knows the server. `None`: it does not
    /// matter.
    pub name: Option<&'a str>,
    /// The moment.
    pub as_of: Timestamp,
    /// What for.
    pub purpose: Purpose,
    /// Revocation lists. An issuer without one revokes nothing, and an outdated list still
    /// revokes what it names.
    pub lists: &'a Lists,
}

impl Question<'_> {
    /// How many certificates a client reads that came with a leaf. Servers send one to five;
    /// some send every root that they know.
    pub const SERVED: usize = 512;
}

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Purpose {
    /// To identify a TLS server.
    Server,
    /// To identify a TLS client.
    Client,
}

/// The answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgement {
    /// Who trusts the root that the path leads to, be it valid or not. `Unknown` where it
    /// leads to none.
    pub trust: Trust,
    /// The best path that there is, from the leaf to the root, as far as it goes: SHA-256 in
    /// lower-case hexadecimal.
    pub path: Vec<String>,
    /// Why the chain as it was served is refused, none twice. Empty: it is accepted.
    pub reasons: Vec<Reason>,
}

/// A reason to refuse a chain. Certificates are named by their SHA-256.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// The leaf's validity is over.
    ExpiredLeaf,
    /// The validity of this certificate above it is over.
    ExpiredIntermediate(String),
    /// The root's validity is over.
    ExpiredRoot(String),
    /// The validity of this certificate has not begun.
    NotYetValid(String),
    /// An issuer was not served, which clients must have to reach a root.
    MissingIntermediate {
        /// Its name, an RFC 4514 string.
        issuer: String,
        /// It, if the inventory holds it. What is missing beyond it has a reason of its own.
        held: Option<String>,
    },
    /// The chain leads to nobody whom the client trusts: this name (RFC 4514) is that of an
    /// unknown root, or nothing is known of its bearer.
    UnknownIssuer(String),
    /// The leaf is its own issuer, and nobody made it a root.
    SelfSigned,
    /// The certificate is for other names.
    NameMismatch,
    /// The certificate of this hash was not signed by who is said to have issued it.
    BadSignature(String),
    /// A revocation list names one of the certificates.
    Revoked,
    /// A revocation list that is the issuer's cannot be relied on. Why, in plain words.
    BadList(String),
    /// One of the certificates is not for this use. Which, in plain words.
    WrongUsage(String),
    /// An authority was not allowed to issue what is below it. Why, in plain words.
    Constraint(String),
    /// Something that clients do not understand or no longer accept. What, in plain words.
    Unsupported(String),
    /// The certificates are more entangled than is worth the work.
    TooComplex,
}

impl Reason {
    /// Its name in the command line, in JSON and in the database.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ExpiredLeaf => "expired-leaf",
            Self::ExpiredIntermediate(_) => "expired-intermediate",
            Self::ExpiredRoot(_) => "expired-root",
            Self::NotYetValid(_) => "not-yet-valid",
            Self::MissingIntermediate { .. } => "missing-intermediate",
            Self::UnknownIssuer(_) => "unknown-issuer",
            Self::SelfSigned => "self-signed",
            Self::NameMismatch => "name-mismatch",
            Self::BadSignature(_) => "bad-signature",
            Self::Revoked => "revoked",
            Self::BadList(_) => "bad-list",
            Self::WrongUsage(_) => "wrong-usage",
            Self::Constraint(_) => "constraint",
            Self::Unsupported(_) => "unsupported",
            Self::TooComplex => "too-complex",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExpiredLeaf => f.write_str("the certificate has expired"),
            Self::ExpiredIntermediate(which) => write!(f, "the intermediate {which} has expired"),
            Self::ExpiredRoot(which) => write!(f, "the root {which} has expired"),
            Self::NotYetValid(which) => write!(f, "the certificate {which} is not valid yet"),
            Self::MissingIntermediate { issuer, held: Some(held) } => {
                write!(f, "the intermediate {issuer:?} is not served; the inventory has it: {held}")
            }
            Self::MissingIntermediate { issuer, held: None } => {
                write!(
                    f,
                    "the intermediate {issuer:?} is not served, nor does the inventory have it"
                )
            }
            Self::UnknownIssuer(issuer) => write!(f, "the issuer {issuer:?} is not known"),
            Self::SelfSigned => f.write_str("the certificate signed itself"),
            Self::NameMismatch => f.write_str("the certificate is for other names"),
            Self::BadSignature(which) => {
                write!(f, "the certificate {which} was not signed by its issuer")
            }
            Self::Revoked => f.write_str("a certificate was revoked"),
            Self::BadList(why) => write!(f, "a revocation list cannot be relied on: {why}"),
            Self::WrongUsage(what) | Self::Constraint(what) | Self::Unsupported(what) => {
                f.write_str(what)
            }
            Self::TooComplex => f.write_str("the certificates are too entangled"),
        }
    }
}

/// Judges a chain as a client would that has these roots, and says what the inventory could
/// add to it.
#[must_use]
pub fn judge(question: &Question<'_>, inventory: &Pool<'_>, roots: &Roots<'_>) -> Judgement {
    let leaf = Link::new(question.leaf);
    let served = Pool::new(question.served.iter().copied().take(Question::SERVED));
    let mut best: Option<(Vec<Reason>, Path<'_>)> = None;
    let mut too_complex = question.served.len() > Question::SERVED;
    for pools in [&[&served][..], &[&served, inventory]] {
        let found = build::paths(&leaf, pools, roots);
        too_complex |= found.given_up;
        for path in found.paths {
            let mut reasons = ask::reasons(question, &path);
            reasons.extend(not_served(&path, question, &served));
            let better = best
                .as_ref()
                .is_none_or(|(so_far, shorter)| rank(&path, &reasons) < rank(shorter, so_far));
            if reasons.is_empty() {
                return answer(reasons, &path);
            }
            if better {
                best = Some((reasons, path));
            }
        }
    }
    let (mut reasons, path) = best.unwrap_or_else(|| (Vec::new(), Path::of(&leaf)));
    if too_complex && path.root.is_none() {
        reasons.push(Reason::TooComplex);
    }
    answer(reasons, &path)
}

/// Whether the leaf in these bytes is for a client that asks for that DNS name or address, as
/// the verifier sees it. `None` where it cannot read the leaf, or the name is none.
#[must_use]
pub fn is_for(leaf: &[u8], name: &str) -> Option<bool> {
    ask::is_for(leaf, name)
}

/// Smaller is better: to reach a root counts most, then the number of reasons, then to get far.
fn rank(path: &Path<'_>, reasons: &[Reason]) -> (bool, usize, usize) {
    (path.root.is_none(), reasons.len(), usize::MAX.saturating_sub(path.links.len()))
}

fn answer(reasons: Vec<Reason>, path: &Path<'_>) -> Judgement {
    let root = path.root.as_ref();
    let mut hashes: Vec<String> =
        path.links.iter().map(|link| link.certificate.sha256.clone()).collect();
    hashes.extend(root.map(|(root, _)| root.certificate.sha256.clone()));
    // A root that was asked for by itself stands there once.
    hashes.dedup();
    Judgement { trust: root.map_or(Trust::Unknown, |(_, trust)| *trust), path: hashes, reasons }
}

/// What the path has from the inventory alone, for which a client would ask in vain.
fn not_served<'p>(
    path: &'p Path<'_>,
    question: &'p Question<'_>,
    served: &'p Pool<'_>,
) -> impl Iterator<Item = Reason> + 'p {
    let above = path.links.iter().filter(|link| link.der != question.leaf);
    // The end of a path that leads to no root of ours may be somebody's root: those need not
    // be served.
    let end = path.last().filter(|last| path.root.is_none() && last.names_itself());
    let above = above.filter(move |link| end.is_none_or(|end| end.der != link.der));
    above.filter(|link| !served.has(&link.certificate.sha256)).map(|link| {
        Reason::MissingIntermediate {
            issuer: link.certificate.subject.clone(),
            held: Some(link.certificate.sha256.clone()),
        }
    })
}
