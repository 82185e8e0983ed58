//! The grammar of event patterns. Every refusal gives EventBridge's own reason and the place.

use std::collections::BTreeMap;

use super::number::ComparableNumber;
use super::operator::{
    AnythingBut, Cidr, IgnoreCase, Literal, NumberOperand, NumericRange, Operator, Wildcard, parse_address,
};
use super::{Alternative, Field, Pattern, below};
use crate::text::diagnostic::Diagnostic;
use crate::text::{Entry, Kind, Node, Span, yaml};

/// A pattern whose `$or`s multiply out to more alternatives than this is refused.
const ALTERNATIVES_MAX: usize = 10_000;

/// A pattern with more fields than this in one alternative is refused, as by EventBridge's matcher.
const FIELDS_MAX: usize = 256;

/// Names that EventBridge reserves inside `$or` for its operators, present and future.
const RESERVED_IN_OR: [&str; 24] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
];

/// The operators, which belong into a field's list.
pub(super) const OPERATORS: [&str; 9] =
    ["exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr"];

/// The operators that take one text.
const OF_ONE_TEXT: [&str; 4] = ["prefix", "suffix", "wildcard", "equals-ignore-case"];

/// The result of a parsing step: a value, or a problem that has been recorded.
type Parsed<T> = Result<T, Refused>;

/// A refusal whose reason is in [`Parser::problems`].
struct Refused;

pub(super) fn parse(node: &Node) -> Result<Pattern, Vec<Diagnostic>> {
    let mut parser = Parser { problems: Vec::new() };
    let mut alternatives = vec![Fields::new()];
    let parsed = match &node.kind {
        Kind::Object(entries) => parser.object(entries, node.span, None, false, &mut alternatives),
        _ => parser.refuse(node.span, "Filter is not an object"),
    };
    if alternatives.iter().any(|fields| fields.len() > FIELDS_MAX) {
        parser.problems.push(Diagnostic::error(node.span, format!("a pattern can have at most {FIELDS_MAX} fields")));
    }
    match parsed {
        Ok(()) if parser.problems.is_empty() => Ok(Pattern {
            alternatives: alternatives
                .into_iter()
                .map(|fields| Alternative { fields: fields.into_values().collect() })
                .collect(),
        }),
        _ => Err(parser.problems),
    }
}

/// An alternative's fields by path: a later field of the same path replaces an earlier one.
type Fields = BTreeMap<String, Field>;

struct Parser {
    problems: Vec<Diagnostic>,
}

impl Parser {
    fn refuse<T>(&mut self, span: Span, reason: impl Into<String>) -> Parsed<T> {
        self.problems.push(Diagnostic::error(span, reason));
        Err(Refused)
    }

    /// Refuses with the text to write instead.
    fn refuse_for<T>(&mut self, span: Span, reason: impl Into<String>, help: Option<String>) -> Parsed<T> {
        self.problems.push(Diagnostic { help, ..Diagnostic::error(span, reason) });
        Err(Refused)
    }

    /// Reads an object's entries into every alternative; continues after a refusal to find further ones.
    fn object(
        &mut self,
        entries: &[Entry],
        span: Span,
        path: Option<&str>,
        inside_or: bool,
        alternatives: &mut Vec<Fields>,
    ) -> Parsed<()> {
        if entries.is_empty() {
            return self.refuse(span, "Empty objects are not allowed");
        }
        for entry in entries {
            let key = entry.key.as_str();
            if key == "$or" {
                self.or(entry, path, alternatives)?;
                continue;
            }
            if inside_or && RESERVED_IN_OR.contains(&key) {
                let reason = format!("{key} is Ruler reserved fieldName which cannot be used inside $or.");
                let _ = self.refuse_for::<()>(entry.key.span, reason, OPERATORS.contains(&key).then(|| in_list(entry)));
                continue;
            }
            let path = below(path, key);
            match &entry.value.kind {
                Kind::Object(entries) => {
                    let _ = self.object(entries, entry.value.span, Some(&path), inside_or, alternatives);
                }
                Kind::Array(elements) => {
                    let span = Span::new(entry.key.span.start, entry.value.span.end);
                    let Ok(operators) = self.operators(elements, entry.value.span) else { continue };
                    for fields in alternatives.iter_mut() {
                        let field = Field { path: path.clone(), span, operators: operators.clone() };
                        fields.insert(path.clone(), field);
                    }
                }
                _ => {
                    let help = match OPERATORS.contains(&key) {
                        true => in_list(entry),
                        false => format!("write `{key}: [{}]`", yaml::flow(&entry.value)),
                    };
                    let reason = format!("\"{key}\" must be an object or an array");
                    let _ = self.refuse_for::<()>(entry.value.span, reason, Some(help));
                }
            }
        }
        Ok(())
    }

