//! The worker of a comparison: it does nothing, for as long as it is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use raddle::prelude::*;
use thiserror::Error;

use super::ledger::Ledger;
use crate::args::Service;
use crate::stop::Stop;

/// One task.
#[derive(Debug)]
pub struct Job {
    /// Its number in the workload.
    pub task: usize,
    /// When it should have begun had a worker been free: its latency counts from here.
    pub due: Instant,
    /// How long a worker of speed 1 is busy with it.
    pub service: Duration,
}

/// The run was stopped before the task was done.
#[derive(Debug, Error)]
#[error("the run was stopped")]
pub struct CutShort;

/// Serves jobs by letting their time pass.
#[derive(Debug)]
pub struct Servant {
    /// Its number in the ledger.
    pub number: usize,
    /// What service times are divided by.
    pub speed: f64,
    /// How the time passes.
    pub service: Service,
    /// Where it writes what it did.
    pub ledger: Arc<Ledger>,
    /// Tells it to stop.
    pub stop: Stop,
}

impl Actor for Servant {
    type Msg = Job;
    type Reply = ();
    type Error = CutShort;

    fn handle(&mut self, job: Job, _: &mut Context<'_>) -> Result<(), CutShort> {
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
        self.ledger.complete(self.number, job.task, job.due, begin, Instant::now());
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
