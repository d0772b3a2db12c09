//! What each command that runs for long still needs once it knows what it is to do: the rest is
//! given up before anything of a stranger is read.

use std::{
    collections::BTreeSet,
    iter,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use config::{
    JobKind,
    route::{Destination, Secret, WebhookUrl},
    web::Secrecy,
};
use scanner::net::{
    broker,
    capabilities::may_open_raw_sockets,
    confine::{Capabilities, Fence, Files, Needs, Programs, confine, known},
    select::{Choice, may_be_xdp},
};

use crate::{
    cli::args::{Certs, Cli, Command, Jobs},
    compose::{self, Settings},
    tell,
};

/// What the system has for everybody: names, time zones, certificates, devices and the kernel's
/// own files.
const SYSTEM: &[&str] = &[
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/proc",
    "/sys",
    "/run",
    "/dev",
    "/nix",
    "/var/lib/ca-certificates",
    "/var/lib/sss",
];

/// Where SQLite lays down what has no room in memory, and what every program writes to.
const SCRATCH: &[&str] = &["/dev/null", "/dev/net/tun", "/tmp", "/var/tmp"];

/// What the command needs, for those that run for long or read what strangers sent.
pub(crate) fn needs(cli: &Cli, settings: &Settings) -> Option<Needs> {
    match &cli.command {
        Command::Sweep(sweep) => {
            let lists = sweep.targets.iter().chain(&sweep.exclude);
            Some(network(settings, cli, lists.filter_map(|text| list_of(text)).collect()))
        }
        Command::Watch(watch) => {
            let lists = watch.ask.iter().flatten().chain(&watch.exclude);
            let lists = lists.filter_map(|text| list_of(text));
            Some(network(settings, cli, watch.read.iter().cloned().chain(lists).collect()))
        }
        Command::Certs { command: Certs::Collect(collect) } if !collect.targets.is_empty() => {
            let lists = collect.targets.iter().chain(&collect.exclude);
            let needs = network(settings, cli, lists.filter_map(|text| list_of(text)).collect());
            // The system's own connections are all that it makes.
            Some(Needs { capabilities: Capabilities::Files, ..needs })
        }
        Command::Jobs { command: Some(Jobs::Run { name, .. }) } => {
            let job = settings.jobs.iter().find(|job| job.name == *name)?;
            let mut needs = network(settings, cli, job.paths.clone());
            if !matches!(job.kind, JobKind::Sweep | JobKind::Watch) {
                needs.capabilities = Capabilities::Files;
            }
            // By hand, what all jobs are planned to ask is looked at.
            let all = settings.jobs.iter();
            let lists = all.flat_map(|job| job.targets.iter().chain(&job.config.exclude));
            let lists = lists.filter_map(|text| list_of(text));
            if let Files::Below { write, read } = &mut needs.files {
                read.extend(lists);
                // What web servers' configurations name may be anywhere.
                if job.kind == JobKind::Certificates {
                    read.push(PathBuf::from("/"));
                }
                if let Some(folder) = &job.folder {
                    // It is made where it is not there, and can be named only where it is.
                    let _ = std::fs::create_dir_all(folder);
                    write.push(folder.clone());
                }
            }
            Some(needs)
        }
        Command::Serve => Some(service(settings)),
        _ => None,
    }
}

/// Asks the network or listens to it: no program is begun, and only the database is written.
fn network(settings: &Settings, cli: &Cli, more: Vec<PathBuf>) -> Needs {
    // Their folders, because who renews a file puts another in its place.
    let trusted = settings.trusted.roots.iter().chain(&settings.trusted.lists);
    let trusted = trusted.flat_map(|path| really(path));
    let lists = settings.exclude.iter().chain(&settings.ask_targets);
    // It may be read anew.
    let given = cli.config.iter().flat_map(|path| really(path));
    let configuration = given.into_iter().chain(compose::configuration_folder());
    let variables = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(std::env::var_os);
    let read = SYSTEM
        .iter()
        .map(PathBuf::from)
        .chain(trusted)
        .chain(configuration)
        .chain(variables.flat_map(|path| really(Path::new(&path))))
        .chain(lists.filter_map(|text| list_of(text)))
        .chain(more)
        .collect();
    let capabilities = Capabilities::Network;
    let files = Files::Below { write: written(settings).collect(), read };
    Needs { capabilities, files, programs: Programs::None }
}

/// The service begins the runs, which need other files each, and confine themselves; it writes the
/// database and the files of routes. Where a route is a program nobody here knows what that needs.
fn service(settings: &Settings) -> Needs {
    let is_program = |destination: &Destination| matches!(destination, Destination::Command(_));
    let alerts = settings.routes.iter().filter_map(|route| match &route.destination {
        Destination::File(path) => Some(folder_of(path)),
        _ => None,
    });
    let folders = settings.jobs.iter().filter_map(|job| job.folder.clone()).inspect(|folder| {
        // It can be named only where it is; why it cannot be made is said by the run.
        let _ = std::fs::create_dir_all(folder);
    });
    let files = match settings.routes.iter().any(|route| is_program(&route.destination)) {
        true => Files::Any,
        false => Files::Below {
            write: written(settings).chain(alerts).chain(folders).collect(),
            read: vec![PathBuf::from("/")],
        },
    };
    Needs { capabilities: Capabilities::HandDown, files, programs: Programs::Any }
}

/// The web page: neither capabilities nor programs, and of files the database, what the system has
/// for everybody, and what the configuration names. Routes that are programs so cannot be tried
/// from the page.
pub(crate) fn web(cli: &Cli, settings: &Settings) -> Needs {
    let mut read: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    let mut write: Vec<PathBuf> = written(settings).collect();
    read.extend(cli.config.iter().flat_map(|path| really(path)));
    read.extend(compose::configuration_folder());
    let trusted = settings.trusted.roots.iter().chain(&settings.trusted.lists);
    read.extend(trusted.flat_map(|path| really(path)));
    if let Secrecy::Files { certificate, key } = &settings.web.secrecy {
        // Their folders, because who renews them puts others in their place.
        read.extend([certificate, key].into_iter().flat_map(|path| really(path)));
    }
    if let Some(oidc) = &settings.web.oidc {
        read.extend(oidc.secret.iter().flat_map(file_of));
        read.extend(oidc.roots.clone());
    }
    for route in &settings.routes {
        read.extend(route.template.clone());
        match &route.destination {
            Destination::Email(to) => {
                read.extend(to.password.iter().flat_map(file_of));
                read.extend(to.roots.clone());
            }
            Destination::Webhook(to) => {
                if let WebhookUrl::Secret(url) = &to.url {
                    read.extend(file_of(url));
                }
                read.extend(to.token.iter().chain(&to.signing).flat_map(file_of));
                read.extend(to.roots.clone());
            }
            Destination::Syslog(to) => read.extend(to.roots.clone()),
            Destination::File(path) => write.push(folder_of(path)),
            Destination::Command(_) => {}
        }
    }
    let files = Files::Below { write, read };
    Needs { capabilities: Capabilities::None, files, programs: Programs::None }
}

fn file_of(secret: &Secret) -> Vec<PathBuf> {
    match secret {
        Secret::File(path) => really(path).collect(),
        Secret::Variable(_) => Vec::new(),
    }
}

/// What has to be readable for a path to be, also once another file was put in its place: the path
/// if it is a folder, with what the links in it lead to; its folder, and that of where it leads to.
fn really(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let real = std::fs::canonicalize(path).ok();
    let own = path.is_dir().then(|| path.to_owned());
    let linked = linked(path);
    let folder = (!path.is_dir()).then(|| folder_of(path));
    let led_to = real.map(|real| if real.is_dir() { real } else { folder_of(&real) });
    own.into_iter().chain(linked).chain(folder).chain(led_to)
}

/// What the links in a folder lead to: it is of no use to read the folder without them. Not what
/// else is beside that, which may be everything.
fn linked(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let links = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|it| it.is_symlink()));
    let real = links.filter_map(|link| std::fs::canonicalize(link.path()).ok());
    // Often by two names, of which one is a number.
    BTreeSet::from_iter(real.filter(|path| path.is_file())).into_iter().collect()
}

