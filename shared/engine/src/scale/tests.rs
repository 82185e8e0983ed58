//! Scaling against a scripted world. All tests use [`check`].

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use trigger_core::ecs::TaskRequest;
use trigger_core::event::Queue;
use trigger_core::launch::{Failure, Pace, Reply, SeenTask};
use trigger_core::routing::RoutingConfig;
use trigger_core::scaling::Minute;
use trigger_core::text::Source;

use super::{Scaler, ScalingPorts};
use crate::ports::{Clock, Depth, Launcher, Queues, ServiceCounts, TasksOf, Unanswered, WorkerTask, Workers};

/// Queues, services and tasks, and a log of the calls to them.
#[derive(Default)]
struct World {
    queues: BTreeMap<&'static str, Depth>,
    services: BTreeMap<&'static str, ServiceCounts>,
    tasks: Mutex<Vec<WorkerTask>>,
    protected: Option<u32>,
    /// The names of calls that are refused.
    refuses: Vec<&'static str>,
    /// RunTask's replies, one after the other. When they are used up, it starts every task.
    replies: Mutex<Vec<Reply>>,
    /// Whether started tasks are not listed at first.
    lists_late: bool,
    hangs: bool,
    asked: Mutex<Vec<String>>,
    now: Mutex<Timestamp>,
    pace: Mutex<Pace>,
}

impl World {
    fn note(&self, what: String) {
        self.asked.lock().expect("not poisoned").push(what);
    }

    fn refuse<T>(&self, call: &str, answer: T) -> Result<T, Unanswered> {
        if self.refuses.contains(&call) { Err(Unanswered(format!("{call}: refused"))) } else { Ok(answer) }
    }
}

impl ScalingPorts for World {
    fn launcher(&self) -> &impl Launcher {
        self
    }

    fn queues(&self) -> &impl Queues {
        self
    }

    fn workers(&self) -> &impl Workers {
        self
    }

    fn clock(&self) -> &impl Clock {
        self
    }

    fn pace(&self) -> &Mutex<Pace> {
        &self.pace
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        *self.now.lock().expect("not poisoned")
    }

    async fn sleep(&self, duration: Duration) {
        // A timeout ends only in a world that hangs.
        if duration < super::LOOK_MAX || self.hangs {
            return;
        }
        std::future::pending().await
    }
}

impl Launcher for World {
    async fn run_task(&self, request: &TaskRequest) -> Reply {
        let provider = request.capacity_provider_strategy.first().map(|item| item.capacity_provider.as_str());
        self.note(format!("run {} on {}", request.count.unwrap_or(1), provider.unwrap_or("default")));
        let mut replies = self.replies.lock().expect("not poisoned");
        if !replies.is_empty() {
            return replies.remove(0);
        }
        let mut tasks = self.tasks.lock().expect("not poisoned");
        let first = tasks.len();
        let task_arns: Vec<String> =
            (0..request.count.unwrap_or(1) as usize).map(|task| format!("arn:{}", first + task)).collect();
        if !self.lists_late {
            tasks.extend(task_arns.iter().map(|arn| WorkerTask {
                arn: arn.clone(),
                is_running: false,
                start_delay: None,
            }));
        }
        Reply::Tasks { task_arns, failures: Vec::new() }
    }

    async fn stop_task(&self, _: Option<&str>, _: &str, _: &str) -> Result<(), Unanswered> {
        Ok(())
    }

    async fn describe_tasks(&self, _: Option<&str>, _: &[String]) -> Result<Vec<SeenTask>, Unanswered> {
        Ok(Vec::new())
    }

    async fn find_tasks(&self, _: Option<&str>, _: &str) -> Result<Vec<String>, Unanswered> {
        Ok(Vec::new())
    }
}

impl Queues for World {
    async fn depth(&self, queue: &Queue) -> Result<Depth, Unanswered> {
        if self.hangs && queue.name == "hanging" {
            std::future::pending::<()>().await;
        }
        self.queues.get(queue.name.as_str()).copied().ok_or_else(|| Unanswered(format!("no queue {}", queue.name)))
    }

