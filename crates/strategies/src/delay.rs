//! How long a task would take at a worker: shared by the strategies that read latencies.

use raddle_core::{Candidates, Signals, TaskProfile};

/// How long, in nanoseconds, an idle worker's latencies are valid at least.
pub(crate) const STALE: u64 = 100_000_000;
/// How long an idle worker's latencies are valid, in multiples of its mean. A worker that is ten
/// times slower than the others is then tried once in the time of a hundred of their tasks.
pub(crate) const STALE_MEANS: u64 = 10;

/// Returns the time of a selection: the task's, or a clock reading.
#[inline]
pub(crate) fn now(task: &TaskProfile, candidates: &Candidates<'_>) -> u64 {
    if task.submitted_at == 0 { candidates.roster().clock().now() } else { task.submitted_at }
}

/// Returns the latency assumed of a worker without any: the pool's mean. At least 1, so that queues
/// count before anything was measured.
#[inline]
pub(crate) fn unknown(candidates: &Candidates<'_>) -> u64 {
    candidates.roster().baseline().mean().map_or(1, |mean| mean as u64).max(1)
}

/// Returns the worker's mean, or `unknown` without one.
#[inline]
pub(crate) fn mean_or(unknown: u64, signals: &Signals<'_>) -> u64 {
    match signals.recent_mean() {
        0 => unknown,
        mean => mean,
    }
}

/// Returns the latency expected of an idle worker.
#[inline]
pub(crate) fn while_idle(signals: &Signals<'_>, mean: u64, now: u64, unknown: u64) -> u64 {
    match signals.idle_for(now) {
        idle if idle > STALE => when_stale(idle, mean, unknown),
        _ => mean,
    }
}

// The next two are out of line to keep the scan of idle workers short: inlined, both are computed
// for every worker and mostly unused.

/// Returns the latency expected of a worker that has been idle for long. One that is better than
/// the pool keeps its mean: it is not avoided, so it needs no retry.
#[inline(never)]
fn when_stale(idle: u64, mean: u64, unknown: u64) -> u64 {
    if idle / STALE_MEANS > mean { mean.min(unknown) } else { mean }
}

/// Returns the time until a busy worker would finish its tasks and one more.
#[inline(never)]
pub(crate) fn while_busy(in_flight: u64, mean: u64, stalled: u64) -> u64 {
    mean.max(stalled).saturating_mul(in_flight.saturating_add(1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use raddle_core::{Roster, WorkerSpec};

    #[test]
    fn latencies_go_stale_by_the_clock_and_by_the_worker_s_mean() {
        let roster = Roster::builder().workers(1, WorkerSpec::general()).build().unwrap();
        roster.members()[0].worker.recorder().unwrap().mark_idle(1);
        let signals = roster.candidates(None).signals_at(0).unwrap();
        let after = |idle, mean| while_idle(&signals, mean, 1 + idle, 500_000);
        assert_eq!(after(STALE, 1_000_000), 1_000_000, "not yet stale by the clock");
        assert_eq!(after(STALE + 1, 1_000_000), 500_000, "assumed to have the pool's mean");
        assert_eq!(after(STALE + 1, 400_000), 400_000, "better than the pool");
        let mean = 1_000_000_000;
        assert_eq!(after(STALE_MEANS * mean, mean), mean, "not yet stale by its mean");
        assert_eq!(after(STALE_MEANS * (mean + 1), mean), 500_000);
    }
}
