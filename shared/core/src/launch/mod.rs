//! Launch: starts the tasks of a planned launch once, or dead-letters its event with the reason.
//!
//! [`LaunchRecord`] is what the launch store holds about a launch. [`Protocol`] is the state machine: it decides the next
//! [`Step`] from the record and the answers so far. It does no I/O; `trigger-engine` drives it on AWS, on the local
//! machine and in the simulation. [`Reply::verdict`] decides what a reply of ECS means,
//! [`crate::ecs::StoppedTask::fate`] how a task ended, and [`Line`] which launches may run at once.
//!
//! Invariants:
//!
//! 1. RunTask is called for an attempt only while the store holds that attempt as the last one, without a reply.
//! 2. An attempt's request is a pure function of the record. Every call for the attempt sends the same request with the
//!    same client token, so ECS starts its tasks once. Only one process calls at a time: AWS does not document whether
//!    a call that started no task consumes its token. If it does not, a late caller could start the tasks a second
//!    time, after another process has gone on to the next attempt.
//! 3. The next attempt is recorded only when every earlier attempt has a definite reply. It asks for the missing tasks,
//!    with a new token. Existing and requested tasks together, without those that a retry replaces, never exceed the
//!    launch's count.
//! 4. A token is not used once ECS may have forgotten it. If the attempt is still in doubt then, its tasks are looked
//!    up, and the event is dead-lettered if any are missing.
//! 5. Slots are taken in the same write that records the first attempt, and released in the write that records that no
//!    task of the launch runs or will run.
//! 6. Every record that has not ended has a due time, by which the store finds it.
//! 7. A record that has ended does not change, unless its dead letter is redriven.

mod dead_letter;
mod fate;
mod line;
mod pace;
mod protocol;
mod rate;
mod record;
mod reply;
mod set;

pub use dead_letter::DeadLetter;
pub use fate::{ExitCodes, Fate, Retry, RetryOn, StopReason};
pub use line::{Line, MakeRoom, Place, SlotsChange, SlotsChangeKind, Turn};
pub use pace::Pace;
pub use protocol::{Answer, IN_DOUBT, NotRendered, Protocol, SeenTask, Slots, Step, TaskStatus, later};
pub use rate::{CallTimes, Pool, Rate};
pub(crate) use record::VERSION as RECORD_VERSION;
pub use record::{
    Attempt, Conclusion, Concurrency, EventCopy, GivenUp, LaunchRecord, LaunchedTask, Outcome, Rendered, Reopened,
    Sequence, Skipped, Slot, Undecided, WhenFull,
};
pub use reply::{Failure, Reply, Verdict};
pub use set::{LaunchSet, SetChange, SetCounts, SetState};
