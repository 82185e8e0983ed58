//! The engine's ports on this machine, together.

use std::sync::Mutex;

use trigger_core::launch::Pace;
use trigger_engine::ports::{Clock, DeadLetters, Launcher, Ledger, Payloads, Ports, SystemClock};

use crate::{FolderDeadLetters, FolderLedger, FolderPayloads, LocalLauncher};

/// The ports of `dev`.
#[derive(Debug)]
pub struct Here {
    /// Starts processes.
    pub launcher: LocalLauncher,
    /// Stores large events.
    pub payloads: FolderPayloads,
    /// Remembers launches.
    pub ledger: FolderLedger,
    /// Stores events that end without their tasks. `None` without a ledger: such events return to their source.
    pub dead_letters: Option<FolderDeadLetters>,
    /// The pace of launches.
    pub pace: Mutex<Pace>,
}

impl Ports for Here {
    fn launcher(&self) -> &impl Launcher {
        &self.launcher
    }

    fn payloads(&self) -> &impl Payloads {
        &self.payloads
    }

    fn ledger(&self) -> &impl Ledger {
        &self.ledger
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
