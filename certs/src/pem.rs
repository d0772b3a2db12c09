//! Certificates in text: PEM blocks (RFC 7468), and plain DER where there is none.
//!
//! Blocks are found wherever they begin, not only at the start of a line: in YAML they are
//! indented, and in JSON the ends of their lines are written `\n`.

use wire::Reader;

use crate::der;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// Labels longer than this are none.
const MAX_LABEL: usize = 64;

/// The DER of every certificate in a file's bytes, in order: of each PEM block that is
/// labelled as one, or, where there is no PEM block at all, the bytes themselves if they start
/// as DER does. Blocks of other labels (keys, requests, lists) are passed over, and so is what
/// stands between blocks. [`crate::store::read`] reads more than these two.
#[must_use]
pub fn certificates_in(file: &[u8]) -> Vec<Vec<u8>> {
    let blocks = blocks(file);
    if blocks.is_empty() && file.first() == Some(&der::SEQUENCE) {
        return vec![file.to_vec()];
    }
    blocks.iter().filter_map(Block::certificate).collect()
}

/// A block of PEM, undecoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    label: &'a [u8],
    text: &'a [u8],
}

/// What a block's label says of its contents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// The label of today, and that of the last century.
    Certificate,
    /// A certificate, then OpenSSL's settings of what it is trusted for.
    Trusted,
    /// A bundle.
    Pkcs7,
    /// A private key that is not encrypted.
    Key,
    /// One that is.
    EncryptedKey,
    RevocationList,
    Other,
}

/// The blocks of a text. One that has no end, because the file was cut or the next begins
/// first, ends there: DER knows its own end.
pub(crate) fn blocks(text: &[u8]) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = position(rest, BEGIN) {
        rest = rest.get(at.saturating_add(BEGIN.len())..).unwrap_or_default();
        let head = rest.get(..MAX_LABEL).unwrap_or(rest);
        let Some(length) = position(head, DASHES) else { continue };
        let label = rest.get(..length).unwrap_or_default();
        let start = rest.get(length.saturating_add(DASHES.len())..).unwrap_or_default();
        let end = position(start, DASHES).unwrap_or(start.len());
        let (text, after) = start.split_at_checked(end).unwrap_or((start, &[]));
        found.push(Block { label, text });
        // The label of the end must not be taken for a beginning, nor a beginning be lost.
        rest = after.strip_prefix(END).unwrap_or(after);
    }
    found
}

/// Where `wanted` begins in `bytes`.
pub(crate) fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted.first()?;
    let mut from = 0usize;
    loop {
        let rest = bytes.get(from..)?;
        from = from.saturating_add(rest.iter().position(|byte| byte == first)?);
        if bytes.get(from..)?.starts_with(wanted) {
            return Some(from);
        }
        from = from.saturating_add(1);
    }
}

impl Block<'_> {
    pub(crate) fn kind(&self) -> Kind {
        match self.label {
            b"CERTIFICATE" | b"X509 CERTIFICATE" => Kind::Certificate,
            b"TRUSTED CERTIFICATE" => Kind::Trusted,
            b"PKCS7" | b"PKCS #7 SIGNED DATA" | b"CMS" => Kind::Pkcs7,
            b"ENCRYPTED PRIVATE KEY" => Kind::EncryptedKey,
            b"X509 CRL" => Kind::RevocationList,
            b"OPENSSH PRIVATE KEY" if !self.is_open_ssh_key() => Kind::EncryptedKey,
            label if label.ends_with(b"PRIVATE KEY") => match position(self.text, b"ENCRYPTED") {
                // A header of old PEM (RFC 1421): `Proc-Type: 4,ENCRYPTED`.
                Some(_) => Kind::EncryptedKey,
                None => Kind::Key,
            },
            _ => Kind::Other,
        }
    }

    /// Whether the block begins as a key of OpenSSH does whose cipher is `none`. The base64 is
    /// looked at as it is, so that no key is decoded.
    fn is_open_ssh_key(&self) -> bool {
        position(self.text, b"b3BlbnNzaC1rZXktdjEAAAAABG5vbmU").is_some()
    }

    /// The certificate, if this is one and can be decoded.
    pub(crate) fn certificate(&self) -> Option<Vec<u8>> {
        match self.kind() {
            Kind::Certificate => self.decode(),
            Kind::Trusted => {
                let bytes = self.decode()?;
                let first = der::element(&mut Reader::new(&bytes), &mut der::Quirks::default())?;
                Some(first.whole.to_vec())
            }
            _ => None,
        }
    }

    /// The bytes. `None` where they are not base64.
    pub(crate) fn decode(&self) -> Option<Vec<u8>> {
        let mut text = Vec::with_capacity(self.text.len());
        for line in self.text.split(|byte| matches!(byte, b'\n' | b'\r')) {
            // Headers of old PEM, such as `Proc-Type: 4,ENCRYPTED`.
            if !line.contains(&b':') {
                text.extend_from_slice(line);
            }
        }
        decode(&text)
    }
}

/// Base64 (RFC 4648, section 4), whitespace passed over, also as JSON writes it. `None` if
/// there is anything else in it.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0u32, 0u32);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let value = match byte {
            b'A'..=b'Z' => byte.wrapping_sub(b'A'),
            b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'\\' => match bytes.next() {
                Some(b'n' | b'r' | b't') => continue,
                Some(b'/') => 63,
                _ => return None,
            },
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count = count.wrapping_add(6);
        if count >= 8 {
            count = count.wrapping_sub(8);
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &[u8], expected: &[&[u8]]) {
        assert_eq!(certificates_in(file), expected);
    }

    #[test]
    fn bundles_are_taken_apart() {
        let file =
            b"subject=x\r\n-----BEGIN CERTIFICATE-----\r\nAQI=\r\n-----END CERTIFICATE-----\r\n\
            -----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n\
            -----BEGIN TRUSTED CERTIFICATE-----\nMAEHMAA=\n-----END TRUSTED CERTIFICATE-----";
        check(file, &[&[1, 2], &[0x30, 1, 7]]);
    }

    #[test]
    fn der_is_itself_and_noise_is_nothing() {
        check(&[0x30, 1, 0], &[&[0x30, 1, 0]]);
        check(b"hello", &[]);
        check(b"", &[]);
        check(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----", &[]);
        check(b"-----BEGIN CERTIFICATE-----\nAQI=", &[&[1, 2]]);
    }
}
