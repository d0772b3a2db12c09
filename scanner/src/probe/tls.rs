//! Which hellos to send to one endpoint, in which order, and what they showed together.
//!
//! One connection brings one hello, so this asks as little as tells everything. First the
//! TLS 1.3 hello and the wide one, without a name. Then each again without the kinds of key
//! that were seen: a server with another certificate has to show it, one without refuses, so
//! that one fruitless connection for each version ends it. Then what nobody should accept, and the
//! names that are known, those in the certificates themselves last. The hellos for servers that
//! bear no new ones follow only where nothing came. It opens nothing itself: it says the next [`Question`] and is told
//! its [`Outcome`]; `crate::collect` makes the connections.

mod accepted;
mod served;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use certs::hello::{
    Collected, HelloError, Kind, PROTOCOLS, PROTOCOLS_OF_QUIC, Question, SSL30, ServerName, Signer,
    Signers, TLS10, TLS11, TLS13,
};
use model::{TlsExtent, TlsVersion};

use super::starttls::{Refusal, Starttls};

pub use served::{Served, Support};

/// How much of an endpoint is wanted to be known, and so how much it is asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Extent {
    /// The first two hellos and nothing else: for devices that bear little.
    Gentle,
    /// Every certificate, and whether X25519MLKEM768 is there.
    Certificates,
    /// Also which older versions are accepted beside the best one, and whether suites that protect
    /// nothing are.
    #[default]
    Versions,
    /// Also which cipher suites and which groups.
    Thorough,
}

/// Over what an endpoint is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Over {
    Stream,
    /// DTLS 1.0 and 1.2, which only the wide hello asks for.
    Datagrams,
    /// QUIC, which is TLS 1.3.
    Quic,
}

impl Over {
    /// The hellos that say most there.
    const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Stream => &[Kind::Modern, Kind::Wide],
            Self::Datagrams => &[Kind::Wide],
            Self::Quic => &[Kind::Modern],
        }
    }
}

/// What an endpoint is asked, and what it said so far.
#[derive(Debug)]
pub struct Collection {
    extent: Extent,
    over: Over,
    /// What comes before TLS.
    starttls: Option<Starttls>,
    /// What the server may know itself by in it, and how many of them it does not.
    host_names: Vec<String>,
    unknown: usize,
    /// Whether something in the clear came between the two.
    leftovers: bool,
    names: Vec<ServerName>,
    /// Names that its certificates told, in the order of their coming.
    told: Vec<ServerName>,
    tried: Vec<Tried>,
    current: Option<Question>,
}

/// One hello over one connection, and what became of it.
#[derive(Debug)]
struct Tried {
    question: Question,
    outcome: Outcome,
    /// The kind of key of the leaf that it brought.
    signer: Option<Signer>,
    /// Whether no connection before it brought that leaf.
    is_news: bool,
    /// What is broken about the leaf, where it is news.
    anomalies: Vec<String>,
}

/// What became of an attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The chain came.
    Collected(Box<Collected>),
    /// The server answered otherwise, or hung up.
    Failed(HelloError),
    /// Its time was over first.
    TimedOut,
    /// No connection could be made.
    NoConnection,
    /// It did not come to TLS.
    BeforeTls(Refusal),
}

/// `no_application_protocol` (RFC 7301): it insists on a protocol that was not offered.
const NO_PROTOCOL: u8 = 120;

impl Collection {
    /// At most so many of the names given are asked for.
    pub const MAX_NAMES: usize = 8;

    /// At most so many of the names that certificates tell are asked for, and none after two
    /// in a row that brought nothing new.
    pub const MAX_TOLD: usize = 4;

    /// At most so many connections are made to one endpoint.
    pub const MAX_CONNECTIONS: usize = 32;

    /// And so many where everything is wanted to be known.
    pub const MAX_THOROUGH: usize = 48;

