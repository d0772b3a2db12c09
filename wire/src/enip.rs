//! EtherNet/IP: ListIdentity (ODVA, CIP Networks Library volume 2, section 2-4.2), which
//! controllers answer whoever asks, without a session.

use crate::{Malformed, Reader, lines};

const LIST_IDENTITY: u16 = 0x63;
const IDENTITY_ITEM: u16 = 0x0c;

/// What a device says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The question's sender context, repeated.
    pub context: [u8; 8],
    /// Its maker's number at ODVA: 1 Rockwell Automation.
    pub vendor: u16,
    /// What kind of device: 14 programmable controller, 12 communications adapter.
    pub device_type: u16,
    /// The maker's number of the product.
    pub product_code: u16,
    /// Major and minor revision.
    pub revision: (u8, u8),
    /// Its serial number.
    pub serial: u32,
    /// Its product's name.
    pub name: String,
}

/// The question. Of the context, the first two bytes say how long an answer may take (1 ms:
/// as soon as the device can); the others are a number of ours.
#[must_use]
pub fn list_identity(cookie: u32) -> Vec<u8> {
    let mut out = LIST_IDENTITY.to_le_bytes().to_vec();
    out.extend([0; 10]); // length, session, status
    out.extend(context(cookie));
    out.extend([0; 4]);
    out
}

/// The sender context of a question.
#[must_use]
pub fn context(cookie: u32) -> [u8; 8] {
    let [a, b, c, d] = cookie.to_be_bytes();
    [1, 0, 0, 0, a, b, c, d]
}

impl Identity {
    /// Reads one datagram. State and addresses are passed over.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let command = r.u16_le("command")?;
        if command != LIST_IDENTITY {
            return Err(r.invalid("command", command));
        }
        let len = r.u16_le("length")?;
        if len == 0 {
            // The question itself.
            return Err(r.invalid("length", len));
        }
        r.u32_le("session handle")?;
        let status = r.u32_le("status")?;
        if status != 0 {
            return Err(r.invalid("status", status));
        }
        let context = r.array("sender context")?;
        r.u32_le("options")?;
        let mut r = r.nested("data", len.into())?;
        let count = r.u16_le("item count")?;
        if count == 0 {
            return Err(r.invalid("item count", count));
        }
        let kind = r.u16_le("item type")?;
        if kind != IDENTITY_ITEM {
            return Err(r.invalid("item type", kind));
        }
        let len = r.u16_le("item length")?;
        let mut r = r.nested("item", len.into())?;
        r.take("protocol version, socket address", 18)?;
        let vendor = r.u16_le("vendor id")?;
        let device_type = r.u16_le("device type")?;
        let product_code = r.u16_le("product code")?;
        let revision = (r.u8("major revision")?, r.u8("minor revision")?);
        r.u16_le("status")?;
        let serial = r.u32_le("serial number")?;
        let len = r.u8("product name length")?;
        let name = lines::text(r.take("product name", len.into())?);
        Ok(Self { context, vendor, device_type, product_code, revision, serial, name })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer(name: &[u8]) -> Vec<u8> {
        let mut item = vec![1, 0];
        item.extend([0, 2, 0xaf, 0x12, 192, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        item.extend([1, 0, 14, 0, 55, 0, 20, 11, 0x30, 0, 0x78, 0x56, 0x34, 0x12]);
        item.push(name.len() as u8);
        item.extend(name);
        let len = item.len() as u8;
        let mut bytes = list_identity(7);
        bytes[2] = len + 6;
        bytes.extend([1, 0, 0x0c, 0, len, 0]);
        bytes.extend(item);
        bytes
    }

    #[test]
    fn a_controller_says_what_it_is() {
        let bytes = answer(b"1756-L71");
        let expected = Identity {
            context: context(7),
            vendor: 1,
            device_type: 14,
            product_code: 55,
            revision: (20, 11),
            serial: 0x1234_5678,
            name: "1756-L71".into(),
        };
        assert_eq!(Identity::parse(&bytes), Ok(expected));
        for len in 0..bytes.len() {
            assert_eq!(Identity::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
        assert_eq!(Identity::parse(&list_identity(7)).unwrap_err().field, "length");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            at in 0_usize..100,
            with: u8,
        ) {
            let _ = Identity::parse(&bytes);
            let mut damaged = answer(b"x");
            let at = at % damaged.len();
            damaged[at] = with;
            let _ = Identity::parse(&damaged);
        }
    }
}
