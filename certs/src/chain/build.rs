//! Candidate paths: from the leaf to whoever bears its issuer's name and did sign it.
//!
//! Sets of certificates may be hostile: thousands of namesakes, loops, authorities that all
//! certified each other. So each step has to be paid for out of one budget.

use std::collections::HashMap;

use super::pool::{Link, Pool, Roots};
use crate::{rules::Trust, verify};

/// How many signatures are checked for one question. A chain in use needs two or three; a
/// bridge between authorities some twenty.
const SIGNATURES: usize = 200;

/// How many steps from a certificate to a possible issuer are taken.
const STEPS: usize = 1_000;

/// How many namesakes of one issuer are tried, those with the right key identifier first.
const NAMESAKES: usize = 32;

/// How many paths are handed on.
const PATHS: usize = 16;

/// How many certificates a path has below its root: what the verifier allows.
const LENGTH: usize = 7;

/// The leaf and the certificates above it.
#[derive(Clone, Debug)]
pub(super) struct Path<'p> {
    /// From the leaf upwards, without the root. Never empty.
    pub(super) links: Vec<&'p Link<'p>>,
    /// The root, and who trusts it; `None` for a path that leads nowhere. A leaf that is
    /// itself a root has itself here.
    pub(super) root: Option<(&'p Link<'p>, Trust)>,
    /// Whether somebody bore the name of the last one's issuer and had not signed it.
    pub(super) forged: bool,
}

impl<'p> Path<'p> {
    pub(super) fn of(leaf: &'p Link<'p>) -> Self {
        Self { links: vec![leaf], root: None, forged: false }
    }

    pub(super) fn leaf(&self) -> Option<&'p Link<'p>> {
        self.links.first().copied()
    }

    pub(super) fn last(&self) -> Option<&'p Link<'p>> {
        self.links.last().copied()
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found<'p> {
    /// The paths to roots; if there are none, the longest that leads nowhere.
    pub(super) paths: Vec<Path<'p>>,
    /// Whether there was more than the budget allowed to look at.
    pub(super) given_up: bool,
}

/// The paths from a leaf through these pools to these roots.
pub(super) fn paths<'p>(
    leaf: &'p Link<'p>,
    pools: &[&'p Pool<'p>],
    roots: &'p Roots<'p>,
) -> Found<'p> {
    let mut builder = Builder {
        pools,
        roots,
        signatures: SIGNATURES,
        steps: STEPS,
        signed: HashMap::new(),
        found: Vec::new(),
        longest: Path::of(leaf),
        given_up: false,
    };
    if let Some(root) = roots.itself(leaf) {
        builder.found.push(Path { root: Some(root), ..Path::of(leaf) });
    }
    builder.extend(&mut Path::of(leaf));
    let paths = if builder.found.is_empty() { vec![builder.longest] } else { builder.found };
    Found { paths, given_up: builder.given_up }
}

struct Builder<'p, 'b> {
    pools: &'b [&'p Pool<'p>],
    roots: &'p Roots<'p>,
    signatures: usize,
    steps: usize,
    /// Who signed whom, by hash.
    signed: HashMap<(String, String), Option<bool>>,
    found: Vec<Path<'p>>,
    longest: Path<'p>,
    given_up: bool,
}

impl<'p> Builder<'p, '_> {
    /// Goes on from the end of a path in every way, depth first; roots are tried first.
    fn extend(&mut self, path: &mut Path<'p>) {
        let Some(last) = path.last() else { return };
        let mut forged = false;
        let roots = self.roots;
        let mut anchors: Vec<(&'p Link<'p>, Trust)> = roots.issuers(last).take(NAMESAKES).collect();
        anchors.sort_by_key(|(root, _)| !key_fits(last, root));
        for (root, trust) in anchors {
            if self.found.len() >= PATHS || !self.pay() {
                return;
            }
            match self.has_signed(root, last) {
                Some(false) => forged = true,
                // What we cannot check is for the verifier to refuse.
                Some(true) | None => {
                    let mut whole = path.clone();
                    whole.root = Some((root, trust));
                    self.found.push(whole);
                }
            }
        }
        let mut went_on = false;
        for next in self.candidates(last) {
            if path.links.iter().any(|link| link.is_same_authority(next)) {
                continue;
            }
            if path.links.len() >= LENGTH || self.found.len() >= PATHS || !self.pay() {
                break;
            }
            if self.has_signed(next, last) == Some(false) {
                forged = true;
                continue;
            }
            went_on = true;
            path.links.push(next);
            self.extend(path);
            path.links.pop();
        }
        if !went_on && path.links.len() >= self.longest.links.len() {
            self.longest = Path { forged, ..path.clone() };
        }
    }

    /// The issuers that it may have, those with the right key first, then in the order of the
    /// pools; a certificate that is in two of them stands once.
    fn candidates(&mut self, of: &Link<'_>) -> Vec<&'p Link<'p>> {
        let mut out: Vec<&'p Link<'p>> = Vec::new();
        for fits in [true, false] {
            for pool in self.pools {
                let pool: &'p Pool<'p> = pool;
                for link in pool.named(of.parts.issuer) {
                    if out.len() >= NAMESAKES {
                        self.given_up = true;
                        return out;
                    }
                    if key_fits(of, link) == fits && !out.iter().any(|seen| seen.der == link.der) {
                        out.push(link);
                    }
                }
            }
        }
        out
    }

    fn pay(&mut self) -> bool {
        let left = self.steps.checked_sub(1);
        self.steps = left.unwrap_or(0);
        self.given_up |= left.is_none();
        left.is_some()
    }

    fn has_signed(&mut self, issuer: &Link<'_>, below: &Link<'_>) -> Option<bool> {
        let pair = (issuer.certificate.sha256.clone(), below.certificate.sha256.clone());
        if let Some(known) = self.signed.get(&pair) {
            return *known;
        }
        let Some(left) = self.signatures.checked_sub(1) else {
            self.given_up = true;
            return Some(false);
        };
        self.signatures = left;
        let answer = verify::signed_by(
            &below.certificate,
            &below.parts,
            &issuer.certificate,
            issuer.parts.key,
        );
        self.signed.insert(pair, answer);
        answer
    }
}

/// Whether the key identifiers say that this key signed it; they need not be there.
fn key_fits(below: &Link<'_>, issuer: &Link<'_>) -> bool {
    match (&below.certificate.authority_key_id, &issuer.certificate.subject_key_id) {
        (Some(authority), Some(subject)) => authority == subject,
        _ => true,
    }
}
