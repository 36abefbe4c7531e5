//! The worst gap in a heartbeat of 1 ms while 64 asks wait for a mailbox of 4, in tasks of 300 ms, on one
//! executor: `cargo bench -p raddle-benches --bench heartbeat`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Drain, Handler, Overflow, Pool};
use tokio::runtime::{Builder, Runtime};

const ASKS: usize = 64;
const MAILBOX: usize = 4;

struct Sleeps;

impl Actor for Sleeps {}

impl Handler<Duration> for Sleeps {
    type Reply = ();
    fn handle(&mut self, time: Duration, _: &mut Context<'_, Self>) {
        thread::sleep(time);
    }
}

/// Beats until it is stopped; returns the longest time between two beats.
async fn heartbeat(stop: Arc<AtomicBool>) -> Duration {
    let mut worst = Duration::ZERO;
    let mut last = Instant::now();
    while !stop.load(Relaxed) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        worst = worst.max(last.elapsed());
        last = Instant::now();
    }
    worst
}

async fn worst_gap(task: Duration) -> Duration {
    let pool = Pool::builder("sleeps").workers(1, WorkerSpec::general());
    let pool = pool.mailbox(MAILBOX, Overflow::Block).spawn(|_| Sleeps).expect("a valid pool");
    let stop = Arc::<AtomicBool>::default();
    let beats = tokio::spawn(heartbeat(Arc::clone(&stop)));
    let asks: Vec<_> = (0..ASKS)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.ask(task).await })
        })
        .collect();
    for ask in asks {
        ask.await.expect("it does not panic").expect("the pool is open");
    }
    stop.store(true, Relaxed);
    pool.shutdown_async(Drain::all()).await.expect("there is no limit");
    beats.await.expect("it does not panic")
}

fn main() {
    // Without `--bench` this is `cargo test`, which only checks that it runs.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let task = Duration::from_millis(if is_bench { 300 } else { 1 });
    let runtimes: [(&str, Runtime); 2] = [
        ("two threads", Builder::new_multi_thread().worker_threads(2).enable_time().build()),
        ("current thread", Builder::new_current_thread().enable_time().build()),
    ]
    .map(|(name, runtime)| (name, runtime.expect("threads")));
    for (name, runtime) in runtimes {
        let (begin, worst) = (Instant::now(), runtime.block_on(worst_gap(task)));
        let took = begin.elapsed().as_secs_f64();
        println!("heartbeat: {name}: worst gap {worst:.1?} in {took:.1} s");
    }
}
