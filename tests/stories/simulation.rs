//! The launch protocol keeps its rules in thousands of histories full of faults, and every simplification of the
//! protocol breaks one.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use e2e::histories::{Configs, Mutation, Tally, play};

/// Plays histories on all processors until one breaks a rule. Returns that seed and rule, and the tally of all
/// histories.
fn first_broken(seeds: Range<u64>, mutation: Option<Mutation>) -> (Option<(u64, String)>, Tally) {
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new((None, Tally::default()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let configs = Configs::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let report = play(&configs, seed, mutation, false);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.1.add(report.tally);
                    if let Some(violation) = report.violation {
                        found.0 = Some((seed, violation));
                        next.store(seeds.end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn ten_thousand_histories_break_no_rule() {
    let (broken, tally) = first_broken(0..10_000, None);
    if let Some((seed, violation)) = broken {
        let history = play(&Configs::default(), seed, None, true).history;
        panic!("seed {seed}: {violation}\n{}", history.join("\n"));
    }
    // Guards against histories in which little happens.
    assert!(tally.events > 20_000 && tally.deliveries > 50_000, "{tally:?}");
    assert!(tally.crashes > 10_000 && tally.run_task_calls > 30_000 && tally.dead_letters > 5_000, "{tally:?}");
}

#[test]
fn a_seed_makes_the_same_history_again() {
    for seed in 0..20 {
        let once = || play(&Configs::default(), seed, None, true).history;
        assert_eq!(once(), once(), "seed {seed}");
    }
}

/// Every mutation, and where the search for a history that it breaks starts: near one that is known, so that it does not
/// take long.
const MUTATIONS: [(Mutation, u64); 16] = [
    (Mutation::SkipRecords, 0),
    (Mutation::ReuseTokenAfterFailure, 0),
    (Mutation::AdvanceAfterTimeout, 0),
    (Mutation::TwoCallAtOnce, 60),
    (Mutation::SlotsWithoutLimit, 900),
    (Mutation::Overtake, 50),
    (Mutation::AnswerBeforeAllIsRecorded, 0),
    (Mutation::WakeTwo, 50),
    (Mutation::KeepSlots, 0),
    (Mutation::IgnoreVersions, 40),
    (Mutation::CountTwice, 40),
    (Mutation::TrustTheIndex, 20),
    (Mutation::RecordSlotsLater, 0),
    (Mutation::ForgetRetriedWrites, 0),
    (Mutation::RedriveOldLetters, 0),
    (Mutation::KeepRefusedRequests, 0),
];

#[test]
fn every_simplification_of_the_protocol_breaks_a_rule() {
    let histories = 20_000;
    for (mutation, first) in MUTATIONS {
        let (broken, tally) = first_broken(first..first + histories, Some(mutation));
        assert!(broken.is_some(), "{mutation:?} was not detected in {tally:?}");
    }
}
