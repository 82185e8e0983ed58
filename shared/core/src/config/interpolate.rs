//! `${env:NAME}` and `${env:NAME:-default}`: environment variables, put in when the config is loaded.

use std::ops::Range;

use crate::text::diagnostic::Diagnostic;
use crate::text::{Kind, Node, Source, Span};

/// Finds an environment variable.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

const OPENING: &str = "${env:";

/// Replaces every `${env:...}` in the texts of a tree. Keys are left as they are.
pub(crate) fn interpolate(node: &mut Node, source: &Source, variables: Variables<'_>, problems: &mut Vec<Diagnostic>) {
    match &mut node.kind {
        Kind::String(text) if text.contains(OPENING) => {
            let before = problems.len();
            let replaced = Scalar { span: node.span, text, source, variables }.replaced(problems);
            if problems.len() > before {
                // Nothing is to be said about what the text would become.
                return;
            }
            // Always a text, however the variable's value is spelled; where a number is wanted, its text is taken as one.
            node.kind = Kind::String(replaced);
        }
        Kind::Array(elements) => {
            elements.iter_mut().for_each(|element| interpolate(element, source, variables, problems));
        }
        Kind::Object(entries) => {
            entries.iter_mut().for_each(|entry| interpolate(&mut entry.value, source, variables, problems));
        }
        _ => {}
    }
}

/// A text of the config.
struct Scalar<'a> {
    span: Span,
    text: &'a str,
    source: &'a Source,
    variables: Variables<'a>,
}

impl Scalar<'_> {
    fn replaced(&self, problems: &mut Vec<Diagnostic>) -> String {
        let mut replaced = String::new();
        // Where the texts of the config and of variables meet, and the reference there.
        let mut borders: Vec<(usize, Range<usize>)> = Vec::new();
        let mut at = 0;
        while let Some(found) = self.text[at..].find(OPENING).map(|found| at + found) {
            let before = &self.text[at..found];
            let inside = found + OPENING.len();
            if let Some(before) = before.strip_suffix('$') {
                replaced.push_str(before);
                replaced.push_str(OPENING);
                at = inside;
                continue;
            }
            replaced.push_str(before);
            let end = self.text[inside..].find('}').map_or(self.text.len(), |close| inside + close + 1);
            borders.push((replaced.len(), found..end));
            match self.value(&replaced, found, end) {
                Ok(value) => replaced.push_str(&value),
                Err(problem) => problems.push(problem),
            }
            borders.push((replaced.len(), found..end));
            at = end;
        }
        replaced.push_str(&self.text[at..]);
        let opens = |at: usize| {
            ["{{", "{%"].iter().any(|opening| replaced.as_bytes()[at - 1..].starts_with(opening.as_bytes()))
        };
        problems.extend(
            borders.into_iter().find(|(at, _)| *at > 0 && opens(*at)).map(|(_, reference)| self.braces(reference)),
        );
        replaced
    }

    /// What the reference from `start` to `end` stands for, after the text that was made of what is before it.
    fn value(&self, before: &str, start: usize, end: usize) -> Result<String, Diagnostic> {
        let error = |message: String, help: String| {
            let span = self.source.place_within(self.span, self.text, start..end);
            Err(Diagnostic::error(span, message).help(help))
        };
        let reference = &self.text[start..end];
        let Some(inside) = reference.strip_prefix(OPENING).and_then(|rest| rest.strip_suffix('}')) else {
            return error(format!("`{reference}` does not end"), "close it with `}`".into());
        };
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let is_name = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            let help = "write `${env:NAME}` or `${env:NAME:-default}`; for the characters themselves, `$${env:`";
            return error(format!("`{name}` cannot name an environment variable"), help.into());
        }
        if is_within_template(before) {
            let help = "a template is filled in from the event alone; put the variable before or after the braces";
            return error("an environment variable within a template".into(), help.into());
        }
        if default.is_some_and(|default| default.contains(OPENING)) {
            let help = "write one variable within another's default in another way: set the outer one where the config is loaded";
            return error("an environment variable within the default of another".into(), help.into());
        }
        // As in a shell, a default stands for an empty variable as well.
        let set = (self.variables)(name).filter(|value| default.is_none() || !value.is_empty());
        let Some(value) = set.or_else(|| default.map(str::to_owned)) else {
            let help = format!("set it where the config is loaded, or give a default: `${{env:{name}:-default}}`");
            return error(format!("the environment variable `{name}` is not set"), help);
        };
        if ["{{", "{%"].iter().any(|opening| value.contains(opening)) {
            return Err(self.braces(start..end));
        }
        Ok(value)
    }

    fn braces(&self, reference: Range<usize>) -> Diagnostic {
        let message = format!("`{}` holds a template's braces", &self.text[reference.clone()]);
        let span = self.source.place_within(self.span, self.text, reference);
        Diagnostic::error(span, message)
            .help("what a variable holds is never a template; write the template in the config")
    }
}

fn is_within_template(before: &str) -> bool {
    [("{{", "}}"), ("{%", "%}")].iter().any(|(open, close)| {
        before.rfind(open).is_some_and(|opened| before.rfind(close).is_none_or(|closed| closed < opened))
    })
}
