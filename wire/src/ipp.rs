//! The Internet Printing Protocol: requests for a printer's attributes and the answers
//! (RFC 8011, sections 4.2.5 and 3.4; encoding RFC 8010), over HTTP.
//!
//! Collections are not taken apart: no attribute that we ask for is one.

use crate::{Malformed, Reader, http};

/// Get-Printer-Attributes.
pub const GET_PRINTER_ATTRIBUTES: u16 = 0x000b;
/// CUPS-Get-Printers, an extension of CUPS: attributes of its queues.
pub const CUPS_GET_PRINTERS: u16 = 0x4002;

const OPERATION_GROUP: u8 = 0x01;
const END: u8 = 0x03;

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The version of the protocol in which it answers.
    pub version: (u8, u8),
    /// 0 to 0xff: successful; 0x0406: not found.
    pub status: u16,
    /// The question's number, repeated.
    pub request_id: u32,
    /// All attributes in order, with all their values, as sent.
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Answer {
    /// Reads the body of an HTTP response.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let version = (r.u8("version-number")?, r.u8("version-number")?);
        if !(1..=2).contains(&version.0) {
            return Err(r.invalid("version-number", version.0));
        }
        let status = r.u16("status-code")?;
        let request_id = r.u32("request-id")?;
        let mut attributes: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
        loop {
            match r.u8("tag")? {
                END => break,
                0x00..=0x0f => continue,
                _ => {}
            }
            let len = r.u16("name-length")?;
            let name = r.take("name", len.into())?;
            let len = r.u16("value-length")?;
            let value = r.take("value", len.into())?.to_vec();
            // A value without a name is one more of the attribute before it.
            match attributes.last_mut() {
                Some((_, values)) if name.is_empty() => values.push(value),
                _ => attributes.push((String::from_utf8_lossy(name).into_owned(), vec![value])),
            }
        }
        Ok(Self { version, status, request_id, attributes })
    }

    /// The first value of the first attribute of that name. Without the language, where one
    /// is given with the text (RFC 8010, section 3.9).
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let (_, values) = self.attributes.iter().find(|(other, _)| other == name)?;
        values.first().map(Vec::as_slice)
    }
}

/// An operation as an HTTP request: `printer` is the path of the printer at `host`.
#[must_use]
pub fn request(
    operation: u16,
    host: &str,
    printer: &str,
    request_id: u32,
    attributes: &[&str],
) -> Vec<u8> {
    const INTEGER: u8 = 0x21;
    const KEYWORD: u8 = 0x44;
    const URI: u8 = 0x45;
    const CHARSET: u8 = 0x47;
    const LANGUAGE: u8 = 0x48;
    let mut body = vec![1, 1];
    body.extend(operation.to_be_bytes());
    body.extend(request_id.to_be_bytes());
    body.push(OPERATION_GROUP);
    attribute(&mut body, CHARSET, "attributes-charset", b"utf-8");
    attribute(&mut body, LANGUAGE, "attributes-natural-language", b"en");
    if operation == CUPS_GET_PRINTERS {
        attribute(&mut body, INTEGER, "limit", &[0, 0, 0, 1]);
    } else {
        attribute(&mut body, URI, "printer-uri", format!("ipp://{host}{printer}").as_bytes());
    }
    let mut name = "requested-attributes";
    for wanted in attributes {
        attribute(&mut body, KEYWORD, name, wanted.as_bytes());
        name = "";
    }
    body.push(END);
    let head = format!(
        "POST {printer} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/ipp\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// Reads an HTTP response, and the answer in it where there is one.
pub fn response(bytes: &[u8]) -> Result<(http::Response, Option<Answer>), Malformed> {
    let response = http::response(bytes)?;
    let ipp = response
        .field("content-type")
        .is_some_and(|kind| kind.to_ascii_lowercase().contains("application/ipp"));
    let answer = if ipp { Answer::parse(&response.body).ok() } else { None };
    Ok((response, answer))
}

fn attribute(out: &mut Vec<u8>, tag: u8, name: &str, value: &[u8]) {
    out.push(tag);
    for part in [name.as_bytes(), value] {
        out.extend(u16::try_from(part.len()).unwrap_or_default().to_be_bytes());
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    fn answer() -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 0, 0, 7, 1];
        attribute(&mut bytes, 0x47, "attributes-charset", b"utf-8");
        bytes.push(4);
        attribute(&mut bytes, 0x41, "printer-make-and-model", b"Example 7");
        attribute(&mut bytes, 0x44, "ipp-versions-supported", b"1.1");
        attribute(&mut bytes, 0x44, "", b"2.0");
        bytes.push(END);
        bytes
    }

    #[test]
    fn a_printer_says_what_it_is() {
        let bytes = answer();
        let read = Answer::parse(&bytes).unwrap();
        assert_eq!((read.version, read.status, read.request_id), ((2, 0), 0, 7));
        assert_eq!(read.value("printer-make-and-model"), Some(&b"Example 7"[..]));
        assert_eq!(read.attributes[2].1, [b"1.1".to_vec(), b"2.0".to_vec()]);
        for len in 0..bytes.len() {
            let error = Answer::parse(&bytes[..len]).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated, "cut at {len}");
        }
    }

    #[test]
    fn the_answer_is_found_in_its_http_response() {
        let body = answer();
        let mut bytes = format!(
            "HTTP/1.1 200 OK\r\nServer: CUPS/2.4 IPP/2.1\r\nContent-Type: application/ipp\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend(&body);
        let (http, ipp) = response(&bytes).unwrap();
        assert_eq!(http.field("server"), Some("CUPS/2.4 IPP/2.1"));
        assert_eq!(ipp.unwrap().request_id, 7);
        let (_, none) = response(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert_eq!(none, None);
    }

    #[test]
    fn the_question_has_the_required_attributes_in_order() {
        let host = "192.0.2.7:631";
        let question = request(GET_PRINTER_ATTRIBUTES, host, "/ipp/print", 7, &["a", "b"]);
        let text = String::from_utf8_lossy(&question).into_owned();
        let order =
            ["\r\n\r\n", "attributes-charset", "natural-language", "printer-uri", "requested"];
        let found: Vec<Option<usize>> = order.iter().map(|part| text.find(part)).collect();
        assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{found:?}");
        let head = text.find("\r\n\r\n").unwrap() + 4;
        assert!(text.contains(&format!("Content-Length: {}\r\n", question.len() - head)));
        // An operation and its answer have the same form.
        let read = Answer::parse(&question[head..]).unwrap();
        assert_eq!(read.status, GET_PRINTER_ATTRIBUTES);
        assert_eq!(read.attributes.last().unwrap().1.len(), 2);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Answer::parse(&bytes);
            let mut headed = vec![2, 0, 0, 0, 0, 0, 0, 1];
            headed.extend(&bytes);
            let _ = Answer::parse(&headed);
        }
    }
}
