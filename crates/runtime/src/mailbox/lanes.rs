use std::sync::OnceLock;

use raddle_core::Priority;
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};
use raddle_sync::channel::{self, Receiver, Sender, TryRecvError};

use super::backoff::Backoff;
use crate::keys::MAX_BOUND_TASKS;

/// One of the queues of a mailbox. Tasks of one lane run in the order in which they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Before all others, and unbounded.
    Control,
    /// [`Priority::High`].
    High,
    /// Tasks with a key, whatever their priority, so that the order of a key is kept. Takes turns
    /// with [`Normal`](Self::Normal).
    Keyed,
    /// [`Priority::Normal`].
    Normal,
    /// [`Priority::Low`].
    Low,
}

impl Lane {
    /// All lanes, each at the index of its discriminant.
    pub const ALL: [Self; 5] = [Self::Control, Self::High, Self::Keyed, Self::Normal, Self::Low];
    /// The lanes whose tasks any worker may run.
    pub const FREE: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// Returns whether any worker may run the lane's tasks.
    pub fn is_free(self) -> bool {
        Self::FREE.contains(&self)
    }

    /// Returns the lane of a task.
    #[inline]
    pub fn of(priority: Priority, keyed: bool) -> Self {
        match priority {
            Priority::Control => Self::Control,
            _ if keyed => Self::Keyed,
            Priority::High => Self::High,
            Priority::Normal => Self::Normal,
            Priority::Low => Self::Low,
        }
    }
}

/// One task in this many is taken from the normal and keyed lanes first.
const NORMAL_TURN: u32 = 8;
/// One task in this many is taken from the low lane first.
const LOW_TURN: u32 = 64;

/// Counts the tasks taken; decides which lane comes first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn(u32);

impl Turn {
    /// The lanes in the order in which they are tried.
    ///
    /// The starvation bound: of 8 tasks taken while every lane has some, at least one is normal or
    /// keyed (these two take turns), and of 64, at least one is low.
    #[inline]
    fn order(self) -> [Lane; 4] {
        use Lane::{High, Keyed, Low, Normal};
        let turn = self.0 % LOW_TURN;
        let alternate = |even| if even { (Normal, Keyed) } else { (Keyed, Normal) };
        if turn % NORMAL_TURN == NORMAL_TURN - 1 {
            // Such turns have odd numbers only, so the parity of the turn would always choose the
            // same lane.
            let (first, second) = alternate((self.0 / NORMAL_TURN).is_multiple_of(2));
            return [first, second, High, Low];
        }
        let (first, second) = alternate(self.0.is_multiple_of(2));
        // Half-way between two of the turns above, so that low tasks take none of them.
        if turn == LOW_TURN / 2 { [Low, first, second, High] } else { [High, first, second, Low] }
    }
}

/// One channel per lane. All but the normal one are created at their first task.
pub(super) struct Lanes<T> {
    capacity: usize,
    normal: Channel<T>,
    /// The other lanes, by their discriminants; most pools never use one.
    others: [OnceLock<Channel<T>>; Lane::ALL.len()],
    /// Whether any of the others exists.
    any: AtomicBool,
}

type Channel<T> = (Sender<T>, Receiver<T>);

/// Polls of a caller at a full lane before it parks, of half a microsecond each. A checker explores
/// each of them, so one is enough there.
const POLLS_FOR_ROOM: u32 = if cfg!(loom) { 1 } else { 100 };

/// The tasks of a partition are counted in 16 bits, those that wait for room included.
const MAX_KEYED: usize = MAX_BOUND_TASKS as usize / 2;

