//! From the jobs of the configuration to what the scheduler is given, and what is wrong with them
//! together.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use config::{Job, JobKind};
use jiff::tz::TimeZone;
use model::AddressRange;
use scanner::targets::{Purpose, Selection};
use schedule::{Lane, Limits, Planned, Schedule};

use crate::compose::Settings;

/// The jobs, checked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) planned: Vec<Planned>,
    pub(crate) limits: Limits,
}

/// Checks the jobs and gives them their time zones.
///
/// # Errors
///
/// Names the setting and says what to do.
pub(crate) fn plan(settings: &Settings) -> Result<Plan> {
    let jobs = &settings.jobs;
    let planned = jobs.iter().map(planned).collect::<Result<Vec<Planned>>>()?;
    let sites = jobs.iter().map(|job| Ok((job, targets(job)?)));
    let sites = sites.collect::<Result<Vec<(&Job, Vec<AddressRange>)>>>()?;
    for (number, one) in sites.iter().enumerate() {
        for other in sites.iter().skip(number + 1) {
            keep_apart(one, other)?;
        }
    }
    Ok(Plan { planned, limits: Limits { at_once: settings.jobs_at_once } })
}

/// What of a schedule makes another one of it.
pub(crate) fn schedule_text(job: &Job) -> String {
    let line = job.schedule.as_ref().map_or("always", |line| line.text());
    format!("{line} {}", job.time_zone.as_deref().unwrap_or("local"))
}

fn planned(job: &Job) -> Result<Planned> {
    let zone = zone(job)?;
    Ok(Planned {
        name: job.name.clone(),
        schedule: job.schedule.clone().map(|line| Schedule { line, zone }),
        jitter: u32::try_from(job.jitter.as_secs()).unwrap_or(u32::MAX),
        missed: job.missed,
        windows: job.windows.clone(),
        lane: match job.kind {
            JobKind::Sweep => Lane::Sweep(job.config.interface.clone()),
            JobKind::Watch => Lane::Listening,
            JobKind::Certificates | JobKind::Import | JobKind::Review => Lane::Free,
            JobKind::Backup | JobKind::Prune => Lane::Free,
        },
    })
}

/// The time zone in which the job's times are read.
pub(crate) fn zone(job: &Job) -> Result<TimeZone> {
    let Some(name) = &job.time_zone else { return Ok(TimeZone::system()) };
    TimeZone::get(name).ok().with_context(|| {
        format!(
            "jobs.{}: the time zone {name:?} (time_zone, or serve.time_zone) is not known here: \
             expected a name such as \"Europe/Berlin\", and the package tzdata, which lists them \
             in /usr/share/zoneinfo",
            job.name
        )
    })
}

/// The addresses that a sweep names without the name service.
fn targets(job: &Job) -> Result<Vec<AddressRange>> {
    let mut selection = Selection::default();
    for (purpose, key, texts) in [
        (Purpose::Exclusion, "exclude", &job.config.exclude),
        (Purpose::Target, "targets", &job.targets),
    ] {
        for text in texts {
            if let Some(path) = selection.add(purpose, text) {
                let list = fs::read_to_string(Path::new(&path)).with_context(|| {
                    format!("jobs.{}.{key}: cannot read the list {path}", job.name)
                })?;
                selection.add_list(purpose, &path, &list);
            }
        }
        if let Some(error) = selection.errors().iter().find(|error| error.place.is_none()) {
            bail!("jobs.{}.{key}: {error}", job.name);
        }
    }
    Ok(selection.scope().permitted())
}

/// The same addresses, reached the same way, are the same assets: two sites cannot both have them.
fn keep_apart(
    (one, ranges): &(&Job, Vec<AddressRange>),
    (other, others): &(&Job, Vec<AddressRange>),
) -> Result<()> {
    let (first, second) = (&one.config.interface, &other.config.interface);
    if one.kind == JobKind::Watch && other.kind == JobKind::Watch && first == second {
        bail!(
            "jobs.{} and jobs.{} listen to the same interface: one of them is enough",
            one.name,
            other.name
        );
    }
    if one.config.site == other.config.site {
        return Ok(());
    }
    let same_way = first.is_none() || second.is_none() || first == second;
    let shared = ranges.iter().find_map(|range| {
        let other = others.iter().find(|other| overlap(range, other))?;
        Some(range.first().max(other.first()))
    });
    match shared.filter(|_| same_way) {
        Some(address) => bail!(
            "jobs.{} and jobs.{} ask {address} for two sites, {:?} and {:?}, by the same way: \
             give each an interface of its own (interface), or take it out of one of them \
             (targets, exclude), or give both the same site",
            one.name,
            other.name,
            one.config.site,
            other.config.site,
        ),
        None => Ok(()),
    }
}

fn overlap(one: &AddressRange, other: &AddressRange) -> bool {
    one.contains(other.first()) || other.contains(one.first())
}

#[cfg(test)]
mod tests {
    use config::{Config, Layers};

    use super::*;

    fn load(jobs: &str) -> Result<Plan, String> {
        let mut layers = Layers::defaults();
        layers.add_file("site.toml", jobs).unwrap();
        let settings = crate::compose::settings(Config::from_layers(&layers).unwrap()).unwrap();
        plan(&settings).map_err(|error| error.to_string())
    }

    fn sweep(name: &str, site: &str, targets: &str, more: &str) -> String {
        format!(
            "[[jobs]]\nname = \"{name}\"\nkind = \"sweep\"\nschedule = \"0 2 * * *\"\n\
             site = \"{site}\"\ntargets = [\"{targets}\"]\n{more}\n"
        )
    }

    #[test]
    fn two_sites_may_have_the_same_addresses_by_different_ways_only() {
        let one = sweep("a", "east", "198.18.0.0/16", "interface = \"eth0\"");
        let error = load(&[one.clone(), sweep("b", "west", "198.18.7.0/24", "")].concat());
        let error = error.unwrap_err();
        assert!(error.starts_with("jobs.a and jobs.b ask 198.18.7.1 for two sites"), "{error}");
        for other in [
            sweep("b", "west", "198.18.0.0/16", "interface = \"eth1\""),
            sweep("b", "west", "198.19.0.0/16", ""),
            sweep("b", "east", "198.18.0.0/16", ""),
        ] {
            assert_eq!(load(&[one.clone(), other].concat()).unwrap().planned.len(), 2);
        }
        let error = load(&sweep("a", "east", "198.18.0.0/33", "")).unwrap_err();
        assert!(error.starts_with("jobs.a.targets: "), "{error}");
    }

    #[test]
    fn a_time_zone_that_nobody_knows_is_told() {
        let error = load(&sweep("a", "x", "::1", "time_zone = \"Europe/Berln\"")).unwrap_err();
        assert!(error.contains("\"Europe/Berln\"") && error.contains("tzdata"), "{error}");
        let plan = load(&sweep("a", "x", "::1", "time_zone = \"Europe/Berlin\"")).unwrap();
        let next = plan.planned.first().unwrap().upcoming("2026-07-01".parse().unwrap()).next();
        assert_eq!(next.unwrap().0.to_string(), "2026-07-02T00:00:00Z");
    }
}
