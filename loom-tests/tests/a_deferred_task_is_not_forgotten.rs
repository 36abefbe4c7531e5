//! A worker keeps a task back until its key is free, the watchdog keeps another in the same mailbox as
//! no other worker has room, and the worker falls asleep: both are run, once, and it goes when closed.
#![cfg(loom)]

use std::mem::ManuallyDrop;
use std::sync::Arc;

use loom::thread;
use raddle_core::Recorder;
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, mailbox, put, put_in, worker,
};
use raddle_runtime::mailbox::{Inbox, Lane, Mailbox, Overflow};
use raddle_sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};

type Task = usize;

/// A task with a key, and one that is free.
const KEYED: Task = 0;
const FREE: Task = 1;

/// What others do to the mailbox.
#[derive(Clone, Copy)]
struct Others {
    /// The watchdog's part.
    keep: fn(&Mailbox<Task>),
    /// Another worker lets go of the key; without, it is free from the start.
    let_go: Option<fn(&Mailbox<Task>, &AtomicBool)>,
}

const SHIPPED: Others = Others { keep: keeps, let_go: Some(lets_go) };

fn keeps(mailbox: &Mailbox<Task>) {
    if let Some(task) = mailbox.steal() {
        mailbox.hold(task);
        mailbox.wake();
    }
}

fn keeps_silently(mailbox: &Mailbox<Task>) {
    // Planted: the worker sleeps, as what it was woken for was gone when it looked.
    if let Some(task) = mailbox.steal() {
        mailbox.hold(task);
    }
}

fn lets_go(mailbox: &Mailbox<Task>, may_run: &AtomicBool) {
    may_run.store(true, Release);
    mailbox.wake();
}

fn wakes_first(mailbox: &Mailbox<Task>, may_run: &AtomicBool) {
    // Planted: the worker looks in between, and sleeps again.
    mailbox.wake();
    may_run.store(true, Release);
}

/// As the worker's thread takes its next task; `None` when it goes.
fn next(inbox: &mut Inbox<Task>, recorder: &mut Recorder, may_run: &AtomicBool) -> Option<Task> {
    let runs = |task: Task| task == FREE || may_run.load(Acquire);
    loop {
        if inbox.mailbox().held() > 0
            && let Some(task) = inbox.take_held(|task| *task, |task| runs(*task))
        {
            return Some(task);
        }
        while let Some(task) = inbox.try_next() {
            if runs(task) {
                return Some(task);
            }
            inbox.mailbox().hold(task);
        }
        if !inbox.wait(recorder) {
            return None;
        }
    }
}

/// Both tasks are there from the start, and this thread does the worker's part. It is closed by the
/// other worker, in the end, or by this thread when it has run both.
fn model(others: Others, closes: bool) {
    let worker = worker();
    let recorder = worker.recorder().unwrap();
    let (mailbox, inbox) = mailbox(&worker, 2);
    // Leaked: when a model fails, destructors are run outside of loom.
    let (mut inbox, mut recorder) = (ManuallyDrop::new(inbox), ManuallyDrop::new(recorder));
    std::mem::forget(Arc::clone(&mailbox));
    let shed = |_| unreachable!("none is shed");
    assert!(put_in(&mailbox, Lane::Keyed, KEYED, &Overflow::Reject, shed));
    assert!(put(&mailbox, FREE, &Overflow::Reject, shed));
    let may_run = Arc::new(AtomicBool::new(others.let_go.is_none()));
    let watchdog = thread::spawn({
        let mailbox = Arc::clone(&mailbox);
        move || (others.keep)(&mailbox)
    });
    let other = thread::spawn({
        let (mailbox, may_run) = (Arc::clone(&mailbox), Arc::clone(&may_run));
        move || {
            if let Some(let_go) = others.let_go {
                let_go(&mailbox, &may_run);
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
    assert_eq!(ran, [KEYED, FREE], "not every task was run, once");
    assert_settled(&[&worker], 2);
}

#[test]
fn a_sleeping_worker() {
    explore("kept tasks", 3, || model(SHIPPED, false));
    explore("kept task without a key", 3, || model(Others { let_go: None, ..SHIPPED }, false));
}

#[test]
fn a_worker_that_is_to_go() {
    explore("kept tasks, closed", 3, || model(SHIPPED, true));
}

#[test]
fn keeping_silently() {
    fails_with("keeps silently", 2, "deadlock", || {
        model(Others { keep: keeps_silently, let_go: None }, false);
    });
}

#[test]
fn waking_before_letting_go() {
    fails_with("wakes, then lets go", 2, "deadlock", || {
        model(Others { let_go: Some(wakes_first), ..SHIPPED }, false);
    });
}
