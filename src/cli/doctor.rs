//! `daicho doctor`: what works here and what does not, before the first sweep.

use std::{fs, path::Path};

use anyhow::Result;
use inventory::{
    outbox::MessageState,
    store::{Dangling, OpenMode, PageProcess, Store, StoreError},
    vendor,
};
use scanner::net::{
    capabilities,
    interfaces::{Interface, interfaces},
    select::{self, Wanted},
};
use serde_json::{Value, json};

use crate::{
    cli::{args::Format, forecast},
    compose::Settings,
    confine,
    notify::Courier,
    report::{count, print, print_json, table::Table},
    tell,
    web::oidc::Oidc,
};

/// One thing that was looked at.
pub(crate) struct Check {
    pub(crate) what: &'static str,
    pub(crate) state: State,
    pub(crate) detail: String,
}

impl Check {
    pub(crate) fn json(&self) -> Value {
        json!({"what": self.what, "state": self.state.as_str(), "detail": self.detail})
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum State {
    Works,
    /// Works, but less well than it could.
    Limited,
    Fails,
}

impl State {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Works => "ok",
            Self::Limited => "limited",
            Self::Fails => "fails",
        }
    }
}

pub(crate) async fn run(settings: &Settings, format: Format) -> Result<()> {
    let all = interfaces();
    let mut checks = vec![privileges(), confinement(), tier(settings), descriptors()];
    checks.extend(common(settings).await);
    let interfaces = match all {
        Ok(interfaces) => interfaces,
        Err(error) => {
            let detail = tell::chain(&error);
            checks.push(Check { what: "interfaces", state: State::Fails, detail });
            Vec::new()
        }
    };
    checks.push(Check {
        what: "vendors",
        state: State::Works,
        detail: format!(
            "IEEE registry of {} (oui-data {})",
            vendor::DATA_DATE,
            vendor::DATA_VERSION
        ),
    });
    match format {
        Format::Json => {
            let list: Vec<Value> = checks.iter().map(Check::json).collect();
            let interfaces: Vec<Value> = interfaces.iter().map(interface_json).collect();
            print_json(&json!({"checks": list, "interfaces": interfaces}))
        }
        Format::Text => {
            let mut table = Table::new(&["check", "state", "detail"]);
            for check in &checks {
                // A detail of several lines gets a row for each of them.
                let mut lines = check.detail.lines();
                table.row([check.what, check.state.as_str(), lines.next().unwrap_or_default()]);
                lines.for_each(|line| table.row(["", "", line]));
            }
            let mut links = Table::new(&["interface", "kind", "state", "mac", "addresses"]);
            for interface in &interfaces {
                links.row([
                    interface.name.clone(),
                    interface.kind.to_string(),
                    link_state(interface).to_owned(),
                    interface.mac.map_or_else(String::new, |mac| mac.to_string()),
                    addresses(interface).join(" "),
                ]);
            }
            print(&format!("{}\n{}", table.render(), links.render()))
        }
    }
}

/// What does not depend on what a process may do, and so is the same in the page's.
pub(crate) async fn common(settings: &Settings) -> Vec<Check> {
    let mut checks = vec![
        resolver(),
        database_state(&settings.database).await,
        size(&settings.database).await,
        trust(settings),
        routes(settings).await,
        page(settings).await,
    ];
    if let Some(oidc) = &settings.web.oidc {
        checks.push(sign_in(oidc).await);
    }
    checks
}

/// The provider whose people may sign in: the one of all that somebody else has to answer for.
async fn sign_in(setting: &config::oidc::Oidc) -> Check {
    let what = "sign-in";
    let issuer = &setting.issuer;
    let looked = match Oidc::load(setting) {
        Ok(oidc) => oidc.look().await,
        Err(error) => Err(tell::chain(error.as_ref())),
    };
    let beside = match setting.passwords {
        true => "local users sign in by password all the same",
        false => "nobody can sign in (web.oidc.passwords is false)",
    };
    match looked {
        Ok(found) => Check { what, state: State::Works, detail: format!("{issuer}: {found}") },
        Err(why) => {
            let state = if setting.passwords { State::Limited } else { State::Fails };
            Check { what, state, detail: format!("{issuer} cannot be used: {why}\n{beside}") }
        }
    }
}

