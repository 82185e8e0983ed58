//! Handles one event: from its delivery to its report.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use jiff::{SignedDuration, Timestamp};
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{DecodeError, Event, EventKind, RedrivenLaunch};
use trigger_core::launch::{
    self, Answer, DeadLetter, EventCopy, GivenUp, LaunchRecord, LaunchSet, NotRendered, Pool, Skipped, WhenFull, later,
};
use trigger_core::plan::{Plan, PlanError, PlannedLaunch};
use trigger_core::routing::{MatchedEvent, Route, RoutingConfig};
use trigger_core::schedule::Timeliness;

use crate::drive::{DriveError, Driven, Driver, Rest};
use crate::ports::{Clock, LaunchStore, Payloads, Ports, StoreError};
use crate::{dead_letter, render};

/// At most this many launches of one event are driven at once.
const LAUNCHES_AT_ONCE: usize = 4;
/// If an event makes more launches than this, they are only recorded here, and started from the work queue.
const STARTED_HERE_MAX: usize = 20;
/// If an event makes more launches than this, a repeated delivery asks first whether all of them are recorded.
const ASKED_FOR_FIRST: usize = 100;
/// So many launches are recorded before the first of them are started, if an event makes more.
const RECORDED_AT_ONCE: usize = 1000;
/// When the sweep looks at launches that the work queue was to start. By then ECS has accepted ten thousand calls.
const LOST_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// If the copies of an event in its launch records would have more bytes than this, the records share one copy in S3: each
/// write of a record pays for its size.
const COPIES_BYTES_MAX: usize = 8 << 10;

/// An event as it was delivered, and the routes that take it.
#[derive(Debug)]
pub struct Delivered<'a> {
    /// The delivered text. The dead letter contains it if the event cannot be handled.
    pub text: &'a str,
    /// The decoded event with its routes, or why the text is not an event.
    pub event: Result<MatchedEvent<'a>, DecodeError>,
    /// The times of the invocation.
    pub times: Times,
}

/// The times of an invocation.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The time at which the event is handled. It decides whether a firing is too late.
    pub now: Timestamp,
    /// When the invocation ends.
    pub deadline: Option<Timestamp>,
}

/// The outcomes of an event: one for each launch of the routes that take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchReport {
    /// The event's id.
    pub event_id: String,
    /// What every delivery of the event shares.
    pub identity: String,
    /// When the event happened, if it contains a time.
    pub event_time: Option<Timestamp>,
    /// The name of the replay, if the event was replayed from an EventBridge archive.
    pub replay: Option<String>,
    /// The version of the config that decided.
    pub config_etag: Option<String>,
    /// The names of the routes that take the event. An event without a route is ignored.
    pub routes: Vec<String>,
    /// The outcome of each launch. A route launches nothing for an empty list.
    pub launches: Vec<LaunchOutcome>,
    /// The later firing that replaces this one, which was so late that it started nothing.
    pub superseded_by: Option<Timestamp>,
}

impl LaunchReport {
    /// Returns whether a launch failed. The event must then be delivered again.
    fn has_failed(&self) -> bool {
        self.launches.iter().any(|launch| matches!(launch.outcome, Outcome::Failed { .. }))
    }
}

/// One launch and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchOutcome {
    /// The route's name.
    pub route: String,
    /// The task's name.
    pub task: String,
    /// The position of its element in the event's list, if the route launches one task for each element.
    pub index: Option<usize>,
    /// RunTask's idempotency key.
    pub client_token: String,
    /// How many slots are free after the launch took its own.
    pub open_slots: Option<u32>,
    /// The outcome.
    pub outcome: Outcome,
}

/// The outcome of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The tasks were started.
    Launched {
        /// Their ARNs.
        task_arns: Vec<String>,
    },
    /// An earlier delivery had started the tasks, or had ended the launch.
    Duplicate {
        /// Their ARNs.
        task_arns: Vec<String>,
    },
    /// Nothing is started, because of a setting of the route.
    Skipped(Skipped),
    /// The launch is recorded and continues later.
    Deferred {
        /// When it continues.
        until: Timestamp,
        /// Why it waits.
        reason: String,
    },
    /// The event is in the dead-letter queue.
    DeadLettered {
        /// Why the event was dead-lettered.
        reason: String,
    },
    /// Some tasks were not started, or it is unknown whether they were. The event must be delivered again.
    Failed {
        /// Why the launch failed.
        reason: String,
    },
}

