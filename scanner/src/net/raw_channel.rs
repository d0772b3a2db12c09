//! An interface opened for frames of our own, one way or the other: Linux's own way, or
//! the portable one where that cannot be had.

use std::{collections::VecDeque, io, net::IpAddr};

use model::MacAddr;

use super::{
    interfaces::Interface,
    linux::{self, Listening, Shape, filter},
    raw_batch::{Batch, Span, Submit, Trouble},
    raw_cookie::Cookies,
    raw_mailbox::Outlet,
    raw_portable::Portable,
};
use crate::LinkError;

/// How an interface is to be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Via {
    /// With a receive ring of this shape; by the portable channel where there can be none.
    Ring(Shape),
    /// By the portable channel.
    Portable,
}

impl Default for Via {
    fn default() -> Self {
        Self::Ring(Shape::default())
    }
}

/// An interface, open.
pub(super) struct Channel {
    pub(super) index: u32,
    name: String,
    batch: Batch,
    submit: Box<dyn Submit>,
    ears: Ears,
}

/// Who listens.
enum Ears {
    Ring(Listening),
    Portable(Portable),
}

impl Channel {
    /// Opens the interface whose link-layer address is `mac`.
    ///
    /// # Errors
    ///
    /// Those of the portable channel, if both fail; [`LinkError::Down`] and
    /// [`LinkError::Unprivileged`] at once.
    pub(super) fn open(
        interface: &Interface,
        mac: MacAddr,
        via: Via,
        cookies: &Cookies,
        outlet: &Outlet,
    ) -> Result<Self, LinkError> {
        let filter = filter::program(mac, &cookies.ports());
        let by_ring = |shape| -> io::Result<(Box<dyn Submit>, Ears)> {
            let name = (interface.index, interface.name.as_str());
            let (cookies, outlet) = (cookies.clone(), outlet.clone());
            let ears = Listening::start(name, mac, &filter, shape, cookies, outlet)?;
            Ok((Box::new(linux::Sender::open(interface.index)?), Ears::Ring(ears)))
        };
        let ring = match via {
            Via::Ring(shape) => by_ring(shape),
            Via::Portable => Err(io::ErrorKind::Unsupported.into()),
        };
        let (submit, ears) = match ring {
            Ok(both) => both,
            Err(error) if is_final(&error) => return Err(failed(interface, error)),
            // Too old a kernel, or no memory for a ring.
            Err(_) => {
                let (cookies, outlet) = (cookies.clone(), outlet.clone());
                let opened = Portable::open(interface, mac, &filter, cookies, outlet);
                let (sender, ears) = opened.map_err(|error| failed(interface, error))?;
                let submit: Box<dyn Submit> = Box::new(sender);
                (submit, Ears::Portable(ears))
            }
        };
        let name = interface.name.clone();
        Ok(Self { index: interface.index, name, batch: Batch::default(), submit, ears })
    }

    /// Keeps a frame for the next batch, of these parts, filled up with zeros to `least`
    /// bytes. A full batch is handed over first.
    #[inline]
    pub(super) fn push(
        &mut self,
        target: IpAddr,
        parts: [&[u8]; 2],
        least: usize,
        refused: &mut VecDeque<(IpAddr, io::Error)>,
    ) -> Result<(), LinkError> {
        let len = parts.iter().map(|part| part.len()).sum::<usize>().max(least);
        if !self.batch.has_room(len) {
            let flushed = self.flush(refused);
            if !self.batch.has_room(len) {
                flushed?;
                // It was flushed and has no room: the frame is longer than any may be.
                let source = io::Error::from_raw_os_error(libc::EMSGSIZE);
                return Err(LinkError::Send { address: target, source });
            }
        }
        self.batch.push(target, parts, least);
        Ok(())
    }

    /// Hands over what was kept.
    pub(super) fn flush(
        &mut self,
        refused: &mut VecDeque<(IpAddr, io::Error)>,
    ) -> Result<(), LinkError> {
        let flushed = self.batch.flush(self.submit.as_mut(), refused);
        flushed.map_err(|source| match Trouble::of(&source) {
            Trouble::Interface => LinkError::Down { interface: self.name.clone(), source },
            Trouble::Passing | Trouble::Frame => LinkError::Busy { source },
        })
    }

    /// Hands over one frame, before those that were kept.
    pub(super) fn send_now(&mut self, address: IpAddr, frame: &[u8]) -> Result<(), LinkError> {
        let sent = self.submit.submit(frame, &[Span::whole(frame)]);
        sent.map(|_| ()).map_err(|source| match Trouble::of(&source) {
            Trouble::Interface => LinkError::Down { interface: self.name.clone(), source },
            Trouble::Passing => LinkError::Busy { source },
            Trouble::Frame => LinkError::Send { address, source },
        })
    }

    /// How many frames are kept.
    pub(super) const fn unsent(&self) -> usize {
        self.batch.len()
    }

    /// Frames that the kernel had no room for.
    pub(super) fn losses(&mut self) -> u64 {
        match &mut self.ears {
            Ears::Ring(ring) => ring.losses(),
            Ears::Portable(portable) => portable.losses(),
        }
    }

    /// That nothing is received any more, if that is so. Tells once.
    pub(super) fn take_loss(&self) -> Option<LinkError> {
        let loss = match &self.ears {
            Ears::Ring(ring) => ring.take_loss(),
            Ears::Portable(portable) => portable.take_loss(),
        };
        loss.map(|source| self.is_gone(source))
    }

    /// The error that says that the interface is gone.
    pub(super) fn is_gone(&self, source: io::Error) -> LinkError {
        LinkError::Down { interface: self.name.clone(), source }
    }
}

/// Whether it makes no difference how the interface is opened.
fn is_final(error: &io::Error) -> bool {
    let denied = matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES));
    denied || Trouble::of(error) == Trouble::Interface
}

fn failed(interface: &Interface, source: io::Error) -> LinkError {
    let interface = interface.name.clone();
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => LinkError::Unprivileged { interface },
        Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO) => LinkError::Down { interface, source },
        _ => LinkError::Open { interface, source },
    }
}
