use crate::Run;

/// The figure by which strategies are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Objective {
    /// The 99th percentile of the sojourn; lower is better.
    #[default]
    P99,
    /// The mean sojourn; lower is better.
    Mean,
    /// Completed tasks per second; higher is better.
    Throughput,
}

impl Objective {
    /// Every objective.
    pub const ALL: [Self; 3] = [Self::P99, Self::Mean, Self::Throughput];

    /// Returns the name used in text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P99 => "p99",
            Self::Mean => "mean",
            Self::Throughput => "throughput",
        }
    }

    /// Returns the figure of a run: nanoseconds, or tasks per second.
    pub fn of(self, run: &Run) -> f64 {
        match self {
            Self::P99 => run.sojourn.quantile(0.99).as_nanos() as f64,
            Self::Mean => run.sojourn.mean_nanos(),
            Self::Throughput => run.throughput(),
        }
    }

    /// Turns a figure into a cost: lower is better for every objective.
    pub(crate) fn cost(self, figure: f64) -> f64 {
        match self {
            Self::P99 | Self::Mean => figure,
            Self::Throughput => -figure,
        }
    }
}
