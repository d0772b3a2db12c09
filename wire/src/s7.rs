//! S7 communication over ISO-on-TCP (RFC 1006), as far as a controller's own lists go: the
//! answers to Read SZL with the numbers 0x0011 (module identification) and 0x001C (component
//! identification), as Siemens' "System Software for S7-300/400, System and Standard
//! Functions" lists them. Neither a block nor a variable is read.

use crate::{Malformed, Reader, lines};

/// What a controller's lists say of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plate {
    /// The module's order number: `6ES7 315-2EH14-0AB0`.
    pub order_number: Option<String>,
    /// Its firmware: `3.2.6`.
    pub firmware: Option<String>,
    /// Name of the module.
    pub module: Option<String>,
    /// Serial number of the module.
    pub serial: Option<String>,
    /// Module type name: `CPU 315-2 PN/DP`.
    pub module_type: Option<String>,
}

/// One message of a stream, without the headers of TPKT (RFC 1006, section 6) and of X.224's
/// data, and what is behind it; `None` for another message of X.224's.
pub fn message<'a>(r: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Malformed> {
    let version = r.u8("vrsn")?;
    if version != 3 {
        return Err(r.invalid("vrsn", version));
    }
    r.u8("reserved")?;
    let length = r.u16("packet length")?;
    let Some(length) = usize::from(length).checked_sub(4) else {
        return Err(r.invalid("packet length", length));
    };
    let mut inside = r.nested("packet", length)?;
    let header = inside.u8("length indicator")?;
    let mut header = inside.nested("header", header.into())?;
    Ok((header.u8("TPDU code")? == 0xf0).then(|| inside.rest()))
}

/// Whether the message is of S7 communication.
#[must_use]
pub fn is_message(message: &[u8]) -> bool {
    message.first() == Some(&0x32)
}

impl Plate {
    /// Takes what an answer to Read SZL says; other messages are an error.
    pub fn take(&mut self, message: &[u8]) -> Result<(), Malformed> {
        const USERDATA: u8 = 7;
        /// A response (8) of the functions of the CPU (4), and in it Read SZL.
        const CPU_RESPONSE: (u8, u8) = (0x84, 1);
        let mut r = Reader::new(message);
        let id = r.u8("protocol id")?;
        if id != 0x32 {
            return Err(r.invalid("protocol id", id));
        }
        let kind = r.u8("ROSCTR")?;
        if kind != USERDATA {
            return Err(r.invalid("ROSCTR", kind));
        }
        r.take("redundancy id, reference", 4)?;
        let parameter = r.u16("parameter length")?;
        r.u16("data length")?;
        let mut parameter = r.nested("parameter", parameter.into())?;
        parameter.take("head, length, method", 5)?;
        let function = (parameter.u8("function group")?, parameter.u8("subfunction")?);
        if function != CPU_RESPONSE {
            return Err(parameter.invalid("function group", function.0));
        }
        let code = r.u8("return code")?;
        if code != 0xff {
            return Err(r.invalid("return code", code));
        }
        r.u8("transport size")?;
        let len = r.u16("length")?;
        let mut r = r.nested("data", len.into())?;
        let list = r.u16("SZL-ID")?;
        r.u16("INDEX")?;
        let length = r.u16("LENTHDR")?;
        let count = r.u16("N_DR")?;
        if !matches!(list & 0xff, 0x11 | 0x1c) {
            return Err(r.invalid("SZL-ID", list));
        }
        for _ in 0..count {
            let mut record = r.nested("record", length.into())?;
            let index = record.u16("Index")?;
            match list & 0xff {
                0x11 => self.identification(index, &mut record)?,
                _ => self.component(index, record.rest()),
            }
        }
        Ok(())
    }

    fn identification(&mut self, index: u16, r: &mut Reader<'_>) -> Result<(), Malformed> {
        let order = text(r.take("MlfB", 20)?);
        r.u16("BGTyp")?;
        match index {
            1 => self.order_number = order,
            // Firmware: `V` and three numbers.
            7 => {
                if let [b'V', a, b, c] = r.array("Ausbg, Ausbe")? {
                    self.firmware = Some(format!("{a}.{b}.{c}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Names of the plant and of places are its operator's, and passed over.
    fn component(&mut self, index: u16, value: &[u8]) {
        let place = match index {
            2 => &mut self.module,
            5 => &mut self.serial,
            7 => &mut self.module_type,
            _ => return,
        };
        *place = text(value);
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    let text = lines::text(bytes.get(..end)?);
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(list: u16, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let length = records.first().map_or(0, |(_, value)| value.len() + 2);
        let mut data = Vec::new();
        for number in [list, 0, length as u16, records.len() as u16] {
            data.extend(number.to_be_bytes());
        }
        for (index, value) in records {
            data.extend(index.to_be_bytes());
            data.extend(value);
        }
        let mut message = vec![0x32, 7, 0, 0, 1, 0, 0, 12, 0, data.len() as u8 + 4];
        message.extend([0, 1, 0x12, 8, 0x12, 0x84, 1, 1, 0, 0, 0, 0]);
        message.extend([0xff, 9, 0, data.len() as u8]);
        message.extend(data);
        message
    }

    fn identification(order: &str, version: [u8; 4]) -> Vec<u8> {
        let mut value = order.as_bytes().to_vec();
        value.resize(20, b' ');
        value.extend([0, 0xc0]);
        value.extend(version);
        value
    }

    fn component(value: &str) -> Vec<u8> {
        let mut value = value.as_bytes().to_vec();
        value.resize(32, 0);
        value
    }

    #[test]
    fn a_controllers_lists_say_what_it_is() {
        let modules = answer(
            0x11,
            &[
                (1, identification("6ES7 315-2EH14-0AB0", [0, 0, 0, 1])),
                (7, identification("", [b'V', 3, 2, 6])),
            ],
        );
        let parts = answer(
            0x1c,
            &[
                (1, component("PLANT 7")),
                (2, component("PLC_1")),
                (3, component("somebody's plant")),
                (5, component("S C-X4U421302009")),
                (7, component("CPU 315-2 PN/DP")),
            ],
        );
        let mut plate = Plate::default();
        assert_eq!(plate.take(&modules), Ok(()));
        assert_eq!(plate.take(&parts), Ok(()));
        let expected = Plate {
            order_number: Some("6ES7 315-2EH14-0AB0".into()),
            firmware: Some("3.2.6".into()),
            module: Some("PLC_1".into()),
            serial: Some("S C-X4U421302009".into()),
            module_type: Some("CPU 315-2 PN/DP".into()),
        };
        assert_eq!(plate, expected);
        for whole in [modules, parts] {
            for len in 0..whole.len() {
                assert!(Plate::default().take(&whole[..len]).is_err(), "cut at {len}");
            }
        }
    }

    #[test]
    fn messages_follow_each_other() {
        let stream =
            [&[3, 0, 0, 11, 6, 0xd0, 0, 1, 0, 2, 0][..], &[3, 0, 0, 8, 2, 0xf0, 0x80, 0x32]]
                .concat();
        let mut r = Reader::new(&stream);
        assert_eq!(message(&mut r), Ok(None));
        assert_eq!(message(&mut r), Ok(Some(&[0x32][..])));
        assert!(r.is_at_end());
        assert!(message(&mut Reader::new(&[3, 0, 0, 3])).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            let _ = message(&mut Reader::new(&bytes));
            let _ = Plate::default().take(&bytes);
            let mut whole = answer(0x11, &[(1, bytes.clone())]);
            let _ = Plate::default().take(&whole);
            whole.extend(&bytes);
            let _ = Plate::default().take(&whole);
        }
    }
}
