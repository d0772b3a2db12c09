//! Frames (RFC 9000, section 19), as far as a handshake has them.

use wire::{Malformed, Reader};

/// One frame that the server sent.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Frame<'a> {
    Padding,
    Ping,
    /// What of ours has come does not matter: what has not is asked for by silence.
    Ack,
    Crypto {
        offset: u64,
        bytes: &'a [u8],
    },
    /// Why it leaves.
    Close(u64),
}

impl<'a> Frame<'a> {
    /// The next frame of a packet.
    pub(super) fn read(r: &mut Reader<'a>) -> Result<Self, Malformed> {
        let kind = varint(r, "frame type")?;
        Ok(match kind {
            0 => Self::Padding,
            1 => Self::Ping,
            2 | 3 => {
                varint(r, "largest acknowledged")?;
                varint(r, "ack delay")?;
                let ranges = varint(r, "ack range count")?;
                varint(r, "first ack range")?;
                for _ in 0..ranges {
                    varint(r, "gap")?;
                    varint(r, "ack range length")?;
                }
                if kind == 3 {
                    for field in ["ect0 count", "ect1 count", "ecn-ce count"] {
                        varint(r, field)?;
                    }
                }
                Self::Ack
            }
            6 => {
                let offset = varint(r, "offset")?;
                Self::Crypto { offset, bytes: bytes(r, "crypto data")? }
            }
            // By the protocol itself, or by what it carries.
            0x1c | 0x1d => {
                let code = varint(r, "error code")?;
                if kind == 0x1c {
                    varint(r, "frame type of the error")?;
                }
                bytes(r, "reason phrase")?;
                Self::Close(code)
            }
            other => return Err(r.invalid("frame type", u32::try_from(other).unwrap_or(u32::MAX))),
        })
    }

    /// Whether it wants to be acknowledged (RFC 9000, section 13.2).
    pub(super) const fn is_eliciting(&self) -> bool {
        matches!(self, Self::Ping | Self::Crypto { .. })
    }
}

fn bytes<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8], Malformed> {
    let length = varint(r, field)?;
    r.take(field, usize::try_from(length).unwrap_or(usize::MAX))
}

/// A number of one, two, four or eight bytes, as its first two bits say (RFC 9000, section 16).
pub(super) fn varint(r: &mut Reader<'_>, field: &'static str) -> Result<u64, Malformed> {
    let first = r.u8(field)?;
    let more = (1_usize << (first >> 6)).saturating_sub(1);
    let rest = r.take(field, more)?;
    Ok(rest.iter().fold(u64::from(first & 0x3f), |number, octet| (number << 8) | u64::from(*octet)))
}

/// Writes such a number, of at most 62 bits.
pub(super) fn put(out: &mut Vec<u8>, number: u64) {
    match number {
        0..=0x3f => out.extend(u8::try_from(number)),
        0x40..=0x3fff => {
            out.extend((u16::try_from(number).unwrap_or_default() | 0x4000).to_be_bytes());
        }
        0x4000..=0x3fff_ffff => {
            out.extend((u32::try_from(number).unwrap_or_default() | 0x8000_0000).to_be_bytes());
        }
        _ => out.extend((number | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

pub(super) const PING: u8 = 1;
const ACK: u8 = 2;
const CRYPTO: u8 = 6;

/// That we leave, for no fault of anybody's (RFC 9000, section 20.1).
pub(super) const GOODBYE: [u8; 4] = [0x1c, 0, 0, 0];

/// The most bytes of a CRYPTO frame of ours beside its contents.
pub(super) const CRYPTO_HEAD: usize = 9;

pub(super) fn put_crypto(out: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    out.push(CRYPTO);
    put(out, offset);
    put(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend(bytes);
}

/// Acknowledges numbers, which come in descending order: at most 16 stretches of them, in at most
/// 260 bytes.
pub(super) fn put_ack(out: &mut Vec<u8>, numbers: impl Iterator<Item = u64>) {
    const MOST: usize = 16;
    // The highest and the lowest number of each stretch.
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        let is_full = stretches.len() >= MOST;
        match stretches.last_mut() {
            Some((_, lowest)) if lowest.checked_sub(1) == Some(number) => *lowest = number,
            _ if is_full => break,
            _ => stretches.push((number, number)),
        }
    }
    let Some(((highest, lowest), rest)) = stretches.split_first() else { return };
    out.push(ACK);
    put(out, *highest);
    // At once, as both kinds of packets are to be.
    put(out, 0);
    put(out, u64::try_from(rest.len()).unwrap_or_default());
    put(out, highest.saturating_sub(*lowest));
    let mut before = *lowest;
    for (highest, lowest) in rest {
        put(out, before.saturating_sub(*highest).saturating_sub(2));
        put(out, highest.saturating_sub(*lowest));
        before = *lowest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_have_to_be() {
        let numbers = [0, 37, 63, 64, 15_293, 16_383, 16_384, 494_878_333, 1 << 30, (1 << 62) - 1];
        for (number, length) in numbers.into_iter().zip([1, 1, 1, 2, 2, 2, 4, 4, 8, 8]) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert_eq!(bytes.len(), length, "{number}");
            assert_eq!(varint(&mut Reader::new(&bytes), "number"), Ok(number));
            for cut in 0..length {
                assert!(varint(&mut Reader::new(&bytes[..cut]), "number").is_err());
            }
        }
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: &Frame<'_>) {
        let mut r = Reader::new(bytes);
        assert_eq!(Frame::read(&mut r).as_ref(), Ok(expected));
        assert!(r.is_at_end());
        for cut in 0..bytes.len() {
            assert!(Frame::read(&mut Reader::new(&bytes[..cut])).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn the_frames_of_a_handshake_are_read() {
        check(&[0], &Frame::Padding);
        check(&[1], &Frame::Ping);
        check(&[2, 9, 0, 1, 2, 0, 3], &Frame::Ack);
        check(&[3, 9, 0, 0, 2, 1, 2, 3], &Frame::Ack);
        check(&[6, 0x40, 0x50, 3, 7, 8, 9], &Frame::Crypto { offset: 0x50, bytes: &[7, 8, 9] });
        check(&[0x1c, 0x41, 0x28, 0, 2, b'n', b'o'], &Frame::Close(0x128));
        check(&[0x1d, 5, 0], &Frame::Close(5));
        check(&GOODBYE, &Frame::Close(0));
        assert!(Frame::read(&mut Reader::new(&[8, 0, 0])).is_err(), "a stream has no place here");
        let endless = [&[2, 9, 0][..], &[0xff; 8], &[0; 40]].concat();
        assert!(Frame::read(&mut Reader::new(&endless)).is_err());
    }

    #[test]
    fn an_acknowledgement_tells_what_is_missing() {
        let mut out = Vec::new();
        put_ack(&mut out, [9, 8, 5, 4, 3, 0].into_iter());
        assert_eq!(out, [2, 9, 0, 2, 1, 1, 2, 1, 0]);
        let mut nothing = Vec::new();
        put_ack(&mut nothing, std::iter::empty());
        assert!(nothing.is_empty());
        let mut many = Vec::new();
        put_ack(&mut many, (0..200).rev().map(|number| number * 2));
        assert_eq!(many[4], 15);
        assert_eq!(Frame::read(&mut Reader::new(&many)), Ok(Frame::Ack));
        let mut large = Vec::new();
        put_ack(&mut large, (0..200).map(|number| (1 << 62) - 1 - (number << 54)));
        assert!(large.len() > 100 && large.len() <= 260, "{}", large.len());
    }
}
