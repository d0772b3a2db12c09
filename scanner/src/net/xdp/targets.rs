//! Whom to ask: addresses by their numbers, as the program finds them.

use std::{io, net::IpAddr, sync::atomic::Ordering::Relaxed};

use model::MacAddr;

use super::{
    Unfit,
    assemble::{
        Assembler,
        Op::*,
        Reg::*,
        Size::{Double, Word},
    },
    map::Map,
};
use crate::{Permit, plan::Addresses};

/// More ranges than this are not searched in the kernel.
const MOST_RANGES: usize = 255;

/// More hosts than this are not listed: 16 MiB.
const MOST_HOSTS: usize = 1 << 20;

/// Permitted addresses, numbered from 0. Made of permits, or of what a scope permits: no
/// program is made that asks anybody else.
#[derive(Clone, Debug)]
pub(crate) enum Targets {
    /// Ranges, ascending, all behind one next hop.
    Ranges(Ranges),
    /// A list, with the next hop of each.
    Hosts(Hosts),
}

/// Of each range the number of its first address, and that address.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    list: Vec<(u32, u32)>,
    count: u64,
    next_hop: MacAddr,
}

/// Addresses, with the next hop of each.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(Vec<([u8; 4], MacAddr)>);

impl Targets {
    /// All permitted addresses, which are all reached through `next_hop`. ARP asks everybody
    /// on the link, whatever the next hop.
    ///
    /// # Errors
    ///
    /// There are IPv6 addresses among them, more than 255 ranges, or none, or all of IPv4.
    pub(crate) fn ranges(addresses: &Addresses, next_hop: MacAddr) -> Result<Self, Unfit> {
        let mut list = Vec::with_capacity(addresses.ranges().len());
        let mut count: u64 = 0;
        for range in addresses.ranges() {
            let (IpAddr::V4(first), Ok(start)) = (range.first(), u32::try_from(count)) else {
                return Err(Unfit::new("only IPv4 is asked from the kernel"));
            };
            list.push((start, first.to_bits()));
            count = count.saturating_add(u64::try_from(range.len()).unwrap_or(u64::MAX));
        }
        if list.len() > MOST_RANGES {
            let text = format!("{} ranges of addresses are more than {MOST_RANGES}", list.len());
            return Err(Unfit::new(text));
        }
        if count == 0 || count > u32::MAX.into() {
            return Err(Unfit::new(format!("{count} addresses are none or too many")));
        }
        Ok(Self::Ranges(Ranges { list, count, next_hop }))
    }

    /// Those, in that order.
    ///
    /// # Errors
    ///
    /// There are IPv6 addresses among them, more than 1,048,576, or none.
    pub(crate) fn hosts(hosts: impl IntoIterator<Item = (Permit, MacAddr)>) -> Result<Self, Unfit> {
        let mut list = Vec::new();
        for (permit, next_hop) in hosts {
            let IpAddr::V4(address) = permit.address() else {
                return Err(Unfit::new("only IPv4 is asked from the kernel"));
            };
            list.push((address.octets(), next_hop));
        }
        if list.is_empty() || list.len() > MOST_HOSTS {
            return Err(Unfit::new(format!("{} addresses are none or too many", list.len())));
        }
        Ok(Self::Hosts(Hosts(list)))
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Ranges(ranges) => ranges.count,
            Self::Hosts(Hosts(list)) => list.len() as u64,
        }
    }

    /// The next hop of all, if it is one.
    pub(super) const fn next_hop(&self) -> MacAddr {
        match self {
            Self::Ranges(ranges) => ranges.next_hop,
            // Written with each address.
            Self::Hosts(_) => MacAddr([0; 6]),
        }
    }

    /// Them in the kernel. `with_hops` writes the next hop of each host into its frame.
    pub(super) fn table(&self, with_hops: bool) -> io::Result<Table> {
        match self {
            Self::Ranges(Ranges { list, .. }) if list.len() == 1 => {
                Ok(Table::Range(list.first().map_or(0, |(_, first)| *first)))
            }
            Self::Ranges(Ranges { list, .. }) => {
                let depth = usize::BITS - list.len().leading_zeros();
                let map = Map::new(c"daicho_ranges", RANGE << depth)?;
                // Behind the last range no number begins another.
                let rest = std::iter::repeat(&(u32::MAX, 0));
                let pairs = map.words().as_chunks::<2>().0;
                for ([start, shift], (number, first)) in pairs.iter().zip(list.iter().chain(rest)) {
                    start.store(*number, Relaxed);
                    shift.store(first.wrapping_sub(*number), Relaxed);
                }
                Ok(Table::Ranges { map, depth })
            }
            Self::Hosts(Hosts(list)) => {
                let map = Map::new(c"daicho_hosts", HOST * list.len())?;
                let pairs = map.doubles().as_chunks::<2>().0;
                for ([address, hop], (octets, next_hop)) in pairs.iter().zip(list) {
                    let [a, b, c, d, e, f] = next_hop.0;
                    address.store(u32::from_le_bytes(*octets).into(), Relaxed);
                    hop.store(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]), Relaxed);
                }
                Ok(Table::Hosts { map, with_hops })
            }
        }
    }
}

