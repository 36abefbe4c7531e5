//! A caller waits for room in a full mailbox of capacity one, while room is made, the worker is closed, or
//! the caller leaves: its task is sent or returned, once, and a caller that waits is woken.
#![cfg(loom)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst as AnyOrder};
use std::task::{Wake, Waker};

use loom::thread;
use raddle_core::internal::WorkerInternals;
use raddle_core::{Reservation, Worker};
use raddle_loom_tests::{explore, fails_with, mailbox, put, send, worker};
use raddle_runtime::mailbox::{Lane, Left, Mailbox, Overflow, Place};

/// The task that fills the mailbox is 0.
type Task = usize;

/// How a caller lines up, and how room is made.
trait Steps: 'static {
    /// Puts a task into the line.
    fn line_up(mailbox: &Mailbox<Task>, task: Task) -> Option<Place<Task>>;
    /// Takes a task as a thief does.
    fn take(mailbox: &Mailbox<Task>) -> Option<Task>;
    /// Closes the worker.
    fn close(mailbox: &Mailbox<Task>);
    /// Takes a task off the worker's account that its caller has taken from the line.
    fn take_off(worker: &Worker) {
        worker.withdraw();
    }
}

struct Shipped;

impl Steps for Shipped {
    fn line_up(mailbox: &Mailbox<Task>, task: Task) -> Option<Place<Task>> {
        let reservation = Reservation::take(mailbox.worker(), 0, None)?;
        mailbox.line_up(reservation, Lane::Normal, task).ok()
    }
    fn take(mailbox: &Mailbox<Task>) -> Option<Task> {
        mailbox.take(Lane::Normal)
    }
    fn close(mailbox: &Mailbox<Task>) {
        mailbox.close_returning(|_| mailbox.worker().withdraw()).wake();
    }
}

/// The shipped code with a planted bug.
struct Tampered<const BUG: u8>;

/// The caller does not try to send once it is in the line.
const DOES_NOT_TRY_AGAIN: u8 = 0;
/// Whoever takes a task checks for callers before that.
const CHECKS_FIRST: u8 = 1;
/// Closing returns nothing to those who wait.
const RETURNS_NOTHING: u8 = 2;
/// Closing wakes nobody.
const DOES_NOT_WAKE: u8 = 3;
/// Who leaves the line stays on the account.
const STAYS_COUNTED: u8 = 4;
/// Closing leaves the tasks that it returns on the account.
const RETURNS_COUNTED: u8 = 5;

impl<const BUG: u8> Steps for Tampered<BUG> {
    fn line_up(mailbox: &Mailbox<Task>, task: Task) -> Option<Place<Task>> {
        if BUG != DOES_NOT_TRY_AGAIN {
            return Shipped::line_up(mailbox, task);
        }
        let reservation = Reservation::take(mailbox.worker(), 0, None)?;
        // Planted: room that was made just before is noticed by nobody.
        mailbox.line_up_without_trying(reservation, Lane::Normal, task).ok()
    }
    fn take(mailbox: &Mailbox<Task>) -> Option<Task> {
        if BUG != CHECKS_FIRST {
            return Shipped::take(mailbox);
        }
        // Planted: a caller that finds the lane full meanwhile is not seen.
        let waits = mailbox.has_callers();
        let taken = mailbox.take_without_serving(Lane::Normal);
        if waits {
            mailbox.give_room(Lane::Normal);
        }
        taken
    }
    fn close(mailbox: &Mailbox<Task>) {
        match BUG {
            // Planted: the tasks stay in the line of a worker that takes none.
            RETURNS_NOTHING => mailbox.worker().close(),
            // Planted.
            DOES_NOT_WAKE => drop(mailbox.close_returning(|_| mailbox.worker().withdraw())),
            // Planted: the worker waits for a task that never comes.
            RETURNS_COUNTED => mailbox.close_returning(|_| {}).wake(),
            _ => Shipped::close(mailbox),
        }
    }
    fn take_off(worker: &Worker) {
        // Planted: the worker waits for a task that never comes.
        if BUG != STAYS_COUNTED {
            worker.withdraw();
        }
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, AnyOrder);
    }
}

/// A full mailbox.
fn full() -> (Arc<Worker>, Arc<Mailbox<Task>>) {
    let worker = worker();
    let (mailbox, _) = mailbox(&worker, 1);
    assert!(send(&mailbox, 0));
    (worker, mailbox)
}

/// What is in the mailbox; in flight must be as much.
fn rest(mailbox: &Mailbox<Task>) -> Vec<Task> {
    let rest: Vec<_> = std::iter::from_fn(|| mailbox.take(Lane::Normal)).collect();
    let in_flight = mailbox.worker().stats().in_flight();
    assert_eq!(in_flight, rest.len() as u64, "in flight without a task");
    rest
}

