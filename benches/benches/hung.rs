//! How long after its limit a handler that hangs in an await is dropped, in each mode:
//! `cargo bench -p raddle-benches --bench hung`.

use std::future::pending;
use std::time::{Duration, Instant};

use raddle_core::WorkerSpec;
use raddle_runtime::{
    Actor, AskError, AsyncContext, AsyncHandler, Drain, Pool, PoolBuilder, SharedHandler,
    SpawnError, Watchdog,
};

struct Hangs;

impl Actor for Hangs {}

impl AsyncHandler<()> for Hangs {
    type Reply = ();

    async fn handle(&mut self, (): (), _: &mut AsyncContext<'_, Self>) {
        pending().await
    }
}

impl SharedHandler<()> for Hangs {
    type Reply = ();

    async fn handle(&self, (): (), _: &mut AsyncContext<'_, Self>) {
        pending().await
    }
}

type Spawn = fn(PoolBuilder<(), ()>) -> Result<Pool<(), ()>, SpawnError>;

fn main() {
    // Without `--bench` this is `cargo test`, which only checks that it runs.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (limit, times) = if is_bench { (500, 10) } else { (10, 2) };
    let limit = Duration::from_millis(limit);
    let modes: [(&str, Spawn); 2] = [
        ("exclusive", |pool| pool.spawn_async(|_| Hangs)),
        ("concurrent", |pool| pool.spawn_concurrent(2, |_| Hangs)),
    ];
    for (name, spawn) in modes {
        let pool = Pool::builder("hangs").workers(1, WorkerSpec::general());
        let pool = spawn(pool.watchdog(Watchdog::after(limit))).expect("a valid pool");
        let late = (0..times).map(|_| {
            let asked = Instant::now();
            let ended = pool.ask(()).wait();
            assert!(matches!(ended, Err(AskError::Hung)), "{ended:?}");
            asked.elapsed().saturating_sub(limit)
        });
        let worst = late.max().expect("some hang");
        let account = pool.shutdown(Drain::all()).expect("there is no limit");
        assert!(account.is_balanced() && account.counts.cancelled == times);
        println!("hung: {name}: dropped at most {worst:.1?} after its limit of {limit:?}");
    }
}
