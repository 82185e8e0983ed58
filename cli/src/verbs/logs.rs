//! `ecs-trigger logs`: prints what the tasks of a launch wrote.

mod outputs;
#[cfg(feature = "aws")]
mod streams;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use trigger_core::ecs::logs::{Merge, Merged};
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::reason;
use trigger_core::launch::LaunchRecord;
use trigger_local::dev::is_running;

#[cfg(feature = "aws")]
use self::outputs::Reader;
use self::outputs::{Files, Line, Output};
#[cfg(feature = "aws")]
use self::streams::Streams;
use crate::blocking::block_on;
use crate::diagnostics::note;
use crate::exit::Failed;
use crate::operation::text::{local_to_millisecond, moment};
use crate::operation::{Place, PlaceOptions};
use crate::output::{self, line, printable, printable_output};

/// The pause between two looks of `--follow`.
const PAUSE: Duration = Duration::from_secs(1);
/// `--follow` ends after this many looks without a new line, once the launch has ended: CloudWatch Logs has the last lines
/// some seconds later.
#[cfg(feature = "aws")]
const QUIET_LOOKS: u32 = 4;

/// Print what the tasks of a launch wrote: all containers and all attempts, in the order of time.
///
/// The output comes from CloudWatch Logs, where the log configurations of the task definition say; with --local, from the
/// files that `ecs-trigger dev` keeps. Each line begins with its time and, if there are several, with its container and
/// the number of the attempt, as in `app #2`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger logs 3f1c0a9be2
  ecs-trigger logs 3f1c0a9be2 --follow
  ecs-trigger logs 3f1c0a9be2 --attempt 2 --container app --since 10m
  ecs-trigger logs 3f1c0a9be2 --json | jq -r .text
  ecs-trigger logs 0123456789abcdef --local")]
pub(crate) struct Logs {
    /// The launch: its name, the beginning of its id, or of the id of its ECS task.
    #[arg(value_name = "LAUNCH")]
    launch: String,
    /// Keep printing until the launch has ended, including later attempts.
    #[arg(long, short)]
    follow: bool,
    /// Only the output of this container; repeatable.
    #[arg(long = "container", value_name = "NAME")]
    containers: Vec<String>,
    /// Only the output of this attempt, from 1, as `show` counts them.
    #[arg(long, value_name = "NUMBER")]
    attempt: Option<NonZeroU32>,
    /// Only lines since this time, such as 2026-01-31T08:00:00Z, or within the last, such as 10m.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Print each line as JSON. There, attempts count from 0.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceOptions,
}

impl Logs {
    pub(crate) fn run(self) -> Result<(), Failed> {
        block_on(async {
            let place = self.place.open().await?;
            let mut record = place.find(&self.launch).await?;
            self.has_attempt(&record)?;
            let mut text = Text::new(&place, &self, &record);
            let mut quiet = 0;
            loop {
                let has_ended = has_ended(&place, &record);
                text.look_for_outputs(&record).await?;
                let has_printed = text.print().await?;
                quiet = if has_printed || !has_ended { 0 } else { quiet + 1 };
                if !self.follow || quiet >= quiet_looks(&place) {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
                if !has_ended {
                    record = place.find(&record.key.to_string()).await?;
                }
            }
            text.tell_what_is_missing(&record)
        })
    }

    /// Fails if the attempt that is asked for can never have output.
    fn has_attempt(&self, record: &LaunchRecord) -> Result<(), Failed> {
        let (made, asked) = (record.attempts.len(), self.attempt.map_or(0, NonZeroU32::get));
        match asked as usize > made.max(1) && !self.follow {
            true => Err(Failed::Usage(format!("the launch has no attempt {asked}; it made {made}"))),
            false => Ok(()),
        }
    }
}

/// Returns whether nothing more happens to a launch.
fn has_ended(place: &Place, record: &LaunchRecord) -> bool {
    let can_go_on = match place {
        #[cfg(feature = "aws")]
        Place::Deployed(_) => true,
        Place::Local(project) => is_running(&project.folder),
    };
    record.ended.is_some() || !can_go_on
}

/// Returns after how many looks without a new line the output of a launch that has ended is whole.
fn quiet_looks(place: &Place) -> u32 {
    match place {
        #[cfg(feature = "aws")]
        Place::Deployed(_) => QUIET_LOOKS,
        Place::Local(_) => 1,
    }
}

/// The output of all containers, as one text.
struct Text<'a> {
    place: &'a Place,
    wanted: &'a Logs,
    launch: LaunchKey,
    files: Files,
    #[cfg(feature = "aws")]
    streams: Streams,
    /// The outputs that are read. A source of `merge` has the same number.
    outputs: Vec<Output>,
    merge: Merge<Line>,
    /// The names of all containers that were found.
    containers: BTreeSet<String>,
}

impl<'a> Text<'a> {
    fn new(place: &'a Place, wanted: &'a Logs, record: &LaunchRecord) -> Self {
        Self {
            place,
            wanted,
            launch: record.key.clone(),
            files: Files::default(),
            #[cfg(feature = "aws")]
            streams: Streams::default(),
            outputs: Vec::new(),
            merge: Merge::default(),
            containers: BTreeSet::new(),
        }
    }

