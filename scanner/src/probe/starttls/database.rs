//! PostgreSQL and MySQL: a request of a few bytes, and TLS.

use wire::{
    mysql::{self, Greeting},
    postgresql,
};

use super::{NOT_OFFERED, OTHERWISE, Step, refused, say, unread};

pub(super) fn postgresql(heard: &[Vec<u8>]) -> Step {
    match heard {
        [_] => say(&postgresql::tls_request()),
        [_, answer] => match answer.first() {
            None => Step::Listen,
            Some(b'S') => Step::Ready(1),
            // An error: it is older than the request, or a pooler without it.
            Some(b'N' | b'E') => NOT_OFFERED,
            Some(_) => OTHERWISE,
        },
        _ => OTHERWISE,
    }
}

pub(super) fn mysql(heard: &[Vec<u8>]) -> Step {
    match heard {
        [greeting] => match Greeting::parse(greeting) {
            Ok(Greeting::Handshake(with)) if with.capabilities & mysql::CAPABILITY_TLS != 0 => {
                say(&mysql::tls_request())
            }
            Ok(Greeting::Handshake(_)) => NOT_OFFERED,
            Ok(Greeting::Refusal { message, .. }) => refused(&message),
            Err(why) => unread(&why),
        },
        // Nothing is answered to the request: TLS is next.
        [_, _] => Step::Ready(0),
        _ => OTHERWISE,
    }
}