    /// Multiplies the alternatives read so far by the branches of a `$or`.
    fn or(&mut self, entry: &Entry, path: Option<&str>, alternatives: &mut Vec<Fields>) -> Parsed<()> {
        let Kind::Array(branches) = &entry.value.kind else {
            return self.refuse(entry.value.span, "It must be an Array followed with $or.");
        };
        if branches.len() < 2 {
            return self.refuse(entry.value.span, "There must have at least 2 Objects in $or relationship.");
        }
        let before = std::mem::take(alternatives);
        for branch in branches {
            let Kind::Object(entries) = &branch.kind else {
                return self.refuse(branch.span, "Only JSON object is allowed in array of $or relationship.");
            };
            let mut forked = before.clone();
            let _ = self.object(entries, branch.span, path, true, &mut forked);
            alternatives.append(&mut forked);
            if alternatives.len() > ALTERNATIVES_MAX {
                return self.refuse(
                    entry.key.span,
                    format!("$or multiplies out to more than {ALTERNATIVES_MAX} combinations"),
                );
            }
        }
        Ok(())
    }

    fn operators(&mut self, elements: &[Node], span: Span) -> Parsed<Vec<Operator>> {
        if elements.is_empty() {
            return self.refuse(span, "Empty arrays are not allowed");
        }
        let operators: Vec<Parsed<Operator>> = elements.iter().map(|element| self.operator(element)).collect();
        operators.into_iter().collect()
    }

    fn operator(&mut self, node: &Node) -> Parsed<Operator> {
        match &node.kind {
            Kind::String(text) => {
                Ok(parse_address(text).map_or_else(|| Operator::Equals(text.clone()), Operator::EqualsAddress))
            }
            Kind::Number(text) => {
                let value = ComparableNumber::parse(text);
                Ok(Operator::EqualsNumber(NumberOperand { text: text.clone(), value }))
            }
            Kind::Bool(true) => Ok(Operator::EqualsLiteral(Literal::True)),
            Kind::Bool(false) => Ok(Operator::EqualsLiteral(Literal::False)),
            Kind::Null => Ok(Operator::EqualsLiteral(Literal::Null)),
            Kind::Array(_) => self.refuse(node.span, "Match value must be String, number, true, false, or null"),
            Kind::Object(entries) => {
                let entry = self.only_entry(entries, node.span, "Match expression name not found")?;
                self.expression(entry)
            }
        }
    }

