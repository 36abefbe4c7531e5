//! Dispatchers send tasks while the worker parks: it is woken for every task that it did not see
//! before parking. A lost wake-up is a deadlock.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::{SerialRecorder, Worker};
use raddle_loom_tests::{assert_settled, completed, explore, fails_with, next, put_in, worker};
use raddle_runtime::mailbox::{Inbox, Lane, Mailbox, Overflow};
use raddle_sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use raddle_sync::channel::{self, Receiver, Sender};

/// A task is the number of its dispatcher.
type Task = usize;

/// A mailbox whose worker parks while it has no tasks.
trait Post: Sized + Send + Sync + 'static {
    type Inbox;

    fn new() -> (Arc<Self>, Self::Inbox);
    fn put(&self, task: Task);
    /// Waits for a task and ends it.
    fn take(&self, inbox: &mut Self::Inbox) -> Task;
    /// Checks the account at the end.
    fn check(&self);
}

/// The shipped mailbox. Both tasks go to the normal lane, or the second to a lane that it creates.
struct Shipped<const NORMAL: bool> {
    mailbox: Arc<Mailbox<Task>>,
    worker: Arc<Worker>,
}

impl<const NORMAL: bool> Post for Shipped<NORMAL> {
    type Inbox = (Inbox<Task>, SerialRecorder);

    fn new() -> (Arc<Self>, Self::Inbox) {
        let worker = worker();
        let recorder = worker.recorder().unwrap();
        let (mailbox, inbox) = raddle_loom_tests::mailbox(&worker, DISPATCHERS);
        (Arc::new(Self { mailbox, worker }), (inbox, recorder))
    }
    fn put(&self, task: Task) {
        let lane = if NORMAL { Lane::Normal } else { [Lane::Normal, Lane::Low][task] };
        let shed = |_| unreachable!("nothing is shed");
        assert!(put_in(&self.mailbox, lane, task, Overflow::Reject, shed), "there is room");
    }
    fn take(&self, (inbox, recorder): &mut Self::Inbox) -> Task {
        let task = next(inbox, recorder).unwrap();
        recorder.end(&completed());
        task
    }
    fn check(&self) {
        assert_settled(&[&self.worker], DISPATCHERS);
        assert!(!self.worker.stats().is_parked(), "parked while it runs");
    }
}

/// The same protocol on its own, with a planted bug or [none](NO_BUG).
struct Twin<const BUG: u8> {
    admitted: AtomicU64,
    parked: AtomicBool,
    tasks: (Sender<Task>, Receiver<Task>),
    notification: (Sender<()>, Receiver<()>),
}

const NO_BUG: u8 = 0;
/// The worker checks the admissions by a load.
const CHECKS_BY_LOAD: u8 = 1;
/// A dispatcher counts its task without Acquire.
const ADMITS_RELAXED: u8 = 2;
/// A dispatcher checks whether the worker is parked before it counts its task.
const CHECKS_FIRST: u8 = 3;
/// A dispatcher does not notify the worker.
const NO_NOTIFICATION: u8 = 4;

impl<const BUG: u8> Twin<BUG> {
    fn must_wake(&self) -> bool {
        self.parked.load(Relaxed)
            && self.parked.compare_exchange(true, false, Relaxed, Relaxed).is_ok()
    }

    fn try_park(&self, ended: u64) -> bool {
        self.parked.store(true, Relaxed);
        let admitted = match BUG {
            // Planted: the load may read an old count while the dispatcher reads the old flag.
            CHECKS_BY_LOAD => self.admitted.load(Acquire),
            _ => self.admitted.fetch_add(0, AcqRel),
        };
        if admitted == ended {
            return true;
        }
        self.parked.store(false, Relaxed);
        false
    }
}

impl<const BUG: u8> Post for Twin<BUG> {
    /// Number of tasks ended so far.
    type Inbox = u64;

    fn new() -> (Arc<Self>, u64) {
        let twin = Self {
            admitted: AtomicU64::new(0),
            parked: AtomicBool::new(false),
            tasks: channel::bounded(DISPATCHERS),
            notification: channel::bounded(1),
        };
        (Arc::new(twin), 0)
    }
    fn put(&self, task: Task) {
        // Planted: the worker may park between this check and the count.
        let was_parked = BUG == CHECKS_FIRST && self.must_wake();
        // Planted: the task is counted after the worker's check, and yet the old flag may be read.
        let ordering = if BUG == ADMITS_RELAXED { Relaxed } else { Acquire };
        self.admitted.fetch_add(1, ordering);
        self.tasks.0.try_send(task).unwrap();
        let must_wake = if BUG == CHECKS_FIRST { was_parked } else { self.must_wake() };
        // Planted.
        if must_wake && BUG != NO_NOTIFICATION {
            let _ = self.notification.0.try_send(());
        }
    }
    fn take(&self, ended: &mut u64) -> Task {
        loop {
            if let Ok(task) = self.tasks.1.try_recv() {
                *ended += 1;
                return task;
            }
            if self.try_park(*ended) {
                self.notification.1.recv().unwrap();
                self.must_wake();
            } else {
                thread::yield_now();
            }
        }
    }
    fn check(&self) {}
}

const DISPATCHERS: usize = 2;

/// Two dispatchers send a task each, while this thread is the worker's.
fn model<P: Post>() {
    let (post, mut inbox) = P::new();
    let dispatchers = [0, 1].map(|task| {
        let post = Arc::clone(&post);
        thread::spawn(move || post.put(task))
    });
    let mut taken = [0, 1].map(|_| post.take(&mut inbox));
    taken.sort_unstable();
    assert_eq!(taken, [0, 1], "the tasks taken are not those sent");
    dispatchers.into_iter().for_each(|dispatcher| dispatcher.join().unwrap());
    post.check();
}

#[test]
fn a_parked_worker_is_woken() {
    explore("parked worker", 3, model::<Shipped<true>>);
}

/// The lane is created meanwhile, and the worker need not know about it yet.
#[test]
fn a_parked_worker_is_woken_by_the_first_task_of_a_lane() {
    explore("parked worker, another lane", 3, model::<Shipped<false>>);
}

#[test]
fn the_wake_protocol_alone_loses_no_wake_up() {
    explore("parked worker, the protocol alone", 3, model::<Twin<NO_BUG>>);
}

#[test]
fn checking_by_a_load_loses_a_wake_up() {
    fails_with("checks by a load", 2, "deadlock", model::<Twin<CHECKS_BY_LOAD>>);
}

#[test]
fn admitting_relaxed_loses_a_wake_up() {
    fails_with("admits Relaxed", 2, "deadlock", model::<Twin<ADMITS_RELAXED>>);
}

#[test]
fn checking_before_counting_loses_a_wake_up() {
    fails_with("checks the flag first", 2, "deadlock", model::<Twin<CHECKS_FIRST>>);
}

#[test]
fn a_dispatcher_that_does_not_notify_loses_a_wake_up() {
    fails_with("does not notify", 2, "deadlock", model::<Twin<NO_NOTIFICATION>>);
}
