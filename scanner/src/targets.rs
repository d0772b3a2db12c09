//! What the user wrote, to addresses.
//!
//! Arguments and lists in, a [`Scope`], the names still to resolve and every mistake out.
//! Nothing here opens a file or asks a name server: the caller reads `@file` and resolves
//! names, and brings back text and addresses. One mistake never hides another, and each
//! says which argument, what is wrong with it and what to write instead.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use model::AddressRange;
use thiserror::Error;

use crate::{Scope, scope::merged};

/// Sweeps of more addresses than this want to be asked for by name (`--yes-large`).
pub const LARGE: u128 = 1 << 20;

/// The shortest IPv6 prefix that is asked address by address: 65,536 of them, as many as
/// the largest IPv4 network that people sweep without thinking twice. A shorter one is an area:
/// searched, if it is on a link of ours.
const SHORTEST_V6_PREFIX: u8 = 112;

/// One target or exclusion, read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// These addresses.
    Range(AddressRange),
    /// An IPv6 prefix of more addresses than can be asked one by one: to be searched.
    Area(AddressRange),
    /// A host name, lower case, without a trailing dot; not resolved yet.
    Name(String),
    /// `@path`: a list in this file, one a line.
    File(String),
}

/// Whether an argument adds addresses or takes them out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// To be asked.
    Target,
    /// Never to be asked, whatever else says so. Groups and whole IPv6 networks are
    /// welcome here, and a network keeps its network and broadcast address.
    Exclusion,
}

/// An argument that means nothing, and where it stood.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub struct TargetError {
    /// What was written.
    pub argument: String,
    /// File and line, counted from 1, for an entry of a list.
    pub place: Option<(String, usize)>,
    /// What is wrong and what to do. Boxed, because most results carry none.
    pub problem: Box<Problem>,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((file, line)) = &self.place {
            write!(f, "{file}, line {line}: ")?;
        }
        write!(f, "{:?}: {}", self.argument, self.problem)
    }
}

/// What is wrong with a target, and what to write instead.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Problem {
    /// There is nothing.
    #[error("nothing is named; give an address, a network, a range, a host name or @file")]
    Empty,
    /// `/x`.
    #[error("the prefix {0:?} is not a number; write for example /24")]
    Prefix(String),
    /// `10.0.0.0/33`.
    #[error("a prefix of {family} has at most {most} bits, not {prefix}")]
    PrefixTooLong {
        /// IPv4 or IPv6.
        family: &'static str,
        /// 32 or 128.
        most: u8,
        /// As written.
        prefix: u32,
    },
    /// `2001:db8::-2001:db8::1:0`, `::ffff:192.0.2.0/64`.
    #[error(
        "these are more IPv6 addresses than can be asked one by one (at most a /112, 65,536 of \
         them); name the prefix of a link to have it searched, or the addresses that are in use"
    )]
    TooWideForIpv6,
    /// `192.0.2.10-`.
    #[error("the range is empty: it has no {0}; write for example 192.0.2.10-40")]
    HalfARange(&'static str),
    /// `192.0.2.10-x`.
    #[error("{0:?} does not end a range; write a whole address or its last number")]
    RangeEnd(String),
    /// `192.0.2.40-10`.
    #[error("the range runs backwards; write {last}-{first}")]
    Backwards {
        /// What stands first.
        first: IpAddr,
        /// What stands last.
        last: IpAddr,
    },
    /// `192.0.2.1-2001:db8::1`.
    #[error("the range mixes IPv4 and IPv6; write one range for each")]
    MixedFamilies,
    /// `224.0.0.0/4`.
    #[error("it holds multicast addresses, which are groups and not devices; leave them out")]
    Multicast,
    /// `255.255.255.255`.
    #[error("it holds the broadcast address 255.255.255.255; name the network instead")]
    Broadcast,
    /// `0.0.0.0`, `::`.
    #[error("it holds the unspecified address ({0}), which no device has; name the network")]
    Unspecified(&'static str),
    /// `192.0.2.1:22`.
    #[error("a target has no port; write {address} and --ports {port}")]
    Port {
        /// The part before it.
        address: String,
        /// The port.
        port: String,
    },
    /// `http://192.0.2.1/`.
    #[error("this is a URL; write only its host: {0}")]
    Url(String),
    /// `fe80::1%eth0`.
    #[error(
        "an interface does not belong into the address; write {address} and --interface {zone}"
    )]
    Zone {
        /// The address.
        address: String,
        /// What follows the percent sign.
        zone: String,
    },
    /// `192.0.2.256`.
    #[error("this is no address: {0}")]
    Address(&'static str),
    /// `-web`.
    #[error("this is neither an address nor a host name: {0}")]
    Name(&'static str),
    /// `@` alone.
    #[error("no file is named after the @")]
    NoFile,
    /// `@list` inside a list.
    #[error("a list cannot name another list; give both on the command line")]
    NestedFile,
    /// A sweep of more than [`LARGE`] addresses.
    #[error("{0} addresses are more than 1,048,576; say --yes-large if that is meant")]
    Large(u128),
    /// A name led to an address that no device has.
    #[error("it leads to {0}, which is not the address of one device")]
    NotUnicast(IpAddr),
}

/// Reads one argument.
///
/// An IPv4 network of prefix 30 or shorter, as a target, leaves out its first and last
/// address (network and broadcast): nobody may have them, and a packet to them may be
/// taken for one to everybody (RFC 1812, section 4.2.3.1). /31 (RFC 3021) and /32 keep
/// all, and so do IPv6 networks, which have no broadcast, and exclusions. Host bits in
/// front of the slash are masked away.
pub fn parse(argument: &str, purpose: Purpose) -> Result<Target, TargetError> {
    read(argument.trim(), purpose).map_err(|problem| TargetError {
        argument: argument.trim().to_owned(),
        place: None,
        problem: Box::new(problem),
    })
}

/// Targets and exclusions as they come together from the command line, lists, the
/// configuration and the name service.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    allowed: Vec<AddressRange>,
    excluded: Vec<AddressRange>,
    areas: Vec<AddressRange>,
    names: Vec<String>,
    excluded_names: Vec<String>,
    errors: Vec<TargetError>,
}

