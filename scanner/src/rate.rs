//! When the next packet may go.
//!
//! Three limits hold at once: packets a second in all, to one address, and to one network.
//! "A second" is any second, not the one that the clock shows: a limit that is counted
//! per tick lets twice as many through around the tick. So the [`Pacer`] remembers what
//! was sent during the last second, in slots, and answers when one more packet fits.
//! It knows no clock and never waits: the caller says what time it is, and sleeps.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

/// Packets a second at most. Zero would never end and counts as one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rates {
    /// To all addresses together.
    pub total: u32,
    /// To any one address.
    pub per_host: u32,
    /// To any one network: an IPv4 /24 or an IPv6 /64. As much as `total` is no limit.
    pub per_network: u32,
    /// Whether `total` is what is sent, or the most that may be.
    pub tempo: Tempo,
}

/// How the rate in all goes on from its beginning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tempo {
    /// It is `total` all the time.
    Steady,
    /// It begins with so many packets a second, and follows what the network bears.
    From(u32),
}

impl Default for Rates {
    /// 1,000 in all and 40 to one address: what a small router and a printer bear.
    fn default() -> Self {
        Self { total: 1_000, per_host: 40, per_network: u32::MAX, tempo: Tempo::Steady }
    }
}

impl Rates {
    /// The rate in all with which it begins.
    #[must_use]
    pub fn first(self) -> u32 {
        match self.tempo {
            Tempo::Steady => self.total,
            Tempo::From(first) => first.clamp(1, self.total.max(1)),
        }
    }

    /// Whether a network gets less than all together.
    #[must_use]
    pub const fn limits_networks(self) -> bool {
        self.per_network < self.total
    }
}

/// Packets a second to what is fragile: those of the profile `ot`.
pub(crate) const GENTLE: u32 = 2;

/// Keeps packets within [`Rates`].
///
/// If the caller sends only at or after [`Pacer::earliest`] and reports with
/// [`Pacer::sent`], no half-open second holds more packets than the rates say. Packets
/// that the system sends for us (the ACK of a handshake, a FIN) cannot be asked to wait:
/// they are reported when they happened, push the next packet back, and find room in the
/// fiftieth of the rate that `earliest` never hands out.
///
/// Memory: 16 KiB, and 64 to 1,700 bytes for each address, and each network that has a limit,
/// that got a packet within the last second or two; there are at most about twice `total` of
/// them.
#[derive(Debug)]
pub struct Pacer {
    rates: Rates,
    /// Packets a second in all, as of now.
    pace: u32,
    all: Window,
    hosts: HashMap<IpAddr, Window>,
    /// Addresses with a limit of their own.
    slow: HashMap<IpAddr, u32>,
    /// Networks that have a limit and got packets lately, by [`network`].
    networks: HashMap<u128, Window>,
    /// Networks with a limit of their own.
    slow_networks: HashMap<u128, u32>,
    /// When idle hosts are forgotten next.
    next_sweep: Duration,
}

/// How long a burst after a late wake-up may make up for, and so how bunched packets
/// ever get: long enough for a sleeping thread's usual lateness, short enough that the
/// smallest switch buffers it at the rates for which it matters.
const CATCH_UP: Duration = Duration::from_millis(5);

/// Slots of one millisecond for all packets together cost a thousandth of the rate,
/// slots of ten milliseconds for one address or network a hundredth, and bound the memory.
const SLOT_ALL: Duration = Duration::from_millis(1);
const SLOT_SOME: Duration = Duration::from_millis(10);

const SECOND: Duration = Duration::from_secs(1);

