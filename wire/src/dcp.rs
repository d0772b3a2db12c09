//! PROFINET's discovery and basic configuration (IEC 61158-6-10, clause 4.3): what a device in
//! a factory says of itself at the link layer, when it is asked and when it starts.

use std::net::Ipv4Addr;

use crate::{Malformed, Reader, lines};

/// The EtherType of PROFINET.
pub const ETHER_TYPE: u16 = 0x8892;

/// What a device says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Device {
    /// Its name in the plant.
    pub station: Option<String>,
    /// Its type, in its maker's words.
    pub kind: Option<String>,
    /// The number of its maker (PROFIBUS & PROFINET International) and the maker's of the device.
    pub number: Option<(u16, u16)>,
    /// Whether it controls others.
    pub controller: bool,
    /// Its address; `None` while it has none.
    pub address: Option<Ipv4Addr>,
    /// What is wrong with the rest, where it could not be read.
    pub broken: Option<Malformed>,
}

/// Frame identifiers: a hello, and the answer to a question.
const HELLO: u16 = 0xfefc;
const GET_OR_SET: u16 = 0xfefd;
const ANSWER: u16 = 0xfeff;

impl Device {
    /// Reads a frame behind its EtherType. `None` where it is no device's word about itself:
    /// questions and process data.
    ///
    /// # Errors
    ///
    /// The head is not there. What is wrong behind it is in `broken`.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        /// Service types: answered well.
        const SUCCESS: u8 = 1;
        let mut r = Reader::new(bytes);
        let frame = r.u16("FrameID")?;
        if !matches!(frame, HELLO | GET_OR_SET | ANSWER) {
            return Ok(None);
        }
        let service = r.u8("ServiceID")?;
        let kind = r.u8("ServiceType")?;
        r.take("Xid, ResponseDelay", 6)?;
        let len = r.u16("DCPDataLength")?;
        // Identify and hello; Get (3) tells the same, Set (4) only repeats what it was told.
        let told = match (frame, service) {
            (HELLO, 6) => true,
            (ANSWER, 5) | (GET_OR_SET, 3) => kind == SUCCESS,
            _ => false,
        };
        if !told {
            return Ok(None);
        }
        let mut found = Self::default();
        let cut = usize::from(len) > r.rest().len();
        let mut blocks = Reader::new(r.take_up_to(len.into()));
        found.broken = found.read_blocks(&mut blocks).err();
        if cut && found.broken.is_none() {
            found.broken = r.take("DCPData", 1).err();
        }
        Ok(Some(found))
    }

    fn read_blocks(&mut self, r: &mut Reader<'_>) -> Result<(), Malformed> {
        while !r.is_at_end() {
            let option = r.u8("Option")?;
            let suboption = r.u8("Suboption")?;
            let len = r.u16("DCPBlockLength")?;
            let mut value = r.nested("DCPBlock", len.into())?;
            if len % 2 != 0 {
                // Blocks begin at even places; the last one may lack its padding.
                r.take_up_to(1);
            }
            if len < 2 {
                continue;
            }
            value.u16("BlockInfo")?;
            let text = || Some(lines::text(value.rest())).filter(|text| !text.is_empty());
            match (option, suboption) {
                (1, 2) => {
                    let address = Ipv4Addr::from(value.array::<4>("IPAddress")?);
                    self.address = Some(address).filter(|address| !address.is_unspecified());
                }
                (2, 1) => self.kind = text(),
                (2, 2) => self.station = text(),
                (2, 3) => self.number = Some((value.u16("VendorID")?, value.u16("DeviceID")?)),
                (2, 4) => self.controller = value.u8("DeviceRole")? & 2 != 0,
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

    fn answer() -> Vec<u8> {
        let blocks =
            b"\x02\x02\0\x07\0\0plc-7\0\x02\x01\0\x06\0\0S7-X\x02\x03\0\x06\0\0\0\x2a\x01\x0d\
            \x02\x04\0\x04\0\0\x02\0\x01\x02\0\x0e\0\x01\xc0\0\x02\x07\xff\xff\xff\0\xc0\0\x02\x01";
        let mut bytes = vec![0xfe, 0xff, 5, 1, 1, 2, 3, 4, 0, 0, 0, blocks.len() as u8];
        bytes.extend(blocks);
        bytes
    }

    #[test]
    fn a_device_says_what_it_is() {
        let expected = Device {
            station: Some("plc-7".to_owned()),
            kind: Some("S7-X".to_owned()),
            number: Some((0x2a, 0x10d)),
            controller: true,
            address: Some(Ipv4Addr::new(192, 0, 2, 7)),
            broken: None,
        };
        let bytes = answer();
        assert_eq!(Device::parse(&bytes), Ok(Some(expected)));
        for len in 0..bytes.len() {
            match Device::parse(&bytes[..len]) {
                Err(error) => assert!(len < 12 && error.problem == Problem::Truncated),
                Ok(read) => assert!(len >= 12 && read.unwrap().broken.is_some(), "cut at {len}"),
            }
        }
        for (place, value) in [(1, 0xfe), (1, 0xfd), (2, 4), (3, 0)] {
            let mut other = answer();
            other[place] = value;
            assert_eq!(Device::parse(&other), Ok(None), "{place}");
        }
        assert_eq!(Device::parse(&[0x80, 0]), Ok(None));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Device::parse(&bytes);
            let _ = Device::parse(&[&answer()[..12], &bytes[..]].concat());
        }
    }
}
