//! Compares the simulator with queueing theory and known behavior.

use expect_test::{Expect, expect};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;
use trigger_simulator::study::Case;
use trigger_simulator::workload::Message;
use trigger_simulator::{
    Generator, Order, Outcome, Scaler, ScalerKind, Setting, Surroundings, View, Workload, erlang_c_wait, run, simulate,
    trace,
};

/// A scaler that keeps a fixed number of workers.
struct Fixed(u32);

impl Scaler for Fixed {
    fn period(&self) -> f64 {
        60.0
    }

    fn look(&mut self, _: &View) -> Order {
        Order::Hold
    }

    fn initial(&self) -> u32 {
        self.0
    }
}

/// Makes messages that arrive in a Poisson process; the work of each is exponentially distributed with mean 1.
fn poisson(load: f64, count: usize, seed: u64) -> Workload {
    let rng = &mut fastrand::Rng::with_seed(seed);
    let mut at = 0.0;
    let messages: Vec<Message> = (0..count)
        .map(|_| {
            at += trigger_simulator::random::exponential(rng, 1.0 / load);
            Message { at, work: trigger_simulator::random::exponential(rng, 1.0), ..Message::default() }
        })
        .collect();
    Workload { name: "poisson".to_owned(), messages, duration: at, ..Workload::default() }
}

#[test]
fn with_a_fixed_number_of_workers_the_mean_wait_agrees_with_erlang_c() {
    for (load, servers) in [(0.7, 1), (4.0, 5), (18.0, 20)] {
        let workload = poisson(load, 400_000, 7);
        let waits = simulate(&workload, &mut Fixed(servers), &Surroundings::default(), 1).mean_age;
        let expected = erlang_c_wait(load, servers, 1.0);
        assert!((waits / expected - 1.0).abs() < 0.06, "{load} on {servers}: {waits} against {expected}");
    }
}

#[test]
fn erlang_c_agrees_with_known_values() {
    // M/M/1: rho / (1 - rho); M/M/2 at 1 Erlang: 1/3.
    assert!((erlang_c_wait(0.5, 1, 1.0) - 1.0).abs() < 1e-12);
    assert!((erlang_c_wait(1.0, 2, 1.0) - 1.0 / 3.0).abs() < 1e-12);
    assert!(erlang_c_wait(2.0, 2, 1.0).is_infinite());
}

#[test]
fn task_hours_are_billed_from_launch_to_end() {
    let workload = poisson(0.5, 1000, 3);
    let outcome = simulate(&workload, &mut Fixed(3), &Surroundings::default(), 1);
    let hours = 3.0 * (workload.duration.max(workload.messages.last().map_or(0.0, |last| last.at))) / 3600.0;
    assert!((outcome.task_hours / hours - 1.0).abs() < 0.02, "{} against {hours}", outcome.task_hours);
    assert!((outcome.work_hours - workload.work() / 3600.0).abs() < 1e-9);
}

fn outcomes(generator: Generator, kinds: &[ScalerKind]) -> Vec<Outcome> {
    let setting = Setting::usual(200, generator.usual_latency(), generator.usual_work());
    let workload = generator.generate(generator.usual_work(), 4242);
    let cases: Vec<Case<'_>> =
        kinds.iter().map(|kind| Case { workload: &workload, kind: *kind, setting: &setting, seed: 1 }).collect();
    run(&cases, &Surroundings::default(), || {})
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let kinds = [ScalerKind::Service, ScalerKind::Keda];
    assert_eq!(outcomes(Generator::Bursts, &kinds), outcomes(Generator::Bursts, &kinds));
}

#[test]
fn our_policy_keeps_the_latency_interrupts_no_message_and_finishes_all() {
    for generator in Generator::ALL {
        for outcome in outcomes(generator, &[ScalerKind::Service, ScalerKind::RunTask]) {
            let latency = generator.usual_latency();
            assert!(outcome.p99_age <= latency, "{generator}: p99 {} of {latency}", outcome.p99_age);
            assert_eq!((outcome.kills, outcome.left), (0, 0), "{generator}");
        }
    }
}

