//! The program that makes the probes.
//!
//! Each run makes at most one: it takes the next place of the order, walks from there to a
//! number whose bit is not set, and writes the frame with that number's address, port and
//! cookie over the one that it was given. Nothing in it is a loop but the walk, which ends
//! after [`STEPS`] steps wherever it is and goes on from there in the next run; so the walk
//! as a whole has no bound, and no number is left out.
//!
//! Registers: `R6` the frame, `R7` the desk, in the walk `R0` the number, `R5` the turn,
//! `R8` and `R9` the multipliers; then `R8` the address and `R9` the port.

use super::{
    super::raw_cookie::{Cookies, Use},
    Kind, Unfit,
    assemble::{
        Assembler, Instruction, Label,
        Op::*,
        Reg,
        Reg::*,
        Size::{self, *},
        When::*,
    },
    desk::{Desk, Field, LOG, MOST_FRAMES},
    kernel::Verdict,
    map::Map,
    shape::{FRAME, Shape, at},
    siphash,
    targets::Table,
};
use crate::order::{MULTIPLIERS, Permutation};

/// How many steps of the walk one run takes: less than two microseconds, so that a call of
/// [`MOST_FRAMES`] runs that finds all questions settled is over in 30 ms.
const STEPS: i32 = 64;

/// Where the count of steps is.
const STACK: i16 = -8;

/// What a program is made from.
pub(super) struct Plan<'a> {
    pub(super) kind: Kind,
    pub(super) shape: &'a Shape,
    pub(super) cookies: &'a Cookies,
    pub(super) ours: [u8; 4],
    pub(super) addresses: &'a Permutation,
    pub(super) table: &'a Table,
    pub(super) rounds: &'a Map,
    pub(super) bits: &'a Map,
    pub(super) desk: &'a Desk,
}

/// How many bytes a round has in its map: the number of its port (4), the port in network
/// order (2), and two more.
pub(super) const ROUND: usize = 8;

