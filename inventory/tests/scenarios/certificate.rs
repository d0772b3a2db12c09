//! Certificates and revocation lists of a scenario, made from a name, two days and a key.

use std::collections::{BTreeMap, HashMap};

use certs::{
    Certificate,
    revocation::{List, Lists},
};
use inventory::chain::Anchors;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, PublicKeyData,
    RevokedCertParams, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use serde::Deserialize;

use crate::sentence::sha256;

/// `[[certificate]]`: what one is to be like.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// What sentences and findings call it; also its common name.
    name: String,
    /// The names that it is for; by default what it is called.
    #[serde(default)]
    names: Vec<String>,
    /// The first and the last midnight of its validity.
    days: [String; 2],
    /// The name of its key; by default one that no other has.
    #[serde(default)]
    key: Option<String>,
    /// `ec` (P-256) or `rsa-BITS`.
    #[serde(default = "ec")]
    kind: String,
    /// The common name of its issuer: an authority that was described before, itself, or one
    /// of which nobody has the certificate.
    #[serde(default = "test_ca")]
    issuer: String,
    /// Whether it is an authority's.
    #[serde(default)]
    authority: bool,
}

/// `[[list]]`: a revocation list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDescription {
    /// The common name of its authority.
    issuer: String,
    /// The midnights at which it was made and at which the next is due.
    days: [String; 2],
    /// The certificates that it names.
    revokes: Vec<String>,
}

fn ec() -> String {
    "ec".to_owned()
}

fn test_ca() -> String {
    "Test CA".to_owned()
}

/// The certificates that a scenario made, by name.
#[derive(Default)]
pub(crate) struct Certificates {
    ders: BTreeMap<String, Vec<u8>>,
    /// By the hash of the certificate.
    names: BTreeMap<String, String>,
    /// The names of keys, by the hash of a certificate.
    keys: BTreeMap<String, String>,
    issuers: BTreeMap<String, Issuer<'static, KeyPair>>,
}

impl Certificates {
    pub(crate) fn make(descriptions: &[Description]) -> Self {
        let mut made = Self::default();
        let mut keys: BTreeMap<&str, Key> = BTreeMap::new();
        for wanted in descriptions {
            let key = wanted.key.as_deref().unwrap_or(&wanted.name);
            let names = match &wanted.names[..] {
                [] => vec![wanted.name.clone()],
                names => names.to_vec(),
            };
            let mut params = named(&wanted.name, if wanted.authority { Vec::new() } else { names });
            let midnight = |(year, month, day)| date_time_ymd(year, month, day);
            let [from, until] = wanted.days.each_ref().map(|day| midnight(parts_of(day)));
            (params.not_before, params.not_after) = (from, until);
            params.serial_number = Some(serial(&wanted.name));
            if wanted.authority {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            }
            let der = if wanted.authority || wanted.issuer == wanted.name {
                let pair = KeyPair::generate().unwrap();
                let made_by = match wanted.issuer == wanted.name {
                    true => params.self_signed(&pair),
                    false => params.signed_by(&pair, made.issuer(&wanted.issuer)),
                };
                let der = made_by.unwrap().der().to_vec();
                made.issuers.insert(wanted.name.clone(), Issuer::new(params, pair));
                der
            } else {
                let pair = keys.entry(key).or_insert_with(|| Key::make(&wanted.kind));
                params.signed_by(pair, made.issuer(&wanted.issuer)).unwrap().der().to_vec()
            };
            made.names.insert(sha256(&der), wanted.name.clone());
            made.keys.insert(sha256(&der), key.to_owned());
            let other = made.ders.insert(wanted.name.clone(), der);
            assert_eq!(other, None, "two certificates are called {}", wanted.name);
        }
        made
    }

