//! The first two messages of NTLM ([MS-NLMP]): what a server says about itself before
//! anybody tells it who they are.
//!
//! We send NEGOTIATE (section 2.2.1.1), which names nobody, read CHALLENGE (section
//! 2.2.1.2), and stop. SPNEGO (RFC 4178) is wrapped around the first; the second is found
//! by its signature, because servers wrap it in several ways. The challenge itself and the
//! time are passed over: they change every time.

use crate::{
    Malformed, Reader,
    ber::{self, tag},
};

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";
const NEGOTIATE_UNICODE: u32 = 0x0000_0001;
const REQUEST_TARGET: u32 = 0x0000_0004;
const NEGOTIATE_NTLM: u32 = 0x0000_0200;
const NEGOTIATE_EXTENDED_SECURITY: u32 = 0x0008_0000;
const NEGOTIATE_TARGET_INFO: u32 = 0x0080_0000;
const NEGOTIATE_VERSION: u32 = 0x0200_0000;

/// What a CHALLENGE says about the server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Challenge {
    /// MsvAvNbComputerName.
    pub netbios_name: Option<String>,
    /// MsvAvNbDomainName.
    pub netbios_domain: Option<String>,
    /// MsvAvDnsComputerName.
    pub dns_name: Option<String>,
    /// MsvAvDnsDomainName.
    pub dns_domain: Option<String>,
    /// MsvAvDnsTreeName.
    pub dns_tree: Option<String>,
    /// The VERSION structure (section 2.2.2.10), where sent.
    pub version: Option<Version>,
}

/// The operating system version that the server claims.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Version {
    /// Major version.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
    /// Build number. Zero: not a Windows.
    pub build: u16,
}

/// A NEGOTIATE message in a SPNEGO NegTokenInit, as SMB wants it.
#[must_use]
pub fn negotiate() -> Vec<u8> {
    const SPNEGO: &[u8] = &[0x2b, 6, 1, 5, 5, 2]; // 1.3.6.1.5.5.2
    const NTLMSSP: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10]; // 1.3.6.1.4.1.311.2.2.10
    let mut message = SIGNATURE.to_vec();
    let flags = NEGOTIATE_UNICODE
        | REQUEST_TARGET
        | NEGOTIATE_NTLM
        | NEGOTIATE_EXTENDED_SECURITY
        | NEGOTIATE_TARGET_INFO
        | NEGOTIATE_VERSION;
    message.extend(1_u32.to_le_bytes());
    message.extend(flags.to_le_bytes());
    // DomainNameFields and WorkstationFields: we are of no domain and have no name.
    message.extend([0; 16]);
    // Version: none of Windows's; revision 15 is NTLMSSP_REVISION_W2K3.
    message.extend([0, 0, 0, 0, 0, 0, 0, 15]);
    let mechanisms = ber::write(tag::SEQUENCE, &ber::write(tag::OID, NTLMSSP));
    let token = ber::write_all(
        tag::SEQUENCE,
        &[ber::write(0xa0, &mechanisms), ber::write(0xa2, &ber::write(tag::OCTETS, &message))],
    );
    ber::write_all(0x60, &[ber::write(tag::OID, SPNEGO), ber::write(0xa0, &token)])
}

impl Challenge {
    /// Finds and reads a CHALLENGE in a security blob.
    pub fn find(blob: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(blob);
        r.until("NTLMSSP signature", SIGNATURE)?;
        // Offsets inside the message count from its signature.
        let at = r.offset().saturating_sub(SIGNATURE.len());
        let message = blob.get(at..).unwrap_or_default();
        let kind = r.u32_le("MessageType")?;
        if kind != 2 {
            return Err(r.invalid("MessageType", kind));
        }
        r.take("TargetNameFields", 8)?;
        let flags = r.u32_le("NegotiateFlags")?;
        r.take("ServerChallenge", 8)?;
        r.take("Reserved", 8)?;
        let info_len = r.u16_le("TargetInfoLen")?;
        r.u16_le("TargetInfoMaxLen")?;
        let info_at = r.u32_le("TargetInfoBufferOffset")?;
        let mut challenge = Self::default();
        if flags & NEGOTIATE_VERSION != 0 {
            let [major, minor, low, high, ..] = r.array::<8>("Version")?;
            let build = u16::from_le_bytes([low, high]);
            challenge.version = Some(Version { major, minor, build });
        }
        if flags & NEGOTIATE_TARGET_INFO != 0 && info_len > 0 {
            let mut r = Reader::new(message);
            r.take("TargetInfo", usize::try_from(info_at).unwrap_or(usize::MAX))?;
            let pairs = r.nested("TargetInfo", info_len.into())?;
            challenge.read_pairs(pairs)?;
        }
        Ok(challenge)
    }

    /// Reads AV_PAIRs (section 2.2.2.1) until the one that ends them.
    fn read_pairs(&mut self, mut r: Reader<'_>) -> Result<(), Malformed> {
        while !r.is_at_end() {
            let id = r.u16_le("AvId")?;
            let len = r.u16_le("AvLen")?;
            let value = r.take("Value", len.into())?;
            let text = Some(utf16(value)).filter(|text| !text.is_empty());
            match id {
                0 => break,
                1 => self.netbios_name = text,
                2 => self.netbios_domain = text,
                3 => self.dns_name = text,
                4 => self.dns_domain = text,
                5 => self.dns_tree = text,
                _ => {}
            }
        }
        Ok(())
    }
}

