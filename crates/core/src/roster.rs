use std::collections::{HashSet, TryReserveError};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};
use thiserror::Error;

use crate::baseline::Baseline;
use crate::candidate_sets::CandidateTable;
use crate::member::Member;
use crate::stats::{Board, Row, WorkerStats};
use crate::{
    CapabilityError, Clock, Completion, Health, RecordError, Tracking, TrackingError, Worker,
    WorkerId, WorkerSpec,
};

/// An immutable snapshot of a pool's workers and their health.
///
/// A change of membership or health creates another roster, which shares the workers and therefore
/// their statistics. Each roster computes in advance which workers may serve which capability, so
/// a selection finds its candidates by one table lookup, however few they are.
///
/// ```
/// use raddle_core::{Roster, WorkerSpec};
///
/// let roster = Roster::builder()
///     .worker(WorkerSpec::new("gpu-0").capability("vision"))
///     .workers(3, WorkerSpec::general())
///     .build()?;
/// assert_eq!(roster.members().len(), 4);
/// # Ok::<(), raddle_core::RosterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Roster {
    members: Vec<Member>,
    /// Those of the members, and of workers that have left.
    boards: Vec<Board>,
    pub(crate) table: CandidateTable,
    lineage: u64,
    version: u64,
    /// The version of the newest roster of the lineage.
    newest: Arc<AtomicU64>,
    next_id: u32,
    tracking: Tracking,
    baseline: Arc<Baseline>,
    clock: Clock,
}

/// Builds a [`Roster`].
#[derive(Clone, Debug, Default)]
pub struct RosterBuilder {
    /// Each with the number of workers to create from it; `None` for one that is not numbered.
    specs: Vec<(WorkerSpec, Option<usize>)>,
    tracking: Tracking,
    clock: Option<Clock>,
}

/// Why a roster could not be created.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum RosterError {
    /// Two workers have the same name.
    #[error("two workers are named `{0}`; names are unique within a pool")]
    DuplicateName(String),
    /// A capability could not be interned.
    #[error("cannot intern a capability of worker `{worker}`")]
    Capability {
        /// The worker that offers it.
        worker: String,
        /// Why it could not be interned.
        source: CapabilityError,
    },
    /// A tracking parameter is out of its bounds.
    #[error(transparent)]
    Tracking(#[from] TrackingError),
    /// More workers than [`Roster::MAX_WORKERS`], those that the roster has included.
    #[error("{0} workers were requested; at most {max} are allowed", max = Roster::MAX_WORKERS)]
    TooManyWorkers(usize),
    /// The statistics of this many workers do not fit into memory.
    #[error(
        "no memory for the statistics of {workers} workers, which take {bytes} bytes; \
         use fewer workers or a shorter window"
    )]
    Memory {
        /// The number of new workers.
        workers: usize,
        /// What their statistics take.
        bytes: usize,
        /// The allocator's error.
        source: TryReserveError,
    },
    /// The roster has no worker with this id.
    #[error("worker {0} is not in the roster")]
    UnknownWorker(WorkerId),
}

impl RosterBuilder {
    /// Adds a worker.
    #[must_use]
    pub fn worker(mut self, spec: WorkerSpec) -> Self {
        self.specs.push((spec, None));
        self
    }

    /// Adds `count` workers, named `<name>-0`, `<name>-1` and so on.
    #[must_use]
    pub fn workers(mut self, count: usize, spec: WorkerSpec) -> Self {
        self.specs.push((spec, Some(count)));
        self
    }

    /// Sets what the statistics learn from recorded tasks.
    #[must_use]
    pub fn tracking(mut self, tracking: Tracking) -> Self {
        self.tracking = tracking;
        self
    }

