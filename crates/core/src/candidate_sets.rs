use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::member::Member;
use crate::stats::history::{COLUMNS, column};
use crate::stats::idle::{PER_WORD, nth_set_bit};
use crate::stats::{Board, Signals};
use crate::{Capability, Health, Worker, WorkerId};

/// The candidates for every capability, computed once per roster.
#[derive(Clone, Debug)]
pub(crate) struct CandidateTable {
    /// By group.
    pub(crate) sets: Arc<[CandidateSet]>,
    /// The index of the set to use, by [`column`].
    by_capability: [u8; COLUMNS],
}

/// Every table has two sets: for tasks without a capability, and for tasks whose capability no
/// worker names.
const ANY: u8 = 0;
const UNNAMED: u8 = 1;

impl CandidateTable {
    pub(crate) fn new(members: &[Member]) -> Self {
        let named: BTreeSet<Capability> =
            members.iter().flat_map(|member| member.worker.capabilities().iter()).collect();
        let mut by_capability = [UNNAMED; COLUMNS];
        by_capability[column(None)] = ANY;
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

    #[inline]
    pub(crate) fn group_of(&self, capability: Option<Capability>) -> usize {
        usize::from(self.by_capability[column(capability)])
    }
}

/// The candidates of one group. Parallel arrays, by candidate index.
#[derive(Debug, Default)]
pub(crate) struct CandidateSet {
    pub(crate) workers: Box<[Arc<Worker>]>,
    pub(crate) positions: Box<[u32]>,
    pub(crate) weights: Box<[(WorkerId, u32)]>,
    pub(crate) runs: Box<[Run]>,
    pub(crate) blocks: Box<[Block]>,
    /// The capability of the group, unless none is named.
    capability: Option<Capability>,
}

/// Consecutive candidates in adjacent rows of one board that agree on whether they name the
/// capability.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) board: Board,
    pub(crate) rows: Range<usize>,
    pub(crate) named: bool,
}

/// Candidates whose idle bits share a word, by ascending row.
#[derive(Debug)]
pub(crate) struct Block {
    board: Board,
    word: usize,
    /// The bits of the candidates.
    mask: u64,
    /// The bits of those that name the capability.
    named: u64,
    /// The index of the first candidate.
    first: usize,
}

impl Block {
    /// Returns the bits of the candidates that are listed as idle.
    #[inline]
    pub(crate) fn listed(&self) -> u64 {
        self.board.idle.word(self.word) & self.mask
    }

    #[inline]
    pub(crate) fn index_of(&self, bit: u32) -> usize {
        self.first + (self.mask & ((1 << bit) - 1)).count_ones() as usize
    }

    #[inline]
    pub(crate) fn signals_at(&self, bit: u32, column: usize) -> Signals<'_> {
        let row = self.word * PER_WORD + bit as usize;
        self.board.signals_at(row, column, self.named >> bit & 1 != 0)
    }
}

impl CandidateSet {
    fn new(
        members: &[Member],
        capability: Option<Capability>,
        serves: impl Fn(&Worker) -> bool,
    ) -> Self {
        let find = |receives: fn(Health) -> bool| -> (Vec<Arc<Worker>>, Vec<u32>) {
            let members = (0..).zip(members).filter(|(_, member)| receives(member.health));
            let members = members.filter(|(_, member)| serves(&member.worker));
            members.map(|(position, member)| (Arc::clone(&member.worker), position)).unzip()
        };
        let (mut workers, mut positions) = find(|health| health == Health::Active);
        if workers.is_empty() {
            // No healthy worker serves these tasks, so ejected and quarantined ones do.
            (workers, positions) = find(|health| health != Health::Draining);
        }
        let mut set = Self {
            weights: workers.iter().map(|worker| (worker.id(), worker.weight())).collect(),
            workers: workers.into(),
            positions: positions.into(),
            capability,
            ..Self::default()
        };
        set.runs = set.find_runs();
        set.blocks = set.find_blocks();
        set
    }

    /// Whether `worker` itself names the capability of the group.
    pub(crate) fn is_named(&self, worker: &Worker) -> bool {
        self.capability.is_some_and(|capability| worker.capabilities().contains(capability))
    }

    /// Returns the block of the candidate at `index`, and its bit there.
    #[inline]
    pub(crate) fn locate(&self, index: usize) -> Option<(usize, u32)> {
        if let [run] = &*self.runs {
            let row = run.rows.start + index;
            return Some((row / PER_WORD - run.rows.start / PER_WORD, (row % PER_WORD) as u32));
        }
        let number = self.blocks.partition_point(|block| block.first <= index).checked_sub(1)?;
        let block = &self.blocks[number];
        Some((number, nth_set_bit(block.mask, (index - block.first) as u32)))
    }

    fn find_blocks(&self) -> Box<[Block]> {
        let mut blocks: Vec<Block> = Vec::new();
        for (index, worker) in self.workers.iter().enumerate() {
            let (board, row) = worker.stats().row();
            let (word, bit) = (row / PER_WORD, 1 << (row % PER_WORD));
            let named = if self.is_named(worker) { bit } else { 0 };
            match blocks.last_mut() {
                // Ascending, because `index_of` counts the bits below.
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
            let (board, row) = worker.stats().row();
            let named = self.is_named(worker);
            match runs.last_mut() {
                Some(run) if run.board.is(board) && run.rows.end == row && run.named == named => {
                    run.rows.end += 1;
                }
                _ => runs.push(Run { board: board.clone(), rows: row..row + 1, named }),
            }
        }
        runs.into()
    }
}
