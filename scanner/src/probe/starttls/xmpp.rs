//! XMPP: the beginning of a stream and STARTTLS where it is among its features.
//!
//! A server serves domains, and closes a stream to one that is not its own.

use super::{NOT_OFFERED, OTHERWISE, Refusal, Step, refused, say};

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
        [_, _, answer] => consent(answer),
        _ => OTHERWISE,
    }
}

/// A tag that has come whole.
struct Tag<'a> {
    /// Its name without the stream's prefix, the slash in front where it ends an element.
    name: &'a [u8],
    /// Whether it is an element of its own.
    is_empty: bool,
    /// Where it ends.
    end: usize,
}

/// The whole tags, in one pass: a server may let its words come byte by byte.
fn tags(heard: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut end = 0_usize;
    heard.split_inclusive(|byte| *byte == b'>').filter_map(move |piece| {
        end = end.saturating_add(piece.len());
        let inside = piece.strip_suffix(b">")?;
        let start = inside.iter().rposition(|byte| *byte == b'<')?;
        let inside = inside.get(start..)?.strip_prefix(b"<")?;
        let is_empty = inside.ends_with(b"/");
        let name = inside.split(u8::is_ascii_whitespace).next()?;
        let name = name.strip_suffix(b"/").unwrap_or(name);
        // Servers write the stream's own elements with this prefix, as its namespace shows.
        let name: &[u8] = match name {
            b"stream:features" => b"features",
            b"/stream:features" => b"/features",
            b"stream:error" => b"error",
            b"/stream:stream" => b"/stream",
            other => other,
        };
        Some(Tag { name, is_empty, end })
    })
}

/// What a stream offers, once all of it has come.
fn features(begun: &[u8]) -> Step {
    let start = begun.trim_ascii_start();
    if !start.is_empty() && !start.starts_with(b"<") {
        return OTHERWISE;
    }
    let mut offered = false;
    let mut tags = tags(begun);
    while let Some(tag) = tags.next() {
        match (tag.name, tag.is_empty) {
            (b"starttls", _) => offered = true,
            (b"/features", _) if offered => return say(STARTTLS),
            (b"features", true) | (b"/features" | b"/stream", _) => return NOT_OFFERED,
            (b"error", _) => return tags.next().map_or(Step::Listen, |inner| failed(inner.name)),
            _ => {}
        }
    }
    Step::Listen
}

/// What follows from the condition of a stream's error, which comes first in it.
fn failed(condition: &[u8]) -> Step {
    match condition {
        // It is another protocol, or another door of this one.
        b"invalid-namespace" | b"bad-format" | b"not-well-formed" => OTHERWISE,
        b"host-unknown" | b"host-gone" | b"improper-addressing" => {
            Step::Refuse(Refusal::UnknownName)
        }
        name => refused(name),
    }
}

/// Whether it agreed, and where that ends: blanks behind an element are of the stream.
fn consent(answer: &[u8]) -> Step {
    for tag in tags(answer) {
        match (tag.name, tag.is_empty) {
            (b"proceed", true) | (b"/proceed", _) => {
                let behind = answer.get(tag.end..).unwrap_or_default();
                let blanks = behind.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                return Step::Ready(tag.end.saturating_add(blanks));
            }
            (b"proceed", false) => {}
            (name, _) => return refused(name),
        }
    }
    Step::Listen
}
