//! A server of TLS 1.3 of our own, as far as its Certificate: for groups, retries and messages
//! that no library at hand gives. The key schedule is that of RFC 8446, section 7.1, over
//! SHA-256 and AES-128-GCM.

use std::io::{self, Read, Write};

use ml_kem::{EncapsulationKey, MlKem768};
use ring::{
    aead::{self, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{self, EphemeralPrivateKey, UnparsedPublicKey},
    digest::{SHA256, digest},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
    rand::SystemRandom,
};

use crate::own::{Own, message, parse, records, u24};

const X25519: u16 = 0x1d;
pub(crate) const X25519_MLKEM768: u16 = 0x11ec;

/// How it behaves.
#[derive(Clone)]
pub(crate) struct Manner {
    /// The only group that it has.
    pub(crate) group: u16,
    /// What it wants to hear again.
    pub(crate) cookie: Option<Vec<u8>>,
    /// Bytes of its messages in one encrypted record.
    pub(crate) size: usize,
    pub(crate) leaf: Vec<u8>,
    /// What stands beside the leaf, as extensions.
    pub(crate) beside: Vec<u8>,
    /// Messages between EncryptedExtensions and Certificate.
    pub(crate) before: Vec<u8>,
}

/// A refusal that ends the connection.
fn refuse(stream: &mut impl Write, alert: u8) -> io::Result<()> {
    stream.write_all(&[21, 3, 3, 0, 2, 2, alert])
}

/// Starts one.
pub(crate) fn start(manner: Manner) -> Own {
    Own::serve(move |mut stream| {
        let first = hello(&mut stream)?;
        let mut transcript = first.clone();
        let offered = parse(&first).unwrap_or_default();
        let contains = |list: Option<&Vec<u8>>, number: u16| {
            let list = list.and_then(|list| list.get(2..)).unwrap_or_default();
            list.chunks(2).any(|pair| pair == number.to_be_bytes())
        };
        let is_modern = offered.extensions.get(&43).is_some_and(|list| list.ends_with(&[3, 4]));
        if !is_modern {
            return refuse(&mut stream, 70);
        }
        // A certificate with RSA is all that it has.
        if !contains(offered.extensions.get(&10), manner.group)
            || !contains(offered.extensions.get(&13), 0x0804)
        {
            return refuse(&mut stream, 40);
        }
        let mut share = share_of(&offered.extensions, manner.group);
        if share.is_none() || manner.cookie.is_some() {
            let mut extensions = vec![0, 43, 0, 2, 3, 4];
            if share.is_none() {
                extensions.extend([&[0, 51, 0, 2][..], &manner.group.to_be_bytes()].concat());
            }
            if let Some(cookie) = &manner.cookie {
                let length = u16::try_from(cookie.len()).unwrap();
                extensions.extend([0, 44]);
                extensions.extend((length + 2).to_be_bytes());
                extensions.extend(length.to_be_bytes());
                extensions.extend(cookie);
            }
            let random = digest(&SHA256, b"HelloRetryRequest");
            let retry = server_hello(random.as_ref(), &first, &extensions);
            stream.write_all(&records(0x0303, 1 << 14, &retry))?;
            let hash = digest(&SHA256, &first);
            let second = hello(&mut stream)?;
            transcript = [&[254, 0, 0, 32][..], hash.as_ref(), &retry, &second].concat();
            let again = parse(&second).unwrap_or_default().extensions;
            let heard = again.get(&44).and_then(|data| data.get(2..));
            if heard != manner.cookie.as_deref() {
                return refuse(&mut stream, 47);
            }
            share = share_of(&again, manner.group);
        }
        let Some((ours, secret)) = share.and_then(|theirs| agree(manner.group, &theirs)) else {
            return refuse(&mut stream, 47);
        };
        let mut extensions = vec![0, 43, 0, 2, 3, 4, 0, 51];
        let length = u16::try_from(ours.len()).unwrap();
        extensions.extend((length + 4).to_be_bytes());
        extensions.extend(manner.group.to_be_bytes());
        extensions.extend(length.to_be_bytes());
        extensions.extend(ours);
        let hello = server_hello(&[7; 32], &first, &extensions);
        transcript.extend(&hello);
        stream.write_all(&records(0x0303, 1 << 14, &hello))?;
        stream.write_all(&[20, 3, 3, 0, 1, 1])?;
        let beside = u16::try_from(manner.beside.len()).unwrap().to_be_bytes();
        let entry = [&u24(manner.leaf.len())[..], &manner.leaf, &beside, &manner.beside].concat();
        let certificate = message(11, &[&[0][..], &u24(entry.len()), &entry].concat());
        let flight = [message(8, &[0, 0]), manner.before.clone(), certificate].concat();
        let mut closing = Closing::new(&secret, &transcript);
        for part in flight.chunks(manner.size) {
            stream.write_all(&closing.close(part))?;
        }
        stream.read_to_end(&mut Vec::new()).map(drop)
    })
}

/// The next handshake message, records of another type passed over.
fn hello(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    loop {
        let mut header = [0; 5];
        stream.read_exact(&mut header)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        stream.read_exact(&mut body)?;
        if header[0] == 22 {
            return Ok(body);
        }
    }
}

/// A ServerHello that returns the session id of the client's.
fn server_hello(random: &[u8], client: &[u8], extensions: &[u8]) -> Vec<u8> {
    let session = &client[38..=38 + usize::from(client[38])];
    let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
    message(2, &[&[3, 3][..], random, session, &[0x13, 1, 0], &length, extensions].concat())
}

fn share_of(extensions: &std::collections::BTreeMap<u16, Vec<u8>>, group: u16) -> Option<Vec<u8>> {
    let mut rest = extensions.get(&51)?.get(2..)?;
    while let [a, b, c, d, more @ ..] = rest {
        let (share, after) = more.split_at(usize::from(u16::from_be_bytes([*c, *d])));
        if u16::from_be_bytes([*a, *b]) == group {
            return Some(share.to_vec());
        }
        rest = after;
    }
    None
}

/// What is sent back, and the secret.
fn agree(group: u16, theirs: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let elliptic = |theirs: &[u8], algorithm: &'static agreement::Algorithm| {
        let key = EphemeralPrivateKey::generate(algorithm, &SystemRandom::new()).ok()?;
        let ours = key.compute_public_key().ok()?.as_ref().to_vec();
        let theirs = UnparsedPublicKey::new(algorithm, theirs);
        let secret = agreement::agree_ephemeral(key, &theirs, <[u8]>::to_vec).ok()?;
        Some((ours, secret))
    };
    match group {
        X25519 => elliptic(theirs, &agreement::X25519),
        0x18 => elliptic(theirs, &agreement::ECDH_P384),
        X25519_MLKEM768 => {
            let (lattice, point) = theirs.split_at_checked(1184)?;
            let key = EncapsulationKey::<MlKem768>::new(&lattice.try_into().ok()?).ok()?;
            let (ciphertext, secret) = key.encapsulate_deterministic(&[7; 32].into());
            let (ours, other) = elliptic(point, &agreement::X25519)?;
            let sent = [ciphertext.as_slice(), &ours].concat();
            Some((sent, [secret.as_slice(), &other].concat()))
        }
        _ => None,
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(secret: &Prk, label: &str, context: &[u8], len: usize) -> Vec<u8> {
    let label = [b"tls13 ", label.as_bytes()].concat();
    let head = [0, u8::try_from(len).unwrap(), u8::try_from(label.len()).unwrap()];
    let info = [&head[..], &label, &[u8::try_from(context.len()).unwrap()], context].concat();
    let mut out = vec![0; len];
    secret.expand(&[&info], Length(len)).unwrap().fill(&mut out).unwrap();
    out
}

/// The server's side of the encryption.
struct Closing {
    key: LessSafeKey,
    iv: Vec<u8>,
    sequence: u64,
}

impl Closing {
    fn new(shared: &[u8], transcript: &[u8]) -> Self {
        let early = Salt::new(HKDF_SHA256, &[]).extract(&[0; 32]);
        let derived = expand(&early, "derived", digest(&SHA256, &[]).as_ref(), 32);
        let handshake = Salt::new(HKDF_SHA256, &derived).extract(shared);
        let hash = digest(&SHA256, transcript);
        let secret = expand(&handshake, "s hs traffic", hash.as_ref(), 32);
        let secret = Prk::new_less_safe(HKDF_SHA256, &secret);
        let key = UnboundKey::new(&aead::AES_128_GCM, &expand(&secret, "key", &[], 16)).unwrap();
        Self { key: LessSafeKey::new(key), iv: expand(&secret, "iv", &[], 12), sequence: 0 }
    }

    fn close(&mut self, part: &[u8]) -> Vec<u8> {
        let mut nonce: [u8; 12] = self.iv.clone().try_into().unwrap();
        for (octet, number) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *octet ^= number;
        }
        self.sequence += 1;
        let mut body = [part, &[22]].concat();
        let [high, low] = u16::try_from(body.len() + 16).unwrap().to_be_bytes();
        let header = [23, 3, 3, high, low];
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(header), &mut body).unwrap();
        [&header[..], &body].concat()
    }
}
