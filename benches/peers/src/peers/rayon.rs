//! rayon: a pool of as many threads as there are workers.

use ::rayon::{ThreadPool, ThreadPoolBuilder};

use crate::figures::Figures;
use crate::harness::{Driver, Duty, Throughput};

fn pool(workers: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(workers).build().expect("the system has threads to give")
}

/// Tasks spawned in a scope, which one of the pool's threads gives and which ends with the last.
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

/// Tasks spawned from outside.
pub fn spawn<R: Driver>(driver: R) -> R::Outcome {
    let pool = pool(driver.workers());
    let crew = driver.crew();
    driver.by_threads(|| |task| pool.spawn(move || crew.here().run(task)))
}
