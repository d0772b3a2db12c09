//! The greeting of a MySQL or MariaDB server, before anybody logs in.
//!
//! Source: MySQL internals, "Connection Phase Packets" (Protocol::HandshakeV10 and
//! ERR_Packet), and MariaDB's "Client/Server Protocol". Numbers are little-endian. The
//! challenge and the connection's number are passed over: they change every time.

use crate::{Malformed, Reader};

/// CLIENT_SSL: the server can go on in TLS.
pub const CAPABILITY_TLS: u32 = 0x0000_0800;

/// What a server sends first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Greeting {
    /// It would talk with us.
    Handshake(Handshake),
    /// It would not: our address is not allowed, or it has too many connections.
    Refusal {
        /// The error number, such as 1130 (host not allowed).
        code: u16,
        /// Its text, in the server's language.
        message: Vec<u8>,
    },
}

/// The initial handshake packet, version 9 or 10.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Handshake {
    /// 10, or 9 before MySQL 3.21.
    pub protocol: u8,
    /// The version text, as sent.
    pub version: Vec<u8>,
    /// Capability flags, both halves. Zero before MySQL 3.22.
    pub capabilities: u32,
    /// The authentication method that the server proposes. Empty where it names none.
    pub plugin: Vec<u8>,
}

impl Greeting {
    /// Reads the first packet of a connection, framing included. Bytes after it are ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let [a, b, c] = r.array("payload_length")?;
        let len = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        if !(3..=4096).contains(&len) {
            // Neither packet has ever been longer; this is another protocol.
            return Err(r.invalid("payload_length", u32::from_le_bytes([a, b, c, 0])));
        }
        let sequence = r.u8("sequence_id")?;
        if sequence != 0 {
            return Err(r.invalid("sequence_id", sequence));
        }
        let mut r = r.nested("payload", len)?;
        match r.u8("protocol version")? {
            0xff => refusal(r),
            protocol @ (9 | 10) => handshake(protocol, r).map(Self::Handshake),
            other => Err(r.invalid("protocol version", other)),
        }
    }
}

/// A request to go on in TLS (Protocol::SSLRequest): what a login begins with, up to the user
/// name, which would come inside TLS. The server answers with nothing but TLS.
#[must_use]
pub fn tls_request() -> Vec<u8> {
    // CLIENT_PROTOCOL_41 and CLIENT_SECURE_CONNECTION: without them it would be an older packet.
    const CAPABILITIES: u32 = CAPABILITY_TLS | 0x0000_0200 | 0x0000_8000;
    let mut packet = vec![32, 0, 0, 1];
    packet.extend(CAPABILITIES.to_le_bytes());
    // The largest packet that we would take: 16 MiB, as clients say.
    packet.extend([0, 0, 0, 1]);
    // utf8mb4_general_ci, then nothing.
    packet.push(45);
    packet.extend([0; 23]);
    packet
}

fn refusal(mut r: Reader<'_>) -> Result<Greeting, Malformed> {
    let code = r.u16_le("error_code")?;
    let mut message = r.rest();
    // The SQL state, `#` and five characters, is only there once a client has said what it can.
    if let Some((state, rest)) = message.split_at_checked(6)
        && state.starts_with(b"#")
    {
        message = rest;
    }
    Ok(Greeting::Refusal { code, message: message.to_vec() })
}

