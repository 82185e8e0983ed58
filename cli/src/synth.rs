//! `ecs-trigger synth`: the CloudFormation template of a config's stack.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use infra::Template;
use trigger_core::config::RoutingConfig;

use crate::config::{self, FILE_NAME};
use crate::exit::Failed;
use crate::output;

/// Print the CloudFormation template of everything that the config needs: functions, rules, schedules, queues, roles, alarms.
///
/// Nothing is asked of AWS: the same config gives the same template. What only an account can tell are its parameters: the bucket,
/// the keys of the functions' code, and the roles of what each function starts; `ecs-trigger deploy` fills them in.
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
    /// The template of the bucket instead, which is a stack of its own: it outlives the functions.
    #[arg(long)]
    storage: bool,
    /// Print the template as JSON.
    #[arg(long)]
    json: bool,
}

impl Synth {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let Loaded { config, environment, .. } = load(&self.config, false)?;
        let template = match self.storage {
            true => infra::storage(&config),
            false => infra::stack(&config, &environment),
        };
        match self.json {
            true => output::json(&template.to_json()),
            false => output::bytes(yaml(&template)?.as_bytes()),
        }
    }
}

/// A config, and what its stack has to know beside it.
pub(crate) struct Loaded {
    /// The config.
    pub(crate) config: RoutingConfig,
    /// The environment variables that it takes values from.
    pub(crate) environment: BTreeMap<String, String>,
}

/// The checked config of a path; its problems are shown. Functions read the same file, so that they need the same variables.
pub(crate) fn load(path: &std::path::Path, json: bool) -> Result<Loaded, Failed> {
    let taken = RefCell::new(BTreeMap::new());
    let variables = |name: &str| {
        let value = config::variable(name)?;
        taken.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    };
    let config = config::load_with(path, json, &variables)?;
    Ok(Loaded { config, environment: taken.into_inner() })
}

fn yaml(template: &Template) -> Result<String, Failed> {
    serde_saphyr::to_string(&template.to_json()).map_err(|error| Failed::Io(format!("the template: {error}")))
}
