//! Compares what the config's `tests` expect with what their sample events would start.

use jiff::Timestamp;

use crate::config::test::{Expect, ExpectLaunch, NO_ROUTE, SampleEvent, SampleMessage, TestConfig};
use crate::environment::RESERVED_PREFIX;
use crate::event::identity::LaunchKey;
use crate::event::{DecodeError, Decoded, Event, Firing, Queue, Record};
use crate::plan::{Plan, PlanError, PlanErrorReason, PlannedLaunch};
use crate::routing::RoutingConfig;
use crate::text::{Kind, Node, Spanned, json};

/// What a sample event would start.
#[derive(Debug, Clone, PartialEq)]
pub enum Actual {
    /// These launches. The copies of one task count as one launch.
    Launches(Vec<ActualLaunch>),
    /// Nothing, because of an error.
    Error {
        /// The error.
        reason: String,
        /// The error without positions in the config, which change with every edited line.
        brief: String,
    },
}

/// A launch that a sample event would make.
#[derive(Debug, Clone, PartialEq)]
pub struct ActualLaunch {
    route: String,
    task: String,
    index: Option<usize>,
    count: u32,
    containers: Vec<ActualContainer>,
}

#[derive(Debug, Clone, PartialEq)]
struct ActualContainer {
    name: String,
    command: Vec<String>,
    environment: Vec<(String, String)>,
}

/// One difference between what a test expects and what the event would start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs, for example `launch 1: command`.
    pub what: String,
    /// The expected value.
    pub expected: String,
    /// The actual value.
    pub actual: String,
}

/// Why a sample is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// The sample cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The sample is the dead letter of a launch, whose request is in the ledger.
    #[error("this is the dead letter of the launch {0}; write its `event` (of a message: `event.body`) instead")]
    Launch(LaunchKey),
    /// The test has no sample, or several.
    #[error("a test needs exactly one of `event`, `message` and `firing`; write one of them")]
    NotOne,
    /// The message's queue is not a valid queue name, ARN or URL.
    #[error("`{0}` is not a valid queue name, ARN or URL; write for example `jobs`")]
    Queue(String),
    /// The firing's time is not a valid time.
    #[error("`{0}` is not a valid time; write for example `2026-01-31T03:00:00Z`")]
    Time(String),
}

/// Returns the path of the file that contains the test's event, if a file does.
pub fn event_file(test: &TestConfig) -> Option<&str> {
    match test.event.as_ref().map(|event| &event.value) {
        Some(SampleEvent::File(path)) => Some(path),
        _ => None,
    }
}

/// Returns what a test's sample would start. `file` is the text of its [`event_file`].
///
/// # Errors
/// The sample is not an event.
pub fn actual(config: &RoutingConfig, test: &TestConfig, file: &str) -> Result<Actual, SampleError> {
    let mut launches = Vec::new();
    for event in events(config, test, file)? {
        match Plan::new(config, &event) {
            Ok(plan) if plan.refused.is_empty() => {
                plan.launches.iter().for_each(|planned| add(&mut launches, planned));
            }
            Ok(Plan { refused: errors, .. }) | Err(errors) => {
                let reasons: Vec<String> = errors.iter().map(ToString::to_string).collect();
                let briefs: Vec<String> = errors.iter().map(without_place).collect();
                return Ok(Actual::Error { reason: reasons.join("; "), brief: briefs.join("; ") });
            }
        }
    }
    Ok(Actual::Launches(launches))
}

fn without_place(error: &PlanError) -> String {
    match error {
        PlanError::Route { reason: PlanErrorReason::Render(render), .. } => render.message.clone(),
        other => other.to_string(),
    }
}

fn events(config: &RoutingConfig, test: &TestConfig, file: &str) -> Result<Vec<Event>, SampleError> {
    match (&test.event, &test.message, &test.firing) {
        (Some(event), None, None) => {
            let text = match &event.value {
                SampleEvent::File(_) => file.to_owned(),
                SampleEvent::Inline(event) => json::write(&completed(event)),
            };
            let contents = config.open(&text).content?.contents().into_iter();
            let events = contents.map(|(_, content)| events_of(content?)).collect::<Result<Vec<_>, _>>()?;
            Ok(events.concat())
        }
        (None, Some(message), None) => events_of(record(message)?.open().content?),
        (None, None, Some(firing)) => {
            let time = firing.time.parse::<Timestamp>().map_err(|_| SampleError::Time(firing.time.value.clone()))?;
            Ok(vec![Firing::local(&firing.route, time).into_event()])
        }
        _ => Err(SampleError::NotOne),
    }
}

