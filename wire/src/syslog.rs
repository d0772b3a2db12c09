//! The header of a log line on its way to a collector (RFC 5424, section 6, and RFC 3164,
//! section 4): which host wrote it. The message itself is not read.

use crate::{Malformed, Reader, lines};

/// The port of collectors.
pub const PORT: u16 = 514;

/// A header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// Facility times eight and severity, 0 to 191.
    pub priority: u8,
    /// The host, where the header has one.
    pub host: Option<String>,
}

impl Header {
    /// Reads a datagram.
    ///
    /// # Errors
    ///
    /// It does not begin with a priority, or ends in it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let open = r.u8("PRI")?;
        if open != b'<' {
            return Err(r.invalid("PRI", open));
        }
        let digits = r.until("PRIVAL", b">")?;
        let number = std::str::from_utf8(digits).ok().filter(|_| (1..=3).contains(&digits.len()));
        let number = number.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(priority) = number.and_then(|text| text.parse().ok()).filter(|n| *n <= 191) else {
            return Err(r.invalid("PRIVAL", digits.first().copied().unwrap_or_default()));
        };
        Ok(Self { priority, host: host(r.rest()) })
    }
}

/// The host behind the priority, in either form.
fn host(rest: &[u8]) -> Option<String> {
    let mut words = rest.split(|byte| *byte == b' ');
    let mut next = || words.next();
    let name = match rest.strip_prefix(b"1 ") {
        Some(_) => {
            next()?;
            let time = next()?;
            // Either a moment or nothing: else it is an older form that begins with a 1.
            if time != b"-" && !time.starts_with(b"2") {
                return None;
            }
            next()?
        }
        None => {
            let month = next()?;
            // A moment of RFC 3339 with no version before it, as rsyslog forwards.
            let is_moment = month.len() >= 19 && month.get(10) == Some(&b'T');
            if is_moment && month.iter().take(4).all(u8::is_ascii_digit) {
                return named(next()?, words.next().is_some());
            }
            if !MONTHS.iter().any(|known| month == known.as_bytes()) {
                return None;
            }
            // Days below ten have two blanks before them.
            let day = match next()? {
                b"" => next()?,
                day => day,
            };
            let time = next()?;
            let is_time = time.len() == 8 && time.iter().filter(|byte| **byte == b':').count() == 2;
            if day.len() > 2 || !is_time {
                return None;
            }
            next()?
        }
    };
    named(name, words.next().is_some())
}

/// The word as a host's name, where it is one and not cut at the datagram's end. Many devices
/// leave the host out, and then the program stands there: `sshd[7]:`.
fn named(name: &[u8], whole: bool) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:".contains(byte);
    let is_name = !name.is_empty()
        && name != b"-"
        && name.len() <= 255
        && name.iter().all(plain)
        && !name.ends_with(b":");
    (is_name && whole).then(|| lines::text(name))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    #[track_caller]
    fn check(line: &str, host: Option<&str>) {
        let read = Header::parse(line.as_bytes()).unwrap();
        assert_eq!(read.host.as_deref(), host, "{line}");
        for len in 0..line.len() {
            match Header::parse(&line.as_bytes()[..len]) {
                Err(error) => assert_eq!(error.problem, Problem::Truncated),
                Ok(cut) => assert!(cut.host.is_none() || cut.host == read.host, "cut at {len}"),
            }
        }
    }

    #[test]
    fn hosts_are_read_in_both_forms() {
        check("<34>Oct 11 22:14:15 sw7 su: x", Some("sw7"));
        check("<34>Oct  1 22:14:15 sw7.example su: x", Some("sw7.example"));
        check("<165>1 2003-10-11T22:14:15.003Z gw7 app - - - x", Some("gw7"));
        check("<165>1 - gw7 app - - - x", Some("gw7"));
        check("<13>2013-09-12T19:16:34.457849+04:00 pc7 app: x", Some("pc7"));
    }

    #[test]
    fn where_there_is_no_host_none_is_read() {
        check("<34>Oct 11 22:14:15 sshd[7]: x", None);
        check("<34>Oct 11 22:14:15 kernel: x", None);
        check("<165>1 - - app - - - x", None);
        check("<13>free words of a device", None);
        check("<13>1 2 3 4", Some("3"));
        for (line, field) in
            [("no", "PRI"), ("<>x", "PRIVAL"), ("<192>x", "PRIVAL"), ("<+1>x", "PRIVAL")]
        {
            assert_eq!(Header::parse(line.as_bytes()).unwrap_err().field, field, "{line}");
        }
    }

    proptest! {
        #[test]
        fn random_text_never_panics(text in "\\PC{0,60}") {
            let _ = Header::parse(text.as_bytes());
            let _ = Header::parse(format!("<1>{text}").as_bytes());
            let _ = Header::parse(format!("<1>Jan  1 {text}").as_bytes());
        }
    }
}
