use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use tokio::runtime::Runtime;

use super::board::Board;
use super::case::{Case, WORKERS};
use super::sleeper::{Oversleep, Sleeper};
use crate::harness::{Crew, Driver, Inlet, Task};
use crate::process;

/// Sends tasks when they are due, from a plain thread.
pub struct OpenLoop {
    board: &'static Board,
    crew: Crew<Sleeper>,
}

/// How long to wait for tasks after the last was due.
const DRAIN: Duration = Duration::from_secs(1);

impl OpenLoop {
    /// Creates a driver for these arrivals, and for workers with the fault of this case.
    pub fn new(case: Case, due: Vec<Duration>) -> Self {
        let board: &'static Board = Box::leak(Box::new(Board::new(due)));
        let oversleep = Oversleep::measure();
        let sleepers = (0..WORKERS).map(|at| Sleeper::new(case.fault(at), board, oversleep));
        Self { board, crew: Crew::new(sleepers.collect()) }
    }

    /// Sends all tasks, waits, prints the sample and exits: an overloaded pool would take long to
    /// shut down.
    fn drive(self, mut send: impl FnMut(Task)) {
        for (task, due) in (0..).zip(self.board.due()) {
            thread::sleep(due.saturating_sub(self.board.now()));
            send(Task(task));
        }
        let sent = Instant::now();
        let all = self.board.due().len() as u64;
        while self.crew.done() < all && sent.elapsed() < DRAIN {
            thread::sleep(Duration::from_millis(1));
        }
        process::answer(&self.board.sample());
        std::process::exit(0)
    }
}

impl Driver for OpenLoop {
    type Duty = Sleeper;
    type Outcome = ();

    fn workers(&self) -> usize {
        WORKERS
    }

    fn crew(&self) -> Crew<Sleeper> {
        self.crew
    }

    fn by_threads<I: FnMut(Task) + Send>(self, mut inlet: impl FnMut() -> I) {
        self.drive(inlet())
    }

    fn by_tasks<I: Inlet>(self, _: &Runtime, mut inlet: impl FnMut() -> I) {
        let mut inlet = inlet();
        self.drive(|task| block_on(inlet.send(task)))
    }
}
