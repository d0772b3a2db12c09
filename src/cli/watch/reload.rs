//! Reading the configuration anew while listening goes on (SIGHUP), in the way of the start.
//!
//! All of it or nothing: where a setting is wrong, the old ones stay, and a line says which it is.
//! What was opened with its settings (the database, the memory, the name of the vantage point)
//! keeps them until the next start, which is said too.

use std::sync::Arc;

use super::{super::settings_of, ear::Ears, lock};
use crate::{cli::args::Cli, compose::Settings, tell};

/// Puts new settings in the place of the old ones, if they can be read.
pub(super) fn settings(cli: &Cli, settings: &mut Arc<Settings>, ears: &Ears) {
    let mut new = match settings_of(cli) {
        Ok(new) => new,
        Err(error) => {
            tell::line(&format!(
                "the configuration stays as it was: {}; mend it and send SIGHUP again",
                tell::chain(error.as_ref())
            ));
            return;
        }
    };
    tell::line("the configuration was read anew");
    let asks = lock(&ears.heard).asked.is_some();
    for key in waiting(settings, &new, asks) {
        tell::line(&format!("  {key} is another now, which counts from the next start on"));
    }
    ears.only_of(new.own_networks.clone());
    new.database.clone_from(&settings.database);
    new.vantage = settings.vantage.clone();
    new.capture_memory = settings.capture_memory;
    new.readers = settings.readers;
    new.conclude = settings.conclude;
    // Whether there is somebody who asks was decided at the start; whether it asks is not.
    if asks {
        new.control_systems = settings.control_systems;
    } else {
        new.ask = settings.ask;
    }
    *settings = Arc::new(new);
    if let Some(asked) = &mut lock(&ears.heard).asked {
        asked.renew(settings);
    }
}

/// The settings that differ and cannot be changed under way.
fn waiting(old: &Settings, new: &Settings, asks: bool) -> Vec<&'static str> {
    let differs = [
        ("database", old.database != new.database),
        ("site.name", old.vantage.site != new.vantage.site),
        ("site.vantage", old.vantage.name != new.vantage.name),
        ("watch.memory", old.capture_memory != new.capture_memory),
        ("watch.readers", old.readers != new.readers),
        ("watch.conclude", old.conclude != new.conclude),
        ("watch.ask", !asks && old.ask != new.ask),
        ("sweep.profile", asks && old.control_systems != new.control_systems),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