    /// The issuer of that name, made up where none was described.
    fn issuer(&mut self, name: &str) -> &Issuer<'static, KeyPair> {
        self.issuers.entry(name.to_owned()).or_insert_with(|| {
            let mut params = named(name, Vec::new());
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Issuer::new(params, KeyPair::generate().unwrap())
        })
    }

    /// Whom the organisation of a scenario trusts.
    pub(crate) fn anchors(
        &mut self,
        public: &[String],
        own: &[String],
        lists: &[ListDescription],
    ) -> Anchors {
        let roots = |names: &[String]| names.iter().map(|name| self.der(name)).collect();
        let (public, own) = (roots(public), roots(own));
        let list = |described: &ListDescription| {
            let midnight = |(year, month, day)| date_time_ymd(year, month, day);
            let [this_update, next_update] =
                described.days.each_ref().map(|day| midnight(parts_of(day)));
            let revoked = |name: &String| RevokedCertParams {
                serial_number: serial(name),
                revocation_time: this_update,
                reason_code: None,
                invalidity_date: None,
            };
            let params = CertificateRevocationListParams {
                this_update,
                next_update,
                crl_number: SerialNumber::from(1),
                issuing_distribution_point: None,
                revoked_certs: described.revokes.iter().map(revoked).collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            List::read(params.signed_by(self.issuer(&described.issuer)).unwrap().der()).unwrap()
        };
        let read: Vec<List> = lists.iter().map(list).collect();
        let list_paths = lists.iter().map(|described| described.issuer.clone()).collect();
        Anchors { public, own, lists: Lists::new(read), list_paths }
    }

    /// Their DER, by hash.
    pub(crate) fn ders(&self) -> HashMap<String, Vec<u8>> {
        self.ders.values().map(|der| (sha256(der), der.clone())).collect()
    }

    /// The text with hashes in the place of `{sha256 NAME}`.
    pub(crate) fn with_hashes(&self, text: &str) -> String {
        let all = self.ders.iter();
        all.fold(text.to_owned(), |text, (name, der)| {
            text.replace(&format!("{{sha256 {name}}}"), &sha256(der))
        })
    }

    #[track_caller]
    pub(crate) fn der(&self, name: &str) -> Vec<u8> {
        self.ders.get(name).unwrap_or_else(|| panic!("no certificate {name:?}")).clone()
    }

    /// The name of the key: of one that was made, or of one whose text is its name and its key.
    pub(crate) fn leaf_key(&self, der: &[u8]) -> Option<String> {
        let written = || std::str::from_utf8(der).ok()?.split_once(' ').map(|(_, key)| key);
        self.keys.get(&sha256(der)).cloned().or_else(|| written().map(str::to_owned))
    }

    /// The text with the names of certificates in the place of their hashes.
    pub(crate) fn with_names(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (sha256, name)| text.replace(sha256, name))
    }

    /// All of them, as the product reads them.
    pub(crate) fn parsed(&self) -> Vec<Certificate> {
        self.ders.values().map(|der| certs::parse(der)).collect()
    }
}

fn named(common: &str, names: Vec<String>) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    params
}

fn parts_of(day: &str) -> (i32, u8, u8) {
    let parts: Vec<u16> = day.split('-').map(|part| part.parse().unwrap()).collect();
    let [year, month, day] = parts[..] else { panic!("{day:?} is not a day") };
    (year.into(), month.try_into().unwrap(), day.try_into().unwrap())
}

/// The same for a certificate and for the list that names it.
fn serial(name: &str) -> SerialNumber {
    let digest = sha256(name.as_bytes());
    SerialNumber::from_slice(&digest.as_bytes()[..12])
}

/// A public key. Nothing here is signed with it, so of RSA there is only the modulus: weak
/// ones cannot be generated any more.
struct Key {
    algorithm: &'static SignatureAlgorithm,
    public: Vec<u8>,
}

impl Key {
    fn make(kind: &str) -> Self {
        let Some(bits) = kind.strip_prefix("rsa-") else {
            assert_eq!(kind, "ec", "a kind of key");
            let pair = KeyPair::generate().unwrap();
            return Self { algorithm: pair.algorithm(), public: pair.der_bytes().to_vec() };
        };
        let bytes: usize = bits.parse::<usize>().expect("bits") / 8;
        // RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER } (RFC 8017, A.1.1);
        // the zero keeps the modulus positive. One that small numbers divide is a finding.
        let mut modulus = [vec![0], vec![0xc5; bytes]].concat();
        let rest = |n: &[u8], by: u32| n.iter().fold(0, |r, b| (r << 8 | u32::from(*b)) % by);
        while (2..752).any(|by| rest(&modulus, by) == 0) {
            modulus[bytes] = modulus[bytes].wrapping_add(1);
            modulus[bytes - 4] = modulus[bytes - 4].wrapping_add(modulus[bytes]);
        }
        let modulus = tlv(0x02, &modulus);
        let public = tlv(0x30, &[modulus, tlv(0x02, &[1, 0, 1])].concat());
        Self { algorithm: &PKCS_RSA_SHA256, public }
    }
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    let length: &[u8] = match value.len() {
        0..0x80 => &length[1..],
        0x80..0x100 => &[0x81, length[1]],
        _ => &[0x82, length[0], length[1]],
    };
    [&[tag], length, value].concat()
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}
