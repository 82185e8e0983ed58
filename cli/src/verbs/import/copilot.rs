//! Conversion of AWS Copilot's manifests of jobs and workers.
//!
//! Copilot starts a job's task without any override: command, variables, size and storage are in the task definition.
//! So the config refers to it, and carries only what Copilot keeps elsewhere: the schedule, retries, timeout and network
//! of a job, which are in its state machine, and the scaling of a worker.
//!
//! Sources: <https://aws.github.io/copilot-cli/docs/manifest/scheduled-job/>,
//! <https://aws.github.io/copilot-cli/docs/manifest/worker-service/>, and Copilot's templates `eventrule.yml`,
//! `state-machine-definition.json.yml`, `autoscaling.yml` and `subscribe.yml`.

mod job;
mod keys;
mod manifest;
mod schedule;
mod worker;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use trigger_core::text::diagnostic::Diagnostic;
use trigger_core::text::{Node, Span};

use manifest::{Manifest, Workload};

/// Names that the manifests do not contain.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) app: String,
    pub(super) env: String,
    pub(super) cluster: Option<String>,
    pub(super) service: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) subnets: Vec<String>,
    pub(super) security_groups: Vec<String>,
}

/// The config made from manifests, and notes about what it does not cover.
#[derive(Debug)]
pub(super) struct Imported {
    pub(super) config: Value,
    pub(super) notes: Vec<Note>,
}

/// A note about a manifest key that has no counterpart or another meaning, about a value that the user must supply, or
/// about a step that the user must take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) key: String,
    pub(super) text: String,
    /// The place in the manifest; none if the note is about all manifests.
    pub(super) span: Option<Span>,
}

/// A longer name of the config's `stack` is cut, and a hash appended.
const STACK_NAME_CHARACTERS_MAX: usize = 40;
/// A longer bucket name is cut, and a hash appended.
const BUCKET_CHARACTERS_MAX: usize = 63;

/// Converts manifests to one config.
///
/// # Errors
/// One problem for each manifest that cannot be read or converted, for each name that two of them share, and for each
/// name on the command line that does not fit the manifests.
pub(super) fn import(nodes: &[Node], names: &Names) -> Result<Imported, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut manifests: Vec<Manifest> = Vec::new();
    for node in nodes {
        match Manifest::read(node, names) {
            Ok(manifest) if manifests.iter().any(|other| other.name == manifest.name) => {
                let message = format!("two manifests have the name `{}`", manifest.name);
                let span = manifest.span("name");
                problems.push(Diagnostic::error(span, message).help("import only one of them"));
            }
            Ok(manifest) => manifests.push(manifest),
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(misfit(&manifests, names));
    let mut importer = Importer::new(names);
    for manifest in &manifests {
        let imported = match manifest.workload {
            Workload::Job => importer.job(manifest),
            Workload::Worker => importer.worker(manifest),
        };
        problems.extend(imported.err());
        importer.environment(manifest);
        keys::note(manifest, &mut importer.notes);
    }
    if problems.is_empty() { Ok(importer.finished(&manifests)) } else { Err(problems) }
}

/// Returns a problem if the command line names the resources of one worker, and there is none or more than one.
fn misfit(manifests: &[Manifest], names: &Names) -> Option<Diagnostic> {
    if names.service.is_none() && names.queue.is_none() {
        return None;
    }
    let mut workers = manifests.iter().filter(|manifest| manifest.workload == Workload::Worker);
    let at = match (workers.next(), workers.next()) {
        (Some(_), None) => return None,
        (Some(_), Some(second)) => second,
        (None, _) => manifests.first()?,
    };
    let message = "`--service` and `--queue` name the resources of exactly one Worker Service";
    Some(Diagnostic::error(at.span("type"), message).help("leave them out, and set the variables that the notes name"))
}

struct Importer<'a> {
    names: &'a Names,
    notes: Vec<Note>,
    /// The variables that the config contains, and how to find the value of each.
    variables: BTreeMap<String, String>,
    tasks: Map<String, Value>,
    routes: Vec<Value>,
    workers: Vec<Value>,
    needs_ledger: bool,
    /// Which subnets `--subnets` stands for, once a job needs them.
    subnets_given_for: Option<String>,
    uses_security_groups_given: bool,
}

impl<'a> Importer<'a> {
    fn new(names: &'a Names) -> Self {
        Self {
            names,
            notes: Vec::new(),
            variables: BTreeMap::new(),
            tasks: Map::new(),
            routes: Vec::new(),
            workers: Vec::new(),
            needs_ledger: false,
            subnets_given_for: None,
            uses_security_groups_given: false,
        }
    }

    fn note(&mut self, key: &str, span: Span, text: impl Into<String>) {
        self.notes.push(Note { key: key.to_owned(), text: text.into(), span: Some(span) });
    }

