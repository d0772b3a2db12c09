//! What `arp -a` and `arp -n` print on Linux, BSD, macOS and Windows, and `show ip arp` on Cisco's
//! devices. All of them have an address and a hardware address on a line, and little else in common.
//!
//! An entry tells nothing that somebody typed in (`PERM`, `static`, `静的`). An age in minutes,
//! or in hours, minutes and seconds, is how long ago it was heard.

use std::net::IpAddr;

use model::MacAddr;

use super::{
    Lines, Wrong,
    record::{Neighbor, Out, words},
    time, wrong,
};

#[derive(Debug)]
pub(super) struct Table;

/// Whether the line is an entry: an address, and later a hardware address.
pub(super) fn is_entry(line: &str) -> bool {
    address_of(line).is_some() && words(line).any(|word| mac_of(word).is_some())
}

/// The address of an entry, in brackets or by itself, and what stands before it.
fn address_of(line: &str) -> Option<(IpAddr, Option<&str>)> {
    let mut before = None;
    for word in words(line).take(3) {
        let plain = word.strip_prefix('(').and_then(|word| word.strip_suffix(')')).unwrap_or(word);
        if let Ok(address) = plain.parse::<IpAddr>() {
            return Some((address, before));
        }
        before = Some(word);
    }
    None
}

/// Six groups of one or two digits, or three of four; no other spelling, for ages and names
/// look like those.
fn mac_of(word: &str) -> Option<MacAddr> {
    let groups = |between: char| word.split(between).collect::<Vec<&str>>();
    let (colons, dashes, dots) = (groups(':'), groups('-'), groups('.'));
    let sixes = [colons, dashes].into_iter().find(|groups| groups.len() == 6);
    if sixes.is_none() && !(dots.len() == 3 && dots.iter().all(|group| group.len() == 4)) {
        return None;
    }
    if let Some(groups) = &sixes {
        // BSD leaves out the zeros in front of each, and so does macOS.
        let padded: Vec<String> = groups.iter().map(|group| format!("{group:0>2}")).collect();
        return padded.join(":").parse().ok();
    }
    word.parse().ok()
}

impl Lines for Table {
    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Wrong> {
        let Some((address, before)) = address_of(line) else {
            // Headings, names of interfaces, the number of entries.
            return Ok(());
        };
        let all: Vec<&str> = words(line).collect();
        let lower = line.to_lowercase();
        let is_said = |said: &str| lower.contains(said);
        let is_typed = all.iter().any(|word| {
            matches!(*word, "PERM" | "permanent" | "static" | "静的" | "CM" | "MP" | "M")
        });
        // Windows writes the interface's own address into its heading.
        if is_typed || is_said("incomplete") || is_said("---") {
            return Ok(());
        }
        let mut macs = all.iter().enumerate().filter_map(|(at, word)| Some((at, mac_of(word)?)));
        let Some((place, mac)) = macs.next() else {
            // A netmask, a group without a member, a line of another command.
            let is_table = is_said(" at ") || all.first() == Some(&"Internet");
            return match is_table && !is_said(" at *") {
                true => wrong("it has no hardware address that can be read"),
                false => Ok(()),
            };
        };
        // The age stands between the address and the hardware address.
        let age = place.checked_sub(1).and_then(|at| all.get(at));
        let is_cisco = all.first() == Some(&"Internet");
        let seconds = age.and_then(|age| match age.split(':').count() {
            3 => time::clock(age).and_then(|(h, m, s)| {
                h.checked_mul(3_600)?.checked_add(m.checked_mul(60)?)?.checked_add(s)
            }),
            _ if is_cisco => time::number(age).and_then(|minutes| minutes.checked_mul(60)),
            _ => None,
        });
        let at = out.context.written.plus_seconds(seconds.unwrap_or(0).saturating_neg());
        // "? (192.0.2.5) at …": what stands before the brackets is its name.
        let name = before.filter(|_| is_said(" at "));
        Neighbor { at, address, mac, name }.tell(line, out)
    }
}
