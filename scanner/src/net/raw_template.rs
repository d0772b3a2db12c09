//! Questions from headers that were made once: only who is asked, and with which numbers,
//! is written in, and the checksums are brought up to date (RFC 1624).
//!
//! Byte for byte what `raw_reference::packet` makes inside of a frame, which stays
//! the reference: a test compares them.

use std::net::{IpAddr, Ipv4Addr};

use model::MacAddr;
use wire::{
    ethernet, icmp,
    ip::{self, Ends},
    tcp, udp,
};

use super::{
    Question,
    raw_cookie::Cookies,
    raw_frames::{HOP_LIMIT, no_address, who_has},
};

/// The longest header: an IPv6 SYN in its frame has 78 bytes.
const ROOM: usize = 80;

/// Where the IP header begins.
const IP: usize = 14;
/// Where the transport header begins, by family.
const V4: usize = IP + 20;
const V6: usize = IP + 40;

/// A frame: a header, what follows it, and zeros up to the least length.
#[derive(Clone, Debug)]
pub(super) struct Written<'a> {
    bytes: [u8; ROOM],
    len: usize,
    payload: &'a [u8],
}

impl Written<'_> {
    /// The two parts.
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        [self.bytes.get(..self.len).unwrap_or_default(), self.payload]
    }

    /// Says by which link-layer address it goes.
    pub(super) fn set_receiver(&mut self, mac: MacAddr) {
        self.bytes[..6].copy_from_slice(&mac.0);
    }

    /// The length of the packet in it, without the frame's header and its filling.
    pub(super) fn packet_len(&self) -> usize {
        self.len.saturating_sub(IP).saturating_add(self.payload.len())
    }
}

/// Headers from one source through one interface.
#[derive(Clone, Debug)]
pub(super) struct Headers {
    source: IpAddr,
    syn: Template,
    ack: Template,
    echo: Template,
    /// IPv4 only.
    timestamp: Option<Template>,
    udp: Template,
}

impl Headers {
    pub(super) fn new(mac: MacAddr, source: IpAddr) -> Option<Self> {
        let ends = Ends::new(source, no_address(source))?;
        let icmp_number = match ends {
            Ends::V4(..) => ip::ICMP,
            Ends::V6(..) => ip::ICMPV6,
        };
        let template =
            |protocol, inside: &[u8], sum_at| Template::new(mac, ends, protocol, inside, sum_at);
        Some(Self {
            source,
            syn: template(ip::TCP, &tcp::syn(ends, 0, 0, 0), 16),
            ack: template(ip::TCP, &tcp::ack(ends, 0, 0, 0, 0), 16),
            echo: template(icmp_number, &icmp::echo_request(ends, 0, 0, &[0; 8]), 2),
            timestamp: source
                .is_ipv4()
                .then(|| template(ip::ICMP, &icmp::timestamp_request(0, 0, 0), 2)),
            udp: template(ip::UDP, &udp::datagram(ends, 0, 0, &[]), 6),
        })
    }

