use super::packed_work::entry;
use raddle_sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// The bit of the admission count that marks a closed worker.
const CLOSED: u64 = 1 << 63;

/// What dispatchers write for a worker: how many tasks were admitted, whether it accepts more, and
/// whether it is parked. On a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Admissions {
    count: AtomicU64,
    /// The expected durations of these tasks: a word of [`packed_work`](super::packed_work).
    work: AtomicU64,
    /// Set by the worker before it parks, cleared by the thread that wakes it.
    parked: AtomicBool,
    /// Whether the worker's idle bit is clear. Set by the thread that cleared the bit, cleared by
    /// the thread that will set the bit again.
    unlisted: AtomicBool,
    /// At least 1. Here because its readers also read the count: in an array of its own it would
    /// slow down scans that do not use it by a sixth at 16 workers.
    weight: AtomicU32,
}

/// The number of tasks that a worker has ended, as selections read it. Written by whoever records
/// the end.
#[derive(Debug, Default)]
pub(super) struct Endings(AtomicU64);

// In flight = admissions - endings. Dispatchers write one word and the worker the other, so neither
// waits for the other's cache line. docs/worker-statistics.md says why the difference is never
// negative.

impl Admissions {
    pub(super) fn new() -> Self {
        Self {
            weight: AtomicU32::new(1),
            count: AtomicU64::new(0),
            work: AtomicU64::new(0),
            parked: AtomicBool::new(false),
            unlisted: AtomicBool::new(false),
        }
    }

    /// Makes this as new, for another worker of this weight.
    pub(super) fn reset(&self, weight: u32) {
        self.count.store(0, Relaxed);
        self.work.store(0, Relaxed);
        self.parked.store(false, Relaxed);
        self.unlisted.store(false, Relaxed);
        self.weight.store(weight.max(1), Relaxed);
    }

    /// Counts one more task; `false` when the worker is closed.
    #[inline]
    pub(crate) fn admit(&self) -> bool {
        // Acquire pairs with the AcqRel of `synchronize` in `try_park`: a task counted after the
        // worker checked the count sees that it is parked.
        if self.count.fetch_add(1, Acquire) & CLOSED == 0 {
            return true;
        }
        // A closed worker is never listed as idle.
        let _ = self.withdraw();
        false
    }

    /// Counts one more task even if closed. Called by the worker itself, which therefore still runs.
    pub(crate) fn adopt(&self) {
        self.count.fetch_add(1, Relaxed);
    }

    /// Takes back an admission. Returns whether the worker may be idle now without being listed.
    #[inline]
    #[must_use = "an idle worker must be listed"]
    pub(crate) fn withdraw(&self) -> bool {
        // Release pairs with the Acquire of `count`: what the withdrawing thread did before
        // happens before the worker's end. Acquire pairs with the AcqRel of `synchronize`: a
        // withdrawal after that of a thread that cleared the idle bit sees that it must be set.
        self.count.fetch_sub(1, AcqRel);
        self.is_unlisted()
    }

    /// Returns the admission count, with the top bit set when closed, by a read-modify-write. Every
    /// other admission, withdrawal or `synchronize` is either before this one and seen here, or
    /// after it and sees what this thread did before.
    pub(super) fn synchronize(&self) -> u64 {
        self.count.fetch_add(0, AcqRel)
    }

    /// Whether the worker's idle bit is clear, as of the caller's last `synchronize` or later.
    #[inline]
    pub(super) fn is_unlisted(&self) -> bool {
        self.unlisted.load(Relaxed)
    }

    /// Notes that the caller has cleared the idle bit.
    pub(super) fn unlist(&self) {
        // Release pairs with the Acquire of `list`: the bit is set again after it was cleared.
        // No model needs this Release: loom clears and sets the bit in the order in which it runs
        // the two steps.
        self.unlisted.store(true, Release);
    }

    /// Whether the caller is the one that must set the idle bit.
    pub(super) fn list(&self) -> bool {
        // No model needs this Acquire: for the same reason as the Release of `unlist`.
        self.unlisted.compare_exchange(true, false, Acquire, Relaxed).is_ok()
    }

    /// Adds the expected duration of an admitted task; does nothing when it is 0.
    #[inline]
    pub(crate) fn admit_work(&self, expected_duration: u64) {
        if expected_duration != 0 {
            // Relaxed: whatever hands the task over publishes this to whoever ends it.
            self.work.fetch_add(entry(expected_duration), Relaxed);
        }
    }

    /// Takes back an expected duration. Call it before the admission is taken back, so that whoever
    /// sees no task sees no work.
    #[inline]
    pub(crate) fn withdraw_work(&self, expected_duration: u64) {
        if expected_duration != 0 {
            // Release pairs with the Acquire of `work`: whoever sees that a thief's victim has less
            // work sees that the thief has more.
            self.work.fetch_sub(entry(expected_duration), Release);
        }
    }

    #[inline]
    pub(super) fn work(&self) -> u64 {
        self.work.load(Acquire)
    }

    /// Refuses every later admission.
    pub(crate) fn close(&self) {
        self.count.fetch_or(CLOSED, Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.count.load(Relaxed) & CLOSED != 0
    }

    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.count.load(Acquire) & !CLOSED
    }

    /// The admission count, with the top bit set when closed.
    #[inline]
    pub(crate) fn mark(&self) -> u64 {
        // Relaxed: whoever sees it change reads the counts.
        self.count.load(Relaxed)
    }

