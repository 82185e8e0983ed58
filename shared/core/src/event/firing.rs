//! Firings of schedules, delivered by EventBridge Scheduler or by a rule with a schedule.

use std::fmt;

use jiff::{Timestamp, Unit};

use super::fields::Fields;
use super::{DecodeError, Envelope, Event, EventKind};
use crate::event::identity::Identity;
use crate::text::{Node, json};

/// The input that a schedule's target must have. `ROUTE` stands for the route's name; Scheduler fills in the context
/// attributes.
/// Source: <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html>
pub const SCHEDULER_INPUT: &str = concat!(
    r#"{"route":"ROUTE","schedule_arn":"<aws.scheduler.schedule-arn>","scheduled_time":"<aws.scheduler.scheduled-time>","#,
    r#""execution_id":"<aws.scheduler.execution-id>","attempt_number":"<aws.scheduler.attempt-number>"}"#,
);

/// One firing of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The name of the route whose tasks it starts.
    pub route: String,
    /// The ARN of the schedule, or of the rule with the schedule.
    pub schedule_arn: String,
    /// The time for which it was scheduled, rounded to the second.
    pub scheduled_time: Timestamp,
}

impl Firing {
    /// Decodes what a schedule delivers: the input that we give EventBridge Scheduler ([`SCHEDULER_INPUT`]), or a
    /// "Scheduled Event", whose rule or schedule must have the route's name.
    ///
    /// # Errors
    /// The delivery is neither of these, or a field is missing or not valid.
    pub fn decode(node: &Node) -> Result<Self, DecodeError> {
        let fields = Fields::root(node)?;
        if node.get("detail-type").is_some() { Self::of_rule(&fields) } else { Self::of_scheduler(&fields) }
    }

    /// Returns a firing of a route's schedule that is not deployed but runs locally, in an account of zeros.
    pub fn local(route: &str, scheduled_time: Timestamp) -> Self {
        let schedule_arn = format!("arn:aws:scheduler:us-east-1:000000000000:schedule/ecs-trigger/{route}");
        Self { route: route.to_owned(), schedule_arn, scheduled_time }
    }

    /// Returns the schedule's name: the last part of its ARN.
    pub fn schedule(&self) -> &str {
        self.schedule_arn.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the schedule and the time. Scheduler can deliver a firing more than once, each time with a new execution
    /// id.
    pub(super) fn identity(&self) -> Identity {
        Identity::new(["schedule", &self.schedule_arn, &self.scheduled_time.to_string()])
    }

    /// Converts the firing to an event, which contains nothing that differs between two deliveries.
    pub fn into_event(self) -> Event {
        self.into_event_with(None)
    }

    /// Does the same as [`Self::into_event`]. The fields of `input` replace those of the schedule's own.
    pub(super) fn into_event_with(self, input: Option<Node>) -> Event {
        let mut fields = vec![
            ("route", Node::string(&self.route)),
            ("schedule", Node::string(self.schedule())),
            ("schedule_arn", Node::string(&self.schedule_arn)),
            ("scheduled_time", Node::string(&self.scheduled_time.to_string())),
        ];
        fields.extend(input.map(|input| ("input", input)));
        let node = Node::object(fields);
        let text = json::write(&node).into();
        Event { kind: EventKind::Firing(self), node, text }
    }

    fn of_scheduler(input: &Fields<'_>) -> Result<Self, DecodeError> {
        let scheduled_time = time(input, "scheduled_time", &input.string("scheduled_time")?)?;
        let schedule_arn = input.string("schedule_arn")?;
        if schedule_arn.starts_with('<') {
            return Err(not_filled_in(input, "schedule_arn", &schedule_arn));
        }
        Ok(Self { route: input.string("route")?, schedule_arn, scheduled_time })
    }

    fn of_rule(event: &Fields<'_>) -> Result<Self, DecodeError> {
        let Envelope { detail_type, time: scheduled_time, resources, .. } = Envelope::decode(event)?;
        if detail_type != "Scheduled Event" {
            return Err(event.error("detail-type", format!("must be `Scheduled Event`, found `{detail_type}`")));
        }
        let named = |arn: &&String| arn.contains(":rule/") || arn.contains(":schedule/");
        let Some(schedule_arn) = resources.into_iter().find(|arn| named(&arn)) else {
            return Err(event.error("resources", "must contain the ARN of the rule or the schedule".to_owned()));
        };
        let scheduled_time = time(event, "time", &scheduled_time)?;
        let firing = Self { route: String::new(), schedule_arn, scheduled_time };
        Ok(Self { route: firing.schedule().to_owned(), ..firing })
    }
}

impl fmt::Display for Firing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.schedule(), self.scheduled_time)
    }
}

fn time(fields: &Fields<'_>, name: &str, text: &str) -> Result<Timestamp, DecodeError> {
    if text.starts_with('<') {
        return Err(not_filled_in(fields, name, text));
    }
    let time = text.parse::<Timestamp>().ok().and_then(|time| time.round(Unit::Second).ok());
    time.ok_or_else(|| fields.error(name, format!("must be a time such as 2026-01-31T23:59:00Z, found `{text}`")))
}

fn not_filled_in(fields: &Fields<'_>, name: &str, text: &str) -> DecodeError {
    fields.error(name, format!("is the placeholder `{text}`; let EventBridge Scheduler fill it in, or write a value"))
}

#[cfg(test)]
mod tests;
