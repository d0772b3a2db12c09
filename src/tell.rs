//! What is said to the person at the terminal, beside the data: on standard error.

use std::{
    error::Error,
    io::{self, Write as _},
};

use scanner::{LinkError, net::select};

use crate::report::table::printable;

/// Says a line, or several. A closed standard error has nobody listening.
pub(crate) fn line(text: &str) {
    for line in text.lines() {
        let _ = writeln!(io::stderr(), "{}", printable(line));
    }
}

/// An error and everything that caused it, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let cause_text = error.to_string();
        // Some libraries repeat their source in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        cause = error.source();
    }
    text
}

/// Says why a command failed: the whole chain on one line, then what to do about it.
pub(crate) fn failure(error: &anyhow::Error) {
    line(&format!("daicho: {}", chain(error.as_ref())));
    let advice = error.downcast_ref::<LinkError>().and_then(select::advice);
    for hint in advice.iter().flat_map(|advice| advice.lines()) {
        line(&format!("  {hint}"));
    }
}
