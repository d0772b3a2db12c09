//! Java's own stores, JKS and JCEKS: certificates in the open, keys under their passwords.
//!
//! The format is not standardised; this is what the JDK writes. A digest over everything and
//! the store's password shows changes: nothing needs it for reading, so where no password is
//! given it is not checked. A JCEKS may hold secret keys as serialised Java objects, whose
//! length is written nowhere: the certificates behind one are found by how they begin.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use wire::Reader;

use super::{Format, Holdings, Password, PrivateKey, ReadError};
use crate::der;

/// What the digest is salted with.
const WHITENER: &[u8] = b"Mighty Aphrodite";
/// Bytes of the digest at the end.
const DIGEST: usize = 20;
/// The type before each certificate, with its length.
const X509: &[u8] = b"\0\x05X.509";
/// Entries beyond this many are not read.
const MAX_ENTRIES: u32 = 10_000;

const CUT: ReadError = ReadError::Damaged("it ends too soon");

pub(super) fn read(
    file: &[u8],
    format: Format,
    passwords: &[Password],
) -> Result<Holdings, ReadError> {
    let mut holdings = Holdings::new(format);
    let (body, digest) =
        file.len().checked_sub(DIGEST).and_then(|at| file.split_at_checked(at)).ok_or(CUT)?;
    let mut r = Reader::new(body);
    r.take_up_to(4);
    let (Ok(version), Ok(entries)) = (r.u32("version"), r.u32("entries")) else {
        return Err(CUT);
    };
    if !matches!(version, 1 | 2) {
        return Err(ReadError::Damaged("its version is neither 1 nor 2"));
    }
    for _ in 0..entries.min(MAX_ENTRIES) {
        match entry(&mut r, version, &mut holdings) {
            Ok(Next::Entry) => {}
            Ok(Next::Object) => {
                holdings.note(
                    "it holds a secret key; what stands behind it was searched for certificates",
                );
                search(&mut r, &mut holdings);
                break;
            }
            // What was read before is good.
            Err(_) if !holdings.is_empty() => {
                holdings.note("it ends too soon, or is damaged");
                break;
            }
            Err(why) => return Err(why),
        }
    }
    if entries > MAX_ENTRIES {
        holdings.note(format!("only the first {MAX_ENTRIES} of its entries were read"));
    }
    let fits = |password: &Password| {
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        context.update(&password.utf16());
        context.update(WHITENER);
        context.update(body);
        context.finish().as_ref() == digest
    };
    if !passwords.is_empty() && !passwords.iter().any(fits) {
        holdings.note("no password fits its digest: what was read of it may have been changed");
    }
    Ok(holdings)
}

/// What follows an entry.
enum Next {
    Entry,
    /// Something of unknown length.
    Object,
}

fn entry(r: &mut Reader<'_>, version: u32, holdings: &mut Holdings) -> Result<Next, ReadError> {
    let tag = r.u32("tag").map_err(|_| CUT)?;
    let alias = text(r)?;
    r.u64("date").map_err(|_| CUT)?;
    match tag {
        1 => {
            // Every key of these stores is encrypted. Its bytes are passed over.
            let key = r.u32("key").map_err(|_| CUT)?;
            take(r, key)?;
            holdings.saw_key(PrivateKey::Encrypted);
            let chain = r.u32("chain").map_err(|_| CUT)?;
            for _ in 0..chain {
                certificate(r, version, &alias, holdings)?;
            }
            Ok(Next::Entry)
        }
        2 => certificate(r, version, &alias, holdings).map(|()| Next::Entry),
        3 if holdings.format == Format::Jceks => Ok(Next::Object),
        _ => Err(ReadError::Damaged("an entry is of no known kind")),
    }
}

fn certificate(
    r: &mut Reader<'_>,
    version: u32,
    alias: &str,
    holdings: &mut Holdings,
) -> Result<(), ReadError> {
    // Version 1 has nothing but X.509.
    let kind = if version == 1 { "X.509".to_owned() } else { text(r)? };
    let length = r.u32("certificate").map_err(|_| CUT)?;
    let der = take(r, length)?;
    if kind != "X.509" || !holdings.take(der, Some(alias)) {
        holdings.note(format!("the certificate of {alias:?} is none of X.509"));
    }
    Ok(())
}

/// Text in Java's modified UTF-8, which differs in nothing that a person would call a key.
fn text(r: &mut Reader<'_>) -> Result<String, ReadError> {
    let length = r.u16("text").map_err(|_| CUT)?;
    Ok(String::from_utf8_lossy(take(r, length.into())?).into_owned())
}

fn take<'a>(r: &mut Reader<'a>, length: u32) -> Result<&'a [u8], ReadError> {
    let length = usize::try_from(length).map_err(|_| CUT)?;
    r.take("bytes", length).map_err(|_| CUT)
}

/// Finds certificates by the type that is written before each.
fn search(r: &mut Reader<'_>, holdings: &mut Holdings) {
    while r.until("certificate", X509).is_ok() {
        let rest = r.rest();
        let mut here = Reader::new(rest);
        let Ok(length) = here.u32("certificate") else { return };
        if let Ok(bytes) = take(&mut here, length)
            && bytes.first() == Some(&der::SEQUENCE)
            && holdings.take(bytes, None)
        {
            r.take_up_to(here.offset());
        }
    }
}
