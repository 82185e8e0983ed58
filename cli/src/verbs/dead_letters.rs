//! `ecs-trigger dead-letters`: lists dead letters.

use clap::Args;
use serde_json::{Value, json};
use trigger_core::dead_letters::{Letter, groups};

use crate::blocking::block_on;
use crate::exit::Failed;
#[cfg(feature = "aws")]
use crate::letters;
use crate::letters::{ChoiceOptions, folder, print_groups};
use crate::operation::{Place, PlaceOptions};
use crate::output;

/// List dead letters: how many there are of each route and reason.
///
/// Reads the stack's dead-letter queue, where events are whose tasks could not be started or failed, and the dead-letter
/// queues of the routes' queues. A letter that is read stays in its queue. Reasons that differ only in ids, ARNs, times
/// and numbers are one: `*` is in their place, so that `--reason` takes the text.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger dead-letters
  ecs-trigger dead-letters --route csv-upload --reason '*exit code 137*'
  ecs-trigger dead-letters --json | jq -r '.letters[].launch'
  ecs-trigger dead-letters --local

`ecs-trigger show` tells the story of the launch under SUCH AS;
`ecs-trigger redrive` delivers letters again.")]
pub(crate) struct DeadLetters {
    #[command(flatten)]
    choice: ChoiceOptions,
    /// Read at most this many letters of each queue.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    limit: usize,
    /// Print the groups and the letters as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceOptions,
}

impl DeadLetters {
    pub(crate) fn run(self) -> Result<(), Failed> {
        block_on(async {
            let place = self.place.open().await?;
            let queues: Vec<(String, Vec<Letter>)> = match &place {
                #[cfg(feature = "aws")]
                Place::Deployed(deployed) => self.of_stack(deployed).await?,
                Place::Local(project) => {
                    let letters = folder::letters(&project.folder, &project.config).into_iter();
                    vec![("dead-letters".to_owned(), letters.map(|(_, letter, _)| letter).collect())]
                }
            };
            let choice = self.choice.choice();
            let chosen = queues.iter().map(|(queue, letters)| {
                (queue, letters.iter().filter(|letter| choice.takes(letter)).collect::<Vec<_>>())
            });
            let chosen: Vec<(&String, Vec<&Letter>)> = chosen.collect();
            let all = || chosen.iter().flat_map(|(_, letters)| letters.iter().copied());
            match (self.json, all().next()) {
                (true, _) => output::json(&as_json(&chosen)),
                (false, None) => self.choice.print_none(place.config()),
                (false, Some(_)) => print_groups(all()),
            }
        })
    }

    #[cfg(feature = "aws")]
    async fn of_stack(&self, deployed: &crate::operation::Deployed) -> Result<Vec<(String, Vec<Letter>)>, Failed> {
        let mailboxes = letters::mailboxes(deployed).await?;
        let read = letters::read(deployed, &mailboxes, &letters::stopped(), self.limit, |_| true).await?;
        Ok(mailboxes.iter().map(|mailbox| mailbox.name().to_owned()).zip(read).collect())
    }
}

fn as_json(queues: &[(&String, Vec<&Letter>)]) -> Value {
    let letters = queues.iter().flat_map(|(queue, letters)| {
        letters.iter().map(move |letter| {
            let mut shown = json!(letter);
            shown["queue"] = queue.as_str().into();
            shown
        })
    });
    let letters: Vec<Value> = letters.collect();
    json!({ "groups": groups(queues.iter().flat_map(|(_, letters)| letters.iter().copied())), "letters": letters })
}
