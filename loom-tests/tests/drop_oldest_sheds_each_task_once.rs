//! Dispatchers that let the oldest task make room meet in a mailbox with room for one, beside its
//! worker: each task that was accepted is either run or shed, once, and then no longer in flight.
#![cfg(loom)]

use raddle_core::internal::WorkerInternals;
use std::sync::Arc;

use loom::thread;
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, mailbox, put, work, worker,
};
use raddle_runtime::mailbox::{Mailbox, Overflow};

/// The task of a dispatcher, which is its number.
type Task = usize;

/// How a task is put that the oldest is to make room for: whether it was accepted. What made room
/// goes to the list.
type Put = fn(&Mailbox<Task>, Task, &mut Vec<Task>) -> bool;

fn shipped(mailbox: &Mailbox<Task>, task: Task, shed: &mut Vec<Task>) -> bool {
    put(mailbox, task, &Overflow::DropOldest, |oldest| shed.push(oldest))
}

/// The same by hand: `make_room` brings the end of a task that makes room.
fn by_hand(
    mailbox: &Mailbox<Task>,
    task: Task,
    shed: &mut Vec<Task>,
    make_room: fn(&Mailbox<Task>),
) -> bool {
    while !put(mailbox, task, &Overflow::Reject, |_| {}) {
        if mailbox.worker().stats().is_closed() {
            return false;
        }
        if let Some(oldest) = mailbox.steal() {
            make_room(mailbox);
            shed.push(oldest);
        }
    }
    true
}

fn gives_up(mailbox: &Mailbox<Task>, task: Task, shed: &mut Vec<Task>) -> bool {
    by_hand(mailbox, task, shed, |mailbox| mailbox.worker().withdraw())
}

fn does_not_give_up(mailbox: &Mailbox<Task>, task: Task, shed: &mut Vec<Task>) -> bool {
    // Planted: what was shed stays in flight, and the worker waits for its end.
    by_hand(mailbox, task, shed, |_| {})
}

fn gives_up_twice(mailbox: &Mailbox<Task>, task: Task, shed: &mut Vec<Task>) -> bool {
    // Planted: another task is in flight no more.
    by_hand(mailbox, task, shed, |mailbox| {
        mailbox.worker().withdraw();
        mailbox.worker().withdraw();
    })
}

/// Two dispatchers with a task each, while this thread takes what it finds, and at the end the
/// rest.
fn model(put: Put) {
    let worker = worker();
    let mut recorder = worker.recorder().unwrap();
    let (mailbox, mut inbox) = mailbox(&worker, 1);
    let dispatchers = [0, 1].map(|task| dispatcher(&mailbox, task, put, false));
    let mut run = Vec::new();
    let mut take = |run: &mut Vec<Task>| {
        let Some(task) = inbox.try_next() else { return false };
        recorder.end(&completed());
        run.push(task);
        true
    };
    take(&mut run);
    let dispatched = dispatchers.map(|dispatcher| dispatcher.join().unwrap());
    while take(&mut run) {}
    check(&mailbox, run, dispatched);
}

/// The same with a worker that sleeps, and that the second dispatcher closes.
fn model_with_a_sleeper(put: Put) {
    let worker = worker();
    let mut recorder = worker.recorder().unwrap();
    let (mailbox, mut inbox) = mailbox(&worker, 1);
    let dispatchers = [0, 1].map(|task| dispatcher(&mailbox, task, put, task == 1));
    let run = work(&mut inbox, &mut recorder);
    check(&mailbox, run, dispatchers.map(|dispatcher| dispatcher.join().unwrap()));
}

/// A task, when it was accepted, and the tasks that were shed for it.
type Dispatched = (Option<Task>, Vec<Task>);

fn dispatcher(
    mailbox: &Arc<Mailbox<Task>>,
    task: Task,
    put: Put,
    closes: bool,
) -> thread::JoinHandle<Dispatched> {
    let mailbox = Arc::clone(mailbox);
    thread::spawn(move || {
        let mut shed = Vec::new();
        let accepted = put(&mailbox, task, &mut shed).then_some(task);
        if closes {
            mailbox.close();
        }
        (accepted, shed)
    })
}

fn check(mailbox: &Mailbox<Task>, run: Vec<Task>, dispatched: [Dispatched; 2]) {
    let (ended, mut gone) = (run.len(), run);
    let mut accepted = Vec::new();
    for (task, shed) in dispatched {
        accepted.extend(task);
        gone.extend(shed);
    }
    gone.sort_unstable();
    assert_eq!(gone, accepted, "run and shed are not the tasks that were accepted");
    assert_settled(&[mailbox.worker()], ended);
}

#[test]
fn two_dispatchers() {
    explore("drop oldest", 3, || model(shipped));
}

#[test]
fn two_dispatchers_and_a_sleeping_worker() {
    explore("drop oldest, sleeping worker", 2, || model_with_a_sleeper(shipped));
}

#[test]
fn by_hand_and_right() {
    explore("drop oldest by hand", 3, || model(gives_up));
}

#[test]
fn shedding_without_giving_up() {
    let expected = "not every task is accounted for";
    fails_with("shed is not given up", 2, expected, || model(does_not_give_up));
}

#[test]
fn giving_up_twice() {
    let expected = "not every task is accounted for";
    fails_with("shed is given up twice", 2, expected, || model(gives_up_twice));
}
