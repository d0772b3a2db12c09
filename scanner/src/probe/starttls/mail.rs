//! SMTP and LMTP: the greeting, ours, and STARTTLS where it is among the extensions.

use super::{NOT_OFFERED, OTHERWISE, Step, refused_by, reply, say};

const EHLO: &[u8] = b"EHLO daicho.invalid\r\n";
const LHLO: &[u8] = b"LHLO daicho.invalid\r\n";

/// Whether a greeting is one of LMTP.
pub(super) fn says_lmtp(greeting: &[u8]) -> bool {
    greeting.windows(4).any(|word| word == b"LMTP")
}

pub(super) fn smtp(heard: &[Vec<u8>]) -> Step {
    match heard {
        [greeting] => greeted(greeting, EHLO),
        // LMTP does not know EHLO: one that we took for SMTP.
        [_, hello, later @ ..] => match reply(hello) {
            Ok((reply, _)) if matches!(reply.code, 500 | 502) => introduced(later, LHLO),
            _ => introduced(heard.get(1..).unwrap_or_default(), EHLO),
        },
        [] => OTHERWISE,
    }
}

pub(super) fn lmtp(heard: &[Vec<u8>]) -> Step {
    match heard {
        [greeting] => greeted(greeting, LHLO),
        [_, later @ ..] => introduced(later, LHLO),
        [] => OTHERWISE,
    }
}

fn greeted(greeting: &[u8], hello: &[u8]) -> Step {
    match reply(greeting) {
        Ok((reply, _)) if reply.code == 220 => say(hello),
        Ok((reply, _)) if reply.code >= 400 => refused_by(&reply),
        Ok(_) => OTHERWISE,
        Err(step) => step,
    }
}

/// From our own greeting on, which is `hello`: what was heard behind it.
fn introduced(heard: &[Vec<u8>], hello: &[u8]) -> Step {
    match heard {
        [] => say(hello),
        [extensions] => match reply(extensions) {
            Ok((reply, _)) if reply.code == 250 => {
                let offered = reply.lines.iter().skip(1);
                match offered.into_iter().any(|line| line.trim().eq_ignore_ascii_case("STARTTLS")) {
                    true => say(b"STARTTLS\r\n"),
                    false => NOT_OFFERED,
                }
            }
            Ok((reply, _)) if reply.code >= 500 => NOT_OFFERED,
            Ok((reply, _)) => refused_by(&reply),
            Err(step) => step,
        },
        [_, answer] => match reply(answer) {
            Ok((reply, end)) if reply.code == 220 => Step::Ready(end),
            Ok((reply, _)) => refused_by(&reply),
            Err(step) => step,
        },
        _ => OTHERWISE,
    }
}
