//! Oracle's Transparent Network Substrate: what a listener answers to a connection. Of a refusal
//! the number of the listener's version is read (`VSNNUM`); what clients say of themselves,
//! their users among it, is not.

use crate::{Malformed, Reader, lines};

/// A listener's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The connection goes on.
    Accept,
    /// It is refused; the listener's version, `19.0.0.0.0`, where it tells it.
    Refuse(Option<String>),
    /// Somebody else is to be asked, or again.
    Redirect,
}

/// Whether the stream begins as a client's does, with CONNECT.
#[must_use]
pub fn is_connect(stream: &[u8]) -> bool {
    let len = matches!(stream, [high, low, ..] if u16::from_be_bytes([*high, *low]) >= 34);
    len && matches!(stream, [_, _, 0, 0, 1, 0, 0, 0, 1, _, ..])
}

impl Answer {
    /// Reads one packet.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        const HEADER: usize = 8;
        let mut r = Reader::new(bytes);
        let length = r.u16("packet length")?;
        let Some(length) = usize::from(length).checked_sub(HEADER) else {
            return Err(r.invalid("packet length", length));
        };
        let checksum = r.u16("packet checksum")?;
        if checksum != 0 {
            return Err(r.invalid("packet checksum", checksum));
        }
        let kind = r.u8("packet type")?;
        r.take("flags, header checksum", 3)?;
        let mut r = r.nested("packet", length)?;
        match kind {
            2 => Ok(Self::Accept),
            4 => {
                r.take("reasons", 2)?;
                let len = r.u16("data length")?;
                Ok(Self::Refuse(version(r.take("data", len.into())?)))
            }
            5 | 11 => Ok(Self::Redirect),
            other => Err(r.invalid("packet type", other)),
        }
    }
}

/// `(VSNNUM=318767104)`: five numbers in 32 bits, as Oracle's error messages read them.
fn version(data: &[u8]) -> Option<String> {
    let text = lines::text(data);
    let (_, rest) = text.split_once("VSNNUM=")?;
    let (number, _) = rest.split_once(')')?;
    let number: u32 = number.trim().parse().ok()?;
    if number == 0 {
        return None;
    }
    let part = |shift: u32, mask: u32| number.checked_shr(shift).unwrap_or(0) & mask;
    // From 18 on the second number takes all eight bits.
    Some(match part(24, 0xff) {
        major @ 18.. => {
            format!("{major}.{}.{}.{}.{}", part(16, 0xff), part(12, 15), part(4, 0xff), part(0, 15))
        }
        major => {
            format!("{major}.{}.{}.{}.{}", part(20, 15), part(12, 0xff), part(8, 15), part(0, 0xff))
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refuse(text: &[u8]) -> Vec<u8> {
        let mut out =
            vec![0, text.len() as u8 + 12, 0, 0, 4, 0, 0, 0, 0x22, 0, 0, text.len() as u8];
        out.extend(text);
        out
    }

    #[test]
    fn a_listener_tells_its_version_when_it_refuses() {
        let check = |text: &[u8], expected: Option<&str>| {
            let bytes = refuse(text);
            let expected = expected.map(str::to_owned);
            assert_eq!(Answer::parse(&bytes), Ok(Answer::Refuse(expected)));
            for len in 0..bytes.len() {
                assert!(Answer::parse(&bytes[..len]).is_err(), "cut at {len}");
            }
        };
        check(b"(DESCRIPTION=(TMP=)(VSNNUM=186647040)(ERR=12514))", Some("11.2.0.2.0"));
        check(b"(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR=12514))", Some("19.0.0.0.0"));
        check(b"(DESCRIPTION=(ERR=1153)(VSNNUM=0))", None);
        check(b"(VSNNUM=x)", None);
        assert_eq!(Answer::parse(&[0, 10, 0, 0, 2, 0, 0, 0, 1, 0x3b]), Ok(Answer::Accept));
        assert_eq!(Answer::parse(&[0, 8, 0, 0, 11, 8, 0, 0]), Ok(Answer::Redirect));
        assert!(Answer::parse(&[0, 8, 0, 0, 1, 8, 0, 0]).is_err());
    }

    #[test]
    fn a_client_begins_with_connect() {
        let mut connect = vec![0, 0x40, 0, 0, 1, 0, 0, 0, 1, 0x3b];
        assert!(is_connect(&connect));
        connect[4] = 2;
        assert!(!is_connect(&connect));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            let _ = Answer::parse(&bytes);
            let _ = Answer::parse(&refuse(&bytes));
            let _ = is_connect(&bytes);
        }
    }
}
