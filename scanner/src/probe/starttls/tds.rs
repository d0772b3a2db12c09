//! SQL Server: PRELOGIN asks for encryption, and the TLS handshake travels in packets of its
//! protocol.

use wire::{
    Problem, Reader,
    tds::{self, Encryption, Packet, Prelogin},
};

use super::{NOT_OFFERED, OTHERWISE, Starttls, Step, say, unread};

pub(super) fn next(heard: &[Vec<u8>]) -> Step {
    match heard {
        [_] => say(&tds::prelogin()),
        [_, answer] => {
            let mut r = Reader::new(answer);
            match Prelogin::read(&mut r) {
                Ok(Prelogin { encryption: Some(Encryption::NotSupported), .. }) => NOT_OFFERED,
                Ok(Prelogin { encryption: Some(_), .. }) => Step::Ready(r.offset()),
                Ok(Prelogin { encryption: None, .. }) => NOT_OFFERED,
                Err(why) => unread(&why),
            }
        }
        _ => OTHERWISE,
    }
}

/// What the records of TLS travel in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Framing {
    /// Nothing: they follow each other on the connection.
    #[default]
    None,
    /// Packets of TDS. What has come of one that is not whole.
    Tds(Vec<u8>),
}

impl Framing {
    /// What they travel in behind that dialogue.
    #[must_use]
    pub const fn behind(dialogue: Option<Starttls>) -> Self {
        match dialogue {
            Some(Starttls::Mssql) => Self::Tds(Vec::new()),
            _ => Self::None,
        }
    }

    /// What to send for these bytes of ours.
    #[must_use]
    pub fn wrap(&self, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::None => bytes,
            Self::Tds(_) => tds::packets(tds::PRELOGIN, &bytes),
        }
    }

    /// What is in these bytes of the server's: nothing yet, perhaps, and `None` where they are
    /// not framed as they should be.
    pub fn unwrap(&mut self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let Self::Tds(pending) = self else { return Some(bytes) };
        pending.extend(bytes);
        let mut r = Reader::new(pending);
        let mut out = Vec::new();
        let mut done = 0;
        loop {
            match Packet::read(&mut r) {
                Ok(packet) => {
                    out.extend_from_slice(packet.payload);
                    done = r.offset();
                }
                Err(why) if why.problem == Problem::Truncated => break,
                Err(_) => return None,
            }
        }
        pending.drain(..done);
        Some(out)
    }
}
