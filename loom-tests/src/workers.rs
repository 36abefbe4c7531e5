//! Workers and mailboxes without the threads of a pool.

use raddle_core::{Clock, Completion, Outcome, Reservation, Roster, Tracking, Worker, WorkerSpec};
use raddle_runtime::mailbox::{Lane, Mailbox, Overflow};

/// Creates a roster of general workers, without the thousands of atomics of tracking.
///
/// # Panics
/// Never: the roster is valid.
pub fn roster(workers: usize) -> Roster {
    Roster::builder()
        .workers(workers, WorkerSpec::general())
        .tracking(Tracking { enabled: false, ..Tracking::default() })
        .clock(Clock::simulated().0)
        .build()
        .expect("a valid roster")
}

/// Sends a task with an overflow policy. Returns `false` if it was not admitted. Tasks dropped to
/// make room are passed to `shed`.
pub fn put<T>(mailbox: &Mailbox<T>, task: T, overflow: Overflow, shed: impl FnMut(T)) -> bool {
    put_in(mailbox, Lane::Normal, task, overflow, shed)
}

/// Sends a task like [`put`], into a lane.
pub fn put_in<T>(
    mailbox: &Mailbox<T>,
    lane: Lane,
    task: T,
    overflow: Overflow,
    shed: impl FnMut(T),
) -> bool {
    Reservation::take(mailbox.worker(), 0, None)
        .is_some_and(|taken| mailbox.put(taken, lane, task, overflow, u64::MAX, shed).is_ok())
}

/// Sends a task that is refused if there is no room. Returns `false` if it was not admitted.
pub fn send<T>(mailbox: &Mailbox<T>, task: T) -> bool {
    put(mailbox, task, Overflow::Reject, |_| unreachable!("nothing is shed"))
}

/// Returns the completion of a task that took no time.
pub fn completed() -> Completion {
    Completion::new(Outcome::Completed)
}

/// Returns the tasks in flight plus the tasks ended. No task is missed that moves from one worker
/// to another in this order: having left the former, it is counted at the latter.
pub fn tasks_of(workers: &[&Worker]) -> u64 {
    let in_flight: u64 = workers.iter().map(|worker| worker.stats().in_flight()).sum();
    in_flight + workers.iter().map(|worker| worker.stats().counts().ended()).sum::<u64>()
}

/// Checks that `tasks` tasks in total were admitted and ended, and that none is in flight.
///
/// # Panics
/// If the check fails.
pub fn assert_settled(workers: &[&Worker], tasks: usize) {
    let (mut admitted, mut ended) = (0, 0);
    for worker in workers {
        let counts = worker.stats().counts();
        (admitted, ended) = (admitted + counts.admitted, ended + counts.ended());
    }
    let tasks = tasks as u64;
    assert_eq!((admitted, ended), (tasks, tasks), "not every task is accounted for exactly once");
    for worker in workers {
        assert_eq!(worker.stats().in_flight(), 0, "in flight at the end");
    }
}
