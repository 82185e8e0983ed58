//! `ecs-trigger destroy`: deletes the stack.

use std::path::PathBuf;

use clap::Args;
use infra::Owner;

use crate::account::AccountOptions;
use crate::blocking::block_on;
use crate::config::{Environment, FILE_NAME, load};
use crate::confirm::confirmed;
use crate::deployment::{delete, existing, refuse_full_queues, refuse_open_launches, storage_stack};
use crate::exit::Failed;
use crate::output::line;

/// Delete the stack, but keep the bucket and the table with the config and the launches.
///
/// Deletes the functions, rules, schedules and all other resources of the stack, with every queue that it created.
/// Refuses while launches are open, as nothing would continue them, and while one of these queues holds messages.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger destroy
  ecs-trigger destroy --abandon-launches --delete-messages --yes")]
pub(crate) struct Destroy {
    /// The config, or the folder that holds it.
    #[arg(default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
    /// Delete the stack even if launches are open: their tasks run on, but ecs-trigger no longer follows them.
    #[arg(long)]
    abandon_launches: bool,
    /// Delete queues even if they hold messages.
    #[arg(long)]
    delete_messages: bool,
    #[command(flatten)]
    account: AccountOptions,
}

impl Destroy {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, &self.environment, false)?;
        let name = config.stack.name();
        block_on(async {
            let account = self.account.connect(name).await?;
            let Some(stack) = existing(&account, name, &Owner::of_functions(&config)).await? else {
                line!("the stack {name} does not exist")?;
                return Ok(());
            };
            let storage = existing(&account, &storage_stack(&config), &Owner::of_storage(&config)).await;
            if let Some(table) = stack.outputs.get(infra::TABLE_OUTPUT).filter(|_| !self.abandon_launches) {
                refuse_open_launches(&account, table, |_| true).await?;
            }
            if !self.delete_messages {
                refuse_full_queues(&account, &stack.all_queues()).await?;
            }
            line!("stack {name}: {} resources would be deleted", stack.physical_ids.len())?;
            if !self.yes && !confirmed("delete them?")? {
                return Err(Failed::Refused("not confirmed; nothing was deleted".to_owned()));
            }
            delete(&account, name).await?;
            line!("deleted: {name}")?;
            if let Ok(Some(storage)) = storage {
                let output = |name: &str| storage.outputs.get(name);
                if let Some(bucket) = output(infra::BUCKET_OUTPUT) {
                    line!("the bucket {bucket} stays with all it holds; to delete it too, empty it, then delete it")?;
                }
                if let Some(table) = output(infra::TABLE_OUTPUT) {
                    line!(
                        "the table {table} stays with all launches; to delete it too, turn off its deletion \
                         protection, then delete it"
                    )?;
                }
                line!("their stack {} stays as well; delete it last", storage.name)?;
            }
            Ok(())
        })
    }
}
