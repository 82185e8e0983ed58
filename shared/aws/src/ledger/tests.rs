//! The requests to S3 and the meaning of its answers: the SDK's client against a loopback endpoint with fixed answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::{Client, Config};
use trigger_engine::ports::{Entry, Expected, Ledger, LedgerError};

use super::S3Ledger;

/// Starts an endpoint that gives one answer. Its thread returns the request's first line and its conditional headers.
fn answer_once(status: u16, headers: &'static str, body: &'static str) -> (S3Ledger, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("has an address"));
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("is called");
        let mut reader = BufReader::new(&stream);
        let (mut asked, mut length) = (String::new(), 0);
        for line in reader.by_ref().lines().map(|line| line.expect("is text")) {
            let line = line.trim();
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("is a number");
            }
            if asked.is_empty() || lower.starts_with("if-") {
                asked += &format!("{line}\n");
            }
            if line.is_empty() {
                break;
            }
        }
        std::io::copy(&mut reader.take(length), &mut std::io::sink()).expect("the body is sent");
        let head = format!("HTTP/1.1 {status} X\r\n{headers}connection: close");
        write!(&stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("the client reads");
        asked
    });
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(crate::clients::https())
        .force_path_style(true)
        .endpoint_url(endpoint)
        .build();
    (S3Ledger::new(Client::from_conf(config)), server)
}

const URI: &str = "s3://state/launches/r/2026-01-01/1.json";

#[tokio::test]
async fn what_is_there_comes_with_its_version_and_what_is_not_is_none() {
    let (ledger, _) = answer_once(200, "etag: \"v1\"\r\n", "text");
    assert_eq!(ledger.read(URI).await, Ok(Some(Entry { text: "text".to_owned(), version: "\"v1\"".to_owned() })));
    let (ledger, _) = answer_once(404, "", "<Error><Code>NoSuchKey</Code></Error>");
    assert_eq!(ledger.read(URI).await, Ok(None));
    // A ledger without read permission must not look empty.
    let (ledger, _) = answer_once(403, "", "<Error><Code>AccessDenied</Code></Error>");
    assert!(matches!(ledger.read(URI).await, Err(LedgerError::Unavailable(_))));
}

#[tokio::test]
async fn writes_are_conditional() {
    let line = "PUT /state/launches/r/2026-01-01/1.json?x-id=PutObject HTTP/1.1\n";
    for (expected, condition) in [
        (Expected::Anything, String::new()),
        (Expected::Nothing, "if-none-match: *\n".to_owned()),
        (Expected::Version("\"v1\"".to_owned()), "if-match: \"v1\"\n".to_owned()),
    ] {
        let (ledger, server) = answer_once(200, "etag: \"v2\"\r\n", "");
        assert_eq!(ledger.write(URI, "text", &expected).await, Ok("\"v2\"".to_owned()));
        assert_eq!(server.join().expect("answers"), format!("{line}{condition}"));
    }
}

#[tokio::test]
async fn whoever_comes_second_is_told_so() {
    for status in [404, 409, 412] {
        let (ledger, _) = answer_once(status, "", "<Error><Code>PreconditionFailed</Code></Error>");
        let written = ledger.write(URI, "text", &Expected::Version("\"v1\"".to_owned())).await;
        assert_eq!(written, Err(LedgerError::Changed), "{status}");
    }
    for (status, body) in
        [(503, "<Error><Code>SlowDown</Code></Error>"), (404, "<Error><Code>NoSuchBucket</Code></Error>")]
    {
        let (ledger, _) = answer_once(status, "", body);
        let written = ledger.write(URI, "text", &Expected::Nothing).await;
        assert!(matches!(written, Err(LedgerError::Unavailable(_))), "{status}: {written:?}");
    }
}

#[tokio::test]
async fn what_is_due_is_listed_up_to_now() {
    let keys =
        ["due/2026-01-01T00:00:00Z/launch/a", "due/2026-01-01T00:00:01Z/launch/b", "due/2026-01-01T00:00:02Z/launch/c"];
    let contents = keys.map(|key| format!("<Contents><Key>{key}</Key></Contents>")).concat();
    let body = format!("<ListBucketResult>{contents}</ListBucketResult>");
    let (ledger, _) = answer_once(200, "", body.leak());
    let listed =
        ledger.list("s3://state/due/", None, "s3://state/due/2026-01-01T00:00:01Z0").await.expect("is answered");
    assert_eq!(listed, [format!("s3://state/{}", keys[0]), format!("s3://state/{}", keys[1])]);
}
