//! Workers and mailboxes without a pool's threads around them.

use raddle_core::{Clock, Completion, Outcome, Reservation, Roster, Tracking, Worker, WorkerSpec};
use raddle_runtime::mailbox::{Lane, Mailbox, Overflow};

/// A roster of so many generalists, without the thousands of atomics that tracking keeps.
///
/// # Panics
/// Never: the roster is a valid one.
pub fn roster(workers: usize) -> Roster {
    Roster::builder()
        .workers(workers, WorkerSpec::general())
        .tracking(Tracking { enabled: false, ..Tracking::default() })
        .clock(Clock::simulated().0)
        .build()
        .expect("a valid roster")
}

/// Puts a task by this policy; `false` when it was not admitted. What makes room goes to `shed`.
pub fn put<T>(mailbox: &Mailbox<T>, task: T, overflow: &Overflow, shed: impl FnMut(T)) -> bool {
    put_in(mailbox, Lane::Normal, task, overflow, shed)
}

/// The same into this lane.
pub fn put_in<T>(
    mailbox: &Mailbox<T>,
    lane: Lane,
    task: T,
    overflow: &Overflow,
    shed: impl FnMut(T),
) -> bool {
    Reservation::take(mailbox.worker(), 0, None)
        .is_some_and(|place| mailbox.put(place, lane, task, overflow, shed).is_ok())
}

/// The same where there is room for all: none is shed.
pub fn give<T>(mailbox: &Mailbox<T>, task: T) -> bool {
    put(mailbox, task, &Overflow::Reject, |_| unreachable!("none is shed"))
}

/// The end of a task that took no time.
pub fn completed() -> Completion {
    Completion::new(Outcome::Completed)
}

/// Tasks in flight and tasks ended, in sum. Where tasks move from one worker to the next in this
/// order, none is missed: one that has left the former is seen with the latter.
pub fn tasks_of(workers: &[&Worker]) -> u64 {
    let in_flight: u64 = workers.iter().map(|worker| worker.stats().in_flight()).sum();
    in_flight + workers.iter().map(|worker| worker.stats().counts().ended()).sum::<u64>()
}

/// Checks that nothing is in flight and that so many tasks were admitted and ended, in sum.
///
/// # Panics
/// When it is not so.
pub fn assert_settled(workers: &[&Worker], tasks: usize) {
    let (mut admitted, mut ended) = (0, 0);
    for worker in workers {
        let counts = worker.stats().counts();
        (admitted, ended) = (admitted + counts.admitted, ended + counts.ended());
    }
    let tasks = tasks as u64;
    assert_eq!((admitted, ended), (tasks, tasks), "not every task is accounted for, once");
    for worker in workers {
        assert_eq!(worker.stats().in_flight(), 0, "in flight at the end");
    }
}
