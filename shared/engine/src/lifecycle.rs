//! What comes after a launch: tasks stop, time passes.

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use trigger_core::event::TaskStateChange;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{Answer, Conclusion, SeenTask, Slots, TaskStatus, later};
use trigger_core::storage::Storage;
use trigger_core::storage::{Due, DueFor};

use crate::drive::{DriveError, Driven, Driver, Rest, SLOTS_EVERY, parse, round_up, to_json};
use crate::ports::{Clock, Entry, Expected, Ledger, LedgerError, Ports};

/// How many due launches are looked at at once.
const LOOKS_AT_ONCE: usize = 8;
/// How long an entry of a launch that is not in the ledger is kept: its writer may be slow.
const ORPHANED: SignedDuration = SignedDuration::from_mins(15);

/// What became of a task's state change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChangeOutcome {
    /// The task is none of a launch in the ledger, or it still runs.
    Ignored,
    /// The launch knows how the task ended.
    Recorded {
        /// The launch.
        launch: LaunchKey,
        /// What the launch came to, if it has ended.
        conclusion: Option<Conclusion>,
        /// The launches that went on because of that, and what they came to, if they have ended.
        others: Vec<(LaunchKey, Option<Conclusion>)>,
    },
}

/// Records how a task ended, and does what follows: the launch is done, a task is started again, the event is dead-lettered, a
/// launch that waits is started. Repeated and old changes change nothing.
///
/// # Errors
/// Something does not answer; the change should be delivered again, and is not needed if it is not.
pub async fn handle_state_change(
    change: &TaskStateChange,
    ledger: Option<&Storage>,
    ports: &impl Ports,
    deadline: Option<Timestamp>,
) -> Result<StateChangeOutcome, DriveError> {
    let driver = Driver::new(ports, ledger, deadline);
    let (Some((key, attempt)), Some(stopped)) = (change.launch(), &change.stopped) else {
        return Ok(StateChangeOutcome::Ignored);
    };
    let Some((record, version)) = driver.read(&key).await? else { return Ok(StateChangeOutcome::Ignored) };
    let mut driven = Driven::resume(record, version);
    let status = TaskStatus::Stopped(stopped.clone());
    let seen = SeenTask { arn: change.task_arn.clone(), attempt: Some(attempt), status };
    driven.protocol.hear(Answer::Seen(vec![seen]), ports.clock().now());
    driver.drive(&mut driven).await?;
    let conclusion = driven.protocol.record().ended.clone();
    Ok(StateChangeOutcome::Recorded { launch: key, conclusion, others: driven.others })
}

/// What a sweep came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Each launch that was due, and what it has come to, if it has ended.
    pub launches: Vec<(LaunchKey, Option<Conclusion>)>,
    /// What could not be looked at, and why. It stays due.
    pub failed: Vec<(String, DriveError)>,
    /// Whether there is more to do than there was time for.
    pub is_cut_short: bool,
}

/// Looks at everything that is due: goes on with launches that somebody left half done or that wait for capacity, stops tasks that
/// run too long, looks up tasks whose state change never came, takes slots back from those that are no more.
///
/// # Errors
/// It cannot be said what is due.
pub async fn sweep(
    storage: &Storage,
    ports: &impl Ports,
    deadline: Option<Timestamp>,
) -> Result<SweepReport, DriveError> {
    let driver = Driver::new(ports, Some(storage), deadline);
    let sweep = Sweep { driver: &driver, storage };
    let (prefix, until) = (storage.due_prefix(), storage.due_until(ports.clock().now()));
    let mut report = SweepReport::default();
    let mut after = None;
    // Page by page, so that what cannot be looked at does not keep the rest from its turn.
    while !report.is_cut_short {
        let uris = ports.ledger().list(&prefix, after.as_deref(), &until).await?;
        let Some(last) = uris.last().cloned() else { break };
        let looks = uris.into_iter().map(|uri| sweep.look(uri));
        let looks: Vec<Look> = stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE).collect().await;
        looks.into_iter().for_each(|look| report.add(look));
        after = Some(last);
    }
    Ok(report)
}

impl SweepReport {
    fn add(&mut self, look: Look) {
        match look {
            Look::Launches(launches) => self.launches.extend(launches),
            Look::Nothing => {}
            Look::Failed(uri, error) => self.failed.push((uri, error)),
            Look::NoTime => self.is_cut_short = true,
        }
    }
}

