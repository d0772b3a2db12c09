//! What Linux does better than the portable channel: many frames to one call of the
//! system, and answers read where the kernel put them.
//!
//! Sending and receiving have a socket each: one that is bound to no protocol hears
//! nothing, so that no copy of what we send, or of what others do, is made for it. The
//! kernel takes out of the receiving one what cannot be an answer (`filter`) before it
//! costs anything.

pub mod block;
mod fanout;
pub(super) mod filter;
mod listener;
pub mod monitor;
mod ring;
mod sender;

pub(super) use listener::Listening;
pub use ring::Shape;
pub(super) use sender::Sender;

use std::io;

/// Whether the kernel makes receive rings here; opens nothing on any interface.
///
/// # Errors
///
/// What it says instead.
pub(super) fn rings_work() -> io::Result<()> {
    ring::socket_with_ring(Shape { block_size: Shape::LEAST, blocks: 1, age: 1 }).map(|_| ())
}
