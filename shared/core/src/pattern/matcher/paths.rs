//! The paths that patterns use, as a tree of their steps.

use std::collections::HashMap;

pub(super) const ROOT: u32 = 0;

/// A step with more children than this finds a child by hash; other steps compare the names.
const COMPARED_CHILDREN_MAX: usize = 8;

/// A set of numbered paths.
#[derive(Debug)]
pub(super) struct Paths {
    steps: Vec<Step>,
    count: u32,
}

/// A node of the tree.
#[derive(Debug, Default)]
struct Step {
    /// The number of the path that ends here.
    path: Option<u32>,
    children: Vec<(Box<str>, u32)>,
    /// A bit for the first byte of each child, by the byte's last six bits. Most keys of an event lead nowhere, and
    /// this rejects them quickly.
    first_bytes: u64,
    /// The same children by name; empty unless there are many.
    by_hash: HashMap<Box<str>, u32>,
}

fn first_byte(text: &str) -> u64 {
    1 << (text.as_bytes().first().map_or(0, |byte| byte % 64))
}

impl Default for Paths {
    fn default() -> Self {
        Self { steps: vec![Step::default()], count: 0 }
    }
}

impl Paths {
    /// Returns how many paths there are. Every path's number is below this.
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// Returns the number of a path, its steps joined with `.`, and adds the path if it is new.
    pub(super) fn number(&mut self, path: &str) -> u32 {
        let mut at = ROOT;
        for segment in path.split('.') {
            at = self.child(at, segment).unwrap_or_else(|| self.add(at, segment));
        }
        let count = &mut self.count;
        *self.steps[at as usize].path.get_or_insert_with(|| {
            *count += 1;
            *count - 1
        })
    }

    fn add(&mut self, at: u32, segment: &str) -> u32 {
        let child = self.steps.len() as u32;
        self.steps.push(Step::default());
        let step = &mut self.steps[at as usize];
        step.children.push((segment.into(), child));
        step.first_bytes |= first_byte(segment);
        if !step.by_hash.is_empty() {
            step.by_hash.insert(segment.into(), child);
        } else if step.children.len() > COMPARED_CHILDREN_MAX {
            step.by_hash = step.children.iter().cloned().collect();
        }
        child
    }

    #[inline]
    fn child(&self, at: u32, segment: &str) -> Option<u32> {
        let step = &self.steps[at as usize];
        if step.by_hash.is_empty() {
            return step.children.iter().find(|(name, _)| **name == *segment).map(|(_, child)| *child);
        }
        step.by_hash.get(segment).copied()
    }

    /// Returns where a key of an event leads from `at`, if any path continues there. A key with dots is several steps.
    #[inline]
    pub(super) fn step(&self, at: u32, key: &str) -> Option<u32> {
        // A key that begins with a dot begins with an empty step.
        if self.steps[at as usize].first_bytes & (first_byte(key) | first_byte("")) == 0 {
            return None;
        }
        if !key.as_bytes().contains(&b'.') {
            return self.child(at, key);
        }
        key.split('.').try_fold(at, |at, segment| self.child(at, segment))
    }

    /// Returns the number of the path that ends at a node.
    #[inline]
    pub(super) fn path_at(&self, at: u32) -> Option<u32> {
        self.steps[at as usize].path
    }
}
