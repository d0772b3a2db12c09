//! Cookies: how an answer proves that it answers us, without a table of what was sent.
//!
//! SipHash-2-4, keyed for the run, over both addresses and ports. Who does not see our
//! packets cannot guess the 32 bits of a sequence number; for UDP there is only the
//! source port, about twelve bits, so those answers carry transaction numbers of their
//! own protocols besides.

use std::{net::IpAddr, ops::RangeInclusive};

use siphasher::sip::SipHasher24;

/// Makes cookies, and source ports.
#[derive(Clone, Debug)]
pub(super) struct Cookies {
    keyed: SipHasher24,
    first_port: u16,
    /// How many ports there are from the first on; never 0.
    ports: u16,
}

/// What a cookie is for. The numbers keep the cookies of different uses apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Use {
    Tcp = 1,
    Udp = 2,
    Echo = 3,
    Timestamp = 4,
    Ack = 5,
}

/// What a SYN, or a segment of no connection, carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TcpCookie {
    /// The port from which it goes.
    pub(super) port: u16,
    pub(super) sequence: u32,
}

/// What a timestamp request carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TimestampCookie {
    pub(super) identifier: u16,
    pub(super) sequence: u16,
    pub(super) originate: u32,
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
        Self { keyed: SipHasher24::new_with_key(&key), first_port, ports }
    }

    /// The source ports.
    pub(super) fn ports(&self) -> RangeInclusive<u16> {
        self.first_port..=self.first_port.saturating_add(self.ports.saturating_sub(1))
    }

    /// The key, as two numbers: for a program that makes the same cookies in the kernel.
    pub(super) fn keys(&self) -> (u64, u64) {
        self.keyed.keys()
    }

    /// What all cookies of a question come from: one hash for each packet.
    fn hash(&self, of: Use, ours: IpAddr, theirs: IpAddr, port: u16) -> u64 {
        let [high, low] = port.to_be_bytes();
        match (ours, theirs) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let mut text = [0; 11];
                text[0] = of as u8;
                text[1..5].copy_from_slice(&ours.octets());
                text[5..9].copy_from_slice(&theirs.octets());
                text[9..].copy_from_slice(&[high, low]);
                self.keyed.hash(&text)
            }
            _ => {
                let mut text = [0; 35];
                text[0] = of as u8;
                text[1..17].copy_from_slice(&octets(ours));
                text[17..33].copy_from_slice(&octets(theirs));
                text[33..].copy_from_slice(&[high, low]);
                self.keyed.hash(&text)
            }
        }
    }

    /// From where, and with which sequence number, a SYN goes to `port`.
    pub(super) fn tcp(&self, ours: IpAddr, theirs: IpAddr, port: u16) -> TcpCookie {
        let hash = self.hash(Use::Tcp, ours, theirs, port);
        // The lower half.
        let sequence = hash as u32;
        TcpCookie { port: self.port(hash), sequence }
    }

    /// From where, and with which numbers, a segment of no connection goes to `port`. It
    /// carries the cookie twice: errors quote the sequence number, and a reset repeats the
    /// acknowledgement number.
    pub(super) fn ack(&self, ours: IpAddr, theirs: IpAddr, port: u16) -> TcpCookie {
        let hash = self.hash(Use::Ack, ours, theirs, port);
        // The lower half.
        let sequence = hash as u32;
        TcpCookie { port: self.port(hash), sequence }
    }

    /// The port from which a datagram goes to `port`.
    pub(super) fn udp(&self, ours: IpAddr, theirs: IpAddr, port: u16) -> u16 {
        self.port(self.hash(Use::Udp, ours, theirs, port))
    }

    /// The upper half of the hash chooses the port.
    fn port(&self, hash: u64) -> u16 {
        // Below `ports`, which fits.
        let offset = ((hash >> 32) * u64::from(self.ports)) >> 32;
        self.first_port.saturating_add(u16::try_from(offset).unwrap_or(0))
    }

    /// What the echo request to `theirs` carries: the hash as data, which all systems but a
    /// few return, and its first bytes as numbers, which all return.
    pub(super) fn echo(&self, ours: IpAddr, theirs: IpAddr) -> EchoCookie {
        let data = self.hash(Use::Echo, ours, theirs, 0).to_be_bytes();
        let [a, b, c, d, ..] = data;
        EchoCookie {
            identifier: u16::from_be_bytes([a, b]),
            sequence: u16::from_be_bytes([c, d]),
            data,
        }
    }

    /// What the timestamp request to `theirs` carries. The highest bit of the time says
    /// that it is not one (RFC 792, page 17).
    pub(super) fn timestamp(&self, ours: IpAddr, theirs: IpAddr) -> TimestampCookie {
        let [a, b, c, d, e, f, g, h] = self.hash(Use::Timestamp, ours, theirs, 0).to_be_bytes();
        TimestampCookie {
            identifier: u16::from_be_bytes([a, b]),
            sequence: u16::from_be_bytes([c, d]),
            originate: u32::from_be_bytes([e | 0x80, f, g, h]),
        }
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
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
        let cookie = one.tcp(A, B, 80);
        assert_eq!(cookie, one.tcp(A, B, 80));
        for other in [two.tcp(A, B, 80), one.tcp(B, A, 80), one.tcp(A, B, 81)] {
            assert_ne!(cookie.sequence, other.sequence);
        }
        assert_ne!(one.echo(A, B), two.echo(A, B));
        assert_ne!(one.timestamp(A, B), two.timestamp(A, B));
        assert_ne!(one.ack(A, B, 80).sequence, cookie.sequence);
    }

    #[test]
    fn source_ports_stay_in_their_range_and_use_all_of_it() {
        let cookies = Cookies::new([7; 16], 61_000..=61_003);
        let ports = (1..200).map(|port| cookies.tcp(A, B, port).port);
        let mut seen: Vec<u16> = ports.collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [61_000, 61_001, 61_002, 61_003]);
        assert_eq!(cookies.ports(), 61_000..=61_003);
        let last = Cookies::new([7; 16], 65_535..=65_535);
        assert_eq!(last.udp(A, B, 53), 65_535);
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
