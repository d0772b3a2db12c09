//! An interface that is listened to, whatever becomes of it: frames as they come, and the times
//! in which none could.
//!
//! Sends nothing, ever. The interface may go down and come back, be taken away and put back
//! with another number: it is opened again as soon as it can be. Several may share an interface,
//! each of which hears a part of it (`fanout`).

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
    thread,
    time::Duration,
};

use model::Timestamp;

use super::{
    block,
    fanout::{Group, Member},
    filter,
    ring::Ring,
};
use crate::{
    LinkError,
    capture::LinkType,
    net::{interfaces, linux::Shape, raw_socket::Losses},
};

/// How long to wait before an interface that is away is looked for again.
const AGAIN: Duration = Duration::from_millis(200);

/// How long Ethernet's header is.
const ETHERNET: u32 = 14;

/// What came of listening for a while.
#[derive(Debug)]
pub enum Heard {
    /// Frames, of which so many could not be read: the kernel's block was damaged.
    Frames(u64),
    /// Nothing.
    Nothing,
    /// The interface went down or away just now.
    Down,
    /// It is there again just now.
    Up,
}

/// Who takes frames: how each begins, the VLAN of the tag that the card took off, when it came,
/// and its bytes.
pub type Take<'a> = &'a mut dyn FnMut(LinkType, Option<u16>, Timestamp, &[u8]);

/// An interface that is listened to.
#[derive(Debug)]
pub struct Monitor {
    interface: String,
    shape: Shape,
    open: Option<Open>,
    /// With whom it shares the interface, if with somebody.
    group: Option<Arc<Group>>,
    /// What rings lost that are closed.
    lost: u64,
}

#[derive(Debug)]
struct Open {
    ring: Ring,
    losses: Losses,
    link: LinkType,
    /// The number of the interface.
    index: u32,
    filter: Vec<libc::sock_filter>,
    /// Behind the ring and the other descriptor of its socket, which close before it goes.
    _member: Option<Member>,
}

impl Monitor {
    /// Opens the interface of that name, for all that passes there.
    ///
    /// # Errors
    ///
    /// Where there is none of that name, it is down, or the right to listen is missing
    /// (CAP_NET_RAW).
    pub fn open(interface: &str, shape: Shape) -> Result<Self, LinkError> {
        let mut all = Self::open_beside(interface, shape, 1)?;
        // One was asked for.
        all.pop().ok_or_else(|| LinkError::Open {
            interface: interface.to_owned(),
            source: io::ErrorKind::Other.into(),
        })
    }

    /// Opens the interface of that name for so many readers side by side, each with a ring of that
    /// shape. What two stations say to each other, in one direction and the other, comes to one of
    /// them; so does what is no IP.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_beside(
        interface: &str,
        shape: Shape,
        readers: usize,
    ) -> Result<Vec<Self>, LinkError> {
        let group = (readers > 1).then(Arc::default);
        let open = || {
            let open = Open::new(interface, shape, group.as_ref())?;
            let group = group.clone();
            Ok(Self { interface: interface.to_owned(), shape, open: Some(open), group, lost: 0 })
        };
        let all = (0..readers).map(|_| open()).collect::<Result<Vec<Self>, LinkError>>()?;
        // All are there before one of them hears something, so that none hears what is another's.
        for open in all.iter().filter_map(|one| one.open.as_ref()) {
            open.listen(interface)?;
        }
        Ok(all)
    }

    /// Its name.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Frames that found no room until now, by the kernel's count.
    pub fn lost(&mut self) -> u64 {
        let now = self.open.as_mut().map_or(0, |open| open.losses.total());
        self.lost.saturating_add(now)
    }

    /// Hands on what has come, each frame with the tag that the card took off; waits so long at
    /// most where nothing has.
    ///
    /// # Errors
    ///
    /// Where the system does not let us wait, or whoever opens our sockets is gone.
    pub fn listen(&mut self, patience: Duration, take: Take<'_>) -> io::Result<Heard> {
        let Some(open) = &mut self.open else {
            return self.look_again(patience);
        };
        if let Some(damaged) = open.read(take) {
            return Ok(Heard::Frames(damaged));
        }
        match wait(&open.ring, patience)? {
            Woken::Block => Ok(match open.read(take) {
                Some(damaged) => Heard::Frames(damaged),
                None => Heard::Nothing,
            }),
            Woken::Nothing => Ok(Heard::Nothing),
            Woken::Broken => {
                // What it holds was heard before it went.
                while open.read(take).is_some() {}
                self.lost = self.lost();
                self.open = None;
                Ok(Heard::Down)
            }
        }
    }

    fn look_again(&mut self, patience: Duration) -> io::Result<Heard> {
        let open = Open::new(&self.interface, self.shape, self.group.as_ref());
        match open.and_then(|open| open.listen(&self.interface).map(|()| open)) {
            Ok(open) => {
                self.open = Some(open);
                Ok(Heard::Up)
            }
            // Whoever opens sockets for us is gone, and nobody else may.
            Err(LinkError::Open { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
                Err(source)
            }
            Err(_) => {
                thread::sleep(patience.min(AGAIN));
                Ok(Heard::Nothing)
            }
        }
    }
}

