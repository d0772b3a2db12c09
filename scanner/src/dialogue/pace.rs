//! One pacer for all conversations, and a count of what they cost.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    net::clock::Clock,
    rate::{GENTLE, Pacer, Rates},
};

/// The shared [`Pacer`], in the time of one clock. Clones count together.
#[derive(Clone, Debug)]
pub struct Pace {
    pacer: Arc<Mutex<Pacer>>,
    clock: Clock,
    packets: Arc<AtomicU64>,
}

impl Pace {
    /// A pace over this pacer, which must have counted in this clock's time so far.
    #[must_use]
    pub fn new(pacer: Arc<Mutex<Pacer>>, clock: Clock) -> Self {
        Self { pacer, clock, packets: Arc::default() }
    }

    /// The clock.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Packets that were accounted for, those that the kernel sends for us included.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// Other rates from now on, see [`Pacer::renew`].
    pub fn renew(&self, rates: Rates) {
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner).renew(rates);
    }

    /// From now on, as few packets to `host` as something fragile bears.
    pub fn be_gentle(&self, host: IpAddr) {
        let mut pacer = self.pacer.lock().unwrap_or_else(PoisonError::into_inner);
        pacer.slow_down(host, GENTLE);
    }

    /// Waits until one more packet to `host` may go, and accounts for that many, which the
    /// next step will make us or the kernel send.
    pub(crate) async fn wait(&self, host: IpAddr, packets: u32) {
        loop {
            let now = self.clock.now();
            let at = {
                let mut pacer = self.pacer.lock().unwrap_or_else(PoisonError::into_inner);
                let at = pacer.earliest(host, now);
                if at <= now {
                    pacer.sent(host, now, packets);
                    self.packets.fetch_add(u64::from(packets), Ordering::Relaxed);
                    return;
                }
                at
            };
            tokio::time::sleep(at.saturating_sub(now)).await;
        }
    }
}
