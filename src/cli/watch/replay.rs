//! Listening to captures that somebody made.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::Result;
use model::Gap;
use scanner::{
    net::file::{self, FileError, FileReport},
    stop::Stop,
};

use super::{Heard, ear::Ear, lock};

/// The name of standard input.
const INPUT: &str = "-";

/// The files in the order of their first frames: what was captured in turns is one capture.
/// Standard input, which says nothing before it is read, comes last.
pub(super) fn in_time_order(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut all: Vec<_> = paths
        .iter()
        .map(|path| {
            let is_input = path.as_path() == Path::new(INPUT);
            (is_input, if is_input { None } else { file::first_time(path) }, path.clone())
        })
        .collect();
    all.sort_by_key(|(is_input, first, _)| (*is_input, *first));
    all.into_iter().map(|(_, _, path)| path).collect()
}

/// Reads the files, one after the other, until it is asked to stop.
pub(super) fn read(
    paths: &[PathBuf],
    ear: &Mutex<Ear>,
    heard: &Mutex<Heard>,
    stop: &Stop,
) -> Result<()> {
    for path in paths {
        if stop.is_requested() || !lock(heard).goes_on() {
            break;
        }
        let report = one(path, ear, heard)?;
        let mut heard = lock(heard);
        heard.lost_before = heard.lost_before.saturating_add(report.drops);
        heard.gaps.extend(report.gaps);
        for (link, frames) in report.other_links {
            let reason =
                format!("{frames} frames of link type {link:?}, which nothing is read from");
            heard.gaps.push(Gap { target: path.display().to_string(), reason });
        }
    }
    Ok(())
}

fn one(path: &Path, ear: &Mutex<Ear>, heard: &Mutex<Heard>) -> Result<FileReport, FileError> {
    let mut take = |link, at, bytes: &[u8]| lock(ear).replay(heard, link, at, bytes);
    match path.as_os_str() == INPUT {
        true => file::frames_of(Path::new("standard input"), io::stdin(), &mut take),
        false => file::frames(path, &mut take),
    }
}