impl Selection {
    /// Takes one argument. Gives back the path of an `@file`, whose text goes to
    /// [`Selection::add_list`].
    pub fn add(&mut self, purpose: Purpose, argument: &str) -> Option<String> {
        match parse(argument, purpose) {
            Ok(Target::File(path)) => return Some(path),
            Ok(target) => self.take(purpose, target),
            Err(error) => self.errors.push(error),
        }
        None
    }

    /// Takes a list: one target a line, empty lines and everything behind `#` left out.
    pub fn add_list(&mut self, purpose: Purpose, file: &str, text: &str) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let read = match parse(line, purpose) {
                Ok(Target::File(_)) => Err(TargetError {
                    argument: line.to_owned(),
                    place: None,
                    problem: Box::new(Problem::NestedFile),
                }),
                other => other,
            };
            match read {
                Ok(target) => self.take(purpose, target),
                Err(error) => {
                    let place = Some((file.to_owned(), index.saturating_add(1)));
                    self.errors.push(TargetError { place, ..error });
                }
            }
        }
    }

    /// Takes an address to which `name` led.
    pub fn add_resolved(&mut self, purpose: Purpose, name: &str, address: IpAddr) {
        let address = address.to_canonical();
        if purpose == Purpose::Target && crate::is_not_unicast(address) {
            let problem = Box::new(Problem::NotUnicast(address));
            self.errors.push(TargetError { argument: name.to_owned(), place: None, problem });
            return;
        }
        self.take(purpose, Target::Range(AddressRange::single(address)));
    }

    fn take(&mut self, purpose: Purpose, target: Target) {
        let (ranges, names) = match purpose {
            Purpose::Target => (&mut self.allowed, &mut self.names),
            Purpose::Exclusion => (&mut self.excluded, &mut self.excluded_names),
        };
        match target {
            Target::Range(range) => ranges.push(range),
            Target::Area(area) => self.areas.push(area),
            Target::Name(name) if !names.contains(&name) => names.push(name),
            Target::Name(_) | Target::File(_) => {}
        }
    }

    /// The names still to resolve, each once, in the order given. Of an exclusion that
    /// does not resolve nobody knows what it excludes: do not sweep then.
    #[must_use]
    pub fn names(&self, purpose: Purpose) -> &[String] {
        match purpose {
            Purpose::Target => &self.names,
            Purpose::Exclusion => &self.excluded_names,
        }
    }

    /// What could not be read, in the order given.
    #[must_use]
    pub fn errors(&self) -> &[TargetError] {
        &self.errors
    }

    /// The addresses and areas so far.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::new(self.allowed.clone(), self.excluded.clone()).with_areas(self.areas.clone())
    }

    /// How many addresses there are to ask, exclusions taken out, each counted once. Those of
    /// areas are not counted: nobody knows them yet.
    /// More than [`LARGE`] are an error unless allowed.
    pub fn count(&self, allow_large: bool) -> Result<u128, TargetError> {
        let count = self.scope().permitted_count();
        if count <= LARGE || allow_large {
            return Ok(count);
        }
        let ranges = merged(self.allowed.clone());
        let texts: Vec<String> = ranges.iter().take(3).map(ToString::to_string).collect();
        let more = if ranges.len() > 3 { ", …" } else { "" };
        let argument = format!("{}{more}", texts.join(", "));
        Err(TargetError { argument, place: None, problem: Box::new(Problem::Large(count)) })
    }
}

