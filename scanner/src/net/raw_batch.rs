//! Frames that wait for one call of the system, and what becomes of those that it does
//! not take: nothing is lost, nothing is sent twice, and nothing is said to be sent that
//! was not.

use std::{collections::VecDeque, io, net::IpAddr};

/// How many frames one call takes. The cost of a call is spread thin at 64 already; more
/// than this only makes a stop take longer to be seen.
pub(super) const MOST: usize = 256;

/// Room for the bytes of a batch: the longest packet that IP allows, and of usual questions
/// the whole number.
const ROOM: usize = 128 * 1024;

/// Where a frame is among the bytes of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Span {
    start: usize,
    end: usize,
}

impl Span {
    /// All of these bytes.
    pub(super) const fn whole(bytes: &[u8]) -> Self {
        Self { start: 0, end: bytes.len() }
    }

    /// The frame.
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }
}

/// What takes frames.
pub(super) trait Submit: Send {
    /// Hands over frames that lie in `bytes`, at most [`MOST`] of them, in order. Returns
    /// how many were taken, at least one; or why the first was not.
    fn submit(&mut self, bytes: &[u8], frames: &[Span]) -> io::Result<usize>;
}

/// What an error of sending is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// The interface is gone or down.
    Interface,
    /// There is no room just now.
    Passing,
    /// This frame, and no other.
    Frame,
}

impl Trouble {
    /// What an error is about.
    pub(super) fn of(error: &io::Error) -> Self {
        match (error.raw_os_error(), error.kind()) {
            (Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV), _) => Self::Interface,
            (Some(libc::ENOBUFS | libc::ENOMEM | libc::EAGAIN), _)
            | (
                _,
                io::ErrorKind::TimedOut | io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock,
            ) => Self::Passing,
            _ => Self::Frame,
        }
    }
}

/// Frames that wait, in order, each with the target of its question.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    frames: Vec<Span>,
    targets: Vec<IpAddr>,
}

