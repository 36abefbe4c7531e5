//! A partition whose keys have state moves from worker 0 to worker 1 while tasks of it are dispatched:
//! the state leaves worker 0 after its last task, and worker 1 has it before its first one. If the old
//! worker does not come to it in time, the partition moves without the state, once.
#![cfg(loom)]

use std::collections::VecDeque;
use std::num::NonZeroU32;

use loom::thread;
use raddle_core::internal::SizeClass;
use raddle_loom_tests::{explore, fails_with};
use raddle_runtime::models::{
    Handover, Partition, Partitions, ShortId, Work, gain, gained, partition,
};
use raddle_sync::atomic::{AtomicUsize, Ordering::Relaxed};
use raddle_sync::channel::{self, Receiver, Sender};

const CLASS: SizeClass = SizeClass::from_index(0).unwrap();
const MISSING: &str = "the state is missing";

/// The code that ships.
const SHIPPED: u8 = 0;
/// The new owner checks for state that it gains before it checks whether it may run a task.
const CHECKS_GAINS_FIRST: u8 = 1;
/// The new owner does not check for state at all.
const CHECKS_NO_GAINS: u8 = 2;
/// The old owner releases the partition before it gives the state away.
const RELEASES_FIRST: u8 = 3;
/// The old owner is not woken when the last of its tasks has ended elsewhere.
const DOES_NOT_WAKE: u8 = 4;
/// The old owner ignores that the hand-over was given up.
const IGNORES_GIVING_UP: u8 = 5;
/// The old owner does not wait for its last task.
const DOES_NOT_WAIT: u8 = 6;

enum Post {
    /// A task, and the count that it must find in the state; `None` if the state may be lost.
    Task(Option<u64>),
    Wake,
    /// Only wake-ups will follow.
    Last,
}

/// What the threads share. Leaked, as after a failure destructors would run outside of loom.
struct Pool<const BUG: u8> {
    partitions: Partitions,
    handovers: [Handover; 2],
    mailboxes: [(Sender<Post>, Receiver<Post>); 2],
    /// How often the hand-over was released.
    handed_over: AtomicUsize,
}

impl<const BUG: u8> Pool<BUG> {
    fn new() -> &'static Self {
        let partitions = Partitions::new(NonZeroU32::MIN, |_| 0).handing_over();
        let mailboxes = [channel::unbounded(), channel::unbounded()];
        let handovers = Default::default();
        let handed_over = AtomicUsize::new(0);
        Box::leak(Box::new(Self { partitions, handovers, mailboxes, handed_over }))
    }

    fn partition(&self) -> Partition<'_> {
        self.partitions.get(0)
    }

    fn send(&self, worker: ShortId, post: Post) {
        self.mailboxes[usize::from(worker)].0.send(post).unwrap();
    }

    /// Sends a task to the partition's worker.
    fn dispatch(&self, expected: Option<u64>) {
        let (worker, _) = self.partition().bind(CLASS).unwrap();
        self.send(worker, Post::Task(expected));
    }

    fn release(&self, worker: ShortId) {
        match self.partition().release(worker) {
            Some(woken) if BUG == DOES_NOT_WAKE && woken == worker => {}
            Some(woken) => self.send(woken, Post::Wake),
            None => {}
        }
    }

    fn reassign(&self) {
        let moved = |_, from: ShortId, to| {
            assert!(self.handovers[usize::from(from)].lose(&[(partition(), to)], || {}));
            self.send(from, Post::Wake);
        };
        assert!(self.partitions.reassign_each(|_, _| 1, moved));
    }

    fn hand_over(&self, state: Option<u64>) {
        self.handed_over.fetch_add(1, Relaxed);
        if BUG == RELEASES_FIRST {
            self.release(0);
        }
        assert!(self.handovers[1].gain(gain(state), || {}).is_ok());
        if BUG != RELEASES_FIRST {
            self.release(0);
        }
        self.send(1, Post::Wake);
    }

    fn may_run(&self, worker: ShortId) -> bool {
        let gains = || self.handovers[usize::from(worker)].has_gains();
        match BUG {
            CHECKS_GAINS_FIRST => !gains() && self.partition().may_run(worker),
            CHECKS_NO_GAINS => self.partition().may_run(worker),
            _ => self.partition().may_run(worker) && !gains(),
        }
    }

    fn is_due(&self, worker: ShortId) -> bool {
        (BUG == DOES_NOT_WAIT && worker == 0) || self.partition().is_handed_over_by(worker)
    }

    /// Gives away and takes over what is due.
    fn move_keys(&self, worker: ShortId, state: &mut Option<u64>) {
        let handover = &self.handovers[usize::from(worker)];
        while let Some(work) = handover.next(0, |_| self.is_due(worker), || {}) {
            match work {
                Work::Gain(gain) => {
                    *state = gained(gain);
                    handover.finish();
                }
                Work::Lose(_) => {
                    let state = state.take();
                    if handover.finish() || BUG == IGNORES_GIVING_UP {
                        self.hand_over(state);
                    }
                }
            }
        }
    }

    /// Runs tasks in order of arrival, each when it may run. Worker 0 leaves when it has no partition.
    fn work(&self, worker: ShortId, mut state: Option<u64>) {
        let (mut deferred, mut last) = (VecDeque::new(), false);
        loop {
            self.move_keys(worker, &mut state);
            while !deferred.is_empty() && self.may_run(worker) {
                let expected: Option<u64> = deferred.pop_front().unwrap();
                if let Some(expected) = expected {
                    assert_eq!(state, Some(expected), "{MISSING}");
                }
                state = state.map(|count| count + 1);
                self.release(worker);
                self.move_keys(worker, &mut state);
            }
            let leaves = worker == 1 || !self.partitions.mentions(worker);
            if last && deferred.is_empty() && leaves {
                return;
            }
            match self.mailboxes[usize::from(worker)].1.recv().unwrap() {
                Post::Task(expected) => deferred.push_back(expected),
                Post::Wake => {}
                Post::Last => last = true,
            }
        }
    }

    fn start(&'static self) -> [thread::JoinHandle<()>; 2] {
        [0, 1].map(|worker| thread::spawn(move || self.work(worker, (worker == 0).then_some(0))))
    }

    fn end(&self, workers: [thread::JoinHandle<()>; 2]) {
        self.send(1, Post::Last);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert_eq!(self.handed_over.load(Relaxed), 1, "handed over more than once");
        assert!(self.partition().is_free() && !self.partitions.mentions(0), "it has not moved");
    }
}

