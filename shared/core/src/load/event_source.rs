//! `on`: turns its keys into the event source of a route.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Loader;
use crate::config::route::{On, ScheduleState, Unmatched};
use crate::event::Queue;
use crate::pattern::Pattern;
use crate::pattern::lint::{lint, lint_message};
use crate::routing::{EventPattern, EventSource, MessageSource};
use crate::schedule::{ExpressionError, Schedule, ScheduleExpression, time_zone, time_zone_names};
use crate::text::diagnostic::{Diagnostic, hint};
use crate::text::values::Duration;
use crate::text::{Entry, Kind, Node, Spanned};

impl Loader<'_> {
    pub(super) fn event_source(&mut self, on: &Spanned<On>) -> Option<EventSource> {
        self.keys_of_other_sources(on);
        match (&on.schedule, &on.queue, &on.s3, &on.event_pattern) {
            (Some(expression), None, None, None) => self.schedule(on, expression).map(EventSource::Schedule),
            (None, Some(queue), s3, pattern) if s3.is_none() || pattern.is_none() => self.queue(on, queue),
            (None, None, Some(s3), None) => {
                let buckets = s3.bucket.0.iter().map(|bucket| bucket.0.clone()).collect();
                self.event_pattern(s3.event_pattern(on.span), buckets, lint).map(EventSource::Events)
            }
            (None, None, None, Some(pattern)) => {
                self.event_pattern(pattern.0.clone(), Vec::new(), lint).map(EventSource::Events)
            }
            _ => {
                if self.is_read_whole(on.span) {
                    let problem = Diagnostic::error(on.span, "`on` needs exactly one event source");
                    self.problems.push(problem.help(
                        "write one of `s3`, `event_pattern`, `schedule` and `queue`; only `queue` can be combined, \
                         with `s3` or `event_pattern`",
                    ));
                }
                None
            }
        }
    }

    /// Reports keys that do not belong to the route's event source.
    fn keys_of_other_sources(&mut self, on: &Spanned<On>) {
        let of_schedule = [
            ("timezone", on.timezone.is_some()),
            ("start", on.start.is_some()),
            ("end", on.end.is_some()),
            ("flexible_window", on.flexible_window.is_some()),
            ("state", on.state.is_some()),
            ("input", on.input.is_some()),
            ("catch_up", on.catch_up.is_some()),
        ];
        let of_schedule = of_schedule.map(|(key, given)| (key, given, "schedule", on.schedule.is_some()));
        let of_queue = [("unmatched", on.unmatched.is_some(), "queue", on.queue.is_some())];
        for (key, given, source, is_there) in of_schedule.into_iter().chain(of_queue) {
            if given && !is_there {
                let problem = Diagnostic::error(on.span, format!("`{key}` is only valid with `{source}`"));
                self.problems.push(problem.help(format!("remove `{key}`, or add `{source}: ...`")));
            }
        }
    }

    fn event_pattern(
        &mut self,
        node: Node,
        buckets: Vec<String>,
        lint: fn(&Node, &Pattern) -> Vec<Diagnostic>,
    ) -> Option<EventPattern> {
        match Pattern::parse(&node) {
            Ok(pattern) => {
                self.problems.extend(lint(&node, &pattern));
                Some(EventPattern { node, buckets, pattern })
            }
            Err(problems) => {
                let refused = |problem: Diagnostic| Diagnostic {
                    message: format!("EventBridge rejects this pattern: {}", problem.message),
                    ..problem
                };
                self.problems.extend(problems.into_iter().map(refused));
                None
            }
        }
    }

    fn queue(&mut self, on: &Spanned<On>, queue: &Spanned<String>) -> Option<EventSource> {
        let pattern = match (&on.s3, &on.event_pattern) {
            // In a message about an object, the S3 event is under `body`.
            (Some(s3), _) => {
                Some((below("body", s3.event_pattern(on.span)), s3.bucket.0.iter().map(|b| b.0.clone()).collect()))
            }
            (None, Some(pattern)) => Some((pattern.0.clone(), Vec::new())),
            (None, None) => None,
        };
        let pattern = match pattern {
            Some((node, buckets)) => Some(self.event_pattern(node, buckets, lint_message)?),
            None => None,
        };
        let written = queue.span;
        let queue = self.queue_named(queue)?;
        if queue.is_fifo() && on.s3.is_some() {
            let problem = Diagnostic::warning(written, "S3 cannot notify a FIFO queue");
            self.problems.push(problem.help(
                "use a standard queue; or let an EventBridge rule send the bucket's events to the queue, and write \
                 `event_pattern` instead of `s3`",
            ));
        }
        let unmatched = on.unmatched.unwrap_or(Unmatched::Ignore);
        Some(EventSource::Queue(MessageSource { queue, pattern, unmatched }))
    }

    pub(super) fn queue_named(&mut self, text: &Spanned<String>) -> Option<Queue> {
        let Some(queue) = Queue::parse(text) else {
            let problem =
                Diagnostic::error(text.span, format!("`{}` is not a valid queue name, ARN or URL", text.value));
            self.problems.push(problem.help(
                "write its name (at most 80 letters, digits, `-` and `_`; that of a FIFO queue ends in `.fifo`), its \
                 ARN or its URL",
            ));
            return None;
        };
        if !queue.has_legal_place() {
            let problem = Diagnostic::error(text.span, format!("`{}` has no valid Region and account id", text.value));
            self.problems.push(problem.help("write an account id of 12 digits, or only the queue's name"));
        }
        Some(queue)
    }

    pub(super) fn timezone(&mut self, name: Option<&Spanned<String>>) -> Option<TimeZone> {
        let Some(name) = name else { return Some(TimeZone::UTC) };
        let zone = time_zone(name);
        if zone.is_none() {
            let names = time_zone_names();
            let abbreviated = ABBREVIATIONS.into_iter().find(|(short, _)| short.eq_ignore_ascii_case(name));
            let (hint, help) = match abbreviated {
                Some((_, zones)) => (String::new(), format!("write the IANA name {zones}")),
                None => (
                    hint(name, names.iter().map(String::as_str)),
                    "write an IANA name such as `Europe/Berlin`, or `UTC`".to_owned(),
                ),
            };
            let problem = Diagnostic::error(name.span, format!("unknown time zone `{}`{hint}", name.value));
            self.problems.push(problem.help(help));
        }
        if let Some((short, zone)) = WITHOUT_SUMMER_TIME.into_iter().find(|(short, _)| *short == name.as_str()) {
            let problem = Diagnostic::warning(name.span, format!("`{short}` has no daylight saving time"));
            self.problems.push(problem.help(format!("write `{zone}` for the local time there")));
        }
        zone
    }

    pub(super) fn expression(
        &mut self,
        text: &Spanned<String>,
        parsed: Result<ScheduleExpression, ExpressionError>,
    ) -> Option<ScheduleExpression> {
        let report = |error: ExpressionError| {
            let span = self.source.place_within(text.span, text, error.part);
            self.problems.push(Diagnostic::error(span, error.message).help(error.help));
        };
        parsed.map_err(report).ok()
    }

    fn schedule(&mut self, on: &On, text: &Spanned<String>) -> Option<Schedule> {
        let timezone = self.timezone(on.timezone.as_ref());
        let expression = self.expression(text, ScheduleExpression::parse(text));
        if let (Some(_), Some(doubt)) = (&expression, ScheduleExpression::doubt(text)) {
            let span = self.source.place_within(text.span, text, doubt.part);
            self.problems.push(Diagnostic::warning(span, doubt.message).help(doubt.help));
        }
        let window = on.flexible_window.as_ref().and_then(|window| self.window_minutes(window));
        let timezone = timezone?;
        let start = on.start.as_ref().and_then(|time| self.time(time, &timezone));
        let end = on.end.as_ref().and_then(|time| self.time(time, &timezone));
        if let (Some(start), Some(end), Some(text)) = (start, end, &on.end)
            && end <= start
        {
            let problem = Diagnostic::error(text.span, "the schedule ends before it starts");
            self.problems.push(problem.help("write an `end` that is later than `start`"));
        }
        let schedule = Schedule {
            expression: expression?,
            text: text.value.clone(),
            timezone,
            start,
            end,
            flexible_window_minutes: window,
            enabled: on.state != Some(ScheduleState::Disabled),
            input: on.input.as_ref().map(|input| input.0.clone()),
            catch_up: on.catch_up,
        };
        let is_reversed = matches!((start, end), (Some(start), Some(end)) if end <= start);
        if !is_reversed && schedule.next_after(Timestamp::MIN, Timestamp::UNIX_EPOCH).is_none() {
            let problem = Diagnostic::error(text.span, "this schedule never fires");
            let help = "write a time that exists in its time zone, between its `start` and `end`";
            self.problems.push(problem.help(help));
        }
        Some(schedule)
    }

    fn window_minutes(&mut self, window: &Spanned<Duration>) -> Option<u32> {
        let seconds = window.0.as_secs();
        let minutes = u32::try_from(seconds / 60).ok().filter(|minutes| (1..=1440).contains(minutes));
        if minutes.is_none() || !seconds.is_multiple_of(60) {
            let problem =
                Diagnostic::error(window.span, "`flexible_window` must be 1 minute to 24 hours, in whole minutes");
            self.problems.push(problem.help("write for example `15m`"));
        }
        minutes
    }

    /// Parses a time with an offset, or a time in the schedule's time zone.
    fn time(&mut self, text: &Spanned<String>, timezone: &TimeZone) -> Option<Timestamp> {
        let local = || text.parse::<DateTime>().ok()?.to_zoned(timezone.clone()).ok().map(|zoned| zoned.timestamp());
        let time = text.parse::<Timestamp>().ok().or_else(local);
        if time.is_none() {
            let problem = Diagnostic::error(text.span, format!("`{}` is not a valid time", text.value));
            self.problems.push(
                problem.help(
                    "write for example `2026-12-01T00:00:00`, in the schedule's time zone or with an offset or `Z`",
                ),
            );
        }
        time
    }
}

