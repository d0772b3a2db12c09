//! What object identifiers stand for: keys, curves, signatures, name attributes.
//!
//! Our own table, because the decoder's ends before ML-DSA (RFC 9881) and has no
//! brainpool, GOST or SM2. An identifier that is not here keeps its dotted form, so
//! a new algorithm is shown rather than lost.

/// A hash function under a signature.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Hash {
    /// RFC 1319.
    Md2,
    /// RFC 1320.
    Md4,
    /// RFC 1321.
    Md5,
    /// FIPS 180-4; collisions since 2017.
    Sha1,
    /// ISO/IEC 10118-3.
    Ripemd160,
    /// FIPS 180-4.
    Sha224,
    /// FIPS 180-4.
    Sha256,
    /// FIPS 180-4.
    Sha384,
    /// FIPS 180-4.
    Sha512,
    /// FIPS 202, 224 bits.
    Sha3_224,
    /// FIPS 202, 256 bits.
    Sha3_256,
    /// FIPS 202, 384 bits.
    Sha3_384,
    /// FIPS 202, 512 bits.
    Sha3_512,
    /// FIPS 202, extendable output.
    Shake128,
    /// FIPS 202, extendable output.
    Shake256,
    /// GB/T 32905.
    Sm3,
    /// GOST R 34.11-94.
    Gost94,
    /// GOST R 34.11-2012, 256 bits.
    Streebog256,
    /// GOST R 34.11-2012, 512 bits.
    Streebog512,
}

impl Hash {
    /// Its name as people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md2 => "MD2",
            Self::Md4 => "MD4",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Ripemd160 => "RIPEMD-160",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
            Self::Sha3_224 => "SHA3-224",
            Self::Sha3_256 => "SHA3-256",
            Self::Sha3_384 => "SHA3-384",
            Self::Sha3_512 => "SHA3-512",
            Self::Shake128 => "SHAKE128",
            Self::Shake256 => "SHAKE256",
            Self::Sm3 => "SM3",
            Self::Gost94 => "GOST R 34.11-94",
            Self::Streebog256 => "Streebog-256",
            Self::Streebog512 => "Streebog-512",
        }
    }
}

/// What kind of key it is, as far as rules care.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyKind {
    /// RSA, whatever its padding; strength by modulus.
    Rsa,
    /// A curve in Weierstrass form with a choice of curve; strength by field.
    Ec,
    /// FIPS 186 over integers; withdrawn by FIPS 186-5.
    Dsa,
    /// Ed25519, Ed448 and their key agreements: one strength each.
    Edwards,
    /// ML-DSA, SLH-DSA, ML-KEM and the like: one strength for each parameter set.
    PostQuantum,
    /// Something else.
    Other,
}

/// A public key's algorithm.
pub(crate) struct KeyRow {
    pub(crate) oid: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: KeyKind,
    /// Where the algorithm itself says it.
    pub(crate) bits: Option<u32>,
}

const fn key(oid: &'static str, name: &'static str, kind: KeyKind, bits: Option<u32>) -> KeyRow {
    KeyRow { oid, name, kind, bits }
}

