//! Revocation lists (RFC 5280, section 5).

use std::{collections::HashMap, fmt, sync::Arc};

use model::Timestamp;
use ring::digest::{SHA256, digest};
use thiserror::Error;
use webpki::{CertRevocationList, OwnedCertRevocationList};
use wire::Reader;

use crate::{
    chain::{Pool, Roots},
    der::{self, Element, Quirks},
    moment, name, oid, pem, verify,
    walk::{self, Parts},
};

/// A revocation list that can be used.
pub struct List {
    /// SHA-256 of its DER, lower-case hexadecimal.
    pub sha256: String,
    /// Whose it is, an RFC 4514 string.
    pub issuer: String,
    /// When it was made.
    pub this_update: Option<Timestamp>,
    /// When the next one is due. `None` where it does not say.
    pub next_update: Option<Timestamp>,
    der: Vec<u8>,
    read: CertRevocationList<'static>,
}

/// A revocation list cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ListError {
    /// It is none.
    #[error("it is not a revocation list")]
    None,
    /// It is one, or may be, and cannot be read. Why, in the verifier's words.
    #[error("it is a revocation list that cannot be read: {0}")]
    Unreadable(String),
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("sha256", &self.sha256).field("issuer", &self.issuer).finish()
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for List {}

impl List {
    /// The lists in a file's bytes: of each PEM block that is labelled as one, or, where there
    /// is no PEM block at all, the bytes themselves.
    ///
    /// # Errors
    ///
    /// Where one of them cannot be read, or there is none.
    pub fn all_in(file: &[u8]) -> Result<Vec<Self>, ListError> {
        let blocks = pem::blocks(file);
        if blocks.is_empty() {
            return Ok(vec![Self::read(file)?]);
        }
        let lists = blocks.iter().filter(|block| block.kind() == pem::Kind::RevocationList);
        let damaged = |what: &str| ListError::Unreadable(what.to_owned());
        let read = lists.map(|block| {
            let der = block.decode().ok_or_else(|| damaged("its text is not base64"))?;
            Self::read(&der).map_err(|error| match error {
                // The label says that it is one.
                ListError::None => damaged("it is cut short or damaged"),
                error => error,
            })
        });
        let lists: Vec<Self> = read.collect::<Result<_, _>>()?;
        if lists.is_empty() { Err(ListError::None) } else { Ok(lists) }
    }

    /// The list that these bytes are, in DER.
    ///
    /// # Errors
    ///
    /// Where they are none, or one that no client reads.
    pub fn read(der: &[u8]) -> Result<Self, ListError> {
        let fields = Fields::of(der).ok_or(ListError::None)?;
        let read = OwnedCertRevocationList::from_der(der)
            .map_err(|error| ListError::Unreadable(error.to_string()))?;
        Ok(Self {
            sha256: der::hex(digest(&SHA256, der).as_ref()),
            issuer: name::read(fields.issuer.body, &mut Quirks::default()).text,
            this_update: fields.this_update,
            next_update: fields.next_update,
            der: der.to_vec(),
            read: read.into(),
        })
    }

    /// Whether the next list was due before that moment.
    #[must_use]
    pub fn is_outdated(&self, as_of: Timestamp) -> bool {
        self.next_update.is_some_and(|next| as_of > next)
    }
}

/// The fields of a list, found by their shape as those of a certificate are.
struct Fields<'a> {
    issuer: Element<'a>,
    this_update: Option<Timestamp>,
    next_update: Option<Timestamp>,
    parts: Parts<'a>,
    hash: Option<oid::Hash>,
}

