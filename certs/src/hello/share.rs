//! Key shares of TLS 1.3: the groups that we can agree on a secret in, and how.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ml_kem::{Decapsulate as _, DecapsulationKey, KeyExport as _, MlKem768};
use ring::{
    agreement::{self, EphemeralPrivateKey, UnparsedPublicKey},
    rand::{SecureRandom as _, SystemRandom},
};

use super::{
    HelloError,
    curve::{self, P521_ENTROPY, X448_ENTROPY},
};

pub(crate) const X25519: u16 = 0x001d;
pub(crate) const P256: u16 = 0x0017;
const P384: u16 = 0x0018;
const P521: u16 = 0x0019;
const X448: u16 = 0x001e;

/// ML-KEM-768 and X25519 together (draft-ietf-tls-ecdhe-mlkem): the group that today's
/// browsers and libraries are ready for quantum computers with.
pub(crate) const X25519_MLKEM768: u16 = 0x11ec;

/// The groups offered in TLS 1.3. Only those that we have: one that we only name would be
/// asked for by servers that have better ones too.
pub(crate) const GROUPS: &[u16] = &[X25519, P256, P384, P521, X448];

/// Bytes of what ML-KEM-768 sends back.
const CIPHERTEXT: usize = 1088;

/// An ephemeral key and its group.
pub(crate) struct Share {
    pub(crate) group: u16,
    /// What is sent of it.
    pub(crate) public: Vec<u8>,
    secret: Secret,
}

/// Ephemeral keys that were offered and that no server agreed on, for the next hellos: to make
/// them is most of the work of a hello of TLS 1.3. What such a key is for is to protect what is
/// agreed with it, and each is agreed on once at most. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Shares(Arc<Mutex<BTreeMap<u16, Vec<Share>>>>);

impl Shares {
    /// So many are kept of each group: one for each hello that is under way.
    const MOST: usize = 1 << 14;

    /// One of that group, kept or new.
    pub(crate) fn take(&self, group: u16) -> Result<Share, HelloError> {
        let kept = self.kept().get_mut(&group).and_then(Vec::pop);
        kept.map_or_else(|| Share::new(group), Ok)
    }

