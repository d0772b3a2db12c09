//! The sweep: who is there, and which ports are open.
//!
//! A plain loop over a [`Link`], in its time: send what is due, read what came, expire what
//! stayed silent, until nothing is left to ask. Silence is the only thing that is asked
//! again, in later passes, and waiting follows the measured round-trip times, so a sweep
//! ends when it knows, not after a fixed pause. It emits observations and says in its
//! [`SweepOutcome`] where it looked and where it could not. What speaks on an open port is
//! `crate::dialogue`'s question.
//!
//! Packets are counted with those that the system sends for us, and sent only when there is
//! room for those, too: in the connect tier an open port costs three more (the ACK, the FIN
//! and the ACK of the other side's FIN) and the first question to an address on the link one
//! for ARP; in the raw tier the kernel refuses the SYN-ACK of an open port with one RST. A
//! refused connection costs none. Rates to one address below four a second cannot hold for a
//! connection that opens.

mod adapting;
mod answers;
mod bulk;
mod congestion;
mod course;
mod engine;
mod extra;
mod guard;
mod loss;
mod next;
mod parts;
mod progress;
mod questions;
mod recognise;
mod report;
mod rtt;
mod sending;
mod state;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, ops::ControlFlow, time::Duration};

use model::{Coverage, Endpoint, Gap, MacAddr, Observation, Vantage};

use crate::{net::Link, plan::Plan, rate::Pacer, stop::Stop};

/// A sweep, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// What to ask, of whom, how fast.
    pub plan: &'a Plan,
    /// Where we stand, for the observations.
    pub vantage: &'a Vantage,
    /// What to send to UDP ports.
    pub udp: UdpQuestions<'a>,
    /// Whom to ask gently from the first question for a port on.
    pub fragile: Fragile<'a>,
    /// Ends it early.
    pub stop: &'a Stop,
}

/// Makes the datagram to a UDP port of an address, with a cookie for where an honest answer
/// repeats it. The last number is how often it was asked before.
#[derive(Clone, Copy)]
pub struct UdpQuestions<'a>(pub &'a dyn Fn(IpAddr, u16, u32, u64) -> Vec<u8>);

impl std::fmt::Debug for UdpQuestions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UdpQuestions")
    }
}

/// Tells whether a careless question can stop a device, by what is known of it without
/// asking: the maker of its interface, or what was found out about it before.
#[derive(Clone, Copy)]
pub struct Fragile<'a>(pub &'a dyn Fn(IpAddr, Option<MacAddr>) -> bool);

impl Fragile<'_> {
    /// Nothing is known to be fragile.
    pub const NOBODY: Fragile<'static> = Fragile(&|_, _| false);

    fn is(self, address: IpAddr, mac: Option<MacAddr>) -> bool {
        (self.0)(address, mac)
    }
}

impl std::fmt::Debug for Fragile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fragile")
    }
}

/// How far a sweep is. Told at most ten times a second of the link's time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// The share of all questions that is behind us, 0 to 1, never falling. An estimate
    /// while it is not known how many are alive.
    pub done: f32,
    /// Questions sent in the last second or so.
    pub packets_per_second: u32,
    /// The rate that the network is found to bear so far, where that is to be found out.
    pub pace: Option<u32>,
    /// Addresses found alive.
    pub alive: usize,
    /// Open ports found.
    pub open: usize,
    /// The time left at this rate, once there is one.
    pub left: Option<Duration>,
}

/// The phases of a sweep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Who is there?
    Liveness,
    /// Does one device answer for many?
    Recognition,
    /// Which ports are open?
    Ports,
}

/// Who answers and what is open there, for whoever goes on asking.
#[derive(Clone, Debug, Default)]
pub struct Answering {
    /// Open endpoints among the ports that were asked for, ascending.
    pub open: Vec<Endpoint>,
    /// The first datagram that each open UDP endpoint sent.
    pub udp_replies: Vec<(Endpoint, Vec<u8>)>,
    /// Who is there, ascending, with the link-layer address where known.
    pub alive: Vec<(IpAddr, Option<MacAddr>)>,
    /// Whom it asked gently, ascending.
    pub gentle: Vec<IpAddr>,
}

/// What a sweep brought, beside its observations.
#[derive(Clone, Debug, Default)]
pub struct SweepOutcome {
    /// Who answered and what was open, of all parts.
    pub answering: Answering,
    /// Who was found to answer no more than so many packets a second, ascending.
    pub limited: Vec<(IpAddr, u32)>,
    /// The share of what is there that was probably missed because packets got lost, and how
    /// far that may be off at a confidence of 95 %; both 0 to 1. `None` where nothing answered.
    pub missed: Option<(f64, f64)>,
    /// The rate in all that the network was last found to bear, packets a second, where it
    /// was to be found out.
    pub rate: Option<u32>,
    /// How many addresses, from the first on, it is done with, and so was whoever went on asking
    /// them: where to go on after a stop.
    pub done: u64,
    /// Questions that the system took.
    pub probes_sent: u64,
    /// Answers that were ours.
    pub replies: u64,
    /// Answers that the link knows to have lost.
    pub drops: u64,
    /// Whether everything planned was asked: neither stopped, nor cut off, nor without a
    /// route. A single address that the system refuses, or one that was not counted, is a gap
    /// and leaves it true.
    pub complete: bool,
    /// Where it failed to look.
    pub gaps: Vec<Gap>,
    /// Where it looked.
    pub coverage: Vec<Coverage>,
}

impl Sweep<'_> {
    /// Runs it to the end, or to the stop, or until the link fails for good.
    ///
    /// `pacer` counts in the link's time ([`Link::now`]); hand the same one to whatever
    /// sends next, so that no second holds more than the rates.
    pub fn run(
        &self,
        link: &mut dyn Link,
        pacer: &mut Pacer,
        observe: &mut dyn FnMut(Observation),
        progress: &mut dyn FnMut(Progress),
    ) -> SweepOutcome {
        let mut nothing_more = |_: &Answering, _: &mut Pacer| ControlFlow::Continue(());
        self.run_in_parts(link, pacer, observe, progress, &mut nothing_more)
    }

    /// The same, with more to be asked of each part before the next one begins, so that what is
    /// done when a stop comes is done with everything.
    ///
    /// `ask_on` gets what the part found and the pacer, by which it must go. Where it breaks off,
    /// which it does for the stop, the part does not count as done, and none follows. The link is left alone in the meantime:
    /// what comes in then is no answer to anything.
    pub fn run_in_parts(
        &self,
        link: &mut dyn Link,
        pacer: &mut Pacer,
        observe: &mut dyn FnMut(Observation),
        progress: &mut dyn FnMut(Progress),
        ask_on: &mut dyn FnMut(&Answering, &mut Pacer) -> ControlFlow<()>,
    ) -> SweepOutcome {
        engine::Engine::new(*self, link, pacer, observe, progress, ask_on).run()
    }
}
