//! The settings, from defaults, file, environment and command line to one checked [`Config`].
//!
//! This crate knows names, units, defaults and limits. It does not know what a setting is
//! for: the binary takes the `Config` apart and hands each crate its values. It touches
//! neither files nor the environment: their contents are handed in.

mod jobs;
mod layers;
pub mod oidc;
pub mod route;
mod units;
pub mod web;

use std::{path::PathBuf, time::Duration};

pub use jobs::{Job, JobKind, ReadAs};
pub use layers::{ConfigError, Layers};
use route::RouteSetting;
pub use schedule::{CronLine, Missed, Window};
use thiserror::Error;
use units::RateChoice;
use web::Web;

/// The default configuration, complete and commented: what a user starts from.
pub const DEFAULT_TOML: &str = include_str!("../default.toml");

/// Every setting, complete and checked. No `Option` here means "use the default":
/// defaults are applied before this type exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The database file; `None` for the user's data folder.
    pub database: Option<PathBuf>,
    /// The site's name.
    pub site: String,
    /// The vantage point's name; `None` for the machine's host name.
    pub vantage: Option<String>,
    /// Targets that are never sent to, not yet parsed.
    pub exclude: Vec<String>,
    /// The times at which a sweep may send; empty for any.
    pub windows: Vec<Window>,
    /// Packets a second in all at most, from 1 to 10,000,000.
    pub rate: u32,
    /// How the rate in all is found.
    pub tempo: Tempo,
    /// Packets a second to one network, from 1 to `rate`.
    pub network_rate: u32,
    /// Packets a second to one asset, from 1 to `rate`.
    pub host_rate: u32,
    /// Whether control systems may be asked in their own protocols.
    pub control_systems: bool,
    /// By which questions to find out who is there, not yet parsed.
    pub discover: String,
    /// The ports to ask, not yet parsed.
    pub ports: String,
    /// The I/O tier, or to choose it.
    pub io: IoChoice,
    /// The interface to use; `None` lets the routes decide.
    pub interface: Option<String>,
    /// Whether to ask the ports of silent addresses too.
    pub assume_alive: bool,
    /// Whether to look up the names of addresses.
    pub reverse_dns: bool,
    /// Whether to talk with services.
    pub services: bool,
    /// Connections at once to one asset, from 1 to 16.
    pub connections_per_asset: usize,
    /// Conversations at once, from 1 to 10,000.
    pub concurrency: usize,
    /// The longest conversation, from 100 ms to 10 minutes.
    pub time_limit: Duration,
    /// The most bytes read in a conversation, from 1 KiB to 16 MiB.
    pub read_limit: usize,
    /// Whether SNMP's community `public` may be used.
    pub snmp_public: bool,
    /// How much TLS servers are asked.
    pub tls: TlsChoice,
    /// The longest time before its end at which a certificate is a warning.
    pub expiring_warning: Duration,
    /// The longest time before its end at which a certificate is critical.
    pub expiring_critical: Duration,
    /// After which share of its lifetime a certificate should have been renewed: so many parts,
    /// of so many. From 1/10 to 9/10.
    pub renew_after: (u32, u32),
    /// Whether the system's roots are those that the public trusts.
    pub system_roots: bool,
    /// Files with the organisation's own roots.
    pub root_files: Vec<PathBuf>,
    /// Files with revocation lists, and folders of them.
    pub list_files: Vec<PathBuf>,
    /// What may be fetched of what certificates name.
    pub download: DownloadChoice,
    /// Files and folders from which certificates are collected.
    pub certificate_files: Vec<PathBuf>,
    /// Files whose first lines are passwords for those.
    pub password_files: Vec<PathBuf>,
    /// Who may give out leases, not yet parsed.
    pub dhcp_servers: Vec<String>,
    /// Who may advertise itself as a router, not yet parsed.
    pub routers: Vec<String>,
    /// Who may be asked for names, not yet parsed.
    pub resolvers: Vec<String>,
    /// Who may be asked for the time, not yet parsed.
    pub time_servers: Vec<String>,
    /// The protocols that may be spoken without encryption.
    pub cleartext: Vec<String>,
    /// The place's own public networks, not yet parsed.
    pub own_networks: Vec<String>,
    /// Bytes that listening may remember.
    pub watch_memory: usize,
    /// How many threads listen to an interface.
    pub watch_readers: usize,
    /// How often conclusions are drawn while it is listened.
    pub watch_conclude: Duration,
    /// Whether what is heard is followed by questions.
    pub watch_ask: bool,
    /// Who may be asked then, not yet parsed.
    pub watch_targets: Vec<String>,
    /// Seconds east of UTC that dates in registers mean.
    pub register_offset: i32,
    /// Where our web page is found from where messages are read; `None` for no links in them.
    pub page: Option<String>,
    /// Who is told of what.
    pub routes: Vec<RouteSetting>,
    /// Whether a second person has to confirm decisions.
    pub four_eyes: bool,
    /// The web page.
    pub web: Web,
    /// How old superseded observations become before they are pruned; `None` for any age. Here
    /// and below at least 30 days.
    pub keep_observations: Option<Duration>,
    /// How long what is gone is kept: services, software, certificates, files.
    pub keep_past: Option<Duration>,
    /// How long resolved findings are kept.
    pub keep_findings: Option<Duration>,
    /// How long it is kept where scans looked, and how jobs ran.
    pub keep_scans: Option<Duration>,
    /// How long events are kept.
    pub keep_events: Option<Duration>,
    /// The times at which a prune may give room back to the system; empty for never.
    pub vacuum_windows: Vec<Window>,
    /// How many jobs run at once, those that listen not counted; from 1 to 64.
    pub jobs_at_once: usize,
    /// The IANA name of the time zone of schedules; `None` for the machine's own.
    pub time_zone: Option<String>,
    /// What the service does by itself. Empty in a job's own configuration.
    pub jobs: Vec<Job>,
}

