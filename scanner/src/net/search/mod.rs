//! Links that can be searched: which areas are on which, and how everybody there is asked.
//!
//! With CAP_NET_RAW by frames of our own (`raw`), without it by what the system's echo
//! sockets allow (`ping`), or not at all: then what the system knows has to do.

mod frames;
mod ping;
mod raw;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use model::Timestamp;
use thiserror::Error;

use super::{
    Tier,
    clock::Clock,
    interfaces::{Interface, interfaces},
    neighbors::{State, neighbors},
    routes::{Hop, Routes},
};
use crate::{
    LinkError, Scope, SearchPermit,
    scope::after,
    search::{GroupLink, GroupQuestion, GroupReply, Known, ROUNDS},
};

/// A link with areas on it.
#[derive(Clone, Debug)]
pub struct AreaLink {
    /// Our end of it.
    pub interface: Interface,
    /// The areas.
    pub areas: Vec<SearchPermit>,
}

/// The links that areas are on, and the areas that are on none.
#[derive(Clone, Debug, Default)]
pub struct AreaLinks {
    /// To be searched, by the number of the interface.
    pub links: Vec<AreaLink>,
    /// Not to be searched.
    pub refused: Vec<(SearchPermit, Unsearchable)>,
}

/// Why an area cannot be searched, and what to do instead.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Unsearchable {
    /// It lies behind a router, or nowhere.
    #[error(
        "it is not on a link of this machine, so nobody there can be asked by group, and it has \
         too many addresses to ask each; look from a machine on that link, listen there (daicho \
         watch), or name the addresses that are in use (at most a /112 of them at once)"
    )]
    NotOnLink,
    /// Its first and last addresses are in different places.
    #[error("only a part of it is on a link of this machine; name the prefix of that link")]
    Partly,
    /// `fe80::/64` where there are several links.
    #[error("every link has such addresses; name one with --interface")]
    WhichLink,
}

/// How many addresses at the end of an area are looked at for one that is not the machine's
/// own and has no meaning of its own (RFC 4291, section 2.6.1).
const EDGE: usize = 16;

/// How many addresses of ours everybody is asked from at most.
const MOST_SOURCES: usize = 8;

/// The links that the scope's areas are on, through one interface only, if one is given.
///
/// # Errors
///
/// [`LinkError::System`] if the kernel does not tell.
pub fn links(scope: &Scope, only: Option<&str>) -> Result<AreaLinks, LinkError> {
    let all = interfaces()?;
    let only = only.and_then(|name| all.iter().find(|interface| interface.name == name));
    let routes = Routes::open(only.map(|interface| interface.index))?;
    let mut found: BTreeMap<u32, Vec<SearchPermit>> = BTreeMap::new();
    let mut refused = Vec::new();
    let is_inside = |area: SearchPermit| {
        let own = all.iter().flat_map(|interface| &interface.addresses);
        own.into_iter().any(|(address, _)| area.area().contains(*address))
    };
    for area in scope.areas() {
        match link_of(&routes, area) {
            Ok(index) => found.entry(index).or_default().push(area),
            Err(Unsearchable::NotOnLink) if is_inside(area) => {
                refused.push((area, Unsearchable::Partly));
            }
            Err(why) => refused.push((area, why)),
        }
    }
    let links = found.into_iter().filter_map(|(index, areas)| {
        let interface = all.iter().find(|interface| interface.index == index)?;
        Some(AreaLink { interface: interface.clone(), areas })
    });
    Ok(AreaLinks { links: links.collect(), refused })
}

/// The number of the interface on whose link both ends of an area are.
fn link_of(routes: &Routes, area: SearchPermit) -> Result<u32, Unsearchable> {
    let (first, last) = (area.area().first(), area.area().last());
    if let IpAddr::V6(v6) = first
        && v6.is_unicast_link_local()
        && routes.scope_of(v6) == 0
    {
        return Err(Unsearchable::WhichLink);
    }
    let up = std::iter::successors(Some(first), |address| after(*address));
    let down = std::iter::successors(Some(last), |address| crate::scope::before(*address));
    let ends = [link_at(routes, up), link_at(routes, down)];
    match ends {
        [Some(one), Some(other)] if one == other => Ok(one),
        [None, None] => Err(Unsearchable::NotOnLink),
        _ => Err(Unsearchable::Partly),
    }
}

/// The interface on whose link the first of these addresses is that is not our own.
fn link_at(routes: &Routes, mut edge: impl Iterator<Item = IpAddr>) -> Option<u32> {
    let is_plain = |address: &IpAddr| {
        !routes.to(*address).is_ok_and(|way| matches!(way.hop, Hop::Local | Hop::Everybody))
    };
    let address = edge.by_ref().take(EDGE).find(is_plain)?;
    let route = routes.to(address).ok()?;
    routes.is_on_link(address).then_some(route.interface)
}

