//! CDK's `QueueProcessingFargateService` with its defaults: step scaling on visible messages over five minutes, and
//! target tracking on 50 % CPU.
//!
//! Source:
//! <https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_ecs_patterns.QueueProcessingFargateService.html>

use std::collections::VecDeque;

use super::PeerSetting;
use crate::scaler::{Order, Scaler, View};

const PERIOD_MINUTES: usize = 5;
const COOLDOWN: f64 = 300.0;
const CPU_TARGET: f64 = 0.5;
const CPU_OUT_POINTS: usize = 3;
const CPU_IN_POINTS: usize = 15;

/// A scaler with step scaling on depth and target tracking on CPU.
#[derive(Debug, Clone)]
pub struct Cdk {
    setting: PeerSetting,
    visible: Vec<u64>,
    cpu: VecDeque<f64>,
    last: f64,
}

impl Cdk {
    /// Creates the scaler with CDK's defaults.
    pub fn new(setting: PeerSetting) -> Self {
        Self { setting, visible: Vec::new(), cpu: VecDeque::new(), last: f64::NEG_INFINITY }
    }

    fn by_cpu(&self, desired: u32) -> Option<i64> {
        let all = |count: usize, holds: &dyn Fn(f64) -> bool| {
            self.cpu.len() >= count && self.cpu.iter().rev().take(count).all(|point| holds(*point))
        };
        let last = self.cpu.back()?;
        let wanted = (f64::from(desired.max(1)) * last / CPU_TARGET).ceil() as i64;
        let is_out = all(CPU_OUT_POINTS, &|point| point > CPU_TARGET);
        let is_in = all(CPU_IN_POINTS, &|point| point < 0.9 * CPU_TARGET);
        (is_out || is_in).then_some(wanted)
    }
}

impl Scaler for Cdk {
    fn period(&self) -> f64 {
        60.0
    }

    fn initial(&self) -> u32 {
        self.setting.min.max(1)
    }

    fn look(&mut self, view: &View) -> Order {
        self.visible.push(view.visible);
        self.cpu.push_back(view.busy);
        if self.cpu.len() > CPU_IN_POINTS {
            self.cpu.pop_front();
        }
        let desired = i64::from(view.desired);
        let mut by_steps = None;
        if self.visible.len() == PERIOD_MINUTES {
            by_steps = match self.visible.iter().max() {
                Some(500..) => Some(desired + 5),
                Some(100..) => Some(desired + 1),
                Some(0) => Some(desired - 1),
                _ => None,
            };
            self.visible.clear();
        }
        if view.now - self.last < COOLDOWN {
            return Order::Hold;
        }
        // Application Auto Scaling follows the policy that wants the most tasks.
        let Some(wanted) = by_steps.into_iter().chain(self.by_cpu(view.desired)).max() else { return Order::Hold };
        let count = self.setting.clamp(wanted as f64, 1);
        if count == view.desired {
            return Order::Hold;
        }
        self.last = view.now;
        Order::Desired(count)
    }
}
