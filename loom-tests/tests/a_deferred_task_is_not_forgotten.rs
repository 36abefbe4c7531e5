//! A worker defers a task until its key is free, the watchdog defers another in the same mailbox
//! because no other worker has room, and the worker parks: both tasks run, once, and the worker
//! ends when closed.
#![cfg(loom)]

use std::mem::ManuallyDrop;
use std::sync::Arc;

use loom::thread;
use raddle_core::SerialRecorder;
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, mailbox, put, put_in, worker,
};
use raddle_runtime::mailbox::{Inbox, Lane, Mailbox, Overflow};
use raddle_sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};

type Task = usize;

/// A task with a key, and one without.
const KEYED: Task = 0;
const FREE: Task = 1;

/// What other threads do to the mailbox.
#[derive(Clone, Copy)]
struct Others {
    /// The watchdog's step.
    defer: fn(&Mailbox<Task>),
    /// Another worker releases the key; `None` if it is free from the start.
    release: Option<fn(&Mailbox<Task>, &AtomicBool)>,
}

const SHIPPED: Others = Others { defer: defers, release: Some(releases) };

fn defers(mailbox: &Mailbox<Task>) {
    if let Some(task) = mailbox.steal() {
        mailbox.defer(task);
        mailbox.wake();
    }
}

fn defers_silently(mailbox: &Mailbox<Task>) {
    // Planted: the worker stays parked, as the task it was woken for was gone when it checked.
    if let Some(task) = mailbox.steal() {
        mailbox.defer(task);
    }
}

fn releases(mailbox: &Mailbox<Task>, may_run: &AtomicBool) {
    may_run.store(true, Release);
    mailbox.wake();
}

fn wakes_first(mailbox: &Mailbox<Task>, may_run: &AtomicBool) {
    // Planted: the worker checks between the two steps, and parks again.
    mailbox.wake();
    may_run.store(true, Release);
}

/// Takes the next task as the worker's thread does; returns `None` when the worker ends.
fn next(
    inbox: &mut Inbox<Task>,
    recorder: &mut SerialRecorder,
    may_run: &AtomicBool,
) -> Option<Task> {
    let runs = |task: Task| task == FREE || may_run.load(Acquire);
    loop {
        if inbox.mailbox().deferred() > 0
            && let Some(task) = inbox.take_deferred(|task| *task, |task| runs(*task))
        {
            return Some(task);
        }
        while let Some(task) = inbox.try_next() {
            if runs(task) {
                return Some(task);
            }
            inbox.mailbox().defer(task);
        }
        if !inbox.wait(recorder) {
            return None;
        }
    }
}

/// Both tasks wait from the start, and this thread is the worker's. The mailbox is closed by the
/// other worker (`closes`), or by this thread after both tasks have run.
fn model(others: Others, closes: bool) {
    let worker = worker();
    let recorder = worker.recorder().unwrap();
    let (mailbox, inbox) = mailbox(&worker, 2);
    // Leaked: after a failure, destructors would run outside of loom.
    let (mut inbox, mut recorder) = (ManuallyDrop::new(inbox), ManuallyDrop::new(recorder));
    std::mem::forget(Arc::clone(&mailbox));
    let shed = |_| unreachable!("nothing is shed");
    assert!(put_in(&mailbox, Lane::Keyed, KEYED, Overflow::Reject, shed));
    assert!(put(&mailbox, FREE, Overflow::Reject, shed));
    let may_run = Arc::new(AtomicBool::new(others.release.is_none()));
    let watchdog = thread::spawn({
        let mailbox = Arc::clone(&mailbox);
        move || (others.defer)(&mailbox)
    });
    let other = thread::spawn({
        let (mailbox, may_run) = (Arc::clone(&mailbox), Arc::clone(&may_run));
        move || {
            if let Some(release) = others.release {
                release(&mailbox, &may_run);
            }
            if closes {
                mailbox.close();
            }
        }
    });
    let mut ran = Vec::new();
    while let Some(task) = next(&mut inbox, &mut recorder, &may_run) {
        recorder.end(&completed());
        ran.push(task);
        if ran.len() == 2 && !closes {
            mailbox.close();
        }
    }
    watchdog.join().unwrap();
    other.join().unwrap();
    ran.sort_unstable();
    assert_eq!(ran, [KEYED, FREE], "not every task ran exactly once");
    assert_settled(&[&worker], 2);
}

#[test]
fn a_parked_worker_runs_its_deferred_tasks() {
    explore("deferred tasks", 3, || model(SHIPPED, false));
    explore("deferred task without a key", 3, || model(Others { release: None, ..SHIPPED }, false));
}

#[test]
fn a_closed_worker_runs_its_deferred_tasks() {
    explore("deferred tasks, closed", 3, || model(SHIPPED, true));
}

#[test]
fn deferring_without_waking_leaves_the_worker_parked() {
    fails_with("defers silently", 2, "deadlock", || {
        model(Others { defer: defers_silently, release: None }, false);
    });
}

#[test]
fn waking_before_releasing_leaves_the_worker_parked() {
    fails_with("wakes, then releases", 2, "deadlock", || {
        model(Others { release: Some(wakes_first), ..SHIPPED }, false);
    });
}
