//! The config that the answers make, with its comments and tests. Pure.

use jiff::Timestamp;
use trigger_core::expectation::{Actual, actual, written};
use trigger_core::load::Variables;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;
use trigger_core::text::diagnostic::Diagnostic;
use trigger_core::text::json::quote;

use super::answers::{Answers, LaunchType, Start};
use crate::config::FILE_NAME;

/// The file with the schema, beside the config.
pub(super) const SCHEMA_FILE: &str = "ecs-trigger.schema.json";
/// The tests of schedules use the first firing after this time.
const SAMPLE_TIME: i64 = 1_767_225_600;

/// A config that was made.
#[derive(Debug)]
pub(super) struct Made {
    /// The text.
    pub(super) text: String,
    /// The warnings about it.
    pub(super) warnings: Vec<Diagnostic>,
    /// What the user has to change, because it was not known.
    pub(super) to_change: Vec<&'static str>,
    /// The tests whose samples lack something that the command takes from an event.
    pub(super) incomplete_tests: Vec<String>,
}

/// Why the answers make no config: a text, and the errors in it.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) source: Source,
    pub(super) problems: Vec<Diagnostic>,
}

/// Makes the config. Its tests expect what its own sample events start.
///
/// # Errors
/// An answer is not valid: the text that it makes has errors.
pub(super) fn make(answers: &Answers, variables: Variables<'_>) -> Result<Made, Unusable> {
    let load = |text: &str| {
        let source = Source::new(FILE_NAME, text);
        RoutingConfig::parse_with(source.clone(), variables).map_err(|problems| Unusable { source, problems })
    };
    let writer = Writer::new(answers);
    let mut tests = writer.tests(&load(&writer.text(&[]))?);
    let config = load(&writer.text(&tests))?;
    let mut incomplete_tests = Vec::new();
    for (test, of_config) in tests.iter_mut().zip(&config.tests) {
        let started = actual(&config, of_config, "");
        if !matches!(started, Ok(Actual::Launches(_))) {
            incomplete_tests.push(test.name.clone());
        }
        test.expect = started.ok().map(|started| written(None, &started));
    }
    let text = writer.text(&tests);
    let warnings = load(&text)?.warnings;
    Ok(Made { text, warnings, to_change: writer.to_change(), incomplete_tests })
}

/// A test of the config.
struct Test {
    name: String,
    /// The lines of its sample.
    sample: String,
    expect: Option<String>,
}

/// One thing that starts a task, with the names of its route and task.
struct Entry<'a> {
    start: &'a Start,
    route: String,
    task: String,
}

struct Writer<'a> {
    answers: &'a Answers,
    entries: Vec<Entry<'a>>,
}

const TASK_DEFINITION: &str = "my-task";
const CONTAINER: &str = "app";
const SUBNET: &str = "subnet-0a1b2c3d";

impl<'a> Writer<'a> {
    fn new(answers: &'a Answers) -> Self {
        let family = answers.task_definition.as_deref().unwrap_or(TASK_DEFINITION);
        let family = family_of(family);
        let mut entries: Vec<Entry<'_>> = Vec::new();
        for start in &answers.starts {
            let kind = match start {
                Start::Object { .. } => "upload",
                Start::Schedule { .. } => "schedule",
                Start::Message { .. } => "message",
                Start::Depth { .. } => "worker",
            };
            let is_taken = |name: &String| entries.iter().any(|other| other.route == *name);
            let mut names = (1..).map(|n| if n == 1 { kind.to_owned() } else { format!("{kind}-{n}") });
            let route = names.find(|name| !is_taken(name)).unwrap_or_default();
            let task = if answers.starts.len() == 1 { family.clone() } else { format!("{family}-{route}") };
            entries.push(Entry { start, route, task });
        }
        Self { answers, entries }
    }

    /// Returns a comment that marks what the user has to change.
    fn mark(is_placeholder: bool, what: &str) -> String {
        if is_placeholder { format!(" # CHANGE: {what}") } else { String::new() }
    }

    fn needs_network(&self) -> bool {
        let Answers { launch_type, is_awsvpc, subnets, .. } = self.answers;
        *launch_type == LaunchType::Fargate || *is_awsvpc || !subnets.is_empty()
    }

