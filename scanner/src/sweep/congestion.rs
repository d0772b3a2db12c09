//! The rate that a network bears, where nobody says it.
//!
//! *Witnesses*, up to 32 responders at addresses spread over what is swept, are asked again what they answered.
//! Their answers, 16 at a time, make a trial of the rate. It speaks against the rate if, the
//! worst witness left aside, two answers or more are missing, or half of them took more than
//! twice the best time of that witness and 10 ms. Then the rate falls to seven tenths; so it
//! does when the system refuses packets. Otherwise it rises, if it was made use of: it doubles
//! until it fell for the first time, then it grows by a sixteenth of the rate at which it
//! fell, and faster again behind that.
//!
//! Without three witnesses there is no trial, and the rate stays what it is. A witness that is
//! silent or slow while others are not has a reason of its own, and is one no more. Loss
//! that half the rate does not cure is the network's own, and is allowed for.
//!
//! Additive increase and multiplicative decrease are Chiu and Jain's (Computer Networks and
//! ISDN Systems 17, 1989); that an unused rate does not rise is RFC 7661's.

use std::{net::IpAddr, time::Duration};

use model::MacAddr;

use super::state::Ask;

/// Most witnesses, and the least that there have to be.
const MOST_WITNESSES: usize = 32;
const LEAST_WITNESSES: usize = 3;

/// Answers of a trial, those that came and those that did not.
const TRIAL: u32 = 16;

/// So many missing in a trial speak against the rate; so many slow ones do.
const MISSING: u32 = 2;
const SLOW: u32 = TRIAL / 2;

/// Who loses more of a trial than this has no bad line, but too narrow a one; and so much of
/// a bad line is allowed for.
const MOST_OWN: u32 = 6;
const MOST_ALLOWED: u32 = 2;

/// An answer that takes so much longer than twice the best is slow, or missing.
const SLOWER: Duration = Duration::from_millis(10);
const GIVEN_UP: Duration = Duration::from_millis(250);

/// The time from one question to a witness to its next, and to the next of another; between
/// those so many questions of the sweep go.
const BETWEEN: Duration = Duration::from_millis(500);
const BETWEEN_ALL: Duration = Duration::from_millis(10);
const SHARE: u64 = 20;

/// The time between two falls because packets were refused: a system that takes nothing for
/// a while refuses many times.
const REST: Duration = Duration::from_secs(1);

/// A rate never falls below this, or the sweep would not end.
const LEAST: u32 = 20;

/// At so many strikes a witness is one no more; a missing answer counts four, a slow one
/// two, and a good one takes one away.
const UNRELIABLE: u32 = 8;

/// Those that were unreliable lately.
const REMEMBERED: usize = 64;

/// The rate in all and what speaks for it and against it.
#[derive(Clone, Debug)]
pub(super) struct Congestion {
    /// Packets a second in all.
    rate: u32,
    /// The most it may become.
    most: u32,
    /// How often one witness may be asked.
    between: Duration,
    witnesses: Vec<Witness>,
    unreliable: Vec<IpAddr>,
    /// Whose turn it is.
    turn: usize,
    /// When the next question may go, and behind how many of all.
    next: (Duration, u64),
    /// Whether that time has come, so that only packets are waited for.
    aimed: bool,
    /// Only answers to questions since then are part of the trial.
    since: Duration,
    /// The longest time that an answer of the trial took.
    slowest: Duration,
    /// Where it fell last, and by how much it grows since.
    fell: Option<Fall>,
    /// When packets were refused last.
    refused: Option<Duration>,
    /// The rate at which answers began to be missing, as long as they are, and how many were.
    lossy: Option<(u32, u32)>,
    /// Missing answers of a trial that are the network's own.
    allowed: u32,
}

#[derive(Clone, Copy, Debug)]
struct Fall {
    from: u32,
    step: u32,
}

/// A responder that is asked again what it answered.
#[derive(Clone, Debug)]
struct Witness {
    address: IpAddr,
    device: Option<MacAddr>,
    ask: Ask,
    best: Duration,
    /// When it was asked, while no answer came.
    asked: Option<Duration>,
    next: Duration,
    strikes: u32,
    tally: Tally,
}

/// Answers of a trial.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    prompt: u32,
    slow: u32,
    missing: u32,
}

impl Tally {
    const fn all(self) -> u32 {
        self.prompt + self.slow + self.missing
    }
}

/// What a trial says of the rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Unknown,
    Bears,
    Missing,
    Slow,
}

