use std::sync::{Arc, OnceLock};

use raddle_core::Priority;
use raddle_core::sync::channel::{self, Receiver, Sender};

use crate::keys::partitions::Partitions;

/// Where a task waits within a mailbox. Order within a lane is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Before everything else, without a limit.
    Control,
    /// Tasks with a key: whatever their priority, as the order of a key is kept. In turns with
    /// [`Normal`](Self::Normal).
    Keyed,
    /// [`Priority::High`].
    High,
    /// [`Priority::Normal`].
    Normal,
    /// [`Priority::Low`].
    Low,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Control, Self::High, Self::Keyed, Self::Normal, Self::Low];
    /// Those whose tasks may be run by any worker.
    pub const FREE: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// Whether its tasks may be run by any worker.
    pub fn is_free(self) -> bool {
        Self::FREE.contains(&self)
    }

    /// The lane of a task.
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

/// Of so many tasks taken, one is looked for among the normal and keyed ones first.
const NORMAL_TURN: u32 = 8;
/// Of so many tasks taken, one is looked for among the low ones first.
const LOW_TURN: u32 = 64;

/// How many tasks were taken: decides whose turn it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn(u32);

impl Turn {
    /// The lanes in the order in which they are looked at.
    ///
    /// The starvation bound: of 8 tasks taken while some wait in each lane, at least one is normal
    /// or keyed (those two in turns), and of 64, at least one is low.
    #[inline]
    fn order(self) -> [Lane; 4] {
        use Lane::{High, Keyed, Low, Normal};
        let turn = self.0 % LOW_TURN;
        let alternate = |even| if even { (Normal, Keyed) } else { (Keyed, Normal) };
        if turn % NORMAL_TURN == NORMAL_TURN - 1 {
            // Every other one of these turns would be of one kind: they come at odd numbers only.
            let (first, second) = alternate((self.0 / NORMAL_TURN).is_multiple_of(2));
            return [first, second, High, Low];
        }
        let (first, second) = alternate(self.0.is_multiple_of(2));
        // Between two turns of the others: it is to cost them none of theirs.
        if turn == LOW_TURN / 2 { [Low, first, second, High] } else { [High, first, second, Low] }
    }
}

/// A channel a lane. Those that many pools never use are made at their first task.
pub(super) struct Lanes<T> {
    capacity: usize,
    control: Channel<T>,
    normal: Channel<T>,
    /// High, keyed, low.
    others: Arc<[OnceLock<Channel<T>>; 3]>,
}

type Channel<T> = (Sender<T>, Receiver<T>);

/// Tasks of one key are counted in 16 bits, those that wait for room among them.
const MOST_KEYED: usize = Partitions::MAX_TASKS as usize / 2;

impl<T> Lanes<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            control: channel::unbounded(),
            normal: channel::bounded(capacity),
            others: Arc::default(),
        }
    }

    /// The lane's channel, if it has been made, or its place.
    #[inline]
    fn channel(&self, lane: Lane) -> Result<&Channel<T>, &OnceLock<Channel<T>>> {
        let place = match lane {
            Lane::Normal => return Ok(&self.normal),
            Lane::Control => return Ok(&self.control),
            Lane::High => &self.others[0],
            Lane::Keyed => &self.others[1],
            Lane::Low => &self.others[2],
        };
        place.get().ok_or(place)
    }

    #[inline]
    pub(super) fn sender(&self, lane: Lane) -> &Sender<T> {
        let channel = self.channel(lane).unwrap_or_else(|place| {
            let most = if lane == Lane::Keyed { MOST_KEYED } else { usize::MAX };
            place.get_or_init(|| channel::bounded(self.capacity.min(most)))
        });
        &channel.0
    }

    #[inline]
    fn receiver(&self, lane: Lane) -> Option<&Receiver<T>> {
        self.channel(lane).ok().map(|channel| &channel.1)
    }

    #[inline]
    pub(super) fn is_empty(&self, lane: Lane) -> bool {
        self.receiver(lane).is_none_or(Receiver::is_empty)
    }

    pub(super) fn len(&self, lane: Lane) -> usize {
        self.receiver(lane).map_or(0, Receiver::len)
    }

    /// The next task of a lane.
    #[inline]
    pub(super) fn take(&self, lane: Lane) -> Option<T> {
        let receiver = self.receiver(lane)?;
        // A look is two loads, an attempt on an empty channel a fence more.
        if receiver.is_empty() { None } else { receiver.try_recv().ok() }
    }

    /// The next task of all.
    #[inline]
    pub(super) fn next(&self, turn: &mut Turn) -> Option<(Lane, T)> {
        if let Some(task) = self.take(Lane::Control) {
            return Some((Lane::Control, task));
        }
        if self.others.iter().all(|lane| lane.get().is_none()) {
            return Some((Lane::Normal, self.normal.1.try_recv().ok()?));
        }
        self.next_of_many(turn)
    }

    fn next_of_many(&self, turn: &mut Turn) -> Option<(Lane, T)> {
        let of = |lane| self.take(lane).map(|task| (lane, task));
        let next = turn.order().into_iter().find_map(of)?;
        turn.0 = turn.0.wrapping_add(1);
        Some(next)
    }
}

impl<T> Clone for Lanes<T> {
    fn clone(&self) -> Self {
        Self {
            capacity: self.capacity,
            control: self.control.clone(),
            normal: self.normal.clone(),
            others: Arc::clone(&self.others),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn taken(lanes: &Lanes<u32>, count: usize) -> Vec<Lane> {
        let mut turn = Turn::default();
        std::iter::from_fn(|| lanes.next(&mut turn)).take(count).map(|(lane, _)| lane).collect()
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
        let mut turn = Turn::default();
        let numbers: Vec<_> =
            std::iter::from_fn(|| lanes.next(&mut turn)).map(|(_, number)| number).collect();
        // The eighth task that is data is not from the high lane only because that is empty by then.
        assert_eq!(numbers, [3, 13, 23, 2, 12, 22, 1, 11, 21, 0, 10, 20]);
    }

    #[test]
    fn no_lane_starves() {
        let lanes = Lanes::new(1_000);
        for lane in [Lane::High, Lane::Normal, Lane::Keyed, Lane::Low] {
            (0..1_000).for_each(|number| lanes.sender(lane).send(number).unwrap());
        }
        let taken = taken(&lanes, 640);
        for window in taken.windows(64) {
            let count = |lane| window.iter().filter(|taken| **taken == lane).count();
            assert!(count(Lane::Low) >= 1, "low starves");
            assert!(count(Lane::Normal) >= 3, "normal starves");
            assert!(count(Lane::Keyed) >= 3, "keyed starves");
            assert_eq!(count(Lane::High), 55, "high has not its share");
        }
        for window in taken.windows(8) {
            assert!(window.iter().any(|lane| matches!(lane, Lane::Normal | Lane::Keyed)));
        }
    }

    #[test]
    fn normal_and_keyed_take_turns() {
        let lanes = Lanes::new(100);
        for lane in [Lane::Normal, Lane::Keyed] {
            (0..100).for_each(|number| lanes.sender(lane).send(number).unwrap());
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
    fn a_task_s_lane_follows_from_its_profile() {
        assert_eq!(Lane::of(Priority::Control, true), Lane::Control);
        assert_eq!(Lane::of(Priority::High, true), Lane::Keyed);
        assert_eq!(Lane::of(Priority::High, false), Lane::High);
        assert_eq!(Lane::of(Priority::default(), false), Lane::Normal);
        assert_eq!(Lane::of(Priority::Low, false), Lane::Low);
    }
}
