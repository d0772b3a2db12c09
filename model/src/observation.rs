use std::{collections::BTreeMap, fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::{
    Cpe, Endpoint, FingerprintKind, MacAddr, MachineIdKind, NameSource, Neighbor, NetworkRole,
    PortSet, Timestamp, TlsServer, Transport, Use, Vantage,
};

/// One thing that was seen: who saw it, when, how, and what it says of whom.
///
/// An observation is never edited and never deleted by reasoning, only by
/// retention. When a later one contradicts it, both stay and the inventory
/// decides which to believe. Observations that agree in everything but
/// `observed_at` and `evidence` are stored once, with first seen, last seen and
/// a count, so a fact must not hold anything that changes by itself (times,
/// nonces, counters): that belongs in `evidence`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Observation {
    /// When the bytes arrived, by the vantage point's clock.
    pub observed_at: Timestamp,
    /// Where we stood.
    pub vantage: Vantage,
    /// How it was learned.
    pub method: Method,
    /// Whom it is about, as the network named them at that moment.
    pub subject: Subject,
    /// What was learned.
    pub fact: Fact,
    /// The bytes that led there, cut to [`Fact::max_evidence`]. May be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<u8>,
}

impl Observation {
    /// How many bytes of evidence are kept at most, of all facts but one.
    pub const MAX_EVIDENCE: usize = 256;

    /// How many bytes are kept at most of an OCSP response, which is the evidence of
    /// [`Fact::OcspResponse`] and of no use in part. Real ones have some 2 KiB, or 8 where a
    /// responder's chain comes along.
    pub const MAX_OCSP_RESPONSE: usize = 32 << 10;
}

/// The way a fact was learned.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// An ARP reply to our request, RFC 826.
    Arp,
    /// A neighbour advertisement that answered our solicitation, RFC 4861.
    NeighborSolicitation,
    /// An entry of the kernel's neighbour table that was confirmed after we asked.
    NeighborTable,
    /// An ICMP or ICMPv6 echo reply, RFC 792 and RFC 4443.
    Echo,
    /// An ICMPv6 echo reply to a question that went to everybody on the link.
    MulticastEcho,
    /// The error of somebody who does not know an option, in a packet that went to everybody
    /// on the link (RFC 8200, section 4.2): some who ignore the echo send it.
    MulticastOption,
    /// A report of the groups that somebody listens to, RFC 3810 and RFC 2710.
    MulticastListener,
    /// A router advertisement, RFC 4861.
    RouterAdvertisement,
    /// An ICMP timestamp reply, RFC 792.
    Timestamp,
    /// A TCP answer to our SYN.
    TcpSyn,
    /// A reset that answered a TCP segment of no connection, RFC 9293, section 3.10.7.
    TcpAck,
    /// The system's own TCP connect.
    TcpConnect,
    /// A UDP datagram or the ICMP error it caused.
    Udp,
    /// A conversation in the service's own protocol.
    Dialogue,
    /// A TLS handshake.
    Tls,
    /// The name service.
    Resolver,
    /// Listening, without asking.
    Capture,
    /// Somebody else's list.
    Import,
}

impl Method {
    /// Every method, in the order of the enum.
    pub const ALL: [Self; 18] = [
        Self::Arp,
        Self::NeighborSolicitation,
        Self::NeighborTable,
        Self::Echo,
        Self::MulticastEcho,
        Self::MulticastOption,
        Self::MulticastListener,
        Self::RouterAdvertisement,
        Self::Timestamp,
        Self::TcpSyn,
        Self::TcpAck,
        Self::TcpConnect,
        Self::Udp,
        Self::Dialogue,
        Self::Tls,
        Self::Resolver,
        Self::Capture,
        Self::Import,
    ];

