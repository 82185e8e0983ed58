//! Queues decide how many workers run: the real queue-scaler, the emulator's SQS, a cluster whose tasks are processes, and in each
//! the real worker-shim.

#![expect(clippy::expect_used, reason = "a story that cannot go on has failed")]

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use e2e::{Cluster, Emulator, Function, binary};
use tempfile::TempDir;

/// How long something may take.
const PATIENCE: Duration = Duration::from_secs(50);

/// An account: the emulator with config and queues, and a cluster.
struct Account {
    emulator: Emulator,
    cluster: Cluster,
    folder: TempDir,
}

impl Account {
    /// Each worker takes a tenth of a second or so for a message, and notes down when it begins and ends.
    fn new(config: &str, queues: &[&str], shim: &[&str]) -> Self {
        let emulator = Emulator::start();
        emulator.aws(&["s3api", "create-bucket", "--bucket", "state"]);
        emulator.put_object("state", "ecs-trigger.yaml", config);
        for queue in queues {
            emulator.aws(&["sqs", "create-queue", "--queue-name", queue]);
        }
        let folder = TempDir::new().expect("a folder can be made");
        let journal = folder.path().join("journal");
        let work = "echo begin $SQS_MESSAGE_ID >> $JOURNAL; sleep 0.3; echo end $SQS_MESSAGE_ID >> $JOURNAL";
        let mut command = vec![binary("worker-shim").display().to_string()];
        command.extend(shim.iter().map(|word| (*word).to_owned()));
        command.extend(["--", "sh", "-c", work].map(str::to_owned));
        let variables = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("JOURNAL", journal.display().to_string()),
            ("AWS_ENDPOINT_URL", emulator.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("RUST_LOG", "error".to_owned()),
        ];
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let cluster = Cluster::start(command, &variables, &["images", "other"]);
        Self { emulator, cluster, folder }
    }

    fn scaler(&self) -> Function {
        let variables = [
            ("AWS_ENDPOINT_URL", self.emulator.endpoint.as_str()),
            ("AWS_ENDPOINT_URL_ECS", &self.cluster.endpoint),
            ("ECS_TRIGGER_CONFIG", "s3://state/ecs-trigger.yaml"),
            ("RUST_LOG", "warn"),
        ];
        let function = Function::start("queue-scaler", &variables);
        // As its schedule does once a minute.
        function.send("{}");
        function
    }

    fn send(&self, queue: &str, messages: usize) {
        let url = self.emulator.queue_url(queue);
        let entries: Vec<serde_json::Value> = (0..messages)
            .map(|n| serde_json::json!({ "Id": n.to_string(), "MessageBody": format!("message {n}") }))
            .collect();
        for batch in entries.chunks(10) {
            let batch = serde_json::to_string(batch).expect("is JSON");
            self.emulator.aws(&["sqs", "send-message-batch", "--queue-url", &url, "--entries", &batch]);
        }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// How often each message was begun, and ended.
    fn worked(&self) -> HashMap<String, (usize, usize)> {
        let mut worked: HashMap<String, (usize, usize)> = HashMap::new();
        for line in fs::read_to_string(self.journal()).unwrap_or_default().lines() {
            let (what, id) = line.split_once(' ').expect("is a line of ours");
            let (begun, ended) = worked.entry(id.to_owned()).or_default();
            if what == "begin" { *begun += 1 } else { *ended += 1 }
        }
        worked
    }

    /// Waits until it holds; looking is what lets the cluster go on.
    fn until(&self, what: &str, mut holds: impl FnMut(&Cluster) -> bool) {
        let began = Instant::now();
        let mut most = 0;
        while !holds(&self.cluster) {
            most = most.max(self.cluster.running());
            assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}; at most {most} workers ran");
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

const SERVICE: &str = "
version: 1
workers:
  - service: images
    queue: images
    scaling:
      { max: 4, acceptable_latency: 4s, msg_processing_time: 300ms, tick: 1s, start_delay: 1s, scale_in_hold: 2s, scale_in_every: 1s }
";

#[test]
fn a_service_goes_from_none_to_several_workers_and_back_and_none_is_stopped_with_a_message() {
    let account = Account::new(SERVICE, &["images"], &["--queue", "images"]);
    account.send("images", 60);
    let _scaler = account.scaler();
    account.until("several workers run", |cluster| cluster.running() >= 2);
    account.until("all messages are done", |_| account.worked().values().filter(|(_, ended)| *ended > 0).count() == 60);
    account.until("no worker is left", |cluster| cluster.desired("images") == 0 && cluster.running() == 0);
    assert!(account.worked().values().all(|times| *times == (1, 1)), "each message once: {:?}", account.worked());
    let set = account.cluster.set("images");
    assert!(set.windows(2).all(|pair| pair[0] != pair[1]), "set only where it changes: {set:?}");
    assert!(set.iter().all(|count| *count <= 4), "within its bounds: {set:?}");
}

#[test]
fn tasks_of_their_own_are_started_as_they_are_needed_and_end_by_themselves() {
    let config = "
version: 1
tasks:
  worker:
    task_definition: worker
    overrides: { container_overrides: [{ name: app }] }
workers:
  - run: worker
    queue: images
    scaling: { max: 3, acceptable_latency: 4s, msg_processing_time: 300ms, tick: 1s, start_delay: 1s, idle_exit: 1s }
";
    // Queue, concurrency and idle exit are in the environment that the scaler gives.
    let account = Account::new(config, &["images"], &[]);
    account.send("images", 1);
    let _scaler = account.scaler();
    account.until("one message starts a worker", |_| account.worked().len() == 1);
    account.until("it ends", |cluster| cluster.running() == 0);
    assert_eq!(account.cluster.started(), 1, "one message, one worker");
    account.send("images", 40);
    account.until("several workers run", |cluster| cluster.running() == 3);
    account.until("all messages are done", |_| account.worked().values().filter(|(_, ended)| *ended > 0).count() == 41);
    account.until("all end", |cluster| cluster.running() == 0);
    assert!(account.worked().values().all(|times| *times == (1, 1)), "each message once: {:?}", account.worked());
}

#[test]
fn a_hand_a_throttle_and_a_queue_that_cannot_be_read_change_nothing_for_the_others() {
    let config = format!(
        "{SERVICE}
  - service: other
    queue: nowhere
    scaling: {{ min: 1, max: 4, acceptable_latency: 4s, tick: 1s }}
"
    );
    let account = Account::new(&config, &["images"], &["--queue", "images"]);
    // Somebody wants many, more than there may be.
    account.cluster.set_by_hand("images", 6);
    account.cluster.set_by_hand("other", 0);
    let _scaler = account.scaler();
    account
        .until("it is brought within its bounds, and then to what is needed", |cluster| cluster.desired("images") == 0);
    account.cluster.set_by_hand("images", 2);
    account.until("what somebody set is the new beginning", |cluster| cluster.desired("images") == 0);
    account.cluster.throttle(8);
    account.send("images", 30);
    account.until("throttled, it scales later", |cluster| cluster.running() >= 2);
    account.until("all messages are done", |cluster| account.worked().len() == 30 && cluster.running() == 0);
    assert_eq!(account.cluster.set("other"), Vec::<u64>::new(), "unknown is not zero: nothing changes");
    assert!(account.cluster.calls("DescribeServices") > 0);
}
