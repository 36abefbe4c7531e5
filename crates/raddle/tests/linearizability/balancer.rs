//! The balancer: select, end, give back, let go, record, close, and what reports read.
//!
//! # What is specified
//! - A selection is of a worker that is not closed at that moment, and is refused only where all are.
//! - A record by id succeeds where a task was let go that nobody has recorded, and only there.
//! - The number of completed tasks, over all workers, is exact at one moment of the reading: it never
//!   falls and has every end that had returned.
//! - What is in flight is never too little.
//! - When nobody does anything, all is exact.
//!
//! # What is not
//! - In flight may be too high, by what is admitted, taken back or ended meanwhile; admissions may be
//!   too high by those that are being refused.
//! - Two figures of one report are not of one moment. A record by id is two steps: it takes the task,
//!   then counts its end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use raddle::core::OwnedReservation;
use raddle::prelude::*;
use stateright::semantics::SequentialSpec;

use crate::history::{History, Log, Stage, hold, refute};

const WORKERS: usize = 2;
const THREADS: usize = 3;
const STEPS: usize = 4;
/// Some microseconds each.
const HISTORIES: u64 = 3_000;

/// What is between calls, were there one after the other.
#[derive(Clone, Debug, Default)]
struct Sequential {
    closed: [bool; WORKERS],
    in_flight: [u64; WORKERS],
    detached: [u64; WORKERS],
    /// Taken, and not ended.
    taken: [u64; WORKERS],
    completed: u64,
}

#[derive(Clone, Debug)]
enum Op {
    Select,
    Finish(usize),
    GiveBack(usize),
    Detach(usize),
    /// The first step of a record by id.
    Take(usize),
    /// The second.
    EndTaken(usize),
    Close(usize),
    IsClosed(usize),
    Completed,
    InFlight(usize),
    /// What is in flight when nobody does anything.
    Left(usize),
}

#[derive(Clone, Debug, PartialEq)]
enum Ret {
    Done,
    Worker(Option<usize>),
    Is(bool),
    Count(u64),
}

impl Sequential {
    fn end(&mut self, worker: usize) -> bool {
        self.in_flight[worker] -= 1;
        self.completed += 1;
        true
    }
}

impl SequentialSpec for Sequential {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, _: &Op) -> Ret {
        unreachable!("every operation has returned")
    }

    fn is_valid_step(&mut self, op: &Op, ret: &Ret) -> bool {
        match (op, ret) {
            (Op::Select, Ret::Worker(Some(worker))) => {
                self.in_flight[*worker] += 1;
                !self.closed[*worker]
            }
            (Op::Select, Ret::Worker(None)) => self.closed.iter().all(|closed| *closed),
            (Op::Finish(worker), Ret::Done) => self.end(*worker),
            (Op::EndTaken(worker), Ret::Done) => {
                let is_taken = self.taken[*worker] > 0;
                is_taken && {
                    self.taken[*worker] -= 1;
                    self.end(*worker)
                }
            }
            (Op::GiveBack(worker), Ret::Done) => {
                self.in_flight[*worker] -= 1;
                true
            }
            (Op::Detach(worker), Ret::Done) => {
                self.detached[*worker] += 1;
                true
            }
            (Op::Take(worker), Ret::Is(taken)) => {
                let some = self.detached[*worker] > 0;
                self.detached[*worker] -= u64::from(some);
                self.taken[*worker] += u64::from(some);
                some == *taken
            }
            (Op::Close(worker), Ret::Done) => {
                self.closed[*worker] = true;
                true
            }
            (Op::IsClosed(worker), Ret::Is(closed)) => self.closed[*worker] == *closed,
            (Op::Completed, Ret::Count(count)) => self.completed == *count,
            (Op::InFlight(worker), Ret::Count(count)) => self.in_flight[*worker] <= *count,
            (Op::Left(worker), Ret::Count(count)) => self.in_flight[*worker] == *count,
            _ => false,
        }
    }
}

/// A balancer over its workers.
trait Balancing: Sync {
    type Place: Send;

    fn select(&self) -> Option<Self::Place>;
    fn worker(place: &Self::Place) -> usize;
    fn finish(&self, place: Self::Place);
    fn give_back(&self, place: Self::Place);
    fn detach(&self, place: Self::Place);
    fn record(&self, worker: usize) -> bool;
    fn close(&self, worker: usize);
    fn is_closed(&self, worker: usize) -> bool;
    fn completed(&self) -> u64;
    fn in_flight(&self, worker: usize) -> u64;
}

struct Shipped {
    balancer: Balancer,
    roster: Roster,
}

impl Shipped {
    fn new() -> Self {
        let roster = Roster::builder().workers(WORKERS, WorkerSpec::general()).build().unwrap();
        Self { balancer: Balancer::new(RoundRobin::new()).unwrap(), roster }
    }

