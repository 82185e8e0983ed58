//! Finding and reading the config.

use std::fs;
use std::path::{Path, PathBuf};

use trigger_core::config::RoutingConfig;
use trigger_core::diagnostic::Diagnostic;
use trigger_core::document::Source;

use crate::diagnostics;
use crate::exit::Failed;
use crate::output;

/// The config's name where none is given.
pub(crate) const FILE_NAME: &str = "ecs-trigger.yaml";

/// The config of a path: the file itself, or the one in the folder.
pub(crate) fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() }
}

/// The config's text.
pub(crate) fn read(path: &Path) -> Result<Source, Failed> {
    let path = file_of(path);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Source::new(path.display().to_string(), text)),
        Err(error) => Err(Failed::File { path, error }),
    }
}

/// The checked config; its problems are shown, warnings included: errors as JSON on standard output if asked for.
pub(crate) fn load(path: &Path, json: bool) -> Result<RoutingConfig, Failed> {
    let source = read(path)?;
    match RoutingConfig::parse(source.clone()) {
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

/// Draws problems on standard error.
pub(crate) fn show(source: &Source, problems: &[Diagnostic]) {
    for problem in problems {
        diagnostics::draw(source, problem);
    }
}
