//! A batch of messages, each from its delivery to its report.

use futures_util::{StreamExt, stream};
use trigger_core::event::{Decoded, Opened, Record, rows};
use trigger_core::routing::RoutingConfig;

use crate::handle::{Delivered, EventError, LaunchReport, Times, handle, redrive};
use crate::ports::Ports;

/// How many messages are worked off at once.
const MESSAGES_AT_ONCE: usize = 10;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageOutcome {
    /// It is done with: what became of each of its events.
    Done(Vec<LaunchReport>),
    /// S3 tried out a notification configuration.
    TestEvent,
    /// Not all of its tasks were started: what became of each of its events. Unless all that is missing is in the dead-letter
    /// queue, it must be delivered again.
    Failed(Vec<Result<LaunchReport, EventError>>),
    /// It must be delivered again, after an earlier message of its group that failed.
    HeldBack,
}

impl MessageOutcome {
    /// Whether the message has to stay in its queue.
    pub fn goes_back(&self) -> bool {
        match self {
            Self::Failed(results) => {
                results.iter().any(|result| result.as_ref().is_err_and(|error| !error.is_settled()))
            }
            Self::HeldBack => true,
            Self::Done(_) | Self::TestEvent => false,
        }
    }
}

/// Decodes, matches, renders, launches and reports each message of a batch: several at once, the messages of a FIFO group one
/// after the other, and none of a group after one that failed. Each outcome is told as soon as it is known; all of them are
/// returned in the order of the records.
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
                _ => handle_message(&records[position], config, ports, times).await,
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

async fn handle_message(record: &Record, config: &RoutingConfig, ports: &impl Ports, times: Times) -> MessageOutcome {
    let Opened { text, content } = record.open();
    let delivered = |event| Delivered { text: &text, event, times };
    let mut reports = Vec::new();
    match content {
        Ok(Decoded::TestEvent) => return MessageOutcome::TestEvent,
        // Continues whatever the routes of this queue are.
        Ok(Decoded::Redrive(key)) => reports.push(redrive(&key, config, ports, times.deadline).await),
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
