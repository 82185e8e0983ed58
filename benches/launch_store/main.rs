//! Measures the launch store: the functions' real binaries against stand-ins for AWS with stated latencies. Prints what
//! was measured beside the goals.

#![expect(clippy::expect_used, reason = "a benchmark that cannot continue has failed")]

mod account;
mod crowd;
mod fan_out;
mod late;
mod report;
mod sandbox;
mod single;
mod sweep;

use std::process::ExitCode;
use std::thread;

use clap::{Parser, ValueEnum};

use account::{DYNAMODB_LATENCY, ECS_LATENCY, S3_LATENCY, SQS_LATENCY};
use report::Row;
use sandbox::Binaries;

/// Measure the launch store: the functions' real binaries against stand-ins for AWS. Takes two and a half minutes. Exit
/// with 1 if a goal is missed.
#[derive(Debug, Parser)]
struct Arguments {
    /// Start all 10,000 elements of `for_each`, which takes more than eight minutes, and not only 1,000.
    #[arg(long)]
    full: bool,
    /// Measure only this.
    #[arg(long)]
    only: Option<Part>,
    /// Print JSON with all figures.
    #[arg(long)]
    json: bool,
    /// Use the functions' binaries that are there, without building them.
    #[arg(long)]
    no_build: bool,
}

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One launch: the time to its call, and its cost.
    Single,
    /// A large event: all launches recorded.
    Recorded,
    /// A large event: all launches started.
    Started,
    /// Many messages with one limit.
    Crowd,
    /// The sweep of a large table.
    Sweep,
    /// Launches that wait for a `backoff` or a `timeout`.
    Late,
}

impl Part {
    fn measure(self, binaries: &Binaries, is_full: bool) -> Vec<Row> {
        let rows = match self {
            Self::Single => single::measure(binaries),
            Self::Recorded => vec![fan_out::recorded(binaries)],
            Self::Started => vec![fan_out::started(binaries, is_full)],
            Self::Crowd => vec![crowd::measure(binaries)],
            Self::Sweep => vec![sweep::measure(binaries)],
            Self::Late => vec![late::measure(binaries)],
        };
        // Shows that the benchmark goes on.
        rows.iter().for_each(|row| eprintln!("measured: {}", row.work));
        rows
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let binaries = &Binaries::new(arguments.no_build);
    let measure = |part: Part| match arguments.only {
        Some(only) if only != part => Vec::new(),
        _ => part.measure(binaries, arguments.full),
    };
    let rows: Vec<Row> = thread::scope(|scope| {
        // It mostly waits, in an account of its own, so it takes no processor time from the others.
        let late = scope.spawn(|| measure(Part::Late));
        let others = [Part::Single, Part::Recorded, Part::Started, Part::Crowd, Part::Sweep];
        let rows: Vec<Row> = others.into_iter().flat_map(measure).collect();
        rows.into_iter().chain(late.join().expect("is measured")).collect()
    });
    if arguments.json {
        println!("{}", report::json(&rows));
    } else {
        println!("{}", report::markdown(&rows));
        println!(
            "Latencies: DynamoDB {} ms, S3 {} ms, SQS {} ms, ECS {} ms. Fargate accepts 20 calls a second, 20 at once.",
            DYNAMODB_LATENCY.as_millis(),
            S3_LATENCY.as_millis(),
            SQS_LATENCY.as_millis(),
            ECS_LATENCY.as_millis(),
        );
    }
    if rows.iter().all(|row| row.is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