/// Which I/O tier to use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IoChoice {
    /// The best that works here.
    Auto,
    /// The system's own sockets.
    Connect,
    /// Packets of our own.
    Raw,
    /// Packets that are made in the kernel.
    Xdp,
}

/// How much TLS servers are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsChoice {
    /// For every certificate.
    Certificates,
    /// Also for each older version, and for cipher suites that protect nothing.
    Versions,
    /// Also for every cipher suite and every key-exchange group.
    Thorough,
}

/// What may be fetched of what certificates name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DownloadChoice {
    /// Nothing.
    No,
    /// Revocation lists.
    Lists,
    /// Those, and the answers of OCSP responders.
    ListsAndResponses,
}

/// How the rate in all is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tempo {
    /// It is given.
    Fixed,
    /// It begins with so many packets a second and follows what the network bears.
    Auto(u32),
}

/// The rates that a profile stands for, packets a second.
#[derive(Clone, Copy, Debug)]
struct Profile {
    name: &'static str,
    total: u32,
    each: u32,
    /// To one network; none for no limit but the total.
    network: Option<u32>,
    /// The most that `auto` tries. Who wants it gentle does not want it found out how much
    /// more would go.
    most: u32,
}

const PROFILES: [Profile; 4] = [
    Profile { name: "ot", total: 50, each: 2, network: Some(25), most: 50 },
    Profile { name: "polite", total: 200, each: 10, network: Some(100), most: 200 },
    Profile { name: "normal", total: 1_000, each: 40, network: None, most: 100_000 },
    Profile { name: "fast", total: 100_000, each: 10_000, network: None, most: 100_000 },
];

/// The most with which `auto` begins.
const FIRST_RATE: u32 = 1_000;

impl Config {
    /// Reads every setting out of the layers and checks it.
    pub fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let text = |key| layers.read(key, units::text);
        let switch = |key| layers.read(key, units::switch);
        let optional = |key| Ok(Some(text(key)?).filter(|value: &String| !value.is_empty()));

        let paths = |key| -> Result<Vec<PathBuf>, ConfigError> {
            Ok(layers.read(key, units::texts)?.into_iter().map(PathBuf::from).collect())
        };

