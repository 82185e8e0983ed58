//! A proxy between a function or the command line and the emulator. It reads and counts what is asked, and can lose a
//! request or a response.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::harness::http::Asked;

/// What a proxy does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// The request and its response pass.
    Pass,
    /// The connection is closed, and the request never arrives.
    LoseRequest,
    /// The request arrives, and the connection is closed before its response.
    LoseResponse,
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The operation, or the method.
    pub operation: String,
    /// The status of the response.
    pub status: u16,
}

/// A TCP proxy.
#[derive(Debug)]
pub struct Proxy {
    /// The proxy's URL.
    pub endpoint: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

type Judge = Box<dyn FnMut(&Asked) -> Passage + Send>;

impl Proxy {
    /// Forwards connections to `address`. Before it forwards a request, it asks `judge` what to do with it. Only a
    /// request that posts to the root path, as AWS's JSON and Query protocols do, is shown with its body.
    ///
    /// # Panics
    /// No port is free.
    pub fn start(address: &str, judge: impl FnMut(&Asked) -> Passage + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no free port: {error}"));
        let own = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (address, judge) = (address.to_owned(), Arc::new(Mutex::new(Box::new(judge) as Judge)));
        let told = Arc::clone(&calls);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&address) else { return };
                let (judge, told) = (Arc::clone(&judge), Arc::clone(&told));
                thread::spawn(move || Connection { client, server, pending: Mutex::default() }.pass(&judge, &told));
            }
        });
        Self { endpoint: format!("http://{own}"), calls }
    }

    /// Returns the requests that were answered so far, also if the response was lost.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }
}

/// A client's connection, and the proxy's own to the server. A client sends its next request only after the response.
struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// The request that has been forwarded and is not answered yet.
    pending: Mutex<Option<(String, Passage)>>,
}

impl Connection {
    fn pass(&self, judge: &Mutex<Judge>, calls: &Mutex<Vec<Call>>) {
        thread::scope(|scope| {
            scope.spawn(|| {
                copy(&self.server, &self.client, |bytes| self.answered(bytes, calls).then_some(bytes.to_vec()));
                self.close();
            });
            let mut request = Vec::new();
            copy(&self.client, &self.server, |bytes| self.asked(bytes, &mut request, judge));
            self.close();
        });
    }

    fn close(&self) {
        // An error means that the other side has closed the connection already.
        let _ = self.server.shutdown(Shutdown::Both);
        let _ = self.client.shutdown(Shutdown::Both);
    }

    /// Takes a piece of a request. Returns what to forward, or nothing if the connection ends. The head of a request
    /// begins a piece.
    fn asked(&self, bytes: &[u8], request: &mut Vec<u8>, judge: &Mutex<Judge>) -> Option<Vec<u8>> {
        if request.is_empty() && lock(&self.pending).is_some() {
            return Some(bytes.to_vec());
        }
        request.extend_from_slice(bytes);
        let Some(asked) = whole(request) else { return Some(Vec::new()) };
        let passage = lock(judge)(&asked);
        if passage == Passage::LoseRequest {
            return None;
        }
        *lock(&self.pending) = Some((asked.operation().to_owned(), passage));
        Some(std::mem::take(request))
    }

    /// Takes a piece of a response. Returns whether to forward it.
    fn answered(&self, bytes: &[u8], calls: &Mutex<Vec<Call>>) -> bool {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]);
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        // Status 100 only asks for the body.
        let Some(status) = status.filter(|status| *status != 100) else { return true };
        let Some((operation, passage)) = lock(&self.pending).take() else { return true };
        lock(calls).push(Call { operation, status });
        passage != Passage::LoseResponse
    }
}

/// Returns a request once its head is there, and if it posts to the root path, its body as well.
fn whole(request: &[u8]) -> Option<Asked> {
    let text = String::from_utf8_lossy(request);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let header = |wanted: &str| {
        let headers = head.lines().filter_map(|line| line.split_once(':'));
        let mut found = headers.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.next_back().map(|(_, value)| value.trim().to_owned())
    };
    let target = header("x-amz-target");
    if method != "POST" || path != "/" {
        return Some(Asked { method, path, target, body: String::new() });
    }
    let start = head.len() + "\r\n\r\n".len();
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok()).unwrap_or_default();
    let is_whole = request.len() >= start.checked_add(length)?;
    is_whole.then(|| Asked { method, path, target, body: body.to_owned() })
}

/// Copies what `passes` returns of each piece, until it returns nothing or a side closes its connection.
fn copy(mut from: &TcpStream, mut to: &TcpStream, mut passes: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let Some(bytes) = passes(&buffer[..length]) else { return };
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
