//! A mailbox is closed while dispatchers put tasks into it: each task is either taken by the
//! worker, once, or comes back to its dispatcher, and the worker goes.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::Recorder;
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, mailbox, next, put, worker,
};
use raddle_runtime::mailbox::{Inbox, Mailbox, Overflow};

/// The task of a dispatcher, which is its number.
type Task = usize;

/// How a mailbox is closed, and left by its worker.
trait Closing: 'static {
    fn close(mailbox: &Mailbox<Task>);
    /// The next task; `None` when the worker goes.
    fn next(inbox: &mut Inbox<Task>, recorder: &mut Recorder) -> Option<Task>;
}

struct Shipped;

impl Closing for Shipped {
    fn close(mailbox: &Mailbox<Task>) {
        mailbox.close();
    }
    fn next(inbox: &mut Inbox<Task>, recorder: &mut Recorder) -> Option<Task> {
        next(inbox, recorder)
    }
}

/// The same with a bug planted.
struct Tampered<const BUG: u8>;

/// The worker goes when it finds its mailbox closed and empty.
const GOES_WHEN_EMPTY: u8 = 0;
/// Closing does not wake the worker.
const DOES_NOT_WAKE: u8 = 1;

impl<const BUG: u8> Closing for Tampered<BUG> {
    fn close(mailbox: &Mailbox<Task>) {
        match BUG {
            // Planted: the worker waits for a task that nobody may send any more.
            DOES_NOT_WAKE => mailbox.worker().close(),
            _ => mailbox.close(),
        }
    }
    fn next(inbox: &mut Inbox<Task>, recorder: &mut Recorder) -> Option<Task> {
        loop {
            if let Some(task) = inbox.try_next() {
                return Some(task);
            }
            // Planted: without the look at what is in flight, a task whose dispatcher has reserved
            // and not yet sent is accepted by a channel that nobody reads.
            let is_closed = inbox.mailbox().worker().stats().is_closed();
            if BUG == GOES_WHEN_EMPTY && is_closed || !inbox.wait(recorder) {
                return None;
            }
        }
    }
}

/// Dispatchers with a task each and one who closes, while this thread does the worker's part.
fn model<C: Closing>(dispatchers: usize, overflow: &Overflow) {
    let worker = worker();
    let mut recorder = worker.recorder().unwrap();
    let (mailbox, mut inbox) = mailbox(&worker, 1);
    let threads: Vec<_> = (0..dispatchers)
        .map(|task| {
            let (mailbox, overflow) = (Arc::clone(&mailbox), overflow.clone());
            thread::spawn(move || {
                put(&mailbox, task, &overflow, |_| unreachable!("none is shed")).then_some(task)
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
    assert_eq!(taken, accepted, "taken are not the tasks that were accepted");
    assert_settled(&[&worker], accepted.len());
}

#[test]
fn one_dispatcher() {
    explore("mailbox, one dispatcher", 3, || model::<Shipped>(1, &Overflow::Reject));
}

#[test]
fn two_dispatchers_that_wait_for_room() {
    explore("mailbox, blocking", 2, || model::<Shipped>(2, &Overflow::Block));
}

#[test]
fn two_dispatchers_that_are_refused() {
    explore("mailbox, rejecting", 2, || model::<Shipped>(2, &Overflow::Reject));
}

#[test]
fn going_when_empty_loses_a_task() {
    fails_with("goes when empty", 2, "taken are not the tasks that were accepted", || {
        model::<Tampered<GOES_WHEN_EMPTY>>(1, &Overflow::Reject);
    });
}

#[test]
fn closing_without_waking_leaves_the_worker_waiting() {
    fails_with("does not wake", 2, "deadlock", || {
        model::<Tampered<DOES_NOT_WAKE>>(1, &Overflow::Reject);
    });
}
