//! The calls of DynamoDB, and the meaning of its answers.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::fmt::Debug;
use std::future::Future;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{CancellationReason, KeysAndAttributes, ReturnValue};
use futures_util::{StreamExt, TryStreamExt, stream};
use trigger_core::storage::Index;
use trigger_engine::ports::StoreError;

use super::DynamoStore;
use super::actions::{Action, FOUND, Values, Write, named, names};
use super::items::{Item, Key};
use super::pauses::{Failure, Pauses, patiently};
use crate::clients::causes;

/// One BatchGetItem call accepts at most this many keys.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const KEYS_AT_ONCE: usize = 100;
/// Further calls of one operation wait while this many are under way.
pub(super) const CALLS_AT_ONCE: usize = 4;

/// What became of writes with conditions.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Written<T> {
    /// All were made. What DynamoDB returned.
    Done(T),
    /// None was made. For each action whose condition failed, the item that is there: empty if there is none.
    Refused(Vec<Option<Item>>),
}

/// A query of the items of one partition, in the order of their sort keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Query {
    /// The index, if it is not about the table. An index is a moment old.
    pub(super) index: Option<Index>,
    pub(super) condition: String,
    pub(super) values: Values,
    /// Whether the last item comes first.
    pub(super) is_backward: bool,
    /// At most so many items. A page has at most 1 MB anyway.
    pub(super) limit: Option<i32>,
    /// The key after which the page begins.
    pub(super) after: Option<Item>,
}

/// A page of a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    /// The key after which the next page begins, if there may be one.
    pub(super) next: Option<Item>,
}

impl DynamoStore {
    /// Makes all actions, or none.
    pub(super) async fn write(&self, actions: &[Action]) -> Result<Written<()>, StoreError> {
        match actions {
            // Alone, a write costs half as much as in a transaction.
            [action] => Ok(match self.write_one(action, ReturnValue::None).await? {
                Written::Done(_) => Written::Done(()),
                Written::Refused(found) => Written::Refused(found),
            }),
            _ => self.ask(|| self.try_to_write_all(actions)).await,
        }
    }

    /// Makes one action. Returns what it asks for of the item before or after.
    pub(super) async fn write_one(&self, action: &Action, returned: ReturnValue) -> Result<Written<Item>, StoreError> {
        self.ask(|| self.try_to_write(action, returned.clone())).await
    }

