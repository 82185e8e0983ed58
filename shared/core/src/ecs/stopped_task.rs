//! How a task stopped, as ECS reports it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a task stopped, as ECS tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedTask {
    /// Such as `EssentialContainerExited`. ECS forgets a task an hour after it stopped; then there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_code: Option<String>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_reason: Option<String>,
    /// Its containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerExit>,
    /// Whether ECS knows the task no more: nobody can say how it ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vanished: bool,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerExit {
    /// The container's name.
    pub name: String,
    /// Its exit code; one that never ran has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// More about it, such as `OutOfMemoryError`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl fmt::Display for StoppedTask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.vanished {
            return formatter.write_str("ECS knows it no more, and nobody saw how it ended");
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
