//! Timers are cancelled while their queue drops the cancelled ones that it sees. A cancelled timer
//! is counted before the queue can see it, so the count of cancelled timers never falls below zero,
//! and is 0 at the end.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_loom_tests::{explore, fails_with};
use raddle_runtime::models::TimerQueue;
use raddle_sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{self, Acquire, Relaxed, Release},
};

/// Two timers are cancelled, each by its own thread, while their queue looks for due timers and
/// drops cancelled ones: one by one, or all when they are more than half.
fn model() {
    let mut queue = TimerQueue::default();
    let threads: Vec<_> = (1..=2)
        .map(|due| {
            let handle = queue.push(due, None, ());
            thread::spawn(move || assert!(handle.cancel(), "not due yet"))
        })
        .collect();
    // `uncount` checks that every dropped timer was counted.
    let _ = queue.next_due();
    assert!(queue.pop_due(0).is_none(), "not due yet");
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(queue.pop_due(u64::MAX).is_none(), "fired after its cancel");
}

/// One timer, whose state this thread loads with the ordering `seeing` while another thread calls
/// `cancel`.
fn twin(seeing: Ordering, cancel: fn(&AtomicU32, &AtomicUsize)) {
    let words = Arc::new((AtomicU32::new(0), AtomicUsize::new(0)));
    let canceller = thread::spawn({
        let words = Arc::clone(&words);
        move || cancel(&words.0, &words.1)
    });
    let (state, cancelled) = &*words;
    if state.load(seeing) != 0 {
        let counted = cancelled.load(Relaxed);
        assert!(counted > 0, "a cancelled timer was seen before it was counted");
        cancelled.fetch_sub(1, Relaxed);
    }
    canceller.join().unwrap();
}

#[test]
fn cancelled_timers_are_counted_when_the_queue_drops_them() {
    explore("cancelled timers are counted", 3, model);
}

#[test]
fn counting_before_cancelling_is_correct() {
    explore("counting before cancelling", 3, || {
        twin(Acquire, |state, cancelled| {
            cancelled.fetch_add(1, Relaxed);
            state.store(1, Release);
        });
    });
}

#[test]
fn cancelling_relaxed_hides_the_count() {
    // Planted: the store does not publish the count before it.
    fails_with("cancelled Relaxed", 2, "seen before it was counted", || {
        twin(Acquire, |state, cancelled| {
            cancelled.fetch_add(1, Relaxed);
            state.store(1, Relaxed);
        });
    });
}

#[test]
fn seeing_relaxed_misses_the_count() {
    // Planted: the load does not acquire the count.
    fails_with("seen Relaxed", 2, "seen before it was counted", || {
        twin(Relaxed, |state, cancelled| {
            cancelled.fetch_add(1, Relaxed);
            state.store(1, Release);
        });
    });
}

#[test]
fn counting_afterwards_is_too_late() {
    // Planted: the queue may see the timer between the two steps.
    fails_with("counting after cancelling", 2, "seen before it was counted", || {
        twin(Acquire, |state, cancelled| {
            state.store(1, Release);
            cancelled.fetch_add(1, Relaxed);
        });
    });
}
