//! Handles a batch of messages: each from its delivery to its report.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, StreamExt, stream};
use trigger_core::event::{Decoded, Ignored, Opened, Record, rows};
use trigger_core::routing::{Route, RoutingConfig};

use crate::handle::{Delivered, EventError, LaunchReport, Times, handle, redrive};
use crate::ports::Ports;

/// At most this many messages are processed at once.
const MESSAGES_AT_ONCE: usize = 10;

/// The outcome of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageOutcome {
    /// The message is done, with a report for each of its events.
    Done(Vec<LaunchReport>),
    /// The message is S3's or SNS's about itself, and starts nothing.
    Ignored(Ignored),
    /// At least one of the message's events failed, with the result of each. The message must be delivered again,
    /// unless every event that failed is in the dead-letter queue.
    Failed(Vec<Result<LaunchReport, EventError>>),
    /// An earlier message of its group failed, so this one must be delivered again after it.
    HeldBack,
}

impl MessageOutcome {
    /// Returns whether the message goes back to its queue.
    pub fn goes_back(&self) -> bool {
        match self {
            Self::Failed(results) => {
                results.iter().any(|result| result.as_ref().is_err_and(|error| !error.is_settled()))
            }
            Self::HeldBack => true,
            Self::Done(_) | Self::Ignored(_) => false,
        }
    }
}

/// Decodes, matches, renders, launches and reports each message of a batch. Several messages are handled at once; those
/// of a FIFO group one after the other, up to the first that goes back to the queue.
///
/// Calls `tell` with each outcome as soon as it is known. Returns all outcomes in the order of the records.
pub async fn handle_batch(
    records: &[Record],
    config: &RoutingConfig,
    ports: &impl Ports,
    times: Times,
    tell: impl Fn(&Record, &MessageOutcome),
) -> Vec<MessageOutcome> {
    let tell = &tell;
    let handled = rows(records).into_iter().map(|row| async move {
        let mut outcomes: Vec<(usize, MessageOutcome)> = Vec::with_capacity(row.len());
        for position in row {
            let outcome = match outcomes.last() {
                Some((_, last)) if last.goes_back() => MessageOutcome::HeldBack,
                _ => handle_apart(&records[position], config, ports, times).await,
            };
            tell(&records[position], &outcome);
            outcomes.push((position, outcome));
        }
        outcomes
    });
    let mut outcomes: Vec<(usize, MessageOutcome)> =
        stream::iter(handled).buffer_unordered(MESSAGES_AT_ONCE).flat_map(stream::iter).collect().await;
    outcomes.sort_by_key(|(position, _)| *position);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Handles a message so that a panic fails this message only, not its batch.
async fn handle_apart(record: &Record, config: &RoutingConfig, ports: &impl Ports, times: Times) -> MessageOutcome {
    let handled = AssertUnwindSafe(handle_message(record, config, ports, times)).catch_unwind().await;
    handled.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let message = text.unwrap_or("no message").to_owned();
        MessageOutcome::Failed(vec![Err(EventError::Panic { message })])
    })
}

async fn handle_message(record: &Record, config: &RoutingConfig, ports: &impl Ports, times: Times) -> MessageOutcome {
    let Opened { text, content } = record.open();
    let delivered = |event| Delivered { text: &text, event, times };
    let mut reports = Vec::new();
    match content {
        Ok(Decoded::Ignored(ignored)) => return MessageOutcome::Ignored(ignored),
        Ok(Decoded::Redrive(redriven)) => {
            // A message of one queue must not reach another queue's launches.
            let is_its = config
                .route(&redriven.launch.route)
                .and_then(Route::queue)
                .is_some_and(|queue| queue.is(&record.queue));
            reports.push(match is_its {
                true => redrive(&redriven, config, ports, times.deadline).await,
                false => {
                    let reason = format!(
                        "its route does not take messages of the queue `{}`; send the dead letter to its route's queue, or invoke \
                         the function of its route's source with it",
                        record.queue.name
                    );
                    Err(EventError::Redrive { launch: redriven.launch, reason })
                }
            });
        }
        Ok(Decoded::Events(events)) => {
            for event in events {
                reports.push(handle(delivered(Ok(config.match_event(event))), config, ports).await);
            }
        }
        Err(error) => reports.push(handle(delivered(Err(error)), config, ports).await),
    }
    of_reports(reports)
}

fn of_reports(reports: Vec<Result<LaunchReport, EventError>>) -> MessageOutcome {
    match reports.iter().all(Result::is_ok) {
        true => MessageOutcome::Done(reports.into_iter().flatten().collect()),
        false => MessageOutcome::Failed(reports),
    }
}

#[cfg(test)]
mod tests;
