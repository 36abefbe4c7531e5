//! A simulated worker: its mailbox, its running task, and its statistics.

use raddle_core::{Completion, Outcome, SerialRecorder, nanos};

use crate::cache::KeyCache;
use crate::queue::{Queue, Queued};
use crate::{Cache, FaultKind, Order, WorkerRun};

/// A running task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    pub(crate) task: Queued,
    pub(crate) start: u64,
    /// Nanoseconds left at `since`.
    left: u64,
    since: u64,
    pub(crate) outcome: Outcome,
}

/// A simulated worker.
pub(crate) struct Server {
    pub(crate) recorder: SerialRecorder,
    speed: f64,
    pub(crate) queue: Queue,
    pub(crate) running: Option<Running>,
    /// Whether it has been marked idle since its last task.
    pub(crate) idle: bool,
    /// Incremented when the running task changes or is interrupted; voids an end planned before.
    pub(crate) turn: u32,
    faults: Vec<(u32, FaultKind)>,
    /// With the nanoseconds, at speed 1, that a key costs which is not there.
    cache: Option<(KeyCache, u64)>,
    in_flight: u64,
    /// Clock time of the last change of `in_flight`.
    changed_at: u64,
    /// Integral of `in_flight` over time, in nanoseconds.
    area: u128,
    busy: u64,
    run: WorkerRun,
}

impl Server {
    pub(crate) fn new(
        recorder: SerialRecorder,
        speed: f64,
        order: Order,
        cache: Option<Cache>,
        now: u64,
    ) -> Self {
        let name = recorder.worker().name().to_owned();
        Self {
            recorder,
            speed,
            queue: Queue::new(order, now),
            running: None,
            idle: true,
            turn: 0,
            faults: Vec::new(),
            cache: cache.map(|cache| (KeyCache::of(cache.keys), nanos(cache.cold_cost))),
            in_flight: 0,
            changed_at: now,
            area: 0,
            busy: 0,
            run: WorkerRun {
                name,
                dispatched: 0,
                completed: 0,
                failed: 0,
                utilisation: 0.0,
                mean_in_flight: 0.0,
                max_in_flight: 0,
            },
        }
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Whether it could start a task now.
    pub(crate) fn is_free(&self) -> bool {
        self.running.is_none() && !self.is_down()
    }

    /// Adds to the tasks in flight.
    pub(crate) fn change(&mut self, by: i64, now: u64) {
        self.area += u128::from(self.in_flight) * u128::from(now - self.changed_at);
        self.changed_at = now;
        self.in_flight = self.in_flight.saturating_add_signed(by);
        self.run.max_in_flight = self.run.max_in_flight.max(self.in_flight);
    }

    /// Queues a task.
    pub(crate) fn enqueue(&mut self, task: Queued, now: u64) {
        self.run.dispatched += 1;
        self.change(1, now);
        self.queue.push(task, self.run.dispatched);
    }

    pub(crate) fn begin_fault(&mut self, fault: u32, kind: FaultKind, now: u64) {
        self.interrupt(now);
        if let (FaultKind::Restart, Some((cache, _))) = (kind, &mut self.cache) {
            cache.clear();
        }
        self.faults.push((fault, kind));
    }

    pub(crate) fn end_fault(&mut self, fault: u32, now: u64) {
        self.interrupt(now);
        self.faults.retain(|(other, _)| *other != fault);
    }

    pub(crate) fn is_down(&self) -> bool {
        self.has(|kind| matches!(kind, FaultKind::Restart))
    }

    pub(crate) fn is_hung(&self) -> bool {
        self.has(|kind| matches!(kind, FaultKind::Hang))
    }

    fn has(&self, matches: impl Fn(&FaultKind) -> bool) -> bool {
        self.faults.iter().any(|(_, kind)| matches(kind))
    }

    /// Starts a task, which ends at [`next_end`](Self::next_end).
    pub(crate) fn start(&mut self, task: Queued, now: u64) {
        let cold = match (&mut self.cache, task.key) {
            (Some((cache, cost)), Some(key)) => *cost * u64::from(!cache.touch(key)),
            _ => 0,
        };
        let mut left = ((task.service + cold) as f64 / self.speed).round();
        let mut outcome = if task.fails { Outcome::Failed } else { Outcome::Completed };
        for (_, kind) in &self.faults {
            match kind {
                FaultKind::SlowDown { factor } => left *= factor,
                FaultKind::FailFast { after } => {
                    (left, outcome) = (after.as_nanos() as f64, Outcome::Failed);
                }
                FaultKind::Hang | FaultKind::Restart => {}
            }
        }
        self.turn += 1;
        self.running = Some(Running { task, start: now, left: left as u64, since: now, outcome });
    }

    /// Accounts for the progress of the running task, and voids its planned end.
    fn interrupt(&mut self, now: u64) {
        let hung = self.is_hung();
        if let Some(running) = &mut self.running {
            if !hung {
                running.left = running.left.saturating_sub(now - running.since);
            }
            running.since = now;
            self.turn += 1;
        }
    }

    /// Returns when the running task will end, unless a fault begins or ends before.
    pub(crate) fn next_end(&self) -> Option<u64> {
        let running = self.running.as_ref().filter(|_| !self.is_hung())?;
        Some(running.since.saturating_add(running.left))
    }

    /// Ends the running task, with its own outcome or another; returns what to record.
    pub(crate) fn end(
        &mut self,
        outcome: Option<Outcome>,
        now: u64,
    ) -> Option<(Running, Completion)> {
        let running = self.running.take()?;
        self.turn += 1;
        let outcome = outcome.unwrap_or(running.outcome);
        let service = now - running.start;
        self.busy += service;
        match outcome {
            Outcome::Completed => self.run.completed += 1,
            _ => self.run.failed += 1,
        }
        let Queued { submitted_at, capability, expected_duration, .. } = running.task;
        let wait = running.start - submitted_at;
        let end = Completion {
            wait,
            service,
            capability,
            expected_duration,
            at: now,
            ..Completion::new(outcome)
        };
        Some((running, end))
    }

    /// Returns the worker's results at clock time `now`, after a run of `span` nanoseconds.
    pub(crate) fn finish(mut self, now: u64, span: u64) -> WorkerRun {
        let now = now.max(self.changed_at);
        self.change(0, now);
        if let Some(running) = &self.running {
            self.busy += now.saturating_sub(running.start);
        }
        let span = span.max(1) as f64;
        self.run.utilisation = self.busy as f64 / span;
        self.run.mean_in_flight = self.area as f64 / span;
        self.run
    }
}
