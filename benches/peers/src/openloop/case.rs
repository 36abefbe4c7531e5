use std::time::Duration;

use clap::ValueEnum;

use super::fault::Fault;

/// Workers of each pool.
pub const WORKERS: usize = 4;
/// How long a task takes in a healthy worker.
pub const SERVICE: Duration = Duration::from_millis(2);
/// Loads, in percent of capacity.
pub const LOADS: [u32; 4] = [30, 50, 70, 90];

/// What is wrong with one of the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Case {
    /// Nothing.
    Healthy,
    /// It takes ten times as long as the others.
    Slow,
    /// It stands still for 20 ms every 500 ms.
    Hiccup,
}

impl Case {
    /// What is wrong with a worker: the first, or none.
    pub fn fault(self, worker: usize) -> Fault {
        match self {
            Self::Slow if worker == 0 => Fault::Slow(10),
            Self::Hiccup if worker == 0 => Fault::Hiccups {
                every: Duration::from_millis(500),
                halt: Duration::from_millis(20),
            },
            _ => Fault::None,
        }
    }

    /// Tasks a second that all workers together can do.
    pub fn capacity(self) -> f64 {
        let paces: f64 = (0..WORKERS).map(|worker| self.fault(worker).pace()).sum();
        paces / SERVICE.as_secs_f64()
    }

    /// Its name as an argument.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Slow => "slow",
            Self::Hiccup => "hiccup",
        }
    }

    /// It in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Healthy => "all healthy",
            Self::Slow => "one worker takes ten times as long",
            Self::Hiccup => "one worker stands still for 20 ms every 500 ms",
        }
    }
}

/// When tasks arrive, from the start: a Poisson process of this rate for this time.
pub fn arrivals(rate: f64, time: Duration, seed: u64) -> Vec<Duration> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut due = Duration::ZERO;
    let next = std::iter::from_fn(|| {
        due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / rate);
        Some(due)
    });
    next.take_while(|due| *due < time).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_the_sum_of_the_workers() {
        assert_eq!(Case::Healthy.capacity(), 2_000.0);
        assert_eq!(Case::Slow.capacity(), 1_550.0);
        assert_eq!(Case::Hiccup.capacity(), 1_980.0);
    }

    #[test]
    fn arrivals_have_their_rate_and_their_seed() {
        let arrive = |seed| arrivals(1_000.0, Duration::from_secs(20), seed);
        assert_eq!(arrive(3), arrive(3));
        assert_ne!(arrive(3), arrive(4));
        let count = arrive(3).len();
        assert!((19_300..20_700).contains(&count), "{count}");
    }
}
