//! LDAP: the extended operation StartTLS (RFC 4511, section 4.14), without a bind.

use wire::{
    Reader,
    ldap::{self, Message},
    lines,
};

use super::{NOT_OFFERED, OTHERWISE, Refusal, Step, say, unread};

const ID: u8 = 1;

pub(super) fn next(heard: &[Vec<u8>]) -> Step {
    match heard {
        [_] => say(&ldap::start_tls(ID.into())),
        [_, answer] => {
            let mut r = Reader::new(answer);
            match Message::read(&mut r) {
                Ok((id, Message::Extended { code: 0, .. })) if id == i64::from(ID) => {
                    Step::Ready(r.offset())
                }
                // protocolError: it does not know the operation.
                Ok((_, Message::Extended { code: 2, .. })) => NOT_OFFERED,
                // Such as unavailable (52), where there is no certificate.
                Ok((_, Message::Extended { code, diagnostic })) => {
                    let text = format!("result {code} {}", lines::text(&diagnostic));
                    Step::Refuse(Refusal::Refused(text.trim_end().to_owned()))
                }
                Ok(_) => OTHERWISE,
                Err(why) => unread(&why),
            }
        }
        _ => OTHERWISE,
    }
}
