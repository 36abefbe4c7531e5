use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use raddle_core::{Clock, Completion, Outcome, Roster, SerialRecorder, TaskProfile, WorkerSpec};
use raddle_strategies::{LeastLoaded, LeastWork, Strategy, reserve};

use crate::assert_settled;

const WORKERS: usize = 16;
const TASKS: usize = 100_000;
const LOAD: f64 = 0.9;
/// Nanoseconds.
const MEAN: f64 = 1_000_000.0;

/// A task's arrival time and duration, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Task {
    at: u64,
    size: u64,
}

fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    -(1.0 - rng.f64()).ln() * mean
}

/// Nine in ten durations are a tenth of the others, with the same mean.
fn bimodal(rng: &mut Rng, mean: f64) -> f64 {
    let short = mean / 1.9;
    if rng.u8(..10) == 0 { 10.0 * short } else { short }
}

fn trace(seed: u64, size: fn(&mut Rng, f64) -> f64) -> Vec<Task> {
    let (mut rng, mut at) = (Rng::with_seed(seed), 1);
    let mut next = || {
        at += exponential(&mut rng, MEAN / (LOAD * WORKERS as f64)) as u64;
        Task { at, size: (size(&mut rng, MEAN) as u64).max(1) }
    };
    (0..TASKS).map(|_| next()).collect()
}

/// Returns when each task starts if all workers share one queue.
fn central(trace: &[Task]) -> Vec<u64> {
    let mut free_at: BinaryHeap<_> = [Reverse(0); WORKERS].into();
    let mut start = |task: &Task| {
        let Reverse(free) = free_at.pop().unwrap();
        let start = free.max(task.at);
        free_at.push(Reverse(start + task.size));
        start
    };
    trace.iter().map(&mut start).collect()
}

/// A worker that runs its tasks in order, on a clock that is moved to each event.
struct Server {
    recorder: SerialRecorder,
    waiting: VecDeque<usize>,
    running: Option<(usize, u64)>,
}

impl Server {
    /// Starts the next task if there is one and none is running.
    fn start(&mut self, trace: &[Task], now: u64, starts: &mut [u64]) {
        if self.running.is_some() {
            return;
        }
        match self.waiting.pop_front() {
            Some(index) => {
                self.recorder.start(now);
                self.recorder.set_running(trace[index].size);
                starts[index] = now;
                self.running = Some((index, now + trace[index].size));
            }
            None => self.recorder.mark_idle(now),
        }
    }

    /// Ends the running task.
    fn end(&mut self, trace: &[Task]) {
        let (index, _) = self.running.take().unwrap();
        let size = trace[index].size;
        let end = Completion {
            service: size,
            expected_duration: size,
            ..Completion::new(Outcome::Completed)
        };
        self.recorder.end(&end);
    }

    fn ends_at(&self) -> u64 {
        self.running.map_or(u64::MAX, |(_, at)| at)
    }
}

/// Returns when each task starts if `strategy` selects its worker on arrival.
fn balanced(strategy: &dyn Strategy, trace: &[Task]) -> Vec<u64> {
    let (clock, time) = Clock::simulated();
    let roster =
        Roster::builder().workers(WORKERS, WorkerSpec::general()).clock(clock).build().unwrap();
    let recorder = |position: usize| roster.members()[position].worker.recorder().unwrap();
    let server =
        |position| Server { recorder: recorder(position), waiting: VecDeque::new(), running: None };
    let mut servers: Vec<_> = (0..WORKERS).map(server).collect();
    let mut starts = vec![u64::MAX; trace.len()];
    let run_until = |servers: &mut [Server], starts: &mut [u64], until: u64| {
        while let Some(server) =
            servers.iter_mut().min_by_key(|server| server.ends_at()).filter(|s| s.ends_at() < until)
        {
            let now = server.ends_at();
            time.set(now);
            server.end(trace);
            server.start(trace, now, starts);
        }
    };
    for (index, task) in trace.iter().enumerate() {
        run_until(&mut servers, &mut starts, task.at);
        time.set(task.at);
        let profile = TaskProfile::default().expected_duration(Duration::from_nanos(task.size));
        let reservation = reserve(strategy, &profile, &roster).unwrap();
        let server = &mut servers[reservation.position()];
        let _ = reservation.hand_over();
        server.waiting.push_back(index);
        server.start(trace, task.at, &mut starts);
    }
    run_until(&mut servers, &mut starts, u64::MAX);
    assert_settled(&roster);
    starts
}

/// By Kiefer and Wolfowitz: a task that joins the queue with the least work starts when the first
/// worker has finished all earlier tasks, as it would from one central queue.
#[test]
fn with_exact_durations_each_task_starts_when_it_would_from_one_central_queue() {
    for (name, size) in
        [("exponential", exponential as fn(&mut Rng, f64) -> f64), ("bimodal", bimodal)]
    {
        for seed in [1, 2, 3] {
            let trace = trace(seed, size);
            let (central, balanced) = (central(&trace), balanced(&LeastWork, &trace));
            let unlike = central.iter().zip(&balanced).position(|(central, own)| central != own);
            assert_eq!(unlike, None, "{name}, seed {seed}");
            assert!(balanced.is_sorted(), "{name}, seed {seed}: in the order in which they came");
            let waited = trace.iter().zip(&balanced).filter(|(task, start)| **start > task.at);
            assert!(waited.count() > TASKS / 2, "{name}, seed {seed}: nothing was to be decided");
        }
    }
}

#[test]
fn with_queue_lengths_alone_tasks_wait_longer() {
    let trace = trace(1, bimodal);
    let (central, balanced) = (central(&trace), balanced(&LeastLoaded, &trace));
    let wait = |starts: &[u64]| -> u64 {
        trace.iter().zip(starts).map(|(task, start)| start - task.at).sum()
    };
    assert!(wait(&balanced) > wait(&central) * 11 / 10, "{} {}", wait(&balanced), wait(&central));
}
