//! What happened to an asset, drawn along the time: a lane for each sort of thing. What is drawn
//! stands below it in words.

use inventory::{
    asset::{Asset, EventKind},
    finding::FindingState,
    store::{StoredFinding, Stroke},
};
use model::{Severity, Timestamp};

use crate::web::{language::Language, page::spoken, words::words};

words! {
    /// The texts of the time line.
    Texts {
        title: "Time line", "タイムライン";
        below: "The same stands in the tables below.", "同じ内容は下の表にあります。";
        seen: "Seen", "検出";
        addresses: "Identity", "識別";
        ports: "Ports", "ポート";
        software: "Software", "ソフトウェア";
        certificates: "Certificates", "証明書";
        odd: "Odd", "異常";
        decisions: "Decisions", "決定";
        findings: "Findings", "検出事項";
        filled: "Filled: it appeared; hollow: it went away", "塗りつぶし: 発生、白抜き: 終了";
        opened: "opened", "発生";
        resolved: "resolved", "解決";
    }
}

/// The parts of the time in which what happened is drawn as one mark.
pub(super) const PARTS: u32 = 120;

/// Where the lanes begin and how long they are, in the drawing's own units.
const LEFT: i64 = 110;
const LENGTH: i64 = 870;
const LANE: i64 = 26;

/// Something that happened, perhaps more than once.
pub(super) struct Mark {
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) radius: i64,
    pub(super) look: &'static str,
    pub(super) title: String,
}

pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) y: i64,
    pub(super) marks: Vec<Mark>,
}

/// See the module.
pub(super) struct Timeline {
    pub(super) texts: &'static Texts,
    pub(super) lanes: Vec<Lane>,
    /// Where a day stands.
    pub(super) ticks: Vec<(i64, String)>,
    pub(super) height: i64,
    /// From when to when it was there.
    pub(super) there: (i64, i64),
    pub(super) spoken: String,
}

/// A mark on its way to a lane.
struct Made {
    lane: usize,
    part: u32,
    count: u64,
    look: &'static str,
    /// Below the lane's middle, for what went away.
    is_end: bool,
    title: String,
}

/// The lanes by their place.
const SEEN: usize = 0;
const FINDINGS: usize = 7;

/// In which lane something stands, how it looks, and whether it is the end of something.
const fn lane(kind: EventKind) -> (usize, &'static str, bool) {
    match kind {
        EventKind::AssetFirstSeen => (SEEN, "good", false),
        EventKind::IdentifierAdded | EventKind::AddressMoved => (1, "plain", false),
        EventKind::AddressConflict | EventKind::IdentityAmbiguous => (1, "warn", false),
        EventKind::PortOpened => (2, "plain", false),
        EventKind::PortClosed => (2, "plain", true),
        EventKind::ProductChanged | EventKind::OsChanged => (3, "plain", false),
        EventKind::CertificateReplaced => (4, "plain", false),
        EventKind::AnomalySeen => (5, "warn", false),
        EventKind::Merged
        | EventKind::Split
        | EventKind::FindingAccepted
        | EventKind::FindingReopened
        | EventKind::RegisterImported
        | EventKind::Decided => (6, "good", false),
    }
}

impl Timeline {
    /// Of an asset from when it was first seen until now.
    pub(super) fn of(
        asset: &Asset,
        strokes: &[Stroke],
        findings: &[StoredFinding],
        now: Timestamp,
        language: Language,
    ) -> Self {
        let texts = Texts::of(language);
        let (from, until) = (asset.first_seen, now.max(asset.last_seen));
        let part_of = |at: Timestamp| {
            let all = i128::from(until.0.saturating_sub(from.0).max(1));
            let gone = i128::from(at.0.saturating_sub(from.0)) * i128::from(PARTS) / all;
            u32::try_from(gone.clamp(0, i128::from(PARTS) - 1)).unwrap_or_default()
        };
        let mut made: Vec<Made> = strokes
            .iter()
            .map(|stroke| {
                let (lane, look, is_end) = lane(stroke.kind);
                let title = format!(
                    "{} × {}, {}",
                    stroke.count,
                    language.event(stroke.kind),
                    spoken(stroke.at)
                );
                Made { lane, part: stroke.part, count: stroke.count, look, is_end, title }
            })
            .collect();
        for stored in findings {
            let finding = &stored.finding;
            let look = match finding.severity {
                Severity::Critical => "bad",
                Severity::Warning => "warn",
                Severity::Info => "plain",
            };
            let rule = &finding.key.rule;
            let mut add = |at: Timestamp, is_end, word| {
                let title = format!("{word}: {rule}, {}", spoken(at));
                made.push(Made {
                    lane: FINDINGS,
                    part: part_of(at),
                    count: 1,
                    look,
                    is_end,
                    title,
                });
            };
            add(finding.first_seen, false, texts.opened);
            if let (FindingState::Resolved, Some(at)) = (finding.state, finding.resolved_at) {
                add(at, true, texts.resolved);
            }
        }
        let names = [
            texts.seen,
            texts.addresses,
            texts.ports,
            texts.software,
            texts.certificates,
            texts.odd,
            texts.decisions,
            texts.findings,
        ];
        let mut lanes: Vec<Lane> = Vec::new();
        for (place, name) in names.into_iter().enumerate() {
            let own = made.iter().filter(|one| one.lane == place);
            let y = LANE / 2 + LANE * i64::try_from(lanes.len()).unwrap_or_default();
            let marks: Vec<Mark> = own.map(|one| one.mark(y)).collect();
            if place == SEEN || !marks.is_empty() {
                lanes.push(Lane { name, y, marks });
            }
        }
        let bottom = LANE * i64::try_from(lanes.len()).unwrap_or_default();
        let tick = |number: i64| {
            let span = until.0.saturating_sub(from.0) / 4;
            let at = Timestamp(from.0.saturating_add(span.saturating_mul(number)));
            let day = spoken(at).split(' ').next().unwrap_or_default().to_owned();
            (LEFT + LENGTH * number / 4, day)
        };
        let end = LEFT + x_of(part_of(asset.last_seen));
        Self {
            texts,
            ticks: (0..=4).map(tick).collect(),
            height: bottom + 24,
            there: (LEFT, end),
            spoken: format!(
                "{}: {} – {}. {}",
                texts.title,
                spoken(from),
                spoken(until),
                texts.below
            ),
            lanes,
        }
    }