impl Congestion {
    /// Begins with a rate, for addresses that may get so many packets a second each.
    pub(super) fn new(first: u32, most: u32, per_host: u32, now: Duration) -> Self {
        // A tenth of what an address may get is for asking it again.
        let each = Duration::from_secs(10) / per_host.max(1);
        Self {
            rate: first,
            most,
            between: BETWEEN.max(each),
            witnesses: Vec::new(),
            unreliable: Vec::new(),
            turn: 0,
            next: (now, 0),
            aimed: false,
            since: now,
            slowest: Duration::ZERO,
            fell: None,
            refused: None,
            lossy: None,
            allowed: 0,
        }
    }

    /// Packets a second in all, as of now.
    pub(super) const fn rate(&self) -> u32 {
        self.rate
    }

    /// An address answered a question after that time: it may be a witness. Of a device that
    /// has several addresses one is enough. Who comes from a network of which there is none
    /// yet takes the place of the first of them.
    pub(super) fn meet(
        &mut self,
        address: IpAddr,
        device: Option<MacAddr>,
        ask: Ask,
        took: Duration,
        now: Duration,
    ) {
        let same =
            |one: &Witness| one.address == address || (device.is_some() && one.device == device);
        if self.witnesses.iter().any(same) || self.unreliable.contains(&address) {
            return;
        }
        if self.witnesses.len() >= MOST_WITNESSES {
            let near = |one: &Witness| network(one.address) == network(address);
            if self.witnesses.iter().any(near) {
                return;
            }
            self.witnesses.remove(0);
        }
        let next = now.saturating_add(self.between);
        self.witnesses.push(Witness {
            address,
            device,
            ask,
            best: took,
            asked: None,
            next,
            strikes: 0,
            tally: Tally::default(),
        });
    }

    /// The witness whose turn it is, if one may be asked now that so many questions went.
    pub(super) fn due(&mut self, now: Duration, questions: u64) -> Option<(IpAddr, Ask)> {
        let count = self.witnesses.len();
        if count < LEAST_WITNESSES || !self.may_ask(now, questions) {
            return None;
        }
        let turn = (0..count).map(|offset| (self.turn + offset) % count).find(|turn| {
            self.witnesses.get(*turn).is_some_and(|one| one.asked.is_none() && one.next <= now)
        })?;
        self.turn = turn + 1;
        self.witnesses.get(turn).map(|one| (one.address, one.ask))
    }

    /// Whether it is time. What is sent goes in small bursts, and who is always the first of
    /// one finds room in the queue when nobody else does; so the place in it varies.
    pub(super) fn may_ask(&mut self, now: Duration, questions: u64) -> bool {
        let (time, place) = self.next;
        if now < time.max(self.since) || questions < place {
            return false;
        }
        if !self.aimed {
            self.aimed = true;
            let burst = u64::from(self.rate / 1_000) + 1;
            let place = questions.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            self.next.1 = questions.saturating_add(place % burst);
        }
        questions >= self.next.1
    }

    /// The witness was asked as the last of so many questions.
    pub(super) fn asked(&mut self, address: IpAddr, now: Duration, questions: u64) {
        self.next = (now.saturating_add(BETWEEN_ALL), questions.saturating_add(SHARE));
        self.aimed = false;
        self.put_off(address, now);
        if let Some(one) = self.witnesses.iter_mut().find(|one| one.address == address) {
            one.asked = Some(now);
        }
    }

    /// The witness is not asked before its next turn.
    pub(super) fn put_off(&mut self, address: IpAddr, now: Duration) {
        if let Some(one) = self.witnesses.iter_mut().find(|one| one.address == address) {
            one.next = now.saturating_add(self.between);
        }
    }

    /// The address is no witness any more.
    pub(super) fn dismiss(&mut self, address: IpAddr) {
        self.witnesses.retain(|one| one.address != address);
        if self.unreliable.len() >= REMEMBERED {
            self.unreliable.remove(0);
        }
        self.unreliable.push(address);
    }

    /// An answer came. Says whether it was a witness's.
    pub(super) fn hear(&mut self, address: IpAddr, ask: Ask, now: Duration) -> bool {
        let is_it = |one: &&mut Witness| one.address == address && one.ask == ask;
        let Some(one) = self.witnesses.iter_mut().find(is_it) else { return false };
        let Some(asked) = one.asked.take() else { return false };
        let took = now.saturating_sub(asked);
        if asked >= self.since {
            self.slowest = self.slowest.max(took);
            match took > one.best.saturating_mul(2).saturating_add(SLOWER) {
                true => one.tally.slow += 1,
                false => one.tally.prompt += 1,
            }
        }
        one.best = one.best.min(took);
        true
    }

