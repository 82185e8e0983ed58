//! A command for each message.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::queue::Message;

/// The message's id, in the command's environment.
pub const MESSAGE_ID_VARIABLE: &str = "SQS_MESSAGE_ID";
/// How often the message was received.
pub const RECEIVE_COUNT_VARIABLE: &str = "SQS_RECEIVE_COUNT";
/// The URL of the message's queue.
pub const QUEUE_URL_VARIABLE: &str = "SQS_QUEUE_URL";
/// The message's group, if it has one.
pub const GROUP_ID_VARIABLE: &str = "SQS_MESSAGE_GROUP_ID";

/// Runs a command for a message, whose body it finds on standard input. It has done its work if it exits with 0.
///
/// # Errors
/// It cannot be started, or ends otherwise: why.
pub async fn run(command: &[String], message: Message) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Err("there is no command".to_owned()) };
    let mut child = Command::new(program);
    child
        .args(arguments)
        .env(MESSAGE_ID_VARIABLE, &message.id)
        .env(RECEIVE_COUNT_VARIABLE, message.receive_count.to_string())
        .env(QUEUE_URL_VARIABLE, &message.queue_url)
        .envs(message.group_id.iter().map(|group_id| (GROUP_ID_VARIABLE, group_id)))
        .stdin(Stdio::piped())
        // Ctrl-C and a stop of the whole group are the shim's to hear: the command may end its message.
        .process_group(0)
        .kill_on_drop(true);
    let mut child = child.spawn().map_err(|error| format!("cannot start `{program}`: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input is none the worse for it.
        let _ = stdin.write_all(message.body.as_bytes()).await;
    }
    let status = child.wait().await.map_err(|error| format!("`{program}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{program}`: {status}")) }
}
