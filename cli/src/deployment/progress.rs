//! How far a stack's change has come.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::printable;

/// How far a stack's change has come: a bar on a terminal, and a line for each resource.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn new(resources: usize) -> Self {
        let bar = ProgressBar::with_draw_target(u64::try_from(resources).ok(), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("  {bar:30} {pos}/{len} resources, {elapsed}") {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// Tells what happened to a resource.
    pub(crate) fn event(&self, status: &str, kind: &str, id: &str, reason: &str) {
        let reason = if reason.is_empty() { String::new() } else { format!(": {}", printable(reason)) };
        self.bar.suspend(|| anstream::eprintln!("  {status:<20} {kind} {id}{reason}"));
        if status.ends_with("_COMPLETE") && kind != "AWS::CloudFormation::Stack" {
            self.bar.inc(1);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
