//! The ways that frames take, each with the headers for it, found in a few nanoseconds.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
};

use model::MacAddr;

use super::{
    interfaces::Interface,
    raw_template::{Headers, WhoHas},
    routes::{Hop, Route, Routes},
};

/// A way that frames take.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) route: Route,
    /// The link-layer address that they come from.
    pub(super) mac: MacAddr,
    /// The largest packet that the interface takes, in bytes.
    pub(super) mtu: usize,
    /// Headers for it; `None` where the kernel names no address to send from.
    pub(super) headers: Option<Headers>,
    pub(super) who_has: Option<WhoHas>,
    /// Where the router is, once that is known.
    pub(super) router: Option<MacAddr>,
    /// The place of the interface's channel, once it is open.
    pub(super) channel: Option<usize>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Paths {
    all: Vec<Path>,
    by_route: HashMap<Route, usize>,
    /// By the number of the stretch of addresses for which the decision holds.
    by_stretch: Vec<Option<usize>>,
}

/// What the kernel's decision about an address comes to here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// There is none, or none to one address alone.
    None,
    /// The tier inside asks.
    Inside,
    /// Frames from this link-layer address.
    Frames(MacAddr),
}

/// What a decision comes to.
pub(super) fn way(route: &Route, interfaces: &HashMap<u32, Interface>) -> Way {
    let mac = interfaces
        .get(&route.interface)
        .and_then(|interface| interface.mac.filter(|_| interface.speaks_ethernet));
    match (route.hop, mac) {
        (Hop::Local, _) | (Hop::Link | Hop::Gateway(_), None) => Way::Inside,
        (Hop::Everybody, _) => Way::None,
        (Hop::Link | Hop::Gateway(_), Some(mac)) => Way::Frames(mac),
    }
}

impl Paths {
    /// The place of the path to an address, if it is one for frames.
    #[inline]
    pub(super) fn find(
        &mut self,
        routes: &Routes,
        interfaces: &HashMap<u32, Interface>,
        address: IpAddr,
    ) -> Option<usize> {
        let stretch = routes.stretch(address);
        match stretch.and_then(|number| self.by_stretch.get(number)) {
            Some(Some(place)) => Some(*place),
            _ => self.decide(routes, interfaces, address),
        }
    }

    fn decide(
        &mut self,
        routes: &Routes,
        interfaces: &HashMap<u32, Interface>,
        address: IpAddr,
    ) -> Option<usize> {
        let (route, stretch) = routes.decide(address).ok()?;
        let Way::Frames(mac) = way(&route, interfaces) else { return None };
        let place = match self.by_route.get(&route) {
            Some(place) => *place,
            None => {
                let mtu = interfaces.get(&route.interface).map_or(u32::MAX, |found| found.mtu);
                // Where an address has to be named and none is: RFC 5227's address probe.
                let source = match route.source {
                    Some(IpAddr::V4(v4)) => v4,
                    _ => Ipv4Addr::UNSPECIFIED,
                };
                self.all.push(Path {
                    route,
                    mac,
                    mtu: usize::try_from(mtu).unwrap_or(usize::MAX),
                    headers: route.source.and_then(|source| Headers::new(mac, source)),
                    who_has: WhoHas::new(mac, source),
                    router: None,
                    channel: None,
                });
                let place = self.all.len() - 1;
                self.by_route.insert(route, place);
                place
            }
        };
        if let Some(number) = stretch {
            if self.by_stretch.len() <= number {
                self.by_stretch.resize(number + 1, None);
            }
            if let Some(entry) = self.by_stretch.get_mut(number) {
                *entry = Some(place);
            }
        }
        Some(place)
    }

    /// The path at a place.
    #[inline]
    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Path> {
        self.all.get_mut(place)
    }

    /// Somebody on the link of that interface is there.
    pub(super) fn found(&mut self, interface: u32, address: IpAddr, mac: MacAddr) {
        let hop = Hop::Gateway(address);
        let by = |path: &&mut Path| path.route.interface == interface && path.route.hop == hop;
        for path in self.all.iter_mut().filter(by) {
            path.router = Some(mac);
        }
    }
}
