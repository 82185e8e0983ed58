//! What a deployment would change, and doing it.
//!
//! [`Deployment::prepare`] compares what is wanted with what is there; [`show`](Deployment::show) tells it; [`carry_out`](Deployment::carry_out)
//! does it. Two stacks are involved: the bucket's, which is made before anything can lie in it, and that of all the rest.

mod cloudformation;
mod config_files;
mod report;

use std::collections::BTreeMap;
use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use infra::{Action, Change, Parameters, Template};
use serde_json::Value;
use trigger_core::config::RoutingConfig;
use trigger_core::config::stack::Origin;

use crate::account::{Account, refused};
use crate::artifacts::{self, Artifact};
use crate::exit::Failed;
use crate::synth::Loaded;
pub(crate) use cloudformation::{Stack, delete, existing};
use config_files::ConfigFile;

/// What stands for the bucket's name until the bucket is there.
const BUCKET_TO_BE: &str = "(the new bucket)";

/// A stack as it is wanted, and how it differs from the one that is there.
#[derive(Debug)]
struct Difference {
    name: String,
    template: Value,
    parameters: Parameters,
    existing: Option<Stack>,
    changes: Vec<Change>,
}

/// Everything that a deployment would do.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// The bucket's stack; none where the bucket is adopted.
    storage: Option<Difference>,
    stack: Difference,
    artifacts: Vec<Artifact>,
    /// Whether the functions' code could be compared.
    knows_code: bool,
    config: Vec<ConfigFile>,
    /// The bucket, if it is there.
    bucket: Option<String>,
}

impl Difference {
    fn new(name: String, template: &Template, parameters: Parameters, existing: Option<Stack>) -> Self {
        let template = template.to_json();
        let before = existing.as_ref().filter(|stack| !stack.is_leftover());
        let before = before.map(|stack| (&stack.template, &stack.parameters));
        let changes = infra::changes(before, (&template, &parameters));
        Self { name, template, parameters, existing, changes }
    }

    /// Whether the stack is made anew.
    fn is_new(&self) -> bool {
        self.existing.as_ref().is_none_or(Stack::is_leftover)
    }
}

/// The name of the bucket's stack.
pub(crate) fn storage_stack(config: &RoutingConfig) -> String {
    format!("{}-storage", config.stack.name())
}

impl Deployment {
    /// Compares what a config wants with what an account has. `artifacts` is the folder of the functions' code; where it is not given, the
    /// code stays as it is.
    pub(crate) async fn prepare(
        account: &Account,
        loaded: &Loaded,
        endpoint_url: Option<&str>,
        artifacts: Option<&Path>,
    ) -> Result<Self, Failed> {
        let Loaded { config, .. } = loaded;
        let is_adopted = config.stack.storage_bucket == Some(Origin::Adopt);
        if is_adopted && config.storage.is_none() {
            return Err(Failed::Usage(
                "`stack.storage_bucket: adopt` needs the bucket's name: add `storage: { bucket: NAME }`".to_owned(),
            ));
        }
        let storage = match is_adopted {
            true => None,
            false => {
                let name = storage_stack(config);
                let there = existing(account, &name).await?;
                Some(Difference::new(name, &infra::storage(config), Parameters::new(), there))
            }
        };
        let made = storage.as_ref().and_then(|storage| storage.existing.as_ref());
        let bucket = match is_adopted {
            true => config.storage.as_ref().map(|storage| storage.bucket.0.clone()),
            false => made.and_then(|stack| stack.outputs.get(infra::BUCKET_OUTPUT).cloned()),
        };
        let there = existing(account, config.stack.name()).await?;
        let functions = infra::functions(config);
        let (archives, knows_code) = match artifacts {
            Some(folder) => (artifacts::archives(folder, &functions)?, true),
            None => (Vec::new(), false),
        };
        let mut environment = loaded.environment.clone();
        environment.retain(|name, _| !is_reserved(name));
        if let Some(url) = endpoint_url {
            environment.insert("AWS_ENDPOINT_URL".to_owned(), url.to_owned());
        }
        let template = infra::stack(config, &environment);
        let mut parameters =
            there.as_ref().filter(|_| !knows_code).map_or_else(Parameters::new, |stack| stack.parameters.clone());
        parameters.extend(roles(account, config).await?);
        parameters.extend(archives.iter().map(|artifact| (artifact.function.code_parameter(), artifact.key.clone())));
        if let Some(artifact) = archives.first() {
            parameters.insert(infra::ARCHITECTURE_PARAMETER.to_owned(), artifact.architecture.to_owned());
        }
        let named = config.storage.as_ref().map(|storage| storage.bucket.0.clone());
        let of_bucket = bucket.clone().or(named).unwrap_or_else(|| BUCKET_TO_BE.to_owned());
        parameters.insert(infra::BUCKET_PARAMETER.to_owned(), of_bucket);
        parameters.retain(|name, _| template.parameters().any(|known| known == name));
        let stack = Difference::new(config.stack.name().to_owned(), &template, parameters, there);
        let config = config_files::compare(account, bucket.as_deref(), &config.source).await?;
        Ok(Self { storage, stack, artifacts: archives, knows_code, config, bucket })
    }

