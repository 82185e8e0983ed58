//! The endpoint over real connections.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{Endpoint, EndpointState};
use crate::folders::own_changes::OwnChanges;

async fn start(port: Option<u16>) -> std::io::Result<Endpoint> {
    let (happenings, _told) = mpsc::channel(1);
    let (own, _changes) = OwnChanges::new();
    Endpoint::start(port, Vec::new(), EndpointState::default(), own, happenings).await
}

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
async fn only_a_worker_may_protect_itself() {
    let endpoint = start(None).await.expect("a port is free");
    let reach = endpoint.reach.clone();
    let of = |path: &str| format!("{path}/agent/t/task-protection/v1/state");
    let (host, path) = (format!("host: {}\r\n", reach.host), of(&reach.path));
    for (case, path, headers, expected) in [
        ("a worker", path.clone(), host.clone(), "200"),
        ("a page whose host name leads here", path.clone(), "host: evil.example\r\n".to_owned(), "403"),
        ("a page of another site", path.clone(), format!("{host}origin: https://evil.example\r\n"), "403"),
        ("no secret", of(""), host.clone(), "403"),
        ("a part of the secret", of(&reach.path[..9]), host.clone(), "403"),
        ("more than the secret", of(&format!("{}0", reach.path)), host.clone(), "403"),
    ] {
        endpoint.state().protected.clear();
        assert_eq!(status(&reach.host, &path, &headers).await, expected, "{case}");
        assert_eq!(endpoint.state().protected.contains("t"), expected == "200", "{case}");
    }
}

#[tokio::test]
async fn only_a_port_that_was_asked_for_must_be_free() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = taken.local_addr().expect("has a port").port();
    let refused = start(Some(port)).await.expect_err("is taken");
    assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
    let (one, other) = (start(None).await.expect("starts"), start(None).await.expect("starts beside it"));
    assert_ne!(one.reach.host, other.reach.host);
}
