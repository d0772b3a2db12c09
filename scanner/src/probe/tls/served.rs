//! What all attempts on one endpoint showed together.

use std::collections::{BTreeMap, BTreeSet};

use certs::{
    AnomalyKind, Certificate,
    hello::{
        ClientCertificate, Collected, HelloError, KeyExchange, Kind, Precautions, Question, SSL30,
        TLS10, TLS11,
    },
};
use model::{CertificateChain, Fact, TlsExtent, TlsServer, TlsVersion};

use super::Outcome;

/// What all attempts showed together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Served {
    /// How much it was asked.
    pub asked: TlsExtent,
    /// Whether there was more to ask.
    pub cut: bool,
    /// The protocol that came before TLS, where one did.
    pub starttls: Option<&'static str>,
    /// Whether it made clear that it has no TLS there: that no certificate came is then no gap.
    pub is_plain: bool,
    /// Whether there was somebody to ask: an attempt came further than to fail to connect.
    pub is_there: bool,
    /// Whether the endpoint speaks TLS: it answered in its records, if only to refuse.
    pub speaks_tls: bool,
    /// The chains, one for each question (name and version) that was answered. The same chain
    /// stands here for each: a server may renew one of them and forget the others.
    pub chains: Vec<CertificateChain>,
    /// The versions in which it answered, with the cipher suites that it chose in each, by their
    /// numbers. Others may be served too: each hello shows only what the server likes best of
    /// what is offered.
    pub accepted: BTreeMap<TlsVersion, BTreeSet<u16>>,
    /// The versions that it refused: asked for alone, or as the newest of several.
    pub refused: BTreeSet<TlsVersion>,
    /// The groups that it chose, by their numbers.
    pub groups: BTreeSet<u16>,
    /// The bits of the smallest prime that it chose for Diffie-Hellman.
    pub dh_bits: Option<u32>,
    /// Its request for a client certificate: the one with most names.
    pub client_certificate: Option<ClientCertificate>,
    /// The application protocols that it chose.
    pub protocols: BTreeSet<String>,
    /// The OCSP response that it stapled to each leaf, undecoded, by the SHA-256 of the leaf.
    pub stapled: BTreeMap<String, Vec<u8>>,
    /// What it does for safety up to TLS 1.2: in the attempt that showed least.
    pub precautions: Option<Precautions>,
    /// Whether it has X25519MLKEM768.
    pub hybrid: Support,
    /// Whether it lets a client in that wants no certificate.
    pub anonymous: Support,
    /// Why the last attempt that brought nothing did not.
    pub refusal: Option<String>,
    /// How many connections were made for it, those that failed included.
    pub connections: u32,
    /// What broke a protocol: protocol (`tls`, `x509` or that before TLS) and problem.
    pub anomalies: BTreeSet<(&'static str, String)>,
}

/// Whether a server has what it was asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Support {
    /// Nobody asked, or the answer says nothing.
    #[default]
    Unknown,
    /// It has it.
    Yes,
    /// It refused for want of it.
    No,
}

