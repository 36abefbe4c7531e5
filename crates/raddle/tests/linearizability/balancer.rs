//! The balancer: selecting, finishing, releasing, detaching, recording, closing and reading
//! statistics.
//!
//! # Specified
//! - A selection returns a worker that is open at that moment, and fails only if all are closed.
//! - Recording by id succeeds if and only if the worker has a detached task that is not recorded.
//! - The number of completed tasks, summed over all workers, is exact at one moment of the reading:
//!   it never falls and includes every end that had returned.
//! - The number in flight is never too low.
//! - Once all threads have stopped, every number is exact.
//!
//! # Not specified
//! - The number in flight may be too high, by tasks that are admitted, released or ended meanwhile;
//!   the number admitted may be too high, by those that are being refused.
//! - Two numbers of one report need not belong to the same moment. Recording by id has two steps:
//!   it takes the task, then counts its end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use raddle::strategies::{Balancer, RoundRobin, SelectError};
use raddle::{Outcome, OwnedReservation, Roster, TaskProfile, Worker, WorkerSpec};
use stateright::semantics::SequentialSpec;

use crate::history::{History, Log, Stage, hold, refute};

const WORKERS: usize = 2;
const THREADS: usize = 3;
const STEPS: usize = 4;
/// Each takes some microseconds.
const HISTORIES: u64 = 3_000;

/// The state between calls if they came one after the other.
#[derive(Clone, Debug, Default)]
struct Sequential {
    closed: [bool; WORKERS],
    in_flight: [u64; WORKERS],
    detached: [u64; WORKERS],
    /// Detached tasks that were taken and have not ended.
    taken: [u64; WORKERS],
    completed: u64,
}

#[derive(Clone, Debug)]
enum Op {
    Select,
    Finish(usize),
    Release(usize),
    Detach(usize),
    /// The first step of recording by id.
    Take(usize),
    /// The second.
    EndTaken(usize),
    Close(usize),
    IsClosed(usize),
    Completed,
    InFlight(usize),
    /// Tasks in flight once all threads have stopped.
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
            (Op::Release(worker), Ret::Done) => {
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

/// A balancer and its workers.
trait Balancing: Sync {
    type Reservation: Send;

    fn select(&self) -> Option<Self::Reservation>;
    fn worker(reservation: &Self::Reservation) -> usize;
    fn finish(&self, reservation: Self::Reservation);
    fn release(&self, reservation: Self::Reservation);
    fn detach(&self, reservation: Self::Reservation);
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
    type Reservation = OwnedReservation;

    fn select(&self) -> Option<OwnedReservation> {
        let task = TaskProfile::default();
        match self.balancer.select(&task, &self.roster) {
            Ok(reservation) => Some(reservation.into_owned()),
            Err(error) => {
                assert_eq!(error, SelectError::Closed);
                None
            }
        }
    }
    fn worker(reservation: &OwnedReservation) -> usize {
        reservation.position()
    }
    fn finish(&self, reservation: OwnedReservation) {
        reservation.finish(Outcome::Completed, Duration::ZERO);
    }
    fn release(&self, reservation: OwnedReservation) {
        drop(reservation);
    }
    fn detach(&self, reservation: OwnedReservation) {
        reservation.detach();
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
    /// No bug: the implementation itself must not be refuted.
    None,
    /// Checks whether the worker is closed, then admits.
    ChecksThenAdmits,
    /// Counts an end by a load and a store.
    LoadsThenStores,
    /// Checks whether there is a detached task, then takes it.
    ChecksThenTakes,
    /// Reads the admitted tasks before the ended ones.
    AdmittedFirst,
    /// Counts an end after it has returned.
    CountsLate,
}

/// A balancer with a bug, at which it yields so that few histories are enough.
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
    type Reservation = usize;

    fn select(&self) -> Option<usize> {
        let first = self.next.fetch_add(1, SeqCst) as usize;
        (first..first + WORKERS).map(|worker| worker % WORKERS).find(|worker| {
            let words = &self.workers[*worker];
            let closed = words.closed.load(SeqCst);
            self.pause(Bug::ChecksThenAdmits);
            words.admitted.fetch_add(1, SeqCst);
            let closed =
                if self.bug == Bug::ChecksThenAdmits { closed } else { words.closed.load(SeqCst) };
            words.admitted.fetch_sub(u64::from(closed), SeqCst);
            !closed
        })
    }
    fn worker(reservation: &usize) -> usize {
        *reservation
    }
    fn finish(&self, reservation: usize) {
        self.end(reservation);
    }
    fn release(&self, reservation: usize) {
        self.workers[reservation].admitted.fetch_sub(1, SeqCst);
    }
    fn detach(&self, reservation: usize) {
        self.workers[reservation].detached.fetch_add(1, SeqCst);
    }
    fn record(&self, worker: usize) -> bool {
        let detached = &self.workers[worker].detached;
        let taken = if self.bug == Bug::ChecksThenTakes {
            let some = detached.load(SeqCst) > 0;
            self.pause(Bug::ChecksThenTakes);
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

/// Runs the steps of one thread, and returns the reservations that it still holds.
fn act<B: Balancing>(
    balancer: &B,
    rng: &mut Rng,
    log: &mut Log<'_, Sequential>,
) -> Vec<B::Reservation> {
    let mut held = Vec::new();
    for _ in 0..STEPS {
        let (worker, read) = (rng.usize(..WORKERS), |count: &u64| Ret::Count(*count));
        let reservation = if rng.bool() { held.pop() } else { None };
        if let Some(reservation) = reservation {
            let at = B::worker(&reservation);
            match rng.u8(..4) {
                0 => log.call(Op::Release(at), || balancer.release(reservation), |()| Ret::Done),
                1 => log.call(Op::Detach(at), || balancer.detach(reservation), |()| Ret::Done),
                _ => log.call(Op::Finish(at), || balancer.finish(reservation), |()| Ret::Done),
            }
            continue;
        }
        match rng.u8(..16) {
            0..=6 => {
                let of = |reservation: &Option<B::Reservation>| {
                    Ret::Worker(reservation.as_ref().map(B::worker))
                };
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
    // All threads have stopped.
    let mut last = stage.log();
    let read = |count: &u64| Ret::Count(*count);
    last.call(Op::Completed, || balancer.completed(), read);
    for worker in 0..WORKERS {
        last.call(Op::Left(worker), || balancer.in_flight(worker), read);
    }
    History::of(logs.into_iter().chain([last]))
}

#[test]
fn a_balancer_is_linearizable() {
    hold("balancer", HISTORIES, |seed| take(Shipped::new(), seed));
}

#[test]
fn a_balancer_without_a_bug_is_not_refuted() {
    hold("balancer without a bug", HISTORIES, |seed| take(Tampered::with(Bug::None), seed));
}

fn refuted(name: &str, bug: Bug) {
    refute(name, |seed| take(Tampered::with(bug), seed));
}

#[test]
fn admitting_after_a_check_is_refuted() {
    refuted("checks, then admits", Bug::ChecksThenAdmits);
}

#[test]
fn losing_an_end_is_refuted() {
    refuted("ends by load and store", Bug::LoadsThenStores);
}

#[test]
fn recording_a_task_twice_is_refuted() {
    refuted("checks, then takes", Bug::ChecksThenTakes);
}

#[test]
fn reading_admissions_first_is_refuted() {
    refuted("admissions read first", Bug::AdmittedFirst);
}

#[test]
fn counting_late_is_refuted() {
    refuted("counts late", Bug::CountsLate);
}
