//! `ecs-trigger synth`: prints the CloudFormation template of a config's stack.

use std::path::PathBuf;

use clap::Args;
use infra::{Body, Finding, Template};

use crate::config::{Environment, FILE_NAME, Loaded, load_with_environment};
use crate::diagnostics;
use crate::exit::Failed;
use crate::output;

/// Print the CloudFormation template of the config's stack.
///
/// The template has everything that the config needs: functions, rules, schedules, queues, roles, alarms. No AWS API is
/// called: the same config gives the same template. What only an account knows is a parameter: the bucket, the keys of
/// the functions' code, and the roles of the tasks that each function starts. `ecs-trigger deploy` fills the parameters
/// in.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger synth
  ecs-trigger synth examples/quickstart --json | jq '.Resources | keys'
  ecs-trigger synth --storage > storage.yaml")]
pub(crate) struct Synth {
    /// The config, or the folder that holds it.
    #[arg(default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Print the template of the bucket and the table instead, which are a separate stack and outlive the functions.
    #[arg(long)]
    storage: bool,
    /// Print the template as JSON.
    #[arg(long)]
    json: bool,
}

impl Synth {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let Loaded { config, environment, .. } = load_with_environment(&self.config, &self.environment, false)?;
        let (stack, storage) = (infra::stack(&config, &environment), infra::storage(&config));
        let bodies = [&stack].into_iter().chain(&storage).map(|template| Body::new(&config, template));
        let findings: Vec<Finding> = bodies.flat_map(|body| infra::check(&body)).collect();
        findings.iter().for_each(|finding| diagnostics::error(&format!("AWS would refuse the template: {finding}")));
        if !findings.is_empty() {
            return Err(Failed::Config);
        }
        let template = match self.storage {
            true => storage.ok_or_else(|| {
                Failed::Usage(
                    "the config has no storage stack, because its bucket is adopted and it has no ledger; leave \
                     --storage out"
                        .to_owned(),
                )
            })?,
            false => stack,
        };
        match self.json {
            true => output::json(&template.to_json()),
            false => output::bytes(yaml(&template)?.as_bytes()),
        }
    }
}

fn yaml(template: &Template) -> Result<String, Failed> {
    serde_saphyr::to_string(&template.to_json()).map_err(|error| Failed::Io(format!("cannot write YAML: {error}")))
}
