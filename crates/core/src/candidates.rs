use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::roster::Member;
use crate::stats::history::{PLACES, place};
use crate::stats::idle::{PER_WORD, nth_set_bit};
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
        if let [run] = &*self.set.runs {
            // Without a look at the worker.
            return Some(run.board.signals_at(run.lanes.start + index, self.place, run.named));
        }
        let (board, lane) = worker.stats().place();
        Some(board.signals_at(lane, self.place, self.set.is_named(worker)))
    }

    /// The index of an idle candidate that is `wanted`: that has nothing in flight and is not
    /// closed. One is drawn by `random`; where it is not listed as idle, the listed ones of its 64
    /// neighbours are looked at, drawn in turn, and then those of the next 64. `wanted` is told the
    /// index, and whether it is asked for the one that was drawn first, which each is as often as any
    /// other.
    ///
    /// `None` when none is listed, or when none of the first eight that are turns out to be idle and
    /// wanted. An idle worker that is not listed yet is being listed by whoever ended its last
    /// task. Those found to have something in flight are taken off the list, which costs three
    /// read-modify-writes; nothing else is changed.
    ///
    /// Wait-free, allocates nothing: a word for 64 workers of one board (those that a roster was
    /// made with, or that were added together), and a cache line and a half for each that is
    /// looked at.
    #[inline]
    pub fn find_idle(
        &self,
        random: u64,
        mut wanted: impl FnMut(usize, &Signals<'r>, bool) -> bool,
    ) -> Option<usize> {
        let drawn = scaled(random, self.len());
        let (home, bit) = self.set.locate(drawn)?;
        let block = &self.set.blocks[home];
        if block.listed() >> bit & 1 != 0 {
            let signals = block.signals_at(bit, self.place);
            if signals.in_flight() == 0 {
                if wanted(drawn, &signals, true) {
                    return Some(drawn);
                }
            } else {
                self.worker(drawn).unlist();
            }
        }
        self.search_idle(home, bit, random, wanted)
    }

    /// Looks for an idle candidate from the block `home` on, where the one of `seen` was looked at.
    fn search_idle(
        &self,
        home: usize,
        seen: u32,
        mut random: u64,
        mut wanted: impl FnMut(usize, &Signals<'r>, bool) -> bool,
    ) -> Option<usize> {
        let blocks = &self.set.blocks;
        let mut looks = 1;
        let mut left = !(1 << seen);
        for block in blocks[home..].iter().chain(&blocks[..home]) {
            let mut listed = block.listed() & left;
            left = u64::MAX;
            while listed != 0 {
                if looks == LOOKS {
                    return None;
                }
                looks += 1;
                random = random.wrapping_mul(STEP).wrapping_add(1);
                let nth = scaled(random, listed.count_ones() as usize);
                let bit = nth_set_bit(listed, nth as u32);
                listed &= !(1 << bit);
                let (index, signals) = (block.index_of(bit), block.signals_at(bit, self.place));
                if signals.in_flight() != 0 {
                    self.worker(index).unlist();
                } else if wanted(index, &signals, false) {
                    return Some(index);
                }
            }
        }
        None
    }

    /// All of them, by index.
    #[inline]
    pub fn iter(&self) -> std::slice::Iter<'r, Arc<Worker>> {
        self.set.workers.iter()
    }
}

/// Listed workers that [`Candidates::find_idle`] looks at.
const LOOKS: usize = 8;
/// Knuth's multiplier of a linear congruential generator, whose upper half is used.
const STEP: u64 = 0x5851_f42d_4c95_7f2d;

/// A number below `count`, by the upper half of `random`; as even as 32 bits make it.
#[inline]
fn scaled(random: u64, count: usize) -> usize {
    (((random >> 32) * count as u64) >> 32) as usize
}

/// The candidates for one capability, as the roster keeps them.
#[derive(Debug, Default)]
struct CandidateSet {
    workers: Box<[Arc<Worker>]>,
    positions: Box<[u32]>,
    weights: Box<[(WorkerId, u32)]>,
    /// Where their words are.
    runs: Box<[Run]>,
    /// Where their idle bits are.
    blocks: Box<[Block]>,
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

/// Candidates whose idle bits are in one word, by ascending lane.
#[derive(Debug)]
struct Block {
    board: Board,
    word: usize,
    /// Their bits.
    mask: u64,
    /// Those of them that name the capability.
    named: u64,
    /// The index of the first.
    first: usize,
}

impl Block {
    /// The bits of those that are listed as idle.
    #[inline]
    fn listed(&self) -> u64 {
        self.board.listed(self.word) & self.mask
    }

    #[inline]
    fn lane_of(&self, bit: u32) -> usize {
        self.word * PER_WORD + bit as usize
    }

    #[inline]
    fn index_of(&self, bit: u32) -> usize {
        self.first + (self.mask & ((1 << bit) - 1)).count_ones() as usize
    }

    #[inline]
    fn signals_at(&self, bit: u32, place: usize) -> Signals<'_> {
        self.board.signals_at(self.lane_of(bit), place, self.named >> bit & 1 != 0)
    }
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
            blocks: Box::default(),
            capability,
        };
        set.runs = set.find_runs();
        set.blocks = set.find_blocks();
        set
    }

    /// Whether a candidate has the very capability.
    fn is_named(&self, worker: &Worker) -> bool {
        self.capability.is_some_and(|capability| worker.capabilities().names(capability))
    }

    /// The number of the block that has the candidate at `index`, and its bit there.
    #[inline]
    fn locate(&self, index: usize) -> Option<(usize, u32)> {
        if let [run] = &*self.runs {
            let lane = run.lanes.start + index;
            return Some((lane / PER_WORD - run.lanes.start / PER_WORD, (lane % PER_WORD) as u32));
        }
        let number = self.blocks.partition_point(|block| block.first <= index).checked_sub(1)?;
        let block = &self.blocks[number];
        Some((number, nth_set_bit(block.mask, (index - block.first) as u32)))
    }

    fn find_blocks(&self) -> Box<[Block]> {
        let mut blocks: Vec<Block> = Vec::new();
        for (index, worker) in self.workers.iter().enumerate() {
            let (board, lane) = worker.stats().place();
            let (word, bit) = (lane / PER_WORD, 1 << (lane % PER_WORD));
            let named = if self.is_named(worker) { bit } else { 0 };
            match blocks.last_mut() {
                // In ascending order, as an index is found by counting the bits below.
                Some(block) if block.board.is(board) && block.word == word && block.mask < bit => {
                    block.mask |= bit;
                    block.named |= named;
                }
                _ => {
                    let board = board.clone();
                    blocks.push(Block { board, word, mask: bit, named, first: index });
                }
            }
        }
        blocks.into()
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
