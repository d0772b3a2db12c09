//! Telnet: our offer of the option START_TLS, then FOLLOWS from both sides.

use wire::telnet::{OFFER_TLS, START_TLS, TLS_FOLLOWS, read};

use super::{NOT_OFFERED, OTHERWISE, Step, say};

pub(super) fn next(heard: &[Vec<u8>]) -> Step {
    match heard {
        // The servers that have it may wait for us, or have asked for it unasked.
        [_] => say(&OFFER_TLS),
        [asked, answer] => {
            let told = read(answer);
            if told.forbids.contains(&START_TLS) {
                NOT_OFFERED
            } else if told.wants.contains(&START_TLS) || read(asked).wants.contains(&START_TLS) {
                say(&TLS_FOLLOWS)
            } else {
                Step::Listen
            }
        }
        [_, before, last] => match (behind(last, &TLS_FOLLOWS), behind(before, &TLS_FOLLOWS)) {
            (Some(end), _) => Step::Ready(end),
            // It said so as it agreed.
            (None, Some(_)) => Step::Ready(0),
            (None, None) => Step::Listen,
        },
        _ => OTHERWISE,
    }
}

/// Where `word` ends in `heard`, if it is there.
fn behind(heard: &[u8], word: &[u8]) -> Option<usize> {
    let at = heard.windows(word.len()).position(|window| window == word)?;
    at.checked_add(word.len())
}
