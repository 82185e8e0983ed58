//! The arguments that name events: a delivery as a function receives it, a message's body, a firing, or an object.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{DecodeError, Decoded, Delivery, Event, Firing, Queue, Record};
use trigger_core::history::ObjectName;
use trigger_core::routing::RoutingConfig;
use trigger_core::schedule::Schedule;
use trigger_core::text::Source;
use trigger_core::text::diagnostic::hint;
use trigger_local::folders::object_events::Created;

use crate::completion;
use crate::diagnostics;
use crate::exit::Failed;
use crate::files::{not_decoded, read};
use crate::output::{line, printable};

/// The ETag of an object that need not exist: that of an empty one.
pub(crate) const ETAG: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// The arguments that name the events a verb works on.
#[derive(Debug, Args)]
pub(crate) struct Sample {
    /// The input of a function as JSON: an EventBridge event, a batch of SQS messages, or a firing of a schedule. A
    /// file, or `-` for standard input.
    #[arg(required_unless_present_any = ["schedule", "object"], conflicts_with_all = ["schedule", "object"])]
    event: Option<PathBuf>,
    /// Read the file as the body of a message from this queue.
    #[arg(long, value_name = "QUEUE", conflicts_with_all = ["schedule", "object"], add = completion::queues_of_routes())]
    queue: Option<String>,
    /// The message's group.
    #[arg(long, value_name = "GROUP", requires = "queue")]
    group: Option<String>,
    /// A message attribute; repeatable.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute, requires = "queue")]
    attributes: Vec<(String, String)>,
    /// Use a firing of this route's schedule as the event.
    #[arg(long, value_name = "ROUTE", add = completion::schedules(), conflicts_with = "object")]
    pub(crate) schedule: Option<String>,
    /// Use the event of S3 that this object was created, such as s3://uploads/in/a.csv. The object need not exist.
    #[arg(long, value_name = "S3-URI", value_parser = object)]
    pub(crate) object: Option<ObjectName>,
    /// The size of the object in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1, conflicts_with_all = ["event", "schedule"])]
    pub(crate) size: u64,
    /// How the object was created: PutObject, CopyObject, CompleteMultipartUpload or "POST Object".
    #[arg(long, value_name = "REASON", default_value = "PutObject", conflicts_with_all = ["event", "schedule"])]
    pub(crate) reason: String,
    /// The time of the firing or the object, such as 2026-12-31T18:00:00Z. Default: the schedule's next firing; for an
    /// object, now.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "event")]
    pub(crate) at: Option<Timestamp>,
}

/// The events that the arguments name.
pub(crate) struct Events {
    /// The events in the order of the input.
    pub(crate) events: Vec<Event>,
    /// Whether the input is a batch, even of one event or none.
    pub(crate) is_batch: bool,
    /// The messages that start nothing: the id, in a batch, and the reason.
    pub(crate) ignored: Vec<(Option<String>, String)>,
    /// The messages of the batch that cannot be decoded: id and reason.
    pub(crate) undecoded: Vec<(String, String)>,
}

impl Events {
    fn one(event: Event) -> Self {
        Self { events: vec![event], is_batch: false, ignored: Vec::new(), undecoded: Vec::new() }
    }

    /// Collects the contents of a delivery or a message. Without a message's id, an error is about `source` as a whole.
    fn of(source: &Source, contents: Vec<(Option<String>, Result<Decoded, DecodeError>)>) -> Result<Self, Failed> {
        let mut all = Self { events: Vec::new(), is_batch: false, ignored: Vec::new(), undecoded: Vec::new() };
        for (message_id, content) in contents {
            match (message_id, content) {
                (_, Ok(Decoded::Events(events))) => all.events.extend(events),
                (message_id, Ok(Decoded::Ignored(reason))) => all.ignored.push((message_id, reason.to_string())),
                (Some(message_id), Ok(Decoded::Redrive(redriven))) => {
                    all.undecoded.push((message_id, letter_of(&redriven.launch)));
                }
                (Some(message_id), Err(error)) => all.undecoded.push((message_id, error.to_string())),
                (None, Ok(Decoded::Redrive(redriven))) => {
                    diagnostics::error(&format!("{}: {}", source.name, letter_of(&redriven.launch)));
                    return Err(Failed::Event);
                }
                (None, Err(error)) => return Err(not_decoded(source, &error)),
            }
        }
        all.is_batch = all.events.len() > 1;
        Ok(all)
    }

