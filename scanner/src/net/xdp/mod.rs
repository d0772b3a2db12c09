//! Probes made in the kernel: the sending part of the tier `xdp`.
//!
//! A program in eBPF makes each probe by itself: the next place of the order, the number
//! behind it, address, port, cookie, checksums. bpf(2) runs it on empty frames that are real
//! (`BPF_PROG_TEST_RUN` with `BPF_F_TEST_XDP_LIVE_FRAMES`, Linux 5.18 and later), and what
//! it answers with `XDP_TX` goes to the driver in bundles, without a socket buffer. The
//! probes are byte for byte those of the raw tier, IPv4 only.
//!
//! It needs CAP_NET_ADMIN and CAP_BPF for that, CAP_PERFMON to see which frames the driver
//! had no room for ([`witness`]), and all of them in the first user namespace; and a driver
//! that takes frames which are not its own (`ndo_xdp_xmit`). Many do so only while an XDP
//! program is attached to the interface (virtio_net and most cards), veth while one is
//! attached to the *other* end, or generic receive offload is switched on there. Whoever
//! finds [`Unfit`] sends by the raw tier. The programs are written for machines that have
//! the least byte first.

mod anchor;
mod assemble;
mod desk;
mod features;
mod kernel;
mod map;
#[cfg(test)]
mod measure;
mod program;
mod shape;
mod siphash;
mod targets;
#[cfg(test)]
pub(super) mod tests;
mod witness;

use std::{
    io,
    net::Ipv4Addr,
    os::fd::{AsFd, OwnedFd},
    sync::atomic::Ordering::Relaxed,
};

use caps::{CapSet, Capability};
use model::MacAddr;
use thiserror::Error;

pub(crate) use self::targets::Targets;
use self::{
    anchor::Anchor,
    assemble::{Assembler, Reg::R0},
    desk::{Desk, Field, MOST_FRAMES},
    kernel::Verdict,
    map::Map,
    program::{Plan, ROUND},
    shape::{FRAME, Shape},
    witness::Witness,
};
use super::raw_cookie::Cookies;
use crate::order::Order;

/// Frames in a bundle. A veth's ring holds 256, and is emptied after each bundle.
const BATCH: u32 = 64;

/// More questions than this have no bit each: the verifier bounds the offset in a map.
const MOST_QUESTIONS: u64 = 1 << 32;

/// Why probes cannot be made in the kernel here.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0}")]
pub(crate) struct Unfit(String);

impl Unfit {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    fn because(what: &str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }
}

/// What kind of question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Who has this address?
    Arp,
    /// ICMP echo request.
    Echo,
    /// TCP SYN.
    Syn,
}

/// A course of questions: every port of every target once.
#[derive(Debug)]
pub(crate) struct Work {
    /// In which order; of as many addresses and ports as there are here.
    pub(crate) order: Order,
    /// Whom.
    pub(crate) targets: Targets,
    /// Which ports; one of any number for questions that have none.
    pub(crate) ports: Vec<u16>,
    /// What.
    pub(crate) kind: Kind,
    /// Our address; 0.0.0.0 asks by ARP as an address probe.
    pub(crate) ours: Ipv4Addr,
    /// The interface's link-layer address.
    pub(crate) mac: MacAddr,
    /// What answers prove themselves by.
    pub(crate) cookies: Cookies,
}

/// What a call sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Sent {
    /// The next place.
    pub(crate) cursor: u64,
    /// How many frames the driver took.
    pub(crate) frames: u64,
    /// How many questions were passed over, because they were settled.
    pub(crate) skipped: u64,
    /// The places whose frames the driver did not take: to be asked again. Where a frame
    /// got lost before the driver (the interface is down, or takes no frames), these are all
    /// places of the call, since the system does not say which.
    pub(crate) refused: Vec<u64>,
}

/// Sends probes through one interface.
#[derive(Debug)]
pub(crate) struct Sender {
    interface: u32,
    desk: Desk,
    witness: Witness,
    anchor: Anchor,
    course: Option<(Course, OwnedFd)>,
}

/// A work under way.
#[derive(Debug)]
struct Course {
    order: Order,
    program: OwnedFd,
    /// One bit for each question.
    bits: Map,
    rounds: Map,
}

