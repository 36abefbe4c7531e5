use std::sync::Arc;

use crate::candidate_sets::CandidateSet;
use crate::random::below;
use crate::stats::Signals;
use crate::stats::history::column;
use crate::stats::idle::nth_set_bit;
use crate::{Capability, Reservation, Roster, Worker};

/// The workers that may receive a task. A strategy picks one of them by its index.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'r> {
    roster: &'r Roster,
    set: &'r CandidateSet,
    group: usize,
    /// The column of the requested capability.
    column: usize,
}

impl Roster {
    /// Returns the workers that may receive a task that names `capability`, or no capability.
    /// Wait-free: one table lookup.
    #[inline]
    pub fn candidates(&self, capability: Option<Capability>) -> Candidates<'_> {
        Candidates::new(self, self.table.group_of(capability), capability)
    }

    /// Returns every distinct set of candidates, by [group](Candidates::group).
    pub fn groups(&self) -> impl Iterator<Item = Candidates<'_>> {
        (0..self.table.sets.len()).map(|group| Candidates::new(self, group, None))
    }
}

impl<'r> Candidates<'r> {
    /// The maximum number of groups in a roster.
    pub const MAX_GROUPS: usize = Capability::MAX + 2;

    #[inline]
    fn new(roster: &'r Roster, group: usize, capability: Option<Capability>) -> Self {
        Self { roster, set: &roster.table.sets[group], group, column: column(capability) }
    }

    /// Returns the number of candidates.
    #[inline]
    pub fn len(&self) -> usize {
        self.set.workers.len()
    }

    /// Returns whether there are no candidates.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.set.workers.is_empty()
    }

    /// Returns the candidate at `index`.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    #[inline]
    pub fn worker(&self, index: usize) -> &'r Arc<Worker> {
        &self.set.workers[index]
    }

    /// Reserves the candidate at `index`, like [`Reservation::take`]; `None` when it is closed.
    /// Wait-free. Does not read the worker itself, whose memory may be far from its counters.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    #[inline]
    pub fn take(&self, index: usize, capability: Option<Capability>) -> Option<Reservation<'r>> {
        let worker = self.worker(index);
        let admissions = match &*self.set.runs {
            [run] => &run.board.admissions[run.rows.start + index],
            _ => self.set.admissions_of(index)?,
        };
        Reservation::at(worker, admissions, self.position(index), capability)
    }

    /// Returns the position in the roster of the candidate at `index`.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    #[inline]
    pub fn position(&self, index: usize) -> usize {
        self.set.positions[index] as usize
    }

    /// Returns the [hash of the name](Worker::name_hash) and the weight of each candidate, by index,
    /// in contiguous memory.
    #[inline]
    pub fn weights(&self) -> &'r [(u64, u32)] {
        &self.set.weights
    }

    /// Returns the number of this set of candidates, below [`MAX_GROUPS`](Self::MAX_GROUPS). Two
    /// capabilities with the same group have the same candidates.
    #[inline]
    pub fn group(&self) -> usize {
        self.group
    }

    #[cfg(test)]
    pub(crate) fn set(&self) -> &'r CandidateSet {
        self.set
    }

    /// Returns the roster that lists the candidates.
    #[inline]
    pub fn roster(&self) -> &'r Roster {
        self.roster
    }

    /// Returns the statistics of each candidate that a selection reads, by index.
    ///
    /// Consume it with `for_each` or `fold`, which traverse memory faster than `next`.
    #[inline]
    pub fn signals(&self) -> impl Iterator<Item = Signals<'r>> {
        let column = self.column;
        let runs = self.set.runs.iter();
        runs.flat_map(move |run| run.board.signals(run.rows.clone(), column, run.named))
    }

    /// Returns the statistics of the candidate at `index`; `None` when there is no such candidate.
    #[inline]
    pub fn signals_at(&self, index: usize) -> Option<Signals<'r>> {
        self.set.workers.get(index)?;
        if let [run] = &*self.set.runs {
            return Some(run.board.signals_at(run.rows.start + index, self.column, run.named));
        }
        let (run, row) = self.set.row_of(index)?;
        Some(run.board.signals_at(row, self.column, run.named))
    }

    /// Returns the index of an idle candidate that `accept` accepts: one that has nothing in
    /// flight and is not closed.
    ///
    /// The upper half of `random` draws a candidate. If that one is not idle, the search visits
    /// those that are listed as idle among its up to 64 neighbours in random order, then those of
    /// the next 64, and so on. `accept` receives the index, the statistics, and whether the
    /// candidate is the one drawn first, which is uniformly distributed. Among up to 64 candidates,
    /// every idle one is equally likely. Among more, one is likelier while its neighbours are busy;
    /// over time that favours none of equal candidates, however the membership came about.
    ///
    /// Returns `None` when no candidate is listed as idle, and when each of the first eight visited
    /// had tasks or was rejected by `accept`. A worker that has just ended its last task may not be
    /// listed yet. Candidates that turn out to have tasks are removed from the list, with three
    /// read-modify-writes each; nothing else is written.
    ///
    /// Wait-free, allocates nothing. Reads one or two words per 64 workers, and one and a half cache
    /// lines per visited candidate.
    #[inline]
    pub fn find_idle(
        &self,
        random: u64,
        mut accept: impl FnMut(usize, &Signals<'r>, bool) -> bool,
    ) -> Option<usize> {
        let drawn = below((random >> 32) as u32, self.len());
        let (run, row) = match &*self.set.runs {
            [run] => (run, run.rows.start + drawn),
            _ => self.set.row_of(drawn)?,
        };
        if run.board.idle.is_set(row) {
            let signals = run.board.signals_at(row, self.column, run.named);
            if signals.in_flight() == 0 {
                if accept(drawn, &signals, true) {
                    return Some(drawn);
                }
            } else {
                self.worker(drawn).unlist();
            }
        }
        self.search_idle(drawn, random, accept)
    }

    /// Continues [`find_idle`](Self::find_idle), which has already checked the candidate at `drawn`.
    #[inline(never)]
    fn search_idle(
        &self,
        drawn: usize,
        mut random: u64,
        mut accept: impl FnMut(usize, &Signals<'r>, bool) -> bool,
    ) -> Option<usize> {
        let wards = &self.set.wards;
        let home = self.set.ward_of(drawn);
        let mut visits = 1;
        let mut unvisited = !(1 << (drawn - wards[home].first));
        for ward in wards[home..].iter().chain(&wards[..home]) {
            let mut listed = ward.listed() & unvisited;
            unvisited = u64::MAX;
            while listed != 0 {
                if visits == MAX_VISITS {
                    return None;
                }
                visits += 1;
                random = random.wrapping_mul(MULTIPLIER).wrapping_add(1);
                let nth = below((random >> 32) as u32, listed.count_ones() as usize);
                let bit = nth_set_bit(listed, nth as u32);
                listed &= !(1 << bit);
                let index = ward.first + bit as usize;
                let signals = self.signals_at(index)?;
                if signals.in_flight() != 0 {
                    self.worker(index).unlist();
                } else if accept(index, &signals, false) {
                    return Some(index);
                }
            }
        }
        None
    }

    /// Returns the candidates, by index.
    #[inline]
    pub fn iter(&self) -> std::slice::Iter<'r, Arc<Worker>> {
        self.set.workers.iter()
    }
}

/// The most candidates that [`Candidates::find_idle`] visits.
const MAX_VISITS: usize = 8;
/// Knuth's multiplier for a linear congruential generator. Only the upper half is used.
const MULTIPLIER: u64 = 0x5851_f42d_4c95_7f2d;
