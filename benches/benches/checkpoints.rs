//! Short tasks among a few long ones, with and without checkpoints in the long ones' handlers.
//!
//! `cargo bench -p raddle-benches --bench checkpoints`. Both ways take turns within one run.

use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use hdrhistogram::Histogram;
use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Drain, Handler, Overflow, Pool};
use raddle_strategies::RoundRobin;

/// What a handler does between two checkpoints.
#[derive(Clone, Copy)]
enum Slice {
    /// Sleeps, so that a machine with two cores can run many workers.
    Sleeps(Duration),
    /// Computes this many rounds.
    Computes(u64),
}

/// A task of some slices, and when it was due.
struct Job {
    due: Instant,
    slices: u32,
}

struct Slicer {
    slice: Slice,
    checkpoints: bool,
    short: Arc<Mutex<Histogram<u64>>>,
}

impl Actor for Slicer {}

impl Handler<Job> for Slicer {
    type Reply = ();

    fn handle(&mut self, job: Job, cx: &mut Context<'_, Self>) {
        for _ in 0..job.slices {
            match self.slice {
                Slice::Sleeps(time) => thread::sleep(time),
                Slice::Computes(rounds) => {
                    black_box((0..rounds).fold(rounds, |a, b| black_box(a ^ b).rotate_left(7)));
                }
            }
            if self.checkpoints {
                cx.checkpoint(self);
            }
        }
        if job.slices == SHORT {
            let mut short = self.short.lock().unwrap_or_else(PoisonError::into_inner);
            short.saturating_record(job.due.elapsed().as_micros() as u64);
        }
    }
}

/// The slices of a short task and of a long one, and how rare a long one is.
const SHORT: u32 = 1;
const LONG: u32 = 400;
const RARE: u32 = 50;

/// A pool, and the latencies of its short tasks in microseconds.
struct Bench {
    pool: Pool<Job, ()>,
    short: Arc<Mutex<Histogram<u64>>>,
}

impl Bench {
    fn new(workers: usize, slice: Slice, checkpoints: bool) -> Self {
        let short = Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are valid");
        let short = Arc::new(Mutex::new(short));
        let its = Arc::clone(&short);
        // Tasks whose worker cannot be chosen by its queue, as with keys of the user's own.
        let pool = Pool::builder("checkpoints")
            .workers(workers, WorkerSpec::new("w"))
            .strategy(RoundRobin::new())
            .stealing(false)
            .mailbox(1 << 16, Overflow::Block)
            .spawn(move |_| Slicer { slice, checkpoints, short: Arc::clone(&its) })
            .expect("the settings are valid");
        Self { pool, short }
    }

    fn send(&self, slices: u32, slice: Duration, due: Instant) {
        let task = self.pool.task(Job { due, slices });
        task.expected_duration(slices * slice).tell().expect("the pool is open");
    }

    fn end(self) -> Histogram<u64> {
        let account = self.pool.shutdown(Drain::all()).expect("there is no limit");
        assert!(account.is_balanced());
        self.short.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn main() {
    // Without `--bench` this is `cargo test`, which only checks that it runs.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    latency(Duration::from_secs_f64(if is_bench { 20.0 } else { 0.3 }));
    throughput(if is_bench { 15 } else { 1 }, if is_bench { 20_000 } else { 500 });
}

/// Latencies in an open loop at half load. The sleeps take longer than requested, so the load follows
/// from what they take here.
fn latency(time: Duration) {
    const WORKERS: usize = 4;
    let slice = Duration::from_micros(50);
    let begun = Instant::now();
    (0..200).for_each(|_| thread::sleep(slice));
    let slept = begun.elapsed() / 200;
    let mean = slept.mul_f64(f64::from(SHORT * (RARE - 1) + LONG) / f64::from(RARE));
    let interval = mean.div_f64(WORKERS as f64 * 0.5);
    println!(
        "latency of short tasks: {WORKERS} workers, round robin, half load; {:.2} ms, one in {RARE} {:.0} ms",
        1e3 * (SHORT * slept).as_secs_f64(),
        1e3 * (LONG * slept).as_secs_f64(),
    );
    let run = |what: &str, checkpoints, long| {
        let bench = Bench::new(WORKERS, Slice::Sleeps(slice), checkpoints);
        let mut random = fastrand::Rng::with_seed(7);
        let begin = Instant::now();
        let mut due = begin;
        while due < begin + time {
            due += interval.mul_f64(-(1.0 - random.f64()).ln());
            thread::sleep(due.saturating_duration_since(Instant::now()));
            match random.u32(..RARE) {
                0 if long => bench.send(LONG, slept, due),
                0 => {}
                _ => bench.send(SHORT, slept, due),
            }
        }
        let short = bench.end();
        let ms = |quantile| short.value_at_quantile(quantile) as f64 / 1e3;
        println!(
            "  {what:<24} n {:>6}  p50 {:>7.2}  p99 {:>7.2}  p99.9 {:>7.2} ms",
            short.len(),
            ms(0.5),
            ms(0.99),
            ms(0.999),
        );
        ms(0.99)
    };
    let without = run("without checkpoints", false, true);
    let with = run("with checkpoints", true, true);
    run("without long tasks", false, false);
    println!("  p99 with / without checkpoints: {:.3}", with / without);
}

/// Processor time for the same tasks, all of which wait from the start: with checkpoints, the short
/// ones run inside the long ones.
fn throughput(rounds: usize, tasks: u32) {
    let rounds_of_slice = 4_000;
    let begun = Instant::now();
    let slice = Slice::Computes(rounds_of_slice);
    let mut ratios = Vec::new();
    let mut inside = 0.0;
    for round in 0..rounds {
        let mut took = [0.0; 2];
        // The first one of a pair is not always the same.
        for checkpoints in [round % 2 == 0, round % 2 != 0] {
            let bench = Bench::new(1, slice, checkpoints);
            let begun = ProcessTime::now();
            let due = Instant::now();
            for number in 0..tasks {
                let slices = if number % RARE == 0 { LONG } else { SHORT };
                bench.send(slices, Duration::from_micros(10), due);
            }
            let short = bench.end();
            took[usize::from(checkpoints)] = begun.elapsed().as_secs_f64();
            if checkpoints {
                inside = short.value_at_quantile(0.5) as f64 / 1e3;
            }
        }
        ratios.push(took[1] / took[0]);
    }
    ratios.sort_by(f64::total_cmp);
    let slices = f64::from(tasks) * f64::from(SHORT * (RARE - 1) + LONG) / f64::from(RARE);
    println!(
        "processor time of {tasks} tasks, one worker, a checkpoint every {:.1} us (p50 {inside:.0} ms):",
        1e6 * begun.elapsed().as_secs_f64() / slices / (2 * rounds) as f64,
    );
    println!(
        "  with / without: median {:.4}, from {:.4} to {:.4}",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1],
    );
}
