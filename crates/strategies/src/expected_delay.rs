use raddle_core::{Candidates, TaskProfile};

use crate::lowest::lowest;
use crate::{Strategy, delay};

/// The candidate that would be done first with what it has and the task.
///
/// - **Rule:** `argmin (q + 1) / mu`, ties at random: the shortest expected delay. `q` is what is in
///   flight and `1 / mu` the mean of the worker's last N latencies (default 100; a failure enters as
///   a penalty latency, see [`Tracking::failure_penalty`](raddle_core::Tracking)), at least the time
///   for which it has had tasks without making progress, so that a hung worker is not a fast one. A
///   worker without latencies has the pool's mean. A worker's [weight](raddle_core::WorkerSpec::weight)
///   does not enter: its speed is measured.
/// - **Source:** Weinrib and Shenker, "Greed is not enough: adaptive load sharing in large
///   heterogeneous systems", INFOCOM 1988; SED in Linux's IP virtual server.
/// - **Cost:** O(n), wait-free: a cache line and a half a worker, and one clock reading a selection
///   unless the task tells its time.
/// - **Made for:** workers of unequal speeds that are their own and last: some have a GPU, some have
///   not. A slow one is given a task when the fast ones' queues make up for it, and never otherwise.
///   That is what tells it from [`LatencyBased`](crate::LatencyBased), whose score is the same but
///   for this: there a worker that has been idle for long is taken for an average one and tried
///   again, as its slowness may be over.
/// - **Traps:** so a worker with a few bad latencies, or penalties, is not tried again before the
///   others' queues are as much longer as it was slower: where slowness comes and goes take
///   [`LatencyBased`](crate::LatencyBased) or [`PeakEwma`](crate::PeakEwma). Where they are longer than
///   the failure penalty's factor, one that fails at once is chosen. Its rule is for all candidates,
///   never for a uniformly sampled pair: of a few fast workers among many slow ones a pair mostly has
///   none, and the slow ones are overloaded while the fast ones idle. Latencies that include the
///   wait, as those of a [`Balancer`](crate::Balancer) without a runtime, count the queue twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpectedDelay;

impl ExpectedDelay {
    /// The shortest expected delay.
    pub fn new() -> Self {
        Self
    }
}

impl Strategy for ExpectedDelay {
    fn name(&self) -> &'static str {
        "expected_delay"
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let (now, unknown) = (delay::now(task, candidates), delay::unknown(candidates));
        lowest(candidates, |signals| {
            let mean = delay::mean_or(unknown, &signals);
            match signals.in_flight() {
                0 => mean,
                in_flight => delay::while_busy(in_flight, mean, signals.stalled_for(now)),
            }
        })
    }

    fn reads_age(&self) -> bool {
        true
    }
}
