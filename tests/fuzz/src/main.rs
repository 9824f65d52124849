//! Throws mutated bytes at everything that reads bytes of strangers.
//!
//! Each target begins with its corpus and its seeds, then mutates what it knows until its time is over. An input is kept
//! when its outcome is new: the name of the check that failed says how far it came. A panic is a failure, and so is a
//! forgery that is believed; the input is written to `failures/`.

mod answers;
mod mutate;
mod targets;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mutate::Mutator;
use targets::Target;

/// Inputs that are kept at most.
const MOST: usize = 4_096;
/// Longest input.
const LONGEST: usize = 8_192;

/// What was asked for.
struct Options {
    seconds: u64,
    seed: u64,
    targets: Vec<String>,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            println!("{text}");
            return ExitCode::from(2);
        }
    };
    std::panic::set_hook(Box::new(|_| {}));
    let mut failed = false;
    for target in targets::all() {
        if options.targets.is_empty() || options.targets.iter().any(|name| name == target.name) {
            failed |= !hold(&target, &options);
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let names: Vec<_> = targets::all().iter().map(|target| target.name).collect();
    let usage = || format!("run [--seconds N] [--seed N] [TARGET...]\ntargets: {}", names.join(", "));
    let mut options = Options { seconds: 60, seed: 1, targets: Vec::new() };
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok()).ok_or_else(usage);
        match argument.as_str() {
            "--seconds" => options.seconds = number()?,
            "--seed" => options.seed = number()?,
            name if names.contains(&name) => options.targets.push(name.to_owned()),
            _ => return Err(usage()),
        }
    }
    Ok(options)
}

/// Runs one target for its time; whether it held.
fn hold(target: &Target, options: &Options) -> bool {
    let (began, time) = (Instant::now(), Duration::from_secs(options.seconds));
    let mut known = corpus(target.name);
    known.extend((target.seeds)());
    let mut outcomes = HashSet::new();
    for input in &known {
        match outcome(target, input) {
            Some(outcome) => outcomes.insert(outcome),
            None => return false,
        };
    }
    let mut mutator = Mutator::new(options.seed);
    let mut tries = known.len() as u64;
    while began.elapsed() < time {
        let input = mutator.mutated(&known, LONGEST);
        tries += 1;
        let Some(outcome) = outcome(target, &input) else { return false };
        if outcomes.insert(outcome) && known.len() < MOST {
            known.push(input);
        }
    }
    println!("{:<12} {tries} inputs, {} outcomes", target.name, outcomes.len());
    true
}

/// What a target makes of an input; `None` if it fails, which is told and kept.
fn outcome(target: &Target, input: &[u8]) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        Ok(outcome) => Some(outcome),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            let file = here().join("failures").join(format!("{}-{:016x}", target.name, fingerprint(input)));
            let _ = std::fs::create_dir_all(here().join("failures"));
            let kept =
                std::fs::write(&file, input).map_or_else(|error| error.to_string(), |()| file.display().to_string());
            println!("{}: FAILED: {}\n  the input: {kept}", target.name, text.unwrap_or("a panic"));
            None
        }
    }
}

/// The committed inputs of a target.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(here().join("corpus").join(name)).into_iter().flatten().flatten();
    let mut paths: Vec<_> = files.map(|file| file.path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "corpus/{name} has nothing to begin with");
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// FNV-1a: enough to tell two files apart.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
