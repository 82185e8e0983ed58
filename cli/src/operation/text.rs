//! Times, rows and launches as text.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use trigger_core::history::LaunchState;
use trigger_core::pattern::operator::Wildcard;

/// A list that is not for a terminal has this many columns.
const WIDTH: usize = 80;
/// The digits of an id that tell launches apart in a list.
pub(crate) const ID_DIGITS: usize = 10;

/// Returns how long ago a time was, or in how long it will be: `5 min ago`, `in 2 h`.
pub(crate) fn relative(time: Timestamp, now: Timestamp) -> String {
    let distance = now.duration_since(time);
    match distance.is_negative() {
        true => format!("in {}", duration(distance.abs())),
        false => format!("{} ago", duration(distance)),
    }
}

/// Returns a duration in its largest unit, rounded down.
pub(crate) fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Returns a time in this machine's time zone, to the second.
pub(crate) fn local(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns a time in this machine's time zone, to the millisecond.
pub(crate) fn local_to_millisecond(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// Returns the time that a text names, or the time so long ago.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago: SignedDuration =
        text.parse().map_err(|_| "write a time such as 2026-01-31T08:00:00Z, or 12h".to_owned())?;
    Timestamp::now().checked_sub(ago).map_err(|error| error.to_string())
}

/// Parses a text in which `*` stands for any text.
pub(crate) fn wildcard(text: &str) -> Result<Wildcard, String> {
    Wildcard::parse(text).map_err(str::to_owned)
}

/// Returns the width of the terminal, or that of a list that is not for one.
pub(crate) fn width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH, |(terminal_size::Width(columns), _)| usize::from(columns).max(WIDTH))
}

/// Returns rows as a table whose columns are aligned. The last column is cut where the line would be too long.
pub(crate) fn table(rows: &[Vec<String>], width: usize) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|it| it.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += &format!("{cell:width$}  ");
        }
        cut(line.trim_end(), width)
    };
    rows.iter().map(line).collect()
}

/// Returns the beginning of a text that is too long, with an ellipsis.
pub(crate) fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Returns the word for a state, in a color on a terminal.
pub(crate) fn colored(state: LaunchState, word: &str) -> String {
    use clap::builder::styling::AnsiColor::{Blue, Green, Red, Yellow};
    let color = match state {
        LaunchState::Succeeded => Green,
        LaunchState::DeadLettered => Red,
        LaunchState::Running | LaunchState::Starting | LaunchState::Concluding => Blue,
        LaunchState::Queued
        | LaunchState::Stopped
        | LaunchState::Replaced
        | LaunchState::Cancelled
        | LaunchState::Skipped => Yellow,
    };
    let style = color.on_default();
    format!("{style}{word}{style:#}")
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{relative, table};

    #[test]
    fn a_time_is_told_by_its_distance() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(10_000);
        for (seconds, told) in [
            (0, "0 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (7199, "1 h ago"),
            (86_400, "1 d ago"),
            (-90, "in 1 min"),
        ] {
            assert_eq!(relative(now - SignedDuration::from_secs(seconds), now), told);
        }
    }

    #[test]
    fn columns_are_aligned_and_a_long_line_is_cut() {
        let rows = [["a", "one"], ["abc", "twenty"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows, 80), ["a    one", "abc  twenty"]);
        assert_eq!(table(&rows, 9), ["a    one", "abc  twe…"]);
    }
}