impl Batch {
    /// Whether a frame of that many bytes finds room.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.frames.len() < MOST && self.bytes.len().saturating_add(len) <= ROOM
    }

    /// Adds a frame, made of these parts, and filled up with zeros to `least` bytes.
    pub(super) fn push(&mut self, target: IpAddr, parts: [&[u8]; 2], least: usize) {
        let start = self.bytes.len();
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        let end = self.bytes.len().max(start.saturating_add(least));
        self.bytes.resize(end, 0);
        self.frames.push(Span { start, end });
        self.targets.push(target);
    }

    /// How many frames wait.
    pub(super) const fn len(&self) -> usize {
        self.frames.len()
    }

    /// Hands over what waits. A frame that is refused for a reason of its own goes to
    /// `refused`, and the others are not kept up by it.
    ///
    /// # Errors
    ///
    /// Any other trouble; the frames from the first one on that was not taken still wait.
    pub(super) fn flush(
        &mut self,
        submit: &mut dyn Submit,
        refused: &mut VecDeque<(IpAddr, io::Error)>,
    ) -> io::Result<()> {
        let mut done = 0;
        let result = loop {
            let waiting = self.frames.get(done..).unwrap_or_default();
            if waiting.is_empty() {
                break Ok(());
            }
            match submit.submit(&self.bytes, waiting) {
                Ok(0) => break Err(io::ErrorKind::WouldBlock.into()),
                Ok(taken) => done += taken.min(waiting.len()),
                Err(error) if Trouble::of(&error) == Trouble::Frame => {
                    refused.extend(self.targets.get(done).map(|target| (*target, error)));
                    done += 1;
                }
                Err(error) => break Err(error),
            }
        };
        self.forget(done);
        result
    }

    /// Takes the first frames out.
    fn forget(&mut self, count: usize) {
        let first = self.frames.get(count).map_or(self.bytes.len(), |span| span.start);
        if first >= self.bytes.len() {
            self.bytes.clear();
        } else {
            self.bytes.drain(..first);
        }
        self.frames.drain(..count.min(self.frames.len()));
        self.targets.drain(..count.min(self.targets.len()));
        for span in &mut self.frames {
            (span.start, span.end) = (span.start - first, span.end - first);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A system that answers as written down, and takes everything afterwards.
    #[derive(Default)]
    struct System {
        answers: VecDeque<Result<usize, i32>>,
        took: Vec<Vec<u8>>,
    }

    impl System {
        fn answering(answers: impl Into<VecDeque<Result<usize, i32>>>) -> Self {
            Self { answers: answers.into(), took: Vec::new() }
        }
    }

    impl Submit for System {
        fn submit(&mut self, bytes: &[u8], frames: &[Span]) -> io::Result<usize> {
            let taken = match self.answers.pop_front() {
                Some(Err(number)) => return Err(io::Error::from_raw_os_error(number)),
                Some(Ok(taken)) => taken.clamp(1, frames.len()),
                None => frames.len(),
            };
            self.took.extend(frames[..taken].iter().map(|span| span.of(bytes).to_vec()));
            Ok(taken)
        }
    }

    fn target(number: u8) -> IpAddr {
        [198, 18, 0, number].into()
    }

    fn batch(numbers: std::ops::Range<u8>) -> Batch {
        let mut batch = Batch::default();
        for number in numbers {
            batch.push(target(number), [&[number], &[number, 7]], usize::from(number % 5));
        }
        batch
    }

    fn numbers(system: &System) -> Vec<u8> {
        system.took.iter().map(|frame| frame[0]).collect()
    }

    #[test]
    fn a_frame_is_its_parts_and_zeros() {
        let mut system = System::default();
        batch(4..5).flush(&mut system, &mut VecDeque::new()).unwrap();
        assert_eq!(system.took, [[4, 4, 7, 0]]);
    }

    #[test]
    fn what_the_system_has_no_room_for_is_sent_the_next_time_in_order() {
        let mut batch = batch(0..6);
        let mut refused = VecDeque::new();
        let mut system =
            System::answering([Ok(2), Err(libc::ENOBUFS), Err(libc::EAGAIN), Ok(1), Ok(1)]);
        let error = batch.flush(&mut system, &mut refused).unwrap_err();
        assert_eq!((Trouble::of(&error), batch.len()), (Trouble::Passing, 4));
        let error = batch.flush(&mut system, &mut refused).unwrap_err();
        assert_eq!((error.raw_os_error(), batch.len()), (Some(libc::EAGAIN), 4));
        batch.push(target(6), [&[6], &[]], 0);
        batch.flush(&mut system, &mut refused).unwrap();
        assert_eq!((numbers(&system), batch.len()), ((0..7).collect(), 0));
        assert!(refused.is_empty());
    }

    #[test]
    fn a_frame_that_is_refused_is_told_and_holds_up_nobody() {
        let mut batch = batch(0..4);
        let mut refused = VecDeque::new();
        let mut system = System::answering([Ok(1), Err(libc::EMSGSIZE), Ok(1), Err(libc::EINVAL)]);
        batch.flush(&mut system, &mut refused).unwrap();
        assert_eq!(numbers(&system), [0, 2]);
        let told: Vec<_> = refused.iter().map(|(to, e)| (*to, e.raw_os_error())).collect();
        let expected = [(target(1), Some(libc::EMSGSIZE)), (target(3), Some(libc::EINVAL))];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_interface_that_is_gone_takes_nothing_and_refuses_nobody() {
        let mut batch = batch(0..3);
        let mut refused = VecDeque::new();
        let mut system = System::answering([Err(libc::ENETDOWN)]);
        let error = batch.flush(&mut system, &mut refused).unwrap_err();
        assert_eq!((Trouble::of(&error), batch.len()), (Trouble::Interface, 3));
        assert!(refused.is_empty() && system.took.is_empty());
    }

    #[test]
    fn ten_seconds_without_room_lose_nothing() {
        let mut batch = batch(0..200);
        let mut refused = VecDeque::new();
        let mut system = System::answering(vec![Err(libc::ENOBUFS); 10_000]);
        let mut busy = 0;
        while let Err(error) = batch.flush(&mut system, &mut refused) {
            assert_eq!((Trouble::of(&error), batch.len()), (Trouble::Passing, 200));
            busy += 1;
        }
        assert_eq!((busy, numbers(&system)), (10_000, (0..200).collect()));
    }

    #[test]
    fn a_batch_is_full_by_number_or_by_bytes() {
        let mut batch = Batch::default();
        for number in 0..MOST {
            assert!(batch.has_room(60), "{number}");
            batch.push(target(1), [&[0; 60], &[]], 0);
        }
        assert!(!batch.has_room(1));
        let mut batch = Batch::default();
        batch.push(target(1), [&[0; ROOM - 59], &[]], 0);
        assert!(batch.has_room(59) && !batch.has_room(60));
    }

    proptest! {
        #[test]
        fn every_frame_is_sent_once_or_told(
            answers in proptest::collection::vec(
                prop_oneof![
                    (1..5_usize).prop_map(Ok),
                    prop::sample::select(vec![libc::ENOBUFS, libc::EMSGSIZE, libc::ENETDOWN])
                        .prop_map(Err),
                ],
                0..40,
            ),
            flushes in proptest::collection::vec(0..20_u8, 1..8),
        ) {
            let mut batch = Batch::default();
            let mut refused = VecDeque::new();
            let mut system = System::answering(answers);
            let mut next = 0;
            for more in flushes {
                for _ in 0..more {
                    batch.push(target(next), [&[next], &[]], 0);
                    next += 1;
                }
                let _ = batch.flush(&mut system, &mut refused);
            }
            while batch.flush(&mut system, &mut refused).is_err() {}
            let told = refused.iter().map(|(to, _)| match to {
                IpAddr::V4(v4) => v4.octets()[3],
                IpAddr::V6(_) => unreachable!(),
            });
            let sent = numbers(&system);
            prop_assert!(sent.is_sorted());
            let mut all: Vec<u8> = sent.into_iter().chain(told).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..next).collect::<Vec<u8>>());
        }
    }
}
