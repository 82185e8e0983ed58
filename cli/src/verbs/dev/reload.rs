//! Reads the config again when its files change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde_json::json;
use trigger_core::routing::RoutingConfig;

use crate::config::{self, Environment, file_of};
use crate::diagnostics;
use crate::exit::Failed;
use crate::output;

/// What tells two states of a file apart: its inode, its length, and the seconds and nanoseconds of its last change.
type Stamp = (u64, u64, i64, i64);

/// The files of a config, of which each state is read once.
#[derive(Debug)]
pub(super) struct Reload {
    project: PathBuf,
    environment: Environment,
    routes: Vec<String>,
    json: bool,
    files: Vec<PathBuf>,
    /// The state of the files when they were read last.
    read: Vec<Option<Stamp>>,
    /// The state of the files when they were looked at last.
    seen: Vec<Option<Stamp>>,
}

impl Reload {
    /// Notes the files of a config that was just read.
    pub(super) fn new(
        project: PathBuf,
        environment: Environment,
        routes: Vec<String>,
        json: bool,
        config: &RoutingConfig,
    ) -> Self {
        let files = files(config);
        let read = stamps(&files);
        Self { project, environment, routes, json, files, seen: read.clone(), read }
    }

    /// Returns the config if it has changed and is valid. Shows its errors otherwise.
    pub(super) fn changed(&mut self) -> Option<RoutingConfig> {
        let now = stamps(&self.files);
        // An editor may still be writing: the files are read when they have stayed the same since the last look.
        let is_settled = now == self.seen;
        self.seen.clone_from(&now);
        if !is_settled || now == self.read {
            return None;
        }
        self.read = now;
        match self.load() {
            Ok(Some(config)) => {
                self.files = files(&config);
                self.read = stamps(&self.files);
                self.seen.clone_from(&self.read);
                Some(config)
            }
            Ok(None) => {
                if !self.json {
                    diagnostics::note("the config before the change still applies");
                }
                None
            }
            Err(error) => {
                let reason = error.to_string();
                if self.json {
                    // Output that cannot be written does not stop the tasks.
                    let _ = output::json_line(&json!({ "config_kept": { "reason": reason } }));
                } else {
                    diagnostics::error(&format!("{reason}; the config before the change still applies"));
                }
                None
            }
        }
    }

    fn load(&mut self) -> Result<Option<RoutingConfig>, Failed> {
        let source = config::read(&self.project, &self.environment)?;
        match config::parse(source.clone()) {
            Ok(config) => {
                config::show(&source, &config.warnings);
                only(config, &self.routes).map(Some)
            }
            Err(problems) => {
                match self.json {
                    true => {
                        let problems = diagnostics::all_as_json(&source, false, &problems);
                        output::json_line(&json!({ "config_kept": problems }))?;
                    }
                    false => config::show(&source, &problems),
                }
                Ok(None)
            }
        }
    }
}

/// Returns the config with only these routes; with none named, the whole config.
pub(super) fn only(config: RoutingConfig, routes: &[String]) -> Result<RoutingConfig, Failed> {
    match routes {
        [] => Ok(config),
        routes => config.only(routes).map_err(|error| Failed::Usage(error.to_string())),
    }
}

/// Returns the files that a config was read from.
fn files(config: &RoutingConfig) -> Vec<PathBuf> {
    config.source.parts().map(|part| file_of(part.name.as_ref())).collect()
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |file: &PathBuf| {
        let metadata = fs::metadata(file).ok()?;
        Some((metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
    };
    files.iter().map(stamp).collect()
}
