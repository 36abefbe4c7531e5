//! A pool of four workers closes while sixteen dispatchers send tasks by a strategy: each task is
//! run once or returned to its dispatcher, and every worker ends.
#![cfg(shuttle)]

use std::sync::Arc;

use raddle_core::{Roster, SerialRecorder, TaskProfile};
use raddle_loom_tests::{assert_settled, completed, roster};
use raddle_runtime::mailbox::{Inbox, Lane, Mailbox, Overflow, WaitStrategy};
use raddle_shuttle_tests::{Task, explore, fails_with, mailboxes, workers};
use raddle_strategies::{Balancer, JoinIdle, RoundRobin, Strategy};
use shuttle::thread;

const WORKERS: usize = 4;
const DISPATCHERS: usize = 16;
const TASKS_EACH: usize = 2;

/// The planted bug.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// The worker ends when its mailbox is closed and empty. Without checking the tasks in flight,
    /// it misses a task that is reserved but not yet sent.
    EndsWhenEmpty,
    /// Closing does not wake the worker, which waits for a task that can no longer be sent.
    DoesNotWake,
}

fn close(mailbox: &Mailbox<Task>, bug: Bug) {
    if bug == Bug::DoesNotWake {
        mailbox.worker().close();
    } else {
        mailbox.close();
    }
}

/// Takes and ends tasks until the worker may end.
fn work(mut inbox: Inbox<Task>, mut recorder: SerialRecorder, bug: Bug) -> Vec<Task> {
    let mut taken = Vec::new();
    loop {
        if let Some(task) = inbox.try_next() {
            recorder.end(&completed());
            taken.push(task);
            continue;
        }
        let is_closed = inbox.mailbox().worker().stats().is_closed();
        if bug == Bug::EndsWhenEmpty && is_closed || !inbox.wait(&mut recorder) {
            return taken;
        }
    }
}

/// Sends the dispatcher's tasks and returns those that were admitted.
fn dispatch(
    number: usize,
    balancer: &Balancer,
    roster: &Roster,
    mailboxes: &[Mailbox<Task>],
) -> Vec<Task> {
    let mut tasks: Vec<_> = (0..TASKS_EACH).map(|index| number * TASKS_EACH + index).collect();
    tasks.retain(|task| {
        let Ok(reservation) = balancer.select(&TaskProfile::default(), roster) else {
            return false;
        };
        let mailbox = &mailboxes[reservation.position()];
        mailbox.put(reservation, Lane::Normal, *task, Overflow::Reject, u64::MAX, drop).is_ok()
    });
    tasks
}

fn model(strategy: impl Strategy + 'static, bug: Bug) {
    let (roster, balancer) =
        (Arc::new(roster(WORKERS)), Arc::new(Balancer::new(strategy).unwrap()));
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
    assert_eq!(taken, accepted, "the tasks taken are not those accepted");
    assert_settled(&workers(&roster), accepted.len());
}

#[test]
fn a_closing_pool_with_round_robin_loses_nothing() {
    explore("closing pool, round robin", || model(RoundRobin::new(), Bug::None));
}

#[test]
fn a_closing_pool_with_join_idle_loses_nothing() {
    explore("closing pool, join idle", || model(JoinIdle, Bug::None));
}

#[test]
fn ending_when_empty_loses_a_task() {
    let expected = "the tasks taken are not those accepted";
    fails_with("ends when empty", expected, || model(RoundRobin::new(), Bug::EndsWhenEmpty));
}

#[test]
fn closing_without_waking_leaves_a_worker_waiting() {
    fails_with("does not wake", "deadlock", || model(RoundRobin::new(), Bug::DoesNotWake));
}