    /// Prints which messages start nothing.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn print_ignored(&self) -> Result<(), Failed> {
        for (message_id, reason) in &self.ignored {
            let whose = message_id.as_ref().map_or("the message".to_owned(), |id| format!("message {id}"));
            line!("{}", printable(&format!("{whose} is ignored: {reason}")))?;
        }
        Ok(())
    }

    /// Returns which messages start nothing, as JSON.
    pub(crate) fn ignored_as_json(&self) -> impl Iterator<Item = Value> {
        let ignored = self.ignored.iter();
        ignored.map(|(message_id, reason)| json!({ "event": { "message_id": message_id }, "ignored": reason }))
    }

    /// Reports each message that cannot be decoded, and fails if there is one.
    pub(crate) fn check(&self) -> Result<(), Failed> {
        for (message_id, reason) in &self.undecoded {
            diagnostics::error(&format!("message {message_id}: {reason}"));
        }
        if self.undecoded.is_empty() { Ok(()) } else { Err(Failed::Event) }
    }
}

impl Sample {
    pub(crate) fn events(&self, config: &RoutingConfig) -> Result<Events, Failed> {
        match (&self.event, &self.queue, &self.schedule, &self.object) {
            (Some(body), Some(queue), ..) => self.message(config, queue, body),
            (Some(event), None, ..) => delivered(config, event),
            (None, _, Some(route), _) => firing(config, route, self.at).map(Events::one),
            (None, _, None, Some(object)) => self.created(config, object),
            (None, ..) => Err(Failed::Usage("no event is given; name a file, or `-` for standard input".to_owned())),
        }
    }

    fn message(&self, config: &RoutingConfig, queue: &str, body: &Path) -> Result<Events, Failed> {
        let configured = queue_of(config, queue)?;
        let asked = Queue::parse(queue).filter(|asked| asked.region.is_some() || asked.account.is_some());
        self.message_of(asked.unwrap_or_else(|| configured.clone()), read(body)?)
    }

    /// Returns whether an argument names an event.
    pub(crate) fn is_given(&self) -> bool {
        self.event.is_some() || self.queue.is_some() || self.schedule.is_some() || self.object.is_some()
    }

    /// Returns the queue that the arguments name.
    pub(crate) fn queue<'a>(&self, config: &'a RoutingConfig) -> Result<Option<&'a Queue>, Failed> {
        self.queue.as_deref().map(|name| queue_of(config, name)).transpose()
    }

    /// Returns the events of a message with this body.
    pub(crate) fn message_of(&self, queue: Queue, source: Source) -> Result<Events, Failed> {
        let record = Record {
            message_id: "00000000-0000-4000-8000-000000000000".to_owned(),
            queue,
            body: source.text.clone(),
            attributes: self.group.iter().map(|group| ("MessageGroupId".to_owned(), group.clone())).collect(),
            message_attributes: self.attributes.clone(),
            unreadable: None,
        };
        let opened = record.open();
        Events::of(&inside(source.clone(), &opened.text), vec![(None, opened.content)])
    }

    /// Returns the event that S3 sends when an object is created.
    fn created(&self, config: &RoutingConfig, object: &ObjectName) -> Result<Events, Failed> {
        let time = self.at.unwrap_or_else(Timestamp::now);
        let ObjectName { bucket, key } = object;
        let created = Created { bucket, key, size: self.size, etag: ETAG, reason: &self.reason, time };
        let source = Source::new("--object", created.event());
        let delivery = config.open(&source.text).content.map_err(|error| not_decoded(&source, &error))?;
        Events::of(&source, delivery.contents())
    }
}

