//! What the user wrote to have asked by itself: a target, and the port behind it if there is one.
//!
//! `mail.example.com:25`, `192.0.2.0/24:8443`, `[2001:db8::1]:636`, `192.0.2.9:u:443` for UDP. What
//! stands before the port is a target as `crate::targets` reads it. An IPv6 address without
//! brackets has no port: its last colon could be either.

use model::Transport;
use thiserror::Error;

/// A target, and the port behind it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place<'a> {
    /// As written, without brackets.
    pub target: &'a str,
    /// The port, where one is named.
    pub port: Option<(Transport, u16)>,
}

/// What stands behind the target is no port.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PlaceError {
    /// `192.0.2.1:https`.
    #[error(
        "{argument:?}: {port:?} is no port; write a number from 1 to 65535, such as {target}:443, \
         or {target}:u:443 for UDP"
    )]
    Port {
        /// All of it.
        argument: String,
        /// What stands before the port.
        target: String,
        /// What is none.
        port: String,
    },
    /// `[2001:db8::1`, `[2001:db8::1]443`.
    #[error("{0:?}: brackets stand around an IPv6 address, as in [2001:db8::1]:443")]
    Brackets(String),
}

/// Takes the port from a target.
///
/// # Errors
///
/// What stands where a port would is none. Whether the target is one is not looked at.
pub fn split(argument: &str) -> Result<Place<'_>, PlaceError> {
    let argument = argument.trim();
    // A list, or a URL, which is a mistake that is told of as one.
    if argument.starts_with('@') || argument.contains("://") {
        return Ok(Place { target: argument, port: None });
    }
    let (target, port) = match argument.strip_prefix('[') {
        Some(inside) => {
            let wrong = || PlaceError::Brackets(argument.to_owned());
            let (target, rest) = inside.split_once(']').ok_or_else(wrong)?;
            match rest.strip_prefix(':') {
                Some(port) => (target, Some(port)),
                None if rest.is_empty() => (target, None),
                None => return Err(wrong()),
            }
        }
        None => match argument.split_once(':') {
            Some((target, port)) if is_port(port) => (target, Some(port)),
            _ => (argument, None),
        },
    };
    let Some(text) = port else { return Ok(Place { target, port: None }) };
    let (transport, number) = match text.split_once(':') {
        Some(("u" | "U", number)) => (Transport::Udp, number),
        Some(("t" | "T", number)) => (Transport::Tcp, number),
        _ => (Transport::Tcp, text),
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    match number.parse().ok().filter(|port| digits && *port > 0) {
        Some(port) => Ok(Place { target, port: Some((transport, port)) }),
        None => Err(PlaceError::Port {
            argument: argument.to_owned(),
            target: target.to_owned(),
            port: text.to_owned(),
        }),
    }
}

/// Whether what follows the first colon is to be a port, and not the rest of an IPv6 address.
fn is_port(rest: &str) -> bool {
    let number = match rest.split_once(':') {
        Some(("u" | "U" | "t" | "T", number)) => number,
        _ => rest,
    };
    !number.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(argument: &str, target: &str, port: Option<(Transport, u16)>) {
        assert_eq!(split(argument), Ok(Place { target, port }));
    }

    #[test]
    fn a_port_is_taken_from_every_kind_of_target() {
        use Transport::{Tcp, Udp};
        check("mail.example.com:25", "mail.example.com", Some((Tcp, 25)));
        check(" mail.example.com ", "mail.example.com", None);
        check("192.0.2.0/24:8443", "192.0.2.0/24", Some((Tcp, 8_443)));
        check("192.0.2.9:u:443", "192.0.2.9", Some((Udp, 443)));
        check("192.0.2.9:t:443", "192.0.2.9", Some((Tcp, 443)));
        check("[2001:db8::1]:636", "2001:db8::1", Some((Tcp, 636)));
        check("[2001:db8::1]:u:4433", "2001:db8::1", Some((Udp, 4_433)));
        check("[2001:db8::1]", "2001:db8::1", None);
        check("2001:db8::1", "2001:db8::1", None);
        check("2001:db8::1:443", "2001:db8::1:443", None);
        check("::1", "::1", None);
        check("@list:25", "@list:25", None);
        check("https://192.0.2.1:443/", "https://192.0.2.1:443/", None);
    }

    #[test]
    fn what_is_no_port_is_named() {
        for (argument, port) in [
            ("192.0.2.1:https", "https"),
            ("192.0.2.1:0", "0"),
            ("192.0.2.1:65536", "65536"),
            ("192.0.2.1:+22", "+22"),
            ("192.0.2.1:", ""),
            ("192.0.2.1:u:x", "u:x"),
        ] {
            let error = split(argument).unwrap_err().to_string();
            let expected = format!("{argument:?}: {port:?} is no port");
            assert!(error.starts_with(&expected) && error.contains("192.0.2.1:u:443"), "{error}");
        }
        for argument in ["[2001:db8::1", "[2001:db8::1]443"] {
            assert_eq!(split(argument), Err(PlaceError::Brackets(argument.to_owned())));
        }
    }
}
