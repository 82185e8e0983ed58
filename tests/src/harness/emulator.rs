//! Runs ministack, an emulator of AWS, on this machine, and talks to it through AWS's own command line.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use trigger_core::routing::RoutingConfig;

use crate::harness::binaries::{Made, once, root, small};
use crate::harness::http::ask;
use crate::harness::python::{environment, run};
use crate::harness::table::LaunchTable;

/// A lookup fails after this many tries; each takes about half a second.
const LOOKS_MAX: usize = 120;

/// A running emulator, empty at first. It ends when this value is dropped.
#[derive(Debug)]
pub struct Emulator {
    process: Child,
    environment: PathBuf,
    /// The emulator's URL.
    pub endpoint: String,
}

impl Emulator {
    /// Starts an emulator on a free port, and creates its virtual environment first if it is missing.
    ///
    /// # Panics
    /// Python 3 is missing, the packages cannot be installed, or the emulator does not start.
    pub fn start() -> Self {
        let environment = environment("emulator", "requirements.txt");
        let port = free_port();
        let mut process = Command::new(environment.join("bin/python"))
            .arg(root().join("tests/emulator.py"))
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("CLOUDTRAIL_RECORDING", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start the emulator: {error}"));
        let mut log = BufReader::new(process.stderr.take().unwrap_or_else(|| panic!("the log is piped"))).lines();
        let ready = log.by_ref().map_while(Result::ok).any(|line| line.contains("Running on"));
        assert!(ready, "the emulator ended before it answered");
        // Drains the pipe, which would block the emulator when full.
        std::thread::spawn(move || log.map_while(Result::ok).for_each(drop));
        Self { process, environment, endpoint: format!("http://127.0.0.1:{port}") }
    }

    /// Runs `aws` with these arguments. Returns its output, or null if there is none.
    ///
    /// # Panics
    /// The command fails.
    pub fn aws(&self, arguments: &[&str]) -> Value {
        let output = Command::new(self.environment.join("bin/aws"))
            .args(arguments)
            // The variable is not enough: for SQS, `aws` takes it for AWS's own endpoint and replaces it.
            .args(["--endpoint-url", &self.endpoint])
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("NO_PROXY", "127.0.0.1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_DEFAULT_OUTPUT", "json")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .output()
            .unwrap_or_else(|error| panic!("cannot run aws: {error}"));
        assert!(output.status.success(), "aws {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Calls an operation of AWS's JSON protocol, such as `AmazonSQS.ReceiveMessage`. It takes a hundredth of the time of
    /// [`Emulator::aws`].
    ///
    /// # Panics
    /// The call fails.
    pub fn call(&self, target: &str, request: &Value) -> Value {
        ask(self.address(), target, request)
    }

    /// Returns the emulator's address, `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.endpoint.trim_start_matches("http://")
    }

    /// Returns the folder that contains `aws`.
    pub fn bin(&self) -> PathBuf {
        self.environment.join("bin")
    }

    /// Returns a command that runs `ecs-trigger` against this account.
    pub fn command(&self) -> Command {
        let mut command = crate::harness::command();
        command
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .stdin(Stdio::null());
        command
    }

    /// Creates the function `name` from our own binary of that name.
    ///
    /// # Panics
    /// The function cannot be created.
    pub fn create_function(&self, name: &str, environment: &[(&str, &str)]) {
        let archive = archive(name);
        let variables: serde_json::Map<String, Value> = environment
            .iter()
            .chain(&[("AWS_ENDPOINT_URL", self.endpoint.as_str())])
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect();
        let variables = serde_json::json!({ "Variables": variables }).to_string();
        let archive = format!("fileb://{}", archive.display());
        self.aws(&[
            "lambda",
            "create-function",
            "--function-name",
            name,
            "--runtime",
            "provided.al2023",
            "--handler",
            "bootstrap",
            "--role",
            "arn:aws:iam::000000000000:role/function",
            "--timeout",
            "30",
            "--zip-file",
            &archive,
            "--environment",
            &variables,
        ]);
    }

    /// Puts a routing config into S3, creates the cluster and the task definition that it names, and creates the
    /// function that reads it.
    ///
    /// # Panics
    /// One of these calls fails.
    pub fn deploy(&self, function: &str, config: &str, task_definition: &str, environment: &[(&str, &str)]) {
        self.aws(&["s3api", "create-bucket", "--bucket", "config"]);
        self.put_object("config", "ecs-trigger.yaml", config);
        self.aws(&["ecs", "create-cluster", "--cluster-name", "batch"]);
        let containers = r#"[{"name":"app","image":"app","memory":512,"essential":true}]"#;
        let family = ["ecs", "register-task-definition", "--family", task_definition];
        self.aws(&[&family[..], &["--container-definitions", containers]].concat());
        let environment = [environment, &[("ECS_TRIGGER_CONFIG", "s3://config/ecs-trigger.yaml")]].concat();
        self.create_function(function, &environment);
    }

    /// Creates the launch table of a config, as the template of its storage declares it.
    ///
    /// # Panics
    /// The config has no storage, or the table cannot be created.
    pub fn create_table(&self, config: &RoutingConfig) -> LaunchTable {
        LaunchTable::create(self.address(), config)
    }

    /// Returns the launch table of this name, which a deployment has created.
    pub fn table(&self, name: &str) -> LaunchTable {
        LaunchTable::new(self.address(), name)
    }

    /// Writes an object.
    ///
    /// # Panics
    /// The object cannot be written.
    pub fn put_object(&self, bucket: &str, key: &str, text: &str) {
        let file = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("cannot create a file: {error}"));
        fs::write(file.path(), text).unwrap_or_else(|error| panic!("cannot write {key}: {error}"));
        let body = file.path().display().to_string();
        self.aws(&["s3api", "put-object", "--bucket", bucket, "--key", key, "--body", &body]);
    }

    /// Returns the text of an object.
    ///
    /// # Panics
    /// The object does not exist.
    pub fn get_object(&self, bucket: &str, key: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("cannot create a file: {error}"));
        let path = file.path().display().to_string();
        self.aws(&["s3api", "get-object", "--bucket", bucket, "--key", key, &path]);
        fs::read_to_string(file.path()).unwrap_or_else(|error| panic!("{key}: {error}"))
    }

