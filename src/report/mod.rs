//! What commands print: text for people, JSON for programs.

pub(crate) mod asset;
pub(crate) mod certificate;
pub(crate) mod decision;
pub(crate) mod finding;
pub(crate) mod json;
pub(crate) mod list;
pub(crate) mod scan;
pub(crate) mod table;

use std::{
    io::{self, Write},
    sync::mpsc,
    thread,
};

use anyhow::Result;
use inventory::cores;
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

/// Prints a list as JSON, one line: what `json` makes of each. While some of it is printed,
/// what follows is made.
pub(crate) fn print_json_list<'a, T: Sync, J: Serialize>(
    items: &'a [T],
    json: impl Fn(&'a T) -> J + Sync,
) -> Result<()> {
    /// Items that are printed at once.
    const AT_ONCE: usize = 2_000;
    let made = |items: &'a [T]| -> serde_json::Result<String> {
        let made = cores::each(items.iter().collect(), |item| serde_json::to_string(&json(item)));
        let made: Vec<String> = made.into_iter().collect::<serde_json::Result<_>>()?;
        Ok(made.join(","))
    };
    thread::scope(|scope| {
        let (hand, take) = mpsc::sync_channel(1);
        scope.spawn(move || {
            // Where nobody takes any more, there is nothing left to do.
            let _ = items.chunks(AT_ONCE).map(made).try_for_each(|text| hand.send(text));
        });
        let mut before = "[";
        for text in take {
            print(before)?;
            print(&text?)?;
            before = ",";
        }
        print(if items.is_empty() { "[]\n" } else { "]\n" })
    })
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `1 address`, `2 addresses`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