const KEYS: &[KeyRow] = &[
    // RFC 3279 and RFC 4055.
    key("1.2.840.113549.1.1.1", "RSA", KeyKind::Rsa, None),
    key("1.2.840.113549.1.1.10", "RSASSA-PSS", KeyKind::Rsa, None),
    key("1.2.840.113549.1.1.7", "RSAES-OAEP", KeyKind::Rsa, None),
    key("2.5.8.1.1", "RSA", KeyKind::Rsa, None),
    key("1.2.840.10040.4.1", "DSA", KeyKind::Dsa, None),
    key("1.3.14.3.2.12", "DSA", KeyKind::Dsa, None),
    key("1.2.840.10046.2.1", "DH", KeyKind::Other, None),
    key("1.2.840.113549.1.3.1", "DH", KeyKind::Other, None),
    // RFC 5480.
    key("1.2.840.10045.2.1", "EC", KeyKind::Ec, None),
    key("1.3.132.1.12", "ECDH", KeyKind::Ec, None),
    key("1.3.132.1.13", "ECMQV", KeyKind::Ec, None),
    // RFC 8410.
    key("1.3.101.110", "X25519", KeyKind::Edwards, Some(256)),
    key("1.3.101.111", "X448", KeyKind::Edwards, Some(448)),
    key("1.3.101.112", "Ed25519", KeyKind::Edwards, Some(256)),
    key("1.3.101.113", "Ed448", KeyKind::Edwards, Some(456)),
    // RFC 9881, RFC 9909, RFC 9935: a parameter set, which no number of bits describes.
    key("2.16.840.1.101.3.4.3.17", "ML-DSA-44", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.18", "ML-DSA-65", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.19", "ML-DSA-87", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.20", "SLH-DSA-SHA2-128s", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.21", "SLH-DSA-SHA2-128f", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.22", "SLH-DSA-SHA2-192s", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.23", "SLH-DSA-SHA2-192f", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.24", "SLH-DSA-SHA2-256s", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.25", "SLH-DSA-SHA2-256f", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.26", "SLH-DSA-SHAKE-128s", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.27", "SLH-DSA-SHAKE-128f", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.28", "SLH-DSA-SHAKE-192s", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.29", "SLH-DSA-SHAKE-192f", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.30", "SLH-DSA-SHAKE-256s", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.31", "SLH-DSA-SHAKE-256f", KeyKind::PostQuantum, None),
    // Those that sign a hash of the message instead of the message.
    key("2.16.840.1.101.3.4.3.32", "HashML-DSA-44-with-SHA512", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.33", "HashML-DSA-65-with-SHA512", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.34", "HashML-DSA-87-with-SHA512", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.35", "HashSLH-DSA-SHA2-128s-with-SHA256", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.36", "HashSLH-DSA-SHA2-128f-with-SHA256", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.37", "HashSLH-DSA-SHA2-192s-with-SHA512", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.38", "HashSLH-DSA-SHA2-192f-with-SHA512", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.39", "HashSLH-DSA-SHA2-256s-with-SHA512", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.3.40", "HashSLH-DSA-SHA2-256f-with-SHA512", KeyKind::PostQuantum, None),
    key(
        "2.16.840.1.101.3.4.3.41",
        "HashSLH-DSA-SHAKE-128s-with-SHAKE128",
        KeyKind::PostQuantum,
        None,
    ),
    key(
        "2.16.840.1.101.3.4.3.42",
        "HashSLH-DSA-SHAKE-128f-with-SHAKE128",
        KeyKind::PostQuantum,
        None,
    ),
    key(
        "2.16.840.1.101.3.4.3.43",
        "HashSLH-DSA-SHAKE-192s-with-SHAKE256",
        KeyKind::PostQuantum,
        None,
    ),
    key(
        "2.16.840.1.101.3.4.3.44",
        "HashSLH-DSA-SHAKE-192f-with-SHAKE256",
        KeyKind::PostQuantum,
        None,
    ),
    key(
        "2.16.840.1.101.3.4.3.45",
        "HashSLH-DSA-SHAKE-256s-with-SHAKE256",
        KeyKind::PostQuantum,
        None,
    ),
    key(
        "2.16.840.1.101.3.4.3.46",
        "HashSLH-DSA-SHAKE-256f-with-SHAKE256",
        KeyKind::PostQuantum,
        None,
    ),
    key("2.16.840.1.101.3.4.4.1", "ML-KEM-512", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.4.2", "ML-KEM-768", KeyKind::PostQuantum, None),
    key("2.16.840.1.101.3.4.4.3", "ML-KEM-1024", KeyKind::PostQuantum, None),
    // RFC 9802: hash-based signatures that keep a state.
    key("1.2.840.113549.1.9.16.3.17", "HSS-LMS", KeyKind::PostQuantum, None),
    key("1.3.6.1.5.5.7.6.34", "XMSS", KeyKind::PostQuantum, None),
    key("1.3.6.1.5.5.7.6.35", "XMSS-MT", KeyKind::PostQuantum, None),
    // RFC 4491 and RFC 9215.
    key("1.2.643.2.2.19", "GOST R 34.10-2001", KeyKind::Other, Some(256)),
    key("1.2.643.7.1.1.1.1", "GOST R 34.10-2012-256", KeyKind::Other, Some(256)),
    key("1.2.643.7.1.1.1.2", "GOST R 34.10-2012-512", KeyKind::Other, Some(512)),
    key("1.2.156.10197.1.301", "SM2", KeyKind::Ec, Some(256)),
];

/// The key algorithm of that identifier.
pub(crate) fn key_algorithm(oid: &str) -> Option<&'static KeyRow> {
    KEYS.iter().find(|row| row.oid == oid)
}

