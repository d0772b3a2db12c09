//! The Extensible Authentication Protocol (RFC 3748) as far as it carries TLS, and EAPOL
//! (IEEE 802.1X-2020, section 11), which carries it over a LAN.
//!
//! EAP-TLS (RFC 5216), EAP-TTLS (RFC 5281), PEAP, EAP-FAST (RFC 4851) and TEAP (RFC 7170) cut TLS
//! into packets in the same way. Who the user is (Identity) is not read.

use crate::{Malformed, Reader};

/// EAPOL's EtherType.
pub const ETHER_TYPE: u16 = 0x888e;

/// Who speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Code {
    /// From the server (or the authenticator in its stead).
    Request,
    /// From the peer, who wants to be let in.
    Response,
    /// The peer is let in.
    Success,
    /// It is not.
    Failure,
}

/// A method that carries TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// EAP-TLS, RFC 5216.
    Tls,
    /// EAP-TTLS, RFC 5281.
    Ttls,
    /// Protected EAP, which Microsoft and Cisco published as drafts.
    Peap,
    /// EAP-FAST, RFC 4851.
    Fast,
    /// TEAP, RFC 7170.
    Teap,
}

impl Method {
    /// Its name, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "eap-tls",
            Self::Ttls => "eap-ttls",
            Self::Peap => "peap",
            Self::Fast => "eap-fast",
            Self::Teap => "teap",
        }
    }

    /// The method of that type (registry "EAP Method Types").
    const fn of(kind: u8) -> Option<Self> {
        Some(match kind {
            13 => Self::Tls,
            21 => Self::Ttls,
            25 => Self::Peap,
            43 => Self::Fast,
            55 => Self::Teap,
            _ => return None,
        })
    }
}

/// A piece of TLS in one packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Piece<'a> {
    /// Which method carries it.
    pub method: Method,
    /// Whether a conversation begins here; such a piece has no TLS in it.
    pub starts: bool,
    /// Whether the message goes on in the next packet.
    pub more: bool,
    /// How long the whole message is, where the piece says it.
    pub length: Option<usize>,
    /// The bytes; none in an acknowledgement.
    pub bytes: &'a [u8],
}

/// A packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// Who speaks.
    pub code: Code,
    /// By which an answer fits its request; the same again is a repetition.
    pub identifier: u8,
    /// The TLS in it, if it is a packet of a method that carries it.
    pub piece: Option<Piece<'a>>,
}

const LENGTH_INCLUDED: u8 = 0x80;
const MORE_FRAGMENTS: u8 = 0x40;
const START: u8 = 0x20;
/// TEAP's: the packet ends in TLVs that are outside of TLS.
const OUTER: u8 = 0x10;

impl<'a> Packet<'a> {
    /// Reads a packet. Bytes behind its own length are padding.
    ///
    /// # Errors
    ///
    /// It ends too soon, or its lengths contradict each other.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let code = r.u8("Code")?;
        let identifier = r.u8("Identifier")?;
        let length = r.u16("Length")?;
        let Some(inside) = length.checked_sub(4) else {
            return Err(r.invalid("Length", length));
        };
        let mut r = r.nested("Data", inside.into())?;
        let code = match code {
            1 => Code::Request,
            2 => Code::Response,
            3 => Code::Success,
            4 => Code::Failure,
            other => return Err(r.invalid("Code", other)),
        };
        let mut piece = None;
        if matches!(code, Code::Request | Code::Response)
            && let Some(method) = Method::of(r.u8("Type")?)
        {
            piece = Some(Piece::read(method, &mut r)?);
        }
        Ok(Self { code, identifier, piece })
    }
}

