//! Every parser of untrusted bytes, as a function of bytes.
//!
//! One [`Target`] for each reader of the workspace that takes what somebody else wrote:
//! network messages, conversations, certificates, files, arguments. A target passes if it
//! returns: no panic, no endless loop, no memory that the input did not pay for. What the
//! readers make of the bytes is the business of their own tests.
//! `tests/smoke.rs` runs them all for a moment, the binary runs one for as long as wanted.
#![forbid(unsafe_code)]

mod access;
mod before_tls;
mod datagrams;
mod flows;
mod imports;
mod inside;
pub mod mutate;
mod neighbours;
mod openid_connect;
mod outside;
mod overheard;
mod probes;
mod protocols;
mod quic;
mod seeds;

/// A parser under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: the room and the file that it lives in, such as `wire/arp`.
    pub name: &'static str,
    /// Hands it the input.
    pub run: fn(&[u8]),
    /// Small valid messages, made by hand, from which inputs are made by damage.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

const ROOMS: &[&[Target]] = &[
    protocols::TARGETS,
    neighbours::TARGETS,
    overheard::TARGETS,
    flows::TARGETS,
    access::TARGETS,
    probes::TARGETS,
    before_tls::TARGETS,
    outside::TARGETS,
    inside::TARGETS,
    imports::TARGETS,
    openid_connect::TARGETS,
];

/// Every target, in the order of the rooms.
pub const TARGETS: &[Target] = &joined::<{ count(ROOMS) }>(ROOMS);

const fn count(rooms: &[&[Target]]) -> usize {
    let (mut room, mut total) = (0, 0);
    while room < rooms.len() {
        total += rooms[room].len();
        room += 1;
    }
    total
}

const fn joined<const N: usize>(rooms: &[&[Target]]) -> [Target; N] {
    let mut all = [rooms[0][0]; N];
    let (mut room, mut place, mut next) = (0, 0, 0);
    while room < rooms.len() {
        while place < rooms[room].len() {
            all[next] = rooms[room][place];
            next += 1;
            place += 1;
        }
        place = 0;
        room += 1;
    }
    all
}
