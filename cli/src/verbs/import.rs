//! `ecs-trigger import`: converts other tools' files to a config.

mod copilot;

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::{Source, json as document, yaml};

use crate::exit::Failed;
use crate::{diagnostics, output};
use copilot::{Imported, Names};

/// Convert another tool's file to a config.
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(subcommand)]
    of: Of,
}

#[derive(Debug, Subcommand)]
enum Of {
    Copilot(Copilot),
}

/// Convert an AWS Copilot manifest of a Scheduled Job or a Worker Service.
///
/// The config goes to standard output. Notes go to standard error: one line for each manifest key that has no
/// counterpart or another meaning, and for each value that you must supply. Resource names that CloudFormation
/// generated become variables in the config, unless you give them as options.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger import copilot copilot/report/manifest.yml --app shop --env prod \\
    > ecs-trigger.yaml
  ecs-trigger import copilot manifest.yml --app shop --env prod --json \\
    | jq '.notes'")]
struct Copilot {
    /// The manifest: a file, or `-` for standard input.
    #[arg(value_name = "MANIFEST")]
    manifest: PathBuf,
    /// The Copilot application.
    #[arg(long, value_name = "NAME")]
    app: String,
    /// The Copilot environment, whose own settings in the manifest apply.
    #[arg(long, value_name = "NAME")]
    env: String,
    /// The cluster. Default: the variable CLUSTER.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The ECS service of a Worker Service. Default: the variable SERVICE.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The SQS queue of a Worker Service. Default: the variable QUEUE.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// The subnets of a job's tasks, separated by commas. Default: the variable SUBNET.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    subnets: Vec<String>,
    /// The security groups of a job's tasks, separated by commas. Default: the variable SECURITY_GROUP.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    security_groups: Vec<String>,
    /// Print the config and the notes as JSON.
    #[arg(long)]
    json: bool,
}

impl Import {
    pub(crate) fn run(self) -> Result<(), Failed> {
        match self.of {
            Of::Copilot(copilot) => copilot.run(),
        }
    }
}

impl Copilot {
    fn run(self) -> Result<(), Failed> {
        let text = match self.manifest.as_os_str() == "-" {
            true => std::io::read_to_string(std::io::stdin())?,
            false => fs::read_to_string(&self.manifest)
                .map_err(|error| Failed::File { path: self.manifest.clone(), error })?,
        };
        let source = Source::new(self.manifest.display().to_string(), text.clone());
        let (Some(node), problems) = yaml::parse(&text) else {
            return Err(Failed::Usage(format!("{} is empty or not YAML; name a manifest", self.manifest.display())));
        };
        if !problems.is_empty() {
            problems.iter().for_each(|problem| diagnostics::draw(&source, problem));
            return Err(Failed::Invalid);
        }
        let manifest = serde_json::from_str(&document::write(&node)).unwrap_or_default();
        let names = Names {
            app: self.app,
            env: self.env,
            cluster: self.cluster,
            service: self.service,
            queue: self.queue,
            subnets: self.subnets,
            security_groups: self.security_groups,
        };
        let Imported { config, notes } = copilot::import(&manifest, &names).map_err(Failed::Usage)?;
        let yaml = serde_saphyr::to_string(&config).map_err(|error| Failed::Io(format!("the config: {error}")))?;
        let yaml = format!("# Converted from a Copilot manifest by `ecs-trigger import copilot`.\n{yaml}");
        match self.json {
            true => {
                let notes: Vec<_> = notes.iter().map(|note| json!({ "key": note.key, "note": note.text })).collect();
                output::json(&json!({ "config": config, "notes": notes }))?;
            }
            false => {
                output::bytes(yaml.as_bytes())?;
                notes.iter().for_each(|note| diagnostics::note(&format!("{}: {}", note.key, note.text)));
            }
        }
        // The user sets the variables later; any value will do for this check.
        let parsed = RoutingConfig::parse_with(Source::new("the config", yaml), &|_| Some("x".to_owned()));
        if let Err(problems) = parsed {
            problems.iter().for_each(|problem| diagnostics::warning(&problem.message));
            diagnostics::warning("the config is incomplete; run `ecs-trigger validate` to see what to change");
        }
        Ok(())
    }
}
