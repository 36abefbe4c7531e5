//! What counts against a worker is forgotten once something refutes it.
#![cfg(not(loom))]

use std::sync::Arc;
use std::time::Duration;

use raddle_core::{
    Clock, Completion, Health, Outcome, Reservation, Roster, SerialRecorder, VirtualTime, Worker,
    WorkerSpec,
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// Two workers: one to judge, and one that has set the pool's mean to a millisecond.
struct Scene {
    roster: Roster,
    time: VirtualTime,
    now: u64,
    recorder: SerialRecorder,
}

impl Scene {
    fn new() -> Self {
        let (clock, time) = Clock::simulated();
        let roster = Roster::builder().workers(2, WorkerSpec::general()).clock(clock);
        let roster = roster.build().unwrap();
        for _ in 0..100 {
            let taken = Reservation::take(&roster.members()[1].worker, 1, None).unwrap();
            taken.finish(Outcome::Completed, Duration::from_nanos(MS));
        }
        let recorder = roster.members()[0].worker.recorder().unwrap();
        Self { roster, time, now: 1, recorder }
    }

    /// A worker that has failed for long.
    fn failing() -> Self {
        let mut scene = Self::new();
        scene.run(Outcome::Completed, MS, 1);
        scene.run(Outcome::Failed, MS / 100, 100);
        assert!(scene.is_failing());
        scene
    }

    fn worker(&self) -> &Arc<Worker> {
        &self.roster.members()[0].worker
    }

    /// Runs tasks without a break, and idles from then on.
    fn run(&mut self, outcome: Outcome, service: u64, tasks: usize) {
        for _ in 0..tasks {
            let _ = Reservation::take(self.worker(), 0, None).unwrap().hand_over();
            self.recorder.start(self.now);
            self.wait(service);
            self.recorder.end(&Completion { service, at: self.now, ..Completion::new(outcome) });
        }
        self.recorder.mark_idle(self.now);
    }

    fn wait(&mut self, nanos: u64) {
        self.now += nanos;
        self.time.set(self.now);
    }

    fn is_failing(&self) -> bool {
        let published = self.roster.candidates(None).signals_at(0).unwrap().is_failing();
        assert_eq!(published, self.worker().stats().is_failing());
        published
    }

    fn has_expired(&self) -> bool {
        self.roster.candidates(None).signals_at(0).unwrap().has_expired(self.now)
    }

    /// Returns the mean in milliseconds.
    fn mean(&self) -> u64 {
        self.worker().stats().recent_mean() / MS
    }
}

#[test]
fn what_counts_against_a_worker_expires_while_it_is_idle() {
    let mut scene = Scene::new();
    scene.run(Outcome::Completed, 30 * MS, 100);
    let due = 100 * scene.worker().stats().recent_mean();
    scene.wait(due);
    assert!(!scene.has_expired());
    scene.wait(100);
    assert!(scene.has_expired());
    let mut failing = Scene::failing();
    let due = 10 * failing.worker().stats().recent_mean();
    failing.wait(due.max(100 * MS));
    assert!(!failing.has_expired());
    failing.wait(10);
    assert!(failing.has_expired(), "ten times the mean of failures");
}

#[test]
fn a_quick_success_after_that_refutes_it_and_nothing_else_does() {
    for (outcome, service, refuted) in [
        (Outcome::Completed, MS, true),
        (Outcome::Completed, 2 * MS, false),
        (Outcome::Failed, MS, false),
    ] {
        let mut scene = Scene::failing();
        scene.wait(10 * SECOND);
        scene.run(outcome, service, 1);
        assert_eq!(!scene.is_failing(), refuted, "{outcome:?} in {service}");
        assert_eq!(scene.mean() < 2, refuted, "{outcome:?} in {service}: {}", scene.mean());
        assert_eq!(scene.worker().stats().history(None) > 1.2, refuted);
    }
    let mut soon = Scene::failing();
    soon.run(Outcome::Completed, MS, 1);
    assert!(soon.is_failing(), "it was not idle for long");
}

#[test]
fn ends_by_any_thread_refute_it_too() {
    let (clock, time) = Clock::simulated();
    let roster = Roster::builder().workers(1, WorkerSpec::general()).clock(clock).build().unwrap();
    let worker = &roster.members()[0].worker;
    let end = |at: u64, outcome, took: u64| {
        let taken = Reservation::take_at(worker, 0, None, at).unwrap();
        time.set(at + took);
        taken.finish(outcome, Duration::from_nanos(took));
        worker.stats().is_failing()
    };
    assert!(!end(1, Outcome::Completed, MS));
    (1..50).for_each(|n| _ = end(n * MS, Outcome::Failed, 1));
    assert!(end(50 * MS, Outcome::Failed, 1));
    assert!(end(60 * MS, Outcome::Completed, MS), "not idle for long");
    assert!(!end(10 * SECOND, Outcome::Completed, MS));
}

#[test]
fn four_usual_latencies_in_a_row_shorten_a_long_mean() {
    let mut scene = Scene::new();
    scene.run(Outcome::Completed, MS, 5);
    scene.run(Outcome::Completed, 60 * SECOND, 1);
    scene.run(Outcome::Completed, MS, 3);
    assert!(scene.mean() > 1_000);
    scene.run(Outcome::Completed, MS, 2);
    assert_eq!(scene.mean(), 3, "as long as is not slow, and so it expires soon");
}

#[test]
fn readmission_refutes_it_until_the_next_failure() {
    let mut scene = Scene::failing();
    let id = scene.worker().id();
    for _ in 0..3 {
        let aside = scene.roster.with_health(id, Health::Ejected).unwrap();
        assert!(scene.is_failing(), "while it is ejected");
        scene.roster = aside.with_health(id, Health::Active).unwrap();
        assert!(!scene.is_failing());
        assert_eq!(scene.mean(), 0, "unknown");
        assert!(scene.worker().stats().history(None) >= 1.0);
        scene.run(Outcome::Failed, MS, 1);
        assert!(scene.is_failing());
    }
}

#[test]
fn a_restart_refutes_it_if_the_last_one_helped() {
    let mut scene = Scene::failing();
    scene.worker().next_generation();
    assert!(!scene.is_failing());
    scene.run(Outcome::Failed, MS, 1);
    scene.worker().next_generation();
    assert!(scene.is_failing(), "nothing has succeeded since");
    scene.run(Outcome::Completed, MS, 1);
    scene.worker().next_generation();
    assert!(!scene.is_failing());
}