fn read(text: &str, purpose: Purpose) -> Result<Target, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    if let Some(path) = text.strip_prefix('@') {
        let path = path.trim();
        return if path.is_empty() { Err(Problem::NoFile) } else { Ok(Target::File(path.into())) };
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        return Err(Problem::Url(host.to_owned()));
    }
    refuse_port(text)?;
    if let Some((address, zone)) = text.split_once('%')
        && address.parse::<Ipv6Addr>().is_ok()
    {
        let (address, zone) = (address.to_owned(), zone.to_owned());
        return Err(Problem::Zone { address, zone });
    }
    let range = if let Some((address, prefix)) = text.split_once('/') {
        network(address, prefix, purpose)?
    } else if let Some(address) = address(text) {
        AddressRange::single(address)
    } else if let Some((first, last)) = split_range(text) {
        run(first, last)?
    } else {
        return name(text).map(Target::Name);
    };
    if purpose == Purpose::Exclusion {
        return Ok(Target::Range(range));
    }
    judge(range)?;
    let is_wide = range.first().is_ipv6() && range.len() > 1 << (128 - SHORTEST_V6_PREFIX);
    match (is_wide, text.contains('/')) {
        (false, _) => Ok(Target::Range(range)),
        (true, true) => Ok(Target::Area(range)),
        (true, false) => Err(Problem::TooWideForIpv6),
    }
}

/// An address, with or without the brackets of a URL; IPv4 in IPv6 clothes is IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
    .map(|address: IpAddr| address.to_canonical())
}

fn refuse_port(text: &str) -> Result<(), Problem> {
    let Some((address, port)) = text.rsplit_once(':') else { return Ok(()) };
    let bracketed = address.starts_with('[') && address.ends_with(']');
    // Several colons without brackets are an IPv6 address, in which the last group may
    // look like a port.
    if !bracketed && address.contains(':') {
        return Ok(());
    }
    let address = address.trim_start_matches('[').trim_end_matches(']').to_owned();
    Err(Problem::Port { address, port: port.to_owned() })
}

fn network(text: &str, prefix: &str, purpose: Purpose) -> Result<AddressRange, Problem> {
    let Some(plain) = address(text) else {
        return Err(match looks_numeric(text) {
            true => Problem::Address(FOUR_NUMBERS),
            false => Problem::Name("only an address has a prefix"),
        });
    };
    let written: u32 = prefix
        .parse()
        .ok()
        .filter(|_| prefix.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| Problem::Prefix(prefix.to_owned()))?;
    let dressed = plain.is_ipv4() && text.contains(':');
    let (family, most) = match plain.is_ipv4() && !dressed {
        true => ("IPv4", 32),
        false => ("IPv6", 128),
    };
    let too_long = || Problem::PrefixTooLong { family, most, prefix: written };
    let prefix = u8::try_from(written).ok().filter(|p| *p <= most).ok_or_else(too_long)?;
    match plain {
        IpAddr::V4(v4) => {
            let Some(prefix) = (if dressed { prefix.checked_sub(96) } else { Some(prefix) }) else {
                return Err(Problem::TooWideForIpv6);
            };
            Ok(network_v4(v4, prefix, purpose))
        }
        IpAddr::V6(v6) => {
            let host_bits = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            let (first, last) = (u128::from(v6) & !host_bits, u128::from(v6) | host_bits);
            let (first, last) = (Ipv6Addr::from(first).into(), Ipv6Addr::from(last).into());
            Ok(AddressRange::new(first, last).unwrap_or(AddressRange::single(plain)))
        }
    }
}

