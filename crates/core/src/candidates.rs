use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::roster::Member;
use crate::stats::history::{PLACES, place};
use crate::stats::{Board, Signals};
use crate::{Capability, Health, Reservation, Roster, Worker, WorkerId};

/// Who may be given a task: the workers that a strategy picks from, by index.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'r> {
    roster: &'r Roster,
    set: &'r CandidateSet,
    group: usize,
    /// Of the capability that was asked for.
    place: usize,
}

impl<'r> Candidates<'r> {
    /// The most groups that a roster can have.
    pub const MAX_GROUPS: usize = Capability::MAX + 2;

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.set.workers.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.set.workers.is_empty()
    }

    /// The candidate at `index`.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    #[inline]
    pub fn worker(&self, index: usize) -> &'r Arc<Worker> {
        &self.set.workers[index]
    }

    /// Takes a place at the candidate at `index`: [`Reservation::take`] without a look at the
    /// worker, whose other figures may be far from its admissions.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    #[inline]
    pub fn take(&self, index: usize, capability: Option<Capability>) -> Option<Reservation<'r>> {
        let worker = self.worker(index);
        let admissions = match &*self.set.runs {
            [run] => run.board.admissions(run.lanes.start + index),
            _ => worker.stats().admissions(),
        };
        Reservation::at(worker, admissions, self.position(index), capability)
    }

    /// Where the candidate at `index` stands in the roster.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    #[inline]
    pub fn position(&self, index: usize) -> usize {
        self.set.positions[index] as usize
    }

    /// The id and the weight of each, by index: side by side in memory, where the workers are not.
    #[inline]
    pub fn weights(&self) -> &'r [(WorkerId, u32)] {
        &self.set.weights
    }

    /// The number of their group: tasks whose capabilities have the same candidates share one.
    /// Below [`MAX_GROUPS`](Self::MAX_GROUPS).
    #[inline]
    pub fn group(&self) -> usize {
        self.group
    }

    /// Their roster.
    #[inline]
    pub fn roster(&self) -> &'r Roster {
        self.roster
    }

    /// What a selection reads of each, by index. Consume it with `for_each` or `fold`, which walk
    /// through memory faster than `next`.
    #[inline]
    pub fn signals(&self) -> impl Iterator<Item = Signals<'r>> {
        let place = self.place;
        self.set
            .runs
            .iter()
            .flat_map(move |run| run.board.signals(run.lanes.clone(), place, run.named))
    }

    /// What a selection reads of the candidate at `index`, if there is one.
    #[inline]
    pub fn signals_at(&self, index: usize) -> Option<Signals<'r>> {
        let worker = self.set.workers.get(index)?;
        Some(match &*self.set.runs {
            // Without a look at the worker, as in `take`.
            [run] => run.board.signals_at(run.lanes.start + index, self.place, run.named),
            _ => {
                let (board, lane) = worker.stats().place();
                board.signals_at(lane, self.place, self.set.is_named(worker))
            }
        })
    }

    /// All of them, by index.
    #[inline]
    pub fn iter(&self) -> std::slice::Iter<'r, Arc<Worker>> {
        self.set.workers.iter()
    }
}

/// The candidates for one capability, as the roster keeps them.
#[derive(Debug, Default)]
struct CandidateSet {
    workers: Box<[Arc<Worker>]>,
    positions: Box<[u32]>,
    weights: Box<[(WorkerId, u32)]>,
    /// Where their words are.
    runs: Box<[Run]>,
    /// What they are the candidates for, where some of them name it.
    capability: Option<Capability>,
}

/// Candidates in lanes beside each other, alike in whether they name the capability.
#[derive(Debug)]
struct Run {
    board: Board,
    lanes: Range<usize>,
    named: bool,
}

/// The candidates for every capability.
#[derive(Clone, Debug)]
pub(crate) struct CandidateTable {
    sets: Arc<[CandidateSet]>,
    /// Which of the sets, by [`place`].
    by_capability: [u8; PLACES],
}

/// The sets that every table has: of tasks without a capability, and of those whose capability
/// no worker names.
const ANY: u8 = 0;
const UNNAMED: u8 = 1;

impl CandidateTable {
    pub(crate) fn new(members: &[Member]) -> Self {
        let named: BTreeSet<Capability> =
            members.iter().flat_map(|member| member.worker.capabilities().iter()).collect();
        let mut by_capability = [UNNAMED; PLACES];
        by_capability[place(None)] = ANY;
        let mut sets = vec![
            CandidateSet::new(members, None, |_| true),
            CandidateSet::new(members, None, |worker| worker.capabilities().is_general()),
        ];
        for capability in named {
            by_capability[capability.index()] = sets.len() as u8;
            let serves = |worker: &Worker| worker.capabilities().serves(Some(capability));
            sets.push(CandidateSet::new(members, Some(capability), serves));
        }
        Self { sets: sets.into(), by_capability }
    }

    /// The group of a capability.
    #[inline]
    pub(crate) fn group_of(&self, capability: Option<Capability>) -> usize {
        usize::from(self.by_capability[place(capability)])
    }

    pub(crate) fn groups(&self) -> usize {
        self.sets.len()
    }

    /// The candidates of a group of `roster`, whose table this is.
    #[inline]
    pub(crate) fn get<'r>(
        &'r self,
        roster: &'r Roster,
        group: usize,
        asked: Option<Capability>,
    ) -> Candidates<'r> {
        Candidates { roster, set: &self.sets[group], group, place: place(asked) }
    }
}

impl Default for CandidateTable {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl CandidateSet {
    fn new(
        members: &[Member],
        capability: Option<Capability>,
        serves: impl Fn(&Worker) -> bool,
    ) -> Self {
        let healthy = Self::of(members, capability, |member| {
            member.health == Health::Active && serves(&member.worker)
        });
        if !healthy.workers.is_empty() {
            return healthy;
        }
        // Panic mode: some service beats none.
        Self::of(members, capability, |member| {
            member.health != Health::Draining && serves(&member.worker)
        })
    }

    fn of(
        members: &[Member],
        capability: Option<Capability>,
        wanted: impl Fn(&Member) -> bool,
    ) -> Self {
        let (workers, positions): (Vec<Arc<Worker>>, Vec<_>) = (0u32..)
            .zip(members)
            .filter(|(_, member)| wanted(member))
            .map(|(position, member)| (Arc::clone(&member.worker), position))
            .unzip();
        let mut set = Self {
            weights: workers.iter().map(|worker| (worker.id(), worker.weight())).collect(),
            workers: workers.into(),
            positions: positions.into(),
            runs: Box::default(),
            capability,
        };
        set.runs = set.find_runs();
        set
    }

    /// Whether a candidate has the very capability.
    fn is_named(&self, worker: &Worker) -> bool {
        self.capability.is_some_and(|capability| worker.capabilities().names(capability))
    }

    fn find_runs(&self) -> Box<[Run]> {
        let mut runs: Vec<Run> = Vec::new();
        for worker in &self.workers {
            let (board, lane) = worker.stats().place();
            let named = self.is_named(worker);
            match runs.last_mut() {
                Some(run) if run.board.is(board) && run.lanes.end == lane && run.named == named => {
                    run.lanes.end += 1;
                }
                _ => runs.push(Run { board: board.clone(), lanes: lane..lane + 1, named }),
            }
        }
        runs.into()
    }
}
