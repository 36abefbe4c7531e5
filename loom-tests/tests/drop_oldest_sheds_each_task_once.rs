//! Dispatchers that drop the oldest task to make room compete for a mailbox of capacity one, along
//! with its worker: each accepted task is either run or shed, once, and then no longer in flight.
#![cfg(loom)]

use raddle_core::internal::WorkerInternals;
use std::sync::Arc;

use loom::thread;
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, mailbox, put, work, worker,
};
use raddle_runtime::mailbox::{Mailbox, Overflow};

/// A task is the number of its dispatcher.
type Task = usize;

/// How a task is sent that may drop the oldest; returns whether it was accepted. Dropped tasks are
/// added to the list.
type Put = fn(&Mailbox<Task>, Task, &mut Vec<Task>) -> bool;

fn shipped(mailbox: &Mailbox<Task>, task: Task, shed: &mut Vec<Task>) -> bool {
    put(mailbox, task, Overflow::DropOldest, |oldest| shed.push(oldest))
}

/// Drops the oldest by hand; `make_room` ends the dropped task.
fn by_hand(
    mailbox: &Mailbox<Task>,
    task: Task,
    shed: &mut Vec<Task>,
    make_room: fn(&Mailbox<Task>),
) -> bool {
    while !put(mailbox, task, Overflow::Reject, |_| {}) {
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

fn withdraws(mailbox: &Mailbox<Task>, task: Task, shed: &mut Vec<Task>) -> bool {
    by_hand(mailbox, task, shed, |mailbox| mailbox.worker().withdraw())
}

fn does_not_withdraw(mailbox: &Mailbox<Task>, task: Task, shed: &mut Vec<Task>) -> bool {
    // Planted: the shed task stays in flight, and the worker waits for its end.
    by_hand(mailbox, task, shed, |_| {})
}

fn withdraws_twice(mailbox: &Mailbox<Task>, task: Task, shed: &mut Vec<Task>) -> bool {
    // Planted: another task is no longer counted in flight.
    by_hand(mailbox, task, shed, |mailbox| {
        mailbox.worker().withdraw();
        mailbox.worker().withdraw();
    })
}

/// Two dispatchers send a task each, while this thread takes what it finds, and the rest at the
/// end.
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

/// Like [`model`], with a worker that parks, and that the second dispatcher closes.
fn model_with_parking(put: Put) {
    let worker = worker();
    let mut recorder = worker.recorder().unwrap();
    let (mailbox, mut inbox) = mailbox(&worker, 1);
    let dispatchers = [0, 1].map(|task| dispatcher(&mailbox, task, put, task == 1));
    let run = work(&mut inbox, &mut recorder);
    check(&mailbox, run, dispatchers.map(|dispatcher| dispatcher.join().unwrap()));
}

/// A task, if it was accepted, and the tasks that were shed for it.
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
    assert_eq!(gone, accepted, "the tasks run and shed are not those accepted");
    assert_settled(&[mailbox.worker()], ended);
}

#[test]
fn each_task_is_shed_or_run_once() {
    explore("drop oldest", 3, || model(shipped));
}

#[test]
fn each_task_is_shed_or_run_once_with_a_parking_worker() {
    explore("drop oldest, parking worker", 2, || model_with_parking(shipped));
}

#[test]
fn dropping_by_hand_is_correct() {
    explore("drop oldest by hand", 3, || model(withdraws));
}

#[test]
fn shedding_without_withdrawing_leaves_a_task_in_flight() {
    let expected = "not every task is accounted for";
    fails_with("sheds without withdrawing", 2, expected, || model(does_not_withdraw));
}

#[test]
fn withdrawing_twice_uncounts_another_task() {
    let expected = "not every task is accounted for";
    fails_with("withdraws twice", 2, expected, || model(withdraws_twice));
}