/// The bytes of a range in its map: its first number, and what makes its addresses of its
/// numbers, 4 bytes each.
const RANGE: usize = 8;

/// The bytes of a host in its map: its address in network order (4), four more, its next hop
/// (6), and two zeros.
const HOST: usize = 16;

/// Targets in the kernel.
#[derive(Debug)]
pub(super) enum Table {
    /// One range, by its first address.
    Range(u32),
    /// Several: 2^depth of them, the last ones empty.
    Ranges {
        /// Ascending.
        map: Map,
        /// How often a search halves them.
        depth: u32,
    },
    /// A list.
    Hosts {
        /// In the order of their numbers.
        map: Map,
        /// Whether to write where the frame goes.
        with_hops: bool,
    },
}

impl Table {
    /// Makes of the number in `R0`, which is known to be one of ours, the address in network
    /// order in `R8`. Takes `R1` to `R4`. The frame, in `R6`, begins with `first_word`.
    pub(super) fn address(&self, a: &mut Assembler, first_word: u64) {
        match self {
            Self::Range(first) => {
                a.number(R8, (*first).into());
                a.op_32(Add, R8, R0);
                a.network_order(R8, 32);
            }
            Self::Ranges { map, depth } => {
                a.map_value(R4, map.fd(), 0);
                a.number(R8, 0);
                // The last range that does not begin behind the number. Without jumps: the
                // verifier would follow every way of them.
                for power in (0..*depth).rev() {
                    a.op(Move, R2, R8);
                    a.op(Add, R2, 1 << power);
                    a.op(ShiftLeft, R2, RANGE.trailing_zeros().cast_signed());
                    a.op(Move, R3, R4);
                    a.op(Add, R3, R2);
                    a.load(Word, R3, R3, 0);
                    a.op(Move, R2, R0);
                    a.op(Sub, R2, R3);
                    a.op(ShiftRight, R2, 63);
                    a.op(Xor, R2, 1);
                    a.op(ShiftLeft, R2, power.cast_signed());
                    a.op(Add, R8, R2);
                }
                a.op(ShiftLeft, R8, RANGE.trailing_zeros().cast_signed());
                a.op(Add, R4, R8);
                a.load(Word, R8, R4, 4);
                a.op_32(Add, R8, R0);
                a.network_order(R8, 32);
            }
            Self::Hosts { map, with_hops } => {
                a.op(Move, R2, R0);
                a.op(ShiftLeft, R2, HOST.trailing_zeros().cast_signed());
                a.map_value(R3, map.fd(), 0);
                a.op(Add, R3, R2);
                a.load(Word, R8, R3, 0);
                if *with_hops {
                    a.load(Double, R2, R3, 8);
                    a.number(R1, first_word);
                    a.op(Or, R2, R1);
                    a.store(Double, R6, 0, R2);
                }
            }
        }
    }
}
