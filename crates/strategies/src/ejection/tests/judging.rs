//! Which workers are outliers.

use super::*;

#[test]
fn a_failing_worker_is_ejected_within_an_interval_and_returns() {
    let mut scene = Scene::new(4, Ejection::default());
    (0..4).for_each(|position| scene.good(position, 10));
    scene.bad(2, 11);
    assert_eq!(scene.next_review(), [(2, failing(11, 21))]);
    assert_eq!(failing(11, 21).to_string(), "ejected: 11 of 21 tasks failed");
    assert_eq!(scene.health(), [Active, Active, Ejected, Active]);
    assert_eq!(scene.roster.candidates(None).len(), 3);
    assert_eq!(scene.next_review(), [(2, Readmitted)]);
    assert_eq!(scene.health(), [Active; 4]);
    assert_eq!(scene.next_review(), [], "earlier failures do not count any more");
}

#[test]
fn failures_up_to_the_limit_are_allowed_and_panics_count() {
    let mut scene = Scene::new(2, Ejection::default().failure_share(0.2));
    scene.good(0, 8);
    scene.bad(0, 2);
    assert_eq!(scene.next_review(), []);
    scene.good(0, 7);
    scene.bad(0, 1);
    scene.run(0, 2, Outcome::Panicked, MS);
    assert_eq!(scene.next_review(), [(0, failing(3, 10))]);
}

#[test]
fn too_few_tasks_and_tasks_that_were_not_run_are_not_judged() {
    let mut scene = Scene::new(3, Ejection::default());
    for _ in 0..5 {
        scene.bad(1, 4);
        scene.run(1, 10, Outcome::Expired, Duration::ZERO);
        scene.run(1, 10, Outcome::Cancelled, Duration::ZERO);
        assert_eq!(scene.next_review(), []);
    }
    scene.bad(1, 5);
    assert_eq!(scene.next_review(), [(1, failing(5, 5))]);
}

#[test]
fn tasks_before_the_first_review_are_not_judged() {
    let (clock, time) = Clock::simulated();
    let roster = Roster::builder().workers(2, WorkerSpec::general());
    let mut scene = Scene {
        roster: roster.clock(clock.clone()).build().unwrap(),
        detector: OutlierDetector::new(Ejection::default()).unwrap(),
        clock,
        time,
    };
    scene.bad(0, 100);
    assert_eq!(scene.review(), []);
    scene.good(0, 10);
    assert_eq!(scene.next_review(), []);
    assert_eq!(scene.roster.members()[0].worker.stats().counts().failed, 100);
}

#[test]
fn a_latency_factor_finds_a_slow_worker_by_the_median() {
    let slow = |mean, median| Verdict::Ejected(EjectionReason::Slow { mean, median });
    let run = |settings| {
        let mut scene = Scene::new(4, settings);
        for (position, took) in [2, 31, 1, 3].into_iter().enumerate() {
            scene.run(position, 10, Outcome::Completed, took * MS);
        }
        scene.next_review()
    };
    assert_eq!(run(Ejection::default()), []);
    assert_eq!(run(Ejection::default().latency_factor(15.0)), [(1, slow(31 * MS, 2 * MS))]);
    assert_eq!(run(Ejection::default().latency_factor(15.5)), []);
    let mut two = Scene::new(2, Ejection::default().latency_factor(3.0));
    two.good(0, 10);
    two.run(1, 10, Outcome::Completed, 4 * MS);
    assert_eq!(two.next_review(), [(1, slow(4 * MS, MS))]);
}

#[test]
fn fast_failures_do_not_make_other_workers_slow() {
    let mut scene = Scene::new(5, Ejection::default().latency_factor(2.0));
    (0..3).for_each(|position| scene.bad(position, 10));
    (3..5).for_each(|position| scene.good(position, 10));
    let decided = scene.next_review();
    assert_eq!(decided, [(0, failing(10, 10)), (1, failing(10, 10))]);
}
