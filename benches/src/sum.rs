//! A pool whose handler does nothing but an addition.

use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Overflow, Pool};
use raddle_strategies::StrategyName;

/// Adds the numbers that it receives.
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

/// Creates a pool of generalists that add numbers, each with a mailbox for `mailbox` tasks.
pub fn sum_pool(workers: usize, strategy: StrategyName, mailbox: usize) -> Pool<Sum> {
    Pool::builder("bench")
        .workers(workers, WorkerSpec::general())
        .strategy(strategy.build())
        .mailbox(mailbox, Overflow::Block)
        .spawn(|_| Sum::default())
        .expect("the settings are valid")
}