    /// Reads a page.
    pub(super) async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.ask(|| self.try_to_query(query)).await
    }

    /// Reads the items with these keys, as they are now.
    pub(super) async fn get(&self, keys: impl Iterator<Item = Key>) -> Result<HashMap<Key, Item>, StoreError> {
        // DynamoDB refuses a key that is there twice.
        let keys: Vec<Item> = keys.collect::<BTreeSet<Key>>().iter().map(Key::attributes).collect();
        let parts: Vec<_> = keys.chunks(KEYS_AT_ONCE).map(|keys| self.get_part(keys)).collect();
        let parts: Vec<Vec<Item>> = stream::iter(parts).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
        Ok(parts.into_iter().flatten().filter_map(|item| Some((Key::of(&item)?, item))).collect())
    }

    async fn get_part(&self, keys: &[Item]) -> Result<Vec<Item>, StoreError> {
        let mut pauses = Pauses::default();
        let (mut items, mut open) = (Vec::new(), keys.to_vec());
        loop {
            let (read, left) = self.ask(|| self.try_to_get(&open)).await?;
            items.extend(read);
            if left.is_empty() {
                return Ok(items);
            }
            if !pauses.pause().await {
                return Err(self.unavailable(&format!("{} of {} items were not read", left.len(), keys.len())));
            }
            open = left;
        }
    }

    async fn ask<T, F>(&self, call: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        patiently(call).await.map_err(|reason| self.unavailable(&reason))
    }

    /// Returns the error of a call that failed, or whose answer makes no sense.
    pub(super) fn unavailable(&self, reason: &str) -> StoreError {
        StoreError::Unavailable(format!("table `{}`: {reason}", self.table))
    }

    async fn try_to_write(&self, action: &Action, returned: ReturnValue) -> Result<Written<Item>, Failure> {
        let condition = action.condition.map(str::to_owned);
        match &action.write {
            Write::Put(item) => {
                let put = self.client.put_item().table_name(&self.table).set_item(Some(item.clone()));
                let put = put.set_condition_expression(condition).return_values_on_condition_check_failure(FOUND);
                let put = put.set_expression_attribute_names(action.names());
                let put = put.set_expression_attribute_values(named(&action.values));
                match put.send().await {
                    Ok(_) => Ok(Written::Done(Item::new())),
                    Err(error) => match error.as_service_error() {
                        Some(PutItemError::ConditionalCheckFailedException(refused)) => Ok(refused_one(refused)),
                        _ => Err(failure(&error)),
                    },
                }
            }
            Write::Update(change) => {
                let update = self.client.update_item().table_name(&self.table).set_key(Some(action.key.attributes()));
                let update = update.update_expression(change).return_values(returned);
                let update = update.set_condition_expression(condition).return_values_on_condition_check_failure(FOUND);
                let update = update.set_expression_attribute_names(action.names());
                let update = update.set_expression_attribute_values(named(&action.values));
                match update.send().await {
                    Ok(updated) => Ok(Written::Done(updated.attributes.unwrap_or_default())),
                    Err(error) => match error.as_service_error() {
                        Some(UpdateItemError::ConditionalCheckFailedException(refused)) => Ok(refused_one(refused)),
                        _ => Err(failure(&error)),
                    },
                }
            }
            // No operation deletes an item and nothing else.
            Write::Delete => Ok(match self.try_to_write_all(std::slice::from_ref(action)).await? {
                Written::Done(()) => Written::Done(Item::new()),
                Written::Refused(found) => Written::Refused(found),
            }),
        }
    }

    /// The SDK sends the same client request token whenever it repeats the call itself. So a transaction whose answer
    /// was lost is not refused by what it wrote.
    /// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>
    async fn try_to_write_all(&self, actions: &[Action]) -> Result<Written<()>, Failure> {
        let parts: Result<Vec<_>, _> = actions.iter().map(|action| action.in_transaction(&self.table)).collect();
        let parts = parts.map_err(|error| Failure::Final(error.to_string()))?;
        match self.client.transact_write_items().set_transact_items(Some(parts)).send().await {
            Ok(_) => Ok(Written::Done(())),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    meaning(cancelled.cancellation_reasons()).map(Written::Refused)
                }
                _ => Err(failure(&error)),
            },
        }
    }

    async fn try_to_query(&self, query: &Query) -> Result<Page, Failure> {
        let asked = self
            .client
            .query()
            .table_name(&self.table)
            .set_index_name(query.index.map(|index| index.name().to_owned()));
        let asked = asked.consistent_read(query.index.is_none()).set_limit(query.limit);
        let asked = asked.scan_index_forward(!query.is_backward).key_condition_expression(&query.condition);
        let asked = asked.set_expression_attribute_names(names(&[&query.condition]));
        let asked = asked.set_expression_attribute_values(named(&query.values));
        let page = asked.set_exclusive_start_key(query.after.clone()).send().await.map_err(|error| failure(&error))?;
        let next = page.last_evaluated_key.filter(|key| !key.is_empty());
        Ok(Page { items: page.items.unwrap_or_default(), next })
    }

    /// Returns the items, and the keys that DynamoDB left out because the answer became too long or it throttles.
    async fn try_to_get(&self, keys: &[Item]) -> Result<(Vec<Item>, Vec<Item>), Failure> {
        let asked = KeysAndAttributes::builder().set_keys(Some(keys.to_vec())).consistent_read(true).build();
        let asked = asked.map_err(|error| Failure::Final(error.to_string()))?;
        let got = self.client.batch_get_item().request_items(&self.table, asked).send().await;
        let got = got.map_err(|error| failure(&error))?;
        let items = got.responses.into_iter().flatten().flat_map(|(_, items)| items);
        let left = got.unprocessed_keys.into_iter().flatten().flat_map(|(_, left)| left.keys);
        Ok((items.collect(), left.collect()))
    }
}

