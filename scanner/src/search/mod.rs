//! The search of an area: who is there, where there are too many addresses to ask each.
//!
//! Everybody on the link is asked at once, by group, in a few ways, for a second or two
//! ([`GroupLink`]); who answers from an address of the area has been found, and what is known
//! of interfaces gives more addresses that are worth one question each (`guess`). All of it
//! ends in a wider [`Scope`], which the ordinary sweep then asks address by address. Who stays
//! silent was not looked at: a search covers nothing.

mod guess;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use model::{Fact, Gap, MacAddr, Method, Observation, Subject, Timestamp, Vantage};
use wire::ndp;

use crate::{LinkError, Scope, SearchPermit, is_not_unicast, rate::Rates, stop::Stop};

/// A question to everybody on a link.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum GroupQuestion {
    /// ICMPv6 echo to all nodes, from this address of ours: who answers does so from an
    /// address of the same scope (RFC 6724, section 5).
    Echo(Ipv6Addr),
    /// The same behind an option that nobody knows, which even those who ignore the echo
    /// refuse (RFC 8200, section 4.2).
    Option(Ipv6Addr),
    /// The general query for multicast listeners, RFC 3810.
    Listeners,
    /// Router solicitation, RFC 4861.
    Routers,
}

/// Somebody on the link, heard in the time of a search.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupReply {
    /// From which address.
    pub from: Ipv6Addr,
    /// The link-layer address it came from, where the tier sees it.
    pub mac: Option<MacAddr>,
    /// The hop limit as it arrived, where the tier sees it.
    pub ttl: Option<u8>,
    /// What it says.
    pub said: Said,
}

/// What a reply says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    /// It answers the echo, with our cookie.
    Echo,
    /// It does not know the option of a packet with our cookie.
    Option,
    /// It listens to these groups.
    Listens(Vec<Ipv6Addr>),
    /// It is a router.
    Router(ndp::Router),
}

impl Said {
    const fn method(&self) -> Method {
        match self {
            Self::Echo => Method::MulticastEcho,
            Self::Option => Method::MulticastOption,
            Self::Listens(_) => Method::MulticastListener,
            Self::Router(_) => Method::RouterAdvertisement,
        }
    }
}

/// A way to ask everybody on one link, and its clock.
pub trait GroupLink {
    /// What it can ask, in the order of asking.
    fn questions(&self) -> Vec<GroupQuestion>;

    /// Asks. The permit says that the user named an area on this link.
    fn send(&mut self, leave: SearchPermit, question: GroupQuestion) -> Result<(), LinkError>;

    /// The next reply, or `None` once `until` has come. Never waits past `until`.
    fn receive(&mut self, until: Duration) -> Result<Option<GroupReply>, LinkError>;

    /// Replies that were lost before they could be read, as far as the system tells.
    fn drops(&mut self) -> u64;

    /// A clock that never goes back, counted from any start.
    fn now(&self) -> Duration;

    /// The date and time, for observations.
    fn timestamp(&self) -> Timestamp;
}

/// What is known of a link before it is searched.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The machine's own addresses there.
    pub own: Vec<Ipv6Addr>,
    /// The addresses in the system's neighbour table, of both families.
    pub neighbors: Vec<(IpAddr, MacAddr)>,
    /// Addresses that were seen before, such as those of the inventory.
    pub before: Vec<IpAddr>,
}

/// A search of the areas on one link, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Decides what of that which is found may be asked.
    pub scope: &'a Scope,
    /// The areas on this link.
    pub areas: &'a [SearchPermit],
    /// What is known already.
    pub known: &'a Known,
    /// Everybody gets every question, so the rate to one address is that of the questions.
    pub rates: Rates,
    /// Where we stand, for the observations.
    pub vantage: &'a Vantage,
    /// Ends it early.
    pub stop: &'a Stop,
}

/// What a search brought, beside its observations.
#[derive(Clone, Debug, Default)]
pub struct SearchOutcome {
    /// The addresses in the areas that answered.
    pub found: BTreeSet<IpAddr>,
    /// More that may be in use: known from before, in the neighbour table, or our own.
    pub known: BTreeSet<IpAddr>,
    /// More that are worth one question each: put together from what is known of interfaces.
    pub guessed: BTreeSet<IpAddr>,
    /// How many addresses answered that are not in the areas, or are excluded. Nothing else is
    /// kept of them.
    pub elsewhere: usize,
    /// The routers that told of themselves. They are not asked unless they are found, too.
    pub routers: Vec<Router>,
    /// Questions that the system took.
    pub sent: u64,
    /// Replies.
    pub replies: u64,
    /// Replies that the link knows to have lost.
    pub drops: u64,
    /// Whether it was neither stopped nor cut off.
    pub complete: bool,
    /// Where it failed to look.
    pub gaps: Vec<Gap>,
}

/// A router on the link, as it tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Router {
    /// Its address, link-local.
    pub address: Ipv6Addr,
    /// Where it is.
    pub mac: Option<MacAddr>,
    /// The networks that it says are on the link.
    pub prefixes: Vec<ndp::Prefix>,
}

