//! BACnet/IP (ANSI/ASHRAE 135: annex J, clauses 6, 15.5, 15.7 and 20): who a building
//! controller is, by ReadProperty and ReadPropertyMultiple of its device object. Nothing is
//! written.
//!
//! Device instance 4194303 means the device that is asked, whatever its number.

use std::net::Ipv4Addr;

use crate::{Malformed, Reader, lines};

const READ_PROPERTY: u8 = 12;
const READ_PROPERTY_MULTIPLE: u8 = 14;

/// object-identifier.
const OBJECT_IDENTIFIER: u8 = 75;

/// vendor-name.
pub const VENDOR_NAME: u8 = 121;
/// model-name.
pub const MODEL_NAME: u8 = 70;
/// firmware-revision.
pub const FIRMWARE_REVISION: u8 = 44;
/// object-name.
pub const OBJECT_NAME: u8 = 77;

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The question's invoke id, repeated.
    pub invoke: u8,
    /// The device's instance number, where told.
    pub instance: Option<u32>,
    /// Properties by number, where they are text.
    pub texts: Vec<(u8, String)>,
}

/// The port.
pub const PORT: u16 = 47_808;

/// What a device tells everybody: I-Am (clause 16.10.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IAm {
    /// The device's instance number.
    pub instance: u32,
    /// The number of its maker (ASHRAE's list of vendor identifiers).
    pub vendor: u32,
    /// Whether it is behind another device, which only passes its words on.
    pub routed: bool,
    /// Whose words a broadcast management device repeats, where it does.
    pub original: Option<Ipv4Addr>,
}

impl IAm {
    /// Reads one datagram; `None` for all other messages.
    ///
    /// # Errors
    ///
    /// It ends too soon, or is no BACnet/IP.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        const FORWARDED: u16 = 0x8104;
        const ORIGINAL_UNICAST: u16 = 0x810a;
        const ORIGINAL_BROADCAST: u16 = 0x810b;

        let mut r = Reader::new(bytes);
        let head = r.u16("BVLC type, function")?;
        if head >> 8 != 0x81 {
            return Err(r.invalid("BVLC type, function", head));
        }
        let length = r.u16("BVLC length")?;
        let Some(inside) = length.checked_sub(4) else {
            return Err(r.invalid("BVLC length", length));
        };
        let mut r = r.nested("NPDU", inside.into())?;
        let original = match head {
            FORWARDED => {
                let address = Ipv4Addr::from(r.array::<4>("originating address")?);
                r.u16("originating port")?;
                Some(address)
            }
            ORIGINAL_UNICAST | ORIGINAL_BROADCAST => None,
            _ => return Ok(None),
        };
        // A message of the network layer itself is none of a device.
        if r.rest().get(1).is_some_and(|control| control & 0x80 != 0) {
            return Ok(None);
        }
        let routed = network(&mut r)?;
        let kind = (r.u8("PDU type")?, r.u8("service choice")?);
        if kind != (0x10, 0) {
            return Ok(None);
        }
        let (_, object) = tag(&mut r, "object identifier")?;
        tag(&mut r, "maximum APDU length")?;
        tag(&mut r, "segmentation")?;
        let (_, vendor) = tag(&mut r, "vendor identifier")?;
        let Some(instance) = instance(object) else {
            return Err(r.invalid("object identifier", 0_u8));
        };
        let vendor = vendor.iter().take(4).fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        Ok(Some(Self { instance, vendor, routed, original }))
    }
}

/// An unrouted confirmed request, that wants an answer of up to 1,476 bytes in one piece.
fn request(invoke: u8, service: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).unwrap_or_default().saturating_add(10);
    let head = [0x81, 0x0a, 0, length, 1, 4, 0, 5, invoke, service];
    [&head, body].concat()
}

/// ReadProperty of the device's object-identifier, which every device has.
#[must_use]
pub fn read_identifier(invoke: u8) -> Vec<u8> {
    let body = [0x0c, 2, 0x3f, 0xff, 0xff, 0x19, OBJECT_IDENTIFIER];
    request(invoke, READ_PROPERTY, &body)
}

