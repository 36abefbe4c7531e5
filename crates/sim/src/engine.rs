//! The event loop.

use std::ops::ControlFlow;
use std::time::Duration;

use fastrand::Rng;
use raddle_core::internal::RecorderInternals;
use raddle_core::{Clock, Completion, Outcome, Roster, TaskProfile, VirtualTime, nanos};
use raddle_strategies::Strategy;

use crate::calendar::{Calendar, Event};
use crate::dispatchers::{DispatcherSet, roster};
use crate::load::{Drawn, Tasks};
use crate::random::{Purpose, ThreadSeed, rng, seed};
use crate::server::{Queued, Server};
use crate::{Fault, FaultKind, QueueSample, Run, Scenario, SimError};

/// Siblings that an idle worker searches for a task, as in the runtime.
const MAX_VICTIMS: usize = 32;
/// Events between two reports of progress.
const REPORT_INTERVAL: u64 = 1 << 16;
/// The clock at the start; statistics use 0 for unknown.
const START: u64 = 1;

/// Simulates a scenario under a strategy.
///
/// The same scenario and a fresh strategy give the same run, bit for bit. Strategies draw from the
/// thread's `fastrand` generator, which is seeded for the run and restored after it. Several
/// dispatchers share the strategy; see [`simulate_each`] for the alternative.
///
/// ```
/// use std::time::Duration;
/// use raddle_sim::{Arrivals, Load, Scenario, Service, SimWorker, simulate};
/// use raddle_strategies::LeastLoaded;
///
/// // Sixteen workers, tasks of 1 ms on average, load 0.9.
/// let service = Service::Exponential { mean: Duration::from_millis(1) };
/// let load = Load::new(Arrivals::Poisson { rate: 0.9 * 16_000.0 }, service);
/// let mut scenario = Scenario::new(SimWorker::equal(16), load);
/// (scenario.tasks, scenario.warm_up) = (20_000, 2_000);
///
/// let run = simulate(&scenario, &LeastLoaded::new())?;
/// assert_eq!(run.completed, 20_000);
/// println!("mean {:.2?}", run.sojourn.mean());
/// # Ok::<(), raddle_sim::SimError>(())
/// ```
///
/// # Errors
/// If the scenario is [not valid](Scenario::validate).
pub fn simulate(scenario: &Scenario, strategy: &dyn Strategy) -> Result<Run, SimError> {
    simulate_with(scenario, strategy, |_| ControlFlow::Continue(()))
}