        let profile = layers.read("sweep.profile", |value| {
            let name = units::text(value)?;
            let known = PROFILES.into_iter().find(|profile| profile.name == name);
            let names = PROFILES.map(|profile| profile.name).join(", ");
            known.ok_or_else(|| format!("{name:?} is not a profile ({names})"))
        })?;
        let (rate, tempo) = match layers.read("sweep.rate", units::rate_or_auto)? {
            None => (profile.total, Tempo::Fixed),
            Some(RateChoice::Fixed(rate)) => (rate, Tempo::Fixed),
            Some(RateChoice::Auto) => (profile.most, Tempo::Auto(profile.total.min(FIRST_RATE))),
        };
        // One asset or network never gets more than all of them together.
        let chosen = layers.read("sweep.host_rate", units::rate)?;
        let host_rate = chosen.unwrap_or(profile.each).min(rate);
        let chosen = layers.read("sweep.network_rate", units::rate)?.or(profile.network);
        let network_rate = chosen.unwrap_or(rate).min(rate);

        let certificates = |key| layers.read(key, |value| units::duration(value, DAY, 3_650 * DAY));
        let expiring_warning = certificates("certificates.expiring_warning")?;
        let expiring_critical = certificates("certificates.expiring_critical")?;
        if expiring_critical > expiring_warning {
            return Err(layers.refuse(
                "certificates.expiring_critical",
                "must not be longer than certificates.expiring_warning",
            ));
        }

