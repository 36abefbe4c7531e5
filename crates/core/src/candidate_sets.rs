use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::member::Member;
use crate::stats::history::{COLUMNS, column};
use crate::stats::idle::PER_WORD;
use crate::stats::{Admissions, Board, Row};
use crate::{Capability, Health, Worker};

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

/// The candidates of one group. Parallel arrays, by candidate index: in the order of their rows, not of
/// their positions, so that how the membership came about does not scatter them in memory.
#[derive(Debug, Default)]
pub(crate) struct CandidateSet {
    pub(crate) workers: Box<[Arc<Worker>]>,
    pub(crate) positions: Box<[u32]>,
    pub(crate) weights: Box<[(u64, u32)]>,
    pub(crate) runs: Box<[Run]>,
    /// The number of each candidate's run; empty if there is only one run.
    run_of: Box<[u32]>,
    /// Equal shares of the candidates, except that some have one candidate more.
    pub(crate) wards: Box<[Ward]>,
}

/// Consecutive candidates in adjacent rows of one board that agree on whether they name the
/// capability.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) board: Board,
    pub(crate) rows: Range<usize>,
    pub(crate) named: bool,
    /// The index of the first candidate.
    first: usize,
}

/// At most 64 consecutive candidates, among which an idle one is searched first. They are of equal
/// size, so that none of their members is found more often than another, whatever words they are in.
#[derive(Debug)]
pub(crate) struct Ward {
    /// The index of the first candidate.
    pub(crate) first: usize,
    blocks: Box<[Block]>,
}

/// Candidates of one ward whose idle bits share a word.
#[derive(Debug)]
struct Block {
    board: Board,
    word: usize,
    /// The bits of the candidates.
    mask: u64,
    /// The number of the first candidate in its ward.
    offset: u32,
}

impl Ward {
    /// Returns a bit for each of the candidates, in their order: whether it is listed as idle.
    #[inline]
    pub(crate) fn listed(&self) -> u64 {
        self.blocks.iter().fold(0, |listed, block| listed | block.listed() << block.offset)
    }
}

impl Block {
    /// Returns a bit for each of the candidates, from the lowest on.
    #[inline]
    fn listed(&self) -> u64 {
        let Self { board, word, mask, .. } = self;
        let listed = board.idle.word(*word) & mask;
        let ones = mask >> mask.trailing_zeros();
        match ones & ones.wrapping_add(1) {
            0 => listed >> mask.trailing_zeros(),
            _ => packed(listed, *mask),
        }
    }
}

/// Moves the bits of `word` that `mask` selects to the bottom, in their order.
#[cold]
fn packed(mut word: u64, mask: u64) -> u64 {
    let mut packed = 0;
    while word != 0 {
        let bit = word & word.wrapping_neg();
        packed |= 1 << (mask & (bit - 1)).count_ones();
        word ^= bit;
    }
    packed
}

impl CandidateSet {
    fn new(
        members: &[Member],
        capability: Option<Capability>,
        serves: impl Fn(&Worker) -> bool,
    ) -> Self {
        let find = |receives: fn(Health) -> bool| -> Vec<(Arc<Worker>, u32)> {
            let members = (0..).zip(members).filter(|(_, member)| receives(member.health));
            let members = members.filter(|(_, member)| serves(&member.worker));
            members.map(|(position, member)| (Arc::clone(&member.worker), position)).collect()
        };
        let mut found = find(|health| health == Health::Active);
        if found.is_empty() {
            // No active worker serves these tasks, so those that were set aside do.
            found = find(Health::takes_tasks);
        }
        found.sort_by_key(|(worker, _)| worker.stats().row().order());
        let (workers, positions): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let runs = find_runs(&workers, capability);
        let run_of = match runs.len() {
            0 | 1 => Vec::new(),
            _ => {
                (0..).zip(&runs).flat_map(|(run, Run { rows, .. })| vec![run; rows.len()]).collect()
            }
        };
        Self {
            weights: workers.iter().map(|worker| (worker.name_hash(), worker.weight())).collect(),
            wards: find_wards(&workers),
            workers: workers.into(),
            positions: positions.into(),
            runs: runs.into(),
            run_of: run_of.into(),
        }
    }

    /// Returns the run of the candidate at `index` and its row there, if there are several runs; `None`
    /// beyond the last candidate. Does not read the worker, whose memory may be far from its row.
    #[inline]
    pub(crate) fn row_of(&self, index: usize) -> Option<(&Run, usize)> {
        let run = &self.runs[*self.run_of.get(index)? as usize];
        Some((run, run.rows.start + index - run.first))
    }

    /// Returns the admissions of the candidate at `index`, like [`row_of`](Self::row_of).
    #[inline(never)]
    pub(crate) fn admissions_of(&self, index: usize) -> Option<&Admissions> {
        self.row_of(index).map(|(run, row)| &run.board.admissions[row])
    }