/// Simulates a scenario like [`simulate`], and regularly calls `progress` with the number of tasks
/// that have arrived. Breaking stops the run.
///
/// # Errors
/// Like [`simulate`], and [`SimError::Stopped`].
pub fn simulate_with(
    scenario: &Scenario,
    strategy: &dyn Strategy,
    progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Run, SimError> {
    scenario.validate()?;
    play(scenario, &vec![strategy; scenario.dispatchers.count], progress)
}

/// Simulates a scenario like [`simulate_with`], with a separate strategy instance for every
/// dispatcher, like processes that share nothing.
///
/// # Errors
/// Like [`simulate_with`].
pub fn simulate_each(
    scenario: &Scenario,
    strategy: &dyn Fn() -> Box<dyn Strategy>,
    progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Run, SimError> {
    scenario.validate()?;
    let owned: Vec<_> = (0..scenario.dispatchers.count).map(|_| strategy()).collect();
    let strategies: Vec<_> = owned.iter().map(|strategy| &**strategy).collect();
    play(scenario, &strategies, progress)
}

/// Runs a valid scenario with one strategy per dispatcher.
fn play<'s>(
    scenario: &'s Scenario,
    strategies: &[&'s dyn Strategy],
    progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Run, SimError> {
    let _picks = ThreadSeed::set(seed(scenario.seed, Purpose::Picks));
    let mut engine = Engine::new(scenario, strategies)?;
    engine.run(progress)?;
    engine.finish()
}

struct Engine<'s> {
    scenario: &'s Scenario,
    time: VirtualTime,
    now: u64,
    truth: Roster,
    servers: Vec<Server>,
    dispatchers: DispatcherSet<'s>,
    calendar: Calendar,
    tasks: Tasks,
    arrived: u64,
    /// Tasks in mailboxes and handlers.
    open: u64,
    /// Planned events that may end a task or resume one.
    pending: u64,
    last_end: u64,
    failures: Rng,
    stealing: Option<Rng>,
    /// Number of idle workers.
    idle: usize,
    timeout: u64,
    run: Run,
}

impl<'s> Engine<'s> {
    fn new(scenario: &'s Scenario, strategies: &[&'s dyn Strategy]) -> Result<Self, SimError> {
        let (clock, time) = Clock::simulated();
        time.set(START);
        let truth = roster(scenario, &clock)?;
        let dispatchers = DispatcherSet::new(scenario, &truth, &clock, strategies)?;
        let servers = truth.members().iter().zip(&scenario.workers).map(|(member, worker)| {
            let recorder = member.worker.recorder();
            let recorder = recorder.unwrap_or_else(|| unreachable!("the roster is new"));
            Server::new(recorder, worker.speed, START)
        });
        let servers: Vec<_> = servers.collect();
        let mut calendar = Calendar::default();
        for (number, fault) in (0..).zip(&scenario.faults) {
            let begin = START + nanos(fault.at);
            calendar.add(begin, Event::FaultBegins(number));
            if let Some(duration) = fault.duration {
                calendar.add(begin.saturating_add(nanos(duration)), Event::FaultEnds(number));
            }
        }
        let pending = scenario.faults.iter().map(|fault| 1 + u64::from(fault.duration.is_some()));
        let steals = scenario.stealing && dispatchers.strategy().lets_steal();
        let mut engine = Self {
            time,
            now: START,
            idle: servers.len(),
            servers,
            calendar,
            tasks: Tasks::new(&scenario.load, scenario.seed),
            arrived: 0,
            open: 0,
            pending: pending.sum(),
            last_end: START,
            failures: rng(scenario.seed, Purpose::Failures),
            stealing: steals.then(|| rng(scenario.seed, Purpose::Stealing)),
            timeout: scenario.timeout.map_or(u64::MAX, nanos),
            run: Run::new(dispatchers.strategy().name(), scenario.seed),
            truth,
            dispatchers,
            scenario,
        };
        engine.repeat(Event::Refresh);
        engine.repeat(Event::Sample);
        engine.repeat(Event::Sync);
        for worker in 0..engine.servers.len() {
            engine.mark_idle(worker);
        }
        engine.dispatchers.sync();
        engine.dispatchers.refresh();
        Ok(engine)
    }

    /// Plans the next occurrence of a periodic event.
    fn repeat(&mut self, event: Event) {
        let interval = match event {
            Event::Refresh => Some(self.scenario.refresh_interval),
            Event::Sample => self.scenario.sample_interval,
            Event::Sync => {
                let interval = self.scenario.dispatchers.sync_interval;
                self.dispatchers.have_own_views().then_some(interval)
            }
            _ => None,
        };
        if let Some(interval) = interval {
            self.calendar.add(self.now.saturating_add(nanos(interval).max(1)), event);
        }
    }

    fn run(&mut self, mut progress: impl FnMut(u64) -> ControlFlow<()>) -> Result<(), SimError> {
        let mut next = self.draw()?;
        for step in 1u64.. {
            if step.is_multiple_of(REPORT_INTERVAL) && progress(self.arrived).is_break() {
                return Err(SimError::Stopped);
            }
            let arrival = next.filter(|_| self.arrived < self.scenario.tasks);
            let event_at = self.calendar.next_at();
            // At the same moment, ends precede arrivals.
            if let Some(task) = arrival
                && event_at.is_none_or(|at| START + task.arrival < at)
            {
                self.advance_to(START + task.arrival);
                self.arrive(task);
                next = self.draw()?;
                continue;
            }
            // Tasks on workers that hang for the rest of the run stay there.
            let over = arrival.is_none() && (self.open == 0 || self.pending == 0);
            let Some((at, event)) = self.calendar.pop().filter(|_| !over) else { break };
            SimError::timely("time of an event", at)?;
            self.advance_to(at);
            self.happen(event);
        }
        Ok(())
    }

    /// Draws the next task. Checks its time here rather than when it arrives, as every periodic
    /// event before a task that is years away would be simulated first.
    #[inline]
    fn draw(&mut self) -> Result<Option<Drawn>, SimError> {
        let Some(task) = self.tasks.next() else { return Ok(None) };
        if self.arrived < self.scenario.tasks {
            SimError::timely("time of an arrival", task.arrival)?;
        }
        Ok(Some(task))
    }

    fn advance_to(&mut self, at: u64) {
        self.now = at;
        self.time.set(at);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::End { worker, turn } => {
                self.pending -= 1;
                let worker = worker as usize;
                if self.servers[worker].turn == turn {
                    self.end(worker, None);
                    self.start_next(worker);
                }
            }
            Event::FaultBegins(number) => {
                self.pending -= 1;
                self.begin_fault(number);
            }
            Event::FaultEnds(number) => {
                self.pending -= 1;
                self.end_fault(number);
            }
            Event::Sync => self.dispatchers.sync(),
            Event::Refresh => self.dispatchers.refresh(),
            Event::Sample => {
                let in_flight =
                    self.servers.iter().map(|server| server.in_flight() as u32).collect();
                let at = Duration::from_nanos(self.now - START);
                self.run.timeline.push(QueueSample { at, in_flight });
            }
        }
        self.repeat(event);
    }

    fn arrive(&mut self, drawn: Drawn) {
        self.arrived += 1;
        let expected_duration = if self.scenario.durations_known { drawn.service } else { 0 };
        let mut profile = TaskProfile::default().submitted_at(self.now);
        (profile.capability, profile.key, profile.expected_duration) =
            (drawn.capability, drawn.key, expected_duration);
        // Drawn for every task, so that it does not depend on what happens to the others.
        let failure_rate = self.scenario.failure_rate;
        let fails = failure_rate > 0.0 && self.failures.f64() < failure_rate;
        let (servers, room) = (&self.servers, self.scenario.mailbox.unwrap_or(usize::MAX));
        let full = |worker: usize| servers[worker].queue.len() >= room;
        let Ok(Some(worker)) = self.dispatchers.dispatch(&self.truth, &profile, full) else {
            self.run.rejected += 1;
            return;
        };
        let task = Queued {
            submitted_at: self.now,
            service: drawn.service,
            expected_duration,
            capability: drawn.capability,
            keyed: drawn.key.is_some(),
            fails,
            measured: self.arrived > self.scenario.warm_up,
        };
        self.open += 1;
        self.servers[worker].enqueue(task, self.now);
        if self.servers[worker].is_free() {
            self.start_next(worker);
        } else if self.idle > 0 {
            self.wake_thief(worker);
        }
    }

    /// Starts the next task of a worker that runs none: a queued one, or a stolen one.
    fn start_next(&mut self, worker: usize) {
        if !self.servers[worker].is_free() {
            return;
        }
        while let Some(task) = self.servers[worker].queue.pop_front() {
            if self.now - task.submitted_at < self.timeout {
                return self.start(worker, task);
            }
            self.expire(worker, &task);
        }
        if !std::mem::replace(&mut self.servers[worker].idle, true) {
            self.idle += 1;
            self.mark_idle(worker);
        }
        if let Some(task) = self.steal(worker) {
            self.start(worker, task);
        }
    }

    fn mark_idle(&mut self, worker: usize) {
        self.servers[worker].recorder.mark_idle(self.now);
        self.dispatchers.idle(worker, self.now);
    }

    fn start(&mut self, worker: usize, task: Queued) {
        let server = &mut self.servers[worker];
        if std::mem::replace(&mut server.idle, false) {
            self.idle -= 1;
        }
        server.start(task, self.now);
        server.recorder.start(self.now);
        server.recorder.set_running(task.expected_duration);
        self.dispatchers.started(worker, self.now, task.expected_duration);
        self.plan_end(worker);
    }

    fn plan_end(&mut self, worker: usize) {
        let server = &self.servers[worker];
        if let Some(at) = server.next_end() {
            let end = Event::End { worker: worker as u32, turn: server.turn };
            self.calendar.add(at, end);
            self.pending += 1;
        }
    }

    /// Ends a worker's running task, with its own outcome or another.
    fn end(&mut self, worker: usize, outcome: Option<Outcome>) {
        let Some((running, end)) = self.servers[worker].end(outcome, self.now) else { return };
        match end.outcome {
            Outcome::Completed => self.run.completed += 1,
            Outcome::Panicked => self.run.panicked += 1,
            _ => self.run.failed += 1,
        }
        if running.task.measured && end.outcome == Outcome::Completed {
            self.run.sojourn.record_n(self.now - running.task.submitted_at, 1);
            self.run.wait.record_n(end.wait, 1);
        }
        self.record(worker, end);
    }

    /// Ends a task that has timed out, without running it.
    fn expire(&mut self, worker: usize, task: &Queued) {
        self.run.expired += 1;
        let Queued { submitted_at, capability, expected_duration, .. } = *task;
        let wait = self.now - submitted_at;
        let end = Completion::new(Outcome::Expired);
        self.servers[worker].recorder.start(self.now);
        self.dispatchers.started(worker, self.now, 0);
        let end = Completion { wait, capability, expected_duration, at: self.now, ..end };
        self.record(worker, end);
    }

    fn record(&mut self, worker: usize, end: Completion) {
        let server = &mut self.servers[worker];
        server.change(-1, self.now);
        server.recorder.end(&end);
        self.dispatchers.ended(worker, end);
        self.open -= 1;
        self.last_end = self.now;
    }

    /// Moves a queued task from a worker with the same capabilities to the idle worker `thief`.
    fn steal(&mut self, thief: usize) -> Option<Queued> {
        let rng = self.stealing.as_mut()?;
        // A failing worker is idle because it fails fast.
        let server = &self.servers[thief];
        if server.is_hung() || server.recorder.worker().stats().is_failing() {
            return None;
        }
        let own_mean = server.recorder.worker().stats().recent_mean();
        let count = self.servers.len();
        let first = rng.usize(..count);
        let candidates = (first..count).chain(0..first).take(MAX_VICTIMS);
        let sooner = |worker: usize| {
            let stats = self.truth.members()[worker].worker.stats();
            stats.finishes_sooner_than(own_mean, self.now)
        };
        let from = candidates
            .filter(|worker| *worker != thief && self.are_alike(*worker, thief) && !sooner(*worker))
            .find(|worker| self.servers[*worker].queue.iter().any(|task| !task.keyed))?;
        let position = self.servers[from].queue.iter().position(|task| !task.keyed)?;
        let task = self.servers[from].queue.remove(position)?;
        self.servers[from].change(-1, self.now);
        self.servers[thief].change(1, self.now);
        let victim = &self.truth.members()[from].worker;
        self.servers[thief].recorder.adopt_work(victim, task.expected_duration);
        self.servers[thief].recorder.adopt(victim);
        self.dispatchers.stole(thief, from, task.expected_duration);
        self.run.stolen += 1;
        Some(task)
    }

    /// Returns `true` if two workers have the same capabilities.
    fn are_alike(&self, one: usize, other: usize) -> bool {
        let capabilities = |worker: usize| self.truth.members()[worker].worker.capabilities();
        capabilities(one) == capabilities(other)
    }

    /// Lets an idle worker steal after a task has arrived at a busy one.
    fn wake_thief(&mut self, busy: usize) {
        if self.stealing.is_none() {
            return;
        }
        let count = self.servers.len();
        let mut siblings = (busy + 1..count).chain(0..busy);
        let thief = siblings.find(|worker| {
            let server = &self.servers[*worker];
            server.idle && server.is_free() && !server.is_hung() && self.are_alike(*worker, busy)
        });
        if let Some(thief) = thief
            && let Some(task) = self.steal(thief)
        {
            self.start(thief, task);
        }
    }

    fn begin_fault(&mut self, number: u32) {
        let Fault { worker, kind, .. } = self.scenario.faults[number as usize];
        if kind == FaultKind::Restart {
            self.end(worker, Some(Outcome::Panicked));
            self.truth.members()[worker].worker.next_generation();
        }
        self.servers[worker].begin_fault(number, kind, self.now);
        self.plan_end(worker);
    }

    fn end_fault(&mut self, number: u32) {
        let worker = self.scenario.faults[number as usize].worker;
        self.servers[worker].end_fault(number, self.now);
        self.plan_end(worker);
        self.start_next(worker);
    }

    /// Checks that every task is accounted for, and returns the results.
    fn finish(mut self) -> Result<Run, SimError> {
        self.dispatchers.sync();
        for (position, server) in self.servers.iter().enumerate() {
            let left = server.in_flight();
            let views = self.dispatchers.views().chain([&self.truth]);
            let mut counts = views.map(|roster| roster.members()[position].worker.stats());
            if let Some(wrong) = counts.find(|stats| stats.in_flight() != left) {
                let (name, counted) = (server.recorder.worker().name(), wrong.in_flight());
                return Err(SimError::Unaccounted(format!(
                    "{name} has {left} tasks, but {counted} are counted in flight"
                )));
            }
            self.run.stuck += left;
        }
        let Run { completed, failed, panicked, expired, rejected, stuck, .. } = self.run;
        let known = completed + failed + panicked + expired + rejected + stuck;
        if known != self.arrived {
            return Err(SimError::Unaccounted(format!(
                "{} arrived, {known} are known",
                self.arrived
            )));
        }
        let span = self.last_end - START;
        let (now, mut run) = (self.last_end, self.run);
        run.tasks = self.arrived;
        run.span = Duration::from_nanos(span);
        run.workers = self.servers.into_iter().map(|server| server.finish(now, span)).collect();
        Ok(run)
    }
}
