//! What all attempts on one endpoint showed together.

use std::collections::{BTreeMap, BTreeSet};

use certs::{
    AnomalyKind,
    hello::{
        self, ClientCertificate, Collected, HelloError, KeyExchange, Kind, Precautions, Question,
    },
};
use model::{CertificateChain, Fact, TlsVersion};

use super::Outcome;

/// The most characters of an attribute that a server fills.
const MAX_TEXT: usize = 1_000;

/// What all attempts showed together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Served {
    /// The protocol that came before TLS, where one did.
    pub starttls: Option<&'static str>,
    /// Whether it made clear that it has no TLS there: that no certificate came is then no gap.
    pub is_plain: bool,
    /// Whether the endpoint speaks TLS: it answered in its records, if only to refuse.
    pub speaks_tls: bool,
    /// The chains, one for each question (name and version) that was answered. The same chain
    /// stands here for each: a server may renew one of them and forget the others.
    pub chains: Vec<CertificateChain>,
    /// The versions in which it answered. Others may be served too: each hello shows only the
    /// one that the server likes best of those offered.
    pub versions: BTreeSet<TlsVersion>,
    /// The versions that it was asked for alone and refused.
    pub refused: BTreeSet<TlsVersion>,
    /// The cipher suites that it chose, by their numbers.
    pub suites: BTreeSet<u16>,
    /// The groups that it chose, by their numbers.
    pub groups: BTreeSet<u16>,
    /// The bits of the smallest prime that it chose for Diffie-Hellman.
    pub dh_bits: Option<u32>,
    /// Its request for a client certificate: the one with most names.
    pub client_certificate: Option<ClientCertificate>,
    /// The application protocols that it chose.
    pub protocols: BTreeSet<String>,
    /// The OCSP responses that it stapled, undecoded, each once.
    pub stapled: BTreeSet<Vec<u8>>,
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

    /// What belongs to the attributes of the endpoint's service. Empty where nothing was
    /// answered; each of these only where it was seen:
    ///
    /// | attribute | value |
    /// |---|---|
    /// | `tls_versions`, `tls_versions_refused` | lowest first |
    /// | `tls_suites`, `tls_groups` | names of the registry, or numbers |
    /// | `tls_dh_bits` | of the smallest prime |
    /// | `tls_client_certificate` | `requested` |
    /// | `tls_client_authorities` | their names, as RFC 4514 writes them, with `; ` between |
    /// | `tls_alpn` | protocols |
    /// | `tls_ocsp` | `stapled` |
    /// | `tls_renegotiation` | `secure` or `insecure` (RFC 5746) |
    /// | `tls_extended_master_secret` | `yes` or `no` (RFC 7627) |
    /// | `tls_compression` | `deflate`, or the method's number |
    /// | `tls_x25519mlkem768` | `yes` or `no` |
    /// | `tls_anonymous` | `yes` |
    #[must_use]
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        let mut put = |name: &str, value: String| {
            if !value.is_empty() {
                let end = value.floor_char_boundary(MAX_TEXT);
                out.insert(name.to_owned(), value.get(..end).unwrap_or_default().to_owned());
            }
        };
        put("tls_versions", joined(self.versions.iter().map(ToString::to_string), " "));
        let refused = self.refused.difference(&self.versions).map(ToString::to_string);
        put("tls_versions_refused", joined(refused, " "));
        let suites = self.suites.iter().map(|suite| named(*suite, hello::suite_name(*suite)));
        put("tls_suites", joined(suites, " "));
        let groups = self.groups.iter().map(|group| named(*group, hello::group_name(*group)));
        put("tls_groups", joined(groups, " "));
        put("tls_dh_bits", self.dh_bits.map(|bits| bits.to_string()).unwrap_or_default());
        if let Some(request) = &self.client_certificate {
            put("tls_client_certificate", "requested".to_owned());
            put("tls_client_authorities", joined(request.authorities.iter().cloned(), "; "));
        }
        put("tls_alpn", joined(self.protocols.iter().cloned(), " "));
        if !self.stapled.is_empty() {
            put("tls_ocsp", "stapled".to_owned());
        }
        if let Some(precautions) = self.precautions {
            let secure = if precautions.secure_renegotiation { "secure" } else { "insecure" };
            put("tls_renegotiation", secure.to_owned());
            let extended = if precautions.extended_master_secret { "yes" } else { "no" };
            put("tls_extended_master_secret", extended.to_owned());
            put(
                "tls_compression",
                match precautions.compression {
                    0 => String::new(),
                    1 => "deflate".to_owned(),
                    other => other.to_string(),
                },
            );
        }
        put("tls_x25519mlkem768", self.hybrid.told().to_owned());
        if self.anonymous == Support::Yes {
            put("tls_anonymous", "yes".to_owned());
        }
        out
    }

    /// Takes what became of one question.
    pub(super) fn add(&mut self, question: &Question, outcome: Outcome) {
        self.connections = self.connections.saturating_add(1);
        match outcome {
            Outcome::Collected(collected) => self.take(question, *collected),
            Outcome::Failed(why) => self.note(question.kind, &why),
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
        self.versions.insert(collected.version);
        // An older answer to the question for one version is a refusal of that version.
        if let Kind::UpTo(asked) = question.kind
            && collected.version < asked
        {
            self.refused.insert(asked);
        }
        self.suites.extend(collected.suite);
        match collected.key_exchange {
            Some(KeyExchange::Ecdhe(group)) => self.groups.extend(group),
            Some(KeyExchange::Dhe(bits)) => {
                self.dh_bits = Some(self.dh_bits.map_or(bits, |least| least.min(bits)));
            }
            Some(KeyExchange::Rsa | KeyExchange::Static) | None => {}
        }
        self.protocols.extend(collected.protocol);
        self.stapled.extend(collected.stapled);
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
        // Looked at once, though several questions brought it.
        if !self.chains.iter().any(|known| known.chain == collected.chain) {
            collected.chain.iter().for_each(|der| self.examine(der));
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

    fn note(&mut self, kind: Kind, why: &HelloError) {
        self.refusal = Some(why.to_string());
        let refused = matches!(why, HelloError::Alert(_));
        match kind {
            Kind::Hybrid if refused && self.hybrid == Support::Unknown => {
                self.hybrid = Support::No;
            }
            Kind::UpTo(version) | Kind::Bare(version) if refused => {
                self.refused.insert(version);
            }
            _ => {}
        }
        match why {
            HelloError::NotTls => self.note_leftovers(),
            HelloError::Silent | HelloError::NoRandomness => {}
            // It stopped, or refused, as it may.
            HelloError::Cut | HelloError::Alert(_) | HelloError::Ssl2(_) | HelloError::Group(_) => {
                self.speaks_tls = true;
            }
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

impl Support {
    /// `yes`, `no`, or nothing where nothing is known.
    const fn told(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Yes => "yes",
            Self::No => "no",
        }
    }
}

fn joined(parts: impl Iterator<Item = String>, between: &str) -> String {
    parts.collect::<Vec<_>>().join(between)
}

fn named(number: u16, name: Option<&str>) -> String {
    name.map_or_else(|| format!("{number:#06x}"), str::to_owned)
}
