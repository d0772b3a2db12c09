//! The tier `raw`: frames of our own (CAP_NET_RAW).
//!
//! Targets on a link of ours are asked with ARP or neighbour solicitation, and everybody
//! with packets that carry a cookie. SYNs leave from ports that the kernel does not use,
//! so it answers a SYN-ACK with RST, which is wanted: it closes the half-open connection
//! on the device. For the same reason it answers a UDP reply with "port unreachable".
//!
//! One packet goes elsewhere than to a permitted target: the question for the router's
//! link-layer address, if the kernel does not know it.
//!
//! The machine's own addresses, and targets behind links without Ethernet frames (tunnels,
//! point to point), are asked by the tier `connect` inside: Linux takes packets from
//! itself that come in as frames for forged ones, on loopback too, and drops them.

use std::{
    collections::{HashMap, VecDeque},
    fs, io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    time::Duration,
};

use model::{MacAddr, Timestamp};
use wire::{ethernet, ip::Ends};

use super::{
    Answer, Link, Neighbor, Question, Reply, Tier,
    clock::Clock,
    connect::ConnectLink,
    interfaces::{Hop, Interface, Route, Routes, interfaces},
    neighbors::neighbors,
    raw_channel::{Channel, Outlet},
    raw_cookie::{Cookies, ports_beside},
    raw_frames::{Heard, no_address, packet, who_has},
};
use crate::{LinkError, Permit};

/// How many answers may wait for us. Each is small but for UDP answers.
const QUEUE: usize = 65_536;

/// How often the interfaces in use are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How long the first, second and third question for a router's link-layer address waits.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often it is asked.
const ATTEMPTS: usize = 3;

/// How long nobody is asked again who did not answer that.
const REST: Duration = Duration::from_secs(5);

/// How fresh the kernel's own knowledge of a router has to be.
const FRESH: Duration = Duration::from_secs(60);

/// How often the tier inside is asked for answers while it has questions under way.
const TURN: Duration = Duration::from_millis(2);

/// Frames of our own as a [`Link`].
pub struct RawLink {
    clock: Clock,
    cookies: Cookies,
    routes: Routes,
    only: Option<Interface>,
    interfaces: HashMap<u32, Interface>,
    channels: HashMap<u32, Channel>,
    outlet: Outlet,
    heard: Receiver<Heard>,
    /// Whom we asked with ARP or neighbour solicitation, and the answer since.
    asked: HashMap<IpAddr, Option<MacAddr>>,
    /// Where next hops are, by interface.
    hops: HashMap<(u32, IpAddr), MacAddr>,
    /// Who did not answer, and until when nobody asks again.
    silent: HashMap<(u32, IpAddr), Duration>,
    ready: VecDeque<Reply>,
    inside: ConnectLink,
    /// Until when the tier inside may have answers.
    inside_until: Duration,
    next_look: Duration,
}

impl std::fmt::Debug for RawLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawLink").field("only", &self.only).finish_non_exhaustive()
    }
}

impl RawLink {
    /// Opens the tier, through one interface only, if one is given. `key` keys the
    /// cookies: answers to questions with another key are not ours. Interfaces are opened
    /// when the first question leaves through them.
    ///
    /// # Errors
    ///
    /// [`LinkError::Unprivileged`] without CAP_NET_RAW, and what
    /// [`ConnectLink::open`] says.
    pub fn open(only: Option<Interface>, key: [u8; 16]) -> Result<Self, LinkError> {
        super::capabilities::raw_sockets(only.as_ref().map(|only| only.name.as_str()))?;
        let clock = Clock::start();
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        // Without /proc the usual range is taken.
        let ports = ports_beside(&range.unwrap_or_default());
        let (sender, heard) = sync_channel(QUEUE);
        Ok(Self {
            clock,
            cookies: Cookies::new(key, ports),
            routes: Routes::open(only.as_ref().map(|interface| interface.index))?,
            interfaces: by_index()?,
            inside: ConnectLink::with_clock(only.clone(), key, clock)?,
            only,
            channels: HashMap::new(),
            outlet: Outlet { heard: sender, overflow: Arc::new(AtomicU64::new(0)) },
            heard,
            asked: HashMap::new(),
            hops: HashMap::new(),
            silent: HashMap::new(),
            ready: VecDeque::new(),
            inside_until: Duration::ZERO,
            next_look: Duration::ZERO,
        })
    }

    /// The way to an address, if it is one for frames.
    fn way(&self, address: IpAddr) -> Way {
        let Ok(route) = self.routes.to(address) else { return Way::None };
        let mac = self
            .interfaces
            .get(&route.interface)
            .and_then(|interface| interface.mac.filter(|_| interface.speaks_ethernet));
        match (route.hop, mac) {
            (Hop::Local, _) | (Hop::Link | Hop::Gateway(_), None) => Way::Inside,
            (Hop::Everybody, _) => Way::None,
            (Hop::Link, Some(mac)) => Way::Frames { route, mac, next: address },
            (Hop::Gateway(next), Some(mac)) => Way::Frames { route, mac, next },
        }
    }

