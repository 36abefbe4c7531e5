//! The strategy or the roster is replaced while workers are selected and tasks recorded: no count
//! is lost, and nothing is in flight at the end.
#![cfg(loom)]

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use raddle_core::{
    Completion, Health, Outcome, RecordError, Reservation, Roster, TaskProfile, WorkerSpec,
};
use raddle_loom_tests::{explore, fails_with, roster};
use raddle_strategies::{LeastLoaded, RoundRobin, Strategy, reserve};
use raddle_sync::Snapshot;
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// A pool whose strategy can be swapped.
trait Pool: Send + Sync + 'static {
    type Reserved<'p>;

    fn new() -> Self;
    fn select(&self) -> Self::Reserved<'_>;
    fn finish(&self, reserved: Self::Reserved<'_>);
    fn swap(&self);
    /// Returns the tasks in flight and the tasks completed.
    fn counts(&self) -> (u64, u64);
}

struct RealPool {
    strategy: Snapshot<Box<dyn Strategy>>,
    roster: Roster,
}

impl Pool for RealPool {
    type Reserved<'p> = Reservation<'p>;

    fn new() -> Self {
        let strategy: Box<dyn Strategy> = Box::new(LeastLoaded::new());
        Self { strategy: Snapshot::new(Arc::new(strategy)), roster: roster(2) }
    }
    fn select(&self) -> Reservation<'_> {
        let (strategy, task) = (self.strategy.load(), TaskProfile::default());
        reserve(&**strategy, &task, &self.roster).unwrap()
    }
    fn finish(&self, reserved: Reservation<'_>) {
        reserved.finish(Outcome::Completed, Duration::ZERO);
    }
    fn swap(&self) {
        self.strategy.store(Arc::new(Box::new(RoundRobin::new())));
    }
    fn counts(&self) -> (u64, u64) {
        let stats = self.roster.members().iter().map(|member| member.worker.stats());
        stats.fold((0, 0), |(in_flight, completed), stats| {
            (in_flight + stats.in_flight(), completed + stats.counts().completed)
        })
    }
}

/// A strategy that keeps the counts itself.
#[derive(Default)]
struct Learned {
    in_flight: AtomicU64,
    completed: AtomicU64,
}

/// A pool of such strategies.
struct Twin(Snapshot<Learned>);

impl Pool for Twin {
    type Reserved<'p> = ();

    fn new() -> Self {
        Self(Snapshot::new(Arc::default()))
    }
    fn select(&self) {
        self.0.load().in_flight.fetch_add(1, Relaxed);
    }
    fn finish(&self, (): ()) {
        // Planted: the counts belong to the strategy. A task selected by the old one and ended
        // under the new one stays in flight in the old one, and was never in flight in the new one.
        let strategy = self.0.load();
        strategy.completed.fetch_add(1, Relaxed);
        strategy.in_flight.fetch_sub(1, Release);
    }
    fn swap(&self) {
        self.0.store(Arc::default());
    }
    fn counts(&self) -> (u64, u64) {
        let strategy = self.0.load();
        (strategy.in_flight.load(Acquire), strategy.completed.load(Relaxed))
    }
}

fn tasks_while_the_strategy_is_swapped<P: Pool>() {
    let pool = Arc::new(P::new());
    let caller = thread::spawn({
        let pool = Arc::clone(&pool);
        move || pool.finish(pool.select())
    });
    let operator = thread::spawn({
        let pool = Arc::clone(&pool);
        move || pool.swap()
    });
    pool.finish(pool.select());
    caller.join().unwrap();
    operator.join().unwrap();
    assert_eq!(pool.counts(), (0, 2), "in flight and completed after both tasks have ended");
}

/// How a roster with a changed worker is derived from another.
type Change = fn(&Roster) -> Roster;

/// Drains the first worker and adds one.
fn changed(roster: &Roster) -> Roster {
    let first = roster.members()[0].worker.id();
    let draining = roster.with_health(first, Health::Draining).unwrap();
    draining.with_workers(&[WorkerSpec::new("added")]).unwrap()
}

/// Creates the changed roster from scratch.
fn recreated(_: &Roster) -> Roster {
    // Planted: the new roster has different workers with the same ids and names, so that a task
    // selected before is in flight at none of them.
    changed(&roster(1))
}

/// A worker is selected from one roster, and its task recorded by the worker's id in the roster
/// current at that time.
fn a_task_while_the_roster_is_swapped(change: Change) {
    let rosters = Arc::new(Snapshot::new(Arc::new(roster(1))));
    let operator = thread::spawn({
        let rosters = Arc::clone(&rosters);
        move || {
            let next = change(&rosters.load());
            rosters.store(Arc::new(next));
        }
    });
    let selected = {
        let (roster, task) = (rosters.load(), TaskProfile::default());
        reserve(&LeastLoaded::new(), &task, &roster).unwrap().detach()
    };
    let end = Completion::new(Outcome::Completed);
    let recorded: Result<(), RecordError> = rosters.load().record(selected, &end);
    assert_eq!(recorded, Ok(()), "the task was lost with the old roster");
    operator.join().unwrap();
    let roster = rosters.load();
    let workers = roster.members().iter().map(|member| &member.worker);
    let (in_flight, completed) = workers.fold((0, 0), |(in_flight, completed), worker| {
        let stats = worker.stats();
        (in_flight + stats.in_flight(), completed + stats.counts().completed)
    });
    assert_eq!(roster.members().len(), 2);
    assert_eq!((in_flight, completed), (0, 1), "the task was lost with the old roster");
}

#[test]
fn swapping_the_strategy_loses_no_count() {
    explore("strategy swap", 2, tasks_while_the_strategy_is_swapped::<RealPool>);
}

#[test]
fn counts_kept_by_the_strategy_are_lost() {
    let expected = "in flight and completed after both";
    fails_with("counts in the strategy", 2, expected, tasks_while_the_strategy_is_swapped::<Twin>);
}

#[test]
fn swapping_the_roster_loses_no_count() {
    explore("roster swap", 3, || a_task_while_the_roster_is_swapped(changed));
}

#[test]
fn a_roster_of_new_workers_loses_the_task() {
    fails_with("recreated workers", 2, "the task was lost with the old roster", || {
        a_task_while_the_roster_is_swapped(recreated);
    });
}
