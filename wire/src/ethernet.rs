//! Ethernet II frames, with their VLAN tags (IEEE 802.3 and 802.1Q).
//!
//! Reading is etherparse's, lax: a frame cut by a snapshot length still gives what is
//! there. Frames are built without tags: the interface adds its own.

use etherparse::{LaxSlicedPacket, LinkSlice};
use model::MacAddr;

use crate::{Malformed, Problem};

/// IPv4, RFC 894.
pub const IPV4: u16 = 0x0800;
/// ARP, RFC 826.
pub const ARP: u16 = 0x0806;
/// IPv6, RFC 2464.
pub const IPV6: u16 = 0x86dd;

/// The length of an untagged header.
const HEADER: usize = 14;

/// The least length of a frame without its check sequence (IEEE 802.3, 4A.4.2).
const LEAST: usize = 60;

/// A frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// For whom.
    pub destination: MacAddr,
    /// From whom.
    pub source: MacAddr,
    /// VLAN identifiers, the outermost first. Empty where the frame carries no tag, and
    /// where the network card or the kernel took it off before we saw the frame.
    pub vlans: Vec<u16>,
    /// What the payload is, after all tags: [`IPV4`], [`ARP`], [`IPV6`] …
    pub ether_type: u16,
    /// What is inside. Short frames end in padding, so it may be longer than the packet.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// The 14 bytes of the header, or those of a tag that it announces, are not there.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let truncated = |field, offset| Malformed { field, offset, problem: Problem::Truncated };
        let sliced = LaxSlicedPacket::from_ethernet(bytes)
            .map_err(|error| truncated("ethernet header", error.layer_start_offset))?;
        let Some(LinkSlice::Ethernet2(header)) = &sliced.link else {
            return Err(truncated("ethernet header", 0));
        };
        let Some(inside) = sliced.ether_payload() else {
            return Err(truncated("ethernet payload", HEADER));
        };
        Ok(Self {
            destination: MacAddr(header.destination()),
            source: MacAddr(header.source()),
            vlans: sliced.vlan_ids().iter().map(|id| id.value()).collect(),
            ether_type: inside.ether_type.0,
            payload: inside.payload,
        })
    }
}

/// Builds a frame, padded with zeros to the least length that the standard allows: the
/// driver would do it, but not every driver pads with zeros.
#[must_use]
pub fn frame(destination: MacAddr, source: MacAddr, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER.saturating_add(payload.len()).max(LEAST));
    bytes.extend_from_slice(&destination.0);
    bytes.extend_from_slice(&source.0);
    bytes.extend_from_slice(&ether_type.to_be_bytes());
    bytes.extend_from_slice(payload);
    if bytes.len() < LEAST {
        bytes.resize(LEAST, 0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const THERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

    /// Two tags (802.1ad outside, 802.1Q inside) before an unknown protocol.
    const TAGGED: [u8; 24] = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, // destination, source
        0x88, 0xa8, 0x00, 0x64, // service tag 100
        0x81, 0x00, 0xe0, 0x07, // priority 7, tag 7
        0x88, 0xb5, 0xca, 0xfe, // local experimental
    ];

    #[test]
    fn a_frame_is_padded_and_read_again() {
        let bytes = frame(THERE, HERE, ARP, &[1, 2, 3]);
        assert_eq!(bytes.len(), 60);
        assert_eq!(bytes[..17], [2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 8, 6, 1, 2, 3]);
        let read = Frame::parse(&bytes).unwrap();
        assert_eq!((read.destination, read.source, read.ether_type), (THERE, HERE, ARP));
        assert_eq!(read.payload[..3], [1, 2, 3]);
        assert!(read.vlans.is_empty());
    }

    #[test]
    fn tags_are_taken_off_and_told() {
        let read = Frame::parse(&TAGGED).unwrap();
        assert_eq!(read.vlans, [100, 7]);
        assert_eq!((read.ether_type, read.payload), (0x88b5, &[0xca, 0xfe][..]));
    }

    #[test]
    fn every_cut_is_an_error_or_a_shorter_payload() {
        for len in 0..TAGGED.len() {
            match Frame::parse(&TAGGED[..len]) {
                Err(error) => {
                    assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
                    assert!(len < 14, "cut at {len}");
                }
                Ok(read) => assert!(read.payload.len() <= len.saturating_sub(14), "cut at {len}"),
            }
        }
    }
}