    /// The line along which the days stand.
    pub(super) fn bottom(&self) -> i64 {
        self.height - 24
    }
}

/// The middle of a part, from where the lanes begin.
fn x_of(part: u32) -> i64 {
    (LENGTH * (2 * i64::from(part) + 1)) / (2 * i64::from(PARTS))
}

impl Made {
    fn mark(&self, y: i64) -> Mark {
        let look = match (self.look, self.is_end) {
            ("bad", false) => "mark bad",
            ("bad", true) => "mark bad hollow",
            ("warn", false) => "mark warn",
            ("warn", true) => "mark warn hollow",
            ("good", _) => "mark good",
            (_, false) => "mark",
            (_, true) => "mark hollow",
        };
        Mark {
            x: LEFT + x_of(self.part),
            y: if self.is_end { y + 5 } else { y - 3 },
            radius: match self.count {
                ..2 => 4,
                2..10 => 5,
                _ => 6,
            },
            look,
            title: self.title.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use inventory::{
        asset::AssetId,
        finding::{Finding, FindingKey},
    };
    use model::Site;

    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn asset(last: i64) -> Asset {
        Asset {
            id: AssetId(1),
            site: Site("plant".into()),
            first_seen: Timestamp(0),
            last_seen: Timestamp(last),
            identity_uncertain: false,
            identifiers: Vec::new(),
            names: Vec::new(),
            alive_by: Vec::new(),
            services: Vec::new(),
            software: Vec::new(),
            os: None,
            deployments: Vec::new(),
            anomalies: Vec::new(),
            heard: Vec::new(),
        }
    }

    fn stroke(kind: EventKind, part: u32, count: u64) -> Stroke {
        Stroke { kind, part, count, at: Timestamp(0) }
    }

    #[test]
    fn each_thing_stands_in_its_lane_at_its_time() {
        let strokes = [
            stroke(EventKind::AssetFirstSeen, 0, 1),
            stroke(EventKind::PortOpened, 60, 3),
            stroke(EventKind::PortClosed, 119, 1),
        ];
        let finding = Finding {
            key: FindingKey { rule: "device.missing".into(), subject: "asset:1".into() },
            asset: Some(AssetId(1)),
            severity: Severity::Critical,
            title: String::new(),
            detail: String::new(),
            state: FindingState::Resolved,
            first_seen: Timestamp(60 * DAY),
            last_seen: Timestamp(90 * DAY),
            resolved_at: Some(Timestamp(120 * DAY)),
            accepted: None,
        };
        let findings = [StoredFinding { id: 1, finding }];
        let now = Timestamp(120 * DAY);
        let line = Timeline::of(&asset(30 * DAY), &strokes, &findings, now, Language::English);
        let names: Vec<&str> = line.lanes.iter().map(|lane| lane.name).collect();
        // A lane with nothing in it is not drawn.
        assert_eq!(names, ["Seen", "Ports", "Findings"]);
        let [opened, closed] = &line.lanes[1].marks[..] else { panic!("two marks") };
        assert_eq!((opened.x, closed.x), (LEFT + 438, LEFT + 866));
        assert!(opened.y < closed.y && closed.look == "mark hollow" && opened.radius == 5);
        let [opened, resolved] = &line.lanes[2].marks[..] else { panic!("two marks") };
        assert_eq!((opened.x, resolved.x), (LEFT + 438, LEFT + 866));
        assert_eq!(resolved.look, "mark bad hollow");
        assert_eq!(line.there, (LEFT, LEFT + 221));
        assert_eq!(line.ticks.first().map(|(_, day)| day.as_str()), Some("1970-01-01"));
    }

    #[test]
    fn an_asset_of_one_moment_has_a_line_as_well() {
        let line = Timeline::of(&asset(0), &[], &[], Timestamp(0), Language::Japanese);
        assert!(line.lanes.len() == 1 && line.there.0 <= line.there.1);
    }
}
