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

mod error;
mod legacy;
mod message;
mod modern;
mod offer;
mod record;
mod schedule;
mod suite;

#[cfg(test)]
mod tests;

use model::TlsVersion;
use wire::Reader;

pub use error::HelloError;
pub use offer::ServerName;
pub use suite::{group_name, suite_name};

use legacy::Legacy;
use modern::Modern;
use record::{Record, Records};

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

/// Which hello to send.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// Everything up to TLS 1.2: some 75 suites, all curves, all signature algorithms.
    /// The server picks the version, down to SSL 3.0.
    Wide,
    /// TLS 1.3 only, with shares for X25519 and P-256.
    Modern,
    /// One old version, without extensions: for servers that fail on what they do not know
    /// instead of passing it over, as they should.
    Bare(TlsVersion),
}

/// One attempt to obtain a server's chain over one connection.
#[derive(Debug)]
pub struct Collector {
    hello: Vec<u8>,
    records: Records,
    side: Side,
    warnings: Vec<u8>,
    outcome: Option<Result<Collected, HelloError>>,
}

#[derive(Debug)]
enum Side {
    Legacy(Legacy),
    Modern(Box<Modern>),
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

/// What one connection showed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Collected {
    /// The version that the server chose.
    pub version: TlsVersion,
    /// The cipher suite that it chose, by its number in the IANA registry.
    pub suite: u16,
    /// The certificates' DER as served, leaf first, at least one, at most [`MAX_CHAIN`].
    pub chain: Vec<Vec<u8>>,
    /// How many more there were.
    pub left_out: usize,
    /// How keys would have been exchanged, where the server came to say so.
    pub key_exchange: Option<KeyExchange>,
    /// Whether the server asked for a client certificate.
    pub client_certificate_requested: bool,
    /// The warning alerts on the way, by their number (RFC 8446, section 6): 112 is
    /// `unrecognized_name`.
    pub warnings: Vec<u8>,
}

/// How keys are exchanged.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyExchange {
    /// Encrypted to the certificate's key: no forward secrecy.
    Rsa,
    /// Diffie-Hellman over a prime of so many bits.
    Dhe(u32),
    /// Over an elliptic curve, by its number in the IANA registry of supported groups; `None`
    /// for one that is given by its numbers.
    Ecdhe(Option<u16>),
    /// With a key that is in the certificate.
    Static,
}

impl Collector {
    /// Prepares one attempt. `entropy` is 64 random bytes, for what goes in the clear (the
    /// client's random and the session id); the ephemeral keys of [`Kind::Modern`] are made by
    /// the crypto provider, which takes no randomness from others.
    ///
    /// # Errors
    /// [`HelloError::NoRandomness`] if the provider cannot make keys.
    pub fn new(
        kind: Kind,
        server_name: Option<&ServerName>,
        entropy: [u8; 64],
    ) -> Result<Self, HelloError> {
        let (random, session_id) = offer::split(entropy);
        let (hello, side) = match kind {
            Kind::Wide => (offer::wide(random, server_name), Side::Legacy(Legacy::default())),
            Kind::Bare(version) => (offer::bare(version, random), Side::Legacy(Legacy::default())),
            Kind::Modern => {
                let modern = Modern::new(server_name.cloned(), random, session_id)?;
                (modern.hello(), Side::Modern(Box::new(modern)))
            }
        };
        Ok(Self { hello, records: Records::default(), side, warnings: Vec::new(), outcome: None })
    }

    /// The first bytes to send.
    #[must_use]
    pub fn hello(&self) -> &[u8] {
        &self.hello
    }

    /// Takes what the server sent, in pieces of any size. Once it is done or has failed, more
    /// bytes change nothing.
    pub fn feed(&mut self, bytes: &[u8]) -> Progress {
        if self.outcome.is_none() {
            let step = self.records.push(bytes).and_then(|()| self.read());
            match step {
                Ok(Step::More) => {}
                Ok(Step::Say(bytes)) => return Progress::Say(bytes),
                Ok(Step::Done) => self.conclude(None),
                Err(why) => self.conclude(Some(why)),
            }
        }
        self.progress()
    }

    /// The server will send no more: it closed, or its time is over.
    pub fn end(&mut self) -> Progress {
        if self.outcome.is_none() {
            let nothing = self.records.is_untouched();
            self.conclude(Some(if nothing { HelloError::Silent } else { HelloError::Cut }));
        }
        self.progress()
    }

    /// What to send before closing, so that the server's log shows a client that left rather
    /// than one that broke: a `close_notify` alert.
    pub fn farewell(&mut self) -> Vec<u8> {
        match &mut self.side {
            Side::Legacy(legacy) => legacy.farewell(),
            Side::Modern(modern) => modern.farewell(),
        }
    }

    fn read(&mut self) -> Result<Step, HelloError> {
        while let Some(record) = self.records.next()? {
            let step = match (record.kind, &mut self.side) {
                (record::ALERT, _) => self.alert(&record.body)?,
                (_, Side::Legacy(legacy)) => legacy.read(record)?,
                (_, Side::Modern(modern)) => match modern.read(record)? {
                    modern::Heard::Step(step) => step,
                    modern::Heard::Alert(alert) => self.alert(&alert)?,
                },
            };
            if !matches!(step, Step::More) {
                return Ok(step);
            }
        }
        Ok(Step::More)
    }

    /// RFC 8446, section 6. A warning, such as that the server does not know the name, does not
    /// end the attempt: servers go on after it, and so must we.
    fn alert(&mut self, body: &[u8]) -> Result<Step, HelloError> {
        match Reader::new(body).array("alert")? {
            [1, 0] => Err(HelloError::Cut),
            [1, description] => {
                if self.warnings.len() < 16 && !self.warnings.contains(&description) {
                    self.warnings.push(description);
                }
                Ok(Step::More)
            }
            [_, description] => Err(HelloError::Alert(description)),
        }
    }

    /// A chain that has come stays, whatever went wrong after it.
    fn conclude(&mut self, why: Option<HelloError>) {
        let collected = match &mut self.side {
            Side::Legacy(legacy) => legacy.collected(),
            Side::Modern(modern) => modern.collected(),
        };
        self.outcome = Some(match (collected, why) {
            (Some(mut collected), _) => {
                collected.warnings.clone_from(&self.warnings);
                Ok(collected)
            }
            (None, Some(why)) => Err(why),
            (None, None) => Err(HelloError::NoCertificate),
        });
    }

    fn progress(&self) -> Progress {
        match &self.outcome {
            None => Progress::More,
            Some(Ok(collected)) => Progress::Done(Box::new(collected.clone())),
            Some(Err(why)) => Progress::Failed(why.clone()),
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
