//! What a deployment would change, and doing it.
//!
//! [`Deployment::prepare`] compares what is wanted with what is there; [`show`](Deployment::show) tells it; [`carry_out`](Deployment::carry_out)
//! does it. Two stacks are involved: the bucket's, which is made before anything can lie in it, and that of all the rest.

mod cloudformation;
mod code;
mod config_files;
mod difference;
mod losses;
mod progress;
mod report;
mod stack;

use std::path::Path;
use std::time::Duration;

use infra::{Action, Change, Function, Parameters, Permissions};
use jiff::Timestamp;
use trigger_core::config::stack::Origin;
use trigger_core::routing::RoutingConfig;

use crate::account::Account;
use crate::artifacts::{self, Artifact};
use crate::config::Loaded;
use crate::exit::Failed;
use crate::output::step;
pub(crate) use cloudformation::{delete, existing};
use code::{roles, upload_code};
use config_files::ConfigFile;
use difference::Difference;
pub(crate) use losses::{refuse_full_queues, refuse_open_launches};
use stack::Stack;

/// How old the config may be that a function decides by: twice as old as one that it trusts without a look.
const CONFIG_AGE_MAX: Duration = Duration::from_secs(60);
/// What stands for the bucket's name until the bucket is there.
const BUCKET_TO_BE: &str = "(the new bucket)";

