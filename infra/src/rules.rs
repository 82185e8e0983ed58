//! Adds the EventBridge rules: few, and never two for the same event.
//!
//! The events are divided by source, and those of a source by detail-type, or by bucket for S3's. Each part that a route
//! takes events from has one rule, whose pattern is as wide as its routes together need. However many routes take an event,
//! it is delivered once, and the function matches it against the whole patterns.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trigger_core::event::S3_EVENT_SOURCE;
use trigger_core::event::identity::STARTED_BY_PREFIX;
use trigger_core::pattern::Alternative;
use trigger_core::pattern::lint::RULE_CHARACTERS_MAX;
use trigger_core::pattern::operator::{AnythingBut, Literal, Operator, Scalar};
use trigger_core::routing::{EventSource, RoutingConfig};

use crate::function::{Function, functions};
use crate::names::{identifier, rule_name, rule_of_stack, rules_of_this_stack};
use crate::template::{Template, attribute, reference};

/// EventBridge retries a delivery this many times, and for this many seconds, the maximum of both; then it dead-letters
/// the event.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
const DELIVERY_ATTEMPTS: u32 = 185;
const DELIVERY_AGE_SECONDS: u32 = 86_400;

/// If the routes need more rules than this, each source has only one: in some Regions a bus has at most 100 rules.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>
const RULES_MAX: usize = 90;
/// A list of so few operators stays as it is when a pattern must become shorter.
const SHORT_LIST: usize = 5;
/// A description has at most 512 characters. This many names of routes fit.
const ROUTES_NAMED: usize = 5;

const SOURCE: &str = "source";
const DETAIL_TYPE: &str = "detail-type";
const BUCKET: &str = "detail.bucket.name";

/// An EventBridge rule that sends the events of some routes to the `event-trigger` function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The name, which follows the stack's.
    pub name: String,
    /// The routes that take some of its events, in the order of the files.
    pub routes: Vec<String>,
    /// The pattern. It matches every event that one of the routes takes, and may match others.
    pub event_pattern: Value,
}

/// What an alternative of a route's pattern asks for, by path. It has no wildcard and no `null`, and is wider for that.
#[derive(Debug, Clone)]
struct Wish<'a> {
    /// The route's position and name.
    route: (usize, &'a str),
    fields: Fields,
}

type Fields = BTreeMap<String, Vec<Operator>>;

/// Events that have the same values at the paths that divide them. `None` stands for the values of the wishes that name no
/// text.
struct Part<'a> {
    key: Vec<Option<String>>,
    /// The paths that divide the events.
    paths: Vec<&'static str>,
    wishes: Vec<Wish<'a>>,
}

/// Returns the rules that a config needs. No event matches two of them.
pub fn rules(config: &RoutingConfig) -> Vec<Rule> {
    let of_events = config.routes.iter().enumerate().filter_map(|(position, route)| match &route.on {
        EventSource::Events(pattern) => Some(((position, route.name.as_str()), pattern)),
        EventSource::Schedule(_) | EventSource::Queue(_) => None,
    });
    let wishes: Vec<Wish<'_>> = of_events
        .flat_map(|(route, pattern)| pattern.pattern.alternatives.iter().map(move |one| Wish::new(route, one)))
        .collect();
    let by_source = divided(&Part { key: Vec::new(), paths: Vec::new(), wishes }, SOURCE);
    let finest: Vec<Part<'_>> = by_source
        .iter()
        .flat_map(|part| {
            let is_of_s3 = part.key == [Some(S3_EVENT_SOURCE.to_owned())];
            divided(part, if is_of_s3 { BUCKET } else { DETAIL_TYPE })
        })
        .collect();
    let parts = if finest.len() > RULES_MAX { by_source } else { finest };
    parts.iter().map(|part| part.rule(config.stack.name())).collect()
}

