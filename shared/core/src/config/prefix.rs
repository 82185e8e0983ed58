//! `stack.name_prefix`: what the names of a stack's resources begin with.

use std::collections::BTreeSet;

use super::file::ConfigFile;
use super::stack::{Origin, StackConfig};
use crate::storage::Storage;
use crate::text::Spanned;
use crate::text::diagnostic::Diagnostic;

/// The longest prefix, in characters: the stack's name has at most 40.
const PREFIX_CHARACTERS_MAX: usize = 20;

impl ConfigFile {
    /// Puts the prefix before the stack's name and the names of the queues that the stack creates, wherever the config
    /// names them, unless they begin with it.
    pub(crate) fn put_prefix(&mut self, problems: &mut Vec<Diagnostic>) {
        let Some(stack) = &mut self.stack else { return };
        let Some(prefix) = stack.name_prefix.clone() else { return };
        if !is_prefix(&prefix) {
            let problem = Diagnostic::error(prefix.span, format!("`{}` is not a valid prefix of names", prefix.value));
            problems.push(problem.help("begin with a letter; use at most 20 letters, digits and `-`"));
            return;
        }
        let span = stack.name.as_ref().map_or(prefix.span, |name| name.span);
        stack.name = Some(Spanned { span, value: prefixed(&prefix, stack.name()) });
        let (mut created, mut queues) = (BTreeSet::new(), Vec::new());
        for (name, queue) in stack.queues.iter_mut().flat_map(|queues| &mut queues.0) {
            if queue.queue == Some(Origin::Create) {
                created.insert(name.value.clone());
                queues.push(name);
            }
        }
        let is_taken = |name: &&String| {
            let whole = prefixed(&prefix, name);
            whole != **name && created.contains(&whole)
        };
        if let Some(name) = created.iter().find(is_taken) {
            let message = format!("the stack would create two queues of the name `{}`", prefixed(&prefix, name));
            problems.push(Diagnostic::error(prefix.span, message).help(format!("rename the queue `{name}`")));
        }
        queues.extend(self.routes.iter_mut().flatten().filter_map(|route| route.on.value.queue.as_mut()));
        queues.extend(self.workers.iter_mut().flatten().flat_map(|worker| &mut worker.value.queue.0));
        let of_local = self.local.iter_mut().filter_map(|local| local.queues.as_mut());
        queues.extend(of_local.flat_map(|queues| &mut queues.0).map(|(name, _)| name));
        let messages = self.tests.iter_mut().flatten().filter_map(|test| test.value.message.as_mut());
        queues.extend(messages.map(|message| &mut message.value.queue));
        for queue in queues.into_iter().filter(|queue| created.contains(&queue.value)) {
            queue.value = prefixed(&prefix, queue);
        }
    }
}

impl StackConfig {
    /// Reports a bucket and a table that would be created with names that do not begin with the prefix. `has_table` says
    /// whether there is a table.
    pub(crate) fn check_prefix(&self, storage: &Storage, has_table: bool, problems: &mut Vec<Diagnostic>) {
        let Some(prefix) = self.name_prefix.as_ref().filter(|prefix| is_prefix(prefix)) else { return };
        let (bucket, table) = (&storage.bucket.0, storage.table());
        let is_created = self.storage_bucket != Some(Origin::Adopt);
        let (message, help) = if is_created && !bucket.starts_with(&prefix.value) {
            (
                format!("the bucket `{bucket}` does not begin with `{}`", prefix.value),
                format!("write `{}`, or adopt a bucket that exists", prefixed(prefix, bucket)),
            )
        } else if has_table && !table.starts_with(&prefix.value) {
            (
                format!("the table `{table}` does not begin with `{}`", prefix.value),
                format!("add `table: {}` to `storage`", prefixed(prefix, &table)),
            )
        } else {
            return;
        };
        problems.push(Diagnostic::error(storage.bucket.span, message).help(help));
    }
}

fn prefixed(prefix: &str, name: &str) -> String {
    if name.starts_with(prefix) { name.to_owned() } else { format!("{prefix}{name}") }
}

/// Returns whether names can begin with a text.
pub fn is_prefix(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= PREFIX_CHARACTERS_MAX
        && text.chars().all(legal)
}
