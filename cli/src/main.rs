//! `ecs-trigger`: see beforehand exactly what an event would start, and try it on this machine.
//!
//! One verb, one file: [`validate`], [`test`], [`plan`], [`explain`], [`pattern`], [`schedule`], [`scaling`], [`simulate`], [`schema`], [`dev`], [`send`],
//! [`completions`]. Results go to standard output, messages to standard error, and [`exit`] says what the exit codes mean.

mod account;
mod artifacts;
mod completions;
mod config;
mod deploy;
mod deployment;
mod destroy;
mod dev;
mod diagnostics;
mod diff;
mod exit;
mod explain;
mod files;
mod import;
mod output;
mod pattern;
mod plan;
mod plot;
mod sample;
mod scaling;
mod schedule;
mod schema;
mod send;
mod simulate;
mod synth;
mod test;
mod validate;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Start Amazon ECS tasks from events, by one routing config.
#[derive(Debug, Parser)]
#[command(name = "ecs-trigger", version, after_help = exit::HELP, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Validate(validate::Validate),
    Test(test::Test),
    Plan(plan::Plan),
    Explain(explain::Explain),
    Pattern(pattern::Pattern),
    Schedule(schedule::Schedule),
    Scaling(scaling::Scaling),
    Schema(schema::PrintSchema),
    Simulate(simulate::Simulate),
    Dev(dev::Dev),
    Send(send::Send),
    Synth(synth::Synth),
    Diff(diff::Diff),
    Deploy(deploy::Deploy),
    Verify(verify::Verify),
    Destroy(destroy::Destroy),
    Import(import::Import),
    Completions(completions::Completions),
    #[command(hide = true)]
    Supervise(dev::Supervise),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Validate(verb) => verb.run(),
        Verb::Test(verb) => verb.run(),
        Verb::Plan(verb) => verb.run(),
        Verb::Explain(verb) => verb.run(),
        Verb::Pattern(verb) => verb.run(),
        Verb::Scaling(verb) => verb.run(),
        Verb::Schema(verb) => verb.run(),
        Verb::Schedule(verb) => verb.run(),
        Verb::Simulate(verb) => verb.run(),
        Verb::Dev(verb) => verb.run(),
        Verb::Send(verb) => verb.run(),
        Verb::Synth(verb) => verb.run(),
        Verb::Diff(verb) => verb.run(),
        Verb::Deploy(verb) => verb.run(),
        Verb::Verify(verb) => verb.run(),
        Verb::Destroy(verb) => verb.run(),
        Verb::Import(verb) => verb.run(),
        Verb::Completions(verb) => verb.run(),
        Verb::Supervise(verb) => return verb.run(),
    };
    exit::code(result)
}
