//! An assembler for eBPF: instructions one by one, and jumps by labels.
//!
//! The programs of this module are made for one run, with its keys and addresses as numbers
//! in them, so that the kernel's compiler sees constants. That wants no compiler of C, only
//! the encoding of RFC 9669 (for machines with the least byte first, see [`super`]) and what
//! linux/bpf.h adds for the addresses of maps.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::Unfit;

/// A register. `R10` is the frame pointer, which is only read. A call leaves its result in
/// `R0` and takes `R1` to `R5`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
}

/// The second operand of an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operand {
    /// What is in a register.
    Register(Reg),
    /// A number, extended to 64 bits with its sign.
    Number(i32),
}

impl From<Reg> for Operand {
    fn from(register: Reg) -> Self {
        Self::Register(register)
    }
}

impl From<i32> for Operand {
    fn from(number: i32) -> Self {
        Self::Number(number)
    }
}

/// Arithmetic on 64 bits.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Op {
    Add = 0x00,
    Sub = 0x10,
    Mul = 0x20,
    Or = 0x40,
    And = 0x50,
    ShiftLeft = 0x60,
    /// Filling with zeros.
    ShiftRight = 0x70,
    Xor = 0xa0,
    Move = 0xb0,
}

/// When to jump. Numbers are compared without sign.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum When {
    Equal = 0x10,
    NotEqual = 0x50,
    Above = 0x20,
    AtLeast = 0x30,
    Below = 0xa0,
}

/// How many bytes are read or written.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Size {
    /// One.
    Byte = 0x10,
    /// Two.
    Half = 0x08,
    /// Four.
    Word = 0x00,
    /// Eight.
    Double = 0x18,
}

/// A function of the kernel.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub(super) enum Helper {
    /// The numbers of the process and of the thread that runs.
    Thread = 14,
}

/// A place in a program to jump to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label(usize);

/// An instruction, as the kernel takes it (`struct bpf_insn`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub(super) struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    number: i32,
}

impl Instruction {
    fn new(code: u8, destination: Reg, source: Reg, offset: i16, number: i32) -> Self {
        Self { code, registers: (destination as u8) | ((source as u8) << 4), offset, number }
    }
}

/// Classes of instructions.
const LOAD_NUMBER: u8 = 0x18;
const LOAD: u8 = 0x61;
const STORE_NUMBER: u8 = 0x62;
const STORE: u8 = 0x63;
const ARITHMETIC_32: u8 = 0x04;
const ARITHMETIC: u8 = 0x07;
const JUMP: u8 = 0x05;

/// Where the second operand is a register.
const FROM_REGISTER: u8 = 0x08;

/// Bytes into network order: the class of 32-bit arithmetic, operation 0xd0, "to big".
const TO_NETWORK: u8 = ARITHMETIC_32 | 0xd0 | 0x08;

/// The second register of a load of the address of a map's only value.
const MAP_VALUE: Reg = Reg::R2;

