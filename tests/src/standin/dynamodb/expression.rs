//! The expressions of requests: parsed, and evaluated for an item. What is not known is refused.
//!
//! Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html>

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::vec::IntoIter;

use serde_json::Value as Json;

use super::Refusal;
use super::value::{Item, Value};

/// What must hold for an item.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    /// A comparison by `=`, `<>`, `<`, `<=`, `>` or `>=`.
    Compare(Operand, String, Operand),
    Between(Operand, Operand, Operand),
    NotExists(String),
}

/// An attribute, or a value of the request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Name(String),
    Value(Value),
}

/// How the attributes of an item change.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Update {
    sets: Vec<(String, Set)>,
    adds: Vec<(String, Value)>,
}

/// What an attribute is set to.
#[derive(Debug, Clone, PartialEq)]
enum Set {
    To(Operand),
    Sum(Operand, Operand),
}

/// The names and values that the expressions of a request refer to. Each must be used.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    names: Option<&'a Json>,
    values: Option<&'a Json>,
    used: BTreeSet<String>,
}

impl<'a> Terms<'a> {
    /// Returns the terms of a request, or of an action of a transaction.
    pub(super) fn of(request: &'a Json) -> Self {
        let [names, values] = ["ExpressionAttributeNames", "ExpressionAttributeValues"].map(|key| request.get(key));
        Self { names, values, used: BTreeSet::new() }
    }

    /// Parses a condition.
    pub(super) fn condition(&mut self, text: &str) -> Result<Condition, Refusal> {
        let mut parser = Parser::new(text, self)?;
        let condition = parser.condition()?;
        parser.end()?;
        Ok(condition)
    }

    /// Parses an update.
    pub(super) fn update(&mut self, text: &str) -> Result<Update, Refusal> {
        Parser::new(text, self)?.update()
    }

    /// Checks that nothing is left over, which DynamoDB refuses.
    pub(super) fn end(&self) -> Result<(), Refusal> {
        for terms in [self.names, self.values].into_iter().flatten() {
            let terms = terms.as_object().filter(|terms| !terms.is_empty());
            let terms = terms.ok_or_else(|| Refusal::invalid("ExpressionAttributeNames or Values is empty"))?;
            if let Some(unused) = terms.keys().find(|term| !self.used.contains(*term)) {
                return Err(Refusal::invalid(format!("{unused} is unused in the expressions")));
            }
        }
        Ok(())
    }

    fn name(&mut self, term: &str) -> Result<String, Refusal> {
        // DynamoDB accepts a name as it is unless it is reserved. The stand-in does not know the reserved words.
        let name = term.strip_prefix('#').and_then(|_| self.names?.get(term)?.as_str());
        let name = name.ok_or_else(|| Refusal::invalid(format!("`{term}` is not in ExpressionAttributeNames")))?;
        self.used.insert(term.to_owned());
        Ok(name.to_owned())
    }

    fn value(&mut self, term: &str) -> Result<Value, Refusal> {
        let value = self.values.and_then(|values| values.get(term));
        let value = value.ok_or_else(|| Refusal::invalid(format!("`{term}` is not in ExpressionAttributeValues")))?;
        self.used.insert(term.to_owned());
        Value::parse(value)
    }
}

struct Parser<'p, 'a> {
    words: Peekable<IntoIter<String>>,
    terms: &'p mut Terms<'a>,
}

impl<'p, 'a> Parser<'p, 'a> {
    fn new(text: &str, terms: &'p mut Terms<'a>) -> Result<Self, Refusal> {
        Ok(Self { words: words(text)?.into_iter().peekable(), terms })
    }

    fn takes(&mut self, word: &str) -> bool {
        self.words.next_if(|next| next.eq_ignore_ascii_case(word)).is_some()
    }

