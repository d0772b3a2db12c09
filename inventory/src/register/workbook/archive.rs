//! What a zip archive is, and whether it may be unpacked.
//!
//! Its directory is believed where it says too much, and not where it says little: every part is
//! unpacked once into nothing, up to a limit, before anybody is let at it (the crate refuses parts
//! of another size than announced by itself, today). calamine unpacks with
//! the same crate, so what was counted here is what it will get.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::{Format, damaged, grid::too_much};
use crate::register::ReadError;

/// How far a workbook may unpack.
struct Limits {
    /// Bytes of a part. A sheet of a million rows that were once formatted has some 60 MB.
    part: u64,
    /// Bytes of all parts.
    all: u64,
    /// How many times its size a part may unpack to, once it is larger than `small`. Sheets pack
    /// to a tenth or a thirtieth; the most that the method can do is a thousandth.
    ratio: u64,
    small: u64,
}

const LIMITS: Limits = Limits { part: 128 << 20, all: 256 << 20, ratio: 200, small: 4 << 20 };

/// Parts of an archive.
const MAX_PARTS: usize = 4_096;

pub(super) type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

pub(super) fn open(bytes: &[u8]) -> Result<Archive<'_>, ReadError> {
    let not_zip = |error: zip::result::ZipError| ReadError::Archive { why: error.to_string() };
    ZipArchive::new(Cursor::new(bytes)).map_err(not_zip)
}

/// Which workbook it is; an error where it is none, or unpacks to too much.
pub(super) fn check(bytes: &[u8]) -> Result<Format, ReadError> {
    let mut archive = open(bytes)?;
    if archive.len() > MAX_PARTS {
        return Err(too_much(format!("more than {MAX_PARTS} parts")));
    }
    let format = recognise(&mut archive)?;
    unpack(&mut archive, &LIMITS)?;
    if format == Format::Ods && is_encrypted(&mut archive)? {
        return Err(ReadError::Encrypted);
    }
    Ok(format)
}

fn recognise(archive: &mut Archive<'_>) -> Result<Format, ReadError> {
    let names: Vec<String> = archive
        .file_names_raw()
        .map(|name| String::from_utf8_lossy(name).replace('\\', "/").to_lowercase())
        .collect();
    let has = |wanted: &dyn Fn(&str) -> bool| names.iter().any(|name| wanted(name));
    if has(&|name| name == "xl/workbook.bin") {
        return Ok(Format::Xlsb);
    }
    // Where it is, a relation says; almost everybody calls it so.
    if has(&|name| name.starts_with("xl/") || name.ends_with("workbook.xml")) {
        return Ok(Format::Xlsx);
    }
    let mut kind = String::new();
    if let Ok(part) = archive.by_name("mimetype") {
        // What is no text is no type that we know.
        let _ = part.take(100).read_to_string(&mut kind);
    }
    if kind.starts_with("application/vnd.oasis.opendocument.spreadsheet") {
        return Ok(Format::Ods);
    }
    let format = if has(&|name| name.starts_with("word/")) {
        "a Word document"
    } else if has(&|name| name.starts_with("ppt/")) {
        "a PowerPoint presentation"
    } else if kind.starts_with("application/vnd.oasis.opendocument") {
        "an OpenDocument that is no spreadsheet"
    } else {
        "a zip archive without a workbook"
    };
    Err(ReadError::NotCsv { format })
}

