//! Several threads push into a latency ring while one reads: sum and count always belong to
//! latencies that were in the ring together, and in the end to those that are in it.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::LatencyRing;
use raddle_loom_tests::{explore, fails_with};
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

trait Ring: Send + Sync + 'static {
    fn new(window: usize) -> Self;
    fn push(&self, latency: u64);
    fn clear(&self);
    fn sum_and_count(&self) -> (u64, u64);
    /// Returns the latencies in the slots, each of which was pushed once. Only without writers.
    fn contents(&self) -> Vec<u64>;
}

impl Ring for LatencyRing {
    fn new(window: usize) -> Self {
        LatencyRing::new(window).unwrap()
    }
    fn push(&self, latency: u64) {
        LatencyRing::push(self, latency);
    }
    fn clear(&self) {
        LatencyRing::clear(self);
    }
    fn sum_and_count(&self) -> (u64, u64) {
        LatencyRing::sum_and_count(self)
    }
    fn contents(&self) -> Vec<u64> {
        // The lowest and the highest are all of a window of one or two.
        let mut contents: Vec<u64> = [0.0, 1.0].iter().filter_map(|q| self.quantile(*q)).collect();
        contents.dedup();
        contents
    }
}

/// A ring whose writer releases its slot before it has added its latency to the total.
struct EarlyRelease {
    total: AtomicU64,
    cursor: AtomicU64,
    slots: Vec<AtomicU64>,
}

const COUNT_BITS: u32 = 2;
const EMPTY: u64 = 0;
const BUSY: u64 = u64::MAX;

impl Ring for EarlyRelease {
    fn new(window: usize) -> Self {
        Self {
            total: AtomicU64::new(0),
            cursor: AtomicU64::new(0),
            slots: (0..window).map(|_| AtomicU64::new(EMPTY)).collect(),
        }
    }
    fn push(&self, latency: u64) {
        let slot = &self.slots[self.cursor.fetch_add(1, Relaxed) as usize % self.slots.len()];
        let new = latency + 1;
        let old = slot.swap(BUSY, Acquire);
        if old == BUSY {
            return;
        }
        // Planted: these two steps are swapped. The slot's next writer may subtract the latency
        // from the total before it is added, and the sum falls below zero.
        slot.store(new, Release);
        self.total.fetch_add(
            match old {
                EMPTY => (latency << COUNT_BITS) + 1,
                old => new.wrapping_sub(old) << COUNT_BITS,
            },
            Relaxed,
        );
    }
    /// Planted: subtracts what it reads, which a writer may be replacing.
    fn clear(&self) {
        for slot in &self.slots {
            let old = slot.load(Acquire);
            if old != EMPTY && old != BUSY {
                self.total.fetch_sub(((old - 1) << COUNT_BITS) + 1, Relaxed);
                slot.store(EMPTY, Release);
            }
        }
    }
    fn sum_and_count(&self) -> (u64, u64) {
        let total = self.total.load(Relaxed);
        (total >> COUNT_BITS, total & ((1 << COUNT_BITS) - 1))
    }
    fn contents(&self) -> Vec<u64> {
        let slots = self.slots.iter().map(|slot| slot.load(Relaxed));
        slots.filter(|slot| !matches!(*slot, EMPTY | BUSY)).map(|slot| slot - 1).collect()
    }
}

/// Each writer pushes its latencies in turn, while this thread reads twice.
fn model<R: Ring>(window: usize, writers: &[&'static [u64]], possible: &[(u64, u64)]) {
    let ring = Arc::new(R::new(window));
    let threads: Vec<_> = writers
        .iter()
        .copied()
        .map(|latencies| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || latencies.iter().for_each(|latency| ring.push(*latency)))
        })
        .collect();
    for _ in 0..2 {
        let seen = ring.sum_and_count();
        assert!(
            possible.contains(&seen),
            "torn: {seen:?} does not belong to latencies in the ring"
        );
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let (total, contents) = (ring.sum_and_count(), ring.contents());
    assert!(possible.contains(&total), "torn: {total:?} does not belong to latencies in the ring");
    // loom may show a slot as BUSY here, which is impossible: the swap that found it BUSY directly
    // follows the one that made it so, and thus precedes its owner's store. loom lacks that rule.
    if contents.len() as u64 == total.1 {
        assert_eq!(total.0, contents.iter().sum(), "the final sum is not exact");
    }
}

/// A slot is cleared while another latency is pushed into it.
fn cleared<R: Ring>() {
    let ring = Arc::new(R::new(1));
    ring.push(30);
    let other = Arc::clone(&ring);
    let writer = thread::spawn(move || other.push(10));
    ring.clear();
    writer.join().unwrap();
    let (total, contents) = (ring.sum_and_count(), ring.contents());
    assert!([(0, 0), (10, 1)].contains(&total), "torn: {total:?} after clearing");
    // As in `model`: loom may show the slot as BUSY.
    if contents.len() as u64 == total.1 {
        assert_eq!(total.0, contents.iter().sum(), "torn: the final sum is not exact");
    }
}

fn one_slot<R: Ring>() {
    model::<R>(1, &[&[30], &[10]], &[(0, 0), (10, 1), (30, 1)]);
}

fn two_slots<R: Ring>() {
    // Every choice of one latency per slot has its own sum.
    let possible = [(0, 0), (1, 1), (2, 1), (4, 1), (3, 2), (5, 2), (6, 2)];
    model::<R>(2, &[&[4, 1], &[2]], &possible);
}

#[test]
fn two_writers_of_one_slot_tear_nothing() {
    explore("latency ring, one slot", 3, one_slot::<LatencyRing>);
}

#[test]
fn two_writers_of_two_slots_tear_nothing() {
    explore("latency ring, two slots", 2, two_slots::<LatencyRing>);
}

#[test]
fn clearing_tears_nothing() {
    explore("latency ring, cleared", 3, cleared::<LatencyRing>);
}

#[test]
fn clearing_without_ownership_tears_the_sum() {
    fails_with("cleared without ownership", 3, "torn: ", cleared::<EarlyRelease>);
}

#[test]
fn a_slot_released_early_tears_the_mean() {
    fails_with("early release, one slot", 2, "torn: ", one_slot::<EarlyRelease>);
    fails_with("early release, two slots", 2, "torn: ", two_slots::<EarlyRelease>);
}
