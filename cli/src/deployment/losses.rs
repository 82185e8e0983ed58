//! Refuses deployments and deletions that would lose messages in queues, or open launches.

use trigger_aws::S3Ledger;
use trigger_core::launch::LaunchRecord;
use trigger_core::storage::{DueFor, Storage};
use trigger_engine::ports::{Ledger, LedgerError};

use crate::account::{Account, refused};
use crate::exit::Failed;

/// A message names at most this many open launches.
const NAMED_MAX: usize = 10;

/// Refuses if launches of the routes that `of` selects are open.
pub(crate) async fn refuse_open_launches(
    account: &Account,
    storage: &Storage,
    of: impl Fn(&str) -> bool,
) -> Result<(), Failed> {
    let ledger = S3Ledger::new(account.s3.clone());
    let open = open_launches(&ledger, storage, of)
        .await
        .map_err(|error| Failed::Aws(format!("cannot read the ledger: {error}")))?;
    if open.is_empty() {
        return Ok(());
    }
    let more = if open.len() > NAMED_MAX { ", ..." } else { "" };
    let named = open.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    Err(Failed::Refused(format!(
        "open launches would be abandoned ({}): {named}{more}; wait until they end, or pass --abandon-launches",
        open.len()
    )))
}

/// Returns the launches that have not ended. Each of them has a due entry.
async fn open_launches(
    ledger: &impl Ledger,
    storage: &Storage,
    of: impl Fn(&str) -> bool,
) -> Result<Vec<String>, LedgerError> {
    let mut open = Vec::new();
    let (prefix, mut after) = (storage.due_prefix(), None);
    // Sorts after every due time.
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
            // A record that cannot be decoded counts as open.
            let has_ended =
                serde_json::from_str::<LaunchRecord>(&entry.text).is_ok_and(|record| record.ended.is_some());
            if !has_ended {
                open.push(name);
            }
        }
        after = Some(last);
    }
}

/// Refuses to delete queues that hold messages.
pub(crate) async fn refuse_full_queues(account: &Account, urls: &[&str]) -> Result<(), Failed> {
    use aws_sdk_sqs::types::QueueAttributeName as Name;
    let counted = [
        Name::ApproximateNumberOfMessages,
        Name::ApproximateNumberOfMessagesNotVisible,
        Name::ApproximateNumberOfMessagesDelayed,
    ];
    let mut full = Vec::new();
    for url in urls {
        let get = account.sqs.get_queue_attributes().queue_url(*url).set_attribute_names(Some(counted.to_vec()));
        let attributes = match get.send().await {
            Ok(got) => got.attributes.unwrap_or_default(),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_queue_does_not_exist()) => continue,
            Err(error) => return Err(refused(&format!("cannot read the attributes of {url}"), &error)),
        };
        let messages: u64 = attributes.values().filter_map(|count| count.parse::<u64>().ok()).sum();
        if messages > 0 {
            full.push(format!("{} ({messages})", url.rsplit('/').next().unwrap_or(url)));
        }
    }
    match full.as_slice() {
        [] => Ok(()),
        full => Err(Failed::Refused(format!(
            "queues that hold messages would be deleted: {}; empty them first, or pass --delete-messages",
            full.join(", ")
        ))),
    }
}
