//! Where in the simulated organisation's networks a device stands: the address plan of somebody who
//! keeps network gear, servers, printers, telephones, cameras and people's computers apart. No two
//! devices are ever given the same address, on any day.

use std::net::Ipv4Addr;

use super::device::{Device, draw};
use super::models::{Habit, Model};

/// A part of a site's networks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Zone {
    Gear,
    Servers,
    Printers,
    Voice,
    Cameras,
    Production,
    Clients,
    Guests,
    /// Where people put what nobody knows of: among the clients.
    Strays,
}

/// The first addresses of the sites.
const SITES: [[u8; 4]; 2] = [[198, 18, 0, 0], [198, 19, 0, 0]];

/// Which /24 of each site the gear of the core is the gateway of.
pub(super) const GATEWAYS: [&[u8]; 2] = [&[1, 2, 3, 4, 5, 6], &[1, 2, 3]];

impl Zone {
    /// Of a kind of device.
    pub(super) fn of(model: &Model) -> Self {
        match (model.name, model.habit) {
            ("core" | "switch" | "ap" | "ups", _) => Self::Gear,
            ("printer" | "copier", _) => Self::Printers,
            ("tel", _) => Self::Voice,
            ("camera", _) => Self::Cameras,
            ("plc" | "hmi", _) => Self::Production,
            ("raspberrypi" | "router" | "ipcam", _) => Self::Strays,
            (_, Habit::Leased) => Self::Clients,
            (_, Habit::Rotating) => Self::Guests,
            _ => Self::Servers,
        }
    }

    /// Where it begins at a site, and how many addresses it has.
    const fn room(self, site: usize) -> (u32, u32) {
        let (block, first, room) = match (site, self) {
            (0, Self::Gear) => (0, 1, 250),
            (0, Self::Servers) => (1, 11, 200),
            (0, Self::Printers) => (2, 11, 200),
            (0, Self::Voice) => (3, 11, 200),
            (0, Self::Cameras) => (4, 11, 100),
            (0, Self::Production) => (4, 151, 100),
            (0, Self::Guests) => (5, 20, 230),
            // A /23.
            (0, Self::Clients) => (6, 20, 450),
            (0, Self::Strays) => (7, 220, 30),
            (_, Self::Gear) => (0, 1, 99),
            (_, Self::Servers) => (0, 101, 150),
            (_, Self::Printers) => (1, 11, 90),
            (_, Self::Voice) => (1, 101, 150),
            (_, Self::Production) => (2, 11, 90),
            (_, Self::Cameras) => (2, 101, 150),
            (_, Self::Clients) => (3, 20, 100),
            (_, Self::Guests) => (3, 120, 100),
            (_, Self::Strays) => (3, 220, 30),
        };
        (block * 256 + first, room)
    }
}

/// Where a device stands: the how manieth of its zone it is, of how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    pub(super) zone: Zone,
    pub(super) index: u32,
    pub(super) of: u32,
}

fn at(site: usize, within: u32) -> Ipv4Addr {
    let base = Ipv4Addr::from(SITES.get(site).copied().unwrap_or_default());
    Ipv4Addr::from(base.to_bits() | within)
}

/// One of the addresses of a zone.
pub(super) fn address_in(site: usize, zone: Zone, index: u32) -> Ipv4Addr {
    at(site, zone.room(site).0 + index)
}

/// The gateways of a site.
pub(super) fn gateways(site: usize) -> impl Iterator<Item = Ipv4Addr> {
    let blocks = GATEWAYS.get(site).copied().unwrap_or_default();
    blocks.iter().map(move |block| at(site, u32::from(*block) * 256 + 1))
}

impl Device {
    /// The address that it has on a day. What is moved gets one that was never another's.
    pub(super) fn address(&self, day: u64) -> Ipv4Addr {
        let Stand { zone, index, of } = self.stand;
        let within = match self.model.habit {
            // A lease is kept for as long as one comes back in time: a fifth of them are not.
            Habit::Leased if index.is_multiple_of(5) => {
                let turn = (day + draw(self.seed, self.place, 30)) / 9 % 2;
                if turn == 1 { of + index / 5 } else { index }
            }
            // With another hardware address comes another lease.
            Habit::Rotating if self.rotates() => {
                index + of * u32::try_from(day / 7 % 3).unwrap_or_default()
            }
            Habit::Rotating | Habit::Leased | Habit::Fixed => index,
        };
        let (first, room) = zone.room(self.site);
        debug_assert!(within < room, "{zone:?} of site {} has no room", self.site);
        at(self.site, first + within)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{
        super::{DAYS, devices},
        *,
    };

    #[test]
    fn no_two_devices_ever_share_an_address() {
        for seed in [1, 2, 77] {
            let devices = devices(seed);
            let mut whose: BTreeMap<Ipv4Addr, u64> = BTreeMap::new();
            for day in 0..DAYS {
                for device in &devices {
                    let address = device.address(day);
                    assert_eq!(*whose.entry(address).or_insert(device.place), device.place);
                    assert!(!gateways(device.site).any(|gateway| gateway == address));
                    assert!(
                        !matches!(address.octets(), [_, _, 7, 255] | [_, _, _, 0]) || {
                            // The middle of the clients' /23.
                            device.site == 0 && device.stand.zone == Zone::Clients
                        }
                    );
                }
            }
            let macs: BTreeSet<_> = devices.iter().map(|one| one.mac(0)).collect();
            assert_eq!(macs.len(), devices.len());
        }
    }
}
