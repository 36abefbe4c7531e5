//! Whether a worker is slow compared with its pool, as selections read it.
#![cfg(not(loom))]

use std::time::Duration;

use raddle_core::{Completion, Outcome, Reservation, Roster, Tracking, WorkerSpec};

const MS: Duration = Duration::from_millis(1);
/// The number of slow tasks in a row that make a worker slow.
const FEW: usize = 4;

/// Two workers, the second of which has set the pool's mean.
fn roster(tracking: Tracking) -> Roster {
    let roster = Roster::builder().workers(2, WorkerSpec::general()).tracking(tracking).build();
    let roster = roster.unwrap();
    (0..100).for_each(|_| finish(&roster, 1, Outcome::Completed, MS));
    roster
}

fn finish(roster: &Roster, position: usize, outcome: Outcome, took: Duration) {
    let worker = &roster.members()[position].worker;
    Reservation::take(worker, position, None).unwrap().finish(outcome, took);
}

fn is_slow(roster: &Roster) -> bool {
    let signals = roster.candidates(None).signals_at(0).unwrap();
    assert_eq!(signals.is_suspect(), signals.is_slow() || signals.is_failing());
    signals.is_slow()
}

fn slow_after(roster: &Roster, times: usize, took: Duration) -> bool {
    (0..times).for_each(|_| finish(roster, 0, Outcome::Completed, took));
    is_slow(roster)
}

#[test]
fn four_slow_tasks_make_a_worker_slow_and_a_fast_one_ends_that() {
    let roster = roster(Tracking::default());
    assert!(!is_slow(&roster), "nothing is known yet");
    assert!(!slow_after(&roster, FEW - 1, 10 * MS));
    assert!(slow_after(&roster, 1, 10 * MS));
    assert!(!slow_after(&roster, 1, MS), "in spite of the mean");
    assert!(!slow_after(&roster, FEW - 1, 10 * MS));
    assert!(slow_after(&roster, 1, 10 * MS));
}

#[test]
fn a_few_slow_tasks_among_many_do_not_make_a_worker_slow() {
    let roster = roster(Tracking::default());
    assert!(!slow_after(&roster, 100, MS));
    assert!(!slow_after(&roster, 2 * FEW, 10 * MS), "the mean is 1.7 ms");
    assert!(
        !slow_after(&roster, 100, Duration::from_micros(2_900)),
        "only three times the mean is slow"
    );
}

#[test]
fn a_window_shorter_than_four_is_checked_as_a_whole() {
    let roster = roster(Tracking { window: 2, ..Tracking::default() });
    assert!(!slow_after(&roster, 1, 10 * MS));
    assert!(slow_after(&roster, 1, 10 * MS));
}

#[test]
fn no_worker_is_slow_without_a_mean_to_compare_with() {
    let alone = Roster::builder().workers(1, WorkerSpec::general()).build().unwrap();
    assert!(!slow_after(&alone, 100, 10 * MS), "its own tasks set the mean");
    let untracked = roster(Tracking { enabled: false, ..Tracking::default() });
    assert!(!slow_after(&untracked, 100, 10 * MS));
}

#[test]
fn ends_published_together_publish_slowness_too() {
    let roster = roster(Tracking::default());
    let worker = &roster.members()[0].worker;
    let mut recorder = worker.recorder().unwrap();
    recorder.publish_within(Duration::from_secs(1));
    for at in 1..=2 * FEW as u64 {
        let _ = Reservation::take(worker, 0, None).unwrap().hand_over();
        recorder.end(&Completion {
            service: 10_000_000,
            at,
            ..Completion::new(Outcome::Completed)
        });
    }
    assert!(!is_slow(&roster), "only the first was published");
    recorder.publish();
    assert!(is_slow(&roster));
}

#[test]
fn a_task_is_not_stolen_if_its_worker_finishes_it_sooner() {
    let roster = Roster::builder().workers(1, WorkerSpec::general()).build().unwrap();
    let worker = &roster.members()[0].worker;
    let sooner_than = |mean, now| worker.stats().finishes_sooner_than(mean, now);
    assert!(!sooner_than(u64::MAX, 0), "its own mean is unknown");
    let take = || Reservation::take_at(worker, 0, None, 1_000).unwrap();
    take().finish(Outcome::Completed, Duration::from_nanos(500));
    assert!(!sooner_than(1_000, 0), "500 for the task before, 500 for its own");
    assert!(sooner_than(1_001, 0));
    assert!(!sooner_than(0, 0), "the thief's mean is unknown");
    let _running = take();
    assert!(!sooner_than(1_500, 2_000), "the task before has taken 1,000 by now");
    assert!(sooner_than(1_501, 2_000));
}
