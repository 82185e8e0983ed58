//! Who may call the endpoint, over real connections.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::WorkerEndpoint;

/// Sends a request to the agent, and returns the status code of the response.
async fn status(address: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("listens");
    let body = r#"{"ProtectionEnabled":true}"#;
    let request =
        format!("PUT {path} HTTP/1.1\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.expect("is sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("is answered");
    response.split(' ').nth(1).expect("has a status").to_owned()
}

#[tokio::test]
async fn only_a_worker_may_call() {
    let (happenings, _told) = mpsc::channel(1);
    let endpoint = WorkerEndpoint::start(Vec::new(), happenings).await.expect("a port is free");
    let (address, secret) = endpoint.url.strip_prefix("http://").and_then(|url| url.split_once('/')).expect("a URL");
    let of = |secret: &str| format!("/{secret}/agent/t/task-protection/v1/state");
    let (host, path) = (format!("host: {address}\r\n"), of(secret));
    let port = address.rsplit(':').next().expect("has a port");
    for (case, path, headers, expected) in [
        ("a worker", path.clone(), host.clone(), "200"),
        ("a page whose host name leads here", path.clone(), format!("host: evil.example:{port}\r\n"), "403"),
        ("another port", path.clone(), "host: 127.0.0.1\r\n".to_owned(), "403"),
        ("no host", path.clone(), String::new(), "403"),
        ("two hosts", path.clone(), format!("{host}host: evil.example\r\n"), "403"),
        ("a page of another site", path.clone(), format!("{host}origin: https://evil.example\r\n"), "403"),
        ("a page without an origin", path.clone(), format!("{host}origin: null\r\n"), "403"),
        ("a request across sites", path.clone(), format!("{host}sec-fetch-site: cross-site\r\n"), "403"),
        ("no secret", "/agent/t/task-protection/v1/state".to_owned(), host.clone(), "403"),
        ("a part of the secret", of(&secret[1..]), host.clone(), "403"),
        ("more than the secret", of(&format!("{secret}0")), host.clone(), "403"),
    ] {
        endpoint.state().protected.clear();
        assert_eq!(status(address, &path, &headers).await, expected, "{case}");
        assert_eq!(endpoint.state().protected.contains("t"), expected == "200", "{case}");
    }
}
