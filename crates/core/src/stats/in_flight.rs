use crate::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The bit of the admission word that says: no more.
const CLOSED: u64 = 1 << 63;

/// Tasks given to a worker so far, and whether it takes more. Written by dispatchers, so on a
/// cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Admissions(AtomicU64);

/// Tasks that a worker has ended so far. Written by whoever records the end.
#[derive(Debug)]
pub(super) struct Endings(AtomicU64);

// Their difference is what is in flight. Dispatchers write one and the worker the other, so that
// neither waits for the other's cache line; why it never goes below zero: stats/README.md.

impl Admissions {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one more task; refused once closed.
    #[inline]
    pub(crate) fn admit(&self) -> bool {
        if self.0.fetch_add(1, Relaxed) & CLOSED == 0 {
            return true;
        }
        self.withdraw();
        false
    }

    /// Takes back an admission that led to nothing.
    #[inline]
    pub(crate) fn withdraw(&self) {
        // Release pairs with the Acquire of `drained`: what the withdrawing thread did before
        // comes before the worker's end.
        self.0.fetch_sub(1, Release);
    }

    /// Refuses every admission from now on.
    pub(super) fn close(&self) {
        self.0.fetch_or(CLOSED, Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.load(Relaxed) & CLOSED != 0
    }

    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.0.load(Acquire) & !CLOSED
    }
}

impl Endings {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one more end, by the one thread that does.
    #[inline]
    pub(super) fn end_exclusive(&self) {
        // Release pairs with the Acquire of `count`: who sees this end sees its admission, and
        // its outcome in the counters.
        self.0.store(self.0.load(Relaxed) + 1, Release);
    }

    /// Counts one more end, by any thread that holds a reservation.
    #[inline]
    pub(super) fn end_shared(&self) {
        self.0.fetch_add(1, Release);
    }

    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.0.load(Acquire)
    }

    /// Tasks in flight; momentarily too many while others admit and end, never too few.
    #[inline]
    pub(super) fn in_flight(&self, admissions: &Admissions) -> u64 {
        // In this order: admissions only grow past what the endings count.
        let ended = self.count();
        admissions.count().saturating_sub(ended)
    }

    /// The same for selections: a closed worker has more than any other.
    #[inline]
    pub(super) fn in_flight_or_closed(&self, admissions: &Admissions) -> u64 {
        let ended = self.count();
        admissions.0.load(Acquire).wrapping_sub(ended)
    }
}

/// Tasks that were left to be ended by their worker's id.
#[derive(Debug)]
pub(super) struct Detached(AtomicU64);

impl Detached {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(super) fn add(&self) {
        // Release pairs with the Acquire in `take`: who records the end comes after the admission.
        self.0.fetch_add(1, Release);
    }

    /// Takes one, if there is one. Lock-free, not wait-free: it asks again where the count has
    /// changed meanwhile, by another's `add` or `take` that thereby succeeded.
    pub(super) fn take(&self) -> bool {
        // Never below zero, not even for an instant: what is refused must not be seen by others,
        // who would be refused for it. Acquire pairs with the Release in `add`.
        self.0.fetch_update(Acquire, Relaxed, |count| count.checked_sub(1)).is_ok()
    }
}
