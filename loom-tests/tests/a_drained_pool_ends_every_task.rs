//! A pool of two workers, one of which steals from the other, shuts down without any time left
//! while a dispatcher sends: each accepted task is run or cancelled, once, and both workers end.
//!
//! The workers' threads are written out here, over the mailboxes and accounts that ship.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::internal::RecorderInternals;
use raddle_core::{Completion, Outcome, SerialRecorder};
use raddle_loom_tests::{
    assert_settled, completed, explore, explore_no_deeper, fails_with, mailbox, roster, send,
    tasks_of,
};
use raddle_runtime::mailbox::{Inbox, Mailbox};
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};

type Task = usize;

/// A worker's thread.
struct WorkerThread {
    inbox: Inbox<Task>,
    recorder: SerialRecorder,
    /// The mailbox it steals from.
    sibling: Option<Arc<Mailbox<Task>>>,
    /// Whether queued tasks must be cancelled.
    cancelling: Arc<AtomicBool>,
}

/// How a worker cancels a task; `false` if the worker ends.
type Cancel = fn(&mut SerialRecorder) -> bool;

fn cancels(recorder: &mut SerialRecorder) -> bool {
    recorder.end(&Completion::new(Outcome::Cancelled));
    true
}

fn forgets(_: &mut SerialRecorder) -> bool {
    // Planted: a task that is not run must be ended, too.
    true
}

fn ends(recorder: &mut SerialRecorder) -> bool {
    // Planted: the other queued tasks are abandoned.
    cancels(recorder);
    false
}

impl WorkerThread {
    /// Runs or cancels tasks until no more can arrive; returns those it has ended.
    fn work(mut self, cancel: Cancel) -> Vec<Task> {
        let mut ended = Vec::new();
        while let Some(task) = self.next() {
            ended.push(task);
            if !self.cancelling.load(Relaxed) {
                self.recorder.end(&completed());
            } else if !cancel(&mut self.recorder) {
                break;
            }
        }
        ended
    }

    fn next(&mut self) -> Option<Task> {
        loop {
            if let Some(task) = self.inbox.try_next().or_else(|| self.steal()) {
                return Some(task);
            }
            if !self.inbox.wait(&mut self.recorder) {
                return self.steal();
            }
        }
    }

    fn steal(&mut self) -> Option<Task> {
        let sibling = self.sibling.as_ref()?;
        let task = sibling.steal()?;
        self.recorder.adopt(sibling.worker());
        Some(task)
    }
}

/// This thread is the first worker's, which has `at_start` tasks. Another thread sends it one
/// more and then shuts the pool down; with `meanwhile`, a third thread shuts it down.
fn model(cancel: Cancel, at_start: usize, meanwhile: bool) {
    let roster = roster(2);
    let workers = [0, 1].map(|position| Arc::clone(&roster.members()[position].worker));
    let cancelling = Arc::new(AtomicBool::new(false));
    let [(first, inbox), (second, other)] = workers.each_ref().map(|worker| mailbox(worker, 3));
    (0..at_start).for_each(|task| assert!(send(&first, task), "there is room"));
    let [main, thief] =
        [(inbox, None, 0), (other, Some(Arc::clone(&first)), 1)].map(|(inbox, sibling, worker)| {
            let recorder = workers[worker].recorder().unwrap();
            WorkerThread { inbox, recorder, sibling, cancelling: Arc::clone(&cancelling) }
        });
    let thief = thread::spawn(move || thief.work(cancel));
    let shut_down = {
        let mailboxes = [Arc::clone(&first), second];
        move || {
            mailboxes.iter().for_each(|mailbox| mailbox.close());
            cancelling.store(true, Relaxed);
            mailboxes.iter().for_each(|mailbox| mailbox.wake());
        }
    };
    let closing = meanwhile.then(|| thread::spawn(shut_down.clone()));
    let dispatcher = thread::spawn(move || {
        let accepted = at_start + usize::from(send(&first, at_start));
        if !meanwhile {
            shut_down();
        }
        accepted
    });
    let mut ended = main.work(cancel);
    let accepted = dispatcher.join().unwrap();
    ended.extend(thief.join().unwrap());
    closing.into_iter().for_each(|thread| thread.join().unwrap());
    ended.sort_unstable();
    assert_eq!(ended, (0..accepted).collect::<Vec<_>>(), "not every task ended exactly once");
    let workers = workers.each_ref().map(|worker| &**worker);
    assert_settled(&workers, accepted);
    assert_eq!(tasks_of(&workers), accepted as u64);
}

#[test]
fn a_pool_that_shuts_down_after_a_dispatch() {
    explore("drain, after a dispatch", 2, || model(cancels, 1, false));
}

#[test]
fn a_pool_that_shuts_down_during_a_dispatch() {
    explore_no_deeper("drain, during a dispatch", 2, || model(cancels, 1, true));
}

#[test]
fn cancelling_without_ending_leaves_the_worker_waiting() {
    // loom's message for an execution that does not end: the worker waits for its task.
    let expected = "exceeded maximum number of branches";
    fails_with("cancels without ending", 2, expected, || model(forgets, 1, false));
}

#[test]
fn ending_after_one_cancellation_loses_tasks() {
    fails_with("ends after one cancellation", 2, "not every task ended exactly once", || {
        // One for each worker, and one more.
        model(ends, 2, false)
    });
}
