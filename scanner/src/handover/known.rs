//! What is known of one endpoint: what was heard, what was asked and when, and so what is left
//! to ask.

use std::collections::{BTreeMap, BTreeSet};

use certs::hello::ServerName;
use model::Timestamp;

use super::{AGAIN, Ask};
use crate::{dialogue::Door, probe::tls::Collection};

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Stage {
    /// Nothing is under way.
    #[default]
    Idle,
    /// It waits for its turn.
    Waiting,
    /// Somebody asks it.
    Asked,
}

/// When a server name was heard last, and asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    heard: Timestamp,
    asked: Option<Timestamp>,
}

impl Name {
    fn is_wanted(self, now: Timestamp) -> bool {
        self.asked.is_none_or(|asked| is_long_ago(asked, now) && self.heard > asked)
    }
}

/// What is to be asked.
pub(super) struct Question {
    pub(super) ask: Ask,
    pub(super) names: BTreeSet<ServerName>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) heard: Timestamp,
    pub(super) stage: Stage,
    /// When it was asked what speaks there.
    pub(super) visited: Option<Timestamp>,
    /// The way to TLS that was found then.
    pub(super) door: Option<Door>,
    /// Whether TLS was heard there, and whether it was before the last visit.
    pub(super) tls: bool,
    pub(super) tls_asked: bool,
    /// Whether a controller speaks there, which is not spoken to.
    pub(super) left_alone: bool,
    pub(super) names: BTreeMap<ServerName, Name>,
}

impl Known {
    /// What is left to ask, if anything.
    pub(super) fn question(&self, now: Timestamp) -> Option<Question> {
        if self.left_alone {
            return None;
        }
        let wanted = self.names.iter().filter(|(_, name)| name.is_wanted(now));
        let names: BTreeSet<ServerName> =
            wanted.map(|(name, _)| name.clone()).take(Collection::MAX_NAMES).collect();
        let ask = match self.door {
            _ if self.visited.is_none_or(|visited| is_long_ago(visited, now)) => Ask::Everything,
            Some(door) if !names.is_empty() => Ask::Certificates(door),
            Some(_) => return None,
            // It spoke no TLS with us when we did not know that it does with others.
            None if self.tls && !self.tls_asked => Ask::Everything,
            None => return None,
        };
        Some(Question { ask, names })
    }

    pub(super) fn hear_name(&mut self, name: ServerName, now: Timestamp) {
        self.names.entry(name).or_insert(Name { heard: now, asked: None }).heard = now;
    }

    pub(super) fn asked_name(&mut self, name: &ServerName, now: Timestamp) {
        if let Some(name) = self.names.get_mut(name) {
            name.asked = Some(now);
        }
    }

    pub(super) fn not_asked(&mut self, name: &ServerName) {
        if let Some(name) = self.names.get_mut(name) {
            name.asked = None;
        }
    }

    /// The name that was heard last: the likeliest to be right still.
    pub(super) fn first_name(&self) -> Option<&ServerName> {
        self.names.iter().max_by_key(|(_, name)| name.heard).map(|(name, _)| name)
    }

    /// Whether nothing is lost with it: it may be asked again as it is.
    pub(super) fn may_be_forgotten(&self, now: Timestamp) -> bool {
        self.stage == Stage::Idle
            && is_long_ago(self.heard, now)
            && self.visited.is_none_or(|visited| is_long_ago(visited, now))
    }
}

fn is_long_ago(at: Timestamp, now: Timestamp) -> bool {
    now.seconds_since(at).saturating_abs() >= AGAIN
}