impl Outcome {
    /// Returns the outcome's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Launched { .. } => "launched",
            Self::Duplicate { .. } => "duplicate",
            Self::Skipped(_) => "skipped",
            Self::Deferred { .. } => "deferred",
            Self::DeadLettered { .. } => "dead-lettered",
            Self::Failed { .. } => "failed",
        }
    }

    /// Returns whether tasks were not started that should have been.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::DeadLettered { .. } | Self::Failed { .. })
    }
}

/// Why an event must be delivered again, or was dead-lettered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventError {
    /// The text is not an event.
    Decode(DecodeError),
    /// Routes cannot request their tasks for the event.
    Plan {
        /// The event's id.
        event_id: String,
        /// Every reason.
        errors: Vec<PlanError>,
        /// What the other routes have launched, if there are any.
        others: Option<Box<LaunchReport>>,
    },
    /// The event is a firing that is too late for its schedule's `catch_up: none`. Nothing was started.
    Missed {
        /// The event's id.
        event_id: String,
    },
    /// Some of the event's tasks were not started.
    Launch(LaunchReport),
    /// The text is the dead letter of a launch that cannot be continued.
    Redrive {
        /// The launch.
        launch: LaunchKey,
        /// Why it cannot be continued.
        reason: String,
    },
    /// The invocation had no time left for the rest.
    OutOfTime,
    /// Handling the event hit a bug of ecs-trigger.
    Panic {
        /// The panic's message.
        message: String,
    },
    /// The event is in the dead-letter queue for this reason, and needs no further delivery.
    DeadLettered(Box<EventError>),
}

impl EventError {
    /// Returns the error's name, by which logs and metrics count it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Decode(_) => "DecodeError",
            Self::Plan { .. } => "PlanError",
            Self::Missed { .. } => "MissedFiring",
            Self::Launch(_) | Self::Redrive { .. } => "LaunchError",
            Self::OutOfTime => "OutOfTime",
            Self::Panic { .. } => "Panic",
            Self::DeadLettered(error) => error.kind(),
        }
    }

    /// Returns what was launched although other routes of the event could not launch their tasks.
    pub fn others(&self) -> Option<&LaunchReport> {
        match self {
            Self::Plan { others, .. } => others.as_deref(),
            Self::DeadLettered(error) => error.others(),
            _ => None,
        }
    }

    /// Returns whether the event is in the dead-letter queue and needs no further delivery.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::DeadLettered(_))
    }

    fn event_id(&self) -> Option<&str> {
        match self {
            Self::Decode(_) | Self::Redrive { .. } | Self::OutOfTime | Self::Panic { .. } => None,
            Self::Plan { event_id, .. } | Self::Missed { event_id } => Some(event_id),
            Self::Launch(report) => Some(&report.event_id),
            Self::DeadLettered(error) => error.event_id(),
        }
    }

    fn route(&self) -> Option<&str> {
        match self {
            Self::Plan { errors, .. } => errors.iter().find_map(PlanError::route),
            Self::Redrive { launch, .. } => Some(&launch.route),
            Self::Decode(_)
            | Self::Missed { .. }
            | Self::Launch(_)
            | Self::OutOfTime
            | Self::Panic { .. }
            | Self::DeadLettered(_) => None,
        }
    }
}

impl std::error::Error for EventError {}

