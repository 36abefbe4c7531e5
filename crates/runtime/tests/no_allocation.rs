//! `tell` allocates nothing, whatever the strategy, and a worker nothing per task, in any mode.

use std::future::poll_fn;
use std::sync::mpsc::channel;
use std::task::Poll;

use raddle_core::WorkerSpec;
use raddle_runtime::{
    Actor, AsyncContext, AsyncHandler, Context, Drain, Handler, Overflow, Pool, PoolBuilder,
    ReadWrite, SharedHandler, SpawnError,
};
use raddle_strategies::StrategyName;

/// A number that is read if it is even.
struct Number(u64);

impl ReadWrite for Number {
    fn is_read(&self) -> bool {
        self.0.is_multiple_of(2)
    }
}

struct Sum(u64);

impl Actor for Sum {}

impl Handler<Number> for Sum {
    type Reply = u64;

    fn handle(&mut self, Number(number): Number, _: &mut Context<'_, Self>) -> u64 {
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
        (0..200).for_each(|number| handle.tell(Number(number)).unwrap());
        pool.ask(Number(0)).wait().unwrap();
        let by_handle = allocation_counter::measure(|| {
            (0..40).for_each(|number| handle.tell(Number(number)).unwrap());
        });
        let by_pool = allocation_counter::measure(|| {
            (0..40).for_each(|number| pool.tell(Number(number)).unwrap());
        });
        assert_eq!((by_handle.count_total, by_pool.count_total), (0, 0), "{name}");
        let asked =
            allocation_counter::measure(|| drop(pool.ask(Number(0)).into_admitted().unwrap()));
        assert_eq!(asked.count_total, 1, "{name}");
    }
}

impl Sum {
    /// Waits once, with a large future.
    async fn wait(number: u64) -> u64 {
        let large = [number; 512];
        let mut polled = false;
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        large[511]
    }
}

impl AsyncHandler<Number> for Sum {
    type Reply = u64;

    async fn handle(&mut self, Number(number): Number, _: &mut AsyncContext<'_, Self>) -> u64 {
        self.0 += Self::wait(number).await;
        self.0
    }
}

impl SharedHandler<Number> for Sum {
    type Reply = u64;

    async fn handle(&self, Number(number): Number, _: &mut AsyncContext<'_, Self>) -> u64 {
        Self::wait(number).await
    }
}

type Spawn = fn(PoolBuilder<Number, u64>) -> Result<Pool<Number, u64>, SpawnError>;

/// The allocations of a worker's thread, from its start to its end, that has run this many tasks.
fn allocations(tasks: u64, spawn: Spawn) -> u64 {
    let (counts, counted) = channel();
    let builder = Pool::builder("quiet").workers(1, WorkerSpec::general());
    let pool = spawn(builder.enter(move |run: &mut dyn FnMut()| {
        counts.send(allocation_counter::measure(run).count_total).unwrap();
    }))
    .unwrap();
    (0..tasks).for_each(|number| pool.tell(Number(number)).unwrap());
    assert_eq!(pool.shutdown(Drain::all()).unwrap().counts.completed, tasks);
    counted.recv().unwrap()
}

#[test]
fn a_worker_allocates_nothing_per_task() {
    let modes: [Spawn; 4] = [
        |it| it.spawn(|_| Sum(0)),
        |it| it.spawn_async(|_| Sum(0)),
        |it| it.spawn_concurrent(8, |_| Sum(0)),
        |it| it.spawn_read_write(8, |_| Sum(0)),
    ];
    for spawn in modes {
        let [few, many] = [10, 10_000].map(|tasks| allocations(tasks, spawn));
        // At its first waits, the thread allocates what it keeps.
        assert!(many < few + 20, "{few} for 10 tasks, {many} for 10,000");
    }
}
