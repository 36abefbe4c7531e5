//! Tasks that are no longer worth running: past their deadline, or wanted by nobody.
mod common;

use std::sync::mpsc::channel;
use std::time::Duration;

use common::{Do, Obedient, ask_at, builder, end, hold, watchdog};
use raddle_core::{Clock, Priority};
use raddle_runtime::{AskError, Context, Drain, Overflow};

const MS: Duration = Duration::from_millis(1);

/// Waits until it is cancelled, having said that it runs.
fn until_cancelled(running: std::sync::mpsc::Sender<bool>) -> Do {
    Do::with(move |cx: &mut Context<'_>| {
        running.send(cx.is_cancelled()).unwrap();
        while !cx.is_cancelled() {
            std::thread::yield_now();
        }
        running.send(true).unwrap();
    })
}

#[test]
fn expired_tasks_never_run_whatever_their_kind() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(1).clock(clock).spawn(|_| Obedient::default()).unwrap();
    let gate = hold(&pool, 0);
    let (ran, runs) = channel();
    let task = |number: u32, within: Duration| {
        let ran = ran.clone();
        pool.task(Do::call(move || ran.send(number).unwrap())).timeout(within)
    };
    let late = [
        task(0, 5 * MS).ask().unwrap(),
        task(1, 5 * MS).key("a").ask().unwrap(),
        task(2, 5 * MS).priority(Priority::Control).ask().unwrap(),
        task(3, 5 * MS).priority(Priority::Low).ask().unwrap(),
        task(4, Duration::ZERO).ask().unwrap(),
        task(5, 4 * MS).ask().unwrap(),
    ];
    task(6, Duration::ZERO).tell().unwrap();
    let fine = [
        task(7, 6 * MS).ask().unwrap(),
        task(8, 6 * MS).key("a").ask().unwrap(),
        task(9, Duration::MAX).ask().unwrap(),
    ];
    time.advance(5 * MS);
    gate.open();
    for reply in late {
        assert_eq!(reply.wait(), Err(AskError::Expired));
    }
    assert!(fine.into_iter().all(|reply| reply.wait().is_ok()));
    let account = end(&pool);
    assert_eq!((account.counts.expired, account.counts.completed), (7, 4));
    let mut runs: Vec<_> = runs.try_iter().collect();
    runs.sort_unstable();
    assert_eq!(runs, [7, 8, 9]);
}

#[test]
fn the_time_that_remains_ends_at_zero() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(1).clock(clock).spawn(|_| Obedient::default()).unwrap();
    let (told, remaining) = channel();
    let tell = move |cx: &mut Context<'_>| {
        for _ in 0..3 {
            told.send(cx.remaining()).unwrap();
            time.advance(3 * MS);
        }
    };
    pool.task(Do::with(tell)).timeout(5 * MS).ask().unwrap().wait().unwrap();
    let remaining: Vec<_> = remaining.iter().take(3).collect();
    assert_eq!(remaining, [Some(5 * MS), Some(2 * MS), Some(Duration::ZERO)]);
    assert_eq!(end(&pool).counts.completed, 1, "one that has begun does not expire");
}

#[test]
fn a_dropped_reply_cancels_only_where_that_was_asked_for() {
    let _watchdog = watchdog();
    let pool = common::pool(1, 8, Overflow::Block);
    let gate = hold(&pool, 0);
    let (ran, runs) = channel();
    let task = |number: u32| {
        let ran = ran.clone();
        pool.task(Do::call(move || ran.send(number).unwrap()))
    };
    drop(task(0).ask().unwrap());
    drop(task(1).cancel_on_drop().ask().unwrap());
    drop(task(2).cancel_on_drop().key("a").ask().unwrap());
    let kept = task(3).cancel_on_drop().ask().unwrap();
    task(4).cancel_on_drop().tell().unwrap();
    gate.open();
    assert!(kept.wait().is_ok());
    let account = end(&pool);
    assert_eq!((account.counts.cancelled, account.counts.completed), (2, 4));
    assert_eq!(runs.try_iter().collect::<Vec<_>>(), [0, 3, 4]);
}

#[test]
fn a_running_handler_sees_that_its_asker_is_gone() {
    let _watchdog = watchdog();
    let pool = common::pool(1, 8, Overflow::Block);
    let (told, running) = channel();
    let reply = pool.task(until_cancelled(told)).cancel_on_drop().ask().unwrap();
    assert!(!running.recv().unwrap(), "not yet");
    drop(reply);
    assert!(running.recv().unwrap());
    let (told, running) = channel();
    let tell = Do::with(move |cx: &mut Context<'_>| told.send(cx.is_cancelled()).unwrap());
    drop(pool.ask(tell).unwrap());
    assert!(!running.recv().unwrap(), "nobody asked for that");
    assert_eq!(end(&pool).counts.completed, 2, "what was run has been run");
}

#[test]
fn a_running_handler_sees_that_the_shutdown_is_out_of_time() {
    let _watchdog = watchdog();
    let pool = common::pool(1, 8, Overflow::Block);
    let (told, running) = channel();
    let reply = ask_at(&pool, 0, until_cancelled(told));
    let queued = ask_at(&pool, 0, Do::Return(1));
    assert!(!running.recv().unwrap());
    // Its handler heeds the sign, so nothing is left running.
    let account = pool.shutdown(Drain::now()).unwrap();
    assert!(account.is_balanced());
    assert!(reply.wait().is_ok());
    assert_eq!(queued.wait(), Err(AskError::Cancelled));
    assert_eq!((account.counts.completed, account.counts.cancelled), (1, 1));
    assert_eq!(pool.take_unfinished().len(), 1);
    assert!(pool.take_unfinished().is_empty(), "once");
    end(&pool);
}
