//! Talking with open endpoints and collecting their certificates, for whoever found them: a sweep
//! by asking, a watch by listening.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use certs::hello::ServerName;
use model::{Endpoint, Observation};
use scanner::{
    Scope,
    collect::{self, Collecting},
    dialogue::{self, ControlSystems, Dialogue, Door, Open, Pace},
    stop::Stop,
};

use crate::compose::Settings;

/// With whom, how fast and for how long.
pub(crate) struct Talk<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) scope: Arc<Scope>,
    pub(crate) pace: Pace,
    pub(crate) stop: Stop,
}

/// What controllers may be asked.
pub(crate) const fn control_systems(settings: &Settings) -> ControlSystems {
    match settings.control_systems {
        true => ControlSystems::Ask,
        false => ControlSystems::LeaveAlone,
    }
}

impl Talk<'_> {
    /// Asks each what speaks there.
    pub(crate) async fn converse(
        &self,
        open: Vec<Open>,
        observe: &mut dyn FnMut(Observation),
        progress: &mut dyn FnMut(usize, usize),
    ) -> dialogue::Outcome {
        let dialogue = Dialogue {
            scope: Arc::clone(&self.scope),
            vantage: self.settings.vantage.clone(),
            limits: self.settings.limits,
            pace: self.pace.clone(),
            stop: self.stop.clone(),
            except: self.settings.except.clone(),
            control_systems: control_systems(self.settings),
        };
        dialogue.converse(open, observe, progress).await
    }

    /// Collects the certificates behind these doors, without a name and with each of these, the
    /// most important one first.
    pub(crate) async fn collect(
        &self,
        doors: BTreeMap<Endpoint, (Door, Vec<ServerName>)>,
        gentle: BTreeSet<IpAddr>,
        observe: &mut dyn FnMut(Observation),
        progress: &mut dyn FnMut(usize, usize),
    ) -> collect::Outcome {
        let words = |(endpoint, (door, _)): (&Endpoint, &(Door, _))| match door {
            Door::Starttls(words) => Some((*endpoint, *words)),
            Door::Tls | Door::Quic => None,
        };
        let quic = doors.iter().filter(|(_, (door, _))| *door == Door::Quic);
        let collecting = Collecting {
            scope: Arc::clone(&self.scope),
            vantage: self.settings.vantage.clone(),
            pace: self.pace.clone(),
            stop: self.stop.clone(),
            at_once: self.settings.limits.at_once,
            time: self.settings.limits.time,
            extent: self.settings.tls,
            gentle,
            quic: quic.map(|(endpoint, _)| *endpoint).collect(),
            starttls: doors.iter().filter_map(words).collect(),
        };
        let endpoints = doors.into_iter().map(|(endpoint, (_, names))| (endpoint, names));
        collecting.collect(endpoints.collect(), observe, progress).await
    }
}
