use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;
use std::time::{Duration, Instant};

use futures_timer::Delay;

use super::board::Board;
use super::case::SERVICE;
use super::fault::Fault;
use crate::harness::{Duty, Task, tokio_runtime};

/// Serves a task by sleeping, so that a machine with two cores can have any number of workers.
#[derive(Debug)]
pub struct Sleeper {
    fault: Fault,
    board: &'static Board,
    oversleep: Oversleep,
    done: AtomicU64,
}

/// By how much sleeps are too long on average. It is subtracted, so that a task takes the same time
/// in a thread and in an async handler.
#[derive(Clone, Copy, Debug)]
pub struct Oversleep {
    thread: Duration,
    handler: Duration,
}

impl Sleeper {
    /// Creates a worker with this fault.
    pub fn new(fault: Fault, board: &'static Board, oversleep: Oversleep) -> Self {
        Self { fault, board, oversleep, done: AtomicU64::new(0) }
    }

    /// The service time of a task that begins now.
    fn service(&self) -> Duration {
        let begin = self.board.now();
        self.fault.end(begin, SERVICE) - begin
    }

    fn ended(&self, task: Task) {
        self.board.ended(task.0);
        // Only one thread at a time runs a duty. The store pairs with the load in `done`.
        self.done.store(self.done.load(Acquire) + 1, Release);
    }
}

impl Duty for Sleeper {
    fn run(&self, task: Task) {
        thread::sleep(self.service().saturating_sub(self.oversleep.thread));
        self.ended(task);
    }

    async fn run_async(&self, task: Task) {
        // tokio's own timer has a resolution of one millisecond, half a task.
        Delay::new(self.service().saturating_sub(self.oversleep.handler)).await;
        self.ended(task);
    }

    fn done(&self) -> u64 {
        self.done.load(Acquire)
    }
}

impl Oversleep {
    /// Measures a number of sleeps.
    pub fn measure() -> Self {
        let handler = tokio_runtime().block_on(async {
            let timed = async {
                let mut over = Duration::ZERO;
                for _ in 0..TRIES {
                    let begin = Instant::now();
                    Delay::new(SERVICE).await;
                    over += begin.elapsed().saturating_sub(SERVICE);
                }
                over / TRIES
            };
            tokio::spawn(timed).await.expect("sleeping does not panic")
        });
        let begin = Instant::now();
        (0..TRIES).for_each(|_| thread::sleep(SERVICE));
        let thread = (begin.elapsed() / TRIES).saturating_sub(SERVICE);
        Self { thread, handler }
    }
}

/// The number of sleeps to measure.
const TRIES: u32 = 50;
