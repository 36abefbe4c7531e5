//! The event loop.

use std::ops::ControlFlow;
use std::time::Duration;

use fastrand::Rng;
use raddle_core::internal::{RecorderInternals, SizeClass};
use raddle_core::{Clock, Completion, Outcome, Roster, TaskProfile, VirtualTime, nanos};
use raddle_strategies::Strategy;

use crate::calendar::{Calendar, Event};
use crate::dispatchers::{DispatcherSet, record, roster};
use crate::load::{Drawn, Tasks};
use crate::queue::Queued;
use crate::random::{Purpose, ThreadSeed, rng, seed};
use crate::server::Server;
use crate::{Fault, FaultKind, QueueSample, Run, Scenario, SimError};

/// Siblings that an idle worker searches for a task, as in the runtime.
const MAX_VICTIMS: usize = 32;
/// Events between two reports of progress.
const REPORT_INTERVAL: u64 = 1 << 16;
/// The most sampled queue lengths, of 4 bytes each.
const MAX_SAMPLED: usize = 1 << 26;
/// What a sample takes beside its queue lengths, counted in these.
const SAMPLE_OVERHEAD: usize = 8;
/// The clock at the start; statistics use 0 for unknown.
const START: u64 = 1;

/// Simulates a scenario under a strategy.
///
/// The same scenario and an equal strategy give the same run, bit for bit. Strategies draw from the
/// thread's `fastrand` generator, which is seeded for the run and restored after it. A rotation also
/// draws where it starts, when it is created: [`simulate_each`] creates strategies from the seed. Several
/// dispatchers share the strategy; `simulate_each` is the alternative.
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
    let _starts = ThreadSeed::set(seed(scenario.seed, Purpose::Starts));
    let owned: Vec<_> = (0..scenario.dispatchers.count).map(|_| strategy()).collect();
    let strategies: Vec<_> = owned.iter().map(|strategy| &**strategy).collect();
    play(scenario, &strategies, progress)
}

