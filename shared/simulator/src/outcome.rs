//! What a simulated run came to.

use serde::Serialize;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Messages that came.
    pub messages: usize,
    /// Messages that were never worked on to their end.
    pub left: usize,
    /// How old messages were on average when the work on them began that came to its end: seconds.
    pub mean_age: f64,
    /// How old messages were when the work on them began that came to its end: seconds, at these quantiles.
    pub p50_age: f64,
    /// The same.
    pub p99_age: f64,
    /// The same.
    pub max_age: f64,
    /// Hours of tasks that are paid for: from launch to end, a minute at least.
    pub task_hours: f64,
    /// Hours of work that the messages needed.
    pub work_hours: f64,
    /// Tasks that were started.
    pub launches: usize,
    /// How often the number of workers rose within five minutes after it fell.
    pub flaps: usize,
    /// Messages whose worker was stopped in the midst of them.
    pub kills: usize,
    /// The part of the time in which there was no task.
    pub time_at_zero: f64,
    /// How it went, once in so many seconds.
    #[serde(skip)]
    pub course: Vec<Point>,
}

/// One moment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Seconds.
    pub at: f64,
    /// Messages that wait or are worked on.
    pub depth: u64,
    /// The desired count, or in mode `run_task` the tasks that run or start.
    pub desired: u32,
    /// Tasks that run.
    pub running: u32,
}

impl Outcome {
    /// The hours paid for each hour of work.
    pub fn hours_per_work(&self) -> f64 {
        if self.work_hours > 0.0 { self.task_hours / self.work_hours } else { 0.0 }
    }

    /// The average of several runs; the worst of the ages.
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

/// The value below which this part of the (sorted) values lies.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> f64 {
    let position = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(position - 1).copied().unwrap_or(0.0)
}
