//! OPC UA's binary protocol (OPC 10000-6): what a server says of itself to whoever asks, over a
//! channel without encryption, in its answers to GetEndpoints and FindServers.
//!
//! Nothing that a session carries is read: neither users nor values.

use crate::{Malformed, Reader, lines};

/// What a server calls itself (OPC 10000-4, section 7.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Application {
    /// applicationUri: one for each installation, often with the machine's name in it.
    pub uri: Option<String>,
    /// productUri: whose program it is.
    pub product: Option<String>,
    /// applicationName.
    pub name: Option<String>,
}

/// A message of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message<'a> {
    /// `HEL`, `ACK`, `ERR`, `OPN`, `MSG`, `CLO` (section 7.1.2.2).
    pub kind: [u8; 3],
    /// What is behind its header. Of a message that is not whole, what there is.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes one.
    pub fn read(r: &mut Reader<'a>) -> Result<Self, Malformed> {
        const HEADER: u32 = 8;
        let kind: [u8; 3] = r.array("MessageType")?;
        if !matches!(&kind, b"HEL" | b"ACK" | b"ERR" | b"OPN" | b"MSG" | b"CLO" | b"RHE") {
            return Err(r.invalid("MessageType", 0_u8));
        }
        r.u8("IsFinal")?;
        let size = r.u32_le("MessageSize")?;
        let Some(len) = size.checked_sub(HEADER) else {
            return Err(r.invalid("MessageSize", size));
        };
        let body = r.take_up_to(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(Self { kind, body })
    }
}

/// The number of a type in the namespace of OPC UA itself.
fn type_id(r: &mut Reader<'_>) -> Result<u16, Malformed> {
    match r.u8("NodeId encoding")? {
        0 => Ok(r.u8("identifier")?.into()),
        1 => {
            let namespace = r.u8("namespace")?;
            let identifier = r.u16_le("identifier")?;
            if namespace != 0 {
                return Err(r.invalid("namespace", namespace));
            }
            Ok(identifier)
        }
        other => Err(r.invalid("NodeId encoding", other)),
    }
}

/// A String or a ByteString: a length, -1 where there is none, and its bytes.
fn bytes<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8], Malformed> {
    match r.u32_le(field)? {
        u32::MAX => Ok(&[]),
        len => r.take(field, usize::try_from(len).unwrap_or(usize::MAX)),
    }
}

fn text(r: &mut Reader<'_>, field: &'static str) -> Result<Option<String>, Malformed> {
    let text = lines::text(bytes(r, field)?);
    Ok(Some(text).filter(|text| !text.is_empty()))
}

impl Application {
    /// Reads the body of a `MSG`, where it is one of the two answers (or the beginning of
    /// one) and tells of a server.
    pub fn of_answer(body: &[u8]) -> Result<Self, Malformed> {
        const FIND_SERVERS: u16 = 425;
        const GET_ENDPOINTS: u16 = 431;
        let mut r = Reader::new(body);
        r.take("channel, token, sequence, request", 16)?;
        let kind = type_id(&mut r)?;
        if !matches!(kind, FIND_SERVERS | GET_ENDPOINTS) {
            return Err(r.invalid("type", kind));
        }
        r.take("timestamp, requestHandle", 12)?;
        let result = r.u32_le("serviceResult")?;
        if result != 0 {
            return Err(r.invalid("serviceResult", result));
        }
        let diagnostics = r.u8("serviceDiagnostics")?;
        if diagnostics != 0 {
            return Err(r.invalid("serviceDiagnostics", diagnostics));
        }
        let strings = r.u32_le("stringTable")?;
        if strings != u32::MAX {
            for _ in 0..strings {
                bytes(&mut r, "stringTable")?;
            }
        }
        type_id(&mut r)?;
        let encoding = r.u8("additionalHeader")?;
        if encoding != 0 {
            return Err(r.invalid("additionalHeader", encoding));
        }
        let count = r.u32_le("number of descriptions")?;
        if count == 0 || count == u32::MAX {
            return Err(r.invalid("number of descriptions", count));
        }
        if kind == GET_ENDPOINTS {
            bytes(&mut r, "endpointUrl")?;
        }
        let uri = text(&mut r, "applicationUri")?;
        let product = text(&mut r, "productUri")?;
        let mask = r.u8("applicationName")?;
        if mask & 1 != 0 {
            bytes(&mut r, "locale")?;
        }
        let name = if mask & 2 != 0 { text(&mut r, "text")? } else { None };
        Ok(Self { uri, product, name })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn string(out: &mut Vec<u8>, text: &str) {
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    }

    fn answer(kind: u16) -> Vec<u8> {
        let mut body = vec![0; 16];
        body.extend([1, 0]);
        body.extend(kind.to_le_bytes());
        body.extend([0; 16]); // time, handle, result
        body.extend([0, 255, 255, 255, 255, 0, 0, 0]);
        body.extend([1, 0, 0, 0]);
        if kind == 431 {
            string(&mut body, "opc.tcp://plc7:4840");
        }
        string(&mut body, "urn:plc7:maker:server");
        string(&mut body, "urn:maker:server");
        body.push(3);
        string(&mut body, "en");
        string(&mut body, "Maker's server");
        body
    }

    #[test]
    fn a_server_says_what_it_is() {
        let expected = Application {
            uri: Some("urn:plc7:maker:server".into()),
            product: Some("urn:maker:server".into()),
            name: Some("Maker's server".into()),
        };
        for kind in [425, 431] {
            let body = answer(kind);
            assert_eq!(Application::of_answer(&body).as_ref(), Ok(&expected));
            for len in 0..body.len() {
                assert!(Application::of_answer(&body[..len]).is_err(), "cut at {len}");
            }
        }
        assert_eq!(Application::of_answer(&answer(634)).unwrap_err().field, "type");
    }

    #[test]
    fn messages_follow_each_other() {
        let stream = b"ACKF\x0a\0\0\0..MSGF\x40\0\0\0abc";
        let mut r = Reader::new(stream);
        assert_eq!(Message::read(&mut r), Ok(Message { kind: *b"ACK", body: b".." }));
        assert_eq!(Message::read(&mut r), Ok(Message { kind: *b"MSG", body: b"abc" }));
        assert_eq!(
            Message::read(&mut Reader::new(b"GET / HTTP")).unwrap_err().field,
            "MessageType"
        );
        assert!(Message::read(&mut Reader::new(b"ACKF\x07\0\0\0")).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..90),
            at in 0_usize..90,
        ) {
            let _ = Message::read(&mut Reader::new(&bytes));
            let _ = Application::of_answer(&bytes);
            let mut damaged = answer(431);
            damaged.truncate(damaged.len() - at);
            damaged.extend(bytes);
            let _ = Application::of_answer(&damaged);
        }
    }
}
