//! The search of the areas among the targets, before the sweep: what is found there, and what
//! is known to have been there, becomes targets of the same sweep.

use std::{collections::BTreeSet, net::IpAddr};

use anyhow::{Result, bail};
use model::{Gap, Observation, Vantage};
use scanner::{
    LinkError, Scope,
    net::{
        Tier,
        search::{self, AreaLink, AreaLinks},
    },
    plan::Plan,
    search::{Router, Search, SearchOutcome},
    stop::Stop,
    targets::{self, Purpose, Target},
};

use crate::{report::count, tell};

/// The links to be searched.
#[derive(Debug, Default)]
pub(crate) struct Searches(Vec<AreaLink>);

/// What a search of one link brought, for the report.
#[derive(Clone, Debug)]
pub(crate) struct Searched {
    pub(crate) areas: Vec<String>,
    pub(crate) interface: String,
    /// How many addresses answered.
    pub(crate) found: usize,
    /// How many more were asked one by one.
    pub(crate) candidates: usize,
    /// How many answered and are no targets.
    pub(crate) elsewhere: usize,
    pub(crate) routers: Vec<Router>,
}

/// What all searches brought.
#[derive(Debug)]
pub(crate) struct Found {
    /// The targets with those that were found.
    pub(crate) scope: Scope,
    pub(crate) searched: Vec<Searched>,
    pub(crate) sent: u64,
    pub(crate) replies: u64,
    pub(crate) drops: u64,
    pub(crate) complete: bool,
    pub(crate) gaps: Vec<Gap>,
}

impl Searches {
    /// Finds the links that the scope's areas are on. An area on none ends the command where
    /// it was named on the command line, and costs only itself where a list names it.
    pub(crate) fn plan(
        scope: &Scope,
        only: Option<&str>,
        arguments: &[String],
        gaps: &mut Vec<Gap>,
    ) -> Result<Self> {
        if scope.areas().is_empty() {
            return Ok(Self::default());
        }
        let AreaLinks { links, refused } = search::links(scope, only)?;
        let mut fatal = Vec::new();
        for (area, why) in refused {
            let means_it = |argument: &&String| {
                targets::parse(argument, Purpose::Target) == Ok(Target::Area(area.area()))
            };
            match arguments.iter().find(means_it) {
                Some(argument) => fatal.push(format!("{argument:?}: {why}")),
                None => {
                    tell::line(&format!("not searched: {area}: {why}"));
                    gaps.push(Gap { target: area.to_string(), reason: why.to_string() });
                }
            }
        }
        if !fatal.is_empty() {
            bail!("{}", fatal.join("\n"));
        }
        Ok(Self(links))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What would be done, a line for each link.
    pub(crate) fn lines(&self, tier: Tier) -> String {
        let line = |link: &AreaLink| {
            let packets = link.most_packets(tier);
            format!(
                "searched first: {} on {}, by up to {} to everybody there; who is found is asked, \
                 who stays silent is not known to be absent\n",
                areas(link).join(", "),
                link.interface.name,
                count(packets, "packet", "packets"),
            )
        };
        self.0.iter().map(line).collect()
    }

    /// The same for programs.
    pub(crate) fn json(&self, tier: Tier) -> Vec<serde_json::Value> {
        let value = |link: &AreaLink| {
            serde_json::json!({
                "areas": areas(link),
                "interface": link.interface.name,
                "most_packets": link.most_packets(tier),
            })
        };
        self.0.iter().map(value).collect()
    }

    /// Searches, link by link. `before` are addresses that were seen before: those in the areas
    /// are asked, so that their silence means something.
    pub(crate) fn run(
        &self,
        plan: &Plan,
        tier: Tier,
        vantage: &Vantage,
        before: &[IpAddr],
        stop: &Stop,
        observe: &mut dyn FnMut(Observation),
    ) -> Found {
        let mut found = Found {
            scope: plan.scope.clone(),
            searched: Vec::new(),
            sent: 0,
            replies: 0,
            drops: 0,
            complete: true,
            gaps: Vec::new(),
        };
        for link in &self.0 {
            let searched = search_one(link, plan, tier, vantage, before, stop, observe);
            let outcome = searched.unwrap_or_else(|error| SearchOutcome {
                gaps: vec![gap(link, tell::chain(&error))],
                ..SearchOutcome::default()
            });
            // Without a question whether it is there, a guess would cost all of its ports.
            let guessed = if plan.assume_alive { BTreeSet::new() } else { outcome.guessed };
            found.sent += outcome.sent;
            found.replies += outcome.replies;
            found.drops += outcome.drops;
            found.complete &= outcome.complete;
            found.gaps.extend(outcome.gaps);
            found.searched.push(Searched {
                areas: areas(link),
                interface: link.interface.name.clone(),
                found: outcome.found.len(),
                candidates: outcome.known.len() + guessed.len(),
                elsewhere: outcome.elsewhere,
                routers: outcome.routers,
            });
            let addresses = outcome.found.into_iter().chain(outcome.known).chain(guessed);
            found.scope = found.scope.with_found(addresses);
        }
        found
    }
}

fn search_one(
    link: &AreaLink,
    plan: &Plan,
    tier: Tier,
    vantage: &Vantage,
    before: &[IpAddr],
    stop: &Stop,
    observe: &mut dyn FnMut(Observation),
) -> Result<SearchOutcome, LinkError> {
    let known = link.known(before.to_vec())?;
    let (mut group, lacks) = link.open(tier, plan.key)?;
    let search = Search {
        scope: &plan.scope,
        areas: &link.areas,
        known: &known,
        rates: plan.rates,
        vantage,
        stop,
    };
    let mut outcome = search.run(&mut *group, observe);
    outcome.gaps.extend(lacks.into_iter().map(|reason| gap(link, reason)));
    Ok(outcome)
}

/// A gap of a search as a whole. It names no addresses, so that those that are asked one by
/// one keep their coverage.
fn gap(link: &AreaLink, reason: String) -> Gap {
    Gap { target: format!("search of {}", areas(link).join(", ")), reason }
}

fn areas(link: &AreaLink) -> Vec<String> {
    link.areas.iter().map(ToString::to_string).collect()
}

impl Searched {
    /// What it brought, in words.
    pub(crate) fn lines(&self) -> String {
        let mut text = format!(
            "searched {} on {}: {} answered, {} asked besides",
            self.areas.join(", "),
            self.interface,
            count(self.found as u64, "address", "addresses"),
            count(
                self.candidates as u64,
                "more that may be there was",
                "more that may be there were"
            ),
        );
        if self.elsewhere > 0 {
            let many = count(self.elsewhere as u64, "address", "addresses");
            text.push_str(&format!("; {many} that answered are not among the targets"));
        }
        for Router { address, mac, prefixes } in &self.routers {
            let mac = mac.map(|mac| format!(" at {mac}")).unwrap_or_default();
            let networks: Vec<String> =
                prefixes.iter().map(|p| format!("{}/{}", p.address, p.length)).collect();
            let networks = match networks.is_empty() {
                true => "names no network".to_owned(),
                false => format!("says that {} is on this link", networks.join(", ")),
            };
            text.push_str(&format!("\nrouter {address}{mac} {networks}"));
        }
        text
    }
}
