//! SMB 2 and 3 ([MS-SMB2]) over TCP: NEGOTIATE, and SESSION_SETUP up to the server's
//! challenge; and as much of SMB 1 ([MS-CIFS]) as recognises a server that knows no other.
//!
//! Numbers are little-endian but for the framing (section 2.1). The server's time and the
//! message's signature are passed over: they change every time.

use crate::{Malformed, Reader, ntlm};

const HEADER: usize = 64;
const NEGOTIATE: u16 = 0;
const SESSION_SETUP: u16 = 1;
const DIALECTS: [u16; 5] = [0x0202, 0x0210, 0x0300, 0x0302, 0x0311];

/// STATUS_MORE_PROCESSING_REQUIRED: a challenge follows.
pub const MORE_PROCESSING_REQUIRED: u32 = 0xc000_0016;

/// A whole message from a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// Section 2.2.4.
    Negotiate(Negotiated),
    /// Section 2.2.6.
    SessionSetup {
        /// The NT status.
        status: u32,
        /// The security blob.
        blob: Vec<u8>,
    },
    /// Any other command's answer, or an error.
    Other {
        /// The command.
        command: u16,
        /// The NT status.
        status: u32,
    },
    /// A server that knows only SMB 1 answered, or one that prefers it.
    Smb1,
}

/// The answer to NEGOTIATE.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Negotiated {
    /// Whether the server signs if asked to (bit 0) and insists on it (bit 1).
    pub security_mode: u16,
    /// The dialect, such as 0x0311 for SMB 3.1.1.
    pub dialect: u16,
    /// ServerGuid, in the order of the bytes on the wire.
    pub guid: [u8; 16],
    /// Capabilities (section 2.2.4).
    pub capabilities: u32,
}

impl Negotiated {
    /// The dialect's usual name, such as `3.1.1`.
    #[must_use]
    pub fn dialect_name(&self) -> String {
        match self.dialect {
            0x0202 => "2.0.2".to_owned(),
            0x0210 => "2.1".to_owned(),
            0x0300 => "3.0".to_owned(),
            0x0302 => "3.0.2".to_owned(),
            0x0311 => "3.1.1".to_owned(),
            other => format!("{other:#06x}"),
        }
    }

    /// ServerGuid as a hyphenated UUID: its first three fields are little-endian ([MS-DTYP],
    /// section 2.3.4.2).
    #[must_use]
    pub fn guid_text(&self) -> String {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.guid;
        let [i, j, k, l, m, n, o, p] = rest;
        format!(
            "{:08x}-{:04x}-{:04x}-{i:02x}{j:02x}-{k:02x}{l:02x}{m:02x}{n:02x}{o:02x}{p:02x}",
            u32::from_le_bytes([a, b, c, d]),
            u16::from_le_bytes([e, f]),
            u16::from_le_bytes([g, h]),
        )
    }
}

/// NEGOTIATE (section 2.2.3) with every dialect from 2.0.2 to 3.1.1.
#[must_use]
pub fn negotiate(client_guid: [u8; 16]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(36_u16.to_le_bytes());
    body.extend(5_u16.to_le_bytes());
    body.extend(1_u16.to_le_bytes()); // SecurityMode: signing enabled
    body.extend([0; 2]);
    body.extend([0; 4]); // Capabilities
    body.extend(client_guid);
    // NegotiateContextOffset: the contexts follow the dialects at the next multiple of 8.
    // 64 of header, 36 of body, 10 of dialects, 2 of padding.
    body.extend(112_u32.to_le_bytes());
    body.extend(2_u16.to_le_bytes());
    body.extend([0; 2]);
    for dialect in DIALECTS {
        body.extend(dialect.to_le_bytes());
    }
    body.extend([0; 2]);
    // SMB2_PREAUTH_INTEGRITY_CAPABILITIES: SHA-512 and a salt, which may be any value.
    body.extend(context(1, &[1, 0, 16, 0, 1, 0], &client_guid));
    body.extend([0; 2]);
    // SMB2_ENCRYPTION_CAPABILITIES: AES-128-GCM and AES-128-CCM.
    body.extend(context(2, &[2, 0, 2, 0, 1, 0], &[]));
    frame(NEGOTIATE, 0, &body)
}

/// SESSION_SETUP (section 2.2.5) with NTLM's first message, which names nobody.
#[must_use]
pub fn session_setup() -> Vec<u8> {
    let blob = ntlm::negotiate();
    let mut body = Vec::new();
    body.extend(25_u16.to_le_bytes());
    body.extend([0, 1]); // Flags; SecurityMode: signing enabled
    body.extend([0; 8]); // Capabilities, Channel
    body.extend(88_u16.to_le_bytes()); // SecurityBufferOffset: 64 of header, 24 of body
    body.extend(u16::try_from(blob.len()).unwrap_or_default().to_le_bytes());
    body.extend([0; 8]); // PreviousSessionId
    body.extend(blob);
    frame(SESSION_SETUP, 1, &body)
}

