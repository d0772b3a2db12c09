//! What rustls-webpki says of one path, asked again until it has nothing more against it.

use std::time::Duration;

use model::Timestamp;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, CertRevocationList, EndEntityCert, Error, ExpirationPolicy,
    ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};

use super::{Purpose, Question, Reason, build::Path, pool::Link};
use crate::{KeyKind, verify};

/// What a question no longer insists on, because the answer is known.
#[derive(Clone, Copy)]
struct Waived {
    time: Timestamp,
    purpose: bool,
    lists: bool,
}

/// Every reason to refuse the path, but for what was not served.
pub(super) fn reasons(question: &Question<'_>, path: &Path<'_>) -> Vec<Reason> {
    let mut reasons = times(question.as_of, path);
    reasons.extend(usages(path));
    if let Some(leaf) = path.leaf().filter(|_| !names_fit(question, path)) {
        // One that cannot be read has a reason of its own.
        let der = CertificateDer::from(leaf.der);
        if EndEntityCert::try_from(&der).is_ok() {
            reasons.push(Reason::NameMismatch);
        }
    }
    let further = match path.root {
        None => dead_end(path).into_iter().collect(),
        Some((root, _)) if path.leaf().is_some_and(|leaf| leaf.der == root.der) => Vec::new(),
        Some((root, _)) => refusals(question, path, root, !reasons.is_empty()),
    };
    for reason in further {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

/// The access method caIssuers (RFC 5280, section 4.2.2.1), as it is encoded.
const CA_ISSUERS: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];

/// Where a path leads that leads to no root.
fn dead_end(path: &Path<'_>) -> Option<Reason> {
    let last = path.last()?;
    if path.forged {
        return Some(Reason::BadSignature(last.certificate.sha256.clone()));
    }
    Some(if !last.names_itself() {
        let issuer = last.certificate.issuer.clone();
        // Whoever has an address for its issuer's certificate has an issuer that can be had.
        let access = last.certificate.encodings.extension("1.3.6.1.5.5.7.1.1");
        let has_address = access
            .is_some_and(|access| access.value.windows(CA_ISSUERS.len()).any(|w| w == CA_ISSUERS));
        if has_address {
            Reason::MissingIntermediate { issuer, held: None }
        } else {
            Reason::UnknownIssuer(issuer)
        }
    } else if path.links.len() == 1 {
        Reason::SelfSigned
    } else {
        Reason::UnknownIssuer(last.certificate.subject.clone())
    })
}

fn times(as_of: Timestamp, path: &Path<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let root = path.root.iter().map(|(root, _)| (*root, true));
    let links = path.links.iter().map(|link| (*link, false)).chain(root);
    for (at, (link, is_root)) in links.enumerate() {
        let hash = || link.certificate.sha256.clone();
        if link.certificate.not_after.is_some_and(|last| as_of > last) {
            reasons.push(match (at, is_root) {
                (0, _) => Reason::ExpiredLeaf,
                (_, false) => Reason::ExpiredIntermediate(hash()),
                // A leaf that is its own root was said to have expired.
                (_, true) if path.leaf().is_some_and(|leaf| leaf.der == link.der) => continue,
                (_, true) => Reason::ExpiredRoot(hash()),
            });
        }
        let early = Reason::NotYetValid(hash());
        if link.certificate.not_before.is_some_and(|first| as_of < first)
            && !reasons.contains(&early)
        {
            reasons.push(early);
        }
    }
    reasons
}

/// What the verifier does not look at (RFC 5280, section 6.1.4 (n)).
fn usages(path: &Path<'_>) -> impl Iterator<Item = Reason> {
    path.links.iter().skip(1).filter_map(|link| {
        let certificate = &link.certificate;
        let limited = certificate.encodings.extension("2.5.29.15").is_some();
        let signs = certificate.key_usage.iter().any(|usage| usage == "keyCertSign");
        (limited && !signs).then(|| {
            let subject = &certificate.subject;
            Reason::WrongUsage(format!("the key of {subject:?} may not sign certificates"))
        })
    })
}

fn names_fit(question: &Question<'_>, path: &Path<'_>) -> bool {
    let (Some(name), Some(leaf)) = (question.name, path.leaf()) else { return true };
    is_for(leaf.der, name).unwrap_or(false)
}

/// Whether the leaf is for that name. `None` where one of them is none.
pub(super) fn is_for(leaf: &[u8], name: &str) -> Option<bool> {
    let der = CertificateDer::from(leaf);
    let leaf = EndEntityCert::try_from(&der).ok()?;
    let name = ServerName::try_from(name).ok()?;
    Some(leaf.verify_is_valid_for_subject_name(&name).is_ok())
}

/// The verifier's reasons. `known` says that there are reasons already, of which it may
/// repeat one.
fn refusals(question: &Question<'_>, path: &Path<'_>, root: &Link<'_>, known: bool) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut waived = Waived { time: question.as_of, purpose: false, lists: false };
    let mut moments = moments(question.as_of, path).into_iter();
    // Each round waives something or ends.
    loop {
        let error = match ask(question, path, root, waived) {
            Ok(()) => return reasons,
            Err(error) => error,
        };
        match error {
            // Which certificate it is was found out above; another moment shows what else.
            Error::CertExpired { .. } | Error::CertNotValidYet { .. } => match moments.next() {
                Some(moment) => waived.time = moment,
                None => return reasons,
            },
            Error::CertRevoked => {
                reasons.push(Reason::Revoked);
                waived.lists = true;
            }
            Error::RequiredEkuNotFoundContext(_) if !waived.purpose => {
                let purpose = match question.purpose {
                    Purpose::Server => "servers",
                    Purpose::Client => "clients",
                };
                let what = format!("a certificate of the chain is not for {purpose}");
                reasons.push(Reason::WrongUsage(what));
                waived.purpose = true;
            }
            Error::InvalidCrlSignatureForPublicKey
            | Error::IssuerNotCrlSigner
            | Error::InvalidCrlNumber
            | Error::UnsupportedCrlSignatureAlgorithmContext(_)
            | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_)
                if !waived.lists =>
            {
                reasons.push(Reason::BadList(error.to_string()));
                waived.lists = true;
            }
            other => {
                let reason = reason(&other, path);
                // An unreadable period of validity was noticed above already.
                if !(known && matches!(other, Error::InvalidCertValidity)) {
                    reasons.push(reason);
                }
                return reasons;
            }
        }
    }
}

