//! The endpoint of `ecs-trigger dev` for S3 and SQS: tasks written in Python with AWS's own SDK, as they run on AWS.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use e2e::{command, environment};
use serde_json::Value;
use tempfile::TempDir;

/// What every task begins with.
const PRELUDE: &str = r#"
import boto3, os, sys
from botocore.exceptions import ClientError
s3 = boto3.client("s3")
sqs = boto3.client("sqs")

def code_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None
"#;

fn python() -> PathBuf {
    environment("boto3", "boto3.txt").join("bin/python")
}

/// Creates a project with this config, in which `PYTHON` is the interpreter, and with these tasks.
fn project(config: &str, tasks: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config.replace("PYTHON", &python().display().to_string());
    fs::write(folder.path().join("ecs-trigger.yaml"), config).expect("is written");
    for (name, text) in tasks {
        fs::write(folder.path().join(name), format!("{PRELUDE}{text}")).expect("is written");
    }
    folder
}

/// A config whose task runs `task.py` with the key of each object in the bucket `uploads`.
const ONE_TASK: &str = r#"
version: 1
tasks:
  work: { task_definition: work, overrides: { container_overrides: [{ name: app, command: ["{{ key }}"] }] } }
routes:
  - { name: upload, on: { s3: { bucket: uploads } }, run: work }
local:
  buckets: { results: data/results }
  queues: { others: {}, others.fifo: {} }
  task_definitions:
    work: { container_definitions: { app: { entry_point: [PYTHON, task.py] } } }
"#;

fn put(project: &TempDir, path: &str, content: &[u8]) {
    let path = project.path().join(path);
    fs::create_dir_all(path.parent().expect("is in a folder")).expect("is made");
    fs::write(path, content).expect("is written");
}

fn dev(project: &Path, arguments: &[&str]) -> Command {
    let mut command = command();
    command.arg("dev").arg(project).args(arguments).stdin(Stdio::null());
    command
}

/// Runs `dev --once`; returns whether it succeeded, and what happened.
fn once(project: &TempDir) -> (bool, Vec<Value>) {
    let Output { status, stdout, .. } = dev(project.path(), &["--once", "--json"]).output().expect("runs");
    let lines = stdout.lines().map(|line| serde_json::from_str(&line.expect("is text")).expect("is JSON"));
    (status.success(), lines.collect())
}

fn output(happenings: &[Value]) -> Vec<&str> {
    happenings.iter().filter_map(|happening| happening["output"]["line"].as_str()).collect()
}

/// Runs a task once; asserts that it succeeds; returns what it printed.
fn run(task: &str) -> (TempDir, Vec<Value>) {
    let project = project(ONE_TASK, &[("task.py", task)]);
    put(&project, "buckets/uploads/first", b"content");
    let (succeeded, happenings) = once(&project);
    assert!(succeeded, "{:#?}", output(&happenings));
    (project, happenings)
}

