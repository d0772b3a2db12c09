//! Which versions and cipher suites a server accepts beside those that it likes best.
//!
//! A suite is found by leaving out those that were seen: each connection shows one, and a
//! refusal says that there are no more. First those that nobody should accept, one of each
//! kind, so that they are known where the connections do not suffice for all. An older version
//! is asked only for what newer ones did not show, since a server has its suites for all
//! versions in which they exist.

use std::collections::BTreeSet;

use certs::hello::{Kind, Question, SSL30, TLS10, TLS11, TLS12, TLS13, suite_name, suites_of};
use model::TlsVersion;

use super::{Collection, Tried};

/// What is wrong with a suite, one of which is enough to know.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Weakness {
    /// No encryption.
    Null,
    /// Made to be broken.
    Export,
    /// No certificate.
    Anonymous,
    Des,
    TripleDes,
    Rc4,
}

/// The hellos with the newest version that each asks for. Those that protect nothing last: there
/// are many, and one of each kind is asked for before.
const HELLOS: [(TlsVersion, Kind); 6] = [
    (TLS13, Kind::Modern),
    (TLS12, Kind::Wide),
    (TLS11, Kind::UpTo(TLS11)),
    (TLS10, Kind::UpTo(TLS10)),
    (SSL30, Kind::Bare(SSL30)),
    (TLS12, Kind::Weak),
];

impl Collection {
    /// The next question about versions and suites.
    pub(super) fn what_it_accepts(&self) -> Option<Question> {
        let best = self.tried.iter().find(|tried| tried.is_answered())?;
        let server_name = best.question.server_name.clone();
        let named = |kind, without| Question {
            server_name: server_name.clone(),
            without,
            ..Question::of(kind)
        };
        let new = |question: &Question| !self.has_tried(question);
        // Each older version that was not seen, and suites that protect nothing.
        let is_known = |version, kind| {
            let mut versions = self.answered().filter_map(|tried| tried.outcome.version());
            self.tried.iter().any(|tried| tried.question.kind == kind)
                || (kind != Kind::Weak && versions.any(|seen| seen == version))
        };
        let older = HELLOS
            .into_iter()
            .filter(|(version, kind)| !is_known(*version, *kind))
            .map(|(_, kind)| named(kind, BTreeSet::new()));
        let weak = HELLOS.into_iter().map(|(version, kind)| (kind, self.but_weak(version, kind)));
        let weak = weak.filter(|(kind, without)| is_worth_asking(*kind, without));
        let all = HELLOS.into_iter().map(|(version, kind)| (kind, self.but_new(version, kind)));
        let all = all.filter(|(kind, without)| is_worth_asking(*kind, without));
        let suites = weak.chain(all).filter(|(kind, _)| self.has_shown(*kind));
        older.chain(suites.map(|(kind, without)| named(kind, without))).find(new)
    }

    /// Whether a hello of that kind was answered, so that it is worth another.
    fn has_shown(&self, kind: Kind) -> bool {
        self.answered().any(|tried| tried.question.kind == kind)
    }

    fn answered(&self) -> impl Iterator<Item = &Tried> {
        self.tried.iter().filter(|tried| tried.is_answered())
    }

    /// The suites that were chosen in that version or a newer one, or in answer to that hello.
    fn seen(&self, version: TlsVersion, kind: Kind) -> impl Iterator<Item = u16> {
        self.tried.iter().filter_map(move |tried| {
            let collected = tried.outcome.collected()?;
            let counts = collected.version >= version || tried.question.kind == kind;
            collected.suite.filter(|_| counts)
        })
    }

    /// What to leave out to be shown a weak suite of a kind that was not seen.
    fn but_weak(&self, version: TlsVersion, kind: Kind) -> BTreeSet<u16> {
        let known: BTreeSet<Weakness> = self.seen(version, kind).flat_map(weaknesses).collect();
        suites_of(kind)
            .filter(|suite| weaknesses(*suite).all(|weakness| known.contains(&weakness)))
            .collect()
    }

    /// What to leave out to be shown a suite that was not seen.
    fn but_new(&self, version: TlsVersion, kind: Kind) -> BTreeSet<u16> {
        let seen: BTreeSet<u16> = self.seen(version, kind).collect();
        suites_of(kind).filter(|suite| seen.contains(suite)).collect()
    }
}

/// Whether there is something to ask without these: one was seen, and one was not.
fn is_worth_asking(kind: Kind, without: &BTreeSet<u16>) -> bool {
    !without.is_empty() && suites_of(kind).any(|suite| !without.contains(&suite))
}

fn weaknesses(suite: u16) -> impl Iterator<Item = Weakness> {
    let name = suite_name(suite).unwrap_or_default();
    let all = [
        (Weakness::Null, "_WITH_NULL_"),
        (Weakness::Export, "_EXPORT"),
        (Weakness::Anonymous, "_anon_"),
        (Weakness::Des, "_WITH_DES_"),
        (Weakness::TripleDes, "_3DES_"),
        (Weakness::Rc4, "_WITH_RC4_"),
    ];
    all.into_iter().filter(move |(_, sign)| name.contains(sign)).map(|(weakness, _)| weakness)
}
