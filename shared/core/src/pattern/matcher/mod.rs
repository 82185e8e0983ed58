//! Many patterns against one event, in one pass over its text.
//!
//! When it is built, every alternative of every pattern is put under one access key ([`index`]): the rarest of its fields
//! whose operators all lead somewhere from a value alone. For an event, one pass over the text ([`scan`]) checks its grammar
//! and collects the values at the paths that any pattern uses; the values lead to candidates; and each candidate is decided
//! ([`solve`]). What the operators mean is [`super::operator`]'s.

mod index;
mod paths;
mod scan;
mod solve;

use super::Pattern;
use super::operator::Operator;
use crate::document::json::SyntaxError;
use index::Index;
use paths::Paths;
use scan::Found;
use solve::Steps;

/// Patterns, ready to be matched all at once.
#[derive(Debug, Default)]
pub struct Matcher {
    paths: Paths,
    alternatives: Vec<CompiledAlternative>,
    index: Index,
}

/// An alternative of a pattern.
#[derive(Debug)]
struct CompiledAlternative {
    /// The pattern's position.
    pattern: usize,
    /// In order of the paths' texts.
    fields: Vec<CompiledField>,
}

/// A field of an alternative.
#[derive(Debug)]
struct CompiledField {
    /// The path's number.
    path: u32,
    operators: Vec<Operator>,
    /// Whether one of the operators is `{"exists": false}`.
    may_be_absent: bool,
}

impl Matcher {
    /// A matcher of these patterns, which are known by their positions.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> Self {
        let mut paths = Paths::default();
        let mut alternatives = Vec::new();
        for (pattern, of_pattern) in patterns.into_iter().enumerate() {
            for alternative in &of_pattern.alternatives {
                let field = |field: &super::Field| CompiledField {
                    path: paths.number(&field.path),
                    may_be_absent: field.operators.contains(&Operator::Absent),
                    operators: field.operators.clone(),
                };
                let fields = alternative.fields.iter().map(field).collect();
                alternatives.push(CompiledAlternative { pattern, fields });
            }
        }
        let index = Index::new(&alternatives, paths.count());
        Self { paths, alternatives, index }
    }

    /// The positions of the patterns that match the event, in ascending order.
    ///
    /// # Errors
    /// The event is not one JSON object.
    pub fn matches(&self, event: &str) -> Result<Vec<usize>, SyntaxError> {
        let found = scan::scan(event, &self.paths).map_err(|error| *error)?;
        Ok(self.decide(&found, &mut Steps::default()))
    }

    fn decide(&self, found: &Found<'_>, steps: &mut Steps) -> Vec<usize> {
        let candidates = self.index.candidates(found).into_iter().map(|number| &self.alternatives[number as usize]);
        let matching = candidates.filter(|candidate| solve::matches(candidate, found, steps));
        let mut patterns: Vec<usize> = matching.map(|candidate| candidate.pattern).collect();
        patterns.dedup();
        patterns
    }
}

#[cfg(test)]
mod tests;
