//! `ecs-trigger deploy`: creates or updates the stack.

use std::path::PathBuf;

use clap::Args;

use crate::account::AccountOptions;
use crate::artifacts::usual_artifacts;
use crate::blocking::block_on;
use crate::config::{Environment, FILE_NAME, load_with_environment};
use crate::deployment::{Consent, Deployment, afterwards};
use crate::exit::Failed;
use crate::output::{line, printable};

/// Create or update the stack: show what would change, ask, and apply it.
///
/// Packs the functions' binaries, uploads them under a hash of their content, and changes the stack by CloudFormation
/// change sets; a change set that fails is rolled back. A change of the config alone is only uploaded, and is in force
/// within a minute.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo lambda build --release --arm64 && ecs-trigger deploy
  ecs-trigger deploy examples/quickstart --artifacts target/debug \\
    --endpoint-url http://127.0.0.1:4566 --yes
  ecs-trigger deploy --profile production --region eu-west-1")]
pub(crate) struct Deploy {
    /// The config, or the folder that holds it.
    #[arg(default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Folder with the functions' binaries: DIR/event-trigger/bootstrap, as cargo-lambda builds them, or
    /// DIR/event-trigger. Default: target/lambda; if that does not exist, the deployed code stays as it is.
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    account: AccountOptions,
}

impl Deploy {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let loaded = load_with_environment(&self.config, &self.environment, false)?;
        block_on(async {
            let account = self.account.connect(loaded.config.stack.name()).await?;
            let endpoint_url = self.account.endpoint_url.as_deref();
            let artifacts = usual_artifacts(self.artifacts);
            let deployment = Deployment::prepare(&account, &loaded, endpoint_url, artifacts.as_deref()).await?;
            deployment.show()?;
            deployment.has_all_code()?;
            let config = &loaded.config;
            let Some(stack) = self.consent.carry_out(deployment, &account, config, "deploy?").await? else {
                return Ok(());
            };
            line!("deployed: {}", stack.name)?;
            let dead_letters = stack.outputs.get(infra::DEAD_LETTERS_OUTPUT).map(String::as_str);
            for (name, what) in afterwards(config, &account.identity.region, dead_letters) {
                line!("  {name:<13} {}", printable(&what))?;
            }
            Ok(())
        })
    }
}
