//! Jobs: an array of tables in the configuration file, each checked by itself and against the
//! others, as far as that can be done without looking at the network.
//!
//! What a job shares with the other settings (rates, ports, the interface) lies on top of them
//! as one more layer, so that a job's sweep and one at the command line have the same settings.

use std::{collections::BTreeSet, path::PathBuf, str::FromStr, time::Duration};

use schedule::{CronLine, Missed, Window};
use toml::{Table, Value};

use crate::{
    Config, DAY, Layers,
    layers::{ConfigError, nearest},
    units,
};

/// What a job does.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum JobKind {
    /// Asks the network.
    Sweep,
    /// Listens for as long as the service runs.
    Watch,
    /// Reads certificates out of files and fetches what certificates name, as far as allowed.
    Certificates,
    /// Reads files that have changed.
    Import,
    /// Draws the conclusions again: what is due today was not yesterday.
    Review,
    /// Copies the database into a folder.
    Backup,
    /// Removes what is old.
    Prune,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Sweep,
        Self::Watch,
        Self::Certificates,
        Self::Import,
        Self::Review,
        Self::Backup,
        Self::Prune,
    ];

    /// The name, as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Watch => "watch",
            Self::Certificates => "certificates",
            Self::Import => "import",
            Self::Review => "review",
            Self::Backup => "backup",
            Self::Prune => "prune",
        }
    }

    /// The settings that mean something to it, beside those of every job.
    const fn own(self) -> &'static [&'static str] {
        match self {
            Self::Sweep => &[
                "targets",
                "exclude",
                "interface",
                "profile",
                "rate",
                "host_rate",
                "network_rate",
                "ports",
            ],
            Self::Watch => &["interface"],
            Self::Certificates => &["paths"],
            Self::Import => &["paths", "read_as"],
            Self::Review | Self::Prune => &[],
            Self::Backup => &["folder", "keep"],
        }
    }
}

impl FromStr for JobKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("{text:?} is not a kind of job ({names})")
        })
    }
}

/// As what an import job reads its files.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ReadAs {
    /// Leases and logs of DHCP servers.
    Dhcp,
    /// Neighbour tables.
    Neighbors,
    /// Results of other scanners.
    Scan,
    /// A register of devices.
    DeviceRegister,
    /// A register of software.
    SoftwareRegister,
    /// A register of issuers.
    IssuerRegister,
}

impl ReadAs {
    const ALL: [(&'static str, Self); 6] = [
        ("dhcp", Self::Dhcp),
        ("neighbors", Self::Neighbors),
        ("scan", Self::Scan),
        ("device-register", Self::DeviceRegister),
        ("software-register", Self::SoftwareRegister),
        ("issuer-register", Self::IssuerRegister),
    ];
}

/// Work that the service does by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Job {
    /// Its name: small letters, digits, `-` and `_`.
    pub name: String,
    /// What it does.
    pub kind: JobKind,
    /// When; `None` for a watch, which always runs.
    pub schedule: Option<CronLine>,
    /// The IANA name of the time zone in which that is read; `None` for the machine's own.
    pub time_zone: Option<String>,
    /// The times of the week at which it may begin, and a sweep may send; empty for any.
    pub windows: Vec<Window>,
    /// It begins up to so much after it is due, at most a day.
    pub jitter: Duration,
    /// What becomes of it where it was missed.
    pub missed: Missed,
    /// When it is ended, done or not; `None` for never.
    pub duration: Option<Duration>,
    /// Whom a sweep asks, not yet parsed.
    pub targets: Vec<String>,
    /// Files and folders that are read.
    pub paths: Vec<PathBuf>,
    /// As what an import reads them.
    pub read_as: Option<ReadAs>,
    /// Where a backup puts its copies.
    pub folder: Option<PathBuf>,
    /// How many of them stay, from 1 to 10,000.
    pub keep: usize,
    /// Everything else, with what is this job's own on top of what holds for all.
    pub config: Config,
}

/// The settings of every job.
const COMMON: [&str; 9] =
    ["name", "kind", "schedule", "time_zone", "window", "jitter", "missed", "duration", "site"];

/// How many copies stay of a backup that does not say: two weeks of daily ones.
const DEFAULT_COPIES: usize = 14;

/// The longest name.
const LONGEST_NAME: usize = 64;

