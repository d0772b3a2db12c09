//! `daicho watch`: listens instead of asking. Here, to captures that somebody made.

use std::cell::RefCell;

use anyhow::Result;
use inventory::store::{OpenMode, Store, Writer};
use model::{ScanRecord, Timestamp};
use scanner::{capture::Capture, net::file};

use crate::{
    cli::{
        args::{self, Format},
        conclude::{Notes, conclude},
    },
    clock,
    compose::Settings,
    tell,
};

pub(crate) async fn run(
    settings: &Settings,
    arguments: &args::Watch,
    format: Format,
) -> Result<()> {
    let vantage = settings.vantage.clone();
    let files: Vec<String> = arguments.read.iter().map(|path| path.display().to_string()).collect();
    let store = Store::open(&settings.database, OpenMode::ReadWrite).await?;
    let scan = store.begin_scan(&vantage, clock::now(), "file", &files, "watch").await?;
    let (sink, writer) = Writer::start(&store, scan)?;
    let mut capture = Capture::new(vantage.clone()).only_ours(settings.own_networks.clone());
    // Two closures hand on: one while a frame is read, one while it is told.
    let failed = RefCell::new(false);
    let mut span: Option<(Timestamp, Timestamp)> = None;
    let mut gaps = Vec::new();
    let mut lost = 0;
    for path in &arguments.read {
        let mut take = |link, at, bytes: &[u8]| {
            capture.frame_of(link, at, bytes, &mut |observation| {
                let handed = tokio::task::block_in_place(|| sink.send_blocking(observation));
                *failed.borrow_mut() |= handed.is_err();
            });
        };
        let report = file::frames(path, &mut take)?;
        span = match (span, report.span) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (known, other) => known.or(other),
        };
        lost += report.drops;
        gaps.extend(report.gaps);
        for (link, frames) in report.other_links {
            let reason =
                format!("{frames} frames of link type {link:?}, which nothing is read from");
            gaps.push(model::Gap { target: path.display().to_string(), reason });
        }
        if *failed.borrow() {
            break;
        }
    }
    drop(sink);
    let written = writer.finish().await?;
    let counts = capture.counts();
    tell::line(&format!(
        "{} frames heard, {} of them broken, {} observations",
        counts.frames, counts.malformed, counts.observations
    ));
    let (started_at, ended_at) = span.unwrap_or_else(|| (clock::now(), clock::now()));
    let record = ScanRecord {
        vantage,
        started_at,
        ended_at: Some(ended_at),
        io: "file".to_owned(),
        probes_sent: 0,
        replies: 0,
        drops: lost + written.dropped,
        complete: gaps.is_empty(),
        gaps,
        // Who only listens has not looked: silence in a capture says nothing.
        coverage: Vec::new(),
    };
    conclude(&store, scan, &record, &Notes::default(), &settings.policy, format).await?;
    store.close().await;
    Ok(())
}
