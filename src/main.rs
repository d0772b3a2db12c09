//! The program. Everything meets here and nothing is decided here: a command takes the
//! configuration apart, hands each crate its values, and prints what comes back.

mod cli;
mod clock;
mod compose;
mod confine;
mod daemon;
mod demo;
mod jobs;
mod notify;
mod report;
mod tell;
mod trusted;
mod wait;
mod web;
mod who;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::args::Cli;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap knows where each belongs. A closed output
            // is nobody's concern here.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { FAILED } else { 0 });
        }
    };
    match cli::run(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tell::failure(&error);
            ExitCode::from(FAILED)
        }
    }
}

/// The exit code of a command that could not do its work.
const FAILED: u8 = 2;
