//! RADIUS (RFC 2865): what others say in it of access to a network, and Status-Server
//! (RFC 5997), which asks whether a server is alive and proves nothing of any user.
//!
//! Of what others say only the way of it is read, and EAP (RFC 3579): names of users and
//! passwords stay where they are. Status-Server has to be signed with the secret that server and client share, and we have none: it is
//! signed with the empty one, which RFC 2865 (section 3) forbids. A well-kept server is
//! silent, so that silence is the rule; one that answers does not check who asks.

use model::MacAddr;

use crate::{Malformed, Reader, lines};

const STATUS_SERVER: u8 = 12;
const IDENTIFIER: u8 = 0x44;
const REPLY_MESSAGE: u8 = 18;

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Its code: 2 Access-Accept, 5 Accounting-Response.
    pub code: u8,
    /// Reply-Message, where there is one.
    pub message: Option<String>,
}

/// Status-Server. It is always the same: its signature, HMAC-MD5 with an empty key (RFC 3579,
/// section 3.2), was made once.
#[must_use]
pub fn status_server() -> Vec<u8> {
    const SIGNATURE: [u8; 16] = [
        0x59, 0x2b, 0xcd, 0x49, 0xe9, 0x04, 0x63, 0x9c, 0x6b, 0xe6, 0x0f, 0x27, 0x4d, 0x10, 0xb3,
        0x59,
    ];
    let mut out = vec![STATUS_SERVER, IDENTIFIER, 0, 38];
    out.extend(b"daicho has none.");
    out.extend([80, 18]); // Message-Authenticator
    out.extend(SIGNATURE);
    out
}

/// Where servers listen: for access, and before RFC 2865 gave it a number.
pub const PORTS: [u16; 2] = [1812, 1645];

/// What a packet is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Code {
    /// Access-Request: from the client, which is a switch or an access point.
    Request,
    /// Access-Accept or Access-Reject.
    Decision,
    /// Access-Challenge: the server wants to hear more.
    Challenge,
    /// Any other.
    Other(u8),
}

/// A packet about access to a network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packet {
    /// What it is about.
    pub code: Code,
    /// By which an answer fits its request.
    pub identifier: u8,
    /// The server's mark of a conversation (RFC 2865, section 5.24), which the client repeats.
    pub state: Option<Vec<u8>>,
    /// Who wants to be let in (section 5.31), where that is a MAC address.
    pub station: Option<MacAddr>,
    /// What is in all EAP-Message attributes together (RFC 3579, section 3.1).
    pub eap: Vec<u8>,
}

impl Packet {
    /// Reads a packet. Bytes behind its own length are padding.
    ///
    /// # Errors
    ///
    /// It ends too soon, or its lengths contradict each other.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        const STATE: u8 = 24;
        const CALLING_STATION_ID: u8 = 31;
        const EAP_MESSAGE: u8 = 79;
        let mut r = Reader::new(bytes);
        let code = match r.u8("code")? {
            1 => Code::Request,
            2 | 3 => Code::Decision,
            11 => Code::Challenge,
            other => Code::Other(other),
        };
        let identifier = r.u8("identifier")?;
        let mut packet = Self { code, identifier, state: None, station: None, eap: Vec::new() };
        let mut r = attributes(&mut r)?;
        while !r.is_at_end() {
            let (kind, value) = attribute(&mut r)?;
            match kind {
                STATE => packet.state = Some(value.to_vec()),
                CALLING_STATION_ID => packet.station = station(value),
                EAP_MESSAGE => packet.eap.extend_from_slice(value),
                _ => {}
            }
        }
        Ok(packet)
    }
}

/// The attributes of a packet, behind its length and its authenticator.
fn attributes<'a>(r: &mut Reader<'a>) -> Result<Reader<'a>, Malformed> {
    let length = r.u16("length")?;
    let Some(inside) = length.checked_sub(4) else {
        return Err(r.invalid("length", length));
    };
    let mut r = r.nested("packet", inside.into())?;
    r.take("authenticator", 16)?;
    Ok(r)
}

