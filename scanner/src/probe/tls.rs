//! Which hellos to send to one endpoint, in which order, and what they showed together.
//!
//! One connection brings one hello, so this asks as little as tells everything: the TLS 1.3
//! hello and the wide one without a name, then, for each name, the same as far as the first
//! two were understood. The bare hellos of old versions follow only where both failed in the
//! way that servers fail which cannot bear new hellos. It opens nothing itself: it says the
//! next [`Attempt`] and is told its [`Outcome`]; `crate::collect` makes the connections.

use std::collections::{BTreeMap, BTreeSet};

use certs::{
    AnomalyKind,
    hello::{Collected, Collector, HelloError, Kind, SSL30, ServerName, TLS10, TLS11},
};
use model::{CertificateChain, Fact, TlsVersion};

/// What an endpoint is asked, and what it said so far.
#[derive(Debug)]
pub struct Collection {
    names: Vec<ServerName>,
    tried: Vec<(Attempt, Outcome)>,
    current: Option<Attempt>,
}

/// One hello over one connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// Which hello.
    pub kind: Kind,
    /// The name to ask for.
    pub server_name: Option<ServerName>,
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
}

/// What all attempts showed together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Served {
    /// Whether the endpoint speaks TLS: it answered in its records, if only to refuse.
    pub speaks_tls: bool,
    /// The chains, one for each question (name and version) that was answered. The same chain
    /// stands here for each: a server may renew one of them and forget the others.
    pub chains: Vec<CertificateChain>,
    /// The versions in which a chain was served. Others may be served too: each hello shows
    /// only the one that the server likes best of those offered.
    pub versions: BTreeSet<TlsVersion>,
    /// Whether it asked for a client certificate.
    pub client_certificate_requested: bool,
    /// Why the last attempt that brought nothing did not.
    pub refusal: Option<String>,
    /// How many connections were made for it, those that failed included.
    pub connections: u32,
    /// What broke a protocol: protocol (`tls` or `x509`) and problem.
    pub anomalies: BTreeSet<(&'static str, String)>,
}

impl Collection {
    /// At most so many names are asked for: each may cost two connections.
    pub const MAX_NAMES: usize = 8;

    /// Prepares to ask without a name and with each of these.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = ServerName>) -> Self {
        let names: BTreeSet<ServerName> = names.into_iter().take(Self::MAX_NAMES).collect();
        Self { names: names.into_iter().collect(), tried: Vec::new(), current: None }
    }

    /// What to try next, over a new connection, or `None` once there is nothing more to learn.
    /// Its outcome is to be recorded before the next one.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: each answer is needed")]
    pub fn next(&mut self) -> Option<Attempt> {
        self.current = self.choose();
        self.current.clone()
    }

    /// Takes the outcome of the attempt that [`Self::next`] gave last.
    pub fn record(&mut self, outcome: Outcome) {
        if let Some(attempt) = self.current.take() {
            self.tried.push((attempt, outcome));
        }
    }

    fn choose(&self) -> Option<Attempt> {
        if self.is_hopeless() {
            return None;
        }
        let names = std::iter::once(None).chain(self.names.iter().map(Some));
        for server_name in names {
            for kind in [Kind::Modern, Kind::Wide] {
                let attempt = Attempt { kind, server_name: server_name.cloned() };
                if self.outcome(&attempt).is_none() && self.is_worth(&attempt) {
                    return Some(attempt);
                }
            }
        }
        let old = [TLS11, TLS10, SSL30].map(Kind::Bare);
        let old = old.map(|kind| Attempt { kind, server_name: None });
        let untried = old.into_iter().find(|attempt| self.outcome(attempt).is_none());
        untried.filter(|_| self.looks_intolerant())
    }

    fn outcome(&self, attempt: &Attempt) -> Option<&Outcome> {
        self.tried.iter().find(|(tried, _)| tried == attempt).map(|(_, outcome)| outcome)
    }

    /// Whether more connections would only cost time: it is not TLS, nobody listens any more,
    /// or it has let its time pass twice.
    fn is_hopeless(&self) -> bool {
        let count = |what: fn(&Outcome) -> bool| {
            self.tried.iter().filter(|(_, outcome)| what(outcome)).count()
        };
        count(|outcome| matches!(outcome, Outcome::NoConnection)) > 0
            || count(|outcome| matches!(outcome, Outcome::Failed(HelloError::NotTls))) > 0
            || count(|outcome| matches!(outcome, Outcome::TimedOut)) > 1
    }

    /// With a name, a kind of hello is left out if it failed without one where the other kind
    /// was answered: then the server lacks that version, and no name changes that. Where both
    /// failed, it may have wanted a name.
    fn is_worth(&self, attempt: &Attempt) -> bool {
        let nameless = |kind| self.outcome(&Attempt { kind, server_name: None });
        let other = match attempt.kind {
            Kind::Modern => Kind::Wide,
            Kind::Wide | Kind::Bare(_) => Kind::Modern,
        };
        let served = |kind| matches!(nameless(kind), Some(Outcome::Collected(_)));
        attempt.server_name.is_none() || served(attempt.kind) || !served(other)
    }

    fn looks_intolerant(&self) -> bool {
        let anything = self.tried.iter().any(|(_, o)| matches!(o, Outcome::Collected(_)));
        let wide = self.outcome(&Attempt { kind: Kind::Wide, server_name: None });
        !anything && matches!(wide, Some(Outcome::Failed(why)) if why.suggests_intolerance())
    }

    /// What was learned.
    #[must_use]
    pub fn finish(self) -> Served {
        let mut served = Served::default();
        for (attempt, outcome) in self.tried {
            served.connections = served.connections.saturating_add(1);
            match outcome {
                Outcome::Collected(collected) => served.add(&attempt, *collected),
                Outcome::Failed(why) => served.note(&why),
                Outcome::TimedOut => served.refusal = Some("it let its time pass".to_owned()),
                Outcome::NoConnection => {
                    served.refusal = Some("it took no connection".to_owned());
                }
            }
        }
        served
    }
}

