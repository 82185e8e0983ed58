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

/// Checks that some history among 20,000 breaks a rule because of a mutation. `first` is where the search starts: near a history that
/// is known to break one, so that it does not take long.
#[track_caller]
fn bites(mutation: Mutation, first: u64) {
    let (broken, tally) = first_broken(first..first + 20_000, Some(mutation));
    assert!(broken.is_some(), "{mutation:?} was not detected in {tally:?}");
}

#[test]
fn a_launch_that_is_not_recorded_is_detected() {
    bites(Mutation::SkipLedgerWrite, 0);
}

#[test]
fn a_token_that_is_used_again_after_a_failure_is_detected() {
    bites(Mutation::ReuseTokenAfterFailure, 0);
}

#[test]
fn advancing_to_the_next_attempt_without_a_reply_is_detected() {
    bites(Mutation::AdvanceAfterTimeout, 0);
}

#[test]
fn two_concurrent_callers_are_detected() {
    bites(Mutation::TwoCallAtOnce, 1_700);
}

#[test]
fn counting_slots_with_list_tasks_is_detected() {
    bites(Mutation::CountSlotsByListTasks, 0);
}
