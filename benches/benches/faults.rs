//! A pool with a hung worker, with a failing one, with tasks of very unequal duration, overloaded, and
//! closing with all tasks at one worker.
//!
//! `cargo bench -p raddle-benches --bench faults -- hung` runs one of `hung`, `failing`, `sizes`,
//! `overload` and `drain`; without a name all are run. Figures that are compared are measured in one run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use raddle_benches::open_loop::{Fault, Figures, Job, Seen, Served, Sleeper, drive};
use raddle_core::{Candidates, TaskProfile, WorkerSpec};
use raddle_runtime::{CoDel, Drain, EventKind, Overflow, Pool, PoolBuilder, Watchdog};
use raddle_strategies::{LatencyBased, LeastLoaded, Random, RoundRobin, Strategy, StrategyName};

const MS: Duration = Duration::from_millis(1);

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    // Without `--bench` this is `cargo test`, which only checks that it runs.
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    arguments.retain(|argument| !argument.starts_with("--"));
    let seconds = if is_bench { 10.0 } else { 0.4 };
    let time = Duration::from_secs_f64(seconds);
    let hung: fn(Duration) = hung;
    let cases = [
        ("hung", hung),
        ("failing", failing),
        ("sizes", sizes),
        ("overload", overload),
        ("drain", drain),
    ];
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|word| word == name);
    for (_, run) in cases.iter().filter(|(name, _)| wanted(name)) {
        run(time);
    }
}

fn pool(workers: usize) -> PoolBuilder<Job, Served> {
    Pool::builder("faults").workers(workers, WorkerSpec::new("w"))
}

fn healthy() -> impl Fn(&raddle_core::Worker) -> Sleeper + Send + Sync + 'static {
    |_| Sleeper { fault: Fault::None }
}

fn print(what: &str, figures: &Figures) {
    println!(
        "  {what:<34} n {:>6}  p50 {:>8.2}  p90 {:>8.2}  p99 {:>8.2}  p99.9 {:>8.2} ms",
        figures.latency.len(),
        figures.quantile_ms(0.5),
        figures.quantile_ms(0.9),
        figures.quantile_ms(0.99),
        figures.quantile_ms(0.999),
    );
}

/// One of ten workers hangs for good, at 70 % load.
fn hung(time: Duration) {
    println!(
        "hung: 10 workers, 5 ms tasks, 70 % load; one hangs for good after a fifth of the time"
    );
    let interval = (5 * MS).div_f64(7.0);
    let run = |watchdog: Option<Watchdog>, hangs: bool| {
        let mutex = Arc::new(Mutex::new(()));
        let guard = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        let from = Instant::now() + time / 5;
        let mut builder = pool(10);
        if let Some(watchdog) = watchdog {
            builder = builder.watchdog(watchdog);
        }
        let pool = builder
            .spawn({
                let mutex = Arc::clone(&mutex);
                move |worker| {
                    let is_it = hangs && worker.id().0 == 0 && worker.generation() == 0;
                    let fault = || Fault::HangsFrom(from, Arc::clone(&mutex));
                    Sleeper { fault: if is_it { fault() } else { Fault::None } }
                }
            })
            .expect("the settings are valid");
        let mut events = pool.subscribe();
        let observed = pool.clone();
        let observer = std::thread::spawn(move || {
            std::thread::sleep(from.saturating_duration_since(Instant::now()));
            let admitted = || observed.stats().balancer.workers[0].counts.admitted;
            let before = admitted();
            while let Some(event) = events.recv_timeout(time) {
                if event.kind == EventKind::Quarantined {
                    return Some(admitted().saturating_sub(before));
                }
            }
            None
        });
        let seen = Seen::new();
        drive(&pool, &seen, time, interval, None, |_| 5 * MS);
        let figures = seen.figures();
        let reached = observer.join().ok().flatten();
        drop(guard);
        let _ = pool.shutdown(Drain::within(Duration::from_secs(5)));
        (figures, reached)
    };
    let (base, _) = run(None, false);
    print("healthy", &base);
    let (without, _) = run(None, true);
    print("hung, no watchdog", &without);
    for (name, watchdog) in [
        ("hung, watchdog 100 ms, no thread", Watchdog::after(100 * MS).max_lost(0)),
        ("hung, watchdog 100 ms, replaced", Watchdog::after(100 * MS)),
    ] {
        let (figures, reached) = run(Some(watchdog), true);
        print(name, &figures);
        println!(
            "  {:<34} tasks sent to it before its quarantine {}, p99 {:.2} of healthy",
            "",
            reached.map_or("?".into(), |reached| reached.to_string()),
            figures.quantile_ms(0.99) / base.quantile_ms(0.99),
        );
    }
}

