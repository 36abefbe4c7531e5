use std::collections::BTreeMap;
use std::time::Duration;

use raddle_core::{
    Capability, Counts, Health, HistogramSnapshot, Member, Roster, Worker, WorkerId,
};
use serde::{Serialize, Serializer};

use crate::Strategy;

/// What a strategy was asked and what is known of its workers, at one moment. Serialisable.
#[derive(Clone, Debug, Serialize)]
pub struct BalancerStats {
    /// The strategy's name.
    pub strategy: &'static str,
    /// Tasks that were given to the workers, by this strategy or those before it.
    pub selections: u64,
    /// Each worker, by its position in the roster.
    pub workers: Vec<WorkerReport>,
}

/// What is known of one worker.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerReport {
    /// Its number.
    pub id: WorkerId,
    /// Its name.
    pub name: String,
    /// How often its actor has been made anew.
    pub generation: u32,
    /// Whether it is given tasks.
    pub health: Health,
    /// How its tasks ended.
    pub counts: Counts,
    /// Tasks in its mailbox or handler.
    pub in_flight: u64,
    /// The sum of the sizes of those, in nanoseconds, as
    /// [`WorkerStats::work_in_flight`](raddle_core::WorkerStats::work_in_flight).
    #[serde(rename = "work_in_flight_ns")]
    pub work_in_flight: i64,
    /// Its share of all selections, 0 to 1.
    pub share: f64,
    /// Mean of its last latencies, failures with their penalty; none before the first.
    #[serde(rename = "mean_latency_ns", serialize_with = "optional_nanoseconds")]
    pub mean_latency: Option<Duration>,
    /// Decayed share of successes, 0 to 1.
    pub success_rate: f64,
    /// How well it has done with each capability that it names; under `""`, without one.
    pub history: BTreeMap<&'static str, f64>,
    /// Its weight, where the strategy has weights.
    pub weight: Option<f64>,
    /// Time that its handler ran.
    #[serde(rename = "busy_ns", serialize_with = "nanoseconds")]
    pub busy: Duration,
    /// Times in the mailbox.
    pub wait: Percentiles,
    /// Times in the handler.
    pub service: Percentiles,
}

/// Percentiles of some times, within 1 %; zero where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// The median.
    #[serde(rename = "p50_ns", serialize_with = "nanoseconds")]
    pub p50: Duration,
    /// 99 of 100 are not longer.
    #[serde(rename = "p99_ns", serialize_with = "nanoseconds")]
    pub p99: Duration,
    /// 999 of 1000 are not longer.
    #[serde(rename = "p999_ns", serialize_with = "nanoseconds")]
    pub p999: Duration,
    /// The longest, exactly.
    #[serde(rename = "max_ns", serialize_with = "nanoseconds")]
    pub max: Duration,
}

impl Percentiles {
    /// The percentiles of a histogram.
    pub fn of(histogram: &HistogramSnapshot) -> Self {
        let at = |q| histogram.quantile(q).unwrap_or_default();
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: histogram.maximum() }
    }
}

impl BalancerStats {
    /// What `strategy` and the workers of `roster` have to report. Allocates.
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

pub(crate) fn nanoseconds<S: Serializer>(
    time: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(raddle_core::nanos(*time))
}

fn optional_nanoseconds<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(raddle_core::nanos).serialize(serializer)
}
