//! A manifest as Copilot reads it: merge keys resolved, the environment's settings applied, variables interpolated.
//!
//! Sources: `internal/pkg/manifest/transform.go` and `interpolate.go` of Copilot.

use trigger_core::text::diagnostic::Diagnostic;
use trigger_core::text::{Entry, Kind, Node, Span};

use super::Names;

/// The YAML key that adds the entries of other mappings.
const MERGE_KEY: &str = "<<";
/// What counts as scaling in `count`. Copilot drops a `spot` that it would be merged with.
const SCALING: [&str; 4] = ["range", "cpu_percentage", "memory_percentage", "queue_delay"];

/// A kind of workload that has a counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    Job,
    Worker,
}

/// The manifest of one job or worker.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) name: String,
    pub(super) workload: Workload,
    /// The settings that apply in the environment.
    pub(super) settings: Node,
    /// The settings of the environments that set none of their own.
    pub(super) base: Node,
    /// The environments that have settings of their own.
    pub(super) environments: Option<Node>,
}

impl Manifest {
    /// Reads a manifest for the environment of `names`.
    ///
    /// # Errors
    /// A merge key merges something else than mappings, the manifest has no name, or its type is neither a Scheduled
    /// Job nor a Worker Service.
    pub(super) fn read(node: &Node, names: &Names) -> Result<Self, Diagnostic> {
        let base = interpolated(&resolved(node)?, names);
        let environments = at(&base, "environments").cloned();
        let own = environments.as_ref().and_then(|environments| environments.get(&names.env));
        let settings = own.map_or_else(|| base.clone(), |own| with_environment(&base, own));
        let Some(name) = at(&base, "name").and_then(Node::as_str).map(str::to_owned) else {
            return Err(Diagnostic::error(node.span, "the manifest has no `name`").help("name a Copilot manifest"));
        };
        let kind = at(&base, "type");
        let workload = match kind.and_then(Node::as_str) {
            Some("Scheduled Job") => Workload::Job,
            Some("Worker Service") => Workload::Worker,
            found => {
                let message = match found {
                    Some(found) => format!("`{name}` is a `{found}`, which has no counterpart"),
                    None => format!("`{name}` has no `type`"),
                };
                return Err(Diagnostic::error(kind.unwrap_or(node).span, message).help(
                    "import a `Scheduled Job` or a `Worker Service`: only these start by a schedule or a queue",
                ));
            }
        };
        Ok(Self { name, workload, settings, base, environments })
    }

    /// Returns the setting at a path of keys, such as `count.range`, unless it is null.
    pub(super) fn at(&self, path: &str) -> Option<&Node> {
        at(&self.settings, path)
    }

    /// Returns the place of the setting; without it, that of the manifest's type.
    pub(super) fn span(&self, path: &str) -> Span {
        self.at(path).or_else(|| self.at("type")).map_or(self.settings.span, |node| node.span)
    }
}

/// Returns the value at a path of keys, unless it is null.
pub(super) fn at<'a>(node: &'a Node, path: &str) -> Option<&'a Node> {
    let found = path.split('.').try_fold(node, |node, key| node.get(key));
    found.filter(|node| node.kind != Kind::Null)
}

/// Returns a whole number.
///
/// # Errors
/// The value is something else.
pub(super) fn whole(node: &Node, key: &str) -> Result<u64, Diagnostic> {
    let number = match &node.kind {
        Kind::Number(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        Diagnostic::error(node.span, format!("`{key}` is not a whole number")).help("write for example 3")
    })
}

/// Returns a duration, as it is written.
///
/// # Errors
/// The value is something else.
pub(super) fn duration(node: &Node, key: &str) -> Result<String, Diagnostic> {
    let text = node.as_str().filter(|text| text.parse::<jiff::SignedDuration>().is_ok());
    text.map(str::to_owned).ok_or_else(|| {
        Diagnostic::error(node.span, format!("`{key}` is not a duration")).help("write for example `90s` or `1h30m`")
    })
}

