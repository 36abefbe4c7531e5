use std::time::Duration;

use crate::service::pareto_lower_bound;
use crate::{Arrivals, Capabilities, Keys, Scenario, Service};

/// The peak load of a trace is that of the busiest of this many equal parts.
const PARTS: usize = 100;

/// A scenario in figures, known before it runs: computed from its distributions, or counted in a
/// trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facts {
    /// The offered load, as a share of the workers' capacity; NaN if all tasks arrive at once.
    pub load: f64,
    /// The load during a burst, or in the busiest hundredth of a trace.
    pub peak_load: f64,
    /// Service times at speed 1.
    pub service: Spread,
    /// Squared coefficient of variation of the times between arrivals: 0 for equal intervals, 1 for
    /// independent arrivals, more for bursts.
    pub interarrival_scv: f64,
    /// Speed of the slowest worker.
    pub slowest: f64,
    /// Speed of the fastest worker.
    pub fastest: f64,
    /// Tasks that arrive during one [sync interval](crate::Dispatchers::sync_interval); 0 if every
    /// dispatcher always knows everything.
    pub arrivals_per_sync: f64,
    /// Whether workers have faults.
    pub faults: bool,
    /// Whether tasks require capabilities.
    pub capabilities: bool,
    /// Whether tasks have keys.
    pub keys: bool,
    /// Whether workers keep keys, and others cost time.
    pub cache: bool,
}

/// Mean and variation of a distribution of times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The mean, rounded to a nanosecond.
    pub mean: Duration,
    /// Squared coefficient of variation, variance / mean²: 0 if all are equal, 1 if exponential.
    pub scv: f64,
}

impl Spread {
    /// From the mean in seconds and the mean of the squares.
    fn of_moments(mean: f64, square: f64) -> Self {
        let scv = if mean > 0.0 { (square / mean.powi(2) - 1.0).max(0.0) } else { 0.0 };
        Self { mean: Duration::try_from_secs_f64(mean).unwrap_or(Duration::MAX), scv }
    }

    fn of(times: impl Iterator<Item = f64>) -> Self {
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for time in times {
            count += 1.0;
            sum += time;
            squares += time * time;
        }
        if count == 0.0 {
            return Self { mean: Duration::ZERO, scv: 0.0 };
        }
        Self::of_moments(sum / count, squares / count)
    }
}

impl Service {
    /// Returns mean and variation; for a trace, of its first `tasks`.
    fn spread(&self, tasks: usize) -> Spread {
        let seconds = |time: &Duration| time.as_secs_f64();
        match self {
            Self::Exponential { mean } => Spread { mean: *mean, scv: 1.0 },
            Self::Constant(time) => Spread { mean: *time, scv: 0.0 },
            Self::Bimodal { short, long, long_share } => {
                let (short, long) = (seconds(short), seconds(long));
                let of_both =
                    |short: f64, long: f64| (1.0 - long_share) * short + long_share * long;
                Spread::of_moments(of_both(short, long), of_both(short.powi(2), long.powi(2)))
            }
            Self::Pareto { mean, shape, longest } => {
                let (mean, longest) = (seconds(mean), seconds(longest));
                let shortest = pareto_lower_bound(mean, *shape, longest);
                Spread::of_moments(mean, moment(2.0, shortest, *shape, longest))
            }
            Self::Trace(times) => Spread::of(times.iter().take(tasks).map(seconds)),
        }
    }
}

/// Returns the mean of `x^power` of a Pareto distribution bounded to `low..high`.
///
/// M. Harchol-Balter, *Performance Modeling and Design of Computer Systems*, chapter 20.
fn moment(power: f64, low: f64, shape: f64, high: f64) -> f64 {
    let mass = 1.0 - (low / high).powf(shape);
    let rest = power - shape;
    // In units of `low`, so that powers of small times do not underflow.
    let ratio = high / low;
    let integral = if rest.abs() < 1e-9 { ratio.ln() } else { (ratio.powf(rest) - 1.0) / rest };
    low.powf(power) * shape * integral / mass
}

impl Scenario {
    /// Returns the offered load, as a share of the workers' capacity; NaN if all tasks arrive at
    /// once. Adds up a trace.
    pub fn offered_load(&self) -> f64 {
        self.load_of(self.load.service.spread(self.count()).mean)
    }

