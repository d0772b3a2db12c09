//! The tier `raw`: frames of our own (CAP_NET_RAW).
//!
//! Targets on a link of ours are asked with ARP or neighbour solicitation, and everybody
//! with packets that carry a cookie. SYNs leave from ports that the kernel does not use,
//! so it answers a SYN-ACK with RST, which is wanted: it closes the half-open connection
//! on the device. For the same reason it answers a UDP reply with "port unreachable".
//!
//! Questions wait in a batch for each interface until it is full or flushed; answers are
//! heard by a thread for each interface, and wait in one mailbox. What can be known before
//! is: the way, the headers, the next hop. So a question costs little more than its cookie.
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
    time::Duration,
};

use model::{MacAddr, Timestamp};

pub use super::raw_channel::Via;
use super::{
    Answer, Bulk, BulkSent, Link, Neighbor, Question, Reply, Tier,
    clock::Clock,
    connect::ConnectLink,
    interfaces::{Interface, interfaces},
    neighbors::{Entry, neighbors},
    raw_bulk::Maker,
    raw_channel::Channel,
    raw_cookie::{Cookies, ports_beside},
    raw_frames::{Heard, no_address, who_has},
    raw_mailbox::Mailbox,
    raw_neighbors::{Claim, Neighbors},
    raw_paths::{Path, Paths, Way, way},
    routes::{Hop, Routes},
};
use crate::{LinkError, Permit};

