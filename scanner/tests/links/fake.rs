//! A device of the test's own making in the far namespace, which answers with any frames.

use std::{
    fs::File,
    net::Ipv4Addr,
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use model::MacAddr;
use pnet::datalink::{self, Config, DataLinkReceiver, DataLinkSender, NetworkInterface};
use scanner::net::interfaces::interface;
use wire::{
    arp::{Arp, Operation},
    ethernet,
    ip::{self, Ends},
    tcp,
};

use crate::lab::Lab;

const HERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x50]);

/// It says that it is at these addresses: 198.18.0.50 to 198.18.0.59.
const FIRST: u8 = 50;
const LAST: u8 = 59;

/// A SYN that came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Syn {
    /// Whose it is.
    pub(crate) asker: (MacAddr, Ipv4Addr),
    /// For whom it was.
    pub(crate) target: Ipv4Addr,
    pub(crate) source_port: u16,
    pub(crate) port: u16,
    pub(crate) sequence: u32,
}

impl Syn {
    /// The last byte of the address that was asked.
    pub(crate) fn last(&self) -> u8 {
        self.target.octets()[3]
    }

    /// The frame that says that the port is open, as if sent by `source`, with an
    /// acknowledgement that is wrong by `off`.
    pub(crate) fn accept(&self, source: Ipv4Addr, off: u32) -> Vec<u8> {
        let ends = Ends::V4(source, self.asker.1);
        let mut segment = tcp::syn(ends, self.port, self.source_port, 1);
        let acknowledged = self.sequence.wrapping_add(1).wrapping_add(off);
        segment[8..12].copy_from_slice(&acknowledged.to_be_bytes());
        segment[13] = tcp::SYN | tcp::ACK;
        let packet = ip::packet(ends, ip::TCP, 64, &segment);
        let mut frame = ethernet::frame(self.asker.0, HERE, ethernet::IPV4, &packet);
        frame.truncate(14 + packet.len());
        frame
    }

    /// The packet that was sent, as far as an error would quote it.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let ends = Ends::V4(self.asker.1, self.target);
        let segment = tcp::syn(ends, self.source_port, self.port, self.sequence);
        ip::packet(ends, ip::TCP, 64, &segment)
    }

    /// The frame of an ICMP message to the asker.
    pub(crate) fn message(&self, inside: &[u8]) -> Vec<u8> {
        let packet = ip::packet(Ends::V4(self.target, self.asker.1), ip::ICMP, 64, inside);
        ethernet::frame(self.asker.0, HERE, ethernet::IPV4, &packet)
    }
}

/// The device. It goes when this goes.
pub(crate) struct Fake {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// Answers every SYN with the frames that `answer` makes of it.
    pub(crate) fn start(lab: &Lab, answer: fn(Syn) -> Vec<Vec<u8>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = mpsc::channel();
        let (stopped, far) = (Arc::clone(&stop), lab.name("far"));
        let thread = thread::spawn(move || {
            enter(&far);
            let (mut sender, mut receiver) = far_end();
            ready.send(()).unwrap();
            while !stopped.load(Ordering::Relaxed) {
                let Ok(frame) = receiver.next() else { continue };
                for answer in answers(frame, answer) {
                    sender.send_to(&answer, None).unwrap().unwrap();
                }
            }
        });
        is_ready.recv().unwrap();
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The far end of the cable, for a thread that has entered its namespace; reading waits for
/// 20 ms at the most.
pub(crate) fn far_end() -> (Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>) {
    let config = Config { read_timeout: Some(Duration::from_millis(20)), ..Config::default() };
    let there = NetworkInterface {
        name: "far0".to_owned(),
        description: String::new(),
        index: interface("far0").unwrap().index,
        mac: None,
        ips: Vec::new(),
        flags: 0,
    };
    let opened = datalink::channel(&there, config).unwrap();
    let datalink::Channel::Ethernet(sender, receiver) = opened else { panic!() };
    (sender, receiver)
}

/// Takes this thread into a namespace.
#[expect(unsafe_code, reason = "std does not offer setns")]
pub(crate) fn enter(namespace: &str) {
    let file = File::open(format!("/run/netns/{namespace}")).unwrap();
    // SAFETY: setns takes a descriptor, which is open, and a number.
    let entered = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
}

fn is_ours(address: Ipv4Addr) -> bool {
    let [a, b, c, last] = address.octets();
    (a, b, c) == (198, 18, 0) && (FIRST..=LAST).contains(&last)
}

fn answers(bytes: &[u8], answer: fn(Syn) -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let frame = ethernet::Frame::parse(bytes).unwrap();
    if frame.ether_type == ethernet::ARP {
        let Ok(arp) = Arp::parse(frame.payload) else { return Vec::new() };
        if arp.operation != Operation::Request || !is_ours(arp.target_ip) {
            return Vec::new();
        }
        let reply = Arp {
            operation: Operation::Reply,
            sender_mac: HERE,
            sender_ip: arp.target_ip,
            target_mac: arp.sender_mac,
            target_ip: arp.sender_ip,
        };
        return vec![ethernet::frame(arp.sender_mac, HERE, ethernet::ARP, &reply.build())];
    }
    let Ok(packet) = ip::Packet::parse(frame.payload) else { return Vec::new() };
    let Some(Ends::V4(asker, target)) = Ends::new(packet.source, packet.destination) else {
        return Vec::new();
    };
    let Ok(segment) = tcp::Segment::parse(packet.payload) else { return Vec::new() };
    if packet.protocol != ip::TCP || segment.flags != tcp::SYN || !is_ours(target) {
        return Vec::new();
    }
    answer(Syn {
        asker: (frame.source, asker),
        target,
        source_port: segment.source_port,
        port: segment.destination_port,
        sequence: segment.sequence,
    })
}
