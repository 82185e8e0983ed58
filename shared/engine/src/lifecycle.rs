//! Handles what happens after a launch is recorded: it is started, its tasks stop, and times pass.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use trigger_core::event::TaskStateChange;
use trigger_core::event::identity::LaunchKey;
use trigger_core::launch::{Answer, Conclusion, Pool, SeenTask, TaskStatus};
use trigger_core::routing::RoutingConfig;

use crate::drive::{Continued, DriveError, Driven, Driver, LEFT_FOR, Rest};
use crate::ports::{Clock, LaunchStore, Launcher, Ports, Stored};

/// This many launches are driven at once.
const DRIVEN_AT_ONCE: usize = 8;
/// One read of the store, and one call that describes tasks, covers at most this many.
const READ_AT_ONCE: usize = 100;
/// The pause between two calls that describe tasks: ECS allows 20 a second for the whole account.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>
const DESCRIBE_PAUSE: Duration = Duration::from_millis(100);

/// The result of a task's state change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChangeOutcome {
    /// The task belongs to no launch in the ledger, or it still runs.
    Ignored,
    /// How the task ended is recorded in its launch.
    Recorded {
        /// The launch.
        launch: LaunchKey,
        /// The launch's conclusion, if it has ended.
        conclusion: Option<Conclusion>,
        /// The launches that continued because of the change.
        others: Vec<Continued>,
    },
}

/// Records how a task ended and continues its launch: the launch ends, a task is started again, the event is
/// dead-lettered, or a waiting launch is started. A repeated or old state change changes nothing.
///
/// # Errors
/// The store, ECS or the dead-letter queue did not answer, or cannot be used. The change should be delivered again; if
/// it is not, the sweep looks the task up.
pub async fn handle_state_change(
    change: &TaskStateChange,
    config: &RoutingConfig,
    ports: &impl Ports,
    deadline: Option<Timestamp>,
) -> Result<StateChangeOutcome, DriveError> {
    let driver = Driver::new(ports, config, deadline);
    let (Some((key, attempt)), Some(stopped)) = (change.launch(), &change.stopped) else {
        return Ok(StateChangeOutcome::Ignored);
    };
    let Some(stored) = driver.read(&key).await? else { return Ok(StateChangeOutcome::Ignored) };
    let has_ended = stored.record.ended.is_some();
    let mut driven = Driven::resume(stored);
    let status = TaskStatus::Stopped(stopped.clone());
    let seen = SeenTask { arn: change.task_arn.clone(), attempt: Some(attempt), status };
    driven.protocol.hear(Answer::Seen(vec![seen]), ports.clock().now());
    if has_ended {
        // An earlier delivery may have ended before it gave the slots to the next in line.
        driven.wake_next();
    }
    driver.drive(&mut driven).await?;
    driver.hand_over().await;
    let conclusion = driven.protocol.record().ended.clone();
    Ok(StateChangeOutcome::Recorded { launch: key, conclusion, others: driven.others })
}

/// The result of continuing launches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// The launches that were continued.
    pub launches: Vec<Continued>,
    /// The launches that could not be continued, with the errors. They are tried again later.
    pub failed: Vec<(LaunchKey, DriveError)>,
    /// Whether the time ran out before everything was done.
    pub is_cut_short: bool,
}

/// Handles everything that is due: continues launches that were left half done or wait for capacity, stops tasks that
/// run too long, and looks up tasks whose state change never came.
///
/// # Errors
/// The store did not list what is due.
pub async fn sweep(
    config: &RoutingConfig,
    ports: &impl Ports,
    deadline: Option<Timestamp>,
) -> Result<SweepReport, DriveError> {
    let driver = Driver::new(ports, config, deadline);
    let mut sweep = Sweep::new(&driver);
    let mut after = None;
    let Some(store) = driver.store() else { return Ok(sweep.report) };
    let now = ports.clock().now();
    loop {
        let page = store.due(now, after).await?;
        sweep.look_after(&page.launches, Some(now)).await;
        after = page.next;
        if after.is_none() || sweep.report.is_cut_short {
            break;
        }
    }
    let report = sweep.report;
    driver.hand_over().await;
    Ok(report)
}

/// Continues launches that another invocation left. Without a launch store there are none.
pub async fn continue_launches(
    launches: &[LaunchKey],
    config: &RoutingConfig,
    ports: &impl Ports,
    deadline: Option<Timestamp>,
) -> SweepReport {
    let driver = Driver::new(ports, config, deadline);
    let mut sweep = Sweep::new(&driver);
    sweep.look_after(launches, None).await;
    let report = sweep.report;
    driver.hand_over().await;
    report
}

struct Sweep<'a, P> {
    driver: &'a Driver<'a, P>,
    report: SweepReport,
    has_described: bool,
}

/// What became of one launch.
enum Look {
    Continued(Vec<Continued>),
    Failed(LaunchKey, DriveError),
    NoTime,
}

impl<'a, P: Ports> Sweep<'a, P> {
    fn new(driver: &'a Driver<'a, P>) -> Self {
        Self { driver, report: SweepReport::default(), has_described: false }
    }

