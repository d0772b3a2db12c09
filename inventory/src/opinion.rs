//! Which system an asset runs, by what it was heard to do: how its TCP begins connections, what its
//! DHCP client asks for, what its programs call themselves. Each is an opinion with a weight;
//! what they come to together is a conclusion with its reasons.
//!
//! Nobody told it, so it yields to everything that is told. Where opinions contradict each other
//! beyond what a strong majority bears, several systems speak from one address (a router that
//! translates addresses, a machine with others inside), and none is named. The table is our own:
//! from what the systems' published sources and standards say and from what was measured; the
//! decision 0024 says of each row from what.

use std::collections::BTreeMap;

use model::{FingerprintKind, NetworkRole, RouterProtocol, Timestamp};

use crate::{
    asset::Asset,
    heard::{Heard, What, system_of_vendor_class},
    project,
};

/// A system, or what several have in common.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum System {
    /// Microsoft's.
    Windows,
    /// Whatever has its kernel.
    Linux,
    /// A Linux.
    Android,
    /// A Linux.
    ChromeOs,
    /// Whatever has Apple's kernel.
    Darwin,
    /// A Darwin.
    MacOs,
    /// A Darwin.
    Ios,
    /// A Darwin.
    IpadOs,
    /// FreeBSD and what is built on it.
    FreeBsd,
    /// OpenBSD.
    OpenBsd,
    /// NetBSD.
    NetBsd,
    /// A small device with the network stack of that name.
    Lwip,
}

impl System {
    const ALL: [Self; 12] = [
        Self::Windows,
        Self::Linux,
        Self::Android,
        Self::ChromeOs,
        Self::Darwin,
        Self::MacOs,
        Self::Ios,
        Self::IpadOs,
        Self::FreeBsd,
        Self::OpenBsd,
        Self::NetBsd,
        Self::Lwip,
    ];

    /// As people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Windows => "Windows",
            Self::Linux => "Linux",
            Self::Android => "Android",
            Self::ChromeOs => "ChromeOS",
            Self::Darwin => "Darwin",
            Self::MacOs => "macOS",
            Self::Ios => "iOS",
            Self::IpadOs => "iPadOS",
            Self::FreeBsd => "FreeBSD",
            Self::OpenBsd => "OpenBSD",
            Self::NetBsd => "NetBSD",
            Self::Lwip => "embedded (lwIP)",
        }
    }

    const fn is_part_of(self) -> Option<Self> {
        match self {
            Self::Android | Self::ChromeOs => Some(Self::Linux),
            Self::MacOs | Self::Ios | Self::IpadOs => Some(Self::Darwin),
            _ => None,
        }
    }

    /// Whether one may be the other said more exactly.
    fn agrees_with(self, other: Self) -> bool {
        self == other || self.is_part_of() == Some(other) || other.is_part_of() == Some(self)
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.name() == name)
    }
}

/// What one thing heard says of the system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opinion<'a> {
    /// Where it comes from.
    pub heard: &'a Heard,
    /// What it says.
    pub system: System,
    /// Its version, where that is said.
    pub version: Option<&'a str>,
    /// How much it counts.
    pub weight: u32,
}

/// How much each kind of opinion counts.
mod weight {
    /// The client of the maker of the system.
    pub(super) const VENDOR_CLASS: u32 = 80;
    /// A program says it, and may say what it likes.
    pub(super) const USER_AGENT: u32 = 60;
    /// The system's own way.
    pub(super) const SYN: u32 = 40;
    /// The same of an answer, which depends on the question, and which somebody before the
    /// asset may have given.
    pub(super) const SYN_ACK: u32 = 30;
    /// An option that one maker asks for.
    pub(super) const DHCP: u32 = 30;
}

/// What the opinions have to come to.
const ENOUGH: u32 = 30;

/// How many times what contradicts it a conclusion must weigh.
const MAJORITY: u32 = 3;

/// What all opinions of an asset come to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conclusion<'a> {
    /// The system.
    pub system: System,
    /// Its version, where all that say one say the same.
    pub version: Option<&'a str>,
    /// Why: the opinions that speak for it, the weightiest first.
    pub because: Vec<Opinion<'a>>,
    /// When the last of them was heard.
    pub last_seen: Timestamp,
}

