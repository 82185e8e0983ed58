//! Conversion of AWS Copilot's manifests of jobs and workers.
//!
//! Sources: <https://aws.github.io/copilot-cli/docs/manifest/scheduled-job/>,
//! <https://aws.github.io/copilot-cli/docs/manifest/worker-service/>. How Copilot reads schedules and starts tasks is
//! in its templates and in `internal/pkg/deploy/cloudformation/stack/scheduled_job.go`.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Names that the manifest does not contain.
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

/// The config made from a manifest, and notes about what it does not cover.
#[derive(Debug)]
pub(super) struct Imported {
    pub(super) config: Value,
    pub(super) notes: Vec<Note>,
}

/// A note about a manifest key that has no counterpart or another meaning, or about a value that the user must supply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) key: String,
    pub(super) text: String,
}

/// A longer name of the config's `stack` is cut, and a hash appended.
const STACK_NAME_CHARACTERS_MAX: usize = 40;
/// A longer bucket name is cut, and a hash appended.
const BUCKET_CHARACTERS_MAX: usize = 63;
/// The maximum of `attempts` in `retry`. More retries in the manifest are reduced to it.
const ATTEMPTS_MAX: u64 = 20;
/// The smallest ephemeral storage, in GiB, that an override accepts. A smaller size is within Fargate's default.
const EPHEMERAL_GIB_MIN: u64 = 21;

/// Converts a manifest to a config.
///
/// # Errors
/// The manifest has no name, its type is neither a Scheduled Job nor a Worker Service, or its schedule or its
/// `count.range` cannot be converted.
pub(super) fn import(manifest: &Value, names: &Names) -> Result<Imported, String> {
    let manifest = merged(manifest, &manifest["environments"][&names.env]);
    let manifest = interpolated(&manifest, names);
    let name = manifest["name"].as_str().ok_or("the manifest has no `name`")?.to_owned();
    let mut importer = Importer { manifest: &manifest, names, name, notes: Vec::new() };
    let config = match manifest["type"].as_str() {
        Some("Scheduled Job") => importer.scheduled_job()?,
        Some("Worker Service") => importer.worker_service()?,
        other => {
            let found = other.unwrap_or("nothing");
            return Err(format!(
                "the manifest's type is `{found}`; only a `Scheduled Job` or a `Worker Service` can be converted"
            ));
        }
    };
    importer.of_task_definition();
    Ok(Imported { config, notes: importer.notes })
}

struct Importer<'a> {
    manifest: &'a Value,
    names: &'a Names,
    name: String,
    notes: Vec<Note>,
}

