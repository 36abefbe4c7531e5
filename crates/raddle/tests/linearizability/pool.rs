//! The pool: tell, ask, shutdown, and its account meanwhile.
//!
//! # Specified
//! - A task is refused after the pool was closed and never before; each refusal is counted before
//!   the caller gets the message back.
//! - The number of completed tasks is exact at one moment of the reading: it never falls, never
//!   exceeds the number admitted, and includes every task whose reply had arrived.
//! - A shutdown closes the pool at one moment, and returns when every admitted task has ended, with
//!   the account of exactly these tasks.
//!
//! # Not specified
//! - When a task without a reply runs: at some moment after it was admitted.
//! - That the numbers of one account belong to one moment, or that its number of admitted tasks is
//!   exact, before the pool was shut down.
//! - Workers that join and leave: here there are none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;
use raddle::{Actor, Ask, Context, Drain, Handler, Overflow, Pool, WorkerSpec};
use stateright::semantics::SequentialSpec;

use crate::history::{History, Log, Stage, hold, refute};

const WORKERS: usize = 2;
const CLIENTS: usize = 2;
const STEPS: usize = 4;
/// Each takes a fifth of a millisecond, most of it to start the pool's threads.
const HISTORIES: u64 = 1_000;

#[derive(Clone, Debug, Default)]
struct Sequential {
    closed: bool,
    admitted: u64,
    rejected: u64,
    /// Tasks whose reply had arrived.
    answered: u64,
    /// The number of completed tasks that was read last.
    completed: u64,
}

#[derive(Clone, Debug)]
enum Op {
    /// A tell, or the first step of an ask.
    Send,
    /// The second step: waiting for the reply.
    Wait,
    Completed,
    Rejected,
    /// The start of a shutdown.
    Close,
    /// Its end.
    Drained,
}