/// Whether others may speak from the asset's addresses, whom it is not.
fn passes_on(asset: &Asset) -> bool {
    asset.roles().any(|(_, role)| match role {
        NetworkRole::Router(protocol) => protocol != RouterProtocol::PrefixAdvertisement,
        NetworkRole::VirtualRouter { .. } => true,
        _ => false,
    })
}

/// Every opinion of an asset.
#[must_use]
pub fn opinions(asset: &Asset) -> Vec<Opinion<'_>> {
    let passes_on = passes_on(asset);
    asset.heard.iter().filter_map(|heard| opinion(heard, passes_on)).collect()
}

fn opinion(heard: &Heard, passes_on: bool) -> Option<Opinion<'_>> {
    let What::Fingerprint(kind, value) = &heard.what else { return None };
    // Of who passes on only what nobody passes on is its own.
    let is_anybodys = matches!(kind, FingerprintKind::TcpSyn | FingerprintKind::UserAgent);
    if passes_on && is_anybodys {
        return None;
    }
    let (system, version, weight) = match kind {
        FingerprintKind::DhcpVendorClass => {
            let (name, version) = system_of_vendor_class(value)?;
            (System::named(name)?, version, weight::VENDOR_CLASS)
        }
        FingerprintKind::UserAgent => {
            let (system, version) = of_user_agent(value)?;
            (system, version, weight::USER_AGENT)
        }
        FingerprintKind::TcpSyn => (of_signature(value, false)?, None, weight::SYN),
        FingerprintKind::TcpSynAck => (of_signature(value, true)?, None, weight::SYN_ACK),
        FingerprintKind::Dhcp => (of_dhcp(value)?, None, weight::DHCP),
        _ => return None,
    };
    Some(Opinion { heard, system, version, weight })
}

/// What they come to.
#[must_use]
pub fn conclude(asset: &Asset) -> Option<Conclusion<'_>> {
    let mut all = opinions(asset);
    // Of one kind that says the same many times the first counts.
    let mut counted: BTreeMap<(FingerprintKind, System), u32> = BTreeMap::new();
    for opinion in &all {
        if let What::Fingerprint(kind, _) = opinion.heard.what {
            counted.insert((kind, opinion.system), opinion.weight);
        }
    }
    let sum = |is: &dyn Fn(System) -> bool| -> u32 {
        counted.iter().filter(|((_, system), _)| is(*system)).map(|(_, weight)| weight).sum()
    };
    let told = |system: System| counted.keys().any(|(_, other)| *other == system);
    let is_sure = |system: &System| {
        let with = sum(&|other| other.agrees_with(*system));
        let against = sum(&|other| !other.agrees_with(*system));
        let own = told(*system)
            || System::ALL.iter().any(|s| s.is_part_of() == Some(*system) && told(*s));
        own && with >= ENOUGH && with >= against.saturating_mul(MAJORITY)
    };
    // The more exact word wins, then the weightier one.
    let system = System::ALL.into_iter().filter(is_sure).max_by_key(|system| {
        let exact =
            system.is_part_of().is_some() || !matches!(system, System::Linux | System::Darwin);
        (exact, sum(&|other| other.agrees_with(*system)), std::cmp::Reverse(*system))
    })?;
    all.retain(|opinion| opinion.system.agrees_with(system));
    all.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.heard.cmp(b.heard)));
    let mut versions = all.iter().filter(|o| o.system == system).filter_map(|o| o.version);
    let version = versions.next().filter(|first| versions.all(|other| other == *first));
    let last_seen = all.iter().map(|opinion| opinion.heard.last_seen).max()?;
    Some(Conclusion { system, version, because: all, last_seen })
}