impl fmt::Display for EventError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(error) => error.fmt(formatter),
            Self::Plan { event_id, errors, .. } => {
                let reasons: Vec<String> = errors.iter().map(PlanError::to_string).collect();
                write!(formatter, "event {event_id}: {}", reasons.join("; "))
            }
            Self::Missed { event_id } => {
                write!(formatter, "event {event_id}: the firing is too late for `catch_up: none` of its schedule")
            }
            Self::Launch(report) => {
                let failed = report.launches.iter().filter_map(|launch| match &launch.outcome {
                    Outcome::Failed { reason } => Some(format!("the route `{}`: {reason}", launch.route)),
                    _ => None,
                });
                write!(formatter, "event {}: {}", report.event_id, failed.collect::<Vec<_>>().join("; "))
            }
            Self::Redrive { launch, reason } => write!(formatter, "the launch {launch} cannot be continued: {reason}"),
            Self::OutOfTime => {
                formatter.write_str("the invocation has no time left: a call hangs, or there is too much to do")
            }
            Self::Panic { message } => write!(formatter, "a bug of ecs-trigger: {message}"),
            Self::DeadLettered(error) => error.fmt(formatter),
        }
    }
}

/// Renders, launches and reports one matched event.
///
/// One failed launch does not stop the event's other launches: the next delivery repeats every client token, so only
/// the missing tasks start. With a ledger, a route that cannot render its tasks does not stop the others either: the
/// event's dead letter, delivered again, starts only what is missing. A recorded launch is not an error: it continues
/// from its record.
///
/// # Errors
/// It is not certain that all tasks were started, so the event must be delivered again. Or the event is in the
/// dead-letter queue, because another delivery would change nothing: [`EventError::is_settled`].
pub async fn handle(
    delivered: Delivered<'_>,
    config: &RoutingConfig,
    ports: &impl Ports,
) -> Result<LaunchReport, EventError> {
    let text = delivered.text;
    let error = match launch_all(delivered, config, ports).await {
        Err(error @ (EventError::Decode(_) | EventError::Plan { .. } | EventError::Missed { .. })) => error,
        result => return result,
    };
    let Some(queue) = ports.dead_letters() else { return Err(error) };
    let letter = DeadLetter {
        reason: error.to_string(),
        event_id: error.event_id().map(str::to_owned),
        route: error.route().map(str::to_owned),
        launch: None,
        redrives: 0,
        config_etag: config.etag.clone(),
        attempts: Vec::new(),
        tasks: Vec::new(),
        event: EventCopy::Text(text.to_owned()),
    };
    match dead_letter::send(&letter, queue, config.storage.as_ref(), ports).await {
        Ok(()) => Err(EventError::DeadLettered(Box::new(error))),
        Err(_) => Err(error),
    }
}

/// Continues a launch whose dead letter was delivered again: starts its task, as the config in force renders it. A letter
/// that was redriven before changes nothing.
///
/// # Errors
/// The launch is not in the ledger, or its task was not started. The dead letter must be delivered again.
pub async fn redrive(
    redriven: &RedrivenLaunch,
    config: &RoutingConfig,
    ports: &impl Ports,
    deadline: Option<Timestamp>,
) -> Result<LaunchReport, EventError> {
    let driver = &Driver::new(ports, config, deadline);
    let RedrivenLaunch { launch: key, redrives } = redriven;
    let refused = |reason: String| EventError::Redrive { launch: key.clone(), reason };
    let stored = match driver.read(key).await {
        Ok(Some(stored)) => stored,
        Ok(None) => {
            return Err(refused(
                "the ledger does not know it; deliver the `event` of its dead letter (of a message: `event.body`) instead"
                    .to_owned(),
            ));
        }
        Err(error) => return Err(refused(error.to_string())),
    };
    let mut driven = Driven::resume(stored);
    if driven.protocol.can_reopen(*redrives) {
        let anew = match render::anew(driven.record(), config, ports).await {
            Ok(anew) => anew,
            // The request of the last attempt may still be right.
            Err(NotRendered::ForGood(_)) => None,
            Err(error @ NotRendered::ForNow(_)) => return Err(refused(error.to_string())),
        };
        driven.protocol.reopen(anew.as_ref());
    }
    let outcome = if driven.protocol.has_news() && driver.is_late(SignedDuration::ZERO) {
        driver.write(&mut driven).await.map_err(|error| refused(error.to_string()))?;
        driver.leave_the_rest(&mut driven).await;
        Outcome::Deferred { until: driven.record().due, reason: STARTED_ELSEWHERE.to_owned() }
    } else {
        launch(driver, &mut driven).await
    };
    driver.hand_over().await;
    let record = driven.protocol.record();
    let report = LaunchReport {
        event_id: record.event_id.clone(),
        identity: record.identity.to_string(),
        event_time: None,
        replay: None,
        config_etag: config.etag.clone(),
        routes: vec![key.route.clone()],
        launches: vec![LaunchOutcome {
            route: key.route.clone(),
            task: record.task.clone(),
            index: record.index,
            client_token: record.client_token(0),
            open_slots: None,
            outcome,
        }],
        superseded_by: None,
    };
    if report.has_failed() { Err(EventError::Launch(report)) } else { Ok(report) }
}

