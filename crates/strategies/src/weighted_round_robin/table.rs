use std::sync::OnceLock;

use raddle_core::Candidates;
use raddle_sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Schedules, one a group of candidates, that are replaced while they are read.
///
/// A new table is written into the side that is not in use, then the header is switched over. A
/// side is an arena of atomics that is never freed before the strategy, so a reader that is
/// suspended while its side is written again reads a turn of a newer table, or nothing sensible:
/// every number is checked against its bounds, and the candidates it picks from are its own.
/// Reading costs three loads; arc-swap's reference would cost 14 ns, more than all of a selection.
#[derive(Debug)]
pub(super) struct Table {
    /// [`Header`] of the table in use; 0 when there is none.
    header: AtomicU64,
    /// Arenas of 2^k numbers, made when first needed.
    sides: [[OnceLock<Box<[AtomicU32]>>; SIZES]; 2],
    writing: AtomicBool,
}

const SIZES: usize = 32;
const VERSION_SHIFT: u32 = 6;

/// Which roster the table is for, and where it stands: `version << 6 | size << 1 | side`, the
/// upper bits of the version cut off.
#[derive(Clone, Copy)]
struct Header(u64);

impl Header {
    fn is_for(self, version: u64) -> bool {
        self.0 >> VERSION_SHIFT == version & (u64::MAX >> VERSION_SHIFT)
    }
    fn size(self) -> usize {
        (self.0 >> 1) as usize % SIZES
    }
    fn side(self) -> usize {
        (self.0 & 1) as usize
    }
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            header: AtomicU64::new(0),
            sides: std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new())),
            writing: AtomicBool::new(false),
        }
    }

    /// Whether the table in use is for this roster.
    #[inline]
    pub(super) fn is_for(&self, version: u64) -> bool {
        Header(self.header.load(Relaxed)).is_for(version)
    }

    /// Whose turn the `sequence`-th selection from these candidates is; `None` when the table is
    /// not for their roster. Wait-free.
    #[inline]
    pub(super) fn turn(&self, candidates: &Candidates<'_>, sequence: u64) -> Option<usize> {
        // Acquire pairs with the Release in `write`: the arena was written before.
        let header = Header(self.header.load(Acquire));
        if !header.is_for(candidates.roster().version()) {
            return None;
        }
        let arena = self.sides[header.side()][header.size()].get()?;
        let number = |index: usize| arena.get(index).map(|number| number.load(Relaxed) as usize);
        // The arena starts with where each group's schedule starts, and where the last ends.
        let start = number(candidates.group())?;
        let length = number(candidates.group() + 1)?.checked_sub(start)?;
        let turn = number(start + sequence.checked_rem(length as u64)? as usize)?;
        (turn < candidates.len()).then_some(turn)
    }

    /// Replaces the table by these schedules, one a group. Gives up when another thread is at it.
    pub(super) fn write(&self, version: u64, schedules: &[Vec<u32>]) {
        // Acquire pairs with the Release below: one writer at a time, each after the last.
        if self.writing.swap(true, Acquire) {
            return;
        }
        let directory = schedules.len() + 1;
        let length = directory + schedules.iter().map(Vec::len).sum::<usize>();
        let size = length.next_power_of_two().ilog2() as usize;
        let side = 1 - Header(self.header.load(Relaxed)).side();
        if let Some(cell) = self.sides[side].get(size) {
            let arena = cell.get_or_init(|| (0..1 << size).map(|_| AtomicU32::new(0)).collect());
            let mut start = directory;
            for (place, schedule) in arena.iter().zip(schedules) {
                place.store(start as u32, Relaxed);
                start += schedule.len();
            }
            arena[schedules.len()].store(start as u32, Relaxed);
            for (place, turn) in arena[directory..].iter().zip(schedules.iter().flatten()) {
                place.store(*turn, Relaxed);
            }
            let header = version << VERSION_SHIFT | (size as u64) << 1 | side as u64;
            self.header.store(header, Release);
        }
        self.writing.store(false, Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::roster;

    impl Table {
        /// As if another thread were writing for ever.
        pub(crate) fn occupy(&self) {
            self.writing.store(true, Relaxed);
        }
    }

    fn turns(table: &Table, candidates: &Candidates<'_>) -> Vec<Option<usize>> {
        (0..4).map(|sequence| table.turn(candidates, sequence)).collect()
    }

    #[test]
    fn a_table_is_read_as_it_was_last_written() {
        let (table, roster) = (Table::new(), roster(3));
        let candidates = roster.candidates(None);
        assert_eq!(turns(&table, &candidates), [None; 4]);
        table.write(roster.version(), &[vec![0, 2], vec![]]);
        assert_eq!(turns(&table, &candidates), [Some(0), Some(2), Some(0), Some(2)]);
        table.write(roster.version(), &[(0..100).map(|turn| turn % 3).collect(), vec![]]);
        assert_eq!(turns(&table, &candidates), [Some(0), Some(1), Some(2), Some(0)]);
        table.write(roster.version(), &[vec![1], vec![]]);
        assert_eq!(turns(&table, &candidates), [Some(1); 4]);
        table.write(roster.version() + 1, &[vec![1], vec![]]);
        assert_eq!(turns(&table, &candidates), [None; 4], "it is another roster's");
    }

    #[test]
    fn each_group_has_its_own_turns() {
        let (table, roster) = (Table::new(), roster(2));
        let turns_of = |group| turns(&table, &roster.groups().nth(group).unwrap());
        table.write(roster.version(), &[vec![1, 0, 0], vec![0, 1]]);
        assert_eq!(turns_of(0), [Some(1), Some(0), Some(0), Some(1)]);
        assert_eq!(turns_of(1), [Some(0), Some(1), Some(0), Some(1)]);
        table.write(roster.version(), &[vec![0, 1], vec![]]);
        assert_eq!(turns_of(1), [None; 4]);
        table.write(roster.version(), &[vec![], vec![]]);
        assert_eq!(turns_of(0), [None; 4]);
    }

    #[test]
    fn a_turn_out_of_bounds_is_no_turn() {
        let (table, roster) = (Table::new(), roster(2));
        table.write(roster.version(), &[vec![0, 7], vec![]]);
        assert_eq!(turns(&table, &roster.candidates(None)), [Some(0), None, Some(0), None]);
        table.write(roster.version(), &[vec![2, 1], vec![]]);
        assert_eq!(turns(&table, &roster.candidates(None)), [None, Some(1), None, Some(1)]);
    }
}