    /// Prepares to ask without a name and with each of these, the most important one first.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = ServerName>, extent: Extent) -> Self {
        let mut distinct = BTreeSet::new();
        let new = |name: &ServerName| distinct.insert(name.clone());
        let names: Vec<ServerName> = names.into_iter().filter(new).take(Self::MAX_NAMES).collect();
        Self {
            extent,
            over: Over::Stream,
            starttls: None,
            host_names: host_names(&names),
            unknown: 0,
            leftovers: false,
            names,
            told: Vec::new(),
            tried: Vec::new(),
            current: None,
        }
    }

    /// The same for a server of DTLS.
    #[must_use]
    pub fn over_datagrams(names: impl IntoIterator<Item = ServerName>, extent: Extent) -> Self {
        Self { over: Over::Datagrams, ..Self::new(names, extent) }
    }

    /// The same for a server of QUIC.
    #[must_use]
    pub fn over_quic(names: impl IntoIterator<Item = ServerName>, extent: Extent) -> Self {
        Self { over: Over::Quic, ..Self::new(names, extent) }
    }

    /// The same behind a dialogue that comes before TLS.
    #[must_use]
    pub const fn behind(mut self, starttls: Option<Starttls>) -> Self {
        self.starttls = starttls;
        self
    }

    /// The dialogue that comes before TLS on each connection.
    #[must_use]
    pub const fn starttls(&self) -> Option<Starttls> {
        self.starttls
    }

    /// What the server may know itself by on the next connection: the name that is asked for, or
    /// the next one of those that it has not denied. `None` where only its address is left.
    #[must_use]
    pub fn host_name(&self) -> Option<&str> {
        let asked = self.current.as_ref().and_then(|question| question.server_name.as_ref());
        let known = || self.host_names.get(self.unknown).map(String::as_str);
        asked.map(ServerName::as_str).or_else(known)
    }

    /// Notes that a server said more in the clear after it agreed to TLS.
    pub const fn note_leftovers(&mut self) {
        self.leftovers = true;
    }

    /// What to try next, over a new connection, or `None` once there is nothing more to learn.
    /// Its outcome is to be recorded before the next one.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: each answer is needed")]
    pub fn next(&mut self) -> Option<Question> {
        self.current = self.choose();
        self.current.clone()
    }

    /// Takes the outcome of the question that [`Self::next`] gave last.
    pub fn record(&mut self, outcome: Outcome) {
        let Some(question) = self.current.take() else { return };
        // The same question again, by the next name.
        if outcome == Outcome::BeforeTls(Refusal::UnknownName)
            && question.server_name.is_none()
            && self.unknown < self.host_names.len()
        {
            self.unknown += 1;
            return;
        }
        let leaf = leaf(&outcome);
        // The kind of key, if another connection brought the same leaf.
        let known = leaf.and_then(|leaf| {
            let mut tried = self.tried.iter();
            tried.find(|tried| self::leaf(&tried.outcome) == Some(leaf)).map(|tried| tried.signer)
        });
        let is_news = leaf.is_some() && known.is_none();
        let mut anomalies = Vec::new();
        let signer = known.unwrap_or_else(|| {
            let certificate = certs::parse_unchecked(leaf?);
            self.note_names(&certificate.names);
            anomalies = served::anomalies(&certificate);
            Signer::of(&certificate)
        });
        self.tried.push(Tried { question, outcome, signer, is_news, anomalies });
    }

    fn note_names(&mut self, names: &[String]) {
        for name in names.iter().filter_map(|name| ServerName::new(name)) {
            if self.told.len() < Self::MAX_TOLD
                && !self.names.contains(&name)
                && !self.told.contains(&name)
            {
                self.told.push(name);
            }
        }
    }

    fn choose(&self) -> Option<Question> {
        if self.is_hopeless() || self.tried.len() >= self.most() {
            return None;
        }
        self.first().or_else(|| match (self.extent, self.over) {
            (Extent::Gentle, _) => None,
            (Extent::Thorough, Over::Stream) => {
                self.all_certificates().or_else(|| self.what_it_accepts())
            }
            (Extent::Certificates | Extent::Versions | Extent::Thorough, _) => {
                self.all_certificates()
            }
        })
    }

    const fn most(&self) -> usize {
        match self.extent {
            Extent::Gentle | Extent::Certificates | Extent::Versions => Self::MAX_CONNECTIONS,
            Extent::Thorough => Self::MAX_THOROUGH,
        }
    }

    /// The hellos that say most, with the application protocols, which servers of only one
    /// may insist on; again without them where it insists on yet another, or on none. What bears
    /// little gets them without, and so does who has agreed on a protocol before TLS.
    fn first(&self) -> Option<Question> {
        let protocols = self.protocols();
        let of = |kind: &Kind| Question { protocols, ..Question::of(*kind) };
        let untried = self.over.kinds().iter().map(of).find(|q| !self.has_tried(q));
        if untried.is_some() || self.extent == Extent::Gentle {
            return untried;
        }
        let again = self.tried.iter().filter(|tried| tried.insists());
        again.map(|tried| Question::of(tried.question.kind)).find(|q| !self.has_tried(q))
    }

    /// The application protocols that are offered first.
    const fn protocols(&self) -> &'static [&'static str] {
        match (self.over, self.extent, self.starttls) {
            (Over::Quic, ..) => PROTOCOLS_OF_QUIC,
            (Over::Stream | Over::Datagrams, Extent::Gentle, _) => &[],
            (Over::Stream, _, None) => PROTOCOLS,
            (Over::Stream | Over::Datagrams, ..) => &[],
        }
    }

    /// A hello that follows the first ones. By QUIC it too offers protocols, without which servers
    /// refuse it, unless they refused it for them.
    fn of(&self, kind: Kind) -> Question {
        let protocols = match self.over {
            Over::Quic if !self.tried.iter().any(Tried::insists) => PROTOCOLS_OF_QUIC,
            Over::Quic | Over::Stream | Over::Datagrams => &[],
        };
        Question { protocols, ..Question::of(kind) }
    }

    fn all_certificates(&self) -> Option<Question> {
        // Each name once before any of them in all variants: what there is to see is then seen,
        // should the connections not suffice.
        self.variants(None)
            .or_else(|| self.versions())
            .or_else(|| self.names.iter().find_map(|name| self.once(name)))
            .or_else(|| self.names.iter().find_map(|name| self.named(name)))
            .or_else(|| self.told())
            .or_else(|| self.last_resorts())
            .or_else(|| self.hybrid())
    }

    /// What nobody should accept, where that is wanted to be known: before the names, of which
    /// there may be many.
    fn versions(&self) -> Option<Question> {
        match (self.extent, self.over) {
            (Extent::Versions | Extent::Thorough, Over::Stream) => self.what_nobody_should(),
            _ => None,
        }
    }

    fn has_tried(&self, question: &Question) -> bool {
        self.tried.iter().any(|tried| tried.question == *question)
    }

    /// The attempts with that name or without one.
    fn with(&self, name: Option<&ServerName>) -> impl Iterator<Item = &Tried> {
        self.tried.iter().filter(move |tried| tried.question.server_name.as_ref() == name)
    }

    fn serves(&self, kind: Kind, name: Option<&ServerName>) -> bool {
        self.with(name).any(|tried| tried.question.kind == kind && tried.is_answered())
    }

    fn anything(&self) -> bool {
        self.tried.iter().any(Tried::is_answered)
    }

    /// Whether more connections would only cost time: it is not TLS, or never comes to it, nobody
    /// listens any more, or it has let its time pass twice.
    fn is_hopeless(&self) -> bool {
        let count = |what: fn(&Outcome) -> bool| {
            self.tried.iter().filter(|tried| what(&tried.outcome)).count()
        };
        // That it does not serve a name that was asked for says nothing about the others.
        let never = self.tried.iter().any(|tried| match &tried.outcome {
            Outcome::BeforeTls(Refusal::UnknownName) => tried.question.server_name.is_none(),
            Outcome::BeforeTls(_) => true,
            _ => false,
        });
        never
            || count(|outcome| matches!(outcome, Outcome::NoConnection)) > 0
            || count(|outcome| matches!(outcome, Outcome::Failed(HelloError::NotTls))) > 0
            || count(|outcome| matches!(outcome, Outcome::TimedOut)) > 1
    }

    /// With that name, each version that it was answered in, for the kinds of key that have not
    /// been seen. Once the answer brings no other kind, the question stays the same and so is
    /// not asked again.
    fn variants(&self, name: Option<&ServerName>) -> Option<Question> {
        let seen = self.with(name).filter_map(|tried| tried.signer);
        let left = seen.fold(Signers::ALL, Signers::without);
        let kinds = self.over.kinds().iter().copied();
        let questions = kinds.filter(|kind| self.serves(*kind, name)).map(|kind| Question {
            server_name: name.cloned(),
            signers: left.that_matter_to(kind),
            ..self.of(kind)
        });
        // All that matter were asked for at first.
        questions
            .filter(|q| q.signers != Signers::ALL.that_matter_to(q.kind) && !q.signers.is_empty())
            .find(|question| !self.has_tried(question))
    }

    /// For a name: one hello, the other one where that failed, and all variants where another
    /// certificate came than before. A kind that failed without a name where the other kind was
    /// answered is left out: the server lacks that version, and no name changes that. Where
    /// both failed, it may have wanted a name.
    fn named(&self, name: &ServerName) -> Option<Question> {
        let kinds = self.over.kinds().iter().copied();
        let none = kinds.clone().all(|kind| !self.serves(kind, None));
        let mut worth = kinds.filter(|kind| none || self.serves(*kind, None));
        let is_news = self.with(Some(name)).any(|tried| tried.is_news);
        let next = worth.find_map(|kind| {
            let of = Question { server_name: Some(name.clone()), ..self.of(kind) };
            (!self.has_tried(&of)).then_some(of)
        });
        match (self.is_answered(name), is_news) {
            (false, _) => next,
            (true, false) => None,
            (true, true) => next.or_else(|| self.variants(Some(name))),
        }
    }

    /// The same until that name is answered.
    fn once(&self, name: &ServerName) -> Option<Question> {
        if self.is_answered(name) { None } else { self.named(name) }
    }

    fn is_answered(&self, name: &ServerName) -> bool {
        self.with(Some(name)).any(Tried::is_answered)
    }

    /// The names that certificates told, until two in a row brought nothing new.
    fn told(&self) -> Option<Question> {
        let mut fruitless = 0;
        for name in &self.told {
            if fruitless >= 2 {
                break;
            }
            if let Some(question) = self.named(name) {
                return Some(question);
            }
            fruitless = match self.with(Some(name)).any(|tried| tried.is_news) {
                true => 0,
                false => fruitless + 1,
            };
        }
        None
    }

    /// For a server that answered nothing, in the way that servers fail which bear no new
    /// hello or have nothing in common with it.
    fn last_resorts(&self) -> Option<Question> {
        let of = |kind| {
            let all = self.tried.iter().filter(move |tried| tried.question.kind == kind);
            all.filter_map(|tried| match &tried.outcome {
                Outcome::Failed(why) => Some(why),
                _ => None,
            })
        };
        if self.anything() || self.over == Over::Datagrams {
            return None;
        }
        // handshake_failure and insufficient_security: it understood, and found nothing.
        let in_common = |why: &HelloError| matches!(why, HelloError::Alert(40 | 71));
        let mut kinds = Vec::new();
        if of(Kind::Modern).any(in_common) {
            kinds.push(Kind::Hybrid);
        }
        if of(Kind::Wide).any(in_common) {
            kinds.push(Kind::Weak);
        }
        if of(Kind::Wide).any(HelloError::suggests_intolerance) {
            kinds.extend([TLS11, TLS10, SSL30].map(Kind::Bare));
            kinds.push(Kind::Framed);
        }
        kinds.into_iter().map(|kind| self.of(kind)).find(|question| !self.has_tried(question))
    }

    /// Whether a server of TLS 1.3 has the group that is ready for quantum computers, with the
    /// name that it insists on, if it does.
    fn hybrid(&self) -> Option<Question> {
        let served = |tried: &&Tried| tried.outcome.version() == Some(TLS13);
        let tried = self.tried.iter().find(served)?;
        let server_name = tried.question.server_name.clone();
        let asked = self.tried.iter().any(|tried| tried.question.kind == Kind::Hybrid);
        (!asked).then(|| Question { server_name, ..self.of(Kind::Hybrid) })
    }

    /// What was learned.
    #[must_use]
    pub fn finish(self) -> Served {
        let asked = match (self.extent, self.over) {
            (Extent::Gentle, _) => TlsExtent::Gentle,
            (Extent::Versions, Over::Stream) => TlsExtent::Versions,
            (Extent::Thorough, Over::Stream) => TlsExtent::Thorough,
            // By datagrams nobody is asked for more than certificates.
            (Extent::Certificates | Extent::Versions | Extent::Thorough, _) => {
                TlsExtent::Certificates
            }
        };
        let cut = self.is_hopeless() || self.tried.len() >= self.most();
        let starttls = self.starttls.map(Starttls::name);
        let connections = u32::try_from(self.unknown).unwrap_or(u32::MAX);
        let mut served = Served { asked, cut, starttls, connections, ..Served::default() };
        if self.leftovers {
            served.note_leftovers();
        }
        for Tried { question, outcome, anomalies, .. } in self.tried {
            served.note_certificate(anomalies);
            served.add(&question, outcome);
        }
        served
    }
}