/// How often everybody is asked. Against loss on the way and of answers that come all at
/// once, twice; a third time where the second brought somebody new.
pub(crate) const ROUNDS: u64 = 3;

/// From the beginning of one round to the next.
const ROUND: Duration = Duration::from_millis(700);

/// The least time between two questions.
const BETWEEN: Duration = Duration::from_millis(20);

/// How long the last answers are waited for at least: listeners take up to [`LISTENER_DELAY`],
/// routers up to half a second (RFC 4861, section 6.2.6).
const LEAST_WAIT: Duration = Duration::from_millis(600);

/// The same at most, however many still come.
const MOST_WAIT: Duration = Duration::from_secs(3);

/// The least time without anybody new after which nobody new is expected.
const QUIET: Duration = Duration::from_millis(200);

/// In how many milliseconds listeners are asked to spread their reports.
pub const LISTENER_DELAY: u16 = 400;

/// How many addresses are listened to. Reports and router advertisements prove nothing but
/// that somebody on the link sent them, in whatever name: memory must have an end.
const MOST_HEARD: usize = 65_536;

/// How long a stop waits to be seen.
const TURN: Duration = Duration::from_millis(50);

/// The search under way.
struct Running<'a> {
    search: &'a Search<'a>,
    link: &'a mut dyn GroupLink,
    observe: &'a mut dyn FnMut(Observation),
    outcome: SearchOutcome,
    /// What has been told of whom.
    told: BTreeMap<Ipv6Addr, BTreeSet<Method>>,
    interfaces: guess::Interfaces,
    routers: BTreeMap<Ipv6Addr, Router>,
    /// When each question was asked last.
    asked: HashMap<GroupQuestion, Duration>,
    /// The longest time from an echo to an answer.
    slowest: Duration,
    /// When somebody new was last heard.
    news: Duration,
    /// Replies of more addresses than are listened to.
    unheard: u64,
}

impl Search<'_> {
    /// Runs it: some two seconds at the usual rates, and longer where each asset may get but few
    /// packets a second.
    pub fn run(
        &self,
        link: &mut dyn GroupLink,
        observe: &mut dyn FnMut(Observation),
    ) -> SearchOutcome {
        let mut running = Running {
            search: self,
            link,
            observe,
            outcome: SearchOutcome { complete: true, ..SearchOutcome::default() },
            told: BTreeMap::new(),
            interfaces: guess::Interfaces::default(),
            routers: BTreeMap::new(),
            asked: HashMap::new(),
            slowest: Duration::ZERO,
            news: Duration::ZERO,
            unheard: 0,
        };
        if let Err(error) = running.ask_everybody() {
            running.gap(format!("the search was cut off: {}", chain(&error)));
            running.outcome.complete = false;
        }
        running.finish()
    }
}

