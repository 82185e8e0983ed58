//! `ecs-trigger redrive`: delivers dead letters again.

#[cfg(feature = "aws")]
use std::cell::RefCell;
#[cfg(feature = "aws")]
use std::collections::HashSet;
#[cfg(feature = "aws")]
use std::pin::pin;

use clap::Args;
#[cfg(feature = "aws")]
use futures_util::{StreamExt, stream};
use serde_json::json;
use trigger_core::dead_letters::{Letter, groups, pattern_of};
use trigger_core::replay::Rate;

use crate::blocking::block_on;
use crate::confirm::confirmed_or_interrupted;
use crate::diagnostics::{self, counted};
use crate::exit::Failed;
use crate::letters::{ChoiceOptions, folder, print_groups};
#[cfg(feature = "aws")]
use crate::letters::{Delivery, Mailbox, Pass, Received, Stopped, mailboxes, read, stopped};
#[cfg(feature = "aws")]
use crate::operation::Deployed;
use crate::operation::{Meter, Pace, Place, PlaceOptions, Project};
use crate::output::{self, line, printable};

/// So many letters are delivered at once, if the rate allows it. Those of a FIFO queue are delivered one by one.
#[cfg(feature = "aws")]
const AT_ONCE: usize = 10;
/// Why a letter stays that was shown but is not found again.
#[cfg(feature = "aws")]
const GONE: &str = "its queue does not show it now, as somebody else reads or has deleted it; redrive again";

/// Deliver dead letters again: of all, of a route, or with a reason.
///
/// Shows how many letters there are of each route and reason, and asks before it delivers exactly these. The launch of a
/// letter starts again, as the config in force says; a letter without a launch has its event handled anew, and a firing
/// is not too late. A message that a route's queue gave up goes back to that queue. With a ledger everything is only
/// recorded, and the functions start the tasks.
///
/// A letter is deleted once it is recorded. All others stay, and each reason is printed. Redriving twice starts nothing
/// twice.
///
/// Exits with 1 if a letter stays.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger redrive --dry-run
  ecs-trigger redrive --route csv-upload --reason '*exit code 137*'
  ecs-trigger redrive --limit 10 --rate 1/s --yes
  ecs-trigger redrive --local

With --local, `ecs-trigger dev` delivers the letters. It moves a letter to
.ecs-trigger/dead-letters/done/ when the work of its event is done.")]
pub(crate) struct Redrive {
    #[command(flatten)]
    choice: ChoiceOptions,
    /// Deliver at most this many letters.
    #[arg(long, value_name = "COUNT", default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
    /// Deliver letters at this rate.
    #[arg(long, value_name = "RATE", default_value = "5/s", value_parser = Rate::parse)]
    rate: Rate,
    /// Show which letters would be delivered, and stop.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
    /// Print what became of the letters as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceOptions,
}

/// What became of the letters.
#[derive(Debug, Default)]
struct Tally {
    redriven: usize,
    /// The letters that stay, with the reasons.
    stay: Vec<(Letter, String)>,
    is_interrupted: bool,
}

impl Redrive {
    pub(crate) fn run(self) -> Result<(), Failed> {
        block_on(async {
            let place = self.place.open().await?;
            match &place {
                #[cfg(feature = "aws")]
                Place::Deployed(deployed) => self.of_stack(&place, deployed).await,
                Place::Local(project) => self.of_project(&place, project).await,
            }
        })
    }

