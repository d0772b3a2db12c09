//! What is known before anything is asked: which addresses there were, which devices must be
//! asked gently, and by which names servers are known.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

use anyhow::Result;
use inventory::{
    asset::Asset,
    class::{self, Class},
    cores,
    register::DeviceEntry,
    server_name::ServerNames,
    store::Store,
};
use model::{MacAddr, PortState, Site};

/// The assets of the inventory, and the fragile ones among them.
pub(crate) struct Known {
    /// Where somebody was seen.
    pub(crate) seen: Vec<IpAddr>,
    /// By which names servers are known.
    pub(crate) names: ServerNames,
    addresses: HashSet<IpAddr>,
    macs: HashSet<MacAddr>,
}

/// How many names are looked at of one certificate.
const MOST_NAMES: usize = 32;

impl Known {
    /// Reads them: controllers, medical and power devices by whatever showed it, printers by
    /// their maker or by a port of raw printing. A server that prints for others speaks as
    /// printers do, and bears what servers bear.
    ///
    /// The names are those of the addresses that are wanted; `turn` is another number each time.
    pub(crate) async fn read(
        store: &Store,
        site: &Site,
        wanted: &dyn Fn(IpAddr) -> bool,
        turn: u64,
    ) -> Result<Self> {
        let assets = store.assets_at(site).await?;
        let mut known = Self {
            seen: assets.iter().flat_map(Asset::addresses).collect(),
            names: names(store, &assets, wanted, turn).await?,
            addresses: HashSet::new(),
            macs: HashSet::new(),
        };
        let fragile = cores::each(assets, |asset| is_known_fragile(&asset).then_some(asset));
        for asset in fragile.into_iter().flatten() {
            known.addresses.extend(asset.addresses());
            known.macs.extend(asset.macs());
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

async fn names(
    store: &Store,
    assets: &[Asset],
    wanted: &dyn Fn(IpAddr) -> bool,
    turn: u64,
) -> Result<ServerNames> {
    let served = assets.iter().flat_map(|asset| &asset.deployments);
    let served = served.filter(|served| served.current && wanted(served.address));
    let served: BTreeSet<String> = served.map(|served| served.sha256.clone()).collect();
    let certificates = store.certificate_names(&served, MOST_NAMES).await?;
    let devices = store.register::<DeviceEntry>().await?;
    let devices = devices.map_or_else(Vec::new, |register| register.entries);
    let certificate = |sha256: &str| certificates.get(sha256).cloned().unwrap_or_default();
    Ok(ServerNames::of_assets(assets, &devices, &certificate, wanted, turn))
}

/// Raw printing (9100) and LPD (515, RFC 1179).
const PRINTING: [u16; 2] = [515, 9100];

fn is_known_fragile(asset: &Asset) -> bool {
    match class::classify(asset).map(|judged| judged.class) {
        Some(Class::Printer) => is_printer_itself(asset),
        class => class.is_some_and(Class::is_fragile),
    }
}

fn is_printer_itself(asset: &Asset) -> bool {
    let prints = |port| PRINTING.contains(&port);
    asset.macs().any(|mac| class::by_maker(mac) == Some(Class::Printer))
        || asset.services.iter().any(|s| s.state == PortState::Open && prints(s.port))
}