fn written(settings: &Settings) -> impl Iterator<Item = PathBuf> {
    let folder = folder_of(&settings.database);
    // It is made where it is not there, and can be named only where it is.
    let _ = std::fs::create_dir_all(&folder);
    // Where it really is, should its name only lead there.
    let real = std::fs::canonicalize(&settings.database).ok().map(|path| folder_of(&path));
    let scratch = ["SQLITE_TMPDIR", "TMPDIR"].into_iter().filter_map(std::env::var_os);
    let scratch = SCRATCH.iter().map(PathBuf::from).chain(scratch.map(PathBuf::from));
    scratch.chain(iter::once(folder)).chain(real)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => folder.to_owned(),
        None => PathBuf::from("."),
    }
}

/// The list that a target names: `@FILE`.
fn list_of(target: &str) -> Option<PathBuf> {
    target.strip_prefix('@').map(PathBuf::from)
}

/// How a command comes to raw sockets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum RawSockets {
    /// It needs none.
    None,
    /// Somebody else opens them: whoever looks at what they bring has no capability.
    Lent,
    /// It opens them, because it may need more of the kernel besides.
    Own,
}

fn raw_sockets(cli: &Cli, settings: &Settings) -> Result<RawSockets> {
    let of_sweep = |settings: &Settings| match settings.io {
        Choice::Connect => RawSockets::None,
        choice if may_be_xdp(choice, settings.rates.total) => RawSockets::Own,
        Choice::Auto | Choice::Raw | Choice::Xdp => RawSockets::Lent,
    };
    Ok(match &cli.command {
        Command::Sweep(_) => of_sweep(settings),
        Command::Watch(watch) if watch.interface.is_some() => RawSockets::Lent,
        Command::Jobs { command: Some(Jobs::Run { name, .. }) } => {
            let job = settings.jobs.iter().find(|job| job.name == *name);
            match job.map(|job| (job.kind, job)) {
                Some((JobKind::Sweep, job)) => of_sweep(&compose::settings(job.config.clone())?),
                Some((JobKind::Watch, _)) => RawSockets::Lent,
                _ => RawSockets::None,
            }
        }
        _ => RawSockets::None,
    })
}

