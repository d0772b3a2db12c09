//! Scans: the last ones, and one with where it looked, where it failed to, and how far it is.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use askama::Template;
use axum::{extract::State, response::Response};
use inventory::store::{ScanProgress, StoredScan};
use model::{Coverage, ScanId, Timestamp};
use serde_json::{Value, json};

use super::{
    Shared,
    asked::{Path, Question},
    language::Language,
    live::{self, Said},
    page::{Moment, Page, Turning, before, html, shown},
    routes::{Route, get},
    trouble::Trouble,
    visit::{Fields, Viewer},
    words::{Words, words},
};
use crate::{
    cli::progress::spoken,
    clock,
    report::scan::{ScanState, state},
};

words! {
    /// The texts of scans.
    Texts {
        began: "Began", "開始";
        command: "Kind", "種類";
        site: "Site", "拠点";
        targets: "Targets", "対象";
        state: "State", "状態";
        took: "Took", "所要時間";
        sent: "Sent", "送信数";
        replies: "Answers", "応答数";
        drops: "Lost", "欠落数";
        gaps: "Gaps", "未調査";
        io: "Sent by", "送信方式";
        running: "running", "実行中";
        complete: "complete", "完了";
        incomplete: "incomplete", "未完了";
        cut_off: "cut off", "中断";
        progress: "Progress", "進行状況";
        phase: "Doing", "処理中";
        liveness: "who is there", "存在確認";
        recognition: "who answers for whom", "代理応答の確認";
        ports: "which ports are open", "ポート確認";
        services: "what speaks there", "サービス確認";
        alive: "Answered", "応答したアドレス";
        open: "Open ports", "開いているポート";
        speed: "Packets a second", "毎秒パケット数";
        left: "Time left", "残り時間";
        coverage: "Where it looked", "調査範囲";
        coverage_means: "What is not here was not looked at: silence there means nothing.", "ここにない範囲は調査していません。応答がなくても、存在しないとは言えません。";
        block: "Addresses", "アドレス範囲";
        asked: "Asked", "調査数";
        methods: "How", "方法";
        where_not: "Where not", "未調査の対象";
        why: "Why", "理由";
    }
}

impl Texts {
    /// What a state is called.
    pub(crate) fn state_name(&self, state: &ScanState) -> &'static str {
        match state {
            ScanState::Running => self.running,
            ScanState::Complete => self.complete,
            ScanState::Incomplete => self.incomplete,
            ScanState::CutOff => self.cut_off,
        }
    }

    fn phase_name(&self, phase: &str) -> &'static str {
        match phase {
            "liveness" => self.liveness,
            "recognition" => self.recognition,
            "ports" => self.ports,
            "services" => self.services,
            _ => "",
        }
    }
}

/// A scan in a list.
pub(crate) struct ScanRow {
    pub(crate) id: i64,
    pub(crate) began: Moment,
    pub(crate) command: String,
    pub(crate) site: String,
    pub(crate) targets: String,
    pub(crate) state: ScanState,
    pub(crate) took: String,
    pub(crate) sent: u64,
    pub(crate) replies: u64,
    pub(crate) gaps: u64,
}

pub(super) fn routes() -> Vec<Route> {
    vec![get("/scans", list), get("/scans/{id}", show), get("/scans/{id}/events", events)]
}

fn row(
    scan: &StoredScan,
    progress: Option<&ScanProgress>,
    now: Timestamp,
    language: Language,
) -> ScanRow {
    let record = &scan.record;
    let micros = record.ended_at.unwrap_or(now).0.saturating_sub(record.started_at.0);
    ScanRow {
        id: scan.id.0,
        began: record.started_at.into(),
        command: shown(&language.name(&scan.command)),
        site: shown(&record.vantage.site.0),
        targets: shown(&few(&scan.targets)),
        state: state(scan, progress, now),
        took: language
            .said(&spoken(Duration::from_micros(u64::try_from(micros).unwrap_or_default()))),
        sent: record.probes_sent,
        replies: record.replies,
        gaps: scan.gap_count,
    }
}

/// The first of many, and how many more.
fn few(texts: &[String]) -> String {
    const FEW: usize = 8;
    let first = texts.iter().take(FEW).map(String::as_str).collect::<Vec<_>>().join(" ");
    match texts.len().checked_sub(FEW).filter(|more| *more > 0) {
        Some(more) => format!("{first} +{more}"),
        None => first,
    }
}

/// The last scans.
pub(crate) async fn rows(
    shared: &Shared,
    limit: u32,
    language: Language,
) -> Result<Vec<ScanRow>, Trouble> {
    rows_of(shared, shared.store.scans(limit).await?, language).await
}