    fn only_entry<'a>(&mut self, entries: &'a [Entry], span: Span, none: &str) -> Parsed<&'a Entry> {
        match entries {
            [entry] => Ok(entry),
            [] => self.refuse(span, none),
            [_, second, ..] => {
                self.refuse_for(second.key.span, "Only one key allowed in match expression", one_operator_each(entries))
            }
        }
    }

    fn expression(&mut self, entry: &Entry) -> Parsed<Operator> {
        let value = &entry.value;
        match entry.key.as_str() {
            "exactly" => self.text(value, "exact match pattern must be a string").map(Operator::Exactly),
            operator if OF_ONE_TEXT.contains(&operator) && matches!(value.kind, Kind::Array(_)) => {
                let reason = format!("{operator} match pattern must be a string");
                self.refuse_for(value.span, reason, Some(in_list(entry)))
            }
            "prefix" => self.affix(value, "prefix", Operator::Prefix, Operator::PrefixIgnoreCase),
            "suffix" => self.affix(value, "suffix", Operator::Suffix, Operator::SuffixIgnoreCase),
            "equals-ignore-case" => self.ignore_case(value).map(Operator::EqualsIgnoreCase),
            "wildcard" => self.wildcard(value).map(Operator::Wildcard),
            "numeric" => self.numeric(value).map(Operator::Numeric),
            "anything-but" => self.anything_but(value).map(Operator::AnythingBut),
            "cidr" => {
                let text = self.text(value, "cidr match pattern must be a string")?;
                Cidr::parse(&text).map(Operator::Cidr).or_else(|reason| self.refuse(value.span, reason))
            }
            "exists" => match value.kind {
                Kind::Bool(true) => Ok(Operator::Exists),
                Kind::Bool(false) => Ok(Operator::Absent),
                _ => self.refuse(value.span, "exists match pattern must be either true or false."),
            },
            other => self.refuse(entry.key.span, format!("Unrecognized match type {other}")),
        }
    }

    fn text(&mut self, node: &Node, reason: &str) -> Parsed<String> {
        match node.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => self.refuse(node.span, reason),
        }
    }

    fn ignore_case(&mut self, node: &Node) -> Parsed<IgnoreCase> {
        self.text(node, "equals-ignore-case match pattern must be a string").map(IgnoreCase::new)
    }

    fn wildcard(&mut self, node: &Node) -> Parsed<Wildcard> {
        let text = self.text(node, "wildcard match pattern must be a string")?;
        Wildcard::parse(&text).or_else(|reason| self.refuse(node.span, reason))
    }

    /// `"text"`, or `{"equals-ignore-case": "text"}`.
    fn affix(
        &mut self,
        node: &Node,
        name: &str,
        exact: fn(String) -> Operator,
        ignoring_case: fn(IgnoreCase) -> Operator,
    ) -> Parsed<Operator> {
        let Kind::Object(entries) = &node.kind else {
            return self.text(node, &format!("{name} match pattern must be a string")).map(exact);
        };
        let entry = self.only_entry(entries, node.span, &format!("{name} expression name not found"))?;
        match entry.key.as_str() {
            "equals-ignore-case" => self.ignore_case(&entry.value).map(ignoring_case),
            other => self.refuse(entry.key.span, format!("Unsupported {name} pattern: {other}")),
        }
    }

    fn number(&mut self, node: Option<&Node>, end: Span, reason: &str) -> Parsed<ComparableNumber> {
        let Some(Node { span, kind: Kind::Number(text) }) = node else {
            return self.refuse(node.map_or(end, |node| node.span), reason);
        };
        match ComparableNumber::parse(text) {
            Some(number) => Ok(number),
            None => self.refuse(*span, format!("Cannot compare number: {text}")),
        }
    }

    fn numeric(&mut self, node: &Node) -> Parsed<NumericRange> {
        let Kind::Array(terms) = &node.kind else {
            return self.refuse(node.span, "Value of numeric must be an array.");
        };
        let end = Span::new(node.span.end.saturating_sub(1), node.span.end);
        let mut terms = terms.iter();
        let first = terms.next();
        let Some(operator) = first.and_then(Node::as_str) else {
            return self.refuse(first.map_or(end, |node| node.span), "Invalid member in numeric match");
        };
        if !["=", "<", "<=", ">", ">="].contains(&operator) {
            let span = first.map_or(end, |node| node.span);
            return self.refuse(span, format!("Unrecognized numeric range operator: {operator}"));
        }
        let reason = format!("Value of {} must be numeric", if operator == "=" { "equals" } else { operator });
        let number = self.number(terms.next(), end, &reason)?;
        let range = match operator {
            "=" => NumericRange { bottom: Some((number, true)), top: Some((number, true)) },
            "<" | "<=" => NumericRange { bottom: None, top: Some((number, operator == "<=")) },
            _ => {
                NumericRange { bottom: Some((number, operator == ">=")), top: self.range_top(&mut terms, number, end)? }
            }
        };
        match terms.next() {
            Some(extra) => self.refuse(extra.span, "Too many elements in numeric expression"),
            None => Ok(range),
        }
    }

    /// The second half of `[">", 0, "<=", 5]`, if there is one.
    fn range_top<'a>(
        &mut self,
        terms: &mut impl Iterator<Item = &'a Node>,
        bottom: ComparableNumber,
        end: Span,
    ) -> Parsed<Option<(ComparableNumber, bool)>> {
        let Some(term) = terms.next() else { return Ok(None) };
        let operator = match term.as_str() {
            Some(operator @ ("<" | "<=")) => operator,
            Some(other) => return self.refuse(term.span, format!("Bad numeric range operator: {other}")),
            None => return self.refuse(term.span, "Bad value in numeric range"),
        };
        let top = self.number(terms.next(), end, &format!("Value of {operator} must be numeric"))?;
        if bottom >= top {
            return self.refuse(term.span, "Bottom must be less than top");
        }
        Ok(Some((top, operator == "<=")))
    }

    fn anything_but(&mut self, node: &Node) -> Parsed<AnythingBut> {
        if let Kind::Object(entries) = &node.kind {
            let entry = self.only_entry(entries, node.span, "Anything-But expression name not found")?;
            return self.anything_but_operator(entry);
        }
        let values = one_or_many(node);
        if values.is_empty() {
            return self.refuse(node.span, "Empty arrays are not allowed");
        }
        let wrong = |node: &Node| !matches!(node.kind, Kind::String(_) | Kind::Number(_));
        if let Some(wrong) = values.iter().find(|value| wrong(value)) {
            let reason = "Inside anything but list, start|null|boolean is not supported.";
            return self.refuse_for(wrong.span, reason, one_exclusion(values));
        }
        if values.iter().all(|value| value.as_str().is_some()) {
            return Ok(AnythingBut::Strings(
                values.iter().filter_map(|value| value.as_str()).map(str::to_owned).collect(),
            ));
        }
        if let Some(text) = values.iter().find(|value| value.as_str().is_some()) {
            return self.refuse(
                text.span,
                "Inside anything but list, either all values are number or string, mixed type is not supported",
            );
        }
        let numbers: Vec<_> = values.iter().map(|value| self.number(Some(value), value.span, "")).collect();
        numbers.into_iter().collect::<Parsed<_>>().map(AnythingBut::Numbers)
    }

    fn anything_but_operator(&mut self, entry: &Entry) -> Parsed<AnythingBut> {
        let values = one_or_many(&entry.value);
        if values.is_empty() {
            return self.refuse(entry.value.span, "Empty arrays are not allowed");
        }
        match entry.key.as_str() {
            "equals-ignore-case" => self.each(values, Self::ignore_case).map(AnythingBut::EqualsIgnoreCase),
            "wildcard" => self.each(values, Self::wildcard).map(AnythingBut::Wildcard),
            "prefix" => self.each(values, Self::nonempty_affix).map(AnythingBut::Prefix),
            "suffix" => self.each(values, Self::nonempty_affix).map(AnythingBut::Suffix),
            other => self.refuse(entry.key.span, format!("Unsupported anything-but pattern: {other}")),
        }
    }

    fn each<T>(&mut self, nodes: &[Node], read: fn(&mut Self, &Node) -> Parsed<T>) -> Parsed<Vec<T>> {
        let values: Vec<Parsed<T>> = nodes.iter().map(|node| read(self, node)).collect();
        values.into_iter().collect()
    }

    fn nonempty_affix(&mut self, node: &Node) -> Parsed<String> {
        let text = self.text(node, "prefix/suffix match pattern must be a string")?;
        if text.is_empty() {
            return self.refuse(node.span, "Null prefix/suffix not allowed");
        }
        Ok(text)
    }
}

