//! Listening to a server that answers in TLS 1.3, as far as its certificate (RFC 8446,
//! section 2): hello, retry where the server wants another group, one key exchange, and
//! the encrypted messages up to the Certificate. Nothing after it is wanted.

use wire::Reader;

use super::{
    ClientCertificate, Collected, HelloError, KeyExchange, Kind, Question, Record, Step, TLS12,
    TLS13, message,
    message::ServerHello,
    offer::{self, Offer13},
    record::{self, Message, Messages},
    schedule::{Key, Suite},
    share::{self, Share, Shares},
};

/// What has been said and heard.
#[derive(Debug)]
pub(crate) struct Modern {
    question: Question,
    random: [u8; 32],
    session_id: [u8; 32],
    shares: Vec<Share>,
    /// Where shares come from, and those go that the server did not agree on.
    pool: Shares,
    /// The messages so far, for the key schedule.
    transcript: Vec<u8>,
    messages: Messages,
    /// The suite that a retry request named.
    retried: Option<u16>,
    agreed: Option<Agreed>,
    client_certificate: Option<ClientCertificate>,
    protocol: Option<String>,
    chain: Option<message::Chain>,
    /// What a recorded flight was agreed upon, so that a test can replay it.
    #[cfg(test)]
    pub(super) secret: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Agreed {
    suite: u16,
    group: u16,
    server: Key,
    client: Key,
}

impl Drop for Modern {
    fn drop(&mut self) {
        self.pool.put_back(self.shares.drain(..));
    }
}

/// What a record was.
#[derive(Debug)]
pub(crate) enum Heard {
    Step(Step),
    /// An alert that was encrypted.
    Alert(Vec<u8>),
}

impl Modern {
    pub(crate) fn new(
        question: Question,
        random: [u8; 32],
        session_id: [u8; 32],
        pool: &Shares,
    ) -> Result<Self, HelloError> {
        let shares = match question.kind {
            Kind::Hybrid => Vec::new(),
            _ => vec![pool.take(share::X25519)?, pool.take(share::P256)?],
        };
        let mut modern = Self {
            question,
            random,
            session_id,
            shares,
            pool: pool.clone(),
            transcript: Vec::new(),
            messages: Messages::default(),
            retried: None,
            agreed: None,
            client_certificate: None,
            protocol: None,
            chain: None,
            #[cfg(test)]
            secret: None,
        };
        modern.transcript = modern.offer(None);
        Ok(modern)
    }

    /// Puts back what a recorded flight depends on: our hello and the secret agreed upon.
    #[cfg(test)]
    pub(super) fn replay(&mut self, hello: &[u8], secret: Option<Vec<u8>>) {
        self.transcript = hello.to_vec();
        self.secret = secret;
    }

    /// The record of the first hello. Its version is that of TLS 1.0 for the sake of what
    /// stands between (RFC 8446, section 5.1).
    pub(crate) fn hello(&self) -> Vec<u8> {
        record::write(record::HANDSHAKE, 0x0301, &self.transcript)
    }

    /// The groups that we name.
    fn groups(&self) -> &'static [u16] {
        match self.question.kind {
            Kind::Hybrid => &[share::X25519_MLKEM768],
            _ => share::GROUPS,
        }
    }

    fn offer(&self, cookie: Option<&[u8]>) -> Vec<u8> {
        offer::modern(&Offer13 {
            random: self.random,
            session_id: self.session_id,
            question: &self.question,
            groups: self.groups(),
            shares: &self.shares,
            cookie,
        })
    }

    /// Reads one record that is no plain alert.
    pub(crate) fn read(&mut self, record: Record) -> Result<Heard, HelloError> {
        let contents = match (record.kind, &mut self.agreed) {
            // RFC 8446, section 5: sent for the sake of middleboxes, and passed over.
            (record::CHANGE_CIPHER_SPEC, _) => return Ok(Heard::Step(Step::More)),
            (record::HANDSHAKE, None) => record.body,
            (record::APPLICATION_DATA, Some(agreed)) => {
                let opened = agreed.server.open(record.header, record.body);
                match opened.ok_or(HelloError::Undecipherable)? {
                    (record::HANDSHAKE, contents) => contents,
                    (record::ALERT, contents) => return Ok(Heard::Alert(contents)),
                    (other, _) => return Err(HelloError::Unexpected(other)),
                }
            }
            (other, _) => return Err(HelloError::Unexpected(other)),
        };
        self.messages.push(&contents);
        while let Some(message) = self.messages.next()? {
            let step = match &self.agreed {
                None => self.read_hello(&message)?,
                Some(_) => self.read_encrypted(&message)?,
            };
            if !matches!(step, Step::More) {
                return Ok(Heard::Step(step));
            }
        }
        Ok(Heard::Step(Step::More))
    }