fn attribute<'a>(r: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Malformed> {
    let kind = r.u8("attribute type")?;
    let len = r.u8("attribute length")?;
    let Some(inside) = len.checked_sub(2) else {
        return Err(r.invalid("attribute length", len));
    };
    Ok((kind, r.take("attribute value", inside.into())?))
}

/// The MAC address in a Calling-Station-Id (RFC 3580, section 3.21, wants `00-10-A4-23-19-C0`,
/// others write it otherwise), which may as well be a telephone number.
fn station(value: &[u8]) -> Option<MacAddr> {
    str::from_utf8(value).ok()?.parse().ok()
}

impl Answer {
    /// Reads one datagram: an answer to [`status_server`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let code = r.u8("code")?;
        if !matches!(code, 2 | 5) {
            return Err(r.invalid("code", code));
        }
        let identifier = r.u8("identifier")?;
        if identifier != IDENTIFIER {
            return Err(r.invalid("identifier", identifier));
        }
        let mut r = attributes(&mut r)?;
        let mut message = None;
        while !r.is_at_end() {
            let (kind, value) = attribute(&mut r)?;
            if kind == REPLY_MESSAGE {
                message = Some(lines::text(value));
            }
        }
        Ok(Self { code, message })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer(attributes: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2, IDENTIFIER, 0, 20 + attributes.len() as u8];
        bytes.extend([9; 16]);
        bytes.extend(attributes);
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], message: Option<&str>) {
        let message = message.map(str::to_owned);
        assert_eq!(Answer::parse(bytes), Ok(Answer { code: 2, message }));
        for len in 0..bytes.len() {
            assert_eq!(Answer::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_server_is_alive() {
        check(&answer(&[]), None);
        check(&answer(b"\x12\x06up 7"), Some("up 7"));
        assert!(Answer::parse(&answer(&[18, 1])).is_err());
        let question = status_server();
        assert_eq!((question.len(), question[3]), (38, 38));
        assert!(Answer::parse(&question).is_err());
    }

    #[test]
    fn access_is_read_without_who_it_is() {
        let mut bytes = vec![11, 9, 0, 0];
        bytes.extend([9; 16]);
        bytes.extend(b"\x01\x06user\x18\x04ab\x1f\x1302-00-5E-00-53-0F\x4f\x05abc\x4f\x04de");
        bytes[3] = bytes.len() as u8;
        let expected = Packet {
            code: Code::Challenge,
            identifier: 9,
            state: Some(b"ab".to_vec()),
            station: Some(MacAddr([2, 0, 0x5e, 0, 0x53, 0x0f])),
            eap: b"abcde".to_vec(),
        };
        assert_eq!(Packet::parse(&[&bytes[..], &[7; 9]].concat()), Ok(expected));
        for len in 0..bytes.len() {
            assert_eq!(Packet::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
        assert!(Packet::parse(&[1, 9, 0, 3]).is_err());
        assert!(Packet::parse(&answer(&[24, 1])).is_err());
    }

    #[test]
    fn stations_are_told_in_every_spelling() {
        let mac = Some(MacAddr([0, 0x10, 0xa4, 0x23, 0x19, 0xc0]));
        for text in ["00-10-A4-23-19-C0", "0010.a423.19c0", "00:10:a4:23:19:c0", "0010a42319c0"] {
            assert_eq!(station(text.as_bytes()), mac, "{text}");
        }
        for text in ["", "49123456789", "00-10-A4-23-19", "00-10-A4-23-19-C0:office"] {
            assert_eq!(station(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Packet::parse(&bytes);
            let _ = Packet::parse(&answer(&bytes));
            let _ = Answer::parse(&bytes);
            let _ = Answer::parse(&answer(&bytes));
        }
    }
}
