//! WS-Discovery 1.1 (sections 4 and 5): a probe for whoever is there, the matches that cameras
//! (ONVIF), printers and Windows answer with, and the hello with which they begin.
//!
//! Read as text: the few words that matter stand in the same form in every implementation,
//! and an XML parser would be one more thing to attack.

use crate::{Malformed, Problem};

/// The port of all of them.
pub const PORT: u16 = 3702;

/// A device that answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Match {
    /// The question's MessageID, where the answer says to what it relates.
    pub relates_to: Option<String>,
    /// Its types without prefixes, sorted: `Device`, `NetworkVideoTransmitter`.
    pub types: Vec<String>,
    /// Its scopes: `onvif://www.onvif.org/hardware/X`.
    pub scopes: Vec<String>,
    /// Its endpoint's UUID, in lower case.
    pub uuid: Option<String>,
}

/// The MessageID of a question.
#[must_use]
pub fn message_id(cookie: u32) -> String {
    format!("urn:uuid:00000000-0000-4000-8000-0000{cookie:08x}")
}

/// A probe for all devices.
#[must_use]
pub fn probe(cookie: u32) -> Vec<u8> {
    let id = message_id(cookie);
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><e:Envelope \
         xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><e:Header>\
         <w:MessageID>{id}</w:MessageID>\
         <w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>\
         <w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>\
         <e:Body><d:Probe/></e:Body></e:Envelope>"
    )
    .into_bytes()
}

impl Match {
    /// Reads one datagram: the first device of it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let text = String::from_utf8_lossy(bytes);
        Self::within(&text, "ProbeMatches")
    }

    /// Reads what a device tells everybody when it begins, or tells who resolves its name.
    ///
    /// # Errors
    ///
    /// It is neither, or is cut.
    pub fn of_hello(bytes: &[u8]) -> Result<Self, Malformed> {
        let text = String::from_utf8_lossy(bytes);
        Self::within(&text, "Hello").or_else(|_| Self::within(&text, "ResolveMatches"))
    }

    fn within(text: &str, body: &'static str) -> Result<Self, Malformed> {
        let Some(matches) = element(text, body) else {
            // Either it is something else, or it was cut.
            return Err(Malformed { field: body, offset: 0, problem: Problem::Truncated });
        };
        let words = |name| {
            let inner = element(matches, name).unwrap_or_default();
            inner.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        // Prefixes are each document's own; the names behind them are the same everywhere.
        let name = |kind: String| kind.rsplit(':').next().unwrap_or_default().to_owned();
        let mut types: Vec<String> = words("Types").into_iter().map(name).collect();
        types.sort_unstable();
        let address = element(matches, "EndpointReference").and_then(|e| element(e, "Address"));
        let uuid = address.and_then(|address| address.trim().rsplit("uuid:").next());
        let is_uuid = |uuid: &String| {
            uuid.len() == 36 && uuid.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
        };
        Ok(Self {
            relates_to: element(text, "RelatesTo").map(|id| id.trim().to_owned()),
            types,
            scopes: words("Scopes"),
            uuid: uuid.map(str::to_ascii_lowercase).filter(is_uuid),
        })
    }
}

/// What stands between `<p:name …>` and its end, whatever the prefix.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let start = text.match_indices(name).find_map(|(at, _)| {
        let before = text.get(..at)?.chars().next_back()?;
        let rest = text.get(at.checked_add(name.len())?..)?;
        let opens = matches!(before, '<' | ':') && rest.starts_with(['>', ' ', '\r', '\n', '\t']);
        let closing = text.get(..at)?.rsplit('<').next()?.starts_with('/');
        (opens && !closing).then_some(rest)
    })?;
    let (_, inner) = start.split_once('>')?;
    let end = inner.match_indices(name).find_map(|(at, _)| {
        let open = inner.get(..at)?.rfind('<')?;
        inner.get(open..)?.starts_with("</").then_some(open)
    })?;
    inner.get(..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &str = "<s:Envelope><s:Header><a:RelatesTo>urn:uuid:1</a:RelatesTo></s:Header>\
        <s:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference>\
        <a:Address>urn:uuid:4509A320-00A0-008F-00B6-002507510ECA</a:Address>\
        </a:EndpointReference><d:Types>dn:NetworkVideoTransmitter tds:Device</d:Types>\
        <d:Scopes>onvif://www.onvif.org/name/X onvif://www.onvif.org/hardware/Y</d:Scopes>\
        </d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>";

    #[test]
    fn a_device_tells_its_number_types_and_scopes() {
        let expected = Match {
            relates_to: Some("urn:uuid:1".into()),
            types: vec!["Device".into(), "NetworkVideoTransmitter".into()],
            scopes: vec![
                "onvif://www.onvif.org/name/X".into(),
                "onvif://www.onvif.org/hardware/Y".into(),
            ],
            uuid: Some("4509a320-00a0-008f-00b6-002507510eca".into()),
        };
        assert_eq!(Match::parse(ANSWER.as_bytes()), Ok(expected));
        let whole = ANSWER.find("</d:ProbeMatches").unwrap();
        for len in 0..whole {
            assert!(Match::parse(&ANSWER.as_bytes()[..len]).is_err(), "cut at {len}");
        }
        assert!(Match::parse(&probe(7)).is_err());
        let nobody = Match::parse(b"<d:ProbeMatches></d:ProbeMatches>").unwrap();
        assert_eq!(nobody, Match::default());
    }

    #[test]
    fn a_device_that_begins_says_the_same() {
        let hello = ANSWER.replace("ProbeMatches", "Hello").replace("d:ProbeMatch>", "d:Inside>");
        let resolved = ANSWER.replace("ProbeMatches", "ResolveMatches");
        let expected = Match::parse(ANSWER.as_bytes());
        assert_eq!(Match::of_hello(hello.as_bytes()), expected);
        assert_eq!(Match::of_hello(resolved.as_bytes()), expected);
        assert!(Match::of_hello(ANSWER.as_bytes()).is_err());
        let whole = hello.find("</d:Hello").unwrap();
        for len in 0..whole {
            assert!(Match::of_hello(&hello.as_bytes()[..len]).is_err(), "cut at {len}");
        }
    }

    proptest! {
        #[test]
        fn random_text_never_panics(text in "\\PC{0,80}") {
            let _ = Match::parse(text.as_bytes());
            let _ = Match::of_hello(format!("<d:Hello>{text}</d:Hello>").as_bytes());
            let _ = Match::parse(format!("<ProbeMatches>{text}</ProbeMatches>").as_bytes());
            let _ = element(&text, "Types");
        }
    }
}
