//! What commands print: text for people, JSON for programs.

pub(crate) mod asset;
pub(crate) mod certificate;
pub(crate) mod finding;
pub(crate) mod json;
pub(crate) mod table;

use std::io::{self, Write};

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

/// Prints a list as JSON, one line: what `json` makes of each.
pub(crate) fn print_json_list<'a, T: Sync, J: Serialize>(
    items: &'a [T],
    json: impl Fn(&'a T) -> J + Sync,
) -> Result<()> {
    let texts = cores::each(items.iter().collect(), |item| serde_json::to_string(&json(item)));
    let texts: Vec<String> = texts.into_iter().collect::<serde_json::Result<_>>()?;
    print(&format!("[{}]\n", texts.join(",")))
}

/// `1 address`, `2 addresses`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
