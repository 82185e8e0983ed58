//! `ecs-trigger send`: sends a message to a local queue of `dev`.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use trigger_local::folders::queue::{BODY_BYTES_MAX, FolderQueue, Outgoing};

use crate::config::{Environment, FILE_NAME, folder_of, load};
use crate::exit::Failed;
use crate::files;
use crate::output;
use crate::sample::{any_queue_of, attribute};

/// Send a message to a queue on this machine, for `dev`.
///
/// Writes the message into the queue's folder, where `ecs-trigger dev` receives it, and prints the message's id. Does
/// not call AWS.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecs-trigger send jobs '{\"kind\":\"resize\",\"image\":\"a.png\"}'
  ecs-trigger send jobs.fifo 'a text' --group customer-7
  ecs-trigger send jobs - --attribute tenant=a < body.json")]
pub(crate) struct Send {
    /// The queue's name.
    queue: String,
    /// The message's body, or `-` for standard input.
    body: String,
    /// The message's group, in which a FIFO queue keeps the order.
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
    /// Print the message's id as JSON.
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
        let body = match self.body.as_str() {
            "-" => files::read(Path::new("-"))?.text,
            body => body.to_owned(),
        };
        if body.is_empty() || body.len() > BODY_BYTES_MAX {
            return Err(Failed::Usage(format!(
                "the message has {} bytes; SQS accepts 1 to {BODY_BYTES_MAX} bytes",
                body.len()
            )));
        }
        let queue = FolderQueue::new(queue, config.local.as_ref(), &folder_of(&self.config));
        let message = Outgoing { body, group: self.group, attributes: self.attributes };
        let sent = queue.send(&message, Timestamp::now());
        let message_id = sent.map_err(|error| Failed::File { path: queue.folder.clone(), error })?;
        match self.json {
            true => output::json_line(&json!({ "message_id": message_id, "queue": self.queue })),
            false => output::bytes(format!("{message_id}\n").as_bytes()),
        }
    }
}
