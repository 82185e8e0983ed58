//! Prints how long messages wait and what workers cost under one policy after another: our own with its parameters
//! varied, and its peers. Each pair is the 99th percentile of the messages' age as a share of the acceptable latency, and
//! the task-hours for each hour of work. `latency x 0.9` is our policy set to 0.9 times the acceptable latency.
//!
//! ```sh
//! cargo run -p trigger-simulator --example frontier            # the workloads of `ecs-trigger simulate`
//! cargo run -p trigger-simulator --example frontier adverse    # those in which something goes wrong
//! ```

use std::time::Duration;

use trigger_core::scaling::{LatencyRule, ScalingRule};
use trigger_simulator::study::Case;
use trigger_simulator::{Generator, Outcome, ScalerKind, Setting, Surroundings, Workload, run};

const SEEDS: std::ops::Range<u64> = 101..104;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let adverse = arguments.iter().any(|argument| argument == "adverse");
    let generators = if adverse { Generator::ADVERSE } else { Generator::ALL };
    let versions: Vec<(Generator, Vec<Workload>)> = generators
        .into_iter()
        .map(|generator| (generator, SEEDS.map(|seed| generator.generate(generator.usual_work(), seed)).collect()))
        .collect();
    let show = |name: &str, kind: ScalerKind, change: &dyn Fn(&mut Setting)| {
        let settings: Vec<Setting> = versions
            .iter()
            .map(|(generator, _)| {
                let mut setting = Setting::usual(200, generator.usual_latency(), generator.usual_work());
                change(&mut setting);
                setting
            })
            .collect();
        let cases: Vec<Case<'_>> = versions
            .iter()
            .zip(&settings)
            .flat_map(|((_, versions), setting)| {
                SEEDS.zip(versions).map(move |(seed, workload)| Case { workload, kind, setting, seed })
            })
            .collect();
        let outcomes = run(&cases, &Surroundings::default(), || {});
        let outcomes: Vec<Outcome> = outcomes.chunks(SEEDS.count()).map(Outcome::mean).collect();
        let mut line = format!("{name:<34}");
        let (mut age, mut hours, mut kills) = (0.0, 0.0, 0);
        for ((generator, _), outcome) in versions.iter().zip(&outcomes) {
            let of = outcome.p99_age / generator.usual_latency();
            age += of.max(0.01).ln();
            hours += outcome.hours_per_work().ln();
            kills += outcome.kills;
            line += &format!(" {of:>5.2};{:<5.2}", outcome.hours_per_work());
        }
        let count = outcomes.len() as f64;
        println!("{line} | {:.3} {:.3} {kills}", (age / count).exp(), (hours / count).exp());
    };
    print!("{:<34}", "policy");
    for generator in generators {
        print!(" {:<11}", generator.name());
    }
    println!("| p99/latency hours/work kills");
    for kind in ScalerKind::ALL {
        show(kind.name(), kind, &|_| {});
    }
    if adverse {
        return;
    }
    let rule = |setting: &mut Setting, change: &dyn Fn(&mut LatencyRule)| {
        if let ScalingRule::Latency(rule) = &mut setting.policy.rule {
            change(rule);
        }
    };
    for kind in [ScalerKind::Service, ScalerKind::RunTask] {
        for (tick, hold, latency) in
            [(5, 5, 0.8), (5, 5, 0.9), (5, 5, 1.1), (5, 5, 1.2), (10, 5, 1.0), (10, 10, 1.0), (5, 10, 1.0), (2, 5, 1.0)]
        {
            let name = format!("{} tick {tick} idle {hold} latency x {latency}", kind.name());
            show(&name, kind, &|setting| {
                setting.policy.tick = Duration::from_secs(tick);
                setting.idle_exit = Duration::from_secs(hold);
                rule(setting, &|rule| {
                    rule.scale_in_hold = Duration::from_secs(hold);
                    rule.acceptable_latency = rule.acceptable_latency.mul_f64(latency);
                });
            });
        }
    }
}
