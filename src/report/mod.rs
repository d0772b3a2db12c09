//! What commands print: text for people, JSON for programs.

pub(crate) mod asset;
pub(crate) mod certificate;
pub(crate) mod finding;
pub(crate) mod json;
pub(crate) mod table;

use std::{
    io::{self, Write},
    sync::mpsc,
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

/// Prints a list as JSON, one line: what `json` makes of each. While some of it is printed,
/// what follows is made.
pub(crate) fn print_json_list<'a, T: Sync, J: Serialize>(
    items: &'a [T],
    json: impl Fn(&'a T) -> J + Sync,
) -> Result<()> {
    /// Items that are printed at once.
    const AT_ONCE: usize = 500;
    let made = |items: &'a [T]| -> serde_json::Result<String> {
        let mut text = String::new();
        for item in items {
            text.push(',');
            text.push_str(&serde_json::to_string(&json(item))?);
        }
        Ok(text)
    };
    thread::scope(|scope| {
        let (hand, take) = mpsc::sync_channel(4);
        scope.spawn(move || {
            // Where nobody takes any more, there is nothing left to do.
            let _ = items.chunks(AT_ONCE).map(made).try_for_each(|text| hand.send(text));
        });
        print("[")?;
        for (place, text) in take.iter().enumerate() {
            let text = text?;
            // Each item is led by a comma, but the first of all.
            print(text.get(usize::from(place == 0)..).unwrap_or_default())?;
        }
        print("]\n")
    })
}

/// `1 address`, `2 addresses`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
