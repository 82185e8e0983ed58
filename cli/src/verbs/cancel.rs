//! `ecs-trigger cancel`: stops launches.

use clap::Args;
use trigger_core::history::{HistoryQuery, Launches};
use trigger_core::launch::LaunchRecord;

use crate::blocking::block_on;
use crate::completion;
use crate::config::route_of;
use crate::confirm::confirmed;
use crate::exit::Failed;
use crate::operation::{Changed, Place, PlaceOptions};
use crate::output::line;

/// Cancel launches: their tasks are stopped, and none is started any more.
///
/// The launch is recorded as cancelled: it is not retried and does not count as a failure. The functions stop the task within seconds.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger cancel 3f1c0a9be2
  ecs-trigger cancel --route csv-upload --yes")]
pub(crate) struct Cancel {
    /// The launches: their names, or the beginnings of their ids.
    #[arg(value_name = "LAUNCH", required_unless_present = "route")]
    launches: Vec<String>,
    /// All open launches of this route.
    #[arg(long, value_name = "ROUTE", conflicts_with = "launches", add = completion::routes())]
    route: Option<String>,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    place: PlaceOptions,
}

impl Cancel {
    pub(crate) fn run(self) -> Result<(), Failed> {
        block_on(async {
            let place = self.place.open().await?;
            let launches = self.launches(&place).await?;
            if launches.is_empty() {
                return line!("no launch is open");
            }
            if launches.len() > 1 && !self.yes && !confirmed(&format!("cancel {} launches?", launches.len()))? {
                return Err(Failed::Refused("not confirmed; nothing was cancelled".to_owned()));
            }
            let mut changed = Changed::new("cancelled");
            for record in launches {
                let result = place.cancel(&record.key).await;
                changed.add(&record.key, result)?;
            }
            changed.end()
        })
    }

    async fn launches(&self, place: &Place) -> Result<Vec<LaunchRecord>, Failed> {
        if let Some(route) = &self.route {
            route_of(place.config(), route)?;
            let query = HistoryQuery { route: Some(route.clone()), ..HistoryQuery::new(Launches::Open) };
            return place.history(&query, usize::MAX).await;
        }
        let mut found = Vec::new();
        for named in &self.launches {
            found.push(place.find(named).await?);
        }
        Ok(found)
    }
}
