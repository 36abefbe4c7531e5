//! The dispatchers of a simulation, and what each of them knows about the workers.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use raddle_core::internal::RecorderInternals;
use raddle_core::{
    Clock, Completion, KeyAge, Outcome, Reservation, Roster, RosterBuilder, SerialRecorder,
    TaskProfile,
};
use raddle_strategies::{SelectError, Strategy, reserve};

use crate::random::{Purpose, rng};
use crate::{Dispatchers, Scenario, SimError};

/// All dispatchers. Either they share the workers' own statistics, or each has its own view, which
/// is updated by replaying a log.
pub(crate) struct DispatcherSet<'s> {
    dispatchers: Vec<Dispatcher<'s>>,
    /// What happened since the last sync; `None` if the statistics are shared.
    log: Option<Vec<Update>>,
    rng: Rng,
}

/// A strategy and the roster it selects from.
struct Dispatcher<'s> {
    strategy: &'s dyn Strategy,
    /// The strategy prepared for `roster`, if it prepares anything.
    prepared: Option<Arc<dyn Strategy>>,
    roster: Roster,
    /// Write the statistics of the dispatcher's own view; empty if the statistics are shared.
    recorders: Vec<SerialRecorder>,
}

/// A change at the worker at a position.
struct Update {
    worker: usize,
    change: Change,
}

enum Change {
    Dispatched { by: usize, task: TaskProfile },
    Started { at: u64, expected_duration: u64 },
    Ended(Completion, Option<KeyAge>),
    Idle { at: u64 },
    Stole { from: usize, expected_duration: u64 },
}

/// Builds the roster of a scenario's workers.
pub(crate) fn roster(scenario: &Scenario, clock: &Clock) -> Result<Roster, SimError> {
    let builder: RosterBuilder = scenario
        .workers
        .iter()
        .fold(Roster::builder(), |builder, worker| builder.worker(worker.spec.clone()));
    Ok(builder.tracking(scenario.tracking).clock(clock.clone()).build()?)
}

impl<'s> DispatcherSet<'s> {
    /// Creates one dispatcher per strategy.
    pub(crate) fn new(
        scenario: &Scenario,
        truth: &Roster,
        clock: &Clock,
        strategies: &[&'s dyn Strategy],
    ) -> Result<Self, SimError> {
        let Dispatchers { count, sync_interval } = scenario.dispatchers;
        let own_views = count > 1 && sync_interval > Duration::ZERO;
        let dispatcher = |strategy: &&'s dyn Strategy| {
            let (roster, recorders) = if own_views {
                let roster = roster(scenario, clock)?;
                let workers = roster.members().iter();
                let recorders = workers.filter_map(|member| member.worker.recorder()).collect();
                (roster, recorders)
            } else {
                (truth.clone(), Vec::new())
            };
            Ok(Dispatcher { strategy: *strategy, prepared: None, roster, recorders })
        };
        Ok(Self {
            dispatchers: strategies.iter().map(dispatcher).collect::<Result<_, SimError>>()?,
            log: own_views.then(Vec::new),
            rng: rng(scenario.seed, Purpose::Dispatchers),
        })
    }

    pub(crate) fn strategy(&self) -> &dyn Strategy {
        self.dispatchers[0].strategy
    }

    pub(crate) fn have_own_views(&self) -> bool {
        self.log.is_some()
    }

    /// Returns the dispatchers' own views, if they have any.
    pub(crate) fn views(&self) -> impl Iterator<Item = &Roster> {
        let own = self.dispatchers.iter().filter(|_| self.have_own_views());
        own.map(|dispatcher| &dispatcher.roster)
    }

    pub(crate) fn refresh(&mut self) {
        for dispatcher in &mut self.dispatchers {
            dispatcher.prepared = dispatcher.strategy.prepare(&dispatcher.roster);
        }
    }

