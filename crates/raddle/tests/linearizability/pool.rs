//! The pool: tell, ask, shut down, and what its account says meanwhile.
//!
//! # What is specified
//! - A task is refused after the pool was closed and never before; each refusal is counted before the
//!   task is back.
//! - The number of completed tasks is exact at one moment of the reading: it never falls, is never
//!   above the number of the admitted, and has every task whose answer was there.
//! - A shutdown closes the pool at one moment, and returns when every task that was admitted has ended,
//!   with the account of exactly those.
//!
//! # What is not
//! - When a task that was told is run: at some moment after it was admitted.
//! - That the figures of one account are of one moment, or that as many are admitted as it says, before
//!   the pool has been shut down. Workers that come and go: there are none here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;
use raddle::prelude::*;
use stateright::semantics::SequentialSpec;

use crate::history::{History, Log, Stage, hold, refute};

const WORKERS: usize = 2;
const CLIENTS: usize = 2;
const STEPS: usize = 4;
/// A fifth of a millisecond each, most of it for the pool's threads.
const HISTORIES: u64 = 1_000;

#[derive(Clone, Debug, Default)]
struct Sequential {
    closed: bool,
    admitted: u64,
    rejected: u64,
    /// Tasks whose answer was there.
    answered: u64,
    /// So many have completed, as it was read.
    completed: u64,
}

#[derive(Clone, Debug)]
enum Op {
    /// A tell, or the first step of an ask.
    Give,
    /// The second: to wait for the answer.
    Answer,
    Completed,
    Rejected,
    /// The beginning of a shutdown.
    Close,
    /// Its end.
    Drained,
}

#[derive(Clone, Debug, PartialEq)]
enum Ret {
    Done,
    Is(bool),
    Count(u64),
    /// Completed and cancelled.
    Ended(u64, u64),
}

impl SequentialSpec for Sequential {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, _: &Op) -> Ret {
        unreachable!("every operation has returned")
    }

    fn is_valid_step(&mut self, op: &Op, ret: &Ret) -> bool {
        match (op, ret) {
            (Op::Give, Ret::Is(admitted)) => {
                self.admitted += u64::from(*admitted);
                self.rejected += u64::from(!*admitted);
                *admitted != self.closed
            }
            (Op::Answer, Ret::Done) => {
                self.answered += 1;
                self.answered <= self.admitted
            }
            (Op::Completed, Ret::Count(count)) => {
                let least = self.completed.max(self.answered);
                self.completed = *count;
                (least..=self.admitted).contains(count)
            }
            (Op::Rejected, Ret::Count(count)) => self.rejected == *count,
            (Op::Close, Ret::Done) => {
                self.closed = true;
                true
            }
            (Op::Drained, Ret::Ended(completed, cancelled)) => {
                let least = self.completed.max(self.answered);
                self.completed = *completed;
                self.closed && *completed >= least && completed + cancelled == self.admitted
            }
            _ => false,
        }
    }
}

/// A pool, as its callers have it.
trait Pooled: Sync {
    type Answer;

    /// Whether it was admitted.
    fn tell(&self) -> bool;
    fn ask(&self) -> Option<Self::Answer>;
    fn wait(answer: Self::Answer);
    fn completed(&self) -> u64;
    fn rejected(&self) -> u64;
    /// How many tasks have completed, and how many were cancelled.
    fn shutdown(&self) -> (u64, u64);
}

struct Nothing;

impl Actor for Nothing {
    type Msg = ();
    type Reply = ();
    type Error = std::convert::Infallible;

    fn handle(&mut self, (): (), _: &mut Context<'_>) -> Result<(), Self::Error> {
        Ok(())
    }
}

struct Shipped {
    pool: Pool<Nothing>,
    drain: Drain,
}

impl Shipped {
    fn new(drain: Drain) -> Self {
        let builder = Pool::builder("history").workers(WORKERS, WorkerSpec::general());
        let pool = builder.mailbox(CLIENTS * STEPS, Overflow::Reject).spawn(|_| Nothing).unwrap();
        Self { pool, drain }
    }
}