/// Curves by identifier, with the size of their field in bits.
const CURVES: &[(&str, &str, u32)] = &[
    // SEC 2 and FIPS 186.
    ("1.2.840.10045.3.1.1", "P-192", 192),
    ("1.3.132.0.33", "P-224", 224),
    ("1.2.840.10045.3.1.7", "P-256", 256),
    ("1.3.132.0.34", "P-384", 384),
    ("1.3.132.0.35", "P-521", 521),
    ("1.3.132.0.6", "secp112r1", 112),
    ("1.3.132.0.7", "secp112r2", 112),
    ("1.3.132.0.28", "secp128r1", 128),
    ("1.3.132.0.29", "secp128r2", 128),
    ("1.3.132.0.9", "secp160k1", 160),
    ("1.3.132.0.8", "secp160r1", 160),
    ("1.3.132.0.30", "secp160r2", 160),
    ("1.3.132.0.31", "secp192k1", 192),
    ("1.3.132.0.32", "secp224k1", 224),
    ("1.3.132.0.10", "secp256k1", 256),
    ("1.2.840.10045.3.1.2", "prime192v2", 192),
    ("1.2.840.10045.3.1.3", "prime192v3", 192),
    ("1.2.840.10045.3.1.4", "prime239v1", 239),
    ("1.2.840.10045.3.1.5", "prime239v2", 239),
    ("1.2.840.10045.3.1.6", "prime239v3", 239),
    ("1.3.132.0.4", "sect113r1", 113),
    ("1.3.132.0.5", "sect113r2", 113),
    ("1.3.132.0.22", "sect131r1", 131),
    ("1.3.132.0.23", "sect131r2", 131),
    ("1.3.132.0.1", "sect163k1", 163),
    ("1.3.132.0.2", "sect163r1", 163),
    ("1.3.132.0.15", "sect163r2", 163),
    ("1.3.132.0.24", "sect193r1", 193),
    ("1.3.132.0.25", "sect193r2", 193),
    ("1.3.132.0.26", "sect233k1", 233),
    ("1.3.132.0.27", "sect233r1", 233),
    ("1.3.132.0.3", "sect239k1", 239),
    ("1.3.132.0.16", "sect283k1", 283),
    ("1.3.132.0.17", "sect283r1", 283),
    ("1.3.132.0.36", "sect409k1", 409),
    ("1.3.132.0.37", "sect409r1", 409),
    ("1.3.132.0.38", "sect571k1", 571),
    ("1.3.132.0.39", "sect571r1", 571),
    // RFC 5639.
    ("1.3.36.3.3.2.8.1.1.1", "brainpoolP160r1", 160),
    ("1.3.36.3.3.2.8.1.1.2", "brainpoolP160t1", 160),
    ("1.3.36.3.3.2.8.1.1.3", "brainpoolP192r1", 192),
    ("1.3.36.3.3.2.8.1.1.4", "brainpoolP192t1", 192),
    ("1.3.36.3.3.2.8.1.1.5", "brainpoolP224r1", 224),
    ("1.3.36.3.3.2.8.1.1.6", "brainpoolP224t1", 224),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1", 256),
    ("1.3.36.3.3.2.8.1.1.8", "brainpoolP256t1", 256),
    ("1.3.36.3.3.2.8.1.1.9", "brainpoolP320r1", 320),
    ("1.3.36.3.3.2.8.1.1.10", "brainpoolP320t1", 320),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1", 384),
    ("1.3.36.3.3.2.8.1.1.12", "brainpoolP384t1", 384),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1", 512),
    ("1.3.36.3.3.2.8.1.1.14", "brainpoolP512t1", 512),
    ("1.2.250.1.223.101.256.1", "FRP256v1", 256),
    ("1.2.156.10197.1.301", "SM2", 256),
];