/// ReadPropertyMultiple of the device's names.
#[must_use]
pub fn read_names(invoke: u8) -> Vec<u8> {
    let body = [
        0x0c,
        2,
        0x3f,
        0xff,
        0xff,
        0x1e, // object, list
        0x09,
        VENDOR_NAME,
        0x09,
        MODEL_NAME,
        0x09,
        FIRMWARE_REVISION,
        0x09,
        OBJECT_NAME, //
        0x1f,
    ];
    request(invoke, READ_PROPERTY_MULTIPLE, &body)
}

impl Answer {
    /// Reads one datagram. An error, a reject and an abort are answers without properties.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let head = r.u16("BVLC type, function")?;
        if head != 0x810a {
            return Err(r.invalid("BVLC type, function", head));
        }
        let length = r.u16("BVLC length")?;
        let Some(inside) = length.checked_sub(4) else {
            return Err(r.invalid("BVLC length", length));
        };
        let mut r = r.nested("NPDU", inside.into())?;
        network(&mut r)?;
        let kind = r.u8("PDU type")?;
        let mut found = Self { invoke: 0, instance: None, texts: Vec::new() };
        found.invoke = r.u8("invoke id")?;
        match kind {
            // Complex acknowledgement in one piece.
            0x30 => match r.u8("service choice")? {
                READ_PROPERTY => {
                    let (_, object) = tag(&mut r, "object identifier")?;
                    found.instance = instance(object);
                }
                READ_PROPERTY_MULTIPLE => results(&mut r, &mut found)?,
                other => return Err(r.invalid("service choice", other)),
            },
            // Error, with the service that it is about.
            0x50 => {
                let service = r.u8("error choice")?;
                if !matches!(service, READ_PROPERTY | READ_PROPERTY_MULTIPLE) {
                    return Err(r.invalid("error choice", service));
                }
            }
            // Reject, abort.
            0x60 | 0x70 | 0x71 => {
                r.u8("reason")?;
            }
            _ => return Err(r.invalid("PDU type", kind)),
        }
        Ok(found)
    }
}

/// The network layer's head (clause 6.2.2): whether it comes from another network.
fn network(r: &mut Reader<'_>) -> Result<bool, Malformed> {
    let version = r.u8("NPDU version")?;
    if version != 1 {
        return Err(r.invalid("NPDU version", version));
    }
    let control = r.u8("NPDU control")?;
    // A message of the network layer itself.
    if control & 0x80 != 0 {
        return Err(r.invalid("NPDU control", control));
    }
    for (bit, field) in [(0x20, "destination"), (0x08, "source")] {
        if control & bit != 0 {
            r.u16(field)?;
            let len = r.u8(field)?;
            r.take(field, len.into())?;
        }
    }
    if control & 0x20 != 0 {
        r.u8("hop count")?;
    }
    Ok(control & 0x08 != 0)
}

/// One tag (clause 20.2.1): its first byte without the length, and its contents. Opening and
/// closing tags, whose low half is 6 or 7 with 8 for context, have none.
fn tag<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<(u8, &'a [u8]), Malformed> {
    let first = r.u8(field)?;
    if first >> 4 == 15 {
        // Tag numbers above 14 are in no answer that we ask for.
        return Err(r.invalid(field, first));
    }
    let len = match first & 7 {
        5 => match r.u8(field)? {
            254 => r.u16(field)?.into(),
            255 => return Err(r.invalid(field, 255_u8)),
            len => len.into(),
        },
        6 | 7 if first & 8 != 0 => return Ok((first, &[])),
        6 | 7 => return Err(r.invalid(field, first)),
        len => usize::from(len),
    };
    Ok((first & 0xf8, r.take(field, len)?))
}

/// The instance number of an object identifier of a device (type 8): its low 22 bits.
fn instance(object: &[u8]) -> Option<u32> {
    let number = u32::from_be_bytes(object.try_into().ok()?);
    (number >> 22 == 8).then_some(number & 0x3f_ffff)
}

