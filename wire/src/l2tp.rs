//! The Layer Two Tunneling Protocol, version 2 (RFC 2661, sections 3 to 5): the first message
//! of a tunnel, what a gateway answers, and the message that ends it again.

use crate::{Malformed, Reader, lines};

/// Control message, with lengths and sequence numbers, version 2.
const CONTROL: u16 = 0xc802;
const MESSAGE_TYPE: u16 = 0;
const RESULT: u16 = 1;
const FIRMWARE: u16 = 6;
const HOST_NAME: u16 = 7;
const VENDOR: u16 = 8;
const ASSIGNED_TUNNEL: u16 = 9;

const START_REQUEST: u16 = 1;
const START_REPLY: u16 = 2;
const STOP: u16 = 4;

/// An answer to the first message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// Our number for the tunnel, repeated.
    pub tunnel: u16,
    /// Whether the gateway refuses (StopCCN) rather than agrees (SCCRP).
    pub refused: bool,
    /// Its own number for the tunnel: what the end must be sent to.
    pub assigned: Option<u16>,
    /// What it calls itself.
    pub host_name: Option<String>,
    /// Its maker.
    pub vendor: Option<String>,
    /// The revision of its firmware.
    pub firmware: Option<u16>,
}

fn control(tunnel: u16, sent: u16, received: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = u16::try_from(attributes.len()).unwrap_or_default().saturating_add(12);
    let words = [CONTROL, length, tunnel, 0, sent, received];
    let mut out: Vec<u8> = words.into_iter().flat_map(u16::to_be_bytes).collect();
    out.extend(attributes);
    out
}

/// An attribute-value pair of RFC 2661 that must be understood (section 4.1).
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or_default().saturating_add(6) | 0x8000;
    let mut out: Vec<u8> = [length, 0, kind].into_iter().flat_map(u16::to_be_bytes).collect();
    out.extend_from_slice(value);
    out
}

/// SCCRQ: asks for a tunnel which we call `tunnel` (not zero).
#[must_use]
pub fn start(tunnel: u16) -> Vec<u8> {
    control(
        0,
        0,
        0,
        &[
            attribute(MESSAGE_TYPE, &START_REQUEST.to_be_bytes()),
            attribute(2, &[1, 0]),       // protocol version 1, revision 0
            attribute(3, &[0, 0, 0, 3]), // framing: synchronous and asynchronous
            attribute(HOST_NAME, b"daicho.invalid"),
            attribute(ASSIGNED_TUNNEL, &tunnel.to_be_bytes()),
        ],
    )
}

/// StopCCN: ends the tunnel that the gateway calls `theirs` and we call `tunnel`.
#[must_use]
pub fn stop(theirs: u16, tunnel: u16) -> Vec<u8> {
    control(
        theirs,
        1,
        1,
        &[
            attribute(MESSAGE_TYPE, &STOP.to_be_bytes()),
            attribute(ASSIGNED_TUNNEL, &tunnel.to_be_bytes()),
            attribute(RESULT, &[0, 1]), // a request to clear
        ],
    )
}

impl Answer {
    /// Reads one datagram. Hidden and unknown attributes are passed over.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let flags = r.u16("flags, version")?;
        if flags != CONTROL {
            return Err(r.invalid("flags, version", flags));
        }
        let length = r.u16("length")?;
        let Some(inside) = length.checked_sub(4) else {
            return Err(r.invalid("length", length));
        };
        let mut r = r.nested("message", inside.into())?;
        let mut found = Self { tunnel: r.u16("tunnel id")?, ..Self::default() };
        r.take("session id, Ns, Nr", 6)?;
        let mut kind = None;
        while !r.is_at_end() {
            let head = r.u16("AVP flags, length")?;
            let Some(len) = (head & 0x3ff).checked_sub(6) else {
                return Err(r.invalid("AVP flags, length", head));
            };
            let vendor = r.u16("AVP vendor id")?;
            let attribute = r.u16("AVP type")?;
            let mut value = r.nested("AVP value", len.into())?;
            let hidden = head & 0x4000 != 0;
            if vendor != 0 || hidden {
                continue;
            }
            let text = lines::text(value.rest());
            match attribute {
                MESSAGE_TYPE => kind = Some(value.u16("message type")?),
                HOST_NAME => found.host_name = Some(text),
                VENDOR => found.vendor = Some(text),
                FIRMWARE => found.firmware = Some(value.u16("firmware revision")?),
                ASSIGNED_TUNNEL => found.assigned = Some(value.u16("assigned tunnel id")?),
                _ => {}
            }
        }
        match kind {
            Some(START_REPLY) => Ok(found),
            Some(STOP) => Ok(Self { refused: true, ..found }),
            // A message without attributes only acknowledges.
            other => Err(r.invalid("message type", other.unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer(kind: u16) -> Vec<u8> {
        control(
            7,
            0,
            1,
            &[
                attribute(MESSAGE_TYPE, &kind.to_be_bytes()),
                attribute(FIRMWARE, &[6, 0x90]),
                attribute(HOST_NAME, b"vpn7"),
                attribute(VENDOR, b"example.org"),
                attribute(ASSIGNED_TUNNEL, &[0, 9]),
            ],
        )
    }

    #[track_caller]
    fn check(bytes: &[u8], refused: bool) {
        let expected = Answer {
            tunnel: 7,
            refused,
            assigned: Some(9),
            host_name: Some("vpn7".into()),
            vendor: Some("example.org".into()),
            firmware: Some(0x690),
        };
        assert_eq!(Answer::parse(bytes), Ok(expected));
        for len in 0..bytes.len() {
            assert_eq!(Answer::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_gateway_agrees_or_refuses_and_names_itself() {
        check(&answer(START_REPLY), false);
        check(&answer(STOP), true);
    }

    #[test]
    fn our_own_messages_and_broken_ones_are_no_answers() {
        assert!(Answer::parse(&start(7)).is_err());
        assert!(Answer::parse(&control(7, 0, 1, &[])).is_err());
        let mut short = answer(START_REPLY);
        short[13] = 5;
        assert_eq!(Answer::parse(&short).unwrap_err().field, "AVP flags, length");
        let end = Answer::parse(&stop(9, 7)).unwrap();
        assert_eq!((end.tunnel, end.assigned, end.refused), (9, Some(7), true));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Answer::parse(&bytes);
            let _ = Answer::parse(&control(7, 0, 1, std::slice::from_ref(&bytes)));
        }
    }
}
