//! The plain evaluation of one pattern on one event: the meaning, without the speed.
//!
//! An event is flattened to values with paths. Values in the same array must come from the same element of it; a scalar
//! element is in the arrays around its own array only. `{"exists": false}` is judged among the values that
//! are consistent with the elements chosen for the fields before it, in order of the paths.

use std::borrow::Cow;
use std::collections::HashMap;

use super::operator::{Literal, Operator, Scalar};
use super::{Alternative, Field, Pattern, below};
use crate::text::{Kind, Node};

/// An event's values by path.
#[derive(Debug, Default)]
pub struct FlatEvent<'a> {
    values: HashMap<String, Vec<Value<'a>>>,
    arrays: usize,
}

/// A value and the array elements that contain it.
#[derive(Debug)]
struct Value<'a> {
    scalar: Scalar<'a>,
    elements: Elements,
}

/// The chosen element of each array: pairs of the array's number and the element's index.
type Elements = Vec<(usize, usize)>;

impl<'a> FlatEvent<'a> {
    /// Flattens an event.
    pub fn new(event: &'a Node) -> Self {
        let mut flat = Self::default();
        flat.add(event, None, &mut Vec::new());
        flat
    }

    fn add(&mut self, node: &'a Node, path: Option<&str>, elements: &mut Elements) {
        let scalar = match &node.kind {
            Kind::Object(entries) => {
                for entry in entries {
                    self.add(&entry.value, Some(&below(path, &entry.key)), elements);
                }
                return;
            }
            Kind::Array(nodes) => {
                let array = self.arrays;
                self.arrays += 1;
                for (index, node) in nodes.iter().enumerate() {
                    let container = matches!(node.kind, Kind::Object(_) | Kind::Array(_));
                    if container {
                        elements.push((array, index));
                    }
                    self.add(node, path, elements);
                    if container {
                        elements.pop();
                    }
                }
                return;
            }
            Kind::Null => Scalar::Literal(Literal::Null),
            Kind::Bool(true) => Scalar::Literal(Literal::True),
            Kind::Bool(false) => Scalar::Literal(Literal::False),
            Kind::Number(text) => Scalar::Number(text),
            Kind::String(text) => Scalar::String(Cow::Borrowed(text)),
        };
        let value = Value { scalar, elements: elements.clone() };
        self.values.entry(path.unwrap_or_default().to_owned()).or_default().push(value);
    }

    /// Returns the values of a path, whatever elements contain them.
    pub(super) fn scalars(&self, path: &str) -> Vec<&Scalar<'a>> {
        self.at(path).iter().map(|value| &value.scalar).collect()
    }

    fn at(&self, path: &str) -> &[Value<'a>] {
        self.values.get(path).map_or(&[], Vec::as_slice)
    }
}

impl Pattern {
    /// Returns whether the pattern matches the event.
    pub fn matches(&self, event: &FlatEvent<'_>) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(event))
    }
}

impl Alternative {
    /// Returns whether all fields match.
    pub(super) fn matches(&self, event: &FlatEvent<'_>) -> bool {
        let satisfiable = |field: &Field| {
            let may_be_absent = field.operators.contains(&Operator::Absent);
            may_be_absent || event.at(&field.path).iter().any(|value| field.matches(&value.scalar))
        };
        // Stops at once if one field alone cannot match; otherwise arrays of hundreds of elements would be tried in
        // vain.
        self.fields.iter().all(satisfiable) && fields_match(&self.fields, event, &Vec::new())
    }
}

impl Field {
    pub(super) fn matches(&self, value: &Scalar<'_>) -> bool {
        self.operators.iter().any(|operator| operator.matches(value))
    }
}

fn fields_match(fields: &[Field], event: &FlatEvent<'_>, chosen: &Elements) -> bool {
    let Some((field, rest)) = fields.split_first() else { return true };
    let values = event.at(&field.path);
    let absent = || values.iter().all(|value| join(chosen, &value.elements).is_none());
    if field.operators.contains(&Operator::Absent) && absent() && fields_match(rest, event, chosen) {
        return true;
    }
    values.iter().any(|value| {
        field.matches(&value.scalar)
            && join(chosen, &value.elements).is_some_and(|chosen| fields_match(rest, event, &chosen))
    })
}

/// Combines both choices, or returns `None` if they name different elements of one array.
fn join(chosen: &Elements, more: &Elements) -> Option<Elements> {
    let mut joined = chosen.clone();
    for (array, index) in more {
        match chosen.iter().find(|(known, _)| known == array) {
            Some((_, known)) if known != index => return None,
            Some(_) => {}
            None => joined.push((*array, *index)),
        }
    }
    Some(joined)
}
