//! Prints the progress of a deployment.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{message, printable};

/// The progress of a stack's change: a bar on a terminal, and a line for each event of a resource.
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

    /// Prints what happened to a resource.
    pub(crate) fn event(&self, status: &str, kind: &str, id: &str, reason: &str) {
        let reason = if reason.is_empty() { String::new() } else { format!(": {}", printable(reason)) };
        self.bar.suspend(|| message!("  {status:<20} {kind} {id}{reason}"));
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

/// Prints on standard error what is being done.
pub(crate) fn step(text: &str) {
    message!("{}", printable(text));
}
