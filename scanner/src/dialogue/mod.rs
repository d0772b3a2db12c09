//! Conversations with services: from open endpoints to what speaks there.
//!
//! [`Dialogue::converse`] takes the open endpoints of a sweep, talks with each by the
//! probes of the catalog, a few at a time, and hands out observations. It holds every
//! limit: a permit for each address, two connections at once to one asset and one to a
//! fragile one, a few connections an endpoint, seconds and bytes a connection, the
//! pacer's rates, and the stop. What a server does with its connection costs that
//! connection's limits and nothing else. It knows no protocol (`crate::probe` does) and
//! no socket (`crate::net` does).

pub(crate) mod before_tls;
pub(crate) mod line;
mod order;
mod pace;
#[cfg(test)]
mod tests;
mod udp;
mod visit;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use model::{Endpoint, Gap, MacAddr, Observation, Transport, Vantage};
pub use order::is_left_alone;
pub(crate) use order::is_of_something_fragile;
pub use pace::Pace;
use tokio::task::JoinSet;

use crate::{Scope, probe::starttls::Starttls, stop::Stop};

/// What a conversation may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections at once to one asset. Fragile ones get one.
    pub per_asset: usize,
    /// Connections at once in all; keep it below the limit of open files.
    pub at_once: usize,
    /// Connections to one endpoint, one after the other.
    pub per_endpoint: u32,
    /// How long one connection may take. Waiting for our own pace to let us connect, say
    /// something and leave is not counted.
    pub time: Duration,
    /// How many bytes are read on one connection.
    pub bytes: usize,
    /// How long a server on a port of no known habit may take to speak first, before we do.
    pub banner: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_asset: 2,
            at_once: 128,
            per_endpoint: 4,
            time: Duration::from_secs(5),
            bytes: 64 * 1_024,
            banner: Duration::from_secs(1),
        }
    }
}

/// Whether control systems may be spoken to, in their own protocols.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ControlSystems {
    /// Their ports get no connection and no packet.
    #[default]
    LeaveAlone,
    /// They are asked what they are, where their protocol has a question for that.
    Ask,
}

/// An open endpoint to talk with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Open {
    /// Where.
    pub endpoint: Endpoint,
    /// The link-layer address that answers for it, where known. Addresses that share one
    /// share the limit of connections at once.
    pub mac: Option<MacAddr>,
    /// A name by which the server may know itself, for TLS and HTTP.
    pub server_name: Option<String>,
    /// Whether it was found to be fragile: it gets one connection at once.
    pub gentle: bool,
    /// For UDP, what it answered to the sweep. It is asked again, because only an answer to
    /// a question of this conversation can be checked; this one is kept where nothing
    /// better comes.
    pub reply: Option<Vec<u8>>,
}

impl Open {
    /// An open endpoint of which no more is known.
    #[must_use]
    pub const fn at(endpoint: Endpoint) -> Self {
        Self { endpoint, mac: None, server_name: None, gentle: false, reply: None }
    }
}

/// The way to TLS at an endpoint.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Door {
    /// From the first byte on; over UDP it is DTLS.
    Tls,
    /// Behind these words in the clear.
    Starttls(Starttls),
    /// In QUIC.
    Quic,
}

/// What conversations brought, beside their observations.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Endpoints that speak TLS from the first byte, ascending: their certificates can be
    /// collected.
    pub tls: Vec<Endpoint>,
    /// Endpoints that speak in the clear and may have TLS behind it, ascending, each with the
    /// dialogue that leads there.
    pub starttls: Vec<(Endpoint, Starttls)>,
    /// Those of `tls` that speak QUIC, in a version that we have, ascending.
    pub quic: Vec<Endpoint>,
    /// Endpoints that nobody speaks to, on purpose, ascending.
    pub left_alone: Vec<Endpoint>,
    /// Endpoints of which nothing was learned, with the reason.
    pub gaps: Vec<Gap>,
    /// Connections and UDP conversations that were begun.
    pub conversations: u64,
    /// Whether every endpoint had its turn. Gaps leave it true, a stop does not.
    pub complete: bool,
}

impl Outcome {
    /// Every endpoint that speaks TLS, or may, and how to get there.
    #[must_use]
    pub fn doors(&self) -> BTreeMap<Endpoint, Door> {
        let starttls =
            self.starttls.iter().map(|(endpoint, words)| (*endpoint, Door::Starttls(*words)));
        let tls = self.tls.iter().map(|endpoint| match self.quic.binary_search(endpoint) {
            Ok(_) => (*endpoint, Door::Quic),
            Err(_) => (*endpoint, Door::Tls),
        });
        starttls.chain(tls).collect()
    }
}

/// The driver of conversations.
#[derive(Clone, Debug)]
pub struct Dialogue {
    /// What we may send to.
    pub scope: Arc<Scope>,
    /// Where we stand.
    pub vantage: Vantage,
    /// What it may cost.
    pub limits: Limits,
    /// How fast.
    pub pace: Pace,
    /// Ends it early.
    pub stop: Stop,
    /// Protocols that must not be spoken, by name.
    pub except: Vec<String>,
    /// What controllers may be asked.
    pub control_systems: ControlSystems,
}

/// What one endpoint brought.
#[derive(Debug, Default)]
struct Visited {
    observations: Vec<Observation>,
    gap: Option<String>,
    tls: bool,
    quic: bool,
    starttls: Option<Starttls>,
    conversations: u64,
}

/// How often the stop is looked at. A stop must act within 100 ms.
const LOOK: Duration = Duration::from_millis(50);

