//! From the layers of configuration to the values that each crate is given.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use certs::{Remaining, Thresholds};
use config::{Config, Layers};
use inventory::store::Policy;
use jiff::tz::Offset;

use crate::cli::args::{Cli, Command};

/// Reads the configuration: defaults, file, environment, flags, in this order.
pub(crate) fn configuration(cli: &Cli) -> Result<Config> {
    let mut layers = Layers::defaults();
    if let Some((path, text)) = configuration_file(cli.config.as_deref())? {
        layers.add_file(&path.display().to_string(), &text)?;
    }
    // A variable that is not Unicode can be no setting of ours.
    let variables = env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    });
    layers.add_environment(variables)?;
    if let Some(path) = &cli.db {
        layers.add_flag("--db", "database", &path.to_string_lossy())?;
    }
    if let Command::Sweep(sweep) = &cli.command {
        for (flag, key, value) in sweep.settings() {
            layers.add_flag(flag, key, &value)?;
        }
    }
    Ok(Config::from_layers(&layers)?)
}

/// The file that was asked for, or the first of the usual ones that is there.
fn configuration_file(asked: Option<&Path>) -> Result<Option<(PathBuf, String)>> {
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

/// Where the inventory is kept if nobody says otherwise: a place that does not depend on the
/// folder in which a command happens to be given.
pub(crate) fn database_path(configured: Option<PathBuf>) -> Result<PathBuf> {
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
pub(crate) fn vantage_name(configured: Option<String>) -> String {
    configured.unwrap_or_else(|| {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        match name.trim() {
            "" => "here".to_owned(),
            name => name.to_owned(),
        }
    })
}

/// What the configuration decides about a review.
pub(crate) fn policy(config: &Config) -> Policy {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let default = Thresholds::default();
    let remaining = |of: Remaining, cap| Remaining { cap: seconds(cap), ..of };
    Policy {
        thresholds: Thresholds {
            expiry_warning: remaining(default.expiry_warning, config.expiring_warning),
            expiry_critical: remaining(default.expiry_critical, config.expiring_critical),
            ..default
        },
        // The configuration allows no offset that is not one.
        offset: Offset::from_seconds(config.register_offset).unwrap_or(Offset::UTC),
    }
}