impl<'a> Fields<'a> {
    /// `None` where the bytes are no `CertificateList`.
    fn of(der: &'a [u8]) -> Option<Self> {
        let quirks = &mut Quirks::default();
        let outer = der::element(&mut Reader::new(der), quirks)?;
        let mut outer = der::children(outer.body, quirks).into_iter();
        let (signed, algorithm, bits) = (outer.next()?, outer.next()?, outer.next()?);
        let mut fields = first_fields(signed.body, quirks).into_iter().peekable();
        fields.next_if(|field| field.tag == der::INTEGER);
        let _inner_algorithm = fields.next_if(|field| field.tag == der::SEQUENCE)?;
        let issuer = fields.next_if(|field| field.tag == der::SEQUENCE)?;
        // A certificate has a sequence of two times here, a list the times themselves.
        let is_time =
            |field: &Element<'_>| matches!(field.tag, der::UTC_TIME | der::GENERALIZED_TIME);
        let this_update = fields.next_if(is_time)?;
        let next_update = fields.next_if(is_time);
        let time = |field: &Element<'_>| moment::read(field).map(|(moment, _)| moment);
        let (parts, hash) = walk::signed_parts(&signed, &algorithm, &bits, quirks);
        Some(Self {
            issuer,
            this_update: time(&this_update),
            next_update: next_update.as_ref().and_then(time),
            parts,
            hash,
        })
    }
}

/// The fields before the revoked certificates, of which there may be very many.
fn first_fields<'a>(body: &'a [u8], quirks: &mut Quirks) -> Vec<Element<'a>> {
    let mut r = Reader::new(body);
    std::iter::from_fn(|| der::element(&mut r, quirks)).take(5).collect()
}

/// The revocation lists that are known. Copies share them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lists {
    all: Vec<Arc<List>>,
    /// By their issuers' encoded names.
    by_issuer: HashMap<Vec<u8>, Vec<usize>>,
}

/// What a list is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Whose signature it bears.
    pub signer: Signer,
    /// Whether the next one was due.
    pub outdated: bool,
}

/// Who signed a revocation list or a response.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Signer {
    /// The authority that issued what it is about, or somebody whom it appointed.
    Issuer,
    /// Somebody else: no known certificate of that authority has the key.
    Other,
    /// No certificate of that authority is known, or the signature is of a kind that we do
    /// not check.
    Unknown,
}

impl Lists {
    /// Of these lists.
    #[must_use]
    pub fn new(lists: impl IntoIterator<Item = List>) -> Self {
        let mut kept = Self::default();
        for list in lists {
            kept.add(Arc::new(list));
        }
        kept
    }

    /// These and those.
    #[must_use]
    pub fn joined(&self, others: &Self) -> Self {
        let mut all = self.clone();
        for list in &others.all {
            all.add(Arc::clone(list));
        }
        all
    }

    fn add(&mut self, list: Arc<List>) {
        let fields = Fields::of(&list.der);
        let Some(issuer) = fields.map(|fields| fields.issuer.whole.to_vec()) else { return };
        self.by_issuer.entry(issuer).or_default().push(self.all.len());
        self.all.push(list);
    }

    /// The lists, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &List> {
        self.all.iter().map(AsRef::as_ref)
    }

    /// Those of the authority with that encoded name.
    pub(crate) fn of(
        &self,
        issuer: &[u8],
    ) -> impl Iterator<Item = &CertRevocationList<'static>> + use<'_> {
        let places = self.by_issuer.get(issuer).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|place| self.all.get(*place)).map(|list| &list.read)
    }
}

impl List {
    /// What the list is worth at a moment, by the certificates of authorities that are known.
    #[must_use]
    pub fn standing(&self, known: &Pool<'_>, roots: &Roots<'_>, as_of: Timestamp) -> Standing {
        let outdated = self.is_outdated(as_of);
        let Some(fields) = Fields::of(&self.der) else {
            return Standing { signer: Signer::Unknown, outdated };
        };
        let mut signer = Signer::Unknown;
        let name = fields.issuer.whole;
        for (certificate, key) in known.authorities(name).chain(roots.authorities(name)) {
            match verify::signed(fields.hash, &fields.parts, certificate, key) {
                Some(true) => return Standing { signer: Signer::Issuer, outdated },
                Some(false) => signer = Signer::Other,
                None => {}
            }
        }
        Standing { signer, outdated }
    }
}
