//! MQTT 3.1.1 control packets (OASIS standard, 29 October 2014), as far as a client needs
//! them that asks a broker for its version and leaves.
//!
//! Section numbers below are that standard's. A client without user name, password and
//! identifier is allowed by section 3.1.3.1; whether the broker lets it in is its policy,
//! and worth knowing.

use crate::{Malformed, Reader};

/// A packet from a broker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Packet {
    /// Section 3.2: the answer to CONNECT. 0 is accepted.
    ConnectAck {
        /// Section 3.2.2.3.
        return_code: u8,
    },
    /// Section 3.3: a message of a topic.
    Publish {
        /// Where it was published.
        topic: Vec<u8>,
        /// What it says.
        payload: Vec<u8>,
    },
    /// Section 3.9: the answer to SUBSCRIBE.
    SubscribeAck,
    /// Section 3.13: the answer to PINGREQ.
    PingResponse,
    /// Any other packet, by its type (section 2.2.1).
    Other(u8),
}

impl Packet {
    /// Takes one packet.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let first = r.u8("fixed header")?;
        let kind = first >> 4;
        if kind == 0 {
            return Err(r.invalid("fixed header", first));
        }
        let len = remaining_length(r)?;
        let mut body = r.nested("packet", len)?;
        Ok(match kind {
            2 => {
                let flags = body.u8("connect acknowledge flags")?;
                if flags > 1 || len > 1024 {
                    return Err(body.invalid("connect acknowledge flags", flags));
                }
                Self::ConnectAck { return_code: body.u8("connect return code")? }
            }
            3 => {
                let topic = string(&mut body, "topic name")?;
                if first & 0x06 != 0 {
                    body.u16("packet identifier")?;
                }
                Self::Publish { topic: topic.to_vec(), payload: body.rest().to_vec() }
            }
            9 => Self::SubscribeAck,
            13 => Self::PingResponse,
            other => Self::Other(other),
        })
    }

    /// Takes all whole packets; says whether what is left over is broken, not just cut.
    #[must_use]
    pub fn read_all(bytes: &[u8]) -> (Vec<Self>, Option<Malformed>) {
        let mut r = Reader::new(bytes);
        let mut packets = Vec::new();
        while !r.is_at_end() {
            match Self::read(&mut r) {
                Ok(packet) => packets.push(packet),
                Err(why) => return (packets, Some(why)),
            }
        }
        (packets, None)
    }
}

/// CONNECT (section 3.1): clean session, empty client identifier, nobody's name, keep alive
/// of 30 seconds, so that the broker forgets us if we vanish.
#[must_use]
pub fn connect() -> Vec<u8> {
    let mut body = vec![0, 4];
    body.extend_from_slice(b"MQTT");
    body.extend([4, 0x02, 0, 30, 0, 0]);
    packet(0x10, &body)
}

/// SUBSCRIBE (section 3.8) to one topic, at most once delivery.
#[must_use]
pub fn subscribe(topic: &str) -> Vec<u8> {
    let len = u16::try_from(topic.len()).unwrap_or(u16::MAX);
    let mut body = vec![0, 1];
    body.extend(len.to_be_bytes());
    body.extend(topic.bytes().take(len.into()));
    body.push(0);
    packet(0x82, &body)
}

/// PINGREQ (section 3.12).
#[must_use]
pub fn ping() -> Vec<u8> {
    packet(0xc0, &[])
}

/// DISCONNECT (section 3.14).
#[must_use]
pub fn disconnect() -> Vec<u8> {
    packet(0xe0, &[])
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut len = body.len();
    // Section 2.2.3: seven bits a byte, the lowest first.
    loop {
        let low = u8::try_from(len & 0x7f).unwrap_or_default();
        len >>= 7;
        if len == 0 {
            out.push(low);
            break;
        }
        out.push(low | 0x80);
    }
    out.extend_from_slice(body);
    out
}

fn remaining_length(r: &mut Reader<'_>) -> Result<usize, Malformed> {
    let mut len = 0_usize;
    for shift in [0_u32, 7, 14, 21] {
        let byte = r.u8("remaining length")?;
        len |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(len);
        }
    }
    Err(r.invalid("remaining length", 0x80_u32))
}

fn string<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8], Malformed> {
    let len = r.u16(field)?;
    r.take(field, len.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[track_caller]
    fn check(bytes: &[u8], expected: Packet) {
        assert_eq!(Packet::read(&mut Reader::new(bytes)), Ok(expected));
        for len in 0..bytes.len() {
            let error = Packet::read(&mut Reader::new(&bytes[..len])).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
        }
    }

    #[test]
    fn reads_what_a_broker_sends() {
        check(&[0x20, 2, 0, 5], Packet::ConnectAck { return_code: 5 });
        check(&[0x90, 3, 0, 1, 0], Packet::SubscribeAck);
        check(&[0xd0, 0], Packet::PingResponse);
        let publish =
            |payload: &[u8]| Packet::Publish { topic: b"a/b".to_vec(), payload: payload.to_vec() };
        check(b"\x31\x08\0\x03a/bxyz", publish(b"xyz"));
        check(b"\x33\x08\0\x03a/b\0\x01x", publish(b"x"));
    }

    #[test]
    fn long_packets_have_long_lengths() {
        let topic = "t".repeat(300);
        let question = subscribe(&topic);
        assert_eq!(question[..3], [0x82, 0xb1, 0x02]);
        check(&question, Packet::Other(8));
    }

    #[test]
    fn what_is_whole_is_kept() {
        let (packets, problem) = Packet::read_all(&[0x20, 2, 0, 0, 0xd0, 0, 0x30]);
        assert_eq!(packets, [Packet::ConnectAck { return_code: 0 }, Packet::PingResponse]);
        assert_eq!(problem.unwrap().problem, Problem::Truncated);
        let (_, problem) = Packet::read_all(&[0x30, 0xff, 0xff, 0xff, 0xff, 1]);
        assert_eq!(problem.unwrap().problem, Problem::Invalid(0x80));
    }

    #[test]
    fn the_question_is_as_the_standard_draws_it() {
        assert_eq!(connect(), b"\x10\x0c\0\x04MQTT\x04\x02\0\x1e\0\0");
        assert_eq!(disconnect(), [0xe0, 0]);
        assert_eq!(ping(), [0xc0, 0]);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let (packets, _) = Packet::read_all(&bytes);
            prop_assert!(packets.len() <= bytes.len());
        }
    }
}
