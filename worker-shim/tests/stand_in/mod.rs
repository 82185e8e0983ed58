//! A stand-in for SQS and the ECS agent on the loopback interface.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What the stand-in answers to a call instead of its own answer: status and body.
type Fault = dyn Fn(&str) -> Option<(u16, Value)> + Send + Sync;

/// The codes that AWS sends for these errors in the header `x-amzn-query-error`. Clients take them for the errors' codes.
///
/// Source: the trait `awsQueryError` in the service's model.
const QUERY_ERRORS: [(&str, &str); 4] = [
    ("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
    ("com.amazonaws.sqs#MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
    ("com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
    ("com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue"),
];

/// SQS, with queues that exist as soon as they are named.
pub(crate) struct Sqs {
    address: SocketAddr,
    state: Arc<Shared>,
}

struct Shared {
    fault: Box<Fault>,
    account: Mutex<Account>,
    changed: Condvar,
}

#[derive(Default)]
struct Account {
    queues: HashMap<String, Vec<Stored>>,
    calls: Vec<(String, Value)>,
    sent: usize,
}

struct Stored {
    id: String,
    body: String,
    visible_at: Instant,
    received: u32,
}

impl Sqs {
    /// Starts a stand-in. `fault` decides by the name of a call whether it fails.
    pub(crate) fn start(fault: impl Fn(&str) -> Option<(u16, Value)> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("is bound");
        let state = Arc::new(Shared { fault: Box::new(fault), account: Mutex::default(), changed: Condvar::new() });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A caller that has gone away gets no answer.
                thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn queue_url(&self, queue: &str) -> String {
        format!("{}/000000000000/{queue}", self.endpoint())
    }

    pub(crate) fn send(&self, queue: &str, body: &str) {
        let mut account = self.state.account();
        account.sent += 1;
        let id = format!("message-{}", account.sent);
        let stored = Stored { id, body: body.to_owned(), visible_at: Instant::now(), received: 0 };
        account.queues.entry(queue.to_owned()).or_default().push(stored);
        self.state.changed.notify_all();
    }

    /// Returns the requests of all calls with this name.
    pub(crate) fn calls(&self, name: &str) -> Vec<Value> {
        let account = self.state.account();
        account.calls.iter().filter(|(call, _)| call == name).map(|(_, request)| request.clone()).collect()
    }
}

impl Shared {
    fn account(&self) -> std::sync::MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let (mut name, mut length) = ("PutProtection".to_owned(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((key, value)) if key.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap_or(0),
                Some((key, value)) if key.eq_ignore_ascii_case("x-amz-target") => {
                    name = value.trim_start_matches("AmazonSQS.").to_owned();
                }
                _ if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        self.account().calls.push((name.clone(), request.clone()));
        let (status, answer) = (self.fault)(&name).unwrap_or_else(|| (200, self.answer(&name, &request)));
        let code = QUERY_ERRORS.iter().find(|(name, _)| answer["__type"] == *name);
        let header = code.map(|(_, code)| format!("x-amzn-query-error: {code};Sender\r\n")).unwrap_or_default();
        let answer = answer.to_string();
        write!(
            reader.into_inner(),
            "HTTP/1.1 {status} -\r\ncontent-type: application/x-amz-json-1.0\r\n{header}content-length: {}\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        )
    }

    fn answer(&self, name: &str, request: &Value) -> Value {
        let queue = request["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
        let id = request["ReceiptHandle"].as_str().unwrap_or_default();
        let seconds = |key: &str| Duration::from_secs(request[key].as_u64().unwrap_or(0));
        match name {
            "GetQueueUrl" => {
                let name = request["QueueName"].as_str().unwrap_or_default();
                json!({ "QueueUrl": format!("http://sqs.invalid/000000000000/{name}") })
            }
            "ReceiveMessage" => self.receive(queue, request, seconds("WaitTimeSeconds"), seconds("VisibilityTimeout")),
            "DeleteMessage" => {
                self.account().queues.entry(queue.to_owned()).or_default().retain(|stored| stored.id != id);
                json!({})
            }
            "ChangeMessageVisibility" => {
                let visible_at = Instant::now() + seconds("VisibilityTimeout");
                let mut account = self.account();
                let stored = account.queues.entry(queue.to_owned()).or_default().iter_mut();
                stored.filter(|stored| stored.id == id).for_each(|stored| stored.visible_at = visible_at);
                self.changed.notify_all();
                json!({})
            }
            _ => json!({ "protection": { "TaskArn": "a", "ProtectionEnabled": request["ProtectionEnabled"] } }),
        }
    }

    fn receive(&self, queue: &str, request: &Value, wait: Duration, invisible: Duration) -> Value {
        let most = request["MaxNumberOfMessages"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(1);
        let ends = Instant::now() + wait;
        let mut account = self.account();
        loop {
            let now = Instant::now();
            let stored = account.queues.entry(queue.to_owned()).or_default();
            let visible = stored.iter_mut().filter(|stored| stored.visible_at <= now).take(most);
            let messages: Vec<Value> = visible
                .map(|stored| {
                    stored.visible_at = now + invisible;
                    stored.received += 1;
                    let attributes = json!({ "ApproximateReceiveCount": stored.received.to_string() });
                    json!({ "MessageId": stored.id, "ReceiptHandle": stored.id, "Body": stored.body, "Attributes": attributes })
                })
                .collect();
            if !messages.is_empty() || now >= ends {
                return json!({ "Messages": messages });
            }
            let next = stored.iter().map(|stored| stored.visible_at).min().map_or(ends, |next| next.min(ends));
            let waited = self.changed.wait_timeout(account, next - now);
            account = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
