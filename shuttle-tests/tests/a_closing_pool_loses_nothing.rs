//! A pool of four workers is closed while sixteen dispatchers give it tasks by a strategy: each task
//! is run once or comes back to its dispatcher, and every worker goes.
#![cfg(shuttle)]

use std::sync::Arc;

use raddle_core::{Recorder, Roster, TaskProfile};
use raddle_loom_tests::{assert_settled, completed, roster};
use raddle_runtime::mailbox::{Inbox, Lane, Mailbox, Overflow, WaitStrategy};
use raddle_shuttle_tests::{Task, explore, fails_with, mailboxes, workers};
use raddle_strategies::{Balancer, JoinIdle, RoundRobin, Strategy};
use shuttle::thread;

const WORKERS: usize = 4;
const DISPATCHERS: usize = 16;
const TASKS_EACH: usize = 2;

/// What is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// The worker goes when it finds its mailbox closed and empty: without the look at what is in
    /// flight, a task whose dispatcher has reserved and not yet sent is never read.
    GoesWhenEmpty,
    /// Closing does not wake the worker: it waits for a task that nobody may send any more.
    DoesNotWake,
}

fn close(mailbox: &Mailbox<Task>, bug: Bug) {
    if bug == Bug::DoesNotWake {
        mailbox.worker().close();
    } else {
        mailbox.close();
    }
}

/// Takes and ends tasks until the worker may go.
fn work(mut inbox: Inbox<Task>, mut recorder: Recorder, bug: Bug) -> Vec<Task> {
    let mut taken = Vec::new();
    loop {
        if let Some(task) = inbox.try_next() {
            recorder.end(&completed());
            taken.push(task);
            continue;
        }
        let is_closed = inbox.mailbox().worker().stats().is_closed();
        if bug == Bug::GoesWhenEmpty && is_closed || !inbox.wait(&mut recorder) {
            return taken;
        }
    }
}

/// The tasks that were admitted.
fn dispatch(
    number: usize,
    balancer: &Balancer,
    roster: &Roster,
    mailboxes: &[Mailbox<Task>],
) -> Vec<Task> {
    let mut tasks: Vec<_> = (0..TASKS_EACH).map(|index| number * TASKS_EACH + index).collect();
    tasks.retain(|task| {
        let Ok(place) = balancer.select(&TaskProfile::default(), roster) else { return false };
        let mailbox = &mailboxes[place.position()];
        mailbox.put(place, Lane::Normal, *task, &Overflow::Reject, drop).is_ok()
    });
    tasks
}

fn model(strategy: impl Strategy + 'static, bug: Bug) {
    let (roster, balancer) = (Arc::new(roster(WORKERS)), Arc::new(Balancer::new(strategy)));
    let mailboxes = mailboxes(&roster, TASKS_EACH);
    let threads: Vec<_> = (0..WORKERS)
        .map(|index| {
            let inbox = mailboxes[index].inbox(WaitStrategy::Park, Arc::default());
            let recorder = mailboxes[index].worker().recorder().unwrap();
            thread::spawn(move || work(inbox, recorder, bug))
        })
        .collect();
    let dispatchers: Vec<_> = (0..DISPATCHERS)
        .map(|number| {
            let (balancer, roster) = (Arc::clone(&balancer), Arc::clone(&roster));
            let mailboxes = Arc::clone(&mailboxes);
            thread::spawn(move || dispatch(number, &balancer, &roster, &mailboxes))
        })
        .collect();
    mailboxes.iter().for_each(|mailbox| close(mailbox, bug));
    let mut taken: Vec<Task> =
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let accepted: Vec<Task> =
        dispatchers.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    taken.sort_unstable();
    assert_eq!(taken, accepted, "taken are not the tasks that were accepted");
    assert_settled(&workers(&roster), accepted.len());
}

#[test]
fn in_rotation() {
    explore("closing pool, round robin", || model(RoundRobin::new(), Bug::None));
}

#[test]
fn to_the_idle() {
    explore("closing pool, join idle", || model(JoinIdle, Bug::None));
}

#[test]
fn going_when_empty_loses_a_task() {
    let expected = "taken are not the tasks that were accepted";
    fails_with("goes when empty", expected, || model(RoundRobin::new(), Bug::GoesWhenEmpty));
}

#[test]
fn closing_without_waking_leaves_a_worker_waiting() {
    fails_with("does not wake", "deadlock", || model(RoundRobin::new(), Bug::DoesNotWake));
}
