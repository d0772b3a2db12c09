//! A small writer of DER, for certificates that no library makes. Nobody signed them; rules
//! and readers do not ask.
#![allow(dead_code, reason = "each of the tests uses a part of it")]

pub(crate) fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match body.len() {
        len @ 0..=0x7f => out.push(len as u8),
        len @ 0x80..=0xff => out.extend([0x81, len as u8]),
        len @ 0x100..=0xffff => out.extend([0x82, (len >> 8) as u8, len as u8]),
        len => out.extend([0x83, (len >> 16) as u8, (len >> 8) as u8, len as u8]),
    }
    out.extend_from_slice(body);
    out
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut body = Vec::new();
    for arc in [&[arcs[0] * 40 + arcs[1]], &arcs[2..]].concat() {
        let sevens: Vec<u8> = (0..10).map(|n| (arc >> (7 * n)) as u8 & 0x7f).collect();
        let top = sevens.iter().rposition(|seven| *seven != 0).unwrap_or(0);
        body.extend((0..=top).rev().map(|n| sevens[n] | if n > 0 { 0x80 } else { 0 }));
    }
    tlv(6, &body)
}

pub(crate) fn attribute(id: &str, tag: u8, text: &str) -> Vec<u8> {
    tlv(0x31, &sequence(&[oid(id), tlv(tag, text.as_bytes())]))
}

pub(crate) const COMMON: &str = "2.5.4.3";
pub(crate) const PRINTABLE: u8 = 0x13;
pub(crate) const UTF8: u8 = 0x0c;

pub(crate) fn name(common: &str) -> Vec<u8> {
    sequence(&[
        attribute("2.5.4.6", PRINTABLE, "JP"),
        attribute("2.5.4.10", UTF8, "Example"),
        attribute(COMMON, UTF8, common),
    ])
}

pub(crate) fn utc(text: &str) -> Vec<u8> {
    tlv(0x17, text.as_bytes())
}

pub(crate) fn general(text: &str) -> Vec<u8> {
    tlv(0x18, text.as_bytes())
}

#[derive(Clone)]
pub(crate) struct Extension {
    pub(crate) id: &'static str,
    pub(crate) critical: bool,
    pub(crate) value: Vec<u8>,
}

pub(crate) fn extension(id: &'static str, critical: bool, value: Vec<u8>) -> Extension {
    Extension { id, critical, value }
}

pub(crate) fn dns(name: &str) -> Vec<u8> {
    tlv(0x82, name.as_bytes())
}

pub(crate) const NAMES: &str = "2.5.29.17";
pub(crate) const CONSTRAINTS: &str = "2.5.29.19";
pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const PURPOSES: &str = "2.5.29.37";
pub(crate) const NAME_CONSTRAINTS: &str = "2.5.29.30";
pub(crate) const POLICIES: &str = "2.5.29.32";
pub(crate) const POINTS: &str = "2.5.29.31";
pub(crate) const ACCESS: &str = "1.3.6.1.5.5.7.1.1";
pub(crate) const AUTHORITY_KEY: &str = "2.5.29.35";
pub(crate) const SUBJECT_KEY: &str = "2.5.29.14";
pub(crate) const SERVER: &str = "1.3.6.1.5.5.7.3.1";
pub(crate) const OCSP: &str = "1.3.6.1.5.5.7.48.1";
pub(crate) const ISSUERS: &str = "1.3.6.1.5.5.7.48.2";

pub(crate) fn purposes(ids: &[&str]) -> Vec<u8> {
    sequence(&ids.iter().map(|id| oid(id)).collect::<Vec<_>>())
}

/// The bits from the first (digitalSignature) on.
pub(crate) fn usage(bits: &str) -> Vec<u8> {
    let octets: Vec<u8> = bits
        .as_bytes()
        .chunks(8)
        .map(|bits| bits.iter().enumerate().fold(0, |o, (n, b)| o | (b - b'0') << (7 - n)))
        .collect();
    let unused = (8 - bits.len() % 8) % 8;
    tlv(3, &[&[unused as u8][..], &octets].concat())
}

pub(crate) fn points(url: &str) -> Vec<u8> {
    let full = tlv(0xa0, &tlv(0xa0, &tlv(0x86, url.as_bytes())));
    sequence(&[sequence(&[full])])
}

pub(crate) fn access(method: &str, location: Vec<u8>) -> Vec<u8> {
    sequence(&[oid(method), location])
}

pub(crate) fn url(text: &str) -> Vec<u8> {
    tlv(0x86, text.as_bytes())
}

/// A certificate's parts, ready to be changed.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) version: Option<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) inner: Vec<u8>,
    pub(crate) outer: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) validity: [Vec<u8>; 2],
    pub(crate) subject: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) unique: Vec<u8>,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) after: Vec<u8>,
}

pub(crate) const ECDSA: &str = "1.2.840.10045.4.3.2";
pub(crate) const RSA_SIGNATURE: &str = "1.2.840.113549.1.1.11";

pub(crate) fn algorithm(id: &str) -> Vec<u8> {
    sequence(&[oid(id)])
}

pub(crate) fn curve_key(curve: &str) -> Vec<u8> {
    let point = [&[0, 4][..], &[7; 64]].concat();
    sequence(&[sequence(&[oid("1.2.840.10045.2.1"), oid(curve)]), tlv(3, &point)])
}

