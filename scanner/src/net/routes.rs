//! The machine's routes: by which interface, source address and next hop a packet goes.
//!
//! That is the kernel's decision (policy routing, metrics, several default routes), so it is
//! asked rather than worked out from the addresses of the interfaces. One answer holds for
//! all addresses between which no entry of any table draws a line; see
//! `route_stretches`.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt, io,
    net::{IpAddr, Ipv6Addr},
};

use wire::{Malformed, Reader};

use super::{
    interfaces::{Kind, address, interfaces, is_alive},
    netlink::{self, Netlink, attributes, put_attribute},
    route_stretches::Stretches,
};
use crate::LinkError;

/// How the kernel would send to an address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Route {
    /// The number of the interface.
    pub interface: u32,
    /// The address that we would send from, where the kernel chose one.
    pub source: Option<IpAddr>,
    /// Where the packet would go next.
    pub hop: Hop,
}

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Hop {
    /// The address is this machine's own.
    Local,
    /// Its owner is on the link.
    Link,
    /// To this router. It may be of the other family (RFC 5549).
    Gateway(IpAddr),
    /// To everybody on the link: the address is the link's broadcast address, or a group.
    Everybody,
}

/// For which addresses a decision holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Holds {
    /// For all between whom no table draws a line.
    Around,
    /// For this one: a router told us a better way to it (RFC 792, redirect).
    Here,
}

/// The kernel's routing decisions, remembered.
pub struct Routes {
    netlink: Netlink,
    /// Only this interface, if the user said so.
    only: Option<u32>,
    /// Where link-local IPv6 addresses are looked for: every link has its own fe80::1.
    scope: Option<u32>,
    /// The interfaces on which neighbours are asked for link-layer addresses.
    with_neighbors: Vec<u32>,
    /// The link-local addresses of the machine itself, each with its interface.
    own_link_local: Vec<(Ipv6Addr, u32)>,
    stretches: Stretches,
    /// Decisions that hold for a stretch, by its number.
    shared: RefCell<Vec<Option<Route>>>,
    /// Decisions that hold for one address alone.
    known: RefCell<HashMap<IpAddr, Route>>,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").field("only", &self.only).finish_non_exhaustive()
    }
}

/// How many decisions for single addresses are remembered. Asking costs some microseconds, a question to a
/// target often comes right after another to the same one; more is not worth memory.
const REMEMBERED: usize = 65_536;

impl Routes {
    /// The routes of the calling thread's network namespace, through the interface of that
    /// number only, if one is given. The machine's own addresses are reached either way.
    ///
    /// # Errors
    ///
    /// [`LinkError::System`] if the kernel does not talk.
    pub fn open(only: Option<u32>) -> Result<Self, LinkError> {
        let netlink =
            Netlink::open().map_err(|source| LinkError::System { what: "routes", source })?;
        let all = interfaces()?;
        let with_link_local: Vec<(Ipv6Addr, u32)> = all
            .iter()
            .filter(|interface| interface.is_usable() && interface.kind != Kind::Loopback)
            .filter_map(|interface| Some((interface.link_local()?, interface.index)))
            .collect();
        // With one link there is no question which one is meant.
        let sole = match with_link_local.as_slice() {
            [(_, index)] => Some(*index),
            _ => None,
        };
        Ok(Self {
            only,
            scope: only.or(sole),
            with_neighbors: all.iter().filter(|i| i.speaks_ethernet).map(|i| i.index).collect(),
            own_link_local: with_link_local,
            stretches: Stretches::read(&netlink, &all),
            netlink,
            shared: RefCell::default(),
            known: RefCell::default(),
        })
    }

    /// The way to an address.
    ///
    /// # Errors
    ///
    /// [`LinkError::NoRoute`] where there is none.
    pub fn to(&self, address: IpAddr) -> Result<Route, LinkError> {
        self.decide(address).map(|(route, _)| route)
    }

    /// The way to an address, and the number of the stretch of addresses to all of which
    /// it is the way, if there is such a stretch.
    ///
    /// # Errors
    ///
    /// [`LinkError::NoRoute`] where there is none.
    pub(super) fn decide(&self, address: IpAddr) -> Result<(Route, Option<usize>), LinkError> {
        let stretch = self.stretches.number(address);
        let place = stretch.unwrap_or(usize::MAX);
        if let Some(Some(route)) = self.shared.borrow().get(place) {
            return Ok((*route, stretch));
        }
        if let Some(route) = self.known.borrow().get(&address) {
            return Ok((*route, None));
        }
        let (route, holds) =
            self.ask(address).map_err(|source| LinkError::NoRoute { address, source })?;
        if let (Some(place), Holds::Around) = (stretch, holds) {
            let mut shared = self.shared.borrow_mut();
            if shared.len() <= place {
                shared.resize(place + 1, None);
            }
            if let Some(entry) = shared.get_mut(place) {
                *entry = Some(route);
            }
            return Ok((route, stretch));
        }
        let mut known = self.known.borrow_mut();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(address, route);
        Ok((route, None))
    }

