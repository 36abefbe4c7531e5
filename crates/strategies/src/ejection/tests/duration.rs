//! For how long workers are ejected.

use super::*;
use crate::{Balancer, Random};
use raddle_core::TaskProfile;

#[test]
fn ejections_in_a_row_grow_up_to_the_maximum_duration() {
    let mut scene = Scene::new(2, Ejection::default().base_duration(2 * S).max_duration(5 * S));
    let mut stays = Vec::new();
    for _ in 0..4 {
        scene.bad(0, 5);
        assert_eq!(scene.next_review(), [(0, failing(5, 5))]);
        stays.push((1..).find(|_| scene.next_review() == [(0, Readmitted)]).unwrap());
    }
    assert_eq!(stays, [2, 4, 5, 5]);
    scene.good(0, 4);
    assert_eq!(scene.next_review(), [], "too few tasks to end the row");
    scene.good(0, 5);
    assert_eq!(scene.next_review(), []);
    scene.bad(0, 5);
    scene.next_review();
    assert_eq!((1..).find(|_| scene.next_review() == [(0, Readmitted)]), Some(2));
}

#[test]
fn a_clock_that_goes_back_ends_no_ejection_early() {
    let mut scene = Scene::new(3, Ejection::default());
    scene.time.advance(100 * S);
    scene.bad(1, 10);
    assert_eq!(scene.next_review().len(), 1);
    scene.time.set(5);
    assert_eq!((scene.review(), scene.health()[1]), (vec![], Ejected));
}

/// Returns the share of the traffic that a failing worker gets under random choice.
fn share_of_the_failing_one(seconds: usize) -> f64 {
    const A_SECOND: usize = 100;
    fastrand::seed(0x656a_6563_7465);
    let mut scene = Scene::new(4, Ejection::default());
    let balancer = Balancer::new(Random::new()).unwrap();
    for _ in 0..seconds {
        for _ in 0..A_SECOND {
            let taken = balancer.select(&TaskProfile::default(), &scene.roster).unwrap();
            let outcome = if taken.position() == 0 { Outcome::Failed } else { Outcome::Completed };
            taken.finish(outcome, MS);
        }
        scene.next_review();
    }
    let failed = scene.roster.members()[0].worker.stats().counts().failed;
    failed as f64 / (seconds * A_SECOND) as f64
}

#[test]
fn a_failing_worker_gets_less_and_less_traffic() {
    // Ejected for 1 s, 2 s and so on to 30 s, with a second of a fourth of the traffic between.
    let share = share_of_the_failing_one(500);
    assert!(share < 0.02, "{share}");
}
