//! KEDA's ScaledObject on an SQS queue, with the defaults of Kubernetes' horizontal pod autoscaler.
//!
//! Sources: <https://keda.sh/docs/latest/scalers/aws-sqs/>,
//! <https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/>

use std::collections::VecDeque;

use super::PeerSetting;
use crate::scaler::{Order, Scaler, View};

const SYNC_PERIOD: f64 = 15.0;
const TOLERANCE: f64 = 0.1;
const PODS_MAX: u32 = 4;
const STABILIZATION: f64 = 300.0;
const COOLDOWN: f64 = 300.0;

/// A scaler that keeps a number of messages per pod.
#[derive(Debug, Clone)]
pub struct Keda {
    setting: PeerSetting,
    is_protected: bool,
    looks: u64,
    recommended: VecDeque<(f64, u32)>,
    last_active: f64,
}

impl Keda {
    /// Creates the scaler with KEDA's defaults.
    pub fn new(setting: PeerSetting) -> Self {
        let last_active = f64::NEG_INFINITY;
        Self { setting, is_protected: false, looks: 0, recommended: VecDeque::new(), last_active }
    }

    /// Creates the scaler with KEDA's defaults and with workers that are protected while they have a message.
    pub fn protected(setting: PeerSetting) -> Self {
        Self { is_protected: true, ..Self::new(setting) }
    }
}

impl Scaler for Keda {
    fn period(&self) -> f64 {
        SYNC_PERIOD
    }

    fn protects(&self) -> bool {
        self.is_protected
    }

    fn initial(&self) -> u32 {
        self.setting.min
    }

    fn look(&mut self, view: &View) -> Order {
        self.looks += 1;
        let messages = view.visible + view.in_flight;
        if messages > 0 {
            self.last_active = view.now;
        }
        if view.desired == 0 {
            // KEDA itself scales from zero, and looks only every 30 seconds.
            return if messages > 0 && self.looks.is_multiple_of(2) { Order::Desired(1) } else { Order::Hold };
        }
        if messages == 0 && view.now - self.last_active >= COOLDOWN && self.setting.min == 0 {
            self.recommended.clear();
            return Order::Desired(0);
        }
        let target = self.setting.backlog_per_task();
        let ratio = messages as f64 / (f64::from(view.desired) * target);
        let wanted = if (ratio - 1.0).abs() <= TOLERANCE {
            view.desired
        } else {
            self.setting.clamp(messages as f64 / target, 1)
        };
        self.recommended.push_back((view.now, wanted));
        while self.recommended.front().is_some_and(|(at, _)| view.now - at > STABILIZATION) {
            self.recommended.pop_front();
        }
        let highest = self.recommended.iter().map(|(_, wanted)| *wanted).max().unwrap_or(wanted);
        let count = if wanted > view.desired {
            wanted.min(view.desired + view.desired.max(PODS_MAX))
        } else {
            highest.min(view.desired)
        };
        if count == view.desired { Order::Hold } else { Order::Desired(count) }
    }
}