    /// Returns the ARN of a function in this account.
    pub fn function_arn(name: &str) -> String {
        format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")
    }

    /// Returns the URL of a queue in this account.
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/000000000000/{name}", self.endpoint)
    }

    /// Creates a queue that moves messages to the dead-letter queue `NAME-dead-letter` after two receives.
    ///
    /// # Panics
    /// The queue cannot be created.
    pub fn create_queue(&self, name: &str) {
        let (stem, fifo) = name.strip_suffix(".fifo").map_or((name, ""), |stem| (stem, ".fifo"));
        let dead_letter = format!("{stem}-dead-letter{fifo}");
        let redrive = serde_json::json!({
            "deadLetterTargetArn": format!("arn:aws:sqs:us-east-1:000000000000:{dead_letter}"),
            "maxReceiveCount": 2,
        });
        // The visibility timeout is longer than a cold start.
        let mut attributes = serde_json::json!({ "VisibilityTimeout": "5" });
        if !fifo.is_empty() {
            attributes["FifoQueue"] = "true".into();
            attributes["ContentBasedDeduplication"] = "true".into();
        }
        self.aws(&["sqs", "create-queue", "--queue-name", &dead_letter, "--attributes", &attributes.to_string()]);
        attributes["RedrivePolicy"] = redrive.to_string().into();
        self.aws(&["sqs", "create-queue", "--queue-name", name, "--attributes", &attributes.to_string()]);
    }

    /// Maps a queue to a function, which receives up to ten messages at a time.
    ///
    /// # Panics
    /// The mapping cannot be created.
    pub fn map_queue(&self, queue: &str, function: &str) {
        self.aws(&[
            "lambda",
            "create-event-source-mapping",
            "--function-name",
            function,
            "--event-source-arn",
            &format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
            "--batch-size",
            "10",
            "--function-response-types",
            "ReportBatchItemFailures",
        ]);
    }

    /// Waits for `count` messages of a queue, and returns the bodies of all it received.
    ///
    /// # Panics
    /// Fewer messages arrive in time.
    pub fn receive(&self, queue: &str, count: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        let url = self.queue_url(queue);
        for _ in 0..LOOKS_MAX {
            let received = ["sqs", "receive-message", "--queue-url", &url, "--max-number-of-messages", "10"];
            let answer = self.aws(&received);
            let messages = answer["Messages"].as_array().into_iter().flatten();
            bodies.extend(messages.filter_map(|message| message["Body"].as_str()).map(str::to_owned));
            if bodies.len() >= count {
                return bodies;
            }
        }
        panic!("expected {count} messages of {queue}, found {bodies:?}");
    }

    /// Takes a message of a queue, if there is one. It comes again after the queue's visibility timeout, unless it is
    /// deleted.
    ///
    /// # Panics
    /// The queue does not exist.
    pub fn take(&self, queue: &str) -> Option<Message> {
        let request = json!({ "QueueUrl": self.queue_url(queue), "MaxNumberOfMessages": 1 });
        let answer = self.call("AmazonSQS.ReceiveMessage", &request);
        let text = |message: &Value, key: &str| message[key].as_str().unwrap_or_default().to_owned();
        let message = |message: &Value| Message {
            queue: queue.to_owned(),
            id: text(message, "MessageId"),
            receipt: text(message, "ReceiptHandle"),
            body: text(message, "Body"),
        };
        answer["Messages"].as_array().and_then(|messages| messages.first()).map(message)
    }

    /// Deletes a message that was taken.
    ///
    /// # Panics
    /// The queue does not exist.
    pub fn delete(&self, message: &Message) {
        let request = json!({ "QueueUrl": self.queue_url(&message.queue), "ReceiptHandle": message.receipt });
        self.call("AmazonSQS.DeleteMessage", &request);
    }

    /// Returns a message that was taken to its queue.
    ///
    /// # Panics
    /// The queue does not exist.
    pub fn give_back(&self, message: &Message) {
        let (url, receipt) = (self.queue_url(&message.queue), &message.receipt);
        let request = json!({ "QueueUrl": url, "ReceiptHandle": receipt, "VisibilityTimeout": 0 });
        self.call("AmazonSQS.ChangeMessageVisibility", &request);
    }

    /// Returns the number of messages in a queue, with those that are delayed or taken.
    ///
    /// # Panics
    /// The queue does not exist.
    pub fn depth(&self, queue: &str) -> usize {
        let request = json!({ "QueueUrl": self.queue_url(queue), "AttributeNames": ["All"] });
        let attributes = &self.call("AmazonSQS.GetQueueAttributes", &request)["Attributes"];
        let count = |name: &str| attributes[name].as_str().and_then(|count| count.parse::<usize>().ok());
        let names = ["", "NotVisible", "Delayed"].map(|suffix| format!("ApproximateNumberOfMessages{suffix}"));
        names.iter().filter_map(|name| count(name)).sum()
    }

    /// Invokes a function and waits for its response. Returns what `aws lambda invoke` prints.
    ///
    /// # Panics
    /// The function cannot be invoked.
    pub fn invoke(&self, function: &str, payload: &str) -> Value {
        let file = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("cannot create a file: {error}"));
        fs::write(file.path(), payload).unwrap_or_else(|error| panic!("cannot write the payload: {error}"));
        let payload = format!("fileb://{}", file.path().display());
        let answer = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("cannot create a file: {error}"));
        let answer = answer.path().display().to_string();
        self.aws(&["lambda", "invoke", "--function-name", function, "--payload", &payload, &answer])
    }

    /// Returns the log lines of a function that are JSON.
    ///
    /// # Panics
    /// The log cannot be read.
    pub fn logs(&self, function: &str) -> Vec<Value> {
        let answer = self.aws(&["logs", "filter-log-events", "--log-group-name", &format!("/aws/lambda/{function}")]);
        let lines = answer["events"].as_array().into_iter().flatten().filter_map(|event| event["message"].as_str());
        lines
            .filter_map(|line| serde_json::from_str(line.strip_prefix("stdout: ").unwrap_or(line).trim()).ok())
            .collect()
    }

    /// Waits until an operation was called `count` times, and returns the parameters of all its calls.
    ///
    /// # Panics
    /// There are fewer calls in time.
    pub fn calls(&self, name: &str, count: usize) -> Vec<Value> {
        let attribute = format!("AttributeKey=EventName,AttributeValue={name}");
        let mut found = Vec::new();
        for _ in 0..LOOKS_MAX {
            let answer = self.aws(&["cloudtrail", "lookup-events", "--lookup-attributes", &attribute]);
            found = answer["Events"].as_array().into_iter().flatten().filter_map(request_parameters).collect();
            if found.len() >= count {
                return found;
            }
        }
        panic!("expected {count} calls of {name}, found {found:?}");
    }
}