/// A future waits while a task is taken, or the worker is closed: it is ready, or was woken.
fn future<S: Steps>(callers: usize, closes: bool) {
    let (_, mailbox) = full();
    let waiting: Vec<_> = (1..=callers)
        .map(|task| {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                let woken = Arc::<Woken>::default();
                let place = S::line_up(&mailbox, task)?;
                let waits = place.wake_by(&Waker::from(Arc::clone(&woken)));
                Some((place, waits, woken))
            })
        })
        .collect();
    let mut taken = Vec::new();
    if closes {
        S::close(&mailbox);
    } else {
        taken.extend(S::take(&mailbox));
        mailbox.worker().withdraw();
    }
    let waiting: Vec<_> = waiting.into_iter().map(|it| it.join().unwrap()).collect();
    let (mut sent, mut returned) = (0, 0);
    for (place, waits, woken) in waiting.into_iter().flatten() {
        let was_woken = woken.0.load(AnyOrder) > 0;
        match place.leave() {
            Left::Sent => {
                sent += 1;
                assert!(was_woken || !waits, "not woken");
            }
            Left::Returned(_) => {
                returned += 1;
                assert!(was_woken || !waits, "not woken");
            }
            Left::Waiting(_) => {
                assert!(!was_woken, "woken in vain");
                assert!(!closes, "in the line of a closed worker");
                S::take_off(mailbox.worker());
            }
        }
    }
    if closes {
        assert_eq!(sent, 0);
        assert_eq!(rest(&mailbox), [0]);
    } else {
        assert_eq!((sent, returned), (1, 0), "nobody got the room");
        assert_eq!(taken, [0]);
        assert_eq!(rest(&mailbox).len(), 1);
    }
}

/// A thread blocks for room while a task is taken, or the worker is closed.
fn blocked_thread<S: Steps>(closes: bool) {
    let (_, mailbox) = full();
    let blocked = thread::spawn({
        let mailbox = Arc::clone(&mailbox);
        move || put(&mailbox, 1, Overflow::Block, |_| unreachable!("nothing is shed"))
    });
    if closes {
        S::close(&mailbox);
        assert!(!blocked.join().unwrap());
        assert_eq!(rest(&mailbox), [0]);
    } else {
        assert_eq!(S::take(&mailbox), Some(0));
        mailbox.worker().withdraw();
        assert!(blocked.join().unwrap());
        assert_eq!(rest(&mailbox), [1]);
    }
}

/// A future leaves the line while a task is taken.
fn leaving<S: Steps>() {
    let (_, mailbox) = full();
    let place = S::line_up(&mailbox, 1).unwrap();
    let leaving = thread::spawn({
        let mailbox = Arc::clone(&mailbox);
        move || match place.leave() {
            Left::Sent => true,
            Left::Waiting(task) => {
                assert_eq!(task, 1);
                S::take_off(mailbox.worker());
                false
            }
            Left::Returned(_) => unreachable!("the worker is open"),
        }
    });
    assert_eq!(S::take(&mailbox), Some(0));
    mailbox.worker().withdraw();
    let sent = leaving.join().unwrap();
    assert_eq!(rest(&mailbox), if sent { vec![1] } else { vec![] });
}

#[test]
fn a_future_gets_room() {
    explore("room, a future waits", 3, || future::<Shipped>(1, false));
    explore("room, two futures wait", 2, || future::<Shipped>(2, false));
}

#[test]
fn a_thread_gets_room() {
    explore("room, a thread waits", 2, || blocked_thread::<Shipped>(false));
}

#[test]
fn closing_returns_what_waits() {
    explore("room, a future waits, closed", 3, || future::<Shipped>(1, true));
    explore("room, a thread waits, closed", 2, || blocked_thread::<Shipped>(true));
}

#[test]
fn a_future_that_leaves_is_sent_or_not() {
    explore("room, a future leaves", 3, leaving::<Shipped>);
}

#[test]
fn a_caller_that_does_not_try_again_waits_forever() {
    fails_with("does not try again", 3, "nobody got the room", || {
        future::<Tampered<DOES_NOT_TRY_AGAIN>>(1, false);
    });
}

#[test]
fn checking_for_callers_first_misses_one() {
    fails_with("checks for callers first", 3, "nobody got the room", || {
        future::<Tampered<CHECKS_FIRST>>(1, false);
    });
    fails_with("checks for callers first, a thread waits", 2, "deadlock", || {
        blocked_thread::<Tampered<CHECKS_FIRST>>(false);
    });
}

#[test]
fn closing_without_returning_leaves_a_future_in_line() {
    fails_with("returns nothing", 3, "in the line of a closed worker", || {
        future::<Tampered<RETURNS_NOTHING>>(1, true);
    });
}

#[test]
fn closing_without_waking_leaves_a_future_waiting() {
    fails_with("closing wakes nobody", 3, "not woken", || {
        future::<Tampered<DOES_NOT_WAKE>>(1, true);
    });
}

#[test]
fn a_caller_that_leaves_must_be_taken_off() {
    fails_with("leaves and stays counted", 3, "in flight without a task", || {
        leaving::<Tampered<STAYS_COUNTED>>();
    });
}

#[test]
fn a_task_that_is_returned_must_be_taken_off() {
    fails_with("returned and still counted", 3, "in flight without a task", || {
        future::<Tampered<RETURNS_COUNTED>>(1, true);
    });
}