async fn rows_of(
    shared: &Shared,
    scans: Vec<StoredScan>,
    language: Language,
) -> Result<Vec<ScanRow>, Trouble> {
    let now = clock::now();
    let mut rows = Vec::new();
    for scan in scans {
        let progress = shared.store.progress_of(&scan).await?;
        rows.push(row(&scan, progress.as_ref(), now, language));
    }
    Ok(rows)
}

#[derive(Template)]
#[template(path = "scans.html")]
struct List {
    page: Page,
    texts: &'static Texts,
    scans: Vec<ScanRow>,
    turning: Turning,
}

/// Scans of a page.
const LEAF: u32 = 50;

async fn list(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Question(asked): Question<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let before = before(&Fields::from(asked));
    let leaf = shared.store.scan_leaf(before, LEAF).await?;
    html(&List {
        turning: Turning::of("/scans", before, leaf.next),
        page: Page::new(&visitor, Words::of(visitor.language).scans),
        texts: Texts::of(visitor.language),
        scans: rows_of(&shared, leaf.rows, visitor.language).await?,
    })
}

/// A block of addresses, and how it was looked at.
struct Block {
    name: String,
    asked: u128,
    methods: String,
    tcp: String,
    udp: String,
    gaps: usize,
}

/// How far it is.
struct Live {
    permille: u32,
    phase: &'static str,
    alive: u64,
    open: u64,
    speed: u32,
    left: String,
}

impl Live {
    fn new(progress: &ScanProgress, language: Language) -> Self {
        let texts = Texts::of(language);
        let left =
            progress.seconds_left.map(|left| language.said(&spoken(Duration::from_secs(left))));
        Self {
            permille: progress.permille,
            phase: texts.phase_name(&progress.phase),
            alive: progress.alive,
            open: progress.open,
            speed: progress.packets_per_second,
            left: left.unwrap_or_default(),
        }
    }

    /// Texts for the elements of the page, by their ids.
    fn values(&self) -> Value {
        let Self { permille, phase, alive, open, speed, left } = self;
        json!({
            "progress": permille.to_string(),
            "phase": phase,
            "alive": alive.to_string(),
            "open": open.to_string(),
            "speed": speed.to_string(),
            "left": left,
        })
    }
}

#[derive(Template)]
#[template(path = "scan.html")]
struct One {
    page: Page,
    texts: &'static Texts,
    scan: ScanRow,
    live: Option<Live>,
    vantage: String,
    io: String,
    drops: u64,
    blocks: Vec<Block>,
    more_blocks: usize,
    gaps: Vec<(String, String)>,
    more_gaps: usize,
}

/// The most rows of a table on a scan's page.
const ROWS: usize = 1_000;

async fn show(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    let scan = shared.store.scan(ScanId(id)).await?;
    let progress = shared.store.progress(scan.id).await?;
    let texts = Texts::of(visitor.language);
    let row = row(&scan, progress.as_ref(), clock::now(), visitor.language);
    let running = progress.filter(|_| row.state == ScanState::Running);
    let record = &scan.record;
    let gaps = record.gaps.iter().map(|gap| gap.target.as_str());
    let mut blocks = blocks(&record.coverage, gaps, visitor.language);
    let more_blocks = blocks.len().saturating_sub(ROWS);
    blocks.truncate(ROWS);
    let gaps = record.gaps.iter().take(ROWS).map(|gap| {
        let said = |text: &str| shown(&visitor.language.said(text));
        (said(&gap.target), said(&gap.reason))
    });
    html(&One {
        page: Page::new(&visitor, format!("{} {id}", Words::of(visitor.language).scans)),
        texts,
        live: running.map(|progress| Live::new(&progress, visitor.language)),
        scan: row,
        vantage: shown(&record.vantage.name),
        io: shown(&record.io),
        drops: record.drops,
        blocks,
        more_blocks,
        gaps: gaps.collect(),
        more_gaps: record.gaps.len().saturating_sub(ROWS),
    })
}

