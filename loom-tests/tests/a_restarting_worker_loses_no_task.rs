//! A task panics, and the actor is made anew after a pause, while tasks are put and the mailbox is
//! closed: each task that was accepted is run once, by this actor or the next, and the worker goes.
//!
//! What the worker's thread does is written out here, over the mailbox and the account that ship:
//! `worker/life.rs` does it among threads and hooks that loom has no place for.
#![cfg(loom)]

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use raddle_core::{Completion, Outcome};
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, give, mailbox, next, worker,
};
use raddle_runtime::mailbox::Inbox;

type Task = usize;

/// The task that panics, and others.
const PANICS: Task = 0;
const TASKS: usize = 3;

/// What is done between two actors; `false` when the worker goes.
type Restart = fn(&mut Inbox<Task>) -> bool;

/// Pauses until the restart is due, or the worker is to end. Pausing takes the token of whoever wakes
/// it: what that was for is found by the looks that follow.
fn pauses(inbox: &mut Inbox<Task>) -> bool {
    for _ in 0..2 {
        if !inbox.mailbox().worker().stats().is_closed() {
            inbox.pause(Duration::ZERO);
        }
    }
    true
}

fn discards(inbox: &mut Inbox<Task>) -> bool {
    // Planted: the next actor begins with nothing. Who put these tasks has counted them.
    while inbox.try_next().is_some() {}
    pauses(inbox)
}

fn goes_when_closed(inbox: &mut Inbox<Task>) -> bool {
    // Planted: there is no actor to be made any more, but there are tasks.
    pauses(inbox) && !inbox.mailbox().worker().stats().is_closed()
}

/// The task that panics is there from the start. Two dispatchers put another each, the second of whom
/// closes then, while this thread does the worker's part.
fn model(restart: Restart) {
    let worker = worker();
    let mut recorder = worker.recorder().unwrap();
    let (mailbox, mut inbox) = mailbox(&worker, TASKS);
    assert!(give(&mailbox, PANICS), "there is room");
    let dispatchers = [1, 2].map(|task| {
        let mailbox = Arc::clone(&mailbox);
        thread::spawn(move || {
            let accepted = give(&mailbox, task);
            if task == 2 {
                mailbox.close();
            }
            accepted.then_some(task)
        })
    });
    let mut ran = Vec::new();
    while let Some(task) = next(&mut inbox, &mut recorder) {
        ran.push(task);
        if task != PANICS {
            recorder.end(&completed());
            continue;
        }
        recorder.end(&Completion::new(Outcome::Panicked));
        recorder.publish();
        if !restart(&mut inbox) {
            break;
        }
        worker.next_generation();
    }
    let accepted = dispatchers.into_iter().filter_map(|dispatcher| dispatcher.join().unwrap());
    let accepted: Vec<_> = [PANICS].into_iter().chain(accepted).collect();
    ran.sort_unstable();
    assert_eq!(ran, accepted, "run are not the tasks that were accepted");
    assert_settled(&[&worker], accepted.len());
    assert_eq!((worker.stats().counts().panicked, worker.generation()), (1, 1));
}

#[test]
fn a_worker_that_restarts() {
    explore("restart", 2, || model(pauses));
}

#[test]
fn discarding_the_mailbox() {
    // loom's word for an execution without an end: what is discarded stays in flight.
    let expected = "exceeded maximum number of branches";
    fails_with("restart discards the mailbox", 2, expected, || model(discards));
}

#[test]
fn going_when_closed_meanwhile() {
    let expected = "run are not the tasks that were accepted";
    fails_with("restart goes when closed", 2, expected, || model(goes_when_closed));
}
