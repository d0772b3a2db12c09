//! Work on long lists, shared out to the cores of the machine.
//!
//! The answers come in the order of the items, so that nothing depends on which core was
//! faster.

use std::thread;

/// Items that are worth a thread: what one costs, several times over.
const WORTH_A_THREAD: usize = 1_000;

/// What a function makes of each item, in their order.
///
/// # Panics
///
/// Where the function does.
pub fn each<T: Send, R: Send>(items: Vec<T>, make: impl Fn(T) -> R + Sync) -> Vec<R> {
    shared_out(items, WORTH_A_THREAD, make)
}

/// The same for items that are worth a thread each.
///
/// # Panics
///
/// Where the function does.
pub fn each_large<T: Send, R: Send>(items: Vec<T>, make: impl Fn(T) -> R + Sync) -> Vec<R> {
    shared_out(items, 1, make)
}

fn shared_out<T: Send, R: Send>(
    mut items: Vec<T>,
    least: usize,
    make: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(least);
    let mut others = Vec::new();
    while items.len() > share {
        others.push(items.split_off(items.len().saturating_sub(share)));
    }
    thread::scope(|scope| {
        let make = &make;
        let share_out = |part: Vec<T>| scope.spawn(move || part.into_iter().map(make).collect());
        // The parts were cut off from the end.
        let threads: Vec<_> = others.into_iter().rev().map(share_out).collect();
        let mut made: Vec<R> = items.into_iter().map(make).collect();
        for thread in threads {
            let part: Vec<R> =
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            made.extend(part);
        }
        made
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_items() {
        for count in [0, 1, 999, 1_000, 1_001, 2_500, 10_007] {
            let made = each((0..count).collect(), |number: usize| number * 2);
            assert!(made.iter().copied().eq((0..count).map(|number| number * 2)), "{count}");
            let made = each_large((0..count).collect(), |number: usize| number * 2);
            assert!(made.iter().copied().eq((0..count).map(|number| number * 2)), "{count}");
        }
    }

    #[test]
    #[should_panic(expected = "the last")]
    fn a_panic_is_passed_on() {
        each((0..5_000).collect(), |number: usize| assert!(number < 4_999, "the last"));
    }
}