    /// Its name in text, JSON and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::NeighborSolicitation => "neighbor_solicitation",
            Self::NeighborTable => "neighbor_table",
            Self::Echo => "echo",
            Self::MulticastEcho => "multicast_echo",
            Self::MulticastOption => "multicast_option",
            Self::MulticastListener => "multicast_listener",
            Self::RouterAdvertisement => "router_advertisement",
            Self::Timestamp => "timestamp",
            Self::TcpSyn => "tcp_syn",
            Self::TcpAck => "tcp_ack",
            Self::TcpConnect => "tcp_connect",
            Self::Udp => "udp",
            Self::Dialogue => "dialogue",
            Self::Tls => "tls",
            Self::Resolver => "resolver",
            Self::Capture => "capture",
            Self::Import => "import",
        }
    }

    /// The method of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name the network gave something. Not an asset: assets are concluded.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A link-layer address.
    Mac(MacAddr),
    /// A network address.
    Address(IpAddr),
    /// A service's address, transport and port.
    Endpoint(Endpoint),
}

impl Subject {
    /// The network address that it names, if it names one.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Mac(_) => None,
            Self::Address(address) => Some(*address),
            Self::Endpoint(endpoint) => Some(endpoint.address),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(mac) => mac.fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Endpoint(endpoint) => endpoint.fmt(f),
        }
    }
}

/// What was learned about a subject.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The address answered. `ttl` is the IP time to live (hop limit) of the answer, where seen.
    /// Subject: address.
    Alive {
        /// As it arrived, not as it was sent.
        ttl: Option<u8>,
    },
    /// The address was answered for by this link-layer address. Subject: address.
    LinkAddress(MacAddr),
    /// A name for the subject. Subject: address or endpoint.
    HostName {
        /// Lower case, without a trailing dot.
        name: String,
        /// Who said so.
        source: NameSource,
    },
    /// The port is in this state. Subject: endpoint. Used for open ports, and for those
    /// that somebody asked about one by one.
    PortState(PortState),
    /// All these ports of the subject are in one state: the many closed and filtered
    /// ones of a sweep, in one fact. Subject: address.
    Ports {
        /// The transport of the ports.
        transport: Transport,
        /// Their state.
        state: PortState,
        /// The ports.
        ports: PortSet,
    },
    /// A service and what it says it is. Subject: endpoint.
    Service(Service),
    /// A TLS server presented this chain. Subject: endpoint. Where it did so behind somebody who
    /// passed its words on (EAP over a LAN, IEEE 802.1X): the MAC address of that one, whose
    /// certificate it is not.
    Certificates(CertificateChain),
    /// What a TLS server accepts beside. Subject: endpoint.
    Tls(TlsServer),
    /// A TLS server stapled an OCSP response (RFC 6066, section 8) to this certificate. The
    /// response is the evidence, in DER: it is another one every few days. Subject: endpoint.
    OcspResponse {
        /// SHA-256 of the leaf's DER, lower-case hexadecimal.
        certificate: String,
    },
    /// An SSH server presented this host key. Subject: endpoint.
    HostKey(HostKey),
    /// An SSH server presented a certificate for its host key. Subject: endpoint.
    HostCertificate(HostCertificate),
    /// The machine's own number for itself. Subject: MAC, address or endpoint.
    MachineId {
        /// What kind of number.
        kind: MachineIdKind,
        /// As `model::Identifier::MachineId` wants it.
        value: String,
    },
    /// The operating system that the subject says it runs. Subject: address or endpoint.
    OperatingSystem {
        /// Its name without version, such as `Debian` or `Windows Server 2022`.
        name: String,
        /// Its version or build, where told.
        version: Option<String>,
        /// Its CPE name, where known.
        cpe: Option<Cpe>,
    },
    /// A function in the network that the subject announces. Subject: address; a MAC address
    /// where the protocol knows no other.
    Role(NetworkRole),
    /// The subject uses something elsewhere. Subject: address (of the client).
    Use(Use),
    /// A habit by which the subject's software is known. Subject: MAC, address or endpoint.
    Fingerprint {
        /// Which habit.
        kind: FingerprintKind,
        /// It, in the one spelling that its kind prescribes, at most 512 bytes.
        value: String,
    },
    /// What the subject tells its neighbour on the cable. Subject: MAC.
    Neighbor(Neighbor),
    /// The subject was seen in a frame of this VLAN (IEEE 802.1Q, 1 to 4094). Subject: MAC.
    Vlan(u16),
    /// The subject sent something that breaks its protocol.
    Anomaly {
        /// Which protocol, such as `x509` or `ssh`.
        protocol: String,
        /// What is wrong, without values that change from time to time.
        problem: String,
    },
}

