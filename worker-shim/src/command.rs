//! Runs a command for each message.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::queue::Message;

/// The command's environment variable with the message's id.
pub const MESSAGE_ID_VARIABLE: &str = "SQS_MESSAGE_ID";
/// The command's environment variable with how often the message was received.
pub const RECEIVE_COUNT_VARIABLE: &str = "SQS_RECEIVE_COUNT";
/// The command's environment variable with the URL of the message's queue.
pub const QUEUE_URL_VARIABLE: &str = "SQS_QUEUE_URL";
/// The command's environment variable with the message's group; not set for a message without one.
pub const GROUP_ID_VARIABLE: &str = "SQS_MESSAGE_GROUP_ID";

/// Runs a command for a message. The command reads the message's body from standard input, and succeeds if it exits
/// with 0.
///
/// # Errors
/// The command is empty, cannot be started, or does not exit with 0.
pub async fn run(command: &[String], message: Message) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Err("the command is empty".to_owned()) };
    let mut child = Command::new(program);
    child
        .args(arguments)
        .env(MESSAGE_ID_VARIABLE, &message.id)
        .env(RECEIVE_COUNT_VARIABLE, message.receive_count.to_string())
        .env(QUEUE_URL_VARIABLE, &message.queue_url)
        .envs(message.group_id.iter().map(|group_id| (GROUP_ID_VARIABLE, group_id)))
        .stdin(Stdio::piped())
        // Only the shim receives Ctrl-C and signals to its process group; the command finishes its message.
        .process_group(0)
        .kill_on_drop(true);
    let mut child = child.spawn().map_err(|error| format!("cannot start `{program}`: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command need not read its input.
        let _ = stdin.write_all(message.body.as_bytes()).await;
    }
    let status = child.wait().await.map_err(|error| format!("`{program}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{program}`: {status}")) }
}
