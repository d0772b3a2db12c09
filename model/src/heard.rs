//! What devices tell of themselves unasked: their part in the network, whom they use, how their
//! software betrays itself, who is at the other end of the cable.
//!
//! [`crate::Fact`] holds these values. Like every fact they hold nothing that changes by
//! itself, and nothing of what users say to each other: no user names, secrets, query strings
//! or mail addresses.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

/// Gives an enum of names its text, which is the same in JSON, in the database and for people.
macro_rules! named {
    ($name:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $name {
            /// Every one, in the order of the enum.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name in text, JSON and the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            /// The one of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

/// A function in the network that the subject says it has.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkRole {
    /// Forwards for others and tells them so in this protocol.
    Router(RouterProtocol),
    /// Offers or grants leases, RFC 2131.
    DhcpServer,
    /// Advertises itself as a server, RFC 8415.
    Dhcpv6Server,
    /// Stands, or stands ready, for a router that several share.
    VirtualRouter {
        /// How they agree who it is.
        protocol: RedundancyProtocol,
        /// The number of their group.
        group: u16,
        /// The address that they share, the first where they are several.
        address: Option<IpAddr>,
    },
    /// Takes part in the spanning tree, IEEE 802.1D.
    SpanningTree,
    /// Asks who listens to which groups, RFC 3376 and RFC 3810.
    GroupQuerier,
    /// Connects segments at the link layer.
    Switch,
    /// Connects stations by radio.
    AccessPoint,
    /// A telephone.
    Phone,
    /// A modem of a cable network.
    CableModem,
    /// Repeats signals.
    Repeater,
    /// Only an end station.
    Station,
}

/// The protocol in which a router tells of itself.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RouterProtocol {
    /// A router advertisement with a lifetime, RFC 4861, section 4.2: hosts take it as their
    /// default router.
    RouterAdvertisement,
    /// A router advertisement without a lifetime: it tells of prefixes and is nobody's router.
    PrefixAdvertisement,
    /// OSPF, RFC 2328 and RFC 5340.
    Ospf,
    /// EIGRP, RFC 7868.
    Eigrp,
    /// LLDP, CDP or a relative of theirs, among the capabilities that are in use.
    Discovery,
}

named!(RouterProtocol {
    RouterAdvertisement => "router_advertisement",
    PrefixAdvertisement => "prefix_advertisement",
    Ospf => "ospf",
    Eigrp => "eigrp",
    Discovery => "discovery",
});

/// How routers agree on who stands for the one that they share.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RedundancyProtocol {
    /// RFC 3768 and RFC 5798.
    Vrrp,
    /// RFC 2281, and its second version.
    Hsrp,
    /// OpenBSD's.
    Carp,
}

named!(RedundancyProtocol { Vrrp => "vrrp", Hsrp => "hsrp", Carp => "carp" });

impl fmt::Display for NetworkRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Router(protocol) => write!(f, "router ({protocol})"),
            Self::DhcpServer => f.write_str("dhcp server"),
            Self::Dhcpv6Server => f.write_str("dhcpv6 server"),
            Self::VirtualRouter { protocol, group, address } => {
                write!(f, "virtual router ({protocol} group {group}")?;
                address.map_or(Ok(()), |address| write!(f, ", {address}"))?;
                f.write_str(")")
            }
            Self::SpanningTree => f.write_str("spanning tree bridge"),
            Self::GroupQuerier => f.write_str("multicast querier"),
            Self::Switch => f.write_str("switch"),
            Self::AccessPoint => f.write_str("access point"),
            Self::Phone => f.write_str("phone"),
            Self::CableModem => f.write_str("cable modem"),
            Self::Repeater => f.write_str("repeater"),
            Self::Station => f.write_str("station"),
        }
    }
}

/// Something elsewhere that the subject uses.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// Asks this server for names (RFC 1035).
    Resolver(IpAddr),
    /// Asks this server for the time (RFC 5905).
    TimeServer(IpAddr),
    /// Speaks with a service of the Internet.
    Cloud {
        /// Its registered domain (the public suffix and one label), lower case.
        domain: String,
        /// How much went to and fro.
        volume: Volume,
    },
    /// Speaks a protocol that shows secrets or their like to everybody on the way.
    Cleartext {
        /// Which one, lower case: `telnet`, `ftp`, `http_basic`, `pop3`, `imap`, `snmp_v1`,
        /// `snmp_v2c`, `tftp`, …
        protocol: String,
        /// With whom.
        server: IpAddr,
    },
}

impl Use {
    /// The name of its kind in JSON and in the database.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Resolver(_) => "resolver",
            Self::TimeServer(_) => "time_server",
            Self::Cloud { .. } => "cloud",
            Self::Cleartext { .. } => "cleartext",
        }
    }
}

/// How much, in classes so wide that a fact of them seldom changes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Volume {
    /// Less than 1 MiB.
    Small,
    /// Less than 100 MiB.
    Medium,
    /// 100 MiB or more.
    Large,
}

named!(Volume { Small => "small", Medium => "medium", Large => "large" });

