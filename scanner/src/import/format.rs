//! Which format a file has, by what is in it.

use std::{fmt, str::FromStr};

use super::{arp, ip_neigh, kea, log, record::words, windows};

/// What kind of thing is imported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// What DHCP servers know.
    Dhcp,
    /// Neighbour tables.
    Neighbors,
    /// Results of other scanners.
    Scan,
}

/// A format that can be read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Format {
    /// Log lines of ISC dhcpd, dnsmasq, Kea, MikroTik and Cisco, also among others'.
    Log,
    /// Leases of ISC dhcpd, dhcpd.leases(5), also of DHCPv6.
    DhcpdLeases,
    /// Leases of dnsmasq.
    DnsmasqLeases,
    /// Leases of Kea, memfile.
    KeaCsv,
    /// Leases of Kea, as its command `lease4-get-all` answers, and logs in JSON.
    KeaJson,
    /// The audit log of Microsoft's DHCP server.
    WindowsDhcp,
    /// `ip neigh`.
    IpNeigh,
    /// `arp -a` and `arp -n` of Linux, BSD and Windows, `show ip arp` of Cisco.
    Arp,
    /// A walk of ipNetToMediaTable or ipNetToPhysicalTable.
    SnmpWalk,
    /// `nmap -oX`, and `masscan -oX`.
    NmapXml,
    /// `masscan -oJ`.
    MasscanJson,
    /// `masscan -oL`.
    MasscanList,
    /// `naabu -json`.
    NaabuJson,
}

/// The text names no format.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoFormat(String);

impl fmt::Display for NoFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
        write!(f, "{:?} is not a format ({})", self.0, all.join(", "))
    }
}

impl std::error::Error for NoFormat {}

/// How much of a file is looked at.
const LOOKED_AT: usize = 64 << 10;

/// How many lines say which format it is.
const LINES: usize = 200;

impl Format {
    /// Every format.
    pub const ALL: [Self; 13] = [
        Self::Log,
        Self::DhcpdLeases,
        Self::DnsmasqLeases,
        Self::KeaCsv,
        Self::KeaJson,
        Self::WindowsDhcp,
        Self::IpNeigh,
        Self::Arp,
        Self::SnmpWalk,
        Self::NmapXml,
        Self::MasscanJson,
        Self::MasscanList,
        Self::NaabuJson,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::DhcpdLeases => "dhcpd-leases",
            Self::DnsmasqLeases => "dnsmasq-leases",
            Self::KeaCsv => "kea-csv",
            Self::KeaJson => "kea-json",
            Self::WindowsDhcp => "windows-dhcp",
            Self::IpNeigh => "ip-neigh",
            Self::Arp => "arp",
            Self::SnmpWalk => "snmp-walk",
            Self::NmapXml => "nmap-xml",
            Self::MasscanJson => "masscan-json",
            Self::MasscanList => "masscan-list",
            Self::NaabuJson => "naabu-json",
        }
    }

    /// What it tells of.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Log
            | Self::DhcpdLeases
            | Self::DnsmasqLeases
            | Self::KeaCsv
            | Self::KeaJson
            | Self::WindowsDhcp => Family::Dhcp,
            Self::IpNeigh | Self::Arp | Self::SnmpWalk => Family::Neighbors,
            Self::NmapXml | Self::MasscanJson | Self::MasscanList | Self::NaabuJson => Family::Scan,
        }
    }

    /// Whether a file of it grows at its end, so that it can be followed.
    #[must_use]
    pub const fn grows(self) -> bool {
        matches!(self, Self::Log | Self::DhcpdLeases | Self::KeaCsv | Self::WindowsDhcp)
    }

    /// The format of a file that begins with these bytes. `None` where they say nothing of it.
    #[must_use]
    pub fn of(bytes: &[u8], family: Family) -> Option<Self> {
        let head = bytes.get(..LOOKED_AT).unwrap_or(bytes);
        let text = super::text(head, true);
        let start = text.trim_start();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(LINES);
        match family {
            Family::Dhcp if start.starts_with(['{', '[']) => Some(Self::KeaJson),
            Family::Dhcp => lines.find_map(dhcp),
            Family::Neighbors => lines.find_map(neighbors),
            Family::Scan if start.starts_with('<') => Some(Self::NmapXml),
            Family::Scan => lines.find_map(scan),
        }
    }
}

fn dhcp(line: &str) -> Option<Format> {
    let mut first = words(line);
    let (first, second, third) = (first.next()?, first.next(), first.next());
    let opens = line.ends_with('{');
    if opens && matches!(first, "lease" | "ia-na" | "ia-ta" | "ia-pd") {
        return Some(Format::DhcpdLeases);
    }
    // dnsmasq's file begins with leases, or with the server's DUID where those are of DHCPv6 alone.
    let is_lease = first.bytes().all(|b| b.is_ascii_digit())
        && third.is_some_and(|third| third.parse::<std::net::IpAddr>().is_ok());
    if is_lease || (first == "duid" && second.is_some()) {
        return Some(Format::DnsmasqLeases);
    }
    if kea::is_heading(line) {
        return Some(Format::KeaCsv);
    }
    if windows::is_heading(line) || windows::is_event(line) {
        return Some(Format::WindowsDhcp);
    }
    log::is_told(line).then_some(Format::Log)
}

fn neighbors(line: &str) -> Option<Format> {
    if super::snmp_walk::is_entry(line) {
        return Some(Format::SnmpWalk);
    }
    if ip_neigh::is_entry(line) {
        return Some(Format::IpNeigh);
    }
    arp::is_entry(line).then_some(Format::Arp)
}

fn scan(line: &str) -> Option<Format> {
    if line.starts_with("#masscan")
        || line.starts_with("open tcp ")
        || line.starts_with("open udp ")
    {
        return Some(Format::MasscanList);
    }
    if !line.starts_with('{') {
        return None;
    }
    let is_masscan = line.contains("\"ports\"");
    Some(if is_masscan { Format::MasscanJson } else { Format::NaabuJson })
}

impl FromStr for Format {
    type Err = NoFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == text);
        known.ok_or_else(|| NoFormat(text.to_owned()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
