//! Placeholders of other systems, which nothing fills in here.

use std::ops::Range;

use crate::template::all_fields;
use crate::text::diagnostic::Diagnostic;
use crate::text::{Source, Spanned};

/// The context attributes of EventBridge Scheduler that templates have.
const OF_SCHEDULER: [(&str, &str); 3] =
    [("schedule-arn", "schedule"), ("scheduled-time", "scheduled_time"), ("execution-id", "id")];

/// Warns of placeholders as in EventBridge's input transformers, `<$.detail.x>`, in EventBridge Scheduler's input, and in
/// shells and other templates, `${detail.x}`.
pub(super) fn of_others(text: &Spanned<String>, source: &Source) -> Vec<Diagnostic> {
    let enclosed = [("<", ">"), ("${", "}")].into_iter().flat_map(|(open, close)| between(text, open, close));
    let whole = text.starts_with("$.").then(|| (0..text.len(), text.as_str()));
    let meant = enclosed.chain(whole).filter_map(|(range, inside)| Some((range, template(inside)?)));
    meant
        .map(|(range, template)| {
            let message = format!("`{}` is not a placeholder here, so nothing fills it in", &text[range.clone()]);
            Diagnostic::warning(source.place_within(text.span, text, range), message)
                .help(format!("write `{{{{ {template} }}}}`"))
        })
        .collect()
}

/// Returns the text between each `open` and the next `close`, with the range of both and of what they enclose.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<(Range<usize>, &'a str)> {
    let found = text.match_indices(open).filter_map(|(start, _)| {
        let from = start + open.len();
        let to = from + text[from..].find(close)?;
        Some((start..to + close.len(), &text[from..to]))
    });
    found.collect()
}

/// Returns the path in a template that a placeholder means, if it is one: a path from the event, as in `$.detail.x`, or
/// a path of several steps that begins with a field that templates have.
fn template(placeholder: &str) -> Option<String> {
    if let Some(attribute) = placeholder.strip_prefix("aws.scheduler.") {
        return OF_SCHEDULER.into_iter().find(|(name, _)| *name == attribute).map(|(_, field)| field.to_owned());
    }
    let path = placeholder.strip_prefix("$.");
    let is_step = |c: char| c.is_alphanumeric() || "_-.[]".contains(c);
    let mut steps = path.unwrap_or(placeholder).split('.');
    let first = steps.next().filter(|_| placeholder.trim_start_matches("$.").chars().all(is_step))?;
    let field = first.replace('-', "_");
    let known = all_fields().contains(&field.split('[').next().unwrap_or_default());
    // A variable of a shell has no dot in its name.
    if path.is_none() && (!known || !placeholder.contains('.')) {
        return None;
    }
    let start = if known { field } else { format!("event{}", step(first)) };
    Some(start + &steps.map(step).collect::<String>())
}

fn step(name: &str) -> String {
    if name.contains('-') { format!("[\"{name}\"]") } else { format!(".{name}") }
}