    /// Sets the clock; the machine's by default.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Creates the roster. A roster may be empty: selections then find no candidates.
    ///
    /// # Errors
    /// When two workers have the same name, a capability cannot be interned, a tracking parameter
    /// is out of its bounds, or there are too many workers.
    pub fn build(self) -> Result<Roster, RosterError> {
        self.tracking.validate()?;
        let counts = self.specs.iter().map(|(_, count)| count.unwrap_or(1));
        check_count(counts.fold(0, usize::saturating_add))?;
        let mut specs = Vec::new();
        for (spec, count) in self.specs {
            match count {
                None => specs.push(spec),
                Some(count) => specs.extend((0..count).map(|number| spec.numbered(number))),
            }
        }
        // Unrelated rosters differ without sharing a global counter.
        let lineage = RandomState::new().hash_one(0);
        let empty = Roster {
            members: Vec::new(),
            boards: Vec::new(),
            table: CandidateTable::new(&[]),
            lineage,
            version: lineage,
            newest: Arc::new(AtomicU64::new(lineage)),
            next_id: 0,
            tracking: self.tracking,
            baseline: Arc::new(Baseline::new()),
            clock: self.clock.unwrap_or_default(),
        };
        empty.with_workers(&specs)
    }
}

/// Checks the number of workers of a roster.
fn check_count(workers: usize) -> Result<(), RosterError> {
    match workers > Roster::MAX_WORKERS {
        true => Err(RosterError::TooManyWorkers(workers)),
        false => Ok(()),
    }
}

impl Roster {
    /// The most workers that a roster can have: each needs a short id of its own.
    pub const MAX_WORKERS: usize = u16::MAX as usize;

    /// Starts building a roster.
    pub fn builder() -> RosterBuilder {
        RosterBuilder::default()
    }

    /// Returns the members. The index of a member is its *position*.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Returns the worker with this id. Searches the roster.
    pub fn worker(&self, id: WorkerId) -> Option<&Arc<Worker>> {
        // Ids ascend, and most rosters never lose a worker.
        let at_its_id = self.members.get(id.0 as usize).filter(|member| member.worker.id() == id);
        at_its_id
            .or_else(|| self.members.iter().find(|member| member.worker.id() == id))
            .map(|member| &member.worker)
    }

    /// Returns a stamp that differs between any two rosters.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns a stamp that all rosters derived from one roster share, and no others.
    pub fn lineage(&self) -> u64 {
        self.lineage
    }

    /// Returns the number of this roster in its [lineage](Self::lineage): later ones have higher numbers.
    pub fn number(&self) -> u64 {
        self.version.wrapping_sub(self.lineage)
    }

    /// Returns the clock of the workers.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns what the statistics learn from recorded tasks.
    pub fn tracking(&self) -> &Tracking {
        &self.tracking
    }

    /// Returns the pool-wide means that workers are compared with.
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// Records the end of a detached task by its worker's id: a lookup, then [`Worker::record`].
    /// Lock-free.
    ///
    /// # Errors
    /// When the worker is unknown, has no detached task in flight, or is recorded by its own thread.
    pub fn record(&self, id: WorkerId, end: &Completion) -> Result<(), RecordError> {
        self.worker(id).ok_or(RecordError::UnknownWorker(id))?.record(end)
    }

    /// Creates a roster with additional workers.
    ///
    /// # Errors
    /// When a name is taken, a capability cannot be interned, or there are too many workers.
    pub fn with_workers(&self, specs: &[WorkerSpec]) -> Result<Self, RosterError> {
        check_count(self.members.len().saturating_add(specs.len()))?;
        // An allocation that fails aborts the process, but an attempt does not.
        let bytes = specs.len().saturating_mul(self.tracking.bytes_per_worker());
        Vec::<u8>::new().try_reserve_exact(bytes).map_err(|source| RosterError::Memory {
            workers: specs.len(),
            bytes,
            source,
        })?;
        let mut names: HashSet<String> =
            self.members.iter().map(|member| member.worker.name().to_owned()).collect();
        let mut next = self.clone();
        let weights: Vec<_> = specs.iter().map(|spec| spec.weight).collect();
        let rows = Row::take(&mut next.boards, &weights, self.tracking.peak_decay);
        for (row, spec) in rows.into_iter().zip(specs) {
            let name = spec.name().to_owned();
            if !names.insert(name.clone()) {
                return Err(RosterError::DuplicateName(name));
            }
            let id = next.unused_id();
            let baseline = Arc::clone(&self.baseline);
            let stats = WorkerStats::new(row, self.tracking, baseline);
            let worker = Worker::new(id, spec, stats, self.clock.clone())
                .map_err(|source| RosterError::Capability { worker: name, source })?;
            next.members.push(Member { worker: Arc::new(worker), health: Health::Active });
        }
        Ok(next.published())
    }

