//! From the layers of configuration to the values that each crate is given.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use certs::{Remaining, Thresholds};
use config::{
    Config, DownloadChoice, IoChoice, Job, Layers, TlsChoice, Window, route::RouteSetting, web::Web,
};
use inventory::{
    alert::{self, AlertKind},
    audit::Actor,
    compare::{Approved, Network},
    download,
    register::address_range,
    route::{About, Baseline, Route},
    store::{Policy, Rule},
};
use jiff::tz::Offset;
use model::{AddressRange, Site, Vantage};
use scanner::{
    dialogue::Limits,
    net::select::Choice,
    probe::{catalog, tls::Extent},
    rate::{Rates, Tempo},
};

use crate::{
    cli::args::{Certs, Cli, Command, Jobs},
    notify::Sender,
    trusted::Trusted,
};

/// A configuration file and what was in it.
pub(crate) type Read = Option<(PathBuf, String)>;

/// Reads the configuration: defaults, file, environment, flags, in this order. A run that the
/// service began has the file that the service has, whatever became of it since.
pub(crate) fn configuration(cli: &Cli) -> Result<Config> {
    let file = match &cli.command {
        Command::Jobs { command: Some(Jobs::Run { served: Some(_), .. }) }
        | Command::Web { served: true } => crate::jobs::handed_down()?,
        _ => configuration_file(cli.config.as_deref())?,
    };
    configuration_of(cli, file.as_ref())
}

/// The configuration with this file.
pub(crate) fn configuration_of(cli: &Cli, file: Option<&(PathBuf, String)>) -> Result<Config> {
    let mut layers = Layers::defaults();
    if let Some((path, text)) = file {
        layers.add_file(&path.display().to_string(), text)?;
    }
    // A variable that is not Unicode can be no setting of ours.
    let variables = env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    });
    layers.add_environment(variables)?;
    if let Some(path) = &cli.db {
        layers.add_flag("--db", "database", &path.to_string_lossy())?;
    }
    let flags = match &cli.command {
        Command::Sweep(sweep) => sweep.settings(),
        Command::Watch(watch) => watch.settings(),
        Command::Certs { command: Certs::Collect(collect) } => collect.settings(),
        _ => Vec::new(),
    };
    for (flag, key, value) in flags {
        layers.add_flag(flag, key, &value)?;
    }
    Ok(Config::from_layers(&layers)?)
}

/// The file that was asked for, or the first of the usual ones that is there.
pub(crate) fn configuration_file(asked: Option<&Path>) -> Result<Read> {
    if let Some(path) = asked {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
        return Ok(Some((path.to_owned(), text)));
    }
    let own = folder("XDG_CONFIG_HOME", ".config");
    let usual = own.into_iter().chain([PathBuf::from("/etc")]);
    for path in usual.map(|folder| folder.join("daicho/daicho.toml")) {
        match fs::read_to_string(&path) {
            Ok(text) => return Ok(Some((path, text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let what = format!("cannot read the configuration file {}", path.display());
                return Err(error).context(what);
            }
        }
    }
    Ok(None)
}

/// Where a user's own configuration lies.
pub(crate) fn configuration_folder() -> Option<PathBuf> {
    folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("daicho"))
}

/// Where the inventory is kept if nobody says otherwise: a place that does not depend on the
/// folder in which a command happens to be given.
fn database_path(configured: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(path) = configured {
        return Ok(path);
    }
    let folder = match is_root() {
        true => Some(PathBuf::from("/var/lib")),
        false => folder("XDG_DATA_HOME", ".local/share"),
    };
    let folder = folder.context("there is no home folder for the database; name one with --db")?;
    Ok(folder.join("daicho/daicho.db"))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// A folder of the XDG base directory specification.
fn folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let named = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(below_home)))
}

/// The name of this vantage point.
fn vantage_name(configured: Option<String>) -> String {
    configured.unwrap_or_else(|| {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        match name.trim() {
            "" => "here".to_owned(),
            name => name.to_owned(),
        }
    })
}

/// How old things become before they are pruned; `None` for any age.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    pub(crate) observations: Option<Duration>,
    pub(crate) past: Option<Duration>,
    pub(crate) findings: Option<Duration>,
    pub(crate) scans: Option<Duration>,
    pub(crate) events: Option<Duration>,
}