#[test]
fn a_result_and_a_message_of_a_task_start_the_next_tasks() {
    let config = r#"
version: 1
tasks:
  read: { task_definition: read, overrides: { container_overrides: [{ name: app, command: ["{{ bucket }}", "{{ key }}"] }] } }
  next:
    task_definition: next
    overrides:
      container_overrides:
        - { name: app, command: ["{{ key }} {{ size }} {{ etag }} {{ detail.reason }}"] }
  tell: { task_definition: tell, overrides: { container_overrides: [{ name: app, command: ["{{ body.key }}"] }] } }
routes:
  - { name: upload, on: { s3: { bucket: uploads } }, run: read }
  - { name: result, on: { s3: { bucket: results } }, run: next }
  - { name: done, on: { queue: done }, run: tell }
local:
  task_definitions:
    read: { container_definitions: { app: { entry_point: [PYTHON, read.py] } } }
    next: { container_definitions: { app: { entry_point: [echo, result] } } }
    tell: { container_definitions: { app: { entry_point: [echo, told] } } }
"#;
    let read = r#"
import json
text = s3.get_object(Bucket=sys.argv[1], Key=sys.argv[2])["Body"].read()
s3.put_object(Bucket="results", Key="out/a b+é.txt", Body=text.upper())
queue = sqs.get_queue_url(QueueName="done")["QueueUrl"]
sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({ "key": sys.argv[2] }))
"#;
    let project = project(config, &[("read.py", read)]);
    put(&project, "buckets/uploads/in/a.csv", b"hello\n");
    let (succeeded, happenings) = once(&project);
    let mut printed = output(&happenings);
    printed.sort_unstable();
    assert!(succeeded, "{printed:#?}");
    let result = "result out/a b+é.txt 6 0084467710d2fc9d8a306e14efbe6d0f PutObject";
    assert_eq!(printed, [result, "told in/a.csv"]);
    assert_eq!(fs::read(project.path().join("buckets/results/out/a b+é.txt")).expect("is there"), b"HELLO\n");
    assert_eq!(happenings.last().expect("is a summary")["summary"]["events"], 3, "each change is one event");
}

#[test]
fn objects_are_read_listed_copied_and_deleted_as_in_s3() {
    run(r#"
import hashlib
B = "results"
for key in ["a-b", "a/1", "a/2", "b/c/d", "z"]:
    s3.put_object(Bucket=B, Key=key, Body=key.encode() * 2, ContentType="text/csv", Metadata={ "Owner": "me" })

# Content, and parts of it.
body = b"0123456789"
put = s3.put_object(Bucket=B, Key="digits", Body=body)
assert put["ETag"] == '"%s"' % hashlib.md5(body).hexdigest(), put
got = s3.get_object(Bucket=B, Key="digits")
assert got["Body"].read() == body and got["ContentType"] == "binary/octet-stream", got
for range, expected in [("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=-2", b"89"), ("bytes=8-99", b"89")]:
    got = s3.get_object(Bucket=B, Key="digits", Range=range)
    assert got["Body"].read() == expected, range
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206 and got["ContentRange"].endswith("/10"), got
assert code_of(s3.get_object, Bucket=B, Key="digits", Range="bytes=10-") == "InvalidRange"
head = s3.head_object(Bucket=B, Key="a/1")
assert head["ContentLength"] == 6 and head["ContentType"] == "text/csv" and head["Metadata"] == { "owner": "me" }, head
assert code_of(s3.get_object, Bucket=B, Key="digits", IfNoneMatch=put["ETag"]) == "304"
assert code_of(s3.get_object, Bucket=B, Key="digits", IfMatch='"other"') == "PreconditionFailed"
assert code_of(s3.put_object, Bucket=B, Key="digits", Body=b"", IfNoneMatch="*") == "PreconditionFailed"
s3.put_object(Bucket=B, Key="new", Body=b"", IfNoneMatch="*")

# What does not exist.
assert code_of(s3.get_object, Bucket=B, Key="none") == "NoSuchKey"
assert code_of(s3.head_object, Bucket=B, Key="a") == "404", "a folder is not an object"
assert code_of(s3.get_object, Bucket="none", Key="a") == "NoSuchBucket"
s3.head_bucket(Bucket=B)
assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["results", "uploads"]

# Lists.
keys = ["a-b", "a/1", "a/2", "b/c/d", "digits", "new", "z"]
listed = s3.list_objects_v2(Bucket=B)
assert [entry["Key"] for entry in listed["Contents"]] == keys, listed
assert listed["Contents"][4]["Size"] == 10 and listed["Contents"][4]["ETag"] == put["ETag"], listed
listed = s3.list_objects_v2(Bucket=B, Delimiter="/")
assert [entry["Key"] for entry in listed["Contents"]] == ["a-b", "digits", "new", "z"], listed
assert [entry["Prefix"] for entry in listed["CommonPrefixes"]] == ["a/", "b/"], listed
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=B, PaginationConfig={ "PageSize": 2 })
assert [[entry["Key"] for entry in page["Contents"]] for page in pages] == [keys[0:2], keys[2:4], keys[4:6], keys[6:]]
pages = s3.get_paginator("list_objects").paginate(Bucket=B, Prefix="a/", PaginationConfig={ "PageSize": 1 })
assert [[entry["Key"] for entry in page["Contents"]] for page in pages] == [["a/1"], ["a/2"]]
assert s3.list_objects_v2(Bucket=B, StartAfter="digits")["KeyCount"] == 2

# Copies.
copy = s3.copy_object(Bucket=B, Key="copy/1", CopySource={ "Bucket": B, "Key": "a/1" })
assert copy["CopyObjectResult"]["ETag"] == head["ETag"], copy
assert s3.head_object(Bucket=B, Key="copy/1")["Metadata"] == { "owner": "me" }
s3.copy_object(Bucket=B, Key="copy/1", CopySource=B + "/a/1", MetadataDirective="REPLACE", Metadata={ "x": "y" })
assert s3.head_object(Bucket=B, Key="copy/1")["Metadata"] == { "x": "y" }
assert code_of(s3.copy_object, Bucket=B, Key="a/1", CopySource=B + "/a/1") == "InvalidRequest"

# Deletions.
s3.delete_object(Bucket=B, Key="copy/1")
s3.delete_object(Bucket=B, Key="copy/1")
answer = s3.delete_objects(Bucket=B, Delete={ "Objects": [{ "Key": "b/c/d" }, { "Key": "none" }] })
assert sorted(entry["Key"] for entry in answer["Deleted"]) == ["b/c/d", "none"], answer
assert not os.path.exists("data/results/b") and not os.path.exists("data/results/copy"), "empty folders go"
s3.put_object(Bucket=B, Key="b", Body=b"now a file")

# A presigned URL needs no credentials.
import urllib.request
from botocore.config import Config
for version in ["s3v4", "s3"]:
    signer = boto3.client("s3", config=Config(signature_version=version))
    url = signer.generate_presigned_url("get_object", Params={ "Bucket": B, "Key": "digits" })
    assert urllib.request.urlopen(url).read() == body, url
    try:
        urllib.request.urlopen(url.replace("/digits", "/z"))
        raise SystemExit("the signature is for another object")
    except urllib.error.HTTPError as error:
        assert error.code == 403, error
"#);
}

