//! The launch protocol keeps its promises in thousands of histories in which everything goes wrong, and breaks them when it is made
//! simpler than it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use e2e::histories::{Configs, Mutation, Tally, play};

/// Plays histories on all processors until one breaks a promise: that, and what all were made of.
fn first_broken(seeds: u64, mutation: Option<Mutation>) -> (Option<(u64, String)>, Tally) {
    let next = AtomicU64::new(0);
    let found = Mutex::new((None, Tally::default()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let configs = Configs::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    let report = play(&configs, seed, mutation, false);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.1.add(report.tally);
                    if let Some(violation) = report.violation {
                        found.0 = Some((seed, violation));
                        next.store(seeds, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn in_ten_thousand_histories_no_promise_is_broken() {
    let (broken, tally) = first_broken(10_000, None);
    if let Some((seed, violation)) = broken {
        let history = play(&Configs::default(), seed, None, true).history;
        panic!("seed {seed}: {violation}\n{}", history.join("\n"));
    }
    // Much happened in them.
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

#[track_caller]
fn bites(mutation: Mutation) {
    let (broken, tally) = first_broken(20_000, Some(mutation));
    assert!(broken.is_some(), "{mutation:?} was not noticed in {tally:?}");
}

#[test]
fn a_launch_that_is_not_recorded_is_noticed() {
    bites(Mutation::SkipLedgerWrite);
}

#[test]
fn a_token_that_is_used_again_after_a_failure_is_noticed() {
    bites(Mutation::ReuseTokenAfterFailure);
}

#[test]
fn going_on_to_the_next_attempt_without_a_reply_is_noticed() {
    bites(Mutation::AdvanceAfterTimeout);
}

#[test]
fn two_who_call_at_once_are_noticed() {
    bites(Mutation::TwoCallAtOnce);
}

#[test]
fn counting_slots_by_what_ecs_lists_is_noticed() {
    bites(Mutation::CountSlotsByListTasks);
}
