//! Prints what a deployment would change, for people and as JSON.

use infra::{Action, Change};
use serde_json::{Value, json};
use similar::TextDiff;

use super::Deployment;
use super::config_files::ConfigFile;
use super::difference::Difference;
use crate::exit::Failed;
use crate::output::{line, printable};

/// Longer values are cut off after this many characters.
const VALUE_CHARACTERS_MAX: usize = 100;

const ADDED: &str = "\u{1b}[32m";
const CHANGED: &str = "\u{1b}[33m";
const REMOVED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

impl Deployment {
    /// Prints what would change.
    pub(crate) fn show(&self) -> Result<(), Failed> {
        for difference in self.differences().filter(|difference| !difference.changes.is_empty()) {
            let new = if difference.is_new { " (new)" } else { "" };
            line!("stack {}{new}", difference.name)?;
            difference.changes.iter().try_for_each(show)?;
        }
        for file in self.config.iter().filter(|file| file.has_changed()) {
            show_file(file, self.bucket.as_deref())?;
        }
        if !self.knows_code {
            line!("the functions' code is not compared; pass --artifacts to compare it")?;
        }
        match self.is_empty() {
            true => line!("nothing changes"),
            false => line!("{}", self.summary()),
        }
    }

    fn summary(&self) -> String {
        let all: Vec<&Change> = self.differences().flat_map(|difference| &difference.changes).collect();
        let count = |action: Action| all.iter().filter(|change| change.action == action).count();
        let (added, changed, removed) = (count(Action::Add), count(Action::Modify), count(Action::Remove));
        let permissions = all.iter().filter(|change| change.is_about_permissions()).count();
        let config = if self.config.iter().any(ConfigFile::has_changed) { "; the config changes" } else { "" };
        let of_permissions =
            if permissions > 0 { format!("; changes of permissions: {permissions}") } else { String::new() };
        format!("{added} to add, {changed} to change, {removed} to remove{of_permissions}{config}")
    }

    /// Returns what would change, as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let change = |change: &Change| {
            let details: Vec<Value> = change
                .details
                .iter()
                .map(|detail| json!({ "path": detail.path, "before": detail.before, "after": detail.after }))
                .collect();
            json!({
                "action": word(change.action),
                "logical_id": change.id,
                "type": change.kind,
                "is_about_permissions": change.is_about_permissions(),
                "details": details,
            })
        };
        let stack = |difference: &Difference| {
            let changes: Vec<Value> = difference.changes.iter().map(change).collect();
            json!({ "name": difference.name, "is_new": difference.is_new, "changes": changes })
        };
        let file = |file: &ConfigFile| json!({ "key": file.key, "has_changed": file.has_changed() });
        json!({
            "nothing_changes": self.is_empty(),
            "compares_code": self.knows_code,
            "stacks": self.differences().map(stack).collect::<Vec<_>>(),
            "config": self.config.iter().map(file).collect::<Vec<_>>(),
        })
    }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Add => "add",
        Action::Modify => "modify",
        Action::Remove => "remove",
    }
}

fn show(change: &Change) -> Result<(), Failed> {
    let (sign, colour) = match change.action {
        Action::Add => ('+', ADDED),
        Action::Modify => ('~', CHANGED),
        Action::Remove => ('-', REMOVED),
    };
    let permissions = if change.is_about_permissions() { "  (permissions)" } else { "" };
    line!("  {colour}{sign}{PLAIN} {} {}{permissions}", change.kind, change.id)?;
    for detail in &change.details {
        let side = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), shortened);
        let path = detail.path.strip_prefix("Properties.").unwrap_or(&detail.path);
        line!("      {path}: {} -> {}", side(&detail.before), side(&detail.after))?;
    }
    Ok(())
}

fn shortened(value: &str) -> String {
    let value = printable(value);
    match value.char_indices().nth(VALUE_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value,
    }
}

fn show_file(file: &ConfigFile, bucket: Option<&str>) -> Result<(), Failed> {
    let place = bucket.map_or_else(|| file.key.clone(), |bucket| format!("s3://{bucket}/{}", file.key));
    let Some(before) = &file.before else {
        line!("config {place}\n  {ADDED}+{PLAIN} {} lines", file.after.lines().count())?;
        return Ok(());
    };
    line!("config {place}")?;
    let diff = TextDiff::from_lines(before.as_str(), file.after.as_str());
    for line in diff.unified_diff().context_radius(2).to_string().lines() {
        let colour = match line.as_bytes().first() {
            Some(b'+') => ADDED,
            Some(b'-') => REMOVED,
            _ => PLAIN,
        };
        line!("  {colour}{}{PLAIN}", printable(line))?;
    }
    Ok(())
}
