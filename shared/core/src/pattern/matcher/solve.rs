//! Decides whether one alternative matches the values found.
//!
//! Values in the same array must be in the same element of it. Fields are settled in order of their paths, because
//! `{"exists": false}` is judged among the values that are consistent with the earlier choices. Three things keep the
//! search small for any event: fields that share no array with an undecided element are settled separately; choices
//! that look the same to all other fields are tried once; and a choice narrows the other fields' values to those in its
//! element by binary search.

use std::borrow::Cow;

use super::scan::{Found, Value};
use super::{CompiledAlternative, CompiledField};

/// The cost of a search: how many values it has looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    /// The number of values so far.
    pub(super) taken: usize,
    /// A search that takes more than this stops as if nothing matched; its result is then invalid.
    pub(super) max: usize,
}

impl Steps {
    /// Returns whether the search must stop.
    pub(super) fn are_used_up(self) -> bool {
        self.taken > self.max
    }
}

/// Returns whether the alternative matches.
pub(super) fn matches(alternative: &CompiledAlternative, found: &Found<'_>, steps: &mut Steps) -> bool {
    if alternative.fields.iter().any(|field| !field.may_be_absent && found.of_path(field.path).is_empty()) {
        return false;
    }
    let mut in_arrays = Vec::new();
    for field in &alternative.fields {
        let values = found.of_path(field.path);
        steps.taken += values.len();
        // If no value is in an array, the choice for this field does not affect other fields.
        if values.iter().all(|value| value.element.is_none()) {
            if !(field.may_be_absent && values.is_empty() || values.iter().any(|value| field.matches(value))) {
                return false;
            }
        } else {
            in_arrays.push(Open::new(field, values, found));
        }
    }
    in_arrays.is_empty() || settle(&in_arrays, &[], found, steps)
}

impl CompiledField {
    fn matches(&self, value: &Value<'_>) -> bool {
        self.operators.iter().any(|operator| operator.matches(&value.scalar))
    }
}

/// The part of a value that the search needs.
#[derive(Debug, Clone, Copy)]
struct Choice {
    sequence: u32,
    element: Option<u32>,
}

/// A field that is not settled yet, with the values that are consistent with the choices so far.
#[derive(Debug, Clone)]
struct Open<'a> {
    /// The values that match the field.
    matching: Values<'a>,
    /// All values, if the field may be absent.
    present: Option<Values<'a>>,
}

/// Values in order of the text.
#[derive(Debug, Clone)]
struct Values<'a> {
    choices: Cow<'a, [Choice]>,
    /// The arrays that contain every one of the values.
    common_arrays: Cow<'a, [u32]>,
}

impl Open<'_> {
    fn new(field: &CompiledField, values: &[Value<'_>], found: &Found<'_>) -> Self {
        let choice = |value: &Value<'_>| Choice { sequence: value.sequence, element: value.element };
        let matching = values.iter().filter(|value| field.matches(value)).map(choice).collect();
        let present = field.may_be_absent.then(|| values.iter().map(choice).collect());
        Self { matching: Values::new(matching, found), present: present.map(|present| Values::new(present, found)) }
    }

    /// Returns the undecided arrays that contain values of this field.
    fn arrays(&self, decided: &[u32], found: &Found<'_>) -> Vec<u32> {
        let values = self.present.as_ref().unwrap_or(&self.matching);
        let elements = values.choices.iter().flat_map(|choice| found.around(choice.element));
        let mut arrays: Vec<u32> = elements.map(|element| found.elements[element as usize].array).collect();
        arrays.sort_unstable();
        arrays.dedup();
        arrays.retain(|array| !decided.contains(array));
        arrays
    }

    /// Returns the field with only the values that are consistent with these elements as well.
    fn narrowed<'a>(&'a self, elements: &[u32], found: &Found<'_>, steps: &mut Steps) -> Open<'a> {
        Open {
            matching: self.matching.narrowed(elements, found, steps),
            present: self.present.as_ref().map(|present| present.narrowed(elements, found, steps)),
        }
    }
}