    async fn minutes(
        &self,
        _: &[Queue],
        after: Timestamp,
        now: Timestamp,
    ) -> Result<(Vec<Minute>, Timestamp), Unanswered> {
        self.note(format!("metrics of {} s", now.duration_since(after).as_secs()));
        Ok((Vec::new(), now))
    }
}

impl Workers for World {
    async fn services(
        &self,
        cluster: Option<&str>,
        names: &[String],
    ) -> Result<Vec<Result<ServiceCounts, Unanswered>>, Unanswered> {
        self.note(format!("services {} of {}", names.join(" "), cluster.unwrap_or("default")));
        let of_name = |name: &String| {
            self.services.get(name.as_str()).copied().ok_or_else(|| Unanswered(format!("no service {name}")))
        };
        self.refuse("services", names.iter().map(of_name).collect())
    }

    async fn set_desired(&self, _: Option<&str>, service: &str, count: u32) -> Result<(), Unanswered> {
        self.note(format!("set {service} to {count}"));
        self.refuse("set", ())
    }

    async fn protected(&self, _: Option<&str>, service: &str) -> Result<u32, Unanswered> {
        self.note(format!("protection of {service}"));
        self.protected.ok_or_else(|| Unanswered("protection: refused".to_owned()))
    }

    async fn tasks(&self, _: Option<&str>, of: TasksOf<'_>) -> Result<Vec<WorkerTask>, Unanswered> {
        self.note(format!("tasks of {of:?}"));
        self.refuse("tasks", self.tasks.lock().expect("not poisoned").clone())
    }
}

const SERVICE: &str = "version: 1\nworkers:\n  - { service: a, queue: q, scaling: { max: 9, acceptable_latency: 60s, tick: 10s, scale_in_hold: 10s, msg_processing_time: 5s } }\n";
const TASK: &str = "
version: 1
tasks:
  w:
    task_definition: w
    network: { subnets: [subnet-1] }
    capacity:
      - capacity_provider_strategy: [{ capacity_provider: FARGATE_SPOT, weight: 1 }]
      - capacity_provider_strategy: [{ capacity_provider: FARGATE, weight: 1 }]
workers:
  - { run: w, queue: q, scaling: { max: 25, acceptable_latency: 60s, tick: 10s, msg_processing_time: 5s } }
";

/// Ticks `ticks` times, ten seconds apart, and compares the calls and the reports with `expected`.
async fn check(config: &str, mut world: World, ticks: usize, expected: Expect) {
    let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
    let mut scaler = Scaler::default();
    let mut said = Vec::new();
    for tick in 0..ticks {
        world.now = Mutex::new(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + tick as i64 * 10));
        for report in scaler.tick(&config, &world).await {
            said.append(&mut world.asked.lock().expect("not poisoned"));
            said.push(format!("  {}: {}", report.worker, report.decision.reason));
            said.extend(report.problems.iter().map(|problem| format!("  ! {problem}")));
        }
    }
    expected.assert_eq(&said.join("\n"));
}

fn depth(visible: u64, in_flight: u64) -> Depth {
    Depth { visible, in_flight, delayed: 0 }
}

fn counts(running: u32, desired: u32) -> ServiceCounts {
    ServiceCounts { running, pending: 0, desired, deployment_in_progress: false }
}