/// Reads the jobs. `shared` is what holds for all, without the jobs.
pub(crate) fn read(layers: &Layers, shared: &Config) -> Result<Vec<Job>, ConfigError> {
    let (origin, value) = layers.origin("jobs");
    let tables: Option<Vec<&Table>> =
        value.as_array().and_then(|jobs| jobs.iter().map(Value::as_table).collect());
    let Some(tables) = tables else {
        let problem = "expected tables, each headed [[jobs]], in the configuration file".to_owned();
        return Err(ConfigError::Job { origin, job: "jobs".to_owned(), problem });
    };
    let mut names = BTreeSet::new();
    let mut jobs = Vec::new();
    for (number, table) in tables.into_iter().enumerate() {
        let reading = Reading { origin: origin.clone(), number: number + 1, table };
        let job = reading.job(layers, shared)?;
        if !names.insert(job.name.clone()) {
            let problem = "another job has this name: give each its own".to_owned();
            return Err(reading.wrong("name", &problem));
        }
        jobs.push(job);
    }
    Ok(jobs)
}

struct Reading<'a> {
    origin: String,
    number: usize,
    table: &'a Table,
}

impl Reading<'_> {
    fn job(&self, layers: &Layers, shared: &Config) -> Result<Job, ConfigError> {
        let name = self.required("name", "such as name = \"nightly\"", name)?;
        let kind: JobKind =
            self.required("kind", "such as kind = \"sweep\"", |value| units::text(value)?.parse())?;
        self.check_names(kind)?;
        let schedule = self.optional("schedule", |value| {
            units::text(value)?.parse::<CronLine>().map_err(|error| error.to_string())
        })?;
        match (kind, &schedule) {
            (JobKind::Watch, Some(_)) => {
                let problem = "a watch listens for as long as the service runs: take it out";
                return Err(self.wrong("schedule", problem));
            }
            (JobKind::Watch, None) => {
                for key in ["window", "jitter", "missed"] {
                    if self.table.contains_key(key) {
                        let problem = "means nothing to a watch, which always runs: take it out \
                                       (scope.windows says when it may ask)";
                        return Err(self.wrong(key, problem));
                    }
                }
            }
            (_, Some(_)) => {}
            (_, None) => {
                let problem = "is missing: say when, such as schedule = \"30 2 * * *\" (minute, \
                               hour, day of the month, month, day of the week)";
                return Err(self.wrong("schedule", problem));
            }
        }
        let texts = |key| Ok(self.optional(key, units::texts)?.unwrap_or_default());
        let targets: Vec<String> = texts("targets")?;
        if kind == JobKind::Sweep && targets.is_empty() {
            let problem = "is missing: say whom to ask, such as targets = [\"192.0.2.0/24\"]";
            return Err(self.wrong("targets", problem));
        }
        let paths: Vec<String> = texts("paths")?;
        let read_as = self.optional("read_as", read_as)?;
        if kind == JobKind::Import && paths.is_empty() {
            let problem = "is missing: say which files, such as paths = [\"/var/log/dhcpd.log\"]";
            return Err(self.wrong("paths", problem));
        }
        if kind == JobKind::Import && read_as.is_none() {
            let names = ReadAs::ALL.map(|(name, _)| name).join(", ");
            return Err(self.wrong("read_as", &format!("is missing: one of {names}")));
        }
        let folder = self.optional("folder", units::text)?;
        if kind == JobKind::Backup && folder.as_ref().is_none_or(String::is_empty) {
            let problem =
                "is missing: say where the copies go, such as folder = \"/var/backups/daicho\"";
            return Err(self.wrong("folder", problem));
        }
        let config = self.config(layers, shared)?;
        if kind == JobKind::Watch && config.interface.is_none() {
            let problem = "is missing: say which interface to listen to";
            return Err(self.wrong("interface", problem));
        }
        let time_zone = self.optional("time_zone", units::text)?;
        Ok(Job {
            name,
            kind,
            schedule,
            time_zone: time_zone.filter(|zone| !zone.is_empty()).or(shared.time_zone.clone()),
            windows: self.optional("window", windows)?.unwrap_or_default(),
            jitter: self
                .optional("jitter", |value| units::duration(value, Duration::ZERO, DAY))?
                .unwrap_or_default(),
            missed: self.optional("missed", missed)?.unwrap_or(Missed::Once),
            duration: self.optional("duration", |value| {
                units::duration(value, Duration::from_secs(1), 366 * DAY)
            })?,
            targets,
            paths: paths.into_iter().map(PathBuf::from).collect(),
            read_as,
            folder: folder.map(PathBuf::from),
            keep: self
                .optional("keep", |value| units::number(value, 1, 10_000))?
                .unwrap_or(DEFAULT_COPIES),
            config,
        })
    }

    /// What holds for all with what is this job's own on top.
    fn config(&self, layers: &Layers, shared: &Config) -> Result<Config, ConfigError> {
        let mut own = layers.clone();
        let place = format!("{}: jobs.{}", self.origin, self.named());
        let mut set = |key: &str, value: Value| own.set(&place, key, value);
        let given = |key: &str| self.table.get(key).cloned();
        if let Some(profile) = given("profile") {
            set("sweep.profile", profile)?;
            // A gentle profile would be none with the rates of another.
            for key in ["sweep.rate", "sweep.host_rate", "sweep.network_rate"] {
                set(key, Value::from(""))?;
            }
        }
        for (key, setting) in [
            ("rate", "sweep.rate"),
            ("host_rate", "sweep.host_rate"),
            ("network_rate", "sweep.network_rate"),
            ("ports", "sweep.ports"),
            ("interface", "sweep.interface"),
            ("site", "site.name"),
        ] {
            if let Some(value) = given(key) {
                set(setting, value)?;
            }
        }
        if let Some(value) = given("exclude") {
            let more = units::texts(&value).map_err(|problem| self.wrong("exclude", &problem))?;
            let all = shared.exclude.iter().cloned().chain(more).map(Value::from).collect();
            set("scope.exclude", Value::Array(all))?;
        }
        set("jobs", Value::Array(Vec::new()))?;
        Config::from_layers(&own)
    }

    /// Refuses what no job has, and what means nothing to this kind.
    fn check_names(&self, kind: JobKind) -> Result<(), ConfigError> {
        let all = JobKind::ALL.iter().flat_map(|kind| kind.own());
        let known: BTreeSet<String> =
            COMMON.iter().chain(all).map(|name| (*name).to_owned()).collect();
        for key in self.table.keys() {
            if !known.contains(key) {
                let hint = nearest(key, known.iter())
                    .map_or_else(String::new, |name| format!("; did you mean {name}?"));
                return Err(self.wrong(key, &format!("no job has such a setting{hint}")));
            }
            if !COMMON.contains(&key.as_str()) && !kind.own().contains(&key.as_str()) {
                let problem =
                    format!("means nothing to a job of the kind {}: take it out", kind.as_str());
                return Err(self.wrong(key, &problem));
            }
        }
        Ok(())
    }

    /// The job's name, or its number where it has none that can be told.
    fn named(&self) -> String {
        let name = self.table.get("name").and_then(|value| name(value).ok());
        name.unwrap_or_else(|| format!("[{}]", self.number))
    }

    fn required<T>(
        &self,
        key: &str,
        such: &str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let read = self.optional(key, parse)?;
        read.ok_or_else(|| self.wrong(key, &format!("is missing: every job has one, {such}")))
    }

    fn optional<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        parse(value).map(Some).map_err(|problem| self.wrong(key, &problem))
    }

    fn wrong(&self, key: &str, problem: &str) -> ConfigError {
        let given = self.table.get(key).map(|value| format!(" = {value}")).unwrap_or_default();
        ConfigError::Job {
            origin: self.origin.clone(),
            job: format!("jobs.{}.{key}{given}", self.named()),
            problem: problem.to_owned(),
        }
    }
}

