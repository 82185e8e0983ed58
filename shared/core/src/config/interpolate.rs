//! `${env:NAME}` and `${env:NAME:-default}`: environment variables that are replaced when the config is loaded.

use std::ops::Range;

use crate::text::diagnostic::Diagnostic;
use crate::text::{Entry, Kind, Node, Source, Span};

/// Looks up an environment variable.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

const OPENING: &str = "${env:";

/// The references that could not be replaced.
#[derive(Debug, Default)]
pub(crate) struct Unresolved {
    /// Why.
    pub(crate) problems: Vec<Diagnostic>,
    /// The strings that contain them. A further error about such a string would only follow from this one.
    scalars: Vec<Span>,
}

impl Unresolved {
    /// Returns the problems of the references, and those of the problems found later that do not follow from them.
    pub(crate) fn and(self, mut later: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let holds = |scalar: &Span, place: Span| scalar.start <= place.start && place.end <= scalar.end;
        later.retain(|problem| !self.scalars.iter().any(|scalar| holds(scalar, problem.span)));
        [self.problems, later].concat()
    }
}

/// Replaces every `${env:...}` in the strings and keys of a config file.
pub(crate) fn interpolate(root: &mut Node, source: &Source, variables: Variables<'_>, unresolved: &mut Unresolved) {
    Interpolation { source, variables, unresolved }.replace(root, Place::Root);
}

/// A place in a config file, as far as it decides whether a list holds ids of the network.
#[derive(Clone, Copy)]
enum Place {
    Root,
    Tasks,
    /// The settings of a task, of `defaults`, or of a rung of `capacity`.
    Settings,
    Stack,
    /// `network` of a task, or `vpc` of the stack.
    Network,
    /// A list of `network`, whose elements are ids.
    Ids,
    Elsewhere,
}

impl Place {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "tasks") => Self::Tasks,
            (Self::Root, "defaults") | (Self::Tasks, _) | (Self::Settings, "capacity") => Self::Settings,
            (Self::Root, "stack") => Self::Stack,
            (Self::Settings, "network") | (Self::Stack, "vpc") => Self::Network,
            (Self::Network, _) => Self::Ids,
            _ => Self::Elsewhere,
        }
    }
}

struct Interpolation<'a> {
    source: &'a Source,
    variables: Variables<'a>,
    unresolved: &'a mut Unresolved,
}

impl Interpolation<'_> {
    fn replace(&mut self, node: &mut Node, place: Place) {
        match &mut node.kind {
            Kind::String(text) if text.contains(OPENING) => {
                if let Some(replaced) = self.replaced(node.span, text) {
                    // Always a string, even if it looks like a number: number and boolean keys accept strings too.
                    node.kind = Kind::String(replaced);
                }
            }
            Kind::Array(elements) if matches!(place, Place::Ids) => {
                *elements = std::mem::take(elements).into_iter().flat_map(|element| self.ids(element)).collect();
            }
            Kind::Array(elements) => elements.iter_mut().for_each(|element| self.replace(element, place)),
            Kind::Object(entries) => {
                self.replace_keys(entries);
                for entry in entries {
                    self.replace(&mut entry.value, place.below(&entry.key.value));
                }
            }
            _ => {}
        }
    }

    fn replace_keys(&mut self, entries: &mut [Entry]) {
        for position in 0..entries.len() {
            let key = &entries[position].key;
            if !key.value.contains(OPENING) {
                continue;
            }
            let Some(replaced) = self.replaced(key.span, &key.value) else { continue };
            if entries.iter().any(|other| other.key.value == replaced) {
                let problem = Diagnostic::error(key.span, format!("duplicate key `{replaced}` in this mapping"));
                self.unresolved.problems.push(problem.help("remove one of them"));
                self.unresolved.scalars.push(key.span);
                continue;
            }
            entries[position].key.value = replaced;
        }
    }

    /// Returns a string with its references replaced, unless one of them has a problem.
    fn replaced(&mut self, span: Span, text: &str) -> Option<String> {
        let scalar = Scalar { span, text, source: self.source, variables: self.variables };
        let before = self.unresolved.problems.len();
        let replaced = scalar.replaced(&mut self.unresolved.problems);
        if self.unresolved.problems.len() > before {
            self.unresolved.scalars.push(span);
            return None;
        }
        Some(replaced)
    }

    /// Replaces references in an element of a list of ids. An id contains no comma, so a reference alone stands for as
    /// many ids as its value has between commas.
    fn ids(&mut self, mut element: Node) -> Vec<Node> {
        let is_reference = element.as_str().is_some_and(is_one_reference);
        self.replace(&mut element, Place::Elsewhere);
        match element.as_str() {
            Some(value) if is_reference && value.contains(',') => {
                let ids = value.split(',').map(str::trim).filter(|id| !id.is_empty());
                ids.map(|id| Node { span: element.span, kind: Kind::String(id.to_owned()) }).collect()
            }
            _ => vec![element],
        }
    }
}

