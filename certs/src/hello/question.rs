//! What one hello asks: which form, for which name, signed by which kinds of key.

use std::collections::BTreeSet;

use model::TlsVersion;

use super::ServerName;
use crate::{Certificate, KeyKind};

/// One hello.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Question {
    /// Its form.
    pub kind: Kind,
    /// The name to ask for. [`Kind::Bare`] and [`Kind::Framed`] have no place for one.
    pub server_name: Option<ServerName>,
    /// The kinds of key that the certificate may have.
    pub signers: Signers,
    /// The application protocols offered (RFC 7301), best first; none says nothing of them.
    pub protocols: &'static [&'static str],
    /// The cipher suites that are not offered, of those that the kind of hello offers.
    /// [`Kind::Framed`] offers all of its own.
    pub without: BTreeSet<u16>,
    /// The key-exchange groups that are not offered. [`Kind::Hybrid`] has one of its own, and
    /// [`Kind::Bare`] and [`Kind::Framed`] have no place for any.
    pub without_groups: BTreeSet<u16>,
}

impl Question {
    /// Everything that a kind of hello offers, without a name.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        Self {
            kind,
            server_name: None,
            signers: Signers::ALL,
            protocols: &[],
            without: BTreeSet::new(),
            without_groups: BTreeSet::new(),
        }
    }
}

/// The application protocols that are worth offering: those of the IANA registry that servers
/// insist on. `acme-tls/1` is not among them: it asks for a certificate made for a moment.
pub const PROTOCOLS: &[&str] = &[
    "h2",
    "http/1.1",
    "http/1.0",
    "postgresql",
    "mqtt",
    "imap",
    "pop3",
    "managesieve",
    "ftp",
    "xmpp-client",
    "xmpp-server",
    "irc",
    "sip/2",
    "stun.turn",
    "dot",
    "ntske/1",
    "coap",
];

/// And those that are spoken over QUIC, where a server refuses who offers it none of its own
/// (RFC 9001, section 8.1): HTTP/3 and its last draft, DNS, SMB, MQTT, and what is for tests.
pub const PROTOCOLS_OF_QUIC: &[&str] =
    &["h3", "doq", "smb", "mqtt", "h3-29", "hq-interop", "bep/1.0", "perf"];

/// The form of a hello.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// Everything up to TLS 1.2: some hundred suites, all curves, all signature algorithms.
    /// The server picks the version, down to SSL 3.0.
    Wide,
    /// The same up to an older version: whether a server that has newer ones accepts it.
    UpTo(TlsVersion),
    /// Up to TLS 1.2, the suites that protect nothing: without encryption, of export strength,
    /// and last without a certificate.
    Weak,
    /// TLS 1.3 only, with shares for X25519 and P-256, and others when asked for.
    Modern,
    /// TLS 1.3 only, and only X25519MLKEM768. It brings no share, which would not fit into one
    /// packet and which some middleboxes do not bear: a server that has the group asks for it.
    Hybrid,
    /// One old version, without extensions: for servers that fail on what they do not know
    /// instead of passing it over, as they should.
    Bare(TlsVersion),
    /// In the record of SSL 2.0, up to TLS 1.0 (RFC 5246, appendix E.2).
    Framed,
}

/// The kind of key that a server proves to have with its certificate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u16)]
pub enum Signer {
    /// RSA of any use.
    Rsa = 1,
    /// RSA for PSS alone.
    RsaPss = 1 << 1,
    /// ECDSA on P-256.
    P256 = 1 << 2,
    /// ECDSA on P-384.
    P384 = 1 << 3,
    /// ECDSA on P-521.
    P521 = 1 << 4,
    /// ECDSA on another curve.
    OtherCurve = 1 << 5,
    /// Ed25519.
    Ed25519 = 1 << 6,
    /// Ed448.
    Ed448 = 1 << 7,
    /// ML-DSA-44.
    MlDsa44 = 1 << 8,
    /// ML-DSA-65.
    MlDsa65 = 1 << 9,
    /// ML-DSA-87.
    MlDsa87 = 1 << 10,
    /// DSA, up to TLS 1.2.
    Dsa = 1 << 11,
    /// GOST R 34.10, up to TLS 1.2.
    Gost = 1 << 12,
}

impl Signer {
    /// The kind of a certificate's key, or `None` where no hello could ask for another.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Option<Self> {
        let key = &certificate.key;
        Some(match (key.kind, key.algorithm.as_str(), key.curve.as_deref()) {
            (KeyKind::Rsa, "RSASSA-PSS", _) => Self::RsaPss,
            (KeyKind::Rsa, ..) => Self::Rsa,
            (KeyKind::Ec, _, Some("P-256")) => Self::P256,
            (KeyKind::Ec, _, Some("P-384")) => Self::P384,
            (KeyKind::Ec, _, Some("P-521")) => Self::P521,
            (KeyKind::Ec, ..) => Self::OtherCurve,
            (KeyKind::Dsa, ..) => Self::Dsa,
            (_, "Ed25519", _) => Self::Ed25519,
            (_, "Ed448", _) => Self::Ed448,
            (_, "ML-DSA-44", _) => Self::MlDsa44,
            (_, "ML-DSA-65", _) => Self::MlDsa65,
            (_, "ML-DSA-87", _) => Self::MlDsa87,
            (_, algorithm, _) if algorithm.starts_with("GOST") => Self::Gost,
            _ => return None,
        })
    }
}

/// A set of kinds of key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Signers(u16);

impl Signers {
    /// Every kind.
    pub const ALL: Self = Self((1 << 13) - 1);

