//! What bpf(2) does for us, in the words of linux/bpf.h.

use std::{
    ffi::{CStr, c_long},
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use super::assemble::Instruction;

/// What to do.
#[derive(Clone, Copy)]
enum Command {
    MapCreate = 0,
    ProgramLoad = 5,
    ProgramRun = 10,
    TracepointOpen = 17,
    LinkCreate = 28,
}

/// What kind of program.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Looks at frames, and says what to do with them.
    Xdp = 6,
    /// Watches what the kernel does.
    Tracepoint = 17,
}

/// What an XDP program may say of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Throw it away.
    Drop = 1,
    /// Send it out of the interface that it came in by.
    Transmit = 3,
}

const ARRAY: u32 = 2;
/// The map's memory can be mapped.
const MAPPABLE: u32 = 1 << 10;
/// Frames are real: what the program says of them is done.
const LIVE_FRAMES: u32 = 1 << 1;
const ATTACH_XDP: u32 = 37;
/// Not in the kernel's stead for drivers that cannot.
const IN_THE_DRIVER: u32 = 1 << 2;
/// Only what is wrong, and how much was looked at; not every instruction.
const TELL_ERRORS: u32 = 4;
const LOG: usize = 64 * 1024;

/// Programs of ours call nothing that asks for more.
const LICENCE: &CStr = c"MIT OR Apache-2.0";

