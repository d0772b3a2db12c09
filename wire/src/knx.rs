//! KNXnet/IP (ISO 22510; KNX standard 3.8.2, section 7.7): the description that a gateway to
//! lamps, blinds and heating gives of itself, without a connection.

use crate::{Malformed, Reader, lines};

const DESCRIPTION_REQUEST: u16 = 0x0203;
const DESCRIPTION_RESPONSE: u16 = 0x0204;
/// The description block of the device.
const DEVICE: u8 = 1;

/// What a gateway says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    /// Its serial number.
    pub serial: [u8; 6],
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Its name.
    pub name: String,
}

/// The question. Its return address of zeros means: where it came from.
#[must_use]
pub fn describe() -> Vec<u8> {
    let mut out = vec![6, 0x10];
    out.extend(DESCRIPTION_REQUEST.to_be_bytes());
    out.extend([0, 14, 8, 1, 0, 0, 0, 0, 0, 0]);
    out
}

impl Device {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let head = r.u16("header length, version")?;
        if head != 0x0610 {
            return Err(r.invalid("header length, version", head));
        }
        let service = r.u16("service type")?;
        if service != DESCRIPTION_RESPONSE {
            return Err(r.invalid("service type", service));
        }
        let len = r.u16("total length")?;
        let Some(inside) = len.checked_sub(6) else {
            return Err(r.invalid("total length", len));
        };
        let mut blocks = r.nested("body", inside.into())?;
        loop {
            let len = blocks.u8("structure length")?;
            let Some(inside) = len.checked_sub(2) else {
                return Err(blocks.invalid("structure length", len));
            };
            let kind = blocks.u8("description type")?;
            let mut block = blocks.nested("description", inside.into())?;
            if kind != DEVICE {
                continue;
            }
            block.take("medium, status, addresses, project", 6)?;
            let serial = block.array("serial number")?;
            block.u32("multicast address")?;
            let mac = block.array("MAC address")?;
            let name = block.take("friendly name", 30)?;
            let name = lines::text(name.split(|&byte| byte == 0).next().unwrap_or_default());
            return Ok(Self { serial, mac, name });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer() -> Vec<u8> {
        let mut bytes = vec![6, 0x10, 2, 4, 0, 64, 4, 2, 2, 1, 54, 1, 2, 0, 0x11, 0, 0, 0];
        bytes.extend([0, 0xc5, 1, 2, 3, 4, 224, 0, 23, 12, 0, 0, 0x5e, 0, 0x53, 1]);
        bytes.extend(b"KNX gateway 7");
        bytes.resize(64, 0);
        bytes
    }

    #[test]
    fn a_gateway_describes_itself() {
        let bytes = answer();
        let expected = Device {
            serial: [0, 0xc5, 1, 2, 3, 4],
            mac: [0, 0, 0x5e, 0, 0x53, 1],
            name: "KNX gateway 7".into(),
        };
        assert_eq!(Device::parse(&bytes), Ok(expected));
        for len in 0..bytes.len() {
            assert_eq!(Device::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
        assert!(Device::parse(&describe()).is_err());
        assert_eq!(describe().len(), 14);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Device::parse(&bytes);
            let _ = Device::parse(&[&[6, 0x10, 2, 4, 0, 40], &bytes[..]].concat());
        }
    }
}