#[test]
fn keys_that_a_folder_cannot_hold_are_refused() {
    let (project, _) = run(r#"
os.symlink("..", "data/results/up")
for key in ["../x", "a/../../x", "a//b", "/a", "a/", "./a", "x" * 256, ".ecs-trigger/objects/x", "up/x", "up/y/z"]:
    assert code_of(s3.put_object, Bucket="results", Key=key, Body=b"x") == "InvalidArgument", key
    assert code_of(s3.get_object, Bucket="results", Key=key) == "NoSuchKey", key
    s3.delete_object(Bucket="results", Key=key)
assert code_of(s3.put_object, Bucket="results", Key="/".join(["x"] * 600), Body=b"x") == "KeyTooLongError"
s3.put_object(Bucket="results", Key="a", Body=b"x")
assert code_of(s3.put_object, Bucket="results", Key="a/b", Body=b"x") == "InvalidArgument"
s3.put_object(Bucket="results", Key="f/g", Body=b"x")
assert code_of(s3.put_object, Bucket="results", Key="f", Body=b"x") == "InvalidArgument"
assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="results")["Contents"]] == ["a", "f/g"]
"#);
    for outside in ["x", "data/x", "y"] {
        assert!(!project.path().join(outside).exists(), "{outside}");
    }
}

