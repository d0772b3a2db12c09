//! What is known of an asset: a conclusion from observations, with its reasons.

use std::{fmt, net::IpAddr};

use model::{
    Cpe, Identifier, MacAddr, Method, NameSource, PortState, Severity, Site, Strength, Timestamp,
    TlsServer, TlsVersion, Transport,
};

use crate::heard::Heard;

/// The name we gave a thing that we concluded exists. It never changes, it says nothing,
/// and no address is part of it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AssetId(pub i64);

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An asset as it is known at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Asset {
    /// Its id.
    pub id: AssetId,
    /// The site to which its addresses belong.
    pub site: Site,
    /// When anything of it was first seen.
    pub first_seen: Timestamp,
    /// When anything of it was last seen.
    pub last_seen: Timestamp,
    /// True where only changeable identifiers (a random MAC, an address) say that it is
    /// one asset, so that it may be several, or part of another.
    pub identity_uncertain: bool,
    /// Everything that names it, current and former, in the order of the identifiers.
    pub identifiers: Vec<Assigned>,
    /// Its host names with who said them.
    pub names: Vec<Name>,
    /// The ways in which it answered last time it was asked, and whether it was heard since.
    pub alive_by: Vec<Method>,
    /// Its endpoints: open now, or open once.
    pub services: Vec<ServiceState>,
    /// The products on it.
    pub software: Vec<Software>,
    /// Its operating system, where told.
    pub os: Option<OperatingSystem>,
    /// The certificates that it serves or served, by place.
    pub deployments: Vec<Deployment>,
    /// What it sent that breaks a protocol.
    pub anomalies: Vec<Anomaly>,
    /// What it told unasked, and what it was heard to do, in the order of subject and fact.
    pub heard: Vec<Heard>,
}

impl Asset {
    /// Its current network addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.identifiers.iter().filter(|a| a.current).filter_map(|a| match a.identifier {
            Identifier::Address(address) => Some(address),
            _ => None,
        })
    }

    /// Its current link-layer addresses.
    pub fn macs(&self) -> impl Iterator<Item = MacAddr> + '_ {
        self.identifiers.iter().filter(|a| a.current).filter_map(|a| match a.identifier {
            Identifier::Mac(mac) => Some(mac),
            _ => None,
        })
    }
}

/// An identifier that belongs, or belonged, to an asset, and why we think so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Assigned {
    /// The identifier.
    pub identifier: Identifier,
    /// How far it can be trusted.
    pub strength: Strength,
    /// When it was first seen on this asset.
    pub first_seen: Timestamp,
    /// When it was last seen on this asset.
    pub last_seen: Timestamp,
    /// False once it went to another asset or was replaced.
    pub current: bool,
    /// What led to it, in words: `arp reply from 192.0.2.9`, `seen together with
    /// ssh_host_key ab12…`.
    pub because: String,
}

/// A host name and who said it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Name {
    /// Lower case, without a trailing dot.
    pub name: String,
    /// Who said so.
    pub source: NameSource,
    /// When last.
    pub last_seen: Timestamp,
}

/// An endpoint of an asset and what speaks there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceState {
    /// The network address.
    pub address: IpAddr,
    /// The transport protocol.
    pub transport: Transport,
    /// The port number.
    pub port: u16,
    /// Its state when last asked.
    pub state: PortState,
    /// The application protocol, where recognised.
    pub protocol: Option<String>,
    /// The product.
    pub product: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its CPE 2.3 name.
    pub cpe: Option<Cpe>,
    /// Whether it speaks TLS from the first byte.
    pub tls: bool,
    /// More that it said, by name.
    pub attributes: std::collections::BTreeMap<String, String>,
    /// What it accepts as a TLS server.
    pub tls_server: Option<KnownTls>,
    /// When it was first seen open.
    pub first_seen: Timestamp,
    /// When it was last seen open.
    pub last_seen: Timestamp,
}

/// What a TLS server is known to accept, from all times that it was asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownTls {
    /// What it accepts. Its extent is the greatest to which it was asked.
    pub server: TlsServer,
    /// When it last told any of it.
    pub last_seen: Timestamp,
}

/// A product on an asset.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Software {
    /// The product, in its maker's spelling.
    pub product: String,
    /// Its version, where told.
    pub version: Option<String>,
    /// Its CPE 2.3 name.
    pub cpe: Option<Cpe>,
    /// What told us, such as `192.0.2.9:22/tcp ssh`.
    pub source: String,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// False once its source tells of another product or version.
    pub current: bool,
}

/// An operating system and what told us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OperatingSystem {
    /// Its name without version.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Its CPE 2.3 name.
    pub cpe: Option<Cpe>,
    /// When last told.
    pub last_seen: Timestamp,
}

