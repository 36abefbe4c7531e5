//! A pool whose tasks are empty but for an addition.

use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Overflow, Pool};
use raddle_strategies::StrategyName;

/// Adds what it is told.
#[derive(Debug, Default)]
pub struct Sum(u64);

impl Actor for Sum {
    type Msg = u64;
    type Reply = u64;
    type Error = std::convert::Infallible;

    fn handle(&mut self, number: u64, _: &mut Context<'_>) -> Result<u64, Self::Error> {
        self.0 = self.0.wrapping_add(number);
        Ok(self.0)
    }
}

/// A pool of generalists that add, with room for so many tasks each.
pub fn sum_pool(workers: usize, strategy: StrategyName, mailbox: usize) -> Pool<Sum> {
    Pool::builder("bench")
        .workers(workers, WorkerSpec::general())
        .strategy(strategy.build())
        .mailbox(mailbox, Overflow::Block)
        .spawn(|_| Sum::default())
        .expect("the description has no mistakes")
}
