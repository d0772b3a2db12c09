//! From what is heard to what is asked.
//!
//! A listener does not see everything: TLS 1.3 hides certificates, and clients seldom ask servers
//! what they are. [`Handover`] takes observations as a capture makes them, and says which
//! endpoints a question is worth: a new one, one at which TLS is heard, one with a new server
//! name. What is heard of an endpoint within a moment is one request; what was asked is not
//! asked again within a day, whatever came of it, unless something new is heard of it. It is
//! pure: time comes with the observations, and asking is the business of `crate::dialogue` and
//! `crate::collect`, which want a permit for each address once more. Nothing is taken in of an
//! address that may not be asked.

mod known;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    net::IpAddr,
};

use certs::hello::ServerName;
use model::{
    DiscoveryProtocol, Endpoint, Fact, MacAddr, NameSource, Observation, PortState, Subject,
    Timestamp,
};

use crate::{
    Scope,
    dialogue::{self, ControlSystems, Door, Open},
};
use known::{Known, Question, Stage};

/// After how many seconds what was asked may be asked again, when it is heard again: a day.
pub const AGAIN: i64 = 86_400;

/// How many seconds an endpoint is listened to before it is asked, so that the name and the
/// protocol that follow a connection's beginning are part of the one visit.
pub const SETTLE: i64 = 2;

/// How many requests may wait. Further ones are counted, and come back when they are heard again.
const MOST_WAITING: usize = 4_096;

/// How many endpoints are remembered, some 200 bytes each.
const MOST_KNOWN: usize = 65_536;

/// How many of them at one address: who opens a port for each transfer (FTP) opens thousands.
const MOST_EACH: u16 = 256;

/// How many server names are remembered, of all endpoints and of one.
const MOST_NAMES: usize = 65_536;
const MOST_NAMES_EACH: usize = 256;

/// How many addresses are remembered with what is known of them beside their endpoints.
const MOST_ADDRESSES: usize = 65_536;

/// How many seconds pass before it is looked again for what can be forgotten.
const LOOK_AGAIN: i64 = 60;

/// Protocols of controllers, by which one is known on any port. What they are was heard.
const CONTROL: [&str; 9] =
    ["bacnet", "dnp3", "enip", "fins", "iec104", "knx", "modbus", "opcua", "s7comm"];

/// Protocols of medical devices.
const MEDICAL: [&str; 2] = ["dicom", "hl7"];

/// What is to be asked of an endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Where, and what is known of it. Its server name is the first that was heard.
    pub open: Open,
    /// The server names to ask for, at most [`crate::probe::tls::Collection::MAX_NAMES`].
    pub names: BTreeSet<ServerName>,
    /// How much.
    pub ask: Ask,
}

/// How much an endpoint is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ask {
    /// What speaks there, and for certificates where that is TLS.
    Everything,
    /// For certificates alone: the rest was asked lately.
    Certificates(Door),
}

/// What became of what was heard.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Requests that were handed out.
    pub asked: u64,
    /// Requests that wait now, or are not over yet.
    pub waiting: usize,
    /// How often something was heard that there was no room to remember.
    pub no_room: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Handover {
    scope: Scope,
    control_systems: ControlSystems,
    known: HashMap<Endpoint, Known>,
    /// Of how many endpoints of an address something is known.
    each: HashMap<IpAddr, u16>,
    /// How many server names are known.
    names: usize,
    /// Since when who waits, in that order.
    waiting: VecDeque<(Timestamp, Endpoint)>,
    macs: HashMap<IpAddr, MacAddr>,
    gentle: HashSet<IpAddr>,
    gentle_macs: HashSet<MacAddr>,
    /// How many requests were handed out and are not over.
    busy: usize,
    looked: Timestamp,
    counts: Counts,
}

impl Handover {
    /// Nobody outside of `scope` is ever asked; what is heard in one of its areas is found there.
    #[must_use]
    pub fn new(scope: Scope, control_systems: ControlSystems) -> Self {
        Self {
            scope,
            control_systems,
            known: HashMap::new(),
            each: HashMap::new(),
            names: 0,
            waiting: VecDeque::new(),
            macs: HashMap::new(),
            gentle: HashSet::new(),
            gentle_macs: HashSet::new(),
            busy: 0,
            looked: Timestamp(0),
            counts: Counts::default(),
        }
    }