impl Pacer {
    /// A pacer that has sent nothing yet.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        let mut pacer = Self {
            rates,
            pace: rates.total,
            all: Window::new(rates.total, SLOT_ALL),
            hosts: HashMap::new(),
            slow: HashMap::new(),
            networks: HashMap::new(),
            slow_networks: HashMap::new(),
            next_sweep: SECOND,
        };
        pacer.set_pace(rates.first());
        pacer
    }

    /// From now on, packets in all at the even distances of so many a second, and never more
    /// in any second than [`Rates::total`].
    pub fn set_pace(&mut self, per_second: u32) {
        self.pace = per_second.min(self.rates.total);
        self.all.set_pace(per_second);
    }

    /// Other rates from now on. Limits of single addresses and networks stay; what was sent within
    /// the last second is forgotten, so that the caller lets one pass before it sends again.
    pub fn renew(&mut self, rates: Rates) {
        let (slow, slow_networks) =
            (std::mem::take(&mut self.slow), std::mem::take(&mut self.slow_networks));
        *self = Self { slow, slow_networks, ..Self::new(rates) };
    }

    /// How many packets a second go in all, as of now.
    #[must_use]
    pub const fn pace(&self) -> u32 {
        self.pace
    }

    /// The moment, not before `now`, at which one more packet to `host` may go.
    pub fn earliest(&mut self, host: IpAddr, now: Duration) -> Duration {
        self.earliest_for(host, now, 1)
    }

    /// The same for so many packets at once: for a packet after which the system may send
    /// others that nobody can hold back. More than a second allows count as a second's.
    pub fn earliest_for(&mut self, host: IpAddr, now: Duration, packets: u32) -> Duration {
        let mut at = self.all.earliest(now, packets);
        if let Some(window) = self.hosts.get_mut(&host) {
            at = at.max(window.earliest(now, packets));
        }
        if let Some(window) = self.networks.get_mut(&network(host)) {
            at = at.max(window.earliest(now, packets));
        }
        at
    }

    /// How many packets a second `host` may get.
    #[must_use]
    pub fn rate_to(&self, host: IpAddr) -> u32 {
        self.slow.get(&host).copied().unwrap_or(self.rates.per_host)
    }

    /// From now on, no more than so many packets a second to `host`, and never more than to
    /// any other.
    pub fn slow_down(&mut self, host: IpAddr, per_second: u32) {
        let per_second = per_second.min(self.rates.per_host);
        self.slow.insert(host, per_second);
        if let Some(window) = self.hosts.get_mut(&host) {
            window.set_rate(per_second);
        }
    }

    /// From now on, half as many packets a second to the network of `host` (its IPv4 /24 or
    /// IPv6 /64) as until now.
    pub fn halve_network(&mut self, host: IpAddr) {
        let network = network(host);
        let rate = (self.rate_to_network(network).min(self.pace) / 2).max(1);
        self.slow_networks.insert(network, rate);
        let window = self.networks.entry(network);
        window.or_insert_with(|| Window::new(rate, SLOT_SOME)).set_rate(rate);
    }

    fn rate_to_network(&self, network: u128) -> u32 {
        self.slow_networks.get(&network).copied().unwrap_or(self.rates.per_network)
    }

    /// The moment, not before `now`, at which so many packets may go to an address that
    /// got none lately.
    pub fn earliest_to_anyone(&mut self, now: Duration, packets: u32) -> Duration {
        self.all.earliest(now, packets)
    }

    /// How many packets may go now, to addresses that got none lately.
    pub fn room(&mut self, now: Duration) -> u32 {
        self.all.room(now)
    }

    /// Accounts for packets to `host` that left at `now`, ours and those that the system
    /// sent for us.
    pub fn sent(&mut self, host: IpAddr, now: Duration, packets: u32) {
        if packets == 0 {
            return;
        }
        self.forget_idle(now);
        self.all.sent(now, packets);
        self.sent_before(host, now, packets);
    }

    /// Accounts for packets in all only: to addresses that get so few that the rate to one
    /// cannot matter, unless [`Pacer::sent_before`] tells of them later.
    pub fn sent_to_anyone(&mut self, now: Duration, packets: u32) {
        self.all.sent(now, packets);
    }

    /// Accounts for packets that `host` got shortly before `now` by
    /// [`Pacer::sent_to_anyone`].
    pub fn sent_before(&mut self, host: IpAddr, now: Duration, packets: u32) {
        let window = self.hosts.entry(host).or_insert_with(|| {
            let rate = self.slow.get(&host).copied().unwrap_or(self.rates.per_host);
            Window::new(rate, SLOT_SOME)
        });
        window.sent(now, packets);
        let network = network(host);
        if self.rates.limits_networks() || self.slow_networks.contains_key(&network) {
            let rate = self.rate_to_network(network);
            let window = self.networks.entry(network);
            window.or_insert_with(|| Window::new(rate, SLOT_SOME)).sent(now, packets);
        }
    }

    /// How many packets were sent since that moment, in all, at most a second ago.
    #[must_use]
    pub fn sent_since(&self, moment: Duration) -> u32 {
        self.all.since(moment)
    }

    fn forget_idle(&mut self, now: Duration) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now.saturating_add(SECOND);
        self.hosts.retain(|_, window| !window.is_idle(now));
        self.networks.retain(|_, window| !window.is_idle(now));
        if self.hosts.capacity() > self.hosts.len().saturating_mul(4).max(1_024) {
            self.hosts.shrink_to_fit();
        }
    }
}

