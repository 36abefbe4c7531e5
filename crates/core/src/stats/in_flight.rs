use super::work::entry;
use raddle_sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// The bit of the admission word that says: no more.
const CLOSED: u64 = 1 << 63;

/// Tasks given to a worker so far, whether it takes more, and whether it must be woken for them.
/// Written by dispatchers, so on a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Admissions {
    count: AtomicU64,
    /// The sizes of these tasks, where they have one: a word of [`Work`](super::work::Work).
    work: AtomicU64,
    /// Raised by the worker before it sleeps, lowered by whoever wakes it.
    sleeping: AtomicBool,
    /// Whether the worker's idle bit is clear: raised by who has cleared it, lowered by who is to
    /// set it again.
    unlisted: AtomicBool,
    /// The worker's own, at least 1. Here, as who reads it reads the count; in an array of their own
    /// weights would make a scan that has no use for them a sixth slower at 16 workers.
    weight: u32,
}

/// Tasks that a worker has ended so far. Written by whoever records the end.
#[derive(Debug)]
pub(super) struct Endings(AtomicU64);

// Their difference is what is in flight. Dispatchers write one and the worker the other, so that
// neither waits for the other's cache line; why it never goes below zero: stats/README.md.

impl Admissions {
    pub(super) fn new(weight: u32) -> Self {
        Self {
            weight: weight.max(1),
            count: AtomicU64::new(0),
            work: AtomicU64::new(0),
            sleeping: AtomicBool::new(false),
            unlisted: AtomicBool::new(false),
        }
    }

    /// Counts one more task; refused once closed.
    #[inline]
    pub(crate) fn admit(&self) -> bool {
        // Acquire pairs with the AcqRel of `try_park`: who is counted after the worker looked
        // sees that it sleeps.
        if self.count.fetch_add(1, Acquire) & CLOSED == 0 {
            return true;
        }
        // Closed, it is never idle.
        let _ = self.withdraw();
        false
    }

    /// Counts one more task, closed or not: by the worker itself, which therefore is not gone.
    pub(crate) fn adopt(&self) {
        self.count.fetch_add(1, Relaxed);
    }

    /// Takes back an admission that led to nothing here; whether the worker may be idle now and is
    /// not listed so.
    #[inline]
    #[must_use = "an idle worker is to be listed"]
    pub(crate) fn withdraw(&self) -> bool {
        // Release pairs with the Acquire of `count`: what the withdrawing thread did before
        // comes before the worker's end. Acquire pairs with the AcqRel of `look`: who withdraws
        // after the look of one that cleared the idle bit sees that it is to be set.
        self.count.fetch_sub(1, AcqRel);
        self.is_unlisted()
    }

    /// How many were admitted, the top bit set when closed: a read-modify-write, so that everyone
    /// else's look, admission or withdrawal comes before it and is seen here, or after it and sees
    /// what this thread did before.
    pub(super) fn look(&self) -> u64 {
        self.count.fetch_add(0, AcqRel)
    }

    /// Whether the worker's idle bit is clear, as of the caller's last look or later.
    #[inline]
    pub(super) fn is_unlisted(&self) -> bool {
        self.unlisted.load(Relaxed)
    }

    /// Notes that the caller has cleared the idle bit.
    pub(super) fn unlist(&self) {
        // Release pairs with the Acquire of `list`: who sets the bit does so after it was cleared.
        // No model needs this Release: loom has the bit cleared and set in the order in which it
        // runs that.
        self.unlisted.store(true, Release);
    }

    /// Whether the caller is the one to set the idle bit.
    pub(super) fn list(&self) -> bool {
        // No model needs this Acquire: for the same reason as the Release of `unlist`.
        self.unlisted.compare_exchange(true, false, Acquire, Relaxed).is_ok()
    }

    /// Adds the size of a task that was admitted, unless it has none.
    #[inline]
    pub(crate) fn admit_work(&self, expected_duration: u64) {
        if expected_duration != 0 {
            // Relaxed: what hands the task over publishes it to who ends it.
            self.work.fetch_add(entry(expected_duration), Relaxed);
        }
    }