    fn at(&self, worker: usize) -> &Worker {
        &self.roster.members()[worker].worker
    }
}

impl Balancing for Shipped {
    type Place = OwnedReservation;

    fn select(&self) -> Option<OwnedReservation> {
        let task = TaskProfile::default();
        match self.balancer.select(&task, &self.roster) {
            Ok(place) => Some(place.into_owned()),
            Err(error) => {
                assert_eq!(error, SelectError::Closed);
                None
            }
        }
    }
    fn worker(place: &OwnedReservation) -> usize {
        place.position()
    }
    fn finish(&self, place: OwnedReservation) {
        place.finish(Outcome::Completed, Duration::ZERO);
    }
    fn give_back(&self, place: OwnedReservation) {
        drop(place);
    }
    fn detach(&self, place: OwnedReservation) {
        place.detach();
    }
    fn record(&self, worker: usize) -> bool {
        let (id, task) = (self.at(worker).id(), TaskProfile::default());
        let (outcome, took) = (Outcome::Completed, Duration::ZERO);
        self.balancer.record(&self.roster, id, &task, outcome, took).is_ok()
    }
    fn close(&self, worker: usize) {
        self.at(worker).close();
    }
    fn is_closed(&self, worker: usize) -> bool {
        self.at(worker).stats().is_closed()
    }
    fn completed(&self) -> u64 {
        let stats = self.balancer.stats(&self.roster);
        stats.workers.iter().map(|worker| worker.counts.completed).sum()
    }
    fn in_flight(&self, worker: usize) -> u64 {
        self.at(worker).stats().in_flight()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// The twin itself, which must hold: what it is refuted for is its bug.
    None,
    /// Looks whether the worker is closed, then admits.
    LooksThenAdmits,
    /// Counts an end by a load and a store.
    LoadsThenStores,
    /// Looks whether a task was let go, then takes it.
    LooksThenTakes,
    /// Reads what was admitted before what has ended.
    AdmittedFirst,
    /// Returns from an end before that is counted.
    CountsLate,
}

/// A balancer with a bug. It yields where the bug is, so that few histories are enough.
struct Tampered {
    bug: Bug,
    next: AtomicU64,
    workers: [Words; WORKERS],
    completed: AtomicU64,
    /// Ends that are not counted yet.
    late: AtomicU64,
}

#[derive(Default)]
struct Words {
    closed: AtomicBool,
    admitted: AtomicU64,
    ended: AtomicU64,
    detached: AtomicU64,
}

impl Tampered {
    fn with(bug: Bug) -> Self {
        let [next, completed, late] = Default::default();
        Self { bug, next, workers: Default::default(), completed, late }
    }

    fn pause(&self, bug: Bug) {
        if self.bug == bug {
            thread::yield_now();
        }
    }

    fn end(&self, worker: usize) {
        match self.bug {
            Bug::LoadsThenStores => {
                let completed = self.completed.load(SeqCst);
                self.pause(Bug::LoadsThenStores);
                self.completed.store(completed + 1, SeqCst);
            }
            // Counted with the next.
            Bug::CountsLate => {
                let late = self.late.swap(1, SeqCst);
                self.completed.fetch_add(late, SeqCst);
            }
            _ => _ = self.completed.fetch_add(1, SeqCst),
        }
        self.workers[worker].ended.fetch_add(1, SeqCst);
    }
}

impl Balancing for Tampered {
    type Place = usize;

