//! Timers are cancelled while their queue drops the cancelled ones that it meets: it takes off its
//! count of them only what was counted, so that the count is never below zero and 0 in the end.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_loom_tests::{explore, fails_with};
use raddle_runtime::models::TimerQueue;
use raddle_sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{self, Acquire, Relaxed, Release},
};

/// Two timers, each cancelled by a thread of its own, in a queue that is asked for what is due and
/// drops what is cancelled: one by one, or all when they are more than half.
fn model() {
    let mut queue = TimerQueue::new();
    let threads: Vec<_> = (1..=2)
        .map(|due| {
            let handle = queue.push(due, None, ());
            thread::spawn(move || assert!(handle.cancel(), "it was not due"))
        })
        .collect();
    // Each checks in `uncount` that what it drops was counted.
    let _ = queue.next_due();
    assert!(queue.pop_due(0).is_none(), "it was not due");
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(queue.pop_due(u64::MAX).is_none(), "fired after its cancel");
}

/// One timer, which this thread meets by a load of this ordering while another one cancels it by
/// `cancel`.
fn twin(meets: Ordering, cancel: fn(&AtomicU32, &AtomicUsize)) {
    let words = Arc::new((AtomicU32::new(0), AtomicUsize::new(0)));
    let canceller = thread::spawn({
        let words = Arc::clone(&words);
        move || cancel(&words.0, &words.1)
    });
    let (state, cancelled) = &*words;
    if state.load(meets) != 0 {
        let counted = cancelled.load(Relaxed);
        assert!(counted > 0, "a cancelled timer was met before it was counted");
        cancelled.fetch_sub(1, Relaxed);
    }
    canceller.join().unwrap();
}

#[test]
fn cancelling_while_the_queue_drops() {
    explore("cancelled timers are counted", 3, model);
}

#[test]
fn counting_first() {
    explore("counting before cancelling", 3, || {
        twin(Acquire, |state, cancelled| {
            cancelled.fetch_add(1, Relaxed);
            state.store(1, Release);
        });
    });
}

#[test]
fn cancelling_relaxed_hides_the_count() {
    // Planted: the mark does not carry what was counted before it.
    fails_with("cancelled Relaxed", 2, "met before it was counted", || {
        twin(Acquire, |state, cancelled| {
            cancelled.fetch_add(1, Relaxed);
            state.store(1, Relaxed);
        });
    });
}

#[test]
fn meeting_relaxed_misses_the_count() {
    // Planted: the same on the other side.
    fails_with("met Relaxed", 2, "met before it was counted", || {
        twin(Relaxed, |state, cancelled| {
            cancelled.fetch_add(1, Relaxed);
            state.store(1, Release);
        });
    });
}

#[test]
fn counting_afterwards_is_too_late() {
    // Planted: the queue may meet the timer between the two.
    fails_with("counting after cancelling", 2, "met before it was counted", || {
        twin(Acquire, |state, cancelled| {
            state.store(1, Release);
            cancelled.fetch_add(1, Relaxed);
        });
    });
}