    /// Whether everything is as it is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        self.differences().all(|difference| difference.changes.is_empty())
            && self.config.iter().all(|file| !file.has_changed())
    }

    fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.storage.iter().chain([&self.stack])
    }

    /// The queues that would be deleted, by their physical names or URLs.
    fn queues_removed(&self) -> Vec<&str> {
        let Some(existing) = &self.stack.existing else { return Vec::new() };
        let of_queues = self.stack.changes.iter().filter(|change| change.kind == "AWS::SQS::Queue");
        let removed = of_queues.filter(|change| change.action == Action::Remove);
        removed.filter_map(|change| existing.physical_ids.get(&change.id)).map(String::as_str).collect()
    }

    /// Makes it so.
    pub(crate) async fn carry_out(mut self, account: &Account, may_lose_messages: bool) -> Result<(), Failed> {
        if !may_lose_messages {
            refuse_full_queues(account, &self.queues_removed()).await?;
        }
        if let Some(storage) = &self.storage {
            let made = cloudformation::apply(account, storage, None).await?;
            let bucket = made.outputs.get(infra::BUCKET_OUTPUT).cloned();
            self.bucket = bucket.or(self.bucket);
        }
        let Some(bucket) = self.bucket.clone() else {
            return Err(Failed::Aws(format!("the stack {}-storage tells no bucket", self.stack.name)));
        };
        self.stack.parameters.insert(infra::BUCKET_PARAMETER.to_owned(), bucket.clone());
        for artifact in &self.artifacts {
            upload_code(account, &bucket, artifact).await?;
        }
        // What a new route is sent must find the route in the config. In all other changes, what may be done changes first.
        let config_first = self.stack.is_new() || self.stack.changes.iter().any(brings_events);
        if config_first {
            config_files::upload(account, &bucket, &self.config).await?;
        }
        if let Err(failed) = cloudformation::apply(account, &self.stack, Some(&bucket)).await {
            if config_first {
                config_files::restore(account, &bucket, &self.config).await?;
            }
            return Err(failed);
        }
        if !config_first {
            config_files::upload(account, &bucket, &self.config).await?;
        }
        Ok(())
    }
}

/// Whether events come by it that did not come before.
fn brings_events(change: &Change) -> bool {
    let sources = ["AWS::Events::Rule", "AWS::Scheduler::Schedule", "AWS::Lambda::EventSourceMapping"];
    change.action == Action::Add && sources.contains(&change.kind.as_str())
}

/// Variables that Lambda itself sets, and that a function cannot be given.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
fn is_reserved(name: &str) -> bool {
    let own = ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    own.contains(&name) || name.starts_with("AWS_LAMBDA_") || name.starts_with("_")
}

/// The roles of each task definition, for the parameters that want them.
async fn roles(account: &Account, config: &RoutingConfig) -> Result<BTreeMap<String, String>, Failed> {
    let mut roles = BTreeMap::new();
    let mut missing = Vec::new();
    for definition in infra::task_definitions(config) {
        match account.ecs.describe_task_definition().task_definition(definition).send().await {
            Ok(described) => {
                let of = described.task_definition();
                let arns = of.into_iter().flat_map(|of| [of.task_role_arn(), of.execution_role_arn()]).flatten();
                let arns: std::collections::BTreeSet<&str> = arns.filter(|arn| !arn.is_empty()).collect();
                roles.insert(infra::roles_parameter(definition), arns.into_iter().collect::<Vec<_>>().join(","));
            }
            Err(error) if error.as_service_error().is_some() => {
                missing.push(format!("{definition} ({})", trigger_aws::clients::causes(&error)));
            }
            Err(error) => return Err(refused("ECS", &error)),
        }
    }
    match missing.as_slice() {
        [] => Ok(roles),
        missing => Err(Failed::Aws(format!(
            "these task definitions cannot be read, whose roles the functions must be allowed to pass on; register them first: {}",
            missing.join(", ")
        ))),
    }
}

async fn upload_code(account: &Account, bucket: &str, artifact: &Artifact) -> Result<(), Failed> {
    let place = format!("s3://{bucket}/{}", artifact.key);
    match account.s3.head_object().bucket(bucket).key(&artifact.key).send().await {
        Ok(_) => return Ok(()),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => {}
        Err(error) => return Err(refused(&place, &error)),
    }
    report::step(&format!("uploads {} ({} KiB)", artifact.function.name(), artifact.archive.len() / 1024));
    let body = ByteStream::from(artifact.archive.clone());
    let put = account.s3.put_object().bucket(bucket).key(&artifact.key).body(body).send().await;
    put.map(drop).map_err(|error| refused(&place, &error))
}

/// Refuses to delete queues that hold messages.
pub(crate) async fn refuse_full_queues(account: &Account, urls: &[&str]) -> Result<(), Failed> {
    use aws_sdk_sqs::types::QueueAttributeName as Name;
    let counted = [
        Name::ApproximateNumberOfMessages,
        Name::ApproximateNumberOfMessagesNotVisible,
        Name::ApproximateNumberOfMessagesDelayed,
    ];
    let mut full = Vec::new();
    for url in urls {
        let get = account.sqs.get_queue_attributes().queue_url(*url).set_attribute_names(Some(counted.to_vec()));
        let attributes = match get.send().await {
            Ok(got) => got.attributes.unwrap_or_default(),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_queue_does_not_exist()) => continue,
            Err(error) => return Err(refused(url, &error)),
        };
        let messages: u64 = attributes.values().filter_map(|count| count.parse::<u64>().ok()).sum();
        if messages > 0 {
            full.push(format!("{} ({messages})", url.rsplit('/').next().unwrap_or(url)));
        }
    }
    match full.as_slice() {
        [] => Ok(()),
        full => Err(Failed::Refused(format!(
            "queues that hold messages would be deleted: {}; work them off first, or write --delete-messages",
            full.join(", ")
        ))),
    }
}