/// Other moments at which the path may be valid: where the validity of a certificate that is
/// not valid begins or ends.
fn moments(as_of: Timestamp, path: &Path<'_>) -> Vec<Timestamp> {
    let certificates = || path.links.iter().map(|link| &link.certificate);
    let expired = certificates().filter_map(|c| c.not_after).filter(|last| *last < as_of).min();
    let early = certificates().filter_map(|c| c.not_before).filter(|first| *first > as_of).max();
    expired.into_iter().chain(early).collect()
}

fn reason(error: &Error, path: &Path<'_>) -> Reason {
    let wrong = |what: &str| Reason::WrongUsage(what.to_owned());
    let constraint = |what: &str| Reason::Constraint(what.to_owned());
    let unsupported = |what: &str| Reason::Unsupported(what.to_owned());
    match error {
        Error::InvalidSignatureForPublicKey | Error::SignatureAlgorithmMismatch => {
            refused_signature(path)
        }
        Error::CaUsedAsEndEntity => wrong("the certificate is an authority's, not a server's"),
        Error::EndEntityUsedAsCa => wrong("a certificate in the chain is no authority's"),
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            wrong("a certificate of the chain is for nothing")
        }
        Error::NameConstraintViolation => {
            constraint("an authority is not allowed to issue for these names")
        }
        Error::PathLenConstraintViolated => {
            constraint("an authority may not have so many below it")
        }
        Error::MalformedNameConstraint | Error::InvalidNetworkMaskConstraint => {
            constraint("an authority's name constraints cannot be read")
        }
        Error::MaximumPathBuildCallsExceeded
        | Error::MaximumPathDepthExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => Reason::TooComplex,
        Error::UnsupportedCertVersion => unsupported("a certificate is not of version 3"),
        Error::UnsupportedCriticalExtension => {
            unsupported("a certificate has a critical extension that clients do not know")
        }
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            unsupported("a certificate is signed in a way that clients do not accept")
        }
        Error::MalformedDnsIdentifier => unsupported("a name in a certificate is no name"),
        Error::InvalidSerialNumber => unsupported("a certificate's serial number is none"),
        Error::InvalidCertValidity => unsupported("a certificate's validity ends before it begins"),
        Error::BadDer
        | Error::BadDerTime
        | Error::TrailingData(_)
        | Error::MalformedExtensions
        | Error::ExtensionValueInvalid => {
            unsupported("a certificate is not encoded as clients want it")
        }
        other => Reason::Unsupported(other.to_string()),
    }
}