/// SMB_COM_NEGOTIATE ([MS-CIFS], section 2.2.4.52) with the one dialect `NT LM 0.12`, for
/// servers that answered nothing newer.
#[must_use]
pub fn negotiate_smb1() -> Vec<u8> {
    const DIALECT: &[u8] = b"\x02NT LM 0.12\0";
    let mut message = b"\xffSMB\x72".to_vec();
    message.extend([0; 4]); // Status
    message.push(0x18); // Flags: canonical path names, without case
    message.extend(0x4001_u16.to_le_bytes()); // Flags2: NT status codes, long names
    message.extend([0; 12]); // PIDHigh, SecurityFeatures, Reserved
    message.extend([0xff, 0xff, 0, 0, 0, 0, 0, 0]); // TID, PIDLow, UID, MID
    message.push(0); // WordCount
    message.extend(u16::try_from(DIALECT.len()).unwrap_or_default().to_le_bytes());
    message.extend(DIALECT);
    framed(&message)
}

impl Message {
    /// Reads one message with its framing. Bytes after it are ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let kind = r.u8("message type")?;
        if kind != 0 {
            return Err(r.invalid("message type", kind));
        }
        let len = r.u24("StreamProtocolLength")?;
        let message = r.take("message", usize::try_from(len).unwrap_or(usize::MAX))?;
        let mut r = Reader::new(message);
        match &r.array::<4>("ProtocolId")? {
            b"\xfeSMB" => {}
            b"\xffSMB" => return smb1(r),
            other => return Err(r.invalid("ProtocolId", u32::from_be_bytes(*other))),
        }
        let size = r.u16_le("StructureSize")?;
        if size != 64 {
            return Err(r.invalid("StructureSize", size));
        }
        r.u16_le("CreditCharge")?;
        let status = r.u32_le("Status")?;
        let command = r.u16_le("Command")?;
        r.u16_le("CreditResponse")?;
        let flags = r.u32_le("Flags")?;
        if flags & 1 == 0 {
            // Somebody repeats our own question.
            return Err(r.invalid("Flags", flags));
        }
        r.take("rest of the header", 44)?;
        match command {
            NEGOTIATE if status == 0 => negotiated(r).map(Self::Negotiate),
            SESSION_SETUP if status == 0 || status == MORE_PROCESSING_REQUIRED => {
                let blob = security_blob(message, r)?.to_vec();
                Ok(Self::SessionSetup { status, blob })
            }
            command => Ok(Self::Other { command, status }),
        }
    }

    /// How many bytes the first message of `bytes` has with its framing, or `None` while
    /// that cannot be told.
    #[must_use]
    pub fn framed_len(bytes: &[u8]) -> Option<usize> {
        let mut r = Reader::new(bytes);
        r.u8("message type").ok()?;
        let len = usize::try_from(r.u24("StreamProtocolLength").ok()?).ok()?;
        len.checked_add(4)
    }
}

fn negotiated(mut r: Reader<'_>) -> Result<Negotiated, Malformed> {
    let size = r.u16_le("StructureSize")?;
    if size != 65 {
        return Err(r.invalid("StructureSize", size));
    }
    let security_mode = r.u16_le("SecurityMode")?;
    let dialect = r.u16_le("DialectRevision")?;
    r.u16_le("NegotiateContextCount")?;
    let guid = r.array("ServerGuid")?;
    let capabilities = r.u32_le("Capabilities")?;
    Ok(Negotiated { security_mode, dialect, guid, capabilities })
}

fn security_blob<'a>(message: &'a [u8], mut r: Reader<'a>) -> Result<&'a [u8], Malformed> {
    let size = r.u16_le("StructureSize")?;
    if size != 9 {
        return Err(r.invalid("StructureSize", size));
    }
    r.u16_le("SessionFlags")?;
    let offset = r.u16_le("SecurityBufferOffset")?;
    let len = r.u16_le("SecurityBufferLength")?;
    let mut whole = Reader::new(message);
    whole.take("SecurityBuffer", offset.into())?;
    whole.take("SecurityBuffer", len.into())
}

fn smb1(mut r: Reader<'_>) -> Result<Message, Malformed> {
    let command = r.u8("Command")?;
    r.u32_le("Status")?;
    let flags = r.u8("Flags")?;
    // The reply bit tells an answer from an echo of our question.
    if command != 0x72 || flags & 0x80 == 0 {
        return Err(r.invalid("Flags", flags));
    }
    Ok(Message::Smb1)
}