/// Why the asset's system is thought to be what it is: who told it, and what speaks for it, each
/// opinion with its weight. Empty where no system is known.
#[must_use]
pub fn reasons(asset: &Asset) -> Vec<String> {
    let Some(os) = &asset.os else { return Vec::new() };
    let told = asset.software.iter().filter(|s| s.current && s.product == os.name);
    let told = told.filter_map(|software| project::told_system(&software.source));
    let told = told.map(|subject| format!("told by {subject}"));
    let found = conclude(asset).filter(|found| found.system.name() == os.name);
    let because = found.map_or_else(Vec::new, |found| found.because);
    let heard = because.into_iter().filter_map(|opinion| match &opinion.heard.what {
        What::Fingerprint(kind, value) => {
            let (subject, weight) = (opinion.heard.subject, opinion.weight);
            Some(format!("{} {value} of {subject} ({weight})", kind.as_str()))
        }
        _ => None,
    });
    told.chain(heard).collect()
}

/// What a client calls itself, as it is kept: `Chrome/120; Windows 10 or later`.
fn of_user_agent(family: &str) -> Option<(System, Option<&str>)> {
    let (_, system) = family.split_once("; ")?;
    let (name, version) = system.split_once(' ').map_or((system, None), |(n, v)| (n, Some(v)));
    let system = System::named(name)?;
    // Windows calls 10 and 11 the same.
    Some((system, version.filter(|version| !version.contains(' '))))
}

/// A program of the asset's, by what it calls itself to servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Program<'a> {
    /// Its name.
    pub name: &'static str,
    /// As much of its version as is kept.
    pub version: Option<&'a str>,
    /// When it was heard first and last.
    pub seen: (Timestamp, Timestamp),
}

/// The well-known programs that speak from the asset, the latest version of each; none where
/// they may be those of others behind it.
#[must_use]
pub fn programs(asset: &Asset) -> Vec<Program<'_>> {
    let mut systems = opinions(asset);
    systems.retain(|o| matches!(o.heard.what, What::Fingerprint(FingerprintKind::UserAgent, _)));
    let several = |a: &Opinion<'_>| systems.iter().any(|b| !a.system.agrees_with(b.system));
    if passes_on(asset) || systems.iter().any(several) {
        return Vec::new();
    }
    let mut all: BTreeMap<&'static str, Program<'_>> = BTreeMap::new();
    for heard in &asset.heard {
        let What::Fingerprint(FingerprintKind::UserAgent, value) = &heard.what else { continue };
        let Some((name, version)) = program(value) else { continue };
        let seen = (heard.first_seen, heard.last_seen);
        let found = Program { name, version, seen };
        let best = all.entry(name).or_insert(found);
        let key = |program: &Program<'_>| {
            (program.seen.1, program.seen.0, program.version.map(str::to_owned))
        };
        if key(&found) > key(best) {
            *best = found;
        }
    }
    all.into_values().collect()
}

/// A browser or tool of a client, by the name and the version that it is known by.
fn program(family: &str) -> Option<(&'static str, Option<&str>)> {
    let (name, _) = family.split_once("; ").unwrap_or((family, ""));
    let (name, version) = name.split_once('/').unwrap_or((name, ""));
    let known = PROGRAMS.iter().find(|known| **known == name)?;
    Some((known, Some(version).filter(|version| !version.is_empty())))
}

/// Programs that many organisations have, and whose names are nobody's own.
const PROGRAMS: &[&str] = &[
    "Chrome",
    "Edge",
    "Firefox",
    "Internet Explorer",
    "Opera",
    "Safari",
    "Samsung Browser",
    "Thunderbird",
    "Vivaldi",
    "Yandex Browser",
    "Wget",
    "aria2",
    "curl",
    "git",
    "go-http-client",
    "okhttp",
    "python-requests",
];

/// What the options that a DHCP client asks for say. Most lists are made by whoever puts a
/// device together; 95 is asked for by Apple's systems alone (RFC 3679, section 3.2.4).
fn of_dhcp(list: &str) -> Option<System> {
    let mut asked = [false; 256];
    for number in list.split(',') {
        *asked.get_mut(usize::from(number.parse::<u8>().ok()?))? = true;
    }
    (asked[95] && asked[119] && asked[121]).then_some(System::Darwin)
}

