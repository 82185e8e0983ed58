//! What becomes of each key of a manifest: every key is carried, or stays where it is, or is in a note.

use trigger_core::text::{Kind, Node};

use super::Note;
use super::manifest::{Manifest, Workload};

/// What becomes of a key and of everything below it.
#[derive(Clone, Copy)]
enum Fate {
    /// The config has it, or the importer notes why not.
    Carried,
    /// The task definition has it.
    OfTaskDefinition,
    /// The note says it.
    Noted(&'static str),
}

use Fate::{Carried, Noted, OfTaskDefinition};

/// The keys of both kinds.
const OF_BOTH: &[(&str, Fate)] = &[
    ("name", Carried),
    ("type", Carried),
    ("environments", Carried),
    ("image", OfTaskDefinition),
    ("entrypoint", OfTaskDefinition),
    ("command", OfTaskDefinition),
    ("cpu", OfTaskDefinition),
    ("memory", OfTaskDefinition),
    ("platform", OfTaskDefinition),
    ("variables", OfTaskDefinition),
    ("env_file", OfTaskDefinition),
    ("secrets", OfTaskDefinition),
    ("storage", OfTaskDefinition),
    ("logging", OfTaskDefinition),
    ("sidecars", OfTaskDefinition),
    ("taskdef_overrides", OfTaskDefinition),
    ("publish", Noted("the topics stay in Copilot's stack, and their ARNs in the task definition; nothing to do")),
];

const OF_JOBS: &[(&str, Fate)] = &[
    ("on.schedule", Carried),
    ("retries", Carried),
    ("timeout", Carried),
    ("network.vpc.placement", Carried),
    ("network.vpc.placement.subnets", Carried),
    ("network.vpc.placement.subnets.from_tags", Carried),
    ("network.vpc.security_groups", Carried),
    ("network.vpc.security_groups.groups", Carried),
    ("network.vpc.security_groups.deny_default", Carried),
    ("network.connect", Noted("left out, as Copilot ignores it for jobs; nothing to do")),
    ("count", Noted("left out, as Copilot ignores it for jobs; the task's `count` starts several at once")),
    ("exec", Noted("left out, as Copilot ignores it for jobs; `enable_execute_command: true` on the task enables it")),
];

const OF_WORKERS: &[(&str, Fate)] = &[
    ("count", Carried),
    ("count.spot", Carried),
    ("count.range", Carried),
    ("count.range.min", Carried),
    ("count.range.max", Carried),
    ("count.range.spot_from", Noted("stays in the service's capacity provider strategy; nothing to do")),
    ("count.queue_delay.acceptable_latency", Carried),
    ("count.queue_delay.msg_processing_time", Carried),
    ("count.queue_delay.cooldown", Noted(NO_COOLDOWN)),
    ("count.cooldown", Noted(NO_COOLDOWN)),
    ("count.cpu_percentage", Noted(BY_QUEUE_ALONE)),
    ("count.memory_percentage", Noted(BY_QUEUE_ALONE)),
    ("subscribe.topics", Noted("the queues keep their subscriptions and filters; nothing to do")),
    ("subscribe.queue", Noted("the queue stays as Copilot made it; nothing to do")),
    ("network", Noted("stays with the service; nothing to do")),
    ("exec", Noted("stays with the service; nothing to do")),
    ("deployment", Noted("stays with the service; nothing to do")),
    ("observability", OfTaskDefinition),
];

const NO_COOLDOWN: &str =
    "has no counterpart; `scale_in_hold` sets how long fewer workers must be enough before a scale-in";
const BY_QUEUE_ALONE: &str =
    "has no counterpart, as workers scale by their queue; infra/platform/service-web.yaml scales by it";
const UNKNOWN: &str =
    "is not a key that Copilot reads here, so the config has nothing of it; check its spelling and its place";
const IN_TASK_DEFINITION: &str =
    "in the task definition, which the config refers to and does not override; nothing to do";

/// Adds a note for each key that is neither carried nor in the task definition, and one that names those which are.
pub(super) fn note(manifest: &Manifest, notes: &mut Vec<Note>) {
    let own = match manifest.workload {
        Workload::Job => OF_JOBS,
        Workload::Worker => OF_WORKERS,
    };
    let mut walk = Walk { own, of_task_definition: Vec::new(), notes };
    walk.mapping("", &manifest.settings);
    let kept = walk.of_task_definition.join(", ");
    if !kept.is_empty() {
        notes.push(Note { key: kept, text: IN_TASK_DEFINITION.to_owned(), span: Some(manifest.span("type")) });
    }
}

struct Walk<'a> {
    own: &'static [(&'static str, Fate)],
    of_task_definition: Vec<String>,
    notes: &'a mut Vec<Note>,
}

impl Walk<'_> {
    fn mapping(&mut self, above: &str, mapping: &Node) {
        let Kind::Object(entries) = &mapping.kind else { return };
        for entry in entries.iter().filter(|entry| entry.value.kind != Kind::Null) {
            let path = if above.is_empty() { entry.key.value.clone() } else { format!("{above}.{}", entry.key.value) };
            let below = format!("{path}.");
            let keys = || OF_BOTH.iter().chain(self.own);
            let fate = keys().find(|(key, _)| *key == path).map(|(_, fate)| *fate);
            let descends =
                keys().any(|(key, _)| key.starts_with(&below)) && matches!(entry.value.kind, Kind::Object(_));
            let text = match fate {
                _ if descends => {
                    self.mapping(&path, &entry.value);
                    continue;
                }
                Some(Carried) => continue,
                Some(OfTaskDefinition) => {
                    self.of_task_definition.push(path);
                    continue;
                }
                Some(Noted(text)) => text,
                None => UNKNOWN,
            };
            self.notes.push(Note { key: path, text: text.to_owned(), span: Some(entry.key.span) });
        }
    }
}