/// An RSA key; the modulus is not checked to be one.
pub(crate) fn rsa_key(modulus: &[u8], exponent: &[u8], parameters: &[u8]) -> Vec<u8> {
    let numbers = sequence(&[tlv(2, &[&[0], modulus].concat()), tlv(2, exponent)]);
    let algorithm = tlv(0x30, &[&oid("1.2.840.113549.1.1.1"), parameters].concat());
    sequence(&[algorithm, tlv(3, &[&[0][..], &numbers].concat())])
}

/// A number of so many bytes without a factor below 752, with this first byte.
pub(crate) fn number(first: u8, len: usize) -> Vec<u8> {
    let mut number = [&[first][..], &vec![0x9d; len - 2], &[1]].concat();
    let has_factor = |number: &[u8]| {
        (2u32..752).any(|d| number.iter().fold(0, |rest, o| (rest << 8 | u32::from(*o)) % d) == 0)
    };
    while has_factor(&number) {
        number[len - 2] = number[len - 2].wrapping_add(1);
        number[len - 9] = number[len - 9].wrapping_add(number[len - 2]);
    }
    number
}

pub(crate) fn modulus() -> Vec<u8> {
    number(0xc5, 256)
}

pub(crate) const NULL: &[u8] = &[5, 0];
pub(crate) const F4: &[u8] = &[1, 0, 1];

impl Made {
    /// What a public authority issues to a server today.
    pub(crate) fn leaf() -> Self {
        Self {
            version: Some(2),
            serial: vec![0x12, 0x34],
            inner: algorithm(ECDSA),
            outer: algorithm(ECDSA),
            issuer: name("Example Authority"),
            validity: [utc("260401000000Z"), utc("260701000000Z")],
            subject: sequence(&[attribute(COMMON, UTF8, "www.example.com")]),
            key: curve_key("1.2.840.10045.3.1.7"),
            unique: Vec::new(),
            extensions: vec![
                extension(NAMES, false, sequence(&[dns("www.example.com")])),
                extension(KEY_USAGE, true, usage("1")),
                extension(PURPOSES, false, purposes(&[SERVER])),
                extension(CONSTRAINTS, true, sequence(&[])),
                extension(AUTHORITY_KEY, false, sequence(&[tlv(0x80, &[1; 20])])),
                extension(SUBJECT_KEY, false, tlv(4, &[2; 20])),
                extension(POLICIES, false, sequence(&[sequence(&[oid("2.23.140.1.2.1")])])),
                extension(POINTS, false, points("http://crl.example.com/1")),
                extension(
                    ACCESS,
                    false,
                    sequence(&[
                        access(OCSP, url("http://ocsp.example.com/")),
                        access(ISSUERS, url("http://ca.example.com/1")),
                    ]),
                ),
            ],
            after: Vec::new(),
        }
    }

    /// An intermediate authority.
    pub(crate) fn authority() -> Self {
        let mut made = Self::leaf();
        made.subject = name("Example Sub-Authority");
        made.without(NAMES)
            .without(PURPOSES)
            .with(CONSTRAINTS, true, sequence(&[tlv(1, &[0xff]), tlv(2, &[0])]))
            .with(KEY_USAGE, true, usage("0000011"))
    }

    pub(crate) fn without(mut self, id: &str) -> Self {
        self.extensions.retain(|extension| extension.id != id);
        self
    }

    /// In the place of the one that there may be.
    pub(crate) fn with(self, id: &'static str, critical: bool, value: Vec<u8>) -> Self {
        let mut made = self.without(id);
        made.extensions.push(extension(id, critical, value));
        made
    }

    pub(crate) fn names(self, names: &[Vec<u8>]) -> Self {
        self.with(NAMES, false, sequence(names))
    }

    /// With this DNS name beside the good one.
    pub(crate) fn named(self, name: &str) -> Self {
        self.names(&[dns("www.example.com"), dns(name)])
    }

    pub(crate) fn valid(mut self, first: &str, last: &str) -> Self {
        self.validity = [utc(first), utc(last)];
        self
    }

    pub(crate) fn key(mut self, key: Vec<u8>) -> Self {
        self.key = key;
        self
    }

    pub(crate) fn subject(mut self, parts: &[Vec<u8>]) -> Self {
        self.subject = sequence(parts);
        self
    }

    pub(crate) fn signed(mut self, algorithm: Vec<u8>) -> Self {
        self.inner = algorithm.clone();
        self.outer = algorithm;
        self
    }

    pub(crate) fn critical(mut self, id: &str, critical: bool) -> Self {
        for extension in &mut self.extensions {
            if extension.id == id {
                extension.critical = critical;
            }
        }
        self
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let extensions: Vec<Vec<u8>> = self
            .extensions
            .iter()
            .map(|e| {
                let critical = if e.critical { tlv(1, &[0xff]) } else { Vec::new() };
                sequence(&[oid(e.id), critical, tlv(4, &e.value)])
            })
            .collect();
        let version = self.version.map_or_else(Vec::new, |v| tlv(0xa0, &tlv(2, &[v])));
        let extensions = match extensions.as_slice() {
            [] => Vec::new(),
            some => tlv(0xa3, &sequence(some)),
        };
        let body = sequence(&[
            version,
            tlv(2, &self.serial),
            self.inner.clone(),
            self.issuer.clone(),
            sequence(&self.validity),
            self.subject.clone(),
            self.key.clone(),
            self.unique.clone(),
            extensions,
        ]);
        let whole = sequence(&[body, self.outer.clone(), tlv(3, &[0, 1, 2, 3])]);
        [whole, self.after.clone()].concat()
    }
}
