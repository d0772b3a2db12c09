//! Verdicts of before that still hold.
//!
//! A verdict depends on the chain, on the roots, the authorities and the lists that are known,
//! and on the time; on that only where a validity begins or ends. So it is kept with a digest
//! of the former and the two moments between which nothing of the latter changes.

use std::collections::HashMap;

use certs::{
    chain::{Judgement, Purpose},
    revocation::{List, Lists},
};
use model::Timestamp;
use ring::digest::{Context, SHA256};

use super::{Anchors, Chain};
use crate::hex::hex;

/// Verdicts by the digest of what was asked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Memory {
    /// The digest of what they depend on.
    pub(crate) basis: String,
    pub(crate) verdicts: HashMap<String, Remembered>,
}

/// A verdict and when it holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Remembered {
    pub(crate) since: Timestamp,
    /// The first moment at which it may be another.
    pub(crate) until: Timestamp,
    pub(crate) judgement: Judgement,
}

impl Memory {
    /// The verdict, if it holds at that moment on that basis.
    pub(crate) fn recall(&self, asked: &str, basis: &str, as_of: Timestamp) -> Option<&Judgement> {
        let kept = self.verdicts.get(asked).filter(|_| self.basis == basis)?;
        (kept.since <= as_of && as_of < kept.until).then_some(&kept.judgement)
    }
}

/// The digest of a question.
pub(super) fn asked(chain: &Chain, purpose: Purpose) -> String {
    let purpose = match purpose {
        Purpose::Server => "server",
        Purpose::Client => "client",
    };
    let above = chain.above.iter().map(String::as_str);
    digest([purpose, &chain.leaf].into_iter().chain(above).map(str::as_bytes))
}

/// The digest of what every verdict depends on.
pub(super) fn basis<'a>(
    anchors: &'a Anchors,
    lists: &Lists,
    issuers: impl Iterator<Item = &'a [u8]>,
) -> String {
    let public = digest(anchors.public.iter().map(Vec::as_slice));
    let own = digest(anchors.own.iter().map(Vec::as_slice));
    let issuers = digest(issuers);
    let lists = digest(lists.iter().map(|list: &List| list.sha256.as_bytes()));
    // The rules by which chains are judged are the program's.
    let version = env!("CARGO_PKG_VERSION");
    digest([&public, &own, &issuers, &lists, version].into_iter().map(str::as_bytes))
}

/// The moments around `as_of` between which none of these lies: the last that came, the first
/// to come.
pub(super) fn around(
    moments: impl Iterator<Item = Timestamp>,
    as_of: Timestamp,
) -> (Timestamp, Timestamp) {
    let ends = (Timestamp::from_seconds(i64::MIN), Timestamp::from_seconds(i64::MAX));
    moments.fold(ends, |(since, until), moment| match moment <= as_of {
        true => (since.max(moment), until),
        false => (since, until.min(moment)),
    })
}

/// SHA-256 over these and their lengths, so that no two lists look alike.
fn digest<'a>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    hex(context.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use certs::Trust;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_verdict_holds_between_two_moments_and_on_its_basis() {
        assert_eq!(around([at(5), at(1), at(9), at(7)].into_iter(), at(5)), (at(5), at(7)));
        let (since, until) = around([].into_iter(), at(5));
        assert!(since < at(-1_000_000) && until > at(1_000_000));
        let judgement = Judgement { trust: Trust::Public, path: Vec::new(), reasons: Vec::new() };
        let kept = Remembered { since: at(5), until: at(7), judgement };
        let memory =
            Memory { basis: "b".into(), verdicts: [("a".to_owned(), kept)].into_iter().collect() };
        let recalled = |basis, seconds| memory.recall("a", basis, at(seconds)).is_some();
        assert!(recalled("b", 5) && recalled("b", 6));
        assert!(!recalled("b", 4) && !recalled("b", 7) && !recalled("c", 5));
        assert_eq!(memory.recall("other", "b", at(5)), None);
    }

    #[test]
    fn everything_that_a_verdict_depends_on_is_in_its_digests() {
        let chain = |leaf: &str, above: &[&str]| Chain {
            leaf: leaf.into(),
            above: above.iter().map(|one| (*one).to_owned()).collect(),
        };
        let questions = [
            asked(&chain("a", &["b", "c"]), Purpose::Server),
            asked(&chain("a", &["b", "c"]), Purpose::Client),
            asked(&chain("a", &["c", "b"]), Purpose::Server),
            asked(&chain("a", &["bc"]), Purpose::Server),
            asked(&chain("ab", &["c"]), Purpose::Server),
        ];
        let root = || vec![vec![1, 2]];
        let public = Anchors { public: root(), ..Anchors::default() };
        let own = Anchors { own: root(), ..Anchors::default() };
        let none = Lists::default();
        let bases = [
            basis(&Anchors::default(), &none, [].into_iter()),
            basis(&public, &none, [].into_iter()),
            basis(&own, &none, [].into_iter()),
            basis(&own, &none, [&[1, 2][..]].into_iter()),
            basis(&own, &none, [&[1][..], &[2]].into_iter()),
        ];
        let distinct =
            |texts: &[String]| texts.iter().collect::<std::collections::HashSet<_>>().len();
        assert_eq!((distinct(&questions), distinct(&bases)), (5, 5));
    }
}
