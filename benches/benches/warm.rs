//! Tasks with Zipf keys on workers that each keep some keys: bounded hash, least work and warm first,
//! with a cold cost of 0, 1 and 10 times the service time.
//!
//! `cargo bench -p raddle-benches --bench warm`. Workers sleep, so that a machine with two cores can
//! run eight. Every strategy gets the same tasks, at the rate at which bounded hash keeps the workers
//! busy for 70 % of the time in simulation. Each figure is of three runs with different seeds, in
//! which the strategies take turns.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Drain, Handler, Pool};
use raddle_sim::{Arrivals, Cache, Keys, Load, Run, Scenario, Service, SimWorker, simulate};
use raddle_strategies::StrategyName::{self, BoundedHash, LeastWork, WarmFirst};

const WORKERS: usize = 8;
const MEAN: Duration = Duration::from_millis(4);
const KEYS: u32 = 1_000;
const EXPONENT: f64 = 0.9;
/// The number of keys that a worker keeps.
const ROOM: usize = 64;
const LOAD: f64 = 0.7;

fn main() {
    // Without `--bench` this is `cargo test`, which only checks that it runs.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let seconds = if is_bench { 10.0 } else { 0.2 };
    let rounds = if is_bench { 3 } else { 1 };
    for cost in [0, 1, 10] {
        let cold_cost = MEAN * cost;
        let rate = rate(cold_cost);
        println!("cold cost {cost} x {MEAN:?}, {rate:.0} tasks/s");
        let strategies = [BoundedHash, LeastWork, WarmFirst];
        let mut means = [0.0; 3];
        let mut p99s = [0.0; 3];
        let mut hits = [0.0; 3];
        for seed in 1..=rounds {
            for (index, strategy) in strategies.into_iter().enumerate() {
                let (mean, p99, warm) = run(strategy, cold_cost, rate, seed, seconds);
                means[index] += mean / rounds as f64;
                p99s[index] += p99 / rounds as f64;
                hits[index] += warm / rounds as f64;
            }
        }
        let better = if means[0] < means[1] { 0 } else { 1 };
        for (index, strategy) in strategies.into_iter().enumerate() {
            println!(
                "  {strategy:<14} mean {:>7.2} ms ({:.2} of the better)  p99 {:>7.1} ms ({:.2})  warm {:.0} %",
                means[index],
                means[index] / means[better],
                p99s[index],
                p99s[index] / p99s[better],
                100.0 * hits[index],
            );
        }
    }
}

/// Returns the tasks per second that keep the workers busy for [`LOAD`] of the time under bounded
/// hash.
fn rate(cold_cost: Duration) -> f64 {
    let arrivals = |rate| Arrivals::Poisson { rate };
    let mut load = Load::new(arrivals(1.0), Service::Exponential { mean: MEAN });
    load.keys = Keys::Zipf { count: KEYS, exponent: EXPONENT };
    let mut scenario = Scenario::new(SimWorker::equal(WORKERS), load);
    (scenario.tasks, scenario.warm_up) = (100_000, 0);
    scenario.cache = Some(Cache { keys: ROOM, cold_cost });
    let mut each = MEAN.as_secs_f64();
    let of = |each: f64| LOAD * WORKERS as f64 / each;
    for _ in 0..3 {
        scenario.load.arrivals = arrivals(of(each));
        let run: Run = simulate(&scenario, &*BoundedHash.build()).expect("the scenario is valid");
        let busy: f64 = run.workers.iter().map(|worker| worker.utilisation).sum();
        each = busy * run.span.as_secs_f64() / run.tasks as f64;
    }
    of(each)
}

/// Serves a job by sleeping, for longer if its key is not among the latest.
#[derive(Debug, Default)]
struct Caching {
    latest: Vec<u64>,
    cold_cost: Duration,
}

struct Keyed {
    /// The time when it was due.
    due: Instant,
    service: Duration,
    key: u64,
    seen: Arc<Seen>,
}

/// The sojourns in nanoseconds of measured tasks, and how many had a warm key.
type Seen = Mutex<(Vec<u64>, usize)>;

impl Actor for Caching {}

impl Handler<Keyed> for Caching {
    type Reply = ();

    fn handle(&mut self, Keyed { due, service, key, seen }: Keyed, _: &mut Context<'_, Self>) {
        let at = self.latest.iter().position(|latest| *latest == key);
        at.map(|at| self.latest.remove(at));
        self.latest.insert(0, key);
        self.latest.truncate(ROOM);
        let cost = if at.is_some() { Duration::ZERO } else { self.cold_cost };
        thread::sleep(service + cost);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.0.push(due.elapsed().as_nanos() as u64);
        seen.1 += usize::from(at.is_some());
    }
}

/// Returns the mean and the 99th percentile of the sojourn in milliseconds, and the share of the
/// tasks whose key was warm, after a warm-up of half of the time.
fn run(
    strategy: StrategyName,
    cold_cost: Duration,
    rate: f64,
    seed: u64,
    seconds: f64,
) -> (f64, f64, f64) {
    let pool = Pool::builder("warm")
        .workers(WORKERS, WorkerSpec::new("w"))
        .strategy(strategy.build())
        .spawn(move |_| Caching { latest: Vec::new(), cold_cost })
        .expect("the settings are valid");
    let mut random = fastrand::Rng::with_seed(seed);
    let shares: Vec<f64> = (1..=KEYS)
        .scan(0.0, |sum, rank| {
            *sum += f64::from(rank).powf(-EXPONENT);
            Some(*sum)
        })
        .collect();
    let exponential = |random: &mut fastrand::Rng| -(1.0 - random.f64()).ln();
    let records: [Arc<Seen>; 2] = Default::default();
    let begin = Instant::now();
    let mut at = 0.0;
    while at < seconds {
        at += exponential(&mut random) / rate;
        let due = begin + Duration::from_secs_f64(at);
        let service = MEAN.mul_f64(exponential(&mut random));
        let drawn = random.f64() * shares.last().copied().unwrap_or(0.0);
        let key = shares.partition_point(|sum| *sum <= drawn) as u64;
        let seen = Arc::clone(&records[usize::from(at > seconds / 2.0)]);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = pool.task(Keyed { due, service, key, seen }).key(key).tell();
        sent.expect("the pool is open");
    }
    let _ = pool.shutdown(Drain::all());
    let mut seen = records[1].lock().unwrap_or_else(PoisonError::into_inner);
    let (sojourns, warm) = &mut *seen;
    sojourns.sort_unstable();
    let count = sojourns.len().max(1);
    let mean = sojourns.iter().sum::<u64>() as f64 / count as f64;
    let p99 = sojourns.get(count * 99 / 100).copied().unwrap_or(0);
    (mean / 1e6, p99 as f64 / 1e6, *warm as f64 / count as f64)
}
