//! AWS Copilot's worker service: target tracking on the backlog per task.
//!
//! Copilot's Lambda function puts the metric `ceil(visible / max(1, running))` once a minute. Application Auto
//! Scaling's alarms need 3 minutes above the target to scale out, and 15 minutes below 0.9 of it to scale in.
//!
//! Sources: <https://aws.github.io/copilot-cli/docs/manifest/worker-service/>,
//! <https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html>

use std::collections::VecDeque;

use super::PeerSetting;
use crate::scaler::{Order, Scaler, View};

const OUT_POINTS: usize = 3;
const IN_POINTS: usize = 15;
const IN_BELOW: f64 = 0.9;
const OUT_COOLDOWN: f64 = 60.0;
const IN_COOLDOWN: f64 = 120.0;

/// A scaler with target tracking on the backlog per task.
#[derive(Debug, Clone)]
pub struct Copilot {
    setting: PeerSetting,
    /// Whether the metric counts starting tasks and is never late. Otherwise the scaler multiplies the count several
    /// times over.
    ideal: bool,
    points: VecDeque<f64>,
    /// The point that CloudWatch does not show yet.
    unseen: Option<f64>,
    last: f64,
}

impl Copilot {
    /// Creates the scaler as Copilot deploys it.
    pub fn new(setting: PeerSetting) -> Self {
        Self { setting, ideal: false, points: VecDeque::new(), unseen: None, last: f64::NEG_INFINITY }
    }

    /// Creates an ideal variant, whose metric counts starting tasks and is available at once.
    pub fn ideal(setting: PeerSetting) -> Self {
        Self { ideal: true, ..Self::new(setting) }
    }
}

impl Scaler for Copilot {
    fn period(&self) -> f64 {
        60.0
    }

    // From zero tasks, a single message would not reach the target and would never start one.
    fn initial(&self) -> u32 {
        self.setting.min.max(1)
    }

    fn look(&mut self, view: &View) -> Order {
        let tasks = if self.ideal { view.desired } else { view.running };
        let metric = (view.visible as f64 / f64::from(tasks.max(1))).ceil();
        // CloudWatch shows a minute's point when the next minute is over.
        let shown = if self.ideal { metric } else { self.unseen.replace(metric).unwrap_or(metric) };
        self.points.push_back(shown);
        let metric = shown;
        if self.points.len() > IN_POINTS {
            self.points.pop_front();
        }
        let target = self.setting.backlog_per_task();
        let wanted = f64::from(view.desired.max(1)) * metric / target;
        let all = |count: usize, holds: &dyn Fn(f64) -> bool| {
            self.points.len() >= count && self.points.iter().rev().take(count).all(|point| holds(*point))
        };
        let since = view.now - self.last;
        let count = self.setting.clamp(wanted, 1);
        if all(OUT_POINTS, &|point| point > target) && since >= OUT_COOLDOWN && count > view.desired {
            self.last = view.now;
            return Order::Desired(count);
        }
        if all(IN_POINTS, &|point| point < IN_BELOW * target) && since >= IN_COOLDOWN && count < view.desired {
            self.last = view.now;
            return Order::Desired(count);
        }
        Order::Hold
    }
}