async fn launch_all(
    delivered: Delivered<'_>,
    config: &RoutingConfig,
    ports: &impl Ports,
) -> Result<LaunchReport, EventError> {
    let MatchedEvent { event, routes } = delivered.event.map_err(EventError::Decode)?;
    let mut report = LaunchReport {
        event_id: event.id(),
        identity: event.identity().to_string(),
        event_time: event.time(),
        replay: event.replay_name().map(str::to_owned),
        config_etag: config.etag.clone(),
        routes: Vec::new(),
        launches: Vec::new(),
        superseded_by: None,
    };
    match timeliness(&event, config, delivered.times.now) {
        Timeliness::Due => {}
        Timeliness::Missed => return Err(EventError::Missed { event_id: report.event_id }),
        Timeliness::SupersededBy(next) => return Ok(LaunchReport { superseded_by: Some(next), ..report }),
    }
    let plan = Plan::of_routes(config, &event, routes).map_err(|errors| EventError::Plan {
        event_id: report.event_id.clone(),
        errors,
        others: None,
    })?;
    let copy = copy_uri(&plan, &event, config);
    let refused = &store_payloads(&plan, copy.as_deref(), &event, ports.payloads()).await;
    let driver = &Driver::new(ports, config, delivered.times.deadline);
    let now = ports.clock().now();
    let launches = plan.launches.into_iter().map(|planned| {
        let mut needed = planned.payload_uri.as_deref().into_iter().chain(copy.as_deref());
        let refused = needed.find_map(|uri| refused.get(uri).cloned());
        let record = planned.record(&event, copy.as_deref(), config.etag.as_deref(), now);
        Launch { refused, driven: Driven::begin(record), planned }
    });
    let mut launches: Vec<Launch> = launches.collect();
    let outcomes = match driver.store() {
        Some(store) => launch_recorded(driver, store, &mut launches).await,
        None => {
            stream::iter(&mut launches).map(|launch| launch.start(driver)).buffered(LAUNCHES_AT_ONCE).collect().await
        }
    };
    driver.hand_over().await;
    let outcome = |(launch, outcome): (Launch, Outcome)| {
        let PlannedLaunch { route, task, index, request, .. } = launch.planned;
        let open_slots = launch.driven.open_slots;
        LaunchOutcome { route, task, index, client_token: request.client_token, open_slots, outcome }
    };
    report.launches = launches.into_iter().zip(outcomes).map(outcome).collect();
    report.routes = plan.routes;
    if report.has_failed() {
        return Err(EventError::Launch(report));
    }
    if plan.refused.is_empty() {
        return Ok(report);
    }
    let (event_id, errors) = (report.event_id.clone(), plan.refused);
    Err(EventError::Plan { event_id, errors, others: Some(Box::new(report)) })
}

/// A planned launch under way.
struct Launch {
    planned: PlannedLaunch,
    /// Why the event could not be stored for it.
    refused: Option<String>,
    driven: Driven,
}

impl Launch {
    async fn start(&mut self, driver: &Driver<'_, impl Ports>) -> Outcome {
        match &self.refused {
            Some(reason) => Outcome::Failed { reason: reason.clone() },
            None => launch(driver, &mut self.driven).await,
        }
    }
}