fn network_v4(address: Ipv4Addr, prefix: u8, purpose: Purpose) -> AddressRange {
    let host_bits = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    let (mut first, mut last) = (u32::from(address) & !host_bits, u32::from(address) | host_bits);
    if prefix <= 30 && purpose == Purpose::Target {
        first = first.saturating_add(1);
        last = last.saturating_sub(1);
    }
    let (first, last) = (Ipv4Addr::from(first).into(), Ipv4Addr::from(last).into());
    AddressRange::new(first, last).unwrap_or(AddressRange::single(address.into()))
}

/// Where a range may be cut in two. Host names hold hyphens too, so one of the halves
/// must be an address (or nothing) for it to be meant as a range.
fn split_range(text: &str) -> Option<(&str, &str)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    let meant = address(first).is_some()
        || (first.is_empty() && (address(last).is_some() || last.is_empty()))
        || (looks_numeric(first) && first.contains('.') && looks_numeric(last));
    meant.then_some((first, last))
}

fn run(first_text: &str, last_text: &str) -> Result<AddressRange, Problem> {
    if first_text.is_empty() {
        return Err(Problem::HalfARange("beginning"));
    }
    let first = address(first_text).ok_or(Problem::Address(FOUR_NUMBERS))?;
    if last_text.is_empty() {
        return Err(Problem::HalfARange("end"));
    }
    let end = || Problem::RangeEnd(last_text.to_owned());
    let last = match (address(last_text), first) {
        (Some(last), _) => last,
        (None, IpAddr::V4(v4)) => {
            let digits = last_text.bytes().all(|b| b.is_ascii_digit());
            let number: u8 = last_text.parse().ok().filter(|_| digits).ok_or_else(end)?;
            let [a, b, c, _] = v4.octets();
            Ipv4Addr::new(a, b, c, number).into()
        }
        (None, IpAddr::V6(v6)) => {
            let digits = last_text.bytes().all(|b| b.is_ascii_hexdigit());
            let number = u16::from_str_radix(last_text, 16).ok().filter(|_| digits);
            let [a, b, c, d, e, f, g, _] = v6.segments();
            Ipv6Addr::new(a, b, c, d, e, f, g, number.ok_or_else(end)?).into()
        }
    };
    if first.is_ipv4() != last.is_ipv4() {
        return Err(Problem::MixedFamilies);
    }
    AddressRange::new(first, last).ok_or(Problem::Backwards { first, last })
}

/// Whether every address of the range may be a device's.
fn judge(range: AddressRange) -> Result<(), Problem> {
    let meets = |first: IpAddr, last: IpAddr| {
        first.is_ipv4() == range.first().is_ipv4() && range.first() <= last && first <= range.last()
    };
    let v4 = |a, b, c, d| IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    let v6_first = Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0).into();
    let v6_last = Ipv6Addr::from(u128::MAX).into();
    if range.contains(v4(0, 0, 0, 0)) {
        return Err(Problem::Unspecified("0.0.0.0"));
    }
    if range.contains(Ipv6Addr::UNSPECIFIED.into()) {
        return Err(Problem::Unspecified("::"));
    }
    if meets(v4(224, 0, 0, 0), v4(239, 255, 255, 255)) || meets(v6_first, v6_last) {
        return Err(Problem::Multicast);
    }
    if range.contains(Ipv4Addr::BROADCAST.into()) {
        return Err(Problem::Broadcast);
    }
    Ok(())
}

const FOUR_NUMBERS: &str =
    "write four numbers from 0 to 255 with points between them, without leading zeros";