    fn to_change(&self) -> Vec<&'static str> {
        let Answers { task_definition, container, subnets, is_example, .. } = self.answers;
        let unknown = [
            (task_definition.is_none(), "the task definition"),
            (container.is_none(), "the container"),
            (self.needs_network() && subnets.is_empty(), "the subnets"),
            (*is_example, "what starts the tasks"),
        ];
        unknown.into_iter().filter(|(is_unknown, _)| *is_unknown).map(|(_, what)| what).collect()
    }

    fn text(&self, tests: &[Test]) -> String {
        let mut text = format!("# yaml-language-server: $schema={SCHEMA_FILE}\n");
        text += "\
# Which events start which ECS tasks. Written by `ecs-trigger init`. Change it, then run:
#   ecs-trigger validate   to see every error
#   ecs-trigger test       to run the tests at the end of this file
#   ecs-trigger dev        to run it on this machine, without AWS
#   ecs-trigger verify     to check that the account has what this file names
#   ecs-trigger deploy     to create it on AWS
version: 1
";
        text += &self.storage();
        text += &self.defaults();
        text += &self.tasks();
        text += &self.routes();
        text += &self.workers();
        text += &self.queues();
        text += &self::tests(tests);
        text + &self.local()
    }

    fn storage(&self) -> String {
        let explained = "\n# The ledger: an event that is delivered twice starts its tasks once, and a task that fails can start again.\n\
                         # `deploy` creates the bucket, and a table of the same name. No other bucket on AWS may have the name.\n";
        match &self.answers.storage {
            Some(bucket) => format!("{explained}storage: {{ bucket: {} }}\n", scalar(bucket)),
            None => format!("{explained}# storage: {{ bucket: my-company-ecs-trigger }}\n"),
        }
    }

    fn defaults(&self) -> String {
        let Answers { cluster, launch_type, subnets, security_groups, assign_public_ip, .. } = self.answers;
        let cluster = cluster.as_deref().unwrap_or("default");
        let mut text = format!(
            "\n# Where the tasks run. Each task can override it.\ndefaults:\n  cluster: {}\n  launch_type: {}\n",
            scalar(cluster),
            launch_type.as_str()
        );
        if self.needs_network() {
            let mark = Self::mark(subnets.is_empty(), "subnets of your VPC");
            let subnets = if subnets.is_empty() { list([SUBNET]) } else { list(subnets.iter().map(String::as_str)) };
            text += &format!("  network:\n    subnets: {subnets}{mark}\n");
            if security_groups.is_empty() {
                text += "    # security_groups: [sg-0a1b2c3d] # default: the default security group of the VPC\n";
            } else {
                text += &format!("    security_groups: {}\n", list(security_groups.iter().map(String::as_str)));
            }
            text += match assign_public_ip {
                true => "    assign_public_ip: ENABLED\n",
                false => {
                    "    # assign_public_ip: ENABLED # for a task in a public subnet, which cannot pull its image without it\n"
                }
            };
        }
        text
    }

    fn tasks(&self) -> String {
        let Answers { task_definition, container, command, .. } = self.answers;
        let mut text = "\n# What to run: each is a RunTask call, with its own field names.\ntasks:\n".to_owned();
        for (index, entry) in self.entries.iter().enumerate() {
            let definition = task_definition.as_deref().unwrap_or(TASK_DEFINITION);
            let name = container.as_deref().unwrap_or(CONTAINER);
            text += &format!("  {}:\n", scalar(&entry.task));
            let mark = Self::mark(task_definition.is_none(), "the family of your task definition");
            text += &format!("    task_definition: {}{mark}\n", scalar(definition));
            text += "    overrides:\n      container_overrides:\n";
            let mark = Self::mark(container.is_none(), "the container's name in the task definition");
            text += &format!("        - name: {}{mark}\n", scalar(name));
            if index == 0 && !matches!(entry.start, Start::Depth { .. }) {
                text += "          # `{{ ... }}` is filled in from the event, always as one value: docs/templates.md\n";
            }
            if !command.is_empty() {
                text += &format!("          command: {}\n", list(command.iter().map(String::as_str)));
            }
            text += match entry.start {
                Start::Object { .. } => "          environment: { BUCKET: \"{{ bucket }}\", KEY: \"{{ key }}\" }\n",
                Start::Schedule { .. } => "          environment: { SCHEDULED_TIME: \"{{ scheduled.datetime }}\" }\n",
                Start::Message { .. } => "          environment: { MESSAGE: \"{{ body | tojson }}\" }\n",
                Start::Depth { .. } => "",
            };
        }
        text
    }

    fn routes(&self) -> String {
        let mark = Self::mark(self.answers.is_example, "your own");
        let mut text = String::new();
        for Entry { start, route, task } in &self.entries {
            let (comment, source) = match start {
                Start::Object { bucket, prefix } => {
                    let key = match prefix.as_str() {
                        "" => String::new(),
                        prefix => format!(", key: {{ prefix: {} }}", scalar(prefix)),
                    };
                    (
                        "Each object that is created starts a task. EventBridge must be on for the bucket:\n  # \
                         `ecs-trigger verify --enable-eventbridge` turns it on.",
                        format!("    on: {{ s3: {{ bucket: {}{key} }} }}{mark}\n", scalar(bucket)),
                    )
                }
                Start::Schedule { expression, timezone } => {
                    let timezone = match timezone {
                        Some(timezone) => format!("      timezone: {}\n", scalar(timezone)),
                        None => "      # timezone: Europe/Berlin # default: UTC\n".to_owned(),
                    };
                    (
                        "Each firing starts a task. `ecs-trigger schedule next` lists the next ones.",
                        format!("    on:\n      schedule: {}{mark}\n{timezone}", in_block(expression)),
                    )
                }
                Start::Message { queue } => (
                    "Each message starts a task, and is deleted when the task was started.",
                    format!("    on: {{ queue: {} }}{mark}\n", scalar(queue)),
                ),
                Start::Depth { .. } => continue,
            };
            text += &format!("  # {comment}\n  - name: {route}\n{source}    run: {}\n", scalar(task));
        }
        match text.as_str() {
            "" => text,
            _ => format!("\n# Which events start them.\nroutes:\n{text}"),
        }
    }

    fn workers(&self) -> String {
        let mut text = String::new();
        for Entry { start, task, .. } in &self.entries {
            let Start::Depth { queue } = start else { continue };
            text += &format!("  - run: {}\n    queue: {}\n", scalar(task), scalar(queue));
            text += "    scaling:
      max: 10 # bounds the cost
      acceptable_latency: 2m # how long a message may wait
      msg_processing_time: 5s # a first guess; the real time is learned
";
        }
        if !text.is_empty() {
            return format!(
                "\n# Tasks that receive messages themselves, as `worker-shim` does: docs/workers.md. The depth of the queue sets how\n\
                 # many run. `ecs-trigger simulate --worker {}` shows how long messages would wait.\nworkers:\n{text}",
                self.entries[0].task
            );
        }
        if self.answers.is_example {
            return "
# Instead of one task for each message: tasks that receive messages themselves, as `worker-shim` does. The depth of the
# queue sets how many run: docs/workers.md. Such a task has no templates.
# workers:
#   - run: my-worker
#     queue: my-images
#     scaling: { max: 10, acceptable_latency: 2m }
"
            .to_owned();
        }
        String::new()
    }

    fn queues(&self) -> String {
        let created = &self.answers.created_queues;
        let Some(first) = self.answers.starts.iter().find_map(Start::queue) else { return String::new() };
        match created.is_empty() {
            true => format!(
                "\n# If the queue does not exist: `deploy` creates it, and a queue for its dead letters.\n# stack: {{ queues: {{ \
                 {}: {{ queue: create }} }} }}\n",
                scalar(first)
            ),
            false => {
                let text: String =
                    created.iter().map(|name| format!("    {}: {{ queue: create }}\n", scalar(name))).collect();
                format!(
                    "\n# `deploy` creates these queues, and for each a queue for its dead letters.\nstack:\n  queues:\n{text}"
                )
            }
        }
    }

    /// Returns the tests, without what they expect.
    fn tests(&self, config: &RoutingConfig) -> Vec<Test> {
        let mut tests = Vec::new();
        let mut add = |name: String, sample: String| tests.push(Test { name, sample, expect: None });
        let objects = self.entries.iter().filter(|entry| matches!(entry.start, Start::Object { .. })).count();
        for Entry { start, route, .. } in &self.entries {
            match start {
                Start::Object { bucket, prefix } => {
                    let key = format!("{prefix}example");
                    add(format!("{route}: an object starts a task"), object(bucket, &key));
                    let others = ["elsewhere/example", "0/example"];
                    let other = others.into_iter().find(|other| !other.starts_with(prefix.as_str()));
                    if let (Some(other), 1) = (other, objects) {
                        add(format!("{route}: an object elsewhere starts nothing"), object(bucket, other));
                    }
                }
                Start::Schedule { .. } => {
                    let after = Timestamp::from_second(SAMPLE_TIME).unwrap_or_default();
                    let schedule = config.route_on_schedule(route).and_then(|route| route.schedule());
                    let time = schedule.and_then(|schedule| schedule.next_after(after, after)).unwrap_or(after);
                    let sample = format!("    firing: {{ route: {route}, time: {} }}\n", quote(&time.to_string()));
                    add(format!("{route}: a firing starts a task"), sample);
                }
                Start::Message { queue } => {
                    let group = if queue.ends_with(".fifo") { ", group_id: example" } else { "" };
                    let message = format!("queue: {}, body: {{ id: 7 }}{group}", scalar(queue));
                    add(format!("{route}: a message starts a task"), format!("    message: {{ {message} }}\n"));
                }
                Start::Depth { .. } => {}
            }
        }
        tests
    }

    fn local(&self) -> String {
        let Answers { task_definition, container, command, starts, .. } = self.answers;
        let family = family_of(task_definition.as_deref().unwrap_or(TASK_DEFINITION));
        let has_workers = starts.iter().any(|start| matches!(start, Start::Depth { .. }));
        let (entry_point, explained) = match (has_workers, command.is_empty()) {
            (true, _) => ("[worker-shim, --, cat]", "prints each message"),
            (false, false) => ("[echo]", "prints the command"),
            (false, true) => ("[env]", "prints the variables"),
        };
        format!(
            "\n# For `ecs-trigger dev`: what runs instead of the container's image. AWS ignores it.\nlocal:\n  task_definitions:\n    \
             {}:\n      container_definitions:\n        {}:\n          entry_point: {entry_point} # {explained}; put your \
             program here\n",
            scalar(&family),
            scalar(container.as_deref().unwrap_or(CONTAINER))
        )
    }
}

