//! The table that the benchmark prints.

use serde_json::{Value, json};

/// A row: what was measured, and the goal.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) measured: String,
    pub(crate) goal: String,
    pub(crate) is_met: bool,
    /// All figures.
    pub(crate) figures: Value,
}

/// Returns rows as a table in Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let Row { work, measured, goal, is_met, .. } = row;
        format!("| {work} | {measured} | {goal} | {} |\n", if *is_met { "yes" } else { "**no**" })
    };
    let rows: String = rows.iter().map(line).collect();
    format!("| work | measured | goal | met |\n|---|---|---|---|\n{rows}")
}

/// Returns rows as JSON, with all figures.
pub(crate) fn json(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        json!({
            "work": row.work, "measured": row.measured, "goal": row.goal, "met": row.is_met, "figures": row.figures,
        })
    };
    rows.iter().map(row).collect()
}