/// The curve of that identifier: its name and the size of its field in bits.
pub(crate) fn curve(oid: &str) -> Option<(&'static str, u32)> {
    CURVES.iter().find(|row| row.0 == oid).map(|row| (row.1, row.2))
}

/// Signature algorithms by identifier, with the hash where the algorithm names one.
const SIGNATURES: &[(&str, &str, Option<Hash>)] = &[
    // RFC 3279, RFC 4055, RFC 8017.
    ("1.2.840.113549.1.1.2", "md2WithRSAEncryption", Some(Hash::Md2)),
    ("1.2.840.113549.1.1.3", "md4WithRSAEncryption", Some(Hash::Md4)),
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption", Some(Hash::Md5)),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption", Some(Hash::Sha1)),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS", None),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption", Some(Hash::Sha256)),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption", Some(Hash::Sha384)),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption", Some(Hash::Sha512)),
    ("1.2.840.113549.1.1.14", "sha224WithRSAEncryption", Some(Hash::Sha224)),
    ("1.3.14.3.2.2", "md4WithRSA", Some(Hash::Md4)),
    ("1.3.14.3.2.3", "md5WithRSA", Some(Hash::Md5)),
    ("1.3.14.3.2.29", "sha1WithRSA", Some(Hash::Sha1)),
    ("1.3.36.3.3.1.2", "ripemd160WithRSA", Some(Hash::Ripemd160)),
    ("2.16.840.1.101.3.4.3.13", "rsassa-pkcs1-v1_5-with-sha3-224", Some(Hash::Sha3_224)),
    ("2.16.840.1.101.3.4.3.14", "rsassa-pkcs1-v1_5-with-sha3-256", Some(Hash::Sha3_256)),
    ("2.16.840.1.101.3.4.3.15", "rsassa-pkcs1-v1_5-with-sha3-384", Some(Hash::Sha3_384)),
    ("2.16.840.1.101.3.4.3.16", "rsassa-pkcs1-v1_5-with-sha3-512", Some(Hash::Sha3_512)),
    // RFC 8702.
    ("1.3.6.1.5.5.7.6.30", "RSASSA-PSS-SHAKE128", Some(Hash::Shake128)),
    ("1.3.6.1.5.5.7.6.31", "RSASSA-PSS-SHAKE256", Some(Hash::Shake256)),
    ("1.3.6.1.5.5.7.6.32", "ecdsa-with-SHAKE128", Some(Hash::Shake128)),
    ("1.3.6.1.5.5.7.6.33", "ecdsa-with-SHAKE256", Some(Hash::Shake256)),
    // RFC 3279, RFC 5758.
    ("1.2.840.10040.4.3", "dsa-with-SHA1", Some(Hash::Sha1)),
    ("1.3.14.3.2.13", "dsa-with-SHA1", Some(Hash::Sha1)),
    ("1.3.14.3.2.27", "dsa-with-SHA1", Some(Hash::Sha1)),
    ("2.16.840.1.101.3.4.3.1", "dsa-with-SHA224", Some(Hash::Sha224)),
    ("2.16.840.1.101.3.4.3.2", "dsa-with-SHA256", Some(Hash::Sha256)),
    ("2.16.840.1.101.3.4.3.3", "dsa-with-SHA384", Some(Hash::Sha384)),
    ("2.16.840.1.101.3.4.3.4", "dsa-with-SHA512", Some(Hash::Sha512)),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1", Some(Hash::Sha1)),
    ("1.2.840.10045.4.3.1", "ecdsa-with-SHA224", Some(Hash::Sha224)),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256", Some(Hash::Sha256)),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384", Some(Hash::Sha384)),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512", Some(Hash::Sha512)),
    ("2.16.840.1.101.3.4.3.9", "ecdsa-with-SHA3-224", Some(Hash::Sha3_224)),
    ("2.16.840.1.101.3.4.3.10", "ecdsa-with-SHA3-256", Some(Hash::Sha3_256)),
    ("2.16.840.1.101.3.4.3.11", "ecdsa-with-SHA3-384", Some(Hash::Sha3_384)),
    ("2.16.840.1.101.3.4.3.12", "ecdsa-with-SHA3-512", Some(Hash::Sha3_512)),
    // BSI TR-03111.
    ("0.4.0.127.0.7.1.1.4.1.1", "ecdsa-plain-SHA1", Some(Hash::Sha1)),
    ("0.4.0.127.0.7.1.1.4.1.3", "ecdsa-plain-SHA256", Some(Hash::Sha256)),
    ("0.4.0.127.0.7.1.1.4.1.4", "ecdsa-plain-SHA384", Some(Hash::Sha384)),
    ("0.4.0.127.0.7.1.1.4.1.5", "ecdsa-plain-SHA512", Some(Hash::Sha512)),
    // RFC 4491 and RFC 9215.
    ("1.2.643.2.2.3", "GOST R 34.10-2001 with 34.11-94", Some(Hash::Gost94)),
    ("1.2.643.2.2.4", "GOST R 34.10-94 with 34.11-94", Some(Hash::Gost94)),
    ("1.2.643.7.1.1.3.2", "GOST R 34.10-2012-256", Some(Hash::Streebog256)),
    ("1.2.643.7.1.1.3.3", "GOST R 34.10-2012-512", Some(Hash::Streebog512)),
    ("1.2.156.10197.1.501", "SM2-with-SM3", Some(Hash::Sm3)),
    ("1.2.156.10197.1.504", "sm3WithRSAEncryption", Some(Hash::Sm3)),
];