    /// The frame with the question to `theirs` by way of `mac`. `None` for what is not a
    /// packet to the target, or is not of the family.
    #[inline]
    pub(super) fn write<'a>(
        &self,
        cookies: &Cookies,
        mac: MacAddr,
        theirs: IpAddr,
        question: &'a Question,
    ) -> Option<Written<'a>> {
        match (self.source, theirs) {
            (IpAddr::V4(_), IpAddr::V4(to)) => {
                self.fill::<V4>(cookies, mac, theirs, &to.octets(), question)
            }
            (IpAddr::V6(_), IpAddr::V6(to)) => {
                self.fill::<V6>(cookies, mac, theirs, &to.octets(), question)
            }
            _ => None,
        }
    }

    #[inline]
    fn fill<'a, const T: usize>(
        &self,
        cookies: &Cookies,
        mac: MacAddr,
        theirs: IpAddr,
        octets: &[u8],
        question: &'a Question,
    ) -> Option<Written<'a>> {
        let ours = self.source;
        Some(match question {
            Question::Arp | Question::NeighborSolicitation => return None,
            Question::Tcp(port) => {
                let cookie = cookies.tcp(ours, theirs, *port);
                let mut draft = self.syn.to::<T>(mac, octets);
                draft.ports(cookie.port, *port);
                draft.word32(4, cookie.sequence);
                draft.done(&[])
            }
            Question::Ack(port) => {
                let cookie = cookies.ack(ours, theirs, *port);
                let mut draft = self.ack.to::<T>(mac, octets);
                draft.ports(cookie.port, *port);
                draft.word32(4, cookie.sequence);
                draft.word32(8, cookie.sequence);
                draft.done(&[])
            }
            Question::Echo => {
                let cookie = cookies.echo(ours, theirs);
                let [a, b, c, d, e, f, g, h] = cookie.data;
                let mut draft = self.echo.to::<T>(mac, octets);
                draft.word(4, cookie.identifier);
                draft.word(6, cookie.sequence);
                draft.word32(8, u32::from_be_bytes([a, b, c, d]));
                draft.word32(12, u32::from_be_bytes([e, f, g, h]));
                draft.done(&[])
            }
            Question::Timestamp => {
                let cookie = cookies.timestamp(ours, theirs);
                let mut draft = self.timestamp.as_ref()?.to::<T>(mac, octets);
                draft.word(4, cookie.identifier);
                draft.word(6, cookie.sequence);
                draft.word32(8, cookie.originate);
                draft.done(&[])
            }
            Question::Udp(port, payload) => {
                let mut draft = self.udp.to::<T>(mac, octets);
                draft.ports(cookies.udp(ours, theirs, *port), *port);
                draft.udp(payload);
                draft.done(payload)
            }
        })
    }
}

/// A whole frame but for what differs from question to question, which is zero.
#[derive(Clone, Debug)]
struct Template {
    bytes: [u8; ROOM],
    len: usize,
    /// Where the transport's checksum is, counted from its header.
    sum_at: usize,
    /// The sums of the IP header (IPv4) and of the transport message with its
    /// pseudo-header, of all that is in them already.
    ip_sum: u32,
    sum: u32,
    /// Whether the addresses are in the transport's sum, which ICMP for IPv4 leaves out.
    sums_addresses: bool,
}

impl Template {
    fn new(mac: MacAddr, ends: Ends, protocol: u8, inside: &[u8], sum_at: usize) -> Self {
        let packet = ip::packet(ends, protocol, HOP_LIMIT, inside);
        let (kind, transport) = match ends {
            Ends::V4(..) => (ethernet::IPV4, V4),
            Ends::V6(..) => (ethernet::IPV6, V6),
        };
        let whole = ethernet::frame(MacAddr([0; 6]), mac, kind, &packet);
        let mut bytes = [0; ROOM];
        for (to, from) in bytes.iter_mut().zip(&whole) {
            *to = *from;
        }
        let word = |at: usize| {
            let pair = whole.get(at..).and_then(<[u8]>::first_chunk);
            u16::from_be_bytes(pair.copied().unwrap_or_default())
        };
        Self {
            bytes,
            len: IP + packet.len(),
            sum_at,
            // A checksum is the complement of the sum.
            ip_sum: u32::from(!word(IP + 10)),
            sum: u32::from(!word(transport + sum_at)),
            sums_addresses: protocol != ip::ICMP,
        }
    }

    /// The frame to that address. `T` is where the transport header begins, which also
    /// tells the family.
    #[inline]
    fn to<const T: usize>(&self, mac: MacAddr, octets: &[u8]) -> Draft<T> {
        let mut bytes = self.bytes;
        bytes[..6].copy_from_slice(&mac.0);
        let (_, address) = bytes[..T].split_at_mut(T - octets.len());
        address.copy_from_slice(octets);
        let words = sum_of(octets);
        Draft {
            bytes,
            len: self.len,
            sum_at: T + self.sum_at,
            ip_sum: self.ip_sum + words,
            sum: if self.sums_addresses { self.sum + words } else { self.sum },
        }
    }
}

