//! Cookies: how an answer proves that it answers us, without a table of what was sent.
//!
//! SipHash-2-4, keyed for the run, over both addresses and ports. Who does not see our
//! packets cannot guess the 32 bits of a sequence number; for UDP there is only the
//! source port, about twelve bits, so those answers carry transaction numbers of their
//! own protocols besides.

use std::{hash::Hasher, net::IpAddr, ops::RangeInclusive};

use siphasher::sip::SipHasher24;

/// Makes cookies, and source ports.
#[derive(Clone, Debug)]
pub(super) struct Cookies {
    key: [u8; 16],
    first_port: u16,
    /// How many ports there are from the first on; never 0.
    ports: u16,
}

/// What a cookie is for. The numbers keep the cookies of different uses apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Use {
    TcpPort = 1,
    UdpPort = 2,
    Sequence = 3,
    Echo = 4,
    EchoData = 5,
}

/// What an echo request carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct EchoCookie {
    pub(super) identifier: u16,
    pub(super) sequence: u16,
    pub(super) data: [u8; 8],
}

impl Cookies {
    /// Source ports are taken from that range.
    pub(super) fn new(key: [u8; 16], ports: RangeInclusive<u16>) -> Self {
        let first_port = *ports.start();
        let ports = ports.end().saturating_sub(first_port).saturating_add(1);
        Self { key, first_port, ports }
    }

    fn hash(&self, of: Use, ours: IpAddr, theirs: IpAddr, our_port: u16, port: u16) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u8(of as u8);
        for address in [ours, theirs] {
            match address {
                IpAddr::V4(v4) => hasher.write(&v4.octets()),
                IpAddr::V6(v6) => hasher.write(&v6.octets()),
            }
        }
        hasher.write(&our_port.to_be_bytes());
        hasher.write(&port.to_be_bytes());
        hasher.finish()
    }

    /// The port from which `theirs` is asked about `port`: [`Use::TcpPort`] or
    /// [`Use::UdpPort`].
    pub(super) fn source_port(&self, of: Use, ours: IpAddr, theirs: IpAddr, port: u16) -> u16 {
        let hash = self.hash(of, ours, theirs, 0, port);
        // The remainder is below `ports`, which fits.
        let offset = u16::try_from(hash % u64::from(self.ports)).unwrap_or(0);
        self.first_port.saturating_add(offset)
    }

    /// The sequence number of the SYN to `port`.
    pub(super) fn sequence(&self, ours: IpAddr, theirs: IpAddr, our_port: u16, port: u16) -> u32 {
        let [a, b, c, d, ..] = self.hash(Use::Sequence, ours, theirs, our_port, port).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// What the echo request to `theirs` carries.
    pub(super) fn echo(&self, ours: IpAddr, theirs: IpAddr) -> EchoCookie {
        let [a, b, c, d, ..] = self.hash(Use::Echo, ours, theirs, 0, 0).to_be_bytes();
        EchoCookie {
            identifier: u16::from_be_bytes([a, b]),
            sequence: u16::from_be_bytes([c, d]),
            data: self.hash(Use::EchoData, ours, theirs, 0, 0).to_be_bytes(),
        }
    }
}

/// Ports that the kernel gives to nobody who asks for any port, from what
/// ip_local_port_range (ip(7)) says: above it where there are enough, else below.
///
/// A port of ours that the kernel does not know is what makes it answer a SYN-ACK with
/// RST, which closes the half-open connection on the device.
pub(super) fn ports_beside(local_port_range: &str) -> RangeInclusive<u16> {
    /// Fewer make the cookie of UDP too easy to guess.
    const ENOUGH: u16 = 1_024;
    /// What Linux comes with (32768 to 60999).
    const USUAL: RangeInclusive<u16> = 61_000..=65_535;
    let mut numbers = local_port_range.split_whitespace().map(str::parse::<u16>);
    let (Some(Ok(first)), Some(Ok(last))) = (numbers.next(), numbers.next()) else {
        return USUAL;
    };
    if u16::MAX - last >= ENOUGH {
        return last + 1..=u16::MAX;
    }
    // Not below 1024 ports above the well-known ones, where servers are.
    match first.checked_sub(ENOUGH) {
        Some(start) if start >= 8_192 => start..=first - 1,
        _ => USUAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

    #[test]
    fn cookies_depend_on_everything() {
        let one = Cookies::new([1; 16], 61_000..=65_535);
        let two = Cookies::new([2; 16], 61_000..=65_535);
        let cookie = one.sequence(A, B, 61_000, 80);
        assert_eq!(cookie, one.sequence(A, B, 61_000, 80));
        for other in [
            two.sequence(A, B, 61_000, 80),
            one.sequence(B, A, 61_000, 80),
            one.sequence(A, B, 61_001, 80),
            one.sequence(A, B, 61_000, 81),
        ] {
            assert_ne!(cookie, other);
        }
        assert_ne!(one.echo(A, B), two.echo(A, B));
    }

    #[test]
    fn source_ports_stay_in_their_range_and_use_all_of_it() {
        let cookies = Cookies::new([7; 16], 61_000..=61_003);
        let ports = (1..200).map(|port| cookies.source_port(Use::TcpPort, A, B, port));
        let mut seen: Vec<u16> = ports.collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [61_000, 61_001, 61_002, 61_003]);
        let last = Cookies::new([7; 16], 65_535..=65_535);
        assert_eq!(last.source_port(Use::UdpPort, A, B, 53), 65_535);
    }

    #[test]
    fn ports_are_taken_beside_those_of_the_kernel() {
        for (range, expected) in [
            ("32768\t60999\n", 61_000..=65_535),
            ("32768 65000", 31_744..=32_767),
            ("1024 65535", 61_000..=65_535),
            ("nonsense", 61_000..=65_535),
            ("", 61_000..=65_535),
        ] {
            assert_eq!(ports_beside(range), expected, "{range:?}");
        }
    }
}
