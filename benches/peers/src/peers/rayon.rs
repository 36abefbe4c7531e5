//! rayon: a pool with one thread per worker.

use ::rayon::{ThreadPool, ThreadPoolBuilder};

use crate::figures::Figures;
use crate::harness::{Driver, Duty, Throughput};

fn pool(workers: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(workers).build().expect("the system can start threads")
}

/// Tasks spawned in a scope by one of the pool's threads; the scope ends with the last task.
pub fn scope(throughput: Throughput) -> Figures {
    let pool = pool(throughput.workers());
    let (plan, crew) = (throughput.plan(), throughput.crew());
    throughput.measure(|count| {
        pool.scope(|scope| {
            for task in plan.tasks(count) {
                scope.spawn(move |_| crew.here().run(task));
            }
        });
    })
}

/// Tasks spawned from outside the pool.
pub fn spawn<R: Driver>(driver: R) -> R::Outcome {
    let pool = pool(driver.workers());
    let crew = driver.crew();
    driver.by_threads(|| |task| pool.spawn(move || crew.here().run(task)))
}
