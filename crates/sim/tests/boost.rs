//! Boosted mailboxes, checked against a second computation that shares no code with the simulator:
//! no events, no statistics, no learning. Each worker's queue is advanced from arrival to arrival,
//! and the boosts follow from the distribution of the service times. Both run the same tasks.
//!
//! Means, medians and 99th percentiles agree within 3 %; of the 99.9th percentiles, the intervals of
//! 95 % overlap. `cargo test -p raddle-sim --test boost -- --nocapture` prints the table of
//! `docs/strategies.md`.

use std::time::Duration;

use raddle_sim::{Arrivals, Load, Order, Scenario, Service, SimWorker, simulate};
use raddle_strategies::StrategyName;

/// The unit of time in nanoseconds.
const UNIT: f64 = 1e6;
const SEEDS: u64 = 3;
/// The quantile of Student's t for an interval of 95 % from three runs.
const T: f64 = 4.303;

/// Parts of a distribution of service times: a share of the tasks, and their mean. Each is
/// exponential, or constant.
#[derive(Clone, Copy)]
struct Law {
    parts: [(f64, f64); 2],
    exponential: bool,
}

const EXPONENTIAL: Law = Law { parts: [(1.0, 1.0), (0.0, 1.0)], exponential: true };
const HYPEREXPONENTIAL: Law = Law { parts: [(0.9, 0.5), (0.1, 5.5)], exponential: true };
const BIMODAL: Law = Law { parts: [(0.98, 1.0), (0.02, 40.0)], exponential: false };

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    /// Uniform between 0 and 1, and never 0.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }
}

impl Law {
    fn draw(&self, random: &mut Random) -> f64 {
        let (_, mean) = self.parts[usize::from(random.unit() > self.parts[0].0)];
        if self.exponential { random.exponential(mean) } else { mean }
    }

    fn mean(&self) -> f64 {
        self.parts.iter().map(|(share, mean)| share * mean).sum()
    }

    /// Returns the share of the tasks longer than `from` and up to `to`, and the mean of `e^(g S)`
    /// over them times that share.
    fn between(&self, from: f64, to: f64, g: f64) -> (f64, f64) {
        let (mut share, mut moment) = (0.0, 0.0);
        for (of, mean) in self.parts {
            if self.exponential {
                let rate = 1.0 / mean;
                let above = |rate: f64, x: f64| if x.is_finite() { (-rate * x).exp() } else { 0.0 };
                share += of * (above(rate, from) - above(rate, to));
                let left = rate - g;
                moment += of * rate / left * (above(left, from) - above(left, to));
            } else if from < mean && mean <= to {
                share += of;
                moment += of * (g * mean).exp();
            }
        }
        (share, moment)
    }

    /// Returns the decay rate of the queue's tail at an arrival rate, by bisection.
    fn decay(&self, rate: f64) -> f64 {
        let slowest = self.parts.iter().filter(|part| part.0 > 0.0).map(|part| part.1);
        let pole = 1.0 / slowest.fold(0.0, f64::max);
        let (mut low, mut high) = (1e-9, if self.exponential { pole } else { 20.0 * pole });
        for _ in 0..100 {
            let middle = (low + high) / 2.0;
            let (_, moment) = self.between(0.0, f64::INFINITY, middle);
            if rate * (moment - 1.0) < middle { low = middle } else { high = middle }
        }
        low
    }
}

/// What a queue goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Arrival,
    Size,
    Class,
}

struct Row {
    what: &'static str,
    law: Law,
    load: f64,
    workers: usize,
    tasks: u64,
}

/// Mean, median, 99th and 99.9th percentile.
type Figures = [f64; 4];

fn figures(mut sojourns: Vec<f64>) -> Figures {
    let mean = sojourns.iter().sum::<f64>() / sojourns.len() as f64;
    sojourns.sort_unstable_by(f64::total_cmp);
    let quantile = |q: f64| sojourns[(q * sojourns.len() as f64) as usize];
    [mean, quantile(0.5), quantile(0.99), quantile(0.999)]
}

/// A worker: until when it is busy, and the tasks that wait, as (order, arrival, service).
#[derive(Default)]
struct Single {
    busy_until: f64,
    waiting: Vec<(f64, f64, f64)>,
}

impl Single {
    /// Runs what starts up to `now`.
    fn advance(&mut self, now: f64, sojourns: &mut Vec<f64>) {
        while self.busy_until <= now && !self.waiting.is_empty() {
            let orders = self.waiting.iter().map(|task| task.0).enumerate();
            let (next, _) = orders.min_by(|one, other| one.1.total_cmp(&other.1)).unwrap();
            let (_, arrival, service) = self.waiting.swap_remove(next);
            self.busy_until = self.busy_until.max(arrival) + service;
            sojourns.push(self.busy_until - arrival);
        }
    }
}

impl Row {
    /// Returns the arrival and the service time of each task.
    fn tasks(&self, seed: u64) -> impl Iterator<Item = (f64, f64)> {
        let (mut random, mut now) = (Random(seed), 0.0);
        let gap = self.law.mean() / self.load / self.workers as f64;
        (0..self.tasks).map(move |_| {
            now += random.exponential(gap);
            (now, self.law.draw(&mut random))
        })
    }

