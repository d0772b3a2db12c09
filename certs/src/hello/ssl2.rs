//! Listening to a server that answers in SSL 2.0, as far as its certificate, which comes in
//! the clear in its first message (the draft of 1995, section 2.6).

use wire::Reader;

use super::{Collected, HelloError, SSL20};

const ERROR: u8 = 0;
const SERVER_HELLO: u8 = 4;

/// The certificate type of X.509, the only one.
const X509: u8 = 1;

/// What has been heard: the bytes of one record.
#[derive(Debug, Default)]
pub(crate) struct Ssl2 {
    heard: Vec<u8>,
    certificate: Option<Vec<u8>>,
}

impl Ssl2 {
    /// Whether an answer that begins so is one of SSL 2.0: its length in two bytes without
    /// padding. No record of later versions has this bit.
    pub(crate) const fn is_begun_by(byte: u8) -> bool {
        byte & 0x80 != 0
    }

    /// Whether nothing has come.
    pub(crate) const fn is_untouched(&self) -> bool {
        self.heard.is_empty()
    }

    /// Takes what came; true once the certificate has.
    ///
    /// # Errors
    /// [`HelloError::Ssl2`] where the server refuses, [`HelloError::Malformed`],
    /// [`HelloError::Unexpected`], [`HelloError::NoCertificate`], [`HelloError::NotTls`].
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<bool, HelloError> {
        // A record has at most 32,767 bytes, and more than one is not needed.
        let room = usize::from(u16::MAX).saturating_sub(self.heard.len());
        self.heard.extend(bytes.get(..room).unwrap_or(bytes));
        let mut r = Reader::new(&self.heard);
        let (Ok(length), kind) = (r.u16("length"), self.heard.get(2)) else { return Ok(false) };
        if kind.is_some_and(|kind| !matches!(*kind, ERROR | SERVER_HELLO)) {
            return Err(HelloError::NotTls);
        }
        let length = usize::from(length & 0x7fff);
        let Ok(mut r) = r.nested("record", length) else { return Ok(false) };
        match r.u8("msg_type")? {
            ERROR => Err(HelloError::Ssl2(r.u16("error_code")?)),
            _ => {
                self.certificate = Some(server_hello(&mut r)?);
                Ok(true)
            }
        }
    }

    /// What was collected, if the certificate has come.
    pub(crate) fn collected(&mut self) -> Option<Collected> {
        Some(Collected {
            version: SSL20,
            suite: None,
            chain: vec![self.certificate.take()?],
            left_out: 0,
            key_exchange: None,
            client_certificate: None,
            stapled: None,
            protocol: None,
            precautions: None,
            warnings: Vec::new(),
        })
    }
}

fn server_hello(r: &mut Reader<'_>) -> Result<Vec<u8>, HelloError> {
    r.u8("session_id_hit")?;
    let kind = r.u8("certificate_type")?;
    let version = r.u16("server_version")?;
    if version != SSL20.0 {
        return Err(HelloError::Version(model::TlsVersion(version)));
    }
    let length = r.u16("certificate_length")?;
    r.u16("cipher_specs_length")?;
    r.u16("connection_id_length")?;
    let certificate = r.take("certificate_data", length.into())?;
    if certificate.is_empty() {
        return Err(HelloError::NoCertificate);
    }
    if kind != X509 {
        return Err(r.invalid("certificate_type", kind).into());
    }
    Ok(certificate.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(certificate: &[u8]) -> Vec<u8> {
        let length = u8::try_from(certificate.len()).unwrap();
        let head = [4, 0, 1, 0, 2, 0, length, 0, 3, 0, 1];
        let body = [&head[..], certificate, &[7, 0, 0xc0, 9]].concat();
        [&[0x80, u8::try_from(body.len()).unwrap()][..], &body].concat()
    }

    #[test]
    fn the_certificate_is_in_the_first_message() {
        let bytes = hello(b"der");
        assert!(Ssl2::is_begun_by(bytes[0]));
        for len in 0..bytes.len() {
            let mut ssl2 = Ssl2::default();
            assert_eq!(ssl2.read(&bytes[..len]), Ok(false), "{len}");
            assert_eq!(ssl2.read(&bytes[len..]), Ok(true));
            assert_eq!(ssl2.collected().unwrap().chain, [b"der".to_vec()]);
        }
    }

    #[test]
    fn refusals_and_nonsense_are_told_apart() {
        let read = |bytes: &[u8]| Ssl2::default().read(bytes);
        assert_eq!(read(&[0x80, 3, 0, 0, 1]), Err(HelloError::Ssl2(1)));
        assert_eq!(read(b"\x80\x03\x53more"), Err(HelloError::NotTls));
        assert_eq!(read(&hello(b"")), Err(HelloError::NoCertificate));
        let mut newer = hello(b"der");
        newer[5] = 3;
        assert!(matches!(read(&newer), Err(HelloError::Version(_))));
        let mut long = hello(b"der");
        long[8] = 200;
        assert!(matches!(read(&long), Err(HelloError::Malformed(_))));
    }
}
