//! How long what counts against a worker holds while the worker gets no tasks because of it.

/// At least this many nanoseconds.
pub(super) const LEAST: u64 = 100_000_000;
/// In multiples of the worker's mean latency. A worker that is still slow when it is tried again
/// is so for a hundredth of its time.
const MEANS: u64 = 100;
/// The same for a worker that fails: its mean consists of failures, each of which counts as ten
/// latencies of the pool by default.
const FAILING_MEANS: u64 = 10;

/// Tests whether a worker with this mean latency has been idle for long enough to be tried again.
pub(super) fn has_expired(idle: u64, mean: u64, failing: bool) -> bool {
    idle > LEAST && idle / if failing { FAILING_MEANS } else { MEANS } > mean
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_expires_by_the_clock_and_by_the_worker_s_mean() {
        assert!(!has_expired(LEAST, 1_000, false) && has_expired(LEAST + 1, 1_000, false));
        assert!(!has_expired(LEAST, 1_000, true) && has_expired(LEAST + 1, 1_000, true));
        let mean = 1_000_000_000;
        for (failing, means) in [(false, 100), (true, 10)] {
            assert!(!has_expired(means * mean, mean, failing));
            assert!(has_expired(means * (mean + 1), mean, failing));
        }
        assert!(!has_expired(u64::MAX, u64::MAX, true));
    }
}
