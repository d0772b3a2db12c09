//! Flows of captures that others made, held against what Zeek says of the same captures (the
//! reviewed logs of its own tests), and against what must never be told. The captures are not
//! part of this repository: the tests read them where the variable DAICHO_CORPUS points, and say
//! so where it does not. What differs from Zeek, and why, is in docs/decisions/0008-flows.md.
#![expect(clippy::print_stdout, reason = "the tests print the agreement that they reach")]

mod damage;
mod handshakes;
mod privacy;
mod zeek;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use model::{Observation, Site, Timestamp, Vantage};
use scanner::{
    capture::{Capture, LinkType},
    net::file::{self, FileError},
};

/// The captures, or `None`, said aloud.
fn corpus() -> Option<PathBuf> {
    let root = env::var_os("DAICHO_CORPUS");
    if root.is_none() {
        println!("DAICHO_CORPUS is not set: the captures were not read");
    }
    root.map(|root| {
        let root = PathBuf::from(root);
        // Tests run in their package's folder, the variable is written in the workspace's.
        let root = if root.is_absolute() { root } else { Path::new("..").join(root) };
        root.join("captures")
    })
}

fn capture() -> Capture {
    Capture::new(Vantage { site: Site("corpus".into()), name: "file".into() })
}

/// The frames of a capture.
fn frames(path: &Path) -> Result<Vec<(LinkType, Timestamp, Vec<u8>)>, FileError> {
    let mut all = Vec::new();
    file::frames(path, &mut |link, at, bytes| all.push((link, at, bytes.to_vec())))?;
    Ok(all)
}

/// What is heard of them.
fn listen(capture: &mut Capture, frames: &[(LinkType, Timestamp, Vec<u8>)]) -> Vec<Observation> {
    let mut all = Vec::new();
    for (link, at, bytes) in frames {
        capture.frame_of(*link, *at, bytes, &mut |told| all.push(told));
    }
    let end = frames.last().map_or(Timestamp(0), |(_, at, _)| *at);
    capture.finish(end, &mut |told| all.push(told));
    all
}

/// All captures below a folder, in order.
fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|end| end == "pcap" || end == "pcapng") {
            out.push(path);
        }
    }
    out.sort();
}
