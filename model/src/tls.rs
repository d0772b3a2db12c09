//! What a TLS server accepts, as far as its answers showed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::TlsVersion;

/// What a TLS server showed of itself beside its certificates. Of what was not asked nothing
/// follows: [`Self::asked`] says how much that was. Everything is bounded by what we offer,
/// except the names in [`Self::client_authorities`], which are cut.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct TlsServer {
    /// How much it was asked.
    pub asked: TlsExtent,
    /// Whether there was more to ask: it stopped answering, or the connections allowed were used
    /// up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// The protocol whose STARTTLS came first, or the method of EAP that carried it, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starttls: Option<String>,
    /// The versions in which it answered, with the cipher suites that it chose in each, by
    /// their numbers in the IANA registry "TLS Parameters". An older version is not asked for
    /// suites that a newer one showed. SSL 2.0 has none: there the client would choose.
    pub accepted: BTreeMap<TlsVersion, BTreeSet<u16>>,
    /// The versions that it refused: asked for alone, or as the newest of several.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub refused: BTreeSet<TlsVersion>,
    /// The groups that it chose for key exchange, by their numbers in the same registry: the one
    /// that it likes best of each hello, and all that it has where it was asked thoroughly.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<u16>,
    /// The bits of the smallest prime that it chose for Diffie-Hellman.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dh_bits: Option<u32>,
    /// The application protocols that it chose (RFC 7301).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub protocols: BTreeSet<String>,
    /// Where it asks for a client certificate: the authorities that it trusts, as RFC 4514
    /// writes their names; none where it takes any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authorities: Option<BTreeSet<String>>,
    /// The compression method that it chose up to TLS 1.2: 0 is none, 1 DEFLATE (RFC 3749).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<u8>,
    /// Whether it renegotiates securely up to TLS 1.2 (RFC 5746).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_renegotiation: Option<bool>,
    /// Whether it binds its keys to the handshake up to TLS 1.2 (RFC 7627).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_master_secret: Option<bool>,
    /// Whether it has X25519MLKEM768, which is ready for quantum computers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hybrid: Option<bool>,
}

impl TlsServer {
    /// How many names of authorities are kept at most.
    pub const MAX_AUTHORITIES: usize = 64;

    /// How many bytes of such a name are kept at most.
    pub const MAX_NAME: usize = 256;
}

/// How much a TLS server was asked, least first.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TlsExtent {
    /// Two hellos: it bears little.
    #[default]
    Gentle,
    /// What brings every certificate. Versions older than its best are not asked for.
    Certificates,
    /// Also each version, and cipher suites that protect nothing.
    Versions,
    /// Every version, every cipher suite and every group, as far as the number of connections
    /// allows.
    Thorough,
}

impl TlsExtent {
    /// Its name in text and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gentle => "gentle",
            Self::Certificates => "certificates",
            Self::Versions => "versions",
            Self::Thorough => "thorough",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_survives_json_and_what_is_not_known_takes_no_room() {
        let server = TlsServer {
            asked: TlsExtent::Certificates,
            cut: false,
            starttls: None,
            accepted: BTreeMap::from([(TlsVersion(0x0303), BTreeSet::from([0xc02f]))]),
            refused: BTreeSet::new(),
            groups: BTreeSet::new(),
            dh_bits: None,
            protocols: BTreeSet::new(),
            client_authorities: None,
            compression: Some(0),
            secure_renegotiation: None,
            extended_master_secret: None,
            hybrid: None,
        };
        let text = serde_json::to_string(&server).unwrap();
        assert_eq!(text, r#"{"asked":"certificates","accepted":{"771":[49199]},"compression":0}"#);
        assert_eq!(serde_json::from_str::<TlsServer>(&text).unwrap(), server);
        use TlsExtent::{Certificates, Gentle, Thorough, Versions};
        for extent in [Gentle, Certificates, Versions, Thorough] {
            assert_eq!(serde_json::to_string(&extent).unwrap(), format!("{:?}", extent.as_str()));
        }
    }
}