/// Gives up what the command does not need. Call it while there is one thread.
pub(crate) fn apply(cli: &Cli, settings: &Settings) -> Result<()> {
    let Some(mut needs) = needs(cli, settings) else { return Ok(()) };
    if needs.capabilities == Capabilities::Network {
        let sockets = raw_sockets(cli, settings)?;
        let begun = match sockets {
            // Who may open none is told so where one is wanted.
            RawSockets::Lent if may_open_raw_sockets() => broker::begin(),
            RawSockets::Lent | RawSockets::None | RawSockets::Own => Ok(()),
        };
        match begun {
            Ok(()) if sockets == RawSockets::Own => {}
            Ok(()) => needs.capabilities = Capabilities::Files,
            Err(error) => tell::line(&format!(
                "warning: no process could be begun that opens raw sockets, so this one keeps the \
                 right to: {error}"
            )),
        }
    }
    confine(&needs)?;
    Ok(())
}

/// Refuses a configuration that would need files which the service gave up at its start.
pub(crate) fn check_reload(old: &Settings, new: &Settings) -> Result<()> {
    let written = |settings: &Settings| match service(settings).files {
        Files::Any => None,
        Files::Below { write, .. } => Some(write),
    };
    let Some(before) = written(old).filter(|_| known().files != Fence::Missing) else {
        return Ok(());
    };
    let Some(after) = written(new) else {
        bail!("a route that is a program needs a restart: the service may begin no unknown ones")
    };
    match after.iter().find(|path| !before.iter().any(|known| path.starts_with(known))) {
        Some(path) => bail!("to write below {} needs a restart", path.display()),
        None => Ok(()),
    }
}

/// What the kernel here knows of it, for `doctor`: whether all, and in words.
pub(crate) fn told() -> (bool, String) {
    let fences = known();
    let word = |fence: Fence| match fence {
        Fence::Stands => "yes",
        Fence::InPart => "in part (an older kernel)",
        Fence::Missing => "no (the kernel does not know it)",
    };
    let all = fences.files == Fence::Stands && fences.calls == Fence::Stands;
    let text = format!(
        "sweep, watch, serve, web and jobs give up what they do not need: capabilities yes; files \
         (Landlock) {}; calls (seccomp) {}",
        word(fences.files),
        word(fences.calls)
    );
    (all, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_a_folder_of_roots_opens_the_file_it_leads_to_and_nothing_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let (roots, other) = (home.join("roots"), home.join("other"));
        std::fs::create_dir(&roots).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("ca.pem"), "").unwrap();
        std::os::unix::fs::symlink(other.join("ca.pem"), roots.join("one.pem")).unwrap();
        std::os::unix::fs::symlink("/", roots.join("all")).unwrap();
        let read = BTreeSet::from_iter(really(&roots));
        assert_eq!(read, BTreeSet::from([roots, other.join("ca.pem")]));
    }
}
