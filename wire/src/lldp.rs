//! The Link Layer Discovery Protocol (IEEE 802.1AB): what a device tells whoever is at the other
//! end of its cable, with the inventory of its media endpoint extension (ANSI/TIA-1057).
//!
//! How long it holds is read only to tell a farewell: a device that leaves says zero.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::MacAddr;

use crate::{Malformed, Reader, lines};

/// The EtherType (clause 8.3).
pub const ETHER_TYPE: u16 = 0x88cc;

/// Management addresses that are read at most.
const MOST_ADDRESSES: usize = 16;

/// An announcement.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Announcement {
    /// What the device calls itself: an address, a name, a number.
    pub chassis: String,
    /// Its address, where that is what it calls itself by.
    pub chassis_mac: Option<MacAddr>,
    /// The port from which it speaks.
    pub port: String,
    /// For how many seconds it holds; 0 is a farewell.
    pub lifetime: u16,
    /// The port in its owner's words.
    pub port_description: Option<String>,
    /// Its name.
    pub system_name: Option<String>,
    /// What it is and runs.
    pub system_description: Option<String>,
    /// What it does now (clause 8.5.8), a bit each: [`BRIDGE`] and its like.
    pub enabled: u16,
    /// Where it is managed.
    pub addresses: Vec<IpAddr>,
    /// The VLAN of frames without a tag (IEEE 802.1Q, D.2.1).
    pub vlan: Option<u16>,
    /// Whether it says that it is a telephone or the like (TIA-1057, 10.2.2, class III).
    pub is_phone: bool,
    /// Its maker (TIA-1057, 10.2.6.5).
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// The version of its software.
    pub software: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// What is wrong with the rest, where it could not be read.
    pub broken: Option<Malformed>,
}

/// Capability: repeats.
pub const REPEATER: u16 = 0x02;
/// Capability: bridges.
pub const BRIDGE: u16 = 0x04;
/// Capability: is an access point.
pub const ACCESS_POINT: u16 = 0x08;
/// Capability: routes.
pub const ROUTER: u16 = 0x10;
/// Capability: is a telephone.
pub const TELEPHONE: u16 = 0x20;
/// Capability: is a cable modem.
pub const CABLE_MODEM: u16 = 0x40;
/// Capability: is nothing but a station.
pub const STATION: u16 = 0x80;

impl Announcement {
    /// Reads a message. Chassis, port and lifetime come first, in that order (clause 8.2).
    ///
    /// # Errors
    ///
    /// One of those three is not there. What is wrong behind them is in `broken`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let mut found = Self::default();
        let mut chassis = mandatory(&mut r, 1, "chassis ID TLV")?;
        let kind = chassis.u8("chassis ID subtype")?;
        found.chassis = identity(kind, 4, 5, chassis.rest());
        if kind == 4 {
            found.chassis_mac = chassis.rest().try_into().ok().map(MacAddr);
        }
        let mut port = mandatory(&mut r, 2, "port ID TLV")?;
        let kind = port.u8("port ID subtype")?;
        found.port = identity(kind, 3, 4, port.rest());
        found.lifetime = mandatory(&mut r, 3, "time to live TLV")?.u16("time to live")?;
        found.broken = found.read_options(&mut r).err();
        Ok(found)
    }

    fn read_options(&mut self, r: &mut Reader<'_>) -> Result<(), Malformed> {
        while !r.is_at_end() {
            let (kind, mut value) = element(r)?;
            let text = Some(lines::text(value.rest())).filter(|text| !text.is_empty());
            match kind {
                0 => break,
                4 => self.port_description = text,
                5 => self.system_name = text,
                6 => self.system_description = text,
                7 => {
                    value.u16("system capabilities")?;
                    self.enabled = value.u16("enabled capabilities")?;
                }
                8 => {
                    let len = value.u8("management address string length")?;
                    let address = network_address(value.take("management address", len.into())?);
                    if self.addresses.len() < MOST_ADDRESSES {
                        self.addresses.extend(address);
                    }
                }
                127 => self.read_organization(&mut value)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_organization(&mut self, r: &mut Reader<'_>) -> Result<(), Malformed> {
        const IEEE_802_1: [u8; 3] = [0x00, 0x80, 0xc2];
        const TIA: [u8; 3] = [0x00, 0x12, 0xbb];

        let organization = r.array::<3>("organizationally unique identifier")?;
        let kind = r.u8("organizationally defined subtype")?;
        let text = || Some(lines::text(r.rest())).filter(|text| !text.is_empty());
        match (organization, kind) {
            (IEEE_802_1, 1) => {
                let vlan = r.u16("port VLAN identifier")?;
                self.vlan = (1..=4094).contains(&vlan).then_some(vlan);
            }
            (TIA, 1) => {
                r.u16("LLDP-MED capabilities")?;
                self.is_phone = r.u8("LLDP-MED device type")? == 3;
            }
            (TIA, 7) => self.software = text(),
            (TIA, 8) => self.serial = text(),
            (TIA, 9) => self.manufacturer = text(),
            (TIA, 10) => self.model = text(),
            _ => {}
        }
        Ok(())
    }
}

/// The next TLV (clause 8.4): seven bits of type, nine of length.
fn element<'a>(r: &mut Reader<'a>) -> Result<(u16, Reader<'a>), Malformed> {
    let head = r.u16("TLV header")?;
    let value = r.nested("TLV value", (head & 0x01ff).into())?;
    Ok((head >> 9, value))
}

fn mandatory<'a>(
    r: &mut Reader<'a>,
    wanted: u16,
    field: &'static str,
) -> Result<Reader<'a>, Malformed> {
    let (kind, value) = element(r)?;
    if kind == wanted { Ok(value) } else { Err(r.invalid(field, kind)) }
}