    #[inline]
    pub(super) fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// Parks the worker if exactly `expected` tasks were ever admitted and it is not closed. Then
    /// the thread that submits the next task, or closes the worker, wakes it.
    pub(super) fn try_park(&self, expected: u64) -> bool {
        self.parked.store(true, Relaxed);
        // Each admission is either before this and seen here, or after it and, acquiring what this
        // releases, sees the flag.
        if self.synchronize() == expected {
            return true;
        }
        self.parked.store(false, Relaxed);
        false
    }

    /// Whether the worker is parked and the caller is the one that must wake it.
    #[inline]
    pub(crate) fn must_wake(&self) -> bool {
        // The load avoids a write when the worker is awake.
        self.parked.load(Relaxed)
            && self.parked.compare_exchange(true, false, Relaxed, Relaxed).is_ok()
    }

    #[inline]
    pub(super) fn is_parked(&self) -> bool {
        self.parked.load(Relaxed)
    }
}

impl Endings {
    pub(super) fn reset(&self) {
        self.0.store(0, Relaxed);
    }

    /// Counts `ends` more by the only thread that records; returns the new count.
    #[inline]
    pub(super) fn end_exclusive(&self, ends: u64) -> u64 {
        let count = self.0.load(Relaxed) + ends;
        // Release pairs with the Acquire of `count`: whoever sees these ends sees their admissions,
        // and their outcomes in the counters.
        self.0.store(count, Release);
        count
    }

    /// Counts one more end, from any thread that holds a reservation.
    #[inline]
    pub(super) fn end_shared(&self) {
        // Acquire pairs with the AcqRel of `synchronize`: an end after that of a thread that cleared
        // the idle bit sees that the bit is clear.
        self.0.fetch_add(1, AcqRel);
    }

    /// A read-modify-write that changes nothing: every [`end_shared`](Self::end_shared) is either
    /// before it and seen by this thread, or after it and sees what this thread did.
    pub(super) fn synchronize(&self) {
        // No model needs this Acquire: loom counts the admissions in the order in which it runs
        // them, so reading them here comes after that of each end seen here.
        self.0.fetch_add(0, AcqRel);
    }

    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.0.load(Acquire)
    }

    /// Returns the number of tasks in flight: never too low, and too high only while other threads
    /// admit or end tasks.
    #[inline]
    pub(super) fn in_flight(
        &self,
        all: &AllEndings,
        aside: &AtomicU64,
        admissions: &Admissions,
    ) -> u64 {
        // The ends are read first: admissions that come after that make the difference too high,
        // but never negative. Then those that are none: one that is set aside after that counts as in
        // flight twice at most.
        let ended = self.count().max(all.count());
        // Acquire pairs with the Release of `end_aside`.
        let aside = aside.load(Acquire);
        (admissions.count() + aside).saturating_sub(ended)
    }

    /// Returns whether [`in_flight`](Self::in_flight) would be 0 if nothing was set aside.
    #[inline]
    pub(super) fn has_room(&self, all: &AllEndings, admissions: &Admissions) -> bool {
        let ended = self.count().max(all.count());
        admissions.count().saturating_sub(ended) == 0
    }

    /// Takes back ends that were none. Called only by the thread that will record, when no other does.
    pub(super) fn take_back(&self, ends: u64) {
        // Release: whoever reads this count comes after the ends before it, as after `set`.
        // No model needs this Release: none gives the tasks of a concurrent worker up.
        self.0.store(self.0.load(Relaxed).saturating_sub(ends), Release);
    }

    /// Like [`in_flight`](Self::in_flight) for selections: unpublished ends count as in flight, and
    /// a closed worker has more than any other.
    #[inline]
    pub(super) fn in_flight_or_closed(&self, admissions: &Admissions) -> u64 {
        let ended = self.count();
        // Relaxed: it comes after the Acquire of `count`, and a selection concludes nothing else.
        admissions.count.load(Relaxed).wrapping_sub(ended)
    }
}

/// The number of all tasks that a worker has ended, published or not. Stored only at an end that
/// is not published, by the one thread that records, on a line that selections do not read.
///
/// [`Endings`] counts the published ends. A reader takes the greater of the two counts. If this
/// word held the number of unpublished ends instead, a reader of both would miss some, or count
/// them twice, while the endings take them over.
#[derive(Debug, Default)]
pub(super) struct AllEndings(AtomicU64);

impl AllEndings {
    /// Sets the number of all ends, the last of which is not published.
    #[inline]
    pub(super) fn set(&self, ended: u64) {
        // Release pairs with the Acquire of `count`: whoever sees this end sees its admission, and
        // its outcome in the counters.
        self.0.store(ended, Release);
    }

    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.0.load(Acquire)
    }
}

/// The number of tasks that will end by their worker's id.
#[derive(Debug, Default)]
pub(crate) struct Detached(AtomicU64);

impl Detached {
    pub(crate) fn add(&self) {
        // Release pairs with the Acquire in `take`: the end is recorded after the admission.
        self.0.fetch_add(1, Release);
    }

    /// Takes one, if there is one. Lock-free, not wait-free: it retries when another `add` or `take`
    /// succeeded meanwhile.
    pub(crate) fn take(&self) -> bool {
        // Never negative, not even for an instant: others would be refused for it. Acquire pairs
        // with the Release in `add`.
        self.0.fetch_update(Acquire, Relaxed, |count| count.checked_sub(1)).is_ok()
    }
}
