//! A Scheduled Job as a task, and a route that starts it on a schedule.

use serde_json::{Value, json};
use trigger_core::text::diagnostic::Diagnostic;
use trigger_core::text::{Kind, Node};

use super::manifest::{Manifest, at, duration, whole};
use super::{Importer, export, resource, schedule};

/// The maximum of `attempts` in `retry`. More retries in the manifest are reduced to it.
const ATTEMPTS_MAX: u64 = 20;
/// A public IP address is assigned in public subnets only: not in subnets that the manifest names or has found by tags.
const ENABLED: &str = "ENABLED";
const DISABLED: &str = "DISABLED";

impl Importer<'_> {
    /// Adds the task and the route of a job.
    ///
    /// # Errors
    /// A setting is not valid, or EventBridge cannot express the schedule.
    pub(super) fn job(&mut self, manifest: &Manifest) -> Result<(), Diagnostic> {
        let mut task = json!({
            "cluster": self.cluster(),
            "task_definition": self.copilots(manifest),
            "launch_type": "FARGATE",
            "network": self.network(manifest)?,
            "propagate_tags": "TASK_DEFINITION",
        });
        let retries = manifest.at("retries").map_or(Ok(0), |retries| whole(retries, "retries"))?;
        if let Some(timeout) = manifest.at("timeout") {
            task["timeout"] = duration(timeout, "timeout")?.into();
            self.needs_ledger = true;
            if retries > 0 {
                let text = "Copilot's timeout is for all attempts together, ecs-trigger's for each attempt";
                self.note("timeout", timeout.span, text);
            }
        }
        if retries > 0 {
            let attempts = retries.saturating_add(1);
            if attempts > ATTEMPTS_MAX {
                let text = format!("reduced: ecs-trigger starts a task at most {ATTEMPTS_MAX} times");
                self.note("retries", manifest.span("retries"), text);
            }
            task["retry"] = json!({ "attempts": attempts.min(ATTEMPTS_MAX), "on": "any", "backoff": "10s" });
            self.needs_ledger = true;
        }
        if ["sidecars", "logging"].iter().any(|key| manifest.at(key).is_some()) {
            // Without it, the exit code of a sidecar that is stopped with the task would fail the job.
            task["overrides"] = json!({ "container_overrides": [{ "name": manifest.name }] });
        }
        let on = self.schedule(manifest)?;
        self.note_image(manifest);
        self.tasks.insert(manifest.name.clone(), task);
        self.routes.push(json!({ "name": manifest.name, "on": on, "run": manifest.name }));
        Ok(())
    }

    fn note_image(&mut self, manifest: &Manifest) {
        let text = format!(
            "the config starts the latest revision of {}, which names the image; for a new image, register a new \
             revision, with `copilot job deploy` as long as you have it",
            self.copilots(manifest)
        );
        self.note("task_definition", manifest.span("image"), text);
    }

    fn schedule(&mut self, manifest: &Manifest) -> Result<Value, Diagnostic> {
        let Some(node) = manifest.at("on.schedule") else {
            return Err(Diagnostic::error(manifest.span("on"), "the job has no `on.schedule`")
                .help("write the schedule, or `none`"));
        };
        let Some(text) = node.as_str() else {
            return Err(
                Diagnostic::error(node.span, "`on.schedule` is not a string").help("write for example \"@daily\"")
            );
        };
        if text.contains("${env:") {
            let message = "the import cannot convert a schedule that is a variable";
            return Err(Diagnostic::error(node.span, message).help("write the schedule's value"));
        }
        if text.trim() == "none" {
            let of_others = at(&manifest.base, "on.schedule").and_then(Node::as_str);
            let kept = of_others.filter(|text| text.trim() != "none").and_then(|text| schedule::expression(text).ok());
            let text = match &kept {
                Some(expression) => format!(
                    "`none`: Copilot does not start the job in `{}`, so the route is disabled; its schedule is that of \
                     the other environments, {expression}",
                    self.names.env
                ),
                None => format!(
                    "`none`: Copilot does not start the job, so the route is disabled; write a schedule in place of {} \
                     before you enable it",
                    schedule::PLACEHOLDER
                ),
            };
            self.note("on.schedule", node.span, text);
            let expression = kept.unwrap_or_else(|| schedule::PLACEHOLDER.to_owned());
            return Ok(json!({ "schedule": expression, "state": "disabled" }));
        }
        let expression = schedule::expression(text)
            .map_err(|reason| Diagnostic::error(node.span, "the schedule cannot be converted").help(reason))?;
        if let Some(fires) = schedule::of_copilot(text).filter(|fires| *fires != expression) {
            let text = format!(
                "Copilot fires at {fires}, which is not what the manifest says; the config follows the manifest"
            );
            self.note("on.schedule", node.span, text);
        }
        let text = format!(
            "Copilot's rule starts the job too until you switch it off: set `on.schedule` to \"none\" in the manifest and \
             run `copilot job deploy --name {} --env {}`, or run: aws events disable-rule --name \"$({})\"",
            manifest.name,
            self.names.env,
            resource(&self.copilots(manifest), "Rule")
        );
        self.note("on.schedule", node.span, text);
        Ok(json!({ "schedule": expression }))
    }

    fn network(&mut self, manifest: &Manifest) -> Result<Value, Diagnostic> {
        let (subnets, address) = self.subnets(manifest)?;
        let groups = self.security_groups(manifest)?;
        let mut network = json!({ "subnets": subnets });
        if !groups.is_empty() {
            network["security_groups"] = groups.into();
        }
        network["assign_public_ip"] = address.into();
        Ok(network)
    }

    /// Returns the subnets, and whether tasks in them get a public IP address.
    fn subnets(&mut self, manifest: &Manifest) -> Result<(Vec<String>, &'static str), Diagnostic> {
        const PLACEMENT: &str = "network.vpc.placement";
        let placement = manifest.at(PLACEMENT);
        let (variable, find, address) =
            match (placement.and_then(Node::as_str), manifest.at("network.vpc.placement.subnets")) {
                (_, Some(subnets)) if matches!(subnets.kind, Kind::Object(_)) => {
                    let find = by_tags(subnets)?;
                    (format!("{}_SUBNETS", manifest.name), find, DISABLED)
                }
                (_, Some(subnets)) => return Ok((self.ids(subnets)?, DISABLED)),
                (Some("private"), None) => {
                    ("PRIVATE_SUBNETS".to_owned(), self.subnets_of_environment("Private"), DISABLED)
                }
                (Some("public"), None) => ("PUBLIC_SUBNETS".to_owned(), self.subnets_of_environment("Public"), ENABLED),
                (None, None) if placement.is_none() => {
                    ("PUBLIC_SUBNETS".to_owned(), self.subnets_of_environment("Public"), ENABLED)
                }
                _ => {
                    let message = "the placement is neither `public` nor `private`, and names no subnets";
                    return Err(Diagnostic::error(manifest.span(PLACEMENT), message).help("write one of them"));
                }
            };
        if self.names.subnets.is_empty() {
            return Ok((vec![self.variable(&variable, &find)], address));
        }
        if self.subnets_given_for.as_ref().is_some_and(|other| *other != variable) {
            let message = "`--subnets` cannot be the subnets of jobs whose placements differ";
            return Err(Diagnostic::error(manifest.span(PLACEMENT), message)
                .help("leave it out, and set the variables that the notes name"));
        }
        self.subnets_given_for = Some(variable);
        Ok((self.names.subnets.clone(), address))
    }

    fn subnets_of_environment(&self, kind: &str) -> String {
        export(&format!("{}-{}-{kind}Subnets", self.names.app, self.names.env))
    }

    fn security_groups(&mut self, manifest: &Manifest) -> Result<Vec<String>, Diagnostic> {
        const GROUPS: &str = "network.vpc.security_groups";
        let groups = match manifest.at(GROUPS) {
            Some(groups) if matches!(groups.kind, Kind::Object(_)) => at(groups, "groups"),
            groups => groups,
        };
        let mut all = Vec::new();
        let deny_default = manifest.at("network.vpc.security_groups.deny_default");
        match deny_default.map(|deny| (&deny.kind, deny.span)) {
            Some((Kind::Bool(true), span)) => {
                let text = "the config leaves out the environment's security group; Copilot gives it to jobs all the \
                            same, so add it if the job needs it";
                self.note("network.vpc.security_groups.deny_default", span, text);
            }
            Some((Kind::Bool(false), _)) | None if self.names.security_groups.is_empty() => {
                let find = export(&format!("{}-{}-EnvironmentSecurityGroup", self.names.app, self.names.env));
                all.push(self.variable("ENVIRONMENT_SECURITY_GROUP", &find));
            }
            Some((Kind::Bool(false), _)) | None => {
                self.uses_security_groups_given = true;
                all.extend(self.names.security_groups.clone());
            }
            Some((_, span)) => {
                return Err(
                    Diagnostic::error(span, "`deny_default` is neither `true` nor `false`").help("write one of them")
                );
            }
        }
        all.extend(groups.map_or(Ok(Vec::new()), |groups| self.ids(groups))?);
        if all.is_empty() {
            let text = "names no group, so ECS gives tasks the default security group of the VPC";
            self.note(GROUPS, manifest.span(GROUPS), text);
        }
        Ok(all)
    }

    /// Returns the ids of a list; an id that CloudFormation exports becomes a variable.
    fn ids(&mut self, list: &Node) -> Result<Vec<String>, Diagnostic> {
        let elements = match &list.kind {
            Kind::Array(elements) => elements.as_slice(),
            _ => std::slice::from_ref(list),
        };
        let mut ids = Vec::new();
        for element in elements {
            match (element.as_str(), at(element, "from_cfn").and_then(Node::as_str)) {
                (Some(id), _) => {
                    self.note_variables_of(id);
                    ids.push(id.to_owned());
                }
                (None, Some(name)) => ids.push(self.variable(name, &export(name))),
                (None, None) => {
                    let message = format!(
                        "expected an id, or `from_cfn` with the name of an export, found {}",
                        element.description()
                    );
                    return Err(Diagnostic::error(element.span, message).help("write the id"));
                }
            }
        }
        Ok(ids)
    }
}