/// Who is told, and whether that works.
async fn routes(settings: &Settings) -> Check {
    let (state, detail) = match Courier::load(&settings.routes, &settings.sender) {
        Err(error) => (State::Fails, tell::chain(error.as_ref())),
        Ok(_) if settings.routes.is_empty() => (State::Works, "none: nobody is told".to_owned()),
        Ok(courier) => {
            let names = courier.names().collect::<Vec<_>>().join(", ");
            match given_up(&settings.database).await {
                Ok(0) => (State::Works, names),
                Ok(failed) => {
                    let failed = count(failed, "message was", "messages were");
                    let see = "see daicho alert list --state failed";
                    (State::Limited, format!("{names}\n{failed} given up: {see}"))
                }
                Err(StoreError::NoDatabase { .. }) => (State::Works, names),
                Err(error) => (State::Fails, tell::chain(&error)),
            }
        }
    };
    Check { what: "routes", state, detail }
}

/// The page, and how its process does.
async fn page(settings: &Settings) -> Check {
    let what = "page";
    let Some(listen) = settings.web.listen else {
        return Check { what, state: State::Works, detail: "none: web.listen is not set".into() };
    };
    let mut detail = format!(
        "{listen}; its process gives up every capability before it reads anything, for good"
    );
    let mut state = State::Works;
    match page_process(&settings.database).await {
        Ok((users, process)) => {
            if users == 0 {
                state = State::Limited;
                detail.push_str("\nnobody can sign in: daicho user add NAME --role admin");
            }
            if let Some(process) = process {
                detail.push_str(&format!("\nserved since {}", process.started_at));
                if process.restarts > 0 {
                    state = State::Limited;
                    let times = count(process.restarts.into(), "time", "times");
                    detail.push_str(&format!(", restarted {times}: {}", process.trouble));
                }
            }
        }
        Err(StoreError::NoDatabase { .. }) => {}
        Err(error) => (state, detail) = (State::Fails, tell::chain(&error)),
    }
    Check { what, state, detail }
}

/// How many users there are, and the process that the service began last.
async fn page_process(path: &Path) -> Result<(usize, Option<PageProcess>), StoreError> {
    let store = Store::open(path, OpenMode::ReadOnly).await?;
    let found = (store.users().await?.len(), store.page_process().await?);
    store.close().await;
    Ok(found)
}

/// How many messages were given up.
async fn given_up(path: &Path) -> Result<u64, StoreError> {
    let store = Store::open(path, OpenMode::ReadOnly).await?;
    let failed = store.messages(Some(MessageState::Failed)).await?.len() as u64;
    store.close().await;
    Ok(failed)
}

/// Whom certificates are trusted by.
fn trust(settings: &Settings) -> Check {
    let (state, detail) = match settings.trusted.read() {
        Err(error) => (State::Fails, tell::chain(error.as_ref())),
        Ok(anchors) => {
            let (public, own) = (anchors.public.len(), anchors.own.len());
            let state = if public == 0 { State::Limited } else { State::Works };
            let lists = anchors.list_paths.len();
            let roots = format!("{public} public roots, {own} of the organisation's own");
            (
                state,
                format!("{roots}, {}", count(lists as u64, "revocation list", "revocation lists")),
            )
        }
    };
    Check { what: "trust", state, detail }
}

fn privileges() -> Check {
    let (state, detail) = match capabilities::raw_sockets(None) {
        Ok(()) => (State::Works, "raw packets: CAP_NET_RAW is there".to_owned()),
        Err(error) => {
            let hint = select::advice(&error).unwrap_or_default();
            (State::Limited, format!("{}\n{hint}", tell::chain(&error)))
        }
    };
    Check { what: "privileges", state, detail }
}

fn confinement() -> Check {
    let (all, detail) = confine::told();
    Check { what: "confinement", state: if all { State::Works } else { State::Limited }, detail }
}

fn tier(settings: &Settings) -> Check {
    let wanted = Wanted { rate: settings.rates.total, packets: u64::MAX, target: None };
    let chosen = select::choose(settings.io, settings.interface.as_deref(), wanted);
    let (state, detail) = match chosen {
        Ok((.., reason)) => (State::Works, reason),
        Err(error) => (State::Fails, tell::chain(&error)),
    };
    Check { what: "io tier", state, detail }
}

