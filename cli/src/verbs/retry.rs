//! `ecs-trigger retry`: starts launches again.

use clap::Args;

use crate::blocking::block_on;
use crate::exit::Failed;
use crate::operation::{Changed, PlaceOptions};

/// Start launches again that have ended, however they ended, as the config in force says.
///
/// The launch keeps its name and its story. Its dead letter, if it has one, starts nothing any more; to retry all that
/// failed, see `ecs-trigger redrive`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger retry 3f1c0a9be2
  ecs-trigger retry $(ecs-trigger runs --failed --since 1h --json \\
    | jq -r '.[].launch')")]
pub(crate) struct Retry {
    /// The launches: their names, or the beginnings of their ids.
    #[arg(value_name = "LAUNCH", required = true)]
    launches: Vec<String>,
    #[command(flatten)]
    place: PlaceOptions,
}

impl Retry {
    pub(crate) fn run(self) -> Result<(), Failed> {
        block_on(async {
            let place = self.place.open().await?;
            let mut changed = Changed::new("started again");
            for named in &self.launches {
                let key = place.find(named).await?.key;
                let result = place.retry(&key).await;
                changed.add(&key, result)?;
            }
            changed.end()
        })
    }
}
