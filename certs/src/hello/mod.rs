//! Asking a TLS server for its certificates, in messages: the pure half.
//!
//! A [`Collector`] says what to send, is fed what comes back, and ends with what was
//! [`Collected`] or why nothing was. It opens no socket, reads no clock and never completes
//! a handshake: up to TLS 1.2 the chain arrives in the clear, and in TLS 1.3 one key exchange
//! opens it. Nothing is verified, since an inventory wants the chains that no client accepts.
//! A general TLS library obtains the certificate from fewer than half of the odd servers that
//! a network has; this speaks just enough of every version to be told.
//!
//! What is not known here: which hello to try next (`scanner::probe::tls` decides) and what
//! came before TLS on the connection.

mod collected;
mod curve;
mod datagram;
mod ending;
mod error;
mod fragment;
mod handshake;
pub mod heard;
mod legacy;
mod message;
mod modern;
mod offer;
mod question;
mod quic;
mod record;
mod schedule;
mod share;
mod ssl2;
mod suite;

#[cfg(test)]
mod tests;

use model::TlsVersion;

pub use collected::{
    ClientCertificate, Collected, KeyExchange, MAX_AUTHORITIES, MAX_STAPLED, Precautions,
};
pub use datagram::{DTLS10, DTLS12, DatagramCollector};
pub use error::HelloError;
pub use offer::ServerName;
pub use question::{Kind, PROTOCOLS, PROTOCOLS_OF_QUIC, Question, Signer, Signers};
pub use quic::{Overheard, QuicCollector};
pub use share::Shares;
pub use suite::{group_name, groups_of, has_group, suite_name, suites_of};

use ending::Ending;
use legacy::Legacy;
use modern::Modern;
use record::{Record, Records};
use ssl2::Ssl2;

/// SSL 2.0, which no document of the IETF describes; RFC 6176 forbids it.
pub const SSL20: TlsVersion = TlsVersion(0x0002);
/// SSL 3.0, RFC 6101.
pub const SSL30: TlsVersion = TlsVersion(0x0300);
/// TLS 1.0, RFC 2246.
pub const TLS10: TlsVersion = TlsVersion(0x0301);
/// TLS 1.1, RFC 4346.
pub const TLS11: TlsVersion = TlsVersion(0x0302);
/// TLS 1.2, RFC 5246.
pub const TLS12: TlsVersion = TlsVersion(0x0303);
/// TLS 1.3, RFC 8446.
pub const TLS13: TlsVersion = TlsVersion(0x0304);

/// The most certificates that are kept of one chain. Real ones have at most ten.
pub const MAX_CHAIN: usize = 32;

/// The most bytes that one server is listened to.
pub const MAX_BYTES: usize = 1 << 20;

/// One attempt to obtain a server's chain over one connection.
#[derive(Debug)]
pub struct Collector {
    hello: Vec<u8>,
    records: Records,
    side: Side,
    ending: Ending,
}

#[derive(Debug)]
enum Side {
    Legacy(Legacy),
    Modern(Box<Modern>),
    /// Before its first byte it is not known whether the server answers in SSL 2.0.
    Framed(Legacy),
    Ssl2(Ssl2),
}

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Listen on.
    More,
    /// Send this, then listen on.
    Say(Vec<u8>),
    /// The chain has come: send [`Collector::farewell`] and close.
    Done(Box<Collected>),
    /// No chain will come: close.
    Failed(HelloError),
}

impl Collector {
    /// Prepares one attempt. `entropy` is 64 random bytes, for what goes in the clear (the
    /// client's random and the session id); the ephemeral keys of TLS 1.3 are made from the
    /// crypto provider's own randomness.
    ///
    /// # Errors
    /// [`HelloError::NoRandomness`] if the provider cannot make keys.
    pub fn new(question: &Question, entropy: [u8; 64]) -> Result<Self, HelloError> {
        Self::sharing(question, entropy, &Shares::default())
    }

