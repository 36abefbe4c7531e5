use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::baseline::Baseline;
use crate::stats::{Board, Recorder, WorkerStats};
use crate::{Capability, CapabilityError, CapabilitySet, Clock, Completion, RecordError, Tracking};
use raddle_sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// A worker's number within its pool; it is never given to another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub u32);

impl WorkerId {
    /// Its low 16 bits, by which at most 65,536 workers of one roster are told apart.
    pub fn short_id(self) -> u16 {
        self.0 as u16
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Whether a worker is given tasks. Part of the roster, not of the worker: changing it publishes
/// another roster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Takes tasks.
    #[default]
    Active,
    /// Finishes what it has and takes no more.
    Draining,
    /// Set aside as hung; takes tasks only when no active worker is left.
    Quarantined,
    /// Set aside as failing; takes tasks only when no active worker is left.
    Ejected,
}

/// What a worker is to be: its name, what it offers, how much of the work it should get.
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
    weight: u32,
}

impl WorkerSpec {
    /// A worker of this name; a generalist until it names a capability.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), capabilities: Vec::new(), general: false, weight: 1 }
    }

    /// A generalist, to be numbered: see [`RosterBuilder::workers`](crate::RosterBuilder::workers).
    pub fn general() -> Self {
        Self { general: true, ..Self::new("general") }
    }

    /// Adds a capability. A worker with capabilities takes the tasks that name one of them, and
    /// those that name none.
    #[must_use]
    pub fn capability(mut self, name: impl Into<String>) -> Self {
        self.capabilities.push(name.into());
        self
    }

    /// Makes a worker with capabilities take other tasks too, as a generalist.
    #[must_use]
    pub fn and_general(mut self) -> Self {
        self.general = true;
        self
    }

    /// Its share where weights count; 1 by default. 0 stands for the least share, not for none:
    /// set its [`Health`] to take a worker out.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn own_weight(&self) -> u32 {
        self.weight
    }

    /// The same with a name of its own: `<name>-<index>`.
    #[must_use]
    pub fn numbered(&self, index: usize) -> Self {
        Self { name: format!("{}-{index}", self.name), ..self.clone() }
    }

    fn capability_set(&self) -> Result<CapabilitySet, CapabilityError> {
        let general = self.general || self.capabilities.is_empty();
        let none = if general { CapabilitySet::GENERAL } else { CapabilitySet::NONE };
        self.capabilities.iter().try_fold(none, |set, name| Ok(set.with(Capability::intern(name)?)))
    }
}

/// One worker: who it is and what is known of it. Shared by the rosters that list it.
#[derive(Debug)]
pub struct Worker {
    pub(crate) stats: WorkerStats,
    id: WorkerId,
    name: Box<str>,
    capabilities: CapabilitySet,
    weight: u32,
    generation: AtomicU32,
    in_service_since: AtomicU64,
    recorder_taken: AtomicBool,
    pub(crate) tracking: Tracking,
    pub(crate) baseline: Arc<Baseline>,
    clock: Clock,
}

impl Worker {
    pub(crate) fn new(
        id: WorkerId,
        spec: &WorkerSpec,
        (board, lane): (Board, usize),
        tracking: Tracking,
        baseline: Arc<Baseline>,
        clock: Clock,
    ) -> Result<Self, CapabilityError> {
        let worker = Self {
            stats: WorkerStats::new(board, lane, &tracking),
            id,
            name: spec.name.as_str().into(),
            capabilities: spec.capability_set()?,
            weight: spec.weight,
            generation: AtomicU32::new(0),
            in_service_since: AtomicU64::new(0),
            recorder_taken: AtomicBool::new(false),
            tracking,
            baseline,
            clock,
        };
        worker.enter_service();
        Ok(worker)
    }

    /// Its number within the pool.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Its name, unique within the pool.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it offers.
    #[inline]
    pub fn capabilities(&self) -> CapabilitySet {
        self.capabilities
    }

    /// Its share where weights count.
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// How often its actor has been made anew.
    pub fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// Counts one more making of its actor, which is [new](Self::in_service_since) from now on;
    /// returns the new generation.
    pub fn next_generation(&self) -> u32 {
        self.enter_service();
        self.generation.fetch_add(1, Relaxed) + 1
    }

