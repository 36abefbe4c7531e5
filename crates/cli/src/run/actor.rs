//! The worker of a comparison, which sleeps or spins for the service time of each task.

use std::sync::Arc;
use std::time::{Duration, Instant};

use raddle::{Actor, Context, Handler};
use thiserror::Error;

use super::ledger::{self, Ledger};
use crate::args::Service;
use crate::stop::Stop;

/// A task.
#[derive(Debug)]
pub struct Job {
    /// Its number in the workload.
    pub task: usize,
    /// When it arrived: its latency counts from here.
    pub due: Instant,
    /// How long a worker of speed 1 takes.
    pub service: Duration,
}

/// The run was stopped before the task was done.
#[derive(Debug, Error)]
#[error("the run was stopped")]
pub struct CutShort;

/// The reply to a job.
pub type Served = Result<(), CutShort>;

/// Serves jobs by letting their service time pass.
#[derive(Debug)]
pub struct Servant {
    /// Its number in the ledger.
    pub number: usize,
    /// The divisor of service times.
    pub speed: f64,
    /// Whether it sleeps or spins.
    pub service: Service,
    /// Where it records completions.
    pub ledger: Arc<Ledger>,
    /// Interrupts it.
    pub stop: Stop,
}

impl Actor for Servant {}

impl Handler<Job> for Servant {
    type Reply = Served;

    fn handle(&mut self, job: Job, _: &mut Context<'_, Self>) -> Served {
        let begin = Instant::now();
        let until = begin + job.service.div_f64(self.speed);
        let whole = match self.service {
            Service::Sleep => self.stop.sleep_until(until),
            Service::Spin => self.spin_until(until),
        };
        if !whole {
            self.ledger.cut_short(self.number);
            return Err(CutShort);
        }
        let served = ledger::Served { due: job.due, begin, until, end: Instant::now() };
        self.ledger.complete(self.number, job.task, served);
        Ok(())
    }
}

impl Servant {
    fn spin_until(&self, until: Instant) -> bool {
        loop {
            if self.stop.is_set() {
                return false;
            }
            if Instant::now() >= until {
                return true;
            }
            std::hint::spin_loop();
        }
    }
}
