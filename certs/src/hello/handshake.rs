//! A handshake of TLS 1.3 as far as the server's certificate (RFC 8446, section 2), in its
//! messages: hello, retry where the server wants another group, one key exchange, and the
//! encrypted messages up to the Certificate. Nothing after it is wanted.
//!
//! What carries the messages, records of TLS ([`super::modern`]) or packets of QUIC
//! ([`super::quic`]), is not known here: it brings what it has opened with the secrets agreed on.

use ring::hkdf::Prk;
use wire::Reader;

use super::{
    ClientCertificate, Collected, HelloError, KeyExchange, Kind, Question, Step, TLS13, message,
    message::ServerHello,
    offer::{self, Offer13},
    record::{Message, Messages},
    schedule::Suite,
    share::{self, Share, Shares},
    suite,
};

/// What has been said and heard.
#[derive(Debug)]
pub(crate) struct Handshake {
    question: Question,
    random: [u8; 32],
    form: Form,
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

/// What a hello has for the sake of what carries it.
#[derive(Debug)]
pub(crate) enum Form {
    /// A session id, so that it looks like a hello of TLS 1.2 to what stands between
    /// (RFC 8446, appendix D.4).
    Records([u8; 32]),
    /// Transport parameters, and no session id (RFC 9001, section 8.4).
    Packets(Vec<u8>),
}

/// What both agreed on.
#[derive(Debug)]
pub(crate) struct Agreed {
    number: u16,
    group: u16,
    pub(crate) suite: Suite,
    /// What the server's keys are made from.
    pub(crate) server: Prk,
    /// And ours.
    pub(crate) client: Prk,
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.pool.put_back(self.shares.drain(..));
    }
}

impl Handshake {
    pub(crate) fn new(
        question: Question,
        random: [u8; 32],
        form: Form,
        pool: &Shares,
    ) -> Result<Self, HelloError> {
        let shares = match question.kind {
            Kind::Hybrid => Vec::new(),
            _ => [share::X25519, share::P256]
                .into_iter()
                .filter(|group| !question.without_groups.contains(group))
                .map(|group| pool.take(group))
                .collect::<Result<_, _>>()?,
        };
        let mut handshake = Self {
            question,
            random,
            form,
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
        handshake.transcript = handshake.offer(None);
        Ok(handshake)
    }

    /// Puts back what a recorded flight depends on: our hello and the secret agreed upon.
    #[cfg(test)]
    pub(super) fn replay(&mut self, hello: &[u8], secret: Option<Vec<u8>>) {
        self.transcript = hello.to_vec();
        self.secret = secret;
    }

    /// The first hello, as long as nothing has been heard.
    pub(crate) fn hello(&self) -> &[u8] {
        &self.transcript
    }

    /// What was agreed on, once it was.
    pub(crate) const fn agreed(&self) -> Option<&Agreed> {
        self.agreed.as_ref()
    }

    /// The groups that we name.
    fn groups(&self) -> Vec<u16> {
        let without = &self.question.without_groups;
        suite::groups_of(self.question.kind).filter(|group| !without.contains(group)).collect()
    }

    fn offer(&self, cookie: Option<&[u8]>) -> Vec<u8> {
        let (session_id, transport_parameters) = match &self.form {
            Form::Records(session_id) => (&session_id[..], None),
            Form::Packets(parameters) => (&[][..], Some(&parameters[..])),
        };
        offer::modern(&Offer13 {
            random: self.random,
            session_id,
            question: &self.question,
            groups: &self.groups(),
            shares: &self.shares,
            cookie,
            transport_parameters,
        })
    }

    /// Reads what has come of the server's messages, opened where they were encrypted. What is
    /// to be said is another hello.
    pub(crate) fn read(&mut self, contents: &[u8]) -> Result<Step, HelloError> {
        self.messages.push(contents);
        while let Some(message) = self.messages.next()? {
            let step = match &self.agreed {
                None => self.read_hello(&message)?,
                Some(_) => self.read_encrypted(&message)?,
            };
            if !matches!(step, Step::More) {
                return Ok(step);
            }
        }
        Ok(Step::More)
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
        let secrets = suite.handshake_secrets(&secret, &self.transcript);
        let (server, client) = secrets.ok_or(HelloError::KeyShare)?;
        self.agreed = Some(Agreed { number: hello.suite, group, suite, server, client });
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
        Ok(Step::Say(again))
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
            suite: Some(agreed.number),
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
}
