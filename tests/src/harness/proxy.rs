//! A proxy between a function or the command line and the emulator, which can drop a request at an exact moment, or
//! read what is asked.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

type Strike = Box<dyn FnMut(&str) -> bool + Send>;

/// A TCP proxy that forwards everything, unless its callback drops a request.
#[derive(Debug)]
pub struct Proxy {
    /// The proxy's URL.
    pub endpoint: String,
}

impl Proxy {
    /// Forwards connections to `address`. Before it forwards a request, it calls `strikes` with the request's first
    /// line. If the callback returns true, the proxy closes the connection and the request never arrives.
    ///
    /// # Panics
    /// No port is free.
    pub fn start(address: &str, strikes: impl FnMut(&str) -> bool + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no free port: {error}"));
        let own = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let (address, strikes) = (address.to_owned(), Arc::new(Mutex::new(Box::new(strikes) as Strike)));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&address) else { return };
                let strikes = Arc::clone(&strikes);
                thread::spawn(move || pass(&client, &server, &strikes));
            }
        });
        Self { endpoint: format!("http://{own}") }
    }
}

/// A TCP proxy that forwards everything, and shows each request to the root path with its whole body first.
#[derive(Debug)]
pub struct Witness {
    /// The proxy's URL.
    pub endpoint: String,
}

type See = Box<dyn FnMut(&str) + Send>;

impl Witness {
    /// Forwards connections to `address`, and calls `sees` with the body of each request that posts to `/`.
    ///
    /// # Panics
    /// No port is free.
    pub fn start(address: &str, sees: impl FnMut(&str) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no free port: {error}"));
        let own = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let (address, sees) = (address.to_owned(), Arc::new(Mutex::new(Box::new(sees) as See)));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&address) else { return };
                let sees = Arc::clone(&sees);
                thread::spawn(move || witness(&client, &server, &sees));
            }
        });
        Self { endpoint: format!("http://{own}") }
    }
}

fn witness(client: &TcpStream, server: &TcpStream, sees: &Mutex<See>) {
    thread::scope(|scope| {
        scope.spawn(|| {
            copy(server, client, |_| true);
            let _ = client.shutdown(Shutdown::Both);
        });
        let mut request = Vec::new();
        copy(client, server, |bytes| {
            // A client sends its next request only after the answer, so a head begins a piece.
            if bytes.starts_with(b"POST / ") {
                request.clear();
            }
            request.extend_from_slice(bytes);
            if let Some(body) = whole_body(&request) {
                sees.lock().unwrap_or_else(PoisonError::into_inner)(&body);
                request.clear();
            }
            true
        });
        let _ = server.shutdown(Shutdown::Both);
        let _ = client.shutdown(Shutdown::Both);
    });
}

/// Returns the body of a request that posts to `/`, once it is there as a whole.
fn whole_body(request: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(request);
    let (head, body) = text.split_once("\r\n\r\n").filter(|(head, _)| head.starts_with("POST / "))?;
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let mut length =
        length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value.trim());
    let length: usize = length.next_back()?.parse().ok()?;
    (body.len() >= length).then(|| body.to_owned())
}

fn pass(client: &TcpStream, server: &TcpStream, strikes: &Mutex<Strike>) {
    thread::scope(|scope| {
        scope.spawn(|| {
            copy(server, client, |_| true);
            let _ = client.shutdown(Shutdown::Both);
        });
        copy(client, server, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let first = text.lines().next().unwrap_or_default();
            !strikes.lock().unwrap_or_else(PoisonError::into_inner)(first)
        });
        let _ = server.shutdown(Shutdown::Both);
        let _ = client.shutdown(Shutdown::Both);
    });
}

/// Copies bytes as long as `goes_on` returns true. The head of a request arrives in one piece.
fn copy(mut from: &TcpStream, mut to: &TcpStream, mut goes_on: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !goes_on(&buffer[..length]) || to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}