impl Plan<'_> {
    /// The program.
    pub(super) fn assemble(&self) -> Result<Vec<Instruction>, Unfit> {
        let mut a = Assembler::default();
        let (drop, found) = (a.label(), a.label());
        self.enter(&mut a, drop);
        self.walk(&mut a, found, drop);
        a.here(found);
        self.template(&mut a);
        self.table.address(&mut a, template_word(&self.shape.frame, 0));
        get(&mut a, R9, Field::Port);
        self.advance(&mut a);
        self.log(&mut a, drop);
        self.patch(&mut a);
        a.number(R0, Verdict::Transmit as u64);
        a.exit();
        a.here(drop);
        a.number(R0, Verdict::Drop as u64);
        a.exit();
        a.finish()
    }

    /// Checks that the frame is there and that there is a question left.
    fn enter(&self, a: &mut Assembler, drop: Label) {
        a.load(Word, R6, R1, 0);
        a.load(Word, R2, R1, 4);
        a.op(Move, R3, R6);
        a.op(Add, R3, FRAME as i32);
        a.jump_if(R3, Above, R2, drop);
        a.map_value(R7, self.desk.map().fd(), 0);
        get(a, R1, Field::Place);
        get(a, R2, Field::Until);
        a.jump_if(R1, AtLeast, R2, drop);
        a.number(R8, MULTIPLIERS[0]);
        a.number(R9, MULTIPLIERS[1]);
    }

    /// Goes to `found` with the number of an address in `R0`, or to `drop`.
    fn walk(&self, a: &mut Assembler, found: Label, drop: Label) {
        let (step, next) = (a.label(), a.label());
        a.store(Double, R10, STACK, STEPS);
        get(a, R0, Field::Walk);
        turn(a);
        a.here(step);
        self.forward(a);
        compare(a, R0, AtLeast, self.addresses.size(), next);
        // The bit of the question.
        get(a, R1, Field::Base);
        a.op(Add, R1, R0);
        a.op(Move, R2, R1);
        a.op(ShiftRight, R2, 3);
        a.map_value(R3, self.bits.fd(), 0);
        compare(a, R2, AtLeast, self.bits.len() as u64, drop);
        a.op(Add, R3, R2);
        a.load(Byte, R3, R3, 0);
        a.op(And, R1, 7);
        a.op(ShiftRight, R3, R1);
        a.op(And, R3, 1);
        a.jump_if(R3, Equal, 0, found);
        // Passed over.
        get(a, R1, Field::Skipped);
        a.op(Add, R1, 1);
        set(a, Field::Skipped, R1);
        self.advance(a);
        get(a, R3, Field::Until);
        a.jump_if(R1, AtLeast, R3, drop);
        a.op(Move, R0, R2);
        turn(a);
        a.here(next);
        a.load(Double, R1, R10, STACK);
        a.op(Sub, R1, 1);
        a.store(Double, R10, STACK, R1);
        a.jump_if(R1, NotEqual, 0, step);
        set(a, Field::Walk, R0);
        a.jump(drop);
    }

    /// One step of the order's walk: `R0` becomes what follows it, as in
    /// [`Permutation::at_turn`].
    fn forward(&self, a: &mut Assembler) {
        let (half, rounds) = self.addresses.parts();
        // At most 31 bits.
        let (half, mask) = (half.cast_signed(), (1_i32 << half).wrapping_sub(1));
        let [mut left, mut right] = [R1, R2];
        a.op(Move, left, R0);
        a.op(ShiftRight, left, half);
        a.op(And, left, mask);
        a.op(Move, right, R0);
        a.op(And, right, mask);
        for key in rounds {
            a.number(R3, *key);
            a.op(Xor, R3, right);
            a.op(Xor, R3, R5);
            a.op(Mul, R3, R8);
            a.op(Move, R4, R3);
            a.op(ShiftRight, R4, 32);
            a.op(Xor, R3, R4);
            a.op(Mul, R3, R9);
            a.op(ShiftRight, R3, 32);
            a.op(And, R3, mask);
            a.op(Xor, left, R3);
            [left, right] = [right, left];
        }
        a.op(Move, R0, left);
        a.op(ShiftLeft, R0, half);
        a.op(Or, R0, right);
    }

    /// Moves the desk on to the next place, which is then in `R1`, and within its round in
    /// `R2`. Takes `R3` to `R5`.
    fn advance(&self, a: &mut Assembler) {
        let same_round = a.label();
        get(a, R1, Field::Place);
        a.op(Add, R1, 1);
        set(a, Field::Place, R1);
        get(a, R2, Field::Within);
        a.op(Add, R2, 1);
        compare(a, R2, Below, self.addresses.size(), same_round);
        a.number(R2, 0);
        get(a, R4, Field::Round);
        a.op(Add, R4, 1);
        set(a, Field::Round, R4);
        // Behind the last round is the end, before which every call stops.
        compare(a, R4, AtLeast, (self.rounds.len() / ROUND) as u64, same_round);
        a.op(ShiftLeft, R4, ROUND.trailing_zeros().cast_signed());
        a.map_value(R3, self.rounds.fd(), 0);
        a.op(Add, R3, R4);
        a.load(Word, R4, R3, 0);
        a.load(Half, R3, R3, 4);
        set(a, Field::Port, R3);
        a.number(R5, self.addresses.size());
        a.op(Mul, R4, R5);
        set(a, Field::Base, R4);
        a.here(same_round);
        set(a, Field::Within, R2);
        set(a, Field::Walk, R2);
    }

    /// Notes which place the frame was made for; `R1` is the next.
    fn log(&self, a: &mut Assembler, drop: Label) {
        get(a, R2, Field::Start);
        a.op(Sub, R1, 1);
        a.op(Sub, R1, R2);
        get(a, R2, Field::Made);
        compare(a, R2, AtLeast, MOST_FRAMES.into(), drop);
        a.op(Move, R3, R2);
        a.op(Add, R3, 1);
        set(a, Field::Made, R3);
        a.op(ShiftLeft, R2, 2);
        a.map_value(R3, self.desk.map().fd(), LOG as i32);
        a.op(Add, R3, R2);
        a.store(Word, R3, 0, R1);
    }

    /// Writes all of the frame: whoever received the page before may have written over it.
    fn template(&self, a: &mut Assembler) {
        for offset in (0..FRAME).step_by(8) {
            a.number(R1, template_word(&self.shape.frame, offset));
            let size = if offset + 8 > FRAME { Word } else { Double };
            // Below 60.
            a.store(size, R6, offset as i16, R1);
        }
    }

    /// Writes what differs from probe to probe: the address in `R8`, the port in `R9`, the
    /// cookie and the checksums.
    fn patch(&self, a: &mut Assembler) {
        let text = |what_for: Use| siphash::Text { what_for: what_for as u8, ours: self.ours };
        let keys = self.cookies.keys();
        match self.kind {
            Kind::Arp => {
                a.store(Word, R6, at::WANTED, R8);
                return;
            }
            Kind::Syn => {
                siphash::hash(a, keys, text(Use::Tcp), R8, Some(R9));
                let ports = self.cookies.ports();
                let first = *ports.start();
                let count = ports.end().saturating_sub(first).saturating_add(1);
                a.op(Move, R2, R1);
                a.op(ShiftRight, R2, 32);
                a.op(Mul, R2, i32::from(count));
                a.op(ShiftRight, R2, 32);
                a.op(Add, R2, i32::from(first));
                a.network_order(R2, 16);
                a.store(Half, R6, at::SOURCE_PORT, R2);
                a.store(Half, R6, at::PORT, R9);
                a.network_order(R1, 32);
                a.store(Word, R6, at::SEQUENCE, R1);
                // What the checksum covers besides the address.
                a.op(Add, R2, R9);
                add_halves(a, R2, R1);
            }
            Kind::Echo => {
                siphash::hash(a, keys, text(Use::Echo), R8, None);
                a.network_order(R1, 64);
                a.store(Word, R6, at::ECHO, R1);
                a.store(Double, R6, at::ECHO_DATA, R1);
                // The first four bytes are there twice.
                a.op(Move, R3, R1);
                a.op(ShiftRight, R3, 32);
                a.op_32(Move, R1, R1);
                a.number(R2, 0);
                add_halves(a, R2, R1);
                a.op(Add, R2, R2);
                add_halves(a, R2, R3);
            }
        }
        a.store(Word, R6, at::DESTINATION, R8);
        a.number(R4, 0);
        add_halves(a, R4, R8);
        // RFC 792 leaves the addresses out.
        let checksum = match self.kind {
            Kind::Syn => {
                a.op(Add, R2, R4);
                at::TCP_CHECKSUM
            }
            Kind::Arp | Kind::Echo => at::ICMP_CHECKSUM,
        };
        finish_sum(a, R2, self.shape.inner_sum, checksum);
        finish_sum(a, R4, self.shape.ip_sum, at::IP_CHECKSUM);
    }
}

