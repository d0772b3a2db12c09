//! XMPP: the beginning of a stream and STARTTLS where it is among its features.
//!
//! A server serves domains, not addresses, and closes a stream to a domain that is not its own.
//! Where no name is known its address is asked for, which few will have.

use super::{NOT_OFFERED, OTHERWISE, Refusal, Step, behind, say};

const STARTTLS: &[u8] = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

pub(super) fn client(heard: &[Vec<u8>], name: &str) -> Step {
    stream(heard, &format!("xmlns='jabber:client' to='{name}'"))
}

pub(super) fn server(heard: &[Vec<u8>], name: &str) -> Step {
    let dialback = "xmlns:db='jabber:server:dialback'";
    stream(heard, &format!("xmlns='jabber:server' {dialback} from='daicho.invalid' to='{name}'"))
}

fn stream(heard: &[Vec<u8>], attributes: &str) -> Step {
    match heard {
        [_] => Step::Say(
            format!(
                "<?xml version='1.0'?><stream:stream {attributes} version='1.0' \
                 xmlns:stream='http://etherx.jabber.org/streams'>"
            )
            .into_bytes(),
        ),
        [_, begun] => features(begun),
        [_, _, answer] => match (element(answer, b"<proceed"), element(answer, b"<failure")) {
            (Some(end), _) => Step::Ready(end),
            (None, Some(_)) => Step::Refuse(Refusal::Refused("failure".to_owned())),
            (None, None) => ended(answer).unwrap_or(Step::Listen),
        },
        _ => OTHERWISE,
    }
}

/// What a stream offers, once all of it has come.
fn features(begun: &[u8]) -> Step {
    let start = begun.trim_ascii_start();
    if !start.is_empty() && !start.starts_with(b"<") {
        return OTHERWISE;
    }
    let whole = behind(begun, b"</stream:features>").or_else(|| behind(begun, b"</features>"));
    let empty = behind(begun, b"<stream:features/>").or_else(|| behind(begun, b"<features/>"));
    match (whole, empty) {
        (Some(end), _) => {
            let features = begun.get(..end).unwrap_or_default();
            match behind(features, b"<starttls") {
                Some(_) => say(STARTTLS),
                None => NOT_OFFERED,
            }
        }
        (None, Some(_)) => NOT_OFFERED,
        (None, None) => ended(begun).unwrap_or(Step::Listen),
    }
}

/// What to do where the stream has ended: with an error, whose condition is the element that
/// comes first in it.
fn ended(heard: &[u8]) -> Option<Step> {
    let end = behind(heard, b"</stream:stream>").or_else(|| behind(heard, b"</stream:error>"))?;
    let text = heard.get(..end)?;
    let Some(error) = behind(text, b"<stream:error") else { return Some(NOT_OFFERED) };
    let inside = text.get(error..)?;
    let inside = inside.get(behind(inside, b"<")?..)?;
    let is_name = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'-';
    let condition: Vec<u8> = inside.iter().copied().take_while(is_name).take(40).collect();
    // An error of the form says that it is another protocol, or another door of this one.
    Some(match &condition[..] {
        b"" | b"invalid-namespace" | b"bad-format" | b"not-well-formed" => OTHERWISE,
        name => Step::Refuse(Refusal::Refused(String::from_utf8_lossy(name).into_owned())),
    })
}

/// Where the element that begins so ends, if it has, with blanks behind it: whether it closes
/// itself or has an end of its own.
fn element(heard: &[u8], start: &[u8]) -> Option<usize> {
    let from = behind(heard, start)?;
    let rest = heard.get(from..)?;
    let tag = behind(rest, b">")?;
    let mut end = from.checked_add(tag)?;
    if !rest.get(..tag)?.ends_with(b"/>") {
        end = end.checked_add(behind(heard.get(end..)?, b">")?)?;
    }
    let blanks = heard.get(end..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    end.checked_add(blanks)
}