/// What was covered, by blocks as people think of them: an IPv4 /24 or an IPv6 /64. Gaps that name
/// an address are counted where it is.
fn blocks<'a>(
    coverage: &[Coverage],
    gaps: impl Iterator<Item = &'a str>,
    language: Language,
) -> Vec<Block> {
    let mut missed: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for target in gaps {
        if let Some(address) = address_in(target) {
            *missed.entry(first_of_block(address)).or_default() += 1;
        }
    }
    let mut blocks: Vec<(IpAddr, Block)> = Vec::new();
    for covered in coverage {
        let mut first = covered.range.first();
        loop {
            let start = first_of_block(first);
            let (last, next) = end_of_block(start, covered.range.last());
            let asked = model::AddressRange::new(first, last).map_or(0, |range| range.len());
            let methods: Vec<&str> =
                covered.methods.iter().map(|method| language.method(*method)).collect();
            blocks.push((
                start,
                Block {
                    name: if first == last {
                        first.to_string()
                    } else {
                        format!("{first} – {last}")
                    },
                    asked,
                    methods: methods.join(", "),
                    tcp: covered.tcp.to_string(),
                    udp: covered.udp.to_string(),
                    gaps: missed.get(&start).copied().unwrap_or_default(),
                },
            ));
            // More than is shown need not be told apart.
            match next.filter(|_| blocks.len() < 10 * ROWS) {
                Some(next) => first = next,
                None => break,
            }
        }
    }
    blocks.sort_by_key(|(start, _)| *start);
    blocks.into_iter().map(|(_, block)| block).collect()
}

/// The address that a gap is about: `192.0.2.7`, `192.0.2.7:443`, `[2001:db8::1]:443`.
fn address_in(target: &str) -> Option<IpAddr> {
    let address = target.parse::<std::net::SocketAddr>().map(|socket| socket.ip());
    address.ok().or_else(|| target.split(['/', ' ', '-']).next()?.parse().ok())
}

fn first_of_block(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(std::net::Ipv4Addr::from_bits(address.to_bits() & !0xff)),
        IpAddr::V6(address) => {
            IpAddr::V6(std::net::Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
    }
}

/// The last address of the block that is covered, and the first of the next one if that is.
fn end_of_block(start: IpAddr, end: IpAddr) -> (IpAddr, Option<IpAddr>) {
    let (last, next): (IpAddr, Option<IpAddr>) = match start {
        IpAddr::V4(start) => {
            let last = start.to_bits() | 0xff;
            let next = last.checked_add(1).map(|bits| std::net::Ipv4Addr::from_bits(bits).into());
            (std::net::Ipv4Addr::from_bits(last).into(), next)
        }
        IpAddr::V6(start) => {
            let last = start.to_bits() | u128::from(u64::MAX);
            let next = last.checked_add(1).map(|bits| std::net::Ipv6Addr::from_bits(bits).into());
            (std::net::Ipv6Addr::from_bits(last).into(), next)
        }
    };
    (last.min(end), next.filter(|next| *next <= end))
}

/// How far a scan is, as often as it says so, until it is over.
async fn events(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    // One that is not there is said before anything is begun.
    shared.store.scan(ScanId(id)).await?;
    let changes = shared.store.changes().await?;
    let looking = shared.clone();
    Ok(live::stream(&shared, &visitor, changes, move || {
        let shared = looking.clone();
        async move {
            let scan = shared.store.scan(ScanId(id)).await?;
            let progress = shared.store.progress(ScanId(id)).await?;
            Ok(match (state(&scan, progress.as_ref(), clock::now()), progress) {
                (ScanState::Running, Some(progress)) => {
                    Said::Values(Live::new(&progress, visitor.language).values())
                }
                // It has not said anything yet.
                (ScanState::Running, None) => Said::Nothing,
                _ => Said::End,
            })
        }
    }))
}

#[cfg(test)]
mod tests {
    use model::{AddressRange, Method, PortSet};

    use super::*;

    fn covered(first: &str, last: &str) -> Coverage {
        Coverage {
            range: AddressRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap(),
            methods: vec![Method::Arp],
            tcp: PortSet::default(),
            udp: PortSet::default(),
        }
    }

    #[test]
    fn what_was_covered_is_shown_by_blocks_with_their_gaps() {
        let coverage = [covered("192.0.2.250", "192.0.4.3"), covered("2001:db8::1", "2001:db8::9")];
        let gaps = ["192.0.3.7:443", "192.0.3.9", "office.example", "[2001:db8::2]:22"];
        let blocks = blocks(&coverage, gaps.into_iter(), Language::English);
        let told: Vec<(&str, u128, usize)> =
            blocks.iter().map(|block| (block.name.as_str(), block.asked, block.gaps)).collect();
        assert_eq!(
            told,
            [
                ("192.0.2.250 – 192.0.2.255", 6, 0),
                ("192.0.3.0 – 192.0.3.255", 256, 2),
                ("192.0.4.0 – 192.0.4.3", 4, 0),
                ("2001:db8::1 – 2001:db8::9", 9, 1),
            ]
        );
        // The end of all addresses is one, too.
        assert_eq!(
            end_of_block("255.255.255.0".parse().unwrap(), "255.255.255.255".parse().unwrap()).1,
            None
        );
    }
}