/// Below this many files a connect sweep is slow.
const FEW_FILES: u64 = 512;

fn descriptors() -> Check {
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut numbers = line.unwrap_or_default().split_whitespace();
    let (soft, hard) = (numbers.next().unwrap_or("?"), numbers.next().unwrap_or("?"));
    let few = hard.parse::<u64>().is_ok_and(|hard| hard < FEW_FILES);
    Check {
        what: "open files",
        state: if few { State::Limited } else { State::Works },
        detail: format!("{soft}, raised to {hard} where needed: bounds connections at once"),
    }
}

fn resolver() -> Check {
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .map(str::trim)
        .collect();
    match servers.is_empty() {
        true => Check {
            what: "name service",
            state: State::Limited,
            detail: "no nameserver in /etc/resolv.conf: host names as targets will not resolve"
                .into(),
        },
        false => Check { what: "name service", state: State::Works, detail: servers.join(", ") },
    }
}

async fn database_state(path: &Path) -> Check {
    let (state, detail) = match look(path).await {
        Ok(detail) => detail,
        Err(StoreError::NoDatabase { path }) => {
            (State::Works, format!("{}: none yet, the first sweep makes it", path.display()))
        }
        Err(error) => (State::Fails, tell::chain(&error)),
    };
    Check { what: "database", state, detail }
}

async fn look(path: &Path) -> Result<(State, String), StoreError> {
    let store = Store::open(path, OpenMode::ReadOnly).await?;
    let health = store.health().await?;
    store.close().await;
    let rows: Vec<String> =
        health.rows.iter().map(|(table, rows)| format!("{rows} {table}")).collect();
    let mut detail = format!(
        "{}: schema {}, SQLite {}, {} KiB\n{}",
        path.display(),
        health.schema,
        health.sqlite,
        health.bytes / 1024,
        rows.join(", "),
    );
    for problem in &health.problems {
        detail.push_str(&format!("\ndamaged: {problem}"));
    }
    for dangling in &health.dangling {
        let stays = if dangling.is_mended() { "" } else { " (never changed)" };
        detail.push_str(&format!("\ndangling: {dangling}{stays}"));
    }
    if !health.dangling.is_empty() {
        detail.push_str("\nnothing is lost by that, and copies are made and put back");
    }
    if health.dangling.iter().any(Dangling::is_mended) {
        detail.push_str("; daicho prune --mend removes those rows that may be changed");
    }
    let state = match (health.problems.is_empty(), health.dangling.is_empty()) {
        (true, true) => State::Works,
        (true, false) => State::Limited,
        (false, _) => State::Fails,
    };
    Ok((state, detail))
}

/// How large the database is, and for how long there is room.
async fn size(path: &Path) -> Check {
    let measure = async {
        let store = Store::open(path, OpenMode::ReadOnly).await?;
        let size = store.size().await?;
        store.close().await;
        Ok::<_, StoreError>(forecast::lines(path, &size))
    };
    let (state, detail) = match measure.await {
        Ok((lines, true)) => (State::Limited, lines.join("\n")),
        Ok((lines, false)) => (State::Works, lines.join("\n")),
        Err(StoreError::NoDatabase { .. }) => (State::Works, "nothing yet".to_owned()),
        Err(error) => (State::Fails, tell::chain(&error)),
    };
    Check { what: "size", state, detail }
}

const fn link_state(interface: &Interface) -> &'static str {
    match (interface.up, interface.running) {
        (true, true) => "up",
        (true, false) => "no carrier",
        (false, _) => "down",
    }
}

fn addresses(interface: &Interface) -> Vec<String> {
    interface.addresses.iter().map(|(address, prefix)| format!("{address}/{prefix}")).collect()
}

fn interface_json(interface: &Interface) -> Value {
    json!({
        "name": interface.name,
        "kind": interface.kind.to_string(),
        "state": link_state(interface),
        "mac": interface.mac.map(|mac| mac.to_string()),
        "addresses": addresses(interface),
        "mtu": interface.mtu,
    })
}