    /// Takes such a size back; before the admission, so that who sees no task sees no work.
    #[inline]
    pub(crate) fn withdraw_work(&self, expected_duration: u64) {
        if expected_duration != 0 {
            // Release pairs with the Acquire of `work`: who sees that a thief's victim has less
            // sees that the thief has more.
            self.work.fetch_sub(entry(expected_duration), Release);
        }
    }

    #[inline]
    pub(super) fn work(&self) -> u64 {
        self.work.load(Acquire)
    }

    /// Refuses every admission from now on.
    pub(super) fn close(&self) {
        self.count.fetch_or(CLOSED, Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.count.load(Relaxed) & CLOSED != 0
    }

    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.count.load(Acquire) & !CLOSED
    }

    #[inline]
    pub(super) fn weight(&self) -> u32 {
        self.weight
    }

    /// Raises the sleeping flag, unless more than `expected` tasks were ever admitted or the
    /// worker is closed: then whoever gives the next task, or closes, wakes it.
    pub(super) fn try_park(&self, expected: u64) -> bool {
        self.sleeping.store(true, Relaxed);
        // A read-modify-write, so that each admission comes before it and is seen here, or after
        // it and, acquiring what this releases, sees the flag.
        if self.look() == expected {
            return true;
        }
        self.sleeping.store(false, Relaxed);
        false
    }

    /// Whether the worker sleeps and the caller is the one to wake it.
    #[inline]
    pub(crate) fn must_wake(&self) -> bool {
        // No write where the flag is down: only who lowers it wakes.
        self.sleeping.load(Relaxed)
            && self.sleeping.compare_exchange(true, false, Relaxed, Relaxed).is_ok()
    }

    #[inline]
    pub(super) fn is_parked(&self) -> bool {
        self.sleeping.load(Relaxed)
    }
}

impl Endings {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts so many more ends, by the one thread that does; how many there are then.
    #[inline]
    pub(super) fn end_exclusive(&self, more: u64) -> u64 {
        let count = self.0.load(Relaxed) + more;
        // Release pairs with the Acquire of `count`: who sees these ends sees their admissions, and
        // their outcomes in the counters.
        self.0.store(count, Release);
        count
    }

    /// Counts one more end, by any thread that holds a reservation.
    #[inline]
    pub(super) fn end_shared(&self) {
        // Acquire pairs with the AcqRel of `look`: who ends a task after the look of one that
        // cleared the idle bit sees that it is clear.
        self.0.fetch_add(1, AcqRel);
    }

    /// A read-modify-write that changes nothing: every end by [`end_shared`](Self::end_shared)
    /// comes before it and is seen by this thread, or after it and sees what this thread did.
    pub(super) fn look(&self) {
        // No model needs this Acquire: loom has the admissions counted in the order in which it runs
        // that, so that a look at them comes after that of each end which is seen here.
        self.0.fetch_add(0, AcqRel);
    }

    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.0.load(Acquire)
    }

    /// Tasks in flight; momentarily too many while others admit and end, never too few.
    #[inline]
    pub(super) fn in_flight(&self, kept: &Kept, admissions: &Admissions) -> u64 {
        // In this order: admissions only grow past what has ended.
        let ended = self.count().max(kept.count());
        admissions.count().saturating_sub(ended)
    }

    /// The same for selections: a closed worker has more than any other.
    #[inline]
    pub(super) fn in_flight_or_closed(&self, admissions: &Admissions) -> u64 {
        let ended = self.count();
        // Relaxed: it comes after the Acquire of `count`, and whoever selects concludes nothing else.
        admissions.count.load(Relaxed).wrapping_sub(ended)
    }
}

/// Tasks that a worker had ended so far when it last kept an end from its [`Endings`]. By the one
/// thread that records, on a line that selections do not read.
///
/// Not the number of those that are pending: that is no longer so before, or after, the endings count
/// them, and who reads both then would miss them or count them twice. Of two counts of the same ends
/// the greater one is right.
#[derive(Debug)]
pub(super) struct Kept(AtomicU64);

impl Kept {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// So many have ended by now, the last of which the endings do not count.
    #[inline]
    pub(super) fn keep(&self, ended: u64) {
        // Release pairs with the Acquire of `count`: who sees this end sees its admission, and its
        // outcome in the counters.
        self.0.store(ended, Release);
    }

    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.0.load(Acquire)
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