impl Fact {
    /// How many bytes of evidence for it are kept at most.
    #[must_use]
    pub const fn max_evidence(&self) -> usize {
        match self {
            Self::OcspResponse { .. } => Observation::MAX_OCSP_RESPONSE,
            _ => Observation::MAX_EVIDENCE,
        }
    }
}

/// The state of a port, in the words the field already uses.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum PortState {
    /// Something accepts.
    #[serde(rename = "open")]
    Open,
    /// The host refuses.
    #[serde(rename = "closed")]
    Closed,
    /// Nothing came back, or a middlebox refused.
    #[serde(rename = "filtered")]
    Filtered,
    /// Nothing came back, where an open port may well stay silent (UDP).
    #[serde(rename = "open|filtered")]
    OpenFiltered,
}

impl PortState {
    /// Its name in text, JSON and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Filtered => "filtered",
            Self::OpenFiltered => "open|filtered",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Closed, Self::Filtered, Self::OpenFiltered]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a service said about itself, in values that do not change by themselves.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Service {
    /// The application protocol, lower case: `ssh`, `http`, `smtp`, `mysql`, …
    pub protocol: String,
    /// Whether the conversation ran inside TLS from its first byte.
    #[serde(default)]
    pub tls: bool,
    /// The product, in its maker's spelling: `OpenSSH`, `nginx`, `Postfix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The product's version as the service gives it: `9.2p1`, without a distribution's suffix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The product's CPE 2.3 name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpe: Option<Cpe>,
    /// More that it said, such as `title`, `favicon_mmh3`, `smb_dialect`, `distribution`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl Service {
    /// A service of which only the protocol is known.
    #[must_use]
    pub fn of(protocol: &str) -> Self {
        Self { protocol: protocol.to_owned(), ..Self::default() }
    }
}

/// The certificates that a TLS server sent, and how they were obtained.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct CertificateChain {
    /// DER, undecoded, leaf first, as served.
    pub chain: Vec<Vec<u8>>,
    /// The server name that we asked for (RFC 6066, section 3), if any.
    pub server_name: Option<String>,
    /// The protocol version in which it was served.
    pub protocol_version: TlsVersion,
    /// The protocol whose STARTTLS came first, or the method of EAP that carried it, if any.
    pub starttls: Option<String>,
}

/// A version of TLS or SSL, by its number on the wire.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct TlsVersion(pub u16);

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0x0002 => f.write_str("SSLv2"),
            0x0300 => f.write_str("SSLv3"),
            0x0301 => f.write_str("TLSv1.0"),
            0x0302 => f.write_str("TLSv1.1"),
            0x0303 => f.write_str("TLSv1.2"),
            0x0304 => f.write_str("TLSv1.3"),
            0xfeff => f.write_str("DTLSv1.0"),
            0xfefd => f.write_str("DTLSv1.2"),
            0xfefc => f.write_str("DTLSv1.3"),
            other => write!(f, "{other:#06x}"),
        }
    }
}

/// An SSH host key (RFC 4253, section 6.6).
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct HostKey {
    /// The key's algorithm name, such as `ssh-ed25519`.
    pub algorithm: String,
    /// SHA-256 of the key blob, lower-case hexadecimal.
    pub sha256: String,
}