/// A row of the table of signatures.
struct Row {
    system: System,
    /// Whether it holds for who begins, for who answers, or for both.
    asks: bool,
    answers: bool,
    ttl: &'static str,
    /// The order of the options.
    order: &'static [&'static str],
    /// Whether the packet must not be parted (`df`); `None` where it does not matter, as it
    /// does not exist in version 6.
    df: Option<bool>,
    /// The windows, where only some are sent; the whole text, or its beginning before `*`.
    windows: &'static [&'static str],
    /// The least and the greatest scale.
    scale: Option<(u8, u8)>,
}

/// See the decision 0024 for where each row is from.
const ROWS: &[Row] = &[
    Row {
        system: System::Linux,
        asks: true,
        answers: true,
        ttl: "64",
        order: &["MSTNW"],
        df: Some(true),
        windows: &[],
        scale: Some((0, 14)),
    },
    // Without timestamps.
    Row {
        system: System::Linux,
        asks: true,
        answers: false,
        ttl: "64",
        order: &["MNNSNW"],
        df: Some(true),
        windows: &["mss*", "65535"],
        scale: Some((0, 14)),
    },
    Row {
        system: System::Windows,
        asks: true,
        answers: true,
        ttl: "128",
        order: &["MNWNNS", "MNWST", "MNWNNTNNS", "MNNS"],
        df: Some(true),
        windows: &["8192", "64240", "65535", "16384", "mss*"],
        scale: None,
    },
    Row {
        system: System::Darwin,
        asks: true,
        answers: true,
        ttl: "64",
        order: &["MNWNNTSE"],
        df: None,
        windows: &["65535"],
        scale: Some((1, 9)),
    },
    Row {
        system: System::FreeBsd,
        asks: true,
        answers: true,
        ttl: "64",
        order: &["MNWST"],
        df: Some(true),
        windows: &["65535"],
        scale: Some((3, 14)),
    },
    Row {
        system: System::OpenBsd,
        asks: true,
        answers: false,
        ttl: "64",
        order: &["MNNSNWNNT"],
        df: Some(true),
        windows: &["16384"],
        scale: Some((0, 9)),
    },
    // A time to live of 255, one option, and no word against parting: nothing of a
    // general-purpose system's. Routers of Cisco's begin so too, with a window of 4128.
    Row {
        system: System::Lwip,
        asks: true,
        answers: false,
        ttl: "255",
        order: &["M"],
        df: Some(false),
        windows: &["1500", "2144", "2920", "5840", "5744", "5760", "mss*"],
        scale: None,
    },
];

/// What a signature (`version;ttl;window;mss;scale;options;quirks`) says.
fn of_signature(signature: &str, is_answer: bool) -> Option<System> {
    let mut parts = signature.split(';');
    let mut next = || parts.next();
    let (version, ttl, window) = (next()?, next()?, next()?);
    let (_mss, scale, order, quirks) = (next()?, next()?, next()?, next()?);
    // A crafted packet is nobody's habit.
    if quirks
        .split(',')
        .any(|quirk| matches!(quirk, "bad" | "data" | "seq0" | "urg" | "psh" | "opt"))
    {
        return None;
    }
    let has_df = quirks.split(',').any(|quirk| quirk == "df");
    let scale: Option<u8> = scale.parse().ok();
    let row = ROWS.iter().find(|row| {
        let df = version == "6" || row.df.is_none_or(|df| df == has_df);
        // Of packets in version 6 the stack of small devices looks like others'.
        let version = version == "4" || row.df == Some(true) || row.df.is_none();
        let window = row.windows.is_empty()
            || row.windows.iter().any(|known| match known.strip_suffix('*') {
                Some(start) => window.strip_prefix(start).is_some_and(|w| w.starts_with('*')),
                None => *known == window,
            });
        let scale = row
            .scale
            .is_none_or(|(least, most)| scale.is_some_and(|scale| (least..=most).contains(&scale)));
        (if is_answer { row.answers } else { row.asks })
            && row.ttl == ttl
            && row.order.contains(&order)
            && df
            && version
            && window
            && scale
    })?;
    Some(row.system)
}

#[cfg(test)]
mod tests;
