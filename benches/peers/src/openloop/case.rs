use std::time::Duration;

use clap::ValueEnum;

use super::fault::Fault;

/// The number of workers of each pool.
pub const WORKERS: usize = 4;
/// The service time of a task in a healthy worker.
pub const SERVICE: Duration = Duration::from_millis(2);
/// The loads in percent of capacity.
pub const LOADS: [u32; 4] = [30, 50, 70, 90];

/// The fault of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Case {
    /// None.
    Healthy,
    /// It is ten times slower than the others.
    Slow,
    /// It pauses for 20 ms every 500 ms.
    Hiccup,
}

impl Case {
    /// Returns the fault of a worker; only the first may have one.
    pub fn fault(self, worker: usize) -> Fault {
        match self {
            Self::Slow if worker == 0 => Fault::Slow(10),
            Self::Hiccup if worker == 0 => Fault::Hiccups {
                interval: Duration::from_millis(500),
                pause: Duration::from_millis(20),
            },
            _ => Fault::None,
        }
    }

    /// Returns the tasks per second that all workers together can serve.
    pub fn capacity(self) -> f64 {
        let paces: f64 = (0..WORKERS).map(|worker| self.fault(worker).pace()).sum();
        paces / SERVICE.as_secs_f64()
    }

    /// Returns the name as an argument.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Slow => "slow",
            Self::Hiccup => "hiccup",
        }
    }

    /// Returns a description.
    pub fn words(self) -> &'static str {
        match self {
            Self::Healthy => "all healthy",
            Self::Slow => "one worker is ten times slower",
            Self::Hiccup => "one worker pauses for 20 ms every 500 ms",
        }
    }
}

/// Returns the arrival times of a Poisson process of this rate, within this time.
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
    fn arrivals_have_the_given_rate_and_depend_on_the_seed() {
        let arrive = |seed| arrivals(1_000.0, Duration::from_secs(20), seed);
        assert_eq!(arrive(3), arrive(3));
        assert_ne!(arrive(3), arrive(4));
        let count = arrive(3).len();
        assert!((19_300..20_700).contains(&count), "{count}");
    }
}