/// A certificate for an SSH host key (PROTOCOL.certkeys of OpenSSH). Nobody has verified its
/// signature.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct HostCertificate {
    /// The host key, as it is without the certificate.
    pub key: HostKey,
    /// The key of the authority that signed it.
    pub authority: HostKey,
    /// The authority's number for it.
    pub serial: u64,
    /// What the authority calls it, at most 256 bytes.
    pub key_id: String,
    /// The host names for which it is valid, at most 64 of at most 256 bytes; none stands for
    /// all.
    pub principals: Vec<String>,
    /// When its validity begins.
    pub not_before: Timestamp,
    /// When it ends, if it does.
    pub not_after: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Site;

    #[test]
    fn an_observation_survives_json() {
        let endpoint = Endpoint::tcp("192.0.2.1".parse().unwrap(), 22);
        let observation = Observation {
            observed_at: Timestamp::from_seconds(7),
            vantage: Vantage { site: Site("plant".into()), name: "here".into() },
            method: Method::Dialogue,
            subject: Subject::Endpoint(endpoint),
            fact: Fact::Service(Service { version: Some("9.2p1".into()), ..Service::of("ssh") }),
            evidence: b"SSH-2.0".to_vec(),
        };
        let text = serde_json::to_string(&observation).unwrap();
        assert_eq!(serde_json::from_str::<Observation>(&text).unwrap(), observation);
        assert!(text.contains(r#""fact":{"service":{"protocol":"ssh""#), "{text}");
    }

    #[test]
    fn what_is_heard_has_these_names_in_json() {
        use crate::{DiscoveryProtocol, RedundancyProtocol, RouterProtocol, Volume};
        let address = "192.0.2.1".parse().unwrap();
        let neighbor =
            Neighbor { port: Some("eth0".into()), ..Neighbor::of(DiscoveryProtocol::Lldp) };
        for (fact, expected) in [
            (Fact::Role(NetworkRole::DhcpServer), r#"{"role":"dhcp_server"}"#),
            (
                Fact::Role(NetworkRole::Router(RouterProtocol::Ospf)),
                r#"{"role":{"router":"ospf"}}"#,
            ),
            (
                Fact::Role(NetworkRole::VirtualRouter {
                    protocol: RedundancyProtocol::Hsrp,
                    group: 3,
                    address: Some(address),
                }),
                r#"{"role":{"virtual_router":{"protocol":"hsrp","group":3,"address":"192.0.2.1"}}}"#,
            ),
            (Fact::Use(Use::Resolver(address)), r#"{"use":{"resolver":"192.0.2.1"}}"#),
            (
                Fact::Use(Use::Cloud { domain: "example.org".into(), volume: Volume::Small }),
                r#"{"use":{"cloud":{"domain":"example.org","volume":"small"}}}"#,
            ),
            (
                Fact::Use(Use::Cleartext { protocol: "telnet".into(), server: address }),
                r#"{"use":{"cleartext":{"protocol":"telnet","server":"192.0.2.1"}}}"#,
            ),
            (
                Fact::Fingerprint { kind: FingerprintKind::Dhcp, value: "1,3,6".into() },
                r#"{"fingerprint":{"kind":"dhcp","value":"1,3,6"}}"#,
            ),
            (Fact::Neighbor(neighbor), r#"{"neighbor":{"protocol":"lldp","port":"eth0"}}"#),
            (Fact::Vlan(7), r#"{"vlan":7}"#),
        ] {
            let text = serde_json::to_string(&fact).unwrap();
            assert_eq!(text, expected);
            assert_eq!(serde_json::from_str::<Fact>(&text).unwrap(), fact);
        }
    }

    #[test]
    fn names_lead_back() {
        for method in Method::ALL {
            assert_eq!(Method::from_name(method.as_str()), Some(method));
            let json = serde_json::to_string(&method).unwrap();
            assert_eq!(json, format!("{:?}", method.as_str()));
        }
        for state in ["open", "closed", "filtered", "open|filtered"] {
            assert_eq!(PortState::from_name(state).unwrap().as_str(), state);
        }
    }
}
