//! Listening to a server that answers in TLS 1.3: a handshake carried by records, which are
//! encrypted once both have said hello (RFC 8446, section 5).

use super::{
    Collected, HelloError, Question, Record, Step, TLS12,
    handshake::{Form, Handshake},
    record,
    schedule::Key,
    share::Shares,
};

/// What has been said and heard.
#[derive(Debug)]
pub(crate) struct Modern {
    pub(super) handshake: Handshake,
    keys: Option<Keys>,
}

#[derive(Debug)]
struct Keys {
    server: Key,
    client: Key,
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
        let handshake = Handshake::new(question, random, Form::Records(session_id), pool)?;
        Ok(Self { handshake, keys: None })
    }

    /// The record of the first hello. Its version is that of TLS 1.0 for the sake of what
    /// stands between (RFC 8446, section 5.1).
    pub(crate) fn hello(&self) -> Vec<u8> {
        record::write(record::HANDSHAKE, 0x0301, self.handshake.hello())
    }

    /// Reads one record that is no plain alert.
    pub(crate) fn read(&mut self, record: Record) -> Result<Heard, HelloError> {
        let contents = match (record.kind, &mut self.keys) {
            // RFC 8446, section 5: sent for the sake of middleboxes, and passed over.
            (record::CHANGE_CIPHER_SPEC, _) => return Ok(Heard::Step(Step::More)),
            (record::HANDSHAKE, None) => record.body,
            (record::APPLICATION_DATA, Some(keys)) => {
                let opened = keys.server.open(record.header, record.body);
                match opened.ok_or(HelloError::Undecipherable)? {
                    (record::HANDSHAKE, contents) => contents,
                    (record::ALERT, contents) => return Ok(Heard::Alert(contents)),
                    (other, _) => return Err(HelloError::Unexpected(other)),
                }
            }
            (other, _) => return Err(HelloError::Unexpected(other)),
        };
        let step = self.handshake.read(&contents)?;
        if let (None, Some(agreed)) = (&self.keys, self.handshake.agreed()) {
            let key = |secret| agreed.suite.record_key(secret).ok_or(HelloError::KeyShare);
            self.keys = Some(Keys { server: key(&agreed.server)?, client: key(&agreed.client)? });
        }
        Ok(Heard::Step(match step {
            Step::Say(again) => {
                let mut say = record::write(record::CHANGE_CIPHER_SPEC, TLS12.0, &[1]);
                say.extend(record::write(record::HANDSHAKE, TLS12.0, &again));
                Step::Say(say)
            }
            step => step,
        }))
    }

    /// What was collected, if the chain has come.
    pub(crate) fn collected(&mut self) -> Option<Collected> {
        self.handshake.collected()
    }

    /// `close_notify`, encrypted once there are keys.
    pub(crate) fn farewell(&mut self) -> Vec<u8> {
        let closed = self.keys.as_mut().and_then(|k| k.client.close(record::ALERT, &[1, 0]));
        closed.unwrap_or_else(|| record::write(record::ALERT, TLS12.0, &[1, 0]))
    }
}