impl<'a> Piece<'a> {
    fn read(method: Method, r: &mut Reader<'a>) -> Result<Self, Malformed> {
        // An acknowledgement may leave even the flags out.
        let flags = if r.is_at_end() { 0 } else { r.u8("Flags")? };
        let length = match flags & LENGTH_INCLUDED {
            0 => None,
            _ => Some(usize::try_from(r.u32("TLS Message Length")?).unwrap_or(usize::MAX)),
        };
        let outer = match method {
            Method::Teap if flags & OUTER != 0 => r.u32("Outer TLV Length")?,
            _ => 0,
        };
        let starts = flags & START != 0;
        let bytes = r.rest();
        let behind = usize::try_from(outer).unwrap_or(usize::MAX);
        let Some(end) = bytes.len().checked_sub(behind) else {
            return Err(r.invalid("Outer TLV Length", outer));
        };
        // What a start carries is not TLS: EAP-FAST's server says who it is.
        let bytes = if starts { &[] } else { bytes.get(..end).unwrap_or_default() };
        Ok(Self { method, starts, more: flags & MORE_FRAGMENTS != 0, length, bytes })
    }
}

/// The packet of EAP in a frame of EAPOL; `None` for its other kinds (a start, keys).
///
/// # Errors
///
/// It ends too soon.
pub fn of_lan(payload: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    const EAP_PACKET: u8 = 0;
    let mut r = Reader::new(payload);
    r.u8("Protocol Version")?;
    let kind = r.u8("Packet Type")?;
    let length = r.u16("Packet Body Length")?;
    let body = r.take("Packet Body", length.into())?;
    Ok((kind == EAP_PACKET).then_some(body))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn packet(code: u8, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len() + 4).unwrap().to_be_bytes();
        [&[code, 7][..], &length, data].concat()
    }

    #[track_caller]
    fn check(data: &[u8], expected: Option<Piece<'_>>) {
        let bytes = packet(1, data);
        let parsed = Packet { code: Code::Request, identifier: 7, piece: expected };
        assert_eq!(Packet::parse(&bytes), Ok(parsed));
        // Padding of a short frame.
        assert_eq!(Packet::parse(&[&bytes[..], &[0; 30]].concat()), Ok(parsed));
        for len in 0..bytes.len() {
            assert_eq!(Packet::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn pieces_of_tls_are_told_with_what_is_missing() {
        let plain =
            Piece { method: Method::Tls, starts: false, more: false, length: None, bytes: b"" };
        check(&[13, 0x20], Some(Piece { starts: true, ..plain }));
        check(
            &[13, 0xc0, 0, 0, 1, 2, 9, 8],
            Some(Piece { more: true, length: Some(0x102), bytes: &[9, 8], ..plain }),
        );
        check(&[25, 1], Some(Piece { method: Method::Peap, ..plain }));
        check(&[21], Some(Piece { method: Method::Ttls, ..plain }));
        check(
            &[43, 0x21, 0, 4, 0, 2, 1, 2],
            Some(Piece { method: Method::Fast, starts: true, ..plain }),
        );
        check(
            &[55, 0x11, 0, 0, 0, 2, 7, 7, 1, 2],
            Some(Piece { method: Method::Teap, bytes: &[7, 7], ..plain }),
        );
        // Who the user is is nobody's business here.
        check(b"\x01somebody", None);
    }

    #[test]
    fn what_contradicts_itself_is_an_error() {
        for bytes in [&packet(9, &[13])[..], &[1, 7, 0, 3], &packet(1, &[55, 0x10, 0, 0, 0, 9, 1])]
        {
            let problem = Packet::parse(bytes).unwrap_err().problem;
            assert!(matches!(problem, Problem::Invalid(_)), "{problem:?}");
        }
        let success = Packet::parse(&[3, 7, 0, 4]).unwrap();
        assert_eq!((success.code, success.piece), (Code::Success, None));
    }

    #[test]
    fn lans_carry_packets_and_other_things() {
        let frame = [2, 0, 0, 2, 5, 6, 0, 0];
        assert_eq!(of_lan(&frame), Ok(Some(&[5, 6][..])));
        assert_eq!(of_lan(&[1, 1, 0, 0]), Ok(None));
        for len in 0..6 {
            assert!(of_lan(&frame[..len]).is_err());
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Packet::parse(&bytes);
            let _ = Packet::parse(&packet(1, &bytes));
            let _ = of_lan(&bytes);
        }
    }
}
