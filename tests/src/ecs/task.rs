//! The lifecycle of a task.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use trigger_core::ecs::{ContainerExit, StoppedTask, TaskRequest};

/// How a task runs and ends unless it is stopped.
#[derive(Debug, Clone)]
pub struct Fortune {
    /// How long the task takes to start.
    pub pending: SignedDuration,
    /// How long the task runs.
    pub running: SignedDuration,
    /// How the task ends.
    pub end: StoppedTask,
    /// How long the task takes to stop after StopTask.
    pub stopping: SignedDuration,
}

/// A task of the model.
#[derive(Debug, Clone)]
pub struct Task {
    /// The task's ARN.
    pub arn: String,
    /// The RunTask call that started the task.
    pub request: TaskRequest,
    /// The time of that call.
    pub started: Timestamp,
    /// When and how the task stopped.
    pub stopped: Option<(Timestamp, StoppedTask)>,
    /// `lastStatus`; each change of it increments `version`.
    status: &'static str,
    version: u32,
    fortune: Fortune,
    /// The first StopTask call: its time and reason.
    asked: Option<(Timestamp, String)>,
}

/// A state change as EventBridge delivers it.
#[derive(Debug, Clone)]
pub struct StateChange {
    /// The event's JSON.
    pub event: String,
    /// Whether the task has stopped.
    pub is_stopped: bool,
}

impl Task {
    pub(super) fn new(arn: String, request: TaskRequest, started: Timestamp, fortune: Fortune) -> Self {
        Self { arn, request, started, stopped: None, status: "PROVISIONING", version: 1, fortune, asked: None }
    }

    pub(super) fn ask_to_stop(&mut self, reason: &str, now: Timestamp) {
        if self.stopped.is_none() && self.asked.is_none() {
            self.asked = Some((now, reason.to_owned()));
        }
    }

    /// Ends the task now.
    pub(super) fn end_now(&mut self, now: Timestamp, end: StoppedTask) {
        self.fortune.running = now.duration_since(self.runs_from());
        self.fortune.end = end;
    }

    /// Returns when and how the task stopped, if that is visible with this lag.
    pub(super) fn stopped_as_of(&self, now: Timestamp, lag: SignedDuration) -> Option<(Timestamp, StoppedTask)> {
        self.stopped.clone().filter(|(at, _)| now.duration_since(*at) >= lag)
    }

    fn runs_from(&self) -> Timestamp {
        self.started + self.fortune.pending
    }

    fn stops_at(&self) -> Timestamp {
        let by_itself = self.runs_from() + self.fortune.running;
        self.asked.as_ref().map_or(by_itself, |(at, _)| by_itself.min(*at + self.fortune.stopping))
    }

    pub(super) fn next_change(&self) -> Option<Timestamp> {
        match self.status {
            "STOPPED" => None,
            "RUNNING" => Some(self.stops_at()),
            _ => Some(self.runs_from().min(self.stops_at())),
        }
    }

    /// Advances the time. Returns the state changes.
    pub(super) fn pass(&mut self, now: Timestamp) -> Vec<StateChange> {
        let mut changes = Vec::new();
        if self.status == "PROVISIONING" && now >= self.runs_from() && self.stops_at() > self.runs_from() {
            changes.push(self.change_to("RUNNING"));
        }
        if self.stopped.is_none() && now >= self.stops_at() {
            let at = self.stops_at();
            let by_itself = self.runs_from() + self.fortune.running;
            let stopped = match &self.asked {
                Some((_, reason)) if at < by_itself => user_initiated(reason, &self.fortune.end),
                _ => self.fortune.end.clone(),
            };
            self.stopped = Some((at, stopped));
            changes.push(self.change_to("STOPPED"));
        }
        changes
    }

    fn change_to(&mut self, status: &'static str) -> StateChange {
        self.status = status;
        self.version += 1;
        StateChange { event: self.as_event().to_string(), is_stopped: status == "STOPPED" }
    }

    /// Returns the task as DescribeTasks and state changes show it.
    pub fn as_json(&self) -> Value {
        let cluster = self.request.cluster.as_deref().unwrap_or("default");
        let mut shown = json!({
            "taskArn": self.arn,
            "clusterArn": format!("arn:aws:ecs:us-east-1:000000000000:cluster/{cluster}"),
            "lastStatus": self.status,
            "desiredStatus": if self.stopped.is_some() || self.asked.is_some() { "STOPPED" } else { "RUNNING" },
            "startedBy": self.request.started_by,
            "version": self.version,
        });
        if let Some((_, stopped)) = &self.stopped {
            let containers = stopped.containers.iter().map(|container| {
                let mut shown = json!({ "name": container.name, "lastStatus": "STOPPED" });
                if let Some(code) = container.exit_code {
                    shown["exitCode"] = code.into();
                }
                shown
            });
            shown["containers"] = containers.collect::<Vec<_>>().into();
            shown["stopCode"] = stopped.stop_code.clone().into();
            shown["stoppedReason"] = stopped.stopped_reason.clone().into();
        }
        shown
    }

    fn as_event(&self) -> Value {
        json!({
            "version": "0",
            "id": format!("00000000-0000-0000-0000-{:012}", self.version),
            "detail-type": "ECS Task State Change",
            "source": "aws.ecs",
            "account": "000000000000",
            "time": self.started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": "us-east-1",
            "resources": [self.arn],
            "detail": self.as_json(),
        })
    }
}

/// Returns how a task ends that StopTask stopped.
fn user_initiated(reason: &str, end: &StoppedTask) -> StoppedTask {
    let killed = |container: &ContainerExit| ContainerExit { exit_code: Some(137), ..container.clone() };
    StoppedTask {
        stop_code: Some("UserInitiated".to_owned()),
        stopped_reason: Some(reason.to_owned()),
        containers: end.containers.iter().map(killed).collect(),
        vanished: false,
    }
}
