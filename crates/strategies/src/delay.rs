//! How long a task would take at a worker: shared by the strategies that read latencies.

use raddle_core::{Candidates, Signals, TaskProfile};

/// Returns the time of a selection: the task's, or a clock reading.
#[inline]
pub(crate) fn now(task: &TaskProfile, candidates: &Candidates<'_>) -> u64 {
    if task.submitted_at == 0 { candidates.roster().clock().now() } else { task.submitted_at }
}

/// Returns the latency assumed of a worker without any: the pool's mean. At least 1, so that queues
/// count before anything was measured.
#[inline]
pub(crate) fn unknown(candidates: &Candidates<'_>) -> u64 {
    candidates.roster().baseline().whole_mean().max(1)
}

/// Returns the worker's mean, or `unknown` without one.
#[inline]
pub(crate) fn mean_or(unknown: u64, signals: &Signals<'_>) -> u64 {
    match signals.recent_mean() {
        0 => unknown,
        mean => mean,
    }
}

/// Returns the latency expected of an idle worker: 0 if it should be tried again.
#[inline]
pub(crate) fn while_idle(signals: &Signals<'_>, mean: u64, now: u64) -> u64 {
    if signals.has_expired(now) { 0 } else { mean }
}

/// Returns the time until a busy worker would finish its tasks and one more. Out of line to keep the
/// scan of idle workers short.
#[inline(never)]
pub(crate) fn while_busy(in_flight: u64, mean: u64, stalled: u64) -> u64 {
    mean.max(stalled).saturating_mul(in_flight.saturating_add(1))
}
