//! IMAP, POP3 and ManageSieve: a greeting, the command, and a word for yes or no.

use super::{NOT_OFFERED, OTHERWISE, Step, begins, refused, say, whole_lines};

/// Who lacks the command, or a certificate for it, says BAD or NO to it: its capabilities need
/// not be asked for first.
pub(super) fn imap(heard: &[Vec<u8>]) -> Step {
    match heard {
        [greeting] => match whole_lines(greeting).next() {
            None if !b"* ".starts_with(greeting.get(..2).unwrap_or(greeting)) => OTHERWISE,
            None => Step::Listen,
            Some((line, _)) => match line.strip_prefix(b"* ") {
                Some(state) if begins(state, b"OK") => say(b"a STARTTLS\r\n"),
                Some(state) if begins(state, b"BYE") => refused(state),
                // Who is logged in already, by its address, can have no TLS any more.
                Some(state) if begins(state, b"PREAUTH") => NOT_OFFERED,
                _ => OTHERWISE,
            },
        },
        [_, answer] => {
            for (line, end) in whole_lines(answer) {
                match (line.strip_prefix(b"a "), line.strip_prefix(b"* ")) {
                    (Some(state), _) if begins(state, b"OK") => return Step::Ready(end),
                    (Some(_), _) => return NOT_OFFERED,
                    (_, Some(state)) if begins(state, b"BYE") => return refused(state),
                    (_, Some(_)) => {}
                    _ => return OTHERWISE,
                }
            }
            Step::Listen
        }
        _ => OTHERWISE,
    }
}

pub(super) fn pop3(heard: &[Vec<u8>]) -> Step {
    let (line, end) = match heard.last().map(|turn| (turn, whole_lines(turn).next())) {
        Some((_, Some(whole))) => whole,
        Some((turn, None)) if matches!(turn.first(), None | Some(b'+' | b'-')) => {
            return Step::Listen;
        }
        _ => return OTHERWISE,
    };
    match (heard.len(), begins(line, b"+OK"), begins(line, b"-ERR")) {
        (1, true, _) => say(b"STLS\r\n"),
        (1, _, true) => refused(line),
        (2, true, _) => Step::Ready(end),
        (2, _, true) => NOT_OFFERED,
        _ => OTHERWISE,
    }
}

pub(super) fn managesieve(heard: &[Vec<u8>]) -> Step {
    let Some(last) = heard.last() else { return OTHERWISE };
    if !matches!(last.first(), None | Some(b'"' | b'A'..=b'Z' | b'a'..=b'z')) {
        return OTHERWISE;
    }
    let mut offered = false;
    for (line, end) in whole_lines(last) {
        match (heard.len(), line.first()) {
            (_, Some(b'"')) => offered |= begins(line, b"\"STARTTLS\""),
            (1, _) if begins(line, b"OK") => {
                return if offered { say(b"STARTTLS\r\n") } else { NOT_OFFERED };
            }
            (2, _) if begins(line, b"OK") => return Step::Ready(end),
            _ if begins(line, b"NO") || begins(line, b"BYE") => return refused(line),
            _ => return OTHERWISE,
        }
    }
    Step::Listen
}