/// A certificate in a place: served at an endpoint, from one time to another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deployment {
    /// SHA-256 of the leaf's DER, lower-case hexadecimal.
    pub sha256: String,
    /// SHA-256 of each certificate sent after it, in the order served.
    pub chain: Vec<String>,
    /// The network address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The transport protocol.
    pub transport: Transport,
    /// The server name that we asked for, if any.
    pub server_name: Option<String>,
    /// The protocol version in which it was served.
    pub protocol_version: TlsVersion,
    /// The protocol whose STARTTLS came first, if any.
    pub starttls: Option<String>,
    /// When it was first served there.
    pub first_seen: Timestamp,
    /// When it was last served there.
    pub last_seen: Timestamp,
    /// False once another was served there to the same question.
    pub current: bool,
}

impl Deployment {
    /// What TLS was carried by: `tls` where by TCP as it is, else `dtls` or `quic`. A version of TLS
    /// over UDP is one of QUIC: DTLS has its own.
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        match (self.transport, self.protocol_version.0) {
            (Transport::Tcp, _) => "tls",
            (Transport::Udp, 0xfe00..=0xfeff) => "dtls",
            (Transport::Udp, _) => "quic",
        }
    }

    /// What was asked for, and where: another certificate in answer to it replaces the one
    /// before.
    pub(crate) fn question(&self) -> (IpAddr, u16, Transport, Option<&str>, u16, Option<&str>) {
        let (name, starttls) = (self.server_name.as_deref(), self.starttls.as_deref());
        (self.address, self.port, self.transport, name, self.protocol_version.0, starttls)
    }
}

/// Something that an asset sent and that breaks a protocol.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Anomaly {
    /// Where, such as an address or an endpoint.
    pub subject: String,
    /// Which protocol.
    pub protocol: String,
    /// What is wrong.
    pub problem: String,
    /// When last.
    pub last_seen: Timestamp,
}

/// Something that happened to an asset, written once and never changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// When it was observed.
    pub at: Timestamp,
    /// The asset, if it happened to one.
    pub asset: Option<AssetId>,
    /// What happened.
    pub kind: EventKind,
    /// What it happened to: an address, an endpoint, a certificate …
    pub subject: String,
    /// What it was and what it is now, and what caused it, in words.
    pub detail: String,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum EventKind {
    /// An asset was seen for the first time.
    AssetFirstSeen,
    /// An identifier was added to an asset.
    IdentifierAdded,
    /// An asset answers at another address than before.
    AddressMoved,
    /// An address went from one asset to another.
    AddressConflict,
    /// The identifiers of one sighting belong to several assets.
    IdentityAmbiguous,
    /// A port is open that was not.
    PortOpened,
    /// A port that was open is closed or filtered.
    PortClosed,
    /// A service tells another product or version than before.
    ProductChanged,
    /// The operating system is another than before.
    OsChanged,
    /// A place serves another certificate than before.
    CertificateReplaced,
    /// An asset did something that breaks a protocol, or could not be asked on, for the first
    /// time.
    AnomalySeen,
    /// A person merged two assets.
    Merged,
    /// A person undid a merge.
    Split,
    /// A person accepted a finding.
    FindingAccepted,
    /// A person took the acceptance of a finding back.
    FindingReopened,
    /// A register was imported.
    RegisterImported,
    /// A person decided about an asset, confirmed it, or took it back.
    Decided,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 17] = [
        Self::AssetFirstSeen,
        Self::IdentifierAdded,
        Self::AddressMoved,
        Self::AddressConflict,
        Self::IdentityAmbiguous,
        Self::PortOpened,
        Self::PortClosed,
        Self::ProductChanged,
        Self::OsChanged,
        Self::CertificateReplaced,
        Self::AnomalySeen,
        Self::Merged,
        Self::Split,
        Self::FindingAccepted,
        Self::FindingReopened,
        Self::RegisterImported,
        Self::Decided,
    ];

    /// Its name in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AssetFirstSeen => "asset_first_seen",
            Self::IdentifierAdded => "identifier_added",
            Self::AddressMoved => "address_moved",
            Self::AddressConflict => "address_conflict",
            Self::IdentityAmbiguous => "identity_ambiguous",
            Self::PortOpened => "port_opened",
            Self::PortClosed => "port_closed",
            Self::ProductChanged => "product_changed",
            Self::OsChanged => "os_changed",
            Self::CertificateReplaced => "certificate_replaced",
            Self::AnomalySeen => "anomaly_seen",
            Self::Merged => "merged",
            Self::Split => "split",
            Self::FindingAccepted => "finding_accepted",
            Self::FindingReopened => "finding_reopened",
            Self::RegisterImported => "register_imported",
            Self::Decided => "decided",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A problem that a rule sees now. What becomes of it is decided by `finding`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Detection {
    /// The rule's id, such as `device.unregistered`.
    pub rule: &'static str,
    /// How much it matters, now.
    pub severity: Severity,
    /// What it is about, stable over time: an asset, an endpoint, a register entry, a
    /// certificate. Rule and subject together are the finding's identity.
    pub subject: String,
    /// The asset, if it is about one.
    pub asset: Option<AssetId>,
    /// One line for people.
    pub title: String,
    /// The reason, with the values that led there.
    pub detail: String,
}
