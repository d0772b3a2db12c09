//! Certificates in files: PEM bundles (RFC 7468) and plain DER.

/// The DER of every certificate in a file's bytes, in order: of each PEM block that is
/// labelled as one, or, where there is no PEM block at all, the bytes themselves if they start
/// as DER does. Blocks of other labels (keys, requests, lists) are passed over, and so is what
/// stands between blocks.
#[must_use]
pub fn certificates_in(file: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut block: Option<(Vec<u8>, bool)> = None;
    let mut is_pem = false;
    for line in file.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let line = line.trim_ascii();
        if let Some(label) = label(line, b"-----BEGIN ") {
            is_pem = true;
            block = Some((Vec::new(), LABELS.contains(&label)));
        } else if label(line, b"-----END ").is_some() {
            if let Some((text, true)) = block.take() {
                out.extend(decode(&text));
            }
        } else if let Some((text, true)) = &mut block
            // Headers of old PEM (RFC 1421), such as `Proc-Type: 4,ENCRYPTED`.
            && !line.contains(&b':')
        {
            text.extend_from_slice(line);
        }
    }
    // A file that was cut, or written without its last line: DER knows its own end.
    if let Some((text, true)) = block {
        out.extend(decode(&text));
    }
    if !is_pem && file.first() == Some(&crate::der::SEQUENCE) {
        out.push(file.to_vec());
    }
    out
}

/// The label of today, that of OpenSSL's trust settings (which follow the certificate as
/// a second element) and those of the last century.
const LABELS: [&[u8]; 3] = [b"CERTIFICATE", b"TRUSTED CERTIFICATE", b"X509 CERTIFICATE"];

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
            -----BEGIN TRUSTED CERTIFICATE-----\nAw==\n-----END TRUSTED CERTIFICATE-----";
        check(file, &[&[1, 2], &[3]]);
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