    const CURVES: Self = Self(
        Signer::P256 as u16 | Signer::P384 as u16 | Signer::P521 as u16 | Signer::OtherCurve as u16,
    );

    /// Those of them that are not that one.
    #[must_use]
    pub const fn without(self, signer: Signer) -> Self {
        Self(self.0 & !(signer as u16))
    }

    /// Those of them that change a hello of that kind: two that differ in others are the same.
    #[must_use]
    pub const fn that_matter_to(self, kind: Kind) -> Self {
        match kind {
            Kind::Modern | Kind::Hybrid => self.without(Signer::Dsa).without(Signer::Gost),
            Kind::Wide | Kind::UpTo(_) | Kind::Weak => {
                let classical = self.without(Signer::MlDsa44).without(Signer::MlDsa65);
                classical.without(Signer::MlDsa87).before_tls_13()
            }
            Kind::Bare(_) | Kind::Framed => Self::ALL,
        }
    }

    /// What is left of them up to TLS 1.2, where ECDSA says nothing of its curve: all curves or
    /// none. And no RSA for PSS alone without RSA: the suites are the same, and OpenSSL gives up
    /// on them, with other certificates at hand, when it finds that its RSA key may not sign.
    #[must_use]
    pub const fn before_tls_13(self) -> Self {
        let rsa = match self.contains(Signer::Rsa) {
            true => self,
            false => self.without(Signer::RsaPss),
        };
        match rsa.0 & Self::CURVES.0 == Self::CURVES.0 {
            true => rsa,
            false => Self(rsa.0 & !Self::CURVES.0),
        }
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether that one is among them.
    #[must_use]
    pub const fn contains(self, signer: Signer) -> bool {
        self.0 & signer as u16 != 0
    }
}

/// Signature schemes for all versions with the kinds of key that sign by them, in an order in
/// which a server with several certificates presents what it presents to today's clients.
/// SHA-1 is among them, since the chain is wanted even where it is signed with it.
#[rustfmt::skip]
const SCHEMES: &[(u16, Signer)] = &[
    // ECDSA with SHA-2, Ed25519, Ed448.
    (0x0403, Signer::P256), (0x0503, Signer::P384), (0x0603, Signer::P521),
    (0x0807, Signer::Ed25519), (0x0808, Signer::Ed448),
    // RSA-PSS.
    (0x0804, Signer::Rsa), (0x0805, Signer::Rsa), (0x0806, Signer::Rsa),
    (0x0809, Signer::RsaPss), (0x080a, Signer::RsaPss), (0x080b, Signer::RsaPss),
    // PKCS #1 and SHA-1.
    (0x0401, Signer::Rsa), (0x0501, Signer::Rsa), (0x0601, Signer::Rsa),
    (0x0203, Signer::OtherCurve), (0x0201, Signer::Rsa),
    // Brainpool, SM2.
    (0x081a, Signer::OtherCurve), (0x081b, Signer::OtherCurve), (0x081c, Signer::OtherCurve),
    (0x0708, Signer::OtherCurve),
    // ML-DSA.
    (0x0904, Signer::MlDsa44), (0x0905, Signer::MlDsa65), (0x0906, Signer::MlDsa87),
];

/// And those that ended with TLS 1.2: SHA-224, DSA, MD5, GOST.
#[rustfmt::skip]
const SCHEMES_12: &[(u16, Signer)] = &[
    (0x0303, Signer::OtherCurve), (0x0301, Signer::Rsa),
    (0x0602, Signer::Dsa), (0x0502, Signer::Dsa), (0x0402, Signer::Dsa), (0x0302, Signer::Dsa),
    (0x0202, Signer::Dsa), (0x0101, Signer::Rsa),
    (0x0840, Signer::Gost), (0x0841, Signer::Gost), (0xeded, Signer::Gost), (0xeeee, Signer::Gost),
];

/// The schemes that those keys sign by in TLS 1.3.
pub(crate) fn schemes(signers: Signers) -> impl Iterator<Item = u16> {
    SCHEMES.iter().filter(move |row| signers.contains(row.1)).map(|row| row.0)
}

/// And up to TLS 1.2.
pub(crate) fn schemes_12(signers: Signers) -> impl Iterator<Item = u16> {
    let signers = signers.before_tls_13();
    let rows = SCHEMES.iter().chain(SCHEMES_12);
    rows.filter(move |row| signers.contains(row.1)).map(|row| row.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_key_that_is_left_out_signs_by_nothing() {
        let left = Signers::ALL.without(Signer::Rsa);
        assert!(!left.contains(Signer::Rsa) && left.contains(Signer::RsaPss));
        assert!(schemes(left).all(|scheme| !matches!(scheme, 0x0804..=0x0806 | 0x0401)));
        assert!(schemes(left).any(|scheme| scheme == 0x0809));
        assert_eq!(schemes_12(Signers::ALL).count(), SCHEMES.len() + SCHEMES_12.len());
    }

    #[test]
    fn one_curve_stands_for_all_before_tls_13() {
        let left = Signers::ALL.without(Signer::P384);
        assert!(schemes(left).any(|scheme| scheme == 0x0403));
        assert!(schemes_12(left).all(|scheme| scheme != 0x0403 && scheme != 0x0203));
        assert_eq!(Signers::ALL.before_tls_13(), Signers::ALL);
        let left = Signers::ALL.without(Signer::Rsa).before_tls_13();
        assert!(!left.contains(Signer::RsaPss) && left.contains(Signer::Dsa));
        let left = Signers::ALL.without(Signer::RsaPss).before_tls_13();
        assert!(left.contains(Signer::Rsa));
    }
}
