//! Which devices must be asked gently, by what is known before anything is asked.

use std::{collections::HashSet, net::IpAddr};

use anyhow::Result;
use inventory::{class, store::Store};
use model::{MacAddr, Site};

/// The fragile assets of the inventory.
pub(crate) struct Known {
    addresses: HashSet<IpAddr>,
    macs: HashSet<MacAddr>,
}

impl Known {
    /// Reads them: printers, controllers, medical devices, by whatever showed it.
    pub(crate) async fn read(store: &Store, site: &Site) -> Result<Self> {
        let mut known = Self { addresses: HashSet::new(), macs: HashSet::new() };
        for asset in store.assets_at(site).await? {
            if class::classify(&asset).is_some_and(|judged| judged.class.is_fragile()) {
                known.addresses.extend(asset.addresses());
                known.macs.extend(asset.macs());
            }
        }
        Ok(known)
    }

    /// Whether this device is one of them, or made by somebody who makes such devices.
    pub(crate) fn is_fragile(&self, address: IpAddr, mac: Option<MacAddr>) -> bool {
        let by_mac = |mac: MacAddr| {
            self.macs.contains(&mac) || class::by_maker(mac).is_some_and(class::Class::is_fragile)
        };
        match mac {
            Some(mac) => by_mac(mac),
            // Behind a router the address is all there is.
            None => self.addresses.contains(&address),
        }
    }
}