    /// The number of the stretch of an address; see [`Self::decide`].
    pub(super) fn stretch(&self, address: IpAddr) -> Option<usize> {
        self.stretches.number(address)
    }

    /// Whether the address is on a link of ours where its owner can be asked for its
    /// link-layer address.
    #[must_use]
    pub fn is_on_link(&self, address: IpAddr) -> bool {
        self.to(address).is_ok_and(|route| {
            route.hop == Hop::Link && self.with_neighbors.contains(&route.interface)
        })
    }

    /// The interface on which a link-local address is looked for; 0 for all others, which
    /// need none, and where it is not known.
    #[must_use]
    pub fn scope_of(&self, address: Ipv6Addr) -> u32 {
        if !address.is_unicast_link_local() {
            return 0;
        }
        let own = self.own_link_local.iter().find(|(own, _)| *own == address);
        own.map(|(_, index)| *index).or(self.scope).unwrap_or(0)
    }

    /// Forgets what was remembered, because the network changed.
    pub fn forget(&self) {
        self.known.borrow_mut().clear();
        self.shared.borrow_mut().clear();
    }

    /// Whether the interface can be used; see [`is_alive`].
    pub(super) fn check(&self, interface: u32) -> io::Result<()> {
        is_alive(&self.netlink, interface)
    }