        let mut config = Self {
            database: optional("database")?.map(PathBuf::from),
            site: layers.read("site.name", units::name)?,
            vantage: optional("site.vantage")?,
            exclude: layers.read("scope.exclude", units::texts)?,
            windows: layers.read("scope.windows", |value| {
                units::texts(value)?.iter().map(|text| text.parse()).collect()
            })?,
            rate,
            tempo,
            network_rate,
            host_rate,
            control_systems: profile.name == "ot",
            discover: text("sweep.discover")?,
            ports: text("sweep.ports")?,
            io: layers.read("sweep.io", |value| match units::text(value)?.as_str() {
                "auto" => Ok(IoChoice::Auto),
                "connect" => Ok(IoChoice::Connect),
                "raw" => Ok(IoChoice::Raw),
                "xdp" => Ok(IoChoice::Xdp),
                other => Err(format!("{other:?} is not an I/O tier (auto, connect, raw, xdp)")),
            })?,
            interface: optional("sweep.interface")?,
            assume_alive: switch("sweep.assume_alive")?,
            reverse_dns: switch("sweep.reverse_dns")?,
            services: switch("services.enabled")?,
            connections_per_asset: layers
                .read("services.connections_per_asset", |v| units::number(v, 1, 16))?,
            concurrency: layers.read("services.concurrency", |v| units::number(v, 1, 10_000))?,
            time_limit: layers.read("services.time_limit", |value| {
                units::duration(value, Duration::from_millis(100), Duration::from_secs(600))
            })?,
            read_limit: layers
                .read("services.read_limit", |v| units::size(v, 1 << 10, 16 << 20))?,
            snmp_public: switch("services.snmp_public")?,
            tls: layers.read("services.tls", |value| match units::text(value)?.as_str() {
                // Who wants to be gentle makes no connection that brings no certificate.
                "auto" if matches!(profile.name, "ot" | "polite") => Ok(TlsChoice::Certificates),
                "auto" | "versions" => Ok(TlsChoice::Versions),
                "certificates" => Ok(TlsChoice::Certificates),
                "thorough" => Ok(TlsChoice::Thorough),
                other => Err(format!(
                    "{other:?} is not what can be asked (auto, certificates, versions, thorough)"
                )),
            })?,
            expiring_warning,
            expiring_critical,
            renew_after: layers.read("certificates.renew_after", units::share)?,
            system_roots: switch("certificates.system_roots")?,
            root_files: paths("certificates.roots")?,
            list_files: paths("certificates.crls")?,
            download: layers.read("certificates.download", |value| {
                match units::text(value)?.as_str() {
                    "no" => Ok(DownloadChoice::No),
                    "crl" => Ok(DownloadChoice::Lists),
                    "crl+ocsp" => Ok(DownloadChoice::ListsAndResponses),
                    other => {
                        Err(format!("{other:?} is not what can be fetched (no, crl, crl+ocsp)"))
                    }
                }
            })?,
            certificate_files: paths("certificates.files")?,
            password_files: paths("certificates.password_files")?,
            dhcp_servers: layers.read("network.dhcp_servers", units::texts)?,
            routers: layers.read("network.routers", units::texts)?,
            resolvers: layers.read("network.resolvers", units::texts)?,
            time_servers: layers.read("network.time_servers", units::texts)?,
            cleartext: layers.read("network.cleartext", units::texts)?,
            own_networks: layers.read("network.own", units::texts)?,
            watch_memory: layers.read("watch.memory", |v| units::size(v, 1 << 20, 64 << 30))?,
            watch_readers: layers.read("watch.readers", |v| units::number(v, 1, 64))?,
            watch_conclude: layers
                .read("watch.conclude", |v| units::duration(v, Duration::from_secs(1), DAY))?,
            watch_ask: switch("watch.ask")?,
            watch_targets: layers.read("watch.targets", units::texts)?,
            register_offset: layers.read("register.utc_offset", units::utc_offset)?,
            page: optional("alerts.page")?,
            routes: layers.read_hidden("routes", route::routes)?,
            four_eyes: switch("approval.four_eyes")?,
            web: web::read(layers, optional("alerts.page")?.as_deref())?,
            keep_observations: layers.read("keep.observations", units::age)?,
            keep_past: layers.read("keep.past", units::age)?,
            keep_findings: layers.read("keep.findings", units::age)?,
            keep_scans: layers.read("keep.scans", units::age)?,
            keep_events: layers.read("keep.events", units::age)?,
            vacuum_windows: layers.read("keep.vacuum", |value| {
                units::texts(value)?.iter().map(|text| text.parse()).collect()
            })?,
            jobs_at_once: layers.read("serve.jobs_at_once", |v| units::number(v, 1, 64))?,
            time_zone: optional("serve.time_zone")?,
            jobs: Vec::new(),
        };
        config.jobs = jobs::read(layers, &config)?;
        Ok(config)
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// Reads a length of time as settings are written, up to a hundred years: `30d`, `12h`.
///
/// # Errors
///
/// Says what was given and what was expected.
pub fn duration(text: &str) -> Result<Duration, DurationError> {
    let value = toml::Value::from(text);
    units::duration(&value, Duration::ZERO, 36_500 * DAY)
        .map_err(|problem| DurationError { text: text.to_owned(), problem })
}

/// The text is not a length of time.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[error("{text:?}: {problem}")]
pub struct DurationError {
    text: String,
    problem: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the settings come to with this file and these environment variables.
    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let mut layers = Layers::defaults();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        layers
            .add_file("site.toml", file)
            .and_then(|()| layers.add_environment(environment))
            .and_then(|()| Config::from_layers(&layers))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_what_the_design_says() {
        let config = load("", &[]).unwrap();
        assert_eq!((config.rate, config.host_rate), (1_000, 40));
        assert_eq!(config.database, None);
        assert_eq!(config.site, "default");
        assert_eq!(config.time_limit, Duration::from_secs(5));
        assert_eq!(config.read_limit, 64 << 10);
        assert_eq!(config.expiring_warning, 30 * DAY);
        assert_eq!(config.expiring_critical, 7 * DAY);
        assert_eq!(config.renew_after, (2, 3));
        assert!(config.system_roots && config.root_files.is_empty());
        assert_eq!(config.connections_per_asset, 2);
        assert_eq!(config.tls, TlsChoice::Versions);
        assert_eq!(config.download, DownloadChoice::No);
        assert!(!config.snmp_public && !config.reverse_dns && !config.assume_alive);
        assert!(!config.watch_ask && config.watch_targets.is_empty());
    }

    #[test]
    fn later_layers_win() {
        let file = "[sweep]\nprofile = \"ot\"\nports = \"22\"\n[site]\nname = \"plant\"";
        let config = load(
            file,
            &[
                ("DAICHO_SITE_NAME", "office"),
                ("DAICHO_CERTIFICATES_FILES", "/etc/nginx, /a b"),
                ("DAICHO_CERTIFICATES_PASSWORD", "is no setting"),
                ("PATH", "/bin"),
            ],
        )
        .unwrap();
        assert_eq!((config.rate, config.host_rate), (50, 2));
        assert_eq!(config.certificate_files, [PathBuf::from("/etc/nginx"), "/a b".into()]);
        assert_eq!((config.site.as_str(), config.ports.as_str()), ("office", "22"));

        let mut layers = Layers::defaults();
        layers.add_file("site.toml", file).unwrap();
        layers.add_flag("--rate", "sweep.rate", "7pps").unwrap();
        let config = Config::from_layers(&layers).unwrap();
        // A rate below the profile's for one asset holds for one asset too.
        assert_eq!((config.rate, config.host_rate, config.network_rate), (7, 2, 7));
    }

