//! `ecs-trigger`: shows exactly what an event would start, runs it on this machine, and deploys it.
//!
//! [`verbs`] has one file for each verb. Results go to standard output, and messages to standard error; [`exit`] lists
//! the exit codes.

#[cfg(feature = "aws")]
mod account;
#[cfg(feature = "aws")]
mod artifacts;
mod blocking;
mod completion;
mod config;
mod confirm;
#[cfg(feature = "aws")]
mod deployment;
mod diagnostics;
mod exit;
mod explanation;
mod files;
mod help;
#[cfg(feature = "aws")]
mod keys;
mod letters;
mod normalization;
mod operation;
mod output;
mod plot;
mod sample;
#[cfg(feature = "aws")]
mod signed;
mod verbs;

use std::process::ExitCode;

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::CompleteEnv;
use verbs::{
    cancel, completions, dead_letters, deploy, destroy, dev, diff, emit, explain, import, init, logs, pattern, plan,
    redrive, replay, retry, rollback, run, runs, scaling, schedule, schema, send, show, simulate, status, synth, test,
    validate, verify,
};

/// Start Amazon ECS tasks from events, with one routing config.
#[derive(Debug, Parser)]
#[command(name = "ecs-trigger", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Init),
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
    Emit(emit::Emit),
    Synth(synth::Synth),
    Diff(diff::Diff),
    Deploy(deploy::Deploy),
    Rollback(rollback::Rollback),
    Verify(verify::Verify),
    Destroy(destroy::Destroy),
    Import(import::Import),
    Completions(completions::Completions),
    Runs(runs::Runs),
    Run(run::Run),
    Replay(replay::Replay),
    Show(show::Show),
    Logs(logs::Logs),
    Status(status::Status),
    Cancel(cancel::Cancel),
    Retry(retry::Retry),
    DeadLetters(dead_letters::DeadLetters),
    Redrive(redrive::Redrive),
    Supervise(dev::Supervise),
}

fn command() -> Command {
    help::in_groups(Cli::command())
}

fn main() -> ExitCode {
    CompleteEnv::with_factory(command).var(completion::VARIABLE).complete();
    let cli = match command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(answer) => return exit::print_clap(&answer),
    };
    let result = match cli.verb {
        Verb::Init(verb) => verb.run(),
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
        Verb::Emit(verb) => verb.run(),
        Verb::Synth(verb) => verb.run(),
        Verb::Diff(verb) => verb.run(),
        Verb::Deploy(verb) => verb.run(),
        Verb::Rollback(verb) => verb.run(),
        Verb::Verify(verb) => verb.run(),
        Verb::Destroy(verb) => verb.run(),
        Verb::Import(verb) => verb.run(),
        Verb::Completions(verb) => verb.run(),
        Verb::Runs(verb) => verb.run(),
        Verb::Run(verb) => verb.run(),
        Verb::Replay(verb) => verb.run(),
        Verb::Show(verb) => verb.run(),
        Verb::Logs(verb) => verb.run(),
        Verb::Status(verb) => verb.run(),
        Verb::Cancel(verb) => verb.run(),
        Verb::Retry(verb) => verb.run(),
        Verb::DeadLetters(verb) => verb.run(),
        Verb::Redrive(verb) => verb.run(),
        Verb::Supervise(verb) => return verb.run(),
    };
    exit::code(result)
}