/// A list of read access results (clause 15.7): the object, and in tags 1 its properties (2)
/// with values (4) or errors (5).
fn results(r: &mut Reader<'_>, found: &mut Answer) -> Result<(), Malformed> {
    let mut property = None;
    while !r.is_at_end() {
        match tag(r, "read access result")? {
            (0x08, object) => found.instance = instance(object),
            (0x28, &[number]) => property = Some(number),
            // A character string in UTF-8 (0) or, before 2010, in ASCII.
            (0x70, &[0, ref text @ ..]) => {
                found.texts.extend(property.map(|number| (number, lines::text(text))));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer(npdu: &[u8], apdu: &[u8]) -> Vec<u8> {
        let len = (4 + npdu.len() + apdu.len()) as u8;
        [&[0x81, 0x0a, 0, len], npdu, apdu].concat()
    }

    #[track_caller]
    fn check(npdu: &[u8], apdu: &[u8], instance: Option<u32>, texts: &[(u8, &str)]) {
        let bytes = answer(npdu, apdu);
        let texts = texts.iter().map(|(number, text)| (*number, (*text).to_owned())).collect();
        assert_eq!(Answer::parse(&bytes), Ok(Answer { invoke: 7, instance, texts }));
        for len in 0..bytes.len() {
            assert_eq!(Answer::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_controller_says_who_it_is() {
        let identifier = b"\x30\x07\x0c\x0c\x02\0\0\x09\x19\x4b\x3e\xc4\x02\0\0\x09\x3f";
        check(&[1, 0], identifier, Some(9), &[]);
        check(&[1, 8, 0, 5, 1, 3], identifier, Some(9), &[]);
        check(&[1, 0x28, 0, 6, 0, 0, 5, 1, 3, 0xff], identifier, Some(9), &[]);
        let names = b"\x30\x07\x0e\x0c\x02\0\0\x09\x1e\x29\x79\x4e\x75\x06\0Maker\x4f\
            \x29\x46\x4e\x73\0M7\x4f\x29\x2c\x5e\x91\x02\x91\x20\x5f\x1f";
        check(&[1, 0], names, Some(9), &[(VENDOR_NAME, "Maker"), (MODEL_NAME, "M7")]);
    }

    #[test]
    fn refusals_are_answers_too() {
        check(&[1, 0], &[0x50, 7, 12, 0x91, 2][..3], None, &[]);
        check(&[1, 0], &[0x60, 7, 9], None, &[]);
        check(&[1, 0], &[0x71, 7, 4], None, &[]);
        for question in [read_identifier(7), read_names(7)] {
            assert_eq!(usize::from(question[3]), question.len());
            assert!(Answer::parse(&question).is_err());
        }
    }

    #[track_caller]
    fn check_i_am(bytes: &[u8], routed: bool, original: Option<Ipv4Addr>) {
        let expected = IAm { instance: 9, vendor: 260, routed, original };
        assert_eq!(IAm::parse(bytes), Ok(Some(expected)));
        for len in 0..bytes.len() {
            assert_eq!(IAm::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_controller_tells_everybody_who_it_is() {
        let words = b"\x10\0\xc4\x02\0\0\x09\x22\x05\xc4\x91\0\x22\x01\x04";
        let mut broadcast = answer(&[1, 0], words);
        broadcast[1] = 0x0b;
        check_i_am(&broadcast, false, None);
        check_i_am(&answer(&[1, 8, 0, 5, 1, 3], words), true, None);
        let mut repeated = answer(&[192, 0, 2, 7, 0xba, 0xc0, 1, 0], words);
        repeated[1] = 4;
        check_i_am(&repeated, false, Some(Ipv4Addr::new(192, 0, 2, 7)));
        for other in [read_names(7), answer(&[1, 0x80], &[0]), answer(&[1, 0], &[0x10, 8])] {
            assert_eq!(IAm::parse(&other), Ok(None));
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Answer::parse(&bytes);
            let _ = IAm::parse(&bytes);
            let _ = IAm::parse(&answer(&[1, 0, 0x10, 0], &bytes));
            let _ = Answer::parse(&answer(&[1, 0], &bytes));
            let _ = Answer::parse(&answer(&[1, 0, 0x30, 7, 14], &bytes));
        }
    }
}
