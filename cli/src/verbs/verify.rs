//! `ecs-trigger verify`: checks that the account has what the config needs.

mod checks;
mod denied;
pub(crate) mod ec2;
mod quotas;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::account::{Account, AccountOptions};
use crate::blocking::block_on;
use crate::config::{Environment, FILE_NAME, load};
use crate::exit::Failed;
use crate::output::{self, line};
use checks::{Check, Verdict};

/// Check that the account has what the config needs.
///
/// Checks clusters, task definitions, roles, images, log groups, networks, services, queues, buckets, keys and the
/// table, what was changed outside of deployments, and how much of AWS's quotas is used. Prints one line per check, and
/// what to do about each failure. Exits with 1 if a check fails. Only --enable-eventbridge changes anything.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger verify
  ecs-trigger verify --enable-eventbridge
  ecs-trigger verify --json | jq '.checks[] | select(.verdict == \"failed\")'")]
pub(crate) struct Verify {
    /// The config, or the folder that holds it.
    #[arg(default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Turn EventBridge on for the routes' buckets where it is off; their other notifications stay.
    #[arg(long)]
    enable_eventbridge: bool,
    /// Print the checks as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    account: AccountOptions,
}

impl Verify {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, &self.environment, self.json)?;
        let (account, checks) = block_on(async {
            let account = self.account.connect(config.stack.name()).await?;
            let mut checks = checks::all(&account, &config, self.enable_eventbridge).await;
            checks.extend(quotas::all(&account, &config).await);
            Ok((account, denied::explained(checks)))
        })?;
        match self.json {
            true => output::json(&as_json(&account, &checks))?,
            false => checks.iter().try_for_each(show)?,
        }
        let failed = checks.iter().filter(|check| matches!(check.verdict, Verdict::Failed { .. })).count();
        if !self.json {
            line!("{} checks, {failed} failed", checks.len())?;
        }
        if failed > 0 { Err(Failed::Negative) } else { Ok(()) }
    }
}

fn as_json(account: &Account, checks: &[Check]) -> serde_json::Value {
    let check = |check: &Check| match &check.verdict {
        Verdict::Passed => json!({ "check": check.what, "verdict": "passed" }),
        Verdict::NotChecked(why) => json!({ "check": check.what, "verdict": "not_checked", "reason": why }),
        Verdict::Failed { reason, remedy } => {
            json!({ "check": check.what, "verdict": "failed", "reason": reason, "remedy": remedy })
        }
    };
    json!({ "account": account.identity.to_json(), "checks": checks.iter().map(check).collect::<Vec<_>>() })
}

fn show(check: &Check) -> Result<(), Failed> {
    let what = output::printable(&check.what);
    match &check.verdict {
        Verdict::Passed => line!("\u{1b}[32mok\u{1b}[0m      {what}"),
        Verdict::NotChecked(why) => line!("-       {what}: not checked, as {}", output::printable(why)),
        Verdict::Failed { reason, remedy } => {
            let (reason, remedy) = (output::printable(reason), output::printable(remedy));
            line!("\u{1b}[31mfailed\u{1b}[0m  {what}: {reason}\n        {remedy}")
        }
    }
}