/// Abbreviations that are not IANA names, and the names that they may mean.
const ABBREVIATIONS: [(&str, &str); 20] = [
    ("KST", "`Asia/Seoul`"),
    ("JST", "`Asia/Tokyo`"),
    ("IST", "`Asia/Kolkata` (India), `Europe/Dublin` or `Asia/Jerusalem`"),
    ("SGT", "`Asia/Singapore`"),
    ("HKT", "`Asia/Hong_Kong`"),
    ("PHT", "`Asia/Manila`"),
    ("WIB", "`Asia/Jakarta`"),
    ("ICT", "`Asia/Bangkok`"),
    ("CST", "`America/Chicago` or `Asia/Shanghai`"),
    ("CDT", "`America/Chicago`"),
    ("EDT", "`America/New_York`"),
    ("MDT", "`America/Denver`"),
    ("PST", "`America/Los_Angeles`"),
    ("PDT", "`America/Los_Angeles`"),
    ("BRT", "`America/Sao_Paulo`"),
    ("BST", "`Europe/London`"),
    ("CEST", "`Europe/Berlin`"),
    ("EEST", "`Europe/Athens`"),
    ("AEST", "`Australia/Sydney`, or `Australia/Brisbane` without daylight saving time"),
    ("AEDT", "`Australia/Sydney`"),
];

/// IANA names of a fixed offset, and the place that they make think of, whose clocks change.
const WITHOUT_SUMMER_TIME: [(&str, &str); 2] = [("EST", "America/New_York"), ("MST", "America/Denver")];

/// Returns the pattern nested under a key.
fn below(key: &str, pattern: Node) -> Node {
    let entry = Entry { key: Spanned { span: pattern.span, value: key.to_owned() }, value: pattern.clone() };
    Node { span: pattern.span, kind: Kind::Object(vec![entry]) }
}
