//! A worker's thread pushes latencies without read-modify-writes while another thread reads: each
//! reading is the sum and count after one of the pushes, and readings never go back.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::LatencyRing;
use raddle_loom_tests::{explore, fails_with};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

trait Window: Send + Sync + 'static {
    /// A window of two latencies.
    fn new() -> Self;
    fn push(&self, latency: u64);
    fn sum_and_count(&self) -> (u64, u64);
}

impl Window for LatencyRing {
    fn new() -> Self {
        LatencyRing::new(2).unwrap()
    }
    fn push(&self, latency: u64) {
        self.push_exclusive(latency);
    }
    fn sum_and_count(&self) -> (u64, u64) {
        LatencyRing::sum_and_count(self)
    }
}

/// The slots of both twins: the position of the next latency, and the one it replaces.
struct Slots {
    cursor: AtomicU64,
    latencies: [AtomicU64; 2],
}

impl Slots {
    fn new() -> Self {
        Self { cursor: AtomicU64::new(0), latencies: [AtomicU64::new(0), AtomicU64::new(0)] }
    }
    /// Stores a latency; returns the one it replaces, and whether the slot was empty.
    fn replace(&self, latency: u64) -> (u64, bool) {
        let cursor = self.cursor.load(Relaxed);
        self.cursor.store(cursor + 1, Relaxed);
        let slot = &self.latencies[cursor as usize % 2];
        let old = slot.load(Relaxed);
        slot.store(latency, Relaxed);
        (old, cursor < 2)
    }
}

/// A window whose sum and count are separate words.
struct TwoWords {
    slots: Slots,
    sum: AtomicU64,
    count: AtomicU64,
}

impl Window for TwoWords {
    fn new() -> Self {
        Self { slots: Slots::new(), sum: AtomicU64::new(0), count: AtomicU64::new(0) }
    }
    fn push(&self, latency: u64) {
        let (old, fresh) = self.slots.replace(latency);
        // Planted: a reader may come between the two stores, or see the second without the first.
        self.sum.store(self.sum.load(Relaxed) + latency - old, Relaxed);
        self.count.store(self.count.load(Relaxed) + u64::from(fresh), Relaxed);
    }
    fn sum_and_count(&self) -> (u64, u64) {
        (self.sum.load(Relaxed), self.count.load(Relaxed))
    }
}

/// A window of one word that is stored twice per latency.
struct TwoStores {
    slots: Slots,
    total: AtomicU64,
}

impl Window for TwoStores {
    fn new() -> Self {
        Self { slots: Slots::new(), total: AtomicU64::new(0) }
    }
    fn push(&self, latency: u64) {
        let (old, fresh) = self.slots.replace(latency);
        let total = self.total.load(Relaxed) + u64::from(fresh) - (old << 2);
        // Planted: one store too many. Between the two, the old latency is counted but not summed.
        self.total.store(total, Relaxed);
        self.total.store(total + (latency << 2), Relaxed);
    }
    fn sum_and_count(&self) -> (u64, u64) {
        let total = self.total.load(Relaxed);
        (total >> 2, total & 3)
    }
}

const LATENCIES: [u64; 4] = [10, 30, 20, 70];
const AFTER_EACH: [(u64, u64); 5] = [(0, 0), (10, 1), (40, 2), (50, 2), (90, 2)];

fn model<W: Window>() {
    let window = Arc::new(W::new());
    let reader = thread::spawn({
        let window = Arc::clone(&window);
        move || {
            let mut at_least = 0;
            for _ in 0..3 {
                let seen = window.sum_and_count();
                let Some(pushed) = AFTER_EACH.iter().position(|possible| *possible == seen) else {
                    panic!("torn: {seen:?} is not the sum and count after any push");
                };
                assert!(pushed >= at_least, "read {pushed} latencies after {at_least}");
                at_least = pushed;
            }
        }
    });
    LATENCIES.iter().for_each(|latency| window.push(*latency));
    reader.join().unwrap();
    assert_eq!(window.sum_and_count(), (90, 2));
}

#[test]
fn readings_of_a_writing_worker_are_never_torn() {
    explore("packed word, exclusive writer", 3, model::<LatencyRing>);
}

#[test]
fn separate_words_are_torn() {
    fails_with("sum and count in two words", 2, "torn: ", model::<TwoWords>);
}

#[test]
fn two_stores_are_torn() {
    fails_with("one word, stored twice", 2, "torn: ", model::<TwoStores>);
}