/// The least length of a frame (IEEE 802.3, 4A.4.2), to which shorter ones are filled up.
const LEAST: usize = 60;

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
    pub(super) cookies: Cookies,
    pub(super) routes: Routes,
    only: Option<Interface>,
    via: Via,
    pub(super) interfaces: HashMap<u32, Interface>,
    pub(super) paths: Paths,
    channels: Vec<Channel>,
    mailbox: Mailbox,
    pub(super) neighbors: Neighbors,
    /// Who makes whole courses of questions.
    pub(super) maker: Maker,
    /// Where routers are, by interface: every link may have its own of one address.
    routers: HashMap<(u32, IpAddr), MacAddr>,
    /// Who did not answer, and until when nobody asks again.
    silent: HashMap<(u32, IpAddr), Duration>,
    /// Questions that were taken and then refused, which [`Link::flush`] tells.
    refused: VecDeque<(IpAddr, io::Error)>,
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
        Self::open_via(Via::default(), only, key)
    }

    /// The same, by a way of one's own choice.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open`].
    pub fn open_via(via: Via, only: Option<Interface>, key: [u8; 16]) -> Result<Self, LinkError> {
        super::capabilities::raw_sockets(only.as_ref().map(|only| only.name.as_str()))?;
        let clock = Clock::start();
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        // Without /proc the usual range is taken.
        let ports = ports_beside(&range.unwrap_or_default());
        Ok(Self {
            clock,
            cookies: Cookies::new(key, ports),
            routes: Routes::open(only.as_ref().map(|interface| interface.index))?,
            interfaces: by_index()?,
            inside: ConnectLink::with_clock(only.clone(), key, clock)?,
            only,
            via,
            paths: Paths::default(),
            channels: Vec::new(),
            mailbox: Mailbox::default(),
            neighbors: Neighbors::default(),
            maker: Maker::default(),
            routers: HashMap::new(),
            silent: HashMap::new(),
            refused: VecDeque::new(),
            ready: VecDeque::new(),
            inside_until: Duration::ZERO,
            next_look: Duration::ZERO,
        })
    }

    /// The way to an address.
    fn way(&self, address: IpAddr) -> (Way, Option<Hop>) {
        match self.routes.to(address) {
            Ok(route) => (way(&route, &self.interfaces), Some(route.hop)),
            Err(_) => (Way::None, None),
        }
    }

    fn ask(&mut self, to: Permit, question: &Question) -> Result<(), LinkError> {
        let address = to.address();
        let Some(place) = self.paths.find(&self.routes, &self.interfaces, address) else {
            // The tier inside also knows the words for what is wrong with a route.
            self.inside.send(to, question)?;
            self.inside_until = self.clock.now() + Duration::from_secs(1);
            return Ok(());
        };
        if matches!(question, Question::Arp | Question::NeighborSolicitation) {
            return self.ask_link(place, address, question);
        }
        let Some(path) = self.paths.get_mut(place) else { return Ok(()) };
        let known = match path.route.hop {
            Hop::Gateway(_) => path.router,
            _ => self.neighbors.mac(address),
        };
        let Some(headers) = &path.headers else {
            let source = io::Error::from_raw_os_error(libc::EADDRNOTAVAIL);
            return Err(LinkError::NoRoute { address, source });
        };
        // Where the next hop is not known, all but that is looked at first.
        let mac = known.unwrap_or(MacAddr([0; 6]));
        let Some(mut frame) = headers.write(&self.cookies, mac, address, question) else {
            return Err(LinkError::Send { address, source: io::ErrorKind::Unsupported.into() });
        };
        if frame.packet_len() > path.mtu {
            let source = io::Error::from_raw_os_error(libc::EMSGSIZE);
            return Err(LinkError::Send { address, source });
        }
        let open = path.channel;
        if known.is_none() {
            frame.set_receiver(self.mac_of(place, address)?);
        }
        let channel = match open {
            Some(channel) => channel,
            None => self.channel(place)?,
        };
        let Some(channel) = self.channels.get_mut(channel) else { return Ok(()) };
        channel.push(address, frame.parts(), LEAST, &mut self.refused)
    }

    /// Asks the link where a target is.
    fn ask_link(
        &mut self,
        place: usize,
        address: IpAddr,
        question: &Question,
    ) -> Result<(), LinkError> {
        let channel = self.channel(place)?;
        let Some(path) = self.paths.get_mut(place) else { return Ok(()) };
        if path.route.hop != Hop::Link || address.is_ipv4() != (*question == Question::Arp) {
            return Err(LinkError::Send { address, source: io::ErrorKind::Unsupported.into() });
        }
        let made;
        let frame: &[u8] = match (address, &mut path.who_has) {
            (IpAddr::V4(v4), Some(who_has)) => who_has.write(v4),
            _ => {
                made = solicitation(path, &self.interfaces, address);
                made.as_deref().unwrap_or_default()
            }
        };
        let Some(channel) = self.channels.get_mut(channel) else { return Ok(()) };
        channel.push(address, [frame, &[]], LEAST, &mut self.refused)?;
        self.neighbors.ask(address);
        Ok(())
    }

    /// Where the next hop is: from the kernel, or by asking, which waits for the answer.
    /// That is for routers, once each; targets on the link have been asked before they get
    /// here, or else they are now.
    pub(super) fn mac_of(&mut self, place: usize, address: IpAddr) -> Result<MacAddr, LinkError> {
        let channel = self.channel(place)?;
        let none = || LinkError::NoRoute { address, source: io::ErrorKind::NotFound.into() };
        let path = self.paths.get_mut(place).ok_or_else(none)?;
        let interface = path.route.interface;
        let next = match path.route.hop {
            Hop::Gateway(router) => router,
            Hop::Link | Hop::Local | Hop::Everybody => address,
        };
        let question = solicitation(path, &self.interfaces, next).ok_or_else(none)?;
        let unreachable = || LinkError::NoRoute {
            address,
            source: io::Error::new(
                io::ErrorKind::HostUnreachable,
                format!("{next} does not tell its link-layer address"),
            ),
        };
        if let Some(mac) = self.routers.get(&(interface, next)).copied() {
            self.paths.found(interface, next, mac);
            return Ok(mac);
        }
        if self.silent.get(&(interface, next)).is_some_and(|until| self.clock.now() < *until) {
            return Err(unreachable());
        }
        let ours = |entry: &Entry| entry.address == next && entry.interface == interface;
        let known = neighbors()?.into_iter().find(ours);
        if let Some(mac) = known.and_then(|entry| entry.destination(FRESH)) {
            self.found(place, next, mac);
            return Ok(mac);
        }
        for _ in 0..ATTEMPTS {
            if let Some(channel) = self.channels.get_mut(channel) {
                channel.send_now(address, &question)?;
            }
            let end = self.clock.now() + PATIENCE;
            while self.clock.now() < end {
                self.look()?;
                let left = end.saturating_sub(self.clock.now()).min(LOOK);
                let mut told = None;
                for heard in self.mailbox.take(left) {
                    if let Heard::Claim { address, mac, .. } = heard
                        && address == next
                    {
                        told = Some(mac);
                    }
                    self.take(heard);
                }
                if let Some(mac) = told {
                    self.found(place, next, mac);
                    return Ok(mac);
                }
            }
        }
        self.silent.insert((interface, next), self.clock.now() + REST);
        Err(unreachable())
    }

    /// The next hop of a path is there.
    fn found(&mut self, place: usize, address: IpAddr, mac: MacAddr) {
        let Some(path) = self.paths.get_mut(place) else { return };
        match path.route.hop {
            Hop::Gateway(_) => {
                let interface = path.route.interface;
                self.routers.insert((interface, address), mac);
                self.paths.found(interface, address, mac);
            }
            Hop::Link | Hop::Local | Hop::Everybody => self.neighbors.learn(address, mac),
        }
    }

    /// The place of the channel of a path, which is opened if nobody did.
    pub(super) fn channel(&mut self, place: usize) -> Result<usize, LinkError> {
        let Some(path) = self.paths.get_mut(place) else { return Ok(usize::MAX) };
        if let Some(channel) = path.channel {
            return Ok(channel);
        }
        let index = path.route.interface;
        let open = self.channels.iter().position(|channel| channel.index == index);
        let channel = match open {
            Some(channel) => channel,
            None => {
                let Some(interface) = self.interfaces.get(&index) else {
                    let source = io::Error::from_raw_os_error(libc::ENODEV);
                    return Err(LinkError::Down { interface: format!("number {index}"), source });
                };
                let outlet = self.mailbox.outlet();
                let channel = Channel::open(interface, path.mac, self.via, &self.cookies, &outlet)?;
                self.channels.push(channel);
                self.channels.len() - 1
            }
        };
        path.channel = Some(channel);
        Ok(channel)
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
                // Our kernel asks the same neighbours, for its RSTs, and we hear them
                // answer that too. Another answerer than before is news, however.
                if self.neighbors.hear(address, mac) != Claim::News {
                    return;
                }
                if let Ok(route) = self.routes.to(address) {
                    let hop = (route.interface, address);
                    self.silent.remove(&hop);
                    if let Some(router) = self.routers.get_mut(&hop) {
                        *router = mac;
                        self.paths.found(route.interface, address, mac);
                    }
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
        for channel in &self.channels {
            self.routes.check(channel.index).map_err(|source| channel.is_gone(source))?;
            if let Some(loss) = channel.take_loss() {
                return Err(loss);
            }
        }
        Ok(())
    }
}

