//! One scaler at a time: leases against a loopback S3 that holds one object.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Config;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use jiff::{SignedDuration, Timestamp};

use super::{Client, ConfigSource, Lease, Scaler, State};

/// The object, and its version.
type Object = Arc<Mutex<Option<(String, u32)>>>;

/// Starts an S3 that holds one object.
fn s3(object: &Object) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("has an address"));
    let object = Arc::clone(object);
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(&stream, &object)));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(crate::clients::https())
        .force_path_style(true)
        .endpoint_url(endpoint)
        .build();
    Client::from_conf(config)
}

fn answer(stream: &TcpStream, object: &Object) {
    let mut reader = BufReader::new(stream);
    let (mut method, mut length, mut expected) = (String::new(), 0, None);
    for line in reader.by_ref().lines().map_while(Result::ok) {
        let lower = line.to_ascii_lowercase();
        match lower.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().expect("is a number"),
            Some(("if-match" | "if-none-match", value)) => expected = Some(value.to_owned()),
            _ if method.is_empty() => method = line.split(' ').next().unwrap_or_default().to_owned(),
            _ => {}
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body).expect("is text");
    let mut object = object.lock().expect("not poisoned");
    let version = object.as_ref().map_or(0, |(_, version)| *version);
    let is_as_expected = match expected.as_deref() {
        None => true,
        Some("*") => version == 0,
        Some(expected) => expected == format!("\"{version}\""),
    };
    let (status, reply) = match (method.as_str(), is_as_expected) {
        ("GET", _) => (200, object.as_ref().map(|(text, _)| text.clone()).unwrap_or_default()),
        (_, false) => (412, String::new()),
        (_, true) => {
            // The SDK sends a checksum after the body, in chunks; the state is the line that is JSON.
            let text = body.lines().find(|line| line.starts_with('{')).unwrap_or(&body);
            *object = Some((text.to_owned(), version + 1));
            (200, String::new())
        }
    };
    let version = object.as_ref().map_or(0, |(_, version)| *version);
    let head = format!("HTTP/1.1 {status} X\r\netag: \"{version}\"\r\nconnection: close");
    let _ = write!(&mut &*stream, "{head}\r\ncontent-length: {}\r\n\r\n{reply}", reply.len());
}

fn lease(s3: &Client, own: &str) -> Lease {
    let config: ConfigSource = "s3://state/config/stack/ecs-trigger.yaml".parse().expect("is a place");
    Lease { own: own.to_owned(), ..Lease::new(s3.clone(), &config) }
}

fn soon() -> Timestamp {
    Timestamp::now() + SignedDuration::from_millis(1)
}

#[tokio::test]
async fn the_next_invocation_takes_over_when_the_holder_looks() {
    let s3 = &s3(&Object::default());
    let (first, second) = (lease(s3, "first"), lease(s3, "second"));
    let scaler = first.take(soon()).await.expect("nobody else is there");
    assert!(first.keep(&scaler).await);
    assert!(second.take(soon()).await.is_none(), "one at a time");
    assert_eq!(first.during(async { 7 }).await, 7);
    assert!(!first.keep(&scaler).await, "the other waits");
    let scaler = second.take(soon()).await.expect("the first gave it away");
    assert!(second.keep(&scaler).await);
    assert!(!first.keep(&scaler).await && first.take(soon()).await.is_none());
    assert!(!second.keep(&scaler).await, "the first waits now");
}

#[tokio::test]
async fn a_lost_holders_lease_ends() {
    let object = Object::default();
    let (gone, s3) = (Timestamp::now() - SignedDuration::from_secs(1), s3(&object));
    let state = State { holder: "lost".to_owned(), until: gone, next: None, scaler: None };
    *object.lock().expect("not poisoned") = Some((serde_json::to_string(&state).expect("is JSON"), 7));
    assert!(lease(&s3, "next").take(soon()).await.is_some());
}

#[tokio::test]
async fn a_lease_that_runs_out_is_extended() {
    let object = Object::default();
    let (s3, now) = (s3(&object), Timestamp::now());
    let until = now + SignedDuration::from_secs(5);
    let state = State { holder: "own".to_owned(), until, next: None, scaler: None };
    *object.lock().expect("not poisoned") = Some((serde_json::to_string(&state).expect("is JSON"), 1));
    assert!(lease(&s3, "own").keep(&Scaler::default()).await);
    let (text, _) = object.lock().expect("not poisoned").clone().expect("is there");
    let extended: State = serde_json::from_str(&text).expect("is a lease");
    assert!(extended.until > until && extended.holder == "own", "{text}");
}

#[tokio::test]
async fn without_s3_and_with_a_config_in_a_file_the_scaler_scales() {
    let file: ConfigSource = "file:///c.yaml".parse().expect("is a place");
    let nowhere =
        Client::from_conf(s3(&Object::default()).config().to_builder().endpoint_url("http://127.0.0.1:1").build());
    let without = Lease::new(nowhere.clone(), &file);
    let scaler = without.take(soon()).await.expect("no lease is needed");
    assert!(without.keep(&scaler).await);
    assert!(lease(&nowhere, "own").keep(&scaler).await, "what is not answered does not end the scaler");
}

#[tokio::test]
async fn what_the_holder_remembers_is_passed_on() {
    let object = Object::default();
    let (s3, gone) = (s3(&object), Timestamp::now());
    let remembered = r#"{"remembered":{"w":{"memory":{"origin":"2026-01-01T00:00:00Z"},"launched":[["2026-01-01T00:00:00Z",null]]}}}"#;
    let text = format!(r#"{{"holder":"a","until":"{gone}","next":"b","scaler":{remembered}}}"#);
    *object.lock().expect("not poisoned") = Some((text, 1));
    let scaler = lease(&s3, "b").take(soon()).await.expect("it was given away");
    let scaler = serde_json::to_value(&scaler).expect("is JSON");
    assert_eq!(scaler["remembered"]["w"]["launched"][0][0], "2026-01-01T00:00:00Z", "{scaler}");
}
