//! Dispatchers put tasks while the worker falls asleep: it is woken for each that it did not see
//! before. A lost wake-up is a deadlock.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::{Recorder, Worker};
use raddle_loom_tests::{assert_settled, completed, explore, fails_with, next, put_in, worker};
use raddle_runtime::mailbox::{Inbox, Lane, Mailbox, Overflow};
use raddle_sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use raddle_sync::channel::{self, Receiver, Sender};

/// The task of a dispatcher, which is its number.
type Task = usize;

/// A mailbox whose worker sleeps while it has nothing to do.
trait Post: Sized + Send + Sync + 'static {
    type Inbox;

    fn new() -> (Arc<Self>, Self::Inbox);
    fn put(&self, task: Task);
    /// Waits for a task and ends it.
    fn take(&self, inbox: &mut Self::Inbox) -> Task;
    /// Looks at the account at the end.
    fn check(&self);
}

/// All in the normal lane, or the second dispatcher in one that is made by its task.
struct Shipped<const NORMAL: bool> {
    mailbox: Arc<Mailbox<Task>>,
    worker: Arc<Worker>,
}

impl<const NORMAL: bool> Post for Shipped<NORMAL> {
    type Inbox = (Inbox<Task>, Recorder);

    fn new() -> (Arc<Self>, Self::Inbox) {
        let worker = worker();
        let recorder = worker.recorder().unwrap();
        let (mailbox, inbox) = raddle_loom_tests::mailbox(&worker, DISPATCHERS);
        (Arc::new(Self { mailbox, worker }), (inbox, recorder))
    }
    fn put(&self, task: Task) {
        let lane = if NORMAL { Lane::Normal } else { [Lane::Normal, Lane::Low][task] };
        let shed = |_| unreachable!("none is shed");
        assert!(put_in(&self.mailbox, lane, task, &Overflow::Reject, shed), "there is room");
    }
    fn take(&self, (inbox, recorder): &mut Self::Inbox) -> Task {
        let task = next(inbox, recorder).unwrap();
        recorder.end(&completed());
        task
    }
    fn check(&self) {
        assert_settled(&[&self.worker], DISPATCHERS);
        assert!(!self.worker.stats().is_parked(), "asleep while it runs");
    }
}

/// The same protocol in one place, with a bug planted or [none](NO_BUG).
struct Twin<const BUG: u8> {
    admitted: AtomicU64,
    sleeping: AtomicBool,
    tasks: (Sender<Task>, Receiver<Task>),
    token: (Sender<()>, Receiver<()>),
}

const NO_BUG: u8 = 0;
/// The worker looks at the admissions by a load.
const LOOKS_BY_LOAD: u8 = 1;
/// A dispatcher counts its task without Acquire.
const ADMITS_RELAXED: u8 = 2;
/// A dispatcher looks whether the worker sleeps before it counts its task.
const LOOKS_FIRST: u8 = 3;
/// A dispatcher leaves no token.
const NO_TOKEN: u8 = 4;

impl<const BUG: u8> Twin<BUG> {
    fn must_wake(&self) -> bool {
        self.sleeping.load(Relaxed)
            && self.sleeping.compare_exchange(true, false, Relaxed, Relaxed).is_ok()
    }

    fn try_park(&self, ended: u64) -> bool {
        self.sleeping.store(true, Relaxed);
        let admitted = match BUG {
            // Planted: the load may read an old value while its dispatcher reads the old flag.
            LOOKS_BY_LOAD => self.admitted.load(Acquire),
            _ => self.admitted.fetch_add(0, AcqRel),
        };
        if admitted == ended {
            return true;
        }
        self.sleeping.store(false, Relaxed);
        false
    }
}

impl<const BUG: u8> Post for Twin<BUG> {
    /// The tasks ended so far.
    type Inbox = u64;

    fn new() -> (Arc<Self>, u64) {
        let twin = Self {
            admitted: AtomicU64::new(0),
            sleeping: AtomicBool::new(false),
            tasks: channel::bounded(DISPATCHERS),
            token: channel::bounded(1),
        };
        (Arc::new(twin), 0)
    }
    fn put(&self, task: Task) {
        // Planted: the worker may fall asleep between this and the count.
        let slept = BUG == LOOKS_FIRST && self.must_wake();
        // Planted: counted after the worker looked, and yet the flag may be read as it was.
        let ordering = if BUG == ADMITS_RELAXED { Relaxed } else { Acquire };
        self.admitted.fetch_add(1, ordering);
        self.tasks.0.try_send(task).unwrap();
        let must_wake = if BUG == LOOKS_FIRST { slept } else { self.must_wake() };
        // Planted.
        if must_wake && BUG != NO_TOKEN {
            let _ = self.token.0.try_send(());
        }
    }
    fn take(&self, ended: &mut u64) -> Task {
        loop {
            if let Ok(task) = self.tasks.1.try_recv() {
                *ended += 1;
                return task;
            }
            if self.try_park(*ended) {
                self.token.1.recv().unwrap();
                self.must_wake();
            } else {
                thread::yield_now();
            }
        }
    }
    fn check(&self) {}
}

const DISPATCHERS: usize = 2;

/// Two dispatchers with a task each, while this thread does the worker's part.
fn model<P: Post>() {
    let (post, mut inbox) = P::new();
    let dispatchers = [0, 1].map(|task| {
        let post = Arc::clone(&post);
        thread::spawn(move || post.put(task))
    });
    let mut taken = [0, 1].map(|_| post.take(&mut inbox));
    taken.sort_unstable();
    assert_eq!(taken, [0, 1], "taken are not the tasks that were put");
    dispatchers.into_iter().for_each(|dispatcher| dispatcher.join().unwrap());
    post.check();
}

#[test]
fn a_sleeping_worker() {
    explore("parked worker", 3, model::<Shipped<true>>);
}

/// The lane is made meanwhile, and the worker need not have heard of it.
#[test]
fn a_sleeping_worker_and_the_first_task_of_a_lane() {
    explore("parked worker, another lane", 3, model::<Shipped<false>>);
}

#[test]
fn the_protocol_alone() {
    explore("parked worker, the protocol alone", 3, model::<Twin<NO_BUG>>);
}

#[test]
fn looking_by_a_load() {
    fails_with("looks by a load", 2, "deadlock", model::<Twin<LOOKS_BY_LOAD>>);
}

#[test]
fn admitting_relaxed() {
    fails_with("admits Relaxed", 2, "deadlock", model::<Twin<ADMITS_RELAXED>>);
}

#[test]
fn looking_before_counting() {
    fails_with("looks at the flag first", 2, "deadlock", model::<Twin<LOOKS_FIRST>>);
}

#[test]
fn a_dispatcher_that_leaves_no_token() {
    fails_with("leaves no token", 2, "deadlock", model::<Twin<NO_TOKEN>>);
}