    /// Selects a worker for an arriving task, by a random dispatcher, and counts the task as in
    /// flight there. Also returns the age of its key there. Returns `None` if that worker is full.
    pub(crate) fn dispatch(
        &mut self,
        truth: &Roster,
        task: &TaskProfile,
        is_full: impl Fn(usize) -> bool,
    ) -> Result<Option<(usize, Option<KeyAge>)>, SelectError> {
        let count = self.dispatchers.len();
        let by = if count > 1 { self.rng.usize(..count) } else { 0 };
        let dispatcher = &self.dispatchers[by];
        let strategy = dispatcher.prepared.as_deref().unwrap_or(dispatcher.strategy);
        let reservation = reserve(strategy, task, &dispatcher.roster)?;
        let worker = reservation.position();
        if is_full(worker) {
            return Ok(None);
        }
        let key_age = hand_over(reservation, task);
        if let Some(log) = &mut self.log {
            admit(truth, worker, task);
            log.push(Update { worker, change: Change::Dispatched { by, task: *task } });
        }
        Ok(Some((worker, key_age)))
    }

    pub(crate) fn started(&mut self, worker: usize, at: u64, expected_duration: u64) {
        self.log(worker, Change::Started { at, expected_duration });
    }

    pub(crate) fn ended(&mut self, worker: usize, end: Completion, key_age: Option<KeyAge>) {
        self.log(worker, Change::Ended(end, key_age));
    }

    pub(crate) fn idle(&mut self, worker: usize, at: u64) {
        self.log(worker, Change::Idle { at });
    }

    pub(crate) fn stole(&mut self, worker: usize, from: usize, expected_duration: u64) {
        self.log(worker, Change::Stole { from, expected_duration });
    }

    fn log(&mut self, worker: usize, change: Change) {
        if let Some(log) = &mut self.log {
            log.push(Update { worker, change });
        }
    }

    /// Brings every dispatcher's own view up to date.
    pub(crate) fn sync(&mut self) {
        let Some(log) = &mut self.log else { return };
        for (me, dispatcher) in self.dispatchers.iter_mut().enumerate() {
            for Update { worker, change } in log.iter() {
                let recorder = &mut dispatcher.recorders[*worker];
                match change {
                    Change::Dispatched { by, .. } if *by == me => {}
                    Change::Dispatched { task, .. } => admit(&dispatcher.roster, *worker, task),
                    Change::Started { at, expected_duration } => {
                        recorder.start(*at);
                        recorder.set_running(*expected_duration);
                    }
                    Change::Ended(end, key_age) => record(recorder, end, *key_age),
                    Change::Idle { at } => recorder.mark_idle(*at),
                    Change::Stole { from, expected_duration } => {
                        let from = &dispatcher.roster.members()[*from].worker;
                        recorder.adopt_work(from, *expected_duration);
                        recorder.adopt(from);
                    }
                }
            }
        }
        log.clear();
    }
}

/// Records the end of a task whose key had this age when its worker was selected.
pub(crate) fn record(recorder: &mut SerialRecorder, end: &Completion, key_age: Option<KeyAge>) {
    recorder.end(end);
    if let (Outcome::Completed, Some(age)) = (end.outcome, key_age) {
        recorder.learn_cost(age, end.capability, end.service);
    }
}

/// Counts a task as in flight at the worker at a position.
fn admit(roster: &Roster, position: usize, task: &TaskProfile) {
    let worker = &roster.members()[position].worker;
    if let Some(reservation) = Reservation::take(worker, position, task.capability) {
        hand_over(reservation.expecting(task.expected_duration), task);
    }
}

/// Gives a task to its worker; returns the age that its key had there.
fn hand_over(mut reservation: Reservation<'_>, task: &TaskProfile) -> Option<KeyAge> {
    if let Some(key) = task.key {
        reservation = reservation.noting_key(key);
    }
    let key_age = reservation.key_age();
    // Nobody has to be woken in virtual time.
    let _ = reservation.hand_over();
    key_age
}