impl Importer<'_> {
    fn note(&mut self, key: &str, text: impl Into<String>) {
        self.notes.push(Note { key: key.to_owned(), text: text.into() });
    }

    /// Returns a name that CloudFormation generated: the given one, or a variable, with a note on how to find its
    /// value.
    fn made_up(&mut self, given: Option<&String>, variable: &str, key: &str, find: &str) -> String {
        if let Some(given) = given {
            return given.clone();
        }
        self.note(key, format!("set {variable} to the value in Copilot's stack; to find it, run: {find}"));
        format!("${{env:{variable}}}")
    }

    fn stack(&self) -> String {
        format!("{}-{}-{}", self.names.app, self.names.env, self.name)
    }

    /// Returns the name for the config's own stack: the name of Copilot's stack, shortened if it is too long.
    fn own_stack(&self) -> String {
        shortened(&self.stack(), STACK_NAME_CHARACTERS_MAX)
    }

    fn cluster(&mut self) -> String {
        let find = format!(
            "aws cloudformation list-exports --query \"Exports[?Name=='{}-{}-ClusterId'].Value\"",
            self.names.app, self.names.env
        );
        let given = self.names.cluster.clone();
        self.made_up(given.as_ref(), "CLUSTER", "cluster", &find)
    }

    fn scheduled_job(&mut self) -> Result<Value, String> {
        let cluster = self.cluster();
        let mut container = json!({ "name": self.name });
        if let Some(command) = self.command() {
            container["command"] = command;
        }
        let environment = self.variables();
        if !environment.is_empty() {
            container["environment"] = environment.into();
        }
        let mut overrides = json!({});
        for key in ["cpu", "memory"] {
            if !self.manifest[key].is_null() {
                overrides[key] = self.manifest[key].clone();
            }
        }
        if let Some(gib) = self.manifest["storage"]["ephemeral"].as_u64() {
            match gib >= EPHEMERAL_GIB_MIN {
                true => overrides["ephemeral_storage"] = json!({ "size_in_gib": gib }),
                false => self.note("storage.ephemeral", "left out: 20 GiB are Fargate's default"),
            }
        }
        overrides["container_overrides"] = json!([container]);
        let mut task = json!({
            "cluster": cluster,
            "task_definition": self.stack(),
            "launch_type": "FARGATE",
            "network": self.network(),
            "propagate_tags": "TASK_DEFINITION",
        });
        self.note(
            "task_definition",
            format!(
                "{} is the latest that Copilot registered; keep it, or define it with infra/platform/task-batch.yaml",
                self.stack()
            ),
        );
        let mut needs_ledger = false;
        if let Some(timeout) = self.manifest["timeout"].as_str() {
            task["timeout"] = timeout.into();
            needs_ledger = true;
            if self.manifest["retries"].as_u64().unwrap_or(0) > 0 {
                self.note("timeout", "Copilot's timeout is for all attempts together, ecs-trigger's for each attempt");
            }
        }
        if let Some(retries) = self.manifest["retries"].as_u64().filter(|retries| *retries > 0) {
            let attempts = (retries + 1).min(ATTEMPTS_MAX);
            if retries + 1 > ATTEMPTS_MAX {
                self.note("retries", format!("reduced: ecs-trigger starts a task at most {ATTEMPTS_MAX} times"));
            }
            task["retry"] = json!({ "attempts": attempts, "on": "any", "backoff": "10s" });
            needs_ledger = true;
        }
        task["overrides"] = overrides;
        let mut config = json!({ "version": 1 });
        if needs_ledger {
            config["storage"] = json!({ "bucket": shortened(&format!("{}-ecs-trigger", self.stack()).to_lowercase(), BUCKET_CHARACTERS_MAX) });
            self.note(
                "storage",
                "timeout and retries need a ledger; `deploy` creates this bucket for it, so its name must be free",
            );
        }
        let (expression, is_enabled) = schedule(self.manifest["on"]["schedule"].as_str().unwrap_or_default())?;
        let mut on = json!({ "schedule": expression });
        if !is_enabled {
            on["state"] = "disabled".into();
        }
        config["tasks"] = json!({ self.name.clone(): task });
        config["routes"] = json!([{ "name": self.name, "on": on, "run": self.name }]);
        config["stack"] = json!({ "name": self.own_stack() });
        if !self.manifest["count"].is_null() {
            self.note("count", "left out, as Copilot ignores it for jobs; the task's `count` starts several at once");
        }
        Ok(config)
    }

    fn worker_service(&mut self) -> Result<Value, String> {
        let cluster = self.cluster();
        let resources = format!("aws cloudformation describe-stack-resources --stack-name {}", self.stack());
        let (service, queue) = (self.names.service.clone(), self.names.queue.clone());
        let find = format!("{resources} --logical-resource-id Service");
        let service = self.made_up(service.as_ref(), "SERVICE", "service", &find);
        let find = format!("{resources} --logical-resource-id EventsQueue");
        let queue = self.made_up(queue.as_ref(), "QUEUE", "subscribe.queue", &find);
        let scaling = self.scaling()?;
        self.note(
            "count",
            "before ecs-trigger scales the service, remove Copilot's scaling: aws application-autoscaling \
             deregister-scalable-target --service-namespace ecs --scalable-dimension ecs:service:DesiredCount \
             --resource-id service/CLUSTER/SERVICE",
        );
        let topics = self.manifest["subscribe"]["topics"].as_array().cloned().unwrap_or_default();
        if !topics.is_empty() {
            self.note("subscribe.topics", "the queue's subscriptions and their filters stay as they are");
        }
        if topics.is_empty() && !self.manifest["subscribe"]["queue"].is_null() {
            self.note(
                "subscribe.queue",
                "Copilot ignores it without topics: the queue has the default settings and no dead-letter queue",
            );
        }
        if topics.iter().any(|topic| !topic["queue"].is_null() && topic["queue"] != false) {
            self.note(
                "subscribe.topics.queue",
                "the topic has a queue of its own: add it to `queue`, which accepts a list, and let the worker read it",
            );
        }
        for key in ["retention", "delay", "timeout", "dead_letter", "fifo"] {
            if !self.manifest["subscribe"]["queue"][key].is_null() {
                self.note(&format!("subscribe.queue.{key}"), "stays as it is on the queue");
            }
        }
        let fixed = ["command", "variables", "cpu", "memory"];
        for key in fixed.into_iter().filter(|key| !self.manifest[*key].is_null()) {
            self.note(key, "stays in the service's task definition");
        }
        self.note("code", "a worker must protect itself from scale-in while it has a message, as worker-shim does");
        Ok(json!({
            "version": 1,
            "workers": [{ "name": self.name, "service": service, "cluster": cluster, "queue": queue, "scaling": scaling }],
            "stack": { "name": self.own_stack() },
        }))
    }

    fn scaling(&mut self) -> Result<Value, String> {
        let count = &self.manifest["count"];
        if let Some(fixed) = count.as_u64().or_else(|| count.is_null().then_some(1)) {
            self.note("count", format!("fixed at {fixed}; raise `max` to let the queue decide"));
            return Ok(json!({ "min": fixed, "max": fixed.max(1), "acceptable_latency": "1m" }));
        }
        if let Some(spot) = count["spot"].as_u64() {
            self.note(
                "count.spot",
                "stays in the service's capacity provider strategy (FARGATE_SPOT), which does not affect scaling",
            );
            return Ok(json!({ "min": spot, "max": spot.max(1), "acceptable_latency": "1m" }));
        }
        let range = &count["range"];
        let (min, max) = match range.as_str() {
            Some(text) => {
                let (min, max) =
                    text.split_once('-').ok_or_else(|| format!("`count.range` is `{text}`; write MIN-MAX"))?;
                (min.trim().parse::<u64>().ok(), max.trim().parse::<u64>().ok())
            }
            None => (range["min"].as_u64(), range["max"].as_u64()),
        };
        let (min, max) = min.zip(max).ok_or("`count.range` has no `min` and `max`; write both as whole numbers")?;
        if !range["spot_from"].is_null() {
            self.note("count.range.spot_from", "stays in the service's capacity provider strategy");
        }
        let mut scaling = json!({ "min": min, "max": max.max(1) });
        let delay = &count["queue_delay"];
        for key in ["acceptable_latency", "msg_processing_time"] {
            if let Some(duration) = delay[key].as_str() {
                scaling[key] = duration.into();
            }
        }
        if delay["acceptable_latency"].is_null() {
            self.note("count.queue_delay", "has no `acceptable_latency`, so the config lets messages wait one minute");
            scaling["acceptable_latency"] = "1m".into();
        }
        if !delay["cooldown"].is_null() || !count["cooldown"].is_null() {
            self.note(
                "count.cooldown",
                "has no counterpart; `scale_in_hold` sets how long fewer workers must be enough before a scale-in",
            );
        }
        for key in ["cpu_percentage", "memory_percentage"] {
            if !count[key].is_null() {
                self.note(
                    &format!("count.{key}"),
                    "has no counterpart, as workers scale by their queue; infra/platform/service-web.yaml scales by it",
                );
            }
        }
        Ok(scaling)
    }

    fn command(&mut self) -> Option<Value> {
        match &self.manifest["command"] {
            Value::Null => None,
            Value::String(text) => {
                if text.contains(['"', '\'', '\\']) {
                    self.note("command", "was split at spaces regardless of quotes; write it as a list of words");
                }
                Some(text.split_whitespace().map(fixed).collect())
            }
            words => Some(words.as_array().into_iter().flatten().filter_map(Value::as_str).map(fixed).collect()),
        }
    }

    fn variables(&mut self) -> Map<String, Value> {
        let mut variables = Map::new();
        for (name, value) in self.manifest["variables"].as_object().into_iter().flatten() {
            match value {
                Value::Object(_) => {
                    self.note(
                        &format!("variables.{name}"),
                        "stays in the task definition, because its value is a CloudFormation export",
                    );
                }
                Value::String(text) => drop(variables.insert(name.clone(), fixed(text))),
                other => drop(variables.insert(name.clone(), fixed(&other.to_string()))),
            }
        }
        variables
    }

    fn network(&mut self) -> Value {
        let vpc = &self.manifest["network"]["vpc"];
        let of_manifest = |list: &Value| -> Vec<String> {
            list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let placement = &vpc["placement"];
        let is_private = placement == "private";
        if placement["subnets"].is_object() {
            self.note("network.vpc.placement.subnets", "Copilot finds them by tags; name them with --subnets");
        }
        let kind = if is_private { "Private" } else { "Public" };
        let (app, env) = (self.names.app.clone(), self.names.env.clone());
        let find =
            format!("aws cloudformation list-exports --query \"Exports[?Name=='{app}-{env}-{kind}Subnets'].Value\"");
        let mut subnets = [self.names.subnets.clone(), of_manifest(&placement["subnets"])].concat();
        if subnets.is_empty() {
            subnets = vec![self.made_up(None, "SUBNET", "network.vpc.placement", &find)];
        }
        let of_groups =
            if vpc["security_groups"].is_array() { &vpc["security_groups"] } else { &vpc["security_groups"]["groups"] };
        let mut groups = [self.names.security_groups.clone(), of_manifest(of_groups)].concat();
        if self.names.security_groups.is_empty() {
            let find = find.replace(&format!("{kind}Subnets"), "EnvironmentSecurityGroup");
            groups.push(self.made_up(None, "SECURITY_GROUP", "network.vpc.security_groups", &find));
        }
        let address = if is_private { "DISABLED" } else { "ENABLED" };
        json!({ "subnets": subnets, "security_groups": groups, "assign_public_ip": address })
    }

    /// Notes the keys whose settings stay in the task definition or in other resources of Copilot's.
    fn of_task_definition(&mut self) {
        const STAYS: &str = "stays in the task definition";
        let keys = [
            ("image", "build and push the image yourself from now on; its name stays in the task definition"),
            ("secrets", "stay in the task definition: RunTask cannot override them"),
            ("env_file", STAYS),
            ("entrypoint", STAYS),
            ("platform", STAYS),
            ("sidecars", STAYS),
            ("logging", STAYS),
            ("taskdef_overrides", STAYS),
            ("publish", "the topics stay; COPILOT_SNS_TOPIC_ARNS stays in the task definition"),
            ("exec", "for a job, set `enable_execute_command: true` on the task; a service keeps its own setting"),
            ("deployment", "stays with the service"),
            ("observability", "stays in the task definition; `stack.tracing` traces ecs-trigger's functions"),
        ];
        for (key, text) in keys {
            if !self.manifest[key].is_null() {
                self.note(key, text);
            }
        }
        let storage = ["volumes", "readonly_fs"];
        if storage.iter().any(|key| !self.manifest["storage"][key].is_null()) {
            self.note("storage", "volumes stay in the task definition");
        }
    }
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

/// Returns a template that renders to this text, because `{{` has no meaning in a manifest.
fn fixed(text: &str) -> Value {
    match text.contains("{{") || text.contains("{%") {
        true => format!("{{% raw %}}{text}{{% endraw %}}").into(),
        false => text.into(),
    }
}

/// Converts Copilot's schedule to an EventBridge Scheduler expression, and returns whether it is enabled.
fn schedule(text: &str) -> Result<(String, bool), String> {
    let of_clock = |expression: &str| Ok((expression.to_owned(), true));
    match text.trim() {
        "" => Err("the manifest has no `on.schedule`".to_owned()),
        "none" => Ok(("rate(5 minutes)".to_owned(), false)),
        "@hourly" => of_clock("cron(0 * * * ? *)"),
        "@daily" | "@midnight" => of_clock("cron(0 0 * * ? *)"),
        "@weekly" => of_clock("cron(0 0 ? * 1 *)"),
        "@monthly" => of_clock("cron(0 0 1 * ? *)"),
        "@yearly" | "@annually" => of_clock("cron(0 0 1 1 ? *)"),
        text if text.starts_with("rate(") || text.starts_with("cron(") => of_clock(text),
        text => match text.strip_prefix("@every ") {
            Some(every) => rate(every),
            None => cron(text),
        },
    }
}

fn rate(every: &str) -> Result<(String, bool), String> {
    let duration =
        every.trim().parse::<jiff::SignedDuration>().map_err(|error| format!("`@every {every}`: {error}"))?;
    match (duration.as_secs() / 60, duration.as_secs() % 60) {
        (1, 0) => Ok(("rate(1 minute)".to_owned(), true)),
        (minutes, 0) if minutes > 0 => Ok((format!("rate({minutes} minutes)"), true)),
        _ => Err(format!("`@every {every}` is not a whole number of minutes; write for example `@every 5m`")),
    }
}

/// Converts the five fields of Unix cron to EventBridge's six: Sunday is 1 instead of 0, and either the day of month or
/// the day of week is `?`.
fn cron(text: &str) -> Result<(String, bool), String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else {
        return Err(format!(
            "`{text}` is not a valid `on.schedule`; write five cron fields, or for example `@daily`, `@every 1h` or \
             `rate(1 hour)`"
        ));
    };
    let is_any = |field: &str| field == "*" || field == "?";
    let (day, weekday) = match (is_any(day), is_any(weekday)) {
        (_, true) => ((*day).to_owned(), "?".to_owned()),
        (true, false) => ("?".to_owned(), weekdays(weekday)?),
        (false, false) => {
            return Err(format!(
                "`{text}` sets both day of month and day of week, but EventBridge accepts only one; write `*` for the \
                 other"
            ));
        }
    };
    let day = if day == "?" && weekday == "?" { "*".to_owned() } else { day };
    Ok((format!("cron({minute} {hour} {day} {month} {weekday} *)"), true))
}

