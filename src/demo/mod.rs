//! `daicho demo`: a simulated organisation, so that a newcomer sees within a minute what there is to
//! see.
//!
//! Two sites are swept and listened to for three months of simulated time. What the scans would
//! have seen goes the way of everything that is seen: through the writer, identity, the registers
//! and the rules, to the outbox. Nothing is sent. The same seed makes the same organisation.

mod certificate;
mod device;
mod models;
mod plan;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use config::{Config, Layers};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use inventory::{
    approval::{Identities, Matter, Proposal, Terms, Verdict},
    asset::{Asset, AssetId},
    audit::Actor,
    register::{self, DeviceEntry, Entry, IssuerEntry, SoftwareEntry},
    run::{NewRun, RunEnd},
    store::{OpenMode, RegisterSource, Rule, Store, Writer},
    user::Role,
};
use model::{
    AddressRange, Coverage, Gap, Method, RunResult, ScanId, ScanRecord, Severity, Site, Timestamp,
    Vantage,
};
use serde_json::json;
use zeroize::Zeroizing;

use self::{
    certificate::Authority,
    device::{Device, Look, draw},
    models::{Habit, MODELS, PEOPLE, PLACES, SITES},
    plan::{Stand, Zone},
};
use crate::{
    cli::args::{Demo, Format},
    clock,
    compose::{self, Settings},
    report::{hex, print, print_json},
    tell,
    web::password,
};

/// So many days there are; fewer are the last of them.
const DAYS: u64 = 90;

/// The days on which people do something.
const DEEDS: [u64; 9] = [3, 30, 40, 45, 50, 60, 70, 75, 80];

const DAY: i64 = 86_400;

/// The files that are made beside the database.
struct Beside {
    configuration: PathBuf,
    root: PathBuf,
    alerts: PathBuf,
}

/// Fills a new database.
pub(crate) async fn run(settings: &Settings, arguments: &Demo, format: Format) -> Result<()> {
    let database = std::path::absolute(&settings.database)?;
    let begun = std::time::Instant::now();
    fill(&database, arguments, clock::now()).await?;
    let password = give_user(&database).await?;
    let beside = beside(&database);
    let seconds = begun.elapsed().as_secs_f32();
    if format == Format::Json {
        return print_json(&json!({
            "database": database,
            "configuration": beside.configuration,
            "days": arguments.days,
            "page": format!("https://{}/", models::PAGE),
            "user": USER,
            "password": *password,
        }));
    }
    let daicho = format!("daicho --config {}", beside.configuration.display());
    tell::line(&format!(
        "{} days of two sites that do not exist, in {seconds:.0} s",
        arguments.days
    ));
    print(&format!(
        "Look at\n  \
         {daicho} assets                       what is there; assets show ID says why\n  \
         {daicho} assets --where 'registration=unregistered'\n  \
         {daicho} findings                     what is wrong\n  \
         {daicho} certs list --expiring 30d    what ends soon\n  \
         {daicho} register list --kind device  what was approved\n  \
         {daicho} decisions                    what people decided; audit list says who\n  \
         {daicho} alert list                   who was told\n  \
         {daicho} jobs                         what ran\n  \
         {daicho} doctor                       the database, and how it grows\n\
         or at the page (its certificate is its own, so that the browser asks)\n  \
         {daicho} serve                        and then https://{}/\n  \
         sign in as {USER} with {}\n\
         and put away what was made with: rm {} {} {}*\n",
        models::PAGE,
        *password,
        beside.configuration.display(),
        beside.root.display(),
        database.display(),
    ))
}

/// Who looks at the page.
const USER: &str = "demo";

/// Makes the user, with a password that nobody else knows.
async fn give_user(database: &Path) -> Result<Zeroizing<String>> {
    let mut chance = [0; 9];
    getrandom::fill(&mut chance).context("the system gives no random numbers")?;
    let password = Zeroizing::new(hex(&chance));
    let hash = password::hash(&password)?;
    let store = Store::open(database, OpenMode::ReadWrite).await?;
    store.add_user(USER, Role::Admin, &hash, clock::now()).await?;
    store.close().await;
    Ok(password)
}

fn beside(database: &Path) -> Beside {
    let named = |ending: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    Beside {
        configuration: named(".toml"),
        root: named(".root.pem"),
        alerts: named(".alerts.jsonl"),
    }
}

