//! Certificates by the name of their subject.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use model::Timestamp;

use crate::{
    Certificate,
    rules::Trust,
    walk::{self, Parts},
};

/// A certificate as a link of a chain.
#[derive(Debug)]
pub(super) struct Link<'a> {
    pub(super) der: &'a [u8],
    /// Without what needs a strict parser or a signature checked.
    pub(super) certificate: Certificate,
    pub(super) parts: Parts<'a>,
}

impl<'a> Link<'a> {
    pub(super) fn new(der: &'a [u8]) -> Self {
        let mut certificate = Certificate::of(der);
        let parts = if der.len() > Certificate::MAX_DER {
            Parts::default()
        } else {
            walk::walk(der, &mut certificate)
        };
        Self { der, certificate, parts }
    }

    /// Whether its issuer bears its own name.
    pub(super) fn names_itself(&self) -> bool {
        self.parts.subject.is_some() && self.parts.subject == self.parts.issuer
    }

    /// Whether it is the same authority: name and key, as RFC 4158, section 5.2 wants loops
    /// to be recognised.
    pub(super) fn is_same_authority(&self, other: &Self) -> bool {
        self.parts.subject == other.parts.subject
            && self.certificate.spki_sha256 == other.certificate.spki_sha256
    }
}

/// Certificates that may be issuers: what the inventory holds. Made once, asked often.
pub struct Pool<'a> {
    links: Vec<Link<'a>>,
    by_subject: HashMap<&'a [u8], Vec<usize>>,
    hashes: HashSet<String>,
}

impl fmt::Debug for Pool<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("certificates", &self.links.len()).finish_non_exhaustive()
    }
}

impl<'a> Pool<'a> {
    /// Of the certificates in these DER encodings; what has no subject is no issuer.
    #[must_use]
    pub fn new(ders: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut pool =
            Self { links: Vec::new(), by_subject: HashMap::new(), hashes: HashSet::new() };
        for der in ders {
            pool.add(der);
        }
        pool
    }

    fn add(&mut self, der: &'a [u8]) {
        let link = Link::new(der);
        let Some(subject) = link.parts.subject else { return };
        if self.hashes.insert(link.certificate.sha256.clone()) {
            self.by_subject.entry(subject).or_default().push(self.links.len());
            self.links.push(link);
        }
    }

    /// How many certificates there are, none counted twice.
    #[must_use]
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The moments at which one of them begins to be valid or has ended.
    pub fn turning_points(&self) -> impl Iterator<Item = Timestamp> {
        self.links.iter().flat_map(|link| link.certificate.turning_points())
    }

    pub(super) fn has(&self, sha256: &str) -> bool {
        self.hashes.contains(sha256)
    }

    /// The certificates of that encoded name, each with its key.
    pub(crate) fn authorities<'s>(
        &'s self,
        name: &[u8],
    ) -> impl Iterator<Item = (&'s Certificate, &'a [u8])> + use<'s, 'a> {
        self.named(Some(name)).map(|link| (&link.certificate, link.parts.key))
    }

    /// Those that bear this name, which is an encoding.
    pub(super) fn named<'s>(
        &'s self,
        name: Option<&[u8]>,
    ) -> impl Iterator<Item = &'s Link<'a>> + use<'s, 'a> {
        let places = name.and_then(|name| self.by_subject.get(name));
        let places = places.map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|place| self.links.get(*place))
    }
}

/// The roots that a client trusts.
#[derive(Debug)]
pub struct Roots<'a> {
    pool: Pool<'a>,
    public: HashSet<String>,
}

impl<'a> Roots<'a> {
    /// Of the system's roots, which the public trusts, and of the organisation's own. One that
    /// is in both is its own: organisations install theirs in their systems.
    #[must_use]
    pub fn new(
        public: impl IntoIterator<Item = &'a [u8]>,
        own: impl IntoIterator<Item = &'a [u8]>,
    ) -> Self {
        let own = Pool::new(own);
        let private = own.hashes.clone();
        let mut pool = own;
        for der in public {
            pool.add(der);
        }
        let public = pool.hashes.difference(&private).cloned().collect();
        Self { pool, public }
    }

    /// How many roots there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pool.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pool.is_empty()
    }

    /// The roots of that encoded name, each with its key.
    pub(crate) fn authorities<'s>(
        &'s self,
        name: &[u8],
    ) -> impl Iterator<Item = (&'s Certificate, &'a [u8])> + use<'s, 'a> {
        self.pool.authorities(name)
    }

    /// The moments at which one of them begins to be valid or has ended.
    pub fn turning_points(&self) -> impl Iterator<Item = Timestamp> {
        self.pool.turning_points()
    }

    /// The name of the root of that hash, an RFC 4514 string.
    #[must_use]
    pub fn name(&self, sha256: &str) -> Option<String> {
        let mut all = self.pool.links.iter().map(|link| &link.certificate);
        all.find(|root| root.sha256 == sha256).map(|root| root.subject.clone())
    }

    /// Those that bear the name of a certificate's issuer, and who trusts them.
    pub(super) fn issuers<'s>(
        &'s self,
        of: &Link<'_>,
    ) -> impl Iterator<Item = (&'s Link<'a>, Trust)> + use<'s, 'a> {
        self.named(of.parts.issuer)
    }

    /// Whether the certificate is itself a root, and whose.
    pub(super) fn itself<'s>(&'s self, link: &Link<'_>) -> Option<(&'s Link<'a>, Trust)> {
        self.named(link.parts.subject)
            .find(|(root, _)| root.certificate.sha256 == link.certificate.sha256)
    }

    fn named<'s>(
        &'s self,
        name: Option<&[u8]>,
    ) -> impl Iterator<Item = (&'s Link<'a>, Trust)> + use<'s, 'a> {
        self.pool.named(name).map(|root| {
            let public = self.public.contains(&root.certificate.sha256);
            (root, if public { Trust::Public } else { Trust::Private })
        })
    }
}