/// This thread dispatches a task, moves the partition, and dispatches another one.
fn following<const BUG: u8>() {
    let pool = Pool::<BUG>::new();
    let workers = pool.start();
    pool.dispatch(Some(0));
    pool.reassign();
    pool.send(0, Post::Last);
    pool.dispatch(Some(1));
    pool.end(workers);
}

/// The task that keeps the partition at worker 0 ends on this thread, as in a shutdown.
fn ended_elsewhere<const BUG: u8>() {
    let pool = Pool::<BUG>::new();
    let workers = pool.start();
    let _ = pool.partition().bind(CLASS).unwrap();
    pool.reassign();
    // From now on, only the end of the task wakes it.
    pool.send(0, Post::Last);
    pool.release(0);
    pool.dispatch(Some(0));
    pool.end(workers);
}

/// This thread gives the hand-over up while worker 0 may begin it.
fn given_up<const BUG: u8>() {
    let pool = Pool::<BUG>::new();
    pool.reassign();
    pool.send(0, Post::Last);
    pool.dispatch(None);
    let workers = pool.start();
    // The first call notes since when it is due.
    for now in [1, 2] {
        let overdue =
            pool.handovers[0].take_overdue(now, 0, |_| pool.partition().is_handed_over_by(0));
        for _ in overdue {
            pool.hand_over(None);
            // It leaves when the partition does.
            pool.send(0, Post::Wake);
        }
    }
    pool.end(workers);
}

#[test]
fn the_state_of_a_key_follows_it() {
    explore("a key's state follows it", 2, following::<SHIPPED>);
}

#[test]
fn a_hand_over_follows_the_last_task_wherever_it_ends() {
    explore("a key's last task ends elsewhere", 2, ended_elsewhere::<SHIPPED>);
}

#[test]
fn a_hand_over_that_is_given_up_happens_once() {
    explore("a hand-over is given up", 2, given_up::<SHIPPED>);
}

#[test]
fn checking_for_state_before_the_partition_misses_it() {
    // Planted: the partition is released between the two checks.
    fails_with("checks gains first", 2, MISSING, following::<CHECKS_GAINS_FIRST>);
}

#[test]
fn running_without_checking_for_state_misses_it() {
    fails_with("checks no gains", 2, MISSING, following::<CHECKS_NO_GAINS>);
}

#[test]
fn releasing_before_giving_away_misses_the_state() {
    fails_with("releases first", 2, MISSING, following::<RELEASES_FIRST>);
}

#[test]
fn giving_away_before_the_last_task_has_ended_misses_the_state() {
    fails_with("does not wait", 2, MISSING, following::<DOES_NOT_WAIT>);
}

#[test]
fn an_old_owner_that_is_not_woken_holds_the_key_up() {
    fails_with("does not wake", 2, "deadlock", ended_elsewhere::<DOES_NOT_WAKE>);
}

#[test]
fn a_hand_over_that_was_given_up_and_is_finished_happens_twice() {
    fails_with("ignores giving up", 2, "has no task to release", given_up::<IGNORES_GIVING_UP>);
}
