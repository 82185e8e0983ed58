//! Finds, reads and checks the config.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use trigger_core::config::is_prefix;
use trigger_core::load::{Variables, includes};
use trigger_core::routing::{Route, RoutingConfig, Worker};
use trigger_core::text::Source;
use trigger_core::text::diagnostic::{Diagnostic, hint};

use crate::diagnostics;
use crate::exit::Failed;
use crate::output;

/// The config's file name, if the user names none or only a folder.
pub(crate) const FILE_NAME: &str = "ecs-trigger.yaml";

/// Returns the config that a path means: the file itself, or the one in the folder.
pub(crate) fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() }
}

/// Returns the folder that a config's paths are relative to.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    let file = file_of(path);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// The environment that a config is for.
#[derive(Debug, Clone, Args)]
pub(crate) struct Environment {
    /// Environment, such as staging: ecs-trigger.staging.yaml, beside the config, changes parts of the config.
    #[arg(id = "environment", long = "env", value_name = "NAME", value_parser = environment_name)]
    pub(crate) name: Option<String>,
}

/// Returns the name of an environment. Names of resources begin with it and `-`.
fn environment_name(text: &str) -> Result<String, String> {
    match is_prefix(&format!("{text}-")) {
        true => Ok(text.to_owned()),
        false => Err("begin with a letter; use at most 19 letters, digits and `-`".to_owned()),
    }
}

/// Reads the config, the overlay of the environment, and the files that the config includes.
pub(crate) fn read(path: &Path, environment: &Environment) -> Result<Source, Failed> {
    read_with(path, environment, &variable)
}

fn read_with(path: &Path, environment: &Environment, variables: Variables<'_>) -> Result<Source, Failed> {
    let file = file_of(path);
    let mut source = read_file(&file)?;
    if let Some(name) = &environment.name {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let overlay = file.with_file_name(format!("{stem}.{name}.yaml"));
        let text = fs::read_to_string(&overlay).map_err(|error| {
            let place = overlay.display();
            Failed::Io(format!("{place}: {error}; write into it what differs in the environment `{name}`"))
        })?;
        source.overlay(name, overlay.display().to_string(), &text);
    }
    for included in includes(&source, variables) {
        let path = file.with_file_name(&included.value);
        let text = fs::read_to_string(&path).map_err(|error| {
            Failed::Io(format!("{}: {error}; it is included at {}", path.display(), source.place(included.span)))
        })?;
        source.include(path.display().to_string(), &text);
    }
    Ok(source)
}

fn read_file(path: &Path) -> Result<Source, Failed> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Source::new(path.display().to_string(), text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failed::Io(nothing_at(path))),
        Err(error) => Err(Failed::File { path: path.to_owned(), error }),
    }
}

/// Returns the message that there is no config at this path.
fn nothing_at(path: &Path) -> String {
    match path.strip_prefix(".").unwrap_or(path) == Path::new(FILE_NAME) {
        true => "no config here: write one with `ecs-trigger init`, or name its folder".to_owned(),
        false => {
            let (place, folder) = (path.display(), folder_of(path));
            let folder = folder.display();
            format!("no config at {place}: write one with `ecs-trigger init {folder}`, or name another folder")
        }
    }
}

/// Checks a config, with `${env:NAME}` from the user's environment.
pub(crate) fn parse(source: Source) -> Result<RoutingConfig, Vec<Diagnostic>> {
    RoutingConfig::parse_with(source, &variable)
}

/// Returns the value of a variable in the user's environment.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// Reads and checks the config, and prints its errors and warnings. With `json`, errors are JSON on standard output.
pub(crate) fn load(path: &Path, environment: &Environment, json: bool) -> Result<RoutingConfig, Failed> {
    load_with(path, environment, json, &variable)
}

/// Does the same as [`load`], with these environment variables.
fn load_with(
    path: &Path,
    environment: &Environment,
    json: bool,
    variables: Variables<'_>,
) -> Result<RoutingConfig, Failed> {
    let source = read_with(path, environment, variables)?;
    match RoutingConfig::parse_with(source.clone(), variables) {
        Ok(config) => {
            show(&source, &config.warnings);
            Ok(config)
        }
        Err(problems) => {
            match json {
                true => output::json(&diagnostics::all_as_json(&source, false, &problems))?,
                false => show(&source, &problems),
            }
            Err(Failed::Config)
        }
    }
}

/// Prints problems on standard error.
pub(crate) fn show(source: &Source, problems: &[Diagnostic]) {
    for problem in problems {
        diagnostics::draw(source, problem);
    }
}

/// A config with the environment variables that it uses.
pub(crate) struct Loaded {
    pub(crate) config: RoutingConfig,
    /// The variables that the config takes values from.
    pub(crate) environment: BTreeMap<String, String>,
}

/// Does the same as [`load`], and records the environment variables that the config uses. The functions read the same
/// file and need the same variables.
pub(crate) fn load_with_environment(path: &Path, environment: &Environment, json: bool) -> Result<Loaded, Failed> {
    let (config, environment) = recording(|variables| load_with(path, environment, json, variables));
    Ok(Loaded { config: config?, environment })
}

/// Returns what a function returns, and the variables of the user's environment that it takes.
pub(crate) fn recording<T>(run: impl FnOnce(Variables<'_>) -> T) -> (T, BTreeMap<String, String>) {
    let taken = RefCell::new(BTreeMap::new());
    let variables = |name: &str| {
        let value = variable(name)?;
        taken.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    };
    let returned = run(&variables);
    (returned, taken.into_inner())
}

/// Returns the route of this name.
pub(crate) fn route_of<'a>(config: &'a RoutingConfig, name: &str) -> Result<&'a Route, Failed> {
    config.route(name).ok_or_else(|| {
        let hint = hint(name, config.routes.iter().map(|route| route.name.as_str()));
        Failed::Usage(format!("the config has no route `{name}`{hint}"))
    })
}

/// Returns the worker of this name or, without a name, the only worker.
pub(crate) fn worker_of<'a>(config: &'a RoutingConfig, name: Option<&str>) -> Result<&'a Worker, Failed> {
    let names: Vec<&str> = config.workers.iter().map(|worker| worker.name.as_str()).collect();
    match (name, config.workers.as_slice()) {
        (_, []) => Err(Failed::Usage("the config has no workers; add some under `workers`".to_owned())),
        (None, [only]) => Ok(only),
        (None, _) => {
            Err(Failed::Usage(format!("the config has several workers; pick one with --worker: {}", names.join(", "))))
        }
        (Some(name), _) => config.worker(name).ok_or_else(|| {
            let hint = hint(name, names.iter().copied());
            Failed::Usage(format!("the config has no worker `{name}`{hint}; its workers are {}", names.join(", ")))
        }),
    }
}
