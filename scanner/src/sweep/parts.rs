//! Part by part: who is there, which of their ports are open, and then whoever goes on asking them.

use std::ops::ControlFlow;

use super::{
    Answering, Phase,
    adapting::Adapting,
    engine::{End, Engine, MOST_HEARD},
    state::State,
};

/// Addresses of a part: three bytes each, and what answers. Fewer would be mostly waiting.
const SMALLEST_PART: u64 = 1 << 8;
const LARGEST_PART: u64 = 1 << 20;

/// As many addresses as take a minute if nobody is there, of whom each gets six questions. If
/// everybody is, the part takes less than an hour at any rate with the usual ports, so that it
/// fits into the windows that people have: a part is what an interruption costs.
const SECONDS_OF_A_PART: u64 = 60 / 6;

/// Cells of one group: 16 MiB.
const MOST_CELLS: usize = 1 << 24;
const MOST_HOSTS: usize = 1 << 20;

impl Engine<'_> {
    /// Part by part, so that memory does not grow with the number of addresses. A part is a
    /// stretch of them, in which what belongs together stays together.
    pub(super) fn everything(&mut self) -> Result<(), End> {
        while self.behind < self.all.count() {
            let size = self.part_size();
            self.state = State::new(self.all.part(self.behind, size));
            self.behind = self.behind.saturating_add(size).min(self.all.count());
            self.liveness_done = false;
            self.holding = true;
            self.phase = Phase::Liveness;
            self.part()?;
            let answering = self.close_part(None);
            self.state = State::default();
            if self.hand_over(answering).is_break() {
                return Err(End::Stopped);
            }
            self.outcome.done = self.behind;
        }
        Ok(())
    }

    fn part_size(&self) -> u64 {
        let rate = self.adapting.as_ref().map_or(self.sweep.plan.rates.first(), Adapting::rate);
        let size = u64::from(rate).saturating_mul(SECONDS_OF_A_PART);
        // Who answers for a whole network is seen where that is in one part.
        (size - size % SMALLEST_PART).clamp(SMALLEST_PART, LARGEST_PART)
    }

    /// Lets others go on asking those of a part. What the link hears and loses in the meantime
    /// is none of ours.
    pub(super) fn hand_over(&mut self, answering: Answering) -> ControlFlow<()> {
        let lost = self.link.drops();
        let flow = (self.ask_on)(&answering, self.pacer);
        self.outcome.answering.extend(answering);
        let now = self.link.now();
        // As many as the largest ring holds, and some.
        for _ in 0..64 * MOST_HEARD {
            match self.link.receive(now) {
                // What the system could not do for one address ends nothing else.
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => break,
            }
        }
        let lost = self.link.drops().saturating_sub(lost);
        self.drops_before = self.drops_before.saturating_add(lost);
        if let Some(adapting) = &mut self.adapting {
            adapting.go_on(lost, self.link.now());
        }
        self.mark = (self.link.now(), self.outcome.probes_sent);
        flow
    }

    fn part(&mut self) -> Result<(), End> {
        if self.sweep.plan.assume_alive {
            return self.ports_of_everybody();
        }
        self.extra.begin_part(self.state.addresses.count(), self.all.count());
        let course = self.liveness_course();
        self.follow(course)?;
        self.wait_for_neighbors()?;
        self.liveness_done = true;
        let course = self.echo_course();
        self.follow(course)?;
        self.recognise()?;
        self.release();
        if self.sweep.plan.ports.is_empty() {
            self.no_ports();
            return Ok(());
        }
        let hosts: Vec<u64> = self.state.hosts.keys().copied().collect();
        for hosts in hosts.chunks(self.group_size()) {
            let behind = hosts.last().copied().unwrap_or(u64::MAX);
            let left = self.state.hosts.range(behind..).count().saturating_sub(1);
            self.hosts_left = u64::try_from(left).unwrap_or(0);
            self.ports_of(hosts.to_vec())?;
            self.sum_up(true);
        }
        Ok(())
    }

    /// Nobody is asked for ports, so that all are done with them.
    fn no_ports(&mut self) {
        for host in self.state.hosts.values_mut() {
            host.ports_done = true;
        }
    }

    /// Without liveness, every address is asked for its ports, and nothing is told of a
    /// group of addresses before it is known whether one device answers for them.
    fn ports_of_everybody(&mut self) -> Result<(), End> {
        let count = self.state.addresses.count();
        let size = u64::try_from(self.group_size()).unwrap_or(u64::MAX);
        let mut first: u64 = 0;
        while first < count {
            let behind = first.saturating_add(size).min(count);
            self.hosts_left = count.saturating_sub(behind);
            self.holding = true;
            self.ports_of((first..behind).collect())?;
            self.look_at_neighbors();
            self.recognise()?;
            self.release();
            self.sum_up(true);
            first = behind;
        }
        self.liveness_done = true;
        Ok(())
    }

    fn group_size(&self) -> usize {
        let fit = MOST_CELLS.checked_div(self.sweep.plan.ports.len()).unwrap_or(MOST_HOSTS);
        fit.clamp(1, MOST_HOSTS)
    }
}
