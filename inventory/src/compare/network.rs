//! What assets are and do in the network against what was approved: who may give out leases and
//! be a router, whom to ask for names and the time, and what may be said in the clear.
//!
//! Where a list is empty nothing of its kind was decided, and nothing is judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use model::{AddressRange, MacAddr, NetworkRole, RouterProtocol, Severity, Use};

use super::{Detections, Input, Rule, name_of, subject_of};
use crate::{
    asset::{Asset, Detection},
    register::address_range,
};

const ROGUE_DHCP: Rule = Rule {
    id: "dhcp.rogue-server",
    title: "Unapproved DHCP server",
    citation: "CIS Controls v8, 1.2 and 12.2; RFC 2131, section 7",
    severity: Severity::Critical,
};

const ROGUE_ROUTER: Rule = Rule {
    id: "ra.rogue-router",
    title: "Unapproved router advertises itself to hosts",
    citation: "CIS Controls v8, 1.2 and 12.2; RFC 6104",
    severity: Severity::Critical,
};

const RESOLVER: Rule = Rule {
    id: "dns.unapproved-resolver",
    title: "Unapproved name server is used",
    citation: "CIS Controls v8, 4.9",
    severity: Severity::Warning,
};

const TIME_SERVER: Rule = Rule {
    id: "ntp.unapproved-server",
    title: "Unapproved time server is used",
    citation: "CIS Controls v8, 8.4",
    severity: Severity::Info,
};

const CLEARTEXT: Rule = Rule {
    id: "cleartext.in-use",
    title: "Protocol without encryption is used",
    citation: "CIS Controls v8, 3.10, 4.6 and 12.6",
    severity: Severity::Warning,
};

/// Those that run where somebody approved something of their kind, and the one that always does.
pub(super) const RULES: [Rule; 5] = [ROGUE_DHCP, ROGUE_ROUTER, RESOLVER, TIME_SERVER, CLEARTEXT];

/// What the organisation approved in its network.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Network {
    /// Who may give out leases, in DHCP and DHCPv6.
    pub dhcp_servers: Approved,
    /// Who may advertise itself as a router of IPv6.
    pub routers: Approved,
    /// Who may be asked for names.
    pub resolvers: Approved,
    /// Who may be asked for the time.
    pub time_servers: Approved,
    /// The protocols that may be spoken without encryption, as [`Use::Cleartext`] names them.
    pub cleartext: BTreeSet<String>,
}

/// Who was approved; empty where nobody decided.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Approved {
    ranges: Vec<AddressRange>,
    macs: BTreeSet<MacAddr>,
}

impl Approved {
    /// Reads addresses, networks, ranges and MAC addresses.
    ///
    /// # Errors
    ///
    /// Gives the text that is none of them.
    pub fn read<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, &'t str> {
        let mut approved = Self::default();
        for text in texts {
            match (address_range(text), text.parse()) {
                (Some(range), _) => approved.ranges.push(range),
                (None, Ok(mac)) => drop(approved.macs.insert(mac)),
                (None, Err(_)) => return Err(text),
            }
        }
        Ok(approved)
    }

    /// Whether nobody decided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.macs.is_empty()
    }

    fn has(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    /// Whether the asset is one of them, by any of its addresses.
    fn includes(&self, asset: &Asset) -> bool {
        asset.addresses().any(|address| self.has(address))
            || asset.macs().any(|mac| self.macs.contains(&mac))
    }
}

pub(super) fn compare(
    input: &Input<'_>,
    detections: &mut Detections,
    evaluated: &mut BTreeSet<&'static str>,
) {
    let network = input.network;
    let decided = [
        (ROGUE_DHCP, !network.dhcp_servers.is_empty()),
        (ROGUE_ROUTER, !network.routers.is_empty()),
        (RESOLVER, !network.resolvers.is_empty()),
        (TIME_SERVER, !network.time_servers.is_empty()),
        (CLEARTEXT, true),
    ];
    evaluated.extend(decided.iter().filter(|(_, decided)| *decided).map(|(rule, _)| rule.id));
    for asset in input.assets {
        serving(asset, network, detections);
        using(asset, network, detections);
        in_the_clear(asset, network, detections);
    }
}

