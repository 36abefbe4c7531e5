//! `tell` allocates nothing, whatever the strategy.

use raddle_core::WorkerSpec;
use raddle_runtime::{Actor, Context, Handler, Overflow, Pool};
use raddle_strategies::StrategyName;

struct Sum(u64);

impl Actor for Sum {}

impl Handler<u64> for Sum {
    type Reply = u64;

    fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
        self.0 += number;
        self.0
    }
}

#[test]
fn tell_allocates_nothing_and_ask_allocates_one_slot() {
    for name in StrategyName::ALL {
        let pool = Pool::builder("quiet")
            .workers(4, WorkerSpec::general())
            .strategy(name.build())
            // Room for all: a sender that blocks registers with the channel, which allocates.
            .mailbox(1024, Overflow::Block)
            .spawn(|_| Sum(0))
            .unwrap();
        let mut handle = pool.local();
        // At first use, crossbeam and the thread allocate what they keep.
        (0..200).for_each(|number| handle.tell(number).unwrap());
        pool.ask(0).wait().unwrap();
        let by_handle = allocation_counter::measure(|| {
            (0..40).for_each(|number| handle.tell(number).unwrap());
        });
        let by_pool = allocation_counter::measure(|| {
            (0..40).for_each(|number| pool.tell(number).unwrap());
        });
        assert_eq!((by_handle.count_total, by_pool.count_total), (0, 0), "{name}");
        let asked = allocation_counter::measure(|| drop(pool.ask(0).into_admitted().unwrap()));
        assert_eq!(asked.count_total, 1, "{name}");
    }
}