/// Returns the source of a text that was taken out of its dead letters: errors are about that text.
fn inside(source: Source, opened: &str) -> Source {
    match source.text == opened {
        true => source,
        false => Source::new(format!("the event in {}", source.name), opened),
    }
}

/// Returns why the dead letter of a launch is refused: what it would start is in the ledger.
fn letter_of(launch: &LaunchKey) -> String {
    format!(
        "this is the dead letter of the launch {launch}; save its `event` (of a message: `event.body`, with `--queue`) in \
         a file and name that"
    )
}

fn delivered(config: &RoutingConfig, path: &Path) -> Result<Events, Failed> {
    let source = read(path)?;
    let opened = config.open(&source.text);
    let source = inside(source.clone(), &opened.text);
    let delivery = opened.content.map_err(|error| not_decoded(&source, &error))?;
    let is_batch = matches!(delivery, Delivery::Batch(_));
    Ok(Events { is_batch, ..Events::of(&source, delivery.contents())? })
}

/// Returns a firing of a route's schedule: at this time, or the next one.
fn firing(config: &RoutingConfig, route: &str, at: Option<Timestamp>) -> Result<Event, Failed> {
    let schedule = schedule_of(config, route)?;
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let time = at.or_else(|| schedule.next_after(now, now));
    let Some(time) = time else {
        return Err(Failed::Usage(format!("the schedule of `{route}` never fires again; give a time with --at")));
    };
    let just_before = time.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(time);
    if schedule.next_after(just_before, time) != Some(time) {
        diagnostics::warning(&format!("the schedule of `{route}` does not fire at {time}"));
    }
    Ok(Firing::local(route, time).into_event())
}

/// Returns a route's schedule.
///
/// # Errors
/// The config has no route with this name, or the route has no schedule.
pub(crate) fn schedule_of<'a>(config: &'a RoutingConfig, route: &str) -> Result<&'a Schedule, Failed> {
    let schedule = config.route_on_schedule(route).and_then(|route| route.schedule());
    schedule.ok_or_else(|| {
        let scheduled = config.routes.iter().filter(|route| route.schedule().is_some());
        let hint = hint(route, scheduled.map(|route| route.name.as_str()));
        Failed::Usage(format!("the config has no scheduled route `{route}`{hint}"))
    })
}

/// Returns the queue of this name that a route uses.
pub(crate) fn queue_of<'a>(config: &'a RoutingConfig, name: &str) -> Result<&'a Queue, Failed> {
    among(&config.queues(), name, "no route uses the queue")
}

/// Returns the queue of this name that a route or a worker uses.
pub(crate) fn any_queue_of<'a>(config: &'a RoutingConfig, name: &str) -> Result<&'a Queue, Failed> {
    among(&config.all_queues(), name, "no route or worker uses the queue")
}

fn among<'a>(queues: &[&'a Queue], name: &str, else_said: &str) -> Result<&'a Queue, Failed> {
    let asked = Queue::parse(name);
    let found = queues.iter().find(|queue| asked.as_ref().is_some_and(|asked| queue.is(asked)));
    found.copied().ok_or_else(|| {
        let hint = hint(name, queues.iter().map(|queue| queue.name.as_str()));
        Failed::Usage(format!("{else_said} `{name}`{hint}"))
    })
}

/// Parses s3://BUCKET/KEY.
pub(crate) fn object(text: &str) -> Result<ObjectName, String> {
    let named = text.strip_prefix("s3://").and_then(|name| name.split_once('/'));
    match named.filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty()) {
        Some((bucket, key)) => Ok(ObjectName { bucket: bucket.to_owned(), key: key.to_owned() }),
        None => Err("write s3://BUCKET/KEY".to_owned()),
    }
}

/// Parses NAME=VALUE.
pub(crate) fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Parses a time with an offset from UTC.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "write a time such as 2026-12-31T18:00:00Z or 2026-12-31T18:00:00+09:00".to_owned())
}