    /// Returns the number of the ward of the candidate at `index`, which exists.
    #[inline]
    pub(crate) fn ward_of(&self, index: usize) -> usize {
        ((index + 1) * self.wards.len() - 1) / self.workers.len()
    }
}

fn find_runs(workers: &[Arc<Worker>], capability: Option<Capability>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (first, worker) in workers.iter().enumerate() {
        let Row { board, number, .. } = worker.stats().row();
        // Whether the worker itself names the capability of the group.
        let named = capability.is_some_and(|capability| worker.capabilities().contains(capability));
        match runs.last_mut() {
            Some(run) if run.board.is(board) && run.rows.end == *number && run.named == named => {
                run.rows.end += 1;
            }
            _ => runs.push(Run { board: board.clone(), rows: *number..number + 1, named, first }),
        }
    }
    runs
}

fn find_wards(workers: &[Arc<Worker>]) -> Box<[Ward]> {
    let (count, wards) = (workers.len(), workers.len().div_ceil(PER_WORD));
    let ward = |ward: usize| {
        let first = ward * count / wards;
        let mut blocks: Vec<Block> = Vec::new();
        for (offset, worker) in (0..).zip(&workers[first..(ward + 1) * count / wards]) {
            let Row { board, number, .. } = worker.stats().row();
            let (word, bit) = (number / PER_WORD, 1 << (number % PER_WORD));
            match blocks.last_mut() {
                Some(block) if block.board.is(board) && block.word == word => block.mask |= bit,
                _ => blocks.push(Block { board: board.clone(), word, mask: bit, offset }),
            }
        }
        Ward { first, blocks: blocks.into() }
    };
    (0..wards).map(ward).collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Roster, WorkerId, WorkerSpec};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn selected_bits_are_packed_in_their_order(word: u64, mask: u64) {
            let selected = (0..64).filter(|bit| mask >> bit & 1 != 0);
            let bits = selected.enumerate().map(|(to, from)| (word >> from & 1) << to);
            prop_assert_eq!(packed(word & mask, mask), bits.sum::<u64>());
        }
    }

    fn layout(roster: &Roster) -> (usize, usize) {
        let set = &roster.candidates(None).set();
        (set.runs.len(), set.wards.iter().map(|ward| ward.blocks.len()).sum())
    }

    #[test]
    fn workers_that_were_added_one_by_one_are_close_together() {
        let mut roster = Roster::builder().build().unwrap();
        for number in 0..300 {
            roster = roster.with_workers(&[WorkerSpec::general().numbered(number)]).unwrap();
        }
        let (runs, blocks) = layout(&roster);
        // Boards of 1, 1, 2, 4 to 256 rows. At once, it would be 1 run and 9 blocks of 5 wards.
        assert!(runs <= 10 && blocks <= 20, "{runs} runs, {blocks} blocks");
    }

    #[test]
    fn a_row_is_used_again_once_its_worker_is_gone() {
        let mut roster = Roster::builder().workers(64, WorkerSpec::general()).build().unwrap();
        for change in 0..1_000 {
            let id = roster.members()[change * 7 % 64].worker.id();
            roster = roster.without_worker(id).unwrap();
            roster = roster.with_workers(&[WorkerSpec::new(format!("w{change}"))]).unwrap();
        }
        assert_eq!(layout(&roster), (1, 1));
    }

    #[test]
    fn a_row_is_kept_while_an_older_roster_has_its_worker() {
        let older = Roster::builder().workers(2, WorkerSpec::general()).build().unwrap();
        let held = older.candidates(None).take(0, None).unwrap();
        let newer = older.without_worker(WorkerId(0)).unwrap();
        let newer = newer.with_workers(&[WorkerSpec::new("added")]).unwrap();
        let in_flight = |roster: &Roster| -> Vec<_> {
            roster.members().iter().map(|member| member.worker.stats().in_flight()).collect()
        };
        assert_eq!((in_flight(&older), in_flight(&newer)), (vec![1, 0], vec![0, 0]));
        drop(held);
        // Dirty when it is given up.
        let worker = &older.members()[0].worker;
        (0..20).for_each(|_| {
            let end = crate::Outcome::Failed;
            crate::Reservation::take(worker, 0, None)
                .unwrap()
                .finish(end, std::time::Duration::MAX);
        });
        worker.close();
        drop(older);
        let next = newer.with_workers(&[WorkerSpec::new("again").weight(7)]).unwrap();
        let candidates = next.candidates(None);
        assert_eq!(layout(&next).0, 2, "the first board is full again, and one row of the second");
        let index = candidates.iter().position(|worker| worker.name() == "again").unwrap();
        let signals = candidates.signals_at(index).unwrap();
        let seen =
            (signals.in_flight(), signals.weight(), signals.recent_mean(), signals.history());
        assert_eq!((index, seen), (0, (0, 7, 0, 1.0)));
        assert!(!signals.is_failing() && signals.peak_latency(1).is_none());
        assert_eq!(signals.stalled_for(9) + signals.idle_for(9) + signals.work_ahead(9, None), 0);
    }
}