/// What went during the last second, and the even spacing within it. Times are nanoseconds:
/// this is done for every packet.
#[derive(Debug)]
struct Window {
    /// Packets a second.
    rate: u32,
    /// Most packets in a second that `earliest` hands out.
    limit: u32,
    /// The length of a slot.
    slot: u64,
    /// Slot number and packets, ascending, without empty slots.
    slots: VecDeque<(u64, u32)>,
    /// Sum of `slots`.
    count: u32,
    /// One second divided by the limit.
    interval: u64,
    /// When the next packet would be due if all had come at even distances (the
    /// theoretical arrival time of the generic cell rate algorithm, ITU-T I.371, annex A).
    due: u64,
}

impl Window {
    fn new(rate: u32, slot: Duration) -> Self {
        let mut window = Self {
            rate: 0,
            limit: 0,
            slot: nanos(slot).max(1),
            slots: VecDeque::new(),
            count: 0,
            interval: 0,
            due: 0,
        };
        window.set_rate(rate);
        window
    }

    fn set_rate(&mut self, rate: u32) {
        self.rate = rate.max(1);
        self.limit = self.rate - self.rate / 50;
        self.set_pace(self.limit);
    }

    /// Spaces packets as if the limit were that, where it is not less.
    fn set_pace(&mut self, rate: u32) {
        self.interval = nanos(SECOND) / u64::from(rate.clamp(1, self.limit.max(1)));
    }

    /// The number of the slot that holds this moment.
    const fn number(&self, moment: u64) -> u64 {
        moment / self.slot
    }

    /// How many slots a second has.
    const fn span(&self) -> u64 {
        nanos(SECOND) / self.slot
    }

    fn expire(&mut self, now: u64) {
        // A second that begins within a slot touches one slot more than it is long, so
        // that many have to pass before a slot is surely out of every second of now.
        let oldest = self.number(now).saturating_sub(self.span());
        while let Some((slot, packets)) = self.slots.front().copied()
            && slot < oldest
        {
            self.count = self.count.saturating_sub(packets);
            self.slots.pop_front();
        }
    }

    fn earliest(&mut self, now: Duration, packets: u32) -> Duration {
        let now = nanos(now);
        self.expire(now);
        let even = now.max(self.due.saturating_sub(nanos(CATCH_UP)));
        let packets = packets.min(self.limit);
        let mut over = self.count.saturating_add(packets).saturating_sub(self.limit);
        let mut free = 0;
        for (slot, packets) in &self.slots {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(*packets);
            free = slot.saturating_add(self.span()).saturating_add(1).saturating_mul(self.slot);
        }
        Duration::from_nanos(even.max(free))
    }

