//! A pool of two workers, of whom one takes tasks from the other, is shut down, out of time at once,
//! while a dispatcher puts: each task that was accepted is run or cancelled, once, and both go.
//!
//! What the workers' threads do is written out here, over the mailboxes and the accounts that ship.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::internal::RecorderInternals;
use raddle_core::{Completion, Outcome, Recorder};
use raddle_loom_tests::{
    assert_settled, completed, explore, explore_no_deeper, fails_with, give, mailbox, roster,
    tasks_of,
};
use raddle_runtime::mailbox::{Inbox, Mailbox};
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};

type Task = usize;

/// A worker's thread.
struct WorkerThread {
    inbox: Inbox<Task>,
    recorder: Recorder,
    /// From whom it takes tasks.
    sibling: Option<Arc<Mailbox<Task>>>,
    /// Whether what is queued is to be cancelled.
    cancelling: Arc<AtomicBool>,
}

/// How a worker ends a task that is to be cancelled; `false` when it goes.
type Cancel = fn(&mut Recorder) -> bool;

fn cancels(recorder: &mut Recorder) -> bool {
    recorder.end(&Completion::new(Outcome::Cancelled));
    true
}

fn forgets(_: &mut Recorder) -> bool {
    // Planted: a task that is not run has ended, too.
    true
}

fn goes(recorder: &mut Recorder) -> bool {
    // Planted: what else is queued is nobody's then.
    cancels(recorder);
    false
}

impl WorkerThread {
    /// Runs or cancels tasks until nothing can come any more: what it has ended.
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
                return None;
            }
        }
    }

    fn steal(&mut self) -> Option<Task> {
        let sibling = self.sibling.as_ref()?;
        if self.inbox.mailbox().worker().stats().is_closed() {
            return None;
        }
        let task = sibling.steal()?;
        self.recorder.adopt(sibling.worker());
        Some(task)
    }
}

/// The first worker is this thread and has a task from the start. Another thread gives it one more and
/// shuts down; or a third does that.
fn model(cancel: Cancel, meanwhile: bool) {
    let roster = roster(2);
    let workers = [0, 1].map(|position| Arc::clone(&roster.members()[position].worker));
    let cancelling = Arc::new(AtomicBool::new(false));
    let [(first, inbox), (second, other)] = workers.each_ref().map(|worker| mailbox(worker, 2));
    assert!(give(&first, 0), "there is room");
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
    let apart = meanwhile.then(|| thread::spawn(shut_down.clone()));
    let dispatcher = thread::spawn(move || {
        let accepted = 1 + usize::from(give(&first, 1));
        if !meanwhile {
            shut_down();
        }
        accepted
    });
    let mut ended = main.work(cancel);
    let accepted = dispatcher.join().unwrap();
    ended.extend(thief.join().unwrap());
    apart.into_iter().for_each(|thread| thread.join().unwrap());
    ended.sort_unstable();
    assert_eq!(ended, (0..accepted).collect::<Vec<_>>(), "not every task was ended, once");
    let workers = workers.each_ref().map(|worker| &**worker);
    assert_settled(&workers, accepted);
    assert_eq!(tasks_of(&workers), accepted as u64);
}

#[test]
fn a_pool_that_is_shut_down() {
    explore("drain, after a dispatcher", 2, || model(cancels, false));
}

#[test]
#[ignore = "slow: `cargo xtask loom --deep`"]
fn a_pool_that_is_shut_down_meanwhile() {
    explore_no_deeper("drain, beside a dispatcher", 2, || model(cancels, true));
}

#[test]
fn cancelling_without_an_end() {
    // loom's word for an execution without an end: the worker waits for its task.
    let expected = "exceeded maximum number of branches";
    fails_with("cancelled is not ended", 2, expected, || model(forgets, false));
}

#[test]
fn going_when_cancelled() {
    fails_with("goes when cancelled", 2, "not every task was ended", || model(goes, false));
}
