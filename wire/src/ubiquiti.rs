//! Ubiquiti's discovery (UDP 10001): four bytes, which radios, cameras and gateways of that
//! maker answer with what they are. The maker publishes no description; the layout is as
//! public tools and Ubiquiti's own discovery tool show it: a head of version, command and
//! length, then type, length and value.

use crate::{Malformed, Reader, lines};

/// What a device says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Device {
    /// Its hardware address.
    pub mac: Option<[u8; 6]>,
    /// What its owner calls it.
    pub host_name: Option<String>,
    /// Its firmware, such as `XM.ar7240.v5.6.3.28591.151130.1749`.
    pub firmware: Option<String>,
    /// Its model: the long name where told, else the short one.
    pub model: Option<String>,
}

/// The question.
#[must_use]
pub fn discover() -> Vec<u8> {
    vec![1, 0, 0, 0]
}

impl Device {
    /// Reads one datagram. Time since start and the like are passed over.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let version = r.u8("version")?;
        let command = r.u8("command")?;
        if !matches!((version, command), (1, 0) | (2, 6 | 8..=11)) {
            return Err(r.invalid("version, command", u16::from_be_bytes([version, command])));
        }
        let len = r.u16("length")?;
        if len == 0 {
            // The question itself.
            return Err(r.invalid("length", len));
        }
        let mut fields = r.nested("fields", len.into())?;
        let mut found = Self::default();
        let mut short = None;
        while !fields.is_at_end() {
            let kind = fields.u8("type")?;
            let len = fields.u16("length")?;
            let mut value = fields.nested("value", len.into())?;
            let text = Some(lines::text(value.rest())).filter(|text| !text.is_empty());
            match kind {
                1 | 2 => found.mac = Some(value.array("MAC address")?),
                3 => found.firmware = text,
                11 => found.host_name = text,
                12 => short = text,
                20 | 21 => found.model = text,
                _ => {}
            }
        }
        found.model = found.model.or(short);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[track_caller]
    fn check(fields: &[u8], expected: Device) {
        let bytes = [&[1, 0, 0, fields.len() as u8], fields].concat();
        assert_eq!(Device::parse(&bytes), Ok(expected));
        for len in 0..bytes.len() {
            assert_eq!(Device::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_device_says_what_it_is() {
        let expected = Device {
            mac: Some([0, 0, 0x5e, 0, 0x53, 1]),
            host_name: Some("roof".into()),
            firmware: Some("XW.v6.1".into()),
            model: Some("Bridge 7".into()),
        };
        check(
            b"\x02\0\x0a\0\0\x5e\0\x53\x01\xc0\0\x02\x01\x03\0\x07XW.v6.1\x0b\0\x04roof\
              \x0c\0\x02B7\x14\0\x08Bridge 7\x0a\0\x04\0\0\0\x09",
            expected,
        );
        let short = Device { model: Some("B7".into()), ..Device::default() };
        check(b"\x0c\0\x02B7", short);
        assert!(Device::parse(&discover()).is_err());
        assert!(Device::parse(&[1, 0, 0, 4, 1, 0, 1, 9]).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Device::parse(&bytes);
            let _ = Device::parse(&[&[1, 0, 0, 40], &bytes[..]].concat());
        }
    }
}
