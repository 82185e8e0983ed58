//! A launch set: the launches that one route makes for one event, if there are several.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::{LaunchRecord, Outcome};

/// A launch set. Its launches are recorded before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSet {
    /// The set's name: the route's name, and a hash of the event's identity.
    pub name: String,
    /// The event's id.
    pub event_id: String,
    /// The number of launches.
    pub total: u32,
    /// When the set was recorded: all of its launches are in the store since then.
    pub created: Timestamp,
}

/// The state of a launch, as far as its set counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetState {
    /// None of its tasks has started. The set does not count it.
    Waiting,
    /// A task has started, and the launch has not ended.
    Running,
    /// Every task succeeded.
    Succeeded,
    /// It was dead-lettered.
    Failed,
    /// It was skipped, stopped, replaced or cancelled.
    Other,
}

/// The counts of a set's launches by their state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is what its name says")]
pub struct SetCounts {
    pub running: i64,
    pub succeeded: i64,
    pub failed: i64,
    pub other: i64,
}

/// How a write of a launch's record changes the counts of its set. The store makes both changes, or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetChange {
    /// The set's name.
    pub set: String,
    /// The state of the launch before.
    pub from: SetState,
    /// The state of the launch now.
    pub to: SetState,
}

impl SetState {
    /// Returns the state of a launch.
    pub fn of(record: &LaunchRecord) -> Self {
        match record.ended.as_ref().map(|ended| &ended.outcome) {
            None if record.tasks.is_empty() => Self::Waiting,
            None => Self::Running,
            Some(Outcome::Succeeded) => Self::Succeeded,
            Some(Outcome::DeadLettered(_)) => Self::Failed,
            Some(Outcome::Stopped | Outcome::Replaced | Outcome::Cancelled | Outcome::Skipped(_)) => Self::Other,
        }
    }
}

impl SetCounts {
    /// Counts a launch that changes its state.
    pub fn count(&mut self, change: &SetChange) {
        for (state, one) in [(change.from, -1), (change.to, 1)] {
            match state {
                SetState::Waiting => {}
                SetState::Running => self.running += one,
                SetState::Succeeded => self.succeeded += one,
                SetState::Failed => self.failed += one,
                SetState::Other => self.other += one,
            }
        }
    }

    /// Returns how many of `total` launches wait.
    pub fn waiting(&self, total: u32) -> i64 {
        i64::from(total) - self.running - self.succeeded - self.failed - self.other
    }
}

impl SetChange {
    /// Returns how the counts change when `after` replaces `before` in the store.
    pub fn between(before: &LaunchRecord, after: &LaunchRecord) -> Option<Self> {
        let (from, to) = (SetState::of(before), SetState::of(after));
        let set = after.set.clone().filter(|_| from != to)?;
        Some(Self { set, from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::{SetChange, SetCounts, SetState};

    #[test]
    fn every_launch_is_in_one_state() {
        let change = |from, to| SetChange { set: "r/1".to_owned(), from, to };
        let mut counts = SetCounts::default();
        counts.count(&change(SetState::Waiting, SetState::Running));
        counts.count(&change(SetState::Waiting, SetState::Running));
        counts.count(&change(SetState::Running, SetState::Failed));
        counts.count(&change(SetState::Failed, SetState::Running));
        counts.count(&change(SetState::Running, SetState::Succeeded));
        counts.count(&change(SetState::Waiting, SetState::Other));
        assert_eq!(counts, SetCounts { running: 1, succeeded: 1, failed: 0, other: 1 });
        assert_eq!(counts.waiting(5), 2);
    }
}