    fn read_hello(&mut self, message: &Message) -> Result<Step, HelloError> {
        if message.kind != message::SERVER_HELLO {
            return Err(HelloError::Unexpected(message.kind));
        }
        let hello = ServerHello::read(message.body())?;
        if hello.version != TLS13 {
            return Err(HelloError::Version(hello.version));
        }
        let suite = Suite::of(hello.suite).ok_or(HelloError::Suite(hello.suite))?;
        if self.retried.is_some_and(|retried| retried != hello.suite) {
            return Err(HelloError::Suite(hello.suite));
        }
        if hello.is_retry() {
            return self.retry(&hello, suite, &message.whole);
        }
        // Keys change here, so a record must end here (RFC 8446, section 5.1): what follows
        // in the clear is not the server's certificate.
        if !self.messages.is_empty() {
            return Err(HelloError::Unexpected(message::SERVER_HELLO));
        }
        let mut r = Reader::new(hello.key_share.ok_or(HelloError::KeyShare)?);
        let group = r.u16("group")?;
        let length = r.u16("key_exchange length")?;
        let theirs = r.take("key_exchange", length.into())?;
        self.transcript.extend(&message.whole);
        let secret = self.agree(group, theirs)?;
        let keys = suite.handshake_keys(&secret, &self.transcript);
        let (server, client) = keys.ok_or(HelloError::KeyShare)?;
        self.agreed = Some(Agreed { suite: hello.suite, group, server, client });
        Ok(Step::More)
    }

    fn agree(&mut self, group: u16, theirs: &[u8]) -> Result<Vec<u8>, HelloError> {
        #[cfg(test)]
        if let Some(secret) = &self.secret {
            return Ok(secret.clone());
        }
        let ours = self.shares.iter().position(|share| share.group == group);
        let ours = self.shares.swap_remove(ours.ok_or(HelloError::Group(group))?);
        let secret = ours.agree(theirs)?;
        #[cfg(test)]
        {
            self.secret = Some(secret.clone());
        }
        Ok(secret)
    }

    /// HelloRetryRequest (RFC 8446, section 4.1.4): the same hello again, with a share of the
    /// group that the server wants, and its cookie.
    fn retry(
        &mut self,
        hello: &ServerHello<'_>,
        suite: Suite,
        whole: &[u8],
    ) -> Result<Step, HelloError> {
        if self.retried.is_some() {
            return Err(HelloError::Unexpected(message::SERVER_HELLO));
        }
        self.retried = Some(hello.suite);
        if let Some(wanted) = hello.key_share {
            let group = Reader::new(wanted).u16("selected_group")?;
            if !self.groups().contains(&group) {
                return Err(HelloError::Group(group));
            }
            let wanted = self.pool.take(group)?;
            self.pool.put_back(std::mem::replace(&mut self.shares, vec![wanted]));
        }
        // RFC 8446, section 4.4.1: the first hello is replaced by its hash.
        let hash = suite.digest(&self.transcript);
        let length = u8::try_from(hash.as_ref().len()).unwrap_or(u8::MAX);
        let again = self.offer(hello.cookie);
        self.transcript = [&[254, 0, 0, length][..], hash.as_ref(), whole, &again].concat();
        let mut say = record::write(record::CHANGE_CIPHER_SPEC, TLS12.0, &[1]);
        say.extend(record::write(record::HANDSHAKE, TLS12.0, &again));
        Ok(Step::Say(say))
    }

    fn read_encrypted(&mut self, message: &Message) -> Result<Step, HelloError> {
        match message.kind {
            message::ENCRYPTED_EXTENSIONS => {
                self.protocol = message::encrypted_extensions(message.body())?;
                Ok(Step::More)
            }
            message::CERTIFICATE_REQUEST => {
                self.client_certificate = Some(message::certificate_request_13(message.body()));
                Ok(Step::More)
            }
            message::CERTIFICATE => {
                self.chain = Some(message::certificate_13(message.body())?);
                Ok(Step::Done)
            }
            other => Err(HelloError::Unexpected(other)),
        }
    }

    /// What was collected, if the chain has come.
    pub(crate) fn collected(&mut self) -> Option<Collected> {
        let agreed = self.agreed.as_ref()?;
        let chain = self.chain.take().filter(|chain| !chain.kept.is_empty())?;
        Some(Collected {
            version: TLS13,
            suite: Some(agreed.suite),
            chain: chain.kept,
            left_out: chain.left_out,
            key_exchange: Some(KeyExchange::Ecdhe(Some(agreed.group))),
            client_certificate: self.client_certificate.take(),
            stapled: chain.stapled,
            protocol: self.protocol.take(),
            precautions: None,
            warnings: Vec::new(),
        })
    }

    /// `close_notify`, encrypted once there are keys.
    pub(crate) fn farewell(&mut self) -> Vec<u8> {
        let closed = self.agreed.as_mut().and_then(|a| a.client.close(record::ALERT, &[1, 0]));
        closed.unwrap_or_else(|| record::write(record::ALERT, TLS12.0, &[1, 0]))
    }
}