#[test]
fn peers_have_their_known_failures() {
    let kinds = [ScalerKind::Copilot, ScalerKind::Keda, ScalerKind::Ceil, ScalerKind::Service];
    let outcomes = outcomes(Generator::LongJobs, &kinds);
    for (kind, outcome) in kinds.iter().zip(&outcomes).take(3) {
        assert!(outcome.kills > 0, "{} stops workers during long jobs", kind.name());
    }
}

#[test]
fn nothing_that_goes_wrong_makes_our_policy_slower_or_dearer_than_keda_with_protected_workers() {
    for generator in Generator::ADVERSE {
        let kinds = [ScalerKind::KedaProtected, ScalerKind::Service, ScalerKind::RunTask];
        let outcomes = outcomes(generator, &kinds);
        let [keda, ours @ ..] = outcomes.as_slice() else { panic!("one outcome for each kind") };
        // A sawtooth of twice the reaction time makes every policy choose: KEDA runs half its peak all the time, and its
        // messages wait.
        let dearer = if generator == Generator::Sawtooth { 1.25 } else { 1.1 };
        for outcome in ours {
            assert!(outcome.p99_age <= keda.p99_age, "{generator}: {} against {}", outcome.p99_age, keda.p99_age);
            let (hours, of_keda) = (outcome.task_hours, keda.task_hours);
            assert!(hours <= dearer * of_keda, "{generator}: {hours} task-hours against {of_keda}");
            assert_eq!((outcome.kills, outcome.left), (0, 0), "{generator}");
        }
    }
}

#[test]
fn the_usual_setting_is_the_config_s_defaults() {
    let config = "version: 1\ntasks: {}\nroutes: []\nworkers:\n  - { service: w, queue: q, scaling: { max: 200, acceptable_latency: 120s, msg_processing_time: 5s } }\n";
    let config = RoutingConfig::parse(Source::new("c.yaml", config)).expect("the config is valid");
    let setting = Setting::usual(200, 120.0, 5.0);
    assert_eq!((&setting.policy, setting.idle_exit), (&config.workers[0].policy, config.workers[0].idle_exit));
}

fn check_trace(text: &str, expected: Expect) {
    let said = match trace::parse("t", text, 5.0, 1) {
        Ok(workload) => {
            let times: Vec<String> = workload.messages.iter().map(|message| format!("{}", message.at)).collect();
            format!("{} until {}", times.join(" "), workload.duration)
        }
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&said);
}

#[test]
fn a_trace_has_one_time_per_line() {
    check_trace("0\n1.5\n1.5\n", expect!["0 1.5 1.5 until 1.5"]);
    check_trace("time\n2026-01-31 03:00:00\n2026-01-31T03:01:00Z\n", expect!["0 60 until 60"]);
}

#[test]
fn a_trace_of_counts_spreads_the_messages_evenly() {
    check_trace("time,count\n0,2\n60,0\n120,1\n", expect!["15 45 150 until 180"]);
}

#[test]
fn an_invalid_trace_is_refused_with_the_line() {
    check_trace(
        "time,count\n0,2\nsoon,3\n",
        expect!["line 3: `soon,3` does not begin with a time; write seconds, or `2026-01-31T03:00:00`"],
    );
    check_trace("time,count\n0,many\n", expect!["line 2: `count` of `0,many` must be a number, 0 or more"]);
    check_trace("60\n0\n", expect!["line 2: its time is before that of the line above; sort the lines by time"]);
    check_trace(
        "time,count\n0,0\n",
        expect!["the trace has no message; write one time per line, or a time and a count"],
    );
    check_trace("", expect!["the trace has no message; write one time per line, or a time and a count"]);
}
