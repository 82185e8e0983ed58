//! What others scale by, modelled after their documents and sources.

mod cdk;
mod ceil;
mod copilot;
mod keda;

pub use cdk::Cdk;
pub use ceil::Ceil;
pub use copilot::Copilot;
pub use keda::Keda;

/// What a peer is set to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeerSetting {
    /// The least workers.
    pub min: u32,
    /// The most workers.
    pub max: u32,
    /// How long messages may wait: seconds.
    pub acceptable_latency: f64,
    /// How long a worker works on a message: seconds.
    pub msg_processing_time: f64,
    /// How many messages it works on at once.
    pub concurrency: u32,
}

impl PeerSetting {
    /// How many messages may wait for each worker.
    fn backlog_per_task(&self) -> f64 {
        (self.acceptable_latency / self.msg_processing_time * f64::from(self.concurrency)).max(1.0)
    }

    fn clamp(&self, workers: f64, least: u32) -> u32 {
        (workers.ceil().clamp(0.0, f64::from(u32::MAX)) as u32).clamp(self.min.max(least), self.max.max(least))
    }
}
