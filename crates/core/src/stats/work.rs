use super::in_flight::Admissions;
use super::packed_work::{PackedWork, clamped, entry, signed_sum};
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The expected durations of the tasks that a worker has ended, and that of the only running task.
/// Written by the worker, only for tasks that have one.
///
/// What was admitted is in [`Admissions`]; the difference is what is in flight: see
/// docs/worker-statistics.md.
#[derive(Debug, Default)]
pub(crate) struct SerialWork {
    /// A word of [`packed_work`](super::packed_work).
    ended: AtomicU64,
    running: AtomicU64,
}

impl SerialWork {
    pub(super) fn reset(&self) {
        self.ended.store(0, Relaxed);
        self.running.store(0, Relaxed);
    }

    /// Notes the expected duration of the task that is about to run, after its start was noted.
    /// Called only by the thread that records.
    #[inline]
    pub(super) fn set_running(&self, expected_duration: u64) {
        // Release pairs with the Acquire of `running`: whoever sees the duration sees the start.
        self.running.store(clamped(expected_duration), Release);
    }

    /// Ends a task of this expected duration. Called only by the thread that records.
    #[inline]
    pub(super) fn end_exclusive(&self, expected_duration: u64) {
        // Before the end, so that whoever sees the end does not take this task for a running one.
        self.running.store(0, Relaxed);
        // Release pairs with the Acquire of `in_flight`: whoever sees this end sees the admission.
        self.ended.store(self.ended.load(Relaxed).wrapping_add(entry(expected_duration)), Release);
    }

    /// Ends a task of this expected duration, from any thread that holds a reservation.
    #[inline]
    pub(super) fn end_shared(&self, expected_duration: u64) {
        self.ended.fetch_add(entry(expected_duration), Release);
    }

    /// Clears and returns the expected duration of the task whose thread was given up; 0 when it
    /// had none.
    pub(crate) fn take_running(&self) -> u64 {
        let expected_duration = self.running.load(Relaxed);
        self.running.store(0, Relaxed);
        expected_duration
    }

    #[inline]
    fn running(&self) -> u64 {
        self.running.load(Acquire)
    }

    /// Returns what was admitted and has not ended. Negative only when ends were recorded with
    /// other expected durations than the tasks were admitted with.
    #[inline]
    fn difference(&self, admissions: &Admissions) -> i64 {
        // In this order, as for the counts: admissions only grow beyond what has ended.
        let ended = self.ended.load(Acquire);
        admissions.work().wrapping_sub(ended).cast_signed()
    }

    #[inline]
    pub(super) fn in_flight(&self, admissions: &Admissions) -> PackedWork {
        PackedWork::of(self.difference(admissions))
    }

    /// Returns the sum of the expected durations in flight, negative if the difference is.
    pub(super) fn balance(&self, admissions: &Admissions) -> i64 {
        signed_sum(self.difference(admissions))
    }

    /// Returns the work ahead of a worker with `in_flight` tasks, at least one. `elapsed` reads the
    /// time since its last progress.
    #[inline]
    pub(super) fn ahead(
        &self,
        admissions: &Admissions,
        in_flight: u64,
        elapsed: impl FnOnce() -> u64,
        mean: Option<u64>,
    ) -> u64 {
        // In this order: a task that counts as ended is not taken for the running one, and the
        // running task's time is not that of an earlier task.
        let known = self.in_flight(admissions);
        let running = self.running();
        ahead(known, in_flight, running, elapsed(), mean)
    }
}

/// The rule of [`Signals::work_ahead`](super::Signals::work_ahead).
#[inline]
fn ahead(known: PackedWork, in_flight: u64, running: u64, elapsed: u64, mean: Option<u64>) -> u64 {
    // The words are read one after the other, so the number of known durations may be the higher.
    let unknown = (in_flight as u16).wrapping_sub(known.count).cast_signed().max(0);
    let total = (unknown as u64).saturating_mul(mean.unwrap_or(1)).saturating_add(known.sum);
    if running != 0 {
        return total.saturating_sub(running).saturating_add(elapsed.abs_diff(running));
    }
    if unknown > 0 && mean.is_none() {
        // The total is not a time.
        return total;
    }
    let typical = total / in_flight.max(1);
    total.saturating_add(elapsed.saturating_sub(typical))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::packed_work::MAX_EXPECTED;
    use super::*;

    const MEAN: Option<u64> = Some(100);

    fn known(durations: &[u64]) -> PackedWork {
        PackedWork { count: durations.len() as u16, sum: durations.iter().sum() }
    }

    #[test]
    fn the_running_task_counts_by_what_is_left_and_then_by_its_overrun() {
        let at = |elapsed| ahead(known(&[30, 50, 20]), 3, 30, elapsed, MEAN);
        assert_eq!((at(0), at(10), at(30)), (100, 90, 70));
        assert_eq!(
            (at(31), at(60), at(1_000)),
            (71, 100, 1_040),
            "an overrun counts as much again"
        );
        assert_eq!(at(u64::MAX), u64::MAX, "and saturates");
    }

    #[test]
    fn a_task_without_an_expected_duration_counts_as_the_mean() {
        assert_eq!(ahead(known(&[]), 4, 0, 7, MEAN), 400, "elapsed time is not subtracted");
        assert_eq!(ahead(known(&[]), 4, 0, 150, MEAN), 450, "but time beyond the mean is added");
        assert_eq!(ahead(known(&[30, 20]), 4, 0, 0, MEAN), 250);
        assert_eq!(ahead(known(&[30, 20]), 4, 30, 10, MEAN), 240);
    }

    #[test]
    fn without_a_mean_tasks_are_counted_and_elapsed_time_is_ignored() {
        assert_eq!(ahead(known(&[]), 4, 0, 1_000_000, None), 4);
        assert_eq!(ahead(known(&[30]), 1, 0, 1_000, None), 1_000, "each has an expected duration");
    }

    #[test]
    fn words_read_at_different_moments_do_not_wrap() {
        assert_eq!(
            ahead(known(&[30, 20]), 1, 0, 0, MEAN),
            50,
            "one was admitted between the reads"
        );
        assert_eq!(ahead(known(&[]), 1, 30, 10, MEAN), 90, "the running task has ended since");
        assert_eq!(ahead(known(&[10]), 1, 30, 10, None), 20, "another task runs by now");
        assert_eq!(ahead(known(&[]), 0, 0, 10, MEAN), 10);
    }

    #[test]
    fn words_wrap_around_and_their_difference_stays_exact() {
        let (admissions, work) = (Admissions::new(), SerialWork::default());
        for duration in [1, u64::MAX, MAX_EXPECTED, 5].repeat(100) {
            admissions.admit_work(duration);
            admissions.admit_work(7);
            work.end_exclusive(duration);
            assert_eq!(work.in_flight(&admissions), known(&[7]));
            work.end_shared(7);
            assert_eq!((work.in_flight(&admissions), work.balance(&admissions)), (known(&[]), 0));
        }
    }

    #[test]
    fn mismatched_durations_give_a_negative_balance_and_no_work() {
        let (admissions, work) = (Admissions::new(), SerialWork::default());
        admissions.admit_work(10);
        work.end_shared(15);
        assert_eq!((work.in_flight(&admissions), work.balance(&admissions)), (known(&[]), -5));
        admissions.withdraw_work(20);
        assert_eq!((work.in_flight(&admissions), work.balance(&admissions)), (known(&[]), -25));
    }
}