    fn ask(&mut self, to: Permit, question: &Question) -> Result<(), LinkError> {
        let address = to.address();
        let Way::Frames { route, mac, next } = self.way(address) else {
            // The tier inside also knows the words for what is wrong with a route.
            self.inside.send(to, question)?;
            self.inside_until = self.clock.now() + Duration::from_secs(1);
            return Ok(());
        };
        let on_link = route.hop == Hop::Link;
        if matches!(question, Question::Arp | Question::NeighborSolicitation) {
            if !on_link || address.is_ipv4() != (*question == Question::Arp) {
                return Err(LinkError::Send { address, source: io::ErrorKind::Unsupported.into() });
            }
            self.asked.insert(address, None);
            return self.who_has(route, mac, address, address);
        }
        let ends = route.source.and_then(|source| Ends::new(source, address));
        let Some(ends) = ends else {
            let source = io::Error::from_raw_os_error(libc::EADDRNOTAVAIL);
            return Err(LinkError::NoRoute { address, source });
        };
        let Some(packet) = packet(&self.cookies, ends, question) else { return Ok(()) };
        let mtu = self.interfaces.get(&route.interface).map_or(u32::MAX, |found| found.mtu);
        if packet.len() > usize::try_from(mtu).unwrap_or(usize::MAX) {
            let source = io::Error::from_raw_os_error(libc::EMSGSIZE);
            return Err(LinkError::Send { address, source });
        }
        let their_mac = self.mac_of(route, mac, next, address)?;
        let kind = if address.is_ipv4() { ethernet::IPV4 } else { ethernet::IPV6 };
        let frame = ethernet::frame(their_mac, mac, kind, &packet);
        self.send_frame(route.interface, mac, address, &frame)
    }

    /// Asks the link for the address `wanted`, on behalf of a question to `address`.
    fn who_has(
        &mut self,
        route: Route,
        mac: MacAddr,
        wanted: IpAddr,
        address: IpAddr,
    ) -> Result<(), LinkError> {
        let link_local = self.interfaces.get(&route.interface).and_then(Interface::link_local);
        let of_family = route.source.filter(|source| source.is_ipv4() == wanted.is_ipv4());
        let source = match wanted {
            // A router answers its link-local address to ours, which it surely reaches.
            IpAddr::V6(v6) if v6.is_unicast_link_local() => link_local.map(IpAddr::V6),
            // An IPv4 packet may go by an IPv6 router.
            IpAddr::V6(_) => of_family.or(link_local.map(IpAddr::V6)),
            IpAddr::V4(_) => of_family,
        };
        let source = source.unwrap_or_else(|| no_address(wanted));
        let Some(frame) = who_has(mac, source, wanted) else { return Ok(()) };
        self.send_frame(route.interface, mac, address, &frame)
    }

    /// Where the next hop is: from what we heard, from the kernel, or by asking, which
    /// waits for the answer. That is for routers, once each; targets on the link have
    /// been asked before they get here, or else they are now.
    fn mac_of(
        &mut self,
        route: Route,
        mac: MacAddr,
        next: IpAddr,
        address: IpAddr,
    ) -> Result<MacAddr, LinkError> {
        let hop = (route.interface, next);
        if let Some(known) = self.hops.get(&hop) {
            return Ok(*known);
        }
        let unreachable = || LinkError::NoRoute {
            address,
            source: io::Error::new(
                io::ErrorKind::HostUnreachable,
                format!("{next} does not tell its link-layer address"),
            ),
        };
        if self.silent.get(&hop).is_some_and(|until| self.clock.now() < *until) {
            return Err(unreachable());
        }
        let known = neighbors()?.into_iter().find(|entry| {
            entry.address == next && entry.interface == route.interface && entry.confirmed < FRESH
        });
        if let Some(neighbor) = known.and_then(|entry| entry.heard()) {
            self.hops.insert(hop, neighbor.mac);
            return Ok(neighbor.mac);
        }
        for _ in 0..ATTEMPTS {
            self.who_has(route, mac, next, address)?;
            let end = self.clock.now() + PATIENCE;
            while self.clock.now() < end {
                self.look()?;
                let left = end.saturating_sub(self.clock.now()).min(LOOK);
                let Ok(heard) = self.heard.recv_timeout(left) else { continue };
                if let Heard::Claim { address, mac, .. } = heard
                    && address == next
                {
                    self.hops.insert(hop, mac);
                }
                self.take(heard);
                if let Some(known) = self.hops.get(&hop) {
                    return Ok(*known);
                }
            }
        }
        self.silent.insert(hop, self.clock.now() + REST);
        Err(unreachable())
    }