    /// Shows the letters and asks. Returns whether to deliver them.
    async fn is_agreed(&self, place: &Place, letters: &[&Letter]) -> Result<bool, Failed> {
        match (letters, self.json) {
            ([], true) => output::json(&json!({ "groups": [], "redriven": 0, "stay": [] })).map(|()| false),
            ([], false) => self.choice.print_none(place.config()).map(|()| false),
            (_, true) if self.dry_run => {
                let groups = groups(letters.iter().copied());
                output::json(&json!({ "groups": groups, "letters": letters })).map(|()| false)
            }
            (_, is_json) => {
                if !is_json {
                    print_groups(letters.iter().copied())?;
                }
                if self.dry_run {
                    return Ok(false);
                }
                let what = counted(letters.len(), "dead letter");
                match self.yes || confirmed_or_interrupted(format!("redrive {what}?")).await? {
                    true => Ok(true),
                    false => Err(Failed::Refused("not confirmed; nothing was redriven".to_owned())),
                }
            }
        }
    }

    #[cfg(feature = "aws")]
    async fn of_stack(&self, place: &Place, deployed: &Deployed) -> Result<(), Failed> {
        let (choice, stopped) = (self.choice.choice(), stopped());
        let mailboxes = mailboxes(deployed).await?;
        let mut chosen = read(deployed, &mailboxes, &stopped, self.limit, |letter| choice.takes(letter)).await?;
        let mut left = self.limit;
        for letters in &mut chosen {
            letters.truncate(left);
            left -= letters.len();
        }
        let all: Vec<&Letter> = chosen.iter().flatten().collect();
        if !self.is_agreed(place, &all).await? {
            return Ok(());
        }
        let (mut tally, pace) = (Tally::default(), Pace::new(self.rate));
        let mut meter = Meter::new(all.len(), "redriven");
        let mut delivered = Ok(());
        for (mailbox, letters) in mailboxes.iter().zip(&chosen) {
            let work = Work { deployed, mailbox, pace: &pace, stopped: &stopped, blocked: RefCell::default() };
            delivered = work.deliver(letters, &mut tally, &mut meter).await;
            if delivered.is_err() {
                break;
            }
        }
        drop(meter);
        let told = self.print(&all, tally);
        delivered.and(told)
    }

    async fn of_project(&self, place: &Place, project: &Project) -> Result<(), Failed> {
        let choice = self.choice.choice();
        let mut letters = folder::letters(&project.folder, &project.config);
        letters.retain(|(_, letter, _)| choice.takes(letter));
        letters.truncate(self.limit);
        let all: Vec<&Letter> = letters.iter().map(|(_, letter, _)| letter).collect();
        if !self.is_agreed(place, &all).await? {
            return Ok(());
        }
        let (mut tally, pace) = (Tally::default(), Pace::new(self.rate));
        let mut meter = Meter::new(all.len(), "asked for");
        let mut is_running = true;
        for (message, letter, redelivery) in &letters {
            pace.turn().await;
            let mut asked = folder::requests(message, redelivery, &project.config);
            for request in asked.clone().into_iter().flatten() {
                match folder::ask(project, &request, &mut is_running).await {
                    Ok(()) => {}
                    Err(Failed::Refused(reason)) => asked = Err(reason),
                    Err(error) => return Err(error),
                }
            }
            match asked {
                Ok(_) => tally.redriven += 1,
                Err(reason) => tally.stay.push((letter.clone(), reason)),
            }
            meter.add_one();
        }
        drop(meter);
        self.print(&all, tally)
    }

    /// Prints what became of the letters. Fails if one stays.
    fn print(&self, all: &[&Letter], tally: Tally) -> Result<(), Failed> {
        let Tally { redriven, stay, is_interrupted } = tally;
        if self.json {
            let stay = stay.iter().map(|(letter, reason)| json!({ "letter": letter, "reason": reason }));
            let groups = groups(all.iter().copied());
            output::json(&json!({ "groups": groups, "redriven": redriven, "stay": stay.collect::<Vec<_>>() }))?;
        } else {
            line!("redrove {}", counted(redriven, "dead letter"))?;
        }
        let mut reasons: Vec<(String, &Letter, &String, usize)> = Vec::new();
        for (letter, reason) in &stay {
            let pattern = pattern_of(reason);
            match reasons.iter_mut().find(|(known, ..)| *known == pattern) {
                Some((.., count)) => *count += 1,
                None => reasons.push((pattern, letter, reason, 1)),
            }
        }
        for (_, letter, reason, count) in reasons {
            let such = letter.launch.as_ref().or(letter.event_id.as_ref()).unwrap_or(&letter.message_id);
            let text = match count {
                1 => format!("the letter of {such} stays: {reason}"),
                _ => format!("{count} letters stay, such as that of {such}: {reason}"),
            };
            diagnostics::error(&printable(&text));
        }
        match (is_interrupted, stay.is_empty()) {
            (true, _) => Err(Failed::Interrupted),
            (false, true) => Ok(()),
            (false, false) => Err(Failed::Negative),
        }
    }
}