/// The configuration taken apart into what each crate is given.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) database: PathBuf,
    pub(crate) vantage: Vantage,
    pub(crate) exclude: Vec<String>,
    pub(crate) windows: Vec<Window>,
    pub(crate) rates: Rates,
    /// Whether control systems may be asked in their own protocols.
    pub(crate) control_systems: bool,
    pub(crate) discover: String,
    pub(crate) ports: String,
    pub(crate) io: Choice,
    pub(crate) interface: Option<String>,
    pub(crate) assume_alive: bool,
    pub(crate) reverse_dns: bool,
    pub(crate) services: bool,
    pub(crate) limits: Limits,
    pub(crate) snmp_public: bool,
    /// How much TLS servers are asked.
    pub(crate) tls: Extent,
    /// Protocols that are not spoken.
    pub(crate) except: Vec<String>,
    /// What may be fetched of what certificates name, if anything.
    pub(crate) download: Option<download::Extent>,
    /// Files and folders with certificates.
    pub(crate) certificate_files: Vec<PathBuf>,
    /// Files with passwords for them.
    pub(crate) password_files: Vec<PathBuf>,
    /// Where the roots and revocation lists lie.
    pub(crate) trusted: Trusted,
    /// Without the roots and lists, which are read where they are needed.
    pub(crate) policy: Policy,
    /// The place's own public networks.
    pub(crate) own_networks: Vec<AddressRange>,
    /// Bytes that listening may remember.
    pub(crate) capture_memory: usize,
    /// How many listen to an interface side by side.
    pub(crate) readers: usize,
    /// How often conclusions are drawn while it is listened.
    pub(crate) conclude: Duration,
    /// Whether what is heard is followed by questions, and to whom.
    pub(crate) ask: bool,
    pub(crate) ask_targets: Vec<String>,
    /// By which ways who is told; what of, is in the policy.
    pub(crate) routes: Vec<RouteSetting>,
    /// Who writes to them.
    pub(crate) sender: Sender,
    /// Who has to agree to a decision.
    pub(crate) rule: Rule,
    /// Who gives the command.
    pub(crate) actor: Actor,
    /// The page.
    pub(crate) web: Web,
    /// What the service does by itself, each with a configuration of its own.
    pub(crate) jobs: Vec<Job>,
    /// How many of them run at once.
    pub(crate) jobs_at_once: usize,
    /// What a prune keeps, and when it may give room back.
    pub(crate) keep: Ages,
    pub(crate) vacuum_windows: Vec<Window>,
}

/// What a route is to tell, without the way.
fn route(setting: &RouteSetting) -> Route {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let kinds = [AlertKind::New, AlertKind::Worse, AlertKind::Reminder, AlertKind::Over];
    Route {
        name: setting.name.clone(),
        policy: alert::Policy { least: setting.severity, remind: seconds(setting.remind) },
        rules: setting.rules.clone(),
        sites: setting.sites.clone(),
        owners: setting.owners.clone(),
        kinds: kinds
            .into_iter()
            .filter(|kind| setting.kinds.iter().any(|name| name == kind.as_str()))
            .collect(),
        about: About::ALL
            .into_iter()
            .filter(|about| setting.about.iter().any(|name| name == about.as_str()))
            .collect(),
        gather: seconds(setting.digest),
        urgent: setting.urgent,
        baseline: if setting.tell_baseline { Baseline::Told } else { Baseline::Silent },
    }
}

/// Who is approved in a setting of that name.
fn approved(key: &str, texts: &[String]) -> Result<Approved> {
    Approved::read(texts.iter().map(String::as_str)).map_err(|text| {
        anyhow::anyhow!("{key}: {text:?} is no address, network, range or MAC address")
    })
}

fn range(text: &str) -> Result<AddressRange> {
    address_range(text)
        .with_context(|| format!("network.own: {text:?} is no address, network or range"))
}

