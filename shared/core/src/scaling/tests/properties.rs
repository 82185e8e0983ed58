//! Properties of every policy, for any observations.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::super::{Action, Memory, Mode, Observation, ScalingDecision, ScalingPolicy};
use super::policy;

/// Observations, some with unknown parts, some contradictory.
fn observation() -> impl Strategy<Value = Observation> {
    let count = |most: u64| prop::option::weighted(0.95, 0..most);
    let tasks = |most: u32| prop::option::weighted(0.95, 0..most);
    (count(3000), count(100), tasks(60), tasks(60), tasks(120), any::<bool>(), prop::option::of(0u32..60)).prop_map(
        |(visible, in_flight, running, pending, desired, deploys, protected)| Observation {
            visible,
            in_flight,
            delayed: Some(0),
            running,
            pending,
            desired,
            deployment_in_progress: Some(deploys),
            protected,
            ..Observation::default()
        },
    )
}

fn policies() -> impl Strategy<Value = ScalingPolicy> {
    let scaling = prop::sample::select(vec![
        "acceptable_latency: 60s, msg_processing_time: 5s",
        "acceptable_latency: 600s, concurrency: 7",
        "acceptable_latency: 1s, msg_processing_time: 1ms",
        "target: { backlog_per_task: 10 }",
        "step: { adjustments: [{ lower: 100, change: 3 }, { upper: 0, change: -2 }] }",
    ]);
    (scaling, any::<bool>(), 0u32..10, 1u32..50).prop_map(|(scaling, runs, min, more)| {
        let runs = if runs { "run " } else { "" };
        policy(&format!("{runs}min: {min}, max: {}, {scaling}", min + more))
    })
}

fn at(tick: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(tick * 10)
}

