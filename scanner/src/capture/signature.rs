//! How a system begins a connection: the sizes and options of its SYN or SYN-ACK as one text.
//!
//! `version;ttl;window;mss;scale;options;quirks`, for example `4;64;mss*44;1460;7;MSTNW;df,id`:
//! the hop count that it was sent with (the next of 32, 64, 128, 255), the window as a multiple
//! of the segment size where it is one, and the options in their order (`M` segment size, `S`
//! selective acknowledgement, `T` timestamps, `W` scale, `N` nothing, `E` end, others by their
//! number). Quirks are `df`, `id` (an identification beside "do not fragment"), `ecn`, `opt`
//! (IP options), `flow` (an IPv6 flow label), `ack`, `urg`, `psh` (fields or flags that have no
//! place there), `ts0` (a clock at zero), `ts2` (an echo in a SYN), `data`, `seq0`, `bad`
//! (options that break off). What it means is not known here.

use std::fmt::Write as _;

use wire::{
    Reader,
    tcp::{self, Rest, Segment},
};

/// Of which packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Of {
    Syn,
    SynAck,
}

/// The signature of a segment in the packet that carried it, whose bytes are `packet`.
pub(super) fn signature(of: Of, packet: &[u8], segment: &Segment, rest: &Rest<'_>) -> String {
    let mut quirks = Vec::new();
    let (version, ttl) = around(packet, &mut quirks);
    if segment.sequence == 0 {
        quirks.push("seq0");
    }
    if of == Of::Syn && segment.acknowledgement != 0 {
        quirks.push("ack");
    }
    /// ECE and CWR of RFC 3168, URG, PSH.
    const FLAGS: [(u8, &str); 4] = [(0x40, "ecn"), (0x80, "cwr"), (0x20, "urg"), (0x08, "psh")];
    for (flag, quirk) in FLAGS {
        if segment.has(flag) {
            quirks.push(quirk);
        }
    }
    let options = Options::read(of, rest.options, &mut quirks);
    if !rest.data.is_empty() {
        quirks.push("data");
    }
    let mut text = format!("{version};{};", initial(ttl));
    let window = segment.window;
    let multiple = options.mss.filter(|mss| *mss > 0 && window > 0 && window.is_multiple_of(*mss));
    // Writing to a string cannot fail.
    let _ = match multiple.and_then(|mss| window.checked_div(mss)) {
        Some(times) => write!(text, "mss*{times};"),
        None => write!(text, "{window};"),
    };
    let number = |value: Option<u16>| value.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let (mss, scale) = (number(options.mss), number(options.scale));
    let _ = write!(text, "{mss};{scale};{};{}", options.order, quirks.join(","));
    text
}

/// The version, and the time to live as it arrived.
fn around(packet: &[u8], quirks: &mut Vec<&'static str>) -> (u8, u8) {
    match packet {
        [first @ 0x40..=0x4f, tos, _, _, a, b, flags, _, ttl, ..] => {
            if tos & 3 != 0 {
                quirks.push("tos_ecn");
            }
            let has_number = [*a, *b] != [0, 0];
            if flags & 0x40 != 0 {
                quirks.push("df");
                if has_number {
                    quirks.push("id");
                }
            } else if !has_number {
                quirks.push("id0");
            }
            if first & 0x0f > 5 {
                quirks.push("opt");
            }
            (4, *ttl)
        }
        [0x60..=0x6f, label, a, b, _, _, _, hops, ..] => {
            if label & 0x0f != 0 || [*a, *b] != [0, 0] {
                quirks.push("flow");
            }
            (6, *hops)
        }
        _ => (0, 0),
    }
}

/// What systems begin with, the least that is not less than what arrived.
const fn initial(ttl: u8) -> u8 {
    match ttl {
        0..=32 => 32,
        33..=64 => 64,
        65..=128 => 128,
        _ => 255,
    }
}

#[derive(Default)]
struct Options {
    order: String,
    mss: Option<u16>,
    scale: Option<u16>,
}

impl Options {
    fn read(of: Of, bytes: &[u8], quirks: &mut Vec<&'static str>) -> Self {
        let mut found = Self::default();
        let mut r = Reader::new(bytes);
        if found.all(of, &mut r, quirks).is_none() {
            quirks.push("bad");
        }
        found
    }

    fn all(&mut self, of: Of, r: &mut Reader<'_>, quirks: &mut Vec<&'static str>) -> Option<()> {
        while !r.is_at_end() {
            let kind = r.u8("kind").ok()?;
            match kind {
                0 => {
                    self.order.push('E');
                    return Some(());
                }
                1 => {
                    self.order.push('N');
                    continue;
                }
                _ => {}
            }
            let len = usize::from(r.u8("length").ok()?.checked_sub(2)?);
            let mut value = r.nested("value", len).ok()?;
            match kind {
                2 => {
                    self.order.push('M');
                    self.mss = Some(value.u16("MSS").ok()?);
                }
                3 => {
                    self.order.push('W');
                    self.scale = Some(value.u8("shift").ok()?.into());
                }
                4 => self.order.push('S'),
                8 => {
                    self.order.push('T');
                    if value.u32("TSval").ok()? == 0 {
                        quirks.push("ts0");
                    }
                    if value.u32("TSecr").ok()? != 0 && of == Of::Syn {
                        quirks.push("ts2");
                    }
                }
                other => {
                    let _ = write!(self.order, "?{other}.");
                }
            }
        }
        Some(())
    }
}

/// Of which packet it is, by its flags; `None` for all others.
pub(super) const fn of(segment: &Segment) -> Option<Of> {
    let begins = segment.has(tcp::SYN) && segment.flags & (tcp::FIN | tcp::RST) == 0;
    match (begins, segment.has(tcp::ACK)) {
        (true, false) => Some(Of::Syn),
        (true, true) => Some(Of::SynAck),
        (false, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(packet: &[u8], expected: &str) {
        let header = if packet[0] >> 4 == 4 { 20 } else { 40 };
        let segment = Segment::parse(&packet[header..]).unwrap();
        let text = signature(of(&segment).unwrap(), packet, &segment, &Rest::of(&packet[header..]));
        assert_eq!(text, expected);
    }

    /// As Linux 6 sends it.
    const LINUX: [u8; 60] = [
        0x45, 0, 0, 60, 0x1c, 0x46, 0x40, 0, 63, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, // IP
        0xc0, 1, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 0xa0, 2, 0xfa, 0xf0, 0, 0, 0, 0, // TCP
        2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
    ];

    #[test]
    fn a_syn_is_one_text() {
        check(&LINUX, "4;64;mss*44;1460;7;MSTNW;df,id");
        let mut broken = LINUX;
        broken[58] = 0;
        check(&broken, "4;64;mss*44;1460;-;MSTN;df,id,bad");
        let mut answer = LINUX;
        answer[33] = 0x12;
        answer[8] = 128;
        answer[31] = 9;
        check(&answer, "4;128;mss*44;1460;7;MSTNW;df,id");
    }

    #[test]
    fn version_6_has_its_own() {
        let mut packet = vec![0x60, 0, 1, 2, 0, 24, 6, 255];
        packet.extend([0; 32]);
        packet.extend([0xc0, 1, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0]);
        packet.extend([2, 4, 5, 0xa0]);
        check(&packet, "6;255;65535;1440;-;M;flow,seq0");
    }
}