/// What a server may know itself by in a protocol that serves domains: the names that are known,
/// then the domains that these are in, as `example.com` of `chat.example.com`.
fn host_names(names: &[ServerName]) -> Vec<String> {
    let parent = |name: &ServerName| {
        let (_, parent) = name.as_str().split_once('.')?;
        parent.contains('.').then(|| parent.to_owned())
    };
    let names_themselves = names.iter().map(|name| name.as_str().to_owned());
    let mut all: Vec<String> = names_themselves.take(2).collect();
    all.extend(names.iter().filter_map(parent).take(2));
    all.dedup();
    all
}

impl Tried {
    const fn is_answered(&self) -> bool {
        matches!(self.outcome, Outcome::Collected(_))
    }

    /// Whether it refused for want of a protocol, though some were offered.
    fn insists(&self) -> bool {
        self.outcome == Outcome::Failed(HelloError::Alert(NO_PROTOCOL))
            && !self.question.protocols.is_empty()
    }
}

impl Outcome {
    pub(crate) fn collected(&self) -> Option<&Collected> {
        match self {
            Self::Collected(collected) => Some(collected),
            _ => None,
        }
    }

    fn version(&self) -> Option<TlsVersion> {
        self.collected().map(|collected| collected.version)
    }
}

fn leaf(outcome: &Outcome) -> Option<&[u8]> {
    outcome.collected()?.chain.first().map(Vec::as_slice)
}
