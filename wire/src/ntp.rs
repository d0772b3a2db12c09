//! The Network Time Protocol: a client's question and its answer (RFC 5905, section 7.3),
//! and a control query for system variables (RFC 9327, sections 2 and 3).
//!
//! All of an answer that changes by itself (times, stratum, reference) is passed over.

use crate::{Malformed, Reader};

/// A server's answer to a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reply {
    /// The protocol's version, 1 to 4.
    pub version: u8,
    /// 4: server.
    pub mode: u8,
    /// What the client had sent as its transmit timestamp.
    pub origin: u64,
}

/// A control message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Control {
    /// Whether it is a response.
    pub response: bool,
    /// Whether the response is an error.
    pub error: bool,
    /// What was asked: 2 reads variables.
    pub opcode: u8,
    /// The question's number, repeated.
    pub sequence: u16,
    /// Variables as text, or the first fragment of it.
    pub data: Vec<u8>,
}

/// A client's question. The answer repeats `transmit`, which need not be a time.
#[must_use]
pub fn client(transmit: u64) -> Vec<u8> {
    let mut out = vec![0; 40];
    if let Some(first) = out.first_mut() {
        *first = 0x23; // no leap warning, version 4, mode 3 (client)
    }
    out.extend(transmit.to_be_bytes());
    out
}

/// A control query for these system variables, comma-separated.
#[must_use]
pub fn read_variables(sequence: u16, names: &str) -> Vec<u8> {
    let mut out = vec![0x16, 2]; // version 2, mode 6; opcode 2 (read variables)
    out.extend(sequence.to_be_bytes());
    out.extend([0; 6]); // status, association 0 (the system), offset
    out.extend(u16::try_from(names.len()).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(names.as_bytes());
    while out.len() % 4 != 0 {
        out.push(0);
    }
    out
}

/// The port of servers.
pub const PORT: u16 = 123;

/// What the sender of a message is to its receiver (RFC 5905, section 7.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sender {
    /// It asks for the time, as a client or as an equal: older Windows asks its servers so.
    Client,
    /// It tells the time who asked.
    Server,
    /// It tells the time everybody.
    Broadcaster,
    /// It talks of something else.
    Other,
}

impl Sender {
    /// Reads the mode of a message.
    ///
    /// # Errors
    ///
    /// Its first 48 bytes are not there, or its version is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let first = r.u8("leap, version, mode")?;
        let refused = r.invalid("leap, version, mode", first);
        r.take("header", 47)?;
        if !(1..=4).contains(&((first >> 3) & 7)) {
            return Err(refused);
        }
        Ok(match first & 7 {
            1 | 3 => Self::Client,
            2 | 4 => Self::Server,
            5 => Self::Broadcaster,
            _ => Self::Other,
        })
    }
}

impl Reply {
    /// Reads one datagram. Extension fields and authentication after it are ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let first = r.u8("leap, version, mode")?;
        let (version, mode) = ((first >> 3) & 7, first & 7);
        if mode != 4 || !(1..=4).contains(&version) {
            return Err(r.invalid("leap, version, mode", first));
        }
        r.take("stratum to reference timestamp", 23)?;
        let origin = r.u64("origin timestamp")?;
        r.take("receive and transmit timestamps", 16)?;
        Ok(Self { version, mode, origin })
    }
}

impl Control {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let first = r.u8("leap, version, mode")?;
        if first & 7 != 6 {
            return Err(r.invalid("leap, version, mode", first));
        }
        let second = r.u8("response, error, more, opcode")?;
        let sequence = r.u16("sequence")?;
        r.take("status, association, offset", 6)?;
        let count = r.u16("count")?;
        let data = r.take("data", count.into())?.to_vec();
        Ok(Self {
            response: second & 0x80 != 0,
            error: second & 0x40 != 0,
            opcode: second & 0x1f,
            sequence,
            data,
        })
    }
}

/// Names and values of `name=value, name="quoted, value"`.
#[must_use]
pub fn variables(data: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = data;
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"').unwrap_or((quoted, ""));
                (value, next.split_once(',').map_or("", |(_, next)| next))
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.push((name.trim(), value.trim()));
        rest = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn reply() -> Vec<u8> {
        let mut bytes = client(0);
        bytes[0] = 0x24;
        bytes[24..32].copy_from_slice(&7_u64.to_be_bytes());
        bytes
    }

    fn control() -> Vec<u8> {
        let mut bytes = read_variables(9, "version=\"ntpd 4\"");
        bytes[1] |= 0x80;
        bytes
    }

    #[test]
    fn a_server_repeats_our_number() {
        let bytes = reply();
        assert_eq!(Reply::parse(&bytes), Ok(Reply { version: 4, mode: 4, origin: 7 }));
        for len in 0..bytes.len() {
            assert_eq!(Reply::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
        assert_eq!(client(7).len(), 48);
        assert!(Reply::parse(&client(7)).is_err());
    }

    #[test]
    fn a_control_answer_has_variables() {
        let bytes = control();
        let answer = Control::parse(&bytes).unwrap();
        assert!(answer.response && !answer.error);
        assert_eq!((answer.opcode, answer.sequence), (2, 9));
        assert_eq!(answer.data, b"version=\"ntpd 4\"");
        for len in 0..bytes.len() {
            assert_eq!(Control::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
        assert_eq!(read_variables(1, "version").len(), 20);
    }

    #[test]
    fn the_mode_says_who_serves_whom() {
        for (mode, expected) in [
            (1, Sender::Client),
            (2, Sender::Server),
            (6, Sender::Other),
            (3, Sender::Client),
            (4, Sender::Server),
            (5, Sender::Broadcaster),
        ] {
            let mut bytes = client(7);
            bytes[0] = 0x20 | mode;
            assert_eq!(Sender::parse(&bytes), Ok(expected));
            for len in 0..bytes.len() {
                assert!(Sender::parse(&bytes[..len]).is_err(), "cut at {len}");
            }
        }
        assert!(Sender::parse(&[0; 48]).is_err());
    }

    #[test]
    fn variables_may_be_quoted() {
        let check = |text: &str, expected: &[(&str, &str)]| assert_eq!(variables(text), expected);
        check(
            "version=\"ntpd 4.2, x\", leap=0,\r\n system=\"Linux\"",
            &[("version", "ntpd 4.2, x"), ("leap", "0"), ("system", "Linux")],
        );
        check("a=\"never ends", &[("a", "never ends")]);
        check("nothing", &[]);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            text in ".{0,60}",
        ) {
            let _ = Reply::parse(&bytes);
            let _ = Sender::parse(&bytes);
            let _ = Control::parse(&bytes);
            prop_assert!(variables(&text).len() <= text.len());
        }
    }
}
