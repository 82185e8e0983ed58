//! An account that stories share: the emulator with a config, a launch table and queues, and the model of ECS.

use std::time::{Duration, Instant};

use e2e::ecs::endpoint::Endpoint;
use e2e::{Asked, Doomed, Emulator, Function, LaunchTable, Message};
use jiff::SignedDuration;
use serde_json::Value;
use trigger_core::routing::RoutingConfig;
use trigger_core::storage::ItemKind;
use trigger_core::text::Source;

/// The input of the sweep's schedule.
pub(crate) const SWEEP: &str = r#"{"sweep":true}"#;

/// The variables that name the endpoints of DynamoDB and of SQS.
pub(crate) const DYNAMODB: &str = "AWS_ENDPOINT_URL_DYNAMODB";
pub(crate) const SQS: &str = "AWS_ENDPOINT_URL_SQS";

/// The name of the work queue.
const WORK: &str = "work";
/// A story fails if it waits longer than this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

pub(crate) struct Account {
    pub(crate) emulator: Emulator,
    pub(crate) ecs: Endpoint,
    pub(crate) table: LaunchTable,
}

impl Account {
    /// Creates an account with a config, whose `storage` names the bucket `state`.
    pub(crate) fn new(config: &str) -> Self {
        let emulator = Emulator::start();
        emulator.aws(&["s3api", "create-bucket", "--bucket", "state"]);
        emulator.put_object("state", "config/ecs-trigger.yaml", config);
        emulator.aws(&["sqs", "create-queue", "--queue-name", "dead-letters"]);
        emulator.aws(&["sqs", "create-queue", "--queue-name", WORK]);
        let config = RoutingConfig::parse(Source::new("ecs-trigger.yaml", config)).expect("the config is valid");
        let table = emulator.create_table(&config);
        Self { emulator, ecs: Endpoint::start(), table }
    }

    pub(crate) fn function(&self, name: &str) -> Function {
        self.function_with(name, &[])
    }

    /// Starts a function with further variables, such as the endpoint of a service.
    pub(crate) fn function_with(&self, name: &str, more: &[(&str, &str)]) -> Function {
        self.with_variables(|variables| Function::start(name, &[variables, more].concat()))
    }

    /// Starts a function that is killed before the first request to a service for which `strikes` returns true.
    /// `variable` names the service's endpoint.
    pub(crate) fn doomed(
        &self,
        name: &str,
        variable: &str,
        strikes: impl FnMut(&Asked) -> bool + Send + 'static,
    ) -> Doomed {
        let endpoint = (variable, self.emulator.address());
        self.with_variables(|variables| Doomed::start(name, variables, endpoint, strikes))
    }

    fn with_variables<T>(&self, start: impl FnOnce(&[(&str, &str)]) -> T) -> T {
        let (work, dead_letters) = (self.emulator.queue_url(WORK), self.emulator.queue_url("dead-letters"));
        start(&[
            ("AWS_ENDPOINT_URL", &self.emulator.endpoint),
            ("AWS_ENDPOINT_URL_ECS", &self.ecs.endpoint),
            ("ECS_TRIGGER_CONFIG", "s3://state/config/ecs-trigger.yaml"),
            ("ECS_TRIGGER_TABLE", &self.table.name),
            ("ECS_TRIGGER_WORK_QUEUE", &work),
            ("ECS_TRIGGER_DEAD_LETTER_QUEUE", &dead_letters),
        ])
    }

    /// Returns the ARNs of all tasks in the order in which they were started.
    pub(crate) fn tasks(&self) -> Vec<String> {
        self.ecs.ecs().tasks.keys().cloned().collect()
    }

    /// Returns the keys and records of a route's launches.
    pub(crate) fn records(&self, route: &str) -> Vec<(String, Value)> {
        self.table.launches(route)
    }

    /// Simulates the passing of time for a route's launches.
    pub(crate) fn pass(&self, route: &str, duration: SignedDuration) {
        self.table.pass(route, duration, |_| true);
    }

    pub(crate) fn dead_letter(&self) -> Value {
        serde_json::from_str(&self.emulator.receive("dead-letters", 1)[0]).expect("is JSON")
    }

    /// Hands a message of the work queue to a function, as Lambda does. Returns false if there is none at the moment.
    pub(crate) fn work(&self, lifecycle: &Function) -> bool {
        let Some(message) = self.emulator.take(WORK) else { return false };
        lifecycle.invoke(&Message::batch(std::slice::from_ref(&message))).expect("the work is done");
        self.emulator.delete(&message);
        true
    }

    /// Takes a message of the work queue.
    pub(crate) fn take_work(&self) -> Message {
        self.emulator.take(WORK).expect("there is work")
    }

    /// Works off the work queue until it is empty, with what is delayed.
    pub(crate) fn work_off(&self, lifecycle: &Function) {
        let began = Instant::now();
        while self.work(lifecycle) || self.work_left() > 0 {
            assert!(began.elapsed() < PATIENCE, "{} messages are left", self.work_left());
        }
    }

    /// Returns the number of messages in the work queue, with those that are delayed or taken.
    pub(crate) fn work_left(&self) -> usize {
        self.emulator.depth(WORK)
    }
}

/// Returns whether a request to DynamoDB writes launches.
pub(crate) fn writes_launches(asked: &Asked) -> bool {
    let is_write = matches!(asked.operation(), "PutItem" | "UpdateItem" | "TransactWriteItems");
    is_write && asked.body.contains(&format!("\"{}", ItemKind::Launch.prefix()))
}
