//! One pass over an event's text: checks the grammar of the whole text, and keeps the values at the paths in use.

use std::collections::HashSet;

use super::paths::{Paths, ROOT};
use crate::pattern::operator::{Literal, Scalar};
use crate::text::json::{DEPTH_MAX, Scanned, Scanner};

/// Duplicates are removed from the values of a path with more values than this.
const COMPARED_VALUES_MAX: usize = 16;

/// The result of a scan.
#[derive(Debug)]
pub(super) struct Found<'e> {
    /// The values, in order of their paths' numbers; for one path, in order of the text.
    pub(super) values: Vec<Value<'e>>,
    /// The elements of arrays that may hold values, in order of the text.
    pub(super) elements: Vec<Element>,
}

/// A value at a path in use.
#[derive(Debug)]
pub(super) struct Value<'e> {
    /// The path's number.
    pub(super) path: u32,
    /// The position of this value among all values, in order of the text.
    pub(super) sequence: u32,
    /// The innermost element that contains the value; [`Element::parent`] leads to the others.
    pub(super) element: Option<u32>,
    pub(super) scalar: Scalar<'e>,
}

/// An object or array that is an element of an array. (A scalar that is itself an element is not inside any element of
/// its own array.)
#[derive(Debug)]
pub(super) struct Element {
    /// The array's number.
    pub(super) array: u32,
    /// The element that contains the array.
    pub(super) parent: Option<u32>,
    /// The [`Value::sequence`] of the first value inside.
    pub(super) start: u32,
    /// The [`Value::sequence`] after the last value inside.
    pub(super) end: u32,
}

impl<'e> Found<'e> {
    /// Returns the values of a path.
    pub(super) fn of_path(&self, path: u32) -> &[Value<'e>] {
        let start = self.values.partition_point(|value| value.path < path);
        let end = start + self.values[start..].partition_point(|value| value.path == path);
        &self.values[start..end]
    }

    /// Returns the values. If a path has many values, its duplicates are left out.
    pub(super) fn distinct_values(&self) -> impl Iterator<Item = &Value<'e>> {
        let lists = self.values.chunk_by(|one, other| one.path == other.path);
        lists.flat_map(|values| {
            let mut seen = (values.len() > COMPARED_VALUES_MAX).then(HashSet::new);
            values.iter().filter(move |value| seen.as_mut().is_none_or(|seen| seen.insert(&value.scalar)))
        })
    }

    /// Returns the elements that contain a value, from the innermost outwards.
    pub(super) fn around(&self, innermost: Option<u32>) -> impl Iterator<Item = u32> {
        std::iter::successors(innermost, |element| self.elements[*element as usize].parent)
    }
}

/// Scans an event.
///
/// # Errors
/// The event is not one JSON object.
pub(super) fn scan<'e>(event: &'e str, paths: &Paths) -> Scanned<Found<'e>> {
    let found = Found { values: Vec::with_capacity(16), elements: Vec::new() };
    let mut scan = Scan { scanner: Scanner::new(event), paths, found, element: None, arrays: 0, depth: 0 };
    scan.scanner.white_space();
    if scan.scanner.peek() != Some(b'{') {
        return Err(scan.scanner.error("expected an object"));
    }
    scan.object(ROOT)?;
    scan.scanner.end()?;
    let mut found = scan.found;
    found.values.sort_by_key(|value| value.path);
    Ok(found)
}

struct Scan<'e, 'p> {
    scanner: Scanner<'e>,
    paths: &'p Paths,
    found: Found<'e>,
    /// The innermost element at the current position.
    element: Option<u32>,
    arrays: u32,
    depth: usize,
}

impl Scan<'_, '_> {
    fn deeper(&mut self) -> Scanned<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.scanner.error(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        self.scanner.at += 1;
        Ok(())
    }

    fn object(&mut self, at: u32) -> Scanned<()> {
        self.deeper()?;
        let mut closed = self.scanner.closes(b'}');
        while !closed {
            self.scanner.white_space();
            let child = self.paths.step(at, &self.scanner.string()?.decode());
            self.scanner.colon()?;
            match child {
                Some(child) => self.value(child)?,
                None => self.skip()?,
            }
            closed = self.scanner.separator(b'}')?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self, at: u32) -> Scanned<()> {
        self.deeper()?;
        let (array, outer) = (self.arrays, self.element);
        self.arrays += 1;
        let mut closed = self.scanner.closes(b']');
        while !closed {
            let start = self.found.values.len() as u32;
            let number = self.found.elements.len();
            self.scanner.white_space();
            let container = matches!(self.scanner.peek(), Some(b'{' | b'['));
            if container {
                self.found.elements.push(Element { array, parent: outer, start, end: start });
                self.element = Some(number as u32);
            }
            self.value(at)?;
            if container {
                self.found.elements[number].end = self.found.values.len() as u32;
                self.element = outer;
            }
            closed = self.scanner.separator(b']')?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn value(&mut self, at: u32) -> Scanned<()> {
        self.scanner.white_space();
        let scalar = match self.scanner.peek() {
            Some(b'{') => return self.object(at),
            Some(b'[') => return self.array(at),
            Some(b'"') => Scalar::String(self.scanner.string()?.decode()),
            Some(b't') => self.scanner.literal("true").map(|()| Scalar::Literal(Literal::True))?,
            Some(b'f') => self.scanner.literal("false").map(|()| Scalar::Literal(Literal::False))?,
            Some(b'n') => self.scanner.literal("null").map(|()| Scalar::Literal(Literal::Null))?,
            _ => Scalar::Number(self.scanner.number()?),
        };
        if let Some(path) = self.paths.path_at(at) {
            let sequence = self.found.values.len() as u32;
            self.found.values.push(Value { path, sequence, element: self.element, scalar });
        }
        Ok(())
    }

    /// Skips a value that no path leads into, but checks its grammar.
    fn skip(&mut self) -> Scanned<()> {
        self.scanner.white_space();
        match self.scanner.peek() {
            Some(b'{') => {
                self.deeper()?;
                let mut closed = self.scanner.closes(b'}');
                while !closed {
                    self.scanner.white_space();
                    self.scanner.string()?;
                    self.scanner.colon()?;
                    self.skip()?;
                    closed = self.scanner.separator(b'}')?;
                }
                self.depth -= 1;
                Ok(())
            }
            Some(b'[') => {
                self.deeper()?;
                let mut closed = self.scanner.closes(b']');
                while !closed {
                    self.skip()?;
                    closed = self.scanner.separator(b']')?;
                }
                self.depth -= 1;
                Ok(())
            }
            Some(b'"') => self.scanner.string().map(drop),
            Some(b't') => self.scanner.literal("true"),
            Some(b'f') => self.scanner.literal("false"),
            Some(b'n') => self.scanner.literal("null"),
            _ => self.scanner.number().map(drop),
        }
    }
}
