//! A pool on a virtual clock: every worker serves one task at a time, in the order of selection.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use raddle_core::{Clock, Outcome, Roster, TaskProfile, VirtualTime, WorkerId, WorkerSpec, nanos};
use raddle_strategies::Balancer;

use crate::assert_settled;

/// When tasks arrive.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// This many callers, each of which submits its next task as soon as its last one has ended.
    Callers(usize),
    /// One task per interval, whatever is still in flight.
    Every(Duration),
}

pub struct Pool {
    pub roster: Roster,
    time: VirtualTime,
    now: u64,
}

/// The end of a task, ordered by its time.
type End = Reverse<(u64, usize, WorkerId, u64, bool)>;

impl Pool {
    pub fn new(workers: usize) -> Self {
        let (clock, time) = Clock::simulated();
        let roster =
            Roster::builder().workers(workers, WorkerSpec::general()).clock(clock).build().unwrap();
        Self { roster, time, now: 1 }
    }

    /// Adds a worker without statistics at the last position.
    pub fn add(&mut self, name: &str) {
        self.roster = self.roster.with_workers(&[WorkerSpec::new(name)]).unwrap();
    }

    /// Submits `count` tasks to the workers that `balancer` selects, and waits for their ends. `serve`
    /// returns, by position, a task's outcome and duration. Returns the positions.
    pub fn run(
        &mut self,
        balancer: &Balancer,
        load: Load,
        tasks: usize,
        mut serve: impl FnMut(usize) -> (Outcome, Duration),
    ) -> Vec<usize> {
        let mut ends: BinaryHeap<End> = BinaryHeap::new();
        let mut free_at = vec![self.now; self.roster.members().len()];
        let mut selected = Vec::with_capacity(tasks);
        let mut next_arrival = self.now;
        while selected.len() < tasks || !ends.is_empty() {
            let arrival = match load {
                _ if selected.len() == tasks => None,
                Load::Callers(callers) => (ends.len() < callers).then_some(self.now),
                Load::Every(_) => Some(next_arrival),
            };
            let next_end = ends.peek().map(|Reverse((at, ..))| *at);
            match (arrival, next_end) {
                (Some(at), end) if end.is_none_or(|end| at < end) => {
                    self.move_to(at);
                    if let Load::Every(interval) = load {
                        next_arrival += nanos(interval);
                    }
                    let task = TaskProfile::default();
                    let reservation = balancer.select(&task, &self.roster).unwrap();
                    let position = reservation.position();
                    let (outcome, service) = serve(position);
                    let start = free_at[position].max(at);
                    free_at[position] = start + nanos(service);
                    let completed = outcome == Outcome::Completed;
                    let (number, id) = (selected.len(), reservation.detach());
                    ends.push(Reverse((free_at[position], number, id, at, completed)));
                    selected.push(position);
                }
                _ => {
                    let Reverse((at, _, id, since, completed)) = ends.pop().unwrap();
                    self.move_to(at);
                    let outcome = if completed { Outcome::Completed } else { Outcome::Failed };
                    let took = Duration::from_nanos(at - since);
                    balancer
                        .record(&self.roster, id, &TaskProfile::default(), outcome, took)
                        .unwrap();
                }
            }
        }
        assert_settled(&self.roster);
        selected
    }

    fn move_to(&mut self, at: u64) {
        self.now = at;
        self.time.set(at);
    }
}

/// Returns the share of the selections that went to a position.
pub fn share(selected: &[usize], position: usize) -> f64 {
    let count = selected.iter().filter(|selected| **selected == position).count();
    count as f64 / selected.len() as f64
}