    #[test]
    fn auto_begins_gently_and_no_gentle_profile_lets_it_rise() {
        for (profile, first, most, network) in [
            ("ot", 50, 50, 25),
            ("polite", 200, 200, 100),
            ("normal", 1_000, 100_000, 100_000),
            ("fast", 1_000, 100_000, 100_000),
        ] {
            let file = format!("[sweep]\nprofile = \"{profile}\"");
            let config = load(&file, &[("DAICHO_SWEEP_RATE", "auto")]).unwrap();
            assert_eq!((config.rate, config.tempo), (most, Tempo::Auto(first)), "{profile}");
            assert_eq!(config.network_rate, network);
        }
        let config = load("[sweep]\nrate = \"auto\"\nnetwork_rate = \"300pps\"", &[]).unwrap();
        assert_eq!((config.host_rate, config.network_rate), (40, 300));
    }

    #[test]
    fn gentle_profiles_ask_for_certificates_alone_unless_more_is_wanted() {
        for (profile, expected) in [
            ("ot", TlsChoice::Certificates),
            ("polite", TlsChoice::Certificates),
            ("normal", TlsChoice::Versions),
            ("fast", TlsChoice::Versions),
        ] {
            let file = format!("[sweep]\nprofile = \"{profile}\"");
            assert_eq!(load(&file, &[]).unwrap().tls, expected, "{profile}");
            let wanted = load(&file, &[("DAICHO_SERVICES_TLS", "thorough")]).unwrap();
            assert_eq!(wanted.tls, TlsChoice::Thorough, "{profile}");
        }
    }

    #[track_caller]
    fn refuses(file: &str, environment: &[(&str, &str)], expected: &str) {
        assert_eq!(load(file, environment).unwrap_err(), expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        refuses(
            "[sweep]\nrat = \"5pps\"",
            &[],
            "site.toml: there is no setting sweep.rat; did you mean sweep.rate?",
        );
        refuses(
            "[sweep]\nrate = \"5\"",
            &[],
            "site.toml: sweep.rate = \"5\": expected packets a second, such as \"1000pps\" or \
             \"auto\"",
        );
        refuses(
            "",
            &[("DAICHO_SWEEP_IO", "rwa")],
            "DAICHO_SWEEP_IO: sweep.io = \"rwa\": \"rwa\" is not an I/O tier (auto, connect, raw, xdp)",
        );
        refuses(
            "[certificates]\ndownload = \"yes\"",
            &[],
            "site.toml: certificates.download = \"yes\": \"yes\" is not what can be fetched (no, \
             crl, crl+ocsp)",
        );
        refuses(
            "",
            &[("DAICHO_SWEP_IO", "raw")],
            "DAICHO_SWEP_IO: there is no such setting; did you mean DAICHO_SWEEP_IO?",
        );
        refuses(
            "[certificates]\nexpiring_critical = \"40d\"",
            &[],
            "site.toml: certificates.expiring_critical = \"40d\": must not be longer than \
             certificates.expiring_warning",
        );
        refuses(
            "[certificates]\nrenew_after = \"95%\"",
            &[],
            "site.toml: certificates.renew_after = \"95%\": expected a share from \"1/10\" to \
             \"9/10\", or in percent, such as \"2/3\" or \"75%\"",
        );
        refuses(
            "[keep]\nevents = \"1d\"",
            &[],
            "site.toml: keep.events = \"1d\": expected from 30d to 36500d, or \"forever\"",
        );
        refuses("sweep = 3", &[], "site.toml: sweep is a section, not a setting");
    }

    #[test]
    fn a_file_that_is_no_toml_says_where() {
        let error = load("[sweep\nrate = 1", &[]).unwrap_err();
        assert!(error.starts_with("site.toml: TOML parse error at line 1"), "{error}");
    }
}
