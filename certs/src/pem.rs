//! Certificates in files: PEM bundles (RFC 7468) and plain DER.

use wire::Reader;

use crate::der;

/// The DER of every certificate in a file's bytes, in order: of each PEM block that is
/// labelled as one, or, where there is no PEM block at all, the bytes themselves if they start
/// as DER does. Blocks of other labels (keys, requests, lists) are passed over, and so is what
/// stands between blocks.
#[must_use]
pub fn certificates_in(file: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    // The text of the block under way, and how much of what it holds is the certificate.
    let mut block: Option<(Vec<u8>, Label)> = None;
    let mut is_pem = false;
    for line in file.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let line = line.trim_ascii();
        if let Some(label) = label(line, b"-----BEGIN ") {
            is_pem = true;
            block = Some((Vec::new(), Label::of(label)));
        } else if label(line, b"-----END ").is_some() {
            out.extend(block.take().and_then(certificate));
        } else if let Some((text, _)) = &mut block
            // Headers of old PEM (RFC 1421), such as `Proc-Type: 4,ENCRYPTED`.
            && !line.contains(&b':')
        {
            text.extend_from_slice(line);
        }
    }
    // A file that was cut, or written without its last line: DER knows its own end.
    out.extend(block.and_then(certificate));
    if !is_pem && file.first() == Some(&der::SEQUENCE) {
        out.push(file.to_vec());
    }
    out
}

/// What a block's label says of its contents.
enum Label {
    /// The label of today, and that of the last century.
    Certificate,
    /// A certificate, then OpenSSL's settings of what it is trusted for.
    Trusted,
    Other,
}

impl Label {
    fn of(label: &[u8]) -> Self {
        match label {
            b"CERTIFICATE" | b"X509 CERTIFICATE" => Self::Certificate,
            b"TRUSTED CERTIFICATE" => Self::Trusted,
            _ => Self::Other,
        }
    }
}

fn certificate((text, label): (Vec<u8>, Label)) -> Option<Vec<u8>> {
    match label {
        Label::Certificate => decode(&text),
        Label::Trusted => {
            let bytes = decode(&text)?;
            let first = der::element(&mut Reader::new(&bytes), &mut der::Quirks::default())?;
            Some(first.whole.to_vec())
        }
        Label::Other => None,
    }
}

fn label<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(start)?.strip_suffix(b"-----")
}

/// Base64 (RFC 4648, section 4), whitespace passed over. `None` if there is anything else in it.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte.wrapping_sub(b'A'),
            b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            b' ' | b'\t' => continue,
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
