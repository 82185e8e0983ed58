//! `ecs-trigger rollback`: deploys again what was deployed before.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use crate::account::AccountOptions;
use crate::blocking::block_on;
use crate::config::{Environment, FILE_NAME, load, show};
use crate::deployment::{Consent, Deployment};
use crate::exit::Failed;
use crate::output::line;

/// Deploy what was deployed before the last deployment: its config, its code and its stack.
///
/// Shows what would change, asks, and changes it in the same steps as `deploy`. A second rollback undoes the first. The
/// bucket and the table stay as they are, with all launches.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger rollback
  ecs-trigger rollback --env staging --yes")]
pub(crate) struct Rollback {
    /// The config, or the folder that holds it. Only the stack's name counts.
    #[arg(default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    account: AccountOptions,
}

impl Rollback {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, &self.environment, false)?;
        block_on(async {
            let account = self.account.connect(config.stack.name()).await?;
            let (deployment, old) = Deployment::back(&account, &config).await?;
            show(&old.source, &old.past_schedules(Timestamp::now()));
            deployment.show()?;
            let Some(stack) = self.consent.carry_out(deployment, &account, &old, "roll back?").await? else {
                return Ok(());
            };
            line!("rolled back: {}", stack.name)?;
            line!("the config on this machine is still the newer one; the next `deploy` deploys it again")
        })
    }
}