/// The signature algorithm of that identifier: its name, and its hash where the algorithm
/// says it. One that signs messages whole (Ed25519, ML-DSA) bears its key's name.
pub(crate) fn signature(oid: &str) -> Option<(&'static str, Option<Hash>)> {
    let listed = SIGNATURES.iter().find(|row| row.0 == oid).map(|row| (row.1, row.2));
    listed.or_else(|| {
        let signs = matches!(
            oid,
            "1.3.101.112"
                | "1.3.101.113"
                | "1.2.840.113549.1.9.16.3.17"
                | "1.3.6.1.5.5.7.6.34"
                | "1.3.6.1.5.5.7.6.35"
        ) || oid.starts_with("2.16.840.1.101.3.4.3.");
        key_algorithm(oid).filter(|_| signs).map(|row| (row.name, None))
    })
}

/// Hash functions by identifier, for the parameters of RSASSA-PSS.
pub(crate) fn hash(oid: &str) -> Option<Hash> {
    Some(match oid {
        "1.2.840.113549.2.2" => Hash::Md2,
        "1.2.840.113549.2.4" => Hash::Md4,
        "1.2.840.113549.2.5" => Hash::Md5,
        "1.3.14.3.2.26" => Hash::Sha1,
        "1.3.36.3.2.1" => Hash::Ripemd160,
        "2.16.840.1.101.3.4.2.4" => Hash::Sha224,
        "2.16.840.1.101.3.4.2.1" => Hash::Sha256,
        "2.16.840.1.101.3.4.2.2" => Hash::Sha384,
        "2.16.840.1.101.3.4.2.3" => Hash::Sha512,
        "2.16.840.1.101.3.4.2.7" => Hash::Sha3_224,
        "2.16.840.1.101.3.4.2.8" => Hash::Sha3_256,
        "2.16.840.1.101.3.4.2.9" => Hash::Sha3_384,
        "2.16.840.1.101.3.4.2.10" => Hash::Sha3_512,
        "1.2.156.10197.1.401" => Hash::Sm3,
        _ => return None,
    })
}

