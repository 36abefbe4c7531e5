//! Several threads push into a peak latency while one reads: each reading combines a latency with
//! the time at which that latency ended, and the highest of those that ended together remains.
#![cfg(loom)]

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use raddle_core::PeakLatency;
use raddle_loom_tests::{explore, fails_with};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

trait Peak: Send + Sync + 'static {
    fn new() -> Self;
    fn push(&self, latency: u64, at: u64);
    fn get(&self, now: u64) -> Option<u64>;
}

/// Half-life, in nanoseconds, of a decay with a `tau` of one second.
const HALF: u64 = 693_147_181;

impl Peak for PeakLatency {
    fn new() -> Self {
        PeakLatency::new(Duration::from_secs(1)).unwrap()
    }
    fn push(&self, latency: u64, at: u64) {
        PeakLatency::push(self, latency, at);
    }
    fn get(&self, now: u64) -> Option<u64> {
        PeakLatency::get(self, now)
    }
}

/// Returns what is left of a value, by whole half-lives.
fn decayed(value: u64, since: u64, now: u64) -> u64 {
    (value >> (now.saturating_sub(since) / HALF)).max(1)
}

/// A peak whose value and time are separate words.
struct TwoWords {
    value: AtomicU64,
    since: AtomicU64,
}

impl Peak for TwoWords {
    fn new() -> Self {
        Self { value: AtomicU64::new(0), since: AtomicU64::new(0) }
    }
    fn push(&self, latency: u64, at: u64) {
        let old = decayed(self.value.load(Relaxed), self.since.load(Relaxed), at);
        // Planted: a reader or another writer may come between the two stores.
        self.value.store(latency.max(old), Relaxed);
        self.since.store(at, Relaxed);
    }
    fn get(&self, now: u64) -> Option<u64> {
        let value = self.value.load(Relaxed);
        (value != 0).then(|| decayed(value, self.since.load(Relaxed), now))
    }
}

/// A peak of latencies that end together, which assumes a single writer.
struct LoadAndStore(AtomicU64);

impl Peak for LoadAndStore {
    fn new() -> Self {
        Self(AtomicU64::new(0))
    }
    fn push(&self, latency: u64, _: u64) {
        // Planted: what another writer has stored since the load is lost.
        let old = self.0.load(Relaxed);
        self.0.store(old.max(latency), Relaxed);
    }
    fn get(&self, _: u64) -> Option<u64> {
        Some(self.0.load(Relaxed)).filter(|value| *value != 0)
    }
}

/// A long latency and, ten half-lives later, a short one. The long one with the short one's time
/// would read 2^20, and the short one with the long one's time 1.
fn ends_at_different_times<P: Peak>() {
    const LONG: u64 = 1 << 20;
    const SHORT: u64 = 1 << 8;
    let (then, now) = (HALF, 11 * HALF);
    let possible = |value: Option<u64>| {
        value.is_none_or(|value| {
            // The short one, or the decayed long one.
            let near = |whole: u64| value.abs_diff(whole) <= whole / 64;
            near(SHORT) || near(LONG >> 10)
        })
    };
    let peak = Arc::new(P::new());
    let writers = [(LONG, then), (SHORT, now)].map(|(latency, at)| {
        let peak = Arc::clone(&peak);
        thread::spawn(move || peak.push(latency, at))
    });
    for _ in 0..2 {
        let seen = peak.get(now);
        assert!(possible(seen), "torn: {seen:?} combines a latency with another's time");
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let seen = peak.get(now);
    assert!(seen.is_some() && possible(seen), "torn: {seen:?} is not a latency with its own time");
}

fn ends_together<P: Peak>() {
    let peak = Arc::new(P::new());
    let writers = [10, 30].map(|latency| {
        let peak = Arc::clone(&peak);
        thread::spawn(move || peak.push(latency, HALF))
    });
    peak.push(20, HALF);
    let seen = peak.get(HALF);
    assert!(seen >= Some(20), "lost: {seen:?} is below a latency that was pushed before");
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(peak.get(HALF), Some(30), "lost: not the highest latency pushed");
}

#[test]
fn a_reading_combines_a_latency_with_its_own_time() {
    explore("peak, different times", 3, ends_at_different_times::<PeakLatency>);
}

#[test]
fn the_highest_of_simultaneous_latencies_remains() {
    explore("peak, same time", 3, ends_together::<PeakLatency>);
}

#[test]
fn separate_words_are_torn() {
    fails_with("separate value and time", 2, "torn: ", ends_at_different_times::<TwoWords>);
}

#[test]
fn a_store_loses_a_peak() {
    fails_with("peak by load and store", 2, "lost: ", ends_together::<LoadAndStore>);
}
