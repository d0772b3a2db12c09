//! What a finding is about, read back from the subject that its detection was given.
//!
//! Rules write a subject as one text, because it is half of a finding's identity (`compare`). Whoever
//! shows a finding wants to lead to what it is about. A subject of another version of the program
//! says nothing here, and is shown as it is.

use std::net::IpAddr;

use model::{Endpoint, Transport};

use crate::{asset::AssetId, finding::FindingKey, register::fold};

/// See the module.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject<'a> {
    /// An asset as a whole.
    Asset(AssetId),
    /// A product on an asset, folded.
    Software(AssetId, &'a str),
    /// A protocol without encryption that an asset uses.
    Cleartext(AssetId, &'a str),
    /// An entry of the device register, by its reference.
    Entry(&'a str),
    /// A certificate, by its SHA-256.
    Certificate(&'a str),
    /// An endpoint at a site.
    Endpoint(&'a str, Endpoint),
    /// A file, with the vantage point that read it.
    File(&'a str),
    /// A revocation list, by where it is.
    RevocationList(&'a str),
    /// Something that this version does not know.
    Other(&'a str),
}

impl FindingKey {
    /// What it is about.
    #[must_use]
    pub fn about(&self) -> Subject<'_> {
        let text = self.subject.as_str();
        let known = match text.split_once(':') {
            Some(("asset", rest)) => of_asset(rest),
            Some(("device", rest)) => Some(Subject::Entry(rest)),
            Some(("certificate", rest)) => Some(Subject::Certificate(rest)),
            Some(("endpoint", rest)) => of_endpoint(rest),
            Some(("file", rest)) => Some(Subject::File(rest)),
            Some(("crl", rest)) => Some(Subject::RevocationList(rest)),
            _ => None,
        };
        known.unwrap_or(Subject::Other(text))
    }
}

/// `7`, `7 software:NAME` or `7 cleartext:PROTOCOL`.
fn of_asset(rest: &str) -> Option<Subject<'_>> {
    let (id, more) = rest.split_once(' ').unwrap_or((rest, ""));
    let id = AssetId(id.parse().ok()?);
    match more.split_once(':') {
        Some(("software", product)) => Some(Subject::Software(id, product)),
        Some(("cleartext", protocol)) => Some(Subject::Cleartext(id, protocol)),
        Some(_) => None,
        None => more.is_empty().then_some(Subject::Asset(id)),
    }
}

/// `SITE/ADDRESS:PORT/TRANSPORT`. A site may have anything in its name, the rest has no slash more
/// than the one.
fn of_endpoint(rest: &str) -> Option<Subject<'_>> {
    let (before, transport) = rest.rsplit_once('/')?;
    let (site, place) = before.rsplit_once('/')?;
    let (address, port) = place.rsplit_once(':')?;
    let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
    let transport =
        [Transport::Tcp, Transport::Udp].into_iter().find(|one| one.as_str() == transport)?;
    Some(Subject::Endpoint(site, Endpoint { address, transport, port: port.parse().ok()? }))
}

/// Whether a product is the one that a subject names.
#[must_use]
pub fn is_product(subject: &str, product: &str) -> bool {
    fold(product) == subject
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Subject<'_>) {
        let key = FindingKey { rule: String::new(), subject: text.to_owned() };
        assert_eq!(key.about(), expected);
    }

    #[test]
    fn a_subject_says_what_it_is_about() {
        check("asset:7", Subject::Asset(AssetId(7)));
        check("asset:7 software:open ssh: x", Subject::Software(AssetId(7), "open ssh: x"));
        check("asset:7 cleartext:ftp", Subject::Cleartext(AssetId(7), "ftp"));
        check("device:PC-1:a", Subject::Entry("PC-1:a"));
        check("certificate:ab", Subject::Certificate("ab"));
        check("file:plant/here:/etc/key", Subject::File("plant/here:/etc/key"));
        check("crl:/etc/crl", Subject::RevocationList("/etc/crl"));
        for address in ["192.0.2.7", "2001:db8::7"] {
            let address: IpAddr = address.parse().unwrap();
            let endpoint = Endpoint::tcp(address, 443);
            let text = format!("endpoint:a/b/{endpoint}");
            check(&text, Subject::Endpoint("a/b", endpoint));
        }
    }

    #[test]
    fn what_no_rule_of_ours_wrote_is_shown_as_it_is() {
        for text in [
            "",
            "asset:",
            "asset:x",
            "asset:7 licence:x",
            "asset:7 x",
            "endpoint:a",
            "endpoint:a/192.0.2.1:99999/tcp",
            "endpoint:a/192.0.2.1:1/sctp",
            "cloud:x",
        ] {
            check(text, Subject::Other(text));
        }
        assert!(is_product("openssh", "OpenSSH") && !is_product("openssh", "nginx"));
    }
}