/// Records all launches, then starts those that this invocation has the time for.
async fn launch_recorded(
    driver: &Driver<'_, impl Ports>,
    store: &impl LaunchStore,
    launches: &mut [Launch],
) -> Vec<Outcome> {
    let starts_here = launches.len() <= STARTED_HERE_MAX && !driver.is_late(SignedDuration::ZERO);
    let recorded = match record(driver, store, launches, starts_here).await {
        Ok(recorded) => recorded,
        Err(error) => return unrecorded(launches, &error),
    };
    if recorded == Recorded::Before {
        return launches.iter().map(|_| Outcome::Duplicate { task_arns: Vec::new() }).collect();
    }
    if starts_here {
        return stream::iter(launches).map(|launch| launch.start(driver)).buffered(LAUNCHES_AT_ONCE).collect().await;
    }
    let outcome = |launch: &Launch| match &launch.refused {
        Some(reason) => Outcome::Failed { reason: reason.clone() },
        None if is_untried(launch.driven.record()) => {
            let record = launch.driven.record();
            let reason = match record.slot {
                Some(launch::Slot::Waiting) => IN_LINE.to_owned(),
                _ => STARTED_ELSEWHERE.to_owned(),
            };
            Outcome::Deferred { until: record.due, reason }
        }
        None => {
            let task_arns = launch.driven.record().tasks.iter().map(|task| task.arn.clone()).collect();
            Outcome::Duplicate { task_arns }
        }
    };
    launches.iter().map(outcome).collect()
}

/// When the launches of an event were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recorded {
    /// At least one was not known to be recorded before this delivery.
    Now,
    /// All at an earlier delivery.
    Before,
}

/// Returns the outcomes of launches of which not all could be recorded. Those that could continue from their records.
fn unrecorded(launches: &[Launch], error: &DriveError) -> Vec<Outcome> {
    let outcome = |launch: &Launch| match (&launch.refused, launch.driven.stored.is_some()) {
        (Some(reason), _) => Outcome::Failed { reason: reason.clone() },
        (None, true) => Outcome::Deferred { until: launch.driven.record().due, reason: error.to_string() },
        (None, false) => Outcome::Failed { reason: error.to_string() },
    };
    launches.iter().map(outcome).collect()
}

/// How many launches have a place in the line of each limit.
#[derive(Default)]
struct Turns(BTreeMap<String, u32>);

impl Turns {
    /// Returns the launches that may find what they need at once. Of those that wait in a line, these are at most the
    /// first ones: the others are woken when a slot is released.
    fn can_start<'a>(&mut self, records: impl Iterator<Item = &'a LaunchRecord>) -> Vec<LaunchKey> {
        let untried = records.filter(|record| is_untried(record));
        untried.filter(|record| self.has_turn(record)).map(|record| record.key.clone()).collect()
    }

    fn has_turn(&mut self, record: &LaunchRecord) -> bool {
        let Some(concurrency) = record.concurrency.as_ref().filter(|_| record.slot == Some(launch::Slot::Waiting))
        else {
            return true;
        };
        let before = self.0.entry(concurrency.slots.clone()).or_default();
        *before += 1;
        *before <= concurrency.max
    }
}

/// Returns whether a launch waits for its first attempt.
fn is_untried(record: &LaunchRecord) -> bool {
    record.attempts.is_empty() && record.ended.is_none()
}

/// Records the launches, and the launch sets that they make.
async fn record(
    driver: &Driver<'_, impl Ports>,
    store: &impl LaunchStore,
    launches: &mut [Launch],
    starts_here: bool,
) -> Result<Recorded, DriveError> {
    let now = driver.now();
    let sets = sets(launches, now);
    if launches.len() > ASKED_FOR_FIRST && are_recorded(store, &sets).await? {
        return Ok(Recorded::Before);
    }
    draw_tickets(store, launches, now).await?;
    let mut recorded: Vec<&mut Launch> = launches.iter_mut().filter(|launch| launch.refused.is_none()).collect();
    driver.expect(recorded.len());
    let mut turns = Turns::default();
    for part in recorded.chunks_mut(RECORDED_AT_ONCE) {
        record_part(driver, store, part, starts_here).await?;
        if !starts_here {
            let records = part.iter().map(|launch| launch.driven.record());
            driver.leave(&turns.can_start(records), Duration::ZERO);
            driver.hand_over().await;
        }
    }
    // A set says that all of its launches are recorded.
    let is_whole = launches.iter().all(|launch| launch.refused.is_none());
    for set in sets.iter().filter(|_| is_whole) {
        store.record_set(set).await?;
    }
    Ok(Recorded::Now)
}

