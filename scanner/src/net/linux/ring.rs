//! The receive ring: memory that the kernel fills and we read, block by block
//! (packet(7), TPACKET_V3).
//!
//! A block is the kernel's or ours; the status in its header says whose, and changes hands
//! with it. The kernel hands a block over when it is full or old enough.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use socket2::Socket;

use super::{
    super::raw_socket::{attach, bind, ignore_outgoing, packet_socket, set},
    block,
    fanout::{Group, Member},
    filter,
};

/// How many blocks of how many bytes a ring has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    /// Bytes of a block: a multiple of the size of a page. No frame may be longer.
    pub block_size: usize,
    /// How many there are.
    pub blocks: usize,
    /// How old a block gets before it is handed over, in milliseconds. With little traffic every
    /// block that comes holds no more than what came meanwhile, so that all of them together are
    /// the longest that a reader may be late without a loss.
    pub age: u32,
}

impl Shape {
    /// The smallest block: a page of any system.
    pub(super) const LEAST: usize = 64 * 1024;
}

impl Default for Shape {
    /// 16 MiB: at a million answers a second the reader may be late by a tenth of one. Answers are
    /// waited for, so that a block comes after a millisecond.
    fn default() -> Self {
        Self { block_size: 256 * 1024, blocks: 64, age: 1 }
    }
}

/// The kernel wants to know it, and uses it for nothing with blocks of frames of any
/// length.
const FRAME: libc::c_uint = 2048;

/// A ring on an interface.
#[derive(Debug)]
pub(super) struct Ring {
    socket: Socket,
    memory: Memory,
    shape: Shape,
    /// The block that is handed over next.
    next: usize,
}

impl Ring {
    /// Opens one on the interface of that number, for what passes the filter.
    pub(super) fn open(
        interface: u32,
        filter: &[libc::sock_filter],
        shape: Shape,
    ) -> io::Result<Self> {
        let socket = socket_with_ring(shape)?;
        attach(&socket, filter)?;
        ignore_outgoing(&socket);
        Self::bound(socket, interface, shape)
    }

    /// Opens one for what others say to each other on the interface of that number, and for what
    /// this machine says. It is deaf until [`Self::listen`].
    pub(super) fn open_to_all(interface: u32, shape: Shape) -> io::Result<Self> {
        let socket = socket_with_ring(shape)?;
        attach(&socket, &filter::for_none())?;
        Self::bound(socket, interface, shape)
    }

    /// Joins a group of readers, among whom that program shares out what passes.
    pub(super) fn join(
        &self,
        group: &Arc<Group>,
        program: &[libc::sock_filter],
    ) -> io::Result<Member> {
        group.join(&self.socket, program)
    }

