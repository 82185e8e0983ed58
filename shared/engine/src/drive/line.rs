//! The part of a drive that is about slots: who takes one, and who is next.

use std::time::Duration;

use jiff::SignedDuration;
use trigger_core::launch::{
    Answer, Concurrency, LaunchRecord, Place, Slot, Slots, SlotsChangeKind, Step, Turn, WhenFull,
};

use super::{DriveError, Driven, Driver, FollowUp};
use crate::ports::{Change, Clock, LaunchStore, Ports, StoreError, Stored};

/// A launch that finds its slots taken by others this many times gives up for now.
pub(super) const TRIES_MAX: u32 = 20;
/// If this many launches in a row that were next in line have already taken another slot, the released slot is not handed
/// over but becomes free.
const HEIRS_MAX: u32 = 4;
/// For this time after it was recorded, a launch that is next in line is left to the process that recorded it.
const LEFT_ALONE: SignedDuration = SignedDuration::from_secs(5);

impl<P: Ports> Driver<'_, P> {
    pub(super) async fn draw_ticket(&self, record: &LaunchRecord) -> Result<u64, DriveError> {
        match (self.store(), &record.concurrency) {
            (Some(store), Some(concurrency)) => Ok(store.draw_tickets(&concurrency.slots, 1).await?),
            _ => Ok(0),
        }
    }

    /// Looks whether it is the launch's turn to take slots, and makes room for it if its route replaces.
    pub(super) async fn look_for_slots(&self, driven: &mut Driven) -> Result<Answer, DriveError> {
        let (Some(store), Some(concurrency)) = (self.store(), driven.record().concurrency.clone()) else {
            return Ok(Answer::Slots(Slots::Free));
        };
        let Concurrency { slots: limit, max, when_full } = &concurrency;
        let key = driven.record().key.clone();
        let line = store.line(limit).await?;
        if *when_full == WhenFull::Replace {
            let room = line.make_room(*max);
            if room.superseded.contains(&key) {
                return Ok(Answer::Superseded);
            }
            let superseded = room.superseded.into_iter().map(|key| FollowUp::Tell(key, Answer::Superseded));
            let replaced = room.replaced.into_iter().map(|key| FollowUp::Tell(key, Answer::Replaced));
            driven.follow_ups.extend(superseded.chain(replaced));
        }
        Ok(Answer::Slots(match line.turn(&key, *max, *when_full) {
            Turn::Own => {
                driven.open_slots = Some(max.saturating_sub(line.used + 1));
                Slots::Free
            }
            Turn::Full => Slots::Full,
            Turn::Waits => Slots::Waiting,
            Turn::Other(place) => {
                // The launch waits behind that one. If both fit, the other one's process or this one wakes it.
                if let Some(next) = self.give_slots_to_next(&concurrency, Some(&place)).await? {
                    driven.follow_ups.push(FollowUp::Next(concurrency));
                    driven.follow_ups.push(FollowUp::Continue(Box::new(next)));
                }
                Slots::Waiting
            }
        }))
    }

    /// Gives free slots to the next launch in line. Returns that launch, which continues. `place` is that of a launch
    /// that is left to its own process while it is new.
    pub(super) async fn give_slots_to_next(
        &self,
        concurrency: &Concurrency,
        place: Option<&Place>,
    ) -> Result<Option<Driven>, DriveError> {
        let Some(store) = self.store() else { return Ok(None) };
        let mut seen = place.cloned();
        for turn in 0..TRIES_MAX {
            let next = match seen.take() {
                Some(place) => place,
                None => match store.line(&concurrency.slots).await?.next(concurrency.max) {
                    Some(next) => next.clone(),
                    None => return Ok(None),
                },
            };
            if place.is_some_and(|place| place.ticket != next.ticket) {
                return Ok(None);
            }
            let Some(stored) = self.read(&next.launch).await? else { return Ok(None) };
            let is_new = self.now().duration_since(stored.record.created) < LEFT_ALONE;
            if place.is_some() && is_new {
                return Ok(None);
            }
            if self.is_late(SignedDuration::ZERO) {
                self.leave(std::slice::from_ref(&next.launch), Duration::ZERO);
                return Ok(None);
            }
            if let Some((mut driven, change)) = self.with_slots(stored) {
                match store.advance(&change).await {
                    Ok(stored) => {
                        driven.is_written(stored);
                        return Ok(Some(driven));
                    }
                    Err(StoreError::Changed | StoreError::NoSlots) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.give_way(turn).await;
        }
        Ok(None)
    }

    /// Writes the change of a launch that releases its slot, and gives that slot to the next launch in line, which
    /// continues. Returns nothing if no launch can take it now: then nothing is written.
    pub(super) async fn hand_slot_over(
        &self,
        store: &impl LaunchStore,
        driven: &mut Driven,
        change: &Change,
    ) -> Result<Option<Stored>, StoreError> {
        let is_release = change.slots.as_ref().is_some_and(|slots| slots.kind == SlotsChangeKind::Release);
        let Some(concurrency) = change.record.concurrency.as_ref().filter(|_| is_release) else { return Ok(None) };
        for _ in 0..HEIRS_MAX {
            let line = store.line(&concurrency.slots).await?;
            let Some(next) = line.heir().filter(|_| !self.is_late(SignedDuration::ZERO)) else {
                return Ok(None);
            };
            let stored = store.read(std::slice::from_ref(&next.launch)).await?.pop().flatten();
            let Some((mut heir, taken)) = stored.and_then(|stored| self.with_slots(stored)) else { return Ok(None) };
            // A later config may have lowered the limit below what is taken.
            if taken.slots.as_ref().is_none_or(|slots| line.used > slots.max) {
                return Ok(None);
            }
            match store.hand_over(change, &taken).await {
                Ok([released, taken]) => {
                    heir.is_written(taken);
                    if line.used < concurrency.max {
                        driven.follow_ups.push(FollowUp::Next(concurrency.clone()));
                    }
                    driven.follow_ups.push(FollowUp::Continue(Box::new(heir)));
                    return Ok(Some(released));
                }
                // Another launch has released a slot to the same one.
                Err(StoreError::NoSlots) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Returns a launch that waits in line as it continues with its slot, and the change that gives it the slot.
    fn with_slots(&self, stored: Stored) -> Option<(Driven, Change)> {
        let mut driven = Driven::resume(stored);
        driven.protocol.hear(Answer::Slots(Slots::Free), self.now());
        let takes_slots = driven.record().slot == Some(Slot::Held) && driven.protocol.next(self.now()) == Step::Write;
        let before =
            driven.stored.as_ref().filter(|stored| stored.record.slot == Some(Slot::Waiting) && takes_slots)?;
        let change = Change::new(before, self.due_record(&driven));
        Some((driven, change))
    }

    pub(super) async fn give_way(&self, turn: u32) {
        self.ports.clock().sleep(Duration::from_millis(u64::from(turn.min(10)) * 7)).await;
    }
}
