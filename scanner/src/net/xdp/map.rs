//! Memory that a program in the kernel and we both see: array maps with one value, mapped.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64},
};

use super::kernel;

/// An array map of one value. Its bytes begin as zeros.
#[derive(Debug)]
pub(super) struct Map {
    fd: OwnedFd,
    memory: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is only ever reached through atomics, and stays mapped until the last
// owner is gone.
#[expect(unsafe_code, reason = "mapped memory is a pointer")]
unsafe impl Send for Map {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "mapped memory is a pointer")]
unsafe impl Sync for Map {}

impl Map {
    /// Makes one of at least that many bytes, and of whole numbers of 64 bits. `name` is for
    /// whoever lists the system's maps (at most 15 bytes).
    ///
    /// # Errors
    ///
    /// What bpf(2) or mmap(2) says; `E2BIG` where this kernel's values are not as large.
    pub(super) fn new(name: &CStr, len: usize) -> io::Result<Self> {
        let len = len.next_multiple_of(size_of::<u64>()).max(size_of::<u64>());
        let fd = kernel::create_array(name, u32::try_from(len).map_err(io::Error::other)?)?;
        let memory = map(fd.as_fd(), len)?;
        Ok(Self { fd, memory, len })
    }

    /// How the kernel knows it.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// How many bytes.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// It as bytes.
    #[expect(unsafe_code, reason = "mapped memory is a pointer")]
    pub(super) const fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: so many bytes are mapped for as long as `self` lives; others change them
        // only as atomics may be changed.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.len) }
    }

    /// It as numbers of 32 bits.
    #[expect(unsafe_code, reason = "mapped memory is a pointer")]
    pub(super) const fn words(&self) -> &[AtomicU32] {
        // SAFETY: as in `bytes`; pages are aligned for any number, and the length is whole.
        unsafe {
            std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.len / size_of::<u32>())
        }
    }

    /// It as numbers of 64 bits.
    #[expect(unsafe_code, reason = "mapped memory is a pointer")]
    pub(super) const fn doubles(&self) -> &[AtomicU64] {
        // SAFETY: as in `words`.
        unsafe {
            std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.len / size_of::<u64>())
        }
    }
}

impl Drop for Map {
    #[expect(unsafe_code, reason = "std does not offer munmap")]
    fn drop(&mut self) {
        // SAFETY: the memory was mapped with that length, and nobody can reach it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.len) };
    }
}

#[expect(unsafe_code, reason = "std does not offer mmap")]
fn map(fd: BorrowedFd<'_>, len: usize) -> io::Result<NonNull<u8>> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the kernel chooses where, so nothing of ours is replaced; the descriptor is
    // open.
    let memory = unsafe {
        libc::mmap(std::ptr::null_mut(), len, access, libc::MAP_SHARED, fd.as_raw_fd(), 0)
    };
    match NonNull::new(memory) {
        Some(start) if memory != libc::MAP_FAILED => Ok(start.cast()),
        _ => Err(io::Error::last_os_error()),
    }
}
