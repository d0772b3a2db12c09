//! Modbus with the header of its TCP form ("MODBUS Messaging on TCP/IP", section 3.1): Read
//! Device Identification ("MODBUS Application Protocol", section 6.21), function 43 / 14.
//!
//! It reads a controller's name plate: neither a register nor a coil is touched.

use crate::{Malformed, Reader, lines};

const ENCAPSULATED: u8 = 43;
const READ_DEVICE_ID: u8 = 14;

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Vendor, product code and revision, as far as told.
    Device([Option<String>; 3]),
    /// The device speaks Modbus, but does not know the function, or another of the
    /// exceptions: 1 illegal function, 0x0b no answer from behind a gateway.
    Exception(u8),
}

/// The question for the basic name plate, to the device itself.
#[must_use]
pub fn read_device_id(transaction: u16) -> Vec<u8> {
    let mut out = transaction.to_be_bytes().to_vec();
    out.extend([0, 0, 0, 5, 0xff, ENCAPSULATED, READ_DEVICE_ID, 1, 0]);
    out
}

/// Reads one datagram: the transaction's number, and the answer.
pub fn parse(bytes: &[u8]) -> Result<(u16, Answer), Malformed> {
    let mut r = Reader::new(bytes);
    let transaction = r.u16("transaction identifier")?;
    let protocol = r.u16("protocol identifier")?;
    if protocol != 0 {
        return Err(r.invalid("protocol identifier", protocol));
    }
    let len = r.u16("length")?;
    let mut r = r.nested("PDU", len.into())?;
    r.u8("unit identifier")?;
    let function = r.u8("function code")?;
    if function == ENCAPSULATED | 0x80 {
        let code = r.u8("exception code")?;
        return Ok((transaction, Answer::Exception(code)));
    }
    if function != ENCAPSULATED {
        return Err(r.invalid("function code", function));
    }
    let kind = r.u8("MEI type")?;
    if kind != READ_DEVICE_ID {
        return Err(r.invalid("MEI type", kind));
    }
    r.take("code, conformity, more, next", 4)?;
    let count = r.u8("number of objects")?;
    let mut plate = [None, None, None];
    for _ in 0..count {
        let id = r.u8("object id")?;
        let len = r.u8("object length")?;
        let text = lines::text(r.take("object value", len.into())?);
        if let Some(place) = plate.get_mut(usize::from(id)) {
            *place = Some(text).filter(|text| !text.is_empty());
        }
    }
    Ok((transaction, Answer::Device(plate)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer(pdu: &[u8]) -> Vec<u8> {
        [&[0, 7, 0, 0, 0, pdu.len() as u8 + 1, 0xff], pdu].concat()
    }

    #[track_caller]
    fn check(pdu: &[u8], expected: Answer) {
        let bytes = answer(pdu);
        assert_eq!(parse(&bytes), Ok((7, expected)));
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_controller_shows_its_name_plate() {
        let plate = ["Maker", "PLC-7", "v2.1"].map(|text| Some(text.to_owned()));
        check(
            b"\x2b\x0e\x01\x01\0\0\x03\0\x05Maker\x01\x05PLC-7\x02\x04v2.1",
            Answer::Device(plate),
        );
        check(b"\x2b\x0e\x01\x01\0\0\x01\x03\x01x", Answer::Device([None, None, None]));
        check(b"\xab\x01", Answer::Exception(1));
        let question = read_device_id(7);
        assert_eq!(question.len(), 6 + usize::from(question[5]));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&bytes);
            let _ = parse(&answer(&bytes));
        }
    }
}