fn decide_all(policy: &ScalingPolicy, seen: &[Observation]) -> (Vec<ScalingDecision>, Memory) {
    let mut memory = Memory::default();
    let mut decisions = Vec::new();
    for (tick, observation) in (0..).zip(seen) {
        let (decision, remembered) = policy.decide(observation, memory, at(tick));
        decisions.push(decision);
        memory = remembered;
    }
    (decisions, memory)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_decision_leads_out_of_the_bounds(policy in policies(), seen in prop::collection::vec(observation(), 1..40)) {
        let (decisions, _) = decide_all(&policy, &seen);
        for (decision, observation) in decisions.iter().zip(&seen) {
            match decision.action {
                Action::Hold => {}
                Action::SetDesired(count) => {
                    // Busy workers stay, even above the maximum.
                    let towards = count > policy.bounds.max && observation.desired.is_some_and(|desired| count < desired);
                    prop_assert!(towards || (policy.bounds.min..=policy.bounds.max).contains(&count));
                }
                Action::Launch(count) => {
                    let there = observation.running.unwrap_or(0) + observation.pending.unwrap_or(0);
                    prop_assert!(count > 0 && there + count <= policy.bounds.max);
                }
            }
        }
    }

    #[test]
    fn the_unknown_holds(policy in policies(), seen in prop::collection::vec(observation(), 1..40)) {
        let (decisions, _) = decide_all(&policy, &seen);
        for (decision, observation) in decisions.iter().zip(&seen) {
            let is_known = observation.visible.is_some()
                && observation.in_flight.is_some()
                && observation.running.is_some()
                && observation.pending.is_some();
            prop_assert!(is_known || decision.action == Action::Hold);
        }
    }

    #[test]
    fn a_count_is_set_only_where_it_changes(policy in policies(), seen in prop::collection::vec(observation(), 1..40)) {
        let (decisions, _) = decide_all(&policy, &seen);
        for (decision, observation) in decisions.iter().zip(&seen) {
            prop_assert!(!matches!(decision.action, Action::SetDesired(count) if Some(count) == observation.desired));
        }
    }

    #[test]
    fn a_message_always_has_a_worker(policy in policies(), seen in prop::collection::vec(observation(), 0..20), visible in 1u64..5) {
        let (_, memory) = decide_all(&policy, &seen);
        let alone = Observation {
            visible: Some(visible),
            in_flight: Some(0),
            running: Some(0),
            pending: Some(0),
            desired: Some(0),
            ..Observation::default()
        };
        // By then, a step's cooldown and the pause after a crashed worker are over.
        let (decision, _) = policy.decide(&alone, memory, at(1000));
        prop_assert!(decision.action != Action::Hold, "{}", decision);
    }

    #[test]
    fn more_messages_never_give_fewer_workers(
        policy in policies(),
        seen in prop::collection::vec(observation(), 0..20),
        visible in 1u64..3000,
        more in 1u64..3000,
        tasks in (0u32..30, 0u32..30),
    ) {
        // In mode `run_task`, workers that are gone although many messages wait have crashed, so more messages do not
        // mean more workers.
        let seen = if policy.mode == Mode::RunTask { Vec::new() } else { seen };
        let (_, memory) = decide_all(&policy, &seen);
        let now = at(i64::try_from(seen.len()).unwrap_or(0));
        let wanted = |visible: u64| {
            let observation = Observation {
                visible: Some(visible),
                in_flight: Some(tasks.0.into()),
                running: Some(tasks.0),
                pending: Some(tasks.1),
                desired: Some(tasks.0 + tasks.1),
                ..Observation::default()
            };
            let (decision, _) = policy.decide(&observation, memory.clone(), now);
            match decision.action {
                Action::Hold => tasks.0 + tasks.1,
                Action::SetDesired(count) => count,
                Action::Launch(count) => tasks.0 + tasks.1 + count,
            }
        };
        prop_assert!(wanted(visible) <= wanted(visible + more));
    }

    #[test]
    fn idle_stays_idle(policy in policies(), ticks in 1i64..60) {
        let policy = ScalingPolicy { bounds: crate::scaling::Bounds { min: 0, ..policy.bounds }, ..policy };
        let nothing = Observation {
            visible: Some(0),
            in_flight: Some(0),
            running: Some(0),
            pending: Some(0),
            desired: Some(0),
            ..Observation::default()
        };
        let seen = vec![nothing; usize::try_from(ticks).unwrap_or(1)];
        let (decisions, _) = decide_all(&policy, &seen);
        prop_assert!(decisions.iter().all(|decision| decision.action == Action::Hold));
    }

    /// Models messages as a fluid. The only noise is that counts are read as whole messages every ten seconds; workers
    /// that are missing for that reason are noticed much later.
    #[test]
    fn at_a_constant_load_no_scale_in_causes_a_scale_out(
        load in 8.0f64..60.0,
        service in 1.0f64..30.0,
        latency in 60u32..600,
        backlog in 0.0f64..2000.0,
        workers in 0u32..80,
    ) {
        let policy = policy(&format!(
            "max: 1000, acceptable_latency: {latency}s, msg_processing_time: {}ms, start_delay: 40s, tick: 10s",
            (service * 1000.0).round()
        ));
        let rate = load / service;
        let (mut waiting, mut desired) = (backlog, workers);
        let mut running: f64 = workers.into();
        let mut starting: Vec<(i64, u32)> = Vec::new();
        let mut memory = Memory::default();
        let mut scaled_in_at: Option<i64> = None;
        for tick in 0..180 {
            let ready: u32 = starting.iter().filter(|(at, _)| *at <= tick).map(|(_, count)| *count).sum();
            starting.retain(|(at, _)| *at > tick);
            running += f64::from(ready);
            let flow = |waiting: f64| if waiting > 0.0 { running } else { running.min(load) };
            for _ in 0..10 {
                waiting = (waiting + rate - flow(waiting) / service).max(0.0);
            }
            let in_flight = flow(waiting);
            let pending: u32 = starting.iter().map(|(_, count)| *count).sum();
            let observation = Observation {
                visible: Some(waiting.round() as u64),
                in_flight: Some(in_flight.round() as u64),
                running: Some(running as u32),
                pending: Some(pending),
                desired: Some(desired),
                ..Observation::default()
            };
            let (decision, remembered) = policy.decide(&observation, memory, at(tick));
            memory = remembered;
            if let Action::SetDesired(count) = decision.action {
                if count > desired {
                    prop_assert!(scaled_in_at.is_none_or(|at| tick - at > 30), "at {tick}: {decision}");
                    starting.push((tick + 4, count - desired));
                } else {
                    scaled_in_at = Some(tick);
                    running = running.min(f64::from(count));
                    starting.clear();
                }
                desired = count;
            }
        }
    }
}
