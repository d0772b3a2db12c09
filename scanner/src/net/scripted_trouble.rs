//! What goes wrong in a scripted network.

use std::time::Duration;

use model::AddressRange;

use crate::stop::Stop;

/// What goes wrong at which time.
#[derive(Clone, Debug)]
pub enum Fault {
    /// From then on the interface is down.
    Down(Duration),
    /// The system takes nothing from then to then.
    Busy(Duration, Duration),
    /// There is no route to these addresses.
    NoRoute(AddressRange),
    /// Packets to these addresses cannot be sent.
    Refused(AddressRange),
    /// Somebody asks for the end at that time.
    Stop(Duration, Stop),
    /// The clock on the wall is put by so many seconds at that time.
    Clock(Duration, i64),
}

/// By how many seconds the clock on the wall is off by then.
pub(super) fn clock_put(faults: &[Fault], now: Duration) -> i64 {
    let put = faults.iter().map(|fault| match fault {
        Fault::Clock(at, seconds) if *at <= now => *seconds,
        _ => 0,
    });
    put.sum()
}

/// A line through which only so many packets a second come, with a queue before it.
#[derive(Clone, Debug)]
pub struct Bottleneck {
    /// Packets a second.
    rate: u32,
    /// How many may wait.
    queue: u32,
    /// When all that waits is through.
    free: Duration,
    /// How many found no place to wait.
    pub dropped: u64,
}

impl Bottleneck {
    /// A line for so many packets a second, before which so many may wait.
    #[must_use]
    pub fn new(rate: u32, queue: u32) -> Self {
        Self { rate: rate.max(1), queue, free: Duration::ZERO, dropped: 0 }
    }

    /// How long one more packet takes until it is through, unless it is dropped.
    pub(super) fn pass(&mut self, now: Duration) -> Option<Duration> {
        let each = Duration::from_secs(1) / self.rate;
        let waits = self.free.saturating_sub(now);
        if waits > each.saturating_mul(self.queue) {
            self.dropped += 1;
            return None;
        }
        self.free = self.free.max(now).saturating_add(each);
        Some(self.free.saturating_sub(now))
    }
}
