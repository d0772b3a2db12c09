//! NNTP: a greeting and STARTTLS (RFC 4642), after MODE READER where only the part of a server
//! that serves readers has it (RFC 3977, section 5.3).

use super::{NOT_OFFERED, OTHERWISE, Step, refused_by, reply, say};

pub(super) fn next(heard: &[Vec<u8>]) -> Step {
    let (reply, end) = match heard.last().map(|turn| reply(turn)) {
        Some(Ok(whole)) => whole,
        Some(Err(step)) => return step,
        None => return OTHERWISE,
    };
    match (heard.len(), reply.code) {
        (1 | 3, 200 | 201) => say(b"STARTTLS\r\n"),
        (2 | 4, 382) => Step::Ready(end),
        // It could, and does not now.
        (2 | 4, 580) => refused_by(&reply),
        (2, 401 | 480 | 500 | 502) => say(b"MODE READER\r\n"),
        (3 | 4, 400..) | (2, 500..) => NOT_OFFERED,
        (1 | 2, 400..) => refused_by(&reply),
        _ => OTHERWISE,
    }
}
