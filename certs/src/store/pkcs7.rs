//! PKCS#7 and CMS signed data (RFC 2315, RFC 5652): the certificates that are sent along.
//!
//! Bundles of certificates are signed data that nobody signed. Where somebody did, the
//! signature is not looked at: the certificates are what this is about.

use super::{Format, Holdings, ReadError};
use crate::der::{self, Element, Quirks};

/// `id-signedData`.
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";

/// Reads the two parts of a ContentInfo: what it is, and `[0]` with it.
pub(super) fn read(parts: &[Element<'_>]) -> Result<Holdings, ReadError> {
    let mut quirks = Quirks::default();
    let mut holdings = Holdings::new(Format::Pkcs7);
    let kind = parts.first().and_then(|kind| der::dotted(kind.body));
    if kind.as_deref() != Some(SIGNED_DATA) {
        // Enveloped data and others hold no certificates that one can read.
        return Ok(holdings);
    }
    let content = parts.get(1).map_or(&[][..], |content| content.body);
    let signed = der::children(content, &mut quirks);
    let fields = signed.first().map(|signed| der::children(signed.body, &mut quirks));
    let fields = fields.ok_or(ReadError::Damaged("its signed data is missing"))?;
    for certificates in fields.iter().filter(|field| field.tag == 0xa0) {
        // Besides certificates the set may hold attribute certificates, which are tagged.
        for one in der::children(certificates.body, &mut quirks) {
            if one.tag == der::SEQUENCE && !holdings.take(one.whole, None) {
                holdings.note("an entry among its certificates is none");
            }
        }
    }
    if quirks.cut {
        holdings.note("it ends too soon");
    }
    Ok(holdings)
}