/// A name that is one word in a command, a log and a file's name.
fn name(value: &Value) -> Result<String, String> {
    let name = units::text(value)?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    match !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(fits) {
        true => Ok(name),
        false => {
            Err(format!("expected a name of at most {LONGEST_NAME} small letters, digits, - and _"))
        }
    }
}

fn read_as(value: &Value) -> Result<ReadAs, String> {
    let text = units::text(value)?;
    let names = ReadAs::ALL.map(|(name, _)| name).join(", ");
    let known = ReadAs::ALL.into_iter().find(|(name, _)| *name == text);
    known
        .map(|(_, read_as)| read_as)
        .ok_or_else(|| format!("{text:?} is not what can be read ({names})"))
}

fn missed(value: &Value) -> Result<Missed, String> {
    match units::text(value)?.as_str() {
        "once" => Ok(Missed::Once),
        "skip" => Ok(Missed::Skip),
        other => Err(format!("{other:?} is not what becomes of missed runs (once, skip)")),
    }
}

fn windows(value: &Value) -> Result<Vec<Window>, String> {
    units::texts(value)?.iter().map(|text| text.parse()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str) -> Result<Config, String> {
        let mut layers = Layers::defaults();
        layers
            .add_file("site.toml", file)
            .and_then(|()| Config::from_layers(&layers))
            .map_err(|error| error.to_string())
    }

    const NIGHTLY: &str = "[sweep]\nrate = \"700pps\"\n[scope]\nexclude = [\"192.0.2.1\"]\n\
        [[jobs]]\nname = \"nightly\"\nkind = \"sweep\"\nschedule = \"30 2 * * *\"\n\
        targets = [\"192.0.2.0/24\"]\n";

    #[test]
    fn a_job_has_the_settings_of_all_with_its_own_on_top() {
        let more = "profile = \"ot\"\nsite = \"plant\"\nexclude = [\"192.0.2.9\"]\njitter = \"10m\"\n\
                    [[jobs]]\nname = \"mirror\"\nkind = \"watch\"\ninterface = \"eth1\"\n";
        let config = load(&format!("{NIGHTLY}{more}")).unwrap();
        let [nightly, mirror] = config.jobs.as_slice() else { panic!("{:?}", config.jobs) };
        // The profile's own rate, and not that of all.
        assert_eq!((nightly.config.rate, nightly.config.host_rate), (50, 2));
        assert_eq!(nightly.config.exclude, ["192.0.2.1", "192.0.2.9"]);
        assert_eq!(
            (nightly.config.site.as_str(), mirror.config.site.as_str()),
            ("plant", "default")
        );
        assert_eq!((nightly.jitter, nightly.missed), (Duration::from_secs(600), Missed::Once));
        assert_eq!(mirror.config.rate, 700);
        assert_eq!((config.rate, mirror.schedule.is_none()), (700, true));
    }

    #[track_caller]
    fn refuses(more: &str, expected: &str) {
        let error = load(&format!("{NIGHTLY}{more}")).unwrap_err();
        assert!(error.starts_with(&format!("site.toml: {expected}")), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_job_is_told_with_its_name_and_what_to_do() {
        refuses(
            "jiter = \"1m\"",
            "jobs.nightly.jiter = \"1m\": no job has such a setting; did you mean jitter?",
        );
        refuses(
            "paths = []",
            "jobs.nightly.paths = []: means nothing to a job of the kind sweep: take it out",
        );
        refuses("rate = \"5\"", "jobs.nightly: sweep.rate = \"5\": expected packets a second");
        refuses(
            "missed = \"all\"",
            "jobs.nightly.missed = \"all\": \"all\" is not what becomes of missed runs",
        );
        refuses(
            "window = [\"late\"]",
            "jobs.nightly.window = [\"late\"]: \"late\" is not a time of the week",
        );
        let job = |rest: &str| format!("[[jobs]]\nname = \"b\"\n{rest}");
        refuses(
            &job("kind = \"sweep\"\nschedule = \"0 0 30 2 *\"\ntargets = [\"::1\"]"),
            "jobs.b.schedule = \"0 0 30 2 *\": never comes: no year has such a day",
        );
        refuses(
            &job("kind = \"sweep\"\nschedule = \"0 0 * *\""),
            "jobs.b.schedule = \"0 0 * *\": not a cron line",
        );
        refuses(
            &job("kind = \"sweep\"\nschedule = \"0 0 * * *\""),
            "jobs.b.targets: is missing: say whom",
        );
        refuses(&job("kind = \"review\""), "jobs.b.schedule: is missing: say when");
        refuses(&job("kind = \"watch\""), "jobs.b.interface: is missing");
        refuses(
            &job("kind = \"watch\"\nschedule = \"@daily\""),
            "jobs.b.schedule = \"@daily\": a watch listens",
        );
        refuses(
            &job("kind = \"watch\"\nwindow = [\"22:00-06:00\"]\ninterface = \"eth1\""),
            "jobs.b.window = [\"22:00-06:00\"]: means nothing to a watch",
        );
        refuses(
            &job("kind = \"import\"\nschedule = \"@daily\"\npaths = [\"x\"]"),
            "jobs.b.read_as: is missing: one of dhcp",
        );
        refuses(
            &job("kind = \"prun\""),
            "jobs.b.kind = \"prun\": \"prun\" is not a kind of job (sweep, watch",
        );
        refuses(
            "[[jobs]]\nname = \"nightly\"\nkind = \"review\"\nschedule = \"@daily\"",
            "jobs.nightly.name = \"nightly\": another job has this name",
        );
        refuses("[[jobs]]\nkind = \"review\"", "jobs.[2].name: is missing: every job has one");
        refuses(
            "[[jobs]]\nname = \"Über Nacht\"",
            "jobs.[2].name = \"Über Nacht\": expected a name",
        );
        let mut layers = Layers::defaults();
        layers.add_environment([("DAICHO_JOBS".to_owned(), "a".to_owned())].into_iter()).unwrap();
        let error = Config::from_layers(&layers).unwrap_err().to_string();
        assert!(
            error.starts_with("DAICHO_JOBS: jobs: expected tables, each headed [[jobs]]"),
            "{error}"
        );
    }

    #[test]
    fn every_setting_of_a_job_is_in_the_file_that_people_start_from() {
        let all = JobKind::ALL.iter().flat_map(|kind| kind.own());
        for name in COMMON.iter().chain(all) {
            let line = format!("# {name} = ");
            assert!(crate::DEFAULT_TOML.contains(&line), "{name}");
        }
    }
}
