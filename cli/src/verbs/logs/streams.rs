//! The output of containers in CloudWatch Logs.

use std::collections::{BTreeMap, HashMap, HashSet};

use aws_config::Region;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_ecs::types::ContainerDefinition;
use jiff::Timestamp;
use trigger_core::ecs::logs::{LogPlace, LogStream};
use trigger_core::launch::{LaunchRecord, LaunchedTask};

use super::outputs::{Line, Output, Page, Reader};
use crate::account::{Account, refused};
use crate::exit::Failed;

/// One DescribeTasks call accepts at most this many tasks.
const TASKS_AT_ONCE: usize = 100;

/// The streams of a launch's tasks.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// The ARNs of the tasks whose streams were found.
    found: HashSet<String>,
    /// The containers of each task definition.
    definitions: HashMap<String, Vec<ContainerDefinition>>,
}

impl Streams {
    /// Returns the outputs of a launch's tasks that were not found before.
    pub(super) async fn find(
        &mut self,
        account: &Account,
        record: &LaunchRecord,
        since: Option<Timestamp>,
    ) -> Result<Vec<Output>, Failed> {
        let new: Vec<&LaunchedTask> = record.tasks.iter().filter(|task| self.found.insert(task.arn.clone())).collect();
        let mut outputs = Vec::new();
        for tasks in new.chunks(TASKS_AT_ONCE) {
            let known = definitions_of(account, record, tasks).await;
            for task in tasks {
                // ECS forgets a task within hours. The request may name a family, whose latest revision it then is.
                let name = known.get(&task.arn).unwrap_or(&record.rendered.request.task_definition);
                if !self.definitions.contains_key(name) {
                    self.definitions.insert(name.clone(), containers(account, name).await?);
                }
                let containers = self.definitions.get(name).into_iter().flatten();
                outputs.extend(containers.map(|container| output(account, task, container, since)));
            }
        }
        Ok(outputs)
    }
}

/// Returns the ARNs of the task definitions of those tasks that ECS still knows.
async fn definitions_of(account: &Account, record: &LaunchRecord, tasks: &[&LaunchedTask]) -> HashMap<String, String> {
    let arns = tasks.iter().map(|task| task.arn.clone()).collect();
    let cluster = record.rendered.request.cluster.clone();
    let described = account.ecs.describe_tasks().set_cluster(cluster).set_tasks(Some(arns)).send().await;
    let Ok(described) = described else { return HashMap::new() };
    let definition =
        |task: &aws_sdk_ecs::types::Task| Some((task.task_arn()?.to_owned(), task.task_definition_arn()?.to_owned()));
    described.tasks().iter().filter_map(definition).collect()
}

/// Returns the containers of a task definition.
async fn containers(account: &Account, name: &str) -> Result<Vec<ContainerDefinition>, Failed> {
    let described = account.ecs.describe_task_definition().task_definition(name).send().await;
    let described = described.map_err(|error| refused(&format!("cannot read the task definition {name}"), &error))?;
    Ok(described.task_definition().map(|definition| definition.container_definitions().to_vec()).unwrap_or_default())
}

/// Returns the output of a container of a task.
fn output(account: &Account, task: &LaunchedTask, container: &ContainerDefinition, since: Option<Timestamp>) -> Output {
    let name = container.name().unwrap_or_default();
    let configuration = container.log_configuration();
    let options: BTreeMap<String, String> = configuration
        .and_then(|logs| logs.options())
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let driver = configuration.map(|logs| logs.log_driver().as_str());
    let reader = match LogPlace::of(name, task.id(), driver, &options) {
        LogPlace::Stream(stream) => Reader::Stream(StreamReader::new(account, stream, since)),
        LogPlace::Elsewhere(why) => Reader::Elsewhere(why),
    };
    Output {
        attempt: task.attempt,
        container: name.to_owned(),
        ecs_task: Some(task.arn.clone()),
        reader,
        has_lines: false,
    }
}

/// Reads a stream that may grow.
#[derive(Debug)]
pub(super) struct StreamReader {
    client: Client,
    stream: LogStream,
    since: Option<Timestamp>,
    /// Where to go on.
    token: Option<String>,
    is_missing: bool,
}

impl StreamReader {
    fn new(account: &Account, stream: LogStream, since: Option<Timestamp>) -> Self {
        let client = match stream.region.as_ref().filter(|region| **region != account.identity.region) {
            None => account.logs.clone(),
            Some(region) => {
                let config = aws_sdk_cloudwatchlogs::config::Builder::from(&account.sdk_config);
                Client::from_conf(config.region(Region::new(region.clone())).build())
            }
        };
        Self { client, stream, since, token: None, is_missing: false }
    }

    /// Reads the next lines. A stream that does not exist yet has none.
    pub(super) async fn read(&mut self) -> Result<Page, Failed> {
        let LogStream { group, name, .. } = &self.stream;
        let get = self.client.get_log_events().log_group_name(group).log_stream_name(name).start_from_head(true);
        let get = get.set_start_time(self.since.map(Timestamp::as_millisecond)).set_next_token(self.token.clone());
        match get.send().await {
            Ok(got) => {
                let next = got.next_forward_token().map(str::to_owned);
                // A page may be empty although there are more. At the end, the token stays the same.
                let is_at_end = next.is_none() || next == self.token;
                self.is_missing = false;
                self.token = next.or_else(|| self.token.take());
                let line = |event: &aws_sdk_cloudwatchlogs::types::OutputLogEvent| {
                    let at = Timestamp::from_millisecond(event.timestamp()?).ok()?;
                    Some((at, Line { stream: None, text: event.message().unwrap_or_default().to_owned() }))
                };
                Ok(Page { lines: got.events().iter().filter_map(line).collect(), is_at_end })
            }
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
                self.is_missing = true;
                Ok(Page { is_at_end: true, ..Page::default() })
            }
            Err(error) => Err(refused(&format!("cannot read the log stream {name} of the log group {group}"), &error)),
        }
    }

    /// Returns why there are no lines, if the stream does not exist.
    pub(super) fn why_empty(&self) -> Option<String> {
        let LogStream { group, name, .. } = &self.stream;
        let why = format!(
            "the log stream {name} of the log group {group} does not exist: the container wrote nothing, or its output \
             has expired"
        );
        self.is_missing.then_some(why)
    }
}
