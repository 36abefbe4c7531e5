//! Workers and mailboxes without a pool's threads around them.

use std::sync::Arc;

use raddle_core::{Clock, Finished, Outcome, Reservation, Roster, Tracking, Worker, WorkerSpec};
use raddle_runtime::mailbox::{self, Mailbox, Overflow};

/// A task is its number.
pub type Task = usize;

/// A roster of so many generalists, without the thousands of atomics that tracking keeps.
///
/// # Panics
/// Never: the roster is a valid one.
pub fn roster(workers: usize) -> Arc<Roster> {
    let roster = Roster::builder()
        .workers(workers, WorkerSpec::general())
        .tracking(Tracking { enabled: false, ..Tracking::default() })
        .clock(Clock::simulated().0)
        .build();
    Arc::new(roster.expect("a valid roster"))
}

/// A mailbox for each worker.
pub fn mailboxes(roster: &Roster, capacity: usize) -> Arc<Vec<Mailbox<Task>>> {
    let of = |worker: &Arc<Worker>| mailbox::bounded(Arc::clone(worker), capacity);
    Arc::new(roster.workers().iter().map(|member| of(&member.worker)).collect())
}

/// Puts a task where there is room; `false` when it was not admitted.
pub fn put(mailbox: &Mailbox<Task>, task: Task) -> bool {
    Reservation::take(mailbox.worker(), 0, None).is_some_and(|place| {
        let none_is_shed = |_| unreachable!("none is shed");
        mailbox.put(place, mailbox::Lane::Normal, task, &Overflow::Reject, none_is_shed).is_ok()
    })
}

/// The end of a task that took no time.
pub fn completed() -> Finished {
    Finished::new(Outcome::Completed)
}

/// Tasks in flight and tasks ended, in sum. Where tasks move from one worker to the next in this
/// order, none is missed: one that has left the former is seen with the latter.
pub fn tasks_of<'w>(workers: impl Iterator<Item = &'w Worker> + Clone) -> u64 {
    let in_flight: u64 = workers.clone().map(|worker| worker.stats().in_flight()).sum();
    in_flight + ended_in(workers)
}

/// Tasks ended, in sum.
pub fn ended_in<'w>(workers: impl Iterator<Item = &'w Worker>) -> u64 {
    workers.map(|worker| worker.stats().counts().ended()).sum()
}

/// Checks that nothing is in flight, and that so many tasks were admitted and ended, in sum.
///
/// # Panics
/// When it is not so.
pub fn assert_settled(roster: &Roster, tasks: usize) {
    let (mut admitted, mut ended) = (0, 0);
    for member in roster.workers() {
        let counts = member.worker.stats().counts();
        (admitted, ended) = (admitted + counts.admitted, ended + counts.ended());
        assert_eq!(member.worker.stats().in_flight(), 0, "in flight at the end");
    }
    let tasks = tasks as u64;
    assert_eq!((admitted, ended), (tasks, tasks), "not every task is accounted for, once");
}