#[tokio::test]
async fn a_service_is_set_to_what_its_queue_needs() {
    let world =
        World { queues: [("q", depth(30, 0))].into(), services: [("a", counts(0, 0))].into(), ..World::default() };
    check(
        SERVICE,
        world,
        1,
        expect![[r#"
        services a of default
        metrics of 480 s
        set a to 5
          a: scale out from 0 to 5"#]],
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_read_changes_nothing_for_that_worker_alone() {
    let config = format!(
        "{SERVICE}  - {{ service: b, queue: p, scaling: {{ max: 9, acceptable_latency: 60s, tick: 10s, scale_in_hold: 10s, msg_processing_time: 5s }} }}\n  - {{ service: c, queue: q, name: c, scaling: {{ max: 9, acceptable_latency: 60s, msg_processing_time: 5s }} }}\n"
    );
    let world = World {
        queues: [("q", depth(30, 0))].into(),
        services: [("a", counts(0, 0)), ("b", counts(0, 0))].into(),
        ..World::default()
    };
    check(
        &config,
        world,
        1,
        expect![[r#"
            services a b c of default
            metrics of 480 s
            set a to 5
            metrics of 480 s
            metrics of 480 s
              a: scale out from 0 to 5
              b: hold: unknown: visible, in_flight
              ! no queue p
              c: hold: unknown: running, pending, desired
              ! no service c"#]],
    )
    .await;
}

#[tokio::test]
async fn a_queue_that_does_not_answer_keeps_nobody_waiting() {
    let config = format!(
        "{SERVICE}  - {{ service: b, queue: hanging, scaling: {{ max: 9, acceptable_latency: 60s, tick: 10s, scale_in_hold: 10s }} }}\n"
    );
    let world = World {
        queues: [("q", depth(0, 0))].into(),
        services: [("a", counts(0, 0)), ("b", counts(0, 0))].into(),
        hangs: true,
        ..World::default()
    };
    check(
        &config,
        world,
        1,
        expect![[r#"
        services a b of default
        metrics of 480 s
          a: hold: 0 is enough
          b: hold: unknown: visible, in_flight, running, pending, desired
          ! the worker could not be observed in 8 s"#]],
    )
    .await;
}

#[tokio::test]
async fn before_a_scale_in_it_is_asked_who_is_protected() {
    let world = |protected| World {
        queues: [("q", depth(0, 2))].into(),
        services: [("a", counts(9, 9))].into(),
        protected,
        ..World::default()
    };
    check(
        SERVICE,
        world(Some(2)),
        7,
        expect![[r#"
            services a of default
            tasks of Service("a")
            protection of a
            metrics of 480 s
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
            tasks of Service("a")
            protection of a
            metrics of 60 s
            set a to 3
              a: scale in from 9 to 3"#]],
    )
    .await;
    check(
        SERVICE,
        world(Some(1)),
        7,
        expect![[r#"
        services a of default
        tasks of Service("a")
        protection of a
        metrics of 480 s
          a: hold: 9 is enough
        services a of default
          a: hold: 9 is enough
        services a of default
          a: hold: 9 is enough
        services a of default
          a: hold: 9 is enough
        services a of default
          a: hold: 9 is enough
        services a of default
          a: hold: 9 is enough
        services a of default
        tasks of Service("a")
        protection of a
        metrics of 60 s
        set a to 3
          a: scale in from 9 to 3"#]],
    )
    .await;
    check(
        SERVICE,
        world(None),
        7,
        expect![[r#"
            services a of default
            tasks of Service("a")
            protection of a
            metrics of 480 s
              a: hold: 9 is enough
              ! protection: refused
            services a of default
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
            tasks of Service("a")
            protection of a
            metrics of 60 s
            protection of a
              a: hold: unknown: protected
              ! protection: refused
              ! protection: refused"#]],
    )
    .await;
}

#[tokio::test]
async fn what_could_not_be_set_is_set_at_the_next_tick() {
    let world = World {
        queues: [("q", depth(0, 0))].into(),
        services: [("a", counts(9, 9))].into(),
        protected: Some(0),
        refuses: vec!["set"],
        ..World::default()
    };
    check(
        SERVICE,
        world,
        8,
        expect![[r#"
            services a of default
            tasks of Service("a")
            metrics of 480 s
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
              a: hold: 9 is enough
            services a of default
            tasks of Service("a")
            metrics of 60 s
            protection of a
            set a to 0
              a: scale in from 9 to 0
              ! set: refused
            services a of default
            protection of a
            set a to 0
              a: scale in from 9 to 0
              ! set: refused"#]],
    )
    .await;
}

#[tokio::test]
async fn tasks_are_started_ten_by_ten_and_not_again_before_they_are_listed() {
    let world = World { queues: [("q", depth(150, 0))].into(), ..World::default() };
    check(
        TASK,
        world,
        3,
        expect![[r#"
            tasks of StartedBy("ecs-trigger/workers/w")
            metrics of 480 s
            run 10 on FARGATE_SPOT
            run 10 on FARGATE_SPOT
            run 5 on FARGATE_SPOT
              w: scale out from 0 to 25
            tasks of StartedBy("ecs-trigger/workers/w")
              w: hold: 25 is enough
            tasks of StartedBy("ecs-trigger/workers/w")
              w: hold: 25 is enough"#]],
    )
    .await;
    let world = World { queues: [("q", depth(150, 0))].into(), lists_late: true, ..World::default() };
    check(
        TASK,
        world,
        3,
        expect![[r#"
            tasks of StartedBy("ecs-trigger/workers/w")
            metrics of 480 s
            run 10 on FARGATE_SPOT
            run 10 on FARGATE_SPOT
            run 5 on FARGATE_SPOT
              w: scale out from 0 to 25
            tasks of StartedBy("ecs-trigger/workers/w")
              w: hold: 25 is enough
            tasks of StartedBy("ecs-trigger/workers/w")
              w: hold: 25 is enough"#]],
    )
    .await;
}

#[tokio::test]
async fn without_capacity_the_next_rung_is_tried() {
    let failure = Failure { arn: None, reason: "Capacity is unavailable at this time".to_owned(), detail: None };
    let replies = vec![Reply::Tasks { task_arns: Vec::new(), failures: vec![failure] }];
    let world = World { queues: [("q", depth(30, 0))].into(), replies: Mutex::new(replies), ..World::default() };
    check(
        TASK,
        world,
        2,
        expect![[r#"
            tasks of StartedBy("ecs-trigger/workers/w")
            metrics of 480 s
            run 5 on FARGATE_SPOT
            run 5 on FARGATE
              w: scale out from 0 to 5
              ! ECS could not start all tasks: Capacity is unavailable at this time
            tasks of StartedBy("ecs-trigger/workers/w")
              w: hold: 5 is enough"#]],
    )
    .await;
}

#[tokio::test]
async fn a_lost_reply_counts_as_started_for_a_while() {
    let replies = vec![Reply::Nothing { message: "connection reset".to_owned() }];
    let world = World { queues: [("q", depth(30, 0))].into(), replies: Mutex::new(replies), ..World::default() };
    check(TASK, world, 9, expect![[r#"
        tasks of StartedBy("ecs-trigger/workers/w")
        metrics of 480 s
        run 5 on FARGATE_SPOT
          w: scale out from 0 to 5
          ! no reply: connection reset
        tasks of StartedBy("ecs-trigger/workers/w")
          w: hold: 5 is enough
        tasks of StartedBy("ecs-trigger/workers/w")
          w: hold: 5 is enough
        tasks of StartedBy("ecs-trigger/workers/w")
          w: hold: 5 is enough
        tasks of StartedBy("ecs-trigger/workers/w")
          w: hold: 5 is enough
        tasks of StartedBy("ecs-trigger/workers/w")
          w: hold: blocked, more workers would not help: 30 waiting, 0 in flight, 0 running; check whether workers start, and whether a message group is blocked
        tasks of StartedBy("ecs-trigger/workers/w")
        metrics of 60 s
        run 1 on FARGATE_SPOT
          w: scale out from 0 to 1
        tasks of StartedBy("ecs-trigger/workers/w")
          w: hold: blocked, more workers would not help: 30 waiting, 0 in flight, 0 running; check whether workers start, and whether a message group is blocked
        tasks of StartedBy("ecs-trigger/workers/w")
          w: hold: blocked, more workers would not help: 30 waiting, 0 in flight, 0 running; check whether workers start, and whether a message group is blocked"#]]).await;
}

#[tokio::test]
async fn after_a_lost_scaler_nothing_is_launched_until_ecs_lists_what_it_started() {
    let config = RoutingConfig::parse(Source::new("c.yaml", TASK)).expect("the config is valid");
    let mut world = World { queues: [("q", depth(30, 0))].into(), ..World::default() };
    let mut scaler = Scaler::after_another();
    let mut launched = Vec::new();
    for tick in 0..3 {
        world.now = Mutex::new(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + tick * 10));
        launched.extend(scaler.tick(&config, &world).await.iter().map(|report| report.launched > 0));
    }
    assert_eq!(launched, [false, false, true]);
}
