//! The tasks of a run, ready to submit.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use raddle::{Capability, Pool, TaskBuilder};

use super::actor::{Job, Served};
use super::ledger::Ledger;
use crate::stop::Stop;
use crate::workload::{Request, Workload};

/// The run of one strategy.
pub struct Course<'p> {
    /// The tasks.
    pub workload: &'p Workload,
    /// The seed of random choices.
    pub seed: u64,
    /// Where workers record completions.
    pub ledger: Arc<Ledger>,
    /// Interrupts the run.
    pub stop: Stop,
    /// The workload's capabilities, by their number in it.
    pub capabilities: Vec<Capability>,
}

/// The tasks submitted to the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submitted {
    /// All of them.
    pub tasks: u64,
    /// Those that the pool refused.
    pub rejected: u64,
    /// Open loop: by how many nanoseconds each was submitted late.
    pub lags: Vec<u64>,
}

impl Course<'_> {
    /// Returns the task of this number, which arrives at `due`, ready for `pool`.
    pub fn task<'a>(
        &self,
        pool: &'a Pool<Job, Served>,
        task: usize,
        due: Instant,
    ) -> TaskBuilder<'a, Job, Served> {
        let Request { service, capability, .. } = self.workload.requests[task];
        let job = pool.task(Job { task, due, service });
        match capability {
            Some(number) => job.capability(self.capabilities[usize::from(number)]),
            None => job,
        }
    }
}

/// Joins a thread and passes its panic on.
pub fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
