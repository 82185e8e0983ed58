//! The steps of a launch. All tests use [`Story`]; the simulation covers crashes and duplicates.

use jiff::{SignedDuration, Timestamp};

use super::{Answer, NotRendered, Protocol, SeenTask, Step, TaskStatus};
use crate::ecs::{ContainerExit, StoppedTask};
use crate::event::Event;
use crate::launch::{LaunchRecord, Outcome, Reply, Slot, Slots};
use crate::plan::Plan;
use crate::routing::RoutingConfig;
use crate::text::Source;

/// A launch of one route, driven step by step.
struct Story {
    protocol: Protocol,
    now: Timestamp,
}

impl Story {
    /// Plans a launch: `task` and `route` are further settings of its task and its route.
    fn of(task: &str, route: &str) -> Self {
        let config = format!(
            "version: 1\nstorage: {{ bucket: state }}\ntasks: {{ t: {{ task_definition: t, {task} }} }}\nroutes: [{{ name: r, on: {{ event_pattern: {{ source: [app] }} }}, run: t, {route} }}]\n"
        );
        let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
        let event = r#"{"id":"e","source":"app","detail-type":"t","account":"1","time":"2026-01-01T00:00:00Z","region":"r","detail":{}}"#;
        let event = Event::decode(event).expect("is an event");
        let planned = Plan::new(&config, &event).expect("can be planned").launches.remove(0);
        let now = "2026-01-01T00:00:00Z".parse().expect("is a time");
        Self { protocol: Protocol::begin(planned.record(&event, None, None, now)), now }
    }

    /// Returns the next step after all writes.
    fn next(&mut self) -> String {
        loop {
            match self.protocol.next(self.now) {
                Step::Write => self.protocol.written(self.now + SignedDuration::from_hours(1)),
                Step::RunTask(request) => {
                    return format!("RunTask as {}", self.number(&request.client_token));
                }
                Step::Wait(until) => return format!("wait {}", until.duration_since(self.now)),
                Step::DeadLetter(letter) => return format!("dead letter: {}", letter.reason),
                step => return format!("{step:?}"),
            }
        }
    }

    /// Names the attempt that has this token.
    fn number(&self, token: &str) -> String {
        let attempts = &self.protocol.record().attempts;
        let number = attempts.iter().position(|attempt| attempt.client_token == token);
        number.map_or_else(|| "?".to_owned(), |number| format!("attempt {number}"))
    }

    fn hear(&mut self, answer: Answer) -> String {
        self.protocol.hear(answer, self.now);
        self.next()
    }

    fn replied(&mut self, started: usize, failed: usize) -> String {
        let attempt = self.protocol.record().open_attempt().expect("is asked for");
        let failure = crate::launch::Failure { arn: None, reason: "RESOURCE:CPU".to_owned(), detail: None };
        let before = self.protocol.record().tasks.len();
        let reply = Reply::Tasks {
            task_arns: (before..before + started).map(|number| format!("arn:{number}")).collect(),
            failures: vec![failure; failed],
        };
        self.hear(Answer::Replied { attempt, reply, anew: Ok(None) })
    }

    fn stopped(&mut self, arn: &str, code: &str, exit_code: i32) -> String {
        let containers = vec![ContainerExit { name: "app".to_owned(), exit_code: Some(exit_code), reason: None }];
        let stopped = StoppedTask { stop_code: Some(code.to_owned()), containers, ..StoppedTask::default() };
        let seen = SeenTask { arn: arn.to_owned(), attempt: Some(0), status: TaskStatus::Stopped(stopped) };
        self.hear(Answer::Seen(vec![seen]))
    }

    fn pass(&mut self, minutes: i64) -> String {
        self.now += SignedDuration::from_mins(minutes);
        self.next()
    }

    fn slot(&self) -> (Option<Slot>, Option<u64>) {
        (self.protocol.record().slot, self.protocol.record().ticket)
    }

