//! Prepares a deployment, shows what it would change, and carries it out.
//!
//! [`Deployment::prepare`] compares the config with the account, [`show`](Deployment::show) prints the difference, and
//! [`carry_out`](Deployment::carry_out) applies it. There are two stacks: one for the bucket and the table, which is
//! created first, and one for everything else.

mod afterwards;
mod cloudformation;
mod code;
mod config_files;
mod consent;
mod difference;
mod drift;
mod losses;
mod permissions;
mod previous;
mod progress;
mod report;
mod stack;

use std::path::Path;
use std::time::Duration;

use infra::{Action, Body, Change, Function, Owner, Parameters, Step};
use jiff::Timestamp;
use trigger_core::config::stack::Origin;
use trigger_core::routing::RoutingConfig;
use trigger_core::storage::Storage;

use crate::account::Account;
use crate::artifacts::{self, Artifact};
use crate::config::Loaded;
use crate::exit::Failed;
pub(crate) use afterwards::afterwards;
pub(crate) use cloudformation::{delete, existing};
use code::upload_code;
use config_files::ConfigFile;
pub(crate) use consent::Consent;
use difference::Difference;
pub(crate) use drift::{Drifted, drifted};
pub(crate) use losses::{refuse_full_queues, refuse_open_launches};
use permissions::of_account;
use progress::step;
pub(crate) use stack::Stack;

/// A function uses the old config for at most this long: if its last check for changes is older, it checks again before
/// it decides an event. That is twice the age at which it checks in the background.
const CONFIG_AGE_MAX: Duration = Duration::from_secs(60);
/// The placeholder for the bucket's name until the bucket exists.
const BUCKET_TO_BE: &str = "(the new bucket)";

/// A prepared deployment.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// The stack of the bucket and the table, or `None` if it would be empty.
    storage: Option<Difference>,
    stack: Difference,
    functions: Vec<Function>,
    artifacts: Vec<Artifact>,
    /// Whether the functions' code was given, and is compared.
    knows_code: bool,
    config: Vec<ConfigFile>,
    /// The bucket, if it exists.
    bucket: Option<String>,
}

/// Returns the name of the stack of the bucket and the table.
pub(crate) fn storage_stack(config: &RoutingConfig) -> String {
    format!("{}-storage", config.stack.name())
}

