//! What a probe looks like: the raw tier's own frame, and which of its bytes change.

use std::net::Ipv4Addr;

use super::{
    super::{Question, raw_cookie::Cookies, raw_frames::who_has, raw_template::Headers},
    Kind, Unfit,
};
use model::MacAddr;

/// The length of every probe: all of them are shorter than the shortest frame.
pub(super) const FRAME: usize = 60;

/// Where the bytes are that change, from the start of the frame.
pub(super) mod at {
    use std::ops::Range;

    /// What is asked of an ARP cache.
    pub(in super::super) const WANTED: i16 = 38;
    pub(in super::super) const IP_CHECKSUM: i16 = 24;
    pub(in super::super) const DESTINATION: i16 = 30;
    pub(in super::super) const SOURCE_PORT: i16 = 34;
    pub(in super::super) const PORT: i16 = 36;
    pub(in super::super) const SEQUENCE: i16 = 38;
    pub(in super::super) const TCP_CHECKSUM: i16 = 50;
    pub(in super::super) const ICMP_CHECKSUM: i16 = 36;
    /// Identifier and sequence number.
    pub(in super::super) const ECHO: i16 = 38;
    pub(in super::super) const ECHO_DATA: i16 = 42;

    pub(super) const IP: Range<usize> = 14..34;
    pub(super) const SOURCE: Range<usize> = 26..30;
    pub(super) const TCP: Range<usize> = 34..58;
    pub(super) const ICMP: Range<usize> = 34..50;
}

/// A probe.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The frame, with zeros where bytes change.
    pub(super) frame: [u8; FRAME],
    /// The sum of the 16-bit words of the IP header, as this machine reads them.
    pub(super) ip_sum: u16,
    /// The same of what is inside, with the header that TCP imagines before it.
    pub(super) inner_sum: u16,
}

impl Shape {
    /// The probe that goes to `next_hop`, or by ARP to everybody.
    pub(super) fn new(
        kind: Kind,
        ours: Ipv4Addr,
        mac: MacAddr,
        next_hop: MacAddr,
        cookies: &Cookies,
    ) -> Result<Self, Unfit> {
        let nobody = Ipv4Addr::UNSPECIFIED;
        let headers = Headers::new(mac, ours.into());
        let inside = |question| {
            let written = headers.as_ref()?.write(cookies, next_hop, nobody.into(), &question)?;
            let mut frame = written.parts().concat();
            frame.resize(FRAME.max(frame.len()), 0);
            Some(frame)
        };
        let frame = match kind {
            Kind::Arp => who_has(mac, ours.into(), nobody.into()),
            Kind::Echo => inside(Question::Echo),
            Kind::Syn => inside(Question::Tcp(0)),
        };
        let frame = frame.and_then(|frame| <[u8; FRAME]>::try_from(frame).ok());
        let mut frame = frame.ok_or_else(|| Unfit::new("the probe has another length"))?;
        let changing: &[(i16, usize)] = match kind {
            Kind::Arp => &[(at::WANTED, 4)],
            Kind::Echo => &[(at::IP_CHECKSUM, 2), (at::DESTINATION, 4), (at::ICMP_CHECKSUM, 14)],
            Kind::Syn => &[(at::IP_CHECKSUM, 2), (at::DESTINATION, 12), (at::TCP_CHECKSUM, 2)],
        };
        for (start, len) in changing {
            let start = usize::from(start.unsigned_abs());
            if let Some(bytes) = frame.get_mut(start..start + len) {
                bytes.fill(0);
            }
        }
        let inner_sum = match kind {
            Kind::Arp => 0,
            Kind::Echo => sum([part(&frame, at::ICMP), &[], &[]]),
            // RFC 9293, section 3.1: the addresses, the protocol and the length.
            Kind::Syn => sum([part(&frame, at::TCP), part(&frame, at::SOURCE), &[0, 6, 0, 24]]),
        };
        Ok(Self { ip_sum: sum([part(&frame, at::IP), &[], &[]]), inner_sum, frame })
    }
}

fn part(frame: &[u8; FRAME], range: std::ops::Range<usize>) -> &[u8] {
    frame.get(range).unwrap_or_default()
}

/// The sum in ones' complement, which comes out the same in either order of bytes (RFC
/// 1071, section 2).
fn sum(parts: [&[u8]; 3]) -> u16 {
    let words = parts.iter().flat_map(|part| part.as_chunks::<2>().0);
    words.fold(0, |sum: u16, word| {
        let (sum, over) = sum.overflowing_add(u16::from_ne_bytes(*word));
        sum + u16::from(over)
    })
}