    fn wake(&self) -> String {
        let wake = self.protocol.wake(self.now);
        wake.map_or_else(|| "never".to_owned(), |wake| wake.duration_since(self.now).to_string())
    }

    fn outcome(&self) -> Option<Outcome> {
        self.protocol.record().ended.as_ref().map(|ended| ended.outcome.clone())
    }
}

const EXITED: &str = "EssentialContainerExited";

#[test]
fn a_task_is_started_runs_and_is_done() {
    let mut story = Story::of("", "");
    assert_eq!(story.next(), "RunTask as attempt 0");
    assert_eq!(story.replied(1, 0), "wait PT20M");
    assert_eq!(story.stopped("arn:0", EXITED, 0), "Done");
    assert_eq!(story.outcome(), Some(Outcome::Succeeded));
    assert_eq!(story.stopped("arn:0", EXITED, 1), "Done", "an ended launch does not change");
}

#[test]
fn a_task_that_finds_no_capacity_is_asked_for_on_the_next_rung() {
    let ladder = "network: { subnets: [s] }, capacity: [{ launch_type: FARGATE }, { launch_type: EC2 }]";
    let mut story = Story::of(ladder, "");
    assert_eq!(story.next(), "RunTask as attempt 0");
    assert_eq!(story.replied(0, 1), "RunTask as attempt 1");
    assert_eq!(story.replied(0, 1), "wait PT1M", "it waits after the last rung");
    assert_eq!(story.pass(1), "RunTask as attempt 2");
    assert_eq!(story.protocol.record().attempts[2].rung, 0, "it starts over with the first rung");
    assert_eq!(story.replied(1, 0), "wait PT20M");
}

#[test]
fn a_task_that_is_refused_for_good_is_asked_for_as_a_later_config_renders_it() {
    let refused = |attempt, anew| {
        let (code, message) = ("AccessDeniedException".to_owned(), "no".to_owned());
        let reply = Reply::Error { code, message, resource_ids: Vec::new(), of_server: false };
        Answer::Replied { attempt, reply, anew }
    };
    let mut story = Story::of("", "");
    story.next();
    let mut later = story.protocol.record().rendered.clone();
    later.request.task_definition = "later".to_owned();
    assert_eq!(story.hear(refused(0, Ok(Some(Box::new(later.clone()))))), "RunTask as attempt 1");
    let record = story.protocol.record();
    let asked = record.request_of(1, &record.attempts[1]).task_definition;
    assert_eq!((asked.as_str(), record.anew_from), ("later", Some(1)));
    let step = story.hear(refused(1, Err(NotRendered::ForGood("the config in force has no route `r`".to_owned()))));
    assert!(
        step.starts_with("dead letter: AccessDeniedException: no; the task cannot be rendered anew: the"),
        "{step}"
    );

    let mut story = Story::of("", "");
    story.next();
    assert_eq!(story.hear(refused(0, Err(NotRendered::ForNow("the event cannot be read".to_owned())))), "wait PT1S");

    let mut story = Story::of("", "");
    story.next();
    assert_eq!(story.hear(refused(0, Ok(None))), "dead letter: AccessDeniedException: no");
    story.hear(Answer::DeadLettered);
    assert!(story.protocol.can_reopen(0) && !story.protocol.can_reopen(1));
    story.protocol.reopen(Some(&later));
    assert_eq!(story.next(), "RunTask as attempt 1");
    assert_eq!(story.protocol.record().rendered, later);
    story.hear(refused(1, Ok(None)));
    story.hear(Answer::DeadLettered);
    assert!(story.protocol.can_reopen(1) && !story.protocol.can_reopen(0), "the first letter is an old one");
}

#[test]
fn a_launch_that_waits_for_long_looks_less_often() {
    let mut story = Story::of("", "concurrency: { max: 1 }");
    story.next();
    story.hear(Answer::Ticket(7));
    assert_eq!(story.hear(Answer::Slots(Slots::Waiting)), "wait PT10M");
    assert_eq!(story.pass(25), "wait PT25M");
    assert_eq!(story.pass(300), "wait PT1H");
}

