//! Subnets with a shape for each address: an IPv4 /24 has its 256 in their places, an IPv6 /64 those
//! that are there, in their order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use inventory::{compare::Registration, store::Plot};
use model::AddressRange;

use super::Texts;
use crate::web::{
    lists::address,
    page::{encoded, shown},
};

/// Addresses that are drawn of a subnet: 16 rows of 16.
pub(super) const CELLS: usize = 256;
const SIDE: usize = 16;

/// How an address is drawn: by the worst that is known of whoever has it. Each has a shape of its
/// own, for whoever sees no colours.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Look {
    Critical,
    Unregistered,
    Warning,
    Registered,
    /// Nobody said whether it is registered.
    Plain,
}

impl Look {
    pub(super) const ALL: [Self; 5] =
        [Self::Critical, Self::Unregistered, Self::Warning, Self::Registered, Self::Plain];

    pub(super) fn of(plot: &Plot) -> Self {
        match plot.registration {
            _ if plot.critical > 0 => Self::Critical,
            Registration::Unregistered
            | Registration::Rejected
            | Registration::RetiredButSeen
            | Registration::Conflicting
            | Registration::Expired
            | Registration::IdentityUncertain => Self::Unregistered,
            _ if plot.warning > 0 => Self::Warning,
            Registration::Registered => Self::Registered,
            Registration::Missing | Registration::Unknown => Self::Plain,
        }
    }

    /// Its name for programs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Unregistered => "unregistered",
            Self::Warning => "warning",
            Self::Registered => "registered",
            Self::Plain => "plain",
        }
    }

    /// Its class in the style sheet.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Critical => "cell bad",
            Self::Unregistered => "cell warn",
            Self::Warning => "cell warn",
            Self::Registered => "cell good",
            Self::Plain => "cell",
        }
    }

    /// The class of words about it.
    pub(super) const fn tone(self) -> &'static str {
        match self {
            Self::Critical => "bad",
            Self::Unregistered | Self::Warning => "warn",
            Self::Registered => "good",
            Self::Plain => "",
        }
    }

    /// Its shape in a square of that side, which begins there: a full square, a diamond, a
    /// triangle, a smaller square, a point.
    pub(super) fn shape(self, x: usize, y: usize, side: usize) -> String {
        let (half, inset) = (side / 2, side / 5);
        match self {
            Self::Critical => format!("M{x} {y}h{side}v{side}h-{side}z"),
            Self::Unregistered => {
                format!("M{} {y}l{half} {half} -{half} {half} -{half} -{half}z", x + half)
            }
            Self::Warning => format!("M{} {y}l{half} {side}h-{side}z", x + half),
            Self::Registered => {
                let inner = side - 2 * inset;
                format!("M{} {}h{inner}v{inner}h-{inner}z", x + inset, y + inset)
            }
            Self::Plain => {
                let (at, inner) = (2 * inset, side - 4 * inset);
                format!("M{} {}h{inner}v{inner}h-{inner}z", x + at, y + at)
            }
        }
    }
}