fn detect(
    rule: Rule,
    asset: &Asset,
    severity: Severity,
    subject: String,
    detail: String,
) -> Detection {
    Detection {
        rule: rule.id,
        severity,
        subject,
        asset: Some(asset.id),
        title: rule.title.to_owned(),
        detail: format!("{}: {detail}", name_of(asset)),
    }
}

/// Who serves leases or routes and is not approved.
fn serving(asset: &Asset, network: &Network, detections: &mut Detections) {
    for (heard, role) in asset.roles() {
        let (rule, approved, does) = match role {
            NetworkRole::DhcpServer => (ROGUE_DHCP, &network.dhcp_servers, "gives out leases"),
            NetworkRole::Dhcpv6Server => {
                (ROGUE_DHCP, &network.dhcp_servers, "gives out leases of IPv6")
            }
            NetworkRole::Router(RouterProtocol::RouterAdvertisement) => {
                (ROGUE_ROUTER, &network.routers, "tells hosts to send their packets to it")
            }
            NetworkRole::Router(RouterProtocol::PrefixAdvertisement) => {
                (ROGUE_ROUTER, &network.routers, "tells hosts which addresses to take")
            }
            _ => continue,
        };
        if approved.is_empty() || approved.includes(asset) {
            continue;
        }
        let detail = format!("{} {does}", heard.subject);
        detections.add(detect(rule, asset, rule.severity, subject_of(asset.id), detail));
    }
}

/// Who asks servers that are not approved. One that is approved itself asks others in turn.
fn using(asset: &Asset, network: &Network, detections: &mut Detections) {
    let mut asked: BTreeMap<&str, (Rule, BTreeSet<IpAddr>)> = BTreeMap::new();
    for (_, used) in asset.uses() {
        let (rule, approved, server) = match used {
            Use::Resolver(server) => (RESOLVER, &network.resolvers, *server),
            Use::TimeServer(server) => (TIME_SERVER, &network.time_servers, *server),
            Use::Cloud { .. } | Use::Cleartext { .. } => continue,
        };
        if !approved.is_empty() && !approved.has(server) && !approved.includes(asset) {
            asked.entry(rule.id).or_insert((rule, BTreeSet::new())).1.insert(server);
        }
    }
    for (rule, servers) in asked.into_values() {
        let detail = format!("asks {}", listed(&servers));
        detections.add(detect(rule, asset, rule.severity, subject_of(asset.id), detail));
    }
}

/// What is spoken in the clear: one finding for each protocol of an asset.
fn in_the_clear(asset: &Asset, network: &Network, detections: &mut Detections) {
    let mut spoken: BTreeMap<&str, BTreeSet<IpAddr>> = BTreeMap::new();
    for (_, used) in asset.uses() {
        if let Use::Cleartext { protocol, server } = used
            && !network.cleartext.contains(protocol)
        {
            spoken.entry(protocol).or_default().insert(*server);
        }
    }
    for (protocol, servers) in spoken {
        // A file's name or an agent's figures are less than a person's password.
        let severity = match protocol {
            "tftp" | "snmp_v1" | "snmp_v2c" => Severity::Info,
            _ => CLEARTEXT.severity,
        };
        let subject = format!("{} cleartext:{protocol}", subject_of(asset.id));
        let detail = format!("speaks {protocol} with {}", listed(&servers));
        detections.add(detect(CLEARTEXT, asset, severity, subject, detail));
    }
}

/// The first few of them, and how many more.
fn listed(servers: &BTreeSet<IpAddr>) -> String {
    const SHOWN: usize = 5;
    let first: Vec<String> = servers.iter().take(SHOWN).map(IpAddr::to_string).collect();
    match servers.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