#[test]
fn capacity_is_waited_for_a_day() {
    let mut story = Story::of("", "");
    story.next();
    for _ in 0..200 {
        let step = story.replied(0, 1);
        if step.starts_with("dead letter") {
            assert!(step.starts_with("dead letter: ECS has had no capacity since 2026-01-01T00:00:00Z"), "{step}");
            assert!(story.now >= "2026-01-02T00:00:00Z".parse().expect("is a time"));
            return;
        }
        assert!(story.pass(15).starts_with("RunTask"));
    }
    panic!("it never gave up");
}

#[test]
fn a_token_in_doubt_is_not_used_when_ecs_may_have_forgotten_it() {
    let mut story = Story::of("", "");
    story.next();
    let nothing = || {
        let reply = Reply::Nothing { message: "timeout".to_owned() };
        Answer::Replied { attempt: 0, reply, anew: Ok(None) }
    };
    assert_eq!(story.hear(nothing()), "wait PT1S");
    assert_eq!(story.pass(30), "RunTask as attempt 0");
    assert_eq!(story.hear(nothing()), "wait PT2S");
    assert_eq!(story.pass(11), "wait PT4M", "ECS must list what the last call started");
    assert!(story.pass(4).starts_with("FindTasks"));
    let found = Answer::Found { attempt: 0, task_arns: vec!["arn:0".to_owned()] };
    assert_eq!(story.hear(found), "wait PT20M");
}

#[test]
fn what_stays_in_doubt_is_dead_lettered() {
    let mut story = Story::of("", "");
    story.next();
    story.pass(45);
    let step = story.hear(Answer::Found { attempt: 0, task_arns: Vec::new() });
    assert!(step.starts_with("dead letter: it is unknown whether attempt 0"), "{step}");
    assert_eq!(story.hear(Answer::DeadLettered), "Done");
}