#[derive(Clone, Debug, PartialEq)]
enum Ret {
    Done,
    Is(bool),
    Count(u64),
    /// The numbers of completed and cancelled tasks.
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
            (Op::Send, Ret::Is(admitted)) => {
                self.admitted += u64::from(*admitted);
                self.rejected += u64::from(!*admitted);
                *admitted != self.closed
            }
            (Op::Wait, Ret::Done) => {
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

/// A pool as its callers see it.
trait Pooled: Sync {
    type Ask;

    /// Returns whether the task was admitted.
    fn tell(&self) -> bool;
    fn ask(&self) -> Option<Self::Ask>;
    fn wait(ask: Self::Ask);
    fn completed(&self) -> u64;
    fn rejected(&self) -> u64;
    /// Returns the numbers of completed and cancelled tasks.
    fn shutdown(&self) -> (u64, u64);
}

struct Nothing;

impl Actor for Nothing {}

impl Handler<()> for Nothing {
    type Reply = ();

    fn handle(&mut self, (): (), _: &mut Context<'_, Self>) {}
}

struct Shipped {
    pool: Pool<(), ()>,
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
    type Ask = Ask<(), ()>;

    fn tell(&self) -> bool {
        match self.pool.tell(()) {
            Ok(()) => true,
            Err(error) => {
                assert!(error.is_closed(), "{error}");
                false
            }
        }
    }
    fn ask(&self) -> Option<Self::Ask> {
        self.pool.ask(()).into_admitted().ok()
    }
    fn wait(ask: Self::Ask) {
        ask.wait().unwrap();
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
    /// No bug: the implementation itself must not be refuted.
    None,
    /// Checks whether it is closed, then admits.
    ChecksThenAdmits,
    /// Replies before it counts the task.
    RepliesFirst,
    /// Has two flags, one of which is set later: some callers still see an open pool.
    TwoFlags,
}

/// A pool of one thread with a bug, at which it yields so that few histories are enough.
struct Tampered {
    bug: Bug,
    flags: [AtomicBool; 2],
    next: AtomicU64,
    completed: Arc<AtomicU64>,
    rejected: AtomicU64,
    #[allow(clippy::type_complexity, reason = "used only here")]
    worker: Mutex<Option<(Sender<Option<Sender<()>>>, JoinHandle<()>)>>,
}

impl Tampered {
    fn with(bug: Bug) -> Self {
        let (tasks, mailbox) = channel::<Option<Sender<()>>>();
        let completed = Arc::<AtomicU64>::default();
        let counts = Arc::clone(&completed);
        let worker = thread::spawn(move || {
            for reply in mailbox {
                if bug != Bug::RepliesFirst {
                    counts.fetch_add(1, SeqCst);
                }
                drop(reply);
                if bug == Bug::RepliesFirst {
                    thread::yield_now();
                    counts.fetch_add(1, SeqCst);
                }
            }
        });
        let worker = Mutex::new(Some((tasks, worker)));
        let (flags, [next, rejected]) = Default::default();
        Self { bug, flags, next, completed, rejected, worker }
    }

    fn send(&self, reply: Option<Sender<()>>) -> bool {
        let flag = if self.bug == Bug::TwoFlags { self.next.fetch_add(1, SeqCst) % 2 } else { 0 };
        let mut admitted = !self.flags[flag as usize].load(SeqCst);
        if self.bug == Bug::ChecksThenAdmits {
            thread::yield_now();
        }
        match &*self.worker.lock().unwrap() {
            Some((tasks, _)) if admitted => tasks.send(reply).unwrap(),
            // The outcome of the earlier check counts.
            None if self.bug == Bug::ChecksThenAdmits => {}
            _ => admitted = false,
        }
        self.rejected.fetch_add(u64::from(!admitted), SeqCst);
        admitted
    }
}

impl Pooled for Tampered {
    type Ask = std::sync::mpsc::Receiver<()>;

    fn tell(&self) -> bool {
        self.send(None)
    }
    fn ask(&self) -> Option<Self::Ask> {
        let (sender, reply) = channel();
        self.send(Some(sender)).then_some(reply)
    }
    fn wait(ask: Self::Ask) {
        // The sender is dropped.
        let _ = ask.recv();
    }
    fn completed(&self) -> u64 {
        self.completed.load(SeqCst)
    }
    fn rejected(&self) -> u64 {
        self.rejected.load(SeqCst)
    }
    fn shutdown(&self) -> (u64, u64) {
        for flag in &self.flags {
            flag.store(true, SeqCst);
            thread::yield_now();
        }
        if let Some((tasks, worker)) = self.worker.lock().unwrap().take() {
            drop(tasks);
            worker.join().unwrap();
        }
        (self.completed(), 0)
    }
}

/// Runs the steps of one client.
fn act<P: Pooled>(pool: &P, rng: &mut Rng, asks: bool, log: &mut Log<'_, Sequential>) {
    let read = |count: &u64| Ret::Count(*count);
    for _ in 0..STEPS {
        match rng.u8(..8) {
            0..=2 => _ = log.call(Op::Send, || pool.tell(), |admitted| Ret::Is(*admitted)),
            3..=4 if asks => {
                let ask = log.call(Op::Send, || pool.ask(), |ask| Ret::Is(ask.is_some()));
                if let Some(ask) = ask {
                    log.call(Op::Wait, || P::wait(ask), |()| Ret::Done);
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

/// Runs clients, and a thread that reads a few times and then shuts the pool down.
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
    // All threads have stopped: nothing has changed since the shutdown.
    let mut last = stage.log();
    shut_down(&pool, &mut last);
    last.call(Op::Completed, || pool.completed(), |count| Ret::Count(*count));
    last.call(Op::Rejected, || pool.rejected(), |count| Ret::Count(*count));
    History::of(logs.into_iter().chain([last]))
}

#[test]
fn a_pool_that_runs_every_task_is_linearizable() {
    let new = || Shipped::new(Drain::all());
    hold("pool, drained", HISTORIES, |seed| take(new(), true, seed));
}

#[test]
fn a_pool_that_cancels_queued_tasks_is_linearizable() {
    let drains = [Drain::now(), Drain::within(Duration::from_micros(20))];
    let new = |seed| Shipped::new(drains[(seed % 2) as usize]);
    // No asks: one could be cancelled while its client waits.
    hold("pool, cancelled", HISTORIES, |seed| take(new(seed), false, seed));
}

#[test]
fn a_pool_without_a_bug_is_not_refuted() {
    hold("pool without a bug", HISTORIES, |seed| take(Tampered::with(Bug::None), true, seed));
}

fn refuted(name: &str, bug: Bug) {
    refute(name, |seed| take(Tampered::with(bug), true, seed));
}

#[test]
fn admitting_after_a_check_is_refuted() {
    refuted("checks, then admits", Bug::ChecksThenAdmits);
}

#[test]
fn replying_before_counting_is_refuted() {
    refuted("replies, then counts", Bug::RepliesFirst);
}

#[test]
fn closing_in_two_steps_is_refuted() {
    refuted("two flags", Bug::TwoFlags);
}
