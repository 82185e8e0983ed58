//! The deliveries after a launch: "ECS Task State Change" events, and the sweep every minute.

use super::fields::Fields;
use super::{DecodeError, Envelope};
use crate::ecs::{ContainerExit, StoppedTask};
use crate::event::identity::LaunchKey;
use crate::text::{Kind, Node};

/// The input that the sweep's schedule sends.
pub const SWEEP_INPUT: &str = r#"{"sweep":true}"#;

/// A change of a task's state. The events can be delivered more than once and in any order, but a stopped task stays
/// stopped.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStateChange {
    /// The ARN of the task.
    pub task_arn: String,
    /// The task's `startedBy`.
    pub started_by: Option<String>,
    /// How the task stopped, if it has stopped.
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

    /// Returns the launch that started the task, and the attempt, if `startedBy` names a launch in the ledger.
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
        Some(_) => Some(exit_code(fields.signed_integer("exitCode")?)),
    };
    Ok(ContainerExit { name: fields.string("name")?, exit_code, reason: fields.optional_string("reason")? })
}

/// Returns an exit code as a signed 32-bit number. Windows reports an NTSTATUS as an unsigned one: 3221225786 is
/// -1073741510. A number that does not fit becomes `i32::MIN`, a failure that no `exit_code` in a config names.
fn exit_code(code: i64) -> i32 {
    let unsigned = || u32::try_from(code).map(u32::cast_signed);
    i32::try_from(code).or_else(|_| unsigned()).unwrap_or(i32::MIN)
}

#[cfg(test)]
mod tests {
    use super::exit_code;

    #[test]
    fn an_exit_code_is_a_signed_number_of_32_bits_however_it_is_written() {
        let codes = [
            (0, 0),
            (137, 137),
            (-1_073_741_510, -1_073_741_510),
            (3_221_225_786, -1_073_741_510),
            (1 << 40, i32::MIN),
        ];
        for (written, code) in codes {
            assert_eq!(exit_code(written), code, "{written}");
        }
    }
}