/// Whether probes can be made in the kernel and sent through that interface. Nothing is sent
/// to find out.
///
/// # Errors
///
/// Why not.
pub(crate) fn fit(interface: u32) -> Result<(), Unfit> {
    Sender::open(interface).map(drop)
}

impl Sender {
    /// Opens the interface.
    ///
    /// # Errors
    ///
    /// Why this does not go here: the machine, the kernel, the capabilities or the driver.
    /// Before Linux 6.3 the kernel does not tell about the driver; then the first call of
    /// [`Sender::send`] finds all frames refused.
    pub(crate) fn open(interface: u32) -> Result<Self, Unfit> {
        if cfg!(target_endian = "big") {
            return Err(Unfit::new("the programs are not written for this kind of processor"));
        }
        capable()?;
        let desk = Desk::new().map_err(Unfit::because("cannot share memory with the kernel"))?;
        let witness = Witness::new(&desk)?;
        try_live(interface)?;
        let takes = features::takes_frames(interface)
            .map_err(Unfit::because("cannot ask what the driver can do"))?;
        if takes == Some(false) {
            return Err(Unfit::new(
                "the driver takes no XDP frames now (some do while an XDP program is attached to \
                 the interface; of a veth, to its other end)",
            ));
        }
        let anchor = Anchor::new().map_err(Unfit::because("cannot make a tap interface"))?;
        Ok(Self { interface, desk, witness, anchor, course: None })
    }

    /// Begins a work at its first place, with no question settled.
    ///
    /// # Errors
    ///
    /// The order is not one of these targets and ports, there are more than 2^32 questions,
    /// or the kernel refuses the program or the memory, with what it says.
    pub(crate) fn begin(&mut self, work: &Work) -> Result<(), Unfit> {
        self.course = None;
        let course = Course::new(work, &self.desk)?;
        let held = self.anchor.hold(course.program.as_fd());
        self.course = Some((course, held.map_err(Unfit::because("cannot hold the program"))?));
        self.seek(0);
        Ok(())
    }

    /// Goes to that place of the order; a place behind the end is the end.
    pub(crate) fn seek(&mut self, place: u64) {
        if let Some((course, _)) = &self.course {
            course.seek(&self.desk, place);
        }
    }

    /// The next place.
    pub(crate) fn cursor(&self) -> u64 {
        self.desk.get(Field::Place)
    }

    /// The question of that number (its port's times the number of addresses, plus its
    /// address's) is not asked any more.
    pub(crate) fn settle(&self, number: u64) {
        if let Some((course, _)) = &self.course {
            course.settle(number);
        }
    }

    /// Sends frames for the next places before `until`: at most `most`, and at most 16,384.
    /// It may send fewer, and none while it passes over what is settled.
    ///
    /// # Errors
    ///
    /// What the system says where nothing was sent: `ENODEV` where the interface is gone.
    pub(crate) fn send(&mut self, until: u64, most: u32) -> io::Result<Sent> {
        let Some((course, _)) = &self.course else {
            return Err(io::Error::other("there is nothing to send"));
        };
        let before = self.cursor();
        let until = until.min(course.order.size());
        let left = u32::try_from(until.saturating_sub(before)).unwrap_or(u32::MAX);
        let runs = most.min(MOST_FRAMES).min(left);
        self.desk.open(until);
        if runs > 0 {
            self.witness.watch_this_thread()?;
            let walk = self.desk.get(Field::Walk);
            let program = course.program.as_fd();
            let result = kernel::run_live(program, &[0; FRAME], self.interface, runs, BATCH);
            let stands = (before, walk) == (self.cursor(), self.desk.get(Field::Walk));
            match result {
                // After a signal, or without memory, some of it may be done.
                Err(error) if stands && error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error);
                }
                Ok(()) if stands => return Err(io::Error::other("the program does not go on")),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(Sent {
            cursor: self.cursor(),
            frames: self.desk.get(Field::Taken),
            skipped: self.desk.get(Field::Skipped),
            refused: self.desk.refused(),
        })
    }
}