/// Returns the text to write for an operator that is outside a field's list, or that has several texts.
pub(super) fn in_list(entry: &Entry) -> String {
    let operator = entry.key.as_str();
    let operands = match OF_ONE_TEXT.contains(&operator) {
        true => one_or_many(&entry.value),
        false => std::slice::from_ref(&entry.value),
    };
    let each = operands.iter().map(|operand| format!("{{ {operator}: {} }}", yaml::flow(operand)));
    format!("write the operator in the field's list: `[{}]`", each.collect::<Vec<_>>().join(", "))
}

/// Returns the text to write for several operators in one object.
fn one_operator_each(entries: &[Entry]) -> Option<String> {
    let text = |name: &str| entries.iter().find(|entry| entry.key.value == name).and_then(|entry| entry.value.as_str());
    let each: Vec<String> =
        entries.iter().map(|entry| format!("{{ {}: {} }}", entry.key.value, yaml::flow(&entry.value))).collect();
    let any = each.join(", ");
    match (entries.len(), text("prefix"), text("suffix")) {
        (2, Some(prefix), Some(suffix)) => {
            let escape = |text: &str| text.replace('\\', "\\\\").replace('*', "\\*");
            let wildcard = yaml::flow(&Node::string(&format!("{}*{}", escape(prefix), escape(suffix))));
            Some(format!("to require both, write `{{ wildcard: {wildcard} }}`; for either, write `{any}`"))
        }
        _ => Some(format!("write one operator per object, of which any may match: `{any}`")),
    }
}

/// Returns the text to write for a list of exclusions of one kind, if it is one.
fn one_exclusion(values: &[Node]) -> Option<String> {
    let only = |node: &Node| match &node.kind {
        Kind::Object(entries) => match entries.as_slice() {
            [entry] => Some((entry.key.value.clone(), entry.value.clone())),
            _ => None,
        },
        _ => None,
    };
    let exclusions: Vec<(String, Node)> = values.iter().map(only).collect::<Option<_>>()?;
    let (operator, _) = exclusions.first()?;
    if exclusions.iter().any(|(other, _)| other != operator) {
        return Some("exclude one kind: EventBridge cannot combine kinds of exclusion for one field".to_owned());
    }
    let texts = exclusions.iter().flat_map(|(_, value)| one_or_many(value)).map(yaml::flow);
    Some(format!("write `anything-but: {{ {operator}: [{}] }}`", texts.collect::<Vec<_>>().join(", ")))
}

fn one_or_many(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::Array(elements) => elements,
        _ => std::slice::from_ref(node),
    }
}
