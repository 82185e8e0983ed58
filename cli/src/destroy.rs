//! `ecs-trigger destroy`: deletes the stack.

use std::path::PathBuf;

use clap::Args;
use trigger_aws::S3Ledger;
use trigger_core::config::route::Storage;
use trigger_core::launch::{DueFor, LaunchRecord};
use trigger_engine::ports::{Ledger, LedgerError};

use crate::account::{Account, AccountOptions, block_on};
use crate::config::{FILE_NAME, load};
use crate::deploy::confirmed;
use crate::deployment::{delete, existing, refuse_full_queues, storage_stack};
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

/// How many open launches are named.
const NAMED_MAX: usize = 10;

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

/// Refuses if launches of such routes have not ended.
pub(crate) async fn refuse_open_launches(
    account: &Account,
    storage: &Storage,
    of: impl Fn(&str) -> bool,
) -> Result<(), Failed> {
    let ledger = S3Ledger::new(account.s3.clone());
    let open =
        open_launches(&ledger, storage, of).await.map_err(|error| Failed::Aws(format!("the ledger: {error}")))?;
    if open.is_empty() {
        return Ok(());
    }
    let more = if open.len() > NAMED_MAX { ", ..." } else { "" };
    let named = open.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    Err(Failed::Refused(format!(
        "{} launches have not ended: {named}{more}; wait for them, or write --abandon-launches",
        open.len()
    )))
}

/// The launches that have not ended: each is noted among what is due.
async fn open_launches(
    ledger: &impl Ledger,
    storage: &Storage,
    of: impl Fn(&str) -> bool,
) -> Result<Vec<String>, LedgerError> {
    let mut open = Vec::new();
    let (prefix, mut after) = (storage.due_prefix(), None);
    // Behind every time.
    let until = format!("{prefix}~");
    loop {
        let uris = ledger.list(&prefix, after.as_deref(), &until).await?;
        let Some(last) = uris.last().cloned() else { return Ok(open) };
        for due in uris.iter().filter_map(|uri| storage.parse_due(uri)) {
            let DueFor::Launch(key) = due.what else { continue };
            let name = key.to_string();
            if open.contains(&name) || !of(&key.route) {
                continue;
            }
            let Some(entry) = ledger.read(&storage.launch_uri(&key)).await? else { continue };
            // What cannot be read has not been seen to end.
            let has_ended =
                serde_json::from_str::<LaunchRecord>(&entry.text).is_ok_and(|record| record.ended.is_some());
            if !has_ended {
                open.push(name);
            }
        }
        after = Some(last);
    }
}