/// The question for the link-layer address of `wanted` on the link of a path.
fn solicitation(
    path: &Path,
    interfaces: &HashMap<u32, Interface>,
    wanted: IpAddr,
) -> Option<Vec<u8>> {
    let link_local = interfaces.get(&path.route.interface).and_then(Interface::link_local);
    let of_family = path.route.source.filter(|source| source.is_ipv4() == wanted.is_ipv4());
    let source = match wanted {
        // A router answers its link-local address to ours, which it surely reaches.
        IpAddr::V6(v6) if v6.is_unicast_link_local() => link_local.map(IpAddr::V6),
        // An IPv4 packet may go by an IPv6 router.
        IpAddr::V6(_) => of_family.or(link_local.map(IpAddr::V6)),
        IpAddr::V4(_) => of_family,
    };
    who_has(path.mac, source.unwrap_or_else(|| no_address(wanted)), wanted)
}

fn by_index() -> Result<HashMap<u32, Interface>, LinkError> {
    Ok(interfaces()?.into_iter().map(|interface| (interface.index, interface)).collect())
}

impl Link for RawLink {
    fn tier(&self) -> Tier {
        Tier::Raw
    }

    fn io(&self) -> &'static str {
        match self.maker {
            Maker::Unwanted | Maker::Unfit => self.tier().as_str(),
            Maker::Wanted | Maker::Open(..) => "xdp",
        }
    }

    fn is_on_link(&self, address: IpAddr) -> bool {
        self.routes.is_on_link(address)
    }

    fn can_ask(&self, address: IpAddr, question: &Question) -> bool {
        let (way, hop) = self.way(address);
        let on_link = hop == Some(Hop::Link);
        match (way, question) {
            (Way::Frames(_), Question::Arp) => address.is_ipv4() && on_link,
            (Way::Frames(_), Question::NeighborSolicitation) => address.is_ipv6() && on_link,
            (Way::Frames(_), Question::Timestamp) => address.is_ipv4(),
            (Way::Frames(_), _) => true,
            (Way::Inside | Way::None, question) => self.inside.can_ask(address, question),
        }
    }

    fn send(&mut self, to: Permit, question: &Question) -> Result<(), LinkError> {
        self.ask(to, question)
    }

    fn asks_by_itself(&self) -> bool {
        self.has_maker()
    }

    fn begin_bulk(&mut self, course: &Bulk<'_>) -> bool {
        self.begin_there(course)
    }

    fn send_bulk(&mut self, from: u64, until: u64, most: u32) -> Result<BulkSent, LinkError> {
        self.send_there(from, until, most)
    }

    fn settle(&mut self, question: u64) {
        self.settle_there(question);
    }

    fn flush(&mut self) -> Result<(), LinkError> {
        let mut result = Ok(());
        for channel in &mut self.channels {
            // An interface that is gone is worse than one that is busy.
            match (channel.flush(&mut self.refused), &result) {
                (Ok(()), _) | (Err(LinkError::Busy { .. }), Err(_)) => {}
                (error, _) => result = error,
            }
        }
        match self.refused.pop_front() {
            Some((address, source)) => Err(LinkError::Send { address, source }),
            None => result,
        }
    }

    fn unsent(&self) -> usize {
        self.channels.iter().map(Channel::unsent).sum()
    }

    fn receive(&mut self, until: Duration) -> Result<Option<Reply>, LinkError> {
        let mut wait = Duration::ZERO;
        loop {
            if let Some(reply) = self.ready.pop_front() {
                return Ok(Some(reply));
            }
            for heard in self.mailbox.take(wait) {
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
            wait = until.saturating_sub(now).min(most);
        }
    }

    fn neighbors(&mut self) -> Vec<Neighbor> {
        self.inside.neighbors()
    }

    fn drops(&mut self) -> u64 {
        // The kernel counts every frame that found no room, answers and others alike.
        let kernel: u64 = self.channels.iter_mut().map(Channel::losses).sum();
        self.mailbox.lost().saturating_add(kernel)
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