    /// Returns the tasks that arrive per second; NaN if all arrive at once.
    pub(crate) fn offered_rate(&self) -> f64 {
        match &self.load.arrivals {
            Arrivals::Poisson { rate }
            | Arrivals::Steady { rate }
            | Arrivals::Bursty { rate, .. } => *rate,
            Arrivals::Trace(times) => {
                let tasks = self.count().min(times.len());
                let span = times[..tasks].last().map_or(0.0, Duration::as_secs_f64);
                if span == 0.0 { f64::NAN } else { tasks as f64 / span }
            }
        }
    }

    /// Returns the number of tasks of one run.
    pub(crate) fn tasks_of_a_run(&self) -> usize {
        match &self.load.arrivals {
            Arrivals::Trace(times) => self.count().min(times.len()),
            _ => self.count(),
        }
    }

    /// Returns the number of measured tasks of one run.
    pub(crate) fn measured_tasks(&self) -> u64 {
        (self.tasks_of_a_run() as u64).saturating_sub(self.warm_up)
    }

    fn count(&self) -> usize {
        usize::try_from(self.tasks).unwrap_or(usize::MAX)
    }

    fn load_of(&self, mean_service: Duration) -> f64 {
        self.offered_rate() * mean_service.as_secs_f64() / self.capacity()
    }

    /// Returns the scenario with arrivals scaled to offer this load.
    ///
    /// Returns `None` if there is no load to scale, because all tasks arrive at once or none takes
    /// any time, and if the rate would change by a factor of more than 10⁹.
    #[must_use]
    pub fn at_load(&self, load: f64) -> Option<Self> {
        let factor = load / self.offered_load();
        if !(1e-9..=1e9).contains(&factor) {
            return None;
        }
        let mut scaled = self.clone();
        scaled.load.arrivals = self.load.arrivals.faster(factor);
        Some(scaled)
    }

    /// Returns the scenario in figures. Adds up a trace.
    pub fn facts(&self) -> Facts {
        let tasks = self.count();
        let service = self.load.service.spread(tasks);
        let load = self.load_of(service.mean);
        let speeds = self.workers.iter().map(|worker| worker.speed);
        Facts {
            load,
            peak_load: self.peak_load(tasks, load),
            service,
            interarrival_scv: interarrival_scv(&self.load.arrivals, tasks),
            slowest: speeds.clone().fold(f64::INFINITY, f64::min),
            fastest: speeds.fold(0.0, f64::max),
            arrivals_per_sync: self.arrivals_per_sync(load, service.mean),
            faults: !self.faults.is_empty(),
            capabilities: match &self.load.capabilities {
                Capabilities::None => false,
                Capabilities::Mix(mix) => {
                    mix.iter().any(|(name, share)| name.is_some() && *share > 0.0)
                }
                Capabilities::Trace(names) => names.iter().take(tasks).any(Option::is_some),
            },
            cache: self.cache.is_some(),
            keys: match &self.load.keys {
                Keys::None => false,
                Keys::Zipf { .. } => true,
                Keys::Trace(keys) => keys.iter().take(tasks).any(Option::is_some),
            },
        }
    }

    fn arrivals_per_sync(&self, load: f64, mean_service: Duration) -> f64 {
        if self.dispatchers.count < 2 || mean_service.is_zero() {
            return 0.0;
        }
        load * self.capacity() / mean_service.as_secs_f64()
            * self.dispatchers.sync_interval.as_secs_f64()
    }

    fn peak_load(&self, tasks: usize, load: f64) -> f64 {
        let times = match &self.load.arrivals {
            Arrivals::Poisson { .. } | Arrivals::Steady { .. } => return load,
            Arrivals::Bursty { burst, .. } => return load * burst,
            Arrivals::Trace(times) => &times[..tasks.min(times.len())],
        };
        let span = times.last().map_or(0.0, Duration::as_secs_f64);
        if span == 0.0 {
            return f64::NAN;
        }
        let service: Box<dyn Iterator<Item = f64>> = match &self.load.service {
            Service::Trace(times) => Box::new(times.iter().map(Duration::as_secs_f64).cycle()),
            service => Box::new(std::iter::repeat(service.mean_secs())),
        };
        let mut work = [0.0; PARTS];
        for (time, service) in times.iter().zip(service) {
            let part = (time.as_secs_f64() / span * PARTS as f64) as usize;
            work[part.min(PARTS - 1)] += service;
        }
        let most = work.into_iter().fold(0.0, f64::max);
        most / (span / PARTS as f64) / self.capacity()
    }
}