impl<T> Lanes<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            normal: channel::bounded(capacity),
            others: std::array::from_fn(|_| OnceLock::new()),
            any: AtomicBool::new(false),
        }
    }

    /// The lane's channel, if it exists.
    #[inline]
    fn channel(&self, lane: Lane) -> Option<&Channel<T>> {
        match lane {
            Lane::Normal => Some(&self.normal),
            _ => self.others[lane as usize].get(),
        }
    }

    #[inline]
    pub(super) fn sender(&self, lane: Lane) -> &Sender<T> {
        &self.channel(lane).unwrap_or_else(|| self.create(lane)).0
    }

    #[cold]
    fn create(&self, lane: Lane) -> &Channel<T> {
        // Relaxed: a worker that misses it is woken, or checks again before it parks.
        self.any.store(true, Relaxed);
        self.others[lane as usize].get_or_init(|| match lane {
            Lane::Control => channel::unbounded(),
            Lane::Keyed => channel::bounded(self.capacity.min(MAX_KEYED)),
            _ => channel::bounded(self.capacity),
        })
    }

    #[inline]
    fn receiver(&self, lane: Lane) -> Option<&Receiver<T>> {
        self.channel(lane).map(|channel| &channel.1)
    }

    #[inline]
    pub(super) fn is_empty(&self, lane: Lane) -> bool {
        self.receiver(lane).is_none_or(Receiver::is_empty)
    }

    pub(super) fn len(&self, lane: Lane) -> usize {
        self.receiver(lane).map_or(0, Receiver::len)
    }

    /// Polls for a moment, while `may_wait`, until half of a full lane is empty. A caller that
    /// takes the first free slot finds the lane full again at its next task. It would then contend
    /// with the worker for a cache line, or be woken by the worker, at every task.
    pub(super) fn await_room(&self, lane: Lane, may_wait: impl Fn() -> bool) {
        let sender = self.sender(lane);
        let mut backoff = Backoff::new(0, POLLS_FOR_ROOM);
        while sender.len() > self.capacity / 2 && may_wait() && backoff.wait() {}
    }

    /// Takes the next task of a lane.
    #[inline]
    pub(super) fn take(&self, lane: Lane) -> Option<T> {
        let receiver = self.receiver(lane)?;
        // Checking is two loads; trying to receive from an empty channel costs a fence more.
        if receiver.is_empty() { None } else { receiver.try_recv().ok() }
    }

    /// Whether only the normal lane was ever used.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        !self.any.load(Relaxed)
    }

    /// Takes the next task, if only the normal lane was ever used.
    #[inline(always)]
    pub(super) fn next_plain(&self) -> Result<T, TryRecvError> {
        if self.is_plain() { self.normal.1.try_recv() } else { Err(TryRecvError::Empty) }
    }

    /// Takes the next task of all lanes.
    pub(super) fn next(&self, turn: &mut Turn) -> Option<T> {
        if let Some(task) = self.take(Lane::Control) {
            return Some(task);
        }
        let next = turn.order().into_iter().find_map(|lane| self.take(lane))?;
        turn.0 = turn.0.wrapping_add(1);
        Some(next)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn taken<T>(lanes: &Lanes<T>, count: usize) -> Vec<T> {
        let mut turn = Turn::default();
        std::iter::from_fn(|| lanes.next(&mut turn)).take(count).collect()
    }

    #[test]
    fn control_comes_first_and_order_within_a_lane_is_kept() {
        let lanes = Lanes::new(8);
        for (number, lane) in
            [Lane::Low, Lane::Normal, Lane::High, Lane::Control].iter().enumerate()
        {
            for offset in [0, 10, 20] {
                lanes.sender(*lane).send(number as u32 + offset).unwrap();
            }
        }
        // The eighth task that is not a control message would be normal even if high ones were left.
        assert_eq!(taken(&lanes, 12), [3, 13, 23, 2, 12, 22, 1, 11, 21, 0, 10, 20]);
    }

    #[test]
    fn no_lane_starves() {
        let lanes = Lanes::new(1_000);
        for lane in [Lane::High, Lane::Normal, Lane::Keyed, Lane::Low] {
            (0..1_000).for_each(|_| lanes.sender(lane).send(lane).unwrap());
        }
        let taken = taken(&lanes, 640);
        for window in taken.windows(64) {
            let count = |lane| window.iter().filter(|taken| **taken == lane).count();
            assert!(count(Lane::Low) >= 1, "low starves");
            assert!(count(Lane::Normal) >= 3, "normal starves");
            assert!(count(Lane::Keyed) >= 3, "keyed starves");
            assert_eq!(count(Lane::High), 55, "the high lane gets less than its share");
        }
        for window in taken.windows(8) {
            assert!(window.iter().any(|lane| matches!(lane, Lane::Normal | Lane::Keyed)));
        }
    }

    #[test]
    fn normal_and_keyed_take_turns() {
        let lanes = Lanes::new(100);
        for lane in [Lane::Normal, Lane::Keyed] {
            (0..100).for_each(|_| lanes.sender(lane).send(lane).unwrap());
        }
        let taken = taken(&lanes, 80);
        let keyed = taken.iter().filter(|lane| **lane == Lane::Keyed).count();
        assert!((35..=45).contains(&keyed), "{keyed} of 80");
        assert!(
            taken
                .windows(4)
                .all(|four| four.contains(&Lane::Keyed) && four.contains(&Lane::Normal))
        );
    }

    #[test]
    fn the_lane_follows_from_priority_and_key() {
        assert_eq!(Lane::of(Priority::Control, true), Lane::Control);
        assert_eq!(Lane::of(Priority::High, true), Lane::Keyed);
        assert_eq!(Lane::of(Priority::High, false), Lane::High);
        assert_eq!(Lane::of(Priority::default(), false), Lane::Normal);
        assert_eq!(Lane::of(Priority::Low, false), Lane::Low);
    }
}