impl Pooled for Shipped {
    type Answer = Reply<(), std::convert::Infallible>;

    fn tell(&self) -> bool {
        match self.pool.tell(()) {
            Ok(()) => true,
            Err(error) => {
                assert!(matches!(error, SendError::Closed(())), "{error}");
                false
            }
        }
    }
    fn ask(&self) -> Option<Self::Answer> {
        self.pool.ask(()).ok()
    }
    fn wait(answer: Self::Answer) {
        answer.wait().unwrap();
    }
    fn completed(&self) -> u64 {
        self.pool.account().counts.completed
    }
    fn rejected(&self) -> u64 {
        self.pool.account().rejected
    }
    fn shutdown(&self) -> (u64, u64) {
        let counts = self.pool.shutdown(self.drain).unwrap().counts;
        assert_eq!(counts.admitted, counts.completed + counts.cancelled);
        (counts.completed, counts.cancelled)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// The twin itself, which must hold: what it is refuted for is its bug.
    None,
    /// Looks whether it is closed, then admits.
    LooksThenAdmits,
    /// Answers a task before it is counted.
    AnswersFirst,
    /// Is closed for some before it is for others: who comes by a second door is let in.
    TwoDoors,
}

/// A pool of one thread with a bug. It yields where the bug is, so that few histories are enough.
struct Tampered {
    bug: Bug,
    doors: [AtomicBool; 2],
    next: AtomicU64,
    completed: Arc<AtomicU64>,
    rejected: AtomicU64,
    #[allow(clippy::type_complexity, reason = "used here alone")]
    worker: Mutex<Option<(Sender<Option<Sender<()>>>, JoinHandle<()>)>>,
}

impl Tampered {
    fn with(bug: Bug) -> Self {
        let (tasks, mailbox) = channel::<Option<Sender<()>>>();
        let completed = Arc::<AtomicU64>::default();
        let counts = Arc::clone(&completed);
        let worker = thread::spawn(move || {
            for answer in mailbox {
                if bug != Bug::AnswersFirst {
                    counts.fetch_add(1, SeqCst);
                }
                drop(answer);
                if bug == Bug::AnswersFirst {
                    thread::yield_now();
                    counts.fetch_add(1, SeqCst);
                }
            }
        });
        let worker = Mutex::new(Some((tasks, worker)));
        let (doors, [next, rejected]) = Default::default();
        Self { bug, doors, next, completed, rejected, worker }
    }

    fn give(&self, answer: Option<Sender<()>>) -> bool {
        let door = if self.bug == Bug::TwoDoors { self.next.fetch_add(1, SeqCst) % 2 } else { 0 };
        let mut admitted = !self.doors[door as usize].load(SeqCst);
        if self.bug == Bug::LooksThenAdmits {
            thread::yield_now();
        }
        match &*self.worker.lock().unwrap() {
            Some((tasks, _)) if admitted => tasks.send(answer).unwrap(),
            // What was looked at before is what is answered.
            None if self.bug == Bug::LooksThenAdmits => {}
            _ => admitted = false,
        }
        self.rejected.fetch_add(u64::from(!admitted), SeqCst);
        admitted
    }
}

impl Pooled for Tampered {
    type Answer = std::sync::mpsc::Receiver<()>;

