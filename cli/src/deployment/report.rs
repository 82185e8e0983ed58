//! Prints what a deployment would change, for people and as JSON.

use infra::{Action, Change, Drift, Permission};
use serde_json::{Value, json};
use similar::TextDiff;

use super::config_files::ConfigFile;
use super::difference::Difference;
use super::{Deployment, Drifted};
use crate::account::Account;
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
            line!("stack {}{new}", difference.body.stack)?;
            difference.changes.iter().try_for_each(show)?;
            let (added, removed) = difference.permissions();
            for row in table(&added, &removed) {
                line!("{row}")?;
            }
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
    pub(crate) fn to_json(&self, account: &Account, drifted: &Drifted) -> Value {
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
                "replaces": change.replaces(),
                "details": details,
            })
        };
        let stack = |difference: &Difference| {
            let changes: Vec<Value> = difference.changes.iter().map(change).collect();
            let (added, removed) = difference.permissions();
            json!({
                "name": difference.body.stack,
                "is_new": difference.is_new,
                "changes": changes,
                "permissions": {
                    "added": added.iter().map(permission).collect::<Vec<_>>(),
                    "removed": removed.iter().map(permission).collect::<Vec<_>>(),
                },
            })
        };
        let file = |file: &ConfigFile| json!({ "key": file.key, "has_changed": file.has_changed() });
        json!({
            "account": account.identity.to_json(),
            "nothing_changes": self.is_empty(),
            "compares_code": self.knows_code,
            "stacks": self.differences().map(stack).collect::<Vec<_>>(),
            "config": self.config.iter().map(file).collect::<Vec<_>>(),
            "drift": drifted.to_json(),
        })
    }
}

impl Drifted {
    /// Prints what was changed outside of deployments, if anything was.
    pub(crate) fn show(&self) -> Result<(), Failed> {
        if !self.found.is_empty() {
            line!("changed outside of deployments (`deploy` sets back only resources that it changes anyway):")?;
        }
        for (drift, remedy) in &self.found {
            let Drift { id, kind, path, deployed, actual } = drift;
            let sides = format!("{} -> {}", shortened(deployed), shortened(actual));
            line!("  {CHANGED}!{PLAIN} {kind} {id} {}: {sides}", printable(path))?;
            line!("      {}", printable(remedy))?;
        }
        for (resource, reason) in &self.unread {
            line!("not compared with the account: {resource}: {}", printable(reason))?;
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let drift = |(drift, remedy): &(Drift, String)| {
            let Drift { id, kind, path, deployed, actual } = drift;
            json!({ "logical_id": id, "type": kind, "path": path, "deployed": deployed, "actual": actual, "remedy": remedy })
        };
        let unread = |(resource, reason): &(String, String)| json!({ "resource": resource, "reason": reason });
        json!({
            "found": self.found.iter().map(drift).collect::<Vec<_>>(),
            "not_compared": self.unread.iter().map(unread).collect::<Vec<_>>(),
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
    let replaced = if change.replaces() { "  (will be replaced)" } else { "" };
    line!("  {colour}{sign}{PLAIN} {} {}{permissions}{replaced}", change.kind, change.id)?;
    // The table below shows what changes in policies, statement by statement.
    let is_in_table = |path: &str| change.is_about_permissions() && path.contains("Polic");
    for detail in change.details.iter().filter(|detail| !is_in_table(&detail.path)) {
        let side = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), shortened);
        let path = detail.path.strip_prefix("Properties.").unwrap_or(&detail.path);
        line!("      {path}: {} -> {}", side(&detail.before), side(&detail.after))?;
    }
    Ok(())
}

fn permission(permission: &Permission) -> Value {
    json!({
        "of": permission.of,
        "principal": permission.principal,
        "effect": permission.effect,
        "action": permission.action,
        "resource": permission.resource,
        "condition": permission.condition,
    })
}

/// Returns the rows of a table of permissions that are added and removed, whole.
fn table(added: &[Permission], removed: &[Permission]) -> Vec<String> {
    let cells = |permission: &Permission| {
        let who = match permission.principal.as_str() {
            "" => permission.of.clone(),
            principal => format!("{principal} in {}", permission.of),
        };
        let Permission { effect, action, resource, condition, .. } = permission;
        [effect, &who, action, resource, condition].map(|cell| printable(cell))
    };
    let heads = ["effect", "who", "action", "resource", "condition"].map(str::to_owned);
    let added = added.iter().map(|permission| ((ADDED, '+'), cells(permission)));
    let removed = removed.iter().map(|permission| ((REMOVED, '-'), cells(permission)));
    let rows: Vec<_> = std::iter::once(((PLAIN, ' '), heads)).chain(added).chain(removed).collect();
    if rows.len() == 1 {
        return Vec::new();
    }
    let width = |column: usize| rows.iter().map(|(_, cells)| cells[column].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3].map(width);
    let row = |((colour, sign), cells): &((&str, char), [String; 5])| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  "));
        let row = format!("{}{}", padded.collect::<String>(), cells[4]);
        format!("  {colour}{sign}{PLAIN} {}", row.trim_end())
    };
    std::iter::once("  permissions:".to_owned()).chain(rows.iter().map(row)).collect()
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

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use infra::Permission;

    use super::{ADDED, PLAIN, REMOVED, table};

    #[test]
    fn permissions_are_shown_whole_with_what_is_added_first() {
        let permission = |principal: &str, action: &str, resource: &str, condition: &str| Permission {
            of: "EventTriggerRole".to_owned(),
            principal: principal.to_owned(),
            effect: "Allow".to_owned(),
            action: action.to_owned(),
            resource: resource.to_owned(),
            condition: condition.to_owned(),
        };
        let long = format!("arn:aws:ecs:eu-west-1:111122223333:task-definition/{}:*", "x".repeat(100));
        let added =
            [permission("", "ecs:RunTask", &long, "ecs:cluster ArnEquals a"), permission("", "s3:GetObject", "b", "")];
        let removed = [permission("lambda.amazonaws.com", "sts:AssumeRole", "EventTriggerRole", "")];
        let plain = |row: &str| [ADDED, REMOVED, PLAIN].iter().fold(row.to_owned(), |row, code| row.replace(code, ""));
        let shown: Vec<String> = table(&added, &removed).iter().map(|row| plain(row)).collect();
        expect![[r#"
            stack s
              permissions:
                effect  who                                       action          resource                                                                                                                                                   condition
              + Allow   EventTriggerRole                          ecs:RunTask     arn:aws:ecs:eu-west-1:111122223333:task-definition/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx:*  ecs:cluster ArnEquals a
              + Allow   EventTriggerRole                          s3:GetObject    b
              - Allow   lambda.amazonaws.com in EventTriggerRole  sts:AssumeRole  EventTriggerRole"#]].assert_eq(&format!("stack s\n{}", shown.join("\n")));
        assert!(table(&[], &[]).is_empty());
    }
}
