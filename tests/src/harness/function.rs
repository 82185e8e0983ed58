//! Runs a function's real binary behind our own Lambda Runtime API, so a story can kill it at any moment.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::harness::http::{Answer, Asked, Server};
use crate::harness::proxy::{Passage, Proxy};

/// An invocation that takes longer fails the story.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Starts the binary of a function of so much memory, in MiB, with these environment variables and none of this process.
/// `lambda` stands in for the Runtime API.
///
/// # Panics
/// The binary cannot be started.
pub fn start_function(binary: &Path, lambda: &Server, variables: &[(&str, &str)], memory: u32) -> Child {
    Command::new(binary)
        .env_clear()
        .envs(variables.iter().copied())
        .env("AWS_LAMBDA_RUNTIME_API", &lambda.address)
        .env("AWS_LAMBDA_FUNCTION_NAME", binary.file_name().unwrap_or_default())
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory.to_string())
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "group")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", binary.display()))
}

/// Returns the headers with which the Runtime API hands an invocation to a function. It ends after a minute, as the stack
/// says.
pub fn invocation_headers(id: &str) -> Vec<(&'static str, String)> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    vec![
        ("lambda-runtime-aws-request-id", id.to_owned()),
        ("lambda-runtime-deadline-ms", (now + TIMEOUT).as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned()),
    ]
}

/// A running function. It ends when this value is dropped.
#[derive(Debug)]
pub struct Function {
    process: Arc<Mutex<Child>>,
    events: Sender<String>,
    answers: Receiver<(bool, Value)>,
    _lambda: Server,
}

impl Function {
    /// Starts the function `name` with these environment variables and none of this process.
    ///
    /// # Panics
    /// The function cannot be started.
    pub fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let (events, coming) = channel::<String>();
        let (told, answers) = channel();
        let coming = Mutex::new(coming);
        let lambda = Server::start(move |asked: Asked| match asked.path.rsplit('/').next() {
            Some("next") => {
                let coming = coming.lock().unwrap_or_else(PoisonError::into_inner);
                let Ok(event) = coming.recv() else { return Answer::default() };
                Answer { status: 200, headers: invocation_headers("request"), body: event }
            }
            Some(answer) => {
                let body = serde_json::from_str(&asked.body).unwrap_or(Value::Null);
                // An error means that the story is over.
                let _ = told.send((answer == "response", body));
                Answer { status: 202, ..Answer::default() }
            }
            None => Answer::default(),
        });
        let process = start_function(&crate::harness::binary(name), &lambda, variables, 128);
        Self { process: Arc::new(Mutex::new(process)), events, answers, _lambda: lambda }
    }

    /// Invokes the function. Returns its response, or the error that it raised.
    ///
    /// # Panics
    /// The function did not answer in time.
    pub fn invoke(&self, event: &str) -> Result<Value, Value> {
        self.send(event);
        self.answer()
    }

    /// Waits for the next response, or the error that was raised instead.
    ///
    /// # Panics
    /// The function did not answer in time.
    pub fn answer(&self) -> Result<Value, Value> {
        match self.answers.recv_timeout(TIMEOUT) {
            Ok((true, answer)) => Ok(answer),
            Ok((false, raised)) => Err(raised),
            Err(error) => panic!("the function did not answer: {error}"),
        }
    }

    /// Invokes the function without waiting for its response.
    pub fn send(&self, event: &str) {
        // Delivered when the function asks for its next event.
        let _ = self.events.send(event.to_owned());
    }
}

/// A function that is killed like `kill -9` at an exact moment.
#[derive(Debug)]
pub struct Doomed {
    function: Function,
    killed: Receiver<()>,
}

impl Doomed {
    /// Starts the function `name` with these environment variables, and with `variable`, which names the endpoint of a
    /// service at `address`. The function is killed before the first request to that service for which `strikes` returns
    /// true.
    ///
    /// # Panics
    /// The function cannot be started.
    pub fn start(
        name: &str,
        variables: &[(&str, &str)],
        (variable, address): (&str, &str),
        mut strikes: impl FnMut(&Asked) -> bool + Send + 'static,
    ) -> Self {
        let process = Arc::new(Mutex::new(None::<Arc<Mutex<Child>>>));
        let (told, killed) = channel();
        let victim = Arc::clone(&process);
        let proxy = Proxy::start(address, move |asked| {
            if !strikes(asked) {
                return Passage::Pass;
            }
            let victim = victim.lock().unwrap_or_else(PoisonError::into_inner);
            victim.iter().for_each(|process| end(process));
            // An error means that the story is over.
            let _ = told.send(());
            Passage::LoseRequest
        });
        let function = Function::start(name, &[variables, &[(variable, proxy.endpoint.as_str())]].concat());
        *process.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&function.process));
        Self { function, killed }
    }

    /// Invokes the function, and waits until it has been killed.
    ///
    /// # Panics
    /// The function was not killed in time.
    pub fn invoke(self, event: &str) {
        self.function.send(event);
        let killed = self.killed.recv_timeout(TIMEOUT);
        killed.unwrap_or_else(|error| panic!("the function was not killed: {error}"));
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        end(&self.process);
    }
}

fn end(process: &Mutex<Child>) {
    let mut process = process.lock().unwrap_or_else(PoisonError::into_inner);
    // An error means that the process has already ended.
    let _ = process.kill();
    let _ = process.wait();
}
