//! A pool with one worker that can be paused, so that tasks queue up.

use std::sync::{Arc, Barrier};

use raddle_core::WorkerSpec;
use raddle_runtime::{
    Actor, AsyncContext, AsyncHandler, Context, Drain, Handler, Overflow, Pool, PoolBuilder,
};
use raddle_strategies::RoundRobin;

use crate::marks::{TIMES, instructions_begin, instructions_end};

/// Messages from here on are commands, not numbers to add.
const COMMANDS: u64 = u64::MAX - 2;
const PAUSE: u64 = COMMANDS;
const BEGIN: u64 = COMMANDS + 1;
const END: u64 = COMMANDS + 2;

/// Adds numbers and obeys commands.
pub(crate) struct Sum {
    sum: u64,
    gate: Arc<Barrier>,
}

impl Actor for Sum {}

impl Handler<u64> for Sum {
    type Reply = u64;

    fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
        if number >= COMMANDS {
            self.obey(number);
            return 0;
        }
        self.sum = self.sum.wrapping_add(number);
        self.sum
    }
}

impl AsyncHandler<u64> for Sum {
    type Reply = u64;

    async fn handle(&mut self, number: u64, _: &mut AsyncContext<'_, Self>) -> u64 {
        if number >= COMMANDS {
            self.obey(number);
            return 0;
        }
        self.sum = self.sum.wrapping_add(number);
        self.sum
    }
}

impl Sum {
    #[cold]
    fn obey(&self, command: u64) {
        match command {
            PAUSE => {
                self.gate.wait();
                self.gate.wait();
            }
            BEGIN => instructions_begin(),
            _ => instructions_end(),
        }
    }
}

/// The pool, and the gate that its paused worker waits at.
pub(crate) struct PausablePool {
    pub(crate) pool: Pool<u64, u64>,
    gate: Arc<Barrier>,
}

impl PausablePool {
    /// Creates a pool with room for all tasks of a step, with plain handlers.
    pub(crate) fn new() -> Self {
        let (builder, gate) = Self::builder();
        let its = Arc::clone(&gate);
        let pool = builder.spawn(move |_| Sum { sum: 0, gate: Arc::clone(&its) });
        Self { pool: pool.expect("the settings are valid"), gate }
    }

    /// The same with async handlers, which are ready at once.
    pub(crate) fn new_async() -> Self {
        let (builder, gate) = Self::builder();
        let its = Arc::clone(&gate);
        let pool = builder.spawn_async(move |_| Sum { sum: 0, gate: Arc::clone(&its) });
        Self { pool: pool.expect("the settings are valid"), gate }
    }

    fn builder() -> (PoolBuilder<u64, u64>, Arc<Barrier>) {
        let builder = Pool::builder("counted")
            .workers(1, WorkerSpec::general())
            .strategy(RoundRobin::new())
            .mailbox(TIMES + 8, Overflow::Block);
        (builder, Arc::new(Barrier::new(2)))
    }

    /// Pauses the worker, and returns when it has run all tasks before.
    pub(crate) fn pause(&self) {
        self.command(PAUSE);
        self.gate.wait();
    }

    /// Makes the worker start counting before it runs the next task.
    pub(crate) fn begin(&self) {
        self.command(BEGIN);
    }

    /// Lets the worker run the queued tasks.
    pub(crate) fn resume(&self) {
        self.gate.wait();
    }

    /// Lets the worker run the queued tasks and then stop counting.
    pub(crate) fn count(&self, name: &str) {
        let end = self.pool.ask(END);
        self.resume();
        end.wait().expect("adding does not fail");
        println!("{name}");
    }

    fn command(&self, command: u64) {
        self.pool.tell(command).expect("there is room");
    }

    /// Shuts the pool down. All its tasks must have completed.
    pub(crate) fn close(self) {
        let account = self.pool.shutdown(Drain::all()).expect("there is no limit");
        assert_eq!(account.counts.completed, account.counts.admitted);
    }
}