fn interarrival_scv(arrivals: &Arrivals, tasks: usize) -> f64 {
    match arrivals {
        Arrivals::Poisson { .. } => 1.0,
        Arrivals::Steady { .. } => 0.0,
        Arrivals::Bursty { rate, burst, burst_length, quiet_length } => {
            // W. Fischer and K. Meier-Hellstern, "The Markov-modulated Poisson process cookbook",
            // Performance Evaluation 18 (1993).
            let (ends, begins) =
                (burst_length.as_secs_f64().recip(), quiet_length.as_secs_f64().recip());
            let share = begins / (begins + ends);
            let (high, low) = (rate * burst, rate * (1.0 - share * burst) / (1.0 - share));
            let spread = ends * begins * (high - low).powi(2) / (ends + begins).powi(2);
            1.0 + 2.0 * spread / (high * low + high * begins + low * ends)
        }
        Arrivals::Trace(times) => {
            let times = &times[..tasks.min(times.len())];
            Spread::of(times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64())).scv
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Load, SimWorker};

    const MS: Duration = Duration::from_millis(1);

    fn near(measured: f64, exact: f64) {
        assert!((measured / exact - 1.0).abs() < 1e-6, "{measured} for {exact}");
    }

    #[test]
    fn distributions_have_their_mean_and_variation() {
        let spread = |service: Service| service.spread(usize::MAX);
        assert_eq!(spread(Service::Constant(MS)), Spread { mean: MS, scv: 0.0 });
        let bimodal = spread(Service::Bimodal { short: MS, long: 11 * MS, long_share: 0.1 });
        assert_eq!(bimodal.mean, 2 * MS);
        // 0.9 x 1 + 0.1 x 121 = 13 at a mean of 2: 13 / 4 - 1.
        near(bimodal.scv, 2.25);
        // Far from its upper bound, c² = 1 / (shape (shape - 2)).
        let pareto =
            Service::Pareto { mean: MS, shape: 3.0, longest: Duration::from_secs(100_000) };
        assert_eq!(pareto.mean(), MS);
        assert!((spread(pareto).scv - 1.0 / 3.0).abs() < 1e-4);
        let steep = spread(Service::Pareto { mean: MS, shape: 2.0, longest: 100 * MS });
        assert!(steep.scv > 1.0 && steep.scv < 3.0, "{steep:?}");
        let trace = Service::Trace(Arc::from([MS, 3 * MS, 50 * MS]));
        assert_eq!(trace.spread(2).mean, 2 * MS);
        near(trace.spread(2).scv, 0.25);
    }

    #[test]
    fn bursts_vary_more_the_slower_they_change() {
        let scv = |burst: f64, length: Duration| {
            let arrivals = Arrivals::Bursty {
                rate: 1_000.0,
                burst,
                burst_length: length,
                quiet_length: 3 * length,
            };
            interarrival_scv(&arrivals, 1)
        };
        near(scv(1.0, MS), 1.0);
        assert!((scv(3.0, Duration::from_nanos(1)) - 1.0).abs() < 1e-3);
        // A quarter of the time at rate 3, the rest at 1/3: 2 (0.25 / 3 + 0.75 x 3) - 1.
        assert!((scv(3.0, Duration::from_secs(1_000)) - 11.0 / 3.0).abs() < 1e-3);
    }

    #[test]
    fn the_offered_load_is_as_set() {
        let mut scenario = Scenario::new(
            SimWorker::equal(4),
            Load::new(Arrivals::Poisson { rate: 1_000.0 }, Service::Exponential { mean: MS }),
        );
        near(scenario.offered_load(), 0.25);
        near(scenario.at_load(0.9).unwrap().offered_load(), 0.9);
        assert_eq!(scenario.facts().arrivals_per_sync, 0.0);
        scenario.dispatchers = crate::Dispatchers { count: 2, sync_interval: 5 * MS };
        near(scenario.facts().arrivals_per_sync, 5.0);
        scenario.load = Load::new(
            Arrivals::Trace(Arc::from([Duration::ZERO, MS, 2 * MS, 10 * MS])),
            Service::Trace(Arc::from([2 * MS, 2 * MS, 2 * MS, 14 * MS])),
        );
        scenario.tasks = 4;
        near(scenario.offered_load(), 0.5);
        let half = scenario.at_load(0.25).unwrap();
        assert_eq!(
            half.load.arrivals,
            Arrivals::Trace(Arc::from([Duration::ZERO, 2 * MS, 4 * MS, 20 * MS]))
        );
        // 14 ms of work in the last hundredth of 10 ms, for four workers.
        near(scenario.facts().peak_load, 14.0 / 0.1 / 4.0);
        scenario.tasks = 1;
        assert!(scenario.offered_load().is_nan());
        assert_eq!(scenario.at_load(0.5), None);
    }
}