/// A frame that is being written.
struct Draft<const T: usize> {
    bytes: [u8; ROOM],
    len: usize,
    sum_at: usize,
    ip_sum: u32,
    sum: u32,
}

impl<const T: usize> Draft<T> {
    /// Writes a word of the transport header that was zero.
    #[inline]
    fn word(&mut self, at: usize, value: u16) {
        self.bytes[T + at..T + at + 2].copy_from_slice(&value.to_be_bytes());
        self.sum += u32::from(value);
    }

    #[inline]
    fn word32(&mut self, at: usize, value: u32) {
        self.bytes[T + at..T + at + 4].copy_from_slice(&value.to_be_bytes());
        self.sum += (value >> 16) + (value & 0xffff);
    }

    #[inline]
    fn ports(&mut self, source: u16, destination: u16) {
        self.word(0, source);
        self.word(2, destination);
    }

    /// Lengths and sums of a datagram with this payload, whose lengths were those of one
    /// without.
    fn udp(&mut self, payload: &[u8]) {
        const HEADER: u16 = 8;
        // A longer one finds no room in any packet, and is refused for its length.
        let more = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        let length_at = if T == V4 { IP + 2 } else { IP + 4 };
        let of_packet = if T == V4 { HEADER + 20 } else { HEADER };
        let of_packet = of_packet.saturating_add(more).to_be_bytes();
        self.bytes[length_at..length_at + 2].copy_from_slice(&of_packet);
        let of_datagram = HEADER.saturating_add(more).to_be_bytes();
        self.bytes[T + 4..T + 6].copy_from_slice(&of_datagram);
        self.ip_sum += u32::from(more);
        // Once in the header and once in the pseudo-header.
        self.sum += 2 * u32::from(more) + u32::from(fold(sum_of(payload)));
    }

    #[inline]
    fn done(mut self, payload: &[u8]) -> Written<'_> {
        if T == V4 {
            self.bytes[IP + 10..IP + 12].copy_from_slice(&(!fold(self.ip_sum)).to_be_bytes());
        }
        let sum = match !fold(self.sum) {
            // Of a datagram, whose sum of zero is sent as all ones (RFC 768). It alone has
            // its sum in the seventh byte.
            0 if self.sum_at == T + 6 => u16::MAX,
            sum => sum,
        };
        if let Some(field) = self.bytes.get_mut(self.sum_at..self.sum_at + 2) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        Written { bytes: self.bytes, len: self.len, payload }
    }
}

/// The sum of the 16-bit words, of at most 64 KiB; a single last byte is a word's upper half.
fn sum_of(bytes: &[u8]) -> u32 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let words: u32 = pairs.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum();
    words + rest.first().map_or(0, |byte| u32::from(*byte) << 8)
}

/// The one's complement sum of 16 bits.
const fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

/// "Who has …?" from one source through one interface, for IPv4.
#[derive(Clone, Debug)]
pub(super) struct WhoHas(Vec<u8>);

impl WhoHas {
    /// `source` may be 0.0.0.0 (RFC 5227, section 2.1.1).
    pub(super) fn new(mac: MacAddr, source: Ipv4Addr) -> Option<Self> {
        who_has(mac, source.into(), Ipv4Addr::UNSPECIFIED.into()).map(Self)
    }

    /// The frame that asks for this address.
    pub(super) fn write(&mut self, target: Ipv4Addr) -> &[u8] {
        /// Behind the frame's header, eight bytes of ARP's, and three addresses.
        const TARGET: usize = IP + 8 + 6 + 4 + 6;
        if let Some(field) = self.0.get_mut(TARGET..TARGET + 4) {
            field.copy_from_slice(&target.octets());
        }
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::raw_reference::packet, *};

