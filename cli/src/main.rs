//! `ecs-trigger`: shows exactly what an event would start, runs it on this machine, and deploys it.
//!
//! [`verbs`] has one file for each verb. Results go to standard output, and messages to standard error; [`exit`] lists
//! the exit codes.

#[cfg(feature = "aws")]
mod account;
#[cfg(feature = "aws")]
mod artifacts;
mod config;
#[cfg(feature = "aws")]
mod confirm;
#[cfg(feature = "aws")]
mod deployment;
mod diagnostics;
mod exit;
mod explanation;
mod files;
#[cfg(feature = "aws")]
mod keys;
mod normalization;
mod output;
mod plot;
mod sample;
#[cfg(feature = "aws")]
mod signed;
mod verbs;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use verbs::{
    completions, deploy, destroy, dev, diff, explain, import, pattern, plan, rollback, scaling, schedule, schema, send,
    simulate, synth, test, validate, verify,
};

/// Start Amazon ECS tasks from events, with one routing config.
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
    Rollback(rollback::Rollback),
    Verify(verify::Verify),
    Destroy(destroy::Destroy),
    Import(import::Import),
    Completions(completions::Completions),
    #[command(hide = true)]
    Supervise(dev::Supervise),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return exit::print_clap(&answer),
    };
    let result = match cli.verb {
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
        Verb::Rollback(verb) => verb.run(),
        Verb::Verify(verb) => verb.run(),
        Verb::Destroy(verb) => verb.run(),
        Verb::Import(verb) => verb.run(),
        Verb::Completions(verb) => verb.run(Cli::command()),
        Verb::Supervise(verb) => return verb.run(),
    };
    exit::code(result)
}