impl Served {
    /// The facts about the endpoint: chains, what it accepts, then anomalies. What it stapled is
    /// not among them, for that is a fact by its evidence.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        let chains = self.chains.iter().cloned().map(Fact::Certificates);
        let server = self.server().map(Fact::Tls);
        let anomalies = self.anomalies.iter().map(|(protocol, problem)| Fact::Anomaly {
            protocol: (*protocol).to_owned(),
            problem: problem.clone(),
        });
        chains.chain(server).chain(anomalies).collect()
    }

    /// What it accepts, where it answered at all.
    #[must_use]
    pub fn server(&self) -> Option<TlsServer> {
        if self.accepted.is_empty() {
            return None;
        }
        let authorities = self.client_certificate.as_ref().map(|request| {
            let kept = request.authorities.iter().take(TlsServer::MAX_AUTHORITIES);
            kept.map(|name| {
                let end = name.floor_char_boundary(TlsServer::MAX_NAME);
                name.get(..end).unwrap_or_default().to_owned()
            })
            .collect()
        });
        Some(TlsServer {
            asked: self.asked,
            cut: self.cut,
            starttls: self.starttls.map(str::to_owned),
            accepted: self.accepted.clone(),
            refused: self
                .refused
                .iter()
                .copied()
                .filter(|v| !self.accepted.contains_key(v))
                .collect(),
            groups: self.groups.clone(),
            dh_bits: self.dh_bits,
            protocols: self.protocols.clone(),
            client_authorities: authorities,
            compression: self.precautions.map(|all| all.compression),
            secure_renegotiation: self.precautions.map(|all| all.secure_renegotiation),
            extended_master_secret: self.precautions.map(|all| all.extended_master_secret),
            hybrid: self.hybrid.is_there(),
        })
    }

    /// Takes what became of one question.
    pub(super) fn add(&mut self, question: &Question, outcome: Outcome) {
        self.connections = self.connections.saturating_add(1);
        self.is_there |= outcome != Outcome::NoConnection;
        match outcome {
            Outcome::Collected(collected) => self.take(question, *collected),
            Outcome::Failed(why) => self.note(question, &why),
            Outcome::TimedOut => self.refusal = Some("it let its time pass".to_owned()),
            Outcome::NoConnection => self.refusal = Some("it took no connection".to_owned()),
            Outcome::BeforeTls(why) => {
                self.is_plain = why.is_answer();
                self.refusal = Some(why.to_string());
            }
        }
    }

    /// Notes that it said something in the clear where TLS was to begin. Whoever reads on in TLS
    /// takes what somebody on the way put there for the server's (CVE-2011-0411 and its kin).
    pub(super) fn note_leftovers(&mut self) {
        let problem = "it says more in the clear after it agreed to TLS".to_owned();
        self.anomalies.extend(self.starttls.map(|protocol| (protocol, problem)));
    }

    fn take(&mut self, question: &Question, collected: Collected) {
        self.speaks_tls = true;
        self.accepted.entry(collected.version).or_default().extend(collected.suite);
        // An older answer to the question for one version is a refusal of that version.
        if let Kind::UpTo(asked) = question.kind
            && question.without.is_empty()
        {
            self.refused.extend(up_to(asked).filter(|version| *version > collected.version));
        }
        match collected.key_exchange {
            Some(KeyExchange::Ecdhe(group)) => self.groups.extend(group),
            Some(KeyExchange::Dhe(bits)) => {
                self.dh_bits = Some(self.dh_bits.map_or(bits, |least| least.min(bits)));
            }
            Some(KeyExchange::Rsa | KeyExchange::Static) | None => {}
        }
        self.protocols.extend(collected.protocol);
        if let (Some(leaf), Some(response)) = (collected.chain.first(), collected.stapled) {
            self.stapled.insert(certs::parse(leaf).sha256, response);
        }
        if question.kind == Kind::Hybrid {
            self.hybrid = Support::Yes;
        }
        if let Some(request) = collected.client_certificate
            && self.client_certificate.as_ref().is_none_or(|known| known.len() < request.len())
        {
            self.client_certificate = Some(request);
        }
        // A hello without extensions gets none back: it says nothing about them.
        if let Some(now) = collected.precautions
            && !matches!(question.kind, Kind::Bare(_) | Kind::Framed)
        {
            let least = self.precautions.map_or(now, |before| Precautions {
                secure_renegotiation: before.secure_renegotiation && now.secure_renegotiation,
                extended_master_secret: before.extended_master_secret && now.extended_master_secret,
                compression: before.compression.max(now.compression),
            });
            self.precautions = Some(least);
        }
        if collected.chain.is_empty() {
            self.anonymous = Support::Yes;
            self.refusal = Some("it serves without one".to_owned());
            return;
        }
        if collected.left_out > 0 {
            let kept = collected.chain.len();
            let sent = kept + collected.left_out;
            let problem = format!("its chain has {sent} certificates, of which {kept} were kept");
            self.anomalies.insert(("tls", problem));
        }
        let server_name = question.server_name.as_ref().map(|name| name.as_str().to_owned());
        // Looked at once, though several questions brought it; the leaf was as it came.
        if !self.chains.iter().any(|known| known.chain == collected.chain) {
            for der in collected.chain.iter().skip(1) {
                self.note_certificate(anomalies(&certs::parse_unchecked(der)));
            }
        }
        let chain = CertificateChain {
            chain: collected.chain,
            server_name,
            protocol_version: collected.version,
            starttls: self.starttls.map(str::to_owned),
        };
        if !self.chains.contains(&chain) {
            self.chains.push(chain);
        }
    }

    /// Notes what is broken about a certificate.
    pub(super) fn note_certificate(&mut self, anomalies: Vec<String>) {
        self.anomalies.extend(anomalies.into_iter().map(|problem| ("x509", problem)));
    }

    fn note(&mut self, question: &Question, why: &HelloError) {
        self.refusal = Some(why.to_string());
        let refused = matches!(why, HelloError::Alert(_));
        match question.kind {
            Kind::Hybrid if refused && self.hybrid == Support::Unknown => {
                self.hybrid = Support::No;
            }
            // Without some suites, it may be the others that it refuses.
            Kind::UpTo(version) if refused && question.without.is_empty() => {
                self.refused.extend(up_to(version));
            }
            Kind::Bare(version) if refused && question.without.is_empty() => {
                self.refused.insert(version);
            }
            _ => {}
        }
        match why {
            HelloError::NotTls => self.note_leftovers(),
            HelloError::Silent | HelloError::NoRandomness => {}
            // It stopped, or refused, as it may.
            HelloError::Cut
            | HelloError::Alert(_)
            | HelloError::Ssl2(_)
            | HelloError::Quic(_)
            | HelloError::QuicVersion
            | HelloError::Group(_) => self.speaks_tls = true,
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

/// The versions that a hello up to an older one asks for.
fn up_to(version: TlsVersion) -> impl Iterator<Item = TlsVersion> {
    [SSL30, TLS10, TLS11].into_iter().filter(move |older| *older <= version)
}

/// What is broken about a certificate. What merely breaks a profile is for rules.
pub(super) fn anomalies(certificate: &Certificate) -> Vec<String> {
    let broken = certificate.anomalies.iter().filter(|a| a.kind != AnomalyKind::Profile);
    broken.map(|anomaly| format!("certificate {}: {anomaly}", certificate.sha256)).collect()
}

impl Support {
    /// `None` where nothing is known.
    const fn is_there(self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::Yes => Some(true),
            Self::No => Some(false),
        }
    }
}
