//! Whole courses of questions through the kernel's own maker of probes (`xdp`).
//!
//! It is asked for where a sweep is faster than one system call for a batch of frames
//! allows. What it cannot do, for whatever reason, the raw tier does as ever.

use std::io;

use model::MacAddr;

use super::{
    Bulk, BulkKind, BulkSent, Whom,
    raw::RawLink,
    routes::Hop,
    xdp::{self, Sender, Targets, Unfit, Work},
};
use crate::LinkError;

/// Whether courses may be asked in the kernel, and what became of it.
#[derive(Debug, Default)]
pub(super) enum Maker {
    /// Nobody wants that.
    #[default]
    Unwanted,
    /// Wanted, not begun.
    Wanted,
    /// Open, through the interface of that number.
    Open(u32, Box<Sender>),
    /// Tried, without success.
    Unfit,
}

impl RawLink {
    /// Has courses asked in the kernel from now on, where that can be.
    pub(super) fn want_maker(&mut self) {
        self.maker = Maker::Wanted;
    }

    /// Whether courses may be taken over.
    pub(super) const fn has_maker(&self) -> bool {
        matches!(self.maker, Maker::Wanted | Maker::Open(..))
    }

    /// Begins a course there.
    pub(super) fn begin_there(&mut self, bulk: &Bulk<'_>) -> bool {
        self.try_begin(bulk).is_ok()
    }

    fn try_begin(&mut self, bulk: &Bulk<'_>) -> Result<(), Unfit> {
        let place = self.one_path(bulk)?;
        // Answers are heard through the channel.
        self.channel(place).map_err(|error| Unfit::new(error.to_string()))?;
        let none = || Unfit::new("there is no way");
        let path = self.paths.get_mut(place).ok_or_else(none)?;
        let (interface, mac, hop, router) =
            (path.route.interface, path.mac, path.route.hop, path.router);
        let Some(std::net::IpAddr::V4(ours)) = path.route.source else { return Err(none()) };
        let next_hop = match (bulk.kind, hop) {
            (BulkKind::Arp, _) => Some(MacAddr::BROADCAST),
            (BulkKind::Syn | BulkKind::Echo, Hop::Gateway(_)) => match (router, self.first(bulk)) {
                (Some(router), _) => Some(router),
                (None, Some(address)) => self.mac_of(place, address).ok(),
                (None, None) => None,
            },
            (BulkKind::Syn | BulkKind::Echo, _) => None,
        };
        let targets = match (bulk.whom, next_hop) {
            (Whom::All(addresses), Some(next_hop)) => Targets::ranges(addresses, next_hop)?,
            (Whom::All(_), None) => return Err(none()),
            (Whom::Some(permits), _) => {
                let hops = permits.iter().map(|permit| {
                    let mac = next_hop.or_else(|| self.neighbors.mac(permit.address()));
                    mac.map(|mac| (*permit, mac))
                });
                let hops: Option<Vec<_>> = hops.collect();
                Targets::hosts(hops.ok_or_else(|| Unfit::new("not all are known on the link"))?)?
            }
        };
        let work = Work {
            order: *bulk.order,
            targets,
            ports: bulk.ports.to_vec(),
            kind: match bulk.kind {
                BulkKind::Arp => xdp::Kind::Arp,
                BulkKind::Echo => xdp::Kind::Echo,
                BulkKind::Syn => xdp::Kind::Syn,
            },
            ours,
            mac,
            cookies: self.cookies.clone(),
        };
        let mut sender = match std::mem::take(&mut self.maker) {
            Maker::Open(index, sender) if index == interface => sender,
            _ => match Sender::open(interface) {
                Ok(sender) => Box::new(sender),
                Err(unfit) => {
                    self.maker = Maker::Unfit;
                    return Err(unfit);
                }
            },
        };
        let begun = sender.begin(&work);
        self.maker = Maker::Open(interface, sender);
        begun?;
        if let (BulkKind::Arp, Whom::All(addresses)) = (bulk.kind, bulk.whom) {
            for address in (0..addresses.count()).filter_map(|number| addresses.at(number)) {
                self.neighbors.ask(address);
            }
        }
        Ok(())
    }

    fn first(&self, bulk: &Bulk<'_>) -> Option<std::net::IpAddr> {
        match bulk.whom {
            Whom::All(addresses) => addresses.at(0),
            Whom::Some(permits) => permits.first().map(|permit| permit.address()),
        }
    }

    /// The path of all of them, if it is one.
    fn one_path(&mut self, bulk: &Bulk<'_>) -> Result<usize, Unfit> {
        let mut path = None;
        let mut look = |link: &mut Self, address| {
            let found = link.paths.find(&link.routes, &link.interfaces, address);
            let found = found.ok_or_else(|| Unfit::new("there is no way for frames"))?;
            match *path.get_or_insert(found) == found {
                true => Ok(()),
                false => Err(Unfit::new("not all are reached by one way")),
            }
        };
        match bulk.whom {
            Whom::All(addresses) => {
                for number in 0..addresses.count() {
                    if let Some(address) = addresses.at(number) {
                        look(self, address)?;
                    }
                }
            }
            Whom::Some(permits) => {
                for permit in permits {
                    look(self, permit.address())?;
                }
            }
        }
        path.ok_or_else(|| Unfit::new("there is nobody to ask"))
    }

    /// Sends for the next places of the course.
    pub(super) fn send_there(
        &mut self,
        from: u64,
        until: u64,
        most: u32,
    ) -> Result<BulkSent, LinkError> {
        let Maker::Open(index, sender) = &mut self.maker else {
            return Err(LinkError::Busy { source: io::ErrorKind::NotConnected.into() });
        };
        if sender.cursor() != from {
            sender.seek(from);
        }
        match sender.send(until, most) {
            Ok(sent) => {
                Ok(BulkSent { place: sent.cursor, questions: sent.frames, refused: sent.refused })
            }
            Err(source) => match source.raw_os_error() {
                Some(libc::ENODEV | libc::ENETDOWN | libc::ENXIO) => {
                    let interface = self
                        .interfaces
                        .get(index)
                        .map_or_else(|| format!("number {index}"), |found| found.name.clone());
                    Err(LinkError::Down { interface, source })
                }
                _ => Err(LinkError::Busy { source }),
            },
        }
    }

    /// A question of the course needs no asking any more.
    pub(super) fn settle_there(&mut self, question: u64) {
        if let Maker::Open(_, sender) = &self.maker {
            sender.settle(question);
        }
    }
}
