//! Who gives the tasks, and what each knows of the workers.

use std::time::Duration;

use fastrand::Rng;
use raddle_core::internal::RecorderInternals;
use raddle_core::{Clock, Completion, Recorder, Reservation, Roster, RosterBuilder, TaskProfile};
use raddle_strategies::{SelectError, Strategy, reserve};

use crate::random::{Purpose, rng};
use crate::{Dispatchers, Scenario, SimError};

/// Everybody who gives tasks.
pub(crate) struct Givers<'s> {
    /// One that knows everything at once, or several of which each has a view of its own.
    givers: Vec<Giver<'s>>,
    /// What happened since the last news, where views are stale.
    log: Option<Vec<News>>,
    rng: Rng,
}

/// Who gives tasks by a strategy and a view of the workers.
struct Giver<'s> {
    strategy: &'s dyn Strategy,
    roster: Roster,
    /// Write the view's statistics; none where it is the workers' own.
    recorders: Vec<Recorder>,
}

/// What happened to a worker.
pub(crate) struct News {
    worker: usize,
    what: What,
}

enum What {
    /// This giver gave it a task.
    Given {
        by: usize,
        task: TaskProfile,
    },
    Started {
        at: u64,
        size: u64,
    },
    Ended(Completion),
    Resting {
        at: u64,
    },
    /// It took a task from another.
    Took {
        from: usize,
        size: u64,
    },
}

/// The roster of a scenario's workers.
pub(crate) fn roster(scenario: &Scenario, clock: &Clock) -> Result<Roster, SimError> {
    let builder: RosterBuilder = scenario
        .workers
        .iter()
        .fold(Roster::builder(), |builder, worker| builder.worker(worker.spec.clone()));
    Ok(builder.tracking(scenario.tracking).clock(clock.clone()).build()?)
}

impl<'s> Givers<'s> {
    pub(crate) fn new(
        scenario: &Scenario,
        truth: &Roster,
        clock: &Clock,
        strategies: &[&'s dyn Strategy],
    ) -> Result<Self, SimError> {
        let Dispatchers { count, news_every } = scenario.dispatchers;
        let stale = count > 1 && news_every > Duration::ZERO;
        let giver = |strategy: &&'s dyn Strategy| {
            let (roster, recorders) = if stale {
                let roster = roster(scenario, clock)?;
                let workers = roster.members().iter();
                let recorders = workers.filter_map(|member| member.worker.recorder()).collect();
                (roster, recorders)
            } else {
                (truth.clone(), Vec::new())
            };
            Ok(Giver { strategy: *strategy, roster, recorders })
        };
        Ok(Self {
            givers: strategies.iter().map(giver).collect::<Result<_, SimError>>()?,
            log: stale.then(Vec::new),
            rng: rng(scenario.seed, Purpose::Dispatchers),
        })
    }

    pub(crate) fn strategy(&self) -> &dyn Strategy {
        self.givers[0].strategy
    }

    /// What each knows, where that is not all there is to know.
    pub(crate) fn views(&self) -> impl Iterator<Item = &Roster> {
        self.givers.iter().filter(|_| self.are_stale()).map(|giver| &giver.roster)
    }

    pub(crate) fn are_stale(&self) -> bool {
        self.log.is_some()
    }

    pub(crate) fn refresh(&self) {
        for giver in &self.givers {
            giver.strategy.refresh(&giver.roster);
        }
    }

    /// Chooses a worker for a task that comes and counts it as in flight there; none when that
    /// worker is full.
    pub(crate) fn give(
        &mut self,
        truth: &Roster,
        task: &TaskProfile,
        is_full: impl Fn(usize) -> bool,
    ) -> Result<Option<usize>, SelectError> {
        let by = if self.givers.len() > 1 { self.rng.usize(..self.givers.len()) } else { 0 };
        let giver = &self.givers[by];
        let reservation = reserve(giver.strategy, task, &giver.roster)?;
        let worker = reservation.position();
        if is_full(worker) {
            return Ok(None);
        }
        // Nobody sleeps in virtual time.
        let _ = reservation.hand_over();
        if let Some(log) = &mut self.log {
            admit(truth, worker, task);
            log.push(News { worker, what: What::Given { by, task: *task } });
        }
        Ok(Some(worker))
    }

    pub(crate) fn started(&mut self, worker: usize, at: u64, size: u64) {
        self.note(worker, What::Started { at, size });
    }

    pub(crate) fn ended(&mut self, worker: usize, end: Completion) {
        self.note(worker, What::Ended(end));
    }

    pub(crate) fn rests(&mut self, worker: usize, at: u64) {
        self.note(worker, What::Resting { at });
    }

    pub(crate) fn took(&mut self, worker: usize, from: usize, size: u64) {
        self.note(worker, What::Took { from, size });
    }

    fn note(&mut self, worker: usize, what: What) {
        if let Some(log) = &mut self.log {
            log.push(News { worker, what });
        }
    }

    /// Everybody hears what the others and the workers did.
    pub(crate) fn hear(&mut self) {
        let Some(log) = &mut self.log else { return };
        for (me, giver) in self.givers.iter_mut().enumerate() {
            for News { worker, what } in log.iter() {
                let recorder = &mut giver.recorders[*worker];
                match what {
                    What::Given { by, .. } if *by == me => {}
                    What::Given { task, .. } => admit(&giver.roster, *worker, task),
                    What::Started { at, size } => {
                        recorder.start(*at);
                        recorder.set_running(*size);
                    }
                    What::Ended(end) => recorder.end(end),
                    What::Resting { at } => recorder.mark_idle(*at),
                    What::Took { from, size } => {
                        let from = &giver.roster.members()[*from].worker;
                        recorder.adopt_work(from, *size);
                        recorder.adopt(from);
                    }
                }
            }
        }
        log.clear();
    }
}

/// Counts a task as in flight at a worker.
fn admit(roster: &Roster, position: usize, task: &TaskProfile) {
    let worker = &roster.members()[position].worker;
    if let Some(reservation) = Reservation::take(worker, position, task.capability) {
        let _ = reservation.expecting(task.expected_duration).hand_over();
    }
}