/// Returns a command that prints the ids of the subnets that have these tags.
fn by_tags(subnets: &Node) -> Result<String, Diagnostic> {
    let invalid = |node: &Node| {
        let message = "expected a list of subnets, or `from_tags` with names of tags and their values";
        Diagnostic::error(node.span, message).help("write for example `from_tags: { type: private }`")
    };
    let Some(Kind::Object(tags)) = at(subnets, "from_tags").map(|tags| &tags.kind) else {
        return Err(invalid(subnets));
    };
    let word = |node: &Node| match &node.kind {
        Kind::String(text) | Kind::Number(text) => Some(text.clone()),
        _ => None,
    };
    let mut filters = String::new();
    for tag in tags {
        let values = match &tag.value.kind {
            Kind::Array(values) => values.iter().map(word).collect::<Option<Vec<_>>>(),
            _ => word(&tag.value).map(|value| vec![value]),
        };
        let values = values.ok_or_else(|| invalid(&tag.value))?;
        filters.push_str(&format!(" \"Name=tag:{},Values={}\"", tag.key.value, values.join(",")));
    }
    Ok(format!(
        "aws ec2 describe-subnets --filters{} --query \"join(',', Subnets[].SubnetId)\" --output text",
        filters.replace("${env:", "${")
    ))
}
