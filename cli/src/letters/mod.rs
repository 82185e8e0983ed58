//! What `dead-letters` and `redrive` have in common: where dead letters are, which are chosen, and how they are shown.
//!
//! - [`Mailbox`] - a dead-letter queue, which is read without taking letters away;
//! - [`Delivery`] - delivers letters again, and deletes those that are recorded;
//! - [`folder`] - the letters of `dev`.

#[cfg(feature = "aws")]
mod delivery;
pub(crate) mod folder;
#[cfg(feature = "aws")]
mod mailbox;

use clap::Args;
use jiff::Timestamp;
use trigger_core::dead_letters::{Choice, Group, Letter, groups};
use trigger_core::pattern::operator::Wildcard;
use trigger_core::routing::RoutingConfig;

use crate::completion;
use crate::config::route_of;
use crate::exit::Failed;
use crate::help::wrapped;
use crate::operation::text::{ID_DIGITS, relative, table, width, wildcard};
use crate::output::{line, printable};

#[cfg(feature = "aws")]
pub(crate) use delivery::Delivery;
#[cfg(feature = "aws")]
pub(crate) use mailbox::{Mailbox, Pass, Received, Stopped, mailboxes, read, stopped};

/// Options that choose letters.
#[derive(Debug, Args)]
pub(crate) struct ChoiceOptions {
    /// Only letters of this route.
    #[arg(long, value_name = "ROUTE", add = completion::routes())]
    route: Option<String>,
    /// Only letters whose reason matches, with `*` for any text.
    #[arg(long, value_name = "GLOB", value_parser = wildcard)]
    reason: Option<Wildcard>,
}

impl ChoiceOptions {
    pub(crate) fn choice(&self) -> Choice {
        Choice { route: self.route.clone(), reason: self.reason.clone() }
    }

    /// Says that no letter is chosen. Fails if the config does not have the route either.
    pub(crate) fn print_none(&self, config: &RoutingConfig) -> Result<(), Failed> {
        self.route.as_ref().map_or(Ok(()), |route| route_of(config, route).map(drop))?;
        line!("no dead letter matches")
    }
}

/// The columns before a reason, below the row of its group.
const INDENT: &str = "       ";

/// Prints how many letters there are of each route and reason.
pub(crate) fn print_groups<'a>(letters: impl IntoIterator<Item = &'a Letter>) -> Result<(), Failed> {
    let (now, width, groups) = (Timestamp::now(), width(), groups(letters));
    let mut rows = vec![["COUNT", "ROUTE", "LATEST", "SUCH AS"].map(str::to_owned).to_vec()];
    rows.extend(groups.iter().map(|group| row(group, now)));
    let rows = table(&rows, width);
    line!("{}", rows[0])?;
    for (row, group) in rows[1..].iter().zip(&groups) {
        line!("{row}")?;
        // The end of a reason often tells it from others, so it is never cut.
        let lines = wrapped(&printable(&group.reason), width - INDENT.len());
        lines.iter().try_for_each(|text| line!("{INDENT}{text}"))?;
    }
    Ok(())
}

/// Returns the cells of a group.
fn row(group: &Group, now: Timestamp) -> Vec<String> {
    let example = group.example.rsplit('/').next().unwrap_or_default();
    vec![
        format!("{:>5}", group.count),
        if group.routes.is_empty() { "-".to_owned() } else { group.routes.join(", ") },
        group.latest.map_or_else(|| "-".to_owned(), |latest| relative(latest, now)),
        printable(&example.chars().take(ID_DIGITS).collect::<String>()),
    ]
}