/// A program as it is written.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    instructions: Vec<Instruction>,
    /// Where each label is.
    labels: Vec<Option<usize>>,
    /// Which instruction jumps to which label.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// `register = register op operand`.
    pub(super) fn op(&mut self, op: Op, register: Reg, operand: impl Into<Operand>) {
        self.with_operand(ARITHMETIC | op as u8, register, operand.into(), 0);
    }

    /// The same with the lower 32 bits; the upper become zero.
    pub(super) fn op_32(&mut self, op: Op, register: Reg, operand: impl Into<Operand>) {
        self.with_operand(ARITHMETIC_32 | op as u8, register, operand.into(), 0);
    }

    /// Loads any number.
    pub(super) fn number(&mut self, register: Reg, number: u64) {
        // A move takes 32 bits and extends their sign, and is half as long.
        match i32::try_from(number.cast_signed()) {
            Ok(short) => self.op(Op::Move, register, short),
            Err(_) => self.two(register, Reg::R0, halves(number)),
        }
    }

    /// Loads the address `offset` bytes into the only value of a map.
    pub(super) fn map_value(&mut self, register: Reg, map: BorrowedFd<'_>, offset: i32) {
        let fd: RawFd = map.as_raw_fd();
        self.two(register, MAP_VALUE, (fd, offset));
    }

    fn two(&mut self, register: Reg, kind: Reg, (low, high): (i32, i32)) {
        self.instructions.push(Instruction::new(LOAD_NUMBER, register, kind, 0, low));
        self.instructions.push(Instruction { number: high, ..Instruction::default() });
    }

    /// Reads from memory, `offset` bytes after where `from` points.
    pub(super) fn load(&mut self, size: Size, register: Reg, from: Reg, offset: i16) {
        let code = LOAD | size as u8;
        self.instructions.push(Instruction::new(code, register, from, offset, 0));
    }

    /// Writes to memory, `offset` bytes after where `to` points.
    pub(super) fn store(&mut self, size: Size, to: Reg, offset: i16, what: impl Into<Operand>) {
        self.instructions.push(match what.into() {
            Operand::Register(from) => Instruction::new(STORE | size as u8, to, from, offset, 0),
            Operand::Number(number) => {
                Instruction::new(STORE_NUMBER | size as u8, to, Reg::R0, offset, number)
            }
        });
    }

    /// The lower 16, 32 or 64 bits in network order; what is above them becomes zero.
    pub(super) fn network_order(&mut self, register: Reg, bits: i32) {
        self.instructions.push(Instruction::new(TO_NETWORK, register, Reg::R0, 0, bits));
    }

    /// Calls a function of the kernel.
    pub(super) fn call(&mut self, helper: Helper) {
        let code = JUMP | 0x80;
        self.instructions.push(Instruction::new(code, Reg::R0, Reg::R0, 0, helper as i32));
    }

    /// Ends the program with what is in `R0`.
    pub(super) fn exit(&mut self) {
        self.instructions.push(Instruction::new(JUMP | 0x90, Reg::R0, Reg::R0, 0, 0));
    }

    /// Makes a label that is nowhere yet.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len().saturating_sub(1))
    }

    /// Puts the label here.
    pub(super) fn here(&mut self, label: Label) {
        if let Some(place) = self.labels.get_mut(label.0) {
            *place = Some(self.instructions.len());
        }
    }

    /// Jumps.
    pub(super) fn jump(&mut self, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.instructions.push(Instruction::new(JUMP, Reg::R0, Reg::R0, 0, 0));
    }

    /// Jumps if the register is so.
    pub(super) fn jump_if(
        &mut self,
        register: Reg,
        when: When,
        operand: impl Into<Operand>,
        to: Label,
    ) {
        self.jumps.push((self.instructions.len(), to));
        self.with_operand(JUMP | when as u8, register, operand.into(), 0);
    }

    fn with_operand(&mut self, code: u8, register: Reg, operand: Operand, offset: i16) {
        self.instructions.push(match operand {
            Operand::Register(source) => {
                Instruction::new(code | FROM_REGISTER, register, source, offset, 0)
            }
            Operand::Number(number) => Instruction::new(code, register, Reg::R0, offset, number),
        });
    }

    /// The program, with the distances of its jumps.
    ///
    /// # Errors
    ///
    /// A jump goes to a label that was put nowhere, or farther than 32,767 instructions.
    pub(super) fn finish(mut self) -> Result<Vec<Instruction>, Unfit> {
        for (from, Label(label)) in &self.jumps {
            let place = self.labels.get(*label).copied().flatten();
            let distance = place.and_then(|place| distance(*from, place));
            let jump = self.instructions.get_mut(*from);
            let (Some(jump), Some(distance)) = (jump, distance) else {
                return Err(Unfit::new(format!("instruction {from} jumps to nowhere or too far")));
            };
            jump.offset = distance;
        }
        Ok(self.instructions)
    }
}

/// A jump counts from the instruction after it.
fn distance(from: usize, to: usize) -> Option<i16> {
    let from = isize::try_from(from).ok()?.checked_add(1)?;
    i16::try_from(isize::try_from(to).ok()?.checked_sub(from)?).ok()
}

