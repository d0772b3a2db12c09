//! Listening to a server that answers in SSL 3.0 to TLS 1.2, where everything up to the end
//! of its first flight comes in the clear.

use model::TlsVersion;

use super::{
    Collected, HelloError, KeyExchange, Record, SSL30, Step, TLS10, TLS12,
    message::{self, ServerHello},
    record::{self, Message, Messages},
    suite::{self, Exchange},
};

/// What has been heard.
#[derive(Debug, Default)]
pub(crate) struct Legacy {
    messages: Messages,
    chosen: Option<(TlsVersion, u16, Exchange)>,
    chain: Option<message::Chain>,
    key_exchange: Option<KeyExchange>,
    client_certificate_requested: bool,
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
        match (message.kind, self.chosen) {
            // It may be sent at any time and asks for nothing that we do.
            (message::HELLO_REQUEST, _) => {}
            (message::SERVER_HELLO, None) => self.read_hello(message.body())?,
            (message::CERTIFICATE, Some(_)) if self.chain.is_none() => {
                self.chain = Some(message::certificate(message.body())?);
            }
            (message::SERVER_KEY_EXCHANGE, Some((_, _, exchange))) => {
                self.key_exchange = Some(message::key_exchange(message.body(), exchange)?);
            }
            (message::CERTIFICATE_REQUEST, Some(_)) => self.client_certificate_requested = true,
            (message::CERTIFICATE_STATUS | message::NEW_SESSION_TICKET, Some(_)) => {}
            (message::SERVER_HELLO_DONE, Some(_)) => return Ok(true),
            (other, _) => return Err(HelloError::Unexpected(other)),
        }
        Ok(false)
    }

    fn read_hello(&mut self, body: &[u8]) -> Result<(), HelloError> {
        let hello = ServerHello::read(body)?;
        if !(SSL30..=TLS12).contains(&hello.version) {
            return Err(HelloError::Version(hello.version));
        }
        let exchange = suite::exchange(hello.suite).ok_or(HelloError::Suite(hello.suite))?;
        self.chosen = Some((hello.version, hello.suite, exchange));
        self.key_exchange = match exchange {
            Exchange::Rsa => Some(KeyExchange::Rsa),
            Exchange::Static => Some(KeyExchange::Static),
            Exchange::Dhe | Exchange::Ecdhe => None,
        };
        Ok(())
    }

    /// What was collected, if the chain has come.
    pub(crate) fn collected(&mut self) -> Option<Collected> {
        let (version, suite, _) = self.chosen?;
        let (chain, left_out) = self.chain.take().filter(|(chain, _)| !chain.is_empty())?;
        Some(Collected {
            version,
            suite,
            chain,
            left_out,
            key_exchange: self.key_exchange,
            client_certificate_requested: self.client_certificate_requested,
            warnings: Vec::new(),
        })
    }

    /// `close_notify`, in the version agreed upon.
    pub(crate) fn farewell(&self) -> Vec<u8> {
        let version = self.chosen.map_or(TLS10, |(version, ..)| version);
        record::write(record::ALERT, version.0, &[1, 0])
    }
}
