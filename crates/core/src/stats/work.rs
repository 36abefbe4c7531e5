use super::in_flight::Admissions;
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The sizes of the tasks that a worker has ended, and the size of the one that it runs. Written by
/// the worker, and only for tasks that have a size.
///
/// What was admitted is beside the [`Admissions`]; the difference is what is in flight, as it is
/// with the counts: stats/README.md.
#[derive(Debug)]
pub(super) struct Work {
    ended: AtomicU64,
    running: AtomicU64,
}

// A word of sizes has the sum of nanoseconds in its low bits and the number of tasks above. What is
// admitted and what has ended wrap around, each as one number; their difference is exact as long as
// what is in flight fits.

const SUM_BITS: u32 = 48;
const SUM: u64 = (1 << SUM_BITS) - 1;
/// A larger size counts as this, in nanoseconds (4.9 hours), so that sixteen of them fit.
const LARGEST: u64 = (1 << 44) - 1;

/// What a task of a size that is not 0 adds to a word of sizes.
#[inline]
pub(super) fn entry(expected_duration: u64) -> u64 {
    (1 << SUM_BITS) + clamped(expected_duration)
}

#[inline]
fn clamped(expected_duration: u64) -> u64 {
    expected_duration.min(LARGEST)
}

/// The tasks with a size among those in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sized {
    /// The low bits of their number.
    count: u16,
    pub(super) sum: u64,
}

impl Work {
    pub(super) fn new() -> Self {
        Self { ended: AtomicU64::new(0), running: AtomicU64::new(0) }
    }

    /// The one thread that records is about to run a task of this size, having told when.
    #[inline]
    pub(super) fn run(&self, expected_duration: u64) {
        // Release pairs with the Acquire of `running`: who sees the size sees the start.
        self.running.store(clamped(expected_duration), Release);
    }

    /// Ends a task of this size, by the one thread that does.
    #[inline]
    pub(super) fn end_exclusive(&self, expected_duration: u64) {
        // Before the end: who sees that does not take this task for one that is still run.
        self.running.store(0, Relaxed);
        // Release pairs with the Acquire of `in_flight`: who sees this end sees the admission.
        self.ended.store(self.ended.load(Relaxed).wrapping_add(entry(expected_duration)), Release);
    }

    /// The same by any thread that holds a reservation.
    #[inline]
    pub(super) fn end_shared(&self, expected_duration: u64) {
        self.ended.fetch_add(entry(expected_duration), Release);
    }

    /// Takes the size of the task that was running when its thread was given up; 0 when it had
    /// none.
    pub(super) fn take_running(&self) -> u64 {
        let expected_duration = self.running.load(Relaxed);
        self.running.store(0, Relaxed);
        expected_duration
    }

    #[inline]
    fn running(&self) -> u64 {
        self.running.load(Acquire)
    }

    /// Admitted and not ended. Below zero only where ends were recorded with other sizes than the
    /// tasks were admitted with.
    #[inline]
    fn difference(&self, admissions: &Admissions) -> i64 {
        // In this order, as with the counts: admissions only grow past what has ended.
        let ended = self.ended.load(Acquire);
        admissions.work().wrapping_sub(ended).cast_signed()
    }

    /// The tasks with a size in flight; what is below zero counts as none.
    #[inline]
    pub(super) fn in_flight(&self, admissions: &Admissions) -> Sized {
        let word = self.difference(admissions).max(0).cast_unsigned();
        Sized { count: (word >> SUM_BITS) as u16, sum: word & SUM }
    }

    /// The sum of the sizes in flight, and what is below zero as that.
    pub(super) fn balance(&self, admissions: &Admissions) -> i64 {
        let word = self.difference(admissions);
        (word << (64 - SUM_BITS)) >> (64 - SUM_BITS)
    }

    /// The work ahead of a worker with so many tasks, at least one, which has been without progress
    /// for the time that `elapsed` reads.
    #[inline]
    pub(super) fn ahead(
        &self,
        admissions: &Admissions,
        in_flight: u64,
        elapsed: impl FnOnce() -> u64,
        mean: Option<u64>,
    ) -> u64 {
        // In this order: a task that the sizes count as ended is not taken for one that is run, and
        // a running task's time is not that of an earlier one.
        let sized = self.in_flight(admissions);
        let running = self.running();
        ahead(sized, in_flight, running, elapsed(), mean)
    }
}

