//! What a task costs its worker whose handler is an `async fn` that is ready at once, beside a plain one.
//!
//! The two take turns, because the machine's speed changes more within a run than they differ: the
//! median of the differences is what counts.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::Instant;

use raddle_core::WorkerSpec;
use raddle_runtime::{
    Actor, AsyncContext, AsyncHandler, Context, Drain, Handler, Overflow, Pool, PoolBuilder,
};

/// Tasks of one turn: they fill the mailbox before the worker may run them, without its callers.
const TASKS: usize = 1 << 14;
const TURNS: usize = 101;

/// A number to add, or one of these.
const HOLD: u64 = u64::MAX;
const ELAPSED: u64 = u64::MAX - 1;

struct Sum {
    sum: u64,
    gate: Arc<Barrier>,
    begun: Instant,
}

impl Actor for Sum {}

impl Sum {
    #[inline(always)]
    fn add(&mut self, number: u64) -> u64 {
        if number < ELAPSED {
            self.sum = self.sum.wrapping_add(black_box(number));
            return self.sum;
        }
        self.mark(number)
    }

    /// Waits for the turn's tasks, or returns the nanoseconds that they took.
    #[cold]
    fn mark(&mut self, number: u64) -> u64 {
        if number == HOLD {
            self.gate.wait();
            self.gate.wait();
            self.begun = Instant::now();
        }
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Handler<u64> for Sum {
    type Reply = u64;

    fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
        self.add(number)
    }
}

impl AsyncHandler<u64> for Sum {
    type Reply = u64;

    async fn handle(&mut self, number: u64, _: &mut AsyncContext<'_, Self>) -> u64 {
        self.add(number)
    }
}

/// A pool of one worker, and what holds it.
struct Held {
    pool: Pool<u64, u64>,
    gate: Arc<Barrier>,
}

impl Held {
    fn new(spawn: impl Fn(PoolBuilder<u64, u64>, Arc<Barrier>) -> Pool<u64, u64>) -> Self {
        let gate = Arc::new(Barrier::new(2));
        let builder = Pool::builder("sum").workers(1, WorkerSpec::general());
        let builder = builder.mailbox(2 * TASKS, Overflow::Reject);
        Self { pool: spawn(builder, Arc::clone(&gate)), gate }
    }

    /// Returns the nanoseconds that a task takes the worker.
    fn turn(&self) -> f64 {
        let Self { pool, gate } = self;
        pool.tell(HOLD).expect("there is room");
        gate.wait();
        let mut local = pool.local();
        (0..TASKS).for_each(|number| local.tell(number as u64).expect("there is room"));
        let elapsed = local.ask(ELAPSED);
        gate.wait();
        elapsed.wait().expect("the pool is open") as f64 / TASKS as f64
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let make = |gate: Arc<Barrier>| {
        move |_: &_| Sum { sum: 0, gate: Arc::clone(&gate), begun: Instant::now() }
    };
    let plain =
        Held::new(|builder, gate| builder.spawn(make(gate)).expect("the settings are valid"));
    let asynchronous =
        Held::new(|builder, gate| builder.spawn_async(make(gate)).expect("the settings are valid"));
    let turns = if std::env::args().any(|argument| argument == "--test") { 3 } else { TURNS };
    let figures: Vec<_> = (0..turns).map(|_| (plain.turn(), asynchronous.turn())).collect();
    let of = |figure: fn(&(f64, f64)) -> f64| median(figures.iter().map(figure).collect());
    println!("a ready task, on its worker, medians of {turns} turns of {TASKS} tasks");
    println!("plain  {:>7.1} ns", of(|it| it.0));
    println!("async  {:>7.1} ns", of(|it| it.1));
    println!("more   {:>7.1} ns", of(|it| it.1 - it.0));
    for held in [plain, asynchronous] {
        assert!(held.pool.shutdown(Drain::all()).expect("there is no limit").is_balanced());
    }
}