/// Fills the database that does not exist yet, as of a moment.
pub(crate) async fn fill(
    database: &Path,
    &Demo { seed, days }: &Demo,
    now: Timestamp,
) -> Result<()> {
    if fs::metadata(database).is_ok_and(|file| file.len() > 0) {
        bail!(
            "{} exists: the demonstration fills only a new database; name one with --db",
            database.display()
        );
    }
    let beside = beside(database);
    if let Some(folder) = database.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let authority = Authority::new(now)?;
    let text = models::configuration(database, &beside.root, &beside.alerts);
    let place = beside.configuration.display().to_string();
    fs::write(&beside.root, authority.pem()).with_context(|| format!("cannot write {place}"))?;
    fs::write(&beside.configuration, &text).with_context(|| format!("cannot write {place}"))?;
    let mut layers = Layers::defaults();
    layers.add_file(&place, &text)?;
    let mut settings = compose::settings(Config::from_layers(&layers)?)?;
    settings.policy.anchors = Arc::new(settings.trusted.read()?);
    let store = Store::open(database, OpenMode::ReadWrite).await?;
    let first = DAYS.saturating_sub(days);
    let world = World { store, settings, authority, devices: devices(seed), seed, now, first };
    let bar = bar(days);
    for day in first..DAYS {
        bar.inc(1);
        world.pass(day).await.with_context(|| format!("day {day} of the demonstration"))?;
    }
    bar.finish_and_clear();
    world.store.close().await;
    Ok(())
}

/// How far it is, on a terminal.
fn bar(days: u64) -> ProgressBar {
    // What is no terminal is told nothing by it.
    let bar = ProgressBar::with_draw_target(Some(days), ProgressDrawTarget::stderr());
    // A style that does not parse is a mistake of ours that only looks bad.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} day {pos} of {len}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Every device of the organisation.
fn devices(seed: u64) -> Vec<Device> {
    let mut all = Vec::new();
    for site in 0..SITES.len() {
        let mut place = 0;
        let (mut counted, mut all_of) = (Vec::new(), Vec::new());
        for model in MODELS {
            let (zone, many) =
                (Zone::of(model), model.counts.get(site).copied().unwrap_or_default());
            all_of.extend(std::iter::repeat_n(zone, many as usize));
        }
        for model in MODELS {
            let zone = Zone::of(model);
            let of = all_of.iter().filter(|one| **one == zone).count();
            for number in 1..=model.counts.get(site).copied().unwrap_or_default() {
                place += 1;
                let at = place + 100_000 * site as u64;
                let index = counted.iter().filter(|one| **one == zone).count();
                counted.push(zone);
                let stand = Stand { zone, index: index as u32, of: of as u32 };
                all.push(Device { model, site, number, place: at, seed, stand });
            }
        }
    }
    all
}

struct World {
    store: Store,
    settings: Settings,
    authority: Authority,
    devices: Vec<Device>,
    seed: u64,
    now: Timestamp,
    /// The first of the days.
    first: u64,
}

/// What a scan does.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Sweep,
    Watch,
}

impl World {
    /// What happens on a day: the sweeps of the night, what is heard, and what people do.
    async fn pass(&self, day: u64) -> Result<()> {
        let ago = i64::try_from(DAYS - 1 - day)? * DAY;
        let night = self.now.plus_seconds(-ago - 6 * 3_600);
        self.scan(day, 0, Kind::Sweep, night).await?;
        if day.is_multiple_of(2) {
            self.scan(day, 1, Kind::Sweep, night.plus_seconds(3_600)).await?;
        }
        if day % 3 == 1 {
            self.scan(day, 0, Kind::Watch, night.plus_seconds(2 * 3_600)).await?;
            self.scan(day, 1, Kind::Watch, night.plus_seconds(2 * 3_600)).await?;
        }
        for deed in
            DEEDS.into_iter().filter(|deed| *deed == day || *deed < day && day == self.first)
        {
            self.decide(deed, night.plus_seconds(3 * 3_600)).await?;
        }
        // One look for all that the day brought: what is told of it is told in the morning.
        let morning = night.plus_seconds(4 * 3_600);
        self.store.review_and_list(morning, &self.settings.policy).await?;
        self.deliver(morning.plus_seconds(3_600)).await
    }

