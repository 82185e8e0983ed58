//! How far a verb is that works on many things: a bar on a terminal, otherwise a line now and then.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::SignedDuration;

use super::text::duration;
use crate::output::message;

/// Without a terminal, a line is printed this often.
const EACH: Duration = Duration::from_secs(10);

/// How far a verb is.
pub(crate) struct Meter {
    bar: ProgressBar,
    /// What is done, in a word.
    done: &'static str,
    began: Instant,
    told: Instant,
}

impl Meter {
    pub(crate) fn new(count: usize, done: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(u64::try_from(count).ok(), ProgressDrawTarget::stderr());
        let template = format!("  {{bar:30}} {{pos}}/{{len}} {done}, {{per_sec}}, {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        let began = Instant::now();
        Self { bar, done, began, told: began }
    }

    /// Counts one more.
    pub(crate) fn add_one(&mut self) {
        self.bar.inc(1);
        if self.bar.is_hidden() && self.told.elapsed() >= EACH {
            self.told = Instant::now();
            message!("{}", self.line());
        }
    }

    fn line(&self) -> String {
        let (position, length) = (self.bar.position(), self.bar.length().unwrap_or_default());
        let elapsed = self.began.elapsed();
        let left = elapsed.as_secs() * length.saturating_sub(position) / position.max(1);
        let left = duration(SignedDuration::from_secs(i64::try_from(left).unwrap_or(i64::MAX)));
        let rate = position * 1000 / u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        format!("  {position}/{length} {}, {rate}/s, {left} left", self.done)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
