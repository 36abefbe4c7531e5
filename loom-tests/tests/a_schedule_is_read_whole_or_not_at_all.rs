//! Weighted round robin takes a turn while another thread works out a schedule: it is the turn of
//! the schedule for its own roster, or of plain rotation, and never of one that is half written.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::{Clock, Health, Roster, TaskProfile, Tracking, WorkerSpec};
use raddle_loom_tests::{explore, fails_with};
use raddle_strategies::{Strategy, WeightedRoundRobin};
use raddle_sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

trait Rotation: Send + Sync + 'static {
    /// Works out a schedule.
    fn refresh(&self);
    /// Takes a turn.
    fn turn(&self) -> usize;
}

struct Real {
    strategy: WeightedRoundRobin,
    /// The roster whose schedule is worked out.
    written: Roster,
    /// The roster from which the turn is taken.
    read: Roster,
}

/// Workers of the weights 1, 1, 3, whose smooth order is 2 0 2 1 2.
fn workers() -> Roster {
    Roster::builder()
        .workers(2, WorkerSpec::new("light"))
        .worker(WorkerSpec::new("heavy").weight(3))
        .tracking(Tracking { enabled: false, ..Tracking::default() })
        .clock(Clock::simulated().0)
        .build()
        .unwrap()
}

impl Real {
    /// A rotation that has so many turns from the schedule of `first` behind it.
    fn after(turns: usize, first: &Roster, written: Roster, read: Roster) -> Self {
        let real = Self { strategy: WeightedRoundRobin::fixed(), written, read };
        for turn in &[2, 0, 2, 1, 2][..turns] {
            assert_eq!(real.pick(first), *turn);
        }
        real
    }

    /// About to take turn 4: the schedule's is worker 2 and plain rotation's worker 1. Worker 0 is
    /// what an arena says that is not written yet.
    fn first_schedule() -> Self {
        let old = workers();
        // The same workers in another version, for which there is no schedule yet.
        let new = old.with_health(old.members()[0].worker.id(), Health::Active).unwrap();
        Self::after(4, &old, new.clone(), new)
    }

    /// About to take turn 3 from the old roster: the schedule's is worker 1 and plain rotation's
    /// worker 0. Worker 2 is what the schedule of the new roster says there: 2 0 1 2 3 2.
    fn next_schedule() -> Self {
        let old = workers();
        let new = old.with_workers(&[WorkerSpec::new("added")]).unwrap();
        Self::after(3, &old, new, old.clone())
    }

    fn pick(&self, roster: &Roster) -> usize {
        self.strategy.pick(&TaskProfile::default(), &roster.candidates(None))
    }
}

impl Rotation for Real {
    fn refresh(&self) {
        self.strategy.refresh(&self.written);
    }
    fn turn(&self) -> usize {
        self.pick(&self.read)
    }
}

/// A table for one turn, with a bug planted.
struct Twin {
    bug: Bug,
    ready: AtomicBool,
    turn: AtomicU32,
    written: u32,
    plain: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// The header is switched over by a Relaxed store: it may be seen before the schedule.
    RelaxedHeader,
    /// The header is switched over before the schedule is written.
    EarlyHeader,
    /// The schedule is written into the side that is in use.
    SameSide,
}

impl Twin {
    /// As [`Real::first_schedule`].
    fn first_schedule(bug: Bug) -> Self {
        let (ready, turn) = (AtomicBool::new(false), AtomicU32::new(0));
        Self { bug, ready, turn, written: 2, plain: 1 }
    }

    /// As [`Real::next_schedule`].
    fn next_schedule(bug: Bug) -> Self {
        let (ready, turn) = (AtomicBool::new(true), AtomicU32::new(1));
        Self { bug, ready, turn, written: 2, plain: 0 }
    }
}

impl Rotation for Twin {
    fn refresh(&self) {
        match self.bug {
            Bug::RelaxedHeader => {
                self.turn.store(self.written, Relaxed);
                self.ready.store(true, Relaxed); // Planted.
            }
            Bug::EarlyHeader => {
                self.ready.store(true, Release); // Planted.
                self.turn.store(self.written, Relaxed);
            }
            Bug::SameSide => self.turn.store(self.written, Relaxed), // Planted.
        }
    }
    fn turn(&self) -> usize {
        if self.ready.load(Acquire) { self.turn.load(Relaxed) as usize } else { self.plain }
    }
}

fn model(rotation: impl Rotation, torn: usize) {
    let rotation = Arc::new(rotation);
    let caller = thread::spawn({
        let rotation = Arc::clone(&rotation);
        move || {
            let turn = rotation.turn();
            assert_ne!(turn, torn, "the turn is of a schedule that is half written");
        }
    });
    rotation.refresh();
    caller.join().unwrap();
}

#[test]
fn the_schedule_of_the_turn_is_written() {
    explore("schedule, its own", 3, || model(Real::first_schedule(), 0));
}

#[test]
fn the_next_schedule_is_written() {
    explore("schedule, the next", 3, || model(Real::next_schedule(), 2));
}

#[test]
fn a_header_switched_wrongly_shows_half_a_schedule() {
    for (name, bug) in [("relaxed header", Bug::RelaxedHeader), ("early header", Bug::EarlyHeader)]
    {
        fails_with(name, 2, "half written", move || model(Twin::first_schedule(bug), 0));
    }
}

#[test]
fn writing_the_side_in_use_shows_the_next_schedule() {
    let twin = || Twin::next_schedule(Bug::SameSide);
    fails_with("side in use", 2, "half written", move || model(twin(), 2));
}