    /// Nobody listened for a while: who was asked before it may have answered in it, and how long
    /// that took nobody knows.
    pub(super) fn look_away(&mut self, now: Duration) {
        for one in &mut self.witnesses {
            one.asked = None;
        }
        self.try_again(now);
    }

    /// The system refused packets, or lost answers.
    pub(super) fn refuse(&mut self, now: Duration) {
        let rests = self.refused.is_some_and(|at| now.saturating_sub(at) < REST);
        if !rests {
            self.refused = Some(now);
            self.fall(now);
        }
    }

    /// Looks at what the witnesses said, and changes the rate if it is time. `used` are the
    /// packets a second that were sent since that moment.
    pub(super) fn judge(&mut self, now: Duration, used: impl Fn(Duration) -> u32) {
        self.give_up(now);
        match self.verdict() {
            Verdict::Unknown => {}
            Verdict::Bears => {
                self.strike();
                self.lossy = None;
                if used(self.since) >= self.rate / 2 {
                    self.rise();
                }
                self.try_again(now);
            }
            Verdict::Slow => {
                // What queues is under way for as long as the slowest answer was.
                let queued = self.slowest;
                self.fall(now);
                self.since = now.saturating_add(queued);
            }
            Verdict::Missing => {
                let missing: u32 = self.witnesses.iter().map(|one| one.tally.missing).sum();
                let (rate, at_first) = *self.lossy.get_or_insert((self.rate, missing));
                let is_own = self.rate <= rate / 2 && at_first <= MOST_OWN && missing >= at_first;
                if is_own && self.allowed < MOST_ALLOWED {
                    self.allowed += MISSING;
                    self.try_again(now);
                } else {
                    self.fall(now);
                }
            }
        }
    }

    /// Whose answer did not come for long is not waited for.
    fn give_up(&mut self, now: Duration) {
        for one in &mut self.witnesses {
            let end = one.best.saturating_mul(2).saturating_add(GIVEN_UP);
            if let Some(asked) = one.asked
                && now.saturating_sub(asked) > end
            {
                one.asked = None;
                one.tally.missing += u32::from(asked >= self.since);
            }
        }
    }

    fn verdict(&self) -> Verdict {
        let but_the_worst = |part: fn(&Witness) -> u32| {
            let worst = self.witnesses.iter().map(part).max().unwrap_or(0);
            self.witnesses.iter().map(part).sum::<u32>().saturating_sub(worst)
        };
        let heard = self.witnesses.iter().filter(|one| one.tally.all() > 0).count();
        let all: u32 = self.witnesses.iter().map(|one| one.tally.all()).sum();
        if but_the_worst(|one| one.tally.slow) >= SLOW {
            Verdict::Slow
        } else if all < TRIAL || heard < LEAST_WITNESSES {
            Verdict::Unknown
        } else if but_the_worst(|one| one.tally.missing) >= MISSING + self.allowed {
            Verdict::Missing
        } else {
            Verdict::Bears
        }
    }

    /// Who did worse than the others of a trial that speaks for the rate is judged by it.
    fn strike(&mut self) {
        let mut unreliable = Vec::new();
        for one in &mut self.witnesses {
            let Tally { prompt, slow, missing } = one.tally;
            one.strikes = (one.strikes + 4 * missing + 2 * slow).saturating_sub(prompt);
            if one.strikes >= UNRELIABLE {
                unreliable.push(one.address);
            }
        }
        for address in unreliable {
            self.dismiss(address);
        }
    }

    fn rise(&mut self) {
        let rate = match &mut self.fell {
            None => self.rate.saturating_mul(2),
            Some(Fall { from, step }) => {
                if self.rate > from.saturating_add(*from / 8) {
                    *step = step.saturating_mul(2);
                }
                self.rate.saturating_add(*step)
            }
        };
        self.rate = rate.min(self.most);
    }

    fn fall(&mut self, now: Duration) {
        self.fell = Some(Fall { from: self.rate, step: (self.rate / 16).max(1) });
        self.rate = (self.rate - self.rate / 10 * 3).max(LEAST).min(self.most);
        self.try_again(now);
    }

    /// Begins another trial.
    fn try_again(&mut self, since: Duration) {
        self.since = since;
        self.slowest = Duration::ZERO;
        for one in &mut self.witnesses {
            one.tally = Tally::default();
        }
    }
}

