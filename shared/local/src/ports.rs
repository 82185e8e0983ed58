//! The engine's ports on this machine, together.

use std::sync::Mutex;

use trigger_core::launch::Pace;
use trigger_engine::ports::{Clock, DeadLetters, LaunchStore, Launcher, Payloads, Ports, SystemClock, WorkQueue};

use crate::{EmbeddedStore, FolderDeadLetters, FolderPayloads, LocalLauncher, LocalWork};

/// The ports of `dev`.
#[derive(Debug)]
pub struct Here {
    /// Starts processes.
    pub launcher: LocalLauncher,
    /// Stores large events.
    pub payloads: FolderPayloads,
    /// Stores launches. `None` without a ledger.
    pub store: Option<EmbeddedStore>,
    /// Holds the launches that `dev` continues soon. `None` without a ledger.
    pub work: Option<LocalWork>,
    /// Stores events that end without their tasks. `None` without a ledger: such events return to their source.
    pub dead_letters: Option<FolderDeadLetters>,
    /// The pace of launches without a ledger, or while it cannot be read.
    pub pace: Mutex<Pace>,
}

impl Ports for Here {
    fn launcher(&self) -> &impl Launcher {
        &self.launcher
    }

    fn payloads(&self) -> &impl Payloads {
        &self.payloads
    }

    fn store(&self) -> Option<&impl LaunchStore> {
        self.store.as_ref()
    }

    fn work(&self) -> Option<&impl WorkQueue> {
        self.work.as_ref()
    }

    fn dead_letters(&self) -> Option<&impl DeadLetters> {
        self.dead_letters.as_ref()
    }

    fn clock(&self) -> &impl Clock {
        &SystemClock
    }

    fn pace(&self) -> &Mutex<Pace> {
        &self.pace
    }
}