impl Deployment {
    /// Compares what the config needs with what the account has. `artifacts` is the folder of the functions' code;
    /// without it, the code stays as it is.
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
                "`stack.storage_bucket: adopt` needs the bucket's name; add `storage: { bucket: NAME }`".to_owned(),
            ));
        }
        let storage = match infra::storage(config) {
            None => None,
            Some(template) => {
                let (stack, owner) = (storage_stack(config), Owner::of_storage(config));
                let there = existing(account, &stack, &owner).await?;
                let deployed = there.as_ref().filter(|stack| !stack.is_leftover()).map(|stack| &stack.template);
                let template = match deployed {
                    Some(deployed) => infra::keep_table(template, deployed),
                    None => template,
                };
                let body = Body { stack, template: template.to_json(), parameters: Parameters::new() };
                Some(Difference::new(body, owner, there))
            }
        };
        let made = storage.as_ref().and_then(|storage| storage.existing.as_ref());
        let bucket = match is_adopted {
            true => config.storage.as_ref().map(|storage| storage.bucket.0.clone()),
            false => made.and_then(|stack| stack.outputs.get(infra::BUCKET_OUTPUT).cloned()),
        };
        let owner = Owner::of_functions(config);
        let there = existing(account, config.stack.name(), &owner).await?;
        refuse_another_place(config, there.as_ref())?;
        let functions = infra::functions(config);
        let (archives, knows_code) = match artifacts {
            Some(folder) => (artifacts::archives(folder, &functions)?, true),
            None => (Vec::new(), false),
        };
        let mut environment = loaded.environment.clone();
        if let Some(url) = endpoint_url {
            environment.insert("AWS_ENDPOINT_URL".to_owned(), url.to_owned());
        }
        let known = of_account(account, config).await?;
        let template = infra::stack_of_account(config, &environment, &known);
        let mut parameters =
            there.as_ref().filter(|_| !knows_code).map_or_else(Parameters::new, |stack| stack.parameters.clone());
        parameters.extend(archives.iter().map(|artifact| (artifact.function.code_parameter(), artifact.key.clone())));
        if let Some(artifact) = archives.first() {
            parameters.insert(infra::ARCHITECTURE_PARAMETER.to_owned(), artifact.architecture.to_owned());
        }
        let named = config.storage.as_ref().map(|storage| storage.bucket.0.clone());
        let of_bucket = bucket.clone().or(named).unwrap_or_else(|| BUCKET_TO_BE.to_owned());
        parameters.insert(infra::BUCKET_PARAMETER.to_owned(), of_bucket);
        parameters.retain(|name, _| template.parameters().any(|known| known == name));
        let template = infra::without_past(template.to_json(), config, Timestamp::now());
        let body = Body { stack: config.stack.name().to_owned(), template, parameters };
        let stack = Difference::new(body, owner, there);
        let config = config_files::compare(account, bucket.as_deref(), config.stack.name(), &config.source).await?;
        Ok(Self { storage, stack, functions, artifacts: archives, knows_code, config, bucket })
    }

    /// Fails if the code of a function is neither given nor deployed.
    pub(crate) fn has_all_code(&self) -> Result<(), Failed> {
        let lacking =
            self.functions.iter().find(|function| !self.stack.body.parameters.contains_key(&function.code_parameter()));
        match lacking {
            Some(function) => Err(Failed::Usage(artifacts::lacking(Path::new(artifacts::ARTIFACTS), *function))),
            None => Ok(()),
        }
    }

    /// Refuses a deployment of which AWS would refuse a step.
    pub(crate) fn refuse_invalid(&self) -> Result<(), Failed> {
        let of_storage = self.storage.iter().map(|storage| storage.body.clone());
        let steps = self.steps();
        let bodies = steps.iter().filter_map(Step::body).cloned();
        of_storage.chain(bodies).try_for_each(|body| cloudformation::refuse_invalid(&body))
    }

    /// Returns the steps that change the stack of the functions.
    fn steps(&self) -> Vec<Step> {
        infra::steps(self.stack.deployed(), self.stack.body.clone())
    }

    /// Returns whether nothing would change.
    pub(crate) fn is_empty(&self) -> bool {
        self.differences().all(|difference| difference.changes.is_empty())
            && self.config.iter().all(|file| !file.has_changed())
    }

    /// Returns what somebody changed in the deployed stack outside of deployments.
    pub(crate) async fn drifted(&self, account: &Account) -> Drifted {
        match self.stack.existing.as_ref().filter(|_| !self.stack.is_new) {
            Some(stack) => drifted(account, stack).await,
            None => Drifted::default(),
        }
    }

    fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.storage.iter().chain([&self.stack])
    }

    /// Returns the URLs of the queues that would be deleted.
    fn queues_removed(&self) -> Vec<&str> {
        let Some(existing) = &self.stack.existing else { return Vec::new() };
        if existing.is_leftover() {
            return existing.all_queues();
        }
        let removed = self.stack.changes.iter().filter(|change| change.action == Action::Remove);
        removed.filter_map(|change| existing.queue(&change.id)).collect()
    }

    /// Returns the deployed resources that would be replaced.
    pub(crate) async fn replacements(&self, account: &Account) -> Result<Vec<String>, Failed> {
        match self.stack.is_new || self.stack.changes.is_empty() {
            true => Ok(Vec::new()),
            false => cloudformation::replacements(account, &self.stack, self.bucket.as_deref()).await,
        }
    }

    /// Refuses a deployment that would lose messages or open launches.
    pub(crate) async fn refuse_losses(
        &self,
        account: &Account,
        config: &RoutingConfig,
        may_lose_messages: bool,
        may_abandon_launches: bool,
    ) -> Result<(), Failed> {
        let removed = self.queues_removed();
        let name = |url: &str| url.rsplit('/').next().unwrap_or(url).to_owned();
        let named = config.all_queues().into_iter();
        let in_use = named.map(|queue| &queue.name).find(|queue| removed.iter().any(|url| name(url) == **queue));
        if let Some(queue) = in_use {
            return Err(Failed::Refused(format!(
                "the stack created the queue {queue} and would delete it, but the config still uses it; \
                 keep `queue: create`"
            )));
        }
        if !may_lose_messages {
            refuse_full_queues(account, &removed).await?;
        }
        let gives_up = |change: &Change| change.action == Action::Remove && change.id == Function::TaskLifecycle.id();
        if !may_abandon_launches && self.stack.changes.iter().any(gives_up) {
            return Err(Failed::Refused(
                "the config no longer has a ledger, and open launches would be abandoned; wait until all launches have \
                 ended, then pass --abandon-launches"
                    .to_owned(),
            ));
        }
        // An open launch of a removed route cannot go on without the permissions in its cluster.
        let narrows = self.steps().contains(&Step::AwaitConfig);
        if let Some(storage) = config.ledger().filter(|_| narrows && !may_abandon_launches) {
            let is_gone = |route: &str| !config.routes.iter().any(|known| known.name == route);
            refuse_open_launches(account, &storage.table(), is_gone).await?;
        }
        Ok(())
    }

    /// Applies the deployment: first the storage stack and the functions' code, then the steps of the other stack.
    /// Returns that stack.
    pub(crate) async fn carry_out(mut self, account: &Account) -> Result<Stack, Failed> {
        if let Some(storage) = &self.storage {
            let made = cloudformation::apply(account, storage, None).await?;
            let bucket = made.outputs.get(infra::BUCKET_OUTPUT).cloned();
            self.bucket = bucket.or(self.bucket);
        }
        let Some(bucket) = self.bucket.clone() else {
            return Err(Failed::Aws(format!("the stack {}-storage has no output `Bucket`", self.stack.body.stack)));
        };
        self.stack.body.parameters.insert(infra::BUCKET_PARAMETER.to_owned(), bucket.clone());
        for artifact in &self.artifacts {
            upload_code(account, &bucket, artifact).await?;
        }
        let replaced = self.replaced();
        let (mut is_uploaded, mut changed) = (false, None);
        for step_of_stack in self.steps() {
            match step_of_stack {
                Step::Widen(body) => {
                    step("adding the permissions that the new config needs");
                    cloudformation::apply(account, &self.stack.with_body(body), Some(&bucket)).await?;
                }
                Step::UploadConfig => {
                    config_files::upload(account, &bucket, &self.config).await?;
                    is_uploaded = true;
                }
                Step::AwaitConfig => {
                    step("waiting a minute, until no function uses the old config any more");
                    tokio::time::sleep(CONFIG_AGE_MAX).await;
                }
                Step::Change(_) => {
                    let applied = cloudformation::apply(account, &self.stack, Some(&bucket)).await;
                    if is_uploaded && matches!(applied, Err(Failed::RolledBack(_))) {
                        // The user needs the reason of the stack's failure, not of a failed restore.
                        let _ = config_files::restore(account, &bucket, &self.config).await;
                    }
                    changed = Some(applied?);
                }
            }
        }
        if let Some(replaced) = replaced {
            replaced.keep(account, &bucket, &self.stack.body.stack).await?;
        }
        changed.ok_or_else(|| Failed::Aws(format!("the stack {} was not changed; deploy again", self.stack.body.stack)))
    }
}

