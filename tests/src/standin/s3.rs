//! A stand-in for S3: it keeps objects in memory, and returns them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::harness::http::{Answer, Server};

/// A running stand-in. It stops when this value is dropped.
#[derive(Debug)]
pub struct S3 {
    /// The endpoint's URL.
    pub endpoint: String,
    calls: Arc<Mutex<usize>>,
    _server: Server,
}

impl S3 {
    /// Starts a stand-in with objects: their paths, `/BUCKET/KEY`, and texts.
    pub fn start(latency: Duration, objects: &[(&str, &str)]) -> Self {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        let objects: Mutex<HashMap<String, String>> = Mutex::new(objects.iter().map(own).collect());
        let calls = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&calls);
        let server = Server::start(move |asked| {
            thread::sleep(latency);
            *counted.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
            let headers = vec![("etag", "\"1\"".to_owned())];
            match asked.method.as_str() {
                "PUT" => {
                    objects.insert(asked.path, asked.body);
                    Answer { status: 200, headers, body: String::new() }
                }
                "GET" => match objects.get(&asked.path) {
                    Some(text) => Answer { status: 200, headers, body: text.clone() },
                    None => Answer { status: 404, ..Answer::default() },
                },
                _ => Answer { status: 405, ..Answer::default() },
            }
        });
        Self { endpoint: format!("http://{}", server.address), calls, _server: server }
    }

    /// Returns how many requests were answered.
    pub fn calls(&self) -> usize {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