impl Volume {
    /// The class of so many bytes.
    #[must_use]
    pub const fn of(bytes: u64) -> Self {
        match bytes {
            0..0x10_0000 => Self::Small,
            0x10_0000..0x640_0000 => Self::Medium,
            _ => Self::Large,
        }
    }
}

/// Which habit of software gives it away.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FingerprintKind {
    /// The options that a DHCP client asks for (RFC 2132, section 9.8), in its order: `1,3,6`.
    Dhcp,
    /// The vendor class of a DHCP client (RFC 2132, section 9.13).
    DhcpVendorClass,
    /// The options that a DHCPv6 client asks for (RFC 8415, section 21.7), in its order.
    Dhcpv6,
    /// The vendor class of a DHCPv6 client (RFC 8415, section 21.16): the enterprise's number,
    /// a colon, and its text.
    Dhcpv6VendorClass,
    /// The options and sizes of a SYN.
    TcpSyn,
    /// The same of a SYN with an acknowledgement.
    TcpSynAck,
    /// JA3 of a TLS client, 32 hexadecimal digits.
    Ja3,
    /// JA3S of a TLS server.
    Ja3s,
    /// JA4 of a TLS or QUIC client.
    Ja4,
    /// The family of an HTTP client, without what is personal in it.
    UserAgent,
}

named!(FingerprintKind {
    Dhcp => "dhcp",
    DhcpVendorClass => "dhcp_vendor_class",
    Dhcpv6 => "dhcpv6",
    Dhcpv6VendorClass => "dhcpv6_vendor_class",
    TcpSyn => "tcp_syn",
    TcpSynAck => "tcp_syn_ack",
    Ja3 => "ja3",
    Ja3s => "ja3s",
    Ja4 => "ja4",
    UserAgent => "user_agent",
});

/// What a device tells those at the other end of its cable. Texts are of printable characters,
/// at most 256 each.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Neighbor {
    /// In which protocol.
    pub protocol: DiscoveryProtocol,
    /// What it calls itself as a whole: a MAC address, a name, a number of its maker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chassis: Option<String>,
    /// The port from which it speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Its name, in its own spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_name: Option<String>,
    /// Hardware and software, in its maker's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_description: Option<String>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The version of its software.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it is managed, sorted; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
}

impl Neighbor {
    /// One of which nothing is known but that it speaks the protocol.
    #[must_use]
    pub const fn of(protocol: DiscoveryProtocol) -> Self {
        Self {
            protocol,
            chassis: None,
            port: None,
            system_name: None,
            system_description: None,
            platform: None,
            version: None,
            addresses: Vec::new(),
        }
    }
}

/// A protocol in which neighbours tell of themselves.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscoveryProtocol {
    /// IEEE 802.1AB.
    Lldp,
    /// Cisco's.
    Cdp,
    /// Extreme's.
    Edp,
    /// Foundry's.
    Fdp,
    /// MikroTik's.
    Mndp,
    /// Ubiquiti's.
    Ubiquiti,
    /// PROFINET's DCP, IEC 61158.
    Profinet,
}

named!(DiscoveryProtocol {
    Lldp => "lldp",
    Cdp => "cdp",
    Edp => "edp",
    Fdp => "fdp",
    Mndp => "mndp",
    Ubiquiti => "ubiquiti",
    Profinet => "profinet",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T>(all: &[T], from_name: impl Fn(&str) -> Option<T>)
    where
        T: Copy + fmt::Debug + fmt::Display + PartialEq + Serialize,
    {
        for one in all {
            let text = one.to_string();
            assert_eq!(serde_json::to_string(one).unwrap(), format!("{text:?}"));
            assert_eq!(from_name(&text), Some(*one));
        }
        assert_eq!(from_name("nonsense"), None);
    }

    #[test]
    fn names_are_the_same_everywhere_and_lead_back() {
        check(RouterProtocol::ALL, RouterProtocol::from_name);
        check(RedundancyProtocol::ALL, RedundancyProtocol::from_name);
        check(Volume::ALL, Volume::from_name);
        check(FingerprintKind::ALL, FingerprintKind::from_name);
        check(DiscoveryProtocol::ALL, DiscoveryProtocol::from_name);
    }

    #[test]
    fn roles_are_told_with_their_group() {
        let protocol = RedundancyProtocol::Vrrp;
        let address = Some("192.0.2.1".parse().unwrap());
        let role = NetworkRole::VirtualRouter { protocol, group: 7, address };
        assert_eq!(role.to_string(), "virtual router (vrrp group 7, 192.0.2.1)");
        let role = NetworkRole::VirtualRouter { protocol, group: 7, address: None };
        assert_eq!(role.to_string(), "virtual router (vrrp group 7)");
    }

    #[test]
    fn volumes_are_of_three_classes() {
        for (bytes, class) in [
            (0, Volume::Small),
            ((1 << 20) - 1, Volume::Small),
            (1 << 20, Volume::Medium),
            ((100 << 20) - 1, Volume::Medium),
            (100 << 20, Volume::Large),
            (u64::MAX, Volume::Large),
        ] {
            assert_eq!(Volume::of(bytes), class, "{bytes}");
        }
    }
}
