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
use crate::text::json::SyntaxError;
use index::Index;
use paths::Paths;
use scan::Found;
use solve::Steps;

/// How many values the search for one alternative may look at in any event.
const STEPS_MIN: usize = 100_000;
/// How many more it may look at for each value of the event. (Without keys that stand twice in one object, a few suffice.)
const STEPS_PER_VALUE: usize = 100;

/// Why an event cannot be matched. Neither gets better by trying again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// It is not one JSON object.
    #[error("the event is not a JSON object: {0}")]
    NotJson(#[from] SyntaxError),
    /// Its arrays, under keys that stand in it more than once, have so many combinations that no answer can be found in
    /// reasonable time. No sender makes such an event by accident.
    #[error("the event's arrays, under keys that stand in it more than once, have too many combinations")]
    TooAmbiguous,
}

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
    /// The event is not one JSON object, or it is one in bad faith.
    pub fn matches(&self, event: &str) -> Result<Vec<usize>, MatchError> {
        let found = scan::scan(event, &self.paths).map_err(|error| *error)?;
        let max = STEPS_MIN + STEPS_PER_VALUE * found.values.len();
        let mut steps = Steps { taken: 0, max };
        let matching = self.decide(&found, &mut steps);
        if steps.are_used_up() { Err(MatchError::TooAmbiguous) } else { Ok(matching) }
    }

    /// The patterns that match; none that counts once the steps of one alternative are used up.
    fn decide(&self, found: &Found<'_>, steps: &mut Steps) -> Vec<usize> {
        let candidates = self.index.candidates(found).into_iter().map(|number| &self.alternatives[number as usize]);
        let matching = candidates.filter(|candidate| {
            let mut own = Steps { taken: 0, max: steps.max };
            let matches = solve::matches(candidate, found, &mut own);
            // The dearest alternative tells what the event costs.
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