    fn select(&self) -> Option<usize> {
        let first = self.next.fetch_add(1, SeqCst) as usize;
        (first..first + WORKERS).map(|worker| worker % WORKERS).find(|worker| {
            let words = &self.workers[*worker];
            let closed = words.closed.load(SeqCst);
            self.pause(Bug::LooksThenAdmits);
            words.admitted.fetch_add(1, SeqCst);
            let closed =
                if self.bug == Bug::LooksThenAdmits { closed } else { words.closed.load(SeqCst) };
            words.admitted.fetch_sub(u64::from(closed), SeqCst);
            !closed
        })
    }
    fn worker(place: &usize) -> usize {
        *place
    }
    fn finish(&self, place: usize) {
        self.end(place);
    }
    fn give_back(&self, place: usize) {
        self.workers[place].admitted.fetch_sub(1, SeqCst);
    }
    fn detach(&self, place: usize) {
        self.workers[place].detached.fetch_add(1, SeqCst);
    }
    fn record(&self, worker: usize) -> bool {
        let detached = &self.workers[worker].detached;
        let taken = if self.bug == Bug::LooksThenTakes {
            let some = detached.load(SeqCst) > 0;
            self.pause(Bug::LooksThenTakes);
            detached.fetch_sub(u64::from(some), SeqCst);
            some
        } else {
            detached.fetch_update(SeqCst, SeqCst, |count| count.checked_sub(1)).is_ok()
        };
        if taken {
            self.end(worker);
        }
        taken
    }
    fn close(&self, worker: usize) {
        self.workers[worker].closed.store(true, SeqCst);
    }
    fn is_closed(&self, worker: usize) -> bool {
        self.workers[worker].closed.load(SeqCst)
    }
    fn completed(&self) -> u64 {
        self.completed.load(SeqCst)
    }
    fn in_flight(&self, worker: usize) -> u64 {
        let Words { admitted, ended, .. } = &self.workers[worker];
        if self.bug == Bug::AdmittedFirst {
            let admitted = admitted.load(SeqCst);
            self.pause(Bug::AdmittedFirst);
            return admitted.saturating_sub(ended.load(SeqCst));
        }
        let ended = ended.load(SeqCst);
        admitted.load(SeqCst).saturating_sub(ended)
    }
}

/// One thread's steps. What it still has at the end it keeps.
fn act<B: Balancing>(balancer: &B, rng: &mut Rng, log: &mut Log<'_, Sequential>) -> Vec<B::Place> {
    let mut held = Vec::new();
    for _ in 0..STEPS {
        let (worker, read) = (rng.usize(..WORKERS), |count: &u64| Ret::Count(*count));
        let place = if rng.bool() { held.pop() } else { None };
        if let Some(place) = place {
            let at = B::worker(&place);
            match rng.u8(..4) {
                0 => log.call(Op::GiveBack(at), || balancer.give_back(place), |()| Ret::Done),
                1 => log.call(Op::Detach(at), || balancer.detach(place), |()| Ret::Done),
                _ => log.call(Op::Finish(at), || balancer.finish(place), |()| Ret::Done),
            }
            continue;
        }
        match rng.u8(..16) {
            0..=6 => {
                let of = |place: &Option<B::Place>| Ret::Worker(place.as_ref().map(B::worker));
                held.extend(log.call(Op::Select, || balancer.select(), of));
            }
            7..=8 => {
                let taken =
                    log.call(Op::Take(worker), || balancer.record(worker), |taken| Ret::Is(*taken));
                if taken {
                    log.and(Op::EndTaken(worker), Ret::Done);
                }
            }
            9 => log.call(Op::Close(worker), || balancer.close(worker), |()| Ret::Done),
            10 => {
                let is_closed = || balancer.is_closed(worker);
                log.call(Op::IsClosed(worker), is_closed, |closed| Ret::Is(*closed));
            }
            11..=13 => _ = log.call(Op::Completed, || balancer.completed(), read),
            _ => _ = log.call(Op::InFlight(worker), || balancer.in_flight(worker), read),
        }
    }
    held
}

fn take<B: Balancing>(balancer: B, seed: u64) -> History<Sequential> {
    let (stage, mut seeds) = (Stage::new(THREADS), Rng::with_seed(seed));
    let (logs, _held): (Vec<_>, Vec<_>) = thread::scope(|scope| {
        let (stage, balancer) = (&stage, &balancer);
        let threads = [(); THREADS].map(|()| {
            let mut rng = seeds.fork();
            scope.spawn(move || {
                let mut log = stage.log();
                let held = act(balancer, &mut rng, &mut log);
                (log, held)
            })
        });
        threads.into_iter().map(|thread| thread.join().unwrap()).unzip()
    });
    // Then nobody does anything.
    let mut last = stage.log();
    let read = |count: &u64| Ret::Count(*count);
    last.call(Op::Completed, || balancer.completed(), read);
    for worker in 0..WORKERS {
        last.call(Op::Left(worker), || balancer.in_flight(worker), read);
    }
    History::of(logs.into_iter().chain([last]))
}

#[test]
fn a_balancer_is_as_specified() {
    hold("balancer", HISTORIES, |seed| take(Shipped::new(), seed));
}

#[test]
fn one_without_a_bug_is_as_specified() {
    hold("twin of the balancer", HISTORIES, |seed| take(Tampered::with(Bug::None), seed));
}

fn refuted(name: &str, bug: Bug) {
    refute(name, |seed| take(Tampered::with(bug), seed));
}

#[test]
fn one_that_looks_then_admits_is_not() {
    refuted("looks, then admits", Bug::LooksThenAdmits);
}

#[test]
fn one_that_loses_an_end_is_not() {
    refuted("ends by load and store", Bug::LoadsThenStores);
}

#[test]
fn one_that_records_a_task_twice_is_not() {
    refuted("looks, then takes", Bug::LooksThenTakes);
}

#[test]
fn one_that_reads_admissions_first_is_not() {
    refuted("admissions read first", Bug::AdmittedFirst);
}

#[test]
fn one_that_counts_late_is_not() {
    refuted("counts late", Bug::CountsLate);
}
