//! Events made here, of what a user names.

use jiff::Timestamp;
use trigger_core::config::RoutingConfig;
use trigger_core::diagnostic::hint;
use trigger_core::document::Source;
use trigger_core::event::{Decoded, Event, Firing, Message, Queue, Record};
use trigger_core::expectation::local_schedule_arn;

use crate::exit::Failed;
use crate::files::not_decoded;

/// The events of a message with this body.
pub(crate) fn message(queue: &str, body: &Source) -> Result<Vec<Event>, Failed> {
    let Some(queue) = Queue::parse(queue) else { return Err(Failed::Usage(format!("`{queue}` names no queue"))) };
    let record = Record {
        message_id: "00000000-0000-4000-8000-000000000000".to_owned(),
        queue,
        body: body.text.clone(),
        attributes: Vec::new(),
        message_attributes: Vec::new(),
    };
    match Message::decode(&record) {
        Ok(Decoded::Events(events)) => Ok(events),
        Ok(Decoded::TestEvent) => Ok(Vec::new()),
        Err(error) => Err(not_decoded(body, &error)),
    }
}

/// A firing of a route's schedule: at a time, or its next one.
pub(crate) fn firing(config: &RoutingConfig, route: &str, at: Option<Timestamp>) -> Result<Event, Failed> {
    let schedule = schedule_of(config, route)?;
    let now = Timestamp::now();
    let time = at.or_else(|| schedule.next_after(now, now));
    let Some(time) = time else {
        return Err(Failed::Usage(format!("the schedule of `{route}` never fires again; name a time by --at")));
    };
    Ok(Firing::new(route, &local_schedule_arn(route), time).into_event())
}

/// A route's schedule.
pub(crate) fn schedule_of<'a>(
    config: &'a RoutingConfig,
    route: &str,
) -> Result<&'a trigger_core::schedule::Schedule, Failed> {
    let schedule = config.route_on_schedule(route).and_then(|route| route.schedule());
    schedule.ok_or_else(|| {
        let scheduled = config.routes.iter().filter(|route| route.schedule().is_some());
        let hint = hint(route, scheduled.map(|route| route.name.as_str()));
        Failed::Usage(format!("no route `{route}` is on a schedule{hint}"))
    })
}