/// A negotiate context (section 2.2.3.1): `fixed`, then `salt`.
fn context(kind: u16, fixed: &[u8], salt: &[u8]) -> Vec<u8> {
    let len = fixed.len().saturating_add(salt.len());
    let mut out = kind.to_le_bytes().to_vec();
    out.extend(u16::try_from(len).unwrap_or_default().to_le_bytes());
    out.extend([0; 4]);
    out.extend_from_slice(fixed);
    out.extend_from_slice(salt);
    out
}

fn frame(command: u16, message_id: u64, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER.saturating_add(body.len()));
    message.extend(b"\xfeSMB\x40\0");
    message.extend(u16::from(message_id > 0).to_le_bytes()); // CreditCharge
    message.extend([0; 4]); // ChannelSequence, Reserved
    message.extend(command.to_le_bytes());
    message.extend(1_u16.to_le_bytes()); // CreditRequest
    message.extend([0; 8]); // Flags, NextCommand
    message.extend(message_id.to_le_bytes());
    message.extend([0; 32]); // Reserved, TreeId, SessionId, Signature
    message.extend_from_slice(body);
    framed(&message)
}

fn framed(message: &[u8]) -> Vec<u8> {
    // The first byte of the length is the message type, zero: messages stay below 16 MiB.
    let mut out = u32::try_from(message.len()).unwrap_or_default().to_be_bytes().to_vec();
    out.extend_from_slice(message);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    const GUID: [u8; 16] = [
        0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
        0xff,
    ];

    fn answer(command: u16, status: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = frame(command, 1, body);
        bytes[12..16].copy_from_slice(&status.to_le_bytes());
        bytes[20] = 1;
        bytes
    }

    fn negotiate_answer() -> Vec<u8> {
        let mut body = vec![65, 0, 3, 0, 0x11, 0x03, 2, 0];
        body.extend(GUID);
        body.extend(0x2f_u32.to_le_bytes());
        body.extend([0; 36]);
        answer(NEGOTIATE, 0, &body)
    }

    fn setup_answer() -> Vec<u8> {
        let mut body = vec![9, 0, 0, 0, 72, 0, 4, 0];
        body.extend(b"blob");
        answer(SESSION_SETUP, MORE_PROCESSING_REQUIRED, &body)
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Message) {
        assert_eq!(Message::parse(bytes), Ok(expected));
        assert_eq!(Message::framed_len(bytes), Some(bytes.len()));
        for len in 0..bytes.len() {
            let error = Message::parse(&bytes[..len]).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
        }
    }

    #[test]
    fn a_server_says_its_dialect_and_number() {
        let expected =
            Negotiated { security_mode: 3, dialect: 0x0311, guid: GUID, capabilities: 0x2f };
        check(&negotiate_answer(), Message::Negotiate(expected));
        assert_eq!(expected.dialect_name(), "3.1.1");
        assert_eq!(expected.guid_text(), "00112233-4455-6677-8899-aabbccddeeff");
    }

    #[test]
    fn a_challenge_arrives_with_an_error_status() {
        let blob = b"blob".to_vec();
        let status = MORE_PROCESSING_REQUIRED;
        check(&setup_answer(), Message::SessionSetup { status, blob });
        let denied = answer(SESSION_SETUP, 0xc000_0022, &[9, 0, 0, 0, 0, 0, 0, 0]);
        check(&denied, Message::Other { command: 1, status: 0xc000_0022 });
    }

    #[test]
    fn an_old_server_is_recognised() {
        let mut bytes = negotiate_smb1();
        assert_eq!(Message::parse(&bytes).unwrap_err().field, "Flags");
        bytes[13] |= 0x80;
        check(&bytes, Message::Smb1);
    }

    #[test]
    fn our_own_question_is_no_answer() {
        assert_eq!(Message::parse(&negotiate(GUID)).unwrap_err().field, "Flags");
        assert_eq!(Message::parse(&session_setup()).unwrap_err().field, "Flags");
    }

    #[test]
    fn the_contexts_lie_where_the_question_says() {
        let question = negotiate(GUID);
        let message = &question[4..];
        assert_eq!(message[112..114], 1_u16.to_le_bytes());
        assert_eq!(message[112 + 8 + 22 + 2..][..2], 2_u16.to_le_bytes());
        assert_eq!((112 + 8 + 22 + 2) % 8, 0);
        assert_eq!(message.len(), 112 + 8 + 22 + 2 + 8 + 6);
        let setup = session_setup();
        assert!(setup[4 + 88..].starts_with(&[0x60]));
    }

    #[test]
    fn a_blob_outside_the_message_is_an_error() {
        let mut bytes = setup_answer();
        bytes[4 + 64 + 4] = 200;
        assert_eq!(Message::parse(&bytes).unwrap_err().field, "SecurityBuffer");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Message::parse(&bytes);
            let _ = Message::framed_len(&bytes);
            let _ = Message::parse(&answer(NEGOTIATE, 0, &bytes));
            let _ = Message::parse(&answer(SESSION_SETUP, 0, &bytes));
        }
    }
}