/// Loads the turn of the round.
fn turn(a: &mut Assembler) {
    get(a, R5, Field::Round);
    a.op(ShiftLeft, R5, 32);
}

pub(super) fn get(a: &mut Assembler, register: Reg, field: Field) {
    a.load(Size::Double, register, R7, field as i16);
}

pub(super) fn set(a: &mut Assembler, field: Field, register: Reg) {
    a.store(Size::Double, R7, field as i16, register);
}

/// Compares with any number. Takes `R4` where the number is large.
fn compare(a: &mut Assembler, register: Reg, when: super::assemble::When, number: u64, to: Label) {
    match i32::try_from(number) {
        Ok(number) => a.jump_if(register, when, number, to),
        Err(_) => {
            a.number(R4, number);
            a.jump_if(register, when, R4, to);
        }
    }
}

/// Adds the upper and the lower half of 32 bits. Takes `R5`.
fn add_halves(a: &mut Assembler, sum: Reg, word: Reg) {
    a.op(Move, R5, word);
    a.op(And, R5, 0xffff);
    a.op(Add, sum, R5);
    a.op(Move, R5, word);
    a.op(ShiftRight, R5, 16);
    a.op(Add, sum, R5);
}

/// Makes a checksum of a sum of less than 2^20 (RFC 1071) and writes it. Takes `R5`.
fn finish_sum(a: &mut Assembler, sum: Reg, known: u16, offset: i16) {
    a.op(Add, sum, i32::from(known));
    for _ in 0..2 {
        a.op(Move, R5, sum);
        a.op(ShiftRight, R5, 16);
        a.op(And, sum, 0xffff);
        a.op(Add, sum, R5);
    }
    a.op(Xor, sum, 0xffff);
    a.store(Half, R6, offset, sum);
}

/// Eight bytes of the template, as this machine reads them; behind its end are zeros.
fn template_word(frame: &[u8; FRAME], offset: usize) -> u64 {
    let mut word = [0; 8];
    word.iter_mut().zip(frame.iter().skip(offset)).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(word)
}
