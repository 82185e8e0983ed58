//! `ecs-trigger send`: a message into a queue of `dev`.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use trigger_local::folders::queue::{BODY_BYTES_MAX, FolderQueue, Outgoing};

use crate::config::{FILE_NAME, folder_of, load};
use crate::exit::Failed;
use crate::files;
use crate::output;
use crate::sample::{any_queue_of, attribute};

/// Send a message to a queue on this machine, where `ecs-trigger dev` takes it from.
///
/// Prints the message's id. Nothing is asked of AWS.
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
    /// The message group: within one, a FIFO queue keeps the order.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// An attribute of the message; may be given several times.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// The config, or the folder that holds it.
    #[arg(long, default_value = FILE_NAME)]
    config: PathBuf,
    /// Print the message's id as JSON.
    #[arg(long)]
    json: bool,
}

impl Send {
    pub(crate) fn run(self) -> Result<(), Failed> {
        let config = load(&self.config, self.json)?;
        let queue = any_queue_of(&config, &self.queue)?;
        if queue.is_fifo() && self.group.is_none() {
            return Err(Failed::Usage("a FIFO queue's messages have a group; name it by --group".to_owned()));
        }
        let body = match self.body.as_str() {
            "-" => files::read(Path::new("-"))?.text,
            body => body.to_owned(),
        };
        if body.is_empty() || body.len() > BODY_BYTES_MAX {
            return Err(Failed::Usage(format!(
                "SQS takes messages of 1 to {BODY_BYTES_MAX} bytes; this has {}",
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
