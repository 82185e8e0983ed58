//! A folder as a queue: each file in it is a message.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use trigger_core::config::local::{Local, LocalQueue};
use trigger_core::event::identity::id_of;
use trigger_core::event::{Queue, Record};
use trigger_engine::ports::Depth;

use crate::folders::bucket::changed_at;
use crate::folders::landing::{files_being_written, is_complete};
use crate::folders::{remove_if_there, write_whole};

/// A received message is invisible for this long, unless the config sets `visibility_timeout`.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);
/// A message is received at most this many times, unless the config sets `max_receive_count`.
const MAX_RECEIVE_COUNT: u32 = 3;
/// One batch has at most this many messages.
const BATCH: usize = 10;
/// SQS rejects a message whose body has more bytes than this.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// A larger file, in bytes, is not read. A message file is larger than its body: it is JSON and holds the attributes.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// The ending of the names of files that [`FolderQueue::send`] writes: a message with its attributes.
const MESSAGE_FILE: &str = ".message.json";

/// A queue, and the folder that takes its place.
#[derive(Debug, Clone)]
pub struct FolderQueue {
    /// The queue.
    pub queue: Queue,
    /// The folder.
    pub folder: PathBuf,
    /// The folder for messages that were received too often.
    pub dead_letter_folder: PathBuf,
    visibility_timeout: Duration,
    max_receive_count: u32,
    received: HashMap<PathBuf, Receipt>,
    /// Files that cannot be messages; each is reported once.
    refused: HashSet<PathBuf>,
}

/// What the queue remembers of a received message.
#[derive(Debug, Clone)]
struct Receipt {
    count: u32,
    visible_at: Instant,
    group: Option<String>,
}

/// A message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message's file.
    pub path: PathBuf,
    /// The message.
    pub record: Record,
}

/// A message to be sent.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// The body.
    pub body: String,
    /// The message group, in a FIFO queue.
    pub group: Option<String>,
    /// The sender's attributes.
    pub attributes: Vec<(String, String)>,
}

/// What one look into the folder found.
#[derive(Debug, Default)]
pub struct Look {
    /// The messages that were received.
    pub received: Vec<Received>,
    /// The messages that went to the dead-letter folder: their files there.
    pub dead_lettered: Vec<PathBuf>,
    /// Files that cannot be messages, and why.
    pub refused: Vec<(PathBuf, String)>,
}

impl FolderQueue {
    /// Creates the queue with the config's settings. Creates nothing on disk.
    pub fn new(queue: &Queue, local: Option<&Local>, project: &Path) -> Self {
        let settings = local.and_then(|local| local.queues.as_ref()?.get(&queue.name));
        let named = settings.and_then(|settings: &LocalQueue| settings.folder.as_ref());
        let folder =
            project.join(named.map_or_else(|| format!("queues/{}", queue.name), |folder| folder.value.clone()));
        // Removes a trailing slash.
        let folder: PathBuf = folder.components().collect();
        let mut dead_letter_folder = folder.clone().into_os_string();
        dead_letter_folder.push("-dead-letters");
        let timeout = settings.and_then(|settings| settings.visibility_timeout);
        let count = settings.and_then(|settings| settings.max_receive_count.as_ref().map(|count| count.value));
        Self {
            queue: queue.clone(),
            folder,
            dead_letter_folder: dead_letter_folder.into(),
            visibility_timeout: timeout.map_or(VISIBILITY_TIMEOUT, |timeout| timeout.0),
            max_receive_count: count.unwrap_or(MAX_RECEIVE_COUNT).max(1),
            received: HashMap::new(),
            refused: HashSet::new(),
        }
    }