fn looks_numeric(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// A host name after RFC 1123, section 2.1, and RFC 1035, section 2.3.4; underscores,
/// which Windows networks use, are let through.
fn name(text: &str) -> Result<String, Problem> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.contains(':') {
        return Err(Problem::Address("write eight groups of up to four hexadecimal digits"));
    }
    if !name.is_ascii() {
        return Err(Problem::Name("write it in ASCII (a label of other letters begins with xn--)"));
    }
    if name.len() > 253 {
        return Err(Problem::Name("it is longer than 253 letters"));
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::Address(FOUR_NUMBERS));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(Problem::Name("one of its labels is empty"));
        }
        if label.len() > 63 {
            return Err(Problem::Name("one of its labels is longer than 63 letters"));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(Problem::Name("a label cannot begin or end with a hyphen"));
        }
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(Problem::Name("only letters, digits and hyphens can be in a name"));
        }
    }
    Ok(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(target: Target) -> String {
        match target {
            Target::Range(range) => range.to_string(),
            Target::Area(area) => format!("area {area}"),
            Target::Name(name) => format!("name {name}"),
            Target::File(path) => format!("file {path}"),
        }
    }

    #[track_caller]
    fn check(argument: &str, expected: Result<&str, &str>) {
        let got = parse(argument, Purpose::Target).map(text).map_err(|e| e.to_string());
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(got), Err(part)) => {
                assert!(got.contains(part), "{got:?} does not say {part:?}");
                assert!(got.contains(&format!("{:?}", argument.trim())), "{got} names it not");
            }
            (got, expected) => panic!("{argument:?}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn addresses_networks_and_ranges() {
        check(" 192.0.2.7 ", Ok("192.0.2.7"));
        check("2001:DB8::7", Ok("2001:db8::7"));
        check("[2001:db8::7]", Ok("2001:db8::7"));
        check("::ffff:192.0.2.7", Ok("192.0.2.7"));
        check("192.0.2.0/24", Ok("192.0.2.1-192.0.2.254"));
        check("192.0.2.99/24", Ok("192.0.2.1-192.0.2.254"));
        check("192.0.2.4/30", Ok("192.0.2.5-192.0.2.6"));
        check("192.0.2.4/31", Ok("192.0.2.4-192.0.2.5"));
        check("192.0.2.4/32", Ok("192.0.2.4"));
        check("127.0.0.1/8", Ok("127.0.0.1-127.255.255.254"));
        check("::ffff:192.0.2.0/120", Ok("192.0.2.1-192.0.2.254"));
        check("2001:db8::1234/112", Ok("2001:db8::-2001:db8::ffff"));
        check("2001:db8::1/128", Ok("2001:db8::1"));
        check("2001:db8::7/64", Ok("area 2001:db8::-2001:db8::ffff:ffff:ffff:ffff"));
        check("fe80::/111", Ok("area fe80::-fe80::1:ffff"));
        check("192.0.2.10-40", Ok("192.0.2.10-192.0.2.40"));
        check("192.0.2.10 - 192.0.3.9", Ok("192.0.2.10-192.0.3.9"));
        check("192.0.2.10-10", Ok("192.0.2.10"));
        check("2001:db8::10-2f", Ok("2001:db8::10-2001:db8::2f"));
        check("2001:db8::10-2001:db8::1:9", Ok("2001:db8::10-2001:db8::1:9"));
    }

    #[test]
    fn names_and_files() {
        check("Web-1.Example.", Ok("name web-1.example"));
        check("pc_7", Ok("name pc_7"));
        check("3com.example", Ok("name 3com.example"));
        check("a-b", Ok("name a-b"));
        check("@plant/targets.txt", Ok("file plant/targets.txt"));
    }

    #[test]
    fn each_mistake_has_its_own_words() {
        check("", Err("nothing is named"));
        check("10.0.0.0/33", Err("a prefix of IPv4 has at most 32 bits, not 33"));
        check("2001:db8::/129", Err("a prefix of IPv6 has at most 128 bits, not 129"));
        check("10.0.0.0/", Err("the prefix \"\" is not a number"));
        check("10.0.0.0/+8", Err("the prefix \"+8\" is not a number"));
        check("10.0.0.0/255.0.0.0", Err("is not a number"));
        check("host/24", Err("only an address has a prefix"));
        check("10.0.0/8", Err("write four numbers"));
        check("2001:db8::-2001:db8::1:0", Err("name the prefix of a link to have it searched"));
        check("::ffff:192.0.2.0/64", Err("at most a /112"));
        check("192.0.2.10-", Err("the range is empty: it has no end"));
        check("-192.0.2.10", Err("the range is empty: it has no beginning"));
        check("-", Err("the range is empty"));
        check("192.0.2.10-300", Err("\"300\" does not end a range"));
        check("192.0.2.10-x", Err("\"x\" does not end a range"));
        check("192.0.2.40-10", Err("runs backwards; write 192.0.2.10-192.0.2.40"));
        check("192.0.2.1-2001:db8::1", Err("mixes IPv4 and IPv6"));
        check("224.0.0.1", Err("multicast"));
        check("223.0.0.0-225.0.0.0", Err("multicast"));
        check("224.0.0.0/4", Err("multicast"));
        check("ff02::1", Err("multicast"));
        check("ff02::/16", Err("multicast"));
        check("e000::/3", Err("multicast"));
        check("::/0", Err("unspecified address (::)"));
        check("255.255.255.255", Err("broadcast"));
        check("0.0.0.0", Err("unspecified address (0.0.0.0)"));
        check("::", Err("unspecified address (::)"));
        check("192.0.2.1:22", Err("write 192.0.2.1 and --ports 22"));
        check("[2001:db8::1]:22", Err("write 2001:db8::1 and --ports 22"));
        check("web:443", Err("write web and --ports 443"));
        check("https://web.example/x", Err("write only its host: web.example"));
        check("fe80::1%eth0", Err("write fe80::1 and --interface eth0"));
        check("192.0.2.256", Err("write four numbers"));
        check("192.0.2.07", Err("write four numbers"));
        check("192.0.2", Err("write four numbers"));
        check("2001:db8::g", Err("hexadecimal"));
        check("-web", Err("begin or end with a hyphen"));
        check("web..example", Err("one of its labels is empty"));
        check("we b", Err("only letters"));
        check("プリンタ", Err("ASCII"));
        check(&"a".repeat(64), Err("longer than 63"));
        check(&"a.".repeat(127).repeat(2), Err("longer than 253"));
        check("@", Err("no file is named"));
    }

    #[test]
    fn an_exclusion_may_be_as_wide_as_it_likes() {
        let check = |argument, expected| {
            assert_eq!(parse(argument, Purpose::Exclusion).map(text).unwrap(), expected);
        };
        check("192.0.2.0/24", "192.0.2.0-192.0.2.255");
        check("224.0.0.0/4", "224.0.0.0-239.255.255.255");
        check("::/0", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        check("0.0.0.0/0", "0.0.0.0-255.255.255.255");
    }

    #[test]
    fn a_list_says_where_its_mistakes_are() {
        let mut selection = Selection::default();
        assert_eq!(selection.add(Purpose::Target, "@list").as_deref(), Some("list"));
        let text = "\u{feff}192.0.2.1 # first\r\n\r\n# none\n10.0.0.0/33\nweb\n@more\nWEB\n";
        selection.add_list(Purpose::Target, "list", text);
        let errors: Vec<String> = selection.errors().iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].starts_with("list, line 4: \"10.0.0.0/33\": a prefix"), "{errors:?}");
        assert!(errors[1].starts_with("list, line 6: \"@more\": a list cannot"), "{errors:?}");
        assert_eq!(selection.names(Purpose::Target), ["web"]);
        assert_eq!(selection.count(false), Ok(1));
    }

    #[test]
    fn the_count_knows_exclusions_and_overlaps() {
        let mut selection = Selection::default();
        for target in ["10.0.0.0/12", "10.0.0.0/24", "192.0.2.1"] {
            assert_eq!(selection.add(Purpose::Target, target), None);
        }
        assert_eq!(selection.count(false), Ok((1 << 20) - 2 + 1));
        selection.add(Purpose::Target, "10.16.0.0/24");
        let error = selection.count(false).unwrap_err().to_string();
        assert!(error.contains("1048829 addresses") && error.contains("--yes-large"), "{error}");
        assert_eq!(selection.count(true), Ok(1_048_829));
        selection.add(Purpose::Exclusion, "10.0.0.0/24");
        assert_eq!(selection.count(false), Ok(1_048_829 - 255));
    }

    #[test]
    fn what_a_name_leads_to_is_judged_too() {
        let mut selection = Selection::default();
        selection.add_resolved(Purpose::Target, "web", "192.0.2.1".parse().unwrap());
        selection.add_resolved(Purpose::Target, "odd", "ff02::1".parse().unwrap());
        selection.add_resolved(Purpose::Exclusion, "mapped", "::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(selection.count(false), Ok(0));
        assert!(selection.errors()[0].to_string().starts_with("\"odd\": it leads to ff02::1"));
    }
}
