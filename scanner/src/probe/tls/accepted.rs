//! Which versions, cipher suites and groups a server accepts beside those that it likes best.
//!
//! What nobody should accept is asked of everybody that bears it. A hello up to an older version
//! is answered in the newest one that the server has of those, so that one refusal says of all
//! older ones that there are none; what protects nothing has a hello of its own.
//!
//! The rest is on request. A suite is found by leaving out those that were seen: each connection
//! shows one, and a refusal says that there are no more. First those that nobody should accept,
//! one of each kind, so that they are known where the connections do not suffice for all. An older
//! version is asked only for what newer ones did not show, since a server has its suites for all
//! versions in which they exist. Groups are found in the same way.

use std::collections::BTreeSet;

use certs::hello::{
    HelloError, KeyExchange, Kind, Question, SSL30, TLS10, TLS11, TLS12, TLS13, groups_of,
    has_group, suite_name, suites_of,
};
use model::TlsVersion;

use super::{Collection, Outcome, Tried};

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
    /// The next question about what nobody should accept: older versions, and suites that protect
    /// nothing.
    pub(super) fn what_nobody_should(&self) -> Option<Question> {
        let older = self.older().map(|kind| self.plain(kind, BTreeSet::new()));
        older.or_else(|| self.unprotected()).filter(|question| !self.has_tried(question))
    }

    /// The next question about everything that is accepted.
    pub(super) fn what_it_accepts(&self) -> Option<Question> {
        let weak = HELLOS.into_iter().map(|(version, kind)| (kind, self.but_weak(version, kind)));
        let all = HELLOS.into_iter().map(|(version, kind)| (kind, self.but_new(version, kind)));
        let suites = |(kind, without): (Kind, BTreeSet<u16>)| {
            let is_worth = is_worth_asking(kind, &without) && self.has_shown(kind);
            is_worth.then(|| self.plain(kind, without))
        };
        let groups = [Kind::Modern, Kind::Wide].into_iter().filter_map(|kind| self.groups(kind));
        weak.filter_map(suites)
            .chain(groups)
            .chain(all.filter_map(suites))
            .find(|question| !self.has_tried(question))
    }

    /// A hello of that kind, for the name that the server answers to.
    fn plain(&self, kind: Kind, without: BTreeSet<u16>) -> Question {
        let best = self.answered().next();
        let server_name = best.and_then(|tried| tried.question.server_name.clone());
        Question { server_name, without, ..Question::of(kind) }
    }

    /// The hello for the newest version of which it is not known whether the server has it. Who
    /// bears no extensions is asked without.
    fn older(&self) -> Option<Kind> {
        let versions = || self.answered().filter_map(|tried| tried.outcome.version());
        // Refused up to TLS 1.2, it has nothing older.
        let newest = versions().filter(|version| *version < TLS13).max()?;
        let bears_extensions = self.has_shown(Kind::Wide);
        for version in [TLS11, TLS10, SSL30].into_iter().filter(|older| *older < newest) {
            let kind = match bears_extensions && version != SSL30 {
                true => Kind::UpTo(version),
                false => Kind::Bare(version),
            };
            let asked = self.tried.iter().find(|tried| tried.question.kind == kind);
            match asked.map(|tried| (tried.is_answered(), kind)) {
                // Whatever it answers in is the newest of those.
                Some((false, Kind::UpTo(_))) => return None,
                Some(_) => {}
                None if self.is_settled(version) => {}
                None => return Some(kind),
            }
        }
        None
    }

    /// Whether it answered in that version, or in an older one where it might have had that.
    fn is_settled(&self, version: TlsVersion) -> bool {
        self.answered().any(|tried| {
            let skipped = |answer| match tried.question.kind {
                Kind::UpTo(newest) => answer < version && version <= newest,
                _ => false,
            };
            let answer = tried.outcome.version();
            answer.is_some_and(|answer| answer == version || skipped(answer))
        })
    }

    /// A hello of suites that protect nothing, and again without the kinds that were chosen.
    fn unprotected(&self) -> Option<Question> {
        let of = |kind| self.tried.iter().filter(move |tried| tried.question.kind == kind);
        // handshake_failure and insufficient_security: it has the version, and nothing in common.
        let lacks_a_suite =
            |tried: &Tried| matches!(tried.outcome, Outcome::Failed(HelloError::Alert(40 | 71)));
        let speaks = self.answered().any(|tried| tried.outcome.version() < Some(TLS13))
            || (self.anything() && of(Kind::Wide).any(lacks_a_suite));
        let bears = self.has_shown(Kind::Wide) || of(Kind::Wide).any(lacks_a_suite);
        if !speaks || !bears {
            return None;
        }
        if of(Kind::Weak).next().is_none() {
            return Some(self.plain(Kind::Weak, BTreeSet::new()));
        }
        let protects_nothing = |weakness: &Weakness| {
            matches!(weakness, Weakness::Null | Weakness::Export | Weakness::Anonymous)
        };
        let chosen = of(Kind::Weak).filter_map(|tried| tried.outcome.collected()?.suite);
        let known: BTreeSet<Weakness> =
            chosen.flat_map(weaknesses).filter(protects_nothing).collect();
        let without: BTreeSet<u16> = suites_of(Kind::Weak)
            .filter(|suite| weaknesses(*suite).any(|weakness| known.contains(&weakness)))
            .collect();
        is_worth_asking(Kind::Weak, &without).then(|| self.plain(Kind::Weak, without))
    }

    /// A hello of that kind without the groups that were seen, where it shows one each time.
    fn groups(&self, kind: Kind) -> Option<Question> {
        let shown = |tried: &Tried| match tried.outcome.collected()?.key_exchange {
            Some(KeyExchange::Ecdhe(group)) => group,
            _ => None,
        };
        self.answered().find(|tried| tried.question.kind == kind && shown(tried).is_some())?;
        let seen: BTreeSet<u16> = self.answered().filter_map(shown).collect();
        let without_groups: BTreeSet<u16> =
            groups_of(kind).filter(|group| seen.contains(group)).collect();
        if groups_of(kind).all(|group| without_groups.contains(&group)) {
            return None;
        }
        // Up to TLS 1.2 a server with no group in common takes a suite that needs none.
        let without = match kind {
            Kind::Modern => BTreeSet::new(),
            _ => suites_of(kind).filter(|suite| !has_group(*suite)).collect(),
        };
        Some(Question { without_groups, ..self.plain(kind, without) })
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
