//! The loop over events.

use std::ops::ControlFlow;
use std::time::Duration;

use fastrand::Rng;
use raddle_core::internal::RecorderInternals;
use raddle_core::{Clock, Completion, Outcome, Roster, TaskProfile, VirtualTime, nanos};
use raddle_strategies::Strategy;

use crate::calendar::{Calendar, Event};
use crate::dispatchers::{Givers, roster};
use crate::load::{Drawn, Tasks};
use crate::measure::Times;
use crate::random::{Purpose, ThreadSeed, rng, seed};
use crate::server::{Queued, Server};
use crate::{Fault, FaultKind, QueueSample, Run, Scenario, SimError};

/// Siblings that an idle worker looks at for a task, as in the runtime.
const LOOKED_AT: usize = 32;
/// Steps between two looks at whether to go on.
const REPORTED: u64 = 1 << 16;
/// The clock at the start: 0 stands for unknown.
const START: u64 = 1;

/// Runs a scenario under a strategy.
///
/// The run is the same to the bit for the same scenario and strategy, if that has not picked
/// before: what it draws comes from the thread's own generator of `fastrand`, which is seeded for
/// the run and put back after it. Several dispatchers share the strategy, see [`simulate_each`].
///
/// ```
/// use std::time::Duration;
/// use raddle_sim::{Arrivals, Load, Scenario, Service, SimWorker, simulate};
/// use raddle_strategies::LeastLoaded;
///
/// // Sixteen workers, tasks of 1 ms in the mean, load 0.9.
/// let service = Service::Exponential { mean: Duration::from_millis(1) };
/// let load = Load::new(Arrivals::Poisson { rate: 0.9 * 16_000.0 }, service);
/// let mut scenario = Scenario::new(SimWorker::equal(16), load);
/// (scenario.tasks, scenario.warm_up) = (20_000, 2_000);
///
/// let run = simulate(&scenario, &LeastLoaded::new())?;
/// assert_eq!(run.completed, 20_000);
/// println!("mean {:.2} ms", run.mean_sojourn / 1e6);
/// # Ok::<(), raddle_sim::SimError>(())
/// ```
///
/// # Errors
/// When the scenario [cannot be](Scenario::check).
pub fn simulate(scenario: &Scenario, strategy: &dyn Strategy) -> Result<Run, SimError> {
    simulate_with(scenario, strategy, |_| ControlFlow::Continue(()))
}

