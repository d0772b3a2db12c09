//! The first message of an Internet key exchange (RFC 7296, sections 1.2 and 3), and what a
//! gateway answers: in version 2, or in version 1 (RFC 2408, section 3) where it knows no
//! other.
//!
//! Our public value belongs to no key. A responder answers it, or says what it wants
//! instead, and forgets after half a minute.

use crate::{Malformed, Reader};

/// The payload type of a vendor id, in version 2.
const VENDOR_ID: u8 = 43;
const NOTIFY: u8 = 41;
const VENDOR_ID_V1: u8 = 13;
const NOTIFY_V1: u8 = 11;

/// Payloads that are read at most.
const MAX_PAYLOADS: usize = 64;

/// A message of a responder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The initiator's SPI, repeated.
    pub initiator: [u8; 8],
    /// The version, in its major and minor half.
    pub version: u8,
    /// The exchange: 34 IKE_SA_INIT, 2 Identity Protection, 5 Informational.
    pub exchange: u8,
    /// What it notifies of: 14 no proposal chosen, 17 invalid key exchange payload.
    pub notices: Vec<u16>,
    /// What it and its extensions are called: mostly hashes, sometimes text.
    pub vendor_ids: Vec<Vec<u8>>,
}

/// A first message with one proposal (AES-CBC-256, PRF and integrity SHA-256, 2048-bit
/// MODP). The SPI must not be zero; `public` fills the public value and the nonce.
#[must_use]
pub fn first_message(spi: [u8; 8], public: [u8; 4]) -> Vec<u8> {
    const PROPOSAL: [u8; 48] = [
        34, 0, 0, 48, // next payload: key exchange; length of the SA payload
        0, 0, 0, 44, 1, 1, 0, 4, // one proposal: IKE, no SPI, four transforms
        3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 1, 0, // ENCR_AES_CBC, 256 bits
        3, 0, 0, 8, 2, 0, 0, 5, // PRF_HMAC_SHA2_256
        3, 0, 0, 8, 3, 0, 0, 12, // AUTH_HMAC_SHA2_256_128
        0, 0, 0, 8, 4, 0, 0, 14, // 2048-bit MODP group
    ];
    const LENGTH: u32 = 28 + 48 + 8 + 256 + 36;
    let mut out = spi.to_vec();
    out.extend([0; 8]);
    out.extend([33, 0x20, 34, 0x08, 0, 0, 0, 0]); // SA next; version 2.0; IKE_SA_INIT; initiator
    out.extend(LENGTH.to_be_bytes());
    out.extend(PROPOSAL);
    out.extend([40, 0, 1, 8, 0, 14, 0, 0]); // next payload: nonce; group 14
    out.extend([public; 64].as_flattened());
    out.extend([0, 0, 0, 36]);
    out.extend([public; 8].as_flattened());
    out
}

impl Message {
    /// Reads one datagram (on port 4500: after the four zeros).
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        const RESPONSE: u8 = 0x20;
        let mut r = Reader::new(bytes);
        let initiator = r.array("initiator's SPI")?;
        r.take("responder's SPI", 8)?;
        let mut next = r.u8("next payload")?;
        let version = r.u8("version")?;
        if !matches!(version >> 4, 1 | 2) {
            return Err(r.invalid("version", version));
        }
        let exchange = r.u8("exchange type")?;
        let flags = r.u8("flags")?;
        // Version 1 has no such flag.
        if version >> 4 == 2 && flags & RESPONSE == 0 {
            return Err(r.invalid("flags", flags));
        }
        r.u32("message id")?;
        let length = r.u32("length")?;
        let Some(inside) = length.checked_sub(28) else {
            return Err(r.invalid("length", length));
        };
        let mut payloads = r.nested("payloads", inside as usize)?;
        let (mut notices, mut vendor_ids) = (Vec::new(), Vec::new());
        for _ in 0..MAX_PAYLOADS {
            if next == 0 || payloads.is_at_end() {
                break;
            }
            let kind = next;
            next = payloads.u8("next payload")?;
            payloads.u8("critical")?;
            let length = payloads.u16("payload length")?;
            let Some(inside) = length.checked_sub(4) else {
                return Err(payloads.invalid("payload length", length));
            };
            let mut payload = payloads.nested("payload", inside.into())?;
            match (version >> 4, kind) {
                (2, VENDOR_ID) | (1, VENDOR_ID_V1) => vendor_ids.push(payload.rest().to_vec()),
                (2, NOTIFY) => {
                    payload.u16("protocol id, SPI size")?;
                    notices.push(payload.u16("notify message type")?);
                }
                (1, NOTIFY_V1) => {
                    payload.take("DOI, protocol id, SPI size", 6)?;
                    notices.push(payload.u16("notify message type")?);
                }
                _ => {}
            }
        }
        Ok(Self { initiator, version, exchange, notices, vendor_ids })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer(version: u8, flags: u8, first: u8, payloads: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 2, 3, 4, 5, 6, 7, 8];
        bytes.extend([9; 8]);
        bytes.extend([first, version, 34, flags, 0, 0, 0, 0, 0, 0, 0]);
        bytes.push(28 + payloads.len() as u8);
        bytes.extend(payloads);
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], version: u8, notices: &[u16], vendor_ids: &[&[u8]]) {
        let expected = Message {
            initiator: [1, 2, 3, 4, 5, 6, 7, 8],
            version,
            exchange: 34,
            notices: notices.to_vec(),
            vendor_ids: vendor_ids.iter().map(|id| id.to_vec()).collect(),
        };
        assert_eq!(Message::parse(bytes), Ok(expected));
        for len in 0..bytes.len() {
            assert_eq!(Message::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_responder_refuses_or_names_itself() {
        check(&answer(0x20, 0x20, 41, &[0, 0, 0, 8, 0, 0, 0, 14]), 0x20, &[14], &[]);
        let vendor = [41, 0, 0, 7, b'a', b'b', b'c', 0, 0, 0, 8, 0, 0, 0, 17];
        check(&answer(0x20, 0x20, 43, &vendor), 0x20, &[17], &[b"abc"]);
        let old = [0, 0, 0, 12, 0, 0, 0, 1, 1, 0, 0, 14];
        check(&answer(0x10, 0, 11, &old), 0x10, &[14], &[]);
        check(&answer(0x10, 0, 13, &[0, 0, 0, 6, 7, 7]), 0x10, &[], &[&[7, 7]]);
    }

    #[test]
    fn our_own_message_is_no_answer() {
        let question = first_message([1; 8], [7; 4]);
        assert_eq!(question.len(), 376);
        assert_eq!(Message::parse(&question).unwrap_err().field, "flags");
        let mut turned = question;
        turned[19] = 0x20;
        let message = Message::parse(&turned).unwrap();
        assert_eq!((message.initiator, message.notices.len()), ([1; 8], 0));
        let short = answer(0x20, 0x20, 41, &[0, 0, 0, 3]);
        assert_eq!(Message::parse(&short).unwrap_err().problem, Problem::Invalid(3));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
            first: u8,
            v2: bool,
        ) {
            let _ = Message::parse(&bytes);
            let _ = Message::parse(&answer(if v2 { 0x20 } else { 0x10 }, 0x20, first, &bytes));
        }
    }
}
