//! Parses workloads from the text of a file.

use fastrand::Rng;
use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::random::log_normal;
use crate::workload::{Message, Workload};

/// A trace with more messages than this is refused.
const MESSAGES_MAX: f64 = 20_000_000.0;

/// Why a text cannot be used as a trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// A line is invalid.
    #[error("line {line}: {reason}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// The trace has more messages than can be simulated.
    #[error("the trace has more than {MESSAGES_MAX} messages; use a part of it, or divide the counts")]
    TooMany,
    /// The trace has no message.
    #[error("the trace has no message; write one time per line, or a time and a count")]
    Empty,
}

/// Parses arrivals from CSV. The first column is a time, in ascending order: seconds, or a date and time. A first line
/// can name the columns. A column named `count`, `value`, `messages`, `sent` or `NumberOfMessagesSent` is the number of
/// messages from the line's time until the next line's; without it, each line is one message. A column named `work` or
/// `seconds` is how long each message takes, in seconds; without it, messages take `work` seconds on average.
///
/// # Errors
/// A line is invalid or out of order, or the trace has no message or too many.
pub fn parse(name: &str, text: &str, work: f64, seed: u64) -> Result<Workload, TraceError> {
    let rng = &mut Rng::with_seed(seed);
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).peekable();
    let columns: Vec<String> = match lines.peek() {
        Some((_, first)) if time(first.split(',').next().unwrap_or_default()).is_none() => {
            let header = first.split(',').map(|column| column.trim().trim_matches('"').to_lowercase()).collect();
            lines.next();
            header
        }
        _ => Vec::new(),
    };
    let column = |names: &[&str]| columns.iter().position(|column| names.contains(&column.as_str()));
    let count_column = column(&["count", "value", "messages", "sent", "numberofmessagessent"]);
    let work_column = column(&["work", "seconds"]);
    let mut rows: Vec<(f64, Option<f64>, Option<f64>)> = Vec::new();
    for (number, line) in lines {
        let wrong = |reason: String| TraceError::Line { line: number + 1, reason };
        let cells: Vec<&str> = line.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        if columns.is_empty() && cells.len() > 1 {
            return Err(wrong("the columns have no names; add a first line `time,count` or `time,work`".to_owned()));
        }
        let at = cells.first().and_then(|cell| time(cell)).ok_or_else(|| {
            wrong(format!("`{line}` does not begin with a time; write seconds, or `2026-01-31T03:00:00`"))
        })?;
        let number_in = |column: Option<usize>| match column {
            None => Ok(None),
            Some(column) => {
                let number = cells.get(column).and_then(|cell| cell.parse::<f64>().ok());
                let number = number.filter(|number| number.is_finite() && *number >= 0.0);
                number
                    .map(Some)
                    .ok_or_else(|| wrong(format!("`{}` of `{line}` must be a number, 0 or more", columns[column])))
            }
        };
        if rows.last().is_some_and(|(last, ..)| at < *last) {
            return Err(wrong("its time is before that of the line above; sort the lines by time".to_owned()));
        }
        rows.push((at, number_in(count_column)?, number_in(work_column)?));
    }
    let Some(first) = rows.first().map(|row| row.0) else { return Err(TraceError::Empty) };
    if rows.iter().map(|(_, count, _)| count.unwrap_or(1.0)).sum::<f64>() > MESSAGES_MAX {
        return Err(TraceError::TooMany);
    }
    let mut messages = Vec::new();
    let steps: Vec<f64> = rows.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let usual_step = steps.last().copied().unwrap_or(60.0);
    for (position, (at, count, seconds)) in rows.iter().enumerate() {
        let at = at - first;
        let mut push = |at: f64| {
            let work = seconds.unwrap_or_else(|| log_normal(rng, work, 0.5));
            messages.push(Message { at, work, ..Message::default() });
        };
        match count {
            None => push(at),
            Some(count) => {
                let step = steps.get(position).copied().unwrap_or(usual_step);
                let count = count.round() as u64;
                for index in 0..count {
                    // Spread evenly: a trace does not say when within the interval they arrived.
                    push(at + step * (index as f64 + 0.5) / count as f64);
                }
            }
        }
    }
    if messages.is_empty() {
        return Err(TraceError::Empty);
    }
    let duration = rows.last().map_or(0.0, |row| row.0 - first) + if count_column.is_some() { usual_step } else { 0.0 };
    Ok(Workload { name: name.to_owned(), messages, duration, ..Workload::default() })
}

/// Parses a time as seconds: a number as it is, a date and time since 1970.
fn time(cell: &str) -> Option<f64> {
    let cell = cell.trim().trim_matches('"');
    if let Ok(seconds) = cell.parse::<f64>() {
        return Some(seconds).filter(|seconds| seconds.is_finite());
    }
    let timestamp = cell.parse::<Timestamp>().ok();
    let civil = || cell.parse::<DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    timestamp.or_else(civil).map(|time| time.as_duration().as_secs_f64())
}
