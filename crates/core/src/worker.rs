use std::fmt;

use thiserror::Error;

use crate::baseline::Baseline;
use crate::stats::{Row, WorkerStats};
use crate::{Capability, CapabilityError, CapabilitySet, Clock, Completion, hash};
use raddle_sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// A worker's number, unique within its pool and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct WorkerId(pub u32);

impl WorkerId {
    /// Returns the low 16 bits, which are unique among the members of one roster.
    pub fn short_id(self) -> u16 {
        self.0 as u16
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Whether a worker receives tasks.
///
/// Part of the roster, not of the worker: a change of health publishes a new roster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Health {
    /// Receives tasks.
    #[default]
    Active,
    /// Finishes the tasks that it has and receives no more.
    Draining,
    /// Set aside because it hangs; receives tasks only when no active worker is left.
    Quarantined,
    /// Set aside because it fails; receives tasks only when no active worker is left.
    Ejected,
    /// Set aside until its actor has started again; receives tasks only when no active worker is
    /// left.
    Restarting,
    /// Its first actor has not started; receives no tasks.
    Starting,
}

impl Health {
    /// Returns whether a worker of this health receives tasks, if only when no active one is left.
    pub fn takes_tasks(self) -> bool {
        !matches!(self, Self::Draining | Self::Starting)
    }
}

/// The description of a worker: its name, its capabilities and its share of the work.
///
/// Every setter accepts any value. [`RosterBuilder::build`](crate::RosterBuilder::build) and
/// [`Roster::with_workers`](crate::Roster::with_workers) check the description.
///
/// ```
/// use raddle_core::WorkerSpec;
///
/// let gpu = WorkerSpec::new("gpu-0").capability("vision").weight(4);
/// let rest = WorkerSpec::general();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSpec {
    name: String,
    capabilities: Vec<String>,
    general: bool,
    pub(crate) weight: u32,
}

impl WorkerSpec {
    /// Describes a worker of this name: a generalist until [`capability`](Self::capability) is
    /// called.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), capabilities: Vec::new(), general: false, weight: 1 }
    }

    /// Describes a generalist named `general`, to be numbered by
    /// [`RosterBuilder::workers`](crate::RosterBuilder::workers).
    pub fn general() -> Self {
        Self { general: true, ..Self::new("general") }
    }

    /// Adds a capability. A worker with capabilities serves the tasks that name one of them and
    /// the tasks that name none.
    #[must_use]
    pub fn capability(mut self, name: impl Into<String>) -> Self {
        self.capabilities.push(name.into());
        self
    }

    /// Makes a worker with capabilities a generalist too: it serves every task.
    #[must_use]
    pub fn and_general(mut self) -> Self {
        self.general = true;
        self
    }

    /// Sets the worker's share for the strategies that use weights; 1 by default.
    ///
    /// A weight of 0 means the smallest share, not none: use [`Health`] to take a worker out of
    /// service.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns a copy named `<name>-<number>`.
    #[must_use]
    pub fn numbered(&self, number: usize) -> Self {
        Self { name: format!("{}-{number}", self.name), ..self.clone() }
    }

    fn capability_set(&self) -> Result<CapabilitySet, CapabilityError> {
        let general = self.general || self.capabilities.is_empty();
        let none = if general { CapabilitySet::GENERAL } else { CapabilitySet::EMPTY };
        self.capabilities.iter().try_fold(none, |set, name| Ok(set.with(Capability::intern(name)?)))
    }
}

/// Why the end of a task could not be recorded.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// The roster has no such worker.
    #[error("worker {0} is not in the roster")]
    UnknownWorker(WorkerId),
    /// The worker has no detached task: its end was recorded twice, or its reservation was not
    /// detached.
    #[error("worker {0} has no detached task in flight; each is recorded once")]
    NothingInFlight(WorkerId),
    /// The worker's own thread records its tasks.
    #[error("worker {0} is recorded by its own thread; record only the workers you run yourself")]
    HasRecorder(WorkerId),
}

/// One worker: its identity and its statistics. Shared by every roster that lists it.
#[derive(Debug)]
pub struct Worker {
    stats: WorkerStats,
    id: WorkerId,
    name: Box<str>,
    name_hash: u64,
    capabilities: CapabilitySet,
    weight: u32,
    generation: AtomicU32,
    in_service_since: AtomicU64,
    recorder_taken: AtomicBool,
    clock: Clock,
}

impl Worker {
    pub(crate) fn new(
        id: WorkerId,
        spec: &WorkerSpec,
        stats: WorkerStats,
        clock: Clock,
    ) -> Result<Self, CapabilityError> {
        let worker = Self {
            stats,
            id,
            name: spec.name.as_str().into(),
            name_hash: hash::of_name(&spec.name),
            capabilities: spec.capability_set()?,
            weight: spec.weight,
            generation: AtomicU32::new(0),
            in_service_since: AtomicU64::new(0),
            recorder_taken: AtomicBool::new(false),
            clock,
        };
        worker.enter_service();
        Ok(worker)
    }