    fn note_on_all(&mut self, key: &str, text: impl Into<String>) {
        self.notes.push(Note { key: key.to_owned(), text: text.into(), span: None });
    }

    /// Returns a reference to a variable of the config, and notes how to find its value. Variables of one name whose
    /// values differ get a number.
    fn variable(&mut self, name: &str, find: &str) -> String {
        let name = upper(name);
        let (mut variable, mut number) = (name.clone(), 1);
        while self.variables.get(&variable).is_some_and(|known| known != find) {
            number += 1;
            variable = format!("{name}_{number}");
        }
        if self.variables.insert(variable.clone(), find.to_owned()).is_none() {
            self.note_on_all(&variable, format!("set this variable; to find its value, run: {find}"));
        }
        format!("${{env:{variable}}}")
    }

    /// Notes the variables that the manifest itself contains in a value of the config.
    fn note_variables_of(&mut self, text: &str) {
        for part in text.split("${env:").skip(1) {
            let name = part.split('}').next().unwrap_or_default();
            if self.variables.insert(name.to_owned(), String::new()).is_none() {
                self.note_on_all(name, "set this variable, as for `copilot`; separate several ids by commas");
            }
        }
    }

    /// Returns the name of the stack and of the task definition that Copilot makes of a manifest.
    fn copilots(&self, manifest: &Manifest) -> String {
        format!("{}-{}-{}", self.names.app, self.names.env, manifest.name)
    }

    fn cluster(&mut self) -> String {
        let find = export(&format!("{}-{}-ClusterId", self.names.app, self.names.env));
        self.names.cluster.clone().unwrap_or_else(|| self.variable("CLUSTER", &find))
    }

    fn environment(&mut self, manifest: &Manifest) {
        let Some(environments) = &manifest.environments else { return };
        if environments.get(&self.names.env).is_none() {
            let text = format!("has no `{}`, so the settings that all environments share apply", self.names.env);
            self.note("environments", environments.span, text);
        }
    }

    /// Returns the config of everything imported, and the notes: first those on all manifests, then by place.
    fn finished(mut self, manifests: &[Manifest]) -> Imported {
        let base = match manifests {
            [manifest] => self.copilots(manifest),
            _ => format!("{}-{}", self.names.app, self.names.env),
        };
        let mut config = json!({ "version": 1 });
        if self.needs_ledger {
            let bucket = shortened(&format!("{base}-ecs-trigger").to_lowercase(), BUCKET_CHARACTERS_MAX);
            config["storage"] = json!({ "bucket": bucket });
            self.note_on_all(
                "storage",
                "timeout and retries need a ledger; `deploy` creates this bucket for it, so its name must be free",
            );
        }
        for (option, is_unused) in [
            ("--subnets", !self.names.subnets.is_empty() && self.subnets_given_for.is_none()),
            ("--security-groups", !self.names.security_groups.is_empty() && !self.uses_security_groups_given),
        ] {
            if is_unused {
                self.note_on_all(option, "not used: no imported job takes these from its environment");
            }
        }
        if !self.tasks.is_empty() {
            config["tasks"] = self.tasks.into();
            config["routes"] = self.routes.into();
        }
        if !self.workers.is_empty() {
            config["workers"] = self.workers.into();
        }
        // Never the name of a stack of Copilot's: a deployment would take it over.
        config["stack"] = json!({ "name": shortened(&format!("{base}-trigger"), STACK_NAME_CHARACTERS_MAX) });
        self.notes.sort_by_key(|note| note.span);
        Imported { config, notes: self.notes }
    }
}

/// Returns a command that prints the value of a CloudFormation export.
fn export(name: &str) -> String {
    // The shell knows the variables of the manifest by their own names.
    let name = name.replace("${env:", "${");
    format!("aws cloudformation list-exports --query \"Exports[?Name=='{name}'].Value\" --output text")
}

/// Returns a command that prints the name, ARN or URL of a stack's resource.
fn resource(stack: &str, logical_id: &str) -> String {
    format!(
        "aws cloudformation describe-stack-resource --stack-name {stack} --logical-resource-id {logical_id} \
         --query StackResourceDetail.PhysicalResourceId --output text"
    )
}

/// Returns the name of an environment variable for this name: `cost-analyzer` becomes `COST_ANALYZER`.
fn upper(name: &str) -> String {
    let upper: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if upper.starts_with(|c: char| c.is_ascii_digit()) { format!("_{upper}") } else { upper }
}

/// Returns the name; if it is longer than `max`, cut and followed by a hash of the whole name, so that different names
/// stay different.
fn shortened(name: &str, max: usize) -> String {
    const HASH: usize = 6;
    if name.len() <= max {
        return name.to_owned();
    }
    let cut: String = name.chars().take(max - HASH - 1).collect();
    format!("{}-{}", cut.trim_end_matches('-'), &format!("{:x}", Sha256::digest(name))[..HASH])
}

#[cfg(test)]
mod tests;