impl<'a> Wish<'a> {
    fn new(route: (usize, &'a str), alternative: &Alternative) -> Self {
        let fields = alternative.fields.iter();
        let wide = fields.filter_map(|field| Some((field.path.clone(), merged(field.operators.iter().map(wide))?)));
        Self { route, fields: wide.collect() }
    }

    /// Returns the texts of which the value at a path must be one, or `None` if others match too.
    fn texts(&self, path: &str) -> Option<Vec<&str>> {
        self.fields.get(path)?.iter().map(text).collect::<Option<Vec<&str>>>()
    }

    fn takes(&self, path: &str, value: &str) -> bool {
        let value = Scalar::String(value.into());
        self.fields.get(path).is_none_or(|operators| operators.iter().any(|operator| operator.matches(&value)))
    }

    fn with(&self, path: &str, operators: Vec<Operator>) -> Self {
        let mut wish = self.clone();
        wish.fields.insert(path.to_owned(), operators);
        wish
    }
}

/// Divides a part by the texts that its wishes name at a path. Each text has a part of its own, unless a wish that names no
/// texts may take it too: these wishes and texts share one part.
fn divided<'a>(part: &Part<'a>, path: &'static str) -> Vec<Part<'a>> {
    let texts: BTreeSet<&str> = part.wishes.iter().filter_map(|wish| wish.texts(path)).flatten().collect();
    let (named, mut others): (Vec<&Wish<'a>>, Vec<&Wish<'a>>) =
        part.wishes.iter().partition(|wish| wish.texts(path).is_some());
    let (shared, own): (Vec<&str>, Vec<&str>) =
        texts.into_iter().partition(|text| others.iter().any(|wish| wish.takes(path, text)));
    let of = |wishes: Vec<Wish<'a>>, value: Option<&str>| Part {
        key: [part.key.clone(), vec![value.map(str::to_owned)]].concat(),
        paths: [part.paths.clone(), vec![path]].concat(),
        wishes,
    };
    let narrowed = |wish: &Wish<'a>, texts: &[&str]| {
        let kept: Vec<Operator> =
            texts.iter().filter(|text| wish.takes(path, text)).map(|&text| Operator::Equals(text.to_owned())).collect();
        (!kept.is_empty()).then(|| wish.with(path, kept))
    };
    let mut parts: Vec<Part<'a>> = own
        .into_iter()
        .map(|text| of(named.iter().filter_map(|wish| narrowed(wish, &[text])).collect(), Some(text)))
        .collect();
    let shared: Vec<Wish<'a>> = named.iter().filter_map(|wish| narrowed(wish, &shared)).collect();
    others.extend(&shared);
    if !others.is_empty() {
        parts.push(of(others.into_iter().cloned().collect(), None));
    }
    parts
}

impl Part<'_> {
    fn rule(&self, stack: &str) -> Rule {
        let routes: BTreeSet<(usize, &str)> = self.wishes.iter().map(|wish| wish.route).collect();
        let routes = routes.into_iter().map(|(_, name)| name.to_owned()).collect();
        let name = rule_name(stack, &self.key);
        Rule { name, routes, event_pattern: self.event_pattern() }
    }

    /// Returns a pattern that EventBridge accepts: exact if it fits, otherwise wider.
    fn event_pattern(&self) -> Value {
        let pattern = self.fitting_pattern();
        // A pattern must not be empty. This one matches every event, as every event has a source.
        if pattern == json!({}) { json!({ SOURCE: [{ "prefix": "" }] }) } else { pattern }
    }

    fn fitting_pattern(&self) -> Value {
        let mut distinct: Vec<&Fields> = Vec::new();
        for wish in &self.wishes {
            if !distinct.contains(&&wish.fields) {
                distinct.push(&wish.fields);
            }
        }
        if let Some(exact) = exact(&distinct).filter(fits) {
            return exact;
        }
        // What divides the events stays as it is, or two rules would match the same event.
        let (divides, mut free): (Fields, Fields) =
            union(&distinct).into_iter().partition(|(path, _)| self.paths.contains(&path.as_str()));
        let whole = |free: Fields| object(&divides.clone().into_iter().chain(free).collect());
        if let Some(fitting) = CHARACTERS_KEPT.iter().map(|kept| whole(shortened(&free, *kept))).find(fits) {
            return fitting;
        }
        while !fits(&whole(free.clone())) {
            let longest = free.iter().max_by_key(|(_, operators)| operators.len()).map(|(path, _)| path.clone());
            let Some(longest) = longest else { break };
            free.remove(&longest);
        }
        whole(free)
    }
}

/// The texts of operators are cut to this many characters, one after the other, until the pattern fits.
const CHARACTERS_KEPT: [usize; 15] = [usize::MAX, 128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1];

/// Returns the text that an operator asks for, if no other matches.
fn text(operator: &Operator) -> Option<&str> {
    match operator {
        Operator::Equals(text) | Operator::Exactly(text) => Some(text),
        _ => None,
    }
}

