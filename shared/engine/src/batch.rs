//! A batch of messages, each from its delivery to its report.

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use trigger_core::batch::rows;
use trigger_core::config::RoutingConfig;
use trigger_core::event::{Decoded, Message, Record};

use crate::handle::{EventError, LaunchReport, Ports, handle};
use crate::launcher::Launcher;
use crate::payloads::Payloads;

/// How many messages are worked off at once.
const MESSAGES_AT_ONCE: usize = 10;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageOutcome {
    /// It is done with: what became of each of its events.
    Done(Vec<LaunchReport>),
    /// S3 tried out a notification configuration.
    TestEvent,
    /// It must be delivered again: what became of each of its events.
    Failed(Vec<Result<LaunchReport, EventError>>),
    /// It must be delivered again, after an earlier message of its group that failed.
    HeldBack,
}

impl MessageOutcome {
    /// Whether the message has to stay in its queue.
    pub fn goes_back(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::HeldBack)
    }
}

/// Decodes, matches, renders, launches and reports each message of a batch: several at once, the messages of a FIFO group one
/// after the other, and none of a group after one that failed. Each outcome is told as soon as it is known; all of them are
/// returned in the order of the records.
pub async fn handle_batch(
    records: &[Record],
    config: &RoutingConfig,
    ports: &Ports<impl Launcher, impl Payloads>,
    now: Timestamp,
    tell: impl Fn(&Record, &MessageOutcome),
) -> Vec<MessageOutcome> {
    let tell = &tell;
    let handled = rows(records).into_iter().map(|row| async move {
        let mut outcomes: Vec<(usize, MessageOutcome)> = Vec::with_capacity(row.len());
        for position in row {
            let outcome = match outcomes.last() {
                Some((_, last)) if last.goes_back() => MessageOutcome::HeldBack,
                _ => handle_message(&records[position], config, ports, now).await,
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

async fn handle_message(
    record: &Record,
    config: &RoutingConfig,
    ports: &Ports<impl Launcher, impl Payloads>,
    now: Timestamp,
) -> MessageOutcome {
    let events = match Message::decode(record) {
        Ok(Decoded::Events(events)) => events,
        Ok(Decoded::TestEvent) => return MessageOutcome::TestEvent,
        Err(error) => return MessageOutcome::Failed(vec![Err(EventError::Decode(error))]),
    };
    let mut reports = Vec::with_capacity(events.len());
    for event in events {
        reports.push(handle(Ok(event), config, ports, now).await);
    }
    match reports.iter().all(Result::is_ok) {
        true => MessageOutcome::Done(reports.into_iter().flatten().collect()),
        false => MessageOutcome::Failed(reports),
    }
}

#[cfg(test)]
mod tests;