impl Dialogue {
    /// Talks with every endpoint once. `observe` gets each observation as its endpoint
    /// ends, `progress` how many of how many endpoints are done.
    ///
    /// Returns early, with what there is, when the stop is requested. Must run inside a
    /// tokio runtime with time and I/O.
    pub async fn converse(
        &self,
        open: Vec<Open>,
        observe: &mut dyn FnMut(Observation),
        progress: &mut dyn FnMut(usize, usize),
    ) -> Outcome {
        let mut outcome = Outcome { complete: true, ..Outcome::default() };
        let mut queue = Queue::new(open, self, &mut outcome);
        let total = queue.waiting;
        let mut done = 0;
        let mut tasks = JoinSet::new();
        let mut running: HashMap<tokio::task::Id, (Asset, Endpoint)> = HashMap::new();
        let shared = Arc::new(self.clone());
        progress(0, total);
        while !self.stop.is_requested() {
            while running.len() < self.limits.at_once.max(1)
                && let Some((asset, open)) = queue.next()
            {
                let endpoint = open.endpoint;
                let task = tasks.spawn(visit::visit(Arc::clone(&shared), open));
                running.insert(task.id(), (asset, endpoint));
            }
            if running.is_empty() {
                break;
            }
            // Nothing ends: look at the stop again.
            let Ok(Some(ended)) = tokio::time::timeout(LOOK, tasks.join_next_with_id()).await
            else {
                continue;
            };
            let (id, visited) = match ended {
                Ok((id, visited)) => (id, visited),
                Err(error) => {
                    let gap = Some("our conversation with it failed inside".to_owned());
                    (error.id(), Visited { gap, ..Visited::default() })
                }
            };
            let Some((asset, endpoint)) = running.remove(&id) else {
                continue;
            };
            queue.ended(asset);
            outcome.conversations = outcome.conversations.saturating_add(visited.conversations);
            if visited.tls {
                outcome.tls.push(endpoint);
            }
            if visited.quic {
                outcome.quic.push(endpoint);
            }
            outcome.starttls.extend(visited.starttls.map(|dialogue| (endpoint, dialogue)));
            if let Some(reason) = visited.gap {
                outcome.gaps.push(Gap { target: endpoint.to_string(), reason });
            }
            visited.observations.into_iter().for_each(&mut *observe);
            done += 1;
            progress(done, total);
        }
        // Dropping the tasks closes what they hold.
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
        if done < total {
            outcome.complete = false;
            outcome.gaps.push(Gap {
                target: format!("{} endpoints", total - done),
                reason: format!("not talked with: {}", self.stop.reason()),
            });
        }
        outcome.tls.sort_unstable();
        outcome.starttls.sort_unstable();
        outcome.quic.sort_unstable();
        outcome.left_alone.sort_unstable();
        outcome.gaps.sort_unstable();
        outcome
    }
}

/// What shares a limit of connections at once.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Asset {
    Mac(MacAddr),
    Address(IpAddr),
}

/// Endpoints that wait, by asset, and how many of each are under way.
struct Queue {
    assets: HashMap<Asset, Waiting>,
    /// Assets that may have a conversation begun, each as often as it may have one.
    ready: VecDeque<Asset>,
    waiting: usize,
}

struct Waiting {
    endpoints: VecDeque<Open>,
    /// How many more may be under way.
    free: usize,
    /// Whether it stands in `ready`.
    listed: bool,
}

impl Queue {
    fn new(open: Vec<Open>, dialogue: &Dialogue, outcome: &mut Outcome) -> Self {
        let mut seen = HashSet::new();
        let mut by_asset: BTreeMap<Asset, Vec<Open>> = BTreeMap::new();
        for open in open {
            if seen.insert(open.endpoint) {
                let asset = match open.mac {
                    Some(mac) => Asset::Mac(mac),
                    None => Asset::Address(open.endpoint.address),
                };
                by_asset.entry(asset).or_default().push(open);
            }
        }
        let mut queue = Self { assets: HashMap::new(), ready: VecDeque::new(), waiting: 0 };
        for (asset, all) in by_asset {
            let fragile = all.iter().any(|open| {
                open.gentle
                    || (open.endpoint.transport == Transport::Tcp
                        && is_of_something_fragile(open.endpoint.port))
            });
            let alone =
                |open: &Open| order::is_left_alone(open.endpoint.port, dialogue.control_systems);
            let (alone, endpoints): (Vec<_>, Vec<_>) = all.into_iter().partition(alone);
            let endpoints = VecDeque::from(endpoints);
            outcome.left_alone.extend(alone.into_iter().map(|open| open.endpoint));
            if endpoints.is_empty() {
                continue;
            }
            queue.waiting += endpoints.len();
            let free = if fragile { 1 } else { dialogue.limits.per_asset.max(1) };
            queue.assets.insert(asset, Waiting { endpoints, free, listed: true });
            queue.ready.push_back(asset);
        }
        queue
    }

    /// The next endpoint that may be talked with now: assets take turns.
    fn next(&mut self) -> Option<(Asset, Open)> {
        let asset = self.ready.pop_front()?;
        let waiting = self.assets.get_mut(&asset)?;
        let open = waiting.endpoints.pop_front()?;
        waiting.free = waiting.free.saturating_sub(1);
        waiting.listed = waiting.free > 0 && !waiting.endpoints.is_empty();
        if waiting.listed {
            self.ready.push_back(asset);
        }
        Some((asset, open))
    }

    fn ended(&mut self, asset: Asset) {
        let Some(waiting) = self.assets.get_mut(&asset) else {
            return;
        };
        waiting.free += 1;
        if !waiting.listed && !waiting.endpoints.is_empty() {
            waiting.listed = true;
            self.ready.push_back(asset);
        }
    }
}
