//! Workers that drain, are quarantined, join or leave.

use super::*;

#[test]
fn draining_and_quarantined_workers_are_not_judged() {
    let mut scene = Scene::new(4, Ejection::default());
    scene.set(0, Draining);
    scene.set(1, Quarantined);
    (0..3).for_each(|position| scene.bad(position, 10));
    assert_eq!(scene.next_review(), [(2, failing(10, 10))]);
    assert_eq!(scene.health(), [Draining, Quarantined, Ejected, Active]);
    // The end of an ejection does not end a quarantine.
    scene.set(2, Quarantined);
    assert!(scene.detector.has_ejected(WorkerId(2)));
    assert_eq!(scene.next_review(), []);
    assert_eq!(scene.health()[2], Quarantined);
    scene.set(2, Active);
    assert_eq!(scene.next_review(), [(2, Readmitted)]);
    scene.bad(2, 10);
    scene.next_review();
    scene.set(2, Draining);
    for _ in 0..3 {
        assert_eq!((scene.next_review(), scene.health()[2]), (vec![], Draining));
    }
}

#[test]
fn a_quarantined_worker_counts_as_ejected_beyond_its_time() {
    let mut scene = Scene::new(3, Ejection::default());
    scene.bad(0, 10);
    assert_eq!(scene.next_review(), [(0, failing(10, 10))]);
    scene.set(0, Quarantined);
    for _ in 0..3 {
        scene.bad(1, 10);
        assert_eq!(scene.next_review(), [], "one of three may be ejected");
    }
}

#[test]
fn a_restarting_worker_counts_as_ejected_beyond_its_time_and_is_not_judged() {
    let mut scene = Scene::new(3, Ejection::default());
    scene.set(1, Restarting);
    scene.bad(1, 10);
    scene.bad(0, 10);
    assert_eq!(scene.next_review(), [(0, failing(10, 10))]);
    scene.set(0, Restarting);
    assert_eq!(scene.next_review(), []);
    assert_eq!(scene.health()[..2], [Restarting, Restarting]);
    assert!(scene.detector.has_ejected(WorkerId(0)));
}

#[test]
fn a_worker_made_active_early_is_ejected_again() {
    let mut scene = Scene::new(3, Ejection::default().base_duration(3 * S).max_duration(3 * S));
    scene.bad(1, 10);
    scene.next_review();
    scene.set(1, Active);
    assert_eq!(scene.next_review(), [], "this is not a new ejection");
    assert_eq!(scene.health(), [Active, Ejected, Active]);
    scene.detector.review(&scene.roster, scene.clock.now());
    assert_eq!(scene.detector.changes(&scene.roster), []);
}

#[test]
fn records_survive_changes_of_membership() {
    let mut scene = Scene::new(3, Ejection::default().base_duration(2 * S).max_duration(2 * S));
    scene.bad(1, 10);
    scene.next_review();
    scene.roster = scene.roster.without_worker(WorkerId(0)).unwrap();
    scene.roster = scene.roster.with_workers(&[WorkerSpec::new("new")]).unwrap();
    scene.bad(2, 10);
    assert_eq!(scene.next_review(), [], "a new worker is not judged in its first review");
    assert_eq!(scene.detector.records.len(), 3);
    assert_eq!(scene.health(), [Ejected, Active, Active]);
    scene.bad(2, 10);
    assert_eq!(scene.next_review(), [(1, Readmitted), (3, failing(10, 10))]);
    let counts = scene.roster.members()[0].worker.stats().counts();
    assert_eq!((counts.admitted, counts.failed), (10, 10), "counts survive");
}