/// What a client says in its AUTHENTICATE ([MS-NLMP], section 2.2.1.3), of which only the
/// machine is read: never the user, nor the answers that its secret made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Authenticate {
    /// The name of the computer that it runs on.
    pub workstation: Option<String>,
}

impl Authenticate {
    /// Finds and reads one in a message that holds it. `None` where there is none.
    #[must_use]
    pub fn find(blob: &[u8]) -> Option<Self> {
        let mut r = Reader::new(blob);
        r.until("NTLMSSP signature", SIGNATURE).ok()?;
        let message = blob.get(r.offset().saturating_sub(SIGNATURE.len())..)?;
        if r.u32_le("MessageType").ok()? != 3 {
            return None;
        }
        // LmChallengeResponse, NtChallengeResponse, DomainName and UserName.
        r.take("fields", 32).ok()?;
        let len = r.u16_le("WorkstationLen").ok()?;
        r.u16_le("WorkstationMaxLen").ok()?;
        let at = r.u32_le("WorkstationBufferOffset").ok()?;
        r.take("EncryptedRandomSessionKeyFields", 8).ok()?;
        let flags = r.u32_le("NegotiateFlags").ok()?;
        let mut r = Reader::new(message);
        r.take("Workstation", usize::try_from(at).ok()?).ok()?;
        let name = r.take("Workstation", len.into()).ok()?;
        // NTLMSSP_NEGOTIATE_UNICODE; the OEM character set is not told.
        let name = if flags & 1 != 0 { utf16(name) } else { crate::lines::text(name) };
        Some(Self { workstation: Some(name).filter(|name| !name.is_empty()) })
    }
}

/// UTF-16, little-endian; what is not becomes U+FFFD.
#[must_use]
pub fn utf16(bytes: &[u8]) -> String {
    let (pairs, _) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn pair(id: u16, text: &str) -> Vec<u8> {
        let value: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut out = id.to_le_bytes().to_vec();
        out.extend((value.len() as u16).to_le_bytes());
        out.extend(value);
        out
    }

    /// A challenge as a Windows Server 2022 named DC1 of example.com would send it.
    pub(crate) fn challenge() -> Vec<u8> {
        let mut info = pair(2, "EXAMPLE");
        info.extend(pair(1, "DC1"));
        info.extend(pair(4, "example.com"));
        info.extend(pair(3, "dc1.example.com"));
        info.extend(pair(5, "example.com"));
        info.extend([7, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0]);
        let mut message = SIGNATURE.to_vec();
        message.extend(2_u32.to_le_bytes());
        message.extend([0, 0, 0, 0, 56, 0, 0, 0]);
        message.extend((NEGOTIATE_VERSION | NEGOTIATE_TARGET_INFO).to_le_bytes());
        message.extend([9; 8]);
        message.extend([0; 8]);
        message.extend((info.len() as u16).to_le_bytes());
        message.extend((info.len() as u16).to_le_bytes());
        message.extend(56_u32.to_le_bytes());
        message.extend([10, 0, 0x7c, 0x4f, 0, 0, 0, 15]);
        message.extend(info);
        message
    }

    #[test]
    fn a_server_says_its_names_and_its_build() {
        let mut blob = vec![0xa1, 0x81, 0xff];
        blob.extend(challenge());
        let expected = Challenge {
            netbios_name: Some("DC1".into()),
            netbios_domain: Some("EXAMPLE".into()),
            dns_name: Some("dc1.example.com".into()),
            dns_domain: Some("example.com".into()),
            dns_tree: Some("example.com".into()),
            version: Some(Version { major: 10, minor: 0, build: 20348 }),
        };
        assert_eq!(Challenge::find(&blob), Ok(expected));
    }

    #[test]
    fn every_cut_is_an_error() {
        let message = challenge();
        for len in 0..message.len() {
            let error = Challenge::find(&message[..len]).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
        }
    }

    #[test]
    fn offsets_that_point_elsewhere_are_errors() {
        let mut message = challenge();
        message[44..48].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Challenge::find(&message).unwrap_err().field, "TargetInfo");
        let mut message = challenge();
        message[8] = 3;
        assert_eq!(Challenge::find(&message).unwrap_err().field, "MessageType");
    }

    #[test]
    fn our_question_names_nobody_and_is_well_formed() {
        let token = negotiate();
        let mut r = Reader::new(&token);
        let mut init = ber::expect(&mut r, "InitialContextToken", 0x60).unwrap();
        assert!(r.is_at_end());
        assert_eq!(ber::oid(&mut init, "thisMech").unwrap(), "1.3.6.1.5.5.2");
        let message = Reader::new(&token).until("signature", SIGNATURE).unwrap().len();
        assert_eq!(token[message + 16..message + 32], [0; 16]);
        assert_eq!(token.len(), message + 40);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut message = SIGNATURE.to_vec();
            message.extend(2_u32.to_le_bytes());
            message.extend(&bytes);
            let _ = Challenge::find(&message);
            let _ = Challenge::find(&bytes);
        }

        #[test]
        fn damage_never_panics(at in 0_usize..300, with in any::<u8>()) {
            let mut message = challenge();
            let at = at % message.len();
            message[at] = with;
            let _ = Challenge::find(&message);
        }
    }
}
