//! Measurements, and how they are shown.

pub mod advised;
pub mod csv;
pub mod distortion;
pub mod file;
pub mod html;
pub mod json;
mod latency;
pub mod layout;
pub mod simulated;
pub mod table;

use serde::{Serialize, Serializer};

pub use latency::Latency;

use crate::args::Service;
use crate::run::Mode;

/// The results of a comparison. Its JSON form is stable.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The workload of all strategies.
    pub workload: WorkloadReport,
    /// The results of each strategy, in the order of the runs.
    pub strategies: Vec<StrategyReport>,
    /// What distorts the results.
    pub warnings: Vec<String>,
}

/// The workload of all strategies.
#[derive(Debug, Serialize)]
pub struct WorkloadReport {
    /// `embedded`, or the path of the trace, `-` for standard input.
    pub source: String,
    /// The number of tasks.
    pub tasks: usize,
    /// The seed of the embedded workload and of random choices.
    pub seed: u64,
    /// What arrival and service times were divided by during the runs. All times in the report but
    /// that of a selection are those of the workload, not sped up.
    pub speedup: f64,
    /// Seconds from the first arrival to the last.
    pub span_s: f64,
    /// Seconds that a worker of speed 1 would be busy with all tasks.
    pub work_s: f64,
    /// `open`, or `closed` with its `concurrency`.
    #[serde(flatten)]
    pub mode: Mode,
    /// Whether workers sleep or spin for the time of a task.
    pub service: Service,
    /// The workers, as `--workers` describes them.
    pub workers: String,
    /// The capacity of a mailbox; `null` if there is room for all tasks.
    pub mailbox: Option<usize>,
    /// Whether a signal ended it early.
    pub interrupted: bool,
}

/// The results of one strategy.
#[derive(Debug, Serialize)]
pub struct StrategyReport {
    /// The name.
    pub strategy: String,
    /// Tasks submitted to the pool.
    pub tasks: u64,
    /// Tasks whose handler succeeded.
    pub completed: u64,
    /// Tasks whose handler failed.
    pub failed: u64,
    /// Tasks that the pool refused.
    pub rejected: u64,
    /// Tasks that a signal cut short; absent when there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub cancelled: u64,
    /// Completed tasks per second, from the start of the run to the last completion.
    pub throughput_per_s: f64,
    /// The fraction of that time in which workers were busy.
    pub utilisation: f64,
    /// Latencies of the completed tasks.
    pub latency_us: Latency,
    /// By how much tasks were submitted late, which their latencies contain; `null` in a closed
    /// loop.
    pub lag_us: Latency,
    /// By how much workers exceeded the service times of completed tasks: by oversleeping, or while
    /// spinning because other threads ran.
    pub overrun_us: Latency,
    /// The sum of the overruns as a fraction of the service times.
    pub overrun_share: f64,
    /// Each worker's share of the completed tasks.
    #[serde(serialize_with = "as_map")]
    pub share: Vec<(String, f64)>,
    /// The mean time of a selection.
    pub select_ns_mean: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn as_map<S: Serializer>(pairs: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, share)| (name, share)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report of two strategies that differ in some columns.
    pub fn example() -> Report {
        let strategy = |strategy: &str, p99: f64, rejected| StrategyReport {
            strategy: strategy.into(),
            tasks: 1_000,
            completed: 1_000 - rejected,
            failed: 0,
            rejected,
            cancelled: 0,
            throughput_per_s: 250.5,
            utilisation: 0.625,
            latency_us: Latency {
                mean: 1_500.0,
                p50: 900.0,
                p90: 2_000.0,
                p99,
                p999: 2.0 * p99,
                max: 3.0 * p99,
            },
            lag_us: Latency { mean: 20.0, p50: 10.0, p90: 40.0, p99: 90.0, p999: 95.0, max: 99.0 },
            overrun_us: Latency {
                mean: 30.0,
                p50: 20.0,
                p90: 50.0,
                p99: 60.0,
                p999: 65.0,
                max: 70.0,
            },
            overrun_share: 0.02,
            share: vec![("code-0".into(), 0.75), ("any-1".into(), 0.25)],
            select_ns_mean: 41.0,
        };
        Report {
            workload: WorkloadReport {
                source: "embedded".into(),
                tasks: 1_000,
                seed: 1,
                speedup: 1.0,
                span_s: 4.0,
                work_s: 5.0,
                mode: Mode::Closed { concurrency: 2 },
                service: Service::Sleep,
                workers: "1x1.0:code,1x1.0".into(),
                mailbox: None,
                interrupted: false,
            },
            warnings: Vec::new(),
            strategies: vec![strategy("least_loaded", 4_000.0, 0), strategy("random", 9_000.0, 10)],
        }
    }
}
