//! The line of the launches that share a limit: which of them hold slots, and which waits next.
//!
//! Each launch has a ticket, which rises in the order of arrival. The launch store counts the slots that are taken, and
//! changes that count only together with the record of the launch that takes or releases them. So the decisions here may
//! be made from an old view: the store refuses what no longer holds.

use super::record::{LaunchRecord, Slot, WhenFull};
use crate::event::identity::LaunchKey;

/// The launches that hold or await the slots of one limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// How many slots are taken.
    pub used: u32,
    /// The launches with a place, in the order of their tickets. A launch of a route that skips has no place.
    pub places: Vec<Place>,
}

/// The place of one launch in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The launch's ticket.
    pub ticket: u64,
    /// The launch.
    pub launch: LaunchKey,
    /// How many slots the launch needs: one for each of its tasks.
    pub tasks: u32,
    /// Whether the launch has its slots.
    pub is_held: bool,
}

/// What a launch that asks for its slots finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It is next, and enough slots are free.
    Own,
    /// Another launch is next, and enough slots are free for that one.
    Other(Place),
    /// It waits.
    Waits,
    /// Too few slots are free, and the launch does not wait.
    Full,
}

/// What makes room for the latest launches of a route that replaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MakeRoom {
    /// The launches that leave the line, because later ones need the room.
    pub superseded: Vec<LaunchKey>,
    /// The launches whose tasks are stopped.
    pub replaced: Vec<LaunchKey>,
}

impl Line {
    /// Returns what a launch finds that needs `tasks` slots of `max`.
    pub fn turn(&self, launch: &LaunchKey, tasks: u32, max: u32, when_full: WhenFull) -> Turn {
        if when_full == WhenFull::Skip {
            return if self.used + tasks <= max { Turn::Own } else { Turn::Full };
        }
        match self.next(max) {
            Some(place) if place.launch == *launch => Turn::Own,
            Some(place) => Turn::Other(place.clone()),
            None => Turn::Waits,
        }
    }

    /// Returns the launch that is next, if enough slots are free for it. Nobody overtakes it.
    pub fn next(&self, max: u32) -> Option<&Place> {
        self.places.iter().find(|place| !place.is_held).filter(|place| self.used + place.tasks <= max)
    }

    /// Returns what makes room for the latest launches in line. Launches that no longer fit leave the line, the oldest
    /// first. Then as many holders are stopped as the rest of the line needs, the oldest first. The same line always
    /// gives the same answer, also while those holders are being stopped.
    pub fn make_room(&self, max: u32) -> MakeRoom {
        let mut room = MakeRoom::default();
        let waiting: Vec<&Place> = self.places.iter().filter(|place| !place.is_held).collect();
        let mut needed: u32 = waiting.iter().map(|place| place.tasks).sum();
        for place in waiting.iter().take(waiting.len().saturating_sub(1)) {
            if needed <= max {
                break;
            }
            needed -= place.tasks;
            room.superseded.push(place.launch.clone());
        }
        let mut excess = (self.used + needed).saturating_sub(max);
        for place in self.places.iter().filter(|place| place.is_held) {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(place.tasks);
            room.replaced.push(place.launch.clone());
        }
        room
    }
}

/// How a write of a launch's record changes the slots of its limit. The store makes both changes, or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotsChange {
    /// The name of the limit.
    pub limit: String,
    /// The most slots that may be taken.
    pub max: u32,
    /// The launch's ticket, if it has a place in line.
    pub ticket: Option<u64>,
    /// How many slots the launch needs.
    pub tasks: u32,
    /// What happens to them.
    pub kind: SlotsChangeKind,
}

/// What happens to a launch's slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotsChangeKind {
    /// The launch takes its slots. It keeps its place.
    Take,
    /// The launch releases its slots, and its place.
    Release,
    /// The launch leaves the line without having had its slots.
    Leave,
    /// The launch gets a place in line again, with a new ticket.
    Join,
}

impl SlotsChange {
    /// Returns how the slots change when `after` replaces `before` in the store.
    pub fn between(before: &LaunchRecord, after: &LaunchRecord) -> Option<Self> {
        let concurrency = after.concurrency.as_ref()?;
        let (kind, ticket) = match (before.slot, after.slot) {
            (Some(Slot::Held), Some(Slot::Released)) => (SlotsChangeKind::Release, before.ticket),
            (Some(Slot::Waiting), Some(Slot::Released)) => (SlotsChangeKind::Leave, before.ticket),
            (Some(Slot::Waiting | Slot::Released) | None, Some(Slot::Held)) => (SlotsChangeKind::Take, after.ticket),
            (Some(Slot::Released) | None, Some(Slot::Waiting)) => (SlotsChangeKind::Join, after.ticket),
            _ => return None,
        };
        Some(Self { limit: concurrency.slots.clone(), max: concurrency.max, ticket, tasks: after.count(), kind })
    }
}

#[cfg(test)]
mod tests;
