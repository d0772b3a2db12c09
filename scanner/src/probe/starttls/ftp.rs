//! FTP: a greeting and AUTH TLS (RFC 4217, section 4).

use super::{NOT_OFFERED, OTHERWISE, Step, refused_by, reply, say};

pub(super) fn next(heard: &[Vec<u8>]) -> Step {
    let (reply, end) = match heard.last().map(|turn| reply(turn)) {
        Some(Ok(whole)) => whole,
        Some(Err(step)) => return step,
        None => return OTHERWISE,
    };
    match (heard.len(), reply.code) {
        (1, 220) => say(b"AUTH TLS\r\n"),
        (2, 234) => Step::Ready(end),
        // Not known, not implemented, not allowed, or a login first.
        (2, 500..) => NOT_OFFERED,
        (1 | 2, 400..) => refused_by(&reply),
        _ => OTHERWISE,
    }
}
