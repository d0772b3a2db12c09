//! Assets as lists show them: what is stored, with what is concluded at the time of asking.

use std::borrow::Cow;

use inventory::{
    asset::{Asset, ServiceState},
    class,
    compare::Registration,
    cores,
    store::{Compared, list::AssetEntry},
    vendor,
};
use model::PortState;

use crate::report::{json::AssetJson, table::Table};

/// An asset with what was concluded about it.
pub(crate) struct Shown<'a> {
    pub(crate) asset: &'a Asset,
    pub(crate) vendor: Option<Cow<'static, str>>,
    pub(crate) class: Option<&'static str>,
    pub(crate) registration: Registration,
    /// Why it has that registration.
    pub(crate) reason: &'a str,
}

impl<'a> Shown<'a> {
    /// Every asset of a comparison, in its order.
    pub(crate) fn all(compared: &'a Compared) -> Vec<Self> {
        let states = &compared.comparison.assets;
        let pairs = compared.assets.iter().zip(states).collect();
        cores::each(pairs, |(asset, state)| Self::new(asset, state))
    }

    /// One as its list has it.
    pub(crate) fn listed(asset: &'a Asset, entry: &'a AssetEntry) -> Self {
        let registration = Registration::from_name(&entry.registration);
        Self {
            asset,
            vendor: asset.macs().find_map(vendor::vendor),
            class: class::classify(asset).map(|judged| judged.class.as_str()),
            // One that a later version knows is none that we could tell apart.
            registration: registration.unwrap_or(Registration::Unknown),
            reason: &entry.reason,
        }
    }

    pub(crate) fn new(asset: &'a Asset, state: &'a inventory::compare::AssetState) -> Self {
        Self {
            asset,
            vendor: asset.macs().find_map(vendor::vendor),
            class: class::classify(asset).map(|judged| judged.class.as_str()),
            registration: state.state,
            reason: &state.reason,
        }
    }

    pub(crate) fn json(&self) -> AssetJson<'_> {
        let registration = self.registration.as_str();
        AssetJson::new(self.asset, self.vendor.as_deref(), self.class, registration)
    }
}

/// The table of `assets` and `sweep`.
pub(crate) fn table(assets: &[Shown<'_>]) -> String {
    let headings =
        ["id", "address", "name", "mac", "vendor", "class", "open", "registration", "last seen"];
    let mut table = Table::new(&headings);
    for shown in assets {
        let asset = shown.asset;
        let addresses: Vec<String> = asset.addresses().map(|address| address.to_string()).collect();
        let macs: Vec<String> = asset.macs().map(|mac| mac.to_string()).collect();
        let name = asset.names.first().map_or("", |name| name.name.as_str());
        table.row([
            asset.id.to_string(),
            summed(&addresses),
            name.to_owned(),
            summed(&macs),
            shown.vendor.as_deref().unwrap_or_default().to_owned(),
            shown.class.unwrap_or_default().to_owned(),
            open_ports(asset),
            shown.registration.to_string(),
            asset.last_seen.to_string(),
        ]);
    }
    table.render()
}

/// The first, and how many more.
fn summed(values: &[String]) -> String {
    match values {
        [] => String::new(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
    }
}

fn open_ports(asset: &Asset) -> String {
    let open = asset.services.iter().filter(|service| service.state == PortState::Open);
    let mut ports: Vec<String> = open.map(port).collect();
    ports.dedup();
    ports.join(" ")
}

/// `22/ssh`, `161u/snmp`, `443/https`.
fn port(service: &ServiceState) -> String {
    let transport = match service.transport {
        model::Transport::Tcp => "",
        model::Transport::Udp => "u",
    };
    match (&service.protocol, service.tls) {
        (Some(protocol), true) => format!("{}{transport}/{protocol}+tls", service.port),
        (Some(protocol), false) => format!("{}{transport}/{protocol}", service.port),
        (None, _) => format!("{}{transport}", service.port),
    }
}
