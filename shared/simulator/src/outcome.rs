//! The results of a simulated run.

use serde::Serialize;

/// The results of a run. A message's age is the time from its arrival to the start of the work that finished it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Messages that arrived.
    pub messages: usize,
    /// Messages that were never finished.
    pub left: usize,
    /// The mean age of messages, in seconds.
    pub mean_age: f64,
    /// The median age of messages, in seconds.
    pub p50_age: f64,
    /// The 99th percentile of the ages, in seconds.
    pub p99_age: f64,
    /// The highest age, in seconds.
    pub max_age: f64,
    /// Billed hours of all tasks, each from its launch to its end and at least a minute.
    pub task_hours: f64,
    /// Hours of work that the messages needed.
    pub work_hours: f64,
    /// The number of tasks that were started.
    pub launches: usize,
    /// How often the number of workers rose within five minutes after it fell.
    pub flaps: usize,
    /// Messages whose worker was killed before it had finished them.
    pub kills: usize,
    /// The fraction of the time without any task, from 0 to 1.
    pub time_at_zero: f64,
    /// The course of the run, at fixed intervals.
    #[serde(skip)]
    pub course: Vec<Point>,
}

/// A moment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Seconds since the start.
    pub at: f64,
    /// Messages that are waiting or in progress.
    pub depth: u64,
    /// The desired count, or in mode `run_task` the running and starting tasks.
    pub desired: u32,
    /// Running tasks.
    pub running: u32,
}

impl Outcome {
    /// Returns the billed hours for each hour of work.
    pub fn hours_per_work(&self) -> f64 {
        if self.work_hours > 0.0 { self.task_hours / self.work_hours } else { 0.0 }
    }

    /// Summarizes several runs: the highest `max_age`, the sums of `left`, `flaps` and `kills`, the first course, and the
    /// averages of everything else.
    pub fn mean(runs: &[Self]) -> Self {
        let count = runs.len().max(1);
        let mean = |of: fn(&Self) -> f64| runs.iter().map(of).sum::<f64>() / count as f64;
        let sum = |of: fn(&Self) -> usize| runs.iter().map(of).sum::<usize>();
        Self {
            messages: sum(|run| run.messages) / count,
            left: sum(|run| run.left),
            mean_age: mean(|run| run.mean_age),
            p50_age: mean(|run| run.p50_age),
            p99_age: mean(|run| run.p99_age),
            max_age: runs.iter().map(|run| run.max_age).fold(0.0, f64::max),
            task_hours: mean(|run| run.task_hours),
            work_hours: mean(|run| run.work_hours),
            launches: sum(|run| run.launches) / count,
            flaps: sum(|run| run.flaps),
            kills: sum(|run| run.kills),
            time_at_zero: mean(|run| run.time_at_zero),
            course: runs.first().map(|run| run.course.clone()).unwrap_or_default(),
        }
    }
}

/// Returns the quantile `part` of sorted values.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> f64 {
    let position = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(position - 1).copied().unwrap_or(0.0)
}