    fn tell(&self) -> bool {
        self.give(None)
    }
    fn ask(&self) -> Option<Self::Answer> {
        let (sender, answer) = channel();
        self.give(Some(sender)).then_some(answer)
    }
    fn wait(answer: Self::Answer) {
        // The sender is dropped.
        let _ = answer.recv();
    }
    fn completed(&self) -> u64 {
        self.completed.load(SeqCst)
    }
    fn rejected(&self) -> u64 {
        self.rejected.load(SeqCst)
    }
    fn shutdown(&self) -> (u64, u64) {
        for door in &self.doors {
            door.store(true, SeqCst);
            thread::yield_now();
        }
        if let Some((tasks, worker)) = self.worker.lock().unwrap().take() {
            drop(tasks);
            worker.join().unwrap();
        }
        (self.completed(), 0)
    }
}

/// One client's steps.
fn act<P: Pooled>(pool: &P, rng: &mut Rng, asks: bool, log: &mut Log<'_, Sequential>) {
    let read = |count: &u64| Ret::Count(*count);
    for _ in 0..STEPS {
        match rng.u8(..8) {
            0..=2 => _ = log.call(Op::Give, || pool.tell(), |admitted| Ret::Is(*admitted)),
            3..=4 if asks => {
                let given = log.call(Op::Give, || pool.ask(), |given| Ret::Is(given.is_some()));
                if let Some(answer) = given {
                    log.call(Op::Answer, || P::wait(answer), |()| Ret::Done);
                }
            }
            3..=6 => _ = log.call(Op::Completed, || pool.completed(), read),
            _ => _ = log.call(Op::Rejected, || pool.rejected(), read),
        }
    }
}

fn shut_down<P: Pooled>(pool: &P, log: &mut Log<'_, Sequential>) {
    let of = |&(completed, cancelled): &(u64, u64)| Ret::Ended(completed, cancelled);
    log.call(Op::Drained, || pool.shutdown(), of);
    log.and(Op::Close, Ret::Done);
}

/// Clients, and a thread that reads now and then, and shuts the pool down.
fn take<P: Pooled>(pool: P, asks: bool, seed: u64) -> History<Sequential> {
    let (stage, mut seeds) = (Stage::new(CLIENTS + 1), Rng::with_seed(seed));
    let logs: Vec<_> = thread::scope(|scope| {
        let (stage, pool) = (&stage, &pool);
        let closes = {
            let mut rng = seeds.fork();
            scope.spawn(move || {
                let mut log = stage.log();
                for _ in 0..rng.usize(..3) {
                    log.call(Op::Completed, || pool.completed(), |count| Ret::Count(*count));
                }
                shut_down(pool, &mut log);
                log
            })
        };
        let clients = [(); CLIENTS].map(|()| {
            let mut rng = seeds.fork();
            scope.spawn(move || {
                let mut log = stage.log();
                act(pool, &mut rng, asks, &mut log);
                log
            })
        });
        clients.into_iter().chain([closes]).map(|thread| thread.join().unwrap()).collect()
    });
    // All is over: as it was at the shutdown.
    let mut last = stage.log();
    shut_down(&pool, &mut last);
    last.call(Op::Completed, || pool.completed(), |count| Ret::Count(*count));
    last.call(Op::Rejected, || pool.rejected(), |count| Ret::Count(*count));
    History::of(logs.into_iter().chain([last]))
}

#[test]
fn a_pool_that_runs_every_task_is_as_specified() {
    let new = || Shipped::new(Drain::all());
    hold("pool, drained", HISTORIES, |seed| take(new(), true, seed));
}

#[test]
fn a_pool_that_cancels_what_waits_is_as_specified() {
    let drains = [Drain::now(), Drain::within(Duration::from_micros(20))];
    let new = |seed| Shipped::new(drains[(seed % 2) as usize]);
    // A task whose answer is waited for may be cancelled.
    hold("pool, cancelled", HISTORIES, |seed| take(new(seed), false, seed));
}

#[test]
fn one_without_a_bug_is_as_specified() {
    hold("twin of the pool", HISTORIES, |seed| take(Tampered::with(Bug::None), true, seed));
}

fn refuted(name: &str, bug: Bug) {
    refute(name, |seed| take(Tampered::with(bug), true, seed));
}

#[test]
fn one_that_looks_then_admits_is_not() {
    refuted("looks, then admits", Bug::LooksThenAdmits);
}

#[test]
fn one_that_answers_before_it_counts_is_not() {
    refuted("answers, then counts", Bug::AnswersFirst);
}

#[test]
fn one_that_closes_by_and_by_is_not() {
    refuted("two doors", Bug::TwoDoors);
}