#[test]
fn a_task_that_stopped_before_the_reply_was_recorded_is_known_by_its_starter() {
    let mut story = Story::of("", "");
    story.next();
    assert_eq!(story.stopped("arn:7", EXITED, 0), "Done");
    assert_eq!(story.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn a_failed_task_is_started_again_as_often_as_may_be_then_dead_lettered() {
    let mut story = Story::of("retry: { attempts: 3, on: [{ exit_code: [75] }], backoff: 1m }", "");
    story.next();
    story.replied(1, 0);
    assert_eq!(story.stopped("arn:0", EXITED, 75), "wait PT1M");
    assert_eq!(story.pass(1), "RunTask as attempt 1");
    story.replied(1, 0);
    assert_eq!(story.stopped("arn:1", EXITED, 75), "wait PT2M", "twice as long");
    assert_eq!(story.pass(2), "RunTask as attempt 2");
    story.replied(1, 0);
    assert_eq!(
        story.stopped("arn:2", EXITED, 75),
        "dead letter: the task arn:2: EssentialContainerExited; app: exit code 75"
    );
}

#[test]
fn a_failure_that_is_not_named_is_dead_lettered_at_once() {
    let mut story = Story::of("retry: { attempts: 3, on: spot_interruption }", "");
    story.next();
    story.replied(1, 0);
    assert_eq!(
        story.stopped("arn:0", EXITED, 1),
        "dead letter: the task arn:0: EssentialContainerExited; app: exit code 1"
    );
}

#[test]
fn a_task_that_runs_too_long_is_stopped_and_has_failed() {
    let mut story = Story::of("timeout: 10m", "");
    story.next();
    assert_eq!(story.replied(1, 0), "wait PT10M");
    assert_eq!(story.pass(10), r#"StopTasks(["arn:0"], Timeout)"#);
    assert_eq!(story.hear(Answer::StopAsked(vec!["arn:0".to_owned()])), "wait PT3M");
    assert!(story.stopped("arn:0", "UserInitiated", 137).starts_with("dead letter: the task arn:0: UserInitiated"));
}

#[test]
fn a_launch_stands_in_line_holds_its_slots_and_releases_them_when_its_last_task_has_stopped() {
    let mut story = Story::of("", "concurrency: { max: 1 }");
    assert_eq!(story.next(), "DrawTicket");
    assert_eq!(story.hear(Answer::Ticket(7)), "TakeSlots");
    assert_eq!(story.slot(), (Some(Slot::Waiting), Some(7)));
    assert_eq!(story.hear(Answer::Slots(Slots::Waiting)), "wait PT10M");
    assert_eq!(story.hear(Answer::Slots(Slots::Free)), "RunTask as attempt 0");
    assert_eq!(story.slot(), (Some(Slot::Held), Some(7)));
    story.replied(1, 0);
    assert_eq!(story.stopped("arn:0", EXITED, 0), "Done");
    assert_eq!(story.slot(), (Some(Slot::Released), Some(7)));
}

#[test]
fn a_launch_whose_slots_are_gone_looks_again() {
    let mut story = Story::of("", "concurrency: { max: 1 }");
    story.next();
    story.hear(Answer::Ticket(0));
    let stored = story.protocol.record().clone();
    story.protocol.hear(Answer::Slots(Slots::Free), story.now);
    story.protocol.without_slots(stored);
    assert_eq!(story.next(), "TakeSlots");
    assert!(story.protocol.record().attempts.is_empty());
}

#[test]
fn a_launch_that_skips_has_no_place_in_line() {
    let mut story = Story::of("", "concurrency: { max: 1, when_full: skip }");
    assert_eq!(story.next(), "TakeSlots");
    assert_eq!(story.hear(Answer::Slots(Slots::Full)), "Done");
    assert_eq!(story.outcome(), Some(Outcome::Skipped(crate::launch::Skipped::Full)));
}

#[test]
fn a_launch_that_waits_gives_way_to_a_later_one_and_one_that_runs_does_not() {
    let mut story = Story::of("", "concurrency: { max: 1, when_full: replace }");
    story.next();
    story.hear(Answer::Ticket(0));
    assert_eq!(story.hear(Answer::Superseded), "Done");
    assert_eq!(story.outcome(), Some(Outcome::Skipped(crate::launch::Skipped::Superseded)));
    assert_eq!(story.slot().0, Some(Slot::Released));
    let mut story = Story::of("", "concurrency: { max: 1, when_full: replace }");
    story.next();
    story.hear(Answer::Ticket(0));
    story.hear(Answer::Slots(Slots::Free));
    story.replied(1, 0);
    assert_eq!(story.hear(Answer::Superseded), "wait PT20M");
}

#[test]
fn a_launch_wakes_for_its_next_call_and_for_its_timeout() {
    let mut story = Story::of("timeout: 90s, retry: { attempts: 2, backoff: 10s }", "");
    assert_eq!(story.wake(), "PT0S", "it is to be started");
    story.next();
    assert_eq!(story.wake(), "never", "its call is under way");
    story.replied(1, 0);
    assert_eq!(story.wake(), "PT1M30S");
    story.stopped("arn:0", EXITED, 1);
    assert_eq!(story.wake(), "PT10S");
}

#[test]
fn a_launch_that_is_replaced_stops_its_tasks_and_starts_no_more() {
    let mut story = Story::of("", "concurrency: { max: 1, when_full: replace }");
    story.next();
    story.hear(Answer::Ticket(0));
    story.hear(Answer::Slots(Slots::Free));
    story.replied(1, 0);
    assert_eq!(story.hear(Answer::Replaced), r#"StopTasks(["arn:0"], Replaced)"#);
    story.hear(Answer::StopAsked(vec!["arn:0".to_owned()]));
    assert_eq!(story.stopped("arn:0", "UserInitiated", 137), "Done");
    assert_eq!(story.outcome(), Some(Outcome::Replaced));
}

#[test]
fn a_launch_that_is_cancelled_stops_its_task_and_is_not_retried() {
    let mut story = Story::of("retry: { attempts: 3, on: [any] }", "");
    story.next();
    story.replied(1, 0);
    assert_eq!(story.hear(Answer::Cancelled), r#"StopTasks(["arn:0"], Cancelled)"#);
    story.hear(Answer::StopAsked(vec!["arn:0".to_owned()]));
    assert_eq!(story.stopped("arn:0", "UserInitiated", 137), "Done");
    assert_eq!(story.outcome(), Some(Outcome::Cancelled));
}

#[test]
fn a_launch_that_is_cancelled_before_ecs_accepts_its_call_makes_no_further_one() {
    let mut story = Story::of("", "");
    story.next();
    let busy = Reply::Error {
        code: "ThrottlingException".to_owned(),
        message: "Rate exceeded".to_owned(),
        resource_ids: Vec::new(),
        of_server: false,
    };
    assert_eq!(story.hear(Answer::Replied { attempt: 0, reply: busy, anew: Ok(None) }), "wait PT1S");
    assert_eq!(story.hear(Answer::Cancelled), "Done");
    assert_eq!(story.outcome(), Some(Outcome::Cancelled));
}

#[test]
fn a_launch_that_is_cancelled_while_its_retry_waits_is_no_failure() {
    let mut story = Story::of("retry: { attempts: 3, on: [any], backoff: 10m }", "");
    story.next();
    story.replied(1, 0);
    story.stopped("arn:0", EXITED, 1);
    assert_eq!(story.hear(Answer::Cancelled), "Done");
    assert_eq!(story.outcome(), Some(Outcome::Cancelled));
}

#[test]
fn a_launch_that_has_ended_in_any_way_can_be_started_again() {
    let mut story = Story::of("", "");
    story.next();
    story.replied(1, 0);
    story.stopped("arn:0", EXITED, 0);
    assert_eq!(story.outcome(), Some(Outcome::Succeeded));
    story.protocol.start_again(None);
    let again = story.next();
    assert_eq!(again, "RunTask as attempt 1");
    assert!(!story.protocol.can_reopen(0), "an older letter starts nothing more");
}

#[test]
fn a_task_that_ecs_knows_no_more_is_never_started_again() {
    let mut story = Story::of("retry: { attempts: 3 }", "");
    story.next();
    story.replied(1, 0);
    story.now += SignedDuration::from_mins(5);
    let missing =
        || Answer::Seen(vec![SeenTask { arn: "arn:0".to_owned(), attempt: None, status: TaskStatus::Missing }]);
    assert_eq!(story.hear(missing()), "wait PT20M", "ECS may not list it yet");
    story.now += SignedDuration::from_mins(60);
    assert!(story.hear(missing()).starts_with("dead letter: the task arn:0: ECS no longer knows the task"));
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let mut story =
        Story::of("timeout: 1h, retry: { attempts: 2, on: [any, { exit_code: 3 }] }", "concurrency: { max: 2 }");
    story.next();
    story.hear(Answer::Ticket(0));
    story.hear(Answer::Slots(Slots::Free));
    story.replied(1, 0);
    let record = story.protocol.record();
    assert_eq!(LaunchRecord::parse(&record.to_json()).expect("can be read"), *record);
}

#[test]
fn a_dead_letter_that_is_sent_again_has_a_day_for_capacity_and_all_its_retries() {
    let mut story = Story::of("retry: { attempts: 2, backoff: 1m }", "");
    story.next();
    story.replied(1, 0);
    story.stopped("arn:0", EXITED, 1);
    story.pass(1);
    story.replied(1, 0);
    assert!(story.stopped("arn:1", EXITED, 1).starts_with("dead letter"));
    story.hear(Answer::DeadLettered);
    let mut again = Story { protocol: Protocol::resume(story.protocol.record().clone()), now: story.now };
    again.now += SignedDuration::from_hours(48);
    again.protocol.reopen(None);
    assert_eq!(again.next(), "RunTask as attempt 2");
    assert_eq!(again.replied(0, 1), "wait PT1M", "the wait for capacity starts over");
    assert_eq!(again.pass(1), "RunTask as attempt 3");
    again.replied(1, 0);
    assert_eq!(again.stopped("arn:2", EXITED, 1), "wait PT1M", "the retries start over");
}

impl Story {
    /// The task of an attempt did not start, for this reason.
    fn never_started(&mut self, arn: &str, attempt: u32, reason: &str) -> String {
        let stopped = StoppedTask {
            stop_code: Some("TaskFailedToStart".to_owned()),
            stopped_reason: Some(reason.to_owned()),
            ..StoppedTask::default()
        };
        let seen = SeenTask { arn: arn.to_owned(), attempt: Some(attempt), status: TaskStatus::Stopped(stopped) };
        self.hear(Answer::Seen(vec![seen]))
    }
}

#[test]
fn a_task_that_never_started_is_started_again_a_few_times_without_a_retry() {
    let mut story = Story::of("", "");
    story.next();
    story.replied(1, 0);
    for number in 0..4 {
        let step =
            story.never_started(&format!("arn:{number}"), number, "Timeout waiting for network interface provisioning");
        assert!(step.starts_with("wait"), "{step}");
        assert_eq!(story.pass(60), format!("RunTask as attempt {}", number + 1));
        story.replied(1, 0);
    }
    let step = story.never_started("arn:4", 4, "Timeout waiting for network interface provisioning");
    assert!(step.starts_with("dead letter: the task arn:4: TaskFailedToStart"), "{step}");
}

#[test]
fn an_image_that_does_not_exist_is_dead_lettered_at_once() {
    let mut story = Story::of("", "");
    story.next();
    story.replied(1, 0);
    let reason = "CannotPullContainerError: failed to resolve ref registry.example/app:nope: not found";
    let step = story.never_started("arn:0", 0, reason);
    assert!(step.starts_with("dead letter: the task arn:0: TaskFailedToStart"), "{step}");
}

#[test]
fn a_task_that_stopped_for_lack_of_capacity_is_started_on_the_next_rung() {
    let ladder = "network: { subnets: [s] }, capacity: [{ launch_type: FARGATE }, { launch_type: EC2 }]";
    for reason in ["TaskFailedToStart: EMPTY CAPACITY PROVIDER", "RESOURCE:MEMORY", "AGENT"] {
        let mut story = Story::of(ladder, "");
        story.next();
        story.replied(1, 0);
        story.never_started("arn:0", 0, reason);
        assert_eq!(story.pass(1), "RunTask as attempt 1");
        assert_eq!(story.protocol.record().attempts[1].rung, 1, "{reason}");
    }
}

#[test]
fn constraints_that_no_instance_meets_end_with_their_remedy_after_the_last_rung() {
    let mut story = Story::of("", "");
    story.next();
    let failure = crate::launch::Failure { arn: None, reason: "ATTRIBUTE".to_owned(), detail: None };
    let reply = Reply::Tasks { task_arns: Vec::new(), failures: vec![failure] };
    let step = story.hear(Answer::Replied { attempt: 0, reply, anew: Ok(None) });
    assert!(step.starts_with("dead letter: ECS could not start all tasks: ATTRIBUTE; waiting does not help"), "{step}");
}

#[test]
fn a_task_of_which_a_container_ran_is_not_started_again_without_a_retry() {
    let mut story = Story::of("", "");
    story.next();
    story.replied(1, 0);
    let step = story.stopped("arn:0", "TaskFailedToStart", 0);
    assert!(step.starts_with("dead letter: the task arn:0: TaskFailedToStart"), "{step}");
}
