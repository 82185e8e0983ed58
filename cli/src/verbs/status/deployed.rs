//! What is known of a deployed stack.

use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::future::{join_all, try_join3};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use trigger_aws::{EcsWorkers, SqsQueues, clients};
use trigger_core::event::Queue;
use trigger_core::history::{HistoryQuery, Launches};
use trigger_core::launch::LaunchRecord;
use trigger_core::routing::{RoutingConfig, RunsAs, Worker};
use trigger_core::status::Seen;
use trigger_engine::ports::{Queues, ServiceCounts, TasksOf, Unanswered, WorkerTask, Workers};

use super::{COUNTED_MAX, Known, QueueStatus, WorkerStatus, failed, open};
use crate::diagnostics::{note, warning};
use crate::exit::Failed;
use crate::operation::Deployed;
use crate::output::printable;

/// The last launch of a route is first looked for among so many of the latest launches of all routes.
const LATEST: usize = 100;
/// So many routes are looked up at once.
const AT_ONCE: usize = 8;

/// Returns what the stack's table, queues and services say.
pub(super) async fn known(deployed: &Deployed, now: Timestamp) -> Result<Known, Failed> {
    let seen = match deployed.config.ledger() {
        Some(_) => Some(seen(deployed, now).await?),
        None => {
            note("the deployed config has no `storage`, so its launches are not recorded");
            None
        }
    };
    let account = &deployed.account;
    let queues = SqsQueues::new(account.sqs.clone(), clients::cloudwatch(&account.sdk_config));
    let tasks = EcsWorkers::new(account.ecs.clone());
    let workers =
        join_all(deployed.config.workers.iter().map(|worker| status(worker, &deployed.config, &queues, &tasks)));
    Ok(Known { seen, workers: workers.await, dead_letters: dead_letters(deployed).await })
}

/// Reads the launches that are open, that have failed, and the last one of each route.
async fn seen(deployed: &Deployed, now: Timestamp) -> Result<Seen, Failed> {
    let (all, open, failed) = (HistoryQuery::new(Launches::All), open(), failed(now));
    // One more than are counted shows that there are more.
    let (mut latest, open, failed) = try_join3(
        deployed.history(&all, LATEST),
        deployed.history(&open, COUNTED_MAX + 1),
        deployed.history(&failed, COUNTED_MAX + 1),
    )
    .await?;
    let routes = deployed.config.routes.iter();
    let others = routes.filter(|route| !latest.iter().any(|record| record.key.route == route.name));
    let last: Vec<Vec<LaunchRecord>> = stream::iter(others)
        .map(|route| async {
            let all = HistoryQuery::new(Launches::All);
            deployed.history(&HistoryQuery { route: Some(route.name.clone()), page: 1, ..all }, 1).await
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    latest.extend(last.into_iter().flatten());
    Ok(Seen { latest, open, failed })
}

/// Returns the status of workers. What cannot be read is unknown, and told.
async fn status(worker: &Worker, config: &RoutingConfig, queues: &SqsQueues, ecs: &EcsWorkers) -> WorkerStatus {
    let depths = join_all(worker.queues.iter().map(|queue| depth(queue, queues))).await;
    let mut status = WorkerStatus { worker: worker.name.clone(), queues: depths, ..WorkerStatus::default() };
    let counted = match &worker.runs_as {
        RunsAs::Service { cluster, service } => {
            let answers = ecs.services(cluster.as_deref(), std::slice::from_ref(service)).await;
            let counts = answers.and_then(|mut answers| {
                answers.pop().unwrap_or_else(|| Err(Unanswered(format!("no service is named `{service}`"))))
            });
            counts.map(|ServiceCounts { running, pending, desired, .. }| (running, pending, Some(desired)))
        }
        RunsAs::Task(_) => {
            let cluster = config.task_of_worker(worker).and_then(|task| task.request().cluster.as_deref());
            let tasks = ecs.tasks(cluster, TasksOf::StartedBy(&worker.started_by())).await;
            tasks.map(|tasks| {
                let count = |is_running: bool| {
                    let tasks = tasks.iter().filter(|task: &&WorkerTask| task.is_running == is_running);
                    u32::try_from(tasks.count()).unwrap_or(u32::MAX)
                };
                (count(true), count(false), None)
            })
        }
    };
    match counted {
        Ok((running, starting, desired)) => {
            (status.running, status.starting, status.desired) = (Some(running), Some(starting), desired);
        }
        Err(Unanswered(reason)) => {
            warning(&printable(&format!("the tasks of the worker `{}` cannot be counted: {reason}", worker.name)));
        }
    }
    status
}

async fn depth(queue: &Queue, queues: &SqsQueues) -> QueueStatus {
    let name = queue.name.clone();
    match queues.depth(queue).await {
        Ok(depth) => QueueStatus {
            queue: name,
            visible: Some(depth.visible),
            in_flight: Some(depth.in_flight),
            delayed: Some(depth.delayed),
        },
        Err(Unanswered(reason)) => {
            warning(&printable(&reason));
            QueueStatus { queue: name, ..QueueStatus::default() }
        }
    }
}

/// Returns how many messages the stack's dead-letter queue has.
async fn dead_letters(deployed: &Deployed) -> Option<u64> {
    let url = deployed.stack.outputs.get(infra::DEAD_LETTERS_OUTPUT)?;
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ];
    let get = deployed.account.sqs.get_queue_attributes().queue_url(url);
    match get.set_attribute_names(Some(names.to_vec())).send().await {
        Ok(got) => {
            let count = |name| got.attributes()?.get(name)?.parse::<u64>().ok();
            names.iter().map(count).sum()
        }
        Err(error) => {
            let reason = clients::causes(&error);
            warning(&printable(&format!("the dead letters at {url} cannot be counted: {reason}")));
            None
        }
    }
}