/// Records launches. If they start here, reserves their calls at the same time.
async fn record_part(
    driver: &Driver<'_, impl Ports>,
    store: &impl LaunchStore,
    launches: &mut [&mut Launch],
    starts_here: bool,
) -> Result<(), DriveError> {
    let now = driver.now();
    let mut records: Vec<LaunchRecord> = Vec::with_capacity(launches.len());
    for launch in launches.iter_mut() {
        if starts_here {
            // Decides on the first attempt, so that the write which begins the launch is the only one before its call.
            launch.driven.protocol.next(now);
        }
        let due = if starts_here { launch.driven.protocol.due(now) } else { later(now, LOST_AFTER) };
        records.push(LaunchRecord { due, ..launch.driven.record().clone() });
    }
    let mut calls: BTreeMap<Pool, u32> = BTreeMap::new();
    for record in records.iter().filter(|record| record.open_attempt().is_some()) {
        *calls.entry(Pool::of(&record.rendered.request)).or_default() += 1;
    }
    let reserve = async {
        for (pool, calls) in calls {
            driver.reserve(pool, calls).await;
        }
    };
    let (begun, ()) = future::join(store.begin(&records), reserve).await;
    for ((launch, record), begun) in launches.iter_mut().zip(records).zip(begun?) {
        driver.begun(&mut launch.driven, record, Some(begun));
    }
    Ok(())
}

