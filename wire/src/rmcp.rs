//! Questions to management controllers that need no session: the ASF presence ping (DMTF
//! DSP0136, section 3.2.4) and IPMI's Get Channel Authentication Capabilities (IPMI v2.0,
//! sections 13.1.3 and 22.13), both over RMCP.

use crate::{Malformed, Reader};

/// ASF's enterprise (IANA, Private Enterprise Numbers).
const ASF: u32 = 4542;
const PRESENCE_PONG: u8 = 0x40;
const GET_CHANNEL_AUTHENTICATION_CAPABILITIES: u8 = 0x38;

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// To a presence ping.
    Pong {
        /// The ping's tag, repeated.
        tag: u8,
        /// The maker's enterprise number, or ASF's own.
        enterprise: u32,
        /// Whether it speaks IPMI.
        ipmi: bool,
    },
    /// To Get Channel Authentication Capabilities.
    Capabilities(Capabilities),
}

/// How a controller lets people in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Capabilities {
    /// The question's number, repeated: six bits.
    pub sequence: u8,
    /// 0 where it was carried out.
    pub completion: u8,
    /// Authentication types of IPMI 1.5, a bit each: 0x01 none, 0x02 MD2, 0x04 MD5, 0x10
    /// password in the clear, 0x20 the maker's own.
    pub types: u8,
    /// 0x20 the key KG is set; 0x04 users with a name, 0x02 with none but a password, 0x01
    /// anonymous ones without either.
    pub status: u8,
    /// Whether sessions of version 2.0 are supported, and of version 1.5.
    pub version_2: bool,
    /// The same for 1.5.
    pub version_1_5: bool,
    /// The maker's enterprise number, 0 where there is nothing of the maker's own.
    pub oem: u32,
}

/// A presence ping.
#[must_use]
pub fn ping(tag: u8) -> Vec<u8> {
    vec![6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, tag, 0, 0]
}

/// The question for the ways in, of the channel on which it arrives, for an administrator,
/// with those of version 2.0. Of `sequence` six bits are used.
#[must_use]
pub fn capabilities(sequence: u8) -> Vec<u8> {
    let body = [0x81, (sequence & 0x3f) << 2, GET_CHANNEL_AUTHENTICATION_CAPABILITIES, 0x8e, 4];
    // RMCP for IPMI; no authentication; session and sequence 0; nine bytes.
    let mut out = vec![6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    // To the controller (0x20), network function 6 (application).
    out.extend([0x20, 0x18, checksum(&[0x20, 0x18])]);
    out.extend(body);
    out.push(checksum(&body));
    out
}

/// The two's complement of the sum (IPMI v2.0, section 13.8).
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte))
}

impl Answer {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let version = r.u8("RMCP version")?;
        if version != 6 {
            return Err(r.invalid("RMCP version", version));
        }
        r.u16("reserved, sequence")?;
        match r.u8("class of message")? {
            6 => pong(&mut r),
            7 => answer(&mut r).map(Self::Capabilities),
            class => Err(r.invalid("class of message", class)),
        }
    }
}

fn pong(r: &mut Reader<'_>) -> Result<Answer, Malformed> {
    let enterprise = r.u32("ASF's enterprise")?;
    if enterprise != ASF {
        return Err(r.invalid("ASF's enterprise", enterprise));
    }
    let kind = r.u8("message type")?;
    if kind != PRESENCE_PONG {
        return Err(r.invalid("message type", kind));
    }
    let tag = r.u8("message tag")?;
    r.u8("reserved")?;
    let len = r.u8("data length")?;
    let mut data = r.nested("data", len.into())?;
    let enterprise = data.u32("enterprise")?;
    data.u32("OEM-defined")?;
    let entities = data.u8("supported entities")?;
    Ok(Answer::Pong { tag, enterprise, ipmi: entities & 0x80 != 0 })
}