    async fn scan(&self, day: u64, site: usize, kind: Kind, at: Timestamp) -> Result<()> {
        let Some(name) = SITES.get(site) else { return Ok(()) };
        let vantage = Vantage { site: Site((*name).to_owned()), name: "sensor-1".to_owned() };
        let look = Look { day, at, vantage: &vantage };
        // The router of a part of the network is down now and then.
        let has_gap = kind == Kind::Sweep && draw(self.seed, 77, day).is_multiple_of(9);
        let (first, last, target) = match site {
            0 => ([198, 18, 0, 0], [198, 18, 7, 255], "198.18.0.0/21"),
            _ => ([198, 19, 0, 0], [198, 19, 3, 255], "198.19.0.0/22"),
        };
        let (lost, words) = (
            (Ipv4Addr::from([198, 18, 4, 0]), Ipv4Addr::from([198, 18, 4, 63])),
            "no route to it: network is unreachable",
        );
        let mut seen = Vec::new();
        for device in self.devices.iter().filter(|one| one.site == site && one.is_there(day)) {
            let address = device.address(day);
            match kind {
                Kind::Sweep if has_gap && (lost.0..=lost.1).contains(&address) => {}
                Kind::Sweep => seen.extend(device.answers(look, &self.authority)?),
                Kind::Watch
                    if device.model.habit == Habit::Rotating
                        || draw(self.seed, device.place, day).is_multiple_of(3) =>
                {
                    seen.extend(device.tells(look));
                }
                Kind::Watch => {}
            }
        }
        let (job, command, io, targets) = match kind {
            Kind::Sweep => (["nightly", "plant"][site], "sweep", "raw", target),
            Kind::Watch => ("mirror", "watch", "capture", "eth1"),
        };
        let run = NewRun {
            job: job.to_owned(),
            kind: command.to_owned(),
            site: vantage.site.clone(),
            due: (kind == Kind::Sweep).then_some(at),
            attempt: 1,
            missed: 0,
            started_at: at,
        };
        let run = self.store.begin_run(&run, None).await?;
        let scan = self.store.begin_scan(&vantage, at, io, &[targets.to_owned()], command).await?;
        let replies = seen.len() as u64;
        let (sink, writer) = Writer::start(&self.store, scan)?;
        for observation in seen {
            sink.send(observation).await?;
        }
        drop(sink);
        writer.finish().await?;
        let ended_at = at.plus_seconds(1_200);
        let range = |first: [u8; 4], last: [u8; 4]| {
            AddressRange::new(IpAddr::from(first), IpAddr::from(last)).context("a range")
        };
        let gaps = match has_gap && site == 0 {
            true => vec![Gap { target: "198.18.4.0/26".to_owned(), reason: words.to_owned() }],
            false => Vec::new(),
        };
        let coverage = match kind {
            Kind::Sweep => vec![Coverage {
                range: range(first, last)?,
                methods: vec![Method::Arp, Method::Echo, Method::TcpSyn],
                tcp: "1-10000".parse().map_err(|_| anyhow::anyhow!("ports"))?,
                udp: "".parse().unwrap_or_default(),
            }],
            Kind::Watch => Vec::new(),
        };
        let record = ScanRecord {
            vantage: vantage.clone(),
            started_at: at,
            ended_at: Some(ended_at),
            io: io.to_owned(),
            probes_sent: if kind == Kind::Sweep { replies * 40 } else { 0 },
            replies,
            drops: 0,
            complete: gaps.is_empty(),
            gaps,
            coverage,
        };
        self.store.finish_scan(scan, &record).await?;
        self.store.digest(scan, ended_at).await?;
        self.store.end_run(run, &run_end(&record, scan, draw(self.seed, 78, day))).await?;
        Ok(())
    }

    /// What people do on some days.
    async fn decide(&self, day: u64, at: Timestamp) -> Result<()> {
        let acting = |who: usize| {
            let name = PEOPLE.get(who).map_or("", |person| person.0).to_owned();
            self.store.clone().acting(Actor { name, account: None })
        };
        for &(when, who, name, verdict, reason) in models::VERDICTS {
            if when == day {
                self.judge(&acting(who), name, verdict, reason, at).await?;
            }
        }
        match day {
            3 => {
                import::<DeviceEntry>(&acting(1), "devices.csv", &self.register(day), at).await?;
                import::<SoftwareEntry>(&acting(1), "software.csv", models::SOFTWARE, at).await?;
                import::<IssuerEntry>(&acting(1), "issuers.csv", models::ISSUERS, at).await?;
            }
            45 | 80 => {
                import::<DeviceEntry>(&acting(0), "devices.csv", &self.register(day), at).await?;
            }
            70 => self.accept(&acting(1), at).await?,
            75 => self.join(&acting(1), at).await?,
            _ => {}
        }
        Ok(())
    }

    /// The device register as somebody keeps it: not all of it is right.
    fn register(&self, day: u64) -> String {
        let mut text =
            "管理番号,name,MAC address,IP address,host name,owner,department,location,status\n"
                .to_owned();
        let known = MODELS.iter().take_while(|model| model.name != models::UNKNOWN_FROM).count();
        let known = MODELS.get(..known).unwrap_or_default();
        for device in &self.devices {
            let is_known = known.iter().any(|model| model.name == device.model.name);
            // What came lately is not in it, nor are private telephones.
            let chance = draw(self.seed, device.place, 55) % 200;
            let is_forgotten = chance < if day > 3 { 3 } else { 12 };
            let (comes, goes) = device.time();
            if !is_known || is_forgotten || comes > day || device.model.habit == Habit::Rotating {
                continue;
            }
            let (owner, department) = PEOPLE[device.place as usize % PEOPLE.len()];
            // Some are written off too early, and some that are gone not yet.
            let status = match chance {
                _ if goes.saturating_add(5) < day => "retired",
                198.. => "retired",
                _ => "approved",
            };
            text.push_str(&format!(
                "D-{:06},{},{},,{}.demo.example,{owner},{department},{},{status}\n",
                device.place,
                device.name(),
                device.mac(0),
                device.name(),
                PLACES[device.place as usize % PLACES.len()],
            ));
        }
        // Private telephones have a network of their own, in which nobody is asked who he is.
        text.push_str(
            "D-900001,来客・私物端末,,198.18.5.0/24,,鈴木 一郎,情報システム部,,approved\n\
             D-900002,来客・私物端末(工場),,198.19.3.120-198.19.3.219,,鈴木 一郎,情報システム部,,approved\n",
        );
        // One that never came.
        text.push_str(
            "D-999999,受付プリンター,00:80:77:99:99:99,198.18.2.199,,佐藤 花子,総務部,1F 受付,approved\n",
        );
        text
    }

