//! What the verbs that operate have in common: where launches are, and how they are shown.
//!
//! - [`Place`] - the launches of a deployed stack, or of `dev` on this machine; the verbs ask it the same questions;
//! - [`Deployed`] - a deployed stack, with the config in force;
//! - [`running`] - runs a route for an event;
//! - [`objects`] - the objects of buckets, and which of them ran;
//! - [`Meter`] - how far a verb is that starts many launches;
//! - [`text`] - times, rows and launches as text.

#[cfg(feature = "aws")]
mod deployed;
mod meter;
#[cfg(feature = "aws")]
pub(crate) mod objects;
mod pace;
mod running;
pub(crate) mod text;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
#[cfg(feature = "aws")]
pub(crate) use deployed::Deployed;
pub(crate) use meter::Meter;
pub(crate) use pace::Pace;
use serde_json::{Value, json};
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::HistoryQuery;
use trigger_core::launch::LaunchRecord;
use trigger_core::routing::RoutingConfig;
#[cfg(feature = "aws")]
use trigger_engine::{NotChanged, operate};
use trigger_local::dev::requests::Request;
use trigger_local::runs::Runs;

#[cfg(feature = "aws")]
use crate::account::AccountOptions;
use crate::config::{Environment, FILE_NAME, folder_of, load};
use crate::diagnostics;
use crate::exit::Failed;
use crate::output::line;

/// How often, and how often at most, a verb looks whether `dev` has answered.
const ANSWER_PAUSE: Duration = Duration::from_millis(100);
const ANSWER_LOOKS: u32 = 100;

/// Options that say where the launches are.
#[derive(Debug, Args)]
pub(crate) struct PlaceOptions {
    /// The config, or the folder that holds it.
    #[arg(long, default_value = FILE_NAME)]
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) environment: Environment,
    /// Ask for what `ecs-trigger dev` runs on this machine, and not for the deployed stack.
    #[arg(long)]
    pub(crate) local: bool,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    pub(crate) account: AccountOptions,
}

/// Where launches are.
#[derive(Debug)]
pub(crate) enum Place {
    /// In the table of a deployed stack.
    #[cfg(feature = "aws")]
    Deployed(Box<Deployed>),
    /// In the project's folder on this machine.
    Local(Box<Project>),
}

/// A project on this machine.
#[derive(Debug)]
pub(crate) struct Project {
    /// The config.
    pub(crate) config: RoutingConfig,
    /// The config's folder.
    pub(crate) folder: PathBuf,
    /// The launches that `dev` has made.
    pub(crate) runs: Runs,
}

impl PlaceOptions {
    /// Opens the place that the options name.
    pub(crate) async fn open(&self) -> Result<Place, Failed> {
        #[cfg(feature = "aws")]
        if !self.local {
            return Ok(Place::Deployed(Box::new(self.deployed().await?)));
        }
        self.project().map(Box::new).map(Place::Local)
    }

    /// Opens the project on this machine.
    fn project(&self) -> Result<Project, Failed> {
        if !self.local {
            return Err(Failed::Usage(
                "this ecs-trigger was built without AWS; pass --local to ask for what `ecs-trigger dev` runs"
                    .to_owned(),
            ));
        }
        let config = load(&self.config, &self.environment, false)?;
        let folder = folder_of(&self.config);
        let runs = Runs::open(&folder);
        Ok(Project { config, folder, runs })
    }
}

impl Project {
    /// Asks the `dev` that runs the project for something. Returns its answer, or nothing if `dev` does not run now: then
    /// it does it when it starts.
    pub(crate) async fn ask(&self, request: &Value) -> Result<Option<Value>, Failed> {
        self.ask_in(request.to_string()).await
    }