fn events_of(content: Decoded) -> Result<Vec<Event>, SampleError> {
    match content {
        Decoded::Events(events) => Ok(events),
        Decoded::Ignored(_) => Ok(Vec::new()),
        Decoded::Redrive(redriven) => Err(SampleError::Launch(redriven.launch)),
    }
}

/// Adds the fields that every EventBridge event has, where they are missing. Returns any other delivery unchanged.
fn completed(event: &Node) -> Node {
    let Kind::Object(entries) = &event.kind else { return event.clone() };
    if event.get("source").is_none() && event.get("detail-type").is_none() {
        return event.clone();
    }
    let usual = [
        ("version", Node::string("0")),
        ("id", Node::string("test")),
        ("source", Node::string("test")),
        ("detail-type", Node::string("test")),
        ("account", Node::string("000000000000")),
        ("time", Node::string("2026-01-01T00:00:00Z")),
        ("region", Node::string("us-east-1")),
        ("resources", Node::array([])),
        ("detail", Node::object([])),
    ];
    let missing = usual.into_iter().filter(|(key, _)| event.get(key).is_none());
    Node::object(entries.iter().map(|entry| (entry.key.as_str(), entry.value.clone())).chain(missing))
}

fn record(message: &SampleMessage) -> Result<Record, SampleError> {
    let queue = Queue::parse(&message.queue).ok_or_else(|| SampleError::Queue(message.queue.value.clone()))?;
    let text = |pairs: &crate::text::values::Mapping<crate::text::values::Text>| {
        pairs.0.iter().map(|(name, value)| (name.value.clone(), value.0.clone())).collect()
    };
    Ok(Record {
        message_id: "test".to_owned(),
        queue,
        body: match &message.body.0.kind {
            Kind::String(text) => text.clone(),
            _ => json::write(&message.body.0),
        },
        attributes: message.group_id.iter().map(|group| ("MessageGroupId".to_owned(), group.clone())).collect(),
        message_attributes: message.message_attributes.as_ref().map(text).unwrap_or_default(),
        unreadable: None,
    })
}

/// Adds a planned launch: to the last launch if both are copies of one task, otherwise as a new one.
fn add(launches: &mut Vec<ActualLaunch>, planned: &PlannedLaunch) {
    if let Some(last) = launches.last_mut()
        && (&last.route, &last.task, last.index) == (&planned.route, &planned.task, planned.index)
        && planned.copy > 0
    {
        last.count += 1;
        return;
    }
    let containers = planned.request.overrides.container_overrides.iter().map(|container| ActualContainer {
        name: container.name.clone(),
        command: container.command.clone(),
        environment: container.environment.iter().map(|one| (one.name.clone(), one.value.clone())).collect(),
    });
    launches.push(ActualLaunch {
        route: planned.route.clone(),
        task: planned.task.clone(),
        index: planned.index,
        count: 1,
        containers: containers.collect(),
    });
}

/// Returns every difference from what is expected.
pub fn differences(expect: &Expect, actual: &Actual) -> Vec<Difference> {
    let whole = |expected: String, actual: String| vec![Difference { what: "the event".into(), expected, actual }];
    match (expect, actual) {
        (Expect::Error(part), Actual::Error { reason, brief }) if reason.contains(part) || brief.contains(part) => {
            Vec::new()
        }
        (expect, Actual::Error { reason, .. }) => whole(brief(expect), format!("an error: {}", quoted(reason))),
        (Expect::NoRoute, Actual::Launches(launches)) if launches.is_empty() => Vec::new(),
        (Expect::Launches(expected), Actual::Launches(launches)) if expected.len() == launches.len() => {
            let pairs = expected.iter().zip(launches).enumerate();
            pairs.flat_map(|(position, (expected, actual))| of_launch(position, expected, actual)).collect()
        }
        (expect, Actual::Launches(launches)) => whole(brief(expect), routes(launches)),
    }
}

fn brief(expect: &Expect) -> String {
    match expect {
        Expect::NoRoute => NO_ROUTE.to_owned(),
        Expect::NotWritten => "nothing yet".to_owned(),
        Expect::Error(part) => format!("an error that contains {}", quoted(part)),
        Expect::Launches(launches) => match launches.as_slice() {
            [] => "no launch".to_owned(),
            launches => {
                let routes: Vec<&str> =
                    launches.iter().map(|one| one.route.as_ref().map_or("any route", |route| route.as_str())).collect();
                format!("launches by {}", routes.join(", "))
            }
        },
    }
}

fn routes(launches: &[ActualLaunch]) -> String {
    match launches {
        [] => NO_ROUTE.to_owned(),
        launches => {
            let launches: Vec<String> =
                launches.iter().map(|launch| format!("{}/{}", launch.route, launch.task)).collect();
            format!("launches by {}", launches.join(", "))
        }
    }
}

