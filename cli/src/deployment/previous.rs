//! Keeps what was deployed before the last deployment, so that it can be deployed again.

use std::collections::BTreeMap;

use infra::{Body, Owner, Parameters};
use jiff::Timestamp;
use serde_json::{Value, json};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

use super::config_files::{self, ConfigFile};
use super::difference::Difference;
use super::stack::variable;
use super::{Deployment, cloudformation};
use crate::account::Account;
use crate::exit::Failed;

/// The bucket's folder for what was deployed before. The functions do not read it.
const FOLDER: &str = "previous";

/// What was deployed: the template with its parameters, among them the keys of the code, and the texts of the config.
/// The code itself stays in the bucket, under the same keys.
#[derive(Debug)]
pub(super) struct Previous {
    template: Value,
    parameters: Parameters,
    /// The texts of the config's files, by key.
    config: BTreeMap<String, String>,
}

impl Deployment {
    /// Returns what is deployed now, if there is something that a deployment changes.
    pub(super) fn replaced(&self) -> Option<Previous> {
        let (template, parameters) = self.stack.deployed()?;
        if self.is_empty() {
            return None;
        }
        let config = self.config.iter().filter_map(|file| Some((file.key.clone(), file.before.clone()?))).collect();
        Some(Previous { template: template.clone(), parameters: parameters.clone(), config })
    }

    /// Compares what was deployed before the last deployment with what the account has. Returns it with its config. The
    /// schedules that never fire again are left out: Scheduler would refuse them.
    pub(crate) async fn back(account: &Account, config: &RoutingConfig) -> Result<(Self, RoutingConfig), Failed> {
        let name = config.stack.name();
        let owner = Owner::of_functions(config);
        let there = cloudformation::existing(account, name, &owner).await?.filter(|stack| !stack.is_leftover());
        let none = || Failed::Refused(format!("nothing was deployed to the stack {name} before its last deployment"));
        let stack = there.ok_or_else(none)?;
        let bucket = stack.parameters.get(infra::BUCKET_PARAMETER).cloned().ok_or_else(none)?;
        let key = key(name);
        let kept = config_files::read(account, &bucket, &key).await?.ok_or_else(none)?;
        let broken = || Failed::Io(format!("s3://{bucket}/{key} is not as `deploy` wrote it"));
        let kept = Previous::parse(&kept).ok_or_else(broken)?;
        let old = kept.routing(account, &bucket, name).await?;
        let mut files = Vec::new();
        for (key, after) in &kept.config {
            let before = config_files::read(account, &bucket, key).await?;
            files.push(ConfigFile { key: key.clone(), before, after: after.clone() });
        }
        // The main file comes last when the files are uploaded, so it is the first here.
        files.sort_by_key(|file| file.key != main_key(name));
        let template = infra::without_past(kept.template, &old, Timestamp::now());
        let body = Body { stack: name.to_owned(), template, parameters: kept.parameters };
        let functions = infra::functions(&old);
        let stack = Difference::new(body, owner, Some(stack));
        let (storage, artifacts, bucket) = (None, Vec::new(), Some(bucket));
        Ok((Self { storage, stack, functions, artifacts, knows_code: true, config: files, bucket }, old))
    }
}

impl Previous {
    fn parse(text: &str) -> Option<Self> {
        let mut kept: Value = serde_json::from_str(text).ok()?;
        let mut take = |name: &str| kept.get_mut(name).map(Value::take);
        let (template, parameters, config) = (take("template")?, take("parameters")?, take("config")?);
        let texts = |value: Value| serde_json::from_value::<BTreeMap<String, String>>(value).ok();
        Some(Self { template, parameters: texts(parameters)?, config: texts(config)? })
    }

    pub(super) async fn keep(&self, account: &Account, bucket: &str, stack: &str) -> Result<(), Failed> {
        let Self { template, parameters, config } = self;
        let text = json!({ "template": template, "parameters": parameters, "config": config }).to_string();
        config_files::put(account, bucket, &key(stack), &text).await
    }

    /// Returns the config, with the variables that its functions had.
    async fn routing(&self, account: &Account, bucket: &str, stack: &str) -> Result<RoutingConfig, Failed> {
        let lacking = |key: &str| Failed::Io(format!("s3://{bucket}/{key} is missing; it was deployed before"));
        let main = main_key(stack);
        let mut source = Source::new(&main, self.config.get(&main).ok_or_else(|| lacking(&main))?);
        let variables = |name: &str| variable(&self.template, name);
        for included in trigger_core::load::includes(&source, &variables) {
            let key = infra::config_key(stack, &included.value);
            let text = match self.config.get(&key) {
                Some(text) => text.clone(),
                // The last deployment did not include the file, so it has not changed.
                None => config_files::read(account, bucket, &key).await?.ok_or_else(|| lacking(&key))?,
            };
            source.include(&key, &text);
        }
        RoutingConfig::parse_with(source.clone(), &variables).map_err(|problems| {
            crate::config::show(&source, &problems);
            Failed::Config
        })
    }
}

/// Returns the key of a stack's main file.
fn main_key(stack: &str) -> String {
    infra::config_key(stack, infra::CONFIG_FILE)
}

fn key(stack: &str) -> String {
    format!("{FOLDER}/{stack}.json")
}
