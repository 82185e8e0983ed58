//! `ecs-trigger destroy`: deletes the stack.

use std::path::PathBuf;

use clap::Args;

use crate::account::{AccountOptions, block_on};
use crate::config::{FILE_NAME, load};
use crate::confirm::confirmed;
use crate::deployment::{delete, existing, refuse_full_queues, refuse_open_launches, storage_stack};
use crate::exit::Failed;

/// Delete the stack: functions, rules, schedules, the queues that it made. The bucket with the ledger and the config stays.
///
/// Refuses while the ledger holds launches that have not ended, since nobody would see to them any more, and while a queue that would be
/// deleted holds messages.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger destroy
  ecs-trigger destroy --abandon-launches --delete-messages --yes")]
pub(crate) struct Destroy {
    /// The config, or the folder that holds it.
    #[arg(default_value = FILE_NAME)]
    config: PathBuf,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Also if launches have not ended: their tasks run on, and what should follow does not.
    #[arg(long)]
    abandon_launches: bool,
    /// Delete queues also if they hold messages.
    #[arg(long)]
    delete_messages: bool,
    #[command(flatten)]
    account: AccountOptions,
}

impl Destroy {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, false)?;
        let name = config.stack.name();
        block_on(async {
            let account = self.account.connect().await?;
            let Some(stack) = existing(&account, name).await? else {
                anstream::println!("there is no stack {name}");
                return Ok(());
            };
            if let Some(storage) = config.ledger().filter(|_| !self.abandon_launches) {
                refuse_open_launches(&account, storage, |_| true).await?;
            }
            let queues: Vec<&str> = stack.queues.values().map(String::as_str).collect();
            if !self.delete_messages {
                refuse_full_queues(&account, &queues).await?;
            }
            anstream::println!("stack {name}: {} resources would be deleted", stack.physical_ids.len());
            if !self.yes && !confirmed("delete them?")? {
                return Err(Failed::Refused("nothing was deleted".to_owned()));
            }
            delete(&account, name).await?;
            anstream::println!("deleted: {name}");
            if let Some(storage) = existing(&account, &storage_stack(&config)).await? {
                let bucket = storage.outputs.get(infra::BUCKET_OUTPUT).map_or("", String::as_str);
                anstream::println!(
                    "the bucket {bucket} stays, with the config and what happened; to delete it too, empty it, and delete it and the stack {}",
                    storage.name
                );
            }
            Ok(())
        })
    }
}
