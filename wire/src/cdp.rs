//! Cisco's discovery protocol and Foundry's, which has its form: what a device tells its
//! neighbour. Cisco documents what is told ("Cisco Discovery Protocol", network management
//! configuration guide); the numbers of the fields are as public tools show them. Versions 1
//! and 2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Malformed, Reader, lines};

/// Whose protocol Cisco's is (IEEE registry), and its number there.
pub const CISCO: ([u8; 3], u16) = ([0x00, 0x00, 0x0c], 0x2000);
/// The same of Foundry's.
pub const FOUNDRY: ([u8; 3], u16) = ([0x00, 0xe0, 0x52], 0x2000);

/// Addresses that are read at most.
const MOST_ADDRESSES: usize = 16;

/// An announcement.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Announcement {
    /// For how many seconds it holds; 0 is a farewell.
    pub lifetime: u8,
    /// What the device calls itself.
    pub device: Option<String>,
    /// The port from which it speaks.
    pub port: Option<String>,
    /// What it does, a bit each: [`ROUTER`] and its like. Foundry writes words there, which
    /// are not read.
    pub capabilities: u32,
    /// What it runs, in many words.
    pub version: Option<String>,
    /// The model.
    pub platform: Option<String>,
    /// Its name, where it differs from what it calls itself.
    pub system_name: Option<String>,
    /// Its addresses, and those where it is managed.
    pub addresses: Vec<IpAddr>,
    /// The VLAN of frames without a tag.
    pub vlan: Option<u16>,
    /// What is wrong with the rest, where it could not be read.
    pub broken: Option<Malformed>,
}

/// Capability: routes.
pub const ROUTER: u32 = 0x01;
/// Capability: bridges, transparently or by source route.
pub const BRIDGE: u32 = 0x02 | 0x04;
/// Capability: switches.
pub const SWITCH: u32 = 0x08;
/// Capability: is a host.
pub const HOST: u32 = 0x10;
/// Capability: repeats.
pub const REPEATER: u32 = 0x40;
/// Capability: is a telephone.
pub const PHONE: u32 = 0x80;

impl Announcement {
    /// Reads a message, beginning at its version.
    ///
    /// # Errors
    ///
    /// The four bytes of the header are not there, or the version is another. What is wrong
    /// behind them is in `broken`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let version = r.u8("version")?;
        if !matches!(version, 1 | 2) {
            return Err(r.invalid("version", version));
        }
        let mut found = Self { lifetime: r.u8("time to live")?, ..Self::default() };
        r.u16("checksum")?;
        found.broken = found.read_fields(&mut r).err();
        found.addresses.sort_unstable();
        found.addresses.dedup();
        Ok(found)
    }

    fn read_fields(&mut self, r: &mut Reader<'_>) -> Result<(), Malformed> {
        while !r.is_at_end() {
            let kind = r.u16("type")?;
            let len = r.u16("length")?;
            // The two numbers themselves are counted.
            let Some(inside) = len.checked_sub(4) else {
                return Err(r.invalid("length", len));
            };
            let mut value = r.nested("value", inside.into())?;
            let text = || Some(lines::text(value.rest())).filter(|text| !text.is_empty());
            match kind {
                0x01 => self.device = text(),
                0x03 => self.port = text(),
                0x04 if inside == 4 => self.capabilities = value.u32("capabilities")?,
                0x05 => self.version = text(),
                0x06 => self.platform = text(),
                0x0a => {
                    let vlan = value.u16("native VLAN")?;
                    self.vlan = (1..=4094).contains(&vlan).then_some(vlan);
                }
                0x14 => self.system_name = text(),
                0x02 | 0x16 => self.read_addresses(&mut value)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_addresses(&mut self, r: &mut Reader<'_>) -> Result<(), Malformed> {
        let count = r.u32("number of addresses")?;
        for _ in 0..count.min(64) {
            r.u8("protocol type")?;
            let len = r.u8("protocol length")?;
            let protocol = r.take("protocol", len.into())?;
            let len = r.u16("address length")?;
            let address = r.take("address", len.into())?;
            let address: Option<IpAddr> = match protocol {
                // The number of the network layer, and an EtherType behind SNAP's head.
                [0xcc] => <[u8; 4]>::try_from(address).ok().map(|v4| Ipv4Addr::from(v4).into()),
                [.., 0x86, 0xdd] => {
                    <[u8; 16]>::try_from(address).ok().map(|v6| Ipv6Addr::from(v6).into())
                }
                _ => None,
            };
            if self.addresses.len() < MOST_ADDRESSES {
                self.addresses.extend(address.filter(|address| !address.is_unspecified()));
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

    fn field(kind: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(value.len()).unwrap() + 4;
        [&kind.to_be_bytes()[..], &len.to_be_bytes(), value].concat()
    }

    fn announcement() -> Vec<u8> {
        let mut addresses = vec![0, 0, 0, 2, 1, 1, 0xcc, 0, 4, 192, 0, 2, 7];
        addresses.extend([2, 8, 0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd, 0, 16]);
        addresses.extend("2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        [
            vec![2, 180, 0x12, 0x34],
            field(1, b"sw7.example"),
            field(2, &addresses),
            field(3, b"FastEthernet0/7"),
            field(4, &[0, 0, 0, 0x29]),
            field(5, b"Example IOS\nVersion 12.2"),
            field(6, b"model 7"),
            field(0x0a, &[0, 9]),
            field(0x14, b"sw7"),
            field(0x16, &[0, 0, 0, 1, 1, 1, 0xcc, 0, 4, 192, 0, 2, 7]),
        ]
        .concat()
    }

    #[test]
    fn a_device_says_what_it_is() {
        let text = |text: &str| Some(text.to_owned());
        let expected = Announcement {
            lifetime: 180,
            device: text("sw7.example"),
            port: text("FastEthernet0/7"),
            capabilities: ROUTER | SWITCH | 0x20,
            version: text("Example IOS Version 12.2"),
            platform: text("model 7"),
            system_name: text("sw7"),
            addresses: vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
            vlan: Some(9),
            broken: None,
        };
        assert_eq!(Announcement::parse(&announcement()), Ok(expected));
    }

    #[test]
    fn every_cut_is_an_error_or_keeps_what_came_before() {
        let bytes = announcement();
        let whole = Announcement::parse(&bytes).unwrap();
        for len in 0..bytes.len() {
            match Announcement::parse(&bytes[..len]) {
                Err(error) => assert!(len < 4 && error.problem == Problem::Truncated),
                Ok(read) => {
                    assert!(read.device.is_none() || read.device == whole.device);
                    assert!(read.addresses.iter().all(|one| whole.addresses.contains(one)));
                }
            }
        }
        assert_eq!(Announcement::parse(&[3, 1, 0, 0]).unwrap_err().field, "version");
        let short = Announcement::parse(&[2, 1, 0, 0, 0, 1, 0, 3]).unwrap();
        assert_eq!(short.broken.unwrap().field, "length");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Announcement::parse(&bytes);
            let _ = Announcement::parse(&[&[2, 180, 0, 0], &bytes[..]].concat());
            let _ = Announcement::parse(&[&[2, 180, 0, 0, 0, 2, 0, 60], &bytes[..]].concat());
        }
    }
}