fn of_launch(position: usize, expected: &ExpectLaunch, actual: &ActualLaunch) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, expected: Option<String>, actual: String| {
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            differences.push(Difference { what: format!("launch {}: {what}", position + 1), expected, actual });
        }
    };
    let name = |name: &Option<Spanned<String>>| name.as_ref().map(|name| name.value.clone());
    compare("route", name(&expected.route), actual.route.clone());
    compare("task", name(&expected.task), actual.task.clone());
    compare("count", expected.count.map(|count| count.to_string()), actual.count.to_string());
    let container = match &expected.container {
        Some(name) => actual.containers.iter().find(|container| container.name == *name),
        None => actual.containers.first(),
    };
    if container.is_none() {
        compare("container", expected.container.clone(), "no container of this name".to_owned());
    }
    let command = expected.command.as_ref().map(|words| list(words.iter().map(|word| word.0.as_str())));
    compare("command", command, list(container.iter().flat_map(|container| &container.command).map(String::as_str)));
    for (name, value) in expected.environment.iter().flat_map(|environment| &environment.0) {
        let held = container.iter().flat_map(|container| &container.environment).find(|(held, _)| *held == name.value);
        let held = held.map_or_else(|| "not set".to_owned(), |(_, value)| quoted(value));
        compare(&format!("environment: {}", name.value), Some(quoted(&value.0)), held);
    }
    differences
}

/// Returns what the event starts, written as an `expect`: with the keys of `expect`, or with all keys.
pub fn written(expect: Option<&Expect>, actual: &Actual) -> String {
    match actual {
        Actual::Error { brief, .. } => format!("{{ error: {} }}", quoted(brief)),
        Actual::Launches(launches) => match launches.as_slice() {
            [] => NO_ROUTE.to_owned(),
            launches => {
                let expected = match expect {
                    Some(Expect::Launches(expected)) if expected.len() == launches.len() => expected.as_slice(),
                    _ => &[],
                };
                let launches: Vec<String> =
                    launches.iter().enumerate().map(|(at, launch)| launch.written(expected.get(at))).collect();
                match launches.as_slice() {
                    [only] => only.clone(),
                    all => format!("[{}]", all.join(", ")),
                }
            }
        },
    }
}

impl ActualLaunch {
    fn written(&self, like: Option<&ExpectLaunch>) -> String {
        let mut fields = Vec::new();
        let wanted = |has: fn(&ExpectLaunch) -> bool, otherwise: bool| like.map_or(otherwise, has);
        if wanted(|like| like.route.is_some(), true) {
            fields.push(format!("route: {}", plain(&self.route)));
        }
        if wanted(|like| like.task.is_some(), true) {
            fields.push(format!("task: {}", plain(&self.task)));
        }
        if wanted(|like| like.count.is_some(), self.count > 1) {
            fields.push(format!("count: {}", self.count));
        }
        let name = like.and_then(|like| like.container.as_ref());
        fields.extend(name.map(|name| format!("container: {}", plain(name))));
        let container = match name {
            Some(name) => self.containers.iter().find(|container| container.name == *name),
            None => self.containers.first(),
        };
        let Some(container) = container else { return format!("{{ {} }}", fields.join(", ")) };
        if wanted(|like| like.command.is_some(), !container.command.is_empty()) {
            fields.push(format!("command: {}", list(container.command.iter().map(String::as_str))));
        }
        let expected = like.and_then(|like| like.environment.as_ref());
        let asked = |name: &str| match (like, expected) {
            (None, _) => !name.starts_with(RESERVED_PREFIX),
            (Some(_), expected) => expected.is_some_and(|expected| expected.get(name).is_some()),
        };
        let environment: Vec<String> = container
            .environment
            .iter()
            .filter(|(name, _)| asked(name))
            .map(|(name, value)| format!("{}: {}", plain(name), plain(value)))
            .collect();
        if !environment.is_empty() {
            fields.push(format!("environment: {{ {} }}", environment.join(", ")));
        }
        format!("{{ {} }}", fields.join(", "))
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", words.map(plain).collect::<Vec<_>>().join(", "))
}

/// Returns a text in quotes. `${env:` is escaped, so the config does not read it as an environment variable.
fn quoted(text: &str) -> String {
    json::quote(&text.replace("${env:", "$${env:"))
}

/// Returns a text as YAML, without quotes if YAML can only read it as a text.
fn plain(text: &str) -> String {
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if is_word { text.to_owned() } else { quoted(text) }
}

#[cfg(test)]
mod tests;
