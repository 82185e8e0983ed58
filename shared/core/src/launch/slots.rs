//! The slots of a route, which limit how many tasks run at once, and the line of launches that wait for them.
//!
//! One object of the ledger holds the slots of one route and key. A write replaces only the version that was read, so
//! the decisions here are correct under any interleaving.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::{Concurrency, WhenFull};
use crate::event::identity::LaunchKey;

/// When this many launches wait for the slots of one key, the next one is dead-lettered. Every change rewrites the
/// whole list.
pub const WAITING_MAX: usize = 5_000;

/// The slots of one route and key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// The launches that have their slots, the oldest first.
    pub holders: Vec<Holder>,
    /// The launches that wait, the first in line first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiter>,
    /// The most tasks that may run at once.
    #[serde(default)]
    pub max: u32,
    /// When the sweep checks that no holder has ended or is missing from the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
}

/// A launch that has its slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The launch.
    pub launch: LaunchKey,
    /// How many tasks the launch runs.
    pub tasks: u32,
    /// Whether the launch is being stopped to make room for another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopping: bool,
}

/// A launch that waits for its slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// The launch.
    pub launch: LaunchKey,
    /// How many tasks the launch will run.
    pub tasks: u32,
}

/// The result of asking for a launch's slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The launch has its slots.
    Held,
    /// The launch waits in line.
    Waiting {
        /// The launches that have to be stopped to make room for those in line.
        stop: Vec<LaunchKey>,
    },
    /// Too few slots are free, and the launch does not wait.
    Full,
    /// The launch waited in line and gave way to a later one.
    Superseded,
    /// The line is full.
    LineFull,
}

impl Slots {
    /// Takes slots for a launch, or a place in line. A launch that asks again keeps what it has.
    ///
    /// `waited` is whether an earlier answer to the launch was [`Taken::Waiting`].
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

    /// Releases a launch's slots, or its place in line, and gives the free slots to the next launches in line. Returns
    /// those launches.
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

    /// Returns how many slots are taken.
    pub fn used(&self) -> u32 {
        self.holders.iter().map(|holder| holder.tasks).sum()
    }

    /// Makes room for the latest launches. Launches in line that no longer fit leave it, the oldest first. Then as many
    /// holders are marked to be stopped as the rest of the line needs, the oldest first.
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