fn object(bucket: &str, key: &str) -> String {
    let (bucket, key) = (scalar(bucket), scalar(key));
    format!(
        "    event:\n      source: aws.s3\n      detail-type: Object Created\n      detail:\n        bucket: {{ name: {bucket} }}\n        \
         object: {{ key: {key}, size: 1, sequencer: \"0A\" }}\n        reason: PutObject\n"
    )
}

fn tests(tests: &[Test]) -> String {
    let mut text = String::new();
    for Test { name, sample, expect } in tests {
        let expect = expect.as_ref().map(|expect| format!("    expect: {expect}\n")).unwrap_or_default();
        text += &format!("  - name: {}\n{sample}{expect}", quote(name));
    }
    match text.as_str() {
        "" => text,
        _ => format!(
            "\n# What sample events start. After a change, `ecs-trigger test --update` writes what they start now.\ntests:\n{text}"
        ),
    }
}

/// Returns the family of a task definition's name, as far as it can be part of a name.
fn family_of(definition: &str) -> String {
    let name = definition.rsplit('/').next().unwrap_or(definition);
    let family = name.split(':').next().unwrap_or(name);
    family.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect()
}

fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", words.into_iter().map(scalar).collect::<Vec<_>>().join(", "))
}

/// Returns a text as YAML, without quotes if YAML can only read it as a text.
fn scalar(text: &str) -> String {
    if is_word(text, "-_./") { text.to_owned() } else { quote(text) }
}

/// Returns the same for a value that has a line of its own.
fn in_block(text: &str) -> String {
    if is_word(text, "-_./()*?,# ") && !text.contains(" #") { text.to_owned() } else { quote(text) }
}

fn is_word(text: &str, others: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str())
}
