//! The Tabular Data Stream of SQL Server, up to TLS: packets, and the PRELOGIN message in which
//! both sides say whether they want to encrypt ([MS-TDS], sections 2.2.3.1 and 2.2.6.5).
//!
//! Up to TDS 7.4 the records of the TLS handshake travel in such packets too (section 3.2.5.2).
//! Nothing that comes after it is known here: it would be a login.

use crate::{Malformed, Reader};

/// The bytes of a packet's header.
pub const HEADER: usize = 8;

/// The type of a PRELOGIN message, and of the packets that carry a TLS handshake.
pub const PRELOGIN: u8 = 0x12;

/// The type of a server's answers, that to PRELOGIN among them.
pub const RESPONSE: u8 = 0x04;

/// The most that we put into one packet: the size that both sides begin with.
const MOST: usize = 4_096 - HEADER;

/// Whether the two sides encrypt (section 2.2.6.5, B_ENCRYPTION).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encryption {
    /// 0: of the login alone. TLS comes for that.
    Login,
    /// 1: of everything.
    On,
    /// 2: it cannot.
    NotSupported,
    /// 3: of everything, and nothing goes without.
    Required,
}

/// What a server answers to a PRELOGIN message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prelogin {
    /// Its version: major, minor, build.
    pub version: Option<(u8, u8, u16)>,
    /// Whether it encrypts.
    pub encryption: Option<Encryption>,
}

/// A packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// Its type.
    pub kind: u8,
    /// What it carries.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Takes one packet.
    pub fn read(r: &mut Reader<'a>) -> Result<Self, Malformed> {
        let kind = r.u8("Type")?;
        if kind != PRELOGIN && kind != RESPONSE {
            return Err(r.invalid("Type", kind));
        }
        r.u8("Status")?;
        let length = r.u16("Length")?;
        let Some(length) = usize::from(length).checked_sub(HEADER) else {
            return Err(r.invalid("Length", length));
        };
        r.take("SPID, PacketID and Window", 4)?;
        Ok(Self { kind, payload: r.take("packet data", length)? })
    }
}

/// The packets of a message of that type.
#[must_use]
pub fn packets(kind: u8, message: &[u8]) -> Vec<u8> {
    const END: u8 = 1;
    let mut out = Vec::new();
    let mut parts = message.chunks(MOST).peekable();
    let mut id = 0_u8;
    while let Some(part) = parts.next() {
        let status = if parts.peek().is_none() { END } else { 0 };
        let length = u16::try_from(part.len().saturating_add(HEADER)).unwrap_or(u16::MAX);
        let [high, low] = length.to_be_bytes();
        id = id.wrapping_add(1);
        out.extend([kind, status, high, low, 0, 0, id, 0]);
        out.extend_from_slice(part);
    }
    out
}

/// A PRELOGIN message that asks for encryption, and names neither an instance nor a client.
#[must_use]
pub fn prelogin() -> Vec<u8> {
    let options = [
        0, 0, 11, 0, 6, // VERSION at 11, of 6 bytes
        1, 0, 17, 0, 1,    // ENCRYPTION at 17, of 1 byte
        0xff, // TERMINATOR
        0, 0, 0, 0, 0, 0, // version 0.0.0, as we are no product
        1, // ENCRYPT_ON
    ];
    packets(PRELOGIN, &options)
}

impl Prelogin {
    /// Takes the answer to [`prelogin`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let packet = Packet::read(r)?;
        if packet.kind != RESPONSE {
            return Err(r.invalid("Type", packet.kind));
        }
        let mut prelogin = Self { version: None, encryption: None };
        let mut options = Reader::new(packet.payload);
        loop {
            let option = options.u8("PL_OPTION_TOKEN")?;
            if option == 0xff {
                return Ok(prelogin);
            }
            let offset = options.u16("PL_OFFSET")?;
            let length = options.u16("PL_OPTION_LENGTH")?;
            let end = usize::from(offset).saturating_add(length.into());
            let Some(data) = packet.payload.get(usize::from(offset)..end) else {
                return Err(options.invalid("PL_OFFSET", offset));
            };
            match (option, data) {
                (0, [major, minor, high, low, ..]) => {
                    let build = u16::from_be_bytes([*high, *low]);
                    prelogin.version = Some((*major, *minor, build));
                }
                (1, [value, ..]) => {
                    prelogin.encryption = Some(match value {
                        0 => Encryption::Login,
                        1 => Encryption::On,
                        2 => Encryption::NotSupported,
                        3 => Encryption::Required,
                        // With the bit for client certificates, which is the client's to set.
                        other => return Err(options.invalid("B_FENCRYPTION", *other)),
                    });
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer(encryption: u8) -> Vec<u8> {
        let mut options = vec![0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 15, 0, 0x07, 0xd0, 0, 0];
        options.push(encryption);
        packets(RESPONSE, &options)
    }

    #[test]
    fn the_answer_tells_version_and_encryption() {
        let read = |bytes: &[u8]| Prelogin::read(&mut Reader::new(bytes));
        for (value, expected) in [
            (0, Encryption::Login),
            (1, Encryption::On),
            (2, Encryption::NotSupported),
            (3, Encryption::Required),
        ] {
            let encryption = Some(expected);
            assert_eq!(
                read(&answer(value)),
                Ok(Prelogin { version: Some((15, 0, 2000)), encryption })
            );
        }
        let bytes = answer(1);
        for len in 0..bytes.len() {
            assert_eq!(
                read(&bytes[..len]).unwrap_err().problem,
                Problem::Truncated,
                "cut at {len}"
            );
        }
        assert_eq!(read(&answer(9)).unwrap_err().field, "B_FENCRYPTION");
        assert_eq!(read(b"HTTP/1.1 400 Bad Request\r\n").unwrap_err().field, "Type");
        assert_eq!(read(&packets(RESPONSE, &[0, 0xff, 0, 0, 6])).unwrap_err().field, "PL_OFFSET");
    }

    #[test]
    fn the_question_can_be_read_and_names_nobody() {
        let question = prelogin();
        let packet = Packet::read(&mut Reader::new(&question)).unwrap();
        assert_eq!((packet.kind, packet.payload.len()), (PRELOGIN, 18));
        assert_eq!(packet.payload[17], 1);
    }

    #[test]
    fn long_messages_become_several_packets_and_the_last_one_says_so() {
        let message = vec![7; 10_000];
        let bytes = packets(PRELOGIN, &message);
        let mut r = Reader::new(&bytes);
        let mut read = Vec::new();
        let mut ends = Vec::new();
        while !r.is_at_end() {
            ends.push(r.rest()[1]);
            read.extend_from_slice(Packet::read(&mut r).unwrap().payload);
        }
        assert_eq!(read, message);
        assert_eq!(ends, [0, 0, 1]);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Prelogin::read(&mut Reader::new(&bytes));
            let _ = Prelogin::read(&mut Reader::new(&packets(RESPONSE, &bytes)));
        }
    }
}