    /// What became of what was heard.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { waiting: self.waiting.len().saturating_add(self.busy), ..self.counts }
    }

    /// Takes what was heard.
    pub fn hear(&mut self, observation: &Observation) {
        match (observation.subject, &observation.fact) {
            (Subject::Endpoint(endpoint), fact) if self.may_ask(endpoint.address) => {
                self.hear_of(endpoint, fact, observation.observed_at);
            }
            (Subject::Address(address), Fact::LinkAddress(mac))
                if self.may_ask(address)
                    && (self.macs.len() < MOST_ADDRESSES || self.macs.contains_key(&address)) =>
            {
                self.macs.insert(address, *mac);
            }
            (Subject::Mac(mac), Fact::Neighbor(neighbor))
                if neighbor.protocol == DiscoveryProtocol::Profinet
                    && self.gentle_macs.len() < MOST_ADDRESSES =>
            {
                self.gentle_macs.insert(mac);
            }
            _ => {}
        }
    }

    fn may_ask(&self, address: IpAddr) -> bool {
        self.scope.permit(address).is_ok() || self.scope.may_find(address)
    }

    fn hear_of(&mut self, endpoint: Endpoint, fact: &Fact, now: Timestamp) {
        let Some(news) = News::of(fact) else { return };
        let is_controller = matches!(news, News::Speaks(protocol) if CONTROL.contains(&protocol));
        let is_medical = matches!(news, News::Speaks(protocol) if MEDICAL.contains(&protocol));
        if (is_controller || is_medical || dialogue::is_of_something_fragile(endpoint.port))
            && self.gentle.len() < MOST_ADDRESSES
        {
            self.gentle.insert(endpoint.address);
        }
        if !self.make_room(endpoint, now) {
            self.counts.no_room = self.counts.no_room.saturating_add(1);
            return;
        }
        let known = self.known.entry(endpoint).or_default();
        known.heard = now;
        match news {
            News::Speaks(_) => {
                known.left_alone |=
                    is_controller && self.control_systems == ControlSystems::LeaveAlone;
            }
            News::Tls => known.tls = true,
            News::Name(name) => match ServerName::new(name) {
                Some(name) if known.names.contains_key(&name) => known.hear_name(name, now),
                Some(name) if self.names < MOST_NAMES && known.names.len() < MOST_NAMES_EACH => {
                    known.hear_name(name, now);
                    self.names = self.names.saturating_add(1);
                }
                Some(_) => self.counts.no_room = self.counts.no_room.saturating_add(1),
                // Nobody could ask for it.
                None => {}
            },
        }
        self.queue(endpoint, now);
    }

    /// Lets the endpoint wait for its turn, if there is something to ask.
    fn queue(&mut self, endpoint: Endpoint, now: Timestamp) {
        let Some(known) = self.known.get_mut(&endpoint) else { return };
        if known.stage != Stage::Idle || known.question(now).is_none() {
            return;
        }
        if self.waiting.len() >= MOST_WAITING {
            self.counts.no_room = self.counts.no_room.saturating_add(1);
            return;
        }
        known.stage = Stage::Waiting;
        self.waiting.push_back((now, endpoint));
    }

    /// Whether there is a place for the endpoint, among the known ones or made.
    fn make_room(&mut self, endpoint: Endpoint, now: Timestamp) -> bool {
        if self.known.contains_key(&endpoint) {
            return true;
        }
        let is_full = |all: &Self| {
            let each = all.each.get(&endpoint.address).copied().unwrap_or_default();
            all.known.len() >= MOST_KNOWN || each >= MOST_EACH
        };
        if is_full(self) {
            if now.seconds_since(self.looked).saturating_abs() < LOOK_AGAIN {
                return false;
            }
            self.looked = now;
            self.forget(now);
            if is_full(self) {
                return false;
            }
        }
        let each = self.each.entry(endpoint.address).or_default();
        *each = each.saturating_add(1);
        true
    }

    /// Forgets what may be asked again anyway.
    fn forget(&mut self, now: Timestamp) {
        let Self { known, each, names, .. } = self;
        known.retain(|endpoint, known| {
            let stays = !known.may_be_forgotten(now);
            if !stays {
                *names = names.saturating_sub(known.names.len());
                if let Some(many) = each.get_mut(&endpoint.address) {
                    *many = many.saturating_sub(1);
                }
            }
            stays
        });
        each.retain(|_, many| *many > 0);
    }

    /// The requests whose turn it is, the longest waiting first, at most so many. Each counts as
    /// asked from now on, and nothing more is asked of its endpoint before [`Handover::ended`].
    pub fn take(&mut self, now: Timestamp, most: usize) -> Vec<Request> {
        let mut requests = Vec::new();
        while requests.len() < most
            && let Some((since, endpoint)) = self.waiting.front().copied()
            // A clock that was set back makes nobody wait for it.
            && now.seconds_since(since).saturating_abs() >= SETTLE
        {
            self.waiting.pop_front();
            requests.extend(self.request(endpoint, now));
        }
        let many = u64::try_from(requests.len()).unwrap_or(u64::MAX);
        self.counts.asked = self.counts.asked.saturating_add(many);
        requests
    }

    fn request(&mut self, endpoint: Endpoint, now: Timestamp) -> Option<Request> {
        let known = self.known.get_mut(&endpoint)?;
        known.stage = Stage::Idle;
        let Question { ask, names } = known.question(now)?;
        known.stage = Stage::Asked;
        self.busy = self.busy.saturating_add(1);
        if ask == Ask::Everything {
            known.visited = Some(now);
            known.tls_asked = known.tls;
        }
        for name in &names {
            known.asked_name(name, now);
        }
        let mac = self.macs.get(&endpoint.address).copied();
        let open = Open {
            mac,
            server_name: known.first_name().map(|name| name.as_str().to_owned()),
            gentle: self.gentle.contains(&endpoint.address)
                || mac.is_some_and(|mac| self.gentle_macs.contains(&mac)),
            ..Open::at(endpoint)
        };
        Some(Request { open, names, ask })
    }

    /// From now on nobody outside of this scope is asked: the names among the targets and
    /// exclusions may have other addresses than they had. Requests that wait for somebody else are
    /// refused when their turn comes, as [`Scope::permit`] does.
    pub fn renew_scope(&mut self, scope: Scope) {
        self.scope = scope;
    }

    /// Whom the requests may be sent to: the scope, with what was heard in its areas.
    #[must_use]
    pub fn scope_of(&self, requests: &[Request]) -> Scope {
        self.scope.with_found(requests.iter().map(|request| request.open.endpoint.address))
    }

    /// Notes that asking this is over, and the way to TLS that was found there, if one was.
    pub fn ended(&mut self, request: &Request, found: Option<Door>, now: Timestamp) {
        self.busy = self.busy.saturating_sub(1);
        let endpoint = request.open.endpoint;
        let Some(known) = self.known.get_mut(&endpoint) else { return };
        known.stage = Stage::Idle;
        if request.ask == Ask::Everything {
            known.door = found;
        }
        // More may have been heard meanwhile, or there are more names than one visit asks for.
        self.queue(endpoint, now);
    }

    /// Takes back what there was no time to ask: it waits as if it had not been handed out.
    pub fn put_back(&mut self, request: &Request, now: Timestamp) {
        self.busy = self.busy.saturating_sub(1);
        let endpoint = request.open.endpoint;
        let Some(known) = self.known.get_mut(&endpoint) else { return };
        known.stage = Stage::Idle;
        if request.ask == Ask::Everything {
            known.visited = None;
        }
        for name in &request.names {
            known.not_asked(name);
        }
        self.counts.asked = self.counts.asked.saturating_sub(1);
        self.queue(endpoint, now);
    }
}

/// What an observation of an endpoint says that a question may follow from.
enum News<'a> {
    /// Somebody speaks there, in this protocol, if it is known.
    Speaks(&'a str),
    /// And in TLS, behind which a certificate may be hidden.
    Tls,
    /// A client asked for this name, and was answered.
    Name(&'a str),
}

impl<'a> News<'a> {
    fn of(fact: &'a Fact) -> Option<Self> {
        match fact {
            Fact::PortState(PortState::Open) => Some(Self::Speaks("")),
            Fact::Service(service) if service.protocol == "quic" => Some(Self::Tls),
            Fact::Service(service) => Some(Self::Speaks(&service.protocol)),
            Fact::Tls(_) => Some(Self::Tls),
            Fact::HostName { name, source: NameSource::ServerName } => Some(Self::Name(name)),
            _ => None,
        }
    }
}