    const HERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn question() -> impl Strategy<Value = Question> {
        prop_oneof![
            Just(Question::Echo),
            Just(Question::Timestamp),
            any::<u16>().prop_map(Question::Tcp),
            any::<u16>().prop_map(Question::Ack),
            (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..1400))
                .prop_map(|(port, payload)| Question::Udp(port, payload)),
            (any::<u16>(), proptest::collection::vec(prop::sample::select(vec![0, 255_u8]), 0..9))
                .prop_map(|(port, payload)| Question::Udp(port, payload)),
        ]
    }

    fn ends() -> impl Strategy<Value = (IpAddr, IpAddr)> {
        prop_oneof![
            any::<(u32, u32)>()
                .prop_map(|(a, b)| (Ipv4Addr::from(a).into(), { Ipv4Addr::from(b).into() })),
            any::<(u128, u128)>()
                .prop_map(|(a, b)| { (IpAddr::V6(a.into()), IpAddr::V6(b.into())) }),
            // Words of zeros and ones, where one's complement has two zeros.
            (0..16_u8, 0..16_u8).prop_map(|(a, b)| {
                let octet = |bits: u8, place: u8| if bits & 1 << place == 0 { 0 } else { 255 };
                let address = |bits| {
                    Ipv4Addr::new(octet(bits, 0), octet(bits, 1), octet(bits, 2), octet(bits, 3))
                };
                (address(a).into(), address(b).into())
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn a_template_makes_the_frame_that_the_reference_makes(
            key in any::<[u8; 16]>(),
            (ours, theirs) in ends(),
            mac in any::<[u8; 6]>().prop_map(MacAddr),
            question in question(),
        ) {
            let cookies = Cookies::new(key, 61_000..=65_535);
            let reference = packet(&cookies, Ends::new(ours, theirs).unwrap(), &question);
            let headers = Headers::new(HERE, ours).unwrap();
            let written = headers.write(&cookies, mac, theirs, &question);
            match (reference, written) {
                (Some(packet), Some(written)) => {
                    let kind = if ours.is_ipv4() { ethernet::IPV4 } else { ethernet::IPV6 };
                    let mut frame = written.parts().concat();
                    prop_assert_eq!(written.packet_len(), packet.len());
                    frame.resize(frame.len().max(60), 0);
                    prop_assert_eq!(frame, ethernet::frame(mac, HERE, kind, &packet));
                }
                (reference, written) => {
                    prop_assert!(reference.is_none() && written.is_none());
                }
            }
        }

        #[test]
        fn so_does_that_of_arp(source in any::<u32>(), targets in any::<[u32; 3]>()) {
            let source = Ipv4Addr::from(source);
            let mut template = WhoHas::new(HERE, source).unwrap();
            for target in targets.map(Ipv4Addr::from) {
                let reference = who_has(HERE, source.into(), target.into()).unwrap();
                prop_assert_eq!(template.write(target), reference);
            }
        }
    }

    #[test]
    fn the_longest_datagram_is_summed_right() {
        let cookies = Cookies::new([7; 16], 61_000..=65_535);
        for (ours, theirs) in [("198.18.0.1", "198.18.0.9"), ("2001:db8::1", "2001:db8::9")] {
            let (ours, theirs): (IpAddr, IpAddr) = (ours.parse().unwrap(), theirs.parse().unwrap());
            let question = Question::Udp(53, vec![0xff; 65_467]);
            let packet = packet(&cookies, Ends::new(ours, theirs).unwrap(), &question).unwrap();
            let headers = Headers::new(HERE, ours).unwrap();
            let written = headers.write(&cookies, HERE, theirs, &question).unwrap();
            assert_eq!(written.parts().concat()[IP..], packet);
        }
    }

    #[test]
    fn families_do_not_mix() {
        let cookies = Cookies::new([7; 16], 61_000..=65_535);
        let headers = Headers::new(HERE, "198.18.0.1".parse().unwrap()).unwrap();
        let v6 = "2001:db8::9".parse().unwrap();
        assert!(headers.write(&cookies, HERE, v6, &Question::Echo).is_none());
        let v4 = "198.18.0.9".parse().unwrap();
        assert!(headers.write(&cookies, HERE, v4, &Question::Arp).is_none());
    }
}