    fn room(&mut self, now: Duration) -> u32 {
        let now = nanos(now);
        self.expire(now);
        let ahead = now.saturating_add(nanos(CATCH_UP)).saturating_sub(self.due);
        let even = u32::try_from(ahead / self.interval.max(1)).unwrap_or(u32::MAX);
        even.min(self.limit.saturating_sub(self.count))
    }

    fn sent(&mut self, now: Duration, packets: u32) {
        let now = nanos(now);
        self.expire(now);
        let slot = self.number(now);
        match self.slots.back_mut() {
            Some((last, count)) if *last >= slot => *count = count.saturating_add(packets),
            _ => self.slots.push_back((slot, packets)),
        }
        self.count = self.count.saturating_add(packets);
        let took = self.interval.saturating_mul(u64::from(packets));
        self.due = self.due.max(now).saturating_add(took);
    }

    fn since(&self, moment: Duration) -> u32 {
        let first = self.number(nanos(moment));
        let recent = self.slots.iter().rev().take_while(|(slot, _)| *slot >= first);
        recent.fold(0, |sum, (_, packets)| sum.saturating_add(*packets))
    }

    fn is_idle(&mut self, now: Duration) -> bool {
        let now = nanos(now);
        self.expire(now);
        self.slots.is_empty() && self.due <= now
    }
}

/// In nanoseconds, of which 64 bits hold five hundred years.
const fn nanos(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos() as u64)
}

