//! RDP: the connection request in which TLS and CredSSP are offered; both begin with TLS.

use wire::{
    Reader,
    rdp::{self, Answer},
};

use super::{NOT_OFFERED, OTHERWISE, Refusal, Step, say, unread};

pub(super) fn next(heard: &[Vec<u8>]) -> Step {
    match heard {
        [_] => say(&rdp::connection_request()),
        [_, answer] => match Answer::parse(answer) {
            Ok(Answer::Selected { protocol: 0, .. } | Answer::Plain) => NOT_OFFERED,
            Ok(Answer::Selected { .. }) => Step::Ready(length(answer)),
            // SSL_NOT_ALLOWED_BY_SERVER, SSL_CERT_NOT_ON_SERVER.
            Ok(Answer::Failure(2 | 3)) => NOT_OFFERED,
            Ok(Answer::Failure(code)) => {
                Step::Refuse(Refusal::Refused(format!("negotiation failure {code}")))
            }
            Ok(Answer::Refused) => OTHERWISE,
            Err(why) => unread(&why),
        },
        _ => OTHERWISE,
    }
}

/// The length of the answer: the TPKT header has it in its second half.
fn length(answer: &[u8]) -> usize {
    let mut r = Reader::new(answer);
    let length = r.u16("version and reserved").and_then(|_| r.u16("TPKT length"));
    length.map_or(0, usize::from)
}
