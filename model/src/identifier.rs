use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::MacAddr;

/// Something the network said that tells assets apart.
///
/// None of them is an asset: assets are concluded from them (`inventory::identity`),
/// each with its [`Strength`], and keep an id of their own.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Identifier {
    /// A link-layer address.
    Mac(MacAddr),
    /// A network address.
    Address(IpAddr),
    /// A host name, lower case, without a trailing dot.
    HostName(String),
    /// SHA-256 of an SSH public host key blob (RFC 4253, section 6.6), in lower-case hexadecimal.
    SshHostKey(String),
    /// SHA-256 of the SubjectPublicKeyInfo of a served TLS certificate, in lower-case hexadecimal.
    TlsKey(String),
    /// A number that the machine's own software reports about itself.
    MachineId(MachineIdKind, String),
}

/// What kind of self-reported machine number.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineIdKind {
    /// The ServerGuid of SMB2 NEGOTIATE ([MS-SMB2], section 2.2.4), as a hyphenated UUID.
    SmbGuid,
    /// The authoritative engine id of SNMPv3 (RFC 3411, section 5), in hexadecimal.
    SnmpEngineId,
    /// The device UUID of UPnP or WS-Discovery.
    DeviceUuid,
    /// A DHCP client identifier (RFC 2132, section 9.14), in hexadecimal.
    DhcpClientId,
    /// The DHCP unique identifier of a client of DHCPv6 (RFC 8415, section 11), in hexadecimal.
    DhcpDuid,
    /// A serial number.
    Serial,
    /// The address by which a device with many ports calls itself as a whole: the chassis
    /// identifier of LLDP (IEEE 802.1AB, 8.5.2), the bridge identifier of the spanning tree.
    ChassisId,
    /// SHA-256 of the SubjectPublicKeyInfo of a certificate that it showed as a client of TLS, in
    /// lower-case hexadecimal. The certificate itself is as a rule a person's, and is not kept.
    ClientKey,
}

impl MachineIdKind {
    /// Its name in JSON and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SmbGuid => "smb_guid",
            Self::SnmpEngineId => "snmp_engine_id",
            Self::DeviceUuid => "device_uuid",
            Self::DhcpClientId => "dhcp_client_id",
            Self::DhcpDuid => "dhcp_duid",
            Self::Serial => "serial",
            Self::ChassisId => "chassis_id",
            Self::ClientKey => "client_key",
        }
    }
}

/// Which protocol told a host name. A name from the resolver was written by an
/// administrator; one from mDNS was chosen by the device.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NameSource {
    /// A PTR record, the name that the user gave as a target, or an answer of the name service
    /// to somebody else.
    Dns,
    /// Multicast DNS, RFC 6762.
    Mdns,
    /// NetBIOS name service, RFC 1002.
    Nbns,
    /// The NTLM challenge of SMB or RDP.
    Ntlm,
    /// SNMP sysName.
    Snmp,
    /// The greeting of a mail, FTP or other server.
    Banner,
    /// A DHCP or DHCPv6 request.
    Dhcp,
    /// Link-local multicast name resolution, RFC 4795.
    Llmnr,
    /// The system name of LLDP, CDP or a relative of theirs.
    Discovery,
    /// The header of a log line sent to somebody, RFC 3164 and RFC 5424.
    Syslog,
    /// A Kerberos ticket request of the machine itself, or for it.
    Kerberos,
    /// The server name that a client asked for (RFC 6066, section 3) or an HTTP Host header.
    ServerName,
}

/// How far an identifier can be trusted to mean one asset.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Strength {
    /// Supports a conclusion but never makes one.
    Weak,
    /// Enough when nothing contradicts it.
    Moderate,
    /// Enough by itself.
    Strong,
}

impl Strength {
    /// Its name in text, JSON and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Moderate => "moderate",
            Self::Strong => "strong",
        }
    }
}

impl Identifier {
    /// Every kind that [`Self::kind`] gives.
    pub const KINDS: [&str; 13] = [
        "mac",
        "address",
        "host_name",
        "ssh_host_key",
        "tls_key",
        "smb_guid",
        "snmp_engine_id",
        "device_uuid",
        "dhcp_client_id",
        "dhcp_duid",
        "serial",
        "chassis_id",
        "client_key",
    ];

    /// The name of its kind in JSON and in the database.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Mac(_) => "mac",
            Self::Address(_) => "address",
            Self::HostName(_) => "host_name",
            Self::SshHostKey(_) => "ssh_host_key",
            Self::TlsKey(_) => "tls_key",
            Self::MachineId(kind, _) => kind.as_str(),
        }
    }

    /// Its value as text, without the kind.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::Mac(mac) => mac.to_string(),
            Self::Address(address) => address.to_string(),
            Self::HostName(text)
            | Self::SshHostKey(text)
            | Self::TlsKey(text)
            | Self::MachineId(_, text) => text.clone(),
        }
    }

    /// The identifier of that kind and value, the reverse of [`Self::kind`] and
    /// [`Self::value`], or `None` where they do not fit.
    #[must_use]
    pub fn from_parts(kind: &str, value: &str) -> Option<Self> {
        let text = value.to_owned();
        Some(match kind {
            "mac" => Self::Mac(value.parse().ok()?),
            "address" => Self::Address(value.parse().ok()?),
            "host_name" => Self::HostName(text),
            "ssh_host_key" => Self::SshHostKey(text),
            "tls_key" => Self::TlsKey(text),
            "smb_guid" => Self::MachineId(MachineIdKind::SmbGuid, text),
            "snmp_engine_id" => Self::MachineId(MachineIdKind::SnmpEngineId, text),
            "device_uuid" => Self::MachineId(MachineIdKind::DeviceUuid, text),
            "dhcp_client_id" => Self::MachineId(MachineIdKind::DhcpClientId, text),
            "dhcp_duid" => Self::MachineId(MachineIdKind::DhcpDuid, text),
            "serial" => Self::MachineId(MachineIdKind::Serial, text),
            "chassis_id" => Self::MachineId(MachineIdKind::ChassisId, text),
            "client_key" => Self::MachineId(MachineIdKind::ClientKey, text),
            _ => return None,
        })
    }
}

/// `mac 00:11:22:33:44:55`.
impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_value_make_the_identifier_again() {
        let mac = MacAddr([0, 1, 2, 3, 4, 5]);
        for identifier in [
            Identifier::Mac(mac),
            Identifier::Address("2001:db8::1".parse().unwrap()),
            Identifier::HostName("pc-7".into()),
            Identifier::SshHostKey("ab".into()),
            Identifier::TlsKey("cd".into()),
            Identifier::MachineId(MachineIdKind::SmbGuid, "e".into()),
            Identifier::MachineId(MachineIdKind::SnmpEngineId, "e".into()),
            Identifier::MachineId(MachineIdKind::DeviceUuid, "e".into()),
            Identifier::MachineId(MachineIdKind::DhcpClientId, "e".into()),
            Identifier::MachineId(MachineIdKind::DhcpDuid, "e".into()),
            Identifier::MachineId(MachineIdKind::Serial, "e".into()),
            Identifier::MachineId(MachineIdKind::ChassisId, "e".into()),
            Identifier::MachineId(MachineIdKind::ClientKey, "e".into()),
        ] {
            let again = Identifier::from_parts(identifier.kind(), &identifier.value());
            assert!(Identifier::KINDS.contains(&identifier.kind()));
            assert_eq!(again, Some(identifier));
        }
        assert_eq!(Identifier::from_parts("mac", "nonsense"), None);
    }
}
