//! What happens, as JSON.

use serde_json::{Map, Value, json};
use trigger_local::dev::{About, Element, Ending, Happening, Next, Start, Stream};

/// Returns what happened as JSON. All that is about a launch has `route`, `launch`, `attempt` (from 0), `event_id` and
/// `subject`.
pub(super) fn as_json(happening: &Happening) -> Value {
    match happening {
        Happening::Watching { bucket, folder, files } => {
            json!({ "watching": { "bucket": bucket, "folder": folder, "files": files } })
        }
        Happening::WatchingQueue { queue, folder, messages } => {
            json!({ "watching_queue": { "queue": queue, "folder": folder, "messages": messages } })
        }
        Happening::Listening { url, file } => json!({ "listening": { "url": url, "file": file } }),
        Happening::MissingLocal { task_definition, snippet } => {
            json!({ "missing_local": { "task_definition": task_definition, "snippet": snippet } })
        }
        Happening::ConfigChanged(changes) => json!({ "config_changed": {
            "added": elements(&changes.added),
            "changed": elements(&changes.changed),
            "removed": elements(&changes.removed),
        } }),
        Happening::ConfigKept { reason } => json!({ "config_kept": { "reason": reason } }),
        Happening::Scheduled { route, next } => {
            json!({ "scheduled": { "route": route, "next": next.map(|next| next.to_string()) } })
        }
        Happening::Fired { route, scheduled_time, event_id } => {
            let time = scheduled_time.to_string();
            json!({ "fired": { "route": route, "scheduled_time": time, "event_id": event_id } })
        }
        Happening::Superseded { event_id, next } => {
            json!({ "superseded": { "event_id": event_id, "next": next.to_string() } })
        }
        Happening::Message { queue, message_id, receive_count } => {
            json!({ "message": { "queue": queue, "message_id": message_id, "receive_count": receive_count } })
        }
        Happening::MessageIgnored { message_id, reason } => {
            json!({ "message_ignored": { "message_id": message_id, "reason": reason } })
        }
        Happening::HeldBack { message_id } => json!({ "held_back": { "message_id": message_id } }),
        Happening::DeadLettered { queue, file } => json!({ "dead_lettered": { "queue": queue, "file": file } }),
        Happening::Object { detail_type, bucket, key, event_id } => {
            let object = json!({ "detail_type": detail_type, "bucket": bucket, "key": key, "event_id": event_id });
            json!({ "object": object })
        }
        Happening::Emitted { source, detail_type, event_id } => {
            json!({ "emitted": { "source": source, "detail_type": detail_type, "event_id": event_id } })
        }
        Happening::Ignored { event_id } => json!({ "ignored": { "event_id": event_id } }),
        Happening::EmptyList { event_id, routes } => {
            json!({ "empty_list": { "event_id": event_id, "routes": routes } })
        }
        Happening::Incomplete { bucket, key } => json!({ "incomplete": { "bucket": bucket, "key": key } }),
        Happening::Launched { about, task_name, task, start } => {
            let started = json!({ "task_name": task_name, "task": task, "start": of_start(*start) });
            of_launch("launched", Some(about), started)
        }
        Happening::Duplicate { about } => of_launch("duplicate", Some(about), json!({})),
        Happening::Skipped { about, reason } => of_launch("skipped", Some(about), json!({ "reason": reason })),
        Happening::Deferred { about, reason } => of_launch("deferred", Some(about), json!({ "reason": reason })),
        Happening::EventDeadLettered { about, reason } => {
            of_launch("event_dead_lettered", Some(about), json!({ "reason": reason }))
        }
        Happening::LetterClosed { about, file } => {
            of_launch("dead_letter_closed", Some(about), json!({ "file": file }))
        }
        Happening::LaunchRefused { about, reason } => of_launch("refused", Some(about), json!({ "reason": reason })),
        Happening::Refused { reason } => json!({ "refused": { "reason": reason } }),
        Happening::Requested { request, answer } => {
            let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
            match answer {
                Ok(answer) => json!({ "requested": { "request": value(request), "answer": value(answer) } }),
                Err(reason) => json!({ "requested": { "request": value(request), "error": reason } }),
            }
        }
        Happening::Scaling { worker, visible, in_flight, running, desired, reason, .. } => json!({ "scaling": {
            "worker": worker, "visible": visible, "in_flight": in_flight, "running": running, "desired": desired,
            "reason": reason,
        } }),
        Happening::Output { task, about, container, stream, line } => {
            let stream = if *stream == Stream::Stderr { "stderr" } else { "stdout" };
            let output = json!({ "task": task, "container": container, "stream": stream, "line": line });
            of_launch("output", about.as_ref(), output)
        }
        Happening::Stopped { task, about, containers, duration, ending, next } => {
            let exits: Vec<_> = containers
                .iter()
                .map(|exit| json!({ "container": exit.container, "exit_code": exit.code, "essential": exit.essential }))
                .collect();
            let mut stopped = json!({
                "task": task, "containers": exits, "duration_ms": duration.as_millis(), "ending": of_ending(*ending),
            });
            if let Next::Again { start, at } = next {
                stopped["next"] = json!({ "start": of_start(*start), "at": at.to_string() });
            }
            of_launch("stopped", about.as_ref(), stopped)
        }
        Happening::Stopping { tasks } => {
            let of_task = |(task, about): &(String, Option<About>)| with_about(about.as_ref(), json!({ "task": task }));
            json!({ "stopping": { "tasks": tasks.iter().map(of_task).collect::<Vec<_>>() } })
        }
    }
}

fn of_launch(kind: &str, about: Option<&About>, rest: Value) -> Value {
    json!({ kind: with_about(about, rest) })
}

/// Puts what a happening is about before the rest of it.
fn with_about(about: Option<&About>, rest: Value) -> Value {
    let mut fields = Map::new();
    if let Some(About { route, launch, attempt, event_id, subject }) = about {
        fields.insert("route".to_owned(), json!(route));
        fields.insert("launch".to_owned(), json!(launch.as_ref().map(ToString::to_string)));
        fields.insert("attempt".to_owned(), json!(attempt));
        fields.insert("event_id".to_owned(), json!(event_id));
        fields.insert("subject".to_owned(), json!(subject));
    }
    if let Value::Object(rest) = rest {
        fields.extend(rest);
    }
    Value::Object(fields)
}

fn of_start(start: Start) -> Value {
    json!({ "number": start.number, "max": start.max })
}

fn of_ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Succeeded => "succeeded",
        Ending::Failed => "failed",
        Ending::TimedOut => "timed_out",
        Ending::Stopped => "stopped",
        Ending::Replaced => "replaced",
    }
}

fn elements(elements: &[Element]) -> Vec<Value> {
    elements.iter().map(|element| json!({ "kind": element.kind, "name": element.name })).collect()
}
