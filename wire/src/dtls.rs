//! Datagram TLS (RFC 6347, sections 4.1 and 4.2): a ClientHello, and the HelloVerifyRequest
//! by which a server makes sure of us before it keeps anything.
//!
//! We go no further: what follows the cookie costs the server memory and a signature. An
//! alert is as good an answer: it too says that DTLS is spoken.

use crate::{Malformed, Reader};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const HELLO_VERIFY_REQUEST: u8 = 3;

/// What a server answers to a ClientHello.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// HelloVerifyRequest, with the length of its cookie.
    Verify(u8),
    /// ServerHello at once, with its version on the wire: 0xfefd is DTLS 1.2.
    Hello(u16),
    /// An alert, by its description: 40 handshake failure, 70 protocol version.
    Alert(u8),
}

/// A ClientHello for DTLS 1.0 to 1.2, with no name and an empty cookie.
#[must_use]
pub fn client_hello(random: [u8; 32]) -> Vec<u8> {
    // ECDHE with ECDSA and RSA, AES-128-GCM and AES-256-GCM, then with AES-128-CBC; RSA; and
    // for small devices a raw key or a shared one with AES-128-CCM-8.
    const CIPHERS: [u16; 9] =
        [0xc02b, 0xc02f, 0xc02c, 0xc030, 0xc009, 0xc013, 0x002f, 0xc0ae, 0xc0a8];
    const EXTENSIONS: [u8; 42] = [
        0, 10, 0, 8, 0, 6, 0, 29, 0, 23, 0, 24, // groups: x25519, P-256, P-384
        0, 11, 0, 2, 1, 0, // points: uncompressed
        0, 13, 0, 14, 0, 12, 4, 3, 5, 3, 4, 1, 5, 1, 8, 4, 2, 1, // signatures
        0xff, 1, 0, 1, 0, // secure renegotiation (RFC 5746)
        0, // completes extended master secret, below
    ];
    let mut body = vec![0xfe, 0xfd];
    body.extend(random);
    body.extend([0, 0]); // session id and cookie, both empty
    body.extend([0, 18]);
    body.extend(CIPHERS.into_iter().flat_map(u16::to_be_bytes));
    body.extend([1, 0]); // no compression
    body.extend([0, 45]);
    body.extend(EXTENSIONS);
    body.extend([23, 0, 0]); // extended master secret (RFC 7627)
    let [.., high, low] = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
    let mut message = vec![1, 0, high, low, 0, 0, 0, 0, 0, 0, high, low]; // one fragment
    message.extend(body);
    let [.., high, low] = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
    // The record's version is the lowest, so that old servers read on.
    let mut out = vec![HANDSHAKE, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, high, low];
    out.extend(message);
    out
}

impl Answer {
    /// Reads the first record of a datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let kind = r.u8("content type")?;
        if !matches!(kind, ALERT | HANDSHAKE) {
            return Err(r.invalid("content type", kind));
        }
        let version = r.u16("version")?;
        // 0x0100 is OpenSSL's before the standard, which Cisco's old clients spoke.
        if !matches!(version, 0xfeff | 0xfefd | 0x0100) {
            return Err(r.invalid("version", version));
        }
        let epoch = r.u16("epoch")?;
        if epoch != 0 {
            return Err(r.invalid("epoch", epoch));
        }
        r.take("sequence number", 6)?;
        let len = r.u16("length")?;
        let mut record = r.nested("fragment", len.into())?;
        if kind == ALERT {
            let level = record.u8("level")?;
            if !matches!(level, 1 | 2) {
                return Err(record.invalid("level", level));
            }
            return record.u8("description").map(Self::Alert);
        }
        let message = record.u8("msg_type")?;
        record.u24("length")?;
        record.u16("message_seq")?;
        let offset = record.u24("fragment_offset")?;
        if offset != 0 {
            return Err(record.invalid("fragment_offset", offset));
        }
        let len = record.u24("fragment_length")?;
        let mut body = record.nested("fragment", len as usize)?;
        let version = body.u16("server_version")?;
        if !matches!(version, 0xfeff | 0xfefd | 0x0100) {
            return Err(body.invalid("server_version", version));
        }
        match message {
            HELLO_VERIFY_REQUEST => {
                let len = body.u8("cookie length")?;
                body.take("cookie", len.into())?;
                Ok(Self::Verify(len))
            }
            SERVER_HELLO => {
                body.take("random", 32)?;
                Ok(Self::Hello(version))
            }
            other => Err(record.invalid("msg_type", other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, body.len() as u8];
        bytes.extend(body);
        bytes
    }

    fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = body.len() as u8;
        let mut message = vec![kind, 0, 0, len, 0, 0, 0, 0, 0, 0, 0, len];
        message.extend(body);
        record(HANDSHAKE, &message)
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Answer) {
        assert_eq!(Answer::parse(bytes), Ok(expected));
        for len in 0..bytes.len() {
            assert_eq!(Answer::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_server_asks_for_proof_or_goes_on_or_refuses() {
        check(&handshake(3, &[0xfe, 0xff, 4, 1, 2, 3, 4]), Answer::Verify(4));
        let hello: Vec<u8> = [&[0xfe, 0xfd], &[7; 32][..]].concat();
        check(&handshake(2, &hello), Answer::Hello(0xfefd));
        check(&record(ALERT, &[2, 40]), Answer::Alert(40));
    }

    #[test]
    fn the_lengths_in_our_hello_are_right() {
        let hello = client_hello([7; 32]);
        let mut r = Reader::new(&hello);
        r.take("to length", 11).unwrap();
        let len = r.u16("length").unwrap();
        assert_eq!(usize::from(len), r.rest().len());
        r.u8("type").unwrap();
        let len = r.u24("length").unwrap();
        r.take("to fragment length", 5).unwrap();
        assert_eq!(r.u24("fragment length"), Ok(len));
        assert_eq!(len as usize, r.rest().len());
        r.take("version, random, session, cookie", 36).unwrap();
        let len = r.u16("ciphers").unwrap();
        r.take("ciphers", len.into()).unwrap();
        r.take("compression", 2).unwrap();
        let len = r.u16("extensions").unwrap();
        let mut extensions = r.nested("extensions", len.into()).unwrap();
        assert!(r.is_at_end());
        let mut kinds = Vec::new();
        while !extensions.is_at_end() {
            kinds.push(extensions.u16("type").unwrap());
            let len = extensions.u16("length").unwrap();
            extensions.take("value", len.into()).unwrap();
        }
        assert_eq!(kinds, [10, 11, 13, 0xff01, 23]);
        assert!(Answer::parse(&hello).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Answer::parse(&bytes);
            let _ = Answer::parse(&record(HANDSHAKE, &bytes));
            let _ = Answer::parse(&handshake(2, &bytes));
        }
    }
}