#[test]
fn an_upload_in_parts_is_one_object_and_one_event() {
    let config = ONE_TASK.replace("bucket: uploads", "bucket: [uploads, results]").replace(
        "command: [\"{{ key }}\"]",
        "command: [\"{{ key }}\", \"{{ size }}\", \"{{ etag }}\", \"{{ detail.reason }}\"]",
    );
    let task = r#"
if sys.argv[1] != "first":
    print(*sys.argv[1:])
    sys.exit()
import hashlib
from boto3.s3.transfer import TransferConfig
B, parts = "results", [b"a" * (5 << 20), b"b" * (5 << 20), b"c"]
etag = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest() + "-3"
upload = s3.create_multipart_upload(Bucket=B, Key="whole", ContentType="text/csv", Metadata={ "x": "y" })["UploadId"]
of = dict(Bucket=B, Key="whole", UploadId=upload)
s3.upload_part(**of, PartNumber=2, Body=b"replaced")
tags = [s3.upload_part(**of, PartNumber=n + 1, Body=part)["ETag"] for n, part in enumerate(parts)]
assert [part["Size"] for part in s3.list_parts(**of)["Parts"]] == [5 << 20, 5 << 20, 1]
assert [entry["Key"] for entry in s3.list_multipart_uploads(Bucket=B)["Uploads"]] == ["whole"]
assert "Contents" not in s3.list_objects_v2(Bucket=B), "it is not an object yet"
named = [{ "PartNumber": n + 1, "ETag": tag } for n, tag in enumerate(tags)]
complete = s3.complete_multipart_upload
assert code_of(complete, **of, MultipartUpload={ "Parts": named[::-1] }) == "InvalidPartOrder"
assert code_of(complete, **of, MultipartUpload={ "Parts": [{ "PartNumber": 9, "ETag": "x" }] }) == "InvalidPart"
small = [s3.upload_part(**of, PartNumber=n, Body=b"x")["ETag"] for n in (7, 8)]
assert code_of(complete, **of, MultipartUpload={ "Parts": [{ "PartNumber": 7 + n, "ETag": tag } for n, tag in enumerate(small)] }) == "EntityTooSmall"
assert complete(**of, MultipartUpload={ "Parts": named })["ETag"] == f'"{etag}"'
head = s3.head_object(Bucket=B, Key="whole")
assert head["ETag"] == f'"{etag}"' and head["Metadata"] == { "x": "y" } and head["ContentType"] == "text/csv", head
assert s3.list_objects_v2(Bucket=B)["Contents"][0]["ETag"] == f'"{etag}"'
assert s3.get_object(Bucket=B, Key="whole", Range="bytes=5242879-5242880")["Body"].read() == b"ab"
assert code_of(s3.list_parts, **of) == "NoSuchUpload"
aborted = s3.create_multipart_upload(Bucket=B, Key="aborted")["UploadId"]
s3.abort_multipart_upload(Bucket=B, Key="aborted", UploadId=aborted)
assert code_of(s3.upload_part, Bucket=B, Key="aborted", UploadId=aborted, PartNumber=1, Body=b"") == "NoSuchUpload"
assert code_of(s3.list_parts, Bucket=B, Key="whole", UploadId="../../../data") == "NoSuchUpload"

# The SDK's own transfers, in parallel.
with open("large", "wb") as file:
    file.truncate(20 << 20)
s3.upload_file("large", B, "large", Config=TransferConfig(multipart_threshold=8 << 20))
s3.copy({ "Bucket": B, "Key": "large" }, B, "copied", Config=TransferConfig(multipart_threshold=8 << 20))
s3.download_file(B, "copied", "back")
assert open("back", "rb").read() == open("large", "rb").read()
s3.copy_object(Bucket=B, Key="moved", CopySource=B + "/large")
assert s3.head_object(Bucket=B, Key="moved")["ETag"] == '"8f4e33f3dc3e414ff94e5fb6905cba8c"', "of the whole, not of parts"
"#;
    let project = project(&config, &[("task.py", task)]);
    put(&project, "buckets/uploads/first", b"");
    let (succeeded, happenings) = once(&project);
    let mut printed = output(&happenings);
    printed.sort_unstable();
    assert!(succeeded, "{printed:#?}");
    let of = |key: &str| printed.iter().filter(|line| line.starts_with(key)).copied().collect::<Vec<_>>();
    assert_eq!(printed.len(), 4, "each object is one event: {printed:#?}");
    assert!(of("whole 10485761 ")[0].ends_with("-3 CompleteMultipartUpload"), "{printed:#?}");
    assert!(of("large 20971520 ")[0].ends_with("-3 CompleteMultipartUpload"), "{printed:#?}");
    assert_eq!(of("moved"), ["moved 20971520 8f4e33f3dc3e414ff94e5fb6905cba8c CopyObject"]);
    let left = project.path().join("data/results/.ecs-trigger/uploads");
    assert_eq!(fs::read_dir(left).expect("is there").count(), 0, "nothing is left behind");
}