/// The same, and tells now and then how many tasks have come: the run goes on or is stopped.
///
/// # Errors
/// As [`simulate`], and [`SimError::Stopped`].
pub fn simulate_with(
    scenario: &Scenario,
    strategy: &dyn Strategy,
    progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Run, SimError> {
    scenario.check()?;
    play(scenario, &vec![strategy; scenario.dispatchers.count], progress)
}

/// The same with a strategy of its own for each dispatcher, as processes that know nothing of each
/// other have: each its own rotation, and its own schedule by its own view.
///
/// # Errors
/// As [`simulate_with`].
pub fn simulate_each(
    scenario: &Scenario,
    strategy: &dyn Fn() -> Box<dyn Strategy>,
    progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Run, SimError> {
    scenario.check()?;
    let owned: Vec<_> = (0..scenario.dispatchers.count).map(|_| strategy()).collect();
    let strategies: Vec<_> = owned.iter().map(|strategy| &**strategy).collect();
    play(scenario, &strategies, progress)
}

/// Runs a scenario that can be, with a strategy a dispatcher.
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
    givers: Givers<'s>,
    calendar: Calendar,
    tasks: Tasks,
    came: u64,
    /// Tasks at workers.
    open: u64,
    /// Events to come that may end a task or let one go on.
    pending: u64,
    last_end: u64,
    failing: Rng,
    stealing: Option<Rng>,
    /// Workers that have rested since their last task.
    idle: usize,
    deadline: u64,
    sojourn: Times,
    wait: Times,
    run: Run,
}

impl<'s> Engine<'s> {
    fn new(scenario: &'s Scenario, strategies: &[&'s dyn Strategy]) -> Result<Self, SimError> {
        let (clock, time) = Clock::simulated();
        time.set(START);
        let truth = roster(scenario, &clock)?;
        let givers = Givers::new(scenario, &truth, &clock, strategies)?;
        let servers = truth.members().iter().zip(&scenario.workers).map(|(member, worker)| {
            let recorder = member.worker.recorder();
            let recorder = recorder.unwrap_or_else(|| unreachable!("nobody else has it"));
            Server::new(recorder, worker.speed, START)
        });
        let servers: Vec<_> = servers.collect();
        let mut calendar = Calendar::default();
        for (number, fault) in (0..).zip(&scenario.faults) {
            let begin = START + nanos(fault.at);
            calendar.add(begin, Event::FaultBegins(number));
            if let Some(lasting) = fault.lasting {
                calendar.add(begin.saturating_add(nanos(lasting)), Event::FaultEnds(number));
            }
        }
        let pending = scenario.faults.iter().map(|fault| 1 + u64::from(fault.lasting.is_some()));
        let steals = scenario.stealing && givers.strategy().lets_steal();
        let mut engine = Self {
            time,
            now: START,
            idle: servers.len(),
            servers,
            calendar,
            tasks: Tasks::new(&scenario.load, scenario.seed),
            came: 0,
            open: 0,
            pending: pending.sum(),
            last_end: START,
            failing: rng(scenario.seed, Purpose::Failing),
            stealing: steals.then(|| rng(scenario.seed, Purpose::Stealing)),
            deadline: scenario.deadline.map_or(u64::MAX, nanos),
            sojourn: Times::new(),
            wait: Times::new(),
            run: Run::new(givers.strategy().name(), scenario.seed),
            truth,
            givers,
            scenario,
        };
        engine.repeat(Event::Refresh);
        engine.repeat(Event::Sample);
        engine.repeat(Event::News);
        for worker in 0..engine.servers.len() {
            engine.mark_idle(worker);
        }
        engine.givers.hear();
        engine.givers.refresh();
        Ok(engine)
    }

    /// Plans the next of an event that happens again and again.
    fn repeat(&mut self, event: Event) {
        let every = match event {
            Event::Refresh => Some(self.scenario.refresh_every),
            Event::Sample => self.scenario.sample_every,
            Event::News => self.givers.are_stale().then_some(self.scenario.dispatchers.news_every),
            _ => None,
        };
        if let Some(every) = every {
            self.calendar.add(self.now.saturating_add(nanos(every).max(1)), event);
        }
    }

    fn run(&mut self, mut progress: impl FnMut(u64) -> ControlFlow<()>) -> Result<(), SimError> {
        let mut next = self.draw()?;
        for step in 1u64.. {
            if step.is_multiple_of(REPORTED) && progress(self.came).is_break() {
                return Err(SimError::Stopped);
            }
            let arrival = next.filter(|_| self.came < self.scenario.tasks);
            let event_at = self.calendar.next_at();
            // Of one moment, ends come before arrivals.
            if let Some(task) = arrival
                && event_at.is_none_or(|at| START + task.arrival < at)
            {
                self.go_to(START + task.arrival);
                self.arrive(task);
                next = self.draw()?;
                continue;
            }
            // What hangs for good is left where it is.
            let over = arrival.is_none() && (self.open == 0 || self.pending == 0);
            let Some((at, event)) = self.calendar.pop().filter(|_| !over) else { break };
            SimError::timely("time of an event", at)?;
            self.go_to(at);
            self.happen(event);
        }
        Ok(())
    }

    /// The next task, which is refused here and not when its turn comes: until then, all that
    /// happens again and again would happen.
    #[inline]
    fn draw(&mut self) -> Result<Option<Drawn>, SimError> {
        let Some(task) = self.tasks.next() else { return Ok(None) };
        if self.came < self.scenario.tasks {
            SimError::timely("time of an arrival", task.arrival)?;
        }
        Ok(Some(task))
    }

    fn go_to(&mut self, at: u64) {
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
                    self.go_on(worker);
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
            Event::News => self.givers.hear(),
            Event::Refresh => self.givers.refresh(),
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
        self.came += 1;
        let size = if self.scenario.sizes_known { drawn.service } else { 0 };
        let mut profile = TaskProfile::default().submitted_at(self.now);
        (profile.capability, profile.key, profile.expected_duration) =
            (drawn.capability, drawn.key, size);
        // Drawn for each, so that it is the same task whatever becomes of the others.
        let fails = self.scenario.failing > 0.0 && self.failing.f64() < self.scenario.failing;
        let (servers, room) = (&self.servers, self.scenario.mailbox.unwrap_or(usize::MAX));
        let full = |worker: usize| servers[worker].queue.len() >= room;
        let Ok(Some(worker)) = self.givers.give(&self.truth, &profile, full) else {
            self.run.rejected += 1;
            return;
        };
        let task = Queued {
            submitted_at: self.now,
            service: drawn.service,
            size,
            capability: drawn.capability,
            keyed: drawn.key.is_some(),
            fails,
            measured: self.came > self.scenario.warm_up,
        };
        self.open += 1;
        self.servers[worker].give(task, self.now);
        if self.servers[worker].is_free() {
            self.go_on(worker);
        } else if self.idle > 0 {
            self.wake_thief(worker);
        }
    }

    /// Lets a worker without a running task begin the next, its own or another's.
    fn go_on(&mut self, worker: usize) {
        if !self.servers[worker].is_free() {
            return;
        }
        while let Some(task) = self.servers[worker].queue.pop_front() {
            if self.now - task.submitted_at < self.deadline {
                return self.begin(worker, task);
            }
            self.expire(worker, &task);
        }
        if !std::mem::replace(&mut self.servers[worker].idle, true) {
            self.idle += 1;
            self.mark_idle(worker);
        }
        if let Some(task) = self.steal(worker) {
            self.begin(worker, task);
        }
    }

    fn mark_idle(&mut self, worker: usize) {
        self.servers[worker].recorder.mark_idle(self.now);
        self.givers.rests(worker, self.now);
    }

    fn begin(&mut self, worker: usize, task: Queued) {
        let server = &mut self.servers[worker];
        if std::mem::replace(&mut server.idle, false) {
            self.idle -= 1;
        }
        server.start(task, self.now);
        server.recorder.start(self.now);
        server.recorder.set_running(task.size);
        self.givers.started(worker, self.now, task.size);
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

    /// Ends the task that a worker runs, in this way or in its own.
    fn end(&mut self, worker: usize, outcome: Option<Outcome>) {
        let Some((running, end)) = self.servers[worker].end(outcome, self.now) else { return };
        match end.outcome {
            Outcome::Completed => self.run.completed += 1,
            Outcome::Panicked => self.run.panicked += 1,
            _ => self.run.failed += 1,
        }
        if running.task.measured && end.outcome == Outcome::Completed {
            self.sojourn.record(self.now - running.task.submitted_at);
            self.wait.record(end.wait);
        }
        self.record(worker, end);
    }

    /// Ends a task unrun, whose deadline has passed.
    fn expire(&mut self, worker: usize, task: &Queued) {
        self.run.expired += 1;
        let Queued { submitted_at, capability, size, .. } = *task;
        let wait = self.now - submitted_at;
        let end = Completion::new(Outcome::Expired);
        self.servers[worker].recorder.start(self.now);
        self.givers.started(worker, self.now, 0);
        self.record(
            worker,
            Completion { wait, capability, expected_duration: size, at: self.now, ..end },
        );
    }

    fn record(&mut self, worker: usize, end: Completion) {
        let server = &mut self.servers[worker];
        server.change(-1, self.now);
        server.recorder.end(&end);
        self.givers.ended(worker, end);
        self.open -= 1;
        self.last_end = self.now;
    }

    /// A task for a worker without one, from the mailbox of another with the same capabilities.
    fn steal(&mut self, thief: usize) -> Option<Queued> {
        let rng = self.stealing.as_mut()?;
        // Who fails at once is idle for that.
        let server = &self.servers[thief];
        if server.hangs() || server.recorder.worker().stats().is_failing() {
            return None;
        }
        let own_mean = server.recorder.worker().stats().recent_mean();
        let count = self.servers.len();
        let first = rng.usize(..count);
        let candidates = (first..count).chain(0..first).take(LOOKED_AT);
        let alike = |worker: usize| {
            let capabilities = |index: usize| self.truth.members()[index].worker.capabilities();
            capabilities(worker) == capabilities(thief)
        };
        let sooner = |worker: usize| {
            let stats = self.truth.members()[worker].worker.stats();
            stats.finishes_sooner_than(own_mean, self.now)
        };
        let from = candidates
            .filter(|worker| *worker != thief && alike(*worker) && !sooner(*worker))
            .find(|worker| self.servers[*worker].queue.iter().any(|task| !task.keyed))?;
        let position = self.servers[from].queue.iter().position(|task| !task.keyed)?;
        let task = self.servers[from].queue.remove(position)?;
        self.servers[from].change(-1, self.now);
        self.servers[thief].change(1, self.now);
        let robbed = &self.truth.members()[from].worker;
        self.servers[thief].recorder.adopt_work(robbed, task.size);
        self.servers[thief].recorder.adopt(robbed);
        self.givers.took(thief, from, task.size);
        self.run.stolen += 1;
        Some(task)
    }

    /// Lets an idle worker have a look at what has come to a busy one.
    fn wake_thief(&mut self, busy: usize) {
        if self.stealing.is_none() {
            return;
        }
        let count = self.servers.len();
        let mut siblings = (busy + 1..count).chain(0..busy);
        let capabilities = |index: usize| self.truth.members()[index].worker.capabilities();
        let thief = siblings.find(|worker| {
            let server = &self.servers[*worker];
            server.idle
                && server.is_free()
                && !server.hangs()
                && capabilities(*worker) == capabilities(busy)
        });
        if let Some(thief) = thief
            && let Some(task) = self.steal(thief)
        {
            self.begin(thief, task);
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
        self.go_on(worker);
    }

    /// What became of it all, once every task is where it should be.
    fn finish(mut self) -> Result<Run, SimError> {
        self.givers.hear();
        for (position, server) in self.servers.iter().enumerate() {
            let left = server.in_flight();
            let views = self.givers.views().chain([&self.truth]);
            let mut known = views.map(|roster| roster.members()[position].worker.stats());
            if let Some(wrong) = known.find(|stats| stats.in_flight() != left) {
                let (name, counted) = (server.recorder.worker().name(), wrong.in_flight());
                return Err(SimError::Astray(format!("{name} has {left}, {counted} in flight")));
            }
            self.run.stuck += left;
        }
        let Run { completed, failed, panicked, expired, rejected, stuck, .. } = self.run;
        let known = completed + failed + panicked + expired + rejected + stuck;
        if known != self.came {
            return Err(SimError::Astray(format!("{} came, {known} are known of", self.came)));
        }
        let span = self.last_end - START;
        let (now, mut run) = (self.last_end, self.run);
        run.tasks = self.came;
        run.span = Duration::from_nanos(span);
        run.workers = self.servers.into_iter().map(|server| server.finish(now, span)).collect();
        (run.mean_sojourn, run.mean_wait) = (self.sojourn.mean(), self.wait.mean());
        (run.sojourn, run.wait) = (self.sojourn.into_histogram(), self.wait.into_histogram());
        Ok(run)
    }
}