impl Values<'_> {
    fn new(choices: Vec<Choice>, found: &Found<'_>) -> Self {
        let arrays = |choice: &Choice| -> Vec<u32> {
            found.around(choice.element).map(|element| found.elements[element as usize].array).collect()
        };
        let mut common = choices.first().map(arrays).unwrap_or_default();
        for choice in &choices {
            if common.is_empty() {
                break;
            }
            let own = arrays(choice);
            common.retain(|array| own.contains(array));
        }
        Self { choices: Cow::Owned(choices), common_arrays: Cow::Owned(common) }
    }

    /// Returns the values that, for each of these elements, are in the element or not in its array at all.
    fn narrowed<'a>(&'a self, elements: &[u32], found: &Found<'_>, steps: &mut Steps) -> Values<'a> {
        let mut choices = Cow::Borrowed(self.choices.as_ref());
        for element in elements {
            let chosen = &found.elements[*element as usize];
            choices = match choices {
                Cow::Borrowed(choices) if self.common_arrays.contains(&chosen.array) => {
                    let start = choices.partition_point(|choice| choice.sequence < chosen.start);
                    let end = choices.partition_point(|choice| choice.sequence < chosen.end);
                    Cow::Borrowed(&choices[start..end])
                }
                choices => {
                    steps.taken += choices.len();
                    Cow::Owned(consistent(&choices, *element, found))
                }
            };
        }
        Values { choices, common_arrays: Cow::Borrowed(&self.common_arrays) }
    }
}

fn consistent(choices: &[Choice], element: u32, found: &Found<'_>) -> Vec<Choice> {
    let array = found.elements[element as usize].array;
    let keeps = |choice: &&Choice| {
        let own = found.around(choice.element).find(|own| found.elements[*own as usize].array == array);
        own.is_none_or(|own| own == element)
    };
    choices.iter().filter(keeps).copied().collect()
}

/// Returns whether all fields can be settled, given the arrays whose element is decided.
fn settle(fields: &[Open<'_>], decided: &[u32], found: &Found<'_>, steps: &mut Steps) -> bool {
    if fields.iter().any(|field| field.matching.choices.is_empty() && field.present.is_none()) {
        return false;
    }
    steps.taken +=
        fields.iter().map(|field| field.present.as_ref().unwrap_or(&field.matching).choices.len()).sum::<usize>();
    let arrays: Vec<Vec<u32>> = fields.iter().map(|field| field.arrays(decided, found)).collect();
    groups(&arrays).iter().all(|group| settle_group(group, fields, &arrays, decided, found, steps))
}

/// Returns the positions of the fields in groups that share no array with each other.
fn groups(arrays: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<(Vec<usize>, Vec<u32>)> = Vec::new();
    for (field, own) in arrays.iter().enumerate() {
        let (touched, mut apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(|(_, arrays)| overlap(arrays, own));
        let (mut fields, mut arrays) = (vec![field], own.clone());
        for (more_fields, more_arrays) in touched {
            fields.extend(more_fields);
            arrays.extend(more_arrays);
        }
        fields.sort_unstable();
        arrays.sort_unstable();
        apart.push((fields, arrays));
        groups = apart;
    }
    groups.into_iter().map(|(fields, _)| fields).collect()
}

/// Returns whether two ascending lists have a number in common.
fn overlap(one: &[u32], other: &[u32]) -> bool {
    let (shorter, longer) = if one.len() < other.len() { (one, other) } else { (other, one) };
    shorter.iter().any(|number| longer.binary_search(number).is_ok())
}

fn settle_group(
    group: &[usize],
    fields: &[Open<'_>],
    arrays: &[Vec<u32>],
    decided: &[u32],
    found: &Found<'_>,
    steps: &mut Steps,
) -> bool {
    let Some((first, rest)) = group.split_first() else { return true };
    let field = &fields[*first];
    let go_on = |elements: &[u32], decided: &[u32], steps: &mut Steps| {
        let rest: Vec<Open<'_>> = rest.iter().map(|other| fields[*other].narrowed(elements, found, steps)).collect();
        settle(&rest, decided, found, steps)
    };
    if field.present.as_ref().is_some_and(|present| present.choices.is_empty()) && go_on(&[], decided, steps) {
        return true;
    }
    let mut last_tried: Option<Vec<u32>> = None;
    for choice in field.matching.choices.iter() {
        steps.taken += 1;
        if steps.are_used_up() {
            return false;
        }
        // What the other fields see of this choice: its elements of undecided arrays that contain their values as well.
        let array_of = |element: &u32| found.elements[*element as usize].array;
        let is_seen = |array: u32| rest.iter().any(|other| arrays[*other].binary_search(&array).is_ok());
        let seen: Vec<u32> = found.around(choice.element).filter(|element| is_seen(array_of(element))).collect();
        // In order of the text, choices that look the same are adjacent.
        if last_tried.as_ref() == Some(&seen) {
            continue;
        }
        let decided: Vec<u32> = decided.iter().copied().chain(seen.iter().map(array_of)).collect();
        if go_on(&seen, &decided, steps) {
            return true;
        }
        last_tried = Some(seen);
    }
    false
}
