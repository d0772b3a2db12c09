//! The program that watches what the driver does with our frames.
//!
//! A driver that has no room for a frame drops it, and the call that made it says nothing.
//! But the kernel has a tracepoint behind every bundle that a driver was given (at most 16
//! frames), which tells how many it took: the first ones, as `ndo_xdp_xmit` demands.
//! Bundles come in the order of the frames, so a count is enough to know which were refused.
//!
//! The tracepoint tells of everybody's bundles. Ours go back to the interface that they
//! are said to come from, in our thread, while frames of ours are under way; what does not
//! is not counted.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use super::{
    Unfit,
    assemble::{Assembler, Helper, Instruction, Op::*, Reg::*, Size::*, When::*},
    desk::{Desk, Field, MOST_FRAMES, REFUSED},
    kernel::{self, Kind},
    program::{get, set},
};

/// Where the kernel tells it: from which interface, to which, how many were taken, how many
/// not, and why.
const TRACEPOINT: &std::ffi::CStr = c"xdp_devmap_xmit";

/// Watches until it is dropped.
#[derive(Debug)]
pub(super) struct Witness {
    _attached: OwnedFd,
    /// Notes which thread it runs in.
    mark: OwnedFd,
}

impl Witness {
    /// # Errors
    ///
    /// The kernel refuses the programs, or has no such tracepoint.
    pub(super) fn new(desk: &Desk) -> Result<Self, Unfit> {
        let (watch, mark) = (watch(desk)?, mark(desk)?);
        let load = |name, program: &[Instruction]| kernel::load(Kind::Tracepoint, name, program);
        let attach = || {
            let program = load(c"daicho_witness", &watch)?;
            let attached = kernel::watch(TRACEPOINT, program.as_fd())?;
            Ok(Self { _attached: attached, mark: load(c"daicho_mark", &mark)? })
        };
        attach().map_err(Unfit::because("cannot watch what the driver does with frames"))
    }

    /// Counts what this thread sends from now on. Threads have other numbers for us than for
    /// the programs where we are in a namespace of process numbers, so one looks itself.
    pub(super) fn watch_this_thread(&self) -> io::Result<()> {
        kernel::run_here(self.mark.as_fd())
    }
}

fn mark(desk: &Desk) -> Result<Vec<Instruction>, Unfit> {
    let mut a = Assembler::default();
    a.map_value(R7, desk.map().fd(), 0);
    a.call(Helper::Thread);
    set(&mut a, Field::Thread, R0);
    a.number(R0, 0);
    a.exit();
    a.finish()
}

fn watch(desk: &Desk) -> Result<Vec<Instruction>, Unfit> {
    let mut a = Assembler::default();
    let out = a.label();
    a.op(Move, R6, R1);
    a.map_value(R7, desk.map().fd(), 0);
    a.call(Helper::Thread);
    get(&mut a, R1, Field::Thread);
    a.jump_if(R0, NotEqual, R1, out);
    a.load(Double, R1, R6, 0);
    a.load(Double, R2, R6, 8);
    a.jump_if(R1, NotEqual, R2, out);
    get(&mut a, R1, Field::Made);
    get(&mut a, R2, Field::Known);
    a.jump_if(R2, AtLeast, R1, out);
    // Both are plain ints.
    a.load(Double, R3, R6, 16);
    a.op_32(Move, R3, R3);
    a.load(Double, R4, R6, 24);
    a.op_32(Move, R4, R4);
    get(&mut a, R1, Field::Taken);
    a.op(Add, R1, R3);
    set(&mut a, Field::Taken, R1);
    a.op(Add, R2, R3);
    a.op(Move, R1, R2);
    a.op(Add, R1, R4);
    set(&mut a, Field::Known, R1);
    a.jump_if(R4, Equal, 0, out);
    // R2 is the first that was refused.
    get(&mut a, R1, Field::Refusals);
    a.jump_if(R1, AtLeast, MOST_FRAMES.cast_signed(), out);
    a.op(Move, R3, R1);
    a.op(Add, R3, 1);
    set(&mut a, Field::Refusals, R3);
    a.op(ShiftLeft, R1, 3);
    a.map_value(R3, desk.map().fd(), REFUSED as i32);
    a.op(Add, R3, R1);
    a.store(Word, R3, 0, R2);
    a.store(Word, R3, 4, R4);
    a.here(out);
    a.number(R0, 0);
    a.exit();
    a.finish()
}
