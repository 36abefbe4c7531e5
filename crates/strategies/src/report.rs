use std::collections::BTreeMap;
use std::time::Duration;

use raddle_core::{
    Capability, Counts, Health, HistogramSnapshot, Member, Roster, Worker, WorkerId,
};

use crate::Strategy;

/// The selections so far and everything known about the workers, at one moment.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BalancerStats {
    /// The strategy's name.
    pub strategy: &'static str,
    /// The tasks admitted to these workers, by this strategy or earlier ones.
    pub selections: u64,
    /// The workers, by position in the roster.
    pub workers: Vec<WorkerReport>,
}

/// Everything known about one worker.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WorkerReport {
    /// The worker's id.
    pub id: WorkerId,
    /// The worker's name.
    pub name: String,
    /// How often its actor has been restarted.
    pub generation: u32,
    /// Whether it takes tasks.
    pub health: Health,
    /// How its tasks ended.
    pub counts: Counts,
    /// The tasks in its mailbox and handler.
    pub in_flight: u64,
    /// The sum of their expected durations, in nanoseconds: see
    /// [`WorkerStats::work_in_flight`](raddle_core::WorkerStats::work_in_flight).
    #[cfg_attr(feature = "serde", serde(rename = "work_in_flight_ns"))]
    pub work_in_flight: i64,
    /// Its share of all selections, 0 to 1.
    pub share: f64,
    /// The mean of its last latencies, with a penalty for failures; `None` before the first.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "mean_latency_ns", serialize_with = "crate::nanoseconds::serialize_option")
    )]
    pub mean_latency: Option<Duration>,
    /// The decayed share of successes, 0 to 1.
    pub success_rate: f64,
    /// Its history for each capability that it names; under `""`, for tasks without one.
    pub history: BTreeMap<&'static str, f64>,
    /// Its weight, if the strategy uses weights.
    pub weight: Option<f64>,
    /// The total time that its handler has run.
    #[cfg_attr(feature = "serde", serde(rename = "busy_ns", with = "crate::nanoseconds"))]
    pub busy: Duration,
    /// The part of `busy` for which handlers were on a core, and did not await something.
    #[cfg_attr(feature = "serde", serde(rename = "on_core_ns", with = "crate::nanoseconds"))]
    pub on_core: Duration,
    /// The total time that its handler has waited inside the runtime, for room, a reply or a drain. Not
    /// part of `busy` and `service`.
    #[cfg_attr(feature = "serde", serde(rename = "blocked_ns", with = "crate::nanoseconds"))]
    pub blocked: Duration,
    /// Whether its handler waits inside the runtime now.
    pub is_blocked: bool,
    /// Times that tasks waited in the mailbox.
    pub wait: Percentiles,
    /// Times that tasks spent in the handler.
    pub service: Percentiles,
}

/// Percentiles of a distribution of times, within 1 %; all zero if it is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Percentiles {
    /// The median.
    #[cfg_attr(feature = "serde", serde(rename = "p50_ns", with = "crate::nanoseconds"))]
    pub p50: Duration,
    /// The 99th percentile.
    #[cfg_attr(feature = "serde", serde(rename = "p99_ns", with = "crate::nanoseconds"))]
    pub p99: Duration,
    /// The 99.9th percentile.
    #[cfg_attr(feature = "serde", serde(rename = "p999_ns", with = "crate::nanoseconds"))]
    pub p999: Duration,
    /// The exact maximum.
    #[cfg_attr(feature = "serde", serde(rename = "max_ns", with = "crate::nanoseconds"))]
    pub max: Duration,
}

impl Percentiles {
    /// Returns the percentiles of a histogram.
    pub fn of(histogram: &HistogramSnapshot) -> Self {
        let at = |q| histogram.quantile(q).unwrap_or_default();
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: histogram.maximum() }
    }
}

impl BalancerStats {
    /// Collects the figures of `roster`'s workers under `strategy`. Allocates.
    pub fn new(strategy: &dyn Strategy, roster: &Roster) -> Self {
        let weights = strategy.weights(roster);
        let mut workers: Vec<_> = roster.members().iter().map(WorkerReport::of).collect();
        let selections = workers.iter().map(|worker| worker.counts.admitted).sum();
        for (position, worker) in workers.iter_mut().enumerate() {
            worker.share = worker.counts.admitted as f64 / (selections as f64).max(1.0);
            worker.weight = weights.as_ref().and_then(|weights| weights.get(position).copied());
        }
        Self { strategy: strategy.name(), selections, workers }
    }
}

impl WorkerReport {
    fn of(Member { worker, health }: &Member) -> Self {
        let stats = worker.stats();
        Self {
            id: worker.id(),
            name: worker.name().to_owned(),
            generation: worker.generation(),
            health: *health,
            counts: stats.counts(),
            in_flight: stats.in_flight(),
            work_in_flight: stats.work_in_flight(),
            share: 0.0,
            mean_latency: stats.latencies().mean().map(Duration::from_nanos),
            success_rate: stats.success_rate(),
            history: history(worker),
            weight: None,
            busy: stats.busy_time(),
            on_core: stats.core_time(),
            blocked: stats.blocked_time(),
            is_blocked: stats.is_blocked(),
            wait: Percentiles::of(&stats.wait().snapshot()),
            service: Percentiles::of(&stats.service().snapshot()),
        }
    }
}

fn history(worker: &Worker) -> BTreeMap<&'static str, f64> {
    let named = worker.capabilities().iter().map(Some);
    named
        .chain([None])
        .map(|capability| {
            (capability.map_or("", Capability::name), worker.stats().history(capability))
        })
        .collect()
}
