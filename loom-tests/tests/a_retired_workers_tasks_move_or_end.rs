//! A worker closes and empties its mailbox while a dispatcher sends and its sibling closes too:
//! each task moves to the sibling or ends where it is, once, and neither worker ends before its
//! tasks.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::internal::WorkerInternals;
use raddle_core::{Outcome, Worker};
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, mailbox, roster, send, tasks_of, work,
};
use raddle_runtime::mailbox::Mailbox;

type Task = usize;

/// How a task moves from the first mailbox to the second; `false` if it must end where it is.
type Move = fn(&Mailbox<Task>, &Mailbox<Task>, Task) -> bool;

fn sends_then_withdraws(from: &Mailbox<Task>, to: &Mailbox<Task>, task: Task) -> bool {
    let moved = send(to, task);
    if moved {
        from.worker().withdraw();
    }
    moved
}

fn withdraws_then_sends(from: &Mailbox<Task>, to: &Mailbox<Task>, task: Task) -> bool {
    // Planted: between the two steps, the task is counted nowhere.
    from.worker().withdraw();
    send(to, task)
}

fn does_not_withdraw(_: &Mailbox<Task>, to: &Mailbox<Task>, task: Task) -> bool {
    // Planted: the worker waits for the end of a task that it no longer has.
    send(to, task)
}

/// When the sibling closes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    /// While tasks move.
    Meanwhile,
    /// After all tasks have moved.
    Afterwards,
}

/// Number of tasks that wait from the start; the dispatcher sends one more.
const TASKS: usize = 1;

/// This thread retires a worker that has a task, a dispatcher sends it another, and a third thread
/// runs the sibling.
fn model(relocate: Move, closing: Closing) {
    let roster = roster(2);
    let [retiring, sibling] = [0, 1].map(|position| Arc::clone(&roster.members()[position].worker));
    let [mut recorder, mut other] = [&retiring, &sibling].map(|worker| worker.recorder().unwrap());
    let (from, _inbox) = mailbox(&retiring, TASKS + 1);
    let (to, mut inbox) = mailbox(&sibling, 1);
    assert!(send(&from, 0), "there is room");
    let dispatcher = thread::spawn({
        let (from, to) = (Arc::clone(&from), Arc::clone(&to));
        move || {
            let accepted = TASKS + usize::from(send(&from, TASKS));
            if closing == Closing::Meanwhile {
                to.close();
            }
            check_all_are_counted(&from, &to, accepted);
            accepted
        }
    });
    let working = thread::spawn(move || work(&mut inbox, &mut other));

    from.close();
    let mut ended = Vec::new();
    while retiring.stats().in_flight() > 0 {
        match from.take_any() {
            None => thread::yield_now(),
            Some(task) if relocate(&from, &to, task) => {}
            Some(task) => {
                let mut end = completed();
                end.outcome = Outcome::Cancelled;
                recorder.end(&end);
                ended.push(task);
            }
        }
    }
    assert_eq!(from.len(), 0, "ended with a task in its mailbox");
    let accepted = dispatcher.join().unwrap();
    if closing == Closing::Afterwards {
        to.close();
    }
    ended.extend(working.join().unwrap());
    ended.sort_unstable();
    assert_eq!(ended, (0..accepted).collect::<Vec<_>>(), "not every task ended exactly once");
    assert_settled(&[&retiring, &sibling], accepted);
}

fn check_all_are_counted(from: &Mailbox<Task>, to: &Mailbox<Task>, tasks: usize) {
    let seen = tasks_of(&[from.worker() as &Worker, to.worker()]);
    assert!(seen >= tasks as u64, "{seen} tasks in flight or ended of {tasks}");
}

#[test]
fn tasks_move_to_a_sibling_that_closes_afterwards() {
    explore("retired worker", 2, || model(sends_then_withdraws, Closing::Afterwards));
}

#[test]
fn tasks_move_or_end_if_the_sibling_closes_meanwhile() {
    explore("retired worker, closing sibling", 2, || {
        model(sends_then_withdraws, Closing::Meanwhile);
    });
}

#[test]
fn withdrawing_before_sending_leaves_a_task_uncounted() {
    let expected = "tasks in flight or ended of";
    fails_with("withdraws, then sends", 2, expected, || {
        model(withdraws_then_sends, Closing::Afterwards);
    });
}

#[test]
fn moving_without_withdrawing_leaves_the_worker_waiting() {
    // loom's message for an execution that does not end.
    let expected = "exceeded maximum number of branches";
    fails_with("does not withdraw", 2, expected, || model(does_not_withdraw, Closing::Afterwards));
}
