//! `ecs-trigger send`: sends messages to a local queue of `dev`.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use trigger_local::folders::queue::{BODY_BYTES_MAX, FolderQueue, Outgoing};

use crate::completion;
use crate::config::{Environment, FILE_NAME, folder_of, load};
use crate::exit::Failed;
use crate::files;
use crate::output;
use crate::sample::{any_queue_of, attribute};

/// Send messages to a queue on this machine, for `dev`.
///
/// Writes each message into the queue's folder, where `ecs-trigger dev` receives it, and prints the message's id. Does
/// not call AWS.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger send jobs '{\"kind\":\"resize\",\"image\":\"a.png\"}'
  ecs-trigger send jobs.fifo 'a text' --group customer-7
  ecs-trigger send jobs - --attribute tenant=a < body.json
  ecs-trigger send jobs --lines jobs.jsonl")]
pub(crate) struct Send {
    /// The queue's name.
    #[arg(add = completion::queues())]
    queue: String,
    /// The message's body, or `-` for standard input.
    #[arg(required_unless_present = "lines", conflicts_with = "lines")]
    body: Option<String>,
    /// Send each line of a file as a message of its own, without empty lines; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    lines: Option<PathBuf>,
    /// The group of the messages, in which a FIFO queue keeps the order.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// A message attribute; repeatable.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// The config file, or the folder that contains it.
    #[arg(long, default_value = FILE_NAME)]
    config: PathBuf,
    #[command(flatten)]
    environment: Environment,
    /// Print each message's id as a line of JSON.
    #[arg(long)]
    json: bool,
}

impl Send {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, &self.environment, self.json)?;
        let queue = any_queue_of(&config, &self.queue)?;
        if queue.is_fifo() && self.group.is_none() {
            return Err(Failed::Usage("a message to a FIFO queue needs a group; give it with --group".to_owned()));
        }
        let bodies = self.bodies()?;
        let is_refused = |body: &String| body.is_empty() || body.len() > BODY_BYTES_MAX;
        if let Some((index, body)) = bodies.iter().enumerate().find(|(_, body)| is_refused(body)) {
            let which = if self.lines.is_some() { format!("message {}", index + 1) } else { "the message".to_owned() };
            return Err(Failed::Usage(format!(
                "{which} has {} bytes; SQS accepts 1 to {BODY_BYTES_MAX} bytes",
                body.len()
            )));
        }
        let queue = FolderQueue::new(queue, config.local.as_ref(), &folder_of(&self.config));
        let mut now = Timestamp::now();
        for body in bodies {
            let message = Outgoing { body, group: self.group.clone(), attributes: self.attributes.clone() };
            let sent = queue.send(&message, now);
            let message_id = sent.map_err(|error| Failed::File { path: queue.folder.clone(), error })?;
            match self.json {
                true => output::json_line(&json!({ "message_id": message_id, "queue": self.queue }))?,
                false => output::bytes(format!("{message_id}\n").as_bytes())?,
            }
            // The names of the messages' files sort by time.
            now = now.checked_add(SignedDuration::from_nanos(1)).unwrap_or(now).max(Timestamp::now());
        }
        Ok(())
    }

    fn bodies(&self) -> Result<Vec<String>, Failed> {
        match (&self.body, &self.lines) {
            (_, Some(lines)) => {
                let text = files::read(lines)?.text;
                Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
            }
            (Some(body), None) if body == "-" => Ok(vec![files::read(Path::new("-"))?.text]),
            (body, None) => Ok(body.iter().cloned().collect()),
        }
    }
}
