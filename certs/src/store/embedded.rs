//! Certificates inside other text: values in base64, as Kubernetes keeps them.
//!
//! Secrets (`tls.crt`), kubeconfig files (`client-certificate-data`) and webhooks (`caBundle`)
//! are YAML or JSON whose values are base64 of PEM. All of them begin with the same letters,
//! whatever the file's structure, so no structure is read: the values are found by these
//! letters and named by the key before them. Stores in secrets are found by their own beginning,
//! PKCS#12, which begins like any DER, where the key says so.

use zeroize::Zeroizing;

use super::{Format, Holdings, Password, from_der, from_text, jks};
use crate::pem;

/// Base64 of `-----BEGIN `, as far as it is the same whatever follows.
const PEM: &[u8] = b"LS0tLS1CRUdJTi";
/// Of the magic numbers of JKS and JCEKS.
const JKS: &[u8] = b"/u3+7Q";
const JCEKS: &[u8] = b"zs7Ozg";
/// Of a SEQUENCE of 256 bytes or more.
const DER: &[u8] = b"MII";

/// Values beyond this many are not read.
const MAX_VALUES: usize = 10_000;
/// How far before its value a key is looked for.
const MAX_KEY: usize = 256;

/// Adds what stands in such values.
pub(super) fn add(text: &[u8], passwords: &[Password], rounds: u64, holdings: &mut Holdings) {
    let mut rest = text;
    let mut offset = 0usize;
    let mut is_manifest = false;
    for _ in 0..MAX_VALUES {
        let Some(at) = next(rest) else { break };
        let start = offset.saturating_add(at);
        let value = text.get(start..).unwrap_or_default();
        let (value, length) = base64(value);
        offset = start.saturating_add(length.max(1));
        rest = text.get(offset..).unwrap_or_default();
        let before = text.get(start.saturating_sub(MAX_KEY)..start).unwrap_or_default();
        let Some(key) = key(before) else { continue };
        let is_store = [".p12", ".pfx"].iter().any(|end| key.to_lowercase().ends_with(end));
        if value.starts_with(DER) && !is_store {
            continue;
        }
        let Some(bytes) = pem::decode(value).map(Zeroizing::new) else { continue };
        let inside = if value.starts_with(PEM) {
            Ok(from_text(&bytes, passwords, rounds))
        } else if value.starts_with(JKS) {
            jks::read(&bytes, Format::Jks, passwords)
        } else if value.starts_with(JCEKS) {
            jks::read(&bytes, Format::Jceks, passwords)
        } else {
            from_der(&bytes, passwords, rounds)
        };
        is_manifest = true;
        holdings.take_in(inside, &key);
    }
    if is_manifest {
        holdings.format = Format::Manifest;
    }
}

/// Where the next value begins.
fn next(text: &[u8]) -> Option<usize> {
    let mut from = 0usize;
    loop {
        let rest = text.get(from..)?;
        let at = rest.iter().position(|byte| matches!(byte, b'L' | b'/' | b'z' | b'M'))?;
        from = from.saturating_add(at);
        let here = text.get(from..)?;
        let before = from.checked_sub(1).and_then(|before| text.get(before));
        let begins =
            !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
        if begins && [PEM, JKS, JCEKS, DER].iter().any(|start| here.starts_with(start)) {
            return Some(from);
        }
        from = from.saturating_add(1);
    }
}

/// The base64 at the beginning, and how far it goes: over the ends of lines where a YAML
/// block goes on.
fn base64(text: &[u8]) -> (&[u8], usize) {
    let is_in = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut end = 0usize;
    loop {
        let rest = text.get(end..).unwrap_or_default();
        let run = rest.iter().position(|byte| !is_in(byte)).unwrap_or(rest.len());
        let after = end.saturating_add(run);
        let gap = text.get(after..).unwrap_or_default();
        let space = gap.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(gap.len());
        let gap = gap.get(..space).unwrap_or_default();
        let line = text.get(after.saturating_add(space)..).unwrap_or_default();
        let length = line.iter().position(|byte| !is_in(byte)).unwrap_or(line.len());
        // The next line is part of the value if it is base64 to its end.
        let ends = line.get(length).is_none_or(|byte| matches!(byte, b'\n' | b'\r'));
        let is_whole = text.get(..after).unwrap_or_default().ends_with(b"=");
        if run == 0 || length == 0 || !ends || is_whole || !gap.contains(&b'\n') {
            return (text.get(..after).unwrap_or_default(), after);
        }
        end = after.saturating_add(space);
    }
}

/// The key of a value, out of what stands before the value.
fn key(before: &[u8]) -> Option<String> {
    let is_between = |byte: &u8| {
        byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'|' | b'>' | b'-' | b'+')
    };
    let end = before.iter().rposition(|byte| !is_between(byte))?;
    let before = before.get(..=end)?.strip_suffix(b":")?;
    let before = before.trim_ascii_end();
    let before = before.strip_suffix(b"\"").or(before.strip_suffix(b"'")).unwrap_or(before);
    let is_in = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let start = before.iter().rposition(|byte| !is_in(byte)).map_or(0, |at| at.saturating_add(1));
    let key = before.get(start..).filter(|key| !key.is_empty())?;
    Some(String::from_utf8_lossy(key).into_owned())
}