    /// Keeps what no server agreed on.
    pub(crate) fn put_back(&self, shares: impl IntoIterator<Item = Share>) {
        let mut kept = self.kept();
        for share in shares {
            let kept = kept.entry(share.group).or_default();
            if kept.len() < Self::MOST {
                kept.push(share);
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<u16, Vec<Share>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Secret {
    Provider(EphemeralPrivateKey),
    P521([u8; P521_ENTROPY]),
    X448([u8; X448_ENTROPY]),
    Hybrid(Box<DecapsulationKey<MlKem768>>, EphemeralPrivateKey),
}

fn random<const N: usize>() -> Result<[u8; N], HelloError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| HelloError::NoRandomness)?;
    Ok(bytes)
}

fn provider(
    algorithm: &'static agreement::Algorithm,
) -> Result<(EphemeralPrivateKey, Vec<u8>), HelloError> {
    let key = EphemeralPrivateKey::generate(algorithm, &SystemRandom::new());
    let key = key.map_err(|_| HelloError::NoRandomness)?;
    let public = key.compute_public_key().map_err(|_| HelloError::NoRandomness)?;
    let public = public.as_ref().to_vec();
    Ok((key, public))
}

impl Share {
    /// A new key of that group.
    ///
    /// # Errors
    /// [`HelloError::Group`] for one that we do not have, [`HelloError::NoRandomness`].
    pub(crate) fn new(group: u16) -> Result<Self, HelloError> {
        let (secret, public) = match group {
            X25519 => provider(&agreement::X25519).map(|(key, p)| (Secret::Provider(key), p))?,
            P256 => provider(&agreement::ECDH_P256).map(|(key, p)| (Secret::Provider(key), p))?,
            P384 => provider(&agreement::ECDH_P384).map(|(key, p)| (Secret::Provider(key), p))?,
            P521 => {
                let secret = random()?;
                let public = curve::p521_public(&secret).ok_or(HelloError::NoRandomness)?;
                (Secret::P521(secret), public)
            }
            X448 => {
                let secret = random()?;
                (Secret::X448(secret), curve::x448_public(&secret))
            }
            X25519_MLKEM768 => {
                let key = DecapsulationKey::<MlKem768>::from_seed(random::<64>()?.into());
                let (elliptic, public) = provider(&agreement::X25519)?;
                let public = [key.encapsulation_key().to_bytes().as_slice(), &public].concat();
                (Secret::Hybrid(Box::new(key), elliptic), public)
            }
            other => return Err(HelloError::Group(other)),
        };
        Ok(Self { group, public, secret })
    }

    /// The secret shared with the owner of that share.
    ///
    /// # Errors
    /// [`HelloError::KeyShare`] if it is none of this group.
    pub(crate) fn agree(self, theirs: &[u8]) -> Result<Vec<u8>, HelloError> {
        let secret = match self.secret {
            Secret::Provider(key) => with_provider(key, theirs),
            Secret::P521(secret) => curve::p521_agree(&secret, theirs),
            Secret::X448(secret) => curve::x448_agree(&secret, theirs),
            Secret::Hybrid(key, elliptic) => with_hybrid(&key, elliptic, theirs),
        };
        secret.ok_or(HelloError::KeyShare)
    }
}

fn with_provider(key: EphemeralPrivateKey, theirs: &[u8]) -> Option<Vec<u8>> {
    let theirs = UnparsedPublicKey::new(key.algorithm(), theirs);
    agreement::agree_ephemeral(key, &theirs, <[u8]>::to_vec).ok()
}

/// The secret of ML-KEM, then that of X25519.
fn with_hybrid(
    key: &DecapsulationKey<MlKem768>,
    elliptic: EphemeralPrivateKey,
    theirs: &[u8],
) -> Option<Vec<u8>> {
    let (ciphertext, point) = theirs.split_at_checked(CIPHERTEXT)?;
    let lattice = key.decapsulate(&ciphertext.try_into().ok()?);
    Some([lattice.as_slice(), &with_provider(elliptic, point)?].concat())
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a share of group {:#06x}", self.group)
    }
}

#[cfg(test)]
mod tests {
    use ml_kem::EncapsulationKey;

    use super::*;

    #[test]
    fn both_sides_of_each_group_agree() {
        for group in GROUPS {
            let (ours, theirs) = (Share::new(*group).unwrap(), Share::new(*group).unwrap());
            let (public, other) = (ours.public.clone(), theirs.public.clone());
            assert_eq!(ours.agree(&other).unwrap(), theirs.agree(&public).unwrap());
        }
    }

    #[test]
    fn the_hybrid_group_agrees_with_a_server_of_its_document() {
        let ours = Share::new(X25519_MLKEM768).unwrap();
        let (lattice, point) = ours.public.split_at(1184);
        let theirs = EncapsulationKey::<MlKem768>::new(&lattice.try_into().unwrap()).unwrap();
        let (ciphertext, secret) = theirs.encapsulate_deterministic(&[7; 32].into());
        let elliptic = Share::new(X25519).unwrap();
        let answer = [ciphertext.as_slice(), &elliptic.public].concat();
        let expected = [secret.as_slice(), &elliptic.agree(point).unwrap()].concat();
        assert_eq!(ours.agree(&answer).unwrap(), expected);
        let again = Share::new(X25519_MLKEM768).unwrap();
        assert_eq!(again.agree(&answer[..1000]), Err(HelloError::KeyShare));
    }

    #[test]
    fn what_no_server_agreed_on_is_offered_again_and_no_other() {
        let shares = Shares::default();
        let first = [X25519, P256].map(|group| shares.take(group).unwrap());
        let offered = first.each_ref().map(|share| share.public.clone());
        let [x25519, p256] = first;
        // One server agreed on X25519, and so it is gone.
        x25519.agree(&Share::new(X25519).unwrap().public).unwrap();
        shares.clone().put_back([p256]);
        assert_ne!(shares.take(X25519).unwrap().public, offered[0]);
        assert_eq!(shares.take(P256).unwrap().public, offered[1]);
        assert_ne!(shares.take(P256).unwrap().public, offered[1], "given to one only");
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for group in GROUPS {
            let share = Share::new(*group).unwrap();
            assert_eq!(share.agree(&[1, 2, 3]), Err(HelloError::KeyShare));
        }
        assert!(matches!(Share::new(0x9999), Err(HelloError::Group(0x9999))));
    }
}
