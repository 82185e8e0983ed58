//! Refuses deployments and deletions that would lose messages in queues, or open launches.

use aws_sdk_dynamodb::types::AttributeValue;
use trigger_core::storage::{DUE_SHARDS, Index, ItemKind, TABLE_KEY, due_list};

use crate::account::{Account, refused};
use crate::exit::Failed;

/// A message names at most this many open launches.
const NAMED_MAX: usize = 10;

/// Refuses if launches of the routes that `of` selects are open.
pub(crate) async fn refuse_open_launches(
    account: &Account,
    table: &str,
    of: impl Fn(&str) -> bool,
) -> Result<(), Failed> {
    let open = open_launches(&account.dynamodb, table, of).await?;
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

/// Returns the launches that have not ended, by the table's index.
async fn open_launches(
    client: &aws_sdk_dynamodb::Client,
    table: &str,
    of: impl Fn(&str) -> bool,
) -> Result<Vec<String>, Failed> {
    let ([item, _], [list, _]) = (TABLE_KEY, Index::Time.key());
    let mut open = Vec::new();
    for shard in 0..DUE_SHARDS {
        let query = client.query().table_name(table).index_name(Index::Time.name());
        let query = query.key_condition_expression("#list = :list").expression_attribute_names("#list", list);
        let query = query.expression_attribute_values(":list", AttributeValue::S(due_list(shard)));
        let mut found = query.into_paginator().items().send();
        while let Some(found) = found.next().await {
            let found = match found {
                Ok(found) => found,
                // Nothing was ever recorded, or somebody deleted it.
                Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
                    return Ok(Vec::new());
                }
                Err(error) => return Err(refused(&format!("cannot read the table {table}"), &error)),
            };
            let key = found.get(item).and_then(|key| key.as_s().ok()).map_or("", String::as_str);
            open.extend(launch_of(key, &of));
        }
    }
    Ok(open)
}

/// Returns the name of the launch with this key in the table, if its route is selected.
fn launch_of(key: &str, of: impl Fn(&str) -> bool) -> Option<String> {
    let launch = key.strip_prefix(ItemKind::Launch.prefix())?;
    let route = launch.split('/').next().unwrap_or(launch);
    of(route).then(|| launch.to_owned())
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

#[cfg(test)]
mod tests {
    use super::launch_of;

    #[test]
    fn a_launch_is_open_if_its_route_is_selected() {
        let of = |key: &str| launch_of(key, |route| route == "csv");
        assert_eq!(of("launch/csv/2026-01-31/00").as_deref(), Some("csv/2026-01-31/00"));
        assert_eq!(of("launch/csv-2/2026-01-31/00"), None);
        assert_eq!(of("line/csv"), None);
    }
}