    /// Creates a roster in which a worker has another health. A worker that becomes
    /// [active](Health::Active) counts as [new](Worker::in_service_since) from then on, and what
    /// counted against it is forgotten: after an ejection, and otherwise if it has completed a task
    /// since that was done last.
    ///
    /// # Errors
    /// When the worker is not in the roster.
    pub fn with_health(&self, id: WorkerId, health: Health) -> Result<Self, RosterError> {
        self.with_changed_health(&[(id, health)])
    }

    /// Creates a roster in which several workers have another health, as
    /// [`with_health`](Self::with_health) does for one.
    ///
    /// # Errors
    /// When a worker is not in the roster.
    pub fn with_changed_health(&self, changes: &[(WorkerId, Health)]) -> Result<Self, RosterError> {
        let mut next = self.clone();
        for (id, health) in changes {
            let member = next.members.iter_mut().find(|member| member.worker.id() == *id);
            let member = member.ok_or(RosterError::UnknownWorker(*id))?;
            if *health == Health::Active && member.health != Health::Active {
                member.worker.enter_service();
                // An ejection is long, and longer each time; a restart may be immediate.
                match member.health {
                    Health::Ejected => member.worker.stats().forget(),
                    _ => member.worker.stats().forget_if_refuted(),
                }
            }
            member.health = *health;
        }
        Ok(next.published())
    }

    /// Creates a roster without a worker. Its statistics live as long as anything refers to it.
    ///
    /// # Errors
    /// When the worker is not in the roster.
    pub fn without_worker(&self, id: WorkerId) -> Result<Self, RosterError> {
        let mut next = self.clone();
        next.members.retain(|member| member.worker.id() != id);
        if next.members.len() == self.members.len() {
            return Err(RosterError::UnknownWorker(id));
        }
        Ok(next.published())
    }

    /// Returns an id that was never used, and whose short id no member has.
    fn unused_id(&mut self) -> WorkerId {
        loop {
            let id = WorkerId(self.next_id);
            self.next_id += 1;
            let short_id = id.short_id();
            // Ids ascend: the first 65,536 cannot share a short id.
            let is_free = id.0 < u32::from(u16::MAX)
                || self.members.iter().all(|member| member.worker.id().short_id() != short_id);
            // The last short id means "no worker".
            if is_free && short_id != u16::MAX {
                return id;
            }
        }
    }

    fn published(mut self) -> Self {
        self.table = CandidateTable::new(&self.members);
        // Relaxed: each roster only needs a number of its own.
        self.version = self.newest.fetch_add(1, Relaxed).wrapping_add(1);
        self
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Candidates, Capability};
    use std::error::Error;

    fn names(candidates: Candidates<'_>) -> Vec<&str> {
        candidates.iter().map(|worker| worker.name()).collect()
    }

    #[test]
    fn candidates_follow_capability_health_and_membership() {
        let vision = Capability::intern("roster-vision").unwrap();
        let speech = Capability::intern("roster-speech").unwrap();
        let roster = Roster::builder()
            .worker(WorkerSpec::new("v").capability("roster-vision"))
            .worker(WorkerSpec::new("g"))
            .worker(WorkerSpec::new("vg").capability("roster-vision").and_general())
            .build()
            .unwrap();
        assert_eq!(names(roster.candidates(None)), ["v", "g", "vg"]);
        assert_eq!(names(roster.candidates(Some(vision))), ["v", "g", "vg"]);
        assert_eq!(names(roster.candidates(Some(speech))), ["g", "vg"]);

        let id = |name| {
            let member = roster.members().iter().find(|member| member.worker.name() == name);
            member.unwrap().worker.id()
        };
        let ejected = roster.with_health(id("g"), Health::Ejected).unwrap();
        assert_eq!(names(ejected.candidates(Some(speech))), ["vg"]);
        // If no healthy worker is left, every worker serves that is not draining.
        let panic = ejected.with_health(id("vg"), Health::Quarantined).unwrap();
        assert_eq!(names(panic.candidates(Some(speech))), ["g", "vg"]);
        assert_eq!(names(panic.candidates(None)), ["v"]);
        let draining = panic.with_health(id("g"), Health::Draining).unwrap();
        assert_eq!(names(draining.candidates(Some(speech))), ["vg"]);

        let fewer = roster.without_worker(id("v")).unwrap();
        assert_eq!(names(fewer.candidates(Some(vision))), ["g", "vg"]);
        assert!(fewer.worker(id("v")).is_none() && fewer.worker(id("vg")).is_some());
        assert_ne!(fewer.version(), roster.version());
        let more = fewer.with_workers(&[WorkerSpec::new("v")]).unwrap();
        assert_eq!(more.members().last().unwrap().worker.id(), WorkerId(3), "ids are not reused");
    }

