//! The two versions of QUIC that are spoken, and in what they differ: little, so that nothing
//! between learns to expect one of them (RFC 9369, section 1).

/// A version that we have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Version {
    /// RFC 9000.
    One,
    /// RFC 9369.
    Two,
}

/// The kinds of packets with a long head, in their order in version 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
}

const KINDS: [Kind; 4] = [Kind::Initial, Kind::ZeroRtt, Kind::Handshake, Kind::Retry];

impl Version {
    /// The one asked for first is the one that nearly everybody has.
    pub(super) const ALL: [Self; 2] = [Self::One, Self::Two];

    pub(super) const fn number(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 0x6b33_43cf,
        }
    }

    /// What the secrets of Initial packets are made with.
    pub(super) const fn salt(self) -> &'static [u8; 20] {
        match self {
            Self::One => &[
                0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
                0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
            ],
            Self::Two => &[
                0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
                0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
            ],
        }
    }

    /// The labels of a key, its vector and its header protection.
    pub(super) const fn labels(self) -> [&'static [u8]; 3] {
        match self {
            Self::One => [b"quic key", b"quic iv", b"quic hp"],
            Self::Two => [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"],
        }
    }

    /// The key and the nonce of the tag of a Retry.
    pub(super) const fn retry(self) -> (&'static [u8; 16], &'static [u8; 12]) {
        match self {
            Self::One => (
                &[
                    0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3,
                    0x68, 0xc8, 0x4e,
                ],
                &[0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb],
            ),
            Self::Two => (
                &[
                    0x8f, 0xb4, 0xb0, 0x1b, 0x56, 0xac, 0x48, 0xe2, 0x60, 0xfb, 0xcb, 0xce, 0xad,
                    0x7c, 0xcc, 0x92,
                ],
                &[0xd8, 0x69, 0x69, 0xbc, 0x2d, 0x7c, 0x6d, 0x99, 0x90, 0xef, 0xb0, 0x4a],
            ),
        }
    }

    /// The kind that two bits of a head mean. In version 2 each is one further on.
    pub(super) fn kind(self, bits: u8) -> Option<Kind> {
        let mut kinds = KINDS.into_iter().zip(0_u8..);
        kinds.find(|(kind, _)| self.bits(*kind) == bits).map(|(kind, _)| kind)
    }

    /// And the bits that mean a kind.
    pub(super) const fn bits(self, kind: Kind) -> u8 {
        let further = match self {
            Self::One => 0,
            Self::Two => 1,
        };
        ((kind as u8) | 4).wrapping_add(further) & 3
    }
}