    /// Returns the id, unique within the pool.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Returns the name, unique within the pool.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the [hash](crate::hash::of_name) of the name, to which keys belong: the same in every
    /// process and after every restart.
    #[inline]
    pub fn name_hash(&self) -> u64 {
        self.name_hash
    }

    /// Returns the capabilities that the worker offers.
    #[inline]
    pub fn capabilities(&self) -> CapabilitySet {
        self.capabilities
    }

    /// Returns the share for strategies that use weights, as it was configured.
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// Returns how often the worker's actor has been restarted.
    pub fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// Counts a restart of the actor, which makes the worker [new](Self::in_service_since) again and
    /// lets it forget its [keys](WorkerStats::key_age). Returns the new generation.
    ///
    /// Forgets what selections held against the actor before, unless the worker has completed no
    /// task since it was forgotten last: then the restart did not help.
    pub fn next_generation(&self) -> u32 {
        self.stats.forget_keys();
        self.enter_service();
        self.stats.forget_if_refuted();
        self.generation.fetch_add(1, Relaxed) + 1
    }

    /// Returns the clock's time at which the worker last became new: when it was created,
    /// [restarted](Self::next_generation), or made active again after it had been set aside
    /// ([`Roster::with_health`](crate::Roster::with_health)). Wait-free: one load.
    #[inline]
    pub fn in_service_since(&self) -> u64 {
        self.in_service_since.load(Relaxed)
    }

    pub(crate) fn enter_service(&self) {
        let now = self.clock.now();
        self.in_service_since.store(now, Relaxed);
        self.stats.baseline.entered_service(now);
    }

    /// Returns the statistics.
    #[inline]
    pub fn stats(&self) -> &WorkerStats {
        &self.stats
    }

    /// Returns the pool-wide means that the worker is compared with.
    #[inline]
    pub fn baseline(&self) -> &Baseline {
        &self.stats.baseline
    }

    /// Returns the clock that all times of the worker refer to.
    #[inline]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Refuses every later reservation; earlier ones remain valid. Once the worker's
    /// [in-flight](WorkerStats::in_flight) count then reads 0, no task can reach it any more.
    pub fn close(&self) {
        self.stats.admissions().close();
    }

    /// Acquires the exclusive right to record; returns whether it was free.
    pub(crate) fn take_recorder(&self) -> bool {
        // Acquire pairs with the Release in `return_recorder`: the plain stores of one recorder
        // happen before those of the next.
        !self.recorder_taken.swap(true, Acquire)
    }

    /// Acquires the right to record from a thread that writes no more.
    pub(crate) fn seize_recorder(&self) {
        // Relaxed: whatever proved that the other thread stopped happened after its last write.
        self.recorder_taken.store(true, Relaxed);
    }

    pub(crate) fn return_recorder(&self) {
        self.recorder_taken.store(false, Release);
        // Afterwards, so that whoever unlists the worker again sees that others may record.
        // Unconditionally, because the last end may not have been followed by `mark_idle`.
        let Row { board, number, .. } = self.stats.row();
        board.idle.set(*number);
    }

    /// Removes a worker that was found busy from the idle list. Wait-free; called by selections.
    #[cold]
    pub(crate) fn unlist(&self) {
        let Row { board, number, .. } = self.stats.row();
        board.unlist(*number, || self.recorder_taken.load(Relaxed));
    }

    /// Records the end of a task for which the caller holds a reservation.
    #[inline]
    pub(crate) fn end_shared(&self, mut end: Completion) {
        let retried = self.note_progress(&mut end);
        self.stats.end_shared(&end, retried);
    }

    /// Records the end of one of this worker's [detached](crate::Reservation::detach) tasks, from
    /// any thread.
    ///
    /// The id of a worker does not identify a task: each call ends one detached task, and a
    /// surplus call is refused without affecting any other.
    ///
    /// # Cost
    /// Lock-free; the other ways to record are wait-free. A detached task is taken by a
    /// compare-exchange, which retries when another thread detached or recorded a task of this
    /// worker meanwhile. Allocates nothing.
    ///
    /// # Errors
    /// When no detached task is in flight, or when the worker's own thread records.
    pub fn record(&self, end: &Completion) -> Result<(), RecordError> {
        if self.recorder_taken.load(Relaxed) {
            return Err(RecordError::HasRecorder(self.id));
        }
        if !self.stats.detached.take() {
            return Err(RecordError::NothingInFlight(self.id));
        }
        self.end_shared(*end);
        Ok(())
    }

    /// Notes the time of an end if selections have begun to note times. Reads the clock if the end
    /// does not say. Returns whether the task [tried](crate::Signals::has_expired) the worker again.
    #[inline]
    fn note_progress(&self, end: &mut Completion) -> bool {
        if !self.stats.notes_time() {
            return false;
        }
        if end.at == 0 {
            end.at = self.clock.now();
        }
        let pulse = self.stats.pulse();
        let retried = pulse.has_expired(end.at.saturating_sub(end.service));
        pulse.set_busy_since(end.at);
        pulse.set_idle_since(end.at);
        retried
    }
}
