//! What protects packets (RFC 9001, section 5, and RFC 9369, section 3.3): the keys of a
//! secret, the secrets that everybody knows, and the tag of a Retry.

use ring::{
    aead::{self, Aad, LessSafeKey, Nonce, UnboundKey, quic::HeaderProtectionKey},
    hkdf::{self, Prk, Salt},
};

use super::{packet::Packet, version::Version};
use crate::hello::schedule::Suite;

/// The length of a tag, in bytes; all suites have the same.
pub(super) const TAG: usize = 16;

/// One direction's keys.
pub(super) struct Keys {
    key: LessSafeKey,
    iv: [u8; aead::NONCE_LEN],
    header: HeaderProtectionKey,
}

impl Keys {
    /// The keys that a secret leads to.
    pub(super) fn new(version: Version, suite: Suite, secret: &Prk) -> Option<Self> {
        let [key, iv, header] = version.labels();
        let key = suite.expand(secret, key, &[], suite.aead.key_len())?;
        let iv = suite.expand(secret, iv, &[], aead::NONCE_LEN)?;
        let header = suite.expand(secret, header, &[], suite.header.key_len())?;
        Some(Self {
            key: LessSafeKey::new(UnboundKey::new(suite.aead, &key).ok()?),
            iv: iv.try_into().ok()?,
            header: HeaderProtectionKey::new(suite.header, &header).ok()?,
        })
    }

    /// The client's and the server's keys of Initial packets, which whoever sees the first
    /// packet's destination can make: they keep nothing secret.
    pub(super) fn initial(version: Version, destination: &[u8]) -> Option<(Self, Self)> {
        let suite = Suite::aes_128();
        let initial = Salt::new(hkdf::HKDF_SHA256, version.salt()).extract(destination);
        let keys = |label| {
            let secret = suite.expand(&initial, label, &[], 32)?;
            Self::new(version, suite, &suite.secret(&secret))
        };
        Some((keys(b"client in")?, keys(b"server in")?))
    }

    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        for (octet, number) in nonce.iter_mut().rev().zip(number.to_be_bytes().iter().rev()) {
            *octet ^= number;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Closes a packet of that number. Its head has a long form and ends with four bytes of
    /// the number.
    pub(super) fn seal(&self, number: u64, head: &[u8], contents: &[u8]) -> Option<Vec<u8>> {
        let mut body = contents.to_vec();
        let nonce = self.nonce(number);
        self.key.seal_in_place_append_tag(nonce, Aad::from(head), &mut body).ok()?;
        // The sample begins four bytes behind the number's beginning, which is here.
        let mask = self.header.new_mask(body.get(..TAG)?).ok()?;
        let (first, mask) = mask.split_first()?;
        let mut packet = [head, &body].concat();
        *packet.first_mut()? ^= first & 0x0f;
        let number = packet.get_mut(head.len().checked_sub(4)?..head.len())?;
        number.iter_mut().zip(mask).for_each(|(octet, mask)| *octet ^= mask);
        Some(packet)
    }

    /// Opens a packet: its number and contents, or `None` if it was not closed with these keys.
    /// `largest` is the largest number that has come.
    pub(super) fn open(&self, packet: &Packet<'_>, largest: Option<u64>) -> Option<(u64, Vec<u8>)> {
        let at = packet.number_at;
        let from = at.checked_add(4)?;
        let sample = packet.bytes.get(from..from.checked_add(TAG)?)?;
        let mask = self.header.new_mask(sample).ok()?;
        let (first, mask) = mask.split_first()?;
        let mut bytes = packet.bytes.to_vec();
        let head = bytes.first_mut()?;
        *head ^= first & 0x0f;
        let length = usize::from(*head & 3).checked_add(1)?;
        let (head, body) = bytes.split_at_mut_checked(at.checked_add(length)?)?;
        let mut truncated = 0;
        for (octet, mask) in head.iter_mut().skip(at).zip(mask) {
            *octet ^= mask;
            truncated = (truncated << 8) | u64::from(*octet);
        }
        let number = whole_number(largest, truncated, length);
        let nonce = self.nonce(number);
        let contents = self.key.open_in_place(nonce, Aad::from(&*head), body).ok()?;
        Some((number, contents.to_vec()))
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "keys of {:?}", self.key.algorithm())
    }
}

/// The number of which so many bytes at its end are these: the one nearest to the next
/// (RFC 9000, appendix A.3).
fn whole_number(largest: Option<u64>, truncated: u64, length: usize) -> u64 {
    let expected = largest.map_or(0, |largest| largest.saturating_add(1));
    let window = 1_u64 << length.min(4).saturating_mul(8);
    let half = window >> 1;
    let near = (expected & !window.wrapping_sub(1)) | truncated;
    if near.saturating_add(half) <= expected {
        near.saturating_add(window)
    } else if near > expected.saturating_add(half) {
        near.checked_sub(window).unwrap_or(near)
    } else {
        near
    }
}