    /// The second computation: each task goes to the worker with the fewest tasks, a random one of
    /// several.
    fn computed(&self, by: By, seed: u64) -> Figures {
        let (mean, g) = (self.law.mean(), self.law.decay(self.load / self.law.mean()));
        let bounds = [0.0, mean / 4.0, mean, 4.0 * mean, f64::INFINITY];
        let boosts: Vec<f64> = (0..4)
            .map(|class| self.law.between(bounds[class], bounds[class + 1], g))
            .map(|(share, moment)| moment / share)
            .map(|m| (m / (m - 1.0)).ln() / g)
            .collect();
        let boost = |size: f64| match by {
            By::Arrival => 0.0,
            By::Size => -(-(-g * size).exp()).ln_1p() / g,
            By::Class => boosts[bounds[1..4].iter().filter(|bound| size > **bound).count()],
        };
        let mut workers: Vec<Single> = (0..self.workers).map(|_| Single::default()).collect();
        let (mut random, mut sojourns) = (Random(!seed), Vec::new());
        for (now, service) in self.tasks(seed) {
            let (mut fewest, mut ties, mut chosen) = (usize::MAX, 0.0, 0);
            for (index, worker) in workers.iter_mut().enumerate() {
                worker.advance(now, &mut sojourns);
                let present = worker.waiting.len() + usize::from(worker.busy_until > now);
                if present < fewest {
                    (fewest, ties, chosen) = (present, 1.0, index);
                } else if present == fewest {
                    ties += 1.0;
                    if random.unit() * ties <= 1.0 {
                        chosen = index;
                    }
                }
            }
            workers[chosen].waiting.push((now - boost(service), now, service));
            workers[chosen].advance(now, &mut sojourns);
        }
        sojourns.drain(..(self.tasks / 20) as usize);
        figures(sojourns)
    }

    fn simulated(&self, by: By, seed: u64) -> Figures {
        let nanos = |units: f64| Duration::from_nanos((units * UNIT).round() as u64);
        let (arrivals, services) =
            self.tasks(seed).map(|(arrival, service)| (nanos(arrival), nanos(service))).unzip();
        let (arrivals, services): (Vec<_>, Vec<_>) = (arrivals, services);
        let load = Load::new(Arrivals::Trace(arrivals.into()), Service::Trace(services.into()));
        let order = match by {
            By::Arrival => Order::Fifo,
            By::Size => Order::BoostExact,
            By::Class => Order::Boost,
        };
        let scenario = Scenario {
            tasks: self.tasks,
            warm_up: self.tasks / 20,
            seed,
            order,
            durations_known: true,
            ..Scenario::new(SimWorker::equal(self.workers), load)
        };
        let run = simulate(&scenario, &*StrategyName::LeastLoaded.build()).unwrap();
        let at = |q: f64| run.sojourn.quantile(q).as_nanos() as f64 / UNIT;
        [run.sojourn.mean().as_nanos() as f64 / UNIT, at(0.5), at(0.99), at(0.999)]
    }

    fn check(&self) {
        for by in [By::Arrival, By::Size, By::Class] {
            let both: [[(f64, f64); 4]; 2] = [Self::computed, Self::simulated].map(|run| {
                let runs: Vec<Figures> = (1..=SEEDS).map(|seed| run(self, by, seed)).collect();
                std::array::from_fn(|figure| {
                    let values = runs.iter().map(|run| run[figure]);
                    let mean = values.clone().sum::<f64>() / SEEDS as f64;
                    let squares = values.map(|value| (value - mean).powi(2)).sum::<f64>();
                    (mean, T * (squares / (SEEDS - 1) as f64 / SEEDS as f64).sqrt())
                })
            });
            let [computed, simulated] = both;
            println!("{} {by:?}: {computed:.2?} {simulated:.2?}", self.what);
            for (computed, simulated) in computed.iter().zip(&simulated).take(3) {
                let off = simulated.0 / computed.0 - 1.0;
                assert!(off.abs() < 0.03, "{} {by:?}: {both:?}", self.what);
            }
            let ((one, within), (other, of)) = (computed[3], simulated[3]);
            assert!((one - other).abs() < within + of, "{} {by:?}: {both:?}", self.what);
        }
    }
}

#[test]
fn one_queue_of_exponential_tasks() {
    Row { what: "exponential", law: EXPONENTIAL, load: 0.8, workers: 1, tasks: 300_000 }.check();
}

#[test]
fn one_queue_of_hyperexponential_tasks() {
    let what = "hyperexponential";
    Row { what, law: HYPEREXPONENTIAL, load: 0.7, workers: 1, tasks: 300_000 }.check();
}

#[test]
fn one_queue_of_short_and_long_tasks() {
    Row { what: "bimodal", law: BIMODAL, load: 0.7, workers: 1, tasks: 300_000 }.check();
}

#[test]
fn eight_least_loaded_workers_with_short_and_long_tasks() {
    Row { what: "least loaded", law: BIMODAL, load: 0.9, workers: 8, tasks: 300_000 }.check();
}
