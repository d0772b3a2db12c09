//! Runs one target for so many seconds: `daicho-fuzz NAME SECONDS [SEED]`.
//!
//! Each input is announced to nobody until it fails: a panic, or more than a second for one
//! input, ends the run with the input in hexadecimal and exit code 1.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

use std::{
    env,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    time::{Duration, Instant},
};

use fuzz::{
    TARGETS, Target,
    mutate::{Dice, damaged},
};

/// How long one input may take.
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (name, seconds, seed) = match arguments.as_slice() {
        [name, seconds] => (name, seconds.parse(), Ok(1)),
        [name, seconds, seed] => (name, seconds.parse(), seed.parse()),
        _ => return usage(),
    };
    let (Ok(seconds), Ok(seed)) = (seconds, seed) else { return usage() };
    let chosen: Vec<&Target> =
        TARGETS.iter().filter(|target| name == "all" || target.name == name).collect();
    if chosen.is_empty() {
        return usage();
    }
    // The time is for all of them together.
    let each = Duration::from_secs(seconds) / u32::try_from(chosen.len()).unwrap_or(u32::MAX);
    let mut code = ExitCode::SUCCESS;
    for target in chosen {
        match run(target, each, seed) {
            Ok((count, slowest)) => {
                println!("{}: {count} inputs, slowest {slowest:?}", target.name);
            }
            Err(failure) => {
                println!("{failure}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn usage() -> ExitCode {
    eprintln!("daicho-fuzz NAME SECONDS [SEED], where NAME is all or one of:");
    for target in TARGETS {
        eprintln!("  {}", target.name);
    }
    ExitCode::from(2)
}

fn run(target: &Target, time: Duration, seed: u64) -> Result<(u64, Duration), String> {
    let seeds = (target.seeds)();
    let mut dice = Dice::new(seed);
    let (mut count, mut slowest) = (0, Duration::ZERO);
    let end = Instant::now() + time;
    while Instant::now() < end {
        let input = damaged(&seeds, &mut dice);
        let began = Instant::now();
        let ran = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        let took = began.elapsed();
        slowest = slowest.max(took);
        count += 1;
        if ran.is_err() || took > PATIENCE {
            let how = if ran.is_err() { "panics".to_owned() } else { format!("takes {took:?}") };
            let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(format!("{} {how} on {hex}", target.name));
        }
    }
    Ok((count, slowest))
}