/// The rule of [`Signals::work_ahead`](super::Signals::work_ahead).
#[inline]
fn ahead(sized: Sized, in_flight: u64, running: u64, elapsed: u64, mean: Option<u64>) -> u64 {
    // Of words that are read one after the other, the number of tasks with a size may be the higher.
    let unsized_count = (in_flight as u16).wrapping_sub(sized.count).cast_signed().max(0);
    let total = (unsized_count as u64).saturating_mul(mean.unwrap_or(1)).saturating_add(sized.sum);
    if running != 0 {
        return total.saturating_sub(running).saturating_add(elapsed.abs_diff(running));
    }
    if unsized_count > 0 && mean.is_none() {
        // In a measure that is not that of time.
        return total;
    }
    let typical = total / in_flight.max(1);
    total.saturating_add(elapsed.saturating_sub(typical))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MEAN: Option<u64> = Some(100);

    fn sized(sizes: &[u64]) -> Sized {
        Sized { count: sizes.len() as u16, sum: sizes.iter().sum() }
    }

    #[test]
    fn the_running_task_shrinks_and_its_overrun_grows() {
        let at = |elapsed| ahead(sized(&[30, 50, 20]), 3, 30, elapsed, MEAN);
        assert_eq!((at(0), at(10), at(30)), (100, 90, 70));
        assert_eq!((at(31), at(60), at(1_000)), (71, 100, 1_040), "as long again");
        assert_eq!(at(u64::MAX), u64::MAX, "and never around the corner");
    }

    #[test]
    fn a_task_without_a_size_counts_as_the_mean() {
        assert_eq!(ahead(sized(&[]), 4, 0, 7, MEAN), 400, "its time is no credit");
        assert_eq!(ahead(sized(&[]), 4, 0, 150, MEAN), 450, "but counts against it");
        assert_eq!(ahead(sized(&[30, 20]), 4, 0, 0, MEAN), 250);
        assert_eq!(ahead(sized(&[30, 20]), 4, 30, 10, MEAN), 240);
    }

    #[test]
    fn without_a_mean_tasks_are_counted_and_no_time() {
        assert_eq!(ahead(sized(&[]), 4, 0, 1_000_000, None), 4);
        assert_eq!(ahead(sized(&[30]), 1, 0, 1_000, None), 1_000, "each has a expected_duration");
    }

    #[test]
    fn words_of_different_moments_do_not_wrap() {
        assert_eq!(ahead(sized(&[30, 20]), 1, 0, 0, MEAN), 50, "one was admitted in between");
        assert_eq!(ahead(sized(&[]), 1, 30, 10, MEAN), 90, "it has ended since");
        assert_eq!(ahead(sized(&[10]), 1, 30, 10, None), 20, "another one runs by now");
        assert_eq!(ahead(sized(&[]), 0, 0, 10, MEAN), 10);
    }

    #[test]
    fn sums_wrap_around_and_differences_do_not() {
        let (admissions, work) = (Admissions::new(1), Work::new());
        for expected_duration in [1, u64::MAX, LARGEST, 5].repeat(100) {
            admissions.admit_work(expected_duration);
            admissions.admit_work(7);
            work.end_exclusive(expected_duration);
            assert_eq!(work.in_flight(&admissions), sized(&[7]));
            work.end_shared(7);
            assert_eq!((work.in_flight(&admissions), work.balance(&admissions)), (sized(&[]), 0));
        }
    }

    #[test]
    fn sizes_that_do_not_fit_together_show_below_zero_and_count_as_none() {
        let (admissions, work) = (Admissions::new(1), Work::new());
        admissions.admit_work(10);
        work.end_shared(15);
        assert_eq!((work.in_flight(&admissions), work.balance(&admissions)), (sized(&[]), -5));
        admissions.withdraw_work(20);
        assert_eq!((work.in_flight(&admissions), work.balance(&admissions)), (sized(&[]), -25));
    }
}