fn handshake(protocol: u8, mut r: Reader<'_>) -> Result<Handshake, Malformed> {
    let version = r.until("server version", &[0])?.to_vec();
    r.u32_le("thread id")?;
    let mut handshake = Handshake { protocol, version, capabilities: 0, plugin: Vec::new() };
    if protocol == 9 {
        r.until("scramble", &[0])?;
        return Ok(handshake);
    }
    r.take("auth-plugin-data-part-1", 8)?;
    // Old servers stop after any of the following fields.
    if r.is_at_end() {
        return Ok(handshake);
    }
    r.u8("filler")?;
    handshake.capabilities = r.u16_le("capability_flags_1")?.into();
    if r.is_at_end() {
        return Ok(handshake);
    }
    r.u8("character_set")?;
    r.u16_le("status_flags")?;
    handshake.capabilities |= u32::from(r.u16_le("capability_flags_2")?) << 16;
    let challenge = r.u8("auth_plugin_data_len")?;
    r.take("reserved", 10)?;
    r.take_up_to(usize::from(challenge.saturating_sub(8)).max(13));
    let plugin = r.rest();
    handshake.plugin = plugin.split(|&byte| byte == 0).next().unwrap_or(plugin).to_vec();
    Ok(handshake)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn packet(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![payload.len() as u8, 0, 0, 0];
        bytes.extend_from_slice(payload);
        bytes
    }

    fn modern() -> Vec<u8> {
        let mut payload =
            b"\x0a8.0.36\0\x07\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15".to_vec();
        payload.extend([0; 10]);
        payload.extend(b"ijklmnopqrst\0caching_sha2_password\0");
        packet(&payload)
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Greeting) {
        assert_eq!(Greeting::parse(bytes), Ok(expected));
        for len in 0..bytes.len() {
            let error = Greeting::parse(&bytes[..len]).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
        }
    }

    #[test]
    fn a_server_says_its_version_and_what_it_can() {
        check(
            &modern(),
            Greeting::Handshake(Handshake {
                protocol: 10,
                version: b"8.0.36".to_vec(),
                capabilities: 0xdfff_ffff,
                plugin: b"caching_sha2_password".to_vec(),
            }),
        );
    }

    #[test]
    fn an_old_server_says_less() {
        let nine = packet(b"\x093.20.32a\0\x01\0\0\0abcdefgh\0");
        let version = b"3.20.32a".to_vec();
        let plugin = Vec::new();
        let expected = Handshake { protocol: 9, version, capabilities: 0, plugin };
        check(&nine, Greeting::Handshake(expected));
        let short = packet(b"\x0a4.0.1\0\x01\0\0\0abcdefgh\0\x2c\x08");
        let version = b"4.0.1".to_vec();
        let plugin = Vec::new();
        let expected = Handshake { protocol: 10, version, capabilities: 0x082c, plugin };
        check(&short, Greeting::Handshake(expected));
    }

    #[test]
    fn a_refusal_is_an_answer() {
        let message = b"Host '192.0.2.9' is not allowed to connect to this MariaDB server".to_vec();
        let mut payload = vec![0xff, 0x6a, 0x04];
        payload.extend(&message);
        check(&packet(&payload), Greeting::Refusal { code: 1130, message });
        let with_state = packet(b"\xff\x10\x04#08004Too many connections");
        let message = b"Too many connections".to_vec();
        check(&with_state, Greeting::Refusal { code: 1040, message });
    }

    #[test]
    fn other_protocols_are_refused() {
        let check = |bytes: &[u8], field: &str| {
            assert_eq!(Greeting::parse(bytes).unwrap_err().field, field);
        };
        check(b"SSH-2.0-OpenSSH_9.2\r\n", "payload_length");
        check(b"\x05\0\0\x01\x0a....", "sequence_id");
        check(b"\x05\0\0\0\x0b....", "protocol version");
    }

    #[test]
    fn the_request_for_tls_has_the_length_that_it_says() {
        let request = tls_request();
        assert_eq!((request[0], request[3]), (32, 1));
        assert_eq!(request.len(), 36);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            payload in proptest::collection::vec(any::<u8>(), 0..120),
            first in prop_oneof![Just(9_u8), Just(10), Just(255), any::<u8>()],
        ) {
            let mut framed = vec![first];
            framed.extend(&payload);
            let _ = Greeting::parse(&packet(&framed));
            let _ = Greeting::parse(&payload);
        }
    }
}
