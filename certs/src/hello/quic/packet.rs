//! Packets with a long head (RFC 9000, section 17.2): several may share a datagram.

use wire::{Malformed, Reader};

use super::{
    frame::{put, varint},
    version::{Kind, Version},
};

/// A packet, still protected.
#[derive(Clone, Debug)]
pub(super) struct Packet<'a> {
    pub(super) kind: Kind,
    pub(super) destination: &'a [u8],
    pub(super) source: &'a [u8],
    /// What a Retry wants to be told again. Servers send none in other packets.
    pub(super) token: &'a [u8],
    /// Where in it its number begins.
    pub(super) number_at: usize,
    /// All of it.
    pub(super) bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The next packet of a datagram. What is no packet of that version has no end that we
    /// could know, so that nothing behind it is read either.
    pub(super) fn read(r: &mut Reader<'a>, version: Version) -> Result<Self, Malformed> {
        let rest = r.rest();
        let mut p = Reader::new(rest);
        let first = p.u8("header form")?;
        let number = p.u32("version")?;
        if first & 0xc0 != 0xc0 {
            return Err(p.invalid("header form", first));
        }
        if number != version.number() {
            return Err(p.invalid("version", number));
        }
        let bits = (first >> 4) & 3;
        let kind = version.kind(bits).ok_or_else(|| p.invalid("packet type", bits))?;
        let destination = connection_id(&mut p, "destination connection id")?;
        let source = connection_id(&mut p, "source connection id")?;
        let mut token: &[u8] = &[];
        let mut number_at = 0;
        let bytes = match kind {
            Kind::Retry => {
                // All that is left but the tag.
                token = p.rest().get(..p.rest().len().saturating_sub(16)).unwrap_or_default();
                rest
            }
            Kind::Initial | Kind::ZeroRtt | Kind::Handshake => {
                if kind == Kind::Initial {
                    let length = varint(&mut p, "token length")?;
                    token = p.take("token", usize::try_from(length).unwrap_or(usize::MAX))?;
                }
                let length = varint(&mut p, "length")?;
                number_at = p.offset();
                p.take("payload", usize::try_from(length).unwrap_or(usize::MAX))?;
                rest.get(..p.offset()).unwrap_or_default()
            }
        };
        r.take("packet", bytes.len())?;
        Ok(Self { kind, destination, source, token, number_at, bytes })
    }
}

/// At most 20 bytes (RFC 9000, section 17.2).
fn connection_id<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8], Malformed> {
    let length = r.u8(field)?;
    if length > 20 {
        return Err(r.invalid(field, length));
    }
    r.take(field, length.into())
}

/// The head of a packet of ours, up to its length.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) version: Version,
    pub(super) kind: Kind,
    pub(super) destination: &'a [u8],
    pub(super) source: &'a [u8],
    pub(super) token: &'a [u8],
}

/// The bytes of a length and a number of ours.
const LENGTH: usize = 2;
const NUMBER: usize = 4;

impl Head<'_> {
    fn begin(&self) -> Vec<u8> {
        // The number's length, less one, stands in the last two bits.
        let mut out = vec![0xc3 | (self.version.bits(self.kind) << 4)];
        out.extend(self.version.number().to_be_bytes());
        for id in [self.destination, self.source] {
            out.extend(u8::try_from(id.len()));
            out.extend(id);
        }
        if self.kind == Kind::Initial {
            put(&mut out, u64::try_from(self.token.len()).unwrap_or(u64::MAX));
            out.extend(self.token);
        }
        out
    }

    /// How long the whole head is, its number included.
    pub(super) fn len(&self) -> usize {
        self.begin().len().saturating_add(LENGTH).saturating_add(NUMBER)
    }

    /// The whole head, before a body of so many bytes, its tag included.
    pub(super) fn write(&self, number: u64, body: usize) -> Vec<u8> {
        let mut out = self.begin();
        // Always in two bytes, whose first two bits say so: a packet of ours is no longer.
        let length = u16::try_from(body.saturating_add(NUMBER)).unwrap_or(u16::MAX) & 0x3fff;
        out.extend((length | 0x4000).to_be_bytes());
        let [.., a, b, c, d] = number.to_be_bytes();
        out.extend([a, b, c, d]);
        out
    }
}
