//! How a task stopped, as ECS reports it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The words of a dead letter whose task may have done its work.
pub const UNOBSERVED: &str = "how it ended was not observed";

/// How a task stopped, as ECS reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedTask {
    /// The stop code, such as `EssentialContainerExited`. None if ECS no longer knows the task, which it forgets an
    /// hour after the stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_code: Option<String>,
    /// The reason in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_reason: Option<String>,
    /// The containers of the task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerExit>,
    /// Whether ECS no longer knows the task, so that how it ended is unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vanished: bool,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerExit {
    /// The container's name.
    pub name: String,
    /// The exit code; none if the container never ran, or if ECS did not learn how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// More details, such as `OutOfMemoryError`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl fmt::Display for StoppedTask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.vanished {
            return write!(formatter, "ECS no longer knows the task, and {UNOBSERVED}");
        }
        formatter.write_str(self.stop_code.as_deref().unwrap_or("stopped"))?;
        self.stopped_reason.iter().try_for_each(|reason| write!(formatter, ", {reason}"))?;
        for ContainerExit { name, exit_code, reason } in &self.containers {
            write!(formatter, "; {name}: ")?;
            match exit_code {
                Some(code) => write!(formatter, "exit code {code}")?,
                None => formatter.write_str("no exit code")?,
            }
            reason.iter().try_for_each(|reason| write!(formatter, " ({reason})"))?;
        }
        Ok(())
    }
}