/// One of ten workers fails immediately, at 70 % load.
fn failing(time: Duration) {
    println!("failing: 10 workers, 5 ms tasks, 70 % load; one fails immediately; fair share 10 %");
    let interval = (5 * MS).div_f64(7.0);
    for name in StrategyName::ALL {
        let pool = pool(10)
            .strategy(name.build())
            .spawn(|worker| Sleeper {
                fault: if worker.id().0 == 0 { Fault::Fails } else { Fault::None },
            })
            .expect("the settings are valid");
        let seen = Seen::new();
        drive(&pool, &seen, time / 2, interval, None, |_| 5 * MS);
        let stats = pool.stats();
        let share =
            stats.balancer.workers[0].counts.admitted as f64 / stats.account.counts.admitted as f64;
        println!("  {:<34} share of the failing worker {:>5.1} %", name.as_str(), 100.0 * share);
        let _ = pool.shutdown(Drain::all());
    }
}

/// Tasks of which one in ten takes ten times as long, with and without stealing.
fn sizes(time: Duration) {
    println!("sizes: 8 workers, nine tasks of 1 ms for each of 10 ms, 70 % load, round robin");
    let mean = MS.mul_f64(0.9 + 0.1 * 10.0);
    let interval = mean.div_f64(8.0 * 0.7);
    let run =
        |strategy: Box<dyn Strategy>, stealing: bool| {
            let pool = pool(8)
                .strategy(strategy)
                .stealing(stealing)
                .spawn(healthy())
                .expect("the settings are valid");
            let seen = Seen::new();
            drive(&pool, &seen, time, interval, None, |random| {
                if random.u8(..10) == 0 { 10 * MS } else { MS }
            });
            let _ = pool.shutdown(Drain::all());
            seen.figures()
        };
    let alone = run(Box::new(RoundRobin::new()), false);
    print("round robin", &alone);
    let stealing = run(Box::new(RoundRobin::new()), true);
    print("round robin, stealing", &stealing);
    println!(
        "  {:<34} p99 with stealing {:.2} of that without",
        "",
        stealing.quantile_ms(0.99) / alone.quantile_ms(0.99)
    );
    print("random", &run(Box::new(Random::new()), false));
    print("random, stealing", &run(Box::new(Random::new()), true));
    print("least loaded", &run(Box::new(LeastLoaded::new()), false));
    print("least loaded, stealing", &run(Box::new(LeastLoaded::new()), true));
    print("latency based", &run(Box::new(LatencyBased::new()), false));
}

/// Twice the load that the pool can serve, with deadlines.
fn overload(time: Duration) {
    const WORKERS: u32 = 4;
    let timeout = 50 * MS;
    println!("overload: 4 workers, 5 ms tasks, 200 % load, deadline 50 ms, mailboxes of 1024");
    // The real duration of a 5 ms sleep on this machine.
    let begin = Instant::now();
    (0..20).for_each(|_| std::thread::sleep(5 * MS));
    let service = begin.elapsed() / 20;
    let interval = service / (2 * WORKERS);
    let codel = CoDel::new(5 * MS, 20 * MS);
    for (what, shedding) in [("no shedding", None), ("CoDel 5 ms, 20 ms", Some(codel))] {
        let mut builder = pool(WORKERS as usize).mailbox(1024, Overflow::Reject);
        if let Some(codel) = shedding {
            builder = builder.codel(codel);
        }
        let pool = builder.spawn(healthy()).expect("the settings are valid");
        let seen = Seen::new();
        let before = resident_kib();
        let submitted = drive(&pool, &seen, time, interval, Some(timeout), |_| 5 * MS);
        let (after, figures) = (resident_kib(), seen.figures());
        let account = pool.account();
        let capacity = f64::from(WORKERS) * time.as_secs_f64() / service.as_secs_f64();
        print(what, &figures);
        println!(
            "  {:<34} submitted {submitted}, in time {} ({:.1} % of capacity), started after the deadline {}, \
             expired {}, shed {}, rejected {}, memory {before} to {after} KiB",
            "",
            figures.in_time,
            100.0 * figures.in_time as f64 / capacity,
            figures.started_late,
            account.counts.expired,
            account.shed,
            account.rejected,
        );
        let _ = pool.shutdown(Drain::now());
    }
}

/// Returns the process's resident memory, or 0 if the operating system has no `/proc`.
fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4
}

/// Picks the first candidate.
#[derive(Debug)]
struct First;

impl Strategy for First {
    fn name(&self) -> &'static str {
        "first"
    }
    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        0
    }
}

/// A pool closes while all its tasks wait at one of four workers.
fn drain(time: Duration) {
    let tasks = (time.as_millis() / 10).clamp(50, 1_000) as u32;
    println!("drain: 4 workers, {tasks} tasks of 1 ms wait at one of them when the pool closes");
    let run = |stealing| {
        let pool = pool(4).strategy(First).stealing(stealing).spawn(healthy());
        let (pool, seen) = (pool.expect("the settings are valid"), Seen::new());
        for _ in 0..tasks {
            let job = Job { due: Instant::now(), service: MS, seen: Arc::clone(&seen) };
            pool.tell(job).expect("there is room");
        }
        let begun = Instant::now();
        pool.shutdown(Drain::all()).expect("there is no limit");
        begun.elapsed().as_secs_f64() * 1e3
    };
    let [off, on] = [false, true].map(run);
    println!("  stealing off {off:.0} ms, on {on:.0} ms: {:.2} of it", on / off);
}