    /// Puts a message into the queue; returns its id.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn send(&self, message: &Outgoing, now: Timestamp) -> io::Result<String> {
        let nanoseconds = now.as_nanosecond();
        let message_id = id_of(&[&self.queue.name, &nanoseconds.to_string(), &std::process::id().to_string()]);
        let attributes: Map<String, Value> =
            message.attributes.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let mut text = json!({
            "message_id": message_id,
            "sent": now.to_string(),
            "body": message.body,
            "message_attributes": attributes,
        });
        if let Some(group) = &message.group {
            text["group"] = group.as_str().into();
        }
        // Names sort in the order of sending.
        let name = format!("{nanoseconds:020}-{}{MESSAGE_FILE}", &message_id[..8]);
        write_whole(&self.folder.join(name), &format!("{text:#}\n"))?;
        Ok(message_id)
    }

    /// Returns the files in the folder that are messages, in the order in which they arrived.
    pub fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let hidden = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // A link is not a message: it may point anywhere.
        let entries = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let paths = entries.map(|entry| entry.path()).filter(|path| !hidden(path));
        let mut files: Vec<(Timestamp, PathBuf)> =
            paths.filter_map(|path| Some((changed_at(&path).ok()?, path))).collect();
        files.sort();
        files.into_iter().map(|(_, path)| path).collect()
    }

    /// Receives a batch of visible messages; moves those that were received too often to the dead-letter folder.
    pub fn look(&mut self, now: Instant) -> Look {
        self.receive(BATCH, None, now)
    }

    /// Receives at most `most` visible messages; moves those that were received too often to the dead-letter folder. A
    /// received message is invisible for `visibility_timeout`, or else for the queue's own timeout.
    pub fn receive(&mut self, most: usize, visibility_timeout: Option<Duration>, now: Instant) -> Look {
        let files = self.files();
        let there: HashSet<&PathBuf> = files.iter().collect();
        self.received.retain(|path, _| there.contains(path));
        self.refused.retain(|path| there.contains(path));
        let mut look = Look::default();
        let mut blocked: HashSet<String> = HashSet::new();
        let mut being_written = None;
        for path in &files {
            if self.refused.contains(path) || look.received.len() >= most {
                continue;
            }
            let receipt = self.received.get(path).cloned();
            if let Some(receipt) = receipt.as_ref().filter(|receipt| receipt.visible_at > now) {
                // The rest of a group waits for the message in flight.
                blocked.extend(receipt.group.clone());
                continue;
            }
            if receipt.as_ref().is_some_and(|receipt| receipt.count >= self.max_receive_count) {
                match self.dead_letter(path) {
                    Ok(moved) => look.dead_lettered.push(moved),
                    Err(error) => {
                        let folder = self.dead_letter_folder.display();
                        self.refuse(
                            path,
                            format!("it was received too often and cannot be moved to {folder}: {error}"),
                            &mut look,
                        );
                    }
                }
                continue;
            }
            let is_new = receipt.is_none() && !is_message_file(path);
            if is_new && !is_complete(path, being_written.get_or_insert_with(files_being_written)) {
                continue;
            }
            let count = receipt.map_or(0, |receipt| receipt.count) + 1;
            match self.record(path, count) {
                Err(reason) => self.refuse(path, reason, &mut look),
                Ok(record) => {
                    let group = record.group().map(str::to_owned);
                    if group.as_ref().is_some_and(|group| blocked.contains(group)) {
                        continue;
                    }
                    let visible_at = now + visibility_timeout.unwrap_or(self.visibility_timeout);
                    self.received.insert(path.clone(), Receipt { count, visible_at, group });
                    look.received.push(Received { path: path.clone(), record });
                }
            }
        }
        look
    }

    /// Returns the file of the message with this receipt handle, unless the message was received again since.
    pub fn received_by(&self, handle: &str) -> Option<PathBuf> {
        let named = self.received.iter().find(|(path, receipt)| receipt_handle(path, receipt.count) == handle);
        named.map(|(path, _)| path.clone())
    }

    /// Makes a received message visible again after `timeout`.
    pub fn change_visibility(&mut self, path: &Path, timeout: Duration, now: Instant) {
        if let Some(receipt) = self.received.get_mut(path) {
            receipt.visible_at = now + timeout;
        }
    }

    /// Returns how many messages can be received, and how many are in flight.
    pub fn depth(&self, now: Instant) -> Depth {
        let mut depth = Depth::default();
        for path in self.files().iter().filter(|path| !self.refused.contains(*path)) {
            match self.received.get(path).is_some_and(|receipt| receipt.visible_at > now) {
                true => depth.in_flight += 1,
                false => depth.visible += 1,
            }
        }
        depth
    }

    /// Returns whether the folder has a message that was never received.
    pub fn has_unseen(&self) -> bool {
        self.files().iter().any(|path| !self.received.contains_key(path) && !self.refused.contains(path))
    }

    /// Takes over which messages were received, from this queue as an earlier config had it.
    pub(crate) fn take_over(&mut self, before: &mut Self) {
        self.received = std::mem::take(&mut before.received);
        self.refused = std::mem::take(&mut before.refused);
    }

    /// Deletes a message. As in SQS, deleting a message that is gone succeeds.
    ///
    /// # Errors
    /// The message's file cannot be removed.
    pub fn delete(&mut self, path: &Path) -> io::Result<()> {
        self.received.remove(path);
        remove_if_there(path)
    }

    /// Deletes all messages.
    ///
    /// # Errors
    /// A message's file cannot be removed.
    pub fn purge(&mut self) -> io::Result<()> {
        self.files().iter().try_for_each(|path| self.delete(path))
    }

    fn refuse(&mut self, path: &Path, reason: String, look: &mut Look) {
        self.refused.insert(path.to_owned());
        look.refused.push((path.to_owned(), reason));
    }

    fn dead_letter(&mut self, path: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.dead_letter_folder)?;
        // The dead-letter folder may already have a file of this name.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let names = std::iter::once(name.to_string()).chain((2..).map(|number| format!("{number}-{name}")));
        let mut free = names.map(|name| self.dead_letter_folder.join(name)).filter(|path| !path.exists());
        let moved = free.next().unwrap_or_default();
        fs::rename(path, &moved)?;
        self.received.remove(path);
        Ok(moved)
    }

    fn record(&self, path: &Path, count: u32) -> Result<Record, String> {
        let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
        if size > FILE_BYTES_MAX {
            return Err(too_large(size));
        }
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let file: Option<Value> = is_message_file(path).then(|| serde_json::from_str(&text).ok()).flatten();
        let changed = changed_at(path).map_err(|error| error.to_string())?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let own_id = id_of(&[&self.queue.name, &name, &changed.to_string()]);
        let field = |name: &str| file.as_ref().and_then(|file| file[name].as_str()).map(str::to_owned);
        let sent = field("sent").and_then(|sent| sent.parse::<Timestamp>().ok()).unwrap_or(changed);
        let body = field("body").unwrap_or(text);
        if body.len() > BODY_BYTES_MAX {
            return Err(too_large(body.len() as u64));
        }
        let mut attributes = vec![
            ("ApproximateReceiveCount".to_owned(), count.to_string()),
            ("SentTimestamp".to_owned(), sent.as_millisecond().to_string()),
        ];
        // Files that `send` did not write form one group, in the order in which they arrived.
        let group = field("group").or_else(|| self.queue.is_fifo().then(|| "files".to_owned()));
        attributes.extend(group.map(|group| ("MessageGroupId".to_owned(), group)));
        let pairs = file.as_ref().and_then(|file| file["message_attributes"].as_object());
        let text_of = |value: &Value| value.as_str().map(str::to_owned);
        Ok(Record {
            message_id: field("message_id").unwrap_or(own_id),
            queue: self.queue.clone(),
            body,
            attributes,
            message_attributes: pairs
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), text_of(value)?)))
                .collect(),
            unreadable: None,
        })
    }
}

/// Returns the receipt handle of a message after it was received `count` times.
pub fn receipt_handle(path: &Path, count: u32) -> String {
    format!("{}#{count}", path.file_name().unwrap_or_default().to_string_lossy())
}

fn too_large(size: u64) -> String {
    format!("it has {size} bytes; SQS accepts at most {BODY_BYTES_MAX}")
}

/// Returns whether [`FolderQueue::send`] wrote the file. Such a file appears whole and holds the message's attributes.
fn is_message_file(path: &Path) -> bool {
    path.to_string_lossy().ends_with(MESSAGE_FILE)
}

#[cfg(test)]
mod tests;