    /// Continues launches. With `due_until`, skips those that are no longer due: the list of what is due may be old.
    async fn look_after(&mut self, keys: &[LaunchKey], due_until: Option<Timestamp>) {
        for keys in keys.chunks(READ_AT_ONCE) {
            if self.driver.is_late(SignedDuration::ZERO) {
                self.report.is_cut_short = true;
                return;
            }
            let is_due = |stored: &Stored| {
                let record = &stored.record;
                record.ended.is_none() && due_until.is_none_or(|until| record.due <= until)
            };
            let read = self.read(keys).await.into_iter().filter(is_due);
            let mut driven: Vec<Driven> = read.map(Driven::resume).collect();
            self.observe(&mut driven).await;
            let driven = self.with_calls(driven).await;
            let looks = driven.into_iter().map(|driven| self.look(driven));
            let looks: Vec<Look> = stream::iter(looks).buffer_unordered(DRIVEN_AT_ONCE).collect().await;
            looks.into_iter().for_each(|look| self.report.add(look));
        }
    }

    /// Reads launches. A record that cannot be read must not keep the others from being read.
    async fn read(&mut self, keys: &[LaunchKey]) -> Vec<Stored> {
        let Some(store) = self.driver.store() else { return Vec::new() };
        if let Ok(read) = store.read(keys).await {
            return read.into_iter().flatten().collect();
        }
        let mut read = Vec::new();
        for key in keys {
            match self.driver.read(key).await {
                Ok(stored) => read.extend(stored),
                Err(error) => self.fail(key.clone(), error).await,
            }
        }
        read
    }

    async fn fail(&mut self, key: LaunchKey, error: DriveError) {
        self.postpone(&key).await;
        self.report.add(Look::Failed(key, error));
    }

    /// Makes a launch due later, so that it does not stand before those that can be continued.
    async fn postpone(&self, key: &LaunchKey) {
        if let Some(store) = self.driver.store() {
            let _ = store.postpone(key, self.driver.now()).await;
        }
    }

    /// Looks up the tasks whose state is unknown, of all launches together. If ECS does not answer, each launch asks for
    /// itself.
    async fn observe(&mut self, driven: &mut [Driven]) {
        let now = self.driver.now();
        let mut by_cluster: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
        for launch in driven.iter() {
            let cluster = launch.record().rendered.request.cluster.clone();
            by_cluster.entry(cluster).or_default().extend(launch.protocol.unobserved(now));
        }
        let mut seen: BTreeMap<String, SeenTask> = BTreeMap::new();
        for (cluster, arns) in by_cluster {
            for arns in arns.chunks(READ_AT_ONCE) {
                if std::mem::replace(&mut self.has_described, true) {
                    self.driver.ports.clock().sleep(DESCRIBE_PAUSE).await;
                }
                let described = self.driver.ports.launcher().describe_tasks(cluster.as_deref(), arns).await;
                seen.extend(described.into_iter().flatten().map(|task| (task.arn.clone(), task)));
            }
        }
        for launch in driven {
            let unobserved = launch.protocol.unobserved(now);
            let tasks: Vec<SeenTask> = unobserved.iter().filter_map(|arn| seen.get(arn).cloned()).collect();
            if !tasks.is_empty() && tasks.len() == unobserved.len() {
                launch.protocol.hear(Answer::Seen(tasks), now);
            }
        }
    }

    /// Reserves the calls of the launches that are about to be started. Those for which the rate has no place now are left
    /// as they are: opening their attempts would only cost writes.
    async fn with_calls(&self, driven: Vec<Driven>) -> Vec<Driven> {
        let now = self.driver.now();
        let (calling, mut others): (Vec<Driven>, Vec<Driven>) =
            driven.into_iter().partition(|driven| driven.protocol.is_about_to_call(now));
        let mut by_pool: BTreeMap<Pool, Vec<Driven>> = BTreeMap::new();
        calling.into_iter().for_each(|it| by_pool.entry(Pool::of(&it.record().rendered.request)).or_default().push(it));
        for (pool, calling) in by_pool {
            let reserved = self.driver.reserve(pool, u32::try_from(calling.len()).unwrap_or(u32::MAX)).await;
            let mut calling = calling.into_iter();
            others.extend(calling.by_ref().take(reserved as usize));
            let keys: Vec<LaunchKey> = calling.map(|driven| driven.record().key.clone()).collect();
            self.driver.leave(&keys, LEFT_FOR);
        }
        others
    }

    /// Drives a launch, and makes it due later if it still is.
    async fn look(&self, mut driven: Driven) -> Look {
        let key = driven.record().key.clone();
        if self.driver.is_late(SignedDuration::ZERO) {
            return Look::NoTime;
        }
        match self.continue_one(&mut driven).await {
            Ok(Rest::OutOfTime) if self.driver.is_late(SignedDuration::ZERO) => Look::NoTime,
            Ok(_) => {
                let own = driven.continued();
                Look::Continued(std::iter::once(own).chain(driven.others).collect())
            }
            Err(error) => {
                self.postpone(&key).await;
                Look::Failed(key, error)
            }
        }
    }

    async fn continue_one(&self, driven: &mut Driven) -> Result<Rest, DriveError> {
        let rest = self.driver.drive(driven).await?;
        if matches!(rest, Rest::Waits(_)) && driven.record().due <= self.driver.now() {
            driven.protocol.touch();
            self.driver.write(driven).await?;
        }
        Ok(rest)
    }
}

impl SweepReport {
    fn add(&mut self, look: Look) {
        match look {
            Look::Continued(launches) => self.launches.extend(launches),
            Look::Failed(key, error) => self.failed.push((key, error)),
            Look::NoTime => self.is_cut_short = true,
        }
    }
}

#[cfg(test)]
mod tests;
