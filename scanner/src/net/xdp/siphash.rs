//! SipHash-2-4 of a text of eleven bytes, as instructions (Aumasson and Bernstein, 2012).
//!
//! The text is that of `raw_cookie` for IPv4: what for, our address, theirs, and a port.
//! The key and our address are numbers in the program.

use super::assemble::{Assembler, Op::*, Reg, Reg::*};

/// What is known of the text before the program runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    /// What the cookie is for.
    pub(super) what_for: u8,
    /// Our address.
    pub(super) ours: [u8; 4],
}

/// How long the text is, as its last byte says it.
const LENGTH: u64 = 11 << 56;

/// The halves of the state.
const V: [Reg; 4] = [R1, R2, R3, R4];
const REST: Reg = R5;
const BLOCK: Reg = R0;

/// Leaves the hash in `R1`. `address` and `port` hold their bytes in network order as this
/// machine reads them; neither may be one of `R0` to `R5`, which are taken.
pub(super) fn hash(
    a: &mut Assembler,
    keys: (u64, u64),
    text: Text,
    address: Reg,
    port: Option<Reg>,
) {
    let [o0, o1, o2, o3] = text.ours;
    let first = u64::from_le_bytes([text.what_for, o0, o1, o2, o3, 0, 0, 0]);
    let v0 = keys.0 ^ 0x736f_6d65_7073_6575;
    let v1 = keys.1 ^ 0x646f_7261_6e64_6f6d;
    // The first half of the first round does not depend on the text.
    let sum = v0.wrapping_add(v1);
    a.number(R1, sum.rotate_left(32));
    a.number(R2, v1.rotate_left(13) ^ sum);
    a.number(R3, keys.0 ^ 0x6c79_6765_6e65_7261);
    a.number(R4, keys.1 ^ 0x7465_6462_7974_6573 ^ first);
    // Three bytes of their address end the first block, one begins the second.
    a.op(Move, BLOCK, address);
    a.op(ShiftLeft, BLOCK, 40);
    a.op(Xor, R4, BLOCK);
    right(a);
    crossed(a);
    round(a);
    a.number(REST, first);
    a.op(Xor, BLOCK, REST);
    a.op(Xor, R1, BLOCK);

    a.number(BLOCK, LENGTH);
    a.op(Move, REST, address);
    a.op(ShiftRight, REST, 24);
    a.op(Or, BLOCK, REST);
    if let Some(port) = port {
        a.op(Move, REST, port);
        a.op(ShiftLeft, REST, 8);
        a.op(Or, BLOCK, REST);
    }
    a.op(Xor, R4, BLOCK);
    round(a);
    round(a);
    a.op(Xor, R1, BLOCK);

    a.op(Xor, R3, 0xff);
    (0..4).for_each(|_| round(a));
    a.op(Xor, R1, R2);
    a.op(Xor, R3, R4);
    a.op(Xor, R1, R3);
}

fn round(a: &mut Assembler) {
    let [v0, v1, ..] = V;
    step(a, v0, v1, 13);
    rotate(a, v0, 32);
    right(a);
    crossed(a);
}

fn right(a: &mut Assembler) {
    let [.., v2, v3] = V;
    step(a, v2, v3, 16);
}

fn crossed(a: &mut Assembler) {
    let [v0, v1, v2, v3] = V;
    step(a, v0, v3, 21);
    step(a, v2, v1, 17);
    rotate(a, v2, 32);
}

/// `sum += other; other = rotate(other) ^ sum`.
fn step(a: &mut Assembler, sum: Reg, other: Reg, by: i32) {
    a.op(Add, sum, other);
    rotate(a, other, by);
    a.op(Xor, other, sum);
}

fn rotate(a: &mut Assembler, register: Reg, by: i32) {
    a.op(Move, REST, register);
    a.op(ShiftRight, REST, 64 - by);
    a.op(ShiftLeft, register, by);
    a.op(Or, register, REST);
}