    fn needs(&mut self, word: &str) -> Result<(), Refusal> {
        if self.takes(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn end(&mut self) -> Result<(), Refusal> {
        if self.words.peek().is_none() { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&mut self) -> Refusal {
        let word = self.words.peek().map_or("the end", String::as_str);
        Refusal::invalid(format!("the stand-in does not know the expression: it did not expect {word}"))
    }

    fn word(&mut self) -> Result<String, Refusal> {
        match self.words.next() {
            Some(word) => Ok(word),
            None => Err(self.unexpected()),
        }
    }

    fn name(&mut self) -> Result<String, Refusal> {
        let term = self.word()?;
        self.terms.name(&term)
    }

    fn operand(&mut self) -> Result<Operand, Refusal> {
        let term = self.word()?;
        match term.starts_with(':') {
            true => self.terms.value(&term).map(Operand::Value),
            false => self.terms.name(&term).map(Operand::Name),
        }
    }

    fn condition(&mut self) -> Result<Condition, Refusal> {
        let mut condition = self.conjunction()?;
        while self.takes("OR") {
            condition = Condition::Or(Box::new(condition), Box::new(self.conjunction()?));
        }
        Ok(condition)
    }

    fn conjunction(&mut self) -> Result<Condition, Refusal> {
        let mut condition = self.one()?;
        while self.takes("AND") {
            condition = Condition::And(Box::new(condition), Box::new(self.one()?));
        }
        Ok(condition)
    }

    fn one(&mut self) -> Result<Condition, Refusal> {
        if self.takes("attribute_not_exists") {
            self.needs("(")?;
            let name = self.name()?;
            self.needs(")")?;
            return Ok(Condition::NotExists(name));
        }
        let left = self.operand()?;
        if self.takes("BETWEEN") {
            let low = self.operand()?;
            self.needs("AND")?;
            return Ok(Condition::Between(left, low, self.operand()?));
        }
        match self.words.next_if(|word| matches!(word.as_str(), "=" | "<>" | "<" | "<=" | ">" | ">=")) {
            Some(comparison) => Ok(Condition::Compare(left, comparison, self.operand()?)),
            None => Err(self.unexpected()),
        }
    }

    fn update(&mut self) -> Result<Update, Refusal> {
        let mut update = Update::default();
        while self.words.peek().is_some() {
            if self.takes("SET") {
                self.list(|parser| {
                    let name = parser.name()?;
                    parser.needs("=")?;
                    update.sets.push((name, parser.set()?));
                    Ok(())
                })?;
            } else if self.takes("ADD") {
                self.list(|parser| {
                    let name = parser.name()?;
                    match parser.operand()? {
                        Operand::Value(value @ Value::N(_)) => update.adds.push((name, value)),
                        _ => return Err(Refusal::invalid("the stand-in adds only numbers")),
                    }
                    Ok(())
                })?;
            } else {
                return Err(self.unexpected());
            }
        }
        let names: Vec<&String> = update.names().collect();
        if names.is_empty() || names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            return Err(Refusal::invalid("an update changes nothing, or an attribute twice"));
        }
        Ok(update)
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Refusal>) -> Result<(), Refusal> {
        item(self)?;
        while self.takes(",") {
            item(self)?;
        }
        Ok(())
    }

    fn set(&mut self) -> Result<Set, Refusal> {
        let first = self.operand()?;
        if self.takes("+") { Ok(Set::Sum(first, self.operand()?)) } else { Ok(Set::To(first)) }
    }
}

/// Divides an expression into words: terms, keywords, comparisons and punctuation.
fn words(text: &str) -> Result<Vec<String>, Refusal> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_term = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '#' | ':');
        let length = match first {
            '<' | '>' => 1 + usize::from(rest[1..].starts_with(['=', '>'])),
            '=' | '(' | ')' | ',' | '+' => 1,
            c if is_term(c) => rest.find(|c| !is_term(c)).unwrap_or(rest.len()),
            c => return Err(Refusal::invalid(format!("the stand-in does not know `{c}` in `{text}`"))),
        };
        words.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

impl Condition {
    /// Returns whether the condition holds. A missing item has no attributes.
    pub(super) fn holds(&self, item: Option<&Item>) -> bool {
        let value = |operand: &Operand| match operand {
            Operand::Name(name) => item.and_then(|item| item.get(name)).cloned(),
            Operand::Value(value) => Some(value.clone()),
        };
        // A comparison with a missing attribute, or of values of different types, does not hold.
        let alike = |left: &Operand, right: &Operand| {
            value(left).zip(value(right)).filter(|(left, right)| left.kind() == right.kind())
        };
        match self {
            Self::And(left, right) => left.holds(item) && right.holds(item),
            Self::Or(left, right) => left.holds(item) || right.holds(item),
            Self::Compare(left, comparison, right) if comparison == "<>" => {
                alike(left, right).is_none_or(|(left, right)| left != right)
            }
            Self::Compare(left, comparison, right) => {
                alike(left, right).is_some_and(|(left, right)| match comparison.as_str() {
                    "<" => left < right,
                    "<=" => left <= right,
                    ">" => left > right,
                    ">=" => left >= right,
                    _ => left == right,
                })
            }
            Self::Between(between, low, high) => {
                alike(low, between).is_some_and(|(low, between)| low <= between)
                    && alike(between, high).is_some_and(|(between, high)| between <= high)
            }
            Self::NotExists(name) => item.is_none_or(|item| !item.contains_key(name)),
        }
    }

