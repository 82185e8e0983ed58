//! A small HTTP server on this machine for the stand-ins of stories, and a client of AWS's JSON protocol.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A request that the server received.
#[derive(Debug)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The header `X-Amz-Target`, which names the operation in AWS's JSON protocol.
    pub target: Option<String>,
    /// The body.
    pub body: String,
}

impl Asked {
    /// Returns the operation of AWS's JSON protocol, such as `RunTask`, or the method of another request.
    pub fn operation(&self) -> &str {
        let operation = self.target.as_deref().and_then(|target| target.rsplit('.').next());
        operation.unwrap_or(&self.method)
    }
}

/// A response of the server.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status; 0 stands for 500.
    pub status: u16,
    /// The headers in addition to the content type.
    pub headers: Vec<(&'static str, String)>,
    /// The body, as JSON.
    pub body: String,
}

/// A running server. It stops when this value is dropped.
#[derive(Debug)]
pub struct Server {
    /// The server's address, `127.0.0.1:PORT`.
    pub address: String,
    runtime: Option<Runtime>,
}

impl Server {
    /// Starts a server on a free port. The handler may block.
    ///
    /// # Panics
    /// No port is free.
    pub fn start(handler: impl Fn(Asked) -> Answer + Send + Sync + 'static) -> Self {
        let runtime = Runtime::new().unwrap_or_else(|error| panic!("cannot start a runtime: {error}"));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.unwrap_or_else(|error| panic!("no free port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}")).to_string();
        let handler = Arc::new(handler);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let handler = Arc::clone(&handler);
                let service = service_fn(move |request| answer(request, Arc::clone(&handler)));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, runtime: Some(runtime) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Does not wait for handlers that still block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer<H: Fn(Asked) -> Answer + Send + Sync + 'static>(
    request: Request<Incoming>,
    handler: Arc<H>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).map(str::to_owned);
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let asked = Asked { method, path, target, body: String::from_utf8_lossy(&body).into_owned() };
    let answer = tokio::task::spawn_blocking(move || handler(asked)).await.unwrap_or_default();
    let mut response = Response::builder().status(if answer.status == 0 { 500 } else { answer.status });
    response = response.header("content-type", "application/json");
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    Ok(response.body(Full::from(answer.body)).unwrap_or_default())
}

/// Calls an operation of AWS's JSON protocol, such as `AmazonSQS.SendMessage`. Returns the body of the response.
///
/// # Panics
/// The call fails.
pub(crate) fn ask(address: &str, target: &str, request: &Value) -> Value {
    let answer = call(address, target, &request.to_string());
    let (status, body) = answer.unwrap_or_else(|error| panic!("{target}: {error}"));
    assert_eq!(status, 200, "{target} {request}: {body}");
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// Returns the status and the body of the response to a call.
///
/// # Errors
/// The server did not answer.
fn call(address: &str, target: &str, body: &str) -> io::Result<(u16, String)> {
    // The emulator reads the Region from the header, and checks no signature.
    let signature =
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/any/aws4_request, SignedHeaders=host, Signature=0";
    let head = [
        "POST / HTTP/1.1".to_owned(),
        format!("host: {address}"),
        format!("x-amz-target: {target}"),
        "content-type: application/x-amz-json-1.0".to_owned(),
        format!("authorization: {signature}"),
        format!("content-length: {}", body.len()),
        "connection: close".to_owned(),
    ];
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("{}\r\n\r\n{body}", head.join("\r\n")).as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    Ok((status, body.to_owned()))
}