/// An identifier as text: those of subtype `mac` are link-layer addresses, those of `network`
/// have the number of their family first.
fn identity(kind: u8, mac: u8, network: u8, value: &[u8]) -> String {
    let known = if kind == mac {
        <[u8; 6]>::try_from(value).ok().map(|octets| MacAddr(octets).to_string())
    } else if kind == network {
        network_address(value).map(|address| address.to_string())
    } else {
        Some(lines::text(value)).filter(|text| !text.is_empty())
    };
    known.unwrap_or_else(|| value.iter().take(32).map(|byte| format!("{byte:02x}")).collect())
}

/// An address behind the number of its family (IANA, Address Family Numbers).
fn network_address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes {
        [1, v4 @ ..] => <[u8; 4]>::try_from(v4).ok().map(|v4| Ipv4Addr::from(v4).into()),
        [2, v6 @ ..] => <[u8; 16]>::try_from(v6).ok().map(|v6| Ipv6Addr::from(v6).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tlv(kind: u16, value: &[u8]) -> Vec<u8> {
        let head = kind << 9 | u16::try_from(value.len()).unwrap();
        [&head.to_be_bytes()[..], value].concat()
    }

    fn announcement() -> Vec<u8> {
        [
            tlv(1, &[4, 0, 0, 0x5e, 0, 0x53, 1]),
            tlv(2, b"\x05Gi0/7"),
            tlv(3, &[0, 120]),
            tlv(4, b"to the roof"),
            tlv(5, b"sw7"),
            tlv(6, b"Example OS 1.2"),
            tlv(7, &[0, 0x14, 0, 0x14]),
            tlv(8, &[5, 1, 192, 0, 2, 7, 2, 0, 0, 0, 7, 0]),
            tlv(127, &[0, 0x80, 0xc2, 1, 0, 9]),
            tlv(127, &[0, 0x12, 0xbb, 1, 0, 1, 3]),
            tlv(127, b"\0\x12\xbb\x07v3"),
            tlv(127, b"\0\x12\xbb\x08S1"),
            tlv(127, b"\0\x12\xbb\x09Maker"),
            tlv(127, b"\0\x12\xbb\x0aP7"),
            tlv(0, &[]),
            vec![0; 9],
        ]
        .concat()
    }

    #[test]
    fn a_device_says_what_it_is() {
        let text = |text: &str| Some(text.to_owned());
        let expected = Announcement {
            chassis: "00:00:5e:00:53:01".to_owned(),
            chassis_mac: Some(MacAddr([0, 0, 0x5e, 0, 0x53, 1])),
            port: "Gi0/7".to_owned(),
            lifetime: 120,
            port_description: text("to the roof"),
            system_name: text("sw7"),
            system_description: text("Example OS 1.2"),
            enabled: BRIDGE | ROUTER,
            addresses: vec!["192.0.2.7".parse().unwrap()],
            vlan: Some(9),
            is_phone: true,
            manufacturer: text("Maker"),
            model: text("P7"),
            software: text("v3"),
            serial: text("S1"),
            broken: None,
        };
        assert_eq!(Announcement::parse(&announcement()), Ok(expected));
    }

    #[test]
    fn every_cut_is_an_error_or_keeps_what_came_before() {
        let bytes = announcement();
        // Chassis, port and lifetime.
        const FIRST: usize = 9 + 8 + 4;
        for len in 0..bytes.len() {
            match Announcement::parse(&bytes[..len]) {
                Err(error) => {
                    assert!(len < FIRST, "cut at {len}");
                    assert_eq!(error.problem, crate::Problem::Truncated);
                }
                Ok(read) => {
                    assert!(len >= FIRST, "cut at {len}");
                    assert_eq!((read.port.as_str(), read.lifetime), ("Gi0/7", 120));
                }
            }
        }
    }

    #[test]
    fn identifiers_come_in_many_kinds() {
        assert_eq!(identity(5, 4, 5, &[1, 192, 0, 2, 7]), "192.0.2.7");
        let v6 = [&[2, 0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[7]].concat();
        assert_eq!(identity(5, 4, 5, &v6), "2001:db8::7");
        assert_eq!(identity(7, 4, 5, b"sw7"), "sw7");
        assert_eq!(identity(4, 4, 5, &[1, 2]), "0102");
        assert_eq!(identity(7, 4, 5, &[0, 1]), "0001");
        let other = [tlv(2, b"\x05Gi0/7"), tlv(3, &[0, 120])].concat();
        assert_eq!(Announcement::parse(&other).unwrap_err().field, "chassis ID TLV");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Announcement::parse(&bytes);
            let _ = Announcement::parse(&[&announcement()[..21], &bytes[..]].concat());
        }
    }
}