    /// The same for one attempt of many: with the keys that the others did not need.
    ///
    /// # Errors
    /// [`HelloError::NoRandomness`] if the provider cannot make keys.
    pub fn sharing(
        question: &Question,
        entropy: [u8; 64],
        shares: &Shares,
    ) -> Result<Self, HelloError> {
        let (random, session_id) = offer::split(entropy);
        let legacy = || Side::Legacy(Legacy::default());
        let (hello, side) = match question.kind {
            Kind::Wide | Kind::Weak => (offer::wide(TLS12, question, random), legacy()),
            Kind::UpTo(version) => (offer::wide(version, question, random), legacy()),
            Kind::Bare(version) => (offer::bare(version, question, random), legacy()),
            Kind::Framed => (offer::framed(random), Side::Framed(Legacy::default())),
            Kind::Modern | Kind::Hybrid => {
                let modern = Modern::new(question.clone(), random, session_id, shares)?;
                (modern.hello(), Side::Modern(Box::new(modern)))
            }
        };
        Ok(Self { hello, records: Records::default(), side, ending: Ending::default() })
    }

    /// The first bytes to send.
    #[must_use]
    pub fn hello(&self) -> &[u8] {
        &self.hello
    }

    /// Takes what the server sent, in pieces of any size. Once it is done or has failed, more
    /// bytes change nothing.
    pub fn feed(&mut self, bytes: &[u8]) -> Progress {
        if self.ending.is_over() {
            return self.ending.progress();
        }
        let step = self.hear(bytes);
        self.ending.take(step, || self.side.collected())
    }

    /// The server will send no more: it closed, or its time is over. A warning that it sent
    /// then was its reason.
    pub fn end(&mut self) -> Progress {
        if self.ending.is_over() {
            return self.ending.progress();
        }
        let nothing = match &self.side {
            Side::Ssl2(ssl2) => ssl2.is_untouched(),
            _ => self.records.is_untouched(),
        };
        let why = self.ending.silence(nothing);
        self.ending.take(Err(why), || self.side.collected())
    }

    /// What to send before closing, so that the server's log shows a client that left rather
    /// than one that broke: a `close_notify` alert. Empty in SSL 2.0, which has none.
    pub fn farewell(&mut self) -> Vec<u8> {
        match &mut self.side {
            Side::Legacy(legacy) | Side::Framed(legacy) => legacy.farewell(),
            Side::Modern(modern) => modern.farewell(),
            Side::Ssl2(_) => Vec::new(),
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<Step, HelloError> {
        if let (Side::Framed(_), Some(first)) = (&self.side, bytes.first())
            && self.records.is_untouched()
            && Ssl2::is_begun_by(*first)
        {
            self.side = Side::Ssl2(Ssl2::default());
        }
        if let Side::Ssl2(ssl2) = &mut self.side {
            return Ok(if ssl2.read(bytes)? { Step::Done } else { Step::More });
        }
        self.records.push(bytes)?;
        self.read()
    }

    fn read(&mut self) -> Result<Step, HelloError> {
        while let Some(record) = self.records.next()? {
            let step = match (record.kind, &mut self.side) {
                (record::ALERT, _) => self.ending.alert(&record.body)?,
                (_, Side::Legacy(legacy) | Side::Framed(legacy)) => legacy.read(record)?,
                (other, Side::Ssl2(_)) => return Err(HelloError::Unexpected(other)),
                (_, Side::Modern(modern)) => match modern.read(record)? {
                    modern::Heard::Step(step) => step,
                    modern::Heard::Alert(alert) => self.ending.alert(&alert)?,
                },
            };
            if !matches!(step, Step::More) {
                return Ok(step);
            }
        }
        Ok(Step::More)
    }
}

impl Side {
    /// The chain, if it has come.
    fn collected(&mut self) -> Option<Collected> {
        match self {
            Self::Legacy(legacy) | Self::Framed(legacy) => legacy.collected(),
            Self::Modern(modern) => modern.collected(),
            Self::Ssl2(ssl2) => ssl2.collected(),
        }
    }
}

/// What a record led to.
#[derive(Debug)]
pub(crate) enum Step {
    More,
    Say(Vec<u8>),
    Done,
}