/// Refuses to move a stack to another bucket or table: what it holds would stay behind, with the open launches.
fn refuse_another_place(config: &RoutingConfig, there: Option<&Stack>) -> Result<(), Failed> {
    let Some(there) = there.filter(|stack| !stack.is_leftover()) else { return Ok(()) };
    let bucket = config.storage.as_ref().map(|storage| storage.bucket.0.clone());
    let table = config.ledger().map(Storage::table);
    let places = [
        ("config", "bucket", bucket, there.parameters.get(infra::BUCKET_PARAMETER)),
        ("launches", "table", table, there.outputs.get(infra::TABLE_OUTPUT)),
    ];
    for (what, place, wanted, known) in places {
        let Some((wanted, known)) = wanted.zip(known).filter(|(wanted, known)| wanted != *known) else { continue };
        return Err(Failed::Refused(format!(
            "the stack {} has its {what} in the {place} {known}, but the config names {wanted}; set `storage.{place}` \
             to `{known}`, or destroy the stack first",
            config.stack.name()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aws_sdk_cloudformation::types::StackStatus;
    use expect_test::expect;
    use infra::Parameters;
    use serde_json::Value;
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::{Stack, refuse_another_place};

    #[test]
    fn a_stack_stays_with_its_bucket_and_its_table() {
        let check = |storage: &str, status: StackStatus| {
            let text = format!("version: 1\nstorage: {storage}\ntasks: {{}}\nroutes: []\n");
            let config = RoutingConfig::parse(Source::new("c.yaml", text)).expect("the config is valid");
            let there = Stack {
                name: "ecs-trigger".to_owned(),
                status,
                template: Value::Null,
                parameters: Parameters::from([("Bucket".to_owned(), "state".to_owned())]),
                outputs: BTreeMap::from([("Table".to_owned(), "state-team".to_owned())]),
                tags: BTreeMap::new(),
                physical_ids: BTreeMap::new(),
                queues: BTreeMap::new(),
            };
            let refused = refuse_another_place(&config, Some(&there)).map_err(|failed| failed.to_string());
            format!("{storage}: {}\n", refused.err().unwrap_or_else(|| "fine".to_owned()))
        };
        let shown = [
            check("{ bucket: state, prefix: team }", StackStatus::UpdateComplete),
            check("{ bucket: state, table: state-team }", StackStatus::UpdateComplete),
            check("{ bucket: other, prefix: team }", StackStatus::UpdateComplete),
            check("{ bucket: state, prefix: other }", StackStatus::UpdateComplete),
            check("{ bucket: other, prefix: team }", StackStatus::RollbackComplete),
        ];
        expect![[r#"
            { bucket: state, prefix: team }: fine
            { bucket: state, table: state-team }: fine
            { bucket: other, prefix: team }: the stack ecs-trigger has its config in the bucket state, but the config names other; set `storage.bucket` to `state`, or destroy the stack first
            { bucket: state, prefix: other }: the stack ecs-trigger has its launches in the table state-team, but the config names state-other; set `storage.table` to `state-team`, or destroy the stack first
            { bucket: other, prefix: team }: fine
        "#]].assert_eq(&shown.concat());
    }
}
