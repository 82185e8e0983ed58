//! Plays many simulated histories, or a single one with all its events printed.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use clap::Parser;
use e2e::histories::{Configs, Mutation, Tally, play};

/// Play simulated histories of the launch protocol against the model of ECS. Exit with 1 if one of them breaks a rule.
#[derive(Debug, Parser)]
struct Arguments {
    /// The number of histories.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Play only the history of this seed, and print everything that happens in it.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Break the protocol in this way, to see that a rule notices it.
    #[arg(long)]
    mutation: Option<Mutation>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed, arguments.mutation),
        None => many(arguments.from, arguments.seeds, arguments.mutation),
    }
}

fn one(seed: u64, mutation: Option<Mutation>) -> ExitCode {
    let report = play(&Configs::default(), seed, mutation, true);
    let mut out = stdout().lock();
    for line in &report.history {
        // A reader may close the pipe early, as `head` does.
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    match report.violation {
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    }
}

fn many(from: u64, seeds: u64, mutation: Option<Mutation>) -> ExitCode {
    let next = AtomicU64::new(from);
    let tally = Mutex::new(Tally::default());
    let broken: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let configs = Configs::default();
                let mut own = Tally::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        break;
                    }
                    let report = play(&configs, seed, mutation, false);
                    own.add(report.tally);
                    if let Some(violation) = report.violation {
                        *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some((seed, violation));
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                    }
                    if seed.is_multiple_of(1000) && stderr().is_terminal() {
                        eprint!("\r{} of {seeds} histories", seed - from);
                    }
                }
                tally.lock().unwrap_or_else(PoisonError::into_inner).add(own);
            });
        }
    });
    println!("{seeds} histories from seed {from}: {:?}", tally.into_inner().unwrap_or_else(PoisonError::into_inner));
    match broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => {
            println!("no rule was broken");
            ExitCode::SUCCESS
        }
        Some((seed, violation)) => {
            println!("seed {seed}: {violation}");
            println!("to replay it: cargo run -p e2e --bin simulation --profile simulation -- --seed {seed}");
            ExitCode::FAILURE
        }
    }
}