/// Resolves merge keys. A mapping's own entries come before those that it merges, and an earlier merged mapping comes
/// before a later one.
fn resolved(node: &Node) -> Result<Node, Diagnostic> {
    let kind = match &node.kind {
        Kind::Array(elements) => Kind::Array(elements.iter().map(resolved).collect::<Result<_, _>>()?),
        Kind::Object(entries) => {
            let (merges, own): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.key.value == MERGE_KEY);
            let mut all = Vec::new();
            for entry in own {
                all.push(Entry { key: entry.key.clone(), value: resolved(&entry.value)? });
            }
            for merge in merges {
                let mappings = match &merge.value.kind {
                    Kind::Array(mappings) => mappings.as_slice(),
                    _ => std::slice::from_ref(&merge.value),
                };
                for mapping in mappings {
                    let Kind::Object(entries) = resolved(mapping)?.kind else {
                        let message = format!("`{MERGE_KEY}` merges {}", mapping.description());
                        return Err(
                            Diagnostic::error(mapping.span, message).help("merge a mapping, or a list of mappings")
                        );
                    };
                    for entry in entries {
                        if all.iter().all(|known: &Entry| known.key.value != entry.key.value) {
                            all.push(entry);
                        }
                    }
                }
            }
            Kind::Object(all)
        }
        other => other.clone(),
    };
    Ok(Node { span: node.span, kind })
}

/// Applies an environment's settings: mappings are merged, everything else is replaced, and one way to set `count`
/// replaces the others.
fn with_environment(base: &Node, own: &Node) -> Node {
    let mut settings = merged(base, own);
    let Some(count) = at(own, "count") else { return settings };
    let has = |key: &str| at(count, key).is_some();
    if let Some(Kind::Object(entries)) = get_mut(&mut settings, "count").map(|count| &mut count.kind) {
        if has("spot") {
            entries.retain(|entry| entry.key.value == "spot" || has(&entry.key.value));
        } else if SCALING.into_iter().any(has) {
            entries.retain(|entry| entry.key.value != "spot");
        }
    }
    settings
}

fn get_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    match &mut node.kind {
        Kind::Object(entries) => entries.iter_mut().find(|entry| entry.key.value == key).map(|entry| &mut entry.value),
        _ => None,
    }
}

fn merged(base: &Node, own: &Node) -> Node {
    match (&base.kind, &own.kind) {
        (_, Kind::Null) => base.clone(),
        (Kind::Object(of_base), Kind::Object(of_own)) => {
            let mut all = of_base.clone();
            for entry in of_own {
                match all.iter_mut().find(|known| known.key.value == entry.key.value) {
                    Some(_) if entry.value.kind == Kind::Null => {}
                    Some(known) => *known = Entry { key: entry.key.clone(), value: merged(&known.value, &entry.value) },
                    None => all.push(entry.clone()),
                }
            }
            Node { span: own.span, kind: Kind::Object(all) }
        }
        _ => own.clone(),
    }
}

/// Turns `${NAME}` into `${env:NAME}`, and replaces Copilot's two own variables with their values.
fn interpolated(node: &Node, names: &Names) -> Node {
    let kind = match &node.kind {
        Kind::String(text) => Kind::String(with_variables(text, names)),
        Kind::Array(elements) => Kind::Array(elements.iter().map(|element| interpolated(element, names)).collect()),
        Kind::Object(entries) => {
            let entry = |entry: &Entry| Entry { key: entry.key.clone(), value: interpolated(&entry.value, names) };
            Kind::Object(entries.iter().map(entry).collect())
        }
        other => other.clone(),
    };
    Node { span: node.span, kind }
}

fn with_variables(text: &str, names: &Names) -> String {
    let mut parts = text.split("${");
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = part.split_once('}').map(|(name, _)| name).filter(|name| is_variable(name));
        match name {
            Some(_) if replaced.ends_with('\\') => {
                replaced.pop();
                replaced.push_str("${");
                replaced.push_str(part);
            }
            Some(name) => {
                match name {
                    "COPILOT_APPLICATION_NAME" => replaced.push_str(&names.app),
                    "COPILOT_ENVIRONMENT_NAME" => replaced.push_str(&names.env),
                    name => replaced.push_str(&format!("${{env:{name}}}")),
                }
                replaced.push_str(&part[name.len() + 1..]);
            }
            None => {
                replaced.push_str("${");
                replaced.push_str(part);
            }
        }
    }
    replaced
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
