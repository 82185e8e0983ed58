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

/// The place of one launch in a line. A launch takes one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The launch's ticket.
    pub ticket: u64,
    /// The launch.
    pub launch: LaunchKey,
    /// Whether the launch has its slot.
    pub is_held: bool,
}

/// What a launch that asks for its slots finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It is next, and a slot is free.
    Own,
    /// Another launch is next, and a slot is free.
    Other(Place),
    /// It waits.
    Waits,
    /// No slot is free, and the launch does not wait.
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
    /// Returns what a launch finds that needs one of `max` slots.
    pub fn turn(&self, launch: &LaunchKey, max: u32, when_full: WhenFull) -> Turn {
        if when_full == WhenFull::Skip {
            return if self.used < max { Turn::Own } else { Turn::Full };
        }
        match self.next(max) {
            Some(place) if place.launch == *launch => Turn::Own,
            Some(place) => Turn::Other(place.clone()),
            None => Turn::Waits,
        }
    }

    /// Returns the launch that is next, if a slot is free. No other launch overtakes it.
    pub fn next(&self, max: u32) -> Option<&Place> {
        self.heir().filter(|_| self.used < max)
    }

    /// Returns the launch that gets the slot which another one releases.
    pub fn heir(&self) -> Option<&Place> {
        self.places.iter().find(|place| !place.is_held)
    }

    /// Returns what makes room for the latest launches in line. Launches that no longer fit leave the line, the oldest
    /// first. Then as many holders are stopped as the rest of the line needs, the oldest first. The same line always
    /// gives the same answer, also while those holders are being stopped.
    pub fn make_room(&self, max: u32) -> MakeRoom {
        let (held, waiting): (Vec<&Place>, Vec<&Place>) = self.places.iter().partition(|place| place.is_held);
        let superseded = waiting.len().saturating_sub(max as usize).min(waiting.len().saturating_sub(1));
        let replaced = (self.used as usize + waiting.len() - superseded).saturating_sub(max as usize);
        let launches = |places: &[&Place], first: usize| {
            places.iter().take(first).map(|place| place.launch.clone()).collect::<Vec<_>>()
        };
        MakeRoom { superseded: launches(&waiting, superseded), replaced: launches(&held, replaced) }
    }
}

/// How a write of a launch's record changes its slot and its place in the line of its limit. The store makes both changes, or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotsChange {
    /// The name of the limit.
    pub limit: String,
    /// The most slots that may be taken.
    pub max: u32,
    /// The launch's ticket, if it has a place in line.
    pub ticket: Option<u64>,
    /// What happens to them.
    pub kind: SlotsChangeKind,
}

/// What happens to a launch's slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotsChangeKind {
    /// The launch takes a slot. It keeps its place.
    Take,
    /// The launch releases its slot, and its place.
    Release,
    /// The launch leaves the line without having had a slot.
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
        Some(Self { limit: concurrency.slots.clone(), max: concurrency.max, ticket, kind })
    }
}

#[cfg(test)]
mod tests;