#[repr(C)]
#[derive(Default)]
struct MapCreate {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    inner: u32,
    node: u32,
    name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct ProgramLoad {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

#[repr(C)]
#[derive(Default)]
struct ProgramRun {
    program: u32,
    verdict: u32,
    data_in_size: u32,
    data_out_size: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_in_size: u32,
    context_out_size: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    processor: u32,
    batch: u32,
    padding: u32,
}

#[repr(C)]
#[derive(Default)]
struct TracepointOpen {
    name: u64,
    program: u32,
    padding: u32,
}

/// What a program is told of its frame (`struct xdp_md`).
#[repr(C)]
#[derive(Default)]
struct Context {
    data: u32,
    data_end: u32,
    data_meta: u32,
    interface: u32,
    queue: u32,
    out_interface: u32,
}

#[repr(C)]
struct LinkCreate {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// Calls bpf(2). The pointers among the attributes are those of memory that lives until
/// the call returns.
#[expect(unsafe_code, reason = "libc has no wrapper for bpf(2)")]
fn bpf<T>(command: Command, attributes: &mut T) -> io::Result<c_long> {
    // SAFETY: the pointer and the length are those of a structure that lives until the call
    // returns, and every caller in this file takes the pointers in it from references that
    // outlive the call, with their lengths.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as c_long, &raw mut *attributes, size_of::<T>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The descriptor that a call made.
#[expect(unsafe_code, reason = "bpf(2) returns plain numbers")]
fn descriptor(number: c_long) -> io::Result<OwnedFd> {
    let number = i32::try_from(number).map_err(io::Error::other)?;
    // SAFETY: the call made the descriptor just now, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A pointer as the kernel wants it.
fn pointer<T: ?Sized>(to: &T) -> u64 {
    std::ptr::from_ref(to).cast::<u8>().expose_provenance() as u64
}

fn name(name: &CStr) -> [u8; 16] {
    let mut field = [0; 16];
    // The last byte stays zero.
    field.iter_mut().take(15).zip(name.to_bytes()).for_each(|(to, from)| *to = *from);
    field
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    // Never negative.
    fd.as_raw_fd().unsigned_abs()
}

/// Makes an array of one value of so many bytes.
pub(super) fn create_array(called: &CStr, value_size: u32) -> io::Result<OwnedFd> {
    let mut attributes = MapCreate {
        kind: ARRAY,
        key_size: 4,
        value_size,
        max_entries: 1,
        flags: MAPPABLE,
        name: name(called),
        ..MapCreate::default()
    };
    descriptor(bpf(Command::MapCreate, &mut attributes)?)
}

/// Loads a program.
///
/// # Errors
///
/// What the system says; where it looked at the program and refused it, with the last
/// thing that it says about that.
pub(super) fn load(kind: Kind, called: &CStr, program: &[Instruction]) -> io::Result<OwnedFd> {
    let mut attributes = ProgramLoad {
        kind: kind as u32,
        instruction_count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: pointer(program),
        licence: pointer(LICENCE),
        name: name(called),
        ..ProgramLoad::default()
    };
    let error = match bpf(Command::ProgramLoad, &mut attributes) {
        Ok(number) => return descriptor(number),
        Err(error) => error,
    };
    // Only who is refused wants to know why: telling takes time.
    let mut log = vec![0_u8; LOG];
    attributes.log_level = TELL_ERRORS;
    attributes.log_size = u32::try_from(LOG).map_err(io::Error::other)?;
    attributes.log = log.as_mut_ptr().expose_provenance() as u64;
    if let Ok(number) = bpf(Command::ProgramLoad, &mut attributes) {
        return descriptor(number);
    }
    let text = log.split(|byte| *byte == 0).next().unwrap_or_default();
    match last_words(&String::from_utf8_lossy(text)) {
        Some(words) => Err(io::Error::new(error.kind(), format!("{error}: {words}"))),
        None => Err(error),
    }
}

/// The last line that is not about how long it took.
fn last_words(log: &str) -> Option<String> {
    const STATISTICS: [&str; 3] = ["processed ", "verification time", "stack depth"];
    let lines = log.lines().filter(|line| !line.trim().is_empty());
    let mut said = lines.filter(|line| !STATISTICS.iter().any(|word| line.starts_with(word)));
    said.next_back().map(str::to_owned)
}

/// Attaches a program to a place in the kernel where it tells what it does. The program
/// runs until the descriptor is closed.
pub(super) fn watch(tracepoint: &CStr, program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attributes =
        TracepointOpen { name: pointer(tracepoint), program: number(program), padding: 0 };
    descriptor(bpf(Command::TracepointOpen, &mut attributes)?)
}

/// Attaches an XDP program to what comes in by an interface, in its driver, until the
/// descriptor is closed.
pub(super) fn attach(program: BorrowedFd<'_>, interface: u32) -> io::Result<OwnedFd> {
    let program = number(program);
    let mut attributes =
        LinkCreate { program, interface, attach_type: ATTACH_XDP, flags: IN_THE_DRIVER };
    descriptor(bpf(Command::LinkCreate, &mut attributes)?)
}

/// Runs an XDP program `repeat` times on frames that begin as `frame`, in bundles of
/// `batch` (at most 256), and does with them what it says: [`Verdict::Transmit`] sends
/// through the interface.
///
/// # Errors
///
/// What the system says: `EINTR` after a signal, when it may have run fewer times;
/// `ENODEV` where the interface is gone; `EINVAL` before Linux 5.18, which does not know
/// live frames.
pub(super) fn run_live(
    program: BorrowedFd<'_>,
    frame: &[u8],
    interface: u32,
    repeat: u32,
    batch: u32,
) -> io::Result<()> {
    let len = u32::try_from(frame.len()).map_err(io::Error::other)?;
    let context = Context { data_end: len, interface, ..Context::default() };
    let mut attributes = ProgramRun {
        program: number(program),
        data_in_size: len,
        data_in: pointer(frame),
        repeat,
        context_in_size: size_of::<Context>() as u32,
        context_in: pointer(&context),
        flags: LIVE_FRAMES,
        batch,
        ..ProgramRun::default()
    };
    bpf(Command::ProgramRun, &mut attributes)?;
    Ok(())
}

/// Runs a program of the kind [`Kind::Tracepoint`] once, in this thread.
pub(super) fn run_here(program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = ProgramRun { program: number(program), ..ProgramRun::default() };
    bpf(Command::ProgramRun, &mut attributes)?;
    Ok(())
}

/// Runs an XDP program on a frame that goes nowhere, and leaves there what the program made
/// of it in the end. What it last said of the frame, and how many nanoseconds a run took.
#[cfg(test)]
pub(super) fn run_dry(
    program: BorrowedFd<'_>,
    frame: &mut [u8],
    repeat: u32,
) -> io::Result<(u32, u32)> {
    let len = u32::try_from(frame.len()).map_err(io::Error::other)?;
    let before = frame.to_vec();
    let mut attributes = ProgramRun {
        program: number(program),
        data_in_size: len,
        data_out_size: len,
        data_in: pointer(&before[..]),
        data_out: frame.as_mut_ptr().expose_provenance() as u64,
        repeat,
        ..ProgramRun::default()
    };
    bpf(Command::ProgramRun, &mut attributes)?;
    Ok((attributes.verdict, attributes.duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_about_the_fault() {
        let log =
            "0: R1=ctx() R10=fp0\nR2 !read_ok\nverification time 51 usec\nprocessed 1 insns\n";
        assert_eq!(last_words(log).as_deref(), Some("R2 !read_ok"));
        assert_eq!(last_words("processed 0 insns\n\n"), None);
    }
}