/// Unpacks everything into nothing.
fn unpack(archive: &mut Archive<'_>, limits: &Limits) -> Result<(), ReadError> {
    let bomb = || {
        let (part, all) = (limits.part >> 20, limits.all >> 20);
        too_much(format!("a part to more than {part} MiB, or all to more than {all}"))
    };
    let mut declared = 0_u64;
    for at in 0..archive.len() {
        // What cannot be unpacked here, calamine cannot either.
        let size = archive.by_index_raw(at).map_or(0, |part| part.size());
        declared = declared.saturating_add(size);
        if size > limits.part || declared > limits.all {
            return Err(bomb());
        }
    }
    let mut all = 0_u64;
    for at in 0..archive.len() {
        let Ok(part) = archive.by_index(at) else { continue };
        let packed = part.compressed_size().max(1);
        let name = part.name().map_or_else(|_| String::new(), std::borrow::Cow::into_owned);
        let most = limits.part.min(limits.all.saturating_sub(all));
        let size = size_of(part.take(most.saturating_add(1)));
        all = all.saturating_add(size);
        if size > most {
            return Err(bomb());
        }
        if size > limits.small && size.checked_div(packed).is_some_and(|is| is > limits.ratio) {
            let (shown, ratio) = (name.chars().take(60).collect::<String>(), limits.ratio);
            return Err(too_much(format!("{shown:?} to more than {ratio} times its size")));
        }
    }
    Ok(())
}

/// How many bytes there are. What breaks off counts up to there: calamine would read as far.
fn size_of(mut part: impl Read) -> u64 {
    let mut buffer = [0; 16_384];
    let mut size = 0_u64;
    while let Ok(more @ 1..) = part.read(&mut buffer) {
        size = size.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
    }
    size
}

/// OpenDocument keeps the directory in the clear, and says there what is not.
fn is_encrypted(archive: &mut Archive<'_>) -> Result<bool, ReadError> {
    let mut text = Vec::new();
    let wrong = |why: String| damaged(Format::Ods, why);
    let part =
        archive.by_name("META-INF/manifest.xml").map_err(|error| wrong(error.to_string()))?;
    part.take(LIMITS.small).read_to_end(&mut text).map_err(|error| wrong(error.to_string()))?;
    let word = b"encryption-data";
    Ok(text.windows(word.len()).any(|window| window == word))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    const SMALL: Limits = Limits { part: 1 << 20, all: 2 << 20, ratio: 200, small: 64 << 10 };

    /// Parts of so many blanks and so many letters that pack badly.
    fn archive(parts: &[(usize, usize)]) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (number, (blanks, letters)) in parts.iter().enumerate() {
            archive.start_file(format!("xl/{number}"), SimpleFileOptions::default()).unwrap();
            let mut seed = 1_u32;
            let mixed = std::iter::repeat_with(|| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                seed.to_be_bytes()[0]
            });
            let mixed = mixed.take(*letters);
            let bytes: Vec<u8> = vec![b' '; *blanks].into_iter().chain(mixed).collect();
            archive.write_all(&bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Option<&str>) {
        let told = unpack(&mut open(bytes).unwrap(), &SMALL).err().map(|error| error.to_string());
        match (&told, expected) {
            (None, None) => {}
            (Some(told), Some(part)) => assert!(told.contains(part), "{told}"),
            _ => panic!("{told:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_part_and_all_parts_and_the_ratio_have_limits() {
        check(&archive(&[(900 << 10, 40 << 10), (900 << 10, 40 << 10)]), None);
        check(&archive(&[(1 << 20, 40 << 10)]), Some("a part to more than 1 MiB"));
        check(&archive(&[(800 << 10, 40 << 10); 3]), Some("all to more than 2"));
        check(&archive(&[(900 << 10, 0)]), Some("\"xl/0\" to more than 200 times its size"));
        check(&archive(&[(60 << 10, 0)]), None);
    }

    #[test]
    fn a_directory_that_says_little_is_not_believed() {
        let mut bytes = archive(&[(1 << 20, 40 << 10)]);
        let size = u32::to_le_bytes((1 << 20) + (40 << 10));
        let mut changed = 0;
        for at in 0..bytes.len() - 4 {
            if bytes[at..at + 4] == size {
                bytes[at..at + 4].copy_from_slice(&100_u32.to_le_bytes());
                changed += 1;
            }
        }
        // In front of the part and in the directory.
        assert!((1..=2).contains(&changed), "{changed}");
        // Whatever the crate makes of it is what calamine will get, and it gives nothing.
        let mut archive = open(&bytes).unwrap();
        let part = archive.by_index(0).unwrap();
        assert_eq!((part.size(), size_of(part)), (100, 0));
    }
}