    /// Does the same as [`Self::ask`] with a request that is JSON already.
    async fn ask_in(&self, request: String) -> Result<Option<Value>, Failed> {
        let asked = Request::put(&self.folder, request)?;
        for _ in 0..ANSWER_LOOKS {
            if let Some(answer) = asked.take_answer() {
                let answer: Value = serde_json::from_str(&answer).unwrap_or(Value::Null);
                return match answer["error"].as_str() {
                    Some(error) => Err(Failed::Refused(error.to_owned())),
                    None => Ok(Some(answer)),
                };
            }
            tokio::time::sleep(ANSWER_PAUSE).await;
        }
        diagnostics::note("`ecs-trigger dev` does not run here; it does this when it starts");
        Ok(None)
    }
}

/// Changes of several launches, which are told one by one.
#[derive(Debug)]
pub(crate) struct Changed {
    /// What became of each launch, in a word.
    word: &'static str,
    has_failed: bool,
}

impl Changed {
    pub(crate) fn new(word: &'static str) -> Self {
        Self { word, has_failed: false }
    }

    /// Tells what became of a launch. What is not possible for one does not keep the others from it.
    pub(crate) fn add(&mut self, launch: &LaunchKey, result: Result<(), Failed>) -> Result<(), Failed> {
        match result {
            Ok(()) => line!("{}: {launch}", self.word),
            Err(Failed::Refused(reason)) => {
                self.has_failed = true;
                diagnostics::error(&format!("{launch} was not {}: {reason}", self.word));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Fails if one of the launches was not changed.
    pub(crate) fn end(self) -> Result<(), Failed> {
        if self.has_failed { Err(Failed::Negative) } else { Ok(()) }
    }
}

#[cfg(feature = "aws")]
fn not_changed(error: &NotChanged) -> Failed {
    match error {
        NotChanged::Drive(error) => Failed::Aws(error.to_string()),
        error => Failed::Refused(error.to_string()),
    }
}

impl Place {
    /// Returns the config in force.
    pub(crate) fn config(&self) -> &RoutingConfig {
        match self {
            #[cfg(feature = "aws")]
            Self::Deployed(deployed) => &deployed.config,
            Self::Local(project) => &project.config,
        }
    }

    /// Returns the first launches that a query asks for, at most `limit`.
    pub(crate) async fn history(&self, query: &HistoryQuery, limit: usize) -> Result<Vec<LaunchRecord>, Failed> {
        match self {
            #[cfg(feature = "aws")]
            Self::Deployed(deployed) => deployed.history(query, limit).await,
            Self::Local(project) => {
                let mut launches = project.runs.history(query);
                launches.truncate(limit);
                Ok(launches)
            }
        }
    }

    /// Cancels a launch.
    pub(crate) async fn cancel(&self, launch: &LaunchKey) -> Result<(), Failed> {
        match self {
            #[cfg(feature = "aws")]
            Self::Deployed(deployed) => {
                let Deployed { config, ports, .. } = &**deployed;
                operate::cancel(launch, config, ports).await.map_err(|error| not_changed(&error))
            }
            Self::Local(project) => project.ask(&json!({ "cancel": launch.to_string() })).await.map(drop),
        }
    }

    /// Starts a launch again that has ended.
    pub(crate) async fn retry(&self, launch: &LaunchKey) -> Result<(), Failed> {
        match self {
            #[cfg(feature = "aws")]
            Self::Deployed(deployed) => {
                let Deployed { config, ports, .. } = &**deployed;
                operate::retry(launch, config, ports).await.map_err(|error| not_changed(&error))
            }
            Self::Local(project) => project.ask(&json!({ "retry": launch.to_string() })).await.map(drop),
        }
    }

    /// Returns the launch with this name, or the only one whose id, or the id of whose task, begins with it.
    pub(crate) async fn find(&self, named: &str) -> Result<LaunchRecord, Failed> {
        match self {
            #[cfg(feature = "aws")]
            Self::Deployed(deployed) => deployed.find(named).await,
            Self::Local(project) => project.runs.read(named).map_err(|error| Failed::Usage(error.to_string())),
        }
    }
}
