use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;
use std::time::{Duration, Instant};

use futures_timer::Delay;

use super::board::Board;
use super::case::SERVICE;
use super::fault::Fault;
use crate::harness::{Duty, Task, tokio_runtime};

/// Serves a task by sleeping, so that a machine of two cores has as many workers as it likes.
#[derive(Debug)]
pub struct Sleeper {
    fault: Fault,
    board: &'static Board,
    oversleep: Oversleep,
    done: AtomicU64,
}

/// How much longer than asked a sleep takes in the mean, which is taken off what is asked for: a
/// task takes the same time in a thread and in an async handler.
#[derive(Clone, Copy, Debug)]
pub struct Oversleep {
    thread: Duration,
    handler: Duration,
}

impl Sleeper {
    /// A worker with this fault.
    pub fn new(fault: Fault, board: &'static Board, oversleep: Oversleep) -> Self {
        Self { fault, board, oversleep, done: AtomicU64::new(0) }
    }

    /// How long a task takes that begins now.
    fn service(&self) -> Duration {
        let begin = self.board.now();
        self.fault.end(begin, SERVICE) - begin
    }

    fn ended(&self, task: Task) {
        self.board.ended(task.0);
        // As with every duty, by one thread at a time.
        self.done.store(self.done.load(Acquire) + 1, Release);
    }
}

impl Duty for Sleeper {
    fn run(&self, task: Task) {
        thread::sleep(self.service().saturating_sub(self.oversleep.thread));
        self.ended(task);
    }

    async fn run_async(&self, task: Task) {
        // tokio's own timer goes by whole milliseconds, half a task.
        Delay::new(self.service().saturating_sub(self.oversleep.handler)).await;
        self.ended(task);
    }

    fn done(&self) -> u64 {
        self.done.load(Acquire)
    }
}

impl Oversleep {
    /// Found out by a number of sleeps.
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

/// Sleeps of which the mean is taken.
const TRIES: u32 = 50;
