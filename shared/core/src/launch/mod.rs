//! Launch: from a planned launch to tasks that ran, once, or to a dead letter with its reason.
//!
//! [`LaunchRecord`] is what the ledger remembers of a launch. [`Protocol`] is the state machine: what is recorded, and what was
//! heard, decides the next [`Step`]. It does nothing itself; `trigger-engine` drives it, here and on AWS and in the simulation
//! alike. [`Reply::verdict`] says what a reply of ECS means, [`crate::ecs::StoppedTask::fate`] what a task came to, [`Slots`] who may run at once.
//!
//! What always holds:
//!
//! 1. RunTask is called for an attempt only while the ledger holds that attempt as the last one, without a reply.
//! 2. An attempt's request is a pure function of the record: whoever calls, however often, asks for the same with the same client
//!    token, so that ECS starts it once. And only one calls at a time: whether a call of which every task failed uses its token up is
//!    not said, and if it does not, who calls later than the one that went on to the next attempt would start the tasks twice.
//! 3. The next attempt is recorded only when every earlier one has a definite reply; it asks for what is missing, with a token of
//!    its own. Tasks that are there and tasks that are asked for are never more than the launch's count.
//! 4. A token is not used any more when ECS may have forgotten it. What is in doubt then is looked for, and else dead-lettered.
//! 5. Slots are taken before the first attempt, and given back when nothing of the launch runs or will.
//! 6. A record that has not ended is due at some time, and the entry for that lies in the ledger before the record says so.
//! 7. What was recorded as ended stays so.

mod dead_letter;
mod fate;
mod pace;
mod protocol;
mod record;
mod reply;
mod slots;

pub use dead_letter::{DeadLetter, Redrive};
pub use fate::{Fate, Retry, RetryOn, StopReason};
pub use pace::Pace;
pub use protocol::{Answer, Protocol, SeenTask, Step, TaskStatus, later};
pub(crate) use record::VERSION as RECORD_VERSION;
pub use record::{
    Attempt, Conclusion, Concurrency, EventCopy, GivenUp, LaunchRecord, LaunchedTask, Outcome, Reopened, Sequence,
    Skipped, Slot, Undecided, WhenFull,
};
pub use reply::{Failure, Reply, Verdict};
pub use slots::{Holder, Slots, Taken, WAITING_MAX, Waiter};
