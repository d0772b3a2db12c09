//! What commands print: text for people, JSON for programs.

pub(crate) mod asset;
pub(crate) mod finding;
pub(crate) mod json;
pub(crate) mod table;

use std::{
    io::{self, Write},
    thread,
};

use anyhow::Result;
use serde::Serialize;

/// Prints to standard output. A reader that has gone away (`| head`) is no failure.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Prints a value as JSON, one line.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string(value)?))
}

/// Prints a list as JSON, one line: what `json` makes of each.
pub(crate) fn print_json_list<T: Sync, J: Serialize>(
    items: &[T],
    json: impl Fn(&T) -> J + Sync,
) -> Result<()> {
    let texts = each(items, |item| serde_json::to_string(&json(item)));
    let texts: Vec<String> = texts.into_iter().collect::<serde_json::Result<_>>()?;
    print(&format!("[{}]\n", texts.join(",")))
}

/// What a function makes of each, in their order. Long lists are shared out to the cores.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], make: impl Fn(&T) -> R + Sync) -> Vec<R> {
    // What a thread costs, several times over.
    const WORTH_A_THREAD: usize = 1_000;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(WORTH_A_THREAD);
    let Some((own, others)) = items.split_at_checked(share) else {
        return items.iter().map(make).collect();
    };
    thread::scope(|scope| {
        let make = &make;
        let share_out = |part| scope.spawn(move || <[T]>::iter(part).map(make).collect());
        let threads: Vec<_> = others.chunks(share).map(share_out).collect();
        let mut made: Vec<R> = own.iter().map(make).collect();
        for thread in threads {
            let part: Vec<R> =
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            made.extend(part);
        }
        made
    })
}

/// `1 address`, `2 addresses`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
