//! Brings the lab up, runs one command where its scanner stands, and takes it down:
//! `cargo run -p daicho-lab -- [--only NAME,NAME|--before-tls] PROGRAM ARGUMENT…`.

use std::{path::Path, process::ExitCode};

use lab::Lab;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let before_tls = arguments.first().is_some_and(|first| first == "--before-tls");
    let only = match arguments.first().map(String::as_str) {
        Some("--before-tls") => Some(arguments.drain(..1).next()),
        Some("--only") if arguments.len() > 1 => Some(arguments.drain(..2).nth(1)),
        _ => None,
    };
    let only = only.flatten().unwrap_or_default();
    let names: Vec<&str> = only.split(',').filter(|name| !name.is_empty()).collect();
    let lab = match (before_tls, &names[..]) {
        (true, _) => Lab::before_tls(),
        (false, []) => Lab::up(),
        (false, names) => Lab::with_only(names),
    };
    let (lab, [program, rest @ ..]) = (lab, &arguments[..]) else { return ExitCode::from(2) };
    let run = lab.map(|lab| lab.command(Path::new(program)).args(rest).status());
    match run {
        Ok(Ok(status)) if status.success() => ExitCode::SUCCESS,
        Ok(Ok(_)) => ExitCode::FAILURE,
        Ok(Err(error)) => complain(&error.to_string()),
        Err(error) => complain(&error.to_string()),
    }
}

fn complain(problem: &str) -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "lab: {problem}");
    ExitCode::from(2)
}
