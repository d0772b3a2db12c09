//! DICOM's upper layer (PS3.8, section 9.3): which program asks for an association, or accepts
//! it. AE titles may be people's names and are passed over, as is everything that comes after.

use crate::{Malformed, Reader, lines};

/// Who sent it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A-ASSOCIATE-RQ, of whoever wants something.
    Request,
    /// A-ASSOCIATE-AC, of the server.
    Accept,
}

/// What a program says of itself (PS3.7, annex D.3.3.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Associate {
    /// Of which message.
    pub kind: Kind,
    /// Implementation class UID: who wrote the program.
    pub class_uid: Option<String>,
    /// Implementation version name: `OFFIS_DCMTK_366`.
    pub version_name: Option<String>,
}

impl Associate {
    /// Reads the first message of a direction.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        const USER_INFORMATION: u8 = 0x50;
        let mut r = Reader::new(bytes);
        let kind = match r.u8("PDU-type")? {
            1 => Kind::Request,
            2 => Kind::Accept,
            other => return Err(r.invalid("PDU-type", other)),
        };
        r.u8("reserved")?;
        let len = r.u32("PDU-length")?;
        let mut r = r.nested("PDU", usize::try_from(len).unwrap_or(usize::MAX))?;
        let version = r.u16("Protocol-version")?;
        if version & 1 == 0 {
            return Err(r.invalid("Protocol-version", version));
        }
        // Both titles among them.
        r.take("reserved, called, calling, reserved", 66)?;
        let mut found = Self { kind, class_uid: None, version_name: None };
        while !r.is_at_end() {
            let (item, inside) = item(&mut r)?;
            if item != USER_INFORMATION {
                continue;
            }
            let mut inside = Reader::new(inside);
            while !inside.is_at_end() {
                let (item, value) = self::item(&mut inside)?;
                let text = || lines::text(value).trim_matches(['\0', ' ']).to_owned();
                let text = || Some(text()).filter(|text| !text.is_empty() && value.len() <= 64);
                match item {
                    0x52 => found.class_uid = text(),
                    0x55 => found.version_name = text(),
                    _ => {}
                }
            }
        }
        Ok(found)
    }
}

fn item<'a>(r: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Malformed> {
    let kind = r.u8("Item-type")?;
    r.u8("reserved")?;
    let len = r.u16("Item-length")?;
    Ok((kind, r.take("item", len.into())?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u8, items: &[u8]) -> Vec<u8> {
        let mut body = vec![0, 1, 0, 0];
        body.extend(b"ALICE           BOB             ");
        body.extend([0; 32]);
        body.extend(b"\x10\0\0\x151.2.840.10008.3.1.1.1");
        body.extend([0x50, 0, 0, items.len() as u8]);
        body.extend(items);
        let mut out = vec![kind, 0, 0, 0, 0, body.len() as u8];
        out.extend(body);
        out
    }

    const ITEMS: &[u8] = b"\x51\0\0\x04\0\0\x40\0\x52\0\0\x091.2.276.0\x55\0\0\x0fOFFIS_DCMTK_366";

    #[test]
    fn a_program_says_what_it_is() {
        for (number, kind) in [(1, Kind::Request), (2, Kind::Accept)] {
            let bytes = message(number, ITEMS);
            let expected = Associate {
                kind,
                class_uid: Some("1.2.276.0".into()),
                version_name: Some("OFFIS_DCMTK_366".into()),
            };
            assert_eq!(Associate::parse(&bytes), Ok(expected));
            for len in 0..bytes.len() {
                assert!(Associate::parse(&bytes[..len]).is_err(), "cut at {len}");
            }
        }
        assert_eq!(Associate::parse(&message(3, ITEMS)).unwrap_err().field, "PDU-type");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            let _ = Associate::parse(&bytes);
            let _ = Associate::parse(&message(2, &bytes));
        }
    }
}