impl Open {
    /// Opens it, deaf until it is to listen.
    fn new(name: &str, shape: Shape, group: Option<&Arc<Group>>) -> Result<Self, LinkError> {
        let interface = interfaces::interface(name)?;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied => {
                LinkError::Unprivileged { interface: name.to_owned() }
            }
            _ => LinkError::Open { interface: name.to_owned(), source },
        };
        if !interface.up {
            let source = io::Error::from_raw_os_error(libc::ENETDOWN);
            return Err(LinkError::Down { interface: name.to_owned(), source });
        }
        let (link, header, filter) = match interface.kind {
            // Frames of the loopback have Ethernet's form.
            interfaces::Kind::Loopback => (LinkType::Ethernet, ETHERNET, filter::for_watch()),
            _ if interface.mac.is_some() => (LinkType::Ethernet, ETHERNET, filter::for_watch()),
            // Packets alone; the program would look for a header before them.
            _ => (LinkType::RawIp, 0, filter::for_all()),
        };
        let ring = Ring::open_to_all(interface.index, shape).map_err(failed)?;
        let losses = Losses::of(ring.socket().map_err(failed)?);
        let join = |group: &Arc<Group>| ring.join(group, &filter::for_fanout(header));
        let member = group.map(join).transpose().map_err(failed)?;
        Ok(Self { ring, losses, link, index: interface.index, filter, _member: member })
    }

    fn listen(&self, name: &str) -> Result<(), LinkError> {
        let failed = |source| LinkError::Open { interface: name.to_owned(), source };
        self.ring.listen(self.index, &self.filter).map_err(failed)
    }

    /// Reads a round of the ring at most, so that a flood keeps nobody from stopping. `None`
    /// where nothing has come.
    fn read(&mut self, take: Take<'_>) -> Option<u64> {
        let mut all: Option<u64> = None;
        let link = self.link;
        for _ in 0..self.ring.blocks() {
            let damaged = self.ring.take(|block| {
                let mut damaged = 0;
                for frame in block::frames(block) {
                    match frame {
                        Ok(frame) => {
                            take(link, frame.tag.map(block::Tag::vlan), frame.at, frame.bytes);
                        }
                        Err(_) => damaged += 1,
                    }
                }
                damaged
            });
            let Some(damaged) = damaged else { break };
            all = Some(all.unwrap_or(0).saturating_add(damaged));
        }
        all
    }
}

enum Woken {
    Block,
    Nothing,
    Broken,
}

