//! IEEE 802.11: data frames down to what they carry, with and without radiotap before them.
//!
//! Only whole, unencrypted data frames of one message are read. What an access point says of
//! itself (beacons) is not of the wired network that we are about.

use model::MacAddr;
use wire::{Malformed, Problem, Reader};

use super::link::{self, Frame, Place};

/// The bits of the first two bytes, as they come.
const TO_DS: u8 = 0x01;
const FROM_DS: u8 = 0x02;
const PROTECTED: u8 = 0x40;
const HAS_CONTROL: u8 = 0x80;

/// A frame without a check sequence; `None` where it carries no data, or nobody can read it.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut r = Reader::new(bytes);
    let control = r.u8("frame control")?;
    let flags = r.u8("frame control flags")?;
    let (kind, subtype) = ((control >> 2) & 3, control >> 4);
    // Version 0, type data; subtypes with bit 2 carry none (null functions and polls).
    if control & 3 != 0 || kind != 2 || subtype & 4 != 0 {
        return Ok(None);
    }
    r.u16("duration")?;
    let first = MacAddr(r.array("address 1")?);
    let second = MacAddr(r.array("address 2")?);
    let third = MacAddr(r.array("address 3")?);
    r.u16("sequence control")?;
    // Who sent it first, which need not be who has the air (table 9-30 of IEEE 802.11-2020).
    let source = match (flags & TO_DS != 0, flags & FROM_DS != 0) {
        (false | true, false) => second,
        (false, true) => third,
        (true, true) => MacAddr(r.array("address 4")?),
    };
    let destination = if flags & TO_DS == 0 { first } else { third };
    let ends = (source, destination);
    let mut many = false;
    if subtype & 8 != 0 {
        many = r.u8("QoS control")? & 0x80 != 0;
        r.u8("QoS control")?;
        if flags & HAS_CONTROL != 0 {
            r.take("HT control", 4)?;
        }
    }
    if flags & PROTECTED != 0 || many {
        // Whom it is from is said in the clear all the same.
        return Ok(Some(frame(ends, 0, &[])));
    }
    Ok(Some(match link::llc(r.rest()) {
        Some((ether_type, payload)) => frame(ends, ether_type, payload),
        None => frame(ends, 0, r.rest()),
    }))
}

const fn frame(
    (source, destination): (MacAddr, MacAddr),
    ether_type: u16,
    payload: &[u8],
) -> Frame<'_> {
    let (source, destination) = (Some(source), Some(destination));
    Frame { source, destination, vlan: 0, ether_type, payload, place: Place::OnLink }
}

/// The bits of radiotap's presence words that matter before the flags.
const TSFT: u32 = 1;
const FLAGS: u32 = 1 << 1;
const MORE_WORDS: u32 = 1 << 31;

/// In its flags: the frame ends in its check sequence; it was damaged on the air.
const ENDS_IN_CHECK: u8 = 0x10;
const DAMAGED: u8 = 0x40;

/// A frame behind radiotap's header (radiotap.org).
pub(super) fn behind_radiotap(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut r = Reader::new(bytes);
    let version = r.u8("it_version")?;
    if version != 0 {
        return Err(r.invalid("it_version", version));
    }
    r.u8("it_pad")?;
    let length = r.u16_le("it_len")?;
    let Some(frame) = bytes.get(usize::from(length)..) else {
        return Err(r.malformed("it_len", Problem::Truncated));
    };
    let first = r.u32_le("it_present")?;
    let mut word = first;
    while word & MORE_WORDS != 0 {
        word = r.u32_le("it_present")?;
    }
    let mut flags = 0;
    if first & FLAGS != 0 {
        if first & TSFT != 0 {
            // Aligned to its own size, counted from the start of the header.
            let aligned = r.offset().next_multiple_of(8).saturating_sub(r.offset());
            r.take("padding", aligned)?;
            r.u64("TSFT")?;
        }
        flags = r.u8("flags")?;
    }
    if flags & DAMAGED != 0 {
        return Ok(None);
    }
    let without = frame.len().saturating_sub(4);
    read(if flags & ENDS_IN_CHECK != 0 { frame.get(..without).unwrap_or(frame) } else { frame })
}
