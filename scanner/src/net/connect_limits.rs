//! How many sockets may be open at once, and how many neighbours may be asked at once.

use std::{
    collections::{HashMap, VecDeque},
    fs, io,
    net::IpAddr,
    time::Duration,
};

/// No more than this, however many descriptors there are: each is a socket buffer in
/// the kernel, and at one second each this is faster than any profile asks.
const MOST: usize = 8_192;

/// Descriptors kept free for the rest of the program: the database with its journals,
/// conversations with services, a report. A quarter of a small limit, at most this.
const RESERVE: usize = 256;

/// Limits of this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How many files and sockets may be open: the soft limit of getrlimit(2), after it
    /// was raised to the hard one.
    pub open_files: usize,
    /// How many sockets the tier `connect` keeps open at once. At least one.
    pub sockets: usize,
}

/// Raises the soft limit on open files to the hard one, and tells what follows from it.
///
/// # Errors
///
/// The system does not tell its limit.
pub fn limits() -> io::Result<Limits> {
    let open_files = raise_limit()?;
    // Without /proc it is not known how many are open; a small program has about this many.
    let open = fs::read_dir("/proc/self/fd").map_or(16, Iterator::count);
    Ok(Limits { open_files, sockets: from_limit(open_files, open) })
}

fn from_limit(limit: usize, open: usize) -> usize {
    let reserve = (limit / 4).min(RESERVE);
    limit.saturating_sub(open).saturating_sub(reserve).clamp(1, MOST)
}

#[expect(unsafe_code, reason = "std does not offer getrlimit")]
fn raise_limit() -> io::Result<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is that of an rlimit that lives until the call returns.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
        // SAFETY: as above. A refusal leaves the limit as it was.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
            limit = raised;
        }
    }
    Ok(usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

/// The on-link addresses that the kernel is asking for on our behalf.
///
/// Its neighbour table holds 1,024 entries by default (gc_thresh3 of arp(7)); beyond
/// that the whole machine loses its neighbours. Half is ours.
#[derive(Debug, Default)]
pub(super) struct Unresolved {
    since: HashMap<IpAddr, Duration>,
    order: VecDeque<(Duration, IpAddr)>,
}

impl Unresolved {
    /// How many at most.
    pub(super) const MOST: usize = 512;

    /// How long the kernel asks: three times, one second apart (mcast_solicit and
    /// retrans_time_ms of arp(7)), and a little. After that the entry can be collected.
    const ASKING: Duration = Duration::from_millis(3_200);

    /// Whether this address may be asked for now; if so, it counts from now on.
    pub(super) fn admit(&mut self, address: IpAddr, now: Duration) -> bool {
        while let Some((since, first)) = self.order.front() {
            if now.saturating_sub(*since) < Self::ASKING {
                break;
            }
            if self.since.get(first) == Some(since) {
                self.since.remove(first);
            }
            self.order.pop_front();
        }
        if self.since.contains_key(&address) {
            return true;
        }
        if self.since.len() >= Self::MOST {
            return false;
        }
        self.since.insert(address, now);
        self.order.push_back((now, address));
        true
    }

    /// The address was heard of: the kernel asks no more.
    pub(super) fn resolved(&mut self, address: IpAddr) {
        self.since.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_reserve_is_kept_and_one_is_always_left() {
        for (limit, open, expected) in
            [(32, 10, 14), (1_024, 12, 756), (20_000, 12, 8_192), (8, 8, 1), (0, 99, 1)]
        {
            assert_eq!(from_limit(limit, open), expected, "{limit} with {open} open");
        }
        let here = limits().unwrap();
        assert!(here.sockets >= 1 && here.open_files >= here.sockets);
    }

    #[test]
    fn no_more_than_half_the_neighbour_table_is_asked_for() {
        let mut unresolved = Unresolved::default();
        let address = |n: usize| IpAddr::V4(Ipv4Addr::from(0xc612_0000 + n as u32));
        let second = Duration::from_secs(1);
        assert!((0..Unresolved::MOST).all(|n| unresolved.admit(address(n), second)));
        assert!(!unresolved.admit(address(9_999), 2 * second));
        assert!(unresolved.admit(address(7), 2 * second), "already being asked for");
        unresolved.resolved(address(7));
        assert!(unresolved.admit(address(9_999), 2 * second));
        assert!(!unresolved.admit(address(9_998), 2 * second));
        // Three seconds later the kernel has given up on all but the late one.
        assert!((1_000..1_511).all(|n| unresolved.admit(address(n), 5 * second)));
        assert!(!unresolved.admit(address(1_511), 5 * second));
        assert!(unresolved.admit(address(1_511), 6 * second));
    }
}