/// The builder checked the signatures that it could; where it found them right and the
/// verifier does not, the signature is not what is wrong.
fn refused_signature(path: &Path<'_>) -> Reason {
    let unsupported = |what: &str| Reason::Unsupported(what.to_owned());
    let root = path.root.map(|(root, _)| root);
    let above = || path.links.iter().copied().skip(1).chain(root);
    let is_short = |link: &Link<'_>| {
        link.certificate.key.kind == KeyKind::Rsa
            && link.certificate.key.bits.is_some_and(|bits| bits < 2048)
    };
    if above().any(is_short) {
        return unsupported("an authority's RSA key is too short for clients");
    }
    for (below, issuer) in path.links.iter().zip(above()) {
        let key = issuer.parts.key;
        if verify::signed_by(&below.certificate, &below.parts, &issuer.certificate, key).is_none() {
            return unsupported("a certificate is signed in a way that clients do not accept");
        }
    }
    // It tries the root's key as well where a certificate bears the root's name.
    unsupported("clients do not find their way through two keys of one name")
}

/// The verifier's own purposes, or none.
enum Usage {
    Only(KeyUsage),
    Any,
}

impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        match self {
            Self::Only(usage) => usage.validate(purposes),
            Self::Any => Ok(()),
        }
    }
}

fn ask(
    question: &Question<'_>,
    path: &Path<'_>,
    root: &Link<'_>,
    waived: Waived,
) -> Result<(), Error> {
    let Some((leaf, above)) = path.links.split_first() else { return Err(Error::UnknownIssuer) };
    let leaf = CertificateDer::from(leaf.der);
    let leaf = EndEntityCert::try_from(&leaf)?;
    let root = CertificateDer::from(root.der);
    let anchors = [anchor_from_trusted_cert(&root)?];
    let above: Vec<CertificateDer<'_>> =
        above.iter().map(|link| CertificateDer::from(link.der)).collect();
    let usage = match (waived.purpose, question.purpose) {
        (true, _) => Usage::Any,
        (false, Purpose::Server) => Usage::Only(KeyUsage::server_auth()),
        (false, Purpose::Client) => Usage::Only(KeyUsage::client_auth()),
    };
    let issuers = path.links.iter().filter_map(|link| link.parts.issuer);
    let lists: Vec<&CertRevocationList<'_>> = match waived.lists {
        true => Vec::new(),
        false => issuers.flat_map(|issuer| question.lists.of(issuer)).collect(),
    };
    let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
        options
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Allow)
            .with_expiration_policy(ExpirationPolicy::Ignore)
            .build()
    });
    // Its time begins in 1970; whatever began before had begun then.
    let seconds = u64::try_from(waived.time.seconds()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &above, time, usage, revocation, None)
        .map(|_| ())
}