/// Takes the configuration apart. The pattern has no `..`, so a setting that nothing uses does
/// not compile.
pub(crate) fn settings(config: Config) -> Result<Settings> {
    let Config {
        database,
        site,
        vantage,
        exclude,
        windows,
        rate,
        tempo,
        network_rate,
        host_rate,
        control_systems,
        discover,
        ports,
        io,
        interface,
        assume_alive,
        reverse_dns,
        services,
        connections_per_asset,
        concurrency,
        time_limit,
        read_limit,
        snmp_public,
        tls,
        expiring_warning,
        expiring_critical,
        renew_after,
        system_roots,
        root_files,
        list_files,
        download,
        certificate_files,
        password_files,
        dhcp_servers,
        routers,
        resolvers,
        time_servers,
        cleartext,
        own_networks,
        watch_memory,
        watch_readers,
        watch_conclude,
        watch_ask,
        watch_targets,
        register_offset,
        page,
        routes,
        four_eyes,
        web,
        keep_observations: observations,
        keep_past: past,
        keep_findings: findings,
        keep_scans: scans,
        keep_events: events,
        vacuum_windows,
        jobs_at_once,
        // The jobs have it.
        time_zone: _,
        jobs,
    } = config;
    if let Some(oidc) = &web.oidc {
        crate::web::oidc::check(oidc)?;
    }
    let vantage = vantage_name(vantage);
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let usual = Thresholds::default();
    Ok(Settings {
        database: database_path(database)?,
        sender: Sender { vantage: vantage.clone(), page },
        vantage: Vantage { site: Site(site), name: vantage },
        exclude,
        windows,
        rates: Rates {
            total: rate,
            per_host: host_rate,
            per_network: network_rate,
            tempo: match tempo {
                config::Tempo::Fixed => Tempo::Steady,
                config::Tempo::Auto(first) => Tempo::From(first),
            },
        },
        control_systems,
        discover,
        ports,
        io: match io {
            IoChoice::Auto => Choice::Auto,
            IoChoice::Connect => Choice::Connect,
            IoChoice::Raw => Choice::Raw,
            IoChoice::Xdp => Choice::Xdp,
        },
        interface,
        assume_alive,
        reverse_dns,
        services,
        limits: Limits {
            per_asset: connections_per_asset,
            at_once: concurrency,
            time: time_limit,
            bytes: read_limit,
            ..Limits::default()
        },
        download: match download {
            DownloadChoice::No => None,
            DownloadChoice::Lists => Some(download::Extent::Lists),
            DownloadChoice::ListsAndResponses => Some(download::Extent::ListsAndResponses),
        },
        certificate_files,
        password_files,
        trusted: Trusted { system: system_roots, roots: root_files, lists: list_files },
        snmp_public,
        tls: match tls {
            TlsChoice::Certificates => Extent::Certificates,
            TlsChoice::Versions => Extent::Versions,
            TlsChoice::Thorough => Extent::Thorough,
        },
        except: match snmp_public {
            true => Vec::new(),
            false => catalog::ON_REQUEST.map(str::to_owned).to_vec(),
        },
        policy: Policy {
            thresholds: Thresholds {
                expiry_warning: Remaining {
                    parts: renew_after.1.saturating_sub(renew_after.0),
                    of: renew_after.1,
                    cap: seconds(expiring_warning),
                },
                expiry_critical: Remaining {
                    cap: seconds(expiring_critical),
                    ..usual.expiry_critical
                },
                ..usual
            },
            // The configuration allows no offset that is not one.
            offset: Offset::from_seconds(register_offset).unwrap_or(Offset::UTC),
            network: Network {
                dhcp_servers: approved("network.dhcp_servers", &dhcp_servers)?,
                routers: approved("network.routers", &routers)?,
                resolvers: approved("network.resolvers", &resolvers)?,
                time_servers: approved("network.time_servers", &time_servers)?,
                cleartext: cleartext.into_iter().collect(),
            },
            anchors: Arc::default(),
            routes: routes.iter().map(route).collect(),
        },
        routes,
        capture_memory: watch_memory,
        readers: watch_readers,
        conclude: watch_conclude,
        ask: watch_ask,
        ask_targets: watch_targets,
        rule: if four_eyes { Rule::FourEyes } else { Rule::OnePerson },
        actor: Actor::program(),
        web,
        jobs,
        keep: Ages { observations, past, findings, scans, events },
        vacuum_windows,
        jobs_at_once,
        own_networks: own_networks.iter().map(|text| range(text)).collect::<Result<_>>()?,
    })
}
