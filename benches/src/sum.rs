//! A pool whose handler does nothing but an addition.

use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Handler, Overflow, Pool};
use raddle_strategies::StrategyName;

/// Adds the numbers that it receives.
#[derive(Debug, Default)]
pub struct Sum(u64);

impl Actor for Sum {}

impl Handler<u64> for Sum {
    type Reply = u64;

    fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
        self.0 = self.0.wrapping_add(number);
        self.0
    }
}

/// Creates a pool of generalists that add numbers, each with a mailbox for `mailbox` tasks.
pub fn sum_pool(workers: usize, strategy: StrategyName, mailbox: usize) -> Pool<u64, u64> {
    Pool::builder("bench")
        .workers(workers, WorkerSpec::general())
        .strategy(strategy.build())
        .mailbox(mailbox, Overflow::Block)
        .spawn(|_| Sum::default())
        .expect("the settings are valid")
}
