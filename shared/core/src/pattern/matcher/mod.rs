//! Matches many patterns against one event, in one pass over its text.
//!
//! A new matcher files every alternative of every pattern under one access field ([`index`]): the rarest of the fields
//! whose operators can all be found from a value alone. For an event, one pass over the text ([`scan`]) checks its
//! grammar and collects the values at the paths that any pattern uses. The values lead to candidates, and each
//! candidate is decided ([`solve`]). [`super::operator`] defines what the operators mean.

mod index;
mod paths;
mod scan;
mod solve;

use super::Pattern;
use super::operator::Operator;
use crate::text::json::SyntaxError;
use index::Index;
use paths::Paths;
use scan::Found;
use solve::Steps;

/// If the search for one alternative looks at more values than this, plus [`STEPS_PER_VALUE`] for each value of the
/// event, the event is refused as [`MatchError::TooAmbiguous`].
const STEPS_MIN: usize = 100_000;
/// How many more values the search may look at for each value of the event. (Without duplicate keys, a few are enough.)
const STEPS_PER_VALUE: usize = 100;

/// Why an event cannot be matched. Retrying does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// The event is not one JSON object.
    #[error("the event is not a JSON object: {0}")]
    NotJson(#[from] SyntaxError),
    /// The event repeats keys, and the arrays under these keys have so many combinations that no answer can be found in
    /// reasonable time. No sender makes such an event by accident.
    #[error("the event repeats keys, and the arrays under these keys have too many combinations to match")]
    TooAmbiguous,
}

/// A set of patterns, compiled to be matched all at once.
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
    /// The fields, in order of the paths' texts.
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
    /// Compiles these patterns; the matcher identifies them by their positions.
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

    /// Returns the positions of the patterns that match the event, in ascending order.
    ///
    /// # Errors
    /// The event is not one JSON object, or its arrays have too many combinations.
    pub fn matches(&self, event: &str) -> Result<Vec<usize>, MatchError> {
        let found = scan::scan(event, &self.paths).map_err(|error| *error)?;
        let max = STEPS_MIN + STEPS_PER_VALUE * found.values.len();
        let mut steps = Steps { taken: 0, max };
        let matching = self.decide(&found, &mut steps);
        if steps.are_used_up() { Err(MatchError::TooAmbiguous) } else { Ok(matching) }
    }

    /// Returns the patterns that match. Once the steps of one alternative are used up, the result is invalid.
    fn decide(&self, found: &Found<'_>, steps: &mut Steps) -> Vec<usize> {
        let candidates = self.index.candidates(found).into_iter().map(|number| &self.alternatives[number as usize]);
        let matching = candidates.filter(|candidate| {
            let mut own = Steps { taken: 0, max: steps.max };
            let matches = solve::matches(candidate, found, &mut own);
            // The most expensive alternative determines the cost of the event.
            steps.taken = steps.taken.max(own.taken);
            matches
        });
        let mut patterns: Vec<usize> = matching.map(|candidate| candidate.pattern).collect();
        patterns.dedup();
        patterns
    }
}

#[cfg(test)]
mod tests;