    fn ask(&self, address: IpAddr) -> io::Result<(Route, Holds)> {
        /// Answer with the entry of the table rather than with the decision.
        const TABLE_ENTRY: u32 = 0x2000;
        let free = self.ask_kernel(address, None, 0);
        if let Ok((Route { hop: Hop::Local, .. }, _)) = free {
            return free;
        }
        let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        if link_local && self.scope.is_none() {
            // Linux would take the first link, and tell nobody.
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "every link has such addresses; name the interface",
            ));
        }
        let Some(only) = self.only.or(self.scope.filter(|_| link_local)) else { return free };
        // Asked about one interface, Linux takes any address that no route leads to for a
        // neighbour. So the table is asked first whether there is a route at all.
        self.ask_kernel(address, Some(only), TABLE_ENTRY)?;
        self.ask_kernel(address, Some(only), 0)
    }

    fn ask_kernel(
        &self,
        address: IpAddr,
        only: Option<u32>,
        flags: u32,
    ) -> io::Result<(Route, Holds)> {
        const DESTINATION: u16 = 1;
        const OUTPUT_INTERFACE: u16 = 4;
        let (family, bits, octets) = match address {
            IpAddr::V4(v4) => (libc::AF_INET, 32, v4.octets().to_vec()),
            IpAddr::V6(v6) => (libc::AF_INET6, 128, v6.octets().to_vec()),
        };
        let mut body = vec![family as u8, bits, 0, 0, 0, 0, 0, 0];
        body.extend_from_slice(&flags.to_ne_bytes());
        put_attribute(&mut body, DESTINATION, &octets);
        if let Some(only) = only {
            put_attribute(&mut body, OUTPUT_INTERFACE, &only.to_ne_bytes());
        }
        let answer = self.netlink.ask(netlink::GET_ROUTE, &body)?;
        match read_route(&answer) {
            Ok(Some(decision)) => Ok(decision),
            Ok(None) => Err(io::Error::from_raw_os_error(libc::ENETUNREACH)),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}

/// A `struct rtmsg` and its attributes (linux/rtnetlink.h), or `None` for a route that
/// leads nowhere (blackhole, unreachable, prohibit).
fn read_route(bytes: &[u8]) -> Result<Option<(Route, Holds)>, Malformed> {
    const OUTPUT_INTERFACE: u16 = 4;
    const GATEWAY: u16 = 5;
    const PREFERRED_SOURCE: u16 = 7;
    /// A gateway of the other family: `struct rtvia`, the family and then the address.
    const VIA: u16 = 18;
    /// RTCF_REDIRECTED of linux/in_route.h.
    const REDIRECTED: u32 = 0x0004_0000;

    let mut r = Reader::new(bytes);
    r.take("lengths and table", 5)?;
    let origin = r.u8("protocol")?;
    r.take("scope", 1)?;
    let kind = r.u8("route type")?;
    let flags = u32::from_ne_bytes(r.array("flags")?);
    let holds = match origin == libc::RTPROT_REDIRECT || flags & REDIRECTED != 0 {
        true => Holds::Here,
        false => Holds::Around,
    };
    let (mut interface, mut source, mut gateway) = (0, None, None);
    for (attribute, value) in attributes(r) {
        match attribute {
            OUTPUT_INTERFACE => interface = value.try_into().map_or(0, u32::from_ne_bytes),
            GATEWAY => gateway = address(value),
            VIA => gateway = value.get(2..).and_then(address),
            PREFERRED_SOURCE => source = address(value),
            _ => {}
        }
    }
    let hop = match (kind, gateway) {
        (libc::RTN_UNICAST, Some(gateway)) => Hop::Gateway(gateway),
        (libc::RTN_UNICAST, None) => Hop::Link,
        (libc::RTN_LOCAL, _) => Hop::Local,
        (libc::RTN_BROADCAST | libc::RTN_MULTICAST | libc::RTN_ANYCAST, _) => Hop::Everybody,
        _ => return Ok(None),
    };
    Ok(Some((Route { interface, source, hop }, holds)))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn route(kind: u8, attributes: &[(u16, &[u8])]) -> Option<Route> {
        decision(kind, 0, 0, attributes).map(|(route, holds)| {
            assert_eq!(holds, Holds::Around);
            route
        })
    }

    fn decision(
        kind: u8,
        origin: u8,
        flags: u32,
        attributes: &[(u16, &[u8])],
    ) -> Option<(Route, Holds)> {
        let mut bytes = vec![0; 12];
        bytes[5] = origin;
        bytes[7] = kind;
        bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
        for (attribute, value) in attributes {
            put_attribute(&mut bytes, *attribute, value);
        }
        for len in 0..12 {
            assert!(read_route(&bytes[..len]).is_err(), "cut at {len}");
        }
        read_route(&bytes).unwrap()
    }

    #[test]
    fn routes_are_told_apart() {
        let three = 3u32.to_ne_bytes();
        let own: &[u8] = &[192, 0, 2, 1];
        let source = Some("192.0.2.1".parse().unwrap());
        let at = |hop| Some(Route { interface: 3, source, hop });
        let link = route(1, &[(4, &three), (7, own)]);
        assert_eq!(link, at(Hop::Link));
        let routed = route(1, &[(4, &three), (7, own), (5, &[192, 0, 2, 254])]);
        assert_eq!(routed, at(Hop::Gateway("192.0.2.254".parse().unwrap())));
        let mut via = (libc::AF_INET6 as u16).to_ne_bytes().to_vec();
        via.extend_from_slice(&Ipv6Addr::LOCALHOST.octets());
        let other_family = route(1, &[(4, &three), (7, own), (18, &via)]);
        assert_eq!(other_family, at(Hop::Gateway(Ipv6Addr::LOCALHOST.into())));
        assert_eq!(route(2, &[(4, &three), (7, own)]), at(Hop::Local));
        assert_eq!(route(3, &[(4, &three), (7, own)]), at(Hop::Everybody));
        assert_eq!(route(7, &[]), None);
    }

    #[test]
    fn a_better_way_that_a_router_told_holds_for_one_address() {
        let three = 3u32.to_ne_bytes();
        for (origin, flags, expected) in [
            (libc::RTPROT_KERNEL, 0x200, Holds::Around),
            (libc::RTPROT_KERNEL, 0x0004_0200, Holds::Here),
            (libc::RTPROT_REDIRECT, 0, Holds::Here),
        ] {
            let (_, holds) = decision(1, origin, flags, &[(4, &three)]).unwrap();
            assert_eq!(holds, expected, "{origin} {flags:#x}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            let _ = read_route(&bytes);
        }
    }

    #[test]
    fn routes_lead_to_the_loopback_interface() {
        let all = interfaces().unwrap();
        let lo = all.iter().find(|i| i.kind == Kind::Loopback).expect("a loopback interface");
        let routes = Routes::open(None).unwrap();
        for own in ["127.0.0.1", "127.9.9.9"].map(|text| text.parse().unwrap()) {
            let route = routes.to(own).unwrap();
            assert_eq!((route.interface, route.hop), (lo.index, Hop::Local));
        }
        assert!(!routes.is_on_link(Ipv4Addr::LOCALHOST.into()));
    }
}