    fn send_frame(
        &mut self,
        index: u32,
        mac: MacAddr,
        address: IpAddr,
        frame: &[u8],
    ) -> Result<(), LinkError> {
        if !self.channels.contains_key(&index) {
            let Some(interface) = self.interfaces.get(&index) else {
                let source = io::Error::from_raw_os_error(libc::ENODEV);
                return Err(LinkError::Down { interface: format!("number {index}"), source });
            };
            let channel = Channel::open(interface, mac, self.cookies.clone(), self.outlet.clone())?;
            self.channels.insert(index, channel);
        }
        let Some(channel) = self.channels.get_mut(&index) else { return Ok(()) };
        channel.send(frame).map_err(|source| match (source.raw_os_error(), source.kind()) {
            (Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV), _) => {
                LinkError::Down { interface: channel.name.clone(), source }
            }
            (Some(libc::ENOBUFS | libc::ENOMEM | libc::EAGAIN), _)
            | (_, io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                LinkError::Busy { source }
            }
            _ => LinkError::Send { address, source },
        })
    }

    /// What was heard becomes a reply, if it is one to a question of ours.
    fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Reply(mut reply) => {
                // Behind a router the frame's sender is the router.
                reply.mac = reply.mac.filter(|_| self.routes.is_on_link(reply.about));
                self.ready.push_back(reply);
            }
            Heard::Claim { address, mac, from, ttl } => {
                let Some(last) = self.asked.get_mut(&address) else { return };
                // Our kernel asks the same neighbours, for its RSTs, and we hear them
                // answer that too. Another answerer than before is news, however.
                if last.replace(mac) == Some(mac) {
                    return;
                }
                if let Ok(route) = self.routes.to(address) {
                    self.hops.insert((route.interface, address), mac);
                    self.silent.remove(&(route.interface, address));
                }
                let answer = match address {
                    IpAddr::V4(_) => Answer::Arp(mac),
                    IpAddr::V6(_) => Answer::Neighbor(mac),
                };
                self.ready.push_back(Reply { about: address, answer, ttl, mac: Some(from) });
            }
        }
    }

    /// Whether the interfaces in use are still there: a socket that only listens hears
    /// nothing from one that is gone, for ever.
    fn look(&mut self) -> Result<(), LinkError> {
        let now = self.clock.now();
        if now < self.next_look {
            return Ok(());
        }
        self.next_look = now + LOOK;
        for (index, channel) in &self.channels {
            let gone = |source| LinkError::Down { interface: channel.name.clone(), source };
            self.routes.check(*index).map_err(gone)?;
            if let Some(source) = channel.take_loss() {
                return Err(gone(source));
            }
        }
        Ok(())
    }
}

/// The way to an address.
enum Way {
    /// There is none, or none to one address alone.
    None,
    /// The tier inside asks.
    Inside,
    /// Frames from `mac` to the link-layer address of `next`.
    Frames { route: Route, mac: MacAddr, next: IpAddr },
}

fn by_index() -> Result<HashMap<u32, Interface>, LinkError> {
    Ok(interfaces()?.into_iter().map(|interface| (interface.index, interface)).collect())
}

impl Link for RawLink {
    fn tier(&self) -> Tier {
        Tier::Raw
    }

    fn is_on_link(&self, address: IpAddr) -> bool {
        self.routes.is_on_link(address)
    }

    fn can_ask(&self, address: IpAddr, question: &Question) -> bool {
        match (self.way(address), question) {
            (Way::Frames { route, .. }, Question::Arp) => {
                address.is_ipv4() && route.hop == Hop::Link
            }
            (Way::Frames { route, .. }, Question::NeighborSolicitation) => {
                address.is_ipv6() && route.hop == Hop::Link
            }
            (Way::Frames { .. }, _) => true,
            (Way::Inside | Way::None, question) => self.inside.can_ask(address, question),
        }
    }

    fn send(&mut self, to: Permit, question: &Question) -> Result<(), LinkError> {
        self.ask(to, question)
    }

    fn receive(&mut self, until: Duration) -> Result<Option<Reply>, LinkError> {
        loop {
            while let Ok(heard) = self.heard.try_recv() {
                self.take(heard);
            }
            if let Some(reply) = self.ready.pop_front() {
                return Ok(Some(reply));
            }
            let now = self.clock.now();
            let inside_is_asked = now < self.inside_until;
            if inside_is_asked && let Some(reply) = self.inside.receive(now)? {
                return Ok(Some(reply));
            }
            self.look()?;
            let now = self.clock.now();
            if now >= until {
                return Ok(None);
            }
            let most = if inside_is_asked { TURN } else { LOOK };
            match self.heard.recv_timeout(until.saturating_sub(now).min(most)) {
                Ok(heard) => self.take(heard),
                // The queue has its other end in `outlet`, so it is never closed.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    fn neighbors(&mut self) -> Vec<Neighbor> {
        self.inside.neighbors()
    }

    fn drops(&mut self) -> u64 {
        // The kernel counts every frame that found no room, answers and others alike.
        let kernel: u64 = self.channels.values_mut().map(Channel::losses).sum();
        self.outlet.overflow.load(Ordering::Relaxed).saturating_add(kernel)
    }

    fn most_under_way(&self) -> Option<usize> {
        None
    }

    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn timestamp(&self) -> Timestamp {
        self.clock.timestamp()
    }
}
