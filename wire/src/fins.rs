//! FINS of Omron's controllers (Omron, "Communications Commands Reference Manual" W342,
//! sections 3-2 and 5-3-8): Controller Data Read, which changes nothing.

use crate::{Malformed, Reader, lines};

const CONTROLLER_DATA_READ: u16 = 0x0501;

/// A controller's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Controller {
    /// The question's service id, repeated.
    pub service_id: u8,
    /// 0 where the command was carried out.
    pub end_code: u16,
    /// Its model, such as `CJ2M-CPU33`.
    pub model: String,
    /// The version of its system, such as `02.01`.
    pub version: String,
}

/// The question for model and version.
#[must_use]
pub fn read_controller(service_id: u8) -> Vec<u8> {
    // A command that wants a response, over two gateways at most; to the node asked (0), from
    // the highest node of the local network.
    let mut out = vec![0x80, 0, 2, 0, 0, 0, 0, 0xfe, 0, service_id];
    out.extend(CONTROLLER_DATA_READ.to_be_bytes());
    out.push(0);
    out
}

impl Controller {
    /// Reads one datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        /// A response (0x40), to a command that came over the network (0x80 or not).
        const RESPONSE: u8 = 0x40;
        let mut r = Reader::new(bytes);
        let control = r.u8("ICF")?;
        if control & 0x7e != RESPONSE {
            return Err(r.invalid("ICF", control));
        }
        let reserved = r.u8("RSV")?;
        if reserved != 0 {
            return Err(r.invalid("RSV", reserved));
        }
        r.take("GCT, destination, source", 7)?;
        let service_id = r.u8("SID")?;
        let command = r.u16("command code")?;
        if command != CONTROLLER_DATA_READ {
            return Err(r.invalid("command code", command));
        }
        let end_code = r.u16("end code")?;
        // Its highest bit marks an error of the network on the way, others warn of the
        // controller's own state.
        let (mut model, mut version) = (String::new(), String::new());
        if end_code & 0xff3f == 0 {
            model = text(r.take("controller model", 20)?);
            version = text(r.take("controller version", 20)?);
        }
        Ok(Self { service_id, end_code, model, version })
    }
}

/// Text that zeros fill up.
fn text(bytes: &[u8]) -> String {
    lines::text(bytes.split(|&byte| byte == 0).next().unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer(end_code: u16) -> Vec<u8> {
        let mut bytes = vec![0xc0, 0, 2, 0, 0xfe, 0, 0, 0, 0, 7, 5, 1];
        bytes.extend(end_code.to_be_bytes());
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], end_code: u16, model: &str, version: &str) {
        let (model, version) = (model.to_owned(), version.to_owned());
        let expected = Controller { service_id: 7, end_code, model, version };
        assert_eq!(Controller::parse(bytes), Ok(expected));
        for len in 0..bytes.len() {
            assert_eq!(Controller::parse(&bytes[..len]).unwrap_err().problem, Problem::Truncated);
        }
    }

    #[test]
    fn a_controller_tells_model_and_version() {
        let mut whole = answer(0);
        whole.extend(b"CJ2M-CPU33          02.01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        check(&whole, 0, "CJ2M-CPU33", "02.01");
        check(&answer(0x0401), 0x0401, "", "");
        assert!(Controller::parse(&read_controller(7)).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Controller::parse(&bytes);
            let _ = Controller::parse(&[&answer(0), &bytes[..]].concat());
        }
    }
}