/// The lower and the upper half.
const fn halves(number: u64) -> (i32, i32) {
    // Truncation is meant.
    ((number as u32).cast_signed(), ((number >> 32) as u32).cast_signed())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::{Op::*, Reg::*, *};

    /// The bytes of a program, as RFC 9669 writes them for a little-endian machine.
    #[track_caller]
    fn check(write: impl FnOnce(&mut Assembler), expected: &[[u8; 8]]) {
        let mut a = Assembler::default();
        write(&mut a);
        let bytes: Vec<[u8; 8]> = a
            .finish()
            .unwrap()
            .iter()
            .map(|i| {
                let [o0, o1] = i.offset.to_le_bytes();
                let [n0, n1, n2, n3] = i.number.to_le_bytes();
                [i.code, i.registers, o0, o1, n0, n1, n2, n3]
            })
            .collect();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn arithmetic_has_these_codes() {
        check(|a| a.op(Add, R1, R2), &[[0x0f, 0x21, 0, 0, 0, 0, 0, 0]]);
        check(|a| a.op(Sub, R1, 2), &[[0x17, 0x01, 0, 0, 2, 0, 0, 0]]);
        check(|a| a.op(Mul, R3, R9), &[[0x2f, 0x93, 0, 0, 0, 0, 0, 0]]);
        check(|a| a.op(Or, R3, R9), &[[0x4f, 0x93, 0, 0, 0, 0, 0, 0]]);
        check(|a| a.op(And, R3, -2), &[[0x57, 3, 0, 0, 0xfe, 0xff, 0xff, 0xff]]);
        check(|a| a.op(ShiftLeft, R4, 13), &[[0x67, 4, 0, 0, 13, 0, 0, 0]]);
        check(|a| a.op(ShiftRight, R4, R0), &[[0x7f, 4, 0, 0, 0, 0, 0, 0]]);
        check(|a| a.op(Xor, R4, R5), &[[0xaf, 0x54, 0, 0, 0, 0, 0, 0]]);
        check(|a| a.op(Move, R6, R1), &[[0xbf, 0x16, 0, 0, 0, 0, 0, 0]]);
        check(|a| a.op_32(Move, R6, R1), &[[0xbc, 0x16, 0, 0, 0, 0, 0, 0]]);
        check(|a| a.op_32(Add, R6, 7), &[[0x04, 6, 0, 0, 7, 0, 0, 0]]);
        check(|a| a.network_order(R2, 16), &[[0xdc, 2, 0, 0, 16, 0, 0, 0]]);
    }

    #[test]
    fn memory_has_these_codes() {
        check(|a| a.load(Size::Byte, R3, R1, 5), &[[0x71, 0x13, 5, 0, 0, 0, 0, 0]]);
        check(|a| a.load(Size::Half, R3, R1, -1), &[[0x69, 0x13, 0xff, 0xff, 0, 0, 0, 0]]);
        check(|a| a.load(Size::Word, R3, R1, 0), &[[0x61, 0x13, 0, 0, 0, 0, 0, 0]]);
        check(|a| a.load(Size::Double, R3, R1, 0), &[[0x79, 0x13, 0, 0, 0, 0, 0, 0]]);
        check(|a| a.store(Size::Half, R6, 36, R9), &[[0x6b, 0x96, 36, 0, 0, 0, 0, 0]]);
        check(|a| a.store(Size::Double, R10, -8, 64), &[[0x7a, 0x0a, 0xf8, 0xff, 64, 0, 0, 0]]);
    }

    #[test]
    fn numbers_take_as_little_room_as_they_can() {
        check(|a| a.number(R8, u64::MAX), &[[0xb7, 8, 0, 0, 0xff, 0xff, 0xff, 0xff]]);
        check(|a| a.number(R8, 7), &[[0xb7, 8, 0, 0, 7, 0, 0, 0]]);
        check(
            |a| a.number(R8, 0x1122_3344_5566_7788),
            &[[0x18, 8, 0, 0, 0x88, 0x77, 0x66, 0x55], [0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11]],
        );
        // A move would extend the sign.
        check(
            |a| a.number(R0, 0x8000_0000),
            &[[0x18, 0, 0, 0, 0, 0, 0, 0x80], [0, 0, 0, 0, 0, 0, 0, 0]],
        );
    }

    #[test]
    fn the_value_of_a_map_is_named_by_its_descriptor() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let fd = file.as_raw_fd().to_le_bytes();
        check(
            |a| a.map_value(R7, file.as_fd(), 3),
            &[[0x18, 0x27, 0, 0, fd[0], fd[1], fd[2], fd[3]], [0, 0, 0, 0, 3, 0, 0, 0]],
        );
    }

    #[test]
    fn jumps_count_from_the_next_instruction() {
        check(
            |a| {
                let (back, on) = (a.label(), a.label());
                a.here(back);
                a.jump_if(R1, When::AtLeast, R2, on);
                a.number(R8, 1 << 40);
                a.jump_if(R1, When::NotEqual, 3, back);
                a.jump(on);
                a.here(on);
                a.call(Helper::Thread);
                a.exit();
            },
            &[
                [0x3d, 0x21, 4, 0, 0, 0, 0, 0],
                [0x18, 8, 0, 0, 0, 0, 0, 0],
                [0, 0, 0, 0, 0, 1, 0, 0],
                [0x55, 1, 0xfc, 0xff, 3, 0, 0, 0],
                [0x05, 0, 0, 0, 0, 0, 0, 0],
                [0x85, 0, 0, 0, 14, 0, 0, 0],
                [0x95, 0, 0, 0, 0, 0, 0, 0],
            ],
        );
    }

    #[test]
    fn a_jump_to_nowhere_or_too_far_is_refused() {
        let mut a = Assembler::default();
        let nowhere = a.label();
        a.jump(nowhere);
        assert!(a.finish().is_err());
        let mut a = Assembler::default();
        let far = a.label();
        a.jump(far);
        (0..40_000).for_each(|_| a.exit());
        a.here(far);
        assert!(a.finish().is_err());
    }
}