    #[test]
    fn a_worker_is_new_when_created_restarted_or_active_again() {
        let (clock, time) = Clock::simulated();
        let roster = Roster::builder().workers(2, WorkerSpec::general()).clock(clock);
        let roster = roster.build().unwrap();
        let worker = &roster.members()[1].worker;
        let since = || (worker.in_service_since(), roster.baseline().newest_since());
        assert_eq!(since(), (1, 1));
        time.set(5);
        worker.next_generation();
        assert_eq!(since(), (5, 5));
        time.set(9);
        let aside = roster.with_health(worker.id(), Health::Ejected).unwrap();
        assert_eq!(since(), (5, 5));
        let back = aside.with_health(worker.id(), Health::Active).unwrap();
        assert_eq!(since(), (9, 9));
        time.set(12);
        back.with_health(worker.id(), Health::Active).unwrap();
        assert_eq!(since(), (9, 9), "it was active already");
        back.with_workers(&[WorkerSpec::new("late")]).unwrap();
        assert_eq!(since(), (9, 12), "another worker is newer");
        time.set(2);
        worker.next_generation();
        assert_eq!(since(), (2, 12), "the clock went back");
    }

    #[test]
    fn an_id_is_used_once_and_its_short_id_is_free() {
        let mut roster = Roster::builder().workers(3, WorkerSpec::general()).build().unwrap();
        roster = roster.without_worker(WorkerId(1)).unwrap();
        // As if many workers had come and gone.
        roster.next_id = u32::from(u16::MAX) - 1;
        let specs: Vec<_> =
            (0..4).map(|number| WorkerSpec::new(format!("late-{number}"))).collect();
        let grown = roster.with_workers(&specs).unwrap();
        let ids: Vec<_> = grown.members().iter().map(|member| member.worker.id().0).collect();
        // 65,535 means "no worker"; 65,536 and 65,538 have the short ids of 0 and 2.
        assert_eq!(ids, [0, 2, 65_534, 65_537, 65_539, 65_540]);
        assert_eq!(grown.worker(WorkerId(65_539)).unwrap().name(), "late-2");
    }

    #[test]
    fn a_roster_returns_what_it_was_built_with() {
        let tracking = Tracking { window: 7, ..Tracking::default() };
        let (clock, time) = Clock::simulated();
        let builder = Roster::builder().workers(1, WorkerSpec::general());
        let roster = builder.tracking(tracking).clock(clock).build().unwrap();
        time.set(42);
        assert_eq!((*roster.tracking(), roster.clock().now()), (tracking, 42));
        assert_eq!(roster.members()[0].worker.clock().now(), 42);
    }

    #[test]
    fn errors_name_the_mistake() {
        let twice = Roster::builder().worker(WorkerSpec::new("a")).worker(WorkerSpec::new("a"));
        let error = twice.build().unwrap_err();
        assert_eq!(error.to_string(), "two workers are named `a`; names are unique within a pool");
        let nameless = Roster::builder().worker(WorkerSpec::new("a").capability(""));
        let error = nameless.build().unwrap_err();
        assert_eq!(error.to_string(), "cannot intern a capability of worker `a`");
        assert_eq!(
            error.source().unwrap().to_string(),
            "a capability name is empty, allowed is any other text"
        );
        let roster = Roster::builder().build().unwrap();
        assert!(matches!(roster.without_worker(WorkerId(0)), Err(RosterError::UnknownWorker(_))));
    }
}
