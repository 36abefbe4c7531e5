//! Boosted mailboxes: a boosted pool beside an equal one with FIFO mailboxes, both under the same
//! open loop of tasks at the same time, and each beside the simulator.
//!
//! The simulator replays what each worker of each pool was sent: when, and how long the handler
//! took. So the ratios of boost to FIFO can be compared whatever the machine adds to a task.
//!
//! `cargo bench -p raddle-benches --bench boost -- keyed` runs one of `keyed`, `exponential` and
//! `least_loaded`, of five minutes each, and `cost`, what the worker pays for a task; without a name
//! all are run.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use raddle_core::{MailboxOrder, WorkerSpec};
use raddle_runtime::{Actor, Context, Drain, Handler, Pool};
use raddle_sim::{Arrivals, Load, Order, Scenario, Service, SimWorker, simulate};
use raddle_strategies::{LeastLoaded, RoundRobin, Strategy};

const MS: Duration = Duration::from_millis(1);
const WORKERS: usize = 4;
/// Share of the first tasks that are not counted.
const WARM_UP: f64 = 0.05;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    // Without `--bench` this is `cargo test`, which only checks that it runs.
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    arguments.retain(|argument| !argument.starts_with("--"));
    let time = if is_bench { Duration::from_secs(300) } else { 300 * MS };
    let late = overslept();
    let bimodal: Draw = |random| if random.u8(..50) == 0 { 80 * MS } else { 2 * MS };
    let exponential: Draw = |random| (2 * MS).mul_f64(-(1.0 - random.f64()).ln());
    let cases = [
        Case {
            name: "keyed",
            what: "keys, 2 % of the tasks of 80 ms and the others of 2 ms, 70 % load",
            interval: (2 * MS.mul_f64(1.78) + late).div_f64(0.7 * WORKERS as f64),
            service: bimodal,
            keyed: true,
        },
        Case {
            name: "exponential",
            what: "keys, exponential tasks of 2 ms, 75 % load",
            interval: (2 * MS + late).div_f64(0.75 * WORKERS as f64),
            service: exponential,
            keyed: true,
        },
        Case {
            name: "least_loaded",
            what: "least loaded, 2 % of the tasks of 80 ms and the others of 2 ms, 85 % load",
            interval: (2 * MS.mul_f64(1.78) + late).div_f64(0.85 * WORKERS as f64),
            service: bimodal,
            keyed: false,
        },
    ];
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|word| word == name);
    for case in cases.iter().filter(|case| wanted(case.name)) {
        case.run(time);
    }
    if wanted("cost") {
        cost(if is_bench { 1_000_000 } else { 1_000 });
    }
}

/// Waits for the gate at its first message, and does nothing for the others.
struct Drained {
    gate: Arc<Mutex<()>>,
}

impl Actor for Drained {}

impl Handler<bool> for Drained {
    type Reply = ();

    fn handle(&mut self, waits: bool, _: &mut Context<'_, Self>) {
        if waits {
            drop(self.gate.lock());
        }
    }
}

/// How long a worker takes for a task that does nothing and waits already, in each order.
fn cost(tasks: u32) {
    println!("cost: one worker drains {tasks} tasks of four sizes that do nothing");
    for order in MailboxOrder::ALL {
        let mut times: Vec<_> = (0..5)
            .map(|_| {
                let gate = Arc::new(Mutex::new(()));
                let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
                let theirs = Arc::clone(&gate);
                let pool: Pool<bool, ()> = Pool::builder("cost")
                    .workers(1, WorkerSpec::new("w"))
                    .mailbox_unbounded()
                    .mailbox_order(order)
                    .spawn(move |_| Drained { gate: Arc::clone(&theirs) })
                    .expect("the settings are valid");
                // So that there is a mean to compare with.
                let _ = pool.ask(false).wait();
                let _ = pool.task(true).tell();
                for number in 0..tasks {
                    let expected = Duration::from_nanos(1 << (number % 4 * 4));
                    let _ = pool.task(false).expected_duration(expected).tell();
                }
                let begin = Instant::now();
                drop(closed);
                let _ = pool.shutdown(Drain::all());
                begin.elapsed() / tasks
            })
            .collect();
        times.sort_unstable();
        println!("  {:<24} {:?} per task", order.as_str(), times[2]);
    }
}

/// Returns how much longer than asked for a sleep takes here, while as many threads sleep as the
/// pools have workers.
fn overslept() -> Duration {
    let sleeps = 200;
    let sleep = || {
        let begin = Instant::now();
        (0..sleeps).for_each(|_| thread::sleep(MS));
        (begin.elapsed() / sleeps).saturating_sub(MS)
    };
    let threads = 2 * WORKERS as u32;
    thread::scope(|scope| {
        let sleepers: Vec<_> = (0..threads).map(|_| scope.spawn(sleep)).collect();
        sleepers.into_iter().filter_map(|sleeper| sleeper.join().ok()).sum::<Duration>() / threads
    })
}

type Draw = fn(&mut fastrand::Rng) -> Duration;

struct Case {
    name: &'static str,
    what: &'static str,
    interval: Duration,
    service: Draw,
    keyed: bool,
}

/// What happened to a task.
#[derive(Clone, Copy, Debug)]
struct Record {
    worker: u32,
    /// Since the begin of the run.
    submitted: Duration,
    service: Duration,
    latency: Duration,
}