/// Everything that a deployment would do.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// The bucket's stack; none where the bucket is adopted.
    storage: Option<Difference>,
    stack: Difference,
    functions: Vec<Function>,
    artifacts: Vec<Artifact>,
    /// Whether the functions' code could be compared.
    knows_code: bool,
    config: Vec<ConfigFile>,
    /// The bucket, if it is there.
    bucket: Option<String>,
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
        refuse_another_bucket(config, there.as_ref())?;
        let functions = infra::functions(config);
        let (archives, knows_code) = match artifacts {
            Some(folder) => (artifacts::archives(folder, &functions)?, true),
            None => (Vec::new(), false),
        };
        let mut environment = loaded.environment.clone();
        if let Some(url) = endpoint_url {
            environment.insert("AWS_ENDPOINT_URL".to_owned(), url.to_owned());
        }
        let template = infra::stack(config, &environment).without_past_starts(Timestamp::now());
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
        let config = config_files::compare(account, bucket.as_deref(), config.stack.name(), &config.source).await?;
        Ok(Self { storage, stack, functions, artifacts: archives, knows_code, config, bucket })
    }

    /// Refuses a deployment that lacks the code of a function.
    pub(crate) fn has_all_code(&self) -> Result<(), Failed> {
        let lacking =
            self.functions.iter().find(|function| !self.stack.parameters.contains_key(&function.code_parameter()));
        match lacking {
            Some(function) => Err(Failed::Usage(artifacts::lacking(Path::new("target/lambda"), *function))),
            None => Ok(()),
        }
    }

    /// Whether everything is as it is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        self.differences().all(|difference| difference.changes.is_empty())
            && self.config.iter().all(|file| !file.has_changed())
    }

    fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.storage.iter().chain([&self.stack])
    }

    /// The queues that would be deleted, by their URLs.
    fn queues_removed(&self) -> Vec<&str> {
        let Some(existing) = &self.stack.existing else { return Vec::new() };
        if existing.is_leftover() {
            return existing.queues.values().map(String::as_str).collect();
        }
        let removed = self.stack.changes.iter().filter(|change| change.action == Action::Remove);
        removed.filter_map(|change| existing.queues.get(&change.id)).map(String::as_str).collect()
    }

    /// The resources of a stack that is there which would be made anew.
    pub(crate) async fn replacements(&self, account: &Account) -> Result<Vec<String>, Failed> {
        match self.stack.is_new || self.stack.changes.is_empty() {
            true => Ok(Vec::new()),
            false => cloudformation::replacements(account, &self.stack, self.bucket.as_deref()).await,
        }
    }

    /// Refuses what would lose messages or launches.
    pub(crate) async fn refuse_losses(
        &self,
        account: &Account,
        config: &RoutingConfig,
        may_lose_messages: bool,
        may_abandon_launches: bool,
    ) -> Result<(), Failed> {
        let removed = self.queues_removed();
        let name = |url: &str| url.rsplit('/').next().unwrap_or(url).to_owned();
        let named = config.queues().into_iter().chain(config.worker_queues());
        let in_use = named.map(|queue| &queue.name).find(|queue| removed.iter().any(|url| name(url) == **queue));
        if let Some(queue) = in_use {
            return Err(Failed::Refused(format!(
                "the queue {queue} is the stack's, and would be deleted though the config is on it: leave `queue: create`"
            )));
        }
        if !may_lose_messages {
            refuse_full_queues(account, &removed).await?;
        }
        let gives_up = |change: &Change| change.action == Action::Remove && change.id == Function::TaskLifecycle.id();
        if !may_abandon_launches && self.stack.changes.iter().any(gives_up) {
            return Err(Failed::Refused(
                "the config gives the ledger up, and nobody would see to launches that have not ended: when all have, write \
                 --abandon-launches"
                    .to_owned(),
            ));
        }
        // A launch of a route that is gone is not seen to any more, if nothing may be done in its cluster.
        let narrows = self.permissions().is_some_and(|permissions| permissions.narrows);
        if let Some(storage) = config.ledger().filter(|_| narrows && !may_abandon_launches) {
            let is_gone = |route: &str| !config.routes.iter().any(|known| known.name == route);
            refuse_open_launches(account, storage, is_gone).await?;
        }
        Ok(())
    }

    /// How what functions may do differs from what they may do now; none where they are new.
    fn permissions(&self) -> Option<Permissions> {
        let existing = self.stack.existing.as_ref().filter(|_| !self.stack.is_new)?;
        Some(infra::permissions(
            (&existing.template, &existing.parameters),
            (&self.stack.template, &self.stack.parameters),
        ))
    }

    /// Makes it so. Whatever the order of things, a function's config never asks for what its role does not allow, and no event comes that
    /// its config does not know: first what may be done in addition, then the config, then all the rest.
    pub(crate) async fn carry_out(mut self, account: &Account) -> Result<(), Failed> {
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
        let brings_events = self.stack.changes.iter().any(brings_events);
        let permissions = self.permissions();
        let narrows = permissions.as_ref().is_some_and(|permissions| permissions.narrows);
        if !self.stack.is_new && !narrows && !brings_events {
            cloudformation::apply(account, &self.stack, Some(&bucket)).await?;
            return config_files::upload(account, &bucket, &self.config).await;
        }
        if let Some(wider) = permissions.and_then(|permissions| permissions.wider) {
            step("allows what the new config needs");
            let wider = self.stack.with_template(wider);
            cloudformation::apply(account, &wider, Some(&bucket)).await?;
        }
        config_files::upload(account, &bucket, &self.config).await?;
        if narrows {
            step("waits a minute, until no function decides by the old config any more");
            tokio::time::sleep(CONFIG_AGE_MAX).await;
        }
        let applied = cloudformation::apply(account, &self.stack, Some(&bucket)).await;
        if matches!(applied, Err(Failed::RolledBack(_))) {
            // The reason that is told is the stack's own.
            let _ = config_files::restore(account, &bucket, &self.config).await;
        }
        applied.map(drop)
    }
}

/// The ledger of a stack is in its bucket, and would be left behind with launches that have not ended.
fn refuse_another_bucket(config: &RoutingConfig, there: Option<&Stack>) -> Result<(), Failed> {
    let wanted = config.storage.as_ref().map(|storage| storage.bucket.0.as_str());
    let known =
        there.filter(|stack| !stack.is_leftover()).and_then(|stack| stack.parameters.get(infra::BUCKET_PARAMETER));
    match wanted.zip(known) {
        Some((wanted, known)) if wanted != known => Err(Failed::Refused(format!(
            "the stack {} has its ledger in the bucket {known}, and the config says {wanted}: write `{known}`, or destroy the stack first",
            config.stack.name()
        ))),
        _ => Ok(()),
    }
}

/// Whether events may come by it that did not come before.
fn brings_events(change: &Change) -> bool {
    let sources = ["AWS::Events::Rule", "AWS::Scheduler::Schedule", "AWS::Lambda::EventSourceMapping"];
    change.action != Action::Remove && sources.contains(&change.kind.as_str())
}
