//! `ecs-trigger diff`: shows what a deployment would change.

use std::path::PathBuf;

use clap::Args;

use crate::account::AccountOptions;
use crate::artifacts::usual_artifacts;
use crate::blocking::block_on;
use crate::config::{Environment, FILE_NAME, load_with_environment};
use crate::deployment::Deployment;
use crate::exit::Failed;
use crate::output;

/// Show what `deploy` would change, and what was changed outside of deployments. Changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger diff
  ecs-trigger diff --exit-code || echo 'something would change'
  ecs-trigger diff --json \\
    | jq '.stacks[].changes[] | select(.is_about_permissions)'")]
pub(crate) struct Diff {
    /// The config, or the folder that holds it.
    #[arg(default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Folder with the functions' binaries. Default: target/lambda; if that does not exist, their code is not compared.
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// Exit with 1 if something would change.
    #[arg(long)]
    exit_code: bool,
    /// Print the changes as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    account: AccountOptions,
}

impl Diff {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let loaded = load_with_environment(&self.config, &self.environment, self.json)?;
        let artifacts = usual_artifacts(self.artifacts);
        let (account, deployment, drifted) = block_on(async {
            let account = self.account.connect(loaded.config.stack.name()).await?;
            let endpoint_url = self.account.endpoint_url.as_deref();
            let deployment = Deployment::prepare(&account, &loaded, endpoint_url, artifacts.as_deref()).await?;
            let drifted = deployment.drifted(&account).await;
            Ok((account, deployment, drifted))
        })?;
        match self.json {
            true => output::json(&deployment.to_json(&account, &drifted))?,
            false => {
                deployment.show()?;
                drifted.show()?;
            }
        }
        deployment.refuse_invalid()?;
        if self.exit_code && !deployment.is_empty() { Err(Failed::Negative) } else { Ok(()) }
    }
}