impl Course {
    fn new(work: &Work, desk: &Desk) -> Result<Self, Unfit> {
        let (addresses, ports) = work.order.parts();
        let sizes = (work.targets.count(), work.ports.len() as u64);
        let questions = work.order.size();
        if sizes != (addresses.size(), ports.size()) || sizes.1 == 0 {
            return Err(Unfit::new("the order is one of other targets and ports"));
        }
        if questions > MOST_QUESTIONS {
            return Err(Unfit::new(format!("{questions} questions have no room in the kernel")));
        }
        let memory = Unfit::because;
        let len = usize::try_from(questions.div_ceil(8)).map_err(|_| Unfit::new("no room"))?;
        let bits = Map::new(c"daicho_bits", len).map_err(memory("no room for a bit each"))?;
        let rounds = rounds(work).map_err(memory("no room for the ports"))?;
        let table = work.targets.table(work.kind != Kind::Arp);
        let table = table.map_err(memory("no room for the targets"))?;
        let Work { kind, ours, mac, cookies, targets, .. } = work;
        let shape = Shape::new(*kind, *ours, *mac, targets.next_hop(), cookies)?;
        let plan = Plan {
            kind: *kind,
            shape: &shape,
            cookies,
            ours: ours.octets(),
            addresses,
            table: &table,
            rounds: &rounds,
            bits: &bits,
            desk,
        };
        let program = kernel::load(kernel::Kind::Xdp, c"daicho_probe", &plan.assemble()?)
            .map_err(Unfit::because("the kernel refuses the program"))?;
        Ok(Self { order: work.order, program, bits, rounds })
    }

    fn seek(&self, desk: &Desk, place: u64) {
        let (addresses, _) = self.order.parts();
        let place = place.min(self.order.size());
        let round = place / addresses.size();
        let within = place % addresses.size();
        let (number, port) = self.round(round);
        desk.set(Field::Place, place);
        desk.set(Field::Within, within);
        desk.set(Field::Walk, within);
        desk.set(Field::Round, round);
        desk.set(Field::Base, u64::from(number) * addresses.size());
        desk.set(Field::Port, port.into());
    }

    fn settle(&self, number: u64) {
        let byte = usize::try_from(number / 8).ok().and_then(|byte| self.bits.bytes().get(byte));
        if let Some(byte) = byte {
            byte.fetch_or(1 << (number % 8), Relaxed);
        }
    }

    /// The number of the round's port, and the port in network order.
    fn round(&self, round: u64) -> (u32, u16) {
        let rounds = self.rounds.words().as_chunks::<2>().0;
        let entry = usize::try_from(round).ok().and_then(|round| rounds.get(round));
        entry.map_or((0, 0), |[number, port]| {
            // Only the lower half is used.
            (number.load(Relaxed), port.load(Relaxed) as u16)
        })
    }
}

/// The ports in the order of their rounds.
fn rounds(work: &Work) -> io::Result<Map> {
    let (_, order) = work.order.parts();
    let map = Map::new(c"daicho_rounds", ROUND * work.ports.len())?;
    for (round, [number, port]) in (0..).zip(map.words().as_chunks::<2>().0) {
        let at = order.at(round);
        let asked = usize::try_from(at).ok().and_then(|at| work.ports.get(at));
        number.store(u32::try_from(at).unwrap_or(0), Relaxed);
        port.store(asked.map_or(0, |port| port.to_be().into()), Relaxed);
    }
    Ok(map)
}

/// Makes the capabilities effective that are permitted only, and names those that are not.
fn capable() -> Result<(), Unfit> {
    let needed = [Capability::CAP_NET_ADMIN, Capability::CAP_BPF, Capability::CAP_PERFMON];
    let missing: Vec<String> = needed
        .into_iter()
        .filter(|capability| caps::raise(None, CapSet::Effective, *capability).is_err())
        .map(|capability| capability.to_string())
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Unfit::new(format!("it needs {}", missing.join(", ")))),
    }
}

/// Whether programs can be run on real frames of this interface, tried with one that drops.
fn try_live(interface: u32) -> Result<(), Unfit> {
    let mut a = Assembler::default();
    a.number(R0, Verdict::Drop as u64);
    a.exit();
    let program = kernel::load(kernel::Kind::Xdp, c"daicho_trial", &a.finish()?)
        .map_err(Unfit::because("the kernel refuses XDP programs"))?;
    kernel::run_live(program.as_fd(), &[0; FRAME], interface, 1, 1).map_err(|error| {
        Unfit(match error.raw_os_error() {
            Some(libc::EINVAL) => "the kernel cannot send from XDP programs: that came with Linux \
                                   5.18"
                .to_owned(),
            _ => format!("the kernel does not run XDP programs for the interface: {error}"),
        })
    })
}
