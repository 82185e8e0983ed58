//! `ecs-trigger import`: converts other tools' files to a config.

mod copilot;

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::{Source, yaml};

use crate::exit::Failed;
use crate::{diagnostics, output};
use copilot::{Imported, Names, Note};

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

/// Convert AWS Copilot manifests of Scheduled Jobs and Worker Services.
///
/// The config goes to standard output. It refers to the task definitions that Copilot registered, and overrides nothing
/// in them. Notes go to standard error: each names a key of the manifest and its place, if the config does not have it
/// or gives it another meaning, or if you have something to do. Names that CloudFormation generated become variables in
/// the config, unless you give them as options.
#[derive(Debug, Args)]
#[command(
    override_usage = "ecs-trigger import copilot [OPTIONS] --app <NAME> --env <NAME>\n       <MANIFEST>...",
    after_help = "\
Examples:
  ecs-trigger import copilot copilot/report/manifest.yml --app shop --env prod \\
    > ecs-trigger.yaml
  ecs-trigger import copilot copilot/*/manifest.yml --app shop --env prod \\
    --json | jq '.notes'"
)]
struct Copilot {
    /// The manifests: files, or `-` for standard input. They become one config.
    #[arg(value_name = "MANIFEST", required = true)]
    manifests: Vec<PathBuf>,
    /// The Copilot application.
    #[arg(long, value_name = "NAME")]
    app: String,
    /// The Copilot environment, whose own settings in the manifest apply.
    #[arg(long, value_name = "NAME")]
    env: String,
    /// The cluster. Default: the variable CLUSTER.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The ECS service, if one manifest is a Worker Service. Default: the variable NAME_SERVICE.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The SQS queue of that service. Default: the variable NAME_QUEUE.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// The subnets of jobs whose manifests do not list any, separated by commas. Default: the variable PUBLIC_SUBNETS or
    /// PRIVATE_SUBNETS, or NAME_SUBNETS if the manifest finds them by tags.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    subnets: Vec<String>,
    /// The security groups that jobs get from the environment, separated by commas. Default: the variable
    /// ENVIRONMENT_SECURITY_GROUP.
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
        let source = self.source()?;
        let mut problems = Vec::new();
        let mut manifests = Vec::new();
        for part in source.parts() {
            let (node, of_text) = yaml::parse_with_merge_keys(part.start, part.text);
            problems.extend(of_text);
            manifests.extend(node);
        }
        let names = Names {
            app: self.app,
            env: self.env,
            cluster: self.cluster,
            service: self.service,
            queue: self.queue,
            subnets: self.subnets,
            security_groups: self.security_groups,
        };
        let imported = match problems.is_empty() {
            true => copilot::import(&manifests, &names),
            false => Err(problems),
        };
        let Imported { config, notes } = imported.map_err(|problems| {
            problems.iter().for_each(|problem| diagnostics::draw(&source, problem));
            Failed::Invalid
        })?;
        let yaml = serde_saphyr::to_string(&config).map_err(|error| Failed::Io(format!("the config: {error}")))?;
        let yaml = format!("# Converted from Copilot manifests by `ecs-trigger import copilot`.\n{yaml}");
        match self.json {
            true => {
                let notes: Vec<_> = notes.iter().map(|note| as_json(&source, note)).collect();
                output::json(&json!({ "config": config, "notes": notes }))?;
            }
            false => {
                output::bytes(yaml.as_bytes())?;
                notes.iter().for_each(|note| diagnostics::note(&line(&source, note)));
            }
        }
        // The user sets the variables later; any values will do for this check, if they differ.
        let parsed = RoutingConfig::parse_with(Source::new("the config", yaml), &|name| Some(name.to_owned()));
        if let Err(problems) = parsed {
            problems.iter().for_each(|problem| diagnostics::warning(&problem.message));
            diagnostics::warning("the config is incomplete; run `ecs-trigger validate` to see what to change");
        }
        Ok(())
    }

    /// Returns the text of every manifest.
    fn source(&self) -> Result<Source, Failed> {
        let text = |path: &PathBuf| match path.as_os_str() == "-" {
            true => Ok(std::io::read_to_string(std::io::stdin())?),
            false => fs::read_to_string(path).map_err(|error| Failed::File { path: path.clone(), error }),
        };
        let mut paths = self.manifests.iter();
        let Some(first) = paths.next() else { return Err(Failed::Usage("name a manifest".to_owned())) };
        let mut source = Source::new(first.display().to_string(), text(first)?);
        for path in paths {
            source.include(path.display().to_string(), &text(path)?);
        }
        Ok(source)
    }
}

/// Returns `file:line:column: key: note`; without a place, `key: note`.
fn line(source: &Source, note: &Note) -> String {
    let place = note.span.map(|span| format!("{}: ", source.place(span))).unwrap_or_default();
    format!("{place}{}: {}", note.key, note.text)
}

fn as_json(source: &Source, note: &Note) -> Value {
    let place = note.span.map(|span| (source.part_at(span.start).name, source.line_column(span.start).line));
    json!({ "key": note.key, "note": note.text, "file": place.map(|(file, _)| file), "line": place.map(|(_, line)| line) })
}
