//! A folder as a queue.

use std::fs;
use std::time::{Duration, Instant};

use expect_test::expect;
use jiff::Timestamp;
use trigger_core::event::Queue;

use super::{FolderQueue, Look, Outgoing};

fn queue(name: &str, project: &tempfile::TempDir) -> FolderQueue {
    FolderQueue::new(&Queue::parse(name).expect("is a queue"), None, project.path())
}

fn send(queue: &FolderQueue, group: Option<&str>, body: &str, second: i64) -> String {
    let message = Outgoing { body: body.to_owned(), group: group.map(str::to_owned), attributes: Vec::new() };
    queue.send(&message, Timestamp::from_second(second).expect("is a time")).expect("is sent")
}

fn bodies(look: &Look) -> Vec<&str> {
    look.received.iter().map(|received| received.record.body.as_str()).collect()
}

#[test]
fn a_message_is_received_until_it_is_deleted_or_dead_lettered() {
    let project = tempfile::tempdir().expect("a folder");
    let mut queue = queue("jobs", &project);
    let id = send(&queue, None, "good", 1);
    send(&queue, None, "bad", 2);
    let now = Instant::now();
    let look = queue.look(now);
    assert_eq!(bodies(&look), ["good", "bad"]);
    assert_eq!(look.received[0].record.message_id, id);
    queue.delete(&look.received[0].path).expect("is deleted");
    assert_eq!(bodies(&queue.look(now)), [""; 0], "invisible");
    for received in 2..=3 {
        let look = queue.look(now + Duration::from_secs(30) * (received - 1));
        assert_eq!(bodies(&look), ["bad"]);
        let count = ("ApproximateReceiveCount".to_owned(), received.to_string());
        assert!(look.received[0].record.attributes.contains(&count));
    }
    let last = queue.look(now + Duration::from_secs(120));
    assert_eq!(bodies(&last), [""; 0]);
    assert_eq!(last.dead_lettered.len(), 1);
    assert!(last.dead_lettered[0].starts_with(project.path().join("queues/jobs-dead-letters")));
    assert_eq!(queue.files(), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn a_group_waits_for_its_first_message() {
    let project = tempfile::tempdir().expect("a folder");
    let mut queue = queue("jobs.fifo", &project);
    send(&queue, Some("a"), "a1", 1);
    send(&queue, Some("b"), "b1", 2);
    send(&queue, Some("a"), "a2", 3);
    let now = Instant::now();
    let look = queue.look(now);
    assert_eq!(bodies(&look), ["a1", "b1", "a2"]);
    let groups: Vec<_> = look.received.iter().map(|received| received.record.group()).collect();
    assert_eq!(groups, [Some("a"), Some("b"), Some("a")]);
    for received in &look.received[1..] {
        queue.delete(&received.path).expect("is deleted");
    }
    send(&queue, Some("a"), "a3", 4);
    send(&queue, Some("b"), "b2", 5);
    assert_eq!(bodies(&queue.look(now)), ["b2"]);
    assert_eq!(bodies(&queue.look(now + Duration::from_secs(31))), ["a1", "a3", "b2"]);
}

#[test]
fn ten_messages_are_received_at_once() {
    let project = tempfile::tempdir().expect("a folder");
    let mut queue = queue("jobs", &project);
    for number in 0..12 {
        send(&queue, None, &number.to_string(), number);
    }
    let now = Instant::now();
    assert_eq!(bodies(&queue.look(now)).len(), 10);
    assert_eq!(bodies(&queue.look(now)), ["10", "11"]);
}

#[test]
fn any_file_is_a_message_and_what_cannot_be_one_is_told_once() {
    let project = tempfile::tempdir().expect("a folder");
    let mut queue = queue("jobs", &project);
    fs::create_dir_all(&queue.folder).expect("is made");
    let put = |name: &str, body: &[u8]| {
        let path = queue.folder.join(name);
        fs::write(&path, body).expect("is written");
        let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        fs::File::options().append(true).open(path).and_then(|file| file.set_modified(hour_ago)).expect("is dated");
    };
    put("job.json", b"{\"kind\":\"resize\"}");
    put("not-utf8", b"\xff");
    put("large", &vec![b'x'; (1 << 20) + 1]);
    put("broken.message.json", b"{");
    std::os::unix::fs::symlink("/etc/hostname", queue.folder.join("link")).expect("is linked");
    let look = queue.look(Instant::now());
    let mut found = bodies(&look);
    found.sort_unstable();
    assert_eq!(found, ["{", "{\"kind\":\"resize\"}"]);
    let mut refused: Vec<&str> = look.refused.iter().map(|(_, reason)| reason.as_str()).collect();
    refused.sort_unstable();
    expect![[r#"
        it has 1048577 bytes; SQS accepts at most 1048576
        stream did not contain valid UTF-8"#]]
    .assert_eq(&refused.join("\n"));
    assert_eq!(queue.look(Instant::now()).refused, []);
}