/// Returns the operator, or a wider one if the rule must not have it.
fn wide(operator: &Operator) -> Operator {
    match operator {
        // A bus has at most 30 rules with wildcards.
        Operator::Wildcard(wildcard) if !wildcard.head().is_empty() => Operator::Prefix(wildcard.head().to_owned()),
        Operator::Wildcard(wildcard) if !wildcard.tail().is_empty() => Operator::Suffix(wildcard.tail().to_owned()),
        Operator::Wildcard(_) | Operator::AnythingBut(AnythingBut::Wildcard(_)) => Operator::Exists,
        // CloudFormation has no null.
        Operator::EqualsLiteral(Literal::Null) => Operator::Exists,
        // JSON's numbers are doubles on the way to EventBridge.
        Operator::EqualsNumber(number) if number.value.is_none() => Operator::Exists,
        known => known.clone(),
    }
}

/// Returns operators of which one matches whenever one of `all` does, or `None` if that is always.
fn merged(all: impl Iterator<Item = Operator>) -> Option<Vec<Operator>> {
    let mut operators: Vec<Operator> = Vec::new();
    for operator in all {
        if !operators.contains(&operator) {
            operators.push(operator);
        }
    }
    let (exists, absent) = (operators.contains(&Operator::Exists), operators.contains(&Operator::Absent));
    match (exists, absent) {
        (true, true) => return None,
        (true, false) => return Some(vec![Operator::Exists]),
        (false, _) => {}
    }
    let is_covered = |operator: &Operator| {
        operators.iter().any(|other| match (other, operator) {
            (Operator::Prefix(short), Operator::Equals(text) | Operator::Exactly(text)) => {
                text.starts_with(short.as_str())
            }
            (Operator::Suffix(short), Operator::Equals(text) | Operator::Exactly(text)) => {
                text.ends_with(short.as_str())
            }
            (Operator::Prefix(short), Operator::Prefix(text)) => text != short && text.starts_with(short.as_str()),
            (Operator::Suffix(short), Operator::Suffix(text)) => text != short && text.ends_with(short.as_str()),
            _ => false,
        })
    };
    Some(operators.iter().filter(|operator| !is_covered(operator)).cloned().collect())
}

/// Returns the pattern that matches what one of the alternatives matches, and nothing else. `None`: there is none.
fn exact(alternatives: &[&Fields]) -> Option<Value> {
    let first = alternatives.first()?;
    let is_common = |path: &String, operators: &Vec<Operator>| {
        alternatives.iter().all(|alternative| alternative.get(path) == Some(operators))
    };
    let common: Fields = first
        .iter()
        .filter(|(path, operators)| is_common(path, operators))
        .map(|(path, of)| (path.clone(), of.clone()))
        .collect();
    let rest = |alternative: &&Fields| -> Fields {
        let own = alternative.iter().filter(|(path, _)| !common.contains_key(*path));
        own.map(|(path, operators)| (path.clone(), operators.clone())).collect()
    };
    let rests: Vec<Fields> = alternatives.iter().map(rest).collect();
    let mut pattern = object(&common);
    if rests.iter().any(Fields::is_empty) {
        return Some(pattern);
    }
    let paths: BTreeSet<&String> = rests.iter().flat_map(Fields::keys).collect();
    if paths.len() == 1 && rests.iter().all(|rest| rest.len() == 1) {
        return Some(object(&union(alternatives)));
    }
    pattern["$or"] = rests.iter().map(object).collect();
    Some(pattern)
}

/// Returns for each path the operators of all alternatives together. A path on which one of them asks nothing is left out.
fn union(alternatives: &[&Fields]) -> Fields {
    let Some((first, others)) = alternatives.split_first() else { return Fields::new() };
    let paths = first.keys().filter(|path| others.iter().all(|other| other.contains_key(*path)));
    let operators = |path: &String| {
        let all = alternatives.iter().filter_map(|alternative| alternative.get(path)).flatten();
        Some((path.clone(), merged(all.cloned())?))
    };
    paths.filter_map(operators).collect()
}

