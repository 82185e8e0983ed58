//! Handles what happens after a launch: its tasks stop, and times pass.

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use trigger_core::event::TaskStateChange;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{Answer, Conclusion, SeenTask, Slots, TaskStatus, later};
use trigger_core::storage::{Due, DueFor, Storage};

use crate::drive::{DriveError, Driven, Driver, Rest, SLOTS_EVERY, parse, round_up, to_json};
use crate::ports::{Clock, Entry, Expected, Ledger, LedgerError, Ports};

/// The sweep handles this many due entries at once.
const LOOKS_AT_ONCE: usize = 8;
/// A due entry is deleted this long after its time if its launch is not in the ledger. Until then its writer may only
/// be slow.
const ORPHANED: SignedDuration = SignedDuration::from_mins(15);

/// The result of a task's state change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChangeOutcome {
    /// The task belongs to no launch in the ledger, or it still runs.
    Ignored,
    /// How the task ended is recorded in its launch.
    Recorded {
        /// The launch.
        launch: LaunchKey,
        /// The launch's conclusion, if it has ended.
        conclusion: Option<Conclusion>,
        /// The launches that continued because of the change, with their conclusions if they have ended.
        others: Vec<(LaunchKey, Option<Conclusion>)>,
    },
}

/// Records how a task ended and continues its launch: the launch ends, a task is started again, the event is
/// dead-lettered, or a waiting launch is started. A repeated or old state change changes nothing.
///
/// # Errors
/// The ledger, ECS or the dead-letter queue did not answer, or cannot be used. The change should be delivered again; if
/// it is not, the sweep looks the task up.
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

/// The result of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// The launches that the sweep continued, with their conclusions if they have ended.
    pub launches: Vec<(LaunchKey, Option<Conclusion>)>,
    /// The URIs of due entries that failed, with the errors. They stay due.
    pub failed: Vec<(String, DriveError)>,
    /// Whether the sweep ran out of time before everything was done.
    pub is_cut_short: bool,
}

/// Handles everything that is due: continues launches that were left half done or wait for capacity, stops tasks that
/// run too long, looks up tasks whose state change never came, and releases the slots of launches that have ended.
///
/// # Errors
/// The ledger did not list what is due.
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
    // Page by page: entries that fail stay in the list, and must not hide the rest.
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

    /// Drives a launch that is due. Its entry is deleted only when the launch has ended, or when its record has been
    /// written with another due time: a process that read the record before can no longer write it then.
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
            // The entry brings the next sweep back to the launch.
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

    /// Releases the slots of launches that have ended or are not in the ledger.
    async fn slots(&self, uri: &str, name: String) -> Result<(), DriveError> {
        let ports = self.driver.ports;
        let slots_uri = self.storage.slots_uri(&name);
        let Some(Entry { text, .. }) = ports.ledger().read(&slots_uri).await? else {
            return Ok(ports.ledger().delete(uri).await?);
        };
        let slots: Slots = parse(&slots_uri, &text)?;
        // A launch that waits in line re-checks its slots by itself when it is due.
        for key in slots.holders.iter().map(|holder| &holder.launch) {
            if self.driver.is_late(SignedDuration::ZERO) {
                return Ok(());
            }
            // A launch that cannot be read keeps its slots, but does not stop the check of the others.
            let Ok(read) = self.driver.read(key).await else { continue };
            if read.is_none_or(|(record, _)| record.ended.is_some()) {
                let woken = self.driver.release_slots(&name, key).await?;
                self.driver.wake(woken).await;
            }
        }
        self.slots_due_again(uri, &slots_uri, name).await
    }

    /// Makes the slots due again, while a launch holds or awaits some.
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
            // The entry brings the next sweep back to these slots.
            Err(LedgerError::Changed) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
