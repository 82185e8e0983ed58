//! What comes after a launch: "ECS Task State Change", and the minute's sweep.

use super::fields::Fields;
use super::{DecodeError, Envelope};
use crate::ecs::{ContainerExit, StoppedTask};
use crate::event::identity::LaunchKey;
use crate::text::{Kind, Node};

/// What the schedule of the sweep gives as its input.
pub const SWEEP_INPUT: &str = r#"{"sweep":true}"#;

/// A task's state changed. Delivered more than once, and in any order; but what has stopped stays so.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStateChange {
    /// The task.
    pub task_arn: String,
    /// What it records as its starter.
    pub started_by: Option<String>,
    /// How it stopped, if it has.
    pub stopped: Option<StoppedTask>,
}

impl TaskStateChange {
    pub(super) fn decode(node: &Node) -> Result<Self, DecodeError> {
        let event = Fields::root(node)?;
        let envelope = Envelope::decode(&event)?;
        if envelope.detail_type != "ECS Task State Change" {
            let problem = format!("must be `ECS Task State Change`, found `{}`", envelope.detail_type);
            return Err(event.error("detail-type", problem));
        }
        let detail = event.object("detail")?;
        let has_stopped = detail.string("lastStatus")? == "STOPPED";
        Ok(Self {
            task_arn: detail.string("taskArn")?,
            started_by: detail.optional_string("startedBy")?,
            stopped: has_stopped.then(|| stopped(&detail)).transpose()?,
        })
    }

    /// The launch that started the task, and its attempt, if it is in the ledger.
    pub fn launch(&self) -> Option<(LaunchKey, u32)> {
        self.started_by.as_deref().and_then(LaunchKey::of_started_by)
    }
}

fn stopped(detail: &Fields<'_>) -> Result<StoppedTask, DecodeError> {
    let containers = match detail.node().get("containers") {
        Some(_) => detail.objects("containers")?.iter().map(container).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    Ok(StoppedTask {
        stop_code: detail.optional_string("stopCode")?,
        stopped_reason: detail.optional_string("stoppedReason")?,
        containers,
        vanished: false,
    })
}

fn container(fields: &Fields<'_>) -> Result<ContainerExit, DecodeError> {
    let exit_code = match fields.node().get("exitCode") {
        None | Some(Node { kind: Kind::Null, .. }) => None,
        Some(_) => i32::try_from(fields.integer("exitCode")?).ok(),
    };
    Ok(ContainerExit { name: fields.string("name")?, exit_code, reason: fields.optional_string("reason")? })
}