#[test]
fn queues_are_found_filled_and_emptied() {
    let (project, _) = run(r#"
urls = sqs.list_queues()["QueueUrls"]
assert [url.rsplit("/")[-1] for url in urls] == ["others", "others.fifo"], urls
assert len(sqs.list_queues(QueueNamePrefix="others.")["QueueUrls"]) == 1
url = sqs.get_queue_url(QueueName="others")["QueueUrl"]
assert url == urls[0], url
assert code_of(sqs.get_queue_url, QueueName="none") == "AWS.SimpleQueueService.NonExistentQueue"
attributes = { "kind": { "DataType": "String", "StringValue": "x" } }
sent = sqs.send_message(QueueUrl=url, MessageBody="é", MessageAttributes=attributes)
assert sent["MD5OfMessageAttributes"] and sent["MD5OfMessageBody"], sent
entries = [{ "Id": str(n), "MessageBody": "m%d" % n } for n in range(9)] + [{ "Id": "bad", "MessageBody": "" }]
answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
assert len(answer["Successful"]) == 9 and [entry["Id"] for entry in answer["Failed"]] == ["bad"], answer
for entries, code in [([], "EmptyBatchRequest"), ([{ "Id": "1", "MessageBody": "x" }] * 2, "BatchEntryIdsNotDistinct")]:
    assert code_of(sqs.send_message_batch, QueueUrl=url, Entries=entries).endswith(code), code
count = lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["ApproximateNumberOfMessages"]
assert count() == "10"
[message] = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
assert message["Body"] == "é" and message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"], message
assert message["MessageAttributes"]["kind"]["StringValue"] == "x", message
sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
sqs.purge_queue(QueueUrl=url)
assert count() == "0"
assert code_of(sqs.send_message, QueueUrl=url, MessageBody="x" * (1 << 20) + "x") == "InvalidParameterValue"
fifo = urls[1]
assert code_of(sqs.send_message, QueueUrl=fifo, MessageBody="x") == "MissingParameter"
one, other = [sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="d") for _ in "12"]
assert one["MessageId"] == other["MessageId"] and one["SequenceNumber"], "the second is a duplicate"
assert code_of(boto3.client("dynamodb").list_tables) is not None, "there is no other service"
"#);
    let files = |queue: &str| fs::read_dir(project.path().join("queues").join(queue)).expect("is there").count();
    assert_eq!((files("others"), files("others.fifo")), (0, 1));
}

/// A `dev` that waits for files. It ends when this value is dropped.
struct Waiting {
    process: Child,
    lines: Receiver<String>,
    /// The variables of its endpoint.
    variables: Vec<(String, String)>,
}