/// The delivery of the letters of a queue.
#[cfg(feature = "aws")]
struct Work<'a> {
    deployed: &'a Deployed,
    mailbox: &'a Mailbox,
    pace: &'a Pace,
    stopped: &'a Stopped,
    /// The groups of a FIFO queue of which a letter stays. No letter behind it may overtake it.
    blocked: RefCell<HashSet<String>>,
}

#[cfg(feature = "aws")]
impl Work<'_> {
    /// Delivers these letters, and no others that have come since.
    async fn deliver(&self, letters: &[Letter], tally: &mut Tally, meter: &mut Meter) -> Result<(), Failed> {
        let mut left: HashSet<&str> = letters.iter().map(|letter| letter.message_id.as_str()).collect();
        let mut pass = Pass::new(self.mailbox, &self.deployed.account.sqs, self.stopped.clone());
        let delivered = self.deliver_all(&mut pass, &mut left, tally, meter).await;
        pass.release().await;
        match delivered {
            Err(Failed::Interrupted) => tally.is_interrupted = true,
            delivered => delivered?,
        }
        if !tally.is_interrupted {
            let gone = letters.iter().filter(|letter| left.contains(letter.message_id.as_str())).cloned();
            tally.stay.extend(gone.map(|letter| (letter, GONE.to_owned())));
        }
        Ok(())
    }

    /// Delivers the letters that are left, until none is or the pass ends.
    async fn deliver_all(
        &self,
        pass: &mut Pass<'_>,
        left: &mut HashSet<&str>,
        tally: &mut Tally,
        meter: &mut Meter,
    ) -> Result<(), Failed> {
        let at_once = if self.mailbox.is_fifo() { 1 } else { AT_ONCE };
        while !left.is_empty() {
            let mut received = pass.next().await?;
            if received.is_empty() {
                break;
            }
            received.retain(|received| left.remove(received.message.message_id.as_str()));
            let turns = stream::iter(&received).then(|received| async move {
                self.pace.turn().await;
                received
            });
            let turns = pin!(turns.take_until(self.stopped.clone()));
            let mut delivered =
                turns.map(|it| async move { (it, self.deliver_one(it).await) }).buffer_unordered(at_once);
            let mut count = 0;
            while let Some((received, result)) = delivered.next().await {
                count += 1;
                meter.add_one();
                match result {
                    Ok(()) => {
                        tally.redriven += 1;
                        pass.forget(&received.message.message_id);
                    }
                    Err(reason) => tally.stay.push((received.message.read(&self.deployed.config).0, reason)),
                }
            }
            if count < received.len() {
                return Err(Failed::Interrupted);
            }
        }
        Ok(())
    }

    async fn deliver_one(&self, received: &Received) -> Result<(), String> {
        let group = received.group().filter(|_| self.mailbox.is_fifo());
        if group.as_ref().is_some_and(|group| self.blocked.borrow().contains(group)) {
            return Err("an earlier letter of its group stays".to_owned());
        }
        let delivered = Delivery { deployed: self.deployed, mailbox: self.mailbox }.deliver(received).await;
        if delivered.is_err() {
            self.blocked.borrow_mut().extend(group);
        }
        delivered
    }
}