type Log = Arc<Mutex<Vec<Record>>>;

struct Job {
    submitted: Instant,
    service: Duration,
}

struct Sleeper {
    begin: Instant,
    log: Log,
}

impl Actor for Sleeper {}

impl Handler<Job> for Sleeper {
    type Reply = ();

    fn handle(&mut self, job: Job, cx: &mut Context<'_, Self>) {
        let started = Instant::now();
        thread::sleep(job.service);
        let record = Record {
            worker: cx.worker().id().0,
            submitted: job.submitted - self.begin,
            service: started.elapsed(),
            latency: job.submitted.elapsed(),
        };
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }
}

impl Case {
    fn pool(&self, order: MailboxOrder, begin: Instant) -> (Pool<Job, ()>, Log) {
        let log = Log::default();
        let strategy: Box<dyn Strategy> = match self.keyed {
            true => Box::new(RoundRobin::new()),
            false => Box::new(LeastLoaded::new()),
        };
        let records = Arc::clone(&log);
        let pool = Pool::builder(order.as_str())
            .workers(WORKERS, WorkerSpec::new("w"))
            .strategy(strategy)
            .stealing(false)
            .mailbox_order(order)
            .spawn(move |_| Sleeper { begin, log: Arc::clone(&records) })
            .expect("the settings are valid");
        (pool, log)
    }

    fn run(&self, time: Duration) {
        println!("{}: {WORKERS} workers, {}", self.name, self.what);
        let mut random = fastrand::Rng::with_seed(7);
        let begin = Instant::now();
        let pools = MailboxOrder::ALL.map(|order| self.pool(order, begin));
        let mut due = begin;
        loop {
            due += self.interval.mul_f64(-(1.0 - random.f64()).ln());
            if due >= begin + time {
                break;
            }
            let (service, key) = ((self.service)(&mut random), random.u64(..));
            thread::sleep(due.saturating_duration_since(Instant::now()));
            for (pool, _) in &pools {
                let job = Job { submitted: Instant::now(), service };
                let task = pool.task(job).expected_duration(service);
                let task = if self.keyed { task.key(key) } else { task };
                let _ = task.tell();
            }
        }
        let [fifo, boost] = pools.map(|(pool, log)| {
            let _ = pool.shutdown(Drain::all());
            std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let runs = [("fifo", Order::Fifo, &fifo), ("boost", Order::Boost, &boost)];
        let [fifo, boost] = runs.map(|(name, order, records)| {
            let cut = time.mul_f64(WARM_UP);
            let counted = records.iter().filter(|record| record.submitted >= cut);
            let real = figures(counted.map(|record| record.latency).collect());
            let ideal = figures(simulated(records, order, cut));
            let busy: Duration = records.iter().map(|record| record.service).sum();
            println!("  {name}: load {:.3}", busy.div_duration_f64(time * WORKERS as u32));
            print(&format!("{name}, pool"), real);
            print(&format!("{name}, simulator"), ideal);
            [real, ideal]
        });
        let ratio = |of: usize| std::array::from_fn::<f64, 4, _>(|i| boost[of][i] / fifo[of][i]);
        let (real, ideal) = (ratio(0), ratio(1));
        print("boost / fifo, pool", real);
        print("boost / fifo, simulator", ideal);
        print("pool / simulator", std::array::from_fn(|figure| real[figure] / ideal[figure]));
    }
}

/// What the simulator makes of each worker's tasks: the latencies of those from `cut` on.
fn simulated(records: &[Record], order: Order, cut: Duration) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for worker in 0..WORKERS as u32 {
        let own = records.iter().filter(|record| record.worker == worker);
        let mut own: Vec<Record> = own.copied().collect();
        own.sort_unstable_by_key(|record| record.submitted);
        if own.is_empty() {
            continue;
        }
        let load = Load::new(
            Arrivals::Trace(own.iter().map(|record| record.submitted).collect()),
            Service::Trace(own.iter().map(|record| record.service).collect()),
        );
        let scenario = Scenario {
            tasks: own.len() as u64,
            warm_up: 0,
            order,
            durations_known: true,
            record_sojourns: true,
            ..Scenario::new(SimWorker::equal(1), load)
        };
        let run = simulate(&scenario, &RoundRobin::new()).expect("the scenario is valid");
        let counted = own.iter().zip(&run.sojourns).filter(|(record, _)| record.submitted >= cut);
        latencies.extend(counted.filter_map(|(_, sojourn)| *sojourn));
    }
    latencies
}

/// Mean, median, 99th and 99.9th percentile, in milliseconds.
fn figures(mut latencies: Vec<Duration>) -> [f64; 4] {
    latencies.sort_unstable();
    let count = latencies.len().max(1);
    let ms = |latency: &Duration| latency.as_secs_f64() * 1e3;
    let at = |q: f64| latencies.get((q * count as f64) as usize).map_or(f64::NAN, ms);
    [latencies.iter().map(ms).sum::<f64>() / count as f64, at(0.5), at(0.99), at(0.999)]
}

fn print(what: &str, [mean, p50, p99, p999]: [f64; 4]) {
    println!("  {what:<24} mean {mean:>8.3}  p50 {p50:>8.3}  p99 {p99:>8.3}  p99.9 {p999:>8.3}");
}