/// Runs a valid scenario with one strategy per dispatcher.
fn play(
    scenario: &Scenario,
    strategies: &[&dyn Strategy],
    progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Run, SimError> {
    let sped_up = (scenario.speedup != 1.0).then(|| scenario.sped_up());
    let scenario = sped_up.as_ref().unwrap_or(scenario);
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
    /// Of the worker whose boosts were computed last, in nanoseconds; 0 if none were yet.
    mean_service: u64,
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
            let Scenario { order, cache, .. } = *scenario;
            Server::new(recorder, worker.speed, order, cache, START)
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
            mean_service: 0,
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
            if let Event::Sample = event {
                self.may_sample()?;
            }
            self.advance_to(at);
            self.happen(event);
        }
        Ok(())
    }

    /// Checks that the samples of the queue lengths still fit into memory.
    fn may_sample(&self) -> Result<(), SimError> {
        let (samples, each) = (self.run.timeline.len(), self.servers.len() + SAMPLE_OVERHEAD);
        SimError::unless(samples * each < MAX_SAMPLED, "number of samples", samples + 1, || {
            format!("{} of {} workers: use a longer sample interval", samples, self.servers.len())
        })
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

    /// Converts nanoseconds on the clock to the scenario's own time.
    fn own_time(&self, nanos: u64) -> u64 {
        if self.scenario.speedup == 1.0 {
            return nanos;
        }
        ((nanos as f64 * self.scenario.speedup) as u64).min(i64::MAX as u64)
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
                let at = Duration::from_nanos(self.own_time(self.now - START));
                self.run.timeline.push(QueueSample { at, in_flight });
            }
        }
        self.repeat(event);
    }

    fn arrive(&mut self, drawn: Drawn) {
        self.arrived += 1;
        let measured = self.measure();
        let expected_duration = if self.scenario.durations_known { drawn.service } else { 0 };
        let mut profile = TaskProfile::default().submitted_at(self.now);
        (profile.capability, profile.key, profile.expected_duration) =
            (drawn.capability, drawn.key, expected_duration);
        // Drawn for every task, so that it does not depend on what happens to the others.
        let failure_rate = self.scenario.failure_rate;
        let fails = failure_rate > 0.0 && self.failures.f64() < failure_rate;
        let (servers, room) = (&self.servers, self.scenario.mailbox.unwrap_or(usize::MAX));
        let full = |worker: usize| servers[worker].queue.len() >= room;
        let Ok(Some((worker, key_age))) = self.dispatchers.dispatch(&self.truth, &profile, full)
        else {
            self.run.rejected += 1;
            return;
        };
        let task = Queued {
            submitted_at: self.now,
            service: drawn.service,
            expected_duration,
            capability: drawn.capability,
            key: drawn.key,
            class: self.size_class(&profile),
            key_age,
            fails,
            measured,
        };
        self.open += 1;
        self.servers[worker].enqueue(task, self.now);
        if self.servers[worker].is_free() {
            self.start_next(worker);
        } else if self.idle > 0 {
            self.wake_thief(worker);
        }
    }

    /// Returns the size class of a task; `None` if it says nothing about its size.
    fn size_class(&self, task: &TaskProfile) -> Option<SizeClass> {
        let says_something = task.expected_duration != 0 || task.capability.is_some();
        let class = || SizeClass::of_task(task, self.truth.baseline(), self.mean_service);
        says_something.then(class).flatten()
    }

    /// Returns the number of the task that has just arrived among the measured ones.
    fn measure(&mut self) -> Option<usize> {
        let number = self.arrived.checked_sub(self.scenario.warm_up + 1)? as usize;
        if self.scenario.record_sojourns {
            self.run.sojourns.push(None);
        }
        Some(number)
    }

    /// Starts the next task of a worker that runs none: a queued one, or a stolen one.
    fn start_next(&mut self, worker: usize) {
        if !self.servers[worker].is_free() {
            return;
        }
        if let Some(mean) = self.servers[worker].queue.refresh(self.now) {
            self.mean_service = mean;
        }
        while let Some(task) = self.servers[worker].queue.pop() {
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
        if let Some(number) = running.task.measured
            && end.outcome == Outcome::Completed
        {
            let sojourn = self.own_time(self.now - running.task.submitted_at);
            self.run.sojourn.record_n(sojourn, 1);
            self.run.wait.record_n(self.own_time(end.wait), 1);
            if self.scenario.record_sojourns {
                self.run.sojourns[number] = Some(Duration::from_nanos(sojourn));
            }
        }
        self.record(worker, &running.task, end);
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
        self.record(worker, task, end);
    }

    fn record(&mut self, worker: usize, task: &Queued, end: Completion) {
        let server = &mut self.servers[worker];
        server.queue.ended(task, end.outcome.ran().then_some(end.service));
        server.change(-1, self.now);
        record(&mut server.recorder, &end, task.key_age);
        self.dispatchers.ended(worker, end, task.key_age);
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
        let own_mean = server.recorder.worker().stats().latencies().mean().unwrap_or(0);
        let count = self.servers.len();
        let first = rng.usize(..count);
        let candidates = (first..count).chain(0..first).take(MAX_VICTIMS);
        let sooner = |worker: usize| {
            let stats = self.truth.members()[worker].worker.stats();
            stats.finishes_sooner_than(own_mean, self.now)
        };
        let from = candidates
            .filter(|worker| *worker != thief && self.are_alike(*worker, thief) && !sooner(*worker))
            .find(|worker| self.servers[*worker].queue.has_free())?;
        let task = self.servers[from].queue.take_free()?;
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
        let own_span = self.own_time(span);
        let (now, mut run) = (self.last_end, self.run);
        run.tasks = self.arrived;
        run.span = Duration::from_nanos(own_span);
        run.workers = self.servers.into_iter().map(|server| server.finish(now, span)).collect();
        Ok(run)
    }
}
