//! Listening to a server that answers in SSL 3.0 to TLS 1.2, where everything up to the end
//! of its first flight comes in the clear.

use model::TlsVersion;

use super::{
    ClientCertificate, Collected, HelloError, KeyExchange, Precautions, Record, SSL30, Step, TLS10,
    TLS12,
    message::{self, ServerHello},
    record::{self, Message, Messages},
    suite::{self, Exchange, Row},
};

/// What has been heard.
#[derive(Debug, Default)]
pub(crate) struct Legacy {
    messages: Messages,
    chosen: Option<Chosen>,
    chain: Option<message::Chain>,
    key_exchange: Option<KeyExchange>,
    client_certificate: Option<ClientCertificate>,
    stapled: Option<Vec<u8>>,
    /// Whether the flight came to its end.
    whole: bool,
}

/// What the ServerHello said.
#[derive(Debug)]
struct Chosen {
    version: TlsVersion,
    suite: Row,
    protocol: Option<String>,
    precautions: Precautions,
}

impl Legacy {
    /// Reads one record that is no alert.
    pub(crate) fn read(&mut self, record: Record) -> Result<Step, HelloError> {
        if record.kind != record::HANDSHAKE {
            return Err(HelloError::Unexpected(record.kind));
        }
        self.messages.push(&record.body);
        while let Some(message) = self.messages.next()? {
            if self.read_message(&message)? {
                return Ok(Step::Done);
            }
        }
        Ok(Step::More)
    }

    /// Whether it was the last one.
    fn read_message(&mut self, message: &Message) -> Result<bool, HelloError> {
        match (message.kind, &self.chosen) {
            // It may be sent at any time and asks for nothing that we do.
            (message::HELLO_REQUEST, _) => {}
            (message::SERVER_HELLO, None) => self.read_hello(message.body())?,
            (message::CERTIFICATE, Some(_)) if self.chain.is_none() => {
                self.chain = Some(message::certificate(message.body())?);
            }
            (message::SERVER_KEY_EXCHANGE, Some(chosen)) => {
                let (_, _, exchange) = chosen.suite;
                self.key_exchange = Some(message::key_exchange(message.body(), exchange)?);
            }
            (message::CERTIFICATE_REQUEST, Some(chosen)) => {
                let request = message::certificate_request(message.body(), chosen.version);
                self.client_certificate = Some(request);
            }
            (message::CERTIFICATE_STATUS, Some(_)) => {
                self.stapled = message::certificate_status(message.body());
            }
            (message::NEW_SESSION_TICKET, Some(_)) => {}
            (message::SERVER_HELLO_DONE, Some(_)) => {
                self.whole = true;
                return Ok(true);
            }
            (other, _) => return Err(HelloError::Unexpected(other)),
        }
        Ok(false)
    }

    fn read_hello(&mut self, body: &[u8]) -> Result<(), HelloError> {
        let hello = ServerHello::read(body)?;
        if !(SSL30..=TLS12).contains(&hello.version) {
            return Err(HelloError::Version(hello.version));
        }
        let suite = suite::find(hello.suite).ok_or(HelloError::Suite(hello.suite))?;
        self.key_exchange = match suite.2 {
            Exchange::Rsa => Some(KeyExchange::Rsa),
            Exchange::Static => Some(KeyExchange::Static),
            Exchange::Dhe | Exchange::Ecdhe => None,
        };
        let precautions = Precautions {
            secure_renegotiation: hello.secure_renegotiation,
            extended_master_secret: hello.extended_master_secret,
            compression: hello.compression,
        };
        let (version, protocol) = (hello.version, hello.protocol);
        self.chosen = Some(Chosen { version, suite, protocol, precautions });
        Ok(())
    }

    /// What was collected, if the chain has come, or the end of a flight without one.
    pub(crate) fn collected(&mut self) -> Option<Collected> {
        let chosen = self.chosen.as_ref()?;
        let chain = match self.chain.take().filter(|chain| !chain.kept.is_empty()) {
            Some(chain) => chain,
            None if self.whole && suite::is_anonymous(chosen.suite) => message::Chain::default(),
            None => return None,
        };
        Some(Collected {
            version: chosen.version,
            suite: Some(chosen.suite.0),
            chain: chain.kept,
            left_out: chain.left_out,
            key_exchange: self.key_exchange,
            client_certificate: self.client_certificate.take(),
            stapled: self.stapled.take(),
            protocol: chosen.protocol.clone(),
            precautions: Some(chosen.precautions),
            warnings: Vec::new(),
        })
    }

    /// `close_notify`, in the version agreed upon.
    pub(crate) fn farewell(&self) -> Vec<u8> {
        let version = self.chosen.as_ref().map_or(TLS10, |chosen| chosen.version);
        record::write(record::ALERT, version.0, &[1, 0])
    }
}
