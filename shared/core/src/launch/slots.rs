//! How many tasks of a route run at once: its slots, and who waits for one.
//!
//! One object of the ledger holds the slots of one route and key. It is only ever replaced as the version that was read, so
//! that what is decided here holds under any interleaving.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::{Concurrency, WhenFull};
use crate::event::identity::LaunchKey;

/// How many launches may wait for the slots of one key: the list is written anew with every change.
pub const WAITING_MAX: usize = 5_000;

/// The slots of one route and key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// Launches that have their slots, the oldest first.
    pub holders: Vec<Holder>,
    /// Launches that wait, the first in line first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiter>,
    /// How many tasks may run.
    #[serde(default)]
    pub max: u32,
    /// When the sweep looks whether every holder is still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
}

/// A launch that has its slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The launch.
    pub launch: LaunchKey,
    /// How many tasks it runs.
    pub tasks: u32,
    /// Whether it is being stopped for another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopping: bool,
}

/// A launch that waits for its slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// The launch.
    pub launch: LaunchKey,
    /// How many tasks it will run.
    pub tasks: u32,
}

/// Whether a launch has its slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It has.
    Held,
    /// It stands in line.
    Waiting {
        /// The launches that have to be stopped for those in line.
        stop: Vec<LaunchKey>,
    },
    /// All slots are taken, and it does not wait.
    Full,
    /// It stood in line, and made place for a later one.
    Superseded,
    /// The line is too long to stand in.
    LineFull,
}

impl Slots {
    /// Takes slots for a launch, or a place in the line. Asked again, a launch keeps what it has.
    ///
    /// `waited`: whether the launch was told before that it stands in line.
    pub fn take(&mut self, launch: &LaunchKey, tasks: u32, concurrency: &Concurrency, waited: bool) -> Taken {
        self.max = concurrency.max;
        if self.holders.iter().any(|holder| holder.launch == *launch) {
            return Taken::Held;
        }
        let place = self.waiting.iter().position(|waiter| waiter.launch == *launch);
        let is_next = place.unwrap_or(self.waiting.len()) == 0;
        if is_next && self.used() + tasks <= concurrency.max && !(waited && place.is_none()) {
            place.map(|place| self.waiting.remove(place));
            self.holders.push(Holder { launch: launch.clone(), tasks, stopping: false });
            return Taken::Held;
        }
        match concurrency.when_full {
            WhenFull::Skip => return Taken::Full,
            WhenFull::Replace if place.is_none() && waited => return Taken::Superseded,
            WhenFull::Queue | WhenFull::Replace if place.is_some() => {}
            _ if self.waiting.len() >= WAITING_MAX => return Taken::LineFull,
            when_full => {
                self.waiting.push(Waiter { launch: launch.clone(), tasks });
                if when_full == WhenFull::Replace {
                    self.make_place();
                }
            }
        }
        let stopping = self.holders.iter().filter(|holder| holder.stopping);
        Taken::Waiting { stop: stopping.map(|holder| holder.launch.clone()).collect() }
    }

    /// Gives a launch's slots back, or its place in the line, and hands what is free to the next in line: these.
    pub fn release(&mut self, launch: &LaunchKey) -> Vec<LaunchKey> {
        self.holders.retain(|holder| holder.launch != *launch);
        self.waiting.retain(|waiter| waiter.launch != *launch);
        let mut woken = Vec::new();
        while self.waiting.first().is_some_and(|next| self.used() + next.tasks <= self.max) {
            let Waiter { launch, tasks } = self.waiting.remove(0);
            woken.push(launch.clone());
            self.holders.push(Holder { launch, tasks, stopping: false });
        }
        woken
    }

    /// How many tasks run, or may.
    pub fn used(&self) -> u32 {
        self.holders.iter().map(|holder| holder.tasks).sum()
    }

    /// Lets the later ones have the slots of the oldest: those in line that do not fit any more leave it, oldest first, and as
    /// many holders as the others need are to be stopped.
    fn make_place(&mut self) {
        let max = self.max;
        let waiting = |slots: &Self| slots.waiting.iter().map(|waiter| waiter.tasks).sum::<u32>();
        while self.waiting.len() > 1 && waiting(self) > max {
            self.waiting.remove(0);
        }
        let staying = |slots: &Self| {
            slots.holders.iter().filter(|holder| !holder.stopping).map(|holder| holder.tasks).sum::<u32>()
        };
        while staying(self) + waiting(self) > max {
            let Some(oldest) = self.holders.iter_mut().find(|holder| !holder.stopping) else { return };
            oldest.stopping = true;
        }
    }
}

#[cfg(test)]
mod tests;
