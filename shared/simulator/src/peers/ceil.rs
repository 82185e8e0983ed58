//! The plain rule: at every look, the number of workers is the messages divided by the backlog per task.

use super::PeerSetting;
use crate::scaler::{Order, Scaler, View};

/// A scaler with the plain rule.
#[derive(Debug, Clone)]
pub struct Ceil {
    setting: PeerSetting,
}

impl Ceil {
    /// Creates the scaler with these settings.
    pub fn new(setting: PeerSetting) -> Self {
        Self { setting }
    }
}

impl Scaler for Ceil {
    fn period(&self) -> f64 {
        10.0
    }

    fn initial(&self) -> u32 {
        self.setting.min
    }

    fn look(&mut self, view: &View) -> Order {
        let messages = (view.visible + view.in_flight) as f64;
        let count = self.setting.clamp(messages / self.setting.backlog_per_task(), 0);
        if count == view.desired { Order::Hold } else { Order::Desired(count) }
    }
}
