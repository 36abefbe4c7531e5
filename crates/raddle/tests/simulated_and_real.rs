//! Compares the simulator with the runtime on the same tasks.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};
use raddle::strategies::StrategyName;
use raddle::{Actor, Context, Drain, Handler, Overflow, Pool, WorkerSpec};
use raddle_sim::{Load, Request, Scenario, SimWorker, simulate};

const WORKERS: usize = 8;
const TASKS: usize = 800;
const SEED: u64 = 5;

/// Four of five tasks take 5 ms, the others 40 ms: 12 ms on average, at load 0.7.
fn trace() -> Vec<Request> {
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut arrival = Duration::ZERO;
    let gap = 0.012 / (0.7 * WORKERS as f64);
    let requests = (0..TASKS).map(|_| {
        arrival += Duration::from_secs_f64(-gap * (1.0 - rng.f64()).ln());
        let service = Duration::from_millis(if rng.u8(..5) == 0 { 40 } else { 5 });
        Request { arrival, service, capability: None, key: None }
    });
    requests.collect()
}

/// Returns the simulator's mean sojourn time over this many seeds, which must differ little.
fn simulated(trace: &[Request], strategy: StrategyName, seeds: u64) -> Duration {
    let of = |seed| {
        let scenario = Scenario::new(SimWorker::equal(WORKERS), Load::of_trace(trace));
        let scenario = Scenario { tasks: trace.len() as u64, warm_up: 0, seed, ..scenario };
        simulate(&scenario, &*strategy.build()).unwrap().sojourn.mean().as_nanos() as f64
    };
    let means: Vec<f64> = (1..=seeds).map(of).collect();
    let mean = means.iter().sum::<f64>() / seeds as f64;
    let most = means.iter().map(|one| (one / mean - 1.0).abs()).fold(0.0, f64::max);
    println!("{strategy}, {seeds} seeds: {:.2} ms, at most {:.2} % off", mean / 1e6, most * 100.0);
    assert!(most < 0.05, "{strategy}: one run is off by {most}, too much to compare with");
    Duration::from_nanos(mean as u64)
}

/// Sleeps for the duration of a task, and sends what became of it.
struct Sleeper(Sender<Done>);

struct Job {
    number: usize,
    arrived: Instant,
    service: Duration,
}

struct Done {
    number: usize,
    service: Duration,
    sojourn: Duration,
}

impl Actor for Sleeper {}

impl Handler<Job> for Sleeper {
    type Reply = ();

    fn handle(&mut self, job: Job, _: &mut Context<'_, Self>) {
        let begun = Instant::now();
        thread::sleep(job.service);
        let (service, sojourn) = (begun.elapsed(), job.arrived.elapsed());
        let done = Done { number: job.number, service, sojourn };
        self.0.send(done).unwrap_or_else(|_| unreachable!("the test waits for it"));
    }
}

/// Returns the mean sojourn time of a pool that receives each task when it is due, and the tasks as
/// they really arrived and ran: on a busy machine they come late and sleep long.
fn real(trace: &[Request], strategy: StrategyName) -> (Duration, Vec<Request>) {
    let (done, results) = unbounded();
    let pool = Pool::builder("real")
        .workers(WORKERS, WorkerSpec::general())
        .strategy(strategy.build())
        .stealing(false)
        .mailbox(TASKS, Overflow::Reject)
        .spawn(move |_worker| Sleeper(done.clone()))
        .unwrap();
    let start = Instant::now() + Duration::from_millis(20);
    let mut really = trace.to_vec();
    for (number, request) in really.iter_mut().enumerate() {
        let due = start + request.arrival;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let arrived = Instant::now();
        request.arrival = arrived.saturating_duration_since(start);
        pool.tell(Job { number, arrived, service: request.service }).unwrap();
    }
    let account = pool.shutdown(Drain::all()).unwrap();
    assert_eq!(account.counts.completed, trace.len() as u64);
    let mut sum = Duration::ZERO;
    for Done { number, service, sojourn } in results.try_iter() {
        really[number].service = service;
        sum += sojourn;
    }
    (sum / trace.len() as u32, really)
}

/// Asserts that the pool is within 10 % of the simulator in one of three attempts: threads that start
/// late on a busy machine are not in what is simulated. Random choices change a mean by less.
fn assert_near(strategy: StrategyName, seeds: u64) {
    let trace = trace();
    let mut offs = Vec::new();
    for _ in 0..3 {
        let (real, really) = real(&trace, strategy);
        let simulated = simulated(&really, strategy, seeds);
        let off = real.div_duration_f64(simulated) - 1.0;
        println!(
            "{strategy}, seed {SEED}: {real:.1?}, simulated {simulated:.1?}, {:.1} %",
            off * 100.0
        );
        if off.abs() <= 0.1 {
            return;
        }
        offs.push(off);
    }
    panic!("{strategy}: the pool is off by {offs:.3?} from what is simulated");
}

/// One test, so that the pools do not disturb each other.
#[test]
fn a_pool_takes_as_long_as_the_simulator_says() {
    let trace = trace();
    // Each task goes to the same worker in both.
    let rotation = simulated(&trace, StrategyName::RoundRobin, 1);
    // Chooses among idle workers at random, so this is a mean over many seeds.
    let idle = simulated(&trace, StrategyName::JoinIdle, 20);
    assert!(idle < rotation.mul_f64(0.8), "too similar to compare: {idle:?} {rotation:?}");
    assert_near(StrategyName::RoundRobin, 1);
    assert_near(StrategyName::JoinIdle, 20);
}