    /// Hears from now on what passes the filter, and what is for others on that interface.
    pub(super) fn listen(&self, interface: u32, filter: &[libc::sock_filter]) -> io::Result<()> {
        attach(&self.socket, filter)?;
        let index = i32::try_from(interface).map_err(|_| io::ErrorKind::InvalidInput)?;
        let membership = libc::packet_mreq {
            mr_ifindex: index,
            mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        // It ends with the socket.
        set(&self.socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &membership)
    }

    fn bound(socket: Socket, interface: u32, shape: Shape) -> io::Result<Self> {
        let memory = Memory::of(&socket, shape)?;
        // Last: before this nothing arrives.
        bind(&socket, interface, libc::ETH_P_ALL as u16)?;
        Ok(Self { socket, memory, shape, next: 0 })
    }

    /// Another descriptor of its socket, to ask what was lost.
    pub(super) fn socket(&self) -> io::Result<Socket> {
        self.socket.try_clone()
    }

    /// Hands the next block to `read`, if it is ours, and then back to the kernel.
    pub(super) fn take<T>(&mut self, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let block = self.memory.block(self.next, self.shape)?;
        let status = status(block);
        // What the kernel wrote before it gave us the block is seen after this.
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        let got = read(self.memory.bytes(block, self.shape));
        // And what we read was read before this.
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.shape.blocks;
        Some(got)
    }

    /// How many blocks there are.
    pub(super) const fn blocks(&self) -> usize {
        self.shape.blocks
    }

    /// What is wrong with the socket, if something is. Tells once.
    pub(super) fn error(&self) -> Option<io::Error> {
        self.socket.take_error().unwrap_or_else(Some)
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A socket with a ring that is not mapped yet, on no interface.
pub(super) fn socket_with_ring(shape: Shape) -> io::Result<Socket> {
    let socket = packet_socket()?;
    // Of another version's numbers the kernel would make nothing of what follows.
    set(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &VERSION_3)?;
    let block_size = number(shape.block_size)?;
    let blocks = number(shape.blocks)?;
    let frames = (block_size / FRAME).checked_mul(blocks).ok_or(io::ErrorKind::InvalidInput)?;
    let request = libc::tpacket_req3 {
        tp_block_size: block_size,
        tp_block_nr: blocks,
        tp_frame_size: FRAME,
        tp_frame_nr: frames,
        tp_retire_blk_tov: shape.age,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    };
    set(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
    Ok(socket)
}

const VERSION_3: libc::c_int = libc::tpacket_versions::TPACKET_V3 as libc::c_int;

fn number(value: usize) -> io::Result<libc::c_uint> {
    libc::c_uint::try_from(value).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// The status of the block that begins there.
#[expect(unsafe_code, reason = "the status is shared with the kernel")]
fn status<'a>(block: NonNull<u8>) -> &'a AtomicU32 {
    // SAFETY: `block` is the start of a block of a mapping (see `Memory::block`), which is
    // aligned to a page and longer than its header, so that the pointer is aligned and
    // inside. `Ring` uses the reference only while it holds the mapping. The kernel writes
    // the word as a whole, and we touch it through this type alone: the slice of
    // `Memory::bytes` is read, never written.
    unsafe { AtomicU32::from_ptr(block.as_ptr().add(block::STATUS).cast()) }
}

/// The memory shared with the kernel.
#[derive(Debug)]
struct Memory {
    start: NonNull<u8>,
    len: usize,
}

#[expect(unsafe_code, reason = "a mapping may be read from any thread")]
// SAFETY: the memory belongs to this value alone and is unmapped when it goes; nothing of it
// is bound to the thread that made it.
unsafe impl Send for Memory {}

impl Memory {
    #[expect(unsafe_code, reason = "std does not map memory")]
    fn of(socket: &Socket, shape: Shape) -> io::Result<Self> {
        let len = shape.block_size.checked_mul(shape.blocks).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: no address is asked for, so that no memory of ours is replaced.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }

    /// The start of a block; `None` where there is no such block.
    #[expect(unsafe_code, reason = "pointers into the mapping")]
    fn block(&self, number: usize, shape: Shape) -> Option<NonNull<u8>> {
        let offset = number.checked_mul(shape.block_size)?;
        let end = offset.checked_add(shape.block_size)?;
        // SAFETY: the whole block lies inside the mapping, which is one object.
        (end <= self.len).then(|| unsafe { self.start.add(offset) })
    }

    /// The bytes of a block that is ours.
    #[expect(unsafe_code, reason = "the kernel filled them")]
    fn bytes(&self, block: NonNull<u8>, shape: Shape) -> &[u8] {
        // SAFETY: `block` comes from `Memory::block` of the same shape, so that as many
        // bytes are mapped, and they stay so as long as `self` is borrowed. The kernel
        // does not write to a block that it handed over, until the status is changed,
        // which `Ring::take` does after the slice is gone.
        unsafe { std::slice::from_raw_parts(block.as_ptr(), shape.block_size) }
    }
}

impl Drop for Memory {
    #[expect(unsafe_code, reason = "std does not unmap memory")]
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this start and length, and nobody borrows it
        // any more. It can fail only for other arguments.
        unsafe {
            libc::munmap(self.start.as_ptr().cast(), self.len);
        }
    }
}