/// Waits until there is a block, or an end of it, or long enough.
#[expect(unsafe_code, reason = "std does not offer poll(2)")]
fn wait(ring: &Ring, patience: Duration) -> io::Result<Woken> {
    let fd = ring.as_fd().as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN | libc::POLLERR, revents: 0 };
    let millis = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer is that of one structure, which lives until the call returns, and so
    // does the descriptor.
    let ready = unsafe { libc::poll(&raw mut poll, 1, millis) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::Interrupted => Ok(Woken::Nothing),
            _ => Err(error),
        };
    }
    match poll.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) {
        0 if ready == 0 => Ok(Woken::Nothing),
        0 => Ok(Woken::Block),
        _ => Ok(Woken::Broken),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Instant};

    use model::{MacAddr, Site, Vantage};
    use pnet::datalink::{self, Channel};
    use wire::{
        ethernet,
        ip::{self, Ends},
        udp,
    };

    use super::*;
    use crate::{capture::Capture, net::xdp::tests::on_a_cable};

    const SHAPE: Shape = Shape { block_size: 1 << 17, blocks: 16, age: 5 };
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\r\n";

    fn mac(number: u8) -> MacAddr {
        MacAddr([0x02, 0, 0, 0, 0x53, number])
    }

    fn between(from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
        let ends = Ends::new(from.into(), to.into()).unwrap();
        let packet = ip::packet(ends, protocol, 64, payload);
        ethernet::frame(mac(to[3]), mac(from[3]), ethernet::IPV4, &packet)
    }

    /// A client asks a web server, which answers.
    fn conversation(client: [u8; 4], server: [u8; 4]) -> Vec<Vec<u8>> {
        let segment = |by_client: bool, numbers: (u32, u32), flags: u8, data: &[u8]| {
            let ports = if by_client { [40_000_u16, 80] } else { [80, 40_000] };
            let mut bytes = ports.map(u16::to_be_bytes).concat();
            bytes.extend([numbers.0.to_be_bytes(), numbers.1.to_be_bytes()].concat());
            bytes.extend([0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
            bytes.extend(data);
            let (from, to) = if by_client { (client, server) } else { (server, client) };
            between(from, to, ip::TCP, &bytes)
        };
        vec![
            segment(true, (100, 0), 0x02, &[]),
            segment(false, (300, 101), 0x12, &[]),
            segment(true, (101, 301), 0x18, GET),
            segment(false, (301, 200), 0x18, OK),
        ]
    }

    /// Many conversations; one inside of a tunnel, whose ports are others in each direction; a
    /// message in two fragments; and who asks for addresses.
    fn said() -> Vec<Vec<u8>> {
        let mut frames: Vec<Vec<u8>> =
            (2..60).flat_map(|n| conversation([198, 18, 0, n], [198, 18, 1, 1])).collect();
        let ends = [[198, 18, 2, 1], [198, 18, 2, 2]];
        for (number, inside) in conversation([198, 18, 3, 4], [198, 18, 3, 5]).iter().enumerate() {
            let [from, to] = if number % 2 == 0 { ends } else { [ends[1], ends[0]] };
            let port = 50_000 + u16::try_from(number).unwrap() * 1_111;
            let carried = [&[8, 0, 0, 0, 0, 0, 7, 0], inside.as_slice()].concat();
            let outer = Ends::new(from.into(), to.into()).unwrap();
            frames.push(between(from, to, ip::UDP, &udp::datagram(outer, port, 4_789, &carried)));
        }
        let (device, group) = ([198, 18, 0, 99], [239, 255, 255, 250]);
        let notice = b"NOTIFY * HTTP/1.1\r\nNT: upnp:rootdevice\r\nUSN: uuid:2fac1234-31f8\r\n\
            NTS: ssdp:alive\r\nSERVER: Linux/5.10 UPnP/1.1 MiniUPnPd/2.3.1\r\n\r\n";
        let to_all = Ends::new(device.into(), group.into()).unwrap();
        let whole = udp::datagram(to_all, 1_900, 1_900, notice);
        for (offset, part) in whole.chunks(64).enumerate() {
            let more = (offset + 1) * 64 < whole.len();
            let mut frame = between(device, group, ip::UDP, part);
            let place = u16::try_from(offset * 8).unwrap() | if more { 0x2000 } else { 0 };
            frame[18..22].copy_from_slice(&[[0, 7], place.to_be_bytes()].concat());
            frames.push(frame);
        }
        frames.push(ethernet::frame(MacAddr::BROADCAST, mac(7), ethernet::ARP, &[0x53; 46]));
        frames
    }

    /// What each of so many readers hears of these frames.
    fn hear(said: &[Vec<u8>], readers: usize) -> Vec<Vec<Vec<u8>>> {
        let mut monitors = Monitor::open_beside("near", SHAPE, readers).unwrap();
        let far = datalink::interfaces().into_iter().find(|one| one.name == "far").unwrap();
        let Ok(Channel::Ethernet(mut sender, _)) = datalink::channel(&far, Default::default())
        else {
            panic!("no channel");
        };
        for frame in said {
            sender.send_to(frame, None).unwrap().unwrap();
        }
        let begun = Instant::now();
        let mut heard = vec![Vec::new(); readers];
        while heard.iter().map(Vec::len).sum::<usize>() < said.len() {
            assert!(begun.elapsed() < Duration::from_secs(10), "{readers} readers miss something");
            for (monitor, heard) in monitors.iter_mut().zip(&mut heard) {
                let mut take = |_, _, _, bytes: &[u8]| {
                    // Systems say something of themselves, too.
                    if said.iter().any(|frame| frame == bytes) {
                        heard.push(bytes.to_vec());
                    }
                };
                monitor.listen(Duration::from_millis(20), &mut take).unwrap();
            }
        }
        assert_eq!(monitors.iter_mut().map(Monitor::lost).sum::<u64>(), 0);
        heard
    }

    /// What captures side by side tell of that, each of its part.
    fn told(heard: &[Vec<Vec<u8>>]) -> BTreeSet<String> {
        let first = Capture::new(Vantage { site: Site("test".into()), name: "near".into() });
        let mut captures: Vec<Capture> = heard.iter().map(|_| first.beside()).collect();
        let mut told = BTreeSet::new();
        for (capture, heard) in captures.iter_mut().zip(heard) {
            let mut sink = |o: model::Observation| {
                told.insert(format!("{} {:?}", o.subject, o.fact));
            };
            let at = Timestamp::from_seconds(1);
            heard.iter().for_each(|frame| capture.frame(at, frame, &mut sink));
            capture.finish(at, &mut sink);
        }
        told
    }

    #[test]
    fn readers_side_by_side_hear_each_its_part_and_together_tell_what_one_tells() {
        on_a_cable(|| {
            let said = said();
            let all = |heard: &[Vec<Vec<u8>>]| {
                let mut all = heard.concat();
                all.sort_unstable();
                all
            };
            let one = hear(&said, 1);
            assert_eq!(all(&one), all(std::slice::from_ref(&said)));
            let expected = told(&one);
            let products = expected.iter().filter(|told| told.contains("nginx")).count();
            // The one server, and that in the tunnel; the message in fragments.
            assert_eq!(products, 2, "{expected:?}");
            assert!(expected.iter().any(|told| told.contains("MiniUPnPd")), "{expected:?}");
            for readers in [2, 3] {
                let heard = hear(&said, readers);
                assert_eq!(all(&heard), all(&one), "each frame comes to one of them");
                assert!(heard.iter().all(|part| part.len() > 20), "one of them hears little");
                assert_eq!(told(&heard), expected);
            }
        });
    }
}