impl AreaLink {
    /// From where everybody is asked: the link-local address, and of the others those in the
    /// areas, or any if there is none: who answers chooses an address of the same scope, the
    /// nearest to ours (RFC 6724, section 5).
    fn sources(&self) -> Vec<Ipv6Addr> {
        let own = self.own();
        let is_inside =
            |own: &&Ipv6Addr| self.areas.iter().any(|area| area.area().contains(IpAddr::V6(**own)));
        let is_wide = |own: &&Ipv6Addr| !own.is_unicast_link_local();
        let inside: Vec<Ipv6Addr> = own.iter().filter(is_wide).filter(is_inside).copied().collect();
        let wants_wide = self.areas.iter().any(|area| match area.area().last() {
            IpAddr::V6(last) => !last.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        });
        let any = own.iter().filter(is_wide).take(usize::from(wants_wide && inside.is_empty()));
        let link_local = self.interface.link_local().into_iter();
        link_local.chain(inside.iter().chain(any).copied()).take(MOST_SOURCES).collect()
    }

    fn own(&self) -> Vec<Ipv6Addr> {
        let of_v6 = |(address, _): &(IpAddr, u8)| match address {
            IpAddr::V6(v6) => Some(*v6),
            IpAddr::V4(_) => None,
        };
        self.interface.addresses.iter().filter_map(of_v6).collect()
    }

    /// How many questions everybody gets at most.
    #[must_use]
    pub fn most_packets(&self, tier: Tier) -> u64 {
        let sources = u64::try_from(self.sources().len()).unwrap_or(u64::MAX);
        let each = match tier {
            Tier::Raw => {
                let routers = u64::from(self.interface.link_local().is_some());
                sources.saturating_mul(2).saturating_add(1).saturating_add(routers)
            }
            Tier::Connect => sources,
        };
        each.saturating_mul(ROUNDS)
    }

    /// What the system knows of the link, with addresses that were seen `before`.
    ///
    /// # Errors
    ///
    /// [`LinkError::System`] if the kernel does not tell.
    pub fn known(&self, before: Vec<IpAddr>) -> Result<Known, LinkError> {
        let entries = neighbors()?.into_iter().filter(|e| e.interface == self.interface.index);
        let neighbors = entries.filter_map(|entry| {
            let mac = match entry.state {
                State::Permanent => entry.mac,
                _ => entry.heard().map(|heard| heard.mac),
            };
            Some((entry.address, mac?))
        });
        Ok(Known { own: self.own(), neighbors: neighbors.collect(), before })
    }

    /// Opens it for asking everybody, and says what of that is not possible here, in words.
    /// `key` keys the cookies and should be random.
    ///
    /// # Errors
    ///
    /// [`LinkError::Open`], [`LinkError::Unprivileged`] and [`LinkError::Down`] in the tier
    /// `raw`.
    pub fn open(
        &self,
        tier: Tier,
        key: [u8; 16],
    ) -> Result<(Box<dyn GroupLink>, Vec<String>), LinkError> {
        let mut lacks = Vec::new();
        if self.interface.link_local().is_none() {
            lacks.push(format!(
                "{} has no link-local address: nobody is asked from one, nor who is a router",
                self.interface.name
            ));
        }
        let sources = self.sources();
        if tier == Tier::Raw {
            return Ok((Box::new(raw::RawGroup::open(&self.interface, sources, key)?), lacks));
        }
        Ok(match ping::PingGroup::open(&self.interface, &sources, key) {
            Ok(group) => {
                lacks.push(
                    "without CAP_NET_RAW everybody is asked by echo only: who ignores that is \
                     found only where the system or the inventory knows it"
                        .to_owned(),
                );
                (Box::new(group), lacks)
            }
            Err(error) => {
                let why = match error.kind() {
                    io::ErrorKind::PermissionDenied => {
                        "this system allows no echo without privilege (net.ipv4.ping_group_range)"
                            .to_owned()
                    }
                    _ => format!("no echo socket can be had ({error})"),
                };
                lacks.push(format!(
                    "{why} and there is no CAP_NET_RAW: nobody is asked by group, only what the \
                     system's neighbour table and the inventory know is asked"
                ));
                (Box::new(Nobody(Clock::start())), lacks)
            }
        })
    }
}

/// A link on which nobody can be asked by group.
struct Nobody(Clock);

impl GroupLink for Nobody {
    fn questions(&self) -> Vec<GroupQuestion> {
        Vec::new()
    }

    fn send(&mut self, _: SearchPermit, _: GroupQuestion) -> Result<(), LinkError> {
        Err(LinkError::Busy { source: io::ErrorKind::Unsupported.into() })
    }

    fn receive(&mut self, _: Duration) -> Result<Option<GroupReply>, LinkError> {
        Ok(None)
    }

    fn drops(&mut self) -> u64 {
        0
    }

    fn now(&self) -> Duration {
        self.0.now()
    }

    fn timestamp(&self) -> Timestamp {
        self.0.timestamp()
    }
}
