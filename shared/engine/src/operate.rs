//! What a person asks for: to cancel a launch, to start it again, or to run a route for an event.
//!
//! With a ledger, all of it is only recorded here, and the functions do it: they start and stop the tasks, at the rate
//! that they share. So a person needs no permission to start or stop tasks.

use jiff::Timestamp;
use trigger_core::event::Event;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{Answer, GivenUp, NotRendered};
use trigger_core::routing::{MatchedEvent, Route, RoutingConfig};

use crate::drive::{DriveError, Driven, Driver};
use crate::handle::{Delivered, EventError, LaunchReport, Times, handle};
use crate::ports::{Clock, Ports, Stored};
use crate::render;

/// Why a launch was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotChanged {
    /// The launch store does not know the launch.
    #[error("there is no such launch")]
    Unknown,
    /// The launch has ended, so there is nothing to cancel.
    #[error("it has ended already")]
    HasEnded,
    /// The launch has not ended, so it cannot be started again.
    #[error("it has not ended yet: cancel it first")]
    HasNotEnded,
    /// The config in force cannot render the launch's task.
    #[error(transparent)]
    NotRendered(NotRendered),
    /// The launch store did not answer.
    #[error(transparent)]
    Drive(#[from] DriveError),
}

/// Cancels a launch: its tasks are stopped, and none is started any more.
///
/// # Errors
/// The launch is not known, has ended, or could not be written.
pub async fn cancel(launch: &LaunchKey, config: &RoutingConfig, ports: &impl Ports) -> Result<(), NotChanged> {
    let driver = recorder(config, ports);
    let stored = read(&driver, launch).await?;
    if stored.record.ended.is_some() {
        return Err(NotChanged::HasEnded);
    }
    let mut driven = Driven::resume(stored);
    driven.protocol.hear(Answer::Cancelled, driver.now());
    while driven.protocol.has_news() {
        // What follows at once is recorded with it: without a task, the launch has ended.
        driven.protocol.next(driver.now());
        driver.write(&mut driven).await?;
    }
    driver.leave_the_rest(&mut driven).await;
    // It may have ended before it could be cancelled.
    let is_cancelled = driven.record().given_up == Some(GivenUp::Cancelled);
    if is_cancelled { Ok(()) } else { Err(NotChanged::HasEnded) }
}

/// Starts a launch again that has ended, however it ended, as the config in force renders its task.
///
/// # Errors
/// The launch is not known, has not ended, cannot be rendered, or could not be written.
pub async fn retry(launch: &LaunchKey, config: &RoutingConfig, ports: &impl Ports) -> Result<(), NotChanged> {
    let driver = recorder(config, ports);
    let stored = read(&driver, launch).await?;
    if stored.record.ended.is_none() {
        return Err(NotChanged::HasNotEnded);
    }
    let anew = render::anew(&stored.record, config, ports).await.map_err(NotChanged::NotRendered)?;
    let times = stored.record.redrives();
    let mut driven = Driven::resume(stored);
    driven.protocol.start_again(anew.as_ref());
    driver.write(&mut driven).await?;
    driver.leave_the_rest(&mut driven).await;
    // Another process may have started it again first.
    if driven.record().redrives() > times { Ok(()) } else { Err(NotChanged::HasNotEnded) }
}

/// Runs a route for an event, whether or not the route's own source would take it.
///
/// # Errors
/// As of [`handle`].
pub async fn run(
    event: Event,
    route: &Route,
    config: &RoutingConfig,
    ports: &impl Ports,
) -> Result<LaunchReport, EventError> {
    let text = event.text.clone();
    let event = Ok(MatchedEvent { event, routes: Ok(vec![route]) });
    handle(Delivered { text: &text, event, times: times(config, ports) }, config, ports).await
}

/// Returns when a person's process has to end. If there is a ledger, that is at once, so that it starts nothing itself.
pub fn deadline(config: &RoutingConfig, ports: &impl Ports) -> Option<Timestamp> {
    config.ledger().map(|_| ports.clock().now())
}

/// Returns the times of a delivery that a person asks for. Its time is the earliest one, so that no firing is too late.
pub fn times(config: &RoutingConfig, ports: &impl Ports) -> Times {
    Times { now: Timestamp::UNIX_EPOCH, deadline: deadline(config, ports) }
}

fn recorder<'a, P: Ports>(config: &'a RoutingConfig, ports: &'a P) -> Driver<'a, P> {
    Driver::new(ports, config, deadline(config, ports))
}

async fn read(driver: &Driver<'_, impl Ports>, launch: &LaunchKey) -> Result<Stored, NotChanged> {
    driver.read(launch).await?.ok_or(NotChanged::Unknown)
}
