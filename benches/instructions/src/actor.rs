//! A pool of one worker that can be held, so that what it is given waits.

use std::sync::{Arc, Barrier};

use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Drain, Overflow, Pool};
use raddle_strategies::RoundRobin;

use crate::TIMES;
use crate::marks::{instructions_begin, instructions_end};

/// Numbers to add from here on are not.
const COMMANDS: u64 = u64::MAX - 2;
const HOLD: u64 = COMMANDS;
const BEGIN: u64 = COMMANDS + 1;
const END: u64 = COMMANDS + 2;

/// Adds what it is told, and does what it is commanded.
pub(crate) struct Sum {
    sum: u64,
    gate: Arc<Barrier>,
}

impl Actor for Sum {
    type Msg = u64;
    type Reply = u64;
    type Error = std::convert::Infallible;

    fn handle(&mut self, number: u64, _: &mut Context<'_>) -> Result<u64, Self::Error> {
        if number >= COMMANDS {
            self.obey(number);
            return Ok(0);
        }
        self.sum = self.sum.wrapping_add(number);
        Ok(self.sum)
    }
}

impl Sum {
    #[cold]
    fn obey(&self, command: u64) {
        match command {
            HOLD => {
                self.gate.wait();
                self.gate.wait();
            }
            BEGIN => instructions_begin(),
            _ => instructions_end(),
        }
    }
}

/// The pool, its worker and the gate that holds it.
pub(crate) struct Held {
    pub(crate) pool: Pool<Sum>,
    gate: Arc<Barrier>,
}

impl Held {
    /// A pool with room for everything a step gives.
    pub(crate) fn new() -> Self {
        let gate = Arc::new(Barrier::new(2));
        let of_actor = Arc::clone(&gate);
        let pool = Pool::builder("counted")
            .workers(1, WorkerSpec::general())
            .strategy(RoundRobin::new())
            .mailbox(TIMES + 8, Overflow::Block)
            .spawn(move |_| Sum { sum: 0, gate: Arc::clone(&of_actor) })
            .expect("the description has no mistakes");
        Self { pool, gate }
    }

    /// Returns when the worker has run everything before, and is in a handler.
    pub(crate) fn hold(&self) {
        self.command(HOLD);
        self.gate.wait();
    }

    /// Puts before what is given next that counting begins.
    pub(crate) fn begin(&self) {
        self.command(BEGIN);
    }

    /// Lets the worker run what waits.
    pub(crate) fn release(&self) {
        self.gate.wait();
    }

    /// Lets the worker run what waits, and end counting after it.
    pub(crate) fn count(&self, name: &str) {
        let end = self.pool.ask(END).expect("there is room");
        self.release();
        end.wait().expect("adding does not fail");
        println!("{name}");
    }

    fn command(&self, command: u64) {
        self.pool.tell(command).expect("there is room");
    }

    /// Ends the pool, all of whose tasks must have completed.
    pub(crate) fn close(self) {
        let account = self.pool.shutdown(Drain::all()).expect("there is no limit");
        assert_eq!(account.counts.completed, account.counts.admitted);
    }
}
