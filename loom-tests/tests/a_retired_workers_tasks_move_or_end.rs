//! A worker closes and empties its mailbox while a dispatcher puts and its sibling closes too: each
//! task moves to the sibling or ends where it is, once, and neither worker goes before its tasks.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::internal::WorkerInternals;
use raddle_core::{Outcome, Worker};
use raddle_loom_tests::{
    assert_settled, completed, explore, fails_with, give, mailbox, roster, tasks_of, work,
};
use raddle_runtime::mailbox::Mailbox;

type Task = usize;

/// How a task of the first mailbox's worker moves to the second mailbox; `false` when it is to end
/// where it is.
type Move = fn(&Mailbox<Task>, &Mailbox<Task>, Task) -> bool;

fn puts_then_gives_up(from: &Mailbox<Task>, to: &Mailbox<Task>, task: Task) -> bool {
    let moved = give(to, task);
    if moved {
        from.worker().withdraw();
    }
    moved
}

fn gives_up_then_puts(from: &Mailbox<Task>, to: &Mailbox<Task>, task: Task) -> bool {
    // Planted: between the two, the task is in flight nowhere.
    from.worker().withdraw();
    give(to, task)
}

fn does_not_give_up(_: &Mailbox<Task>, to: &Mailbox<Task>, task: Task) -> bool {
    // Planted: the worker waits for the end of a task that it no longer has.
    give(to, task)
}

/// When the sibling is closed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    /// While tasks move.
    Meanwhile,
    /// When all have moved.
    Afterwards,
}

/// Where the tasks are from the start, and where one more is given.
const TASKS: usize = 1;

/// This thread retires a worker with a task, to which a dispatcher gives another, while a third
/// thread runs the sibling.
fn model(relocate: Move, closing: Closing) {
    let roster = roster(2);
    let [retiring, sibling] = [0, 1].map(|position| Arc::clone(&roster.members()[position].worker));
    let [mut recorder, mut other] = [&retiring, &sibling].map(|worker| worker.recorder().unwrap());
    let (from, _inbox) = mailbox(&retiring, TASKS + 1);
    let (to, mut inbox) = mailbox(&sibling, 1);
    assert!(give(&from, 0), "there is room");
    let dispatcher = thread::spawn({
        let (from, to) = (Arc::clone(&from), Arc::clone(&to));
        move || {
            let accepted = TASKS + usize::from(give(&from, TASKS));
            if closing == Closing::Meanwhile {
                to.close();
            }
            check_none_is_missed(&from, &to, accepted);
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
    assert!(from.is_empty(), "gone with a task in its mailbox");
    let accepted = dispatcher.join().unwrap();
    if closing == Closing::Afterwards {
        to.close();
    }
    ended.extend(working.join().unwrap());
    ended.sort_unstable();
    assert_eq!(ended, (0..accepted).collect::<Vec<_>>(), "not every task was ended, once");
    assert_settled(&[&retiring, &sibling], accepted);
}

fn check_none_is_missed(from: &Mailbox<Task>, to: &Mailbox<Task>, tasks: usize) {
    let seen = tasks_of(&[from.worker() as &Worker, to.worker()]);
    assert!(seen >= tasks as u64, "{seen} tasks in flight or ended of {tasks}");
}

#[test]
fn a_sibling_that_closes_afterwards() {
    explore("retired worker", 2, || model(puts_then_gives_up, Closing::Afterwards));
}

#[test]
fn a_sibling_that_closes_meanwhile() {
    explore("retired worker, closing sibling", 2, || {
        model(puts_then_gives_up, Closing::Meanwhile);
    });
}

#[test]
fn giving_up_before_the_sibling_has_it() {
    let expected = "tasks in flight or ended of";
    fails_with("gives up, then puts", 2, expected, || {
        model(gives_up_then_puts, Closing::Afterwards);
    });
}

#[test]
fn moving_without_giving_up() {
    // loom's word for an execution without an end.
    let expected = "exceeded maximum number of branches";
    fails_with("does not give up", 2, expected, || model(does_not_give_up, Closing::Afterwards));
}
