//! Whether a worker is failing, in its statistics and as selections read it.
#![cfg(not(loom))]

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use raddle_core::{Completion, Outcome, Reservation, Roster, Tracking, Worker, WorkerSpec};

const MS: Duration = Duration::from_millis(1);

/// The number of failures in a row that take the success rate from 1 to below one half.
const FEW: usize = 11;

fn roster(tracking: Tracking) -> Roster {
    Roster::builder().workers(1, WorkerSpec::general()).tracking(tracking).build().unwrap()
}

fn worker(roster: &Roster) -> &Arc<Worker> {
    &roster.members()[0].worker
}

fn finish(roster: &Roster, outcome: Outcome, took: Duration) {
    Reservation::take(worker(roster), 0, None).unwrap().finish(outcome, took);
}

/// What selections read, which must agree with the worker's own statistics.
fn is_failing(roster: &Roster) -> bool {
    let published = roster.candidates(None).signals_at(0).unwrap().is_failing();
    assert_eq!(published, worker(roster).stats().is_failing());
    published
}

fn recent_mean(roster: &Roster) -> u64 {
    let mean = roster.candidates(None).signals_at(0).unwrap().recent_mean();
    assert_eq!(roster.members()[0].worker.stats().recent_mean(), mean, "the worker agrees");
    mean
}

#[test]
fn a_worker_is_failing_after_eleven_failures() {
    for outcome in [Outcome::Failed, Outcome::Panicked] {
        let roster = roster(Tracking::default());
        assert!(!is_failing(&roster), "nothing is known yet");
        for _ in 1..FEW {
            finish(&roster, outcome, Duration::ZERO);
            assert!(!is_failing(&roster), "a few failures are not enough");
        }
        finish(&roster, outcome, Duration::ZERO);
        assert!(is_failing(&roster));
    }
}

#[test]
fn a_worker_recovers_after_eleven_successes() {
    let roster = roster(Tracking::default());
    (0..1_000).for_each(|_| finish(&roster, Outcome::Failed, Duration::ZERO));
    for _ in 1..FEW {
        finish(&roster, Outcome::Completed, MS);
        assert!(is_failing(&roster), "a few successes are not enough");
    }
    finish(&roster, Outcome::Completed, MS);
    assert!(!is_failing(&roster));
}

#[test]
fn tasks_that_did_not_run_are_ignored() {
    let roster = roster(Tracking::default());
    for outcome in [Outcome::Expired, Outcome::Cancelled] {
        (0..100).for_each(|_| finish(&roster, outcome, MS));
        assert!(!is_failing(&roster), "{outcome:?}");
    }
}

#[test]
fn without_tracking_no_worker_is_failing() {
    let roster = roster(Tracking { enabled: false, ..Tracking::default() });
    (0..1_000).for_each(|_| finish(&roster, Outcome::Failed, Duration::ZERO));
    assert!(!is_failing(&roster));
    assert_eq!(recent_mean(&roster), 0);
}

#[test]
fn failing_is_published_while_the_mean_stays_the_same() {
    let roster = roster(Tracking { failure_penalty: 0.0, ..Tracking::default() });
    let recorder = &mut worker(&roster).recorder().unwrap();
    let mut end = |outcome| {
        let _ = Reservation::take(worker(&roster), 0, None).unwrap().hand_over();
        recorder.end(&Completion { service: 1_000, ..Completion::new(outcome) });
        assert_eq!(recent_mean(&roster), 1_000, "the flag is not part of the mean");
        is_failing(&roster)
    };
    assert!(!end(Outcome::Completed));
    assert!((0..FEW).map(|_| end(Outcome::Failed)).last().unwrap());
    assert!(!(0..FEW).map(|_| end(Outcome::Completed)).last().unwrap());
}

#[test]
fn the_longest_mean_does_not_set_the_failing_flag() {
    let roster = roster(Tracking { window: 1, ..Tracking::default() });
    finish(&roster, Outcome::Completed, Duration::MAX);
    assert!(!is_failing(&roster));
    assert!(recent_mean(&roster) > 1 << 60, "36 years");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn failing_means_a_success_rate_below_one_half(
        outcomes in prop::collection::vec((any::<bool>(), 0u64..5_000), 0..200),
    ) {
        let roster = roster(Tracking::default());
        for (success, took) in outcomes {
            let outcome = if success { Outcome::Completed } else { Outcome::Failed };
            finish(&roster, outcome, Duration::from_nanos(took));
            let stats = worker(&roster).stats();
            prop_assert_eq!(is_failing(&roster), stats.success_rate() < 0.5);
            let (sum, count) = stats.latencies().sum_and_count();
            // Ten of the pool's means count as latencies, once there is one.
            let expected = match roster.baseline().mean() {
                _ if count == 0 => 0,
                None => (sum / count).max(1),
                Some(mean) => ((sum + 10 * mean as u64) / (count + 10)).max(1),
            };
            // And while the last tasks were quick, a slow mean counts as one that is just not.
            let slow = roster.baseline().mean().map_or(u64::MAX, |mean| 3 * mean as u64);
            let mean = recent_mean(&roster);
            prop_assert!(mean == expected || mean == slow && expected > slow, "{mean} {expected}");
        }
    }
}
