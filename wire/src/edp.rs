//! Extreme's discovery protocol: which switch and port is at the other end of the cable. The
//! maker publishes no description; the layout is as public tools show it: a head with the
//! machine's address, then fields that begin with 0x99, type and length.

use model::MacAddr;

use crate::{Malformed, Reader, lines};

/// Whose protocol it is (IEEE registry), and its number there.
pub const EXTREME: ([u8; 3], u16) = ([0x00, 0xe0, 0x2b], 0x00bb);

/// An announcement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Announcement {
    /// The machine's address.
    pub machine: MacAddr,
    /// Its name.
    pub name: Option<String>,
    /// Slot and port from which it speaks, counted from 1.
    pub port: Option<(u16, u16)>,
    /// The version of its software.
    pub version: Option<[u8; 4]>,
    /// What is wrong with the rest, where it could not be read.
    pub broken: Option<Malformed>,
}

impl Announcement {
    /// Reads a message, beginning at its version.
    ///
    /// # Errors
    ///
    /// The head is not there, or is of another version or kind of address. What is wrong
    /// behind it is in `broken`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let version = r.u8("version")?;
        if version != 1 {
            return Err(r.invalid("version", version));
        }
        r.take("reserved, length, checksum, sequence", 7)?;
        let kind = r.u16("machine id type")?;
        if kind != 0 {
            return Err(r.invalid("machine id type", kind));
        }
        let machine = MacAddr(r.array("machine id")?);
        let mut found = Self { machine, name: None, port: None, version: None, broken: None };
        found.broken = found.read_fields(&mut r).err();
        Ok(found)
    }

    fn read_fields(&mut self, r: &mut Reader<'_>) -> Result<(), Malformed> {
        while !r.is_at_end() {
            let marker = r.u8("marker")?;
            if marker != 0x99 {
                return Err(r.invalid("marker", marker));
            }
            let kind = r.u8("type")?;
            let len = r.u16("length")?;
            let Some(inside) = len.checked_sub(4) else {
                return Err(r.invalid("length", len));
            };
            let mut value = r.nested("value", inside.into())?;
            match kind {
                0 => break,
                1 => {
                    let text = value.rest().split(|byte| *byte == 0).next().unwrap_or_default();
                    self.name = Some(lines::text(text)).filter(|text| !text.is_empty());
                }
                2 => {
                    let slot = value.u16("slot")?.saturating_add(1);
                    let port = value.u16("port")?.saturating_add(1);
                    self.port = Some((slot, port));
                    value.take("virtual chassis, reserved", 8)?;
                    self.version = Some(value.array("software version")?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn announcement() -> Vec<u8> {
        let mut bytes = vec![1, 0, 0, 60, 0, 0, 0, 7, 0, 0, 0, 0, 0x5e, 0, 0x53, 1];
        bytes.extend([0x99, 2, 0, 36, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 7, 6, 2, 1]);
        bytes.extend([0; 16]);
        bytes.extend(b"\x99\x01\0\x08sw7\0\x99\0\0\x04");
        bytes
    }

    #[test]
    fn a_switch_says_who_it_is() {
        let expected = Announcement {
            machine: MacAddr([0, 0, 0x5e, 0, 0x53, 1]),
            name: Some("sw7".to_owned()),
            port: Some((1, 7)),
            version: Some([7, 6, 2, 1]),
            broken: None,
        };
        let bytes = announcement();
        assert_eq!(Announcement::parse(&bytes), Ok(expected.clone()));
        for len in 0..bytes.len() {
            match Announcement::parse(&bytes[..len]) {
                Err(error) => assert!(len < 16 && error.problem == Problem::Truncated),
                Ok(read) => assert_eq!((len >= 16, read.machine), (true, expected.machine)),
            }
        }
        for (place, field) in [(0, "version"), (9, "machine id type")] {
            let mut wrong = announcement();
            wrong[place] = 9;
            assert_eq!(Announcement::parse(&wrong).unwrap_err().field, field);
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Announcement::parse(&bytes);
            let _ = Announcement::parse(&[&announcement()[..16], &bytes[..]].concat());
        }
    }
}
