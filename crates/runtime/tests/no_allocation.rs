//! `tell` allocates nothing, by any strategy.

use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Overflow, Pool};
use raddle_strategies::StrategyName;

struct Sum(u64);

impl Actor for Sum {
    type Msg = u64;
    type Reply = u64;
    type Error = std::convert::Infallible;
    fn handle(&mut self, number: u64, _: &mut Context<'_>) -> Result<u64, Self::Error> {
        self.0 += number;
        Ok(self.0)
    }
}

#[test]
fn tell_allocates_nothing() {
    for name in StrategyName::ALL {
        let pool = Pool::builder("quiet")
            .workers(4, WorkerSpec::general())
            .strategy(name.build())
            // Room for all: a sender that blocks registers itself with the channel, which allocates.
            .mailbox(1024, Overflow::Block)
            .spawn(|_| Sum(0))
            .unwrap();
        let mut handle = pool.local();
        // The first of each lets crossbeam and the thread make what they keep.
        (0..200).for_each(|number| handle.tell(number).unwrap());
        pool.ask(0).unwrap().wait().unwrap();
        let by_handle = allocation_counter::measure(|| {
            (0..40).for_each(|number| handle.tell(number).unwrap());
        });
        let by_pool = allocation_counter::measure(|| {
            (0..40).for_each(|number| pool.tell(number).unwrap());
        });
        assert_eq!((by_handle.count_total, by_pool.count_total), (0, 0), "{name}");
        let asked = allocation_counter::measure(|| drop(pool.ask(0).unwrap()));
        assert_eq!(asked.count_total, 1, "an ask has one slot: {name}");
    }
}
