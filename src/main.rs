//! The program. Everything meets here and nothing is decided here: a command takes the
//! configuration apart, hands each crate its values, and prints what comes back.

mod cli;
mod clock;
mod compose;
mod confine;
mod daemon;
mod demo;
mod jobs;
mod language;
mod notify;
mod report;
mod tell;
mod trusted;
mod wait;
mod web;
mod who;

use std::process::ExitCode;

use clap::Parser as _;
use scanner::net::broker;

use crate::cli::args::Cli;

fn main() -> ExitCode {
    // Begun by ourselves, to open sockets for who may not.
    if std::env::args_os().skip(1).eq([broker::COMMAND]) {
        return match broker::lend() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tell::failure(&error.into());
                ExitCode::from(FAILED)
            }
        };
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap knows where each belongs. A closed output
            // is nobody's concern here.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { FAILED } else { 0 });
        }
    };
    let done = cli::run(&cli);
    broker::end();
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tell::failure(&error);
            ExitCode::from(FAILED)
        }
    }
}

/// The exit code of a command that could not do its work.
const FAILED: u8 = 2;