fn answer(r: &mut Reader<'_>) -> Result<Capabilities, Malformed> {
    let kind = r.u8("authentication type")?;
    if kind != 0 {
        return Err(r.invalid("authentication type", kind));
    }
    r.take("session sequence, session id", 8)?;
    let len = r.u8("message length")?;
    let mut message = r.nested("message", len.into())?;
    let head: [u8; 2] = message.array("address, network function")?;
    let [_, function] = head;
    let sum = message.u8("checksum 1")?;
    if sum != checksum(&head) || function >> 2 != 7 {
        return Err(message.invalid("checksum 1", sum));
    }
    let whole = message.rest();
    message.u8("address")?;
    let sequence = message.u8("sequence")? >> 2;
    let command = message.u8("command")?;
    if command != GET_CHANNEL_AUTHENTICATION_CAPABILITIES {
        return Err(message.invalid("command", command));
    }
    let completion = message.u8("completion code")?;
    let mut found = Capabilities {
        sequence,
        completion,
        types: 0,
        status: 0,
        version_2: false,
        version_1_5: false,
        oem: 0,
    };
    if completion == 0 {
        message.u8("channel")?;
        let types = message.u8("authentication types")?;
        found.types = types & 0x3f;
        found.status = message.u8("authentication status")?;
        let extended = message.u8("extended capabilities")?;
        // Only with the highest bit of the types set does that byte mean anything.
        let told = types & 0x80 != 0;
        found.version_2 = told && extended & 2 != 0;
        found.version_1_5 = !told || extended & 1 != 0;
        let [a, b, c] = message.array("OEM id")?;
        found.oem = u32::from_le_bytes([a, b, c, 0]);
        message.u8("OEM data")?;
    }
    let sum = message.u8("checksum 2")?;
    // The sum of everything with its checksum is zero.
    if checksum(whole) != 0 {
        return Err(message.invalid("checksum 2", sum));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn pong() -> Vec<u8> {
        let mut bytes = vec![6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x40, 7, 0, 16];
        bytes.extend([0, 0, 0x11, 0xbe, 0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    fn capable(data: &[u8]) -> Vec<u8> {
        let mut body = vec![0x20, 7 << 2, 0x38];
        body.extend(data);
        body.push(checksum(&body));
        let mut bytes = vec![6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3 + body.len() as u8];
        bytes.extend([0x81, 0x1c, checksum(&[0x81, 0x1c])]);
        bytes.extend(body);
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Answer) {
        assert_eq!(Answer::parse(bytes), Ok(expected));
        for len in 0..bytes.len() {
            assert_eq!(Answer::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_controller_says_that_it_is_there_and_how_to_log_in() {
        check(&pong(), Answer::Pong { tag: 7, enterprise: 4542, ipmi: true });
        let expected = Capabilities {
            sequence: 7,
            completion: 0,
            types: 0x14,
            status: 0x24,
            version_2: true,
            version_1_5: true,
            oem: 674,
        };
        check(&capable(&[0, 1, 0x94, 0x24, 3, 0xa2, 2, 0, 0]), Answer::Capabilities(expected));
        let refused = Capabilities {
            completion: 0xcc,
            types: 0,
            status: 0,
            version_2: false,
            version_1_5: false,
            oem: 0,
            ..expected
        };
        check(&capable(&[0xcc]), Answer::Capabilities(refused));
    }

    #[test]
    fn a_wrong_sum_and_our_own_questions_are_refused() {
        let mut bytes = capable(&[0, 1, 0x94, 0x24, 3, 0xa2, 2, 0, 0]);
        bytes[22] ^= 1;
        assert_eq!(Answer::parse(&bytes).unwrap_err().field, "checksum 2");
        assert_eq!(Answer::parse(&ping(7)).unwrap_err().field, "message type");
        assert_eq!(Answer::parse(&capabilities(7)).unwrap_err().field, "checksum 1");
        assert_eq!(capabilities(0)[14..], [0x20, 0x18, 0xc8, 0x81, 0, 0x38, 0x8e, 4, 0xb5]);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Answer::parse(&bytes);
            let _ = Answer::parse(&[&[6, 0, 0xff, 7], &bytes[..]].concat());
            let _ = Answer::parse(&capable(&bytes));
        }
    }
}