    /// Finds the outputs that are new, and takes those that are asked for.
    async fn look_for_outputs(&mut self, record: &LaunchRecord) -> Result<(), Failed> {
        let found = match self.place {
            #[cfg(feature = "aws")]
            Place::Deployed(deployed) => self.streams.find(&deployed.account, record, self.wanted.since).await?,
            Place::Local(project) => self.files.find(&project.runs, &record.key),
        };
        let wanted = self.wanted;
        self.containers.extend(found.iter().map(|output| output.container.clone()));
        if let Some(unknown) = wanted.containers.iter().find(|name| !self.containers.contains(*name))
            && !self.containers.is_empty()
        {
            let known: Vec<&str> = self.containers.iter().map(String::as_str).collect();
            let known = known.join(", ");
            return Err(Failed::Usage(format!("the task has no container `{unknown}`; its containers are {known}")));
        }
        for output in found {
            let is_wanted = (wanted.containers.is_empty() || wanted.containers.contains(&output.container))
                && wanted.attempt.is_none_or(|attempt| attempt.get() == output.attempt + 1);
            match &output.reader {
                _ if !is_wanted => {}
                #[cfg(feature = "aws")]
                Reader::Elsewhere(why) => {
                    note(&printable(&format!("the container `{}` is not shown: {why}", output.container)));
                }
                _ => {
                    self.merge.add_source();
                    self.outputs.push(output);
                }
            }
        }
        Ok(())
    }

    /// Prints the lines that are new. Returns whether there were any.
    async fn print(&mut self) -> Result<bool, Failed> {
        let mut has_printed = false;
        let width = self.outputs.iter().map(|output| self.label(output).chars().count()).max().unwrap_or(0);
        self.merge.reopen();
        loop {
            match self.merge.next_step() {
                Merged::End => return Ok(has_printed),
                Merged::Needs(number) => {
                    let page = self.outputs[number].reader.read().await?;
                    // Times of lines have no more than milliseconds.
                    let since = self.wanted.since.map(Timestamp::as_millisecond);
                    let lines = page.lines.into_iter();
                    let lines = lines.filter(|(at, _)| since.is_none_or(|since| since <= at.as_millisecond()));
                    self.merge.add(number, lines, page.is_at_end);
                }
                Merged::Line(number, at, line) => {
                    has_printed = true;
                    self.outputs[number].has_lines = true;
                    self.print_line(&self.outputs[number], at, &line, width)?;
                }
            }
        }
    }

    /// Prints a line of an output. Labels have this many columns.
    fn print_line(&self, output: &Output, at: Timestamp, line: &Line, width: usize) -> Result<(), Failed> {
        if self.wanted.json {
            return output::json_line(&json!({
                "at": at,
                "launch": self.launch.to_string(),
                "attempt": output.attempt,
                "container": output.container,
                "ecs_task": output.ecs_task,
                "stream": line.stream,
                "text": line.text,
            }));
        }
        let label = match width {
            0 => String::new(),
            width => format!("{:width$}  ", self.label(output)),
        };
        let head = format!("{}  {label}", local_to_millisecond(at));
        let mut parts = line.text.lines();
        let first = parts.next().unwrap_or_default();
        line!("{head}{}", printable_output(first))?;
        // A message of several lines, such as a stack trace.
        let indent = " ".repeat(head.chars().count());
        parts.try_for_each(|text| line!("{indent}{}", printable_output(text)))
    }

    /// Returns what tells an output from the others.
    fn label(&self, output: &Output) -> String {
        let has_several = |differs: fn(&Output, &Output) -> bool| {
            self.outputs.first().is_some_and(|first| self.outputs.iter().any(|other| differs(first, other)))
        };
        let container =
            has_several(|first, other| first.container != other.container).then(|| output.container.clone());
        let attempt =
            has_several(|first, other| first.attempt != other.attempt).then(|| format!("#{}", output.attempt + 1));
        container.into_iter().chain(attempt).collect::<Vec<_>>().join(" ")
    }

    /// Tells why there is no output, where there is none.
    fn tell_what_is_missing(&self, record: &LaunchRecord) -> Result<(), Failed> {
        if record.tasks.is_empty() && self.outputs.is_empty() {
            let why = reason(record).map(|reason| format!(": {reason}")).unwrap_or_default();
            note(&printable(&format!("no task of the launch has started{why}")));
            return Ok(());
        }
        for output in self.outputs.iter().filter(|output| !output.has_lines) {
            let Output { attempt, container, reader, .. } = output;
            let task = record.tasks.iter().find(|task| task.attempt == *attempt);
            let stopped =
                task.and_then(|task| task.stopped.as_ref()).map(|stopped| format!("; its task stopped: {stopped}"));
            let why = reader.why_empty().unwrap_or_else(|| match self.wanted.since {
                Some(_) => "it wrote nothing since then".to_owned(),
                None => "it wrote nothing".to_owned(),
            });
            let stopped = stopped.unwrap_or_default();
            note(&printable(&format!("attempt {}, container `{container}`: {why}{stopped}", attempt + 1)));
        }
        Ok(())
    }
}