    async fn named(&self, name: &str, at: Timestamp) -> Result<Option<(Asset, Vec<Asset>)>> {
        let assets = self.store.compare(at, &self.settings.policy).await?.assets;
        let found = assets
            .iter()
            .find(|asset| asset.names.iter().any(|known| known.name.starts_with(name)));
        Ok(found.cloned().map(|asset| (asset, assets)))
    }

    async fn judge(
        &self,
        store: &Store,
        name: &str,
        verdict: Verdict,
        reason: &str,
        at: Timestamp,
    ) -> Result<()> {
        let Some((asset, assets)) = self.named(name, at).await? else { return Ok(()) };
        let matter = Matter::Asset {
            asset: asset.id,
            label: name.to_owned(),
            site: asset.site.clone(),
            identifiers: Identities::new(&assets).of(&asset, None),
        };
        let terms =
            Terms { reason: reason.to_owned(), until: None, idle_days: None, exception: false };
        let offset = self.settings.policy.offset;
        store.decide(&[Proposal { matter, verdict, terms }], Rule::OnePerson, at, offset).await?;
        Ok(())
    }

    /// Some findings are lived with for a while.
    async fn accept(&self, store: &Store, at: Timestamp) -> Result<()> {
        let findings = store.findings().await?;
        let open = findings.iter().filter(|stored| {
            stored.finding.state == inventory::finding::FindingState::Open
                && stored.finding.severity != Severity::Info
        });
        for stored in open.step_by(17).take(3) {
            let until = at.plus_seconds(120 * DAY);
            store.accept_finding(stored.id, until, "replaced with the next budget", at).await?;
        }
        Ok(())
    }

    /// Somebody knows that two are one.
    async fn join(&self, store: &Store, at: Timestamp) -> Result<()> {
        let one = self.named("tel-tyo-001", at).await?.map(|found| found.0.id);
        let other = self.named("tel-tyo-002", at).await?.map(|found| found.0.id);
        if let Some((one, other)) = one.zip(other) {
            let (from, into): (AssetId, AssetId) = (one.max(other), one.min(other));
            store.merge(from, into, "one telephone with two network ports", at).await?;
        }
        Ok(())
    }

    /// Messages that are due are taken by the other side, but for the last one.
    async fn deliver(&self, at: Timestamp) -> Result<()> {
        let last_day = at.plus_seconds(DAY) > self.now;
        if let Some(claimed) =
            self.store.claim_message("office", Severity::Info, "demo", 60, at).await?
        {
            match last_day {
                true => drop(
                    self.store
                        .message_not_sent(&claimed, None, "the disk of the other side is full", at)
                        .await?,
                ),
                false => drop(self.store.message_sent(&claimed, "written", at).await?),
            }
        }
        Ok(())
    }
}

fn run_end(record: &ScanRecord, scan: ScanId, chance: u64) -> RunEnd {
    let ended_at = record.ended_at.unwrap_or(record.started_at);
    let (result, detail) = match (record.complete, chance % 40) {
        (_, 0) => (RunResult::Crashed, "its process was ended by signal 9".to_owned()),
        (true, _) => (RunResult::Done, String::new()),
        (false, _) => {
            let gap = record.gaps.first().map(|gap| format!("{}: {}", gap.target, gap.reason));
            (RunResult::Incomplete, gap.unwrap_or_default())
        }
    };
    RunEnd { scan: Some(scan), ..RunEnd::without_scan(ended_at, result, detail) }
}

async fn import<E: Entry>(store: &Store, file: &str, text: &str, at: Timestamp) -> Result<()> {
    let read = register::read::<E>(text.as_bytes())?;
    if let Some(error) = read.errors.first() {
        bail!("{file}: {error}");
    }
    store.replace_register(&read.entries, &RegisterSource::of(file, text.as_bytes()), at).await?;
    Ok(())
}
