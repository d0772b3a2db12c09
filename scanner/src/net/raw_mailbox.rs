//! From the threads that listen to the one that asks: answers, many at a time.
//!
//! A lock and a list rather than a queue of single answers: a million a second are a few
//! thousand blocks of the ring, and the reader takes all that is there in one piece.

use std::{
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::raw_frames::Heard;

/// How many answers may wait. Each is small (some 70 bytes) but for UDP answers.
const MOST: usize = 131_072;

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Vec<Heard>>,
    came: Condvar,
    lost: AtomicU64,
}

impl Shared {
    fn heard(&self) -> MutexGuard<'_, Vec<Heard>> {
        // Nobody leaves the list half changed.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where those who listen put what they hear.
#[derive(Clone, Debug)]
pub(super) struct Outlet(Arc<Shared>);

/// The end at which it comes out.
#[derive(Debug, Default)]
pub(super) struct Mailbox(Arc<Shared>);

impl Outlet {
    /// Hands over all that was heard, and leaves the list empty. What finds no room is
    /// counted and gone.
    pub(super) fn put(&self, new: &mut Vec<Heard>) {
        if new.is_empty() {
            return;
        }
        let mut heard = self.0.heard();
        let room = MOST.saturating_sub(heard.len());
        let lost = new.len().saturating_sub(room);
        heard.extend(new.drain(..).take(room));
        drop(heard);
        self.0.came.notify_one();
        self.count_lost(u64::try_from(lost).unwrap_or(u64::MAX));
    }

    /// Counts what could not be handed over.
    pub(super) fn count_lost(&self, count: u64) {
        self.0.lost.fetch_add(count, Ordering::Relaxed);
    }
}

impl Mailbox {
    /// A way to put something in.
    pub(super) fn outlet(&self) -> Outlet {
        Outlet(Arc::clone(&self.0))
    }

    /// All that was heard, in its order. Waits for something at most that long.
    pub(super) fn take(&self, wait: Duration) -> Vec<Heard> {
        let mut heard = self.0.heard();
        if heard.is_empty() && !wait.is_zero() {
            let waited = self.0.came.wait_timeout_while(heard, wait, |heard| heard.is_empty());
            heard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        mem::take(&mut *heard)
    }

    /// How many found no room.
    pub(super) fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Instant};

    use super::{
        super::{Answer, Reply},
        *,
    };

    fn answers(count: usize) -> Vec<Heard> {
        let about = [198, 18, 0, 9].into();
        vec![Heard::Reply(Reply { about, answer: Answer::Echo, ttl: None, mac: None }); count]
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let mailbox = Mailbox::default();
        let outlet = mailbox.outlet();
        outlet.put(&mut answers(MOST - 1));
        outlet.put(&mut answers(3));
        assert_eq!(mailbox.lost(), 2);
        assert_eq!(mailbox.take(Duration::ZERO).len(), MOST);
        outlet.put(&mut answers(1));
        assert_eq!((mailbox.take(Duration::ZERO).len(), mailbox.lost()), (1, 2));
    }

    #[test]
    fn an_answer_ends_the_wait_and_the_wait_ends_without_one() {
        let mailbox = Mailbox::default();
        let outlet = mailbox.outlet();
        let began = Instant::now();
        assert_eq!(mailbox.take(Duration::from_millis(20)).len(), 0);
        assert!(began.elapsed() >= Duration::from_millis(20));
        let teller = thread::spawn(move || outlet.put(&mut answers(1)));
        assert_eq!(mailbox.take(Duration::from_secs(60)).len(), 1);
        assert!(began.elapsed() < Duration::from_secs(50));
        teller.join().unwrap();
    }
}
