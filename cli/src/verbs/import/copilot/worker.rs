//! A Worker Service as a worker: the service and its queues stay, and the queues decide how many tasks run.

use serde_json::{Value, json};
use trigger_core::text::diagnostic::Diagnostic;
use trigger_core::text::{Kind, Node, Span};

use super::Importer;
use super::manifest::{Manifest, at, duration, whole};
use super::resource;

/// How long messages may wait where the manifest does not say.
const ACCEPTABLE_LATENCY: &str = "1m";

impl Importer<'_> {
    /// Adds the worker of a service.
    ///
    /// # Errors
    /// A setting is not valid.
    pub(super) fn worker(&mut self, manifest: &Manifest) -> Result<(), Diagnostic> {
        let stack = self.copilots(manifest);
        let cluster = self.cluster();
        let service = match self.names.service.clone() {
            Some(service) => service,
            None => self.variable(&format!("{}_SERVICE", manifest.name), &resource(&stack, "Service")),
        };
        let queue = match self.names.queue.clone() {
            Some(queue) => queue,
            None => self.variable(&format!("{}_QUEUE", manifest.name), &resource(&stack, "EventsQueue")),
        };
        let mut queues = vec![queue];
        queues.extend(self.queues_of_topics(manifest, &stack));
        let queue = match queues.as_slice() {
            [queue] => json!(queue),
            queues => json!(queues),
        };
        let scaling = self.scaling(manifest)?;
        let text = "a scale-in can stop a worker that has a message, unless it protects itself, as worker-shim does";
        self.note("task protection", manifest.span("type"), text);
        self.workers.push(json!({
            "name": manifest.name, "service": service, "cluster": cluster, "queue": queue, "scaling": scaling,
        }));
        Ok(())
    }

    /// Returns the queues of topics that do not go to the service's common queue.
    fn queues_of_topics(&mut self, manifest: &Manifest, stack: &str) -> Vec<String> {
        let topics = match manifest.at("subscribe.topics").map(|topics| &topics.kind) {
            Some(Kind::Array(topics)) => topics.as_slice(),
            _ => &[],
        };
        if topics.is_empty() {
            let text = "without topics, only code of yours sends to the service's queue, and Copilot ignores \
                        `subscribe.queue`; if nothing sends to it, remove the worker: the service runs on without \
                        ecs-trigger";
            self.note("subscribe", manifest.span("subscribe"), text);
        }
        let has_own = |topic: &&Node| at(topic, "queue").is_some_and(|queue| queue.kind != Kind::Bool(false));
        let mut queues = Vec::new();
        for topic in topics.iter().filter(has_own) {
            let word = |key: &str| at(topic, key).and_then(Node::as_str).unwrap_or_default();
            let (name, of) = (word("name"), word("service"));
            let alphanumeric = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
            let logical_id = format!("{}{}EventsQueue", alphanumeric(of), alphanumeric(name));
            let variable = format!("{}_{of}_{name}_QUEUE", manifest.name);
            queues.push(self.variable(&variable, &resource(stack, &logical_id)));
        }
        queues
    }

    fn scaling(&mut self, manifest: &Manifest) -> Result<Value, Diagnostic> {
        let Some(count) = manifest.at("count") else { return Ok(self.fixed(1, manifest.span("type"))) };
        if !matches!(count.kind, Kind::Object(_)) {
            return Ok(self.fixed(whole(count, "count")?, count.span));
        }
        let (spot, range) = (at(count, "spot"), at(count, "range"));
        match (spot, range) {
            (Some(spot), Some(_)) => {
                Err(Diagnostic::error(spot.span, "`count.spot` and `count.range` exclude each other")
                    .help("remove one of them"))
            }
            (Some(spot), None) => {
                let fixed = whole(spot, "count.spot")?;
                let text = "Fargate Spot stays in the service's capacity provider strategy; nothing to do";
                self.note("count.spot", spot.span, text);
                Ok(self.fixed(fixed, spot.span))
            }
            (None, Some(range)) => self.ranged(manifest, count, range),
            (None, None) => {
                Err(Diagnostic::error(count.span, "`count` has no `range`").help("write for example `range: 1-10`"))
            }
        }
    }

    /// Returns the scaling of a service whose number of tasks is fixed.
    fn fixed(&mut self, tasks: u64, span: Span) -> Value {
        if tasks == 0 {
            let text = "0: the service is switched off, so the worker is paused; to let its queue start workers, set \
                        `max` and remove `paused`";
            self.note("count", span, text);
            return json!({ "min": 0, "max": 1, "acceptable_latency": ACCEPTABLE_LATENCY, "paused": true });
        }
        let text = format!(
            "fixed at {tasks}, so Copilot does not scale the service, and neither does this worker; raise `max` to let the \
             queue decide, or remove the worker, and the service runs on without ecs-trigger"
        );
        self.note("count", span, text);
        json!({ "min": tasks, "max": tasks, "acceptable_latency": ACCEPTABLE_LATENCY })
    }

    fn ranged(&mut self, manifest: &Manifest, count: &Node, range: &Node) -> Result<Value, Diagnostic> {
        let (min, max) = bounds(range)?;
        if max == 0 {
            return Ok(self.fixed(0, range.span));
        }
        let mut scaling = json!({ "min": min, "max": max });
        for key in ["acceptable_latency", "msg_processing_time"] {
            if let Some(value) = at(count, &format!("queue_delay.{key}")) {
                scaling[key] = duration(value, &format!("count.queue_delay.{key}"))?.into();
            }
        }
        if scaling.get("acceptable_latency").is_none() {
            scaling["acceptable_latency"] = ACCEPTABLE_LATENCY.into();
            let text = "without `queue_delay.acceptable_latency`, the config lets a message wait one minute; choose how \
                        long it may wait";
            self.note("count", count.span, text);
        }
        let text = format!(
            "Copilot scales the service too until you switch it off: set `count` to a number in the manifest and run \
             `copilot svc deploy --name {} --env {}`, or run: aws application-autoscaling deregister-scalable-target \
             --service-namespace ecs --scalable-dimension ecs:service:DesiredCount --resource-id \"$({} | cut -d '|' -f 1)\"",
            manifest.name,
            self.names.env,
            resource(&self.copilots(manifest), "AutoScalingTarget")
        );
        self.note("count.range", range.span, text);
        Ok(scaling)
    }
}

/// Returns the minimum and the maximum of a range.
fn bounds(range: &Node) -> Result<(u64, u64), Diagnostic> {
    let bounds = match (range.as_str(), at(range, "min"), at(range, "max")) {
        (Some(text), ..) => {
            text.split_once('-').and_then(|(min, max)| min.trim().parse().ok().zip(max.trim().parse().ok()))
        }
        (None, Some(min), Some(max)) => Some((whole(min, "count.range.min")?, whole(max, "count.range.max")?)),
        _ => None,
    };
    bounds.ok_or_else(|| {
        Diagnostic::error(range.span, "`count.range` has no minimum and maximum").help("write for example `1-10`")
    })
}
