//! Banners and replies that others collected, with what they mean, for tests that measure
//! the recognisers. They are read where `DAICHO_CORPUS` points and are no part of this
//! project; a test says plainly when it did not run.

use std::{collections::BTreeMap, env, fs, io::Write as _, path::Path};

use super::product::Product;

/// One banner or reply.
#[derive(serde::Deserialize)]
pub(crate) struct Example {
    source: String,
    input: Option<String>,
    encoding: Option<String>,
    expected: BTreeMap<String, Option<String>>,
}

impl Example {
    /// What it means under that key, if the collection says.
    pub(crate) fn wants(&self, key: &str) -> Option<&str> {
        self.expected.get(key)?.as_deref()
    }

    /// What was received, as text.
    pub(crate) fn text(&self) -> &str {
        self.input.as_deref().unwrap_or_default()
    }

    /// The bytes that were received.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self.encoding.as_deref() {
            Some("base64") => base64(self.text()),
            _ => self.text().as_bytes().to_vec(),
        }
    }
}

/// Prints in how many examples of `source` our reading agrees, and fails below `floor`, a
/// share from 0 to 1. `agrees` says `None` for an example that expects nothing of it.
pub(crate) fn measure(source: &str, floor: f64, agrees: impl Fn(&Example) -> Option<bool>) {
    let mut out = std::io::stdout();
    let Some(corpus) = env::var_os("DAICHO_CORPUS") else {
        let _ = writeln!(out, "{source}: not measured, DAICHO_CORPUS is not set");
        return;
    };
    let path = Path::new(&corpus).join("banners/examples.jsonl");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (mut right, mut all) = (0_u32, 0_u32);
    for line in text.lines() {
        let example: Example = serde_json::from_str(line).expect("an example");
        if example.source != source {
            continue;
        }
        if let Some(agreed) = agrees(&example) {
            all += 1;
            right += u32::from(agreed);
            if !agreed {
                let _ = writeln!(out, "  {:?} wants {:?}", example.text().trim(), example.expected);
            }
        }
    }
    let share = f64::from(right) / f64::from(all.max(1));
    let _ = writeln!(out, "{source}: {right} of {all} agree ({:.1} %)", share * 100.0);
    assert!(all > 0 && share >= floor, "{source}: {right} of {all} agree, floor {floor}");
}

/// [`measure`] for banners that tell a product: the version must be the one expected.
pub(crate) fn measure_versions(source: &str, floor: f64, read: impl Fn(&str) -> Option<Product>) {
    measure(source, floor, |example| {
        let wanted = example.wants("service.version")?;
        let text = String::from_utf8_lossy(&example.bytes()).into_owned();
        let version = read(text.trim()).and_then(|product| product.version);
        Some(version.as_deref() == Some(wanted))
    });
}

/// What stands behind each occurrence of `mark` in the captures, up to `len` bytes: raw
/// packets, so a message may be cut short by the packet's end. `None` where the corpus is
/// absent, which is said.
pub(crate) fn in_captures(mark: &[u8], len: usize) -> Option<Vec<Vec<u8>>> {
    let Some(corpus) = env::var_os("DAICHO_CORPUS") else {
        let _ = writeln!(std::io::stdout(), "not measured, DAICHO_CORPUS is not set");
        return None;
    };
    let mut found = Vec::new();
    let mut folders = vec![Path::new(&corpus).join("captures")];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
            let starts = bytes.windows(mark.len()).enumerate();
            for (at, _) in starts.filter(|(_, window)| *window == mark) {
                found.push(bytes[at..(at + len).min(bytes.len())].to_vec());
            }
        }
    }
    Some(found)
}

/// RFC 4648, section 4; whatever is not of its alphabet is passed over.
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes() {
        let Some(value) = ALPHABET.iter().position(|&letter| letter == byte) else {
            continue;
        };
        bits = (bits << 6) | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

#[test]
fn base64_is_decoded() {
    assert_eq!(base64("aGVs\n  bG8="), b"hello");
}