/// What lies next to an address: its IPv4 /24 or IPv6 /64.
fn network(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(v4) => (true, u128::from(v4.to_bits() >> 8)),
        IpAddr::V6(v6) => (false, v6.to_bits() >> 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn host(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    /// Asks for so many milliseconds; `says` tells how many each answer takes, if it comes.
    fn ask(
        congestion: &mut Congestion,
        millis: std::ops::Range<u32>,
        used: u32,
        says: impl Fn(IpAddr) -> Option<u32>,
    ) {
        let mut answers: Vec<(Duration, IpAddr, Ask)> = Vec::new();
        for turn in millis {
            let now = MS * turn;
            while let Some(place) = answers.iter().position(|(at, _, _)| *at <= now) {
                let (at, address, question) = answers.remove(place);
                congestion.hear(address, question, at);
            }
            congestion.judge(now, |_| used);
            let questions = u64::from(turn) * 20;
            if let Some((address, question)) = congestion.due(now, questions) {
                congestion.asked(address, now, questions);
                answers.extend(says(address).map(|took| (now + MS * took, address, question)));
            }
        }
    }

    fn with(witnesses: u8) -> Congestion {
        let mut congestion = Congestion::new(1_000, 50_000, 40, Duration::ZERO);
        for n in 0..witnesses {
            congestion.meet(host(n), None, Ask::Echo, MS * 2, Duration::ZERO);
        }
        congestion
    }

    #[test]
    fn it_doubles_while_all_answer_and_only_if_the_rate_is_used() {
        let mut used = with(20);
        ask(&mut used, 0..10_000, u32::MAX, |_| Some(3));
        assert_eq!(used.rate(), 50_000);
        let mut unused = with(20);
        ask(&mut unused, 0..10_000, 1_500, |_| Some(3));
        assert_eq!(unused.rate(), 4_000);
    }

    #[test]
    fn it_falls_when_all_are_slow_or_silent_and_not_when_one_is() {
        for (answer, of, expected) in [
            (Some(13), 20, 50_000..50_001),
            (Some(90), 20, LEAST..LEAST + 1),
            (None, 20, LEAST..LEAST + 1),
            (Some(90), 1, 50_000..50_001),
            (None, 1, 50_000..50_001),
        ] {
            let mut congestion = with(20);
            ask(&mut congestion, 0..20_000, u32::MAX, |address| {
                let is_bad = (0..of).any(|n| address == host(n));
                if is_bad { answer } else { Some(2) }
            });
            let rate = congestion.rate();
            assert!(expected.contains(&rate), "{rate} where {of} answer {answer:?}");
        }
    }

    #[test]
    fn what_came_while_nobody_listened_says_nothing() {
        let mut congestion = with(8);
        let now = 100 * MS;
        let asked: Vec<_> = (0..8).map(host).collect();
        for address in &asked {
            congestion.asked(*address, now, 0);
        }
        // Minutes later their answers are found in the ring, or are not.
        let later = now + Duration::from_secs(300);
        let rate = congestion.rate();
        congestion.look_away(later);
        for address in asked.iter().take(4) {
            assert!(!congestion.hear(*address, Ask::Echo, later));
        }
        congestion.judge(later + MS, |_| 0);
        assert_eq!(congestion.rate(), rate);
        let due = (0..2_000)
            .find_map(|tick| congestion.due(later + tick * MS, 1_000 + 20 * u64::from(tick)));
        assert!(due.is_some(), "they are asked again");
    }

    #[test]
    fn who_alone_is_silent_is_a_witness_no_more() {
        let mut congestion = with(4);
        ask(&mut congestion, 0..20_000, 0, |address| (address != host(1)).then_some(2));
        assert!(congestion.witnesses.iter().all(|one| one.address != host(1)));
        congestion.meet(host(1), None, Ask::Echo, MS, MS);
        assert_eq!(congestion.witnesses.len(), 3);
    }

    #[test]
    fn witnesses_are_different_devices_of_different_networks() {
        let mut congestion = with(0);
        let mac = Some(MacAddr([2, 0, 0, 0, 0, 1]));
        for n in 0..40 {
            congestion.meet(host(n), mac, Ask::Echo, MS, MS);
        }
        assert_eq!(congestion.witnesses.len(), 1);
        for n in 0..40 {
            congestion.meet(host(n), None, Ask::Echo, MS, MS);
        }
        assert_eq!(congestion.witnesses.len(), MOST_WITNESSES);
        for n in 0..40 {
            congestion.meet(IpAddr::from([198, 51, 100, n]), None, Ask::Echo, MS, MS);
        }
        let far = congestion.witnesses.iter().filter(|one| one.address >= host(255)).count();
        assert_eq!((congestion.witnesses.len(), far), (MOST_WITNESSES, 1));
    }
}
