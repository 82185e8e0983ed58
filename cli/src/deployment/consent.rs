//! What a user agrees to before a deployment is carried out.

use clap::Args;
use trigger_core::routing::RoutingConfig;

use super::Deployment;
use super::stack::Stack;
use crate::account::Account;
use crate::confirm::confirmed;
use crate::exit::Failed;
use crate::output::{line, printable};

/// What the user agrees to on the command line. The rest is asked.
#[derive(Debug, Args)]
pub(crate) struct Consent {
    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
    /// Delete queues even if they hold messages.
    #[arg(long)]
    delete_messages: bool,
    /// Go ahead even if open launches would be abandoned.
    #[arg(long)]
    abandon_launches: bool,
}

impl Consent {
    /// Carries out a deployment of a config, if the user agrees and nothing would be lost. Returns the changed stack, or
    /// nothing if nothing changes.
    pub(crate) async fn carry_out(
        &self,
        deployment: Deployment,
        account: &Account,
        config: &RoutingConfig,
        question: &str,
    ) -> Result<Option<Stack>, Failed> {
        deployment.refuse_invalid()?;
        if deployment.is_empty() {
            return Ok(None);
        }
        deployment.refuse_losses(account, config, self.delete_messages, self.abandon_launches).await?;
        for replaced in deployment.replacements(account).await? {
            line!("will be replaced: {}", printable(&replaced))?;
        }
        if !self.yes && !confirmed(question)? {
            return Err(Failed::Refused("not confirmed; nothing was changed".to_owned()));
        }
        deployment.carry_out(account).await.map(Some)
    }
}