/// Returns whether all of these sets are recorded, and so all of their launches.
async fn are_recorded(store: &impl LaunchStore, sets: &[LaunchSet]) -> Result<bool, StoreError> {
    for set in sets {
        if store.read_set(&set.name).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(!sets.is_empty())
}

/// Draws tickets for the launches that need a place in a line: at once for all that share a limit.
async fn draw_tickets(store: &impl LaunchStore, launches: &mut [Launch], now: Timestamp) -> Result<(), StoreError> {
    let mut by_limit: BTreeMap<String, Vec<&mut Launch>> = BTreeMap::new();
    for launch in launches.iter_mut().filter(|launch| launch.refused.is_none()) {
        let concurrency = launch.planned.concurrency.as_ref().filter(|it| it.when_full != WhenFull::Skip);
        if let Some(limit) = concurrency.map(|concurrency| concurrency.slots.clone()) {
            by_limit.entry(limit).or_default().push(launch);
        }
    }
    for (limit, waiting) in by_limit {
        let first = store.draw_tickets(&limit, u32::try_from(waiting.len()).unwrap_or(u32::MAX)).await?;
        for (launch, ticket) in waiting.into_iter().zip(first..) {
            launch.driven.protocol.hear(Answer::Ticket(ticket), now);
        }
    }
    Ok(())
}

/// Returns the launch sets: the launches of each route that makes several.
fn sets(launches: &[Launch], now: Timestamp) -> Vec<LaunchSet> {
    let mut sets: Vec<LaunchSet> = Vec::new();
    for record in launches.iter().map(|launch| launch.driven.record()) {
        let Some(name) = &record.set else { continue };
        match sets.last_mut().filter(|set| set.name == *name) {
            Some(set) => set.total += 1,
            None => {
                sets.push(LaunchSet { name: name.clone(), event_id: record.event_id.clone(), total: 1, created: now })
            }
        }
    }
    sets
}

/// Drives a launch as far as possible now. Returns the outcome for the event.
async fn launch(driver: &Driver<'_, impl Ports>, driven: &mut Driven) -> Outcome {
    let rest = driver.drive(driven).await;
    let record = driven.protocol.record();
    let is_remembered = driven.stored.is_some();
    let task_arns: Vec<String> = record.tasks.iter().map(|task| task.arn.clone()).collect();
    let conclusion = record.ended.as_ref().or(record.concluding.as_ref());
    let unsettled = match (&rest, conclusion.map(|conclusion| &conclusion.outcome), &record.given_up) {
        (_, Some(launch::Outcome::Skipped(skipped)), _) => return Outcome::Skipped(*skipped),
        (Ok(_), Some(launch::Outcome::DeadLettered(reason)), _) => {
            return Outcome::DeadLettered { reason: reason.clone() };
        }
        (Err(error), ..) => error.to_string(),
        (Ok(_), Some(_), _) if driven.has_launched => return Outcome::Launched { task_arns },
        (Ok(_), Some(_), _) => return Outcome::Duplicate { task_arns },
        (Ok(_), None, Some(GivenUp::Failed(reason))) => reason.clone(),
        (Ok(_), None, _) if !record.is_missing() && record.open_attempt().is_none() => {
            return match driven.has_launched {
                true => Outcome::Launched { task_arns },
                false => Outcome::Duplicate { task_arns },
            };
        }
        (Ok(rest), ..) => waiting_for(record, *rest),
    };
    match is_remembered {
        true => Outcome::Deferred { until: record.due, reason: unsettled },
        false => Outcome::Failed { reason: unsettled },
    }
}

/// The reason for a deferred launch that another invocation starts.
const STARTED_ELSEWHERE: &str = "it starts as soon as ECS's rate allows";
/// Why a launch waits for a slot.
const IN_LINE: &str = "as many tasks run as `concurrency` or `max_at_once` allows";

/// Returns why a launch waits.
fn waiting_for(record: &LaunchRecord, rest: Rest) -> String {
    if rest == Rest::OutOfTime {
        return "ECS's rate, or the invocation's time, has no place for the RunTask call now".to_owned();
    }
    if record.slot == Some(launch::Slot::Waiting) {
        return IN_LINE.to_owned();
    }
    let last = record.attempts.last();
    let reply = last.and_then(|last| last.reply.as_ref().or(last.undecided.as_ref().map(|undecided| &undecided.reply)));
    reply.map_or_else(|| "the launch is in progress".to_owned(), ToString::to_string)
}

/// Returns whether a firing still starts its tasks. Every other event does.
fn timeliness(event: &Event, config: &RoutingConfig, now: Timestamp) -> Timeliness {
    let EventKind::Firing(firing) = &event.kind else { return Timeliness::Due };
    let schedule =
        config.route_on_schedule(&firing.route).and_then(Route::schedule).filter(|schedule| schedule.enabled);
    schedule.map_or(Timeliness::Due, |schedule| schedule.timeliness(firing.scheduled_time, now))
}

/// Returns the URI of the shared copy of an event that is too large for a copy in each launch record.
fn copy_uri(plan: &Plan, event: &Event, config: &RoutingConfig) -> Option<String> {
    let first = plan.launches.first()?;
    let is_large = plan.launches.len().saturating_mul(event.text.len()) > COPIES_BYTES_MAX;
    config.ledger().filter(|_| is_large).map(|storage| storage.payload_uri(&first.request.client_token))
}

/// Stores the event at the URIs where its tasks and launch records expect it, before the tasks are started. Returns the
/// URIs where it could not be stored, with the reasons.
async fn store_payloads(
    plan: &Plan,
    copy: Option<&str>,
    event: &Event,
    payloads: &impl Payloads,
) -> HashMap<String, String> {
    let of_launches = plan.launches.iter().filter_map(|planned| planned.payload_uri.as_deref());
    let uris: BTreeSet<&str> = of_launches.chain(copy).collect();
    let mut refused = HashMap::new();
    for uri in uris {
        if let Err(error) = payloads.put(uri, &event.text).await {
            refused.insert(uri.to_owned(), format!("cannot store the event at {uri}: {error}"));
        }
    }
    refused
}

#[cfg(test)]
mod tests;
