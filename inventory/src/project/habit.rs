//! What follows from what an asset was heard to do: its system, and the programs that speak from
//! it. Both are concluded anew from what is kept of it, so that the order in which it was heard
//! does not matter, and both go when what they follow from is forgotten.

use model::{Cpe, FingerprintKind, Timestamp};

use super::{OS_HABITS, choose_system};
use crate::{
    asset::{Asset, Software},
    heard::What,
    opinion,
};

/// The source of a program that a server was told of.
const USER_AGENT: &str = "user-agent";

/// A product with what is known of it.
struct Wanted {
    product: String,
    version: Option<String>,
    cpe: Option<Cpe>,
    seen: (Timestamp, Timestamp),
}

/// Brings the asset's system and its programs up to date with what it was heard to do.
pub(super) fn conclude(asset: &mut Asset) {
    let system: Vec<Wanted> = system(asset).into_iter().collect();
    let changed = put(asset, OS_HABITS, system);
    let programs = opinion::programs(asset).into_iter().map(|program| Wanted {
        product: program.name.to_owned(),
        version: program.version.map(str::to_owned),
        cpe: cpe(program.name),
        seen: program.seen,
    });
    let programs = programs.collect();
    let _ = put(asset, USER_AGENT, programs);
    if changed {
        choose_system(asset);
    }
}

/// The system, unless what its DHCP client calls itself is all that says so: that is kept with
/// its own source.
fn system(asset: &Asset) -> Option<Wanted> {
    let found = opinion::conclude(asset)?;
    let is_own = |o: &opinion::Opinion<'_>| {
        matches!(o.heard.what, What::Fingerprint(FingerprintKind::DhcpVendorClass, _))
    };
    if found.because.iter().all(is_own) {
        return None;
    }
    let first = found.because.iter().map(|opinion| opinion.heard.first_seen).min()?;
    Some(Wanted {
        product: found.system.name().to_owned(),
        version: found.version.map(str::to_owned),
        cpe: None,
        seen: (first, found.last_seen),
    })
}

/// Makes these the current ones of that source. Says whether anything is another now.
fn put(asset: &mut Asset, source: &str, wanted: Vec<Wanted>) -> bool {
    let of_source = |s: &&mut Software| s.source == source;
    let before: Vec<Software> =
        asset.software.iter().filter(|s| s.source == source).cloned().collect();
    for software in asset.software.iter_mut().filter(of_source) {
        software.current = false;
    }
    for Wanted { product, version, cpe, seen: (first_seen, last_seen) } in wanted {
        let same =
            |s: &&mut Software| s.source == source && s.product == product && s.version == version;
        if let Some(known) = asset.software.iter_mut().find(same) {
            known.current = true;
            known.first_seen = known.first_seen.min(first_seen);
            known.last_seen = known.last_seen.max(last_seen);
            continue;
        }
        let source = source.to_owned();
        asset.software.push(Software {
            product,
            version,
            cpe,
            source,
            first_seen,
            last_seen,
            current: true,
        });
    }
    asset.software.sort_by(|a, b| {
        let key = |s: &Software| (s.product.clone(), s.version.clone(), s.source.clone());
        key(a).cmp(&key(b))
    });
    asset.software.iter().filter(|s| s.source == source).ne(before.iter())
}

/// The CPE name without a version: what clients tell of it is its beginning alone.
fn cpe(program: &str) -> Option<Cpe> {
    let (vendor, product) = match program {
        "Chrome" => ("google", "chrome"),
        "Edge" => ("microsoft", "edge"),
        "Firefox" => ("mozilla", "firefox"),
        "Internet Explorer" => ("microsoft", "internet_explorer"),
        "Opera" => ("opera", "opera_browser"),
        "Safari" => ("apple", "safari"),
        "Thunderbird" => ("mozilla", "thunderbird"),
        "Wget" => ("gnu", "wget"),
        "aria2" => ("aria2_project", "aria2"),
        "curl" => ("haxx", "curl"),
        "git" => ("git-scm", "git"),
        "python-requests" => ("python", "requests"),
        _ => return None,
    };
    Some(Cpe::application(vendor, product, None))
}
