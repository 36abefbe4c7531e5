//! A task panics and the actor is restarted after a pause, while tasks are sent and the mailbox
//! closes: each accepted task runs once, under the old actor or the new one, and the worker ends.
//!
//! The worker's thread is written out here, over the mailbox and account that ship: the runtime's
//! own loop has threads and hooks that do not fit into a model.
#![cfg(loom)]

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use raddle_core::{Completion, Outcome};
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, mailbox, next, send, worker,
};
use raddle_runtime::mailbox::Inbox;

type Task = usize;

/// The task that panics, and the number of tasks.
const PANICS: Task = 0;
const TASKS: usize = 3;

/// What happens between two actors; `false` if the worker ends.
type Restart = fn(&mut Inbox<Task>) -> bool;

/// Pauses until the restart is due or the worker closes. Pausing consumes notifications; the polls
/// that follow find what they were for.
fn pauses(inbox: &mut Inbox<Task>) -> bool {
    for _ in 0..2 {
        if !inbox.mailbox().worker().stats().is_closed() {
            inbox.mailbox().notify().wait_timeout(Some(Duration::ZERO));
        }
    }
    true
}

fn discards(inbox: &mut Inbox<Task>) -> bool {
    // Planted: the new actor starts with an empty mailbox, but the discarded tasks are counted.
    while inbox.try_next().is_some() {}
    pauses(inbox)
}

fn ends_when_closed(inbox: &mut Inbox<Task>) -> bool {
    // Planted: a closed worker is not restarted, although it has tasks.
    pauses(inbox) && !inbox.mailbox().worker().stats().is_closed()
}

/// The task that panics waits from the start. Two dispatchers send another each, and the second
/// then closes the mailbox, while this thread is the worker's.
fn model(restart: Restart) {
    let worker = worker();
    let mut recorder = worker.recorder().unwrap();
    let (mailbox, mut inbox) = mailbox(&worker, TASKS);
    assert!(send(&mailbox, PANICS), "there is room");
    let dispatchers = [1, 2].map(|task| {
        let mailbox = Arc::clone(&mailbox);
        thread::spawn(move || {
            let accepted = send(&mailbox, task);
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
    assert_eq!(ran, accepted, "the tasks run are not those accepted");
    assert_settled(&[&worker], accepted.len());
    assert_eq!((worker.stats().counts().panicked, worker.generation()), (1, 1));
}

#[test]
fn a_restarting_worker_loses_no_task() {
    explore("restart", 2, || model(pauses));
}

#[test]
fn discarding_the_mailbox_leaves_tasks_in_flight() {
    // loom's message for an execution that does not end: discarded tasks stay in flight.
    let expected = "exceeded maximum number of branches";
    fails_with("restart discards the mailbox", 2, expected, || model(discards));
}

#[test]
fn ending_when_closed_meanwhile_loses_tasks() {
    let expected = "the tasks run are not those accepted";
    fails_with("restart ends when closed", 2, expected, || model(ends_when_closed));
}