impl Waiting {
    fn start(project: &Path, arguments: &[&str]) -> Self {
        let mut process =
            dev(project, &[&["--json"], arguments].concat()).stdout(Stdio::piped()).spawn().expect("runs");
        let printed = BufReader::new(process.stdout.take().expect("is piped")).lines();
        let (sender, lines) = channel();
        // Nobody reads while a program of the story runs, and `dev` waits for a full pipe.
        thread::spawn(move || printed.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut waiting = Self { process, lines, variables: Vec::new() };
        let file = waiting.until("listening")["file"].as_str().expect("is a path").to_owned();
        let file = fs::read_to_string(file).expect("can be read");
        let variables = file.lines().filter_map(|line| line.split_once('='));
        waiting.variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        waiting
    }

    /// Waits for the next happening of this kind.
    fn until(&mut self, kind: &str) -> Value {
        for line in &self.lines {
            let happening: Value = serde_json::from_str(&line).expect("is JSON");
            if let Some(found) = happening.get(kind) {
                return found.clone();
            }
        }
        panic!("dev ended before it reported `{kind}`");
    }

    fn variable(&self, name: &str) -> &str {
        let found = self.variables.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).expect("is in the file")
    }

    /// Returns the host and port.
    fn host(&self) -> &str {
        self.variable("AWS_ENDPOINT_URL").strip_prefix("http://").expect("is a URL")
    }