impl Attempt {
    /// The conversation of this attempt. `entropy` is 64 random bytes.
    ///
    /// # Errors
    /// [`HelloError::NoRandomness`] if the crypto provider cannot make keys.
    pub fn collector(&self, entropy: [u8; 64]) -> Result<Collector, HelloError> {
        Collector::new(self.kind, self.server_name.as_ref(), entropy)
    }
}

impl Served {
    /// The facts about the endpoint: chains, then anomalies.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        let chains = self.chains.iter().cloned().map(Fact::Certificates);
        let anomalies = self.anomalies.iter().map(|(protocol, problem)| Fact::Anomaly {
            protocol: (*protocol).to_owned(),
            problem: problem.clone(),
        });
        chains.chain(anomalies).collect()
    }

    /// What belongs to the attributes of the endpoint's service: `tls_versions`, the versions
    /// seen, lowest first, and `tls_client_certificate` = `requested`. Empty where no chain came.
    #[must_use]
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        if !self.versions.is_empty() {
            let versions: Vec<String> = self.versions.iter().map(ToString::to_string).collect();
            out.insert("tls_versions".to_owned(), versions.join(" "));
        }
        if self.client_certificate_requested {
            out.insert("tls_client_certificate".to_owned(), "requested".to_owned());
        }
        out
    }

    fn add(&mut self, attempt: &Attempt, collected: Collected) {
        self.speaks_tls = true;
        self.versions.insert(collected.version);
        self.client_certificate_requested |= collected.client_certificate_requested;
        if collected.left_out > 0 {
            let kept = collected.chain.len();
            let sent = kept + collected.left_out;
            let problem = format!("its chain has {sent} certificates, of which {kept} were kept");
            self.anomalies.insert(("tls", problem));
        }
        let server_name = attempt.server_name.as_ref().map(|name| name.as_str().to_owned());
        // Looked at once, though several questions brought it.
        if !self.chains.iter().any(|known| known.chain == collected.chain) {
            collected.chain.iter().for_each(|der| self.examine(der));
        }
        let chain = CertificateChain {
            chain: collected.chain,
            server_name,
            protocol_version: collected.version,
            starttls: None,
        };
        if !self.chains.contains(&chain) {
            self.chains.push(chain);
        }
    }

    /// Notes what is broken about a certificate. What merely breaks a profile is for rules.
    fn examine(&mut self, der: &[u8]) {
        let certificate = certs::parse(der);
        for anomaly in &certificate.anomalies {
            if anomaly.kind != AnomalyKind::Profile {
                let problem = format!("certificate {}: {anomaly}", certificate.sha256);
                self.anomalies.insert(("x509", problem));
            }
        }
    }

    fn note(&mut self, why: &HelloError) {
        self.refusal = Some(why.to_string());
        match why {
            HelloError::NotTls | HelloError::Silent | HelloError::NoRandomness => {}
            // It stopped, or refused, as it may.
            HelloError::Cut | HelloError::Alert(_) | HelloError::Group(_) => self.speaks_tls = true,
            HelloError::Malformed(what) => {
                self.anomalies.insert(("tls", format!("{why}: {what}")));
            }
            HelloError::Unexpected(_)
            | HelloError::Version(_)
            | HelloError::Suite(_)
            | HelloError::KeyShare
            | HelloError::Undecipherable
            | HelloError::NoCertificate
            | HelloError::TooLarge => {
                self.speaks_tls = true;
                self.anomalies.insert(("tls", why.to_string()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TLS12: TlsVersion = certs::hello::TLS12;
    const TLS13: TlsVersion = certs::hello::TLS13;

    fn name(text: &str) -> ServerName {
        ServerName::new(text).unwrap()
    }

    fn chain(version: TlsVersion, der: &[u8]) -> Outcome {
        Outcome::Collected(Box::new(Collected {
            version,
            suite: 0x1301,
            chain: vec![der.to_vec()],
            left_out: 0,
            key_exchange: None,
            client_certificate_requested: false,
            warnings: Vec::new(),
        }))
    }

    /// Runs a collection against a server; returns what was tried, in short, and what it showed.
    fn run(names: &[&str], server: impl Fn(&Attempt) -> Outcome) -> (Vec<String>, Served) {
        let mut collection = Collection::new(names.iter().map(|text| name(text)));
        let mut tried = Vec::new();
        while let Some(attempt) = collection.next() {
            let server_name = attempt.server_name.as_ref().map_or("-", ServerName::as_str);
            tried.push(match attempt.kind {
                Kind::Modern => format!("1.3 {server_name}"),
                Kind::Wide => format!("wide {server_name}"),
                Kind::Bare(version) => format!("bare {version}"),
            });
            assert!(tried.len() < 30, "{tried:?}");
            collection.record(server(&attempt));
        }
        (tried, collection.finish())
    }

    const REFUSED: Outcome = Outcome::Failed(HelloError::Alert(70));
    const HUNG_UP: Outcome = Outcome::Failed(HelloError::Silent);

    #[track_caller]
    fn check(names: &[&str], server: impl Fn(&Attempt) -> Outcome, expected: &[&str]) -> Served {
        let (tried, served) = run(names, server);
        assert_eq!(tried, expected);
        served
    }

    #[test]
    fn an_ordinary_server_is_asked_twice_for_each_name() {
        let server = |attempt: &Attempt| match attempt.kind {
            Kind::Modern => chain(TLS13, b"x"),
            _ => chain(TLS12, b"x"),
        };
        let served =
            check(&["a.example"], server, &["1.3 -", "wide -", "1.3 a.example", "wide a.example"]);
        let of: Vec<_> =
            served.chains.iter().map(|c| (c.server_name.as_deref(), c.protocol_version)).collect();
        let name = Some("a.example");
        assert_eq!(of, [(None, TLS13), (None, TLS12), (name, TLS13), (name, TLS12)]);
        assert_eq!(served.attributes()["tls_versions"], "TLSv1.2 TLSv1.3");
        assert!(served.speaks_tls);
    }

    #[test]
    fn a_version_that_is_missing_is_not_asked_for_again() {
        let old = |attempt: &Attempt| match attempt.kind {
            Kind::Wide => chain(TLS12, b"x"),
            _ => REFUSED,
        };
        check(&["a"], old, &["1.3 -", "wide -", "wide a"]);
        let new = |attempt: &Attempt| match attempt.kind {
            Kind::Modern => chain(TLS13, b"x"),
            _ => REFUSED,
        };
        check(&["a"], new, &["1.3 -", "wide -", "1.3 a"]);
    }

    #[test]
    fn chains_that_differ_by_version_or_name_are_all_kept() {
        let served = check(
            &["a"],
            |attempt| match (attempt.kind, &attempt.server_name) {
                (Kind::Modern, None) => chain(TLS13, b"ecdsa"),
                (Kind::Modern, Some(_)) => chain(TLS13, b"named"),
                _ => chain(TLS12, b"rsa"),
            },
            &["1.3 -", "wide -", "1.3 a", "wide a"],
        );
        let of: Vec<_> = served.chains.iter().map(|c| c.chain[0].as_slice()).collect();
        assert_eq!(of, [&b"ecdsa"[..], b"rsa", b"named", b"rsa"]);
    }

    #[test]
    fn a_server_that_insists_on_a_name_gets_one() {
        let served = check(
            &["a"],
            |attempt| match (attempt.kind, &attempt.server_name) {
                (_, None) => Outcome::Failed(HelloError::Alert(112)),
                (Kind::Modern, _) => chain(TLS13, b"x"),
                _ => REFUSED,
            },
            &["1.3 -", "wide -", "1.3 a", "wide a"],
        );
        assert_eq!(served.chains.len(), 1);
    }

    #[test]
    fn old_servers_are_asked_in_their_own_words_at_last() {
        for failure in [REFUSED, HUNG_UP] {
            let served = check(
                &[],
                |attempt| match attempt.kind {
                    Kind::Bare(SSL30) => chain(SSL30, b"x"),
                    _ => failure.clone(),
                },
                &["1.3 -", "wide -", "bare TLSv1.1", "bare TLSv1.0", "bare SSLv3"],
            );
            assert_eq!(served.chains[0].protocol_version, SSL30);
        }
        check(
            &[],
            |attempt| if attempt.kind == Kind::Bare(TLS11) { chain(TLS11, b"x") } else { REFUSED },
            &["1.3 -", "wide -", "bare TLSv1.1"],
        );
    }

    #[test]
    fn what_is_no_tls_costs_one_connection() {
        for outcome in [Outcome::Failed(HelloError::NotTls), Outcome::NoConnection] {
            let served = check(&["a"], |_| outcome.clone(), &["1.3 -"]);
            assert!(served.facts().is_empty() && !served.speaks_tls);
            assert!(served.refusal.is_some());
        }
        let served = check(&["a"], |_| Outcome::TimedOut, &["1.3 -", "wide -"]);
        assert!(!served.speaks_tls);
    }

    #[test]
    fn a_refusal_that_age_does_not_explain_ends_it() {
        let served = check(&[], |_| Outcome::Failed(HelloError::Alert(48)), &["1.3 -", "wide -"]);
        assert!(served.speaks_tls && served.facts().is_empty());
    }

    #[test]
    fn broken_chains_are_kept_and_said_to_be_broken() {
        let served = check(&[], |_| chain(TLS12, b"noise"), &["1.3 -", "wide -"]);
        assert_eq!(served.chains[0].chain, [b"noise".to_vec()]);
        let facts = served.facts();
        assert!(matches!(&facts[0], Fact::Certificates(_)));
        let x509 = facts[1..].iter().all(|fact| {
            matches!(fact, Fact::Anomaly { protocol, problem }
                if protocol == "x509" && problem.starts_with("certificate "))
        });
        assert!(x509 && facts.len() > 1, "{facts:?}");

        let why = HelloError::Undecipherable;
        let served = check(&[], |_| Outcome::Failed(why.clone()), &["1.3 -", "wide -"]);
        assert_eq!(served.anomalies, BTreeSet::from([("tls", why.to_string())]));
    }

    #[test]
    fn names_are_few() {
        let names: Vec<String> = (0..100).map(|n| format!("host-{n}.example")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (tried, _) = run(&names, |_| chain(TLS12, b"x"));
        assert_eq!(tried.len(), 2 + 2 * Collection::MAX_NAMES);
    }
}
