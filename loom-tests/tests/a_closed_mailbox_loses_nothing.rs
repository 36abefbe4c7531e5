//! A mailbox closes while dispatchers send tasks to it: each task is either taken by the worker,
//! once, or returned to its dispatcher, and the worker ends.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::SerialRecorder;
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, mailbox, next, put, worker,
};
use raddle_runtime::mailbox::{Inbox, Mailbox, Overflow};

/// A task is the number of its dispatcher.
type Task = usize;

/// How a mailbox is closed, and how its worker ends.
trait Closing: 'static {
    fn close(mailbox: &Mailbox<Task>);
    /// Returns the next task, or `None` when the worker ends.
    fn next(inbox: &mut Inbox<Task>, recorder: &mut SerialRecorder) -> Option<Task>;
}

struct Shipped;

impl Closing for Shipped {
    fn close(mailbox: &Mailbox<Task>) {
        mailbox.close();
    }
    fn next(inbox: &mut Inbox<Task>, recorder: &mut SerialRecorder) -> Option<Task> {
        next(inbox, recorder)
    }
}

/// The shipped code with a planted bug.
struct Tampered<const BUG: u8>;

/// The worker ends when its mailbox is closed and empty.
const ENDS_WHEN_EMPTY: u8 = 0;
/// Closing does not wake the worker.
const DOES_NOT_WAKE: u8 = 1;

impl<const BUG: u8> Closing for Tampered<BUG> {
    fn close(mailbox: &Mailbox<Task>) {
        match BUG {
            // Planted: the worker waits for a task that can no longer be sent.
            DOES_NOT_WAKE => mailbox.worker().close(),
            _ => mailbox.close(),
        }
    }
    fn next(inbox: &mut Inbox<Task>, recorder: &mut SerialRecorder) -> Option<Task> {
        loop {
            if let Some(task) = inbox.try_next() {
                return Some(task);
            }
            // Planted: without checking the tasks in flight, a task that is reserved but not yet
            // sent is accepted by a channel that nobody reads.
            let is_closed = inbox.mailbox().worker().stats().is_closed();
            if BUG == ENDS_WHEN_EMPTY && is_closed || !inbox.wait(recorder) {
                return None;
            }
        }
    }
}

/// Dispatchers send a task each and another thread closes, while this thread is the worker's.
fn model<C: Closing>(dispatchers: usize, overflow: Overflow) {
    let worker = worker();
    let mut recorder = worker.recorder().unwrap();
    let (mailbox, mut inbox) = mailbox(&worker, 1);
    let threads: Vec<_> = (0..dispatchers)
        .map(|task| {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                put(&mailbox, task, overflow, |_| unreachable!("nothing is shed")).then_some(task)
            })
        })
        .collect();
    let closing = thread::spawn({
        let mailbox = Arc::clone(&mailbox);
        move || C::close(&mailbox)
    });
    let mut taken = Vec::new();
    while let Some(task) = C::next(&mut inbox, &mut recorder) {
        recorder.end(&completed());
        taken.push(task);
    }
    let accepted: Vec<Task> =
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect();
    closing.join().unwrap();
    taken.sort_unstable();
    assert_eq!(taken, accepted, "the tasks taken are not those accepted");
    assert_settled(&[&worker], accepted.len());
}

#[test]
fn a_mailbox_with_one_dispatcher() {
    explore("mailbox, one dispatcher", 3, || model::<Shipped>(1, Overflow::Reject));
}

#[test]
fn a_mailbox_with_two_blocking_dispatchers() {
    explore("mailbox, blocking", 2, || model::<Shipped>(2, Overflow::Block));
}

#[test]
fn a_mailbox_that_rejects_two_dispatchers() {
    explore("mailbox, rejecting", 2, || model::<Shipped>(2, Overflow::Reject));
}

#[test]
fn ending_when_empty_loses_a_task() {
    fails_with("ends when empty", 2, "the tasks taken are not those accepted", || {
        model::<Tampered<ENDS_WHEN_EMPTY>>(1, Overflow::Reject);
    });
}

#[test]
fn closing_without_waking_leaves_the_worker_waiting() {
    fails_with("does not wake", 2, "deadlock", || {
        model::<Tampered<DOES_NOT_WAKE>>(1, Overflow::Reject);
    });
}
