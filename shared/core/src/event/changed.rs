//! Events that a person has changed.

use jiff::Timestamp;

use super::{DecodeError, Event, EventKind, sequencer};
use crate::event::identity::id_of;
use crate::text::{Kind, Node, json};

/// A value to set in an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The keys that lead to the value, and the positions in lists. The first is `detail`, `body` or `input`.
    path: Vec<String>,
    value: Node,
}

/// Why a change cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The path does not begin with the part that can be changed.
    #[error("`{path}` cannot be set: of {what}, only `{part}` can be changed; write for example `{part}.key=value`")]
    OtherPart {
        /// The path.
        path: String,
        /// The kind of event.
        what: &'static str,
        /// The part that can be changed.
        part: &'static str,
    },
    /// There is a value on the way that has no parts.
    #[error("`{path}` cannot be set: there is {found} on the way")]
    NoParts {
        /// The path.
        path: String,
        /// The kind of value.
        found: &'static str,
    },
    /// The changed event is not valid.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Change {
    /// Parses `PATH=VALUE`, such as `detail.total=7`. A value that is not JSON is a text.
    ///
    /// # Errors
    /// There is no path, or no value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, value) = text.split_once('=').unwrap_or_default();
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err("write PATH=VALUE, such as detail.total=7".to_owned());
        }
        let value = json::parse(value).unwrap_or_else(|_| Node::string(value));
        Ok(Self { path, value })
    }
}

impl Event {
    /// Returns a new event: this one with the changes, if there are any. Its identity is derived from `now`, so it differs
    /// from that of every earlier event.
    ///
    /// # Errors
    /// A change is not possible in an event of this kind, or makes it invalid.
    pub fn changed(&self, changes: &[Change], now: Timestamp) -> Result<Self, ChangeError> {
        let (what, part) = match &self.kind {
            EventKind::EventBridge(_) => ("an event of EventBridge", "detail"),
            EventKind::Message(_) => ("a message", "body"),
            EventKind::Firing(_) => ("a firing", "input"),
        };
        let mut node = self.node.clone();
        for Change { path, value } in changes {
            let named = || path.join(".");
            if path.first().is_none_or(|first| first != part) {
                return Err(ChangeError::OtherPart { path: named(), what, part });
            }
            set(&mut node, path, value).map_err(|found| ChangeError::NoParts { path: named(), found })?;
        }
        let id = id_of(&[&self.text, &now.to_string()]);
        match &self.kind {
            EventKind::EventBridge(_) => renew_event(&mut node, &id, now),
            EventKind::Message(message) => {
                renew(&mut node, "message_id", &id);
                if let Some(body) = part_of(&mut node, "body").filter(|_| message.event.is_some()) {
                    renew_event(body, &id, now);
                }
            }
            EventKind::Firing(firing) => {
                // The route is in the last part of the ARN.
                let arn = firing.schedule_arn.rsplit_once('/').map_or("", |(group, _)| group);
                renew(&mut node, "schedule_arn", &format!("{arn}/{id}/{}", firing.schedule()));
            }
        }
        Ok(Self::decode_copy(&json::write(&node))?)
    }
}

/// Makes an event of EventBridge another one.
fn renew_event(event: &mut Node, id: &str, now: Timestamp) {
    renew(event, "id", id);
    let object = part_of(event, "detail").and_then(|detail| part_of(detail, "object"));
    if let Some(object) = object.filter(|object| object.get("sequencer").is_some()) {
        renew(object, "sequencer", &sequencer(now));
    }
}

fn renew(node: &mut Node, key: &str, text: &str) {
    if let Some(part) = part_of(node, key) {
        *part = Node::string(text);
    }
}

fn part_of<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    match &mut node.kind {
        Kind::Object(entries) => {
            entries.iter_mut().rev().find(|entry| entry.key.value == key).map(|entry| &mut entry.value)
        }
        Kind::Array(elements) => elements.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Sets the value at a path, and adds the objects that are missing on the way. Returns what is on the way, if that has no
/// parts.
fn set(node: &mut Node, path: &[String], value: &Node) -> Result<(), &'static str> {
    let [key, rest @ ..] = path else {
        *node = value.clone();
        return Ok(());
    };
    if part_of(node, key).is_none() {
        let found = node.description();
        let Kind::Object(entries) = &mut node.kind else { return Err(found) };
        let Kind::Object(added) = Node::object([(key.as_str(), Node::object([]))]).kind else { return Err(found) };
        entries.extend(added);
    }
    part_of(node, key).map_or(Ok(()), |part| set(part, rest, value))
}

#[cfg(test)]
mod tests;