/// Cuts the texts of long lists to so many characters, which makes the pattern shorter and wider.
fn shortened(fields: &Fields, characters: usize) -> Fields {
    let is_long = |text: &str| text.chars().count() > characters;
    let head = |text: &str| text.chars().take(characters).collect::<String>();
    let tail = |text: &str| text.chars().skip(text.chars().count() - characters).collect::<String>();
    let cut = |operator: &Operator| match operator {
        Operator::Equals(text) | Operator::Exactly(text) | Operator::Prefix(text) if is_long(text) => {
            Operator::Prefix(head(text))
        }
        Operator::Suffix(text) if is_long(text) => Operator::Suffix(tail(text)),
        known => known.clone(),
    };
    let of_path = |(path, all): (&String, &Vec<Operator>)| match all.len() <= SHORT_LIST {
        true => Some((path.clone(), all.clone())),
        false => Some((path.clone(), merged(all.iter().map(cut))?)),
    };
    fields.iter().filter_map(of_path).collect()
}

/// Returns the fields as a pattern.
fn object(fields: &Fields) -> Value {
    let mut pattern = json!({});
    let places = [SOURCE, DETAIL_TYPE];
    let first = places.iter().filter_map(|path| fields.get_key_value(*path));
    let others = fields.iter().filter(|(path, _)| !places.contains(&path.as_str()));
    for (path, operators) in first.chain(others) {
        let operators: Value =
            operators.iter().filter_map(|operator| serde_json::from_str::<Value>(&operator.to_string()).ok()).collect();
        insert(&mut pattern, path, operators);
    }
    pattern
}

/// Inserts a field at a path. A field below another field's list has the rest of the path as its name, which means the same
/// to EventBridge.
fn insert(place: &mut Value, path: &str, operators: Value) {
    match path.split_once('.') {
        Some((key, rest)) if place.get(key).is_none_or(Value::is_object) => insert(
            place.as_object_mut().map_or(&mut Value::Null, |object| object.entry(key).or_insert_with(|| json!({}))),
            rest,
            operators,
        ),
        _ => place[path] = operators,
    }
}

fn fits(pattern: &Value) -> bool {
    pattern.to_string().chars().count() <= RULE_CHARACTERS_MAX
}

/// Returns the pattern of the task state changes that `task-lifecycle` receives.
pub(crate) fn stopped_tasks() -> Value {
    json!({
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": { "lastStatus": ["STOPPED"], "startedBy": [{ "prefix": STARTED_BY_PREFIX }] },
    })
}

/// Adds the rules, and the permissions to invoke their functions.
pub(crate) fn add(template: &mut Template, config: &RoutingConfig) {
    let target = |function: Function| {
        json!([{
            "Id": function.name(),
            "Arn": attribute(function.id(), "Arn"),
            "RetryPolicy": { "MaximumRetryAttempts": DELIVERY_ATTEMPTS, "MaximumEventAgeInSeconds": DELIVERY_AGE_SECONDS },
            "DeadLetterConfig": { "Arn": attribute("DeadLetters", "Arn") },
        }])
    };
    let rules = rules(config);
    for rule in &rules {
        template.resource(
            &format!("Rule{}", identifier(&rule.name)),
            "AWS::Events::Rule",
            json!({
                "Name": rule_of_stack(&rule.name),
                "Description": description(&rule.routes),
                "EventPattern": rule.event_pattern,
                "Targets": target(Function::EventTrigger),
            }),
        );
    }
    let has_lifecycle = functions(config).contains(&Function::TaskLifecycle);
    if has_lifecycle {
        template.resource(
            "TasksStopped",
            "AWS::Events::Rule",
            json!({
                "Name": rule_of_stack("tasks-stopped"),
                "Description": "Stopped tasks that ecs-trigger started",
                "EventPattern": stopped_tasks(),
                "Targets": target(Function::TaskLifecycle),
            }),
        );
    }
    let invoked = [(!rules.is_empty(), Function::EventTrigger), (has_lifecycle, Function::TaskLifecycle)];
    for (_, function) in invoked.into_iter().filter(|(is_invoked, _)| *is_invoked) {
        template.resource(
            &format!("{}Invocation", function.id()),
            "AWS::Lambda::Permission",
            json!({
                "FunctionName": reference(function.id()),
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
                "SourceArn": rules_of_this_stack(),
            }),
        );
    }
}

fn description(routes: &[String]) -> String {
    let named = routes.iter().take(ROUTES_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match routes.len().saturating_sub(ROUTES_NAMED) {
        0 => format!("Events of the routes {named}"),
        more => format!("Events of the routes {named} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