    /// Runs a program of the user's own with the endpoint's variables.
    fn python(&self, text: &str) -> Output {
        let mut command = Command::new(python());
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.arg("-c").arg(format!("{PRELUDE}{text}")).output().expect("runs")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_waiting_dev_takes_each_change_once() {
    let config = r#"
version: 1
tasks: { t: { task_definition: t } }
routes: [{ name: r, on: { s3: { bucket: uploads, detail_type: [Object Created, Object Deleted] } }, run: t }]
local: { task_definitions: { t: { container_definitions: { app: { command: ["true"] } } } } }
"#;
    let project = project(config, &[]);
    let mut dev = Waiting::start(project.path(), &[]);
    succeeds(&dev.python(
        r#"
s3.put_object(Bucket="uploads", Key="deep/new/a", Body=b"1")
s3.put_object(Bucket="uploads", Key="deep/new/a", Body=b"2")
s3.copy_object(Bucket="uploads", Key="b", CopySource="uploads/deep/new/a")
s3.delete_object(Bucket="uploads", Key="deep/new/a")
s3.put_object(Bucket="uploads", Key="deep/new/a", Body=b"3")
"#,
    ));
    // By hand, after it, so that whatever the watch would announce of the above comes before.
    put(&project, "buckets/uploads/c", b"4");
    fs::remove_file(project.path().join("buckets/uploads/b")).expect("is there");
    let mut seen = Vec::new();
    while seen.len() < 7 {
        let object = dev.until("object");
        seen.push(format!(
            "{} {}",
            object["detail_type"].as_str().expect("is text"),
            object["key"].as_str().expect("is text")
        ));
    }
    let created = |key: &str| format!("Object Created {key}");
    let deleted = |key: &str| format!("Object Deleted {key}");
    let (a, by_hand) = ("deep/new/a", [created("c"), deleted("b")]);
    assert_eq!(seen[..5], [created(a), created(a), created("b"), deleted(a), created(a)]);
    assert_eq!(seen[5..], by_hand);
}

#[test]
fn only_who_knows_the_secrets_may_call() {
    let project = project(ONE_TASK, &[("task.py", "")]);
    put(&project, "data/results/secret", b"secret");
    let dev = Waiting::start(project.path(), &[]);
    let ask = r#"print(s3.get_object(Bucket="results", Key="secret")["Body"].read().decode())"#;
    assert_eq!(succeeds(&dev.python(ask)), "secret\n");
    for (name, code) in [("AWS_ACCESS_KEY_ID", "AccessDenied"), ("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch")] {
        let wrong = format!("os.environ['{name}'] = 'wrong'\ns3 = boto3.Session().client('s3')\n{ask}");
        let refused = dev.python(&wrong);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && why.contains(code), "{name}: {why}");
    }
    let key = dev.variable("AWS_ACCESS_KEY_ID");
    let credential = format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/sqs/aws4_request, Signature=x");
    for (case, host, headers, expected) in [
        ("a program", dev.host(), "", "200"),
        ("a host name that leads here", "evil.example", "", "403"),
        ("a web page", dev.host(), "origin: https://evil.example\r\n", "403"),
    ] {
        let mut stream = TcpStream::connect(dev.host()).expect("listens");
        let request = format!(
            "POST / HTTP/1.1\r\nhost: {host}\r\n{headers}authorization: {credential}\r\n\
             x-amz-target: AmazonSQS.ListQueues\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
        );
        stream.write_all(request.as_bytes()).expect("is sent");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("is answered");
        assert_eq!(response.split(' ').nth(1), Some(expected), "{case}: {response}");
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_only_if_it_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("has a port").port().to_string();
    let [one, other] = [1, 2].map(|_| project(ONE_TASK, &[("task.py", "")]));
    let refused = dev(one.path(), &["--port", &port]).output().expect("runs");
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains(&format!("the port {port} is taken")) && why.contains("--port"), "{why}");
    drop(taken);
    let asked = Waiting::start(one.path(), &["--port", &port]);
    assert_eq!(asked.host(), format!("127.0.0.1:{port}"));
    drop(asked);
    let (one, other) = (Waiting::start(one.path(), &[]), Waiting::start(other.path(), &[]));
    assert_ne!(one.host(), other.host(), "two projects run side by side");
    let buckets = "print(len(s3.list_buckets()['Buckets']))";
    assert_eq!([succeeds(&one.python(buckets)), succeeds(&other.python(buckets))], ["2\n", "2\n"]);
}

/// The memory that a process has used at most, in kB.
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("runs on Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("is there");
    line.trim().trim_end_matches(" kB").parse().expect("is a number")
}

#[test]
fn large_objects_stream_and_a_thousand_at_once_are_taken() {
    const SIZE: u64 = 512 << 20;
    let config = r#"
version: 1
tasks: { t: { task_definition: t } }
routes: [{ name: r, on: { s3: { bucket: uploads, key: { prefix: none/ } } }, run: t }]
local: { task_definitions: { t: { container_definitions: { app: { command: ["true"] } } } } }
"#;
    let project = project(config, &[]);
    let mut dev = Waiting::start(project.path(), &[]);
    // A file with holes takes no room.
    let mut large = File::create(project.path().join("large")).expect("is made");
    large.set_len(SIZE).and_then(|()| large.seek(SeekFrom::Start(SIZE - 1))).expect("is set");
    large.write_all(b"x").expect("is written");
    let before = peak_memory(dev.process.id());
    let folder = project.path().display();
    succeeds(&dev.python(&format!(
        r#"
with open("{folder}/large", "rb") as file:
    s3.put_object(Bucket="uploads", Key="large", Body=file)
size = 0
for piece in s3.get_object(Bucket="uploads", Key="large")["Body"].iter_chunks(1 << 20):
    size += len(piece)
assert size == {SIZE}, size
"#
    )));
    let used = peak_memory(dev.process.id()) - before;
    assert!(used < 64 << 10, "{used} kB for an object of {SIZE} bytes");
    succeeds(&dev.python(
        r#"
from botocore.config import Config
from concurrent.futures import ThreadPoolExecutor
many = boto3.client("s3", config=Config(max_pool_connections=100))
with ThreadPoolExecutor(100) as pool:
    list(pool.map(lambda n: many.put_object(Bucket="uploads", Key="many/%03d" % n, Body=b"x"), range(1000)))
assert len(s3.list_objects_v2(Bucket="uploads", Prefix="many/")["Contents"]) == 1000
"#,
    ));
    let objects: Vec<Value> = (0..1001).map(|_| dev.until("object")).collect();
    assert!(objects.iter().all(|object| object["detail_type"] == "Object Created"));
}