    /// The clock when it last became new: was made, was made anew
    /// ([`next_generation`](Self::next_generation)), or got its health back after it had been set
    /// aside ([`Roster::with_health`](crate::Roster::with_health)). One load, wait-free.
    #[inline]
    pub fn in_service_since(&self) -> u64 {
        self.in_service_since.load(Relaxed)
    }

    /// It is new from now on.
    pub(crate) fn enter_service(&self) {
        let now = self.clock.now();
        self.in_service_since.store(now, Relaxed);
        self.baseline.entered_service(now);
    }

    /// What is known of it.
    #[inline]
    pub fn stats(&self) -> &WorkerStats {
        &self.stats
    }

    /// What is normal in its pool.
    #[inline]
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// The clock that its times are by.
    #[inline]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Refuses every reservation from now on; those made before stand. When the worker's
    /// [in-flight](WorkerStats::in_flight) count then reads 0, nothing can reach it any more.
    pub fn close(&self) {
        self.stats.close();
    }

    /// The exclusive right to write this worker's statistics, for its thread; `None` while
    /// another has it.
    pub fn recorder(self: &Arc<Self>) -> Option<Recorder> {
        // Acquire pairs with the Release in `return_recorder`: one writer's plain stores come
        // before the next one's.
        (!self.recorder_taken.swap(true, Acquire)).then(|| Recorder::new(Arc::clone(self)))
    }

    /// The exclusive right to write this worker's statistics, out of the hands of a thread that
    /// is known to write no more: it hangs outside of them, and will
    /// [disown](Recorder::disown) its own. In any other case the statistics are garbled.
    pub fn replace_recorder(self: &Arc<Self>) -> Recorder {
        // As in `recorder`; what made it known came after the other thread's last write.
        self.recorder_taken.store(true, Relaxed);
        let mut recorder = Recorder::new(Arc::clone(self));
        recorder.publish();
        recorder
    }

    /// Takes the size of a task off the work ahead of this worker, where it has one. To be called
    /// before [`give_up`](Self::withdraw), with the size that the task was admitted with.
    pub fn withdraw_work_of(&self, expected_duration: u64) {
        self.stats.admissions().withdraw_work(expected_duration);
    }

    /// Takes a task off this worker's account without an end: it was shed, or has become another
    /// worker's. To be called once for a task that was admitted here and is not to be ended here.
    pub fn withdraw(&self) {
        self.stats.withdraw();
    }

    pub(crate) fn return_recorder(&self) {
        self.recorder_taken.store(false, Release);
        // After it: who takes the worker off the list again sees that others may record. Anyhow, as
        // its last end may not have been followed by a rest.
        self.stats.list_anyhow();
    }

    /// Takes a worker that was found busy off the list of the idle. Wait-free, by who picks.
    #[cold]
    pub(crate) fn unlist(&self) {
        self.stats.unlist(|| self.recorder_taken.load(Relaxed));
    }

    /// Records the end of a task that a reservation vouches for.
    #[inline]
    pub(crate) fn end_shared(&self, mut end: Completion) {
        end.at = self.progressed(end.at);
        self.stats.end_shared(&end, &self.tracking, &self.baseline);
    }

    /// Records the end of one of this worker's tasks that was
    /// [detached](crate::Reservation::detach). Any thread.
    ///
    /// An id names no task: each record ends one of those that were detached, and one too many is
    /// refused without harm to any other.
    ///
    /// # Cost
    /// Lock-free, the exception among the ways to record, which are wait-free: a detached task is
    /// taken by a compare-exchange, which is repeated where another thread detached or recorded a
    /// task of this worker in between. Allocates nothing.
    ///
    /// # Errors
    /// When nothing is in flight, or when the worker's own thread does the recording.
    pub fn record(&self, end: &Completion) -> Result<(), RecordError> {
        if self.recorder_taken.load(Relaxed) {
            return Err(RecordError::HasRecorder(self.id));
        }
        let end = Completion { at: self.progressed(end.at), ..*end };
        match self.stats.try_end(&end, &self.tracking, &self.baseline) {
            true => Ok(()),
            false => Err(RecordError::NothingInFlight(self.id)),
        }
    }

    /// Notes the time of an end, where selections have begun to note times, and returns it; reads
    /// the clock where `at` is unknown.
    #[inline]
    fn progressed(&self, at: u64) -> u64 {
        if !self.stats.notes_time() {
            return at;
        }
        let at = if at == 0 { self.clock.now() } else { at };
        self.stats.set_busy_since(at);
        self.stats.set_idle_since(at);
        at
    }
}