/// The network of an address: its IPv4 /24 or IPv6 /64.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        // No IPv6 network begins with so many zeroes and is asked.
        IpAddr::V4(v4) => u128::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    /// The most entries of an ascending list that lie in any half-open second.
    fn most_in_a_second(times: &[Duration]) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (last, time) in times.iter().enumerate() {
            while times[first] + SECOND <= *time {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }

    #[test]
    fn other_rates_count_from_then_on_and_who_is_spared_stays_so() {
        let mut pacer = Pacer::new(Rates::default());
        pacer.slow_down(host(1), GENTLE);
        pacer.renew(Rates { total: 50, per_host: 10, ..Rates::default() });
        assert_eq!(
            (pacer.pace(), pacer.rate_to(host(1)), pacer.rate_to(host(2))),
            (50, GENTLE, 10)
        );
        let now = Duration::from_secs(100);
        assert!(pacer.earliest(host(2), now) <= now + SECOND);
    }

    /// A caller that always has something to send to each of `hosts` and wakes late by
    /// what `lateness` says, in microseconds, one after the other.
    fn saturate(
        rates: Rates,
        hosts: u8,
        lateness: &[u64],
        duration: Duration,
    ) -> Vec<(Duration, IpAddr)> {
        let mut pacer = Pacer::new(rates);
        let mut late = lateness.iter().cycle();
        let mut now = Duration::ZERO;
        let mut log = Vec::new();
        while now < duration {
            let (at, to) = (0..hosts)
                .map(|n| (pacer.earliest(host(n), now), host(n)))
                .min_by_key(|(at, _)| *at)
                .unwrap();
            if at > now {
                now = at + Duration::from_micros(*late.next().unwrap());
            }
            assert!(pacer.earliest(to, now) <= now, "it was promised for {at:?}");
            pacer.sent(to, now, 1);
            log.push((now, to));
        }
        log
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn no_second_holds_more_than_the_rates(
            total in 1_u32..400,
            per_host in 1_u32..60,
            hosts in 1_u8..12,
            lateness in proptest::collection::vec(0_u64..30_000, 1..40),
        ) {
            let rates = Rates { total, per_host, ..Rates::default() };
            let log = saturate(rates, hosts, &lateness, Duration::from_secs(4));
            let all: Vec<_> = log.iter().map(|(at, _)| *at).collect();
            prop_assert!(most_in_a_second(&all) <= total as usize);
            for n in 0..hosts {
                let one: Vec<_> =
                    log.iter().filter(|(_, to)| *to == host(n)).map(|(at, _)| *at).collect();
                prop_assert!(most_in_a_second(&one) <= per_host as usize);
            }
        }

        #[test]
        fn late_wake_ups_cost_less_than_a_twentieth(
            total in 1_u32..3_000,
            lateness in proptest::collection::vec(0_u64..=2_000, 1..40),
        ) {
            // One address bears what all do, so that both limits are at work.
            let rates = Rates { total, per_host: total, ..Rates::default() };
            let seconds = 20;
            let log = saturate(rates, 1, &lateness, Duration::from_secs(seconds));
            let wanted = f64::from(total) * 0.95 * seconds as f64;
            prop_assert!(log.len() as f64 >= wanted.floor(), "{} of {wanted}", log.len());
        }
    }

    #[test]
    fn packets_of_the_system_push_the_next_one_back() {
        let mut pacer = Pacer::new(Rates { total: 1_000, per_host: 10, ..Rates::default() });
        let now = Duration::from_secs(5);
        assert_eq!(pacer.earliest(host(1), now), now);
        pacer.sent(host(1), now, 1);
        let after_one = pacer.earliest(host(1), now);
        pacer.sent(host(1), now, 2);
        let after_three = pacer.earliest(host(1), now);
        assert!(after_three >= after_one + Duration::from_millis(200));
        // Another address only feels the rate of all.
        assert!(pacer.earliest(host(2), now) < now + Duration::from_millis(10));
    }

    #[test]
    fn room_for_several_is_waited_for() {
        let mut pacer = Pacer::new(Rates { total: 1_000, per_host: 10, ..Rates::default() });
        for n in 0..8 {
            let now = pacer.earliest(host(1), Duration::from_millis(n * 200));
            pacer.sent(host(1), now, 1);
        }
        let now = Duration::from_millis(1_500);
        assert_eq!(pacer.earliest_for(host(1), now, 4), now);
        assert!(pacer.earliest_for(host(1), now, 9) > now + Duration::from_millis(500));
        // More than fit into any second wait for an empty one.
        assert_eq!(pacer.earliest_for(host(1), now, 99), Duration::from_millis(2_410));
    }

    #[test]
    fn packets_are_spread_over_the_second() {
        let log =
            saturate(Rates { total: 1_000, per_host: 1_000, ..Rates::default() }, 1, &[0], SECOND);
        let first = log.iter().filter(|(at, _)| *at < Duration::from_millis(100)).count();
        assert!((90..=110).contains(&first), "{first} in the first tenth");
    }

    #[test]
    fn idle_hosts_are_forgotten() {
        let mut pacer = Pacer::new(Rates { total: 100_000, per_host: 10, ..Rates::default() });
        for n in 0..200_000_u32 {
            let now = Duration::from_micros(u64::from(n) * 100);
            pacer.sent(IpAddr::V4(n.into()), now, 1);
        }
        // Ten thousand packets a second, so no more than two or three seconds of them.
        assert!(pacer.hosts.len() <= 30_000, "{}", pacer.hosts.len());
    }

    #[test]
    fn what_is_slowed_down_stays_slow() {
        let mut pacer = Pacer::new(Rates { total: 1_000, per_host: 1_000, ..Rates::default() });
        let mut now = Duration::ZERO;
        let mut times = Vec::new();
        for turn in 0..40 {
            if turn == 20 {
                pacer.slow_down(host(1), 2);
            }
            now = pacer.earliest(host(1), now);
            pacer.sent(host(1), now, 1);
            times.push(now);
        }
        let later: Vec<_> = times[20..].to_vec();
        assert!(most_in_a_second(&later) <= 2);
        assert!(later[19] < Duration::from_secs(12), "{:?}", later[19]);
    }

    #[test]
    fn nobody_is_slowed_down_to_more_than_the_rate_of_all() {
        let mut pacer = Pacer::new(Rates { total: 1_000, per_host: 1, ..Rates::default() });
        pacer.slow_down(host(1), 2);
        assert_eq!(pacer.rate_to(host(1)), 1);
        pacer.sent(host(1), Duration::ZERO, 1);
        assert!(pacer.earliest(host(1), Duration::ZERO) > Duration::from_millis(900));
    }

    #[test]
    fn a_halved_network_is_halved_again_and_others_are_not() {
        let mut pacer = Pacer::new(Rates { total: 1_000, per_host: 1_000, ..Rates::default() });
        pacer.halve_network(host(9));
        pacer.halve_network(host(7));
        let mut now = Duration::ZERO;
        for n in 0..250_u8 {
            now = pacer.earliest(host(n), now);
            pacer.sent(host(n), now, 1);
        }
        assert!(now > Duration::from_millis(980) && now < Duration::from_millis(1_050), "{now:?}");
        let other = IpAddr::from([198, 51, 100, 1]);
        assert!(pacer.earliest(other, now) < now + Duration::from_millis(2));
    }

    #[test]
    fn the_pace_changes_and_no_second_holds_more_than_the_most() {
        let rates = Rates { total: 1_000, per_host: 1_000, ..Rates::default() };
        let mut pacer = Pacer::new(Rates { tempo: Tempo::From(100), ..rates });
        let mut now = Duration::ZERO;
        let mut log = Vec::new();
        for (pace, until) in [(100, 2), (5_000, 4), (300, 6), (1_000, 8)] {
            pacer.set_pace(pace);
            while now < SECOND * until {
                now = pacer.earliest(host(1), now);
                pacer.sent(host(1), now, 1);
                log.push(now);
            }
        }
        let sent = |from: u32, to: u32| {
            log.iter().filter(|at| (SECOND * from..SECOND * to).contains(*at)).count()
        };
        assert!(most_in_a_second(&log) <= 1_000);
        assert!((95..=105).contains(&sent(0, 1)) && (95..=105).contains(&sent(1, 2)));
        assert!(sent(3, 4) > 950 && sent(7, 8) > 950, "{} {}", sent(3, 4), sent(7, 8));
        assert!((280..=310).contains(&sent(5, 6)), "{}", sent(5, 6));
    }

    #[test]
    fn a_network_gets_no_more_than_its_rate_and_others_are_not_held_up() {
        let rates = Rates { total: 1_000, per_host: 40, per_network: 100, ..Rates::default() };
        let mut pacer = Pacer::new(rates);
        let other = |n: u8| IpAddr::from([198, 51, 100, n]);
        let mut times: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
        let mut now = Duration::ZERO;
        while now < SECOND * 4 {
            let turn = times[0].len() % 250;
            let one = host(u8::try_from(turn).unwrap());
            let two = other(u8::try_from(turn).unwrap());
            for (to, log) in [one, two].into_iter().zip(&mut times) {
                if pacer.earliest(to, now) <= now {
                    pacer.sent(to, now, 1);
                    log.push(now);
                }
            }
            now += Duration::from_micros(500);
        }
        for log in &times {
            assert!(most_in_a_second(log) <= 100);
            assert!(log.len() > 370, "{} in four seconds", log.len());
        }
        // Networks that get nothing are forgotten, and the limit holds when they get more.
        pacer.sent(IpAddr::from([203, 0, 113, 1]), SECOND * 10, 1);
        assert_eq!(pacer.networks.len(), 1);
        assert!(pacer.earliest(host(1), SECOND * 10) <= SECOND * 10);
    }

    #[test]
    fn a_rate_of_nothing_is_one() {
        let log = saturate(
            Rates { total: 0, per_host: 0, ..Rates::default() },
            1,
            &[0],
            Duration::from_secs(5),
        );
        assert!((4..=6).contains(&log.len()));
    }
}