/// The short name of a name attribute in RFC 4514 strings: its table (section 3), then the
/// descriptors of the LDAP parameters registry.
pub(crate) fn attribute(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.6" => "C",
        "2.5.4.9" => "STREET",
        "0.9.2342.19200300.100.1.25" => "DC",
        "0.9.2342.19200300.100.1.1" => "UID",
        "2.5.4.4" => "sn",
        "2.5.4.5" => "serialNumber",
        "2.5.4.12" => "title",
        "2.5.4.13" => "description",
        "2.5.4.15" => "businessCategory",
        "2.5.4.16" => "postalAddress",
        "2.5.4.17" => "postalCode",
        "2.5.4.20" => "telephoneNumber",
        "2.5.4.41" => "name",
        "2.5.4.42" => "givenName",
        "2.5.4.43" => "initials",
        "2.5.4.44" => "generationQualifier",
        "2.5.4.45" => "x500UniqueIdentifier",
        "2.5.4.46" => "dnQualifier",
        "2.5.4.65" => "pseudonym",
        "2.5.4.97" => "organizationIdentifier",
        "0.9.2342.19200300.100.1.3" => "mail",
        "1.2.840.113549.1.9.1" => "emailAddress",
        "1.2.840.113549.1.9.2" => "unstructuredName",
        "1.2.840.113549.1.9.8" => "unstructuredAddress",
        _ => return None,
    })
}

/// The names of extended key usages (RFC 5280, section 4.2.1.12, and those in wide use).
pub(crate) fn purpose(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.29.37.0" => "anyExtendedKeyUsage",
        "1.3.6.1.5.5.7.3.1" => "serverAuth",
        "1.3.6.1.5.5.7.3.2" => "clientAuth",
        "1.3.6.1.5.5.7.3.3" => "codeSigning",
        "1.3.6.1.5.5.7.3.4" => "emailProtection",
        "1.3.6.1.5.5.7.3.5" => "ipsecEndSystem",
        "1.3.6.1.5.5.7.3.6" => "ipsecTunnel",
        "1.3.6.1.5.5.7.3.7" => "ipsecUser",
        "1.3.6.1.5.5.7.3.8" => "timeStamping",
        "1.3.6.1.5.5.7.3.9" => "OCSPSigning",
        "1.3.6.1.5.5.7.3.13" => "eapOverPPP",
        "1.3.6.1.5.5.7.3.14" => "eapOverLAN",
        "1.3.6.1.5.5.7.3.17" => "ipsecIKE",
        "1.3.6.1.5.5.7.3.21" => "secureShellClient",
        "1.3.6.1.5.5.7.3.22" => "secureShellServer",
        "1.3.6.1.5.2.3.4" => "pkinitClient",
        "1.3.6.1.5.2.3.5" => "pkinitKDC",
        "1.3.6.1.4.1.311.20.2.2" => "smartcardLogon",
        "1.3.6.1.4.1.311.54.1.2" => "remoteDesktop",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_identifier_stands_twice_in_a_table() {
        for oids in [
            KEYS.iter().map(|row| row.oid).collect::<Vec<_>>(),
            CURVES.iter().map(|row| row.0).collect(),
            SIGNATURES.iter().map(|row| row.0).collect(),
        ] {
            assert_eq!(oids.iter().collect::<BTreeSet<_>>().len(), oids.len());
        }
    }

    #[test]
    fn algorithms_that_sign_whole_messages_bear_the_name_of_their_key() {
        assert_eq!(signature("1.3.101.112"), Some(("Ed25519", None)));
        assert_eq!(signature("2.16.840.1.101.3.4.3.18"), Some(("ML-DSA-65", None)));
        assert_eq!(signature("2.16.840.1.101.3.4.3.31"), Some(("SLH-DSA-SHAKE-256f", None)));
        assert_eq!(
            signature("1.2.840.10045.4.3.2"),
            Some(("ecdsa-with-SHA256", Some(Hash::Sha256)))
        );
        assert_eq!(signature("1.2.840.10045.2.1"), None, "a key that signs nothing by itself");
    }
}