/// A subnet.
pub(super) struct Block {
    /// As the store has it.
    pub(super) site: String,
    /// As people write it.
    pub(super) name: String,
    /// The shapes of each look that there is, with its class.
    pub(super) shapes: Vec<(&'static str, String)>,
    /// In words: how many of each.
    pub(super) counts: Vec<(&'static str, u64, &'static str)>,
    pub(super) addresses: u64,
    /// Those that there is no room for.
    pub(super) more: u64,
    /// What the list of assets is asked for.
    pub(super) query: String,
    /// The list, and the larger picture.
    pub(super) list: String,
    pub(super) page: String,
}

impl Block {
    /// What the picture says, for whoever does not see it.
    pub(super) fn spoken(&self) -> String {
        let counts = self.counts.iter().map(|(name, count, _)| format!("{count} {name}"));
        format!("{}: {}", self.name, counts.collect::<Vec<_>>().join(", "))
    }
}

/// An address of the larger picture.
pub(super) struct Cell {
    pub(super) asset: i64,
    pub(super) class: &'static str,
    pub(super) shape: String,
    /// Where what it is called stands, in its middle.
    pub(super) at: (usize, usize),
    pub(super) short: String,
    pub(super) title: String,
}

/// The first address of the subnet in which one is, and how long its prefix is.
pub(super) fn block_of(address: IpAddr) -> (IpAddr, u8) {
    match address {
        IpAddr::V4(address) => (Ipv4Addr::from_bits(address.to_bits() & !0xff).into(), 24),
        IpAddr::V6(address) => {
            (Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(), 64)
        }
    }
}

/// The addresses of a subnet as it is written in addresses of pages.
pub(super) fn range(text: &str) -> Option<AddressRange> {
    let (first, prefix) = text.split_once('/')?;
    let first: IpAddr = first.parse().ok()?;
    let (start, length) = block_of(first);
    if start != first || prefix.parse() != Ok(length) {
        return None;
    }
    let last: IpAddr = match start {
        IpAddr::V4(start) => Ipv4Addr::from_bits(start.to_bits() | 0xff).into(),
        IpAddr::V6(start) => Ipv6Addr::from_bits(start.to_bits() | u128::from(u64::MAX)).into(),
    };
    AddressRange::new(first, last)
}

/// Where an address stands among the cells: by itself, or by its place among those of its subnet.
fn place(address: IpAddr, number: usize) -> Option<usize> {
    match address {
        IpAddr::V4(address) => Some(usize::from(address.octets()[3])),
        IpAddr::V6(_) => (number < CELLS).then_some(number),
    }
}

/// The addresses of one subnet, each once with the worst look: two assets may claim one.
pub(super) fn distinct(plots: &[Plot]) -> Vec<(&Plot, Look)> {
    let mut all: Vec<(&Plot, Look)> = Vec::new();
    for plot in plots {
        let look = Look::of(plot);
        match all.last_mut().filter(|(last, _)| last.address == plot.address) {
            Some(last) if look < last.1 => *last = (plot, look),
            Some(_) => {}
            None => all.push((plot, look)),
        }
    }
    all
}

/// The subnets of these addresses, which are in order, at most so many, and behind which site and
/// address the next ones begin. `is_cut` where there are more addresses than were read.
pub(super) fn blocks(
    plots: &[Plot],
    most: usize,
    is_cut: bool,
    texts: &Texts,
) -> (Vec<Block>, Option<(String, IpAddr)>) {
    let (parts, next) = parts(plots, most, is_cut);
    (parts.into_iter().filter_map(|part| block(part, texts)).collect(), next)
}

/// The same before they are drawn: the addresses of each.
pub(super) fn parts(
    plots: &[Plot],
    most: usize,
    is_cut: bool,
) -> (Vec<&[Plot]>, Option<(String, IpAddr)>) {
    let same = |a: &Plot, b: &Plot| a.site == b.site && block_of(a.address) == block_of(b.address);
    let mut parts: Vec<&[Plot]> = plots.chunk_by(same).collect();
    // The last one may go on where reading ended.
    let is_more = parts.len() > most || is_cut;
    if is_cut && parts.len() > 1 {
        parts.pop();
    }
    parts.truncate(most);
    let last = parts.last().and_then(|part| part.last());
    let next = last.filter(|_| is_more).map(|last| (last.site.clone(), last.address));
    (parts, next)
}

/// What the subnet of an address is called.
pub(super) fn name(address: IpAddr) -> String {
    let (start, length) = block_of(address);
    format!("{start}/{length}")
}

fn block(plots: &[Plot], texts: &Texts) -> Option<Block> {
    let first = plots.first()?;
    let name = name(first.address);
    let all = distinct(plots);
    let mut drawn = Look::ALL.map(|look| (look, String::new(), 0_u64));
    let mut more = 0;
    for (number, (plot, look)) in all.iter().enumerate() {
        let Some((_, path, count)) = drawn.iter_mut().find(|(known, ..)| known == look) else {
            continue;
        };
        *count += 1;
        match place(plot.address, number) {
            Some(place) => path.push_str(&look.shape(place % SIDE * 10, place / SIDE * 10, 10)),
            None => more += 1,
        }
    }
    let some = drawn.iter().filter(|(_, _, count)| *count > 0);
    let counts = some.map(|(look, _, count)| (texts.look_name(*look), *count, look.tone()));
    let counts = counts.collect();
    // A quotation mark cannot be asked for: then the sites that share these addresses are one list.
    let query = match first.site.contains('"') {
        true => format!("address in {name}"),
        false => format!("address in {name} and site=\"{}\"", first.site),
    };
    let paths = drawn.into_iter().filter(|(_, path, _)| !path.is_empty());
    Some(Block {
        site: first.site.clone(),
        shapes: paths.map(|(look, path, _)| (look.class(), path)).collect(),
        counts,
        addresses: all.len() as u64,
        more,
        list: address("/assets", &query),
        page: format!("/map/block?site={}&block={}", encoded(&first.site), encoded(&name)),
        query,
        name,
    })
}

/// The side of a cell in the larger picture.
const LARGE: usize = 40;

/// The addresses of one subnet for the larger picture.
pub(super) fn cells(plots: &[Plot], texts: &Texts) -> Vec<Cell> {
    let cell = |(number, (plot, look)): (usize, (&Plot, Look))| {
        let place = place(plot.address, number)?;
        let (x, y) = (place % SIDE * LARGE, place / SIDE * LARGE);
        let short = match plot.address {
            IpAddr::V4(address) => format!(".{}", address.octets()[3]),
            IpAddr::V6(address) => format!("{:x}", address.segments()[7]),
        };
        let state = texts.look_name(look);
        Some(Cell {
            asset: plot.asset.0,
            class: look.class(),
            shape: look.shape(x + 4, y + 2, 22),
            at: (x + 15, y + 36),
            short,
            title: format!("{} {}: {state}", plot.address, shown(&plot.name)),
        })
    };
    distinct(plots).into_iter().enumerate().filter_map(cell).collect()
}
