//! How long a task would take at a worker: what the strategies by latency have in common.

use raddle_core::{Candidates, Signals, TaskProfile};

/// Nanoseconds for which an idle worker's latencies are good whatever they are.
pub(crate) const STALE: u64 = 100_000_000;
/// For how many times its own mean an idle worker's latencies are good: a worker ten times slower
/// than the others is then tried with one task in the time of a hundred of theirs.
pub(crate) const STALE_MEANS: u64 = 10;

/// The clock of a selection: the task's, or one reading.
#[inline]
pub(crate) fn now(task: &TaskProfile, candidates: &Candidates<'_>) -> u64 {
    if task.submitted_at == 0 { candidates.roster().clock().now() } else { task.submitted_at }
}

/// What a worker without latencies is taken for: the pool's mean. At least 1, so that the queue
/// counts before anything was measured.
#[inline]
pub(crate) fn unknown(candidates: &Candidates<'_>) -> u64 {
    candidates.roster().baseline().mean().map_or(1, |mean| mean as u64).max(1)
}

/// The worker's mean, or what it is taken for.
#[inline]
pub(crate) fn mean_or(unknown: u64, signals: &Signals<'_>) -> u64 {
    match signals.recent_mean() {
        0 => unknown,
        mean => mean,
    }
}

/// The latency of a worker without tasks.
#[inline]
pub(crate) fn while_idle(signals: &Signals<'_>, mean: u64, now: u64, unknown: u64) -> u64 {
    match signals.idle_for(now) {
        idle if idle > STALE => after_a_rest(idle, mean, unknown),
        _ => mean,
    }
}

// Out of line, so that the scan of idle workers stays a few instructions: inlined, both are
// worked out for every worker and then not used.

/// The latency of a worker that has been idle for long. Who looks better than the pool is not
/// stale: it is given tasks.
#[inline(never)]
fn after_a_rest(idle: u64, mean: u64, unknown: u64) -> u64 {
    if idle / STALE_MEANS > mean { mean.min(unknown) } else { mean }
}

/// The time until a worker with tasks had done them and one more.
#[inline(never)]
pub(crate) fn while_busy(in_flight: u64, mean: u64, stalled: u64) -> u64 {
    mean.max(stalled).saturating_mul(in_flight.saturating_add(1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use raddle_core::{Roster, WorkerSpec};

    #[test]
    fn a_rest_is_long_by_the_clock_and_by_the_worker_s_own_mean() {
        let roster = Roster::builder().workers(1, WorkerSpec::general()).build().unwrap();
        roster.members()[0].worker.recorder().unwrap().mark_idle(1);
        let signals = roster.candidates(None).signals_at(0).unwrap();
        let after = |idle, mean| while_idle(&signals, mean, 1 + idle, 500_000);
        assert_eq!(after(STALE, 1_000_000), 1_000_000, "not long by the clock");
        assert_eq!(after(STALE + 1, 1_000_000), 500_000, "taken for the pool's");
        assert_eq!(after(STALE + 1, 400_000), 400_000, "better than the pool");
        let mean = 1_000_000_000;
        assert_eq!(after(STALE_MEANS * mean, mean), mean, "not long by its mean");
        assert_eq!(after(STALE_MEANS * (mean + 1), mean), 500_000);
    }
}
