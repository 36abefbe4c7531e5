//! Tasks that are no longer worth running: their deadline has passed, or nobody wants the reply.
mod common;

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use common::{Do, Obedient, admitted, ask_at, builder, end, hold, number, watchdog};
use raddle_core::{Clock, Priority};
use raddle_runtime::{AskError, Drain, Overflow};

const MS: Duration = Duration::from_millis(1);

/// Sends whether it is cancelled when it starts, and `true` when it has been cancelled.
fn until_cancelled(cancelled: Sender<bool>) -> Do {
    Do::with(move |cx| {
        cancelled.send(cx.is_cancelled()).unwrap();
        while !cx.is_cancelled() {
            thread::yield_now();
        }
        cancelled.send(true).unwrap();
    })
}

#[test]
fn an_expired_task_does_not_run_whatever_its_lane() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(1).clock(clock).spawn(|_| Obedient::default()).unwrap();
    let gate = hold(&pool, 0);
    let (ran, runs) = channel();
    let task = |number: u32, timeout: Duration| {
        let ran = ran.clone();
        pool.task(Do::call(move || ran.send(number).unwrap())).timeout(timeout)
    };
    let late = [
        task(0, 5 * MS).ask(),
        task(1, 5 * MS).key("a").ask(),
        task(2, 5 * MS).priority(Priority::Control).ask(),
        task(3, 5 * MS).priority(Priority::Low).ask(),
        task(4, Duration::ZERO).ask(),
        task(5, 4 * MS).ask(),
    ];
    task(6, Duration::ZERO).tell().unwrap();
    let in_time =
        [task(7, 6 * MS).ask(), task(8, 6 * MS).key("a").ask(), task(9, Duration::MAX).ask()];
    time.advance(5 * MS);
    gate.open();
    for ask in late {
        let reply = ask.wait();
        assert!(matches!(reply, Err(AskError::Expired)), "{reply:?}");
    }
    for ask in in_time {
        number(ask);
    }
    let account = end(&pool);
    assert_eq!((account.counts.expired, account.counts.completed), (7, 4));
    let mut runs: Vec<_> = runs.try_iter().collect();
    runs.sort_unstable();
    assert_eq!(runs, [7, 8, 9]);
}

#[test]
fn the_remaining_time_does_not_fall_below_zero() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(1).clock(clock).spawn(|_| Obedient::default()).unwrap();
    let (seen, remaining) = channel();
    let watch = Do::with(move |cx| {
        for _ in 0..3 {
            seen.send(cx.remaining()).unwrap();
            time.advance(3 * MS);
        }
    });
    number(pool.task(watch).timeout(5 * MS).ask());
    let remaining: Vec<_> = remaining.iter().collect();
    assert_eq!(remaining, [Some(5 * MS), Some(2 * MS), Some(Duration::ZERO)]);
    assert_eq!(end(&pool).counts.completed, 1, "a task that has started does not expire");
}

#[test]
fn dropping_an_ask_cancels_its_task_only_if_requested() {
    let _watchdog = watchdog();
    let pool = common::pool(1, 8, Overflow::Block);
    let gate = hold(&pool, 0);
    let (ran, runs) = channel();
    let task = |number: u32| {
        let ran = ran.clone();
        pool.task(Do::call(move || ran.send(number).unwrap()))
    };
    drop(admitted(task(0).ask()));
    drop(admitted(task(1).cancel_on_drop().ask()));
    drop(admitted(task(2).cancel_on_drop().key("a").ask()));
    let kept = admitted(task(3).cancel_on_drop().ask());
    task(4).tell().unwrap();
    gate.open();
    number(kept);
    let account = end(&pool);
    assert_eq!((account.counts.cancelled, account.counts.completed), (2, 4));
    assert_eq!(runs.try_iter().collect::<Vec<_>>(), [0, 3, 4]);
}

#[test]
fn a_running_handler_sees_that_its_ask_was_dropped() {
    let _watchdog = watchdog();
    let pool = common::pool(1, 8, Overflow::Block);
    let (sender, cancelled) = channel();
    let ask = admitted(pool.task(until_cancelled(sender)).cancel_on_drop().ask());
    assert!(!cancelled.recv().unwrap(), "the ask is still there");
    drop(ask);
    assert!(cancelled.recv().unwrap());
    let (sender, cancelled) = channel();
    let check = Do::with(move |cx| sender.send(cx.is_cancelled()).unwrap());
    drop(admitted(pool.ask(check)));
    assert!(!cancelled.recv().unwrap(), "cancelling was not requested");
    assert_eq!(end(&pool).counts.completed, 2, "a task that ran counts as completed");
}

#[test]
fn a_running_handler_sees_that_the_shutdown_has_reached_its_limit() {
    let _watchdog = watchdog();
    let pool = common::pool(1, 8, Overflow::Block);
    let (sender, cancelled) = channel();
    let running = ask_at(&pool, 0, until_cancelled(sender));
    let queued = ask_at(&pool, 0, Do::Return(1));
    assert!(!cancelled.recv().unwrap());
    // The handler returns when it sees that, so nothing is left running.
    let account = pool.shutdown(Drain::now()).unwrap();
    assert!(account.is_balanced());
    let running = running.wait();
    assert!(matches!(running, Err(AskError::ShutDown)), "{running:?}");
    let queued = queued.wait();
    assert!(matches!(queued, Err(AskError::Cancelled)), "{queued:?}");
    assert_eq!((account.counts.completed, account.counts.cancelled), (1, 1));
    assert_eq!(pool.take_unfinished().len(), 1);
    assert!(pool.take_unfinished().is_empty(), "each message is taken once");
    end(&pool);
}
