//! Runs a route for an event.

use jiff::Timestamp;
use serde_json::{Value, json};
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{Event, Firing};
use trigger_core::launch::LaunchRecord;
use trigger_core::routing::Route;
#[cfg(feature = "aws")]
use trigger_engine::{EventError, LaunchReport, operate, ports::LaunchStore};

#[cfg(feature = "aws")]
use super::Deployed;
use super::{Place, Project};
use crate::exit::Failed;

/// A launch, and what became of it when its event was given, in a word.
pub(crate) type Made = (LaunchKey, String);

impl Place {
    /// Runs a route for an event. Returns its launches.
    ///
    /// # Errors
    /// The event was not recorded, or `dev` does not run.
    pub(crate) async fn run(&self, route: &Route, event: &Event) -> Result<Vec<Made>, Failed> {
        match self {
            #[cfg(feature = "aws")]
            Self::Deployed(deployed) => {
                let (report, date) = (deployed.run(route, event.clone()).await?, event.date());
                let made = report.launches.iter().map(|made| {
                    let key = LaunchKey::new(&made.route, &date, &made.client_token);
                    (key, made.outcome.name().to_owned())
                });
                Ok(made.collect())
            }
            Self::Local(project) => project.run(route, event).await,
        }
    }

    /// Reads launches. Returns one answer for each key: nothing if there is no such launch.
    pub(crate) async fn records(&self, keys: &[LaunchKey]) -> Result<Vec<Option<LaunchRecord>>, Failed> {
        match self {
            #[cfg(feature = "aws")]
            Self::Deployed(deployed) => deployed.records(keys).await,
            Self::Local(project) => Ok(keys.iter().map(|key| project.runs.read(&key.to_string()).ok()).collect()),
        }
    }

    /// Returns whether launches are recorded.
    pub(crate) fn has_records(&self) -> bool {
        match self {
            #[cfg(feature = "aws")]
            Self::Deployed(deployed) => deployed.config.ledger().is_some(),
            Self::Local(_) => true,
        }
    }

    /// Returns the firing of a route's schedule at a time, as the schedule delivers it.
    pub(crate) fn firing(&self, route: &str, time: Timestamp) -> Firing {
        match self {
            #[cfg(feature = "aws")]
            Self::Deployed(deployed) => deployed.firing(route, time),
            Self::Local(_) => Firing::local(route, time),
        }
    }
}

impl Project {
    async fn run(&self, route: &Route, event: &Event) -> Result<Vec<Made>, Failed> {
        // The event stays as it is written: a number may have more digits than a float holds.
        let request = format!(r#"{{"run":{},"event":{}}}"#, json!(route.name), event.text);
        let Some(answer) = self.ask_in(request).await? else { return Ok(Vec::new()) };
        let launches = answer["launches"].as_array().into_iter().flatten();
        let made = |launch: &Value| {
            let outcome = launch["outcome"].as_str().unwrap_or_default().to_owned();
            Some((LaunchKey::parse(launch["launch"].as_str()?)?, outcome))
        };
        Ok(launches.filter_map(made).collect())
    }
}

#[cfg(feature = "aws")]
impl Deployed {
    /// Runs a route for an event. With a ledger, its launches are only recorded here.
    pub(crate) async fn run(&self, route: &Route, event: Event) -> Result<LaunchReport, Failed> {
        let ran = operate::run(event, route, &self.config, &self.ports).await;
        ran.map_err(|error: EventError| Failed::Aws(error.to_string()))
    }

    /// Reads launches. Returns one answer for each key: nothing if there is no such launch.
    pub(crate) async fn records(&self, keys: &[LaunchKey]) -> Result<Vec<Option<LaunchRecord>>, Failed> {
        let read = self.store()?.read(keys).await.map_err(|error| Failed::Aws(error.to_string()))?;
        Ok(read.into_iter().map(|stored| stored.map(|stored| stored.record)).collect())
    }

    /// Returns the firing of a route's schedule at a time, with the identity of the one that Scheduler delivers.
    pub(crate) fn firing(&self, route: &str, scheduled_time: Timestamp) -> Firing {
        let identity = &self.account.identity;
        let (partition, region, account) = (identity.partition(), &identity.region, &identity.account);
        let schedule_arn = format!("arn:{partition}:scheduler:{region}:{account}:schedule/{}/{route}", self.stack.name);
        Firing { route: route.to_owned(), schedule_arn, scheduled_time }
    }
}