/// Returns whether a string is a reference and nothing else.
fn is_one_reference(text: &str) -> bool {
    text.starts_with(OPENING) && text.find('}') == text.len().checked_sub(1)
}

/// A string of the config that contains references.
struct Scalar<'a> {
    span: Span,
    text: &'a str,
    source: &'a Source,
    variables: Variables<'a>,
}

impl Scalar<'_> {
    fn replaced(&self, problems: &mut Vec<Diagnostic>) -> String {
        let mut replaced = String::new();
        // Each boundary between config text and a variable's value, with the reference that causes it.
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

    /// Returns the value of the reference at `start..end`. `before` is the text before it, with references replaced.
    fn value(&self, before: &str, start: usize, end: usize) -> Result<String, Diagnostic> {
        let error = |message: String, help: String| {
            let span = self.source.place_within(self.span, self.text, start..end);
            Err(Diagnostic::error(span, message).help(help))
        };
        let reference = &self.text[start..end];
        let Some(inside) = reference.strip_prefix(OPENING).and_then(|rest| rest.strip_suffix('}')) else {
            return error(format!("`{reference}` is not closed"), "end it with `}`".into());
        };
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let is_name = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            let help = "write `${env:NAME}` or `${env:NAME:-default}`; for a literal `${env:`, write `$${env:`";
            return error(format!("`{name}` is not a valid environment variable name"), help.into());
        }
        if name.len() < 2 || name.starts_with('_') {
            let help = "rename it: begin with a letter, and use at least two characters";
            return error(format!("a Lambda function cannot have an environment variable `{name}`"), help.into());
        }
        if is_within_template(before) {
            let help = "move it before or after the braces: a template sees only the event";
            return error("an environment variable cannot be used inside a template".into(), help.into());
        }
        if default.is_some_and(|default| default.contains(OPENING)) {
            let help = "set the outer variable where the config is loaded, or write a plain default";
            return error("the default of an environment variable cannot contain another variable".into(), help.into());
        }
        // As in a shell, the default also replaces an empty value.
        let set = (self.variables)(name).filter(|value| default.is_none() || !value.is_empty());
        let Some(value) = set.or_else(|| default.map(str::to_owned)) else {
            let help = format!("set it where the config is loaded, or add a default: `${{env:{name}:-default}}`");
            return error(format!("the environment variable `{name}` is not set"), help);
        };
        if ["{{", "{%"].iter().any(|opening| value.contains(opening)) {
            return Err(self.braces(start..end));
        }
        Ok(value)
    }

    fn braces(&self, reference: Range<usize>) -> Diagnostic {
        let message = format!("the value of `{}` forms template braces", &self.text[reference.clone()]);
        let span = self.source.place_within(self.span, self.text, reference);
        Diagnostic::error(span, message).help("write the template in the config: a variable cannot add one")
    }
}

fn is_within_template(before: &str) -> bool {
    [("{{", "}}"), ("{%", "%}")].iter().any(|(open, close)| {
        before.rfind(open).is_some_and(|opened| before.rfind(close).is_none_or(|closed| closed < opened))
    })
}
