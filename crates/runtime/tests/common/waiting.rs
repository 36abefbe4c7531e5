//! An actor with an async handler that does as its message says.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, ThreadId};
use std::time::Duration;

use raddle_core::{VirtualTime, Worker};
use raddle_runtime::{
    Actor, Ask, AskError, AsyncContext, AsyncHandler, Pool, PoolBuilder, SharedHandler, TaskBuilder,
};

use super::signal::Signal;
use super::{At, Said};

/// What a handler does.
#[derive(Clone)]
pub struct Order(Arc<Work>);

type Work = dyn for<'a> Fn(
        &'a mut AsyncContext<'_, Waiting>,
    ) -> Pin<Box<dyn Future<Output = Result<(), &'static str>> + 'a>>
    + Send
    + Sync;

/// Does as ordered, and says the number of its calls so far and the worker's name.
#[derive(Default)]
pub struct Waiting {
    calls: Cell<u64>,
    /// Makes the actor not `Send`.
    here: Rc<Cell<u64>>,
}

pub type Answer = Result<Said, &'static str>;
pub type WaitingPool = Pool<Order, Answer>;

impl Actor for Waiting {}

impl Waiting {
    async fn run(&self, Order(work): Order, cx: &mut AsyncContext<'_, Self>) -> Answer {
        self.calls.set(self.calls.get() + 1);
        let number = self.calls.get();
        // Held across the await, so that the future is not `Send`.
        let here = Rc::clone(&self.here);
        work(cx).await?;
        here.set(here.get() + 1);
        Ok(Said { number, by: cx.worker().name().to_owned() })
    }
}

impl AsyncHandler<Order> for Waiting {
    type Reply = Answer;

    async fn handle(&mut self, order: Order, cx: &mut AsyncContext<'_, Self>) -> Answer {
        self.run(order, cx).await
    }
}

impl SharedHandler<Order> for Waiting {
    type Reply = Answer;

    async fn handle(&self, order: Order, cx: &mut AsyncContext<'_, Self>) -> Answer {
        self.run(order, cx).await
    }
}

pub fn order(
    work: impl for<'a> Fn(
        &'a mut AsyncContext<'_, Waiting>,
    ) -> Pin<Box<dyn Future<Output = Result<(), &'static str>> + 'a>>
    + Send
    + Sync
    + 'static,
) -> Order {
    Order(Arc::new(work))
}

/// Does nothing.
pub fn nothing() -> Order {
    order(|_| Box::pin(async { Ok(()) }))
}

/// Waits for the signal.
pub fn wait_for(signal: &Signal) -> Order {
    let signal = signal.clone();
    order(move |_| {
        let signal = signal.clone();
        Box::pin(async move {
            signal.wait().await;
            Ok(())
        })
    })
}

/// Holds a value while it waits for a signal.
pub fn hold<T: Send + Sync + 'static>(
    signal: &Signal,
    value: impl Fn() -> T + Send + Sync + 'static,
) -> Order {
    let signal = signal.clone();
    order(move |_| {
        let (signal, value) = (signal.clone(), value());
        Box::pin(async move {
            signal.wait().await;
            drop(value);
            Ok(())
        })
    })
}

/// Calls a function with the context.
pub fn call(function: impl Fn(&mut AsyncContext<'_, Waiting>) + Send + Sync + 'static) -> Order {
    order(move |cx| {
        function(cx);
        Box::pin(async { Ok(()) })
    })
}

/// Workers in rotation, `w-0` and so on, without stealing.
pub fn builder(workers: usize) -> PoolBuilder<Order, Answer> {
    super::builder(workers)
}

/// Makes actors, and tells on which thread each was made.
pub fn made_on() -> (impl Fn(&Worker) -> Waiting + Send + Sync + 'static, Receiver<ThreadId>) {
    let (threads, its_threads) = channel();
    let make = move |_: &Worker| {
        threads.send(thread::current().id()).unwrap();
        Waiting::default()
    };
    (make, its_threads)
}

/// Spawns the pool that a builder describes.
pub fn spawn(builder: PoolBuilder<Order, Answer>) -> WaitingPool {
    builder.spawn_async(|_| Waiting::default()).unwrap()
}

/// Spawns the pool that a builder describes, with handlers that run side by side.
pub fn spawn_concurrent(concurrency: usize, builder: PoolBuilder<Order, Answer>) -> WaitingPool {
    builder.spawn_concurrent(concurrency, |_| Waiting::default()).unwrap()
}

/// A task for the worker at this index.
pub fn at<'p>(
    pool: &'p WaitingPool,
    index: &'p At,
    order: Order,
) -> TaskBuilder<'p, Order, Answer> {
    pool.task(order).strategy(index)
}

/// Waits for the number of calls.
pub fn number(ask: Ask<Order, Answer>) -> u64 {
    ask.wait().unwrap().unwrap().number
}

/// Waits for the name of the worker.
pub fn by(ask: Ask<Order, Answer>) -> String {
    ask.wait().unwrap().unwrap().by
}

/// Asserts that a handler which waits is dropped at the await limit. The clock moves until it is: it may
/// be read only after the handler has begun to wait.
pub fn assert_hangs(mut ask: Ask<Order, Answer>, time: &VirtualTime, limit: Duration) {
    loop {
        time.advance(2 * limit);
        match ask.wait_timeout(2 * limit) {
            Err(AskError::TimedOut) => {}
            ended => return assert!(matches!(ended, Err(AskError::Hung))),
        }
    }
}