impl Running<'_> {
    fn ask_everybody(&mut self) -> Result<(), LinkError> {
        let questions = self.link.questions();
        let Some(leave) = self.search.areas.first().copied() else { return Ok(()) };
        let rate = self.search.rates.total.min(self.search.rates.per_host).max(1);
        let between = BETWEEN.max(Duration::from_secs(1) / rate);
        let mut last = None;
        for round in 0..ROUNDS {
            let began = self.link.now();
            let before = self.told.len();
            for question in &questions {
                if let Some(last) = last {
                    self.listen(last + between)?;
                }
                if self.is_stopped() {
                    return Ok(());
                }
                match self.link.send(leave, *question) {
                    Ok(()) => self.outcome.sent += 1,
                    // The next round asks again.
                    Err(LinkError::Busy { .. }) => {}
                    Err(error) => return Err(error),
                }
                let now = self.link.now();
                self.asked.insert(*question, now);
                last = Some(now);
            }
            if questions.is_empty() {
                return Ok(());
            }
            if round + 1 < ROUNDS {
                self.listen(began + ROUND)?;
            }
            let lost = self.link.drops() > 0;
            if round > 0 && self.told.len() == before && !lost {
                break;
            }
        }
        self.wait_for_the_last(last.unwrap_or_default())
    }

    /// Until nobody new comes for as long as answers were seen to take, three times over.
    fn wait_for_the_last(&mut self, since: Duration) -> Result<(), LinkError> {
        self.listen(since + LEAST_WAIT)?;
        loop {
            let patience = self.slowest.saturating_mul(3).max(QUIET);
            let until = (self.news + patience).min(since + MOST_WAIT);
            if self.link.now() >= until || self.is_stopped() {
                return Ok(());
            }
            self.listen(until)?;
        }
    }

    fn is_stopped(&mut self) -> bool {
        if self.search.stop.is_requested() && self.outcome.complete {
            self.outcome.complete = false;
            self.gap(format!("{}: not everything was asked", self.search.stop.reason()));
        }
        !self.outcome.complete
    }

    /// Hears what comes until then, or until a stop.
    fn listen(&mut self, until: Duration) -> Result<(), LinkError> {
        while self.link.now() < until && !self.search.stop.is_requested() {
            let turn = until.min(self.link.now() + TURN);
            if let Some(reply) = self.link.receive(turn)? {
                self.hear(reply);
            }
        }
        Ok(())
    }

    fn hear(&mut self, reply: GroupReply) {
        let GroupReply { from, mac, ttl, said } = reply;
        if is_not_unicast(from.into()) || from.is_loopback() {
            return;
        }
        self.outcome.replies += 1;
        if self.told.len() >= MOST_HEARD && !self.told.contains_key(&from) {
            self.unheard = self.unheard.saturating_add(1);
            return;
        }
        let now = self.link.now();
        if matches!(said, Said::Echo | Said::Option) {
            let of_kind = |question: &GroupQuestion| match said {
                Said::Echo => matches!(question, GroupQuestion::Echo(_)),
                _ => matches!(question, GroupQuestion::Option(_)),
            };
            let asked = self.asked.iter().filter(|(question, _)| of_kind(question));
            if let Some(last) = asked.map(|(_, at)| *at).max() {
                self.slowest = self.slowest.max(now.saturating_sub(last));
            }
        }
        self.interfaces.address(from);
        if let Some(mac) = mac {
            self.interfaces.mac(mac);
        }
        let method = said.method();
        match said {
            Said::Listens(groups) => {
                groups.into_iter().for_each(|group| self.interfaces.group(group));
            }
            Said::Router(told) => {
                told.prefixes.iter().for_each(|prefix| self.interfaces.network(*prefix));
                let mac = told.mac.or(mac);
                let router = Router { address: from, mac, prefixes: told.prefixes };
                self.routers.insert(from, router);
            }
            Said::Echo | Said::Option => {}
        }
        if !self.told.contains_key(&from) {
            self.news = now;
        }
        if self.told.entry(from).or_default().insert(method) {
            self.tell(from, method, ttl, mac);
        }
    }

    /// What is said of an address that is a target. Of others nothing is kept: nobody asked
    /// for them, and what never is asked would never be missing.
    fn tell(&mut self, from: Ipv6Addr, method: Method, ttl: Option<u8>, mac: Option<MacAddr>) {
        let scope = self.search.scope;
        if !scope.may_find(from.into()) && scope.permit(from.into()).is_err() {
            return;
        }
        self.outcome.found.insert(from.into());
        let facts = [Some(Fact::Alive { ttl }), mac.map(Fact::LinkAddress)];
        for fact in facts.into_iter().flatten() {
            (self.observe)(Observation {
                observed_at: self.link.timestamp(),
                vantage: self.search.vantage.clone(),
                method,
                subject: Subject::Address(from.into()),
                fact,
                evidence: Vec::new(),
            });
        }
    }

    /// A gap of the search as a whole. It names no addresses, so that those that are asked one
    /// by one keep their coverage.
    fn gap(&mut self, reason: String) {
        let areas: Vec<String> = self.search.areas.iter().map(ToString::to_string).collect();
        let target = format!("search of {}", areas.join(", "));
        self.outcome.gaps.push(Gap { target, reason });
    }

    fn finish(mut self) -> SearchOutcome {
        let scope = self.search.scope;
        self.outcome.elsewhere = self.told.len().saturating_sub(self.outcome.found.len());
        self.outcome.drops = self.link.drops();
        if self.outcome.drops > 0 {
            let lost = self.outcome.drops;
            self.gap(format!("{lost} answers were lost before they could be read"));
        }
        if self.unheard > 0 {
            self.gap(format!(
                "more than {MOST_HEARD} addresses answered: {} answers of others were left out",
                self.unheard
            ));
        }
        let Known { own, neighbors, before } = self.search.known;
        for (address, mac) in neighbors {
            if let IpAddr::V6(v6) = address {
                self.interfaces.address(*v6);
            }
            self.interfaces.mac(*mac);
        }
        for area in self.search.areas {
            self.interfaces.area(area.area());
        }
        let (guessed, left_out) = self.interfaces.candidates();
        let known = neighbors.iter().map(|(address, _)| *address);
        let known = known.chain(before.iter().copied());
        let known = known.chain(own.iter().map(|own| IpAddr::V6(*own)));
        let here = |address: &IpAddr| {
            self.search.areas.iter().any(|area| area.area().contains(*address))
                && scope.may_find(*address)
                && !self.outcome.found.contains(address)
        };
        let known: BTreeSet<IpAddr> = known.filter(here).collect();
        let guessed = guessed.into_iter().map(IpAddr::V6).filter(here);
        self.outcome.guessed = guessed.filter(|address| !known.contains(address)).collect();
        self.outcome.known = known;
        if left_out > 0 {
            self.gap(format!("{left_out} addresses that may be in use were not asked: too many"));
        }
        self.outcome.routers = std::mem::take(&mut self.routers).into_values().collect();
        self.outcome
    }
}

/// An error with what lies beneath it, in one line.
fn chain(error: &LinkError) -> String {
    let mut text = error.to_string();
    let mut below = std::error::Error::source(error);
    while let Some(error) = below {
        text = format!("{text}: {error}");
        below = error.source();
    }
    text
}
