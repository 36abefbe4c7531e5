use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::crew::{Crew, Spinner};
use super::task::{Plan, Task};
use super::{Driver, Inlet};
use crate::figures::{Figures, RATE};

/// Measures tasks per second, from sending the first to the end of the last.
pub struct Throughput {
    workers: usize,
    producers: u64,
    plan: &'static Plan,
    seconds: f64,
    crew: Crew<Spinner>,
}

/// The maximum number of tasks between two waits for all to be done.
const ROUND: u64 = 1_000_000;
/// How many tasks contenders that send in batches send at once.
pub const BATCH: usize = 16;
/// The first tasks, which are not measured.
const WARM_UP: u64 = 2_000;
/// The minimum duration of the tasks that determine the size of a batch.
const PROBE: Duration = Duration::from_millis(30);
/// The interval between checks whether all tasks are done.
const CHECK: Duration = Duration::from_micros(50);

impl Throughput {
    /// Creates a measurement of about `seconds`.
    pub fn new(workers: usize, producers: u64, plan: Plan, seconds: f64) -> Self {
        // Spare duties, for contenders that choose their own number of threads.
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let duties = (0..workers.max(threads) + 8).map(|_| Spinner::default()).collect();
        Self {
            workers,
            producers,
            plan: Box::leak(Box::new(plan)),
            seconds,
            crew: Crew::new(duties),
        }
    }

    /// Returns the tasks.
    pub fn plan(&self) -> &'static Plan {
        self.plan
    }

    /// Measures batches, each of which `feed` sends, given the number of its tasks.
    pub fn measure(&self, mut feed: impl FnMut(u64)) -> Figures {
        let mut batch = |count| {
            let target = self.crew.done() + count;
            let begin = Instant::now();
            feed(count);
            while self.crew.done() < target {
                thread::sleep(CHECK);
            }
            begin.elapsed()
        };
        batch(self.share(WARM_UP));
        let mut probe = self.share(WARM_UP);
        let mut took = batch(probe);
        while took < PROBE && probe < ROUND {
            probe *= 2;
            took = batch(probe);
        }
        let quarter = (probe as f64 / took.as_secs_f64() * self.seconds / 2.0) as u64;
        let count = self.share(quarter.clamp(100, ROUND));
        let (mut done, mut spent) = (0, Duration::ZERO);
        while spent.as_secs_f64() < self.seconds {
            spent += batch(count);
            done += count;
        }
        Figures::one(RATE, done as f64 / spent.as_secs_f64())
    }

    /// Rounds up to whole batches of each producer.
    fn share(&self, count: u64) -> u64 {
        count.next_multiple_of(self.producers * BATCH as u64)
    }
}

impl Driver for Throughput {
    type Duty = Spinner;
    type Outcome = Figures;

    fn workers(&self) -> usize {
        self.workers
    }

    fn crew(&self) -> Crew<Spinner> {
        self.crew
    }

    fn by_threads<I: FnMut(Task) + Send>(self, mut inlet: impl FnMut() -> I) -> Figures {
        let mut inlets: Vec<I> = (0..self.producers).map(|_| inlet()).collect();
        let plan = self.plan;
        self.measure(|count| match inlets.as_mut_slice() {
            [inlet] => plan.tasks(count).for_each(inlet),
            inlets => {
                let each = count / inlets.len() as u64;
                thread::scope(|scope| {
                    for inlet in inlets {
                        scope.spawn(move || plan.tasks(each).for_each(inlet));
                    }
                });
            }
        })
    }

    fn by_tasks<I: Inlet>(self, runtime: &Runtime, mut inlet: impl FnMut() -> I) -> Figures {
        let plan = self.plan;
        let each = |count| count / self.producers;
        let mut inlets: Vec<I> = (0..self.producers).map(|_| inlet()).collect();
        self.measure(|count| {
            let feeding: Vec<_> = inlets
                .drain(..)
                .map(|mut inlet| {
                    let count = each(count);
                    runtime.spawn(async move {
                        for task in plan.tasks(count) {
                            inlet.send(task).await;
                        }
                        inlet
                    })
                })
                .collect();
            inlets = feeding
                .into_iter()
                .map(|fed| runtime.block_on(fed).expect("sending does not panic"))
                .collect();
        })
    }
}
