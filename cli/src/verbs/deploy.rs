//! `ecs-trigger deploy`: makes the stack as the config wants it.

use std::path::PathBuf;

use clap::Args;

use crate::account::{AccountOptions, block_on};
use crate::artifacts::usual_artifacts;
use crate::config::{FILE_NAME, load_with_environment};
use crate::confirm::confirmed;
use crate::deployment::Deployment;
use crate::exit::Failed;

/// Make the stack as the config wants it: show what changes, ask, and do it.
///
/// The functions' binaries are put into archives and uploaded under their content's hash; CloudFormation does the rest by a change
/// set, all of it or nothing. A change of the config alone is uploaded and comes into force within 30 seconds.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo lambda build --release --arm64 && ecs-trigger deploy
  ecs-trigger deploy examples/quickstart --artifacts target/debug --endpoint-url http://127.0.0.1:4566 --yes
  ecs-trigger deploy --profile production --region eu-west-1")]
pub(crate) struct Deploy {
    /// The config, or the folder that holds it.
    #[arg(default_value = FILE_NAME)]
    config: PathBuf,
    /// The folder with the functions' binaries: DIR/event-trigger/bootstrap, as cargo-lambda builds them, or DIR/event-trigger.
    /// Default: target/lambda; if that is not there, the functions' code stays as it is.
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Delete queues also if they hold messages.
    #[arg(long)]
    delete_messages: bool,
    /// Also if launches of routes that are removed have not ended.
    #[arg(long)]
    abandon_launches: bool,
    #[command(flatten)]
    account: AccountOptions,
}

impl Deploy {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let loaded = load_with_environment(&self.config, false)?;
        block_on(async {
            let account = self.account.connect().await?;
            let endpoint_url = self.account.endpoint_url.as_deref();
            let artifacts = usual_artifacts(self.artifacts);
            let deployment = Deployment::prepare(&account, &loaded, endpoint_url, artifacts.as_deref()).await?;
            deployment.show();
            deployment.has_all_code()?;
            if deployment.is_empty() {
                return Ok(());
            }
            let (config, abandon) = (&loaded.config, self.abandon_launches);
            deployment.refuse_losses(&account, config, self.delete_messages, abandon).await?;
            for replaced in deployment.replacements(&account).await? {
                anstream::println!("replaces {replaced}");
            }
            if !self.yes && !confirmed("deploy?")? {
                return Err(Failed::Refused("nothing was changed".to_owned()));
            }
            deployment.carry_out(&account).await?;
            anstream::println!("deployed: {}", loaded.config.stack.name());
            Ok(())
        })
    }
}
