//! Cipher suites and groups, by their numbers in the IANA registry "TLS Parameters".

use super::{Kind, Signer, Signers, offer};

/// How the keys of a suite are exchanged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exchange {
    Ecdhe,
    Dhe,
    Rsa,
    Static,
}

/// A suite: its number, its name without `TLS_`, how its keys are exchanged.
pub(crate) type Row = (u16, &'static str, Exchange);

/// The suites up to TLS 1.2 that are offered: everything that presents a certificate and was
/// ever widely used, except suites without encryption and those of export strength, which are
/// a question of their own. With forward secrecy first, as a server that follows the client's
/// order then tells what it can do best.
#[rustfmt::skip]
pub(crate) const SUITES: &[Row] = &[
    (0xc02c, "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Exchange::Ecdhe),
    (0xc02b, "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Exchange::Ecdhe),
    (0xcca9, "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Exchange::Ecdhe),
    (0xc030, "ECDHE_RSA_WITH_AES_256_GCM_SHA384", Exchange::Ecdhe),
    (0xc02f, "ECDHE_RSA_WITH_AES_128_GCM_SHA256", Exchange::Ecdhe),
    (0xcca8, "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Exchange::Ecdhe),
    (0xc0af, "ECDHE_ECDSA_WITH_AES_256_CCM_8", Exchange::Ecdhe),
    (0xc0ae, "ECDHE_ECDSA_WITH_AES_128_CCM_8", Exchange::Ecdhe),
    (0xc0ad, "ECDHE_ECDSA_WITH_AES_256_CCM", Exchange::Ecdhe),
    (0xc0ac, "ECDHE_ECDSA_WITH_AES_128_CCM", Exchange::Ecdhe),
    (0xc024, "ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", Exchange::Ecdhe),
    (0xc023, "ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", Exchange::Ecdhe),
    (0xc00a, "ECDHE_ECDSA_WITH_AES_256_CBC_SHA", Exchange::Ecdhe),
    (0xc009, "ECDHE_ECDSA_WITH_AES_128_CBC_SHA", Exchange::Ecdhe),
    (0xc028, "ECDHE_RSA_WITH_AES_256_CBC_SHA384", Exchange::Ecdhe),
    (0xc027, "ECDHE_RSA_WITH_AES_128_CBC_SHA256", Exchange::Ecdhe),
    (0xc014, "ECDHE_RSA_WITH_AES_256_CBC_SHA", Exchange::Ecdhe),
    (0xc013, "ECDHE_RSA_WITH_AES_128_CBC_SHA", Exchange::Ecdhe),
    (0xc05d, "ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384", Exchange::Ecdhe),
    (0xc05c, "ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256", Exchange::Ecdhe),
    (0xc061, "ECDHE_RSA_WITH_ARIA_256_GCM_SHA384", Exchange::Ecdhe),
    (0xc060, "ECDHE_RSA_WITH_ARIA_128_GCM_SHA256", Exchange::Ecdhe),
    (0xc087, "ECDHE_ECDSA_WITH_CAMELLIA_256_GCM_SHA384", Exchange::Ecdhe),
    (0xc086, "ECDHE_ECDSA_WITH_CAMELLIA_128_GCM_SHA256", Exchange::Ecdhe),
    (0xc08b, "ECDHE_RSA_WITH_CAMELLIA_256_GCM_SHA384", Exchange::Ecdhe),
    (0xc08a, "ECDHE_RSA_WITH_CAMELLIA_128_GCM_SHA256", Exchange::Ecdhe),
    (0xc073, "ECDHE_ECDSA_WITH_CAMELLIA_256_CBC_SHA384", Exchange::Ecdhe),
    (0xc072, "ECDHE_ECDSA_WITH_CAMELLIA_128_CBC_SHA256", Exchange::Ecdhe),
    (0xc077, "ECDHE_RSA_WITH_CAMELLIA_256_CBC_SHA384", Exchange::Ecdhe),
    (0xc076, "ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256", Exchange::Ecdhe),
    (0x009f, "DHE_RSA_WITH_AES_256_GCM_SHA384", Exchange::Dhe),
    (0x009e, "DHE_RSA_WITH_AES_128_GCM_SHA256", Exchange::Dhe),
    (0xccaa, "DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Exchange::Dhe),
    (0xc09f, "DHE_RSA_WITH_AES_256_CCM", Exchange::Dhe),
    (0xc09e, "DHE_RSA_WITH_AES_128_CCM", Exchange::Dhe),
    (0x006b, "DHE_RSA_WITH_AES_256_CBC_SHA256", Exchange::Dhe),
    (0x0067, "DHE_RSA_WITH_AES_128_CBC_SHA256", Exchange::Dhe),
    (0x0039, "DHE_RSA_WITH_AES_256_CBC_SHA", Exchange::Dhe),
    (0x0033, "DHE_RSA_WITH_AES_128_CBC_SHA", Exchange::Dhe),
    (0xc0a3, "DHE_RSA_WITH_AES_256_CCM_8", Exchange::Dhe),
    (0xc0a2, "DHE_RSA_WITH_AES_128_CCM_8", Exchange::Dhe),
    (0xc053, "DHE_RSA_WITH_ARIA_256_GCM_SHA384", Exchange::Dhe),
    (0xc052, "DHE_RSA_WITH_ARIA_128_GCM_SHA256", Exchange::Dhe),
    (0x00c4, "DHE_RSA_WITH_CAMELLIA_256_CBC_SHA256", Exchange::Dhe),
    (0x00be, "DHE_RSA_WITH_CAMELLIA_128_CBC_SHA256", Exchange::Dhe),
    (0x0088, "DHE_RSA_WITH_CAMELLIA_256_CBC_SHA", Exchange::Dhe),
    (0x0045, "DHE_RSA_WITH_CAMELLIA_128_CBC_SHA", Exchange::Dhe),
    (0x00a3, "DHE_DSS_WITH_AES_256_GCM_SHA384", Exchange::Dhe),
    (0x00a2, "DHE_DSS_WITH_AES_128_GCM_SHA256", Exchange::Dhe),
    (0x006a, "DHE_DSS_WITH_AES_256_CBC_SHA256", Exchange::Dhe),
    (0x0040, "DHE_DSS_WITH_AES_128_CBC_SHA256", Exchange::Dhe),
    (0x0038, "DHE_DSS_WITH_AES_256_CBC_SHA", Exchange::Dhe),
    (0x0032, "DHE_DSS_WITH_AES_128_CBC_SHA", Exchange::Dhe),
    (0x0087, "DHE_DSS_WITH_CAMELLIA_256_CBC_SHA", Exchange::Dhe),
    (0x0044, "DHE_DSS_WITH_CAMELLIA_128_CBC_SHA", Exchange::Dhe),
    (0xc02e, "ECDH_ECDSA_WITH_AES_256_GCM_SHA384", Exchange::Static),
    (0xc02d, "ECDH_ECDSA_WITH_AES_128_GCM_SHA256", Exchange::Static),
    (0xc032, "ECDH_RSA_WITH_AES_256_GCM_SHA384", Exchange::Static),
    (0xc031, "ECDH_RSA_WITH_AES_128_GCM_SHA256", Exchange::Static),
    (0xc005, "ECDH_ECDSA_WITH_AES_256_CBC_SHA", Exchange::Static),
    (0xc004, "ECDH_ECDSA_WITH_AES_128_CBC_SHA", Exchange::Static),
    (0xc00f, "ECDH_RSA_WITH_AES_256_CBC_SHA", Exchange::Static),
    (0xc00e, "ECDH_RSA_WITH_AES_128_CBC_SHA", Exchange::Static),
    (0x009d, "RSA_WITH_AES_256_GCM_SHA384", Exchange::Rsa),
    (0x009c, "RSA_WITH_AES_128_GCM_SHA256", Exchange::Rsa),
    (0xc09d, "RSA_WITH_AES_256_CCM", Exchange::Rsa),
    (0xc09c, "RSA_WITH_AES_128_CCM", Exchange::Rsa),
    (0xc0a1, "RSA_WITH_AES_256_CCM_8", Exchange::Rsa),
    (0xc0a0, "RSA_WITH_AES_128_CCM_8", Exchange::Rsa),
    (0xc051, "RSA_WITH_ARIA_256_GCM_SHA384", Exchange::Rsa),
    (0xc050, "RSA_WITH_ARIA_128_GCM_SHA256", Exchange::Rsa),
    (0x003d, "RSA_WITH_AES_256_CBC_SHA256", Exchange::Rsa),
    (0x003c, "RSA_WITH_AES_128_CBC_SHA256", Exchange::Rsa),
    (0x0035, "RSA_WITH_AES_256_CBC_SHA", Exchange::Rsa),
    (0x002f, "RSA_WITH_AES_128_CBC_SHA", Exchange::Rsa),
    (0x00c0, "RSA_WITH_CAMELLIA_256_CBC_SHA256", Exchange::Rsa),
    (0x00ba, "RSA_WITH_CAMELLIA_128_CBC_SHA256", Exchange::Rsa),
    (0x0084, "RSA_WITH_CAMELLIA_256_CBC_SHA", Exchange::Rsa),
    (0x0041, "RSA_WITH_CAMELLIA_128_CBC_SHA", Exchange::Rsa),
    (0x0096, "RSA_WITH_SEED_CBC_SHA", Exchange::Rsa),
    (0x0007, "RSA_WITH_IDEA_CBC_SHA", Exchange::Rsa),
    (0xc102, "GOSTR341112_256_WITH_28147_CNT_IMIT", Exchange::Static),
    (0xff85, "GOSTR341112_256_WITH_28147_CNT_IMIT_DRAFT", Exchange::Static),
    (0x0081, "GOSTR341001_WITH_28147_CNT_IMIT", Exchange::Static),
    (0xc008, "ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA", Exchange::Ecdhe),
    (0xc012, "ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", Exchange::Ecdhe),
    (0x0016, "DHE_RSA_WITH_3DES_EDE_CBC_SHA", Exchange::Dhe),
    (0x0013, "DHE_DSS_WITH_3DES_EDE_CBC_SHA", Exchange::Dhe),
    (0x000a, "RSA_WITH_3DES_EDE_CBC_SHA", Exchange::Rsa),
    (0xc007, "ECDHE_ECDSA_WITH_RC4_128_SHA", Exchange::Ecdhe),
    (0xc011, "ECDHE_RSA_WITH_RC4_128_SHA", Exchange::Ecdhe),
    (0x0005, "RSA_WITH_RC4_128_SHA", Exchange::Rsa),
    (0x0004, "RSA_WITH_RC4_128_MD5", Exchange::Rsa),
    (0x0015, "DHE_RSA_WITH_DES_CBC_SHA", Exchange::Dhe),
    (0x0012, "DHE_DSS_WITH_DES_CBC_SHA", Exchange::Dhe),
    (0x0009, "RSA_WITH_DES_CBC_SHA", Exchange::Rsa),
];

/// The suites that protect nothing: no encryption, or encryption that was made to be broken;
/// at the end those without a certificate, which a server has for whoever wants none.
#[rustfmt::skip]
pub(crate) const WEAK: &[Row] = &[
    (0xc006, "ECDHE_ECDSA_WITH_NULL_SHA", Exchange::Ecdhe),
    (0xc010, "ECDHE_RSA_WITH_NULL_SHA", Exchange::Ecdhe),
    (0xc001, "ECDH_ECDSA_WITH_NULL_SHA", Exchange::Static),
    (0xc00b, "ECDH_RSA_WITH_NULL_SHA", Exchange::Static),
    (0x003b, "RSA_WITH_NULL_SHA256", Exchange::Rsa),
    (0x0002, "RSA_WITH_NULL_SHA", Exchange::Rsa),
    (0x0001, "RSA_WITH_NULL_MD5", Exchange::Rsa),
    (0x0064, "RSA_EXPORT1024_WITH_RC4_56_SHA", Exchange::Rsa),
    (0x0062, "RSA_EXPORT1024_WITH_DES_CBC_SHA", Exchange::Rsa),
    (0x0014, "DHE_RSA_EXPORT_WITH_DES40_CBC_SHA", Exchange::Dhe),
    (0x0011, "DHE_DSS_EXPORT_WITH_DES40_CBC_SHA", Exchange::Dhe),
    (0x0008, "RSA_EXPORT_WITH_DES40_CBC_SHA", Exchange::Rsa),
    (0x0006, "RSA_EXPORT_WITH_RC2_CBC_40_MD5", Exchange::Rsa),
    (0x0003, "RSA_EXPORT_WITH_RC4_40_MD5", Exchange::Rsa),
    (0xc019, "ECDH_anon_WITH_AES_256_CBC_SHA", Exchange::Ecdhe),
    (0xc018, "ECDH_anon_WITH_AES_128_CBC_SHA", Exchange::Ecdhe),
    (0xc017, "ECDH_anon_WITH_3DES_EDE_CBC_SHA", Exchange::Ecdhe),
    (0xc016, "ECDH_anon_WITH_RC4_128_SHA", Exchange::Ecdhe),
    (0xc015, "ECDH_anon_WITH_NULL_SHA", Exchange::Ecdhe),
    (0x00a7, "DH_anon_WITH_AES_256_GCM_SHA384", Exchange::Dhe),
    (0x00a6, "DH_anon_WITH_AES_128_GCM_SHA256", Exchange::Dhe),
    (0x006d, "DH_anon_WITH_AES_256_CBC_SHA256", Exchange::Dhe),
    (0x006c, "DH_anon_WITH_AES_128_CBC_SHA256", Exchange::Dhe),
    (0x003a, "DH_anon_WITH_AES_256_CBC_SHA", Exchange::Dhe),
    (0x0034, "DH_anon_WITH_AES_128_CBC_SHA", Exchange::Dhe),
    (0x001b, "DH_anon_WITH_3DES_EDE_CBC_SHA", Exchange::Dhe),
    (0x0018, "DH_anon_WITH_RC4_128_MD5", Exchange::Dhe),
    (0x001a, "DH_anon_WITH_DES_CBC_SHA", Exchange::Dhe),
    (0x0019, "DH_anon_EXPORT_WITH_DES40_CBC_SHA", Exchange::Dhe),
    (0x0017, "DH_anon_EXPORT_WITH_RC4_40_MD5", Exchange::Dhe),
];

/// The suites of TLS 1.3 that are offered. Those with CCM are not: the crypto provider cannot
/// open what they close, and no server speaks only them.
pub(crate) const SUITES_13: &[(u16, &str)] = &[
    (0x1301, "AES_128_GCM_SHA256"),
    (0x1302, "AES_256_GCM_SHA384"),
    (0x1303, "CHACHA20_POLY1305_SHA256"),
];

/// Says "I can renegotiate securely" without an extension (RFC 5746, section 3.3). Some
/// servers refuse clients that do not.
pub(crate) const RENEGOTIATION_SCSV: u16 = 0x00ff;

/// Groups that are offered in TLS 1.3 alone.
const GROUPS_13: &[(u16, &str)] = &[(super::share::X25519_MLKEM768, "X25519MLKEM768")];

/// Groups, with those that are offered up to TLS 1.2 in the order offered: common ones first,
/// then what old and national libraries were limited to.
const GROUPS: &[(u16, &str)] = &[
    (0x001d, "x25519"),
    (0x0017, "secp256r1"),
    (0x0018, "secp384r1"),
    (0x0019, "secp521r1"),
    (0x001e, "x448"),
    (0x001a, "brainpoolP256r1"),
    (0x001b, "brainpoolP384r1"),
    (0x001c, "brainpoolP512r1"),
    (0x0016, "secp256k1"),
    (0x0015, "secp224r1"),
    (0x0014, "secp224k1"),
    (0x0013, "secp192r1"),
    (0x0012, "secp192k1"),
    (0x0011, "secp160r2"),
    (0x0010, "secp160r1"),
    (0x000f, "secp160k1"),
    (0x000e, "sect571r1"),
    (0x000d, "sect571k1"),
    (0x000c, "sect409r1"),
    (0x000b, "sect409k1"),
    (0x000a, "sect283r1"),
    (0x0009, "sect283k1"),
    (0x0007, "sect233r1"),
    (0x0006, "sect233k1"),
    (0x0003, "sect163r2"),
    (0x0001, "sect163k1"),
];

/// The groups offered up to TLS 1.2. The finite-field groups of RFC 7919 are not among them:
/// a server that knows them must refuse a client that offers some and not its own.
pub(crate) fn groups() -> impl Iterator<Item = u16> {
    GROUPS.iter().map(|row| row.0)
}

/// The name of a cipher suite, with `TLS_` before it in the registry. `None` for one that is
/// never offered.
#[must_use]
pub fn suite_name(suite: u16) -> Option<&'static str> {
    let modern = SUITES_13.iter().find(|row| row.0 == suite).map(|row| row.1);
    modern.or_else(|| find(suite).map(|row| row.1))
}

/// The suites that a kind of hello offers, in its order.
pub fn suites_of(kind: Kind) -> impl Iterator<Item = u16> {
    let (rows, rows_13, old): (&[Row], &[(u16, &str)], bool) = match kind {
        Kind::Wide | Kind::UpTo(_) => (SUITES, &[], false),
        Kind::Weak => (WEAK, &[], false),
        Kind::Modern | Kind::Hybrid => (&[], SUITES_13, false),
        Kind::Bare(_) | Kind::Framed => (&[], &[], true),
    };
    let numbers = rows.iter().map(|row| row.0).chain(rows_13.iter().map(|row| row.0));
    numbers.chain(old.then(offer::old_suites).into_iter().flatten())
}

/// The groups that a kind of hello offers, in its order.
pub fn groups_of(kind: Kind) -> impl Iterator<Item = u16> {
    let (old, modern): (bool, &[u16]) = match kind {
        Kind::Wide | Kind::UpTo(_) | Kind::Weak => (true, &[]),
        Kind::Modern => (false, super::share::GROUPS),
        Kind::Hybrid => (false, &[super::share::X25519_MLKEM768]),
        Kind::Bare(_) | Kind::Framed => (false, &[]),
    };
    old.then(groups).into_iter().flatten().chain(modern.iter().copied())
}

/// Whether a suite's keys are exchanged in a group that both sides name.
#[must_use]
pub fn has_group(suite: u16) -> bool {
    find(suite).is_some_and(|(_, _, exchange)| exchange == Exchange::Ecdhe)
}

/// The name of a group. `None` for one that is never offered.
#[must_use]
pub fn group_name(group: u16) -> Option<&'static str> {
    GROUPS.iter().chain(GROUPS_13).find(|row| row.0 == group).map(|row| row.1)
}

/// A suite up to TLS 1.2. `None` for one that is never offered.
pub(crate) fn find(suite: u16) -> Option<Row> {
    SUITES.iter().chain(WEAK).find(|row| row.0 == suite).copied()
}

/// Whether a suite has no certificate.
pub(crate) fn is_anonymous((_, name, _): Row) -> bool {
    name.contains("_anon_")
}

/// Whether a suite can be had with a certificate of one of these kinds of key.
pub(crate) fn suits((_, name, _): Row, signers: Signers) -> bool {
    let signers = signers.before_tls_13();
    let any = |kinds: &[Signer]| kinds.iter().any(|kind| signers.contains(*kind));
    match name.split("_WITH_").next().unwrap_or(name) {
        "ECDHE_ECDSA" => any(&[Signer::P256, Signer::Ed25519, Signer::Ed448]),
        "ECDH_ECDSA" | "ECDH_RSA" => any(&[Signer::P256]),
        "GOSTR341112_256" | "GOSTR341001" => any(&[Signer::Gost]),
        of if of.starts_with("DHE_DSS") => any(&[Signer::Dsa]),
        _ => any(&[Signer::Rsa]),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_number_stands_twice_and_names_say_the_exchange() {
        let all = || SUITES.iter().chain(WEAK);
        let numbers: BTreeSet<u16> =
            all().map(|row| row.0).chain(SUITES_13.iter().map(|row| row.0)).collect();
        assert_eq!(numbers.len(), SUITES.len() + WEAK.len() + SUITES_13.len());
        for (number, name, exchange) in all() {
            let expected = match name.split('_').next().unwrap() {
                "ECDH" if is_anonymous((*number, name, *exchange)) => Exchange::Ecdhe,
                "DH" if is_anonymous((*number, name, *exchange)) => Exchange::Dhe,
                "GOSTR341112" | "GOSTR341001" => Exchange::Static,
                "ECDHE" => Exchange::Ecdhe,
                "DHE" => Exchange::Dhe,
                "RSA" => Exchange::Rsa,
                "ECDH" => Exchange::Static,
                other => panic!("{other}"),
            };
            assert_eq!(*exchange, expected, "{number:#06x} {name}");
        }
        assert_eq!(groups().collect::<BTreeSet<_>>().len(), GROUPS.len());
        assert_eq!(suite_name(0x1301), Some("AES_128_GCM_SHA256"));
        assert_eq!(group_name(0x9999), None);
    }

    #[test]
    fn a_suite_is_offered_only_with_the_keys_that_it_needs() {
        let without = |kinds: &[Signer]| kinds.iter().fold(Signers::ALL, |all, k| all.without(*k));
        let offered = |signers| {
            SUITES.iter().filter(move |row| suits(**row, signers)).map(|row| row.1).collect()
        };
        let all: Vec<&str> = offered(Signers::ALL);
        assert_eq!(all.len(), SUITES.len());
        let no_rsa: Vec<&str> = offered(without(&[Signer::Rsa]));
        assert!(no_rsa.iter().all(|name| !name.contains("RSA_WITH") || name.contains("ECDH_RSA")));
        assert!(no_rsa.iter().any(|name| name.starts_with("ECDHE_ECDSA")));
        let curves = [Signer::P256, Signer::Ed25519, Signer::Ed448, Signer::Dsa, Signer::Gost];
        let rsa: Vec<&str> = offered(without(&curves));
        assert!(rsa.iter().all(|name| name.contains("RSA") && !name.contains("ECDH_")));
    }
}