/// Returns what the reasons of a cancelled transaction mean. There is one for each action.
///
/// If a condition failed, it counts more than a conflict of another action: the next try would find the same.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
fn meaning(reasons: &[CancellationReason]) -> Result<Vec<Option<Item>>, Failure> {
    let is_refused = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
    if reasons.iter().any(is_refused) {
        let found = |reason: &CancellationReason| is_refused(reason).then(|| reason.item.clone().unwrap_or_default());
        return Ok(reasons.iter().map(found).collect());
    }
    let codes: BTreeSet<&str> =
        reasons.iter().filter_map(CancellationReason::code).filter(|it| *it != "None").collect();
    let messages: BTreeSet<&str> = reasons.iter().filter_map(CancellationReason::message).collect();
    let text = codes.iter().copied().chain(messages).collect::<Vec<_>>().join(": ");
    let is_busy = !codes.is_empty() && codes.into_iter().all(is_busy);
    Err(if is_busy { Failure::Busy(text) } else { Failure::Final(format!("the transaction was cancelled: {text}")) })
}

fn refused_one(refused: &ConditionalCheckFailedException) -> Written<Item> {
    Written::Refused(vec![Some(refused.item.clone().unwrap_or_default())])
}

fn failure<E, R>(error: &SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
    R: Debug + 'static,
{
    let reason = causes(error);
    if error.code().is_some_and(is_busy) { Failure::Busy(reason) } else { Failure::Final(reason) }
}

/// Returns whether a call, or an action of a transaction, that failed with this code may succeed a moment later.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
fn is_busy(code: &str) -> bool {
    matches!(
        code,
        "TransactionConflict"
            | "TransactionConflictException"
            | "TransactionInProgressException"
            | "ProvisionedThroughputExceeded"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ThrottlingError"
            | "ThrottlingException"
    )
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::query::QueryError;

    use super::*;
    use crate::store::items::text;

    fn reason(code: &str) -> CancellationReason {
        CancellationReason::builder().code(code).build()
    }

    #[test]
    fn a_cancelled_transaction_is_refused_by_its_conditions_and_returns_what_is_there() {
        let item = Item::from([("writer".to_owned(), text("w"))]);
        let known = CancellationReason::builder().code("ConditionalCheckFailed").set_item(Some(item.clone())).build();
        let reasons = [reason("None"), known, reason("TransactionConflict"), reason("ConditionalCheckFailed")];
        assert_eq!(meaning(&reasons), Ok(vec![None, Some(item), None, Some(Item::new())]));
    }

    #[test]
    fn conflicts_and_throttles_are_worth_another_try_and_nothing_else_is() {
        for code in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
            assert_eq!(meaning(&[reason("None"), reason(code)]), Err(Failure::Busy(code.to_owned())));
        }
        let too_large = CancellationReason::builder().code("ValidationError").message("Item size exceeded").build();
        let text = "the transaction was cancelled: TransactionConflict: ValidationError: Item size exceeded".to_owned();
        assert_eq!(meaning(&[too_large, reason("TransactionConflict")]), Err(Failure::Final(text)));
        assert!(matches!(meaning(&[]), Err(Failure::Final(_))));
    }

    #[test]
    fn a_call_alone_fails_by_its_code() {
        let answer = |code: &str| {
            let metadata = ErrorMetadata::builder().code(code).message("m").build();
            failure(&SdkError::service_error(QueryError::generic(metadata), ()))
        };
        assert_eq!(answer("ThrottlingException"), Failure::Busy("ThrottlingException: m".to_owned()));
        assert_eq!(answer("ResourceNotFoundException"), Failure::Final("ResourceNotFoundException: m".to_owned()));
    }
}