    /// Returns the conditions of which all must hold.
    pub(super) fn all(self) -> Vec<Self> {
        match self {
            Self::And(left, right) => left.all().into_iter().chain(right.all()).collect(),
            one => vec![one],
        }
    }

    /// Returns the only attribute that the condition is about, if it compares one with values of the request.
    pub(super) fn subject(&self) -> Option<&str> {
        match self {
            Self::Compare(Operand::Name(name), _, Operand::Value(_))
            | Self::Between(Operand::Name(name), Operand::Value(_), Operand::Value(_)) => Some(name),
            _ => None,
        }
    }

    /// Returns the value that an attribute must equal, if the condition says nothing else.
    pub(super) fn equals(&self) -> Option<(&str, &Value)> {
        match self {
            Self::Compare(Operand::Name(name), comparison, Operand::Value(value)) if comparison == "=" => {
                Some((name, value))
            }
            _ => None,
        }
    }
}

impl Update {
    /// Returns the names of the attributes that change.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        let sets = self.sets.iter().map(|(name, _)| name);
        sets.chain(self.adds.iter().map(|(name, _)| name))
    }

    /// Changes an item. All values are those before the change.
    pub(super) fn apply(&self, before: &Item) -> Result<Item, Refusal> {
        let value = |operand: &Operand| match operand {
            Operand::Value(value) => Ok(value.clone()),
            Operand::Name(name) => before.get(name).cloned().ok_or_else(|| {
                Refusal::invalid(format!("the update refers to the attribute {name}, which the item does not have"))
            }),
        };
        let sum = |left: &Operand, right: &Operand| match (value(left)?, value(right)?) {
            (Value::N(left), Value::N(right)) => Ok(Value::N(left.plus(right))),
            _ => Err(Refusal::invalid("the update adds what is not a number")),
        };
        let mut after = before.clone();
        for (name, set) in &self.sets {
            let value = match set {
                Set::To(operand) => value(operand)?,
                Set::Sum(left, right) => sum(left, right)?,
            };
            after.insert(name.clone(), value);
        }
        for (name, added) in &self.adds {
            let sum = match (before.get(name), added) {
                (None, added) => added.clone(),
                (Some(Value::N(before)), Value::N(added)) => Value::N(before.plus(*added)),
                _ => return Err(Refusal::invalid(format!("the attribute {name} is not a number"))),
            };
            after.insert(name.clone(), sum);
        }
        Ok(after)
    }
}
