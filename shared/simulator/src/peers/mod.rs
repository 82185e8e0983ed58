//! The policies of other scalers, modeled on their documentation and source code.

mod cdk;
mod ceil;
mod copilot;
mod keda;

pub use cdk::Cdk;
pub use ceil::Ceil;
pub use copilot::Copilot;
pub use keda::Keda;

/// The settings of a peer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeerSetting {
    /// The minimum number of workers.
    pub min: u32,
    /// The maximum number of workers.
    pub max: u32,
    /// How long messages may wait, in seconds.
    pub acceptable_latency: f64,
    /// How long a worker takes to handle a message, in seconds.
    pub msg_processing_time: f64,
    /// How many messages a worker handles at once.
    pub concurrency: u32,
}

impl PeerSetting {
    /// Returns how many messages may wait for each worker.
    fn backlog_per_task(&self) -> f64 {
        (self.acceptable_latency / self.msg_processing_time * f64::from(self.concurrency)).max(1.0)
    }

    fn clamp(&self, workers: f64, least: u32) -> u32 {
        (workers.ceil().clamp(0.0, f64::from(u32::MAX)) as u32).clamp(self.min.max(least), self.max.max(least))
    }
}