/// A message of a queue.
#[derive(Debug, Clone)]
pub struct Message {
    pub(crate) queue: String,
    id: String,
    receipt: String,
    /// The body.
    pub body: String,
}

impl Message {
    /// Returns a message as if it had been received.
    pub fn new(queue: &str, id: &str, body: &str) -> Self {
        Self { queue: queue.to_owned(), id: id.to_owned(), receipt: "r".to_owned(), body: body.to_owned() }
    }

    /// Returns the event with which Lambda hands messages to a function.
    pub fn batch(messages: &[Self]) -> String {
        let record = |message: &Self| {
            json!({
                "messageId": message.id,
                "receiptHandle": message.receipt,
                "body": message.body,
                "attributes": { "SentTimestamp": "1767225600000" },
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{}", message.queue),
                "awsRegion": "us-east-1",
            })
        };
        json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() }).to_string()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // An error means that the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn request_parameters(event: &Value) -> Option<Value> {
    let event: Value = serde_json::from_str(event["CloudTrailEvent"].as_str()?).ok()?;
    Some(event["requestParameters"].clone())
}

/// Returns the archive of our own binary `name`, packed once for all stories. It is not compressed: that would take longer than all the
/// rest of a deployment.
fn archive(name: &str) -> PathBuf {
    static PACKED: Made = Made::new(BTreeMap::new());
    once(&PACKED, name, || {
        let binary = small(name);
        let archive = binary.with_extension("zip");
        let script = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as archive: archive.write(sys.argv[2], 'bootstrap')";
        run(Command::new("python3").args(["-c", script]).arg(&archive).arg(&binary));
        archive
    })
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no free port: {error}"));
    listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}")).port()
}