enum Look {
    Launches(Vec<(LaunchKey, Option<Conclusion>)>),
    Nothing,
    Failed(String, DriveError),
    NoTime,
}

struct Sweep<'a, P> {
    driver: &'a Driver<'a, P>,
    storage: &'a Storage,
}

impl<P: Ports> Sweep<'_, P> {
    async fn look(&self, uri: String) -> Look {
        if self.driver.is_late(SignedDuration::ZERO) {
            return Look::NoTime;
        }
        let looked = match self.storage.parse_due(&uri) {
            Some(Due { at, what: DueFor::Launch(key) }) => self.launch(&uri, at, key).await,
            Some(Due { what: DueFor::Slots(name), .. }) => self.slots(&uri, name).await.map(|()| Look::Nothing),
            None => return Look::Nothing,
        };
        looked.unwrap_or_else(|error| Look::Failed(uri, error))
    }

    /// Drives a launch that is due. The entry goes only when the launch has ended, or its record was written since, with another
    /// entry to be found by: who had read it before cannot write it any more.
    async fn launch(&self, uri: &str, at: Timestamp, key: LaunchKey) -> Result<Look, DriveError> {
        let ports = self.driver.ports;
        let Some((record, version)) = self.driver.read(&key).await? else {
            if ports.clock().now().duration_since(at) >= ORPHANED {
                ports.ledger().delete(uri).await?;
            }
            return Ok(Look::Nothing);
        };
        let mut driven = Driven::resume(record, version);
        match self.driver.drive(&mut driven).await? {
            Rest::Ended => {}
            // Its entry brings the next sweep back to it.
            Rest::OutOfTime => return Ok(Look::NoTime),
            Rest::Waits(_) => {
                driven.protocol.touch();
                self.driver.write(&mut driven).await?;
            }
        }
        let record = driven.protocol.record();
        let entry = Due { at: record.due, what: DueFor::Launch(key.clone()) };
        if record.ended.is_some() || self.storage.due_uri(&entry) != uri {
            ports.ledger().delete(uri).await?;
        }
        let own = (key, record.ended.clone());
        Ok(Look::Launches(std::iter::once(own).chain(driven.others).collect()))
    }

    /// Takes slots back from launches that have ended or are not in the ledger.
    async fn slots(&self, uri: &str, name: String) -> Result<(), DriveError> {
        let ports = self.driver.ports;
        let slots_uri = self.storage.slots_uri(&name);
        let Some(Entry { text, .. }) = ports.ledger().read(&slots_uri).await? else {
            return Ok(ports.ledger().delete(uri).await?);
        };
        let slots: Slots = parse(&slots_uri, &text)?;
        // Who waits looks after itself, when it is due.
        for key in slots.holders.iter().map(|holder| &holder.launch) {
            if self.driver.is_late(SignedDuration::ZERO) {
                return Ok(());
            }
            // One that cannot be read keeps its slots, and nobody else's.
            let Ok(read) = self.driver.read(key).await else { continue };
            if read.is_none_or(|(record, _)| record.ended.is_some()) {
                let woken = self.driver.release_slots(&name, key).await?;
                self.driver.wake(woken).await;
            }
        }
        self.slots_due_again(uri, &slots_uri, name).await
    }

    /// While there are any, slots are due again.
    async fn slots_due_again(&self, uri: &str, slots_uri: &str, name: String) -> Result<(), DriveError> {
        let ports = self.driver.ports;
        let Some(Entry { text, version }) = ports.ledger().read(slots_uri).await? else { return Ok(()) };
        let mut slots: Slots = parse(slots_uri, &text)?;
        slots.due = None;
        if !slots.holders.is_empty() || !slots.waiting.is_empty() {
            let due = round_up(later(ports.clock().now(), SLOTS_EVERY));
            self.driver.note_due(self.storage, due, DueFor::Slots(name)).await?;
            slots.due = Some(due);
        }
        match ports.ledger().write(slots_uri, &to_json(&slots), &Expected::Version(version)).await {
            Ok(_) => Ok(ports.ledger().delete(uri).await?),
            // Its entry brings the next sweep back to it.
            Err(LedgerError::Changed) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