/// Whether a Retry is an answer to a packet with that destination (RFC 9001, section 5.8).
pub(super) fn is_retry_to(version: Version, destination: &[u8], retry: &[u8]) -> bool {
    let (key, nonce) = version.retry();
    let check = || {
        let (body, tag) = retry.split_at_checked(retry.len().checked_sub(TAG)?)?;
        let length = u8::try_from(destination.len()).ok()?;
        let pseudo = [&[length][..], destination, body].concat();
        let key = LessSafeKey::new(UnboundKey::new(&aead::AES_128_GCM, key).ok()?);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let made = key.seal_in_place_separate_tag(nonce, Aad::from(pseudo), &mut []).ok()?;
        Some(made.as_ref() == tag)
    };
    check().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use ring::aead::CHACHA20_POLY1305;

    use super::{super::tests::hex, *};

    /// The destination of the examples in both documents.
    const DESTINATION: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

    /// The frames of the client in both documents (RFC 9001, appendix A.2).
    const CLIENT: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868\
        04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578\
        616d706c652e636f6dff01000100000a00080006001d00170018001000070005\
        04616c706e000500050100000000003300260024001d00209370b2c9caa47fba\
        baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400\
        0d0010000e0403050306030203080408050806002d00020101001c0002400100\
        3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000\
        75300901100f088394c8f03e51570806048000ffff";

    /// And of the server (appendix A.3).
    const SERVER: &str = "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf739\
        88cfc79825df566dc5430b9a045a1200130100002e00330024001d00209d3c94\
        0d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00\
        020304";

    /// The tag covers all of a packet; the beginning shows its hidden head.
    #[track_caller]
    fn check_client(version: Version, head: &str, begins: &str, ends: &str) {
        let (client, _) = Keys::initial(version, &DESTINATION).unwrap();
        let mut frames = hex(CLIENT);
        frames.resize(1162, 0);
        let packet = client.seal(2, &hex(head), &frames).unwrap();
        assert_eq!(packet.len(), 1200);
        assert!(packet.starts_with(&hex(begins)) && packet.ends_with(&hex(ends)));
        let parsed = Packet::read(&mut wire::Reader::new(&packet), version).unwrap();
        assert_eq!((parsed.destination, parsed.bytes), (&DESTINATION[..], &packet[..]));
        assert_eq!(client.open(&parsed, None), Some((2, frames)));
    }

    #[test]
    fn the_first_packet_of_a_client_is_that_of_the_document() {
        let version_1 = "c300000001088394c8f03e5157080000449e00000002";
        let begins = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123";
        check_client(Version::One, version_1, begins, "e221af44860018ab0856972e194cd934");
        let version_2 = "d36b3343cf088394c8f03e5157080000449e00000002";
        let begins = "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de80";
        check_client(Version::Two, version_2, begins, "a18b2faa745b6fe189cf772a9f84cbfc");
    }

    #[track_caller]
    fn check_server(version: Version, packet: &str) {
        let (_, server) = Keys::initial(version, &DESTINATION).unwrap();
        let mut packet = hex(packet);
        let parsed = Packet::read(&mut wire::Reader::new(&packet), version).unwrap();
        assert_eq!(parsed.source, hex("f067a5502a4262b5"));
        assert_eq!(server.open(&parsed, None), Some((1, hex(SERVER))));
        *packet.last_mut().unwrap() ^= 1;
        let parsed = Packet::read(&mut wire::Reader::new(&packet), version).unwrap();
        assert_eq!(server.open(&parsed, None), None);
    }

    #[test]
    fn the_first_packet_of_a_server_opens() {
        check_server(
            Version::One,
            "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a\
             5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3\
             dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84\
             022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4\
             2158407dd074ee",
        );
        check_server(
            Version::Two,
            "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698\
             baeea26b91eb761d9b89237bbf87263017915358230035f7fd3945d88965cf17\
             f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2\
             c984c707f0a0812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca8\
             4bed8521e2e140",
        );
    }

    #[test]
    fn a_retry_proves_that_it_is_an_answer() {
        let version_1 =
            hex("ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba");
        let version_2 =
            hex("cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6");
        for (version, retry) in [(Version::One, version_1), (Version::Two, version_2)] {
            assert!(is_retry_to(version, &DESTINATION, &retry), "{version:?}");
            assert!(!is_retry_to(version, &[7; 8], &retry));
            assert!(!is_retry_to(version, &DESTINATION, &retry[1..]));
            assert!(!is_retry_to(version, &DESTINATION, &retry[..15]));
        }
    }

    /// Its packet has a short head, which is never ours; what it is made with is.
    #[test]
    fn the_keys_of_chacha20_are_those_of_the_document() {
        let secret = hex("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b");
        let suite = Suite::of(0x1303).unwrap();
        let keys = Keys::new(Version::One, suite, &suite.secret(&secret)).unwrap();
        assert_eq!(keys.key.algorithm(), &CHACHA20_POLY1305);
        let mut body = vec![1];
        let head = hex("4200bff4");
        let nonce = keys.nonce(654_360_564);
        keys.key.seal_in_place_append_tag(nonce, Aad::from(head), &mut body).unwrap();
        assert_eq!(body, hex("655e5cd55c41f69080575d7999c25a5bfb"));
        let mask = keys.header.new_mask(&body[1..]).unwrap();
        assert_eq!(mask[..], hex("aefefe7d03"));
    }

    #[test]
    fn a_number_is_the_one_nearest_to_the_next() {
        // The example of RFC 9000, appendix A.3.
        assert_eq!(whole_number(Some(0xa82f_30ea), 0x9b32, 2), 0xa82f_9b32);
        assert_eq!(whole_number(None, 0, 1), 0);
        assert_eq!(whole_number(Some(0xff), 0, 1), 0x100);
        assert_eq!(whole_number(Some(0x100), 0xfe, 1), 0xfe);
        assert_eq!(whole_number(Some(u64::MAX), 7, 4), u64::MAX);
    }
}
