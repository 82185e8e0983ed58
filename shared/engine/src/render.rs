//! Renders the task of a recorded launch anew, by the config in force.

use trigger_core::event::Event;
use trigger_core::launch::{EventCopy, LaunchRecord, NotRendered, Rendered};
use trigger_core::plan::{Plan, PlanError};
use trigger_core::routing::RoutingConfig;

use crate::ports::{Payloads, Ports};

/// Returns what the config in force makes of a launch's task, or nothing if that is what the record says already.
///
/// # Errors
/// The config in force cannot render it, or the event cannot be read or stored.
pub(crate) async fn anew(
    record: &LaunchRecord,
    config: &RoutingConfig,
    ports: &impl Ports,
) -> Result<Option<Rendered>, NotRendered> {
    if config.etag.is_some() && config.etag == record.rendered.config_etag {
        return Ok(None);
    }
    let text = match &record.event {
        EventCopy::Text(text) => text.clone(),
        EventCopy::Uri(uri) => {
            ports.payloads().get(uri).await.map_err(|error| NotRendered::ForNow(error.to_string()))?
        }
    };
    let event = Event::decode_copy(&text).map_err(|error| NotRendered::ForGood(error.to_string()))?;
    let route = &record.key.route;
    let Some(route) = config.route(route) else {
        return Err(NotRendered::ForGood(format!("the config in force has no route `{route}`")));
    };
    let plan = Plan::of_routes(config, &event, Ok(vec![route]));
    let reasons = |errors: Vec<PlanError>| errors.iter().map(PlanError::to_string).collect::<Vec<_>>().join("; ");
    let plan = plan.map_err(|errors| NotRendered::ForGood(reasons(errors)))?;
    let Some(planned) = plan.launches.into_iter().find(|planned| planned.is_of(record)) else {
        let reason = format!("by the config in force, the route `{}` does not start this task", route.name);
        return Err(NotRendered::ForGood(reason));
    };
    let rendered = planned.rendered(config.etag.as_deref());
    if !rendered.differs_from(record) {
        return Ok(None);
    }
    if let Some(uri) = &planned.payload_uri {
        let not_stored = |error| NotRendered::ForNow(format!("cannot store the event at {uri}: {error}"));
        ports.payloads().put(uri, &text).await.map_err(not_stored)?;
    }
    Ok(Some(rendered))
}