/// Converts a day-of-week field by adding one to each day's number; the number after `/` is a step and stays.
fn weekdays(field: &str) -> Result<String, String> {
    let day = |day: &str| match day.parse::<u8>() {
        Ok(number @ 0..=6) => Ok((number + 1).to_string()),
        Ok(number) => Err(format!("`{number}` is not a day of the week; write 0 for Sunday to 6 for Saturday")),
        Err(_) => Ok(day.to_owned()),
    };
    let range = |range: &str| -> Result<String, String> {
        let (days, step) = range.split_once('/').map_or((range, None), |(days, step)| (days, Some(step)));
        let days = match days.split_once('-') {
            Some((first, last)) => format!("{}-{}", day(first)?, day(last)?),
            None => day(days)?,
        };
        Ok(step.map_or(days.clone(), |step| format!("{days}/{step}")))
    };
    Ok(field.split(',').map(range).collect::<Result<Vec<_>, _>>()?.join(","))
}

/// Merges an environment's own settings into a manifest: mappings are merged, everything else is replaced.
fn merged(base: &Value, own: &Value) -> Value {
    match (base, own) {
        (Value::Object(base), Value::Object(own)) => {
            let mut all = base.clone();
            for (key, value) in own {
                let value = all.get(key).map_or_else(|| value.clone(), |known| merged(known, value));
                all.insert(key.clone(), value);
            }
            all.into()
        }
        (base, Value::Null) => base.clone(),
        (_, own) => own.clone(),
    }
}

/// Turns `${NAME}` into `${env:NAME}`, and replaces Copilot's two own variables with their values.
fn interpolated(value: &Value, names: &Names) -> Value {
    match value {
        Value::String(text) => {
            let text = text
                .replace("${COPILOT_APPLICATION_NAME}", &names.app)
                .replace("${COPILOT_ENVIRONMENT_NAME}", &names.env)
                .replace("\\${", "\u{0}")
                .replace("${", "${env:")
                .replace('\u{0}', "${");
            text.into()
        }
        Value::Array(elements) => elements.iter().map(|element| interpolated(element, names)).collect(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), interpolated(value, names))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
