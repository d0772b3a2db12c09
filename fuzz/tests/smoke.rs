//! Every target bears a fixed number of damaged inputs, and every parser has a target.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fuzz::{
    TARGETS, Target,
    mutate::{Dice, damaged},
};

/// Inputs for each target. All of them together take a debug build some ten seconds on two
/// cores.
const INPUTS: usize = 1_000;

/// How long one input may take in a debug build on a busy machine: what takes longer grows
/// faster than its input.
const PATIENCE: Duration = Duration::from_secs(5);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What went wrong, with everything that is needed to do it again.
fn attempt(target: &Target, input: &[u8]) -> Result<(), String> {
    let run = || {
        let began = Instant::now();
        let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
        (ran, began.elapsed())
    };
    let (ran, mut took) = run();
    // What is only slow because the machine is busy is not slow again and again.
    for _ in 0..2 {
        if took > PATIENCE && ran.is_ok() {
            took = took.min(run().1);
        }
    }
    if let Err(panic) = ran {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        return Err(format!("{} panics ({text}) on {}", target.name, hex(input)));
    }
    if took > PATIENCE {
        return Err(format!("{} takes {took:?} for {}", target.name, hex(input)));
    }
    Ok(())
}

/// The target's seeds, every cut of the short ones, then damaged ones. The seed of the dice
/// is the target's name, so that a new target changes nothing for the others.
fn smoke(target: &Target) -> Result<(), String> {
    let seeds = (target.seeds)();
    if seeds.is_empty() {
        return Err(format!("{} has no seeds", target.name));
    }
    for seed in &seeds {
        attempt(target, seed)?;
        for len in (0..seed.len()).filter(|len| *len < 128 || len % 37 == 0) {
            attempt(target, &seed[..len])?;
        }
    }
    let name = target.name.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte));
    let mut dice = Dice::new(name);
    for _ in 0..INPUTS {
        attempt(target, &damaged(&seeds, &mut dice))?;
    }
    Ok(())
}

#[test]
fn every_target_bears_damaged_input() {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(target) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = smoke(target) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The largest messages: the seeds repeated, and one byte repeated, up to the longest datagram
/// or the most that a conversation reads.
#[test]
fn every_target_bears_long_input() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        let repeated = seeds.iter().filter(|seed| !seed.is_empty()).take(3);
        let repeated = repeated.map(|seed| seed.repeat(fuzz::mutate::LONGEST / seed.len()));
        let plain =
            [0x00, 0x20, 0x28, 0x2d, 0x30, 0x31, 0x80, 0xff].map(|byte| vec![byte; 16 << 10]);
        for input in repeated.chain(plain) {
            if let Err(failure) = attempt(target, &input) {
                panic!("{}…", failure.get(..400).unwrap_or(&failure));
            }
        }
    }
}

#[test]
fn a_panic_is_named_with_its_input() {
    let run = |bytes: &[u8]| assert!(bytes.len() < 3, "three is too many");
    let target = Target { name: "broken", run, seeds: || vec![b"abc".to_vec()] };
    let failure = smoke(&target).unwrap_err();
    assert_eq!(failure, "broken panics (three is too many) on 616263");
}

#[test]
fn names_are_unique() {
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len());
}

/// The public functions of a file of `wire` that read what somebody else wrote: they take bytes
/// or a reader and return what may fail, or more than a number.
fn parsers(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    for part in code.split("pub fn ").skip(1) {
        let signature = part.split('{').next().unwrap_or_default();
        let takes = signature.contains("[u8]") || signature.contains("Reader<");
        let fails = signature.contains("Result<")
            || signature.contains("Option<")
            || signature.contains("Option<Self>");
        let method = signature.contains("&self") || signature.contains("&mut self");
        if takes && fails && !method {
            let name = signature.split(['(', '<']).next().unwrap_or_default();
            found.push(name.to_owned());
        }
    }
    found
}

#[test]
fn every_parser_of_wire_has_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = ["protocols", "neighbours", "overheard", "flows", "access"];
    let read = |name| fs::read_to_string(root.join(format!("src/{name}.rs"))).unwrap();
    let targets = sources.map(read).concat();
    let mut missing = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(root.join("../wire/src")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let parsers = parsers(&fs::read_to_string(&path).unwrap());
        if parsers.is_empty() {
            continue;
        }
        files += 1;
        let name = format!("wire/{file}");
        if !TARGETS.iter().any(|target| target.name == name) {
            missing.push(format!("{name} has no target (reads: {})", parsers.join(", ")));
        }
        for parser in parsers {
            if file != "reader" && !targets.contains(&format!("::{parser}")) {
                missing.push(format!("{name}: nothing calls {parser}"));
            }
        }
    }
    assert!(files > 20, "the sources of wire were not found");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn the_search_for_parsers_sees_one() {
    let source =
        "pub fn read(bytes: &[u8]) -> Result<u8, Malformed> {}\npub fn build(a: u8) -> Vec<u8> {}";
    assert_eq!(parsers(source), ["read"]);
}
